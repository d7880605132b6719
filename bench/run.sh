#!/usr/bin/env bash
# Measures compiled models beside what one would use instead, and beside what the processor could do at best.
# Usage: bench/run.sh [--only PATTERN] [--threads N] [--json FILE] [--rounds N]
#
# The cases are the rows of bench/cases; PATTERN is a shell pattern or a part of their names. Everything in a case runs
# interleaved, ours, peer, ceiling, ours, peer, ... and medians over the rounds are quoted, so that the ratio holds even
# where the clock wanders. `ratio` is our time over the peer's: below 1 is faster. A peer that is not installed is
# said to be absent and skipped. --json writes one object a line: case, threads, ours, unit, peer, theirs, ratio,
# ceiling; what is not there is null; ours, theirs and ceiling are in `unit`.
set -u
top=$(cd "$(dirname "$0")/.." && pwd)
build=${DLCC_BUILD:-$top/build}
only='*' threads=1 json=/dev/null rounds=15
while [ $# -gt 0 ]; do
    case $1 in
        --only) only=${2:?} ;;
        --threads) threads=${2:?} ;;
        --json) json=${2:?} ;;
        --rounds) rounds=${2:?} ;;
        *) sed -n '3p' "$0" | cut -c3- >&2; exit 2 ;;
    esac
    shift 2 || exit 2
done
: >"$json" || exit 1

exec 9>"${TMPDIR:-/tmp}/dlcc-bench.lock"
flock -n 9 || { echo "Waiting for another bench/run.sh to end." >&2; flock 9; }
work=$(mktemp -d)
trap '' PIPE # a contestant that dies is noticed when it is read
trap 'kill $(jobs -p) 2>/dev/null; rm -rf "$work"' EXIT

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
        cc $flags -I"$prefix/include" "$top/bench/ours.c" -L"$prefix/lib" -ldlrt -lm -lpthread -ldl -o "$work/ours"
}

# peer_command NAME CASE ARGUMENTS: how a peer is started. A new peer is one line here.
peer_command() {
    case $1 in
        openblas) echo "$work/openblas $3" ;;
        torch) echo "/usr/bin/python3 $top/bench/peers/torch_peer.py $2 $threads" ;;
        ort) export_onnx "$2" && echo "node $top/bench/peers/ort_peer.js $work/$2.onnx $threads ${3//,/ }" ;;
        *) echo "echo absent there is no peer $1" ;;
    esac
}

export_onnx() {
    /usr/bin/python3 "$top/bench/peers/torch_peer.py" --export "$1" "$work/$1.onnx" >"$work/export.log" 2>&1
    [ -f "$work/$1.onnx" ] || { echo "echo absent needs PyTorch to write the network"; return 1; }
}

# ------------------------------------------------------------- contestants

# start SLOT COMMAND...: starts a contestant (see contestant.h) and sets name[SLOT], empty if it is absent.
start() {
    local slot=$1 word rest
    shift
    mkfifo "$work/$slot.in" "$work/$slot.out"
    "$@" <"$work/$slot.in" >"$work/$slot.out" 2>"$work/$slot.err" 9>&- &
    exec {to[slot]}>"$work/$slot.in" {from[slot]}<"$work/$slot.out"
    rm -f "$work/$slot.in" "$work/$slot.out"
    name[slot]=
    : >"$work/$slot.ns"
    read -r -u "${from[slot]}" word rest || { word=absent rest=$(tail -n 1 "$work/$slot.err"); }
    if [ "$word" = ready ]; then name[slot]=$rest; else echo "$case: absent: ${rest:-$*}"; fi
}

# One block of a contestant, its nanoseconds a call added to its list.
block() {
    local ns
    echo 2>/dev/null >&"${to[$1]}"
    if read -r -u "${from[$1]}" ns; then echo "$ns" >>"$work/$1.ns"; else name[$1]=; fi
}

median() { sort -g "$1" | awk '{ v[NR] = $1 } END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'; }

