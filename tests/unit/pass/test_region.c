/* What the passes do to operators with bodies. */
#include "../fixture.h"
#include "pass/pass.h"

#include <string.h>

#define HEAD "module @m\n\nfunc @f(%x: f32[4] = arg \"x\", %y: f32 = arg \"y\") {\n"

static void becomes(Fixture *f, const char *pass, const char *text, const char *want) {
    Module *m = fixture_read(f, text);
    assert_true(passes_run(m, &f->scratch, &(PassRun){.only = pass}));
    assert_string_equal(fixture_print(f, m), want);
    assert_string_equal(fixture_print(f, fixture_read(f, want)), want);
}

/* Of three carries one feeds a result, one only itself, one itself and that; of the ys and consts one is used. */
static void dce_trims_scans(void **state) {
    becomes(*state, "dce",
            HEAD "  %a, %b, %c, %s, %t = scan %y, %y, %y, %y, %y, %x, %x {consts = 2, carries = 3, axes = [0, 0], "
            "result_axes = [0, 0], length = [4]} : f32, f32, f32, f32[4], f32[4] (%k: f32, %l: f32, %p: f32, %q: f32, "
            "%r: f32, %v: f32, %w: f32, %i: i64) {\n"
            "    %p1 = add %p, %v : f32\n    %q1 = multiply %q, %w : f32\n    %r1 = exp %r : f32\n"
            "    %o = multiply %p, %r : f32\n    %n = add %q1, %k : f32\n    yield %p1, %q1, %r1, %n, %o\n  }\n"
            "  return %t as \"t\"\n}\n",
            HEAD "  %a, %c, %t = scan %y, %y, %x {consts = 0, carries = 2, axes = [0], result_axes = [0], length = [4]} : "
            "f32, f32, f32[4] (%p: f32, %r: f32, %v: f32, %i: i64) {\n"
            "    %p1 = add %p, %v : f32\n    %r1 = exp %r : f32\n    %o = multiply %p, %r : f32\n"
            "    yield %p1, %r1, %o\n  }\n"
            "  return %t as \"t\"\n}\n");
}

/* What the condition looks at stays. */
static void dce_trims_whiles_and_conds(void **state) {
    becomes(*state, "dce",
            HEAD "  %a, %b, %c = while %y, %y, %y, %y {consts = 1} : f32, f32, f32 (%k: f32, %p: f32, %q: f32, %r: f32) {\n"
            "    %t = less %p, %k : bool\n    yield %t\n  } (%k1: f32, %p1: f32, %q1: f32, %r1: f32) {\n"
            "    %e = exp %p1 : f32\n    %g = sin %q1 : f32\n    %h = cos %r1 : f32\n    yield %e, %g, %h\n  }\n"
            "  %z = less %b, %y : bool\n"
            "  %u, %v = cond %z, %x, %y, %b : f32[4], f32 (%a1: f32[4], %a2: f32, %a3: f32) {\n"
            "    %e1 = exp %a1 : f32[4]\n    yield %e1, %a2\n  } (%b1: f32[4], %b2: f32, %b3: f32) {\n"
            "    yield %b1, %b3\n  }\n  return %v as \"v\"\n}\n",
            HEAD "  %a, %b = while %y, %y, %y {consts = 1} : f32, f32 (%k: f32, %p: f32, %q: f32) {\n"
            "    %t = less %p, %k : bool\n    yield %t\n  } (%k1: f32, %p1: f32, %q1: f32) {\n"
            "    %e = exp %p1 : f32\n    %g = sin %q1 : f32\n    yield %e, %g\n  }\n"
            "  %z = less %b, %y : bool\n"
            "  %v = cond %z, %y, %b : f32 (%a2: f32, %a3: f32) {\n    yield %a2\n  } (%b2: f32, %b3: f32) {\n"
            "    yield %b3\n  }\n  return %v as \"v\"\n}\n");
}

/* Checks stay, and what they look at, with the loops they are in. */
static void dce_keeps_checks(void **state) {
    const char *text = HEAD "  %a = scan %y, %y {consts = 1, carries = 1, axes = [], result_axes = [], length = [4]} : f32 "
                            "(%k: f32, %p: f32, %i: i64) {\n"
                            "    %q = less %p, %k : bool\n    require %q {message = \"small\"}\n    %n = exp %p : f32\n"
                            "    yield %n\n  }\n  return %x as \"x\"\n}\n";
    becomes(*state, "dce", text, text);
}

