/* Functions of f32 that are computed in f64 and rounded once: expm1, log1p, log2, power, sin, cos, tan, atan2,
 * remainder.
 *
 * In: any f32, NaN, infinities and subnormals included. Out: within 0.501 ULP, measured by tests/sweep;
 * remainder is exact. f64 spares the careful sums of element_f32.c at twice the registers. No step needs
 * a fused multiply-add to be exact. What only huge operands need sits behind one branch that is taken if
 * any lane needs it; each lane's result is the same whichever path its neighbours take.
 *
 * Polynomials: as in element_f32.c, with coefficients in f64. */
#include "codegen/element.h"

#include <math.h>

#define LN2 0x1.62e42fefa39efp-1
#define LOG2_E 0x1.71547652b82fep0

/* ----------------------------------------------------------------- exponentials */

/* (e^r - 1 - r) / r^2 for |r| <= ln 2 / 2; e^r - 1 is 2^-37.4 off, relatively. */
static const double exp_polynomial[] = {0x1.00000000172e0p-1,  0x1.55555573652d7p-3,  0x1.555554f322d6ap-5,
                                        0x1.1110b1f727b1fp-7,  0x1.6c17675d87477p-10, 0x1.a16faf17c6e33p-13,
                                        0x1.a003099ccf576p-16};

/* 2^n (1 + u) for n in -1022 .. 1023. */
typedef struct Exponential {
    LLVMValueRef u, power;     /* power: 2^n */
} Exponential;

static LLVMValueRef power_of_two(const Calc *c, LLVMValueRef n) {
    return real_of(c, bits_up(c, bits_add(c, n, bits_const(c, 1023)), 52));
}

/* 2^x; x in -1022 .. 1023. */
static Exponential exponential(const Calc *c, LLVMValueRef x) {
    Nearest n = real_nearest(c, x, 1);
    LLVMValueRef r = real_mul(c, real_sub(c, x, n.real), real_const(c, LN2));
    LLVMValueRef q = REAL_POLYNOMIAL(c, r, exp_polynomial);
    return (Exponential){.u = real_fma(c, real_mul(c, r, r), q, r), .power = power_of_two(c, n.bits)};
}

/* x log2 e is right to 2^-52 of itself, and where that matters x is small. */
LLVMValueRef element_expm1_f32(const Calc *c, LLVMValueRef *x) {
    Calc w = calc_as(c, DTYPE_F64);
    LLVMValueRef bounded = real_at_least(c, real_at_most(c, x[0], 89), -104);
    Exponential y = exponential(&w, real_mul(&w, calc_widen(&w, bounded), real_const(&w, LOG2_E)));
    LLVMValueRef rest = real_sub(&w, y.power, real_const(&w, 1));
    LLVMValueRef r = calc_narrow(c, real_fma(&w, y.power, y.u, rest));
    return real_copysign(c, r, x[0]);              /* for -0 */
}

/* ------------------------------------------------------------------- logarithms */

/* (log(1 + f) - 2 s) / s^3 in s^2, s = f / (2 + f), 1 + f in sqrt(1/2) .. sqrt(2); log is 2^-44.9 off. */
static const double log_polynomial[] = {0x1.555555561e950p-1, 0x1.999996a81b0eep-2, 0x1.2494128cc8cbfp-2,
                                        0x1.c62ad6a854162p-3, 0x1.911996c2b24d4p-3};

/* k for u = 2^k (1 + f), u > 0. */
static LLVMValueRef exponent(const Calc *c, LLVMValueRef u) {
    const int64_t sqrt_half = 0x3fe6a09e667f3bcd;
    return bits_down(c, bits_sub(c, bits_of(c, u), bits_const(c, sqrt_half)), 52);
}

/* A small integer in bits as a float. */
static LLVMValueRef real_of_small(const Calc *c, LLVMValueRef k) {
    const int64_t shift = 0x4338000000000000;      /* 0x1.8p52 */
    return real_sub(c, real_of(c, bits_add(c, k, bits_const(c, shift))), real_const(c, 0x1.8p52));
}

