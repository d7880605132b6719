/* Guards in loop nests: where all of them hold, and where a term changes nothing.
 *
 * A window at the border of an image has places outside, and so its loads and selections have guards; most windows have
 * none. If the guards are conjunctions of affine comparisons, they hold all over a box of axes if they hold at its
 * corners: then the code for the box needs none. */
#ifndef DLCC_CODEGEN_GUARDS_H
#define DLCC_CODEGEN_GUARDS_H

#include "codegen/emit.h"

typedef struct Guards {
    VEC(int) nodes;
    uint64_t box;              /* the axes of the box */
} Guards;

/* The guards among the marked nodes that change along the box's axes and are the same in all lanes; only those that
 * corners decide. */
Guards guards_of(const Kernel *k, const bool *marked, const uint64_t *depends, uint64_t box, int vector, Arena *arena);
/* Whether they hold in all of the box, the other axes' indices being given: an i1. */
LLVMValueRef guards_hold(Emit *e, KernelScope *s, const Guards *g, const LLVMValueRef *index,
                         const LLVMValueRef *extents);
/* The guard of a load or the condition of a selection; -1: none. */
int guard_of_node(const Kernel *k, int node);
/* Whether the bool node holds in a box if it does at the box's corners. */
bool guard_is_convex(const Kernel *k, int node, const uint64_t *depends);
/* The guards without any of which a point of the stage's sweep changes nothing. */
Guards guards_of_terms(const Kernel *k, int stage, Arena *arena);

#endif
