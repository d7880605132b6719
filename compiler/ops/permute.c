/* Reordering dims: see permute.h. */
#include "ops/permute.h"

bool is_identity(const int64_t *permutation, int rank) {
    for (int i = 0; i < rank; i++)
        if (permutation[i] != i) return false;
    return true;
}

void inverse_permutation(const int64_t *permutation, int rank, int64_t *back) {
    for (int i = 0; i < rank; i++) back[permutation[i]] = i;
}

/* A list with an entry for each number of a dim, sorted as these are: place i takes what was at from[i]. */
static Attr reordered(Module *m, const Attr *a, const int64_t *from) {
    Attr r = *a;
    int64_t *ints = arena_array(m->arena, int64_t, a->n + 1);
    Dim *dims = arena_array(m->arena, Dim, a->n + 1);
    for (int i = 0; i < a->n; i++) {
        if (a->kind == ATTR_INTS) ints[i] = a->ints[from[i]];
        else dims[i] = a->dims[from[i]];
    }
    if (a->kind == ATTR_INTS) r.ints = ints;
    else r.dims = dims;
    return r;
}

/* from[i]: which entry of the list `axes` is the i-th smallest once they are renumbered. */
static void sort_places(const Attr *axes, const int64_t *back, int64_t *from) {
    for (int i = 0; i < axes->n; i++) {
        int at = i;
        while (at > 0 && back[axes->ints[from[at - 1]]] > back[axes->ints[i]]) {
            from[at] = from[at - 1];
            at--;
        }
        from[at] = i;
    }
}

static Attr renumbered(Module *m, Attr sorted, const int64_t *back) {
    int64_t *ints = arena_array(m->arena, int64_t, sorted.n + 1);
    for (int i = 0; i < sorted.n; i++) ints[i] = back[sorted.ints[i]];
    sorted.ints = ints;
    return sorted;
}

static AttrDims dims_of(const Op *op, const Attr *a) {
    const AttrSpec *spec = op->info->attrs;
    while (spec && spec->key && strcmp(spec->key, a->key)) spec++;
    return spec && spec->key ? spec->dims : DIMS_NONE;
}

static const Attr *numbers_of_dims(const Op *op) {
    for (int i = 0; i < op->attr_count; i++)
        if (dims_of(op, &op->attrs[i]) == DIMS_AXES) return &op->attrs[i];
    return NULL;
}

static Attr permuted_attr(Module *m, const Op *op, const Attr *a, const int64_t *permutation, const int64_t *back) {
    int64_t from[MAX_RANK] = {0};
    const Attr *axes = numbers_of_dims(op);
    if (axes) sort_places(axes, back, from);
    switch (dims_of(op, a)) {
    case DIMS_AXIS: return attr_int(m, a->key, back[a->i]);
    case DIMS_AXES: return renumbered(m, reordered(m, a, from), back);
    case DIMS_ALONG: return reordered(m, a, from);
    case DIMS_EACH: return reordered(m, a, permutation);
    default: return *a;
    }
}

/* The dims that a reduction leaves, as they were numbered before and now. */
static void kept_permutation(const Op *op, const int64_t *permutation, int64_t *result) {
    int rank = op->operands[0]->type.rank, n = 0, place[MAX_RANK] = {0};
    const Attr *list = numbers_of_dims(op);
    bool gone[MAX_RANK] = {false};
    for (int i = 0; list && i < list->n; i++) gone[list->ints[i]] = true;
    if (!list) gone[op_int(op, "axis")] = true;
    for (int d = 0; d < rank; d++)
        if (!gone[d]) place[d] = n++;
    n = 0;
    for (int i = 0; i < rank; i++)
        if (!gone[permutation[i]]) result[n++] = place[permutation[i]];
}

/* A repetition: the operand's dims take each other's places among the result's, the new ones stay. */
static Value *permuted_repeat(Builder *b, const Op *op, Value *x, const int64_t *permutation, int64_t *result) {
    int n, rank = op->results[0].type.rank;
    const int64_t *axes = op_ints(op, "axes", &n);
    const Dim *shape = op_dims(op, "shape", NULL);
    Dim to[MAX_RANK];
    for (int d = 0; d < rank; d++) result[d] = d;
    for (int i = 0; i < n; i++) result[axes[i]] = axes[permutation[i]];
    for (int d = 0; d < rank; d++) to[d] = shape[result[d]];
    return build_broadcast_in_dim(b, x, rank, to, axes);
}

static bool lists_elements(const Op *op) {
    for (int i = 0; i < op->attr_count; i++)
        if (op->attrs[i].kind == ATTR_FLOATS) return true;
    return false;
}

Value *op_permuted(Builder *b, const Op *op, Value *const *operands, const int64_t *permutation,
                   int64_t *result_permutation) {
    const OpInfo *info = op->info;
    if (info->flags & OP_REPEATS) return permuted_repeat(b, op, operands[0], permutation, result_permutation);
    bool known = info->kind == KIND_MAP || info->kind == KIND_REDUCE || info->kind == KIND_CUMULATE;
    if ((!known && !(info->flags & OP_ANY_ORDER)) || lists_elements(op) || op->result_count != 1) return NULL;
    int rank = op->operand_count ? op->operands[0]->type.rank : op->results[0].type.rank;
    int64_t back[MAX_RANK] = {0};
    inverse_permutation(permutation, rank, back);
    Attr *attrs = arena_array(b->module->arena, Attr, op->attr_count + 1);
    for (int i = 0; i < op->attr_count; i++) attrs[i] = permuted_attr(b->module, op, &op->attrs[i], permutation, back);
    if (info->kind == KIND_REDUCE) kept_permutation(op, permutation, result_permutation);
    else memcpy(result_permutation, permutation, sizeof *permutation * (size_t)rank);
    return build_op(b, info, operands, op->operand_count, attrs, op->attr_count);
}
