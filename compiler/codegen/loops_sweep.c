/* Sweeps: a stage of a LOOPS kernel over the inner axes. See loops.c. */
#include "codegen/loops.h"

_Static_assert((int)KERNEL_BLOCKS == (int)CASCADE_MOST, "a tiled axis is one loop");

/* The stage's values that are the same all over a sweep become known to the base point. */
static void compute_invariants(Loops *l, int stage, NodePoint *base) {
    for (int i = 0; i < l->kernel->nodes.n; i++)
        if (l->fixed_nodes[stage][i]) emit_node(l->e, base, i);
}

/* What base knows of the outer point, p knows too. */
static void inherit(const Loops *l, NodePoint *p, const NodePoint *base) {
    for (int i = 0; i < l->kernel->nodes.n; i++)
        if (!(l->scope->depends[i] & l->inner_axes) && base->value[i]) p->value[i] = base->value[i];
    p->reduced = base->reduced;
}

/* One stage over the inner axes. Slots are accumulators side by side: vectors in flight, then - for a row -
 * one for elements that are left when there are no masks. Of each slot there is one for each level. */
typedef struct Sweep {
    int stage;
    Group base;                /* outer points: one, or with lanes along an outer axis a group */
    Group resident;            /* the whole row's points, if they persist from stage to stage */
    CopyNest nest;             /* with lanes along an outer axis: what is copied */
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
    if (l->vector_inner && !s->resident.n) loops_keep_rows(l, s->stage, p);
    loops_point_stores(l, s->stage, p);
}

static void sweep_row_body(Loops *l, void *user, LLVMValueRef at, int vectors, int lanes, LLVMValueRef mask) {
    Sweep *s = user;
    for (int i = 0; i < vectors; i++) {
        l->index[l->vector] = emit_add(l->e, at, emit_i64(l->e, (int64_t)i * lanes));
        NodePoint *p = loops_point(l, lanes, mask);
        inherit(l, p, s->base.points[0]);
        loops_attach_rows(l, s->stage, p);
        bool left_over = lanes == 1 && l->lanes > 1;
        sweep_point(l, s, p, left_over ? s->slots - 1 : i, true);
    }
}

/* Point i of the group, where the sweep is. */
static NodePoint *group_point(Loops *l, const Sweep *s, int i) {
    NodePoint *base = s->base.points[i], *p = loops_point(l, base->lanes, base->mask);
    if (l->vector >= 0) p->index[l->vector] = base->index[l->vector];
    inherit(l, p, base);
    return p;
}

/* The copies from `depth` on of the axes that are copied. */
static void sweep_copies(Loops *l, Sweep *s, int depth) {
    const CopyNest *nest = &s->nest;
    if (depth == nest->n) {
        int vectors = s->base.n / (int)loops_copies(l), first = (int)loops_copy(l) * vectors;
        for (int i = 0; i < vectors; i++) {
            NodePoint *p = group_point(l, s, first + i);
            copies_take(l->copies, nest->nodes, p, i);
            sweep_point(l, s, p, first + i, false);
            copies_keep(l->copies, nest->nodes, p, i);
        }
        return;
    }
    for (int64_t x = 0; x < copies_along(l->copies, nest->axis[depth]); x++) {
        CopyScope scope;
        copies_move(l->copies, nest->axis[depth], x);
        if (!copies_enter(l->copies, nest, depth, &scope)) continue;
        sweep_copies(l, s, depth + 1);
        copies_leave(l->copies, &scope);
    }
}

/* All copies at the current point of the loops, for what is known of the guards. */
static void sweep_nest(Loops *l, Sweep *s) {
    CopyScope scope;
    int loads = l->copies->loads.n;
    s->nest = copies_nest(l->copies, s->stage, l->stage_nodes[s->stage]);
    if (copies_enter(l->copies, &s->nest, -1, &scope)) {
        sweep_copies(l, s, 0);
        copies_leave(l->copies, &scope);
    }
    l->copies->loads.n = loads;
}

/* With many terms in a copy no branches are to part them where none is needed. */
static void sweep_group_body(Loops *l, Sweep *s) {
    bool tiled = l->copies->tiled >= l->outer;
    CopyNest nest = copies_nest(l->copies, s->stage, l->stage_nodes[s->stage]);
    LLVMValueRef whole = tiled ? copies_whole(l->copies, &nest) : NULL;
    EmitIf branch;
    if (tiled) loops_ask_ahead(l, s->base);
    if (whole) {
        CopyScope scope;
        branch = emit_if_begin(l->e, whole);
        copies_enter_whole(l->copies, &nest, &scope);
        sweep_nest(l, s);
        copies_leave(l->copies, &scope);
        emit_if_else(l->e, &branch);
    }
    sweep_nest(l, s);
    if (whole) emit_if_end(l->e, &branch);
}

/* Rounds of the vector axis that take one vector or one element: what is left behind the whole groups of vectors. */
static int64_t rounds_left(const Loops *l, int64_t unroll) {
    Dim extent = l->kernel->axes.at[l->vector].extent;
    if (dim_is_const(extent) && dim_value(extent) % (unroll * l->lanes) == 0) return 0;
    return l->e->target->masked_memory || loops_are_even(l) || l->lanes < unroll ? unroll : l->lanes;
}

