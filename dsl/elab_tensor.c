/* Tensor arithmetic of the elaborator: numbers meet tensors, shapes broadcast, maps lift, `@` contracts. */
#include "elab.h"

/* ------------------------------------------------------------- conversions */

bool elab_need_function(Elab *e, Span at) {
    if (e->build) return true;
    elab_fail(e, DL0308, at,
              "a tensor is computed here, but while a model is put together only compile-time values are known");
    return false;
}

static DType default_dtype(Elab *e, Val v) {
    return v.kind == VAL_FLOAT ? e->options->num : v.kind == VAL_BOOL ? DTYPE_BOOL : DTYPE_I32;
}

/* Whether a compile-time value can be an element of the type; reports if not. */
static bool element_fits(Elab *e, Span at, Val v, DType t) {
    static const int64_t ranges[DTYPE_COUNT][2] = {
        [DTYPE_I64] = {INT64_MIN, INT64_MAX},
        [DTYPE_I32] = {INT32_MIN, INT32_MAX},
        [DTYPE_I8] = {-128, 127},
        [DTYPE_U8] = {0, 255},
    };
    const char *why = NULL;
    if (v.kind == VAL_FLOAT && !dtype_is_float(t)) why = "only float tensors take it";
    else if (v.kind == VAL_BOOL && t != DTYPE_BOOL) why = "only bool tensors take it";
    else if (v.kind != VAL_BOOL && t == DTYPE_BOOL) why = "only true and false are bool";
    else if (v.kind == VAL_INT && dtype_is_int(t) && (v.i < ranges[t][0] || v.i > ranges[t][1]))
        why = "it is out of range";
    if (!why) return true;
    int d = elab_error(e, DL0302, at, "%s cannot be %s: %s", val_text(e, v), dtype_name(t), why);
    if (v.kind == VAL_FLOAT && dtype_is_int(t)) diag_hint(e->diags, d, "convert the tensor: f32(x)");
    return false;
}

/* A list as a tensor while it is gone through: lists in lists are rows, all of one length. */
typedef struct Literal {
    Elab *e;
    Span at;
    DType want;
    int rank;
    int64_t shape[MAX_RANK];
    VEC(double) values;
} Literal;

static bool add_number(Literal *l, Val v) {
    Elab *e = l->e;
    if (v.kind != VAL_INT && v.kind != VAL_FLOAT && v.kind != VAL_BOOL) {
        elab_fail(e, DL0302, l->at, "a list is a tensor only if it holds numbers; this one holds %s", val_text(e, v));
        return false;
    }
    if (!element_fits(e, l->at, v, l->want)) return false;
    vec_push(e->arena, &l->values, v.kind == VAL_FLOAT ? v.f : (double)v.i);
    return true;
}

static bool add_list(Literal *l, const Vals *list, int depth) {
    if (depth == MAX_RANK) {
        elab_fail(l->e, DL0301, l->at, "a tensor has at most %d dims", MAX_RANK);
        return false;
    }
    bool rows = list->n && list->at[0].kind == VAL_LIST, first = l->rank <= depth;
    if (first) l->rank = depth + 1, l->shape[depth] = list->n;
    if (l->shape[depth] != list->n) {
        elab_fail(l->e, DL0301, l->at, "the rows of this list differ in length");
        return false;
    }
    for (int i = 0; i < list->n; i++) {
        Val v = list->at[i];
        if (rows && v.kind == VAL_LIST ? !add_list(l, v.list, depth + 1) : !add_number(l, v)) return false;
    }
    return true;
}

/* Of the list's numbers: floats if one of them is. */
static DType list_dtype(Elab *e, const Vals *list) {
    DType t = DTYPE_COUNT;
    for (int i = 0; i < list->n && !dtype_is_float(t); i++) {
        Val v = list->at[i];
        DType own = v.kind == VAL_LIST ? list_dtype(e, v.list) : default_dtype(e, v);
        if (t == DTYPE_COUNT || (own != DTYPE_COUNT && dtype_is_float(own))) t = own;
    }
    return t;
}

