/* ABI: the structs of dlrt.h as LLVM types, and access to a call's frame. */
#ifndef DLCC_CODEGEN_ABI_H
#define DLCC_CODEGEN_ABI_H

#include "codegen/emit.h"

typedef enum AbiStruct {
    ABI_EXTENT, ABI_DIM, ABI_TENSOR_INFO, ABI_STEP_INFO, ABI_FUNCTION_INFO, ABI_VAR_INFO, ABI_MODEL_INFO, ABI_MODULE,
    ABI_FAULT, ABI_FRAME, ABI_COUNT
} AbiStruct;

/* The named struct type, e.g. %DlrtFrame. */
LLVMTypeRef abi_type(const Emit *e, AbiStruct s);

/* Members of DlrtFrame, in order. */
typedef enum FrameMember {
    FRAME_ARGS, FRAME_RESULTS, FRAME_DIMS, FRAME_WEIGHTS, FRAME_SLOTS, FRAME_CACHE, FRAME_ARENA, FRAME_SCRATCH,
    FRAME_SCRATCH_STRIDE, FRAME_SEED, FRAME_COUNT, FRAME_THREADS, FRAME_RESERVED, FRAME_PARALLEL, FRAME_FAULT,
    FRAME_POOL, FRAME_TRACE, FRAME_MEMBERS
} FrameMember;

/* The address of a member of the frame, and its value. */
LLVMValueRef abi_frame_place(Emit *e, LLVMValueRef frame, FrameMember m);
LLVMValueRef abi_frame_get(Emit *e, LLVMValueRef frame, FrameMember m);

/* Where the scratch memory of a worker, an i32, begins. */
LLVMValueRef abi_worker_scratch(Emit *e, LLVMValueRef frame, LLVMValueRef worker);

/* Types of the functions: DlrtEntry, DlrtTask and DlrtFrame.parallel. */
LLVMTypeRef abi_entry_type(const Emit *e);
LLVMTypeRef abi_task_type(const Emit *e);
LLVMTypeRef abi_parallel_type(const Emit *e);

/* Read-only text with a terminating zero; a null pointer for null. */
LLVMValueRef abi_text(const Emit *e, const char *text);

#endif