/* The loops over the inner axes. A row's vectors are the innermost. */
static Cascade sweep_cascade(const Loops *l, const Sweep *s) {
    const Kernel *k = l->kernel;
    Cascade c = cascade_new();
    bool sums = false;
    for (int r = 0; r < k->stages.at[s->stage].reductions.n; r++) sums |= cascades(l, s, r);
    if (l->vector_inner) {
        int64_t most = k->axes.at[l->vector].extent->upper, unroll = loops_unroll(l, most);
        if (most >= unroll * l->lanes)
            cascade_axis(l->e->arena, &c, l->vector, unroll * l->lanes, most / (unroll * l->lanes), sums);
        c.terms += rounds_left(l, unroll);
    }
    for (int a = k->axes.n - 1; a >= l->outer; a--) {
        int64_t rounds = k->axes.at[a].extent->upper, step = 1;
        if (a == l->vector || (l->copies->axes >> a & 1 && a != l->copies->tiled)) continue;
        if (a == l->copies->tiled) {
            /* So many terms that the axis is not cut further: its blocks are one loop, which may close after each. */
            step = k->schedule.tile;
            rounds = (rounds + step - 1) / step;
            c.terms = step * rounds <= CASCADE_MOST || step > CASCADE_BLOCK / 2 ? step : CASCADE_BLOCK / 2 + 1;
        }
        cascade_axis(l->e->arena, &c, a, step, rounds, sums);
    }
    return c;
}

static void sweep_loops(Loops *l, Sweep *s, int at);

/* A block of the tiled axis, which is an inner one. */
typedef struct SweepBlock {
    Loops *l;
    Sweep *s;
    int at, level;             /* the loop and the level to begin with */
} SweepBlock;

static void sweep_block(void *user) {
    SweepBlock *b = user;
    b->s->level = b->level;
    sweep_loops(b->l, b->s, b->at - 1);
    if (b->s->cascade.loops.at[b->at].closes) close_level(b->l, b->s);
}

/* Loop `at` of the sweep from `from` to `until`, and what it contains. */
static void sweep_loop(Loops *l, Sweep *s, int at, LLVMValueRef from, LLVMValueRef until) {
    Emit *e = l->e;
    const CascadeLoop *c = &s->cascade.loops.at[at];
    bool block = at > 0 && c[-1].axis == c->axis;
    if (c->axis == l->copies->tiled) {
        copies_walk(l->copies, sweep_block, &(SweepBlock){l, s, at, s->level});
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
                   .most = most, .even = loops_are_even(l)};
    int unroll = loops_unroll(l, most);
    LLVMValueRef from = strip.from;
    if (at >= 0) {
        LLVMValueRef until = loops_whole_steps(l->e, from, strip.until, (int64_t)unroll * l->lanes);
        sweep_loop(l, s, at, from, until);
        from = until;
    }
    loops_strip_rest(l, &strip, from, unroll);
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

void loops_sweep(Loops *l, int stage, Group base, Group resident) {
    Sweep *s = &(Sweep){.stage = stage, .base = base, .resident = resident};
    for (int i = 0; i < s->base.n; i++) {
        loops_take_shared(l, s->stage, s->base, i);
        compute_invariants(l, s->stage, s->base.points[i]);
        loops_keep_shared(l, s->stage, s->base, i);
    }
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
        int vectors = loops_unroll(l, l->kernel->axes.at[l->vector].extent->upper);
        bool left_over = l->lanes > 1 && !l->e->target->masked_memory && !loops_are_even(l);
        s->cascade = sweep_cascade(l, s);
        sweep_slots(l, s, vectors + left_over, l->lanes, left_over ? vectors : -1);
        sweep_loops(l, s, s->cascade.loops.n - 1);
        finish_row(l, s, vectors);
    }
}

/* The points of a whole row, if it has one inner axis and never more elements than a group of vectors;
 * without masks, only if they fill it exactly. Their values then stay known from stage to stage. */
Group loops_resident_row(Loops *l) {
    Emit *e = l->e;
    Group g = {NULL, 0};
    if (!l->vector_inner || l->kernel->axes.n != l->outer + 1 || l->lanes == 1) return g;
    Dim extent = l->kernel->axes.at[l->vector].extent;
    if (extent->upper > (int64_t)l->lanes * l->unroll) return g;
    if (!e->target->masked_memory && !loops_are_even(l)) return g;
    g.n = (int)((extent->upper + l->lanes - 1) / l->lanes);
    g.points = arena_array(e->arena, NodePoint *, g.n + 1);
    for (int i = 0; i < g.n; i++) {
        int64_t at = (int64_t)i * l->lanes;
        l->index[l->vector] = emit_i64(e, at);
        bool full = extent->lower >= at + l->lanes;
        LLVMValueRef left = LLVMBuildNSWSub(e->at, l->extent[l->vector], emit_i64(e, at), "");
        g.points[i] = loops_point(l, l->lanes, full ? NULL : emit_mask(e, left, l->lanes));
    }
    return g;
}
