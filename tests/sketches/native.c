/* Every function of every sketch as native code against the interpreter, on the same arguments and variables. */
#include "../native/native.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

typedef struct Case {
    const char *file;
    const char *dims;          /* values of the dims that functions have: "B=3 T=5" */
    double tolerance;
    int64_t int_limit;         /* integers are drawn below it */
    double var_high;           /* of variables */
    /* Too deep for a tolerance: held to what rounding explains. What sizes itself is empty at the initial values. */
    bool deep;
} Case;

static const char *folder = ".";
static char text[1 << 16];

static const Case cases[] = {
    {"01_batchnorm.dl", "B=5", 2e-4, 2, 1, false},
    {"02_attention.dl", "B=3 T=5", 1e-3, 65, 0.3, false},
    {"03_bilstm.dl", "B=3 T=5", 1e-3, 3, 1, false},
    {"04_gcn.dl", "N=9 E=30", 2e-4, 7, 1, false},
    {"05_wgan_gp.dl", "K=5 B=3 B_2=3", 1e-3, 2, 1, false},
    {"06_byol.dl", "B=5", 1e-3, 2, 1, false},
    {"07_fpn.dl", "B=2 G=3", 1e-4, 3, 0.1, true},
    {"08_beam.dl", "S=4 T=3", 1e-3, 7, 1, false},
    {"09_ctc.dl", "B=3 T=7 S=3", 1e-3, 3, 1, false},
    {"10_optim.dl", "B=6", 1e-3, 3, 1, false},
    {"11_accumulate.dl", "B=4 K=3", 1e-3, 3, 1, false},
    {"12_vae.dl", "B=6", 1e-3, 2, 0.05, false},
    {"13_weightnorm.dl", "B=7", 1e-3, 2, 1, false},
    {"15_tree.dl", "B=3 M=6", 1e-3, 5, 1, false},
    {"16_schedule.dl", "B=5", 1e-3, 3, 1, false},
    {"17_finetune.dl", "B=4 T=6", 1e-3, 18, 1, false},
    {"18_unfold.dl", "N=2", 1e-4, 2, 1, false},
    {"19_custom_grad.dl", "N=7", 1e-4, 2, 1, false},
    {"20_dims.dl", "B=9 B_2=9", 1e-3, 10, 1, false},
};

static int64_t value_of(const char *dims, const char *name) {
    for (size_t n = strlen(name); *dims; dims += strcspn(dims, " "), dims += strspn(dims, " "))
        if (!strncmp(dims, name, n) && dims[n] == '=') return strtoll(dims + n + 1, NULL, 10);
    fail_msg("no value for the dim %s", name);
    return 0;
}

/* Whether a result's extents become known in the call alone. */
static bool sizes_itself(const Func *f) {
    for (int i = 0; i < f->results.n; i++)
        for (int d = 0; d < f->body->yields.at[i]->type.rank; d++) {
            Dim extent = f->body->yields.at[i]->type.shape[d];
            bool known = dim_is_const(extent);
            for (int k = 0; k < f->dims.n; k++)
                known = known || dim_mentions(&f->module->dims, extent, f->dims.at[k]->id);
            if (!known) return true;
        }
    return false;
}

enum { MOST = 8, ROOM = 4096 };

/* Both sides' arguments: integers at random, floats in -2 .. 2. Returns how many. */
static int draw_arguments(Native *n, const Case *c, const Func *func, uint64_t *random, Tensor **args, DlrtTensor *in) {
    int64_t dims[64] = {0};
    int count = 0;
    for (int d = 0; d < func->dims.n; d++) dims[func->dims.at[d]->id] = value_of(c->dims, func->dims.at[d]->name);
    for (int i = 0; i < func->inputs.n; i++) {
        if (func->inputs.at[i].kind != PORT_ARG) continue;
        Type type = func->body->params.at[i]->type;
        DlrtTensor *t = &in[count];
        bool real = type.dtype == DTYPE_F32;
        assert_true(real || type.dtype == DTYPE_I32);
        *t = (DlrtTensor){.dtype = (int32_t)type.dtype, .rank = type.rank};
        for (int d = 0; d < type.rank; d++) t->shape[d] = dim_eval(&n->module->dims, type.shape[d], dims);
        Tensor *x = args[count++] = tensor_new(&n->arena, type.dtype, type.rank, t->shape);
        t->data = arena_alloc(&n->arena, 4 * (size_t)x->count + 1);
        for (int64_t k = 0; k < x->count; k++) {
            double u = native_random(random);
            if (real) {
                x->at[k].f = ((float *)t->data)[k] = (float)(4 * u - 2);
            } else {
                x->at[k].i = ((int32_t *)t->data)[k] = (int32_t)(u * (double)c->int_limit);
            }
        }
    }
    return count;
}

