/* What the operators' rules share: reasons in words and small shape arithmetic. Only for the files of
 * ops/. */
#ifndef DLCC_OPS_RULES_H
#define DLCC_OPS_RULES_H

#include "ops/build.h"
#include "ops/eval.h"
#include "ops/grad.h"

/* The elementwise operators, by MapFn. */
extern const OpInfo map_ops[MAP_COUNT];

/* A reason why a rule does not apply, in the module's arena. */
const char *reason(Module *m, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* "784", "2*B+1"; "f32[B,784]"; in the module's arena. */
const char *dim_text(Module *m, Dim d);
const char *value_text(Module *m, const Value *v);

/* A reason, or null if the two operands' dims are equal: "dimension 1 of lhs is 784, dimension 0 of rhs
 * is 512". */
const char *need_equal_dims(Module *m, const char *name_a, const Value *a, int axis_a, const char *name_b,
                            const Value *b, int axis_b);
/* A reason, or null if axes are within rank and strictly increasing. */
const char *need_axes(Module *m, const char *what, const int64_t *axes, int n, int rank);
/* A reason, or null if `axis` is within 0 .. rank-1. */
const char *need_axis(Module *m, const char *what, int64_t axis, int rank);

bool axes_contain(const int64_t *axes, int n, int64_t axis);
/* The axes of 0 .. rank-1 that are not among the given; returns how many. */
int axes_without(int rank, const int64_t *axes, int n, int64_t *to);

/* Sets the one result's type. */
void set_result(Module *m, Op *op, DType t, int rank, const Dim *shape);

#endif
