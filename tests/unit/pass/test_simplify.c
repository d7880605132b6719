/* simplify: each rule alone against simplify.golden, and its results against the interpreter's before and
 * after, on inputs full of NaN, infinities and signed zeros. */
#include "../fixture.h"
#include "interp/interp.h"
#include "pass/pass.h"
#include "pass/simplify.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GOLDEN DLCC_UNIT_DIR "/pass/simplify.golden"
#define DECLARATIONS "module @m\ndim B in 1..8\ndim T in 0..9\nfunc @f"

typedef struct Case {
    const char *rule;
    const char *before;        /* "(inputs) {...}\n" */
    const char *after;         /* the same of what the rule makes; null if the file has none yet */
} Case;

typedef VEC(Case) CaseList;

static const char *const rule_names[] = {
#define RULE(name, match, doc) #name,
    SIMPLIFY_RULES(RULE)
#undef RULE
};
enum { RULE_COUNT = sizeof rule_names / sizeof *rule_names };

/* ---------------------------------------------------------------------- golden file */

static char *load(Arena *a) {
    FILE *file = fopen(GOLDEN, "rb");
    if (!file) fail_msg("cannot open %s", GOLDEN);
    enum { ROOM = 1 << 18 };
    char *text = arena_alloc(a, ROOM);
    size_t n = fread(text, 1, ROOM - 1, file);
    fclose(file);
    text[n] = 0;
    return text;
}

/* "== rule\n before [->\n after]" after "== rule"; the head of the file is returned in *head. */
static CaseList split(Arena *a, char *text, const char **head) {
    CaseList cases = {0};
    char *next = strstr(text, "\n== ");
    *head = arena_text(a, text, (size_t)(next - text));
    while (next) {
        char *rule = next + 4, *before = strchr(rule, '\n') + 1;
        next = strstr(before, "\n== ");
        size_t length = next ? (size_t)(next + 1 - before) : strlen(before);
        char *body = arena_text(a, before, length), *arrow = strstr(body, "\n->\n");
        Case c = {arena_text(a, rule, (size_t)(before - 1 - rule)), body, arrow ? arrow + 4 : NULL};
        if (arrow) arrow[1] = 0;
        vec_push(a, &cases, c);
    }
    return cases;
}

/* ----------------------------------------------------------------------- applying it */

/* "(inputs) {body}" with the signature's dims put between. */
static Module *read_case(Fixture *f, const char *body) {
    const char *open = strstr(body, ") {");
    assert_non_null(open);
    return fixture_read(
        f, arena_printf(&f->arena, DECLARATIONS "%.*s) dims(B, T) {%s", (int)(open - body), body, open + 3));
}

static const char *print_case(Fixture *f, Func *func) {
    Text text = text_new(&f->arena);
    func_print(func, &text);
    const char *s = text_get(&text) + strlen("func @f"), *dims = strstr(s, " dims(B, T)");
    return arena_printf(&f->arena, "%.*s%s", (int)(dims - s), s, dims + strlen(" dims(B, T)"));
}

static void simplify_by(Fixture *f, Module *m, const char *rule) {
    PassOption only = {"simplify", "only", rule};
    PassRun run = {.only = "simplify", .options = &only, .option_count = 1};
    if (passes_run(m, &f->scratch, &run)) return;
    Text to = text_new(&f->arena);
    diags_render(&f->diags, &to, false);
    fail_msg("%s", text_get(&to));
}

/* ------------------------------------------------------------------------ evaluating */

static Tensor *draw_tensor(Fixture *f, Module *m, Type type, const int64_t *dims, uint64_t *random) {
    static const double floats[] = {0.0, -0.0, 1, -2, 3, 0.5, -7, NAN, INFINITY, -INFINITY, 1e30, 1e-40};
    static const int64_t ints[] = {0, 1, -1, 2, 100, 127, -128, 7};
    int64_t shape[MAX_RANK];
    for (int i = 0; i < type.rank; i++) shape[i] = dim_eval(&m->dims, type.shape[i], dims);
    Tensor *t = tensor_new(&f->arena, type.dtype, type.rank, shape);
    for (int64_t k = 0; k < t->count; k++) {
        uint64_t r = fixture_random(random) >> 20;
        if (dtype_is_float(type.dtype)) t->at[k].f = number_round(type.dtype, floats[r % 12]);
        else if (type.dtype == DTYPE_BOOL) t->at[k].i = r % 2;
        else t->at[k].i = number_wrap(type.dtype, ints[r % 8]);
    }
    return t;
}

static Tensor **evaluate(Fixture *f, Module *m, uint64_t seed) {
    Func *func = m->funcs.at[0];
    int64_t *dims = arena_array(&f->arena, int64_t, m->dims.symbols.n);
    for (int i = 0; i < func->dims.n; i++)
        dims[func->dims.at[i]->id] = func->dims.at[i]->lower + (int64_t)(fixture_random(&seed) % 5);
    Tensor **inputs = arena_array(&f->arena, Tensor *, func->inputs.n);
    for (int i = 0; i < func->inputs.n; i++)
        inputs[i] = draw_tensor(f, m, func->body->params.at[i]->type, dims, &seed);
    Tensor **results = arena_array(&f->arena, Tensor *, func->results.n);
    InterpCall call = {.func = func, .arena = &f->arena, .round = true, .dims = dims, .inputs = inputs};
    if (!interp_call(&call, results)) fail_msg("%s", call.error);
    return results;
}

