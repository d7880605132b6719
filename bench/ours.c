/* ours - times one function of a compiled model through the runtime's checked call.
 *
 * ours MODEL.so FUNCTION DIMS THREADS, DIMS as "B=128,T=64" or "-". Floating-point tensors get values between -0.5 and
 * 0.5, integer ones values below 10, or below N where DIMS says "ids=N"; float scalars (rates) are 1e-4. */
#include "contestant.h"
#include "dlrt.h"

enum { TENSORS_MAX = 64, DIMS_MAX = 32 };

typedef struct Job {
    DlrtContext *context;
    int32_t function, arg_count, result_count;
    DlrtTensor args[TENSORS_MAX], results[TENSORS_MAX];
    DlrtStatus status; /* of the first call that failed */
} Job;

static void job_call(void *user) {
    Job *job = user;
    DlrtStatus status =
        dlrt_call(job->context, job->function, job->args, job->arg_count, job->results, job->result_count);
    if (status && !job->status) job->status = status;
}

static int64_t extent_value(const DlrtExtent *e, const int64_t *dims) {
    int64_t value = e->constant;
    const int64_t *term = e->terms;
    int64_t count = term ? *term++ : 0;
    for (; count > 0; count--) {
        int64_t product = *term++, factors = *term++;
        for (; factors > 0; factors--) product *= dims[*term++];
        value += product;
    }
    return e->divisor > 1 ? value / e->divisor : value;
}

/* Makes a tensor as described, filled; integers are below `ids`. Returns 0 if there is no memory. */
static int tensor_make(DlrtTensor *t, const DlrtTensorInfo *info, const int64_t *dims, long ids) {
    static const int width[] = {8, 4, 2, 2, 8, 4, 1, 1, 1};
    size_t count = 1;
    t->dtype = info->dtype;
    t->rank = info->rank;
    for (int i = 0; i < info->rank; i++) count *= (size_t)(t->shape[i] = extent_value(&info->shape[i], dims));
    t->bytes = count * (size_t)width[info->dtype];
    t->data = aligned_alloc(64, (t->bytes + 63) / 64 * 64);
    if (!t->data) return 0;
    memset(t->data, 0, t->bytes);
    for (size_t i = 0; i < count; i++) {
        if (t->dtype == DLRT_F32) ((float *)t->data)[i] = t->rank ? (float)rand() / (float)RAND_MAX - 0.5f : 1e-4f;
        else if (t->dtype == DLRT_I32) ((int32_t *)t->data)[i] = (int32_t)(rand() % ids);
        else if (t->dtype == DLRT_I64) ((int64_t *)t->data)[i] = rand() % ids;
    }
    return 1;
}

static int job_prepare(Job *job, const DlrtModelInfo *info, const char *name, const char *given) {
    int64_t dims[DIMS_MAX];
    for (job->function = 0; job->function < info->function_count; job->function++) {
        if (!strcmp(info->functions[job->function].name, name)) break;
    }
    if (job->function == info->function_count) return 0;
    const DlrtFunctionInfo *f = &info->functions[job->function];
    if (f->dim_count > DIMS_MAX || f->arg_count > TENSORS_MAX || f->result_count > TENSORS_MAX) return 0;
    for (int i = 0; i < f->dim_count; i++) {
        dims[i] = f->dims[i].derived ? extent_value(f->dims[i].derived, dims)
                                       : contestant_number(given, f->dims[i].name, f->dims[i].upper);
    }
    long ids = contestant_number(given, "ids", 10);
    job->arg_count = f->arg_count;
    job->result_count = f->result_count;
    for (int i = 0; i < f->arg_count; i++) {
        if (!tensor_make(&job->args[i], &f->args[i], dims, ids)) return 0;
    }
    for (int i = 0; i < f->result_count; i++) {
        if (!tensor_make(&job->results[i], &f->results[i], dims, ids)) return 0;
    }
    return 1;
}

int main(int argc, char **argv) {
    static Job job;
    char message[256] = "";
    DlrtModel *model = NULL;
    DlrtOptions options = {.threads = argc > 4 ? atoi(argv[4]) : 1};
    if (argc < 4) return contestant_absent("usage: ours MODEL.so FUNCTION DIMS [THREADS]");
    contestant_mark();
    if (dlrt_open_file(argv[1], &options, &model, message, sizeof message)) return contestant_absent(message);
    if (dlrt_context_create(model, NULL, &job.context)) return contestant_absent("no context");
    if (!job_prepare(&job, dlrt_info(model), argv[2], argv[3])) return contestant_absent("no such function");
    job_call(&job);
    if (job.status) return contestant_absent(dlrt_message(job.context));
    contestant_serve("dlcc", job_call, &job, 1);
    if (job.status) fprintf(stderr, "ours: %s\n", dlrt_message(job.context));
    return job.status != DLRT_OK;
}
