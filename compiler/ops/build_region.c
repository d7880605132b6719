/* Building region operators and checks: see build.h. */
#include "ops/region.h"
#include "ops/rules.h"

Builder build_body(const Builder *b) {
    Builder body = *b;
    body.region = region_new(b->module, b->func, NULL);
    return body;
}

Value *build_body_param(Builder *body, Type type, const char *name) {
    return region_add_param(body->module, body->region, type, name);
}

Value *build_slice_param(Builder *body, Value *x, int64_t axis, const char *name) {
    if (!x) return NULL;
    const char *why = need_axis(body->module, "axis", axis, x->type.rank);
    if (why) {
        diag_report(body->module->diags, DL0301, body->span, "scan: %s", why);
        return NULL;
    }
    Dim shape[MAX_RANK];
    for (int i = 0; i < x->type.rank - 1; i++) shape[i] = x->type.shape[i + (i >= axis)];
    return build_body_param(body, type_make(body->module, x->type.dtype, x->type.rank - 1, shape), name);
}

/* ------------------------------------------------------------------------------ closing */

typedef VEC(Value *) Values;

/* What is to become one operator. */
typedef struct Closer {
    Builder *b;
    const OpInfo *info;
    Region *regions[2];
    int region_count;
    Values captured;           /* values of outside that the regions use, in order of first use */
    ValueMap known;
    Values operands;
    Attr attrs[8];
    int attr_count;
} Closer;

static bool all_there(Value *const *values, int n) {
    for (int i = 0; i < n; i++)
        if (!values[i]) return false;
    return true;
}

static void capture(Closer *c, const Region *r, Value *v) {
    if (value_region(v) == r || value_map_get(&c->known, v)) return;
    value_map_set(&c->known, v, v);
    vec_push(c->b->module->arena, &c->captured, v);
}

static void add_region(Closer *c, Region *r) {
    c->regions[c->region_count++] = r;
    for (int i = 0; i < r->ops.n; i++)
        for (int k = 0; k < r->ops.at[i]->operand_count; k++) capture(c, r, r->ops.at[i]->operands[k]);
    for (int i = 0; i < r->yields.n; i++) capture(c, r, r->yields.at[i]);
}

static Closer closer_new(Builder *b, const OpInfo *info) {
    return (Closer){.b = b, .info = info, .known = value_map_new(b->module->arena)};
}

/* Appends a parameter: p, or if that is null a new one like v. */
static void push_param(Closer *c, Values *to, Region *r, Value *p, const Value *v) {
    Module *m = c->b->module;
    if (!p) {
        p = arena_new(m->arena, Value);
        *p = (Value){.type = v->type, .region = r, .id = -1, .name = v->name};
    }
    p->index = to->n;
    vec_push(m->arena, to, p);
}

/* Parameters for what was captured; the region's uses of it become uses of them. */
static void push_captured(Closer *c, Values *to, Region *r) {
    Module *m = c->b->module;
    ValueMap inside = value_map_new(m->arena);
    for (int i = 0; i < c->captured.n; i++) {
        push_param(c, to, r, NULL, c->captured.at[i]);
        value_map_set(&inside, c->captured.at[i], to->at[to->n - 1]);
    }
    region_map_uses(r, &inside);
}

static void set_params(Region *r, const Values *params) {
    r->params.at = params->at;
    r->params.n = params->n;
    r->params.room = params->room;
}

static void push_operands(Closer *c, Value *const *values, int n) {
    for (int i = 0; i < n; i++) vec_push(c->b->module->arena, &c->operands, values[i]);
}

static void report(Closer *c, OpFault fault, const char *why) {
    diag_report(c->b->module->diags, fault == FAULT_TYPE ? DL0302 : DL0301, c->b->span, "%s: %s", c->info->name, why);
}

/* Makes the op; null after it was found to be none. Room is for the residuals of its gradient. */
static Op *close_op(Closer *c, int result_count) {
    Module *m = c->b->module;
    Op *op = op_append(m, c->b->region, c->info, c->operands.at, c->operands.n, result_count, c->attrs, c->attr_count, 0,
                       c->b->span);
    op->regions = arena_copy(m->arena, c->regions, sizeof *c->regions * (size_t)c->region_count);
    op->region_count = c->region_count;
    for (int i = 0; i < c->region_count; i++) op->regions[i]->owner = op;
    op_reserve_results(m, op, op_residual_room(op));
    OpFault fault;
    const char *why = op_infer(m, op, &fault);
    if (!why) return op;
    c->b->region->ops.n--;
    report(c, fault, why);
    return NULL;
}

static void set_yields(Closer *c, Region *r, Value *const *values, int n) {
    for (int i = 0; i < n; i++) vec_push(c->b->module->arena, &r->yields, values[i]);
}

/* -------------------------------------------------------------------------------- carries */

/* Whether the carry comes out of each step as it went in. */
static bool is_still(Value *const *params, Value *const *nexts, int i) { return params[i] == nexts[i]; }

