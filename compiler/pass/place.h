/* place: offsets of the workspace's buffers. See place.c. */
#ifndef DLCC_PASS_PLACE_H
#define DLCC_PASS_PLACE_H

#include "ir/kernel.h"

/* Sets first, last and offset of every workspace buffer, and the plan's arena_bytes, live_bytes and
 * scratch_bytes. Kernels must have their schedules. */
void place_plan(Plan *p, Arena *scratch);
void place_module(KModule *m, Arena *scratch);

#endif
