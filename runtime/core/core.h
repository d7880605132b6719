/* core.h - what the files of the runtime's core share. Not installed.
 *
 * Who does what:
 *   model.c   opens, closes, resets a model; its variables by name     context.c  workspaces of calls
 *   shape.c   extents, dims, their solution from shapes                 call.c     tensors -> checked call
 *   invoke.c  pointers -> checked call -> frame -> generated entry      threads.c  the pool
 *   layout.c  logical <-> physical order of a variable                  cpu.c      processor features
 *   trace.c   what calls of a profiled model did
 *   json.c, safetensors.c, weights.c, checkpoint.c, filing.c, checksum.c           files
 *   memory.c, posix_files.c  the default tables                         message.c  text without stdio
 *   sort.c, top_k.c, nms.c, on routine.c and order.c       routines that generated code calls (routine.h)
 *
 * What holds throughout: no mutable globals; no lock on the path of a call; memory and files only
 * through the tables; a function that fails has changed nothing that its caller can see, and has put
 * a sentence into the Message it was given.
 */
#ifndef DLRT_CORE_H
#define DLRT_CORE_H

#include "../dlrt.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define DLRT_ALIGN 64
#define DLRT_MESSAGE_BYTES 512
#define DLRT_MAX_THREADS 1024

static inline int64_t dlrt_round64(int64_t bytes) {
    return (bytes + 63) / 64 * 64;
}

/* ---- message.c: text in a buffer of fixed size, always terminated; what does not fit is cut. */
typedef struct Message {
    char *text;
    size_t room;   /* bytes behind text, 0 to only count */
    size_t length; /* of the whole text, even if cut */
} Message;

Message dlrt_message_in(char *text, size_t room);
/* Appends; knows %s %.*s %d %ld %lld %zu %lu %llu %lx %llx and %%. */
void dlrt_say(Message *m, const char *format, ...) __attribute__((format(printf, 2, 3)));
void dlrt_say_shape(Message *m, const int64_t *shape, int32_t rank);

/* ---- dtype.c */
/* 0 if unknown. */
static inline int64_t dlrt_dtype_bytes(int32_t dtype) {
    static const unsigned char bytes[] = {[DLRT_F64] = 8, [DLRT_F32] = 4, [DLRT_F16] = 2, [DLRT_BF16] = 2, [DLRT_I64] = 8,
                                          [DLRT_I32] = 4, [DLRT_I8] = 1,  [DLRT_U8] = 1,  [DLRT_BOOL] = 1};
    return dtype < 0 || dtype > DLRT_BOOL ? 0 : bytes[dtype];
}
const char *dlrt_dtype_name(int32_t dtype);      /* "f32"; "?" if unknown */
const char *dlrt_dtype_file_name(int32_t dtype); /* safetensors' "F32" */
const char *dlrt_status_name(DlrtStatus status);

/* ---- memory.c */
DlrtAllocator dlrt_allocator(const DlrtAllocator *given);
void *dlrt_allocate(const DlrtAllocator *a, size_t bytes);
void dlrt_release(const DlrtAllocator *a, void *memory, size_t bytes);

/* ---- posix_files.c. Without files (DLRT_NO_FILES) and with none given, every member is null. */
DlrtFiles dlrt_files(const DlrtFiles *given);

/* ---- cpu.c */
uint64_t dlrt_cpu_features(void);
DlrtStatus dlrt_cpu_check(uint64_t needed, const char *cpu_name, Message *m);

/* ---- threads.c */
typedef struct Pool Pool;
/* Starts threads-1 workers. *pool is null when one thread is enough or the build has none. */
DlrtStatus dlrt_pool_create(const DlrtAllocator *a, int32_t threads, Pool **pool, Message *m);
void dlrt_pool_destroy(const DlrtAllocator *a, Pool *pool);
/* Whether the workers exist in this process (false in a child after fork, and for null). */
bool dlrt_pool_alive(const Pool *pool);
/* DlrtFrame.parallel */
void dlrt_parallel(const DlrtFrame *frame, DlrtTask *task, const void *kernel_args, int64_t items);

/* ---- model.c */
typedef struct Model {
    DlrtModel head;
    DlrtAllocator allocator;
    DlrtFiles files;
    unsigned char *weights, *slots;
    void *memory; /* the block behind both, when the runtime allocated it */
    size_t memory_bytes;
    Pool *pool;
    int32_t threads;
    _Atomic int32_t references; /* the owner and every context */
    _Atomic int32_t use;        /* readers inside, or negative while a writer is */
    _Atomic int32_t message_taken;
    _Atomic int32_t stale;      /* weights were set, and what is prepared of them is still that of the old ones */
    _Atomic uint64_t seed;
    char message[DLRT_MESSAGE_BYTES];
    _Atomic int64_t counts[]; /* successful calls of each function since open, reset or resume */
} Model;