/* Sums may turn -0 into 0 or be added in another order; all else is the same to the bit. */
static bool same_number(Number a, Number b, bool is_float, bool is_sum) {
    if (!is_float) return a.i == b.i;
    if (isnan(a.f) || isnan(b.f)) return isnan(a.f) && isnan(b.f);
    if (is_sum) return a.f == b.f || fabs(a.f - b.f) <= 1e-6 * fabs(a.f);
    return a.f == b.f && signbit(a.f) == signbit(b.f);
}

static void compare_values(Fixture *f, const Case *c, Module *before, Module *after) {
    bool is_sum = strstr(c->rule, "reduce") || strstr(c->rule, "dot");
    for (uint64_t seed = 1; seed <= 20; seed++) {
        Tensor **a = evaluate(f, before, seed), **b = evaluate(f, after, seed);
        for (int i = 0; i < before->funcs.at[0]->results.n; i++) {
            assert_int_equal(a[i]->count, b[i]->count);
            for (int64_t k = 0; k < a[i]->count; k++)
                if (!same_number(a[i]->at[k], b[i]->at[k], dtype_is_float(a[i]->dtype), is_sum))
                    fail_msg("%s: result %d differs at %lld: %g before, %g after\n%s", c->rule, i, (long long)k,
                             a[i]->at[k].f, b[i]->at[k].f, c->before);
        }
    }
}

/* ------------------------------------------------------------------------------ tests */

static void every_rule_does_as_written(void **state) {
    Fixture *f = *state;
    const char *head;
    CaseList cases = split(&f->arena, load(&f->arena), &head);
    for (int i = 0; i < cases.n; i++) {
        const Case *c = &cases.at[i];
        Module *before = read_case(f, c->before), *after = read_case(f, c->before);
        simplify_by(f, after, c->rule);
        assert_string_equal(print_case(f, before->funcs.at[0]), c->before);
        assert_string_equal(print_case(f, after->funcs.at[0]), c->after);
        compare_values(f, c, before, after);
    }
}

/* Each rule has a case that it changes. */
static void every_rule_has_a_case(void **state) {
    Fixture *f = *state;
    const char *head;
    CaseList cases = split(&f->arena, load(&f->arena), &head);
    for (int r = 0; r < RULE_COUNT; r++) {
        bool used = false;
        for (int i = 0; i < cases.n; i++)
            used = used || (!strcmp(cases.at[i].rule, rule_names[r]) && strcmp(cases.at[i].before, cases.at[i].after));
        if (!used) fail_msg("no case shows what %s does", rule_names[r]);
    }
}

/* All rules together reach a fixed point: a second run changes nothing. */
static void the_result_is_simple(void **state) {
    Fixture *f = *state;
    const char *head;
    CaseList cases = split(&f->arena, load(&f->arena), &head);
    for (int i = 0; i < cases.n; i++) {
        Module *before = read_case(f, cases.at[i].before), *m = read_case(f, cases.at[i].before);
        assert_true(passes_run(m, &f->scratch, &(PassRun){.only = "simplify"}));
        const char *once = print_case(f, m->funcs.at[0]);
        assert_true(passes_run(m, &f->scratch, &(PassRun){.only = "simplify"}));
        assert_string_equal(print_case(f, m->funcs.at[0]), once);
        compare_values(f, &(Case){"reduce and all", cases.at[i].before, NULL}, before, m);
    }
}

/* A function of n ops, each with something to simplify, takes time in proportion to n. */
static void long_chains_are_quick(void **state) {
    Fixture *f = *state;
    enum { LENGTH = 20000 };
    Text text = text_new(&f->arena);
    text_add(&text, "module @m\nfunc @f(%%0: f32[4] = arg \"x\") {\n  %%c = constant {dtype = f32, shape = [4], value "
                    "= 1.0} : f32[4]\n");
    for (int i = 0; i < LENGTH; i++) text_add(&text, "  %%%d = multiply %%c, %%%d : f32[4]\n", i + 1, i);
    text_add(&text, "  return %%%d\n}\n", LENGTH);
    Module *m = fixture_read(f, text_get(&text));
    assert_true(passes_run(m, &f->scratch, &(PassRun){.only = "simplify"}));
    assert_int_equal(m->funcs.at[0]->body->ops.n, 0);
}

static int rewrite(void **state) {
    Fixture *f = *state;
    const char *head;
    CaseList cases = split(&f->arena, load(&f->arena), &head);
    Text text = text_new(&f->arena);
    text_add(&text, "%s", head);
    for (int i = 0; i < cases.n; i++) {
        Module *m = read_case(f, cases.at[i].before);
        const char *before = print_case(f, m->funcs.at[0]);
        simplify_by(f, m, cases.at[i].rule);
        text_add(&text, "\n== %s\n%s->\n", cases.at[i].rule, before);
        const char *after = print_case(f, m->funcs.at[0]);
        text_append(&text, after, strlen(after) - 1);
    }
    FILE *file = fopen(GOLDEN, "wb");
    if (!file || fprintf(file, "%s\n", text_get(&text)) < 0 || fclose(file)) return 1;
    return 0;
}

static void rewrite_golden(void **state) { assert_int_equal(rewrite(state), 0); }

int main(int argc, char **argv) {
    const struct CMUnitTest renewal[] = {FIXTURE_TEST(rewrite_golden)};
    const struct CMUnitTest tests[] = {FIXTURE_TEST(every_rule_does_as_written), FIXTURE_TEST(every_rule_has_a_case),
                                       FIXTURE_TEST(the_result_is_simple), FIXTURE_TEST(long_chains_are_quick)};
    if (argc > 1 && !strcmp(argv[1], "--rewrite")) return cmocka_run_group_tests(renewal, NULL, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
