/* Numbers as element types hold them: rounding, wrapping, limits, and the element functions of
 * elementwise.def on them. */
#include "ops/ops.h"

#include <math.h>

/* ------------------------------------------------------------------------- floats */

/* x rounded to `bits` of significand (hidden one included), at most exponent `top` and with subnormals
 * below 2^bottom. */
static double round_to(double x, int bits, int bottom, int top) {
    if (x == 0 || !isfinite(x)) return x;
    int exponent;
    frexp(x, &exponent);                            /* |x| = 0.5 .. 1 times 2^exponent */
    int last = (exponent - 1 < bottom ? bottom : exponent - 1) - (bits - 1);
    double y = ldexp(rint(ldexp(x, -last)), last);
    return fabs(y) >= ldexp(1, top + 1) ? copysign(INFINITY, x) : y;
}

double number_round(DType t, double x) {
    switch (t) {
    case DTYPE_F32: return (double)(float)x;
    case DTYPE_F16: return round_to(x, 11, -14, 15);
    case DTYPE_BF16: return round_to(x, 8, -126, 127);
    default: return x;
    }
}

double number_unit(DType t) {
    return t == DTYPE_F64 ? 0x1p-53 : t == DTYPE_F32 ? 0x1p-24 : t == DTYPE_F16 ? 0x1p-11 : 0x1p-8;
}

/* A larger one that knows NaN: x if it is one. */
static double real_maximum(double x, double y) { return x > y || isnan(x) ? x : y; }
static double real_minimum(double x, double y) { return x < y || isnan(x) ? x : y; }

/* ----------------------------------------------------------------------- integers */

static int type_bits(DType t) { return t == DTYPE_BOOL ? 1 : 8 * dtype_bytes(t); }
static bool is_unsigned(DType t) { return t == DTYPE_U8 || t == DTYPE_BOOL; }

/* The bits of x as unsigned, without those above the type's width. */
static uint64_t low_bits(DType t, int64_t x) {
    int bits = type_bits(t);
    return bits == 64 ? (uint64_t)x : (uint64_t)x & (((uint64_t)1 << bits) - 1);
}

int64_t number_greatest(DType t) {
    int bits = type_bits(t) - !is_unsigned(t);
    return (int64_t)(((uint64_t)1 << bits) - 1);
}

int64_t number_least(DType t) { return is_unsigned(t) ? 0 : -number_greatest(t) - 1; }

int64_t number_wrap(DType t, int64_t x) {
    int64_t y = (int64_t)low_bits(t, x);
    if (y <= number_greatest(t) || type_bits(t) == 64) return y;
    return y - ((int64_t)1 << type_bits(t));
}

int64_t number_from_float(DType t, double x) {
    if (t == DTYPE_BOOL) return x != 0;
    if (isnan(x)) return 0;
    double whole = trunc(x);
    if (whole <= (double)number_least(t)) return number_least(t);
    if (whole >= (double)number_greatest(t)) return number_greatest(t);
    return (int64_t)whole;
}

static int64_t whole_add(int64_t x, int64_t y) { return (int64_t)((uint64_t)x + (uint64_t)y); }
static int64_t whole_subtract(int64_t x, int64_t y) { return (int64_t)((uint64_t)x - (uint64_t)y); }
static int64_t whole_multiply(int64_t x, int64_t y) { return (int64_t)((uint64_t)x * (uint64_t)y); }

static int64_t whole_divide(DType t, int64_t x, int64_t y) {
    if (y == 0) return -1;
    if (y == -1 && x == number_least(t)) return x;
    return x / y;
}

static int64_t whole_remainder(int64_t x, int64_t y) {
    if (y == 0) return x;
    return y == -1 ? 0 : x % y;
}

static int64_t whole_shift_left(DType t, int64_t x, int64_t y) {
    return y < 0 || y >= type_bits(t) ? 0 : (int64_t)((uint64_t)x << y);
}

static int64_t whole_shift_right(DType t, int64_t x, int64_t y) {
    return y < 0 || y >= type_bits(t) ? 0 : (int64_t)(low_bits(t, x) >> y);
}

/* -------------------------------------------------------------- element functions */

static int arity_of(MapFn f) {
    static const int arity[] = {
#define ELEMENTWISE(name, arity, ...) arity,
#include "ir/elementwise.def"
#undef ELEMENTWISE
    };
    return arity[f];
}

double map_eval_float(MapFn f, const double *v) {
    int n = arity_of(f);
    double x = n > 0 ? v[0] : 0, y = n > 1 ? v[1] : 0, z = n > 2 ? v[2] : 0;
#define REF(real, whole) (double)(real)
#define OWN 0
    switch (f) {
#define ELEMENTWISE(name, arity, rule, types, flags, reference, ...)                                                   \
    case MAP_##name: return reference;
#include "ir/elementwise.def"
#undef ELEMENTWISE
#undef REF
    case MAP_COUNT: break;
    }
    return NAN;
}

int64_t map_eval_int(MapFn f, DType t, const int64_t *v) {
    int n = arity_of(f);
    int64_t x = n > 0 ? v[0] : 0, y = n > 1 ? v[1] : 0, z = n > 2 ? v[2] : 0, w = 0;
#define REF(real, whole) (whole)
    switch (f) {
#define ELEMENTWISE(name, arity, rule, types, flags, reference, ...)                                                   \
    case MAP_##name: w = reference; break;
#include "ir/elementwise.def"
#undef ELEMENTWISE
#undef REF
#undef OWN
    case MAP_COUNT: break;
    }
    return number_wrap(t, w);
}

double map_neutral_float(MapFn f) {
    switch (f) {
    case MAP_multiply: return 1;
    case MAP_maximum: return -INFINITY;
    case MAP_minimum: return INFINITY;
    default: return 0;
    }
}

int64_t map_neutral_int(MapFn f, DType t) {
    switch (f) {
    case MAP_multiply: return 1;
    case MAP_maximum: return number_least(t);
    case MAP_minimum: return number_greatest(t);
    case MAP_and: return number_wrap(t, -1);
    default: return 0;
    }
}
