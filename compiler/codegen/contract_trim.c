/* Terms that a tile need not add up.
 *
 * Two things make them so. A factor may be known to be 0 unless a condition holds (Kernel.where), as the probabilities of
 * causal attention are beyond the diagonal; and the epilogue may choose something else than the sum unless one does, as causal
 * scores are -infinity there. Conditions are conjunctions of comparisons that are affine in the axes. Each says of a
 * tile, at the corner that is best for it, from where and until where its terms count: those outside change nothing. So whole
 * tiles above a diagonal cost no more than their epilogue. */
#include "codegen/contract.h"
#include "ir/kernel_util.h"
#include "ops/ops.h"

#include <string.h>

/* factor * axis, for each axis; the rest is what the node is where all indices are 0. */
typedef struct Affine {
    int64_t factor[64];
} Affine;

static bool constant_of(const Kernel *k, int node, int64_t *to) {
    const KNode *n = &k->nodes.at[node];
    if (n->kind == NODE_MAP && n->map == MAP_convert) return constant_of(k, n->args[0], to);
    *to = (int64_t)n->value;
    return n->kind == NODE_CONST && n->value == (double)*to;
}

/* Adds the node's factors, times `by`. False if it is not affine, or its factors are not known here. */
static bool add_affine(const Kernel *k, int node, const uint64_t *depends, int64_t by, Affine *to) {
    const KNode *n = &k->nodes.at[node];
    int64_t x;
    if (dtype_is_float(n->dtype)) return false;
    if (!depends[node]) return n->kind == NODE_CONST || n->kind == NODE_DIM || n->kind == NODE_MAP;
    if (n->kind == NODE_AXIS && !n->dim) return to->factor[n->axis] += by, true;
    if (n->kind != NODE_MAP) return false;
    if (n->map == MAP_convert) return add_affine(k, n->args[0], depends, by, to);
    if (n->map == MAP_add || n->map == MAP_subtract)
        return add_affine(k, n->args[0], depends, by, to) &&
               add_affine(k, n->args[1], depends, n->map == MAP_add ? by : -by, to);
    if (n->map != MAP_multiply) return false;
    for (int i = 0; i < 2; i++)
        if (constant_of(k, n->args[i], &x)) return add_affine(k, n->args[1 - i], depends, by * x, to);
    return false;
}

/* Whether the axis can be walked from corner to corner of a tile: it is tiled alone, a loop around, or the terms'. */
static bool is_walked(const Contract *c, int axis) {
    switch (c->k->axes.at[axis].role) {
    case AXIS_M: return axis < c->m_first || c->m_first == c->m;
    case AXIS_N: return axis < c->n_first || c->n_first == c->n;
    case AXIS_K: return c->k_axis == kernel_last_axis(c->k, AXIS_K);
    default: return true;
    }
}

/* Whether the comparison says something of a tile: great - less >= 0, or > 0. */
static bool reads_limit(const Contract *c, int node, TrimLimit *to) {
    const KNode *n = &c->k->nodes.at[node];
    bool less = n->map == MAP_less || n->map == MAP_less_equal, greater = n->map == MAP_greater || n->map == MAP_greater_equal;
    if (n->kind != NODE_MAP || !(less || greater)) return false;
    Affine a = {{0}};
    const uint64_t *depends = c->scope->depends;
    *to = (TrimLimit){.great = n->args[less], .less = n->args[!less], .strict = n->map == MAP_less || n->map == MAP_greater};
    if (!add_affine(c->k, to->great, depends, 1, &a) || !add_affine(c->k, to->less, depends, -1, &a)) return false;
    for (int x = 0; x < c->k->axes.n; x++)
        if (a.factor[x] && !is_walked(c, x)) return false;
    to->m = a.factor[c->m];
    to->n = a.factor[c->n];
    to->k = a.factor[c->k_axis];
    return (to->m || to->n) && to->k >= -1 && to->k <= 1;
}

static void add_limits(Emit *e, Contract *c, int node) {
    const KNode *n = &c->k->nodes.at[node];
    if (n->kind == NODE_MAP && n->map == MAP_and && n->dtype == DTYPE_BOOL) {
        add_limits(e, c, n->args[0]);
        add_limits(e, c, n->args[1]);
        return;
    }
    TrimLimit limit;
    if (reads_limit(c, node, &limit)) vec_push(e->arena, &c->limits, limit);
}

