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

/* Whether a result's extents become known in the call alone: how a caller learns of them is not settled. */
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
        if (sizes_itself(func)) continue;
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
