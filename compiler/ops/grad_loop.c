/* Gradients of loops.
 *
 * The gradient of a scan is a scan that runs the other way. It carries the gradients of the carries and, added up, of
 * the consts, and yields those of the xs. Its body pulls back through the forward body: the reverse sweep is applied to
 * the forward body's own values, of which the new body then uses some. What is only elementwise or moved about is
 * computed again in it; the rest - carries as a step begins, results of costly operators - are residuals: the forward
 * scan itself is given further results, which stack them. Scans within a body are given theirs in the same way, and
 * stack them as results that the outer one stacks again. All is made of ordinary operators, so second order follows.
 *
 * A while with a limit becomes a scan of that length whose steps, once it has ended, do nothing. */
#include "ops/region.h"
#include "ops/rules.h"

typedef VEC(Value *) Values;

typedef struct Reverse {
    Module *m;
    Op *scan;                  /* the forward one */
    ScanForm form;
    const Region *forward;
    Builder body;              /* of the reverse one */
    ValueMap again;            /* for values of the forward body: what stands for them in the reverse one */
    ValueMap stacked;          /* values of the forward body that the scan gives back stacked */
    ValueMap needed;           /* values of the forward body that the reverse one uses, directly or to compute again */
    Values inits, carries, nexts;              /* of the reverse scan */
    Values xs, slices, ys;
    VEC(int64_t) axes, y_axes;
    Value *index;
} Reverse;

/* --------------------------------------------------------------------------- what flows */

static bool is_marked(const ValueMap *set, const Value *v) { return value_map_get(set, v) != NULL; }
static void mark(ValueMap *set, Value *v) { value_map_set(set, v, v); }

/* Marks what a gradient of the marked values may flow to. */
static void mark_flow(const Region *r, ValueMap *set) {
    for (int i = r->ops.n - 1; i >= 0; i--) {
        const Op *op = r->ops.at[i];
        bool flows = false;
        for (int k = 0; k < op->result_count; k++) flows = flows || is_marked(set, &op->results[k]);
        if (!flows || op->info->flags & (OP_ZERO_GRADIENT | OP_STOPS_GRADIENT)) continue;
        for (int k = 0; k < op->operand_count; k++)
            if (dtype_is_float(op->operands[k]->type.dtype)) mark(set, op->operands[k]);
    }
}

/* Which carries have a gradient: those that depend on what is wanted, and on which something that has one depends. */
static bool *active_carries(const Reverse *v, const Dependence *params, Value *const *dy) {
    const ScanForm *f = &v->form;
    bool *active = arena_array(v->m->arena, bool, f->carries);
    for (int i = 0; i < f->carries; i++) active[i] = dy[i] && params[f->consts + i] == DEPENDS;
    for (bool more = true; more;) {
        ValueMap set = value_map_new(v->m->arena);
        more = false;
        for (int i = 0; i < v->forward->yields.n; i++)
            if (i < f->carries ? active[i] : dy[i] != NULL) mark(&set, v->forward->yields.at[i]);
        mark_flow(v->forward, &set);
        for (int i = 0; i < f->carries; i++) {
            int p = f->consts + i;
            if (active[i] || params[p] != DEPENDS || !is_marked(&set, v->forward->params.at[p])) continue;
            active[i] = more = true;
        }
    }
    return active;
}

/* --------------------------------------------------------------------------- residuals */

/* The result that stacks value y of the scan's body: one that there is, or a new one, for which there is room
 * (op_residual_room). Null after a report. */
