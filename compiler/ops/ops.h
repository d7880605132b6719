/* The operator table: everything the compiler knows of an operator, in one place.
 *
 * Operators are few and closed under differentiation. Names and meaning are StableHLO's. Passes and code
 * generation ask for an operator's kind and properties, never for its name. Elementwise operators are
 * rows of elementwise.def; the others are one block each in the file of their kind (reduce.c,
 * contract.c, move.c, index.c, region.c), holding shape rule, gradient rule and reference evaluation
 * next to each other. table.c lists them all. */
#ifndef DLCC_OPS_OPS_H
#define DLCC_OPS_OPS_H

#include "ir/graph.h"

typedef enum OpKind {
    KIND_MAP,        /* elementwise; operands and result have one shape; also constants and iota */
    KIND_REDUCE,     /* over axes, by a monoid or an arg-reduction */
    KIND_CONTRACT,   /* dot_general, convolution */
    KIND_MOVE,       /* pure index maps */
    KIND_INDEX,      /* data-dependent addresses, checked */
    KIND_REGION,     /* scan, while, cond, fusion */
    KIND_OPAQUE      /* a routine of its own */
} OpKind;

/* Element functions: what a MAP computes per element, a REDUCE combines by, kernel IR is made of.
 * MAP_name for every row of elementwise.def. */
typedef enum MapFn {
#define ELEMENTWISE(name, ...) MAP_##name,
#include "ops/elementwise.def"
#undef ELEMENTWISE
    MAP_COUNT
} MapFn;

/* Which element types an elementwise operator takes. */
typedef enum TypeClass {
    CLASS_FLOAT = 1, CLASS_INT = 2, CLASS_BOOL = 4,
    CLASS_NUMBER = CLASS_FLOAT | CLASS_INT, CLASS_LOGIC = CLASS_INT | CLASS_BOOL, CLASS_ANY = 7
} TypeClass;

enum OpFlags {
    OP_COMMUTATIVE = 1,
    OP_ZERO_GRADIENT = 2,      /* gradient defined as zero (floor, comparisons) */
    OP_COSTLY = 4,             /* transcendental: recomputing it costs more than a load */
    OP_PREDICATE = 8           /* result is bool whatever the operands */
};

typedef struct GradContext GradContext;       /* ops/grad.h */
typedef struct EvalContext EvalContext;       /* interp.h */

typedef struct AttrSpec {
    const char *key;
    AttrKind kind;
    bool optional;
} AttrSpec;

struct OpInfo {
    const char *name;
    OpKind kind;
    int min_operands, max_operands;    /* max -1: any number */
    int result_count;                  /* -1: as the regions say */
    int region_count;
    unsigned flags;
    MapFn map;                         /* MAP: the element function; REDUCE: the combining one */
    TypeClass types;                   /* MAP */
    const AttrSpec *attrs;             /* ends with a null key */
    const char *doc;                   /* one sentence with shapes */
    /* Sets the results' types from operands and attributes, or returns a reason why it cannot, in the
     * module's arena. */
    const char *(*infer)(Module *m, Op *op);
    /* Appends ops that compute the operands' gradients from the results'. `dy[i]` may be null (no
     * gradient flows); leave dx[i] null for none. Null: the operator has no gradient. */
    void (*grad)(GradContext *g, const Op *op, Value *const *dy, Value **dx);
    /* Evaluates in f64 and i64. */
    void (*eval)(EvalContext *e, const Op *op);
    /* Generated tests draw MAP operands from these ranges, away from kinks (null for others). */
    const double *sample_low, *sample_high;
    double ulp;                        /* promised f32 accuracy of a MAP; 0: correctly rounded */
};

/* The table. */
const OpInfo *const *op_table(int *count);
const OpInfo *op_find(const char *name);                   /* null if there is none */
const OpInfo *op_of_map(MapFn f);

/* Structured operators by identifier, for builders and rules. MAPs are found by op_of_map. */
extern const OpInfo OP_reduce_sum, OP_reduce_max, OP_reduce_min, OP_reduce_prod, OP_reduce_and, OP_reduce_or,
    OP_argmax, OP_argmin;
extern const OpInfo OP_dot_general;
extern const OpInfo OP_broadcast_in_dim, OP_reshape, OP_transpose, OP_slice, OP_pad, OP_concatenate, OP_reverse;
extern const OpInfo OP_gather, OP_scatter_add;
extern const OpInfo OP_fusion;

/* Element functions on numbers: floats in f64, integers and bool in i64 (wrapped to `t` by the caller). */
double map_eval_float(MapFn f, const double *x);
int64_t map_eval_int(MapFn f, const int64_t *x);
/* Value of the neutral element of a reducing function in type t (e.g. 0 for add, -inf for maximum). */
double map_neutral(MapFn f, DType t);

#endif
