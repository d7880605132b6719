#!/usr/bin/env bash
# The digit classifier learns: drawn digits always, MNIST where its files are.
. "$(dirname "$0")/lib.sh"
cd "$work" || exit 1
check "compiles" "$dlcc" "$digits" -o digits.so

# accuracy FOLDER SEED: test accuracy in per cent after 5 epochs, from the last JSON line.
accuracy() {
    "$dlrun" train digits.so --data "$1" --epochs 5 --seed "$2" --json 2>train.err | tail -n 1 |
        sed -nE 's/.*"test_accuracy": ?([0-9.eE+-]+).*/\1/p' | awk '{ print $1 <= 1 ? 100 * $1 : $1 }'
}

# at_least WHAT GIVEN WANTED
at_least() {
    if awk -v a="$2" -v b="$3" 'BEGIN { exit !(a != "" && a + 0 >= b) }'; then ok "$1 ($2 %)"; else
        not_ok "$1" "$2 %, not $3 % ($(tail -n 2 train.err))"
    fi
}

mkdir drawn
cc -std=gnu17 -O2 "$top/examples/digits/draw_digits.c" -lm -o draw_digits && ./draw_digits drawn --train 20000 --test 2000
at_least "reads at least 94 % of drawn digits after 20000" "$(accuracy drawn 1)" 94

if [ -d "$data/mnist" ]; then
    for seed in 1 2 3; do accuracy "$data/mnist" $seed; done >figures
    mean=$(awk '{ s += $1; n++ } END { if (n == 3) printf "%.2f", s / n }' figures)
    at_least "reads at least 97.6 % of MNIST's test digits, mean of seeds 1, 2, 3" "$mean" 97.6
else
    skip "reads at least 97.6 % of MNIST's test digits" "no $data/mnist"
fi
finish
