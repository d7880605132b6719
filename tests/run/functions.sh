#!/usr/bin/env bash
# --function: objects with some of a model's functions, and what only they allow: weights in panels.
. "$(dirname "$0")/lib.sh"
cd "$work" || exit 1
cat >net.dl <<'END'
dim B <= 64
model Net() {
    let a = Linear(40, 96)
    let c = Conv2d(1, 128, 3, padding = 1)
    let o = Linear(96, 5)
    fn run(x: f32[B, 40]) -> f32[B, 5] { o(relu(a(x))) }
    export fn predict(x: f32[32, 40]) -> (y: f32[32, 5]) { run(x) }
    export fn images(x: f32[2, 1, 6, 6]) -> (y: f32[2, 128, 6, 6]) { c(x) }
    export fn train(x: f32[B, 40], y: i32[B], lr: f32) -> (loss: f32) {
        let loss = cross_entropy(run(x), y)
        minimize loss with adam(lr)
        return loss
    }
}
END
check "all functions" "$dlcc" net.dl -o net.so
check "two of them" "$dlcc" net.dl --function=predict --function=images -o some.so
exports() { nm -D --defined-only "$1" | awk '{ print $3 }' | sort | tr '\n' ' '; }
check_match "only these are exported" "$(exports some.so)" '^dlrt_module net_images net_module net_predict $'
said=$("$dlcc" net.dl --function=predikt -o x.so 2>&1)
check_match "a function that is not there" "$said" 'no function .predikt.; it has predict, images, train'
check_absent "no file is left" "$(ls)" '^x.so$'

graph=$("$dlcc" net.dl --function=predict --function=images --dump-after=layout)
check_match "the weights lie in panels" "$graph" '@a.weight : f32\[96,40\] order \[1, 0\] split 48'
check_match "a convolution's too" "$graph" '@c.weight : f32\[128,1,3,3\] order \[1, 2, 3, 0\] split 64'
check_absent "not where they are trained" "$("$dlcc" net.dl --dump-after=layout | grep '@a.weight')" 'split'
check_absent "the optimizer's state is gone" "$graph" '^slot'
printf '%s\n' "$graph" >net.ir
check "such a graph reads back" sh -c '"$1" net.ir --run=cse --emit=graph | grep -q "split 48"' - "$dlcc"

awk 'BEGIN { for (i = 0; i < 32; i++) { l = ""; for (k = 0; k < 40; k++) l = l (k ? "," : "") sin(40 * i + k); print l } }' >x.csv
"$dlcc" net.dl --function=predict --function=images -O0 -o plain.so
for so in net some plain; do "$dlrun" call $so.so predict --in x=x.csv --out y=$so.npy >/dev/null 2>&1; done
check "panels change no bit of a result" cmp some.npy plain.npy
check "nor does training beside it" cmp some.npy net.npy
seq 0 31 | awk '{ print $1 % 5 }' >y.csv
"$dlrun" train net.so --function train --x x.csv --y y.csv --scale 1 --max-steps 3 --batch 16 --save w.safetensors --log none >said 2>&1
check "weights are saved" test -s w.safetensors
for so in net some plain; do "$dlrun" call $so.so predict --load w.safetensors --in x=x.csv --out y=$so.npy >/dev/null 2>&1 || rm -f $so.npy; done
check "weights of the whole model fit" cmp some.npy net.npy
check "and are put where they belong" cmp some.npy plain.npy
finish
