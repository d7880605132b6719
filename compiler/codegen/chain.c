/* Chains as functions: see plan.h, and pass/chain.c for what they are.
 *
 * In: the steps of a chain, and its kernels' functions. Out: a function of type DlrtTask whose items are slices. It copies
 * the list of arguments, as each worker has its own local buffers, and calls for each slice one kernel after the other
 * with the items of this slice. A kernel finds slice x of a buffer x slices behind the buffer's begin; of a local one there
 * is a single slice, so its pointer is moved back by as much. */
#include "codegen/plan.h"

#include "codegen/abi.h"
#include "codegen/debug.h"

#include <string.h>

int kernel_list_length(const Kernel *k) { return k->bufs.n + k->dims.n + k->numbers; }

ChainList chain_list(const Plan *plan, int begin) {
    ChainList list = {.begin = begin, .end = begin};
    for (; list.end < plan->steps.n && plan->steps.at[list.end].chain == plan->steps.at[begin].chain; list.end++) {
        const PlanStep *step = &plan->steps.at[list.end];
        list.items += kernel_list_length(step->kernel);
        for (int i = 0; i < step->kernel->bufs.n; i++) list.length += plan->bufs.at[step->bufs[i]].place == PLACE_LOCAL;
    }
    list.locals = list.items + list.end - begin;
    list.length += list.locals;
    return list;
}

static LLVMValueRef slot(Emit *e, LLVMValueRef list, int at) {
    LLVMValueRef index = emit_i64(e, at);
    return LLVMBuildInBoundsGEP2(e->at, e->i64, list, &index, 1, "");
}

static LLVMValueRef load_slot(Emit *e, LLVMValueRef list, int at) {
    return LLVMBuildLoad2(e->at, e->i64, slot(e, list, at), "");
}

/* What the function knows. */
typedef struct ChainScope {
    const Plan *plan;
    LLVMValueRef given, own;   /* the list, and its copy */
    LLVMValueRef frame, worker, local;     /* local: where the worker's local buffers begin */
} ChainScope;

/* Puts the pointers of a step's local buffers into its part of the list; *local: the next of the list's third part. */
static void point_locals(Emit *e, const ChainScope *s, const PlanStep *step, int at, LLVMValueRef slice, int *local) {
    for (int i = 0; i < step->kernel->bufs.n; i++) {
        const PlanBuf *b = &s->plan->bufs.at[step->bufs[i]];
        if (b->place != PLACE_LOCAL) continue;
        LLVMValueRef before = emit_mul(e, slice, load_slot(e, s->given, (*local)++));
        LLVMValueRef offset = LLVMBuildSub(e->at, emit_i64(e, b->offset), before, "");
        LLVMBuildStore(e->at, emit_element_pointer(e, DTYPE_U8, s->local, offset), slot(e, s->own, at + i));
    }
}

/* Kernels are large, and stay functions of their own. */
static void call_kernel(Emit *e, LLVMValueRef kernel, LLVMValueRef *args) {
    static const char name[] = "noinline";
    LLVMValueRef call = LLVMBuildCall2(e->at, abi_task_type(e), kernel, args, 5, "");
    unsigned kind = LLVMGetEnumAttributeKindForName(name, strlen(name));
    LLVMAttributeRef attribute = LLVMCreateEnumAttribute(e->context, kind, 0);
    LLVMAddCallSiteAttribute(call, (LLVMAttributeIndex)LLVMAttributeFunctionIndex, attribute);
}

static void emit_slice(Emit *e, const ChainScope *s, const ChainList *list, LLVMValueRef *const kernels, LLVMValueRef slice) {
    int at = 0, local = list->locals;
    for (int i = list->begin; i < list->end; i++) {
        const PlanStep *step = &s->plan->steps.at[i];
        LLVMValueRef items = load_slot(e, s->given, list->items + i - list->begin), begin = emit_mul(e, slice, items);
        point_locals(e, s, step, at, slice, &local);
        LLVMValueRef args[] = {s->frame, slot(e, s->own, at), begin, emit_add(e, begin, items), s->worker};
        call_kernel(e, kernels[kernel_number(e->kernels, step->kernel)], args);
        at += kernel_list_length(step->kernel);
    }
}

LLVMValueRef emit_chain(Emit *e, const Plan *plan, const ChainList *list, LLVMValueRef *const kernels, const char *name) {
    LLVMValueRef function = emit_function_begin(e, name, abi_task_type(e), true);
    debug_function_begin(e, function, name, plan->steps.at[list->begin].span);
    ChainScope s = {.plan = plan, .given = LLVMGetParam(function, 1), .frame = LLVMGetParam(function, 0),
                    .worker = LLVMGetParam(function, 4)};
    s.own = LLVMBuildAlloca(e->at, LLVMArrayType2(e->i64, (uint64_t)list->items), "own");
    LLVMBuildMemCpy(e->at, s.own, 8, s.given, 8, emit_i64(e, 8 * (int64_t)list->items));
    LLVMValueRef behind = emit_i64(e, plan->scratch_bytes - plan->local_bytes);
    s.local = emit_element_pointer(e, DTYPE_U8, abi_worker_scratch(e, s.frame, s.worker), behind);
    EmitLoop slices = emit_loop_begin(e, LLVMGetParam(function, 2), LLVMGetParam(function, 3), emit_i64(e, 1), "slice");
    emit_slice(e, &s, list, kernels, slices.index);
    emit_loop_end(e, &slices);
    emit_function_end(e);
    debug_function_end(e, function);
    return function;
}
