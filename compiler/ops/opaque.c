/* Operators that a routine of the runtime does as a whole: sort, top_k, nms.
 *
 * Operands and results lie in memory; no index map and no element function reaches into them. A row here says beside
 * shapes, gradient and reference what the routine (runtime/core) has to be called with. Keep this list short: what a
 * loop nest can say belongs elsewhere.
 *
 * Order: -0 and 0 are equal, NaNs are equal and greater than everything. Sorting is stable, in either direction, and
 * of equal elements top_k takes the first; so the results are determined. */
#include "dlrt.h"
#include "ops/rules.h"

#include <math.h>

enum {
    PAIR_BYTES = 16, BOX_BYTES = 40,           /* as in runtime/core: routine.h, nms.c */
    MOST_SORTED = 32                           /* operands of a sort: a set of its results is one number (dlrt.h) */
};

/* The axis of op is one of x's, and short enough for i32 positions. */
static const char *need_sortable(Module *m, const Op *op, const Value *x) {
    int64_t axis = op_int(op, "axis");
    const char *why = need_axis(m, "axis", axis, x->type.rank);
    if (why) return why;
    if (x->type.shape[axis]->upper <= INT32_MAX) return NULL;
    return reason(m, "dimension %lld may have %s elements, more than an i32 index counts", (long long)axis,
                  dim_text(m, x->type.shape[axis]));
}

/* The product of the extents but that of the op's axis. */
static Dim other_elements(Module *m, const Op *op) {
    Type x = op->operands[0]->type;
    int64_t axis = op_int(op, "axis");
    Dim n = dim_const(&m->dims, 1);
    for (int i = 0; i < x.rank; i++)
        if (i != axis) n = dim_mul(&m->dims, n, x.shape[i]);
    return n;
}

static Dim times(Module *m, Dim n, int64_t by) { return dim_mul(&m->dims, n, dim_const(&m->dims, by)); }

/* ------------------------------------------------------------------------- order */

/* Whether a comes before b, both of type t, where the least comes first or, descending, the greatest. */
static bool comes_before(DType t, Number a, Number b, bool descending) {
    if (!dtype_is_float(t)) return descending ? a.i > b.i : a.i < b.i;
    if (isnan(a.f) || isnan(b.f)) return descending ? isnan(a.f) && !isnan(b.f) : !isnan(a.f) && isnan(b.f);
    return descending ? a.f > b.f : a.f < b.f;
}

/* Places 0 .. n-1 of x[at[place]] in order: merged pairwise, equal ones as they were. */
static void order_places(const Tensor *x, const int64_t *at, int64_t n, bool descending, int64_t *places,
                         int64_t *spare) {
    if (n < 2) return;
    int64_t half = n / 2, i = 0, j = half;
    order_places(x, at, half, descending, places, spare);
    order_places(x, at, n - half, descending, places + half, spare);
    for (int64_t k = 0; k < n; k++) {
        bool right = i == half || (j < n && comes_before(x->dtype, x->at[at[places[j]]], x->at[at[places[i]]], descending));
        spare[k] = places[right ? j++ : i++];
    }
    memcpy(places, spare, sizeof *places * (size_t)n);
}

typedef struct Rows {
    int64_t count, length;     /* rows; elements of one */
    const int64_t *starts, *steps;             /* of the rows; from there to each element */
} Rows;

static Rows rows_of(EvalContext *e, const Tensor *x, int64_t axis) {
    int64_t others[MAX_RANK];
    Rows r;
    int n = axes_without(x->rank, &axis, 1, others);
    r.starts = eval_axis_offsets(e, x, others, n, &r.count);
    r.steps = eval_axis_offsets(e, x, &axis, 1, &r.length);
    return r;
}

/* For a row of x, which starts at `start`: the places along it in order. */
static const int64_t *ordered_row(EvalContext *e, const Tensor *x, const Rows *r, int64_t start, bool descending) {
    int64_t *places = arena_array(e->arena, int64_t, r->length + 1), *spare = arena_array(e->arena, int64_t, r->length + 1);
    int64_t *at = arena_array(e->arena, int64_t, r->length + 1);
    for (int64_t i = 0; i < r->length; i++) {
        at[i] = start + r->steps[i];
        places[i] = i;
    }
    order_places(x, at, r->length, descending, places, spare);
    return places;
}

