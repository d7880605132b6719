/* call.c - calls by reflection: from tensors with type and shape to a checked call.
 *
 * In: tensors as a tool holds them. Out: results and their shapes, or a status and a message that names
 * the tensor, the expected and the given. Dims come from the arguments' shapes, left to right; a dim that
 * no argument fixes comes from the shapes the caller put into the results. Results' shapes are filled in
 * only when the call has succeeded.
 */
#include "core.h"

static DlrtStatus check_kind(const DlrtFunctionInfo *f, const DlrtTensorInfo *info, const DlrtTensor *given,
                             Message *m) {
    if (given->dtype != info->dtype) {
        dlrt_say(m, "%s: %s is %s, expected %s", f->name, info->name, dlrt_dtype_name(given->dtype),
                 dlrt_dtype_name(info->dtype));
        return DLRT_ERR_DTYPE;
    }
    return DLRT_OK;
}

static DlrtStatus check_rank(const DlrtFunctionInfo *f, const DlrtTensorInfo *info, const DlrtTensor *given,
                             Message *m) {
    if (given->rank == info->rank) return DLRT_OK;
    dlrt_say(m, "%s: %s has rank %d, expected %d", f->name, info->name, given->rank, info->rank);
    return DLRT_ERR_RANK;
}

static DlrtStatus check_counts(const DlrtFunctionInfo *f, const DlrtTensor *args, int32_t arg_count,
                               const DlrtTensor *results, int32_t result_count, Message *m) {
    if (arg_count != f->arg_count || result_count != f->result_count) {
        dlrt_say(m, "%s takes %d arguments and has %d results; given are %d and %d", f->name, f->arg_count,
                 f->result_count, arg_count, result_count);
        return DLRT_ERR_ARGUMENT;
    }
    if ((arg_count && !args) || (result_count && !results)) {
        dlrt_say(m, "%s: the list of %s is null", f->name, arg_count && !args ? "arguments" : "results");
        return DLRT_ERR_NULL;
    }
    return DLRT_OK;
}

/* Fixes all free dims. Where there are any, a second round over the arguments checks extents of several unknowns. */
static DlrtStatus solve_dims(Context *c, const DlrtFunctionInfo *f, const DlrtTensor *args, const DlrtTensor *results,
                             Message *m) {
    DlrtStatus status = DLRT_OK;
    int32_t free_dims = dlrt_free_dims(f);
    dlrt_dims_clear(f, c->dims, c->origins);
    for (int32_t round = 0; round < (f->dim_count ? 2 : 1); round++) {
        for (int32_t a = 0; a < f->arg_count && !status; a++)
            status = dlrt_dims_solve(f, &f->args[a], &args[a], a, c->dims, c->origins, m);
        for (int32_t d = 0; d < f->dim_count && !status; d++) {
            bool fixed = c->dims[d] >= 0;
            for (int32_t r = 0; r < f->result_count && d < free_dims && !fixed && !status; r++) {
                if (results[r].rank != f->results[r].rank) continue;
                status = dlrt_dims_solve(f, &f->results[r], &results[r], f->arg_count + r, c->dims, c->origins, m);
                fixed = c->dims[d] >= 0;
            }
            if (status || fixed) continue;
            if (d < free_dims) {
                dlrt_say(m, "%s: no argument fixes dim %s; give a result the shape it shall have", f->name,
                         f->dims[d].name);
                return DLRT_ERR_SHAPE;
            }
            c->dims[d] = dlrt_extent(f->dims[d].derived, c->dims);
            status = dlrt_dim_check(f, d, c->dims[d], m);
        }
    }
    return status;
}

/* Room in results, and in arguments that say what room they have. */
static DlrtStatus check_room(const DlrtFunctionInfo *f, const DlrtTensorInfo *info, const DlrtTensor *given,
                             const int64_t *dims, bool required, Message *m) {
    int64_t need = dlrt_tensor_bytes(info, dims);
    if ((!given->bytes && !required) || given->bytes >= (size_t)need) return DLRT_OK;
    dlrt_say(m, "%s: %s has room for %zu bytes, needed are %lld", f->name, info->name, given->bytes, (long long)need);
    return DLRT_ERR_SIZE;
}

static DlrtStatus check_tensors(Context *c, const DlrtFunctionInfo *f, const DlrtTensor *args,
                                const DlrtTensor *results, Message *m) {
    DlrtStatus status = DLRT_OK;
    for (int32_t a = 0; a < f->arg_count && !status; a++) {
        status = check_kind(f, &f->args[a], &args[a], m);
        if (!status) status = check_rank(f, &f->args[a], &args[a], m);
    }
    for (int32_t r = 0; r < f->result_count && !status; r++) status = check_kind(f, &f->results[r], &results[r], m);
    if (!status) status = solve_dims(c, f, args, results, m);
    for (int32_t a = 0; a < f->arg_count && !status; a++)
        status = check_room(f, &f->args[a], &args[a], c->dims, false, m);
    for (int32_t r = 0; r < f->result_count && !status; r++)
        status = check_room(f, &f->results[r], &results[r], c->dims, true, m);
    return status;
}

static DlrtStatus call_taken(Context *c, int32_t function, const DlrtTensor *args, int32_t arg_count,
                             DlrtTensor *results, int32_t result_count) {
    const DlrtModelInfo *info = c->head.model->info;
    Message m = {c->message, sizeof c->message, 0};
    if (function < 0 || function >= info->function_count) {
        dlrt_say(&m, "there is no function %d; the model has %d", function, info->function_count);
        return DLRT_ERR_ARGUMENT;
    }
    const DlrtFunctionInfo *f = &info->functions[function];
    DlrtStatus status = check_counts(f, args, arg_count, results, result_count, &m);
    if (!status) status = check_tensors(c, f, args, results, &m);
    if (status) return status;
    for (int32_t a = 0; a < arg_count; a++) c->pointers[a] = args[a].data;
    for (int32_t r = 0; r < result_count; r++) c->pointers[arg_count + r] = results[r].data;
    status = dlrt_run(c, function, c->pointers, c->pointers + arg_count, &m);
    if (!status) dlrt_dims_derive(f, c->dims);
    for (int32_t r = 0; r < result_count && !status; r++) {
        results[r].rank = f->results[r].rank;
        dlrt_shape_of(&f->results[r], c->dims, results[r].shape);
    }
    return status;
}

DlrtStatus dlrt_call_tensors(DlrtContext *context, int32_t function, const DlrtTensor *args, int32_t arg_count,
                             DlrtTensor *results, int32_t result_count) {
    Context *c = (Context *)context;
    if (!dlrt_context_take(c)) return DLRT_ERR_BUSY;
    DlrtStatus status = call_taken(c, function, args, arg_count, results, result_count);
    dlrt_context_give(c);
    return status;
}
