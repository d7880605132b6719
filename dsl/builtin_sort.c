/* Builtins that a routine of the runtime does: sort, sort_by, top_k, nms. */
#include "elab.h"

#include "ops/ops.h"

static Span arg_at(const BuiltinCall *c, int i) { return c->nodes[i] ? c->nodes[i]->span : c->at; }

static Value *tensor_arg(Elab *e, const BuiltinCall *c, int i, DType want) {
    return elab_tensor(e, arg_at(c, i), c->args[i], want);
}

static bool flag(const BuiltinCall *c, int i) { return c->args[i].kind == VAL_BOOL && c->args[i].i; }

/* The axis that argument i names, the last one by itself. */
static bool axis_arg(Elab *e, const BuiltinCall *c, int i, const Value *x, int64_t *axis) {
    return elab_axis(e, arg_at(c, i), c->args[i].kind == VAL_NONE ? val_int(-1) : c->args[i], x->type.rank, axis);
}

static bool number_arg(Elab *e, const BuiltinCall *c, int i, double otherwise, double *to) {
    Val v = c->args[i];
    *to = v.kind == VAL_FLOAT ? v.f : v.kind == VAL_INT ? (double)v.i : otherwise;
    if (v.kind == VAL_FLOAT || v.kind == VAL_INT || v.kind == VAL_NONE) return true;
    elab_fail(e, DL0302, arg_at(c, i), "a number known at compile time is needed, not %s", val_text(e, v));
    return false;
}

static bool integer_arg(Elab *e, const BuiltinCall *c, int i, int64_t *to) {
    *to = c->args[i].i;
    if (c->args[i].kind == VAL_INT) return true;
    elab_fail(e, DL0302, arg_at(c, i), "an integer known at compile time is needed, not %s", val_text(e, c->args[i]));
    return false;
}

static Val pair(Elab *e, Value *first) {
    if (!first) return POISON;
    return val_list(e, VAL_TUPLE, (Val[]){val_tensor(first), val_tensor(&first->op->results[1])}, 2);
}

/* sort(x, axis, descending): the sorted, and where each came from. */
static Val run_sort(Elab *e, const Builtin *self, const BuiltinCall *c) {
    int64_t axis;
    (void)self;
    Value *x = tensor_arg(e, c, 0, DTYPE_COUNT);
    if (!x || !axis_arg(e, c, 1, x, &axis)) return POISON;
    return pair(e, build_sort(elab_builder(e, c->at), x, NULL, 0, (int)axis, flag(c, 2)));
}

/* sort_by(key, values, axis, descending): a tensor, or a list of them, in the order that sorts the key. */
static Val run_sort_by(Elab *e, const Builtin *self, const BuiltinCall *c) {
    int64_t axis;
    bool one = is_runtime(c->args[1]);
    Val only = c->args[1];
    Vals list = {1, &only};
    (void)self;
    Value *key = tensor_arg(e, c, 0, DTYPE_COUNT);
    if (!key || !axis_arg(e, c, 2, key, &axis)) return POISON;
    if (!one && !elab_sequence(e, arg_at(c, 1), c->args[1], &list)) return POISON;
    Builder *b = elab_builder(e, c->at);
    Value **values = arena_array(e->arena, Value *, list.n + 1);
    Val *sorted = arena_array(e->arena, Val, list.n + 1);
    for (int i = 0; i < list.n; i++) {
        values[i] = elab_tensor(e, arg_at(c, 1), list.at[i], DTYPE_COUNT);
        values[i] = build_broadcast_to(b, values[i], key->type.rank, key->type.shape);
    }
    Value *first = build_sort(b, key, values, list.n, (int)axis, flag(c, 3));
    if (!first) return POISON;
    for (int i = 0; i < list.n; i++) sorted[i] = val_tensor(&first->op->results[2 + i]);
    return one ? sorted[0] : val_list(e, VAL_LIST, sorted, list.n);
}

static Val run_top_k(Elab *e, const Builtin *self, const BuiltinCall *c) {
    int64_t axis, k;
    (void)self;
    Value *x = tensor_arg(e, c, 0, DTYPE_COUNT);
    if (!x || !integer_arg(e, c, 1, &k) || !axis_arg(e, c, 2, x, &axis)) return POISON;
    return pair(e, build_top_k(elab_builder(e, c->at), x, k, (int)axis));
}

static Val run_nms(Elab *e, const Builtin *self, const BuiltinCall *c) {
    double iou, score;
    int64_t keep;
    (void)self;
    Value *boxes = tensor_arg(e, c, 0, DTYPE_COUNT), *scores = tensor_arg(e, c, 1, DTYPE_COUNT);
    if (!boxes || !scores || !integer_arg(e, c, 4, &keep)) return POISON;
    if (!number_arg(e, c, 2, 0.5, &iou) || !number_arg(e, c, 3, 0, &score)) return POISON;
    score = number_round(scores->type.dtype, score);   /* as in `scores > score` */
    return pair(e, build_nms(elab_builder(e, c->at), boxes, scores, iou, score, keep));
}

const Builtin builtin_sort[] = {
    {"sort", "x axis? descending?", run_sort, 0},
    {"sort_by", "key values axis? descending?", run_sort_by, 0},
    {"top_k", "x k axis?", run_top_k, 0},
    {"nms", "boxes scores iou? score? keep", run_nms, 0},
    {NULL, NULL, NULL, 0},
};
