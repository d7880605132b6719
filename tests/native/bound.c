/* Samples of what rounding does: see bound.h. */
#include "bound.h"

#include "ops/ops.h"

#include <math.h>

struct Bound {
    Native *n;
    Func *f;
    const int64_t *dims;
    Tensor **args, **vars;         /* variables as before the call */
    Tensor **want, **after;        /* results of the reference; variables behind its call */
    double *spread, *spread_after; /* the largest deviation seen, by result and by variable */
    int arg_count, result_count, var_count, samples;
    int64_t count; /* the call's number */
    uint64_t random;
};

static double largest(const Tensor *t) {
    double most = 0;
    for (int64_t i = 0; i < t->count; i++)
        if (isfinite(t->at[i].f)) most = fmax(most, fabs(t->at[i].f));
    return most;
}

static Tensor *copy(Arena *a, const Tensor *t) {
    Tensor *to = tensor_new(a, t->dtype, t->rank, t->shape);
    if (t->count) memcpy(to->at, t->at, sizeof *t->at * (size_t)t->count);
    return to;
}

/* The number of f among the exported functions, which have a count of calls each. */
static int number_of(const Native *n, const Func *f) {
    int i = 0;
    while (n->module->funcs.at[i] != f) i++;
    return i;
}

Bound *bound_new(Native *n, Func *f, const int64_t *dims, Tensor *const *args, int arg_count) {
    Arena *a = &n->arena;
    Bound *b = arena_new(a, Bound);
    *b = (Bound){.n = n, .f = f, .dims = dims, .arg_count = arg_count, .var_count = n->module->vars.n, .random = 11};
    b->count = n->interp->counts[number_of(n, f)];
    b->args = arena_array(a, Tensor *, arg_count + 1);
    for (int i = 0; i < arg_count; i++) b->args[i] = copy(a, args[i]);
    b->vars = arena_array(a, Tensor *, b->var_count + 1);
    for (int i = 0; i < b->var_count; i++) b->vars[i] = copy(a, n->interp->vars[i]);
    return b;
}

void bound_reference(Bound *b, Tensor *const *results, int count) {
    Arena *a = &b->n->arena;
    b->result_count = count;
    b->want = arena_array(a, Tensor *, count + 1);
    for (int i = 0; i < count; i++) b->want[i] = results[i];
    b->after = arena_array(a, Tensor *, b->var_count + 1);
    for (int i = 0; i < b->var_count; i++) b->after[i] = copy(a, b->n->interp->vars[i]);
    b->spread = arena_array(a, double, count + 1);
    b->spread_after = arena_array(a, double, b->var_count + 1);
    for (int i = 0; i < b->f->results.n; i++) {
        const Var *v = b->f->results.at[i].var;
        if (!v || v->kind != VAR_PARAM) continue;
        size_t bytes = sizeof(Number) * (size_t)b->vars[v->id]->count;
        b->n->written++;
        b->n->moved += memcmp(b->vars[v->id]->at, b->after[v->id]->at, bytes) != 0;
    }
}

/* x moved by up to `units` of the last place of its elements; a cache's, which native code may have computed, by as
 * many of its largest element. */
static void move(Bound *b, Tensor *x, double units, bool is_cache) {
    if (!dtype_is_float(x->dtype)) return;
    double most = largest(x), unit = number_unit(x->dtype) * units;
    for (int64_t i = 0; i < x->count; i++) {
        double by = (2 * native_random(&b->random) - 1) * unit;
        x->at[i].f += by * (is_cache ? BOUND_UNITS * most : x->at[i].f);
    }
}

static void widen(double *spread, const Tensor *sample, const Tensor *want) {
    if (!dtype_is_float(want->dtype)) return;
    for (int64_t i = 0; i < want->count; i++) {
        double off = fabs(sample->at[i].f - want->at[i].f);
        if (isfinite(off)) *spread = fmax(*spread, off);
    }
}

static void sample(Bound *b) {
    Arena *a = &b->n->arena;
    double units = 1 << b->samples++ % 3;
    Interp *in = interp_open(b->n->module, a, &b->n->scratch, true);
    in->seed = b->n->interp->seed;
    in->noise = &b->random;
    in->counts[number_of(b->n, b->f)] = b->count;
    for (int i = 0; i < b->var_count; i++) {
        in->vars[i] = copy(a, b->vars[i]);
        move(b, in->vars[i], units, b->n->module->vars.at[i]->kind == VAR_CACHE);
    }
    Tensor **args = arena_array(a, Tensor *, b->arg_count + 1);
    Tensor **results = arena_array(a, Tensor *, b->result_count + 1);
    for (int i = 0; i < b->arg_count; i++) {
        args[i] = copy(a, b->args[i]);
        move(b, args[i], units, false);
    }
    if (!interp_run(in, b->f, b->dims, args, results)) return;
    for (int i = 0; i < b->result_count; i++) widen(&b->spread[i], results[i], b->want[i]);
    for (int i = 0; i < b->var_count; i++) widen(&b->spread_after[i], in->vars[i], b->after[i]);
}

/* How far the farthest element is from the reference; infinite where one is no number and the other is. */
static double distance(const Tensor *got, const Tensor *want, int64_t *at) {
    double most = 0;
    for (int64_t i = 0; i < want->count; i++) {
        double g = got->at[i].f, w = want->at[i].f, off = fabs(g - w);
        if (!dtype_is_float(want->dtype))
            off = got->at[i].i == want->at[i].i ? 0 : INFINITY;
        else if (isnan(w) || isinf(w) || isnan(g))
            off = (isnan(w) ? isnan(g) : g == w) ? 0 : INFINITY;
        if (off > most) most = off, *at = i;
    }
    return most;
}

bool bound_holds(Bound *b, bool is_var, int which, const Tensor *got, int64_t *at) {
    const Tensor *want = is_var ? b->after[which] : b->want[which];
    double *spread = is_var ? &b->spread_after[which] : &b->spread[which];
    double off = distance(got, want, at);
    if (!off || !dtype_is_float(want->dtype)) return !off;
    double places = BOUND_UNITS * number_unit(want->dtype) * largest(want);
    while (off > places && off > BOUND_TIMES * *spread && b->samples < SAMPLES_MOST && isfinite(off)) sample(b);
    return off <= places || off <= BOUND_TIMES * *spread;
}
