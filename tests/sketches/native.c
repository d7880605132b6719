/* Every function of every sketch as native code against the interpreter, on the same arguments and variables. */
#include "../native/native.h"

#include <stdio.h>
#include <stdlib.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

typedef struct Case {
    const char *file;
    int64_t dims[4];           /* of every function, in the order of the file's dims that it has */
    double tolerance;
    int64_t int_limit;         /* integers are drawn below it */
    double var_high;           /* of variables */
} Case;

static const char *folder = ".";
static char text[1 << 16];

static const Case cases[] = {
    {"01_batchnorm.dl", {5}, 2e-4, 2, 1},
    {"02_attention.dl", {3, 5}, 1e-3, 65, 0.3},
    {"03_bilstm.dl", {3, 5}, 1e-3, 3, 1},
    {"04_gcn.dl", {9, 30}, 2e-4, 7, 1},
    {"05_wgan_gp.dl", {3}, 1e-3, 2, 1},
    {"06_byol.dl", {5}, 1e-3, 2, 1},
    {"08_beam.dl", {4}, 1e-3, 7, 1},
    {"09_ctc.dl", {3, 7, 3}, 1e-3, 3, 1},
    {"10_optim.dl", {6}, 1e-3, 3, 1},
    {"11_accumulate.dl", {4, 3}, 1e-3, 3, 1},
    {"12_vae.dl", {6}, 1e-3, 2, 0.05},
    {"13_weightnorm.dl", {7}, 1e-3, 2, 1},
    {"15_tree.dl", {3, 6}, 1e-3, 5, 1},
    {"16_schedule.dl", {5}, 1e-3, 3, 1},
    {"17_finetune.dl", {4, 6}, 1e-3, 18, 1},
    {"19_custom_grad.dl", {7}, 1e-4, 2, 1},
    {"20_dims.dl", {9}, 1e-3, 10, 1},
};

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
        printf("# %s %s\n", c->file, n->module->funcs.at[i]->name);
        native_check(n, n->module->funcs.at[i]->name, c->dims, c->tolerance);
    }
    native_close(n);
}

int main(int argc, char **argv) {
    enum { COUNT = sizeof cases / sizeof *cases };
    struct CMUnitTest tests[COUNT];
    if (argc > 1) folder = argv[1];
    for (int i = 0; i < COUNT; i++)
        tests[i] = (struct CMUnitTest){.name = cases[i].file, .test_func = check_file, .initial_state = (void *)&cases[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
