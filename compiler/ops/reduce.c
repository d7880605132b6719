/* Reductions over axes: by a monoid, and arg-reductions.
 *
 * The result drops the reduced axes. Over an empty axis a reduction gives the neutral element, an
 * arg-reduction 0. The order of adding is not fixed here: native code may choose another. */
#include "ops/rules.h"

#include <math.h>

static const AttrSpec attrs_axes[] = {{"axes", ATTR_INTS, false, DIMS_AXES}, {0}};
static const AttrSpec attrs_extremum[] = {{"axes", ATTR_INTS, false, DIMS_AXES}, {"first", ATTR_INT, true, DIMS_NONE}, {0}};
static const AttrSpec attrs_axis[] = {{"axis", ATTR_INT, false, DIMS_AXIS}, {0}};

/* The reduced axes of either sort of reduction. */
static const int64_t *reduced_axes(const Op *op, int *n) {
    if (!(op->info->flags & OP_ARG_REDUCTION)) return op_ints(op, "axes", n);
    *n = 1;
    return &op_attr(op, "axis")->i;
}

static const char *infer_reduction(Module *m, Op *op, DType t) {
    Type x = op->operands[0]->type;
    int n;
    const int64_t *axes = reduced_axes(op, &n);
    const char *why = need_axes(m, "axis", axes, n, x.rank);
    if (why) return why;
    int64_t kept[MAX_RANK];
    Dim shape[MAX_RANK];
    int rank = axes_without(x.rank, axes, n, kept);
    for (int i = 0; i < rank; i++) shape[i] = x.shape[kept[i]];
    set_result(m, op, t, rank, shape);
    return NULL;
}

static const char *infer_reduce(Module *m, Op *op) { return infer_reduction(m, op, op->operands[0]->type.dtype); }
static const char *infer_arg(Module *m, Op *op) { return infer_reduction(m, op, DTYPE_I32); }

/* -------------------------------------------------------------------- evaluation */

static Number combine(MapFn f, DType t, Number a, Number b) {
    if (dtype_is_float(t)) return (Number){.f = map_eval_float(f, (double[]){a.f, b.f})};
    return (Number){.i = map_eval_int(f, t, (int64_t[]){a.i, b.i})};
}

static void eval_reduce(EvalContext *e, const Op *op) {
    const Tensor *x = eval_operand(e, op, 0);
    Tensor *r = eval_result(e, op, 0);
    int n;
    const int64_t *axes = op_ints(op, "axes", &n);
    int64_t kept[MAX_RANK], outer_count, inner_count;
    int rank = axes_without(x->rank, axes, n, kept);
    const int64_t *outer = eval_axis_offsets(e, x, kept, rank, &outer_count);
    const int64_t *inner = eval_axis_offsets(e, x, axes, n, &inner_count);
    MapFn f = op->info->map;
    for (int64_t k = 0; k < outer_count; k++) {
        Number sum;
        if (dtype_is_float(x->dtype)) sum.f = map_neutral_float(f);
        else sum.i = map_neutral_int(f, x->dtype);
        for (int64_t j = 0; j < inner_count; j++) sum = combine(f, x->dtype, sum, x->at[outer[k] + inner[j]]);
        r->at[k] = sum;
    }
}

/* Whether a beats the best so far: strictly, so the first wins; a NaN beats all but another NaN. */
static bool beats(MapFn f, DType t, Number a, Number best) {
    if (dtype_is_float(t)) {
        if (isnan(best.f)) return false;
        return isnan(a.f) || (f == MAP_maximum ? a.f > best.f : a.f < best.f);
    }
    return f == MAP_maximum ? a.i > best.i : a.i < best.i;
}

static void eval_arg(EvalContext *e, const Op *op) {
    const Tensor *x = eval_operand(e, op, 0);
    Tensor *r = eval_result(e, op, 0);
    int n;
    const int64_t *axes = reduced_axes(op, &n);
    int64_t kept[MAX_RANK], outer_count, inner_count;
    int rank = axes_without(x->rank, axes, n, kept);
    const int64_t *outer = eval_axis_offsets(e, x, kept, rank, &outer_count);
    const int64_t *inner = eval_axis_offsets(e, x, axes, n, &inner_count);
    for (int64_t k = 0; k < outer_count; k++) {
        int64_t best = 0;
        for (int64_t j = 1; j < inner_count; j++)
            if (beats(op->info->map, x->dtype, x->at[outer[k] + inner[j]], x->at[outer[k] + inner[best]])) best = j;
        r->at[k].i = best;
    }
}

/* --------------------------------------------------------------------- gradients */

