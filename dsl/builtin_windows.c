/* Builtins that look at windows of a tensor: windows, overlap_add, conv. Sizes, strides and the like are one number for
 * all the axes they are about, or a list with one for each. */
#include "elab.h"

#include "ops/ops.h"

static Span arg_at(const BuiltinCall *c, int i) {
    return c->nodes[i] ? c->nodes[i]->span : c->at;
}

static Value *tensor_arg(Elab *e, const BuiltinCall *c, int i) {
    return elab_tensor(e, arg_at(c, i), c->args[i], DTYPE_COUNT);
}

/* Argument i as n values: a list of them, or one that stands for all. Null after a report. */
static const Val *each(Elab *e, const BuiltinCall *c, int i, int n, const char *what, Val otherwise) {
    Val v = c->args[i].kind == VAL_NONE ? otherwise : c->args[i];
    if (v.kind == VAL_LIST || v.kind == VAL_TUPLE) {
        if (v.list->n == n) return v.list->at;
        elab_fail(e, DL0307, arg_at(c, i), "%d %s are given for %d ax%s", v.list->n, what, n, n == 1 ? "is" : "es");
        return NULL;
    }
    Val *all = arena_array(e->arena, Val, n + 1);
    for (int k = 0; k < n; k++) all[k] = v;
    return all;
}

static bool integers(Elab *e, const BuiltinCall *c, int i, int n, const char *what, int64_t *to) {
    const Val *v = each(e, c, i, n, what, val_int(1));
    for (int k = 0; v && k < n; k++) {
        to[k] = v[k].i;
        if (v[k].kind == VAL_INT) continue;
        elab_fail(e, DL0302, arg_at(c, i), "%s are integers known at compile time, not %s", what, val_text(e, v[k]));
        return false;
    }
    return v != NULL;
}

static bool sizes(Elab *e, const BuiltinCall *c, int i, int n, const char *what, Dim *to) {
    const Val *v = each(e, c, i, n, what, NONE_VAL);
    for (int k = 0; v && k < n; k++)
        if (!(to[k] = elab_dim(e, arg_at(c, i), v[k]))) return false;
    return v != NULL;
}

/* ------------------------------------------------------------------------- windows */

/* Axis, size, stride and dilation: arguments 1 to 4. */
typedef struct WindowArgs {
    int n;
    int64_t axes[MAX_RANK], strides[MAX_RANK], dilations[MAX_RANK];
    Dim sizes[MAX_RANK];
} WindowArgs;

static bool window_args(Elab *e, const BuiltinCall *c, int rank, WindowArgs *w) {
    Val only = c->args[1];
    Vals list = {1, &only};
    if (c->args[1].kind == VAL_LIST || c->args[1].kind == VAL_TUPLE) list = *c->args[1].list;
    w->n = list.n;
    if (w->n > rank) {
        elab_fail(e, DL0306, arg_at(c, 1), "%d axes are named of a tensor of %d dims", w->n, rank);
        return false;
    }
    for (int i = 0; i < w->n; i++) {
        if (!elab_axis(e, arg_at(c, 1), list.at[i], rank, &w->axes[i])) return false;
        if (!i || w->axes[i] > w->axes[i - 1]) continue;
        elab_fail(e, DL0306, arg_at(c, 1), "axes of windows are named in increasing order");
        return false;
    }
    return sizes(e, c, 2, w->n, "sizes", w->sizes) && integers(e, c, 3, w->n, "strides", w->strides) &&
           integers(e, c, 4, w->n, "dilations", w->dilations);
}

/* windows(x, axis, size, stride, dilation): x with the windows' numbers along the axes, and the windows' dims last. */
static Val run_windows(Elab *e, const Builtin *self, const BuiltinCall *c) {
    WindowArgs w;
    (void)self;
    Value *x = tensor_arg(e, c, 0);
    if (!x || !window_args(e, c, x->type.rank, &w)) return POISON;
    if (x->type.rank + w.n > MAX_RANK)
        return elab_fail(e, DL0301, c->at, "the windows have %d dims, more than %d", x->type.rank + w.n, MAX_RANK);
    return val_tensor(build_windows(elab_builder(e, c->at), x, w.axes, w.sizes, w.strides, w.dilations, w.n));
}

