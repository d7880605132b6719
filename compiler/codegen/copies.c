/* Copies: see copies.h. */
#include "codegen/copies.h"

#include "ir/kernel_util.h"

enum { MOST_BORDERS = 4 }; /* blocks that are made one by one */

static bool is_true(LLVMValueRef x) {
    return LLVMIsAConstantInt(x) && LLVMConstIntGetZExtValue(x) == 1;
}
static bool is_false(LLVMValueRef x) {
    return LLVMIsAConstantInt(x) && LLVMConstIntGetZExtValue(x) == 0;
}
static uint64_t bit(int axis) {
    return (uint64_t)1 << axis;
}

/* ------------------------------------------------------------------------- leaves */

static void add_leaf(Copies *c, int node) {
    for (int i = 0; i < c->leaves.n; i++)
        if (c->leaves.at[i].node == node) return;
    bool convex = guard_is_convex(c->kernel, node, c->scope->depends);
    vec_push(c->e->arena, &c->leaves, (Leaf){node, c->scope->depends[node], convex, false});
}

static void add_leaves(Copies *c, int node) {
    const KNode *n = &c->kernel->nodes.at[node];
    if (n->kind != NODE_MAP || n->map != MAP_and) {
        add_leaf(c, node);
        return;
    }
    add_leaves(c, n->args[0]);
    add_leaves(c, n->args[1]);
}

static void mark_leaves(const Copies *c, int node, bool *marked) {
    const KNode *n = &c->kernel->nodes.at[node];
    if (n->kind == NODE_MAP && n->map == MAP_and) {
        mark_leaves(c, n->args[0], marked);
        mark_leaves(c, n->args[1], marked);
    }
    for (int i = 0; i < c->leaves.n; i++) marked[i] = marked[i] || c->leaves.at[i].node == node;
}

Copies *copies_new(Emit *e, KernelScope *s, LLVMValueRef *index) {
    const Kernel *k = s->kernel;
    Copies *c = arena_new(e->arena, Copies);
    *c = (Copies){.e = e, .kernel = k, .scope = s, .index = index, .tiled = -1, .axes = k->schedule.jam};
    if (k->schedule.whole) c->axes |= kernel_axes(k, AXIS_INNER);
    if (k->schedule.tile) {
        c->tiled = k->schedule.along;
        c->axes |= bit(c->tiled);
    }
    c->at = arena_array(e->arena, int64_t, k->axes.n + 1);
    for (int i = 0; i < k->nodes.n; i++)
        if (guard_of_node(k, i) >= 0) add_leaves(c, guard_of_node(k, i));
    return c;
}

/* ------------------------------------------------------------------------ the nest */

/* First come the axes on which branches depend, so that one branch is around as much as possible. Those of the sweep
 * keep their order. */
CopyNest copies_nest(Copies *c, int stage, const bool *nodes) {
    const Kernel *k = c->kernel;
    uint64_t axes = c->axes;
    Arena *arena = c->e->arena;
    CopyNest nest = {.skips = arena_array(arena, bool, c->leaves.n + 1),
                     .nodes = arena_array(arena, bool, k->nodes.n + 1)};
    memcpy(nest.nodes, nodes, sizeof *nodes * (size_t)k->nodes.n);
    Guards skip = guards_of_terms(k, stage, arena);
    for (int i = 0; i < skip.nodes.n; i++) mark_leaves(c, skip.nodes.at[i], nest.skips);
    uint64_t first = 0, inner = kernel_axes(k, AXIS_INNER) & axes, lanes = 0;
    if (k->schedule.vector_axis >= 0) lanes = bit(k->schedule.vector_axis);
    for (int i = 0; i < c->leaves.n; i++) {
        const Leaf *leaf = &c->leaves.at[i];
        if (leaf->axes & lanes) nest.skips[i] = false;
        if (nest.skips[i] && !leaf->known && leaf->axes & ~c->axes) first |= leaf->axes & axes;
    }
    for (int a = 0; a < k->axes.n; a++)
        if (inner >> a & 1 && (first & inner) >> a) first |= bit(a);
    for (int round = 0; round < 3; round++)
        for (int a = 0; a < k->axes.n; a++) {
            int own = first >> a & 1 ? 0 : inner >> a & 1 ? 1 : 2;
            if (axes >> a & 1 && own == round) nest.axis[nest.n++] = a;
        }
    return nest;
}

int64_t copies_along(const Copies *c, int axis) {
    return axis == c->tiled ? c->count : dim_value(c->kernel->axes.at[axis].extent);
}

void copies_move(Copies *c, int axis, int64_t x) {
    c->at[axis] = x;
    c->index[axis] = axis == c->tiled ? emit_add(c->e, c->from, emit_i64(c->e, x)) : emit_i64(c->e, x);
}

