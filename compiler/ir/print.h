/* The text of graph IR. Reading it back (read.h) gives a module that prints the same.
 *
 *   module @digits doc "..."
 *   dim B in 1..512
 *   dim T2 in 0..256 = floor(T / 2)
 *   param @fc1.weight : f32[512,784] order [1,0] doc "..."
 *   func @train(%x: f32[B,784] = arg "x", %w: f32[512,784] = var @fc1.weight, %seed: i64 = seed) dims(B) {
 *     %3 = dot_general %x, %w {lhs_batch = [], ...} : f32[B,512]
 *     %a, %b = some_op %1 : f32[B], i32[B] (%p: f32[3]) {
 *       yield %p
 *     }
 *     return %loss as "loss" doc "...", %w2 -> @fc1.weight
 *   }
 *   init func @init(%seed: i64 = seed) { ... }
 *
 * Values are named by their hint, made unique with a suffix, or by their number. Dims that nothing uses
 * are left out, as are spans. Names that are no identifiers are quoted. */
#ifndef DLCC_IR_PRINT_H
#define DLCC_IR_PRINT_H

#include "ir/graph.h"

void module_print(const Module *m, Text *to);
/* One function, without the module's dims and variables. */
void func_print(Func *f, Text *to);
/* One op on one line for messages, its regions left out. */
void op_print(const Op *op, Text *to);

/* Pieces that the text of kernel IR shares. The head of a function, from @name to its doc; a variable's line;
 * a line "WORD name in lower..upper [= floor(..)]" for each symbol used[id] of a table; dims_mark sets used[] for
 * the symbols in d, those behind derived ones too. */
void func_print_head(Func *f, Text *to);
void var_print(const Module *m, const Var *v, Text *to);
void dims_mark(const DimTable *t, Dim d, bool *used);
void dims_print(const DimTable *t, const bool *used, const char *word, Text *to);

/* "param", "state", "slot", "cache". */
const char *var_kind_name(VarKind kind);

#endif
