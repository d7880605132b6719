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
 * inner axes is computed before a sweep. Short windows are unrolled; where the guards of all their places hold there
 * is code of its own without guards (guards.h), elsewhere places outside are passed over. Outer axes of few points, as
 * the places of a kernel whose gradient is summed up over an image, may be jammed: one sweep serves all of them. Costly
 * values that several stages need wait in row memory, or
 * in registers where a whole row fits into one group of vectors. */
#include "codegen/cascade.h"
#include "codegen/guards.h"
#include "codegen/reduce.h"
#include "ir/kernel_util.h"

typedef struct Group {
    NodePoint **points;
    int n;
} Group;

typedef struct Loops {
    Emit *e;
    const Kernel *kernel;
    KernelScope *scope;
    LLVMValueRef *extent;      /* by axis */
    int outer;                 /* axes 0 .. outer-1 are outer ones */
    int first;                 /* of these, the first `first` are jammed: their points are a group's */
    Guards guards;             /* that hold in whole windows, or for all points of a group */
    bool inside;               /* where the code is that is being built */
    int *skip;                 /* by stage: the guard without which a point of its sweep changes nothing, or -1 */
    int vector;                /* the vector axis or -1 */
    bool vector_inner;
    int lanes, unroll;
    uint64_t inner_axes;
    KernelRows rows;
    bool **stage_nodes;        /* by stage: nodes evaluated there */
    LLVMValueRef *index;       /* of outer axes at the current point */
} Loops;

/* ------------------------------------------------------------------------- strips */

/* Code for `vectors` vectors of `lanes` lanes from index `at` on; mask null: all lanes. */
typedef void StripBody(Loops *l, void *user, LLVMValueRef at, int vectors, int lanes, LLVMValueRef mask);

typedef struct Strip {
    LLVMValueRef from, until;
    int64_t most;              /* until - from is at most this */
    StripBody *body;
    void *user;
} Strip;

static bool is_constant(LLVMValueRef x, int64_t value) {
    return LLVMIsAConstantInt(x) && LLVMConstIntGetSExtValue(x) == value;
}

/* from + the greatest multiple of step that does not go beyond until. */
static LLVMValueRef whole_steps(Emit *e, LLVMValueRef from, LLVMValueRef until, int64_t step) {
    LLVMValueRef n = LLVMBuildNSWSub(e->at, until, from, "");
    LLVMValueRef rest = LLVMBuildURem(e->at, n, emit_i64(e, step), "");
    return LLVMBuildNSWSub(e->at, until, rest, "");
}

/* for (i = from; i < until; i += vectors * lanes) body(i); nothing if from and until are equal constants. */
static void strip_loop(Loops *l, const Strip *s, LLVMValueRef from, LLVMValueRef until, int vectors, int lanes,
                       bool masked, const char *name) {
    Emit *e = l->e;
    if (from == until || (LLVMIsAConstantInt(until) && is_constant(from, LLVMConstIntGetSExtValue(until)))) return;
    EmitLoop loop = emit_loop_begin(e, from, until, emit_i64(e, (int64_t)vectors * lanes), name);
    LLVMValueRef mask = masked ? emit_mask(e, LLVMBuildNSWSub(e->at, until, loop.index, ""), lanes) : NULL;
    s->body(l, s->user, loop.index, vectors, lanes, mask);
    emit_loop_end(e, &loop);
}

/* Vectors kept in flight when there are at most `most` elements. */
static int unroll_for(const Loops *l, int64_t most) {
    int64_t vectors = most / l->lanes;
    return vectors < 1 ? 1 : vectors < l->unroll ? (int)vectors : l->unroll;
}

/* What is left from `at` on when vectors have been taken `unroll` at a time. */
static void strip_rest(Loops *l, const Strip *s, LLVMValueRef at, int unroll) {
    Emit *e = l->e;
    if (unroll == 1 && l->lanes == 1) return;
    if (e->target->masked_memory && l->lanes > 1) {
        strip_loop(l, s, at, s->until, 1, l->lanes, true, "rest");
        return;
    }
    if (l->lanes > 1 && unroll > 1) {
        LLVMValueRef step = whole_steps(e, at, s->until, l->lanes);
        strip_loop(l, s, at, step, 1, l->lanes, false, "vectors");
        at = step;
    }
    strip_loop(l, s, at, s->until, 1, 1, false, "rest");
}

