/* routine.c - the argument list of a routine: see routine.h and dlrt.h. */
#include "routine.h"
#include <string.h>

RoutineArgs dlrt_routine_args(const void *kernel_args) {
    const int64_t *list = kernel_args;
    return (RoutineArgs){list + 4, list + list[0], list[1], list[2], list[3], 0};
}

RoutineTensor dlrt_routine_operand(RoutineArgs *a) {
    const int64_t *d = a->next;
    RoutineTensor t = {.dtype = (int32_t)d[0], .rank = (int32_t)d[1], .shape = d + 2, .strides = d + 2 + d[1]};
    t.size = dlrt_dtype_bytes(t.dtype);
    memcpy(&t.data, a->pointers++, sizeof t.data);
    a->next = t.strides + t.rank;
    return t;
}

RoutineTensor dlrt_routine_result(RoutineArgs *a) {
    bool wanted = a->wanted >> a->taken++ & 1;
    return wanted ? dlrt_routine_operand(a) : (RoutineTensor){0};
}

int64_t dlrt_routine_int(RoutineArgs *a) {
    return *a->next++;
}

double dlrt_routine_float(RoutineArgs *a) {
    uint64_t low = (uint64_t)*a->next++, bits = (uint64_t)*a->next++ << 32 | low;
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

int64_t dlrt_row_offset(const RoutineTensor *t, int64_t axis, int64_t row) {
    int64_t at = 0;
    for (int32_t i = t->rank - 1; i >= 0; i--) {
        if (i == axis) continue;
        at += row % t->shape[i] * t->strides[i];
        row /= t->shape[i];
    }
    return at * t->size;
}
