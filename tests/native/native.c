/* Native against reference: see native.h. */
#include "native.h"
#include "bound.h"

#include "codegen/codegen.h"
#include "codegen/link.h"
#include "dsl/dsl.h"
#include "interp/memory.h"
#include "ir/kernel_verify.h"
#include "ir/read.h"
#include "pass/chain.h"
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
    unlink(n->path);
    fputs(text_get(&t), stderr);           /* cmocka cuts long messages */
    fail_msg("%s: %s", what, why ? why : "");
}

/* Work in the smallest pieces, however little there is. */
static void divide(KModule *k) {
    for (int i = 0; i < k->kernels.n; i++) {
        KSchedule *s = &k->kernels.at[i]->schedule;
        s->serial_below = 0;
        if (s->chunk > s->lanes) s->chunk = s->lanes;
        if (s->mc > s->mr) s->mc = s->mr;
        if (s->nc > (int64_t)s->nv * s->lanes) s->nc = (int64_t)s->nv * s->lanes;
        if ((s->pack_a || s->pack_b) && s->skinny_nv > s->nv) s->skinny_nv = s->nv;
    }
    for (int i = 0; i < k->plans.n; i++)
        for (int j = 0; j < k->plans.at[i]->steps.n; j++) k->plans.at[i]->steps.at[j].serial_below = 0;
}

static int level(const Native *n) { return n->options.level ? atoi(n->options.level) : 2; }

static KModule *lower(Native *n, Module *m, const Target *target, bool chained) {
    PassOption options[2];
    PassRun run = {.level = level(n), .skip = &n->options.skip, .skip_count = n->options.skip != NULL, .options = options};
    if (n->options.live) options[run.option_count++] = (PassOption){"recompute", "live", n->options.live};
    if (n->options.keep) options[run.option_count++] = (PassOption){"fuse", "keep", n->options.keep};
    if (!passes_run(m, &n->scratch, &run)) stop(n, "passes", NULL);
    PassContext context = {.arena = &n->arena, .scratch = &n->scratch, .diags = &n->diags};
    KModule *k = lower_module(&context, m);
    if (!k) stop(n, "lowering", NULL);
    schedule_module(k, target, &n->scratch);
    if (n->options.divide) divide(k);
    if (chained) chain_module(k, n->options.divide ? (ChainLimits){1, 1} : CHAIN_LIMITS, &n->scratch);
    place_module(k, &n->scratch);
    FaultList faults = {0};
    kernels_verify(k, &n->scratch, &faults);
    for (int i = 0; i < faults.n; i++) print_error("%s\n", faults.at[i].text);
    if (faults.n) stop(n, "kernel IR", NULL);
    return k;
}

/* The object's path is n->path. */
static void compile(Native *n, Module *m, const char *cpu, bool chained) {
    CodeHost host = code_host(&n->arena);
    const char *why = NULL, *bytes = NULL;
    size_t size = 0;
    const Target *target = target_find(&n->arena, NULL, cpu, host.triple, host.cpu, host.features, &why);
    if (!target) stop(n, "target", why);
    CodeOptions options = {.target = target, .prefix = "m", .level = level(n)};
    Code *code = code_build(&n->arena, lower(n, m, target, chained), &options, &why);
    if (!code || !code_optimise(code, &why) || !code_emit(code, CODE_OBJECT, &bytes, &size, &why))
        stop(n, "code", why);
    LinkOptions link = {.target = target, .runtime = RUNTIME_ARCHIVE, .output = n->path, .object = bytes,
                        .object_bytes = size};
    if (!link_shared(&n->arena, &link, &why)) stop(n, "link", why);
    code_free(code);
}

/* The module, made anew at each call: from IR text, or from a source if it has a path. */
static Module *read_module(Native *n, const char *path, const char *text) {
    DslOptions options = dsl_default_options();
    if (path) return dsl_compile(&n->arena, &n->names, &n->diags, path, text, strlen(text), &options);
    uint32_t source = diag_add_source(&n->diags, "test.ir", text, strlen(text));
    return module_read(&n->arena, &n->names, &n->diags, source);
}

/* A loaded object stays, so no two may have one name. */
static void make_file(Native *n) {
    snprintf(n->path, sizeof n->path, "/tmp/dlcc-native-XXXXXX");
    int file = mkstemp(n->path);
    if (file < 0) fail_msg("cannot make %s", n->path);
    close(file);
}

