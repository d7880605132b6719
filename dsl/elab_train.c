/* Training: grad, minimize and apply, and optimizers with their state. */
#include "elab_region.h"

/* --------------------------------------------------------------- gradients */

/* A scalar float to differentiate; null after a report. */
static Value *loss_value(Elab *e, Span at, Val v) {
    if (is_poison(v)) return NULL;
    if (!is_runtime(v) || val_type(v).rank != 0 || !dtype_is_float(val_type(v).dtype)) {
        int d = elab_error(e, DL0404, at, "a loss is a float scalar, not %s", val_text(e, v));
        if (is_runtime(v) && val_type(v).rank) diag_hint(e->diags, d, "reduce it first: mean(...) or sum(...)");
        return NULL;
    }
    return elab_tensor(e, at, v, DTYPE_COUNT);
}

/* Whether the loss was computed from an overwritten version of the variable; reports it. */
static bool is_outdated(Elab *e, Span at, Dependences *loss, const Var *var) {
    FuncBuild *f = e->build;
    for (int i = 0; i < f->old.n; i++) {
        if (f->old.at[i].var != var || dependence_on(loss, f->old.at[i].value) != DEPENDS) continue;
        int d = elab_error(e, DL0403, at, "this loss was computed before `%s` was updated", var->name);
        diag_note(e->diags, d,
                  "a gradient is taken at the current values; compute the loss again after the update, or take both "
                  "gradients before it");
        return true;
    }
    return false;
}

/* The loss must depend on the value through operators that have a gradient. */
static bool check_depends(Elab *e, Span at, Span of, Dependences *loss, Value *x, const Var *var) {
    if (var && is_outdated(e, at, loss, var)) return false;
    Dependence d = dependence_on(loss, x);
    if (d == DEPENDS) return true;
    const char *name = var ? arena_printf(e->arena, "`%s`", var->name) : "this value";
    int g = elab_error(e, DL0402, of, "the loss does not depend on %s%s", name,
                       d == DEPENDS_FLAT ? " except through operators whose gradient is zero" : "");
    if (d == DEPENDS_FLAT)
        diag_note(e->diags, g, "rounding, comparisons and argmax give no gradient, so it could not learn");
    else if (var && e->build->versions.at[var->id].written)
        diag_note(e->diags, g, "`%s` has been written before this; what was computed earlier is of an older version",
                  var->name);
    if (var) diag_label(e->diags, g, var->span, "%s is declared here", name);
    return false;
}

static bool gradients_of_map(Elab *e, Span at, Span of, Value *loss, const ParamMap *wrt, ParamMap *to) {
    Value **xs = arena_array(e->arena, Value *, wrt->n + 1), **gs = arena_array(e->arena, Value *, wrt->n + 1);
    bool good = true;
    Dependences *depends = graph_dependences(&e->build->b, loss);
    e->build->differentiates = true;
    for (int i = 0; i < wrt->n; i++) {
        xs[i] = elab_read(e, at, wrt->keys[i]);
        good = xs[i] && check_depends(e, at, of, depends, xs[i], wrt->keys[i]) && good;
    }
    if (!good || !build_gradients(elab_builder(e, at), loss, xs, wrt->n, gs)) return false;
    *to = (ParamMap){wrt->n, wrt->keys, arena_array(e->arena, Val, wrt->n)};
    for (int i = 0; i < wrt->n; i++) to->values[i] = val_tensor(gs[i]);
    return true;
}

/* Whether the value is a parameter's current version. */
static bool is_parameter(const Elab *e, const Value *v) {
    const FuncBuild *f = e->build;
    for (int i = 0; i < f->versions.n; i++)
        if (f->versions.at[i].value == v && e->module->vars.at[i]->kind == VAR_PARAM) return true;
    return false;
}

