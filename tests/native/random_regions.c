/* Random loops and branches, nested: what they read, carry, stack and yield taken at random, variables updated by what
 * comes out; native code against the reference. What matters is where things lie - carries written over, swapped,
 * copied; branches that exchange; chains of updates in place - so the operations are few and tame. Branches and loops
 * go by integers, which both sides compute alike.
 * RANDOM_SEED and RANDOM_COUNT in the environment say which and how many; a failure names its seed. */
#include "native.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <cmocka.h>

/* Types of the values that the graphs are made of. */
typedef enum Sort { ROWS, SQUARE, ROW, COLUMN, SCALAR, COUNT, FLAG, SORTS } Sort;
static const char *const types[] = {"f32[3,4]", "f32[4,4]", "f32[4]", "f32[3]", "f32", "i64", "bool"};
static const char *const shapes[] = {"[3,4]", "[4,4]", "[4]", "[3]", "[]", "[]", "[]"};

enum { MOST = 48, DEEPEST = 3 };

typedef struct Scope {
    int names[MOST];
    Sort sorts[MOST];
    int n;
} Scope;

typedef struct Maker {
    Text text;
    uint64_t random;
    int next, depth, budget;
} Maker;

static int below(Maker *m, int n) { return (int)(native_random(&m->random) * n); }

static int define(Maker *m, Scope *s, Sort sort) {
    int name = m->next++;
    if (s->n == MOST) s->n--;
    s->names[s->n] = name;
    s->sorts[s->n++] = sort;
    return name;
}

/* A value of that sort in the scope; one is made if there is none. */
static int some(Maker *m, Scope *s, Sort sort) {
    int found[MOST], n = 0;
    for (int i = 0; i < s->n; i++)
        if (s->sorts[i] == sort) found[n++] = s->names[i];
    if (n) return found[below(m, n)];
    int name = define(m, s, sort);
    const char *type = types[sort];
    text_add(&m->text, "%%v%d = constant {dtype = %.*s, shape = %s, value = %d.0} : %s\n", name, (int)strcspn(type, "["), type,
             shapes[sort], below(m, 2), type);
    return name;
}

/* ------------------------------------------------------------------------- plain operations */

/* tanh keeps sums small. */
static void add_map(Maker *m, Scope *s) {
    static const char *const names[] = {"add", "subtract", "multiply", "maximum"};
    Sort sort = (Sort)below(m, COUNT);
    int x = some(m, s, sort), y = some(m, s, sort), sum = m->next++;
    text_add(&m->text, "%%v%d = %s %%v%d, %%v%d : %s\n", sum, names[below(m, 4)], x, y, types[sort]);
    text_add(&m->text, "%%v%d = tanh %%v%d : %s\n", m->next, sum, types[sort]);
    define(m, s, sort);
}

static void add_reverse(Maker *m, Scope *s) {
    Sort sort = (Sort)below(m, SCALAR);
    int x = some(m, s, sort);
    text_add(&m->text, "%%v%d = reverse %%v%d {axes = [%d]} : %s\n", m->next, x, sort <= SQUARE ? below(m, 2) : 0, types[sort]);
    define(m, s, sort);
}

/* The rows' elements in another order, by way of two shapes. */
static void add_relabelling(Maker *m, Scope *s) {
    int x = some(m, s, ROWS), a = m->next++, b = m->next++;
    text_add(&m->text, "%%v%d = reshape %%v%d {shape = [2,6]} : f32[2,6]\n", a, x);
    text_add(&m->text, "%%v%d = reverse %%v%d {axes = [1]} : f32[2,6]\n", b, a);
    text_add(&m->text, "%%v%d = reshape %%v%d {shape = [3,4]} : f32[3,4]\n", m->next, b);
    define(m, s, ROWS);
}

static void add_reduction(Maker *m, Scope *s) {
    int x = some(m, s, ROWS), y = some(m, s, ROW);
    if (below(m, 2)) {
        text_add(&m->text, "%%v%d = reduce_sum %%v%d {axes = [0]} : f32[4]\n", m->next, x);
        define(m, s, ROW);
    } else if (below(m, 2)) {
        text_add(&m->text, "%%v%d = reduce_max %%v%d {axes = [1]} : f32[3]\n", m->next, x);
        define(m, s, COLUMN);
    } else {
        text_add(&m->text, "%%v%d = broadcast_in_dim %%v%d {shape = [3,4], axes = [1]} : f32[3,4]\n", m->next, y);
        define(m, s, ROWS);
    }
}

