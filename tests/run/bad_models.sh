#!/usr/bin/env bash
# Models that are wrong in ways nobody thought of: status 2 with a diagnostic, promptly, never a crash.
. "$(dirname "$0")/lib.sh"
cd "$work" || exit 1

# refuse WHAT: bad.dl is refused.
refuse() {
    timeout 20 "$dlcc" bad.dl -o bad.o >said 2>&1
    local status=$?
    if [ $status = 2 ] && grep -q 'DL[0-9][0-9][0-9][0-9]' said && [ ! -e bad.o ]; then ok "$1"; else
        not_ok "$1" "status $status: $(head -c 600 said)"
    fi
}

repeat() { head -c "$2" /dev/zero | tr '\0' "$1"; }

: >bad.dl; refuse "an empty file"
echo 'dim B <= 4' >bad.dl; refuse "no model"
printf 'model M() {' >bad.dl; refuse "an end in the middle"
printf 'model M() { \0 }' >bad.dl; refuse "a null byte"
printf '\377\376model' >bad.dl; refuse "bytes that are no UTF-8"
head -c 100000 "$dlcc" >bad.dl; refuse "a program's bytes"
{ printf 'model M() { export fn f(x: f32[3]) -> f32[3] { '; repeat '(' 100000; echo ' } }'; } >bad.dl; refuse "100000 brackets"
{ printf 'model M() { export fn f(x: f32[3]) -> f32[3] { '; repeat - 100000; echo 'x } }'; } >bad.dl
timeout 20 "$dlcc" bad.dl -o bad.o >said 2>&1
status=$?
[[ $status = [02] ]] && ok "100000 signs neither crash nor hang" || not_ok "100000 signs neither crash nor hang" "status $status"
{ printf 'model '; repeat M 1000000; } >bad.dl; refuse "a name of a million letters"
echo 'model M() { export fn f(x: f32[99999999999999999999]) -> f32 { sum(x) } }' >bad.dl; refuse "an extent beyond 64 bits"
echo 'model M() { export fn f(x: f32[4000000000, 4000000000, 4]) -> f32 { sum(x) } }' >bad.dl; refuse "a size beyond 64 bits"
echo 'fn f(n: int) -> int { f(n + 1) } model M(n: int = f(0)) { export fn g(x: f32[3]) -> f32[3] { x } }' >bad.dl
refuse "a recursion without end"

name=$(repeat n 100)
cat >bad.dl <<DL
fn slow(n: int) -> int { if n < 1 { $name } else { slow(n - 1) + slow(n - 2) } }
model M() { export fn f(x: f32[4]) -> f32[4] { x * slow(60) } }
DL
refuse "a mistake met a million times"

echo 'import "{x}"' >bad.dl; refuse "an import of a computed name"
cat >bad.dl <<'DL'
layer Half(n: int) { let parts = [Half(n - 1) for i in range(2)]; param w: f32[2] = ones }
model M() { let half = Half(40); export fn f(x: f32[4]) -> f32[4] { x } }
DL
refuse "layers within layers without end"
{ echo 'model M() { export fn f(x: f32[4]) -> f32[4] {'; seq 10000 | sed 's/.*/let a& = q&/'; echo 'x } }'; } >bad.dl
refuse "10000 unknown names"

# What is large, but right.
compiles() {
    timeout 60 "$dlcc" good.dl -o good.o >said 2>&1 && ok "$1" || not_ok "$1" "status $?: $(head -c 600 said)"
}
for step in 'sin(y)' 'y + 0.5 * shift(y, 1, 0)' 'reverse(shift(y, 1, 0), 0)' 'y + f32(iota(8)) * y[0]' 'softmax(y)'; do
    echo "model M() { export fn f(x: f32[8]) -> f32[8] { var y = x; for i in range(5000) { y = $step }; y } }" >good.dl
    compiles "5000 times y = $step"
done

# All mistakes in one run, each at its place.
cat >bad.dl <<'DL'
model M(hidden: int = 4) {
    let fc = Linear(8, hidden)
    export fn first(x: f32[2, 8]) -> f32[2, 4] { fc(y) }
    export fn second(x: f32[2, 9]) -> f32[2, 4] { fc(x) }
    export fn third(x: f32[2, 8]) -> f32[2, 4] { rellu(fc(x)) }
}
DL
refuse "three mistakes"
for line in 3 4 5; do check_match "the mistake in line $line is told" "$(cat said)" "bad\.dl:$line:"; done
check_equal "and no others" "$(grep -cE '^(bad\.dl:.*)?error' said)" 3
check_match "a name close by is offered" "$(cat said)" 'relu'
finish