static Value *list_literal(Elab *e, Span at, const Vals *list, DType want) {
    Literal l = {.e = e, .at = at, .want = want == DTYPE_COUNT ? list_dtype(e, list) : want};
    Dim shape[MAX_RANK];
    int64_t count = 1;
    if (!add_list(&l, list, 0)) return NULL;
    for (int i = 0; i < l.rank; i++) {
        shape[i] = dim_const(&e->module->dims, l.shape[i]);
        count *= l.shape[i];
    }
    if (count != l.values.n) {
        elab_fail(e, DL0301, at, "the rows of this list differ in length");
        return NULL;
    }
    if (l.want == DTYPE_COUNT) l.want = e->options->num;
    vec_push(e->arena, &l.values, 0);
    return build_literal(elab_builder(e, at), type_make(e->module, l.want, l.rank, shape), l.values.at, count);
}

/* A compile-time value filling a shape. */
static Value *filled(Elab *e, Span at, Val v, DType want, int rank, const Dim *shape) {
    if (want == DTYPE_COUNT) want = default_dtype(e, v);
    if (!element_fits(e, at, v, want)) return NULL;
    Builder *b = elab_builder(e, at);
    if (v.kind == VAL_DIM) return build_broadcast_to(b, build_dim(b, v.dim, want), rank, shape);
    return build_constant(b, type_make(e->module, want, rank, shape), v.kind == VAL_FLOAT ? v.f : (double)v.i);
}

Value *elab_tensor(Elab *e, Span at, Val v, DType want) {
    if (is_poison(v) || !elab_need_function(e, at)) return NULL;
    if (v.kind == VAL_TENSOR) return v.tensor;
    if (v.kind == VAL_VAR) return elab_read(e, at, v.var);
    if (is_number(v) || v.kind == VAL_BOOL) return filled(e, at, v, want, 0, NULL);
    if (v.kind == VAL_LIST && v.list->n) return list_literal(e, at, v.list, want);
    int d = elab_error(e, DL0302, at, "a tensor is needed here, not %s", val_text(e, v));
    if (v.kind == VAL_BOUND)
        diag_hint(e->diags, d, "a function knows the dims in the shapes of its arguments: fn f(x: num[%s, ..])",
                  v.bound->name);
    return NULL;
}

/* ------------------------------------------------------------ broadcasting */

/* The common shape of two by the usual rule; the axis (from the end, from 1) that disagrees, or 0. */
static int common_shape(int rank_a, const Dim *a, int rank_b, const Dim *b, int *rank, Dim *to) {
    *rank = rank_a > rank_b ? rank_a : rank_b;
    for (int i = 1; i <= *rank; i++) {
        Dim x = i <= rank_a ? a[rank_a - i] : NULL, y = i <= rank_b ? b[rank_b - i] : NULL;
        if (x && y && x != y && !dim_is(x, 1) && !dim_is(y, 1)) return i;
        to[*rank - i] = !x || (y && dim_is(x, 1)) ? y : x;
    }
    return 0;
}

static void report_broadcast(Elab *e, Span at, Val a, Val b, int axis, const Node *left, const Node *right) {
    Type x = val_type(a), y = val_type(b);
    Dim p = x.shape[x.rank - axis], q = y.shape[y.rank - axis];
    int d = elab_error(e, DL0301, at, "shapes %s and %s do not fit: %s differs from %s in the %s dim", val_text(e, a),
                       val_text(e, b), elab_dim_text(e, p), elab_dim_text(e, q),
                       axis == 1 ? "last" : axis == 2 ? "second last" : axis == 3 ? "third last" : "leading");
    elab_label_operand(e, d, left, a);
    elab_label_operand(e, d, right, b);
    if (!dim_is_const(p) || !dim_is_const(q))
        diag_note(e->diags, d, "a dim broadcasts only if it is 1 at compile time");
    if (!dim_is_const(p) && !dim_is_const(q))
        diag_hint(e->diags, d, "sizes that are always equal have one name, or one says the other: f32[2 * N]");
}

