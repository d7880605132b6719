/* Random graphs: matrices, rows, columns and scalars combined by every sort of operator, results and variables'
 * updates taken at random, with loops, choices and convolutions of dims in any order; native code against the reference
 * within what rounding explains (bound.h).
 * RANDOM_SEED and RANDOM_COUNT in the environment say which and how many; a failure names its seed. */
#include "native.h"

#include "ir/print.h"
#include "ops/build.h"

#include <stdio.h>
#include <stdlib.h>

#include <setjmp.h>
#include <cmocka.h>

enum { MOST_VALUES = 64 };

typedef struct Maker {
    Builder b;
    uint64_t random;
    Dim extents[4];            /* B and constants: what dims are made of */
    Value *at[MOST_VALUES];    /* f32 values so far */
    int n;
} Maker;

static int below(Maker *m, int n) { return (int)(native_random(&m->random) * n); }

static Value *any(Maker *m) { return m->at[below(m, m->n)]; }

static void keep(Maker *m, Value *v) {
    if (v && m->n < MOST_VALUES) m->at[m->n++] = v;
}

/* Keeps numbers tame, so that errors stay comparable: x / (1 + |x|). */
static Value *tame(Maker *m, Value *x) {
    if (!x) return NULL;
    Value *one = build_constant_like(&m->b, x, 1);
    return build_map2(&m->b, MAP_divide, x, build_map2(&m->b, MAP_add, one, build_map1(&m->b, MAP_abs, x)));
}

static Value *unary(Maker *m) {
    static const MapFn functions[] = {MAP_negate, MAP_abs, MAP_exp, MAP_tanh, MAP_logistic, MAP_sin, MAP_erf};
    Value *x = any(m);
    if (x->type.rank == 2 && below(m, 4) == 0) return build_transpose(&m->b, x, (int64_t[]){1, 0});
    return build_map1(&m->b, functions[below(m, 7)], tame(m, x));
}

static Value *binary(Maker *m) {
    static const MapFn functions[] = {MAP_add, MAP_subtract, MAP_multiply, MAP_maximum, MAP_minimum};
    Value *x = any(m), *y = any(m);
    for (int tries = 0; tries < 8; tries++) {
        bool fits = x->type.rank == y->type.rank;
        int small = x->type.rank < y->type.rank ? x->type.rank : y->type.rank;
        fits = true;
        for (int i = 1; i <= small; i++) fits &= x->type.shape[x->type.rank - i] == y->type.shape[y->type.rank - i];
        if (fits) break;
        y = any(m);
        if (tries == 7) y = x;
    }
    if (!build_broadcast_pair(&m->b, &x, &y)) return NULL;
    if (below(m, 5) == 0) return build_map3(&m->b, MAP_select, build_map2(&m->b, MAP_less, x, y), y, tame(m, x));
    return build_map2(&m->b, functions[below(m, 5)], x, y);
}

static Value *reduction(Maker *m) {
    static const OpInfo *const kinds[] = {&OP_reduce_sum, &OP_reduce_max, &OP_reduce_min};
    Value *x = tame(m, any(m));
    if (x->type.rank == 0) return x;
    int64_t axes[2] = {below(m, x->type.rank), 1};
    int n = 1;
    if (x->type.rank == 2 && below(m, 4) == 0) axes[0] = 0, n = 2;
    Value *r = build_reduce(&m->b, kinds[below(m, 3)], x, axes, n);
    if (n == 2 || below(m, 2)) return r;
    int64_t place[2] = {0, 1};
    if (x->type.rank == 1) return build_broadcast_in_dim(&m->b, r, 1, x->type.shape, place);
    place[0] = 1 - axes[0];
    return build_broadcast_in_dim(&m->b, r, 2, x->type.shape, place);
}

static Value *matmul(Maker *m) {
    for (int tries = 0; tries < 12; tries++) {
        Value *x = any(m), *y = any(m);
        if (x->type.rank != 2 || y->type.rank != 2) continue;
        for (int way = 0; way < 4; way++) {
            int64_t i = way & 1, j = way >> 1;
            if (x->type.shape[i] == y->type.shape[j])
                return build_dot_general(&m->b, tame(m, x), tame(m, y), NULL, NULL, 0, &i, &j, 1);
        }
    }
    return NULL;
}

