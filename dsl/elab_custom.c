/* Functions with a gradient of their own: `fn f(x) { ... } backward (dy) { ... }`.
 *
 * A call becomes an op with two bodies: the function's, and that of `backward`, which sees the arguments, the results
 * by their names and the results' gradients by those in parentheses, and gives the gradient of each argument that is a
 * float tensor, in order. Other functions are inlined; these cannot be. Where `backward` calls the function itself,
 * that call is inlined too: what is differentiated again there is the body. */
#include "elab_region.h"

typedef struct Custom {
    const Node *fn;
    Sig *sig;
    Span at;                   /* of the call */
    VEC(int) index;            /* parameters that hold tensors */
    VEC(Val) args;             /* their values, as leaves */
    Leaves operands;
    Body body, backward;
    Leaves params, backward_args, backward_results, backward_dresults;   /* parameters of the two */
    Val result;                /* of the body, as leaves */
    Leaves results;            /* its tensors, then the variables written */
    Vars vars;
    Leaves gradients;
    VEC(int64_t) wrt;          /* operands that they are of */
} Custom;

static bool holds_tensor(Val v) {
    if (v.kind == VAL_MAP) return v.map->n > 0;
    if (v.kind == VAL_LIST || v.kind == VAL_TUPLE) {
        for (int i = 0; i < v.list->n; i++)
            if (holds_tensor(v.list->at[i])) return true;
        return false;
    }
    return is_runtime(v);
}

static bool take_arguments(Elab *e, Custom *c, const Val *args) {
    const Node *params = c->fn->kids[FN_PARAMS];
    for (int i = 0; i < params->n; i++) {
        if (!holds_tensor(args[i])) continue;
        Val v = leaves_of(e, c->at, "an argument", args[i], &c->operands);
        if (is_poison(v)) return false;
        vec_push(e->arena, &c->index, i);
        vec_push(e->arena, &c->args, v);
    }
    return true;
}

/* Binds the arguments to parameters of the region. */
static void bind_arguments(Elab *e, Custom *c, Leaves *inside) {
    const Node *params = c->fn->kids[FN_PARAMS];
    int next = 0;
    for (int i = 0; i < c->operands.n; i++) vec_push(e->arena, inside, body_param(e, c->operands.at[i]->type, NULL));
    for (int i = 0; i < c->index.n; i++) {
        const Node *p = params->kids[c->index.at[i]];
        if (c->args.at[i].kind == VAL_TENSOR) inside->at[next]->name = p->text;
        scope_bind(e, e->scope, p->text, leaves_replace(e, c->args.at[i], inside->at, &next), p->name_span);
    }
}

/* ------------------------------------------------------------------ forward */

static bool run_forward(Elab *e, Custom *c) {
    Mark mark = mark_function(e);
    int errors = e->diags->errors;
    body_begin(e, &c->body);
    bind_arguments(e, c, &c->params);
    Val v = leaves_read(e, c->at, elab_run_body(e, c->sig, c->fn));
    bool good = e->diags->errors == errors && !e->gave_up && !is_poison(v);
    if (good && v.kind != VAL_NONE) c->result = leaves_of(e, e->frame->result_span, "the result", v, &c->results);
    else c->result = v;
    good = good && !is_poison(c->result);
    c->vars = vars_written(e, &mark);
    for (int i = 0; good && i < c->vars.n; i++)
        vec_push(e->arena, &c->results, e->build->versions.at[c->vars.at[i]->id].value);
    good = good && body_dims_stay(e, c->at, mark.bound, e->build->bound.n, &c->results);
    mark_leave(e, &mark);
    return good;
}

/* ----------------------------------------------------------------- backward */

/* The parts that names stand for: one value, or those of a tuple. */
static bool parts_of(Val v, int names, Val *parts) {
    if (names == 1) {
        parts[0] = v;
        return true;
    }
    if ((v.kind != VAL_TUPLE && v.kind != VAL_LIST) || v.list->n != names) return false;
    for (int i = 0; i < names; i++) parts[i] = v.list->at[i];
    return true;
}

static Val params_like(Elab *e, Custom *c, Leaves *to) {
    int next = 0;
    for (int i = 0; i < c->results.n; i++) vec_push(e->arena, to, body_param(e, c->results.at[i]->type, NULL));
    return leaves_replace(e, c->result, to->at, &next);
}

/* Binds the results' names, where the signature gives any, and those of their gradients. */
static bool bind_results(Elab *e, Custom *c) {
    const Node *results = c->fn->kids[FN_RESULTS], *names = c->fn->kids[FN_BACKWARD_NAMES];
    Val *parts = arena_array(e->arena, Val, names->n + (results ? results->n : 0) + 1);
    Val values = params_like(e, c, &c->backward_results), gradients = params_like(e, c, &c->backward_dresults);
    if (results && parts_of(values, results->n, parts))
        for (int i = 0; i < results->n; i++)
            if (results->kids[i]->text)
                scope_bind(e, e->scope, results->kids[i]->text, parts[i], results->kids[i]->name_span);
    if (!parts_of(gradients, names->n, parts)) {
        elab_fail(e, DL0307, names->span, "`backward` names %d gradient%s, but the function gives %s", names->n,
                  names->n == 1 ? "" : "s", val_text(e, c->result));
        return false;
    }
    for (int i = 0; i < names->n; i++) scope_bind(e, e->scope, names->kids[i]->text, parts[i], names->kids[i]->span);
    return true;
}