/* The object, opened for some number of threads. */
static void open_object(Native *n, int threads) {
    char message[256] = "";
    DlrtOptions options = {.threads = threads};
    int i = n->model_count++;
    DlrtStatus s = dlrt_open_file(n->path, &options, &n->models[i], message, sizeof message);
    if (s) fail_msg("open: %d %s", s, message);
    assert_int_equal(dlrt_context_create(n->models[i], NULL, &n->contexts[i]), DLRT_OK);
}

/* One more object, without chains. */
static void open_unchained(Native *n, const char *path, const char *text) {
    Module *twin = read_module(n, path, text);
    make_file(n);
    compile(n, twin, n->options.cpu, false);
    open_object(n, 1);
    unlink(n->path);
}

static Native *open_module(const char *path, const char *text, const NativeOptions *options) {
    Native *n = calloc(1, sizeof *n);
    if (setjmp(n->out_of_memory)) fail_msg("out of memory");
    arena_init(&n->arena, &n->out_of_memory);
    arena_init(&n->scratch, &n->out_of_memory);
    intern_init(&n->names, &n->arena);
    diags_init(&n->diags, &n->arena);
    n->options = *options;
    n->int_limit = 5;
    n->var_low = -2, n->var_high = 2;
    make_file(n);
    n->module = read_module(n, path, text);
    Module *twin = n->module ? read_module(n, path, text) : NULL;
    if (!twin) stop(n, "reading", NULL);
    compile(n, twin, options->cpu, true);
    n->interp = interp_open(n->module, &n->arena, &n->scratch, options->round);
    if (!interp_init(n->interp, 0)) stop(n, "initialising", n->interp->error);
    open_object(n, options->threads);
    n->model = n->models[0];
    n->context = n->contexts[0];
    for (int less = 1; options->divide && less < options->threads && less < NATIVE_MOST; less++)
        open_object(n, options->threads - less);
    unlink(n->path);                       /* what is loaded stays */
    if (options->unchained) open_unchained(n, path, text);
    return n;
}

Native *native_open_with(const char *text, const NativeOptions *options) { return open_module(NULL, text, options); }

Native *native_open_source_with(const char *path, const char *text, const NativeOptions *options) {
    return open_module(path, text, options);
}

Native *native_open(const char *text, const char *cpu, int threads) {
    return open_module(NULL, text, &(NativeOptions){.cpu = cpu, .threads = threads});
}

Native *native_open_source(const char *path, const char *text, const char *cpu, int threads) {
    return open_module(path, text, &(NativeOptions){.cpu = cpu, .threads = threads});
}

void native_close(Native *n) {
    for (int i = 0; i < n->model_count; i++) {
        dlrt_context_destroy(n->contexts[i]);
        dlrt_close(n->models[i]);
    }
    arena_reset(&n->scratch);
    arena_reset(&n->arena);
    free(n);
}

/* ------------------------------------------------------------------------- elements */

static void draw(Native *n, Tensor *t, double low, double high, uint64_t *random) {
    for (int64_t i = 0; i < t->count; i++) {
        double x = native_random(random);
        if (dtype_is_float(t->dtype)) t->at[i].f = (double)(float)(low + (high - low) * x);
        else t->at[i].i = (int64_t)(x * (t->dtype == DTYPE_BOOL ? 2 : (double)n->int_limit));
    }
}

static bool agrees(Native *n, DType t, Number got, Number want, double allowed) {
    if (!dtype_is_float(t)) return got.i == want.i;
    if (isnan(want.f) || isinf(want.f)) return isnan(want.f) ? isnan(got.f) : got.f == want.f;
    double off = fabs(got.f - want.f), error = off == 0 ? 0 : off / allowed;
    if (error > n->worst) n->worst = error;
    return error <= 1;
}

static double largest(const Tensor *t) {
    double most = 0;
    for (int64_t i = 0; i < t->count; i++)
        if (isfinite(t->at[i].f)) most = fmax(most, fabs(t->at[i].f));
    return most;
}

static void differs(const char *func, const char *what, const Tensor *want, const Tensor *got, int64_t i) {
    if (dtype_is_float(want->dtype))
        fail_msg("%s: %s[%lld] of %lld is %.9g, expected %.9g", func, what, (long long)i, (long long)want->count,
                 got->at[i].f, want->at[i].f);
    fail_msg("%s: %s[%lld] of %lld is %lld, expected %lld", func, what, (long long)i, (long long)want->count,
             (long long)got->at[i].i, (long long)want->at[i].i);
}

static Tensor *read_memory(Native *n, const Tensor *like, const void *memory) {
    Tensor *t = tensor_new(&n->arena, like->dtype, like->rank, like->shape);
    memory_read(t, memory);
    return t;
}

