#!/usr/bin/env bash
# Compiling is quick: the training step of a Transformer of twelve layers takes less than 3 seconds, the best of some runs
# counting, and hardly more than one of four layers, since equal kernels are generated once.
. "$(dirname "$0")/lib.sh"
cd "$work" || exit 1
cat >deep.dl <<'DL'
dim B <= 8
dim T <= 128

model Deep(d: int = 768, heads: int = 12, layers: int = 12, vocab: int = 5000) {
    let tokens = Embedding(vocab, d)
    let places = Embedding(128, d)
    let body = [TransformerEncoderLayer(d, heads, 4 * d, activation = gelu, norm_first = true) for i in range(layers)]
    let norm = LayerNorm(d)

    export fn train(x: i32[B, T], y: i32[B, T], lr: f32) -> (loss: f32) {
        var h = tokens(x) + places(iota(T))
        for b in body { h = b(h, causal = true) }
        let loss = cross_entropy(norm(h) @ tokens.weight.T, y)
        let g = clip_norm(grad(loss, params(self)), 1.0)
        apply g to params(self) with adamw(lr)
        return loss
    }
}
DL

# best LAYERS: milliseconds, of three runs; of three more where other work on the machine may have been in the way.
best() {
    local least=999999 begin took run
    for run in 1 2 3 4 5 6; do
        [ $run -le 3 ] || [ $least -ge 3000 ] || break
        begin=$(date +%s%N)
        "$dlcc" deep.dl -D layers="$1" -o deep.o || return 1
        took=$((($(date +%s%N) - begin) / 1000000))
        [ $took -ge $least ] || least=$took
    done
    echo $least
}

twelve=$(best 12) four=$(best 4)
[ -n "$twelve" ] && [ "$twelve" -lt 3000 ] && ok "twelve layers compile in less than 3 s ($twelve ms)" ||
    not_ok "twelve layers compile in less than 3 s" "$twelve ms"
[ -n "$four" ] && [ "$twelve" -lt $((2 * four)) ] && ok "three times the layers take less than twice the time" ||
    not_ok "three times the layers take less than twice the time" "$four ms, then $twelve ms"
finish
