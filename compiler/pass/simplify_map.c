/* Elementwise identities. Those that would lose a NaN, an infinity or the sign of a zero are for integers
 * only. */
#include "pass/simplify.h"

#include <math.h>

static bool is_float(const Op *op) { return dtype_is_float(op->operands[0]->type.dtype); }

/* ------------------------------------------------------------------------- arithmetic */

Value *rule_constant_right(Builder *b, Op *op) {
    if (op->operand_count != 2) return NULL;
    Value *x = op->operands[0], *y = op->operands[1];
    if (!value_is_map(x, MAP_constant) || value_is_map(y, MAP_constant)) return NULL;
    return try_op(b, op->info, (Value *[]){y, x}, 2, op->attrs, op->attr_count, op->results[0].type);
}

Value *rule_add_zero(Builder *b, Op *op) {
    (void)b;
    return value_is_all(op->operands[1], is_float(op) ? -0.0 : 0.0) ? op->operands[0] : NULL;
}

Value *rule_add_negated(Builder *b, Op *op) {
    for (int i = 1; i >= 0; i--) {
        if (!value_is_map(op->operands[i], MAP_negate)) continue;
        return build_map2(b, MAP_subtract, op->operands[!i], op->operands[i]->op->operands[0]);
    }
    return NULL;
}

Value *rule_subtract_zero(Builder *b, Op *op) {
    (void)b;
    return value_is_all(op->operands[1], 0.0) ? op->operands[0] : NULL;
}

Value *rule_subtract_self(Builder *b, Op *op) {
    if (is_float(op) || op->operands[0] != op->operands[1]) return NULL;
    return build_constant(b, op->results[0].type, 0);
}

Value *rule_subtract_negated(Builder *b, Op *op) {
    if (!value_is_map(op->operands[1], MAP_negate)) return NULL;
    return build_map2(b, MAP_add, op->operands[0], op->operands[1]->op->operands[0]);
}

Value *rule_multiply_one(Builder *b, Op *op) {
    if (value_is_all(op->operands[1], 1)) return op->operands[0];
    return value_is_all(op->operands[1], -1) ? build_map1(b, MAP_negate, op->operands[0]) : NULL;
}

Value *rule_multiply_zero(Builder *b, Op *op) {
    (void)b;
    return !is_float(op) && value_is_all(op->operands[1], 0) ? op->operands[1] : NULL;
}

Value *rule_multiply_negated(Builder *b, Op *op) {
    Value *x = op->operands[0], *y = op->operands[1];
    double c;
    if (!value_is_map(x, MAP_negate)) return NULL;
    if (value_is_map(y, MAP_negate)) return build_map2(b, MAP_multiply, x->op->operands[0], y->op->operands[0]);
    if (!is_float(op) || !value_is_splat(y, &c)) return NULL;
    return build_map2(b, MAP_multiply, x->op->operands[0], build_constant_like(b, y, -c));
}

/* Whether x is a power of two far from the ends of the range, so that dividing by it is multiplying. */
static bool is_power_of_two(double x) {
    int exponent;
    return fabs(frexp(x, &exponent)) == 0.5 && exponent > -13 && exponent < 15;
}

/* Exact on floats only if rounding and scaling by c commute, which they do not among the subnormals of
 * a product; so c must scale up and d not undo it: |c| >= 1, |d| >= 1, both powers of two. */
static bool scales_together(double c, double d) {
    return is_power_of_two(c) && is_power_of_two(d) && fabs(c) >= 1 && fabs(d) >= 1 && fabs(c * d) < 16384;
}

Value *rule_multiply_twice(Builder *b, Op *op) {
    Value *x = op->operands[0], *y = op->operands[1];
    double c, d;
    if (!value_is_map(x, MAP_multiply) || !value_is_splat(y, &d)) return NULL;
    Value *z = x->op->operands[1];
    if (!value_is_splat(z, &c) || (is_float(op) && !scales_together(c, d))) return NULL;
    return build_map2(b, MAP_multiply, x->op->operands[0], build_map2(b, MAP_multiply, z, y));
}

Value *rule_divide_one(Builder *b, Op *op) {
    (void)b;
    return value_is_all(op->operands[1], 1) ? op->operands[0] : NULL;
}

Value *rule_divide_power_of_two(Builder *b, Op *op) {
    double c;
    if (!is_float(op) || !value_is_splat(op->operands[1], &c) || !is_power_of_two(c)) return NULL;
    return build_map2(b, MAP_multiply, op->operands[0], build_constant_like(b, op->operands[1], 1 / c));
}

