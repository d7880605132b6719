/* dot_general: products summed over contracted dimensions, with StableHLO's dimension numbers. The result's
 * dimensions are batch, then lhs free, then rhs free, each in the order they have there. */
#include "ops/contraction.h"
#include "ops/rules.h"

/* Which dimensions of one operand are what. */
typedef struct Side {
    const int64_t *batch, *contract;
    int batch_count, contract_count, free_count;
    int64_t free[MAX_RANK];
} Side;

static Side side_of(const Op *op, int which) {
    Side s;
    s.batch = op_ints(op, which ? "rhs_batch" : "lhs_batch", &s.batch_count);
    s.contract = op_ints(op, which ? "rhs_contract" : "lhs_contract", &s.contract_count);
    s.free_count = 0;
    for (int i = 0; i < op->operands[which]->type.rank; i++)
        if (!axes_contain(s.batch, s.batch_count, i) && !axes_contain(s.contract, s.contract_count, i))
            s.free[s.free_count++] = i;
    return s;
}

/* A reason, or null if batch and contracted dimensions are distinct and exist. */
static const char *need_distinct(Module *m, const char *name, const Side *s, int rank) {
    bool seen[MAX_RANK] = {false};
    for (int i = 0; i < s->batch_count + s->contract_count; i++) {
        int64_t axis = i < s->batch_count ? s->batch[i] : s->contract[i - s->batch_count];
        const char *why = need_axis(m, "dimension", axis, rank);
        if (why) return reason(m, "%s: %s", name, why);
        if (seen[axis]) return reason(m, "dimension %lld of %s is named twice", (long long)axis, name);
        seen[axis] = true;
    }
    return NULL;
}

static const char *infer_dot(Module *m, Op *op) {
    Value *a = op->operands[0], *b = op->operands[1];
    Side l = side_of(op, 0), r = side_of(op, 1);
    const char *why;
    if (l.batch_count != r.batch_count || l.contract_count != r.contract_count)
        return "lhs and rhs name different numbers of batch or contracted dimensions";
    if ((why = need_distinct(m, "lhs", &l, a->type.rank))) return why;
    if ((why = need_distinct(m, "rhs", &r, b->type.rank))) return why;
    for (int i = 0; i < l.batch_count; i++)
        if ((why = need_equal_dims(m, "lhs", a, (int)l.batch[i], "rhs", b, (int)r.batch[i]))) return why;
    for (int i = 0; i < l.contract_count; i++)
        if ((why = need_equal_dims(m, "lhs", a, (int)l.contract[i], "rhs", b, (int)r.contract[i]))) return why;
    int rank = l.batch_count + l.free_count + r.free_count;
    if (rank > MAX_RANK) return reason(m, "the result has %d dimensions, more than %d", rank, MAX_RANK);
    Dim shape[MAX_RANK];
    int n = 0;
    for (int i = 0; i < l.batch_count; i++) shape[n++] = a->type.shape[l.batch[i]];
    for (int i = 0; i < l.free_count; i++) shape[n++] = a->type.shape[l.free[i]];
    for (int i = 0; i < r.free_count; i++) shape[n++] = b->type.shape[r.free[i]];
    set_result(m, op, a->type.dtype, n, shape);
    return NULL;
}

/* -------------------------------------------------------------------- evaluation */

/* Sum over k of a[ka[k]] * b[kb[k]]. */
static Number dot(DType t, const Number *a, const int64_t *ka, const Number *b, const int64_t *kb, int64_t n) {
    Number sum = {.i = 0};
    if (dtype_is_float(t)) {
        sum.f = 0;
        for (int64_t k = 0; k < n; k++) sum.f += a[ka[k]].f * b[kb[k]].f;
    } else {
        for (int64_t k = 0; k < n; k++) {
            int64_t product = map_eval_int(MAP_multiply, t, (int64_t[]){a[ka[k]].i, b[kb[k]].i});
            sum.i = map_eval_int(MAP_add, t, (int64_t[]){sum.i, product});
        }
    }
    return sum;
}

static void eval_dot(EvalContext *e, const Op *op) {
    const Tensor *a = eval_operand(e, op, 0), *b = eval_operand(e, op, 1);
    Tensor *r = eval_result(e, op, 0);
    Side sa = side_of(op, 0), sb = side_of(op, 1);
    int64_t batches, rows, columns, depth;
    const int64_t *batch_a = eval_axis_offsets(e, a, sa.batch, sa.batch_count, &batches);
    const int64_t *batch_b = eval_axis_offsets(e, b, sb.batch, sb.batch_count, &batches);
    const int64_t *free_a = eval_axis_offsets(e, a, sa.free, sa.free_count, &rows);
    const int64_t *free_b = eval_axis_offsets(e, b, sb.free, sb.free_count, &columns);
    const int64_t *deep_a = eval_axis_offsets(e, a, sa.contract, sa.contract_count, &depth);
    const int64_t *deep_b = eval_axis_offsets(e, b, sb.contract, sb.contract_count, &depth);
    Number *to = r->at;
    for (int64_t i = 0; i < batches; i++)
        for (int64_t j = 0; j < rows; j++)
            for (int64_t k = 0; k < columns; k++)
                *to++ = dot(r->dtype, a->at + batch_a[i] + free_a[j], deep_a, b->at + batch_b[i] + free_b[k], deep_b,
                            depth);
}

