/* What the files of LOOPS kernels share: see loops.c. */
#ifndef DLCC_CODEGEN_LOOPS_H
#define DLCC_CODEGEN_LOOPS_H

#include "codegen/cascade.h"
#include "codegen/copies.h"
#include "codegen/reduce.h"
#include "ir/kernel_util.h"

typedef struct Group {
    NodePoint **points;
    int n;
} Group;

typedef struct Loops {
    Emit *e;
    const Kernel *kernel;
    KernelScope *scope;
    LLVMValueRef *extent; /* by axis */
    int outer;            /* axes 0 .. outer-1 are outer ones */
    uint64_t grouped;     /* of these: their points, or a block of them, are a group's; the others are walked */
    Copies *copies;       /* what has code of its own, among it the points of a group */
    Guards guards;        /* that hold in whole windows */
    int vector;           /* the vector axis or -1 */
    bool vector_inner;
    int lanes, unroll;
    uint64_t inner_axes;
    KernelRows rows;
    bool **stage_nodes;  /* by stage: nodes evaluated there */
    bool **fixed_nodes;  /* of these, those that are the same all over a sweep */
    LLVMValueRef *index; /* of outer axes at the current point */
} Loops;

/* ------------------------------------------------------------- strips (loops_points.c) */

/* Code for `vectors` vectors of `lanes` lanes from index `at` on; mask null: all lanes. */
typedef void StripBody(Loops *l, void *user, LLVMValueRef at, int vectors, int lanes, LLVMValueRef mask);

typedef struct Strip {
    LLVMValueRef from, until;
    int64_t most; /* until - from is at most this */
    bool even;    /* and a multiple of the lanes */
    StripBody *body;
    void *user;
} Strip;

/* Vectors kept in flight when there are at most `most` elements. */
int loops_unroll(const Loops *l, int64_t most);
/* Whether the vector axis is so many whole vectors. */
bool loops_are_even(const Loops *l);
/* from + the greatest multiple of step that does not go beyond until. */
LLVMValueRef loops_whole_steps(Emit *e, LLVMValueRef from, LLVMValueRef until, int64_t step);
void loops_strip(Loops *l, const Strip *s);
/* What is left from `at` on when vectors have been taken `unroll` at a time. */
void loops_strip_rest(Loops *l, const Strip *s, LLVMValueRef at, int unroll);

/* ------------------------------------------------------------- points (loops_points.c) */

/* A point at the current indices; mask null: all lanes. */
NodePoint *loops_point(Loops *l, int lanes, LLVMValueRef mask);
/* Copies in a group of outer points, each of which has all of the group's vectors; goes to one; the one that indices
 * are at. */
int64_t loops_copies(const Loops *l);
void loops_go_to_copy(Loops *l, int64_t copy);
int64_t loops_copy(const Loops *l);
/* Loads that copies of a group's outer points share become known to point i, and those that it has made to the others.
 */
void loops_take_shared(Loops *l, int stage, Group g, int i);
void loops_keep_shared(Loops *l, int stage, Group g, int i);
/* Rows that an earlier stage has filled are read at this point; rows that this stage fills are stored. */
void loops_attach_rows(Loops *l, int stage, NodePoint *p);
void loops_keep_rows(Loops *l, int stage, NodePoint *p);
/* All that the stage stores at a point, after all of it has been computed: it may lie where something was read. */
void loops_point_stores(Loops *l, int stage, NodePoint *p);

/* ------------------------------------------------------------- sweeps (loops_sweep.c) */

/* The points of a whole row that stay known from stage to stage; none: it is too long, or there is no row. */
Group loops_resident_row(Loops *l);
/* One stage over the inner axes, for a group of outer points. */
void loops_sweep(Loops *l, int stage, Group base, Group resident);

/* Loads along the tiled axis become known to the group's points, one for each lane. (loops_turn.c) */
void loops_turn(Loops *l, Group base);

/* Asks the caches for what a group of points reads some blocks of the tiled axis later. (loops_ahead.c) */
void loops_ask_ahead(Loops *l, Group base);

#endif
