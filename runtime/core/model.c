/* model.c - an open model: its memory, its variables by name, and who may be inside.
 *
 * In: the constant tables of a compiled model and options. Out: a handle that owns one small block (the
 * struct in core.h with one counter per function), one of exactly dlrt_model_bytes() unless the caller
 * gave his own, and the thread pool. Opening checks ABI and processor before any generated code runs.
 *
 * Readers and the writer are counted in one atomic number, so that a call costs two atomic operations
 * and nobody ever waits: who may not enter gets DLRT_ERR_BUSY. The model lives until its owner has closed
 * it and its last context is destroyed.
 */
#include "core.h"
#include <string.h>

#define WRITER_INSIDE (-(1 << 30))

bool dlrt_model_share(Model *model) {
    if (atomic_fetch_add_explicit(&model->use, 1, memory_order_acquire) >= 0) return true;
    atomic_fetch_sub_explicit(&model->use, 1, memory_order_relaxed);
    return false;
}

void dlrt_model_unshare(Model *model) {
    atomic_fetch_sub_explicit(&model->use, 1, memory_order_release);
}

bool dlrt_model_seize(Model *model) {
    int32_t nobody = 0;
    return atomic_compare_exchange_strong_explicit(&model->use, &nobody, WRITER_INSIDE, memory_order_acquire,
                                                   memory_order_relaxed);
}

void dlrt_model_unseize(Model *model) {
    atomic_fetch_sub_explicit(&model->use, WRITER_INSIDE, memory_order_release);
}

/* Of two calls that fail at the same moment in two threads, one gets its message in. */
DlrtStatus dlrt_model_fail(Model *model, DlrtStatus status, const Message *m) {
    if (!status || atomic_exchange_explicit(&model->message_taken, 1, memory_order_acquire)) return status;
    size_t length = m->length < sizeof model->message ? m->length : sizeof model->message - 1;
    memcpy(model->message, m->text, length);
    model->message[length] = 0;
    atomic_store_explicit(&model->message_taken, 0, memory_order_release);
    return status;
}

DlrtStatus dlrt_run_initializer(const DlrtModelInfo *info, uint64_t seed, unsigned char *weights, unsigned char *slots,
                                unsigned char *cache, unsigned char *arena) {
    DlrtFault fault = {0};
    DlrtFrame frame = {.weights = weights,
                       .slots = slots,
                       .cache = cache,
                       .arena = arena,
                       .seed = (int64_t)seed,
                       .threads = 1,
                       .parallel = dlrt_parallel,
                       .fault = &fault};
    return info->initialize ? info->initialize(&frame) : DLRT_OK;
}

void dlrt_model_changed(Model *model) {
    if (model->head.info->prepare) atomic_store(&model->stale, 1);
}

DlrtStatus dlrt_model_prepare(Model *model, Message *m) {
    const DlrtModelInfo *info = model->head.info;
    if (!atomic_load(&model->stale)) return DLRT_OK;
    size_t arena_bytes = (size_t)dlrt_round64(info->prepare_arena_bytes);
    unsigned char *arena = arena_bytes ? dlrt_allocate(&model->allocator, arena_bytes) : NULL;
    if (arena_bytes && !arena) return dlrt_out_of_memory(m, (int64_t)arena_bytes);
    DlrtFault fault = {0};
    DlrtFrame frame = {.weights = model->weights,
                       .slots = model->slots,
                       .arena = arena,
                       .threads = 1,
                       .parallel = dlrt_parallel,
                       .fault = &fault};
    DlrtStatus status = info->prepare(&frame);
    dlrt_release(&model->allocator, arena, arena_bytes);
    if (status) dlrt_say(m, "the weights could not be prepared: %s", dlrt_status_name(status));
    else atomic_store(&model->stale, 0);
    return status;
}

DlrtStatus dlrt_model_refresh(Model *model, Message *m) {
    if (!dlrt_model_seize(model)) return dlrt_busy(m, true);
    DlrtStatus status = dlrt_model_prepare(model, m);
    dlrt_model_unseize(model);
    return status;
}

/* Fills weights and slots, with a workspace that is released again. */
static DlrtStatus initialize(Model *model, uint64_t seed, Message *m) {
    const DlrtModelInfo *info = model->head.info;
    size_t arena_bytes = (size_t)dlrt_round64(info->init_arena_bytes);
    unsigned char *arena = arena_bytes ? dlrt_allocate(&model->allocator, arena_bytes) : NULL;
    if (arena_bytes && !arena) return dlrt_out_of_memory(m, (int64_t)arena_bytes);
    if (model->weights) memset(model->weights, 0, dlrt_model_bytes(info));
    DlrtStatus status = dlrt_run_initializer(info, seed, model->weights, model->slots, NULL, arena);
    dlrt_release(&model->allocator, arena, arena_bytes);
    if (status) dlrt_say(m, "the model could not be initialised: %s", dlrt_status_name(status));
    dlrt_model_changed(model);
    return status ? status : dlrt_model_prepare(model, m);
}

