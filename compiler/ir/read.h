/* Reads the text of graph IR (print.h shows it).
 *
 * What comes out has passed the verifier: names are known, every op's result types are what the operator
 * infers from its operands. Mistakes are reported as DL06xx with their place, several a run; the text can
 * be any bytes at all. */
#ifndef DLCC_IR_READ_H
#define DLCC_IR_READ_H

#include "ir/graph.h"

/* The module in a source of diags (diag_add_source), or null if anything was reported. */
Module *module_read(Arena *arena, Interner *names, Diags *diags, uint32_t source);

#endif
