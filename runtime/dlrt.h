/* dlrt.h - the interface between a program and a model compiled by dlcc.
 *
 * The one public header of the runtime. It has three parts:
 *   1. status codes, options, tensors: what a program passes in and gets back;
 *   2. reflection: constant tables that every compiled model carries, from which tools and the
 *      runtime learn its functions, arguments, parameters and memory;
 *   3. the ABI between generated code and the runtime (DlrtFrame, DlrtModule), with its version.
 *
 * A compiled model comes as
 *   - an object (.o): link it with libdlrt.a; or
 *   - a shared object (.so): the runtime is inside it, private. Link against it, or dlopen it.
 * Either way a model handle carries the table of the runtime that made it (DlrtApi), and the calls
 * below go through that table. So the same source works for both, a host that links only .so models
 * needs no library, and handles of two models never meet the wrong runtime.
 *
 * Threads. One open model may be used from several threads through one context each. A function that
 * writes parameters or state needs the model to itself: while another call is inside the same model it
 * answers DLRT_ERR_BUSY, and so does every call while a writing one is inside. One context is used by
 * one thread at a time; a second concurrent call on it answers DLRT_ERR_BUSY (and leaves the message, which
 * belongs to the call inside). dlrt_get and dlrt_save read the model, dlrt_set, dlrt_reset, dlrt_load and
 * dlrt_resume write it, dlrt_checkpoint reads it. The model has one thread pool; when a second context asks
 * for it in the meantime, that context's work is done by its own thread.
 *
 * Fork. A child process may use a model opened before the fork: its calls run on one thread (the pool's
 * workers exist only in the parent) with the same bits. If another thread was inside the model at the time
 * of the fork, the child's copy stays marked as in use: calls that collide with it answer DLRT_ERR_BUSY.
 *
 * Overlap. A result may not overlap an argument or another result, nor the model's own memory:
 * such a call answers DLRT_ERR_OVERLAP and changes nothing.
 *
 * No call prints, exits or aborts. Only open, close, reset, context and file calls allocate: beside the
 * exact figures below a model has one block of under 1 KB plus 8 bytes a function, a context one of under
 * 1 KB plus 36 bytes for each dim and tensor of the largest function (and one of 192 KB if the model was compiled
 * with --profile), a pool one of under 1 KB plus 24 bytes a thread; opening and resetting use init_arena_bytes
 * for a moment, loading and resuming as much again as what they load, writing a trace the file's text. Thread stacks come from the C library.
 */
#ifndef DLRT_H
#define DLRT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define DLRT_ABI_VERSION 3
#define DLRT_MAX_RANK 8

/* ------------------------------------------------------------------ status */

typedef enum DlrtStatus {
    DLRT_OK = 0,
    DLRT_ERR_NULL = 1,        /* a required pointer is null */
    DLRT_ERR_ARGUMENT = 2,    /* an option or a count is out of its range */
    DLRT_ERR_DTYPE = 3,       /* a tensor has another element type than declared */
    DLRT_ERR_RANK = 4,        /* a tensor has another number of dims than declared */
    DLRT_ERR_SHAPE = 5,       /* an extent differs from the declared one */
    DLRT_ERR_BOUND = 6,       /* a run-time dim is below its lower or above its upper bound */
    DLRT_ERR_INDEX = 7,       /* an index or label in the data is out of range */
    DLRT_ERR_REQUIRE = 8,     /* a `require` of the model does not hold */
    DLRT_ERR_OVERLAP = 9,     /* results overlap arguments, each other or the model */
    DLRT_ERR_ALIGN = 10,      /* caller's memory or a tensor is not aligned as needed */
    DLRT_ERR_SIZE = 11,       /* caller's memory is smaller than stated */
    DLRT_ERR_BUSY = 12,       /* the context, or the model for a writing call, is in use */
    DLRT_ERR_NAME = 13,       /* no function, parameter or tensor of that name */
    DLRT_ERR_MEMORY = 14,     /* an allocation failed */
    DLRT_ERR_CPU = 15,        /* the processor lacks what the object was compiled for */
    DLRT_ERR_ABI = 16,        /* object and runtime speak different ABI versions */
    DLRT_ERR_IO = 17,         /* a file could not be opened, read, written, synced or renamed */
    DLRT_ERR_FORMAT = 18,     /* a file is malformed */
    DLRT_ERR_MISMATCH = 19,   /* a file or a context is of another model */
    DLRT_ERR_CHECKSUM = 20,   /* a file's content does not match its checksum */
    DLRT_ERR_UNSUPPORTED = 21 /* this build of the runtime cannot do that */
} DlrtStatus;

