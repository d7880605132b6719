/* Builtins that make, move and choose: shapes, random bits. */
#include "elab_region.h"

#include "ops/ops.h"

#include <math.h>

static Value *tensor_arg(Elab *e, const BuiltinCall *c, int i, DType want) {
    return elab_tensor(e, c->nodes[i] ? c->nodes[i]->span : c->at, c->args[i], want);
}

static Span arg_at(const BuiltinCall *c, int i) { return c->nodes[i] ? c->nodes[i]->span : c->at; }

/* ------------------------------------------------------------- elementwise */

static Val run_where(Elab *e, const Builtin *self, const BuiltinCall *c) {
    (void)self;
    if (c->args[0].kind == VAL_BOOL) {
        const Val *chosen = &c->args[c->args[0].i ? 1 : 2], *other = &c->args[c->args[0].i ? 2 : 1];
        if (is_runtime(*chosen) ? is_number(*other) : !is_runtime(*other)) return *chosen;
    }
    return elab_map(e, c->at, MAP_select, c->args, 3, c->nodes);
}

/* What no element of v passes, downwards or upwards: the bound that is not given. */
static Val no_bound(Val v, bool low) {
    if (v.kind == VAL_MAP && v.map->n) v = v.map->values[0];
    DType t = is_runtime(v) ? val_type(v).dtype : DTYPE_F64;
    if (dtype_is_float(t)) return val_float(low ? -HUGE_VAL : HUGE_VAL);
    return val_int(low ? number_least(t) : number_greatest(t));
}

static Val run_clamp(Elab *e, const Builtin *self, const BuiltinCall *c) {
    (void)self;
    Val x = elab_as_map(e, c->args[0]), low = c->args[1], high = c->args[2];
    if (low.kind == VAL_NONE && high.kind == VAL_NONE)
        return elab_fail(e, DL0206, c->at, "`clamp` needs `low`, `high` or both");
    if (low.kind == VAL_NONE) low = no_bound(x, true);
    if (high.kind == VAL_NONE) high = no_bound(x, false);
    return elab_map(e, c->at, MAP_clamp, (Val[]){low, x, high}, 3,
                    (const Node *[]){c->nodes[1], c->nodes[0], c->nodes[2]});
}

Val elab_convert(Elab *e, Span at, Val v, DType to) {
    if (is_poison(v)) return v;
    v = elab_as_map(e, v);
    if (v.kind == VAL_FLOAT && dtype_is_int(to))
        v = val_int((int64_t)(v.f < -9e18 ? -9e18 : v.f > 9e18 ? 9e18 : v.f == v.f ? v.f : 0));
    if (v.kind == VAL_BOOL && to != DTYPE_BOOL) v = val_int(v.i);
    if (v.kind == VAL_MAP) {
        ParamMap *m = arena_new(e->arena, ParamMap);
        *m = (ParamMap){v.map->n, v.map->keys, arena_array(e->arena, Val, v.map->n)};
        for (int i = 0; i < m->n; i++)
            if (is_poison(m->values[i] = elab_convert(e, at, v.map->values[i], to))) return POISON;
        return (Val){.kind = VAL_MAP, .map = m};
    }
    Value *x = elab_tensor(e, at, v, to);
    return x ? val_tensor(build_convert(elab_builder(e, at), x, to)) : POISON;
}

static Val widened(Elab *e, Span at, Val v) {
    bool narrow = is_runtime(v) && dtype_is_float(val_type(v).dtype) && dtype_bytes(val_type(v).dtype) < 4;
    return narrow ? elab_convert(e, at, v, DTYPE_F32) : v;
}

/* Floats narrower than f32 as f32; what else there is, a map's values too, as it is. */
static Val run_wide(Elab *e, const Builtin *self, const BuiltinCall *c) {
    (void)self;
    Val v = elab_as_map(e, c->args[0]);
    if (v.kind == VAL_MAP) {
        ParamMap *m = arena_new(e->arena, ParamMap);
        *m = (ParamMap){v.map->n, v.map->keys, arena_array(e->arena, Val, v.map->n)};
        for (int i = 0; i < m->n; i++) m->values[i] = widened(e, c->at, v.map->values[i]);
        return (Val){.kind = VAL_MAP, .map = m};
    }
    return widened(e, c->at, v);
}

