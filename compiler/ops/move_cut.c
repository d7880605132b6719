/* Pure index maps that cut and join: slice, pad, concatenate. Their bounds are dims, so a run-time extent
 * can be cut relative to its end; what cannot be shown to lie within bounds for every value of the run-time
 * dims is refused. */
#include "ops/index_map.h"
#include "ops/rules.h"

/* A reason, or null if value >= 0 for all values of the run-time dims. */
static const char *need_not_negative(Module *m, Dim value, const char *format, int axis) {
    if (value->lower >= 0) return NULL;
    const char *what = arena_printf(m->arena, format, axis);
    if (value->upper < 0 || dim_is_const(value)) return what;
    return reason(m, "%s, or may do so: %s can be as low as %lld", what, dim_text(m, value), (long long)value->lower);
}

/* -------------------------------------------------------------------------- slice */

static const char *infer_slice(Module *m, Op *op) {
    DimTable *t = &m->dims;
    Type x = op->operands[0]->type;
    int n[3];
    const Dim *start = op_dims(op, "start", &n[0]), *limit = op_dims(op, "limit", &n[1]);
    const int64_t *strides = op_ints(op, "strides", &n[2]);
    Dim shape[MAX_RANK];
    for (int i = 0; i < 3; i++)
        if (n[i] != x.rank) return "start, limit and strides need one entry for each dimension";
    for (int i = 0; i < x.rank; i++) {
        const char *why;
        if (strides[i] < 1) return reason(m, "stride %lld of dimension %d is not positive", (long long)strides[i], i);
        if ((why = need_not_negative(m, start[i], "the slice begins before dimension %d", i))) return why;
        Dim extent = dim_sub(t, limit[i], start[i]), rest = dim_sub(t, x.shape[i], limit[i]);
        if ((why = need_not_negative(m, extent, "the slice of dimension %d ends before it begins", i))) return why;
        if ((why = need_not_negative(m, rest, "the slice ends beyond dimension %d", i)))
            return reason(m, "%s (its extent is %s, the slice ends at %s)", why, dim_text(m, x.shape[i]),
                          dim_text(m, limit[i]));
        shape[i] = dim_div(t, dim_add(t, extent, dim_const(t, strides[i] - 1)), strides[i]);
    }
    set_result(m, op, x.dtype, x.rank, shape);
    return NULL;
}

static void eval_slice(EvalContext *e, const Op *op) {
    const Tensor *x = eval_operand(e, op, 0);
    Tensor *r = eval_result(e, op, 0);
    const Dim *start = op_dims(op, "start", NULL);
    const int64_t *steps = op_ints(op, "strides", NULL);
    int64_t strides[MAX_RANK], base = 0, count;
    tensor_strides(x, strides);
    for (int i = 0; i < x->rank; i++) {
        base += eval_dim(e, start[i]) * strides[i];
        strides[i] *= steps[i];
    }
    const int64_t *offsets = eval_offsets(e, r->rank, r->shape, strides, &count);
    for (int64_t k = 0; k < r->count; k++) r->at[k] = x->at[base + offsets[k]];
}

/* The extent of n elements with `gap` more between neighbours, n >= 1 unless gap is 0. */
static Dim spread_extent(DimTable *t, Dim n, int64_t gap) {
    if (gap == 0 || dim_is(n, 0)) return n;
    return dim_add(t, n, dim_mul(t, dim_sub(t, n, dim_const(t, 1)), dim_const(t, gap)));
}

/* Zeros around and between. */
static void grad_slice(GradContext *g, const Op *op, Value *const *dy, Value **dx) {
    Builder *b = g->b;
    DimTable *t = &b->module->dims;
    Type x = op->operands[0]->type;
    const Dim *start = op_dims(op, "start", NULL);
    const int64_t *strides = op_ints(op, "strides", NULL);
    Dim high[MAX_RANK];
    int64_t interior[MAX_RANK];
    for (int i = 0; i < x.rank; i++) {
        interior[i] = strides[i] - 1;
        Dim covered = dim_add(t, start[i], spread_extent(t, op->results[0].type.shape[i], interior[i]));
        high[i] = dim_sub(t, x.shape[i], covered);
    }
    Value *zero = build_constant(b, type_scalar(x.dtype), 0);
    dx[0] = build_pad(b, dy[0], zero, start, high, interior);
}

/* ---------------------------------------------------------------------------- pad */

