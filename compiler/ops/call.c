/* call: a body kept together until gradients are taken, for one of the user's own or one that computes the body again;
 * `inline` then puts the body in its place. And barrier, which keeps what is computed again apart and late. How
 * operands, parameters, yields and results go together stands in region.h. */
#include "ops/index_map.h"
#include "ops/region.h"
#include "ops/rules.h"

/* --------------------------------------------------------------------------------- call */

static const char *check_backward(Module *m, const Op *op) {
    const Region *r = op->regions[1];
    int n, args = op->operand_count, results = op->result_count;
    const int64_t *wrt = op_ints(op, "wrt", &n);
    const char *why = need_axes(m, "operand in wrt", wrt, n, args);
    if (why) return why;
    if (r->params.n != args + 2 * results)
        return reason(m, "the gradient's body has %d parameters; it needs the %d operands, the %d results and the "
                      "results' gradients", r->params.n, args, results);
    if (r->yields.n != n) return reason(m, "the gradient's body yields %d values, but wrt names %d", r->yields.n, n);
    if ((why = need_params(m, "gradient's body", r, 0, op->operands, args))) return why;
    for (int i = 0; i < results; i++) {
        Value *result = &op->results[i];
        if ((why = need_params(m, "gradient's body", r, args + i, &result, 1))) return why;
        if ((why = need_params(m, "gradient's body", r, args + results + i, &result, 1))) return why;
    }
    for (int i = 0; i < n; i++)
        if (!type_equal(r->yields.at[i]->type, op->operands[wrt[i]]->type))
            return reason(m, "the gradient of operand %lld, %s, cannot be %s", (long long)wrt[i],
                          value_text(m, op->operands[wrt[i]]), value_text(m, r->yields.at[i]));
    return need_free_dims(m, r);
}

static const char *infer_call(Module *m, Op *op) {
    const Region *body = op->regions[0];
    bool own = op_attr(op, "wrt") != NULL;
    if (op->region_count != 1 + own)
        return reason(m, own ? "with wrt there is a second body, which computes the gradients"
                             : "a second body, which computes gradients, needs wrt");
    if (op_int(op, "recompute") < 0 || op_int(op, "recompute") > 1)
        return reason(m, "recompute is %lld, but must be 0 or 1", (long long)op_int(op, "recompute"));
    if (body->params.n != op->operand_count)
        return reason(m, "the body has %d parameters, but there are %d operands", body->params.n, op->operand_count);
    if (body->yields.n != op->result_count)
        return reason(m, "the body yields %d values, but there are %d results", body->yields.n, op->result_count);
    const char *why = need_params(m, "body", body, 0, op->operands, op->operand_count);
    if (why || (why = need_free_dims(m, body))) return why;
    for (int i = 0; i < op->result_count; i++) op->results[i].type = body->yields.at[i]->type;
    return own ? check_backward(m, op) : NULL;
}

static void eval_call(EvalContext *e, const Op *op) {
    const Region *body = op->regions[0];
    for (int i = 0; i < op->operand_count; i++) e->values[body->params.at[i]->id] = e->values[op->operands[i]->id];
    eval_region(e, body);
    for (int i = 0; i < op->result_count && !e->error; i++)
        e->values[op->results[i].id] = e->values[body->yields.at[i]->id];
}

/* A gradient of the user's own reaches the args in wrt, whatever the body is. */
static void depend_call(Module *m, const Op *op, const Dependence *operands, Dependence *results) {
    int n;
    const int64_t *wrt = op_ints(op, "wrt", &n);
    region_dependence(m, op->regions[0], operands, results);
    for (int i = 0; i < n; i++)
        for (int k = 0; k < op->result_count; k++)
            if (operands[wrt[i]] > results[k]) results[k] = operands[wrt[i]];
}

/* Whether the body's results depend on this argument, differentiably. */
static bool body_depends_on(Module *m, const Op *op, int arg) {
    Dependence *args = arena_array(m->arena, Dependence, op->operand_count + 1);
    Dependence *results = arena_array(m->arena, Dependence, op->result_count + 1);
    args[arg] = DEPENDS;
    region_dependence(m, op->regions[0], args, results);
    for (int i = 0; i < op->result_count; i++)
        if (results[i] == DEPENDS) return true;
    return false;
}

