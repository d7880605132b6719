/* What a contraction asks the caches for ahead of its use.
 *
 * Tiles run at the rate of the multiply-adds where factors come from the second-level cache. What is used for the first
 * time lies further away, in lines that do not follow one another, and the processor does not foresee it. So the terms of
 * a tile, which leave load slots free, each ask for a line of what comes next:
 * - the next strip of rows of A, behind the last one of a K block that block's continuation;
 * - the next block of B's columns, or of its terms, in the last strips of a block;
 * - the next tile, where a single strip reads all of B once;
- where weights lie in panels, the block of terms behind the current one, spread over all strips;
 * - what the epilogue reads of the tile. */
#include "codegen/contract.h"
#include "ir/kernel_util.h"

static LLVMValueRef minus(Emit *e, LLVMValueRef a, LLVMValueRef b) { return LLVMBuildSub(e->at, a, b, ""); }

/* ------------------------------------------------------------------------------- strips */

/* Where B lies in panels whose rows follow one another, the block of terms behind the current one comes next, of the
 * next panel in the end. Each tile asks for some lines of every row. */
static bool look_along_panels(Emit *e, Contract *c, LLVMValueRef row) {
    const KSchedule *s = &c->k->schedule;
    int last = kernel_last_axis(c->k, AXIS_K);
    Dim depth = kernel_joined_extent(c->k, &e->kernels->dims, AXIS_K, last - c->k_axis + 1);
    int64_t width = (int64_t)s->nv * c->lanes;
    bool panels = !c->panel && c->b && s->n_axes == 1 && dim_is_const(c->columns) && c->columns == c->b->strides[last] &&
                  dim_value(c->columns) % width == 0 && dim_value(c->columns) <= s->nc && dim_is_const(depth) &&
                  c->n > 0 && kernel_is_outer(c->k, c->n - 1);
    if (!panels || c->rows->lower < 2 * s->mr) return false;
    c->ahead.panel_terms = s->kc && s->kc < dim_value(depth) ? s->kc : dim_value(depth);
    c->ahead.strip = LLVMBuildUDiv(e->at, minus(e, row, c->m_from), emit_i64(e, s->mr), "");
    return true;
}

/* Behind all strips of a K block its first rows come again, with the terms of the next one. */
static void look_at_rows(Emit *e, Contract *c, LLVMValueRef row, LLVMValueRef strips_left) {
    const KSchedule *s = &c->k->schedule;
    int last = kernel_last_axis(c->k, AXIS_K);
    LLVMValueRef row_stride = contract_stride(e, c, c->a, c->m), next = emit_mul(e, row_stride, emit_i64(e, s->mr));
    if (c->k_blocks) {
        LLVMValueRef terms = emit_mul(e, contract_stride(e, c, c->a, last), emit_i64(e, s->kc));
        LLVMValueRef back = emit_add(e, terms, emit_mul(e, row_stride, minus(e, c->m_from, row)));
        LLVMValueRef turns = LLVMBuildAnd(e->at, LLVMBuildICmp(e->at, LLVMIntEQ, strips_left, emit_i64(e, 0), ""),
                                          LLVMBuildNot(e->at, c->k_last, ""), "");
        next = LLVMBuildSelect(e->at, turns, back, next, "");
    }
    c->ahead.next_rows = next;
}

/* Behind a K block the next one comes, behind the last one of all rows the next columns. */
static void look_at_columns(Emit *e, Contract *c, LLVMValueRef row, LLVMValueRef strips_left) {
    const KSchedule *s = &c->k->schedule;
    int last = kernel_last_axis(c->k, AXIS_K);
    LLVMValueRef width = minus(e, c->n_until, c->n_from), all = emit_dim(e, &e->kernels->dims, c->rows, c->scope->symbols);
    c->ahead.next_columns = width;
    c->ahead.strips_left = LLVMBuildUDiv(e->at, minus(e, all, emit_add(e, row, emit_i64(e, s->mr))), emit_i64(e, s->mr), "");
    if (!c->k_blocks) return;
    LLVMValueRef stride = contract_stride(e, c, c->b, last), done = emit_mul(e, stride, c->k_from);
    c->ahead.next_columns = LLVMBuildSelect(e->at, c->k_last, minus(e, emit_i64(e, 0), done),
                                            emit_mul(e, stride, emit_i64(e, s->kc)), "");
    c->ahead.strips_left = strips_left;
}

/* The only strip reads all of B once, in as many streams as it has terms: more of them than the processor follows. */
static bool looks_at_next_tile(const Contract *c) {
    enum { FOLLOWED = 16 };
    const KSchedule *s = &c->k->schedule;
    return !c->panel && c->b && s->n_axes == 1 && c->rows->upper < 2 * s->mr && kernel_most_points(c->k, AXIS_K) >= FOLLOWED &&
           c->columns->lower > (int64_t)s->nv * c->lanes;
}

void contract_ahead_strip(Emit *e, Contract *c, LLVMValueRef row) {
    const KSchedule *s = &c->k->schedule;
    LLVMValueRef rows = emit_add(e, row, emit_i64(e, s->mr));
    LLVMValueRef left = LLVMBuildUDiv(e->at, minus(e, c->m_until, rows), emit_i64(e, s->mr), "");
    bool panels = look_along_panels(e, c, row);
    if (c->a && !c->a_panel && !s->rows_a && c->one_k) look_at_rows(e, c, row, left);
    bool more = c->columns->upper > s->nc || c->k_blocks;
    c->ahead.next_tile = !panels && looks_at_next_tile(c);
    if (c->ahead.next_tile || panels) return;
    if (!c->panel && c->b && s->n_axes == 1 && c->one_k && more) look_at_columns(e, c, row, left);
}

