/* Guards in loop nests: see guards.h. */
#include "codegen/guards.h"

#include "ops/ops.h"

/* Whether the integer node is affine in the axes. */
static bool is_affine(const Kernel *k, int node, const uint64_t *depends) {
    const KNode *n = &k->nodes.at[node];
    if (!depends[node]) return n->kind == NODE_CONST || n->kind == NODE_DIM || n->kind == NODE_MAP;
    if (n->kind == NODE_AXIS) return true;
    if (n->kind != NODE_MAP) return false;
    if (n->map == MAP_add || n->map == MAP_subtract)
        return is_affine(k, n->args[0], depends) && is_affine(k, n->args[1], depends);
    bool scaled = n->map == MAP_multiply && (!depends[n->args[0]] || !depends[n->args[1]]);
    return scaled && is_affine(k, n->args[0], depends) && is_affine(k, n->args[1], depends);
}

bool guard_is_convex(const Kernel *k, int node, const uint64_t *depends) {
    const KNode *n = &k->nodes.at[node];
    if (n->kind != NODE_MAP) return false;
    if (n->map == MAP_and) return guard_is_convex(k, n->args[0], depends) && guard_is_convex(k, n->args[1], depends);
    bool compares = n->map == MAP_less || n->map == MAP_less_equal || n->map == MAP_greater || n->map == MAP_greater_equal;
    return compares && !dtype_is_float(k->nodes.at[n->args[0]].dtype) && is_affine(k, n->args[0], depends) &&
           is_affine(k, n->args[1], depends);
}

int guard_of_node(const Kernel *k, int node) {
    const KNode *n = &k->nodes.at[node];
    if (n->kind == NODE_LOAD) return n->guard;
    return n->kind == NODE_MAP && n->map == MAP_select ? n->args[0] : -1;
}

static bool is_uniform(const uint64_t *depends, int node, int vector) {
    return vector < 0 || !(depends[node] >> vector & 1);
}

Guards guards_of(const Kernel *k, const bool *marked, const uint64_t *depends, uint64_t box, int vector, Arena *arena) {
    Guards g = {.box = box};
    for (int i = 0; i < k->nodes.n; i++) {
        int guard = marked[i] ? guard_of_node(k, i) : -1;
        bool known = guard < 0 || !(depends[guard] & box) || !is_uniform(depends, guard, vector);
        for (int j = 0; !known && j < g.nodes.n; j++) known = g.nodes.at[j] == guard;
        if (!known && guard_is_convex(k, guard, depends)) vec_push(arena, &g.nodes, guard);
    }
    return g;
}

LLVMValueRef guards_hold(Emit *e, KernelScope *s, const Guards *g, const LLVMValueRef *index,
                         const LLVMValueRef *extents) {
    LLVMValueRef all = LLVMConstInt(e->i1, 1, 0);
    int axes[64], n = 0;
    for (int a = 0; a < s->kernel->axes.n; a++)
        if (g->box >> a & 1) axes[n++] = a;
    for (int corner = 0; corner < 1 << n; corner++) {
        NodePoint *p = emit_point(e, s);
        memcpy(p->index, index, sizeof *index * (size_t)s->kernel->axes.n);
        p->lanes = 1;
        p->vector_axis = -1;
        for (int i = 0; i < n; i++)
            p->index[axes[i]] = corner >> i & 1 ? emit_add(e, extents[axes[i]], emit_i64(e, -1)) : emit_i64(e, 0);
        for (int i = 0; i < g->nodes.n; i++) all = LLVMBuildAnd(e->at, all, emit_node(e, p, g->nodes.at[i]), "");
    }
    return all;
}

static bool is_neutral(const Kernel *k, MapFn map, int node) {
    const KNode *n = &k->nodes.at[node];
    if (n->kind != NODE_CONST) return false;
    if (dtype_is_float(n->dtype)) return n->value == map_neutral_float(map);
    return n->value == (double)map_neutral_int(map, n->dtype);
}

/* The guard where this value is 0 unless it holds; -1: none. */
static int guard_of_zero(const Kernel *k, int node) {
    const KNode *n = &k->nodes.at[node];
    if (n->kind == NODE_LOAD) return n->guard;
    if (n->kind == NODE_MAP && n->map == MAP_convert) return guard_of_zero(k, n->args[0]);
    if (n->kind == NODE_MAP && n->map == MAP_select && is_neutral(k, MAP_add, n->args[2])) return n->args[0];
    return -1;
}

static void add_guard(Guards *g, int guard, Arena *arena) {
    if (guard >= 0) vec_push(arena, &g->nodes, guard);
}

/* The guards without any of which the reduction's value changes nothing. */
static Guards guards_of_value(const Kernel *k, const KReduction *r, Arena *arena) {
    const KNode *n = &k->nodes.at[r->node];
    Guards g = {.box = 0};
    if (r->arg || r->running) return g;
    if (r->product && r->map == MAP_add && n->kind == NODE_MAP && n->map == MAP_multiply)
        for (int i = 0; i < 2; i++) add_guard(&g, guard_of_zero(k, n->args[i]), arena);
    else if (r->map == MAP_add) add_guard(&g, guard_of_zero(k, r->node), arena);
    else if (n->kind == NODE_MAP && n->map == MAP_select && is_neutral(k, r->map, n->args[2])) add_guard(&g, n->args[0], arena);
    return g;
}

static bool has_guard(const Guards *g, int node) {
    for (int i = 0; i < g->nodes.n; i++)
        if (g->nodes.at[i] == node) return true;
    return false;
}

Guards guards_of_terms(const Kernel *k, int stage, Arena *arena) {
    const KStage *s = &k->stages.at[stage];
    Guards all = {.box = 0};
    for (int i = 0; i < s->reductions.n && !s->stores.n && s->inner; i++) {
        Guards own = guards_of_value(k, &k->reductions.at[s->reductions.at[i]], arena), both = {.box = 0};
        for (int j = 0; j < own.nodes.n; j++)
            if (!i || has_guard(&all, own.nodes.at[j])) add_guard(&both, own.nodes.at[j], arena);
        all = both;
    }
    return all;
}
