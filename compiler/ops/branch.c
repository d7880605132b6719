/* Operators whose bodies run as a bool says: while and cond. How operands, parameters, yields and results go together
 * stands in region.h. */
#include "ops/region.h"
#include "ops/rules.h"

static const char *need_bool_scalar(Module *m, const char *what, const Value *v) {
    if (!v->type.rank && v->type.dtype == DTYPE_BOOL) return NULL;
    return reason(m, "%s must be a bool scalar, but is %s", what, value_text(m, v));
}

static const char *need_counts(Module *m, const char *what, const Region *r, int params, int yields) {
    if (r->params.n != params)
        return reason(m, "the %s has %d parameters, but needs %d", what, r->params.n, params);
    if (r->yields.n != yields)
        return reason(m, "the %s yields %d values, but %d are needed", what, r->yields.n, yields);
    return need_free_dims(m, r);
}

static void set_params(EvalContext *e, const Region *r, Tensor *const *values) {
    for (int i = 0; i < r->params.n; i++) e->values[r->params.at[i]->id] = values[i];
}

/* -------------------------------------------------------------------------------- while */

WhileForm while_form(const Op *op) {
    WhileForm f = {.consts = (int)op_int(op, "consts"), .limit = op_attr(op, "limit") ? op_int(op, "limit") : -1};
    f.carries = op->operand_count - f.consts;
    f.condition = op->regions[0];
    f.body = op->regions[1];
    return f;
}

static const char *infer_while(Module *m, Op *op) {
    const char *why;
    int64_t consts = op_int(op, "consts");
    if (consts < 0 || consts > op->operand_count)
        return reason(m, "%lld of %d operands cannot be consts", (long long)consts, op->operand_count);
    WhileForm f = while_form(op);
    if (op_attr(op, "limit") && f.limit < 0) return reason(m, "limit is %lld", (long long)f.limit);
    if (op->result_count != f.carries)
        return reason(m, "there are %d carries, but %d results", f.carries, op->result_count);
    if ((why = need_counts(m, "condition", f.condition, op->operand_count, 1))) return why;
    if ((why = need_counts(m, "body", f.body, op->operand_count, f.carries))) return why;
    if ((why = need_params(m, "condition", f.condition, 0, op->operands, op->operand_count))) return why;
    if ((why = need_params(m, "body", f.body, 0, op->operands, op->operand_count))) return why;
    if ((why = need_bool_scalar(m, "the condition", f.condition->yields.at[0]))) return why;
    for (int i = 0; i < f.carries; i++) {
        const Value *p = f.body->params.at[f.consts + i], *y = f.body->yields.at[i];
        if (!type_equal(p->type, y->type))
            return reason(m, "carry %d%s%s begins a step as %s, but ends it as %s", i, p->name ? " " : "",
                          p->name ? p->name : "", value_text(m, p), value_text(m, y));
        op->results[i].type = p->type;
    }
    return NULL;
}

static void eval_while(EvalContext *e, const Op *op) {
    WhileForm f = while_form(op);
    Tensor **values = arena_array(e->arena, Tensor *, op->operand_count);
    for (int i = 0; i < op->operand_count; i++) values[i] = e->values[op->operands[i]->id];
    for (int64_t step = 0; step != f.limit && !e->error; step++) {
        set_params(e, f.condition, values);
        eval_region(e, f.condition);
        if (e->error || !e->values[f.condition->yields.at[0]->id]->at[0].i) break;
        set_params(e, f.body, values);
        eval_region(e, f.body);
        for (int i = 0; i < f.carries && !e->error; i++) values[f.consts + i] = e->values[f.body->yields.at[i]->id];
    }
    for (int i = 0; i < f.carries; i++) e->values[op->results[i].id] = values[f.consts + i];
}

/* --------------------------------------------------------------------------------- cond */

static const char *infer_cond(Module *m, Op *op) {
    static const char *const names[] = {"first branch", "second branch"};
    const char *why = need_bool_scalar(m, "the condition", op->operands[0]);
    for (int i = 0; i < 2 && !why; i++) {
        const Region *r = op->regions[i];
        why = need_counts(m, names[i], r, op->operand_count - 1, op->result_count);
        if (!why) why = need_params(m, names[i], r, 0, op->operands + 1, op->operand_count - 1);
    }
    for (int i = 0; i < op->result_count && !why; i++) {
        const Value *x = op->regions[0]->yields.at[i], *y = op->regions[1]->yields.at[i];
        op->results[i].type = x->type;
        if (!type_equal(x->type, y->type))
            why = reason(m, "the branches differ in result %d: %s and %s", i, value_text(m, x), value_text(m, y));
    }
    return why;
}

static void eval_cond(EvalContext *e, const Op *op) {
    const Region *r = op->regions[eval_operand(e, op, 0)->at[0].i ? 0 : 1];
    for (int i = 0; i < r->params.n; i++) e->values[r->params.at[i]->id] = e->values[op->operands[i + 1]->id];
    eval_region(e, r);
    for (int i = 0; i < op->result_count && !e->error; i++)
        e->values[op->results[i].id] = e->values[r->yields.at[i]->id];
}

/* --------------------------------------------------------------------------------- table */

static const AttrSpec attrs_while[] = {{"consts", ATTR_INT, false}, {"limit", ATTR_INT, true}, {0}};

const OpInfo OP_while = {
    .name = "while", .kind = KIND_REGION, .min_operands = 0, .max_operands = -1, .result_count = -1, .region_count = 2,
    .form = FORM_WHILE, .signature = "*", .types = CLASS_ANY, .attrs = attrs_while,
    .doc = "while(consts.., inits..): the second body (consts.., carries..) run while the first one says true, at most "
           "limit times; results: the last carries. Gradient: with a limit.",
    .infer = infer_while, .eval = eval_while};

const OpInfo OP_cond = {
    .name = "cond", .kind = KIND_REGION, .min_operands = 1, .max_operands = -1, .result_count = -1, .region_count = 2,
    .form = FORM_CHOICE, .signature = "b*", .types = CLASS_ANY,
    .doc = "cond(condition, args..): what its first body (args..) yields if the bool scalar holds, else what the "
           "second does; the other one does not run.",
    .infer = infer_cond, .eval = eval_cond};
