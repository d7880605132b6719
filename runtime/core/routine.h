/* routine.h - what the routines that generated code calls share: their arguments, and the order of elements.
 *
 * A routine works on rows begin .. end-1 of its operands, allocates nothing, and writes only results and its own
 * worker's scratch; so threads may share the rows out as they like and the bits stay the same. */
#ifndef DLRT_ROUTINE_H
#define DLRT_ROUTINE_H

#include "core.h"

/* An operand or result, as dlrt.h describes it. `data` is its first element, null for a result nobody wants. */
typedef struct RoutineTensor {
    unsigned char *data;
    int32_t dtype, rank;
    int64_t size;              /* bytes of an element */
    const int64_t *shape, *strides;
} RoutineTensor;

/* Reads the list from its begin. Tensors are taken in their order, operands first, then attributes. */
typedef struct RoutineArgs {
    const int64_t *next, *pointers;
    int64_t operands, results, wanted;
    int64_t taken;             /* results so far */
} RoutineArgs;

RoutineArgs dlrt_routine_args(const void *kernel_args);
RoutineTensor dlrt_routine_operand(RoutineArgs *a);
RoutineTensor dlrt_routine_result(RoutineArgs *a);
int64_t dlrt_routine_int(RoutineArgs *a);
double dlrt_routine_float(RoutineArgs *a);

/* The byte offset in t of row `row`, where rows run along `axis` and are counted over the other axes of `shape` in
 * row-major order. The shape may be another tensor's, equal but for the axis. */
int64_t dlrt_row_offset(const RoutineTensor *t, int64_t axis, int64_t row);

/* An element's place in the order, and its position along the row. Keys of equal elements are equal. */
typedef struct OrderPair {
    uint64_t key;
    int64_t index;
} OrderPair;

/* The key of an element of type `dtype`, of 8 * (bytes of the type) bits: less for what comes first. -0 is 0, NaNs are
 * equal and greater than everything; `descending` turns the order around. */
uint64_t dlrt_order_key(int32_t dtype, const void *element, bool descending);
/* Sorts n pairs by key alone, equal ones as they were; keys have `bytes` bytes. Returns where they are: in `pairs` or
 * in `spare`, which has room for n too. */
OrderPair *dlrt_order(OrderPair *pairs, OrderPair *spare, int64_t n, int64_t bytes);

static inline void dlrt_copy_element(void *to, const void *from, int64_t size) {
    if (size == 8) __builtin_memcpy(to, from, 8);
    else if (size == 4) __builtin_memcpy(to, from, 4);
    else if (size == 2) __builtin_memcpy(to, from, 2);
    else __builtin_memcpy(to, from, 1);
}

#endif