static void add_contraction(Maker *m, Scope *s) {
    Sort sort = below(m, 2) ? ROWS : ROW;
    int x = some(m, s, sort), y = some(m, s, SQUARE), product = m->next++;
    text_add(&m->text, "%%v%d = dot_general %%v%d, %%v%d {lhs_batch = [], rhs_batch = [], lhs_contract = [%d], rhs_contract = [%d]} : %s\n",
             product, x, y, sort == ROWS, below(m, 2), types[sort]);
    text_add(&m->text, "%%v%d = tanh %%v%d : %s\n", m->next, product, types[sort]);
    define(m, s, sort);
}

/* A count modulo 3. */
static int add_index(Maker *m, Scope *s) {
    int x = some(m, s, COUNT), three = m->next++, index = m->next++;
    text_add(&m->text, "%%v%d = constant {dtype = i64, shape = [], value = 3.0} : i64\n", three);
    text_add(&m->text, "%%v%d = remainder %%v%d, %%v%d : i64\n", index, x, three);
    return index;
}

static void add_update(Maker *m, Scope *s) {
    int x = some(m, s, ROWS), row = some(m, s, ROW), index = add_index(m, s);
    if (below(m, 3) == 0) {
        text_add(&m->text, "%%v%d = gather %%v%d, %%v%d {axis = 0, batch = 0} : f32[4]\n", m->next, x, index);
        define(m, s, ROW);
        return;
    }
    text_add(&m->text, "%%v%d = %s %%v%d, %%v%d, %%v%d {axis = 0, batch = 0} : f32[3,4]\n", m->next,
             below(m, 2) ? "scatter_set" : "scatter_max", x, index, row);
    define(m, s, ROWS);
}

static void add_count(Maker *m, Scope *s) {
    int x = some(m, s, COUNT), y = some(m, s, COUNT), seven = m->next++, sum = m->next++;
    text_add(&m->text, "%%v%d = constant {dtype = i64, shape = [], value = 7.0} : i64\n", seven);
    text_add(&m->text, "%%v%d = add %%v%d, %%v%d : i64\n", sum, x, y);
    text_add(&m->text, "%%v%d = remainder %%v%d, %%v%d : i64\n", m->next, sum, seven);
    int count = define(m, s, COUNT);
    text_add(&m->text, "%%v%d = less %%v%d, %%v%d : bool\n", m->next, y, count);
    define(m, s, FLAG);
}

/* --------------------------------------------------------------------- loops and branches */

typedef struct List {
    int values[16];
    Sort sorts[16];
    int n;
} List;

static void add_to(List *l, int value, Sort sort) {
    l->values[l->n] = value;
    l->sorts[l->n++] = sort;
}

/* Some values of the scope, the same one perhaps twice. */
static void pick(Maker *m, Scope *s, List *to, int most) {
    for (int i = below(m, most + 1); i > 0; i--) {
        Sort sort = (Sort)below(m, SORTS);
        add_to(to, some(m, s, sort), sort);
    }
}

static void put_values(Maker *m, const List *l) {
    for (int i = 0; i < l->n; i++) text_add(&m->text, "%s%%v%d", i ? ", " : "", l->values[i]);
}

static void put_types(Maker *m, const List *l) {
    for (int i = 0; i < l->n; i++) text_add(&m->text, "%s%s", i ? ", " : "", types[l->sorts[i]]);
}

/* Parameters of these sorts, the beginning of a new scope. */
static Scope open_body(Maker *m, const List *params) {
    Scope s = {.n = 0};
    text_add(&m->text, " (");
    for (int i = 0; i < params->n; i++)
        text_add(&m->text, "%s%%v%d: %s", i ? ", " : "", define(m, &s, params->sorts[i]), types[params->sorts[i]]);
    text_add(&m->text, ") {\n");
    m->depth++;
    return s;
}

static void close_body(Maker *m, const List *yields) {
    text_add(&m->text, "yield ");
    put_values(m, yields);
    text_add(&m->text, "\n}");
    m->depth--;
}

static void add_ops(Maker *m, Scope *s, int count);

/* A body that yields values of these sorts. */
static void add_body(Maker *m, const List *params, const List *results) {
    Scope s = open_body(m, params);
    List yields = {.n = 0};
    add_ops(m, &s, 2 + below(m, 8));
    for (int i = 0; i < results->n; i++) add_to(&yields, some(m, &s, results->sorts[i]), results->sorts[i]);
    close_body(m, &yields);
}

/* Names for results in front of an operation whose text begins at `begin`; they enter the scope behind it. */
static void name_results(Maker *m, const List *results, int first) {
    for (int i = 0; i < results->n; i++) text_add(&m->text, "%s%%v%d", i ? ", " : "", first + i);
    text_add(&m->text, " = ");
}

