/* Declared types: fitting values to them, binding the dims they name.
 *
 * A dim expression of a signature may name one dim that is not known yet, used once: it is solved for.
 * `..` is the same list of dims throughout a signature; `num` is one float type throughout. */
#include "elab.h"

/* ------------------------------------------------------------------- names */

DType elab_dtype(const Elab *e, const char *name, bool *known) {
    DType t = e->options->num;
    *known = !strcmp(name, "num") || dtype_parse(name, &t);
    return t == DTYPE_F32 && e->options->in_double ? DTYPE_F64 : t;
}

/* The value a name of a dim expression has already, or null: then the signature binds it. */
static Binding *known_dim(Sig *sig, const char *name) {
    Binding *b = scope_find(sig->scope, name);
    if (!b) return NULL;
    return is_size(b->val) || is_poison(b->val) || b->val.kind == VAL_FLOAT ? b : NULL;
}

static bool has_unknown(Sig *sig, const Node *n) {
    if (!n) return false;
    if (n->kind == NODE_NAME) return !known_dim(sig, n->text);
    for (int i = n->kind == NODE_CALL; i < n->n; i++)
        if (has_unknown(sig, n->kids[i])) return true;
    return false;
}

static Val eval_size(Elab *e, Sig *sig, const Node *n) {
    Scope *outer = e->scope;
    e->scope = sig->scope;
    Val v = elab_eval(e, n);
    e->scope = outer;
    return v;
}

static Dim eval_dim(Elab *e, Sig *sig, const Node *n) { return elab_dim(e, n->span, eval_size(e, sig, n)); }

static const Bound *bound_of(Sig *sig, const char *name) {
    Binding *b = scope_find(sig->scope, name);
    return b && b->val.kind == VAL_BOUND ? b->val.bound : NULL;
}

/* ----------------------------------------------------------------- solving */

typedef enum Fit { FIT, FIT_NOT, FIT_REPORTED } Fit;

/* A signature binds its dims afresh at each call; bounds at file level are for exported functions. */
static Fit bind_dim(Elab *e, Sig *sig, const Node *n, Dim actual) {
    scope_bind(e, sig->scope, n->text, val_dim(actual), n->span);
    return FIT;
}

/* The unknown's value for which `n` is `actual`, or null where there is none. */
static Dim invert(Elab *e, BinaryOp op, Dim known, Dim actual, bool known_left) {
    DimTable *t = &e->module->dims;
    const char *why;
    if (op == BINARY_ADD) return dim_sub(t, actual, known);
    if (op == BINARY_SUB) return known_left ? dim_sub(t, known, actual) : dim_add(t, actual, known);
    if (op == BINARY_DIV && !known_left) return dim_mul(t, actual, known);
    if (op != BINARY_MUL) return NULL;
    Val q = number_binary(e, BINARY_DIV, val_dim(actual), val_dim(known), &why);
    return q.kind == VAL_INT ? dim_const(t, q.i) : q.kind == VAL_DIM ? q.dim : NULL;
}

static Fit solve(Elab *e, Sig *sig, const Node *n, Dim actual) {
    if (!has_unknown(sig, n)) {
        Dim d = eval_dim(e, sig, n);
        return !d ? FIT_REPORTED : d == actual ? FIT : FIT_NOT;
    }
    if (n->kind == NODE_NAME) return bind_dim(e, sig, n, actual);
    bool left = n->n > 0 && has_unknown(sig, n->kids[0]), right = n->n > 1 && has_unknown(sig, n->kids[1]);
    if (n->kind == NODE_BINARY && left != right) {
        Dim known = eval_dim(e, sig, n->kids[left ? 1 : 0]);
        if (!known) return FIT_REPORTED;
        Dim rest = invert(e, (BinaryOp)n->i, known, actual, !left);
        if (rest) return solve(e, sig, n->kids[left ? 0 : 1], rest);
        if (n->i == BINARY_MUL) return FIT_NOT;
    }
    elab_fail(e, DL0304, n->span, "a dim of a signature names at most one unknown dim, once, with + - * /");
    return FIT_REPORTED;
}

/* ------------------------------------------------------------------ shapes */

