/* Element functions, as the table of element.c refers to them. Each emits LLVM instructions for c->lanes
 * lanes; x holds the operands. What they compute is elementwise.def's reference expression. */
#ifndef DLCC_CODEGEN_ELEMENT_H
#define DLCC_CODEGEN_ELEMENT_H

#include "codegen/calc.h"

typedef LLVMValueRef ElementFn(const Calc *c, LLVMValueRef *x);

/* element_f32.c: in f32 throughout */
ElementFn element_exp_f32, element_log_f32, element_tanh_f32, element_erf_f32, element_logistic_f32;
/* element_wide.c: of f32, computed in f64 */
ElementFn element_expm1_f32, element_log1p_f32, element_log2_f32, element_sin_f32, element_cos_f32, element_tan_f32,
    element_atan2_f32, element_power_f32, element_remainder_f32;
/* element_int.c */
ElementFn element_divide_int, element_remainder_int, element_shift_left, element_shift_right, element_abs_int;
LLVMValueRef element_random_bits(const Calc *c, LLVMValueRef *x, uint64_t site, int word);
/* element_convert.c */
LLVMValueRef element_convert(const Calc *c, DType to, LLVMValueRef x);

/* log(u) for u in 0 .. inf is `r`; elsewhere what the logarithm is there. */
LLVMValueRef element_log_edges(const Calc *c, LLVMValueRef u, LLVMValueRef r);

#endif