/* A value shaped as op's result, repeated along the reduced axes: the shape of op's operand. */
static Value *spread(Builder *b, const Op *op, Value *v) {
    Type x = op->operands[0]->type;
    int n;
    const int64_t *axes = reduced_axes(op, &n);
    int64_t kept[MAX_RANK];
    axes_without(x.rank, axes, n, kept);
    return build_broadcast_in_dim(b, v, x.rank, x.shape, kept);
}

static void grad_sum(GradContext *g, const Op *op, Value *const *dy, Value **dx) { dx[0] = spread(g->b, op, dy[0]); }

/* Along one axis of several the first extremum takes the gradient: the position that arg-reduction finds. */
static Value *mask_of_first(Builder *b, const Op *op, int64_t axis) {
    Value *x = op->operands[0];
    const OpInfo *arg = op->info->map == MAP_maximum ? &OP_argmax : &OP_argmin;
    Attr attr = attr_int(b->module, "axis", axis);
    Value *first = spread(b, op, build_op(b, arg, &x, 1, &attr, 1));
    Value *place = build_iota(b, DTYPE_I32, x->type.rank, x->type.shape, (int)axis);
    return build_map2(b, MAP_equal, place, first);
}

/* All places that hold the extremum; if that is NaN, those that hold NaN. */
static Value *mask_of_all(Builder *b, const Op *op) {
    Value *x = op->operands[0];
    Value *holds = build_map2(b, MAP_equal, x, spread(b, op, &op->results[0]));
    return build_map2(b, MAP_or, holds, build_map2(b, MAP_not_equal, x, x));
}

/* Each element's number among those that are reduced together, in row-major order. */
static Value *numbers(Builder *b, const Op *op, DType t) {
    Type x = op->operands[0]->type;
    int n;
    const int64_t *axes = op_ints(op, "axes", &n);
    Value *sum = NULL;
    for (int i = 0; i < n; i++) {
        Value *place = build_iota(b, t, x.rank, x.shape, (int)axes[i]);
        if (sum) {
            Value *extent = build_broadcast_to(b, build_dim(b, x.shape[axes[i]], t), x.rank, x.shape);
            place = build_map2(b, MAP_add, build_map2(b, MAP_multiply, sum, extent), place);
        }
        sum = place;
    }
    return sum ? sum : build_constant(b, (Type){t, x.rank, x.shape}, 0);
}

/* The first of the places that hold the extremum. */
static Value *mask_of_first_of_all(Builder *b, const Op *op) {
    int n;
    const int64_t *axes = op_ints(op, "axes", &n);
    Dim count = dim_const(&b->module->dims, 1);
    for (int i = 0; i < n; i++) count = dim_mul(&b->module->dims, count, op->operands[0]->type.shape[axes[i]]);
    DType t = count->upper < INT32_MAX ? DTYPE_I32 : DTYPE_I64;
    Value *number = numbers(b, op, t);
    Value *none = build_constant_like(b, number, (double)(t == DTYPE_I32 ? INT32_MAX : DIM_HUGE));
    Value *candidate = build_map3(b, MAP_select, mask_of_all(b, op), number, none);
    Value *first = build_reduce(b, &OP_reduce_min, candidate, axes, n);
    return build_map2(b, MAP_equal, number, spread(b, op, first));
}

/* Maximum and minimum: along one axis of several, or if that is asked for, the first takes all; otherwise ties share
 * evenly. */
static void grad_extremum(GradContext *g, const Op *op, Value *const *dy, Value **dx) {
    Builder *b = g->b;
    Value *x = op->operands[0], *mask, *share = dy[0];
    int n;
    const int64_t *axes = op_ints(op, "axes", &n);
    if (n == 1 && x->type.rank > 1) {
        mask = mask_of_first(b, op, axes[0]);
    } else if (op_attr(op, "first") && op_int(op, "first")) {
        mask = mask_of_first_of_all(b, op);
    } else {
        mask = mask_of_all(b, op);
        Value *ties = build_reduce(b, &OP_reduce_sum, build_convert(b, mask, x->type.dtype), axes, n);
        share = build_map2(b, MAP_divide, share, ties);
    }
    Value *spread_share = spread(b, op, share);
    dx[0] = build_map3(b, MAP_select, mask, spread_share, build_constant_like(b, x, 0));
}

/* x with the reduced axes moved behind the others and joined to one. */
static Value *gather_axes(Builder *b, Value *x, const int64_t *kept, int kept_count, const int64_t *axes, int n,
                          int64_t *permutation) {
    DimTable *t = &b->module->dims;
    Dim shape[MAX_RANK], joined = dim_const(t, 1);
    for (int i = 0; i < kept_count; i++) {
        permutation[i] = kept[i];
        shape[i] = x->type.shape[kept[i]];
    }
    for (int i = 0; i < n; i++) {
        permutation[kept_count + i] = axes[i];
        joined = dim_mul(t, joined, x->type.shape[axes[i]]);
    }
    shape[kept_count] = joined;
    return build_reshape(b, build_transpose(b, x, permutation), kept_count + 1, shape);
}

