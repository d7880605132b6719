/* Kernels as functions: what both forms share.
 *
 * In: a scheduled kernel. Out: an internal function of type DlrtTask. Its second argument points to the
 * kernel's buffers, then its dims, then its numbers, eight bytes each; they are read once, at entry, and so is the worker's
 * scratch memory. No buffer is promised to be distinct from another: the memory plan may let a result take
 * the place of an operand that is read at the same points. So what is read ahead of a store is read
 * ahead here, explicitly, and not by LLVM. */
#include "codegen/abi.h"
#include "codegen/debug.h"
#include "ir/kernel_util.h"

static LLVMValueRef load_argument(Emit *e, LLVMTypeRef type, LLVMValueRef args, int at, const char *name) {
    LLVMValueRef offset = emit_i64(e, 8 * (int64_t)at);
    LLVMValueRef place = at ? LLVMBuildInBoundsGEP2(e->at, e->i8, args, &offset, 1, "") : args;
    LLVMValueRef x = LLVMBuildLoad2(e->at, type, place, name);
    LLVMSetAlignment(x, 8);
    return x;
}

static void load_arguments(Emit *e, KernelScope *s, LLVMValueRef args) {
    const Kernel *k = s->kernel;
    s->bufs = arena_array(e->arena, LLVMValueRef, k->bufs.n + 1);
    s->symbols = arena_array(e->arena, LLVMValueRef, e->kernels->dims.symbols.n + 1);
    for (int i = 0; i < k->bufs.n; i++) s->bufs[i] = load_argument(e, e->ptr, args, i, "buf");
    for (int i = 0; i < k->dims.n; i++)
        s->symbols[k->dims.at[i]->id] = load_argument(e, e->i64, args, k->bufs.n + i, k->dims.at[i]->name);
    s->numbers = arena_array(e->arena, LLVMValueRef, k->numbers + 1);
    for (int i = 0; i < k->numbers; i++) s->numbers[i] = load_argument(e, e->i64, args, k->bufs.n + k->dims.n + i, "number");
}

LLVMValueRef emit_kernel(Emit *e, const Kernel *k) {
    LLVMValueRef function = emit_function_begin(e, k->name, abi_task_type(e), true);
    KernelScope s = {.kernel = k, .frame = LLVMGetParam(function, 0), .begin = LLVMGetParam(function, 2),
                     .end = LLVMGetParam(function, 3), .worker = LLVMGetParam(function, 4)};
    debug_function_begin(e, function, k->name, debug_kernel_span(e->kernels, k));
    s.depends = kernel_node_axes(k, e->arena);
    load_arguments(e, &s, LLVMGetParam(function, 1));
    if (k->schedule.scratch) s.scratch = abi_worker_scratch(e, s.frame, s.worker);
    if (k->form == KERNEL_CONTRACT) emit_contract_kernel(e, k, &s);
    else emit_loops_kernel(e, k, &s);
    emit_function_end(e);
    debug_function_end(e, function);
    return function;
}

LLVMValueRef emit_kernel_items(Emit *e, const Kernel *k, const LLVMValueRef *symbols) {
    return k->form == KERNEL_CONTRACT ? emit_contract_items(e, k, symbols) : emit_loops_items(e, k, symbols);
}
