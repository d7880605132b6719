/* Control flow means what the same thing means written out: the pairs of control.dl, call after call. */
#include "dsl/dsl.h"
#include "interp/interp.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { CALLS = 3, MOST = 16 };

static jmp_buf out_of_memory;
static Arena arena, scratch;
static Interner names;
static Diags diags;
static Module *module;
static char text[1 << 16];

static double next_random(uint64_t *state) {
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (double)(*state >> 40) / (double)(1 << 24);
}

static int find(const char *name) {
    for (int i = 0; i < module->funcs.n; i++)
        if (!strcmp(module->funcs.at[i]->name, name)) return i;
    fail_msg("there is no %s", name);
    return 0;
}

static void draw_arguments(const Func *f, int64_t n, uint64_t *random, Tensor **args) {
    int count = 0;
    for (int i = 0; i < f->inputs.n; i++) {
        if (f->inputs.at[i].kind != PORT_ARG) continue;
        Type type = f->body->params.at[i]->type;
        int64_t shape[MAX_RANK];
        for (int k = 0; k < type.rank; k++) shape[k] = dim_is_const(type.shape[k]) ? dim_value(type.shape[k]) : n;
        Tensor *t = args[count++] = tensor_new(&arena, type.dtype, type.rank, shape);
        for (int64_t k = 0; k < t->count; k++) t->at[k].f = 3 * next_random(random) - 1.5;
    }
}

static void compare(const char *name, const char *what, int call, const Tensor *a, const Tensor *b) {
    if (a->dtype != b->dtype || a->count != b->count) fail_msg("%s, %s: types differ", name, what);
    for (int64_t i = 0; i < a->count; i++) {
        bool equal = dtype_is_float(a->dtype) ? fabs(a->at[i].f - b->at[i].f) <= 1e-9 * (1 + fabs(b->at[i].f))
                                              : a->at[i].i == b->at[i].i;
        if (equal) continue;
        if (dtype_is_float(a->dtype))
            fail_msg("%s, %s, call %d: %.12g, but %.12g", name, what, call, a->at[i].f, b->at[i].f);
        fail_msg("%s, %s, call %d: %lld, but %lld", name, what, call, (long long)a->at[i].i, (long long)b->at[i].i);
    }
}

/* Both functions from the same variables with the same arguments, `n` being the value of their dims. */
static void compare_pair(const char *name, int64_t n) {
    Interp *in[2];
    Tensor *args[MOST], *results[2][MOST];
    uint64_t random = 1;
    const char *twin = arena_printf(&arena, "%s_plain", name);
    Func *f[2] = {module->funcs.at[find(name)], module->funcs.at[find(twin)]};
    for (int k = 0; k < 2; k++) {
        in[k] = interp_open(module, &arena, &scratch, false);
        assert_true(interp_init(in[k], 3));
    }
    assert_int_equal(f[0]->dims.n, f[1]->dims.n);
    for (int call = 0; call < CALLS; call++) {
        draw_arguments(f[0], n, &random, args);
        for (int k = 0; k < 2; k++)
            if (!interp_run(in[k], f[k], &n, args, results[k])) fail_msg("%s: %s", f[k]->name, in[k]->error);
        int count = 0;
        for (int i = 0; i < f[1]->results.n; i++) {
            if (f[1]->results.at[i].var) continue;
            compare(name, arena_printf(&arena, "result %d", count), call, results[0][count], results[1][count]);
            count++;
        }
        assert_true(count > 0);
        for (int i = 0; i < module->vars.n; i++)
            compare(name, module->vars.at[i]->name, call, in[0]->vars[i], in[1]->vars[i]);
    }
}

static void pairs(void **state) {
    static const char *const all[] = {"recurrence", "states", "backwards", "steps", "learns", "nested",
                                      "captured",   "roots",  "branches",  "again", "own",    "straight"};
    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) compare_pair(all[i], 1);
}

static void no_elements(void **state) {
    (void)state;
    for (int64_t n = 1; n <= 4; n += 3) compare_pair("empty", n);
}

/* ------------------------------------------------------------ one by one */

static Interp *opened(void) {
    Interp *in = interp_open(module, &arena, &scratch, false);
    assert_true(interp_init(in, 3));
    return in;
}

static Tensor *whole_number(int64_t i) {
    Tensor *t = tensor_new(&arena, DTYPE_I32, 0, NULL);
    t->at->i = i;
    return t;
}

static const Tensor *var(const Interp *in, const char *name) {
    return in->vars[module_find_var(module, intern(&names, name))->id];
}

/* Trains where the loss is low: then by one step of Adam, whose first goes 0.1 against the gradient's sign. */
static void training_branch(void **state) {
    Interp *in = opened();
    Func *f = module->funcs.at[find("guarded")];
    Tensor *args[MOST], *r[MOST];
    uint64_t random = 1;
    int64_t steps = 0;
    bool seen[2] = {false, false};
    (void)state;
    for (int call = 0; call < 12; call++) {
        double before[4];
        for (int i = 0; i < 4; i++) before[i] = var(in, "w")->at[i].f;
        int64_t counted = var(in, "counter.n")->at->i;
        draw_arguments(f, 1, &random, args);
        assert_true(interp_run(in, f, NULL, args, r));
        bool low = r[3]->at->i;
        steps += low;
        assert_int_equal(r[2]->at->i, steps);
        assert_int_equal(var(in, "counter.n")->at->i, counted + (low ? 1 : 100));
        for (int i = 0; i < 4; i++) {
            double moved = r[1]->at[i].f - before[i];
            if (!low) assert_true(moved == 0);
            else if (steps == 1) assert_true(fabs(moved + copysign(0.1, r[4]->at[i].f)) < 1e-5);
            else assert_true(moved != 0);
        }
        seen[low] = true;
    }
    assert_true(seen[0] && seen[1]);
}