/* --------------------------------------------------------------------- gradients */

/* The gradient of one side: the result's gradient contracted with the other side over the latter's free
 * dimensions. That gives batch, own free, contracted in the other's order; transposed into place. */
static Value *grad_side(Builder *b, const Op *op, int which, Value *g) {
    Side own = side_of(op, which), other = side_of(op, !which);
    Value *y = op->operands[!which];
    int64_t g_batch[MAX_RANK], g_contract[MAX_RANK], permutation[MAX_RANK], contract_order[MAX_RANK];
    int n_batch = own.batch_count, first = n_batch + (which ? 0 : own.free_count);
    for (int i = 0; i < n_batch; i++) g_batch[i] = i;
    for (int i = 0; i < other.free_count; i++) g_contract[i] = first + i;
    Value *d = build_dot_general(b, g, y, g_batch, other.batch, n_batch, g_contract, other.free, other.free_count);
    /* The other's contracted dimensions come in its own dimension order. */
    int n = 0;
    for (int axis = 0; axis < y->type.rank; axis++)
        for (int i = 0; i < other.contract_count; i++)
            if (other.contract[i] == axis) contract_order[n++] = own.contract[i];
    for (int i = 0; i < n_batch; i++) permutation[own.batch[i]] = i;
    for (int i = 0; i < own.free_count; i++) permutation[own.free[i]] = n_batch + i;
    for (int i = 0; i < n; i++) permutation[contract_order[i]] = n_batch + own.free_count + i;
    return build_transpose(b, d, permutation);
}

static void grad_dot(GradContext *g, const Op *op, Value *const *dy, Value **dx) {
    for (int i = 0; i < 2; i++)
        if (g->wants[i]) dx[i] = grad_side(g->b, op, i, dy[0]);
}

/* -------------------------------------------------------------------- as a contraction */

/* The axes of the result in order, then those of the sum. */
static bool contract_dot(const Op *op, Contraction *c) {
    Side side[2] = {side_of(op, 0), side_of(op, 1)};
    int batch = side[0].batch_count, free = batch + side[0].free_count, rank = op->results[0].type.rank;
    Dim one = dim_const(c->dims, 1);
    c->axes = 0;
    for (int d = 0; d < rank; d++)
        contraction_axis(c, d < batch ? PART_BATCH : d < free ? PART_LHS : PART_RHS, op->results[0].type.shape[d]);
    for (int i = 0; i < side[0].contract_count; i++)
        contraction_axis(c, PART_SUM, op->operands[0]->type.shape[side[0].contract[i]]);
    c->result = contraction_point(c, rank);
    for (int d = 0; d < rank; d++) contraction_put(c, &c->result, d, d, one);
    for (int which = 0; which < 2; which++) {
        const Side *s = &side[which];
        IndexPoint *p = which ? &c->rhs : &c->lhs;
        *p = contraction_point(c, op->operands[which]->type.rank);
        for (int i = 0; i < batch; i++) contraction_put(c, p, s->batch[i], i, one);
        for (int i = 0; i < s->free_count; i++) contraction_put(c, p, s->free[i], (which ? free : batch) + i, one);
        for (int i = 0; i < s->contract_count; i++) contraction_put(c, p, s->contract[i], rank + i, one);
    }
    return true;
}

static const AttrSpec attrs_dot[] = {{"lhs_batch", ATTR_INTS, false, DIMS_NONE}, {"rhs_batch", ATTR_INTS, false, DIMS_NONE},
                                     {"lhs_contract", ATTR_INTS, false, DIMS_NONE}, {"rhs_contract", ATTR_INTS, false, DIMS_NONE}, {0}};

const OpInfo OP_dot_general = {
    .name = "dot_general", .at = HERE, .kind = KIND_CONTRACT, .min_operands = 2, .max_operands = 2, .result_count = 1,
    .signature = "T", .types = CLASS_NUMBER, .attrs = attrs_dot,
    .doc = "Products of lhs and rhs summed over the contracted dimensions; result: batch, lhs free, rhs free.",
    .infer = infer_dot, .grad = grad_dot, .eval = eval_dot, .contract = contract_dot};
