/* IR text: printing and reading are inverse; the reader reports what is wrong, where, and survives anything.
 *
 * sample.ir holds every operator and every sort of declaration as the printer writes them. (Elementwise operators
 * without attributes are all alike: tests/ops reads each of them.) */
#include "../fixture.h"
#include "base/map.h"
#include "ops/ops.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *load(Fixture *f, const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file) fail_msg("cannot open %s", path);
    char *text = arena_alloc(&f->arena, 1 << 16);
    size_t n = fread(text, 1, (1 << 16) - 1, file);
    fclose(file);
    text[n] = 0;
    return text;
}

static const char *sample(Fixture *f) { return load(f, DLCC_UNIT_DIR "/ir/sample.ir"); }

/* ---------------------------------------------------------------------- identity */

static void sample_reads_back(void **state) {
    Fixture *f = *state;
    const char *text = sample(f);
    assert_string_equal(fixture_print(f, fixture_read(f, text)), text);
}

static void mark_op(void *user, Op *op) { map_set(user, op->info->name, op); }

static void sample_holds_every_operator(void **state) {
    Fixture *f = *state;
    Module *m = fixture_read(f, sample(f));
    Map seen = map_new(&f->arena);
    region_walk(m->funcs.at[0]->body, mark_op, &seen);
    int count;
    const OpInfo *const *table = op_table(&count);
    for (int i = 0; i < count; i++) {
        const OpInfo *op = table[i];
        bool alike = op->kind == KIND_MAP && op->min_operands > 0 && !op->attrs;
        if (!alike && !map_get(&seen, op->name)) fail_msg("sample.ir lacks %s", op->name);
    }
}

/* Hints that are the same, look like suffixed ones or like nothing a lexer knows stay distinct, and the
 * second printing is the first. */
static void hints_are_made_unique(void **state) {
    Fixture *f = *state;
    Module *m = fixture_read(f, "module @m\n"
                                "func @f(%x: f32 = arg \"x\") {\n"
                                "  %1 = negate %x : f32\n  %2 = negate %1 : f32\n  %3 = negate %2 : f32\n"
                                "  %4 = negate %3 : f32\n  %5 = negate %4 : f32\n  return %5\n}\n");
    Region *body = m->funcs.at[0]->body;
    static const char *const hints[] = {"x", "x.1", "x", "12", "a b\"%"};
    for (int i = 0; i < 5; i++) body->ops.at[i]->results[0].name = hints[i];
    const char *first = fixture_print(f, m);
    assert_non_null(strstr(first, "%x.1 = negate %x : f32\n  %x.1.1 = negate %x.1"));
    assert_non_null(strstr(first, "%\"a b\\\"%\""));
    assert_string_equal(fixture_print(f, fixture_read(f, first)), first);
}

static void own_texts_may_be_free_in_form(void **state) {
    Fixture *f = *state;
    Module *m =
        fixture_read(f, "// a comment\nmodule @m dim B in 1..8 dim H in 0..4 = floor((2*B) / 4) param @w:f32[2]\nfunc "
                        "@f ( %x:f32[H]=arg \"x\" ) dims(B)\n{ %y=negate %x:f32[H] // so\n return %y }");
    assert_int_equal(m->funcs.at[0]->body->ops.n, 1);
}

static void dims_are_normalised(void **state) {
    Fixture *f = *state;
    Module *m =
        fixture_read(f, "module @m\ndim B in 1..8\ndim H in 0..4 = floor(2*B / 4)\n"
                        "func @f(%x: f32[(B+1)*(B-1), floor(B / 2), -B+9] = arg \"x\") dims(B) {\n return %x }");
    assert_string_equal(fixture_print(f, m), "module @m\ndim B in 1..8\ndim H in 0..4 = floor(B / 2)\n\n"
                                             "func @f(%x: f32[B*B-1,H,-B+9] = arg \"x\") dims(B) {\n"
                                             "  return %x\n}\n");
}

/* ------------------------------------------------------------------------ faults */

#define HEAD "module @m\ndim B in 1..8\nparam @w : f32[4]\n"
#define IN_FUNC(lines) HEAD "func @f(%x: f32[4] = arg \"x\", %i: i32[4] = arg \"i\") {\n" lines "  return %x\n}\n"

typedef struct FaultCase {
    const char *text;
    const char *expected[3];   /* "CODE] message" parts and places, each must occur */
} FaultCase;

