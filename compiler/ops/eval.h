/* Reference evaluation: tensors of wide numbers, and what an operator's eval rule works with.
 *
 * Every float is kept as a double and every integer and bool as an int64_t, whatever the dtype, row after
 * row without gaps. The interpreter (interp/interp.h) drives the rules; they need no knowledge of it. */
#ifndef DLCC_OPS_EVAL_H
#define DLCC_OPS_EVAL_H

#include "ops/ops.h"

typedef union Number {
    double f;
    int64_t i;
} Number;

typedef struct Tensor {
    DType dtype;
    int rank;
    int64_t shape[MAX_RANK];
    int64_t count;             /* product of the extents */
    Number *at;
} Tensor;

/* What the ops that stop gradients gave, in the order of evaluation, steps of loops included: derivatives take it for
 * constant. Written down by one evaluation, it is what these ops give in later ones of the same values. */
typedef struct StopLog {
    Arena *arena;
    bool replays;
    int next;
    VEC(Tensor *) values;
} StopLog;

struct EvalContext {
    Module *module;
    Arena *arena;              /* holds every tensor of this evaluation */
    int64_t *dims;             /* values of the dim symbols, by id; bind_dim sets them */
    bool round;                /* round every float result to its dtype (else all is f64) */
    uint64_t *noise;           /* state of the numbers by which results that are computed are off; null: they are not */
    Tensor **values;           /* by value id; null: not computed */
    const bool *needed;        /* by value id; null: compute everything */
    StopLog *stops;            /* null: none is kept */
    const char *error;         /* first fault found, in the arena; later ops are skipped */
};

/* A zeroed tensor. */
Tensor *tensor_new(Arena *a, DType dtype, int rank, const int64_t *shape);
/* Steps between neighbours along each axis, in elements. */
void tensor_strides(const Tensor *t, int64_t *strides);

/* The tensor of operand i; never null within a rule. */
const Tensor *eval_operand(const EvalContext *e, const Op *op, int i);
/* A zeroed tensor of result i's type, made the value of that result. */
Tensor *eval_result(EvalContext *e, const Op *op, int i);
int64_t eval_dim(const EvalContext *e, Dim d);
void eval_fail(EvalContext *e, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Evaluates a region's ops, whose parameters have been set in e->values. */
void eval_region(EvalContext *e, const Region *r);

/* For every index of the box `shape`, in row order: sum of index[i] * strides[i]. Count receives their
 * number. */
int64_t *eval_offsets(EvalContext *e, int rank, const int64_t *shape, const int64_t *strides, int64_t *count);
/* The same over some axes of a tensor. */
int64_t *eval_axis_offsets(EvalContext *e, const Tensor *t, const int64_t *axes, int n, int64_t *count);

#endif
