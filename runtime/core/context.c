/* context.c - contexts: the workspace and caches of one stream of calls.
 *
 * In: an open model. Out: a context with exactly dlrt_context_bytes() of workspace (the caller's or
 * allocated) and one small block for its own fields: the struct below with room for the dims, sizes and
 * pointers of the model's largest function, so that no call needs memory or a deep stack. A profiled model's has
 * a block for its trace too.
 * A context belongs to one thread at a time; an atomic flag turns a second one away.
 */
#include "core.h"
#include <string.h>

bool dlrt_context_take(Context *c) {
    return !atomic_exchange_explicit(&c->busy, 1, memory_order_acquire);
}

void dlrt_context_give(Context *c) {
    atomic_store_explicit(&c->busy, 0, memory_order_release);
}

/* The struct and the four lists behind it. */
static Context *allocate_struct(Model *model, Message *m) {
    const DlrtModelInfo *info = model->head.info;
    size_t dims = 1, tensors = 1;
    for (int32_t f = 0; f < info->function_count; f++) {
        size_t n = (size_t)info->functions[f].arg_count + (size_t)info->functions[f].result_count;
        if (n > tensors) tensors = n;
        if ((size_t)info->functions[f].dim_count > dims) dims = (size_t)info->functions[f].dim_count;
    }
    size_t base = (sizeof(Context) + 7) / 8 * 8;
    size_t bytes = base + dims * (sizeof(int64_t) + sizeof(int32_t)) + tensors * (sizeof(int64_t) + sizeof(void *));
    Context *c = dlrt_allocate(&model->allocator, bytes);
    if (!c) {
        dlrt_out_of_memory(m, (int64_t)bytes);
        return NULL;
    }
    memset(c, 0, bytes);
    c->struct_bytes = bytes;
    c->dims = (int64_t *)(void *)((unsigned char *)c + base);
    c->sizes = c->dims + dims;
    c->pointers = (void **)(c->sizes + tensors);
    c->origins = (int32_t *)(c->pointers + tensors);
    return c;
}

static DlrtStatus give_memory(Model *model, Context *c, const DlrtContextOptions *options, Message *m) {
    size_t need = dlrt_context_bytes(model->head.info, model->threads);
    c->memory_bytes = need;
    if (options && options->memory) {
        if ((uintptr_t)options->memory % DLRT_ALIGN) {
            dlrt_say(m, "the memory for the context is not aligned to %d bytes", DLRT_ALIGN);
            return DLRT_ERR_ALIGN;
        }
        if (options->memory_bytes < need) {
            dlrt_say(m, "the memory for the context has %zu bytes, needed are %zu", options->memory_bytes, need);
            return DLRT_ERR_SIZE;
        }
        c->work = options->memory;
    } else if (need) {
        c->memory = c->work = dlrt_allocate(&model->allocator, need);
        if (!c->memory) return dlrt_out_of_memory(m, (int64_t)need);
    }
    size_t cache_bytes = (size_t)dlrt_round64(model->head.info->cache_bytes);
    c->cache = cache_bytes ? c->work + (need - cache_bytes) : NULL;
    return DLRT_OK;
}

static DlrtStatus fill_cache(Model *model, Context *c, Message *m) {
    const DlrtModelInfo *info = model->head.info;
    if (!c->cache) return DLRT_OK;
    memset(c->cache, 0, (size_t)dlrt_round64(info->cache_bytes));
    DlrtStatus status = dlrt_run_initializer(info, atomic_load(&model->seed), NULL, NULL, c->cache, c->work);
    if (status) dlrt_say(m, "the caches could not be initialised: %s", dlrt_status_name(status));
    return status;
}

static DlrtStatus make_trace(Model *model, Context *c, Message *m) {
    c->trace = dlrt_trace_create(&model->allocator, model->head.info);
    bool lacks = !c->trace && model->head.info->flags & DLRT_MODEL_PROFILED;
    return lacks ? dlrt_out_of_memory(m, (int64_t)sizeof(Trace)) : DLRT_OK;
}

static void free_context(Model *model, Context *c) {
    dlrt_trace_destroy(&model->allocator, c->trace);
    dlrt_release(&model->allocator, c->memory, c->memory_bytes);
    dlrt_release(&model->allocator, c, c->struct_bytes);
}

DlrtStatus dlrt_context_make(DlrtModel *handle, const DlrtContextOptions *options, DlrtContext **context) {
    Model *model = (Model *)handle;
    char text[DLRT_MESSAGE_BYTES];
    Message m = dlrt_message_in(text, sizeof text);
    if (!context) return DLRT_ERR_NULL;
    *context = NULL;
    Context *c = allocate_struct(model, &m);
    if (!c) return dlrt_model_fail(model, DLRT_ERR_MEMORY, &m);
    DlrtStatus status = give_memory(model, c, options, &m);
    if (!status) status = make_trace(model, c, &m);
    if (!status) status = fill_cache(model, c, &m);
    if (status) {
        free_context(model, c);
        return dlrt_model_fail(model, status, &m);
    }
    c->head = (DlrtContext){handle->api, handle};
    atomic_fetch_add(&model->references, 1);
    *context = &c->head;
    return DLRT_OK;
}

void dlrt_context_free(DlrtContext *context) {
    Context *c = (Context *)context;
    Model *model = (Model *)context->model;
    free_context(model, c);
    dlrt_model_unreference(model);
}
