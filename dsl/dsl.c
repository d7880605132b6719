/* The front end's entry points: see dsl.h. */
#include "dsl.h"
#include "elab.h"
#include "format.h"
#include "parse.h"
#include "std.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

/* -------------------------------------------------------- hyper-parameters */

static Val bad_value(Elab *e, const DslDefine *d, const char *wanted) {
    diag_report(e->diags, DL0504, (Span){0}, "-D %s=%s: %s", d->name, d->value, wanted);
    return POISON;
}

static Val int_value(Elab *e, const DslDefine *d) {
    char *end;
    errno = 0;
    long long i = strtoll(d->value, &end, 10);
    return *d->value && !*end && !errno ? val_int(i) : bad_value(e, d, "an integer is needed");
}

static Val float_value(Elab *e, const DslDefine *d) {
    char *end;
    double f = strtod(d->value, &end);
    return *d->value && !*end && isfinite(f) ? val_float(f) : bad_value(e, d, "a finite number is needed");
}

/* A value for a parameter of the declared type; without a type it is read as what it looks like. */
static Val define_value(Elab *e, const DslDefine *d, const Node *p) {
    const Node *type = p->kids[PARAMETER_TYPE];
    const char *t = type && type->kind == NODE_TYPE && !type->n ? type->text : "";
    if (!strcmp(t, "int")) return int_value(e, d);
    if (!strcmp(t, "float")) return float_value(e, d);
    if (!strcmp(t, "str")) return val_str(intern(e->names, d->value));
    if (!strcmp(d->value, "true") || !strcmp(d->value, "false")) return val_bool(d->value[0] == 't');
    if (!strcmp(t, "bool")) return bad_value(e, d, "true or false is needed");
    if (type) return bad_value(e, d, "only hyper-parameters of type int, float, bool and str can be set");
    return strpbrk(d->value, ".eE") ? float_value(e, d) : int_value(e, d);
}

static const Node *find_parameter(const Node *params, const char *name) {
    for (int i = 0; i < params->n; i++)
        if (params->kids[i]->text && !strcmp(params->kids[i]->text, name)) return params->kids[i];
    return NULL;
}

static bool collect_defines(Elab *e, const Node *model, Args *args) {
    const Node *params = model->kids[LAYER_PARAMS];
    int n = e->options->define_count;
    bool good = true;
    *args = (Args){.at = model->name_span,
                   .vals = arena_array(e->arena, Val, n + 1),
                   .nodes = arena_array(e->arena, const Node *, n + 1),
                   .names = arena_array(e->arena, const char *, n + 1)};
    for (int i = 0; i < n; i++) {
        const DslDefine *d = &e->options->defines[i];
        const Node *p = find_parameter(params, d->name);
        if (!p) {
            int g = diag_report(e->diags, DL0503, (Span){0}, "-D %s: the model `%s` has no such hyper-parameter",
                                d->name, model->text);
            const char **names = arena_array(e->arena, const char *, params->n + 1);
            for (int k = 0; k < params->n; k++) names[k] = params->kids[k]->text ? params->kids[k]->text : "";
            const char *near = nearest_name(d->name, names, params->n);
            if (near) diag_hint(e->diags, g, "did you mean `%s`?", near);
            good = false;
            continue;
        }
        Val v = define_value(e, d, p);
        good = good && !is_poison(v);
        int k = 0;
        while (k < args->n && args->names[k] != p->text) k++;   /* the last definition counts */
        args->vals[k] = v;
        args->names[k] = p->text;
        if (k == args->n) args->n++;
    }
    return good;
}

/* ------------------------------------------------------------------ compile */

static void init_elab(Elab *e, Arena *arena, Interner *names, Diags *diags, const DslOptions *options) {
    *e = (Elab){.arena = arena, .names = names, .diags = diags, .options = options};
    e->module = module_new(arena, names, diags, "model");
    e->builtins = scope_new(e, NULL);
    e->library = scope_new(e, e->builtins);
    e->scope = e->library;
    builtins_bind(e, e->builtins);
    unit_load_library(e);
}

