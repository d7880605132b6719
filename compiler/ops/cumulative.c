/* Cumulative operators: along one axis each element of the result is made of the operand's elements up to it, in the
 * order of the axis, or against it if `reverse` is 1. The shape stays.
 *
 * linear_recurrence is what the others' gradients are made of: its own is a recurrence that runs the other way, so the
 * family is closed under differentiation, and a product's gradient is exact where elements are 0. */
#include "ops/rules.h"

#include <math.h>

static bool is_reverse(const Op *op) { return op_attr(op, "reverse") && op_int(op, "reverse"); }

static const char *infer_cumulative(Module *m, Op *op) {
    const Value *x = op->operands[0];
    const char *why = need_axis(m, "axis", op_int(op, "axis"), x->type.rank);
    if (why) return why;
    if (op_attr(op, "reverse") && (op_int(op, "reverse") < 0 || op_int(op, "reverse") > 1))
        return reason(m, "reverse is %lld, but must be 0 or 1", (long long)op_int(op, "reverse"));
    if (op->operand_count == 2 && !type_equal(x->type, op->operands[1]->type))
        return reason(m, "%s and %s differ in shape", value_text(m, x), value_text(m, op->operands[1]));
    DType t = op->info->flags & OP_ARG_REDUCTION ? DTYPE_I32 : x->type.dtype;
    set_result(m, op, t, x->type.rank, x->type.shape);
    return NULL;
}

/* -------------------------------------------------------------------- evaluation */

/* The lines of a tensor along an axis: where each begins, and the step from element to element in the sweep's order. */
typedef struct Lines {
    const int64_t *begins;
    int64_t count, length, step;
} Lines;

static Lines lines_of(EvalContext *e, const Op *op, const Tensor *x) {
    int64_t strides[MAX_RANK], others[MAX_RANK], axis = op_int(op, "axis");
    Lines l = {.length = x->shape[axis]};
    tensor_strides(x, strides);
    int n = axes_without(x->rank, &axis, 1, others);
    int64_t *begins = eval_axis_offsets(e, x, others, n, &l.count);
    l.step = is_reverse(op) ? -strides[axis] : strides[axis];
    for (int64_t k = 0; is_reverse(op) && k < l.count; k++) begins[k] += (l.length - 1) * strides[axis];
    l.begins = begins;
    return l;
}

static Number combine(MapFn f, DType t, Number a, Number b) {
    if (dtype_is_float(t)) return (Number){.f = map_eval_float(f, (double[]){a.f, b.f})};
    return (Number){.i = map_eval_int(f, t, (int64_t[]){a.i, b.i})};
}

static void eval_cumulative(EvalContext *e, const Op *op) {
    const Tensor *x = eval_operand(e, op, 0);
    Tensor *r = eval_result(e, op, 0);
    Lines l = lines_of(e, op, x);
    for (int64_t k = 0; k < l.count; k++)
        for (int64_t t = 0, at = l.begins[k]; t < l.length; t++, at += l.step)
            r->at[at] = t ? combine(op->info->map, x->dtype, r->at[at - l.step], x->at[at]) : x->at[at];
}

static void eval_recurrence(EvalContext *e, const Op *op) {
    const Tensor *a = eval_operand(e, op, 0), *b = eval_operand(e, op, 1);
    Tensor *r = eval_result(e, op, 0);
    Lines l = lines_of(e, op, b);
    for (int64_t k = 0; k < l.count; k++)
        for (int64_t t = 0, at = l.begins[k]; t < l.length; t++, at += l.step) {
            r->at[at] = b->at[at];
            if (!t) continue;
            Number carried = combine(MAP_multiply, b->dtype, a->at[at], r->at[at - l.step]);
            r->at[at] = combine(MAP_add, b->dtype, carried, b->at[at]);
        }
}

/* Whether x takes over from the extremum so far: where it is as extreme too, and a NaN always. */
static bool takes_over(MapFn f, DType t, Number x, Number best) {
    if (!dtype_is_float(t)) return f == MAP_maximum ? x.i >= best.i : x.i <= best.i;
    return isnan(x.f) || (!isnan(best.f) && (f == MAP_maximum ? x.f >= best.f : x.f <= best.f));
}

static void eval_cumulative_arg(EvalContext *e, const Op *op) {
    const Tensor *x = eval_operand(e, op, 0);
    Tensor *r = eval_result(e, op, 0);
    Lines l = lines_of(e, op, x);
    for (int64_t k = 0; k < l.count; k++) {
        int64_t best = l.begins[k], place = 0;
        for (int64_t t = 0, at = best; t < l.length; t++, at += l.step) {
            if (takes_over(op->info->map, x->dtype, x->at[at], x->at[best])) {
                best = at;
                place = is_reverse(op) ? l.length - 1 - t : t;
            }
            r->at[at].i = place;
        }
    }
}

/* --------------------------------------------------------------------- gradients */

/* x moved by one along op's axis: element t is the one that the sweep met before t, or if `next` meets after it;
 * `fill` where there is none. */
