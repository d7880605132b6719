/* Layers and models: instances with their hyper-parameters, variables and sub-layers.
 *
 * Members run once, in order, when the instance is made; its path is that of the `let`s that lead to it.
 * Initial values are computed in the module's init function at the same time. */
#include "elab.h"

const char *elab_join_path(Elab *e, const char *path, const char *step) {
    if (!*step) return path;
    if (!*path) return intern(e->names, step);
    return intern(e->names, arena_printf(e->arena, "%s.%s", path, step));
}

/* --------------------------------------------------------------- variables */

Var *elab_add_var(Elab *e, Instance *owner, VarKind kind, const char *name, Type type, const Node *decl,
                  Value *initial) {
    Var *old = module_find_var(e->module, name);
    if (old) {
        int d = elab_error(e, DL0202, decl->name_span, "two variables would be named `%s`", name);
        if (old->span.source) diag_label(e->diags, d, old->span, "the first");
        diag_hint(e->diags, d, "give one of the steps another name: as \"...\"");
        return NULL;
    }
    Var *v = module_add_var(e->module, kind, name, type);
    v->doc = decl->doc;
    v->span = decl->name_span;
    while (e->init.versions.n <= v->id) vec_push(e->arena, &e->init.versions, (Version){0});
    e->init.versions.at[v->id] = (Version){.value = initial, .written = true, .sealed = true};
    if (owner) vec_push(e->arena, &owner->vars, v);
    return v;
}

/* The initial value: an initialiser called for the shape, a number, or a tensor of the type. */
static Value *initial_value(Elab *e, const Node *decl, const char *path, Type type) {
    const Node *init = decl->kids[VAR_INIT];
    FuncBuild *outer = e->build;
    e->build = &e->init;
    e->init.site_path = path;
    Value *x = NULL;
    Like *like = arena_new(e->arena, Like);
    like->type = type;
    Val v = init ? elab_initial(e, init, (Val){.kind = VAL_LIKE, .like = like}) : val_int(0);
    if (v.kind == VAL_BOOL || is_number(v) || v.kind == VAL_LIST || is_runtime(v))
        x = elab_tensor(e, init ? init->span : decl->span, v, type.dtype);
    else if (!is_poison(v))
        elab_fail(e, DL0302, init->span, "an initial value is a number or tensor, not %s", val_text(e, v));
    if (x && x->type.rank == 0 && x->type.dtype == type.dtype)
        x = build_broadcast_to(elab_builder(e, decl->span), x, type.rank, type.shape);
    if (x && !type_equal(x->type, type)) {
        int d = elab_error(e, DL0301, init ? init->span : decl->span, "the initial value is %s, but `%s` is %s",
                           val_text(e, val_tensor(x)), decl->text, type_text(&e->module->dims, type, e->arena));
        if (decl->kids[VAR_TYPE]) diag_label(e->diags, d, decl->kids[VAR_TYPE]->span, "declared here");
        x = NULL;
    }
    e->build = outer;
    return x;
}

static const VarKind var_kinds[NODE_KIND_COUNT] = {
    [NODE_PARAM] = VAR_PARAM, [NODE_STATE] = VAR_STATE, [NODE_CACHE] = VAR_CACHE};

static Val one_var(Elab *e, Instance *owner, const Node *decl, const char *path, Type type) {
    Value *initial = initial_value(e, decl, path, type);
    if (!initial) return POISON;
    Var *v = elab_add_var(e, owner, var_kinds[decl->kind], path, type, decl, initial);
    return v ? val_var(v) : POISON;
}

/* `state acc: like(params(net)) = zeros`: one for each key. */
static Val like_vars(Elab *e, Instance *owner, const Node *decl, const char *path) {
    const Node *type = decl->kids[VAR_TYPE];
    Val like = elab_as_map(e, elab_eval(e, type->kids[0]));
    if (is_poison(like)) return POISON;
    if (is_runtime(like)) return one_var(e, owner, decl, path, val_type(like));
    if (like.kind != VAL_MAP)
        return elab_fail(e, DL0302, type->span, "`like` takes a tensor or a map over parameters, not %s",
                         val_text(e, like));
    ParamMap *m = arena_new(e->arena, ParamMap);
    *m = (ParamMap){like.map->n, like.map->keys, arena_array(e->arena, Val, like.map->n)};
    for (int i = 0; i < m->n; i++) {
        m->values[i] = one_var(e, owner, decl, elab_join_path(e, path, m->keys[i]->name), m->keys[i]->type);
        if (is_poison(m->values[i])) return POISON;
    }
    return (Val){.kind = VAL_MAP, .map = m};
}

static const char *step_name(Elab *e, const Node *as, const char *name) {
    if (!as) return name;
    Val v = elab_eval(e, as);
    if (v.kind == VAL_STR) return v.s;
    if (!is_poison(v)) elab_fail(e, DL0302, as->span, "`as` takes a text, not %s", val_text(e, v));
    return name;
}

