/* Scopes, values as text, and diagnostics of the elaborator. */
#include "elab.h"
#include "elsewhere.h"

/* ------------------------------------------------------------------ scopes */

Scope *scope_new(Elab *e, Scope *parent) {
    Scope *s = arena_new(e->arena, Scope);
    s->parent = parent;
    return s;
}

Binding *scope_find_local(Scope *s, const char *name) {
    for (int i = s->all.n; i-- > 0;)
        if (s->all.at[i].name == name) return &s->all.at[i];
    return NULL;
}

Binding *scope_find(Scope *s, const char *name) {
    for (; s; s = s->parent) {
        Binding *b = scope_find_local(s, name);
        if (b) return b;
    }
    return NULL;
}

void scope_bind(Elab *e, Scope *s, const char *name, Val val, Span span) {
    vec_push(e->arena, &s->all, (Binding){.name = name, .val = val, .span = span});
}

bool scope_tainted(const Scope *s) {
    for (; s; s = s->parent)
        if (s->tainted) return true;
    return false;
}

/* A function of the library that users are not told of. */
static bool is_helper(Val v) { return v.kind == VAL_FN && v.fn->unit->library && !v.fn->decl->doc; }

const char *scope_nearest(Elab *e, const Scope *s, const char *name) {
    VEC(const char *) all = {0};
    if (strlen(name) < 3) return NULL;         /* any short name is near to any other */
    for (; s; s = s->parent)
        for (int i = 0; i < s->all.n; i++)
            if (!is_helper(s->all.at[i].val)) vec_push(e->arena, &all, s->all.at[i].name);
    return nearest_name(name, all.at, all.n);
}

const char *scope_suggest(Elab *e, int diag, const Scope *s, const char *name) {
    if (diag < 0 || e->diags->errors > MOST_SUGGESTIONS) return NULL;
    const char *here = elsewhere_name(name), *near = here ? NULL : scope_nearest(e, s, name);
    if (here) diag_hint(e->diags, diag, "here that is %s", here);
    if (near) diag_hint(e->diags, diag, "did you mean `%s`?", near);
    return near;
}

/* ------------------------------------------------------------------ values */

Val val_list(Elab *e, ValKind kind, const Val *at, int n) {
    Vals *v = arena_new(e->arena, Vals);
    v->n = n;
    v->at = arena_copy(e->arena, at, sizeof *at * (size_t)n);
    return (Val){.kind = kind, .list = v};
}

Type val_type(Val v) { return v.kind == VAL_VAR ? v.var->type : v.tensor->type; }

static const char *type_words(Elab *e, Type t) { return type_text(&e->module->dims, t, e->arena); }

const char *elab_dim_text(Elab *e, Dim d) {
    Text t = text_new(e->arena);
    dim_print(&e->module->dims, d, &t);
    return text_get(&t);
}

static const char *float_words(Elab *e, double f) {
    Text t = text_new(e->arena);
    text_add_double(&t, f);
    return text_get(&t);
}

const char *val_text(Elab *e, Val v) {
    Arena *a = e->arena;
    switch (v.kind) {
    case VAL_POISON: return "a mistake";
    case VAL_NONE: return "none";
    case VAL_INT: return arena_printf(a, "the integer %lld", (long long)v.i);
    case VAL_FLOAT: return arena_printf(a, "the number %s", float_words(e, v.f));
    case VAL_BOOL: return v.i ? "true" : "false";
    case VAL_STR: return arena_printf(a, "the text \"%s\"", v.s);
    case VAL_DIM: return arena_printf(a, "the dim %s", elab_dim_text(e, v.dim));
    case VAL_TENSOR: case VAL_VAR: return type_words(e, val_type(v));
    case VAL_LIST: return arena_printf(a, "a list of %d", v.list->n);
    case VAL_TUPLE: return arena_printf(a, "%d values", v.list->n);
    case VAL_MAP: return arena_printf(a, "a map over %d parameter%s", v.map->n, v.map->n == 1 ? "" : "s");
    case VAL_LAYER: return arena_printf(a, "a layer %s", v.layer->decl->text);
    case VAL_CLASS: return arena_printf(a, "the %s %s", node_kind_name(v.class->decl->kind), v.class->decl->text);
    case VAL_FN: return arena_printf(a, "the function %s", v.fn->decl->text ? v.fn->decl->text : "of a layer");
    case VAL_BUILTIN: return arena_printf(a, "the function %s", v.builtin->name);
    case VAL_OPTIMIZER: return arena_printf(a, "an optimizer %s", v.optimizer->decl->text);
    case VAL_DTYPE: return arena_printf(a, "the type %s", dtype_name(v.dtype));
    case VAL_LIKE:
        return v.like->map ? "the shapes of a map" : arena_printf(a, "the shape of %s", type_words(e, v.like->type));
    case VAL_BOUND: return arena_printf(a, "the dim %s, which has no value here", v.bound->name);
    case VAL_FILE: return arena_printf(a, "the file %s", v.file->path);
    }
    return "?";
}

/* ------------------------------------------------------------- diagnostics */

bool elab_in_library(const Elab *e, Span at) { return at.source && at.source <= e->last_library_source; }

Span elab_place(const Elab *e, Span at) {
    return elab_in_library(e, at) && e->frame && e->frame->user.source ? e->frame->user : at;
}

Builder *elab_builder(Elab *e, Span at) {
    Builder *b = &e->build->b;
    b->span = elab_place(e, at);
    return b;
}

static int report(Elab *e, DiagCode code, Span at, const char *text) {
    Span place = elab_place(e, at);
    int d = diag_report(e->diags, code, place, "%s", text);
    if (place.source != at.source)
        diag_label(e->diags, d, at, "in `%s` of the library", e->frame->name ? e->frame->name : "a function");
    return d;
}

int elab_error(Elab *e, DiagCode code, Span at, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int d = report(e, code, at, arena_vprintf(e->arena, format, args));
    va_end(args);
    return d;
}

Val elab_fail(Elab *e, DiagCode code, Span at, const char *format, ...) {
    va_list args;
    va_start(args, format);
    report(e, code, at, arena_vprintf(e->arena, format, args));
    va_end(args);
    return POISON;
}

void elab_label_operand(Elab *e, int diag, const Node *n, Val v) {
    if (!n || n->kind == NODE_INT || n->kind == NODE_FLOAT || n->kind == NODE_STRING || n->kind == NODE_BOOL) return;
    diag_label(e->diags, diag, n->span, "%s", val_text(e, v));
    if (n->kind != NODE_NAME) return;
    Binding *b = scope_find(e->scope, n->text);
    if (b && b->span.source && b->span.begin != n->span.begin)
        diag_label(e->diags, diag, b->span, "`%s` comes from here", n->text);
}
