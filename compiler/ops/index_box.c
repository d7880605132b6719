/* Data-dependent addresses, of one box: dynamic_slice reads it, dynamic_update_slice writes it. See index.h.
 *
 * Each is the other's transpose, so that both are closed under differentiation. */
#include "ops/index.h"
#include "ops/rules.h"

int index_box_axis(const Op *op, int i) { return (int)op_ints(op, "axes", NULL)[i]; }

/* A reason, or null if there is one start for each axis and each is a scalar. */
static const char *need_starts(Module *m, const Op *op) {
    IndexParts p = index_parts(op);
    int n;
    const int64_t *axes = op_ints(op, "axes", &n);
    const char *why = need_axes(m, "axis", axes, n, p.whole->type.rank);
    if (why) return why;
    if (n != p.count) return reason(m, "%d axes are named, but there are %d starts", n, p.count);
    for (int i = 0; i < n; i++)
        if (p.indices[i]->type.rank) return reason(m, "start %d is %s, not a scalar", i, value_text(m, p.indices[i]));
    return NULL;
}

/* A reason, or null if a box of extent `box` surely fits along dimension `d`. */
static const char *need_room(Module *m, const Op *op, int d, Dim box) {
    Dim extent = op->operands[0]->type.shape[d];
    if (box->lower >= 0 && dim_sub(&m->dims, extent, box)->lower >= 0) return NULL;
    return reason(m, "the box has extent %s along dimension %d, which is %s, or may be too large", dim_text(m, box), d,
                  dim_text(m, extent));
}

static const char *infer_slice_at(Module *m, Op *op) {
    Type x = op->operands[0]->type;
    const char *why = need_starts(m, op);
    if (why) return why;
    int n, sizes;
    const int64_t *axes = op_ints(op, "axes", &n);
    const Dim *size = op_dims(op, "sizes", &sizes);
    if (n != sizes) return reason(m, "%d axes are named, but there are %d sizes", n, sizes);
    Dim shape[MAX_RANK];
    for (int d = 0; d < x.rank; d++) shape[d] = x.shape[d];
    for (int i = 0; i < n; i++) {
        if ((why = need_room(m, op, (int)axes[i], size[i]))) return why;
        shape[axes[i]] = size[i];
    }
    set_result(m, op, x.dtype, x.rank, shape);
    return NULL;
}

static const char *infer_update_at(Module *m, Op *op) {
    Type x = op->operands[0]->type, update = op->operands[1]->type;
    const char *why = need_starts(m, op);
    if (why) return why;
    if (x.rank != update.rank)
        return reason(m, "%s and the update %s differ in rank", value_text(m, op->operands[0]),
                      value_text(m, op->operands[1]));
    for (int d = 0; d < x.rank; d++)
        if ((why = need_room(m, op, d, update.shape[d]))) return why;
    op->results[0].type = x;
    return NULL;
}

/* -------------------------------------------------------------------- evaluation */

/* Elements of the whole that the box is, in its row order; null after a start out of range. */
static const int64_t *box_places(EvalContext *e, const Op *op, const Tensor *x, const Tensor *box) {
    IndexParts p = index_parts(op);
    int64_t strides[MAX_RANK], base = 0, count;
    tensor_strides(x, strides);
    for (int i = 0; i < p.count; i++) {
        int axis = index_box_axis(op, i);
        int64_t start = e->values[p.indices[i]->id]->at[0].i, last = x->shape[axis] - box->shape[axis];
        if (start < 0 || start > last) {
            eval_fail(e, "%s: element 0 is %lld, outside 0 .. %lld", p.what ? p.what : "start", (long long)start,
                      (long long)last);
            return NULL;
        }
        base += start * strides[axis];
    }
    int64_t *places = eval_offsets(e, box->rank, box->shape, strides, &count);
    for (int64_t k = 0; k < count; k++) places[k] += base;
    return places;
}

static void eval_slice_at(EvalContext *e, const Op *op) {
    const Tensor *x = eval_operand(e, op, 0);
    Tensor *r = eval_result(e, op, 0);
    const int64_t *places = box_places(e, op, x, r);
    for (int64_t k = 0; places && k < r->count; k++) r->at[k] = x->at[places[k]];
}

