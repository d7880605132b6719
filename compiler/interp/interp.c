/* The interpreter: see interp.h. */
#include "interp/interp.h"
#include "ops/region.h"

#include <string.h>

/* ------------------------------------------------------------- one function, by value */

/* Marks the values of a region that those already marked need: one walk back, as uses follow definitions.
 * All of an op's operands count, and all of a needed op's body. Checks are always needed. */
static void mark_needed(const Region *r, bool *needed, bool all) {
    for (int i = r->ops.n - 1; i >= 0; i--) {
        const Op *op = r->ops.at[i];
        bool wanted = all || op_has_check(op);
        for (int k = 0; k < op->result_count; k++) wanted = wanted || needed[op->results[k].id];
        if (!wanted) continue;
        for (int k = 0; k < op->result_count; k++) needed[op->results[k].id] = true;
        for (int k = 0; k < op->operand_count; k++) needed[op->operands[k]->id] = true;
        for (int k = 0; k < op->region_count; k++) {
            const Region *body = op->regions[k];
            for (int j = 0; j < body->yields.n; j++) needed[body->yields.at[j]->id] = true;
            mark_needed(body, needed, true);
        }
    }
}

bool interp_values(InterpCall *call, Value *const *wanted, int n, Tensor **out) {
    Func *f = call->func;
    int count = graph_number(f);
    bool *needed = arena_array(call->arena, bool, count);
    int symbols = f->module->dims.symbols.n;
    EvalContext e = {.module = f->module, .arena = call->arena, .dims = arena_array(call->arena, int64_t, symbols),
                     .round = call->round, .noise = call->noise, .values = arena_array(call->arena, Tensor *, count), .needed = needed,
                     .stops = call->stops};
    if (call->stops) call->stops->next = 0;
    if (call->dims && symbols) memcpy(e.dims, call->dims, sizeof *e.dims * (size_t)symbols);
    for (int i = 0; i < n; i++) needed[wanted[i]->id] = true;
    mark_needed(f->body, needed, false);
    for (int i = 0; i < f->inputs.n; i++) e.values[f->body->params.at[i]->id] = call->inputs[i];
    eval_region(&e, f->body);
    for (int i = 0; i < n && !e.error; i++) out[i] = e.values[wanted[i]->id];
    call->error = e.error;
    return !e.error;
}

bool interp_call(InterpCall *call, Tensor **results) {
    const Region *body = call->func->body;
    return interp_values(call, body->yields.at, body->yields.n, results);
}

/* ------------------------------------------------------------------------------- dims */

typedef struct Binding {
    Func *f;
    Arena *arena;
    int64_t *values;           /* by symbol id */
    bool *bound;
    const char *error;
} Binding;

static const char *input_name(const Func *f, int i) {
    const Port *p = &f->inputs.at[i];
    return p->var ? p->var->name : p->name ? p->name : "input";
}

/* Learns the one unknown of an extent of the form coefficient * symbol + constant. */
static void learn(Binding *b, Dim d, int64_t extent) {
    const DimTerm *unknown = NULL;
    int64_t rest = extent;
    for (int i = 0; i < d->term_count; i++) {
        const DimTerm *t = &d->terms[i];
        bool known = true;
        for (int k = 0; k < t->n; k++) known = known && b->bound[t->symbols[k]];
        if (known) {
            int64_t product = t->coeff;
            for (int k = 0; k < t->n; k++) product *= b->values[t->symbols[k]];
            rest -= product;
        } else if (unknown || t->n != 1) {
            return;
        } else {
            unknown = t;
        }
    }
    if (!unknown || rest % unknown->coeff) return;
    int id = unknown->symbols[0];
    if (b->f->module->dims.symbols.at[id]->of) return;
    b->values[id] = rest / unknown->coeff;
    b->bound[id] = true;
}

static void check_input(Binding *b, int i, const Tensor *t) {
    const Func *f = b->f;
    Type type = f->body->params.at[i]->type;
    const char *name = input_name(f, i);
    if (t->dtype != type.dtype || t->rank != type.rank) {
        b->error = arena_printf(b->arena, "%s: expected %s, given %s with %d dimensions", name,
                                type_text(&f->module->dims, type, b->arena), dtype_name(t->dtype), t->rank);
        return;
    }
    for (int k = 0; k < t->rank && !b->error; k++) {
        int64_t expected = dim_eval(&f->module->dims, type.shape[k], b->values);
        if (expected != t->shape[k])
            b->error = arena_printf(b->arena, "%s: dimension %d should be %lld, but is %lld", name, k,
                                    (long long)expected, (long long)t->shape[k]);
    }
}

static void check_bounds(Binding *b) {
    for (int i = 0; i < b->f->dims.n && !b->error; i++) {
        const DimSymbol *s = b->f->dims.at[i];
        int64_t value = b->values[s->id];
        if (!b->bound[s->id]) b->error = arena_printf(b->arena, "nothing says how much dim %s is", s->name);
        else if (value < s->lower || value > s->upper)
            b->error = arena_printf(b->arena, "dim %s is %lld, outside %lld .. %lld", s->name, (long long)value,
                                    (long long)s->lower, (long long)s->upper);
    }
}

