/* session.c - a model opened for a command, and calls with results that fit.
 *
 * In: options. Out: model and context (closed again by session_close), functions by name, room for results
 * of exactly the size a call gives.
 */
#include "tool.h"
#include <stdlib.h>
#include <string.h>

int session_open(Session *s, const Options *o) {
    char message[DLRT_MESSAGE_BYTES] = "";
    DlrtOptions options = {.seed = (uint64_t)o->seed, .threads = o->threads > 1024 ? 1025 : (int32_t)o->threads};
    *s = (Session){0};
    DlrtStatus status = dlrt_open_file(o->model, &options, &s->model, message, sizeof message);
    if (status) return fail(status_code(status), "%s", message[0] ? message : dlrt_status_name(status));
    s->info = dlrt_info(s->model);
    int untraced = trace_check(s, o);
    if (untraced) {
        session_close(s);
        return untraced;
    }
    status = dlrt_context_create(s->model, NULL, &s->context);
    if (!status && o->load) status = dlrt_load(s->model, o->load);
    if (!status) return 0;
    int code = fail(status_code(status), "%s", dlrt_model_message(s->model));
    session_close(s);
    return code;
}

void session_close(Session *s) {
    dlrt_context_destroy(s->context);
    dlrt_close(s->model);
    *s = (Session){0};
}

int session_function(const Session *s, const char *name, int32_t *function) {
    for (int32_t f = 0; f < s->info->function_count; f++) {
        if (strcmp(s->info->functions[f].name, name)) continue;
        *function = f;
        return 0;
    }
    fprintf(stderr, "dlrun: the model has no function %s; it has", name);
    for (int32_t f = 0; f < s->info->function_count; f++) fprintf(stderr, " %s", s->info->functions[f].name);
    fputc('\n', stderr);
    return EXIT_USER;
}

static int fit_result(const DlrtTensorInfo *info, const int64_t *dims, DlrtTensor *t) {
    int64_t bytes = dlrt_tensor_bytes(info, dims);
    t->dtype = info->dtype;
    t->rank = info->rank;
    dlrt_shape_of(info, dims, t->shape);
    if (t->data && t->bytes >= (size_t)bytes) return 0;
    free(t->data);
    t->data = aligned_alloc(64, bytes ? (size_t)dlrt_round64(bytes) : 64);
    t->bytes = (size_t)bytes;
    return t->data ? 0 : out_of_memory();
}

int results_fit(const Session *s, int32_t function, const DlrtTensor *args, DlrtTensor *results) {
    const DlrtFunctionInfo *f = &s->info->functions[function];
    char text[DLRT_MESSAGE_BYTES];
    Message m = dlrt_message_in(text, sizeof text);
    int64_t *dims = calloc((size_t)f->dim_count + 1, sizeof *dims);
    int32_t *origins = calloc((size_t)f->dim_count + 1, sizeof *origins);
    int code = dims && origins ? 0 : out_of_memory();
    if (!code) dlrt_dims_clear(f, dims, origins);
    DlrtStatus status = DLRT_OK;
    for (int32_t a = 0; a < f->arg_count && !code && !status; a++)
        if (args[a].rank == f->args[a].rank) status = dlrt_dims_solve(f, &f->args[a], &args[a], a, dims, origins, &m);
    for (int32_t r = 0; r < f->result_count && !code && !status; r++)
        if (results[r].rank && results[r].rank == f->results[r].rank && !results[r].data)
            status = dlrt_dims_solve(f, &f->results[r], &results[r], f->arg_count + r, dims, origins, &m);
    if (!code && !status) status = dlrt_dims_complete(f, dims, &m);
    if (status) code = fail(EXIT_USER, "%s", text);
    for (int32_t r = 0; r < f->result_count && !code; r++) code = fit_result(&f->results[r], dims, &results[r]);
    free(dims);
    free(origins);
    return code;
}

void results_free(const DlrtFunctionInfo *f, DlrtTensor *results) {
    for (int32_t r = 0; r < f->result_count; r++) free(results[r].data);
}

int session_call(const Session *s, int32_t function, const DlrtTensor *args, DlrtTensor *results) {
    const DlrtFunctionInfo *f = &s->info->functions[function];
    DlrtStatus status = dlrt_call(s->context, function, args, f->arg_count, results, f->result_count);
    return status ? fail(status_code(status), "%s", dlrt_message(s->context)) : 0;
}
