#!/usr/bin/env bash
# One source, other processors: x86-64-v3 here, aarch64 under an emulator, and an object on a processor that lacks
# what it was compiled for.
. "$(dirname "$0")/lib.sh"
folder=$(drawn_digits) || { not_ok "drawing digits"; finish; }
cd "$work" || exit 1
main=$top/examples/digits/main.c
check "writes the header" "$dlcc" "$digits" -o digits.h

# learned FILE: the per cent that the program said it read right, as a whole number.
learned() { sed -nE 's/.*read right: ([0-9]+)\..*/\1/p' "$1"; }

check "--cpu=x86-64-v3" "$dlcc" "$digits" --cpu=x86-64-v3 -o v3.o
if [ "$(uname -m)" = x86_64 ]; then
    check "links" cc -std=c17 -O2 -I. -I"$prefix/include" "$main" v3.o -L"$prefix/lib" -ldlrt -lm -o v3
    check "runs" sh -c "./v3 '$folder' >v3.said"
    [ "$(learned v3.said)" -ge 60 ] && ok "learns ($(learned v3.said) %)" || not_ok "learns" "$(cat v3.said)"
    check_absent "holds no wider instructions" "$(objdump -d v3.o | grep -E '%zmm')" .
    check "--cpu=znver4, with AVX-512" "$dlcc" "$digits" --cpu=znver4 -o wide.o
    check "links" cc -std=c17 -O2 -static -I. -I"$prefix/include" "$main" wide.o -L"$prefix/lib" -ldlrt -lm -o wide
    if command -v qemu-x86_64 >/dev/null; then
        check_status "an emulated processor without AVX-512 gives a status" 1 qemu-x86_64 -cpu Haswell ./wide "$folder"
        check_match "which says why" "$output" '[Pp]rocessor|[Cc]pu|CPU'
    else
        skip "an emulated processor without AVX-512 gives a status" "qemu-x86_64 is not there"
    fi
fi

cross=aarch64-linux-gnu
small="-D hidden1=128 -D hidden2=64" # an emulator takes its time
# shellcheck disable=SC2086
check "--target=$cross" "$dlcc" "$digits" --target=$cross $small -o arm.o
check_match "is an object for it" "$(readelf -h arm.o)" 'AArch64'
if command -v $cross-gcc >/dev/null && command -v qemu-aarch64 >/dev/null; then
    library=$prefix/lib/dlcc/aarch64/libdlrt.a
    check "links" $cross-gcc -std=c17 -O2 -static -I. -I"$top/runtime" "$main" arm.o "$library" -lm -o arm_digits
    check "runs under qemu" sh -c "qemu-aarch64 ./arm_digits '$folder' >arm.said"
    [ "$(learned arm.said)" -ge 60 ] && ok "learns ($(learned arm.said) %)" || not_ok "learns" "$(cat arm.said)"
    # shellcheck disable=SC2086
    check "a shared object, runtime inside" "$dlcc" "$digits" --target=$cross $small -o libarm.so
    check "links" $cross-gcc -std=c17 -O2 -I. -I"$top/runtime" "$main" libarm.so -Wl,-rpath,"$work" -o arm_shared
    check "runs under qemu" sh -c "qemu-aarch64 -L /usr/$cross ./arm_shared '$folder' >shared.said"
    check_equal "learns the same" "$(cat shared.said)" "$(cat arm.said)"
else
    skip "$cross under qemu" "no $cross-gcc or qemu-aarch64"
fi
check_status "a runtime that is not there: the environment's fault" 1 "$dlcc" "$digits" --target=$cross \
    --runtime=nowhere/libdlrt.a -o none.so
cp "$dlcc" dlcc
check_status "a dlcc on its own" 1 ./dlcc "$digits" --target=$cross -o none.so
check_match "says how to come by a runtime" "$output" "no runtime for $cross: .*-DDLCC_CROSS_RUNTIMES=$cross"
check_absent "leaves nothing behind" "$(ls none.so* 2>/dev/null)" .
finish
