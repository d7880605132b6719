/* Targets: what code generation and scheduling need to know of a processor, as data.
 *
 * A row describes a family (x86-64 with AVX-512, with AVX2, baseline; AArch64 with NEON). The host's row
 * is found from its features. Adding a target is adding a row to target.c. */
#ifndef DLCC_TARGET_TARGET_H
#define DLCC_TARGET_TARGET_H

#include "base/diag.h"
#include <stdbool.h>
#include <stdint.h>

typedef struct Target {
    const char *name;          /* for --list targets: "x86-64-v4" */
    Place at;
    const char *triple;        /* LLVM triple: "x86_64-pc-linux-gnu" */
    const char *cpu;           /* LLVM's cpu name whose instructions are used: "x86-64-v3", "generic" */
    const char *features;      /* LLVM's feature string, "" for the cpu's own */
    const char *tune;          /* LLVM's cpu name whose timings order them: "znver5" */
    const char *const *members;/* LLVM's names of the processors of this family, ending with a null */
    int vector_bytes;          /* width of a vector register */
    int vector_registers;      /* how many there are */
    int spare_registers;       /* of those, how many a tile leaves unused */
    int broadcast_registers;   /* registers a tile needs for the broadcast element (0: memory operand or lane FMA) */
    int row_pointers;          /* rows of a tile that may be found through pointers: what address registers there are */
    bool masked_memory;        /* masked loads and stores are one instruction */
    bool scalef;               /* an instruction multiplies by 2^n, saturating (vscalef) */
    int64_t l1_bytes, l2_bytes;/* data caches of one core */
    int64_t page_alias;        /* row strides that are multiples of this fall into one L1 set */
    uint64_t cpu_features;     /* DLRT_CPU_ bits an object for it needs */
    const char *qemu;          /* user-mode emulator for tests, or null */
} Target;

/* All rows. */
const Target *target_table(int *count);
/* The row for the names a user gave (--target=TRIPLE, with or without a vendor; --cpu=NAME, a family, one of its
 * members or "native"; either may be null for the host's, or for what is usual with another triple), with
 * `tune` and, for the host, the caches filled in; in `arena`. Null if there is none: then *why says so and
 * lists what there is. `host_cpu`, `host_features`, `host_triple` are LLVM's words for the host. */
const Target *target_find(Arena *arena, const char *triple, const char *cpu, const char *host_triple,
                          const char *host_cpu, const char *host_features, const char **why);

static inline int target_lanes(const Target *t, int element_bytes) { return t->vector_bytes / element_bytes; }

#endif