static void emit_strip(Loops *l, const Strip *s) {
    int unroll = unroll_for(l, s->most);
    LLVMValueRef at = s->from;
    if (s->most >= (int64_t)unroll * l->lanes) {
        LLVMValueRef step = whole_steps(l->e, at, s->until, (int64_t)unroll * l->lanes);
        strip_loop(l, s, at, step, unroll, l->lanes, false, "main");
        at = step;
    }
    strip_rest(l, s, at, unroll);
}

/* ------------------------------------------------------------------------- points */

static NodePoint *new_point(Loops *l, int lanes, LLVMValueRef mask) {
    NodePoint *p = emit_point(l->e, l->scope);
    memcpy(p->index, l->index, sizeof *p->index * (size_t)l->kernel->axes.n);
    p->lanes = lanes;
    p->vector_axis = lanes > 1 ? l->vector : -1;
    p->mask = mask;
    for (int i = 0; l->inside && i < l->guards.nodes.n; i++)
        p->value[l->guards.nodes.at[i]] = LLVMConstInt(l->e->i1, 1, 0);
    return p;
}

/* The stage's values that are the same all over a sweep become known to the base point. */
static void compute_invariants(Loops *l, int stage, NodePoint *base) {
    for (int i = 0; i < l->kernel->nodes.n; i++)
        if (l->stage_nodes[stage][i] && !(l->scope->depends[i] & l->inner_axes)) emit_node(l->e, base, i);
}

/* What base knows of the outer point, p knows too. */
static void inherit(const Loops *l, NodePoint *p, const NodePoint *base) {
    for (int i = 0; i < l->kernel->nodes.n; i++)
        if (!(l->scope->depends[i] & l->inner_axes) && base->value[i]) p->value[i] = base->value[i];
    p->reduced = base->reduced;
}

/* -------------------------------------------------------------------- one point's code */

static bool fills_row(const Loops *l, int stage, int node) {
    return l->rows.stage[node] == stage && l->scope->scratch && l->rows.bytes <= l->kernel->schedule.scratch;
}

/* The element of the row that this point's first lane is. */
static LLVMValueRef row_place(Loops *l, const NodePoint *p, int node) {
    Emit *e = l->e;
    LLVMValueRef at = emit_i64(e, 0);
    for (int a = l->outer; a < l->kernel->axes.n; a++)
        if (a != l->vector) at = emit_add(e, emit_mul(e, at, l->extent[a]), p->index[a]);
    at = emit_add(e, emit_mul(e, at, l->extent[l->vector]), p->index[l->vector]);
    LLVMValueRef offset = emit_i64(e, l->rows.offset[node]);
    LLVMValueRef row = LLVMBuildGEP2(e->at, e->i8, l->scope->scratch, &offset, 1, "row");
    return emit_element_pointer(e, l->kernel->nodes.at[node].dtype, row, at);
}

/* Rows that an earlier stage has filled are read at this point. */
static void attach_rows(Loops *l, int stage, NodePoint *p) {
    for (int i = 0; i < l->kernel->nodes.n; i++)
        for (int s = 0; s < stage; s++)
            if (fills_row(l, s, i) && l->stage_nodes[stage][i]) p->cached_row[i] = row_place(l, p, i);
}

static void keep_rows(Loops *l, int stage, NodePoint *p) {
    Emit *e = l->e;
    for (int i = 0; i < l->kernel->nodes.n; i++) {
        if (!fills_row(l, stage, i)) continue;
        emit_store(e, l->kernel->nodes.at[i].dtype, p->lanes, row_place(l, p, i), emit_node(e, p, i), p->mask);
    }
}

/* All that the stage stores at a point, after all of it has been computed: it may lie where something was read. */
static void emit_point_stores(Loops *l, int stage, NodePoint *p) {
    const KStage *s = &l->kernel->stages.at[stage];
    for (int i = 0; i < s->stores.n; i++) emit_node(l->e, p, s->stores.at[i].node);
    for (int i = 0; i < s->stores.n; i++) emit_node_store(l->e, p, &s->stores.at[i]);
}