static Value *stack_of(Reverse *v, Value *y, int64_t *axis) {
    Module *m = v->m;
    Op *scan = v->scan;
    Region *body = scan->regions[0];
    ScanForm f = scan_form(scan);
    int k = f.carries;
    while (k < body->yields.n && body->yields.at[k] != y) k++;
    if (k < body->yields.n) {
        *axis = f.result_axes[k - f.carries];
        return &scan->results[k];
    }
    if (y->type.rank == MAX_RANK || scan->result_count == scan->result_room) {
        diag_report(m->diags, DL0401, scan->span, "a gradient needs every step's %s, but values of %d dimensions cannot "
                    "be stacked", value_text(m, y), y->type.rank);
        return NULL;
    }
    int64_t *axes = arena_array(m->arena, int64_t, f.ys + 1);
    for (int i = 0; i < f.ys; i++) axes[i] = f.result_axes[i];
    for (int i = 0; i < scan->attr_count; i++)
        if (!strcmp(scan->attrs[i].key, "result_axes")) scan->attrs[i] = attr_ints(m, "result_axes", axes, f.ys + 1);
    vec_push(m->arena, &body->yields, y);
    scan->results[k] = (Value){.op = scan, .index = k, .id = -1, .name = y->name};
    scan->result_count++;
    Dim shape[MAX_RANK + 1] = {f.length};
    for (int d = 0; d < y->type.rank; d++) shape[d + 1] = y->type.shape[d];
    scan->results[k].type = type_make(m, y->type.dtype, y->type.rank + 1, shape);
    *axis = 0;
    return &scan->results[k];
}

/* A parameter of the reverse body for the slices of an outer value. */
static Value *add_slices(Reverse *v, Value *x, int64_t axis, const char *name) {
    Arena *a = v->m->arena;
    for (int i = 0; i < v->xs.n; i++)
        if (v->xs.at[i] == x && v->axes.at[i] == axis) return v->slices.at[i];
    Value *p = build_slice_param(&v->body, x, axis, name);
    vec_push(a, &v->xs, x);
    vec_push(a, &v->slices, p);
    vec_push(a, &v->axes, axis);
    return p;
}

static Value *residual(Reverse *v, Value *y) {
    int64_t axis;
    Value *stack = stack_of(v, y, &axis);
    return stack ? add_slices(v, stack, axis, y->name) : build_constant_like(&v->body, y, 0);
}

/* What stands in the reverse body for a parameter of the forward one. */
static Value *parameter_again(Reverse *v, Value *p) {
    const ScanForm *f = &v->form;
    int i = p->index - f->consts - f->carries;
    if (p->index < f->consts) return v->scan->operands[p->index];
    if (i < 0) return residual(v, p);
    if (i < f->xs) return add_slices(v, v->scan->operands[p->index], f->axes[i], p->name);
    if (!v->index) v->index = build_body_param(&v->body, p->type, p->name);
    return v->index;
}

/* Whether a type mentions a dim that the forward body binds: a value of that type cannot be stacked. */
static bool is_bound_inside(const Reverse *v, Type type) {
    for (int i = 0; i < v->forward->ops.n; i++) {
        const Op *op = v->forward->ops.at[i];
        if (!(op->info->flags & OP_BINDS_DIM)) continue;
        int id = op_dims(op, "dims", NULL)[0]->terms[0].symbols[0];
        for (int d = 0; d < type.rank; d++)
            if (dim_mentions(&v->m->dims, type.shape[d], id)) return true;
    }
    return false;
}

/* Whether the reverse body computes the op again: not what is stacked as it is. What cannot be has to be, whatever it
 * costs. */
static bool computes_again(const Reverse *v, const Op *op) {
    if (op->result_count == 1 && is_marked(&v->stacked, &op->results[0])) return false;
    if (op->info->kind == KIND_MAP || op->info->kind == KIND_MOVE) return true;
    if (op->info->flags & OP_BINDS_DIM) return true;
    for (int i = 0; i < op->result_count; i++)
        if (is_bound_inside(v, op->results[i].type) || op->results[i].type.rank == MAX_RANK) return true;
    return false;
}

static void need(Reverse *v, Value *x) {
    if (value_region(x) == v->forward) mark(&v->needed, x);
}

static bool is_needed(const Reverse *v, const Op *op) {
    if (op->info->flags & OP_BINDS_DIM) return true;
    for (int i = 0; i < op->result_count; i++)
        if (is_marked(&v->needed, &op->results[i])) return true;
    return false;
}

static void find_needed(Reverse *v) {
    const Region *r = v->body.region;
    for (int i = 0; i < r->ops.n; i++)
        for (int k = 0; k < r->ops.at[i]->operand_count; k++) need(v, r->ops.at[i]->operands[k]);
    for (int i = 0; i < v->nexts.n; i++) need(v, v->nexts.at[i]);
    for (int i = 0; i < v->ys.n; i++) need(v, v->ys.at[i]);
    for (int i = v->forward->ops.n - 1; i >= 0; i--) {
        const Op *op = v->forward->ops.at[i];
        if (!is_needed(v, op) || !computes_again(v, op)) continue;
        for (int k = 0; k < op->operand_count; k++) need(v, op->operands[k]);
    }
}

