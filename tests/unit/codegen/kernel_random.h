/* Random LOOPS kernels as text, with the sizes and buffers to call them with. */
#ifndef DLCC_TESTS_KERNEL_RANDOM_H
#define DLCC_TESTS_KERNEL_RANDOM_H

#include "base/text.h"
#include "ir/type.h"

enum { CASE_BUFS = 12, CASE_AXES = 6 };

typedef struct CaseBuf {
    DType dtype;
    int64_t count;             /* elements, for the case's sizes */
    int64_t below;             /* an index: its values are 0 .. below-1; else 0 */
} CaseBuf;

/* A kernel in the text, by number, and one call of it. */
typedef struct KernelCase {
    CaseBuf bufs[CASE_BUFS];
    int buf_count;
    int64_t sizes[CASE_AXES];  /* values of the kernel's sizes, in order */
    int size_count;
    int axes, outer;
    int vector, lanes, unroll; /* the schedule */
    int64_t chunk;
    bool keep_rows;
    double tolerance;
} KernelCase;

/* splitmix64 */
uint64_t random_next(uint64_t *state);
int64_t random_below(uint64_t *state, int64_t n);

/* Appends the sizes of kernel `number` to `sizes` and the kernel to `kernels`. */
KernelCase kernel_random(uint64_t *state, int number, Text *sizes, Text *kernels);

#endif
