/* dlcc gradcheck: the whole model's gradients against differences, in the interpreter and in double precision.
 *
 * Checked are the functions that train - or, where none does, those with a float scalar result - for every
 * parameter and every float argument, at the model's initial values and random data. Run-time dims are small;
 * integers are 0 or 1, which every label and index of a sensible model can be. */
#include "driver/driver.h"

#include "codegen/role.h"
#include "codegen/signature.h"
#include "dlrt.h"
#include "interp/gradcheck.h"
#include "ops/philox.h"

enum { SMALL_EXTENT = 3, SHORTER_STEPS = 3 };

typedef struct ModelCheck {
    Compilation *c;
    Interp *interp;
    uint32_t drawn;
    int checked, failed;
} ModelCheck;

/* Uniform in 0 .. 1, from the seed and the number of draws. */
static double draw(ModelCheck *k) {
    uint32_t out[4], key[2] = {(uint32_t)k->c->options->seed, (uint32_t)(k->c->options->seed >> 32)};
    philox4x32(key, (const uint32_t[]){k->drawn++, 0, 0, 1}, out);
    return out[0] / 4294967296.0;
}

static bool is_loss(ModelCheck *k, const Func *f, int place, bool training) {
    Type type = func_results(k->c->arena, f).at[place].type;
    if (training) return role_of_result(k->c->arena, f, place) == DLRT_ROLE_LOSS;
    return type.rank == 0 && dtype_is_float(type.dtype);
}

/* The value of the function's loss; null if it has none. */
static Value *loss_of(ModelCheck *k, Func *f, bool training) {
    for (int i = 0, place = 0; i < f->results.n; i++)
        if (!f->results.at[i].var && is_loss(k, f, place++, training)) return f->body->yields.at[i];
    return NULL;
}

static Tensor *random_argument(ModelCheck *k, Type type, const int64_t *dims) {
    int64_t shape[MAX_RANK];
    for (int d = 0; d < type.rank; d++) shape[d] = dim_eval(&k->c->module->dims, type.shape[d], dims);
    Tensor *t = tensor_new(k->c->arena, type.dtype, type.rank, shape);
    for (int64_t i = 0; i < t->count; i++) {
        if (dtype_is_float(type.dtype)) t->at[i].f = 2 * draw(k) - 1;
        else t->at[i].i = draw(k) < 0.5;
    }
    return t;
}

static Tensor *scalar(Arena *arena, int64_t value) {
    Tensor *t = tensor_new(arena, DTYPE_I64, 0, NULL);
    t->at[0].i = value;
    return t;
}

/* Inputs of a call: random arguments, initial variables. The dims' values go into `dims`, by symbol. */
static Tensor **make_inputs(ModelCheck *k, const Func *f, int64_t *dims) {
    Arena *arena = k->c->arena;
    Tensor **inputs = arena_array(arena, Tensor *, f->inputs.n + 1);
    for (int i = 0; i < f->dims.n; i++) {
        const DimSymbol *d = f->dims.at[i];
        int64_t extent = d->lower > SMALL_EXTENT ? d->lower : SMALL_EXTENT;
        dims[d->id] = extent < d->upper ? extent : d->upper;
    }
    for (int i = 0; i < f->inputs.n; i++) {
        const Port *port = &f->inputs.at[i];
        switch (port->kind) {
        case PORT_ARG: inputs[i] = random_argument(k, f->body->params.at[i]->type, dims); break;
        case PORT_VAR: inputs[i] = k->interp->vars[port->var->id]; break;
        case PORT_SEED: inputs[i] = scalar(arena, k->c->options->seed); break;
        case PORT_COUNT: inputs[i] = scalar(arena, 0); break;
        }
    }
    return inputs;
}

static bool is_checked(const Func *f, int input) {
    const Port *port = &f->inputs.at[input];
    bool wanted = port->kind == PORT_ARG || (port->kind == PORT_VAR && port->var->kind == VAR_PARAM);
    return wanted && dtype_is_float(f->body->params.at[input]->type.dtype);
}

static void say_input(ModelCheck *k, const Func *f, const GradcheckInput *r) {
    Text *to = &k->c->output->out;
    const Port *port = &f->inputs.at[r->input->index];
    text_add(to, "  %-6s %-28s %4d differences, worst %.2g of what is allowed", r->failed ? "WRONG" : "ok",
             port->kind == PORT_VAR ? port->var->name : port->name, r->checked, r->worst);
    if (r->failed && r->element >= 0)
        text_add(to, "; element %lld", (long long)r->element);
    if (r->failed) text_add(to, ": derived %.9g, differenced %.9g", r->derived, r->differenced);
    text_add(to, "\n");
}

static DlccStatus check_function(ModelCheck *k, Func *f, Value *loss) {
    Compilation *c = k->c;
    Value **wrt = arena_array(c->arena, Value *, f->inputs.n + 1);
    GradcheckInput *report = arena_array(c->arena, GradcheckInput, f->inputs.n + 1);
    GradcheckOptions options = gradcheck_defaults();
    int64_t *dims = arena_array(c->arena, int64_t, c->module->dims.symbols.n + 1);
    int n = 0;
    for (int i = 0; i < f->inputs.n; i++)
        if (is_checked(f, i)) wrt[n++] = f->body->params.at[i];
    InterpCall call = {.func = f, .arena = c->arena, .dims = dims, .inputs = make_inputs(k, f, dims)};
    call.dims = interp_bind(f, NULL, call.inputs, c->arena, &call.error);
    options.samples = c->options->check_samples;
    options.retries = SHORTER_STEPS;
    options.seed = (uint64_t)c->options->seed;
    if (!call.dims || !gradcheck(&call, loss, wrt, n, options, c->scratch, report))
        return call.error ? driver_fail(c, DLCC_USER, "%s cannot be evaluated: %s", f->name, call.error) : DLCC_USER;
    text_add(&c->output->out, "%s\n", f->name);
    for (int i = 0; i < n; i++) {
        say_input(k, f, &report[i]);
        k->checked += report[i].checked;
        k->failed += report[i].failed;
    }
    return DLCC_OK;
}

static bool any_trains(const Module *m) {
    for (int i = 0; i < m->funcs.n; i++)
        if (func_flags(m->funcs.at[i]) & DLRT_FN_TRAINS) return true;
    return false;
}

static DlccStatus check_functions(ModelCheck *k) {
    Module *m = k->c->module;
    bool training = any_trains(m);
    DlccStatus status = DLCC_OK;
    for (int i = 0; i < m->funcs.n && !status; i++) {
        Value *loss = loss_of(k, m->funcs.at[i], training);
        if (loss) status = check_function(k, m->funcs.at[i], loss);
    }
    if (status) return status;
    if (!k->checked) return driver_fail(k->c, DLCC_USER, "no function trains or has a float scalar as a result");
    text_add(&k->c->output->out, "%d differences, %d wrong\n", k->checked, k->failed);
    return k->failed ? DLCC_USER : DLCC_OK;
}

DlccStatus driver_gradcheck(Compilation *c) {
    DlccStatus status = input_read(c);
    if (status) return status;
    c->module = input_module(c, DTYPE_F64);
    if (!c->module) return DLCC_USER;
    ModelCheck k = {.c = c, .interp = interp_open(c->module, c->arena, c->scratch, false)};
    if (!interp_init(k.interp, c->options->seed))
        return driver_fail(c, DLCC_USER, "the model cannot be initialised: %s", k.interp->error);
    return check_functions(&k);
}
