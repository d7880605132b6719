/* Graph IR: a module of functions over typed tensor values, in SSA form.
 *
 * A function is a pure map. What the language calls parameters, state and caches are module variables
 * (Var); a function that reads one has an input for it, a function that writes one has a result that is
 * its new version. So every read sees a definite version, differentiation sees ordinary values, and
 * re-using memory in place is the planner's business.
 *
 * An operation (Op) is an entry of the operator table (ir/op.h) with operands, attributes, results -
 * several are allowed - and regions (bodies of scan, while, cond, call, fusion). Ops of a region are in an
 * order in which definitions come before uses; they read values of that region alone, of which its
 * parameters are some (ops/region.h says what these stand for).
 *
 * Passes that rewrite build a new body (graph_rebuild) or replace uses (graph_replace_uses); values and
 * ops are never freed. Text form: print.h, read.h; invariants: verify.h. */
#ifndef DLCC_IR_GRAPH_H
#define DLCC_IR_GRAPH_H

#include "base/diag.h"
#include "ir/type.h"

typedef struct OpInfo OpInfo;      /* ir/op.h */
typedef struct Op Op;
typedef struct Region Region;
typedef struct Value Value;
typedef struct Func Func;
typedef struct Module Module;

struct Value {
    Type type;
    Op *op;                    /* the definer; null for a region's parameter */
    Region *region;            /* of a parameter: whose */
    int index;                 /* which result, or which parameter */
    int id;                    /* dense in its function after graph_number, -1 until then */
    const char *name;          /* a hint for printing, may be null */
};

typedef enum AttrKind { ATTR_INT, ATTR_FLOAT, ATTR_TEXT, ATTR_INTS, ATTR_FLOATS, ATTR_DIMS, ATTR_DTYPE } AttrKind;

typedef struct Attr {
    const char *key;           /* interned */
    AttrKind kind;
    int n;                     /* length of a list */
    union {
        int64_t i;
        double f;
        const char *text;
        const int64_t *ints;
        const double *floats;
        const Dim *dims;
        DType dtype;
    };
} Attr;

struct Op {
    const OpInfo *info;
    int operand_count, result_count, attr_count, region_count;
    Value **operands;
    Value *results;            /* array */
    int result_room;           /* how many results fit there: op_reserve_results */
    Attr *attrs;               /* in the order of the table */
    Region **regions;
    Span span;                 /* the source that asked for it */
    Region *parent;
};

struct Region {
    Op *owner;                 /* null for a function's body */
    Func *func;
    VEC(Value *) params;
    VEC(Op *) ops;
    VEC(Value *) yields;
};

/* As DlrtVarKind; the last kind no one sees: what `prepare` makes of variables that stay as they are. */
typedef enum VarKind { VAR_PARAM, VAR_STATE, VAR_SLOT, VAR_CACHE, VAR_PREPARED } VarKind;

typedef struct Var {
    int id;
    const char *name;          /* path: "fc1.weight"; a slot: "fc1.weight.exp_avg" style, unique */
    VarKind kind;
    Type type;                 /* constant extents */
    struct Var *of;            /* SLOT: the parameter whose optimiser state it is element by element, or null */
    int order[MAX_RANK];       /* physical dim order, outermost first; identity unless a pass chose another */
    int64_t split;             /* 0, or the innermost dim there is cut into pieces of so many elements, which it is a
                                * multiple of: which piece is outermost, what is in it innermost */
    int64_t rows;              /* where it may be cut so: what is multiplied with it has so many rows at most; else 0 */
    const char *doc;
    Span span;
} Var;

/* What an input of a function is. */
typedef enum PortKind { PORT_ARG, PORT_VAR, PORT_SEED, PORT_COUNT } PortKind;
typedef struct Port {
    PortKind kind;
    const char *name;          /* argument's name */
    const char *doc;
    Var *var;                  /* of a PORT_VAR */
    Span span;
} Port;

/* What a result of a function is: a result for the caller (var null) or a variable's new version. */
typedef struct Result {
    const char *name;
    const char *doc;
    Var *var;
} Result;

