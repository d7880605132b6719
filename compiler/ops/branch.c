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

/* ---------------------------------------------------------------------------- gradients */

/* What the test of a loop or choice depends on, all that comes out does, without a gradient. */
static void at_least(Dependence *to, int n, Dependence test) {
    Dependence least = test == DEPENDS_NOT ? DEPENDS_NOT : DEPENDS_FLAT;
    for (int i = 0; i < n; i++)
        if (to[i] < least) to[i] = least;
}

static void depend_while(Module *m, const Op *op, const Dependence *operands, Dependence *results) {
    WhileForm f = while_form(op);
    Dependence *params = arena_copy(m->arena, operands, sizeof *operands * (size_t)op->operand_count);
    Dependence *nexts = arena_array(m->arena, Dependence, f.carries), test;
    for (bool more = true; more;) {
        more = false;
        region_dependence(m, f.condition, params, &test);
        region_dependence(m, f.body, params, nexts);
        at_least(nexts, f.carries, test);
        for (int i = 0; i < f.carries; i++) {
            if (nexts[i] <= params[f.consts + i]) continue;
            params[f.consts + i] = nexts[i];
            more = true;
        }
    }
    for (int i = 0; i < f.carries; i++) results[i] = params[f.consts + i];
}

static void depend_cond(Module *m, const Op *op, const Dependence *operands, Dependence *results) {
    Dependence *second = arena_array(m->arena, Dependence, op->result_count);
    region_dependence(m, op->regions[0], operands + 1, results);
    region_dependence(m, op->regions[1], operands + 1, second);
    for (int i = 0; i < op->result_count; i++)
        if (second[i] > results[i]) results[i] = second[i];
    at_least(results, op->result_count, operands[0]);
}

/* A branch computed again, and in it the gradients of its args; null where none flows. */
static Builder branch_back(GradContext *g, const Op *op, int branch, Value *const *dy, Value **dargs) {
    Module *m = g->b->module;
    const Region *r = op->regions[branch];
    int n = 0, args = op->operand_count - 1;
    Value **ys = arena_array(m->arena, Value *, op->result_count), **wrt = arena_array(m->arena, Value *, args);
    Value **found = arena_array(m->arena, Value *, args);
    ValueMap map;
    Builder b = region_again(g->b, r, &map);
    for (int i = 0; i < op->result_count; i++) ys[i] = value_mapped(&map, r->yields.at[i]);
    for (int i = 0; i < args; i++)
        if (g->wants[i + 1]) wrt[n++] = b.region->params.at[i];
    build_pullback(&b, ys, dy, op->result_count, wrt, n, found);
    n = 0;
    for (int i = 0; i < args; i++) dargs[i] = g->wants[i + 1] ? found[n++] : NULL;
    return b;
}

/* A cond whose branches compute theirs again and pull back through it. */
static void grad_cond(GradContext *g, const Op *op, Value *const *dy, Value **dx) {
    Module *m = g->b->module;
    int args = op->operand_count - 1, n = 0;
    Value **found[2], **values[2], **results = arena_array(m->arena, Value *, args);
    Builder bodies[2];
    for (int k = 0; k < 2; k++) {
        found[k] = arena_array(m->arena, Value *, args);
        values[k] = arena_array(m->arena, Value *, args);
        bodies[k] = branch_back(g, op, k, dy, found[k]);
    }
    for (int i = 0; i < args; i++) {
        if (!found[0][i] && !found[1][i]) continue;
        for (int k = 0; k < 2; k++)
            values[k][n] = found[k][i] ? found[k][i] : build_constant_like(&bodies[k], op->operands[i + 1], 0);
        n++;
    }
    for (int k = 0; k < 2; k++) {
        for (int i = 0; i < n; i++) vec_push(m->arena, &bodies[k].region->yields, values[k][i]);
        region_set_params(bodies[k].region, op->operands + 1);
        for (int i = 0; i < n; i++) values[k][i] = bodies[k].region->yields.at[i];
        bodies[k].region->yields.n = 0;
    }
    if (!n || !build_cond(g->b, op->operands[0], &bodies[0], values[0], &bodies[1], values[1], n, results)) return;
    n = 0;
    for (int i = 0; i < args; i++)
        if (found[0][i] || found[1][i]) dx[i + 1] = results[n++];
}

/* --------------------------------------------------------------------------------- table */

static const AttrSpec attrs_while[] = {{"consts", ATTR_INT, false, DIMS_NONE}, {"limit", ATTR_INT, true, DIMS_NONE}, {0}};

const OpInfo OP_while = {
    .name = "while", .at = HERE, .kind = KIND_REGION, .min_operands = 0, .max_operands = -1, .result_count = -1, .region_count = 2,
    .form = FORM_WHILE, .signature = "*", .types = CLASS_ANY, .attrs = attrs_while,
    .doc = "while(consts.., inits..): the second body (consts.., carries..) run while the first one says true, at most "
           "limit times; results: the last carries. Gradient: with a limit.",
    .infer = infer_while, .depend = depend_while, .grad = grad_while, .eval = eval_while};

const OpInfo OP_cond = {
    .name = "cond", .at = HERE, .kind = KIND_REGION, .min_operands = 1, .max_operands = -1, .result_count = -1, .region_count = 2,
    .form = FORM_CHOICE, .signature = "b*", .types = CLASS_ANY,
    .doc = "cond(condition, args..): what its first body (args..) yields if the bool scalar holds, else what the "
           "second does; the other one does not run.",
    .infer = infer_cond, .depend = depend_cond, .grad = grad_cond, .eval = eval_cond};