static DlrtStatus give_memory(Model *model, const DlrtOptions *options, Message *m) {
    const DlrtModelInfo *info = model->head.info;
    size_t need = dlrt_model_bytes(info);
    model->memory_bytes = need;
    if (options->memory) {
        if ((uintptr_t)options->memory % DLRT_ALIGN) {
            dlrt_say(m, "the memory for the model is not aligned to %d bytes", DLRT_ALIGN);
            return DLRT_ERR_ALIGN;
        }
        if (options->memory_bytes < need) {
            dlrt_say(m, "the memory for the model has %zu bytes, needed are %zu", options->memory_bytes, need);
            return DLRT_ERR_SIZE;
        }
        model->weights = options->memory;
    } else if (need) {
        model->memory = model->weights = dlrt_allocate(&model->allocator, need);
        if (!model->memory) return dlrt_out_of_memory(m, (int64_t)need);
    }
    model->slots = model->weights ? model->weights + dlrt_round64(info->weight_bytes) : NULL;
    return DLRT_OK;
}

static size_t struct_bytes(const DlrtModelInfo *info) {
    return sizeof(Model) + (size_t)info->function_count * sizeof(_Atomic int64_t);
}

static void free_model(Model *model) {
    DlrtAllocator allocator = model->allocator;
    dlrt_pool_destroy(&allocator, model->pool);
    dlrt_release(&allocator, model->memory, model->memory_bytes);
    dlrt_release(&allocator, model, struct_bytes(model->head.info));
}

void dlrt_model_unreference(Model *model) {
    if (atomic_fetch_sub(&model->references, 1) == 1) free_model(model);
}

static DlrtStatus check_options(const DlrtModelInfo *info, const DlrtOptions *options, Message *m) {
    if (info->abi_version != DLRT_ABI_VERSION) {
        dlrt_say(m, "the model was compiled for ABI version %d, this runtime has %d", info->abi_version,
                 DLRT_ABI_VERSION);
        return DLRT_ERR_ABI;
    }
    if (options->threads < 0 || options->threads > DLRT_MAX_THREADS) {
        dlrt_say(m, "threads is %d, allowed are 0..%d", options->threads, DLRT_MAX_THREADS);
        return DLRT_ERR_ARGUMENT;
    }
    return dlrt_cpu_check(info->cpu_features, info->cpu_name, m);
}

static DlrtStatus fill_model(Model *model, const DlrtModelInfo *info, const DlrtOptions *options, Message *m) {
    model->head = (DlrtModel){dlrt_api(), info};
    model->files = dlrt_files(options->files);
    model->threads = options->threads > 1 ? options->threads : 1;
    atomic_init(&model->references, 1);
    atomic_init(&model->seed, options->seed);
    DlrtStatus status = give_memory(model, options, m);
    if (!status) status = dlrt_pool_create(&model->allocator, model->threads, &model->pool, m);
    if (!status) status = initialize(model, options->seed, m);
    return status;
}

DlrtStatus dlrt_model_open(const DlrtModelInfo *info, const DlrtOptions *given, DlrtModel **handle) {
    DlrtOptions options = {0};
    if (given) options = *given;
    Message m = dlrt_message_in(options.message, options.message ? options.message_bytes : 0);
    if (handle) *handle = NULL;
    if (!info || !handle) return DLRT_ERR_NULL;
    DlrtStatus status = check_options(info, &options, &m);
    if (status) return status;
    DlrtAllocator allocator = dlrt_allocator(options.allocator);
    Model *model = dlrt_allocate(&allocator, struct_bytes(info));
    if (!model) return dlrt_out_of_memory(&m, (int64_t)struct_bytes(info));
    memset(model, 0, struct_bytes(info));
    model->head.info = info;
    model->allocator = allocator;
    status = fill_model(model, info, &options, &m);
    if (status)
        free_model(model);
    else
        *handle = &model->head;
    return status;
}

static void close_model(DlrtModel *model) {
    dlrt_model_unreference((Model *)model);
}

