/* Data-dependent addresses, by a tensor of indices: gather, and what it is transposed, scatter. See index.h.
 *
 * Where several updates meet at one place they are taken in index order: added, compared, or the last one wins. */
#include "ops/index.h"

#include "ops/rules.h"

IndexParts index_parts(const Op *op) {
    bool updates = op->info->flags & OP_UPDATES, box = op->info->flags & OP_AT_BOX;
    const Attr *what = op_attr(op, "what");
    IndexParts p = {.whole = op->operands[0], .what = what ? what->text : NULL};
    int first = box && updates ? 2 : 1, mask = updates ? 3 : 2;
    if (updates) p.update = op->operands[box ? 1 : 2];
    p.indices = &op->operands[first];
    p.count = box ? op->operand_count - first : 1;
    if (!box && op->operand_count > mask) p.mask = op->operands[mask];
    return p;
}

Dim index_limit(DimTable *dims, const Op *op, int i) {
    const Dim *whole = op->operands[0]->type.shape;
    if (!(op->info->flags & OP_AT_BOX)) return whole[op_int(op, "axis")];
    int axis = index_box_axis(op, i);
    const Value *box = op->info->flags & OP_UPDATES ? op->operands[1] : &op->results[0];
    return dim_add(dims, dim_sub(dims, whole[axis], box->type.shape[axis]), dim_const(dims, 1));
}

/* The shape of the picked parts; a reason if whole and indices do not fit. */
static const char *picked_shape(Module *m, const Op *op, int *rank, Dim *shape) {
    IndexParts p = index_parts(op);
    const Value *whole = p.whole, *indices = p.indices[0];
    Type x = whole->type, at = indices->type;
    int64_t axis = op_int(op, "axis"), batch = op_int(op, "batch");
    const char *why = need_axis(m, "axis", axis, x.rank);
    if (why) return why;
    if (batch < 0 || batch > axis || batch > at.rank)
        return reason(m, "batch is %lld, but must be from 0 to axis %lld and the %d dimensions of the indices",
                      (long long)batch, (long long)axis, at.rank);
    for (int i = 0; i < batch; i++)
        if ((why = need_equal_dims(m, "the operand", whole, i, "the indices", indices, i))) return why;
    if (p.mask && !shape_equal(p.mask->type.rank, p.mask->type.shape, at.rank, at.shape))
        return reason(m, "the mask is %s, the indices are %s", value_text(m, p.mask), value_text(m, indices));
    if (x.rank - 1 + at.rank - batch > MAX_RANK)
        return reason(m, "the result has %lld dimensions, more than %d", (long long)(x.rank - 1 + at.rank - batch),
                      MAX_RANK);
    int n = 0;
    for (int i = 0; i < axis; i++) shape[n++] = x.shape[i];
    for (int i = (int)batch; i < at.rank; i++) shape[n++] = at.shape[i];
    for (int i = (int)axis + 1; i < x.rank; i++) shape[n++] = x.shape[i];
    *rank = n;
    return NULL;
}

static const char *infer_gather(Module *m, Op *op) {
    int rank = 0;
    Dim shape[MAX_RANK];
    const char *why = picked_shape(m, op, &rank, shape);
    if (!why) set_result(m, op, op->operands[0]->type.dtype, rank, shape);
    return why;
}

static const char *infer_scatter(Module *m, Op *op) {
    int rank = 0;
    Dim shape[MAX_RANK];
    const char *why = picked_shape(m, op, &rank, shape);
    if (why) return why;
    Type updates = op->operands[2]->type, wanted = type_make(m, updates.dtype, rank, shape);
    if (!type_equal(updates, wanted))
        return reason(m, "the updates are %s, but operand and indices ask for %s", value_text(m, op->operands[2]),
                      type_text(&m->dims, wanted, m->arena));
    op->results[0].type = op->operands[0]->type;
    return NULL;
}

/* -------------------------------------------------------------------- evaluation */

