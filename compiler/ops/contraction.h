/* Contractions: what a CONTRACT operator is to the kernels.
 *
 * A nest of axes, each of which is of the batch (both operands and the result move along it), of one operand and the
 * result, or of the sum (both operands do, the result does not); and the point of each operand and of the result at
 * a point of the nest, with the conditions under which an operand has an element there (elsewhere it counts as 0), or
 * the result.
 * dot_general and convolution differ in nothing else. */
#ifndef DLCC_OPS_CONTRACTION_H
#define DLCC_OPS_CONTRACTION_H

#include "ops/index_map.h"

typedef enum ContractPart { PART_BATCH, PART_LHS, PART_RHS, PART_SUM } ContractPart;

typedef struct Contraction {
    DimTable *dims;
    /* As in IndexPoint; null: the points are not wanted yet. */
    int (*quotient)(void *user, const IndexExpr *expr, int64_t divisor);
    int (*total)(void *user, const IndexExpr *a, const IndexExpr *b, Dim scale);
    void *user;
    int axes; /* those of the sum come last, in the order of adding */
    ContractPart part[MAX_AXES];
    Dim extent[MAX_AXES];
    IndexPoint lhs, rhs, result;
} Contraction;

/* For the operators' rules. An axis is added before any point is made; returns its number. */
int contraction_axis(Contraction *c, ContractPart part, Dim extent);
/* A point of a tensor of that rank, all indices 0; and `factor` per step along the axis for its dim d (0 where the
 * axis has extent 1). */
IndexPoint contraction_point(const Contraction *c, int rank);
void contraction_put(const Contraction *c, IndexPoint *p, int64_t d, int axis, Dim factor);

/* Makes two axes of one: that many pieces, and the places in a piece of `by`, which divides the extent. */
void contraction_split(Contraction *c, int axis, int64_t by);
/* The product of the extents of the part's axes, at most. */
double contraction_extent(const Contraction *c, ContractPart part);
/* Few rows, or columns, of many batches each, as in a depthwise convolution: no term is used often enough for tiles and
 * packing to pay. */
bool contraction_is_thin(const Contraction *c);

#endif
