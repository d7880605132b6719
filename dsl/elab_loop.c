/* `scan` and `loop`: bodies that run for each element of tensors, or as long as a test holds.
 *
 * What goes round is a list of tensors: those of the carries, of the locals that the body assigns, and the versions of
 * variables that it writes. The body is elaborated until it writes just those variables that were taken to go round:
 * once, or twice if it writes any for the first time. What it wrote is remembered, so that loops in loops cost no more.
 */
#include "elab_region.h"

/* One carry or local. */
typedef struct Carried {
    const char *name;
    Span span, init_at;        /* of the name and of what it begins with */
    Val like;                  /* its value with tensors of the types that go round */
    bool local;
} Carried;

/* `x in xs`. */
typedef struct Item {
    const Node *node;
    Value *xs;                 /* null: a range */
    int64_t axis;
    Val from, step;            /* of a range */
    Value *slice;              /* in the body */
} Item;

typedef struct Loop {
    const Node *node, *block;
    const char *what;          /* "scan" or "loop" */
    VEC(Carried) carried;
    VEC(Item) items;
    Vars vars;
    Leaves inits;              /* of all that goes round; those of vars, from `fixed` on, anew at each attempt */
    int fixed;
    Dim length;
    int64_t axis;              /* as given, perhaps negative */
    bool reverse;
    Body body;
    Leaves params, results;    /* of the body: what goes round */
    Val yielded;               /* what the body yields, with tensors */
    Leaves yields;
} Loop;

/* ------------------------------------------------------------------ carries */

static bool add_carried(Elab *e, Loop *l, Carried c, Val v) {
    c.like = leaves_of(e, c.init_at, c.local ? "a local that a body changes" : "a carry", v, &l->inits);
    vec_push(e->arena, &l->carried, c);
    return !is_poison(c.like);
}

static bool add_all_carried(Elab *e, Loop *l, const Node *carries) {
    bool good = true;
    for (int i = 0; carries && i < carries->n; i++) {
        const Node *c = carries->kids[i];
        good = add_carried(e, l, (Carried){c->text, c->name_span, c->kids[0]->span, NONE_VAL, false},
                           elab_eval(e, c->kids[0])) && good;
    }
    Locals locals = {0};
    locals_assigned(e, l->block, &locals);
    for (int i = 0; i < locals.n; i++) {
        bool hidden = false;
        for (int k = 0; k < l->carried.n; k++) hidden = hidden || l->carried.at[k].name == locals.at[i].name;
        Span at = scope_find(e->scope, locals.at[i].name)->span;
        good = (hidden || add_carried(e, l, (Carried){locals.at[i].name, at, at, NONE_VAL, true},
                                      locals.at[i].before)) && good;
    }
    l->fixed = l->inits.n;
    return good;
}

static void add_var_inits(Elab *e, Loop *l) {
    l->inits.n = l->fixed;
    for (int i = 0; i < l->vars.n; i++)
        vec_push(e->arena, &l->inits, elab_read(e, l->node->span, l->vars.at[i]));
}

/* Begins a region whose parameters are what goes round, bound to their names. */
static void begin(Elab *e, Loop *l, Body *body, Leaves *params) {
    body_begin(e, body);
    params->n = 0;
    for (int i = 0; i < l->inits.n; i++)
        vec_push(e->arena, params, body_param(e, l->inits.at[i]->type, NULL));
    int next = 0;
    for (int i = 0; i < l->carried.n; i++) {
        const Carried *c = &l->carried.at[i];
        if (c->like.kind == VAL_TENSOR) params->at[next]->name = c->name;
        scope_bind(e, e->scope, c->name, leaves_replace(e, c->like, params->at, &next), c->span);
        e->scope->all.at[e->scope->all.n - 1].mutable = true;
    }
    for (int i = 0; i < l->vars.n; i++) body_take_var(e, l->vars.at[i], params->at[next + i]);
}

