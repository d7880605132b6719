#!/usr/bin/env bash
# read(print(x)) is x: what --dump-all writes after every pass of every example is valid input and prints the same.
. "$(dirname "$0")/lib.sh"
cd "$work" || exit 1

for model in "$top"/examples/*/*.dl "$top"/bench/*.dl; do
    name=$(basename "$model" .dl)
    check "$name: dumps" "$dlcc" "$model" --dump-all="$name" -o "$name.o"
    count=0
    for dump in "$name"/*.graph "$name"/*.kernel; do
        [ -f "$dump" ] || continue
        count=$((count + 1))
        level=${dump##*.}
        if "$dlcc" "$dump" --emit="$level" >read 2>said && cmp -s "$dump" read; then
            ok "$name: reads back $(basename "$dump")"
        else
            not_ok "$name: reads back $(basename "$dump")" "$(cat said; diff "$dump" read | head -n 10)"
        fi
    done
    for dump in "$name"/*fuse.graph "$name"/*place.kernel; do
        check "$name: $(basename "$dump") compiles" "$dlcc" "$dump" -o read.o
    done
    [ $count -gt 3 ] && ok "$name: has dumps of several passes" || not_ok "$name: has dumps of several passes" "$(ls "$name")"
done
finish
