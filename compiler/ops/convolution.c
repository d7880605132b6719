/* convolution: general convolution, with StableHLO's dimension numbers.
 *
 *     r[n, f, o..] = sum over c and k.. of  padded[n, c, (o * stride + k * kernel_dilation)..] * kernel[c, f, k..]
 *
 * `input`, `kernel` and `output` say which dimension of x, of the kernel and of the result is what: batch and features
 * (of the kernel: input and output features), then the spatial ones in one common order. `padded` is x with
 * input_dilation - 1 zeros between neighbours along each spatial dimension, `low` more before and `high` after;
 * negative ones cut off. With feature_groups g, the features of x and of the result fall into g runs, each of which
 * sees its own alone; with batch_groups g the batch falls into g runs, one for each run of the kernel's output
 * features.
 *
 * Both gradients are convolutions again: that of x takes the kernel turned round, the result's gradient being spread
 * by the stride; that of the kernel convolves x with the result's gradient, batch and features changing places, and so
 * do the two sorts of groups. */
#include "ops/contraction.h"
#include "ops/rules.h"

enum { BATCH, FEATURE }; /* places in input and output */
enum { IN, OUT };        /* in kernel */

static void copy_ints(int64_t *to, const int64_t *from, int n) {
    memcpy(to, from, sizeof *to * (size_t)n);
}

Convolution convolution_of(const Op *op) {
    Convolution c = {.feature_groups = op_int(op, "feature_groups"), .batch_groups = op_int(op, "batch_groups")};
    const int64_t *strides = op_ints(op, "strides", &c.spatial);
    int n = c.spatial;
    copy_ints(c.strides, strides, n);
    copy_ints(c.input, op_ints(op, "input", NULL), n + 2);
    copy_ints(c.kernel, op_ints(op, "kernel", NULL), n + 2);
    copy_ints(c.output, op_ints(op, "output", NULL), n + 2);
    copy_ints(c.input_dilation, op_ints(op, "input_dilation", NULL), n);
    copy_ints(c.kernel_dilation, op_ints(op, "kernel_dilation", NULL), n);
    memcpy(c.low, op_dims(op, "low", NULL), sizeof *c.low * (size_t)n);
    memcpy(c.high, op_dims(op, "high", NULL), sizeof *c.high * (size_t)n);
    return c;
}

Value *build_convolution(Builder *b, Value *input, Value *kernel, const Convolution *c) {
    Module *m = b->module;
    int n = c->spatial;
    Attr attrs[] = {attr_ints(m, "input", c->input, n + 2),
                    attr_ints(m, "kernel", c->kernel, n + 2),
                    attr_ints(m, "output", c->output, n + 2),
                    attr_ints(m, "strides", c->strides, n),
                    attr_dims(m, "low", c->low, n),
                    attr_dims(m, "high", c->high, n),
                    attr_ints(m, "input_dilation", c->input_dilation, n),
                    attr_ints(m, "kernel_dilation", c->kernel_dilation, n),
                    attr_int(m, "feature_groups", c->feature_groups),
                    attr_int(m, "batch_groups", c->batch_groups)};
    return build_op(b, &OP_convolution, (Value *[]){input, kernel}, 2, attrs, sizeof attrs / sizeof *attrs);
}

/* --------------------------------------------------------------------------- shapes */

/* Elements of a dim with step - 1 more between neighbours. */
static Dim spread_extent(DimTable *t, Dim n, int64_t step) {
    Dim one = dim_const(t, 1);
    return dim_add(t, dim_mul(t, dim_sub(t, n, one), dim_const(t, step)), one);
}

static const char *need_permutation(Module *m, const char *name, const int64_t *dims, int n, int rank) {
    if (n != rank) return reason(m, "`%s` names %d dimensions, there are %d", name, n, rank);
    for (int i = 0; i < n; i++) {
        const char *why = need_axis(m, "dimension", dims[i], rank);
        if (why) return reason(m, "`%s`: %s", name, why);
        if (axes_contain(dims, i, dims[i]))
            return reason(m, "`%s` names dimension %lld twice", name, (long long)dims[i]);
    }
    return NULL;
}

