/* Bodies: what scan, loop, cond, recompute and functions with a gradient of their own have in common. Private to the
 * elab_* files.
 *
 * A body is elaborated into a region of its own; the tensors it reads from outside become operands when it is closed
 * (ops/build.h). What it changes - carries, locals of `var`, variables written by `<-` - has to leave it as a result.
 * Locals are known from the text beforehand, variables only once the body has been elaborated: where a body needs them
 * as carries (scan, loop) it is elaborated again with those that the attempt before wrote. */
#ifndef DLCC_DSL_ELAB_REGION_H
#define DLCC_DSL_ELAB_REGION_H

#include "elab.h"

/* ------------------------------------------------------------------ leaves */

typedef VEC(Value *) Leaves;

/* What kept a value from fitting: the parts that differ. */
typedef struct Misfit { Val wanted, found; } Misfit;

/* DL0301 where only shapes differ, else DL0302. */
DiagCode misfit_code(const Misfit *m);

/* The value with a tensor wherever it holds one or a number, in order in *to too; other things in it are a mistake,
 * reported as `what`. POISON after a report. */
Val leaves_of(Elab *e, Span at, const char *what, Val v, Leaves *to);
/* The value with the current versions of the variables in it. */
Val leaves_read(Elab *e, Span at, Val v);
/* The value with its tensors replaced by `values` from *next on. */
Val leaves_replace(Elab *e, Val v, Value *const *values, int *next);
/* Puts the tensors of `v` into *to if it is built as `like` is, with equal types; numbers take the type they meet.
 * False after a report or, with *misfit set, without one. */
bool leaves_fit(Elab *e, Span at, Val like, Val v, Leaves *to, Misfit *misfit);

/* ------------------------------------------------------------------ locals */

/* A local of `var` declared around a body that assigns it. */
typedef struct Local {
    const char *name;
    Val before;                /* its value outside */
} Local;
typedef VEC(Local) Locals;

void locals_assigned(Elab *e, const Node *body, Locals *to);

/* ------------------------------------------------------------------ bodies */

/* A body under construction. */
struct Body {
    Body *outer;
    Builder b;                 /* appends to it */
    const char *pure;          /* what it is called that cannot write variables; null: it can */
    const Node *backward_of;   /* the function whose own gradient it is, or null */
    bool loops;                /* it runs more than once */
    Value *index;              /* loops: how many times it ran before, or where a scan is (i64) */
    bool index_used;
    Dim length;                /* of a scan; null: unknown */
    bool takes_yields;
    Val yielded;               /* with tensors; NONE: nothing yet */
    Leaves yields;
    Span yield_at;
};

/* What of a function under construction an attempt at a body can change. */
typedef struct Mark {
    VEC(Version) versions;
    VEC(SiteCount) sites;
    int old, bound;
    Region *region;
    Body *body;
    Scope *scope;
} Mark;

Mark mark_function(Elab *e);
/* Ends bodies: versions, region and scope are those of the mark again. */
void mark_leave(Elab *e, const Mark *m);
/* The same as if the body had never been: draws are counted anew too. */
void mark_undo(Elab *e, const Mark *m);

typedef VEC(Var *) Vars;
/* The variables written since the mark, by id. */
Vars vars_written(Elab *e, const Mark *m);

/* Whether a body can be built here: in a function, and not inside too many others. Reports if not. */
bool body_allowed(Elab *e, Span at);
/* A new region, in which the builder appends, in a scope of its own. */
void body_begin(Elab *e, Body *body);
Value *body_param(Elab *e, Type type, const char *name);
/* The variable's version in the body becomes the value; a constant for gradients, as what is read from a written
 * variable is. */
void body_take_var(Elab *e, Var *var, Value *v);
/* Reports a value that leaves a body if its type names a dim bound there: those from `first` to before `end` of
 * FuncBuild.bound. */
bool body_dims_stay(Elab *e, Span at, int first, int end, const Leaves *leaving);

/* What a body being built or one around it is called if it cannot write variables, else null. */
const char *body_is_pure(const Elab *e);

/* Where a draw of random numbers is, for each element: the elements' places, moved on by the loops around. */
Value *body_draw_index(Elab *e, Builder *b, Value *index, Dim elements);

#endif
