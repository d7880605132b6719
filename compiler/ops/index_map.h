/* Index maps: how a MOVE operator reads its operands.
 *
 * A point is an index for each dim of a tensor, affine in the axes of a loop nest (plus, behind a gather,
 * a multiple of a value known only at run time). The operator's index map turns a point of its result
 * into the point of an operand that lies there, and adds the conditions under which it does (pad,
 * concatenate). Fusion asks with it what a kernel can read in place; lowering makes addresses of it. */
#ifndef DLCC_OPS_INDEX_MAP_H
#define DLCC_OPS_INDEX_MAP_H

#include "ir/graph.h"

enum { MAX_AXES = 2 * MAX_RANK };

typedef struct IndexExpr {
    Dim constant;
    Dim coeff[MAX_AXES];       /* per axis of the loop nest */
    int node;                  /* a run-time integer that is added, times node_coeff; -1: none */
    Dim node_coeff;
} IndexExpr;

/* low <= expr < high must hold and expr be a multiple of `multiple`, else nothing lies there. */
typedef struct IndexGuard {
    IndexExpr expr;
    Dim low, high;
    int64_t multiple;          /* 1: any */
} IndexGuard;

enum { MAX_GUARDS = 2 * MAX_RANK };

typedef struct IndexPoint {
    DimTable *dims;
    int axes;
    /* Makes the run-time integer expr / divisor and returns its number; null: no number is needed (-1 is used). */
    int (*quotient)(void *user, const IndexExpr *expr, int64_t divisor);
    /* Makes the run-time integer that is the sum of those of a and of b, times scale; as quotient. */
    int (*total)(void *user, const IndexExpr *a, const IndexExpr *b, Dim scale);
    void *user;
    int rank;
    IndexExpr at[MAX_RANK];
    int guard_count;
    IndexGuard guards[MAX_GUARDS];
} IndexPoint;

/* The point whose dim d is axis d, or 0 where the extent is 1. */
IndexPoint index_identity(DimTable *dims, int rank, const Dim *shape);
IndexExpr index_constant(DimTable *dims, int axes, Dim constant);
bool index_expr_equal(const IndexExpr *a, const IndexExpr *b, int axes);
/* a + b * scale. At most one of them may have a run-time part. */
IndexExpr index_add_scaled(DimTable *dims, int axes, const IndexExpr *a, const IndexExpr *b, Dim scale);
/* The same for two of any sort. */
IndexExpr index_add(IndexPoint *p, const IndexExpr *a, const IndexExpr *b, Dim scale);
/* Adds the condition low <= index of dim d < high. False if there are too many. */
bool index_guard(IndexPoint *p, int d, Dim low, Dim high);
/* Turns dim d, an index into a dim of `extent` that was padded by `low`, `high` and `interior` between elements, into
 * the index into the dim itself, adding the guards. False if there are too many. */
bool index_unpad(IndexPoint *p, int d, Dim extent, Dim low, Dim high, int64_t interior);
/* Whether the expression is exactly one axis; then which. */
bool index_is_axis(const IndexExpr *e, int axes, int *axis);

/* The index map of a MOVE op for one operand: `p`, a point of the result, becomes the operand's point. False if
 * the operand cannot be read that way (a reshape that is no splitting of dims; too many guards). */
typedef bool IndexMap(const Op *op, int operand, IndexPoint *p);

IndexMap index_of_broadcast_in_dim, index_of_reshape, index_of_transpose, index_of_slice, index_of_pad,
    index_of_concatenate, index_of_reverse, index_of_take_windows, index_of_place_windows;

#endif