Value *rule_power_small(Builder *b, Op *op) {
    Value *x = op->operands[0], *y = op->operands[1];
    if (value_is_all(y, 0)) return build_constant(b, op->results[0].type, 1);
    if (value_is_all(y, 1)) return x;
    return value_is_all(y, 2) ? build_map2(b, MAP_multiply, x, x) : NULL;
}

Value *rule_undo_twice(Builder *b, Op *op) {
    (void)b;
    if (!op_is_map(op, MAP_negate) && !op_is_map(op, MAP_not)) return NULL;
    return value_is(op->operands[0], op->info) ? op->operands[0]->op->operands[0] : NULL;
}

/* ------------------------------------------------------------- comparisons and choices */

Value *rule_same_operands(Builder *b, Op *op) {
    (void)b;
    bool settles = op_is_map(op, MAP_maximum) || op_is_map(op, MAP_minimum) || op_is_map(op, MAP_and) ||
                   op_is_map(op, MAP_or);
    return settles && op->operands[0] == op->operands[1] ? op->operands[0] : NULL;
}

/* A NaN is not less than itself either, but it is unequal to itself. */
Value *rule_compare_self(Builder *b, Op *op) {
    if (!(op->info->flags & OP_PREDICATE) || op->operand_count != 2 || op->operands[0] != op->operands[1]) return NULL;
    Type type = op->results[0].type;
    if (op_is_map(op, MAP_less) || op_is_map(op, MAP_greater)) return build_constant(b, type, 0);
    if (is_float(op)) return NULL;
    return build_constant(b, type, !op_is_map(op, MAP_not_equal));
}

/* On integers "true" has every bit set. */
Value *rule_logic_constant(Builder *b, Op *op) {
    (void)b;
    bool both = op_is_map(op, MAP_and);
    if (!both && !op_is_map(op, MAP_or)) return NULL;
    double ones = op->results[0].type.dtype == DTYPE_BOOL ? 1 : number_least(op->results[0].type.dtype) ? -1 : 255;
    if (value_is_all(op->operands[1], ones)) return op->operands[both ? 0 : 1];
    return value_is_all(op->operands[1], 0) ? op->operands[both ? 1 : 0] : NULL;
}

Value *rule_select_known(Builder *b, Op *op) {
    (void)b;
    double c;
    if (op->operands[1] == op->operands[2]) return op->operands[1];
    return value_is_splat(op->operands[0], &c) ? op->operands[c != 0 ? 1 : 2] : NULL;
}

Value *rule_select_not(Builder *b, Op *op) {
    if (!value_is_map(op->operands[0], MAP_not)) return NULL;
    return build_map3(b, MAP_select, op->operands[0]->op->operands[0], op->operands[2], op->operands[1]);
}

Value *rule_drop_stop_gradient(Builder *b, Op *op) {
    (void)b;
    return op->operands[0];
}

/* ------------------------------------------------------------------------ conversions */

/* Bits of a type's significand (floats) or magnitude (integers). */
static int precision(DType t) {
    static const int bits[DTYPE_COUNT] = {
        [DTYPE_F64] = 53, [DTYPE_F32] = 24, [DTYPE_F16] = 11, [DTYPE_BF16] = 8, [DTYPE_I64] = 63,
        [DTYPE_I32] = 31, [DTYPE_I8] = 7, [DTYPE_U8] = 8, [DTYPE_BOOL] = 1};
    return bits[t];
}

/* Whether `to` holds every number of `from`. */
static bool converts_exactly(DType from, DType to) {
    if (from == to || from == DTYPE_BOOL) return true;
    if (to == DTYPE_BOOL) return false;
    if (dtype_is_float(from)) {
        bool wider = to == DTYPE_F64 || (to == DTYPE_F32 && from != DTYPE_F64);
        return dtype_is_float(to) && wider;
    }
    bool sign = from == DTYPE_U8 || to != DTYPE_U8;
    return sign && precision(from) <= precision(to);
}

Value *rule_convert_same(Builder *b, Op *op) {
    (void)b;
    return op->operands[0]->type.dtype == op->results[0].type.dtype ? op->operands[0] : NULL;
}

/* Float to integer saturates, integer to integer wraps: the way through another sort of type is the direct
 * one only if the target holds every number or is a float. */
Value *rule_convert_chain(Builder *b, Op *op) {
    if (!value_is_map(op->operands[0], MAP_convert)) return NULL;
    Value *x = op->operands[0]->op->operands[0];
    DType from = x->type.dtype, middle = op->operands[0]->type.dtype, to = op->results[0].type.dtype;
    bool same_sort = dtype_is_float(from) == dtype_is_float(middle) || dtype_is_float(to) || to == DTYPE_BOOL;
    if (!converts_exactly(from, middle) || (!same_sort && !converts_exactly(from, to))) return NULL;
    return build_convert(b, x, to);
}
