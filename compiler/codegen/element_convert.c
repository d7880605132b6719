/* Conversions between element types.
 *
 * Float to integer goes towards zero, saturates and takes NaN to 0; integer to integer keeps the low bits;
 * to bool is "differs from 0"; to a narrower float rounds to nearest even, once. f16 and bf16 are held as their bits,
 * in integers of 16: LLVM's own types of that width become calls of routines that are in neither libc nor libm where
 * the processor lacks them. So bf16 is converted with integer instructions, and f16 too where there is no
 * instruction for it. */
#include "codegen/element.h"

#include "dlrt.h"

static LLVMTypeRef vector_of(const Calc *c, DType t) { return emit_vector(c->e, emit_type(c->e, t), c->lanes); }
static bool is_unsigned(DType t) { return t == DTYPE_U8 || t == DTYPE_BOOL; }

static LLVMValueRef widen_bf16(const Calc *c, LLVMValueRef x) {
    Calc f32 = calc_as(c, DTYPE_F32);
    LLVMValueRef bits = LLVMBuildZExt(c->e->at, bits_of(c, x), calc_bits_type(&f32), "");
    return real_of(&f32, bits_up(&f32, bits, 16));
}

/* Adds just under half a last place, or exactly half if the last bit is odd; NaN stays NaN. */
static LLVMValueRef narrow_bf16(const Calc *c, LLVMValueRef x) {
    Calc to = calc_as(c, DTYPE_BF16);
    LLVMValueRef bits = bits_of(c, x), odd = bits_and(c, bits_down(c, bits, 16), 1);
    LLVMValueRef rounded = bits_add(c, bits_add(c, bits, bits_const(c, 0x7fff)), odd);
    LLVMValueRef quiet = LLVMBuildOr(c->e->at, bits, bits_const(c, 0x400000), "");
    rounded = calc_choose(c, real_compare(c, LLVMRealUNO, x, x), quiet, rounded);
    return LLVMBuildTrunc(c->e->at, bits_down(c, rounded, 16), calc_bits_type(&to), "");
}

static bool has_f16(const Calc *c) { return c->e->target->cpu_features & (DLRT_CPU_F16C | DLRT_CPU_NEON); }

static LLVMTypeRef half_type(const Calc *c) { return emit_vector(c->e, c->e->f16, c->lanes); }

/* x: bits of f16; c: of f32. Exponent and significand moved into place give 2^-112 times the number, subnormal ones
 * included; infinity and NaN keep the greatest exponent. */
static LLVMValueRef widen_f16(const Calc *c, LLVMValueRef x) {
    LLVMBuilderRef at = c->e->at;
    if (has_f16(c)) return LLVMBuildFPExt(at, LLVMBuildBitCast(at, x, half_type(c), ""), calc_type(c), "");
    LLVMValueRef bits = LLVMBuildZExt(at, x, calc_bits_type(c), "");
    LLVMValueRef size = bits_up(c, bits_and(c, bits, 0x7fff), 13), sign = bits_up(c, bits_and(c, bits, 0x8000), 16);
    LLVMValueRef number = bits_of(c, real_mul(c, real_of(c, size), real_const(c, 0x1p112)));
    LLVMValueRef special = LLVMBuildICmp(at, LLVMIntUGE, size, bits_const(c, 0x7c00 << 13), "");
    number = calc_choose(c, special, LLVMBuildOr(at, size, bits_const(c, 0x7f800000), ""), number);
    return real_of(c, LLVMBuildOr(at, number, sign, ""));
}

/* From f32 to the bits of f16. Below 2^-14 the sum with 1/2 is rounded where f16's last place is; else as bf16. */
static LLVMValueRef narrow_f16(const Calc *c, LLVMValueRef x) {
    enum { HALF = 0x3f000000, LEAST_NORMAL = 113 << 23, INF = 0x7c00 };
    Calc to = calc_as(c, DTYPE_F16);
    LLVMBuilderRef at = c->e->at;
    LLVMTypeRef type = calc_bits_type(&to);
    if (has_f16(c)) return LLVMBuildBitCast(at, LLVMBuildFPTrunc(at, x, half_type(c), ""), type, "");
    LLVMValueRef a = real_abs(c, x), bits = bits_of(c, a), odd = bits_and(c, bits_down(c, bits, 13), 1);
    LLVMValueRef small = bits_sub(c, bits_of(c, real_add(c, a, real_const(c, 0.5))), bits_const(c, HALF));
    LLVMValueRef rounded = bits_add(c, bits_add(c, bits, bits_const(c, 0xfff - (112 << 23))), odd);
    LLVMValueRef is_small = LLVMBuildICmp(at, LLVMIntULT, bits, bits_const(c, LEAST_NORMAL), "");
    LLVMValueRef r = calc_choose(c, is_small, small, bits_down(c, rounded, 13));
    r = calc_choose(c, real_is(c, LLVMRealOGE, a, 65520), bits_const(c, INF), r);
    LLVMValueRef nan = LLVMBuildOr(at, bits_and(c, bits_down(c, bits, 13), 0x3ff), bits_const(c, INF | 0x200), "");
    r = calc_choose(c, real_compare(c, LLVMRealUNO, x, x), nan, r);
    LLVMValueRef sign = bits_and(c, bits_down(c, bits_of(c, x), 16), 0x8000);
    return LLVMBuildTrunc(at, LLVMBuildOr(at, r, sign, ""), type, "");
}

