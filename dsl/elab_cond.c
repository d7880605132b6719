/* `cond` and `recompute`, whose bodies run at most once; `require` and `dim` on values known when the model runs. */
#include "elab_region.h"

/* ----------------------------------------------------------------- branches */

/* A body with the locals it assigns. */
typedef struct Branch {
    const Node *block;
    Body body;
    Mark mark;                 /* of before */
    int bound_end;             /* dims bound up to its end */
    Val value;
    VEC(Binding) locals;       /* at its end, those of the statement */
    Vars written;
    VEC(Value *) versions;     /* by variable id; null: not written */
    Leaves yields;
} Branch;

static Span branch_end(const Branch *b) {
    return b->block->n ? b->block->kids[b->block->n - 1]->span : b->block->span;
}

/* Runs the block. Locals are bound inside, so that the outer ones keep their values. */
static bool run_branch(Elab *e, Branch *b, const Locals *locals) {
    int errors = e->diags->errors;
    b->mark = mark_function(e);
    body_begin(e, &b->body);
    Scope *scope = e->scope;
    for (int i = 0; i < locals->n; i++) {
        scope_bind(e, scope, locals->at[i].name, locals->at[i].before, (Span){0});
        scope->all.at[scope->all.n - 1].mutable = true;
    }
    b->value = leaves_read(e, b->block->span, elab_block(e, b->block));
    for (int i = 0; i < locals->n; i++) {
        vec_push(e->arena, &b->locals, scope->all.at[i]);
        b->locals.at[i].val = leaves_read(e, b->block->span, b->locals.at[i].val);
    }
    b->written = vars_written(e, &b->mark);
    for (int i = 0; i < e->build->versions.n; i++) vec_push(e->arena, &b->versions, e->build->versions.at[i].value);
    b->bound_end = e->build->bound.n;
    bool good = e->diags->errors == errors && !e->gave_up;
    mark_leave(e, &b->mark);
    return good;
}

static bool was_written(const Branch *b, const Var *var) {
    for (int i = 0; i < b->written.n; i++)
        if (b->written.at[i] == var) return true;
    return false;
}

/* The variable's version at the end of the branch; one that it does not write is that of outside. */
static Value *version_after(Elab *e, const Branch *b, Span at, Var *var) {
    return was_written(b, var) ? b->versions.at[var->id] : elab_read(e, at, var);
}

/* Reports values of types that only the branch knows. */
static bool branch_dims_stay(Elab *e, const Branch *b) {
    return body_dims_stay(e, branch_end(b), b->mark.bound, b->bound_end, &b->yields);
}

static void in_region_of(Elab *e, const Branch *b) { e->build->b.region = b->body.b.region; }

/* ------------------------------------------------------ what branches share */

/* Built as both are, with a tensor where either has one. What differs in form is left to leaves_fit. */
static Val common_form(Elab *e, Span at, Val a, Val b) {
    a = elab_as_map(e, a);
    b = elab_as_map(e, b);
    if (a.kind == VAL_MAP || b.kind == VAL_MAP) return leaves_of(e, at, "this", a, &(Leaves){0});
    bool lists = (a.kind == VAL_LIST || a.kind == VAL_TUPLE) && (b.kind == VAL_LIST || b.kind == VAL_TUPLE);
    if (lists && a.list->n == b.list->n) {
        Val *all = arena_array(e->arena, Val, a.list->n + 1);
        for (int i = 0; i < a.list->n; i++)
            if (is_poison(all[i] = common_form(e, at, a.list->at[i], b.list->at[i]))) return POISON;
        return val_list(e, VAL_TUPLE, all, a.list->n);
    }
    if (a.kind == VAL_NONE && b.kind == VAL_NONE) return a;
    Val more = is_runtime(a) || (!is_runtime(b) && a.kind == VAL_FLOAT) ? a : b;
    return leaves_of(e, at, "what a `cond` gives", more, &(Leaves){0});
}

typedef struct Choice {
    Branch branches[2];
    Locals locals;
    Vars vars;
    Val value;                 /* its form */
    VEC(Val) forms;            /* of the locals; NONE: not changed */
} Choice;

