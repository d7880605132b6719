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

# A schedule written by hand counts where --run says which passes are to run; one that is missing is asked for.
cat >mul.dl <<'END'
model Mul() { export fn mul(a: f32[64, 64], b: f32[64, 64]) -> f32[64, 64] { return a @ b } }
END
"$dlcc" mul.dl --emit=kernel --cpu=x86-64-v3 | sed 's/ mr=[0-9]* / mr=2 /; s/ mc=[0-9]* / mc=4 /' >mul.kernel
"$dlcc" mul.kernel --cpu=x86-64-v3 --report -o mul.o >new
"$dlcc" mul.kernel --cpu=x86-64-v3 --run=place --report -o mul.o >own
check "kernels are scheduled anew" sh -c 'grep -q tile new && ! grep -q "tile 2 rows" new'
check "but by a schedule of one's own with --run" grep -q "tile 2 rows" own
grep -v "^  schedule" mul.kernel >bare.kernel
check_status "which has to be there" 2 "$dlcc" bare.kernel --run=place -o mul.o
check "or be made" "$dlcc" bare.kernel --run=schedule -o mul.o
finish
