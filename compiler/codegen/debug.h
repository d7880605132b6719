/* Debug: with dlcc -g, line tables that lead from machine code to the model's source, for debuggers and profilers.
 *
 * A kernel's code has the lines of the operations that it computes, and where those are not told apart that of the step
 * that it was made for; a gradient's is the line of the operation whose gradient it is. An entry has the lines of its
 * steps. Without -g (e->debug is null) none of these does anything. */
#ifndef DLCC_CODEGEN_DEBUG_H
#define DLCC_CODEGEN_DEBUG_H

#include "codegen/emit.h"

/* Sets e->debug if the options ask for it. The module is ready when debug_finish has been called. */
void debug_start(Emit *e);
void debug_finish(Emit *e);

/* Around the building of a function that has a place in the source: what is built in between is at `span`, or where
 * debug_at says; at the function's line if there is no place. */
void debug_function_begin(Emit *e, LLVMValueRef function, const char *name, Span span);
void debug_function_end(Emit *e, LLVMValueRef function);
void debug_at(Emit *e, Span span);

/* The place of the first step that runs a kernel. */
Span debug_kernel_span(const KModule *m, const Kernel *k);

#endif
