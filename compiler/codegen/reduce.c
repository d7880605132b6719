/* Reductions in registers: see reduce.h.
 *
 * An arg-reduction keeps a value and its position. One that is better replaces it; NaN is better than
 * everything else and no NaN better than another, so the first extreme stays, as in PyTorch. Before
 * anything is seen, the value is the neutral one and the position 0: if that is still so at the end, all
 * elements are the neutral value and the first is the right answer. */
#include "codegen/reduce.h"

#include "ops/ops.h"

static LLVMTypeRef value_type(Emit *e, const Accumulator *a) {
    return emit_vector(e, emit_type(e, a->dtype), a->lanes);
}
static LLVMTypeRef position_type(Emit *e, const Accumulator *a) {
    return emit_vector(e, emit_type(e, a->position_dtype), a->lanes);
}

static LLVMValueRef get_value(Emit *e, const Accumulator *a) { return emit_get(e, value_type(e, a), a->value); }
static LLVMValueRef get_position(Emit *e, const Accumulator *a) {
    return emit_get(e, position_type(e, a), a->position);
}

/* An accumulator whose variables hold nothing yet. */
static Accumulator blank_like(Emit *e, Accumulator a, int lanes) {
    a.lanes = lanes;
    a.value = emit_variable(e, value_type(e, &a), "acc");
    a.position = a.reduction->arg ? emit_variable(e, position_type(e, &a), "at") : NULL;
    return a;
}

static LLVMValueRef neutral(Emit *e, const Accumulator *a) {
    MapFn f = a->reduction->map;
    double x = dtype_is_float(a->dtype) ? map_neutral_float(f) : (double)map_neutral_int(f, a->dtype);
    return emit_const(e, a->dtype, a->lanes, x);
}

Accumulator accumulator_new(Emit *e, const Kernel *k, const KReduction *r, int lanes) {
    Accumulator a = {.reduction = r, .dtype = k->nodes.at[r->node].dtype};
    if (r->arg) a.position_dtype = k->axes.at[r->arg_axis].extent->upper > INT32_MAX ? DTYPE_I64 : DTYPE_I32;
    a = blank_like(e, a, lanes);
    emit_set(e, a.value, neutral(e, &a));
    if (r->arg) emit_set(e, a.position, emit_const(e, a.position_dtype, lanes, 0));
    return a;
}

/* ------------------------------------------------------------------------ combining */

static LLVMValueRef combine(Emit *e, const Accumulator *a, LLVMValueRef x, LLVMValueRef y) {
    LLVMValueRef args[3] = {x, y, NULL};
    return emit_element(e, a->reduction->map, args, a->dtype, a->dtype, a->lanes, 0, 0);
}

static bool is_half(DType t) { return t == DTYPE_F16 || t == DTYPE_BF16; }

static LLVMValueRef as_f32(Emit *e, const Accumulator *a, LLVMValueRef x) {
    return emit_element(e, MAP_convert, &x, a->dtype, DTYPE_F32, a->lanes, 0, 0);
}

/* Whether x is more extreme than y. */
static LLVMValueRef is_better(Emit *e, const Accumulator *a, LLVMValueRef x, LLVMValueRef y) {
    bool max = a->reduction->map == MAP_maximum;
    if (is_half(a->dtype)) x = as_f32(e, a, x), y = as_f32(e, a, y);
    if (dtype_is_float(a->dtype)) {
        LLVMValueRef beyond = LLVMBuildFCmp(e->at, max ? LLVMRealUGT : LLVMRealULT, x, y, "");
        return LLVMBuildAnd(e->at, beyond, LLVMBuildFCmp(e->at, LLVMRealORD, y, y, ""), "");
    }
    if (a->dtype == DTYPE_U8 || a->dtype == DTYPE_BOOL)
        return LLVMBuildICmp(e->at, max ? LLVMIntUGT : LLVMIntULT, x, y, "");
    return LLVMBuildICmp(e->at, max ? LLVMIntSGT : LLVMIntSLT, x, y, "");
}

