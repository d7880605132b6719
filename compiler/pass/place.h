/* place: offsets of the workspace's buffers. See place.c. */
#ifndef DLCC_PASS_PLACE_H
#define DLCC_PASS_PLACE_H

#include "ir/kernel.h"

/* Sets first, last and offset of every workspace buffer, and the plan's arena_bytes, live_bytes and
 * scratch_bytes. Kernels must have their schedules. */
void place_plan(Plan *p, Arena *scratch);
/* place_reuse.c: sets alias, which buffer's memory each shares from its first step on; or -1. Looks at lives. */
void place_reuse(Plan *p, Arena *scratch);
void place_module(KModule *m, Arena *scratch);

#endif
