/* dataset.c - samples from files, and pieces of them as tensors.
 *
 * In: a folder in MNIST's layout or single files. Out: arrays whose outermost dim counts samples; batches
 * in the type and shape a function wants. Files stay in memory in their own element type (bytes stay
 * bytes) and are converted piece by piece.
 */
#include "tool.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int64_t tensor_count(const DlrtTensor *t) {
    int64_t n = 1;
    for (int32_t d = 0; d < t->rank; d++) n *= t->shape[d];
    return n;
}

/* "train" and "images-idx3-ubyte" -> the file of that name, with - or . before idx, packed or not. */
static bool find_mnist(const char *folder, const char *set, const char *what, int rank, char *path, size_t room) {
    static const char *const forms[] = {"%s/%s-%s-idx%d-ubyte", "%s/%s-%s.idx%d-ubyte"};
    for (int i = 0; i < 4; i++) {
        int n = i < 2 ? snprintf(path, room, "%s/%s-%s-idx%d-ubyte%s", folder, set, what, rank, i ? ".gz" : "")
                      : snprintf(path, room, "%s/%s-%s.idx%d-ubyte%s", folder, set, what, rank, i > 2 ? ".gz" : "");
        if (n > 0 && (size_t)n < room && !access(path, F_OK)) return true;
    }
    snprintf(path, room, forms[0], folder, set, what, rank);
    return false;
}

static int load_array(const char *path, Array *a) {
    Error error;
    if (!read_array(path, a, &error)) return fail(EXIT_USER, "%s", error.text);
    if (a->rank && a->shape[0]) return 0;
    array_free(a);
    return fail(EXIT_USER, "%s: there are no samples in it", path);
}

static int load_pair(const char *x, const char *y, Dataset *d) {
    int code = load_array(x, &d->x);
    if (!code && y) code = load_array(y, &d->y);
    if (!code && y && d->x.shape[0] != d->y.shape[0])
        code = fail(EXIT_USER, "%s has %lld samples, %s has %lld", x, (long long)d->x.shape[0], y,
                    (long long)d->y.shape[0]);
    d->samples = code ? 0 : d->x.shape[0];
    if (code) dataset_free(d);
    return code;
}

static int load_folder(const char *folder, const char *set, bool labels, bool required, Dataset *d) {
    char x[4096], y[4096];
    bool found = find_mnist(folder, set, "images", 3, x, sizeof x);
    bool found_labels = !labels || find_mnist(folder, set, "labels", 1, y, sizeof y);
    if (found && found_labels) return load_pair(x, labels ? y : NULL, d);
    if (!required && !found && !(labels && found_labels)) return 0;
    return fail(EXIT_USER, "%s: no such file (nor with .gz or .idx)", found ? y : x);
}

int load_training_set(const Options *o, bool labels, Dataset *d) {
    *d = (Dataset){0};
    if (o->x && labels && !o->y) return fail(EXIT_USER, "--x needs --y, the labels");
    if (o->x) return load_pair(o->x, labels ? o->y : NULL, d);
    if (o->data) return load_folder(o->data, "train", labels, true, d);
    return fail(EXIT_USER, "there is no training data: give --data DIR, or --x FILE and --y FILE");
}

int load_test_set(const Options *o, bool labels, Dataset *d, bool required) {
    *d = (Dataset){0};
    if (o->test_x && labels && !o->test_y) return fail(EXIT_USER, "--test-x needs --test-y, the labels");
    if (o->test_x) return load_pair(o->test_x, labels ? o->test_y : NULL, d);
    if (o->data) return load_folder(o->data, "t10k", labels, required, d);
    if (!required) return 0;
    if (o->x) return load_training_set(o, labels, d); /* eval with --x and --y */
    return fail(EXIT_USER, "there is no test data: give --data DIR, or --test-x FILE and --test-y FILE");
}

void dataset_free(Dataset *d) {
    array_free(&d->x);
    array_free(&d->y);
    d->samples = 0;
}

