/* invoke.c - from pointers and dims to the generated entry.
 *
 * In: a context, a function's number, pointers to its args and results, its free dims. Out: a status and,
 * on failure, a message in the context. Everything is checked before the entry runs: pointers, alignment,
 * bounds, overlap, and who is inside the model. It allocates nothing, takes no lock (a few atomic
 * operations keep account of readers and the writer) and costs well under 100 ns.
 *
 * Also here: what an entry's own failure says in words.
 */
#include "core.h"
#include <string.h>

static DlrtStatus bad_pointer(const DlrtFunctionInfo *f, const DlrtTensorInfo *t, const void *p, Message *m) {
    if (!p) {
        dlrt_say(m, "%s: %s is null", f->name, t->name);
        return DLRT_ERR_NULL;
    }
    dlrt_say(m, "%s: %s is at %lx, which is not aligned to its element type, %s", f->name, t->name,
             (unsigned long)(uintptr_t)p, dlrt_dtype_name(t->dtype));
    return DLRT_ERR_ALIGN;
}

/* Sizes of all tensors into sizes[], args first; checks null and alignment. A tensor of no elements may
 * be null. */
static DlrtStatus check_pointers(const DlrtFunctionInfo *f, const DlrtTensorInfo *infos, int32_t count,
                                 void *const *pointers, const int64_t *dims, int64_t *sizes, Message *m) {
    for (int32_t i = 0; i < count; i++) {
        sizes[i] = dlrt_tensor_bytes(&infos[i], dims);
        uintptr_t at = (uintptr_t)pointers[i];
        bool aligned = (at & (uintptr_t)(dlrt_dtype_bytes(infos[i].dtype) - 1)) == 0;
        if ((!at && sizes[i]) || !aligned) return bad_pointer(f, &infos[i], pointers[i], m);
    }
    return DLRT_OK;
}

static bool overlap(const void *a, int64_t a_bytes, const void *b, int64_t b_bytes) {
    uintptr_t x = (uintptr_t)a, y = (uintptr_t)b;
    return a_bytes && b_bytes && x < y + (uintptr_t)b_bytes && y < x + (uintptr_t)a_bytes;
}

static DlrtStatus overlapping(const DlrtFunctionInfo *f, const char *result, const char *other, Message *m) {
    dlrt_say(m, "%s: result %s overlaps %s", f->name, result, other);
    return DLRT_ERR_OVERLAP;
}

static const char *model_overlap(const Context *c, const void *p, int64_t bytes) {
    const Model *model = (const Model *)c->head.model;
    const DlrtModelInfo *info = model->head.info;
    if (overlap(p, bytes, model->weights, info->weight_bytes)) return "the model's weights";
    if (overlap(p, bytes, model->slots, info->slot_bytes)) return "the model's slots";
    if (overlap(p, bytes, c->work, (int64_t)c->memory_bytes)) return "the context's memory";
    return NULL;
}

static DlrtStatus check_overlap(const Context *c, const DlrtFunctionInfo *f, void *const *args, void *const *results,
                                Message *m) {
    const int64_t *arg_bytes = c->sizes, *result_bytes = c->sizes + f->arg_count;
    for (int32_t r = 0; r < f->result_count; r++) {
        const char *name = f->results[r].name, *in_model = model_overlap(c, results[r], result_bytes[r]);
        for (int32_t a = 0; a < f->arg_count; a++)
            if (overlap(results[r], result_bytes[r], args[a], arg_bytes[a]))
                return overlapping(f, name, f->args[a].name, m);
        for (int32_t s = 0; s < r; s++)
            if (overlap(results[r], result_bytes[r], results[s], result_bytes[s]))
                return overlapping(f, name, f->results[s].name, m);
        if (in_model) return overlapping(f, name, in_model, m);
    }
    return DLRT_OK;
}

/* The element's place in its tensor: "y[17]" or "x[2, 17]"; flat when the name is not an argument's. */
static void say_place(const DlrtFunctionInfo *f, const DlrtFault *fault, const int64_t *dims, Message *m) {
    int64_t shape[DLRT_MAX_RANK], left = fault->position;
    const DlrtTensorInfo *t = NULL;
    for (int32_t a = 0; a < f->arg_count && fault->what && !t; a++)
        if (!strcmp(f->args[a].name, fault->what)) t = &f->args[a];
    dlrt_say(m, "%s", fault->what ? fault->what : "an index");
    if (!t) {
        dlrt_say(m, "[%lld]", (long long)left);
        return;
    }
    if (!t->rank) return;
    dlrt_shape_of(t, dims, shape);
    for (int32_t d = t->rank - 1; d >= 0; d--) {
        int64_t extent = shape[d] > 0 ? shape[d] : 1;
        shape[d] = d ? left % extent : left;
        left /= extent;
    }
    dlrt_say_shape(m, shape, t->rank);
}

static void say_fault(const DlrtFunctionInfo *f, DlrtStatus status, const DlrtFault *fault, const int64_t *dims,
                      Message *m) {
    dlrt_say(m, "%s: ", f->name);
    if (status == DLRT_ERR_INDEX) {
        say_place(f, fault, dims, m);
        dlrt_say(m, " is %lld, allowed are 0..%lld", (long long)fault->value, (long long)fault->limit - 1);
    } else if (status == DLRT_ERR_BOUND) {
        dlrt_say(m, "%s is %lld, allowed are %lld..%lld", fault->what ? fault->what : "a dim", (long long)fault->value,
                 (long long)fault->position, (long long)fault->limit - 1);
    } else if (status == DLRT_ERR_REQUIRE) {
        dlrt_say(m, "the requirement %s does not hold", fault->what ? fault->what : "of the model");
    } else {
        dlrt_say(m, "%s", dlrt_status_name(status));
    }
}

