/* checkpoint.c - everything that training needs to go on bit for bit.
 *
 * In: a context and a path. Out: a safetensors file of weights, slots and the context's caches, with seed,
 * call counts, the caller's position, the model's fingerprint and checksums in its metadata; or the model
 * and context as that file says. Writing is a reader of the model, resuming its writer.
 */
#include "core.h"
#include <string.h>

enum { EVERYTHING = 1u << DLRT_VAR_PARAM | 1u << DLRT_VAR_STATE | 1u << DLRT_VAR_SLOT | 1u << DLRT_VAR_CACHE };

static Blocks all_blocks(const Context *c) {
    const Model *model = (const Model *)c->head.model;
    return (Blocks){{model->weights, model->weights, model->slots, c->cache}};
}

/* Room for the call counts; the caller releases it. */
static DlrtStatus allocate_counts(const Model *model, State *state, size_t *bytes, Message *m) {
    *bytes = ((size_t)model->head.info->function_count + 1) * sizeof(int64_t);
    state->counts = dlrt_allocate(&model->allocator, *bytes);
    if (!state->counts) return dlrt_out_of_memory(m, (int64_t)*bytes);
    memset(state->counts, 0, *bytes);
    return DLRT_OK;
}

static DlrtStatus save(Context *c, const char *path, const DlrtPosition *position, Message *m) {
    DlrtModel *handle = c->head.model;
    Model *model = (Model *)handle;
    State state = {.fingerprint = handle->info->fingerprint, .seed = atomic_load(&model->seed)};
    Blocks blocks = all_blocks(c);
    size_t bytes;
    if (!dlrt_model_share(model)) return dlrt_busy(m, false);
    DlrtStatus status = allocate_counts(model, &state, &bytes, m);
    if (!status) {
        if (position) state.position = *position;
        for (int32_t f = 0; f < handle->info->function_count; f++) state.counts[f] = atomic_load(&model->counts[f]);
        status = dlrt_tensors_write(model, path, EVERYTHING, &blocks, &state, m);
    }
    dlrt_model_unshare(model);
    dlrt_release(&model->allocator, state.counts, bytes);
    return status;
}

static DlrtStatus load(Context *c, const char *path, DlrtPosition *position, Message *m) {
    DlrtModel *handle = c->head.model;
    Model *model = (Model *)handle;
    State state = {0};
    Blocks blocks = all_blocks(c);
    size_t bytes;
    if (!dlrt_model_seize(model)) return dlrt_busy(m, true);
    DlrtStatus status = allocate_counts(model, &state, &bytes, m);
    if (!status) status = dlrt_tensors_read(model, path, EVERYTHING, &blocks, &state, true, m);
    if (!status) {
        atomic_store(&model->seed, state.seed);
        for (int32_t f = 0; f < handle->info->function_count; f++) atomic_store(&model->counts[f], state.counts[f]);
        if (position) *position = state.position;
    }
    dlrt_model_changed(model);
    if (!status) dlrt_model_prepare(model, m);
    dlrt_model_unseize(model);
    dlrt_release(&model->allocator, state.counts, bytes);
    return status;
}

DlrtStatus dlrt_checkpoint_save(DlrtContext *context, const char *path, const DlrtPosition *position) {
    Context *c = (Context *)context;
    if (!dlrt_context_take(c)) return DLRT_ERR_BUSY;
    Message m = {c->message, sizeof c->message, 0};
    if (!path) dlrt_say(&m, "the path is null");
    DlrtStatus status = path ? save(c, path, position, &m) : DLRT_ERR_NULL;
    dlrt_context_give(c);
    return status;
}

DlrtStatus dlrt_checkpoint_load(DlrtContext *context, const char *path, DlrtPosition *position) {
    Context *c = (Context *)context;
    if (!dlrt_context_take(c)) return DLRT_ERR_BUSY;
    Message m = {c->message, sizeof c->message, 0};
    if (!path) dlrt_say(&m, "the path is null");
    DlrtStatus status = path ? load(c, path, position, &m) : DLRT_ERR_NULL;
    dlrt_context_give(c);
    return status;
}