/* ---------------------------------------------------------------------------- tiles, terms */

/* The lines of a panel's row are shared out among the tiles of all strips. */
static void ask_along_panels(Emit *e, Contract *c, const Tile *t) {
    const KSchedule *s = &c->k->schedule;
    Ahead *a = &c->ahead;
    int64_t columns = dim_value(c->columns), width = (int64_t)s->nv * c->lanes, lines = columns / c->lanes;
    int64_t tiles = columns / width, asked = c->rows->lower / s->mr * tiles;
    LLVMValueRef column = minus(e, t->column, c->n_from);
    LLVMValueRef tile = emit_add(e, emit_mul(e, a->strip, emit_i64(e, tiles)), LLVMBuildUDiv(e->at, column, emit_i64(e, width), ""));
    a->line_count = (int)((lines + asked - 1) / asked);
    for (int i = 0; i < a->line_count; i++) {
        LLVMValueRef line = emit_add(e, emit_mul(e, tile, emit_i64(e, a->line_count)), emit_i64(e, i));
        line = emit_mul(e, LLVMBuildURem(e->at, line, emit_i64(e, lines), ""), emit_i64(e, c->lanes));
        a->lines[i] = emit_add(e, minus(e, emit_i64(e, a->panel_terms * columns), column), line);
    }
}

/* Each tile of the last strips asks for one line of the next block in every row. */
void contract_ahead_tile(Emit *e, Contract *c, const Tile *t) {
    const KSchedule *s = &c->k->schedule;
    Ahead *a = &c->ahead;
    if (a->panel_terms) ask_along_panels(e, c, t);
    if (a->next_tile)
        for (a->line_count = 0; a->line_count < t->vectors; a->line_count++)
            a->lines[a->line_count] = emit_i64(e, (int64_t)(t->vectors + a->line_count) * c->lanes);
    if (!a->strips_left) return;
    LLVMValueRef column = minus(e, t->column, c->n_from), strip = emit_mul(e, a->strips_left, emit_i64(e, s->nc / s->nv));
    LLVMValueRef line = emit_add(e, LLVMBuildUDiv(e->at, column, emit_i64(e, s->nv), ""), strip);
    LLVMValueRef there = emit_add(e, minus(e, a->next_columns, column), line);
    LLVMValueRef late = LLVMBuildICmp(e->at, LLVMIntULT, a->strips_left, emit_i64(e, s->nv), "");
    a->lines[0] = LLVMBuildSelect(e->at, late, there, emit_i64(e, 0), "");
    a->line_count = 1;
}

/* One element of the strip behind this one: a line of it serves several terms, or several rows. */
static void ask_for_rows(Emit *e, const Contract *c, const Tile *t, LLVMValueRef a_at, int axis, LLVMValueRef index) {
    LLVMValueRef row = emit_i64(e, t->rows - 1);
    if (dim_is(c->a->strides[axis], 1)) row = LLVMBuildURem(e->at, index, emit_i64(e, t->rows), "");
    LLVMValueRef at = emit_add(e, c->ahead.next_rows, emit_mul(e, row, contract_stride(e, c, c->a, c->m)));
    emit_prefetch(e, emit_element_pointer(e, c->a_type, a_at, at), 2, false);
}

void contract_ahead_term(Emit *e, const Contract *c, const Tile *t, LLVMValueRef a_at, LLVMValueRef b_at, int axis,
                         LLVMValueRef index) {
    const Ahead *a = &c->ahead;
    for (int i = 0; i < a->line_count; i++)
        emit_prefetch(e, emit_element_pointer(e, c->b_type, b_at, a->lines[i]), 2, false);
    if (a->next_rows) ask_for_rows(e, c, t, a_at, axis, index);
}

/* ----------------------------------------------------------------------------- epilogue */

static bool in_tile(const Contract *c, int access) {
    const KAccess *a = &c->k->accesses.at[access];
    return a->index < 0 && !dim_is(a->strides[c->m], 0) && dim_is(a->strides[c->n], 1);
}

static void ask_for_tile(Emit *e, const Contract *c, const Tile *t, int access, bool write) {
    const KAccess *a = &c->k->accesses.at[access];
    DType type = c->k->bufs.at[a->buf].dtype;
    LLVMValueRef base = emit_element_pointer(e, type, c->scope->bufs[a->buf], contract_offset(e, c, a, AXIS_K));
    LLVMValueRef row_stride = contract_stride(e, c, a, c->m);
    for (int r = 0; r < t->rows; r++)
        for (int v = 0; v < t->vectors; v++) {
            LLVMValueRef at = emit_add(e, emit_mul(e, row_stride, emit_i64(e, r)), emit_i64(e, (int64_t)v * c->lanes));
            emit_prefetch(e, emit_element_pointer(e, type, base, at), 1, write);
        }
}

/* What the epilogue reads at each of the tile's points - a residual, a slope, an optimiser's state, which it updates -
 * lies far away and is used once. Asking for what is only written was measured to cost more than it gains. */
void contract_ahead_epilogue(Emit *e, const Contract *c, const Tile *t) {
    const KStage *stage = &c->k->stages.at[0];
    for (int x = 0; x < c->k->accesses.n; x++) {
        bool loaded = false, stored = false;
        for (int i = 0; i < c->k->nodes.n; i++)
            loaded |= c->k->nodes.at[i].kind == NODE_LOAD && c->k->nodes.at[i].access == x && i != c->k->a && i != c->k->b;
        for (int i = 0; i < stage->stores.n; i++) stored |= stage->stores.at[i].access == x;
        if (loaded && in_tile(c, x)) ask_for_tile(e, c, t, x, stored);
    }
}