/* overlap_add(w, axis, size, stride, dilation): windows added up where they overlap, the axes having these sizes. */
static Val run_overlap_add(Elab *e, const Builtin *self, const BuiltinCall *c) {
    WindowArgs w;
    (void)self;
    Value *x = tensor_arg(e, c, 0);
    if (!x) return POISON;
    int n = c->args[1].kind == VAL_LIST || c->args[1].kind == VAL_TUPLE ? c->args[1].list->n : 1;
    if (2 * n > x->type.rank)
        return elab_fail(e, DL0307, arg_at(c, 0), "%d axes need as many window dims behind all others; this is %s", n,
                         val_text(e, c->args[0]));
    if (!window_args(e, c, x->type.rank - n, &w)) return POISON;
    return val_tensor(build_overlap_add(elab_builder(e, c->at), x, w.axes, w.sizes, w.strides, w.dilations, w.n));
}

/* ---------------------------------------------------------------------------- conv */

/* One size for both sides, or [before, after]. */
static bool padding_arg(Elab *e, const BuiltinCall *c, int i, Convolution *to) {
    const Val *v = each(e, c, i, to->spatial, "paddings", val_int(0));
    for (int k = 0; v && k < to->spatial; k++) {
        bool both = v[k].kind == VAL_LIST || v[k].kind == VAL_TUPLE;
        if (both && v[k].list->n != 2) {
            elab_fail(e, DL0307, arg_at(c, i), "a padding is one size, or two: before and after");
            return false;
        }
        to->low[k] = elab_dim(e, arg_at(c, i), both ? v[k].list->at[0] : v[k]);
        to->high[k] = both ? elab_dim(e, arg_at(c, i), v[k].list->at[1]) : to->low[k];
        if (!to->low[k] || !to->high[k]) return false;
    }
    return v != NULL;
}

/* conv(x, weight, stride, padding, dilation, groups, input_dilation): x[N, C, ..] by weight[O, C / groups, ..]. */
static Val run_conv(Elab *e, const Builtin *self, const BuiltinCall *c) {
    (void)self;
    Value *x = tensor_arg(e, c, 0), *w = tensor_arg(e, c, 1);
    if (!x || !w) return POISON;
    if (x->type.rank < 2 || x->type.rank != w->type.rank)
        return elab_fail(e, DL0307, c->at, "conv takes x[N, C, ..] and weight[O, C, ..] of as many dims, not %s and %s",
                         val_text(e, c->args[0]), val_text(e, c->args[1]));
    Convolution to = {.spatial = x->type.rank - 2, .feature_groups = 1, .batch_groups = 1};
    for (int d = 0; d < x->type.rank; d++) {
        to.input[d] = to.output[d] = d;
        to.kernel[d] = d < 2 ? 1 - d : d;
    }
    if (!integers(e, c, 2, to.spatial, "strides", to.strides) || !padding_arg(e, c, 3, &to) ||
        !integers(e, c, 4, to.spatial, "dilations", to.kernel_dilation) ||
        !integers(e, c, 5, 1, "groups", &to.feature_groups) ||
        !integers(e, c, 6, to.spatial, "input dilations", to.input_dilation))
        return POISON;
    return val_tensor(build_convolution(elab_builder(e, c->at), x, w, &to));
}

const Builtin builtin_windows[] = {
    {"windows", "x axis size stride? dilation?", run_windows, 0},
    {"overlap_add", "w axis size stride? dilation?", run_overlap_add, 0},
    {"conv", "x weight stride? padding? dilation? groups? input_dilation?", run_conv, 0},
    {NULL, NULL, NULL, 0},
};
