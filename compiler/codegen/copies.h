/* Copies: points of a loop nest that have code of their own, side by side, and what they share.
 *
 * In: the axes whose points are copied - jammed ones, the inner ones of an unrolled window, and blocks of `tile` points
 * along one further axis. What neighbouring copies read alike is loaded once: where two loads of a node differ by a
 * known number of elements, and that is 0. Guards fall into the comparisons they are made of. A comparison is decided
 * as soon as the axes that it depends on are: by the compiler, or by one branch around all copies to which it applies,
 * where no term counts if it is false. Along the tiled axis the first and the last blocks, which may reach over a
 * border, are made one by one; between them one loop runs over blocks in which the comparisons that depend on this axis
 * hold. */
#ifndef DLCC_CODEGEN_COPIES_H
#define DLCC_CODEGEN_COPIES_H

#include "codegen/guards.h"

/* One comparison of a guard, or a guard that is none. */
typedef struct Leaf {
    int node;
    uint64_t axes; /* that it depends on */
    bool convex;   /* it holds in a box if it does at the corners */
    bool known;    /* it holds in the code that is being built */
} Leaf;

typedef struct SharedLoad {
    int node, vector;
    int64_t offset; /* elements from where the node's load lies in the first copy */
    LLVMValueRef value;
} SharedLoad;

typedef struct Copies {
    Emit *e;
    const Kernel *kernel;
    KernelScope *scope;
    LLVMValueRef *index; /* by axis: the loop nest's own */
    uint64_t axes;       /* that are copied, the tiled one among them */
    int tiled;           /* the tiled axis, -1: none */
    LLVMValueRef from;   /* where the current block begins along it */
    int64_t count;       /* points of the current block */
    int64_t *at;         /* by axis: of the current copy, from where copies begin */
    VEC(Leaf) leaves;
    VEC(SharedLoad) loads; /* made so far, of those that still are before what is being built */
} Copies;

/* The copies of one stage. */
typedef struct CopyNest {
    int axis[64], n; /* the axes to copy, outermost first */
    bool *skips;     /* by leaf: where it is false, nothing changes */
    bool *nodes;     /* that the stage evaluates */
} CopyNest;

Copies *copies_new(Emit *e, KernelScope *s, LLVMValueRef *index);
/* The nest over all copied axes, for what is known now; terms of a sum come in their order. */
CopyNest copies_nest(Copies *c, int stage, const bool *nodes);

/* Copies along an axis. */
int64_t copies_along(const Copies *c, int axis);
/* Goes to copy x along the axis. */
void copies_move(Copies *c, int axis, int64_t x);

typedef void CopyBody(void *user);
/* Code for all blocks along the tiled axis. */
void copies_walk(Copies *c, CopyBody *body, void *user);

/* What copies_enter has to undo. */
typedef struct CopyScope {
    bool branches;
    EmitIf branch;
    int loads;
    bool *known; /* by leaf, before */
} CopyScope;
/* Before the code of copies whose axes up to nest->axis[depth] (-1: none of them) are decided. False: no term of these
 * counts. Else followed by copies_leave. */
bool copies_enter(Copies *c, const CopyNest *nest, int depth, CopyScope *scope);
/* Whether there is no copy that a branch would leave out: an i1, or null if there never is. */
LLVMValueRef copies_whole(Copies *c, const CopyNest *nest);
/* Where that is so. Followed by copies_leave. */
void copies_enter_whole(Copies *c, const CopyNest *nest, CopyScope *scope);
void copies_leave(Copies *c, const CopyScope *scope);

/* The guard holds from here on; nothing is known any more. */
void copies_assume(Copies *c, int guard);
void copies_forget(Copies *c);
/* What is known of the leaves becomes known to the point. */
void copies_inform(const Copies *c, NodePoint *p);
/* Loads that have been made, and those that the point has made. `vector`: which of the group's vectors it is. */
void copies_take(Copies *c, const bool *nodes, NodePoint *p, int vector);
void copies_keep(Copies *c, const bool *nodes, NodePoint *p, int vector);

#endif