typedef enum DlrtDtype {
    DLRT_F64 = 0, DLRT_F32 = 1, DLRT_F16 = 2, DLRT_BF16 = 3,
    DLRT_I64 = 4, DLRT_I32 = 5, DLRT_I8 = 6, DLRT_U8 = 7, DLRT_BOOL = 8
} DlrtDtype;

/* A tensor as tools pass it: compact, row-major, `data` of shape[0]*...*shape[rank-1] elements.
 * For a result, `rank` and `shape` are filled in by the call, and `bytes` says how much room `data` has: enough for
 * the most that its dims allow, where a dim is found by the call. For
 * an argument `bytes` may be 0, else it is checked. A tensor of no elements may have null data. */
typedef struct DlrtTensor {
    void *data;
    size_t bytes;                  /* room behind data */
    int32_t dtype;                 /* DlrtDtype */
    int32_t rank;
    int64_t shape[DLRT_MAX_RANK];
} DlrtTensor;

/* --------------------------------------------------------------- reflection */

/* A polynomial over a function's run-time dims: constant + sum of coeff * product of dims.
 * `terms` is null for a constant, else a flat list: count, then per term coeff, n, dim_1 .. dim_n.
 * The value is that sum divided by `divisor` (exact, or rounded down for derived dims). */
typedef struct DlrtExtent {
    int64_t constant;
    int64_t divisor;
    const int64_t *terms;
} DlrtExtent;

/* One run-time dim of a function. Free dims come first, which arguments' shapes fix or which are passed in; then
 * those that the call itself finds (only results have them); a derived dim is computed from earlier ones. */
typedef struct DlrtDim {
    const char *name;
    int64_t lower, upper;
    const DlrtExtent *derived; /* null: free or found */
    int64_t found;             /* 1: the call finds it */
} DlrtDim;

/* What an argument or result is for; tools find data, labels and rate by it. */
typedef enum DlrtRole {
    DLRT_ROLE_NONE = 0,
    DLRT_ROLE_DATA = 1,     /* an argument that inputs reach: floating point, with a batch dim */
    DLRT_ROLE_LABEL = 2,    /* an integer argument with the batch dim */
    DLRT_ROLE_RATE = 3,     /* a float scalar named lr, rate or learning_rate */
    DLRT_ROLE_LOSS = 4,     /* a float scalar result of a function that trains, named loss or the first */
    DLRT_ROLE_CORRECT = 5,  /* an integer scalar result named correct */
    DLRT_ROLE_PREDICTION = 6 /* an integer result with the batch dim */
} DlrtRole;

typedef struct DlrtTensorInfo {
    const char *name;          /* never null; results without a name are "result0", ... */
    const char *doc;           /* may be null */
    int32_t dtype, rank, role, reserved;
    const DlrtExtent *shape;   /* rank of them */
} DlrtTensorInfo;

enum {
    DLRT_FN_TRAINS = 1,        /* updates parameters */
    DLRT_FN_WRITES = 2,        /* writes parameters or state: needs the model exclusively */
    DLRT_FN_RANDOM = 4         /* draws random numbers: results depend on seed and call count */
};

/* A step of a function whose runs a profiled model records: a kernel, a routine, a check of indices. */
typedef struct DlrtStepInfo {
    const char *name;          /* "k12", as the kernel is called in the object; "sort"; "check" */
    const char *detail;        /* its form, and what it reads and writes: "contract: x fc1.weight -> h" */
    const char *place;         /* in the source: "digits.dl:12", the file as it was named to dlcc; null if unknown */
} DlrtStepInfo;

