/* Builtins with addresses known at run time: gather, scatter, update; and those along an axis, element after element. */
#include "elab.h"

static Span arg_at(const BuiltinCall *c, int i) { return c->nodes[i] ? c->nodes[i]->span : c->at; }

static Value *tensor_arg(Elab *e, const BuiltinCall *c, int i, DType want) {
    return elab_tensor(e, arg_at(c, i), c->args[i], want);
}

/* The name a run-time status gives to indices: that of the argument they are, if they are one. */
static const char *index_name(const BuiltinCall *c, int i, const Value *indices) {
    if (!indices->op && indices->name) return indices->name;
    return c->nodes[i] && c->nodes[i]->kind == NODE_NAME ? c->nodes[i]->text : "index";
}

static bool flag(const BuiltinCall *c, int i) { return c->args[i].kind == VAL_BOOL && c->args[i].i; }

/* ------------------------------------------------------------- gather, scatter */

/* Where gather reads and scatter writes. */
typedef struct Places {
    Value *x, *indices, *mask;  /* mask: or null */
    int64_t axis, batch;
    const char *what;
    int rank;
    Dim shape[MAX_RANK];        /* of what is read or written */
} Places;

static bool find_batch(Elab *e, const BuiltinCall *c, int i, Places *p) {
    Val batch = c->args[i].kind == VAL_NONE ? val_int(0) : c->args[i];
    if (batch.kind != VAL_INT) {
        elab_fail(e, DL0302, arg_at(c, i), "an integer known at compile time is needed, not %s", val_text(e, batch));
        return false;
    }
    p->batch = batch.i;
    if (p->batch >= 0 && p->batch <= p->axis && p->batch <= p->indices->type.rank) return true;
    elab_fail(e, DL0306, c->at,
              "batch dims come first: batch = %lld needs at least as many dims before the axis and in the indices",
              (long long)p->batch);
    return false;
}

static bool find_shape(Elab *e, const BuiltinCall *c, Places *p) {
    Type x = p->x->type, at = p->indices->type;
    p->rank = x.rank - 1 + at.rank - (int)p->batch;
    if (p->rank > MAX_RANK) {
        elab_fail(e, DL0301, c->at, "this makes %d dims; a tensor has at most %d", p->rank, MAX_RANK);
        return false;
    }
    int n = 0;
    for (int i = 0; i < p->axis; i++) p->shape[n++] = x.shape[i];
    for (int i = (int)p->batch; i < at.rank; i++) p->shape[n++] = at.shape[i];
    for (int i = (int)p->axis + 1; i < x.rank; i++) p->shape[n++] = x.shape[i];
    return true;
}

/* x and indices are the first two arguments; axis, batch and mask have these numbers. False after a report. */
static bool find_places(Elab *e, const BuiltinCall *c, int axis, int batch, int mask, Places *p) {
    *p = (Places){.x = tensor_arg(e, c, 0, DTYPE_COUNT), .indices = tensor_arg(e, c, 1, DTYPE_I32)};
    Val along = c->args[axis].kind == VAL_NONE ? val_int(0) : c->args[axis];
    if (!p->x || !p->indices || !elab_axis(e, c->at, along, p->x->type.rank, &p->axis)) return false;
    if (!dtype_is_int(p->indices->type.dtype)) {
        elab_fail(e, DL0302, arg_at(c, 1), "indices are integers, not %s", val_text(e, c->args[1]));
        return false;
    }
    if (!find_batch(e, c, batch, p) || !find_shape(e, c, p)) return false;
    p->what = index_name(c, 1, p->indices);
    if (c->args[mask].kind == VAL_NONE) return true;
    p->mask = tensor_arg(e, c, mask, DTYPE_BOOL);
    Type at = p->indices->type;
    p->mask = build_broadcast_to(elab_builder(e, arg_at(c, mask)), p->mask, at.rank, at.shape);
    return p->mask != NULL;
}

