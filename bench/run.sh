#!/usr/bin/env bash
# Measures compiled models beside what one would use instead, and beside what the processor could do at best.
# Usage: bench/run.sh [--only PATTERN] [--threads N] [--json FILE] [--rounds N] [--seconds N] [--install]
#
# The cases are the rows of bench/cases; PATTERN is a shell pattern or a part of their names or of their groups'.
# Everything in a case runs interleaved, ours, ceiling, peers, ours, ... and medians over the rounds are quoted, so that
# the ratio holds even where the clock wanders; rounds end early, but not before the third, after --seconds (10) in a
# case. `ratio` is our time over the better peer's: below 1 is faster. A peer that is not installed is said to be absent
# and skipped; --install installs those that are missing first. --json writes one object a case (see report.awk).
set -u
top=$(cd "$(dirname "$0")/.." && pwd)
build=${DLCC_BUILD:-$top/build}
export DLCC_ORT=${DLCC_ORT:-$build/ort} # where onnxruntime-node is
only='*' threads=1 json=/dev/null rounds=15 seconds=10 install=0
while [ $# -gt 0 ]; do
    case $1 in
        --install) install=1; shift; continue ;;
        --only) only=${2:?} ;;
        --threads) threads=${2:?} ;;
        --json) json=${2:?} ;;
        --rounds) rounds=${2:?} ;;
        --seconds) seconds=${2:?} ;;
        *) sed -n '3p' "$0" | cut -c3- >&2; exit 2 ;;
    esac
    shift 2 || exit 2
done
: >"$json" || exit 1

install_peers() {
    bash "$top/tests/setup.sh" peers || return 1
    [ -d "$DLCC_ORT/node_modules/onnxruntime-node" ] && return
    mkdir -p "$DLCC_ORT" && npm install --prefix "$DLCC_ORT" --ignore-scripts --no-fund --no-audit onnxruntime-node
}
[ $install = 0 ] || install_peers || exit 1

exec 9>"${TMPDIR:-/tmp}/dlcc-bench.lock"
flock -n 9 || { echo "Waiting for another bench/run.sh to end." >&2; flock 9; }
work=$(mktemp -d)
trap '' PIPE # a contestant that dies is noticed when it is read
trap 'kill $(jobs -p) 2>/dev/null; kill -CONT $(jobs -p) 2>/dev/null; rm -rf "$work"' EXIT

# ------------------------------------------------------------- programs

