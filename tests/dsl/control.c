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
        if (dtype_is_float(a->dtype)) fail_msg("%s, %s, call %d: %.12g, but %.12g", name, what, call, a->at[i].f, b->at[i].f);
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
    static const char *const all[] = {"recurrence", "states", "backwards", "steps", "learns", "nested", "captured", "roots",
                                      "branches",   "again",  "own",       "straight"};
    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) compare_pair(all[i], 1);
}

static void no_elements(void **state) {
    (void)state;
    for (int64_t n = 1; n <= 4; n += 3) compare_pair("empty", n);
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
    const struct CMUnitTest tests[] = {cmocka_unit_test(pairs), cmocka_unit_test(no_elements)};
    int bad = compile_all(argc > 1 ? argv[1] : ".");
    return bad ? bad : cmocka_run_group_tests(tests, NULL, NULL);
}