Scaling make_scaling(const Options *o) {
    Scaling s = {o->scale, o->mean, o->std, o->scale_given, {0}};
    for (int v = 0; v < 256; v++) {
        float unit = o->scale_given ? (float)(v * o->scale) : (float)v / 255.0f;
        s.of_byte[v] = o->mean != 0 || o->std != 1 ? (unit - (float)o->mean) / (float)o->std : unit;
    }
    return s;
}

int fit_samples(const DlrtFunctionInfo *f, int32_t arg, const Array *a, DlrtTensor *t) {
    const DlrtTensorInfo *info = &f->args[arg];
    int64_t wanted = 1, given = a->shape[0] ? a->count / a->shape[0] : 0;
    bool constant = info->rank > 0;
    for (int32_t d = 1; d < info->rank; d++) {
        constant = constant && !info->shape[d].terms;
        t->shape[d] = constant ? dlrt_extent(&info->shape[d], NULL) : 0;
        wanted *= t->shape[d];
    }
    t->dtype = info->dtype;
    t->rank = info->rank;
    if (info->rank && constant && wanted == given) return 0;
    if (info->rank && !constant && a->rank == info->rank) {
        memcpy(t->shape, a->shape, sizeof t->shape);
        return 0;
    }
    char wants[DLRT_MESSAGE_BYTES], has[DLRT_MESSAGE_BYTES];
    Message w = dlrt_message_in(wants, sizeof wants), h = dlrt_message_in(has, sizeof has);
    dlrt_say_shape(&w, t->shape + 1, info->rank ? info->rank - 1 : 0);
    dlrt_say_shape(&h, a->shape + 1, a->rank - 1);
    return fail(EXIT_USER, "%s: argument %s takes samples of shape %s, the data has samples of shape %s", f->name,
                info->name, wants, has);
}

static int gather_reals(const Array *a, const Scaling *scaling, int64_t from, int64_t size, DlrtTensor *t, int64_t to) {
    if (a->dtype == DLRT_U8 && t->dtype == DLRT_F32 && scaling) {
        const uint8_t *bytes = (const uint8_t *)a->data + from;
        float *floats = (float *)t->data + to;
        for (int64_t i = 0; i < size; i++) floats[i] = scaling->of_byte[bytes[i]];
        return 0;
    }
    for (int64_t i = 0; i < size; i++) {
        double v = array_real(a, from + i);
        if (scaling && a->dtype == DLRT_U8)
            v = scaling->of_byte[(int)v];
        else if (scaling)
            v = ((scaling->given ? v * scaling->scale : v) - scaling->mean) / scaling->std;
        store_real(t->dtype, t->data, to + i, v);
    }
    return 0;
}

static int gather_integers(const Array *a, int64_t from, int64_t size, DlrtTensor *t, int64_t to, const char *name) {
    for (int64_t i = 0; i < size; i++) {
        int64_t value;
        if (!array_integer(a, from + i, &value))
            return fail(EXIT_USER, "argument %s is %s; element %lld of its data is %g, no whole number", name,
                        dlrt_dtype_name(t->dtype), (long long)(from + i), array_real(a, from + i));
        if (!store_integer(t->dtype, t->data, to + i, value))
            return fail(EXIT_USER, "argument %s is %s, which cannot hold element %lld of its data, %lld", name,
                        dlrt_dtype_name(t->dtype), (long long)(from + i), (long long)value);
    }
    return 0;
}

int gather(const Array *a, const Scaling *scaling, const int64_t *rows, int64_t start, int64_t n, DlrtTensor *t,
           const char *name) {
    int64_t size = a->count / a->shape[0];
    int code = 0;
    t->shape[0] = n;
    for (int64_t i = 0; i < n && !code; i++) {
        int64_t from = (rows ? rows[start + i] : start + i) * size;
        code = dtype_is_float(t->dtype) ? gather_reals(a, scaling, from, size, t, i * size)
                                        : gather_integers(a, from, size, t, i * size, name);
    }
    return code;
}