# Peers at their best: OpenBLAS 0.3.21 does not know recent processors and would take its AVX2 kernels; one thread
# pool, not two; no helpers beyond the threads asked for.
export OMP_NUM_THREADS=$threads OPENBLAS_NUM_THREADS=$threads PYTHONDONTWRITEBYTECODE=1
grep -qw avx512f /proc/cpuinfo 2>/dev/null && export OPENBLAS_CORETYPE=SKYLAKEX
for folder in /usr/lib/*/openblas-openmp; do
    [ -d "$folder" ] && export LD_LIBRARY_PATH=$folder${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
done

build_programs() {
    local flags="-std=gnu17 -O3 -march=native -I$top/bench"
    bash "$top/tests/install.sh" "$build/release" &&
        cc $flags "$top/bench/peak.c" -lpthread -o "$work/peak" &&
        cc $flags "$top/bench/peers/openblas.c" -ldl -o "$work/openblas" &&
        cc $flags -I"$prefix/include" "$top/bench/ours.c" -L"$prefix/lib" -ldlrt -lm -lpthread -ldl -o "$work/ours" ||
        return 1
    cc $flags "$top/bench/peers/onednn.c" -ldnnl -o "$work/onednn" 2>/dev/null ||
        printf '#!/bin/sh\necho absent oneDNN 2 is not there: apt-get install libdnnl-dev\n' >"$work/onednn"
    chmod +x "$work/onednn"
}

# peer_command NAME: how a peer is started for the case at hand. A new peer is one line here.
peer_command() {
    case $1 in
        openblas | onednn) echo "$work/$1 ${function%+} ${model#*,}" ;;
        torch) echo "/usr/bin/python3 $top/bench/peers/torch_peer.py $case $threads" ;;
        ort) export_onnx && echo "node $top/bench/peers/ort_peer.js $work/net.onnx $threads" ;;
        *) echo "echo absent there is no peer $1" ;;
    esac
}

export_onnx() {
    rm -f "$work"/net.onnx*
    /usr/bin/python3 "$top/bench/peers/torch_peer.py" --export "$case" "$work/net.onnx" >"$work/export.log" 2>&1
    [ -f "$work/net.onnx.json" ] || { echo "echo absent ONNX Runtime needs PyTorch to write its networks"; return 1; }
}

# ------------------------------------------------------------- contestants

declare -A said # why peers are absent, each once

# start SLOT COMMAND...: starts a contestant (see contestant.h) and sets name[SLOT], empty if it is absent.
start() {
    local slot=$1 word rest
    shift
    mkfifo "$work/$slot.in" "$work/$slot.out"
    "$@" <"$work/$slot.in" >"$work/$slot.out" 2>"$work/$slot.err" 9>&- &
    pid[slot]=$!
    exec {to[slot]}>"$work/$slot.in" {from[slot]}<"$work/$slot.out"
    rm -f "$work/$slot.in" "$work/$slot.out"
    name[slot]=
    : >"$work/$slot.ns"
    read -r -u "${from[slot]}" word rest || { word=absent rest=$(tail -n 1 "$work/$slot.err"); }
    if [ "$word" = ready ]; then
        kill -STOP "${pid[slot]}"
        empty[slot]=${rest%% *} name[slot]=${rest#* }
    elif [ -z "${said[${rest:=$*}]:-}" ]; then
        echo "$case: absent: $rest"
        said[$rest]=1
    fi
}

# One block of a contestant, its nanoseconds a call added to its list. It is stopped between its blocks: threads of
# peers would spin on for some milliseconds and take the processor from the others.
block() {
    local ns
    kill -CONT "${pid[$1]}" 2>/dev/null
    echo 2>/dev/null >&"${to[$1]}"
    if read -r -u "${from[$1]}" ns; then echo "$ns" >>"$work/$1.ns"; else name[$1]=; fi
    kill -STOP "${pid[$1]}" 2>/dev/null
}

# Ends the contestants; each says what memory it came to hold.
end_contestants() {
    local slot
    for slot in "${!to[@]}"; do
        memory[slot]=0
        kill -CONT "${pid[slot]}" 2>/dev/null
        echo end 2>/dev/null >&"${to[slot]}"
        [ -z "${name[slot]}" ] || read -r -u "${from[slot]}" 'memory[slot]'
        exec {to[slot]}>&- {from[slot]}<&-
    done
    wait
}

# median and minimum of a list of numbers, with a tab between
statistics() {
    sort -g "$1" | awk '{ v[NR] = $1 }
        END { printf "%.1f\t%.1f", NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2, v[1] }'
}

# ------------------------------------------------------------- cases

compile_model() {
    local parts options=() part begin=$EPOCHREALTIME
    IFS=, read -ra parts <<<"$model"
    for part in "${parts[@]:1}"; do options+=(-D "$part"); done
    [[ $function = *+ ]] || options+=("--function=$function")
    "$prefix/bin/dlcc" "$top/bench/${parts[0]}" "${options[@]}" -o "$work/$case.so" || return 1
    compiled=$(awk -v a="$begin" -v b="$EPOCHREALTIME" 'BEGIN { print b - a }')
}

# Blocks of all contestants in turn: as many rounds as asked for, or three where the time is up.
run_rounds() {
    local round slot begin=${EPOCHREALTIME%[.,]*}
    for ((round = 0; round < rounds && (round < 3 || ${EPOCHREALTIME%[.,]*} - begin < seconds); round++)); do
        for slot in "${!name[@]}"; do [ -z "${name[slot]}" ] || block "$slot"; done
    done
}

report() {
    local slot
    for slot in "${!name[@]}"; do
        [ ! -s "$work/$slot.ns" ] || [ -z "${name[slot]}" ] || printf '%s\t%s\t%s\t%s\t%s\n' "$slot" "${name[slot]}" \
            "${empty[slot]}" "${memory[slot]:-0}" "$(statistics "$work/$slot.ns")"
    done | awk -v case_="$case" -v group="$group" -v unit="$unit" -v count="$count" -v threads="$threads" \
        -v compile="$compiled" -v bytes="$(wc -c <"$work/$case.so")" -v json="$json" -v ratios="$work/ratios" \
        -f "$top/bench/report.awk"
}

run_case() {
    local slot=2 peer count=0 compiled
    name=() pid=() to=() from=() empty=() memory=()
    compile_model || return 1
    start 0 "$work/ours" "$work/$case.so" "${function%+}" "$dims" "$threads"
    [ -n "${name[0]}" ] || return 1
    if [ "$ceiling" != - ]; then
        count=$((${ceiling#*:}))
        start 1 "$work/peak" "${ceiling%%:*}" "$count" "$threads"
    fi
    for peer in $peers; do
        # shellcheck disable=SC2046
        start $slot $(peer_command "$peer")
        slot=$((slot + 1))
    done
    run_rounds
    end_contestants
    [ -n "${name[0]}" ] || return 1
    report
    rm -f "$work/$case.so" "$work"/net.onnx*
}

# Of each group the geometric mean of the ratios to the better peer, and the worst.
summary() {
    [ -s "$work/ratios" ] || return 0
    echo
    awk '!($1 in n) { order[++groups] = $1 }
        { n[$1]++; sum[$1] += log($2); if ($2 > worst[$1]) { worst[$1] = $2; which[$1] = $3 } }
        END {
            printf "%-28s %5s %8s %8s\n", "group", "cases", "mean", "worst"
            for (i = 1; i <= groups; i++) {
                g = order[i]
                printf "%-28s %5d %8.3f %8.3f  %s\n", g, n[g], exp(sum[g] / n[g]), worst[g], which[g]
            }
        }' "$work/ratios"
}

awk -v cores="$(nproc)" '$1 > cores / 2 { print "Others are at work here (load " $1 "): the figures will wander." }' \
    /proc/loadavg 2>/dev/null >&2
prefix=$build/release/prefix
build_programs || { echo "bench: the build failed" >&2; exit 1; }
awk -v head=1 -f "$top/bench/report.awk" </dev/null
failed=0 group=
while read -r case unit model function dims ceiling peers <&3; do
    [[ $case = \[*\] ]] && group=${case//[][]/}
    # shellcheck disable=SC2053
    [[ $case = [a-z]* && ($case = $only || $case = *"$only"* || $group = $only || $group = *"$only"*) ]] || continue
    run_case || { echo "$case: failed"; failed=1; }
done 3<"$top/bench/cases"
summary
exit $failed
