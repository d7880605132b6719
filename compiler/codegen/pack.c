/* Packing a factor that is a plain load: the columns of B that an item needs, copied so that a row of nc elements holds
 * one term of every column. (Those that have to be computed: pack_values.c.) Where B's terms are neighbours in memory (a transposed matrix), squares of vectors are
 * transposed in registers; otherwise rows are copied, gathering if their stride is not 1. */
#include "codegen/contract.h"

static LLVMValueRef stride_of(Emit *e, const Contract *c, int axis) {
    return emit_dim(e, &e->kernels->dims, c->b->strides[axis], c->scope->symbols);
}

static int k_axis(const Kernel *k, int number) {
    for (int a = 0; a < k->axes.n; a++)
        if (k->axes.at[a].role == AXIS_K && number-- == 0) return a;
    return -1;
}

/* B at the loops around, k = 0, n = n_from. */
static LLVMValueRef b_start(Emit *e, const Contract *c) {
    LLVMValueRef sum = emit_dim(e, &e->kernels->dims, c->b->offset, c->scope->symbols);
    for (int a = 0; a < c->k->axes.n; a++) {
        AxisRole role = c->k->axes.at[a].role;
        if (role == AXIS_K || dim_is(c->b->strides[a], 0)) continue;
        sum = emit_add(e, sum, emit_mul(e, stride_of(e, c, a), a == c->n ? c->n_from : c->index[a]));
    }
    return emit_element_pointer(e, c->b_type, c->scope->bufs[c->b->buf], sum);
}

/* Two vectors interleaved: lanes 0, 0', 1, 1', ... of the lower or upper halves. */
static LLVMValueRef interleave(Emit *e, LLVMValueRef a, LLVMValueRef b, int lanes, bool upper) {
    LLVMValueRef mask[64];
    for (int i = 0; i < lanes; i++) {
        int from = i / 2 + (upper ? lanes / 2 : 0);
        mask[i] = emit_i32(e, i % 2 ? from + lanes : from);
    }
    return LLVMBuildShuffleVector(e->at, a, b, LLVMConstVector(mask, (unsigned)lanes), "");
}

/* lanes x lanes elements, transposed: interleaving row i with row i + lanes/2, log2(lanes) times. */
void contract_transpose(Emit *e, LLVMValueRef *rows, int lanes) {
    LLVMValueRef next[64];
    for (int step = 1; step < lanes; step *= 2) {
        for (int i = 0; i < lanes / 2; i++) {
            next[2 * i] = interleave(e, rows[i], rows[i + lanes / 2], lanes, false);
            next[2 * i + 1] = interleave(e, rows[i], rows[i + lanes / 2], lanes, true);
        }
        for (int i = 0; i < lanes; i++) rows[i] = next[i];
    }
}

/* The square of terms k.. and columns n.. (both relative to the panel). Masked: what lies outside is zero. */
static void pack_square(Emit *e, Contract *c, LLVMValueRef from, LLVMValueRef k, LLVMValueRef n, LLVMValueRef terms,
                        LLVMValueRef columns, bool whole) {
    DType t = c->b_type;
    LLVMValueRef rows[64], mask = whole ? NULL : emit_mask(e, LLVMBuildSub(e->at, terms, k, ""), c->lanes);
    LLVMValueRef stride = stride_of(e, c, c->n);
    for (int i = 0; i < c->lanes; i++) {
        LLVMValueRef column = emit_add(e, n, emit_i64(e, i));
        LLVMValueRef at = emit_add(e, emit_mul(e, column, stride), k), own = mask;
        if (!whole) {
            LLVMValueRef inside = LLVMBuildICmp(e->at, LLVMIntSLT, column, columns, "");
            own = LLVMBuildSelect(e->at, inside, mask, LLVMConstNull(LLVMTypeOf(mask)), "");
        }
        rows[i] = emit_load(e, t, c->lanes, emit_element_pointer(e, t, from, at), own);
    }
    contract_transpose(e, rows, c->lanes);
    for (int i = 0; i < c->lanes; i++) {
        LLVMValueRef at = emit_add(e, emit_mul(e, emit_add(e, k, emit_i64(e, i)), emit_i64(e, c->k->schedule.nc)), n);
        emit_store(e, t, c->lanes, emit_element_pointer(e, t, c->panel, at), rows[i], NULL);
    }
}