/* Replaces carries that are none by their inits. Returns how many others there are; which[] says which. */
static int moving_carries(Region *r, int n, Value *const *inits, Value *const *params, Value *const *nexts,
                          int *which) {
    int moving = 0;
    for (int i = 0; i < n; i++) {
        if (!is_still(params, nexts, i)) which[moving++] = i;
        else region_replace_uses(r, params[i], inits[i]);
    }
    return moving;
}

static void give_finals(const Op *op, int n, Value *const *inits, Value *const *params, int moving, const int *which,
                        Value **finals) {
    for (int i = 0; i < n; i++) finals[i] = inits[i];
    for (int i = 0; i < moving; i++) {
        finals[which[i]] = &op->results[i];
        op->results[i].name = params[which[i]]->name;
    }
}

/* A value that a carry's next may be: the next of a carry that is none is the init of that. */
static Value *settled(const Region *r, Value *v, int n, Value *const *inits, Value *const *params,
                      Value *const *nexts) {
    if (v->op || v->region != r) return v;
    for (int i = 0; i < n; i++)
        if (params[i] == v && is_still(params, nexts, i)) return inits[i];
    return v;
}

/* --------------------------------------------------------------------------------- scan */

static bool scan_is_whole(const ScanParts *s) {
    return all_there(s->inits, s->carries) && all_there(s->params, s->carries) && all_there(s->nexts, s->carries) &&
           all_there(s->xs, s->xs_count) && all_there(s->slices, s->xs_count) && all_there(s->ys, s->ys_count) &&
           s->length;
}

static void scan_attrs(Closer *c, const ScanParts *s, int carries) {
    Module *m = c->b->module;
    static const int64_t firsts[1] = {0};
    int64_t *axes = arena_array(m->arena, int64_t, s->ys_count);
    for (int i = 0; i < s->ys_count; i++) axes[i] = s->result_axes ? s->result_axes[i] : firsts[0];
    c->attrs[0] = attr_int(m, "consts", c->captured.n);
    c->attrs[1] = attr_int(m, "carries", carries);
    c->attrs[2] = attr_ints(m, "axes", s->axes, s->xs_count);
    c->attrs[3] = attr_ints(m, "result_axes", axes, s->ys_count);
    c->attrs[4] = attr_dims(m, "length", &s->length, 1);
    c->attrs[5] = attr_int(m, "reverse", 1);
    c->attr_count = s->reverse ? 6 : 5;
}

bool build_scan(Builder *b, const ScanParts *s, Value **finals, Value **stacked) {
    if (!scan_is_whole(s)) return false;
    Module *m = b->module;
    Region *r = s->body->region;
    Closer c = closer_new(b, &OP_scan);
    int *which = arena_array(m->arena, int, s->carries);
    int moving = moving_carries(r, s->carries, s->inits, s->params, s->nexts, which);
    for (int i = 0; i < moving; i++)
        vec_push(m->arena, &r->yields, settled(r, s->nexts[which[i]], s->carries, s->inits, s->params, s->nexts));
    for (int i = 0; i < s->ys_count; i++)
        vec_push(m->arena, &r->yields, settled(r, s->ys[i], s->carries, s->inits, s->params, s->nexts));
    add_region(&c, r);
    Values params = {0};
    push_captured(&c, &params, r);
    push_operands(&c, c.captured.at, c.captured.n);
    for (int i = 0; i < moving; i++) {
        push_param(&c, &params, r, s->params[which[i]], NULL);
        push_operands(&c, &s->inits[which[i]], 1);
    }
    for (int i = 0; i < s->xs_count; i++) push_param(&c, &params, r, s->slices[i], NULL);
    push_operands(&c, s->xs, s->xs_count);
    push_param(&c, &params, r, s->index, &(Value){.type = type_scalar(DTYPE_I64)});
    set_params(r, &params);
    scan_attrs(&c, s, moving);
    Op *op = close_op(&c, moving + s->ys_count);
    if (!op) return false;
    give_finals(op, s->carries, s->inits, s->params, moving, which, finals);
    for (int i = 0; i < s->ys_count; i++) stacked[i] = &op->results[moving + i];
    return true;
}

/* -------------------------------------------------------------------------------- while */

static void while_attrs(Closer *c, const WhileParts *w) {
    c->attrs[0] = attr_int(c->b->module, "consts", c->captured.n);
    c->attrs[1] = attr_int(c->b->module, "limit", w->limit);
    c->attr_count = w->limit < 0 ? 1 : 2;
}