struct DlrtFrame;
typedef DlrtStatus DlrtEntry(const struct DlrtFrame *frame);

typedef struct DlrtFunctionInfo {
    const char *name;
    const char *doc;
    int32_t flags, dim_count, arg_count, result_count;
    const DlrtDim *dims;
    const DlrtTensorInfo *args;
    const DlrtTensorInfo *results;
    int64_t arena_bytes;       /* workspace this function needs, not counting scratch */
    int64_t scratch_bytes;     /* further workspace for each thread that works on a call */
    int64_t flops;             /* at the dims' upper bounds */
    DlrtEntry *entry;
    const DlrtStepInfo *steps; /* in a profiled model: those that are recorded, in the order of the code */
    int64_t step_count;
} DlrtFunctionInfo;

typedef enum DlrtVarKind {
    DLRT_VAR_PARAM = 0,        /* learned; shared by all contexts; in weight files */
    DLRT_VAR_STATE = 1,        /* e.g. running statistics; shared; in weight files */
    DLRT_VAR_SLOT = 2,         /* optimiser state and step counters; shared; in checkpoints only */
    DLRT_VAR_CACHE = 3         /* e.g. key/value memory; one per context; in checkpoints only */
} DlrtVarKind;

typedef struct DlrtVarInfo {
    const char *name;          /* the path in the model: "fc1.weight" */
    int32_t kind, dtype, rank;
    int32_t split;             /* 0, or the innermost physical dim is cut into pieces of so many elements: which piece
                                * is outermost, what is in it innermost */
    const int64_t *shape;      /* logical */
    const int32_t *order;      /* physical dim order, outermost first; null: as the logical one, and split is 0 */
    int64_t offset, bytes;     /* in the block of its kind: weights (param and state), slots, cache */
} DlrtVarInfo;

/* Processor features an object may need; bits of DlrtModelInfo.cpu_features. */
enum {
    DLRT_CPU_AVX = 1 << 0, DLRT_CPU_AVX2 = 1 << 1, DLRT_CPU_FMA = 1 << 2, DLRT_CPU_F16C = 1 << 3,
    DLRT_CPU_BMI2 = 1 << 4, DLRT_CPU_AVX512F = 1 << 5, DLRT_CPU_AVX512DQ = 1 << 6,
    DLRT_CPU_AVX512BW = 1 << 7, DLRT_CPU_AVX512VL = 1 << 8, DLRT_CPU_AVX512CD = 1 << 9,
    DLRT_CPU_AVX512VNNI = 1 << 10, DLRT_CPU_AVX512BF16 = 1 << 11, DLRT_CPU_SSE42 = 1 << 12,
    DLRT_CPU_POPCNT = 1 << 13, DLRT_CPU_AVX512IFMA = 1 << 14, DLRT_CPU_AVX512VBMI = 1 << 15,
    DLRT_CPU_NEON = 1 << 16, DLRT_CPU_SVE = 1 << 17, DLRT_CPU_NEWER = 1 << 18 /* exactly cpu_name */
};

enum {
    DLRT_MODEL_PROFILED = 1    /* compiled with --profile: calls can be traced */
};

typedef struct DlrtModelInfo {
    int32_t abi_version;       /* DLRT_ABI_VERSION of the compiler that made it */
    int32_t var_count, function_count;
    int32_t flags;             /* DLRT_MODEL_... */
    const char *name;
    const char *doc;
    const char *target;        /* triple, e.g. "x86_64-pc-linux-gnu" */
    const char *cpu_name;      /* e.g. "znver5" */
    uint64_t cpu_features;
    uint64_t fingerprint;      /* of the vars' names, types and shapes: equal for files that fit */
    const DlrtVarInfo *vars;
    const DlrtFunctionInfo *functions;
    int64_t weight_bytes, slot_bytes, cache_bytes;
    DlrtEntry *initialize;     /* fills weights, slots and cache from frame->seed; uses init_arena_bytes.
                                * A null block is left out: opening and resetting pass weights and slots,
                                * making a context passes the cache only. Blocks come zeroed. No scratch,
                                * threads = 1. */
    int64_t init_arena_bytes;
    DlrtEntry *prepare;        /* makes what functions use of weights that stay as they are, behind the weights in their
                                * block; after opening, resetting, loading and setting. Null: nothing. Uses
                                * prepare_arena_bytes; no scratch, threads = 1. */
    int64_t prepare_arena_bytes;
} DlrtModelInfo;