static void report_changed(Elab *e, const Loop *l, const Carried *c, const Binding *b, const Misfit *m) {
    bool tensors = is_runtime(m->wanted) && is_runtime(m->found), part = c->like.kind != VAL_TENSOR && tensors;
    int d = elab_error(e, misfit_code(m), b->changed.source ? b->changed : l->node->span,
                       "%s`%s` is %s after one turn of this %s, but begins as %s", part ? "a part of " : "", c->name,
                       val_text(e, m->found), l->what, val_text(e, m->wanted));
    diag_label(e->diags, d, c->init_at, "it begins here");
    diag_note(e->diags, d, "what goes round keeps its type");
    if (tensors && !val_type(m->wanted).rank && val_type(m->found).rank)
        diag_hint(e->diags, d, "begin with the whole shape, as zeros([...]) gives it");
}

/* The values at the end of the body, in the order of the parameters. */
static bool end_carried(Elab *e, Loop *l) {
    l->results.n = 0;
    for (int i = 0; i < l->carried.n; i++) {
        const Carried *c = &l->carried.at[i];
        const Binding *b = scope_find_local(e->scope, c->name);
        Misfit m;
        if (leaves_fit(e, b->changed.source ? b->changed : c->span, c->like, b->val, &l->results, &m)) continue;
        if (m.wanted.kind != VAL_NONE) report_changed(e, l, c, b, &m);
        return false;
    }
    for (int i = 0; i < l->vars.n; i++)
        vec_push(e->arena, &l->results, e->build->versions.at[l->vars.at[i]->id].value);
    return true;
}

static bool same_vars(const Vars *a, const Vars *b) {
    return a->n == b->n && (!a->n || !memcmp(a->at, b->at, sizeof *a->at * (size_t)a->n));
}

/* What the loop wrote when it was elaborated before, in an attempt at what is around it or another call. */
static BodyVars *known_vars(Elab *e, const Node *body) {
    FuncBuild *f = e->build;
    const Instance *self = e->frame ? e->frame->self : NULL;
    for (int i = 0; i < f->body_vars.n; i++)
        if (f->body_vars.at[i]->body == body && f->body_vars.at[i]->self == self) return f->body_vars.at[i];
    BodyVars *known = arena_new(e->arena, BodyVars);
    *known = (BodyVars){.body = body, .self = self};
    vec_push(e->arena, &f->body_vars, known);
    return known;
}

/* Runs the body until it writes just what goes round. The builder appends to the body afterwards; *mark is of before.
 */
static bool run_body(Elab *e, Loop *l, bool (*enter)(Elab *, Loop *), Mark *mark) {
    BodyVars *known = known_vars(e, l->block);
    for (int i = 0; i < known->count; i++) vec_push(e->arena, &l->vars, known->vars[i]);
    for (;;) {
        int errors = e->diags->errors;
        add_var_inits(e, l);
        *mark = mark_function(e);
        begin(e, l, &l->body, &l->params);
        if (!enter(e, l)) return false;
        elab_statements(e, l->block);
        if (e->diags->errors > errors || e->gave_up) return false;
        Vars written = vars_written(e, mark);
        bool settled = same_vars(&l->vars, &written);
        l->vars = written;
        known->vars = written.at;
        known->count = written.n;
        if (settled) return end_carried(e, l);
        mark_undo(e, mark);
    }
}

/* Locals and variables have the loop's results as values; the carries' are returned behind `first`. */
static Val finish(Elab *e, Loop *l, Value *const *results, const Val *first, int n) {
    Val *all = arena_array(e->arena, Val, n + l->carried.n + 1);
    int next = 0;
    for (int i = 0; i < n; i++) all[i] = first[i];
    for (int i = 0; i < l->carried.n; i++) {
        const Carried *c = &l->carried.at[i];
        Val v = leaves_replace(e, c->like, results, &next);
        if (c->local) scope_find(e->scope, c->name)->val = v;
        else all[n++] = v;
    }
    for (int i = 0; i < l->vars.n; i++) elab_set_version(e, l->vars.at[i], results[next + i]);
    return n == 0 ? NONE_VAL : n == 1 ? all[0] : val_list(e, VAL_TUPLE, all, n);
}

/* After a mistake: the locals are unknown. */
static Val give_up(Elab *e, const Loop *l, const Mark *mark) {
    if (mark) mark_leave(e, mark);
    for (int i = 0; i < l->carried.n; i++)
        if (l->carried.at[i].local) scope_find(e->scope, l->carried.at[i].name)->val = POISON;
    return POISON;
}

