/* Rules for index maps, reductions and contractions. */
#include "pass/simplify.h"

/* ------------------------------------------------------------------------ nothing moves */

static bool pads_nothing(const Op *op) {
    int n;
    const Dim *low = op_dims(op, "low", &n), *high = op_dims(op, "high", &n);
    const int64_t *interior = op_ints(op, "interior", &n);
    for (int i = 0; i < n; i++)
        if (!dim_is(low[i], 0) || !dim_is(high[i], 0) || interior[i]) return false;
    return true;
}

static bool permutes_nothing(const Op *op) {
    int n;
    const int64_t *permutation = op_ints(op, "permutation", &n);
    for (int i = 0; i < n; i++)
        if (permutation[i] != i) return false;
    return true;
}

static bool reverses_nothing(const Op *op) {
    int n;
    const int64_t *axes = op_ints(op, "axes", &n);
    for (int i = 0; i < n; i++)
        if (!dim_is(op->results[0].type.shape[axes[i]], 1)) return false;
    return true;
}

/* A reshape, broadcast or slice to the same shape is one that does nothing. */
Value *rule_move_nothing(Builder *b, Op *op) {
    (void)b;
    Value *x = op->operands[0];
    if (!type_equal(x->type, op->results[0].type)) return NULL;
    bool nothing = op->info == &OP_reshape || op->info == &OP_broadcast_in_dim || op->info == &OP_slice ||
                   (op->info == &OP_concatenate && op->operand_count == 1) ||
                   (op->info == &OP_pad && pads_nothing(op)) || (op->info == &OP_transpose && permutes_nothing(op)) ||
                   (op->info == &OP_reverse && reverses_nothing(op));
    return nothing ? x : NULL;
}

/* -------------------------------------------------------------- reshapes and transposes */

static Value *reshape_to_result(Builder *b, Value *x, const Op *op) {
    return build_reshape(b, x, op->results[0].type.rank, op->results[0].type.shape);
}

Value *rule_reshape_reshape(Builder *b, Op *op) {
    Value *x = op->operands[0];
    return value_is(x, &OP_reshape) ? reshape_to_result(b, x->op->operands[0], op) : NULL;
}

Value *rule_transpose_transpose(Builder *b, Op *op) {
    Value *x = op->operands[0];
    if (!value_is(x, &OP_transpose)) return NULL;
    int n;
    const int64_t *outer = op_ints(op, "permutation", &n), *inner = op_ints(x->op, "permutation", &n);
    int64_t permutation[MAX_RANK];
    for (int i = 0; i < n; i++) permutation[i] = inner[outer[i]];
    return build_transpose(b, x->op->operands[0], permutation);
}

Value *rule_transpose_units(Builder *b, Op *op) {
    int n;
    const int64_t *permutation = op_ints(op, "permutation", &n);
    int64_t last = -1;
    for (int i = 0; i < n; i++) {
        if (dim_is(op->results[0].type.shape[i], 1)) continue;
        if (permutation[i] < last) return NULL;
        last = permutation[i];
    }
    return reshape_to_result(b, op->operands[0], op);
}

/* ----------------------------------------------------------------------- broadcasts */

Value *rule_broadcast_broadcast(Builder *b, Op *op) {
    Value *x = op->operands[0];
    if (!value_is(x, &OP_broadcast_in_dim)) return NULL;
    int n;
    const int64_t *outer = op_ints(op, "axes", &n), *inner = op_ints(x->op, "axes", &n);
    int64_t axes[MAX_RANK];
    for (int i = 0; i < n; i++) axes[i] = outer[inner[i]];
    Type type = op->results[0].type;
    return build_broadcast_in_dim(b, x->op->operands[0], type.rank, type.shape, axes);
}

