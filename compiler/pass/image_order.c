/* image_order: puts the features of images behind their places, or the batch behind both.
 *
 * A convolution's kernels broadcast an element of one factor over a vector of the result, and lanes want neighbours in
 * memory. So a convolution gives its result as [batch, places.., features], whatever order it had, and from there the
 * order travels through all that does not care: elementwise work, reductions, windows, padding, repetition, dims of
 * extent 1 that come and go. Only what cannot take it (another reshape, the caller) reads the old order, through a transposition.
 *
 * A small network has a few features, which would leave most lanes idle. Where a function computes gradients of kernels,
 * and so is called with many images, and lanes along the batch would save a good part of its convolutions' time, the
 * order is [features, places.., batch]: one for all of the function.
 *
 * In: any module. Out: the same values; each result that was reordered stands as a transposition of its new form,
 * which is dropped where nothing reads it. A kernel's gradient, the convolution of two things that both depend on data,
 * keeps its order: it belongs to a parameter, whose own order in memory `layout` chooses. */
#include "ops/permute.h"
#include "ops/region.h"
#include "ops/value_map.h"
#include "pass/pass.h"
#include "pass/rewrite.h"

#include <math.h>

enum { LANES = 16 };           /* of a wide vector; orders do not depend on the processor */

/* An image from elsewhere that was laid in the order, with borders. */
typedef struct Laid {
    const Value *image;
    Value *laid;
    int64_t at[MAX_RANK];      /* by the image's dims: which they are there */
    Dim low[MAX_RANK], high[MAX_RANK]; /* by the dims there: what was added */
} Laid;

typedef struct Turner {
    Module *module;
    ValueMap turned;           /* value in the old order -> value in the new one, whose transposition it is */
    VEC(Laid) laid;
    bool batch_last;           /* the order; else features last */
    bool *data;                /* by number: depends on more than variables */
    Arena *scratch;
} Turner;

/* ------------------------------------------------------------------------------ data */

static void find_data(const Func *f, Region *r, bool *data) {
    for (int i = 0; i < r->params.n; i++) {
        bool variable = r == f->body && f->inputs.at[i].kind == PORT_VAR;
        data[r->params.at[i]->id] = !variable;
    }
    for (int i = 0; i < r->ops.n; i++) {
        Op *op = r->ops.at[i];
        bool any = false;
        for (int k = 0; k < op->operand_count; k++) any |= data[op->operands[k]->id];
        for (int k = 0; k < op->result_count; k++) data[op->results[k].id] = any;
        for (int k = 0; k < op->region_count; k++) find_data(f, op->regions[k], data);
    }
}

/* Values made by this pass have no number; they come of what has. */
static bool is_data(const Turner *t, const Value *v) { return v->id < 0 || t->data[v->id]; }

/* ---------------------------------------------------------------------------- values */

/* The new form of v and the permutation that leads to it; or null. */
static Value *turned(const Turner *t, const Value *v, int64_t *permutation) {
    Value *form = value_map_get(&t->turned, v);
    if (form) inverse_permutation(op_ints(v->op, "permutation", NULL), v->type.rank, permutation);
    return form;
}

/* What stands for an op's result that came out reordered. */
static Value *const *stand_for(Turner *t, Builder *b, const Op *op, Value *form, const int64_t *permutation) {
    Value **now = arena_array(t->scratch, Value *, 1);
    int rank = form->type.rank;
    int64_t back[MAX_RANK] = {0};
    if (!form->name) form->name = op->results[0].name;
    if (is_identity(permutation, rank)) {
        now[0] = form;
        return now;
    }
    inverse_permutation(permutation, rank, back);
    now[0] = build_transpose(b, form, back);
    value_map_set(&t->turned, now[0], form);
    return now;
}

/* v in the order of the permutation: its new form, if that has it; what is repeated or made of nothing is made so. */
static Value *in_order(Turner *t, Builder *b, Value *v, const int64_t *permutation) {
    int rank = v->type.rank;
    int64_t own[MAX_RANK] = {0}, to[MAX_RANK] = {0};
    if (!rank) return v;
    Value *form = turned(t, v, own);
    if (form && !memcmp(own, permutation, sizeof *own * (size_t)rank)) return form;
    if (v->op && v->op->operand_count == 0 && v->op->info->kind == KIND_MAP) {
        Value *made = op_permuted(b, v->op, NULL, permutation, to);
        if (made) return made;
    }
    if (v->op && v->op->info->flags & OP_REPEATS && !form) {
        int n;
        const int64_t *axes = op_ints(v->op, "axes", &n);
        int64_t at[MAX_RANK] = {0}, back[MAX_RANK] = {0}, places[MAX_RANK], order[MAX_RANK];
        inverse_permutation(permutation, rank, back);
        for (int i = 0; i < n; i++) at[back[axes[i]]] = i + 1;
        int k = 0;
        for (int d = 0; d < rank; d++)
            if (at[d]) {
                order[k] = at[d] - 1;
                places[k++] = d;
            }
        Dim shape[MAX_RANK];
        for (int d = 0; d < rank; d++) shape[d] = v->type.shape[permutation[d]];
        Value *x = is_identity(order, n) ? v->op->operands[0] : in_order(t, b, v->op->operands[0], order);
        return build_broadcast_in_dim(b, x, rank, shape, places);
    }
    return build_transpose(b, v, permutation);
}