/* --------------------------------------------------------------------- scan */

static bool same_length(Elab *e, Loop *l, const Node *at, Dim length) {
    if (!l->length || l->length == length) {
        l->length = length;
        return true;
    }
    int d = elab_error(e, DL0301, at->span, "`%s` goes through %s, but `%s` through %s", at->text,
                       elab_dim_text(e, length), l->items.at[0].node->text, elab_dim_text(e, l->length));
    diag_label(e->diags, d, l->items.at[0].node->span, "the first sequence");
    diag_note(e->diags, d, "the sequences of a scan are equally long, as the same expression of dims");
    return false;
}

/* A size of a range. */
static bool range_size(Elab *e, const Node *n, Val *v) {
    *v = elab_eval(e, n);
    if (is_poison(*v) || is_size(*v)) return is_size(*v);
    int d = elab_error(e, is_runtime(*v) ? DL0308 : DL0302, n->span, "the range of a scan has sizes, not %s",
                       val_text(e, *v));
    if (is_runtime(*v)) diag_hint(e->diags, d, "name it as a dim with a bound first: dim L <= 64 = ...");
    return false;
}

static bool counts_in_i32(Elab *e, Span at, Dim from, Dim length, int64_t step) {
    DimTable *t = &e->module->dims;
    Dim last = dim_add(t, from, dim_mul(t, length, dim_const(t, step)));
    if (from->lower >= INT32_MIN && last->upper <= INT32_MAX) return true;
    elab_fail(e, DL0304, at, "the range of a scan counts in i32, but this one can come to %s", elab_dim_text(e, last));
    return false;
}

/* range(n), range(from, to), range(from, to, step): the body counts by itself. */
static bool add_range(Elab *e, Loop *l, const Node *each) {
    const Node *call = each->kids[0];
    Val args[3];
    int n = call->n - 1;
    bool named = false;
    for (int i = 0; i < n; i++) named = named || call->kids[i + 1]->text;
    if (n < 1 || n > 3 || named) {
        elab_fail(e, DL0206, call->span, "the range of a scan is range(n), range(from, to) or range(from, to, step)");
        return false;
    }
    for (int i = 0; i < n; i++)
        if (!range_size(e, call->kids[i + 1]->kids[0], &args[i])) return false;
    Item item = {.node = each, .from = n > 1 ? args[0] : val_int(0), .step = n > 2 ? args[2] : val_int(1)};
    if (item.step.kind != VAL_INT || item.step.i < 1 || item.step.i >= DIM_HUGE) {
        int d = elab_error(e, DL0303, call->kids[3]->span, "the step of a scan's range is a positive integer");
        diag_hint(e->diags, d, "`reverse = true` goes backwards");
        return false;
    }
    DimTable *t = &e->module->dims;
    Dim from = elab_dim(e, call->span, item.from), to = elab_dim(e, call->span, args[n > 1]);
    if (!from || !to) return false;
    Dim length = dim_add(t, dim_sub(t, to, from), dim_const(t, item.step.i - 1));
    length = dim_div(t, length, item.step.i);
    if (length->lower < 0 || length->upper >= DIM_HUGE) {
        elab_fail(e, DL0306, call->span, "this range can be %s: it has %s elements",
                  length->lower < 0 ? "shorter than nothing" : "too long", elab_dim_text(e, length));
        return false;
    }
    if (!counts_in_i32(e, call->span, from, length, item.step.i) || !same_length(e, l, each, length)) return false;
    vec_push(e->arena, &l->items, item);
    return true;
}

static bool is_range(Elab *e, const Node *n) {
    if (n->kind != NODE_CALL || n->kids[0]->kind != NODE_NAME) return false;
    Binding *b = scope_find(e->scope, n->kids[0]->text);
    return b && b->val.kind == VAL_BUILTIN && !strcmp(b->val.builtin->name, "range");
}

