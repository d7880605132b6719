#!/usr/bin/env bash
# dlcc's command line: what it shows of a compilation, and what it answers to a wrong one.
. "$(dirname "$0")/lib.sh"
cd "$work" || exit 1

# Every row of the compiler's tables and of the library says where it stands, and stands there.
astray= found=0
for what in ops passes targets layers activations losses optimizers schedules initializers metrics functions; do
    while read -r name place; do
        file=${place%%:*} line=${place##*:} end=
        [ "$file" = "$place" ] && line=1 end=999
        case $file in std/*) file=dsl/$file ;; esac
        found=$((found + 1))
        sed -n "$line,${end:-$((line + 3))}p" "$top/$file" 2>/dev/null | grep -qw -- "$name" || astray+=" $name:$place"
    done < <("$dlcc" --list=$what | grep -E '  [a-z_/0-9]+\.(c|def|dl)(:[0-9]+)?$' | sed -E 's/^([A-Za-z0-9_-]+).*  ([^ ]+)$/\1 \2/')
done
check_equal "--list says where things stand" "$astray" ""
[ $found -gt 250 ] && ok "--list lists them ($found)" || not_ok "--list lists them" "$found"

check_status "--version" 0 "$dlcc" --version
check_match "--version names the program" "$output" '^dlcc [0-9]+\.[0-9]+'
check_status "--help" 0 "$dlcc" --help
for option in --emit --dump-after --dump-all --time-passes --report -MD -o -D; do
    check_match "--help tells of $option" "$output" "^ *$option\b"
done

for level in ast graph kernel llvm asm; do
    check_status "--emit=$level" 0 "$dlcc" "$digits" --emit=$level
    [ "$(wc -l <<<"$output")" -gt 20 ] && ok "--emit=$level prints it" || not_ok "--emit=$level prints it" "$output"
done
check "--emit=llvm is LLVM's text" grep -q '^define ' <("$dlcc" "$digits" --emit=llvm)

check_status "--time-passes" 0 "$dlcc" "$digits" --time-passes -o digits.o
check_match "--time-passes shows times" "$output" '[0-9] ?(ms|us|s)\b'
check_status "--report" 0 "$dlcc" "$digits" --report -o digits.o
check_match "--report tells the arena" "$output" '[Aa]rena'
check_match "--report tells operations" "$output" 'FLOP'

check_status "--dump-all" 0 "$dlcc" "$digits" --dump-all=dumps -o digits.o
count=$(find dumps -type f | wc -l)
[ "$count" -ge 5 ] && ok "--dump-all writes a file for each pass" || not_ok "--dump-all writes a file for each pass" "$(ls dumps)"

check_status "-MD" 0 "$dlcc" "$digits" -MD -o made.o
check_match "-MD lists the source" "$(cat made.d)" '^made\.o:.*digits\.dl'
cp "$digits" own.dl
check_status "a rule does not overwrite the source" 2 "$dlcc" own.dl -o own.o -MF own.dl
check "the source is as it was" cmp "$digits" own.dl
check_status "nor the object" 2 "$dlcc" own.dl -o own.o -MF ./own.o
check_status "two outputs are two files" 2 "$dlcc" own.dl -o own.so -o ./own.so
check_equal "nothing was written" "$(ls own.*)" own.dl
check_status "a pass that there must be" 2 "$dlcc" own.dl --no-pass=lower
check_status "an option of no pass" 2 "$dlcc" own.dl --pass-option=simplyfy.only=1
check_match "the nearest pass is told" "$output" simplify
check_status "a hyper-parameter twice" 2 "$dlcc" own.dl -D hidden1=4 -D hidden1=5
check_status "what num is" 2 "$dlcc" own.dl --num=f3
check_status "a device without end" 1 "$dlcc" /dev/zero
check_status "-D sets a hyper-parameter" 0 "$dlcc" "$digits" -D hidden1=33 --emit=graph
check_match "-D shows in the graph" "$output" '33, ?784|784, ?33'
check_status "-D with a name that the model lacks" 2 "$dlcc" "$digits" -D hiden1=33 -o digits.o
check_match "the nearest name is offered" "$output" 'hidden1'
check_status "-D with a value that is no number" 2 "$dlcc" "$digits" -D hidden1=many -o digits.o

check_status "no file: usage" 2 "$dlcc"
check_status "an option it does not know" 2 "$dlcc" "$digits" --emitt=graph
check_status "a level it does not know" 2 "$dlcc" "$digits" --emit=tokens
check_status "a pass it does not know" 2 "$dlcc" "$digits" --dump-after=polish -o digits.o
check_status "a processor it does not know" 2 "$dlcc" "$digits" --cpu=z80 -o digits.o
check_status "a file that is not there" 1 "$dlcc" nowhere.dl -o digits.o
check_match "it says which" "$output" 'nowhere\.dl'
check_status "a folder instead of a file" 1 "$dlcc" "$work" -o digits.o
finish