Value *rule_broadcast_units(Builder *b, Op *op) {
    Type from = op->operands[0]->type, to = op->results[0].type;
    int n;
    const int64_t *axes = op_ints(op, "axes", &n);
    bool taken[MAX_RANK] = {false};
    for (int i = 0; i < n; i++) taken[axes[i]] = from.shape[i] == to.shape[axes[i]];
    for (int j = 0; j < to.rank; j++)
        if (!taken[j] && !dim_is(to.shape[j], 1)) return NULL;
    return reshape_to_result(b, op->operands[0], op);
}

/* Where each of x's dims has gone in y, which is x with dims of extent 1 added; false if it is not. */
static bool find_added_units(Type x, Type y, int64_t *place) {
    int found = 0;
    for (int j = 0; j < y.rank; j++) {
        if (found < x.rank && x.shape[found] == y.shape[j]) place[found++] = j;
        else if (!dim_is(y.shape[j], 1)) return false;
    }
    return found == x.rank;
}

Value *rule_broadcast_reshape(Builder *b, Op *op) {
    Value *y = op->operands[0];
    int64_t place[MAX_RANK], axes[MAX_RANK];
    if (!value_is(y, &OP_reshape)) return NULL;
    Value *x = y->op->operands[0];
    if (!find_added_units(x->type, y->type, place)) return NULL;
    int n;
    const int64_t *outer = op_ints(op, "axes", &n);
    for (int i = 0; i < x->type.rank; i++) axes[i] = outer[place[i]];
    Type type = op->results[0].type;
    return build_broadcast_in_dim(b, x, type.rank, type.shape, axes);
}

/* ----------------------------------------------------------------------------- gaps */

/* v under the index map of `place`, elementwise work after it: in gaps it is no number in particular. */
static Value *placed(Builder *b, const Op *place, Value *v, int depth) {
    bool map = v->op && v->op->info->kind == KIND_MAP && depth > 0;
    if (!map || (!v->op->operand_count && !op_attr(v->op, "value")))
        return build_op(b, place->info, &v, 1, place->attrs, place->attr_count);
    Type t = {v->type.dtype, place->results[0].type.rank, place->results[0].type.shape};
    double value;
    if (value_is_splat(v, &value)) return build_constant(b, t, value);
    Value *operands[3] = {NULL};
    for (int i = 0; i < v->op->operand_count; i++) operands[i] = placed(b, place, v->op->operands[i], depth - 1);
    return build_op(b, v->op->info, operands, v->op->operand_count, v->op->attrs, v->op->attr_count);
}

/* What a window of pooling passes back to one of its places, say: then it is not stored for all windows. */
Value *rule_gaps_select(Builder *b, Op *op) {
    enum { DEEPEST = 6 };
    Value *v = op->operands[0];
    if (!value_is_map(v, MAP_select) || op->operand_count != 1 || !value_is_all(v->op->operands[2], 0)) return NULL;
    Value *c = placed(b, op, v->op->operands[0], DEEPEST), *x = placed(b, op, v->op->operands[1], 0);
    return c && x ? build_map3(b, MAP_select, c, x, build_constant(b, op->results[0].type, 0)) : NULL;
}

/* --------------------------------------------------------------------------- slices */

static Value *slice_again(Builder *b, const Op *op, Value *x, const Dim *start, const Dim *limit,
                          const int64_t *strides) {
    Module *m = b->module;
    int n = x->type.rank;
    Attr attrs[] = {attr_dims(m, "start", start, n), attr_dims(m, "limit", limit, n),
                    attr_ints(m, "strides", strides, n)};
    return try_op(b, &OP_slice, &x, 1, attrs, 3, op->results[0].type);
}