/* Equally extreme: neither is better. */
static LLVMValueRef is_tie(Emit *e, const Accumulator *a, LLVMValueRef x, LLVMValueRef y) {
    if (!dtype_is_float(a->dtype)) return LLVMBuildICmp(e->at, LLVMIntEQ, x, y, "");
    if (is_half(a->dtype)) x = as_f32(e, a, x), y = as_f32(e, a, y);
    LLVMValueRef nans = LLVMBuildAnd(e->at, LLVMBuildFCmp(e->at, LLVMRealUNO, x, x, ""),
                                     LLVMBuildFCmp(e->at, LLVMRealUNO, y, y, ""), "");
    return LLVMBuildOr(e->at, nans, LLVMBuildFCmp(e->at, LLVMRealOEQ, x, y, ""), "");
}

/* into takes in (value, position), which may lie before or behind its own. */
static void take_in(Emit *e, Accumulator *into, LLVMValueRef value, LLVMValueRef position) {
    LLVMValueRef own = get_value(e, into);
    if (!into->reduction->arg) {
        emit_set(e, into->value, combine(e, into, own, value));
        return;
    }
    LLVMValueRef at = get_position(e, into);
    LLVMValueRef earlier = LLVMBuildAnd(e->at, is_tie(e, into, value, own),
                                        LLVMBuildICmp(e->at, LLVMIntSLT, position, at, ""), "");
    LLVMValueRef take = LLVMBuildOr(e->at, is_better(e, into, value, own), earlier, "");
    emit_set(e, into->value, LLVMBuildSelect(e->at, take, value, own, ""));
    emit_set(e, into->position, LLVMBuildSelect(e->at, take, position, at, ""));
}

/* --------------------------------------------------------------------------- adding */

/* The index along the arg axis in each lane. */
static LLVMValueRef positions(Emit *e, const Accumulator *a, const NodePoint *p) {
    LLVMTypeRef type = emit_type(e, a->position_dtype);
    LLVMValueRef first = p->index[a->reduction->arg_axis];
    if (a->position_dtype != DTYPE_I64) first = LLVMBuildTrunc(e->at, first, type, "");
    LLVMValueRef all = emit_splat(e, first, a->lanes);
    if (a->lanes == 1 || p->vector_axis != a->reduction->arg_axis) return all;
    LLVMValueRef along = emit_lane_numbers(e, a->lanes);
    if (a->position_dtype != DTYPE_I64) along = LLVMBuildTrunc(e->at, along, LLVMTypeOf(all), "");
    return LLVMBuildAdd(e->at, all, along, "");
}

/* A term of a contraction: one fused multiply-add. */
static void add_product(Emit *e, Accumulator *a, NodePoint *p, LLVMValueRef mask) {
    const KNode *product = &p->scope->kernel->nodes.at[a->reduction->node];
    LLVMValueRef x = emit_node(e, p, product->args[0]), y = emit_node(e, p, product->args[1]), old = get_value(e, a);
    LLVMValueRef sum = emit_fma(e, x, y, old);
    emit_set(e, a->value, mask ? LLVMBuildSelect(e->at, mask, sum, old, "") : sum);
}

static bool is_float_product(const NodePoint *p, const KReduction *r) {
    const KNode *n = &p->scope->kernel->nodes.at[r->node];
    return r->product && n->kind == NODE_MAP && n->map == MAP_multiply && dtype_is_float(n->dtype) && n->dtype == r->dtype;
}

