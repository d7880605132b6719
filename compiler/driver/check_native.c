/* Native half of the gradient check: the gradients compiled for this machine against the f64 interpreter.
 *
 * Each function that is checked becomes one that gives its results and the gradients as further results and writes
 * nothing (gradient_functions). The module is made twice so: one goes through all passes to a shared object that is
 * opened and called, the other is interpreted as it is, from the same variables and arguments, all of them numbers of
 * their own precision.
 *
 * What is allowed. Let exact be a tensor as f64 gives it, and rounded the same with every operator's result rounded
 * to its type: their largest difference shows what one rounding at each step costs here, cancellation included, and
 * at least half a unit of the tensor's largest magnitude is lost. (Where results are f64 themselves, noise of a unit in
 * the last place stands for rounding.) Native sums round after each term too, which for
 * L terms costs about sqrt(L) times as much (Higham and Mary, 2019). So an element may be off by
 *     (8 + 2 * sqrt(L)) * max(largest |rounded - exact|, unit * largest |exact|),
 * L being the longest sum. At a kink (relu near 0) both sides may be right and differ by far; as that takes chance,
 * data are drawn anew, and what is wrong at every draw counts. */
#include "driver/check.h"

#include "codegen/signature.h"
#include "dlrt.h"
#include "interp/interp.h"
#include "interp/memory.h"
#include "ops/contraction.h"
#include "ops/build.h"

#include <math.h>
#include <stdlib.h>
#include <unistd.h>

enum { ROUNDS = 4, DRAWS = 3, DIM_SPAN = 48 };

typedef struct NativeCheck {
    ModelCheck *k;
    Compilation *c;
    Module *module;            /* the interpreted one */
    Interp *interp;
    DlrtModel *model;
    DlrtContext *context;
} NativeCheck;

/* One function under test. */
typedef struct Subject {
    Func *f;
    int number;
    int count, first;          /* results, and which of them is the first gradient; before it the loss, `loss` */
    int loss;
    CheckRow *rows;            /* of the loss, then of the gradients */
} Subject;

/* ------------------------------------------------------------- gradient functions */

static void drop_writes(Func *f) {
    int kept = 0;
    for (int i = 0; i < f->results.n; i++) {
        if (f->results.at[i].var) continue;
        f->results.at[kept] = f->results.at[i];
        f->body->yields.at[kept++] = f->body->yields.at[i];
    }
    f->results.n = f->body->yields.n = kept;
}

static bool add_gradients(Compilation *c, Func *f, Value *loss) {
    Value **wrt = arena_array(c->arena, Value *, f->inputs.n + 1);
    Value **gradients = arena_array(c->arena, Value *, f->inputs.n + 1);
    Builder b = {.module = f->module, .func = f, .region = f->body, .span = f->span};
    int n = 0;
    for (int i = 0; i < f->inputs.n; i++)
        if (check_covers(f, i)) wrt[n++] = f->body->params.at[i];
    if (!build_gradients(&b, loss, wrt, n, gradients)) return false;
    drop_writes(f);
    for (int i = 0; i < n; i++)
        func_add_result(f, (Result){.name = arena_printf(c->arena, "gradient%d", i)}, gradients[i]);
    return true;
}

/* Leaves the module with the checked functions alone, made into gradient functions; losses[i] is the loss of the
 * i-th. Null if the front end or the differentiator reports a mistake. */
static Module *gradient_functions(Compilation *c, Value **losses) {
    Module *m = input_module(c, false);
    if (!m) return NULL;
    int kept = 0;
    for (int i = 0; i < m->funcs.n; i++) losses[i] = check_loss(c, m->funcs.at[i]);
    for (int i = 0; i < m->funcs.n; i++) {
        if (!losses[i]) continue;
        if (!add_gradients(c, m->funcs.at[i], losses[i])) return NULL;
        losses[kept] = losses[i];
        m->funcs.at[kept++] = m->funcs.at[i];
    }
    m->funcs.n = kept;
    return m;
}

/* The terms of the longest sum in the function. */
typedef struct SumSearch {
    DimTable *table;
    const int64_t *dims;
    int64_t terms;
} SumSearch;

static int64_t elements(const SumSearch *s, const Value *v) {
    int64_t count = 1;
    for (int i = 0; i < v->type.rank; i++) count *= dim_eval(s->table, v->type.shape[i], s->dims);
    return count;
}

