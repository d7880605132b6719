/* Gradient check: see gradcheck.h. */
#include "interp/gradcheck.h"
#include "ops/build.h"
#include "ops/philox.h"

#include <math.h>
#include <string.h>

GradcheckOptions gradcheck_defaults(void) {
    return (GradcheckOptions){.eps = 1e-6, .rtol = 1e-5, .atol = 1e-7, .samples = 64, .directions = 2};
}

typedef struct Check {
    InterpCall *call;
    Arena *scratch;
    Value *loss;
    Tensor **inputs;           /* the call's own */
    const Tensor *grad;        /* of the input under test */
    const Tensor *point;       /* where it is */
    Tensor *moved;             /* stands in for it, and is moved about */
    GradcheckOptions options;
    double scale;
    uint64_t draws;
    GradcheckInput *report;
} Check;

static uint32_t draw(Check *c) {
    uint64_t n = c->draws++, seed = c->options.seed;
    uint32_t out[4];
    philox4x32((const uint32_t[]){(uint32_t)seed, (uint32_t)(seed >> 32)},
               (const uint32_t[]){(uint32_t)n, (uint32_t)(n >> 32), 0, 0}, out);
    return out[0];
}

static Tensor *copy_tensor(Arena *a, const Tensor *t) {
    Tensor *to = tensor_new(a, t->dtype, t->rank, t->shape);
    if (t->count) memcpy(to->at, t->at, sizeof *t->at * (size_t)t->count);
    return to;
}

/* The loss at the inputs as they are now. False: evaluation failed. */
static bool loss_now(Check *c, double *loss) {
    arena_reset(c->scratch);
    InterpCall call = *c->call;
    Tensor *out = NULL;
    call.arena = c->scratch;
    if (!interp_values(&call, &c->loss, 1, &out)) {
        c->call->error = arena_printf(c->call->arena, "%s", call.error);
        return false;
    }
    *loss = out->at[0].f;
    return true;
}

/* The loss with the input moved by `step` along `direction`, or at its one element if that is null. */
static bool loss_beside(Check *c, const double *direction, int64_t element, double step, double *loss) {
    Number *x = c->moved->at;
    memcpy(x, c->point->at, sizeof *x * (size_t)c->point->count);
    if (!direction) x[element].f += step;
    for (int64_t k = 0; direction && k < c->point->count; k++) x[k].f += step * direction[k];
    bool ok = loss_now(c, loss);
    memcpy(x, c->point->at, sizeof *x * (size_t)c->point->count);
    return ok;
}

static bool difference(Check *c, const double *direction, int64_t element, double eps, double *to) {
    double high, low;
    if (!loss_beside(c, direction, element, eps, &high)) return false;
    if (!loss_beside(c, direction, element, -eps, &low)) return false;
    *to = (high - low) / (2 * eps);
    return true;
}

/* How far apart they are, relative to what is allowed; NaN and infinity are infinitely far. */
static double distance(const Check *c, double derived, double differenced) {
    const GradcheckOptions *o = &c->options;
    double allowed = o->rtol * fmax(fabs(derived), fabs(differenced)) + o->atol * c->scale;
    double far = fabs(derived - differenced);
    if (far == 0) return 0;
    return isfinite(far) ? far / allowed : INFINITY;
}

/* Compares one derived value with the difference, stepping closer while they disagree. */
static bool compare(Check *c, const double *direction, int64_t element, double derived) {
    double eps = c->options.eps, d = 0, worst = INFINITY;
    for (int i = 0; i <= c->options.retries && worst > 1; i++, eps /= 10) {
        if (!difference(c, direction, element, eps, &d)) return false;
        worst = distance(c, derived, d);
        c->report->retried += i > 0;
    }
    GradcheckInput *r = c->report;
    r->checked++;
    r->failed += worst > 1;
    if (r->checked > 1 && worst <= r->worst) return true;
    r->worst = worst;
    r->element = direction ? -1 : element;
    r->derived = derived;
    r->differenced = d;
    return true;
}

static bool check_elements(Check *c) {
    int64_t count = c->point->count;
    bool all = count <= c->options.samples;
    for (int64_t i = 0; i < (all ? count : c->options.samples); i++) {
        int64_t element = all ? i : (int64_t)(draw(c) % (uint64_t)count);
        if (!compare(c, NULL, element, c->grad->at[element].f)) return false;
    }
    return true;
}

static bool check_directions(Check *c) {
    int64_t count = c->point->count;
    double *direction = arena_array(c->call->arena, double, count);
    for (int i = 0; count && i < c->options.directions; i++) {
        double along = 0;
        for (int64_t k = 0; k < count; k++) {
            direction[k] = draw(c) / 2147483648.0 - 1;
            along += direction[k] * c->grad->at[k].f;
        }
        if (!compare(c, direction, -1, along)) return false;
    }
    return true;
}

static bool check_input(Check *c, int which, double loss) {
    Tensor *point = c->inputs[which];
    c->scale = fabs(loss) / 100;
    for (int64_t k = 0; k < c->grad->count; k++) c->scale = fmax(c->scale, fabs(c->grad->at[k].f));
    c->point = point;
    c->inputs[which] = c->moved = copy_tensor(c->call->arena, point);
    bool ok = check_elements(c) && check_directions(c);
    c->inputs[which] = point;
    return ok;
}

/* What stops gradients is a constant to the derivatives, so it is held while the inputs move. */
static bool hold_stopped(InterpCall *call, Value *loss, StopLog *log) {
    Tensor *out;
    *log = (StopLog){.arena = call->arena};
    call->stops = log;
    if (!interp_values(call, &loss, 1, &out)) return false;
    log->replays = true;
    return true;
}

bool gradcheck(InterpCall *given, Value *loss, Value *const *wrt, int n, GradcheckOptions options, Arena *scratch,
               GradcheckInput *report) {
    Arena *arena = given->arena;
    Func *f = given->func;
    Builder b = {.module = f->module, .func = f, .region = f->body, .span = f->span};
    Value **wanted = arena_array(arena, Value *, n + 1);
    Tensor **values = arena_array(arena, Tensor *, n + 1);
    wanted[n] = loss;
    if (!build_gradients(&b, loss, wrt, n, wanted)) return false;
    if (!interp_values(given, wanted, n + 1, values)) return false;
    InterpCall call = *given;
    Tensor **inputs = arena_copy(arena, given->inputs, sizeof *inputs * (size_t)f->inputs.n);
    call.inputs = inputs;
    StopLog stops;
    if (!hold_stopped(&call, loss, &stops)) return false;
    Check c = {.call = &call, .scratch = scratch, .loss = loss, .inputs = inputs, .options = options};
    bool ok = true;
    for (int i = 0; i < n && ok; i++) {
        report[i] = (GradcheckInput){.input = wrt[i], .element = -1};
        c.report = &report[i];
        c.grad = values[i];
        ok = check_input(&c, wrt[i]->index, values[n]->at[0].f);
    }
    given->error = call.error;
    return ok;
}

bool gradcheck_passed(const GradcheckInput *report, int n) {
    for (int i = 0; i < n; i++)
        if (report[i].failed) return false;
    return true;
}
