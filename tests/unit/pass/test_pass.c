/* cse, dce and the runner. */
#include "../fixture.h"
#include "pass/pass.h"

#include <string.h>

static const char *run_on(Fixture *f, const char *pass, const char *text) {
    Module *m = fixture_read(f, text);
    assert_true(passes_run(m, &f->scratch, &(PassRun){.only = pass}));
    return fixture_print(f, m);
}

/* --------------------------------------------------------------------------------- cse */

#define CSE(inputs, lines) "module @m\n\nfunc @f(" inputs ") {\n" lines "}\n"
#define TWO "%x: f32[4] = arg \"x\", %y: f32[4] = arg \"y\""

static void cse_merges_equal_ops(void **state) {
    Fixture *f = *state;
    assert_string_equal(run_on(f, "cse", CSE(TWO, "  %a = exp %x : f32[4]\n"
                                                  "  %b = exp %x : f32[4]\n"
                                                  "  %c = add %a, %y : f32[4]\n"
                                                  "  %d = add %y, %b : f32[4]\n"
                                                  "  %e = subtract %c, %d : f32[4]\n"
                                                  "  %g = subtract %d, %y : f32[4]\n"
                                                  "  %h = subtract %y, %d : f32[4]\n"
                                                  "  %i = add %g, %h : f32[4]\n"
                                                  "  return %e, %i\n")),
                        CSE(TWO, "  %a = exp %x : f32[4]\n"
                                 "  %c = add %a, %y : f32[4]\n"
                                 "  %e = subtract %c, %c : f32[4]\n"
                                 "  %g = subtract %c, %y : f32[4]\n"
                                 "  %h = subtract %y, %c : f32[4]\n"
                                 "  %i = add %g, %h : f32[4]\n"
                                 "  return %e, %i\n"));
}

#define RANDOM(name, site) "  %" name " = random_bits %s, %s, %s {site = " site ", word = 0} : i32\n"
#define CONSTANT(name, value) "  %" name " = constant {dtype = f32, shape = [2], values = [" value "]} : f32[2]\n"

/* Sites keep random numbers apart; 0 and -0 are two constants, NaN is one. */
static void cse_compares_attributes(void **state) {
    Fixture *f = *state;
    assert_string_equal(run_on(f, "cse", CSE("%s: i64 = seed", RANDOM("a", "1") RANDOM("b", "2") RANDOM("c", "1")
                                             "  %d = add %a, %b : i32\n  %e = add %d, %c : i32\n  return %e\n")),
                        CSE("%s: i64 = seed", RANDOM("a", "1") RANDOM("b", "2")
                            "  %d = add %a, %b : i32\n  %e = add %d, %a : i32\n  return %e\n"));
    assert_string_equal(
        run_on(f, "cse",
               CSE("", CONSTANT("a", "0.0, nan") CONSTANT("b", "-0.0, nan") CONSTANT(
                           "c", "0.0, nan") "  %d = add %a, %b : f32[2]\n  %e = add %d, %c : f32[2]\n  return %e\n")),
        CSE("", CONSTANT("a", "0.0, nan") CONSTANT(
                    "b", "-0.0, nan") "  %d = add %a, %b : f32[2]\n  %e = add %d, %a : f32[2]\n  return %e\n"));
}

#define FUSION(name, of, inner, second)                                                                                \
    "  %" name " = fusion %" of ", %" second " : f32[4] (%p." name ": f32[4], %s." name ": f32[4]) {\n"                \
    "    %q." name " = " inner " %p." name " : f32[4]\n"                                                               \
    "    %r." name " = add %q." name ", %s." name " : f32[4]\n"                                                        \
    "    yield %r." name "\n"                                                                                          \
    "  }\n"

/* Bodies are equal up to their parameters' names. */
static void cse_compares_bodies(void **state) {
    Fixture *f = *state;
    const char *text = CSE(TWO, FUSION("a", "x", "exp", "y") FUSION("b", "x", "exp", "y") FUSION("c", "x", "log", "y")
                           FUSION("d", "x", "exp", "x") FUSION("e", "y", "exp", "y")
                           "  return %a, %b, %c, %d, %e\n");
    const char *want = CSE(TWO, FUSION("a", "x", "exp", "y") FUSION("c", "x", "log", "y") FUSION("d", "x", "exp", "x")
                           FUSION("e", "y", "exp", "y")
                           "  return\n    %a,\n    %a,\n    %c,\n    %d,\n    %e\n");
    assert_string_equal(run_on(f, "cse", text), want);
}

/* Bodies are worlds of their own: an op within one is merged with an equal one in it, and only there. */
static void cse_respects_scopes(void **state) {
    Fixture *f = *state;
    const char *text =
        CSE(TWO, "  %a = iota {dtype = f32, shape = [4], axis = 0} : f32[4]\n"
                 "  %b = fusion %x : f32[4] (%p: f32[4]) {\n"
                 "    %c = iota {dtype = f32, shape = [4], axis = 0} : f32[4]\n"
                 "    %d = iota {dtype = f32, shape = [4], axis = 0} : f32[4]\n"
                 "    %e = add %c, %d : f32[4]\n    yield %e\n  }\n"
                 "  %i = iota {dtype = f32, shape = [4], axis = 0} : f32[4]\n"
                 "  %l = add %a, %i : f32[4]\n"
                 "  return %b, %l\n");
    const char *want = CSE(TWO, "  %a = iota {dtype = f32, shape = [4], axis = 0} : f32[4]\n"
                                "  %b = fusion %x : f32[4] (%p: f32[4]) {\n"
                                "    %c = iota {dtype = f32, shape = [4], axis = 0} : f32[4]\n"
                                "    %e = add %c, %c : f32[4]\n    yield %e\n  }\n"
                                "  %l = add %a, %a : f32[4]\n"
                                "  return %b, %l\n");
    assert_string_equal(run_on(f, "cse", text), want);
}