static Val run_cast(Elab *e, const Builtin *self, const BuiltinCall *c) {
    (void)self;
    if (c->args[1].kind != VAL_DTYPE)
        return elab_fail(e, DL0302, arg_at(c, 1), "cast takes a type, such as f32, not %s", val_text(e, c->args[1]));
    return elab_convert(e, c->at, c->args[0], c->args[1].dtype);
}

static Val run_bool(Elab *e, const Builtin *self, const BuiltinCall *c) {
    (void)self;
    if (c->args[0].kind == VAL_BOOL) return c->args[0];
    if (c->args[0].kind == VAL_INT) return val_bool(c->args[0].i != 0);
    return elab_convert(e, c->at, c->args[0], DTYPE_BOOL);
}

/* -------------------------------------------------------------------- made */

static Val full_map(Elab *e, const Builtin *self, const BuiltinCall *c, const ParamMap *keys);

static Val run_full(Elab *e, const Builtin *self, const BuiltinCall *c) {
    Dim shape[MAX_RANK];
    int rank;
    DType want = DTYPE_COUNT;
    Val s = c->args[0];
    if (s.kind == VAL_LIKE && s.like->map) return full_map(e, self, c, s.like->map);
    if (s.kind == VAL_LIKE) {
        rank = s.like->type.rank;
        for (int i = 0; i < rank; i++) shape[i] = s.like->type.shape[i];
        want = s.like->type.dtype;
    } else if (!elab_dims(e, arg_at(c, 0), s, shape, &rank)) {
        return POISON;
    }
    Val v = c->args[1];
    if (v.kind == VAL_INT && dtype_is_float(want)) v = val_float((double)v.i);
    if (v.kind == VAL_FLOAT && want != DTYPE_COUNT && dtype_is_int(want) && v.f == (double)(int64_t)v.f)
        v = val_int((int64_t)v.f);
    if (v.kind == VAL_FLOAT && want == DTYPE_BOOL) v = val_bool(v.f != 0);
    Value *x = elab_tensor(e, arg_at(c, 1), v, want);
    return x ? val_tensor(build_broadcast_to(elab_builder(e, c->at), x, rank, shape)) : POISON;
}

static Val full_map(Elab *e, const Builtin *self, const BuiltinCall *c, const ParamMap *keys) {
    ParamMap *m = arena_new(e->arena, ParamMap);
    *m = (ParamMap){keys->n, keys->keys, arena_array(e->arena, Val, keys->n)};
    for (int i = 0; i < m->n; i++) {
        Like *like = arena_new(e->arena, Like);
        like->type = m->keys[i]->type;
        Val args[] = {{.kind = VAL_LIKE, .like = like}, c->args[1]};
        m->values[i] = run_full(e, self, &(BuiltinCall){args, c->nodes, c->at});
        if (is_poison(m->values[i])) return POISON;
    }
    return (Val){.kind = VAL_MAP, .map = m};
}

static Val run_iota(Elab *e, const Builtin *self, const BuiltinCall *c) {
    (void)self;
    Dim n = elab_dim(e, arg_at(c, 0), c->args[0]);
    if (n && n->upper > (int64_t)INT32_MAX + 1)
        return elab_fail(e, DL0304, c->at, "iota counts in i32, but there can be %lld", (long long)n->upper);
    return n && elab_need_function(e, c->at) ? val_tensor(build_iota(elab_builder(e, c->at), DTYPE_I32, 1, &n, 0))
                                             : POISON;
}

/* ------------------------------------------------------------------- moved */

/* Replaces the one -1 of a shape by what is left; false after a report. */
static bool infer_extent(Elab *e, Span at, Type x, Dim *shape, int rank) {
    DimTable *t = &e->module->dims;
    Dim product = dim_const(t, 1);
    int hole = -1;
    const char *why;
    for (int i = 0; i < rank; i++) {
        if (!dim_is(shape[i], -1)) product = dim_mul(t, product, shape[i]);
        else if (hole < 0) hole = i;
        else {
            elab_fail(e, DL0301, at, "only one dim of a shape can be -1");
            return false;
        }
    }
    if (hole < 0) return true;
    Val q = number_binary(e, BINARY_DIV, val_dim(type_elements(t, x)), val_dim(product), &why);
    if (!is_poison(q)) shape[hole] = elab_dim(e, at, q);
    else elab_fail(e, DL0301, at, "%s cannot be reshaped so: its elements do not divide", type_text(t, x, e->arena));
    return !is_poison(q);
}