static const char *infer_pad(Module *m, Op *op) {
    DimTable *t = &m->dims;
    Type x = op->operands[0]->type;
    int n[3];
    const Dim *low = op_dims(op, "low", &n[0]), *high = op_dims(op, "high", &n[1]);
    const int64_t *interior = op_ints(op, "interior", &n[2]);
    Dim shape[MAX_RANK];
    const Value *fill = op->operands[1];
    if (fill->type.rank) return reason(m, "the fill value is %s, not a scalar", value_text(m, fill));
    for (int i = 0; i < 3; i++)
        if (n[i] != x.rank) return "low, high and interior need one entry for each dimension";
    for (int i = 0; i < x.rank; i++) {
        if (interior[i] < 0) return reason(m, "interior %lld of dimension %d is negative", (long long)interior[i], i);
        if (interior[i] && x.shape[i]->lower < 1 && !dim_is(x.shape[i], 0))
            return reason(m, "dimension %d (%s) may be empty, so it has no inside to pad", i, dim_text(m, x.shape[i]));
        Dim inner = spread_extent(t, x.shape[i], interior[i]);
        shape[i] = dim_add(t, dim_add(t, low[i], inner), high[i]);
        const char *why = need_not_negative(m, shape[i], "more than all of dimension %d is cut off", i);
        if (why) return why;
    }
    set_result(m, op, x.dtype, x.rank, shape);
    return NULL;
}

static void eval_pad(EvalContext *e, const Op *op) {
    const Tensor *x = eval_operand(e, op, 0), *fill = eval_operand(e, op, 1);
    Tensor *r = eval_result(e, op, 0);
    const Dim *low = op_dims(op, "low", NULL);
    const int64_t *interior = op_ints(op, "interior", NULL);
    int64_t from[MAX_RANK], to[MAX_RANK];
    tensor_strides(x, from);
    tensor_strides(r, to);
    for (int64_t k = 0; k < r->count; k++) r->at[k] = fill->at[0];
    for (int64_t k = 0; k < x->count; k++) {
        int64_t at = 0;
        bool inside = true;
        for (int i = 0; i < x->rank; i++) {
            int64_t index = k / from[i] % x->shape[i] * (interior[i] + 1) + eval_dim(e, low[i]);
            inside = inside && index >= 0 && index < r->shape[i];
            at += index * to[i];
        }
        if (inside) r->at[at] = x->at[k];
    }
}

/* The elements of y that came from the operand of pad `op`: what pad cut off becomes zero, what it added
 * is cut off. */
static Value *unpad(Builder *b, const Op *op, Value *y) {
    DimTable *t = &b->module->dims;
    Type x = op->operands[0]->type;
    const Dim *low = op_dims(op, "low", NULL), *high = op_dims(op, "high", NULL);
    const int64_t *interior = op_ints(op, "interior", NULL);
    Dim zero = dim_const(t, 0), before[MAX_RANK], after[MAX_RANK], start[MAX_RANK], limit[MAX_RANK];
    int64_t none[MAX_RANK] = {0}, strides[MAX_RANK];
    bool cuts = false;
    for (int i = 0; i < x.rank; i++) {
        bool plain = low[i]->lower >= 0 && high[i]->lower >= 0;
        cuts = cuts || !plain;
        before[i] = plain ? zero : dim_sub(t, zero, low[i]);
        after[i] = plain ? zero : dim_sub(t, zero, high[i]);
        start[i] = plain ? low[i] : zero;
        limit[i] = dim_add(t, start[i], spread_extent(t, x.shape[i], interior[i]));
        strides[i] = interior[i] + 1;
    }
    if (cuts) y = build_pad(b, y, build_constant(b, type_scalar(x.dtype), 0), before, after, none);
    return build_slice(b, y, start, limit, strides);
}

/* The fill value's gradient: the sum over the places that hold it. */
static Value *grad_fill(Builder *b, const Op *op, Value *dy) {
    Value *x = op->operands[0], *one = build_constant(b, type_scalar(x->type.dtype), 1);
    Value *parts[] = {build_constant_like(b, x, 0), one};
    Value *mask = build_op(b, &OP_pad, parts, 2, op->attrs, op->attr_count);
    int64_t axes[MAX_RANK];
    for (int i = 0; i < x->type.rank; i++) axes[i] = i;
    return build_reduce(b, &OP_reduce_sum, build_map2(b, MAP_multiply, dy, mask), axes, x->type.rank);
}

static void grad_pad(GradContext *g, const Op *op, Value *const *dy, Value **dx) {
    if (g->wants[0]) dx[0] = unpad(g->b, op, dy[0]);
    if (g->wants[1]) dx[1] = grad_fill(g->b, op, dy[0]);
}

/* -------------------------------------------------------------------- concatenate */

