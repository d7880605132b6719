#!/usr/bin/env bash
# From a bare Debian 12 to a trained digit classifier: installs what is missing, builds dlcc, compiles the model,
# trains it and shows what it reads. Usage: examples/quickstart.sh [FOLDER with MNIST's four IDX files]
# Without a folder it draws its own digits. Everything it makes lies in $DLCC_BUILD, by default build/.
set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
build=${DLCC_BUILD:-$top/build}
out=$build/quickstart
given=${1:-}

say() { printf '\n== %s\n' "$*"; }

# Runs a command whose output is only of interest when it fails.
quietly() {
    local status=0
    "$@" >"$out/log" 2>&1 || status=$?
    [ $status = 0 ] || { tail -n 40 "$out/log" >&2; echo "quickstart: failed: $*" >&2; exit $status; }
}

# Puts MNIST's test files, unpacked, into the folder $2.
unpack_test_files() {
    local name
    for name in t10k-images-idx3-ubyte t10k-labels-idx1-ubyte; do
        if [ -f "$1/$name" ]; then cp "$1/$name" "$2/$name"; else gzip -dc "$1/$name.gz" >"$2/$name"; fi
    done
}

if [ -n "$given" ]; then
    [ -d "$given" ] || { echo "quickstart: there is no folder $given" >&2; exit 1; }
    given=$(cd "$given" && pwd)
fi
mkdir -p "$out"

say "Packages"
bash "$top/tests/setup.sh" build
echo "All there."

say "Building dlcc and its runtime"
bash "$top/tests/install.sh" "$build/release"
export PATH="$build/release/prefix/bin:$PATH"
dlcc --version

cd "$out"
say "Compiling the model: dlcc examples/digits/digits.dl -o digits.so"
dlcc "$top/examples/digits/digits.dl" -o digits.so
ls -l digits.so
quietly sh "$top/examples/digits/build.sh" "$build/release/prefix"

if [ -n "$given" ]; then
    data=$given
else
    say "Drawing 60000 digits to learn from and 10000 to be tested with"
    data=$out/data
    mkdir -p "$data"
    ./draw_digits "$data"
fi

say "Training: dlrun train digits.so --data $data --epochs 5"
dlrun train digits.so --data "$data" --epochs 5 --save digits.safetensors

say "What it reads"
mkdir -p test
unpack_test_files "$data" test
./show_digits digits.safetensors test 6
echo "The model, its weights and the programs are in $out"