/* What an epilogue's value needs the sum for: a condition's node, or */
enum { NEVER = -1, ALWAYS = -2 };

static int need_of(const Kernel *k, int node, const bool *sums) {
    const KNode *n = &k->nodes.at[node];
    if (!sums[node]) return NEVER;
    if (n->kind != NODE_MAP) return ALWAYS;
    if (n->map == MAP_select && !sums[n->args[0]] && !sums[n->args[2]]) return n->args[0];
    int need = NEVER;
    for (int i = 0; i < 3; i++) {
        int own = n->args[i] >= 0 ? need_of(k, n->args[i], sums) : NEVER;
        if (own == NEVER) continue;
        if (need != NEVER && own != need) return ALWAYS;
        need = own;
    }
    return need;
}

/* The condition without which no store needs the sum; NEVER or ALWAYS if there is none. */
static int need_of_stores(Emit *e, const Kernel *k) {
    const KStage *s = &k->stages.at[0];
    bool *sums = arena_array(e->arena, bool, k->nodes.n + 1);
    for (int i = 0; i < k->nodes.n; i++) {
        const KNode *n = &k->nodes.at[i];
        sums[i] = n->kind == NODE_SUM;
        for (int j = 0; n->kind == NODE_MAP && j < 3; j++) sums[i] |= n->args[j] >= 0 && sums[n->args[j]];
    }
    int need = NEVER;
    for (int i = 0; i < s->stores.n; i++) {
        int own = need_of(k, s->stores.at[i].node, sums);
        if (own != NEVER && need != NEVER && own != need) return ALWAYS;
        if (own != NEVER) need = own;
    }
    return need;
}

void contract_find_limits(Emit *e, Contract *c) {
    if (c->k->schedule.m_axes > 1 || kernel_sums_lanes(c->k)) return;
    if (c->k->where >= 0) add_limits(e, c, c->k->where);
    int need = need_of_stores(e, c->k);
    if (need >= 0) add_limits(e, c, need);
}

static LLVMValueRef node_value(Emit *e, NodePoint *p, int node) {
    LLVMValueRef x = emit_node(e, p, node);
    return LLVMTypeOf(x) == e->i64 ? x : LLVMBuildSExt(e->at, x, e->i64, "");
}

/* great - less - strict at the first term and at the tile's corner that makes it greatest. */
static LLVMValueRef value_at_best(Emit *e, const Contract *c, const Tile *t, const TrimLimit *l) {
    NodePoint *p = emit_point(e, c->scope);
    memcpy(p->index, c->index, sizeof *p->index * (size_t)c->k->axes.n);
    p->lanes = 1;
    p->vector_axis = -1;
    for (int x = c->k_axis; x < c->k->axes.n; x++) p->index[x] = emit_i64(e, 0);
    p->index[c->m] = emit_add(e, t->row, emit_i64(e, l->m > 0 ? t->rows - 1 : 0));
    p->index[c->n] = emit_add(e, t->column, emit_i64(e, l->n > 0 ? t->vectors * c->lanes - 1 : 0));
    LLVMValueRef value = LLVMBuildSub(e->at, node_value(e, p, l->great), node_value(e, p, l->less), "");
    return l->strict ? emit_add(e, value, emit_i64(e, -1)) : value;
}

void contract_trim(Emit *e, Contract *c, const Tile *t) {
    c->trim_from = c->trim_until = NULL;
    if (!c->one_k) return;
    for (int i = 0; i < c->limits.n; i++) {
        const TrimLimit *l = &c->limits.at[i];
        LLVMValueRef best = value_at_best(e, c, t, l), zero = emit_i64(e, 0);
        if (l->k > 0) {
            LLVMValueRef from = emit_max(e, LLVMBuildSub(e->at, zero, best, ""), zero);
            c->trim_from = c->trim_from ? emit_max(e, c->trim_from, from) : from;
            continue;
        }
        LLVMValueRef until = emit_add(e, best, emit_i64(e, 1));
        if (l->k == 0)
            until = LLVMBuildSelect(e->at, LLVMBuildICmp(e->at, LLVMIntSLT, best, zero, ""), zero, contract_depth(e, c), "");
        c->trim_until = c->trim_until ? emit_min(e, c->trim_until, until) : until;
    }
}
