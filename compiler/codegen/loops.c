/* Loops: the code of KERNEL_LOOPS kernels.
 *
 * In: outer points (the work items begin .. end-1) and the stages to run at each, one after the other.
 * The lanes of vectors run either along an inner axis - then every outer point is a row, swept several
 * vectors at a time, whose reductions end in a fixed tree over accumulators and lanes - or along the last
 * outer axis - then a group of vectors of outer points goes through the stages together and reductions
 * stay lane by lane, as in column sums. A map is the second kind without inner axes. Long sums are cut
 * into levels, in either kind (cascade.h).
 *
 * What holds throughout: a result depends on the shape and the schedule, never on begin and end, because
 * items split outer points only. All values that a stage stores at a point are computed before the first
 * store, so a result may take the place of an operand read at the same points. What does not depend on
 * inner axes is computed before a sweep. Short windows are unrolled. Outer axes of few points, as the places of a
 * kernel whose gradient is summed up over an image, may be jammed: one sweep serves all of them. Of another axis,
 * blocks of points may be tiled: neighbouring windows share what they read (copies.h). Costly values that several
 * stages need wait in row memory, or in registers where a whole row fits into one group of vectors.
 *
 * Here are the outer points; strips of vectors and single points are in loops_points.c, sweeps over inner axes in
 * loops_sweep.c, what is asked for ahead in loops_ahead.c, transpositions in loops_turn.c. */
#include "codegen/loops.h"

/* The points of the jammed axis lie side by side, lane by lane. */
static void emit_interleaved_stores(Loops *l, int stage, Group base) {
    const KStage *s = &l->kernel->stages.at[stage];
    int jammed = (int)dim_value(l->kernel->axes.at[0].extent), vectors = base.n / jammed;
    NodePoint **points = arena_array(l->e->arena, NodePoint *, jammed);
    for (int i = 0; i < vectors; i++) {
        for (int j = 0; j < jammed; j++) points[j] = base.points[j * vectors + i];
        for (int k = 0; k < s->stores.n; k++)
            for (int j = 0; j < jammed; j++) emit_node(l->e, points[j], s->stores.at[k].node);
        for (int k = 0; k < s->stores.n; k++) emit_node_store_interleaved(l->e, points, jammed, &s->stores.at[k]);
    }
}

/* All stages for a group of outer points. */
static void emit_stages(Loops *l, Group base) {
    if (l->grouped && l->copies->tiled < l->outer) loops_ask_ahead(l, base);
    loops_turn(l, base);
    Group resident = loops_resident_row(l);
    for (int stage = 0; stage < l->kernel->stages.n; stage++) {
        if (l->kernel->stages.at[stage].inner) {
            loops_sweep(l, stage, base, resident);
        } else if (kernel_interleaves(l->kernel, stage) && base.points[0]->lanes > 1 && !base.points[0]->mask) {
            emit_interleaved_stores(l, stage, base);
        } else {
            for (int i = 0; i < base.n; i++) {
                loops_take_shared(l, stage, base, i);
                loops_point_stores(l, stage, base.points[i]);
                loops_keep_shared(l, stage, base, i);
            }
        }
    }
}

/* -------------------------------------------------------------------- outer points */

/* A group of vectors of outer points, for each of its copies. */
static void outer_vectors(Loops *l, void *user, LLVMValueRef at, int vectors, int lanes, LLVMValueRef mask) {
    (void)user;
    int64_t copies = loops_copies(l);
    Group g = {arena_array(l->e->arena, NodePoint *, vectors * copies), 0};
    l->copies->loads.n = 0;
    for (int64_t j = 0; j < copies; j++) {
        loops_go_to_copy(l, j);
        for (int i = 0; i < vectors; i++) {
            l->index[l->outer - 1] = emit_add(l->e, at, emit_i64(l->e, (int64_t)i * lanes));
            g.points[g.n++] = loops_point(l, lanes, mask);
        }
    }
    emit_stages(l, g);
}

static void single_point(Loops *l) {
    NodePoint *p = loops_point(l, 1, NULL);
    emit_stages(l, (Group){&p, 1});
}

/* Whole windows and others apart. */
static void emit_windows(Loops *l, const Strip *strip) {
    EmitIf inside = emit_if_begin(l->e, guards_hold(l->e, l->scope, &l->guards, l->index, l->extent));
    for (int i = 0; i < l->guards.nodes.n; i++) copies_assume(l->copies, l->guards.nodes.at[i]);
    loops_strip(l, strip);
    copies_forget(l->copies);
    emit_if_else(l->e, &inside);
    loops_strip(l, strip);
    emit_if_end(l->e, &inside);
}