/* Both branches' values as leaves of one form. */
static bool join(Elab *e, const Node *n, Choice *c, const char *what, Val a, Val b, Val *form) {
    in_region_of(e, &c->branches[0]);
    *form = common_form(e, n->span, a, b);
    const Val ends[2] = {a, b};
    for (int i = 0; i < 2; i++) {
        Misfit m;
        if (is_poison(*form)) return false;
        in_region_of(e, &c->branches[i]);
        if (leaves_fit(e, branch_end(&c->branches[i]), *form, ends[i], &c->branches[i].yields, &m)) continue;
        if (m.wanted.kind == VAL_NONE && m.found.kind == VAL_NONE) return false;
        int d = elab_error(e, misfit_code(&m), n->kids[IF_TEST]->span,
                           "the branches of this `cond` differ: %s is %s in one and %s in the other",
                           what, val_text(e, i ? m.wanted : m.found), val_text(e, i ? m.found : m.wanted));
        diag_label(e->diags, d, branch_end(&c->branches[0]), "%s here", val_text(e, a));
        diag_label(e->diags, d, branch_end(&c->branches[1]), "%s here", val_text(e, b));
        return false;
    }
    return true;
}

static bool join_locals(Elab *e, const Node *n, Choice *c) {
    for (int i = 0; i < c->locals.n; i++) {
        Val form = NONE_VAL, a = c->branches[0].locals.at[i].val, b = c->branches[1].locals.at[i].val;
        bool changed = c->branches[0].locals.at[i].changed.source || c->branches[1].locals.at[i].changed.source;
        const char *what = arena_printf(e->arena, "`%s`", c->locals.at[i].name);
        if (changed && !join(e, n, c, what, a, b, &form)) return false;
        vec_push(e->arena, &c->forms, changed ? form : POISON);
    }
    return true;
}

static void join_vars(Elab *e, const Node *n, Choice *c) {
    for (int k = 0; k < 2; k++)
        for (int i = 0; i < c->branches[k].written.n; i++) {
            Var *var = c->branches[k].written.at[i];
            if (k && was_written(&c->branches[0], var)) continue;
            vec_push(e->arena, &c->vars, var);
        }
    for (int k = 0; k < 2; k++)
        for (int i = 0; i < c->vars.n; i++)
            vec_push(e->arena, &c->branches[k].yields, version_after(e, &c->branches[k], n->span, c->vars.at[i]));
}

/* The value, with locals and variables set from the results. */
static Val settle(Elab *e, Choice *c, Value *const *results) {
    int next = 0;
    Val v = leaves_replace(e, c->value, results, &next);
    for (int i = 0; i < c->locals.n; i++) {
        if (is_poison(c->forms.at[i])) continue;
        Binding *b = scope_find(e->scope, c->locals.at[i].name);
        b->val = leaves_replace(e, c->forms.at[i], results, &next);
    }
    for (int i = 0; i < c->vars.n; i++) elab_set_version(e, c->vars.at[i], results[next++]);
    return v;
}

static Val spoil(Elab *e, const Choice *c) {
    for (int i = 0; i < c->locals.n; i++) scope_find(e->scope, c->locals.at[i].name)->val = POISON;
    return POISON;
}

/* --------------------------------------------------------------------- cond */

static Val choose(Elab *e, const Node *n, Value *test) {
    Choice c = {.branches = {{.block = n->kids[IF_THEN]}, {.block = n->kids[IF_ELSE]}}};
    Branch *yes = &c.branches[0], *no = &c.branches[1];
    if (!body_allowed(e, n->span)) return POISON;
    locals_assigned(e, yes->block, &c.locals);
    locals_assigned(e, no->block, &c.locals);
    bool first = run_branch(e, yes, &c.locals), second = run_branch(e, no, &c.locals);
    if (!first || !second) return spoil(e, &c);
    Region *outside = e->build->b.region;
    bool good = join(e, n, &c, "its value", yes->value, no->value, &c.value) && join_locals(e, n, &c);
    e->build->b.region = outside;
    if (!good || !branch_dims_stay(e, yes) || !branch_dims_stay(e, no)) return spoil(e, &c);
    join_vars(e, n, &c);
    Value **results = arena_array(e->arena, Value *, yes->yields.n + 1);
    if (!build_cond(elab_builder(e, n->span), test, &yes->body.b, yes->yields.at, &no->body.b, no->yields.at,
                    yes->yields.n, results))
        return spoil(e, &c);
    return settle(e, &c, results);
}

Val elab_cond(Elab *e, const Node *n) {
    const Node *at = n->kids[IF_TEST];
    Val v = elab_eval(e, at);
    if (is_poison(v)) return v;
    if (v.kind == VAL_BOOL) return elab_block(e, n->kids[v.i ? IF_THEN : IF_ELSE]);
    Value *test = is_runtime(v) ? elab_tensor(e, at->span, v, DTYPE_BOOL) : NULL;
    if (test && !test->type.rank && test->type.dtype == DTYPE_BOOL) return choose(e, n, test);
    int d = elab_error(e, DL0302, at->span, "the test of a `cond` is one bool, not %s", val_text(e, v));
    if (test && test->type.dtype == DTYPE_BOOL)
        diag_hint(e->diags, d, "choose elementwise with where(condition, a, b), or say any(...) or all(...)");
    return POISON;
}