static void keep_results(Scope *s, const List *results, int first) {
    for (int i = 0; i < results->n && s->n < MOST; i++) {
        s->names[s->n] = first + i;
        s->sorts[s->n++] = results->sorts[i];
    }
}

/* How a tensor is taken apart or put together along its axes. */
typedef struct Part {
    Sort whole, part;
    int axis, length;
} Part;
static const Part parts[] = {{ROWS, ROW, 0, 3}, {ROWS, COLUMN, 1, 4}, {SQUARE, ROW, 0, 4}, {SQUARE, ROW, 1, 4},
                             {ROW, SCALAR, 0, 4}, {COLUMN, SCALAR, 0, 3}};

static const Part *some_part(Maker *m, int length) {
    const Part *p;
    do p = &parts[below(m, 6)];
    while (p->length != length);
    return p;
}

static void add_scan(Maker *m, Scope *s) {
    List operands = {.n = 0}, params, results = {.n = 0};
    int length = 3 + below(m, 2), axes[4], result_axes[4], xs = below(m, 3), ys = below(m, 3);
    pick(m, s, &operands, 3);
    int consts = operands.n;
    pick(m, s, &operands, 4);
    int carries = operands.n - consts;
    if (!carries && !ys) ys = 1;
    params = operands;
    for (int i = consts; i < operands.n; i++) add_to(&results, -1, operands.sorts[i]);
    List yields = results;
    for (int i = 0; i < xs; i++) {
        const Part *p = some_part(m, length);
        axes[i] = p->axis;
        add_to(&operands, some(m, s, p->whole), p->whole);
        add_to(&params, -1, p->part);
    }
    for (int i = 0; i < ys; i++) {
        const Part *p = some_part(m, length);
        result_axes[i] = p->axis;
        add_to(&results, -1, p->whole);
        add_to(&yields, -1, p->part);
    }
    add_to(&params, -1, COUNT);
    int first = m->next;
    m->next += results.n;
    name_results(m, &results, first);
    text_add(&m->text, "scan ");
    put_values(m, &operands);
    text_add(&m->text, " {consts = %d, carries = %d, axes = [", consts, carries);
    for (int i = 0; i < xs; i++) text_add(&m->text, "%s%d", i ? ", " : "", axes[i]);
    text_add(&m->text, "], result_axes = [");
    for (int i = 0; i < ys; i++) text_add(&m->text, "%s%d", i ? ", " : "", result_axes[i]);
    text_add(&m->text, "], length = [%d], reverse = %d} : ", length, below(m, 2));
    put_types(m, &results);
    add_body(m, &params, &yields);
    text_add(&m->text, "\n");
    keep_results(s, &results, first);
}

static void add_cond(Maker *m, Scope *s) {
    List args = {.n = 0}, results = {.n = 0};
    int flag = some(m, s, FLAG);
    pick(m, s, &args, 5);
    for (int i = 1 + below(m, 4); i > 0; i--) {
        bool passed = args.n && below(m, 3);
        add_to(&results, -1, passed ? args.sorts[below(m, args.n)] : (Sort)below(m, SORTS));
    }
    int first = m->next;
    m->next += results.n;
    name_results(m, &results, first);
    text_add(&m->text, "cond %%v%d%s", flag, args.n ? ", " : "");
    put_values(m, &args);
    text_add(&m->text, " : ");
    put_types(m, &results);
    for (int way = 0; way < 2; way++) add_body(m, &args, &results);
    text_add(&m->text, "\n");
    keep_results(s, &results, first);
}

