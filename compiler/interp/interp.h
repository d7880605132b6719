/* The interpreter: the slow, obviously right evaluator of graph IR, in f64.
 *
 * Every operator is evaluated by its own rule (OpInfo.eval), one after the other, nothing fused. Floats
 * are doubles all the way, whatever their dtype, unless `round` asks for each op's results to be rounded
 * to their type: the first is for gradient checks and as yardstick, the second to see what a type's
 * precision does. Faults of the data (an index out of range, arguments that do not fit) end an evaluation
 * with a message; they change nothing. */
#ifndef DLCC_INTERP_INTERP_H
#define DLCC_INTERP_INTERP_H

#include "ops/eval.h"

/* ------------------------------------------------------------- one function, by value */

typedef struct InterpCall {
    Func *func;
    Arena *arena;              /* holds all tensors of the evaluation, the wanted ones too */
    bool round;
    uint64_t *noise;           /* null, or with `round`: see Interp */
    const int64_t *dims;       /* values of dim symbols by id, derived ones left out (interp_bind makes them) */
    Tensor *const *inputs;     /* for each of func->inputs; shapes and types as there */
    StopLog *stops;            /* what stops gradients is written down there or taken from there; null: neither */
    const char *error;         /* set on failure */
} InterpCall;

/* Evaluates some values of the function's body and only what they need. False: call->error says why. */
bool interp_values(InterpCall *call, Value *const *wanted, int n, Tensor **out);
/* Evaluates the function's results, in the order of func->results. */
bool interp_call(InterpCall *call, Tensor **results);

/* Finds the dims' values: `given` are those of func->dims in order (null: unknown), the rest follows from
 * the inputs' shapes. Checks every input's type, rank, extents and the dims' bounds. A null input is left
 * out. Returns an array by symbol id, or null with *error set. */
int64_t *interp_bind(Func *f, const int64_t *given, Tensor *const *inputs, Arena *arena, const char **error);

/* ------------------------------------------------------------- a model, with variables */

typedef struct Interp {
    Module *module;
    Arena *arena;              /* variables, results, errors */
    Arena *scratch;            /* emptied by every call */
    bool round;
    /* Null, or with `round` a generator's state: everything computed is off by up to a unit in the last place, at random
     * (Monte Carlo arithmetic). Several calls show what rounding does to the results. */
    uint64_t *noise;
    int64_t seed;
    Tensor **vars;             /* by variable id; overwrite elements to set a variable */
    int64_t *counts;           /* by exported function: completed calls, the call count the next one sees */
    const char *error;         /* why the last call failed */
} Interp;

/* A model whose variables are all zero. */
Interp *interp_open(Module *m, Arena *arena, Arena *scratch, bool round);
/* Runs the module's init function: every variable anew from the seed; call counts to 0. */
bool interp_init(Interp *in, int64_t seed);
/* Calls an exported function. `args` are its PORT_ARG inputs in order, `dims` as `given` of interp_bind.
 * results[i] receives the i-th result for the caller (in in->arena); then variables are updated. */
bool interp_run(Interp *in, Func *f, const int64_t *dims, Tensor *const *args, Tensor **results);

#endif