static LLVMValueRef leaf_value(Copies *c, const Leaf *leaf) {
    NodePoint *p = emit_point(c->e, c->scope);
    memcpy(p->index, c->index, sizeof *p->index * (size_t)c->kernel->axes.n);
    return emit_node(c->e, p, leaf->node);
}

static bool *leaves_known(const Copies *c) {
    bool *known = arena_array(c->e->arena, bool, c->leaves.n + 1);
    for (int i = 0; i < c->leaves.n; i++) known[i] = c->leaves.at[i].known;
    return known;
}

static void restore_leaves(Copies *c, const bool *known) {
    for (int i = 0; i < c->leaves.n; i++) c->leaves.at[i].known = known[i];
}

/* Whether the leaf holds at all corners of the copies: an i1. */
static LLVMValueRef holds_at_corners(Copies *c, const Leaf *leaf) {
    int axes[64], n = 0;
    LLVMValueRef holds = LLVMConstInt(c->e->i1, 1, 0);
    for (int a = 0; a < c->kernel->axes.n; a++)
        if ((leaf->axes & c->axes) >> a & 1) axes[n++] = a;
    for (int corner = 0; corner < 1 << n; corner++) {
        for (int i = 0; i < n; i++) copies_move(c, axes[i], corner >> i & 1 ? copies_along(c, axes[i]) - 1 : 0);
        holds = LLVMBuildAnd(c->e->at, holds, leaf_value(c, leaf), "");
    }
    return holds;
}

bool copies_enter(Copies *c, const CopyNest *nest, int depth, CopyScope *scope) {
    uint64_t open = 0;
    LLVMValueRef holds = NULL;
    *scope = (CopyScope){.loads = c->loads.n, .known = leaves_known(c)};
    for (int d = depth + 1; d < nest->n; d++) open |= bit(nest->axis[d]);
    for (int i = 0; i < c->leaves.n; i++) {
        Leaf *leaf = &c->leaves.at[i];
        if (!nest->skips[i] || leaf->known || leaf->axes & open) continue;
        if (depth >= 0 && !(leaf->axes >> nest->axis[depth] & 1)) continue;
        LLVMValueRef x = leaf_value(c, leaf);
        if (is_false(x)) {
            restore_leaves(c, scope->known);
            return false;
        }
        leaf->known = true;
        if (!is_true(x)) holds = holds ? LLVMBuildAnd(c->e->at, holds, x, "") : x;
    }
    if (holds) scope->branch = emit_if_begin(c->e, holds);
    scope->branches = holds != NULL;
    return true;
}

/* Whether the leaf holds in some copies and not in others, which only shows at run time. */
static bool branches(const Copies *c, const Leaf *leaf) {
    return leaf->axes & c->axes && leaf->axes & ~c->axes;
}

LLVMValueRef copies_whole(Copies *c, const CopyNest *nest) {
    LLVMValueRef whole = NULL;
    for (int i = 0; i < c->leaves.n; i++) {
        const Leaf *leaf = &c->leaves.at[i];
        if (!nest->skips[i] || leaf->known || !branches(c, leaf)) continue;
        if (!leaf->convex) return NULL;
        LLVMValueRef x = holds_at_corners(c, leaf);
        whole = whole ? LLVMBuildAnd(c->e->at, whole, x, "") : x;
    }
    return whole;
}

void copies_enter_whole(Copies *c, const CopyNest *nest, CopyScope *scope) {
    *scope = (CopyScope){.loads = c->loads.n, .known = leaves_known(c)};
    for (int i = 0; i < c->leaves.n; i++) c->leaves.at[i].known |= nest->skips[i] && branches(c, &c->leaves.at[i]);
}

void copies_leave(Copies *c, const CopyScope *scope) {
    restore_leaves(c, scope->known);
    if (!scope->branches) return;
    emit_if_end(c->e, (EmitIf[]){scope->branch});
    c->loads.n = scope->loads;
}

/* ------------------------------------------------------------------------- blocks */

/* Whether the leaf depends on the tiled axis, and else on copied ones alone. */
static bool decided_by_block(const Copies *c, const Leaf *leaf) {
    return leaf->convex && leaf->axes >> c->tiled & 1 && !(leaf->axes & ~c->axes);
}

static bool holds_in_block(Copies *c, const Leaf *leaf) {
    return is_true(holds_at_corners(c, leaf));
}

static void go_to_block(Copies *c, int64_t block) {
    int64_t tile = c->kernel->schedule.tile, left = dim_value(c->kernel->axes.at[c->tiled].extent) - block * tile;
    c->from = emit_i64(c->e, block * tile);
    c->count = left < tile ? left : tile;
}