static bool add_item(Elab *e, Loop *l, const Node *each) {
    const Node *of = each->kids[0];
    if (is_range(e, of)) return add_range(e, l, each);
    Val v = elab_eval(e, of);
    if (is_poison(v)) return false;
    if (!is_runtime(v) && v.kind != VAL_LIST) {
        int d = elab_error(e, DL0302, of->span, "a scan goes through tensors along an axis, or range(n), not %s",
                           val_text(e, v));
        if (v.kind == VAL_MAP || v.kind == VAL_TUPLE)
            diag_hint(e->diags, d, "`for` goes through lists at compile time");
        return false;
    }
    Item item = {.node = each, .xs = elab_tensor(e, of->span, v, DTYPE_COUNT)};
    if (!item.xs || !elab_axis(e, of->span, val_int(l->axis), item.xs->type.rank, &item.axis) ||
        !same_length(e, l, each, item.xs->type.shape[item.axis]))
        return false;
    vec_push(e->arena, &l->items, item);
    return true;
}

static bool scan_options(Elab *e, Loop *l, const Node *items) {
    bool good = true;
    for (int i = 0; i < items->n; i++) {
        const Node *k = items->kids[i];
        if (k->kind == NODE_EACH) continue;
        Val v = elab_eval(e, k->kids[0]);
        if (strcmp(k->text, "reverse") && strcmp(k->text, "axis")) continue;   /* reported by the checker */
        if (!strcmp(k->text, "reverse")) good = elab_truth(e, k->kids[0]->span, v, &l->reverse) && good;
        else if (v.kind == VAL_INT) l->axis = v.i;
        else {
            if (!is_poison(v)) elab_fail(e, DL0302, k->kids[0]->span, "an axis is an integer, not %s", val_text(e, v));
            good = false;
        }
    }
    for (int i = 0; good && i < items->n; i++)
        if (items->kids[i]->kind == NODE_EACH) good = add_item(e, l, items->kids[i]);
    if (good && !l->items.n) {
        elab_fail(e, DL0206, l->node->span, "a scan goes through something: `x in xs`, or `t in range(n)`");
        return false;
    }
    return good;
}

/* The slices and the index, bound to the items' names. */
static bool enter_scan(Elab *e, Loop *l) {
    for (int i = 0; i < l->items.n; i++) {
        Item *it = &l->items.at[i];
        if (!it->xs) continue;
        it->slice = build_slice_param(&l->body.b, it->xs, it->axis, it->node->text);
        if (!it->slice) return false;
        scope_bind(e, e->scope, it->node->text, val_tensor(it->slice), it->node->name_span);
    }
    l->body.index = body_param(e, type_scalar(DTYPE_I64), NULL);
    l->body.length = l->length;
    for (int i = 0; i < l->items.n; i++) {
        const Item *it = &l->items.at[i];
        if (it->xs) continue;
        Val t = val_tensor(build_convert(elab_builder(e, it->node->span), l->body.index, DTYPE_I32));
        if (it->step.i != 1) t = elab_binary_vals(e, it->node->span, BINARY_MUL, t, it->step, NULL, NULL);
        if (it->from.kind != VAL_INT || it->from.i)
            t = elab_binary_vals(e, it->node->span, BINARY_ADD, t, it->from, NULL, NULL);
        scope_bind(e, e->scope, it->node->text, t, it->node->name_span);
        if (is_poison(t)) return false;
    }
    return true;
}

/* The axes along which what is yielded is stacked; null after a report. */
static int64_t *yield_axes(Elab *e, const Loop *l) {
    const Leaves *yields = &l->body.yields;
    int64_t *axes = arena_array(e->arena, int64_t, yields->n + 1);
    for (int i = 0; i < yields->n; i++) {
        const char *text = val_text(e, val_tensor(yields->at[i]));
        int rank = yields->at[i]->type.rank + 1;
        axes[i] = l->axis < 0 ? l->axis + rank : l->axis;
        if (rank <= MAX_RANK && axes[i] >= 0 && axes[i] < rank) continue;
        if (rank > MAX_RANK)
            elab_fail(e, DL0301, l->body.yield_at, "%s cannot be stacked: a tensor has at most %d dims", text,
                      MAX_RANK);
        else
            elab_fail(e, DL0306, l->body.yield_at, "%s cannot be stacked along axis %lld, that of the scan", text,
                      (long long)l->axis);
        return NULL;
    }
    return axes;
}