int64_t *interp_bind(Func *f, const int64_t *given, Tensor *const *inputs, Arena *arena, const char **error) {
    int symbols = f->module->dims.symbols.n;
    Binding b = {.f = f, .arena = arena, .values = arena_array(arena, int64_t, symbols),
                 .bound = arena_array(arena, bool, symbols)};
    for (int i = 0; given && i < f->dims.n; i++) {
        b.values[f->dims.at[i]->id] = given[i];
        b.bound[f->dims.at[i]->id] = true;
    }
    for (int i = 0; i < f->inputs.n; i++) {
        Type type = f->body->params.at[i]->type;
        for (int k = 0; inputs[i] && inputs[i]->rank == type.rank && k < type.rank; k++)
            learn(&b, type.shape[k], inputs[i]->shape[k]);
    }
    check_bounds(&b);
    for (int i = 0; i < f->inputs.n && !b.error; i++)
        if (inputs[i]) check_input(&b, i, inputs[i]);
    *error = b.error;
    return b.error ? NULL : b.values;
}

/* ------------------------------------------------------------- a model, with variables */

Interp *interp_open(Module *m, Arena *arena, Arena *scratch, bool round) {
    Interp *in = arena_new(arena, Interp);
    *in = (Interp){.module = m, .arena = arena, .scratch = scratch, .round = round};
    in->vars = arena_array(arena, Tensor *, m->vars.n);
    in->counts = arena_array(arena, int64_t, m->funcs.n);
    for (int i = 0; i < m->vars.n; i++) {
        Type t = m->vars.at[i]->type;
        int64_t shape[MAX_RANK];
        for (int k = 0; k < t.rank; k++) shape[k] = dim_value(t.shape[k]);
        in->vars[i] = tensor_new(arena, t.dtype, t.rank, shape);
    }
    return in;
}

static Tensor *scalar_i64(Arena *a, int64_t value) {
    Tensor *t = tensor_new(a, DTYPE_I64, 0, NULL);
    t->at[0].i = value;
    return t;
}

/* Lines up a function's inputs; `args` holds those for PORT_ARG. */
static Tensor **gather_inputs(Interp *in, const Func *f, Tensor *const *args, int64_t count) {
    Tensor **inputs = arena_array(in->scratch, Tensor *, f->inputs.n);
    for (int i = 0; i < f->inputs.n; i++) {
        switch (f->inputs.at[i].kind) {
        case PORT_ARG: inputs[i] = *args++; break;
        case PORT_VAR: inputs[i] = in->vars[f->inputs.at[i].var->id]; break;
        case PORT_SEED: inputs[i] = scalar_i64(in->scratch, in->seed); break;
        case PORT_COUNT: inputs[i] = scalar_i64(in->scratch, count); break;
        }
    }
    return inputs;
}

static Tensor *tensor_copy(Arena *a, const Tensor *t) {
    Tensor *to = tensor_new(a, t->dtype, t->rank, t->shape);
    if (t->count) memcpy(to->at, t->at, sizeof *t->at * (size_t)t->count);
    return to;
}

/* Hands out results and stores the variables' new versions. These may be old versions of other variables:
 * all are read before any is written. */
static void commit(Interp *in, const Func *f, Tensor *const *values, Tensor **results) {
    Tensor **fresh = arena_array(in->scratch, Tensor *, f->results.n);
    for (int i = 0; i < f->results.n; i++) {
        if (f->results.at[i].var) fresh[i] = tensor_copy(in->scratch, values[i]);
        else *results++ = tensor_copy(in->arena, values[i]);
    }
    for (int i = 0; i < f->results.n; i++) {
        if (!fresh[i]) continue;
        Tensor *var = in->vars[f->results.at[i].var->id];
        if (var->count) memcpy(var->at, fresh[i]->at, sizeof *var->at * (size_t)var->count);
    }
}

static bool run(Interp *in, Func *f, int64_t count, const int64_t *dims, Tensor *const *args, Tensor **results) {
    arena_reset(in->scratch);
    InterpCall call = {.func = f, .arena = in->scratch, .round = in->round, .noise = in->noise};
    call.inputs = gather_inputs(in, f, args, count);
    call.dims = interp_bind(f, dims, call.inputs, in->scratch, &call.error);
    Tensor **values = arena_array(in->scratch, Tensor *, f->results.n);
    if (!call.dims || !interp_call(&call, values)) {
        in->error = arena_printf(in->arena, "%s: %s", f->name, call.error);
        return false;
    }
    commit(in, f, values, results);
    in->error = NULL;
    return true;
}

bool interp_init(Interp *in, int64_t seed) {
    in->seed = seed;
    for (int i = 0; i < in->module->funcs.n; i++) in->counts[i] = 0;
    if (in->module->init && !run(in, in->module->init, 0, NULL, NULL, NULL)) return false;
    return !in->module->prepare || run(in, in->module->prepare, 0, NULL, NULL, NULL);
}

bool interp_run(Interp *in, Func *f, const int64_t *dims, Tensor *const *args, Tensor **results) {
    int which = 0;
    while (which < in->module->funcs.n && in->module->funcs.at[which] != f) which++;
    bool exported = which < in->module->funcs.n;
    if (!run(in, f, exported ? in->counts[which] : 0, dims, args, results)) return false;
    if (exported) in->counts[which]++;
    return true;
}
