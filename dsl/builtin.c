/* Builtins: their binding as names, and the calling convention.
 *
 * What the library can say in the language is not here. Elementwise operators come from the operator table:
 * each row without a sign of its own (+, <, and ...) is a function of the row's name. */
#include "elab.h"
#include "elsewhere.h"

enum { MOST_PARAMS = 8 };

/* The i-th parameter's name of "x axis? keep?"; false past the end. */
static bool parameter(const char *params, int i, const char **name, int *length, bool *optional) {
    while (i-- > 0 && *params) {
        params += strcspn(params, " ");
        params += strspn(params, " ");
    }
    *name = params;
    *length = (int)strcspn(params, " ?");
    *optional = params[*length] == '?';
    return *length > 0;
}

static int parameter_count(const char *params) {
    const char *name;
    int n = 0, length;
    bool optional;
    while (parameter(params, n, &name, &length, &optional)) n++;
    return n;
}

static int find_parameter(const char *params, const char *wanted) {
    const char *name;
    int length;
    bool optional;
    for (int i = 0; parameter(params, i, &name, &length, &optional); i++)
        if (!strncmp(name, wanted, (size_t)length) && !wanted[length]) return i;
    return -1;
}

Val elab_call_builtin(Elab *e, const Builtin *b, const Args *args) {
    Val vals[MOST_PARAMS];
    const Node *nodes[MOST_PARAMS] = {0};
    bool given[MOST_PARAMS] = {0};
    int count = parameter_count(b->params);
    for (int i = 0; i < MOST_PARAMS; i++) vals[i] = NONE_VAL;
    for (int i = 0; i < args->n; i++) {
        int k = args->names[i] ? find_parameter(b->params, args->names[i]) : i;
        Span at = args->nodes[i] ? args->nodes[i]->span : args->at;
        if (k < 0 || k >= count) {
            int d = args->names[i]
                        ? elab_error(e, DL0206, at, "`%s` has no parameter `%s`", b->name, args->names[i])
                        : elab_error(e, DL0206, at, "`%s` takes %d argument%s", b->name, count, count == 1 ? "" : "s");
            const char *meant = args->names[i] ? elsewhere_argument(args->names[i]) : NULL;
            if (meant && find_parameter(b->params, meant) >= 0) diag_hint(e->diags, d, "did you mean `%s`?", meant);
            else diag_note(e->diags, d, "its parameters: %s", b->params);
            return POISON;
        }
        if (given[k]) return elab_fail(e, DL0206, at, "an argument of `%s` is given twice", b->name);
        if (is_poison(args->vals[i])) return POISON;
        given[k] = true;
        vals[k] = args->vals[i];
        nodes[k] = args->nodes[i] ? args->nodes[i]->kids[0] : NULL;
    }
    for (int i = 0; i < count; i++) {
        const char *name;
        int length;
        bool optional;
        parameter(b->params, i, &name, &length, &optional);
        if (!given[i] && !optional) return elab_fail(e, DL0206, args->at, "`%s` needs `%.*s`", b->name, length, name);
    }
    return b->run(e, b, &(BuiltinCall){vals, nodes, args->at});
}

/* ------------------------------------------------- from the operator table */

static Val run_map1(Elab *e, const Builtin *self, const BuiltinCall *c) {
    return elab_map(e, c->at, (MapFn)self->detail, c->args, 1, c->nodes);
}

static Val run_map2(Elab *e, const Builtin *self, const BuiltinCall *c) {
    return elab_map(e, c->at, (MapFn)self->detail, c->args, 2, c->nodes);
}

/* Rows that the language writes otherwise. */
static bool has_other_form(MapFn f) {
    switch (f) {
    case MAP_add:
    case MAP_subtract:
    case MAP_multiply:
    case MAP_divide:
    case MAP_remainder:
    case MAP_power:
    case MAP_negate:
    case MAP_equal: case MAP_not_equal: case MAP_less: case MAP_less_equal: case MAP_greater: case MAP_greater_equal:
    case MAP_and: case MAP_or: case MAP_not: case MAP_convert:
        return true;
    default:
        return false;
    }
}

static void bind_rows(Elab *e, Scope *scope) {
    for (int f = 0; f < MAP_COUNT; f++) {
        const OpInfo *info = op_of_map((MapFn)f);
        if (!info || info->min_operands < 1 || info->max_operands > 2 || has_other_form((MapFn)f)) continue;
        Builtin *b = arena_new(e->arena, Builtin);
        *b = (Builtin){info->name, info->max_operands == 1 ? "x" : "x y", info->max_operands == 1 ? run_map1 : run_map2,
                       f};
        scope_bind(e, scope, intern(e->names, info->name), (Val){.kind = VAL_BUILTIN, .builtin = b}, (Span){0});
    }
}

static void bind_table(Elab *e, Scope *scope, const Builtin *table) {
    for (; table->name; table++)
        scope_bind(e, scope, intern(e->names, table->name), (Val){.kind = VAL_BUILTIN, .builtin = table}, (Span){0});
}

void builtins_bind(Elab *e, Scope *scope) {
    bool known;
    bind_rows(e, scope);
    bind_table(e, scope, builtin_sizes);
    bind_table(e, scope, builtin_tensors);
    bind_table(e, scope, builtin_index);
    bind_table(e, scope, builtin_sort);
    bind_table(e, scope, builtin_windows);
    bind_table(e, scope, builtin_reductions);
    bind_table(e, scope, builtin_models);
    for (int t = 0; t < DTYPE_COUNT; t++)
        if (t != DTYPE_BOOL)
            scope_bind(e, scope, intern(e->names, dtype_name((DType)t)),
                       (Val){.kind = VAL_DTYPE, .dtype = elab_dtype(e, dtype_name((DType)t), &known)}, (Span){0});
    scope_bind(e, scope, intern(e->names, "num"), (Val){.kind = VAL_DTYPE, .dtype = e->options->num}, (Span){0});
}
