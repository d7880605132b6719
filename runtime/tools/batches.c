/* batches.c - a function called on one piece of a data set after the other.
 *
 * In: a function with its roles, samples. Out: its results a piece; the accuracy and loss over a whole
 * set. Where a function takes one fixed number of samples, the last piece is filled up by repeating a
 * sample whose results are not counted (in measuring) or left out (in training).
 */
#include "tool.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static int prepare_scalar(Batches *b, int32_t a, const Options *o, double rate) {
    const DlrtTensorInfo *info = &b->f->args[a];
    DlrtTensor *t = &b->args[a];
    const char *given = NULL;
    for (int i = 0; i < o->set.count; i++) {
        const char *text = o->set.text[i], *equals = strchr(text, '=');
        if ((size_t)(equals - text) == strlen(info->name) && !strncmp(text, info->name, strlen(info->name)))
            given = equals + 1;
    }
    double value = rate;
    if (given) {
        char *end;
        value = strtod(given, &end);
        if (end == given || *end) return fail(EXIT_USER, "--set %s: '%s' is no number", info->name, given);
    } else if (a != b->roles.rate) {
        return fail(EXIT_USER, "%s also takes %s: give %s", b->f->name, info->name,
                    info->rank ? "it a role with --data-arg or --label-arg" : "it with --set NAME=NUMBER");
    }
    if (info->rank) return fail(EXIT_USER, "%s: %s is no scalar", b->f->name, info->name);
    t->dtype = info->dtype;
    t->bytes = (size_t)dlrt_dtype_bytes(info->dtype);
    t->data = aligned_alloc(64, 64);
    if (!t->data) return out_of_memory();
    if (!store_real(t->dtype, t->data, 0, value))
        return fail(EXIT_USER, "%s is %s, which cannot hold %g", info->name, dlrt_dtype_name(info->dtype), value);
    return 0;
}

static int prepare_samples(Batches *b, int32_t a, const Array *array) {
    DlrtTensor *t = &b->args[a];
    int code = fit_samples(b->f, a, array, t);
    if (code) return code;
    t->shape[0] = b->size;
    int64_t bytes;
    if (__builtin_mul_overflow(tensor_count(t), dlrt_dtype_bytes(t->dtype), &bytes)) return out_of_memory();
    t->bytes = (size_t)bytes;
    t->data = aligned_alloc(64, (size_t)dlrt_round64(bytes) + 64);
    return t->data ? 0 : out_of_memory();
}

int batches_prepare(Batches *b, const Session *s, const Roles *r, const Options *o, const Dataset *d, int64_t size,
                    double rate) {
    *b = (Batches){.session = s, .f = &s->info->functions[r->function], .roles = *r};
    int64_t limit = batch_limit(b->f, r->data, &b->fixed);
    b->size = b->fixed || size > limit ? limit : size;
    if (b->f->arg_count > 32 || b->f->result_count > 32)
        return fail(EXIT_USER, "%s has more than 32 arguments or results", b->f->name);
    int code = 0;
    for (int32_t a = 0; a < b->f->arg_count && !code; a++) {
        if (a == r->data)
            code = prepare_samples(b, a, &d->x);
        else if (a == r->label)
            code = prepare_samples(b, a, &d->y);
        else
            code = prepare_scalar(b, a, o, rate);
    }
    return code ? code : results_fit(s, r->function, b->args, b->results);
}

void batches_free(Batches *b) {
    if (!b->f) return;
    for (int32_t a = 0; a < b->f->arg_count && a < 32; a++) free(b->args[a].data);
    for (int32_t r = 0; r < b->f->result_count && r < 32; r++) free(b->results[r].data);
    b->f = NULL;
}

static int fill(Batches *b, int32_t a, const Array *array, const Scaling *scaling, const int64_t *rows, int64_t start,
                int64_t n) {
    DlrtTensor *t = &b->args[a];
    int code = gather(array, scaling, rows, start, n, t, b->f->args[a].name);
    if (code || !b->fixed || n >= b->size) return code;
    t->shape[0] = b->size;
    size_t sample = t->bytes / (size_t)b->size;
    for (int64_t i = n; i < b->size; i++) memcpy((char *)t->data + (size_t)i * sample, t->data, sample);
    return 0;
}

/* The message about an index out of range, with the sample of the data that it means: the position that the message
 * names is that in a shuffled piece. */