/* ------------------------------------------------------------------ options */

/* Where the runtime gets memory; null entries mean the C library's. `alignment` is a power of two. */
typedef struct DlrtAllocator {
    void *user;
    void *(*allocate)(void *user, size_t bytes, size_t alignment);
    void (*release)(void *user, void *memory, size_t bytes);
} DlrtAllocator;

/* How the runtime reaches files; each call returns 0 or a handle on success, -1 on failure.
 * `sync_folder` makes the renaming of a file in the folder of `path` durable. */
typedef struct DlrtFiles {
    void *user;
    int (*open)(void *user, const char *path, int write);               /* handle or -1; write truncates */
    int64_t (*size)(void *user, int handle);                            /* bytes or -1 */
    int64_t (*read)(void *user, int handle, void *to, size_t bytes);    /* bytes read, 0 at end, -1 */
    int64_t (*write)(void *user, int handle, const void *from, size_t bytes); /* bytes written or -1 */
    int (*sync)(void *user, int handle);
    int (*close)(void *user, int handle);
    int (*rename)(void *user, const char *from, const char *to);
    int (*remove)(void *user, const char *path);
    int (*sync_folder)(void *user, const char *path);
} DlrtFiles;

/* How to open a model. Zero-initialise it; zero means the default everywhere. */
typedef struct DlrtOptions {
    uint64_t seed;                   /* initial values and random numbers; default 0 */
    int32_t threads;                 /* threads a call may use, the caller's included; default 1 */
    int32_t reserved;
    const DlrtAllocator *allocator;  /* null: malloc */
    const DlrtFiles *files;          /* null: the C library */
    void *memory;                    /* caller's own memory for weights and slots, 64-byte aligned, or null */
    size_t memory_bytes;             /* at least dlrt_model_bytes() */
    char *message;                   /* null, or room for what went wrong when opening fails */
    size_t message_bytes;
} DlrtOptions;

typedef struct DlrtContextOptions {
    void *memory;                    /* caller's own memory for workspace and cache, 64-byte aligned, or null */
    size_t memory_bytes;             /* at least dlrt_context_bytes() */
} DlrtContextOptions;

/* --------------------------------------------------------------------- API */

typedef struct DlrtModel DlrtModel;
typedef struct DlrtContext DlrtContext;

/* A position in training that a checkpoint carries for its caller, e.g. epoch, batch, shuffle seed. */
typedef struct DlrtPosition { uint64_t value[8]; } DlrtPosition;

/* A run of a step, or a whole call. Times are CLOCK_MONOTONIC's in nanoseconds; work is that of this very run, at the
 * dims that the call had. */
typedef struct DlrtSpan {
    int32_t function;          /* of dlrt_info()->functions */
    int32_t step;              /* of its steps; -1: the call */
    int32_t thread, reserved;  /* the system's number of the thread that called */
    int64_t begin, end;
    int64_t flops, bytes;      /* operations, and bytes read and written; of a call: the sum over its steps */
} DlrtSpan;
enum { DLRT_TRACE_SPANS = 4096 };  /* so many, the latest, are kept in a context */