/* The one that loses less of both. */
static DType wider(DType x, DType y) {
    if (dtype_is_float(x) != dtype_is_float(y)) return dtype_is_float(x) ? x : y;
    if (dtype_is_float(x) && dtype_bytes(x) == dtype_bytes(y)) return DTYPE_F32;
    return dtype_bytes(x) >= dtype_bytes(y) ? x : y;
}

static bool report_dtypes(Elab *e, Span at, Val a, Val b, const Node *left, const Node *right) {
    DType x = val_type(a).dtype, y = val_type(b).dtype;
    int d = elab_error(e, DL0302, at, "%s and %s do not mix", dtype_name(x), dtype_name(y));
    elab_label_operand(e, d, left, a);
    elab_label_operand(e, d, right, b);
    diag_hint(e->diags, d, "convert one of them: %s(...)", dtype_name(wider(x, y)));
    return false;
}

/* ------------------------------------------------------------- elementwise */

static bool all_vars(const Vals *list) {
    for (int i = 0; i < list->n; i++)
        if (list->at[i].kind != VAL_VAR) return false;
    return list->n > 0;
}

Val elab_as_map(Elab *e, Val v) {
    if (v.kind != VAL_LIST || !all_vars(v.list)) return v;
    ParamMap *m = arena_new(e->arena, ParamMap);
    m->n = v.list->n;
    m->values = v.list->at;
    m->keys = arena_array(e->arena, Var *, m->n);
    for (int i = 0; i < m->n; i++) m->keys[i] = v.list->at[i].var;
    return (Val){.kind = VAL_MAP, .map = m};
}

static const Val *map_lookup(const ParamMap *m, const Var *key) {
    for (int i = 0; i < m->n; i++)
        if (m->keys[i] == key) return &m->values[i];
    return NULL;
}

/* One result for each key; every map must have the same keys. */
static Val lift(Elab *e, Span at, MapFn f, const Val *args, int n, const ParamMap *keys) {
    ParamMap *to = arena_new(e->arena, ParamMap);
    to->n = keys->n;
    to->keys = keys->keys;
    to->values = arena_array(e->arena, Val, keys->n);
    for (int k = 0; k < keys->n; k++) {
        Val at_key[3];
        for (int i = 0; i < n; i++) {
            at_key[i] = args[i];
            if (args[i].kind != VAL_MAP) continue;
            const Val *v = map_lookup(args[i].map, keys->keys[k]);
            if (!v)
                return elab_fail(e, DL0302, at, "these maps are over different parameters: one lacks `%s`",
                                 keys->keys[k]->name);
            at_key[i] = *v;
        }
        to->values[k] = elab_map(e, at, f, at_key, n, NULL);
        if (is_poison(to->values[k])) return POISON;
    }
    return (Val){.kind = VAL_MAP, .map = to};
}

/* What the operands of a MAP have in common. */
typedef struct Common {
    DType dtype;               /* DTYPE_COUNT: no tensor decides */
    int first;                 /* the operand that decided */
    int rank, shaped;          /* shaped: an operand that has the shape, -1 while none */
    Dim shape[MAX_RANK];
} Common;

