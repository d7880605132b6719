/* Reductions in registers: accumulators over the points of a sweep, and how they become one value. Of a sum there is
 * one for each level of its cascade (cascade.h). */
#ifndef DLCC_CODEGEN_REDUCE_H
#define DLCC_CODEGEN_REDUCE_H

#include "codegen/emit.h"

/* One accumulator: variables of `lanes` lanes. */
typedef struct Accumulator {
    const KReduction *reduction;
    DType dtype;               /* of the values */
    DType position_dtype;      /* arg-reductions: i32 or i64, as the axis needs */
    int lanes;
    LLVMValueRef value, position;
} Accumulator;

/* An accumulator that has seen nothing. */
Accumulator accumulator_new(Emit *e, const Kernel *k, const KReduction *r, int lanes);
/* Takes in the reduction's node at a point. Lanes off in p->mask change nothing if `partial`; else the point's
 * lanes are the accumulator's own and those off hold anything. */
void accumulator_add(Emit *e, Accumulator *a, NodePoint *p, bool partial);
/* Whether the reduction is a sum whose order is free and whose terms are rounded, so that it matters. */
bool accumulator_cascades(const Kernel *k, const KReduction *r);
/* The sum so far becomes a term of the one above, and starts anew. */
void accumulator_close(Emit *e, Accumulator *a, Accumulator *above);
/* The accumulators' result, `lanes` lanes: they are combined pairwise, neighbours first. Of the positions
 * of equal extremes the least stays. */
Accumulator accumulator_merge(Emit *e, const Accumulator *all, int n);
/* The same in one lane: a fixed tree over the lanes. */
Accumulator accumulator_combine_lanes(Emit *e, const Accumulator *a);
/* The result in the reduction's type. */
LLVMValueRef accumulator_result(Emit *e, const Accumulator *a);

#endif