static const char *check_attrs(Module *m, const Op *op) {
    static const char *const lists[] = {"low", "high", "input_dilation", "kernel_dilation"};
    static const char *const positive[] = {"strides", "input_dilation", "kernel_dilation"};
    int spatial, n[3];
    op_ints(op, "strides", &spatial);
    const int64_t *input = op_ints(op, "input", &n[0]), *kernel = op_ints(op, "kernel", &n[1]);
    const int64_t *output = op_ints(op, "output", &n[2]);
    for (int i = 0; i < 4; i++)
        if (op_attr(op, lists[i])->n != spatial)
            return reason(m, "there are %d strides, but `%s` has %d entries", spatial, lists[i],
                          op_attr(op, lists[i])->n);
    for (int i = 0; i < 3; i++)
        for (int d = 0; d < spatial; d++)
            if (op_ints(op, positive[i], NULL)[d] < 1)
                return reason(m, "`%s` has the entry %lld: all must be positive", positive[i],
                              (long long)op_ints(op, positive[i], NULL)[d]);
    if (op->operands[0]->type.rank != spatial + 2 || op->operands[1]->type.rank != spatial + 2)
        return reason(m, "with %d spatial dimensions input and kernel have %d each, not as in %s and %s", spatial,
                      spatial + 2, value_text(m, op->operands[0]), value_text(m, op->operands[1]));
    const char *why = need_permutation(m, "input", input, n[0], spatial + 2);
    if (!why) why = need_permutation(m, "kernel", kernel, n[1], spatial + 2);
    if (!why) why = need_permutation(m, "output", output, n[2], spatial + 2);
    return why;
}

/* A reason, or null if g groups of equal size can be made of the dim. */
static const char *need_groups(Module *m, const char *what, Dim d, int64_t g) {
    Dim each = dim_div(&m->dims, d, g);
    if (dim_mul(&m->dims, each, dim_const(&m->dims, g)) == d) return NULL;
    return reason(m, "%s %s cannot be split into %lld groups", dim_text(m, d), what, (long long)g);
}

static const char *check_features(Module *m, const Op *op, const Convolution *c) {
    DimTable *t = &m->dims;
    const Dim *x = op->operands[0]->type.shape, *w = op->operands[1]->type.shape;
    if (c->feature_groups < 1 || c->batch_groups < 1) return "the number of groups is not positive";
    if (c->feature_groups > 1 && c->batch_groups > 1) return "either features or the batch can be in groups, not both";
    Dim wanted = dim_mul(t, w[c->kernel[IN]], dim_const(t, c->feature_groups));
    if (wanted != x[c->input[FEATURE]]) {
        const char *groups =
            c->feature_groups > 1 ? reason(m, " in each of %lld groups", (long long)c->feature_groups) : "";
        return reason(m, "the input has %s features (dimension %lld), the kernel takes %s%s (its dimension %lld)",
                      dim_text(m, x[c->input[FEATURE]]), (long long)c->input[FEATURE], dim_text(m, w[c->kernel[IN]]),
                      groups, (long long)c->kernel[IN]);
    }
    const char *why = need_groups(m, "output features", w[c->kernel[OUT]], c->feature_groups * c->batch_groups);
    return why ? why : need_groups(m, "examples", x[c->input[BATCH]], c->batch_groups);
}

/* The result's extent along spatial dim i; null with a reason if there is none. */
static Dim spatial_extent(Module *m, const Op *op, const Convolution *c, int i, const char **why) {
    DimTable *t = &m->dims;
    Dim x = op->operands[0]->type.shape[c->input[i + 2]], w = op->operands[1]->type.shape[c->kernel[i + 2]];
    *why = NULL;
    if (x->lower < 1)
        *why = reason(m, "the input is, or may be, empty along its dimension %lld", (long long)c->input[i + 2]);
    if (w->lower < 1)
        *why = reason(m, "the kernel is, or may be, empty along its dimension %lld", (long long)c->kernel[i + 2]);
    if (*why) return NULL;
    Dim padded = dim_add(t, dim_add(t, c->low[i], spread_extent(t, x, c->input_dilation[i])), c->high[i]);
    Dim span = spread_extent(t, w, c->kernel_dilation[i]), room = dim_sub(t, padded, span);
    if (room->lower < 0) {
        bool always = dim_is_const(room) || room->upper < 0;
        *why = reason(m, "the kernel spans %s elements of dimension %lld of the input, which with its padding %s %s",
                      dim_text(m, span), (long long)c->input[i + 2], always ? "has" : "may have as few as",
                      always ? dim_text(m, padded)
                             : reason(m, "%lld (%s)", (long long)padded->lower, dim_text(m, padded)));
        return NULL;
    }
    return dim_add(t, dim_div(t, room, c->strides[i]), dim_const(t, 1));
}

