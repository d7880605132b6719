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

/* An internal function i64 (ptr data, i64 count, i64 limit, ptr mask): the place of the first of `count` integers
 * that is not in 0 .. limit-1, of those whose mask is true if `masked`, or -1. One for each element type, made when
 * first asked for. (check.c) */
LLVMValueRef emit_range_check(Emit *e, DType t, bool masked);
LLVMTypeRef range_check_type(const Emit *e);

#endif