/* The first carry counts down to 0 and is the condition. */
static void add_while(Maker *m, Scope *s) {
    List operands = {.n = 0}, results = {.n = 0}, test = {.n = 0}, yields = {.n = 0};
    pick(m, s, &operands, 2);
    int consts = operands.n;
    add_to(&operands, add_index(m, s), COUNT);
    pick(m, s, &operands, 3);
    for (int i = consts; i < operands.n; i++) add_to(&results, -1, operands.sorts[i]);
    int first = m->next;
    m->next += results.n;
    name_results(m, &results, first);
    text_add(&m->text, "while ");
    put_values(m, &operands);
    text_add(&m->text, " {consts = %d%s} : ", consts, below(m, 2) ? ", limit = 5" : "");
    put_types(m, &results);
    Scope condition = open_body(m, &operands);
    int zero = m->next++;
    text_add(&m->text, "%%v%d = constant {dtype = i64, shape = [], value = 0.0} : i64\n", zero);
    text_add(&m->text, "%%v%d = less %%v%d, %%v%d : bool\n", m->next, zero, condition.names[consts]);
    add_to(&test, m->next++, FLAG);
    close_body(m, &test);
    Scope body = open_body(m, &operands);
    int count = body.names[consts], one = m->next++;
    add_ops(m, &body, 1 + below(m, 4));
    text_add(&m->text, "%%v%d = constant {dtype = i64, shape = [], value = 1.0} : i64\n", one);
    text_add(&m->text, "%%v%d = subtract %%v%d, %%v%d : i64\n", m->next, count, one);
    add_to(&yields, m->next++, COUNT);
    for (int i = 1; i < results.n; i++) add_to(&yields, some(m, &body, results.sorts[i]), results.sorts[i]);
    close_body(m, &yields);
    text_add(&m->text, "\n");
    keep_results(s, &results, first);
}

static void add_ops(Maker *m, Scope *s, int count) {
    static void (*const plain[])(Maker *, Scope *) = {add_map, add_map, add_reverse, add_relabelling, add_reduction,
                                                      add_contraction, add_update, add_update, add_count};
    static void (*const bodies[])(Maker *, Scope *) = {add_scan, add_scan, add_cond, add_while};
    for (int i = 0; i < count && s->n < MOST - 8; i++) {
        bool deeper = m->depth < DEEPEST && m->budget > 0 && below(m, 3) == 0;
        if (deeper) m->budget--;
        if (deeper) bodies[below(m, 4)](m, s);
        else plain[below(m, 9)](m, s);
    }
}

/* ------------------------------------------------------------------------------- the test */

static const char *make_text(Arena *arena, uint64_t seed) {
    static const Sort inputs[] = {ROWS, SQUARE, ROW, COUNT, FLAG, ROWS, ROW, SQUARE};
    Maker m = {.text = text_new(arena), .random = seed, .budget = 8};
    Scope s = {.n = 0};
    text_add(&m.text, "module @random\nparam @a : f32[3,4]\nparam @b : f32[4]\nparam @c : f32[4,4] order [1, 0]\nfunc @f(");
    for (int i = 0; i < 8; i++) {
        int name = define(&m, &s, inputs[i]);
        text_add(&m.text, "%s%%v%d: %s = ", i ? ", " : "", name, types[inputs[i]]);
        if (i < 5) text_add(&m.text, "arg \"x%d\"", i);
        else text_add(&m.text, "var @%c", "abc"[i - 5]);
    }
    text_add(&m.text, ") {\n");
    add_ops(&m, &s, 6 + below(&m, 6));
    List results = {.n = 0}, updates = {.n = 0};
    for (int i = 0; i < 4; i++) {
        int at = below(&m, s.n);
        add_to(&results, s.names[at], s.sorts[at]);
    }
    for (int i = 5; i < 8; i++) add_to(&updates, some(&m, &s, inputs[i]), inputs[i]);
    text_add(&m.text, "return ");
    for (int i = 0; i < 4; i++) text_add(&m.text, "%s%%v%d as \"r%d\"", i ? ", " : "", results.values[i], i);
    for (int i = 0; i < 3; i++) text_add(&m.text, ", %%v%d -> @%c", updates.values[i], "abc"[i]);
    text_add(&m.text, "\n}\n");
    return text_get(&m.text);
}

static void fill(Native *n, void *user, Tensor *const *args, int count) {
    (void)n;
    for (int i = 0; i < count; i++)
        for (int64_t k = 0; k < args[i]->count; k++) {
            double x = native_random(user);
            if (dtype_is_float(args[i]->dtype)) args[i]->at[k].f = (double)(float)(2 * x - 1);
            else args[i]->at[k].i = (int64_t)(x * (args[i]->dtype == DTYPE_BOOL ? 2 : 5));
        }
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
    uint64_t random = seed;
    NativeOptions options = {.cpu = seed % 4 ? NULL : "x86-64-v3", .threads = 2, .divide = true, .fill = fill, .user = &random};
    Native *n = native_open_with(text, &options);
    n->var_low = -1, n->var_high = 1;
    for (int i = 0; i < 4; i++) native_check(n, "f", NULL, 2e-3);
    native_close(n);
    arena_reset(&arena);
}

static void random_regions(void **state) {
    (void)state;
    uint64_t first = setting("RANDOM_SEED", 1), count = setting("RANDOM_COUNT", 60);
    for (uint64_t seed = first; seed < first + count; seed++) check_seed(seed);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(random_regions)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