static const Node *choose_model(Elab *e, const Unit *u) {
    const Node *found = NULL;
    int count = 0;
    for (int i = 0; i < u->tree->n; i++) {
        const Node *n = u->tree->kids[i];
        if (n->kind != NODE_MODEL || (e->options->model && strcmp(n->text, e->options->model))) continue;
        found = n;
        count++;
    }
    if (count == 1) return found;
    if (u->scope->tainted && !count) return NULL;
    int d;
    if (e->options->model)
        d = diag_report(e->diags, DL0505, (Span){0}, "`%s` has no model `%s`", u->path, e->options->model);
    else if (!count) d = diag_report(e->diags, DL0505, (Span){u->source, 0, 0}, "this file declares no model");
    else {
        d = diag_report(e->diags, DL0505, found->name_span, "this file declares %d models; say which one to compile",
                        count);
        diag_hint(e->diags, d, "--model=%s", found->text);
    }
    for (int i = 0; i < u->tree->n; i++)
        if (u->tree->kids[i]->kind == NODE_MODEL) diag_label(e->diags, d, u->tree->kids[i]->name_span, "a model");
    return NULL;
}

static void export_functions(Elab *e, Instance *model) {
    const Node *members = model->decl->kids[LAYER_MEMBERS];
    int count = 0;
    for (int i = 0; i < members->n; i++) {
        const Node *m = members->kids[i];
        if (m->kind != NODE_FN || !m->i || !m->text) continue;
        elab_export(e, m, model);
        count++;
    }
    if (!count && !model->scope->tainted)
        diag_report(e->diags, DL0505, model->decl->name_span, "the model `%s` exports no function", model->decl->text);
}

static void elaborate(Elab *e, Unit *u, const Node *decl) {
    Args args;
    e->module->name = decl->text;
    e->module->doc = u->tree->doc ? u->tree->doc : decl->doc;
    if (!collect_defines(e, decl, &args)) return;
    elab_begin_init(e);
    e->scope = u->scope;
    e->model = elab_make_model(e, &(ClassRef){decl, u}, &args);
    if (!e->model) return;
    export_functions(e, e->model);
    if (!e->diags->errors) elab_end_init(e);
}

Module *dsl_compile(Arena *arena, Interner *names, Diags *diags, const char *path, const char *text, size_t length,
                    const DslOptions *options) {
    Elab *e = arena_new(arena, Elab);
    int before = diags->errors;
    init_elab(e, arena, names, diags, options);
    Unit *u = unit_load_main(e, path, text, length);
    for (int i = 0; i < e->units.n; i++)
        if (!e->units.at[i]->library) check_unit(e, e->units.at[i]);
    const Node *model = choose_model(e, u);
    if (model) elaborate(e, u, model);
    return diags->errors == before ? e->module : NULL;
}

bool dsl_print_ast(Arena *arena, Interner *names, Diags *diags, const char *path, const char *text, size_t length,
                   Text *to) {
    int before = diags->errors;
    ast_print(parse_source(arena, names, diags, diag_add_source(diags, path, text, length)), to);
    return diags->errors == before;
}

/* Whether two sources have equal trees. */
static bool reads_equal(Arena *arena, const Node *a, const Node *b) {
    Text x = text_new(arena), y = text_new(arena);
    ast_print(a, &x);
    ast_print(b, &y);
    return !strcmp(text_get(&x), text_get(&y));
}

bool dsl_format(Arena *arena, Interner *names, Diags *diags, const char *path, const char *text, size_t length,
                Text *to) {
    int before = diags->errors;
    uint32_t source = diag_add_source(diags, path, text, length);
    const Node *tree = parse_source(arena, names, diags, source);
    if (diags->errors > before) return false;
    Parser *ps = parser_new(arena, names, diags, source);
    Text made = format_source(arena, ps, tree);
    Diags own;
    diags_init(&own, arena);
    const Node *again = parse_source(arena, names, &own, diag_add_source(&own, path, text_get(&made), made.n));
    if (own.errors || !reads_equal(arena, tree, again)) return false;
    *to = made;
    return true;
}