static Val run_gather(Elab *e, const Builtin *self, const BuiltinCall *c) {
    Places p;
    (void)self;
    if (!find_places(e, c, 2, 3, 4, &p)) return POISON;
    Builder *b = elab_builder(e, c->at);
    return val_tensor(build_gather_where(b, p.x, p.indices, p.mask, (int)p.axis, (int)p.batch, p.what));
}

static const OpInfo *scatter_op(Elab *e, const BuiltinCall *c, int i) {
    static const struct {
        const char *name;
        const OpInfo *op;
    } modes[] = {{"set", &OP_scatter_set}, {"add", &OP_scatter_add}, {"max", &OP_scatter_max}, {"min", &OP_scatter_min}};
    const char *mode = c->args[i].kind == VAL_STR ? c->args[i].s : c->args[i].kind == VAL_NONE ? "set" : "";
    for (size_t k = 0; k < sizeof modes / sizeof *modes; k++)
        if (!strcmp(mode, modes[k].name)) return modes[k].op;
    elab_fail(e, DL0302, arg_at(c, i), "a mode is \"set\", \"add\", \"max\" or \"min\", not %s", val_text(e, c->args[i]));
    return NULL;
}

/* Argument i, of the element type of x that it is put into; null after a report. */
static Value *values_for(Elab *e, const BuiltinCall *c, int i, const Value *x) {
    Value *v = tensor_arg(e, c, i, x->type.dtype);
    if (!v || v->type.dtype == x->type.dtype) return v;
    const char *to = dtype_name(x->type.dtype);
    int d = elab_error(e, DL0302, arg_at(c, i), "%s cannot be put into a tensor of %s", val_text(e, val_tensor(v)), to);
    diag_hint(e->diags, d, "convert them: %s(...)", to);
    return NULL;
}

/* bool has no maximum and minimum of its own: they are taken as integers. */
static Val run_scatter(Elab *e, const Builtin *self, const BuiltinCall *c) {
    Places p;
    (void)self;
    const OpInfo *op = scatter_op(e, c, 5);
    if (!op || !find_places(e, c, 3, 4, 6, &p)) return POISON;
    DType t = p.x->type.dtype;
    bool as_integers = t == DTYPE_BOOL && (op == &OP_scatter_max || op == &OP_scatter_min);
    Value *values = values_for(e, c, 2, p.x);
    Builder *b = elab_builder(e, c->at);
    values = build_broadcast_to(b, values, p.rank, p.shape);
    if (values && as_integers) {
        p.x = build_convert(b, p.x, DTYPE_U8);
        values = build_convert(b, values, DTYPE_U8);
    }
    Value *r = build_scatter(b, op, p.x, p.indices, values, p.mask, (int)p.axis, (int)p.batch, p.what);
    return val_tensor(build_convert(b, r, t));
}

/* ---------------------------------------------------------------------- update */

/* Where the update begins along axis d: an operand, unless that is 0. False after a report. */
static bool find_start(Elab *e, Span at, Val v, const Value *x, const Value *update, int d, Value **start) {
    *start = NULL;
    if (is_runtime(v)) {
        *start = elab_tensor(e, at, v, DTYPE_COUNT);
        if (*start && !(*start)->type.rank && dtype_is_int((*start)->type.dtype)) return true;
        if (*start) elab_fail(e, DL0302, at, "an update begins at integer scalars, not %s", val_text(e, v));
        return false;
    }
    Dim from = elab_dim(e, at, v), extent = x->type.shape[d];
    if (!from) return false;
    DimTable *t = &e->module->dims;
    if (dim_is_const(from) && dim_value(from) < 0) from = dim_add(t, extent, from);
    if (dim_is(from, 0)) return true;
    Dim room = dim_sub(t, dim_sub(t, extent, update->type.shape[d]), from);
    if (from->lower >= 0 && room->lower >= 0) {
        *start = build_dim(elab_builder(e, at), from, DTYPE_I64);
        return *start != NULL;
    }
    elab_fail(e, DL0306, at, "%s from %s on is beyond a dim of %s, or may be", elab_dim_text(e, update->type.shape[d]),
              elab_dim_text(e, from), elab_dim_text(e, extent));
    return false;
}

