/* Static checks of a file, whether its functions are ever called or not: unknown names, names defined twice,
 * unused ones, assignments to what does not change, statements out of place. Shapes and types are checked
 * where functions are called, by elaboration. */
#include "elab.h"

/* --------------------------------------------------------------- the scopes */

typedef struct Name {
    const char *name;
    Span span;
    const char *what;          /* "parameter", ...; null: never reported as unused */
    bool used, mutable;
} Name;

typedef struct Names {
    struct Names *parent;
    VEC(Name) all;
    bool tainted;
} Names;

typedef struct Checker {
    Elab *e;
    const Unit *unit;
    Names *names;
    VEC(const char *) members; /* every name after a dot in the file: used from elsewhere */
    bool in_scan, in_layer;
    const char *pure;          /* what it is that cannot write; null: it can */
    const char *body;          /* what a `return` would leave: "`scan`", ...; null: the function itself */
    bool quiet;                /* no warnings: with syntax errors they would be noise */
} Checker;

static const char free_function[] = "a function outside layers and models";

static Names *enter(Checker *c) {
    Names *outer = c->names;
    c->names = arena_new(c->e->arena, Names);
    c->names->parent = outer;
    return outer;
}

static bool is_member(const Checker *c, const char *name) {
    for (int i = 0; i < c->members.n; i++)
        if (c->members.at[i] == name) return true;
    return false;
}

static void leave(Checker *c, Names *outer) {
    for (int i = 0; i < c->names->all.n && !c->names->tainted && !c->quiet; i++) {
        const Name *n = &c->names->all.at[i];
        if (!n->what || n->used || n->name[0] == '_' || is_member(c, n->name)) continue;
        int d = diag_report(c->e->diags, DL0203, n->span, "%s `%s` is never used", n->what, n->name);
        diag_hint(c->e->diags, d, "remove it, or begin its name with `_`");
    }
    c->names = outer;
}

static void define(Checker *c, const char *name, Span span, const char *what, bool mutable) {
    vec_push(c->e->arena, &c->names->all, (Name){.name = name, .span = span, .what = what, .mutable = mutable});
}

static Name *find(const Checker *c, const char *name) {
    for (Names *s = c->names; s; s = s->parent)
        for (int i = s->all.n; i-- > 0;)
            if (s->all.at[i].name == name) return &s->all.at[i];
    return NULL;
}

static bool is_tainted(const Checker *c) {
    for (Names *s = c->names; s; s = s->parent)
        if (s->tainted) return true;
    return scope_tainted(c->unit->scope);
}

static const char *suggest(Checker *c, int diag, const char *name) {
    Scope all = {.parent = c->unit->scope};
    if (diag < 0 || c->e->diags->errors > MOST_SUGGESTIONS) return NULL;
    for (Names *s = c->names; s; s = s->parent)
        for (int i = 0; i < s->all.n; i++) scope_bind(c->e, &all, s->all.at[i].name, NONE_VAL, s->all.at[i].span);
    return scope_suggest(c->e, diag, &all, name);
}

static bool known(Checker *c, const char *name) {
    Name *n = find(c, name);
    if (n) n->used = true;
    return n || scope_find(c->unit->scope, name) || !strcmp(name, "training") || (c->in_layer && !strcmp(name, "self"));
}

static void use_name(Checker *c, const Node *n) {
    if (known(c, n->text) || is_tainted(c)) return;
    int d = diag_report(c->e->diags, DL0201, n->span, "unknown name `%s`", n->text);
    const char *near = suggest(c, d, n->text);
    Name *meant = near ? find(c, near) : NULL;
    if (meant) meant->used = true;
}

/* Reports a second definition among those since `from` of the current scope. */
static void define_once(Checker *c, int from, const char *name, Span span, const char *what) {
    for (int i = from; name && i < c->names->all.n; i++) {
        if (c->names->all.at[i].name != name) continue;
        int d = diag_report(c->e->diags, DL0202, span, "`%s` is defined twice", name);
        diag_label(c->e->diags, d, c->names->all.at[i].span, "first here");
        return;
    }
    if (name) define(c, name, span, what, false);
}

/* ------------------------------------------------------------------- types */

static void walk(Checker *c, const Node *n);