static bool join_operand(Elab *e, Span at, Common *c, const Val *args, int i, bool typed, const Node *const *nodes) {
    const Node *left = NULL, *right = nodes ? nodes[i] : NULL;
    Type t = val_type(args[i]);
    if (typed && c->dtype != DTYPE_COUNT && c->dtype != t.dtype)
        return report_dtypes(e, at, args[c->first], args[i], nodes ? nodes[c->first] : NULL, right);
    if (typed && c->dtype == DTYPE_COUNT) {
        c->dtype = t.dtype;
        c->first = i;
    }
    Dim shape[MAX_RANK];
    int rank, axis = common_shape(c->rank, c->shape, t.rank, t.shape, &rank, shape);
    if (axis) {
        if (nodes && c->shaped >= 0) left = nodes[c->shaped];
        report_broadcast(e, at, args[c->shaped], args[i], axis, left, right);
        return false;
    }
    if (t.rank >= c->rank) c->shaped = i;
    c->rank = rank;
    memcpy(c->shape, shape, sizeof shape);
    return true;
}

static bool find_common(Elab *e, Span at, MapFn f, const Val *args, int n, const Node *const *nodes, Common *c) {
    *c = (Common){.dtype = DTYPE_COUNT, .shaped = -1};
    for (int i = 0; i < n; i++) {
        bool typed = !(f == MAP_select && i == 0);
        if (is_runtime(args[i]) && !join_operand(e, at, c, args, i, typed, nodes)) return false;
    }
    if (c->dtype != DTYPE_COUNT) return true;
    for (int i = f == MAP_select; i < n; i++) {
        DType t = args[i].kind == VAL_FLOAT || is_size(args[i]) || args[i].kind == VAL_BOOL ? default_dtype(e, args[i])
                                                                                            : DTYPE_COUNT;
        if (c->dtype == DTYPE_COUNT || dtype_is_float(t)) c->dtype = t;
    }
    return true;
}

static bool takes(const OpInfo *info, DType t) {
    return info->types & (dtype_is_float(t) ? CLASS_FLOAT : dtype_is_int(t) ? CLASS_INT : CLASS_BOOL);
}

static bool operand_types_fit(Elab *e, Span at, MapFn f, const Val *args, const Common *c, const Node *const *nodes) {
    if (f == MAP_select) {
        if (is_runtime(args[0]) ? val_type(args[0]).dtype == DTYPE_BOOL : args[0].kind == VAL_BOOL) return true;
        elab_fail(e, DL0302, nodes && nodes[0] ? nodes[0]->span : at, "a condition is bool, not %s",
                  val_text(e, args[0]));
        return false;
    }
    const OpInfo *info = op_of_map(f);
    if (c->dtype == DTYPE_COUNT || takes(info, c->dtype)) return true;
    int d = elab_error(e, DL0302, at, "`%s` does not take %s", info->name, dtype_name(c->dtype));
    elab_label_operand(e, d, nodes ? nodes[c->first] : NULL, args[c->first]);
    return false;
}

static Value *shaped_operand(Elab *e, Span at, Val v, DType dtype, const Common *c) {
    if (is_number(v) || v.kind == VAL_BOOL) return filled(e, at, v, dtype, c->rank, c->shape);
    Value *x = elab_tensor(e, at, v, dtype);
    return x ? build_broadcast_to(elab_builder(e, at), x, c->rank, c->shape) : NULL;
}

/* The type that numbers take from the tensors they meet. */
static DType type_met(MapFn f, const Val *args, int n) {
    for (int i = f == MAP_select; i < n; i++)
        if (is_runtime(args[i])) return val_type(args[i]).dtype;
    return DTYPE_COUNT;
}

