/* Targets: see target.h.
 *
 * In: the names a user gave and LLVM's words for the host. Out: a row of the table, completed.
 *
 * A processor is described by two of LLVM's names: `cpu`, a family whose instructions the object may use,
 * and `tune`, the model whose timings schedule them. So what an object needs is exactly what its family
 * needs - bits that the runtime can check - however new the processor it was compiled on, and two
 * processors of one family give the same results. Which family a named processor belongs to is data here,
 * because LLVM's C API tells it for the host alone. */
#include "target/target.h"

#include "base/diag.h"
#include "dlrt.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    NEEDS_V2 = DLRT_CPU_SSE42 | DLRT_CPU_POPCNT,
    NEEDS_V3 = NEEDS_V2 | DLRT_CPU_AVX | DLRT_CPU_AVX2 | DLRT_CPU_FMA | DLRT_CPU_F16C | DLRT_CPU_BMI2,
    NEEDS_V4 = NEEDS_V3 | DLRT_CPU_AVX512F | DLRT_CPU_AVX512DQ | DLRT_CPU_AVX512BW | DLRT_CPU_AVX512VL |
               DLRT_CPU_AVX512CD,
};

static const char *const members_v4[] = {
    "x86-64-v4", "skylake-avx512", "skx", "cascadelake", "cooperlake", "cannonlake", "icelake-client",
    "icelake-server", "rocketlake", "tigerlake", "sapphirerapids", "emeraldrapids", "graniterapids",
    "graniterapids-d", "znver4", "znver5", NULL};
static const char *const members_v3[] = {
    "x86-64-v3", "haswell", "core-avx2", "broadwell", "skylake", "alderlake", "raptorlake", "meteorlake",
    "arrowlake", "arrowlake-s", "lunarlake", "pantherlake", "gracemont", "sierraforest", "grandridge",
    "clearwaterforest", "knl", "knm", "bdver4", "znver1", "znver2", "znver3", NULL};
static const char *const members_v2[] = {
    "x86-64-v2", "nehalem", "corei7", "westmere", "sandybridge", "corei7-avx", "ivybridge", "core-avx-i",
    "silvermont", "slm", "goldmont", "goldmont-plus", "tremont", "bdver1", "bdver2", "bdver3", "btver2", NULL};
static const char *const members_v1[] = {
    "x86-64", "core2", "penryn", "nocona", "atom", "bonnell", "k8", "k8-sse3", "opteron", "opteron-sse3",
    "athlon64", "athlon64-sse3", "athlon-fx", "amdfam10", "barcelona", "btver1", NULL};
static const char *const members_neon[] = {
    "generic", "a64fx", "ampere1", "ampere1a", "ampere1b", "apple-m1", "apple-m2", "apple-m3", "apple-m4", "carmel",
    "cortex-a34", "cortex-a35", "cortex-a53", "cortex-a55", "cortex-a57", "cortex-a72", "cortex-a73", "cortex-a75",
    "cortex-a76", "cortex-a77", "cortex-a78", "cortex-a510", "cortex-a520", "cortex-a710", "cortex-a715",
    "cortex-a720", "cortex-a725", "cortex-x1", "cortex-x2", "cortex-x3", "cortex-x4", "cortex-x925", "neoverse-e1",
    "neoverse-n1", "neoverse-n2", "neoverse-n3", "neoverse-v1", "neoverse-v2", "neoverse-v3", "neoverse-512tvb",
    "oryon-1", "thunderx2t99", "tsv110", NULL};

#define X86_TRIPLE "x86_64-pc-linux-gnu"
#define ARM_TRIPLE "aarch64-unknown-linux-gnu"