/* ----------------------------------------------------------------------- convolutions */

/* What an operand is a transposition of, and the numbers of its dims there. */
static Value *renumber(Value *v, int64_t *dims) {
    for (; v->op && v->op->info == &OP_transpose; v = v->op->operands[0])
        for (int i = 0; i < v->type.rank; i++) dims[i] = op_ints(v->op, "permutation", NULL)[dims[i]];
    return v;
}

/* The input of a convolution: what it is a transposition of, or what was laid in order of that, and the numbers of its
 * dims and the borders that are left to add there. */
static Value *read_as_laid(const Turner *t, Value *v, Convolution *c) {
    DimTable *dims = &t->module->dims;
    const Laid *laid = NULL;
    v = renumber(v, c->input);
    for (int i = 0; i < t->laid.n; i++)
        if (t->laid.at[i].image == v) laid = &t->laid.at[i];
    if (!laid) return v;
    for (int i = 0; i < v->type.rank; i++) c->input[i] = laid->at[c->input[i]];
    for (int i = 0; i < c->spatial; i++) {
        c->low[i] = dim_sub(dims, c->low[i], laid->low[c->input[i + 2]]);
        c->high[i] = dim_sub(dims, c->high[i], laid->high[c->input[i + 2]]);
    }
    return laid->laid;
}

/* The numbers of an image's dims, outermost first. dims: batch, features, places. */
static void image_order(const Turner *t, const int64_t *dims, int spatial, int64_t *order) {
    order[0] = dims[t->batch_last];
    order[spatial + 1] = dims[!t->batch_last];
    for (int i = 0; i < spatial; i++) order[i + 1] = dims[i + 2];
}

/* The same dims where an image lies in that order. */
static void number_in_order(const Turner *t, int64_t *dims, int spatial) {
    dims[t->batch_last] = 0;
    dims[!t->batch_last] = spatial + 1;
    for (int i = 0; i < spatial; i++) dims[i + 2] = i + 1;
}

/* Whether an image from elsewhere has so few features that windows are better read across neighbouring places: then the
 * places beyond its borders have to be there. */
static bool is_thin(const Convolution *c, Dim features, double taps) {
    enum { THIN = 4 };
    for (int i = 0; i < c->spatial; i++)
        if (c->input_dilation[i] != 1 || c->low[i]->lower < 0 || c->high[i]->lower < 0) return false;
    return taps > 1 && c->feature_groups * c->batch_groups == 1 && features->upper <= THIN;
}

/* How many places there are along some dims of a convolution. */
static double places(Type t, const int64_t *dims, int spatial) {
    double n = 1;
    for (int i = 0; i < spatial; i++) n *= (double)t.shape[dims[i + 2]]->upper;
    return n;
}

/* x padded with zeros. Features behind the places of a line count as part of it, if x lies so: then lanes run along the
 * line and not along a few features. */
static Value *padded(Turner *t, Builder *b, Value *x, const Dim *low, const Dim *high) {
    DimTable *dims = &t->module->dims;
    int64_t interior[MAX_RANK] = {0};
    Value *zero = build_constant(b, type_make(t->module, x->type.dtype, 0, NULL), 0);
    int line = x->type.rank - 2;
    if (x->op && x->op->info == &OP_transpose) return build_pad(b, x, zero, low, high, interior);
    if (!dim_is(low[line + 1], 0) || !dim_is(high[line + 1], 0)) return build_pad(b, x, zero, low, high, interior);
    Dim shape[MAX_RANK], before[MAX_RANK], after[MAX_RANK], features = x->type.shape[line + 1];
    for (int d = 0; d <= line; d++) {
        bool last = d == line;
        shape[d] = last ? dim_mul(dims, x->type.shape[d], features) : x->type.shape[d];
        before[d] = last ? dim_mul(dims, low[d], features) : low[d];
        after[d] = last ? dim_mul(dims, high[d], features) : high[d];
    }
    Value *lines = build_pad(b, build_reshape(b, x, line + 1, shape), zero, before, after, interior);
    for (int d = 0; d <= line; d++) shape[d] = dim_add(dims, x->type.shape[d], dim_add(dims, low[d], high[d]));
    shape[line + 1] = features;
    return build_reshape(b, lines, line + 2, shape);
}