static int rest_position(const Node *type) {
    for (int i = 0; i < type->n; i++)
        if (type->kids[i]->kind == NODE_REST) return i;
    return -1;
}

typedef struct Expect {
    Elab *e;
    Sig *sig;
    const Node *type;
    const char *what;          /* "`x`" */
    Span decl, at;
    Type actual;
} Expect;

static const char *source_text(Elab *e, Span s) {
    return arena_text(e->arena, e->diags->sources.at[s.source].text + s.begin, s.end - s.begin);
}

static bool report_shape(Expect *x, const char *which) {
    Elab *e = x->e;
    int d = elab_error(e, DL0301, x->at, "%s is %s, but %s was declared%s", x->what,
                       type_text(&e->module->dims, x->actual, e->arena), source_text(e, x->type->span), which);
    diag_label(e->diags, d, x->type->span, "declared here");
    for (int i = 0; i < x->type->n; i++) {
        const Node *k = x->type->kids[i];
        Binding *b = k->kind == NODE_NAME ? known_dim(x->sig, k->text) : NULL;
        if (b && b->span.source && b->span.begin != k->span.begin)
            diag_label(e->diags, d, b->span, "`%s` is %s from here", k->text, val_text(e, b->val));
    }
    return false;
}

static bool fit_dim(Expect *x, const Node *pattern, int axis) {
    Elab *e = x->e;
    Fit fit = solve(e, x->sig, pattern, x->actual.shape[axis]);
    if (fit != FIT_NOT) return fit == FIT;
    const char *wanted = source_text(e, pattern->span);
    if (pattern->kind != NODE_INT && !has_unknown(x->sig, pattern)) {
        Dim d = eval_dim(e, x->sig, pattern);
        wanted = d ? arena_printf(e->arena, "%s = %s", wanted, elab_dim_text(e, d)) : wanted;
    }
    return report_shape(
        x, arena_printf(e->arena, ": dim %d is %s, not %s", axis, elab_dim_text(e, x->actual.shape[axis]), wanted));
}

/* Dims first .. first+n-1 of the value are the rest. */
static bool fit_rest(Expect *x, int first, int n) {
    Sig *sig = x->sig;
    const Dim *dims = x->actual.shape + first;
    if (!sig->has_rest) {
        sig->has_rest = true;
        sig->rest_rank = n;
        if (n) memcpy(sig->rest, dims, sizeof(Dim) * (size_t)n); /* a scalar has no list of dims at all */
        sig->rest_from = x->at;
        return true;
    }
    if (shape_equal(n, dims, sig->rest_rank, sig->rest)) return true;
    Type rest = type_make(x->e->module, DTYPE_BOOL, sig->rest_rank, sig->rest);
    const char *text = type_text(&x->e->module->dims, rest, x->e->arena);
    report_shape(x, arena_printf(x->e->arena, ", where `..` is %s from an earlier argument",
                                 sig->rest_rank ? text + 4 : "no dim"));
    return false;
}

static bool fit_shape(Expect *x) {
    int rest = rest_position(x->type), given = x->type->n, rank = x->actual.rank;
    if (rest < 0 ? given != rank : given - 1 > rank)
        return report_shape(x, arena_printf(x->e->arena, ": %d dim%s, not %d", rank, rank == 1 ? "" : "s",
                                            rest < 0 ? given : given - 1));
    for (int i = 0; i < given && i != rest; i++)
        if (!fit_dim(x, x->type->kids[i], i)) return false;
    if (rest < 0) return true;
    int after = given - rest - 1;
    if (!fit_rest(x, rest, rank - rest - after)) return false;
    for (int i = 0; i < after; i++)
        if (!fit_dim(x, x->type->kids[rest + 1 + i], rank - after + i)) return false;
    return true;
}

/* ------------------------------------------------------------------ values */

static bool report_kind(Expect *x, Val v, const char *wanted) {
    int d = elab_error(x->e, DL0302, x->at, "%s is %s, but %s is needed", x->what, val_text(x->e, v), wanted);
    diag_label(x->e->diags, d, x->decl, "declared here");
    return false;
}