/* ---------------------------------------------------------------------- gradients */

/* dy, the gradient of what was taken from x at `indices` along the axis, put back where it came from. */
static Value *route_back(Builder *b, Value *x, Value *indices, Value *dy, int axis) {
    int rank = x->type.rank;
    int64_t last[MAX_RANK], back[MAX_RANK];
    int n = axes_without(rank, (int64_t[]){axis}, 1, last);
    last[n] = axis;
    for (int i = 0; i < rank; i++) back[last[i]] = i;
    Dim shape[MAX_RANK];
    for (int i = 0; i < rank; i++) shape[i] = x->type.shape[last[i]];
    Value *zero = build_constant(b, type_make(b->module, x->type.dtype, rank, shape), 0);
    Value *sum = build_scatter_add(b, zero, build_transpose(b, indices, last), build_transpose(b, dy, last), rank - 1,
                                   rank - 1, NULL);
    return build_transpose(b, sum, back);
}

/* --------------------------------------------------------------------------- sort */

static bool is_descending(const Op *op) { return op_attr(op, "descending") && op_int(op, "descending"); }

static const char *infer_sort(Module *m, Op *op) {
    const Value *key = op->operands[0];
    const char *why = need_sortable(m, op, key);
    if (why) return why;
    if (op->result_count != op->operand_count + 1)
        return reason(m, "there are %d results; they are the sorted key, its indices and %d sorted values",
                      op->result_count, op->operand_count - 1);
    for (int i = 1; i < op->operand_count; i++) {
        const Value *v = op->operands[i];
        if (!shape_equal(v->type.rank, v->type.shape, key->type.rank, key->type.shape))
            return reason(m, "the key is %s, but what is sorted with it is %s", value_text(m, key), value_text(m, v));
        op->results[1 + i].type = v->type;
    }
    op->results[0].type = key->type;
    op->results[1].type = type_make(m, DTYPE_I32, key->type.rank, key->type.shape);
    return NULL;
}

static void eval_sort(EvalContext *e, const Op *op) {
    const Tensor *key = eval_operand(e, op, 0);
    Rows r = rows_of(e, key, op_int(op, "axis"));
    Tensor **results = arena_array(e->arena, Tensor *, op->result_count);
    for (int i = 0; i < op->result_count; i++) results[i] = eval_result(e, op, i);
    for (int64_t k = 0; k < r.count; k++) {
        int64_t start = r.starts[k];
        const int64_t *places = ordered_row(e, key, &r, start, is_descending(op));
        for (int64_t i = 0; i < r.length; i++) {
            int64_t to = start + r.steps[i], from = start + r.steps[places[i]];
            results[0]->at[to] = key->at[from];
            results[1]->at[to].i = places[i];
            for (int v = 1; v < op->operand_count; v++) results[1 + v]->at[to] = eval_operand(e, op, v)->at[from];
        }
    }
}

static void grad_sort(GradContext *g, const Op *op, Value *const *dy, Value **dx) {
    for (int i = 0; i < op->operand_count; i++) {
        Value *from = dy[i ? i + 1 : 0];
        if (from && g->wants[i])
            dx[i] = route_back(g->b, op->operands[i], &op->results[1], from, (int)op_int(op, "axis"));
    }
}

static Dim sort_scratch(Module *m, const Op *op) {
    return times(m, op->operands[0]->type.shape[op_int(op, "axis")], 2 * PAIR_BYTES);
}

static const AttrSpec attrs_sort[] = {{"axis", ATTR_INT, false, DIMS_NONE}, {"descending", ATTR_INT, true, DIMS_NONE}, {0}};