static void pack_transposed(Emit *e, Contract *c, LLVMValueRef from, LLVMValueRef terms, LLVMValueRef columns) {
    LLVMValueRef step = emit_i64(e, c->lanes), less = emit_i64(e, c->lanes - 1), zero = emit_i64(e, 0);
    EmitLoop n = emit_loop_begin(e, zero, columns, step, "pn");
    LLVMValueRef all = LLVMBuildICmp(e->at, LLVMIntSLE, emit_add(e, n.index, step), columns, "");
    LLVMValueRef whole = LLVMBuildSelect(e->at, all, LLVMBuildSub(e->at, terms, less, ""), zero, "");
    EmitLoop k = emit_loop_begin(e, zero, whole, step, "pk");
    pack_square(e, c, from, k.index, n.index, terms, columns, true);
    emit_loop_end(e, &k);
    EmitLoop rest = emit_loop_begin(e, emit_get(e, e->i64, k.counter), terms, step, "pk");
    pack_square(e, c, from, rest.index, n.index, terms, columns, false);
    emit_loop_end(e, &rest);
    emit_loop_end(e, &n);
}

enum { ROWS_AHEAD = 8 };       /* of the row being copied another one is asked for: far apart, they are no stream */

/* Row by row over all K axes; `row` counts the panel's rows. */
static void pack_rows(Emit *e, Contract *c, int number, LLVMValueRef from, LLVMValueRef first, LLVMValueRef until,
                      LLVMValueRef columns, LLVMValueRef row) {
    DType t = c->b_type;
    int axis = k_axis(c->k, number);
    if (axis >= 0) {
        bool only = k_axis(c->k, 1) < 0;
        LLVMValueRef extent = emit_dim(e, &e->kernels->dims, c->k->axes.at[axis].extent, c->scope->symbols);
        EmitLoop k = emit_loop_begin(e, only ? first : emit_i64(e, 0), only ? until : extent, emit_i64(e, 1), "pk");
        LLVMValueRef next = emit_element_pointer(e, t, from, emit_mul(e, k.index, stride_of(e, c, axis)));
        LLVMValueRef own = only ? LLVMBuildSub(e->at, k.index, first, "") : k.index;
        pack_rows(e, c, number + 1, next, first, until, columns, emit_add(e, emit_mul(e, row, extent), own));
        emit_loop_end(e, &k);
        return;
    }
    LLVMValueRef to = emit_element_pointer(e, t, c->panel, emit_mul(e, row, emit_i64(e, c->k->schedule.nc)));
    EmitLoop n = emit_loop_begin(e, emit_i64(e, 0), columns, emit_i64(e, c->lanes), "pn");
    LLVMValueRef mask = emit_mask(e, LLVMBuildSub(e->at, columns, n.index, ""), c->lanes), x;
    LLVMValueRef stride = stride_of(e, c, c->n), row_stride = stride_of(e, c, k_axis(c->k, number - 1));
    LLVMValueRef base = emit_element_pointer(e, t, from, emit_mul(e, n.index, stride));
    if (contract_reads_rows(c)) {
        x = emit_load(e, t, c->lanes, base, mask);
        emit_prefetch(e, emit_element_pointer(e, t, base, emit_mul(e, row_stride, emit_i64(e, ROWS_AHEAD))), 1, false);
    } else {
        LLVMValueRef lane = LLVMBuildMul(e->at, emit_splat(e, stride, c->lanes), emit_lane_numbers(e, c->lanes), "");
        x = emit_gather(e, t, c->lanes, base, lane, mask);
    }
    emit_store(e, t, c->lanes, emit_element_pointer(e, t, to, n.index), x, NULL);
    emit_loop_end(e, &n);
}

void contract_pack(Emit *e, Contract *c, LLVMValueRef k_from, LLVMValueRef k_until) {
    DType t = c->b_type;
    LLVMValueRef from = b_start(e, c), columns = LLVMBuildSub(e->at, c->n_until, c->n_from, "");
    int axis = k_axis(c->k, 0);
    if (k_axis(c->k, 1) < 0 && dim_is(c->b->strides[axis], 1)) {
        LLVMValueRef start = emit_element_pointer(e, t, from, k_from);
        pack_transposed(e, c, start, LLVMBuildSub(e->at, k_until, k_from, ""), columns);
    } else {
        pack_rows(e, c, 0, from, k_from, k_until, columns, emit_i64(e, 0));
    }
}
