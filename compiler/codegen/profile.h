/* Profile: what the entries of a model compiled with --profile do around their steps, and what its tables say of them.
 * Recorded are kernels, routines and checks of indices; they are numbered in the plan's order. */
#ifndef DLCC_CODEGEN_PROFILE_H
#define DLCC_CODEGEN_PROFILE_H

#include "codegen/emit.h"

bool profile_wanted(const Emit *e);
bool step_is_recorded(const PlanStep *s);
int plan_recorded_steps(const Plan *p);

/* The time at which a step begins, an i64 for emit_step_end. */
LLVMValueRef emit_step_begin(Emit *e, LLVMValueRef frame);
/* Records the step: its number, and its FLOPs and bytes at the values of the function's dims (by symbol id). */
void emit_step_end(Emit *e, const Plan *p, const PlanStep *s, LLVMValueRef frame, LLVMValueRef began,
                   const LLVMValueRef *symbols);

/* A DlrtStepInfo for each recorded step, as constants; *n is their number. */
LLVMValueRef *profile_steps(Emit *e, const Plan *p, int *n);

#endif