/* The runtime's function table. Use the inline calls below. */
typedef struct DlrtApi {
    int32_t abi_version, reserved;
    void (*close)(DlrtModel *);
    DlrtStatus (*context_create)(DlrtModel *, const DlrtContextOptions *, DlrtContext **);
    void (*context_destroy)(DlrtContext *);
    DlrtStatus (*call)(DlrtContext *, int32_t function, const DlrtTensor *args, int32_t arg_count,
                       DlrtTensor *results, int32_t result_count);
    const char *(*message)(const DlrtContext *);
    const char *(*model_message)(const DlrtModel *);
    DlrtStatus (*get)(DlrtModel *, const char *name, void *to, size_t bytes);
    DlrtStatus (*set)(DlrtModel *, const char *name, const void *from, size_t bytes);
    DlrtStatus (*reset)(DlrtModel *, uint64_t seed);
    DlrtStatus (*save)(DlrtModel *, const char *path);
    DlrtStatus (*load)(DlrtModel *, const char *path);
    DlrtStatus (*checkpoint)(DlrtContext *, const char *path, const DlrtPosition *);
    DlrtStatus (*resume)(DlrtContext *, const char *path, DlrtPosition *);
    const char *(*status_text)(DlrtStatus);
    int64_t (*trace)(DlrtContext *, DlrtSpan *to, int64_t room);
    DlrtStatus (*trace_write)(DlrtContext *, const char *path);
} DlrtApi;

/* The first members of every model and context; the rest is the runtime's. */
struct DlrtModel { const DlrtApi *api; const DlrtModelInfo *info; };
struct DlrtContext { const DlrtApi *api; DlrtModel *model; };

/* What a compiled object exports: NAME_module, and for a .so also dlrt_module for dlsym. */
typedef struct DlrtModule {
    int32_t abi_version, reserved;
    const DlrtModelInfo *info;
    DlrtStatus (*open)(const DlrtModelInfo *, const DlrtOptions *, DlrtModel **);
} DlrtModule;

/* Opens a model: checks ABI and processor, allocates weights and slots, fills them from the seed.
 * On success *model is owned by the caller: dlrt_close. On failure *model is null. */
static inline DlrtStatus dlrt_open(const DlrtModule *module, const DlrtOptions *options, DlrtModel **model) {
    if (model) *model = 0;
    if (!module || !model) return DLRT_ERR_NULL;
    if (module->abi_version != DLRT_ABI_VERSION) return DLRT_ERR_ABI;
    return module->open(module->info, options, model);
}
/* Closes a model. If contexts of it are left, it lives until the last of them is destroyed. Null is allowed. */
static inline void dlrt_close(DlrtModel *m) { if (m) m->api->close(m); }

/* Makes a context: the workspace and caches of one stream of calls. Owned by the caller. */
static inline DlrtStatus dlrt_context_create(DlrtModel *m, const DlrtContextOptions *o, DlrtContext **c) {
    return m ? m->api->context_create(m, o, c) : DLRT_ERR_NULL;
}
static inline void dlrt_context_destroy(DlrtContext *c) { if (c) c->api->context_destroy(c); }

/* Calls function number `function` of dlrt_info(m)->functions, checking every tensor against the
 * reflection tables. Results' shapes are filled in. A free dim that no argument fixes is taken from the
 * rank and shape that the caller gave a result. */
static inline DlrtStatus dlrt_call(DlrtContext *c, int32_t function, const DlrtTensor *args, int32_t arg_count,
                                   DlrtTensor *results, int32_t result_count) {
    return c ? c->api->call(c, function, args, arg_count, results, result_count) : DLRT_ERR_NULL;
}

/* What went wrong in the last failed call on this context or model, in words: names the tensor, the
 * expected and the given. "" if nothing did. Valid until the next failing call on it. A checkpoint's and a
 * resume's message are their context's. */
static inline const char *dlrt_message(const DlrtContext *c) { return c ? c->api->message(c) : ""; }
static inline const char *dlrt_model_message(const DlrtModel *m) { return m ? m->api->model_message(m) : ""; }
static inline const char *dlrt_status_text(const DlrtModel *m, DlrtStatus s) { return m ? m->api->status_text(s) : ""; }

static inline const DlrtModelInfo *dlrt_info(const DlrtModel *m) { return m ? m->info : 0; }