static Val gradient_of_tensor(Elab *e, Span at, Span of, Value *loss, Val x) {
    Value *v = elab_tensor(e, of, x, DTYPE_COUNT), *g = NULL;
    Dependences *depends = v ? graph_dependences(&e->build->b, loss) : NULL;
    if (!v || !check_depends(e, at, of, depends, v, x.kind == VAL_VAR ? x.var : NULL)) return POISON;
    e->build->differentiates = e->build->differentiates || is_parameter(e, v);
    return build_gradients(elab_builder(e, at), loss, &v, 1, &g) ? val_tensor(g) : POISON;
}

static bool holds_tensors(Val v) {
    for (int i = 0; i < v.list->n; i++)
        if (v.list->at[i].kind != VAL_TENSOR) return false;
    return v.list->n > 0;
}

Val elab_grad(Elab *e, const BuiltinCall *c) {
    Span at = c->nodes[0]->span, of = c->nodes[1]->span;
    Value *loss = loss_value(e, at, c->args[0]);
    Val x = c->args[1];
    if (!loss) return POISON;
    if (is_runtime(x)) return gradient_of_tensor(e, c->at, of, loss, x);
    if (x.kind == VAL_LIST && holds_tensors(x)) {
        Val *all = arena_array(e->arena, Val, x.list->n);
        for (int i = 0; i < x.list->n; i++)
            if (is_poison(all[i] = gradient_of_tensor(e, c->at, of, loss, x.list->at[i]))) return POISON;
        return val_list(e, VAL_LIST, all, x.list->n);
    }
    ParamMap wrt, *to = arena_new(e->arena, ParamMap);
    if (!elab_collect(e, of, x, VAR_PARAM, &wrt) || !gradients_of_map(e, c->at, of, loss, &wrt, to)) return POISON;
    return (Val){.kind = VAL_MAP, .map = to};
}

/* -------------------------------------------------------------- optimizers */

static bool is_given(const Args *args, const char *name) {
    for (int i = 0; i < args->n; i++)
        if (args->names[i] == name) return true;
    return false;
}

static Val given_before(Elab *e, const Optimizer *o, const Args *args, int i, const Node *param) {
    int d = elab_error(e, DL0206, args->nodes[i] ? args->nodes[i]->span : args->at,
                       "the optimizer %s has its `%s` already", o->decl->text, param->text);
    diag_hint(e->diags, d, "give other arguments by name: `name = ...`");
    return POISON;
}

/* Further arguments, positional ones for the parameters not given yet. */
static Val with_args(Elab *e, const Optimizer *o, const Args *more) {
    Optimizer *to = arena_new(e->arena, Optimizer);
    const Node *params = o->decl->kids[LAYER_PARAMS];
    *to = *o;
    to->args = (Args){.at = more->at, .vals = arena_array(e->arena, Val, o->args.n + more->n),
                      .nodes = arena_array(e->arena, const Node *, o->args.n + more->n),
                      .names = arena_array(e->arena, const char *, o->args.n + more->n)};
    Args *a = &to->args;
    for (int i = 0; i < o->args.n + more->n; i++) {
        const Args *from = i < o->args.n ? &o->args : more;
        int k = i < o->args.n ? i : i - o->args.n, next = 0;
        const char *name = from->names[k];
        while (!name && next < params->n && is_given(a, params->kids[next]->text)) {
            const Node *param = params->kids[next++];
            if (from == more && is_given(&o->args, param->text)) return given_before(e, o, from, k, param);
        }
        if (!name && next == params->n) {
            int d = elab_error(e, DL0206, from->nodes[k] ? from->nodes[k]->span : more->at, "`%s` takes %d argument%s",
                               o->decl->text, params->n, params->n == 1 ? "" : "s");
            diag_label(e->diags, d, o->decl->name_span, "declared here");
            return POISON;
        }
        a->vals[a->n] = from->vals[k];
        a->nodes[a->n] = from->nodes[k];
        a->names[a->n++] = name ? name : params->kids[next]->text;
    }
    if (!to->origin) to->origin = to;
    return (Val){.kind = VAL_OPTIMIZER, .optimizer = to};
}

Val elab_make_optimizer(Elab *e, const ClassRef *class, const Args *args) {
    return with_args(e, &(Optimizer){.decl = class->decl, .unit = class->unit}, args);
}

