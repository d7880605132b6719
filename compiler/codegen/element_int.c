/* Element functions of integers for which LLVM's instructions leave cases undefined, and random bits.
 *
 * Everything is defined, as elementwise.def says: x / 0 is -1, x % 0 is x, least / -1 is least, shifts out
 * of range give 0. The instructions get operands for which they are defined; the result is chosen after. */
#include "codegen/element.h"

static LLVMValueRef int_const(const Calc *c, int64_t x) {
    return emit_splat(c->e, LLVMConstInt(emit_type(c->e, c->t), (unsigned long long)x, true), c->lanes);
}

static LLVMValueRef is_int(const Calc *c, LLVMValueRef x, int64_t y) {
    return LLVMBuildICmp(c->e->at, LLVMIntEQ, x, int_const(c, y), "");
}

/* A divisor of 0 and, for signed types, of -1 (where least / -1 overflows) becomes 1. */
static LLVMValueRef safe_divisor(const Calc *c, LLVMValueRef y) {
    LLVMValueRef bad = is_int(c, y, 0);
    if (c->t != DTYPE_U8) bad = calc_either(c, bad, is_int(c, y, -1));
    return calc_choose(c, bad, int_const(c, 1), y);
}

LLVMValueRef element_divide_int(const Calc *c, LLVMValueRef *x) {
    LLVMBuilderRef at = c->e->at;
    LLVMValueRef y = safe_divisor(c, x[1]), q;
    if (c->t == DTYPE_U8) {
        q = LLVMBuildUDiv(at, x[0], y, "");
    } else {
        q = LLVMBuildSDiv(at, x[0], y, "");
        q = calc_choose(c, is_int(c, x[1], -1), LLVMBuildNeg(at, x[0], ""), q);
    }
    return calc_choose(c, is_int(c, x[1], 0), int_const(c, -1), q);
}

LLVMValueRef element_remainder_int(const Calc *c, LLVMValueRef *x) {
    LLVMValueRef y = safe_divisor(c, x[1]);
    LLVMValueRef r = c->t == DTYPE_U8 ? LLVMBuildURem(c->e->at, x[0], y, "") : LLVMBuildSRem(c->e->at, x[0], y, "");
    return calc_choose(c, is_int(c, x[1], 0), x[0], r);
}

/* shifted where 0 <= by < width, else 0; by as unsigned. */
static LLVMValueRef in_range(const Calc *c, LLVMValueRef by, LLVMValueRef shifted) {
    LLVMValueRef width = int_const(c, 8 * dtype_bytes(c->t));
    return calc_choose(c, LLVMBuildICmp(c->e->at, LLVMIntULT, by, width, ""), shifted, int_const(c, 0));
}

LLVMValueRef element_shift_left(const Calc *c, LLVMValueRef *x) {
    return in_range(c, x[1], LLVMBuildShl(c->e->at, x[0], x[1], ""));
}

LLVMValueRef element_shift_right(const Calc *c, LLVMValueRef *x) {
    return in_range(c, x[1], LLVMBuildLShr(c->e->at, x[0], x[1], ""));
}

/* The least integer stays. */
LLVMValueRef element_abs_int(const Calc *c, LLVMValueRef *x) {
    if (c->t == DTYPE_U8) return x[0];
    LLVMTypeRef type = LLVMTypeOf(x[0]);
    LLVMValueRef poison_at_least = LLVMConstInt(c->e->i1, 0, false);
    return emit_intrinsic(c->e, "llvm.abs", &type, 1, (LLVMValueRef[]){x[0], poison_at_least}, 2);
}

/* ------------------------------------------------------------------- random bits */

/* The 32-bit halves of i64 lanes. */
static LLVMValueRef half_of(const Calc *c, LLVMValueRef x, bool high) {
    LLVMTypeRef half = emit_vector(c->e, c->e->i32, c->lanes);
    if (high) x = LLVMBuildLShr(c->e->at, x, int_const(c, 32), "");
    return LLVMBuildTrunc(c->e->at, x, half, "");
}

/* All 64 bits of the product of 32-bit x and k. */
static LLVMValueRef wide_product(const Calc *c, LLVMValueRef x, uint32_t k) {
    LLVMValueRef wide = LLVMBuildZExt(c->e->at, x, emit_vector(c->e, c->e->i64, c->lanes), "");
    return LLVMBuildMul(c->e->at, wide, int_const(c, k), "");
}

static LLVMValueRef add_constant(const Calc *c, LLVMValueRef x, uint32_t k) {
    return LLVMBuildAdd(c->e->at, x, emit_splat(c->e, emit_i32(c->e, (int32_t)k), c->lanes), "");
}

static LLVMValueRef xor3(const Calc *c, LLVMValueRef x, LLVMValueRef y, LLVMValueRef z) {
    return LLVMBuildXor(c->e->at, LLVMBuildXor(c->e->at, x, y, ""), z, "");
}

/* Philox4x32-10, as ops/philox.c; x: seed, count, index as i64. */
LLVMValueRef element_random_bits(const Calc *c, LLVMValueRef *x, uint64_t site, int word) {
    enum { ROUNDS = 10 };
    LLVMValueRef key = LLVMBuildXor(c->e->at, x[0], int_const(c, (int64_t)site), "");
    LLVMValueRef k0 = half_of(c, key, false), k1 = half_of(c, key, true);
    LLVMValueRef v[] = {half_of(c, x[2], false), half_of(c, x[2], true), half_of(c, x[1], false),
                        half_of(c, x[1], true)};
    for (int round = 0; round < ROUNDS; round++) {
        LLVMValueRef p0 = wide_product(c, v[0], 0xD2511F53u), p1 = wide_product(c, v[2], 0xCD9E8D57u);
        v[0] = xor3(c, half_of(c, p1, true), v[1], k0);
        v[2] = xor3(c, half_of(c, p0, true), v[3], k1);
        v[1] = half_of(c, p1, false);
        v[3] = half_of(c, p0, false);
        k0 = add_constant(c, k0, 0x9E3779B9u);
        k1 = add_constant(c, k1, 0xBB67AE85u);
    }
    return v[word];
}