/* Names of dims in a signature: known ones are used, others defined. */
static void walk_dim(Checker *c, const Node *n) {
    if (!n) return;
    if (n->kind == NODE_NAME) {
        Binding *b = find(c, n->text) ? NULL : scope_find(c->unit->scope, n->text);
        bool value = b && (is_size(b->val) || is_poison(b->val));
        if (find(c, n->text)) known(c, n->text);
        else if (!value) define(c, n->text, n->span, NULL, false);
        return;
    }
    for (int i = n->kind == NODE_CALL; i < n->n; i++) walk_dim(c, n->kids[i]);
}

static void walk_type(Checker *c, const Node *t, bool signature) {
    static const char *const others[] = {"num", "int", "float", "str", "layer", "optimizer", "fn"};
    if (!t) return;
    bool good;
    if (t->kind == NODE_TYPE) {
        elab_dtype(c->e, t->text, &good);
        for (size_t i = 0; i < sizeof others / sizeof *others; i++) good = good || !strcmp(t->text, others[i]);
        if (!good) diag_report(c->e->diags, DL0201, t->span, "unknown type `%s`", t->text);
    }
    for (int i = 0; i < t->n; i++) {
        if (signature && t->kind == NODE_TYPE) walk_dim(c, t->kids[i]);
        else walk(c, t->kids[i]);
    }
}

/* --------------------------------------------------------------- functions */

static void define_params(Checker *c, const Node *params, const char *what, bool signature) {
    int from = c->names->all.n;
    for (int i = 0; i < params->n; i++) {
        const Node *p = params->kids[i];
        if (p->kind != NODE_PARAMETER) continue;
        if (p->kids[PARAMETER_DEFAULT]) walk(c, p->kids[PARAMETER_DEFAULT]);
        if (p->kids[PARAMETER_DIM]) walk(c, p->kids[PARAMETER_DIM]->kids[DIM_UPPER]);
        define_once(c, from, p->text, p->name_span, what);
    }
    for (int i = 0; i < params->n; i++)
        if (params->kids[i]->kind == NODE_PARAMETER) walk_type(c, params->kids[i]->kids[PARAMETER_TYPE], signature);
}

static void walk_block(Checker *c, const Node *block) {
    for (int i = 0; i < block->n; i++) {
        const Node *n = block->kids[i];
        walk(c, n);
        if (n->kind == NODE_ERROR) c->names->tainted = true;
        if (n->kind != NODE_RETURN || i + 1 == block->n || block->kids[i + 1]->kind == NODE_ERROR) continue;
        int d = diag_report(c->e->diags, DL0205, block->kids[i + 1]->span, "nothing behind a `return` runs");
        diag_label(c->e->diags, d, n->span, "this leaves the function");
    }
}

/* Reports a name that an earlier result has. Results have names of their own: an argument may have the same. */
static void name_result_once(Checker *c, const Node *results, int at) {
    const Node *r = results->kids[at];
    for (int i = 0; r->text && i < at; i++) {
        if (results->kids[i]->kind != NODE_RESULT || results->kids[i]->text != r->text) continue;
        int d = diag_report(c->e->diags, DL0202, r->name_span, "result `%s` is defined twice", r->text);
        diag_label(c->e->diags, d, results->kids[i]->name_span, "first here");
        return;
    }
}

/* A gradient of the function's own sees its parameters, its named results, and the results' gradients. */
static void walk_backward(Checker *c, const Node *fn) {
    const Node *results = fn->kids[FN_RESULTS], *names = fn->kids[FN_BACKWARD_NAMES];
    c->pure = "`backward`";
    for (int i = 0; results && i < results->n; i++)
        if (results->kids[i]->text) define(c, results->kids[i]->text, results->kids[i]->name_span, NULL, false);
    for (int i = 0; names && i < names->n; i++) define(c, names->kids[i]->text, names->kids[i]->span, NULL, false);
    walk_block(c, fn->kids[FN_BACKWARD_BODY]);
}

static void walk_fn(Checker *c, const Node *fn, bool quiet) {
    Names *outer = enter(c);
    bool in_scan = c->in_scan;
    const char *body = c->body, *pure = c->pure;
    c->in_scan = false;
    c->body = NULL;
    define_params(c, fn->kids[FN_PARAMS], quiet ? NULL : "parameter", true);
    walk_block(c, fn->kids[FN_BODY]);
    const Node *results = fn->kids[FN_RESULTS];
    for (int i = 0; results && i < results->n; i++) {
        if (results->kids[i]->kind != NODE_RESULT) continue;
        walk_type(c, results->kids[i]->kids[0], true);
        name_result_once(c, results, i);
    }
    if (fn->kids[FN_BACKWARD_BODY]) walk_backward(c, fn);
    c->in_scan = in_scan;
    c->pure = pure;
    c->body = body;
    leave(c, outer);
}