/* Element i of the outer is element start + stride * i of the inner, which is x's start' + stride' * that. */
Value *rule_slice_slice(Builder *b, Op *op) {
    Value *y = op->operands[0];
    if (!value_is(y, &OP_slice)) return NULL;
    DimTable *t = &b->module->dims;
    int n;
    const Dim *start = op_dims(op, "start", &n), *limit = op_dims(op, "limit", &n);
    const Dim *base = op_dims(y->op, "start", &n);
    const int64_t *strides = op_ints(op, "strides", &n), *steps = op_ints(y->op, "strides", &n);
    Dim from[MAX_RANK], to[MAX_RANK], one = dim_const(t, 1);
    int64_t stride[MAX_RANK];
    for (int i = 0; i < n; i++) {
        Dim step = dim_const(t, steps[i]);
        from[i] = dim_add(t, base[i], dim_mul(t, start[i], step));
        to[i] = dim_add(t, base[i], dim_add(t, dim_mul(t, dim_sub(t, limit[i], one), step), one));
        if (__builtin_mul_overflow(strides[i], steps[i], &stride[i])) return NULL;
    }
    return slice_again(b, op, y->op->operands[0], from, to, stride);
}

Value *rule_slice_concatenate(Builder *b, Op *op) {
    Value *y = op->operands[0];
    if (!value_is(y, &OP_concatenate)) return NULL;
    DimTable *t = &b->module->dims;
    int n;
    int64_t axis = op_int(y->op, "axis");
    const Dim *start = op_dims(op, "start", &n), *limit = op_dims(op, "limit", &n);
    Dim from[MAX_RANK], to[MAX_RANK], before = dim_const(t, 0);
    for (int i = 0; i < n; i++) {
        from[i] = start[i];
        to[i] = limit[i];
    }
    for (int k = 0; k < y->op->operand_count; k++) {
        Value *part = y->op->operands[k];
        Dim after = dim_add(t, before, part->type.shape[axis]);
        from[axis] = dim_sub(t, start[axis], before);
        to[axis] = dim_sub(t, limit[axis], before);
        if (dim_sub(t, after, limit[axis])->lower >= 0)
            return slice_again(b, op, part, from, to, op_ints(op, "strides", &n));
        before = after;
    }
    return NULL;
}

Value *rule_reverse_reverse(Builder *b, Op *op) {
    (void)b;
    Value *x = op->operands[0];
    if (!value_is(x, &OP_reverse) || !attr_equal(op_attr(op, "axes"), op_attr(x->op, "axes"))) return NULL;
    return x->op->operands[0];
}

/* ------------------------------------------------------------------------ reductions */

Value *rule_reduce_units(Builder *b, Op *op) {
    const Dim *shape = op->operands[0]->type.shape;
    if (op->info->flags & OP_ARG_REDUCTION)
        return dim_is(shape[op_int(op, "axis")], 1) ? build_constant(b, op->results[0].type, 0) : NULL;
    int n;
    const int64_t *axes = op_ints(op, "axes", &n);
    for (int i = 0; i < n; i++)
        if (!dim_is(shape[axes[i]], 1)) return NULL;
    return reshape_to_result(b, op->operands[0], op);
}

/* Many terms for each of a few results are better added up in two steps, so that there is work for several threads. */
static bool is_better_apart(Builder *b, const Op *first, const Op *then) {
    enum { FEW = 4096, MANY = 512 };
    DimTable *dims = &b->module->dims;
    double results = (double)type_elements(dims, then->results[0].type)->upper,
           between = (double)type_elements(dims, first->results[0].type)->upper,
           all = (double)type_elements(dims, first->operands[0]->type)->upper;
    return results < FEW && between > results && all >= MANY * results;
}

Value *rule_reduce_reduce(Builder *b, Op *op) {
    Value *y = op->operands[0];
    if (!value_is(y, op->info) || (op->info->flags & OP_ARG_REDUCTION)) return NULL;
    if (op->info->map == MAP_multiply && dtype_is_float(y->type.dtype)) return NULL;
    Value *x = y->op->operands[0];
    if (is_better_apart(b, y->op, op)) return NULL;
    int outer_count, inner_count, n = 0, outer_at = 0;
    const int64_t *outer = op_ints(op, "axes", &outer_count), *inner = op_ints(y->op, "axes", &inner_count);
    int64_t axes[MAX_RANK];
    for (int axis = 0, own = 0, kept = 0; axis < x->type.rank; axis++) {
        bool inside = own < inner_count && inner[own] == axis;
        bool outside = !inside && outer_at < outer_count && outer[outer_at] == kept;
        own += inside;
        outer_at += outside;
        kept += !inside;
        if (inside || outside) axes[n++] = axis;
    }
    return build_reduce(b, op->info, x, axes, n);
}

