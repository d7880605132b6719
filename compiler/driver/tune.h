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
    const char *runtime;       /* libdlrt.a */
    const char *folder;        /* where objects are put for a moment */
    int objects;
} Tuner;

/* tune_time.c: compiles the kernel with each schedule, runs all on the same data, and times them in turns. A kernel
 * whose buffers are too large for that leaves the trials as they are, as does a time that ends too soon. */
DlccStatus tune_time(Tuner *t, const TuneCase *k, Trial *trials, int n);

/* The kernels of the model with parameters' panels of one width. */
typedef struct Layout {
    int64_t width;             /* -1: as the layout pass chooses */
    KModule *m;                /* null: not to be had */
} Layout;
enum { LAYOUTS = 5 };          /* the first is the pass's choice */

typedef VEC(TuneCase) TuneCases;

/* tune.c */
typedef struct Search {
    Tuner t;
    Tuning *tuning;            /* what is known: from --tuned, and found */
    TuneCases cases;           /* of the layout that the pass chooses */
    Layout layouts[LAYOUTS];
    double hertz;
    int timed, searched, panels;
} Search;
bool tune_time_is_up(const Search *s);
TuneCase tune_make_case(Search *s, KModule *m, const Plan *p, const PlanStep *step);
/* Measures some other schedules of a contraction and notes what came out, unless that was done before: tiles, then
 * rounds of variants around the best. */
DlccStatus tune_search(Search *s, const TuneCase *k, int tiles, int rounds);
/* The model's kernels with panels of that width, or as the pass chooses (null). Null if there are mistakes. */
KModule *tune_kernels(Compilation *c, const char *panel);

/* tune_panels.c: the model with parameters in panels of other widths; m is as the pass chooses. */
void tune_lower_layouts(Search *s, KModule *m);
/* Searches the case's kernel in these. */
DlccStatus tune_layouts(Search *s, const TuneCase *k);
/* Notes the widths that came out faster. */
void tune_choose_panels(Search *s);

#endif
