/* Elaboration: an abstract interpreter from syntax tree to graph. Private to dsl/.
 *
 * It runs the program once with compile-time values where they are known - hyper-parameters, layers, dims,
 * lists - and with graph values where they are not. Functions are inlined at each call, so they are generic
 * over everything. Loops, branches and recursion over compile-time values are gone afterwards.
 *
 * Throughout:
 *   - a mistake is reported once and its value is POISON; whatever meets POISON gives POISON, silently;
 *   - reading a module variable gives its current version in the function being built; writing one makes a
 *     new version (FuncBuild.versions), so program order is the order of elaboration;
 *   - diagnostics and op spans point into the user's source: inside the library at the call that led there. */
#ifndef DLCC_DSL_ELAB_H
#define DLCC_DSL_ELAB_H

#include "ast.h"
#include "base/map.h"
#include "dsl.h"
#include "ops/build.h"

enum {
    MAX_EVAL_DEPTH = 6000,     /* nested evaluations: bounds the C stack */
    MAX_CALL_DEPTH = 200,      /* nested calls of functions and layers */
    MAX_EVAL_STEPS = 5000000  /* evaluations in all */
};

typedef struct Elab Elab;
typedef struct Scope Scope;
typedef struct Instance Instance;
typedef struct Optimizer Optimizer;
typedef struct Unit Unit;
typedef struct Builtin Builtin;
typedef struct Sig Sig;
typedef struct BuiltinCall BuiltinCall;
typedef struct Body Body;

/* ------------------------------------------------------------------ values */

typedef enum ValKind {
    VAL_POISON,                /* of a reported mistake */
    VAL_NONE,
    VAL_INT, VAL_FLOAT, VAL_BOOL, VAL_STR,
    VAL_DIM,                   /* a run-time dim or polynomial; never constant */
    VAL_TENSOR,
    VAL_VAR,                   /* a parameter or state itself; its current version where a tensor is needed */
    VAL_LIST, VAL_TUPLE,
    VAL_MAP,                   /* from variables to values: gradients, params(...) */
    VAL_LAYER,                 /* an instance */
    VAL_CLASS,                 /* a layer, model or optimizer to make instances of */
    VAL_FN, VAL_BUILTIN,
    VAL_OPTIMIZER,             /* an instance, some arguments perhaps still missing */
    VAL_DTYPE,
    VAL_LIKE,                  /* shape and element type of something */
    VAL_BOUND,                 /* a dim declared at file level */
    VAL_FILE                   /* an import under a name */
} ValKind;

typedef struct Val Val;
typedef struct Vals { int n; Val *at; } Vals;
typedef struct ParamMap ParamMap;
typedef struct FnRef FnRef;

struct Val {
    ValKind kind;
    union {
        int64_t i;
        double f;
        const char *s;
        Dim dim;
        Value *tensor;
        Var *var;
        const Vals *list;          /* LIST, TUPLE */
        const ParamMap *map;
        Instance *layer;
        const struct ClassRef *class;
        const FnRef *fn;
        const Builtin *builtin;
        Optimizer *optimizer;
        DType dtype;
        const struct Like *like;
        const struct Bound *bound;
        Unit *file;
    };
};

struct ParamMap { int n; Var **keys; Val *values; };
struct FnRef { const Node *decl; Instance *self; Unit *unit; };
typedef struct ClassRef { const Node *decl; Unit *unit; } ClassRef;
/* Either a tensor type or, with `map`, one for each key. */
typedef struct Like { Type type; const ParamMap *map; } Like;
typedef struct Bound { const Node *decl; const char *name; int64_t lower, upper; } Bound;

