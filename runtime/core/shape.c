/* shape.c - extents, and the run-time dims of a function.
 *
 * In: a function's tables and the shapes or dims of one call. Out: the values of all its dims, checked
 * against their bounds. Dims are found left to right: each extent that has one unknown dim left fixes
 * it, every other extent must then agree. A value is checked against its dim's bounds before a
 * polynomial sees it, so polynomials cannot overflow (the compiler checked them at the bounds). A dim that the
 * call finds has its upper bound until it is found: so much room results need.
 */
#include "core.h"

int32_t dlrt_free_dims(const DlrtFunctionInfo *f) {
    int32_t n = 0;
    while (n < f->dim_count && !f->dims[n].derived && !f->dims[n].found) n++;
    return n;
}

bool dlrt_finds(const DlrtFunctionInfo *f, int32_t d) { return d < f->dim_count && f->dims[d].found; }

static bool mentions_found(const DlrtFunctionInfo *f, const DlrtExtent *e) {
    const int64_t *t = e->terms;
    for (int64_t left = t ? *t++ : 0; left > 0; left--) {
        t++;
        for (int64_t n = *t++; n > 0; n--)
            if (dlrt_finds(f, (int32_t)*t++)) return true;
    }
    return false;
}

static int64_t floor_divide(int64_t value, int64_t divisor) {
    if (divisor <= 1) return value;
    return value / divisor - (value % divisor < 0);
}

int64_t dlrt_extent_of(const DlrtExtent *e, const int64_t *dims) {
    const int64_t *t = e->terms;
    if (!t) return floor_divide(e->constant, e->divisor);
    int64_t sum = e->constant;
    for (int64_t left = *t++; left > 0; left--) {
        int64_t product = *t++;
        for (int64_t n = *t++; n > 0; n--) product *= dims[*t++];
        sum += product;
    }
    return floor_divide(sum, e->divisor);
}

/* An extent as rest + slope * dims[unknown]. unknown is -1 if every dim in it is known, and -2 if it
 * cannot be solved (two unknowns, or one squared). */
typedef struct Affine {
    int64_t rest, slope;
    int32_t unknown;
} Affine;

static Affine affine_of(const DlrtExtent *e, const int64_t *dims) {
    Affine a = {e->constant, 0, -1};
    const int64_t *t = e->terms;
    for (int64_t left = t ? *t++ : 0; left > 0; left--) {
        int64_t product = *t++;
        int32_t unknown = -1;
        for (int64_t n = *t++; n > 0; n--, t++) {
            if (dims[*t] >= 0)
                product *= dims[*t];
            else
                unknown = unknown == -1 ? (int32_t)*t : -2;
        }
        if (unknown == -1)
            a.rest += product;
        else if (unknown == -2 || (a.unknown != -1 && a.unknown != unknown))
            return (Affine){0, 0, -2};
        else
            a.unknown = unknown, a.slope += product;
    }
    return a;
}

/* The dim's value that makes the extent `given`; -1 if there is none. */
static int64_t solve(const Affine *a, int64_t divisor, int64_t given) {
    int64_t total;
    if (__builtin_mul_overflow(given, divisor > 1 ? divisor : 1, &total)) return -1;
    if (__builtin_sub_overflow(total, a->rest, &total)) return -1;
    if (a->slope == 0 || total % a->slope) return -1;
    return total / a->slope;
}

DlrtStatus dlrt_dim_check(const DlrtFunctionInfo *f, int32_t d, int64_t value, Message *m) {
    const DlrtDim *dim = &f->dims[d];
    if (value >= dim->lower && value <= dim->upper) return DLRT_OK;
    dlrt_say(m, "%s: dim %s is %lld, allowed are %lld..%lld", f->name, dim->name, (long long)value,
             (long long)dim->lower, (long long)dim->upper);
    return DLRT_ERR_BOUND;
}

void dlrt_dims_clear(const DlrtFunctionInfo *f, int64_t *dims, int32_t *origins) {
    for (int32_t d = 0; d < f->dim_count; d++) dims[d] = f->dims[d].found ? f->dims[d].upper : -1;
    for (int32_t d = 0; d < f->dim_count; d++) origins[d] = -1;
}

static const char *origin_name(const DlrtFunctionInfo *f, int32_t origin) {
    return origin < f->arg_count ? f->args[origin].name : f->results[origin - f->arg_count].name;
}