struct Func {
    const char *name;
    const char *doc;
    Module *module;
    Region *body;              /* params match inputs, yields match results */
    VEC(Port) inputs;
    VEC(Result) results;
    VEC(DimSymbol *) dims;     /* free dims of the signature, in order; they are passed at a call */
    int value_count;           /* after graph_number */
    int recomputed;            /* values that the pass `recompute` computes again */
    Span span;
};

struct Module {
    Arena *arena;              /* whole run */
    Interner *names;
    DimTable dims;
    Diags *diags;
    const char *name, *doc;
    VEC(Var *) vars;
    VEC(Func *) funcs;         /* exported ones */
    Func *init;                /* writes every var but prepared ones from PORT_SEED alone */
    Func *prepare;             /* writes the prepared ones from others, whenever these were set; null: there are none */
};

/* ------------------------------------------------------------ construction */

Module *module_new(Arena *arena, Interner *names, Diags *diags, const char *name);
Var *module_add_var(Module *m, VarKind kind, const char *name, Type type);
Var *module_find_var(const Module *m, const char *name);
Func *module_add_func(Module *m, const char *name);         /* appended to funcs */
Func *func_new(Module *m, const char *name);                /* not in funcs */

Region *region_new(Module *m, Func *func, Op *owner);
Value *region_add_param(Module *m, Region *r, Type type, const char *name);
Value *func_add_input(Func *f, Port port, Type type);
void func_add_result(Func *f, Result result, Value *value);
/* The input that reads var, added at the end if new. */
Value *func_var(Func *f, Var *var);
Value *func_seed(Func *f);
Value *func_count(Func *f);

/* An op with room for its operands, results (types unset) and regions, appended to `r`. ops/build.h has
 * the checked way to make one. */
Op *op_append(Module *m, Region *r, const OpInfo *info, Value *const *operands, int operand_count, int result_count,
              const Attr *attrs, int attr_count, int region_count, Span span);

/* Makes room for `room` results in all. Moves them: call it before anything knows them. */
void op_reserve_results(Module *m, Op *op, int room);
/* The room that an op needs whose gradient adds results to it, as any value of its bodies may become one. */
int op_residual_room(const Op *op);
/* Where v is defined. */
static inline Region *value_region(const Value *v) { return v->op ? v->op->parent : v->region; }

Type type_make(Module *m, DType dtype, int rank, const Dim *shape);
Type type_scalar(DType dtype);

/* --------------------------------------------------------------- attributes */

const Attr *op_attr(const Op *op, const char *key);         /* null if absent; key need not be interned */
int64_t op_int(const Op *op, const char *key);
double op_float(const Op *op, const char *key);
const int64_t *op_ints(const Op *op, const char *key, int *n);
const Dim *op_dims(const Op *op, const char *key, int *n);

Attr attr_int(Module *m, const char *key, int64_t i);
Attr attr_float(Module *m, const char *key, double f);
Attr attr_text(Module *m, const char *key, const char *text);
Attr attr_ints(Module *m, const char *key, const int64_t *ints, int n);
Attr attr_floats(Module *m, const char *key, const double *floats, int n);
Attr attr_dims(Module *m, const char *key, const Dim *dims, int n);
Attr attr_dtype(Module *m, const char *key, DType t);
bool attr_equal(const Attr *a, const Attr *b);

/* ---------------------------------------------------------------- traversal */

/* Gives every value of the function, nested regions included, a dense id; returns their number. */
int graph_number(Func *f);
/* Uses of each value by id: in nested regions too; a yield counts. Call graph_number first. */
int *graph_use_counts(Func *f, Arena *scratch);
/* Makes every use of `from` in the function (operands and yields, nested too) a use of `to`. */
void graph_replace_uses(Func *f, Value *from, Value *to);
/* Calls visit for each op of the region and its nested regions, definitions first. */
typedef void OpVisitor(void *user, Op *op);
void region_walk(Region *r, OpVisitor *visit, void *user);

#endif