const OpInfo OP_sort = {
    .name = "sort", .at = HERE, .kind = KIND_OPAQUE, .min_operands = 1, .max_operands = MOST_SORTED, .result_count = -1,
    .signature = "*",
    .types = CLASS_ANY, .attrs = attrs_sort,
    .doc = "sort(key, values...): the key in order along axis, the indices (i32) where each came from, and the values, "
           "shaped as the key, in the same order. Stable; a NaN is greater than all numbers.",
    .infer = infer_sort, .grad = grad_sort, .eval = eval_sort, .routine = DLRT_ROUTINE_sort, .rows = other_elements,
    .scratch = sort_scratch};

/* -------------------------------------------------------------------------- top_k */

static const char *infer_top_k(Module *m, Op *op) {
    Type x = op->operands[0]->type;
    int64_t axis = op_int(op, "axis"), k = op_int(op, "k");
    const char *why = need_sortable(m, op, op->operands[0]);
    if (why) return why;
    if (k < 0 || k > x.shape[axis]->lower)
        return reason(m, "k is %lld, but dimension %lld is %s%s", (long long)k, (long long)axis,
                      dim_text(m, x.shape[axis]), dim_is_const(x.shape[axis]) ? "" : ", which may be less");
    Dim shape[MAX_RANK];
    for (int i = 0; i < x.rank; i++) shape[i] = i == axis ? dim_const(&m->dims, k) : x.shape[i];
    op->results[0].type = type_make(m, x.dtype, x.rank, shape);
    op->results[1].type = type_make(m, DTYPE_I32, x.rank, shape);
    return NULL;
}

static void eval_top_k(EvalContext *e, const Op *op) {
    const Tensor *x = eval_operand(e, op, 0);
    Rows r = rows_of(e, x, op_int(op, "axis"));
    Tensor *values = eval_result(e, op, 0), *indices = eval_result(e, op, 1);
    Rows to = rows_of(e, values, op_int(op, "axis"));
    for (int64_t k = 0; k < to.count; k++) {
        const int64_t *places = ordered_row(e, x, &r, r.starts[k], true);
        for (int64_t i = 0; i < to.length; i++) {
            values->at[to.starts[k] + to.steps[i]] = x->at[r.starts[k] + r.steps[places[i]]];
            indices->at[to.starts[k] + to.steps[i]].i = places[i];
        }
    }
}

static void grad_top_k(GradContext *g, const Op *op, Value *const *dy, Value **dx) {
    if (dy[0]) dx[0] = route_back(g->b, op->operands[0], &op->results[1], dy[0], (int)op_int(op, "axis"));
}

static Dim top_k_scratch(Module *m, const Op *op) { return dim_const(&m->dims, op_int(op, "k") * PAIR_BYTES); }

static const AttrSpec attrs_top_k[] = {{"axis", ATTR_INT, false, DIMS_NONE}, {"k", ATTR_INT, false, DIMS_NONE}, {0}};

const OpInfo OP_top_k = {
    .name = "top_k", .at = HERE, .kind = KIND_OPAQUE, .min_operands = 1, .max_operands = 1, .result_count = 2, .signature = "T",
    .types = CLASS_ANY, .attrs = attrs_top_k,
    .doc = "The k greatest along axis, the greatest first, and their indices (i32); of equal ones the first, a NaN "
           "before all numbers.",
    .infer = infer_top_k, .grad = grad_top_k, .eval = eval_top_k, .routine = DLRT_ROUTINE_top_k,
    .rows = other_elements, .scratch = top_k_scratch};

/* ---------------------------------------------------------------------------- nms */

static const char *infer_nms(Module *m, Op *op) {
    Type boxes = op->operands[0]->type, scores = op->operands[1]->type;
    int64_t keep = op_int(op, "keep");
    int rank = scores.rank;
    if (rank < 1 || boxes.rank != rank + 1 || !dim_is(boxes.shape[rank], 4) ||
        !shape_equal(rank, scores.shape, rank, boxes.shape))
        return reason(m, "the boxes are %s and the scores %s; there must be 4 numbers for each score",
                      value_text(m, op->operands[0]), value_text(m, op->operands[1]));
    if (scores.shape[rank - 1]->upper > INT32_MAX) return reason(m, "there are more boxes than an i32 index counts");
    if (keep < 1 || keep > INT32_MAX) return reason(m, "keep is %lld, but must be at least 1", (long long)keep);
    Dim shape[MAX_RANK];
    for (int i = 0; i < rank - 1; i++) shape[i] = scores.shape[i];
    shape[rank - 1] = dim_const(&m->dims, keep);
    op->results[0].type = type_make(m, DTYPE_I32, rank, shape);
    op->results[1].type = type_make(m, DTYPE_I32, rank - 1, shape);
    return NULL;
}

