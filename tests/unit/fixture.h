/* What the unit tests of the compiler share: arenas, diagnostics, reading and printing IR text. */
#ifndef DLCC_TESTS_FIXTURE_H
#define DLCC_TESTS_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ir/print.h"
#include "ir/read.h"
#include "ir/verify.h"

typedef struct Fixture {
    jmp_buf out_of_memory;
    Arena arena, scratch;
    Interner names;
    Diags diags;
} Fixture;

/* For cmocka_unit_test_setup_teardown: *state is a Fixture. */
int fixture_open(void **state);
int fixture_close(void **state);

/* The module in a text; fails the test with the diagnostics if it has faults. */
Module *fixture_read(Fixture *f, const char *text);
/* The diagnostics that reading a text gives, rendered; "" if there are none. */
const char *fixture_complaints(Fixture *f, const char *text, size_t length);
const char *fixture_print(Fixture *f, const Module *m);

/* A small xorshift, so that tests draw the same numbers everywhere. */
static inline uint64_t fixture_random(uint64_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    return *state ^= *state << 17;
}

#define FIXTURE_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_open, fixture_close)

#endif
