/* Reads kernels: see kernel_reader.h. Nodes and reductions carry their numbers in the text, so a
 * statement may stand in any stage; whether numbers and order make sense is the verifier's to say. */
#include "ir/kernel_reader.h"

#include "ir/kernel_print.h"
#include "ir/kernel_schedule.h"

#include <stdlib.h>

enum { MOST_NODES = 1 << 16 };

void kernel_reader_number(KernelReader *kr, Map *map, const char *name, int number) {
    int *to = arena_new(kr->r->arena, int);
    *to = number;
    map_set(map, name, to);
}

bool kernel_reader_lookup(KernelReader *kr, const Map *map, const char *what, int *number) {
    Span span = reader_span(kr->r);
    const char *name;
    if (!reader_name(kr->r, TOKEN_WORD, what, &name)) return false;
    const int *found = map_get(map, name);
    if (!found) return reader_fail(kr->r, DL0603, span, "%s is not %s of this kernel", name, what);
    *number = *found;
    return true;
}

/* %12 */
static bool read_node_number(KernelReader *kr, int *to) {
    Reader *r = kr->r;
    if (r->token.kind != TOKEN_NUMBERED) return reader_expected(r, "a node (%number)");
    *to = strlen(r->token.text) > 7 ? MOST_NODES : atoi(r->token.text);
    if (*to >= MOST_NODES) return reader_fail(r, DL0608, reader_span(r), "node number too large");
    reader_advance(r);
    return true;
}

/* r3 */
static bool read_reduction_number(KernelReader *kr, int *to) {
    Reader *r = kr->r;
    Span span = reader_span(r);
    const char *name;
    if (!reader_name(r, TOKEN_WORD, "a reduction (r and its number)", &name)) return false;
    size_t digits = strspn(name + (name[0] != 0), "0123456789");
    if (name[0] != 'r' || !digits || digits > 4 || name[1 + digits])
        return reader_fail(r, DL0601, span, "expected a reduction (r and its number), not %s", name);
    *to = atoi(name + 1);
    return true;
}

static bool read_dtype(KernelReader *kr, DType *to) {
    Reader *r = kr->r;
    if (!reader_expect(r, ':')) return false;
    if (r->token.kind != TOKEN_WORD || !dtype_parse(r->token.text, to)) return reader_expected(r, "an element type");
    reader_advance(r);
    return true;
}

/* -------------------------------------------------------------------------- addresses */

typedef struct Term {
    Dim factor;
    int axis, node;            /* -1: none */
} Term;

static bool read_factor(KernelReader *kr, Term *t) {
    Reader *r = kr->r;
    Dim d;
    Span span = reader_span(r);
    if (r->token.kind == TOKEN_WORD && map_get(&kr->axes, r->token.text)) {
        if (t->axis >= 0 || t->node >= 0) return reader_fail(r, DL0608, span, "an address is linear in axes and nodes");
        return kernel_reader_lookup(kr, &kr->axes, "an axis", &t->axis);
    }
    if (r->token.kind == TOKEN_NUMBERED) {
        if (t->axis >= 0 || t->node >= 0) return reader_fail(r, DL0608, span, "an address is linear in axes and nodes");
        return read_node_number(kr, &t->node);
    }
    if (!reader_dim_factor(r, &d)) return false;
    t->factor = dim_mul(&r->module->dims, t->factor, d);
    return !dim_overflowed(t->factor) || reader_fail(r, DL0608, span, "dim too large");
}

static bool read_term(KernelReader *kr, bool minus, Term *t) {
    *t = (Term){dim_const(&kr->r->module->dims, minus ? -1 : 1), -1, -1};
    do {
        if (!read_factor(kr, t)) return false;
    } while (reader_take(kr->r, '*'));
    return true;
}

static bool add_term(KernelReader *kr, KAccess *a, Dim *strides, const Term *t) {
    DimTable *dims = &kr->r->module->dims;
    if (t->node < 0) {
        Dim *to = t->axis >= 0 ? &strides[t->axis] : &a->offset;
        *to = dim_add(dims, *to, t->factor);
        return true;
    }
    if (a->index >= 0) return reader_fail(kr->r, DL0608, reader_span(kr->r), "an address takes one node");
    a->index = t->node;
    a->index_stride = t->factor;
    return true;
}