/* --------------------------------------------------------------------------------- dce */

static void dce_keeps_what_is_used(void **state) {
    Fixture *f = *state;
    const char *text = "module @m\nparam @v : f32\nparam @w : f32\nslot @same : f32\n"
                       "func @f(%x: f32 = arg \"x\", %v: f32 = var @v, %w: f32 = var @w, %same: f32 = var @same, "
                       "%unused: f32 = arg \"unused\", %seed: i64 = seed, %count: i64 = count) {\n"
                       "  %a = exp %v : f32\n"
                       "  %b = exp %a : f32\n"
                       "  %c, %d = fusion %x, %w : f32, f32 (%p: f32, %o: f32) {\n"
                       "    %q = log %p : f32\n"
                       "    %r = exp %p : f32\n"
                       "    %s = exp %o : f32\n"
                       "    yield %q, %s\n"
                       "  }\n"
                       "  return %d as \"d\", %same -> @same\n"
                       "}\n"
                       "init func @init(%seed: i64 = seed) {\n"
                       "  %z = constant {dtype = f32, shape = [], value = 0.0} : f32\n"
                       "  return %z -> @v, %z -> @w, %z -> @same\n"
                       "}\n";
    const char *want =
        "module @m\nparam @v : f32\nparam @w : f32\nslot @same : f32\n\n"
        "func @f(\n    %x: f32 = arg \"x\",\n    %w: f32 = var @w,\n    %unused: f32 = arg \"unused\") {\n"
        "  %d = fusion %w : f32 (%o: f32) {\n"
        "    %s = exp %o : f32\n"
        "    yield %s\n"
        "  }\n"
        "  return %d as \"d\"\n"
        "}\n\n"
        "init func @init() {\n"
        "  %z = constant {dtype = f32, shape = [], value = 0.0} : f32\n"
        "  return\n    %z -> @v,\n    %z -> @w,\n    %z -> @same\n"
        "}\n";
    assert_string_equal(run_on(f, "dce", text), want);
}

/* ------------------------------------------------------------------------------ runner */

typedef struct Seen {
    const char *names[16];
    int n;
} Seen;

static void note(void *user, const PassInfo *pass, Module *m, double seconds) {
    Seen *seen = user;
    (void)m;
    assert_true(seconds >= 0);
    seen->names[seen->n++] = pass->name;
}

static Seen seen_by(Fixture *f, PassRun run) {
    Seen seen = {.n = 0};
    run.after = note;
    run.user = &seen;
    Module *m =
        fixture_read(f, "module @m\nfunc @f(%x: f32[4] = arg \"x\") {\n  %y = exp %x : f32[4]\n  return %y\n}\n");
    assert_true(passes_run(m, &f->scratch, &run));
    return seen;
}

static void runner_selects_passes(void **state) {
    Fixture *f = *state;
    int count, needed = 0, usual = 0;
    const PassInfo *table = pass_table(&count);
    const PassOption asks = {"recompute", "live", "0"};
    for (int i = 0; i < count; i++) needed += (table[i].flags & PASS_NEEDED) != 0;
    Seen all = seen_by(f, (PassRun){.level = 1});
    for (int i = 0; i < count; i++)
        if (!(table[i].flags & PASS_ASKED)) assert_string_equal(all.names[usual++], table[i].name);
    assert_int_equal(all.n, usual);
    assert_int_equal(seen_by(f, (PassRun){.level = 1, .options = &asks, .option_count = 1}).n, count);
    assert_int_equal(seen_by(f, (PassRun){.level = 0}).n, needed);
    assert_int_equal(seen_by(f, (PassRun){.level = 0, .only = "cse"}).n, 1);
    Seen skipped = seen_by(f, (PassRun){.level = 1, .skip = (const char *const[]){"cse", "fuse"}, .skip_count = 2});
    assert_int_equal(skipped.n, usual - 1);
    assert_null(pass_find("no such pass"));
    assert_ptr_equal(pass_find("dce")->run, pass_dce);
}

static void options_belong_to_their_pass(void **state) {
    (void)state;
    const PassOption options[] = {{"cse", "k", "1"}, {"dce", "k", "2"}, {"cse", "k", "3"}};
    PassContext c = {.pass = "cse", .options = options, .option_count = 3};
    assert_string_equal(pass_option(&c, "k"), "3");
    assert_null(pass_option(&c, "l"));
}

/* A module that is broken already is blamed on the pass that ran, with its name. */
static void runner_verifies(void **state) {
    Fixture *f = *state;
    Module *m =
        fixture_read(f, "module @m\nfunc @f(%x: f32[4] = arg \"x\") {\n  %y = exp %x : f32[4]\n  return %y\n}\n");
    m->funcs.at[0]->body->ops.at[0]->results[0].type.dtype = DTYPE_F64;
    Seen seen = {.n = 0};
    assert_false(passes_run(m, &f->scratch, &(PassRun){.level = 1, .after = note, .user = &seen}));
    assert_int_equal(seen.n, 0);
    assert_non_null(strstr(f->diags.all.at[0].text, "pass inline left invalid IR: @f: result 0 has type f64[4]"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(cse_merges_equal_ops), FIXTURE_TEST(cse_compares_attributes), FIXTURE_TEST(cse_compares_bodies),
        FIXTURE_TEST(cse_respects_scopes), FIXTURE_TEST(dce_keeps_what_is_used), FIXTURE_TEST(runner_selects_passes),
        FIXTURE_TEST(options_belong_to_their_pass), FIXTURE_TEST(runner_verifies)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
