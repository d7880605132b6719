/* Building graph operations: see build.h. */
#include "ops/build.h"

#include "ops/rules.h"

/* ------------------------------------------------------------------- the general way */

/* Reports why op cannot be: its operator, the operands and the reason. */
static void report(Builder *b, const Op *op, OpFault fault, const char *why) {
    Text operands = text_new(b->module->arena);
    for (int i = 0; i < op->operand_count; i++) {
        text_add(&operands, "%s", i ? ", " : "");
        type_print(&b->module->dims, op->operands[i]->type, &operands);
    }
    DiagCode code = fault == FAULT_TYPE ? DL0302 : DL0301;
    int diag = diag_report(b->module->diags, code, b->span, "%s: %s", op->info->name, why);
    if (op->operand_count) diag_note(b->module->diags, diag, "the operands are %s", text_get(&operands));
}

static Value *build_with_results(Builder *b, const OpInfo *info, Value *const *operands, int n, int result_count,
                                 const Attr *attrs, int attr_count) {
    for (int i = 0; i < n; i++)
        if (!operands[i]) return NULL;
    Op *op = op_append(b->module, b->region, info, operands, n, result_count, attrs, attr_count, info->region_count,
                       b->span);
    OpFault fault;
    const char *why = op_infer(b->module, op, &fault);
    if (!why) return &op->results[0];
    b->region->ops.n--;
    report(b, op, fault, why);
    return NULL;
}

Value *build_op(Builder *b, const OpInfo *info, Value *const *operands, int n, const Attr *attrs, int attr_count) {
    return build_with_results(b, info, operands, n, info->result_count, attrs, attr_count);
}

/* --------------------------------------------------------------------- elementwise */

Value *build_map(Builder *b, MapFn f, Value *const *operands, int n) {
    return build_op(b, op_of_map(f), operands, n, NULL, 0);
}

Value *build_map1(Builder *b, MapFn f, Value *x) { return build_map(b, f, &x, 1); }
Value *build_map2(Builder *b, MapFn f, Value *x, Value *y) { return build_map(b, f, (Value *[]){x, y}, 2); }

Value *build_map3(Builder *b, MapFn f, Value *x, Value *y, Value *z) {
    return build_map(b, f, (Value *[]){x, y, z}, 3);
}

Value *build_constant(Builder *b, Type type, double value) {
    Module *m = b->module;
    Attr attrs[] = {attr_dtype(m, "dtype", type.dtype), attr_dims(m, "shape", type.shape, type.rank),
                    attr_float(m, "value", value)};
    return build_op(b, op_of_map(MAP_constant), NULL, 0, attrs, 3);
}

Value *build_constant_like(Builder *b, Value *like, double value) {
    return like ? build_constant(b, like->type, value) : NULL;
}

Value *build_literal(Builder *b, Type type, const double *values, int n) {
    Module *m = b->module;
    Attr attrs[] = {attr_dtype(m, "dtype", type.dtype), attr_dims(m, "shape", type.shape, type.rank),
                    attr_floats(m, "values", values, n)};
    return build_op(b, op_of_map(MAP_constant), NULL, 0, attrs, 3);
}

Value *build_iota(Builder *b, DType t, int rank, const Dim *shape, int axis) {
    Module *m = b->module;
    Attr attrs[] = {attr_dtype(m, "dtype", t), attr_dims(m, "shape", shape, rank), attr_int(m, "axis", axis)};
    return build_op(b, op_of_map(MAP_iota), NULL, 0, attrs, 3);
}

Value *build_dim(Builder *b, Dim d, DType t) {
    Attr attrs[] = {attr_dtype(b->module, "dtype", t), attr_dims(b->module, "dims", &d, 1)};
    return build_op(b, op_of_map(MAP_dim_value), NULL, 0, attrs, 2);
}

Value *build_convert(Builder *b, Value *x, DType t) {
    if (!x || x->type.dtype == t) return x;
    Attr attr = attr_dtype(b->module, "dtype", t);
    return build_op(b, op_of_map(MAP_convert), &x, 1, &attr, 1);
}