static const char *infer_convolution(Module *m, Op *op) {
    const char *why = check_attrs(m, op);
    if (why) return why;
    Convolution c = convolution_of(op);
    if ((why = check_features(m, op, &c))) return why;
    const Dim *x = op->operands[0]->type.shape, *w = op->operands[1]->type.shape;
    Dim shape[MAX_RANK];
    shape[c.output[BATCH]] = dim_div(&m->dims, x[c.input[BATCH]], c.batch_groups);
    shape[c.output[FEATURE]] = w[c.kernel[OUT]];
    for (int i = 0; i < c.spatial; i++)
        if (!(shape[c.output[i + 2]] = spatial_extent(m, op, &c, i, &why))) return why;
    set_result(m, op, op->operands[0]->type.dtype, c.spatial + 2, shape);
    return NULL;
}

/* ----------------------------------------------------------------------- evaluation */

typedef struct Walk {
    Convolution c;
    const Tensor *x, *w;
    int64_t x_stride[MAX_RANK], w_stride[MAX_RANK], low[MAX_RANK];
    int64_t features; /* of the input, in one group */
} Walk;

static Number multiply_add(DType t, Number sum, Number a, Number b) {
    if (dtype_is_float(t)) return (Number){.f = sum.f + a.f * b.f};
    int64_t product = map_eval_int(MAP_multiply, t, (int64_t[]){a.i, b.i});
    return (Number){.i = map_eval_int(MAP_add, t, (int64_t[]){sum.i, product})};
}

/* Adds the terms over the kernel's spatial dims from dim i on, of the result's point `at`. */
static Number add_terms(const Walk *k, int i, const int64_t *at, int64_t x_at, int64_t w_at, Number sum) {
    const Convolution *c = &k->c;
    if (i == c->spatial) {
        for (int64_t f = 0; f < k->features; f++)
            sum = multiply_add(k->x->dtype, sum, k->x->at[x_at + f * k->x_stride[c->input[FEATURE]]],
                               k->w->at[w_at + f * k->w_stride[c->kernel[IN]]]);
        return sum;
    }
    int64_t extent = k->x->shape[c->input[i + 2]], step = c->input_dilation[i];
    for (int64_t p = 0; p < k->w->shape[c->kernel[i + 2]]; p++) {
        int64_t place = at[c->output[i + 2]] * c->strides[i] + p * c->kernel_dilation[i] - k->low[i];
        if (place < 0 || place % step || place / step >= extent) continue;
        sum = add_terms(k, i + 1, at, x_at + place / step * k->x_stride[c->input[i + 2]],
                        w_at + p * k->w_stride[c->kernel[i + 2]], sum);
    }
    return sum;
}

static void eval_convolution(EvalContext *e, const Op *op) {
    Walk k = {.c = convolution_of(op), .x = eval_operand(e, op, 0), .w = eval_operand(e, op, 1)};
    const Convolution *c = &k.c;
    Tensor *r = eval_result(e, op, 0);
    int64_t stride[MAX_RANK], at[MAX_RANK];
    tensor_strides(k.x, k.x_stride);
    tensor_strides(k.w, k.w_stride);
    tensor_strides(r, stride);
    k.features = k.w->shape[c->kernel[IN]];
    for (int i = 0; i < c->spatial; i++) k.low[i] = eval_dim(e, c->low[i]);
    int64_t of_group = r->shape[c->output[FEATURE]] / (c->feature_groups * c->batch_groups);
    for (int64_t p = 0; p < r->count; p++) {
        for (int d = 0; d < r->rank; d++) at[d] = p / stride[d] % r->shape[d];
        int64_t f = at[c->output[FEATURE]], group = f / of_group, n = at[c->output[BATCH]], first = 0;
        if (c->batch_groups > 1) n += group * r->shape[c->output[BATCH]];
        if (c->feature_groups > 1) first = group * k.features;
        int64_t x_at = n * k.x_stride[c->input[BATCH]] + first * k.x_stride[c->input[FEATURE]];
        Number zero = {.i = 0};
        if (dtype_is_float(r->dtype)) zero.f = 0;
        r->at[p] = add_terms(&k, 0, at, x_at, f * k.w_stride[c->kernel[OUT]], zero);
    }
}

