/* Windows: take_windows and its transpose place_windows, index maps closed under differentiation.
 *
 * Both know n axes of extent H and, behind all other dims, n window dims of extent k. take_windows reads
 *
 *     y[.., H, .., k]  ->  r[.., O, .., k]      r[.., o, .., i] = y[.., o * stride + i * dilation, .., i]
 *
 * where O counts the windows that lie within H; place_windows puts each such element back where it came from, with
 * zeros elsewhere. So the windows of x are take_windows of x repeated along new window dims, which nothing stores;
 * their sum over the window dims, put in place, is overlap-add; pooling reduces windows (build_windows,
 * build_overlap_add). */
#include "ops/index_map.h"
#include "ops/rules.h"

typedef struct Windows {
    int n, rank;
    const int64_t *axes, *strides, *dilations;
    const Dim *size; /* of the windows: the operand's last n dims */
} Windows;

/* Elements from the first to the last of a window, both counted. */
static Dim window_span(DimTable *t, Dim size, int64_t dilation) {
    Dim one = dim_const(t, 1);
    return dim_add(t, dim_mul(t, dim_sub(t, size, one), dim_const(t, dilation)), one);
}

static Dim window_count(DimTable *t, Dim extent, Dim size, int64_t stride, int64_t dilation) {
    Dim room = dim_sub(t, extent, window_span(t, size, dilation));
    return dim_add(t, dim_div(t, room, stride), dim_const(t, 1));
}

/* A reason, or null if the attributes and ranks belong together. */
static const char *windows_of(Module *m, const Op *op, Windows *w) {
    Type x = op->operands[0]->type;
    int strides, dilations;
    w->axes = op_ints(op, "axes", &w->n);
    w->strides = op_ints(op, "strides", &strides);
    w->dilations = op_ints(op, "dilations", &dilations);
    w->rank = x.rank;
    if (strides != w->n || dilations != w->n) return "strides and dilations need one entry for each axis";
    if (2 * w->n > x.rank)
        return reason(m, "the operand %s has no %d axes with a window dimension each", value_text(m, op->operands[0]),
                      w->n);
    w->size = w->n ? x.shape + (x.rank - w->n) : NULL;
    const char *why = need_axes(m, "axis", w->axes, w->n, x.rank - w->n);
    for (int i = 0; !why && i < w->n; i++) {
        if (w->strides[i] < 1)
            why = reason(m, "stride %lld is not positive", (long long)w->strides[i]);
        else if (w->dilations[i] < 1)
            why = reason(m, "dilation %lld is not positive", (long long)w->dilations[i]);
        else if (w->size[i]->lower < 1)
            why = reason(m, "the window along dimension %lld is %s long: it must not be empty", (long long)w->axes[i],
                         dim_text(m, w->size[i]));
    }
    return why;
}

/* A reason, or null if a window of axis i always fits into `extent`. */
static const char *need_room(Module *m, const Windows *w, int i, Dim extent) {
    Dim span = window_span(&m->dims, w->size[i], w->dilations[i]), room = dim_sub(&m->dims, extent, span);
    if (room->lower >= 0) return NULL;
    const char *along = reason(m, "a window along dimension %lld spans %s", (long long)w->axes[i], dim_text(m, span));
    if (dim_is_const(room)) return reason(m, "%s, but there are only %s", along, dim_text(m, extent));
    return reason(m, "%s, but there may be only %lld, as dim %s has no greater lower bound", along,
                  (long long)extent->lower, dim_text(m, extent));
}

/* -------------------------------------------------------------------- take_windows */

static const char *infer_take(Module *m, Op *op) {
    Windows w;
    Type x = op->operands[0]->type;
    Dim shape[MAX_RANK];
    const char *why = windows_of(m, op, &w);
    if (why) return why;
    for (int d = 0; d < x.rank; d++) shape[d] = x.shape[d];
    for (int i = 0; i < w.n; i++) {
        Dim extent = x.shape[w.axes[i]];
        if ((why = need_room(m, &w, i, extent))) return why;
        shape[w.axes[i]] = window_count(&m->dims, extent, w.size[i], w.strides[i], w.dilations[i]);
    }
    set_result(m, op, x.dtype, x.rank, shape);
    return NULL;
}

/* For each element of the windows, in row order, where it lies in the whole. */
static const int64_t *places_in(EvalContext *e, const Op *op, const Tensor *windows, const Tensor *whole,
                                int64_t *count) {
    Windows w;
    int64_t strides[MAX_RANK];
    windows_of(e->module, op, &w);
    tensor_strides(whole, strides);
    for (int i = 0; i < w.n; i++) {
        int64_t step = strides[w.axes[i]];
        strides[w.axes[i]] = step * w.strides[i];
        strides[w.rank - w.n + i] += step * w.dilations[i];
    }
    return eval_offsets(e, windows->rank, windows->shape, strides, count);
}

static void eval_take(EvalContext *e, const Op *op) {
    const Tensor *x = eval_operand(e, op, 0);
    Tensor *r = eval_result(e, op, 0);
    int64_t count;
    const int64_t *places = places_in(e, op, r, x, &count);
    for (int64_t k = 0; k < count; k++) r->at[k] = x->at[places[k]];
}

static void grad_take(GradContext *g, const Op *op, Value *const *dy, Value **dx) {
    Windows w;
    Dim sizes[MAX_RANK];
    windows_of(g->b->module, op, &w);
    for (int i = 0; i < w.n; i++) sizes[i] = op->operands[0]->type.shape[w.axes[i]];
    dx[0] = build_place_windows(g->b, dy[0], w.axes, sizes, w.strides, w.dilations, w.n);
}

/* ------------------------------------------------------------------- place_windows */

