/* ABI: see abi.h. The members' types are letters in the order of dlrt.h - p pointer, i int32_t, l int64_t; a
 * test compares every offset with the C compiler's. */
#include "codegen/abi.h"

#include <string.h>

static const struct {
    const char *name, *members;
} structs[ABI_COUNT] = {
    [ABI_EXTENT] = {"DlrtExtent", "llp"},
    [ABI_DIM] = {"DlrtDim", "pllpl"},
    [ABI_TENSOR_INFO] = {"DlrtTensorInfo", "ppiiiip"},
    [ABI_STEP_INFO] = {"DlrtStepInfo", "ppp"},
    [ABI_FUNCTION_INFO] = {"DlrtFunctionInfo", "ppiiiippplllppl"},
    [ABI_VAR_INFO] = {"DlrtVarInfo", "piiiippll"},
    [ABI_MODEL_INFO] = {"DlrtModelInfo", "iiiippppllpplllplpl"},
    [ABI_MODULE] = {"DlrtModule", "iipp"},
    [ABI_FAULT] = {"DlrtFault", "plll"},
    [ABI_FRAME] = {"DlrtFrame", "ppppppppllliipppp"},
};

static LLVMTypeRef member_type(const Emit *e, char letter) {
    return letter == 'p' ? e->ptr : letter == 'i' ? e->i32 : e->i64;
}

LLVMTypeRef abi_type(const Emit *e, AbiStruct s) {
    LLVMTypeRef members[24], type = LLVMGetTypeByName2(e->context, structs[s].name);
    if (type) return type;
    int n = (int)strlen(structs[s].members);
    for (int i = 0; i < n; i++) members[i] = member_type(e, structs[s].members[i]);
    type = LLVMStructCreateNamed(e->context, structs[s].name);
    LLVMStructSetBody(type, members, (unsigned)n, false);
    return type;
}

LLVMValueRef abi_frame_place(Emit *e, LLVMValueRef frame, FrameMember m) {
    return LLVMBuildStructGEP2(e->at, abi_type(e, ABI_FRAME), frame, (unsigned)m, "");
}

LLVMValueRef abi_frame_get(Emit *e, LLVMValueRef frame, FrameMember m) {
    LLVMTypeRef type = member_type(e, structs[ABI_FRAME].members[m]);
    return LLVMBuildLoad2(e->at, type, abi_frame_place(e, frame, m), "");
}

LLVMValueRef abi_worker_scratch(Emit *e, LLVMValueRef frame, LLVMValueRef number) {
    LLVMValueRef stride = abi_frame_get(e, frame, FRAME_SCRATCH_STRIDE);
    LLVMValueRef worker = LLVMBuildSExt(e->at, number, e->i64, "");
    LLVMValueRef offset = emit_mul(e, stride, worker);
    return LLVMBuildInBoundsGEP2(e->at, e->i8, abi_frame_get(e, frame, FRAME_SCRATCH), &offset, 1, "scratch");
}

LLVMTypeRef abi_entry_type(const Emit *e) {
    LLVMTypeRef params[] = {e->ptr};
    return LLVMFunctionType(e->i32, params, 1, false);
}

LLVMTypeRef abi_task_type(const Emit *e) {
    LLVMTypeRef params[] = {e->ptr, e->ptr, e->i64, e->i64, e->i32};
    return LLVMFunctionType(e->none, params, 5, false);
}

LLVMTypeRef abi_parallel_type(const Emit *e) {
    LLVMTypeRef params[] = {e->ptr, e->ptr, e->ptr, e->i64};
    return LLVMFunctionType(e->none, params, 4, false);
}

LLVMValueRef abi_text(const Emit *e, const char *text) {
    if (!text) return LLVMConstNull(e->ptr);
    LLVMValueRef bytes = LLVMConstStringInContext2(e->context, text, strlen(text), false);
    LLVMValueRef global = LLVMAddGlobal(e->module, LLVMTypeOf(bytes), "text");
    LLVMSetInitializer(global, bytes);
    LLVMSetGlobalConstant(global, true);
    LLVMSetLinkage(global, LLVMPrivateLinkage);
    LLVMSetUnnamedAddress(global, LLVMGlobalUnnamedAddr);
    LLVMSetAlignment(global, 1);
    return global;
}
