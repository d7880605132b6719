/* Code: the LLVM module of one compilation; shared by codegen.c, which builds it, and object.c, which makes
 * machine code of it. */
#ifndef DLCC_CODEGEN_CODE_H
#define DLCC_CODEGEN_CODE_H

#include "codegen/codegen.h"
#include "codegen/emit.h"

#include <llvm-c/TargetMachine.h>

struct Code {
    Arena *arena;
    const CodeOptions *options;
    LLVMContextRef context;
    LLVMModuleRef module;
    LLVMTargetMachineRef machine;
    const char *problem;       /* LLVM's first error message, or null */
};

/* The machine for the options' target; null on failure. (object.c) */
LLVMTargetMachineRef code_machine(Arena *arena, const CodeOptions *options, const char **why);
/* Whether the module is well-formed; else *why says what is not. (object.c) */
bool code_verify(Code *code, const char **why);

/* Where a span begins: its source's path as the user named it, and the line. False if it has no place. (debug.c) */
bool code_place(const CodeOptions *options, Span span, const char **path, int *line);

#endif
