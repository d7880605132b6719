/* Random models: sources in the language, made of layers, activations, reductions, movements, cuts, indices and
 * training steps taken at random, all of them valid. Each is compiled and compared with the f64 interpreter run on the
 * graph as no pass has seen it: on 3, 2 and 1 threads bit for bit, and once more in another way - at -O0, at -O3, or
 * with a pass left out.
 *
 * Arguments are distinct and well apart, and only they are sorted, compared or searched for extremes, so that rounding
 * decides nothing. Sizes of values are kept tame, so that errors stay comparable.
 *
 * RANDOM_SEED and RANDOM_COUNT in the environment say which and how many; RANDOM_SHOW prints the sources. A failure
 * names its seed. */
#include "native.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <cmocka.h>

enum { MOST_VALUES = 40, MOST_DIMS = 4, BATCH = -1, BATCH_BOUND = 9 };

/* A value in scope: v<number>. */
typedef struct Known {
    int number, rank;
    int shape[MOST_DIMS];      /* BATCH: the run-time dim B */
    bool argument;             /* its elements are well apart */
} Known;

typedef struct Author {
    Arena *arena;
    Text members, code;        /* of the model; of the function being written */
    uint64_t random;
    Known all[MOST_VALUES];
    int n, next, parts;
} Author;

static int below(Author *a, int n) { return (int)(native_random(&a->random) * n); }
static const char *pick(Author *a, const char *const *from, int n) { return from[below(a, n)]; }
static Known any(Author *a) { return a->all[below(a, a->n)]; }

static const char *size_text(Author *a, int size) { return size == BATCH ? "B" : arena_printf(a->arena, "%d", size); }

static const char *shape_text(Author *a, const Known *k) {
    Text t = text_new(a->arena);
    for (int i = 0; i < k->rank; i++) text_add(&t, "%s%s", i ? ", " : "", size_text(a, k->shape[i]));
    return text_get(&t);
}

/* Begins `let v<n> = ` for a value shaped as `like`, which becomes known. */
static Known *bind(Author *a, const Known *like) {
    Known *k = &a->all[a->n < MOST_VALUES ? a->n++ : below(a, MOST_VALUES)];
    *k = *like;
    k->number = a->next++;
    k->argument = false;
    text_add(&a->code, "        let v%d = ", k->number);
    return k;
}

/* ---------------------------------------------------------------------------- statements */

static void unary(Author *a) {
    static const char *const forms[] = {
        "tanh(v%d)", "sigmoid(v%d)", "gelu(v%d)", "silu(v%d)", "softplus(v%d)", "sin(v%d)", "exp(-abs(v%d))",
        "log1p(abs(v%d))", "v%1$d / (1 + abs(v%1$d))", "sqrt(1 + v%1$d * v%1$d)", "relu(v%d)", "erf(v%d)", "-v%d",
        "atan2(v%1$d, 2 + abs(v%1$d))", "elu(v%d)", "0.5 * cos(v%d)"};
    Known x = any(a);
    bind(a, &x);
    text_add(&a->code, forms[below(a, 16)], x.number);
}

static bool equal_shapes(const Known *x, const Known *y) {
    bool same = x->rank == y->rank;
    for (int i = 0; same && i < x->rank; i++) same = x->shape[i] == y->shape[i];
    return same;
}

static void binary(Author *a) {
    static const char *const forms[] = {"v%d + v%d", "v%d - v%d", "tanh(v%d) * v%d", "v%d / (1 + v%2$d * v%2$d)",
                                        "where(flag, v%d, v%d)"};
    Known x = any(a), y = any(a);
    for (int i = 0; i < 20 && !equal_shapes(&x, &y); i++) y = any(a);
    if (!equal_shapes(&x, &y)) y = x;
    bind(a, &x);
    text_add(&a->code, forms[below(a, 5)], x.number, y.number);
}

static void rowwise(Author *a) {
    static const char *const forms[] = {
        "softmax(v%d, axis = %d)", "log_softmax(v%d, axis = %d) / 8", "v%1$d - mean(v%1$d, axis = %2$d, keep = true)",
        "v%1$d * rsqrt(mean(v%1$d ^ 2, axis = %2$d, keep = true) + 1)", "cumsum(v%d, axis = %d) / 16",
        "reverse(v%d, %d)", "v%1$d + logsumexp(v%1$d, axis = %2$d, keep = true) / 8"};
    Known x = any(a);
    if (!x.rank) return;
    bind(a, &x);
    text_add(&a->code, forms[below(a, 7)], x.number, below(a, x.rank));
}

