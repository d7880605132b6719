/* fuse_write: groups become `fusion` ops. See fuse.c. Free operations are repeated inside every fusion that reads
 * through them; what others read of a group, or the function gives back, its fusion yields. */
#include "pass/fuse.h"

typedef struct Writer {
    Fuser *f;
    Region *to;                /* the new body */
    Value **now;               /* by old value id: its value in the new body */
    Value **inside;            /* by old value id: its value in the fusion being written, or null */
    VEC(Value *) touched;      /* old values whose `inside` is set */
    Region *region;
    VEC(Value *) operands;     /* new values the fusion reads */
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
    if (op && op_is_free(op) && (own || group_of_value(w->f, old) < 0)) {
        Value **operands = arena_array(w->f->scratch, Value *, op->operand_count + 1);
        for (int i = 0; i < op->operand_count; i++) operands[i] = inside_value(w, op->operands[i], number);
        set_inside(w, old, &copy_op(w, w->region, op, operands)->results[0]);
    } else {
        set_inside(w, old, region_add_param(w->f->module, w->region, old->type, old->name));
        vec_push(w->f->scratch, &w->operands, w->now[old->id]);
    }
    return w->inside[old->id];
}

static void write_members(Writer *w, const Group *g, int number) {
    for (int i = 0; i < g->ops.n; i++) {
        Op *op = g->ops.at[i];
        if (w->inside[op->results[0].id]) continue;
        Value **operands = arena_array(w->f->scratch, Value *, op->operand_count);
        for (int j = 0; j < op->operand_count; j++) operands[j] = inside_value(w, op->operands[j], number);
        Op *c = copy_op(w, w->region, op, operands);
        for (int j = 0; j < op->result_count; j++) set_inside(w, &op->results[j], &c->results[j]);
    }
}

typedef VEC(Value *) Values;

/* Members' results that are read outside the group. */
static Values find_outputs(const Fuser *f, const Group *g, const bool *escapes) {
    Values to = {0};
    for (int i = 0; i < g->ops.n; i++)
        for (int j = 0; j < g->ops.at[i]->result_count; j++)
            if (escapes[g->ops.at[i]->results[j].id]) vec_push(f->scratch, &to, &g->ops.at[i]->results[j]);
    return to;
}

/* An operation that is no kernel: its operands lie in memory. */
static void write_bare(Writer *w, const Op *op) {
    Value **operands = arena_array(w->f->scratch, Value *, op->operand_count + 1);
    for (int i = 0; i < op->operand_count; i++) operands[i] = w->now[op->operands[i]->id];
    Op *c = copy_op(w, w->to, op, operands);
    for (int i = 0; i < op->result_count; i++) w->now[op->results[i].id] = &c->results[i];
}

static void write_group(Writer *w, int number, const bool *escapes) {
    Fuser *f = w->f;
    const Group *g = f->groups.at[number];
    if (g->ops.at[0]->info->kind == KIND_OPAQUE) {
        write_bare(w, g->ops.at[0]);
        return;
    }
    w->region = region_new(f->module, f->func, NULL);
    w->operands.n = w->touched.n = 0;
    write_members(w, g, number);
    Values outputs = find_outputs(f, g, escapes);
    Op *fusion = op_append(f->module, w->to, &OP_fusion, w->operands.at, w->operands.n, outputs.n, NULL, 0, 1,
                           g->ops.at[0]->span);
    fusion->regions[0] = w->region;
    w->region->owner = fusion;
    for (int i = 0; i < outputs.n; i++) {
        Value *old = outputs.at[i];
        vec_push(f->module->arena, &w->region->yields, w->inside[old->id]);
        fusion->results[i].type = old->type;
        fusion->results[i].name = old->name;
        w->now[old->id] = &fusion->results[i];
    }
    for (int i = 0; i < w->touched.n; i++) w->inside[w->touched.at[i]->id] = NULL;
}

/* By value id: read by another group (looking through free ops) or a result of the function. */
static bool *find_escapes(Fuser *f) {
    bool *escapes = arena_array(f->scratch, bool, f->func->value_count);
    for (int n = 0; n < f->groups.n; n++) {
        const Group *g = f->groups.at[n];
        for (int i = 0; i < g->ops.n; i++) {
            Reads from = fuse_reads(f, g->ops.at[i]);
            for (int j = 0; j < from.n; j++)
                if (group_of_value(f, from.at[j].value) != n) escapes[from.at[j].value->id] = true;
        }
    }
    Region *body = f->func->body;
    for (int i = 0; i < body->yields.n; i++) escapes[body->yields.at[i]->id] = true;
    return escapes;
}

/* Groups in an order in which needed ones come first; among the ready the one opened first. Null if there is a
 * cycle, which would be a fault of the grouping. */
static int *order_groups(Fuser *f) {
    int *order = arena_array(f->scratch, int, f->groups.n + 1), done = 0;
    uint64_t *ran = arena_array(f->scratch, uint64_t, f->words);
    while (done < f->groups.n) {
        int before = done;
        for (int g = 0; g < f->groups.n; g++) {
            bool ready = !group_in(ran, g);
            for (int w = 0; ready && w < f->words; w++) ready = !(f->groups.at[g]->needs[w] & ~ran[w]);
            if (!ready) continue;
            group_put(ran, g);
            order[done++] = g;
        }
        if (done == before) return NULL;
    }
    return order;
}

void fuse_write(Fuser *f) {
    int values = f->func->value_count;
    bool *escapes = find_escapes(f);
    int *order = order_groups(f);
    if (!order) {
        diag_report(f->module->diags, DL0602, f->func->span, "fuse: groups of @%s wait for each other", f->func->name);
        return;
    }
    Writer w = {.f = f, .to = region_new(f->module, f->func, NULL)};
    w.now = arena_array(f->scratch, Value *, values + 1);
    w.inside = arena_array(f->scratch, Value *, values + 1);
    for (int i = 0; i < f->func->body->params.n; i++) {
        Value *p = f->func->body->params.at[i];
        w.now[p->id] = p;
        p->region = w.to;
    }
    w.to->params.at = f->func->body->params.at;
    w.to->params.n = w.to->params.room = f->func->body->params.n;
    for (int i = 0; i < f->groups.n; i++)
        if (f->groups.at[order[i]]->ops.n) write_group(&w, order[i], escapes);
    for (int i = 0; i < f->func->body->yields.n; i++)
        vec_push(f->module->arena, &w.to->yields, w.now[f->func->body->yields.at[i]->id]);
    f->func->body = w.to;
}
