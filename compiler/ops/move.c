/* Pure index maps that keep or permute elements: broadcast_in_dim, reshape, transpose, reverse. Those that
 * cut and join are in move_cut.c. They take any element type, and their gradients are such maps again,
 * but for broadcast_in_dim, whose gradient is a sum. */
#include "ops/index_map.h"
#include "ops/rules.h"

/* r[k] = x[base + offsets[k]] */
static void copy_from(Tensor *r, const Tensor *x, int64_t base, const int64_t *offsets) {
    for (int64_t k = 0; k < r->count; k++) r->at[k] = x->at[base + offsets[k]];
}

/* --------------------------------------------------------------- broadcast_in_dim */

static const char *infer_broadcast(Module *m, Op *op) {
    Type x = op->operands[0]->type;
    int n, rank;
    const int64_t *axes = op_ints(op, "axes", &n);
    const Dim *shape = op_dims(op, "shape", &rank);
    if (n != x.rank)
        return reason(m, "axes has %d entries, but the operand %s has %d dimensions", n,
                      value_text(m, op->operands[0]), x.rank);
    const char *why = need_axes(m, "axis", axes, n, rank);
    if (why) return why;
    for (int i = 0; i < n; i++)
        if (x.shape[i] != shape[axes[i]] && !dim_is(x.shape[i], 1))
            return reason(m, "dimension %d of the operand is %s, dimension %lld of the result is %s; only a static 1 "
                          "is repeated", i, dim_text(m, x.shape[i]), (long long)axes[i], dim_text(m, shape[axes[i]]));
    set_result(m, op, x.dtype, rank, shape);
    return NULL;
}

static void eval_broadcast(EvalContext *e, const Op *op) {
    const Tensor *x = eval_operand(e, op, 0);
    Tensor *r = eval_result(e, op, 0);
    int64_t own[MAX_RANK], strides[MAX_RANK] = {0}, count;
    const int64_t *axes = op_ints(op, "axes", NULL);
    tensor_strides(x, own);
    for (int i = 0; i < x->rank; i++) strides[axes[i]] = x->shape[i] == r->shape[axes[i]] ? own[i] : 0;
    copy_from(r, x, 0, eval_offsets(e, r->rank, r->shape, strides, &count));
}

/* Sums over the dimensions that are new or were repeated; the latter come back as 1. */
static void grad_broadcast(GradContext *g, const Op *op, Value *const *dy, Value **dx) {
    Type x = op->operands[0]->type, y = op->results[0].type;
    int n = 0;
    const int64_t *axes = op_ints(op, "axes", NULL);
    int64_t summed[MAX_RANK];
    for (int i = 0; i < y.rank; i++) {
        int own = 0;
        while (own < x.rank && axes[own] != i) own++;
        if (own == x.rank || x.shape[own] != y.shape[i]) summed[n++] = i;
    }
    Value *sum = n ? build_reduce(g->b, &OP_reduce_sum, dy[0], summed, n) : dy[0];
    dx[0] = build_reshape(g->b, sum, x.rank, x.shape);
}

/* ------------------------------------------------------------------------ reshape */

static const char *infer_reshape(Module *m, Op *op) {
    Type x = op->operands[0]->type;
    int rank;
    const Dim *shape = op_dims(op, "shape", &rank);
    Type to = type_make(m, x.dtype, rank, shape);
    Dim before = type_elements(&m->dims, x), after = type_elements(&m->dims, to);
    if (before != after)
        return reason(m, "%s has %s elements, %s has %s", value_text(m, op->operands[0]), dim_text(m, before),
                      type_text(&m->dims, to, m->arena), dim_text(m, after));
    op->results[0].type = to;
    return NULL;
}

static void eval_reshape(EvalContext *e, const Op *op) {
    const Tensor *x = eval_operand(e, op, 0);
    Tensor *r = eval_result(e, op, 0);
    for (int64_t k = 0; k < r->count; k++) r->at[k] = x->at[k];
}

static void grad_reshape(GradContext *g, const Op *op, Value *const *dy, Value **dx) {
    dx[0] = build_reshape(g->b, dy[0], op->operands[0]->type.rank, op->operands[0]->type.shape);
}

/* ---------------------------------------------------------------------- transpose */

