#!/usr/bin/env bash
# dlcc --tune and --tuned: what is timed and written, that the file is used and changes no bit, what is refused. While
# --tune runs, it compares the bits of all schedules that it tries, and ends with status 70 if two differ.
. "$(dirname "$0")/lib.sh"
cd "$work" || exit 1

# seconds COMMAND...: runs it as check_status does, and leaves its whole seconds in $took.
seconds() {
    local begin=$SECONDS
    check_status "$@"
    took=$((SECONDS - begin))
}

cat >small.dl <<'DL'
dim B <= 16
model Small() {
    let conv = Conv2d(8, 24, 3, padding = 1)
    let norm = BatchNorm2d(24)
    let head = Linear(24 * 8 * 8, 40)
    fn logits(x: f32[B, 8, 16, 16]) -> f32[B, 40] {
        let h = max_pool(relu(norm(conv(x))), 2)
        return head(reshape(h, [B, 24 * 8 * 8]))
    }
    export fn predict(x: f32[B, 8, 16, 16]) -> (y: f32[B, 40]) { logits(x) }
    export fn train(x: f32[B, 8, 16, 16], y: i32[B], lr: f32) -> (loss: f32) {
        let loss = cross_entropy(logits(x), y)
        minimize loss with adam(lr)
        return loss
    }
}
DL
mkdir objects
seconds "a small model is tuned: all bits agree" 0 env TMPDIR="$work/objects" "$dlcc" small.dl --tune=small.tune --tune-seconds=4
[ $took -le 7 ] && ok "in about the stated time" || not_ok "in about the stated time" "$took s, stated are 4"
check_match "the end says what was done" "$output" '^dlcc: small\.tune: [0-9]+ of [0-9]+ kernels timed, [1-9][0-9]* searched in [0-9.]+ s; '
check_equal "the file has its form" "$(head -n 1 small.tune)" 'dlcc tuning 1'
check_match "and the processor" "$(sed -n 2p small.tune)" '^processor [a-z0-9_-]+ [a-z0-9_-]+$'
check_match "a kernel with its times, and its axes for people" "$(cat small.tune)" \
    '^kernel [0-9a-f]{16}( [a-z_]+=[0-9.]+)* predicted=[0-9.]+ model=[0-9.]+ measured=[0-9.]+ # (m|batch) '
check_match "loops are timed as well" "$(cat small.tune)" '^kernel [0-9a-f]{16} predicted=[0-9.]+ measured=[0-9.]+ # outer '
check_equal "no object is left behind" "$(ls objects)" ""

# Sums that are added up run by run, an epilogue, in one kernel, all of whose schedules are tried.
cat >long.dl <<'DL'
dim B <= 24
model Long() {
    let fc = Linear(2100, 72)
    export fn predict(x: f32[B, 2100]) -> (y: f32[B, 72]) { tanh(fc(x)) }
}
DL
check_status "long sums: all bits agree" 0 "$dlcc" long.dl --tune=long.tune --tune-seconds=10
check_match "the kernel is searched" "$output" ' 1 of 1 kernels timed, [1-9] searched '

# Used, and the same every time.
check_status "--report by the file" 0 "$dlcc" small.dl --tuned=small.tune --report -o one.o -MD
check_match "shows both times of a kernel" "$output" '; predicted [0-9.]+ [um]s, measured [0-9.]+ [um]s'
check_match "the file is among those read" "$(cat one.d)" 'small\.tune'
check "a second compilation" "$dlcc" small.dl --tuned=small.tune -o two.o
check "gives the same bytes" cmp one.o two.o
check_status "known kernels are not timed again" 0 "$dlcc" small.dl --tuned=small.tune --tune=more.tune --tune-seconds=1
check_equal "and stay" "$(grep -cFf <(cut -d ' ' -f 1,2 small.tune) more.tune)" "$(grep -c . small.tune)"

# The first kernel alone where there is no time.
seconds "no time at all" 0 "$dlcc" "$digits" --tune=none.tune --tune-seconds=0
[ $took -le 2 ] && ok "one measurement is made" || not_ok "one measurement is made" "$took s"
check_equal "and written" "$(grep -c '^kernel' none.tune)" 1

# Other schedules for all matrix products of the digits: other code, the same weights after some steps of training.
seconds "the digits are timed" 0 "$dlcc" "$digits" --tune=digits.tune --tune-seconds=2
lanes=$("$dlcc" "$digits" --emit=kernel | grep -oE 'lanes=[0-9]+ .* mr=' | grep -oE '^lanes=[0-9]+' | head -n 1)
forced="mr=3 nv=2 mc=48 nc=$((2 * ${lanes#lanes=})) pack_a=1 pack_b=1 m_axes=1 n_axes=1"
sed -nE -e "s/^(processor|dlcc) .*/&/p" -e "s/^(kernel [0-9a-f]{16}).* # m .*/\1 $forced/p" digits.tune >forced.tune
check_status "a tuning of one's own" 0 "$dlcc" "$digits" --tuned=forced.tune --report -o forced.so
check_match "is what the report shows" "$output" 'contract m .* tile 3 rows x 2 vectors, blocks m 48 n [0-9]+ k 0, packs a, packs b'
check "untuned" "$dlcc" "$digits" -o plain.so
"$dlcc" "$digits" -o plain.o && "$dlcc" "$digits" --tuned=forced.tune -o forced.o
cmp -s plain.o forced.o && not_ok "it is other code" || ok "it is other code"
folder=$(drawn_digits) || { not_ok "drawing digits"; finish; }
for name in plain forced; do
    check "$name: trains" "$dlrun" train $name.so --data "$folder" --max-steps 12 --log none --save $name.safetensors