static void reduction(Author *a) {
    static const char *const forms[] = {"mean(v%d, axis = %d)", "sum(v%d, axis = %d) / 16", "max(v%d, axis = %d)",
                                        "min(v%d, axis = %d)", "norm(v%d, axis = %d) / 8",
                                        "variance(v%d, axis = %d)"};
    Known x = any(a), y;
    if (!x.rank) return;
    int axis = below(a, x.rank), form = below(a, 6);
    if ((form == 2 || form == 3) && !x.argument) form = 0;
    y = x;
    y.rank--;
    for (int i = axis; i < y.rank; i++) y.shape[i] = y.shape[i + 1];
    bind(a, &y);
    text_add(&a->code, forms[form], x.number, axis);
}

static void layer(Author *a) {
    Known x = any(a), y = x;
    if (!x.rank || x.shape[x.rank - 1] == BATCH) return;
    int in = x.shape[x.rank - 1], out = 1 + below(a, 20), part = a->parts++;
    static const char *const norms[] = {"LayerNorm(%d)", "RMSNorm(%d)"};
    if (below(a, 3) == 0) {
        text_add(&a->members, "    let part%d = ", part);
        text_add(&a->members, pick(a, norms, 2), in);
        text_add(&a->members, "\n");
    } else {
        text_add(&a->members, "    let part%d = Linear(%d, %d, bias = %s)\n", part, in, out,
                 below(a, 2) ? "true" : "false");
        y.shape[y.rank - 1] = out;
    }
    bind(a, &y);
    text_add(&a->code, "part%d(v%d)%s", part, x.number, below(a, 2) ? " / 2" : "");
}

static void matmul(Author *a) {
    Known x = any(a), y = any(a), z;
    for (int i = 0; i < 20; i++, x = any(a), y = any(a))
        if (x.rank == 2 && y.rank == 2 && (x.shape[1] == y.shape[0] || x.shape[1] == y.shape[1])) break;
    if (x.rank != 2 || y.rank != 2) return;
    bool turned = x.shape[1] == y.shape[1];
    if (!turned && x.shape[1] != y.shape[0]) return;
    z = x;
    z.shape[1] = turned ? y.shape[0] : y.shape[1];
    bind(a, &z);
    text_add(&a->code, "tanh(v%d) @ tanh(v%d)%s / 4", x.number, y.number, turned ? ".T" : "");
}

static void cut(Author *a) {
    Known x = any(a), y = x;
    if (!x.rank) return;
    int axis = below(a, x.rank), size = x.shape[axis];
    if (size == BATCH || size < 2) return;
    int from = below(a, size - 1), step = 1 + below(a, 2), to = from + 1 + below(a, size - from - 1);
    y.shape[axis] = (to - from + step - 1) / step;
    y.argument = x.argument;
    bind(a, &y)->argument = x.argument;
    text_add(&a->code, "v%d[", x.number);
    for (int i = 0; i < axis; i++) text_add(&a->code, ":, ");
    text_add(&a->code, "%d:%d:%d, ..]", from, to, step);
}

static void grow(Author *a) {
    Known x = any(a), y = x;
    if (!x.rank) return;
    int axis = below(a, x.rank), size = x.shape[axis], low = below(a, 3), high = below(a, 3);
    if (size == BATCH) return;
    if (below(a, 2)) {
        y.shape[axis] = 2 * size;
        bind(a, &y);
        text_add(&a->code, "concat([v%d, sin(v%d)], axis = %d)", x.number, x.number, axis);
        return;
    }
    y.shape[axis] = size + low + high;
    bind(a, &y);
    text_add(&a->code, "pad(v%d, [", x.number);
    for (int side = 0; side < 2; side++) {
        for (int i = 0; i < x.rank; i++)
            text_add(&a->code, "%s%d", i ? ", " : "", i == axis ? (side ? high : low) : 0);
        text_add(&a->code, side ? "], 0.5)" : "], [");
    }
}

static void turn(Author *a) {
    Known x = any(a), y = x;
    if (x.rank < 2) return;
    int i = below(a, x.rank), j = below(a, x.rank), axes[MOST_DIMS];
    for (int k = 0; k < x.rank; k++) axes[k] = k == i ? j : k == j ? i : k;
    for (int k = 0; k < x.rank; k++) y.shape[k] = x.shape[axes[k]];
    bind(a, &y)->argument = x.argument;
    text_add(&a->code, "transpose(v%d, [", x.number);
    for (int k = 0; k < x.rank; k++) text_add(&a->code, "%s%d", k ? ", " : "", axes[k]);
    text_add(&a->code, "])");
}

