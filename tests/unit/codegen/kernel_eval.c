/* Evaluates LOOPS kernels: see kernel_eval.h. */
#include "kernel_eval.h"

#include "ops/philox.h"

#include <math.h>

typedef struct Eval {
    Arena *arena;
    const DimTable *dims;
    const Kernel *k;
    EvalBuf *bufs;
    const int64_t *sizes;
    int64_t index[32];
    Number *value;             /* by node, at this point */
    bool *known;
    Number *reduced;           /* by reduction */
    Number *best;              /* arg-reductions: the extreme value so far */
    bool *seen;
    const char *error;
} Eval;

static int64_t dim(const Eval *e, Dim d) { return dim_eval(e->dims, d, e->sizes); }

static Number node(Eval *e, int i);

/* The element an access is to; null if it is outside of the buffer. */
static Number *element(Eval *e, const KAccess *a) {
    int64_t at = dim(e, a->offset);
    for (int x = 0; x < e->k->axes.n; x++) at += dim(e, a->strides[x]) * e->index[x];
    if (a->index >= 0) at += dim(e, a->index_stride) * node(e, a->index).i;
    if (at >= 0 && at < e->bufs[a->buf].count) return &e->bufs[a->buf].at[at];
    e->error = arena_printf(e->arena, "element %lld of %lld of buffer %d", (long long)at,
                            (long long)e->bufs[a->buf].count, a->buf);
    return NULL;
}

static Number convert(Number x, DType from, DType to) {
    if (dtype_is_float(from) && dtype_is_float(to)) return (Number){.f = number_round(to, x.f)};
    if (dtype_is_float(from)) return (Number){.i = number_from_float(to, x.f)};
    if (dtype_is_float(to)) return (Number){.f = number_round(to, (double)x.i)};
    return (Number){.i = to == DTYPE_BOOL ? x.i != 0 : number_wrap(to, x.i)};
}

static int64_t random_word(const KNode *n, const int64_t *x) {
    uint64_t key64 = (uint64_t)x[0] ^ n->site;
    uint32_t key[2] = {(uint32_t)key64, (uint32_t)(key64 >> 32)}, out[4];
    uint32_t counter[4] = {(uint32_t)x[2], (uint32_t)((uint64_t)x[2] >> 32), (uint32_t)x[1],
                           (uint32_t)((uint64_t)x[1] >> 32)};
    philox4x32(key, counter, out);
    return (int32_t)out[n->word];
}

static Number map(Eval *e, const KNode *n) {
    double f[3] = {0};
    int64_t w[3] = {0};
    int first = n->map == MAP_select;
    for (int i = 0; i < 3 && n->args[i] >= 0; i++) {
        Number x = node(e, n->args[i]);
        DType t = e->k->nodes.at[n->args[i]].dtype;
        f[i] = dtype_is_float(t) ? x.f : (double)x.i;
        w[i] = dtype_is_float(t) ? 0 : x.i;
    }
    DType t = e->k->nodes.at[n->args[first]].dtype;
    if (n->map == MAP_convert) return convert(node(e, n->args[0]), t, n->dtype);
    if (n->map == MAP_random_bits) return (Number){.i = random_word(n, w)};
    if (!dtype_is_float(t)) return (Number){.i = map_eval_int(n->map, t, w)};
    double y = map_eval_float(n->map, f);
    if (n->dtype == DTYPE_BOOL) return (Number){.i = y != 0};
    return (Number){.f = number_round(n->dtype, y)};
}

static Number load(Eval *e, const KNode *n) {
    if (n->guard >= 0 && !node(e, n->guard).i) return (Number){.i = 0};
    Number *at = element(e, &e->k->accesses.at[n->access]);
    return at ? *at : (Number){.i = 0};
}

static Number whole(DType t, int64_t x) {
    return dtype_is_float(t) ? (Number){.f = number_round(t, (double)x)} : (Number){.i = number_wrap(t, x)};
}

static Number compute(Eval *e, int i) {
    const KNode *n = &e->k->nodes.at[i];
    switch (n->kind) {
    case NODE_LOAD: return load(e, n);
    case NODE_CONST:
        return dtype_is_float(n->dtype) ? (Number){.f = number_round(n->dtype, n->value)}
                                        : (Number){.i = (int64_t)n->value};
    case NODE_AXIS: return whole(n->dtype, e->index[n->axis] * (n->dim ? dim(e, n->dim) : 1));
    case NODE_NUMBER: break;
    case NODE_DIM: return whole(n->dtype, dim(e, n->dim));
    case NODE_MAP: return map(e, n);
    case NODE_RUNNING:
    case NODE_REDUCED: return e->reduced[n->reduction];
    case NODE_SUM: break;
    }
    return (Number){.i = 0};
}

