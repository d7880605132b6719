/* Random bits, native against the reference. */
#include "native.h"

#include <setjmp.h>
#include <cmocka.h>

/* Seed and call count reach the generator; each call draws other numbers. */
static void random_numbers(void **state) {
    (void)state;
    static const char text[] =
        "module @m\n"
        "func @draw(%s: i64 = seed, %c: i64 = count, %x: i64[67] = arg \"x\") {\n"
        "%seeds = broadcast_in_dim %s {shape = [67], axes = []} : i64[67]\n"
        "%counts = broadcast_in_dim %c {shape = [67], axes = []} : i64[67]\n"
        "%bits = random_bits %seeds, %counts, %x {site = 81985529216486895, word = 2} : i32[67]\n"
        "return %bits as \"bits\", %c as \"call\"\n}\n";
    for (int c = 0; c < 2; c++) {
        Native *n = native_open(text, c ? "x86-64" : NULL, 1);
        for (int i = 0; i < 3; i++) native_check(n, "draw", NULL, 0);
        assert_int_equal(n->interp->counts[0], 3);
        native_close(n);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(random_numbers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
