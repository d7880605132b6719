#!/usr/bin/env bash
# --memory-budget: objects that take no more memory than that, train to the same bits, and what is said where none can be.
. "$(dirname "$0")/lib.sh"
cd "$work" || exit 1
# Random numbers, sums over rows, a contraction with several results, a loop over time, images, a variable besides weights.
cat >net.dl <<'END'
dim B <= 4
model Net(layers: int = 2) {
    let images = Conv2d(1, 4, 3, padding = 1)
    let norm = BatchNorm2d(4)
    let in = Linear(8, 32)
    let blocks = [TransformerEncoderLayer(32, 2, 128, 0.1, gelu, norm_first = true) for i in range(layers)]
    let steps = LSTM(32, 16)
    let out = Linear(16, 5)
    fn logits(x: f32[B, 256]) -> f32[B, 5] {
        let c = relu(norm(images(reshape(x, [B, 1, 16, 16]))))
        var h = in(reshape(c, [B, 128, 8]))
        for b in blocks { h = b(h) }
        let y, last, cell = steps(h)
        return out(mean(y, axis = 1))
    }
    export fn train(x: f32[B, 256], y: i32[B], lr: f32) -> (loss: f32) {
        let loss = cross_entropy(logits(x), y)
        minimize loss with adam(lr)
        return loss
    }
}
END
awk 'BEGIN { for (i = 0; i < 12; i++) { l = ""; for (k = 0; k < 256; k++) l = l (k ? "," : "") sin(40 * i + k); print l } }' >x.csv
seq 0 11 | awk '{ print $1 % 5 }' >y.csv

# total FILE.h: what the header says the model takes, with a context on one thread.
total() {
    grep -E '_(WEIGHT|SLOT|CACHE|WORKSPACE)_BYTES ' "$1" | sed 's/.*INT64_C(//; s/).*//' |
        awk '{ sum += int(($1 + 63) / 64) * 64 } END { print sum }'
}
# train NAME: trains NAME.so for nine steps; what came of it is in NAME.safetensors and NAME.jsonl.
train() {
    "$dlrun" train "$1.so" --x x.csv --y y.csv --scale 1 --batch 4 --epochs 3 --lr 0.01 --log "$1.jsonl" --log-every 1 \
        --quiet --save "$1.safetensors" >"$1.log" 2>&1
}
losses() { grep -oE '"loss": ?[0-9.e+-]+' "$1.jsonl"; }

check "without a budget" "$dlcc" net.dl --name net -o full.so -o full.o -o full.h
full=$(total full.h)
check "with one that is enough" "$dlcc" net.dl --name net --memory-budget="$full" -o enough.o
check "nothing changes" cmp full.o enough.o
check "trains" train full

check_status "too little" 2 "$dlcc" net.dl --memory-budget=4K -o no.o
check_match "is a mistake with a code" "$output" '^error\[DL0507\]: --memory-budget is [0-9]+ bytes too small; with [0-9]+ it would fit'
check_match "says where" "$output" 'net\.dl:16:15'
check_match "says what takes most" "$output" '(kB|MB|bytes) at the peak'
check_match "and what nothing can be done about" "$output" 'note: weights take [0-9.]+ kB, slots [0-9.]+ kB'
[ ! -e no.o ] && ok "writes nothing" || not_ok "writes nothing"
smallest=$(grep -oE 'with [0-9]+ it' <<<"$output" | tr -dc 0-9)
check_equal "the numbers add up" "$(grep -oE '[0-9]+ bytes too' <<<"$output" | tr -dc 0-9)" $((smallest - 4096))
[ "$smallest" -lt $((full * 3 / 4)) ] && ok "the smallest is much smaller" || not_ok "the smallest" "$smallest of $full"

for budget in $((full - 1)) $(((full + smallest) / 2)) "$smallest"; do
    "$dlcc" net.dl --name net --memory-budget="$budget" --report -o less.so -o less.o -o less.h >report 2>&1
    check_match "$budget bytes: something is computed again" "$(cat report)" \
        '^recomputed: train [0-9]+ values, arena [0-9.]+ .*B less, [0-9.]+ [kMG]?FLOP more \([0-9.]+ %\)'
    [ "$(total less.h)" -le "$budget" ] && ok "$budget bytes: fits" || not_ok "$budget bytes: fits" "$(total less.h)"
    check "$budget bytes: trains" train less
    check_equal "$budget bytes: the losses are the same" "$(losses less)" "$(losses full)"
    check "$budget bytes: the weights are the same" cmp less.safetensors full.safetensors
done
check_match "there are losses" "$(losses full | wc -l)" '^(9|1[0-9])$'
check "again" "$dlcc" net.dl --name net --memory-budget="$smallest" -o again.o
check "is the same bytes" cmp less.o again.o

# The pass alone: a chain whose middle need not be kept.
cat >chain.ir <<'END'
module @Chain
func @f(%x: f32[1000] = arg "x") {
  %a = exp %x : f32[1000]
  %s = reduce_sum %a {axes = [0]} : f32
  %w = broadcast_in_dim %s {shape = [1000], axes = []} : f32[1000]
  %y = multiply %a, %w : f32[1000]
  return %y as "y"
}
END
"$dlcc" chain.ir --run=fuse --emit=graph >fused.ir
"$dlcc" fused.ir --run=recompute --emit=graph >same.ir
check "the pass alone does nothing unasked" cmp fused.ir same.ir
"$dlcc" net.dl --memory-budget="$smallest" --dump-all=steps -o less.h
check "what it leaves is dumped" test -s "$(ls steps/*recompute.graph)"
check "and reads back" "$dlcc" "$(ls steps/*recompute.graph)" -o back.h

for bad in 12Q 0 -1 M 99999999999G ''; do
    check_status "--memory-budget=$bad" 2 "$dlcc" net.dl --memory-budget=$bad -o no.o
    check_match "is no number of bytes" "$output" 'takes a number of bytes, as 1500000, 64M or 2G, not'
done
check "K, M and G" bash -c '"$0" net.dl --memory-budget=1048576K -o a.h && "$0" net.dl --memory-budget=1024M -o a.h &&
    "$0" net.dl --memory-budget=1G -o a.h' "$dlcc"
"$dlcc" net.dl --emit=kernel >net.kernel
check_status "kernels" 2 "$dlcc" net.kernel --memory-budget=1G -o no.o
check_match "have no graph any more" "$output" 'needs a model or its graph'
finish