static Val run_reshape(Elab *e, const Builtin *self, const BuiltinCall *c) {
    Dim shape[MAX_RANK];
    int rank;
    (void)self;
    Value *x = tensor_arg(e, c, 0, DTYPE_COUNT);
    if (!x || !elab_dims(e, arg_at(c, 1), c->args[1], shape, &rank) || !infer_extent(e, c->at, x->type, shape, rank))
        return POISON;
    Type to = type_make(e->module, x->type.dtype, rank, shape);
    if (type_elements(&e->module->dims, to) != type_elements(&e->module->dims, x->type)) {
        int d = elab_error(e, DL0301, c->at, "%s cannot be reshaped to %s: the numbers of elements differ",
                           val_text(e, val_tensor(x)), type_text(&e->module->dims, to, e->arena));
        elab_label_operand(e, d, c->nodes[0], val_tensor(x));
        return POISON;
    }
    return val_tensor(build_reshape(elab_builder(e, c->at), x, rank, shape));
}

/* x repeated along dims that are 1 or missing in front. */
static Val run_broadcast(Elab *e, const Builtin *self, const BuiltinCall *c) {
    Dim shape[MAX_RANK];
    int rank;
    (void)self;
    Value *x = tensor_arg(e, c, 0, DTYPE_COUNT);
    if (!x || !elab_dims(e, arg_at(c, 1), c->args[1], shape, &rank)) return POISON;
    return val_tensor(build_broadcast_to(elab_builder(e, c->at), x, rank, shape));
}

static Val run_transpose(Elab *e, const Builtin *self, const BuiltinCall *c) {
    int64_t order[MAX_RANK];
    bool used[MAX_RANK] = {0};
    (void)self;
    Value *x = tensor_arg(e, c, 0, DTYPE_COUNT);
    if (!x) return POISON;
    if (c->args[1].kind != VAL_LIST || c->args[1].list->n != x->type.rank)
        return elab_fail(e, DL0306, c->at, "transpose takes a list of all %d axes in their new order", x->type.rank);
    for (int i = 0; i < x->type.rank; i++) {
        if (!elab_axis(e, arg_at(c, 1), c->args[1].list->at[i], x->type.rank, &order[i])) return POISON;
        if (used[order[i]]) return elab_fail(e, DL0306, arg_at(c, 1), "axis %lld is named twice", (long long)order[i]);
        used[order[i]] = true;
    }
    return val_tensor(build_transpose(elab_builder(e, c->at), x, order));
}

/* Tensors of a list, numbers taking the type of the first tensor; null after a report. */
static Value **tensors_of(Elab *e, const BuiltinCall *c, int *n) {
    Vals list;
    if (!elab_sequence(e, arg_at(c, 0), c->args[0], &list)) return NULL;
    if (!list.n) {
        elab_fail(e, DL0302, c->at, "a list of at least one tensor is needed");
        return NULL;
    }
    Value **xs = arena_array(e->arena, Value *, list.n);
    DType want = DTYPE_COUNT;
    for (int i = 0; i < list.n && want == DTYPE_COUNT; i++)
        if (is_runtime(list.at[i])) want = val_type(list.at[i]).dtype;
    for (int i = 0; i < list.n; i++) {
        xs[i] = elab_tensor(e, arg_at(c, 0), list.at[i], want);
        if (!xs[i]) return NULL;
        if (xs[i]->type.dtype == xs[0]->type.dtype && xs[i]->type.rank == xs[0]->type.rank) continue;
        elab_fail(e, xs[i]->type.dtype == xs[0]->type.dtype ? DL0301 : DL0302, arg_at(c, 0),
                  "tensors of a list must agree: %s and %s do not", val_text(e, val_tensor(xs[0])),
                  val_text(e, val_tensor(xs[i])));
        return NULL;
    }
    *n = list.n;
    return xs;
}

static Val run_concat(Elab *e, const Builtin *self, const BuiltinCall *c) {
    int n;
    int64_t axis;
    (void)self;
    Value **xs = tensors_of(e, c, &n);
    if (!xs || !elab_axis(e, c->at, c->args[1], xs[0]->type.rank, &axis)) return POISON;
    return val_tensor(n == 1 ? xs[0] : build_concatenate(elab_builder(e, c->at), xs, n, (int)axis));
}