/* ------------------------------------------------------------------------- sweeps */

/* One stage over the inner axes. Slots are accumulators side by side: vectors in flight, then - for a row -
 * one for elements that are left when there are no masks. Of each slot there is one for each level. */
typedef struct Sweep {
    int stage;
    Group base;                /* outer points: one, or with lanes along an outer axis a group */
    Group resident;            /* the whole row's points, if they persist from stage to stage */
    Cascade cascade;           /* the loops over inner axes */
    int level;                 /* that the code being built adds to */
    int slots;
    Accumulator ***slot;       /* [level][slot][reduction of the stage]; without a cascade only the first level */
} Sweep;

static const KReduction *reduction_of(const Loops *l, const Sweep *s, int r) {
    return &l->kernel->reductions.at[l->kernel->stages.at[s->stage].reductions.at[r]];
}

static bool cascades(const Loops *l, const Sweep *s, int r) {
    return accumulator_cascades(l->kernel, reduction_of(l, s, r));
}

static Accumulator *accumulator_at(const Loops *l, const Sweep *s, int slot, int r) {
    return &s->slot[cascades(l, s, r) ? s->level : 0][slot][r];
}

static void sweep_slots(Loops *l, Sweep *s, int slots, int lanes, int scalar) {
    const KStage *stage = &l->kernel->stages.at[s->stage];
    s->slots = slots;
    s->slot = arena_array(l->e->arena, Accumulator **, s->cascade.levels);
    for (int level = 0; level < s->cascade.levels; level++) {
        s->slot[level] = arena_array(l->e->arena, Accumulator *, slots + 1);
        for (int i = 0; i < slots; i++) {
            s->slot[level][i] = arena_array(l->e->arena, Accumulator, stage->reductions.n + 1);
            for (int r = 0; r < stage->reductions.n; r++)
                if (!level || cascades(l, s, r))
                    s->slot[level][i][r] =
                        accumulator_new(l->e, l->kernel, reduction_of(l, s, r), i == scalar ? 1 : lanes);
        }
    }
}

static void close_level(Loops *l, Sweep *s) {
    s->level++;
    for (int i = 0; i < s->slots; i++)
        for (int r = 0; r < l->kernel->stages.at[s->stage].reductions.n; r++)
            if (cascades(l, s, r))
                accumulator_close(l->e, &s->slot[s->level - 1][i][r], &s->slot[s->level][i][r]);
}

/* The stage at one point of the sweep. `partial`: masked lanes are no elements of the row. */
static void sweep_point(Loops *l, Sweep *s, NodePoint *p, int slot, bool partial) {
    const KStage *stage = &l->kernel->stages.at[s->stage];
    for (int r = 0; r < stage->reductions.n; r++) {
        Accumulator *a = accumulator_at(l, s, slot, r);
        accumulator_add(l->e, a, p, partial);
        if (a->reduction->running) p->running[stage->reductions.at[r]] = accumulator_result(l->e, a);
    }
    if (l->vector_inner && !s->resident.n) keep_rows(l, s->stage, p);
    emit_point_stores(l, s->stage, p);
}

static void sweep_row_body(Loops *l, void *user, LLVMValueRef at, int vectors, int lanes, LLVMValueRef mask) {
    Sweep *s = user;
    for (int i = 0; i < vectors; i++) {
        l->index[l->vector] = emit_add(l->e, at, emit_i64(l->e, (int64_t)i * lanes));
        NodePoint *p = new_point(l, lanes, mask);
        inherit(l, p, s->base.points[0]);
        attach_rows(l, s->stage, p);
        bool left_over = lanes == 1 && l->lanes > 1;
        sweep_point(l, s, p, left_over ? s->slots - 1 : i, true);
    }
}