/* The gradient of a product is the product of the others. They are multiplied out, not divided out, so
 * that zeros are right at every order: element (i, j) of the square is 1 where i = j, else x[j]. Takes
 * time in the square of the reduced extent, but no memory once fused. */
static void grad_prod(GradContext *g, const Op *op, Value *const *dy, Value **dx) {
    Builder *b = g->b;
    Value *x = op->operands[0];
    int n;
    const int64_t *axes = op_ints(op, "axes", &n);
    int64_t kept[MAX_RANK], permutation[MAX_RANK], back[MAX_RANK], place[MAX_RANK];
    int rank = axes_without(x->type.rank, axes, n, kept);
    Value *rows = gather_axes(b, x, kept, rank, axes, n, permutation);
    Dim square[MAX_RANK + 1];
    for (int i = 0; i <= rank; i++) {
        square[i] = rows->type.shape[i];
        place[i] = i < rank ? i : rank + 1;
    }
    square[rank + 1] = square[rank];
    Value *spread_rows = build_broadcast_in_dim(b, rows, rank + 2, square, place);
    Value *i = build_iota(b, DTYPE_I32, rank + 2, square, rank);
    Value *j = build_iota(b, DTYPE_I32, rank + 2, square, rank + 1);
    Value *own = build_map2(b, MAP_equal, i, j);
    Value *others = build_map3(b, MAP_select, own, build_constant_like(b, spread_rows, 1), spread_rows);
    Value *product = build_reduce(b, &OP_reduce_prod, others, (int64_t[]){rank + 1}, 1);
    Dim moved[MAX_RANK];
    for (int k = 0; k < x->type.rank; k++) {
        moved[k] = x->type.shape[permutation[k]];
        back[permutation[k]] = k;
    }
    product = build_transpose(b, build_reshape(b, product, x->type.rank, moved), back);
    dx[0] = build_map2(b, MAP_multiply, spread(b, op, dy[0]), product);
}

/* ------------------------------------------------------------------------- table */

#define REDUCE(op, f, class, flag, list, gradient, text)                                                               \
    const OpInfo OP_##op = {.name = #op, .at = HERE, .kind = KIND_REDUCE, .min_operands = 1, .max_operands = 1, .result_count = 1, \
                            .flags = flag, .map = MAP_##f, .signature = "T", .types = class, .attrs = list,            \
                            .doc = text, .infer = infer_reduce, .grad = gradient, .eval = eval_reduce}
#define ARG_REDUCE(op, f, text)                                                                                        \
    const OpInfo OP_##op = {.name = #op, .at = HERE, .kind = KIND_REDUCE, .min_operands = 1, .max_operands = 1, .result_count = 1, \
                            .flags = OP_ZERO_GRADIENT | OP_ARG_REDUCTION, .map = MAP_##f, .signature = "T",            \
                            .types = CLASS_NUMBER, .attrs = attrs_axis, .doc = text, .infer = infer_arg,               \
                            .eval = eval_arg}

REDUCE(reduce_sum, add, CLASS_NUMBER, 0, attrs_axes, grad_sum,
       "Sum over axes, which the result drops; 0 if they are empty.");
REDUCE(reduce_max, maximum, CLASS_NUMBER, 0, attrs_extremum, grad_extremum,
       "Maximum over axes; a NaN wins. Gradient: along one axis of several, or with first = 1, to the first, else "
       "shared by ties.");
REDUCE(reduce_min, minimum, CLASS_NUMBER, 0, attrs_extremum, grad_extremum,
       "Minimum over axes; a NaN wins. Gradient: along one axis of several, or with first = 1, to the first, else "
       "shared by ties.");
REDUCE(reduce_prod, multiply, CLASS_NUMBER, 0, attrs_axes, grad_prod, "Product over axes; 1 if they are empty.");
REDUCE(reduce_and, and, CLASS_LOGIC, OP_ZERO_GRADIENT, attrs_axes, NULL,
       "Bitwise and over axes; on bool, whether all hold.");
REDUCE(reduce_or, or, CLASS_LOGIC, OP_ZERO_GRADIENT, attrs_axes, NULL,
       "Bitwise or over axes; on bool, whether any holds.");
ARG_REDUCE(argmax, maximum, "Index (i32) of the first maximum along axis; a NaN wins.");
ARG_REDUCE(argmin, minimum, "Index (i32) of the first minimum along axis; a NaN wins.");
