/* Elementary functions of f32 in f32 arithmetic: exp, log, tanh, erf, logistic.
 *
 * In: any f32, NaN, infinities and subnormals included. Out: within 1 ULP, measured over all 2^32 inputs
 * by tests/sweep. They cost a dozen or two instructions a vector, without branches, calls or tables.
 *
 * Polynomials are minimax fits, found by tests/sweep/minimax.py (least squares at Chebyshev points, weights
 * raised by the error until it is level), their coefficients rounded to f32 one after the other, each time
 * fitting the rest anew. The errors stated are those of the rounded ones. */
#include "codegen/element.h"

#include <math.h>

/* ------------------------------------------------------------------------- exp */

/* e^x = 2^n (1 + u), u in -0.293 .. 0.415. */
typedef struct Exponential {
    LLVMValueRef u, n, bits;   /* n as a float, and in the low bits of an integer */
} Exponential;

#define LN2_HIGH 0x1.62e4p-1   /* 15 bits, so that its multiples up to 2^8 are exact */
#define LN2_LOW 0x1.7f7d1cp-20

/* (e^r - 1 - r) / r^2 for |r| <= ln 2 / 2; e^r is 2^-33.1 off. */
static const double exp_polynomial[] = {0x1p-1,        0x1.555556p-3,  0x1.5554e8p-5,
                                        0x1.110ffcp-7, 0x1.6d4cd4p-10, 0x1.a25508p-13};

/* For |x| < 2^8. */
static Exponential exponential(const Calc *c, LLVMValueRef x) {
    Nearest n = real_nearest(c, x, 0x1.715476p0);
    LLVMValueRef r = real_fma(c, n.real, real_const(c, -LN2_HIGH), x);
    r = real_fma(c, n.real, real_const(c, -LN2_LOW), r);
    LLVMValueRef q = REAL_POLYNOMIAL(c, r, exp_polynomial);
    return (Exponential){.u = real_fma(c, real_mul(c, r, r), q, r), .n = n.real, .bits = n.bits};
}

/* 2^n for n in -126 .. 127. */
static LLVMValueRef power_of_two(const Calc *c, LLVMValueRef n) {
    return real_of(c, bits_add(c, bits_up(c, n, 23), bits_const(c, 127 << 23)));
}

static LLVMValueRef scalef(const Calc *c, LLVMValueRef x, LLVMValueRef n) {
    enum { ROUND_AS_SET = 4 };
    LLVMValueRef args[] = {x, n, LLVMConstNull(LLVMTypeOf(x)), LLVMConstAllOnes(c->e->i16),
                           emit_i32(c->e, ROUND_AS_SET)};
    return emit_intrinsic(c->e, "llvm.x86.avx512.mask.scalef.ps.512", NULL, 0, args, 5);
}

/* x * 2^n, rounded once, for n in -252 .. 254. */
static LLVMValueRef scale(const Calc *c, LLVMValueRef x, LLVMValueRef n_real, LLVMValueRef n_bits) {
    if (c->e->target->scalef && c->lanes == 16) return scalef(c, x, n_real);
    /* The low bits are n; moving them up and down again drops the others. */
    LLVMValueRef n = bits_down(c, bits_up(c, n_bits, 16), 16), half = bits_down(c, n, 1);
    return real_mul(c, real_mul(c, x, power_of_two(c, half)), power_of_two(c, bits_sub(c, n, half)));
}

/* Below -104 the result rounds to 0, above 89 to infinity. */
LLVMValueRef element_exp_f32(const Calc *c, LLVMValueRef *x) {
    Exponential y = exponential(c, real_at_least(c, real_at_most(c, x[0], 89), -104));
    return scale(c, real_add(c, y.u, real_const(c, 1)), y.n, y.bits);
}

/* ------------------------------------------------------------------------- log */

/* (log(1 + f) - f + f^2 / 2) / f^3 for 1 + f in sqrt(1/2) .. sqrt(2); log(1 + f) is 2^-30.2 off. */
static const double log_polynomial[] = {0x1.555548p-2,  -0x1.000008p-2, 0x1.99a478p-3,  -0x1.555b8ep-3, 0x1.233af8p-3,
                                        -0x1.fc3dccp-4, 0x1.e6dc82p-4,  -0x1.dd9c0ep-4, 0x1.13c36cp-4};

