/* Groups: what the files of the fuse pass share. fuse_fit.c says which operations fit where, fuse.c groups them,
 * fuse_repeat.c finds what they compute again, fuse_keep.c what late ones do, fuse_write.c writes the result. */
#ifndef DLCC_PASS_FUSE_H
#define DLCC_PASS_FUSE_H

#include "ops/build.h"
#include "ops/region.h"
#include "ops/value_map.h"
#include "pass/pass.h"

typedef enum GroupForm { GROUP_MAP, GROUP_ROWS, GROUP_SWEEP, GROUP_CONTRACT, GROUP_UPDATE, GROUP_ALONE } GroupForm;

typedef struct Group {
    GroupForm form;
    int rank;
    const Dim *shape;          /* S */
    unsigned inner;            /* ROWS: bit set of the reduced axes of S; SWEEP: of the axis swept */
    bool backward;             /* SWEEP: from the axis's end */
    VEC(Op *) ops;             /* members, in order; free ops are members only to be stored */
    uint64_t *needs;           /* bit set of the groups that must run before */
    bool needed;               /* another one needs it */
    bool computes_again;           /* it only computes again: fuse_keep.c */
    int work;                  /* of its members: see fuse.c */
    int first;                 /* the position in the region of the op that opened it */
    int turn;                  /* when it runs: fuse_write.c */
    VEC(Value *) repeats;      /* other groups' members that it computes again: fuse_repeat.c */
    VEC(int) again;            /* yields of a loop's or branch's region that are members' results and yielded before */
} Group;

/* A dim that an op of the region binds. */
typedef struct BoundDim {
    int symbol, group;
} BoundDim;

typedef struct Fuser {
    Module *module;
    Func *func;
    Region *body;              /* whose ops are being grouped */
    Arena *scratch;
    /* by value id, of the whole function: */
    int *group_of;             /* the group that makes it, or -1 */
    VEC(int) *readers;         /* groups that read it from memory */
    int *position;             /* of its op in the body, times 2; that of a copy is odd: fuse_keep.c */
    int values, room;          /* how many have numbers, and may have */
    int64_t least;             /* functions that need less memory keep everything: fuse_keep.c */
    bool *bare;                /* computed cheaply of nothing that lies in memory */
    bool *stored;              /* made by a free op, but must lie in memory all the same */
    bool *forced;              /* made by a group, and in memory whatever is repeated: fuse_repeat.c */
    bool *escapes;             /* read by another group (looking through free ops) or yielded */
    Value **now, **inside;     /* fuse_write.c */
    /* of the region: */
    int at;                    /* position of the op that is being grouped */
    VEC(Group *) groups;
    int words;                 /* of a bit set of groups */
    uint64_t *added;           /* a bit set for add_needs */
    VEC(BoundDim) dims;
} Fuser;

/* A value that an op reads once free ops are looked through. */
typedef struct Read {
    Value *value;              /* null: only a dim that `binder` binds */
    int binder;                /* a group */
    bool placed;               /* its dims are whole axes of the reader: */
    int place[MAX_RANK];       /* which axis each dim is, -1 where the extent is 1 */
} Read;
typedef VEC(Read) Reads;

static inline bool group_in(const uint64_t *set, int i) { return set[i / 64] >> (i % 64) & 1; }
static inline void group_put(uint64_t *set, int i) { set[i / 64] |= (uint64_t)1 << (i % 64); }

/* The group whose member defines v, or -1; and of what an op reads. */
static inline int group_of_value(const Fuser *f, const Value *v) {
    return v->op && v->op->parent == f->body ? f->group_of[v->id] : -1;
}
static inline int group_of_read(const Fuser *f, const Read *r) {
    return r->value ? group_of_value(f, r->value) : r->binder;
}

/* Costs nothing to repeat in every kernel that uses it: a constant, an iota, an index map, arithmetic on these. */
static inline bool op_is_free(const Fuser *f, const Op *op) {
    return op->info->kind == KIND_MOVE || (op->info->kind == KIND_MAP && f->bare[op->results[0].id]);
}
/* Whether a kernel can read the op's operands through its index map, whatever they are. A relabelling that
 * is not can still be read where its operand lies in memory, row-major. */
bool op_reads_in_place(Module *m, const Op *op);

/* What an op reads, free ops looked through; what reading this value of its own is. */
Reads fuse_reads(Fuser *f, const Op *op);
Reads fuse_reads_of(Fuser *f, Value *v);
/* Whether the type is the group's domain, or the domain without the reduced axes. */
bool group_has_full_shape(const Group *g, Type t);
bool group_has_row_shape(const Group *g, Type t);
/* Whether a member's value, read by a member of type `reader`, is read at its own point: full values at
 * the same point, row values at the point's row. */
bool group_reads_own_point(const Group *g, const Read *s, Type reader);
/* Whether more elementwise work may join: not where a single sweep, on one thread, is all there is. */
bool group_takes_work(const Group *g);
/* Axes of a reduction, as a bit set. */
unsigned fuse_axes_mask(const Op *op);
/* Whether a cumulative op starts at its axis's end. */
bool fuse_goes_backward(const Op *op);
/* Whether op, which reads `from`, may be a member of group `number`, as far as shapes and reads say. */
bool fuse_fits(Fuser *f, int number, const Op *op, const Reads *from);

/* Whether the op stays what it is, and finds its operands in memory. */
static inline bool op_stands_alone(const Op *op) {
    return op->info->kind == KIND_REGION || op->info->kind == KIND_CHECK || op->info->kind == KIND_OPAQUE;
}

static inline bool value_is_copy(const Fuser *f, const Value *v) { return f->position[v->id] & 1; }

/* What a group computes at a point, members and their weights, is bounded. */
enum { MOST_WORK = 768 };
int fuse_work(const Op *op);
/* Opens a group for the op, which has not joined it yet; returns its number. */
int fuse_open_group(Fuser *f, const Op *op);
/* Whether op, which reads `from`, may join the group; joins it, in the order of positions. */
bool fuse_may_join(Fuser *f, int group, const Op *op, const Reads *from);
void fuse_join(Fuser *f, int group, Op *op, const Reads *from);
/* Notes what a group reads and so has to wait for. */
void fuse_add_needs(Fuser *f, int group, const Reads *from);
/* Finds anew which groups read which values. */
void fuse_note_readers(Fuser *f);
/* Moves elementwise groups from number `first` on into their only readers. */
void fuse_sink(Fuser *f, int first);
/* Groups in the order in which they run; null if they wait for each other. */
int *fuse_order(Fuser *f);

/* Decides what is computed again late instead of being kept: fuse_keep.c. */
void fuse_keep(Fuser *f);
/* Below how many bytes a function keeps everything: the pass's option `keep`. */
int64_t fuse_keep_least(const PassContext *c);

/* Decides what groups compute again instead of reading it; whether g does so. */
void fuse_repeat(Fuser *f);
bool group_repeats(const Group *g, const Value *v);

/* Makes the groups the region's new ops. */
void fuse_write(Fuser *f);

#endif