/* Of one architecture the most demanding comes first. */
static const Target rows[] = {
    {.name = "x86-64-v4", .at = HERE, .triple = X86_TRIPLE, .cpu = "x86-64-v4", .features = "", .tune = "x86-64-v4",
     .members = members_v4, .vector_bytes = 64, .vector_registers = 32, .spare_registers = 2,
     .broadcast_registers = 1, .row_pointers = 8, .masked_memory = true, .scalef = true, .l1_bytes = 32 << 10, .l2_bytes = 1 << 20,
     .page_alias = 4096, .cpu_features = NEEDS_V4},
    {.name = "x86-64-v3", .at = HERE, .triple = X86_TRIPLE, .cpu = "x86-64-v3", .features = "", .tune = "x86-64-v3",
     .members = members_v3, .vector_bytes = 32, .vector_registers = 16, .broadcast_registers = 1, .row_pointers = 8,
     .masked_memory = true, .l1_bytes = 32 << 10, .l2_bytes = 512 << 10, .page_alias = 4096,
     .cpu_features = NEEDS_V3, .qemu = "qemu-x86_64"},
    {.name = "x86-64-v2", .at = HERE, .triple = X86_TRIPLE, .cpu = "x86-64-v2", .features = "", .tune = "x86-64-v2",
     .members = members_v2, .vector_bytes = 16, .vector_registers = 16, .broadcast_registers = 1, .row_pointers = 8,
     .l1_bytes = 32 << 10, .l2_bytes = 256 << 10, .page_alias = 4096, .cpu_features = NEEDS_V2,
     .qemu = "qemu-x86_64"},
    {.name = "x86-64", .at = HERE, .triple = X86_TRIPLE, .cpu = "x86-64", .features = "", .tune = "x86-64",
     .members = members_v1, .vector_bytes = 16, .vector_registers = 16, .broadcast_registers = 1, .row_pointers = 8,
     .l1_bytes = 32 << 10, .l2_bytes = 256 << 10, .page_alias = 4096, .qemu = "qemu-x86_64"},
    {.name = "aarch64", .at = HERE, .triple = ARM_TRIPLE, .cpu = "generic", .features = "", .tune = "generic",
     .members = members_neon, .vector_bytes = 16, .vector_registers = 32, .row_pointers = 12, .l1_bytes = 32 << 10,
     .l2_bytes = 512 << 10, .page_alias = 4096, .cpu_features = DLRT_CPU_NEON, .qemu = "qemu-aarch64"},
};
enum { ROW_COUNT = (int)(sizeof rows / sizeof *rows) };

const Target *target_table(int *count) {
    *count = ROW_COUNT;
    return rows;
}

/* ------------------------------------------------------------------------- names */

/* A triple without its vendor: "x86_64-pc-linux-gnu" and "x86_64-linux-gnu" both give the latter. */
static const char *without_vendor(Arena *arena, const char *triple) {
    const char *linux_part = strstr(triple, "-linux"), *dash = strchr(triple, '-');
    if (!dash || !linux_part) return triple;
    return arena_printf(arena, "%.*s%s", (int)(dash - triple), triple, linux_part);
}

static bool same_system(Arena *arena, const char *a, const char *b) {
    return !strcmp(without_vendor(arena, a), without_vendor(arena, b));
}

static bool is_member(const Target *row, const char *cpu) {
    if (!strcmp(cpu, row->name)) return true;
    for (const char *const *m = row->members; *m; m++)
        if (!strcmp(cpu, *m)) return true;
    return false;
}

/* LLVM's names of the features that the bits stand for. */
static const struct {
    uint64_t bit;
    const char *name;
} feature_names[] = {
    {DLRT_CPU_SSE42, "sse4.2"},     {DLRT_CPU_POPCNT, "popcnt"},     {DLRT_CPU_AVX, "avx"},
    {DLRT_CPU_AVX2, "avx2"},        {DLRT_CPU_FMA, "fma"},           {DLRT_CPU_F16C, "f16c"},
    {DLRT_CPU_BMI2, "bmi2"},        {DLRT_CPU_AVX512F, "avx512f"},   {DLRT_CPU_AVX512DQ, "avx512dq"},
    {DLRT_CPU_AVX512BW, "avx512bw"}, {DLRT_CPU_AVX512VL, "avx512vl"}, {DLRT_CPU_AVX512CD, "avx512cd"},
    {DLRT_CPU_NEON, "neon"},
};

/* Whether "+name" is an entry of a list like "+avx,-avx2,+fma". */
static bool lists_feature(const char *features, const char *name) {
    size_t length = strlen(name);
    for (const char *at = features; at; at = strchr(at, ',')) {
        if (*at == ',') at++;
        if (*at == '+' && !strncmp(at + 1, name, length) && (at[length + 1] == ',' || !at[length + 1])) return true;
    }
    return false;
}

static bool has_features(const char *features, uint64_t needed) {
    for (size_t i = 0; i < sizeof feature_names / sizeof *feature_names; i++)
        if (needed & feature_names[i].bit && !lists_feature(features, feature_names[i].name)) return false;
    return true;
}