/* --------------------------------------------------------------------- list */

static const struct { const char *name, *file; NodeKind kind; } sorts[DSL_SORT_COUNT] = {
    [DSL_LAYERS] = {"layers", NULL, NODE_LAYER},
    [DSL_ACTIVATIONS] = {"activations", "std/activation.dl", NODE_FN},
    [DSL_LOSSES] = {"losses", "std/loss.dl", NODE_FN},
    [DSL_OPTIMIZERS] = {"optimizers", NULL, NODE_OPTIMIZER},
    [DSL_SCHEDULES] = {"schedules", "std/schedule.dl", NODE_FN},
    [DSL_INITIALIZERS] = {"initializers", "std/init.dl", NODE_FN},
    [DSL_METRICS] = {"metrics", "std/metric.dl", NODE_FN},
    [DSL_FUNCTIONS] = {"functions", NULL, NODE_FN},
};

const char *dsl_sort_name(DslSort sort) { return sorts[sort].name; }

static const char *in_one_line(Arena *arena, const char *text, uint32_t begin, uint32_t end) {
    Text to = text_new(arena);
    while (end > begin && strchr(" \n", text[end - 1])) end--;
    for (uint32_t i = begin; i < end; i++) {
        if (text[i] == '\n') i += (uint32_t)strspn(text + i, "\n ") - 1;
        text_append(&to, text[i] == '\n' || text[i] == ' ' ? " " : text + i, 1);
    }
    return text_get(&to);
}

/* "name(a: int, b: bool = true)": the declaration's own text up to its parameters' closing parenthesis. */
static const char *signature(Elab *e, const Node *n) {
    const Source *s = &e->diags->sources.at[n->span.source];
    uint32_t end = n->name_span.end;
    for (int depth = 0; end < s->length; end++) {
        depth += (s->text[end] == '(') - (s->text[end] == ')');
        if (depth == 0) break;
    }
    return in_one_line(e->arena, s->text, n->name_span.begin, end + 1);
}

/* The parameters and results of a layer's unnamed function. */
static const char *call_signature(Elab *e, const Node *n) {
    const Node *members = n->kind == NODE_LAYER ? n->kids[LAYER_MEMBERS] : NULL;
    const char *text = e->diags->sources.at[n->span.source].text;
    for (int i = 0; members && i < members->n; i++) {
        const Node *fn = members->kids[i];
        if (fn->kind == NODE_FN && !fn->text)
            return in_one_line(e->arena, text, fn->span.begin + (uint32_t)strcspn(text + fn->span.begin, "("),
                               fn->kids[FN_BODY]->span.begin);
    }
    return NULL;
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const DslEntry *)a)->name, ((const DslEntry *)b)->name);
}

const DslEntry *dsl_list(Arena *arena, Interner *names, DslSort sort, int *count) {
    Elab *e = arena_new(arena, Elab);
    Diags *diags = arena_new(arena, Diags);
    DslOptions *options = arena_new(arena, DslOptions);
    VEC(DslEntry) all = {0};
    *options = dsl_default_options();
    diags_init(diags, arena);
    init_elab(e, arena, names, diags, options);
    for (int i = 0; i < e->units.n; i++) {
        const Unit *u = e->units.at[i];
        for (int k = 0; k < u->tree->n; k++) {
            const Node *n = u->tree->kids[k];
            if (n->kind != sorts[sort].kind || !n->doc || (sorts[sort].file && strcmp(sorts[sort].file, u->path)))
                continue;
            int line, column;
            diag_place(diags, u->source, n->name_span.begin, &line, &column);
            vec_push(arena, &all, (DslEntry){n->text, signature(e, n), call_signature(e, n), n->doc, u->path, line});
        }
    }
    if (all.n) qsort(all.at, (size_t)all.n, sizeof *all.at, by_name);
    *count = all.n;
    return all.at;
}