static Val declare_var(Elab *e, Instance *in, const Node *decl) {
    bool present = true;
    if (decl->kids[VAR_IF] && !elab_truth(e, decl->kids[VAR_IF]->span, elab_eval(e, decl->kids[VAR_IF]), &present))
        return POISON;
    if (!present) return NONE_VAL;
    const char *path = elab_join_path(e, in->path, step_name(e, decl->kids[VAR_AS], decl->text));
    const Node *type = decl->kids[VAR_TYPE];
    if (!type) return elab_fail(e, DL0302, decl->name_span, "`%s` needs a type", decl->text);
    if (!decl->kids[VAR_INIT] && decl->kind == NODE_PARAM)
        return elab_fail(e, DL0206, decl->name_span, "`%s` needs an initial value", decl->text);
    if (type->kind == NODE_LIKE_TYPE) return like_vars(e, in, decl, path);
    Type t;
    Sig sig = {.scope = e->scope};
    if (!elab_type(e, type, false, &sig, &t)) return POISON;
    for (int i = 0; i < t.rank; i++)
        if (!dim_is_const(t.shape[i]))
            return elab_fail(e, DL0304, type->kids[i]->span,
                             "variables have constant shapes; write cap(...) for a dim's bound");
    return one_var(e, in, decl, path, t);
}

/* ----------------------------------------------------------------- members */

static void set_path(Elab *e, const Instance *in, const Node *let, const char *name) {
    const char *step = step_name(e, node_kid(let, LET_AS), name);
    e->layer_path = elab_join_path(e, in->path, step);
    e->layer_flat = !*step;
}

static void run_let(Elab *e, Instance *in, const Node *n) {
    const Node *names = n->kids[LET_NAMES], *value = n->kids[LET_VALUE];
    bool flat = e->layer_flat;
    Val v;
    if (value->kind == NODE_TUPLE && value->n == names->n) {
        Val *all = arena_array(e->arena, Val, names->n);
        for (int i = 0; i < names->n; i++) {
            set_path(e, in, n, names->kids[i]->text);
            all[i] = elab_eval(e, value->kids[i]);
        }
        v = val_list(e, VAL_TUPLE, all, names->n);
    } else {
        set_path(e, in, n, names->kids[0]->text);
        v = elab_eval(e, value);
    }
    if (v.kind == VAL_OPTIMIZER && !v.optimizer->name && names->n == 1) v.optimizer->name = e->layer_path;
    e->layer_path = NULL;
    e->layer_flat = flat;
    elab_bind_names(e, names, v, value->span, false);
    for (int i = e->scope->all.n - names->n; i < e->scope->all.n; i++)
        if (is_poison(e->scope->all.at[i].val)) in->broken = true;
}

static void run_member(Elab *e, Instance *in, const Node *m) {
    Val v;
    switch (m->kind) {
    case NODE_LET: run_let(e, in, m); break;
    case NODE_PARAM: case NODE_STATE: case NODE_CACHE:
        v = declare_var(e, in, m);
        if (is_poison(v)) in->broken = true;
        scope_bind(e, in->scope, m->text, v, m->name_span);
        break;
    case NODE_REQUIRE:
        if (is_poison(elab_eval(e, m))) in->scope->tainted = in->broken = true;
        break;
    case NODE_ERROR: in->scope->tainted = true; break;
    default: break;                            /* functions are bound already */
    }
}

static void bind_functions(Elab *e, Instance *in) {
    const Node *members = in->decl->kids[LAYER_MEMBERS];
    for (int i = 0; i < members->n; i++) {
        const Node *m = members->kids[i];
        if (m->kind != NODE_FN) continue;
        if (!m->text) {
            in->call = m;
            continue;
        }
        FnRef *fn = arena_new(e->arena, FnRef);
        *fn = (FnRef){m, in, in->unit};
        scope_bind(e, in->scope, m->text, (Val){.kind = VAL_FN, .fn = fn}, m->name_span);
    }
}

/* --------------------------------------------------------------- instances */

static Instance *new_instance(Elab *e, const ClassRef *class, const char *path, int params) {
    Instance *in = arena_new(e->arena, Instance);
    in->decl = class->decl;
    in->unit = class->unit;
    in->path = path;
    in->scope = scope_new(e, class->unit->scope);
    in->args = (Vals){params, arena_array(e->arena, Val, params + 1)};
    return in;
}

static void run_members(Elab *e, Instance *in) {
    const Node *members = in->decl->kids[LAYER_MEMBERS];
    FuncBuild *build = e->build;
    e->build = NULL;
    bind_functions(e, in);
    for (int i = 0; i < members->n && !(in->broken && in->scope->tainted); i++) run_member(e, in, members->kids[i]);
    e->build = build;
}

