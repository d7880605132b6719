/* call.c - dlrun call: any exported function on data from files or numbers.
 *
 * In: --in ARG=FILE or ARG=NUMBER for each argument, --dim for dims that no argument fixes. Out: the
 * results, printed (long ones shortened, unless --json) or written as NPY by --out.
 */
#include "tool.h"
#include <stdlib.h>
#include <string.h>

/* The value of "name=value" among the pairs, or null; marks it as used. */
static const char *pair_value(const Pairs *pairs, const char *name, bool *used) {
    const char *found = NULL;
    for (int i = 0; i < pairs->count; i++) {
        size_t n = strlen(name);
        if (strncmp(pairs->text[i], name, n) || pairs->text[i][n] != '=') continue;
        found = pairs->text[i] + n + 1;
        if (used) used[i] = true;
    }
    return found;
}

static int number_argument(const DlrtTensorInfo *info, double value, DlrtTensor *t) {
    t->rank = 0;
    t->bytes = (size_t)dlrt_dtype_bytes(info->dtype);
    t->data = aligned_alloc(64, 64);
    if (!t->data) return out_of_memory();
    return store_real(info->dtype, t->data, 0, value)
               ? 0
               : fail(EXIT_USER, "%s is %s, which cannot hold %g", info->name, dlrt_dtype_name(info->dtype), value);
}

/* The file's array in the argument's type; its shape if the rank is right, else reshaped where the inner
 * extents are constants. */
static int array_argument(const DlrtFunctionInfo *f, int32_t a, const Array *array, DlrtTensor *t) {
    const DlrtTensorInfo *info = &f->args[a];
    int64_t n = array->rank ? array->shape[0] : 1, bytes = array->count * dlrt_dtype_bytes(info->dtype);
    if (array->rank == info->rank) {
        t->rank = array->rank;
        memcpy(t->shape, array->shape, sizeof t->shape);
    } else if (array->rank && n) {
        int code = fit_samples(f, a, array, t);
        if (code) return code;
        t->shape[0] = n;
    } else {
        return fail(EXIT_USER, "%s has rank %d, the data has rank %d", info->name, info->rank, array->rank);
    }
    t->bytes = (size_t)bytes;
    t->data = aligned_alloc(64, (size_t)dlrt_round64(bytes) + 64);
    if (!t->data) return out_of_memory();
    Array flat = {.dtype = array->dtype, .rank = 1, .shape = {1}, .count = array->count, .data = array->data};
    DlrtTensor all = {.data = t->data, .dtype = info->dtype, .rank = 1};
    return array->count ? gather(&flat, NULL, NULL, 0, 1, &all, info->name) : 0;
}

static int read_argument(const DlrtFunctionInfo *f, int32_t a, const char *value, DlrtTensor *t) {
    const DlrtTensorInfo *info = &f->args[a];
    char *end;
    double number = strtod(value, &end);
    Array array;
    Error error;
    t->dtype = info->dtype;
    if (*value && !*end && !info->rank) return number_argument(info, number, t);
    if (!read_array(value, &array, &error)) return fail(EXIT_USER, "%s", error.text);
    int code = array_argument(f, a, &array, t);
    array_free(&array);
    return code;
}

static int read_arguments(const DlrtFunctionInfo *f, const Options *o, DlrtTensor *args) {
    bool used[64] = {false};
    for (int32_t a = 0; a < f->arg_count; a++) {
        const char *value = pair_value(&o->in, f->args[a].name, used);
        if (!value) return fail(EXIT_USER, "%s takes %s: give --in %s=FILE", f->name, f->args[a].name, f->args[a].name);
        int code = read_argument(f, a, value, &args[a]);
        if (code) return code;
    }
    for (int i = 0; i < o->in.count; i++)
        if (!used[i]) return fail(EXIT_USER, "--in %s: %s has no such argument", o->in.text[i], f->name);
    return 0;
}