/* [sum] behind a buffer's name; a new access. */
static bool read_place(KernelReader *kr, int buf, int *access) {
    Reader *r = kr->r;
    Dim zero = dim_const(&r->module->dims, 0);
    KAccess a = {.buf = buf, .offset = zero, .index = -1, .index_stride = zero};
    Dim *strides = arena_array(r->arena, Dim, kr->k->axes.n + 1);
    for (int i = 0; i < kr->k->axes.n; i++) strides[i] = zero;
    Term t;
    if (!reader_expect(r, '[')) return false;
    bool more = true, minus = reader_take(r, '-');
    while (more) {
        if (!read_term(kr, minus, &t) || !add_term(kr, &a, strides, &t)) return false;
        more = reader_at(r, '+') || reader_at(r, '-');
        reader_take(r, '+');
        minus = reader_take(r, '-');
    }
    a.strides = strides;
    *access = kr->k->accesses.n;
    vec_push(r->arena, &kr->k->accesses, a);
    return reader_expect(r, ']');
}

/* ------------------------------------------------------------------------------ nodes */

static bool read_load(KernelReader *kr, KNode *n) {
    int buf;
    n->kind = NODE_LOAD;
    if (!kernel_reader_lookup(kr, &kr->bufs, "a buffer", &buf) || !read_place(kr, buf, &n->access)) return false;
    return !reader_take_word(kr->r, "if") || read_node_number(kr, &n->guard);
}

static bool read_axis(KernelReader *kr, KNode *n) {
    Term t;
    n->kind = NODE_AXIS;
    Span span = reader_span(kr->r);
    bool minus = reader_take(kr->r, '-');
    if (!read_term(kr, minus, &t)) return false;
    if (t.axis < 0) return reader_fail(kr->r, DL0601, span, "expected an axis, with a factor or without");
    n->axis = t.axis;
    n->dim = dim_is(t.factor, 1) ? NULL : t.factor;
    return true;
}

static bool read_site(KernelReader *kr, KNode *n) {
    Reader *r = kr->r;
    if (!reader_take_word(r, "site")) return reader_expected(r, "site");
    if (r->token.kind != TOKEN_INT) return reader_expected(r, "an integer");
    n->site = r->token.magnitude;
    reader_advance(r);
    int64_t word;
    if (!reader_take_word(r, "word")) return reader_expected(r, "word");
    Span span = reader_span(r);
    if (!reader_int(r, &word)) return false;
    n->word = (int)word;
    return (word >= 0 && word < 4) || reader_fail(r, DL0608, span, "a word is 0, 1, 2 or 3");
}

static bool read_function(KernelReader *kr, MapFn *to) {
    Reader *r = kr->r;
    Span span = reader_span(r);
    const char *name;
    if (!reader_name(r, TOKEN_WORD, "an element function", &name)) return false;
    const OpInfo *info = op_find(name);
    if (!info || info->kind != KIND_MAP) return reader_fail(r, DL0603, span, "no element function is called %s", name);
    *to = info->map;
    return true;
}

static bool read_map(KernelReader *kr, KNode *n) {
    n->kind = NODE_MAP;
    if (!read_function(kr, &n->map)) return false;
    int count = 0;
    do {
        if (count == 3) return reader_fail(kr->r, DL0605, reader_span(kr->r), "at most three operands");
        if (!read_node_number(kr, &n->args[count++])) return false;
    } while (reader_take(kr->r, ','));
    return n->map != MAP_random_bits || read_site(kr, n);
}

static bool read_number_param(KernelReader *kr, int *to) {
    enum { MOST_NUMBERS = 1 << 12 };
    Span span = reader_span(kr->r);
    int64_t x;
    if (!reader_int(kr->r, &x)) return false;
    if (x < 0 || x >= MOST_NUMBERS) return reader_fail(kr->r, DL0608, span, "number out of range");
    *to = (int)x;
    if (*to >= kr->k->numbers) kr->k->numbers = *to + 1;
    return true;
}

