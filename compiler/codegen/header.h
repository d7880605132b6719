/* Header: the C header of a compiled model. */
#ifndef DLCC_CODEGEN_HEADER_H
#define DLCC_CODEGEN_HEADER_H

#include "codegen/codegen.h"

/* The text of PREFIX.h. Arena sizes must be known (place pass). */
const char *header_text(Arena *arena, const KModule *m, const CodeOptions *options);

#endif
