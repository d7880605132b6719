/* Verifier: see verify.h. One walk per function with a table of the values that are visible. */
#include "ir/verify.h"
#include "base/map.h"
#include "ir/op.h"
#include "ir/print.h"

typedef struct Verifier {
    Module *module;
    Arena *scratch;
    FaultList *faults;
    const Func *func;
    const Op *op;
    const Region *region;      /* the one being checked */
    const Value **numbered;    /* by id: the value that has it */
    bool *visible;             /* by id: defined and in scope here */
    bool *known;               /* by symbol: of the signature or bound before, or derived from such */
    bool types_broken;         /* a type of the function cannot be: inference is not to see it */
} Verifier;

static void fault(Verifier *v, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void fault(Verifier *v, const char *format, ...) {
    if (v->faults->n >= FAULT_LIMIT) return;
    va_list args;
    va_start(args, format);
    const char *text = arena_vprintf(v->scratch, format, args);
    va_end(args);
    Span span = v->op ? v->op->span : v->func ? v->func->span : (Span){0};
    vec_push(v->scratch, v->faults, (Fault){v->func, v->op, span, text});
}

/* ------------------------------------------------------------------------- types */

const char *type_check(Module *m, Type type) {
    if ((unsigned)type.dtype >= DTYPE_COUNT) return "no such element type";
    if (type.rank < 0 || type.rank > MAX_RANK)
        return arena_printf(m->arena, "rank %d is not in 0 .. %d", type.rank, MAX_RANK);
    for (int i = 0; i < type.rank; i++) {
        if (!type.shape[i]) return arena_printf(m->arena, "extent %d is missing", i);
        if (dim_overflowed(type.shape[i])) return arena_printf(m->arena, "extent %d is too large", i);
        if (type.shape[i]->upper < 0) return arena_printf(m->arena, "extent %d is negative", i);
    }
    if (type_elements(&m->dims, type)->upper >= DIM_HUGE) return "it can have too many elements";
    return NULL;
}

static void check_dims(Verifier *v, const Dim *dims, int n, const char *what) {
    for (int i = 0; i < n; i++)
        for (int j = 0; j < dims[i]->term_count; j++)
            for (int k = 0; k < dims[i]->terms[j].n; k++) {
                int id = dims[i]->terms[j].symbols[k];
                if (id < v->module->dims.symbols.n && v->known[id]) continue;
                bool exists = id < v->module->dims.symbols.n;
                fault(v, "%s mentions dim %s, which nothing binds here", what,
                      exists ? v->module->dims.symbols.at[id]->name : "?");
                return;
            }
}

static void check_type(Verifier *v, Type type, const char *what) {
    const char *why = type_check(v->module, type);
    if (!why) {
        check_dims(v, type.shape, type.rank, what);
        return;
    }
    fault(v, "%s: %s", what, why);
    v->types_broken = true;
}

/* Derived symbols come after the symbols they are made of, so one pass in order suffices. */
static void learn_derived(Verifier *v) {
    const DimTable *t = &v->module->dims;
    for (int i = 0; i < t->symbols.n; i++) {
        Dim of = t->symbols.at[i]->of;
        bool all = of != NULL;
        for (int j = 0; all && j < of->term_count; j++)
            for (int k = 0; k < of->terms[j].n; k++) all = all && v->known[of->terms[j].symbols[k]];
        v->known[i] = v->known[i] || all;
    }
}

static void learn_dims(Verifier *v) {
    v->known = arena_array(v->scratch, bool, v->module->dims.symbols.n);
    for (int i = 0; i < v->func->dims.n; i++) v->known[v->func->dims.at[i]->id] = true;
    learn_derived(v);
}

/* A checked op binds its dim for what follows in the region and inside of it. */
static void learn_bound(Verifier *v, const Op *op) {
    int id = op_dims(op, "dims", NULL)[0]->terms[0].symbols[0];
    if (v->known[id]) fault(v, "dim %s has a value already", v->module->dims.symbols.at[id]->name);
    int n = v->module->dims.symbols.n;
    v->known = n ? arena_copy(v->scratch, v->known, sizeof *v->known * (size_t)n) : v->known;
    v->known[id] = true;
    learn_derived(v);
}

/* --------------------------------------------------------------------------- ops */

static const char *check_attr(Module *m, const Op *op, const Attr *a) {
    for (const AttrSpec *spec = op->info->attrs; spec && spec->key; spec++) {
        if (strcmp(spec->key, a->key)) continue;
        return spec->kind == a->kind ? NULL : arena_printf(m->arena, "attribute %s is of another kind", a->key);
    }
    return arena_printf(m->arena, "%s has no attribute %s", op->info->name, a->key);
}

const char *op_check_form(Module *m, const Op *op) {
    const OpInfo *info = op->info;
    if (op->operand_count < info->min_operands ||
        (info->max_operands >= 0 && op->operand_count > info->max_operands)) {
        if (info->min_operands == info->max_operands)
            return arena_printf(m->arena, "%s takes %d operand%s, not %d", info->name, info->min_operands,
                                info->min_operands == 1 ? "" : "s", op->operand_count);
        return arena_printf(m->arena, "%s cannot take %d operand%s", info->name, op->operand_count,
                            op->operand_count == 1 ? "" : "s");
    }
    if (info->result_count >= 0 && op->result_count != info->result_count)
        return arena_printf(m->arena, "%s has %d result%s, not %d", info->name, info->result_count,
                            info->result_count == 1 ? "" : "s", op->result_count);
    if (info->region_count < 0 ? op->region_count < 1 : op->region_count != info->region_count)
        return arena_printf(m->arena, "%s has %d region%s, not %d", info->name, info->region_count,
                            info->region_count == 1 ? "" : "s", op->region_count);
    for (int i = 0; i < op->attr_count; i++) {
        const char *why = check_attr(m, op, &op->attrs[i]);
        for (int j = 0; j < i && !why; j++)
            if (!strcmp(op->attrs[i].key, op->attrs[j].key))
                why = arena_printf(m->arena, "attribute %s is given twice", op->attrs[i].key);
        if (why) return why;
    }
    for (const AttrSpec *spec = info->attrs; spec && spec->key; spec++)
        if (!spec->optional && !op_attr(op, spec->key))
            return arena_printf(m->arena, "%s needs an attribute %s", info->name, spec->key);
    return NULL;
}

/* Infers the result types anew and compares; the op is left as it was. */
static void check_results(Verifier *v, Op *op) {
    Type *declared = arena_array(v->scratch, Type, op->result_count);
    for (int i = 0; i < op->result_count; i++) {
        declared[i] = op->results[i].type;
        check_type(v, declared[i], "result's type");
    }
    if (v->types_broken) return;
    const char *why = op_infer(v->module, op, NULL);
    if (why) fault(v, "%s", why);
    for (int i = 0; i < op->result_count; i++) {
        Type inferred = op->results[i].type;
        op->results[i].type = declared[i];
        if (!why && !type_equal(declared[i], inferred))
            fault(v, "result %d has type %s, but the operator gives %s", i,
                  type_text(&v->module->dims, declared[i], v->scratch),
                  type_text(&v->module->dims, inferred, v->scratch));
    }
}

static bool check_use(Verifier *v, const Value *x, const char *what, int i) {
    if (!x) {
        fault(v, "%s %d is missing", what, i);
        return false;
    }
    if (x->id < 0 || x->id >= v->func->value_count || v->numbered[x->id] != x) {
        fault(v, "%s %d is no value of this function", what, i);
        return false;
    }
    if (!v->visible[x->id]) {
        fault(v, "%s %d (%%%s) is used where it is not defined", what, i,
              x->name ? x->name : arena_printf(v->scratch, "%d", x->id));
        return false;
    }
    if (value_region(x) != v->region) {
        fault(v, "%s %d (%%%s) is a value of another region", what, i,
              x->name ? x->name : arena_printf(v->scratch, "%d", x->id));
        return false;
    }
    return true;
}

static void check_region(Verifier *v, Region *r, const Op *owner);

static void check_op(Verifier *v, Op *op, const Region *r) {
    v->op = op;
    int before = v->faults->n;
    if (op->parent != r) fault(v, "the op does not know the region it is in");
    for (int i = 0; i < op->operand_count; i++) check_use(v, op->operands[i], "operand", i);
    for (int i = 0; i < op->attr_count; i++)
        if (op->attrs[i].kind == ATTR_DIMS && !(op->info->flags & OP_BINDS_DIM))
            check_dims(v, op->attrs[i].dims, op->attrs[i].n, op->attrs[i].key);
    for (int i = 0; i < op->region_count; i++) check_region(v, op->regions[i], op);
    v->op = op;
    if (v->faults->n == before && !v->types_broken) check_results(v, op);
    if (v->faults->n == before && (op->info->flags & OP_BINDS_DIM)) learn_bound(v, op);
    for (int i = 0; i < op->result_count; i++) {
        const Value *x = &op->results[i];
        if (x->op != op || x->index != i) fault(v, "result %d does not know its op", i);
        v->visible[x->id] = true;
    }
}

static void check_params(Verifier *v, const Region *r) {
    for (int i = 0; i < r->params.n; i++) {
        const Value *x = r->params.at[i];
        if (x->op || x->region != r || x->index != i) fault(v, "parameter %d does not know its region", i);
        check_type(v, x->type, "parameter's type");
        v->visible[x->id] = true;
    }
}

/* Values of the region are visible in it only, and dims that it binds known. */
static void check_region(Verifier *v, Region *r, const Op *owner) {
    bool *known = v->known;
    const Region *outer = v->region;
    v->region = r;
    if (r->owner != owner || r->func != v->func) fault(v, "a region does not know its owner");
    check_params(v, r);
    for (int i = 0; i < r->ops.n; i++) check_op(v, r->ops.at[i], r);
    v->op = owner;
    for (int i = 0; i < r->yields.n; i++) check_use(v, r->yields.at[i], owner ? "yield" : "result", i);
    for (int i = 0; i < r->params.n; i++) v->visible[r->params.at[i]->id] = false;
    for (int i = 0; i < r->ops.n; i++)
        for (int j = 0; j < r->ops.at[i]->result_count; j++) v->visible[r->ops.at[i]->results[j].id] = false;
    v->known = known;
    v->region = outer;
}

/* --------------------------------------------------------------------- functions */

static void list_values(Verifier *v, const Region *r) {
    for (int i = 0; i < r->params.n; i++) v->numbered[r->params.at[i]->id] = r->params.at[i];
    for (int i = 0; i < r->ops.n; i++) {
        const Op *op = r->ops.at[i];
        for (int j = 0; j < op->result_count; j++) v->numbered[op->results[j].id] = &op->results[j];
        for (int j = 0; j < op->region_count; j++) list_values(v, op->regions[j]);
    }
}

static bool is_own_var(const Verifier *v, const Var *var) {
    return var && var->id >= 0 && var->id < v->module->vars.n && v->module->vars.at[var->id] == var;
}

static void check_inputs(Verifier *v, const Func *f) {
    bool *read = arena_array(v->scratch, bool, v->module->vars.n);
    if (f->inputs.n != f->body->params.n) {
        fault(v, "%d inputs, but %d parameters", f->inputs.n, f->body->params.n);
        return;
    }
    int special[2] = {0};
    for (int i = 0; i < f->inputs.n; i++) {
        const Port *port = &f->inputs.at[i];
        Type type = f->body->params.at[i]->type;
        if (port->kind == PORT_VAR) {
            if (!is_own_var(v, port->var)) {
                fault(v, "input %d reads no variable of the module", i);
                continue;
            }
            if (read[port->var->id]) fault(v, "variable %s has two inputs", port->var->name);
            read[port->var->id] = true;
            if (!type_equal(type, port->var->type)) fault(v, "input %d has another type than its variable", i);
        } else if (port->kind == PORT_SEED || port->kind == PORT_COUNT) {
            if (special[port->kind - PORT_SEED]++) fault(v, "input %d is a second seed or count", i);
            if (type.rank || type.dtype != DTYPE_I64) fault(v, "input %d, a seed or count, is not an i64 scalar", i);
        } else if (port->var) {
            fault(v, "input %d is an argument, yet has a variable", i);
        }
    }
}

static void check_outputs(Verifier *v, const Func *f) {
    bool *written = arena_array(v->scratch, bool, v->module->vars.n);
    if (f->results.n != f->body->yields.n) {
        fault(v, "%d results, but %d yields", f->results.n, f->body->yields.n);
        return;
    }
    for (int i = 0; i < f->results.n; i++) {
        const Var *var = f->results.at[i].var;
        if (!var) continue;
        if (!is_own_var(v, var)) {
            fault(v, "result %d writes no variable of the module", i);
            continue;
        }
        if (written[var->id]) fault(v, "variable %s has two new versions", var->name);
        written[var->id] = true;
        if (f->body->yields.at[i] && !type_equal(f->body->yields.at[i]->type, var->type))
            fault(v, "result %d has another type than variable %s", i, var->name);
    }
    for (int i = 0; i < v->module->vars.n; i++) {
        const Var *var = v->module->vars.at[i];
        bool prepared = var->kind == VAR_PREPARED;
        if (f == v->module->prepare ? prepared != written[i] : prepared && written[i])
            fault(v, "%s and no other function writes prepared variables: not so %s", "prepare", var->name);
        if (f == v->module->init && !prepared && !written[i]) fault(v, "init does not write variable %s", var->name);
    }
    if (f == v->module->prepare)
        for (int i = 0; i < f->inputs.n; i++)
            if (f->inputs.at[i].kind != PORT_VAR) fault(v, "prepare reads something else than variables");
    if (f != v->module->init) return;
    for (int i = 0; i < f->inputs.n; i++)
        if (f->inputs.at[i].kind != PORT_SEED) fault(v, "init reads something else than the seed");
}

static void check_func(Verifier *v, Func *f) {
    v->func = f;
    v->op = NULL;
    v->types_broken = false;
    for (int i = 0; i < f->dims.n; i++) {
        const DimSymbol *s = f->dims.at[i];
        bool own = s->id >= 0 && s->id < v->module->dims.symbols.n && v->module->dims.symbols.at[s->id] == s;
        if (!own || s->of) {
            fault(v, "dim %d of the signature is no free dim of the module", i);
            return;
        }
    }
    if (f->module != v->module || !f->body || f->body->func != f) {
        fault(v, "the function does not know its module or body");
        return;
    }
    graph_number(f);
    v->numbered = arena_array(v->scratch, const Value *, f->value_count);
    v->visible = arena_array(v->scratch, bool, f->value_count);
    list_values(v, f->body);
    learn_dims(v);
    check_inputs(v, f);
    check_region(v, f->body, NULL);
    v->op = NULL;
    check_outputs(v, f);
    v->func = NULL;
}

/* ------------------------------------------------------------------------ module */

static bool split_divides(const Var *var) {
    if (var->split < 1 || !var->type.rank) return false;
    Dim extent = var->type.shape[var->order[var->type.rank - 1]];
    return dim_is_const(extent) && dim_value(extent) % var->split == 0;
}

static void check_var(Verifier *v, const Var *var, int i, Map *seen) {
    if (var->id != i) fault(v, "variable %s does not know its place", var->name);
    if (map_get(seen, var->name)) fault(v, "two variables are called %s", var->name);
    map_set(seen, var->name, (void *)var);
    const char *why = type_check(v->module, var->type);
    if (why) {
        fault(v, "variable %s: %s", var->name, why);
        return;
    }
    if (var->of && (var->of->kind != VAR_PARAM || !shape_equal(var->of->type.rank, var->of->type.shape, var->type.rank, var->type.shape)))
        fault(v, "variable %s belongs to %s, which is no parameter of its shape", var->name, var->of->name);
    unsigned axes = 0;
    for (int j = 0; j < var->type.rank; j++) {
        if (!dim_is_const(var->type.shape[j])) fault(v, "variable %s: extent %d is no constant", var->name, j);
        if (var->order[j] >= 0 && var->order[j] < var->type.rank) axes |= 1u << var->order[j];
    }
    if (axes != (1u << var->type.rank) - 1) fault(v, "variable %s: its physical order is no permutation", var->name);
    else if (var->split && !split_divides(var)) fault(v, "variable %s cannot be cut into pieces of %lld", var->name, (long long)var->split);
}

int module_verify(Module *m, Arena *scratch, FaultList *faults) {
    Verifier v = {.module = m, .scratch = scratch, .faults = faults};
    int before = faults->n;
    Map vars = map_new(scratch), funcs = map_new(scratch);
    for (int i = 0; i < m->vars.n; i++) check_var(&v, m->vars.at[i], i, &vars);
    for (int i = 0; i < m->funcs.n; i++) {
        if (map_get(&funcs, m->funcs.at[i]->name)) fault(&v, "two functions are called %s", m->funcs.at[i]->name);
        map_set(&funcs, m->funcs.at[i]->name, m->funcs.at[i]);
    }
    for (int i = 0; i < m->funcs.n; i++) check_func(&v, m->funcs.at[i]);
    if (m->init) check_func(&v, m->init);
    if (m->prepare) check_func(&v, m->prepare);
    return faults->n - before;
}

void faults_report(Module *m, const FaultList *faults, const char *where) {
    for (int i = 0; i < faults->n; i++) {
        const Fault *f = &faults->at[i];
        const char *name = f->func ? f->func->name : m->name;
        int diag = diag_report(m->diags, DL0602, f->span, "%s: @%s: %s", where, name, f->text);
        if (!f->op) continue;
        Text text = text_new(m->arena);
        op_print(f->op, &text);
        diag_note(m->diags, diag, "in %s", text_get(&text));
    }
}
