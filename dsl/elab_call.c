/* Calls: binding arguments to parameters, and inlining functions. */
#include "elab.h"
#include "elsewhere.h"

/* --------------------------------------------------------------- arguments */

static const char *parameter_list(Elab *e, const Node *params) {
    Text t = text_new(e->arena);
    for (int i = 0; i < params->n; i++)
        text_add(&t, "%s%s", i ? ", " : "", params->kids[i]->text ? params->kids[i]->text : "?");
    return text_get(&t);
}

static int parameter_index(const Node *params, const char *name) {
    for (int i = 0; i < params->n; i++)
        if (params->kids[i]->text == name) return i;
    return -1;
}

static bool is_among(const char *const *names, int n, const char *name) {
    for (int i = 0; i < n; i++)
        if (!strcmp(names[i], name)) return true;
    return false;
}

static void report_unknown_argument(Elab *e, const Node *params, const Args *args, int i, const char *what, Span decl) {
    const Node *n = args->nodes[i];
    int d = elab_error(e, DL0206, n ? n->name_span : args->at, "%s has no parameter `%s`", what, args->names[i]);
    if (d < 0) return;
    const char **names = arena_array(e->arena, const char *, params->n + 1);
    for (int k = 0; k < params->n; k++) names[k] = params->kids[k]->text ? params->kids[k]->text : "";
    const char *near = elsewhere_argument(args->names[i]);
    if (!near || !is_among(names, params->n, near)) near = nearest_name(args->names[i], names, params->n);
    if (near) diag_hint(e->diags, d, "did you mean `%s`?", near);
    else diag_note(e->diags, d, "its parameters: %s", parameter_list(e, params));
    diag_label(e->diags, d, decl, "declared here");
}

/* Which argument each parameter gets; -1 for none. False after a report. */
static bool match_args(Elab *e, const Node *params, const Args *args, const char *what, Span decl, int *index) {
    bool good = true;
    int next = 0;
    for (int i = 0; i < params->n; i++) index[i] = -1;
    for (int i = 0; i < args->n; i++) {
        int k = args->names[i] ? parameter_index(params, args->names[i]) : next++;
        Span at = args->nodes[i] ? args->nodes[i]->span : args->at;
        if (k < 0) {
            report_unknown_argument(e, params, args, i, what, decl);
        } else if (k >= params->n) {
            int d = elab_error(e, DL0206, at, "%s takes %d argument%s", what, params->n, params->n == 1 ? "" : "s");
            diag_label(e->diags, d, decl, "declared here, with parameters: %s", parameter_list(e, params));
        } else if (index[k] >= 0) {
            elab_fail(e, DL0206, at, "`%s` is given twice", params->kids[k]->text);
        } else {
            index[k] = i;
            continue;
        }
        good = false;
    }
    return good;
}

/* `dim B <= 64` as a parameter: an integer or dim within the bound. */
static bool fit_dim_parameter(Elab *e, const Node *dim, Span at, const char *what, Val *v) {
    Val upper = elab_eval(e, dim->kids[DIM_UPPER]);
    if (is_poison(*v) || upper.kind != VAL_INT) return false;
    if (!is_size(*v)) {
        elab_fail(e, DL0302, at, "%s is %s, but a dim is needed", what, val_text(e, *v));
        return false;
    }
    if (elab_dim(e, at, *v)->upper <= upper.i) return true;
    int d =
        elab_error(e, DL0304, at, "%s is %s, which outgrows its bound %lld", what, val_text(e, *v), (long long)upper.i);
    diag_label(e->diags, d, dim->span, "the bound");
    return false;
}

/* `g: like(g)`: any tensor or map; other parameters and results can name its type. */
static bool names_itself(const Node *p) {
    const Node *type = p->kids[PARAMETER_TYPE];
    return type && type->kind == NODE_LIKE_TYPE && type->kids[0]->kind == NODE_NAME && type->kids[0]->text == p->text;
}

static bool fit_own_type(Elab *e, const Node *p, const char *what, Span at, Val *v) {
    *v = elab_as_map(e, *v);
    if (is_poison(*v)) return false;
    if (v->kind == VAL_NONE && p->kids[PARAMETER_TYPE]->i) return true;
    if (is_number(*v) || v->kind == VAL_BOOL) *v = val_tensor(elab_tensor(e, at, *v, DTYPE_COUNT));
    if (is_runtime(*v) || v->kind == VAL_MAP || is_poison(*v)) return !is_poison(*v);
    int d =
        elab_error(e, DL0302, at, "%s is %s, but a tensor or a map over parameters is needed", what, val_text(e, *v));
    diag_label(e->diags, d, p->span, "declared here");
    return false;
}

