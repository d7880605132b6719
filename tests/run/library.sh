#!/usr/bin/env bash
# docs/library.md is what the library's doc comments say. Usage: library.sh [--update]
. "$(dirname "$0")/lib.sh"
page=$top/docs/library.md

# entries: the lines of a list as markdown: "signature  file:line" and indented lines become one item.
entries() {
    awk '
        function flush() { if (text != "") print text; text = "" }
        /^[^ ]/ { flush(); sub(/  std\/[a-z]+\.dl:[0-9]+$/, ""); text = "- `" $0 "`"; first = 1; next }
        /^ +Call: / { sub(/^ +Call: /, ""); text = text "  \n  Call: `" $0 "`"; next }
        { sub(/^ +/, ""); text = text (first ? "  \n  " : "\n  ") $0; first = 0 }
        END { flush() }'
}

# functions: those that no other list has, by file.
functions() {
    local sort file
    for sort in activations losses schedules initializers metrics; do "$dlcc" --list=$sort; done |
        awk '/^[^ ]/ { print $NF }' >"$work/listed"
    "$dlcc" --list=functions | awk -v folder="$work" '
        BEGIN { while ((getline line <(folder "/listed")) > 0) listed[line] = 1 }
        /^[^ ]/ { keep = !($NF in listed); file = $NF; sub(/:.*/, "", file); sub(/.*\//, "", file) }
        keep { print >(folder "/functions." file) }'
    for file in "$work"/functions.*; do
        printf '\nIn `std/%s`:\n\n' "${file##*/functions.}"
        entries <"$file"
    done
}

whole_page() {
    cat <<'TEXT'
# The standard library

Made from the doc comments of `dsl/std/*.dl` by `tests/run/library.sh --update`. Everything here is written in the
language itself; what the language has built in is in [language.md](language.md).

Names, arguments, defaults, formulae and the names of parameters are PyTorch's, and weights saved by PyTorch load by
name. A test compares everything with PyTorch: results, gradients, ten steps of each optimizer. These differ throughout:

- `reduce`, `axis` and `keep` are PyTorch's `reduction`, `dim` and `keepdim`.
- Classes lie along the last dim of scores (in PyTorch along the second).
- Sequences are batch first, and there is no `batch_first`. Attention's `is_causal` is `causal`.
- `Linear(in, out)` and `Bilinear(in1, in2, out)` say so instead of `in_features`, `out_features`, ... An activation is
  passed as a function, `activation = gelu`, not as a text.
- Optimizers take `beta1` and `beta2` one by one; the learning rate has no default, and may be an argument of the
  training function or a schedule's result.
- Sums of i8 and u8 stay in their type.
- A mean over nothing is 0 and the gradient of a norm at 0 is 0 where PyTorch has NaN.

Layers have their parameters in `num`, which is f32 unless `dlcc --num=f64`, `f16` or `bf16` says otherwise; functions
take any float type. In f16 and bf16 what is summed, or passes through numbers much larger than the result, is computed in
f32 and rounded once, and optimizers compute in f32.

TEXT
    local sort title
    for sort in layers activations losses optimizers schedules initializers metrics; do
        title=${sort/initializers/initialisers}
        printf '## %s\n\n' "${title^}"
        "$dlcc" --list=$sort | entries
        echo
    done
    echo "## Functions"
    functions
}

whole_page >"$work/library.md"
if [ "${1:-}" = --update ]; then
    cp "$work/library.md" "$page"
    exit
fi
check "docs/library.md is what the doc comments say (else: tests/run/library.sh --update)" \
    diff "$page" "$work/library.md"
finish