/* Point i of the group, where the sweep is. */
static NodePoint *group_point(Loops *l, const Sweep *s, int i, int lanes) {
    NodePoint *base = s->base.points[i], *p = new_point(l, lanes, lanes == 1 ? NULL : base->mask);
    if (l->vector >= 0) p->index[l->vector] = base->index[l->vector];
    memcpy(p->index, base->index, sizeof *p->index * (size_t)l->first);
    return p;
}

static void sweep_group_point(Loops *l, Sweep *s, int i) {
    NodePoint *p = group_point(l, s, i, s->base.points[i]->lanes);
    int guard = l->inside ? -1 : l->skip[s->stage];
    EmitIf counts;
    inherit(l, p, s->base.points[i]);
    if (guard >= 0) {
        counts = emit_if_begin(l->e, emit_node(l->e, group_point(l, s, i, 1), guard));
        p->value[guard] = LLVMConstInt(l->e->i1, 1, 0);
    }
    sweep_point(l, s, p, i, false);
    if (guard >= 0) emit_if_end(l->e, &counts);
}

static void sweep_group_body(Loops *l, Sweep *s) {
    Emit *e = l->e;
    bool apart = l->first && l->guards.nodes.n;
    EmitIf inside;
    if (apart) {
        inside = emit_if_begin(e, guards_hold(e, l->scope, &l->guards, l->index, l->extent));
        l->inside = true;
        for (int i = 0; i < s->base.n; i++) sweep_group_point(l, s, i);
        l->inside = false;
        emit_if_else(e, &inside);
    }
    for (int i = 0; i < s->base.n; i++) sweep_group_point(l, s, i);
    if (apart) emit_if_end(e, &inside);
}

/* Rounds of the vector axis that take one vector or one element: what is left behind the whole groups of vectors. */
static int64_t rounds_left(const Loops *l, int64_t unroll) {
    Dim extent = l->kernel->axes.at[l->vector].extent;
    if (dim_is_const(extent) && dim_value(extent) % (unroll * l->lanes) == 0) return 0;
    return l->e->target->masked_memory || l->lanes < unroll ? unroll : l->lanes;
}

/* The loops over the inner axes. A row's vectors are the innermost. */
static Cascade sweep_cascade(const Loops *l, const Sweep *s) {
    const Kernel *k = l->kernel;
    Cascade c = cascade_new();
    bool sums = false;
    for (int r = 0; r < k->stages.at[s->stage].reductions.n; r++) sums |= cascades(l, s, r);
    if (l->vector_inner) {
        int64_t most = k->axes.at[l->vector].extent->upper, unroll = unroll_for(l, most);
        if (most >= unroll * l->lanes)
            cascade_axis(l->e->arena, &c, l->vector, unroll * l->lanes, most / (unroll * l->lanes), sums);
        c.terms += rounds_left(l, unroll);
    }
    for (int a = k->axes.n - 1; a >= l->outer; a--)
        if (a != l->vector) cascade_axis(l->e->arena, &c, a, 1, k->axes.at[a].extent->upper, sums);
    return c;
}

static void sweep_loops(Loops *l, Sweep *s, int at);

/* Loop `at` of the sweep from `from` to `until`, and what it contains. */
static void sweep_loop(Loops *l, Sweep *s, int at, LLVMValueRef from, LLVMValueRef until) {
    Emit *e = l->e;
    const CascadeLoop *c = &s->cascade.loops.at[at];
    bool block = at > 0 && c[-1].axis == c->axis;
    if (l->kernel->schedule.whole && !block && (l->inside || !l->guards.nodes.n) && LLVMIsAConstantInt(until)) {
        for (int64_t i = LLVMConstIntGetSExtValue(from); i < LLVMConstIntGetSExtValue(until); i += c->step) {
            l->index[c->axis] = emit_i64(e, i);
            sweep_loops(l, s, at - 1);
            if (c->closes) close_level(l, s);
        }
        return;
    }
    EmitLoop loop = emit_loop_begin(e, from, until, emit_i64(e, c->step), block ? "block" : "inner");
    l->index[c->axis] = loop.index;
    if (block) sweep_loop(l, s, at - 1, loop.index, emit_min(e, emit_add(e, loop.index, emit_i64(e, c->step)), until));
    else if (c->axis == l->vector) sweep_row_body(l, s, loop.index, (int)c->step / l->lanes, l->lanes, NULL);
    else sweep_loops(l, s, at - 1);
    if (c->closes) close_level(l, s);
    emit_loop_end(e, &loop);
}