#define POISON ((Val){.kind = VAL_POISON})
#define NONE_VAL ((Val){.kind = VAL_NONE})
static inline Val val_int(int64_t i) { return (Val){.kind = VAL_INT, .i = i}; }
static inline Val val_float(double f) { return (Val){.kind = VAL_FLOAT, .f = f}; }
static inline Val val_bool(bool b) { return (Val){.kind = VAL_BOOL, .i = b}; }
static inline Val val_str(const char *s) { return (Val){.kind = VAL_STR, .s = s}; }
/* A dim as a value: INT when constant. */
static inline Val val_dim(Dim d) {
    return dim_is_const(d) ? val_int(dim_value(d)) : (Val){.kind = VAL_DIM, .dim = d};
}
/* A graph value; null (a builder's reported failure) is POISON. */
static inline Val val_tensor(Value *v) { return v ? (Val){.kind = VAL_TENSOR, .tensor = v} : POISON; }
static inline Val val_var(Var *v) { return (Val){.kind = VAL_VAR, .var = v}; }
static inline bool is_poison(Val v) { return v.kind == VAL_POISON; }
static inline bool is_runtime(Val v) { return v.kind == VAL_TENSOR || v.kind == VAL_VAR; }
static inline bool is_size(Val v) { return v.kind == VAL_INT || v.kind == VAL_DIM; }
/* Numbers without an element type of their own; they take that of the tensor they meet. */
static inline bool is_number(Val v) { return is_size(v) || v.kind == VAL_FLOAT; }

Val val_list(Elab *e, ValKind kind, const Val *at, int n);
/* What a value is, for messages: "f32[B,784]", "the integer 3", "a layer Linear". */
const char *val_text(Elab *e, Val v);
const char *elab_dim_text(Elab *e, Dim d);
/* Shape of a tensor or variable. */
Type val_type(Val v);

/* ------------------------------------------------------------------ scopes */

typedef struct Binding {
    const char *name;
    Val val;
    Span span;
    bool mutable;              /* of `var` and carries */
    Span changed;              /* its last assignment, if any */
} Binding;

struct Scope {
    Scope *parent;
    VEC(Binding) all;
    bool tainted;              /* a syntax error may have hidden definitions: unknown names are silent */
};

/* A source file: the main one, an import, or one of the library. */
struct Unit {
    const char *path;
    uint32_t source;
    const Node *tree;
    Scope *scope;              /* its declarations and imports; parent: the library */
    bool library;
    bool broken;               /* has syntax errors */
    bool loading;              /* its imports are being read: met again, it is a circle */
};

Scope *scope_new(Elab *e, Scope *parent);
/* The newest binding of the name, outwards; null if there is none. */
Binding *scope_find(Scope *s, const char *name);
Binding *scope_find_local(Scope *s, const char *name);
void scope_bind(Elab *e, Scope *s, const char *name, Val val, Span span);
bool scope_tainted(const Scope *s);
/* The name nearest to `name` among all that can be seen, or null. */
const char *scope_nearest(Elab *e, const Scope *s, const char *name);
/* Who has made more mistakes than that has another trouble than a name. */
enum { MOST_SUGGESTIONS = 100 };
/* Adds to an unknown name's report what it is called here, or a name nearby, which it returns. */
const char *scope_suggest(Elab *e, int diag, const Scope *s, const char *name);

/* --------------------------------------------------------------- instances */

struct Instance {
    const Node *decl;          /* LAYER or MODEL */
    Unit *unit;
    const char *path;          /* "" for the model */
    Scope *scope;              /* hyper-parameters and members; parent: the unit's */
    Vals args;                 /* bound hyper-parameters, in order (for clone) */
    VEC(Var *) vars;           /* own and sub-layers', in declaration order */
    VEC(Instance *) parts;     /* made by its lets */
    const Node *call;          /* its unnamed function, or null */
    bool broken;               /* its declaration had errors: unknown members are silent */
};

typedef struct Args {
    int n;
    Val *vals;
    const Node **nodes;        /* ARGUMENT nodes; null entries allowed */
    const char **names;        /* null: positional */
    Span at;                   /* of the call */
} Args;

struct Optimizer {
    const Node *decl;
    Unit *unit;
    const char *name;          /* in the names of its state: its `let`'s path; null: its statement's own */
    Args args;                 /* given so far, all by name */
    Optimizer *origin;         /* the instance that owns the state */
    const char *unique;        /* of an origin: name, made unique when first applied */
};

/* ------------------------------------------------------- function being built */

typedef struct Version {
    Value *value;              /* null: not read yet */
    bool written;
    bool sealed;               /* cut off from the gradient, as reads of written versions are */
    int writes;                /* how often it was written so far */
} Version;

