/* What an operator is: the form of a row of the operator table, and how rows are found.
 *
 * Everything the compiler knows of an operator stands in its row. Passes and code generation ask for an operator's
 * kind and properties, never for its name. Elementwise operators are rows of elementwise.def, which is here because
 * kernel IR too is made of its element functions; what a row's columns mean is worked out in ops/. The structured
 * ones are defined in ops/, one block each in the file of their kind.
 *
 * The rows lie in ops/, and so do op_table, op_find, op_of_map and op_infer: this level reads, prints and verifies IR
 * by the declarations alone and does not include ops/, but a program needs ops/ to link. */
#ifndef DLCC_IR_OP_H
#define DLCC_IR_OP_H

#include "ir/graph.h"

typedef enum OpKind {
    KIND_MAP,        /* elementwise; operands and result have one shape; also constants and iota */
    KIND_REDUCE,     /* over axes, by a monoid or an arg-reduction */
    KIND_CUMULATE,   /* along an axis, each element from those before it: a reduction's running value */
    KIND_CONTRACT,   /* dot_general, convolution */
    KIND_MOVE,       /* pure index maps */
    KIND_INDEX,      /* data-dependent addresses, checked */
    KIND_REGION,     /* scan, while, cond, call, fusion */
    KIND_OPAQUE,     /* a routine of its own */
    KIND_CHECK       /* no result: holds at run time, or the call ends with a status; never removed */
} OpKind;

/* How often, and which of, the regions of a KIND_REGION operator run. */
typedef enum RegionForm {
    FORM_NONE,
    FORM_ONCE,       /* its one body, once: fusion; or call, which `inline` replaces by it */
    FORM_SCAN,       /* the body, `length` times: ops/region.h */
    FORM_WHILE,      /* condition, body, condition, ... */
    FORM_CHOICE      /* one of the two */
} RegionForm;

/* Element functions: what a MAP computes per element, a REDUCE combines by, kernel IR is made of.
 * MAP_name for every row of elementwise.def. */
typedef enum MapFn {
#define ELEMENTWISE(name, ...) MAP_##name,
#include "ir/elementwise.def"
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
    OP_PREDICATE = 8,          /* result is bool whatever the operands */
    OP_RELABELS = 64,          /* MOVE: the result's elements are the operand's, in the same row-major order */
    OP_STOPS_GRADIENT = 16,    /* the zero gradient is what the user asked for */
    OP_UPDATES = 128,          /* an INDEX op whose result is its first operand, changed where indices say: lowering
                                  writes into that operand's memory where it is dead after, else into one copy */
    OP_AT_BOX = 256,           /* an INDEX op at one box, whose corner its scalar operands say (ops/index.h) */
    OP_OVERWRITES = 512,       /* an INDEX op that updates puts the new instead of the old, not `map` of both */
    OP_BINDS_DIM = 1024,       /* a CHECK that binds the symbol in `dims` to its operand from here on */
    OP_BARRIER = 2048,         /* a MOVE of operand 0 that is not to be computed before the other operands are, and
                                  that says no more than this: not to be looked through where ops are merged */
    OP_CALLS = 4096,           /* a REGION whose body `inline` puts in its place */
    OP_LEAVES_GAPS = 8192,     /* a MOVE: where no operand lies its result is 0 */
    OP_ANY_ORDER = 16384,      /* a MOVE whose attributes' `dims` say all about the order of dims: operands transposed
                                  alike give the result transposed (as those of MAP, REDUCE and CUMULATE do) */
    OP_REPEATS = 32768,        /* a MOVE, the operand's dims being some of the result's, in their order: `axes` of
                                  `shape` */
    OP_ARG_REDUCTION = 32      /* a REDUCE or CUMULATE whose result is where (an index), not what */
};

struct IndexPoint;
struct Contraction;
typedef struct GradContext GradContext;       /* ops/grad.h */
typedef struct EvalContext EvalContext;       /* ops/eval.h */