Value *build_stop_gradient(Builder *b, Value *x) { return build_map1(b, MAP_stop_gradient, x); }

Value *build_random_bits(Builder *b, Value *seed, Value *count, Value *index, uint64_t site, int word) {
    if (!seed || !count || !index) return NULL;
    Value *operands[] = {build_broadcast_to(b, seed, index->type.rank, index->type.shape), NULL, index};
    operands[1] = build_broadcast_to(b, count, index->type.rank, index->type.shape);
    Attr attrs[] = {attr_int(b->module, "site", (int64_t)site), attr_int(b->module, "word", word)};
    return build_op(b, op_of_map(MAP_random_bits), operands, 3, attrs, 2);
}

/* ---------------------------------------------------------------------- structured */

Value *build_reduce(Builder *b, const OpInfo *reduce, Value *x, const int64_t *axes, int n) {
    Module *m = b->module;
    bool arg = reduce->flags & OP_ARG_REDUCTION;
    Attr attr = arg ? attr_int(m, "axis", n == 1 ? axes[0] : -1) : attr_ints(m, "axes", axes, n);
    return build_op(b, reduce, &x, 1, &attr, 1);
}

static Value *build_along(Builder *b, const OpInfo *info, Value *const *operands, int n, int axis, bool reverse) {
    Attr attrs[] = {attr_int(b->module, "axis", axis), attr_int(b->module, "reverse", 1)};
    return build_op(b, info, operands, n, attrs, reverse ? 2 : 1);
}

Value *build_cumulative(Builder *b, const OpInfo *info, Value *x, int axis, bool reverse) {
    return build_along(b, info, &x, 1, axis, reverse);
}

Value *build_linear_recurrence(Builder *b, Value *a, Value *x, int axis, bool reverse) {
    return build_along(b, &OP_linear_recurrence, (Value *[]){a, x}, 2, axis, reverse);
}

Value *build_sort(Builder *b, Value *key, Value *const *values, int n, int axis, bool descending) {
    Value **operands = arena_array(b->module->arena, Value *, n + 1);
    operands[0] = key;
    for (int i = 0; i < n; i++) operands[1 + i] = values[i];
    Attr attrs[] = {attr_int(b->module, "axis", axis), attr_int(b->module, "descending", 1)};
    return build_with_results(b, &OP_sort, operands, n + 1, n + 2, attrs, descending ? 2 : 1);
}

Value *build_top_k(Builder *b, Value *x, int64_t k, int axis) {
    Attr attrs[] = {attr_int(b->module, "axis", axis), attr_int(b->module, "k", k)};
    return build_op(b, &OP_top_k, &x, 1, attrs, 2);
}

Value *build_nms(Builder *b, Value *boxes, Value *scores, double iou, double score, int64_t keep) {
    Module *m = b->module;
    Attr attrs[] = {attr_float(m, "iou", iou), attr_float(m, "score", score), attr_int(m, "keep", keep)};
    return build_op(b, &OP_nms, (Value *[]){boxes, scores}, 2, attrs, 3);
}

Value *build_dot_general(Builder *b, Value *lhs, Value *rhs, const int64_t *lhs_batch, const int64_t *rhs_batch,
                         int batch, const int64_t *lhs_contract, const int64_t *rhs_contract, int contract) {
    Module *m = b->module;
    Attr attrs[] = {attr_ints(m, "lhs_batch", lhs_batch, batch), attr_ints(m, "rhs_batch", rhs_batch, batch),
                    attr_ints(m, "lhs_contract", lhs_contract, contract),
                    attr_ints(m, "rhs_contract", rhs_contract, contract)};
    return build_op(b, &OP_dot_general, (Value *[]){lhs, rhs}, 2, attrs, 4);
}

