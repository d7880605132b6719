/* Builtins on compile-time values: sizes, lists, texts. */
#include "elab.h"

#include <math.h>

Dim elab_dim(Elab *e, Span at, Val v) {
    if (v.kind == VAL_INT && v.i > -DIM_HUGE && v.i < DIM_HUGE) return dim_const(&e->module->dims, v.i);
    if (v.kind == VAL_DIM) return v.dim;
    if (v.kind == VAL_INT) elab_fail(e, DL0304, at, "%lld is too large for a dim", (long long)v.i);
    else if (!is_poison(v)) {
        int d = elab_error(e, DL0302, at, "a size is an integer, not %s", val_text(e, v));
        if (is_runtime(v)) diag_note(e->diags, d, "sizes are known at compile time or are dims of an argument");
    }
    return NULL;
}

bool elab_dims(Elab *e, Span at, Val v, Dim *to, int *rank) {
    Val one = v;
    Vals list = {1, &one};
    if (v.kind == VAL_LIST || v.kind == VAL_TUPLE) list = *v.list;
    if (list.n > MAX_RANK) {
        elab_fail(e, DL0301, at, "a tensor has at most %d dims, not %d", MAX_RANK, list.n);
        return false;
    }
    *rank = list.n;
    for (int i = 0; i < list.n; i++)
        if (!(to[i] = elab_dim(e, at, list.at[i]))) return false;
    return true;
}

static bool need_int(Elab *e, const BuiltinCall *c, int i, int64_t *to) {
    if (c->args[i].kind == VAL_INT) *to = c->args[i].i;
    else
        elab_fail(e, DL0302, c->nodes[i] ? c->nodes[i]->span : c->at,
                  "an integer known at compile time is needed, not %s", val_text(e, c->args[i]));
    return c->args[i].kind == VAL_INT;
}

static Val run_range(Elab *e, const Builtin *self, const BuiltinCall *c) {
    int64_t from = 0, to = 0, step = 1;
    (void)self;
    if (!need_int(e, c, 0, &to)) return POISON;
    if (c->args[1].kind != VAL_NONE) {
        from = to;
        if (!need_int(e, c, 1, &to)) return POISON;
    }
    if (c->args[2].kind != VAL_NONE && !need_int(e, c, 2, &step)) return POISON;
    if (step == 0) return elab_fail(e, DL0303, c->at, "the step of a range is not 0");
    bool some = step > 0 ? to > from : to < from;
    uint64_t length = step > 0 ? (uint64_t)to - (uint64_t)from : (uint64_t)from - (uint64_t)to;
    uint64_t by = step > 0 ? (uint64_t)step : -(uint64_t)step, count = some ? (length - 1) / by + 1 : 0;
    if (count > 1000000)
        return elab_fail(e, DL0705, c->at, "a range of %llu is too long to go through at compile time",
                         (unsigned long long)count);
    int n = (int)count;
    if (!elab_spend(e, n)) return POISON;      /* the next evaluation reports it */
    Val *all = arena_array(e->arena, Val, n + 1);
    for (int i = 0; i < n; i++) all[i] = val_int((int64_t)((uint64_t)from + (uint64_t)i * (uint64_t)step));
    return val_list(e, VAL_LIST, all, n);
}

static Val run_len(Elab *e, const Builtin *self, const BuiltinCall *c) {
    Vals v;
    (void)self;
    if (c->args[0].kind == VAL_STR) return val_int((int64_t)strlen(c->args[0].s));
    return elab_sequence(e, c->at, c->args[0], &v) ? val_int(v.n) : POISON;
}

static Val run_enumerate(Elab *e, const Builtin *self, const BuiltinCall *c) {
    Vals v;
    (void)self;
    if (!elab_sequence(e, c->at, c->args[0], &v) || !elab_spend(e, v.n)) return POISON;
    Val *all = arena_array(e->arena, Val, v.n + 1);
    for (int i = 0; i < v.n; i++) all[i] = val_list(e, VAL_TUPLE, (Val[]){val_int(i), v.at[i]}, 2);
    return val_list(e, VAL_LIST, all, v.n);
}

static Val run_zip(Elab *e, const Builtin *self, const BuiltinCall *c) {
    Vals v[3];
    int n = c->args[2].kind == VAL_NONE ? 2 : 3;
    (void)self;
    for (int i = 0; i < n; i++) {
        if (!elab_sequence(e, c->at, c->args[i], &v[i])) return POISON;
        if (v[i].n != v[0].n)
            return elab_fail(e, DL0307, c->at, "zip of lists of different lengths: %d and %d", v[0].n, v[i].n);
    }
    if (!elab_spend(e, v[0].n)) return POISON;
    Val *all = arena_array(e->arena, Val, v[0].n + 1);
    for (int i = 0; i < v[0].n; i++)
        all[i] = val_list(e, VAL_TUPLE, (Val[]){v[0].at[i], v[1].at[i], n > 2 ? v[2].at[i] : NONE_VAL}, n);
    return val_list(e, VAL_LIST, all, v[0].n);
}

