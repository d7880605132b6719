/* Prints graph IR: see print.h. */
#include "ir/print.h"
#include "base/map.h"
#include "ir/op.h"

typedef struct Printer {
    const Module *module;
    Text *to;
    const char **names;        /* of each value by id; null: its number. Null altogether: hints as they are */
} Printer;

const char *var_kind_name(VarKind kind) {
    static const char *const names[] = {"param", "state", "slot", "cache", "prepared"};
    return names[kind];
}

/* ------------------------------------------------------------------------- names */

/* Counts, per base name, how many suffixes were given out; also marks names as taken. */
typedef struct NameState {
    int next;
} NameState;

static const char *take_name(const Module *m, Map *taken, const char *hint) {
    NameState *base = map_get(taken, hint);
    const char *name = hint;
    while (map_get(taken, name)) name = arena_printf(taken->arena, "%s.%d", hint, ++base->next);
    map_set(taken, intern(m->names, name), arena_new(taken->arena, NameState));
    return name;
}

static void name_value(const Printer *p, Map *taken, const Value *v) {
    if (v->name && v->name[0]) p->names[v->id] = take_name(p->module, taken, v->name);
}

static void name_region(const Printer *p, Map *taken, const Region *r) {
    for (int i = 0; i < r->params.n; i++) name_value(p, taken, r->params.at[i]);
    for (int i = 0; i < r->ops.n; i++) {
        const Op *op = r->ops.at[i];
        for (int j = 0; j < op->result_count; j++) name_value(p, taken, &op->results[j]);
        for (int j = 0; j < op->region_count; j++) name_region(p, taken, op->regions[j]);
    }
}

static void print_value(const Printer *p, const Value *v) {
    text_append(p->to, "%", 1);
    const char *name = !p->names ? v->name : v->id >= 0 ? p->names[v->id] : NULL;
    if (name) text_add_name(p->to, name);
    else if (v->id >= 0) text_add(p->to, "%d", v->id);
    else text_append(p->to, "?", 1);
}

static void print_values(const Printer *p, Value *const *values, int n) {
    for (int i = 0; i < n; i++) {
        text_add(p->to, "%s", i ? ", " : " ");
        print_value(p, values[i]);
    }
}

static void print_global(const Printer *p, const char *name) {
    text_append(p->to, "@", 1);
    text_add_name(p->to, name);
}

static void print_quoted(const Printer *p, const char *before, const char *text) {
    if (!text) return;
    text_add(p->to, "%s", before);
    text_add_quoted(p->to, text);
}

static void print_indent(const Printer *p, int depth) { text_add(p->to, "%*s", 2 * depth, ""); }

/* -------------------------------------------------------------------- attributes */

static void print_list(const Printer *p, const Attr *a) {
    text_append(p->to, "[", 1);
    for (int i = 0; i < a->n; i++) {
        if (i) text_append(p->to, ", ", 2);
        if (a->kind == ATTR_INTS) text_add(p->to, "%lld", (long long)a->ints[i]);
        else if (a->kind == ATTR_FLOATS) text_add_double(p->to, a->floats[i]);
        else dim_print(&p->module->dims, a->dims[i], p->to);
    }
    text_append(p->to, "]", 1);
}

static void print_attr(const Printer *p, const Attr *a) {
    text_add(p->to, "%s = ", a->key);
    switch (a->kind) {
    case ATTR_INT: text_add(p->to, "%lld", (long long)a->i); break;
    case ATTR_FLOAT: text_add_double(p->to, a->f); break;
    case ATTR_TEXT: text_add_quoted(p->to, a->text); break;
    case ATTR_DTYPE: text_add(p->to, "%s", dtype_name(a->dtype)); break;
    case ATTR_INTS:
    case ATTR_FLOATS:
    case ATTR_DIMS: print_list(p, a); break;
    }
}

static void print_attrs(const Printer *p, const Op *op) {
    if (!op->attr_count) return;
    for (int i = 0; i < op->attr_count; i++) {
        text_add(p->to, "%s", i ? ", " : " {");
        print_attr(p, &op->attrs[i]);
    }
    text_append(p->to, "}", 1);
}

/* ------------------------------------------------------------------- ops, regions */

static void print_op_line(const Printer *p, const Op *op) {
    for (int i = 0; i < op->result_count; i++) {
        if (i) text_append(p->to, ", ", 2);
        print_value(p, &op->results[i]);
    }
    text_add(p->to, "%s%s", op->result_count ? " = " : "", op->info->name);
    print_values(p, op->operands, op->operand_count);
    print_attrs(p, op);
    for (int i = 0; i < op->result_count; i++) {
        text_add(p->to, "%s", i ? ", " : " : ");
        type_print(&p->module->dims, op->results[i].type, p->to);
    }
}

