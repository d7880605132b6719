/* Reordering dims: an operator on operands transposed alike, so that its result comes out transposed.
 *
 * Which attributes have to do with the order of dims, and how, stands in the operators' rows (AttrDims). */
#ifndef DLCC_OPS_PERMUTE_H
#define DLCC_OPS_PERMUTE_H

#include "ops/build.h"

/* The op on operands[i] = transpose(op->operands[i], permutation), scalars as they are: transpose(op's result,
 * result_permutation), or null where the op's row does not say how. All operands but scalars have one rank. For an op
 * without operands the permutation is the result's. */
Value *op_permuted(Builder *b, const Op *op, Value *const *operands, const int64_t *permutation,
                   int64_t *result_permutation);

/* Whether the permutation moves nothing. */
bool is_identity(const int64_t *permutation, int rank);
/* back[permutation[i]] = i. */
void inverse_permutation(const int64_t *permutation, int rank, int64_t *back);

#endif