bool dlrt_model_share(Model *model); /* enters as a reader; false if a writer is inside */
void dlrt_model_unshare(Model *model);
bool dlrt_model_seize(Model *model); /* enters as the writer; false if anyone is inside */
void dlrt_model_unseize(Model *model);
void dlrt_model_unreference(Model *model);
/* Stores a failure's text in the model and passes the status through. */
DlrtStatus dlrt_model_fail(Model *model, DlrtStatus status, const Message *m);
/* Runs the model's initialiser on the blocks that are not null. */
DlrtStatus dlrt_run_initializer(const DlrtModelInfo *info, uint64_t seed, unsigned char *weights, unsigned char *slots,
                                unsigned char *cache, unsigned char *arena);
/* Notes that weights have changed; then what is prepared of them is made anew: now, or by the next call. */
void dlrt_model_changed(Model *model);
/* Makes it if that was not done yet; from outside, and for a writer inside. It needs memory for a while. */
DlrtStatus dlrt_model_refresh(Model *model, Message *m);
DlrtStatus dlrt_model_prepare(Model *model, Message *m);
DlrtStatus dlrt_busy(Message *m, bool writing);
const DlrtApi *dlrt_api(void);

/* ---- trace.c: the spans of a context's calls, the latest of them. */
typedef struct Trace {
    int64_t count; /* of all spans ever; span i lies at i % DLRT_TRACE_SPANS */
    DlrtSpan call; /* the current one */
    DlrtSpan spans[DLRT_TRACE_SPANS];
} Trace;
/* For a profiled model; null for others, and where there is no memory. */
Trace *dlrt_trace_create(const DlrtAllocator *a, const DlrtModelInfo *info);
void dlrt_trace_destroy(const DlrtAllocator *a, Trace *trace);
/* Around a call. Null does nothing. */
void dlrt_trace_enter(Trace *trace, int32_t function);
void dlrt_trace_leave(Trace *trace);
int64_t dlrt_trace_copy(DlrtContext *c, DlrtSpan *to, int64_t room);
DlrtStatus dlrt_trace_save(DlrtContext *c, const char *path);

/* ---- context.c */
typedef struct Context {
    DlrtContext head;
    Trace *trace; /* null in a model that is not profiled */
    unsigned char *work, *cache; /* arena and scratch; key/value memory */
    void *memory;
    size_t memory_bytes, struct_bytes;
    _Atomic int32_t busy;
    int64_t *dims;    /* room for the most dims of any function */
    int64_t *sizes;   /* room for the most args and results: bytes of each */
    void **pointers;  /* the same, for dlrt_call */
    int32_t *origins; /* per free dim: the tensor that fixed it, for messages */
    char message[DLRT_MESSAGE_BYTES];
} Context;

DlrtStatus dlrt_context_make(DlrtModel *model, const DlrtContextOptions *options, DlrtContext **context);
void dlrt_context_free(DlrtContext *context);
bool dlrt_context_take(Context *c);
void dlrt_context_give(Context *c);

/* ---- shape.c */
int64_t dlrt_extent_of(const DlrtExtent *e, const int64_t *dims);
/* Most extents are numbers. */
static inline bool dlrt_is_number(const DlrtExtent *e) { return !e->terms && e->divisor <= 1; }
static inline int64_t dlrt_extent(const DlrtExtent *e, const int64_t *dims) {
    return dlrt_is_number(e) ? e->constant : dlrt_extent_of(e, dims);
}
/* Free dims of a function that no tensor has fixed are -1. */
void dlrt_dims_clear(const DlrtFunctionInfo *f, int64_t *dims, int32_t *origins);
/* Fixes what `given`, tensor number `origin` of declared shape `info`, fixes. */
DlrtStatus dlrt_dims_solve(const DlrtFunctionInfo *f, const DlrtTensorInfo *info, const DlrtTensor *given,
                           int32_t origin, int64_t *dims, int32_t *origins, Message *m);
/* Checks free dims' bounds, computes derived ones and checks theirs. */
DlrtStatus dlrt_dims_complete(const DlrtFunctionInfo *f, int64_t *dims, Message *m);
/* Computes derived dims anew, after a call has found others. */
void dlrt_dims_derive(const DlrtFunctionInfo *f, int64_t *dims);
void dlrt_shape_of(const DlrtTensorInfo *t, const int64_t *dims, int64_t *shape);
int64_t dlrt_tensor_bytes(const DlrtTensorInfo *t, const int64_t *dims);
DlrtStatus dlrt_dim_check(const DlrtFunctionInfo *f, int32_t d, int64_t value, Message *m);
int32_t dlrt_free_dims(const DlrtFunctionInfo *f);
/* Whether there is a dim d and a call finds it; these stand behind the free ones. */
bool dlrt_finds(const DlrtFunctionInfo *f, int32_t d);

/* ---- call.c, invoke.c */
DlrtStatus dlrt_call_tensors(DlrtContext *c, int32_t function, const DlrtTensor *args, int32_t arg_count,
                             DlrtTensor *results, int32_t result_count);
/* Runs function f of a taken context; free dims are in c->dims, unchecked; pointers unchecked. */
DlrtStatus dlrt_run(Context *c, int32_t function, void *const *args, void *const *results, Message *m);

