/* lower: see lower.h. For each function: a buffer for every value that fusions exchange, a kernel for
 * every fusion, and an order of steps. Here what belongs to the function: its inputs, its results, its variables.
 * lower_order.c places and orders the ops of its body, lower_region.c those of loops and branches. */
#include "pass/lower.h"

#include "ir/kernel_util.h"

static int var_buf(Lowering *l, Var *var) {
    int *buf = &l->var_buf[var->id];
    if (*buf >= 0) return *buf;
    PlanBuf b = buf_for(l, PLACE_VAR, var->type, var->name);
    b.var = var;
    return *buf = plan_add_buf(l, b);
}

static void place_inputs(Lowering *l) {
    for (int i = 0, arg = 0; i < l->func->inputs.n; i++) {
        static const BufPlace places[] = {[PORT_ARG] = PLACE_ARG, [PORT_SEED] = PLACE_SEED, [PORT_COUNT] = PLACE_COUNT};
        const Port *port = &l->func->inputs.at[i];
        const Value *v = l->func->body->params.at[i];
        int buf;
        if (port->kind == PORT_VAR) {
            buf = var_buf(l, port->var);
        } else {
            PlanBuf b = buf_for(l, places[port->kind], v->type, port->name);
            if (port->kind == PORT_ARG) b.index = arg++;
            buf = plan_add_buf(l, b);
        }
        l->at[v->id] = whole_buf(l, buf, v->type);
    }
}

/* The caller's buffers and the variables' memory. */
static Yield *place_outputs(Lowering *l) {
    const Func *f = l->func;
    Yield *yields = arena_array(l->scratch, Yield, f->results.n + 1);
    for (int i = 0, result = 0; i < f->results.n; i++) {
        const Result *r = &f->results.at[i];
        Type t = f->body->yields.at[i]->type;
        PlanBuf b = buf_for(l, PLACE_RESULT, t, r->name);
        if (!r->var) b.index = result++;
        yields[i] = (Yield){.to = whole_buf(l, r->var ? var_buf(l, r->var) : plan_add_buf(l, b), t), .param = -1};
    }
    return yields;
}

static void note_bound(void *user, Op *op) {
    Lowering *l = user;
    if (op_control(op) == CONTROL_BIND) l->bound[op_bound_dim(l, op)->id] = true;
}

/* Drops workspace buffers that no step touches: what was made elsewhere after all. */
static void drop_unused(Lowering *l, const Steps *steps) {
    Plan *p = l->plan;
    bool *used = arena_array(l->scratch, bool, p->bufs.n + 1);
    int *now = arena_array(l->scratch, int, p->bufs.n + 1), n = 0;
    for (int i = 0; i < steps->n; i++)
        for (int k = 0; k < step_buf_count(&steps->at[i]); k++) used[steps->at[i].bufs[k]] = true;
    for (int i = 0; i < p->bufs.n; i++) {
        if (p->bufs.at[i].place == PLACE_ARENA && !used[i]) continue;
        p->bufs.at[n] = p->bufs.at[i];
        now[i] = n++;
    }
    p->bufs.n = n;
    for (int i = 0; i < steps->n; i++) {
        int count = step_buf_count(&steps->at[i]), *bufs = arena_array(l->arena, int, count + 1);
        for (int k = 0; k < count; k++) bufs[k] = now[steps->at[i].bufs[k]];
        steps->at[i].bufs = bufs;
        vec_push(l->arena, &p->steps, steps->at[i]);
    }
}

static bool lower_func(Lowering *l, Func *func) {
    Steps steps = {0};
    l->func = func;
    l->plan = arena_new(l->arena, Plan);
    l->plan->func = func;
    int values = graph_number(func) + 1;
    l->at = arena_array(l->scratch, Layout, values);
    l->writer = arena_array(l->scratch, int, values);
    l->readers = arena_array(l->scratch, Ints, values);
    l->memo = arena_alloc(l->scratch, sizeof *l->memo * (size_t)values);
    l->uses = graph_use_counts(func, l->scratch);
    l->var_buf = arena_array(l->scratch, int, l->m->vars.n + 1);
    for (int i = 0; i < values; i++) l->at[i].buf = l->writer[i] = -1;
    l->bound = arena_array(l->scratch, bool, l->m->dims.symbols.n + 1);
    for (int i = 0; i < l->m->vars.n; i++) l->var_buf[i] = -1;
    region_walk(func->body, note_bound, l);
    place_inputs(l);
    bool good = lower_body(l, func->body, place_outputs(l), &steps);
    drop_unused(l, &steps);
    return good;
}

KModule *lower_module(PassContext *c, Module *m) {
    Lowering l = {.m = m, .arena = c->arena, .scratch = c->scratch, .diags = c->diags, .interned = map_new(c->scratch)};
    l.km = arena_new(c->arena, KModule);
    l.km->graph = m;
    l.km->arena = c->arena;
    dim_table_init(&l.km->dims, c->arena, m->names);
    bool ok = true;
    for (int i = 0; i < m->funcs.n; i++) {
        ok &= lower_func(&l, m->funcs.at[i]);
        vec_push(c->arena, &l.km->plans, l.plan);
    }
    if (m->init) {
        ok &= lower_func(&l, m->init);
        l.km->init = l.plan;
    }
    if (m->prepare) {
        ok &= lower_func(&l, m->prepare);
        l.km->prepare = l.plan;
    }
    return ok && !c->diags->errors ? l.km : NULL;
}