/* The scan's value: what was yielded, stacked, then the carries. */
static Val scan_value(Elab *e, Loop *l, Value *const *finals, Value *const *stacked) {
    int next = 0;
    Val y = leaves_replace(e, l->body.yielded, stacked, &next);
    if (y.kind == VAL_TUPLE) return finish(e, l, finals, y.list->at, y.list->n);
    return finish(e, l, finals, &y, y.kind != VAL_NONE);
}

static void add_sequences(Elab *e, const Loop *l, ScanParts *to) {
    Value **xs = arena_array(e->arena, Value *, l->items.n + 1),
          **slices = arena_array(e->arena, Value *, l->items.n + 1);
    int64_t *axes = arena_array(e->arena, int64_t, l->items.n + 1);
    int n = 0;
    for (int i = 0; i < l->items.n; i++) {
        if (!l->items.at[i].xs) continue;
        xs[n] = l->items.at[i].xs;
        slices[n] = l->items.at[i].slice;
        axes[n++] = l->items.at[i].axis;
    }
    to->xs_count = n;
    to->xs = xs;
    to->slices = slices;
    to->axes = axes;
}

Val elab_scan(Elab *e, const Node *n) {
    Loop l = {.node = n, .block = n->kids[SCAN_BODY], .what = "scan"};
    Mark mark;
    l.body = (Body){.loops = true, .takes_yields = true};
    if (!body_allowed(e, n->span)) return POISON;
    bool carried = add_all_carried(e, &l, n->kids[SCAN_CARRIES]), set = scan_options(e, &l, n->kids[SCAN_ITEMS]);
    if (!carried || !set) return give_up(e, &l, NULL);
    int64_t *axes = run_body(e, &l, enter_scan, &mark) ? yield_axes(e, &l) : NULL;
    Leaves leaving = {0};
    for (int i = 0; axes && i < l.results.n; i++) vec_push(e->arena, &leaving, l.results.at[i]);
    for (int i = 0; axes && i < l.body.yields.n; i++) vec_push(e->arena, &leaving, l.body.yields.at[i]);
    if (!axes || !body_dims_stay(e, n->span, mark.bound, e->build->bound.n, &leaving)) return give_up(e, &l, &mark);
    mark_leave(e, &mark);
    Value **finals = arena_array(e->arena, Value *, l.inits.n + 1),
          **stacked = arena_array(e->arena, Value *, l.body.yields.n + 1);
    ScanParts parts = {.body = &l.body.b, .carries = l.inits.n, .inits = l.inits.at, .params = l.params.at,
                       .nexts = l.results.at, .ys_count = l.body.yields.n, .ys = l.body.yields.at, .result_axes = axes,
                       .index = l.body.index, .length = l.length, .reverse = l.reverse};
    add_sequences(e, &l, &parts);
    if (!build_scan(elab_builder(e, n->span), &parts, finals, stacked)) return give_up(e, &l, NULL);
    return scan_value(e, &l, finals, stacked);
}

Val elab_yield(Elab *e, const Node *n) {
    Body *body = e->build ? e->build->body : NULL;
    Val v = elab_eval(e, n->kids[0]);
    if (is_poison(v)) return v;
    if (!body || !body->takes_yields)
        return elab_fail(e, DL0205, n->span, "`yield` stands in the body of a `scan`");
    if (body->yielded.kind != VAL_NONE) {
        int d = elab_error(e, DL0205, n->span, "a step of a scan yields once");
        diag_label(e->diags, d, body->yield_at, "it has yielded here");
        diag_hint(e->diags, d, "several values are yielded together: yield a, b");
        return POISON;
    }
    body->yield_at = n->span;
    body->yielded = leaves_of(e, n->kids[0]->span, "what a scan yields", v, &body->yields);
    return NONE_VAL;
}

/* --------------------------------------------------------------------- loop */

static bool enter_loop(Elab *e, Loop *l) {
    l->body.index = body_param(e, type_scalar(DTYPE_I64), NULL);
    return true;
}

