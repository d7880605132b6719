/* lower: graph IR whose regions are lists of fusions (after the fuse pass) to kernel IR. */
#ifndef DLCC_PASS_LOWER_H
#define DLCC_PASS_LOWER_H

#include "base/map.h"
#include "ir/kernel.h"
#include "ops/index_map.h"
#include "pass/pass.h"

/* Kernels and plans for every exported function and init. Buffers have places but no offsets yet (place
 * pass), kernels no schedule (schedule pass). Null if a diagnostic was reported. */
KModule *lower_module(PassContext *c, Module *m);

/* ---- shared by the files of the lowering */

/* Where a value lies. */
typedef struct Layout {
    int buf;                   /* PlanBuf, -1: nowhere yet */
    Dim offset;                /* of its first element, in elements */
    const Dim *strides;        /* for each dim */
    Dim scalar;                /* not in memory, but this number: a loop's index; else null */
    /* With pieces (0: none), each so many elements of dim split_dim lie together: that dim's stride is within a piece,
     * piece_stride leads from one to the next. */
    int64_t pieces;
    int split_dim;
    Dim piece_stride;
} Layout;

typedef struct Memo Memo;
typedef VEC(int) Ints;
typedef VEC(PlanStep) Steps;

/* Indices in a loop that are checked before it. */
typedef struct CheckMet {
    const Value *index, *mask;
    Dim limit;
} CheckMet;

typedef struct Lowering {
    Module *m;
    KModule *km;
    Arena *arena, *scratch;
    Diags *diags;
    Func *func;
    Plan *plan;
    /* by value id */
    Layout *at;
    const int *uses;
    int *writer;               /* the draft that makes it (of its region's order), or -1 */
    Ints *readers;             /* drafts that read it */
    Memo **memo;               /* lower_kernel.c: the nodes made of it */
    int *var_buf;              /* by variable id: its PlanBuf or -1 */
    bool *bound;               /* by symbol id: an op of the function binds it */
    VEC(CheckMet) met;
    Map interned;              /* lower_intern.c: kernels by their descriptions */
} Lowering;

/* One fusion as a kernel, with what a step needs to call it. */
typedef struct LoweredKernel {
    Kernel *kernel;
    Ints bufs;                 /* PlanBuf for each KBuf */
    VEC(Dim) offsets;          /* where in it the KBuf begins */
    VEC(Dim) dims;             /* over the function's dims */
    VEC(int64_t) numbers;
    double flops;
    Span span;
} LoweredKernel;

/* lower_zeros.c: a value that is 0 unless a condition holds, which indices alone decide. */
typedef struct Zeros {
    Value *unless;             /* the condition, in the body of */
    const Op *fusion;
    IndexPoint at;             /* evaluated here */
} Zeros;
/* Whether v, read in the body of `fusion` at p, is known to be such a one. */
bool lower_zeros(const Op *fusion, const Value *v, IndexPoint p, Zeros *to);

/* lower_kernel.c: builds the kernel of a fusion. Where operands and results lie must be known. */
bool lower_fusion(Lowering *l, const Op *fusion, LoweredKernel *to);
/* lower_kernel.c: the kernel that copies a value of type `t` to another place, whatever the layouts. */
void lower_copy(Lowering *l, Type t, const Layout *to, const Layout *from, LoweredKernel *kernel);
/* lower_axes.c: brings a kernel into its normal form: axes in memory order, without those of extent 1,
 * neighbours merged where every access allows it; the stores' unit-stride axis of a contraction in N. */
void lower_normalize(Lowering *l, Kernel *k);
/* lower_intern.c: replaces the function's dims by the kernel's own (to->dims receives their values) and
 * gives the kernel a name, or finds an equal one in the module and takes that. */
void lower_intern(Lowering *l, LoweredKernel *to);

/* ---- lower_layout.c */

int plan_add_buf(Lowering *l, PlanBuf b);
/* A buffer for a value of type `t`, and a new one in the workspace with its layout. */
PlanBuf buf_for(Lowering *l, BufPlace place, Type t, const char *name);
Layout new_layout(Lowering *l, Type t, const char *name);
/* The layout of a value that fills buffer `buf`. */
Layout whole_buf(Lowering *l, int buf, Type t);
void row_major(DimTable *dims, Type t, Dim *strides);
bool same_layout(const Layout *a, const Layout *b, Type t);
/* Whether the elements lie one after the other in row-major order. */
bool is_compact(Lowering *l, const Layout *a, Type t);
/* The part of a value at `index` along `axis`. */
Layout slice_of(Lowering *l, const Layout *whole, int rank, int axis, Dim index);

/* ---- lower_order.c: a region's ops in an order in which they can run */

/* Where a region's yield is to lie. */
typedef struct Yield {
    Layout to;                 /* wanted; buf -1: anywhere. Afterwards: where it is */
    /* A loop's carry: the region's parameter that it is in the next iteration, and that lies at `to` before; else -1.
     * Such a yield may end up in another buffer than its parameter, a workspace buffer of the same size as that of the
     * parameter, which the caller swaps; the parameter may move (at[param] says where to) if `to` is not in the
     * workspace. */
    int param;
} Yield;

/* Appends the steps of a region whose parameters have places. A yield that a parameter's memory is wanted for is
 * written there last, or at once where that is safe. False if a diagnostic was reported. */
bool lower_body(Lowering *l, Region *r, Yield *yields, Steps *to);
/* Which operand an op changes into its result i, so that both may lie in one place; -1: none. */
int changed_operand(const Op *op, int result);
void add_kernel_step(Lowering *l, LoweredKernel *k, Steps *to);
void add_copy_step(Lowering *l, Type t, const Layout *to, const Layout *from, Steps *steps);

/* ---- lower_check.c: what can end a call */

/* Whether an op that stands alone, or one inside it, can. */
bool may_fail(Lowering *l, const Op *op);

/* ---- lower_region.c: loops and branches */

/* What an op is to the lowering, beside a computation. */
typedef enum Control {
    CONTROL_FUSION, CONTROL_SCAN, CONTROL_WHILE, CONTROL_COND, CONTROL_BIND, CONTROL_REQUIRE, CONTROL_ROUTINE
} Control;
Control op_control(const Op *op);
/* BIND: the dim. */
DimSymbol *op_bound_dim(const Lowering *l, const Op *op);

/* The steps of a region op. Where operands and results lie must be known. */
bool lower_region_op(Lowering *l, Op *op, Steps *to);
/* lower_routine.c: the step of an OPAQUE op. Where operands and results lie must be known. */
void lower_routine(Lowering *l, Op *op, Steps *to);
/* Which operand is the first version of what result i is the last of; -1: none. */
int carried_operand(const Op *op, int result);

#endif