/* ---------------------------------------------------------------- recompute */

Val elab_recompute(Elab *e, const Node *n) {
    Choice c = {.branches = {{.block = n->kids[0]}}};
    Branch *body = &c.branches[0];
    if (!body_allowed(e, n->span)) return POISON;
    locals_assigned(e, body->block, &c.locals);
    if (!run_branch(e, body, &c.locals)) return spoil(e, &c);
    Region *outside = e->build->b.region;
    in_region_of(e, body);
    c.value = body->value.kind == VAL_NONE
                  ? NONE_VAL
                  : leaves_of(e, branch_end(body), "what `recompute` gives", body->value, &body->yields);
    bool good = c.value.kind != VAL_POISON;
    for (int i = 0; good && i < c.locals.n; i++) {
        bool changed = body->locals.at[i].changed.source;
        Val form = changed ? leaves_of(e, n->span, "a local that a body changes", body->locals.at[i].val, &body->yields)
                           : POISON;
        vec_push(e->arena, &c.forms, form);
        good = !changed || !is_poison(form);
    }
    e->build->b.region = outside;
    if (!good || !branch_dims_stay(e, body)) return spoil(e, &c);
    c.vars = body->written;
    for (int i = 0; i < c.vars.n; i++) vec_push(e->arena, &body->yields, body->versions.at[c.vars.at[i]->id]);
    Value **results = arena_array(e->arena, Value *, body->yields.n + 1);
    CallParts parts = {
        .body = &body->body.b, .results = body->yields.at, .result_count = body->yields.n, .recompute = true};
    return build_call(elab_builder(e, n->span), &parts, results) ? settle(e, &c, results) : spoil(e, &c);
}

/* ------------------------------------------------------------------ require */

/* What a status says at run time: the text given, or the requirement as it is written. */
static const char *requirement(Elab *e, const Node *n) {
    Val text = n->kids[1] ? elab_eval(e, n->kids[1]) : NONE_VAL;
    if (text.kind == VAL_STR) return text.s;
    enum { MOST = 120 };
    const Node *test = n->kids[0];
    const Source *source = &e->diags->sources.at[test->span.source];
    Text t = text_new(e->arena);
    for (uint32_t i = test->span.begin; i < test->span.end && t.n < MOST; i++) {
        char c = source->text[i] == '\n' ? ' ' : source->text[i];
        if (c != ' ' || (t.n && t.at[t.n - 1] != ' ')) text_append(&t, &c, 1);
    }
    return text_get(&t);
}

static Val require_later(Elab *e, const Node *n, Val v) {
    const Node *at = n->kids[0];
    Value *x = elab_tensor(e, at->span, v, DTYPE_BOOL);
    if (!x) return POISON;
    if (x->type.dtype != DTYPE_BOOL)
        return elab_fail(e, DL0302, at->span, "a requirement is bool, not %s", val_text(e, v));
    Builder *b = elab_builder(e, n->span);
    int64_t axes[MAX_RANK];
    for (int i = 0; i < x->type.rank; i++) axes[i] = i;
    if (x->type.rank) x = build_reduce(b, &OP_reduce_and, x, axes, x->type.rank);
    return x && build_require(b, x, requirement(e, n)) ? NONE_VAL : POISON;
}

/* What is said where it does not hold. */
static bool check_text(Elab *e, const Node *n) {
    Val text = n->kids[1] ? elab_eval(e, n->kids[1]) : NONE_VAL;
    if (!n->kids[1] || text.kind == VAL_STR) return true;
    if (!is_poison(text)) elab_fail(e, DL0302, n->kids[1]->span, "a text is needed here, not %s", val_text(e, text));
    return false;
}

Val elab_require(Elab *e, const Node *n) {
    bool holds;
    if (!check_text(e, n)) return POISON;
    Val v = elab_eval(e, n->kids[0]);
    if (is_runtime(v)) return require_later(e, n, v);
    if (!elab_truth(e, n->kids[0]->span, v, &holds)) return POISON;
    if (holds) return NONE_VAL;
    Val text = n->kids[1] ? elab_eval(e, n->kids[1]) : NONE_VAL;
    int d = elab_error(e, DL0305, n->span, "this requirement does not hold%s%s", text.kind == VAL_STR ? ": " : "",
                       text.kind == VAL_STR ? text.s : "");
    const Node *t = n->kids[0];
    for (int i = 0; t->kind == NODE_BINARY && i < 2; i++)
        if (t->kids[i]->kind != NODE_INT)
            diag_label(e->diags, d, t->kids[i]->span, "%s", val_text(e, elab_eval(e, t->kids[i])));
    if (e->frame->unit->library) {             /* what follows there would only be noise */
        e->frame->returned = true;
        e->frame->result = POISON;
    }
    return POISON;
}

