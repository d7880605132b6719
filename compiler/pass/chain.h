/* chain: kernels that run slice by slice together. See chain.c. */
#ifndef DLCC_PASS_CHAIN_H
#define DLCC_PASS_CHAIN_H

#include "ir/kernel.h"

/* What a chain has to be worth. */
typedef struct ChainLimits {
    int64_t slices;            /* at the dims' upper bounds: threads share these out */
    int64_t bytes;             /* of the workspace that it saves */
} ChainLimits;
extern const ChainLimits CHAIN_LIMITS;

/* Forms the chains of all exported functions. Kernels must have their schedules; chunks may become smaller. */
void chain_module(KModule *m, ChainLimits limits, Arena *scratch);
void chain_plan(KModule *m, Plan *p, ChainLimits limits, Arena *scratch);
/* Takes a plan's chains apart. */
void chain_dissolve(Plan *p);

#endif
