/* What the tests of ops/ share: see support.h. */
#include "support.h"

#include "ir/read.h"
#include "ops/philox.h"

#include <stdlib.h>
#include <string.h>

World *world_open(void) {
    World *w = calloc(1, sizeof *w);
    assert_non_null(w);
    arena_init(&w->arena, &w->out_of_memory);
    arena_init(&w->scratch, &w->out_of_memory);
    if (setjmp(w->out_of_memory)) fail_msg("out of memory");
    intern_init(&w->names, &w->arena);
    diags_init(&w->diags, &w->arena);
    w->module = module_new(&w->arena, &w->names, &w->diags, "test");
    w->integers_below = 3;
    return w;
}

void world_close(World *w) {
    arena_reset(&w->scratch);
    arena_reset(&w->arena);
    free(w);
}

const char *world_messages(World *w) {
    Text text = text_new(&w->arena);
    diags_render(&w->diags, &text, false);
    return text_get(&text);
}

/* ------------------------------------------------------------------------ functions */

Builder world_func(World *w, const char *name) {
    Func *f = module_add_func(w->module, name);
    return (Builder){.module = w->module, .func = f, .region = f->body};
}

Value *add_input(Builder *b, const char *name, DType t, int rank, const Dim *shape) {
    Port port = {.kind = PORT_ARG, .name = intern(b->module->names, name)};
    return func_add_input(b->func, port, type_make(b->module, t, rank, shape));
}

/* "%x: f64[2,B], ..." with ` = arg "x"` behind each: a comma followed by a space separates inputs. */
static const char *with_ports(World *w, const char *inputs) {
    Text text = text_new(&w->arena);
    while (*inputs) {
        size_t n = 0, name = strcspn(inputs + 1, ":");
        while (inputs[n] && strncmp(inputs + n, ", ", 2)) n++;
        text_append(&text, inputs, n);
        text_add(&text, " = arg \"%.*s\"", (int)name, inputs + 1);
        inputs += n;
        if (!*inputs) break;
        text_add(&text, ", ");
        inputs += 2;
    }
    return text_get(&text);
}

Func *world_read(World *w, const char *inputs, const char *ops, const char *returned) {
    bool b = strchr(inputs, 'B'), z = strchr(inputs, 'Z');
    const char *text = arena_printf(&w->arena, "module @test\n%s%sdim L in 0..64\nfunc @f(%s)%s {\n%s\nreturn %s as \"y\"\n}\n",
                                    b ? "dim B in 1..64\n" : "", z ? "dim Z in 0..64\n" : "", with_ports(w, inputs),
                                    b && z ? " dims(B, Z)" : b ? " dims(B)" : z ? " dims(Z)" : "", ops, returned);
    uint32_t source = diag_add_source(&w->diags, "test", text, strlen(text));
    Module *m = module_read(&w->arena, &w->names, &w->diags, source);
    if (!m) return NULL;
    w->module = m;
    return m->funcs.at[0];
}

/* -------------------------------------------------------------------------- tensors */

static uint32_t draw(World *w) {
    uint64_t n = w->draws++;
    uint32_t out[4];
    philox4x32((const uint32_t[]){1, 2}, (const uint32_t[]){(uint32_t)n, (uint32_t)(n >> 32), 0, 0}, out);
    return out[0];
}

double world_random(World *w) { return draw(w) / 4294967296.0; }

Tensor *random_tensor(World *w, Type type, const int64_t *dims) {
    int64_t shape[MAX_RANK];
    for (int i = 0; i < type.rank; i++) shape[i] = dim_eval(&w->module->dims, type.shape[i], dims);
    Tensor *t = tensor_new(&w->arena, type.dtype, type.rank, shape);
    for (int64_t k = 0; k < t->count; k++) {
        if (dtype_is_float(t->dtype)) t->at[k].f = -1.5 + 3 * ((double)k + 0.4) / (double)t->count;
        else t->at[k].i = (int64_t)(draw(w) % (uint64_t)(t->dtype == DTYPE_BOOL ? 2 : w->integers_below));
    }
    for (int64_t k = t->count - 1; k > 0; k--) {
        int64_t other = (int64_t)(draw(w) % (uint64_t)(k + 1));
        Number kept = t->at[k];
        t->at[k] = t->at[other];
        t->at[other] = kept;
    }
    return t;
}

