#!/usr/bin/env bash
# Installs what the project needs from the distribution, saying what. Usage: tests/setup.sh build|test|oracle|peers...
#
#   build   compiler and runtime: compilers, cmake, flex, bison, LLVM 19
#   test    what the tests need besides: cmocka, C++ and a second C compiler, an emulator for aarch64
#   oracle  PyTorch, which tests compare with, and a BLAS worth comparing with; without them tests skip, saying so
#   peers   what bench/run.sh measures beside
#
# Does nothing where all is there. Needs root or sudo otherwise. Exit 1 if something could not be installed.
set -u

packages_of() {
    case $1 in
        build) echo gcc libc6-dev cmake ninja-build flex bison llvm-19-dev zlib1g-dev libjansson-dev ;;
        test) echo libcmocka-dev g++ clang-19 libclang-rt-19-dev pkgconf patch binutils qemu-user gcc-aarch64-linux-gnu \
            libc6-dev-arm64-cross ;;
        oracle) echo python3-torch libopenblas0-pthread ;;
        peers) echo python3-torch python3-onnx libopenblas0-pthread libopenblas0-openmp libdnnl-dev
            command -v npm >/dev/null || echo nodejs npm ;;
        *) echo "setup.sh: no group '$1'" >&2; exit 2 ;;
    esac
}

installed() { [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

missing=()
for group in "$@"; do
    list=$(packages_of "$group") || exit 2
    if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
        echo "This is not a Debian; going on in the hope that these are there under other names: $list"
        continue
    fi
    for package in $list; do
        installed "$package" || missing+=("$package")
    done
done
[ ${#missing[@]} -gt 0 ] || exit 0

as_root=()
if [ "$(id -u)" != 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "These packages are missing, and installing them needs root: apt-get install ${missing[*]}" >&2
        exit 1
    fi
    as_root=(sudo)
fi
echo "Installing with apt: ${missing[*]}"
log=$(mktemp)
if ! "${as_root[@]}" apt-get update -qq >"$log" 2>&1 ||
    ! "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >>"$log" 2>&1; then
    tail -n 15 "$log" >&2
    echo "apt could not install: ${missing[*]}" >&2
    rm -f "$log"
    exit 1
fi
rm -f "$log"