/* Runs the entry with the model already entered. */
static DlrtStatus run_entry(Context *c, int32_t function, void *const *args, void *const *results, Message *m) {
    Model *model = (Model *)c->head.model;
    const DlrtFunctionInfo *f = &model->head.info->functions[function];
    bool alive = dlrt_pool_alive(model->pool);
    int64_t count = atomic_fetch_add_explicit(&model->counts[function], 1, memory_order_relaxed);
    DlrtFault fault = {0};
    DlrtFrame frame = {
        .args = args,
        .results = results,
        .dims = c->dims,
        .weights = model->weights,
        .slots = model->slots,
        .cache = c->cache,
        .arena = c->work,
        .scratch = c->work + dlrt_round64(f->arena_bytes),
        .scratch_stride = dlrt_round64(f->scratch_bytes),
        .seed = (int64_t)atomic_load_explicit(&model->seed, memory_order_relaxed),
        .count = count,
        .threads = alive ? model->threads : 1,
        .parallel = dlrt_parallel,
        .fault = &fault,
        .pool = alive ? model->pool : NULL,
        .trace = c->trace,
    };
    dlrt_trace_enter(c->trace, function);
    DlrtStatus status = f->entry(&frame);
    dlrt_trace_leave(c->trace);
    if (status == DLRT_OK) return DLRT_OK;
    /* A failed call has not happened: give its number back, unless others have drawn since. */
    int64_t drawn = count + 1;
    atomic_compare_exchange_strong_explicit(&model->counts[function], &drawn, count, memory_order_relaxed,
                                            memory_order_relaxed);
    say_fault(f, status, &fault, c->dims, m);
    return status;
}

DlrtStatus dlrt_busy(Message *m, bool writing) {
    dlrt_say(m, writing ? "this call writes the model, and another call is inside it"
                        : "a call that writes is inside the model");
    return DLRT_ERR_BUSY;
}

DlrtStatus dlrt_run(Context *c, int32_t function, void *const *args, void *const *results, Message *m) {
    DlrtModel *handle = c->head.model;
    Model *model = (Model *)handle;
    const DlrtFunctionInfo *f = &handle->info->functions[function];
    bool writes = f->flags & DLRT_FN_WRITES;
    DlrtStatus status = dlrt_dims_complete(f, c->dims, m);
    if (!status) status = check_pointers(f, f->args, f->arg_count, args, c->dims, c->sizes, m);
    if (!status) status = check_pointers(f, f->results, f->result_count, results, c->dims, c->sizes + f->arg_count, m);
    if (!status) status = check_overlap(c, f, args, results, m);
    if (!status && atomic_load_explicit(&model->stale, memory_order_relaxed)) status = dlrt_model_refresh(model, m);
    if (status) return status;
    if (!(writes ? dlrt_model_seize(model) : dlrt_model_share(model))) return dlrt_busy(m, writes);
    status = run_entry(c, function, args, results, m);
    if (writes)
        dlrt_model_unseize(model);
    else
        dlrt_model_unshare(model);
    return status;
}

static DlrtStatus invoke_taken(Context *c, int32_t function, void *const *args, void *const *results, int64_t *dims) {
    const DlrtModelInfo *info = c->head.model->info;
    Message m = {c->message, sizeof c->message, 0};
    if (function < 0 || function >= info->function_count) {
        dlrt_say(&m, "there is no function %d", function);
        return DLRT_ERR_ARGUMENT;
    }
    const DlrtFunctionInfo *f = &info->functions[function];
    int32_t free_dims = dlrt_free_dims(f);
    bool takes_dims = free_dims || dlrt_finds(f, free_dims);
    if ((!args && f->arg_count) || (!results && f->result_count) || (!dims && takes_dims)) {
        dlrt_say(&m, "%s: the list of %s is null", f->name,
                 !dims && takes_dims     ? "dims"
                 : !args && f->arg_count ? "arguments"
                                         : "results");
        return DLRT_ERR_NULL;
    }
    for (int32_t d = 0; d < free_dims; d++) c->dims[d] = dims[d];
    DlrtStatus status = dlrt_run(c, function, args, results, &m);
    for (int32_t d = free_dims; dlrt_finds(f, d) && !status; d++) dims[d] = c->dims[d];
    return status;
}

/* A context of another model: its functions have other numbers and arguments. */
static DlrtStatus refuse_foreign(const DlrtModelInfo *info, Context *c) {
    Message m = {c->message, sizeof c->message, 0};
    dlrt_say(&m, "this function is of model %s, the context of model %s", info->name, c->head.model->info->name);
    return DLRT_ERR_MISMATCH;
}

DlrtStatus dlrt_invoke(const DlrtModelInfo *info, DlrtContext *context, int32_t function, void *const *args,
                       void *const *results, int64_t *dims) {
    Context *c = (Context *)context;
    if (!c || !info) return DLRT_ERR_NULL;
    if (!dlrt_context_take(c)) return DLRT_ERR_BUSY;
    DlrtStatus status = c->head.model->info == info ? invoke_taken(c, function, args, results, dims)
                                                    : refuse_foreign(info, c);
    dlrt_context_give(c);
    return status;
}