static LLVMValueRef log_near_one(const Calc *c, LLVMValueRef f) {
    LLVMValueRef s = real_div(c, f, real_add(c, f, real_const(c, 2))), z = real_mul(c, s, s);
    LLVMValueRef p = real_fma(c, z, REAL_POLYNOMIAL(c, z, log_polynomial), real_const(c, 2));
    return real_mul(c, s, p);
}

/* 1 + x = 2^k (1 + f), and f = 2^-k x + (2^-k - 1) loses nothing of a small x. */
LLVMValueRef element_log1p_f32(const Calc *c, LLVMValueRef *x) {
    Calc w = calc_as(c, DTYPE_F64);
    LLVMValueRef wide = calc_widen(&w, x[0]), one = real_const(&w, 1), u = real_add(&w, wide, one);
    LLVMValueRef k = exponent(&w, u), power = power_of_two(&w, bits_sub(&w, bits_const(&w, 0), k));
    LLVMValueRef f = real_fma(&w, power, wide, real_sub(&w, power, one));
    LLVMValueRef r = real_fma(&w, real_of_small(&w, k), real_const(&w, LN2), log_near_one(&w, f));
    r = element_log_edges(&w, u, r);
    return real_copysign(c, calc_narrow(c, r), x[0]);   /* for -0 */
}

/* ------------------------------------------------------------ power, base 2 logarithm */

/* log2 u. */
static LLVMValueRef log2_of(const Calc *c, LLVMValueRef u) {
    LLVMValueRef k = exponent(c, u);
    LLVMValueRef m = real_of(c, bits_sub(c, bits_of(c, u), bits_up(c, k, 52)));
    LLVMValueRef log = log_near_one(c, real_sub(c, m, real_const(c, 1)));
    return element_log_edges(c, u, real_fma(c, log, real_const(c, LOG2_E), real_of_small(c, k)));
}

LLVMValueRef element_log2_f32(const Calc *c, LLVMValueRef *x) {
    Calc w = calc_as(c, DTYPE_F64);
    return calc_narrow(c, log2_of(&w, calc_widen(&w, x[0])));
}

static LLVMValueRef is_whole(const Calc *c, LLVMValueRef x) {
    return real_compare(c, LLVMRealOEQ, calc_unary(c, "llvm.trunc", x), x);
}

/* |x|^y = 2^(y log2 |x|) for all but y = 0 and x = 1. */
static LLVMValueRef power_of_absolute(const Calc *c, LLVMValueRef x, LLVMValueRef y) {
    Calc w = calc_as(c, DTYPE_F64);
    LLVMValueRef log = log2_of(&w, calc_widen(&w, real_abs(c, x))), wide = calc_widen(&w, y);
    LLVMValueRef exponent = real_mul(&w, wide, log);
    /* 1 to the power infinity is 1, to the power NaN it is NaN. */
    LLVMValueRef one = calc_both(&w, real_is(&w, LLVMRealOEQ, log, 0), real_compare(&w, LLVMRealORD, wide, wide));
    exponent = calc_choose(&w, one, real_const(&w, 0), exponent);
    exponent = real_at_least(&w, real_at_most(&w, exponent, 300), -300);
    Exponential e = exponential(&w, exponent);
    return calc_narrow(c, real_fma(&w, e.power, e.u, e.power));
}