Val elab_optimizer_more(Elab *e, Optimizer *o, const Args *args) { return with_args(e, o, args); }

static bool name_is_taken(const Elab *e, const char *name) {
    for (int i = 0; i < e->optimizers.n; i++)
        if (e->optimizers.at[i]->unique == name) return true;
    return false;
}

static void make_unique(Elab *e, Optimizer *origin) {
    const char *base = origin->name ? origin->name : origin->decl->text, *name = base;
    for (int i = 2; name_is_taken(e, name); i++) name = intern(e->names, arena_printf(e->arena, "%s%d", base, i));
    origin->unique = name;
    vec_push(e->arena, &e->optimizers, origin);
}

/* The instance whose state a statement uses: a named one, or the statement's own. */
static Optimizer *origin_of(Elab *e, Optimizer *o, const Node *statement) {
    Optimizer *origin = o->origin;
    if (!origin->name) {
        FuncBuild *f = e->build;
        for (int i = 0; i < f->anonymous.n; i++)
            if (f->anonymous.at[i].statement == statement && f->anonymous.at[i].self == e->frame->self)
                return f->anonymous.at[i].optimizer;
        vec_push(e->arena, &f->anonymous, (Anonymous){statement, e->frame->self, origin});
    }
    if (!origin->unique) make_unique(e, origin);
    return origin;
}

/* A slot's variable: found, or made with its initial value. */
static Var *slot(Elab *e, const char *name, Type type, const Node *decl, Value *initial) {
    Var *v = module_find_var(e->module, name);
    return v ? v : elab_add_var(e, NULL, VAR_SLOT, name, type, decl, initial);
}

static Var *step_slot(Elab *e, Optimizer *origin) {
    const char *name = elab_join_path(e, origin->unique, "step");
    Var *v = module_find_var(e->module, name);
    if (v) return v;
    v = slot(e, name, type_scalar(DTYPE_I64), origin->decl, build_constant(&e->init.b, type_scalar(DTYPE_I64), 0));
    if (v) v->doc = NULL;
    return v;
}

Val elab_optimizer_member(Elab *e, Span at, Optimizer *o, const char *name) {
    const Node *params = o->decl->kids[LAYER_PARAMS];
    if (!strcmp(name, "step")) {
        if (!o->origin->name)
            return elab_fail(e, DL0404, at, "only an optimizer named by a `let` of the model has steps to read");
        if (!e->build) return elab_fail(e, DL0308, at, "`step` is known at run time only");
        if (!o->origin->unique) make_unique(e, o->origin);
        Var *v = step_slot(e, o->origin);
        return v ? val_tensor(elab_read(e, at, v)) : POISON;
    }
    for (int i = 0; i < o->args.n; i++)
        if (!strcmp(o->args.names[i], name)) return o->args.vals[i];
    (void)params;
    return elab_fail(e, DL0207, at, "%s has no `%s`", val_text(e, (Val){.kind = VAL_OPTIMIZER, .optimizer = o}), name);
}

/* ------------------------------------------------------------------- apply */

typedef struct Application {
    const Node *statement, *fn;
    Optimizer *with, *origin;
    Val t;                     /* the step being taken */
} Application;

/* What an optimizer computes in and keeps its states in: the parameter's type, but f32 for narrower floats, which could
 * not hold averages of squares and would lose small steps before they are added. */
static DType work_type(const Var *p) {
    DType t = p->type.dtype;
    return dtype_is_float(t) && dtype_bytes(t) < 4 ? DTYPE_F32 : t;
}