static const FaultCase fault_cases[] = {
    {"", {"DL0601]: expected module @name, but the text ends", "test.ir:1:1"}},
    {"module m", {"DL0601]: expected the module's name (@name), not m", "test.ir:1:8"}},
    {"module @m doc \"open\n", {"DL0601]: text without its closing quote", "test.ir:1:15"}},
    {"module @m doc \"\\q\"", {"DL0601]: text holds a zero byte or an unknown escape"}},
    {"module @m\nfoo", {"DL0601]: expected dim, param, state, slot, cache, prepared, func, init func or prepare func, not foo", "test.ir:2:1"}},
    {HEAD "dim B in 1..9", {"DL0604]: dim B is declared already", "test.ir:4:5"}},
    {HEAD "dim C in 9..1", {"DL0608]: the bounds hold no number", "test.ir:4:10"}},
    {HEAD "dim C in -1..1", {"DL0608]: dim C may be negative"}},
    {HEAD "dim C in 0..99999999999999999999", {"DL0608]: integer does not fit in 64 bits"}},
    {HEAD "dim C in 0..4 = floor(B / 0)", {"DL0608]: the divisor of a dim must be positive"}},
    {HEAD "dim C in 0..5 = floor(B / 2)", {"DL0606]: dim C is in 0..4 by its definition"}},
    {HEAD "param @w : f32", {"DL0604]: variable @w is declared already"}},
    {HEAD "param @v : fp32", {"DL0603]: no element type is called fp32", "hint: is it to be f32?"}},
    {HEAD "param @v : f32[Q]", {"DL0603]: no dim is called Q"}},
    {HEAD "param @v : f32[B]", {"DL0602]: IR text: @m: variable v: extent 0 is no constant"}},
    {HEAD "param @v : f32[-3]", {"DL0608]: extent 0 is negative"}},
    {HEAD "param @v : f32[1,1,1,1,1,1,1,1,1]", {"DL0608]: more than 8 dims"}},
    {HEAD "param @v : f32[1152921504606846976]", {"DL0608]: dim too large"}},
    {HEAD "param @v : f32[2,3] order [0]", {"DL0608]: the order has another rank than the type"}},
    {HEAD "param @v : f32[2,3] order [0, 2]", {"DL0608]: the order names dim 2 of 2"}},
    {HEAD "param @v : f32[2,3] order [0, 0]", {"DL0602]: IR text: @m: variable v: its physical order"}},
    {HEAD "slot @s : f32 of @w", {"DL0606]: @s cannot be state of @w"}},
    {HEAD "state @s : f32[4] of @w", {"DL0606]: @s cannot be state of @w"}},
    {HEAD "slot @s : f32[4] of @v", {"DL0603]: no variable is called @v"}},
    {HEAD "func @f(%x: f32 = arf \"x\") { return }", {"DL0601]: expected arg, var, seed or count, not arf"}},
    {HEAD "func @f(%x: f32 = var @q) { return }", {"DL0603]: no variable is called @q"}},
    {HEAD "func @f(%x: f32 = var @w) { return }", {"DL0602]: IR text: @f: input 0 has another type than its variable"}},
    {HEAD "func @f(%x: i32 = seed) { return }",
     {"DL0602]: IR text: @f: input 0, a seed or count, is not an i64 scalar"}},
    {HEAD "func @f(%x: f32[B] = arg \"x\") { return }", {"DL0602]: IR text: @f: parameter's type mentions dim B"}},
    {HEAD "func @f() dims(C) { return }", {"DL0603]: C is no declared free dim"}},
    {HEAD "func @f() dims(B, B) { return }", {"DL0604]: dim B is bound twice"}},
    {HEAD "func @f() { return }\nfunc @f() { return }", {"DL0604]: function @f exists already"}},
    {HEAD "init func @f() { return }", {"DL0602]: IR text: @f: init does not write variable w"}},
    {IN_FUNC("  %y = nagate %x : f32[4]\n"),
     {"DL0603]: no operator is called nagate", "hint: is it to be negate?", "test.ir:5:8"}},
    {IN_FUNC("  %y = negate %z : f32[4]\n"), {"DL0603]: no value is called %z here", "test.ir:5:15"}},
    {IN_FUNC("  %y = negate %x, %x : f32[4]\n"), {"DL0605]: negate: negate takes 1 operand, not 2"}},
    {IN_FUNC("  %y = negate %x : f32[5]\n"), {"DL0606]: %y is declared as f32[5], but the operator gives f32[4]"}},
    {IN_FUNC("  %y = negate %x : f32[4], f32[4]\n"), {"DL0606]: 1 results, but 2 types"}},
    {IN_FUNC("  %y, %z = negate %x : f32[4], f32[4]\n"), {"DL0605]: negate: negate has 1 result, not 2"}},
    {IN_FUNC("  %x = negate %x : f32[4]\n"), {"DL0604]: %x is defined already", "the first definition"}},
    {IN_FUNC("  %y = add %x, %i : f32[4]\n"), {"DL0605]: add:", "operand 1 has type i32[4]"}},
    {IN_FUNC("  %y = reduce_sum %x {axis = 0} : f32\n"), {"DL0607]: reduce_sum has no attribute axis", "it has axes"}},
    {IN_FUNC("  %y = reduce_sum %x : f32\n"), {"DL0605]: reduce_sum: reduce_sum needs an attribute axes"}},
    {IN_FUNC("  %y = reduce_sum %x {axes = [0], axes = [0]} : f32\n"), {"DL0607]: axes is given twice"}},
    {IN_FUNC("  %y = reduce_sum %x {axes = 0} : f32\n"), {"DL0601]: expected [, not 0"}},
    {IN_FUNC("  %y = reduce_sum %x {axes = [7]} : f32\n"), {"DL0605]: reduce_sum:"}},
    {IN_FUNC("  %y = negate %x : f32[4] what\n"), {"DL0601]: expected the end of the line, not what"}},
    {IN_FUNC("  %y = negate %x\n"), {"DL0601]: expected :, not return"}},
    {IN_FUNC("  %y = fusion %x : f32[4] (%p: f32[4]) {\n  yield %p\n  }\n  %z = negate %p : f32[4]\n"),
     {"DL0603]: %p is not visible here", "defined in a region that has ended"}},
    {IN_FUNC("  %y = fusion %x : f32[4] (%p: f32[4]) {\n  }\n"), {"DL0601]: expected yield, not }"}},
    {IN_FUNC("  %y = fusion %x : f32[4]\n"), {"DL0601]: expected (, not return"}},
    {HEAD "func @f(%x: f32[4] = arg \"x\") {\n  return %x -> @v\n}", {"DL0603]: no variable is called @v"}},
    {HEAD "func @f(%x: f32 = arg \"x\") {\n  return %x -> @w\n}", {"result 0 has another type than variable w"}},
    {HEAD "func @f(%x: f32[4] = arg \"x\") {\n", {"DL0601]: expected return, but the text ends"}},
    {HEAD "func @f(%x: f32[4] = arg \"x\") {\n  $\n return }",
     {"DL0601]: this character means nothing here", "test.ir:5:3"}},
};

