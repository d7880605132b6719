/* dsl_oracle MODEL.dl: evaluates every exported function in the interpreter and prints what went in and out, for
 * oracle.py. Each function gets fresh variables and three calls. Lines are
 *   func NAME | step K | var NAME SHAPE : VALUES | arg NAME SHAPE : VALUES | result I SHAPE : VALUES */
#include "dsl/dsl.h"
#include "interp/interp.h"

#include <stdio.h>
#include <stdlib.h>

enum { ROWS = 5, STEPS = 3, CLASSES = 4 };

static double next_random(uint64_t *state) {
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (double)(*state >> 40) / (double)(1 << 24);
}

static void print_tensor(const char *what, const char *name, const Tensor *t) {
    printf("%s %s", what, name);
    for (int i = 0; i < t->rank; i++) printf(" %lld", (long long)t->shape[i]);
    printf(" :");
    for (int64_t i = 0; i < t->count; i++) {
        if (dtype_is_float(t->dtype)) printf(" %.17g", t->at[i].f);
        else printf(" %lld", (long long)t->at[i].i);
    }
    printf("\n");
}

static Tensor *argument(const Interp *in, Func *f, int port, uint64_t *random) {
    Type type = f->body->params.at[port]->type;
    int64_t shape[MAX_RANK];
    for (int i = 0; i < type.rank; i++) shape[i] = dim_is_const(type.shape[i]) ? dim_value(type.shape[i]) : ROWS;
    Tensor *t = tensor_new(in->arena, type.dtype, type.rank, shape);
    for (int64_t i = 0; i < t->count; i++) {
        double u = next_random(random);
        if (!dtype_is_float(type.dtype)) t->at[i].i = (int64_t)(u * CLASSES);
        else t->at[i].f = type.rank ? 4 * u - 2 : 0.1;
    }
    return t;
}

static bool run_function(Interp *in, Func *f) {
    uint64_t random = 1;
    printf("func %s\n", f->name);
    if (!interp_init(in, 7)) return false;
    for (int step = 0; step < STEPS; step++) {
        Tensor *args[16], *results[32];
        int args_count = 0, result_count = 0;
        printf("step %d\n", step);
        for (int i = 0; i < in->module->vars.n; i++) print_tensor("var", in->module->vars.at[i]->name, in->vars[i]);
        for (int i = 0; i < f->inputs.n; i++) {
            if (f->inputs.at[i].kind != PORT_ARG) continue;
            args[args_count] = argument(in, f, i, &random);
            print_tensor("arg", f->inputs.at[i].name, args[args_count++]);
        }
        if (!interp_run(in, f, NULL, args, results)) return false;
        for (int i = 0; i < f->results.n; i++) {
            char name[16];
            if (f->results.at[i].var) continue;
            snprintf(name, sizeof name, "%d", result_count);
            print_tensor("result", name, results[result_count++]);
        }
    }
    printf("end\n");
    for (int i = 0; i < in->module->vars.n; i++) print_tensor("var", in->module->vars.at[i]->name, in->vars[i]);
    return true;
}

int main(int argc, char **argv) {
    static char text[1 << 16];
    jmp_buf out_of_memory;
    Arena arena, scratch;
    Interner names;
    Diags diags;
    FILE *file = argc == 2 ? fopen(argv[1], "rb") : NULL;
    arena_init(&arena, &out_of_memory);
    arena_init(&scratch, &out_of_memory);
    if (!file || setjmp(out_of_memory)) return 2;
    size_t length = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    intern_init(&names, &arena);
    diags_init(&diags, &arena);
    DslOptions options = dsl_default_options();
    Module *m = dsl_compile(&arena, &names, &diags, argv[1], text, length, &options);
    Text messages = text_new(&arena);
    diags_render(&diags, &messages, false);
    fputs(text_get(&messages), stderr);
    if (!m) return 1;
    Interp *in = interp_open(m, &arena, &scratch, false);
    bool good = true;
    for (int i = 0; i < m->funcs.n && good; i++) good = run_function(in, m->funcs.at[i]);
    if (!good) fprintf(stderr, "%s\n", in->error);
    arena_reset(&scratch);
    arena_reset(&arena);
    return good ? 0 : 1;
}