static void eval_update_at(EvalContext *e, const Op *op) {
    const Tensor *x = eval_operand(e, op, 0), *update = eval_operand(e, op, 1);
    Tensor *r = eval_result(e, op, 0);
    const int64_t *places = box_places(e, op, x, update);
    if (!places) return;
    for (int64_t k = 0; k < r->count; k++) r->at[k] = x->at[k];
    for (int64_t k = 0; k < update->count; k++) r->at[places[k]] = update->at[k];
}

/* --------------------------------------------------------------------- gradients */

static Value *update_alike(Builder *b, const Op *op, Value *x, Value *update) {
    IndexParts p = index_parts(op);
    int n;
    const int64_t *axes = op_ints(op, "axes", &n);
    return build_dynamic_update_slice(b, x, update, p.indices, axes, n, p.what);
}

static void grad_slice_at(GradContext *g, const Op *op, Value *const *dy, Value **dx) {
    dx[0] = update_alike(g->b, op, build_constant_like(g->b, op->operands[0], 0), dy[0]);
}

/* dy in the box: what lies beyond it along the axes without a start is cut off first. */
static Value *slice_alike(Builder *b, const Op *op, Value *dy, Type box) {
    IndexParts p = index_parts(op);
    int n;
    const int64_t *axes = op_ints(op, "axes", &n);
    Dim start[MAX_RANK], limit[MAX_RANK], sizes[MAX_RANK];
    int64_t strides[MAX_RANK];
    bool cuts = false;
    for (int d = 0; d < box.rank; d++) {
        bool moves = axes_contain(axes, n, d);
        start[d] = dim_const(&b->module->dims, 0);
        limit[d] = moves ? dy->type.shape[d] : box.shape[d];
        strides[d] = 1;
        cuts = cuts || limit[d] != dy->type.shape[d];
    }
    for (int i = 0; i < n; i++) sizes[i] = box.shape[axes[i]];
    if (cuts) dy = build_slice(b, dy, start, limit, strides);
    return build_dynamic_slice(b, dy, p.indices, axes, sizes, n, p.what);
}

static void grad_update_at(GradContext *g, const Op *op, Value *const *dy, Value **dx) {
    Value *update = op->operands[1];
    if (g->wants[0]) dx[0] = update_alike(g->b, op, dy[0], build_constant_like(g->b, update, 0));
    if (g->wants[1]) dx[1] = slice_alike(g->b, op, dy[0], update->type);
}

/* -------------------------------------------------------------------------- table */

static const AttrSpec attrs_slice_at[] = {{"axes", ATTR_INTS, false, DIMS_NONE}, {"sizes", ATTR_DIMS, false, DIMS_NONE},
                                          {"what", ATTR_TEXT, true, DIMS_NONE}, {0}};
static const AttrSpec attrs_update_at[] = {{"axes", ATTR_INTS, false, DIMS_NONE}, {"what", ATTR_TEXT, true, DIMS_NONE}, {0}};

const OpInfo OP_dynamic_slice = {
    .name = "dynamic_slice", .at = HERE, .kind = KIND_INDEX, .min_operands = 1, .max_operands = -1, .result_count = 1,
    .signature = "Ti", .types = CLASS_ANY, .flags = OP_AT_BOX, .attrs = attrs_slice_at,
    .doc = "dynamic_slice(x, start...): the box of `sizes` along `axes` that begins at the scalar starts; the other "
           "axes are whole.",
    .infer = infer_slice_at, .grad = grad_slice_at, .eval = eval_slice_at};

const OpInfo OP_dynamic_update_slice = {
    .name = "dynamic_update_slice", .at = HERE, .kind = KIND_INDEX, .min_operands = 2, .max_operands = -1, .result_count = 1,
    .signature = "TTi", .types = CLASS_ANY, .flags = OP_AT_BOX | OP_UPDATES | OP_OVERWRITES, .attrs = attrs_update_at,
    .doc = "dynamic_update_slice(x, update, start...): x with update in the box that begins at the scalar starts along "
           "`axes`, at 0 along the others.",
    .infer = infer_update_at, .grad = grad_update_at, .eval = eval_update_at};