Val elab_map(Elab *e, Span at, MapFn f, const Val *args, int n, const Node *const *nodes) {
    Val own[3];
    bool numbers = true;
    for (int i = 0; i < n; i++) {
        if (is_poison(args[i])) return POISON;
        own[i] = elab_as_map(e, args[i]);
        if (own[i].kind == VAL_MAP) {
            for (int j = i + 1; j < n; j++) own[j] = elab_as_map(e, args[j]);
            return lift(e, at, f, own, n, own[i].map);
        }
        if (own[i].kind == VAL_LIST) own[i] = val_tensor(elab_tensor(e, at, own[i], type_met(f, args, n)));
        if (is_poison(own[i])) return POISON;
        numbers = numbers && (own[i].kind == VAL_INT || own[i].kind == VAL_FLOAT);
    }
    if (numbers) {
        Val v = number_map(e, f, own, n);
        return is_poison(v)
                   ? elab_fail(e, DL0303, at, "`%s` of %s is no number", op_of_map(f)->name, val_text(e, own[0]))
                   : v;
    }
    Common c;
    if (!elab_need_function(e, at) || !find_common(e, at, f, own, n, nodes, &c) ||
        !operand_types_fit(e, at, f, own, &c, nodes))
        return POISON;
    Value *operands[3];
    for (int i = 0; i < n; i++) {
        operands[i] = shaped_operand(e, nodes && nodes[i] ? nodes[i]->span : at, own[i],
                                     f == MAP_select && i == 0 ? DTYPE_BOOL : c.dtype, &c);
        if (!operands[i]) return POISON;
    }
    return val_tensor(build_map(elab_builder(e, at), f, operands, n));
}

/* --------------------------------------------------------- binary and unary */

static const MapFn binary_maps[BINARY_COUNT] = {
    [BINARY_ADD] = MAP_add, [BINARY_SUB] = MAP_subtract, [BINARY_MUL] = MAP_multiply, [BINARY_DIV] = MAP_divide,
    [BINARY_MOD] = MAP_remainder, [BINARY_POW] = MAP_power, [BINARY_EQ] = MAP_equal, [BINARY_NE] = MAP_not_equal,
    [BINARY_LT] = MAP_less, [BINARY_LE] = MAP_less_equal, [BINARY_GT] = MAP_greater, [BINARY_GE] = MAP_greater_equal,
    [BINARY_AND] = MAP_and, [BINARY_OR] = MAP_or,
};

/* x ^ 2 and x ^ 3 are products, x ^ 0.5 a root: exact, and defined for negative x and for integers. */
static bool simple_power(Elab *e, Span at, Val x, Val exponent, Val *to) {
    bool two = exponent.kind == VAL_INT ? exponent.i == 2 : exponent.f == 2;
    bool three = exponent.kind == VAL_INT ? exponent.i == 3 : exponent.f == 3;
    if (exponent.kind != VAL_INT && exponent.kind != VAL_FLOAT) return false;
    if (!two && !three) {
        if (exponent.kind != VAL_FLOAT || exponent.f != 0.5) return false;
        *to = elab_map(e, at, MAP_sqrt, &x, 1, NULL);
        return true;
    }
    *to = elab_map(e, at, MAP_multiply, (Val[]){x, x}, 2, NULL);
    if (three) *to = elab_map(e, at, MAP_multiply, (Val[]){*to, x}, 2, NULL);
    return true;
}

static bool is_tensorish(Elab *e, Val v) {
    v = elab_as_map(e, v);
    return is_runtime(v) || v.kind == VAL_MAP;
}

static Val report_operands(Elab *e, Span at, BinaryOp op, Val a, Val b, const char *why, const Node *left,
                           const Node *right) {
    int d = why ? elab_error(e, DL0303, at, "`%s` of %s and %s: %s", binary_op_text(op), val_text(e, a), val_text(e, b),
                             why)
                : elab_error(e, DL0302, at, "`%s` does not take %s and %s", binary_op_text(op), val_text(e, a),
                             val_text(e, b));
    elab_label_operand(e, d, left, a);
    elab_label_operand(e, d, right, b);
    bool by_zero = b.kind == VAL_INT && !b.i;
    if (why && op == BINARY_DIV && a.kind == VAL_DIM && b.kind == VAL_INT && !by_zero)
        diag_hint(e->diags, d, "declare it as a multiple, as in x: f32[B, %lld * N]; div(a, b) rounds down",
                  (long long)b.i);
    else if (why && op == BINARY_DIV && is_size(a) && is_size(b) && !by_zero)
        diag_hint(e->diags, d,
                  "write div(a, b) for the quotient rounded down, or a number with a point for a fraction");
    return POISON;
}

