/* Signature: an exported function as C sees it.
 *
 * In: a function of the graph and the model's prefix. Out: its symbol and its parameters - first the run-time
 * dims, then the arguments, dims that the call finds, and the results - with names that are C and C++
 * identifiers, all different.
 * The header prints it and the object defines it, so both come from here. Knows nothing of LLVM. */
#ifndef DLCC_CODEGEN_SIGNATURE_H
#define DLCC_CODEGEN_SIGNATURE_H

#include "ir/graph.h"

typedef enum CParamKind { PARAM_DIM, PARAM_ARG, PARAM_RESULT, PARAM_FOUND } CParamKind;

typedef struct CParam {
    CParamKind kind;
    const char *name;          /* in C */
    const char *own_name;      /* in the model; results without one are "result0", ... */
    const char *doc;           /* may be null */
    Type type;                 /* of a dim: a scalar i64 */
    const DimSymbol *dim;      /* of DIM and FOUND */
    bool by_value;             /* dims and scalar arguments */
} CParam;

typedef struct CSignature {
    const Func *func;
    const char *symbol;        /* "digits_train" */
    VEC(CParam) params;
} CSignature;

CSignature signature_of(Arena *arena, const char *prefix, const Func *f);

/* The arguments (PORT_ARG inputs) and the results for the caller, in the order of frame->args and results. */
typedef VEC(CParam) CParams;
CParams func_args(Arena *arena, const Func *f);
CParams func_results(Arena *arena, const Func *f);

/* The symbols of the results' extents that are bound while the function runs. */
typedef VEC(const DimSymbol *) DimSymbols;
DimSymbols func_found_dims(Arena *arena, const Func *f);

/* "float", "int32_t", ...; f16 and bf16 are their bits, "uint16_t". */
const char *c_type_name(DType t);
/* Text as the beginning of identifiers: what cannot stand in one becomes '_'. */
const char *c_prefix(Arena *arena, const char *text);
/* Text as an identifier of C and C++: the same, and reserved words get a '_' behind. */
const char *c_identifier(Arena *arena, const char *text);

#endif
