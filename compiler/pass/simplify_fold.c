/* Rules that compute with constants. Numbers are kept as the language has them: floats rounded to their
 * type after each operation, integers wrapped. A constant holds its elements as doubles, so integers
 * beyond 2^53 are left to the running program. */
#include "pass/simplify.h"

#include <math.h>

enum { MOST_ELEMENTS = 1024 };
static const double exact_limit = 9007199254740992.0;   /* 2^53 */

/* One element, a float or an integer by its type. */
typedef struct Element {
    DType dtype;
    double f;
    int64_t i;
} Element;

static Element element_of(DType t, double x) {
    Element e = {.dtype = t};
    if (dtype_is_float(t)) e.f = number_round(t, x);
    else e.i = number_from_float(t, x);
    return e;
}

/* False if it cannot be held in a constant. */
static bool element_value(Element e, double *to) {
    *to = dtype_is_float(e.dtype) ? e.f : (double)e.i;
    return dtype_is_float(e.dtype) || fabs(*to) < exact_limit;
}

/* ------------------------------------------------------------------------ elementwise */

static Element convert_element(Element x, DType to) {
    Element r = {.dtype = to};
    if (dtype_is_float(x.dtype)) return element_of(to, x.f);
    if (dtype_is_float(to)) r.f = number_round(to, (double)x.i);
    else if (to == DTYPE_BOOL) r.i = x.i != 0;
    else r.i = number_wrap(to, x.i);
    return r;
}

static Element map_element(const Op *op, const Element *x) {
    DType of = x[op->operand_count - 1].dtype, to = op->results[0].type.dtype;
    if (op_is_map(op, MAP_convert)) return convert_element(x[0], to);
    Element r = {.dtype = to};
    if (dtype_is_float(of)) {
        double v[3];
        for (int i = 0; i < op->operand_count; i++) v[i] = dtype_is_float(x[i].dtype) ? x[i].f : (double)x[i].i;
        double y = map_eval_float(op->info->map, v);
        if (dtype_is_float(to)) r.f = number_round(to, y);
        else r.i = y != 0;
    } else {
        int64_t v[3];
        for (int i = 0; i < op->operand_count; i++) v[i] = x[i].i;
        r.i = map_eval_int(op->info->map, of, v);
    }
    return r;
}

/* Element k of the result. */
static bool fold_element(const Op *op, int k, double *to) {
    Element x[3];
    for (int i = 0; i < op->operand_count; i++) {
        const Op *of = op->operands[i]->op;
        const Attr *values = op_attr(of, "values");
        x[i] = element_of(op->operands[i]->type.dtype, values ? values->floats[k] : op_float(of, "value"));
    }
    return element_value(map_element(op, x), to);
}

/* The number of elements to compute: 1 if every operand repeats one, 0 if it cannot be done. */
static int elements_to_fold(const Op *op) {
    int n = 1;
    if (!op->operand_count || op->operand_count > 3 || op_is_map(op, MAP_random_bits)) return 0;
    for (int i = 0; i < op->operand_count; i++) {
        if (!value_is_map(op->operands[i], MAP_constant)) return 0;
        const Attr *values = op_attr(op->operands[i]->op, "values");
        if (values) n = values->n;
    }
    return n <= MOST_ELEMENTS ? n : 0;
}

Value *rule_fold_map(Builder *b, Op *op) {
    double to[MOST_ELEMENTS];
    int n = elements_to_fold(op);
    for (int k = 0; k < n; k++)
        if (!fold_element(op, k, &to[k])) return NULL;
    Type type = op->results[0].type;
    if (n == 1) return build_constant(b, type, to[0]);
    return n ? build_literal(b, type, to, n) : NULL;
}

/* ---------------------------------------------------------------- everything of one value */

Value *rule_fold_move(Builder *b, Op *op) {
    double value;
    if (op->operand_count != 1 || !value_is_splat(op->operands[0], &value)) return NULL;
    if (op->info->flags & OP_LEAVES_GAPS && !value_is_all(op->operands[0], 0)) return NULL;
    return build_constant(b, op->results[0].type, value);
}

Value *rule_fold_pad(Builder *b, Op *op) {
    double value;
    if (!value_is_splat(op->operands[0], &value) || !value_is_splat(op->operands[1], &(double){0})) return NULL;
    DType t = op->operands[0]->type.dtype;
    Element x = element_of(t, value);
    if (!value_is_all(op->operands[1], dtype_is_float(t) ? x.f : (double)x.i)) return NULL;
    return build_constant(b, op->results[0].type, value);
}

/* Sum of n times x; false if it is not exact. */
static bool sum_of(Element x, int64_t n, double *to) {
    if (!dtype_is_float(x.dtype)) {
        int64_t sum;
        if (__builtin_mul_overflow(x.i, n, &sum)) return false;
        x.i = number_wrap(x.dtype, sum);
        return element_value(x, to);
    }
    x.f = n ? number_round(x.dtype, x.f * (double)n) : 0;
    return element_value(x, to);
}

/* max, min, and, or of equal elements are that element, if there is one at all. */
Value *rule_fold_reduce(Builder *b, Op *op) {
    double value;
    if ((op->info->flags & OP_ARG_REDUCTION) || !value_is_splat(op->operands[0], &value)) return NULL;
    Type from = op->operands[0]->type, to = op->results[0].type;
    int n;
    const int64_t *axes = op_ints(op, "axes", &n);
    Dim count = dim_const(&b->module->dims, 1);
    for (int i = 0; i < n; i++) count = dim_mul(&b->module->dims, count, from.shape[axes[i]]);
    MapFn f = op->info->map;
    bool settles = f == MAP_maximum || f == MAP_minimum || f == MAP_and || f == MAP_or;
    if (settles) return count->lower > 0 ? build_constant(b, to, value) : NULL;
    if (f != MAP_add || !dim_is_const(count)) return NULL;
    return sum_of(element_of(from.dtype, value), dim_value(count), &value) ? build_constant(b, to, value) : NULL;
}

Value *rule_fold_iota(Builder *b, Op *op) {
    Type type = op->results[0].type;
    return dim_is(type.shape[op_int(op, "axis")], 1) ? build_constant(b, type, 0) : NULL;
}

Value *rule_fold_dim(Builder *b, Op *op) {
    Dim d = op_dims(op, "dims", NULL)[0];
    Element x = {.dtype = op->results[0].type.dtype};
    double value;
    if (!dim_is_const(d)) return NULL;
    if (dtype_is_float(x.dtype)) x.f = number_round(x.dtype, (double)dim_value(d));
    else x.i = number_wrap(x.dtype, dim_value(d));
    return element_value(x, &value) ? build_constant(b, op->results[0].type, value) : NULL;
}