Value *build_broadcast_in_dim(Builder *b, Value *x, int rank, const Dim *shape, const int64_t *axes) {
    if (!x || shape_equal(x->type.rank, x->type.shape, rank, shape)) return x;
    Module *m = b->module;
    Attr attrs[] = {attr_dims(m, "shape", shape, rank), attr_ints(m, "axes", axes, x->type.rank)};
    return build_op(b, &OP_broadcast_in_dim, &x, 1, attrs, 2);
}

Value *build_reshape(Builder *b, Value *x, int rank, const Dim *shape) {
    if (!x || shape_equal(x->type.rank, x->type.shape, rank, shape)) return x;
    Attr attr = attr_dims(b->module, "shape", shape, rank);
    return build_op(b, &OP_reshape, &x, 1, &attr, 1);
}

Value *build_transpose(Builder *b, Value *x, const int64_t *permutation) {
    if (!x) return NULL;
    bool moves = false;
    for (int i = 0; i < x->type.rank; i++) moves = moves || permutation[i] != i;
    if (!moves) return x;
    Attr attr = attr_ints(b->module, "permutation", permutation, x->type.rank);
    return build_op(b, &OP_transpose, &x, 1, &attr, 1);
}

Value *build_slice(Builder *b, Value *x, const Dim *start, const Dim *limit, const int64_t *strides) {
    if (!x) return NULL;
    Module *m = b->module;
    int n = x->type.rank;
    Attr attrs[] = {attr_dims(m, "start", start, n), attr_dims(m, "limit", limit, n),
                    attr_ints(m, "strides", strides, n)};
    return build_op(b, &OP_slice, &x, 1, attrs, 3);
}

Value *build_pad(Builder *b, Value *x, Value *fill, const Dim *low, const Dim *high, const int64_t *interior) {
    if (!x) return NULL;
    Module *m = b->module;
    int n = x->type.rank;
    Attr attrs[] = {attr_dims(m, "low", low, n), attr_dims(m, "high", high, n),
                    attr_ints(m, "interior", interior, n)};
    return build_op(b, &OP_pad, (Value *[]){x, fill}, 2, attrs, 3);
}

Value *build_concatenate(Builder *b, Value *const *xs, int n, int axis) {
    Attr attr = attr_int(b->module, "axis", axis);
    return build_op(b, &OP_concatenate, xs, n, &attr, 1);
}

Value *build_reverse(Builder *b, Value *x, const int64_t *axes, int n) {
    Attr attr = attr_ints(b->module, "axes", axes, n);
    return build_op(b, &OP_reverse, &x, 1, &attr, 1);
}

/* gather and scatters, whose attributes are alike. */
static Value *build_index(Builder *b, const OpInfo *info, Value *const *operands, int n, int axis, int batch,
                          const char *what) {
    Module *m = b->module;
    Attr attrs[3] = {attr_int(m, "axis", axis), attr_int(m, "batch", batch)};
    if (what) attrs[2] = attr_text(m, "what", what);
    return build_op(b, info, operands, n, attrs, what ? 3 : 2);
}

Value *build_gather(Builder *b, Value *operand, Value *indices, int axis, int batch, const char *what) {
    return build_gather_where(b, operand, indices, NULL, axis, batch, what);
}

Value *build_gather_where(Builder *b, Value *operand, Value *indices, Value *mask, int axis, int batch,
                          const char *what) {
    return build_index(b, &OP_gather, (Value *[]){operand, indices, mask}, mask ? 3 : 2, axis, batch, what);
}

Value *build_scatter(Builder *b, const OpInfo *scatter, Value *operand, Value *indices, Value *updates, Value *mask,
                     int axis, int batch, const char *what) {
    return build_index(b, scatter, (Value *[]){operand, indices, updates, mask}, mask ? 4 : 3, axis, batch, what);
}

Value *build_scatter_add(Builder *b, Value *operand, Value *indices, Value *updates, int axis, int batch,
                         const char *what) {
    return build_scatter(b, &OP_scatter_add, operand, indices, updates, NULL, axis, batch, what);
}

enum { BOX_OPERANDS = MAX_RANK + 2 };