static void measure_sum(void *user, Op *op) {
    SumSearch *s = user;
    int64_t terms = 1;
    if (op->info->kind == KIND_REDUCE) {
        int64_t sums = elements(s, &op->results[0]);
        terms = elements(s, op->operands[0]) / (sums ? sums : 1);
    } else if (op->info->kind == KIND_CUMULATE) {
        terms = dim_eval(s->table, op->operands[0]->type.shape[op_int(op, "axis")], s->dims);
    } else if (op->info->kind == KIND_CONTRACT) {
        Contraction c = {.dims = s->table};
        op->info->contract(op, &c);
        for (int a = 0; a < c.axes; a++)
            if (c.part[a] == PART_SUM) terms *= dim_eval(s->table, c.extent[a], s->dims);
    } else if (op->info->flags & OP_UPDATES) {
        terms = elements(s, op->operands[1]);
    }
    if (terms > s->terms) s->terms = terms;
}

/* -------------------------------------------------------------------- comparison */

static double unit_of(DType t) {
    static const double units[] = {[DTYPE_F64] = 0x1p-53, [DTYPE_F32] = 0x1p-24, [DTYPE_F16] = 0x1p-11,
                                   [DTYPE_BF16] = 0x1p-8};
    return units[t];
}

static double distance(double x, double y) {
    if (x == y || (isnan(x) && isnan(y))) return 0;
    return isfinite(x) && isfinite(y) ? fabs(x - y) : INFINITY;
}

/* What is allowed of the tensor, see above. */
static double allowance(const Tensor *exact, const Tensor *rounded, int64_t terms) {
    double most = 0;
    for (int64_t i = 0; i < exact->count; i++) {
        double spread = distance(exact->at[i].f, rounded->at[i].f), size = fabs(exact->at[i].f);
        if (isfinite(spread)) most = fmax(most, spread);
        if (isfinite(size)) most = fmax(most, unit_of(exact->dtype) * size);
    }
    return (8 + 2 * sqrt((double)terms)) * most;
}

static void compare(Compilation *c, CheckRow *row, const Tensor *exact, const Tensor *rounded, const Tensor *native,
                    int64_t terms) {
    double allowed = allowance(exact, rounded, terms);
    for (int64_t i = 0; i < exact->count; i++) {
        double want = exact->at[i].f, got = native->at[i].f, off = distance(got, want);
        bool same_overflow = !isfinite(got) && distance(got, rounded->at[i].f) == 0;
        double error = off == 0 || same_overflow ? 0 : off / allowed;
        row->failed += error > 1;
        if (error <= row->worst) continue;
        row->worst = error;
        if (error > 1)
            row->detail = arena_printf(c->arena, "element %lld of %lld: native %.9g, interpreted %.9g, allowed %.2g",
                                       (long long)i, (long long)exact->count, got, want, allowed);
    }
    row->count += exact->count;
}

/* -------------------------------------------------------------------------- calls */

static DlrtTensor handed_over(Arena *arena, const Tensor *t) {
    DlrtTensor h = {.dtype = (int32_t)t->dtype, .rank = t->rank, .bytes = memory_bytes(t)};
    for (int d = 0; d < t->rank; d++) h.shape[d] = t->shape[d];
    h.data = arena_alloc(arena, h.bytes + 1);
    return h;
}

/* Calls the native function; the results' values go into tensors like those of `like`. */
static Tensor **call_native(NativeCheck *n, const Subject *s, Tensor *const *args, int arg_count, Tensor **like) {
    Arena *arena = n->c->arena;
    DlrtTensor *in = arena_array(arena, DlrtTensor, arg_count + 1), *out = arena_array(arena, DlrtTensor, s->count + 1);
    Tensor **results = arena_array(arena, Tensor *, s->count + 1);
    for (int i = 0; i < arg_count; i++) {
        in[i] = handed_over(arena, args[i]);
        memory_write(args[i], in[i].data);
    }
    for (int i = 0; i < s->count; i++) out[i] = handed_over(arena, like[i]);
    DlrtStatus status = dlrt_call(n->context, s->number, in, arg_count, out, s->count);
    if (status) {
        driver_fail(n->c, DLCC_BUG, "this is a bug in dlcc: %s, compiled, gives status %d: %s", s->f->name, (int)status,
                    dlrt_message(n->context));
        return NULL;
    }
    for (int i = 0; i < s->count; i++) {
        results[i] = tensor_new(arena, like[i]->dtype, like[i]->rank, like[i]->shape);
        memory_read(results[i], out[i].data);
    }
    return results;
}

