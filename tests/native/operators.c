/* Every operator of the table on its cases (tests/ops/cases.h), for every element type it takes: native code against
 * the f64 interpreter with rounding, on operands with zeros, subnormals, infinities and NaN where the operator is
 * elementwise, with run-time dims of several sizes, and on 1, 2 and 3 threads bit for bit. */
#include "cases.h"
#include "native.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <cmocka.h>

/* Of 1 + |x|. Sums are added up in another order: some units in the last place. Those of f16 and bf16 are computed in
 * f32 and rounded, which may fall to the other side of one. */
static const double tolerances[DTYPE_COUNT] = {
    [DTYPE_F64] = 1e-14, [DTYPE_F32] = 2e-6, [DTYPE_F16] = 0x1p-10, [DTYPE_BF16] = 0x1p-7};

typedef struct Run {
    Arena arena;
    Text text;
    VEC(const OpCase *) cases; /* by function */
    const OpCase *now;
} Run;

static void fill(Native *n, void *user, Tensor *const *args, int count) {
    Run *r = user;
    (void)n;
    case_fill(r->now, args, count, true);
}

static void add_cases(Run *r, const OpInfo *op, DType t) {
    int count;
    const OpCase *cases = cases_of(&r->arena, op, &count);
    for (int i = 0; i < count; i++) {
        if (!case_takes(&cases[i], t)) continue;
        const char *name = arena_printf(&r->arena, "f%d", r->cases.n);
        text_add(&r->text, "%s", case_func(&r->arena, &cases[i], t, name));
        vec_push(&r->arena, &r->cases, &cases[i]);
    }
}

/* Every function at some values of the run-time dims; each has none, B, Z or both. */
static void check_cases(Run *r, Native *n, DType t) {
    static const int64_t values[][2] = {{1, 0}, {7, 1}, {64, 33}};
    for (int i = 0; i < r->cases.n; i++) {
        const Func *f = n->module->funcs.at[i];
        r->now = r->cases.at[i];
        bool z_first = f->dims.n && f->dims.at[0]->name[0] == 'Z';
        for (int k = 0; k < (f->dims.n ? 3 : 1); k++) {
            n->what = arena_printf(&r->arena, "%s of %s in \"%s\", dims %lld, %lld", r->now->op->name, dtype_name(t),
                                   r->now->ops, (long long)values[k][0], (long long)values[k][1]);
            native_check(n, f->name, values[k] + z_first, 0);
        }
    }
}

static void check_type(DType t, const char *cpu) {
    Run r = {0};
    jmp_buf out;
    if (setjmp(out)) fail();
    arena_init(&r.arena, &out);
    r.text = text_new(&r.arena);
    text_add(&r.text, "module @m\n%s", cases_dims);
    int count;
    const OpInfo *const *ops = op_table(&count);
    const char *only = getenv("OPERATOR");
    for (int i = 0; i < count; i++)
        if (!only || !strcmp(only, ops[i]->name)) add_cases(&r, ops[i], t);
    if (!r.cases.n) return;
    NativeOptions options = {.cpu = cpu, .threads = 3, .divide = true, .tolerances = tolerances, .round = true,
                              .fill = fill, .user = &r};
    Native *n = native_open_with(text_get(&r.text), &options);
    check_cases(&r, n, t);
    native_close(n);
    arena_reset(&r.arena);
}

static void every_type_on_the_host(void **state) {
    (void)state;
    for (int t = 0; t < DTYPE_COUNT; t++) check_type((DType)t, NULL);
}

/* Vectors of other widths; without fused multiply-add; halves converted by an instruction and without one. */
static void other_processors(void **state) {
    (void)state;
#if defined __x86_64__
    static const struct {
        DType type;
        const char *cpu;
    } runs[] = {{DTYPE_F32, "x86-64-v3"}, {DTYPE_F16, "x86-64-v3"}, {DTYPE_BF16, "x86-64-v3"}, {DTYPE_I32, "x86-64-v3"},
                {DTYPE_F16, "x86-64-v2"}, {DTYPE_BF16, "x86-64-v2"}, {DTYPE_F32, "x86-64"},    {DTYPE_U8, "x86-64"}};
    for (int i = 0; i < (int)(sizeof runs / sizeof *runs); i++) check_type(runs[i].type, runs[i].cpu);
#endif
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_on_the_host),
        cmocka_unit_test(other_processors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