static Number node(Eval *e, int i) {
    if (!e->known[i]) {
        e->value[i] = compute(e, i);
        e->known[i] = true;
    }
    return e->value[i];
}

static bool is_better(const KReduction *r, DType t, Number x, Number best) {
    bool max = r->map == MAP_maximum;
    if (!dtype_is_float(t)) return max ? x.i > best.i : x.i < best.i;
    if (isnan(best.f)) return false;
    return isnan(x.f) || (max ? x.f > best.f : x.f < best.f);
}

static void reduce(Eval *e, int i) {
    const KReduction *r = &e->k->reductions.at[i];
    DType t = e->k->nodes.at[r->node].dtype;
    Number x = node(e, r->node), *sum = &e->reduced[i];
    if (r->running && r->factor >= 0) {
        Number factor = node(e, r->factor);
        if (dtype_is_float(t)) sum->f *= factor.f;
        else sum->i = map_eval_int(MAP_multiply, t, (int64_t[3]){sum->i, factor.i, 0});
    }
    if (r->arg) {
        bool tie = dtype_is_float(t) ? x.f == e->best[i].f || (isnan(x.f) && isnan(e->best[i].f)) : x.i == e->best[i].i;
        if (e->seen[i] && !is_better(r, t, x, e->best[i]) && !(r->running && tie)) return;
        e->best[i] = x;
        e->seen[i] = true;
        sum->i = e->index[r->arg_axis];
    } else if (dtype_is_float(t)) {
        sum->f = map_eval_float(r->map, (double[3]){sum->f, x.f, 0});
    } else {
        sum->i = map_eval_int(r->map, t, (int64_t[3]){sum->i, x.i, 0});
    }
}

static void start(Eval *e, int i) {
    const KReduction *r = &e->k->reductions.at[i];
    e->seen[i] = false;
    e->reduced[i].i = 0;
    if (r->arg) return;
    if (dtype_is_float(r->dtype)) e->reduced[i].f = map_neutral_float(r->map);
    else e->reduced[i].i = map_neutral_int(r->map, r->dtype);
}

static void combine(Eval *e, Number *to, const KStore *s) {
    Number x = node(e, s->node);
    DType t = e->k->nodes.at[s->node].dtype;
    if (dtype_is_float(t)) to->f = map_eval_float(s->map, (double[3]){to->f, x.f, 0});
    else to->i = map_eval_int(s->map, t, (int64_t[3]){to->i, x.i, 0});
}

static void point(Eval *e, const KStage *s) {
    memset(e->known, 0, sizeof *e->known * (size_t)e->k->nodes.n);
    for (int i = 0; i < s->reductions.n; i++) reduce(e, s->reductions.at[i]);
    for (int i = 0; i < s->stores.n; i++) node(e, s->stores.at[i].node);
    for (int i = 0; i < s->stores.n; i++) {
        const KStore *store = &s->stores.at[i];
        if (store->guard >= 0 && !node(e, store->guard).i) continue;
        Number *to = element(e, &e->k->accesses.at[store->access]);
        if (to && store->mode == STORE_COMBINE) combine(e, to, store);
        else if (to) *to = node(e, store->node);
    }
}

static void sweep(Eval *e, const KStage *s, int axis) {
    if (axis == e->k->axes.n || !s->inner) {
        point(e, s);
        return;
    }
    int64_t n = dim(e, e->k->axes.at[axis].extent);
    for (e->index[axis] = 0; e->index[axis] < n; e->index[axis]++) sweep(e, s, axis + 1);
}

static void outer(Eval *e, int axis) {
    if (axis == e->k->axes.n || e->k->axes.at[axis].role == AXIS_INNER) {
        for (int s = 0; s < e->k->stages.n; s++) {
            for (int i = 0; i < e->k->stages.at[s].reductions.n; i++) start(e, e->k->stages.at[s].reductions.at[i]);
            sweep(e, &e->k->stages.at[s], axis);
        }
        return;
    }
    int64_t n = dim(e, e->k->axes.at[axis].extent);
    for (e->index[axis] = 0; e->index[axis] < n; e->index[axis]++) outer(e, axis + 1);
}

const char *kernel_eval(Arena *arena, const DimTable *dims, const Kernel *k, EvalBuf *bufs, const int64_t *sizes) {
    Eval e = {.arena = arena, .dims = dims, .k = k, .bufs = bufs, .sizes = sizes};
    e.value = arena_array(arena, Number, k->nodes.n + 1);
    e.known = arena_array(arena, bool, k->nodes.n + 1);
    e.reduced = arena_array(arena, Number, k->reductions.n + 1);
    e.best = arena_array(arena, Number, k->reductions.n + 1);
    e.seen = arena_array(arena, bool, k->reductions.n + 1);
    outer(&e, 0);
    return e.error;
}
