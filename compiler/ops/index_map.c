/* Index maps of the MOVE operators: see index_map.h. */
#include "ops/index_map.h"

IndexExpr index_constant(DimTable *dims, int axes, Dim constant) {
    IndexExpr e = {.constant = constant, .node = -1, .node_coeff = dim_const(dims, 0)};
    for (int a = 0; a < axes; a++) e.coeff[a] = e.node_coeff;
    return e;
}

IndexPoint index_identity(DimTable *dims, int rank, const Dim *shape) {
    IndexPoint p = {.dims = dims, .axes = rank, .rank = rank};
    for (int d = 0; d < rank; d++) {
        p.at[d] = index_constant(dims, rank, dim_const(dims, 0));
        if (!dim_is(shape[d], 1)) p.at[d].coeff[d] = dim_const(dims, 1);
    }
    return p;
}

bool index_expr_equal(const IndexExpr *a, const IndexExpr *b, int axes) {
    if (a->constant != b->constant || a->node != b->node || a->node_coeff != b->node_coeff) return false;
    for (int i = 0; i < axes; i++)
        if (a->coeff[i] != b->coeff[i]) return false;
    return true;
}

IndexExpr index_add_scaled(DimTable *dims, int axes, const IndexExpr *a, const IndexExpr *b, Dim scale) {
    IndexExpr e = *a;
    e.constant = dim_add(dims, a->constant, dim_mul(dims, b->constant, scale));
    for (int i = 0; i < axes; i++) e.coeff[i] = dim_add(dims, a->coeff[i], dim_mul(dims, b->coeff[i], scale));
    if (b->node >= 0) {
        e.node = b->node;
        e.node_coeff = dim_mul(dims, b->node_coeff, scale);
    }
    return e;
}

IndexExpr index_add(IndexPoint *p, const IndexExpr *a, const IndexExpr *b, Dim scale) {
    if (a->node < 0 || b->node < 0) return index_add_scaled(p->dims, p->axes, a, b, scale);
    IndexExpr first = *a, second = *b;
    first.node = second.node = -1;
    IndexExpr sum = index_add_scaled(p->dims, p->axes, &first, &second, scale);
    sum.node = p->total ? p->total(p->user, a, b, scale) : -1;
    sum.node_coeff = dim_const(p->dims, 1);
    return sum;
}

bool index_is_axis(const IndexExpr *e, int axes, int *axis) {
    int found = -1;
    if (!dim_is(e->constant, 0) || e->node >= 0) return false;
    for (int i = 0; i < axes; i++) {
        if (dim_is(e->coeff[i], 0)) continue;
        if (found >= 0 || !dim_is(e->coeff[i], 1)) return false;
        found = i;
    }
    *axis = found;
    return found >= 0;
}

static bool add_guard(IndexPoint *p, const IndexExpr *e, Dim low, Dim high, int64_t multiple) {
    if (p->guard_count == MAX_GUARDS) return false;
    p->guards[p->guard_count++] = (IndexGuard){*e, low, high, multiple};
    return true;
}

bool index_guard(IndexPoint *p, int d, Dim low, Dim high) { return add_guard(p, &p->at[d], low, high, 1); }

bool index_of_broadcast_in_dim(const Op *op, int operand, IndexPoint *p) {
    (void)operand;
    int n;
    const int64_t *axes = op_ints(op, "axes", &n);
    IndexExpr at[MAX_RANK];
    for (int i = 0; i < n; i++) {
        bool stretched = op->operands[0]->type.shape[i] != op->results[0].type.shape[axes[i]];
        at[i] = stretched ? index_constant(p->dims, p->axes, dim_const(p->dims, 0)) : p->at[axes[i]];
    }
    for (int i = 0; i < n; i++) p->at[i] = at[i];
    p->rank = n;
    return true;
}

bool index_of_transpose(const Op *op, int operand, IndexPoint *p) {
    (void)operand;
    int n;
    const int64_t *permutation = op_ints(op, "permutation", &n);
    IndexPoint from = *p;
    for (int i = 0; i < n; i++) p->at[permutation[i]] = from.at[i];
    return true;
}

/* A dim of the operand is a run of the result's dims with the same product: its index is theirs in
 * row-major order. Dims of extent 1 come and go freely. */
bool index_of_reshape(const Op *op, int operand, IndexPoint *p) {
    (void)operand;
    Type from = op->operands[0]->type, to = op->results[0].type;
    Dim one = dim_const(p->dims, 1), zero = dim_const(p->dims, 0);
    IndexPoint out = *p;
    int j = 0;
    for (int i = 0; i < from.rank; i++) {
        p->at[i] = index_constant(p->dims, p->axes, zero);
        if (dim_is(from.shape[i], 1)) continue;
        for (Dim product = one; product != from.shape[i]; j++) {
            if (j == to.rank) return false;
            if (dim_is(to.shape[j], 1)) continue;
            IndexExpr scaled = index_constant(p->dims, p->axes, zero);
            scaled = index_add_scaled(p->dims, p->axes, &scaled, &p->at[i], to.shape[j]);
            p->at[i] = index_add(p, &scaled, &out.at[j], one);
            product = dim_mul(p->dims, product, to.shape[j]);
        }
    }
    p->rank = from.rank;
    return true;
}

