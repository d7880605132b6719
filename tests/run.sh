#!/usr/bin/env bash
# Passes all tests, from nothing but a checkout. Usage: tests/run.sh [--fast]
#
# Installs what is missing (tests/setup.sh), then goes through the stages below; each shows its time and what it
# counted, and a failed one what it printed. --fast leaves out the second compiler and the sanitizers.
# The last line is "N passed, N failed"; the exit status is 0 when nothing failed.
#
# A stage is a function that prints "ok - what" or "not ok - what" lines (as TAP has them) between anything else.
# Builds lie in $DLCC_BUILD, by default build/ in the checkout, and are kept for the next run.
set -u
top=$(cd "$(dirname "$0")/.." && pwd)
export DLCC_BUILD=${DLCC_BUILD:-$top/build}
export DLCC_PREFIX=$DLCC_BUILD/prefix
export CMAKE_GENERATOR=Ninja # for tests that call cmake: make need not be there
logs=$DLCC_BUILD/logs
jobs=$(nproc 2>/dev/null || echo 2)
fast=0
case ${1:-} in
    '') ;;
    --fast) fast=1 ;;
    *) echo "usage: tests/run.sh [--fast]" >&2; exit 2 ;;
esac

# ------------------------------------------------------------------ stages

setup() {
    if bash "$top/tests/setup.sh" build test; then echo "ok - packages"; else echo "not ok - packages"; fi
    [ $fast = 1 ] || bash "$top/tests/setup.sh" oracle || echo "PyTorch is not there: the tests that compare with it skip."
}

# configure_and_build FOLDER CMAKE-OPTIONS...
configure_and_build() {
    local folder=$1
    shift
    cmake -S "$top" -B "$folder" "$@" && cmake --build "$folder" -j "$jobs" -- -k 0
}

# tests_of FOLDER [CTEST-OPTIONS...]: runs them and turns ctest's log into ok lines, one for each test case where
# the program tells of its cases (cmocka, or ok lines of its own), else one for the program.
tests_of() {
    local folder=$1 log=$1/Testing/Temporary/LastTest.log status cases
    shift
    rm -f "$log"
    # Indented, so that a test's own ok lines are not counted twice.
    (cd "$folder" && ctest -j "$jobs" --timeout 300 --output-on-failure "$@") | sed 's/^/    /'
    status=${PIPESTATUS[0]}
    cases=$([ -f "$log" ] && awk -f "$top/tests/ctest_cases.awk" "$log")
    printf '%s\n' "$cases"
    if [ $status != 0 ] && ! grep -q '^not ok' <<<"$cases"; then echo "not ok - ctest ended with status $status"; fi
}

gcc_build() {
    local cross=
    command -v aarch64-linux-gnu-gcc >/dev/null && cross=aarch64-linux-gnu
    if configure_and_build "$DLCC_BUILD/gcc" -DCMAKE_C_COMPILER=gcc -DDLCC_CROSS_RUNTIMES="$cross" &&
        rm -rf "$DLCC_PREFIX" && cmake --install "$DLCC_BUILD/gcc" --prefix "$DLCC_PREFIX" >/dev/null; then
        echo "ok - builds with gcc, installs"
    else
        echo "not ok - builds with gcc, installs"
    fi
}

gcc_tests() { tests_of "$DLCC_BUILD/gcc"; }

clang_build() {
    local version found=0
    for version in 19 14; do
        command -v clang-$version >/dev/null || continue
        found=1
        if configure_and_build "$DLCC_BUILD/clang-$version" -DCMAKE_C_COMPILER=clang-$version; then
            echo "ok - builds with clang $version"
        else
            echo "not ok - builds with clang $version"
        fi
    done
    [ $found = 1 ] || echo "ok - builds with clang # SKIP no clang here"
}

# Tests labelled "slow" are left out. dlcc links models with the cc that it finds; what it links here is a runtime
# with sanitizers, so that the compilers have to know of them.
address_sanitizer() {
    local sanitizers=address,undefined tool
    mkdir -p "$DLCC_BUILD/asan/bin"
    for tool in cc c++; do
        command -v $tool >/dev/null || continue
        printf '#!/bin/sh\nexec %s -fsanitize=%s "$@"\n' "$(command -v $tool)" $sanitizers >"$DLCC_BUILD/asan/bin/$tool"
        chmod +x "$DLCC_BUILD/asan/bin/$tool"
    done
    export ASAN_OPTIONS=detect_leaks=1:strict_string_checks=1 UBSAN_OPTIONS=print_stacktrace=1
    if configure_and_build "$DLCC_BUILD/asan" -DCMAKE_C_COMPILER=gcc -DDLCC_SANITIZE=$sanitizers; then
        PATH=$DLCC_BUILD/asan/bin:$PATH tests_of "$DLCC_BUILD/asan" -LE slow
    else
        echo "not ok - builds with ASan and UBSan"
    fi
}