/* `int`, `float`, `str`, `layer` ... ; *known false for other names. */
static bool fit_static(Expect *x, Val *v, bool *known) {
    const char *name = x->type->text;
    *known = true;
    if (!strcmp(name, "int")) return is_size(*v) || report_kind(x, *v, "an integer known at compile time");
    if (!strcmp(name, "float")) {
        if (v->kind == VAL_INT) *v = val_float((double)v->i);
        return v->kind == VAL_FLOAT || report_kind(x, *v, "a number known at compile time");
    }
    if (!strcmp(name, "str")) return v->kind == VAL_STR || report_kind(x, *v, "a text");
    if (!strcmp(name, "layer")) return v->kind == VAL_LAYER || report_kind(x, *v, "a layer");
    if (!strcmp(name, "optimizer") && v->kind == VAL_CLASS && v->class->decl->kind == NODE_OPTIMIZER) return true;
    if (!strcmp(name, "optimizer")) return v->kind == VAL_OPTIMIZER || report_kind(x, *v, "an optimizer");
    if (!strcmp(name, "fn"))
        return v->kind == VAL_FN || v->kind == VAL_BUILTIN || v->kind == VAL_LAYER || report_kind(x, *v, "a function");
    *known = false;
    return true;
}

/* `int[2]`: a list of two. */
static bool fit_list(Expect *x, Val *v) {
    const char *wanted = source_text(x->e, x->type->span);
    if (v->kind != VAL_LIST && v->kind != VAL_TUPLE) return report_kind(x, *v, wanted);
    Dim n = x->type->n == 1 ? eval_dim(x->e, x->sig, x->type->kids[0]) : NULL;
    if (!n) return false;
    if (!dim_is(n, v->list->n)) return report_kind(x, *v, wanted);
    for (int i = 0; i < v->list->n; i++) {
        Val k = v->list->at[i];
        if (!is_poison(k) && !(is_size(k) || (k.kind == VAL_FLOAT && !strcmp(x->type->text, "float"))))
            return report_kind(x, k, wanted);
    }
    return true;
}

static bool fit_dtype(Expect *x, bool num, DType declared, Val *v) {
    Sig *sig = x->sig;
    DType t = x->actual.dtype;
    if (num) {
        if (!dtype_is_float(t)) return report_kind(x, *v, "a float tensor (num)");
        if (!sig->has_num) {
            sig->has_num = true;
            sig->num = t;
        }
        declared = sig->num;
    }
    if (t == declared) return true;
    int d = elab_error(x->e, DL0302, x->at, "%s is %s, but %s was declared", x->what,
                       type_text(&x->e->module->dims, x->actual, x->e->arena),
                       num ? dtype_name(declared) : source_text(x->e, x->type->span));
    diag_label(x->e->diags, d, x->type->span, "declared here");
    diag_hint(x->e->diags, d, "convert it: %s(...)", dtype_name(declared));
    return false;
}

static bool fit_tensor(Expect *x, Val *v) {
    Elab *e = x->e;
    bool known, num = !strcmp(x->type->text, "num");
    DType t = elab_dtype(e, x->type->text, &known);
    if (!known) {
        elab_fail(e, DL0201, x->type->span, "unknown type `%s`", x->type->text);
        return false;
    }
    if (t == DTYPE_BOOL && v->kind == VAL_BOOL && !x->type->n) return true;
    if (t == DTYPE_BOOL && !is_runtime(*v) && !x->type->n) return report_kind(x, *v, "true or false");
    if (is_number(*v) || v->kind == VAL_BOOL || v->kind == VAL_LIST) {
        if (!e->build) return report_kind(x, *v, "a tensor");
        *v = val_tensor(elab_tensor(e, x->at, *v, num && x->sig->has_num ? x->sig->num : t));
        if (is_poison(*v)) return false;
    }
    if (!is_runtime(*v)) return report_kind(x, *v, "a tensor");
    x->actual = val_type(*v);
    return fit_dtype(x, num, t, v) && fit_shape(x);
}

