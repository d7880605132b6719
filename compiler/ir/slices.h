/* Slices: how the work of a kernel's step falls into parts of consecutive items, which part of a buffer belongs to each.
 * Kernels that run one after the other fall into the same slices if their first axes count the same, as batches and heads
 * in attention; then all of them can do one slice before any does the next (pass/chain.c). */
#ifndef DLCC_IR_SLICES_H
#define DLCC_IR_SLICES_H

#include "ir/kernel.h"

typedef struct Slices {
    const PlanStep *step;
    Dim count;                 /* of slices, over the function's dims, as is all below */
    const int *axes;           /* the axes whose indices say which slice, the slowest first */
    const Dim *parts;          /* for each of them how many slices lie along it */
    int n;
    Dim inside;                /* points of the last of these axes that lie in one slice */
    int64_t chunk;             /* LOOPS: with what schedule.chunk a slice ends where an item ends; 0: any */
} Slices;

/* Whether the step, whose kernel is scheduled, falls into `count` slices: its items from x * items / count on are those of
 * slice x. With LOOPS that may take another chunk than the schedule's, but a divisor of it. */
bool slices_find(KModule *m, const PlanStep *step, Dim count, Slices *to);

/* The elements of buffer number `buf` of the plan that belong to a slice, if the step reads and writes them alone: from
 * x times so many on. Null: it does not. */
Dim slices_length(KModule *m, const Slices *s, int buf);

/* Points of the outer axis that varies fastest in one item of a LOOPS kernel. */
int64_t slices_chunk(const Kernel *k);
/* The product of a CONTRACT step's batch axes, over the function's dims; null if it has none. */
Dim slices_batch(KModule *m, const PlanStep *step);

#endif