static bool read_node_kind(KernelReader *kr, KNode *n) {
    Reader *r = kr->r;
    if (reader_take_word(r, "load")) return read_load(kr, n);
    if (reader_take_word(r, "axis")) return read_axis(kr, n);
    if (reader_take_word(r, "const")) {
        n->kind = NODE_CONST;
        return reader_float(r, &n->value);
    }
    if (reader_take_word(r, "number")) {
        n->kind = NODE_NUMBER;
        return read_number_param(kr, &n->number);
    }
    if (reader_take_word(r, "dim")) {
        n->kind = NODE_DIM;
        return reader_dim(r, &n->dim);
    }
    if (reader_at_word(r, "result") || reader_at_word(r, "running")) {
        n->kind = reader_at_word(r, "result") ? NODE_REDUCED : NODE_RUNNING;
        reader_advance(r);
        return read_reduction_number(kr, &n->reduction);
    }
    if (reader_take_word(r, "sum")) {
        n->kind = NODE_SUM;
        return true;
    }
    return read_map(kr, n);
}

/* Room for number `i`; false if it is taken. */
#define CLAIM(arena, list, known, i)                                                                                   \
    do {                                                                                                               \
        while ((list)->n <= (i)) vec_push(arena, list, blank);                                                         \
        while ((known)->n <= (i)) vec_push(arena, known, false);                                                       \
    } while (0)

/* %3 = ... : dtype */
static bool read_node(KernelReader *kr) {
    Reader *r = kr->r;
    Span span = reader_span(r);
    int i = 0;
    KNode blank = {.args = {-1, -1, -1}, .access = -1, .guard = -1, .axis = -1, .reduction = -1}, n = blank;
    if (!read_node_number(kr, &i) || !reader_expect(r, '=') || !read_node_kind(kr, &n) || !read_dtype(kr, &n.dtype))
        return false;
    CLAIM(r->arena, &kr->k->nodes, &kr->node_known, i);
    if (kr->node_known.at[i]) return reader_fail(r, DL0604, span, "node %%%d is defined already", i);
    kr->node_known.at[i] = true;
    kr->k->nodes.at[i] = n;
    return true;
}

/* ----------------------------------------------------------------------------- stages */

/* r0 = reduce maximum %1 [along j] : dtype, or run add %1 [times %2] ... */
static bool read_reduction(KernelReader *kr, KStage *stage) {
    Reader *r = kr->r;
    Span span = reader_span(r);
    int i;
    KReduction blank = {.node = -1, .factor = -1}, red = blank;
    if (!read_reduction_number(kr, &i) || !reader_expect(r, '=')) return false;
    red.running = reader_take_word(r, "run");
    if (!red.running && !reader_take_word(r, "reduce")) return reader_expected(r, "reduce or run");
    if (!read_function(kr, &red.map) || !read_node_number(kr, &red.node)) return false;
    if (red.running && reader_take_word(r, "times") && !read_node_number(kr, &red.factor)) return false;
    red.product = !red.running && reader_take_word(r, "product");
    if (reader_take_word(r, "along")) {
        red.arg = true;
        if (!kernel_reader_lookup(kr, &kr->axes, "an axis", &red.arg_axis)) return false;
    }
    if (!read_dtype(kr, &red.dtype)) return false;
    CLAIM(r->arena, &kr->k->reductions, &kr->reduction_known, i);
    if (kr->reduction_known.at[i]) return reader_fail(r, DL0604, span, "reduction r%d is defined already", i);
    kr->reduction_known.at[i] = true;
    kr->k->reductions.at[i] = red;
    vec_push(r->arena, &stage->reductions, i);
    return true;
}

/* =, +=, maximum=, last= */
static bool read_assignment(KernelReader *kr, KStore *s) {
    Reader *r = kr->r;
    if (reader_take(r, '+')) {
        s->mode = STORE_COMBINE;
        s->map = MAP_add;
    } else if (reader_take_word(r, "last")) {
        s->mode = STORE_LAST;
    } else if (r->token.kind == TOKEN_WORD) {
        s->mode = STORE_COMBINE;
        if (!read_function(kr, &s->map)) return false;
    }
    return reader_expect(r, '=');
}

/* y1[...] = %3 [if %2] */
static bool read_store(KernelReader *kr, KStage *stage) {
    KStore s = {.guard = -1};
    int buf;
    if (!kernel_reader_lookup(kr, &kr->bufs, "a buffer", &buf) || !read_place(kr, buf, &s.access)) return false;
    if (!read_assignment(kr, &s) || !read_node_number(kr, &s.node)) return false;
    if (reader_take_word(kr->r, "if") && !read_node_number(kr, &s.guard)) return false;
    vec_push(kr->r->arena, &stage->stores, s);
    return true;
}