static bool any_equal(const Tensor *const *all, int n) {
    for (int i = 0; i < n; i++)
        for (int64_t a = 0; a < all[i]->count; a++)
            for (int j = 0; j <= i; j++)
                for (int64_t b = 0; b < (j == i ? a : all[j]->count); b++)
                    if (all[i]->at[a].f == all[j]->at[b].f) return true;
    return false;
}

/* No two of a thousand draws of 24 bits are equal but by chance, which is fixed: none here. */
static void draws(void **state) {
    Interp *in = opened(), *again = opened();
    Func *f = module->funcs.at[find("draws")];
    Tensor *n = whole_number(6), *r[MOST], *second[MOST], *other[MOST];
    (void)state;
    assert_true(interp_run(in, f, NULL, &n, r) && interp_run(again, f, NULL, &n, second));
    assert_false(any_equal((const Tensor *const *)r, 4));
    for (int i = 0; i < 4; i++) compare("draws", "the same seed", 0, r[i], second[i]);
    assert_true(interp_run(in, f, NULL, &n, other));
    assert_true(other[0]->at[0].f != r[0]->at[0].f && other[2]->at[299].f != r[2]->at[299].f);
}

static void dropped(void **state) {
    Interp *in = opened();
    Func *f = module->funcs.at[find("dropped")];
    Tensor *args[MOST], *r[MOST];
    uint64_t random = 1;
    int zeros = 0;
    (void)state;
    for (int call = 0; call < 4; call++) {
        draw_arguments(f, 1, &random, args);
        assert_true(interp_run(in, f, NULL, args, r));
        compare("dropped", "value and gradient", call, r[0], r[1]);
        for (int i = 0; i < 4; i++) zeros += r[0]->at[i].f == 0;
        assert_true(r[2]->at[0].f != r[2]->at[1].f);
    }
    assert_true(zeros > 2 && zeros < 14);
}

static void refused(Interp *in, const char *func, Tensor *const *args, const char *what) {
    Tensor *r[MOST];
    if (interp_run(in, module->funcs.at[find(func)], NULL, args, r)) fail_msg("%s was not refused", func);
    if (!strstr(in->error, what)) fail_msg("%s was refused with: %s", func, in->error);
}

static void checks(void **state) {
    Interp *in = opened();
    Tensor *r[MOST], *x = tensor_new(&arena, DTYPE_F32, 1, (int64_t[]){3}),
                     *y = tensor_new(&arena, DTYPE_F32, 1, (int64_t[]){7}),
                     *long_one = tensor_new(&arena, DTYPE_F32, 1, (int64_t[]){8});
    (void)state;
    assert_true(interp_run(in, module->funcs.at[find("sizes")], NULL, (Tensor *[]){x, y}, r));
    refused(in, "sizes", (Tensor *[]){x, long_one}, "8");
    Tensor *four = whole_number(4), *seven = whole_number(7), *less = whole_number(-1), *nine = whole_number(9);
    assert_true(interp_run(in, module->funcs.at[find("required")], NULL, &four, r));
    refused(in, "required", &seven, "the counter runs over");
    refused(in, "required", &less, "n >= 0");
    assert_int_equal(var(in, "counter.n")->at->i, 4);   /* as the call before left it */
    for (int i = 0; i < 8; i++) long_one->at[i].f = i;
    assert_true(interp_run(in, module->funcs.at[find("cut")], NULL, (Tensor *[]){long_one, four}, r));
    assert_true(r[0]->at->f == 0 + 1 + 2 + 3 + 4);
    refused(in, "cut", (Tensor *[]){long_one, nine}, "K");
    refused(in, "cut", (Tensor *[]){long_one, less}, "K");
}

static int compile_all(const char *folder) {
    char path[4096];
    if (setjmp(out_of_memory)) return 1;
    arena_init(&arena, &out_of_memory);
    arena_init(&scratch, &out_of_memory);
    intern_init(&names, &arena);
    diags_init(&diags, &arena);
    snprintf(path, sizeof path, "%s/tests/dsl/control.dl", folder);
    FILE *f = fopen(path, "rb");
    if (!f) return 2;
    size_t length = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    DslOptions options = dsl_default_options();
    module = dsl_compile(&arena, &names, &diags, "control.dl", text, length, &options);
    Text t = text_new(&arena);
    diags_render(&diags, &t, false);
    fputs(text_get(&t), stderr);
    return module ? 0 : 1;
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(pairs),           cmocka_unit_test(no_elements),
                                       cmocka_unit_test(training_branch), cmocka_unit_test(draws),
                                       cmocka_unit_test(dropped),         cmocka_unit_test(checks)};
    int bad = compile_all(argc > 1 ? argv[1] : ".");
    return bad ? bad : cmocka_run_group_tests(tests, NULL, NULL);
}