static Val run_stack(Elab *e, const Builtin *self, const BuiltinCall *c) {
    int n;
    int64_t axis;
    (void)self;
    Value **xs = tensors_of(e, c, &n);
    if (!xs || !elab_axis(e, c->at, c->args[1], xs[0]->type.rank + 1, &axis)) return POISON;
    if (xs[0]->type.rank == MAX_RANK) return elab_fail(e, DL0301, c->at, "a tensor has at most %d dims", MAX_RANK);
    for (int i = 0; i < n; i++) {
        Dim shape[MAX_RANK];
        for (int k = 0, j = 0; k <= xs[i]->type.rank; k++)
            shape[k] = k == axis ? dim_const(&e->module->dims, 1) : xs[i]->type.shape[j++];
        xs[i] = build_reshape(elab_builder(e, c->at), xs[i], xs[i]->type.rank + 1, shape);
    }
    return val_tensor(n == 1 ? xs[0] : build_concatenate(elab_builder(e, c->at), xs, n, (int)axis));
}

static Value *slice_axis(Elab *e, Span at, Value *x, int64_t axis, Dim from, Dim to) {
    Dim start[MAX_RANK], limit[MAX_RANK];
    int64_t step[MAX_RANK];
    for (int i = 0; i < x->type.rank; i++) {
        start[i] = i == axis ? from : dim_const(&e->module->dims, 0);
        limit[i] = i == axis ? to : x->type.shape[i];
        step[i] = 1;
    }
    return build_slice(elab_builder(e, at), x, start, limit, step);
}

/* split(x, 4, axis = -1): equal parts; split(x, [2, 3], axis = 0): of these sizes. */
static Val run_split(Elab *e, const Builtin *self, const BuiltinCall *c) {
    DimTable *t = &e->module->dims;
    int64_t axis;
    const char *why;
    (void)self;
    Value *x = tensor_arg(e, c, 0, DTYPE_COUNT);
    if (!x || !elab_axis(e, c->at, c->args[2].kind == VAL_NONE ? val_int(0) : c->args[2], x->type.rank, &axis))
        return POISON;
    bool equal = c->args[1].kind == VAL_INT;
    int n = equal                         ? (int)(c->args[1].i > 100000 ? 0 : c->args[1].i)
            : c->args[1].kind == VAL_LIST ? c->args[1].list->n
                                          : 0;
    if (n < 1)
        return elab_fail(e, DL0302, arg_at(c, 1), "split takes a number of parts or a list of sizes, not %s",
                         val_text(e, c->args[1]));
    Val extent = val_dim(x->type.shape[axis]),
        part = equal ? number_binary(e, BINARY_DIV, extent, val_int(n), &why) : POISON;
    if (equal && is_poison(part))
        return elab_fail(e, DL0301, c->at, "%s does not split into %d equal parts", val_text(e, extent), n);
    Val *all = arena_array(e->arena, Val, n);
    Dim from = dim_const(t, 0);
    for (int i = 0; i < n; i++) {
        Dim size = elab_dim(e, arg_at(c, 1), equal ? part : c->args[1].list->at[i]);
        if (!size) return POISON;
        all[i] = val_tensor(slice_axis(e, c->at, x, axis, from, dim_add(t, from, size)));
        if (is_poison(all[i])) return POISON;
        from = dim_add(t, from, size);
    }
    if (from != x->type.shape[axis])
        return elab_fail(e, DL0301, c->at, "the parts make %s, not %s", val_text(e, val_dim(from)),
                         val_text(e, extent));
    return val_list(e, VAL_LIST, all, n);
}

/* A vector along one axis of x, ready to broadcast with it. */
static Val run_along(Elab *e, const Builtin *self, const BuiltinCall *c) {
    int64_t axis;
    (void)self;
    Value *v = tensor_arg(e, c, 0, DTYPE_COUNT), *x = tensor_arg(e, c, 1, DTYPE_COUNT);
    if (!v || !x || !elab_axis(e, arg_at(c, 2), c->args[2], x->type.rank, &axis)) return POISON;
    if (v->type.rank != 1 || v->type.shape[0] != x->type.shape[axis]) {
        int d = elab_error(e, DL0301, c->at, "%s does not lie along axis %lld of %s", val_text(e, c->args[0]),
                           (long long)axis, val_text(e, c->args[1]));
        elab_label_operand(e, d, c->nodes[0], c->args[0]);
        elab_label_operand(e, d, c->nodes[1], c->args[1]);
        return POISON;
    }
    return val_tensor(build_broadcast_in_dim(elab_builder(e, c->at), v, x->type.rank, x->type.shape, &axis));
}