/* Whether all indices that count are in range; else the first that is not is the error. */
static bool indices_good(EvalContext *e, const IndexParts *p, const Tensor *at, const Tensor *mask, int64_t extent) {
    for (int64_t k = 0; k < at->count; k++) {
        if ((mask && !mask->at[k].i) || (at->at[k].i >= 0 && at->at[k].i < extent)) continue;
        eval_fail(e, "%s: element %lld is %lld, outside 0 .. %lld", p->what ? p->what : "indices", (long long)k,
                  (long long)at->at[k].i, (long long)extent - 1);
        return false;
    }
    return true;
}

/* For each picked element, in row order, where it lies in the whole, -1 where it is masked out; null after an index
 * out of range. */
static const int64_t *places_in_whole(EvalContext *e, const Op *op, int64_t *count) {
    IndexParts p = index_parts(op);
    const Tensor *x = e->values[p.whole->id], *at = e->values[p.indices[0]->id];
    const Tensor *mask = p.mask ? e->values[p.mask->id] : NULL;
    int64_t axis = op_int(op, "axis"), batch = op_int(op, "batch"), extent = x->shape[axis];
    int64_t batches = 1, middle = 1, picks = 1, inner = 1;
    for (int i = 0; i < batch; i++) batches *= x->shape[i];
    for (int64_t i = batch; i < axis; i++) middle *= x->shape[i];
    for (int64_t i = batch; i < at->rank; i++) picks *= at->shape[i];
    for (int64_t i = axis + 1; i < x->rank; i++) inner *= x->shape[i];
    if (!indices_good(e, &p, at, mask, extent)) return NULL;
    *count = batches * middle * picks * inner;
    int64_t *places = arena_array(e->arena, int64_t, *count + 1), *to = places;
    for (int64_t b = 0; b < batches; b++)
        for (int64_t m = 0; m < middle; m++)
            for (int64_t k = 0; k < picks; k++)
                for (int64_t i = 0; i < inner; i++) {
                    bool kept = !mask || mask->at[b * picks + k].i;
                    *to++ = kept ? ((b * middle + m) * extent + at->at[b * picks + k].i) * inner + i : -1;
                }
    return places;
}

static void eval_gather(EvalContext *e, const Op *op) {
    const Tensor *x = eval_operand(e, op, 0);
    Tensor *r = eval_result(e, op, 0);
    int64_t count;
    const int64_t *places = places_in_whole(e, op, &count);
    for (int64_t k = 0; places && k < count; k++)
        if (places[k] >= 0) r->at[k] = x->at[places[k]];
}

static void eval_scatter(EvalContext *e, const Op *op) {
    const Tensor *x = eval_operand(e, op, 0), *updates = eval_operand(e, op, 2);
    Tensor *r = eval_result(e, op, 0);
    int64_t count;
    const int64_t *places = places_in_whole(e, op, &count);
    if (!places) return;
    for (int64_t k = 0; k < r->count; k++) r->at[k] = x->at[k];
    for (int64_t k = 0; k < count; k++) {
        if (places[k] < 0) continue;
        Number *to = &r->at[places[k]], new = updates->at[k];
        if (op->info->flags & OP_OVERWRITES) *to = new;
        else if (dtype_is_float(r->dtype)) to->f = map_eval_float(op->info->map, (double[]){to->f, new.f});
        else to->i = map_eval_int(op->info->map, r->dtype, (int64_t[]){to->i, new.i});
    }
}

/* --------------------------------------------------------------------- gradients */

/* gather(x, ...) at the places of op. */
static Value *gather_alike(Builder *b, const Op *op, Value *x) {
    IndexParts p = index_parts(op);
    return build_gather_where(b, x, p.indices[0], p.mask, (int)op_int(op, "axis"), (int)op_int(op, "batch"), p.what);
}

static Value *scatter_alike(Builder *b, const Op *op, const OpInfo *info, Value *x, Value *updates) {
    IndexParts p = index_parts(op);
    return build_scatter(b, info, x, p.indices[0], updates, p.mask, (int)op_int(op, "axis"), (int)op_int(op, "batch"),
                         p.what);
}

