/* fuse_write: groups become `fusion` ops. See fuse.c. Free operations are repeated inside every fusion that reads
 * through them; what others read of a group, or the region yields, its fusion yields. What a loop's body yields twice,
 * as a carry and to be stacked, the fusion yields twice, so that it is written to both places at once. */
#include "pass/fuse.h"

typedef struct Writer {
    Fuser *f;
    Region *to;           /* the new one */
    Value **now;          /* by old value id: its value in the new region */
    Value **inside;       /* by old value id: its value in the fusion being written, or null */
    Value **yields;       /* what the new region yields, or null: what has become of the old yield */
    VEC(Value *) touched; /* old values whose `inside` is set */
    Region *region;
    VEC(Value *) operands; /* new values the fusion reads */
} Writer;

static Op *copy_op(Writer *w, Region *to, const Op *op, Value **operands) {
    Op *c = op_append(w->f->module, to, op->info, operands, op->operand_count, op->result_count, op->attrs,
                      op->attr_count, 0, op->span);
    for (int i = 0; i < op->result_count; i++) {
        c->results[i].type = op->results[i].type;
        c->results[i].name = op->results[i].name;
    }
    return c;
}

static void set_inside(Writer *w, Value *old, Value *value) {
    w->inside[old->id] = value;
    vec_push(w->f->scratch, &w->touched, old);
}

/* The value inside the fusion for an old value: a member's, a repeated free op's, or a new operand. */
static Value *inside_value(Writer *w, Value *old, int number) {
    if (w->inside[old->id]) return w->inside[old->id];
    Op *op = old->op;
    bool own = group_of_value(w->f, old) == number;
    bool free = op && op_is_free(w->f, op) && (own || group_of_value(w->f, old) < 0);
    if (free || group_repeats(w->f->groups.at[number], old)) {
        Value **operands = arena_array(w->f->scratch, Value *, op->operand_count + 1);
        for (int i = 0; i < op->operand_count; i++) operands[i] = inside_value(w, op->operands[i], number);
        set_inside(w, old, &copy_op(w, w->region, op, operands)->results[0]);
    } else {
        set_inside(w, old, region_add_param(w->f->module, w->region, old->type, old->name));
        vec_push(w->f->scratch, &w->operands, w->now[old->id]);
    }
    return w->inside[old->id];
}

typedef VEC(Value *) Values;

/* Marks v, and what it is computed from by the free and repeated operations between members. */
static void mark_needed(const Writer *w, const Group *g, ValueMap *needed, Value *v) {
    if (value_map_get(needed, v)) return;
    value_map_set(needed, v, v);
    bool between = v->op && ((group_of_value(w->f, v) < 0 && op_is_free(w->f, v->op)) || group_repeats(g, v));
    for (int i = 0; between && i < v->op->operand_count; i++) mark_needed(w, g, needed, v->op->operands[i]);
}

/* Which members the outputs are computed from: what they were for besides may be repeated by others. */
static bool *find_needed(const Writer *w, const Group *g, const Values *outputs) {
    ValueMap needed = value_map_new(w->f->scratch);
    bool *is_needed = arena_array(w->f->scratch, bool, g->ops.n);
    for (int i = 0; i < outputs->n; i++) mark_needed(w, g, &needed, outputs->at[i]);
    for (int i = g->ops.n - 1; i >= 0; i--) {
        const Op *op = g->ops.at[i];
        is_needed[i] = op_has_check(op);
        for (int k = 0; k < op->result_count; k++)
            is_needed[i] = is_needed[i] || value_map_get(&needed, &op->results[k]);
        for (int k = 0; is_needed[i] && k < op->operand_count; k++) mark_needed(w, g, &needed, op->operands[k]);
    }
    return is_needed;
}

static void write_members(Writer *w, const Group *g, int number, const Values *outputs) {
    const bool *is_needed = find_needed(w, g, outputs);
    for (int i = 0; i < g->ops.n; i++) {
        Op *op = g->ops.at[i];
        if (!is_needed[i] || w->inside[op->results[0].id]) continue;
        Value **operands = arena_array(w->f->scratch, Value *, op->operand_count);
        for (int j = 0; j < op->operand_count; j++) operands[j] = inside_value(w, op->operands[j], number);
        Op *c = copy_op(w, w->region, op, operands);
        for (int j = 0; j < op->result_count; j++) set_inside(w, &op->results[j], &c->results[j]);
    }
}

/* Members' results that are read outside the group, then those that are yielded again. */
static Values find_outputs(const Fuser *f, const Group *g) {
    Values to = {0};
    for (int i = 0; i < g->ops.n; i++)
        for (int j = 0; j < g->ops.at[i]->result_count; j++)
            if (f->escapes[g->ops.at[i]->results[j].id]) vec_push(f->scratch, &to, &g->ops.at[i]->results[j]);
    for (int i = 0; i < g->again.n; i++) vec_push(f->scratch, &to, f->body->yields.at[g->again.at[i]]);
    return to;
}