/* Copies a parameter, state or slot by name, in its logical row-major layout; bytes must be exact. */
static inline DlrtStatus dlrt_get(DlrtModel *m, const char *name, void *to, size_t bytes) {
    return m ? m->api->get(m, name, to, bytes) : DLRT_ERR_NULL;
}
static inline DlrtStatus dlrt_set(DlrtModel *m, const char *name, const void *from, size_t bytes) {
    return m ? m->api->set(m, name, from, bytes) : DLRT_ERR_NULL;
}
/* Fills weights and slots anew from a seed, as opening does. */
static inline DlrtStatus dlrt_reset(DlrtModel *m, uint64_t seed) { return m ? m->api->reset(m, seed) : DLRT_ERR_NULL; }

/* Weights (params and state) as safetensors, in logical layout. Saving writes PATH.tmp, syncs, renames and
 * syncs the folder; loading changes nothing unless the whole file is right. A file must hold every weight and
 * no tensor that the model does not have. A checkpoint can be loaded too: its weights are taken. */
static inline DlrtStatus dlrt_save(DlrtModel *m, const char *path) { return m ? m->api->save(m, path) : DLRT_ERR_NULL; }
static inline DlrtStatus dlrt_load(DlrtModel *m, const char *path) { return m ? m->api->load(m, path) : DLRT_ERR_NULL; }

/* Everything that training needs to go on bit for bit: weights, slots, caches, seed, call counts and the
 * caller's position, with a checksum for each tensor. A safetensors file too. */
static inline DlrtStatus dlrt_checkpoint(DlrtContext *c, const char *path, const DlrtPosition *position) {
    return c ? c->api->checkpoint(c, path, position) : DLRT_ERR_NULL;
}
static inline DlrtStatus dlrt_resume(DlrtContext *c, const char *path, DlrtPosition *position) {
    return c ? c->api->resume(c, path, position) : DLRT_ERR_NULL;
}

/* What the context's calls did, if the model was compiled with --profile: copies the latest spans, at most `room` and
 * DLRT_TRACE_SPANS of them, in the order in which they ended, so that a call stands behind its steps. Returns how many;
 * 0 for a model that was compiled without, and for a context that is in use. */
static inline int64_t dlrt_trace(DlrtContext *c, DlrtSpan *to, int64_t room) {
    return c && to ? c->api->trace(c, to, room) : 0;
}
/* Writes them as a Chrome trace (JSON, for chrome://tracing or ui.perfetto.dev), as files are written by dlrt_save.
 * DLRT_ERR_UNSUPPORTED for a model that was compiled without --profile. */
static inline DlrtStatus dlrt_trace_write(DlrtContext *c, const char *path) {
    return c ? c->api->trace_write(c, path) : DLRT_ERR_NULL;
}

/* Exact bytes for DlrtOptions.memory. */
static inline size_t dlrt_model_bytes(const DlrtModelInfo *i) {
    return (size_t)((i->weight_bytes + 63) / 64 * 64 + (i->slot_bytes + 63) / 64 * 64);
}
/* Exact bytes for DlrtContextOptions.memory when `threads` work on a call: the largest function's
 * arena and scratch, and the caches. */
static inline size_t dlrt_context_bytes(const DlrtModelInfo *i, int32_t threads) {
    int64_t work = i->init_arena_bytes;
    int32_t f;
    for (f = 0; f < i->function_count; f++) {
        const DlrtFunctionInfo *fn = &i->functions[f];
        int64_t need = (fn->arena_bytes + 63) / 64 * 64 + (fn->scratch_bytes + 63) / 64 * 64 * (threads < 1 ? 1 : threads);
        if (need > work) work = need;
    }
    return (size_t)((work + 63) / 64 * 64 + (i->cache_bytes + 63) / 64 * 64);
}

/* ---------------------------------------------- ABI with generated code */

/* A piece of parallel work: does items begin .. end-1 of a kernel. `worker` < frame->threads picks the
 * scratch. Which worker does which items never changes a result. A task must not call frame->parallel. */
