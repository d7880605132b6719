/* Checks: steps that end a call whose data do not fit, before anything reads with them. */
#include "ops/index.h"
#include "pass/lower_order.h"

bool may_fail(const Op *op) {
    if (op->info->kind == KIND_INDEX || op_control(op) == CONTROL_BIND || op_control(op) == CONTROL_REQUIRE) return true;
    for (int r = 0; r < op->region_count; r++)
        for (int i = 0; i < op->regions[r]->ops.n; i++)
            if (may_fail(op->regions[r]->ops.at[i])) return true;
    return false;
}

/* Indices lie in memory: the value, through relabellings, broadcasts and the like. */
static const Value *memory_source(const Value *v) {
    while (v->op && v->op->info->kind == KIND_MOVE) v = v->op->operands[0];
    return v->op ? NULL : v;
}

/* The draft that checks index i of `op`. That indices and masks lie in memory is the fuse pass's to see to. */
static int draft_check(Order *o, const Op *fusion, const Op *op, int i) {
    Lowering *l = o->l;
    IndexParts p = index_parts(op);
    const Value *source = memory_source(p.indices[i]);
    if (!source || (p.mask && (p.mask->op || source != p.indices[i]))) {
        diag_report(l->diags, DL0602, op->span, "lower: indices of `%s` are not in memory, so nothing checks them",
                    op->info->name);
        return -1;
    }
    Draft draft = {.kind = DRAFT_CHECK, .value = fusion->operands[source->index], .limit = index_limit(&l->m->dims, op, i),
                   .what = p.what, .span = op->span, .fails = true};
    if (p.mask) draft.mask = fusion->operands[p.mask->index];
    for (int k = 0; k < o->checks.n; k++) {
        const Draft *d = &o->drafts.at[o->checks.at[k]];
        if (d->value == draft.value && d->mask == draft.mask && d->limit == draft.limit) return o->checks.at[k];
    }
    int number = order_add(o, draft);
    order_read(o, number, draft.value);
    if (p.mask) order_read(o, number, draft.mask);
    vec_push(l->scratch, &o->checks, number);
    return number;
}

void check_draft(Order *o, const Op *fusion, int reader) {
    const Region *body = fusion->regions[0];
    for (int i = 0; i < body->ops.n; i++) {
        const Op *op = body->ops.at[i];
        for (int k = 0; op->info->kind == KIND_INDEX && k < index_parts(op).count; k++) {
            int check = draft_check(o, fusion, op, k);
            if (check >= 0) order_after(o, check, reader);
        }
    }
}

/* Where the value lies without gaps and, if its order matters, row-major: copied there if need be. */
static Layout gathered(Order *o, const Value *v, bool in_order, Steps *to) {
    Lowering *l = o->l;
    const Layout *at = &l->at[v->id];
    bool whole_var = !at->scalar && l->plan->bufs.at[at->buf].place == PLACE_VAR &&
                     l->plan->bufs.at[at->buf].elements == type_elements(&l->m->dims, v->type);
    if (is_compact(l, at, v->type) || (whole_var && !in_order)) return *at;
    Layout copy = new_layout(l, v->type, v->name);
    add_copy_step(l, v->type, &copy, at, to);
    return copy;
}

void check_lower(Order *o, Draft *d) {
    Lowering *l = o->l;
    Layout index = gathered(o, d->value, d->mask, &d->steps), mask = {.buf = -1, .offset = index.offset};
    if (d->mask) mask = gathered(o, d->mask, true, &d->steps);
    const char *name = l->at[d->value->id].scalar ? "index" : l->plan->bufs.at[l->at[d->value->id].buf].name;
    PlanStep s = {.kind = STEP_CHECK, .limit = d->limit, .span = d->span, .masked = d->mask, .what = d->what ? d->what : name,
                  .extent = type_elements(&l->m->dims, d->value->type)};
    s.bufs = arena_copy(l->arena, (int[]){index.buf, mask.buf}, 2 * sizeof *s.bufs);
    s.offsets = arena_copy(l->arena, (Dim[]){index.offset, mask.offset}, 2 * sizeof *s.offsets);
    vec_push(l->scratch, &d->steps, s);
}