/* C's pow: negative x need a whole y, which decides the sign; infinite y count as even. */
LLVMValueRef element_power_f32(const Calc *c, LLVMValueRef *v) {
    LLVMValueRef x = v[0], y = v[1], r = power_of_absolute(c, x, y);
    LLVMValueRef whole = is_whole(c, y);
    LLVMValueRef even = is_whole(c, real_mul(c, y, real_const(c, 0.5)));
    LLVMValueRef odd = calc_both(c, whole, LLVMBuildNot(c->e->at, even, ""));
    r = calc_choose(c, odd, real_copysign(c, r, x), r);
    LLVMValueRef below = calc_both(c, real_is(c, LLVMRealOLT, x, 0), real_is(c, LLVMRealOGT, x, -INFINITY));
    LLVMValueRef bad = calc_both(c, below, LLVMBuildNot(c->e->at, whole, ""));
    r = calc_choose(c, bad, real_const(c, NAN), r);
    LLVMValueRef one = calc_either(c, real_is(c, LLVMRealOEQ, y, 0), real_is(c, LLVMRealOEQ, x, 1));
    return calc_choose(c, one, real_const(c, 1), r);
}

/* --------------------------------------------------------- sine, cosine, tangent */

/* (sin r - r) / r^3 and (cos r - 1) / r^2 in r^2, |r| <= pi / 4; sin is 2^-37.4 off, cos 2^-43.6. */
static const double sin_polynomial[] = {-0x1.5555554c67d1bp-3, 0x1.1111086326d74p-7, -0x1.a00f795ed0119p-13,
                                        0x1.6cd092b3251a2p-19};
static const double cos_polynomial[] = {-0x1.ffffffffe96b2p-2, 0x1.55555545b3b9fp-5, -0x1.6c16b33d1016dp-10,
                                        0x1.a00eb38a7f3ccp-16, -0x1.23c862d5ed7c5p-22};

/* x = quarter * pi/2 + rest, |rest| <= pi / 4; the low two bits of quarter count. */
typedef struct Angle {
    LLVMValueRef rest, quarter;
} Angle;

/* Up to here the multiples of pi/2's parts are exact. */
#define ANGLE_HUGE 0x1p20

/* Cody and Waite's reduction: pi/2 in two parts of 33 bits and one of 53. */
static Angle reduce(const Calc *c, LLVMValueRef x) {
    static const double half_pi[] = {0x1.921fb544p0, 0x1.0b4611a6p-34, 0x1.3198a2e037073p-69};
    Nearest n = real_nearest(c, x, 0x1.45f306dc9c883p-1);
    for (int i = 0; i < 3; i++) x = real_sub(c, x, real_mul(c, n.real, real_const(c, half_pi[i])));
    return (Angle){.rest = x, .quarter = n.bits};
}

/* The bits of 2/pi after the point; `count` of them from bit `from` (the first is 1, before it are zeros)
 * as an integer. */
static double two_over_pi(int from, int count) {
    static const uint32_t words[] = {0xa2f9836e, 0x4e441529, 0xfc2757d1, 0xf534ddc0,
                                     0xdb629599, 0x3c439041, 0xfe5163ab, 0xdebbc561};
    double value = 0;
    for (int i = from; i < from + count; i++)
        value = 2 * value + (i < 1 ? 0 : words[(i - 1) / 32] >> (31 - (i - 1) % 32) & 1);
    return value;
}

enum {
    TABLE_FIRST = 127 + 20,    /* exponent field of ANGLE_HUGE */
    TABLE_ROWS = 255 - TABLE_FIRST,
    TABLE_PARTS = 3            /* of 28, 28 and 50 bits */
};

/* For each exponent of x the part of 2/pi that makes a difference modulo 4 to a multiple of x's last
 * place (Payne and Hanek's reduction): three f64 whose products with x are exact, or small. */
static LLVMValueRef reduction_table(Emit *e) {
    static const char name[] = "dlcc.two_over_pi";
    static const int first[TABLE_PARTS] = {0, 28, 56}, count[TABLE_PARTS] = {28, 28, 50};
    LLVMValueRef table = LLVMGetNamedGlobal(e->module, name), all[TABLE_ROWS * TABLE_PARTS];
    if (table) return table;
    for (int i = 0; i < TABLE_ROWS * TABLE_PARTS; i++) {
        int last = TABLE_FIRST + i / TABLE_PARTS - 150, part = i % TABLE_PARTS;   /* x: multiple of 2^last */
        double bits = two_over_pi(last - 1 + first[part], count[part]);
        all[i] = LLVMConstReal(e->f64, ldexp(bits, 2 - first[part] - count[part] - last));
    }
    LLVMValueRef values = LLVMConstArray2(e->f64, all, TABLE_ROWS * TABLE_PARTS);
    table = LLVMAddGlobal(e->module, LLVMTypeOf(values), name);
    LLVMSetInitializer(table, values);
    LLVMSetGlobalConstant(table, true);
    LLVMSetLinkage(table, LLVMInternalLinkage);
    return table;
}

