/* Native against reference: see native.h. */
#include "native.h"

#include "codegen/codegen.h"
#include "codegen/link.h"
#include "ir/kernel_verify.h"
#include "ir/read.h"
#include "pass/lower.h"
#include "pass/place.h"
#include "pass/schedule.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <setjmp.h>
#include <cmocka.h>

double native_random(uint64_t *state) {
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (double)((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

static void stop(Native *n, const char *what, const char *why) {
    Text t = text_new(&n->arena);
    diags_render(&n->diags, &t, false);
    fail_msg("%s: %s\n%s", what, why ? why : "", text_get(&t));
}

static KModule *lower(Native *n, Module *m, const Target *target) {
    PassRun run = {.level = 2};
    if (!passes_run(m, &n->scratch, &run)) stop(n, "passes", NULL);
    PassContext context = {.arena = &n->arena, .scratch = &n->scratch, .diags = &n->diags};
    KModule *k = lower_module(&context, m);
    if (!k) stop(n, "lowering", NULL);
    schedule_module(k, target, &n->scratch);
    place_module(k, &n->scratch);
    FaultList faults = {0};
    kernels_verify(k, &n->scratch, &faults);
    for (int i = 0; i < faults.n; i++) print_error("%s\n", faults.at[i].text);
    if (faults.n) stop(n, "kernel IR", NULL);
    return k;
}

/* The object's path is n->path. */
static void compile(Native *n, Module *m, const char *cpu) {
    CodeHost host = code_host(&n->arena);
    const char *why = NULL, *bytes = NULL;
    size_t size = 0;
    const Target *target = target_find(&n->arena, NULL, cpu, host.triple, host.cpu, host.features, &why);
    if (!target) stop(n, "target", why);
    CodeOptions options = {.target = target, .prefix = "m", .level = 2};
    Code *code = code_build(&n->arena, lower(n, m, target), &options, &why);
    if (!code || !code_optimise(code, &why) || !code_emit(code, CODE_OBJECT, &bytes, &size, &why)) stop(n, "code", why);
    LinkOptions link = {.target = target, .runtime = RUNTIME_ARCHIVE, .output = n->path, .object = bytes, .object_bytes = size};
    if (!link_shared(&n->arena, &link, &why)) stop(n, "link", why);
    code_free(code);
}

Native *native_open(const char *text, const char *cpu, int threads) {
    Native *n = calloc(1, sizeof *n);
    if (setjmp(n->out_of_memory)) fail_msg("out of memory");
    arena_init(&n->arena, &n->out_of_memory);
    arena_init(&n->scratch, &n->out_of_memory);
    intern_init(&n->names, &n->arena);
    diags_init(&n->diags, &n->arena);
    n->int_limit = 5;
    /* A loaded object stays, so no two may have one name. */
    snprintf(n->path, sizeof n->path, "/tmp/dlcc-native-XXXXXX");
    int file = mkstemp(n->path);
    if (file < 0) fail_msg("cannot make %s", n->path);
    close(file);
    uint32_t source = diag_add_source(&n->diags, "test.ir", text, strlen(text));
    n->module = module_read(&n->arena, &n->names, &n->diags, source);
    Module *twin = module_read(&n->arena, &n->names, &n->diags, source);
    if (!n->module || !twin) stop(n, "reading", NULL);
    compile(n, twin, cpu);
    n->interp = interp_open(n->module, &n->arena, &n->scratch, false);
    char message[256] = "";
    DlrtOptions options = {.threads = threads};
    DlrtStatus s = dlrt_open_file(n->path, &options, &n->model, message, sizeof message);
    if (s) fail_msg("open: %d %s", s, message);
    assert_int_equal(dlrt_context_create(n->model, NULL, &n->context), DLRT_OK);
    return n;
}

void native_close(Native *n) {
    dlrt_context_destroy(n->context);
    dlrt_close(n->model);
    unlink(n->path);
    arena_reset(&n->scratch);
    arena_reset(&n->arena);
    free(n);
}

/* ------------------------------------------------------------------------- elements */

static void to_memory(const Tensor *t, void *to) {
    for (int64_t i = 0; i < t->count; i++) switch (t->dtype) {
        case DTYPE_F64: ((double *)to)[i] = t->at[i].f; break;
        case DTYPE_F32: ((float *)to)[i] = (float)t->at[i].f; break;
        case DTYPE_I64: ((int64_t *)to)[i] = t->at[i].i; break;
        case DTYPE_I32: ((int32_t *)to)[i] = (int32_t)t->at[i].i; break;
        case DTYPE_I8: ((int8_t *)to)[i] = (int8_t)t->at[i].i; break;
        default: ((uint8_t *)to)[i] = (uint8_t)t->at[i].i; break;
        }
}

static Number from_memory(DType t, const void *from, int64_t i) {
    switch (t) {
    case DTYPE_F64: return (Number){.f = ((const double *)from)[i]};
    case DTYPE_F32: return (Number){.f = (double)((const float *)from)[i]};
    case DTYPE_I64: return (Number){.i = ((const int64_t *)from)[i]};
    case DTYPE_I32: return (Number){.i = ((const int32_t *)from)[i]};
    case DTYPE_I8: return (Number){.i = ((const int8_t *)from)[i]};
    default: return (Number){.i = ((const uint8_t *)from)[i]};
    }
}

static void draw(Native *n, Tensor *t, uint64_t *random) {
    for (int64_t i = 0; i < t->count; i++) {
        double x = native_random(random);
        if (dtype_is_float(t->dtype)) t->at[i].f = (double)(float)(4 * x - 2);
        else t->at[i].i = (int64_t)(x * (t->dtype == DTYPE_BOOL ? 2 : (double)n->int_limit));
    }
}

static bool agrees(Native *n, DType t, Number got, Number want, double tolerance) {
    if (!dtype_is_float(t)) return got.i == want.i;
    if (isnan(want.f) || isinf(want.f)) return isnan(want.f) ? isnan(got.f) : got.f == want.f;
    double error = fabs(got.f - want.f) / (tolerance * (1 + fabs(want.f)));
    if (error > n->worst) n->worst = error;
    return error <= 1;
}

static void compare(Native *n, const char *func, const char *what, const Tensor *want, const void *got, double tolerance) {
    for (int64_t i = 0; i < want->count; i++) {
        Number g = from_memory(want->dtype, got, i);
        if (agrees(n, want->dtype, g, want->at[i], tolerance)) continue;
        if (dtype_is_float(want->dtype))
            fail_msg("%s: %s[%lld] of %lld is %.9g, expected %.9g", func, what, (long long)i, (long long)want->count, g.f,
                     want->at[i].f);
        fail_msg("%s: %s[%lld] of %lld is %lld, expected %lld", func, what, (long long)i, (long long)want->count,
                 (long long)g.i, (long long)want->at[i].i);
    }
}

/* --------------------------------------------------------------------------- calls */

static void *memory_for(Native *n, DType t, int64_t count) {
    return arena_alloc(&n->arena, (size_t)(count + 1) * (size_t)dtype_bytes(t));
}

static Tensor *tensor_for(Native *n, Type type, const int64_t *dims) {
    int64_t shape[MAX_RANK] = {0};
    for (int d = 0; d < type.rank; d++) shape[d] = dim_eval(&n->module->dims, type.shape[d], dims);
    return tensor_new(&n->arena, type.dtype, type.rank, shape);
}

static DlrtTensor handed_over(const Tensor *t, void *data) {
    DlrtTensor h = {.data = data, .dtype = (int32_t)t->dtype, .rank = t->rank,
                    .bytes = (size_t)t->count * (size_t)dtype_bytes(t->dtype)};
    for (int d = 0; d < t->rank; d++) h.shape[d] = t->shape[d];
    return h;
}

static void set_vars(Native *n, uint64_t *random) {
    for (int i = 0; i < n->module->vars.n; i++) {
        Var *v = n->module->vars.at[i];
        Tensor *t = n->interp->vars[v->id];
        draw(n, t, random);
        void *memory = memory_for(n, t->dtype, t->count);
        to_memory(t, memory);
        DlrtStatus s = dlrt_set(n->model, v->name, memory, (size_t)t->count * (size_t)dtype_bytes(t->dtype));
        if (s) fail_msg("set %s: %s", v->name, dlrt_model_message(n->model));
    }
}

static void compare_vars(Native *n, const char *func, double tolerance) {
    for (int i = 0; i < n->module->vars.n; i++) {
        Var *v = n->module->vars.at[i];
        Tensor *t = n->interp->vars[v->id];
        void *memory = memory_for(n, t->dtype, t->count);
        assert_int_equal(dlrt_get(n->model, v->name, memory, (size_t)t->count * (size_t)dtype_bytes(t->dtype)), DLRT_OK);
        compare(n, func, v->name, t, memory, tolerance);
    }
}

void native_check(Native *n, const char *name, const int64_t *dims, double tolerance) {
    enum { MOST = 16 };
    Func *f = NULL;
    int number = 0;
    for (int i = 0; i < n->module->funcs.n; i++)
        if (!strcmp(n->module->funcs.at[i]->name, name)) f = n->module->funcs.at[number = i];
    if (!f) fail_msg("no function %s", name);
    uint64_t random = hash_text(name, strlen(name));
    set_vars(n, &random);
    Tensor *args[MOST], *all[MOST] = {0}, *results[MOST];
    DlrtTensor in[MOST], out[MOST];
    const char *error = NULL;
    int64_t *values = interp_bind(f, dims, all, &n->arena, &error);
    if (!values) fail_msg("%s: %s", name, error);
    int count = 0, result_count = 0;
    for (int i = 0; i < f->inputs.n; i++) {
        if (f->inputs.at[i].kind != PORT_ARG) continue;
        Tensor *t = args[count] = tensor_for(n, f->body->params.at[i]->type, values);
        draw(n, t, &random);
        void *memory = memory_for(n, t->dtype, t->count);
        to_memory(t, memory);
        in[count++] = handed_over(t, memory);
    }
    for (int i = 0; i < f->results.n; i++) {
        if (f->results.at[i].var) continue;
        Tensor *t = tensor_for(n, f->body->yields.at[i]->type, values);
        out[result_count++] = handed_over(t, memory_for(n, t->dtype, t->count));
    }
    if (!interp_run(n->interp, f, dims, args, results)) fail_msg("%s: %s", name, n->interp->error);
    DlrtStatus s = dlrt_call(n->context, number, in, count, out, result_count);
    if (s) fail_msg("%s: status %d, %s", name, s, dlrt_message(n->context));
    for (int i = 0; i < result_count; i++) compare(n, name, n->model->info->functions[number].results[i].name, results[i], out[i].data, tolerance);
    compare_vars(n, name, tolerance);
}
