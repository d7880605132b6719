/* Conversions between element types.
 *
 * Float to integer goes towards zero, saturates and takes NaN to 0; integer to integer keeps the low bits;
 * to bool is "differs from 0"; to a narrower float rounds to nearest even. bf16 is converted with integer
 * instructions, as on most processors LLVM would call a routine that is in neither libc nor libm. */
#include "codegen/element.h"

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
    return real_of(&to, LLVMBuildTrunc(c->e->at, bits_down(c, rounded, 16), calc_bits_type(&to), ""));
}

static LLVMValueRef float_to_float(const Calc *c, DType to, LLVMValueRef x) {
    Calc f32 = calc_as(c, DTYPE_F32);
    if (c->t == to) return x;
    if (c->t == DTYPE_BF16) return element_convert(&f32, to, widen_bf16(c, x));
    if (to == DTYPE_BF16)
        return narrow_bf16(&f32, c->t == DTYPE_F32 ? x : element_convert(c, DTYPE_F32, x));
    /* Between f64 and f16 by way of f32, for the same reason as bf16. */
    if (c->t == DTYPE_F64 && to == DTYPE_F16) return element_convert(&f32, to, element_convert(c, DTYPE_F32, x));
    return LLVMBuildFPCast(c->e->at, x, vector_of(c, to), "");
}

static LLVMValueRef float_to_int(const Calc *c, DType to, LLVMValueRef x) {
    if (c->t == DTYPE_F16 || c->t == DTYPE_BF16) {
        Calc f32 = calc_as(c, DTYPE_F32);
        return float_to_int(&f32, to, float_to_float(c, DTYPE_F32, x));
    }
    if (to == DTYPE_BOOL) return real_is(c, LLVMRealUNE, x, 0);
    LLVMTypeRef overload[] = {vector_of(c, to), LLVMTypeOf(x)};
    return emit_intrinsic(c->e, is_unsigned(to) ? "llvm.fptoui.sat" : "llvm.fptosi.sat", overload, 2, &x, 1);
}

static LLVMValueRef int_to_float(const Calc *c, DType to, LLVMValueRef x) {
    Calc f32 = calc_as(c, DTYPE_F32);
    if (to == DTYPE_F16 || to == DTYPE_BF16) return float_to_float(&f32, to, int_to_float(c, DTYPE_F32, x));
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