done
check "tuned and untuned train to the same weights" cmp plain.safetensors forced.safetensors

# The width of a parameter's panels, likewise.
cat >wide.dl <<'DL'
model Wide() {
    let fc = Linear(96, 192)
    export fn predict(x: f32[16, 96]) -> (y: f32[16, 192]) { fc(x) }
}
DL
awk 'BEGIN { for (i = 0; i < 16; i++) { line = ""; for (k = 0; k < 96; k++) line = line (k ? "," : "") sin(96 * i + k)
    print line } }' >x.csv
"$dlcc" wide.dl -o wide.so && "$dlrun" call wide.so predict --in x=x.csv --json >wide.json
for width in 0 32 64; do
    (sed -n 1,2p digits.tune; echo "panel f32[192,96] order=1,0 rows=16 split=$width") >panel.tune
    check_status "panels of $width" 0 "$dlcc" wide.dl --tuned=panel.tune --dump-after=layout -o panel.so
    check_match "are what the layout pass chooses" "$output" "^param @fc.weight .* order \\[1, 0\\]$([ $width = 0 ] || echo " split $width")\$"
    "$dlrun" call panel.so predict --in x=x.csv --json >panel.json
    check "and give the same numbers" cmp wide.json panel.json
done

# What does not hold is left out, or said.
(cat forced.tune; echo "kernel 0000000000000000 mr=77 something=1") >unknown.tune
check_status "kernels that the model has not" 0 "$dlcc" "$digits" --tuned=unknown.tune -o unknown.o
check_equal "are passed over" "$output" ""
check "without a trace" cmp forced.o unknown.o
sed 's/^processor .*/processor x86-64-v4 other/' forced.tune >other.tune
check_status "a file of another processor" 0 "$dlcc" "$digits" --tuned=other.tune -o other.o
check_match "is warned of" "$output" '^warning\[DL0802\]'
check "and left out" cmp plain.o other.o
for change in s/mr=3/mr=999999/ s/nv=2/nv=0/ s/nc=/nc=1/ s/mc=48/mc=49/ s/m_axes=1/m_axes=9/ s/pack_b=1/kc=7/ \
    s/mc=48/mc=1099511627775/ s/nv=2/nv=2000000000/ s/pack_a=1/rows_a=1/ 's/pack_a=1/skip_a=1 skip_b=1/' s/mr=3/skinny_nv=999/; do
    sed "/^kernel/$change" forced.tune >changed.tune
    "$dlcc" "$digits" --tuned=changed.tune -o changed.o >said 2>&1
    status=$?
    [ $status = 2 ] && grep -q '^error\[DL0803\]' said || [ $status = 0 ] && ok "changed by $change: status $status" ||
        not_ok "changed by $change: status $status" "$(tail -n 5 said)"
done
head -c 90 forced.tune >half.tune
check_status "half a file" 2 "$dlcc" "$digits" --tuned=half.tune -o half.o
check_match "is malformed" "$output" 'error\[DL0801\]'
check_status "no file" 1 "$dlcc" "$digits" --tuned=nowhere.tune -o half.o
check_status "a tuning does not overwrite an output" 2 "$dlcc" "$digits" --tune=x.so -o x.so
check_status "nor the source" 2 "$dlcc" small.dl --tune=./small.dl
check_status "for nothing but single passes" 2 "$dlcc" small.dl --run=fuse --tune=x.tune
check_status "a mistake in the model" 2 "$dlcc" <(echo 'model M() { export fn f(x: f32[3]) -> f32[3] { y } }') --tune=x.tune
check_equal "is said once" "$(grep -c '^error' <<<"$output")" 1
check_status "without a linker: the environment's fault" 1 "$dlcc" small.dl --cc=no-such-compiler --tune=x.tune
if [ "$(uname -m)" = x86_64 ]; then
    check_status "for another system" 2 "$dlcc" small.dl --target=aarch64-linux-gnu --tune=x.tune
    check_match "it cannot be timed" "$output" '^error\[DL0804\]: --tune: code for aarch64 does not run on this machine'
fi
[ -e x.tune ] && not_ok "nothing was written" || ok "nothing was written"

# From the text of kernels, whose schedules are made anew.
"$dlcc" small.dl --emit=kernel >small.kernel
check_status "kernel IR is tuned too" 0 "$dlcc" small.kernel --tune=kernel.tune --tune-seconds=0
finish
