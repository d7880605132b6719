#!/usr/bin/env bash
# An installed dlcc is usable from other projects in three ways: CMake, pkg-config, plain cc. Each builds the digit
# example outside the tree; all three programs print the same.
. "$(dirname "$0")/lib.sh"
folder=$(drawn_digits) || { not_ok "drawing digits"; finish; }
mkdir "$work/cmake" "$work/plain" "$work/pkg" "$work/source"
cp -r "$top/examples/digits" "$work/source/"
source=$work/source/digits

for file in bin/dlcc bin/dlrun include/dlrt.h lib/libdlrt.a lib/cmake/dlcc/dlccConfig.cmake lib/pkgconfig/dlcc.pc; do
    [ -f "$prefix/$file" ] && ok "installs $file" || not_ok "installs $file"
done

cd "$work/cmake" || exit 1
check "CMake finds dlcc" cmake -G Ninja -S "$source" -B . -DCMAKE_PREFIX_PATH="$prefix"
check "CMake builds the example" cmake --build .
check "the CMake build trains and predicts" sh -c "./train_digits '$folder' >said"
check_match "and says how well" "$(cat said)" 'test images read right: [0-9.]+ %'
check_equal "nothing to do the second time" "$(cmake --build . | tail -n 1)" "ninja: no work to do."
sleep 0.02 && touch "$source/digits.dl"
check_match "a changed model is compiled anew" "$(cmake --build .)" 'Compiling model digits'

cd "$work/plain" || exit 1
check "cc builds the example" sh "$source/build.sh" "$prefix"
check "the cc build trains and predicts" sh -c "./train_digits '$folder' >said"
check_equal "as the CMake build does" "$(cat said)" "$(cat ../cmake/said)"

cd "$work/pkg" || exit 1
if command -v pkg-config >/dev/null; then
    export PKG_CONFIG_PATH=$prefix/lib/pkgconfig
    flags=$(pkg-config --cflags --libs dlcc) || not_ok "pkg-config knows dlcc"
    compiler=$(pkg-config --variable=dlcc dlcc)
    check "pkg-config names the compiler" "$compiler" "$source/digits.dl" -o digits.o
    check "which writes the header" "$compiler" "$source/digits.dl" -o digits.h
    # shellcheck disable=SC2086
    check "cc builds with its flags" cc -std=c17 -Wall -Wextra -Wpedantic -Werror -I. "$source/main.c" digits.o $flags -o train_digits
    check "the pkg-config build trains and predicts" sh -c "./train_digits '$folder' >said"
    check_equal "as the CMake build does" "$(cat said)" "$(cat ../cmake/said)"
else
    skip "pkg-config" "pkg-config is not there"
fi

# The .so holds its runtime: nothing to link but itself.
check "compiles to a .so" "$dlcc" "$source/digits.dl" -o libdigits.so
check "links against the .so alone" cc -std=c17 -I. -I"$prefix/include" "$source/main.c" -L. -ldigits -Wl,-rpath,. -o with_so
check "the .so trains and predicts" sh -c "./with_so '$folder' >said"
check_equal "as the object does" "$(cat said)" "$(cat ../cmake/said)"

lines=$(wc -l <"$top/examples/digits/main.c")
[ "$lines" -le 60 ] && ok "the example's program has at most 60 lines" || not_ok "the example's program has at most 60 lines" "$lines"
lines=$(wc -l <"$top/examples/digits/build.sh")
[ "$lines" -le 15 ] && ok "the plain build has at most 15 lines" || not_ok "the plain build has at most 15 lines" "$lines"
finish