static int fail_index(const Batches *b, const char *why, const int64_t *rows, int64_t start, int64_t n) {
    const char *name = b->roles.label >= 0 ? b->f->args[b->roles.label].name : NULL;
    const char *at = name ? strstr(why, name) : NULL;
    if (!at || at[strlen(name)] != '[') return fail(EXIT_USER, "%s", why);
    int64_t i = strtoll(at + strlen(name) + 1, NULL, 10);
    if (i < 0 || i >= n) i = 0; /* pieces are filled up with their first sample */
    int64_t sample = rows ? rows[start + i] : start + i;
    return fail(EXIT_USER, "%s; that is sample %lld of the data, from 0", why, (long long)sample);
}

int batches_call(Batches *b, const Dataset *d, const Scaling *scaling, const int64_t *rows, int64_t start, int64_t n) {
    int code = fill(b, b->roles.data, &d->x, scaling, rows, start, n);
    if (!code && b->roles.label >= 0) code = fill(b, b->roles.label, &d->y, NULL, rows, start, n);
    if (code) return code;
    DlrtContext *c = b->session->context;
    DlrtStatus status = dlrt_call(c, b->roles.function, b->args, b->f->arg_count, b->results, b->f->result_count);
    if (status == DLRT_ERR_INDEX) return fail_index(b, dlrt_message(c), rows, start, n);
    return status ? fail(status_code(status), "%s", dlrt_message(c)) : 0;
}

double scalar_result(const Batches *b, int32_t result) {
    if (result < 0) return NAN;
    Array a = {.dtype = b->results[result].dtype, .data = b->results[result].data};
    return array_real(&a, 0);
}

static int64_t predicted(const Batches *b, int64_t i) {
    int64_t label = -1;
    if (b->roles.prediction >= 0) {
        const DlrtTensor *t = &b->results[b->roles.prediction];
        array_integer(&(Array){.dtype = t->dtype, .data = t->data}, i, &label);
        return label;
    }
    const DlrtTensor *t = &b->results[b->roles.scores];
    Array a = {.dtype = t->dtype, .data = t->data};
    int64_t classes = t->shape[1], best = 0;
    for (int64_t k = 1; k < classes; k++)
        if (array_real(&a, i * classes + k) > array_real(&a, i * classes + best)) best = k;
    return best;
}

static int measure_accuracy(Batches *b, const Dataset *test, const Scaling *scaling, double *accuracy) {
    int64_t right = 0;
    int code = 0;
    for (int64_t start = 0; start < test->samples && !code; start += b->size) {
        int64_t n = test->samples - start < b->size ? test->samples - start : b->size;
        code = batches_call(b, test, scaling, NULL, start, n);
        for (int64_t i = 0; i < n && !code; i++) {
            int64_t label;
            right += array_integer(&test->y, start + i, &label) && label == predicted(b, i);
        }
    }
    *accuracy = (double)right / (double)test->samples;
    return code;
}

static int measure_loss(Batches *b, const Dataset *test, const Scaling *scaling, double *loss) {
    double sum = 0;
    int64_t used = 0;
    int code = 0;
    for (int64_t start = 0; start < test->samples && !code; start += b->size) {
        int64_t n = test->samples - start < b->size ? test->samples - start : b->size;
        if (b->fixed && n < b->size) break;
        code = batches_call(b, test, scaling, NULL, start, n);
        sum += scalar_result(b, b->roles.loss) * (double)n;
        used += n;
    }
    *loss = used ? sum / (double)used : NAN;
    return code;
}

int measure(const Session *s, const Options *o, const Dataset *test, const Scaling *scaling, double *accuracy,
            double *loss) {
    Roles r;
    Batches b = {0};
    *accuracy = -1;
    *loss = NAN;
    if (!test->samples || !test->y.data) return 0;
    int code = find_predictor(s, o, &r);
    bool labels = !dtype_is_float(test->y.dtype) || test->y.rank == 1; /* targets of a regression are no labels */
    if (!code && r.function >= 0 && labels) {
        code = batches_prepare(&b, s, &r, o, test, o->batch > 500 ? o->batch : 500, 0);
        if (!code) code = measure_accuracy(&b, test, scaling, accuracy);
        batches_free(&b);
    }
    if (!code) code = find_evaluator(s, o, &r);
    if (!code && r.function >= 0) {
        code = batches_prepare(&b, s, &r, o, test, o->batch > 500 ? o->batch : 500, 0);
        if (!code) code = measure_loss(&b, test, scaling, loss);
        batches_free(&b);
    }
    return code;
}
