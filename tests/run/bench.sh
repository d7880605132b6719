#!/usr/bin/env bash
# bench/run.sh works: one short round of each case, with a well-formed line for each peer that is there.
# What it measures is not judged here: a busy machine would fail it.
. "$(dirname "$0")/lib.sh"
cd "$work" || exit 1
check_status "bench/run.sh" 0 bash "$top/bench/run.sh" --rounds 1 --json lines
for case in $(grep -oE '^[a-z][a-z0-9_]+' "$top/bench/cases"); do
    check_match "$case is measured, or its peers are absent" "$output" "^$case[ :]"
done
keys='"case": "[a-z0-9_]+", "threads": 1, "ours": [0-9.e+]+, "unit": "[A-Za-z/]+", "peer": ("[^"]+"|null), "theirs": ([0-9.e+]+|null), "ratio": ([0-9.]+|null), "ceiling": ([0-9.e+]+|null)'
check_absent "--json writes objects with the same keys" "$(grep -vE "^\{$keys\}\$" lines)" .
check_status "--only picks cases" 0 bash "$top/bench/run.sh" --rounds 1 --only 'matmul_512'
check_absent "and no others" "$output" '^(mlp|matmul_1024)'
check_status "an option it does not know" 2 bash "$top/bench/run.sh" --fast
finish