static const char *infer_transpose(Module *m, Op *op) {
    Type x = op->operands[0]->type;
    int n;
    const int64_t *permutation = op_ints(op, "permutation", &n);
    if (n != x.rank)
        return reason(m, "permutation has %d entries, but the operand %s has %d dimensions", n,
                      value_text(m, op->operands[0]), x.rank);
    Dim shape[MAX_RANK];
    for (int i = 0; i < n; i++) {
        const char *why = need_axis(m, "dimension", permutation[i], x.rank);
        if (why) return why;
        if (axes_contain(permutation, i, permutation[i]))
            return reason(m, "permutation names dimension %lld twice", (long long)permutation[i]);
        shape[i] = x.shape[permutation[i]];
    }
    set_result(m, op, x.dtype, n, shape);
    return NULL;
}

static void eval_transpose(EvalContext *e, const Op *op) {
    const Tensor *x = eval_operand(e, op, 0);
    Tensor *r = eval_result(e, op, 0);
    int64_t count;
    copy_from(r, x, 0, eval_axis_offsets(e, x, op_ints(op, "permutation", NULL), x->rank, &count));
}

static void grad_transpose(GradContext *g, const Op *op, Value *const *dy, Value **dx) {
    int n;
    const int64_t *permutation = op_ints(op, "permutation", &n);
    int64_t back[MAX_RANK];
    for (int i = 0; i < n; i++) back[permutation[i]] = i;
    dx[0] = build_transpose(g->b, dy[0], back);
}

/* ------------------------------------------------------------------------ reverse */

static const char *infer_reverse(Module *m, Op *op) {
    Type x = op->operands[0]->type;
    int n;
    const int64_t *axes = op_ints(op, "axes", &n);
    const char *why = need_axes(m, "axis", axes, n, x.rank);
    if (!why) op->results[0].type = x;
    return why;
}

static void eval_reverse(EvalContext *e, const Op *op) {
    const Tensor *x = eval_operand(e, op, 0);
    Tensor *r = eval_result(e, op, 0);
    int n;
    const int64_t *axes = op_ints(op, "axes", &n);
    int64_t strides[MAX_RANK], base = 0, count;
    tensor_strides(x, strides);
    for (int i = 0; i < n; i++) {
        base += strides[axes[i]] * (x->shape[axes[i]] - 1);
        strides[axes[i]] = -strides[axes[i]];
    }
    copy_from(r, x, base, eval_offsets(e, r->rank, r->shape, strides, &count));
}

static void grad_reverse(GradContext *g, const Op *op, Value *const *dy, Value **dx) {
    dx[0] = build_op(g->b, &OP_reverse, dy, 1, op->attrs, op->attr_count);
}

/* -------------------------------------------------------------------------- table */

#define MOVE(op, attributes, rule, bits, text)                                                                         \
    const OpInfo OP_##op = {.name = #op, .at = HERE, .kind = KIND_MOVE, .min_operands = 1, .max_operands = 1, .result_count = 1,   \
                            .signature = "T", .types = CLASS_ANY, .attrs = attributes, .doc = text,                    \
                            .infer = infer_##rule, .grad = grad_##rule, .eval = eval_##rule,                           \
                            .index_map = index_of_##op, .flags = bits}

static const AttrSpec attrs_broadcast[] = {{"shape", ATTR_DIMS, false, DIMS_NONE}, {"axes", ATTR_INTS, false, DIMS_NONE}, {0}};
static const AttrSpec attrs_reshape[] = {{"shape", ATTR_DIMS, false, DIMS_NONE}, {0}};
static const AttrSpec attrs_transpose[] = {{"permutation", ATTR_INTS, false, DIMS_NONE}, {0}};
static const AttrSpec attrs_reverse[] = {{"axes", ATTR_INTS, false, DIMS_AXES}, {0}};

MOVE(broadcast_in_dim, attrs_broadcast, broadcast, OP_REPEATS,
     "The operand repeated into shape: its dimension i is dimension axes[i] there, equal or a static 1.");
MOVE(reshape, attrs_reshape, reshape, OP_RELABELS, "The same elements in row order, in another shape.");
MOVE(transpose, attrs_transpose, transpose, 0, "Dimensions reordered: the result's i is the operand's permutation[i].");
MOVE(reverse, attrs_reverse, reverse, OP_ANY_ORDER, "Elements in opposite order along axes.");