/* Begins the reverse body with what is computed again, and maps all uses of values of the forward body. */
static void settle_uses(Reverse *v) {
    Region *r = v->body.region, own = *r;
    find_needed(v);
    r->ops.at = NULL;
    r->ops.n = r->ops.room = 0;
    for (int i = 0; i < v->forward->params.n; i++) {
        Value *p = v->forward->params.at[i];
        if (is_marked(&v->needed, p)) value_map_set(&v->again, p, parameter_again(v, p));
    }
    for (int i = 0; i < v->forward->ops.n; i++) {
        Op *op = v->forward->ops.at[i];
        if (!is_needed(v, op)) continue;
        if (computes_again(v, op)) {
            op_copy(v->m, r, op, &v->again);
            continue;
        }
        for (int k = 0; k < op->result_count; k++)
            if (is_marked(&v->needed, &op->results[k]))
                value_map_set(&v->again, &op->results[k], residual(v, &op->results[k]));
    }
    for (int i = 0; i < own.ops.n; i++) vec_push(v->m->arena, &r->ops, own.ops.at[i]);
    region_map_uses(r, &v->again);
    for (int i = 0; i < v->nexts.n; i++) v->nexts.at[i] = value_mapped(&v->again, v->nexts.at[i]);
    for (int i = 0; i < v->ys.n; i++) v->ys.at[i] = value_mapped(&v->again, v->ys.at[i]);
}

/* ------------------------------------------------------------------------ the reverse scan */

static Value *add_carry(Reverse *v, Value *init, const char *name) {
    Value *p = build_body_param(&v->body, init->type, name);
    vec_push(v->m->arena, &v->inits, init);
    vec_push(v->m->arena, &v->carries, p);
    return p;
}

/* Gradients of what the forward body yields, as the reverse body sees them: carried, or slices of the stacks'. */
static Value **yield_gradients(Reverse *v, GradContext *g, const bool *active, Value *const *dy) {
    const ScanForm *f = &v->form;
    Value **dyields = arena_array(v->m->arena, Value *, f->carries + f->ys);
    for (int i = 0; i < f->carries; i++) {
        if (!active[i]) continue;
        Value *last = &v->scan->results[i];
        dyields[i] = add_carry(v, dy[i] ? dy[i] : build_constant_like(g->b, last, 0), NULL);
    }
    for (int i = 0; i < f->ys; i++)
        if (dy[f->carries + i]) dyields[f->carries + i] = add_slices(v, dy[f->carries + i], f->result_axes[i], NULL);
    return dyields;
}

/* Pulls the yields' gradients back to the parameters that want one: grads, by parameter; others null. */
static bool pull_step(Reverse *v, const GradContext *g, const bool *active, Value *const *dyields, Value **grads) {
    const ScanForm *f = &v->form;
    int n = 0, params = f->consts + f->carries + f->xs;
    Value **wrt = arena_array(v->m->arena, Value *, params), **found = arena_array(v->m->arena, Value *, params);
    int *which = arena_array(v->m->arena, int, params);
    for (int i = 0; i < params; i++) {
        bool carry = i >= f->consts && i < f->consts + f->carries;
        if (carry ? !active[i - f->consts] : !g->wants[i]) continue;
        which[n] = i;
        wrt[n++] = v->forward->params.at[i];
    }
    int yields = f->carries + f->ys;
    bool ok = build_pullback(&v->body, v->forward->yields.at, dyields, yields, wrt, n, found);
    for (int i = 0; i < n; i++) grads[which[i]] = found[i];
    return ok;
}

