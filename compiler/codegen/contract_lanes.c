/* Sums with lanes along their terms.
 *
 * Where the terms of both factors are neighbours in memory and neither rows nor columns are, as those of the gradient of
 * a convolution's weights where the images of a batch lie side by side, nothing is broadcast: a tile of rows and columns
 * has a vector of sums for each of its elements. Each lane takes every lanes-th term along the last K axis; one step of
 * the first K axis is a run, whose sums are added to those of the runs before; at the end the lanes are added up in a
 * tree. So the order follows from the extents of K and the number of lanes alone.
 *
 * The elements of a row of the tile are then put side by side, and go through the epilogue as one vector of columns. */
#include "codegen/contract.h"
#include "ir/kernel_util.h"

typedef struct LaneSums {
    Contract *c;
    Tile *tile;                /* its rows' pointers; at the end its sums, a vector of columns for each row */
    int columns;
    LLVMValueRef sums[MAX_TILE];
    int first, last;           /* K axes */
} LaneSums;

static LLVMValueRef extent_of(Emit *e, const Contract *c, int axis) {
    return emit_dim(e, &e->kernels->dims, c->k->axes.at[axis].extent, c->scope->symbols);
}

static LLVMValueRef stride_of(Emit *e, const Contract *c, const KAccess *a, int axis) {
    return emit_dim(e, &e->kernels->dims, a->strides[axis], c->scope->symbols);
}

static LLVMTypeRef sum_type(Emit *e, const Contract *c) { return emit_vector(e, contract_sum_type(e, c), c->lanes); }

/* A vector of terms of every sum of the tile, `from` along the last K axis. */
static void add_terms(Emit *e, LaneSums *s, LLVMValueRef a_from, LLVMValueRef b_at, LLVMValueRef from, LLVMValueRef mask) {
    const Contract *c = s->c;
    LLVMValueRef a_index = emit_add(e, a_from, from), column = stride_of(e, c, c->b, c->n), b[MAX_TILE];
    for (int j = 0; j < s->columns; j++) {
        LLVMValueRef index = emit_add(e, from, emit_mul(e, column, emit_i64(e, j)));
        b[j] = emit_load(e, c->b_type, c->lanes, emit_element_pointer(e, c->b_type, b_at, index), mask);
    }
    for (int r = 0; r < s->tile->rows; r++) {
        LLVMValueRef at = emit_element_pointer(e, c->a_type, s->tile->from[r], a_index);
        LLVMValueRef a = emit_load(e, c->a_type, c->lanes, at, mask);
        for (int j = 0; j < s->columns; j++) {
            LLVMValueRef sum = s->sums[r * s->columns + j];
            emit_set(e, sum, emit_fma(e, a, b[j], emit_get(e, sum_type(e, c), sum)));
        }
    }
}

/* All terms along the last K axis. */
static void add_line(Emit *e, LaneSums *s, LLVMValueRef a_from, LLVMValueRef b_at) {
    const Contract *c = s->c;
    LLVMValueRef extent = extent_of(e, c, s->last), rest = LLVMBuildURem(e->at, extent, emit_i64(e, c->lanes), "");
    LLVMValueRef whole = LLVMBuildSub(e->at, extent, rest, "");
    EmitLoop loop = emit_loop_begin(e, emit_i64(e, 0), whole, emit_i64(e, c->lanes), "k");
    add_terms(e, s, a_from, b_at, loop.index, NULL);
    emit_loop_end(e, &loop);
    if (LLVMIsConstant(rest) && LLVMConstIntGetZExtValue(rest) == 0) return;
    EmitIf some = emit_if_begin(e, LLVMBuildICmp(e->at, LLVMIntNE, rest, emit_i64(e, 0), ""));
    add_terms(e, s, a_from, b_at, whole, emit_mask(e, rest, c->lanes));
    emit_if_end(e, &some);
}

static LLVMValueRef total_at(Emit *e, const Contract *c, int i) {
    return emit_element_pointer(e, c->acc, c->runs, emit_i64(e, (int64_t)i * c->lanes));
}

/* The sums join those of the runs before, and begin anew. */
static void end_run(Emit *e, const LaneSums *s) {
    const Contract *c = s->c;
    for (int i = 0; i < s->tile->rows * s->columns; i++) {
        LLVMValueRef total = emit_load(e, c->acc, c->lanes, total_at(e, c, i), NULL);
        total = LLVMBuildFAdd(e->at, total, emit_get(e, sum_type(e, c), s->sums[i]), "");
        emit_store(e, c->acc, c->lanes, total_at(e, c, i), total, NULL);
        emit_set(e, s->sums[i], LLVMConstNull(sum_type(e, c)));
    }
}