static Value *slot_initial(Elab *e, const Node *decl, const char *name, Type type) {
    FuncBuild *outer = e->build;
    e->build = &e->init;
    e->init.site_path = name;
    Like *like = arena_new(e->arena, Like);
    like->type = type;
    Val v = decl->kids[VAR_INIT] ? elab_initial(e, decl->kids[VAR_INIT], (Val){.kind = VAL_LIKE, .like = like})
                                 : val_int(0);
    Value *x = elab_tensor(e, decl->span, v, type.dtype);
    if (x && x->type.rank == 0) x = build_broadcast_to(elab_builder(e, decl->span), x, type.rank, type.shape);
    if (x && !type_equal(x->type, type)) {
        elab_fail(e, DL0301, decl->span, "the initial value of `%s` is %s, not %s", decl->text,
                  val_text(e, val_tensor(x)), type_text(&e->module->dims, type, e->arena));
        x = NULL;
    }
    e->build = outer;
    return x;
}

/* Binds the optimizer's states for one parameter. */
static bool bind_states(Elab *e, const Application *a, Var *p) {
    const Node *members = a->with->decl->kids[LAYER_MEMBERS];
    for (int i = 0; i < members->n; i++) {
        const Node *m = members->kids[i];
        if (m->kind == NODE_LET || m->kind == NODE_REQUIRE) elab_eval(e, m);
        if (m->kind != NODE_STATE) continue;
        bool present = true;
        if (m->kids[VAR_IF] && !elab_truth(e, m->kids[VAR_IF]->span, elab_eval(e, m->kids[VAR_IF]), &present))
            return false;
        if (!present) continue;
        Type type = p->type;
        type.dtype = work_type(p);
        Sig sig = {.scope = e->scope};
        if (m->kids[VAR_TYPE] && !elab_type(e, m->kids[VAR_TYPE], false, &sig, &type)) return false;
        const char *name = elab_join_path(e, elab_join_path(e, p->name, a->origin->unique), m->text);
        Value *initial = module_find_var(e->module, name) ? NULL : slot_initial(e, m, name, type);
        Var *v = slot(e, name, type, m, initial);
        if (!v) return false;
        if (shape_equal(v->type.rank, v->type.shape, p->type.rank, p->type.shape)) v->of = p;
        scope_bind(e, e->scope, m->text, val_var(v), m->name_span);
    }
    return true;
}

/* Scalars known at run time, such as the rate, take the type that is computed in. */
static void convert_arguments(Elab *e, Span at, const Node *params, const Val *vals, DType work) {
    for (int i = 0; i < params->n; i++) {
        if (!is_runtime(vals[i]) || val_type(vals[i]).rank || !dtype_is_float(val_type(vals[i]).dtype)) continue;
        Binding *b = scope_find_local(e->scope, params->kids[i]->text);
        if (b) b->val = elab_convert(e, at, vals[i], work);
    }
}

/* Runs the optimizer's function for one parameter: its new value. */
static Value *run_optimizer(Elab *e, const Application *a, Var *p, Val g) {
    DType work = work_type(p);
    Frame f;
    Span at = a->statement->span;
    elab_enter_frame(e, &f, a->with->decl->text, NULL, a->with->unit, at, false);
    Sig sig = {.scope = f.scope};
    const Node *params = a->with->decl->kids[LAYER_PARAMS];
    Val *vals = arena_array(e->arena, Val, params->n + 1), result = POISON;
    if (elab_bind_args(e, params, &a->with->args, f.scope, arena_printf(e->arena, "`%s`", a->with->decl->text),
                       a->with->decl->name_span, &sig, vals) &&
        bind_states(e, a, p)) {
        convert_arguments(e, at, params, vals, work);
        Val old = elab_convert(e, at, val_tensor(elab_read(e, at, p)), work), slope = elab_convert(e, at, g, work);
        Args args = {.n = 3,
                     .vals = (Val[]){old, slope, a->t},
                     .nodes = (const Node *[]){NULL, NULL, NULL},
                     .names = (const char *[]){NULL, NULL, NULL},
                     .at = at};
        Val bound[3];
        if (elab_bind_args(e, a->fn->kids[FN_PARAMS], &args, f.scope, "the optimizer's function", a->fn->name_span,
                           &sig, bound))
            result = elab_run_body(e, &sig, a->fn);
    }
    Value *x = is_poison(result) ? NULL : elab_tensor(e, a->fn->span, result, work);
    if (x && x->type.dtype == work) x = build_convert(elab_builder(e, at), x, p->type.dtype);
    if (x && !type_equal(x->type, p->type)) {
        elab_fail(e, DL0301, a->fn->span, "the new value of `%s` is %s, not %s", p->name, val_text(e, val_tensor(x)),
                  type_text(&e->module->dims, p->type, e->arena));
        x = NULL;
    }
    elab_leave_frame(e);
    return x;
}