static bool fit_parameter(Elab *e, Sig *sig, const Node *p, Span at, Val *v) {
    const char *what = arena_printf(e->arena, "`%s`", p->text);
    if (names_itself(p)) return fit_own_type(e, p, what, at, v);
    if (p->kids[PARAMETER_DIM]) return fit_dim_parameter(e, p->kids[PARAMETER_DIM], at, what, v);
    if (!p->kids[PARAMETER_TYPE]) return !is_poison(*v);
    bool by_default = node_kid(p, PARAMETER_DEFAULT) && at.begin == p->kids[PARAMETER_DEFAULT]->span.begin &&
                      at.source == p->span.source;
    if (by_default && v->kind == VAL_NONE) return true;
    return elab_fit(e, sig, p->kids[PARAMETER_TYPE], what, p->span, at, v);
}

/* The value for parameter k: the argument, or the default; *at is where it stands. False after a report. */
static bool parameter_value(Elab *e, const Node *p, const Args *args, int index, const char *what, bool silent, Val *v,
                            Span *at) {
    *v = POISON;
    *at = args->at;
    if (index >= 0) {
        if (args->nodes[index]) *at = args->nodes[index]->kids[0]->span;
        *v = args->vals[index];
    } else if (p->kids[PARAMETER_DEFAULT]) {
        *at = p->kids[PARAMETER_DEFAULT]->span;
        *v = elab_eval(e, p->kids[PARAMETER_DEFAULT]);
    } else {
        if (!silent) {
            int d = elab_error(e, DL0206, args->at, "%s needs `%s`", what, p->text);
            diag_label(e->diags, d, p->span, "declared here");
        }
        return false;
    }
    return true;
}

bool elab_bind_args(Elab *e, const Node *params, const Args *args, Scope *scope, const char *what, Span decl, Sig *sig,
                    Val *vals) {
    int *index = arena_array(e->arena, int, params->n + 1);
    bool good = match_args(e, params, args, what, decl, index);
    Scope *outer = e->scope;
    e->scope = scope;
    for (int i = 0; i < params->n; i++) {
        const Node *p = params->kids[i];
        if (p->kind != NODE_PARAMETER) continue;
        Span at;
        bool fits =
            parameter_value(e, p, args, index[i], what, !good, &vals[i], &at) && fit_parameter(e, sig, p, at, &vals[i]);
        if (!fits) vals[i] = POISON;
        good = good && fits;
        scope_bind(e, scope, p->text, vals[i], index[i] < 0 ? p->name_span : at);
    }
    e->scope = outer;
    return good;
}

/* --------------------------------------------------------------- functions */

void elab_enter_frame(Elab *e, Frame *f, const char *name, Instance *self, Unit *unit, Span at, bool pure) {
    Frame *caller = e->frame;
    *f = (Frame){.caller = caller,
                 .name = name,
                 .self = self,
                 .unit = unit,
                 .pure = pure,
                 .result = NONE_VAL,
                 .training = caller ? caller->training : e->build && e->build->trains,
                 .user = elab_place(e, at),
                 .depth = caller ? caller->depth + 1 : 1,
                 .layer_path = e->layer_path,
                 .outer = e->scope};
    f->scope = scope_new(e, self ? self->scope : unit->scope);
    e->layer_path = NULL;
    e->frame = f;
    e->scope = f->scope;
}

void elab_leave_frame(Elab *e) {
    Frame *f = e->frame;
    e->layer_path = f->layer_path;
    e->scope = f->outer;
    e->frame = f->caller;
}

bool elab_too_many_calls(Elab *e, Span at) {
    if (!e->frame || e->frame->depth < MAX_CALL_DEPTH) return false;
    int d = elab_error(e, DL0701, at, "calls are nested more than %d deep here", MAX_CALL_DEPTH);
    diag_note(e->diags, d, "functions are run at compile time; recursion must end by a compile-time `if`");
    e->gave_up = true;                         /* each call on the way up may have many more to make */
    return true;
}