static void faults_are_reported(void **state) {
    Fixture *f = *state;
    for (size_t i = 0; i < sizeof fault_cases / sizeof *fault_cases; i++) {
        const FaultCase *c = &fault_cases[i];
        const char *got = fixture_complaints(f, c->text, strlen(c->text));
        for (int k = 0; k < 3 && c->expected[k]; k++)
            if (!strstr(got, c->expected[k])) fail_msg("case %zu: no \"%s\" in\n%s", i, c->expected[k], got);
        if (f->diags.errors != 1) fail_msg("case %zu: %d errors instead of one:\n%s", i, f->diags.errors, got);
    }
}

/* Each mistake once, none for what follows from another. */
static void several_faults_in_one_run(void **state) {
    Fixture *f = *state;
    const char *text = "module @m\n"
                       "dim B in 9..1\n"
                       "param @w : f33[4]\n"
                       "func @f(%x: f32[4] = arg \"x\") {\n"
                       "  %a = negate %nothing : f32[4]\n"
                       "  %b = negate %a : f32[4]\n"
                       "  %c = fusion %b : f32[4] (%p: f32[4]) {\n"
                       "    %q = exp %p : f32[9]\n"
                       "    yield %q\n"
                       "  }\n"
                       "  %d = add %c, %x : f32[4]\n"
                       "  %e = frobnicate %x {k = [1} : f32[4]\n"
                       "  %g = log %x : i32[4]\n"
                       "  return %d, %g\n"
                       "}\n"
                       "func @g(%x: f32[4] = arg \"x\") {\n"
                       "  return %y\n"
                       "}\n";
    const char *got = fixture_complaints(f, text, strlen(text));
    static const char *const places[] = {":2:10", ":3:12", ":5:15", ":8:5", ":12:8", ":13:3", ":17:10"};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        if (!strstr(got, places[i])) fail_msg("nothing at %s in\n%s", places[i], got);
    if (f->diags.errors != 7) fail_msg("%d errors instead of 7:\n%s", f->diags.errors, got);
}

