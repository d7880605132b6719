/* --tune: what its files share. */
#ifndef DLCC_DRIVER_TUNE_H
#define DLCC_DRIVER_TUNE_H

#include "driver/driver.h"

/* A kernel as the model calls it: a step, and how much of a call it is. */
typedef struct TuneCase {
    KModule *m;                /* its own */
    Kernel *kernel;
    const Plan *plan;
    const PlanStep *step;      /* the largest of those that run it */
    double runs;               /* in one call of each function */
    double predicted;          /* seconds of a run */
    uint64_t key;
    const char *note;          /* "m 64 x n 768 x k 768" */
} TuneCase;

/* A schedule, and what was measured of it. */
typedef struct Trial {
    KSchedule schedule;
    double seconds;            /* of a run: the median of the blocks; 0: was not run */
    double noise;              /* how far blocks are from it, relative to it */
    uint64_t bits;             /* of what a run wrote */
    bool out;                  /* not among the fastest, no longer run */
} Trial;

typedef struct Tuner {
    Compilation *c;
    Arena arena;               /* of one batch of trials, buffers included */
    double until;              /* driver_now() at which time is up */
    double cost;               /* seconds that a trial took so far, compiled and run; 0: none did */
    const char *runtime;       /* libdlrt.a */
    const char *folder;        /* where objects are put for a moment */
    int objects;
} Tuner;

/* tune_time.c: compiles the kernel with each schedule, runs all on the same data, and times them in turns. A kernel whose
 * buffers are too large for that leaves the trials as they are. */
DlccStatus tune_time(Tuner *t, const TuneCase *k, Trial *trials, int n);

#endif