typedef struct OldVersion {
    Var *var;
    Value *value;
} OldVersion;

/* A statement's own optimizer. */
typedef struct Anonymous {
    const Node *statement;
    const Instance *self;
    Optimizer *optimizer;
} Anonymous;

typedef struct SiteCount {
    const char *path;
    int n;
} SiteCount;

/* A dim bound to a value of the function. */
typedef struct BoundDim {
    const char *name;          /* as the source has it */
    int symbol;
    Span span;
} BoundDim;

/* What a loop's body writes, found by running it. */
typedef struct BodyVars {
    const Node *body;
    const Instance *self;
    Var **vars;
    int count;
} BodyVars;

typedef struct FuncBuild {
    Builder b;
    const char *name;
    bool init;                 /* the module's init function */
    bool trains;               /* `training` in it */
    bool differentiates;       /* a gradient with respect to a parameter was taken */
    VEC(Version) versions;     /* by Var.id */
    VEC(OldVersion) old;       /* versions that were overwritten */
    VEC(SiteCount) sites;      /* random draws so far, by instance path */
    const char *site_path;     /* init: the variable whose initial value is computed */
    VEC(Anonymous) anonymous;
    VEC(BoundDim) bound;       /* in the body being built and those around it */
    VEC(BodyVars *) body_vars;
    Body *body;                /* of a scan, cond, ... being built (elab_region.h); null: the function's own */
} FuncBuild;

/* ------------------------------------------------------------------- calls */

/* A call in progress. */
typedef struct Frame {
    struct Frame *caller;
    const char *name;          /* of the function, for notes */
    Instance *self;            /* or null */
    Unit *unit;
    Scope *scope;              /* parameters and dims of its signature */
    bool training;
    bool pure;                 /* a free function: writes nothing */
    bool returned;
    bool tainted;              /* a syntax error may have hidden some of its statements */
    Val result;
    Span result_span;
    Span user;                 /* the innermost place in the user's source that led here */
    int depth;
    const char *layer_path;    /* the caller's, restored afterwards */
    Scope *outer;              /* so is its scope */
} Frame;

struct Elab {
    Arena *arena;
    Interner *names;
    Diags *diags;
    Module *module;
    const DslOptions *options;
    VEC(Unit *) units;
    uint32_t last_library_source;  /* the library's sources come first */
    Scope *builtins;           /* outermost scope */
    Scope *library;
    FuncBuild init;
    FuncBuild *build;          /* null: no function is being built, only compile-time values */
    Frame *frame;
    Scope *scope;
    const char *layer_path;    /* name for a layer made now; null: none can be made */
    bool layer_flat;           /* `as ""`: indices add nothing to the path either */
    Instance *model;
    VEC(Optimizer *) optimizers;
    int depth, steps;
    int writes;                /* of variables, so far */
    bool gave_up;
};

/* ------------------------------------------------------------- diagnostics */

/* Reports at the node, or where the library was called if the node lies in it. Returns the index for
 * diag_label and friends. */
int elab_error(Elab *e, DiagCode code, Span at, const char *format, ...) __attribute__((format(printf, 4, 5)));
/* The same, and gives POISON. */
Val elab_fail(Elab *e, DiagCode code, Span at, const char *format, ...) __attribute__((format(printf, 4, 5)));
bool elab_in_library(const Elab *e, Span at);
/* The place in the user's source that a place stands for. */
Span elab_place(const Elab *e, Span at);
/* Sets the builder's span for what is built next. */
Builder *elab_builder(Elab *e, Span at);
/* Label that says what the expression is and, for a name, where it was defined. */
void elab_label_operand(Elab *e, int diag, const Node *n, Val v);

/* -------------------------------------------------------------- evaluation */

Val elab_eval(Elab *e, const Node *n);
/* Counts work that grows with `n`; false when all steps are spent. */
bool elab_spend(Elab *e, int n);
/* The statements of a block in a scope of their own; the value of the last one. */
Val elab_block(Elab *e, const Node *block);
/* The same in the current scope. */
Val elab_statements(Elab *e, const Node *block);
/* Binds names to a value, taking tuples and lists apart. */
void elab_bind_names(Elab *e, const Node *names, Val v, Span at, bool mutable);
/* A tensor for a value where one is needed: variables are read, numbers become constants of type `want`
 * (DTYPE_COUNT: the default for their kind). Null after a report. */