/* The next values of what is carried, and what is stacked. */
static void end_step(Reverse *v, const GradContext *g, const bool *active, Value *const *grads) {
    const ScanForm *f = &v->form;
    Arena *a = v->m->arena;
    for (int i = 0; i < f->carries; i++) {
        Value *grad = grads[f->consts + i];
        if (!active[i]) continue;
        vec_push(a, &v->nexts, grad ? grad : build_constant_like(&v->body, &v->scan->results[i], 0));
    }
    for (int i = 0; i < f->consts; i++) {
        if (!grads[i]) continue;
        Value *sum = add_carry(v, build_constant_like(g->b, v->scan->operands[i], 0), NULL);
        vec_push(a, &v->nexts, build_map2(&v->body, MAP_add, sum, grads[i]));
    }
    for (int i = 0; i < f->xs; i++) {
        if (!grads[f->consts + f->carries + i]) continue;
        vec_push(a, &v->ys, grads[f->consts + f->carries + i]);
        vec_push(a, &v->y_axes, f->axes[i]);
    }
}

static bool close_reverse(Reverse *v, GradContext *g, Value **finals, Value **stacked) {
    ScanParts parts = {.body = &v->body, .carries = v->carries.n, .inits = v->inits.at, .params = v->carries.at,
                       .nexts = v->nexts.at, .xs_count = v->xs.n, .xs = v->xs.at, .slices = v->slices.at,
                       .axes = v->axes.at, .ys_count = v->ys.n, .ys = v->ys.at, .result_axes = v->y_axes.at,
                       .index = v->index, .length = v->form.length, .reverse = !v->form.reverse};
    return build_scan(g->b, &parts, finals, stacked);
}

void grad_scan(GradContext *g, const Op *op, Value *const *dy, Value **dx) {
    Module *m = g->b->module;
    Reverse v = {.m = m, .scan = op->results[0].op, .form = scan_form(op), .forward = op->regions[0],
                 .body = build_body(g->b), .again = value_map_new(m->arena), .needed = value_map_new(m->arena),
                 .stacked = value_map_new(m->arena)};
    ScanForm f = v.form;
    for (int i = f.carries; i < v.forward->yields.n; i++) mark(&v.stacked, v.forward->yields.at[i]);
    Dependence *operands = arena_array(m->arena, Dependence, op->operand_count);
    for (int i = 0; i < op->operand_count; i++) operands[i] = g->wants[i] ? DEPENDS : DEPENDS_NOT;
    const bool *active = active_carries(&v, scan_dependence(m, op, operands), dy);
    Value **grads = arena_array(m->arena, Value *, op->operand_count);
    Value **dyields = yield_gradients(&v, g, active, dy);
    if (!pull_step(&v, g, active, dyields, grads)) return;
    end_step(&v, g, active, grads);
    settle_uses(&v);
    Value **finals = arena_array(m->arena, Value *, v.carries.n), **stacked = arena_array(m->arena, Value *, v.ys.n);
    if (!close_reverse(&v, g, finals, stacked)) return;
    for (int i = 0; i < f.carries; i++)
        if (active[i]) dx[f.consts + i] = *finals++;
    for (int i = 0; i < f.consts; i++)
        if (grads[i]) dx[i] = *finals++;
    for (int i = 0; i < f.xs; i++)
        if (grads[f.consts + f.carries + i]) dx[f.consts + f.carries + i] = *stacked++;
}

/* --------------------------------------------------------------------------------- while */

/* One step of the scan: what the loop does if it is still running, else nothing. */
static bool build_step(Builder *step, const WhileForm *f, Value *const *operands, Value *const *carries,
                       Value *running, Value **nexts) {
    Module *m = step->module;
    Value **values = arena_array(m->arena, Value *, f->consts + f->carries);
    for (int i = 0; i < f->consts; i++) values[i] = operands[i];
    for (int i = 0; i < f->carries; i++) values[f->consts + i] = carries[i];
    ValueMap map;
    Builder test = region_again(step, f->condition, &map);
    vec_push(m->arena, &test.region->yields, value_mapped(&map, f->condition->yields.at[0]));
    region_set_params(test.region, values);
    region_splice(step, test.region);
    Value *goes_on = build_map2(step, MAP_and, running, test.region->yields.at[0]);
    Builder body = region_again(step, f->body, &map), still = build_body(step);
    for (int i = 0; i < f->carries; i++)
        vec_push(m->arena, &body.region->yields, value_mapped(&map, f->body->yields.at[i]));
    region_set_params(body.region, values);
    Value **made = arena_copy(m->arena, body.region->yields.at, sizeof *made * (size_t)f->carries);
    body.region->yields.n = 0;
    nexts[f->carries] = goes_on;
    return build_cond(step, goes_on, &body, made, &still, carries, f->carries, nexts);
}

