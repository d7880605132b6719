/* Running a sketch: see support.h. */
#include "support.h"

#include "dsl/dsl.h"

#include <stdio.h>
#include <stdlib.h>

const char *sketch_folder = ".";

static const char *read_file(Sketch *s, const char *path, size_t *length) {
    FILE *f = fopen(path, "rb");
    if (!f) fail_msg("cannot open %s", path);
    enum { MOST = 1 << 18 };
    char *text = arena_alloc(&s->arena, MOST);
    *length = fread(text, 1, MOST - 1, f);
    text[*length] = 0;
    fclose(f);
    return text;
}

Sketch *sketch_compile(const char *file) {
    Sketch *s = test_calloc(1, sizeof *s);
    size_t length;
    if (setjmp(s->out_of_memory)) fail_msg("out of memory");
    arena_init(&s->arena, &s->out_of_memory);
    arena_init(&s->scratch, &s->out_of_memory);
    intern_init(&s->names, &s->arena);
    diags_init(&s->diags, &s->arena);
    s->random = 1;
    s->path = arena_printf(&s->arena, "%s/%s", sketch_folder, file);
    s->text = read_file(s, s->path, &length);
    DslOptions options = dsl_default_options();
    s->module = dsl_compile(&s->arena, &s->names, &s->diags, file, s->text, length, &options);
    Text t = text_new(&s->arena);
    diags_render(&s->diags, &t, false);
    if (!s->module) fail_msg("%s", text_get(&t));
    return s;
}

Sketch *sketch_open(const char *file) {
    Sketch *s = sketch_compile(file);
    s->in = interp_open(s->module, &s->arena, &s->scratch, false);
    if (!interp_init(s->in, 1)) fail_msg("%s", s->in->error);
    return s;
}

void sketch_close(Sketch *s) {
    arena_reset(&s->scratch);
    arena_reset(&s->arena);
    test_free(s);
}

/* ----------------------------------------------------------------- tensors */

static double uniform(Sketch *s) {
    s->random = s->random * 6364136223846793005u + 1442695040888963407u;
    return ((double)(s->random >> 40) + 0.5) / (double)(1 << 24);
}

static Tensor *made(Sketch *s, DType t, const int64_t *shape) {
    int rank = 0;
    while (shape[rank] >= 0) rank++;
    return tensor_new(&s->arena, t, rank, shape);
}

Tensor *sketch_normal(Sketch *s, const int64_t *shape) {
    Tensor *t = made(s, DTYPE_F32, shape);
    for (int64_t i = 0; i < t->count; i++) {
        double u = uniform(s), v = uniform(s);
        t->at[i].f = (float)(sqrt(-2 * log(u)) * cos(6.283185307179586 * v));
    }
    return t;
}

Tensor *sketch_ints(Sketch *s, int64_t below, const int64_t *shape) {
    Tensor *t = made(s, DTYPE_I32, shape);
    for (int64_t i = 0; i < t->count; i++) t->at[i].i = (int64_t)(uniform(s) * (double)below);
    return t;
}

Tensor *sketch_bools(Sketch *s, const int64_t *shape) {
    Tensor *t = made(s, DTYPE_BOOL, shape);
    for (int64_t i = 0; i < t->count; i++) t->at[i].i = uniform(s) < 0.5;
    return t;
}

Tensor *sketch_float(Sketch *s, double x) {
    Tensor *t = tensor_new(&s->arena, DTYPE_F32, 0, NULL);
    t->at->f = x;
    return t;
}

Tensor *sketch_int(Sketch *s, DType type, int64_t x) {
    Tensor *t = tensor_new(&s->arena, type, 0, NULL);
    t->at->i = x;
    return t;
}

Tensor *sketch_copy(Sketch *s, const Tensor *t) {
    Tensor *to = tensor_new(&s->arena, t->dtype, t->rank, t->shape);
    memcpy(to->at, t->at, sizeof *t->at * (size_t)t->count);
    return to;
}

/* ------------------------------------------------------------------- calls */

static Func *find(Sketch *s, const char *name) {
    for (int i = 0; i < s->module->funcs.n; i++)
        if (!strcmp(s->module->funcs.at[i]->name, name)) return s->module->funcs.at[i];
    fail_msg("%s has no function %s", s->path, name);
    return NULL;
}

Tensor *sketch_call_dims(Sketch *s, const char *func, const int64_t *dims, Tensor *const *args) {
    if (!interp_run(s->in, find(s, func), dims, args, s->results)) fail_msg("%s: %s", func, s->in->error);
    return s->results[0];
}

Tensor *sketch_call(Sketch *s, const char *func, Tensor *const *args) { return sketch_call_dims(s, func, NULL, args); }

void sketch_refused(Sketch *s, const char *func, Tensor *const *args, const char *what) {
    if (interp_run(s->in, find(s, func), NULL, args, s->results)) fail_msg("%s was not refused", func);
    if (!strstr(s->in->error, what)) fail_msg("%s was refused with: %s", func, s->in->error);
}

const Tensor *sketch_var(Sketch *s, const char *name) {
    const Var *v = module_find_var(s->module, intern(&s->names, name));
    if (!v) fail_msg("%s has no variable %s", s->path, name);
    return s->in->vars[v->id];
}

/* ----------------------------------------------------------------- asserts */

static double number(const Tensor *t, int64_t i) { return dtype_is_float(t->dtype) ? t->at[i].f : (double)t->at[i].i; }

double sketch_scalar(const Tensor *t) {
    assert_int_equal(t->count, 1);
    return number(t, 0);
}

void sketch_near(const char *what, double a, double b, double tolerance) {
    if (!(fabs(a - b) <= tolerance * (1 + fabs(b)))) fail_msg("%s is %.9g, not %.9g", what, a, b);
}

void sketch_equal(const char *what, const Tensor *a, const Tensor *b, double tolerance) {
    if (a->count != b->count)
        fail_msg("%s has %lld elements, not %lld", what, (long long)a->count, (long long)b->count);
    for (int64_t i = 0; i < a->count; i++) sketch_near(what, number(a, i), number(b, i), tolerance);
}

void sketch_learns(Sketch *s, const char *func, Tensor *const *args, int steps, double part) {
    double first = sketch_scalar(sketch_call(s, func, args)), last = first;
    for (int i = 1; i < steps; i++) last = sketch_scalar(sketch_call(s, func, args));
    if (!(last <= part * first)) fail_msg("%s: the loss went from %g to %g in %d steps", func, first, last, steps);
}
