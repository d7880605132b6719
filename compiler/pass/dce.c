/* dce: removes what nothing uses.
 *
 * In: any module. Out: every op has a result that is used, or is or holds a check; operators with bodies have no
 * results, carries and operands but used ones; inputs that nothing reads are gone unless they are arguments; a variable
 * whose new version is the old one is not written. */
#include "pass/pass.h"
#include "pass/rewrite.h"

/* Drops new versions that are the old ones. */
static void drop_idle_writes(Func *f) {
    int n = 0;
    for (int i = 0; i < f->results.n; i++) {
        const Value *v = f->body->yields.at[i];
        const Var *var = f->results.at[i].var;
        bool idle = var && v->region == f->body && f->inputs.at[v->index].var == var;
        if (idle) continue;
        f->results.at[n] = f->results.at[i];
        f->body->yields.at[n++] = f->body->yields.at[i];
    }
    f->results.n = f->body->yields.n = n;
}

static void drop_dead_inputs(Func *f, const bool *live) {
    int n = 0;
    for (int i = 0; i < f->inputs.n; i++) {
        Value *v = f->body->params.at[i];
        if (!live[v->id] && f->inputs.at[i].kind != PORT_ARG) continue;
        v->index = n;
        f->inputs.at[n] = f->inputs.at[i];
        f->body->params.at[n++] = v;
    }
    f->inputs.n = f->body->params.n = n;
}

static void sweep_func(void *user, Func *f) {
    PassContext *c = user;
    drop_idle_writes(f);
    drop_dead_inputs(f, graph_trim(f, c->scratch));
}

void pass_dce(PassContext *c, Module *m) { module_each_func(m, sweep_func, c); }