typedef void DlrtTask(const struct DlrtFrame *frame, const void *kernel_args, int64_t begin, int64_t end, int32_t worker);

/* Routines: what generated code leaves to the runtime as a whole, since no loop nest says it. Each is a task, whose
 * items are rows independent of each other, and a function of its own, dlrt_sort and so on: a model that has no use
 * for it does not contain it. Their kernel_args are a list of int64_t:
 *   how many of them come before the pointers, this one included
 *   the numbers of operands and of results; a bit set of the results that are wanted
 *   for each operand and each wanted result: its DlrtDtype, its rank, its extents, its strides in elements
 *   the operator's attributes in the order of its row, 0 for an absent one; a float as two halves of its bits, the
 *     low one first
 *   a pointer for each operand and each wanted result
 * Results overlap no operand. Scratch is frame->scratch, as much as the function's scratch_bytes say. */
#define DLRT_ROUTINES(ROUTINE) ROUTINE(sort) ROUTINE(top_k) ROUTINE(nms)
#define DLRT_ROUTINE(name) DLRT_ROUTINE_##name,
typedef enum DlrtRoutine { DLRT_ROUTINES(DLRT_ROUTINE) DLRT_ROUTINE_COUNT } DlrtRoutine;
#undef DLRT_ROUTINE
#define DLRT_ROUTINE(name) DlrtTask dlrt_##name;
DLRT_ROUTINES(DLRT_ROUTINE)
#undef DLRT_ROUTINE

/* Filled in by generated code when it returns DLRT_ERR_INDEX, DLRT_ERR_BOUND or DLRT_ERR_REQUIRE. */
typedef struct DlrtFault {
    const char *what;          /* the tensor's or the dim's name, or the text of the requirement */
    int64_t position;          /* INDEX: flat index of the first offending element; BOUND: the least that is allowed */
    int64_t value, limit;      /* the value found; allowed are 0 (BOUND: position) .. limit-1 */
} DlrtFault;

/* One call, as generated code sees it. Pointers are 64-byte aligned except args and results, which
 * have their element's alignment. */
typedef struct DlrtFrame {
    void *const *args;
    void *const *results;
    int64_t *dims;             /* free dims, found ones, which the entry sets, then derived ones */
    unsigned char *weights, *slots, *cache, *arena, *scratch;
    int64_t scratch_stride;    /* bytes from one worker's scratch to the next */
    int64_t seed, count;       /* random numbers: the model's seed and this function's call count */
    int32_t threads, reserved;
    void (*parallel)(const struct DlrtFrame *frame, DlrtTask *task, const void *kernel_args, int64_t items);
    DlrtFault *fault;
    void *pool, *trace;        /* the runtime's */
} DlrtFrame;

/* What the entries of a profiled model call around a step: the first gives the time, which the second gets back, with
 * the step's number and its work. */
int64_t dlrt_step_begin(const DlrtFrame *frame);
void dlrt_step_end(const DlrtFrame *frame, int32_t step, int64_t began, int64_t flops, int64_t bytes);

/* The one runtime function that typed entry points of a generated object call: checks that the context is of
 * the object's model (`info`), pointers, bounds and overlap, takes the context, builds the frame, runs entry.
 * dims holds the free dims, and behind them room for the found ones, which a successful call fills in. */
DlrtStatus dlrt_invoke(const DlrtModelInfo *info, DlrtContext *c, int32_t function, void *const *args,
                       void *const *results, int64_t *dims);
/* Opens a model for a module of this runtime (DlrtModule.open of objects linked with it). */
DlrtStatus dlrt_model_open(const DlrtModelInfo *info, const DlrtOptions *options, DlrtModel **model);

/* Opens a model from a shared object that dlcc wrote (dlopen). On failure `message` (may be null), of
 * message_bytes, says why. The object stays loaded. Part of libdlrt.a for host programs. */
DlrtStatus dlrt_open_file(const char *path, const DlrtOptions *options, DlrtModel **model,
                          char *message, size_t message_bytes);

#ifdef __cplusplus
}
#endif
#endif