/* The image, a transposition of `from` if not that itself, with the borders that c adds, and then no more. */
static Value *with_borders(Turner *t, Builder *b, Value *x, Convolution *c, Laid *laid) {
    bool some = false;
    for (int i = 0; i < c->spatial; i++) {
        some |= !dim_is(c->low[i], 0) || !dim_is(c->high[i], 0);
        laid->low[c->input[i + 2]] = c->low[i];
        laid->high[c->input[i + 2]] = c->high[i];
        c->low[i] = c->high[i] = dim_const(&t->module->dims, 0);
    }
    return some ? padded(t, b, x, laid->low, laid->high) : x;
}

/* A record of the image, of which nothing is known to be laid: its dims lie in the order of the permutation. */
static Laid laid_of(const Turner *t, const Value *image, const int64_t *permutation) {
    Laid laid = {.image = image};
    inverse_permutation(permutation, image->type.rank, laid.at);
    for (int d = 0; d < image->type.rank; d++) laid.low[d] = laid.high[d] = dim_const(&t->module->dims, 0);
    return laid;
}

static void remember(Turner *t, Laid laid, Value *x) {
    laid.laid = x;
    if (x != laid.image) vec_push(t->scratch, &t->laid, laid);
}

/* Both operands depend on data: they are read as they lie, but for a picture's borders, and the result keeps its order. */
static Value *const *turn_gradient(Turner *t, Builder *b, Op *op, Convolution *c) {
    int64_t same[MAX_RANK] = {0};
    Value *x = read_as_laid(t, op->operands[0], c), *w = renumber(op->operands[1], c->kernel);
    for (int d = 0; d < c->spatial + 2; d++) same[d] = d;
    bool last = c->input[0] == c->spatial + 1;
    if (c->spatial && last && !t->batch_last && x->id >= 0 &&
        is_thin(c, x->type.shape[c->input[0]], places(op->results[0].type, c->output, c->spatial))) {
        Laid laid = laid_of(t, x, same);
        x = with_borders(t, b, x, c, &laid);
        remember(t, laid, x);
    }
    if (x == op->operands[0] && w == op->operands[1]) return NULL;
    return stand_for(t, b, op, build_convolution(b, x, w, c), same);
}

static Value *const *turn_convolution(Turner *t, Builder *b, Op *op) {
    Convolution c = convolution_of(op);
    int64_t permutation[MAX_RANK] = {0}, to_input[MAX_RANK] = {0};
    if (!c.spatial) return NULL;
    if (is_data(t, op->operands[1])) return turn_gradient(t, b, op, &c);
    Value *x = read_as_laid(t, op->operands[0], &c), *w = renumber(op->operands[1], c.kernel), *from = x;
    image_order(t, c.input, c.spatial, to_input);
    Laid laid = laid_of(t, from, to_input);
    if (!is_identity(to_input, c.spatial + 2)) {
        /* x that comes from elsewhere is read as it is, but its terms are added up in the new order. */
        x = build_transpose(b, x, to_input);
        number_in_order(t, c.input, c.spatial);
    }
    bool thin = !t->batch_last && from->id >= 0 && is_thin(&c, x->type.shape[c.input[1]], places(w->type, c.kernel, c.spatial));
    if (thin) x = with_borders(t, b, x, &c, &laid);
    if (thin || t->batch_last) remember(t, laid, x);
    image_order(t, c.output, c.spatial, permutation);
    number_in_order(t, c.output, c.spatial);
    return stand_for(t, b, op, build_convolution(b, x, w, &c), permutation);
}

/* ------------------------------------------------------------------------ what follows */

/* The order in which the op can be had, of the first operand that has a new form. */
static bool order_of_operands(const Turner *t, const Op *op, int64_t *permutation) {
    for (int i = 0; i < op->operand_count; i++)
        if (turned(t, op->operands[i], permutation)) return true;
    return false;
}

static Value *const *turn_other(Turner *t, Builder *b, Op *op) {
    int64_t permutation[MAX_RANK] = {0}, to[MAX_RANK] = {0};
    bool movable = op->info->kind == KIND_MAP || op->info->kind == KIND_REDUCE || op->info->kind == KIND_CUMULATE ||
                   op->info->flags & (OP_ANY_ORDER | OP_REPEATS);
    if (op->result_count != 1 || op->region_count || !movable || !order_of_operands(t, op, permutation)) return NULL;
    Value **operands = arena_array(t->scratch, Value *, op->operand_count);
    for (int i = 0; i < op->operand_count; i++) operands[i] = in_order(t, b, op->operands[i], permutation);
    Value *form = op_permuted(b, op, operands, permutation, to);
    return form ? stand_for(t, b, op, form, to) : NULL;
}

