/* Builtins that reduce: over all dims, one axis or a list of axes. Maps reduce over everything in them. */
#include "elab.h"

/* An axis as 0 .. rank-1; false after a report. */
bool elab_axis(Elab *e, Span at, Val v, int rank, int64_t *to) {
    if (v.kind == VAL_INT && v.i >= -rank && v.i < rank) {
        *to = v.i < 0 ? v.i + rank : v.i;
        return true;
    }
    if (v.kind == VAL_INT)
        elab_fail(e, DL0306, at, "axis %lld is out of range for a tensor of %d dim%s", (long long)v.i, rank,
                  rank == 1 ? "" : "s");
    else if (!is_poison(v)) elab_fail(e, DL0302, at, "an axis is an integer, not %s", val_text(e, v));
    return false;
}

static bool axes_of(Elab *e, Span at, Val v, int rank, int64_t *axes, int *n) {
    bool used[MAX_RANK] = {0};
    Vals list = {1, &v};
    *n = 0;
    if (v.kind == VAL_NONE) {
        for (*n = 0; *n < rank; ++*n) axes[*n] = *n;
        return true;
    }
    if (v.kind == VAL_LIST) list = *v.list;
    for (int i = 0; i < list.n; i++) {
        int64_t axis;
        if (!elab_axis(e, at, list.at[i], rank, &axis)) return false;
        if (used[axis]) {
            elab_fail(e, DL0306, at, "axis %lld is named twice", (long long)axis);
            return false;
        }
        used[axis] = true;
    }
    for (int i = 0; i < rank; i++)
        if (used[i]) axes[(*n)++] = i;
    return true;
}

/* Gives reduced axes back as dims of 1. */
static Value *keep_axes(Elab *e, Span at, Value *r, Type x, const int64_t *axes, int n) {
    Dim shape[MAX_RANK];
    memcpy(shape, x.shape, sizeof(Dim) * (size_t)x.rank);
    for (int i = 0; i < n; i++) shape[axes[i]] = dim_const(&e->module->dims, 1);
    return r ? build_reshape(elab_builder(e, at), r, x.rank, shape) : NULL;
}

enum { REDUCE_SUM, REDUCE_MAX, REDUCE_MIN, REDUCE_PROD, REDUCE_ANY, REDUCE_ALL, REDUCE_ARGMAX, REDUCE_ARGMIN };

static const OpInfo *reduce_op(int which) {
    static const OpInfo *const ops[] = {
        &OP_reduce_sum, &OP_reduce_max, &OP_reduce_min, &OP_reduce_prod,
        &OP_reduce_or,  &OP_reduce_and, &OP_argmax,     &OP_argmin,
    };
    return ops[which];
}

static const MapFn combining[] = {MAP_add, MAP_maximum, MAP_minimum, MAP_multiply, MAP_or, MAP_and};

/* `first`: the first extremum takes the whole gradient. */
static Value *build_extremum(Elab *e, Span at, const OpInfo *op, Value *x, const int64_t *axes, int n, bool first) {
    if (!first) return build_reduce(elab_builder(e, at), op, x, axes, n);
    Attr attrs[] = {attr_ints(e->module, "axes", axes, n), attr_int(e->module, "first", 1)};
    return build_op(elab_builder(e, at), op, &x, 1, attrs, 2);
}

static Val reduce(Elab *e, int which, Span at, Val v, Val axis, bool keep, bool first) {
    int64_t axes[MAX_RANK];
    int n;
    Value *x = elab_tensor(e, at, v, DTYPE_COUNT);
    if (!x || !axes_of(e, at, axis, x->type.rank, axes, &n)) return POISON;
    if ((which == REDUCE_ANY || which == REDUCE_ALL) != (x->type.dtype == DTYPE_BOOL))
        return elab_fail(e, DL0302, at,
                         x->type.dtype == DTYPE_BOOL ? "a bool tensor has any, all and count, not this: %s"
                                                     : "any and all take bool, not %s",
                         val_text(e, v));
    if (!n) return val_tensor(x);
    Value *r = build_extremum(e, at, reduce_op(which), x, axes, n, first);
    return val_tensor(keep ? keep_axes(e, at, r, x->type, axes, n) : r);
}

static bool flag(const BuiltinCall *c, int i) { return c->args[i].kind == VAL_BOOL && c->args[i].i; }

/* A map: each value reduced, then the results combined. */
static Val reduce_map(Elab *e, int which, const BuiltinCall *c, const ParamMap *m) {
    Val all = POISON;
    for (int i = 0; i < m->n; i++) {
        Val one = reduce(e, which, c->at, m->values[i], NONE_VAL, false, false);
        all = i ? elab_map(e, c->at, combining[which], (Val[]){all, one}, 2, NULL) : one;
        if (is_poison(all)) return all;
    }
    return m->n ? all : elab_fail(e, DL0404, c->at, "this map is empty");
}

static Val run_reduce(Elab *e, const Builtin *self, const BuiltinCall *c) {
    Val v = elab_as_map(e, c->args[0]);
    if (v.kind == VAL_MAP && c->args[1].kind == VAL_NONE) return reduce_map(e, self->detail, c, v.map);
    if (v.kind == VAL_LIST && e->build == NULL)
        return elab_fail(e, DL0302, c->at, "`%s` reduces tensors, not %s", self->name, val_text(e, v));
    return reduce(e, self->detail, c->at, v, c->args[1], flag(c, 2), false);
}