/* A comparison or remainder of dims, computed when the model runs. */
static Val runtime_dims(Elab *e, Span at, BinaryOp op, Val a, Val b) {
    Value *x = elab_tensor(e, at, a, DTYPE_I64), *y = elab_tensor(e, at, b, DTYPE_I64);
    return x && y ? val_tensor(build_map2(elab_builder(e, at), binary_maps[op], x, y)) : POISON;
}

Val elab_binary_vals(Elab *e, Span at, BinaryOp op, Val a, Val b, const Node *left, const Node *right) {
    if (is_poison(a) || is_poison(b)) return POISON;
    if (op == BINARY_MATMUL) return elab_matmul(e, at, a, b, left, right);
    if (!is_tensorish(e, a) && !is_tensorish(e, b)) {
        const char *why;
        Val v = number_binary(e, op, a, b, &why);
        if (is_poison(v) && why == number_undecided && e->build) return runtime_dims(e, at, op, a, b);
        return is_poison(v) ? report_operands(e, at, op, a, b, why, left, right) : v;
    }
    if ((op == BINARY_EQ || op == BINARY_NE) && (a.kind == VAL_NONE || b.kind == VAL_NONE))
        return val_bool(op == BINARY_NE);
    Val simple;
    if (op == BINARY_POW && simple_power(e, at, a, b, &simple)) return simple;
    if (op == BINARY_DIV && ((is_runtime(a) && !dtype_is_float(val_type(a).dtype)) ||
                             (is_runtime(b) && !dtype_is_float(val_type(b).dtype)))) {
        int d = elab_error(e, DL0302, at, "`/` is for floats; %s / %s are whole", val_text(e, a), val_text(e, b));
        diag_hint(e->diags, d, "write div(a, b) for the quotient rounded down");
        return POISON;
    }
    return elab_map(e, at, binary_maps[op], (Val[]){a, b}, 2, (const Node *[]){left, right});
}

Val elab_binary(Elab *e, const Node *n) {
    Val a = elab_eval(e, n->kids[0]);
    if ((n->i == BINARY_AND || n->i == BINARY_OR) && a.kind == VAL_BOOL && a.i == (n->i == BINARY_OR)) return a;
    Val b = elab_eval(e, n->kids[1]);
    return elab_binary_vals(e, n->span, (BinaryOp)n->i, a, b, n->kids[0], n->kids[1]);
}

Val elab_unary(Elab *e, const Node *n) {
    Val v = elab_eval(e, n->kids[0]);
    if (is_poison(v)) return v;
    if (n->i == UNARY_NOT) {
        if (v.kind == VAL_BOOL) return val_bool(!v.i);
        if (is_runtime(v) && val_type(v).dtype == DTYPE_BOOL)
            return elab_map(e, n->span, MAP_not, &v, 1, (const Node *[]){n->kids[0]});
        return elab_fail(e, DL0302, n->span, "`not` takes bool, not %s", val_text(e, v));
    }
    if (is_size(v)) return elab_binary_vals(e, n->span, BINARY_SUB, val_int(0), v, NULL, n->kids[0]);
    if (v.kind == VAL_FLOAT) return val_float(-v.f);
    if (is_tensorish(e, v)) return elab_map(e, n->span, MAP_negate, &v, 1, (const Node *[]){n->kids[0]});
    return elab_fail(e, DL0302, n->span, "`-` does not take %s", val_text(e, v));
}

/* ------------------------------------------------------------------ matmul */

