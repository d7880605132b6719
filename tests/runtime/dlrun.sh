#!/bin/sh
# dlrun.sh DLRUN MODEL.so - dlrun end to end on the model written by hand: every command, JSON, interrupts, resuming,
# and what the user is told about his mistakes. Needs a POSIX shell, awk and gzip.
set -eu
dlrun=$1 model=$2 failed=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

fail() { echo "FAILED: $*" >&2; failed=1; }
same() { cmp -s "$1" "$2" || fail "$1 and $2 differ"; }
# refuses CODE TEXT command...: the exit code and a part of the message on standard error
refuses() {
    code=$1 text=$2; shift 2
    got=0; "$@" >out 2>err || got=$?
    [ $got = "$code" ] || fail "code $got instead of $code: $* ($(cat err))"
    grep -qF -- "$text" err || fail "'$text' is not in the message of $*: $(cat err)"
}
last() { tail -n 1 "$1" | grep -qF -- "$2" || fail "'$2' is not in the last line of $1: $(tail -n 1 "$1")"; }

# Data: three clusters of four bytes; 500 samples to train, 90 to test. IDX in MNIST's layout, CSV, and labels.
byte() { printf "\\$(printf %03o "$1")"; }
numbers() { # COUNT SEED -> lines of label and four bytes
    awk -v n="$1" -v s="$2" 'BEGIN { for (i = 0; i < n; i++) { y = i % 3; printf "%d", y;
        for (k = 0; k < 4; k++) { s = (s * 1103515245 + 12345) % 2147483648; printf " %d", int(s / 65536) % 100 + 150 * (k == y) } print "" } }'
}
idx() { # PREFIX COUNT
    { printf '\0\0\010\003\0\0'; byte $(($2 / 256)); byte $(($2 % 256)); printf '\0\0\0\002\0\0\0\002'
      awk '{ for (k = 2; k <= 5; k++) printf "%s ", $k }' "$1.txt" | tr ' ' '\n' | while read -r v; do byte "$v"; done; } >"$1.images"
    { printf '\0\0\010\001\0\0'; byte $(($2 / 256)); byte $(($2 % 256)); awk '{ print $1 }' "$1.txt" | while read -r v; do byte "$v"; done; } >"$1.labels"
}
numbers 500 1 >train.txt; numbers 90 77 >t10k.txt
idx train 500; idx t10k 90
mkdir data packed
for set in train t10k; do
    cp $set.images data/$set-images-idx3-ubyte; cp $set.labels data/$set-labels-idx1-ubyte
    gzip -c $set.images >packed/$set-images.idx3-ubyte.gz; gzip -c $set.labels >packed/$set-labels.idx1-ubyte.gz
    awk 'BEGIN { print "a,b,c,d" } { printf "%.9g,%.9g,%.9g,%.9g\n", $2, $3, $4, $5 }' $set.txt >$set-x.csv
    awk '{ print $1 }' $set.txt >$set-y.csv
done

# info
"$dlrun" info "$model" >info
grep -q 'train  (trains)' info || fail "info does not say what trains"
"$dlrun" info "$model" --json | grep -q '"name":"fc.weight","kind":"param"' || fail "info --json"

# train: table, JSON, log; the same weights from every form of the data, any number of threads
"$dlrun" train "$model" --data data --epochs 3 --batch 32 --lr 0.5 --seed 7 --save a.safetensors >table 2>err
grep -q 'epoch 3/3' table || fail "no line of epoch 3"
[ -s fake.jsonl ] || fail "no log"
"$dlrun" train "$model" --data packed --epochs 3 --batch 32 --lr 0.5 --seed 7 --save b.safetensors --threads 3 --json --log none >json
same a.safetensors b.safetensors
last json '"event":"end"'; last json '"steps":48'; last json '"loss":'; last json '"test_accuracy":'; last json '"seconds":'
grep -vq '^{.*}$' json && fail "--json wrote something else"
"$dlrun" train "$model" --x train-x.csv --y train-y.csv --test-x t10k-x.csv --test-y t10k-y.csv --scale 0.003921568627450980392 \
    --epochs 3 --batch 32 --lr 0.5 --seed 7 --json --log none >csv
last csv '"test_accuracy":1'

# eval, with weights and with a checkpoint
"$dlrun" eval "$model" --data data --load a.safetensors --json >eval
last eval '"test_accuracy":1'
"$dlrun" eval "$model" --data data >eval
grep -q 'loss' eval || fail "eval gives no loss"

