/* What tiles of LOOPS kernels ask the caches for ahead of its use: see loops_ask_ahead.
 *
 * Blocks of the tiled axis are far apart where the next row is no neighbour in memory, and the processor does not
 * foresee what they read. Of an outer axis some blocks ahead are asked for, of an inner one some rounds of the axis
 * around it, but for what neighbours have loaded already. Where all of it stays in the second-level cache nothing is
 * asked for. */
#include "codegen/loops.h"

/* Whether the load walks along the tiled axis, a line of memory for each vector. */
static bool is_streamed(const Loops *l, int node) {
    const KNode *n = &l->kernel->nodes.at[node];
    if (n->kind != NODE_LOAD) return false;
    const KAccess *a = &l->kernel->accesses.at[n->access];
    return a->index < 0 && dim_is(a->strides[l->vector], 1) && !dim_is(a->strides[l->copies->tiled], 0);
}

/* The copies along an axis, x from .. until-1, at whose loads nothing was that has been loaded by neighbours, along the
 * tiled axis or one that is walked. */
static void new_copies(const Loops *l, const KAccess *access, int axis, int64_t *from, int64_t *until) {
    *from = 0;
    *until = copies_along(l->copies, axis);
    if (axis == l->copies->tiled) return;
    if (dim_is(access->strides[axis], 0)) *until = 1;
    for (int a = 0; a < l->kernel->axes.n; a++) {
        if (l->copies->axes >> a & 1 && a != l->copies->tiled) continue;
        int64_t steps = kernel_overlap(l->kernel, access, a, axis);
        if (steps > 0) *from = *until - steps;
        if (steps < 0) *until = *from - steps;
    }
}

/* Asks for what the load will read when the axis is `distance` further, in the copies of axes a and on. */
static void ask_for_copies(Loops *l, NodePoint *p, int access, int a) {
    while (a < l->kernel->axes.n && !(l->copies->axes >> a & 1)) a++;
    if (a == l->kernel->axes.n) {
        emit_access_prefetch(l->e, p, access, false);
        return;
    }
    int64_t from, until;
    new_copies(l, &l->kernel->accesses.at[access], a, &from, &until);
    for (int64_t x = from; x < until; x++) {
        LLVMValueRef before = p->index[a];
        copies_move(l->copies, a, x);
        p->index[a] = emit_add(l->e, l->index[a], p->index[a]);
        ask_for_copies(l, p, access, a + 1);
        p->index[a] = before;
    }
}

/* Asks for what the group reads when the axis is `distance` further. */
static void ask_ahead(Loops *l, Group base, int axis, int64_t distance) {
    for (int i = 0; i < base.n / (int)loops_copies(l); i++) {
        NodePoint *p = loops_point(l, base.points[i]->lanes, NULL);
        p->index[l->vector] = base.points[i]->index[l->vector];
        for (int a = 0; a < l->kernel->axes.n; a++)
            if (l->copies->axes >> a & 1) p->index[a] = emit_i64(l->e, 0);
        p->index[axis] = emit_add(l->e, p->index[axis], emit_i64(l->e, distance));
        for (int j = 0; j < l->kernel->nodes.n; j++)
            if (is_streamed(l, j)) ask_for_copies(l, p, l->kernel->nodes.at[j].access, 0);
    }
}

/* Whether what is streamed has to come from beyond the second-level cache. */
static bool is_far(const Loops *l) {
    double bytes = 0;
    for (int i = 0; i < l->kernel->nodes.n; i++) {
        if (!is_streamed(l, i)) continue;
        const KAccess *a = &l->kernel->accesses.at[l->kernel->nodes.at[i].access];
        double elements = dtype_bytes(l->kernel->nodes.at[i].dtype);
        for (int x = 0; x < l->kernel->axes.n; x++) {
            bool counts = !dim_is(a->strides[x], 0);
            for (int y = 0; y < l->kernel->axes.n; y++)
                counts = counts && (x == y || !kernel_overlap(l->kernel, a, y, x));
            if (counts) elements *= (double)l->kernel->axes.at[x].extent->upper;
        }
        bytes += elements;
    }
    return bytes > 4 * (double)l->e->target->l2_bytes;
}

void loops_ask_ahead(Loops *l, Group base) {
    enum { VECTORS = 8, POINTS = 64 };
    int tiled = l->copies->tiled, around = tiled - 1;
    if (tiled < 0 || base.points[0]->lanes == 1 || !is_far(l)) return;
    int64_t extent = dim_value(l->kernel->axes.at[tiled].extent);
    int64_t run = l->kernel->axes.at[l->vector].extent->upper / l->lanes;
    if (tiled < l->outer)
        ask_ahead(l, base, tiled, (VECTORS + run - 1) / (run ? run : 1) * l->copies->count);
    else if (around >= l->outer)
        ask_ahead(l, base, around, (POINTS + extent - 1) / extent);
}
