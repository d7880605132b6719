/* scan: a body run once for each position along an axis, carrying values from step to step and stacking others.
 *
 * How operands, parameters, yields and results go together stands in region.h. The length may be 0: the carries are
 * what they began as, and the stacked results are empty. With reverse the positions run from the last to the first;
 * slices and stacked results lie where the index says, either way. */
#include "ops/region.h"
#include "ops/rules.h"

ScanForm scan_form(const Op *scan) {
    ScanForm f = {.consts = (int)op_int(scan, "consts"), .carries = (int)op_int(scan, "carries")};
    f.axes = op_ints(scan, "axes", &f.xs);
    f.result_axes = op_ints(scan, "result_axes", &f.ys);
    f.length = op_dims(scan, "length", NULL)[0];
    f.reverse = op_int(scan, "reverse");
    return f;
}

/* --------------------------------------------------------------------------- shape rule */

static const char *check_counts(Module *m, const Op *op) {
    const Region *body = op->regions[0];
    int lengths;
    op_dims(op, "length", &lengths);
    if (lengths != 1) return reason(m, "length has %d entries, but must have one", lengths);
    if (op_int(op, "reverse") < 0 || op_int(op, "reverse") > 1)
        return reason(m, "reverse is %lld, but must be 0 or 1", (long long)op_int(op, "reverse"));
    int64_t consts = op_int(op, "consts"), carries = op_int(op, "carries");
    int xs, ys;
    op_ints(op, "axes", &xs);
    op_ints(op, "result_axes", &ys);
    bool counted = consts >= 0 && carries >= 0 && consts <= op->operand_count && carries <= op->operand_count;
    if (!counted || consts + carries + xs != op->operand_count)
        return reason(m, "%lld consts, %lld carries and %d axes do not make %d operands", (long long)consts,
                      (long long)carries, xs, op->operand_count);
    if (body->params.n != op->operand_count + 1)
        return reason(m, "the body has %d parameters; it needs one for each operand and one for the index, %d",
                      body->params.n, op->operand_count + 1);
    if (carries + ys != body->yields.n)
        return reason(m, "the body yields %d values, but %lld carries and %d result axes make %lld", body->yields.n,
                      (long long)carries, ys, (long long)carries + ys);
    if (op->result_count != body->yields.n)
        return reason(m, "the body yields %d values, but there are %d results", body->yields.n, op->result_count);
    return NULL;
}

/* x without the axis that is cut. */
static Type slice_type(Module *m, Type x, int64_t axis) {
    Dim shape[MAX_RANK];
    for (int i = 0; i < x.rank - 1; i++) shape[i] = x.shape[i + (i >= axis)];
    return type_make(m, x.dtype, x.rank - 1, shape);
}

static const char *check_slices(Module *m, const Op *op, const ScanForm *f) {
    for (int i = 0; i < f->xs; i++) {
        const Value *x = op->operands[f->consts + f->carries + i], *p;
        const char *why = need_axis(m, "axis", f->axes[i], x->type.rank);
        if (why) return why;
        Dim extent = x->type.shape[f->axes[i]];
        if (extent != f->length)
            return reason(m, "dimension %lld of %s is %s, but the length is %s", (long long)f->axes[i],
                          value_text(m, x), dim_text(m, extent), dim_text(m, f->length));
        Type slice = slice_type(m, x->type, f->axes[i]);
        p = op->regions[0]->params.at[f->consts + f->carries + i];
        if (!type_equal(p->type, slice))
            return reason(m, "parameter %d of the body is %s, but a slice of %s is %s", f->consts + f->carries + i,
                          value_text(m, p), value_text(m, x), type_text(&m->dims, slice, m->arena));
    }
    return NULL;
}

static const char *check_carries(Module *m, const Op *op, const ScanForm *f) {
    const Region *body = op->regions[0];
    for (int i = 0; i < f->carries; i++) {
        const Value *p = body->params.at[f->consts + i];
        if (!type_equal(p->type, body->yields.at[i]->type))
            return reason(m, "carry %d%s%s begins a step as %s, but ends it as %s", i, p->name ? " " : "",
                          p->name ? p->name : "", value_text(m, p), value_text(m, body->yields.at[i]));
    }
    return NULL;
}

static const char *set_stacked(Module *m, Op *op, const ScanForm *f, int i) {
    Type y = op->regions[0]->yields.at[f->carries + i]->type;
    int64_t axis = f->result_axes[i];
    if (axis < 0 || axis > y.rank)
        return reason(m, "result axis %lld does not exist: a stack of %s has %d dimensions", (long long)axis,
                      type_text(&m->dims, y, m->arena), y.rank + 1);
    Dim shape[MAX_RANK + 1];
    for (int d = 0; d <= y.rank; d++) shape[d] = d == axis ? f->length : y.shape[d - (d > axis)];
    op->results[f->carries + i].type = type_make(m, y.dtype, y.rank + 1, shape);
    return NULL;
}

static const char *infer_scan(Module *m, Op *op) {
    const char *why = check_counts(m, op);
    if (why) return why;
    ScanForm f = scan_form(op);
    const Region *body = op->regions[0];
    if (f.length->upper < 0) return reason(m, "the length %s is negative", dim_text(m, f.length));
    const Value *index = body->params.at[body->params.n - 1];
    if (index->type.rank || index->type.dtype != DTYPE_I64)
        return reason(m, "the last parameter is the index, an i64 scalar, not %s", value_text(m, index));
    if ((why = need_params(m, "body", body, 0, op->operands, f.consts + f.carries))) return why;
    if ((why = check_slices(m, op, &f)) || (why = check_carries(m, op, &f))) return why;
    if ((why = need_free_dims(m, body))) return why;
    for (int i = 0; i < f.carries; i++) op->results[i].type = body->yields.at[i]->type;
    for (int i = 0; i < f.ys && !why; i++) why = set_stacked(m, op, &f, i);
    return why;
}

