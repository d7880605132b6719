/* Elementwise operators: the rows of elementwise.def made into table entries.
 *
 * A row's `rule` names its shape rule and evaluation here; its gradient column becomes a case of
 * grad_map. Element functions themselves are in number.c. */
#include "ir/expression.h"
#include "ops/philox.h"
#include "ops/rules.h"

#include <math.h>

/* ------------------------------------------------------------------- shape rules */

/* A reason, or null if all operands from `first` on have the shape of operand `first`. */
static const char *need_one_shape(Module *m, const Op *op) {
    static const char *const place[] = {"first", "second", "third"};
    const Type a = op->operands[0]->type;
    for (int i = 1; i < op->operand_count; i++) {
        const Type b = op->operands[i]->type;
        if (a.rank != b.rank)
            return reason(m, "the first operand is %s with %d dimensions, the %s is %s with %d",
                          value_text(m, op->operands[0]), a.rank, place[i], value_text(m, op->operands[i]), b.rank);
        for (int k = 0; k < a.rank; k++)
            if (a.shape[k] != b.shape[k])
                return reason(m, "dimension %d of the first operand is %s, of the %s %s", k, dim_text(m, a.shape[k]),
                              place[i], dim_text(m, b.shape[k]));
    }
    return NULL;
}

static const char *infer_typed(Module *m, Op *op, DType t) {
    const char *why = need_one_shape(m, op);
    if (!why) set_result(m, op, t, op->operands[0]->type.rank, op->operands[0]->type.shape);
    return why;
}

static const char *infer_same(Module *m, Op *op) { return infer_typed(m, op, op->operands[0]->type.dtype); }
static const char *infer_predicate(Module *m, Op *op) { return infer_typed(m, op, DTYPE_BOOL); }
static const char *infer_select(Module *m, Op *op) { return infer_typed(m, op, op->operands[1]->type.dtype); }
static const char *infer_convert(Module *m, Op *op) { return infer_typed(m, op, op_attr(op, "dtype")->dtype); }

static const char *infer_constant(Module *m, Op *op) {
    int rank, n = 0;
    const Dim *shape = op_dims(op, "shape", &rank);
    const Attr *values = op_attr(op, "values");
    if (!values == !op_attr(op, "value")) return "a constant has either value or values";
    set_result(m, op, op_attr(op, "dtype")->dtype, rank, shape);
    if (!values) return NULL;
    n = values->n;
    Dim elements = type_elements(&m->dims, op->results[0].type);
    if (dim_is(elements, n)) return NULL;
    return reason(m, "%s has %s elements, but %d values are given", value_text(m, &op->results[0]),
                  dim_text(m, elements), n);
}

static const char *infer_iota(Module *m, Op *op) {
    int rank;
    const Dim *shape = op_dims(op, "shape", &rank);
    DType t = op_attr(op, "dtype")->dtype;
    if (t == DTYPE_BOOL) return "iota counts in numbers, not in bool";
    const char *why = need_axis(m, "axis", op_int(op, "axis"), rank);
    if (!why) set_result(m, op, t, rank, shape);
    return why;
}

static const char *infer_dim_value(Module *m, Op *op) {
    int n;
    op_dims(op, "dims", &n);
    DType t = op_attr(op, "dtype")->dtype;
    if (n != 1) return reason(m, "dims has %d entries instead of one", n);
    if (t == DTYPE_BOOL) return "the value of a dim is a number, not a bool";
    set_result(m, op, t, 0, NULL);
    return NULL;
}

static const char *infer_random_bits(Module *m, Op *op) {
    int64_t word = op_int(op, "word");
    if (word < 0 || word > 3) return reason(m, "word is %lld, but there are outputs 0 .. 3", (long long)word);
    return infer_typed(m, op, DTYPE_I32);
}

/* -------------------------------------------------------------------- evaluation */

/* One element: computed on floats if the last operand is one, else on integers. */
static Number map_element(const Op *op, const Tensor *const *x, int64_t k) {
    MapFn f = op->info->map;
    int n = op->operand_count;
    DType t = x[n - 1]->dtype;
    Number r;
    if (dtype_is_float(t)) {
        double v[3];
        for (int i = 0; i < n; i++) v[i] = dtype_is_float(x[i]->dtype) ? x[i]->at[k].f : (double)x[i]->at[k].i;
        double y = map_eval_float(f, v);
        if (op->info->flags & OP_PREDICATE) r.i = y != 0;
        else r.f = y;
    } else {
        int64_t v[3];
        for (int i = 0; i < n; i++) v[i] = x[i]->at[k].i;
        r.i = map_eval_int(f, t, v);
    }
    return r;
}

static void eval_same(EvalContext *e, const Op *op) {
    const Tensor *x[3];
    for (int i = 0; i < op->operand_count; i++) x[i] = eval_operand(e, op, i);
    Tensor *r = eval_result(e, op, 0);
    for (int64_t k = 0; k < r->count; k++) r->at[k] = map_element(op, x, k);
}