static void compare(Native *n, const char *func, const char *what, const Tensor *want, const void *memory,
                    double tolerance) {
    Tensor *got = read_memory(n, want, memory);
    if (n->options.tolerances) tolerance = n->options.tolerances[want->dtype];
    double scale = dtype_is_float(want->dtype) && n->by_largest ? largest(want) : 0;
    for (int64_t i = 0; i < want->count; i++) {
        Number g = got->at[i], w = want->at[i];
        if (!agrees(n, want->dtype, g, w, tolerance * (n->by_largest ? scale : 1 + fabs(w.f))))
            differs(func, what, want, got, i);
    }
}

/* The same by the bound that rounding explains. */
static void compare_bound(Native *n, Bound *b, const char *func, const char *what, bool is_var, int which,
                          const Tensor *want, const void *memory) {
    Tensor *got = read_memory(n, want, memory);
    int64_t at = 0;
    n->elements += want->count;
    for (int64_t i = 0; i < want->count; i++) n->no_numbers += dtype_is_float(want->dtype) && !isfinite(want->at[i].f);
    if (!bound_holds(b, is_var, which, got, &at)) differs(func, what, want, got, at);
}

/* --------------------------------------------------------------------------- calls */

/* Room for the tensor's elements. */
static void *memory_for(Native *n, const Tensor *t) { return arena_alloc(&n->arena, memory_bytes(t) + 1); }

static Tensor *tensor_for(Native *n, Type type, const int64_t *dims) {
    int64_t shape[MAX_RANK] = {0};
    for (int d = 0; d < type.rank; d++) shape[d] = dim_eval(&n->module->dims, type.shape[d], dims);
    return tensor_new(&n->arena, type.dtype, type.rank, shape);
}

static DlrtTensor handed_over(const Tensor *t, void *data) {
    DlrtTensor h = {.data = data, .dtype = (int32_t)t->dtype, .rank = t->rank, .bytes = memory_bytes(t)};
    for (int d = 0; d < t->rank; d++) h.shape[d] = t->shape[d];
    return h;
}

/* Caches are their context's: they stay as the initializer left them on both sides. */
static void set_vars(Native *n, uint64_t *random) {
    for (int i = 0; i < n->module->vars.n; i++) {
        Var *v = n->module->vars.at[i];
        if (v->kind == VAR_CACHE) continue;
        Tensor *t = n->interp->vars[v->id];
        bool learned = v->kind == VAR_PARAM || !n->options.sampled;
        draw(n, t, learned ? n->var_low : 0.25, n->var_high, random);
        void *memory = memory_for(n, t);
        memory_write(t, memory);
        for (int k = 0; k < n->model_count; k++)
            if (dlrt_set(n->models[k], v->name, memory, memory_bytes(t)))
                fail_msg("set %s: %s", v->name, dlrt_model_message(n->models[k]));
    }
}

static void compare_vars(Native *n, Bound *b, const char *func, double tolerance) {
    for (int i = 0; i < n->module->vars.n; i++) {
        Var *v = n->module->vars.at[i];
        if (v->kind == VAR_CACHE) continue;
        Tensor *t = n->interp->vars[v->id];
        void *memory = memory_for(n, t);
        assert_int_equal(dlrt_get(n->model, v->name, memory, memory_bytes(t)), DLRT_OK);
        if (b) compare_bound(n, b, func, v->name, true, v->id, t, memory);
        else compare(n, func, v->name, t, memory, tolerance);
        void *other = memory_for(n, t);
        for (int k = 1; k < n->model_count; k++) {
            assert_int_equal(dlrt_get(n->models[k], v->name, other, memory_bytes(t)), DLRT_OK);
            if (memcmp(other, memory, memory_bytes(t)))
                fail_msg("%s: %s differs on %d threads", func, v->name, n->options.threads - k);
        }
    }
}

static int find_func(const Native *n, const char *name) {
    for (int i = 0; i < n->module->funcs.n; i++)
        if (!strcmp(n->module->funcs.at[i]->name, name)) return i;
    fail_msg("no function %s", name);
    return -1;
}