/* ---------------------------------------------------------------------- contractions */

/* A dot_general's dimension numbers, to be changed. */
typedef struct Dot {
    Value *side[2];
    int64_t batch[2][MAX_RANK], contract[2][MAX_RANK];
    int batch_count, contract_count;
} Dot;

static Dot dot_of(const Op *op) {
    static const char *const keys[2][2] = {{"lhs_batch", "lhs_contract"}, {"rhs_batch", "rhs_contract"}};
    Dot d;
    for (int s = 0; s < 2; s++) {
        d.side[s] = op->operands[s];
        const int64_t *batch = op_ints(op, keys[s][0], &d.batch_count);
        const int64_t *contract = op_ints(op, keys[s][1], &d.contract_count);
        for (int i = 0; i < d.batch_count; i++) d.batch[s][i] = batch[i];
        for (int i = 0; i < d.contract_count; i++) d.contract[s][i] = contract[i];
    }
    return d;
}

static Value *dot_build(Builder *b, const Dot *d, int lhs) {
    return build_dot_general(b, d->side[lhs], d->side[!lhs], d->batch[lhs], d->batch[!lhs], d->batch_count,
                             d->contract[lhs], d->contract[!lhs], d->contract_count);
}

static bool dot_is_free(const Dot *d, int s, int64_t axis) {
    for (int i = 0; i < d->batch_count; i++)
        if (d->batch[s][i] == axis) return false;
    for (int i = 0; i < d->contract_count; i++)
        if (d->contract[s][i] == axis) return false;
    return true;
}

/* Reads side s through its transpose, if that leaves its free dims in order. */
static bool dot_untranspose(Dot *d, int s) {
    if (!value_is(d->side[s], &OP_transpose)) return false;
    int n;
    const int64_t *permutation = op_ints(d->side[s]->op, "permutation", &n);
    int64_t last = -1;
    for (int i = 0; i < n; i++) {
        if (!dot_is_free(d, s, i)) continue;
        if (permutation[i] < last) return false;
        last = permutation[i];
    }
    for (int i = 0; i < d->batch_count; i++) d->batch[s][i] = permutation[d->batch[s][i]];
    for (int i = 0; i < d->contract_count; i++) d->contract[s][i] = permutation[d->contract[s][i]];
    d->side[s] = d->side[s]->op->operands[0];
    return true;
}

Value *rule_dot_transpose(Builder *b, Op *op) {
    Dot d = dot_of(op);
    bool lhs = dot_untranspose(&d, 0), rhs = dot_untranspose(&d, 1);
    return lhs || rhs ? dot_build(b, &d, 0) : NULL;
}

Value *rule_transpose_dot(Builder *b, Op *op) {
    Value *y = op->operands[0];
    if (!value_is(y, &OP_dot_general)) return NULL;
    Dot d = dot_of(y->op);
    int taken = d.batch_count + d.contract_count, n;
    int lhs_free = d.side[0]->type.rank - taken, rhs_free = d.side[1]->type.rank - taken;
    const int64_t *permutation = op_ints(op, "permutation", &n);
    for (int i = 0; i < n; i++) {
        int at = i - d.batch_count;
        int wanted = at < 0 ? i : at < rhs_free ? i + lhs_free : i - rhs_free;
        if (permutation[i] != wanted) return NULL;
    }
    return dot_build(b, &d, 1);
}