static void eval_predicate(EvalContext *e, const Op *op) { eval_same(e, op); }
static void eval_select(EvalContext *e, const Op *op) { eval_same(e, op); }

static Number number_of(DType t, double x) {
    return dtype_is_float(t) ? (Number){.f = x} : (Number){.i = number_from_float(t, x)};
}

static void eval_convert(EvalContext *e, const Op *op) {
    const Tensor *x = eval_operand(e, op, 0);
    Tensor *r = eval_result(e, op, 0);
    for (int64_t k = 0; k < r->count; k++) {
        if (dtype_is_float(x->dtype)) r->at[k] = number_of(r->dtype, x->at[k].f);
        else if (dtype_is_float(r->dtype)) r->at[k].f = (double)x->at[k].i;
        else if (r->dtype == DTYPE_BOOL) r->at[k].i = x->at[k].i != 0;
        else r->at[k].i = number_wrap(r->dtype, x->at[k].i);
    }
}

static void eval_constant(EvalContext *e, const Op *op) {
    Tensor *r = eval_result(e, op, 0);
    const Attr *values = op_attr(op, "values");
    for (int64_t k = 0; k < r->count; k++)
        r->at[k] = number_of(r->dtype, values ? values->floats[k] : op_float(op, "value"));
}

static void eval_iota(EvalContext *e, const Op *op) {
    Tensor *r = eval_result(e, op, 0);
    int64_t strides[MAX_RANK], axis = op_int(op, "axis");
    tensor_strides(r, strides);
    for (int64_t k = 0; k < r->count; k++) {
        int64_t at = k / strides[axis] % r->shape[axis];
        if (dtype_is_float(r->dtype)) r->at[k].f = (double)at;
        else r->at[k].i = number_wrap(r->dtype, at);
    }
}

static void eval_dim_value(EvalContext *e, const Op *op) {
    Tensor *r = eval_result(e, op, 0);
    int64_t value = eval_dim(e, op_dims(op, "dims", NULL)[0]);
    if (dtype_is_float(r->dtype)) r->at[0].f = (double)value;
    else r->at[0].i = number_wrap(r->dtype, value);
}

static void eval_random_bits(EvalContext *e, const Op *op) {
    const Tensor *seed = eval_operand(e, op, 0), *count = eval_operand(e, op, 1), *index = eval_operand(e, op, 2);
    Tensor *r = eval_result(e, op, 0);
    for (int64_t k = 0; k < r->count; k++) {
        uint64_t key = (uint64_t)seed->at[k].i ^ (uint64_t)op_int(op, "site");
        uint64_t low = (uint64_t)index->at[k].i, high = (uint64_t)count->at[k].i;
        uint32_t out[4];
        philox4x32((const uint32_t[]){(uint32_t)key, (uint32_t)(key >> 32)},
                   (const uint32_t[]){(uint32_t)low, (uint32_t)(low >> 32), (uint32_t)high, (uint32_t)(high >> 32)},
                   out);
        r->at[k].i = number_wrap(DTYPE_I32, (int64_t)out[op_int(op, "word")]);
    }
}

/* --------------------------------------------------------------------- gradients */

/* An expression under construction. C leaves open in which order arguments are evaluated, but the order
 * of the built ops must not depend on the host's compiler: so operands are kept here, one after the
 * other, and only the last one is an argument. */
typedef struct Expression {
    Builder *b;
    Value *kept[16];
    int n;
} Expression;

static void keep(Expression *e, Value *v) { e->kept[e->n++] = v; }

static Value *map1(Expression *e, MapFn f, Value *x) { return build_map1(e->b, f, x); }

static Value *map2(Expression *e, MapFn f, Value *y) {
    Value *x = e->kept[--e->n];
    return build_map2(e->b, f, x, y);
}

static Value *map3(Expression *e, MapFn f, Value *z) {
    e->n -= 2;
    return build_map3(e->b, f, e->kept[e->n], e->kept[e->n + 1], z);
}

#define MAP1(f, p) map1(&e, MAP_##f, p)
#define MAP2(f, p, q) (keep(&e, p), map2(&e, MAP_##f, q))
#define SELECT(c, p, q) (keep(&e, c), keep(&e, p), map3(&e, MAP_select, q))
#define LIKE(p, number) build_constant_like(e.b, p, number)
#define CONVERT(p, like) build_convert(e.b, p, (like)->type.dtype)

/* The gradient column: one operand's gradient after the other, those that are wanted. */
#define NONE
#define GRAD1(p) if (wants[0]) dx[0] = p
#define GRAD2(p, q) GRAD1(p); if (wants[1]) dx[1] = q
#define GRAD3(p, q, s) GRAD2(p, q); if (wants[2]) dx[2] = s