/* The same call on other numbers of threads; results, as large as `want`, bit for bit. */
static void call_others(Native *n, const char *name, int number, const DlrtTensor *in, int count, const DlrtTensor *out,
                        Tensor *const *want, int result_count) {
    DlrtTensor *again = arena_array(&n->arena, DlrtTensor, result_count + 1);
    for (int k = 1; k < n->model_count; k++) {
        for (int i = 0; i < result_count; i++) {
            again[i] = out[i];
            again[i].data = arena_alloc(&n->arena, (size_t)out[i].bytes + 1);
        }
        DlrtStatus s = dlrt_call(n->contexts[k], number, in, count, again, result_count);
        if (s) fail_msg("%s: status %d, %s", name, s, dlrt_message(n->contexts[k]));
        for (int i = 0; i < result_count; i++)
            if (memcmp(again[i].data, out[i].data, memory_bytes(want[i])))
                fail_msg("%s: result %d differs in object %d, with fewer threads or without chains", name, i, k);
    }
}

/* Values of the dims with those that the call itself finds at their bounds: results need room for them. */
static int64_t *dims_at_most(Native *n, const Func *f, const int64_t *values) {
    int count = n->module->dims.symbols.n;
    int64_t *most = arena_array(&n->arena, int64_t, count + 1);
    for (int i = 0; i < count; i++) {
        const DimSymbol *s = n->module->dims.symbols.at[i];
        bool is_free = false;
        for (int k = 0; k < f->dims.n; k++) is_free = is_free || f->dims.at[k] == s;
        most[i] = is_free || s->of ? values[i] : s->upper;
    }
    return most;
}

static void check_shape(const char *func, const char *what, const DlrtTensor *got, const Tensor *want) {
    bool same = got->rank == want->rank;
    for (int d = 0; same && d < want->rank; d++) same = got->shape[d] == want->shape[d];
    if (!same) fail_msg("%s: %s has another shape than expected", func, what);
}

static void set_arguments(Native *n, Tensor *const *args, int count, uint64_t *random) {
    if (n->options.fill) n->options.fill(n, n->options.user, args, count);
    for (int i = 0; i < count && !n->options.fill; i++) draw(n, args[i], -2, 2, random);
}

void native_check(Native *n, const char *name, const int64_t *dims, double tolerance) {
    int number = find_func(n, name), count = 0, result_count = 0;
    Func *f = n->module->funcs.at[number];
    Arena *arena = &n->arena;
    if (n->what) name = n->what;
    uint64_t random = hash_text(name, strlen(name));
    set_vars(n, &random);
    Tensor **args = arena_array(arena, Tensor *, f->inputs.n + 1);
    Tensor **none = arena_array(arena, Tensor *, f->inputs.n + 1);
    Tensor **results = arena_array(arena, Tensor *, f->results.n + 1);
    DlrtTensor *in = arena_array(arena, DlrtTensor, f->inputs.n + 1);
    DlrtTensor *out = arena_array(arena, DlrtTensor, f->results.n + 1);
    const char *error = NULL;
    if (!dims && f->dims.n) fail_msg("%s: its %d dims need values", name, f->dims.n);
    int64_t *values = interp_bind(f, dims, none, arena, &error);
    if (!values) fail_msg("%s: %s", name, error);
    int64_t *most = dims_at_most(n, f, values);
    for (int i = 0; i < f->inputs.n; i++) {
        if (f->inputs.at[i].kind != PORT_ARG) continue;
        args[count++] = tensor_for(n, f->body->params.at[i]->type, values);
    }
    set_arguments(n, args, count, &random);
    for (int i = 0; i < count; i++) {
        void *memory = memory_for(n, args[i]);
        memory_write(args[i], memory);
        in[i] = handed_over(args[i], memory);
    }
    for (int i = 0; i < f->results.n; i++) {
        if (f->results.at[i].var) continue;
        Tensor *t = tensor_for(n, f->body->yields.at[i]->type, most);
        out[result_count++] = handed_over(t, memory_for(n, t));
    }
    Bound *b = n->options.sampled ? bound_new(n, f, dims, args, count) : NULL;
    if (!interp_run(n->interp, f, dims, args, results)) fail_msg("%s: %s", name, n->interp->error);
    if (b) bound_reference(b, results, result_count);
    DlrtStatus s = dlrt_call(n->context, number, in, count, out, result_count);
    if (s) fail_msg("%s: status %d, %s", name, s, dlrt_message(n->context));
    const DlrtTensorInfo *info = n->model->info->functions[number].results;
    for (int i = 0; i < result_count; i++) {
        check_shape(name, info[i].name, &out[i], results[i]);
        if (b) compare_bound(n, b, name, info[i].name, false, i, results[i], out[i].data);
        else compare(n, name, info[i].name, results[i], out[i].data, tolerance);
    }
    call_others(n, name, number, in, count, out, results, result_count);
    compare_vars(n, b, name, tolerance);
}
