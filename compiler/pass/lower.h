/* lower: graph IR whose functions are lists of fusions (after the fuse pass) to kernel IR. */
#ifndef DLCC_PASS_LOWER_H
#define DLCC_PASS_LOWER_H

#include "ir/kernel.h"
#include "pass/pass.h"

/* Kernels and plans for every exported function and init. Buffers have places but no offsets yet (place
 * pass), kernels no schedule (schedule pass). Null if a diagnostic was reported. */
KModule *lower_module(PassContext *c, Module *m);

/* ---- shared by the files of the lowering */

typedef struct Memo Memo;

typedef struct InternedKernel {
    const char *key;           /* interned description */
    Kernel *kernel;
} InternedKernel;

typedef struct Lowering {
    Module *m;
    KModule *km;
    Arena *arena, *scratch;
    Diags *diags;
    Func *func;
    Plan *plan;
    int *buf_of;               /* by value id: the PlanBuf it lies in, or -1 */
    Memo **memo;               /* lower_kernel.c: by value id, the nodes made of it */
    Interner structures;       /* lower_intern.c: descriptions of kernels */
    VEC(InternedKernel) interned;
} Lowering;

/* One fusion as a kernel, with what a step needs to call it. */
typedef struct LoweredKernel {
    Kernel *kernel;
    VEC(int) bufs;             /* PlanBuf for each KBuf */
    VEC(Dim) dims;             /* over the function's dims */
    double flops;
    Span span;
} LoweredKernel;

/* lower_kernel.c: builds the kernel of a fusion. Buffers of operands and results must be known in buf_of. */
bool lower_fusion(Lowering *l, const Op *fusion, LoweredKernel *to);
/* lower_kernel.c: the kernel that copies a value of type `t` between two buffers, whatever their layouts. */
void lower_copy(Lowering *l, Type t, int to_buf, int from_buf, LoweredKernel *to);
/* lower_axes.c: brings a kernel into its normal form: axes in memory order, without those of extent 1,
 * neighbours merged where every access allows it; the stores' unit-stride axis of a contraction in N. */
void lower_normalize(Lowering *l, Kernel *k);
/* lower_intern.c: replaces the function's dims by the kernel's own (to->dims receives their values) and
 * gives the kernel a name, or finds an equal one in the module and takes that. */
void lower_intern(Lowering *l, LoweredKernel *to);

/* Strides in elements of a value of type `t` in buffer `b`, for its logical dims. */
void plan_strides(DimTable *dims, const PlanBuf *b, Type t, Dim *strides);
int plan_add_buf(Lowering *l, PlanBuf b);

#endif
