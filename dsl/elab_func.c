/* Functions of the module: exported ones, and the one that computes initial values. */
#include "elab_region.h"

/* ---------------------------------------------------------------- versions */

static Version *version_of(Elab *e, FuncBuild *f, const Var *var) {
    while (f->versions.n <= var->id) vec_push(e->arena, &f->versions, (Version){0});
    return &f->versions.at[var->id];
}

Value *elab_read(Elab *e, Span at, Var *var) {
    Version *v = version_of(e, e->build, var);
    if (!v->value && e->build->init) {
        elab_fail(e, DL0308, at, "`%s` has no value yet: initial values are computed in the order of declarations",
                  var->name);
        return NULL;
    }
    if (!v->value) v->value = func_var(e->build->b.func, var);
    if (v->written && !v->sealed) {            /* what is read from a variable is a constant for gradients */
        v->value = build_stop_gradient(elab_builder(e, at), v->value);
        v->sealed = true;
    }
    return v->value;
}

void elab_set_version(Elab *e, Var *var, Value *value) {
    Version *v = version_of(e, e->build, var);
    if (v->value) vec_push(e->arena, &e->build->old, (OldVersion){var, v->value});
    *v = (Version){.value = value, .written = true, .writes = v->writes + 1};
    e->writes++;
}

void elab_write(Elab *e, Span at, Var *var, Val v) {
    if (e->build->init) {
        elab_fail(e, DL0405, at, "an initial value cannot write `%s`", var->name);
        return;
    }
    const char *pure = body_is_pure(e);
    if (pure) {
        elab_fail(e, DL0405, at, "%s is pure: it cannot write `%s`", pure, var->name);
        return;
    }
    Value *x = elab_tensor(e, at, v, var->type.dtype);
    if (x && x->type.rank == 0 && x->type.dtype == var->type.dtype)
        x = build_broadcast_to(elab_builder(e, at), x, var->type.rank, var->type.shape);
    if (x && !type_equal(x->type, var->type)) {
        int d = elab_error(e, x->type.dtype == var->type.dtype ? DL0301 : DL0302, at, "`%s` is %s and cannot take %s",
                           var->name, type_text(&e->module->dims, var->type, e->arena), val_text(e, val_tensor(x)));
        diag_label(e->diags, d, var->span, "declared here");
        x = NULL;
    }
    if (x) elab_set_version(e, var, x);
}

/* -------------------------------------------------------------------- init */

void elab_begin_init(Elab *e) {
    Func *f = func_new(e->module, "init");
    e->module->init = f;
    e->init = (FuncBuild){.b = {.module = e->module, .func = f, .region = f->body}, .name = "init", .init = true};
}

void elab_end_init(Elab *e) {
    for (int i = 0; i < e->module->vars.n; i++) {
        Var *v = e->module->vars.at[i];
        func_add_result(e->module->init, (Result){.var = v}, e->init.versions.at[v->id].value);
    }
}

/* ----------------------------------------------------------------- exports */

enum { CALLS_FOLLOWED = 4 };

typedef struct Visit {
    const Node *fn;
    int depth;                 /* calls down to it */
} Visit;

typedef struct Visits {
    Arena *arena;
    VEC(Visit) all;
} Visits;

/* Whether a function has been looked at with as many calls left to follow, or more; notes that it is now. */
static bool visited(Visits *v, const Node *fn, int depth) {
    for (int i = 0; i < v->all.n; i++) {
        if (v->all.at[i].fn != fn) continue;
        if (v->all.at[i].depth <= depth) return true;
        v->all.at[i].depth = depth;
        return false;
    }
    vec_push(v->arena, &v->all, (Visit){fn, depth});
    return false;
}

/* Whether a function differentiates with respect to parameters, itself or through what it calls by name. */
static bool trains(Visits *visits, const Scope *s, const Node *n, int depth) {
    if (!n) return false;
    if (n->kind == NODE_MINIMIZE || n->kind == NODE_APPLY) return true;
    if (n->kind == NODE_CALL && n->kids[0]->kind == NODE_NAME) {
        const char *name = n->kids[0]->text;
        if (!strcmp(name, "grad") && n->n > 2 && n->kids[2]->kids[0]->kind == NODE_CALL) {
            const Node *of = n->kids[2]->kids[0]->kids[0];
            if (of->kind == NODE_NAME && !strcmp(of->text, "params")) return true;
        }
        Binding *b = scope_find((Scope *)s, name);
        const Node *fn = b && b->val.kind == VAL_FN && !b->val.fn->unit->library ? b->val.fn->decl : NULL;
        if (fn && depth < CALLS_FOLLOWED && !visited(visits, fn, depth + 1) &&
            trains(visits, s, fn->kids[FN_BODY], depth + 1))
            return true;
    }
    for (int i = 0; i < n->n; i++)
        if (trains(visits, s, n->kids[i], depth)) return true;
    return false;
}

static bool add_dim_argument(Elab *e, const Node *p, Sig *sig) {
    const Node *dim = p->kids[PARAMETER_DIM];
    Val low = dim->kids[DIM_LOWER] ? elab_eval(e, dim->kids[DIM_LOWER]) : val_int(1),
        high = elab_eval(e, dim->kids[DIM_UPPER]);
    if (is_poison(low) || is_poison(high) || !elab_dim_bounds(e, dim->span, low, high)) {
        scope_bind(e, sig->scope, p->text, POISON, p->name_span);
        return false;
    }
    scope_bind(e, sig->scope, p->text, val_dim(elab_symbol(e, p->text, low.i, high.i)), p->name_span);
    return true;
}

