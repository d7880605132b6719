#!/usr/bin/env bash
# What dlcc writes for each ending of -o: it is there, the same every time, needs libc and libm only, exports only
# what it should, and is made in under a second.
. "$(dirname "$0")/lib.sh"
cd "$work" || exit 1
endings="so o s ll h"

for ending in $endings; do
    check "-o digits.$ending" "$dlcc" "$digits" -o "digits.$ending"
    [ -s "digits.$ending" ] && ok "digits.$ending is not empty" || not_ok "digits.$ending is not empty"
done

# Same source, another folder and another time: same bytes.
mkdir again && cp "$digits" again/
for ending in $endings; do
    (cd again && "$dlcc" digits.dl -o "digits.$ending" 2>&1)
    check "a second run writes the same bytes: .$ending" cmp "digits.$ending" "again/digits.$ending"
done

libraries=$(ldd digits.so)
check_match "digits.so links libc" "$libraries" 'libc\.so'
check_absent "digits.so links libc and libm only" "$(awk '{ print $1 }' <<<"$libraries" | grep -vE '^(linux-vdso|libc\.so|libm\.so|/lib.*/ld-linux)')" .
forbidden='\b(abort|exit|_exit|_Exit|quick_exit|printf|fprintf|vfprintf|dprintf|puts|fputs|putchar|perror|__assert_fail|__[a-z]*printf_chk|__stack_chk_fail|__chk_fail)\b'
for file in digits.so digits.o "$prefix/lib/libdlrt.a"; do
    undefined=$(nm -u "$file")
    check_match "$(basename "$file") needs something" "$undefined" ' U '
    check_absent "$(basename "$file") never ends the program or prints" "$undefined" "$forbidden"
done
check_absent "digits.so exports its own functions only" "$(nm -D --defined-only digits.so | awk '{ print $3 }' | grep -vE '^(digits_[a-z]+|dlrt_module)$')" .
check_match "digits.so exports digits_train" "$(nm -D --defined-only digits.so)" ' digits_train$'
size=$(stat -c %s digits.so)
[ "$size" -lt 250000 ] && ok "digits.so is small" || not_ok "digits.so is small" "$size bytes"
check_match "digits.o has code" "$(size -A digits.o)" '^\.text'
check_absent "digits.o has no writable globals" "$(size -A digits.o)" '^\.(t?data|t?bss)(\.[^r][a-z.]*)? +[1-9]'

# The header by itself, in both languages.
for standard in c99 c17; do
    check "digits.h compiles as $standard" cc -std=$standard -Wall -Wextra -Wpedantic -Werror -fsyntax-only -x c \
        -I"$prefix/include" digits.h
done
cxx=$(command -v g++ || command -v clang++-19 || command -v clang++)
if [ -n "$cxx" ]; then
    check "digits.h compiles as C++" "$cxx" -Wall -Wextra -Wpedantic -Werror -fsyntax-only -x c++ -I"$prefix/include" digits.h
else
    skip "digits.h compiles as C++" "no C++ compiler here"
fi

# Names that C or its headers need otherwise, and comments in comments.
cat >odd.dl <<'END'
/// Says */ and /* and \

model Odd() {
    /// A */ b /* c // d
    export fn f(NULL: f32[2], errno: f32, class: i32[3], _Bool: bool, main: f32, context: f64,
                linux: f32[2]) -> (int: f32[2], I: f32[2]) {
        return NULL + errno * linux + f32(sum(class)) + main, NULL * f32(context) * f32(_Bool)
    }
    export fn register(dlrt_open: f32) -> f32 { dlrt_open }
}
END
check "names that C needs" "$dlcc" odd.dl -o odd.h
check "a file called by a word of C" "$dlcc" odd.dl --name=auto -o auto.h
check_match "its symbols begin with that word" "$(cat auto.h)" 'auto_module;'
printf '#include <complex.h>\n#include <errno.h>\n#include <stdio.h>\n#include "odd.h"\n' >odd.c
for standard in c99 gnu17; do
    check "odd.h compiles as $standard" cc -std=$standard -Wall -Wextra -Werror -fsyntax-only -I"$prefix/include" odd.c
done
[ -z "$cxx" ] || check "odd.h compiles as C++" "$cxx" -Wall -Wextra -Wpedantic -Werror -fsyntax-only -x c++ -I"$prefix/include" odd.h

# Processor time, and the best of three, so that a busy machine does not count.
TIMEFORMAT='%U %S'
best=$(for _ in 1 2 3; do { time "$dlcc" "$digits" -o timed.so; } 2>&1; done | awk '{ print 1000 * ($1 + $2) }' | sort -n | head -n 1)
[ "${best%.*}" -lt 1000 ] && ok "digits.so is compiled in under a second ($best ms)" || not_ok "digits.so is compiled in under a second" "$best ms"

# A failed run leaves nothing, and what was there stays.
echo old >kept.so
echo 'model M() { export fn f(x: f32[3]) -> f32[3] { y } }' >wrong.dl
check_status "a model with a mistake: status 2" 2 "$dlcc" wrong.dl -o kept.so
check_equal "the old file is intact" "$(cat kept.so)" old
check_absent "no temporary file is left" "$(ls -A . again | grep -iE 'tmp|temp|~')" .
check_status "an ending it does not know: a mistake" 2 "$dlcc" "$digits" -o digits.xyz
check_status "a folder that is not there: a failure" 1 "$dlcc" "$digits" -o nowhere/digits.so
finish
