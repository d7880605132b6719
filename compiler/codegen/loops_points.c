/* Strips of vectors and single points of LOOPS kernels: see loops.c. */
#include "codegen/loops.h"

/* ------------------------------------------------------------------------- strips */

static bool is_constant(LLVMValueRef x, int64_t value) {
    return LLVMIsAConstantInt(x) && LLVMConstIntGetSExtValue(x) == value;
}

/* from + the greatest multiple of step that does not go beyond until. */
LLVMValueRef loops_whole_steps(Emit *e, LLVMValueRef from, LLVMValueRef until, int64_t step) {
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

/* Whether the vector axis is so many whole vectors. */
bool loops_are_even(const Loops *l) {
    Dim extent = l->kernel->axes.at[l->vector].extent;
    return dim_is_const(extent) && dim_value(extent) % l->lanes == 0;
}

/* Vectors kept in flight when there are at most `most` elements. */
int loops_unroll(const Loops *l, int64_t most) {
    int64_t vectors = most / l->lanes;
    return vectors < 1 ? 1 : vectors < l->unroll ? (int)vectors : l->unroll;
}

/* What is left from `at` on when vectors have been taken `unroll` at a time. */
void loops_strip_rest(Loops *l, const Strip *s, LLVMValueRef at, int unroll) {
    Emit *e = l->e;
    if (unroll == 1 && (l->lanes == 1 || s->even)) return;
    if (s->even) {
        strip_loop(l, s, at, s->until, 1, l->lanes, false, "vectors");
        return;
    }
    if (e->target->masked_memory && l->lanes > 1) {
        strip_loop(l, s, at, s->until, 1, l->lanes, true, "rest");
        return;
    }
    if (l->lanes > 1 && unroll > 1) {
        LLVMValueRef step = loops_whole_steps(e, at, s->until, l->lanes);
        strip_loop(l, s, at, step, 1, l->lanes, false, "vectors");
        at = step;
    }
    strip_loop(l, s, at, s->until, 1, 1, false, "rest");
}

void loops_strip(Loops *l, const Strip *s) {
    int unroll = loops_unroll(l, s->most);
    LLVMValueRef at = s->from;
    if (s->most >= (int64_t)unroll * l->lanes) {
        LLVMValueRef step = loops_whole_steps(l->e, at, s->until, (int64_t)unroll * l->lanes);
        strip_loop(l, s, at, step, unroll, l->lanes, false, "main");
        at = step;
    }
    loops_strip_rest(l, s, at, unroll);
}

/* ------------------------------------------------------------------------- points */

NodePoint *loops_point(Loops *l, int lanes, LLVMValueRef mask) {
    NodePoint *p = emit_point(l->e, l->scope);
    memcpy(p->index, l->index, sizeof *p->index * (size_t)l->kernel->axes.n);
    p->lanes = lanes;
    p->vector_axis = lanes > 1 ? l->vector : -1;
    p->mask = mask;
    copies_inform(l->copies, p);
    return p;
}

/* Copies in a group of outer points: each has all of the group's vectors. */
int64_t loops_copies(const Loops *l) {
    int64_t n = 1;
    for (int a = 0; a < l->outer; a++)
        if (l->grouped >> a & 1) n *= copies_along(l->copies, a);
    return n;
}

/* Goes to copy j of the group. */
void loops_go_to_copy(Loops *l, int64_t j) {
    for (int a = l->outer - 1; a >= 0; a--) {
        if (!(l->grouped >> a & 1)) continue;
        copies_move(l->copies, a, j % copies_along(l->copies, a));
        j /= copies_along(l->copies, a);
    }
}

/* The copy of the group that the nest is at. */
int64_t loops_copy(const Loops *l) {
    int64_t j = 0;
    for (int a = 0; a < l->outer; a++)
        if (l->grouped >> a & 1) j = j * copies_along(l->copies, a) + l->copies->at[a];
    return j;
}

/* Loads that copies of a group's outer points share. */
void loops_take_shared(Loops *l, int stage, Group g, int i) {
    int vectors = g.n / (int)loops_copies(l);
    loops_go_to_copy(l, i / vectors);
    copies_take(l->copies, l->fixed_nodes[stage], g.points[i], i % vectors);
}

void loops_keep_shared(Loops *l, int stage, Group g, int i) {
    copies_keep(l->copies, l->fixed_nodes[stage], g.points[i], i % (g.n / (int)loops_copies(l)));
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
void loops_attach_rows(Loops *l, int stage, NodePoint *p) {
    for (int i = 0; i < l->kernel->nodes.n; i++)
        for (int s = 0; s < stage; s++)
            if (fills_row(l, s, i) && l->stage_nodes[stage][i]) p->cached_row[i] = row_place(l, p, i);
}

void loops_keep_rows(Loops *l, int stage, NodePoint *p) {
    Emit *e = l->e;
    for (int i = 0; i < l->kernel->nodes.n; i++) {
        if (!fills_row(l, stage, i)) continue;
        emit_store(e, l->kernel->nodes.at[i].dtype, p->lanes, row_place(l, p, i), emit_node(e, p, i), p->mask);
    }
}

/* All that the stage stores at a point, after all of it has been computed: it may lie where something was read. */
void loops_point_stores(Loops *l, int stage, NodePoint *p) {
    const KStage *s = &l->kernel->stages.at[stage];
    for (int i = 0; i < s->stores.n; i++) emit_node(l->e, p, s->stores.at[i].node);
    for (int i = 0; i < s->stores.n; i++) emit_node_store(l->e, p, &s->stores.at[i]);
}
