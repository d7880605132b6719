/* Data-dependent addresses: gather, and scatter_add, its transpose.
 *
 * Both have a data tensor `whole`, integer indices and picked parts:
 *   picked.shape = whole.shape[:axis] + indices.shape[batch:] + whole.shape[axis+1:]
 * where the first `batch` dims of whole and indices are matched, batch <= axis. An index outside 0 .. extent-1
 * is an error at run time, reported by the name in `what`. */
#include "ops/rules.h"

static const char *name_of(const Op *op) {
    const Attr *what = op_attr(op, "what");
    return what ? what->text : "indices";
}

/* The shape of the picked parts; a reason if whole and indices do not fit. */
static const char *picked_shape(Module *m, const Op *op, int *rank, Dim *shape) {
    const Value *whole = op->operands[0], *indices = op->operands[1];
    Type x = whole->type, at = indices->type;
    int64_t axis = op_int(op, "axis"), batch = op_int(op, "batch");
    const char *why = need_axis(m, "axis", axis, x.rank);
    if (why) return why;
    if (batch < 0 || batch > axis || batch > at.rank)
        return reason(m, "batch is %lld, but must be from 0 to axis %lld and the %d dimensions of the indices",
                      (long long)batch, (long long)axis, at.rank);
    for (int i = 0; i < batch; i++)
        if ((why = need_equal_dims(m, "the operand", whole, i, "the indices", indices, i))) return why;
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

/* For each picked element, in row order, where it lies in the whole; null after an index out of range. */
static const int64_t *places_in_whole(EvalContext *e, const Op *op, int64_t *count) {
    const Tensor *x = eval_operand(e, op, 0), *at = eval_operand(e, op, 1);
    int64_t axis = op_int(op, "axis"), batch = op_int(op, "batch"), extent = x->shape[axis];
    int64_t batches = 1, middle = 1, picks = 1, inner = 1;
    for (int i = 0; i < batch; i++) batches *= x->shape[i];
    for (int64_t i = batch; i < axis; i++) middle *= x->shape[i];
    for (int64_t i = batch; i < at->rank; i++) picks *= at->shape[i];
    for (int64_t i = axis + 1; i < x->rank; i++) inner *= x->shape[i];
    for (int64_t k = 0; k < at->count; k++) {
        if (at->at[k].i >= 0 && at->at[k].i < extent) continue;
        eval_fail(e, "%s: element %lld is %lld, outside 0 .. %lld", name_of(op), (long long)k, (long long)at->at[k].i,
                  (long long)extent - 1);
        return NULL;
    }
    *count = batches * middle * picks * inner;
    int64_t *places = arena_array(e->arena, int64_t, *count), *to = places;
    for (int64_t b = 0; b < batches; b++)
        for (int64_t m = 0; m < middle; m++)
            for (int64_t p = 0; p < picks; p++)
                for (int64_t i = 0; i < inner; i++)
                    *to++ = ((b * middle + m) * extent + at->at[b * picks + p].i) * inner + i;
    return places;
}

static void eval_gather(EvalContext *e, const Op *op) {
    const Tensor *x = eval_operand(e, op, 0);
    Tensor *r = eval_result(e, op, 0);
    int64_t count;
    const int64_t *places = places_in_whole(e, op, &count);
    for (int64_t k = 0; places && k < count; k++) r->at[k] = x->at[places[k]];
}

static void eval_scatter(EvalContext *e, const Op *op) {
    const Tensor *x = eval_operand(e, op, 0), *updates = eval_operand(e, op, 2);
    Tensor *r = eval_result(e, op, 0);
    int64_t count;
    const int64_t *places = places_in_whole(e, op, &count);
    if (!places) return;
    for (int64_t k = 0; k < r->count; k++) r->at[k] = x->at[k];
    for (int64_t k = 0; k < count; k++) {
        Number *to = &r->at[places[k]];
        if (dtype_is_float(r->dtype)) to->f += updates->at[k].f;
        else to->i = map_eval_int(MAP_add, r->dtype, (int64_t[]){to->i, updates->at[k].i});
    }
}

/* --------------------------------------------------------------------- gradients */

/* Each batch row picks one part: then the gradient is elementwise, and fuses. */
static Value *grad_pick_one(Builder *b, const Op *op, Value *dy) {
    Value *x = op->operands[0], *indices = op->operands[1];
    int axis = (int)op_int(op, "axis");
    int64_t batch_axes[MAX_RANK], other_axes[MAX_RANK];
    for (int i = 0; i < indices->type.rank; i++) batch_axes[i] = i;
    axes_without(x->type.rank, (int64_t[]){axis}, 1, other_axes);
    Value *place = build_iota(b, indices->type.dtype, x->type.rank, x->type.shape, axis);
    Value *wanted = build_broadcast_in_dim(b, indices, x->type.rank, x->type.shape, batch_axes);
    Value *spread = build_broadcast_in_dim(b, dy, x->type.rank, x->type.shape, other_axes);
    Value *hit = build_map2(b, MAP_equal, place, wanted);
    return build_map3(b, MAP_select, hit, spread, build_constant_like(b, x, 0));
}

static void grad_gather(GradContext *g, const Op *op, Value *const *dy, Value **dx) {
    Value *x = op->operands[0], *indices = op->operands[1];
    int64_t axis = op_int(op, "axis"), batch = op_int(op, "batch");
    if (batch == indices->type.rank) {
        dx[0] = grad_pick_one(g->b, op, dy[0]);
    } else {
        Value *zeros = build_constant_like(g->b, x, 0);
        dx[0] = build_scatter_add(g->b, zeros, indices, dy[0], (int)axis, (int)batch, name_of(op));
    }
}

static void grad_scatter(GradContext *g, const Op *op, Value *const *dy, Value **dx) {
    dx[0] = dy[0];
    if (g->wants[2])
        dx[2] = build_gather(g->b, dy[0], op->operands[1], (int)op_int(op, "axis"), (int)op_int(op, "batch"),
                             name_of(op));
}

/* -------------------------------------------------------------------------- table */

static const AttrSpec attrs_index[] = {{"axis", ATTR_INT, false}, {"batch", ATTR_INT, false},
                                       {"what", ATTR_TEXT, true}, {0}};

const OpInfo OP_gather = {
    .name = "gather", .kind = KIND_INDEX, .min_operands = 2, .max_operands = 2, .result_count = 1, .signature = "Ti",
    .types = CLASS_ANY, .attrs = attrs_index,
    .doc = "gather(x, indices): the parts of x at the indices along axis; the first batch dims are matched; result: "
           "x.shape[:axis] + indices.shape[batch:] + x.shape[axis+1:].",
    .infer = infer_gather, .grad = grad_gather, .eval = eval_gather};

const OpInfo OP_scatter_add = {
    .name = "scatter_add", .kind = KIND_INDEX, .min_operands = 3, .max_operands = 3, .result_count = 1,
    .signature = "TiT", .types = CLASS_NUMBER, .flags = OP_ADDS_AT, .attrs = attrs_index,
    .doc = "scatter_add(x, indices, updates): x with updates, shaped as gather(x, indices), added where gather reads, "
           "in index order.",
    .infer = infer_scatter, .grad = grad_scatter, .eval = eval_scatter};