/* The place of a group is that of its contraction, else of the first member that is no move. */
static Span group_span(const Group *g) {
    for (int i = 0; i < g->ops.n; i++)
        if (g->ops.at[i]->info->kind == KIND_CONTRACT) return g->ops.at[i]->span;
    for (int i = 0; i < g->ops.n; i++)
        if (g->ops.at[i]->info->kind != KIND_MOVE) return g->ops.at[i]->span;
    return g->ops.at[0]->span;
}

static void write_group(Writer *w, int number) {
    Fuser *f = w->f;
    const Group *g = f->groups.at[number];
    Values outputs = find_outputs(f, g);
    if (!outputs.n) return; /* all of it is repeated by others */
    w->region = region_new(f->module, f->func, NULL);
    w->operands.n = w->touched.n = 0;
    write_members(w, g, number, &outputs);
    Op *fusion = op_append(f->module, w->to, &OP_fusion, w->operands.at, w->operands.n, outputs.n, NULL, 0, 1,
                           group_span(g));
    fusion->regions[0] = w->region;
    w->region->owner = fusion;
    int first_again = outputs.n - g->again.n;
    for (int i = 0; i < outputs.n; i++) {
        Value *old = outputs.at[i];
        vec_push(f->module->arena, &w->region->yields, w->inside[old->id]);
        fusion->results[i].type = old->type;
        fusion->results[i].name = old->name;
        *(i < first_again ? &w->now[old->id] : &w->yields[g->again.at[i - first_again]]) = &fusion->results[i];
    }
    for (int i = 0; i < w->touched.n; i++) w->inside[w->touched.at[i]->id] = NULL;
}

/* An op that stands alone moves to the new region. */
static void move_op(Writer *w, Op *op) {
    for (int i = 0; i < op->operand_count; i++) op->operands[i] = w->now[op->operands[i]->id];
    for (int i = 0; i < op->result_count; i++) w->now[op->results[i].id] = &op->results[i];
    op->parent = w->to;
    vec_push(w->f->module->arena, &w->to->ops, op);
}

/* What the op reads escapes from the groups that make it; where its group n repeats that, what is read for it. */
static void mark_escapes(Fuser *f, int n, const Op *op) {
    Reads from = fuse_reads(f, op);
    for (int j = 0; j < from.n; j++) {
        const Value *v = from.at[j].value;
        if (!v || group_of_value(f, v) == n) continue;
        if (group_repeats(f->groups.at[n], v)) mark_escapes(f, n, v->op);
        else f->escapes[v->id] = true;
    }
}

static void find_escapes(Fuser *f) {
    for (int n = 0; n < f->groups.n; n++)
        for (int i = 0; i < f->groups.at[n]->ops.n; i++) mark_escapes(f, n, f->groups.at[n]->ops.at[i]);
    Region *body = f->body;
    bool *yielded = arena_array(f->scratch, bool, f->room);
    for (int i = 0; i < body->yields.n; i++) {
        const Value *v = body->yields.at[i];
        int group = group_of_value(f, v);
        if (body->owner && yielded[v->id] && group >= 0 && f->groups.at[group]->form != GROUP_ALONE)
            vec_push(f->scratch, &f->groups.at[group]->again, i);
        f->escapes[v->id] = yielded[v->id] = true;
    }
}

typedef struct Ready {
    int *heap, n; /* groups, the one whose turn is first on top */
} Ready;

static bool comes_first(const Fuser *f, int a, int b) {
    int x = f->groups.at[a]->turn, y = f->groups.at[b]->turn;
    return x != y ? x < y : a < b;
}

static void put_ready(const Fuser *f, Ready *r, int group) {
    int i = r->n++;
    for (; i > 0 && comes_first(f, group, r->heap[(i - 1) / 2]); i = (i - 1) / 2) r->heap[i] = r->heap[(i - 1) / 2];
    r->heap[i] = group;
}

static int take_ready(const Fuser *f, Ready *r) {
    int top = r->heap[0], last = r->heap[--r->n], i = 0;
    for (int child = 1; child < r->n; child = 2 * i + 1) {
        if (child + 1 < r->n && comes_first(f, r->heap[child + 1], r->heap[child])) child++;
        if (comes_first(f, last, r->heap[child])) break;
        r->heap[i] = r->heap[child];
        i = child;
    }
    r->heap[i] = last;
    return top;
}

static bool makes_scalars(const Group *g) {
    for (int i = 0; i < g->ops.n; i++)
        for (int k = 0; k < g->ops.at[i]->result_count; k++)
            if (g->ops.at[i]->results[k].type.rank) return false;
    return true;
}