static Val run_reverse(Elab *e, const Builtin *self, const BuiltinCall *c) {
    int64_t axis;
    (void)self;
    Value *x = tensor_arg(e, c, 0, DTYPE_COUNT);
    if (!x || !elab_axis(e, c->at, c->args[1], x->type.rank, &axis)) return POISON;
    return val_tensor(build_reverse(elab_builder(e, c->at), x, &axis, 1));
}

static bool integer_arg(Elab *e, const BuiltinCall *c, int i, int64_t otherwise, int64_t *to) {
    *to = c->args[i].kind == VAL_INT ? c->args[i].i : otherwise;
    if (c->args[i].kind == VAL_INT || c->args[i].kind == VAL_NONE) return true;
    elab_fail(e, DL0302, arg_at(c, i), "an integer known at compile time is needed, not %s", val_text(e, c->args[i]));
    return false;
}

/* How many elements to put between neighbours along each axis: a list with a number for each, or nothing. */
static bool interior_arg(Elab *e, const BuiltinCall *c, int i, int rank, int64_t *to) {
    Val v = c->args[i];
    bool listed = v.kind == VAL_LIST || v.kind == VAL_TUPLE;
    for (int d = 0; d < rank; d++) to[d] = 0;
    if (v.kind == VAL_NONE) return true;
    if (!listed || v.list->n != rank) {
        elab_fail(e, DL0307, arg_at(c, i), "`interior` is a list with an integer for each of the %d dims", rank);
        return false;
    }
    for (int d = 0; d < rank; d++) {
        Val one[] = {v.list->at[d]};
        const Node *node[] = {c->nodes[i]};
        if (!integer_arg(e, &(BuiltinCall){one, node, c->at}, 0, 0, &to[d])) return false;
    }
    return true;
}

/* Adds low before, high after and interior between elements along each axis; negative sizes cut off. */
static Val run_pad(Elab *e, const Builtin *self, const BuiltinCall *c) {
    Dim low[MAX_RANK], high[MAX_RANK];
    int64_t interior[MAX_RANK];
    int n_low, n_high;
    (void)self;
    Value *x = tensor_arg(e, c, 0, DTYPE_COUNT);
    if (!x || !elab_dims(e, arg_at(c, 1), c->args[1], low, &n_low) ||
        !elab_dims(e, arg_at(c, 2), c->args[2], high, &n_high))
        return POISON;
    if (n_low != x->type.rank || n_high != x->type.rank)
        return elab_fail(e, DL0307, c->at, "pad takes a size for each of the %d dims", x->type.rank);
    if (!interior_arg(e, c, 4, x->type.rank, interior)) return POISON;
    Val fill = c->args[3].kind == VAL_NONE ? (x->type.dtype == DTYPE_BOOL ? val_bool(false) : val_int(0)) : c->args[3];
    Value *f = elab_tensor(e, c->at, fill, x->type.dtype);
    Value *r = f ? build_pad(elab_builder(e, c->at), x, f, low, high, interior) : NULL;
    for (int i = 0; r && i < x->type.rank; i++)
        if (dim_is(r->type.shape[i], 0) && !dim_is(x->type.shape[i], 0))
            return elab_fail(e, DL0301, c->at, "pad cuts all of dim %d off, which is %s", i,
                             elab_dim_text(e, x->type.shape[i]));
    return val_tensor(r);
}

/* ------------------------------------------------------------------ random */

/* The place a draw stands for: function, instance path and ordinal, or the variable being initialised. */
static uint64_t next_site(Elab *e) {
    FuncBuild *f = e->build;
    const char *path = f->site_path;
    for (Frame *at = e->frame; !f->init && !path && at; at = at->caller)
        if (at->self) path = at->self->path;
    path = intern(e->names, arena_printf(e->arena, "%s/%s", f->name, path ? path : ""));
    int n = -1;
    for (int i = 0; i < f->sites.n && n < 0; i++)
        if (f->sites.at[i].path == path) n = ++f->sites.at[i].n;
    if (n < 0) vec_push(e->arena, &f->sites, (SiteCount){path, n = 0});
    const char *key = arena_printf(e->arena, "%s#%d", path, n);
    return hash_text(key, strlen(key));
}