/* f64 to f32 so that rounding the result to a type of half the width rounds as f64 would be: towards zero, the last
 * bit set if anything was lost. */
static LLVMValueRef narrow_to_odd(const Calc *c, LLVMValueRef x) {
    Calc f32 = calc_as(c, DTYPE_F32);
    LLVMValueRef y = calc_narrow(&f32, x), back = calc_widen(c, y), bits = bits_of(&f32, y);
    LLVMValueRef beyond = real_compare(c, LLVMRealOGT, real_abs(c, back), real_abs(c, x));
    LLVMValueRef lost = real_compare(c, LLVMRealONE, back, x), one = bits_const(&f32, 1);
    bits = calc_choose(c, beyond, bits_sub(&f32, bits, one), bits);
    return real_of(&f32, calc_choose(c, lost, LLVMBuildOr(c->e->at, bits, one, ""), bits));
}

static bool is_half(DType t) { return t == DTYPE_F16 || t == DTYPE_BF16; }

static LLVMValueRef float_to_float(const Calc *c, DType to, LLVMValueRef x) {
    Calc f32 = calc_as(c, DTYPE_F32);
    if (c->t == to) return x;
    if (is_half(c->t)) {
        LLVMValueRef wide = c->t == DTYPE_F16 ? widen_f16(&f32, x) : widen_bf16(c, x);
        return element_convert(&f32, to, wide);
    }
    if (is_half(to)) {
        if (c->t == DTYPE_F64) x = narrow_to_odd(c, x);
        return to == DTYPE_F16 ? narrow_f16(&f32, x) : narrow_bf16(&f32, x);
    }
    return LLVMBuildFPCast(c->e->at, x, vector_of(c, to), "");
}

static LLVMValueRef float_to_int(const Calc *c, DType to, LLVMValueRef x) {
    if (is_half(c->t)) {
        Calc f32 = calc_as(c, DTYPE_F32);
        return float_to_int(&f32, to, float_to_float(c, DTYPE_F32, x));
    }
    if (to == DTYPE_BOOL) return real_is(c, LLVMRealUNE, x, 0);
    LLVMTypeRef overload[] = {vector_of(c, to), LLVMTypeOf(x)};
    return emit_intrinsic(c->e, is_unsigned(to) ? "llvm.fptoui.sat" : "llvm.fptosi.sat", overload, 2, &x, 1);
}

static LLVMValueRef int_to_float(const Calc *c, DType to, LLVMValueRef x) {
    if (is_half(to)) {
        Calc wide = calc_as(c, dtype_bytes(c->t) < 2 ? DTYPE_F32 : DTYPE_F64);   /* exact to 2^53 */
        return float_to_float(&wide, to, int_to_float(c, wide.t, x));
    }
    if (is_unsigned(c->t)) return LLVMBuildUIToFP(c->e->at, x, vector_of(c, to), "");
    return LLVMBuildSIToFP(c->e->at, x, vector_of(c, to), "");
}

LLVMValueRef element_convert(const Calc *c, DType to, LLVMValueRef x) {
    if (c->t == to) return x;
    if (dtype_is_float(c->t)) return dtype_is_float(to) ? float_to_float(c, to, x) : float_to_int(c, to, x);
    if (dtype_is_float(to)) return int_to_float(c, to, x);
    if (to == DTYPE_BOOL) return LLVMBuildICmp(c->e->at, LLVMIntNE, x, LLVMConstNull(LLVMTypeOf(x)), "");
    return LLVMBuildIntCast2(c->e->at, x, vector_of(c, to), !is_unsigned(c->t), "");
}
