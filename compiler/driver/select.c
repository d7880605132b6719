/* --function: compiles some of the exported functions alone.
 *
 * The others go, and with them the optimizer's state and the caches that nothing reads or writes any more. Parameters
 * and states stay, used or not, so that weight files of the whole model fit. */
#include "driver/driver.h"

static bool is_chosen(const DlccOptions *o, const Func *f) {
    for (int i = 0; i < o->functions.n; i++)
        if (!strcmp(o->functions.at[i], f->name)) return true;
    return false;
}

static DlccStatus check_names(Compilation *c) {
    const Module *m = c->module;
    for (int i = 0; i < c->options->functions.n; i++) {
        const char *name = c->options->functions.at[i];
        bool found = false;
        Text all = text_new(c->arena);
        for (int k = 0; k < m->funcs.n; k++) {
            found = found || !strcmp(m->funcs.at[k]->name, name);
            text_add(&all, "%s%s", k ? ", " : "", m->funcs.at[k]->name);
        }
        if (!found)
            return driver_fail(c, DLCC_USER, "%s exports no function `%s`; it has %s", m->name, name, text_get(&all));
    }
    return DLCC_OK;
}

static void note_used(const Func *f, bool *used) {
    for (int i = 0; i < f->inputs.n; i++)
        if (f->inputs.at[i].kind == PORT_VAR) used[f->inputs.at[i].var->id] = true;
    for (int i = 0; i < f->results.n; i++)
        if (f->results.at[i].var) used[f->results.at[i].var->id] = true;
}

/* The initializer no longer makes what is gone. */
static void drop_results(Func *f, const bool *gone) {
    int kept = 0;
    for (int i = 0; i < f->results.n; i++) {
        if (f->results.at[i].var && gone[f->results.at[i].var->id]) continue;
        f->results.at[kept] = f->results.at[i];
        f->body->yields.at[kept++] = f->body->yields.at[i];
    }
    f->results.n = f->body->yields.n = kept;
}

static void drop_variables(Compilation *c) {
    Module *m = c->module;
    bool *used = arena_array(c->arena, bool, m->vars.n + 1), *gone = arena_array(c->arena, bool, m->vars.n + 1);
    for (int i = 0; i < m->funcs.n; i++) note_used(m->funcs.at[i], used);
    int kept = 0;
    for (int i = 0; i < m->vars.n; i++) {
        const Var *v = m->vars.at[i];
        gone[v->id] = !used[v->id] && (v->kind == VAR_SLOT || v->kind == VAR_CACHE);
    }
    if (m->init) drop_results(m->init, gone);
    for (int i = 0; i < m->vars.n; i++) {
        Var *v = m->vars.at[i];
        if (gone[v->id]) continue;
        m->vars.at[kept] = v;
        kept++;
    }
    m->vars.n = kept;
    for (int i = 0; i < kept; i++) m->vars.at[i]->id = i;
}

DlccStatus select_functions(Compilation *c) {
    Module *m = c->module;
    if (!c->options->functions.n) return DLCC_OK;
    DlccStatus status = check_names(c);
    if (status) return status;
    int kept = 0;
    for (int i = 0; i < m->funcs.n; i++)
        if (is_chosen(c->options, m->funcs.at[i])) m->funcs.at[kept++] = m->funcs.at[i];
    m->funcs.n = kept;
    drop_variables(c);
    return DLCC_OK;
}