Value *elab_tensor(Elab *e, Span at, Val v, DType want);
/* Whether a function is being built, in which tensors can be computed; reports if not. */
bool elab_need_function(Elab *e, Span at);
/* A list of sizes as dims; false after a report. */
bool elab_dims(Elab *e, Span at, Val v, Dim *to, int *rank);
/* A size as a Dim; null after a report. */
Dim elab_dim(Elab *e, Span at, Val v);
/* Whether it is true at compile time; false after a report. */
bool elab_truth(Elab *e, Span at, Val v, bool *is_true);
DType elab_dtype(const Elab *e, const char *name, bool *known);

Val elab_unary(Elab *e, const Node *n);
Val elab_binary(Elab *e, const Node *n);
Val elab_binary_vals(Elab *e, Span at, BinaryOp op, Val a, Val b, const Node *left, const Node *right);
Val elab_index(Elab *e, const Node *n);
Val elab_member(Elab *e, const Node *n);
/* Sequence of a `for`: a list, tuple or map as values; false after a report. */
bool elab_sequence(Elab *e, Span at, Val v, Vals *to);

/* Compile-time arithmetic; POISON with *why set when it fails (the caller reports). */
Val number_binary(Elab *e, BinaryOp op, Val a, Val b, const char **why);
/* An element function of compile-time numbers; POISON where the result is no number. */
Val number_map(Elab *e, MapFn f, const Val *args, int n);
/* The *why of comparisons and remainders of dims that are known at run time only. */
extern const char *const number_undecided;
/* Elementwise on anything: numbers fold, maps lift, tensors broadcast and agree in type. `nodes` may be null. */
Val elab_map(Elab *e, Span at, MapFn f, const Val *args, int n, const Node *const *nodes);
Val elab_matmul(Elab *e, Span at, Val a, Val b, const Node *left, const Node *right);
/* f32(x), i32(x), ... */
Val elab_convert(Elab *e, Span at, Val v, DType to);
Val elab_transpose_last(Elab *e, Span at, Value *x);
/* A map of a list of variables; other values stay. */
Val elab_as_map(Elab *e, Val v);

/* ------------------------------------------------------------------- calls */

Val elab_call(Elab *e, const Node *n);
Val elab_call_value(Elab *e, Val callee, const Args *args);
Val elab_call_fn(Elab *e, const FnRef *fn, const Args *args);
/* Binds arguments to parameters in the scope and puts them into `vals`. False after a report. */
bool elab_bind_args(Elab *e, const Node *params, const Args *args, Scope *scope, const char *what, Span decl, Sig *sig,
                    Val *vals);
/* Calls an initialiser for a shape: functions get it as their first argument. */
Val elab_initial(Elab *e, const Node *init, Val like);
/* A call's frame becomes the current one, with a scope under the layer's or unit's. */
void elab_enter_frame(Elab *e, Frame *frame, const char *name, Instance *self, Unit *unit, Span at, bool pure);
void elab_leave_frame(Elab *e);
/* Reports a recursion that does not end. */
bool elab_too_many_calls(Elab *e, Span at);
/* The function's body in the current scope; its results, checked against the declared ones. */
Val elab_run_body(Elab *e, Sig *sig, const Node *fn);

/* ------------------------------------------------------------------- types */

/* What a signature has bound so far. */
struct Sig {
    Scope *scope;              /* takes the dims */
    bool has_rest;
    int rest_rank;
    Dim rest[MAX_RANK];
    Span rest_from;
    bool has_num;
    DType num;
    bool open;                 /* dims that are unknown may be bound (arguments), not only checked */
    const Node *head;          /* of an exported function: its body, whose first statements may say dims by others */
};

/* Checks a value against a declared type, binds dims, and makes numbers tensors. False after a report. */
bool elab_fit(Elab *e, Sig *sig, const Node *type, const char *what, Span decl, Span at, Val *v);
/* The type of a declared variable or exported argument; `exported`: unknown dims become symbols with
 * declared bounds. False after a report. */