static void print_ops(const Printer *p, const Region *r, int depth);

static void print_region(const Printer *p, const Region *r, int depth) {
    text_append(p->to, " (", 2);
    for (int i = 0; i < r->params.n; i++) {
        if (i) text_append(p->to, ", ", 2);
        print_value(p, r->params.at[i]);
        text_append(p->to, ": ", 2);
        type_print(&p->module->dims, r->params.at[i]->type, p->to);
    }
    text_append(p->to, ") {\n", 4);
    print_ops(p, r, depth + 1);
    print_indent(p, depth + 1);
    text_append(p->to, "yield", 5);
    print_values(p, r->yields.at, r->yields.n);
    text_append(p->to, "\n", 1);
    print_indent(p, depth);
    text_append(p->to, "}", 1);
}

static void print_ops(const Printer *p, const Region *r, int depth) {
    for (int i = 0; i < r->ops.n; i++) {
        const Op *op = r->ops.at[i];
        print_indent(p, depth);
        print_op_line(p, op);
        for (int j = 0; j < op->region_count; j++) print_region(p, op->regions[j], depth);
        text_append(p->to, "\n", 1);
    }
}

/* ---------------------------------------------------------------------- functions */

static void print_input(const Printer *p, const Port *port, const Value *v) {
    print_value(p, v);
    text_append(p->to, ": ", 2);
    type_print(&p->module->dims, v->type, p->to);
    switch (port->kind) {
    case PORT_ARG: print_quoted(p, " = arg ", port->name ? port->name : ""); break;
    case PORT_VAR:
        text_add(p->to, " = var ");
        print_global(p, port->var->name);
        break;
    case PORT_SEED: text_add(p->to, " = seed"); break;
    case PORT_COUNT: text_add(p->to, " = count"); break;
    }
    print_quoted(p, " doc ", port->doc);
}

static void print_results(const Printer *p, const Func *f) {
    bool tall = f->results.n > 2;
    print_indent(p, 1);
    text_add(p->to, "return");
    for (int i = 0; i < f->results.n && i < f->body->yields.n; i++) {
        const Result *r = &f->results.at[i];
        text_add(p->to, "%s%s", i ? "," : "", tall ? "\n    " : " ");
        print_value(p, f->body->yields.at[i]);
        print_quoted(p, " as ", r->name);
        if (r->var) {
            text_add(p->to, " -> ");
            print_global(p, r->var->name);
        }
        print_quoted(p, " doc ", r->doc);
    }
    text_append(p->to, "\n", 1);
}

/* A printer that knows the names of the function's values. */
static Printer func_printer(Func *f, Text *to) {
    Map taken = map_new(to->arena);
    Printer p = {f->module, to, arena_array(to->arena, const char *, graph_number(f))};
    name_region(&p, &taken, f->body);
    return p;
}

static void print_head(const Printer *p, const Func *f) {
    Text *to = p->to;
    print_global(p, f->name);
    text_append(to, "(", 1);
    bool tall = f->inputs.n > 2;
    for (int i = 0; i < f->inputs.n && i < f->body->params.n; i++) {
        text_add(to, "%s%s", i ? "," : "", tall ? "\n    " : i ? " " : "");
        print_input(p, &f->inputs.at[i], f->body->params.at[i]);
    }
    text_append(to, ")", 1);
    for (int i = 0; i < f->dims.n; i++) {
        text_add(to, "%s", i ? ", " : " dims(");
        text_add_name(to, f->dims.at[i]->name);
    }
    if (f->dims.n) text_append(to, ")", 1);
    print_quoted(p, " doc ", f->doc);
}

void func_print_head(Func *f, Text *to) {
    Printer p = func_printer(f, to);
    print_head(&p, f);
}

void func_print(Func *f, Text *to) {
    Printer p = func_printer(f, to);
    text_add(to, "func ");
    print_head(&p, f);
    text_append(to, " {\n", 3);
    print_ops(&p, f->body, 1);
    print_results(&p, f);
    text_append(to, "}\n", 2);
}

void op_print(const Op *op, Text *to) {
    Printer p = {op->parent->func->module, to, NULL};
    print_op_line(&p, op);
    for (int i = 0; i < op->region_count; i++) text_add(to, " (%d parameters) { ... }", op->regions[i]->params.n);
}

/* ----------------------------------------------------------- dims and variables */

/* Which symbols of the table something printed mentions. */
typedef struct Usage {
    const DimTable *dims;
    bool *used;
} Usage;