/* Runs a class's parameters and members; `args` null: the values in->args are there already. */
static bool make(Elab *e, Instance *in, const Args *args, Span at, Instance *owner) {
    if (elab_too_many_calls(e, at)) return false;
    Frame f;
    const Node *params = in->decl->kids[LAYER_PARAMS];
    elab_enter_frame(e, &f, in->decl->text, in, in->unit, at, false);
    e->scope = f.scope = in->scope;
    Sig sig = {.scope = in->scope};
    bool good = true;
    if (args) {
        good = elab_bind_args(e, params, args, in->scope, arena_printf(e->arena, "`%s`", in->decl->text),
                              in->decl->name_span, &sig, in->args.at);
    } else {
        for (int i = 0; i < params->n; i++)
            scope_bind(e, in->scope, params->kids[i]->text, in->args.at[i], params->kids[i]->name_span);
    }
    if (good) run_members(e, in);
    elab_leave_frame(e);
    if (owner) {
        vec_push(e->arena, &owner->parts, in);
        for (int i = 0; i < in->vars.n; i++) vec_push(e->arena, &owner->vars, in->vars.at[i]);
    }
    return good;
}

Val elab_instantiate(Elab *e, const ClassRef *class, const Args *args) {
    const Node *decl = class->decl;
    if (decl->kind == NODE_MODEL)
        return elab_fail(e, DL0205, args->at, "a model is not part of another; make `%s` a layer", decl->text);
    if (!e->layer_path) {
        int d = elab_error(e, DL0205, args->at,
                           "a layer is made by a `let` of a layer or model, not while a function runs");
        diag_hint(e->diags, d, "write `let name = %s(...)` among the members and call `name` here", decl->text);
        return POISON;
    }
    Instance *in = new_instance(e, class, e->layer_path, decl->kids[LAYER_PARAMS]->n);
    if (!make(e, in, args, args->at, e->frame ? e->frame->self : NULL)) return POISON;
    return (Val){.kind = VAL_LAYER, .layer = in};
}

Instance *elab_make_model(Elab *e, const ClassRef *class, const Args *args) {
    Instance *in = new_instance(e, class, "", class->decl->kids[LAYER_PARAMS]->n);
    return make(e, in, args, class->decl->name_span, NULL) ? in : NULL;
}

Val elab_clone(Elab *e, Span at, Instance *of) {
    if (!e->layer_path)
        return elab_fail(e, DL0205, at, "a layer is cloned by a `let` of a layer or model, not while a function runs");
    Instance *in = new_instance(e, &(ClassRef){of->decl, of->unit}, e->layer_path, of->args.n);
    memcpy(in->args.at, of->args.at, sizeof(Val) * (size_t)of->args.n);
    if (!make(e, in, NULL, at, e->frame ? e->frame->self : NULL)) return POISON;
    for (int i = 0; i < in->vars.n && in->vars.n == of->vars.n; i++)
        e->init.versions.at[in->vars.at[i]->id].value = e->init.versions.at[of->vars.at[i]->id].value;
    return (Val){.kind = VAL_LAYER, .layer = in};
}

/* -------------------------------------------------------------- collecting */

typedef struct Collected {
    VEC(Var *) vars;
    VarKind kind;
} Collected;

static void collect_var(Elab *e, Collected *c, Var *v) {
    for (int i = 0; i < c->vars.n; i++)
        if (c->vars.at[i] == v) return;
    if (v->kind == c->kind) vec_push(e->arena, &c->vars, v);
}

/* A layer's own variables and those of layers passed to it or made by it. */
static void collect_layer(Elab *e, Collected *c, const Instance *in) {
    for (int i = 0; i < in->args.n; i++)
        if (in->args.at[i].kind == VAL_LAYER) collect_layer(e, c, in->args.at[i].layer);
    for (int i = 0; i < in->vars.n; i++) collect_var(e, c, in->vars.at[i]);
}

static bool collect(Elab *e, Span at, Val v, Collected *c) {
    if (v.kind == VAL_LAYER) collect_layer(e, c, v.layer);
    else if (v.kind == VAL_VAR) collect_var(e, c, v.var);
    else if (v.kind == VAL_MAP) for (int i = 0; i < v.map->n; i++) collect_var(e, c, v.map->keys[i]);
    else if (v.kind == VAL_LIST || v.kind == VAL_TUPLE) {
        for (int i = 0; i < v.list->n; i++)
            if (!collect(e, at, v.list->at[i], c)) return false;
    } else {
        if (!is_poison(v))
            elab_fail(e, DL0302, at, "parameters are named by a layer, a parameter or a list of them, not by %s",
                      val_text(e, v));
        return false;
    }
    return true;
}

bool elab_collect(Elab *e, Span at, Val v, VarKind kind, ParamMap *to) {
    Collected c = {.kind = kind};
    if (!collect(e, at, v, &c)) return false;
    *to = (ParamMap){c.vars.n, c.vars.at, arena_array(e->arena, Val, c.vars.n)};
    for (int i = 0; i < c.vars.n; i++) to->values[i] = val_var(c.vars.at[i]);
    return true;
}
