/* Tuning: what was measured of kernels on one processor, and what came out best; a small file between --tune, which
 * writes it, and --tuned, which compiles by it.
 *
 *   dlcc tuning 1
 *   processor x86-64-v4 znver5
 *   kernel 9d3a0c55e1b2f704 mr=9 nv=3 mc=135 nc=768 m_axes=1 n_axes=1 predicted=94.1 model=101.2 measured=92.7 # m ...
 *   kernel 0c41f2b7a8d96e35 predicted=2.2 measured=2.5 # outer 64 x inner 768
 *   panel f32[3072,768] order=1,0 rows=64 split=64
 *
 * A kernel goes by a hash of its text without name and schedule, so the line holds in every model that has that kernel.
 * Fields of a schedule stand there if one was found that is faster than the cost model's; they are as kernel IR prints
 * them. Times are microseconds of a run at the dims' upper bounds: what the cost model estimates, what its choice took,
 * what the best took. A panel is the width of a parameter's panels (pass/layout.c), by type, dim order and the rows
 * that it is multiplied with, at most; 0 is none. Behind # to the end of a line is for people. */
#ifndef DLCC_PASS_TUNING_H
#define DLCC_PASS_TUNING_H

#include "base/diag.h"
#include "ir/kernel.h"
#include "target/target.h"

typedef struct TunedKernel {
    uint64_t key;
    bool scheduled;            /* the tuned fields of `schedule` hold; else the cost model's choice stands */
    KSchedule schedule;
    double predicted, model, measured;  /* microseconds, 0: not known */
    const char *note;
    Span span;
} TunedKernel;

typedef struct TunedPanel {
    const char *name;          /* "f32[3072,768] order=1,0 rows=64" */
    int64_t split;
    Span span;
} TunedPanel;

typedef struct Tuning {
    const char *family, *cpu;  /* the processor's */
    Span span;                 /* of these */
    VEC(TunedKernel) kernels;
    VEC(TunedPanel) panels;
} Tuning;

/* The text of a source of diags. False if it is malformed, which is reported as DL0801. */
bool tuning_read(Arena *arena, Diags *diags, uint32_t source, Tuning *to);
void tuning_print(const Tuning *t, Text *to);

uint64_t tuning_key(const DimTable *dims, const Kernel *k, Arena *arena);
/* What is known of a kernel or of a panel; null if nothing is, or there is no tuning. */
const TunedKernel *tuning_find(const Tuning *t, uint64_t key);
const TunedPanel *tuning_find_panel(const Tuning *t, const char *name);
/* The name of a parameter's panels, where `rows` are at most multiplied with it. */
const char *tuning_panel_name(Arena *arena, const DimTable *dims, const Var *v, int64_t rows);
/* Adds what is known, in place of what was. */
void tuning_add(Arena *arena, Tuning *t, const TunedKernel *k);
void tuning_add_panel(Arena *arena, Tuning *t, const TunedPanel *p);

/* Takes the fields of `from` that --tune may choose. */
void tuning_take(KSchedule *to, const KSchedule *from);
/* Gives the module's scheduled kernels the schedules that are known for them. One that does not fit its kernel is
 * reported as DL0803, and the kernel keeps its own. */
void tuning_apply(const Tuning *t, KModule *m, const Target *target, Diags *diags, Arena *scratch);

#endif