/* How a value depends on others: not at all, only through zero-gradient operators, or differentiably. */
typedef enum Dependence { DEPENDS_NOT, DEPENDS_FLAT, DEPENDS } Dependence;

/* What an attribute has to do with dims of the operands or of the result: how it changes when these are reordered. */
typedef enum AttrDims {
    DIMS_NONE,
    DIMS_AXIS,       /* the number of a dim */
    DIMS_AXES,       /* numbers of dims, increasing */
    DIMS_ALONG,      /* an entry for each of those numbers */
    DIMS_EACH        /* an entry for each dim */
} AttrDims;

typedef struct AttrSpec {
    const char *key;
    AttrKind kind;
    bool optional;
    AttrDims dims;   /* read by op_permuted (ops/permute.h) alone */
} AttrSpec;

struct OpInfo {
    const char *name;
    Place at;
    OpKind kind;
    int min_operands, max_operands;    /* max -1: any number */
    int result_count;                  /* -1: as the regions say, or infer checks it */
    int region_count;                  /* -1: one or two, as `infer` says */
    RegionForm form;                   /* REGION: see there */
    unsigned flags;
    MapFn map;                         /* MAP: the element function; REDUCE, CUMULATE, INDEX: the combining one */
    /* Element types of the operands, a letter each, the last for all further ones: T one common type out
     * of `types`, b bool, i any integer, l i64, * any type of its own. */
    const char *signature;
    TypeClass types;
    const AttrSpec *attrs;             /* ends with a null key; null for none */
    const char *doc;                   /* one sentence with shapes */
    /* Sets the results' types from operands and attributes, or returns a reason why it cannot, in the
     * module's arena. Called by op_infer, which has checked counts, attributes and element types. */
    const char *(*infer)(Module *m, Op *op);
    /* Appends ops that compute the operands' gradients from the results'. `dy[i]` may be null (no
     * gradient flows); leave dx[i] null for none. Null: the operator has no gradient. */
    void (*grad)(GradContext *g, const Op *op, Value *const *dy, Value **dx);
    /* REGION: how each result depends on the values differentiated for, from how each operand does; null: each result
     * as the most dependent operand. */
    void (*depend)(struct Module *m, const Op *op, const Dependence *operands, Dependence *results);
    /* Evaluates in f64 and i64. */
    void (*eval)(EvalContext *e, const Op *op);
    /* MOVE: how it reads its operands (ops/index_map.h). */
    bool (*index_map)(const Op *op, int operand, struct IndexPoint *point);
    /* OPAQUE: which routine of the runtime does it (DlrtRoutine in dlrt.h), into how many independent rows its work
     * falls, and how many bytes of scratch a thread needs for one (at the dims' upper bounds). */
    int routine;
    Dim (*rows)(Module *m, const Op *op);
    Dim (*scratch)(Module *m, const Op *op);
    /* CONTRACT: the nest of axes it sums over, by c->dims. False if the operands cannot be read that way. */
    bool (*contract)(const Op *op, struct Contraction *c);
    /* Generated tests draw MAP operands from these ranges (null: none), at least 1e-3 away from kinks;
     * `kink` is the distance of operand values from the nearest one. */
    const double *sample_low, *sample_high;
    double (*kink)(const double x[3]);
    double ulp;                        /* promised f32 accuracy of a MAP; 0: correctly rounded */
};

/* The table. */
const OpInfo *const *op_table(int *count);
const OpInfo *op_find(const char *name);                   /* null if there is none */
const OpInfo *op_of_map(MapFn f);

typedef enum OpFault { FAULT_NONE, FAULT_FORM, FAULT_TYPE, FAULT_SHAPE } OpFault;
/* Checks an op against its row - operand and region counts, attributes, element types, shapes - and sets
 * its results' types. On a fault returns the reason, in the module's arena, and its sort in *fault
 * (which may be null). The op must have result_count results; it may be wrong in any other way. */
const char *op_infer(Module *m, Op *op, OpFault *fault);

#endif