static bool is_float(Val v) {
    if (v.kind == VAL_TENSOR) return dtype_is_float(v.tensor->type.dtype);
    return true;               /* a group: leaves_fit sees to its parts */
}

/* One gradient for each argument of floats; `none` for one that gets none. */
static bool take_gradients(Elab *e, Custom *c, Val v, Span at) {
    Val one = v;
    Vals given = {1, &one};
    int wanted = 0, next = 0, operand = 0;
    for (int i = 0; i < c->args.n; i++) wanted += is_float(c->args.at[i]);
    if (wanted != 1 && (v.kind == VAL_TUPLE || v.kind == VAL_LIST)) given = *v.list;
    if (given.n != wanted || v.kind == VAL_NONE) {
        int d = elab_error(e, DL0307, at, "`backward` gives %s, but %d argument%s of floats", val_text(e, v), wanted,
                           wanted == 1 ? " is a tensor" : "s are tensors");
        diag_label(e->diags, d, c->at, "of this call");
        return false;
    }
    for (int i = 0; i < c->args.n; i++) {
        Leaves count = {0};
        leaves_of(e, at, "an argument", c->args.at[i], &count);
        bool wants = is_float(c->args.at[i]);
        Val g = wants ? given.at[next++] : NONE_VAL;
        Misfit m;
        if (g.kind != VAL_NONE && !leaves_fit(e, at, c->args.at[i], g, &c->gradients, &m)) {
            if (m.wanted.kind != VAL_NONE)
                elab_fail(e, misfit_code(&m), at, "the gradient of `%s` is %s, but `%s` is %s",
                          c->fn->kids[FN_PARAMS]->kids[c->index.at[i]]->text, val_text(e, m.found),
                          c->fn->kids[FN_PARAMS]->kids[c->index.at[i]]->text, val_text(e, m.wanted));
            return false;
        }
        for (int k = 0; g.kind != VAL_NONE && k < count.n; k++) vec_push(e->arena, &c->wrt, operand + k);
        operand += count.n;
    }
    return true;
}

static bool run_backward(Elab *e, Custom *c) {
    Mark mark = mark_function(e);
    Frame *f = e->frame, saved = *f;
    const Node *body = c->fn->kids[FN_BACKWARD_BODY];
    int errors = e->diags->errors;
    c->backward.pure = "`backward`";
    c->backward.backward_of = c->fn;
    body_begin(e, &c->backward);
    bind_arguments(e, c, &c->backward_args);
    f->returned = false;
    bool good = bind_results(e, c);
    Val v = good ? elab_statements(e, body) : POISON;
    Span at = body->n ? body->kids[body->n - 1]->span : body->span;
    if (f->returned) {
        v = f->result;
        at = f->result_span;
    }
    good = e->diags->errors == errors && !e->gave_up && !is_poison(v) &&
           take_gradients(e, c, leaves_read(e, at, v), at);
    f->returned = saved.returned;
    f->result = saved.result;
    f->result_span = saved.result_span;
    mark_leave(e, &mark);
    return good;
}

static bool is_in_backward_of(const Elab *e, const Node *fn) {
    for (const Body *b = e->build->body; b; b = b->outer)
        if (b->backward_of == fn) return true;
    return false;
}

Val elab_call_custom(Elab *e, Sig *sig, const Node *fn, const Val *args) {
    Custom c = {.fn = fn, .sig = sig, .at = e->frame->user};
    if (!take_arguments(e, &c, args)) return POISON;
    if (!e->build || !c.operands.n || is_in_backward_of(e, fn)) return elab_run_body(e, sig, fn);
    if (!body_allowed(e, c.at) || !run_forward(e, &c) || !run_backward(e, &c)) return POISON;
    Value **results = arena_array(e->arena, Value *, c.results.n + 1);
    CallParts parts = {.body = &c.body.b, .args = c.operands.at, .params = c.params.at, .arg_count = c.operands.n,
                       .results = c.results.at, .result_count = c.results.n, .backward = &c.backward.b,
                       .backward_args = c.backward_args.at, .backward_results = c.backward_results.at,
                       .backward_dresults = c.backward_dresults.at, .wrt = c.wrt.at, .gradients = c.gradients.at,
                       .wrt_count = c.wrt.n};
    int next = 0;
    if (!build_call(elab_builder(e, c.at), &parts, results)) return POISON;
    Val v = leaves_replace(e, c.result, results, &next);
    for (int i = 0; i < c.vars.n; i++) elab_set_version(e, c.vars.at[i], results[next++]);
    return v;
}