/* Checks results against the declared ones. */
static Val fit_results(Elab *e, Sig *sig, const Node *fn, Val v, Span at) {
    const Node *results = fn->kids[FN_RESULTS];
    if (!results || is_poison(v)) return v;
    Val *all = arena_array(e->arena, Val, results->n);
    int n = results->n == 1 ? 1 : v.kind == VAL_TUPLE || v.kind == VAL_LIST ? v.list->n : 1;
    if (n != results->n || v.kind == VAL_NONE) {
        int d = elab_error(e, DL0307, at, "the function gives %s, but %d result%s declared", val_text(e, v), results->n,
                           results->n == 1 ? " is" : "s are");
        diag_label(e->diags, d, results->span, "declared here");
        return POISON;
    }
    for (int i = 0; i < n; i++) {
        all[i] = results->n == 1 ? v : v.list->at[i];
        const Node *r = results->kids[i];
        const char *what = r->text ? arena_printf(e->arena, "result `%s`", r->text)
                           : n > 1 ? arena_printf(e->arena, "result %d", i + 1)
                                   : "the result";
        if (!elab_fit(e, sig, r->kids[0], what, r->span, at, &all[i])) all[i] = POISON;
    }
    return n == 1 ? all[0] : val_list(e, VAL_TUPLE, all, n);
}

Val elab_run_body(Elab *e, Sig *sig, const Node *fn) {
    const Node *body = fn->kids[FN_BODY];
    Val last = elab_statements(e, body);
    if (!e->frame->returned) {
        e->frame->result = last;
        e->frame->result_span = body->n ? body->kids[body->n - 1]->span : body->span;
    }
    if (e->frame->tainted) return POISON;
    return fit_results(e, sig, fn, e->frame->result, e->frame->result_span);
}

/* Takes `training = ...` out of the arguments where the function has no such parameter. */
static bool take_training(Elab *e, const Node *params, const Args *args, Args *rest, bool *training) {
    *rest = *args;
    rest->vals = arena_array(e->arena, Val, args->n + 1);
    rest->nodes = arena_array(e->arena, const Node *, args->n + 1);
    rest->names = arena_array(e->arena, const char *, args->n + 1);
    rest->n = 0;
    for (int i = 0; i < args->n; i++) {
        Span at = args->nodes[i] ? args->nodes[i]->span : args->at;
        bool flag =
            args->names[i] && !strcmp(args->names[i], "training") && parameter_index(params, args->names[i]) < 0;
        if (flag && !elab_truth(e, at, args->vals[i], training)) return false;
        if (flag) continue;
        rest->vals[rest->n] = args->vals[i];
        if (e->build && args->vals[i].kind == VAL_VAR)
            rest->vals[rest->n] = val_tensor(elab_read(e, at, args->vals[i].var));
        rest->nodes[rest->n] = args->nodes[i];
        rest->names[rest->n++] = args->names[i];
    }
    return true;
}

Val elab_call_fn(Elab *e, const FnRef *fn, const Args *args) {
    const Node *decl = fn->decl;
    const char *name = decl->text ? decl->text : fn->self ? fn->self->decl->text : "fn";
    if (elab_too_many_calls(e, args->at) || (fn->self && fn->self->broken && fn->self->scope->tainted)) return POISON;
    bool training = e->frame ? e->frame->training : e->build && e->build->trains;
    Args rest;
    if (!take_training(e, decl->kids[FN_PARAMS], args, &rest, &training)) return POISON;
    Frame f;
    elab_enter_frame(e, &f, name, fn->self, fn->unit, args->at, !fn->self);
    f.training = training;
    Sig sig = {.scope = f.scope};
    Val *vals = arena_array(e->arena, Val, decl->kids[FN_PARAMS]->n + 1);
    Span user = f.user;
    bool good = elab_bind_args(e, decl->kids[FN_PARAMS], &rest, f.scope, arena_printf(e->arena, "`%s`", name),
                               decl->name_span, &sig, vals);
    f.user = user;
    Val v = !good ? POISON : decl->kids[FN_BACKWARD_BODY] ? elab_call_custom(e, &sig, decl, vals)
                                                          : elab_run_body(e, &sig, decl);
    elab_leave_frame(e);
    return v;
}

/* ------------------------------------------------------------------- calls */

/* The path of a layer made in an argument of a layer's call: the parameter's name is the step. */
static const char *argument_path(Elab *e, const char *path, Val callee, const Node *arg, int position) {
    if (!path || callee.kind == VAL_FN) return NULL;
    if (callee.kind != VAL_CLASS) return path;
    const Node *params = callee.class->decl->kids[LAYER_PARAMS];
    const char *name = arg->text ? arg->text : position < params->n ? params->kids[position]->text : NULL;
    return name ? elab_join_path(e, path, name) : path;
}