static void inline_replaces_calls(void **state) {
    becomes(*state, "inline",
            HEAD "  %a = call %x, %y {wrt = [0]} : f32[4] (%p: f32[4], %q: f32) {\n"
            "    %b = call %p {recompute = 1} : f32[4] (%r: f32[4]) {\n      %c = exp %r : f32[4]\n      yield %c\n    }\n"
            "    yield %b\n  } (%p1: f32[4], %q1: f32, %y1: f32[4], %d1: f32[4]) {\n    yield %d1\n  }\n"
            "  %s = scan %y {consts = 0, carries = 1, axes = [], result_axes = [], length = [2]} : f32 (%k: f32, %i: i64) {\n"
            "    %t = call %k : f32 (%u: f32) {\n      %v = sin %u : f32\n      yield %v\n    }\n    yield %t\n  }\n"
            "  return %a as \"a\", %s as \"s\"\n}\n",
            HEAD "  %c = exp %x : f32[4]\n"
            "  %s = scan %y {consts = 0, carries = 1, axes = [], result_axes = [], length = [2]} : f32 (%k: f32, %i: i64) {\n"
            "    %v = sin %k : f32\n    yield %v\n  }\n"
            "  return %c as \"a\", %s as \"s\"\n}\n");
}

/* A constant folds within a body; a choice that is known is made. */
static void simplify_looks_into_bodies(void **state) {
    becomes(*state, "simplify",
            HEAD "  %one = constant {dtype = f32, shape = [], value = 1.0} : f32\n"
            "  %yes = constant {dtype = bool, shape = [], value = 0.0} : bool\n"
            "  %s = scan %one, %y {consts = 1, carries = 1, axes = [], result_axes = [], length = [2]} : f32 "
            "(%k: f32, %p: f32, %i: i64) {\n    %m = multiply %p, %k : f32\n    %e = exp %m : f32\n    yield %e\n  }\n"
            "  %c = cond %yes, %s : f32 (%a: f32) {\n    yield %a\n  } (%b: f32) {\n    %n = negate %b : f32\n"
            "    yield %n\n  }\n  return %c as \"c\"\n}\n",
            HEAD "  %one = constant {dtype = f32, shape = [], value = 1.0} : f32\n"
            "  %s = scan %one, %y {consts = 1, carries = 1, axes = [], result_axes = [], length = [2]} : f32 "
            "(%k: f32, %p: f32, %i: i64) {\n    %e = exp %p : f32\n    yield %e\n  }\n"
            "  %n = negate %s : f32\n  return %n as \"c\"\n}\n");
}

/* What is computed again behind a barrier is not what was computed before it. */
static void cse_keeps_barriers(void **state) {
    const char *text = HEAD "  %a = exp %x : f32[4]\n  %b = barrier %x, %a : f32[4]\n  %c = exp %b : f32[4]\n"
                            "  %d = add %a, %c : f32[4]\n  return %d as \"d\"\n}\n";
    becomes(*state, "cse", text, text);
    becomes(*state, "simplify", text, text);
}

/* Equal loops are one, unequal ones are not. */
static void cse_merges_loops(void **state) {
#define LOOP(name, n, f, attrs)                                                                                        \
    "  %" name " = scan %y {consts = 0, carries = 1, axes = [], result_axes = [], length = [2]" attrs                  \
    "} : f32 (%k" n ": f32, %i" n ": i64) {\n    %e" n " = " f " %k" n " : f32\n    yield %e" n "\n  }\n"
    becomes(*state, "cse",
            HEAD LOOP("a", "1", "exp", "") LOOP("b", "2", "exp", "") LOOP("c", "3", "sin", "")
            LOOP("d", "4", "exp", ", reverse = 1")
            "  %s = add %a, %b : f32\n  %t = add %c, %d : f32\n  return %s as \"s\", %t as \"t\"\n}\n",
            HEAD LOOP("a", "1", "exp", "") LOOP("c", "3", "sin", "") LOOP("d", "4", "exp", ", reverse = 1")
            "  %s = add %a, %a : f32\n  %t = add %c, %d : f32\n  return %s as \"s\", %t as \"t\"\n}\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(dce_trims_scans),
        FIXTURE_TEST(dce_trims_whiles_and_conds),
        FIXTURE_TEST(dce_keeps_checks),
        FIXTURE_TEST(inline_replaces_calls),
        FIXTURE_TEST(simplify_looks_into_bodies),
        FIXTURE_TEST(cse_keeps_barriers),
        FIXTURE_TEST(cse_merges_loops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
