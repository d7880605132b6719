/* dlcc gradcheck: the whole model's gradients, twice. Here against differences, in the interpreter and in double
 * precision; in check_native.c as native code computes them, against the interpreter.
 *
 * Checked are the functions that train - or, where none does, those with a float scalar result - for every
 * parameter and every float argument, at the model's initial values and random data, for several values of the
 * run-time dims. */
#include "driver/check.h"

#include "codegen/role.h"
#include "codegen/signature.h"
#include "dlrt.h"
#include "interp/gradcheck.h"
#include "ops/build.h"

#include <math.h>

/* The interpreter is slow: rounds, and how far above its least value a dim may be. */
enum { ROUNDS = 2, DIM_SPAN = 8, SHORTER_STEPS = 3 };

/* ---------------------------------------------------------------- what is checked */

static bool has_loss(const Compilation *c, const Func *f) {
    CParams all = func_results(c->arena, f);
    for (int i = 0; i < all.n; i++)
        if (role_of_result(c->arena, f, i) == DLRT_ROLE_LOSS) return true;
    return false;
}

/* Whether a function trains on a loss: one may write parameters otherwise. */
static bool any_trains(const Compilation *c) {
    const Module *m = c->module;
    for (int i = 0; i < m->funcs.n; i++)
        if (func_flags(m->funcs.at[i]) & DLRT_FN_TRAINS && has_loss(c, m->funcs.at[i])) return true;
    return false;
}

static bool is_loss(const Compilation *c, const Func *f, int place, bool training) {
    Type type = func_results(c->arena, f).at[place].type;
    if (training) return role_of_result(c->arena, f, place) == DLRT_ROLE_LOSS;
    return type.rank == 0 && dtype_is_float(type.dtype);
}

/* A sum in which no two results weigh the same, so that none hides another; it becomes a result itself. */
static Value *weighted_sum(Func *f, Value *const *results, int n) {
    Builder b = {.module = f->module, .func = f, .region = f->body, .span = f->span};
    Value *sum = results[0];
    for (int i = 1; i < n; i++) {
        Value *weight = build_constant_like(&b, sum, 1.0 / (i + 1)), *x = build_convert(&b, results[i], sum->type.dtype);
        sum = build_map2(&b, MAP_add, sum, build_map2(&b, MAP_multiply, weight, x));
    }
    func_add_result(f, (Result){.name = "(sum of the losses)"}, sum);
    return sum;
}

Value *check_loss(const Compilation *c, Func *f) {
    bool training = any_trains(c), found = false;
    Value **scalars = arena_array(c->arena, Value *, f->results.n + 1);
    int n = 0;
    for (int i = 0, place = 0; i < f->results.n; i++) {
        Value *v = f->body->yields.at[i];
        if (f->results.at[i].var) continue;
        found |= is_loss(c, f, place++, training);
        if (v->type.rank == 0 && dtype_is_float(v->type.dtype)) scalars[n++] = v;
    }
    if (!found) return NULL;
    return n > 1 ? weighted_sum(f, scalars, n) : scalars[0];
}

bool check_covers(const Func *f, int input) {
    const Port *port = &f->inputs.at[input];
    bool wanted = port->kind == PORT_ARG || (port->kind == PORT_VAR && port->var->kind == VAR_PARAM);
    return wanted && dtype_is_float(f->body->params.at[input]->type.dtype);
}

const char *check_input_name(const Func *f, int input) {
    const Port *port = &f->inputs.at[input];
    return port->kind == PORT_VAR ? port->var->name : port->name;
}

/* ------------------------------------------------------------------------- report */

void check_add_dims(Text *to, const Func *f, const int64_t *dims) {
    for (int i = 0; i < f->dims.n; i++)
        text_add(to, "%s %s = %lld", i ? "," : "", f->dims.at[i]->name, (long long)dims[i]);
}

void check_say_title(ModelCheck *k, const Func *f, const char *what, const char *dims) {
    if (k->c->options->json) return;
    text_add(&k->c->output->out, "%s: %s%s%s\n", f->name, what, *dims ? ", for" : "", dims);
}

void check_say_row(ModelCheck *k, const Func *f, const CheckRow *row) {
    Text *to = &k->c->output->out;
    k->failed += row->failed;
    if (!k->c->options->json) {
        text_add(to, "  %-6s %-28s %8lld %s, worst %.2g of what is allowed%s%s\n", row->failed ? "WRONG" : "ok",
                 row->name, row->count, row->unit, row->worst, row->detail ? "; " : "", row->detail ? row->detail : "");
        return;
    }
    text_add(to, "{\"function\": ");
    text_add_quoted(to, f->name);
    text_add(to, ", \"tensor\": ");
    text_add_quoted(to, row->name);
    text_add(to, ", \"%s\": %lld, \"wrong\": %lld, \"worst\": ", row->unit, row->count, row->failed);
    text_add(to, isfinite(row->worst) ? "%.3g}\n" : "null}\n", row->worst);
}

static DlccStatus say_total(ModelCheck *k) {
    const char *form = k->c->options->json ? "{\"differences\": %lld, \"elements\": %lld, \"wrong\": %lld}\n"
                                           : "%lld differences, %lld native elements, %lld wrong\n";
    text_add(&k->c->output->out, form, k->differences, k->elements, k->failed);
    return k->failed ? DLCC_USER : DLCC_OK;
}

