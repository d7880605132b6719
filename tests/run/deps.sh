#!/usr/bin/env bash
# Who may include whom, and what may lie where: base <- ir <- ops <- pass <- codegen <- driver.
. "$(dirname "$0")/lib.sh"
cd "$top" || exit 1

# The folder (under compiler/, or dsl or runtime) that each #include "..." of a folder's files reaches.
reached_by() { # folder
    find "$1" -type f \( -name '*.[chly]' -o -name '*.def' \) -exec grep -hoE '^ *# *include +"[^"]+"' {} + |
        sed -E 's/.*"([^"]+)".*/\1/; s,^(\.\./)+,,' | grep / | cut -d/ -f1 | sort -u
}

# allow FOLDER NAMES: the quoted includes of FOLDER reach only its own folder and NAMES.
allow() {
    local folder=$1 name found=
    [ -d "$folder" ] || return 0
    shift
    local what="$folder includes nothing but itself${*:+, }$*"
    for name in $(reached_by "$folder"); do
        case " $(basename "$folder") $* " in
            *" $name "*) ;;
            *) found+="$(grep -rnE "# *include +\"$name/" "$folder")"$'\n' ;;
        esac
    done
    if [ -z "$found" ]; then ok "$what"; else not_ok "$what" "$found"; fi
}

allow compiler/base
allow compiler/ir base
allow compiler/ops ir base
allow compiler/target base
allow compiler/interp ops ir base
allow compiler/pass target interp ops ir base
allow compiler/codegen pass target ops ir base
allow dsl ops ir base
allow runtime core tools
allow runtime/core

check_absent "only codegen includes LLVM's headers" \
    "$(grep -rnE '# *include +[<"]llvm' compiler dsl runtime --include='*.[chly]' | grep -v '^compiler/codegen/')" .
check_absent "codegen uses LLVM's C interface only" "$(grep -rnE '# *include +[<"]llvm/' compiler)" .
check_absent "the runtime's core includes libc's headers and its own" \
    "$(grep -rhoE '# *include +<[^>]+>' runtime/core runtime/dlrt.h)" 'zlib|jansson|llvm'
check_absent "passes and code generation never ask for an operator by its name" \
    "$(grep -rnE 'strcmp *\([^)]*(op|info)->name' compiler/pass compiler/codegen)" .

allowed="bench compiler docs dsl examples runtime tests CMakeLists.txt LICENSE README.md"
strangers=$(git ls-files 2>/dev/null | cut -d/ -f1 | sort -u | grep -v '^\.' | grep -vxF "$(tr ' ' '\n' <<<"$allowed")")
check_absent "nothing else lies at the top" "$strangers" .
check_absent "no object files or archives are checked in" "$(git ls-files | grep -E '\.(o|so|a|gz|safetensors)$')" .
finish