InterpCall random_call(World *w, Func *f, int64_t extent) {
    int64_t *dims = arena_array(&w->arena, int64_t, w->module->dims.symbols.n);
    for (int i = 0; i < w->module->dims.symbols.n; i++) dims[i] = extent;
    Tensor **inputs = arena_array(&w->arena, Tensor *, f->inputs.n);
    for (int i = 0; i < f->inputs.n; i++) inputs[i] = random_tensor(w, f->body->params.at[i]->type, dims);
    return (InterpCall){.func = f, .arena = &w->arena, .dims = dims, .inputs = inputs};
}

Tensor *floats(World *w, int rank, const int64_t *shape, const double *values) {
    Tensor *t = tensor_new(&w->arena, DTYPE_F64, rank, shape);
    for (int64_t k = 0; k < t->count; k++) t->at[k].f = values[k];
    return t;
}

Tensor *ints(World *w, DType type, int rank, const int64_t *shape, const int64_t *values) {
    Tensor *t = tensor_new(&w->arena, type, rank, shape);
    for (int64_t k = 0; k < t->count; k++) t->at[k].i = values[k];
    return t;
}

const Tensor *evaluate(World *w, Func *f, Tensor *const *inputs, Value *wanted) {
    InterpCall call = {.func = f, .arena = &w->arena, .inputs = inputs};
    assert_non_null(wanted);
    call.dims = interp_bind(f, NULL, inputs, &w->arena, &call.error);
    if (!call.dims) fail_msg("%s", call.error);
    Tensor *out = NULL;
    if (!interp_values(&call, &wanted, 1, &out)) fail_msg("%s", call.error);
    return out;
}

/* ---------------------------------------------------------------------- derivatives */

/* The sum of y times new weights. */
static Value *weighted_sum(Builder *b, Value *y) {
    y = build_convert(b, y, DTYPE_F64);
    Value *weights = add_input(b, "weights", DTYPE_F64, y->type.rank, y->type.shape);
    int64_t axes[MAX_RANK];
    for (int i = 0; i < y->type.rank; i++) axes[i] = i;
    return build_reduce(b, &OP_reduce_sum, build_map2(b, MAP_multiply, y, weights), axes, y->type.rank);
}

static Value *weighted_sums(Builder *b, Value *const *ys, int n) {
    Value *sum = NULL;
    for (int i = 0; i < n; i++) {
        Value *part = weighted_sum(b, ys[i]);
        sum = sum ? build_map2(b, MAP_add, sum, part) : part;
    }
    return sum;
}

static int float_inputs(const Func *f, Value **to) {
    int n = 0;
    for (int i = 0; i < f->body->params.n; i++)
        if (dtype_is_float(f->body->params.at[i]->type.dtype)) to[n++] = f->body->params.at[i];
    return n;
}

static int check_loss(World *w, InterpCall *call, Value *loss, Value *const *wrt, int n, const char *what) {
    GradcheckInput *report = arena_array(&w->arena, GradcheckInput, n);
    int checked = 0;
    if (!gradcheck(call, loss, wrt, n, gradcheck_defaults(), &w->scratch, report))
        fail_msg("%s: %s\n%s", what, call->error ? call->error : "no gradient", world_messages(w));
    for (int i = 0; i < n; i++) {
        const GradcheckInput *r = &report[i];
        checked += r->checked;
        if (r->failed)
            fail_msg("%s: %d of %d differences of input %d disagree; element %d: derived %.12g, differenced %.12g",
                     what, r->failed, r->checked, wrt[i]->index, (int)r->element, r->derived, r->differenced);
    }
    return checked;
}

int check_derivatives(World *w, Builder *b, Value *const *ys, int n, int64_t extent, AdjustInputs *adjust, void *user,
                      const char *what) {
    enum { MOST = 32 };
    Value *xs[MOST], *all[MOST], *grads[MOST];
    int count = float_inputs(b->func, xs);
    Value *first = weighted_sums(b, ys, n);
    int with_weights = float_inputs(b->func, all);
    if (!build_gradients(b, first, xs, count, grads)) fail_msg("%s: %s", what, world_messages(w));
    Value *second = weighted_sums(b, grads, count);
    InterpCall call = random_call(w, b->func, extent);
    if (adjust) adjust(w, user, b->func, call.inputs);
    int checked = check_loss(w, &call, first, xs, count, arena_printf(&w->arena, "%s, first derivative", what));
    return checked + check_loss(w, &call, second, all, with_weights,
                                arena_printf(&w->arena, "%s, second derivative", what));
}