/* ----------------------------------------------------------------------- garbage */

static char *repeat(Fixture *f, const char *before, const char *part, int n, const char *after) {
    size_t length = strlen(part);
    char *text = arena_alloc(&f->arena, strlen(before) + length * (size_t)n + strlen(after) + 1), *to = text;
    to = strcpy(to, before) + strlen(before);
    for (int i = 0; i < n; i++, to += length) memcpy(to, part, length);
    strcpy(to, after);
    return text;
}

static void nesting_is_limited(void **state) {
    Fixture *f = *state;
    const char *deep = repeat(f, "module @m\nparam @w : f32[", "(", 1000000, "");
    assert_non_null(strstr(fixture_complaints(f, deep, strlen(deep)), "DL0608]: dim nested too deep"));
    deep = repeat(f, HEAD "func @f() {\n", "fusion (", 100000, "");
    assert_non_null(strstr(fixture_complaints(f, deep, strlen(deep)), "DL0601"));
    deep = repeat(f, HEAD "func @f() {\n", "fusion () {\n", 100000, "");
    assert_non_null(strstr(fixture_complaints(f, deep, strlen(deep)), "DL0608]: regions nested too deep"));
    deep = repeat(f, HEAD "dim C in 0..1 = floor(B", "*B", 100000, " / 2)");
    assert_non_null(strstr(fixture_complaints(f, deep, strlen(deep)), "DL0608]: dim too large"));
}

static void large_junk_ends_soon(void **state) {
    Fixture *f = *state;
    enum { SIZE = 10 << 20 };
    static const char *const parts[] = {"%",   "{",   "\"", "1", "a", "dim ", "\n", "@f ", "func @f() {\n",
                                        "]\n", "// ", "\\"};
    for (size_t p = 0; p < sizeof parts / sizeof *parts; p++) {
        const char *text = repeat(f, HEAD, parts[p], SIZE / (int)strlen(parts[p]), "");
        fixture_complaints(f, text, strlen(text));
        assert_true(f->diags.all.n <= 25);
        fixture_close(state);
        fixture_open(state);
        f = *state;
    }
}

static void zero_bytes_are_no_end(void **state) {
    Fixture *f = *state;
    const char text[] = "module @m\n\0 junk";
    assert_non_null(strstr(fixture_complaints(f, text, sizeof text - 1), ":2:1"));
}

/* Texts near the sample: whatever is accepted must print and read back the same. */
static void changed_samples_never_crash(void **state) {
    Fixture *f = *state;
    char *text = strdup(sample(f)), *changed = strdup(text);
    size_t n = strlen(text);
    uint64_t random = 42;
    for (int i = 0; i < 3000; i++) {
        size_t from = fixture_random(&random) % n, count = fixture_random(&random) % 12,
               to = fixture_random(&random) % n;
        memcpy(changed, text, n + 1);
        if (from + count > n) count = n - from;
        if (to + count > n) to = n - count;
        if (i % 2) memmove(changed + to, changed + from, count);
        else changed[from] = (char)fixture_random(&random);
        fixture_close(state);
        fixture_open(state);
        f = *state;
        Module *m = module_read(&f->arena, &f->names, &f->diags, diag_add_source(&f->diags, "t", changed, n));
        assert_int_equal(m == NULL, f->diags.errors > 0);
        if (!m) continue;
        const char *first = fixture_print(f, m);
        assert_string_equal(fixture_print(f, fixture_read(f, first)), first);
    }
    free(text);
    free(changed);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(sample_reads_back), FIXTURE_TEST(sample_holds_every_operator), FIXTURE_TEST(hints_are_made_unique),
        FIXTURE_TEST(own_texts_may_be_free_in_form), FIXTURE_TEST(dims_are_normalised),
        FIXTURE_TEST(faults_are_reported), FIXTURE_TEST(several_faults_in_one_run), FIXTURE_TEST(nesting_is_limited),
        FIXTURE_TEST(large_junk_ends_soon), FIXTURE_TEST(zero_bytes_are_no_end),
        FIXTURE_TEST(changed_samples_never_crash)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