/* Two dims joined, or one split. */
static void relabel(Author *a) {
    Known x = any(a), y = x;
    int axis = x.rank ? below(a, x.rank) : 0, size = x.rank ? x.shape[axis] : 1;
    if (x.rank < MOST_DIMS && size > 3 && size % 2 == 0 && below(a, 2)) {
        y.rank++;
        for (int i = x.rank; i > axis + 1; i--) y.shape[i] = x.shape[i - 1];
        y.shape[axis] = size / 2;
        y.shape[axis + 1] = 2;
    } else if (axis + 1 < x.rank && size != BATCH && x.shape[axis + 1] != BATCH) {
        y.rank--;
        y.shape[axis] = size * x.shape[axis + 1];
        for (int i = axis + 1; i < y.rank; i++) y.shape[i] = x.shape[i + 1];
    } else {
        return;
    }
    bind(a, &y)->argument = x.argument;
    text_add(&a->code, "reshape(v%d, [%s])", x.number, shape_text(a, &y));
}

static void indexed(Author *a) {
    Known x = any(a), y = x;
    if (!x.rank) return;
    switch (below(a, 3)) {
    case 0:                                        /* rows of a table */
        y = (Known){.rank = 2, .shape = {BATCH, 1 + below(a, 12)}};
        text_add(&a->members, "    param table%d: num[5, %d] = zeros\n", a->parts, y.shape[1]);
        bind(a, &y);
        text_add(&a->code, "table%d[index]", a->parts++);
        return;
    case 1:                                        /* sums by index */
        if (x.shape[0] != BATCH) return;
        y.shape[0] = 5;
        bind(a, &y);
        text_add(&a->code, "segment_sum(v%d, index, 5) / 8", x.number);
        return;
    default:                                       /* where an extreme lies */
        if (!x.argument) return;
        int axis = below(a, x.rank);
        y.rank--;
        for (int i = axis; i < y.rank; i++) y.shape[i] = y.shape[i + 1];
        bind(a, &y);
        text_add(&a->code, "0.125 * f32(arg%s(v%d, axis = %d))", below(a, 2) ? "max" : "min", x.number, axis);
    }
}

/* ------------------------------------------------------------------------------- a model */

static void add_argument(Author *a, Text *params, int rank, int first) {
    Known k = {.number = a->next++, .rank = rank, .argument = true};
    for (int i = 0; i < rank; i++) k.shape[i] = i == 0 ? first : (int[]){1, 2, 3, 4, 6, 8, 17}[below(a, 7)];
    a->all[a->n++] = k;
    text_add(params, "v%d: f32[%s], ", k.number, shape_text(a, &k));
}

static void write_body(Author *a, int statements) {
    static void (*const sorts[])(Author *) = {unary, unary, binary, binary, rowwise, reduction, layer, layer, matmul,
                                              cut, grow, turn, relabel, indexed};
    for (int i = 0; i < statements; i++) {
        int before = a->next;
        sorts[below(a, 14)](a);
        if (a->next > before) text_add(&a->code, "\n");
    }
}

/* The mean of tame functions of several values. */
static const char *loss_text(Author *a) {
    Text t = text_new(a->arena);
    for (int i = 0; i < 3; i++)
        text_add(&t, "%smean(%s(v%d))", i ? " + " : "", (const char *[]){"tanh", "sin", "sigmoid"}[i],
                 a->all[a->n - 1 - below(a, a->n / 2)].number);
    return text_get(&t);
}

