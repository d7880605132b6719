/* What the fuse pass keeps for long, and what it computes again. */
#include "../fixture.h"
#include "pass/pass.h"

#include <string.h>

#define PRODUCT(y, a, b) "  %" y " = dot_general %" a ", %" b " {lhs_batch = [], rhs_batch = [], lhs_contract = [1], " \
                         "rhs_contract = [0]} : f32[64,64]\n"
#define HEAD "module @m\n\nfunc @f(%x: f32[64,64] = arg \"x\", %w: f32[64,64] = arg \"w\", %i: i64[64,64] = arg \"i\") {\n"
/* Products on the way from what is kept to what reads it. */
#define WAY(from) PRODUCT("p", from, "w") PRODUCT("q", "p", "w") PRODUCT("g", "q", "w")

static const char *fused(Fixture *f, const char *text, const char *keep) {
    Module *m = fixture_read(f, text);
    PassOption option = {"fuse", "keep", keep};
    assert_true(passes_run(m, &f->scratch, &(PassRun){.only = "fuse", .options = &option, .option_count = 1}));
    return fixture_print(f, m);
}

static int count(const char *text, const char *part) {
    int n = 0;
    for (; (text = strstr(text, part)); text += strlen(part)) n++;
    return n;
}

#define ACTIVATION                                                                                                     \
    HEAD PRODUCT("c", "x", "w")                                                                                        \
    "  %m = reduce_max %c {axes = [0]} : f32[64]\n  %wide = broadcast_in_dim %m {shape = [64, 64], axes = [1]} : "     \
    "f32[64,64]\n  %n = multiply %c, %wide : f32[64,64]\n  %a = tanh %n : f32[64,64]\n" WAY("a")                       \
    "  %gw = dot_general %a, %g {lhs_batch = [], rhs_batch = [], lhs_contract = [0], rhs_contract = [0]} : "           \
    "f32[64,64]\n  %gc = multiply %c, %g : f32[64,64]\n  return %gw as \"gw\", %gc as \"gc\"\n}\n"

/* An activation is computed again from the product that is read late anyway, in the kernel that reads that. */
static void activation_melts_into_late_kernel(void **state) {
    const char *text = fused(*state, ACTIVATION, "0");
    assert_int_equal(count(text, "= tanh"), 2);
    assert_int_equal(count(text, "= fusion"), 6);
    assert_non_null(strstr(text, "%g, %a.3, %gc = fusion %q, %w, %c, %m :"));
    assert_non_null(strstr(text, "%gw = fusion %a.3, %g :"));
}

static void small_functions_keep_all(void **state) {
    const char *text = fused(*state, ACTIVATION, "1000000");
    assert_int_equal(count(text, "= tanh"), 1);
    assert_non_null(strstr(text, "%gw = fusion %a, %g :"));
}

/* Nothing is saved if what a value is computed from would have to be kept in its stead. */
static void values_as_large_as_their_source_are_kept(void **state) {
    const char *text = fused(*state, HEAD PRODUCT("c", "x", "w") "  %a = tanh %c : f32[64,64]\n" WAY("a")
                             "  %ga = multiply %a, %g : f32[64,64]\n  return %ga as \"ga\"\n}\n", "0");
    assert_int_equal(count(text, "= tanh"), 1);
}

/* A slope and a value of one product: the product is kept instead of both. */
static void two_values_become_their_source(void **state) {
    const char *text = fused(*state, HEAD PRODUCT("c", "x", "w")
                             "  %a = tanh %c : f32[64,64]\n  %s = multiply %a, %c : f32[64,64]\n" WAY("a")
                             "  %u = multiply %s, %g : f32[64,64]\n"
                             "  %gw = dot_general %a, %u {lhs_batch = [], rhs_batch = [], lhs_contract = [0], "
                             "rhs_contract = [0]} : f32[64,64]\n  return %gw as \"gw\"\n}\n", "0");
    assert_int_equal(count(text, "= tanh"), 2);
    assert_non_null(strstr(text, "%c, %a = fusion %x, %w :"));
}

#define SUM(c, h, before) PRODUCT(c, before, "w") "  %" h " = add %" c ", %" before " : f32[64,64]\n"
#define LATE(y, h, g) "  %" y " = dot_general %" h ", %" g " {lhs_batch = [], rhs_batch = [], lhs_contract = [0], " \
                      "rhs_contract = [0]} : f32[64,64]\n  %m" y " = multiply %" y ", %g : f32[64,64]\n"

/* Of a chain of sums, the terms of which are kept anyway, every other one is kept too. */
static void long_chains_are_cut(void **state) {
    const char *text = fused(
        *state,
        HEAD PRODUCT("c0", "x", "w") "  %h0 = exp %c0 : f32[64,64]\n" SUM("c1", "h1", "h0") SUM("c2", "h2", "h1")
        SUM("c3", "h3", "h2") WAY("h3") LATE("y3", "h3", "g") "  %z3 = multiply %c3, %my3 : f32[64,64]\n"
        LATE("y2", "h2", "z3") "  %z2 = multiply %c2, %my2 : f32[64,64]\n" LATE("y1", "h1", "z2")
        "  %z1 = multiply %c1, %my1 : f32[64,64]\n" LATE("y0", "h0", "z1")
        "  %z0 = multiply %c0, %my0 : f32[64,64]\n  return %z0 as \"z\"\n}\n", "0");
    assert_int_equal(count(text, "= exp"), 2);
    assert_int_equal(count(text, "= add"), 4);
}

/* Indices are checked before anything is written, so they are what they were. */
static void indices_are_kept(void **state) {
    const char *text = fused(
        *state, HEAD "  %j = add %i, %i : i64[64,64]\n  %r = reduce_max %w {axes = [0]} : f32[64]\n"
        "  %t = gather %r, %j {axis = 0, batch = 0} : f32[64,64]\n" WAY("t")
        "  %s = reduce_max %g {axes = [0]} : f32[64]\n  %u = gather %s, %j {axis = 0, batch = 0} : f32[64,64]\n"
        "  return %u as \"u\"\n}\n", "0");
    assert_int_equal(count(text, "= add"), 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(activation_melts_into_late_kernel), FIXTURE_TEST(small_functions_keep_all),
        FIXTURE_TEST(values_as_large_as_their_source_are_kept), FIXTURE_TEST(two_values_become_their_source),
        FIXTURE_TEST(long_chains_are_cut), FIXTURE_TEST(indices_are_kept)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