/* -------------------------------------------------------------- statements */

static void walk_let(Checker *c, const Node *n) {
    walk(c, n->kids[LET_VALUE]);
    if (node_kid(n, LET_AS))
        diag_report(c->e->diags, DL0205, n->kids[LET_AS]->span, "`as` names a layer's `let`; a local has no path");
    for (int i = 0; i < n->kids[LET_NAMES]->n; i++) {
        const Node *name = n->kids[LET_NAMES]->kids[i];
        for (int k = 0; k < i && name->text; k++)
            if (n->kids[LET_NAMES]->kids[k]->text == name->text && strcmp(name->text, "_"))
                diag_report(c->e->diags, DL0202, name->span, "`%s` is defined twice", name->text);
        define(c, name->text, name->span, n->kids[LET_NAMES]->n == 1 ? "local" : NULL, n->kind == NODE_VAR);
    }
}

static void walk_assign(Checker *c, const Node *n) {
    walk(c, n->kids[1]);
    for (int i = 0; i < n->kids[0]->n; i++) {
        const Node *t = n->kids[0]->kids[i];
        Name *name = t->kind == NODE_NAME ? find(c, t->text) : NULL;
        if (name && name->mutable) continue;
        if (t->kind == NODE_NAME && !name && !known(c, t->text)) {
            use_name(c, t);
            continue;
        }
        int d = diag_report(c->e->diags, DL0204, t->span,
                            t->kind == NODE_NAME ? "this name does not change" : "only a name can be assigned");
        if (name) {
            diag_label(c->e->diags, d, name->span, "`%s` is defined here", t->text);
            name->used = true;
        }
        diag_hint(c->e->diags, d, "`var` declares a local that changes; a param or state is written with `<-`");
    }
}

static void need_writer(Checker *c, Span at, const char *what) {
    if (c->pure) diag_report(c->e->diags, DL0405, at, "%s is pure: it cannot %s", c->pure, what);
}

static void walk_loop(Checker *c, const Node *names, const Node *iter, const Node *test, const Node *body) {
    walk(c, iter);
    Names *outer = enter(c);
    for (int i = 0; i < names->n; i++) define(c, names->kids[i]->text, names->kids[i]->span, NULL, false);
    if (test) walk(c, test);
    walk(c, body);
    leave(c, outer);
}

static void walk_carries(Checker *c, const Node *carries) {
    for (int i = 0; carries && i < carries->n; i++) walk(c, carries->kids[i]->kids[0]);
}

/* Names of a scan or loop, each once in it. */
static void define_in_loop(Checker *c, const Node *n, bool mutable) {
    int count = c->names->all.n;
    define_once(c, 0, n->text, n->name_span, NULL);
    if (c->names->all.n > count) c->names->all.at[count].mutable = mutable;
}

static void define_carries(Checker *c, const Node *carries) {
    for (int i = 0; carries && i < carries->n; i++) define_in_loop(c, carries->kids[i], true);
}

/* A body that runs once for each element, as long as a test holds, or perhaps: no `return` leaves it. */
static void walk_body(Checker *c, const Node *block, const char *what) {
    bool in_scan = c->in_scan;
    const char *body = c->body;
    c->in_scan = !strcmp(what, "scan");
    c->body = what;
    walk_block(c, block);
    c->in_scan = in_scan;
    c->body = body;
}

/* `axis = 1` of a scan and `limit = 9` of a loop. */
static void walk_option(Checker *c, const Node *option, const char *const *names, const char *what) {
    bool known = false;
    for (int i = 0; names[i]; i++) known = known || !strcmp(option->text, names[i]);
    if (known) return;
    int d = diag_report(c->e->diags, DL0206, option->name_span, "a %s has no `%s`", what, option->text);
    if (names[1]) diag_hint(c->e->diags, d, "it takes `%s` and `%s`; carries stand behind `with`", names[0], names[1]);
    else diag_hint(c->e->diags, d, "it takes `%s`", names[0]);
}