bool elab_type(Elab *e, const Node *type, bool exported, Sig *sig, Type *to);
/* A run-time dim of an exported function. */
Dim elab_symbol(Elab *e, const char *name, int64_t lower, int64_t upper);

/* -------------------------------------------------------- layers and models */

Val elab_instantiate(Elab *e, const ClassRef *class, const Args *args);
Val elab_clone(Elab *e, Span at, Instance *of);
Instance *elab_make_model(Elab *e, const ClassRef *class, const Args *args);
/* Adds a var with its initial value; name, doc and place come from its declaration. Null after a report. */
Var *elab_add_var(Elab *e, Instance *owner, VarKind kind, const char *name, Type type, const Node *decl,
                  Value *initial);
const char *elab_join_path(Elab *e, const char *path, const char *step);
/* All vars of a kind in a layer, list of layers, map or list of parameters; false after a report. */
bool elab_collect(Elab *e, Span at, Val v, VarKind kind, ParamMap *to);

Value *elab_read(Elab *e, Span at, Var *var);
/* `<-`: a value of the variable's type becomes its version. */
void elab_write(Elab *e, Span at, Var *var, Val v);
/* The same, unchecked. */
void elab_set_version(Elab *e, Var *var, Value *value);
void elab_export(Elab *e, const Node *fn, Instance *model);
void elab_begin_init(Elab *e);
void elab_end_init(Elab *e);

/* ----------------------------------------------------------------- control */

Val elab_scan(Elab *e, const Node *n);
Val elab_yield(Elab *e, const Node *n);
Val elab_loop(Elab *e, const Node *n);
Val elab_cond(Elab *e, const Node *n);
Val elab_recompute(Elab *e, const Node *n);
/* Checked at compile time where that decides, else when the model runs. */
Val elab_require(Elab *e, const Node *n);
/* `dim L <= 64 = n`: a size known at compile time, a dim, or the value of a tensor from here on. */
/* Whether they can bound a dim; reports if not. */
bool elab_dim_bounds(Elab *e, Span at, Val low, Val high);
void elab_dim_statement(Elab *e, const Node *n);
/* A call of a function that says its gradient itself. */
Val elab_call_custom(Elab *e, Sig *sig, const Node *fn, const Val *args);

/* ---------------------------------------------------------------- training */

Val elab_grad(Elab *e, const BuiltinCall *c);
void elab_minimize(Elab *e, const Node *n);
void elab_apply(Elab *e, const Node *n);
Val elab_make_optimizer(Elab *e, const ClassRef *class, const Args *args);
Val elab_optimizer_more(Elab *e, Optimizer *o, const Args *args);
Val elab_optimizer_member(Elab *e, Span at, Optimizer *o, const char *name);

/* ---------------------------------------------------------------- builtins */

/* A builtin's arguments by parameter; an absent one is NONE. */

struct BuiltinCall {
    const Val *args;
    const Node *const *nodes;  /* null entries: absent */
    Span at;
};

struct Builtin {
    const char *name;
    const char *params;        /* "x axis? keep?": names, a mark on those that may be left out */
    Val (*run)(Elab *e, const Builtin *self, const BuiltinCall *c);
    int detail;
};

void builtins_bind(Elab *e, Scope *scope);
extern const Builtin builtin_sizes[], builtin_tensors[], builtin_index[], builtin_sort[], builtin_windows[],
    builtin_reductions[], builtin_models[];
/* An axis, perhaps negative, as 0 .. rank-1; false after a report. */
bool elab_axis(Elab *e, Span at, Val v, int rank, int64_t *to);
Val elab_call_builtin(Elab *e, const Builtin *b, const Args *args);

/* ------------------------------------------------------------------- files */

/* The library's files, then the user's main file with what it imports. */
void unit_load_library(Elab *e);
Unit *unit_load_main(Elab *e, const char *path, const char *text, size_t length);
/* Names, duplicates, unused names and misplaced statements of one unit, called or not. */
void check_unit(Elab *e, const Unit *u);

#endif