static void sweep_row(Loops *l, Sweep *s, int at) {
    int64_t most = l->kernel->axes.at[l->vector].extent->upper;
    Strip strip = {.from = emit_i64(l->e, 0), .until = l->extent[l->vector], .body = sweep_row_body, .user = s,
                   .most = most};
    int unroll = unroll_for(l, most);
    LLVMValueRef from = strip.from;
    if (at >= 0) {
        LLVMValueRef until = whole_steps(l->e, from, strip.until, (int64_t)unroll * l->lanes);
        sweep_loop(l, s, at, from, until);
        from = until;
    }
    strip_rest(l, &strip, from, unroll);
}

/* Loops `at` .. 0 of the sweep. */
static void sweep_loops(Loops *l, Sweep *s, int at) {
    int axis = at < 0 ? l->vector : s->cascade.loops.at[at].axis;
    if (l->vector_inner && axis == l->vector) sweep_row(l, s, at);
    else if (at < 0) sweep_group_body(l, s);
    else sweep_loop(l, s, at, emit_i64(l->e, 0), l->extent[axis]);
}

/* A row's accumulators become one value for each reduction of the stage. */
static void finish_row(Loops *l, Sweep *s, int vectors) {
    const KStage *stage = &l->kernel->stages.at[s->stage];
    Accumulator *all = arena_array(l->e->arena, Accumulator, vectors + 1);
    for (int r = 0; r < stage->reductions.n; r++) {
        for (int i = 0; i < vectors; i++) all[i] = *accumulator_at(l, s, i, r);
        Accumulator sum = accumulator_merge(l->e, all, vectors);
        sum = accumulator_combine_lanes(l->e, &sum);
        if (s->slots > vectors) sum = accumulator_merge(l->e, (Accumulator[]){sum, *accumulator_at(l, s, vectors, r)}, 2);
        s->base.points[0]->reduced[stage->reductions.at[r]] = accumulator_result(l->e, &sum);
    }
}

static void finish_group(Loops *l, Sweep *s) {
    const KStage *stage = &l->kernel->stages.at[s->stage];
    for (int i = 0; i < s->base.n; i++)
        for (int r = 0; r < stage->reductions.n; r++)
            s->base.points[i]->reduced[stage->reductions.at[r]] = accumulator_result(l->e, accumulator_at(l, s, i, r));
}

static void sweep_stage(Loops *l, Sweep *s) {
    for (int i = 0; i < s->base.n; i++) compute_invariants(l, s->stage, s->base.points[i]);
    if (!l->vector_inner) {
        s->cascade = sweep_cascade(l, s);
        sweep_slots(l, s, s->base.n, s->base.points[0]->lanes, -1);
        sweep_loops(l, s, s->cascade.loops.n - 1);
        finish_group(l, s);
    } else if (s->resident.n) {
        s->cascade = cascade_new();
        sweep_slots(l, s, s->resident.n, l->lanes, -1);
        for (int i = 0; i < s->resident.n; i++) {
            inherit(l, s->resident.points[i], s->base.points[0]);
            sweep_point(l, s, s->resident.points[i], i, true);
        }
        finish_row(l, s, s->resident.n);
    } else {
        int vectors = unroll_for(l, l->kernel->axes.at[l->vector].extent->upper);
        bool left_over = l->lanes > 1 && !l->e->target->masked_memory;
        s->cascade = sweep_cascade(l, s);
        sweep_slots(l, s, vectors + left_over, l->lanes, left_over ? vectors : -1);
        sweep_loops(l, s, s->cascade.loops.n - 1);
        finish_row(l, s, vectors);
    }
}

/* The points of a whole row, if it has one inner axis and never more elements than a group of vectors;
 * without masks, only if they fill it exactly. Their values then stay known from stage to stage. */