/* ------------------------------------------------------------------------ lookup */

static Target *complete(Arena *arena, const Target *row, const char *tune) {
    Target *t = arena_copy(arena, row, sizeof *row);
    t->tune = strcmp(tune, row->name) ? arena_text(arena, tune, strlen(tune)) : row->cpu;
    return t;
}

/* The size of a cache of this machine, or what the row says where the system does not tell. */
static int64_t cache_bytes(int name, int64_t otherwise) {
    long bytes = sysconf(name);
    return bytes > 0 ? bytes : otherwise;
}

/* The first row of the architecture all of whose features the host has. NEON is part of every AArch64. */
static const Target *host_target(Arena *arena, const char *triple, const char *cpu, const char *features) {
    for (int i = 0; i < ROW_COUNT; i++) {
        if (!same_system(arena, rows[i].triple, triple) ||
            !has_features(features, rows[i].cpu_features & ~(uint64_t)DLRT_CPU_NEON))
            continue;
        Target *t = complete(arena, &rows[i], cpu);
        t->l1_bytes = cache_bytes(_SC_LEVEL1_DCACHE_SIZE, t->l1_bytes);
        t->l2_bytes = cache_bytes(_SC_LEVEL2_CACHE_SIZE, t->l2_bytes);
        return t;
    }
    return NULL;
}

/* The row that a triple without a processor means: what nearly every machine of that kind has. */
static const Target *usual_target(Arena *arena, const char *triple) {
    const Target *first = NULL;
    for (int i = 0; i < ROW_COUNT; i++) {
        if (!same_system(arena, rows[i].triple, triple)) continue;
        if (!strcmp(rows[i].name, "x86-64-v3")) return complete(arena, &rows[i], rows[i].cpu);
        if (!first) first = &rows[i];
    }
    return first ? complete(arena, first, first->cpu) : NULL;
}

static const char *unknown_triple(Arena *arena, const char *triple) {
    Text text = text_new(arena);
    text_add(&text, "there is no target %s; there are", triple);
    for (int i = 0; i < ROW_COUNT; i++)
        if (!i || strcmp(rows[i].triple, rows[i - 1].triple))
            text_add(&text, "%s %s", i ? " and" : "", without_vendor(arena, rows[i].triple));
    return text_get(&text);
}

static const char *unknown_cpu(Arena *arena, const char *triple, const char *cpu) {
    Text text = text_new(arena);
    VEC(const char *) names = {0};
    for (int i = 0; i < ROW_COUNT; i++)
        for (const char *const *m = rows[i].members; same_system(arena, rows[i].triple, triple) && *m; m++)
            vec_push(arena, &names, *m);
    const char *nearest = nearest_name(cpu, names.at, names.n);
    text_add(&text, "there is no processor %s for %s", cpu, without_vendor(arena, triple));
    if (nearest) text_add(&text, " (did you mean %s?)", nearest);
    text_add(&text, "; there are native");
    for (int i = 0; i < names.n; i++) text_add(&text, ", %s", names.at[i]);
    return text_get(&text);
}

static const Target *named_target(Arena *arena, const char *triple, const char *cpu) {
    for (int i = 0; i < ROW_COUNT; i++)
        if ((!triple || same_system(arena, rows[i].triple, triple)) && is_member(&rows[i], cpu))
            return complete(arena, &rows[i], cpu);
    return NULL;
}

const Target *target_find(Arena *arena, const char *triple, const char *cpu, const char *host_triple,
                          const char *host_cpu, const char *host_features, const char **why) {
    bool here = !triple || same_system(arena, triple, host_triple);
    const char *system = triple ? triple : host_triple;
    const Target *found = NULL;
    *why = NULL;
    if (!usual_target(arena, system)) {
        *why = unknown_triple(arena, system);
        return NULL;
    }
    if (here && (!cpu || !strcmp(cpu, "native") || !strcmp(cpu, host_cpu)))
        found = host_target(arena, host_triple, host_cpu, host_features);
    else if (!cpu) found = usual_target(arena, system);
    else found = named_target(arena, system, cpu);
    if (!found && cpu && !triple) found = named_target(arena, NULL, cpu);
    if (!found) *why = unknown_cpu(arena, system, cpu ? cpu : host_cpu);
    return found;
}
