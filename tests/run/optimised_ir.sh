#!/usr/bin/env bash
# The optimised graph of every example is what tests/golden/ir holds: a change of the compiler that should not
# change what it makes shows here that it does not. `tests/run/optimised_ir.sh --update` writes them anew, for review.
. "$(dirname "$0")/lib.sh"
golden=$top/tests/golden/ir
for model in "$top"/examples/*/*.dl "$top"/bench/*.dl; do
    name=$(basename "$model" .dl)
    if ! "$dlcc" "$model" --dump-after=fuse >"$work/$name.graph" 2>"$work/said"; then
        not_ok "$name compiles" "$(cat "$work/said")"
    elif [ "${1:-}" = --update ]; then
        mkdir -p "$golden"
        cp "$work/$name.graph" "$golden/$name.graph"
    elif difference=$(diff "$golden/$name.graph" "$work/$name.graph"); then
        ok "$name: optimised as before"
    else
        not_ok "$name: optimised as before" "$(head -n 20 <<<"$difference")"
    fi
done
finish