/* update(x, values, at = [0, t]): x with values in the box that begins there. */
static Val run_update(Elab *e, const Builtin *self, const BuiltinCall *c) {
    (void)self;
    Value *x = tensor_arg(e, c, 0, DTYPE_COUNT), *update = x ? values_for(e, c, 1, x) : NULL;
    if (!update) return POISON;
    Val at = c->args[2];
    Vals list = at.kind == VAL_LIST || at.kind == VAL_TUPLE ? *at.list : (Vals){1, &at};
    if (list.n != x->type.rank || update->type.rank != x->type.rank)
        return elab_fail(e, DL0301, c->at, "%s, %s and %d places to begin at: all three need the same number of dims",
                         val_text(e, val_tensor(x)), val_text(e, val_tensor(update)), list.n);
    Value *starts[MAX_RANK];
    int64_t axes[MAX_RANK];
    const char *what = "at";
    int n = 0, named = 0;
    for (int d = 0; d < list.n; d++) {
        if (!find_start(e, arg_at(c, 2), list.at[d], x, update, d, &starts[n])) return POISON;
        if (!starts[n]) continue;
        if (!starts[n]->op && starts[n]->name && !named++) what = starts[n]->name;
        axes[n++] = d;
    }
    return val_tensor(build_dynamic_update_slice(elab_builder(e, c->at), x, update, starts, axes, n, what));
}

/* ------------------------------------------------------------------ cumulative */

enum { RUN_SUM, RUN_PROD, RUN_MAX, RUN_MIN, RUN_ARGMAX, RUN_ARGMIN };

static Val run_cumulative(Elab *e, const Builtin *self, const BuiltinCall *c) {
    static const OpInfo *const ops[] = {&OP_cumulative_sum, &OP_cumulative_prod,   &OP_cumulative_max,
                                        &OP_cumulative_min, &OP_cumulative_argmax, &OP_cumulative_argmin};
    int64_t axis;
    Value *x = tensor_arg(e, c, 0, DTYPE_COUNT);
    if (!x || !elab_axis(e, arg_at(c, 1), c->args[1], x->type.rank, &axis)) return POISON;
    return val_tensor(build_cumulative(elab_builder(e, c->at), ops[self->detail], x, (int)axis, flag(c, 2)));
}

static Val run_recurrence(Elab *e, const Builtin *self, const BuiltinCall *c) {
    int64_t axis;
    (void)self;
    Value *x = tensor_arg(e, c, 1, DTYPE_COUNT), *a = x ? tensor_arg(e, c, 0, x->type.dtype) : NULL;
    Builder *b = elab_builder(e, c->at);
    if (!a || !build_broadcast_pair(b, &a, &x) || !elab_axis(e, arg_at(c, 2), c->args[2], x->type.rank, &axis))
        return POISON;
    return val_tensor(build_linear_recurrence(b, a, x, (int)axis, flag(c, 3)));
}

const Builtin builtin_index[] = {
    {"gather", "x indices axis? batch? mask?", run_gather, 0},
    {"scatter", "x indices values axis? batch? mode? mask?", run_scatter, 0},
    {"update", "x values at", run_update, 0},
    {"cumulative_sum", "x axis reverse?", run_cumulative, RUN_SUM},
    {"cumulative_prod", "x axis reverse?", run_cumulative, RUN_PROD},
    {"cumulative_max", "x axis reverse?", run_cumulative, RUN_MAX},
    {"cumulative_min", "x axis reverse?", run_cumulative, RUN_MIN},
    {"cumulative_argmax", "x axis reverse?", run_cumulative, RUN_ARGMAX},
    {"cumulative_argmin", "x axis reverse?", run_cumulative, RUN_ARGMIN},
    {"linear_recurrence", "a b axis reverse?", run_recurrence, 0},
    {NULL, NULL, NULL, 0},
};