/* For finite |x| >= ANGLE_HUGE, with the exponent field of x as f32; lanes that are not huge give nonsense. */
static Angle reduce_huge(const Calc *c, LLVMValueRef x, LLVMValueRef field) {
    LLVMValueRef row = bits_sub(c, field, bits_const(c, TABLE_FIRST)), part[TABLE_PARTS];
    row = calc_binary(c, "llvm.smax", row, bits_const(c, 0));
    row = calc_binary(c, "llvm.smin", row, bits_const(c, TABLE_ROWS - 1));
    row = LLVMBuildMul(c->e->at, row, bits_const(c, TABLE_PARTS), "");
    LLVMValueRef table = reduction_table(c->e);
    for (int i = 0; i < TABLE_PARTS; i++) {
        LLVMValueRef at = bits_add(c, row, bits_const(c, i));
        part[i] = real_mul(c, x, emit_gather(c->e, DTYPE_F64, c->lanes, table, at, NULL));
    }
    Nearest n = real_nearest(c, part[0], 1);
    LLVMValueRef turns = real_add(c, real_sub(c, part[0], n.real), part[1]);
    Nearest more = real_nearest(c, turns, 1);
    turns = real_add(c, real_sub(c, turns, more.real), part[2]);
    return (Angle){.rest = real_mul(c, turns, real_const(c, 0x1.921fb54442d18p0)),
                   .quarter = bits_add(c, n.bits, more.bits)};
}

static Angle angle_of(const Calc *c, LLVMValueRef x) {
    Calc w = calc_as(c, DTYPE_F64);
    Emit *e = c->e;
    LLVMValueRef wide = calc_widen(&w, x), a = real_abs(c, x);
    Angle angle = reduce(&w, wide);
    LLVMValueRef rest = emit_variable(e, calc_type(&w), "rest");
    LLVMValueRef quarter = emit_variable(e, calc_bits_type(&w), "quarter");
    emit_set(e, rest, angle.rest);
    emit_set(e, quarter, angle.quarter);
    LLVMValueRef huge = calc_both(c, real_is(c, LLVMRealOGE, a, ANGLE_HUGE), real_is(c, LLVMRealOLT, a, INFINITY));
    EmitIf branch = emit_if_begin(e, calc_any(c, huge));
    LLVMValueRef field = LLVMBuildZExt(e->at, bits_down(c, bits_of(c, a), 23), calc_bits_type(&w), "");
    Angle far = reduce_huge(&w, wide, field);
    emit_set(e, rest, calc_choose(c, huge, far.rest, angle.rest));
    emit_set(e, quarter, calc_choose(c, huge, far.quarter, angle.quarter));
    emit_if_end(e, &branch);
    return (Angle){.rest = emit_get(e, calc_type(&w), rest), .quarter = emit_get(e, calc_bits_type(&w), quarter)};
}

/* Of an angle's rest; c: f64. */
typedef struct Circle {
    LLVMValueRef sin, cos;
} Circle;

static Circle circle(const Calc *c, LLVMValueRef r) {
    LLVMValueRef z = real_mul(c, r, r), one = real_const(c, 1);
    /* A product, as a sum would turn -0 into 0. */
    LLVMValueRef sin = real_mul(c, r, real_fma(c, z, REAL_POLYNOMIAL(c, z, sin_polynomial), one));
    return (Circle){sin, real_fma(c, z, REAL_POLYNOMIAL(c, z, cos_polynomial), one)};
}

