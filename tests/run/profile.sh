#!/usr/bin/env bash
# --profile: objects that record what their steps do, and what dlrun makes of it. -g: line tables of the model.
. "$(dirname "$0")/lib.sh"
cd "$work" || exit 1
cat >net.dl <<'END'
dim B <= 64
model Net() {
    let a = Linear(40, 96)
    let o = Linear(96, 5)
    fn run(x: f32[B, 40]) -> f32[B, 5] {
        let h = a(x)
        let r = relu(h)
        return o(r)
    }
    export fn predict(x: f32[B, 40]) -> (y: f32[B, 5]) { run(x) }
    export fn train(x: f32[B, 40], y: i32[B], lr: f32) -> (loss: f32) {
        let loss = cross_entropy(run(x), y)
        minimize loss with adam(lr)
        return loss
    }
    export fn sums(x: f32[300, 8]) -> (y: f32[8]) {
        let h = scan row in x with h = zeros([8]) { h = tanh(h + row) }
        return h
    }
}
END
awk 'BEGIN { for (i = 0; i < 32; i++) { l = ""; for (k = 0; k < 40; k++) l = l (k ? "," : "") sin(40 * i + k); print l } }' >x.csv
seq 0 31 | awk '{ print $1 % 5 }' >y.csv

check "an object that records" "$dlcc" net.dl --profile -o net.so
check "one that does not" "$dlcc" net.dl -o plain.so
kernels() { "$dlcc" net.dl --report -o r.o | awk -v f="$1" '$1 == f { print $4 }'; }

if ! command -v python3 >/dev/null; then
    skip "traces" "there is no python3"
else
    # Of a trace: calls, spans of kernels, what is wrong with it; and the FLOPs of its last call.
    cat >look.py <<'END'
import json, re, sys
events = json.load(open(sys.argv[1]))["traceEvents"]
ends = lambda e: (round(e["ts"] * 1000), round((e["ts"] + e["dur"]) * 1000))
calls = [e for e in events if e.get("cat") == "call"]
steps = [e for e in events if e.get("cat") == "step"]
kernels = [e for e in steps if re.fullmatch(r"k\d+", e["name"])]
wrong = []
for e in steps:
    args, (begin, end) = e["args"], ends(e)
    if not re.fullmatch(r"net\.dl:\d+", args["source"]): wrong.append("place " + args["source"])
    if e["name"] != "check" and args["flops"] <= 0: wrong.append("no FLOPs: " + e["name"])
    if args["bytes"] <= 0: wrong.append("no bytes: " + e["name"])
    if e["dur"] <= 0: wrong.append("no time: " + e["name"])
    inside = [c for c in calls if c["tid"] == e["tid"] and ends(c)[0] <= begin and end <= ends(c)[1] + 1]
    if len(inside) != 1: wrong.append("in %d calls: %s" % (len(inside), e["name"]))
print(len(calls), len(kernels), len(events) - 1, "; ".join(wrong[:5]) or "right")
print(calls[-1]["args"]["flops"], sorted(set(c["name"] for c in calls)))
for e in kernels: print(e["name"], e["args"]["source"], e["args"]["what"])
END
    check "a call's trace" "$dlrun" call net.so predict --in x=x.csv --out y=traced.npy --trace call.json
    said=$(python3 look.py call.json)
    check_match "has a span for each kernel" "$said" "^1 $(kernels predict) $(($(kernels predict) + 1)) right\$"
    check_match "a call is called as its function" "$said" "\['predict'\]"
    "$dlrun" call plain.so predict --in x=x.csv --out y=plain.npy
    check "recording changes no bit" cmp traced.npy plain.npy
    small=$(sed -n '2s/ .*//p' <<<"$said")
    "$dlrun" bench net.so predict --batch 64 --iterations 1 --trace bench.json >/dev/null
    check_match "FLOPs are those of the call's dims" "$(python3 look.py bench.json)" "^$((2 * small)) "

    check "training's trace" "$dlrun" train net.so --function train --x x.csv --y y.csv --scale 1 --batch 16 --epochs 3 \
        --log none --quiet --trace train.json
    said=$(python3 look.py train.json)
    check_match "has all calls" "$said" "^6 $((6 * $(kernels train))) [0-9]+ right\$"
    check_match "a gradient is where its layer is" "$said" '^k[0-9]+ net\.dl:6 .*-> .*a\.weight'
    check_match "and another's where that is" "$said" '^k[0-9]+ net\.dl:8 .*-> .*o\.weight'

    "$dlrun" bench net.so sums --iterations 30 --trace loop.json >/dev/null
    said=$(python3 look.py loop.json)
    check_match "steps of a loop repeat, the latest spans are kept" "$said" ' 4096 '
