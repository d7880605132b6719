#!/usr/bin/env bash
# The gradients of the example, in full and of a size at which finite differences take little time, and of a model
# with indices, a dim with a lower bound and random numbers; what is said where native code cannot be checked.
. "$(dirname "$0")/lib.sh"
cd "$work" || exit 1
small="-D hidden1=8 -D hidden2=6"
check_status "gradcheck of the digit classifier" 0 "$dlcc" gradcheck "$digits"
check_match "differences: names the parameters" "$output" 'ok +fc1\.weight +[0-9]+ differences'
check_match "native code: takes every element" "$output" 'ok +fc2\.weight +524288 elements'
check_match "for several batch sizes" "$output" 'native.*B = 3; B = 1; B = [0-9]+; B = [0-9]+$'
check_match "nothing is wrong" "$output" '^[0-9]+ differences, [0-9]+ native elements, 0 wrong$'
for level in 0 1 3; do check "at -O$level" "$dlcc" gradcheck "$digits" $small -O$level; done
if [ "$(uname -m)" = x86_64 ]; then
    check "for every x86-64" "$dlcc" gradcheck "$digits" $small --cpu=x86-64
fi

# Few features and many images: the batch lies innermost, and kernels' gradients run lanes along it.
cat >images.dl <<'END'
dim B <= 64
model Images() {
    let c1 = Conv2d(2, 5, 3, padding = 1, stride = 2)
    let bn = BatchNorm2d(5)
    let c2 = Conv2d(5, 4, [2, 3], padding = [1, 0], dilation = 2)
    let c3 = ConvTranspose2d(4, 3, 3, stride = 2, padding = 1)
    let c4 = Conv2d(3, 6, 3, groups = 3)
    let f1 = Linear(6, 4)
    fn logits(x: f32[B, 2, 17, 13]) -> f32[B, 4] {
        let h = relu(c4(relu(c3(relu(c2(relu(bn(c1(x)))))))))
        return f1(mean(h, axis = [2, 3]))
    }
    export fn predict(x: f32[B, 2, 17, 13]) -> (y: f32[B, 4]) { logits(x) }
    export fn train(x: f32[B, 2, 17, 13], y: i32[B], lr: f32) -> (loss: f32) {
        let loss = cross_entropy(logits(x), y)
        minimize loss with sgd(lr)
        return loss
    }
}
END
check_status "few features" 0 "$dlcc" images.dl --dump-after=image_order
check_match "the batch comes last" "$output" '= convolution .*input = \[3, 0, 1, 2\]'
check "and its gradients are right" "$dlcc" gradcheck images.dl
if [ "$(uname -m)" = x86_64 ]; then
    check_status "its kernels" 0 "$dlcc" images.dl --cpu=x86-64-v4 --emit=kernel
    check_match "lanes run along the terms" "$output" 'schedule vector=n lanes=16 .* mr=6 nv=4 .*rows_a=1'
    check "on narrow processors too" "$dlcc" gradcheck images.dl --cpu=x86-64-v3
fi

# Few images: features come last; the two of the input get their borders first.
sed 's/B <= 64/B <= 8/' images.dl >few.dl
check_status "few images" 0 "$dlcc" few.dl --dump-after=image_order
check_match "features come last" "$output" '= convolution .*input = \[0, 3, 1, 2\]'
check_match "borders are added before" "$output" '= pad .*low = \[0, 1, 1, 0\]'
check "and the gradients are right" "$dlcc" gradcheck few.dl

cat >words.dl <<'END'
dim B <= 64
dim 2 <= T <= 9
model Words() {
    param table: f32[37, 5] = normal(0.5)
    let out = Linear(5, 4)
    export fn train(words: i32[B, T], y: i32[B], lr: f32) -> (loss: f32) {
        let e = dropout(sum(gather(table, words, axis = 0), axis = 1), 0.3)
        let loss = cross_entropy(out(tanh(e)), y)
        minimize loss with sgd(lr, momentum = 0.9)
        return loss
    }
}
END
check_status "indices, dims with lower bounds, random numbers" 0 "$dlcc" gradcheck words.dl --json
check_match "as JSON" "$output" \
    '^\{"function": "train", "tensor": "table", "elements": 740, "wrong": 0, "worst": [0-9.e-]+\}$'
check_equal "and nothing else" "$(grep -vcE '^\{.*\}$' <<<"$output")" 0