static Val report_matmul(Elab *e, Span at, Value *a, Value *b, const Node *left, const Node *right, const char *p_name,
                         Dim p, const char *q_name, Dim q) {
    Val x = val_tensor(a), y = val_tensor(b);
    int d = elab_error(e, DL0301, at, "shapes %s and %s do not fit `@`: %s of the left is %s, %s of the right %s",
                       val_text(e, x), val_text(e, y), p_name, elab_dim_text(e, p), q_name, elab_dim_text(e, q));
    elab_label_operand(e, d, left, x);
    elab_label_operand(e, d, right, y);
    if (a->type.rank >= 1 && b->type.rank == 2 && b->type.shape[1] == a->type.shape[a->type.rank - 1])
        diag_hint(e->diags, d, "the right side transposed would fit: `.T`");
    return POISON;
}

/* Gives x the batch dims of the common shape, keeping its last two. */
static Value *with_batch(Builder *b, Value *x, int batch, const Dim *shape) {
    Dim full[MAX_RANK];
    memcpy(full, shape, sizeof(Dim) * (size_t)batch);
    full[batch] = x->type.shape[x->type.rank - 2];
    full[batch + 1] = x->type.shape[x->type.rank - 1];
    return build_broadcast_to(b, x, batch + 2, full);
}

static Val batched_matmul(Elab *e, Span at, Value *a, Value *b, const Node *left, const Node *right) {
    Builder *bd = elab_builder(e, at);
    Dim shape[MAX_RANK];
    int batch, axis = common_shape(a->type.rank - 2, a->type.shape, b->type.rank - 2, b->type.shape, &batch, shape);
    if (axis)
        return report_matmul(e, at, a, b, left, right, "a batch dim", a->type.shape[a->type.rank - 2 - axis], "that",
                             b->type.shape[b->type.rank - 2 - axis]);
    a = with_batch(bd, a, batch, shape);
    b = with_batch(bd, b, batch, shape);
    if (!a || !b) return POISON;
    int64_t axes[MAX_RANK], last = batch + 1, first = batch;
    for (int i = 0; i < batch; i++) axes[i] = i;
    return val_tensor(build_dot_general(bd, a, b, axes, axes, batch, &last, &first, 1));
}

Val elab_matmul(Elab *e, Span at, Val va, Val vb, const Node *left, const Node *right) {
    Value *a = elab_tensor(e, at, va, DTYPE_COUNT), *b = elab_tensor(e, at, vb, DTYPE_COUNT);
    if (!a || !b) return POISON;
    if (a->type.dtype != b->type.dtype) {
        report_dtypes(e, at, val_tensor(a), val_tensor(b), left, right);
        return POISON;
    }
    int ra = a->type.rank, rb = b->type.rank;
    if (ra < 1 || rb < 1) {
        int d = elab_error(e, DL0301, at, "`@` takes matrices, not the scalar on its %s", ra < 1 ? "left" : "right");
        elab_label_operand(e, d, ra < 1 ? left : right, ra < 1 ? va : vb);
        return POISON;
    }
    int64_t la = ra - 1, lb = rb > 1 ? rb - 2 : 0;
    if (a->type.shape[la] != b->type.shape[lb])
        return report_matmul(e, at, a, b, left, right, "the last dim", a->type.shape[la],
                             rb > 1 ? "the second last" : "the only one", b->type.shape[lb]);
    if (rb > 2 && ra > 1) return batched_matmul(e, at, a, b, left, right);
    return val_tensor(build_dot_general(elab_builder(e, at), a, b, NULL, NULL, 0, &la, &lb, 1));
}

Val elab_transpose_last(Elab *e, Span at, Value *x) {
    if (x->type.rank < 2)
        return elab_fail(e, DL0301, at, "`.T` swaps the last two dims; %s has fewer", val_text(e, val_tensor(x)));
    int64_t order[MAX_RANK];
    for (int i = 0; i < x->type.rank; i++) order[i] = i;
    order[x->type.rank - 2] = x->type.rank - 1;
    order[x->type.rank - 1] = x->type.rank - 2;
    return val_tensor(build_transpose(elab_builder(e, at), x, order));
}