static const Node *optimizer_function(Elab *e, const Node *decl) {
    const Node *members = decl->kids[LAYER_MEMBERS];
    for (int i = 0; i < members->n; i++)
        if (members->kids[i]->kind == NODE_FN && !members->kids[i]->text) {
            if (members->kids[i]->kids[FN_PARAMS]->n == 3) return members->kids[i];
            elab_fail(e, DL0206, members->kids[i]->span,
                      "an optimizer's function takes three: the parameter, its gradient and the step");
            return NULL;
        }
    elab_fail(e, DL0404, decl->name_span, "the optimizer `%s` has no function `fn (p, g, t)`", decl->text);
    return NULL;
}

static void apply(Elab *e, const Node *n, const ParamMap *grads, Val with) {
    Application a = {.statement = n, .with = with.optimizer};
    const char *pure = e->frame->pure ? "a function outside layers and models"
                       : e->build->init ? "an initial value"
                                        : body_is_pure(e);
    if (pure) {
        elab_fail(e, DL0405, n->span, "%s is pure: it cannot train", pure);
        return;
    }
    a.fn = optimizer_function(e, a.with->decl);
    if (!a.fn) return;
    a.origin = origin_of(e, a.with, n);
    Var *step = step_slot(e, a.origin);
    if (!step) return;
    a.t = elab_map(e, n->span, MAP_add, (Val[]){val_tensor(elab_read(e, n->span, step)), val_int(1)}, 2, NULL);
    if (is_poison(a.t)) return;
    for (int i = 0; i < grads->n; i++) {
        Value *x = run_optimizer(e, &a, grads->keys[i], grads->values[i]);
        if (!x) return;                        /* the same mistake would come for every parameter */
        elab_set_version(e, grads->keys[i], x);
    }
    elab_set_version(e, step, a.t.tensor);
}

static bool need_optimizer(Elab *e, const Node *n, Val *v) {
    *v = elab_eval(e, n);
    if (v->kind == VAL_CLASS && v->class->decl->kind == NODE_OPTIMIZER)
        *v = elab_make_optimizer(e, v->class, &(Args){.at = n->span});
    if (v->kind == VAL_OPTIMIZER) return true;
    if (!is_poison(*v))
        elab_fail(e, DL0302, n->span, "`with` names an optimizer such as adam(lr), not %s", val_text(e, *v));
    return false;
}

/* Every parameter that the loss depends on. */
static bool dependent_params(Elab *e, const Node *n, Value *loss, ParamMap *to) {
    ParamMap all;
    if (!elab_collect(e, n->span, (Val){.kind = VAL_LAYER, .layer = e->model}, VAR_PARAM, &all)) return false;
    *to = (ParamMap){0, arena_array(e->arena, Var *, all.n + 1), NULL};
    const Var *flat = NULL;
    Dependences *depends = graph_dependences(&e->build->b, loss);
    for (int i = 0; i < all.n; i++) {
        const Version *v = all.keys[i]->id < e->build->versions.n ? &e->build->versions.at[all.keys[i]->id] : NULL;
        if (is_outdated(e, n->span, depends, all.keys[i])) return false;
        if (!v || !v->value) continue;
        Dependence d = dependence_on(depends, v->value);
        if (d == DEPENDS) to->keys[to->n++] = all.keys[i];
        else if (d == DEPENDS_FLAT) flat = all.keys[i];
    }
    if (to->n && !flat) return true;
    if (flat)
        elab_fail(e, DL0402, n->span, "the loss depends on `%s` only through operators whose gradient is zero",
                  flat->name);
    else elab_fail(e, DL0402, n->span, "the loss depends on no parameter");
    return false;
}