/* A reshape that adds or drops dims of extent 1: new ones come behind the dim that was before them, but the last ones stay
 * so, as windows' dims have to. */
static Value *const *turn_units(Turner *t, Builder *b, Op *op) {
    Type x = op->operands[0]->type, y = op->results[0].type;
    int64_t permutation[MAX_RANK] = {0}, to[MAX_RANK] = {0}, own[MAX_RANK] = {0};
    Value *form = turned(t, op->operands[0], permutation);
    Dim shape[MAX_RANK];
    int n = 0, d = 0;
    if (!form || !type_same_but_units(x, y)) return NULL;
    for (int i = 0; i < x.rank; i++) {
        if (dim_is(x.shape[i], 1)) continue;
        while (dim_is(y.shape[d], 1)) d++;
        own[i] = d++;
    }
    int end = y.rank;
    while (end > 0 && dim_is(y.shape[end - 1], 1)) end--;
    for (d = 0; d < end && dim_is(y.shape[d], 1); d++) to[n++] = d;
    for (int i = 0; i < x.rank; i++) {
        if (dim_is(x.shape[permutation[i]], 1)) continue;
        to[n++] = own[permutation[i]];
        for (d = (int)own[permutation[i]] + 1; d < end && dim_is(y.shape[d], 1); d++) to[n++] = d;
    }
    for (d = end; d < y.rank; d++) to[n++] = d;
    for (int i = 0; i < n; i++) shape[i] = y.shape[to[i]];
    return stand_for(t, b, op, build_reshape(b, form, y.rank, shape), to);
}

/* A transposition of a new form's is one of the form, or the form itself. */
static Value *const *turn_transpose(Turner *t, Builder *b, const Op *op) {
    int64_t dims[MAX_RANK] = {0};
    int rank = op->results[0].type.rank;
    for (int i = 0; i < rank; i++) dims[i] = i;
    if (!value_map_get(&t->turned, op->operands[0])) return NULL;
    Value **now = arena_array(t->scratch, Value *, 1);
    *now = renumber((Value *)&op->results[0], dims);
    if (!is_identity(dims, rank)) *now = build_transpose(b, *now, dims);
    return now;
}

static Value *const *turn(void *user, Builder *b, Op *op) {
    Turner *t = user;
    if (op->info == &OP_transpose) return turn_transpose(t, b, op);
    if (op->info == &OP_reshape) return turn_units(t, b, op);
    return op->info == &OP_convolution ? turn_convolution(t, b, op) : turn_other(t, b, op);
}

/* ----------------------------------------------------------------------- which order */

/* Times of the convolutions with lanes along features and along the batch, as multiply-adds. */
typedef struct OrderTimes {
    Module *module;
    const Turner *turner;
    double features, batch;
    bool trains;               /* there are gradients of kernels */
} OrderTimes;

static double idle_lanes(double extent) { return ceil(extent / LANES) * LANES / extent; }

static void add_times(OrderTimes *times, const Region *r) {
    for (int i = 0; i < r->ops.n; i++) {
        const Op *op = r->ops.at[i];
        for (int k = 0; k < op->region_count; k++) add_times(times, op->regions[k]);
        if (op->info != &OP_convolution) continue;
        times->trains |= is_data(times->turner, op->operands[1]);
        if (is_data(times->turner, op->operands[1])) continue;
        Convolution c = convolution_of(op);
        Type x = op->operands[0]->type, w = op->operands[1]->type;
        double points = (double)type_elements(&times->module->dims, op->results[0].type)->upper *
                        (double)type_elements(&times->module->dims, w)->upper /
                        (double)w.shape[c.kernel[1]]->upper;
        double features = (double)op->results[0].type.shape[c.output[1]]->upper;
        if (c.feature_groups < features) features /= (double)c.feature_groups;
        times->features += points * idle_lanes(features);
        times->batch += points * idle_lanes((double)x.shape[c.input[0]]->upper);
    }
}

static bool wants_batch_last(Module *m, const Turner *t, const Func *f) {
    enum { GAIN = 3 }; /* halves */
    OrderTimes times = {.module = m, .turner = t};
    add_times(&times, f->body);
    return times.trains && times.features * 2 > times.batch * GAIN;
}

static void turn_func(void *user, Func *f) {
    PassContext *c = user;
    Turner t = {.module = f->module, .turned = value_map_new(c->scratch), .scratch = c->scratch};
    t.data = arena_array(c->scratch, bool, graph_number(f) + 1);
    find_data(f, f->body, t.data);
    t.batch_last = wants_batch_last(f->module, &t, f);
    graph_rewrite(f, c->scratch, turn, &t);
    graph_sweep(f, c->scratch);
}

void pass_image_order(PassContext *c, Module *m) { module_each_func(m, turn_func, c); }