static Value *movement(Maker *m) {
    Value *x = any(m);
    if (x->type.rank != 2) return NULL;
    Dim rows = x->type.shape[0], columns = x->type.shape[1], zero = dim_const(&m->b.module->dims, 0);
    Dim one = dim_const(&m->b.module->dims, 1);
    Dim start[2] = {zero, zero}, limit[2] = {rows, columns};
    switch (below(m, 5)) {
    case 0: return build_reverse(&m->b, x, (int64_t[]){below(m, 2)}, 1);
    case 1: {
        Value *parts[2] = {x, tame(m, x)};
        return build_slice(&m->b, build_concatenate(&m->b, parts, 2, 1), start, limit, (int64_t[]){1, 1});
    }
    case 2: {
        Dim low[2] = {zero, one}, high[2] = {zero, zero};
        Value *p = build_pad(&m->b, x, build_constant(&m->b, type_scalar(DTYPE_F32), 0.25), low, high, (int64_t[]){0, 0});
        return build_slice(&m->b, p, start, limit, (int64_t[]){1, 1});
    }
    case 3: {
        Dim flat[1] = {dim_mul(&m->b.module->dims, rows, columns)};
        Value *y = build_map1(&m->b, MAP_tanh, build_reshape(&m->b, x, 1, flat));
        return build_reshape(&m->b, y, 2, x->type.shape);
    }
    default: {
        Value *index = build_reduce(&m->b, &OP_argmax, x, (int64_t[]){1}, 1);
        return build_gather(&m->b, x, index, 1, 1, "index");
    }
    }
}

static Value *running(Maker *m) {
    static const OpInfo *const kinds[] = {&OP_cumulative_sum, &OP_cumulative_prod, &OP_cumulative_max, &OP_cumulative_min};
    Value *x = tame(m, any(m));
    if (!x->type.rank) return NULL;
    int axis = below(m, x->type.rank);
    bool reverse = below(m, 2);
    if (below(m, 2)) return build_cumulative(&m->b, kinds[below(m, 4)], x, axis, reverse);
    return build_linear_recurrence(&m->b, build_map1(&m->b, MAP_logistic, x), below(m, 2) ? x : tame(m, x), axis, reverse);
}

/* Rows of x put, added or compared where the rows' greatest elements are; the columns where those of the sum is. */
static Value *indexed(Maker *m) {
    static const OpInfo *const kinds[] = {&OP_scatter_add, &OP_scatter_set, &OP_scatter_max, &OP_scatter_min};
    Builder *b = &m->b;
    Value *x = any(m);
    if (x->type.rank != 2) return NULL;
    const OpInfo *kind = kinds[below(m, 4)];
    Value *at = build_reduce(b, &OP_argmax, x, (int64_t[]){1}, 1), *row = build_reduce(b, &OP_reduce_sum, tame(m, x), (int64_t[]){1}, 1);
    Value *mask = below(m, 2) ? build_map2(b, MAP_less, row, build_map1(b, MAP_sin, row)) : NULL;
    Value *column = build_reduce(b, &OP_reduce_sum, tame(m, x), (int64_t[]){0}, 1);
    Value *start = build_reduce(b, &OP_argmax, column, (int64_t[]){0}, 1);
    Dim one = dim_const(&b->module->dims, 1), square[2] = {x->type.shape[0], x->type.shape[0]};
    Value *box = build_dynamic_slice(b, x, &start, (int64_t[]){1}, &one, 1, "start");
    switch (below(m, 5)) {
    case 0: return build_reshape(b, box, 1, x->type.shape);
    case 1: return build_dynamic_update_slice(b, x, build_map1(b, MAP_tanh, box), &start, (int64_t[]){1}, 1, "start");
    case 2: return build_scatter(b, kind, x, at, row, mask, 1, 1, "at");
    case 3: {
        Value *turned = build_transpose(b, x, (int64_t[]){1, 0});
        Value *wide = build_broadcast_in_dim(b, build_map1(b, MAP_tanh, row), 2, square, (int64_t[]){0});
        return build_scatter(b, kind, turned, at, wide, mask, 0, 0, "at");
    }
    default: return build_gather_where(b, build_transpose(b, x, (int64_t[]){1, 0}), at, mask, 0, 0, "at");
    }
}

/* An order of three dims taken at random: place[i] is where dim i of N, features, spatial stands. */
static void shuffle(Maker *m, int64_t *place) {
    for (int i = 0; i < 3; i++) place[i] = i;
    for (int i = 2; i > 0; i--) {
        int j = below(m, i + 1);
        int64_t held = place[i];
        place[i] = place[j], place[j] = held;
    }
}

static bool is_constant_matrix(const Value *v) {
    return v->type.rank == 2 && dim_is_const(v->type.shape[0]) && dim_is_const(v->type.shape[1]);
}