static void grad_own(GradContext *g, const Op *op, Value *const *dy, Value **dx) {
    Builder *b = g->b;
    Module *m = b->module;
    const Region *r = op->regions[1];
    int n, args = op->operand_count, results = op->result_count;
    const int64_t *wrt = op_ints(op, "wrt", &n);
    for (int i = 0; i < args; i++) {
        if (!g->wants[i] || axes_contain(wrt, n, i) || !body_depends_on(m, op, i)) continue;
        int diag = diag_report(m->diags, DL0401, op->span, "a gradient has to flow to %s, but the function's own "
                               "gradient gives none for it", value_text(m, op->operands[i]));
        diag_hint(m->diags, diag, "if it is to count as a constant, wrap it in stop_gradient where the function reads it");
        return;
    }
    ValueMap map = value_map_new(m->arena);
    for (int i = 0; i < args; i++) value_map_set(&map, r->params.at[i], op->operands[i]);
    for (int i = 0; i < results; i++) {
        Value *y = &op->results[i];
        value_map_set(&map, r->params.at[args + i], y);
        value_map_set(&map, r->params.at[args + results + i], dy[i] ? dy[i] : build_constant_like(b, y, 0));
    }
    region_copy_ops(m, b->region, r, &map);
    for (int i = 0; i < n; i++) dx[wrt[i]] = value_mapped(&map, r->yields.at[i]);
}

/* The operand, or if the body is to be computed again later, what stands for it then. */
static Value *operand_again(GradContext *g, const Op *op, int i, Value *const *after, int n) {
    if (!op_attr(op, "recompute") || !op_int(op, "recompute")) return op->operands[i];
    return build_barrier(g->b, op->operands[i], after, n);
}

/* Pulls back through the body computed again; without recompute, cse finds that it is there already. */
static void grad_call(GradContext *g, const Op *op, Value *const *dy, Value **dx) {
    if (op_attr(op, "wrt")) {
        grad_own(g, op, dy, dx);
        return;
    }
    Module *m = g->b->module;
    const Region *r = op->regions[0];
    int n = 0, late = 0, args = op->operand_count, results = op->result_count;
    Value **ys = arena_array(m->arena, Value *, results), **after = arena_array(m->arena, Value *, results);
    Value **wrt = arena_array(m->arena, Value *, args), **found = arena_array(m->arena, Value *, args);
    Value **operands = arena_array(m->arena, Value *, args);
    ValueMap map;
    Builder body = region_again(g->b, r, &map);
    for (int i = 0; i < results; i++) {
        ys[i] = value_mapped(&map, r->yields.at[i]);
        if (dy[i]) after[late++] = dy[i];
    }
    for (int i = 0; i < args; i++)
        if (g->wants[i]) wrt[n++] = body.region->params.at[i];
    build_pullback(&body, ys, dy, results, wrt, n, found);
    for (int i = 0; i < n; i++) vec_push(m->arena, &body.region->yields, found[i] ? found[i] : wrt[i]);
    for (int i = 0; i < args; i++) operands[i] = operand_again(g, op, i, after, late);
    region_set_params(body.region, operands);
    region_splice(g->b, body.region);
    n = 0;
    for (int i = 0; i < args; i++) {
        if (!g->wants[i]) continue;
        if (found[n]) dx[i] = body.region->yields.at[n];
        n++;
    }
}

/* ------------------------------------------------------------------------------ barrier */

static const char *infer_barrier(Module *m, Op *op) {
    (void)m;
    op->results[0].type = op->operands[0]->type;
    return NULL;
}

static void eval_barrier(EvalContext *e, const Op *op) {
    e->values[op->results[0].id] = e->values[op->operands[0]->id];
}

static void grad_barrier(GradContext *g, const Op *op, Value *const *dy, Value **dx) {
    (void)g;
    (void)op;
    dx[0] = dy[0];
}

/* Only operand 0 is read. */
static bool index_of_barrier(const Op *op, int operand, IndexPoint *p) {
    (void)op;
    (void)p;
    return operand == 0;
}

/* --------------------------------------------------------------------------------- table */

static const AttrSpec attrs_call[] = {{"recompute", ATTR_INT, true, DIMS_NONE}, {"wrt", ATTR_INTS, true, DIMS_NONE}, {0}};

const OpInfo OP_call = {
    .name = "call", .at = HERE, .kind = KIND_REGION, .min_operands = 0, .max_operands = -1, .result_count = -1, .region_count = -1,
    .form = FORM_ONCE, .flags = OP_CALLS, .signature = "*", .types = CLASS_ANY, .attrs = attrs_call,
    .doc = "call(args..): what its body (args..) yields. Gradient: what a second body (args.., results.., gradients of "
           "the results..) yields for the args in wrt; with recompute the body's, which is computed again.",
    .infer = infer_call, .depend = depend_call, .grad = grad_call, .eval = eval_call};

const OpInfo OP_barrier = {
    .name = "barrier", .at = HERE, .kind = KIND_MOVE, .min_operands = 1, .max_operands = -1, .result_count = 1,
    .flags = OP_BARRIER, .signature = "*", .types = CLASS_ANY,
    .doc = "barrier(x, after..): x; what is computed from it is not before `after`, and not what is computed from x "
           "itself.",
    .infer = infer_barrier, .grad = grad_barrier, .eval = eval_barrier, .index_map = index_of_barrier};