void accumulator_add(Emit *e, Accumulator *a, NodePoint *p, bool partial) {
    if (is_float_product(p, a->reduction)) {
        add_product(e, a, p, partial ? p->mask : NULL);
        return;
    }
    LLVMValueRef x = emit_node(e, p, a->reduction->node), old = get_value(e, a);
    LLVMValueRef mask = partial ? p->mask : NULL;
    if (a->reduction->running && a->reduction->factor >= 0) {
        LLVMValueRef args[3] = {old, emit_node(e, p, a->reduction->factor), NULL};
        old = emit_element(e, MAP_multiply, args, a->dtype, a->dtype, a->lanes, 0, 0);
    }
    if (!a->reduction->arg) {
        LLVMValueRef sum = combine(e, a, old, x);
        emit_set(e, a->value, mask ? LLVMBuildSelect(e->at, mask, sum, old, "") : sum);
        return;
    }
    LLVMValueRef take = is_better(e, a, x, old);
    if (a->reduction->running) take = LLVMBuildOr(e->at, take, is_tie(e, a, x, old), "");
    if (mask) take = LLVMBuildAnd(e->at, take, mask, "");
    emit_set(e, a->value, LLVMBuildSelect(e->at, take, x, old, ""));
    emit_set(e, a->position, LLVMBuildSelect(e->at, take, positions(e, a, p), get_position(e, a), ""));
}

/* -------------------------------------------------------------------------- results */

bool accumulator_cascades(const Kernel *k, const KReduction *r) {
    return r->map == MAP_add && !r->running && dtype_is_float(k->nodes.at[r->node].dtype);
}

void accumulator_close(Emit *e, Accumulator *a, Accumulator *above) {
    take_in(e, above, get_value(e, a), NULL);
    emit_set(e, a->value, neutral(e, a));
}

Accumulator accumulator_merge(Emit *e, const Accumulator *all, int n) {
    if (n == 1) return all[0];
    Accumulator first = accumulator_merge(e, all, (n + 1) / 2), second = accumulator_merge(e, all + (n + 1) / 2, n / 2);
    Accumulator both = blank_like(e, first, first.lanes);
    emit_set(e, both.value, get_value(e, &first));
    if (both.position) emit_set(e, both.position, get_position(e, &first));
    take_in(e, &both, get_value(e, &second), both.position ? get_position(e, &second) : NULL);
    return both;
}

static LLVMValueRef half_of(Emit *e, LLVMValueRef x, int from, int lanes) {
    LLVMValueRef order[128];
    if (lanes == 1) return LLVMBuildExtractElement(e->at, x, emit_i64(e, from), "");
    for (int i = 0; i < lanes; i++) order[i] = emit_i32(e, from + i);
    return LLVMBuildShuffleVector(e->at, x, LLVMGetPoison(LLVMTypeOf(x)), LLVMConstVector(order, (unsigned)lanes), "");
}

Accumulator accumulator_combine_lanes(Emit *e, const Accumulator *a) {
    if (a->lanes == 1) return *a;
    Accumulator half = blank_like(e, *a, a->reduction->arg ? a->lanes / 2 : 1);
    LLVMValueRef value = get_value(e, a);
    if (!a->reduction->arg) {
        emit_set(e, half.value, emit_combine_lanes(e, a->reduction->map, a->dtype, a->lanes, value));
        return half;
    }
    LLVMValueRef position = get_position(e, a);
    emit_set(e, half.value, half_of(e, value, 0, half.lanes));
    emit_set(e, half.position, half_of(e, position, 0, half.lanes));
    take_in(e, &half, half_of(e, value, half.lanes, half.lanes), half_of(e, position, half.lanes, half.lanes));
    return accumulator_combine_lanes(e, &half);
}

LLVMValueRef accumulator_result(Emit *e, const Accumulator *a) {
    if (!a->reduction->arg) return get_value(e, a);
    LLVMValueRef position = get_position(e, a);
    LLVMTypeRef to = emit_vector(e, emit_type(e, a->reduction->dtype), a->lanes);
    if (dtype_bytes(a->reduction->dtype) > dtype_bytes(a->position_dtype))
        return LLVMBuildSExt(e->at, position, to, "");
    if (to == LLVMTypeOf(position)) return position;
    return LLVMBuildTrunc(e->at, position, to, "");
}
