#!/usr/bin/env bash
# bench/run.sh works: one short round of a case of each kind, with a well-formed line for each that is measured; and
# what bench/cases and the peers' networks name fits together. What it measures is not judged here: a busy machine
# would fail it.
. "$(dirname "$0")/lib.sh"
cd "$work" || exit 1
cases="mlp_b1_infer mlp_b128_train matmul_512 softmax_1024_768 attention_t64 forward_1x1_576_160_7"
cases+=" kernel_depthwise_960_7"
check_status "bench/run.sh" 0 bash "$top/bench/run.sh" --rounds 1 --only "@(${cases// /|})" --json lines
for case in $cases; do
    check_match "$case is measured" "$output" "^$case +(ms|GFLOP/s|GB/s) +[0-9.e+]+"
done
summary='^(inference +1 +[0-9.]+ +[0-9.]+  mlp_b1_infer|.*absent.*)$'
check_match "groups are summed up, or their peers absent" "$output" "$summary"

number='([0-9.e+-]+|null)'
peer="\{\"name\": \"[^\"]+\", \"median\": $number, \"min\": $number, \"empty_ms\": $number, \"memory_mb\": $number\}"
line='"group": "[a-z_]+", "case": "[a-z0-9_]+", "threads": 1, "unit": "[A-Za-z/]+"'
for key in ours ours_min peer theirs theirs_min ratio ceiling compile_s so_bytes memory_mb; do
    if [ $key = peer ]; then line+=', "peer": ("[^"]+"|null)'; else line+=", \"$key\": $number"; fi
done
check_equal "--json writes an object a case" "$(wc -l <lines)" "$(wc -w <<<"$cases")"
check_absent "all with the same keys" "$(grep -vE "^\{$line, \"peers\": \[($peer(, $peer)*)?\]\}\$" lines)" .

columns=$(awk '/^[a-z]/ && (NF < 7 || $2 !~ /^(ms|GFLOP\/s|GB\/s)$/ || $6 !~ /^(-|(fma|read):[0-9*]+)$/)' \
    "$top/bench/cases")
check_absent "every row of the table has its columns" "$columns" .
check_equal "no two have a name" "$(awk '/^[a-z]/ { print $1 }' "$top/bench/cases" | sort | uniq -d)" ""
for case in $(awk '/^[a-z].* (torch|ort)/ { print $1 }' "$top/bench/cases"); do
    grep -q "^    \"$case\": " "$top/bench/peers/models.py" || not_ok "PyTorch has a network for $case"
done
check_status "--only picks a group" 0 bash "$top/bench/run.sh" --rounds 1 --only 'matvec'
check_match "and its case" "$output" '^matvec_4096'
check_absent "and no others" "$output" '^(mlp|matmul|forward)'
check_status "an option it does not know" 2 bash "$top/bench/run.sh" --fast
finish