static void same(const DlrtTensor *got, const Tensor *want, double tolerance) {
    assert_int_equal(got->rank, want->rank);
    for (int d = 0; d < got->rank; d++) assert_int_equal(got->shape[d], want->shape[d]);
    for (int64_t k = 0; k < want->count; k++) {
        if (want->dtype == DTYPE_F32) {
            assert_float_equal(((const float *)got->data)[k], want->at[k].f, tolerance);
        } else {
            assert_int_equal(((const int32_t *)got->data)[k], want->at[k].i);
        }
    }
}

/* A function whose results size themselves, for several initial values: shapes and values. The first one that does is
 * what has no room. */
static void check_sizing(Native *n, const Case *c, const Func *func) {
    enum { DRAWS = 12 };
    uint64_t random = 1;
    int number = 0, result_count;
    bool seen[ROOM] = {false}, varies = false;
    while (n->module->funcs.at[number] != func) number++;
    const DlrtFunctionInfo *info = &n->model->info->functions[number];
    for (int draw = 0; draw < DRAWS; draw++) {
        Tensor *args[MOST], *want[MOST];
        DlrtTensor in[MOST], out[MOST] = {0};
        assert_true(!dlrt_reset(n->model, (uint64_t)draw) && interp_init(n->interp, draw));
        int count = draw_arguments(n, c, func, &random, args, in);
        assert_true(interp_run(n->interp, n->module->funcs.at[number], NULL, args, want));
        result_count = info->result_count;
        for (int r = 0; r < result_count; r++)
            out[r] = (DlrtTensor){.data = arena_alloc(&n->arena, ROOM), .bytes = ROOM, .dtype = info->results[r].dtype};
        DlrtStatus s = dlrt_call(n->context, number, in, count, out, result_count);
        if (s) fail_msg("%s: %s", func->name, dlrt_message(n->context));
        for (int r = 0; r < result_count; r++) same(&out[r], want[r], c->tolerance);
        int sized = 0;
        while (!out[sized].rank) sized++;
        seen[out[sized].shape[0]] = true;
        out[sized].bytes = 3;                  /* room for less than the most is refused, whatever it will be */
        assert_int_equal(dlrt_call(n->context, number, in, count, out, result_count), DLRT_ERR_SIZE);
    }
    for (int i = 0, lengths = 0; i < ROOM; i++) varies = varies || (lengths += seen[i]) > 1;
    assert_true(varies != c->deep && (!c->deep || seen[0]));
}

static void check_file(void **state) {
    const Case *c = *state;
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, c->file);
    FILE *f = fopen(path, "rb");
    if (!f) fail_msg("cannot open %s", path);
    text[fread(text, 1, sizeof text - 1, f)] = 0;
    fclose(f);
    NativeOptions options = {.threads = 2, .keep = "0", .sampled = c->deep};
    Native *n = native_open_source_with(c->file, text, &options);
    n->int_limit = c->int_limit;
    n->by_largest = true;
    n->var_low = 0.1 * c->var_high, n->var_high = c->var_high;
    for (int i = 0; i < n->module->funcs.n; i++) {
        const Func *func = n->module->funcs.at[i];
        int64_t dims[8];
        if (sizes_itself(func)) {
            check_sizing(n, c, func);
            continue;
        }
        for (int d = 0; d < func->dims.n; d++) dims[d] = value_of(c->dims, func->dims.at[d]->name);
        native_check(n, func->name, dims, c->tolerance);
    }
    native_close(n);
}

int main(int argc, char **argv) {
    enum { COUNT = sizeof cases / sizeof *cases };
    struct CMUnitTest tests[COUNT];
    if (argc > 1) folder = argv[1];
    for (int i = 0; i < COUNT; i++)
        tests[i] =
            (struct CMUnitTest){.name = cases[i].file, .test_func = check_file, .initial_state = (void *)&cases[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
