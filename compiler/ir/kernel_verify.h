/* What holds of every kernel IR module, checked after the lowering and each pass over it.
 *
 * Kernels (kernel_verify.c)
 * - Axes have the roles of the form, in the order of the roles; extents, strides and offsets are over the
 *   kernel's own sizes.
 * - A node uses earlier nodes only, as many and of the types its element function takes; a guard is bool,
 *   an index an integer; a load has its buffer's type.
 * - Each reduction is computed by one sweep; its result is used by later stages only. An arg-reduction's
 *   axis is the only inner one.
 * - A stage that runs once an outer point touches nothing that depends on inner axes. A store moves along
 *   every axis it is repeated over, so no two points write one element. Written buffers are marked so.
 * - A buffer that is stored to and loaded from is so at one address only, and not loaded after the
 *   storing stage.
 * - A contraction's factors depend on batch, M, K and batch, N, K; nothing that is stored depends on K.
 * - A schedule's vector axis is an inner axis or the last outer one; lanes are a power of two.
 *
 * Plans (plan_verify.c, plan_verify_steps.c)
 * - Buffers have what their place needs, the types of arguments, results and variables, and enough bytes.
 * - Steps name kernels of the module; types fit; sizes are within the bounds the kernel was made for; a
 *   kernel never reaches beyond a buffer (guarded and data-dependent accesses are left out); nothing that
 *   is read only is written, nothing in the workspace read before it is written.
 * - Loops and branches nest. A step's sizes and offsets are over the function's dims, the indices of the loops around
 *   it and the dims bound before it.
 * - Steps of a chain are kernels, stand together and fall into the same slices; what one of them writes and another one
 *   touches lies in slices. Local buffers are used in one chain only.
 * - Once placed: buffers lie in the workspace, and two of them overlap only if their lives do not meet; what comes into
 *   a loop or goes out of it lives as long as the loop. */
#ifndef DLCC_IR_KERNEL_VERIFY_H
#define DLCC_IR_KERNEL_VERIFY_H

#include "ir/kernel.h"
#include "ir/verify.h"

/* Appends what is broken, at most FAULT_LIMIT messages; returns their number. Memory is the scratch's. */
int kernels_verify(KModule *m, Arena *scratch, FaultList *faults);

/* ---- the parts */

typedef struct KernelVerifier {
    KModule *module;
    Arena *scratch;
    FaultList *faults;
    const Func *func;          /* of the plan looked at */
    const char *where;         /* "kernel k3", "step 2" */
} KernelVerifier;

/* Appends "where: text"; always false. */
bool kernel_fault(KernelVerifier *v, const char *format, ...) __attribute__((format(printf, 2, 3)));
void verify_kernel(KernelVerifier *v, const Kernel *k);
void verify_plan(KernelVerifier *v, const Plan *p);
void verify_steps(KernelVerifier *v, const Plan *p);
void verify_chains(KernelVerifier *v, const Plan *p);

#endif