LLVMValueRef element_log_edges(const Calc *c, LLVMValueRef u, LLVMValueRef r) {
    LLVMValueRef at_zero = calc_choose(c, real_is(c, LLVMRealOEQ, u, 0), real_const(c, -INFINITY), real_const(c, NAN));
    r = calc_choose(c, real_is(c, LLVMRealOGT, u, 0), r, at_zero);
    return calc_choose(c, real_is(c, LLVMRealOEQ, u, INFINITY), u, r);
}

/* x = 2^k (1 + f): log x = k ln 2 + log(1 + f). The first sum is kept with its error. */
LLVMValueRef element_log_f32(const Calc *c, LLVMValueRef *x) {
    enum { SQRT_HALF = 0x3f3504f3 };
    LLVMValueRef small = real_is(c, LLVMRealOLT, x[0], 0x1p-126);
    LLVMValueRef normal = calc_choose(c, small, real_mul(c, x[0], real_const(c, 0x1p23)), x[0]);
    LLVMValueRef extra = calc_choose(c, small, real_const(c, -23), real_const(c, 0));
    LLVMValueRef above = bits_sub(c, bits_of(c, normal), bits_const(c, SQRT_HALF));
    LLVMValueRef k = LLVMBuildSIToFP(c->e->at, bits_down(c, above, 23), calc_type(c), "");
    k = real_add(c, k, extra);
    LLVMValueRef m = real_of(c, bits_add(c, bits_and(c, above, 0x7fffff), bits_const(c, SQRT_HALF)));
    LLVMValueRef f = real_sub(c, m, real_const(c, 1));
    LLVMValueRef high = real_mul(c, k, real_const(c, LN2_HIGH)), sum = real_add(c, high, f);
    LLVMValueRef low = real_sub(c, f, real_sub(c, sum, high));
    low = real_fma(c, k, real_const(c, LN2_LOW), low);
    LLVMValueRef tail = real_fma(c, f, REAL_POLYNOMIAL(c, f, log_polynomial), real_const(c, -0.5));
    return element_log_edges(c, x[0], real_add(c, sum, real_fma(c, real_mul(c, f, f), tail, low)));
}

/* -------------------------------------------------------------------- logistic */

/* 1 / (1 + e^a) = 2^-n q, for a in 0 .. 2^7. */
typedef struct Logistic {
    LLVMValueRef q, n, bits, scale;  /* scale: 2^-n, or 0 if n > 126 */
} Logistic;

/* q = 1 / (2^-n + 1 + u): the denominator is kept with its error, which one step of Newton's method takes
 * into account; so q is right to 0.51 ULP. */
static Logistic logistic(const Calc *c, LLVMValueRef a) {
    Exponential y = exponential(c, a);
    LLVMValueRef one = real_const(c, 1);
    LLVMValueRef biased = bits_sub(c, bits_const(c, 127), bits_and(c, y.bits, 0xff));
    biased = calc_binary(c, "llvm.smax", biased, bits_const(c, 0));
    LLVMValueRef small = real_of(c, bits_up(c, biased, 23));
    LLVMValueRef sum = real_add(c, one, small), sum_low = real_sub(c, small, real_sub(c, sum, one));
    LLVMValueRef d = real_add(c, sum, y.u);
    LLVMValueRef d_low = real_add(c, real_add(c, real_sub(c, sum, d), y.u), sum_low);
    LLVMValueRef q = real_div(c, one, d), minus = real_neg(c, q);
    LLVMValueRef rest = real_fma(c, minus, d_low, real_fused(c, minus, d, one));
    return (Logistic){.q = real_fma(c, q, rest, q), .n = y.n, .bits = y.bits, .scale = small};
}

