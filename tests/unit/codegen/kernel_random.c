/* Random LOOPS kernels: see kernel_random.h.
 *
 * Values stay within -2 .. 2, so that one tolerance fits all: sums are halved or divided by the number of
 * points, what feeds exp is bounded. What must come out exactly (integers, bools, positions) is computed
 * by exact operations only. */
#include "kernel_random.h"

#include <string.h>

typedef struct Maker {
    uint64_t *state;
    Text *to;
    KernelCase c;
    int64_t extent[CASE_AXES];
    const char *extent_text[CASE_AXES];
    int nodes, reductions;
    Text bufs, body;           /* declarations, statements of the current stage */
    VEC(int) reals, wholes, truths, pure;     /* nodes to draw from; pure: loads of the real type */
    DType real;
    const char *own;           /* an access at which a buffer of the real type may be updated in place */
    int own_buf;
    bool runs;                 /* a reduction runs: no lanes along the inner axis */
} Maker;

uint64_t random_next(uint64_t *state) {
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

int64_t random_below(uint64_t *state, int64_t n) { return (int64_t)(random_next(state) % (uint64_t)n); }

static int64_t below(Maker *m, int64_t n) { return random_below(m->state, n); }
static bool chance(Maker *m, int percent) { return below(m, 100) < percent; }
static Arena *arena(Maker *m) { return m->to->arena; }

/* ------------------------------------------------------------------------------- axes */

static void choose_axes(Maker *m, int number, Text *sizes) {
    static const int64_t extents[] = {0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 47, 63, 64, 65, 100, 129, 300};
    enum { MOST_POINTS = 6000 };
    int64_t points = 1;
    m->c.outer = (int)below(m, 4);
    m->c.axes = m->c.outer + (int)below(m, chance(m, 25) ? 4 : 3);
    for (int a = 0; a < m->c.axes; a++) {
        int kinds = sizeof extents / sizeof *extents;
        int64_t e = extents[chance(m, 4) ? 0 : 1 + below(m, kinds - 1)];
        if (points * e > MOST_POINTS) e = 1 + below(m, 3);
        points *= e ? e : 1;
        m->extent[a] = e;
        if (chance(m, 50)) {
            m->extent_text[a] = arena_printf(arena(m), "%lld", (long long)e);
            continue;
        }
        int64_t lower = chance(m, 40) ? 0 : e;
        int64_t upper = e + (chance(m, 50) ? 0 : below(m, 40));
        m->extent_text[a] = arena_printf(arena(m), "s%d_%d", number, m->c.size_count);
        text_add(sizes, "size %s in %lld..%lld\n", m->extent_text[a], (long long)lower, (long long)upper);
        m->c.sizes[m->c.size_count++] = e;
    }
}

static uint64_t all_axes(const Maker *m) { return ((uint64_t)1 << m->c.axes) - 1; }
static uint64_t outer_axes(const Maker *m) { return ((uint64_t)1 << m->c.outer) - 1; }

/* ---------------------------------------------------------------------------- layouts */

typedef struct Layout {
    const char *text;          /* the sum that addresses an element */
    int64_t count;             /* elements spanned */
    const char *stride[CASE_AXES];
    int64_t stride_value[CASE_AXES];
} Layout;

/* The axes of a set in some order of memory, each walked forwards or backwards, with gaps or without. */
static Layout random_layout(Maker *m, uint64_t set, bool tidy) {
    Layout l = {.count = 1};
    int order[CASE_AXES], n = 0;
    for (int a = 0; a < m->c.axes; a++)
        if (set >> a & 1) order[n++] = a;
    for (int i = n - 1; i > 0 && chance(m, 60); i--) {
        int j = (int)below(m, i + 1), t = order[i];
        order[i] = order[j];
        order[j] = t;
    }
    int64_t step = tidy || chance(m, 85) ? 1 : 2 + below(m, 2), offset = tidy || chance(m, 70) ? 0 : below(m, 9);
    const char *stride = arena_printf(arena(m), "%lld", (long long)step);
    Text t = text_new(arena(m));
    text_add(&t, "%lld", (long long)offset);
    int64_t span = 1;
    for (int i = n - 1; i >= 0; i--) {
        int a = order[i];
        l.stride[a] = stride;
        l.stride_value[a] = step;
        if (!tidy && chance(m, 12))
            text_add(&t, " - %s*a%d + %s*%s - %s", stride, a, stride, m->extent_text[a], stride);
        else text_add(&t, " + %s*a%d", stride, a);
        span += step * (m->extent[a] - 1);
        step *= m->extent[a];
        stride = arena_printf(arena(m), "%s*%s", stride, m->extent_text[a]);
    }
    l.text = text_get(&t);
    l.count = span < 0 ? 0 : span + offset;
    return l;
}

static int add_buf(Maker *m, DType t, int64_t count, int64_t values_below) {
    m->c.bufs[m->c.buf_count] = (CaseBuf){t, count, values_below};
    return m->c.buf_count++;
}

/* ------------------------------------------------------------------------------ nodes */

static int line(Maker *m, const char *format, ...) __attribute__((format(printf, 2, 3)));
static int line(Maker *m, const char *format, ...) {
    va_list args;
    va_start(args, format);
    text_add(&m->body, "%%%d = %s\n", m->nodes, arena_vprintf(arena(m), format, args));
    va_end(args);
    return m->nodes++;
}

static int pick(Maker *m, const int *at, int n) { return at[below(m, n)]; }
#define PICK(m, list) pick(m, (m)->list.at, (m)->list.n)
#define KEEP(m, list, ...)                                                                                             \
    do {                                                                                                               \
        int kept = (__VA_ARGS__);                                                                                      \
        vec_push(arena(m), &(m)->list, kept);                                                                          \
    } while (0)
static const char *real(const Maker *m) { return dtype_name(m->real); }

/* A load of one element further along an axis, where there is one. */
static void add_guarded(Maker *m, DType t, uint64_t set) {
    int axis = -1;
    for (int a = 0; a < m->c.axes; a++)
        if (set >> a & 1 && (axis < 0 || chance(m, 50))) axis = a;
    if (axis < 0) return;
    Layout l = random_layout(m, set, true);
    int buf = add_buf(m, t, l.count, 0), at = line(m, "axis a%d : i64", axis), guard;
    bool back = chance(m, 50);
    if (back) {
        int one = line(m, "const 1 : i64");
        guard = line(m, "less_equal %%%d, %%%d : bool", one, at);
    } else {
        int last = line(m, "dim %s - 1 : i64", m->extent_text[axis]);
        guard = line(m, "less %%%d, %%%d : bool", at, last);
    }
    KEEP(m, truths, guard);
    text_add(&m->bufs, "buf x%d : %s\n", buf, dtype_name(t));
    KEEP(m, reals,
         line(m, "load x%d[%s %s %s] if %%%d : %s", buf, l.text, back ? "-" : "+", l.stride[axis], guard,
              dtype_name(t)));
}

/* A row of a table, found through an index. */
static void add_indexed(Maker *m, DType t, uint64_t set) {
    enum { ROWS = 5 };
    Layout where = random_layout(m, (uint64_t)below(m, (int64_t)all_axes(m) + 1), true),
           row = random_layout(m, set, true);
    DType index_type = chance(m, 50) ? DTYPE_I32 : DTYPE_I64;
    int index_buf = add_buf(m, index_type, where.count, ROWS), table = add_buf(m, t, ROWS * 7 + row.count, 0);
    text_add(&m->bufs, "buf x%d : %s\nbuf x%d : %s\n", index_buf, dtype_name(index_type), table, dtype_name(t));
    int index = line(m, "load x%d[%s] : %s", index_buf, where.text, dtype_name(index_type));
    KEEP(m, reals, line(m, "load x%d[7*%%%d + %s] : %s", table, index, row.text, dtype_name(t)));
}

static void add_real_load(Maker *m, bool first) {
    uint64_t set = first ? all_axes(m) : (uint64_t)below(m, (int64_t)all_axes(m) + 1);
    if (!first && chance(m, 20)) {
        add_guarded(m, m->real, set);
        return;
    }
    if (!first && chance(m, 20)) {
        add_indexed(m, m->real, set);
        return;
    }
    Layout l = random_layout(m, set, first);
    int buf = add_buf(m, m->real, l.count, 0);
    if (first && chance(m, 40)) {
        m->own = l.text;
        m->own_buf = buf;
    }
    text_add(&m->bufs, "buf x%d : %s%s\n", buf, real(m), first && m->own ? " out" : "");
    int node = line(m, "load x%d[%s] : %s", buf, l.text, real(m));
    KEEP(m, reals, node);
    KEEP(m, pure, node);
}

/* Integers and bools keep a list of their own and go into the reals converted. */
static void add_whole_load(Maker *m) {
    static const DType types[] = {DTYPE_I32, DTYPE_I64, DTYPE_I8, DTYPE_U8, DTYPE_BOOL};
    DType t = types[below(m, 5)];
    Layout l = random_layout(m, (uint64_t)below(m, (int64_t)all_axes(m) + 1), false);
    int buf = add_buf(m, t, l.count, 0);
    text_add(&m->bufs, "buf x%d : %s\n", buf, dtype_name(t));
    int node = line(m, "load x%d[%s] : %s", buf, l.text, dtype_name(t));
    if (t == DTYPE_BOOL) {
        KEEP(m, truths, node);
        return;
    }
    KEEP(m, wholes, line(m, "convert %%%d : i32", node));
    int as_real = line(m, "convert %%%d : %s", node, real(m));
    KEEP(m, reals, line(m, "tanh %%%d : %s", as_real, real(m)));
}

static void add_axis_value(Maker *m) {
    if (!m->c.axes) return;
    int a = (int)below(m, m->c.axes);
    bool scaled = chance(m, 50);
    KEEP(m, wholes, line(m, "axis %sa%d : i32", scaled ? "3*" : "", a));
    int x = line(m, "axis %sa%d : %s", scaled ? "-2*" : "", a, real(m));
    KEEP(m, reals, line(m, "tanh %%%d : %s", x, real(m)));
}

/* A new real between -2 and 2. */
static void add_real_op(Maker *m) {
    int x = PICK(m, reals), y = PICK(m, reals), t;
    static const char *const halved[] = {"add", "subtract", "multiply"}, *const plain[] = {"maximum", "minimum"};
    static const char *const unary[] = {"tanh", "logistic", "negate", "abs"};
    switch (below(m, 5)) {
    case 0: {
        int half = line(m, "const 0.5 : %s", real(m));
        t = line(m, "%s %%%d, %%%d : %s", halved[below(m, 3)], x, y, real(m));
        t = line(m, "multiply %%%d, %%%d : %s", t, half, real(m));
        break;
    }
    case 1: t = line(m, "%s %%%d, %%%d : %s", plain[below(m, 2)], x, y, real(m)); break;
    case 2: t = line(m, "%s %%%d : %s", unary[below(m, 4)], x, real(m)); break;
    case 3: {
        int most = line(m, "const 0.5 : %s", real(m));
        t = line(m, "minimum %%%d, %%%d : %s", x, most, real(m));
        t = line(m, "exp %%%d : %s", t, real(m));
        break;
    }
    default: {
        int condition = m->truths.n && chance(m, 50) ? PICK(m, truths)
                                                     : line(m, "less %%%d, %%%d : bool", PICK(m, pure), PICK(m, pure));
        KEEP(m, truths, condition);
        t = line(m, "select %%%d, %%%d, %%%d : %s", condition, x, y, real(m));
    }
    }
    KEEP(m, reals, t);
}

static void add_whole_op(Maker *m) {
    static const char *const names[] = {"add", "multiply", "maximum", "minimum", "and", "xor", "subtract", "divide"};
    if (!m->wholes.n) return;
    KEEP(m, wholes, line(m, "%s %%%d, %%%d : i32", names[below(m, 8)], PICK(m, wholes), PICK(m, wholes)));
}

static void add_random_bits(Maker *m) {
    if (!m->c.axes) return;
    int seed = line(m, "const 77 : i64"), index = line(m, "axis a%d : i64", (int)below(m, m->c.axes));
    KEEP(m, wholes,
         line(m, "random_bits %%%d, %%%d, %%%d site 12345678901 word %d : i32", seed, seed, index, (int)below(m, 4)));
}

/* ----------------------------------------------------------------------------- stages */

static void store(Maker *m, uint64_t set, int node, DType t) {
    Layout l = random_layout(m, set, chance(m, 80));
    if (m->c.buf_count == CASE_BUFS) return;
    int buf = add_buf(m, t, l.count, 0);
    text_add(&m->bufs, "buf x%d : %s out\n", buf, dtype_name(t));
    text_add(&m->body, "x%d[%s] = %%%d", buf, l.text, node);
    if (set == all_axes(m) && m->truths.n && chance(m, 25)) text_add(&m->body, " if %%%d", PICK(m, truths));
    text_append(&m->body, "\n", 1);
}

static void store_some(Maker *m, uint64_t set) {
    store(m, set, PICK(m, reals), m->real);
    if (m->wholes.n && chance(m, 40)) store(m, set, PICK(m, wholes), DTYPE_I32);
    if (m->truths.n && chance(m, 40)) store(m, set, PICK(m, truths), DTYPE_BOOL);
}

/* Updates the buffer in place, then stores what it held before: that must have been read first. */
static void store_own(Maker *m, int node) {
    text_add(&m->body, "x%d[%s] = %%%d\n", m->own_buf, m->own, node);
    store(m, all_axes(m), m->pure.at[0], m->real);
    m->own = NULL;
}

static void end_stage(Maker *m, Text *stages, const char *kind) {
    text_add(stages, "stage %s {\n%s}\n", kind, text_get(&m->body));
    m->body = text_new(arena(m));
}

static int reduce(Maker *m, const char *function, int node, const char *tail, const char *t) {
    text_add(&m->body, "r%d = reduce %s %%%d%s : %s\n", m->reductions, function, node, tail, t);
    return m->reductions++;
}

static int add_reductions(Maker *m, int value) {
    static const char *const extreme[] = {"maximum", "minimum"}, *const whole[] = {"add", "maximum", "and", "or"};
    int first = reduce(m, "add", value, "", real(m));
    if (chance(m, 60)) reduce(m, extreme[below(m, 2)], PICK(m, pure), "", real(m));
    if (m->wholes.n && chance(m, 50)) reduce(m, whole[below(m, 4)], PICK(m, wholes), "", "i32");
    if (m->truths.n && chance(m, 50)) reduce(m, chance(m, 50) ? "and" : "or", PICK(m, truths), "", "bool");
    if (m->c.axes - m->c.outer == 1 && chance(m, 50))
        reduce(m, extreme[below(m, 2)], PICK(m, pure), arena_printf(arena(m), " along a%d", m->c.outer),
               chance(m, 50) ? "i64" : "i32");
    return first;
}

static int run(Maker *m, const char *function, int node, const char *tail, const char *t) {
    text_add(&m->body, "r%d = run %s %%%d%s : %s\n", m->reductions, function, node, tail, t);
    m->runs = true;
    return line(m, "running r%d : %s", m->reductions++, t);
}

/* What runs along the only inner axis; a sum halves what came before. */
static void add_runs(Maker *m) {
    static const char *const extreme[] = {"maximum", "minimum"};
    uint64_t all = all_axes(m);
    if (chance(m, 60)) {
        int half = line(m, "const 0.5 : %s", real(m));
        int decay = line(m, "multiply %%%d, %%%d : %s", half, PICK(m, pure), real(m));
        int bounded = line(m, "multiply %%%d, %%%d : %s", decay, half, real(m));
        store(m, all, run(m, "add", PICK(m, pure), arena_printf(arena(m), " times %%%d", bounded), real(m)), m->real);
    }
    if (chance(m, 60)) store(m, all, run(m, extreme[below(m, 2)], PICK(m, pure), "", real(m)), m->real);
    if (m->wholes.n && chance(m, 60)) store(m, all, run(m, "add", PICK(m, wholes), "", "i32"), DTYPE_I32);
    if (chance(m, 60)) {
        const char *along = arena_printf(arena(m), " along a%d", m->c.outer);
        store(m, all, run(m, extreme[below(m, 2)], PICK(m, pure), along, "i32"), DTYPE_I32);
    }
}

/* The mean, from a sum. */
static int mean_of(Maker *m, int reduction) {
    double points = 1;
    for (int a = m->c.outer; a < m->c.axes; a++) points *= m->extent[a] ? (double)m->extent[a] : 1;
    int sum = line(m, "result r%d : %s", reduction, real(m));
    int factor = line(m, "const %.17g : %s", 1 / points, real(m));
    return line(m, "multiply %%%d, %%%d : %s", sum, factor, real(m));
}

/* sweep: sums; [point: them]; sweep: exp of the difference, again a sum; sweep: both together. */
static void add_stages(Maker *m, Text *stages) {
    int value = PICK(m, reals), sum = add_reductions(m, value);
    if (chance(m, 30)) store_some(m, all_axes(m));
    if (m->c.axes - m->c.outer == 1 && chance(m, 40)) add_runs(m);
    end_stage(m, stages, "sweep");
    int mean = mean_of(m, sum);
    if (chance(m, 60)) {
        store(m, outer_axes(m), mean, m->real);
        end_stage(m, stages, "point");
    }
    if (chance(m, 25)) return;
    int minus = line(m, "subtract %%%d, %%%d : %s", value, mean, real(m));
    int bounded = line(m, "tanh %%%d : %s", minus, real(m));
    int power = line(m, "exp %%%d : %s", bounded, real(m));
    int total = reduce(m, "add", power, "", real(m));
    if (chance(m, 30)) store(m, all_axes(m), bounded, m->real);
    end_stage(m, stages, "sweep");
    int share = line(m, "multiply %%%d, %%%d : %s", power, mean_of(m, total), real(m));
    if (m->own) store_own(m, share);
    else store(m, all_axes(m), share, m->real);
    end_stage(m, stages, "sweep");
}

/* Results of reductions, read at the end. */
static void store_reduced(Maker *m, Text *stages, const char *types[]) {
    for (int r = 0; r < m->reductions; r++) {
        if (m->c.buf_count == CASE_BUFS || !types[r]) continue;
        DType t = DTYPE_F32;
        dtype_parse(types[r], &t);
        store(m, outer_axes(m), line(m, "result r%d : %s", r, types[r]), t);
    }
    if (text_get(&m->body)[0]) end_stage(m, stages, "point");
}

/* The type behind each "rN = reduce ... : type" of the text. */
static void reduction_types(const char *text, const char *types[]) {
    static const char *const names[] = {"f64", "f32", "i64", "i32", "bool"};
    for (const char *at = text; (at = strstr(at, " = reduce ")); at++) {
        const char *from = at, *colon = strstr(at, " : ");
        while (from[-1] >= '0' && from[-1] <= '9') from--;
        for (int i = 0; i < 5; i++)
            if (!strncmp(colon + 3, names[i], strlen(names[i]))) types[from[0] - '0'] = names[i];
    }
}

static void choose_schedule(Maker *m) {
    KernelCase *c = &m->c;
    c->vector = (int)below(m, c->axes - c->outer + 2) - 2;             /* -2: the last outer, -1: none */
    c->vector = c->vector >= 0 ? c->outer + c->vector : c->vector == -2 ? c->outer - 1 : -1;
    if (m->runs && c->vector >= c->outer) c->vector = c->outer - 1;
    c->lanes = c->vector < 0 ? 1 : 4 << below(m, 3);
    c->unroll = 1 + (int)below(m, 4);
    c->chunk = chance(m, 30) ? 0 : 1 + below(m, 60);
    c->keep_rows = chance(m, 70);
    c->tolerance = 3e-5;
}

KernelCase kernel_random(uint64_t *state, int number, Text *sizes, Text *kernels) {
    Maker m = {.state = state, .to = kernels, .bufs = text_new(kernels->arena), .body = text_new(kernels->arena)};
    Text stages = text_new(kernels->arena);
    choose_axes(&m, number, sizes);
    m.real = chance(&m, 75) ? DTYPE_F32 : DTYPE_F64;
    add_real_load(&m, true);
    for (int64_t i = below(&m, 3); i > 0; i--) add_real_load(&m, false);
    if (chance(&m, 60)) add_whole_load(&m);
    if (chance(&m, 40)) add_axis_value(&m);
    if (chance(&m, 15)) add_random_bits(&m);
    for (int64_t i = below(&m, 7); i > 0; i--) add_real_op(&m);
    for (int64_t i = below(&m, 4); i > 0; i--) add_whole_op(&m);
    if (m.c.axes > m.c.outer) {
        const char *types[10] = {NULL};
        add_stages(&m, &stages);
        reduction_types(text_get(&stages), types);
        store_reduced(&m, &stages, types);
    } else {
        if (m.own) store_own(&m, PICK(&m, reals));
        store_some(&m, all_axes(&m));
        end_stage(&m, &stages, "point");
    }
    choose_schedule(&m);
    text_add(kernels, "kernel k%d loops", number);
    for (int i = 0; i < m.c.size_count; i++) text_add(kernels, "%ss%d_%d", i ? ", " : "(", number, i);
    text_add(kernels, "%s {\n%s", m.c.size_count ? ")" : "", text_get(&m.bufs));
    for (int a = 0; a < m.c.axes; a++)
        text_add(kernels, "%s a%d in %s\n", a < m.c.outer ? "outer" : "inner", a, m.extent_text[a]);
    text_add(kernels, "%s}\n", text_get(&stages));
    return m.c;
}
