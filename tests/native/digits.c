/* The example, whole: its functions from the source through every pass to machine code, against the interpreter run on
 * the graph as the front end made it. A training step writes every parameter and all of Adam's state. */
#include "native.h"

#include "base/file.h"

#include <setjmp.h>
#include <cmocka.h>

static const int64_t batches[] = {1, 7, 128};

static const char *read_source(Arena *arena) {
    const char *text, *why;
    size_t length;
    if (!file_read(arena, DIGITS, &text, &length, &why)) fail_msg("%s", why);
    return text;
}

/* Variables are drawn well above 0: squares' moving averages cannot be below, and where they are near it a step is so
 * long that it hides what the others are. */
static void check_step(const char *cpu, int threads) {
    Arena arena;
    jmp_buf out;
    if (setjmp(out)) fail();
    arena_init(&arena, &out);
    Native *n = native_open_source("digits.dl", read_source(&arena), cpu, threads);
    n->int_limit = 10;
    n->var_low = 0.01, n->var_high = 0.05;
    n->by_largest = true;
    for (int i = 0; i < 3; i++) native_check(n, "predict", &batches[i], 1e-4);
    for (int i = 0; i < 3; i++) native_check(n, "train", &batches[i], 3e-5);
    print_message("worst error: %.2g of what is allowed\n", n->worst);
    native_close(n);
    arena_reset(&arena);
}

static void steps_here(void **state) {
    (void)state;
    check_step(NULL, 1);
}

static void steps_with_threads(void **state) {
    (void)state;
    check_step(NULL, 3);
}

static void steps_on_any_processor(void **state) {
    (void)state;
    check_step("x86-64-v3", 1);
    check_step("x86-64", 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(steps_here), cmocka_unit_test(steps_with_threads),
                                       cmocka_unit_test(steps_on_any_processor)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
