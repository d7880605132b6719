/* Typed entry points: DlrtStatus PREFIX_FUNCTION(DlrtContext *, dims..., arguments..., found dims..., results...).
 *
 * Each packs its parameters into the three lists that dlrt_invoke takes, values by their address on the stack,
 * and leaves every check to it. Dims that the call found come back behind the others of the list. Narrow integers are
 * extended by the callee, as every C ABI allows. */
#include "codegen/describe.h"

#include "codegen/signature.h"

/* DlrtStatus dlrt_invoke(const DlrtModelInfo *, DlrtContext *, int32_t, void *const *args, void *const *results,
 *                        int64_t *dims) */
static LLVMTypeRef invoke_type(const Emit *e) {
    LLVMTypeRef params[] = {e->ptr, e->ptr, e->i32, e->ptr, e->ptr, e->ptr};
    return LLVMFunctionType(e->i32, params, 6, false);
}

/* How a value travels: floats as themselves, the bits of half-width ones and bool as integers. */
static LLVMTypeRef value_type(const Emit *e, DType t) {
    return t == DTYPE_F16 || t == DTYPE_BF16 ? e->i16 : emit_memory_type(e, t);
}

static LLVMTypeRef entry_type(const Emit *e, const CSignature *s) {
    LLVMTypeRef *params = arena_array(e->arena, LLVMTypeRef, s->params.n + 1);
    params[0] = e->ptr;
    for (int i = 0; i < s->params.n; i++)
        params[i + 1] = s->params.at[i].by_value ? value_type(e, s->params.at[i].type.dtype) : e->ptr;
    return LLVMFunctionType(e->i32, params, (unsigned)s->params.n + 1, false);
}

typedef struct EntryLists {
    LLVMValueRef lists[3];     /* by CParamKind */
    int used[3];
} EntryLists;

static LLVMValueRef list_of(Emit *e, const CSignature *s, CParamKind kind) {
    unsigned n = 0;
    for (int i = 0; i < s->params.n; i++)
        n += s->params.at[i].kind == kind || (kind == PARAM_DIM && s->params.at[i].kind == PARAM_FOUND);
    static const char *const names[] = {[PARAM_DIM] = "dims", [PARAM_ARG] = "args", [PARAM_RESULT] = "results"};
    if (!n) return LLVMConstNull(e->ptr);
    LLVMTypeRef element = kind == PARAM_DIM ? e->i64 : e->ptr;
    return LLVMBuildAlloca(e->at, LLVMArrayType2(element, n), names[kind]);
}

static void append(Emit *e, EntryLists *l, const CParam *p, LLVMValueRef x) {
    LLVMValueRef item = x, at = emit_i64(e, l->used[p->kind]++);
    if (p->kind == PARAM_ARG && p->by_value) {
        item = LLVMBuildAlloca(e->at, LLVMTypeOf(x), "");
        LLVMBuildStore(e->at, x, item);
    }
    LLVMTypeRef element = p->kind == PARAM_DIM ? e->i64 : e->ptr;
    LLVMBuildStore(e->at, item, LLVMBuildInBoundsGEP2(e->at, element, l->lists[p->kind], &at, 1, ""));
}

/* After a call that succeeded, the found dims go where the caller wants them; a null pointer wants none. */
static void hand_out_found(Emit *e, const CSignature *s, LLVMValueRef function, const EntryLists *l,
                           LLVMValueRef status) {
    LLVMValueRef good = LLVMBuildICmp(e->at, LLVMIntEQ, status, emit_i32(e, 0), "");
    int n = l->used[PARAM_DIM];
    for (int i = 0; i < s->params.n; i++) {
        if (s->params.at[i].kind != PARAM_FOUND) continue;
        LLVMValueRef to = LLVMGetParam(function, (unsigned)i + 1), at = emit_i64(e, n++);
        EmitIf wanted = emit_if_begin(e, LLVMBuildAnd(e->at, good, LLVMBuildIsNotNull(e->at, to, ""), ""));
        LLVMValueRef from = LLVMBuildInBoundsGEP2(e->at, e->i64, l->lists[PARAM_DIM], &at, 1, "");
        LLVMBuildStore(e->at, LLVMBuildLoad2(e->at, e->i64, from, ""), to);
        emit_if_end(e, &wanted);
    }
}

static void emit_typed_entry(Emit *e, const CSignature *s, int number, LLVMValueRef invoke, LLVMValueRef info) {
    EntryLists l = {0};
    LLVMValueRef function = emit_function_begin(e, s->symbol, entry_type(e, s), false);
    for (int kind = PARAM_DIM; kind <= PARAM_RESULT; kind++) l.lists[kind] = list_of(e, s, (CParamKind)kind);
    LLVMSetValueName2(LLVMGetParam(function, 0), "context", 7);
    for (int i = 0; i < s->params.n; i++) {
        LLVMValueRef x = LLVMGetParam(function, (unsigned)i + 1);
        LLVMSetValueName2(x, s->params.at[i].name, strlen(s->params.at[i].name));
        if (s->params.at[i].kind != PARAM_FOUND) append(e, &l, &s->params.at[i], x);
    }
    LLVMValueRef args[] = {info, LLVMGetParam(function, 0), emit_i32(e, number), l.lists[PARAM_ARG], l.lists[PARAM_RESULT],
                           l.lists[PARAM_DIM]};
    LLVMValueRef status = LLVMBuildCall2(e->at, invoke_type(e), invoke, args, 6, "");
    hand_out_found(e, s, function, &l, status);
    LLVMBuildRet(e->at, status);
}

void emit_typed_entries(Emit *e, const char *prefix, LLVMValueRef info) {
    const KModule *m = e->kernels;
    LLVMValueRef invoke = LLVMAddFunction(e->module, "dlrt_invoke", invoke_type(e));
    for (int i = 0; i < m->plans.n; i++) {
        CSignature s = signature_of(e->arena, prefix, m->plans.at[i]->func);
        emit_typed_entry(e, &s, i, invoke, info);
    }
}