static bool read_stage_statement(KernelReader *kr, KStage *stage) {
    Reader *r = kr->r;
    if (r->token.kind == TOKEN_NUMBERED) return read_node(kr);
    if (r->token.kind != TOKEN_WORD) return reader_expected(r, "a node, a reduction or a store");
    if (map_get(&kr->bufs, r->token.text)) return read_store(kr, stage);
    return read_reduction(kr, stage);
}

static bool read_stage(KernelReader *kr) {
    Reader *r = kr->r;
    KStage stage = {.inner = reader_take_word(r, "sweep")};
    if (!stage.inner && kr->k->form == KERNEL_LOOPS && !reader_take_word(r, "point"))
        return reader_expected(r, "sweep or point");
    if (!reader_expect(r, '{')) return false;
    while (!reader_at(r, '}')) {
        uint32_t begin = r->token.begin;
        if (r->token.kind == TOKEN_END) return reader_expected(r, "}");
        if (!read_stage_statement(kr, &stage)) reader_skip_statement(r, begin);
    }
    vec_push(r->arena, &kr->k->stages, stage);
    return reader_expect(r, '}');
}

/* --------------------------------------------------------------------------- schedule */

static bool set_schedule(KernelReader *kr, const char *key, int64_t value, Span span) {
    const ScheduleField *field = schedule_field(key);
    if (!field) return reader_fail(kr->r, DL0603, span, "a schedule has no %s", key);
    return schedule_set(&kr->k->schedule, field, value) ||
           reader_fail(kr->r, DL0608, span, "%s is out of range", key);
}

/* vector=, jam= or along= has been read. */
static bool read_schedule_axis(KernelReader *kr, const char *key) {
    KSchedule *s = &kr->k->schedule;
    int axis = -1;
    bool vector = !strcmp(key, "vector"), none = vector && reader_take_word(kr->r, "none");
    if (!none && !kernel_reader_lookup(kr, &kr->axes, "an axis", &axis)) return false;
    if (vector) s->vector_axis = axis;
    else if (!strcmp(key, "along")) s->along = axis;
    else s->jam |= (uint64_t)1 << axis;
    return true;
}

/* schedule vector=j lanes=16 ... */
static bool read_schedule(KernelReader *kr) {
    Reader *r = kr->r;
    while (r->token.kind == TOKEN_WORD && !r->token.starts_line) {
        Span span = reader_span(r);
        const char *key = r->token.text;
        int64_t value;
        reader_advance(r);
        if (!reader_expect(r, '=')) return false;
        bool names_axis = !strcmp(key, "vector") || !strcmp(key, "jam") || !strcmp(key, "along");
        if (names_axis ? !read_schedule_axis(kr, key)
                       : !reader_int(r, &value) || !set_schedule(kr, key, value, span)) return false;
    }
    return true;
}

/* ----------------------------------------------------------------------------- kernel */

static bool new_name(KernelReader *kr, const Map *map, const char **name) {
    Span span = reader_span(kr->r);
    if (!reader_name(kr->r, TOKEN_WORD, "a name", name)) return false;
    return !map_get(map, *name) || reader_fail(kr->r, DL0604, span, "%s is declared already", *name);
}

/* buf x : dtype [out] */
static bool read_buf(KernelReader *kr) {
    const char *name;
    KBuf b;
    if (!new_name(kr, &kr->bufs, &name) || !read_dtype(kr, &b.dtype)) return false;
    b.written = reader_take_word(kr->r, "out");
    kernel_reader_number(kr, &kr->bufs, name, kr->k->bufs.n);
    vec_push(kr->r->arena, &kr->k->bufs, b);
    return true;
}