static void walk_scan(Checker *c, const Node *n) {
    static const char *const options[] = {"axis", "reverse", NULL};
    const Node *items = n->kids[SCAN_ITEMS], *carries = n->kids[SCAN_CARRIES];
    walk_carries(c, items);
    walk_carries(c, carries);
    Names *outer = enter(c);
    for (int i = 0; i < items->n; i++) {
        if (items->kids[i]->kind == NODE_EACH) define_in_loop(c, items->kids[i], false);
        else walk_option(c, items->kids[i], options, "scan");
    }
    define_carries(c, carries);
    walk_body(c, n->kids[SCAN_BODY], "scan");
    leave(c, outer);
}

static void walk_while(Checker *c, const Node *n) {
    static const char *const options[] = {"limit", NULL};
    walk_carries(c, n->kids[LOOP_CARRIES]);
    if (n->kids[LOOP_LIMIT]) {
        walk_option(c, n->kids[LOOP_LIMIT], options, "loop");
        walk(c, n->kids[LOOP_LIMIT]->kids[0]);
    }
    Names *outer = enter(c);
    define_carries(c, n->kids[LOOP_CARRIES]);
    walk(c, n->kids[LOOP_TEST]);
    walk_body(c, n->kids[LOOP_BODY], "loop");
    leave(c, outer);
}

/* A block of a `cond` or `recompute`. */
static void walk_branch(Checker *c, const Node *block, const char *what) {
    Names *outer = enter(c);
    walk_body(c, block, what);
    leave(c, outer);
}

static void walk_return(Checker *c, const Node *n) {
    if (!c->body) return;
    int d = diag_report(c->e->diags, DL0205, n->span, "`return` cannot leave the body of a `%s`", c->body);
    const char *instead = !strcmp(c->body, "scan")   ? "`yield` gives a value of each step"
                          : !strcmp(c->body, "loop") ? "the carries are the loop's values"
                                                     : "the block's last expression is its value";
    diag_hint(c->e->diags, d, "%s", instead);
}

static void walk_kids(Checker *c, const Node *n, int from) {
    for (int i = from; i < n->n; i++)
        if (n->kids[i]) walk(c, n->kids[i]);
}

static void walk_dim_statement(Checker *c, const Node *n) {
    walk_kids(c, n, 0);
    define(c, n->text, n->name_span, NULL, false);
}

static void walk(Checker *c, const Node *n) {
    Names *outer;
    switch (n->kind) {
    case NODE_NAME: use_name(c, n); break;
    case NODE_LET: case NODE_VAR: walk_let(c, n); break;
    case NODE_ASSIGN: walk_assign(c, n); break;
    case NODE_WRITE:
        need_writer(c, n->kids[0]->kids[0]->span, "write");
        walk_kids(c, n->kids[0], 0);
        walk(c, n->kids[1]);
        break;
    case NODE_MINIMIZE: case NODE_APPLY: need_writer(c, n->span, "train"); walk_kids(c, n, 0); break;
    case NODE_FOR: walk_loop(c, n->kids[FOR_NAMES], n->kids[FOR_ITER], NULL, n->kids[FOR_BODY]); break;
    case NODE_COMPREHENSION:
        walk_loop(c, n->kids[COMP_NAMES], n->kids[COMP_ITER], n->kids[COMP_IF], n->kids[COMP_VALUE]);
        break;
    case NODE_SCAN: walk_scan(c, n); break;
    case NODE_LOOP: walk_while(c, n); break;
    case NODE_COND:
        walk(c, n->kids[IF_TEST]);
        walk_branch(c, n->kids[IF_THEN], "cond");
        walk_branch(c, n->kids[IF_ELSE], "cond");
        break;
    case NODE_RECOMPUTE: walk_branch(c, n->kids[0], "recompute"); break;
    case NODE_RETURN:
        walk_return(c, n);
        walk_kids(c, n, 0);
        break;
    case NODE_DIM: walk_dim_statement(c, n); break;
    case NODE_BLOCK:
        outer = enter(c);
        walk_block(c, n);
        leave(c, outer);
        break;
    case NODE_YIELD:
        if (!c->in_scan) diag_report(c->e->diags, DL0205, n->span, "`yield` stands in the body of a `scan`");
        walk_kids(c, n, 0);
        break;
    default: walk_kids(c, n, 0);
    }
}

/* ------------------------------------------------------------ declarations */