static void grad_map(GradContext *context, const Op *op, Value *const *dy, Value **dx) {
    Expression e = {.b = context->b};
    const bool *wants = context->wants;
    Value *g = dy[0], *r = &op->results[0];
    Value *x = op->operand_count > 0 ? op->operands[0] : NULL;
    Value *y = op->operand_count > 1 ? op->operands[1] : NULL;
    Value *z = op->operand_count > 2 ? op->operands[2] : NULL;
    switch (op->info->map) {
#define ELEMENTWISE(name, arity, rule, types, flags, reference, gradient, ...)                                         \
    case MAP_##name: gradient; break;
#include "ir/elementwise.def"
#undef ELEMENTWISE
    case MAP_COUNT: break;
    }
}

#undef NONE
#undef GRAD1
#undef GRAD2
#undef GRAD3

/* ------------------------------------------------------------------------- table */

static const AttrSpec attrs_convert[] = {{"dtype", ATTR_DTYPE, false, DIMS_NONE}, {0}};
static const AttrSpec attrs_constant[] = {{"dtype", ATTR_DTYPE, false, DIMS_NONE}, {"shape", ATTR_DIMS, false, DIMS_EACH},
                                          {"value", ATTR_FLOAT, true, DIMS_NONE}, {"values", ATTR_FLOATS, true, DIMS_NONE}, {0}};
static const AttrSpec attrs_iota[] = {{"dtype", ATTR_DTYPE, false, DIMS_NONE}, {"shape", ATTR_DIMS, false, DIMS_EACH},
                                      {"axis", ATTR_INT, false, DIMS_AXIS}, {0}};
static const AttrSpec attrs_dim_value[] = {{"dtype", ATTR_DTYPE, false, DIMS_NONE}, {"dims", ATTR_DIMS, false, DIMS_NONE}, {0}};
static const AttrSpec attrs_random_bits[] = {{"site", ATTR_INT, false, DIMS_NONE}, {"word", ATTR_INT, false, DIMS_NONE}, {0}};
#define attrs_same NULL
#define attrs_predicate NULL
#define attrs_select NULL

#define SIGNATURE_same "T"
#define SIGNATURE_predicate "T"
#define SIGNATURE_select "bT"
#define SIGNATURE_convert "T"
#define SIGNATURE_random_bits "l"
#define SIGNATURE_constant ""
#define SIGNATURE_iota ""
#define SIGNATURE_dim_value ""

/* Distances from kinks, and sample ranges as {lows, highs}. */
#define SMOOTH INFINITY
#define RANGES_NO_SAMPLE {{0}}
#define RANGES_SAMPLE1(l, h) {{l}, {h}}
#define RANGES_SAMPLE2(l0, h0, l1, h1) {{l0, l1}, {h0, h1}}
#define RANGES_SAMPLE3(l0, h0, l1, h1, l2, h2) {{l0, l1, l2}, {h0, h1, h2}}
#define ELEMENTWISE(name, arity, rule, types, flags, reference, gradient, kink, ulp, samples, doc)                     \
    static double kink_##name(const double v[3]) {                                                                     \
        double x = v[0], y = v[1], z = v[2];                                                                           \
        (void)x, (void)y, (void)z;                                                                                     \
        return kink;                                                                                                   \
    }                                                                                                                  \
    static const double samples_##name[2][3] = RANGES_##samples;
#include "ir/elementwise.def"
#undef ELEMENTWISE

#define NONE NULL
#define GRAD1(p) grad_map
#define GRAD2(p, q) grad_map
#define GRAD3(p, q, s) grad_map
#define NO_SAMPLE(name, bound) NULL
#define SAMPLE1(...) SAMPLED
#define SAMPLE2(...) SAMPLED
#define SAMPLE3(...) SAMPLED
#define SAMPLED(name, bound) samples_##name[bound]
/* `samples` expands to a macro's name, which these apply. */
#define APPLY(macro, name, bound) macro(name, bound)

const OpInfo map_ops[MAP_COUNT] = {
#define ELEMENTWISE(op, arity, rule, class, flag, reference, gradient, distance, accuracy, samples, text)              \
    [MAP_##op] = {.name = #op, .at = HERE, .kind = KIND_MAP, .min_operands = arity, .max_operands = arity, .result_count = 1,      \
                  .flags = flag, .map = MAP_##op, .signature = SIGNATURE_##rule, .types = class,                       \
                  .attrs = attrs_##rule, .doc = text, .infer = infer_##rule, .grad = gradient, .eval = eval_##rule,    \
                  .sample_low = APPLY(samples, op, 0), .sample_high = APPLY(samples, op, 1), .kink = kink_##op,        \
                  .ulp = accuracy},
#include "ir/elementwise.def"
#undef ELEMENTWISE
};

const OpInfo *op_of_map(MapFn f) { return &map_ops[f]; }