# Two losses, and a gradient stopped between them: each parameter has one of its own; what stops is held still.
cat >two.dl <<'END'
dim B <= 8
model Two(d: int = 5) {
    let body = Linear(d, 4)
    let a = Linear(4, 1)
    let b = Linear(4, 2)
    export fn train(x: f32[B, d], u: f32[B, 1], v: f32[B, 2], lr: f32) -> (la: f32, lb: f32) {
        let h = tanh(body(x))
        let la = mse_loss(a(h), u)
        let lb = mse_loss(b(stop_gradient(h)), v)
        minimize la over [body, a] with sgd(lr)
        minimize lb over b with adam(lr)
        return la, lb
    }
}
END
check_status "two losses and a stopped gradient" 0 "$dlcc" gradcheck two.dl
check_absent "every parameter has a gradient" "$output" ' [ab]\.(weight|bias) .* worst 0 of'

# A function that writes parameters and has no loss does not hide the losses of others.
cat >other.dl <<'END'
dim B <= 4
model Other() {
    let a = Linear(2, 5)
    export fn measure(p: f32[B, 2]) -> (loss: f32) { mean(a(p) ^ 2) }
    export fn step(p: f32[B, 2], lr: f32) -> (slope: f32[5, 2]) {
        let g = grad(mean(a(p) ^ 2), a.weight)
        a.weight <- a.weight - lr * g
        return g
    }
}
END
check_status "a function that writes and has no loss" 0 "$dlcc" gradcheck other.dl
check_match "leaves the other's loss" "$output" '^measure:'

# Sizes that only run time knows: whole factors of resampling, parts of equal size.
cat >sizes.dl <<'END'
dim H <= 12
dim W <= 3
model Sizes() {
    let up = [Upsample(scale_factor = k, mode = "bilinear") for k in [2, 3]]
    export fn f(x: f32[2, 3, H, 4 * W]) -> (loss: f32) {
        let y = up[1](up[0](x))
        return mean(y ^ 2) + mean(interpolate(x, scale_factor = 2, mode = "bicubic") ^ 3) +
            mean(adaptive_avg_pool(x, [1, 4]) ^ 2) + mean(adaptive_max_pool(x, [none, 4]) ^ 2)
    }
}
END
check_status "sizes known at run time only" 0 "$dlcc" gradcheck sizes.dl

# Half-wide types between f32 parameters and an f32 loss; with and without instructions that convert them.
cat >half.dl <<'END'
dim B <= 40
model Half(d: int = 19) {
    param w: f32[d, 11] = normal(0.1)
    param g: f32[11] = ones
    export fn train(x: f16[B, d], y: f32[B, 11], lr: f32) -> (loss: f32) {
        let h = cast(x, bf16) @ cast(w, bf16)
        let s = softmax(tanh(cast(h, f16)) * cast(g, f16))
        let loss = mse_loss(cast(s, f32), y)
        minimize loss with sgd(lr)
        return loss
    }
}
END
check "f16 and bf16" "$dlcc" gradcheck half.dl
if [ "$(uname -m)" = x86_64 ]; then
    for cpu in x86-64 x86-64-v2; do check "f16 and bf16 for $cpu" "$dlcc" gradcheck half.dl --cpu=$cpu; done
    check_status "need no routine beside libc's" 0 "$dlcc" half.dl --cpu=x86-64 -o half.o
    check_equal "and the runtime's" "$(nm -u half.o | grep -v dlrt_)" ""
fi

check_status "for another system: differences alone" 0 "$dlcc" gradcheck words.dl --target=aarch64-linux-gnu
if [ "$(uname -m)" = x86_64 ]; then check_match "and says so" "$output" 'native gradients are not checked'; fi
check_status "without a linker: the environment's fault" 1 "$dlcc" gradcheck words.dl --cc=no-such-compiler
check_status "a model that does not train: a mistake" 2 "$dlcc" gradcheck "$top/bench/matmul.dl"

# The library's layers and optimizers in every float type.
cat >narrow.dl <<'DL'
dim B <= 3
dim T <= 6

model Narrow() {
    let table = Embedding(20, 8)
    let body = TransformerEncoderLayer(8, 2, 16, activation = gelu, norm_first = true)
    let conv = Conv1d(8, 8, 3, padding = 1)
    let norm = BatchNorm1d(8)
    let rnn = LSTM(8, 8)
    let head = Linear(8, 5)

    export fn train(x: i32[B, T], y: i32[B, T], lr: f32) -> (loss: num) {
        let h = relu(norm(conv(transpose(body(table(x), causal = true), [0, 2, 1]))))
        let states = rnn(transpose(h, [0, 2, 1]))
        let loss = cross_entropy(head(states[0]), y)
        minimize loss with adamw(lr)
        return loss
    }
}
DL
for type in f64 f16 bf16; do
    check_status "layers and an optimizer in $type" 0 "$dlcc" gradcheck narrow.dl --num=$type --samples=4
    check_match "nothing is wrong in $type" "$output" ' 0 wrong'
    check "the header has the type's width" "$dlcc" narrow.dl --num=$type -o narrow.h
done
check_match "bf16 are 16 bits in C" "$(cat narrow.h)" 'uint16_t \*loss'
finish