static bool fit_like(Expect *x, Val *v) {
    Elab *e = x->e;
    Scope *outer = e->scope;
    e->scope = x->sig->scope;
    Val like = elab_eval(e, x->type->kids[0]);
    e->scope = outer;
    if (is_poison(like)) return false;
    like = elab_as_map(e, like);
    Val given = elab_as_map(e, *v);
    if (like.kind == VAL_MAP) return given.kind == VAL_MAP || report_kind(x, *v, "a map over parameters");
    if (given.kind == VAL_MAP || !is_runtime(like))
        return given.kind == like.kind || report_kind(x, *v, val_text(e, like));
    if (!is_runtime(*v)) *v = val_tensor(elab_tensor(e, x->at, *v, val_type(like).dtype));
    if (is_poison(*v)) return false;
    return type_equal(val_type(*v), val_type(like)) || report_kind(x, *v, val_text(e, like));
}

bool elab_fit(Elab *e, Sig *sig, const Node *type, const char *what, Span decl, Span at, Val *v) {
    Expect x = {.e = e, .sig = sig, .type = type, .what = what, .decl = decl, .at = at};
    if (is_poison(*v) || type->kind == NODE_ERROR) return false;
    if (v->kind == VAL_NONE && type->i) return true;
    if (type->kind == NODE_LIKE_TYPE) return fit_like(&x, v);
    bool known, plain = type->n == 0;
    if (!plain && (!strcmp(type->text, "int") || !strcmp(type->text, "float"))) return fit_list(&x, v);
    bool fits = fit_static(&x, v, &known);
    return known ? fits : fit_tensor(&x, v);
}

/* ------------------------------------------------------- declared variables */

static bool same_bounds(const DimSymbol *s, int64_t lower, int64_t upper) {
    return s->lower == lower && s->upper == upper && !s->of;
}

Dim elab_symbol(Elab *e, const char *name, int64_t lower, int64_t upper) {
    DimTable *t = &e->module->dims;
    DimSymbol *s = dim_find(t, name);
    for (int i = 2; s && !same_bounds(s, lower, upper); i++) {
        name = intern(e->names, arena_printf(e->arena, "%s_%d", name, i));
        s = dim_find(t, name);
    }
    return s ? dim_of_symbol(t, s) : dim_symbol(t, name, lower, upper);
}

static bool declare_unknown(Elab *e, Sig *sig, const Node *n);

static bool mentions(const Node *n, const char *name) {
    if (!n) return false;
    if (n->kind == NODE_NAME) return n->text == name;
    for (int i = 0; i < n->n; i++)
        if (mentions(n->kids[i], name)) return true;
    return false;
}

/* Whether it consists of numbers and dims, of the signature or yet to come. */
static bool is_of_dims(Sig *sig, const Node *n) {
    if (n->kind == NODE_NAME) return known_dim(sig, n->text) || bound_of(sig, n->text);
    if (n->kind == NODE_BINARY) return is_of_dims(sig, n->kids[0]) && is_of_dims(sig, n->kids[1]);
    return n->kind == NODE_INT;
}

/* What a requirement at the head of the function says the dim is, in terms of others; null if none does, or if the dim
 * would outgrow its bound. A bare name counts where it is known already or has the closer bounds, so that one of two equal
 * dims keeps its own. */
static Dim required_dim(Elab *e, Sig *sig, const Node *name, const Bound *bound) {
    for (int i = 0; sig->head && i < sig->head->n && sig->head->kids[i]->kind == NODE_REQUIRE; i++) {
        const Node *test = sig->head->kids[i]->kids[0];
        for (int side = 0; test->kind == NODE_BINARY && test->i == BINARY_EQ && side < 2; side++) {
            const Node *own = test->kids[side], *other = test->kids[1 - side];
            if (own->kind != NODE_NAME || own->text != name->text || mentions(other, name->text)) continue;
            if (!is_of_dims(sig, other)) continue;
            const Bound *closer = other->kind == NODE_NAME ? bound_of(sig, other->text) : NULL;
            if (closer && !known_dim(sig, other->text) && closer->upper >= bound->upper) continue;
            const Node *head = sig->head;
            sig->head = NULL;                  /* what it is made of gets symbols: no equation is gone round in */
            bool good = declare_unknown(e, sig, other);
            sig->head = head;
            Dim d = good ? eval_dim(e, sig, other) : NULL;
            return d && d->lower >= bound->lower && d->upper <= bound->upper ? d : NULL;
        }
    }
    return NULL;
}

