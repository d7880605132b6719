#!/usr/bin/env bash
# Where values lie and when they are made: kernels that nothing reads, a picture's borders, and what is made of weights
# or updates them in a training step.
. "$(dirname "$0")/lib.sh"
cd "$work" || exit 1
dlcc=$prefix/bin/dlcc

cat >one.dl <<'END'
model One(c: int = 32, o: int = 48, kernel: int = 3, stride: int = 1) {
    let conv = Conv2d(c, o, kernel, stride, div(kernel, 2), bias = false)
    let out = div(28 - 1, stride) + 1
    fn run(x: f32[1, 28, 28, c]) -> f32[1, out, out, o] { transpose(conv(transpose(x, [0, 3, 1, 2])), [0, 2, 3, 1]) }
    export fn forward(x: f32[1, 28, 28, c]) -> (y: f32[1, out, out, o]) { run(x) }
    export fn slope(x: f32[1, 28, 28, c], dy: f32[1, out, out, o]) { conv.weight <- grad(sum(run(x) * dy), conv.weight) }
}
END
for way in "" --no-winograd; do
    check_status "a kernel that is only written $way" 0 "$dlcc" one.dl --function=slope --emit=kernel $way
    check_match "its features lie inside" "$output" 'param @conv.weight .* order \[2, 3, 1, 0\]'
done
check_status "few features out" 0 "$dlcc" one.dl -D kernel=1 -D c=96 -D o=24 --function=slope --emit=kernel
check_match "lanes run along the many" "$output" 'param @conv.weight .* order \[2, 3, 0, 1\]'

for function in forward slope; do
    check_status "a picture, $function" 0 "$dlcc" one.dl -D c=3 --function=$function --emit=kernel
    check_match "whole lines are laid with their borders" "$output" 'outer j in 90$'
    check_match "and read without conditions" "$output" '^  %0 = load x0\[.*\] : f32$'
done

# Kernels are transformed and an optimiser counts its step where that is wanted first: the workspace stays small.
cat >deep.dl <<'END'
model Deep() {
    let first = Conv2d(3, 128, 3, padding = 1)
    let n = BatchNorm2d(128)
    let more = [Conv2d(128, 128, 3, padding = 1, bias = false) for i in range(8)]
    let last = Linear(128, 10)
    export fn train(x: f32[4, 3, 12, 12], y: i32[4], lr: f32) -> (loss: f32) {
        var h = relu(n(first(x)))
        for c in more { h = relu(c(h)) }
        let loss = cross_entropy(last(global_avg_pool(h)), y)
        minimize loss with adamw(lr)
        return loss
    }
}
END
arena() { "$dlcc" deep.dl --emit=kernel "$@" | sed -nE 's/^  memory arena=([0-9]+).*/\1/p' | head -n 1; }
more=$(arena) less=$(arena --no-winograd)
if [ "$more" -gt "$less" ] && [ "$more" -lt $((less + 6000000)) ]; then ok "one kernel's points at a time"; else
    not_ok "one kernel's points at a time" "$more bytes, $less without"
fi
check_match "checks come first" "$("$dlcc" deep.dl --emit=kernel | grep -E '^  (run|check)' | head -n 1)" check
finish
