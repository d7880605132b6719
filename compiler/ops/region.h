/* The region operators: how operands, parameters, yields and results go together.
 *
 * A region is isolated: its ops read values of the region alone, the parameters among them; only dims are seen from
 * outside. What stands for what:
 *
 *            operands               parameters                        yields            results
 *   fusion   args                   args                              results           results
 *   scan     consts, inits, xs      consts, carries, slices, index    carries, ys       carries, stacked ys
 *   while    consts, inits          consts, carries (of both)         bool; carries     carries
 *   cond     bool, args             args (of both)                    results (both)    results
 *   call     args                   args                              results           results
 *            and in `backward`      args, results, dresults           gradients of the args in wrt
 *
 * build_scan and the like (ops/build.h) make them from bodies that read outer values freely. */
#ifndef DLCC_OPS_REGION_H
#define DLCC_OPS_REGION_H

#include "ops/grad.h"
#include "ops/value_map.h"

/* The numbers of a scan. Operand of carry i: consts + i; of x i: consts + carries + i; and so the parameters, of which
 * the last is the index, an i64 scalar. Yield and result of y i: carries + i. */
typedef struct ScanForm {
    int consts, carries, xs, ys;
    const int64_t *axes;           /* per x: the axis that is cut into slices */
    const int64_t *result_axes;    /* per y: the axis along which it is stacked */
    Dim length;                    /* 0: the carries stay as they are */
    bool reverse;                  /* the index runs length-1 .. 0 */
} ScanForm;
ScanForm scan_form(const Op *scan);

/* A while: operand and result of carry i: consts + i and i. */
typedef struct WhileForm {
    int consts, carries;
    int64_t limit;                 /* -1: none */
    Region *condition, *body;
} WhileForm;
WhileForm while_form(const Op *op);

/* The operand of r's owner that parameter i is throughout, or null: carries, slices and the index change. */
Value *region_source(const Region *r, int i);
/* Whether something happens but that results come out: the op is a check, or one is in its regions. */
bool op_has_check(const Op *op);

/* For rules: a reason why values that leave the region cannot (they mention a dim bound inside), or null. */
const char *need_free_dims(Module *m, const Region *r);
/* For rules: a reason why parameters first .. first+n-1 are not of the types of these values, or null. */
const char *need_params(Module *m, const char *what, const Region *r, int first, Value *const *values, int n);

/* Appends the region's ops to b's region and leaves it empty. */
void region_splice(Builder *b, Region *r);
/* A body of its own, not closed yet: the region's ops and parameters copied; map knows them. Checks that bind nothing
 * are left out: where a body is computed again, they have been passed. */
Builder region_again(const Builder *b, const Region *r, ValueMap *map);
/* Makes uses of the parameters uses of `by`, one for each. */
void region_set_params(Region *r, Value *const *by);

/* The dependence of a region's yields (ops/grad.c): params[i] is that of parameter i, yields[i] receives yield i's. */
void region_dependence(Module *m, const Region *r, const Dependence *params, Dependence *yields);

/* How the parameters of a scan's body depend, from how its operands do: carries as their steps make them. */
Dependence *scan_dependence(Module *m, const Op *op, const Dependence *operands);
/* Gradient rules of loops (ops/grad_loop.c, ops/grad_while.c). That of a scan gives it further results, that of a while
 * makes it a scan: both change the op they are for. */
void grad_scan(GradContext *g, const Op *op, Value *const *dy, Value **dx);
void grad_while(GradContext *g, const Op *op, Value *const *dy, Value **dx);

#endif
