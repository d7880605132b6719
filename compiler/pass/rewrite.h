/* Rewriting a function in one walk, in the time of its length.
 *
 * Every op is shown once, definitions before uses, with its operands already rewritten and its regions
 * done. The callback keeps it or gives values that stand for its results; ops that it needs are appended
 * through the builder and land before the op. Nothing else may be changed. */
#ifndef DLCC_PASS_REWRITE_H
#define DLCC_PASS_REWRITE_H

#include "ops/build.h"

/* Null to keep the op, else an array of values to use instead of its results; the op is dropped. */
typedef Value *const *RewriteFn(void *user, Builder *b, Op *op);

/* Returns the number of ops replaced. Numbers the function before; new values have no number. */
int graph_rewrite(Func *f, Arena *scratch, RewriteFn *rewrite, void *user);

/* Drops the ops of whose results none is used; checks, and ops that hold checks, stay. Numbers the function before.
 * Returns which values are used, by number. */
bool *graph_sweep(Func *f, Arena *scratch);

/* The same, and takes from operators with bodies the results, carries and operands that nothing uses (trim.c). */
bool *graph_trim(Func *f, Arena *scratch);

/* Calls visit for each function of the module, init and prepare included. */
typedef void FuncVisitor(void *user, Func *f);
void module_each_func(Module *m, FuncVisitor *visit, void *user);

#endif