/* ------------------------------------------------------------------------ gradients */

/* `v` with the g groups that dim `from` begins with moved to the front of dim `to`. */
static Value *move_groups(Builder *b, Value *v, int64_t from, int64_t to, int64_t g) {
    if (!v || g == 1) return v;
    DimTable *t = &b->module->dims;
    Dim split[MAX_RANK + 1], joined[MAX_RANK] = {0};
    int64_t permutation[MAX_RANK + 1];
    int rank = v->type.rank, place = 0;
    for (int d = 0; d < rank; d++) {
        joined[d] = v->type.shape[d];
        if (d == from) joined[d] = dim_div(t, joined[d], g);
        if (d == to) joined[d] = dim_mul(t, joined[d], dim_const(t, g));
        split[d + (d > from)] = d == from ? dim_const(t, g) : v->type.shape[d];
    }
    split[from + 1] = joined[from];
    for (int d = 0; d < rank; d++) {
        if (d == to) permutation[place++] = from;
        permutation[place++] = d + (d >= from);
    }
    return build_reshape(b, build_transpose(b, build_reshape(b, v, rank + 1, split), permutation), rank, joined);
}

/* What `high` has to be for a convolution of `x` by a kernel of extent w to give `result` elements. */
static Dim high_for(DimTable *t, Dim result, int64_t stride, Dim x, int64_t input_dilation, Dim low, Dim w,
                    int64_t kernel_dilation) {
    Dim reach = dim_add(t, dim_mul(t, dim_sub(t, result, dim_const(t, 1)), dim_const(t, stride)),
                        spread_extent(t, w, kernel_dilation));
    return dim_sub(t, dim_sub(t, reach, spread_extent(t, x, input_dilation)), low);
}

/* The kernel turned round, its groups of output features among the input features. */
static Value *turned_kernel(Builder *b, const Op *op, const Convolution *c) {
    int64_t axes[MAX_RANK];
    int n = 0;
    for (int d = 0; d < c->spatial + 2; d++)
        if (d != c->kernel[IN] && d != c->kernel[OUT] && !dim_is(op->operands[1]->type.shape[d], 1)) axes[n++] = d;
    Value *w = n ? build_reverse(b, op->operands[1], axes, n) : op->operands[1];
    return move_groups(b, w, c->kernel[OUT], c->kernel[IN], c->feature_groups * c->batch_groups);
}

static Value *grad_input(Builder *b, const Op *op, Value *dy) {
    Convolution c = convolution_of(op), to = c;
    DimTable *t = &b->module->dims;
    int n = c.spatial;
    copy_ints(to.input, c.output, n + 2);
    copy_ints(to.output, c.input, n + 2);
    to.kernel[IN] = c.kernel[OUT];
    to.kernel[OUT] = c.kernel[IN];
    copy_ints(to.strides, c.input_dilation, n);
    copy_ints(to.input_dilation, c.strides, n);
    to.feature_groups = c.feature_groups * c.batch_groups;
    to.batch_groups = 1;
    for (int i = 0; i < n; i++) {
        Dim w = op->operands[1]->type.shape[c.kernel[i + 2]], x = op->operands[0]->type.shape[c.input[i + 2]];
        Dim reach = dim_mul(t, dim_sub(t, w, dim_const(t, 1)), dim_const(t, c.kernel_dilation[i]));
        to.low[i] = dim_sub(t, reach, c.low[i]);
        to.high[i] = high_for(t, x, to.strides[i], dy->type.shape[c.output[i + 2]], to.input_dilation[i], to.low[i], w,
                              to.kernel_dilation[i]);
    }
    Value *dx = build_convolution(b, dy, turned_kernel(b, op, &c), &to);
    return move_groups(b, dx, c.input[FEATURE], c.input[BATCH], c.batch_groups);
}

static Value *grad_kernel(Builder *b, const Op *op, Value *dy) {
    Convolution c = convolution_of(op), to = c;
    DimTable *t = &b->module->dims;
    int n = c.spatial;
    to.input[BATCH] = c.input[FEATURE];
    to.input[FEATURE] = c.input[BATCH];
    copy_ints(to.kernel, c.output, n + 2);
    copy_ints(to.output, c.kernel, n + 2);
    copy_ints(to.strides, c.kernel_dilation, n);
    copy_ints(to.kernel_dilation, c.strides, n);
    to.feature_groups = c.batch_groups;
    to.batch_groups = c.feature_groups;
    for (int i = 0; i < n; i++) {
        Dim w = op->operands[1]->type.shape[c.kernel[i + 2]], x = op->operands[0]->type.shape[c.input[i + 2]];
        to.high[i] = high_for(t, w, to.strides[i], x, to.input_dilation[i], to.low[i], dy->type.shape[c.output[i + 2]],
                              to.kernel_dilation[i]);
    }
    return build_convolution(b, op->operands[0], dy, &to);
}