static Value *neighbour(Builder *b, const Op *op, Value *x, bool next, double fill) {
    DimTable *dims = &b->module->dims;
    int64_t axis = op_int(op, "axis"), zeros[MAX_RANK] = {0}, ones[MAX_RANK];
    Dim low[MAX_RANK], high[MAX_RANK], start[MAX_RANK], limit[MAX_RANK];
    bool from_below = is_reverse(op) == next;
    for (int d = 0; d < x->type.rank; d++) {
        low[d] = high[d] = start[d] = dim_const(dims, 0);
        limit[d] = x->type.shape[d];
        ones[d] = 1;
    }
    *(from_below ? &low[axis] : &high[axis]) = dim_const(dims, 1);
    if (!from_below) {
        start[axis] = dim_const(dims, 1);
        limit[axis] = dim_add(dims, limit[axis], start[axis]);
    }
    Value *wide = build_pad(b, x, build_constant(b, type_scalar(x->type.dtype), fill), low, high, zeros);
    return build_slice(b, wide, start, limit, ones);
}

/* The recurrence against op's direction: y[t] = dy[t] + a[next] y[next]. */
static Value *recurrence_back(Builder *b, const Op *op, Value *a, Value *dy) {
    return build_linear_recurrence(b, neighbour(b, op, a, true, 0), dy, (int)op_int(op, "axis"), !is_reverse(op));
}

static void grad_cumulative_sum(GradContext *g, const Op *op, Value *const *dy, Value **dx) {
    dx[0] = build_cumulative(g->b, &OP_cumulative_sum, dy[0], (int)op_int(op, "axis"), !is_reverse(op));
}

static void grad_recurrence(GradContext *g, const Op *op, Value *const *dy, Value **dx) {
    Value *back = recurrence_back(g->b, op, op->operands[0], dy[0]);
    dx[1] = back;
    if (g->wants[0]) dx[0] = build_map2(g->b, MAP_multiply, back, neighbour(g->b, op, &op->results[0], false, 0));
}

/* What comes before an element, times what it is multiplied with later: neither divides by it. */
static void grad_cumulative_prod(GradContext *g, const Op *op, Value *const *dy, Value **dx) {
    Value *before = neighbour(g->b, op, &op->results[0], false, 1);
    dx[0] = build_map2(g->b, MAP_multiply, before, recurrence_back(g->b, op, op->operands[0], dy[0]));
}

/* Each stretch of equal results belongs to the element it begins with, which takes the stretch's sum. */
static void grad_cumulative_extremum(GradContext *g, const Op *op, Value *const *dy, Value **dx) {
    Builder *b = g->b;
    Value *x = op->operands[0];
    int axis = (int)op_int(op, "axis");
    const OpInfo *arg = op->info->map == MAP_maximum ? &OP_cumulative_argmax : &OP_cumulative_argmin;
    Value *place = build_iota(b, DTYPE_I32, x->type.rank, x->type.shape, axis);
    Value *begins = build_map2(b, MAP_equal, place, build_cumulative(b, arg, x, axis, is_reverse(op)));
    Value *goes_on = build_convert(b, build_map1(b, MAP_not, begins), x->type.dtype);
    dx[0] = build_map3(b, MAP_select, begins, recurrence_back(b, op, goes_on, dy[0]), build_constant_like(b, x, 0));
}

/* -------------------------------------------------------------------------- table */

static const AttrSpec attrs_cumulative[] = {{"axis", ATTR_INT, false, DIMS_AXIS}, {"reverse", ATTR_INT, true, DIMS_NONE}, {0}};

#define CUMULATIVE(op, count, f, class, bits, rule, gradient, text)                                                    \
    const OpInfo OP_##op = {.name = #op, .at = HERE, .kind = KIND_CUMULATE, .min_operands = count, .max_operands = count,          \
                            .result_count = 1, .flags = bits, .map = MAP_##f, .signature = "T", .types = class,        \
                            .attrs = attrs_cumulative, .doc = text, .infer = infer_cumulative, .grad = gradient,       \
                            .eval = rule}

CUMULATIVE(cumulative_sum, 1, add, CLASS_NUMBER, 0, eval_cumulative, grad_cumulative_sum,
           "The sum of the elements up to each along axis; from its end if reverse is 1.");
CUMULATIVE(cumulative_prod, 1, multiply, CLASS_NUMBER, 0, eval_cumulative, grad_cumulative_prod,
           "The product of the elements up to each along axis.");
CUMULATIVE(cumulative_max, 1, maximum, CLASS_NUMBER, 0, eval_cumulative, grad_cumulative_extremum,
           "The maximum of the elements up to each along axis; a NaN wins. Gradient: to the last that is it.");
CUMULATIVE(cumulative_min, 1, minimum, CLASS_NUMBER, 0, eval_cumulative, grad_cumulative_extremum,
           "The minimum of the elements up to each along axis; a NaN wins. Gradient: to the last that is it.");
CUMULATIVE(cumulative_argmax, 1, maximum, CLASS_NUMBER, OP_ZERO_GRADIENT | OP_ARG_REDUCTION, eval_cumulative_arg, NULL,
           "Index (i32) of the last maximum among the elements up to each along axis; a NaN wins.");
CUMULATIVE(cumulative_argmin, 1, minimum, CLASS_NUMBER, OP_ZERO_GRADIENT | OP_ARG_REDUCTION, eval_cumulative_arg, NULL,
           "Index (i32) of the last minimum among the elements up to each along axis; a NaN wins.");
CUMULATIVE(linear_recurrence, 2, add, CLASS_NUMBER, 0, eval_recurrence, grad_recurrence,
           "linear_recurrence(a, b): h with h[0] = b[0] and h[t] = a[t] h[t-1] + b[t] along axis; from its end if "
           "reverse is 1.");