/* ---- layout.c: a variable's bytes in logical order, and between there and the model's order. */
int64_t dlrt_var_count(const DlrtVarInfo *v);
int64_t dlrt_var_bytes(const DlrtVarInfo *v);
void dlrt_var_read(const DlrtVarInfo *v, const unsigned char *physical, void *logical);
void dlrt_var_write(const DlrtVarInfo *v, unsigned char *physical, const void *logical);

/* ---- checksum.c */
uint64_t dlrt_checksum(const void *data, size_t bytes, uint64_t start);

/* ---- json.c: a reader over text in memory, which it unescapes in place. */
typedef struct Json {
    char *begin, *at, *end;
    const char *error; /* null while all is well; then `at` is the place */
} Json;
typedef struct JsonText {
    const char *text;
    size_t length;
} JsonText;

bool dlrt_json_take(Json *j, char c); /* skips space; takes c if it is next */
bool dlrt_json_expect(Json *j, char c, const char *error);
bool dlrt_json_string(Json *j, JsonText *s);
bool dlrt_json_integer(Json *j, int64_t *value); /* 0 .. INT64_MAX */
bool dlrt_json_skip(Json *j);                    /* any value */
bool dlrt_json_end(Json *j);                     /* only space is left */
bool dlrt_json_fail(Json *j, const char *error);
bool dlrt_text_is(JsonText s, const char *text);

/* ---- filing.c: reading a file forward, writing one so that it appears whole or not at all. */
typedef struct Reader {
    const DlrtFiles *files;
    const char *path;
    Message *m;
    int handle;
    int64_t size, at;
} Reader;
DlrtStatus dlrt_reader_open(Reader *r, const DlrtFiles *files, const char *path, Message *m);
DlrtStatus dlrt_reader_read(Reader *r, void *to, int64_t bytes);
void dlrt_reader_close(Reader *r);

typedef struct Writer {
    const DlrtFiles *files;
    const DlrtAllocator *allocator;
    const char *path;
    Message *m;
    char *temporary; /* path with ".tmp" */
    size_t temporary_bytes;
    int handle;
} Writer;
DlrtStatus dlrt_writer_open(Writer *w, const DlrtFiles *files, const DlrtAllocator *a, const char *path, Message *m);
DlrtStatus dlrt_writer_write(Writer *w, const void *from, int64_t bytes);
/* With OK puts the file in place, else (or when that fails) removes it. Returns the final status. */
DlrtStatus dlrt_writer_close(Writer *w, DlrtStatus status);

/* ---- safetensors.c: a set of a model's variables <-> a file. */
typedef struct Entry { /* what the file says of one variable of the model */
    bool wanted;       /* must be in the file and is read from it */
    bool seen, has_sum;
    int64_t begin, end; /* in the data part of the file */
    uint64_t sum;       /* checksum from the metadata */
} Entry;

typedef struct State { /* a checkpoint's values beside the tensors */
    uint64_t fingerprint, seed;
    DlrtPosition position;
    int64_t *counts; /* one per function */
    bool is_checkpoint, has_fingerprint, has_seed, has_position, has_sum;
    uint64_t sum, sum_found; /* over the metadata: as the file says, and as it is */
} State;

typedef struct Blocks {
    unsigned char *of[4];
} Blocks; /* by DlrtVarKind: where each kind's block is */

/* Writes variables of the kinds in the bit set; `state` (may be null) goes into the metadata. */
DlrtStatus dlrt_tensors_write(const Model *model, const char *path, unsigned kinds, const Blocks *blocks,
                              const State *state, Message *m);
/* Reads variables of the kinds in the bit set: first checks the whole header against the file's size and
 * the model, then allocates a copy of the blocks that need one, reads, verifies, and only at the end, if
 * accept (may be null) agrees with the state read, puts them into `blocks`. */
DlrtStatus dlrt_tensors_read(Model *model, const char *path, unsigned kinds, const Blocks *blocks, State *state,
                             bool checkpoint, Message *m);
unsigned char *dlrt_var_place(const DlrtVarInfo *v, const Blocks *blocks);
DlrtStatus dlrt_out_of_memory(Message *m, int64_t bytes);

/* ---- metadata.c: the text form of State */
void dlrt_state_print(Message *m, const DlrtModelInfo *info, const State *state, const Entry *entries);
bool dlrt_state_parse(Json *j, const DlrtModelInfo *info, State *state, Entry *entries);
void dlrt_say_json_name(Message *m, const char *s);
int32_t dlrt_var_find(const DlrtModelInfo *info, const char *name, size_t length); /* -1 if none */
int32_t dlrt_var_nearest(const DlrtModelInfo *info, const char *name, size_t length);

/* ---- weights.c, checkpoint.c */
DlrtStatus dlrt_weights_save(DlrtModel *model, const char *path);
DlrtStatus dlrt_weights_load(DlrtModel *model, const char *path);
DlrtStatus dlrt_checkpoint_save(DlrtContext *c, const char *path, const DlrtPosition *position);
DlrtStatus dlrt_checkpoint_load(DlrtContext *c, const char *path, DlrtPosition *position);

#endif