static const char *write_model(Arena *arena, uint64_t seed) {
    static const char *const optimizers[] = {"sgd(lr)", "sgd(lr, momentum = 0.9)", "sgd(lr, momentum = 0.5, nesterov = true)",
                                             "adam(lr, eps = 0.5)", "adamw(lr, eps = 0.5)", "rmsprop(lr, eps = 0.5)"};
    Author a = {.arena = arena, .members = text_new(arena), .code = text_new(arena), .random = seed};
    Text params = text_new(arena), results = text_new(arena), types = text_new(arena);
    add_argument(&a, &params, 2, BATCH);
    add_argument(&a, &params, 1 + below(&a, 3), BATCH);
    add_argument(&a, &params, 1 + below(&a, 3), 2 + below(&a, 6));
    write_body(&a, 6 + below(&a, 14));
    for (int i = 0; i < 3; i++) {
        Known k = a.all[a.n - 1 - below(&a, a.n / 2)];
        text_add(&results, "%sv%d", i ? ", " : "", k.number);
        text_add(&types, k.rank ? "%sr%d: f32[%s]" : "%sr%d: f32", i ? ", " : "", i, shape_text(&a, &k));
    }
    const char *loss = loss_text(&a);
    Text t = text_new(arena);
    text_add(&t, "dim B <= %d\n\nmodel M {\n    param scale: num = ones\n%s\n", BATCH_BOUND, text_get(&a.members));
    text_add(&t, "    export fn f(%sindex: i32[B], flag: bool) -> (%s) {\n%s        return %s\n    }\n\n",
             text_get(&params), text_get(&types), text_get(&a.code), text_get(&results));
    text_add(&t, "    export fn train(%sindex: i32[B], flag: bool, lr: f32) -> (loss: f32) {\n%s"
                 "        let loss = scale * (%s)\n        minimize loss with %s\n        return loss\n    }\n}\n",
             text_get(&params), text_get(&a.code), loss, pick(&a, optimizers, 6));
    return text_get(&t);
}

/* ------------------------------------------------------------------------------ the checks */

/* Floats distinct and evenly apart in -2 .. 2, in an order taken at random; a scalar is a rate of learning. */
static void fill(Native *n, void *user, Tensor *const *args, int count) {
    uint64_t *random = user;
    for (int i = 0; i < count; i++) {
        Tensor *t = args[i];
        bool floats = dtype_is_float(t->dtype);
        for (int64_t k = 0; k < t->count; k++) {
            if (!floats) t->at[k].i = (int64_t)(native_random(random) * (t->dtype == DTYPE_BOOL ? 2 : (double)n->int_limit));
            else t->at[k].f = t->rank ? (double)(float)(-2 + 4 * ((double)k + 0.5) / (double)t->count) : 0.0625;
        }
        for (int64_t k = t->count - 1; floats && k > 0; k--) {
            int64_t other = (int64_t)(native_random(random) * (double)(k + 1));
            Number held = t->at[k];
            t->at[k] = t->at[other];
            t->at[other] = held;
        }
    }
}

static void check(const char *text, NativeOptions *options, uint64_t seed) {
    static const int64_t batches[] = {1, BATCH_BOUND, 4};
    uint64_t random = seed;
    options->fill = fill;
    options->user = &random;
    Native *n = native_open_source_with("random.dl", text, options);
    n->var_low = -1, n->var_high = 1;
    for (int i = 0; i < 3; i++) {
        native_check(n, "f", &batches[i], 2e-4);
        native_check(n, "train", &batches[i], 2e-4);
    }
    native_close(n);
}

static uint64_t setting(const char *name, uint64_t otherwise) {
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 10) : otherwise;
}

static void check_seed(uint64_t seed) {
    static const struct { const char *name, *level, *skip, *cpu; } ways[] = {
        {"-O0", "0", NULL, NULL}, {"-O3", "3", NULL, NULL}, {"no simplify", NULL, "simplify", NULL},
        {"no cse", NULL, "cse", NULL}, {"no layout", NULL, "layout", NULL}, {"AVX2", NULL, NULL, "x86-64-v3"}};
    Arena arena;
    jmp_buf out;
    if (setjmp(out)) fail();
    arena_init(&arena, &out);
    const char *text = write_model(&arena, seed);
    int way = (int)(seed % (sizeof ways / sizeof *ways));
    if (getenv("RANDOM_SHOW")) print_message("%s\n", text);
    print_message("seed %llu, 1 to 3 threads\n", (unsigned long long)seed);
    check(text, &(NativeOptions){.threads = 3, .divide = true}, seed);
    print_message("seed %llu, %s\n", (unsigned long long)seed, ways[way].name);
    check(text, &(NativeOptions){.threads = 1, .level = ways[way].level, .skip = ways[way].skip, .cpu = ways[way].cpu}, seed);
    arena_reset(&arena);
}

static void random_models(void **state) {
    (void)state;
    uint64_t first = setting("RANDOM_SEED", 1), count = setting("RANDOM_COUNT", 150);
    for (uint64_t seed = first; seed < first + count; seed++) check_seed(seed);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(random_models)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