/* The matrix as three dims: rows at `row`, columns at `column`, one of size 1 between, before or behind. */
static Value *spread(Maker *m, Value *x, int64_t row, int64_t column) {
    Dim shape[3] = {NULL};
    shape[3 - row - column] = dim_const(&m->b.module->dims, 1);
    shape[row] = x->type.shape[0], shape[column] = x->type.shape[1];
    return build_reshape(&m->b, row < column ? x : build_transpose(&m->b, x, (int64_t[]){1, 0}), 3, shape);
}

/* The rows of one matrix convolved with those of another of constant size, dims in any order, and summed over one. */
static Value *convolution(Maker *m) {
    DimTable *dims = &m->b.module->dims;
    Value *x = any(m), *w = any(m);
    for (int i = 0; i < 16 && !is_constant_matrix(w); i++) w = any(m);
    if (x->type.rank != 2 || !is_constant_matrix(w)) return NULL;
    Convolution c = {.spatial = 1, .strides = {1 + below(m, 2)}, .input_dilation = {1 + below(m, 2)},
                     .kernel_dilation = {1 + below(m, 2)}, .feature_groups = 1, .batch_groups = 1};
    int64_t wide = dim_value(w->type.shape[1]), reach = (wide - 1) * c.kernel_dilation[0];
    c.low[0] = dim_const(dims, below(m, (int)reach + 1)), c.high[0] = dim_const(dims, reach);
    shuffle(m, c.input), shuffle(m, c.kernel), shuffle(m, c.output);
    Value *input = spread(m, tame(m, x), c.input[0], c.input[2]);
    Value *r = build_convolution(&m->b, input, spread(m, tame(m, w), c.kernel[1], c.kernel[2]), &c);
    return r ? build_reduce(&m->b, &OP_reduce_sum, r, &c.output[1 + below(m, 2)], 1) : NULL;
}

/* A recurrence over rows or columns, either way, stacked along either axis; a choice within. */
static Value *loop(Maker *m) {
    Builder *b = &m->b;
    Value *x = tame(m, any(m)), *final, *stack;
    if (x->type.rank != 2) return NULL;
    int64_t axis = below(m, 2), out = below(m, 2);
    Value *h0 = build_reduce(b, &OP_reduce_max, x, &axis, 1), *zero = build_constant(b, type_scalar(DTYPE_I64), 1);
    Builder body = build_body(b);
    Value *h = build_body_param(&body, h0->type, "h"), *xt = build_slice_param(&body, x, axis, "xt");
    Value *index = build_body_param(&body, type_scalar(DTYPE_I64), "t");
    Builder one = build_body(&body), other = build_body(&body);
    Value *sum = build_map1(&one, MAP_tanh, build_map2(&one, MAP_add, h, xt));
    Value *product = build_map1(&other, MAP_sin, build_map2(&other, MAP_add, build_map2(&other, MAP_multiply, h, xt), xt));
    Value *next;
    if (!build_cond(&body, build_map2(&body, MAP_less, zero, index), &one, &sum, &other, &product, 1, &next)) return NULL;
    Value *y = build_map2(&body, MAP_multiply, next, xt);
    ScanParts parts = {.body = &body, .carries = 1, .inits = &h0, .params = &h, .nexts = &next, .xs_count = 1, .xs = &x,
                       .slices = &xt, .axes = &axis, .ys_count = 1, .ys = &y, .result_axes = &out, .index = index,
                       .length = x->type.shape[axis], .reverse = below(m, 2)};
    if (!build_scan(b, &parts, &final, &stack)) return NULL;
    return below(m, 3) ? stack : final;
}

/* What sorting and windows give that moves little where the operand does. */
static Value *arranged(Maker *m) {
    Value *x = any(m);
    if (x->type.rank != 2) return NULL;
    int64_t axis = below(m, 2), stride = 1 + below(m, 2), dilation = 1 + below(m, 2), last = 2;
    if (below(m, 2)) return build_sort(&m->b, x, NULL, 0, (int)axis, below(m, 2));
    Dim size = dim_const(&m->b.module->dims, 2);
    if (x->type.shape[axis]->lower < 3) return NULL;
    Value *w = build_windows(&m->b, x, &axis, &size, &stride, &dilation, 1);
    return w ? build_reduce(&m->b, below(m, 2) ? &OP_reduce_max : &OP_reduce_sum, w, &last, 1) : NULL;
}