static DlrtStatus reset(DlrtModel *handle, uint64_t seed) {
    Model *model = (Model *)handle;
    char text[DLRT_MESSAGE_BYTES];
    Message m = dlrt_message_in(text, sizeof text);
    if (!dlrt_model_seize(model)) return dlrt_model_fail(model, dlrt_busy(&m, true), &m);
    DlrtStatus status = initialize(model, seed, &m);
    if (!status) {
        atomic_store(&model->seed, seed);
        for (int32_t f = 0; f < handle->info->function_count; f++) atomic_store(&model->counts[f], 0);
    }
    dlrt_model_unseize(model);
    return dlrt_model_fail(model, status, &m);
}

/* The variable of a name, if it is the model's and has this many bytes. */
static DlrtStatus find_var(Model *model, const char *name, size_t bytes, const DlrtVarInfo **found, Message *m) {
    const DlrtModelInfo *info = model->head.info;
    int32_t v = dlrt_var_find(info, name, strlen(name));
    if (v < 0) {
        int32_t near = dlrt_var_nearest(info, name, strlen(name));
        dlrt_say(m, "the model has no variable %s", name);
        if (near >= 0) dlrt_say(m, "; the nearest is %s", info->vars[near].name);
        return DLRT_ERR_NAME;
    }
    *found = &info->vars[v];
    if ((*found)->kind == DLRT_VAR_CACHE) {
        dlrt_say(m, "%s is a cache, which belongs to a context", name);
        return DLRT_ERR_NAME;
    }
    if (bytes == (size_t)dlrt_var_bytes(*found)) return DLRT_OK;
    dlrt_say(m, "%s, %s ", name, dlrt_dtype_name((*found)->dtype));
    dlrt_say_shape(m, (*found)->shape, (*found)->rank);
    dlrt_say(m, ", has %lld bytes; given are %zu", (long long)dlrt_var_bytes(*found), bytes);
    return DLRT_ERR_SIZE;
}

static DlrtStatus fail_null(Model *model, bool name, Message *m) {
    dlrt_say(m, "the %s is null", name ? "name of the variable" : "place of the values");
    return dlrt_model_fail(model, DLRT_ERR_NULL, m);
}

static DlrtStatus get(DlrtModel *handle, const char *name, void *to, size_t bytes) {
    Model *model = (Model *)handle;
    char text[DLRT_MESSAGE_BYTES];
    Message m = dlrt_message_in(text, sizeof text);
    const DlrtVarInfo *v;
    if (!name || !to) return fail_null(model, !name, &m);
    DlrtStatus status = find_var(model, name, bytes, &v, &m);
    if (!status && !dlrt_model_share(model)) status = dlrt_busy(&m, false);
    if (status) return dlrt_model_fail(model, status, &m);
    Blocks blocks = {{model->weights, model->weights, model->slots, NULL}};
    dlrt_var_read(v, dlrt_var_place(v, &blocks), to);
    dlrt_model_unshare(model);
    return DLRT_OK;
}

static DlrtStatus set(DlrtModel *handle, const char *name, const void *from, size_t bytes) {
    Model *model = (Model *)handle;
    char text[DLRT_MESSAGE_BYTES];
    Message m = dlrt_message_in(text, sizeof text);
    const DlrtVarInfo *v;
    if (!name || !from) return fail_null(model, !name, &m);
    DlrtStatus status = find_var(model, name, bytes, &v, &m);
    if (!status && !dlrt_model_seize(model)) status = dlrt_busy(&m, true);
    if (status) return dlrt_model_fail(model, status, &m);
    Blocks blocks = {{model->weights, model->weights, model->slots, NULL}};
    dlrt_var_write(v, dlrt_var_place(v, &blocks), from);
    dlrt_model_changed(model);
    dlrt_model_unseize(model);
    return DLRT_OK;
}

static const char *context_message(const DlrtContext *c) {
    return ((const Context *)c)->message;
}
static const char *model_message(const DlrtModel *m) {
    return ((const Model *)m)->message;
}

const DlrtApi *dlrt_api(void) {
    static const DlrtApi api = {
        .abi_version = DLRT_ABI_VERSION,
        .close = close_model,
        .context_create = dlrt_context_make,
        .context_destroy = dlrt_context_free,
        .call = dlrt_call_tensors,
        .message = context_message,
        .model_message = model_message,
        .get = get,
        .set = set,
        .reset = reset,
        .save = dlrt_weights_save,
        .load = dlrt_weights_load,
        .checkpoint = dlrt_checkpoint_save,
        .resume = dlrt_checkpoint_load,
        .status_text = dlrt_status_name,
        .trace = dlrt_trace_copy,
        .trace_write = dlrt_trace_save,
    };
    return &api;
}
