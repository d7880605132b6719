/* Source files: loading the library, the main file and its imports, and binding what they declare. */
#include "elab.h"
#include "parse.h"
#include "std.h"

/* ------------------------------------------------------------------- files */

static Unit *new_unit(Elab *e, const char *path, uint32_t source, Scope *scope, bool library) {
    Unit *u = arena_new(e->arena, Unit);
    *u = (Unit){.path = path, .source = source, .scope = scope, .library = library};
    vec_push(e->arena, &e->units, u);
    return u;
}

static Unit *find_unit(const Elab *e, const char *path) {
    for (int i = 0; i < e->units.n; i++)
        if (!strcmp(e->units.at[i]->path, path)) return e->units.at[i];
    return NULL;
}

/* `path` as seen from the folder of `from`, with "./" and "name/../" taken out so that a file has one name. */
static const char *resolve(Elab *e, const char *from, const char *path) {
    const char *slash = strrchr(from, '/');
    char *all = *path == '/' || !slash ? arena_printf(e->arena, "%s", path)
                                       : arena_printf(e->arena, "%.*s/%s", (int)(slash - from), from, path);
    VEC(const char *) parts = {0};
    bool absolute = *all == '/';
    for (char *at = all; *at;) {
        size_t n = strcspn(at, "/");
        const char *part = arena_text(e->arena, at, n);
        bool up = !strcmp(part, "..") && parts.n && strcmp(parts.at[parts.n - 1], "..");
        if (up) parts.n--;
        else if (n && strcmp(part, ".")) vec_push(e->arena, &parts, part);
        at += n + (at[n] == '/');
    }
    Text t = text_new(e->arena);
    for (int i = 0; i < parts.n; i++) text_add(&t, "%s%s", i || absolute ? "/" : "", parts.at[i]);
    return text_get(&t);
}

static void declare(Elab *e, Unit *u);

static Unit *load(Elab *e, const char *path, uint32_t source, Scope *scope, bool library) {
    Unit *u = new_unit(e, path, source, scope, library);
    u->loading = true;
    int errors = e->diags->errors;
    u->tree = parse_source(e->arena, e->names, e->diags, source);
    u->broken = e->diags->errors > errors;
    declare(e, u);
    u->loading = false;
    return u;
}

static Unit *import(Elab *e, const Unit *from, const Node *n) {
    const char *path = strncmp(n->text, "std/", 4) ? resolve(e, from->path, n->text) : n->text;
    Unit *u = find_unit(e, path);
    if (u && u->loading) {
        int d = elab_error(e, DL0502, n->name_span,
                           u == from ? "`%s` imports itself" : "importing `%s` goes round in a circle", n->text);
        diag_note(e->diags, d, "put what both files need into a third");
        return NULL;
    }
    if (u) return u;
    size_t length = 0;
    const DslFiles *files = &e->options->files;
    const char *text =
        files->read && strncmp(n->text, "std/", 4) ? files->read(files->user, e->arena, path, &length) : NULL;
    if (!text) {
        elab_error(e, DL0501, n->name_span, "cannot read `%s`", path);
        return NULL;
    }
    return load(e, path, diag_add_source(e->diags, path, text, length), scope_new(e, e->library), false);
}

/* ------------------------------------------------------------ declarations */

static Val class_val(Elab *e, const Node *decl, Unit *u) {
    ClassRef *c = arena_new(e->arena, ClassRef);
    *c = (ClassRef){decl, u};
    return (Val){.kind = VAL_CLASS, .class = c};
}

static Val fn_val(Elab *e, const Node *decl, Unit *u) {
    FnRef *f = arena_new(e->arena, FnRef);
    *f = (FnRef){decl, NULL, u};
    return (Val){.kind = VAL_FN, .fn = f};
}

static void run_import(Elab *e, Unit *u, const Node *n) {
    Unit *from = import(e, u, n);
    const Node *as = node_kid(n, 0);
    if (!from) {
        if (as) scope_bind(e, u->scope, as->text, POISON, as->span);
        else u->scope->tainted = true;
        return;
    }
    if (as) {
        scope_bind(e, u->scope, as->text, (Val){.kind = VAL_FILE, .file = from}, as->span);
        return;
    }
    u->scope->tainted = u->scope->tainted || from->scope->tainted;
    for (int i = 0; !from->library && i < from->scope->all.n; i++) {
        Binding b = from->scope->all.at[i];
        const Binding *other = scope_find_local(u->scope, b.name);
        if (b.span.source != from->source) continue;
        if (other && other->span.source != b.span.source) {
            int d = elab_error(e, DL0202, n->name_span, "`%s` comes from two files", b.name);
            diag_label(e->diags, d, other->span, "from this one");
            diag_label(e->diags, d, b.span, "and from this one");
            diag_hint(e->diags, d, "import one of them under a name: import \"%s\" as other", n->text);
        } else scope_bind(e, u->scope, b.name, b.val, b.span);
    }
}

static void declare_dim(Elab *e, Unit *u, const Node *n) {
    Bound *b = arena_new(e->arena, Bound);
    Val low = n->kids[DIM_LOWER] ? elab_eval(e, n->kids[DIM_LOWER]) : val_int(1),
        high = elab_eval(e, n->kids[DIM_UPPER]);
    Val v = {.kind = VAL_BOUND, .bound = b};
    *b = (Bound){n, n->text, low.i, high.i};
    if (is_poison(low) || is_poison(high) || !elab_dim_bounds(e, n->span, low, high)) v = POISON;
    if (n->kids[DIM_VALUE])
        elab_fail(e, DL0205, n->kids[DIM_VALUE]->span, "a dim with a value is a statement of a function");
    scope_bind(e, u->scope, n->text, v, n->name_span);
}

/* Classes and functions first, so that they may use each other in any order. */
static void declare(Elab *e, Unit *u) {
    Scope *outer = e->scope;
    e->scope = u->scope;
    for (int i = 0; i < u->tree->n; i++)
        if (u->tree->kids[i]->kind == NODE_IMPORT) run_import(e, u, u->tree->kids[i]);
    for (int i = 0; i < u->tree->n; i++) {
        const Node *n = u->tree->kids[i];
        if (n->kind == NODE_MODEL || n->kind == NODE_LAYER || n->kind == NODE_OPTIMIZER)
            scope_bind(e, u->scope, n->text, class_val(e, n, u), n->name_span);
        else if (n->kind == NODE_FN && n->text) scope_bind(e, u->scope, n->text, fn_val(e, n, u), n->name_span);
        else if (n->kind == NODE_ERROR) u->scope->tainted = true;
    }
    for (int i = 0; i < u->tree->n; i++) {
        const Node *n = u->tree->kids[i];
        if (n->kind == NODE_DIM) declare_dim(e, u, n);
        else if (n->kind == NODE_LET)
            elab_bind_names(e, n->kids[LET_NAMES], elab_eval(e, n->kids[LET_VALUE]), n->span, false);
    }
    e->scope = outer;
}

void unit_load_library(Elab *e) {
    for (int i = 0; i < std_file_count; i++) {
        const StdFile *f = &std_files[i];
        e->last_library_source = diag_add_source(e->diags, f->path, f->text, f->length);
    }
    for (int i = 0; i < std_file_count; i++)
        load(e, std_files[i].path, e->last_library_source - (uint32_t)(std_file_count - 1 - i), e->library, true);
}

Unit *unit_load_main(Elab *e, const char *path, const char *text, size_t length) {
    const char *name = resolve(e, "", path);
    return load(e, name, diag_add_source(e->diags, path, text, length), scope_new(e, e->library), false);
}