/* Says which values of dims an expected extent came from: " (B = 32 from x)". */
static void say_origin(const DlrtFunctionInfo *f, const DlrtExtent *e, const int64_t *dims, const int32_t *origins,
                       Message *m) {
    const int64_t *t = e->terms;
    const char *before = " (";
    for (int64_t left = t ? *t++ : 0; left > 0; left--) {
        t++;
        for (int64_t n = *t++; n > 0; n--, t++) {
            if (dims[*t] < 0) continue; /* not known yet */
            dlrt_say(m, "%s%s = %lld", before, f->dims[*t].name, (long long)dims[*t]);
            if (origins[*t] >= 0) dlrt_say(m, " from %s", origin_name(f, origins[*t]));
            before = ", ";
        }
    }
    if (before[0] == ',') dlrt_say(m, ")");
}

static DlrtStatus wrong_extent(const DlrtFunctionInfo *f, const DlrtTensorInfo *info, const DlrtTensor *given,
                               int32_t axis, const int64_t *dims, const int32_t *origins, Message *m) {
    dlrt_say(m, "%s: %s has shape ", f->name, info->name);
    dlrt_say_shape(m, given->shape, given->rank);
    dlrt_say(m, "; dim %d is %lld, ", axis, (long long)given->shape[axis]);
    if (given->shape[axis] < 0) {
        dlrt_say(m, "and none is below 0");
        return DLRT_ERR_SHAPE;
    }
    dlrt_say(m, "expected ");
    Affine a = affine_of(&info->shape[axis], dims);
    if (a.unknown >= 0)
        dlrt_say(m, "a value that gives %s a whole number", f->dims[a.unknown].name);
    else
        dlrt_say(m, "%lld", (long long)dlrt_extent(&info->shape[axis], dims));
    say_origin(f, &info->shape[axis], dims, origins, m);
    return DLRT_ERR_SHAPE;
}

DlrtStatus dlrt_dims_solve(const DlrtFunctionInfo *f, const DlrtTensorInfo *info, const DlrtTensor *given,
                           int32_t origin, int64_t *dims, int32_t *origins, Message *m) {
    for (int32_t axis = 0; axis < info->rank; axis++) {
        const DlrtExtent *e = &info->shape[axis];
        if (dlrt_is_number(e) && e->constant == given->shape[axis]) continue;
        Affine a = affine_of(e, dims);
        if (a.unknown == -2 || mentions_found(f, e)) continue; /* checked once all dims are known, or never */
        if (given->shape[axis] < 0) return wrong_extent(f, info, given, axis, dims, origins, m);
        if (a.unknown == -1) {
            if (dlrt_extent(e, dims) != given->shape[axis]) return wrong_extent(f, info, given, axis, dims, origins, m);
            continue;
        }
        int64_t value = solve(&a, e->divisor, given->shape[axis]);
        if (value < 0 && a.slope != 1) return wrong_extent(f, info, given, axis, dims, origins, m);
        DlrtStatus status = dlrt_dim_check(f, a.unknown, value, m);
        if (status) return status;
        dims[a.unknown] = value;
        origins[a.unknown] = origin;
    }
    return DLRT_OK;
}

DlrtStatus dlrt_dims_complete(const DlrtFunctionInfo *f, int64_t *dims, Message *m) {
    for (int32_t d = 0; d < f->dim_count; d++) {
        if (f->dims[d].derived) dims[d] = dlrt_extent(f->dims[d].derived, dims);
        if (f->dims[d].found) dims[d] = f->dims[d].upper;
        if (dims[d] >= f->dims[d].lower && dims[d] <= f->dims[d].upper) continue;
        return dlrt_dim_check(f, d, dims[d], m);
    }
    return DLRT_OK;
}

void dlrt_dims_derive(const DlrtFunctionInfo *f, int64_t *dims) {
    for (int32_t d = 0; d < f->dim_count; d++)
        if (f->dims[d].derived) dims[d] = dlrt_extent(f->dims[d].derived, dims);
}

void dlrt_shape_of(const DlrtTensorInfo *t, const int64_t *dims, int64_t *shape) {
    for (int32_t axis = 0; axis < t->rank; axis++) shape[axis] = dlrt_extent(&t->shape[axis], dims);
}

int64_t dlrt_tensor_bytes(const DlrtTensorInfo *t, const int64_t *dims) {
    int64_t bytes = dlrt_dtype_bytes(t->dtype);
    for (int32_t axis = 0; axis < t->rank; axis++) bytes *= dlrt_extent(&t->shape[axis], dims);
    return bytes;
}