/* -------------------------------------------------------------- against differences */

static Tensor *scalar(Arena *arena, int64_t value) {
    Tensor *t = tensor_new(arena, DTYPE_I64, 0, NULL);
    t->at[0].i = value;
    return t;
}

/* Inputs of a call: random arguments, initial variables. */
static Tensor **make_inputs(ModelCheck *k, const Interp *model, const Func *f, const int64_t *dims) {
    Tensor **inputs = arena_array(k->c->arena, Tensor *, f->inputs.n + 1);
    for (int i = 0; i < f->inputs.n; i++) {
        switch (f->inputs.at[i].kind) {
        case PORT_ARG: inputs[i] = sample_input(&k->sampler, f, i, dims); break;
        case PORT_VAR: inputs[i] = model->vars[f->inputs.at[i].var->id]; break;
        case PORT_SEED: inputs[i] = scalar(k->c->arena, k->c->options->seed); break;
        case PORT_COUNT: inputs[i] = scalar(k->c->arena, 0); break;
        }
    }
    return inputs;
}

/* The findings of one round go to those of the rounds before. */
static void add_findings(const Compilation *c, CheckRow *row, const GradcheckInput *r) {
    row->count += r->checked;
    row->failed += r->failed;
    if (r->worst <= row->worst) return;
    row->worst = r->worst;
    if (!r->failed) return;
    const char *where = r->element < 0 ? "" : arena_printf(c->arena, "element %lld: ", (long long)r->element);
    row->detail = arena_printf(c->arena, "%sderived %.9g, differenced %.9g", where, r->derived, r->differenced);
}

static bool check_round(ModelCheck *k, const Interp *model, Func *f, Value *loss, const int64_t *dims, CheckRow *rows) {
    Compilation *c = k->c;
    Value **wrt = arena_array(c->arena, Value *, f->inputs.n + 1);
    GradcheckInput *report = arena_array(c->arena, GradcheckInput, f->inputs.n + 1);
    Tensor **none = arena_array(c->arena, Tensor *, f->inputs.n + 1);
    GradcheckOptions options = gradcheck_defaults();
    options.samples = c->options->check_samples;
    options.retries = SHORTER_STEPS;
    options.seed = (uint64_t)c->options->seed;
    int n = 0;
    for (int i = 0; i < f->inputs.n; i++)
        if (check_covers(f, i)) wrt[n++] = f->body->params.at[i];
    InterpCall call = {.func = f, .arena = c->arena};
    call.dims = interp_bind(f, dims, none, c->arena, &call.error);
    if (call.dims) call.inputs = make_inputs(k, model, f, call.dims);
    bool good = call.dims && gradcheck(&call, loss, wrt, n, options, c->scratch, report);
    if (!good && call.error) driver_fail(c, DLCC_USER, "%s cannot be evaluated: %s", f->name, call.error);
    for (int i = 0; i < n && good; i++) add_findings(c, &rows[i], &report[i]);
    return good;
}

static DlccStatus check_function(ModelCheck *k, const Interp *model, Func *f, Value *loss) {
    CheckRow *rows = arena_array(k->c->arena, CheckRow, f->inputs.n + 1);
    Text at = text_new(k->c->arena);
    int n = 0;
    for (int round = 0; round < (f->dims.n ? ROUNDS : 1); round++) {
        const int64_t *dims = sample_dims(&k->sampler, f, round ? 2 : 0, DIM_SPAN);
        text_add(&at, round ? ";" : "");
        check_add_dims(&at, f, dims);
        if (!check_round(k, model, f, loss, dims, rows)) return DLCC_USER;
    }
    check_say_title(k, f, "derivatives in f64 against differences", text_get(&at));
    for (int i = 0; i < f->inputs.n; i++) {
        if (!check_covers(f, i)) continue;
        rows[n].name = check_input_name(f, i);
        rows[n].unit = "differences";
        k->differences += rows[n].count;
        check_say_row(k, f, &rows[n++]);
    }
    return DLCC_OK;
}

static DlccStatus check_functions(ModelCheck *k, const Interp *model) {
    Module *m = k->c->module;
    DlccStatus status = DLCC_OK;
    for (int i = 0; i < m->funcs.n && !status; i++) {
        Value *loss = check_loss(k->c, m->funcs.at[i]);
        if (loss) status = check_function(k, model, m->funcs.at[i], loss);
    }
    if (!status && !k->differences)
        return driver_fail(k->c, DLCC_USER, "no function trains or has a float scalar as a result");
    return status;
}

DlccStatus driver_gradcheck(Compilation *c) {
    DlccStatus status = input_read(c);
    if (!status && input_is_kernels(c))
        status = driver_fail(c, DLCC_USER, "gradients are checked of a model's source or graph, not of kernels");
    if (!status) status = driver_find_target(c);
    if (status) return status;
    c->module = input_module(c, true);
    if (!c->module) return DLCC_USER;
    ModelCheck k = {.c = c, .sampler = {.arena = c->arena, .seed = (uint64_t)c->options->seed}};
    Interp *model = interp_open(c->module, c->arena, c->scratch, false);
    if (!interp_init(model, c->options->seed))
        return driver_fail(c, DLCC_USER, "the model cannot be initialised: %s", model->error);
    status = check_functions(&k, model);
    if (!status) status = check_native(&k);
    return status ? status : say_total(&k);
}