static void add_inputs(Maker *m, Func *f) {
    Module *module = m->b.module;
    for (int i = 0; i < 3; i++) {
        /* The first fixes B. */
        Dim shape[2] = {m->extents[i ? below(m, 4) : 0], m->extents[below(m, 4)]};
        Port port = {.kind = PORT_ARG, .name = arena_printf(module->arena, "a%d", i)};
        keep(m, func_add_input(f, port, type_make(module, DTYPE_F32, i ? 2 - below(m, 2) : 2, shape)));
    }
    for (int i = 0; i < 2; i++) {
        Dim shape[2] = {m->extents[1 + below(m, 3)], m->extents[1 + below(m, 3)]};
        Var *v = module_add_var(module, VAR_PARAM, arena_printf(module->arena, "w%d", i), type_make(module, DTYPE_F32, 2, shape));
        keep(m, func_var(f, v));
    }
}

/* Some values become results, and where a type fits, new versions of the variables. */
static void add_results(Maker *m, Func *f) {
    Module *module = m->b.module;
    for (int i = 0; i < 3; i++) {
        Result r = {.name = arena_printf(module->arena, "r%d", i)};
        func_add_result(f, r, m->at[m->n - 1 - below(m, m->n / 2)]);
    }
    for (int i = 0; i < module->vars.n; i++)
        for (int j = m->n - 1; j >= 0 && below(m, 4); j--) {
            if (!type_equal(m->at[j]->type, module->vars.at[i]->type)) continue;
            func_add_result(f, (Result){.var = module->vars.at[i]}, m->at[j]);
            break;
        }
}

/* The derivatives of the sum of some value, as further values to go on with. */
static void add_gradients(Maker *m, Func *f) {
    Value *x = tame(m, any(m)), *vars[2], *gradients[2];
    int64_t axes[2] = {0, 1};
    Value *loss = x->type.rank ? build_reduce(&m->b, &OP_reduce_sum, x, axes, x->type.rank) : x;
    for (int i = 0; i < 2; i++) vars[i] = func_var(f, m->b.module->vars.at[i]);
    assert_true(build_gradients(&m->b, loss, vars, 2, gradients));
    for (int i = 0; i < 2; i++) keep(m, tame(m, gradients[i]));
}

static const char *make_text(Arena *arena, uint64_t seed) {
    Interner *names = arena_new(arena, Interner);
    Diags *diags = arena_new(arena, Diags);
    intern_init(names, arena);
    diags_init(diags, arena);
    Module *module = module_new(arena, names, diags, "random");
    Func *f = module_add_func(module, "f");
    Maker m = {.b = {.module = module, .func = f, .region = f->body}, .random = seed};
    m.extents[0] = dim_symbol(&module->dims, intern(names, "B"), 1, 40);
    vec_push(arena, &f->dims, dim_find(&module->dims, intern(names, "B")));
    for (int i = 1; i < 4; i++) m.extents[i] = dim_const(&module->dims, (int64_t[]){1 + below(&m, 4), 5 + below(&m, 20), 16}[i - 1]);
    add_inputs(&m, f);
    static Value *(*const makers[])(Maker *) = {unary,  binary,   binary,  reduction, reduction,
                                                matmul, movement, running, indexed, convolution, loop, arranged};
    int ops = 6 + below(&m, 18);
    for (int i = 0; i < ops; i++) keep(&m, makers[below(&m, 12)](&m));
    if (below(&m, 2)) add_gradients(&m, f);
    add_results(&m, f);
    Text text = text_new(arena);
    module_print(module, &text);
    return text_get(&text);
}

static uint64_t setting(const char *name, uint64_t otherwise) {
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 10) : otherwise;
}

static void check_seed(uint64_t seed) {
    Arena arena;
    jmp_buf out;
    if (setjmp(out)) fail();
    arena_init(&arena, &out);
    const char *text = make_text(&arena, seed);
    print_message("seed %llu\n", (unsigned long long)seed);
    if (getenv("RANDOM_SHOW")) print_message("%s\n", text);
    NativeOptions options = {.cpu = seed % 4 ? NULL : "x86-64-v3", .threads = 1 + 2 * (int)(seed % 2), .divide = seed % 8 == 1,
                             .sampled = true};
    Native *n = native_open_with(text, &options);
    static const int64_t dims[] = {1, 17, 40};
    for (int i = 0; i < 3; i++) native_check(n, "f", &dims[i], 0);
    native_close(n);
    arena_reset(&arena);
}

static void random_graphs(void **state) {
    (void)state;
    uint64_t first = setting("RANDOM_SEED", 1), count = setting("RANDOM_COUNT", 60);
    for (uint64_t seed = first; seed < first + count; seed++) check_seed(seed);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(random_graphs)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