# Every input of the kept corpora, and a few thousand made of them, the same ones each time.
fuzz() {
    local name folder
    if ! command -v clang-19 >/dev/null; then
        echo "ok - fuzz targets # SKIP no clang 19 here"
        return
    fi
    if ! cmake -S "$top" -B "$DLCC_BUILD/fuzz" -DCMAKE_C_COMPILER=clang-19 -DDLCC_FUZZ=ON ||
        ! cmake --build "$DLCC_BUILD/fuzz" -j "$jobs" --target fuzz; then
        echo "not ok - fuzz targets build"
        return
    fi
    for name in dsl ir_read kernel_read tuning safetensors idx_npy_csv; do
        folder=$DLCC_BUILD/fuzz/new_$name
        rm -rf "$folder" && mkdir "$folder"
        if (cd "$folder" && "$DLCC_BUILD/fuzz/tests/fuzz/fuzz_$name" -seed=1 -runs=5000 -timeout=60 -max_len=4000 \
            "$folder" $([ ! -d "$top/tests/fuzz/corpus/$name" ] || echo "$top/tests/fuzz/corpus/$name")); then
            echo "ok - fuzz_$name finds nothing"
        else
            echo "not ok - fuzz_$name finds nothing"
        fi
    done
}

# Only the runtime has threads.
thread_sanitizer() {
    export TSAN_OPTIONS=halt_on_error=1
    if cmake -S "$top" -B "$DLCC_BUILD/tsan" -DCMAKE_C_COMPILER=gcc -DDLCC_SANITIZE=thread &&
        cmake --build "$DLCC_BUILD/tsan" -j "$jobs" --target test_threads test_call; then
        tests_of "$DLCC_BUILD/tsan" -R '^runtime_(threads|call)$'
    else
        echo "not ok - builds with TSan"
    fi
}

# One script of tests/run/.
script() {
    local before after
    before=$(grep -c '^not ok' "$log")
    bash "$1"
    local status=$?
    after=$(grep -c '^not ok' "$log")
    [ $status = 0 ] || [ "$after" -gt "$before" ] || echo "not ok - $1 ended with status $status"
}

# ------------------------------------------------------------------ the runner

passed=0 failed=0 skipped=0
started=$SECONDS

# stage NAME FUNCTION ARGUMENTS...
stage() {
    local name=$1 log=$logs/${1// /-}.log begin=$SECONDS good bad
    shift
    : >"$log"
    ("$@") >"$log" 2>&1
    skipped=$((skipped + $(grep -cE '^ok .*# SKIP' "$log")))
    good=$(grep -E '^ok ' "$log" | grep -vcE '# SKIP')
    bad=$(grep -cE '^not ok' "$log")
    if [ $((good + bad)) = 0 ] && ! grep -qE '^ok ' "$log"; then
        echo "not ok - $name ran to its end" >>"$log"
        bad=1
    fi
    passed=$((passed + good)) failed=$((failed + bad))
    printf '%-24s %5d passed %4d failed %5d s\n' "$name" "$good" "$bad" $((SECONDS - begin))
    grep -E '^ok .*# SKIP' "$log" | sed 's/^ok - /    skipped: /; s/# SKIP/-/'
    if [ "$bad" -gt 0 ]; then
        grep -vE '^ *ok |Passed +[0-9.]+ sec$|^ *Start +[0-9]+:|^\[[0-9]+/[0-9]+\]' "$log" | tail -n 50 | sed 's/^/    /'
        echo "    all of it: $log"
    fi
    return $((bad > 0))
}

main() {
    mkdir -p "$logs"
    stage set-up setup
    if stage "gcc build" gcc_build; then
        stage "unit tests" gcc_tests
        for file in "$top"/tests/run/*.sh; do
            [ "$(basename "$file")" = lib.sh ] || stage "run $(basename "$file" .sh)" script "$file"
        done
        if [ $fast = 0 ]; then
            stage "clang build" clang_build
            stage "ASan and UBSan" address_sanitizer
            stage "TSan" thread_sanitizer
            stage "fuzz targets" fuzz
        fi
    fi
    [ $skipped = 0 ] || echo "$skipped skipped"
    echo "$((SECONDS - started)) s in all"
    echo "$passed passed, $failed failed"
    [ $failed = 0 ]
}
main