/* A strip of the current block along a tiled outer axis. */
typedef struct TileStrip {
    Loops *l;
    const Strip *strip;
} TileStrip;

static void emit_tile(void *user) {
    TileStrip *t = user;
    loops_strip(t->l, t->strip);
}

static int64_t chunk_of(const Kernel *k, int last) {
    int64_t most = k->axes.at[last].extent->upper, chunk = k->schedule.chunk;
    return chunk > 0 && chunk < most ? chunk : most > 0 ? most : 1;
}

/* Points from .. until-1 of the last outer axis, at most `most`. */
static void emit_span(Loops *l, LLVMValueRef from, LLVMValueRef until, int64_t most) {
    if (l->vector == l->outer - 1) {
        Strip strip = {.from = from, .until = until, .most = most, .body = outer_vectors};
        strip.even = loops_are_even(l) && chunk_of(l->kernel, l->vector) % l->lanes == 0;
        if (l->copies->tiled >= 0 && l->grouped >> l->copies->tiled & 1)
            copies_walk(l->copies, emit_tile, &(TileStrip){l, &strip});
        else if (l->guards.nodes.n) emit_windows(l, &strip);
        else loops_strip(l, &strip);
        return;
    }
    EmitLoop loop = emit_loop_begin(l->e, from, until, emit_i64(l->e, 1), "point");
    l->index[l->outer - 1] = loop.index;
    single_point(l);
    emit_loop_end(l->e, &loop);
}

/* Number of chunks of the last outer axis. */
static LLVMValueRef chunks(Emit *e, LLVMValueRef extent, int64_t chunk) {
    return LLVMBuildUDiv(e->at, emit_add(e, extent, emit_i64(e, chunk - 1)), emit_i64(e, chunk), "chunks");
}

/* Position of an item among the outer axes: a variable for each, chunks of the last one. */
typedef struct Odometer {
    LLVMValueRef *digit, *base;
} Odometer;

static bool is_walked(const Loops *l, int axis) { return !(l->grouped >> axis & 1); }

/* The first axis that is walked. */
static int first_walked(const Loops *l) {
    int a = 0;
    while (!is_walked(l, a)) a++;
    return a;
}

static Odometer odometer_at(Loops *l, LLVMValueRef item, LLVMValueRef last_base) {
    Emit *e = l->e;
    Odometer o = {arena_array(e->arena, LLVMValueRef, l->outer), arena_array(e->arena, LLVMValueRef, l->outer)};
    int first = first_walked(l);
    for (int a = l->outer - 1; a >= first; a--) {
        if (!is_walked(l, a)) continue;
        o.base[a] = a == l->outer - 1 ? last_base : l->extent[a];
        o.digit[a] = emit_variable(e, e->i64, "digit");
        emit_set(e, o.digit[a], a > first ? LLVMBuildURem(e->at, item, o.base[a], "") : item);
        if (a > first) item = LLVMBuildUDiv(e->at, item, o.base[a], "");
    }
    return o;
}

static void odometer_step(Loops *l, const Odometer *o) {
    Emit *e = l->e;
    LLVMValueRef carry = emit_i64(e, 1);
    int first = first_walked(l);
    for (int a = l->outer - 1; a >= first; a--) {
        if (!is_walked(l, a)) continue;
        LLVMValueRef next = LLVMBuildNSWAdd(e->at, emit_get(e, e->i64, o->digit[a]), carry, "");
        LLVMValueRef wraps = LLVMBuildICmp(e->at, LLVMIntEQ, next, o->base[a], "");
        if (a == first) wraps = LLVMConstInt(e->i1, 0, false);
        emit_set(e, o->digit[a], LLVMBuildSelect(e->at, wraps, emit_i64(e, 0), next, ""));
        carry = LLVMBuildZExt(e->at, wraps, e->i64, "");
    }
}

static LLVMValueRef chunk_end(Loops *l, LLVMValueRef from, int64_t chunk) {
    return emit_min(l->e, emit_add(l->e, from, emit_i64(l->e, chunk)), l->extent[l->outer - 1]);
}

/* Several outer axes: item by item. */
static void emit_items(Loops *l, int64_t chunk) {
    Emit *e = l->e;
    EmitIf any = emit_if_begin(e, LLVMBuildICmp(e->at, LLVMIntSLT, l->scope->begin, l->scope->end, ""));
    Odometer o = odometer_at(l, l->scope->begin, chunks(e, l->extent[l->outer - 1], chunk));
    EmitLoop loop = emit_loop_begin(e, l->scope->begin, l->scope->end, emit_i64(e, 1), "item");
    for (int a = 0; a < l->outer; a++)
        if (is_walked(l, a)) l->index[a] = emit_get(e, e->i64, o.digit[a]);
    LLVMValueRef from = emit_i64(e, 0), until = l->extent[l->outer - 1];
    if (l->kernel->axes.at[l->outer - 1].extent->upper > chunk) {
        from = emit_mul(e, l->index[l->outer - 1], emit_i64(e, chunk));
        until = chunk_end(l, from, chunk);
    }
    emit_span(l, from, until, chunk);
    odometer_step(l, &o);
    emit_loop_end(e, &loop);
    emit_if_end(e, &any);
}