static bool gives_doubles(const Subject *s) {
    for (int i = 0; i < s->f->body->yields.n; i++)
        if (s->f->body->yields.at[i]->type.dtype == DTYPE_F64) return true;
    return false;
}

/* The interpreter's results, every operator's rounded or none. A call count that the other call will see too. */
static Tensor **call_interp(NativeCheck *n, const Subject *s, const int64_t *dims, Tensor **args, bool round,
                            bool last) {
    Tensor **results = arena_array(n->c->arena, Tensor *, s->count + 1);
    uint64_t noise = 1;
    n->interp->round = round;
    n->interp->noise = round && gives_doubles(s) ? &noise : NULL;
    bool good = interp_run(n->interp, s->f, dims, args, results);
    n->interp->noise = NULL;
    if (!last) n->interp->counts[s->number]--;
    if (good) return results;
    driver_fail(n->c, DLCC_USER, "%s cannot be evaluated: %s", s->f->name, n->interp->error);
    return NULL;
}

/* One draw of data: fresh findings go into rows. */
static DlccStatus check_draw(NativeCheck *n, const Subject *s, const int64_t *dims, CheckRow *rows) {
    Func *f = s->f;
    Arena *arena = n->c->arena;
    const char *error;
    Tensor **args = arena_array(arena, Tensor *, f->inputs.n + 1);
    const int64_t *values = interp_bind(f, dims, arena_array(arena, Tensor *, f->inputs.n + 1), arena, &error);
    if (!values) return driver_fail(n->c, DLCC_USER, "%s cannot be evaluated: %s", f->name, error);
    int arg_count = 0;
    for (int i = 0; i < f->inputs.n; i++)
        if (f->inputs.at[i].kind == PORT_ARG) args[arg_count++] = sample_input(&n->k->sampler, f, i, values);
    Tensor **rounded = call_interp(n, s, dims, args, true, false);
    Tensor **exact = rounded ? call_interp(n, s, dims, args, false, true) : NULL;
    if (!exact) return DLCC_USER;
    Tensor **native = call_native(n, s, args, arg_count, exact);
    if (!native) return DLCC_BUG;
    SumSearch sums = {&n->module->dims, values, 1};
    region_walk(f->body, measure_sum, &sums);
    for (int i = s->first - 1; i < s->count; i++) {
        int at = i < s->first ? s->loss : i;
        compare(n->c, &rows[i - s->first + 1], exact[at], rounded[at], native[at], sums.terms);
    }
    return DLCC_OK;
}

static bool any_failed(const CheckRow *rows, int n) {
    for (int i = 0; i < n; i++)
        if (rows[i].failed) return true;
    return false;
}

/* One set of dims: draws until all is right, at most DRAWS times. */
static DlccStatus check_dims(NativeCheck *n, const Subject *s, const int64_t *dims) {
    int count = s->count - s->first + 1;
    CheckRow *rows = NULL;
    DlccStatus status = DLCC_OK;
    for (int draw = 0; draw < DRAWS && !status; draw++) {
        rows = arena_array(n->c->arena, CheckRow, count);
        status = check_draw(n, s, dims, rows);
        if (!any_failed(rows, count)) break;
    }
    for (int i = 0; i < count; i++) {
        CheckRow *total = &s->rows[i];
        total->count += rows[i].count;
        total->failed += rows[i].failed;
        if (rows[i].worst <= total->worst) continue;
        total->worst = rows[i].worst;
        total->detail = rows[i].detail;
    }
    return status;
}

static void say_findings(NativeCheck *n, const Subject *s, const char *dims) {
    int row = 0;
    check_say_title(n->k, s->f, "native code against the interpreter in f64", dims);
    s->rows[0].name = "(the loss)";
    for (int i = 0; i < s->f->inputs.n; i++)
        if (check_covers(s->f, i)) s->rows[++row].name = check_input_name(s->f, i);
    for (int i = 0; i <= row; i++) {
        s->rows[i].unit = "elements";
        n->k->elements += s->rows[i].count;
        check_say_row(n->k, s->f, &s->rows[i]);
    }
}