Value *build_dynamic_slice(Builder *b, Value *operand, Value *const *starts, const int64_t *axes, const Dim *sizes,
                           int n, const char *what) {
    Module *m = b->module;
    Value *operands[BOX_OPERANDS] = {operand};
    if (n) memcpy(operands + 1, starts, sizeof *starts * (size_t)n);
    Attr attrs[3] = {attr_ints(m, "axes", axes, n), attr_dims(m, "sizes", sizes, n)};
    if (what) attrs[2] = attr_text(m, "what", what);
    return build_op(b, &OP_dynamic_slice, operands, n + 1, attrs, what ? 3 : 2);
}

Value *build_dynamic_update_slice(Builder *b, Value *operand, Value *update, Value *const *starts, const int64_t *axes,
                                  int n, const char *what) {
    Module *m = b->module;
    Value *operands[BOX_OPERANDS] = {operand, update};
    if (n) memcpy(operands + 2, starts, sizeof *starts * (size_t)n);
    Attr attrs[2] = {attr_ints(m, "axes", axes, n)};
    if (what) attrs[1] = attr_text(m, "what", what);
    return build_op(b, &OP_dynamic_update_slice, operands, n + 2, attrs, what ? 2 : 1);
}

/* -------------------------------------------------------------------- broadcasting */

static void report_broadcast(Builder *b, const Value *x, Type y, int axis_x, int axis_y) {
    Module *m = b->module;
    const char *tx = value_text(m, x), *ty = type_text(&m->dims, y, m->arena);
    int diag;
    if (axis_x < 0) {
        diag = diag_report(m->diags, DL0301, b->span, "%s has more dimensions than %s", tx, ty);
    } else {
        Dim dx = x->type.shape[axis_x], dy = y.shape[axis_y];
        const char *why = reason(m, "dimension %d of the first is %s, dimension %d of the second is %s", axis_x,
                                 dim_text(m, dx), axis_y, dim_text(m, dy));
        diag = diag_report(m->diags, DL0301, b->span, "%s and %s do not fit: %s", tx, ty, why);
        if (!dim_is_const(dx) || !dim_is_const(dy))
            diag_note(m->diags, diag, "dims known only at run time fit if they are the same expression; only a 1 "
                      "known at compile time is repeated");
    }
    diag_note(m->diags, diag, "shapes are aligned at their last dimensions");
}

Value *build_broadcast_to(Builder *b, Value *x, int rank, const Dim *shape) {
    if (!x) return NULL;
    int lead = rank - x->type.rank;
    Type to = {x->type.dtype, rank, shape};
    int64_t axes[MAX_RANK];
    if (lead < 0) {
        report_broadcast(b, x, to, -1, -1);
        return NULL;
    }
    for (int i = 0; i < x->type.rank; i++) {
        axes[i] = lead + i;
        if (x->type.shape[i] == shape[lead + i] || dim_is(x->type.shape[i], 1)) continue;
        report_broadcast(b, x, to, i, lead + i);
        return NULL;
    }
    return build_broadcast_in_dim(b, x, rank, shape, axes);
}

bool build_broadcast_pair(Builder *b, Value **x, Value **y) {
    if (!*x || !*y) return false;
    Type tx = (*x)->type, ty = (*y)->type;
    int rank = tx.rank > ty.rank ? tx.rank : ty.rank;
    Dim shape[MAX_RANK];
    for (int i = 1; i <= rank; i++) {
        Dim dx = i <= tx.rank ? tx.shape[tx.rank - i] : NULL, dy = i <= ty.rank ? ty.shape[ty.rank - i] : NULL;
        if (dx && dy && dx != dy && !dim_is(dx, 1) && !dim_is(dy, 1)) {
            report_broadcast(b, *x, ty, tx.rank - i, ty.rank - i);
            return false;
        }
        shape[rank - i] = !dx || (dy && dim_is(dx, 1)) ? dy : dx;
    }
    *x = build_broadcast_to(b, *x, rank, shape);
    *y = build_broadcast_to(b, *y, rank, shape);
    return *x && *y;
}