bool build_while(Builder *b, const WhileParts *w, Value **finals) {
    int n = w->carries;
    if (!w->test || !all_there(w->inits, n) || !all_there(w->body_params, n) || !all_there(w->nexts, n)) return false;
    Module *m = b->module;
    Region *body = w->body->region, *condition = w->condition->region;
    Closer c = closer_new(b, &OP_while);
    int *which = arena_array(m->arena, int, n);
    int moving = moving_carries(body, n, w->inits, w->body_params, w->nexts, which);
    vec_push(m->arena, &condition->yields, w->test);
    for (int i = 0; i < n; i++)
        if (w->condition_params[i] && is_still(w->body_params, w->nexts, i))
            region_replace_uses(condition, w->condition_params[i], w->inits[i]);
    for (int i = 0; i < moving; i++)
        vec_push(m->arena, &body->yields, settled(body, w->nexts[which[i]], n, w->inits, w->body_params, w->nexts));
    add_region(&c, condition);
    add_region(&c, body);
    Values of_condition = {0}, of_body = {0};
    push_captured(&c, &of_condition, condition);
    push_captured(&c, &of_body, body);
    push_operands(&c, c.captured.at, c.captured.n);
    for (int i = 0; i < moving; i++) {
        push_param(&c, &of_condition, condition, w->condition_params[which[i]], w->body_params[which[i]]);
        push_param(&c, &of_body, body, w->body_params[which[i]], NULL);
        push_operands(&c, &w->inits[which[i]], 1);
    }
    set_params(condition, &of_condition);
    set_params(body, &of_body);
    while_attrs(&c, w);
    Op *op = close_op(&c, moving);
    if (!op) return false;
    give_finals(op, n, w->inits, w->body_params, moving, which, finals);
    return true;
}

/* --------------------------------------------------------------------------------- cond */

bool build_cond(Builder *b, Value *condition, Builder *first, Value *const *first_values, Builder *second,
                Value *const *second_values, int n, Value **results) {
    if (!condition || !all_there(first_values, n) || !all_there(second_values, n)) return false;
    Closer c = closer_new(b, &OP_cond);
    set_yields(&c, first->region, first_values, n);
    set_yields(&c, second->region, second_values, n);
    add_region(&c, first->region);
    add_region(&c, second->region);
    push_operands(&c, &condition, 1);
    push_operands(&c, c.captured.at, c.captured.n);
    for (int i = 0; i < 2; i++) {
        Values params = {0};
        push_captured(&c, &params, c.regions[i]);
        set_params(c.regions[i], &params);
    }
    Op *op = close_op(&c, n);
    for (int i = 0; op && i < n; i++) results[i] = &op->results[i];
    return op != NULL;
}

/* --------------------------------------------------------------------------------- call */

/* Parameters of the backward body: args, captured ones, results, their gradients. */
static void backward_params(Closer *c, const CallParts *p, Values *to) {
    Region *r = p->backward->region;
    for (int i = 0; i < p->arg_count; i++) push_param(c, to, r, p->backward_args[i], p->args[i]);
    push_captured(c, to, r);
    for (int i = 0; i < p->result_count; i++) push_param(c, to, r, p->backward_results[i], p->results[i]);
    for (int i = 0; i < p->result_count; i++) push_param(c, to, r, p->backward_dresults[i], p->results[i]);
    set_params(r, to);
}

static void call_attrs(Closer *c, const CallParts *p) {
    Module *m = c->b->module;
    if (p->recompute) c->attrs[c->attr_count++] = attr_int(m, "recompute", 1);
    if (p->backward) c->attrs[c->attr_count++] = attr_ints(m, "wrt", p->wrt, p->wrt_count);
}

bool build_call(Builder *b, const CallParts *p, Value **results) {
    if (!all_there(p->args, p->arg_count) || !all_there(p->params, p->arg_count) ||
        !all_there(p->results, p->result_count) || (p->backward && !all_there(p->gradients, p->wrt_count)))
        return false;
    Closer c = closer_new(b, &OP_call);
    Region *body = p->body->region;
    set_yields(&c, body, p->results, p->result_count);
    add_region(&c, body);
    if (p->backward) {
        set_yields(&c, p->backward->region, p->gradients, p->wrt_count);
        add_region(&c, p->backward->region);
    }
    push_operands(&c, p->args, p->arg_count);
    push_operands(&c, c.captured.at, c.captured.n);
    Values params = {0}, back = {0};
    for (int i = 0; i < p->arg_count; i++) push_param(&c, &params, body, p->params[i], NULL);
    push_captured(&c, &params, body);
    set_params(body, &params);
    if (p->backward) backward_params(&c, p, &back);
    call_attrs(&c, p);
    Op *op = close_op(&c, p->result_count);
    for (int i = 0; op && i < p->result_count; i++) results[i] = &op->results[i];
    return op != NULL;
}

Value *build_barrier(Builder *b, Value *x, Value *const *after, int n) {
    if (!x) return NULL;
    Values operands = {0};
    vec_push(b->module->arena, &operands, x);
    for (int i = 0; i < n; i++) vec_push(b->module->arena, &operands, after[i]);
    return build_op(b, &OP_barrier, operands.at, operands.n, NULL, 0);
}

/* -------------------------------------------------------------------------------- checks */

bool build_bind_dim(Builder *b, Value *x, const DimSymbol *symbol, const char *what) {
    Module *m = b->module;
    Dim dim = dim_of_symbol(&m->dims, symbol);
    Attr attrs[] = {attr_dims(m, "dims", &dim, 1), {0}};
    if (what) attrs[1] = attr_text(m, "what", what);
    return x && build_op(b, &OP_bind_dim, &x, 1, attrs, what ? 2 : 1);
}

bool build_require(Builder *b, Value *condition, const char *message) {
    Attr attr = attr_text(b->module, "message", message);
    return condition && build_op(b, &OP_require, &condition, 1, &attr, 1);
}
