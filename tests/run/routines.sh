#!/usr/bin/env bash
# Operators that are routines of the runtime: how many there are, and that a model contains those alone that it calls.
. "$(dirname "$0")/lib.sh"

routines="sort top_k nms"
listed=$("$dlcc" --list=ops | awk '$2 == "opaque" {print $1}' | xargs)
if [ "$listed" = "$routines" ]; then ok "the opaque operators are $routines"; else not_ok "the opaque operators are $routines" "$listed"; fi

# The routines whose code is in a shared object; --strip-debug leaves the symbols.
contained() { nm "$1" | awk '{print $3}' | grep -xE 'dlrt_(sort|top_k|nms|order|order_key|routine_args)' | sort | xargs; }

cat >"$work/m.dl" <<'DL'
model None() { export fn f(x: f32[8]) -> f32[8] { x * 2 } }
model Sorts() { export fn f(x: f32[8]) -> f32[8] { sort(x)[0] } }
model Picks() { export fn f(x: f32[8]) -> f32[2] { top_k(x, 2)[0] } }
DL
expect() { # model, symbols
    "$dlcc" "$work/m.dl" --model="$1" -o "$work/$1.so" || not_ok "$1 compiles"
    local got
    got=$(contained "$work/$1.so")
    if [ "$got" = "$2" ]; then ok "$1 contains: ${2:-no routine}"; else not_ok "$1 contains: ${2:-no routine}" "$got"; fi
}
expect None ""
expect Sorts "dlrt_order dlrt_order_key dlrt_routine_args dlrt_sort"
expect Picks "dlrt_order_key dlrt_routine_args dlrt_top_k"
finish