static const char *infer_place(Module *m, Op *op) {
    Windows w;
    Type x = op->operands[0]->type;
    Dim shape[MAX_RANK];
    int n;
    const Dim *sizes = op_dims(op, "sizes", &n);
    const char *why = windows_of(m, op, &w);
    if (why) return why;
    if (n != w.n) return "sizes needs one entry for each axis";
    for (int d = 0; d < x.rank; d++) shape[d] = x.shape[d];
    for (int i = 0; i < w.n; i++) {
        if ((why = need_room(m, &w, i, sizes[i]))) return why;
        Dim count = window_count(&m->dims, sizes[i], w.size[i], w.strides[i], w.dilations[i]), own = x.shape[w.axes[i]];
        if (count != own)
            return reason(m, "dimension %lld holds %s windows, but %s elements have %s", (long long)w.axes[i],
                          dim_text(m, own), dim_text(m, sizes[i]), dim_text(m, count));
        shape[w.axes[i]] = sizes[i];
    }
    set_result(m, op, x.dtype, x.rank, shape);
    return NULL;
}

static void eval_place(EvalContext *e, const Op *op) {
    const Tensor *x = eval_operand(e, op, 0);
    Tensor *r = eval_result(e, op, 0);
    int64_t count;
    const int64_t *places = places_in(e, op, x, r, &count);
    for (int64_t k = 0; k < count; k++) r->at[places[k]] = x->at[k];
}

static void grad_place(GradContext *g, const Op *op, Value *const *dy, Value **dx) {
    Windows w;
    windows_of(g->b->module, op, &w);
    dx[0] = build_take_windows(g->b, dy[0], w.axes, w.strides, w.dilations, w.n);
}

/* -------------------------------------------------------------------------- building */

Value *build_take_windows(Builder *b, Value *x, const int64_t *axes, const int64_t *strides, const int64_t *dilations,
                          int n) {
    Module *m = b->module;
    Attr attrs[] = {attr_ints(m, "axes", axes, n), attr_ints(m, "strides", strides, n),
                    attr_ints(m, "dilations", dilations, n)};
    return build_op(b, &OP_take_windows, &x, 1, attrs, 3);
}

Value *build_place_windows(Builder *b, Value *x, const int64_t *axes, const Dim *sizes, const int64_t *strides,
                           const int64_t *dilations, int n) {
    Module *m = b->module;
    Attr attrs[] = {attr_ints(m, "axes", axes, n), attr_dims(m, "sizes", sizes, n), attr_ints(m, "strides", strides, n),
                    attr_ints(m, "dilations", dilations, n)};
    return build_op(b, &OP_place_windows, &x, 1, attrs, 4);
}

Value *build_windows(Builder *b, Value *x, const int64_t *axes, const Dim *window, const int64_t *strides,
                     const int64_t *dilations, int n) {
    if (!x) return NULL;
    Dim shape[2 * MAX_RANK];
    int64_t own[MAX_RANK];
    int rank = x->type.rank;
    for (int d = 0; d < rank; d++) {
        shape[d] = x->type.shape[d];
        own[d] = d;
    }
    for (int i = 0; i < n; i++) shape[rank + i] = window[i];
    return build_take_windows(b, build_broadcast_in_dim(b, x, rank + n, shape, own), axes, strides, dilations, n);
}

Value *build_overlap_add(Builder *b, Value *w, const int64_t *axes, const Dim *sizes, const int64_t *strides,
                         const int64_t *dilations, int n) {
    Value *placed = build_place_windows(b, w, axes, sizes, strides, dilations, n);
    int64_t window[MAX_RANK];
    for (int i = 0; placed && i < n; i++) window[i] = placed->type.rank - n + i;
    return build_reduce(b, &OP_reduce_sum, placed, window, n);
}

/* -------------------------------------------------------------------------- table */

static const AttrSpec attrs_take[] = {
    {"axes", ATTR_INTS, false, DIMS_AXES},
    {"strides", ATTR_INTS, false, DIMS_ALONG},
    {"dilations", ATTR_INTS, false, DIMS_ALONG},
    {0}};
static const AttrSpec attrs_place[] = {{"axes", ATTR_INTS, false, DIMS_AXES},
                                       {"sizes", ATTR_DIMS, false, DIMS_ALONG},
                                       {"strides", ATTR_INTS, false, DIMS_ALONG},
                                       {"dilations", ATTR_INTS, false, DIMS_ALONG},
                                       {0}};

const OpInfo OP_take_windows = {
    .name = "take_windows", .at = HERE,
    .kind = KIND_MOVE,
    .min_operands = 1,
    .max_operands = 1,
    .result_count = 1,
    .signature = "T",
    .types = CLASS_ANY,
    .attrs = attrs_take,
    .flags = OP_ANY_ORDER,
    .doc =
        "x[.., H, .., k] at windows: result[.., o, .., i] is x[.., o * stride + i * dilation, .., i] for each of axes, "
        "the last dims being the windows'.",
    .infer = infer_take,
    .grad = grad_take,
    .eval = eval_take,
    .index_map = index_of_take_windows};

const OpInfo OP_place_windows = {
    .name = "place_windows", .at = HERE,
    .kind = KIND_MOVE,
    .min_operands = 1,
    .max_operands = 1,
    .result_count = 1,
    .signature = "T",
    .types = CLASS_ANY,
    .attrs = attrs_place,
    .doc = "The transpose of take_windows: its elements at their places in dims of `sizes`, zeros elsewhere.",
    .flags = OP_LEAVES_GAPS | OP_ANY_ORDER,
    .infer = infer_place,
    .grad = grad_place,
    .eval = eval_place,
    .index_map = index_of_place_windows};
