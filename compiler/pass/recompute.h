/* Recompute: what the files of the recompute pass share. recompute_line.c knows what lies in memory when,
 * recompute_part.c copies what is computed again, recompute_choose.c chooses it, recompute.c is the pass. */
#ifndef DLCC_PASS_RECOMPUTE_H
#define DLCC_PASS_RECOMPUTE_H

#include "ops/value_map.h"
#include "pass/pass.h"

typedef VEC(Value *) Values;

/* An op of the body that is to run again, for some of its results. */
typedef struct Part {
    Op *op;
    uint64_t results;          /* bit set of those that are wanted */
    Values reads;              /* operands that these need, and results of the op's own that lie in memory */
    bool whole;                /* all of a fusion has to run, as sums are in it */
    bool from_spare;           /* it reads the op's spare result */
    double cost;               /* of one run: see recompute_part.c */
} Part;

/* The body of a fused function, and what its values take of the workspace at each of its ops. Ops are known by their
 * positions, values by their numbers. All from `ops` on is what line_measure found. */
typedef struct Line {
    Module *module;
    Func *func;
    Region *body;
    Arena *scratch;
    ValueMap family;           /* from a value of which there are copies, and from these, to what stands for all */
    /* What contractions could yield besides, that several of their results are computed from: results that nothing
     * reads as long as no part does. */
    ValueMap spare;
    int ops, values;
    int room_ops, room_values, room_uses;
    int *position;             /* by value: of the op that makes it, -1 for parameters */
    int *last;                 /* by value: position of the last op that reads it; `ops` if it is yielded */
    int64_t *bytes;            /* by value: in the workspace; 0 for what lies elsewhere */
    bool *taken;               /* by value: an op changes it in its place */
    int *written;              /* by parameter: position of the op that makes the variable's new version, or `ops` */
    int *first_use, *uses;     /* of value v: uses[first_use[v]] up to uses[first_use[v + 1]], increasing positions */
    int64_t *alive;            /* by position: while the op runs */
    int64_t *across;           /* by position: what is made before the op and read by it or later */
    int64_t *within;           /* by position: of loops and branches, what their bodies take besides */
    int *next_version;         /* by value: the next one of its family, in the order of positions, or -1 */
    Value **value;             /* by number, of the body's own values */
    int *mark, stamp;          /* by value, bodies of ops included: for walks */
    int *cut;
} Line;

/* recompute_line.c */
Line line_new(Func *f, Arena *scratch);
void line_measure(Line *l);
int64_t line_peak(const Line *l);
/* What the op that takes most reads and writes: less cannot be alive. */
int64_t line_floor(const Line *l);
/* How many values are made more than once, each time but the first counted. */
int line_recomputed(const Line *l);
/* v, or what was computed alike after it, where that lies in memory when the op at `at` is about to run; else null. */
Value *line_find(const Line *l, Value *v, int at);
/* The same where it is made at `at` or later. */
Value *line_find_later(const Line *l, const Value *v, int at);
/* Notes that `copy` is computed as v is. */
void line_note_copy(Line *l, const Value *v, Value *copy);
/* Takes away ops, and results of fusions, that nothing uses; spare ones at last. */
void line_tidy(Line *l, bool last);
static inline bool line_is_spare(const Line *l, const Value *v) { return value_map_get(&l->spare, v) != NULL; }
int64_t value_bytes(const Line *l, const Value *v);

/* recompute_part.c */
static inline uint64_t part_all(const Op *op) {
    return op->result_count < 64 ? ((uint64_t)1 << op->result_count) - 1 : ~(uint64_t)0;
}
/* Whether the op can run again whenever its operands are there. */
bool op_runs_again(const Op *op);
/* Sets what the part reads and costs, where it is to run before the op at `at` (-1: nothing that it makes lies in
 * memory yet). Where all of it has to run, all results are wanted. */
void part_measure(Line *l, Part *p, int at);
/* Appends the part's op to `to`; `now` says what its operands are there, and receives its results. */
Op *part_write(Line *l, const Part *p, Region *to, int at, ValueMap *now);

/* recompute_choose.c: the best change that makes less of what exceeds `limit`, made. False if there is none. */
bool line_improve(Line *l, int64_t limit);

#endif
