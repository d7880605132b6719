/* Calc: short names for the instructions that element functions are written with.
 *
 * In: values of c->lanes lanes. Out: LLVM instructions at c->e->at. real_ works on floats of type c->t,
 * bits_ on integers as wide as they, which is how floats are taken apart. No instruction carries a fast-math
 * flag: what is written here is what is rounded. */
#ifndef DLCC_CODEGEN_CALC_H
#define DLCC_CODEGEN_CALC_H

#include "codegen/emit.h"

typedef struct Calc {
    Emit *e;
    DType t;                   /* of the values */
    int lanes;
} Calc;

/* The type of the values; of integers as wide. */
LLVMTypeRef calc_type(const Calc *c);
LLVMTypeRef calc_bits_type(const Calc *c);

static inline LLVMValueRef real_const(const Calc *c, double x) { return emit_const(c->e, c->t, c->lanes, x); }
static inline LLVMValueRef real_add(const Calc *c, LLVMValueRef a, LLVMValueRef b) {
    return LLVMBuildFAdd(c->e->at, a, b, "");
}
static inline LLVMValueRef real_sub(const Calc *c, LLVMValueRef a, LLVMValueRef b) {
    return LLVMBuildFSub(c->e->at, a, b, "");
}
static inline LLVMValueRef real_mul(const Calc *c, LLVMValueRef a, LLVMValueRef b) {
    return LLVMBuildFMul(c->e->at, a, b, "");
}
static inline LLVMValueRef real_div(const Calc *c, LLVMValueRef a, LLVMValueRef b) {
    return LLVMBuildFDiv(c->e->at, a, b, "");
}
static inline LLVMValueRef real_neg(const Calc *c, LLVMValueRef a) { return LLVMBuildFNeg(c->e->at, a, ""); }
/* x * y + z, rounded once where the target can (emit_fma). */
static inline LLVMValueRef real_fma(const Calc *c, LLVMValueRef x, LLVMValueRef y, LLVMValueRef z) {
    return emit_fma(c->e, x, y, z);
}
/* x * y + z of f32, rounded once on any target (or, where it has to go by way of f64, nearly). For the few
 * places whose accuracy rests on it; slow on targets without the instruction. */
LLVMValueRef real_fused(const Calc *c, LLVMValueRef x, LLVMValueRef y, LLVMValueRef z);

/* Intrinsics of one and of two operands: "llvm.sqrt", "llvm.copysign". */
LLVMValueRef calc_unary(const Calc *c, const char *intrinsic, LLVMValueRef x);
LLVMValueRef calc_binary(const Calc *c, const char *intrinsic, LLVMValueRef x, LLVMValueRef y);
static inline LLVMValueRef real_abs(const Calc *c, LLVMValueRef x) { return calc_unary(c, "llvm.fabs", x); }
/* |x| with the sign of y. */
static inline LLVMValueRef real_copysign(const Calc *c, LLVMValueRef x, LLVMValueRef y) {
    return calc_binary(c, "llvm.copysign", x, y);
}

/* Comparisons give lanes of i1; choose takes them. */
static inline LLVMValueRef real_compare(const Calc *c, LLVMRealPredicate p, LLVMValueRef a, LLVMValueRef b) {
    return LLVMBuildFCmp(c->e->at, p, a, b, "");
}
static inline LLVMValueRef real_is(const Calc *c, LLVMRealPredicate p, LLVMValueRef a, double b) {
    return real_compare(c, p, a, real_const(c, b));
}
static inline LLVMValueRef calc_choose(const Calc *c, LLVMValueRef condition, LLVMValueRef a, LLVMValueRef b) {
    return LLVMBuildSelect(c->e->at, condition, a, b, "");
}
static inline LLVMValueRef calc_both(const Calc *c, LLVMValueRef a, LLVMValueRef b) {
    return LLVMBuildAnd(c->e->at, a, b, "");
}
static inline LLVMValueRef calc_either(const Calc *c, LLVMValueRef a, LLVMValueRef b) {
    return LLVMBuildOr(c->e->at, a, b, "");
}
/* One i1: whether any lane of a condition holds. */
LLVMValueRef calc_any(const Calc *c, LLVMValueRef condition);

/* x, but not above `most` (not below `least`); NaN stays. One instruction on x86. */
static inline LLVMValueRef real_at_most(const Calc *c, LLVMValueRef x, double most) {
    return calc_choose(c, real_is(c, LLVMRealOGT, x, most), real_const(c, most), x);
}
static inline LLVMValueRef real_at_least(const Calc *c, LLVMValueRef x, double least) {
    return calc_choose(c, real_is(c, LLVMRealOLT, x, least), real_const(c, least), x);
}

/* k[0] + k[1] x + ... by Horner's rule. */
LLVMValueRef real_polynomial(const Calc *c, LLVMValueRef x, const double *k, int n);
#define REAL_POLYNOMIAL(c, x, k) real_polynomial(c, x, k, (int)(sizeof(k) / sizeof *(k)))

static inline LLVMValueRef bits_of(const Calc *c, LLVMValueRef x) {
    return LLVMBuildBitCast(c->e->at, x, calc_bits_type(c), "");
}
static inline LLVMValueRef real_of(const Calc *c, LLVMValueRef bits) {
    return LLVMBuildBitCast(c->e->at, bits, calc_type(c), "");
}
LLVMValueRef bits_const(const Calc *c, int64_t x);
static inline LLVMValueRef bits_add(const Calc *c, LLVMValueRef a, LLVMValueRef b) {
    return LLVMBuildAdd(c->e->at, a, b, "");
}
static inline LLVMValueRef bits_sub(const Calc *c, LLVMValueRef a, LLVMValueRef b) {
    return LLVMBuildSub(c->e->at, a, b, "");
}
static inline LLVMValueRef bits_and(const Calc *c, LLVMValueRef a, int64_t b) {
    return LLVMBuildAnd(c->e->at, a, bits_const(c, b), "");
}
static inline LLVMValueRef bits_up(const Calc *c, LLVMValueRef a, int n) {
    return LLVMBuildShl(c->e->at, a, bits_const(c, n), "");
}
/* Copies of the sign come in from above. */
static inline LLVMValueRef bits_down(const Calc *c, LLVMValueRef a, int n) {
    return LLVMBuildAShr(c->e->at, a, bits_const(c, n), "");
}

/* Between f32 and f64. */
static inline Calc calc_as(const Calc *c, DType t) { return (Calc){c->e, t, c->lanes}; }
static inline LLVMValueRef calc_widen(const Calc *to, LLVMValueRef x) {
    return LLVMBuildFPExt(to->e->at, x, calc_type(to), "");
}
static inline LLVMValueRef calc_narrow(const Calc *to, LLVMValueRef x) {
    return LLVMBuildFPTrunc(to->e->at, x, calc_type(to), "");
}

/* The integer next to x * factor (within 2^22 in f32, 2^51 in f64) as a float, and in the low bits of an
 * integer. */
typedef struct Nearest {
    LLVMValueRef real, bits;
} Nearest;
Nearest real_nearest(const Calc *c, LLVMValueRef x, double factor);

#endif