/* A value shaped as the indices, repeated over the picked parts. */
static Value *spread_over_parts(Builder *b, const Op *op, Value *v, Type picked) {
    int64_t axis = op_int(op, "axis"), batch = op_int(op, "batch"), axes[MAX_RANK];
    for (int i = 0; i < v->type.rank; i++) axes[i] = i < batch ? i : axis + i - batch;
    return build_broadcast_in_dim(b, v, picked.rank, picked.shape, axes);
}

/* Each batch row picks one part: then the gradient is elementwise, and fuses. */
static Value *grad_pick_one(Builder *b, const Op *op, Value *dy) {
    IndexParts p = index_parts(op);
    Value *x = p.whole, *indices = p.indices[0];
    int axis = (int)op_int(op, "axis");
    int64_t batch_axes[MAX_RANK], other_axes[MAX_RANK];
    for (int i = 0; i < indices->type.rank; i++) batch_axes[i] = i;
    axes_without(x->type.rank, (int64_t[]){axis}, 1, other_axes);
    Value *place = build_iota(b, indices->type.dtype, x->type.rank, x->type.shape, axis);
    Value *wanted = build_broadcast_in_dim(b, indices, x->type.rank, x->type.shape, batch_axes);
    Value *spread = build_broadcast_in_dim(b, dy, x->type.rank, x->type.shape, other_axes);
    Value *hit = build_map2(b, MAP_equal, place, wanted);
    if (p.mask)
        hit = build_map2(b, MAP_and, hit, build_broadcast_in_dim(b, p.mask, x->type.rank, x->type.shape, batch_axes));
    return build_map3(b, MAP_select, hit, spread, build_constant_like(b, x, 0));
}

static void grad_gather(GradContext *g, const Op *op, Value *const *dy, Value **dx) {
    Value *x = op->operands[0];
    if (op_int(op, "batch") == op->operands[1]->type.rank) dx[0] = grad_pick_one(g->b, op, dy[0]);
    else dx[0] = scatter_alike(g->b, op, &OP_scatter_add, build_constant_like(g->b, x, 0), dy[0]);
}

static void grad_scatter_add(GradContext *g, const Op *op, Value *const *dy, Value **dx) {
    dx[0] = dy[0];
    if (g->wants[2]) dx[2] = gather_alike(g->b, op, dy[0]);
}

/* For each index whether it is the last at its place: the greatest number among those that are there. */
static Value *is_last(Builder *b, const Op *op) {
    IndexParts p = index_parts(op);
    Type at = p.indices[0]->type;
    int batch = (int)op_int(op, "batch");
    Dim shape[MAX_RANK], stride = dim_const(&b->module->dims, 1);
    memcpy(shape, p.whole->type.shape, sizeof(Dim) * (size_t)batch);
    shape[batch] = p.whole->type.shape[op_int(op, "axis")];
    Value *number = build_constant(b, type_make(b->module, DTYPE_I64, at.rank, at.shape), 0);
    for (int i = at.rank - 1; i >= batch; i--) {
        Value *k = build_iota(b, DTYPE_I64, at.rank, at.shape, i);
        k = build_map2(b, MAP_multiply, k, build_broadcast_to(b, build_dim(b, stride, DTYPE_I64), at.rank, at.shape));
        number = build_map2(b, MAP_add, number, k);
        stride = dim_mul(&b->module->dims, stride, at.shape[i]);
    }
    Value *none = build_constant(b, type_make(b->module, DTYPE_I64, batch + 1, shape), -1);
    Value *last = build_scatter(b, &OP_scatter_max, none, p.indices[0], number, p.mask, batch, batch, p.what);
    last = build_gather_where(b, last, p.indices[0], p.mask, batch, batch, p.what);
    return build_map2(b, MAP_equal, last, number);
}

