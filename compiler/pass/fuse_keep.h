/* Keep: what fuse_keep.c, which chooses what is computed again late, and fuse_copy.c, which has it done, share. */
#ifndef DLCC_PASS_FUSE_KEEP_H
#define DLCC_PASS_FUSE_KEEP_H

#include "pass/fuse.h"

enum { SMALL_LEAF = 16 };      /* an operand of a 16th of the elements costs nothing */

typedef VEC(Value *) Values;
typedef VEC(int) Places;

typedef struct Keep {
    Fuser *f;
    Places place;              /* by group: where it runs, or -1 */
    int places, division;      /* groups from place `division` on are late */
    int64_t peak;
    /* by value: */
    bool *yielded;
    int64_t *bytes;            /* that it takes where it is stored; 0 for what is an argument or a result */
    int *read_last;            /* the last place at which it is read from memory, or -1 */
    bool *sink;                /* of an early group, and an operand of a late one's member */
    bool *fixed;               /* kept, since too much would have to be computed again */
    bool *again;               /* computed again */
    bool *copied;              /* and so by operations of its own */
    uint64_t **readers;        /* of copied values: the late groups that need the copy */
    int *read_at;              /* of copied values: the position of the first op that does */
    int *home;                 /* of copied values: the group that has to compute it, or -1 */
    int *mark, stamp;
    Value **copy;
    Values early;              /* what early groups make, in the order of their ops */
} Keep;

static inline double keep_elements(const Keep *k, const Value *v) {
    return (double)type_elements(&k->f->module->dims, v->type)->upper;
}

/* Whether an early group makes v. */
static inline bool keep_is_early(const Keep *k, const Value *v) {
    int g = group_of_value(k->f, v);
    return g >= 0 && k->place.at[g] < k->division;
}

/* Finds which of the values that are computed again get operations of their own; whether there are any, and room. */
bool keep_find_copied(Keep *k);
/* Appends these, puts them into groups, and has late ops read them. */
void keep_copy(Keep *k);

#endif
