/* Cases of operators, for the tests generated from the operator table: those of cases.def, and those of elementwise
 * operators, which are made from their row of the table. A case is text with T for an element type; what it becomes
 * for a type is a function of IR text. */
#ifndef DLCC_TESTS_OPS_CASES_H
#define DLCC_TESTS_OPS_CASES_H

#include "ops/eval.h"

typedef struct OpCase {
    const OpInfo *op;
    const char *inputs, *ops, *results;        /* as cases.def says */
} OpCase;

/* Whether an operator's cases are made from its row alone. */
bool case_is_made(const OpInfo *op);
/* All cases of an operator; *count 0 if it has none. */
const OpCase *cases_of(Arena *arena, const OpInfo *op, int *count);

/* Whether the case is one for type t: its text has a T and the operator takes t; cases without T count as f64's. */
bool case_takes(const OpCase *c, DType t);
/* The function `name` for type t, as text. The dims it uses are those of cases_dims. */
const char *case_func(Arena *arena, const OpCase *c, DType t, const char *name);
/* Declarations of the dims, which a module of such functions begins with. */
extern const char cases_dims[];

/* Values for the inputs, `n` of them, as cases.def says; equal calls give equal values. Floats are numbers of their
 * type. With `edges` the elements of float inputs of an elementwise operator begin with zeros, subnormals, the
 * greatest, infinities and NaN. */
void case_fill(const OpCase *c, Tensor *const *inputs, int n, bool edges);

#endif