static void grad_scatter_set(GradContext *g, const Op *op, Value *const *dy, Value **dx) {
    Builder *b = g->b;
    Value *zero = build_constant_like(b, op->operands[2], 0);
    if (g->wants[0]) dx[0] = scatter_alike(b, op, &OP_scatter_set, dy[0], zero);
    if (!g->wants[2]) return;
    Value *last = spread_over_parts(b, op, is_last(b, op), op->operands[2]->type);
    dx[2] = build_map3(b, MAP_select, last, gather_alike(b, op, dy[0]), zero);
}

/* x is the result r, or NaN, which is why r is. */
static Value *is_result(Builder *b, Value *x, Value *r) {
    return build_map2(b, MAP_or, build_map2(b, MAP_equal, x, r), build_map2(b, MAP_not_equal, x, x));
}

/* Maximum and minimum: all that hold the extremum, the operand's element among them, share evenly. */
static void grad_scatter_extremum(GradContext *g, const Op *op, Value *const *dy, Value **dx) {
    Builder *b = g->b;
    Value *x = op->operands[0], *updates = op->operands[2], *r = &op->results[0];
    Value *x_holds = is_result(b, x, r), *holds = is_result(b, updates, gather_alike(b, op, r));
    Value *ties = scatter_alike(b, op, &OP_scatter_add, build_convert(b, x_holds, x->type.dtype),
                                build_convert(b, holds, x->type.dtype));
    Value *share = build_map2(b, MAP_divide, dy[0], ties);
    dx[0] = build_map3(b, MAP_select, x_holds, share, build_constant_like(b, x, 0));
    if (g->wants[2])
        dx[2] = build_map3(b, MAP_select, holds, gather_alike(b, op, share), build_constant_like(b, updates, 0));
}

/* -------------------------------------------------------------------------- table */

static const AttrSpec attrs_index[] = {{"axis", ATTR_INT, false, DIMS_NONE}, {"batch", ATTR_INT, false, DIMS_NONE},
                                       {"what", ATTR_TEXT, true, DIMS_NONE}, {0}};

const OpInfo OP_gather = {
    .name = "gather", .at = HERE, .kind = KIND_INDEX, .min_operands = 2, .max_operands = 3, .result_count = 1, .signature = "Tib",
    .types = CLASS_ANY, .attrs = attrs_index,
    .doc = "gather(x, indices, [mask]): the parts of x at the indices along axis; the first batch dims are matched; "
           "result: x.shape[:axis] + indices.shape[batch:] + x.shape[axis+1:]; 0 where the mask is false.",
    .infer = infer_gather, .grad = grad_gather, .eval = eval_gather};

#define SCATTER(op, f, class, bits, gradient, text)                                                                    \
    const OpInfo OP_##op = {.name = #op, .at = HERE, .kind = KIND_INDEX, .min_operands = 3, .max_operands = 4, .result_count = 1,  \
                            .signature = "TiTb", .types = class, .flags = OP_UPDATES | (bits), .map = MAP_##f,         \
                            .attrs = attrs_index, .doc = text, .infer = infer_scatter, .grad = gradient,               \
                            .eval = eval_scatter}

SCATTER(scatter_add, add, CLASS_NUMBER, 0, grad_scatter_add,
        "scatter_add(x, indices, updates, [mask]): x with updates, shaped as gather(x, indices), added where gather "
        "reads, in index order.");
SCATTER(scatter_max, maximum, CLASS_NUMBER, 0, grad_scatter_extremum,
        "As scatter_add, the larger of old and new; a NaN wins. Gradient: shared by ties.");
SCATTER(scatter_min, minimum, CLASS_NUMBER, 0, grad_scatter_extremum,
        "As scatter_add, the smaller of old and new; a NaN wins. Gradient: shared by ties.");
SCATTER(scatter_set, constant, CLASS_ANY, OP_OVERWRITES, grad_scatter_set,
        "As scatter_add, the new instead of the old; of several the last one in index order.");