static void define_members(Checker *c, const Node *members) {
    int from = c->names->all.n, unnamed = 0;
    for (int i = 0; i < members->n; i++) {
        const Node *m = members->kids[i];
        if (m->kind == NODE_ERROR) c->names->tainted = true;
        if (m->kind == NODE_FN && !m->text && unnamed++)
            diag_report(c->e->diags, DL0202, m->name_span, "a layer has one function without a name");
        if (m->kind == NODE_FN) define_once(c, from, m->text, m->name_span, NULL);
        if (m->kind == NODE_PARAM || m->kind == NODE_STATE || m->kind == NODE_CACHE)
            define_once(c, from, m->text, m->name_span,
                        m->kind == NODE_PARAM   ? "param"
                        : m->kind == NODE_STATE ? "state"
                                                : "cache");
        for (int k = 0; m->kind == NODE_LET && k < m->kids[LET_NAMES]->n; k++)
            define_once(c, from, m->kids[LET_NAMES]->kids[k]->text, m->kids[LET_NAMES]->kids[k]->span, "member");
    }
}

static void walk_member(Checker *c, const Node *m, NodeKind in) {
    if (m->kind == NODE_FN) {
        if (m->i && in != NODE_MODEL)
            diag_report(c->e->diags, DL0205, m->name_span, "only a model's functions are exported");
        walk_fn(c, m, in == NODE_OPTIMIZER);
    } else if (m->kind == NODE_LET) {
        walk(c, m->kids[LET_VALUE]);
        if (m->kids[LET_AS]) walk(c, m->kids[LET_AS]);
    } else if (m->kind == NODE_PARAM || m->kind == NODE_STATE || m->kind == NODE_CACHE) {
        walk_type(c, m->kids[VAR_TYPE], false);
        walk_kids(c, m, VAR_INIT);
    } else {
        walk(c, m);
    }
}

/* Hyper-parameters lie in a scope outside the members': `param bias ... if bias` hides one by the other. */
static void walk_class(Checker *c, const Node *n) {
    Names *outermost = enter(c);
    c->in_layer = true;
    c->pure = NULL;
    define_params(c, n->kids[LAYER_PARAMS], "hyper-parameter", false);
    const Node *members = n->kids[LAYER_MEMBERS];
    for (int i = 0; i < members->n; i++)
        if (members->kids[i]->kind == NODE_PARAM && members->kids[i]->kids[VAR_IF])
            walk(c, members->kids[i]->kids[VAR_IF]);
    Names *outer = enter(c);
    define_members(c, members);
    for (int i = 0; i < members->n; i++) walk_member(c, members->kids[i], n->kind);
    c->in_layer = false;
    c->pure = free_function;
    bool tainted = c->names->tainted;
    leave(c, outer);
    c->names->tainted = tainted;
    leave(c, outermost);
}

static void find_members(Checker *c, const Node *n) {
    if (!n) return;
    if (n->kind == NODE_MEMBER) vec_push(c->e->arena, &c->members, n->text);
    for (int i = 0; i < n->n; i++) find_members(c, n->kids[i]);
}

static void define_top(Checker *c, const Node *n) {
    Span span = n->name_span;
    const char *name = n->text;
    if (n->kind == NODE_LET) {
        name = n->kids[LET_NAMES]->kids[0]->text;
        span = n->kids[LET_NAMES]->kids[0]->span;
    }
    if (n->kind != NODE_IMPORT && n->kind != NODE_ERROR) define_once(c, 0, name, span, NULL);
}

void check_unit(Elab *e, const Unit *u) {
    Checker c = {.e = e, .unit = u, .quiet = u->broken, .pure = free_function};
    Names *outer = enter(&c);
    find_members(&c, u->tree);
    for (int i = 0; i < u->tree->n; i++) define_top(&c, u->tree->kids[i]);
    c.names = outer;                           /* top-level names are found in the unit's scope */
    for (int i = 0; i < u->tree->n; i++) {
        const Node *n = u->tree->kids[i];
        if (n->kind == NODE_MODEL || n->kind == NODE_LAYER || n->kind == NODE_OPTIMIZER) walk_class(&c, n);
        else if (n->kind == NODE_FN) {
            if (!n->text) diag_report(e->diags, DL0205, n->name_span, "a function outside layers has a name");
            if (n->i) diag_report(e->diags, DL0205, n->name_span, "only a model's functions are exported");
            walk_fn(&c, n, false);
        } else if (n->kind == NODE_LET) walk(&c, n->kids[LET_VALUE]);
    }
}