/* Marks the groups that make nothing but numbers, of inputs and others of their kind, as an optimiser's rates. */
static bool *find_numbers(const Fuser *f) {
    int n = f->groups.n;
    bool *scalars = arena_array(f->scratch, bool, n + 1), *numbers = arena_array(f->scratch, bool, n + 1);
    for (int g = 0; g < n; g++) scalars[g] = makes_scalars(f->groups.at[g]);
    for (int g = 0; g < n; g++) {
        numbers[g] = scalars[g];
        for (int h = 0; numbers[g] && h < n; h++) numbers[g] = scalars[h] || !group_in(f->groups.at[g]->needs, h);
    }
    return numbers;
}

/* A group's turn is when program order reaches the last opened of it and all it needs, but for numbers: no large value
 * waits for one. */
static void find_turns(Fuser *f, const bool *numbers) {
    for (int g = 0; g < f->groups.n; g++) {
        Group *group = f->groups.at[g];
        group->turn = group->first;
        for (int h = 0; h < f->groups.n; h++)
            if (!numbers[h] && f->groups.at[h]->ops.n && group_in(group->needs, h) && f->groups.at[h]->first > group->turn)
                group->turn = f->groups.at[h]->first;
    }
}

static bool needs_none(const Fuser *f, const Group *g) {
    for (int w = 0; w < f->words; w++)
        if (g->needs[w]) return false;
    return true;
}

typedef struct Ordering {
    int *order, done;
    bool *waiting;             /* by group: it is to come just before the first that needs it */
} Ordering;

/* Puts down a group, behind those it needs that have been waiting for that. */
static void put_down(const Fuser *f, Ordering *o, int g) {
    o->waiting[g] = false;
    for (int h = 0; h < f->groups.n; h++)
        if (o->waiting[h] && group_in(f->groups.at[g]->needs, h)) put_down(f, o, h);
    o->order[o->done++] = g;
}

/* Groups in an order in which needed ones come first; among the ready the one whose turn is first. Those that need no
 * other, make numbers, or compute again, come just before the first that needs them, so that nothing is made long before
 * it is read. Null if there is a cycle, which would be a fault of the grouping. */
int *fuse_order(Fuser *f) {
    bool *numbers = find_numbers(f);
    find_turns(f, numbers);
    int n = f->groups.n, *waits = arena_array(f->scratch, int, n + 1);
    Ordering o = {arena_array(f->scratch, int, n + 1), 0, arena_array(f->scratch, bool, n + 1)};
    Ready ready = {arena_array(f->scratch, int, n + 1), 0};
    bool *late = arena_array(f->scratch, bool, n + 1);
    for (int g = 0; g < n; g++) {
        const Group *group = f->groups.at[g];
        late[g] = o.waiting[g] = group->needed && (group->computes_again || numbers[g] || needs_none(f, group));
    }
    for (int g = 0; g < n; g++) {
        for (int h = 0; h < n; h++) waits[g] += group_in(f->groups.at[g]->needs, h) && !late[h];
        if (!waits[g] && !late[g]) put_ready(f, &ready, g);
    }
    while (ready.n) {
        int g = take_ready(f, &ready);
        put_down(f, &o, g);
        for (int h = 0; h < n; h++)
            if (group_in(f->groups.at[h]->needs, g) && !--waits[h] && !late[h]) put_ready(f, &ready, h);
    }
    for (int g = 0; g < n; g++)
        if (o.waiting[g]) put_down(f, &o, g);                 /* those that needed it have gone elsewhere */
    return o.done == n ? o.order : NULL;
}

/* The new region takes the old one's place. */
static void replace_region(Fuser *f, Region *to) {
    Region *old = f->body;
    Op *owner = to->owner = old->owner;
    for (int i = 0; owner && i < owner->region_count; i++)
        if (owner->regions[i] == old) owner->regions[i] = to;
    if (!owner) f->func->body = to;
}

void fuse_write(Fuser *f) {
    Region *old = f->body;
    find_escapes(f);
    int *order = fuse_order(f);
    if (!order) {
        diag_report(f->module->diags, DL0602, f->func->span, "fuse: groups of @%s wait for each other", f->func->name);
        return;
    }
    Writer w = {.f = f, .to = region_new(f->module, f->func, NULL), .now = f->now, .inside = f->inside};
    w.yields = arena_array(f->scratch, Value *, old->yields.n + 1);
    for (int i = 0; i < old->params.n; i++) {
        Value *p = old->params.at[i];
        w.now[p->id] = p;
        p->region = w.to;
    }
    w.to->params.at = old->params.at;
    w.to->params.n = w.to->params.room = old->params.n;
    for (int i = 0; i < f->groups.n; i++) {
        const Group *g = f->groups.at[order[i]];
        if (g->ops.n && op_stands_alone(g->ops.at[0]))
            move_op(&w, g->ops.at[0]);
        else if (g->ops.n)
            write_group(&w, order[i]);
    }
    for (int i = 0; i < old->yields.n; i++)
        vec_push(f->module->arena, &w.to->yields, w.yields[i] ? w.yields[i] : w.now[old->yields.at[i]->id]);
    replace_region(f, w.to);
}