static bool eval_args(Elab *e, const Node *n, Val callee, Args *args) {
    const char *path = e->layer_path;
    bool poison = false;
    *args = (Args){.n = n->n - 1, .at = n->span};
    args->vals = arena_array(e->arena, Val, n->n);
    args->nodes = arena_array(e->arena, const Node *, n->n);
    args->names = arena_array(e->arena, const char *, n->n);
    for (int i = 0; i < args->n; i++) {
        const Node *a = n->kids[i + 1];
        if (a->kind != NODE_ARGUMENT) return false;
        if (i && !a->text && n->kids[i]->text) {
            elab_fail(e, DL0206, a->span, "positional arguments come before named ones");
            return false;
        }
        e->layer_path = argument_path(e, path, callee, a, i);
        args->vals[i] = elab_eval(e, a->kids[0]);
        args->nodes[i] = a;
        args->names[i] = a->text;
        poison = poison || is_poison(args->vals[i]);
    }
    e->layer_path = path;
    return !poison;
}

Val elab_call_value(Elab *e, Val callee, const Args *args) {
    switch (callee.kind) {
    case VAL_FN: return elab_call_fn(e, callee.fn, args);
    case VAL_BUILTIN: return elab_call_builtin(e, callee.builtin, args);
    case VAL_OPTIMIZER: return elab_optimizer_more(e, callee.optimizer, args);
    case VAL_CLASS:
        if (callee.class->decl->kind == NODE_OPTIMIZER) return elab_make_optimizer(e, callee.class, args);
        return elab_instantiate(e, callee.class, args);
    case VAL_LAYER:
        if (callee.layer->broken && !callee.layer->call) return POISON;
        if (!callee.layer->call)
            return elab_fail(e, DL0207, args->at, "%s has no unnamed function to call", val_text(e, callee));
        return elab_call_fn(e, &(FnRef){callee.layer->call, callee.layer, callee.layer->unit}, args);
    case VAL_DTYPE:
        if (args->n != 1) return elab_fail(e, DL0206, args->at, "a conversion takes one argument");
        return elab_convert(e, args->at, args->vals[0], callee.dtype);
    case VAL_POISON: return POISON;
    default: return elab_fail(e, DL0302, args->at, "%s cannot be called", val_text(e, callee));
    }
}

/* cap(B): the bound of a declared dim, whatever B is bound to in this function. */
static bool capacity(Elab *e, const Node *n, Val callee, Val *to) {
    if (callee.kind != VAL_BUILTIN || strcmp(callee.builtin->name, "cap") || n->n != 2 ||
        n->kids[1]->kids[0]->kind != NODE_NAME)
        return false;
    for (Scope *s = e->scope; s; s = s->parent) {
        Binding *b = scope_find_local(s, n->kids[1]->kids[0]->text);
        if (!b || b->val.kind != VAL_BOUND) continue;
        *to = val_int(b->val.bound->upper);
        return true;
    }
    return false;
}

Val elab_call(Elab *e, const Node *n) {
    Args args;
    Val v, callee = elab_eval(e, n->kids[0]);
    if (capacity(e, n, callee, &v)) return v;
    if (!eval_args(e, n, callee, &args) || is_poison(callee)) return POISON;
    return elab_call_value(e, callee, &args);
}

Val elab_initial(Elab *e, const Node *init, Val like) {
    bool call = init->kind == NODE_CALL;
    Val callee = call || init->kind == NODE_NAME ? elab_eval(e, call ? init->kids[0] : init) : NONE_VAL;
    const Node *params = callee.kind == VAL_FN ? callee.fn->decl->kids[FN_PARAMS] : NULL;
    bool takes_shape = params && params->n && params->kids[0]->text && !strcmp(params->kids[0]->text, "shape");
    if (is_poison(callee)) return POISON;
    if (!takes_shape) return elab_eval(e, init);
    Args args = {.at = init->span};
    if (call && !eval_args(e, init, callee, &args)) return POISON;
    for (int i = 0; i < args.n; i++)
        if (args.names[i] && args.names[i] == params->kids[0]->text) return elab_call_value(e, callee, &args);
    Args with = {.n = args.n + 1, .at = init->span};
    with.vals = arena_array(e->arena, Val, with.n);
    with.nodes = arena_array(e->arena, const Node *, with.n);
    with.names = arena_array(e->arena, const char *, with.n);
    with.vals[0] = like;
    for (int i = 0; i < args.n; i++) {
        with.vals[i + 1] = args.vals[i];
        with.nodes[i + 1] = args.nodes[i];
        with.names[i + 1] = args.names[i];
    }
    return elab_call_value(e, callee, &with);
}