# stopped in the middle of an epoch and resumed: the same bytes; an interrupt does the same
"$dlrun" train "$model" --data data --epochs 3 --batch 32 --lr 0.5 --seed 7 --max-steps 20 --checkpoint c.safetensors --json --log l >stop 2>err
"$dlrun" train "$model" --data data --epochs 3 --resume c.safetensors --save d.safetensors --json --log l >resumed
same a.safetensors d.safetensors
tail -n 1 json | sed 's/"seconds.*//; s/"training_seconds.*//' >x; tail -n 1 resumed | sed 's/"seconds.*//' >y; same x y
"$dlrun" train "$model" --data data --epochs 1000000 --batch 32 --lr 0.5 --seed 7 --checkpoint i.safetensors --json --log none >stop 2>err &
pid=$!
sleep 1; kill -INT $pid; got=0; wait $pid || got=$?
[ $got = 130 ] || fail "an interrupt gave code $got"
last stop '"interrupted":true'
grep -q 'go on with --resume i.safetensors' err || fail "no word on how to go on"
steps=$(sed -n '$s/.*"steps":\([0-9]*\).*/\1/p' stop)
"$dlrun" train "$model" --data data --epochs 1000000 --resume i.safetensors --max-steps $((steps + 10)) --save e.safetensors --json --log none >out 2>err
"$dlrun" train "$model" --data data --epochs 1000000 --batch 32 --lr 0.5 --seed 7 --max-steps $((steps + 10)) --save f.safetensors --json --log none >out 2>err
same e.safetensors f.safetensors
"$dlrun" train "$model" --data data --epochs 1000000 --log none --quiet >out 2>err &
pid=$!
sleep 0.5; kill -TERM $pid; got=0; wait $pid || got=$?
[ $got = 130 ] && grep -q 'nothing is saved' err || fail "an interrupt without files: $got, $(cat err)"
# killed outright: the last checkpoint is whole
"$dlrun" train "$model" --data data --epochs 1000000 --batch 32 --lr 0.5 --seed 7 --checkpoint k.safetensors --checkpoint-every 1 --json --log none >out 2>err &
pid=$!
sleep 0.5; kill -KILL $pid; wait $pid 2>/dev/null || true
"$dlrun" train "$model" --data data --epochs 1000000 --resume k.safetensors --max-steps 1 --log none >out 2>err || fail "a killed training does not resume: $(cat err)"

# call and bench
printf '0.9,0.1,0.1,0.1\n0.1,0.1,0.9,0.1\n' >in.csv
"$dlrun" call "$model" predict --in x=in.csv --load a.safetensors --json >out
last out '"label":[0,2]'
"$dlrun" call "$model" predict --in x=in.csv --load a.safetensors --out prob=p.npy >out
"$dlrun" call "$model" remember --in x=in.csv >out 2>err && fail "a wrong rank went through"
"$dlrun" call "$model" noise --dim B=3 --json >out; last out '"z":['
"$dlrun" call "$model" need --in x=1.5 >out
refuses 2 'the requirement x > 0' "$dlrun" call "$model" need --in x=-1
"$dlrun" bench "$model" predict --batch 4 --iterations 5 --json >out; last out '"median_seconds":'

# mistakes
refuses 2 "there is no command 'trian'" "$dlrun" trian "$model"
refuses 2 'there is no option --epoch;' "$dlrun" train "$model" --epoch 3
refuses 2 '--epochs takes a whole number' "$dlrun" train "$model" --epochs many
refuses 2 '--batch needs N' "$dlrun" train "$model" --batch
refuses 2 'nowhere.so' "$dlrun" train nowhere.so --data data
refuses 2 'there is no training data' "$dlrun" train "$model"
refuses 2 'no such file' "$dlrun" train "$model" --data .
refuses 2 'takes at most 64 samples' "$dlrun" train "$model" --data data --batch 65
refuses 2 'has no function fit; it has predict train' "$dlrun" train "$model" --data data --function fit
refuses 2 'has no argument z; it has x y lr' "$dlrun" train "$model" --data data --data-arg z
refuses 2 'No such file' "$dlrun" eval "$model" --data data --load nowhere.safetensors
refuses 2 'was written with seed 7' "$dlrun" train "$model" --data data --resume c.safetensors --seed 8
refuses 1 'cannot be created' "$dlrun" train "$model" --data data --epochs 1 --log none --save /nowhere/w
head -c 1000 data/train-images-idx3-ubyte >short; head -c 400 packed/train-images.idx3-ubyte.gz >short.gz
refuses 2 'short: offset 16: the header declares 2000 bytes of data, the file has 984' "$dlrun" train "$model" --x short --y data/train-labels-idx1-ubyte
refuses 2 '(decompressed): cannot be read: unexpected end of file' "$dlrun" train "$model" --x short.gz --y data/train-labels-idx1-ubyte
if [ -c /dev/full ]; then
    refuses 1 'the log could not be written' "$dlrun" train "$model" --data data --epochs 1 --log /dev/full --quiet
    got=0; "$dlrun" train "$model" --data data --epochs 1 --log none --json >/dev/full 2>err || got=$?
    [ $got = 1 ] && grep -q 'standard output cannot be written' err || fail "code $got where no line of JSON went out"
fi
got=0; (ulimit -f 0; "$dlrun" train "$model" --data data --epochs 1 --log none --quiet --save grown 2>/dev/null) || got=$?
[ $got = 1 ] && [ ! -e grown ] || fail "code $got where files may not grow"
refuses 2 '500 samples' "$dlrun" train "$model" --x data/train-images-idx3-ubyte --y data/t10k-labels-idx1-ubyte
awk '{ print ($1 == 2 ? 3 : $1) }' train.txt >high.csv
refuses 2 'is 3, allowed are 0..2' "$dlrun" train "$model" --x train-x.csv --y high.csv --log none
awk 'NR == 318 { $1 = 3 } { print $1 }' train.txt >one_high.csv
refuses 2 'is 3, allowed are 0..2; that is sample 317 of the data' "$dlrun" train "$model" --x train-x.csv --y one_high.csv --log none
awk '{ print $1 + 0.5 }' train.txt >half.csv
refuses 2 'no whole number' "$dlrun" train "$model" --x train-x.csv --y half.csv --log none
printf '1,2,3\n4,5\n' >ragged.csv
refuses 2 'ragged.csv: offset 9: line 2 has 2 numbers, the lines before have 3' "$dlrun" train "$model" --x ragged.csv --y train-y.csv
printf '1,2,3\n4,5,6\n' >three.csv; printf '0\n1\n' >three-y.csv
refuses 2 'takes samples of shape [4], the data has samples of shape [3]' "$dlrun" train "$model" --log none --x three.csv --y three-y.csv
exit $failed
