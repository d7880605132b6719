/* The operators: the structured ones by identifier, and element functions and numbers as the reference computes them.
 *
 * Operators are few and closed under differentiation. Names and meaning are StableHLO's. What a row of the table
 * holds is said in ir/op.h. Elementwise operators are rows of ir/elementwise.def; the others are one block each in the
 * file of their kind (reduce.c, contract.c, move.c, index.c, opaque.c, region.c, scan.c), holding shape rule, gradient
 * rule and reference evaluation next to each other. table.c lists them all. */
#ifndef DLCC_OPS_OPS_H
#define DLCC_OPS_OPS_H

#include "ir/op.h"

/* Structured operators by identifier, for builders and rules. MAPs are found by op_of_map. */
extern const OpInfo OP_reduce_sum, OP_reduce_max, OP_reduce_min, OP_reduce_prod, OP_reduce_and, OP_reduce_or,
    OP_argmax, OP_argmin;
extern const OpInfo OP_cumulative_sum, OP_cumulative_prod, OP_cumulative_max, OP_cumulative_min, OP_cumulative_argmax,
    OP_cumulative_argmin, OP_linear_recurrence;
extern const OpInfo OP_dot_general, OP_convolution;
extern const OpInfo OP_broadcast_in_dim, OP_reshape, OP_transpose, OP_slice, OP_pad, OP_concatenate, OP_reverse;
extern const OpInfo OP_take_windows, OP_place_windows;
extern const OpInfo OP_gather, OP_scatter_add, OP_scatter_max, OP_scatter_min, OP_scatter_set;
extern const OpInfo OP_dynamic_slice, OP_dynamic_update_slice;
extern const OpInfo OP_sort, OP_top_k, OP_nms;
extern const OpInfo OP_fusion, OP_scan, OP_while, OP_cond, OP_call;
extern const OpInfo OP_barrier, OP_bind_dim, OP_require;

/* Element functions on numbers, for operators whose result is a function of operand values alone (not
 * constant, iota, convert, dim_value, random_bits). Floats are computed in f64 and come unrounded;
 * integers and bool are computed in type t. Predicates give 0 or 1; the condition of a select on floats
 * is 0 or 1 too. */
double map_eval_float(MapFn f, const double *x);
int64_t map_eval_int(MapFn f, DType t, const int64_t *x);
/* Neutral element of a reducing function in type t (0 for add, -inf or the least integer for maximum). */
double map_neutral_float(MapFn f);
int64_t map_neutral_int(MapFn f, DType t);

/* x as type t holds it: a float rounded to nearest even, an integer wrapped around, bool 0 or 1. */
double number_round(DType t, double x);
/* Of a float type: how far rounding may move a number of size 1. */
double number_unit(DType t);
int64_t number_wrap(DType t, int64_t x);
/* As `convert` does: towards zero, saturating, NaN to 0; bool is x != 0. */
int64_t number_from_float(DType t, double x);
/* Least and greatest integer of an integer type or bool. */
int64_t number_least(DType t);
int64_t number_greatest(DType t);

#endif