/* ---------------------------------------------------------------------- dim */

static bool is_taken(const FuncBuild *f, const DimSymbol *s) {
    for (int i = 0; i < f->bound.n; i++)
        if (f->bound.at[i].symbol == s->id) return true;
    for (int i = 0; i < f->b.func->dims.n; i++)
        if (f->b.func->dims.at[i] == s) return true;
    return false;
}

/* A symbol of its own for each statement of a function: two may have different values. */
static const DimSymbol *new_symbol(Elab *e, const char *name, int64_t lower, int64_t upper) {
    DimTable *t = &e->module->dims;
    const char *unique = name;
    const DimSymbol *s;
    for (int i = 2; (s = dim_find(t, unique)); i++) {
        if (!s->of && s->lower == lower && s->upper == upper && !is_taken(e->build, s)) return s;
        unique = intern(e->names, arena_printf(e->arena, "%s_%d", name, i));
    }
    dim_symbol(t, unique, lower, upper);
    return dim_find(t, unique);
}

static Val bind_value(Elab *e, const Node *n, Val v, int64_t lower, int64_t upper) {
    const Node *at = n->kids[DIM_VALUE];
    Value *x = elab_tensor(e, at->span, v, DTYPE_I64);
    if (!x) return POISON;
    if (x->type.rank || !dtype_is_int(x->type.dtype))
        return elab_fail(e, DL0302, at->span, "a dim is one integer, not %s", val_text(e, v));
    Builder *b = elab_builder(e, n->span);
    const DimSymbol *s = new_symbol(e, n->text, lower, upper);
    vec_push(e->arena, &e->build->bound, (BoundDim){n->text, s->id, n->name_span});
    bool built = build_bind_dim(b, build_convert(b, x, DTYPE_I64), s, n->text);
    return built ? val_dim(dim_of_symbol(&e->module->dims, s)) : POISON;
}

static Val checked_size(Elab *e, const Node *n, Val v, int64_t lower, int64_t upper) {
    Dim d = elab_dim(e, n->kids[DIM_VALUE]->span, v);
    if (!d) return POISON;
    if (d->upper > upper)
        return elab_fail(e, DL0304, n->span, "`%s` is %s, which can outgrow its bound %lld", n->text, val_text(e, v),
                         (long long)upper);
    if (d->lower < lower)
        return elab_fail(e, DL0304, n->span, "`%s` is %s, which can be less than its lower bound %lld", n->text,
                         val_text(e, v), (long long)lower);
    return v;
}

bool elab_dim_bounds(Elab *e, Span at, Val low, Val high) {
    if (low.kind != VAL_INT || high.kind != VAL_INT || low.i < 0 || low.i > high.i)
        elab_fail(e, DL0304, at, "the bounds of a dim are integers from 0, the lower one first");
    else if (high.i >= DIM_HUGE) elab_fail(e, DL0304, at, "a dim is less than %lld", (long long)DIM_HUGE);
    else return true;
    return false;
}

void elab_dim_statement(Elab *e, const Node *n) {
    Val v = n->kids[DIM_VALUE] ? elab_eval(e, n->kids[DIM_VALUE]) : POISON;
    Val low = n->kids[DIM_LOWER] ? elab_eval(e, n->kids[DIM_LOWER]) : val_int(1),
        high = elab_eval(e, n->kids[DIM_UPPER]);
    bool known = !is_poison(v) && !is_poison(low) && !is_poison(high);
    if (!n->kids[DIM_VALUE])
        elab_fail(e, DL0205, n->span, "a dim in a function has a value: dim %s <= 64 = ...", n->text);
    else if (known && !elab_dim_bounds(e, n->span, low, high)) v = POISON;
    else if (known && is_runtime(v)) v = bind_value(e, n, v, low.i, high.i);
    else if (known && is_size(v)) v = checked_size(e, n, v, low.i, high.i);
    else if (known) v = elab_fail(e, DL0302, n->kids[DIM_VALUE]->span, "a dim is an integer, not %s", val_text(e, v));
    else v = POISON;
    scope_bind(e, e->scope, n->text, v, n->name_span);
}