/* The scan that a while with a limit is, its carries those of the while and whether it is still running. */
static Op *build_masked(Builder *b, const Op *op) {
    Module *m = b->module;
    WhileForm f = while_form(op);
    int n = f.carries + 1;
    Value **inits = arena_array(m->arena, Value *, n), **carries = arena_array(m->arena, Value *, n);
    Value **nexts = arena_array(m->arena, Value *, n), **finals = arena_array(m->arena, Value *, n);
    Builder body = build_body(b);
    for (int i = 0; i < f.carries; i++) inits[i] = op->operands[f.consts + i];
    inits[f.carries] = build_constant(b, type_scalar(DTYPE_BOOL), 1);
    for (int i = 0; i < n; i++) carries[i] = build_body_param(&body, inits[i]->type, inits[i]->name);
    if (!build_step(&body, &f, op->operands, carries, carries[f.carries], nexts)) return NULL;
    ScanParts parts = {.body = &body, .carries = n, .inits = inits, .params = carries, .nexts = nexts,
                       .length = dim_const(&m->dims, f.limit)};
    return build_scan(b, &parts, finals, NULL) ? finals[0]->op : NULL;
}

/* Makes the while that scan: it keeps its place and results, and has one more. The ops that were made for it at the end
 * of its region, the last of which is the scan, move before it. */
static void become(Module *m, Op *op, Op *scan, int before) {
    Region *r = op->parent;
    int made = r->ops.n - 1 - before, at = 0;
    Op **ops = arena_copy(m->arena, r->ops.at + before, sizeof *ops * (size_t)made);
    while (r->ops.at[at] != op) at++;
    memmove(r->ops.at + at + made, r->ops.at + at, sizeof *r->ops.at * (size_t)(before - at));
    if (made) memcpy(r->ops.at + at, ops, sizeof *ops * (size_t)made);
    r->ops.n = before + made;
    Value *results = op->results;
    int room = op->result_room;
    for (int i = op->result_count; i < scan->result_count; i++) {
        results[i] = scan->results[i];
        results[i].op = op;
    }
    Span span = op->span;
    *op = *scan;
    op->results = results;
    op->result_room = room;
    op->span = span;
    for (int i = 0; i < op->region_count; i++) op->regions[i]->owner = op;
}

void grad_while(GradContext *g, const Op *op, Value *const *dy, Value **dx) {
    Module *m = g->b->module;
    WhileForm f = while_form(op);
    if (f.limit < 0) {
        int diag = diag_report(m->diags, DL0401, op->span, "a while has no gradient unless a limit of its steps is stated");
        diag_hint(m->diags, diag, "if what it computes is to count as a constant, wrap it in stop_gradient");
        return;
    }
    Value *const *operands = op->operands;
    Builder at = *g->b;
    at.region = op->parent;
    int before = at.region->ops.n;
    Op *scan = build_masked(&at, op), *self = op->results[0].op;
    if (!scan) return;
    become(m, self, scan, before);
    ScanForm s = scan_form(self);
    bool *wants = arena_array(m->arena, bool, self->operand_count);
    Value **dys = arena_array(m->arena, Value *, self->result_count);
    Value **dxs = arena_array(m->arena, Value *, self->operand_count);
    int *from = arena_array(m->arena, int, s.consts);
    for (int i = 0; i < s.consts; i++) {
        while (operands[from[i]] != self->operands[i]) from[i]++;
        wants[i] = g->wants[from[i]];
    }
    for (int i = 0; i < f.carries; i++) {
        wants[s.consts + i] = g->wants[f.consts + i];
        dys[i] = dy[i];
    }
    grad_scan(&(GradContext){g->b, wants}, self, dys, dxs);
    for (int i = 0; i < s.consts; i++) dx[from[i]] = dxs[i];
    for (int i = 0; i < f.carries; i++) dx[f.consts + i] = dxs[s.consts + i];
}