/* Shapes of results from --dim, for dims that no argument fixes; others are given their values later. */
int shapes_from_dims(const DlrtFunctionInfo *f, const Options *o, int64_t fallback, DlrtTensor *results) {
    int64_t dims[64];
    if (f->dim_count > 64) return fail(EXIT_USER, "%s has more than 64 dims", f->name);
    for (int32_t d = 0; d < f->dim_count; d++) {
        const char *value = pair_value(&o->dim, f->dims[d].name, NULL);
        char *end = NULL;
        int64_t otherwise = fallback && !f->dims[d].found ? fallback : f->dims[d].upper;
        dims[d] = value ? strtoll(value, &end, 10) : otherwise;
        if (dims[d] > f->dims[d].upper && !value) dims[d] = f->dims[d].upper;
        if (end && (end == value || *end)) return fail(EXIT_USER, "--dim %s=%s is no number", f->dims[d].name, value);
        if (f->dims[d].derived) dims[d] = dlrt_extent(f->dims[d].derived, dims);
        if (value && (dims[d] < f->dims[d].lower || dims[d] > f->dims[d].upper))
            return fail(EXIT_USER, "--dim %s=%s: allowed are %lld..%lld", f->dims[d].name, value,
                        (long long)f->dims[d].lower, (long long)f->dims[d].upper);
    }
    for (int32_t r = 0; r < f->result_count; r++) {
        results[r].rank = f->results[r].rank;
        dlrt_shape_of(&f->results[r], dims, results[r].shape);
    }
    return 0;
}

static json_t *values_json(const DlrtTensor *t, int64_t *at, int32_t axis) {
    Array a = {.dtype = t->dtype, .data = t->data};
    int64_t whole;
    if (axis == t->rank) {
        int64_t i = (*at)++;
        if (t->dtype == DLRT_BOOL) return json_boolean(((uint8_t *)t->data)[i]);
        if (dtype_is_float(t->dtype)) return json_number_or_null(array_real(&a, i));
        return array_integer(&a, i, &whole) ? json_integer(whole) : json_null();
    }
    json_t *list = json_array();
    for (int64_t i = 0; i < t->shape[axis]; i++) json_array_append_new(list, values_json(t, at, axis + 1));
    return list;
}

static void print_result(const DlrtTensorInfo *info, const DlrtTensor *t) {
    char shape[256];
    Message m = dlrt_message_in(shape, sizeof shape);
    int64_t n = tensor_count(t);
    Array a = {.dtype = t->dtype, .data = t->data};
    if (t->rank) dlrt_say_shape(&m, t->shape, t->rank);
    printf("%s: %s%s", info->name, dlrt_dtype_name(t->dtype), shape);
    for (int64_t i = 0; i < n && i < 20; i++) printf(" %.7g", array_real(&a, i));
    puts(n > 20 ? " ..." : "");
}

static int write_results(const DlrtFunctionInfo *f, const Options *o, const DlrtTensor *results) {
    bool used[64] = {false};
    Error error;
    json_t *object = json_object();
    int code = 0;
    for (int32_t r = 0; r < f->result_count && !code; r++) {
        const char *path = pair_value(&o->out, f->results[r].name, used);
        int64_t at = 0;
        if (path && !write_npy(path, &results[r], &error))
            code = fail(EXIT_ENVIRONMENT, "%s", error.text);
        else if (o->json)
            json_object_set_new(object, f->results[r].name,
                                path ? json_string(path) : values_json(&results[r], &at, 0));
        else if (!path)
            print_result(&f->results[r], &results[r]);
    }
    for (int i = 0; i < o->out.count && !code; i++)
        if (!used[i]) code = fail(EXIT_USER, "--out %s: %s has no such result", o->out.text[i], f->name);
    if (o->json && !code)
        print_json(stdout, object);
    else
        json_decref(object);
    return code;
}

static int call_function(const Session *s, const Options *o, int32_t function) {
    const DlrtFunctionInfo *f = &s->info->functions[function];
    DlrtTensor *args = calloc((size_t)f->arg_count + 1, sizeof *args);
    DlrtTensor *results = calloc((size_t)f->result_count + 1, sizeof *results);
    int code = args && results ? read_arguments(f, o, args) : out_of_memory();
    if (!code && !f->arg_count) code = shapes_from_dims(f, o, 0, results);
    if (!code) code = results_fit(s, function, args, results);
    if (!code) code = session_call(s, function, args, results);
    if (!code && o->save && dlrt_save(s->model, o->save))
        code = fail(EXIT_ENVIRONMENT, "%s", dlrt_model_message(s->model));
    if (!code) code = write_results(f, o, results);
    for (int32_t a = 0; args && a < f->arg_count; a++) free(args[a].data);
    if (results) results_free(f, results);
    free(args);
    free(results);
    return code;
}

int run_call(const Options *o) {
    Session s;
    int32_t function;
    if (!o->function) return fail(EXIT_USER, "which function? dlrun call MODEL.so FUNCTION");
    int code = session_open(&s, o);
    if (code) return code;
    code = session_function(&s, o->function, &function);
    if (!code) code = call_function(&s, o, function);
    if (!code) code = trace_write(&s, o);
    session_close(&s);
    return code;
}