void elab_minimize(Elab *e, const Node *n) {
    Val loss = elab_eval(e, n->kids[TRAIN_VALUE]), with, over = NONE_VAL;
    if (n->kids[TRAIN_OVER]) over = elab_eval(e, n->kids[TRAIN_OVER]);
    bool good = need_optimizer(e, n->kids[TRAIN_WITH], &with);
    const Node *at = n->kids[TRAIN_VALUE], *of = n->kids[TRAIN_OVER] ? n->kids[TRAIN_OVER] : at;
    Value *l = loss_value(e, at->span, loss);
    ParamMap wrt, grads;
    if (!l || !good || is_poison(over)) return;
    if (n->kids[TRAIN_OVER] ? !elab_collect(e, of->span, over, VAR_PARAM, &wrt) : !dependent_params(e, at, l, &wrt))
        return;
    if (!wrt.n) elab_fail(e, DL0402, of->span, "there is no parameter to train");
    else if (gradients_of_map(e, at->span, of->span, l, &wrt, &grads)) apply(e, n, &grads, with);
}

/* The gradients of the parameters wanted, from a map that may have more. */
static bool take_from_map(Elab *e, const Node *n, const ParamMap *g, ParamMap *wanted) {
    for (int i = 0; i < wanted->n; i++) {
        const Val *v = NULL;
        for (int k = 0; k < g->n; k++)
            if (g->keys[k] == wanted->keys[i]) v = &g->values[k];
        if (!v) {
            elab_fail(e, DL0404, n->kids[TRAIN_OVER]->span, "these gradients have none for `%s`", wanted->keys[i]->name);
            return false;
        }
        wanted->values[i] = *v;
    }
    return true;
}

/* The gradient of one parameter, or a list of them beside a list of parameters. */
static bool take_in_order(Elab *e, const Node *n, Val g, Val to, ParamMap *wanted) {
    Span at = n->kids[TRAIN_VALUE]->span;
    Vals given = {1, &g};
    if (g.kind == VAL_LIST && to.kind == VAL_LIST) given = *g.list;
    bool fits = (to.kind == VAL_VAR || to.kind == VAL_LIST) && given.n == wanted->n;
    for (int i = 0; i < given.n; i++) fits = fits && is_runtime(given.at[i]);
    if (!fits) {
        int d = elab_error(e, DL0302, at, "`apply` takes a map of gradients, as grad(loss, params(...)) gives, not %s",
                           val_text(e, g));
        diag_hint(e->diags, d, "or one gradient to one parameter, or a list of them to a list of as many");
        return false;
    }
    for (int i = 0; i < given.n; i++) {
        Type g_type = val_type(given.at[i]), p_type = wanted->keys[i]->type;
        if (!shape_equal(g_type.rank, g_type.shape, p_type.rank, p_type.shape)) {
            elab_fail(e, DL0301, at, "the gradient of `%s` is %s, but the parameter is %s", wanted->keys[i]->name,
                      val_text(e, given.at[i]), type_text(&e->module->dims, p_type, e->arena));
            return false;
        }
        wanted->values[i] = given.at[i];
    }
    return true;
}

void elab_apply(Elab *e, const Node *n) {
    Val g = elab_as_map(e, elab_eval(e, n->kids[TRAIN_VALUE])), to = elab_eval(e, n->kids[TRAIN_OVER]), with;
    bool good = need_optimizer(e, n->kids[TRAIN_WITH], &with);
    ParamMap wanted;
    if (!good || is_poison(g) || !elab_collect(e, n->kids[TRAIN_OVER]->span, to, VAR_PARAM, &wanted)) return;
    if (!wanted.n) {
        elab_fail(e, DL0402, n->kids[TRAIN_OVER]->span, "there is no parameter to train");
        return;
    }
    if (g.kind == VAL_MAP ? take_from_map(e, n, g.map, &wanted) : take_in_order(e, n, g, to, &wanted))
        apply(e, n, &wanted, with);
}
