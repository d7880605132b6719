#!/bin/sh
# Builds the example into the current folder with dlcc and a C compiler. Usage: build.sh [PREFIX of dlcc]
set -eu
source=$(cd "$(dirname "$0")" && pwd)
prefix=${1:-/usr/local}
"$prefix/bin/dlcc" "$source/digits.dl" -o digits.o -o digits.h
for program in main show_digits; do
    cc -std=gnu17 -O2 -I. -I"$prefix/include" "$source/$program.c" digits.o -L"$prefix/lib" -ldlrt -lm -o "$program"
done
mv main train_digits
cc -std=gnu17 -O2 "$source/draw_digits.c" -lm -o draw_digits
