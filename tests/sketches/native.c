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
} Case;

static const char *folder = ".";
static char text[1 << 16];

static const Case cases[] = {
    {"01_batchnorm.dl", "B=5", 2e-4, 2, 1},
    {"02_attention.dl", "B=3 T=5", 1e-3, 65, 0.3},
    {"03_bilstm.dl", "B=3 T=5", 1e-3, 3, 1},
    {"04_gcn.dl", "N=9 E=30", 2e-4, 7, 1},
    {"05_wgan_gp.dl", "K=5 B=3 B_2=3", 1e-3, 2, 1},
    {"06_byol.dl", "B=5", 1e-3, 2, 1},
    {"08_beam.dl", "S=4 T=3", 1e-3, 7, 1},
    {"09_ctc.dl", "B=3 T=7 S=3", 1e-3, 3, 1},
    {"10_optim.dl", "B=6", 1e-3, 3, 1},
    {"11_accumulate.dl", "B=4 K=3", 1e-3, 3, 1},
    {"12_vae.dl", "B=6", 1e-3, 2, 0.05},
    {"13_weightnorm.dl", "B=7", 1e-3, 2, 1},
    {"15_tree.dl", "B=3 M=6", 1e-3, 5, 1},
    {"16_schedule.dl", "B=5", 1e-3, 3, 1},
    {"17_finetune.dl", "B=4 T=6", 1e-3, 18, 1},
    {"18_unfold.dl", "N=2", 1e-4, 2, 1},
    {"19_custom_grad.dl", "N=7", 1e-4, 2, 1},
    {"20_dims.dl", "B=9 B_2=9", 1e-3, 10, 1},
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

/* Both sides' arguments: integers at random. Returns how many. */
static int draw_arguments(Native *n, const Case *c, const Func *func, uint64_t *random, Tensor **args, DlrtTensor *in) {
    int64_t dims[64] = {0};
    int count = 0;
    for (int d = 0; d < func->dims.n; d++) dims[func->dims.at[d]->id] = value_of(c->dims, func->dims.at[d]->name);
    for (int i = 0; i < func->inputs.n; i++) {
        if (func->inputs.at[i].kind != PORT_ARG) continue;
        Type type = func->body->params.at[i]->type;
        DlrtTensor *t = &in[count];
        assert_int_equal(type.dtype, DTYPE_I32);
        *t = (DlrtTensor){.dtype = (int32_t)type.dtype, .rank = type.rank};
        for (int d = 0; d < type.rank; d++) t->shape[d] = dim_eval(&n->module->dims, type.shape[d], dims);
        Tensor *x = args[count++] = tensor_new(&n->arena, type.dtype, type.rank, t->shape);
        int32_t *data = arena_array(&n->arena, int32_t, x->count + 1);
        for (int64_t k = 0; k < x->count; k++) {
            x->at[k].i = (int64_t)(native_random(random) * (double)c->int_limit);
            data[k] = (int32_t)x->at[k].i;
        }
        t->data = data;
    }
    return count;
}

static void same_integers(const DlrtTensor *got, const Tensor *want) {
    assert_int_equal(got->rank, want->rank);
    for (int d = 0; d < got->rank; d++) assert_int_equal(got->shape[d], want->shape[d]);
    for (int64_t k = 0; k < want->count; k++) assert_int_equal(((const int32_t *)got->data)[k], want->at[k].i);
}

/* A function whose results size themselves, for several initial values: shapes and values. */
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
        for (int r = 0; r < result_count; r++) same_integers(&out[r], want[r]);
        seen[out[0].shape[0]] = true;
        out[0].bytes = 4;                      /* room for less than the most is refused, whatever it will be */
        assert_int_equal(dlrt_call(n->context, number, in, count, out, result_count), DLRT_ERR_SIZE);
    }
    for (int i = 0, lengths = 0; i < ROOM; i++) varies = varies || (lengths += seen[i]) > 1;
    assert_true(varies);
}

static void check_file(void **state) {
    const Case *c = *state;
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, c->file);
    FILE *f = fopen(path, "rb");
    if (!f) fail_msg("cannot open %s", path);
    text[fread(text, 1, sizeof text - 1, f)] = 0;
    fclose(f);
    Native *n = native_open_source(c->file, text, NULL, 2);
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
