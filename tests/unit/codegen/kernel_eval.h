/* LOOPS kernels evaluated as obviously as possible: loops over points, one after the other, wide numbers. */
#ifndef DLCC_TESTS_KERNEL_EVAL_H
#define DLCC_TESTS_KERNEL_EVAL_H

#include "ir/kernel.h"
#include "ops/eval.h"

typedef struct EvalBuf {
    Number *at;
    int64_t count;
} EvalBuf;

/* Runs the kernel on wide buffers; `sizes` by kernel symbol id. Returns null, or what is wrong: an access
 * outside of its buffer. Float maps are rounded to their node's type, sums are not. */
const char *kernel_eval(Arena *arena, const DimTable *dims, const Kernel *k, EvalBuf *bufs, const int64_t *sizes);

#endif
