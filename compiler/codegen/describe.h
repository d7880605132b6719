/* Describe: the constant tables of a model - what dlrt.h's reflection reads - and its exported symbols. */
#ifndef DLCC_CODEGEN_DESCRIBE_H
#define DLCC_CODEGEN_DESCRIBE_H

#include "codegen/emit.h"
#include "ir/places.h"

typedef struct Description {
    const char *prefix;        /* of exported symbols, a C identifier */
    const VarPlaces *places;
    LLVMValueRef *entries;     /* by plan */
    LLVMValueRef initialize, prepare;   /* may be null */
} Description;

/* Emits PREFIX_module, the weak dlrt_module, and all that they point to; the DlrtModelInfo. */
LLVMValueRef emit_description(Emit *e, const Description *d);

/* Emits the typed entry points PREFIX_FUNCTION, which call the runtime's dlrt_invoke. (entry.c) */
void emit_typed_entries(Emit *e, const char *prefix, LLVMValueRef info);

/* Two models of equal fingerprint have the same variables: names, types, shapes. */
uint64_t model_fingerprint(const Module *m);

#endif