/* The type of a tensor, variable or like(...); false after a report. */
static bool type_of(Elab *e, const BuiltinCall *c, Type *to) {
    Val v = c->args[0];
    if (is_runtime(v)) *to = val_type(v);
    else if (v.kind == VAL_LIKE && !v.like->map) *to = v.like->type;
    else {
        elab_fail(e, DL0302, c->nodes[0] ? c->nodes[0]->span : c->at, "a tensor is needed here, not %s",
                  val_text(e, v));
        return false;
    }
    return true;
}

static Val run_dims(Elab *e, const Builtin *self, const BuiltinCall *c) {
    Val all[MAX_RANK];
    Type t;
    (void)self;
    if (c->args[0].kind == VAL_LIST) return c->args[0];          /* a shape is its own dims */
    if (is_size(c->args[0])) return val_list(e, VAL_LIST, c->args, 1);
    if (!type_of(e, c, &t)) return POISON;
    for (int i = 0; i < t.rank; i++) all[i] = val_dim(t.shape[i]);
    return val_list(e, VAL_LIST, all, t.rank);
}

static Val run_rank(Elab *e, const Builtin *self, const BuiltinCall *c) {
    Type t;
    (void)self;
    if (is_number(c->args[0])) return val_int(0);
    return type_of(e, c, &t) ? val_int(t.rank) : POISON;
}

static Val run_size(Elab *e, const Builtin *self, const BuiltinCall *c) {
    Type t = {0};
    (void)self;
    if (is_number(c->args[0])) return val_int(1);
    if (c->args[0].kind == VAL_LIST) {         /* a shape */
        Dim d[MAX_RANK];
        if (!elab_dims(e, c->at, c->args[0], d, &t.rank)) return POISON;
        t.shape = d;
        return val_dim(type_elements(&e->module->dims, t));
    }
    return type_of(e, c, &t) ? val_dim(type_elements(&e->module->dims, t)) : POISON;
}

static Val run_dtype(Elab *e, const Builtin *self, const BuiltinCall *c) {
    Type t;
    (void)self;
    if (c->args[0].kind == VAL_LIST || c->args[0].kind == VAL_NONE || is_size(c->args[0]))
        return (Val){.kind = VAL_DTYPE, .dtype = e->options->num};
    return type_of(e, c, &t) ? (Val){.kind = VAL_DTYPE, .dtype = t.dtype} : POISON;
}

static Val run_cap(Elab *e, const Builtin *self, const BuiltinCall *c) {
    (void)self;
    if (c->args[0].kind == VAL_BOUND) return val_int(c->args[0].bound->upper);
    Dim d = elab_dim(e, c->at, c->args[0]);
    return d ? val_int(d->upper) : POISON;
}

static Val run_like(Elab *e, const Builtin *self, const BuiltinCall *c) {
    Val v = elab_as_map(e, c->args[0]);
    Like *like = arena_new(e->arena, Like);
    (void)self;
    if (v.kind == VAL_LIKE) return v;
    if (v.kind == VAL_MAP) like->map = v.map;
    else if (!type_of(e, c, &like->type)) return POISON;
    return (Val){.kind = VAL_LIKE, .like = like};
}

static double number_of(Val v) { return v.kind == VAL_FLOAT ? v.f : (double)v.i; }

/* int(2.0): exact, so that nothing is rounded by accident; floor, ceil and round say how. */
static Val run_int(Elab *e, const Builtin *self, const BuiltinCall *c) {
    Val v = c->args[0];
    (void)self;
    if (is_size(v)) return v;
    if (v.kind == VAL_BOOL) return val_int(v.i);
    if (v.kind != VAL_FLOAT)
        return elab_fail(e, DL0302, c->at, "int(...) takes a compile-time number, not %s", val_text(e, v));
    if (fabs(v.f) >= 9e18) return elab_fail(e, DL0303, c->at, "%s does not fit 64 bits", val_text(e, v));
    if (v.f != floor(v.f))
        return elab_fail(e, DL0303, c->at, "%s is no integer; write int(floor(x)) or int(ceil(x))", val_text(e, v));
    return val_int((int64_t)v.f);
}

static Val run_float(Elab *e, const Builtin *self, const BuiltinCall *c) {
    (void)self;
    if (c->args[0].kind == VAL_INT || c->args[0].kind == VAL_FLOAT || c->args[0].kind == VAL_BOOL)
        return val_float(number_of(c->args[0]));
    return elab_fail(e, DL0302, c->at, "float(...) takes a compile-time number, not %s", val_text(e, c->args[0]));
}