static bool add_argument(Elab *e, const Node *p, Sig *sig) {
    Type t;
    if (p->kind != NODE_PARAMETER) return false;
    if (p->kids[PARAMETER_DIM]) return add_dim_argument(e, p, sig);
    const Node *type = p->kids[PARAMETER_TYPE];
    if (!type) {
        int d = elab_error(e, DL0302, p->span, "`%s` needs a type: it becomes an argument in C", p->text);
        diag_hint(e->diags, d, "for example `%s: f32[B, 10]`", p->text);
    } else if (type->i || p->kids[PARAMETER_DEFAULT]) {
        elab_fail(e, DL0206, p->span, "an argument of an exported function cannot be left out");
        type = NULL;
    }
    if (!type || !elab_type(e, type, true, sig, &t)) {
        scope_bind(e, sig->scope, p->text, POISON, p->name_span);
        return false;
    }
    Value *v = func_add_input(e->build->b.func,
                              (Port){.kind = PORT_ARG, .name = p->text, .doc = p->doc, .span = p->name_span}, t);
    scope_bind(e, sig->scope, p->text, val_tensor(v), p->name_span);
    return true;
}

/* The free dims of the signature, in the order of the table. */
static void list_dims(Elab *e, Func *f, const Sig *sig) {
    DimTable *t = &e->module->dims;
    for (int s = 0; s < t->symbols.n; s++) {
        bool used = false;
        for (int i = 0; i < sig->scope->all.n; i++) {
            Val v = sig->scope->all.at[i].val;
            used = used || (v.kind == VAL_DIM && dim_mentions(t, v.dim, s));
        }
        if (used && !t->symbols.at[s]->of) vec_push(e->arena, &f->dims, t->symbols.at[s]);
    }
}

/* Room for a result is what it takes at its dims' upper bounds: a dim found by the call must not make it smaller. */
static bool grows(Elab *e, Span at, const Value *x) {
    for (int d = 0; d < x->type.rank; d++) {
        const DimPoly *p = x->type.shape[d];
        for (int i = 0; i < p->term_count; i++)
            for (int b = 0; p->terms[i].coeff < 0 && b < e->build->bound.n; b++)
                for (int j = 0; j < p->terms[i].n; j++) {
                    if (p->terms[i].symbols[j] != e->build->bound.at[b].symbol) continue;
                    int g = elab_error(e, DL0304, at, "dim %d of this result is %s, which becomes less as `%s` grows",
                                       d, elab_dim_text(e, p), e->build->bound.at[b].name);
                    diag_label(e->diags, g, e->build->bound.at[b].span, "known only when the call has run");
                    diag_hint(e->diags, g, "give the whole tensor and the size");
                    return false;
                }
    }
    return true;
}

static void add_result(Elab *e, const Node *decl, Span at, Val v) {
    bool known = true;
    DType want = decl && decl->kids[0]->kind == NODE_TYPE ? elab_dtype(e, decl->kids[0]->text, &known) : DTYPE_COUNT;
    if (!known) {
        elab_fail(e, DL0302, decl->span, "what an exported function gives is a tensor, such as f32, not %s",
                  decl->kids[0]->text);
        return;
    }
    Value *x = elab_tensor(e, at, v, want);
    Result r = {.name = decl ? decl->text : NULL, .doc = decl ? decl->doc : NULL};
    if (x && grows(e, at, x)) func_add_result(e->build->b.func, r, x);
}

static void add_results(Elab *e, const Node *fn, Val v, Span at) {
    const Node *results = fn->kids[FN_RESULTS];
    bool several = v.kind == VAL_TUPLE || (v.kind == VAL_LIST && (!results || results->n > 1));
    if (v.kind == VAL_NONE || is_poison(v)) return;
    for (int i = 0; i < (several ? v.list->n : 1); i++)
        add_result(e, results && i < results->n ? results->kids[i] : NULL, at, several ? v.list->at[i] : v);
}

static void add_updates(Elab *e) {
    FuncBuild *f = e->build;
    for (int i = 0; i < f->versions.n; i++)
        if (f->versions.at[i].written)
            func_add_result(f->b.func, (Result){.var = e->module->vars.at[i]}, f->versions.at[i].value);
}

static void build_export(Elab *e, const Node *fn, Instance *model, FuncBuild *build) {
    Func *f = module_add_func(e->module, fn->text);
    f->doc = fn->doc;
    f->span = fn->name_span;
    build->b = (Builder){.module = e->module, .func = f, .region = f->body, .span = fn->span};
    build->name = fn->text;
    e->build = build;
    Frame frame;
    elab_enter_frame(e, &frame, fn->text, model, model->unit, fn->span, false);
    Sig sig = {.scope = frame.scope, .head = fn->kids[FN_BODY]};
    const Node *params = fn->kids[FN_PARAMS];
    for (int i = 0; i < params->n; i++) add_argument(e, params->kids[i], &sig);
    list_dims(e, f, &sig);
    Val v = elab_run_body(e, &sig, fn);
    add_results(e, fn, v, frame.result_span);
    add_updates(e);
    elab_leave_frame(e);
    e->build = NULL;
}

/* `training` has to be known while the function is built, and is settled by what is built: a wrong guess is
 * corrected by a second attempt. */
void elab_export(Elab *e, const Node *fn, Instance *model) {
    int errors = e->diags->errors;
    FuncBuild first = {.trains = trains(&(Visits){.arena = e->arena}, model->scope, fn->kids[FN_BODY], 0)};
    build_export(e, fn, model, &first);
    if (first.differentiates == first.trains || e->diags->errors > errors) return;
    FuncBuild second = {.trains = first.differentiates};
    second.anonymous = first.anonymous;        /* so that they keep their names */
    e->module->funcs.n--;
    build_export(e, fn, model, &second);
}