/* outer i in extent */
static bool read_axis_line(KernelReader *kr, AxisRole role) {
    Reader *r = kr->r;
    const char *name;
    KAxis axis = {.role = role};
    Span span = reader_span(r);
    if (kr->k->nodes.n || kr->k->stages.n) return reader_fail(r, DL0601, span, "axes come before nodes and stages");
    if (!new_name(kr, &kr->axes, &name)) return false;
    if (map_get(&r->dims, name)) return reader_fail(r, DL0604, span, "%s is a size already", name);
    if (!reader_take_word(r, "in")) return reader_expected(r, "in");
    if (!reader_dim(r, &axis.extent)) return false;
    kernel_reader_number(kr, &kr->axes, name, kr->k->axes.n);
    vec_push(r->arena, &kr->k->axes, axis);
    return true;
}

/* product %0, %1 : dtype [where %2] */
static bool read_product(KernelReader *kr) {
    Kernel *k = kr->k;
    return read_node_number(kr, &k->a) && reader_expect(kr->r, ',') && read_node_number(kr, &k->b) &&
           read_dtype(kr, &k->acc) && (!reader_take_word(kr->r, "where") || read_node_number(kr, &k->where));
}

static bool read_statement(KernelReader *kr) {
    Reader *r = kr->r;
    if (r->token.kind == TOKEN_NUMBERED) return read_node(kr);
    if (reader_take_word(r, "buf")) return read_buf(kr);
    if (reader_take_word(r, "stage")) return read_stage(kr);
    if (reader_take_word(r, "schedule")) return read_schedule(kr);
    if (reader_take_word(r, "product")) return read_product(kr);
    for (int role = AXIS_OUTER; role <= AXIS_K; role++)
        if (reader_take_word(r, axis_role_name((AxisRole)role))) return read_axis_line(kr, (AxisRole)role);
    return reader_expected(r, "buf, an axis, a node, product, stage or schedule");
}

/* [(n0, n1)] */
static bool read_kernel_sizes(KernelReader *kr) {
    Reader *r = kr->r;
    if (!reader_take(r, '(')) return true;
    do {
        Token name = r->token;
        if (name.kind != TOKEN_WORD && name.kind != TOKEN_TEXT) return reader_expected(r, "a size");
        DimSymbol *s = dim_find(&r->module->dims, name.text);
        if (!s) return reader_fail(r, DL0603, reader_span(r), "no size is called %s", name.text);
        vec_push(r->arena, &kr->k->dims, s);
        reader_advance(r);
    } while (reader_take(r, ','));
    return reader_expect(r, ')');
}

static bool read_head(KernelReader *kr) {
    Reader *r = kr->r;
    Token name = r->token;
    if (name.kind != TOKEN_WORD && name.kind != TOKEN_TEXT) return reader_expected(r, "a kernel's name");
    if (map_get(&kr->kernels, name.text))
        return reader_fail(r, DL0604, reader_span(r), "kernel %s exists already", name.text);
    kr->k->name = name.text;
    map_set(&kr->kernels, name.text, kr->k);
    reader_advance(r);
    kr->k->form = reader_take_word(r, "contract") ? KERNEL_CONTRACT : KERNEL_LOOPS;
    if (kr->k->form == KERNEL_LOOPS && !reader_take_word(r, "loops")) return reader_expected(r, "loops or contract");
    return read_kernel_sizes(kr) && reader_expect(r, '{');
}

bool kernel_reader_kernel(KernelReader *kr) {
    Reader *r = kr->r;
    Span span = reader_span(r);
    kr->k = arena_new(r->arena, Kernel);
    kr->k->a = kr->k->b = kr->k->where = -1;
    kr->axes = map_new(r->arena);
    kr->bufs = map_new(r->arena);
    kr->node_known.n = kr->reduction_known.n = 0;
    if (!read_head(kr)) return false;
    vec_push(r->arena, &kr->to->kernels, kr->k);
    while (!reader_at(r, '}')) {
        uint32_t begin = r->token.begin;
        if (r->token.kind == TOKEN_END) return reader_expected(r, "}");
        if (!read_statement(kr)) reader_skip_statement(r, begin);
    }
    reader_advance(r);
    for (int i = 0; i < kr->node_known.n; i++)
        if (!kr->node_known.at[i]) return reader_fail(r, DL0603, span, "node %%%d is not defined", i);
    for (int i = 0; i < kr->reduction_known.n; i++)
        if (!kr->reduction_known.at[i]) return reader_fail(r, DL0603, span, "reduction r%d is not defined", i);
    return true;
}
