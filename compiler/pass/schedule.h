/* schedule: how each kernel is cut and vectorised for a target. See schedule.c. */
#ifndef DLCC_PASS_SCHEDULE_H
#define DLCC_PASS_SCHEDULE_H

#include "ir/kernel.h"
#include "target/target.h"

/* Sets the schedule of every kernel of the module. */
void schedule_module(KModule *m, const Target *target, Arena *scratch);
void schedule_kernel(Kernel *k, DimTable *dims, const Target *target, Arena *scratch);
/* schedule_contract.c */
void schedule_contract(Kernel *k, DimTable *dims, const Target *target, Arena *scratch);

#endif