/* ---------------------------------------------------------------------- the kernel */

static Loops loops_of(Emit *e, const Kernel *k, KernelScope *s) {
    Loops l = {.e = e, .kernel = k, .scope = s, .vector = k->schedule.vector_axis};
    l.inner_axes = kernel_axes(k, AXIS_INNER);
    l.vector_inner = l.vector >= 0 && l.inner_axes >> l.vector & 1;
    l.lanes = l.vector >= 0 && k->schedule.lanes > 0 ? k->schedule.lanes : 1;
    l.unroll = l.vector >= 0 && k->schedule.unroll > 0 ? k->schedule.unroll : 1;
    l.index = arena_array(e->arena, LLVMValueRef, k->axes.n + 1);
    l.extent = arena_array(e->arena, LLVMValueRef, k->axes.n + 1);
    for (int a = 0; a < k->axes.n; a++) {
        l.outer += k->axes.at[a].role == AXIS_OUTER;
        l.extent[a] = emit_dim(e, &e->kernels->dims, k->axes.at[a].extent, s->symbols);
        l.index[a] = emit_i64(e, 0);
    }
    l.copies = copies_new(e, s, l.index);
    l.grouped = kernel_grouped(k);
    if (k->schedule.whole && !k->schedule.tile) {
        bool *all = arena_array(e->arena, bool, k->nodes.n + 1);
        for (int i = 0; i < k->nodes.n; i++) all[i] = true;
        l.guards = guards_of(k, all, s->depends, l.inner_axes, l.vector, e->arena);
    }
    l.rows = kernel_rows(k, e->arena);
    bool kept = s->scratch && l.rows.bytes && l.rows.bytes <= k->schedule.scratch;
    l.stage_nodes = arena_array(e->arena, bool *, k->stages.n + 1);
    l.fixed_nodes = arena_array(e->arena, bool *, k->stages.n + 1);
    for (int i = 0; i < k->stages.n; i++) {
        l.stage_nodes[i] = arena_array(e->arena, bool, k->nodes.n + 1);
        l.fixed_nodes[i] = arena_array(e->arena, bool, k->nodes.n + 1);
        kernel_stage_nodes(k, i, kept ? &l.rows : NULL, l.stage_nodes[i]);
        for (int j = 0; j < k->nodes.n; j++)
            l.fixed_nodes[i][j] = l.stage_nodes[i][j] && !(s->depends[j] & l.inner_axes);
    }
    return l;
}

void emit_loops_kernel(Emit *e, const Kernel *k, KernelScope *s) {
    Loops l = loops_of(e, k, s);
    if (!l.outer) {
        EmitIf any = emit_if_begin(e, LLVMBuildICmp(e->at, LLVMIntSLT, s->begin, s->end, ""));
        single_point(&l);
        emit_if_end(e, &any);
        return;
    }
    int64_t chunk = chunk_of(k, l.outer - 1);
    if (first_walked(&l) < l.outer - 1) {
        emit_items(&l, chunk);
        return;
    }
    /* With one outer axis a run of items is a run of points. */
    LLVMValueRef size = emit_i64(e, chunk);
    int axis = l.outer - 1;
    LLVMValueRef from = emit_min(e, emit_mul(e, s->begin, size), l.extent[axis]);
    LLVMValueRef until = emit_min(e, emit_mul(e, s->end, size), l.extent[axis]);
    emit_span(&l, from, until, k->axes.at[axis].extent->upper);
}

LLVMValueRef emit_loops_items(Emit *e, const Kernel *k, const LLVMValueRef *symbols) {
    LLVMValueRef items = emit_i64(e, 1);
    uint64_t grouped = kernel_grouped(k);
    for (int a = 0; a < k->axes.n && k->axes.at[a].role == AXIS_OUTER; a++) {
        if (grouped >> a & 1) continue;
        LLVMValueRef extent = emit_dim(e, &e->kernels->dims, k->axes.at[a].extent, symbols);
        bool last = a + 1 == k->axes.n || k->axes.at[a + 1].role != AXIS_OUTER;
        items = emit_mul(e, items, last ? chunks(e, extent, chunk_of(k, a)) : extent);
    }
    return items;
}
