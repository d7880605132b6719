/* Calc: see calc.h. */
#include "codegen/calc.h"

#include "dlrt.h"

LLVMTypeRef calc_type(const Calc *c) { return emit_vector(c->e, emit_type(c->e, c->t), c->lanes); }

static LLVMTypeRef bits_element(const Calc *c) {
    return LLVMIntTypeInContext(c->e->context, 8 * (unsigned)dtype_bytes(c->t));
}

LLVMTypeRef calc_bits_type(const Calc *c) { return emit_vector(c->e, bits_element(c), c->lanes); }

LLVMValueRef bits_const(const Calc *c, int64_t x) {
    return emit_splat(c->e, LLVMConstInt(bits_element(c), (unsigned long long)x, true), c->lanes);
}

LLVMValueRef calc_unary(const Calc *c, const char *intrinsic, LLVMValueRef x) {
    LLVMTypeRef type = LLVMTypeOf(x);
    return emit_intrinsic(c->e, intrinsic, &type, 1, &x, 1);
}

LLVMValueRef calc_binary(const Calc *c, const char *intrinsic, LLVMValueRef x, LLVMValueRef y) {
    LLVMTypeRef type = LLVMTypeOf(x);
    return emit_intrinsic(c->e, intrinsic, &type, 1, (LLVMValueRef[]){x, y}, 2);
}

LLVMValueRef real_fused(const Calc *c, LLVMValueRef x, LLVMValueRef y, LLVMValueRef z) {
    if (c->e->target->cpu_features & (DLRT_CPU_FMA | DLRT_CPU_NEON)) return real_fma(c, x, y, z);
    Calc wide = calc_as(c, DTYPE_F64);
    LLVMValueRef product = real_mul(&wide, calc_widen(&wide, x), calc_widen(&wide, y));
    return calc_narrow(c, real_add(&wide, product, calc_widen(&wide, z)));
}

LLVMValueRef calc_any(const Calc *c, LLVMValueRef condition) {
    if (c->lanes == 1) return condition;
    LLVMTypeRef word = LLVMIntTypeInContext(c->e->context, (unsigned)c->lanes);
    LLVMValueRef bits = LLVMBuildBitCast(c->e->at, condition, word, "");
    return LLVMBuildICmp(c->e->at, LLVMIntNE, bits, LLVMConstNull(word), "");
}

LLVMValueRef real_polynomial(const Calc *c, LLVMValueRef x, const double *k, int n) {
    LLVMValueRef sum = real_const(c, k[n - 1]);
    for (int i = n - 2; i >= 0; i--) sum = real_fma(c, sum, x, real_const(c, k[i]));
    return sum;
}

/* Adding 1.5 * 2^(bits of the significand - 1) leaves no bits for a fraction. */
Nearest real_nearest(const Calc *c, LLVMValueRef x, double factor) {
    LLVMValueRef shift = real_const(c, c->t == DTYPE_F32 ? 0x1.8p23 : 0x1.8p52);
    LLVMValueRef sum = real_fma(c, x, real_const(c, factor), shift);
    return (Nearest){.real = real_sub(c, sum, shift), .bits = bits_of(c, sum)};
}
