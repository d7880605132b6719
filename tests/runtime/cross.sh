#!/bin/sh
# cross.sh SOURCE_DIR WORK_DIR - builds the runtime for aarch64 with the distribution's cross compiler and runs
# smoke.c under qemu. Exit code 77 (skipped) where these are not installed.
set -eu
compiler=aarch64-linux-gnu-gcc
command -v $compiler >/dev/null && command -v qemu-aarch64 >/dev/null || { echo "no $compiler or qemu-aarch64"; exit 77; }
source=$1 work=$2/cross
rm -rf "$work" && mkdir -p "$work"
cmake -S "$source" -B "$work/build" -DDLCC_RUNTIME_ONLY=ON -DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR=aarch64 \
    -DCMAKE_C_COMPILER=$compiler >"$work/log"
cmake --build "$work/build" >>"$work/log" || { cat "$work/log"; exit 1; }
tests=$source/tests/runtime
$compiler -std=c17 -O2 -Wall -Wextra -Wpedantic -Werror -I"$source/runtime" -I"$source/runtime/core" \
    "$tests/smoke.c" "$tests/fake_model.c" "$work/build/runtime/libdlrt.a" -lm -o "$work/smoke"
"$tests/symbols.sh" "$work/build/runtime/libdlrt.a"
qemu-aarch64 -L /usr/aarch64-linux-gnu "$work/smoke" "$work/smoke.safetensors"