/* Of two values there is no axis, and nothing to keep. */
static bool is_one_use(Elab *e, const Builtin *self, const BuiltinCall *c) {
    static const char *const names[] = {NULL, NULL, "axis", "keep", "initial", "first"};
    if (c->args[1].kind == VAL_NONE) return true;
    for (int i = 2; i < 6; i++) {
        if (c->args[i].kind == VAL_NONE) continue;
        int d = elab_error(e, DL0206, c->nodes[i] ? c->nodes[i]->span : c->at,
                           "`%s` of two values is elementwise and takes no `%s`", self->name, names[i]);
        if (c->args[1].kind == VAL_INT && i != 2)
            diag_hint(e->diags, d, "along an axis it is `%s(x, axis = %lld, ...)`", self->name, (long long)c->args[1].i);
        return false;
    }
    return true;
}

/* max(x), max(x, axis = 1), and max(x, y) of two. */
static Val run_extreme(Elab *e, const Builtin *self, const BuiltinCall *c) {
    MapFn f = combining[self->detail];
    if (!is_one_use(e, self, c)) return POISON;
    if (c->args[1].kind != VAL_NONE) return elab_map(e, c->at, f, c->args, 2, c->nodes);
    Val v = elab_as_map(e, c->args[0]);
    if (v.kind == VAL_MAP && c->args[2].kind == VAL_NONE) return reduce_map(e, self->detail, c, v.map);
    if (v.kind == VAL_LIST && v.list->n && !is_runtime(v.list->at[0])) {
        Val all = v.list->at[0];
        for (int i = 1; i < v.list->n && !is_poison(all); i++)
            all = elab_map(e, c->at, f, (Val[]){all, v.list->at[i]}, 2, NULL);
        return all;
    }
    Val r = reduce(e, self->detail, c->at, v, c->args[2], flag(c, 3), flag(c, 5));
    if (c->args[4].kind == VAL_NONE || is_poison(r)) return r;
    return elab_map(e, c->at, f, (Val[]){r, c->args[4]}, 2, NULL);
}

/* r, or argument i instead where the reduced dim is empty. */
static Value *where_empty(Elab *e, const BuiltinCall *c, int i, Dim extent, Value *r) {
    if (!r || c->args[i].kind == VAL_NONE || extent->lower > 0) return r;
    Value *empty = elab_tensor(e, c->nodes[i] ? c->nodes[i]->span : c->at, c->args[i], r->type.dtype);
    if (extent->upper == 0) return build_broadcast_to(elab_builder(e, c->at), empty, r->type.rank, r->type.shape);
    Builder *b = elab_builder(e, c->at);
    Val is_empty = val_tensor(build_map2(b, MAP_equal, build_dim(b, extent, DTYPE_I64),
                                         build_constant(b, type_scalar(DTYPE_I64), 0)));
    Val v = elab_map(e, c->at, MAP_select, (Val[]){is_empty, val_tensor(empty), val_tensor(r)}, 3, NULL);
    return is_poison(v) ? NULL : v.tensor;
}

/* Over all dims the tensor counts as flat. */
static Val run_arg(Elab *e, const Builtin *self, const BuiltinCall *c) {
    Value *x = elab_tensor(e, c->at, c->args[0], DTYPE_COUNT);
    int64_t axis = 0;
    if (!x) return POISON;
    if (c->args[1].kind == VAL_NONE && x->type.rank != 1) {
        Dim n = type_elements(&e->module->dims, x->type);
        x = build_reshape(elab_builder(e, c->at), x, 1, &n);
        if (!x) return POISON;
    } else if (c->args[1].kind != VAL_NONE && !elab_axis(e, c->at, c->args[1], x->type.rank, &axis)) {
        return POISON;
    }
    if (x->type.shape[axis]->lower == 0 && c->args[3].kind == VAL_NONE) {
        int d = elab_error(e, DL0306, c->at, "there may be nothing to choose from: dim %lld is %s, which can be 0",
                           (long long)axis, elab_dim_text(e, x->type.shape[axis]));
        diag_hint(e->diags, d, "say what is chosen then: `empty = 0`");
        return POISON;
    }
    Attr attr = attr_int(e->module, "axis", axis);
    Value *r = build_op(elab_builder(e, c->at), reduce_op(self->detail), &x, 1, &attr, 1);
    r = where_empty(e, c, 3, x->type.shape[axis], r);
    return val_tensor(r && flag(c, 2) ? keep_axes(e, c->at, r, x->type, &axis, 1) : r);
}

const Builtin builtin_reductions[] = {
    {"sum", "x axis? keep?", run_reduce, REDUCE_SUM},
    {"prod", "x axis? keep?", run_reduce, REDUCE_PROD},
    {"any", "x axis? keep?", run_reduce, REDUCE_ANY},
    {"all", "x axis? keep?", run_reduce, REDUCE_ALL},
    {"max", "x y? axis? keep? initial? first?", run_extreme, REDUCE_MAX},
    {"min", "x y? axis? keep? initial? first?", run_extreme, REDUCE_MIN},
    {"argmax", "x axis? keep? empty?", run_arg, REDUCE_ARGMAX},
    {"argmin", "x axis? keep? empty?", run_arg, REDUCE_ARGMIN},
    {NULL, NULL, NULL, 0},
};