static LLVMValueRef is_odd(const Calc *c, LLVMValueRef n) {
    return LLVMBuildICmp(c->e->at, LLVMIntNE, bits_and(c, n, 1), bits_const(c, 0), "");
}

/* sin(x + quarters * pi/2) */
static LLVMValueRef sine(const Calc *c, LLVMValueRef x, int quarters) {
    Calc w = calc_as(c, DTYPE_F64);
    Angle angle = angle_of(c, x);
    Circle at = circle(&w, angle.rest);
    LLVMValueRef quarter = bits_add(&w, angle.quarter, bits_const(&w, quarters));
    LLVMValueRef sign = bits_up(&w, bits_and(&w, quarter, 2), 62);
    LLVMValueRef y = calc_choose(&w, is_odd(&w, quarter), at.cos, at.sin);
    return calc_narrow(c, real_of(&w, LLVMBuildXor(c->e->at, bits_of(&w, y), sign, "")));
}

LLVMValueRef element_sin_f32(const Calc *c, LLVMValueRef *x) { return sine(c, x[0], 0); }
LLVMValueRef element_cos_f32(const Calc *c, LLVMValueRef *x) { return sine(c, x[0], 1); }

/* sin / cos, an odd number of quarters further -cos / sin. */
LLVMValueRef element_tan_f32(const Calc *c, LLVMValueRef *x) {
    Calc w = calc_as(c, DTYPE_F64);
    Angle angle = angle_of(c, x[0]);
    Circle at = circle(&w, angle.rest);
    LLVMValueRef odd = is_odd(&w, angle.quarter);
    LLVMValueRef above = calc_choose(&w, odd, real_neg(&w, at.cos), at.sin);
    return calc_narrow(c, real_div(&w, above, calc_choose(&w, odd, at.sin, at.cos)));
}

/* ------------------------------------------------------------------- arc tangent */

/* (atan t - t) / t^3 in t^2, |t| <= tan(pi / 8); atan is 2^-40.2 off. */
static const double atan_polynomial[] = {-0x1.5555554ed3ac5p-2, 0x1.999991f0aa173p-3,  -0x1.2490c129b04e9p-3,
                                         0x1.c6d1a5279e56cp-4,  -0x1.7080190320d5bp-4, 0x1.1e5019ee7c1a4p-4,
                                         -0x1.368130c91b30dp-5};

/* atan(low / high) for 0 <= low <= high, high > 0 or NaN: beyond tan(pi / 8) as pi/4 + atan((low - high) /
 * (low + high)), where sum and difference are exact. */
static LLVMValueRef atan_ratio(const Calc *c, LLVMValueRef low, LLVMValueRef high) {
    LLVMValueRef far = real_compare(c, LLVMRealOGT, low, real_mul(c, high, real_const(c, 0x1.a827999fcef32p-2)));
    LLVMValueRef above = calc_choose(c, far, real_sub(c, low, high), low);
    LLVMValueRef below = calc_choose(c, far, real_add(c, low, high), high);
    LLVMValueRef t = real_div(c, above, below), z = real_mul(c, t, t);
    LLVMValueRef r = real_fma(c, real_mul(c, t, z), REAL_POLYNOMIAL(c, z, atan_polynomial), t);
    return calc_choose(c, far, real_add(c, r, real_const(c, 0x1.921fb54442d18p-1)), r);
}

/* The angle of the point (v[1], v[0]): an eighth of a turn, unfolded. Infinity counts as 2^1000, to which each f32 is
 * nothing, and of (0, 0) the ratio is 0. */
