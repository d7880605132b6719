/* Gradient of a while: with a limit it becomes a scan of that length whose steps, once it has ended, do nothing; and
 * the scan's gradient follows (grad_loop.c). Bodies are isolated, so what they look at after the end is what they saw at
 * the end: no check in them fails that has not failed before. */
#include "ops/region.h"
#include "ops/rules.h"

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
        int diag = diag_report(m->diags, DL0401, op->span, "a loop has no gradient unless a limit of its steps is stated");
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