/* For x >= 0 as 1 - logistic(-x). */
LLVMValueRef element_logistic_f32(const Calc *c, LLVMValueRef *x) {
    Logistic y = logistic(c, real_at_most(c, real_abs(c, x[0]), 104));
    LLVMValueRef below = scale(c, y.q, real_neg(c, y.n), bits_sub(c, bits_const(c, 0), y.bits));
    return calc_choose(c, real_is(c, LLVMRealOLT, x[0], 0), below, real_sub(c, real_const(c, 1), below));
}

/* ------------------------------------------------------------------------ tanh */

/* (tanh x - x) / x^3 in x^2, |x| < 0.5625; tanh is 2^-29.4 off. */
static const double tanh_polynomial[] = {-0x1.555548p-2, 0x1.110c62p-3, -0x1.b906eap-5, 0x1.581e7ep-6,
                                         -0x1.94a92ep-8};

/* A polynomial near 0, else 1 - 2 / (1 + e^2|x|). From 10 on the result is 1. */
LLVMValueRef element_tanh_f32(const Calc *c, LLVMValueRef *x) {
    LLVMValueRef a = real_abs(c, x[0]), square = real_mul(c, a, a);
    LLVMValueRef odd = real_fma(c, real_mul(c, a, square), REAL_POLYNOMIAL(c, square, tanh_polynomial), a);
    Logistic y = logistic(c, real_mul(c, real_at_most(c, a, 10), real_const(c, 2)));
    LLVMValueRef twice = real_mul(c, y.scale, real_const(c, -2));
    LLVMValueRef far = real_fma(c, y.q, twice, real_const(c, 1));
    return real_copysign(c, calc_choose(c, real_is(c, LLVMRealOLT, a, 0.5625), odd, far), x[0]);
}

/* ------------------------------------------------------------------------- erf */

/* erf x / x - 1 in x^2, |x| < 1; erf is 2^-29.3 off. */
static const double erf_polynomial[] = {0x1.06eba8p-3, -0x1.81273ep-2, 0x1.ce2ceap-4, -0x1.b7f7b8p-6,
                                        0x1.53f9b8p-8, -0x1.a39b12p-11, 0x1.486a08p-14};
/* -log(1 - erf x) in x - ERF_FAR, up to x = 3.95; erf is 2^-29.5 off. Near 1 that argument is small, so the
 * rounding of the inner sums does not count; and there is a centre for which the first coefficient is, but for
 * 2^-28, an f32. */
#define ERF_FAR 0.9765625
static const double erfc_polynomial[] = {0x1.c9c89cp0,   0x1.4cbcecp1,  0x1.ae2976p-1, 0x1.5bd98ep-5,
                                         -0x1.4c5286p-7, 0x1.eb9f64p-10, -0x1.90b48ep-13};

/* x (1 + p(x^2)). The last three steps are rounded once on any target: without that 1 ULP is not kept. */
static LLVMValueRef erf_near_zero(const Calc *c, LLVMValueRef x) {
    LLVMValueRef z = real_mul(c, x, x);
    enum { N = (int)(sizeof erf_polynomial / sizeof *erf_polynomial) };
    LLVMValueRef inner = real_fused(c, z, real_polynomial(c, z, erf_polynomial + 2, N - 2), real_const(c, erf_polynomial[1]));
    return real_fused(c, x, real_fused(c, z, inner, real_const(c, erf_polynomial[0])), x);
}

/* A polynomial near 0, else 1 - e^-p(|x|). From 3.95 on the result is 1. */
LLVMValueRef element_erf_f32(const Calc *c, LLVMValueRef *x) {
    LLVMValueRef a = real_at_most(c, real_abs(c, x[0]), 3.95), one = real_const(c, 1);
    LLVMValueRef t = real_sub(c, a, real_const(c, ERF_FAR));
    Exponential y = exponential(c, real_neg(c, REAL_POLYNOMIAL(c, t, erfc_polynomial)));
    LLVMValueRef power = power_of_two(c, y.bits);
    LLVMValueRef far = real_sub(c, one, real_mul(c, power, real_add(c, y.u, one)));
    LLVMValueRef near_zero = real_is(c, LLVMRealOLT, a, ERF_FAR);
    return real_copysign(c, calc_choose(c, near_zero, erf_near_zero(c, a), far), x[0]);
}