/* --------------------------------------------------------------------------- evaluation */

/* Moves elements between a stack and its part at `at` along axis, to the stack if `put`. */
static void move_part(const Tensor *stack, int64_t axis, int64_t at, const Tensor *part, bool put) {
    int64_t inner = 1, outer = 1;
    for (int d = 0; d < axis; d++) outer *= stack->shape[d];
    for (int d = (int)axis + 1; d < stack->rank; d++) inner *= stack->shape[d];
    for (int64_t o = 0; o < outer; o++)
        for (int64_t i = 0; i < inner; i++) {
            Number *whole = &stack->at[(o * stack->shape[axis] + at) * inner + i], *one = &part->at[o * inner + i];
            if (put) *whole = *one;
            else *one = *whole;
        }
}

static Tensor *slice_at(EvalContext *e, const Tensor *x, int64_t axis, int64_t at) {
    int64_t shape[MAX_RANK];
    for (int i = 0; i < x->rank - 1; i++) shape[i] = x->shape[i + (i >= axis)];
    Tensor *slice = tensor_new(e->arena, x->dtype, x->rank - 1, shape);
    move_part(x, axis, at, slice, false);
    return slice;
}

static void eval_step(EvalContext *e, const Op *op, const ScanForm *f, Tensor **carries, Tensor **stacks, int64_t at) {
    const Region *body = op->regions[0];
    Value *const *params = body->params.at;
    for (int i = 0; i < f->carries; i++) e->values[params[f->consts + i]->id] = carries[i];
    for (int i = 0; i < f->xs; i++) {
        int k = f->consts + f->carries + i;
        e->values[params[k]->id] = slice_at(e, eval_operand(e, op, k), f->axes[i], at);
    }
    Tensor *index = tensor_new(e->arena, DTYPE_I64, 0, NULL);
    index->at[0].i = at;
    e->values[params[body->params.n - 1]->id] = index;
    eval_region(e, body);
    if (e->error) return;
    for (int i = 0; i < f->carries; i++) carries[i] = e->values[body->yields.at[i]->id];
    for (int i = 0; i < f->ys; i++)
        move_part(stacks[i], f->result_axes[i], at, e->values[body->yields.at[f->carries + i]->id], true);
}

static void eval_scan(EvalContext *e, const Op *op) {
    ScanForm f = scan_form(op);
    int64_t length = eval_dim(e, f.length);
    if (length < 0) eval_fail(e, "the length of a scan is %lld", (long long)length);
    Tensor **carries = arena_array(e->arena, Tensor *, f.carries), **stacks = arena_array(e->arena, Tensor *, f.ys);
    for (int i = 0; i < f.consts; i++)
        e->values[op->regions[0]->params.at[i]->id] = e->values[op->operands[i]->id];
    for (int i = 0; i < f.carries; i++) carries[i] = e->values[op->operands[f.consts + i]->id];
    for (int i = 0; i < f.ys && !e->error; i++) stacks[i] = eval_result(e, op, f.carries + i);
    for (int64_t step = 0; step < length && !e->error; step++)
        eval_step(e, op, &f, carries, stacks, f.reverse ? length - 1 - step : step);
    for (int i = 0; i < f.carries; i++) e->values[op->results[i].id] = carries[i];
}

/* --------------------------------------------------------------------------- dependence */

Dependence *scan_dependence(Module *m, const Op *op, const Dependence *operands) {
    const Region *body = op->regions[0];
    ScanForm f = scan_form(op);
    Dependence *params = arena_array(m->arena, Dependence, body->params.n);
    Dependence *yields = arena_array(m->arena, Dependence, body->yields.n);
    for (int i = 0; i < op->operand_count; i++) params[i] = operands[i];
    for (bool more = true; more;) {
        more = false;
        region_dependence(m, body, params, yields);
        for (int i = 0; i < f.carries; i++) {
            if (yields[i] <= params[f.consts + i]) continue;
            params[f.consts + i] = yields[i];
            more = true;
        }
    }
    return params;
}

/* A carry may come out as it went in: the length may be 0. */
static void depend_scan(Module *m, const Op *op, const Dependence *operands, Dependence *results) {
    ScanForm f = scan_form(op);
    Dependence *params = scan_dependence(m, op, operands);
    region_dependence(m, op->regions[0], params, results);
    for (int i = 0; i < f.carries; i++) results[i] = params[f.consts + i];
}

/* --------------------------------------------------------------------------------- table */

static const AttrSpec attrs_scan[] = {{"consts", ATTR_INT, false, DIMS_NONE},        {"carries", ATTR_INT, false, DIMS_NONE},
                                      {"axes", ATTR_INTS, false, DIMS_NONE},         {"result_axes", ATTR_INTS, false, DIMS_NONE},
                                      {"length", ATTR_DIMS, false, DIMS_NONE},       {"reverse", ATTR_INT, true, DIMS_NONE}, {0}};

const OpInfo OP_scan = {
    .name = "scan", .at = HERE, .kind = KIND_REGION, .min_operands = 0, .max_operands = -1, .result_count = -1, .region_count = 1,
    .form = FORM_SCAN, .signature = "*", .types = CLASS_ANY, .attrs = attrs_scan,
    .doc = "scan(consts.., inits.., xs..): its body (consts.., carries.., slices.., index) run for each position along "
           "the axes of xs; results: the last carries, and what each step yields beside them, stacked along "
           "result_axes.",
    .infer = infer_scan, .depend = depend_scan, .grad = grad_scan, .eval = eval_scan};