/* A side of no length, or that runs backwards, or NaN, makes a box empty. */
static double length(double from, double to) { return to > from ? to - from : 0; }

/* Intersection over union of two boxes x1 y1 x2 y2; 0 if both are empty. */
static double overlap_of(const Number *a, const Number *b) {
    double w = length(a[0].f > b[0].f ? a[0].f : b[0].f, a[2].f < b[2].f ? a[2].f : b[2].f);
    double h = length(a[1].f > b[1].f ? a[1].f : b[1].f, a[3].f < b[3].f ? a[3].f : b[3].f);
    double area_a = length(a[0].f, a[2].f) * length(a[1].f, a[3].f);
    double area_b = length(b[0].f, b[2].f) * length(b[1].f, b[3].f);
    double both = w * h, all = area_a + area_b - both;
    return all > 0 ? both / all : 0;
}

static void eval_nms(EvalContext *e, const Op *op) {
    const Tensor *boxes = eval_operand(e, op, 0), *scores = eval_operand(e, op, 1);
    double most = op_float(op, "iou"), least = op_float(op, "score");
    Tensor *indices = eval_result(e, op, 0), *counts = eval_result(e, op, 1);
    Rows r = rows_of(e, scores, scores->rank - 1);
    int64_t keep = op_int(op, "keep");
    for (int64_t k = 0; k < r.count; k++) {
        const int64_t *places = ordered_row(e, scores, &r, r.starts[k], true);
        Number *kept = indices->at + k * keep;
        int64_t n = 0;
        for (int64_t i = 0; i < r.length && n < keep; i++) {
            int64_t at = r.starts[k] + places[i];
            bool good = scores->at[at].f > least;
            for (int64_t j = 0; j < n && good; j++)
                good = !(overlap_of(boxes->at + 4 * (r.starts[k] + kept[j].i), boxes->at + 4 * at) > most);
            if (good) kept[n++].i = places[i];
        }
        counts->at[k].i = n;
    }
}

static Dim nms_rows(Module *m, const Op *op) {
    Type counts = op->results[1].type;
    return type_elements(&m->dims, counts);
}

static Dim nms_scratch(Module *m, const Op *op) {
    Type scores = op->operands[1]->type;
    Dim pairs = times(m, scores.shape[scores.rank - 1], 2 * PAIR_BYTES);
    return dim_add(&m->dims, pairs, dim_const(&m->dims, op_int(op, "keep") * BOX_BYTES));
}

static const AttrSpec attrs_nms[] = {{"iou", ATTR_FLOAT, false, DIMS_NONE}, {"score", ATTR_FLOAT, false, DIMS_NONE},
                                     {"keep", ATTR_INT, false, DIMS_NONE}, {0}};

const OpInfo OP_nms = {
    .name = "nms", .at = HERE, .kind = KIND_OPAQUE, .min_operands = 2, .max_operands = 2, .result_count = 2, .signature = "T",
    .types = CLASS_FLOAT, .flags = OP_ZERO_GRADIENT, .attrs = attrs_nms,
    .doc = "nms(boxes [..., N, 4], scores [..., N]): indices (i32 [..., keep], 0 behind the last) of boxes x1 y1 x2 y2 "
           "with scores above `score`, the best first, without those whose intersection over union with a better one "
           "kept exceeds `iou`; and their number (i32 [...]).",
    .infer = infer_nms, .eval = eval_nms, .routine = DLRT_ROUTINE_nms, .rows = nms_rows, .scratch = nms_scratch};
