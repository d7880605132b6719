/* Cascades: how long sums of floats are cut.
 *
 * In: for each axis that is summed over, innermost first, how many rounds a loop over it takes. Out: the loops to
 * make, some axes cut into blocks of rounds, and after which of them the terms so far become one term of the next
 * level. No level adds up much more than CASCADE_MOST terms; so the rounding error grows with the number of levels,
 * the logarithm of the length. Sums that are no longer than that stay one chain. Products gain nothing by it: their
 * error is the same in any order.
 *
 * All of it follows from the axes' bounds, so it is the same for every call. */
#ifndef DLCC_CODEGEN_CASCADE_H
#define DLCC_CODEGEN_CASCADE_H

#include "base/vec.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    CASCADE_BLOCK = 16,        /* terms of a level, where there are more to come */
    CASCADE_MOST = 32          /* not cut */
};

typedef struct CascadeLoop {
    int axis;
    int64_t step;              /* from one round to the next, in elements; within a round the next loop inwards, if it
                                * has the same axis, goes on until there */
    bool closes;               /* at a round's end the level is closed: its sum becomes a term of the next one */
} CascadeLoop;

typedef struct Cascade {
    VEC(CascadeLoop) loops;    /* innermost first */
    int levels;
    int64_t terms;             /* of the last level, at most */
} Cascade;

/* Loops that nothing is in yet. */
static inline Cascade cascade_new(void) { return (Cascade){.levels = 1, .terms = 1}; }
/* Around the loops so far come up to `rounds` rounds along an axis, `step` elements each. Without `cut` it is one loop
 * and closes nothing. */
void cascade_axis(Arena *arena, Cascade *c, int axis, int64_t step, int64_t rounds, bool cut);

#endif
