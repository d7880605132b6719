/* Reads the text of kernel IR (kernel_print.h shows it).
 *
 * What comes out has passed the verifier. Its graph module holds names, dims, variables and the functions'
 * signatures: bodies have no operations, and yields only types. Mistakes are reported as DL06xx with their
 * place, several a run; the text can be any bytes at all. */
#ifndef DLCC_IR_KERNEL_READ_H
#define DLCC_IR_KERNEL_READ_H

#include "ir/kernel.h"

/* The module in a source of diags (diag_add_source), or null if anything was reported. */
KModule *kernels_read(Arena *arena, Interner *names, Diags *diags, uint32_t source);

#endif
