/* Kernels as machine code that can be called: in this process, or for AArch64 by qemu.
 *
 *     Machine *m = machine_open(&arena, kernels, "x86-64-v3");      null: cannot run here
 *     machine_call(m, &call);  ...                                  any number of calls
 *     machine_finish(m);                                            now their buffers hold the results
 *     machine_close(m);
 */
#ifndef DLCC_TESTS_MACHINE_H
#define DLCC_TESTS_MACHINE_H

#include "ir/kernel.h"
#include "target/target.h"

typedef struct Machine Machine;

enum { CALL_BUFS = 12, CALL_DIMS = 12, CALL_RUNS = 8 };

typedef struct CallBuf {
    void *at;
    size_t bytes;
} CallBuf;

/* One call of a kernel: its items are cut into runs[i] .. runs[i+1]-1, the last run first. */
typedef struct KernelCall {
    int kernel;                /* in KModule.kernels */
    CallBuf bufs[CALL_BUFS];
    int buf_count;
    int64_t dims[CALL_DIMS];
    int dim_count;
    int cuts;                  /* 0: all items at once; else at so many places */
} KernelCall;

/* The row of the target table; null: there is none, or this machine cannot run its code. */
const Target *machine_target(Arena *arena, const char *name);
/* Compiles the kernels; their schedules must be set. */
Machine *machine_open(Arena *arena, KModule *kernels, const Target *target);
void machine_call(Machine *m, const KernelCall *call);
void machine_finish(Machine *m);
void machine_close(Machine *m);

#endif
