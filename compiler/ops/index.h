/* What INDEX operators work on, for whoever must know: rules, lowering, samples.
 *
 * Those with an index tensor (gather, scatter_*) have a data tensor `whole`, integer indices and picked parts:
 *   picked.shape = whole.shape[:axis] + indices.shape[batch:] + whole.shape[axis+1:]
 * where the first `batch` dims of whole and indices are matched, batch <= axis. A mask, shaped as the indices, leaves
 * out what it is false for: that index may be anything, and a picked part there is 0.
 *
 * Those at a box (OP_AT_BOX: dynamic_slice, dynamic_update_slice) have a scalar integer for each of `axes`: where the
 * box begins along it. Along the other axes it begins at 0.
 *
 * An index outside 0 .. limit-1 is an error at run time, reported by the name in `what`. */
#ifndef DLCC_OPS_INDEX_H
#define DLCC_OPS_INDEX_H

#include "ir/op.h"

typedef struct IndexParts {
    Value *whole;
    Value *update;             /* what is written into it (OP_UPDATES), else null */
    Value *const *indices;     /* the index tensor; of a box a scalar for each of axes */
    int count;
    Value *mask;               /* or null */
    const char *what;          /* or null */
} IndexParts;

IndexParts index_parts(const Op *op);
/* Index i of a box is along this axis of the whole. */
int index_box_axis(const Op *op, int i);
/* Index i must be below this. */
Dim index_limit(DimTable *dims, const Op *op, int i);

#endif