static void grad_convolution(GradContext *g, const Op *op, Value *const *dy, Value **dx) {
    if (g->wants[0]) dx[0] = grad_input(g->b, op, dy[0]);
    if (g->wants[1]) dx[1] = grad_kernel(g->b, op, dy[0]);
}

/* -------------------------------------------------------------------- as a contraction */

/* The axes of a spatial dim. Where the input is spread by q, of the q neighbouring places of the result each sees other
 * places of the kernel, every q-th one: `phase` counts the neighbours, and no zero is multiplied. Then
 *     result place  q * out + phase + first,      kernel place  q * at + q - 1 - phase,      input place  out + at -
 * skip each within its bounds. */
typedef struct Axes {
    int out, at, phase; /* phase -1: result place out, kernel place at */
    int64_t q, first;
    Dim skip;
} Axes;

/* Whether the dim can be done in phases. */
static bool find_phases(DimTable *t, const Convolution *c, int i, Axes *a) {
    *a = (Axes){.phase = -1, .q = c->input_dilation[i]};
    if (a->q == 1 || c->strides[i] != 1 || c->kernel_dilation[i] != 1) return false;
    a->skip = dim_div(t, c->low[i], a->q);
    Dim rest = dim_sub(t, c->low[i], dim_mul(t, a->skip, dim_const(t, a->q)));
    a->first = dim_is_const(rest) ? dim_value(rest) - a->q + 1 : 0;
    return dim_is_const(rest);
}

/* How many runs of q cover n places, of which `before` lie in front. */
static Dim runs_of(DimTable *t, Dim n, int64_t before, int64_t q) {
    return dim_add(t, dim_div(t, dim_add(t, n, dim_const(t, before - 1)), q), dim_const(t, 1));
}

/* The points' parts in spatial dim i. False if there are too many conditions. */
static bool put_spatial(const Op *op, const Convolution *c, int i, const Axes *a, Contraction *to) {
    DimTable *t = to->dims;
    Dim one = dim_const(t, 1), zero = dim_const(t, 0), q = dim_const(t, a->q);
    int64_t x = c->input[i + 2], w = c->kernel[i + 2], r = c->output[i + 2];
    Dim extent = op->operands[0]->type.shape[x];
    if (a->phase < 0) {
        contraction_put(to, &to->result, r, a->out, one);
        contraction_put(to, &to->rhs, w, a->at, one);
        contraction_put(to, &to->lhs, x, a->out, dim_const(t, c->strides[i]));
        contraction_put(to, &to->lhs, x, a->at, dim_const(t, c->kernel_dilation[i]));
        return index_unpad(&to->lhs, (int)x, extent, c->low[i], c->high[i], c->input_dilation[i] - 1);
    }
    contraction_put(to, &to->result, r, a->out, q);
    contraction_put(to, &to->result, r, a->phase, one);
    to->result.at[r].constant = dim_const(t, a->first);
    contraction_put(to, &to->rhs, w, a->at, q);
    contraction_put(to, &to->rhs, w, a->phase, dim_const(t, -1));
    to->rhs.at[w].constant = dim_const(t, a->q - 1);
    contraction_put(to, &to->lhs, x, a->out, one);
    contraction_put(to, &to->lhs, x, a->at, one);
    to->lhs.at[x].constant = dim_sub(t, zero, a->skip);
    return index_guard(&to->result, (int)r, zero, op->results[0].type.shape[r]) &&
           index_guard(&to->rhs, (int)w, zero, op->operands[1]->type.shape[w]) &&
           index_guard(&to->lhs, (int)x, zero, extent);
}