static bool inside(Copies *c, int64_t block) {
    go_to_block(c, block);
    bool all = c->count == c->kernel->schedule.tile;
    for (int i = 0; all && i < c->leaves.n; i++)
        if (decided_by_block(c, &c->leaves.at[i])) all = holds_in_block(c, &c->leaves.at[i]);
    return all;
}

static void walk_between(Copies *c, int64_t first, int64_t last, bool known, CopyBody *body, void *user) {
    int64_t tile = c->kernel->schedule.tile;
    if (first == last) return;
    bool *before = leaves_known(c);
    EmitLoop loop;
    go_to_block(c, first);
    if (last - first > 1) {
        loop = emit_loop_begin(c->e, c->from, emit_i64(c->e, last * tile), emit_i64(c->e, tile), "tile");
        c->from = loop.index;
    }
    for (int i = 0; known && i < c->leaves.n; i++)
        if (decided_by_block(c, &c->leaves.at[i])) c->leaves.at[i].known = true;
    body(user);
    restore_leaves(c, before);
    if (last - first > 1) emit_loop_end(c->e, &loop);
}

void copies_walk(Copies *c, CopyBody *body, void *user) {
    int64_t extent = dim_value(c->kernel->axes.at[c->tiled].extent), tile = c->kernel->schedule.tile;
    int64_t blocks = (extent + tile - 1) / tile, first = 0, last = blocks;
    while (first < blocks && !inside(c, first)) first++;
    while (last > first && !inside(c, last - 1)) last--;
    bool few = first + blocks - last <= MOST_BORDERS;
    if (!few) first = 0, last = extent / tile;
    for (int64_t b = 0; b < first; b++) {
        go_to_block(c, b);
        body(user);
    }
    walk_between(c, first, last, few, body, user);
    for (int64_t b = last; b < blocks; b++) {
        go_to_block(c, b);
        body(user);
    }
}

/* -------------------------------------------------------------------- shared loads */

void copies_assume(Copies *c, int guard) {
    bool *marked = arena_array(c->e->arena, bool, c->leaves.n + 1);
    mark_leaves(c, guard, marked);
    for (int i = 0; i < c->leaves.n; i++) c->leaves.at[i].known |= marked[i];
}

void copies_forget(Copies *c) {
    for (int i = 0; i < c->leaves.n; i++) c->leaves.at[i].known = false;
}

void copies_inform(const Copies *c, NodePoint *p) {
    for (int i = 0; i < c->leaves.n; i++)
        if (c->leaves.at[i].known) p->value[c->leaves.at[i].node] = LLVMConstInt(c->e->i1, 1, 0);
}

/* Whether the node is a load that surely happens, at a known distance from the first copy's. */
static bool is_shared(Copies *c, NodePoint *p, int node, SharedLoad *load) {
    const KNode *n = &c->kernel->nodes.at[node];
    if (n->kind != NODE_LOAD) return false;
    const KAccess *x = &c->kernel->accesses.at[n->access];
    if (x->index >= 0) return false;
    *load = (SharedLoad){.node = node, .vector = load->vector};
    for (int a = 0; a < c->kernel->axes.n; a++) {
        if (!(c->axes >> a & 1)) continue;
        if (!dim_is_const(x->strides[a])) return false;
        load->offset += dim_value(x->strides[a]) * c->at[a];
    }
    return n->guard < 0 || is_true(emit_scalar_node(c->e, p, n->guard));
}

static int find_load(const Copies *c, const SharedLoad *load) {
    for (int i = 0; i < c->loads.n; i++) {
        const SharedLoad *own = &c->loads.at[i];
        if (own->node == load->node && own->vector == load->vector && own->offset == load->offset) return i;
    }
    return -1;
}

void copies_take(Copies *c, const bool *nodes, NodePoint *p, int vector) {
    for (int i = 0; c->axes && i < c->kernel->nodes.n; i++) {
        SharedLoad load = {.vector = vector};
        if (!nodes[i] || p->value[i] || !is_shared(c, p, i, &load)) continue;
        int found = find_load(c, &load);
        if (found >= 0) p->value[i] = c->loads.at[found].value;
    }
}

void copies_keep(Copies *c, const bool *nodes, NodePoint *p, int vector) {
    for (int i = 0; c->axes && i < c->kernel->nodes.n; i++) {
        SharedLoad load = {.vector = vector};
        if (!nodes[i] || !p->value[i] || !is_shared(c, p, i, &load) || find_load(c, &load) >= 0) continue;
        load.value = p->value[i];
        vec_push(c->e->arena, &c->loads, load);
    }
}