bool index_of_slice(const Op *op, int operand, IndexPoint *p) {
    (void)operand;
    int n;
    const Dim *start = op_dims(op, "start", &n);
    const int64_t *strides = op_ints(op, "strides", &n);
    for (int i = 0; i < n; i++) {
        IndexExpr from = index_constant(p->dims, p->axes, start[i]);
        p->at[i] = index_add_scaled(p->dims, p->axes, &from, &p->at[i], dim_const(p->dims, strides[i]));
    }
    return true;
}

bool index_of_reverse(const Op *op, int operand, IndexPoint *p) {
    (void)operand;
    int n;
    const int64_t *axes = op_ints(op, "axes", &n);
    for (int i = 0; i < n; i++) {
        Dim last = dim_sub(p->dims, op->results[0].type.shape[axes[i]], dim_const(p->dims, 1));
        IndexExpr from = index_constant(p->dims, p->axes, last);
        p->at[axes[i]] = index_add_scaled(p->dims, p->axes, &from, &p->at[axes[i]], dim_const(p->dims, -1));
    }
    return true;
}

/* The operand's dim lies spread by `step`: its index is a quotient, where that is exact. */
static bool spread_dim(IndexPoint *p, int d, Dim extent, int64_t step) {
    Dim one = dim_const(p->dims, 1);
    Dim high = dim_add(p->dims, dim_mul(p->dims, dim_sub(p->dims, extent, one), dim_const(p->dims, step)), one);
    if (!add_guard(p, &p->at[d], dim_const(p->dims, 0), high, step)) return false;
    IndexExpr place = p->at[d];
    p->at[d] = index_constant(p->dims, p->axes, dim_const(p->dims, 0));
    p->at[d].node = p->quotient ? p->quotient(p->user, &place, step) : -1;
    p->at[d].node_coeff = one;
    return true;
}

bool index_unpad(IndexPoint *p, int d, Dim extent, Dim low, Dim high, int64_t interior) {
    Dim zero = dim_const(p->dims, 0), one = dim_const(p->dims, 1);
    IndexExpr shift = index_constant(p->dims, p->axes, dim_sub(p->dims, zero, low));
    p->at[d] = index_add_scaled(p->dims, p->axes, &shift, &p->at[d], one);
    if (interior) return spread_dim(p, d, extent, interior + 1);
    bool inside = low->upper <= 0 && high->upper <= 0;
    return inside || add_guard(p, &p->at[d], zero, extent, 1);
}

bool index_of_pad(const Op *op, int operand, IndexPoint *p) {
    int n;
    const Dim *low = op_dims(op, "low", &n), *high = op_dims(op, "high", &n);
    const int64_t *interior = op_ints(op, "interior", &n);
    if (operand == 1) {
        p->rank = 0;
        return true;
    }
    for (int i = 0; i < n; i++)
        if (!index_unpad(p, i, op->operands[0]->type.shape[i], low[i], high[i], interior[i])) return false;
    return true;
}

/* The axis' window dim. */
static int window_dim(const Op *op, int i, int n) { return op->operands[0]->type.rank - n + i; }

bool index_of_take_windows(const Op *op, int operand, IndexPoint *p) {
    (void)operand;
    int n;
    const int64_t *axes = op_ints(op, "axes", &n), *strides = op_ints(op, "strides", &n);
    const int64_t *dilations = op_ints(op, "dilations", &n);
    for (int i = 0; i < n; i++) {
        IndexExpr first = index_constant(p->dims, p->axes, dim_const(p->dims, 0));
        first = index_add_scaled(p->dims, p->axes, &first, &p->at[axes[i]], dim_const(p->dims, strides[i]));
        p->at[axes[i]] = index_add(p, &first, &p->at[window_dim(op, i, n)], dim_const(p->dims, dilations[i]));
    }
    return true;
}

bool index_of_place_windows(const Op *op, int operand, IndexPoint *p) {
    (void)operand;
    int n;
    const int64_t *axes = op_ints(op, "axes", &n), *strides = op_ints(op, "strides", &n);
    const int64_t *dilations = op_ints(op, "dilations", &n);
    Dim zero = dim_const(p->dims, 0);
    for (int i = 0; i < n; i++) {
        IndexExpr *at = &p->at[axes[i]];
        *at = index_add(p, at, &p->at[window_dim(op, i, n)], dim_const(p->dims, -dilations[i]));
        Dim windows = op->operands[0]->type.shape[axes[i]];
        bool fits =
            strides[i] == 1 ? add_guard(p, at, zero, windows, 1) : spread_dim(p, (int)axes[i], windows, strides[i]);
        if (!fits) return false;
    }
    return true;
}

bool index_of_concatenate(const Op *op, int operand, IndexPoint *p) {
    int64_t axis = op_int(op, "axis");
    Dim before = dim_const(p->dims, 0);
    for (int i = 0; i < operand; i++) before = dim_add(p->dims, before, op->operands[i]->type.shape[axis]);
    IndexExpr shift = index_constant(p->dims, p->axes, dim_sub(p->dims, dim_const(p->dims, 0), before));
    p->at[axis] = index_add_scaled(p->dims, p->axes, &shift, &p->at[axis], dim_const(p->dims, 1));
    return add_guard(p, &p->at[axis], dim_const(p->dims, 0), op->operands[operand]->type.shape[axis], 1);
}
