#!/usr/bin/env bash
# What docs/*.md shows is true. Each page is gone through from top to bottom in a folder of its own, by the first word
# behind the three backticks that open a block:
#
#   LANGUAGE NAME   the block is written to the file NAME, which later commands use (dl, ir, c, cmake)
#   dl, ir, c       without a name: a model or IR text that compiles, C that compiles beside dlrt.h
#   sh              commands that work, one after the other; PREFIX stands for an installed dlcc
#   text            what the commands just before print: these lines in this order, a line "..." for any number of
#                   others, "..." in a line for part of it. `text varies`: any number will do for a number
#   diff            a change to dlcc itself; all of a page's together make a compiler that passes `sh built` blocks
#   sh built        commands for the compiler with the page's diffs
#   quote FILE      lines that stand in FILE of the project, in this order, up to white space
#
# The list of operators in docs/ir.md is what `dlcc --list=ops` prints. docs/language.md has a test of its own.
. "$(dirname "$0")/lib.sh"
export PATH="$prefix/bin:$PATH" PKG_CONFIG_PATH="$prefix/lib/pkgconfig"

# split PAGE FOLDER: a file for each block in FOLDER, and FOLDER/list with a line for each: file, line number, words.
split() {
    : >"$2/list"
    awk -v folder="$2" '
        /^```/ && !inside { inside = 1; n++; file = sprintf("%s/%03d", folder, n); printf "" >file
                            sub(/^```/, ""); print file, NR, ($0 == "" ? "plain" : $0) >(folder "/list"); next }
        /^```/ { inside = 0; close(file); next }
        inside { print >file }' "$1"
}

# same_text EXPECTED GIVEN VARIES: see `text` above. Prints the first line that is missing.
same_text() {
    awk -v varies="$3" '
        function plain(line) {
            gsub(/[ \t]+/, " ", line); sub(/^ /, "", line); sub(/ $/, "", line)
            if (varies) gsub(/[0-9]+(\.[0-9]+)?(e[-+]?[0-9]+)?/, "0", line)
            return line
        }
        NR == FNR { wanted[++n] = plain($0); next }
        { given[++m] = plain($0) }
        function fits(want, have, parts, i, n, at) {
            n = split(want, parts, / ?\.\.\. ?/)
            if (n <= 1) return want == have
            if (substr(have, 1, length(parts[1])) != parts[1]) return 0
            for (i = 2; i <= n; i++) {
                have = substr(have, length(parts[i - 1]) + 1)
                if (i == n) return length(have) >= length(parts[n]) &&
                    substr(have, length(have) - length(parts[n]) + 1) == parts[n]
                if (!(at = index(have, parts[i]))) return 0
                have = substr(have, at)
            }
        }
        # Lines first .. last - 1 of those wanted, one after the other, from line `at` of the output on.
        function place(first, last, i) {
            for (; at + last - first <= m + 1; at++) {
                for (i = 0; i < last - first && fits(wanted[first + i], given[at + i]); i++) {}
                if (i == last - first) { at += i; return 1 }
                if (i > best) { best = i; missing = wanted[first + i] }
            }
            print "is not there: " (missing == "" ? wanted[first] : missing)
            return 0
        }
        END {
            at = 1
            wanted[n + 1] = "..."
            for (first = i = 1; i <= n + 1; i++) {
                if (wanted[i] != "...") continue
                best = 0; missing = ""
                if (!place(first, i)) exit 1
                first = i + 1
            }
        }' "$1" "$2"
}

# The compiler with the page's diffs, built once; prints the folder with dlcc in it.
build_changed() {
    local diff tree=$work/changed
    mkdir "$tree" && cp -r "$top"/{CMakeLists.txt,LICENSE,compiler,dsl,runtime} "$tree" || return 1
    mkdir -p "$tree/tests" && : >"$tree/tests/CMakeLists.txt"
    for diff in "$@"; do patch -s -p1 -d "$tree" <"$diff" || return 1; done
    if ! { cmake -S "$tree" -B "$tree/build" -DCMAKE_BUILD_TYPE=Debug &&
        cmake --build "$tree/build" -j "$(nproc)" --target dlcc; } >"$tree/log" 2>&1; then
        tail -n 20 "$tree/log"
        return 1
    fi
}

# block FILE LINE WORDS...: checks one, in the page's folder. `output` is what the commands before printed.
block() {
    local file=$1 where="$name:$2" kind=$3 argument=${4:-}
    case $kind in
        dl | ir | c | cmake)
            if [ -n "$argument" ]; then cp "$file" "$argument"; return; fi
            cp "$file" "block.$kind"
            if [ "$kind" = c ]; then
                check "$where: C compiles" cc -std=c17 -Wall -Wextra -fsyntax-only -I"$prefix/include" \
                    -include dlrt.h block.c
            else
                check "$where: $kind compiles" dlcc "block.$kind"
            fi ;;
        sh)
            sed "s,PREFIX,$prefix,g" "$file" >commands
            local path=$PATH
            [ "$argument" != built ] || path=$work/changed/build/compiler/driver:$PATH
            if PATH=$path timeout 300 bash -eu commands >output 2>&1; then ok "$where: commands work"
            else not_ok "$where: commands work" "status $?: $(tail -n 20 output)"; fi ;;
        text)
            local missing
            if missing=$(same_text "$file" output "$argument"); then ok "$where: prints this"
            else not_ok "$where: prints this" "$missing"; fi ;;
        quote)
            local missing
            if missing=$(same_text "$file" "$top/$argument" ""); then ok "$where: stands in $argument"
            else not_ok "$where: stands in $argument" "$missing"; fi ;;
        diff | plain | make) ;;
        *) not_ok "$where: is a block of a known kind" "$kind" ;;
    esac
}

page() {
    local name=${1##*/} blocks=$work/${1##*/}.blocks file line words diffs
    mkdir "$blocks" "$work/${name%.md}" && cd "$work/${name%.md}" && : >output || exit 1
    split "$1" "$blocks"
    diffs=$(awk '$3 == "diff" { print $1 }' "$blocks/list")
    # shellcheck disable=SC2086 # paths without blanks
    if [ -n "$diffs" ] && ! command -v patch >/dev/null; then
        skip "$name" "there is no patch"
        return
    fi
    [ -z "$diffs" ] || check "$name: its changes build" build_changed $diffs
    while read -r file line words; do
        # shellcheck disable=SC2086
        block "$file" "$line" $words
    done <"$blocks/list"
}

for file in "$top"/docs/*.md; do
    [ "${file##*/}" = language.md ] || page "$file"
done

# operators: the table in ir.md, from what dlcc lists.
operators() {
    dlcc --list=ops | sed 's/  [^ ]*$//' | awk '{ name = $1; kind = $2; $1 = $2 = ""; sub(/^ +/, ""); gsub(/\|/, "\\|")
                             print "| `" name "` | " kind " | " $0 " |" }'
}
kinds='map|reduce|cumulate|contract|move|index|region|opaque|check'
listed=$(grep -E "^\| \`[a-z0-9_]+\` \| ($kinds) \|" "$top/docs/ir.md")
check_equal "ir.md lists the operators" "$listed" "$(operators)"

# mentions PROGRAM FILES...: each option that its --help lists.
mentions() {
    local program=$1 option
    shift
    for option in $("$program" --help | grep -oE '^  --?[A-Za-z-]+' | sort -u); do
        check "docs tell of $program $option" grep -qF -- "$option" "$@"
    done
}
mentions dlcc "$top"/docs/*.md
mentions dlrun "$top/docs/runtime.md"
finish