static const char *infer_concatenate(Module *m, Op *op) {
    Type x = op->operands[0]->type;
    int64_t axis = op_int(op, "axis");
    const char *why = need_axis(m, "axis", axis, x.rank);
    if (why) return why;
    Dim shape[MAX_RANK];
    for (int i = 0; i < x.rank; i++) shape[i] = x.shape[i];
    for (int k = 1; k < op->operand_count; k++) {
        Value *v = op->operands[k];
        if (v->type.rank != x.rank)
            return reason(m, "operand 0 is %s with %d dimensions, operand %d is %s with %d",
                          value_text(m, op->operands[0]), x.rank, k, value_text(m, v), v->type.rank);
        for (int i = 0; i < x.rank; i++) {
            if (i == axis) shape[i] = dim_add(&m->dims, shape[i], v->type.shape[i]);
            else if (shape[i] != v->type.shape[i])
                return reason(m, "dimension %d of operand 0 is %s, of operand %d it is %s", i, dim_text(m, shape[i]), k,
                              dim_text(m, v->type.shape[i]));
        }
    }
    set_result(m, op, x.dtype, x.rank, shape);
    return NULL;
}

static void eval_concatenate(EvalContext *e, const Op *op) {
    Tensor *r = eval_result(e, op, 0);
    int64_t axis = op_int(op, "axis"), to[MAX_RANK], base = 0, count;
    tensor_strides(r, to);
    for (int i = 0; i < op->operand_count; i++) {
        const Tensor *x = eval_operand(e, op, i);
        const int64_t *places = eval_offsets(e, x->rank, x->shape, to, &count);
        for (int64_t k = 0; k < x->count; k++) r->at[base + places[k]] = x->at[k];
        base += x->shape[axis] * to[axis];
    }
}

static void grad_concatenate(GradContext *g, const Op *op, Value *const *dy, Value **dx) {
    DimTable *t = &g->b->module->dims;
    int64_t axis = op_int(op, "axis"), strides[MAX_RANK];
    Dim start[MAX_RANK], limit[MAX_RANK], at = dim_const(t, 0);
    for (int k = 0; k < op->operand_count; k++) {
        Type x = op->operands[k]->type;
        Dim end = dim_add(t, at, x.shape[axis]);
        for (int i = 0; i < x.rank; i++) {
            start[i] = i == axis ? at : dim_const(t, 0);
            limit[i] = i == axis ? end : x.shape[i];
            strides[i] = 1;
        }
        if (g->wants[k]) dx[k] = build_slice(g->b, dy[0], start, limit, strides);
        at = end;
    }
}

/* -------------------------------------------------------------------------- table */

static const AttrSpec attrs_slice[] = {{"start", ATTR_DIMS, false, DIMS_EACH}, {"limit", ATTR_DIMS, false, DIMS_EACH},
                                       {"strides", ATTR_INTS, false, DIMS_EACH}, {0}};
static const AttrSpec attrs_pad[] = {{"low", ATTR_DIMS, false, DIMS_EACH}, {"high", ATTR_DIMS, false, DIMS_EACH},
                                     {"interior", ATTR_INTS, false, DIMS_EACH}, {0}};
static const AttrSpec attrs_concatenate[] = {{"axis", ATTR_INT, false, DIMS_AXIS}, {0}};

const OpInfo OP_slice = {
    .name = "slice", .at = HERE, .kind = KIND_MOVE, .min_operands = 1, .max_operands = 1, .result_count = 1, .signature = "T",
    .types = CLASS_ANY, .attrs = attrs_slice, .flags = OP_ANY_ORDER,
    .doc = "Elements start, start + stride, ... below limit along each dimension.",
    .infer = infer_slice, .grad = grad_slice, .eval = eval_slice,
    .index_map = index_of_slice};

const OpInfo OP_pad = {
    .name = "pad", .at = HERE, .kind = KIND_MOVE, .min_operands = 2, .max_operands = 2, .result_count = 1, .signature = "T",
    .types = CLASS_ANY, .attrs = attrs_pad, .flags = OP_ANY_ORDER,
    .doc = "pad(x, fill): x with fill added, low before, high after and interior between elements; negative low and "
           "high cut off.",
    .infer = infer_pad, .grad = grad_pad, .eval = eval_pad,
    .index_map = index_of_pad};

const OpInfo OP_concatenate = {
    .name = "concatenate", .at = HERE, .kind = KIND_MOVE, .min_operands = 1, .max_operands = -1, .result_count = 1,
    .signature = "T", .types = CLASS_ANY, .attrs = attrs_concatenate, .flags = OP_ANY_ORDER,
    .doc = "The operands one after the other along axis.",
    .infer = infer_concatenate, .grad = grad_concatenate, .eval = eval_concatenate,
    .index_map = index_of_concatenate};