/* Loops over the K axes from number `axis` on; `a_from` is how far the terms lie from where a row begins. */
static void add_axis(Emit *e, LaneSums *s, int axis, LLVMValueRef a_from, LLVMValueRef b_at) {
    Contract *c = s->c;
    if (axis == s->last) {
        add_line(e, s, contract_point_rows(e, c, s->tile, a_from), b_at);
        return;
    }
    EmitLoop loop = emit_loop_begin(e, emit_i64(e, 0), extent_of(e, c, axis), emit_i64(e, 1), "k");
    c->index[axis] = loop.index;
    LLVMValueRef a_next = emit_add(e, a_from, emit_mul(e, loop.index, stride_of(e, c, c->a, axis)));
    LLVMValueRef b_next = emit_mul(e, loop.index, stride_of(e, c, c->b, axis));
    add_axis(e, s, axis + 1, a_next, emit_element_pointer(e, c->b_type, b_at, b_next));
    if (axis == s->first) end_run(e, s);
    emit_loop_end(e, &loop);
}

/* The sum over the lanes of all runs, for each column of a row. */
static LLVMValueRef row_of_sums(Emit *e, const LaneSums *s, int row) {
    const Contract *c = s->c;
    LLVMValueRef all = LLVMConstNull(sum_type(e, c));
    for (int j = 0; j < s->columns; j++) {
        LLVMValueRef lanes = emit_load(e, c->acc, c->lanes, total_at(e, c, row * s->columns + j), NULL);
        LLVMValueRef sum = emit_combine_lanes(e, MAP_add, c->acc, c->lanes, lanes);
        all = LLVMBuildInsertElement(e->at, all, sum, emit_i64(e, j), "");
    }
    return all;
}

static void emit_tile(Emit *e, Contract *c, int rows, int columns, LLVMValueRef row, LLVMValueRef column) {
    Tile t = {.rows = rows, .vectors = 1, .row = row, .column = column};
    LaneSums s = {.c = c, .tile = &t, .columns = columns, .first = c->k_axis, .last = c->k->schedule.vector_axis};
    if (columns < c->lanes) t.mask = emit_mask(e, emit_i64(e, columns), c->lanes);
    c->index[c->m] = row;
    c->index[c->n] = column;
    contract_begin_rows(e, c, &t);
    for (int i = 0; i < rows * columns; i++) {
        s.sums[i] = emit_variable(e, sum_type(e, c), "sum");
        emit_set(e, s.sums[i], LLVMConstNull(sum_type(e, c)));
        emit_store(e, c->acc, c->lanes, total_at(e, c, i), LLVMConstNull(sum_type(e, c)), NULL);
    }
    LLVMValueRef b_at = emit_element_pointer(e, c->b_type, c->scope->bufs[c->b->buf], contract_offset(e, c, c->b, AXIS_K));
    add_axis(e, &s, s.first, emit_i64(e, 0), b_at);
    for (int r = 0; r < rows; r++) {
        t.sums[r] = emit_variable(e, sum_type(e, c), "row");
        emit_set(e, t.sums[r], row_of_sums(e, &s, r));
    }
    contract_epilogue(e, c, &t);
}

/* Tiles of so many rows: all of the block's columns. */
static void emit_columns(Emit *e, Contract *c, int rows, LLVMValueRef row) {
    int width = c->k->schedule.nv, rest = (int)(dim_value(c->columns) % width);
    LLVMValueRef last = LLVMBuildSub(e->at, c->n_until, emit_i64(e, width - 1), "");
    EmitLoop loop = emit_loop_begin(e, c->n_from, last, emit_i64(e, width), "n");
    emit_tile(e, c, rows, width, row, loop.index);
    emit_loop_end(e, &loop);
    if (!rest) return;
    LLVMValueRef left = emit_get(e, e->i64, loop.counter);
    EmitIf some = emit_if_begin(e, LLVMBuildICmp(e->at, LLVMIntSLT, left, c->n_until, ""));
    emit_tile(e, c, rows, rest, row, left);
    emit_if_end(e, &some);
}

void contract_lanes_block(Emit *e, Contract *c) {
    int height = c->k->schedule.mr, rest = (int)(dim_value(c->rows) % height);
    LLVMValueRef last = LLVMBuildSub(e->at, c->m_until, emit_i64(e, height - 1), "");
    EmitLoop loop = emit_loop_begin(e, c->m_from, last, emit_i64(e, height), "m");
    emit_columns(e, c, height, loop.index);
    emit_loop_end(e, &loop);
    if (!rest) return;
    LLVMValueRef left = emit_get(e, e->i64, loop.counter);
    EmitIf some = emit_if_begin(e, LLVMBuildICmp(e->at, LLVMIntSLT, left, c->m_until, ""));
    emit_columns(e, c, rest, left);
    emit_if_end(e, &some);
}