static bool loop_limit(Elab *e, const Node *n, int64_t *limit) {
    *limit = -1;
    if (!n) return true;
    Val v = elab_eval(e, n->kids[0]);
    if (is_poison(v)) return false;
    bool good = v.kind == VAL_INT && v.i > 0;
    if (good) *limit = v.i;
    else
        elab_fail(e, DL0302, n->kids[0]->span, "a limit is a positive integer known at compile time, not %s",
                  val_text(e, v));
    return good;
}

/* Builds the test in a region of its own, with what goes round as parameters; null after a report. */
static Value *loop_test(Elab *e, Loop *l, Body *body, Leaves *params) {
    const Node *test = l->node->kids[LOOP_TEST];
    Mark mark = mark_function(e);
    begin(e, l, body, params);
    body->index = body_param(e, type_scalar(DTYPE_I64), NULL);
    Val v = elab_eval(e, test);
    Value *x = v.kind == VAL_BOOL || is_runtime(v) ? elab_tensor(e, test->span, v, DTYPE_BOOL) : NULL;
    if (!is_poison(v) && (!x || x->type.rank || x->type.dtype != DTYPE_BOOL)) {
        int d = elab_error(e, DL0302, test->span, "the test of a `loop` is one bool, not %s", val_text(e, v));
        if (x && x->type.dtype == DTYPE_BOOL) diag_hint(e->diags, d, "say any(...) or all(...)");
        x = NULL;
    }
    if (v.kind == VAL_BOOL && v.i && !l->node->kids[LOOP_LIMIT]) {
        int d = elab_error(e, DL0309, test->span, "this loop would never end");
        diag_hint(e->diags, d, "give it a limit: while true, limit = 100");
        x = NULL;
    }
    Vars written = vars_written(e, &mark);
    if (written.n) {
        elab_fail(e, DL0405, test->span, "the test of a `loop` cannot write `%s`", written.at[0]->name);
        x = NULL;
    }
    mark_leave(e, &mark);
    return x;
}

/* Counts turns, if draws of random numbers asked for it: a carry that only the bodies know. */
static void add_count(Elab *e, Loop *l, Leaves *test_params, const Body *test) {
    if (!l->body.index_used && !test->index_used) return;
    Type scalar = type_scalar(DTYPE_I64);
    vec_push(e->arena, &l->inits, build_constant(elab_builder(e, l->node->span), scalar, 0));
    vec_push(e->arena, &l->params, l->body.index);
    vec_push(e->arena, test_params, test->index);
    vec_push(e->arena, &l->results,
             build_map2(&l->body.b, MAP_add, l->body.index, build_constant(&l->body.b, scalar, 1)));
}

Val elab_loop(Elab *e, const Node *n) {
    Loop l = {.node = n, .block = n->kids[LOOP_BODY], .what = "loop"};
    Mark mark;
    Body test = {.loops = true};
    int64_t limit;
    l.body = (Body){.loops = true};
    if (!body_allowed(e, n->span)) return POISON;
    bool carried = add_all_carried(e, &l, n->kids[LOOP_CARRIES]), set = loop_limit(e, n->kids[LOOP_LIMIT], &limit);
    if (!carried || !set) return give_up(e, &l, NULL);
    if (!run_body(e, &l, enter_loop, &mark) || !body_dims_stay(e, n->span, mark.bound, e->build->bound.n, &l.results))
        return give_up(e, &l, &mark);
    mark_leave(e, &mark);
    Leaves test_params = {0};
    Value *holds = loop_test(e, &l, &test, &test_params);
    if (!holds) return give_up(e, &l, NULL);
    add_count(e, &l, &test_params, &test);
    Value **finals = arena_array(e->arena, Value *, l.inits.n + 1);
    WhileParts parts = {.condition = &test.b, .body = &l.body.b, .carries = l.inits.n, .inits = l.inits.at,
                        .condition_params = test_params.at, .body_params = l.params.at, .nexts = l.results.at,
                        .test = holds, .limit = limit};
    return build_while(elab_builder(e, n->span), &parts, finals) ? finish(e, &l, finals, NULL, 0)
                                                                 : give_up(e, &l, NULL);
}
