/* Plan: a function's plan as an entry function that the runtime calls. */
#ifndef DLCC_CODEGEN_PLAN_H
#define DLCC_CODEGEN_PLAN_H

#include "codegen/emit.h"
#include "ir/places.h"

/* What the entries of a module share. */
typedef struct PlanContext {
    const VarPlaces *places;
    LLVMValueRef *kernels;     /* functions, in the order of KModule.kernels */
} PlanContext;

/* Emits `name`, of type DlrtEntry, internal: performs the plan's steps in order. */
LLVMValueRef emit_plan(Emit *e, const Plan *plan, const PlanContext *context, const char *name);
/* The same for the initializer: steps on memory that the frame does not have (null) are left out, and the
 * scratch lies in the arena behind the plan's buffers. */
LLVMValueRef emit_init_plan(Emit *e, const Plan *plan, const PlanContext *context, const char *name);
/* The same for `prepare`, which finds weights and slots; its scratch too lies in the arena. */
LLVMValueRef emit_prepare_plan(Emit *e, const Plan *plan, const PlanContext *context, const char *name);

/* The initializer's workspace: its buffers and the scratch of one thread. */
int64_t plan_init_bytes(const Plan *plan);

/* How the arguments of a chain's kernels lie in one list: for each of its steps those of its kernel, one step after the
 * other; then for each step the items of a slice; then for each use of a local buffer, in the order of steps and buffers,
 * the bytes of a slice. (chain.c) */
typedef struct ChainList {
    int begin, end;            /* steps; `end` is behind the last */
    int items, locals, length; /* slots where the second and the third part begin; of all */
} ChainList;
ChainList chain_list(const Plan *plan, int begin);
/* Its place in the module. */
int kernel_number(const KModule *m, const Kernel *k);
/* Slots of a kernel's arguments. */
int kernel_list_length(const Kernel *k);
/* Emits `name`, of type DlrtTask, internal: an item is a slice, for which it calls the chain's kernels in turn. */
LLVMValueRef emit_chain(Emit *e, const Plan *plan, const ChainList *list, LLVMValueRef *const kernels, const char *name);

/* An internal function i64 (ptr data, i64 count, i64 limit, ptr mask): the place of the first of `count` integers
 * that is not in 0 .. limit-1, of those whose mask is true if `masked`, or -1. One for each element type, made when
 * first asked for. (check.c) */
LLVMValueRef emit_range_check(Emit *e, DType t, bool masked);
LLVMTypeRef range_check_type(const Emit *e);

#endif