void dims_mark(const DimTable *t, Dim d, bool *used) {
    for (int i = 0; i < d->term_count; i++)
        for (int j = 0; j < d->terms[i].n; j++) {
            int id = d->terms[i].symbols[j];
            if (used[id]) continue;
            used[id] = true;
            if (t->symbols.at[id]->of) dims_mark(t, t->symbols.at[id]->of, used);
        }
}

static void use_dims(Usage *u, const Dim *dims, int n) {
    for (int i = 0; i < n; i++) dims_mark(u->dims, dims[i], u->used);
}

static void use_op(void *user, Op *op) {
    Usage *u = user;
    for (int i = 0; i < op->result_count; i++) use_dims(u, op->results[i].type.shape, op->results[i].type.rank);
    for (int i = 0; i < op->attr_count; i++)
        if (op->attrs[i].kind == ATTR_DIMS) use_dims(u, op->attrs[i].dims, op->attrs[i].n);
    for (int i = 0; i < op->region_count; i++)
        for (int j = 0; j < op->regions[i]->params.n; j++)
            use_dims(u, op->regions[i]->params.at[j]->type.shape, op->regions[i]->params.at[j]->type.rank);
}

static void use_func(Usage *u, Func *f) {
    for (int i = 0; i < f->dims.n; i++) u->used[f->dims.at[i]->id] = true;
    for (int i = 0; i < f->body->params.n; i++)
        use_dims(u, f->body->params.at[i]->type.shape, f->body->params.at[i]->type.rank);
    region_walk(f->body, use_op, u);
}

void dims_print(const DimTable *t, const bool *used, const char *word, Text *to) {
    for (int i = 0; i < t->symbols.n; i++) {
        const DimSymbol *s = t->symbols.at[i];
        if (!used[i]) continue;
        text_add(to, "%s ", word);
        text_add_name(to, s->name);
        text_add(to, " in %lld..%lld", (long long)s->lower, (long long)s->upper);
        if (s->of) {
            bool sum = s->of->term_count > 1;
            text_add(to, " = floor(%s", sum ? "(" : "");
            dim_print(t, s->of, to);
            text_add(to, "%s / %lld)", sum ? ")" : "", (long long)s->divisor);
        }
        text_append(to, "\n", 1);
    }
}

static void print_symbols(const Module *m, Text *to) {
    Usage u = {&m->dims, arena_array(to->arena, bool, m->dims.symbols.n)};
    for (int i = 0; i < m->vars.n; i++) use_dims(&u, m->vars.at[i]->type.shape, m->vars.at[i]->type.rank);
    for (int i = 0; i < m->funcs.n; i++) use_func(&u, m->funcs.at[i]);
    if (m->init) use_func(&u, m->init);
    if (m->prepare) use_func(&u, m->prepare);
    dims_print(&m->dims, u.used, "dim", to);
}

static void print_var(const Printer *p, const Var *v) {
    text_add(p->to, "%s ", var_kind_name(v->kind));
    print_global(p, v->name);
    text_add(p->to, " : ");
    type_print(&p->module->dims, v->type, p->to);
    if (v->of) {
        text_add(p->to, " of ");
        print_global(p, v->of->name);
    }
    bool identity = true;
    for (int i = 0; i < v->type.rank; i++) identity = identity && v->order[i] == i;
    for (int i = 0; i < v->type.rank && !identity; i++) text_add(p->to, "%s%d", i ? ", " : " order [", v->order[i]);
    if (!identity) text_append(p->to, "]", 1);
    if (v->split) text_add(p->to, " split %lld", (long long)v->split);
    print_quoted(p, " doc ", v->doc);
    text_append(p->to, "\n", 1);
}

void var_print(const Module *m, const Var *v, Text *to) {
    Printer p = {m, to, NULL};
    print_var(&p, v);
}

void module_print(const Module *m, Text *to) {
    Printer p = {m, to, NULL};
    text_add(to, "module ");
    print_global(&p, m->name);
    print_quoted(&p, " doc ", m->doc);
    text_append(to, "\n", 1);
    print_symbols(m, to);
    for (int i = 0; i < m->vars.n; i++) print_var(&p, m->vars.at[i]);
    for (int i = 0; i < m->funcs.n; i++) {
        text_append(to, "\n", 1);
        func_print(m->funcs.at[i], to);
    }
    if (m->init) {
        text_add(to, "\ninit ");
        func_print(m->init, to);
    }
    if (m->prepare) {
        text_add(to, "\nprepare ");
        func_print(m->prepare, to);
    }
}