static Group resident_row(Loops *l) {
    Emit *e = l->e;
    Group g = {NULL, 0};
    if (!l->vector_inner || l->kernel->axes.n != l->outer + 1 || l->lanes == 1) return g;
    Dim extent = l->kernel->axes.at[l->vector].extent;
    if (extent->upper > (int64_t)l->lanes * l->unroll) return g;
    bool exact = dim_is_const(extent) && dim_value(extent) % l->lanes == 0;
    if (!e->target->masked_memory && !exact) return g;
    g.n = (int)((extent->upper + l->lanes - 1) / l->lanes);
    g.points = arena_array(e->arena, NodePoint *, g.n + 1);
    for (int i = 0; i < g.n; i++) {
        int64_t at = (int64_t)i * l->lanes;
        l->index[l->vector] = emit_i64(e, at);
        bool full = extent->lower >= at + l->lanes;
        LLVMValueRef left = LLVMBuildNSWSub(e->at, l->extent[l->vector], emit_i64(e, at), "");
        g.points[i] = new_point(l, l->lanes, full ? NULL : emit_mask(e, left, l->lanes));
    }
    return g;
}

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
    Group resident = resident_row(l);
    for (int stage = 0; stage < l->kernel->stages.n; stage++) {
        if (l->kernel->stages.at[stage].inner) {
            Sweep s = {.stage = stage, .base = base, .resident = resident};
            sweep_stage(l, &s);
        } else if (kernel_interleaves(l->kernel, stage) && base.points[0]->lanes > 1 && !base.points[0]->mask) {
            emit_interleaved_stores(l, stage, base);
        } else {
            for (int i = 0; i < base.n; i++) emit_point_stores(l, stage, base.points[i]);
        }
    }
}

/* -------------------------------------------------------------------- outer points */

/* All points of the jammed axes. */
static int64_t jammed_points(const Kernel *k) {
    int64_t points = 1;
    for (int a = 0; a < k->schedule.jam; a++) points *= dim_value(k->axes.at[a].extent);
    return points;
}

/* A group of vectors of outer points, for each point of the jammed axes. */
static void outer_vectors(Loops *l, void *user, LLVMValueRef at, int vectors, int lanes, LLVMValueRef mask) {
    (void)user;
    int64_t jammed = jammed_points(l->kernel);
    Group g = {arena_array(l->e->arena, NodePoint *, vectors * jammed), 0};
    for (int64_t j = 0; j < jammed; j++) {
        int64_t rest = j;
        for (int a = l->first - 1; a >= 0; a--) {
            int64_t extent = dim_value(l->kernel->axes.at[a].extent);
            l->index[a] = emit_i64(l->e, rest % extent);
            rest /= extent;
        }
        for (int i = 0; i < vectors; i++) {
            l->index[l->outer - 1] = emit_add(l->e, at, emit_i64(l->e, (int64_t)i * lanes));
            g.points[g.n++] = new_point(l, lanes, mask);
        }
    }
    emit_stages(l, g);
}

static void single_point(Loops *l) {
    NodePoint *p = new_point(l, 1, NULL);
    emit_stages(l, (Group){&p, 1});
}

/* Whole windows and others apart. */
static void emit_windows(Loops *l, const Strip *strip) {
    if (!l->kernel->schedule.whole || !l->guards.nodes.n) {
        emit_strip(l, strip);
        return;
    }
    EmitIf inside = emit_if_begin(l->e, guards_hold(l->e, l->scope, &l->guards, l->index, l->extent));
    l->inside = true;
    emit_strip(l, strip);
    l->inside = false;
    emit_if_else(l->e, &inside);
    emit_strip(l, strip);
    emit_if_end(l->e, &inside);
}

/* Points from .. until-1 of the last outer axis, at most `most`. */
static void emit_span(Loops *l, LLVMValueRef from, LLVMValueRef until, int64_t most) {
    if (l->vector == l->outer - 1) {
        Strip strip = {.from = from, .until = until, .most = most, .body = outer_vectors};
        emit_windows(l, &strip);
        return;
    }
    EmitLoop loop = emit_loop_begin(l->e, from, until, emit_i64(l->e, 1), "point");
    l->index[l->outer - 1] = loop.index;
    single_point(l);
    emit_loop_end(l->e, &loop);
}