/* Gives the unknown names of an exported argument's dim their symbols. */
static bool declare_unknown(Elab *e, Sig *sig, const Node *n) {
    if (!n) return true;                       /* an end that a slice leaves out */
    if (n->kind == NODE_NAME && !known_dim(sig, n->text)) {
        const Bound *bound = bound_of(sig, n->text);
        if (!bound) {
            int d = elab_error(e, DL0304, n->span, "`%s` has no bound", n->text);
            diag_note(e->diags, d,
                      "memory is planned at compile time, so each run-time dim of an exported function is bounded");
            diag_hint(e->diags, d, "declare it at the top of the file: dim %s <= 256", n->text);
            scope_bind(e, sig->scope, n->text, POISON, n->span);
            return false;
        }
        Dim d = required_dim(e, sig, n, bound);
        if (!d) d = elab_symbol(e, n->text, bound->lower, bound->upper);
        scope_bind(e, sig->scope, n->text, val_dim(d), n->span);
        return true;
    }
    bool good = true;
    for (int i = n->kind == NODE_CALL; i < n->n; i++) good = declare_unknown(e, sig, n->kids[i]) && good;
    return good;
}

static bool type_dim(Elab *e, const Node *n, Val v, Dim *to) {
    *to = elab_dim(e, n->span, v);
    if (!*to) return false;
    if ((*to)->lower < 0 || (*to)->upper >= DIM_HUGE) {
        elab_fail(e, DL0304, n->span, "this dim is %s, which is %s", elab_dim_text(e, *to),
                  (*to)->lower < 0 ? "or can be negative" : "too large");
        return false;
    }
    return true;
}

/* The dims of a written-out shape, where an item may be a list of them. */
static bool type_shape(Elab *e, const Node *type, Sig *sig, Dim *shape, int *rank) {
    *rank = 0;
    for (int i = 0; i < type->n; i++) {
        const Node *n = type->kids[i];
        if (n->kind == NODE_REST) {
            elab_fail(e, DL0301, n->span, "`..` stands for dims of an argument; here the shape must be written out");
            return false;
        }
        Val v = eval_size(e, sig, n);
        Vals items = v.kind == VAL_LIST ? *v.list : (Vals){1, &v};
        if (*rank + items.n > MAX_RANK) {
            elab_fail(e, DL0301, type->span, "a tensor has at most %d dims", MAX_RANK);
            return false;
        }
        for (int k = 0; k < items.n; k++)
            if (!type_dim(e, n, items.at[k], &shape[(*rank)++])) return false;
    }
    return true;
}

bool elab_type(Elab *e, const Node *type, bool exported, Sig *sig, Type *to) {
    bool known;
    if (type->kind != NODE_TYPE) {
        if (type->kind != NODE_ERROR) elab_fail(e, DL0302, type->span, "the type must be written out here");
        return false;
    }
    DType t = elab_dtype(e, type->text, &known);
    if (!known) {
        bool fixed = !strcmp(type->text, "int") || !strcmp(type->text, "float") || !strcmp(type->text, "str");
        int d = fixed ? elab_error(e, DL0302, type->span,
                                   "`%s` is known at compile time only; a tensor or scalar has a type like f32 or i32",
                                   type->text)
                      : elab_error(e, DL0201, type->span, "unknown type `%s`", type->text);
        if (fixed) diag_hint(e->diags, d, "write %s", !strcmp(type->text, "int") ? "i32" : "f32");
        return false;
    }
    Dim shape[MAX_RANK];
    int rank;
    for (int i = 0; exported && i < type->n; i++) known = declare_unknown(e, sig, type->kids[i]) && known;
    if (!known || !type_shape(e, type, sig, shape, &rank)) return false;
    for (int i = 0; i < rank; i++) {
        if (!dim_is(shape[i], 0)) continue;
        elab_fail(e, DL0304, type->span, "dim %d of this type is 0, so that it holds nothing", i);
        return false;
    }
    *to = type_make(e->module, t, rank, shape);
    if (type_elements(&e->module->dims, *to)->upper < DIM_HUGE) return true;
    elab_fail(e, DL0304, type->span, "a tensor of this type can have too many elements");
    return false;
}