static DlccStatus check_function(NativeCheck *n, int number, const Value *loss) {
    Func *f = n->module->funcs.at[number];
    Subject s = {.f = f, .number = number, .count = f->results.n, .first = f->results.n};
    for (int i = 0; i < f->inputs.n; i++) s.first -= check_covers(f, i);
    while (f->body->yields.at[s.loss] != loss) s.loss++;
    s.rows = arena_array(n->c->arena, CheckRow, s.count - s.first + 1);
    Text at = text_new(n->c->arena);
    for (int round = 0; round < (f->dims.n ? ROUNDS : 1); round++) {
        const int64_t *dims = sample_dims(&n->k->sampler, f, round, DIM_SPAN);
        text_add(&at, round ? ";" : "");
        check_add_dims(&at, f, dims);
        DlccStatus status = check_dims(n, &s, dims);
        if (status) return status;
    }
    say_findings(n, &s, text_get(&at));
    return DLCC_OK;
}

/* ------------------------------------------------------------------------- set-up */

/* An empty file for the shared object, or null. */
static const char *temporary_file(Compilation *c) {
    const char *folder = getenv("TMPDIR");
    char *path = arena_printf(c->arena, "%s/dlcc-gradcheck-XXXXXX", folder && *folder ? folder : "/tmp");
    int file = mkstemp(path);
    if (file >= 0) close(file);
    return file < 0 ? NULL : path;
}

/* Variables of both sides at the same numbers: the interpreter's initial ones, rounded to their types. A cache is
 * its context's and starts with what the initializer gives it. */
static bool share_variables(NativeCheck *n) {
    if (!interp_init(n->interp, n->c->options->seed)) return false;
    for (int i = 0; i < n->module->vars.n; i++) {
        const Var *v = n->module->vars.at[i];
        Tensor *t = n->interp->vars[v->id];
        void *memory = arena_alloc(n->c->arena, memory_bytes(t) + 1);
        memory_write(t, memory);
        memory_read(t, memory);
        if (v->kind != VAR_CACHE && dlrt_set(n->model, v->name, memory, memory_bytes(t))) return false;
    }
    return true;
}

static DlccStatus check_opened(NativeCheck *n, Value *const *losses) {
    DlccStatus status = DLCC_OK;
    if (dlrt_context_create(n->model, NULL, &n->context))
        return driver_fail(n->c, DLCC_ENVIRONMENT, "there is not enough memory for the compiled gradients");
    if (!share_variables(n))
        status = driver_fail(n->c, DLCC_BUG, "this is a bug in dlcc: the compiled gradients take other variables: %s",
                             dlrt_model_message(n->model));
    for (int i = 0; i < n->module->funcs.n && !status; i++) status = check_function(n, i, losses[i]);
    dlrt_context_destroy(n->context);
    return status;
}

/* Opens the shared object. Null with a status: DLCC_OK if this processor cannot run it, which has been said. */
static DlrtModel *open_model(Compilation *c, const char *path, DlccStatus *status) {
    char message[256] = "";
    DlrtModel *model = NULL;
    DlrtOptions options = {.seed = (uint64_t)c->options->seed};
    DlrtStatus answer = dlrt_open_file(path, &options, &model, message, sizeof message);
    *status = DLCC_OK;
    if (answer == DLRT_ERR_CPU) driver_fail(c, DLCC_OK, "native gradients are not checked: %s", message);
    else if (answer) *status = driver_fail(c, DLCC_ENVIRONMENT, "the compiled gradients cannot be opened: %s", message);
    return model;
}

DlccStatus check_native(ModelCheck *k) {
    Compilation *c = k->c;
    if (c->cross)
        return driver_fail(c, DLCC_OK, "native gradients are not checked: code for %s does not run here",
                           c->target->triple);
    Value **losses = arena_array(c->arena, Value *, c->module->funcs.n + 1);
    Module *compiled = gradient_functions(c, losses), *interpreted = compiled ? gradient_functions(c, losses) : NULL;
    if (!interpreted) return DLCC_USER;
    const char *path = temporary_file(c);
    if (!path) return driver_fail(c, DLCC_ENVIRONMENT, "cannot make a temporary file; TMPDIR says where");
    c->module = compiled;
    DlccStatus status = driver_link(c, path);
    DlrtModel *model = status ? NULL : open_model(c, path, &status);
    unlink(path);
    if (!model) return status;
    NativeCheck n = {.k = k, .c = c, .module = interpreted, .model = model};
    n.interp = interp_open(interpreted, c->arena, c->scratch, false);
    status = check_opened(&n, losses);
    dlrt_close(model);
    return status;
}