fi

table=$("$dlrun" bench net.so predict --iterations 20)
check_match "bench shows the steps" "$table" '^ +[0-9.]+ +[0-9.]+ % +[0-9.]+ +[0-9.]+  k[0-9]+ +net\.dl:6 +contract: x a\.weight a\.bias'
check_equal "each once" "$(grep -c net.dl <<<"$table")" "$(kernels predict)"
check_match "as JSON too" "$("$dlrun" bench net.so predict --iterations 20 --json)" '"event":"step",.*"step":"k[0-9]+",.*"source":"net.dl:'
check_absent "of others it shows the time alone" "$("$dlrun" bench plain.so predict --iterations 20)" net.dl

check_status "a model that does not record" 2 "$dlrun" call plain.so predict --in x=x.csv --trace no.json
check_match "is told apart" "$output" 'plain.so was compiled without --profile'
check_status "a folder that is not there" 1 "$dlrun" call net.so predict --in x=x.csv --trace nowhere/t.json
check_match "is named" "$output" 'nowhere/t.json.tmp: cannot be created'
mkdir folder
check_status "a name that is taken" 1 "$dlrun" call net.so predict --in x=x.csv --trace folder
check_match "is named too" "$output" 'folder: the finished file cannot be renamed'
check_absent "nothing is left of these" "$(ls)" '^no.json|^nowhere|tmp$'

# ---- line tables

check "an object with line tables" "$dlcc" net.dl -g -o lines.so -o lines.o
"$dlcc" net.dl -o plain.o
for o in lines plain; do objcopy -O binary -j .text $o.o $o.code; done
check "has the same code" cmp lines.code plain.code
check_absent "others have no tables" "$(objdump -h plain.so plain.o)" debug
cp lines.o first.o && "$dlcc" net.dl -g -o lines.o
check "they are the same each time" cmp lines.o first.o
# lines_of FUNCTION: the lines of the source that its code is of.
lines_of() { objdump -d -l --disassemble="$1" lines.so | grep -oE 'net\.dl:[0-9]+' | sort -u | tr '\n' ' '; }
step_of() { "$dlrun" bench net.so train --iterations 5 | awk -v w="$1" '$0 ~ w { print $6; exit }'; }
backward=$(step_of ' -> .*a\.weight\.adam')
check_match "a gradient's kernel has its layer's line" "$(lines_of "$backward")" 'net\.dl:6 '
check_match "and that of the optimizer" "$(lines_of "$backward")" 'net\.dl:13 '
forward=$(step_of 'x a\.weight a\.bias')
check_match "a layer's kernel has its line" "$(lines_of "$forward")" 'net\.dl:6 '
check_match "a fused activation has its own" "$(lines_of "$forward")" 'net\.dl:7 '
check_match "the function has those of its steps" "$(lines_of run_train)" 'net\.dl:12 net\.dl:13 .*net\.dl:6 .*net\.dl:8 '
if command -v gdb >/dev/null; then
    check_match "a debugger finds the place" "$(gdb -batch -ex "info line $backward" lines.so 2>&1)" 'Line 6 of "net.dl"'
else
    skip "a debugger finds the place" "there is no gdb"
fi
check_match "objects for other systems have them" "$("$dlcc" net.dl -g --target=aarch64-linux-gnu -o arm.o &&
    objdump -h arm.o)" 'debug_line'
finish
