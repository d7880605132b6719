/* Rewriting a function in one walk: see rewrite.h. */
#include "pass/rewrite.h"
#include "ops/region.h"

typedef struct Rewrite {
    RewriteFn *rewrite;
    void *user;
    Builder builder;
    Value **now;               /* by number: what stands for the value, null for itself */
    int replaced;
} Rewrite;

static void update(const Rewrite *w, Value **use) {
    int id = (*use)->id;
    if (id >= 0 && w->now[id]) *use = w->now[id];
}

static void rewrite_region(Rewrite *w, Region *r);

static void rewrite_op(Rewrite *w, Region *r, Op *op) {
    for (int i = 0; i < op->operand_count; i++) update(w, &op->operands[i]);
    for (int i = 0; i < op->region_count; i++) rewrite_region(w, op->regions[i]);
    w->builder.region = r;
    w->builder.span = op->span;
    Value *const *by = w->rewrite(w->user, &w->builder, op);
    if (!by) {
        vec_push(w->builder.module->arena, &r->ops, op);
        return;
    }
    for (int i = 0; i < op->result_count; i++) {
        w->now[op->results[i].id] = by[i];
        if (by[i]->op && !by[i]->name) by[i]->name = op->results[i].name;
    }
    w->replaced++;
}

/* The region's ops are taken out and put back one by one, so the builder appends in the right place. */
static void rewrite_region(Rewrite *w, Region *r) {
    Op **ops = r->ops.at;
    int n = r->ops.n;
    r->ops.at = NULL;
    r->ops.n = r->ops.room = 0;
    for (int i = 0; i < n; i++) rewrite_op(w, r, ops[i]);
    for (int i = 0; i < r->yields.n; i++) update(w, &r->yields.at[i]);
}

int graph_rewrite(Func *f, Arena *scratch, RewriteFn *rewrite, void *user) {
    Rewrite w = {.rewrite = rewrite, .user = user, .builder = {.module = f->module, .func = f}};
    w.now = arena_array(scratch, Value *, graph_number(f));
    rewrite_region(&w, f->body);
    return w.replaced;
}

static bool is_live(const Op *op, const bool *live) {
    for (int i = 0; i < op->result_count; i++)
        if (live[op->results[i].id]) return true;
    return op_has_check(op);
}

/* Walks against the order, so that an op's uses have all been met before it. */
static void sweep_region(Region *r, bool *live) {
    for (int i = 0; i < r->yields.n; i++) live[r->yields.at[i]->id] = true;
    int kept = r->ops.n;
    for (int i = r->ops.n - 1; i >= 0; i--) {
        Op *op = r->ops.at[i];
        if (!is_live(op, live)) continue;
        for (int j = 0; j < op->operand_count; j++) live[op->operands[j]->id] = true;
        for (int j = 0; j < op->region_count; j++) sweep_region(op->regions[j], live);
        r->ops.at[--kept] = op;
    }
    r->ops.n -= kept;
    if (kept) memmove(r->ops.at, r->ops.at + kept, sizeof *r->ops.at * (size_t)r->ops.n);
}

bool *graph_sweep(Func *f, Arena *scratch) {
    bool *live = arena_array(scratch, bool, graph_number(f));
    sweep_region(f->body, live);
    return live;
}

void module_each_func(Module *m, FuncVisitor *visit, void *user) {
    for (int i = 0; i < m->funcs.n; i++) visit(user, m->funcs.at[i]);
    if (m->init) visit(user, m->init);
    if (m->prepare) visit(user, m->prepare);
}
