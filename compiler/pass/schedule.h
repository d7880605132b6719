/* schedule: how each kernel is cut and vectorised for a target. See schedule.c. */
#ifndef DLCC_PASS_SCHEDULE_H
#define DLCC_PASS_SCHEDULE_H

#include "ir/kernel.h"
#include "target/target.h"

/* Sets the schedule of every kernel of the module. */
void schedule_module(KModule *m, const Target *target, Arena *scratch);
void schedule_kernel(Kernel *k, DimTable *dims, const Target *target, Arena *scratch);
/* What a run of a scheduled kernel is estimated to take at the dims' upper bounds. */
double schedule_cycles(const Kernel *k, DimTable *dims, Arena *scratch);

/* schedule_contract.c */
void schedule_contract(Kernel *k, DimTable *dims, const Target *target, Arena *scratch);
double schedule_contract_cycles(const Kernel *k, DimTable *dims);

/* What --tune chooses from. */
typedef struct ScheduleTile {
    int rows, vectors;
    double time;               /* estimated, relative to other tiles of the kernel */
} ScheduleTile;
enum { MOST_TILES = 96 };
/* The tiles of a scheduled contraction that fit the registers, the best by estimate first; returns their number. */
int schedule_tiles(const Kernel *k, DimTable *dims, const Target *target, ScheduleTile *to);
/* Sets anew what follows from how the factors are read: which axes are tiled as one. */
void schedule_join(Kernel *k, DimTable *dims, Arena *scratch);
/* Sets anew what follows from the tile, the packing and these axes: blocks, the tile of few rows, scratch. */
void schedule_blocks(Kernel *k, DimTable *dims, const Target *target, Arena *scratch);
/* Why code cannot be made for a contraction's schedule, in words; null if it can. What holds on every processor
 * the verifier says (kernel_verify.h); this is about registers and sizes. */
const char *schedule_contract_fault(const Kernel *k, const Target *target, Arena *arena);
/* schedule_variants.c: other schedules of a scheduled contraction, each valid and none twice. `tiles`: other tiles, the
 * `most` best by estimate; else its own tile with other blocks or packing. */
typedef VEC(KSchedule) Schedules;
Schedules schedule_variants(KModule *m, Kernel *k, const Target *target, int tiles, Arena *arena);

#endif