/* Quotient rounded down, of numbers, dims and integer tensors. */
static Val run_div(Elab *e, const Builtin *self, const BuiltinCall *c) {
    Val a = c->args[0], b = c->args[1];
    (void)self;
    if (a.kind == VAL_INT && b.kind == VAL_INT) {
        if (b.i == 0) return elab_fail(e, DL0303, c->at, "div by zero");
        if (b.i == -1) return elab_binary_vals(e, c->at, BINARY_SUB, val_int(0), a, NULL, NULL);
        return val_int(a.i / b.i - (a.i % b.i != 0 && (a.i < 0) != (b.i < 0)));
    }
    if (is_size(a) && b.kind == VAL_INT && b.i > 0)
        return val_dim(dim_div(&e->module->dims, elab_dim(e, c->at, a), b.i));
    if (!is_runtime(a) && !is_runtime(b))
        return elab_fail(e, DL0302, c->at, "div does not take %s and %s", val_text(e, a), val_text(e, b));
    Val q = elab_map(e, c->at, MAP_divide, (Val[]){a, b}, 2, c->nodes);
    if (is_poison(q)) return q;
    if (dtype_is_float(val_type(q).dtype)) return elab_map(e, c->at, MAP_floor, &q, 1, NULL);
    Val r = elab_map(e, c->at, MAP_remainder, (Val[]){a, b}, 2, c->nodes);
    Val low = elab_map(e, c->at, MAP_less, (Val[]){r, val_int(0)}, 2, NULL),
        neg = b.kind == VAL_INT ? val_bool(b.i < 0) : elab_map(e, c->at, MAP_less, (Val[]){b, val_int(0)}, 2, NULL);
    Val rest = elab_map(e, c->at, MAP_not_equal, (Val[]){r, val_int(0)}, 2, NULL);
    Val down = elab_map(e, c->at, MAP_and, (Val[]){rest, elab_binary_vals(e, c->at, BINARY_NE, low, neg, NULL, NULL)},
                        2, NULL);
    Val less = elab_map(e, c->at, MAP_subtract, (Val[]){q, val_int(1)}, 2, NULL);
    return elab_map(e, c->at, MAP_select, (Val[]){down, less, q}, 3, NULL);
}

/* `*` in a pattern stands for any text. */
static bool match(const char *s, const char *pattern) {
    if (*pattern == '*') return match(s, pattern + 1) || (*s && match(s + 1, pattern));
    return *s == *pattern && (!*s || match(s + 1, pattern + 1));
}

static Val run_matches(Elab *e, const Builtin *self, const BuiltinCall *c) {
    (void)self;
    const char *name = c->args[0].kind == VAL_VAR   ? c->args[0].var->name
                       : c->args[0].kind == VAL_STR ? c->args[0].s
                                                    : NULL;
    if (!name || c->args[1].kind != VAL_STR)
        return elab_fail(e, DL0302, c->at, "matches takes a parameter and a pattern, such as matches(p, \"embed.*\")");
    if (strlen(c->args[1].s) > 200) return elab_fail(e, DL0303, c->at, "a pattern has at most 200 characters");
    int stars = 0;
    for (const char *s = c->args[1].s; *s; s++) stars += *s == '*';
    if (stars > 4) return elab_fail(e, DL0303, c->at, "a pattern has at most 4 stars");
    bool found = match(name, c->args[1].s);    /* the whole name, or its end behind a dot */
    for (const char *dot = strchr(name, '.'); dot && !found; dot = strchr(dot + 1, '.'))
        found = match(dot + 1, c->args[1].s);
    return val_bool(found);
}

static Val run_is_list(Elab *e, const Builtin *self, const BuiltinCall *c) {
    (void)e;
    (void)self;
    return val_bool(c->args[0].kind == VAL_LIST || c->args[0].kind == VAL_TUPLE);
}

static Val run_is_text(Elab *e, const Builtin *self, const BuiltinCall *c) {
    (void)e;
    (void)self;
    return val_bool(c->args[0].kind == VAL_STR);
}

/* Known at compile time. */
static Val run_is_fixed(Elab *e, const Builtin *self, const BuiltinCall *c) {
    (void)e;
    (void)self;
    Val v = c->args[0];
    return val_bool(v.kind == VAL_DIM ? dim_is_const(v.dim) : !is_runtime(v));
}

/* Several tensors, one for each of some variables. */
static Val run_is_map(Elab *e, const Builtin *self, const BuiltinCall *c) {
    (void)self;
    return val_bool(elab_as_map(e, c->args[0]).kind == VAL_MAP);
}

static Val run_is_none(Elab *e, const Builtin *self, const BuiltinCall *c) {
    (void)e;
    (void)self;
    return val_bool(c->args[0].kind == VAL_NONE);
}

const Builtin builtin_sizes[] = {
    {"range", "from to? step?", run_range, 0},
    {"len", "x", run_len, 0},
    {"enumerate", "x", run_enumerate, 0},
    {"zip", "x y z?", run_zip, 0},
    {"dims", "x", run_dims, 0},
    {"rank", "x", run_rank, 0},
    {"size", "x", run_size, 0},
    {"dtype", "x", run_dtype, 0},
    {"cap", "dim", run_cap, 0},
    {"like", "x", run_like, 0},
    {"int", "x", run_int, 0},
    {"float", "x", run_float, 0},
    {"div", "x y", run_div, 0},
    {"matches", "name pattern", run_matches, 0},
    {"is_none", "x", run_is_none, 0},
    {"is_map", "x", run_is_map, 0},
    {"is_list", "x", run_is_list, 0},
    {"is_text", "x", run_is_text, 0},
    {"is_fixed", "x", run_is_fixed, 0},
    {NULL, NULL, NULL, 0},
};
