/* Checks: steps that end a call whose data do not fit, before anything reads with them.
 *
 * Indices that a loop takes apart are checked as a whole before it, and so are those that come into it unchanged if it
 * surely runs: that is one check instead of many, and the loop itself cannot fail, so that what it carries may lie in
 * variables. A loop's own index is known to be below its length. */
#include "ops/index.h"
#include "ops/region.h"
#include "pass/lower_order.h"

/* One check: in the region of the fusion that needs it. */
typedef struct Need {
    Value *index, *mask; /* in memory; mask may be null */
    Dim limit;
    const char *what; /* may be null */
    Span span;
} Need;

/* Indices lie in memory: the value, through relabellings, broadcasts and the like. */
static const Value *memory_source(const Value *v) {
    while (v->op && v->op->info->kind == KIND_MOVE) v = v->op->operands[0];
    return v->op ? NULL : v;
}

/* What must be checked of index i of `op`. That indices and masks lie in memory is the fuse pass's to see to; false if
 * they do not. */
static bool find_need(Lowering *l, const Op *fusion, const Op *op, int i, Need *need) {
    IndexParts p = index_parts(op);
    const Value *source = memory_source(p.indices[i]);
    if (!source || (p.mask && (p.mask->op || source != p.indices[i]))) return false;
    *need = (Need){.index = fusion->operands[source->index],
                   .mask = p.mask ? fusion->operands[p.mask->index] : NULL,
                   .limit = index_limit(&l->m->dims, op, i),
                   .what = p.what,
                   .span = op->span};
    return true;
}

/* ------------------------------------------------------------------- what needs no check */

/* Whether v is the index of a loop that ends in time. */
static bool is_low_index(const Lowering *l, const Value *v, Dim limit) {
    const Op *loop = v->op ? NULL : v->region->owner;
    if (!loop || op_control(loop) != CONTROL_SCAN || v->index != v->region->params.n - 1) return false;
    return dim_sub(&l->m->dims, limit, scan_form(loop).length)->lower >= 0;
}

static bool is_met(const Lowering *l, const Need *need) {
    if (is_low_index(l, need->index, need->limit)) return true;
    for (int i = 0; i < l->met.n; i++) {
        const CheckMet *m = &l->met.at[i];
        if (m->index == need->index && m->mask == need->mask && m->limit == need->limit) return true;
    }
    return false;
}

bool may_fail(Lowering *l, const Op *op) {
    Control control = op_control(op);
    if (control == CONTROL_BIND || control == CONTROL_REQUIRE) return true;
    for (int r = 0; r < op->region_count; r++)
        for (int i = 0; i < op->regions[r]->ops.n; i++) {
            const Op *inner = op->regions[r]->ops.at[i];
            if (control != CONTROL_FUSION && may_fail(l, inner)) return true;
            Need need;
            for (int k = 0;
                 control == CONTROL_FUSION && inner->info->kind == KIND_INDEX && k < index_parts(inner).count; k++)
                if (!find_need(l, op, inner, k, &need) || !is_met(l, &need)) return true;
        }
    return false;
}

/* ------------------------------------------------------------------------------- drafts */

static int draft_need(Order *o, const Need *need) {
    Lowering *l = o->l;
    for (int k = 0; k < o->checks.n; k++) {
        const Draft *d = &o->drafts.at[o->checks.at[k]];
        if (d->value == need->index && d->mask == need->mask && d->limit == need->limit) return o->checks.at[k];
    }
    int number = order_add(o, (Draft){.kind = DRAFT_CHECK,
                                      .value = need->index,
                                      .mask = need->mask,
                                      .limit = need->limit,
                                      .what = need->what,
                                      .span = need->span,
                                      .fails = true});
    order_read(o, number, need->index);
    if (need->mask) order_read(o, number, need->mask);
    vec_push(l->scratch, &o->checks, number);
    return number;
}

void check_draft(Order *o, const Op *fusion, int reader) {
    const Region *body = fusion->regions[0];
    for (int i = 0; i < body->ops.n; i++) {
        const Op *op = body->ops.at[i];
        Need need;
        for (int k = 0; op->info->kind == KIND_INDEX && k < index_parts(op).count; k++) {
            if (!find_need(o->l, fusion, op, k, &need))
                diag_report(o->l->diags, DL0602, op->span,
                            "lower: indices of `%s` are not in memory, so nothing checks them", op->info->name);
            else if (!is_met(o->l, &need))
                order_after(o, draft_need(o, &need), reader);
        }
    }
}

/* The value outside of a loop that all of v's values in it are parts of, once it has run, and the axis they are cut
 * along (-1: v is that value). Null if there is none. */
static Value *whole_of(const Value *v, int *axis) {
    const Op *loop = v->region->owner;
    ScanForm f = scan_form(loop);
    int x = v->index - f.consts - f.carries;
    *axis = x >= 0 && x < f.xs ? (int)f.axes[x] : -1;
    if (*axis >= 0 || (v->index < f.consts && f.length->lower > 0)) return loop->operands[v->index];
    return NULL;
}

/* Takes a check out of the loops around it to region `to`; false if it must stay further in. */
static bool move_out(Need *need, const Region *to) {
    while (value_region(need->index) != to) {
        int axis, mask_axis;
        if (need->index->op || (need->mask && need->mask->op)) return false;
        need->index = whole_of(need->index, &axis);
        if (!need->index) return false;
        if (!need->mask) continue;
        need->mask = whole_of(need->mask, &mask_axis);
        if (!need->mask || axis != mask_axis) return false;
    }
    return true;
}

/* Drafts what can be checked before the loop of what is needed in its body. */
static void check_body(Order *o, const Region *body, int loop) {
    for (int i = 0; i < body->ops.n; i++) {
        const Op *op = body->ops.at[i];
        if (op_control(op) == CONTROL_SCAN) check_body(o, op->regions[0], loop);
        for (int j = 0; op_control(op) == CONTROL_FUSION && j < op->regions[0]->ops.n; j++) {
            const Op *inner = op->regions[0]->ops.at[j];
            Need need, moved;
            for (int k = 0; inner->info->kind == KIND_INDEX && k < index_parts(inner).count; k++) {
                if (!find_need(o->l, op, inner, k, &need) || is_met(o->l, &need)) continue;
                moved = need;
                if (!move_out(&moved, o->region) || !order_knows(o, moved.limit)) continue;
                order_after(o, draft_need(o, &moved), loop);
                vec_push(o->l->scratch, &o->l->met, (CheckMet){need.index, need.mask, need.limit});
            }
        }
    }
}

void check_draft_loop(Order *o, const Op *loop, int draft) {
    if (op_control(loop) == CONTROL_SCAN) check_body(o, loop->regions[0], draft);
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
    PlanStep s = {.kind = STEP_CHECK,
                  .limit = d->limit,
                  .span = d->span,
                  .masked = d->mask,
                  .what = d->what ? d->what : name,
                  .extent = type_elements(&l->m->dims, d->value->type)};
    s.bufs = arena_copy(l->arena, (int[]){index.buf, mask.buf}, 2 * sizeof *s.bufs);
    s.offsets = arena_copy(l->arena, (Dim[]){index.offset, mask.offset}, 2 * sizeof *s.offsets);
    vec_push(l->scratch, &d->steps, s);
}