LLVMValueRef element_atan2_f32(const Calc *c, LLVMValueRef *v) {
    Calc w = calc_as(c, DTYPE_F64);
    LLVMValueRef y = real_at_most(&w, calc_widen(&w, real_abs(c, v[0])), 0x1p1000);
    LLVMValueRef x = real_at_most(&w, calc_widen(&w, real_abs(c, v[1])), 0x1p1000);
    LLVMValueRef steep = real_compare(&w, LLVMRealOGT, y, x);
    LLVMValueRef low = calc_choose(&w, steep, x, y), high = calc_choose(&w, steep, y, x);
    high = calc_choose(&w, real_is(&w, LLVMRealOEQ, high, 0), real_const(&w, 1), high);
    LLVMValueRef r = atan_ratio(&w, low, high);
    r = calc_choose(&w, steep, real_sub(&w, real_const(&w, 0x1.921fb54442d18p0), r), r);
    LLVMValueRef behind = LLVMBuildICmp(c->e->at, LLVMIntSLT, bits_of(c, v[1]), bits_const(c, 0), "");
    r = calc_choose(&w, behind, real_sub(&w, real_const(&w, 0x1.921fb54442d18p1), r), r);
    return real_copysign(c, calc_narrow(c, r), v[0]);
}

/* -------------------------------------------------------------------- remainder */

/* a - b trunc(a / b), exactly: for a and b of 24 bits and a quotient below 2^28 the f64 quotient has the
 * right whole part and its product with b fits f64. */
static LLVMValueRef take_multiples(const Calc *c, LLVMValueRef a, LLVMValueRef b) {
    LLVMValueRef quotient = calc_unary(c, "llvm.trunc", real_div(c, a, b));
    return real_sub(c, a, real_mul(c, quotient, b));
}

/* Brings finite a >= 2^28 b > 0 below 2^28 b by taking off multiples of b 2^n, n chosen so that the
 * quotient is about 2^27; what stays is again a multiple of b's last place. The quotient is below 2^277. */
static LLVMValueRef bring_down(const Calc *c, LLVMValueRef start, LLVMValueRef b) {
    enum { STEPS = 10, BITS = 27 };
    const int64_t exponent_mask = 0x7ff0000000000000;
    Emit *e = c->e;
    LLVMValueRef left = emit_variable(e, calc_type(c), "left");
    emit_set(e, left, start);
    LLVMValueRef limit = real_mul(c, b, real_const(c, 0x1p28));
    LLVMValueRef possible = calc_both(c, real_is(c, LLVMRealOGT, b, 0), real_is(c, LLVMRealOLT, start, INFINITY));
    LLVMValueRef far = calc_both(c, possible, real_compare(c, LLVMRealOGE, start, limit));
    EmitIf branch = emit_if_begin(e, calc_any(c, far));
    EmitLoop loop = emit_loop_begin(e, emit_i64(e, 0), emit_i64(e, STEPS), emit_i64(e, 1), "remainder");
    LLVMValueRef a = emit_get(e, calc_type(c), left);
    LLVMValueRef up = bits_sub(c, bits_and(c, bits_of(c, a), exponent_mask), bits_and(c, bits_of(c, b), exponent_mask));
    up = bits_sub(c, up, bits_const(c, (int64_t)BITS << 52));
    LLVMValueRef next = take_multiples(c, a, real_of(c, bits_add(c, bits_of(c, b), up)));
    LLVMValueRef again = calc_both(c, possible, real_compare(c, LLVMRealOGE, a, limit));
    emit_set(e, left, calc_choose(c, again, next, a));
    emit_loop_end(e, &loop);
    emit_if_end(e, &branch);
    return emit_get(e, calc_type(c), left);
}

LLVMValueRef element_remainder_f32(const Calc *c, LLVMValueRef *x) {
    Calc w = calc_as(c, DTYPE_F64);
    LLVMValueRef a = calc_widen(&w, real_abs(c, x[0])), b = calc_widen(&w, real_abs(c, x[1]));
    LLVMValueRef r = take_multiples(&w, bring_down(&w, a, b), b);
    r = calc_choose(&w, real_compare(&w, LLVMRealOLT, a, b), a, r);   /* also for infinite b */
    return real_copysign(c, calc_narrow(c, r), x[0]);
}