/* Terms are added up feature by feature where features lie outside of the spatial dims, else place by place. */
static bool contract_convolution(const Op *op, Contraction *to) {
    DimTable *t = to->dims;
    Convolution c = convolution_of(op);
    const Dim *w = op->operands[1]->type.shape, *r = op->results[0].type.shape;
    Dim one = dim_const(t, 1);
    int64_t groups = c.feature_groups * c.batch_groups;
    Dim of_group = dim_div(t, w[c.kernel[OUT]], groups);
    int rank = c.spatial + 2, in = -1, room = MAX_AXES - 2 * rank;
    bool outside = c.spatial == 0 || c.input[FEATURE] < c.input[2], phases[MAX_RANK];
    Axes a[MAX_RANK];
    to->axes = 0;
    int group = contraction_axis(to, PART_BATCH, dim_const(t, groups)),
        n = contraction_axis(to, PART_LHS, r[c.output[BATCH]]);
    for (int i = 0; i < c.spatial; i++) {
        phases[i] = find_phases(t, &c, i, &a[i]) && room-- > 0;
        Dim extent = r[c.output[i + 2]];
        a[i].out = contraction_axis(to, PART_LHS, phases[i] ? runs_of(t, extent, -a[i].first, a[i].q) : extent);
    }
    int f = contraction_axis(to, PART_RHS, of_group);
    for (int i = 0; i < c.spatial; i++)
        if (phases[i]) a[i].phase = contraction_axis(to, PART_RHS, dim_const(t, a[i].q));
    if (outside) in = contraction_axis(to, PART_SUM, w[c.kernel[IN]]);
    for (int i = 0; i < c.spatial; i++) {
        Dim extent = w[c.kernel[i + 2]];
        a[i].at = contraction_axis(to, PART_SUM, phases[i] ? runs_of(t, extent, 0, a[i].q) : extent);
    }
    if (!outside) in = contraction_axis(to, PART_SUM, w[c.kernel[IN]]);

    to->lhs = contraction_point(to, rank), to->rhs = contraction_point(to, rank),
    to->result = contraction_point(to, rank);
    contraction_put(to, &to->result, c.output[BATCH], n, one);
    contraction_put(to, &to->result, c.output[FEATURE], group, of_group);
    contraction_put(to, &to->result, c.output[FEATURE], f, one);
    contraction_put(to, &to->rhs, c.kernel[OUT], group, of_group);
    contraction_put(to, &to->rhs, c.kernel[OUT], f, one);
    contraction_put(to, &to->rhs, c.kernel[IN], in, one);
    contraction_put(to, &to->lhs, c.input[BATCH], n, one);
    contraction_put(to, &to->lhs, c.input[FEATURE], in, one);
    if (c.feature_groups > 1) contraction_put(to, &to->lhs, c.input[FEATURE], group, w[c.kernel[IN]]);
    if (c.batch_groups > 1) contraction_put(to, &to->lhs, c.input[BATCH], group, r[c.output[BATCH]]);
    for (int i = 0; i < c.spatial; i++)
        if (!put_spatial(op, &c, i, &a[i], to)) return false;
    return true;
}

/* ---------------------------------------------------------------------------- table */

static const AttrSpec attrs_convolution[] = {{"input", ATTR_INTS, false, DIMS_NONE},
                                             {"kernel", ATTR_INTS, false, DIMS_NONE},
                                             {"output", ATTR_INTS, false, DIMS_NONE},
                                             {"strides", ATTR_INTS, false, DIMS_NONE},
                                             {"low", ATTR_DIMS, false, DIMS_NONE},
                                             {"high", ATTR_DIMS, false, DIMS_NONE},
                                             {"input_dilation", ATTR_INTS, false, DIMS_NONE},
                                             {"kernel_dilation", ATTR_INTS, false, DIMS_NONE},
                                             {"feature_groups", ATTR_INT, false, DIMS_NONE},
                                             {"batch_groups", ATTR_INT, false, DIMS_NONE},
                                             {0}};

const OpInfo OP_convolution = {
    .name = "convolution", .at = HERE,
    .kind = KIND_CONTRACT,
    .min_operands = 2,
    .max_operands = 2,
    .result_count = 1,
    .signature = "T",
    .types = CLASS_NUMBER,
    .attrs = attrs_convolution,
    .doc = "convolution(x, kernel): sums over windows of x and input features; input, kernel and output list the dims: "
           "batch (input features of the kernel), features, spatial. Zeros that x is padded with are multiplied or "
           "left out.",
    .infer = infer_convolution,
    .grad = grad_convolution,
    .eval = eval_convolution,
    .contract = contract_convolution};
