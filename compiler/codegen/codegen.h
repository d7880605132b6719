/* Code generation: kernel IR to machine code. The only part of the compiler that includes LLVM's headers; this
 * header does not, so that the driver needs none.
 *
 *     Code *code = code_build(arena, kernels, &options, &why);   kernels, entries, tables as LLVM IR
 *     code_optimise(code, &why);                                 LLVM's passes over it
 *     code_emit(code, CODE_OBJECT, &bytes, &n, &why);            any number of formats
 *     code_free(code);
 *
 * A failure here is the compiler's, not the user's: `why` is LLVM's explanation. */
#ifndef DLCC_CODEGEN_CODEGEN_H
#define DLCC_CODEGEN_CODEGEN_H

#include "base/diag.h"
#include "ir/kernel.h"
#include "target/target.h"

typedef struct CodeOptions {
    const Target *target;
    const char *prefix;        /* of exported symbols, a C identifier: "digits" */
    int level;                 /* 0 .. 3 */
    const Diags *sources;      /* what places in the source are of; may be null without the two below */
    bool profile;              /* entries record what their steps do */
    bool debug;                /* the code has line tables */
    const char *folder;        /* debug: what relative paths of sources start from */
} CodeOptions;

typedef enum CodeFormat { CODE_LLVM, CODE_ASSEMBLY, CODE_OBJECT } CodeFormat;

typedef struct Code Code;

/* LLVM's words for this machine: triple, processor, feature list. */
typedef struct CodeHost {
    const char *triple, *cpu, *features;
} CodeHost;
CodeHost code_host(Arena *arena);
/* "19.1.7" */
const char *code_llvm_version(Arena *arena);

/* The module, verified; null on failure. `kernels` and `options` must outlive it. */
Code *code_build(Arena *arena, KModule *kernels, const CodeOptions *options, const char **why);
bool code_optimise(Code *code, const char **why);
/* The bytes lie in the arena; text has a terminating zero that *n does not count. Equal input gives equal bytes. */
bool code_emit(Code *code, CodeFormat format, const char **bytes, size_t *n, const char **why);
void code_free(Code *code);

/* Calls `handler` when LLVM gives up on an internal error; it must not return. */
void code_on_fatal_error(void (*handler)(const char *reason));

#endif
