/* Roles: what tools may know of a function without being told. Knows nothing of LLVM. */
#ifndef DLCC_CODEGEN_ROLE_H
#define DLCC_CODEGEN_ROLE_H

#include "ir/graph.h"

/* What an argument or a result is for (dlrt.h, DlrtRole), by its type and name. `place` counts among the
 * function's arguments or results. */
int role_of_arg(Arena *arena, const Func *f, int place);
int role_of_result(Arena *arena, const Func *f, int place);
/* DLRT_FN_ flags. */
int func_flags(const Func *f);

#endif