# in_unit NS: GFLOP/s is operations a nanosecond.
in_unit() { awk -v ns="$1" -v unit="$unit" -v n="${ceiling#*:}" 'BEGIN { printf "%.5g", unit == "ms" ? ns / 1e6 : n / ns }'; }

# report [SLOT]: ours beside the peer in that slot, or alone.
report() {
    local ours theirs=null top_ns ratio=null limit=null share= peer=${1:+${name[$1]}}
    ours=$(median "$work/0.ns")
    if [ -n "$peer" ]; then
        theirs=$(in_unit "$(median "$work/$1.ns")")
        ratio=$(awk -v a="$ours" -v b="$(median "$work/$1.ns")" 'BEGIN { printf "%.4f", a / b }')
    fi
    if [ -n "${name[1]}" ]; then
        top_ns=$(median "$work/1.ns")
        limit=$(in_unit "$top_ns")
        share=$(awk -v a="$top_ns" -v b="$ours" 'BEGIN { printf "%.1f %%", 100 * a / b }')
    fi
    printf '%-16s %-8s %10s %-22s %10s %8s %10s %9s\n' "$case" "$unit" "$(in_unit "$ours")" "${peer:--}" \
        "${theirs/null/-}" "${ratio/null/-}" "${limit/null/-}" "$share"
    printf '{"case": "%s", "threads": %d, "ours": %s, "unit": "%s", "peer": %s, "theirs": %s, "ratio": %s, "ceiling": %s}\n' \
        "$case" "$threads" "$(in_unit "$ours")" "$unit" "$([ -z "$peer" ] && echo null || echo "\"$peer\"")" \
        "$theirs" "$ratio" "$limit" >>"$json"
}

# ------------------------------------------------------------- cases

compile_model() { # MODEL,name=value,...
    local parts options=() part
    IFS=, read -ra parts <<<"$1"
    for part in "${parts[@]:1}"; do options+=(-D "$part"); done
    "$prefix/bin/dlcc" "$top/${parts[0]}" "${options[@]}" -o "$work/$case.so"
}

run_case() {
    local slot=2 peer round
    name=() to=() from=()
    compile_model "$model" || return 1
    start 0 "$work/ours" "$work/$case.so" "$function" "$dims" "$threads"
    [ -n "${name[0]}" ] || return 1
    if [ "$ceiling" = - ]; then name[1]=; else start 1 "$work/peak" "${ceiling%%:*}" "${ceiling#*:}" "$threads"; fi
    for peer in $peers; do
        # shellcheck disable=SC2046
        start $slot $(peer_command "${peer%%:*}" "$case" "$(cut -d: -s -f2 <<<"$peer")")
        slot=$((slot + 1))
    done
    for ((round = 0; round < rounds; round++)); do
        for peer in "${!name[@]}"; do [ -z "${name[peer]}" ] || block "$peer"; done
    done
    for peer in "${!to[@]}"; do exec {to[peer]}>&- {from[peer]}<&-; done
    wait
    local reported=0
    for ((peer = 2; peer < slot; peer++)); do
        [ -z "${name[peer]}" ] || { report "$peer"; reported=1; }
    done
    [ $reported = 1 ] || report
}

awk -v cores="$(nproc)" '$1 > cores / 2 { print "Others are at work here (load " $1 "): the figures will wander." }' \
    /proc/loadavg 2>/dev/null >&2
prefix=$build/release/prefix
build_programs || { echo "bench: the build failed" >&2; exit 1; }
printf '%-16s %-8s %10s %-22s %10s %8s %10s %9s\n' case unit ours peer theirs ratio ceiling 'of it'
failed=0
while read -r case unit model function dims ceiling peers <&3; do
    # shellcheck disable=SC2053
    [[ $case = [a-z]* && ($case = $only || $case = *"$only"*) ]] || continue
    run_case || { echo "$case: failed"; failed=1; }
done 3<"$top/bench/cases"
exit $failed