/* Each element's place in row-major order, i64. */
static Value *flat_index(Elab *e, Builder *b, int rank, const Dim *shape) {
    Value *sum = NULL;
    Dim stride = dim_const(&e->module->dims, 1);
    for (int i = rank - 1; i >= 0; i--) {
        Value *k = build_iota(b, DTYPE_I64, rank, shape, i);
        if (!dim_is(stride, 1)) {
            Value *s = dim_is_const(stride) ? build_constant(b, type_scalar(DTYPE_I64), (double)dim_value(stride))
                                            : build_dim(b, stride, DTYPE_I64);
            k = build_map2(b, MAP_multiply, k, build_broadcast_to(b, s, rank, shape));
        }
        sum = sum ? build_map2(b, MAP_add, sum, k) : k;
        stride = dim_mul(&e->module->dims, stride, shape[i]);
    }
    return sum ? sum : build_constant(b, type_scalar(DTYPE_I64), 0);
}

/* random_bits(shape, n): n tensors of 32 random bits each, as i32. With a key they depend on that alone. */
static Val run_random_bits(Elab *e, const Builtin *self, const BuiltinCall *c) {
    Dim shape[MAX_RANK];
    int rank;
    int64_t words;
    (void)self;
    if (!elab_need_function(e, c->at) || !integer_arg(e, c, 1, 1, &words)) return POISON;
    if (words < 1 || words > 4)
        return elab_fail(e, DL0306, c->at, "1 to 4 words of random bits can be drawn at a time");
    if (c->args[0].kind == VAL_LIKE && !c->args[0].like->map) {
        rank = c->args[0].like->type.rank;
        memcpy(shape, c->args[0].like->type.shape, sizeof(Dim) * (size_t)rank);
    } else if (!elab_dims(e, arg_at(c, 0), c->args[0], shape, &rank)) {
        return POISON;
    }
    Builder *b = elab_builder(e, c->at);
    Value *seed = func_seed(b->func), *count = NULL;
    if (c->args[2].kind != VAL_NONE) {
        Value *key = tensor_arg(e, c, 2, DTYPE_I64);
        if (!key) return POISON;
        if (key->type.rank || !dtype_is_int(key->type.dtype))
            return elab_fail(e, DL0302, arg_at(c, 2), "a key is one integer, not %s", val_text(e, c->args[2]));
        seed = build_convert(b, key, DTYPE_I64);
    } else if (!e->build->init) count = func_count(b->func);
    if (!count) count = build_constant(b, type_scalar(DTYPE_I64), 0);
    Type whole = {.rank = rank, .shape = shape};
    Value *index = body_draw_index(e, b, flat_index(e, b, rank, shape), type_elements(&e->module->dims, whole));
    uint64_t site = next_site(e);
    Val all[4];
    for (int w = 0; w < words; w++) {
        all[w] = val_tensor(build_random_bits(b, seed, count, index, site, w));
        if (is_poison(all[w])) return POISON;
    }
    return val_list(e, VAL_LIST, all, (int)words);
}

const Builtin builtin_tensors[] = {
    {"where", "condition x y", run_where, 0},
    {"clamp", "x low? high?", run_clamp, 0},
    {"cast", "x type", run_cast, 0},
    {"wide", "x", run_wide, 0},
    {"bool", "x", run_bool, 0},
    {"full", "shape value", run_full, 0},
    {"iota", "n", run_iota, 0},
    {"reshape", "x shape", run_reshape, 0},
    {"broadcast", "x shape", run_broadcast, 0},
    {"transpose", "x axes", run_transpose, 0},
    {"concat", "xs axis", run_concat, 0},
    {"stack", "xs axis", run_stack, 0},
    {"split", "x parts axis?", run_split, 0},
    {"along", "v x axis", run_along, 0},
    {"reverse", "x axis", run_reverse, 0},
    {"pad", "x low high value? interior?", run_pad, 0},
    {"random_bits", "shape words? key?", run_random_bits, 0},
    {NULL, NULL, NULL, 0},
};
