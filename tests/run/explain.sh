#!/usr/bin/env bash
# dlcc --explain: every code has an explanation with a bad example, which gives that very code, and a corrected one,
# which compiles. An example is a file, or several behind lines `file NAME`, and commands behind `$`; without
# commands it is compiled.
. "$(dirname "$0")/lib.sh"
cd "$work" || exit 1
PATH=$prefix/bin:$PATH

# unpack TEXT FOLDER: the example's files, and its commands in FOLDER/run.
unpack() {
    mkdir -p "$2"
    awk -v folder="$2" '
        BEGIN { name = "" }
        /^file / { name = $2; next }
        /^\$ / { print substr($0, 3) >>(folder "/run"); commands = 1; next }
        name == "" { name = /^module / ? "model.ir" : "model.dl" }
        { print >>(folder "/" name) }
        END { if (!commands) print "dlcc " name " -o model.o" >>(folder "/run") }' <<<"$1"
}

count=0
while read -r code; do
    text=$(dlcc --explain "$code")
    bad=$(sed -n '/^Right:/q; s/^    //p' <<<"$text")
    right=$(sed -n '/^Right:/,$s/^    //p' <<<"$text")
    if [ -z "$bad" ] || [ -z "$right" ]; then
        not_ok "$code: two examples" "$text"
        continue
    fi
    unpack "$bad" "$code/bad"
    unpack "$right" "$code/right"
    said=$(cd "$code/bad" && timeout 20 bash run 2>&1)
    check_match "$code: the bad example gives it" "$said" "^(error|warning)\[$code\]"
    said=$(cd "$code/right" && timeout 20 bash run 2>&1)
    status=$?
    if [ $status = 0 ] && [ -z "$said" ]; then ok "$code: the corrected one compiles"; else
        not_ok "$code: the corrected one compiles" "status $status"$'\n'"$said"
    fi
    count=$((count + 1))
done < <(sed -nE 's/^CODE\(([0-9]+),.*/DL\1/p' "$top/compiler/base/codes.def")
[ $count -gt 30 ] && ok "there are codes ($count)" || not_ok "there are codes" "$count"
check_status "an unknown code" 2 dlcc --explain DL9999
# Every code has a golden file of its own, named after it, that shows it.
for code in $(grep -oE '^CODE\([0-9]+' "$top/compiler/base/codes.def" | tr -dc '0-9\n'); do
    grep -qs "\[DL$code\]" "$top"/tests/golden/*/"$code"_* || missing="${missing:-} DL$code"
done
check_equal "each code has a golden file" "${missing:-}" ""
finish