static int64_t chunk_of(const Kernel *k, int last) {
    int64_t most = k->axes.at[last].extent->upper, chunk = k->schedule.chunk;
    return chunk > 0 && chunk < most ? chunk : most > 0 ? most : 1;
}

/* Number of chunks of the last outer axis. */
static LLVMValueRef chunks(Emit *e, LLVMValueRef extent, int64_t chunk) {
    return LLVMBuildUDiv(e->at, emit_add(e, extent, emit_i64(e, chunk - 1)), emit_i64(e, chunk), "chunks");
}

/* Position of an item among the outer axes: a variable for each, chunks of the last one. */
typedef struct Odometer {
    LLVMValueRef *digit, *base;
} Odometer;

static Odometer odometer_at(Loops *l, LLVMValueRef item, LLVMValueRef last_base) {
    Emit *e = l->e;
    Odometer o = {arena_array(e->arena, LLVMValueRef, l->outer), arena_array(e->arena, LLVMValueRef, l->outer)};
    for (int a = l->outer - 1; a >= l->first; a--) {
        o.base[a] = a == l->outer - 1 ? last_base : l->extent[a];
        o.digit[a] = emit_variable(e, e->i64, "digit");
        emit_set(e, o.digit[a], a > l->first ? LLVMBuildURem(e->at, item, o.base[a], "") : item);
        if (a > l->first) item = LLVMBuildUDiv(e->at, item, o.base[a], "");
    }
    return o;
}

static void odometer_step(Loops *l, const Odometer *o) {
    Emit *e = l->e;
    LLVMValueRef carry = emit_i64(e, 1);
    for (int a = l->outer - 1; a >= l->first; a--) {
        LLVMValueRef next = LLVMBuildNSWAdd(e->at, emit_get(e, e->i64, o->digit[a]), carry, "");
        LLVMValueRef wraps = LLVMBuildICmp(e->at, LLVMIntEQ, next, o->base[a], "");
        if (a == l->first) wraps = LLVMConstInt(e->i1, 0, false);
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
    for (int a = l->first; a < l->outer; a++) l->index[a] = emit_get(e, e->i64, o.digit[a]);
    LLVMValueRef from = emit_mul(e, l->index[l->outer - 1], emit_i64(e, chunk));
    emit_span(l, from, chunk_end(l, from, chunk), chunk);
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
    l.first = k->schedule.jam;
    l.skip = arena_array(e->arena, int, k->stages.n + 1);
    for (int i = 0; i < k->stages.n; i++) l.skip[i] = guard_of_terms(k, i, s->depends, l.vector_inner ? -1 : l.vector);
    if (!l.vector_inner && (l.first || k->schedule.whole)) {
        bool *all = arena_array(e->arena, bool, k->nodes.n + 1);
        for (int i = 0; i < k->nodes.n; i++) all[i] = true;
        uint64_t box = l.first ? ((uint64_t)1 << l.first) - 1 : l.inner_axes;
        l.guards = guards_of(k, all, s->depends, box, l.vector, e->arena);
    }
    l.rows = kernel_rows(k, e->arena);
    bool kept = s->scratch && l.rows.bytes && l.rows.bytes <= k->schedule.scratch;
    l.stage_nodes = arena_array(e->arena, bool *, k->stages.n + 1);
    for (int i = 0; i < k->stages.n; i++) {
        l.stage_nodes[i] = arena_array(e->arena, bool, k->nodes.n + 1);
        kernel_stage_nodes(k, i, kept ? &l.rows : NULL, l.stage_nodes[i]);
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
    if (l.outer - l.first > 1) {
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
    for (int a = k->schedule.jam; a < k->axes.n && k->axes.at[a].role == AXIS_OUTER; a++) {
        LLVMValueRef extent = emit_dim(e, &e->kernels->dims, k->axes.at[a].extent, symbols);
        bool last = a + 1 == k->axes.n || k->axes.at[a + 1].role != AXIS_OUTER;
        items = emit_mul(e, items, last ? chunks(e, extent, chunk_of(k, a)) : extent);
    }
    return items;
}
