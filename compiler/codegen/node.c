/* Nodes: the value of a kernel's scalar expression at a point, or at a vector of points.
 *
 * In: a NodePoint, which says where (an index for each axis), how many lanes and along which axis, and which
 * of them count. Out: LLVM values. A node that does not vary along the vector axis is computed as a scalar.
 * A load or store whose stride along the vector axis is 1 is one vector access, -1 the same reversed, 0 a
 * scalar spread, anything else - or an address that is itself a value - a gather or scatter. Guards and
 * lanes that do not count are masks: nothing is read where they are false, and the value is 0. */
#include "codegen/debug.h"

NodePoint *emit_point(Emit *e, KernelScope *s) {
    const Kernel *k = s->kernel;
    NodePoint *p = arena_new(e->arena, NodePoint);
    *p = (NodePoint){.scope = s, .vector_axis = -1, .lanes = 1};
    p->index = arena_array(e->arena, LLVMValueRef, k->axes.n + 1);
    p->value = arena_array(e->arena, LLVMValueRef, k->nodes.n + 1);
    p->reduced = arena_array(e->arena, LLVMValueRef, k->reductions.n + 1);
    p->running = arena_array(e->arena, LLVMValueRef, k->reductions.n + 1);
    p->cached_row = arena_array(e->arena, LLVMValueRef, k->nodes.n + 1);
    return p;
}

/* Lanes in which the node's values are given: 1 if they are all the same. */
static int lanes_of(const NodePoint *p, int node) {
    if (p->lanes == 1 || p->vector_axis < 0) return p->lanes;
    return p->scope->depends[node] >> p->vector_axis & 1 ? p->lanes : 1;
}

static LLVMValueRef spread(Emit *e, LLVMValueRef x, int lanes) {
    return LLVMGetTypeKind(LLVMTypeOf(x)) == LLVMVectorTypeKind ? x : emit_splat(e, x, lanes);
}

static LLVMValueRef value_of(Emit *e, NodePoint *p, int node);

static LLVMValueRef spread_value(Emit *e, NodePoint *p, int node, int lanes) {
    return spread(e, value_of(e, p, node), lanes);
}

static LLVMValueRef dim_value_of(Emit *e, const NodePoint *p, Dim d) {
    return emit_dim(e, &e->kernels->dims, d, p->scope->symbols);
}

/* -------------------------------------------------------------------------- addresses */

/* Where a (vector of) element(s) lies: lane l at base[l * stride], or at base[lane_index[l]]. */
typedef struct Address {
    DType dtype;
    LLVMValueRef base;
    Dim stride;
    LLVMValueRef lane_index;   /* null unless the address has a value that varies in it */
} Address;

static LLVMValueRef access_term(Emit *e, const NodePoint *p, const KAccess *a, int axis) {
    if (dim_is(a->strides[axis], 0)) return emit_i64(e, 0);
    return emit_mul(e, dim_value_of(e, p, a->strides[axis]), p->index[axis]);
}

/* Outer axes first, the vector axis last: then LLVM finds the part that stays the same in a loop. */
static LLVMValueRef affine_base(Emit *e, const NodePoint *p, const KAccess *a, DType t) {
    const Kernel *k = p->scope->kernel;
    LLVMValueRef outer = dim_value_of(e, p, a->offset), inner = emit_i64(e, 0);
    int last = -1;
    for (int x = 0; x < k->axes.n; x++) {
        AxisRole role = k->axes.at[x].role;
        if (role == AXIS_OUTER || role == AXIS_BATCH || role == AXIS_M)
            outer = emit_add(e, outer, access_term(e, p, a, x));
        else if (x == p->vector_axis) last = x;
        else inner = emit_add(e, inner, access_term(e, p, a, x));
    }
    LLVMValueRef base = emit_element_pointer(e, t, p->scope->bufs[a->buf], outer);
    base = emit_element_pointer(e, t, base, inner);
    return last < 0 ? base : emit_element_pointer(e, t, base, access_term(e, p, a, last));
}

/* The value of an index node as an i64 in `lanes` lanes. */
static LLVMValueRef index_value(Emit *e, NodePoint *p, int node, int lanes) {
    LLVMValueRef x = spread_value(e, p, node, lanes);
    DType t = p->scope->kernel->nodes.at[node].dtype;
    if (t == DTYPE_I64) return x;
    LLVMTypeRef wide = emit_vector(e, e->i64, lanes);
    return t == DTYPE_U8 || t == DTYPE_BOOL ? LLVMBuildZExt(e->at, x, wide, "") : LLVMBuildSExt(e->at, x, wide, "");
}

static Address address_of(Emit *e, NodePoint *p, const KAccess *a) {
    DType t = p->scope->kernel->bufs.at[a->buf].dtype;
    Address at = {.dtype = t, .base = affine_base(e, p, a, t)};
    at.stride = p->vector_axis >= 0 ? a->strides[p->vector_axis] : dim_const(&e->kernels->dims, 0);
    if (a->index < 0) return at;
    int lanes = lanes_of(p, a->index);
    LLVMValueRef factor = dim_value_of(e, p, a->index_stride), index = index_value(e, p, a->index, lanes);
    if (lanes == 1) {
        at.base = emit_element_pointer(e, t, at.base, emit_mul(e, factor, index));
        return at;
    }
    LLVMValueRef along = LLVMBuildMul(e->at, emit_lane_numbers(e, lanes),
                                      emit_splat(e, dim_value_of(e, p, at.stride), lanes), "");
    index = LLVMBuildMul(e->at, index, emit_splat(e, factor, lanes), "");
    at.lane_index = LLVMBuildAdd(e->at, index, along, "");
    return at;
}

/* Element numbers from base for a stride that is no single access. Narrow ones where they fit: twice as
 * many go into one gather. */
static LLVMValueRef strided_index(Emit *e, const NodePoint *p, const Address *at) {
    enum { NARROW = 1 << 24 };
    LLVMValueRef lanes = emit_lane_numbers(e, p->lanes);
    LLVMValueRef stride = emit_splat(e, dim_value_of(e, p, at->stride), p->lanes);
    LLVMValueRef index = LLVMBuildMul(e->at, lanes, stride, "");
    if (at->stride->upper >= NARROW || at->stride->lower <= -NARROW) return index;
    return LLVMBuildTrunc(e->at, index, LLVMVectorType(e->i32, (unsigned)p->lanes), "");
}

static LLVMValueRef reversed(Emit *e, LLVMValueRef x, int lanes) {
    LLVMValueRef order[128];
    for (int i = 0; i < lanes; i++) order[i] = emit_i32(e, lanes - 1 - i);
    return LLVMBuildShuffleVector(e->at, x, LLVMGetPoison(LLVMTypeOf(x)), LLVMConstVector(order, (unsigned)lanes), "");
}

/* The address of the last lane of a reversed access, which is its lowest. */
static LLVMValueRef lowest(Emit *e, const Address *at, int lanes) {
    return emit_element_pointer(e, at->dtype, at->base, emit_i64(e, 1 - (int64_t)lanes));
}

/* ------------------------------------------------------------------------------ loads */

static LLVMValueRef both(Emit *e, LLVMValueRef a, LLVMValueRef b) {
    if (!a || !b) return a ? a : b;
    return LLVMBuildAnd(e->at, a, b, "");
}

/* Whether any lane of a mask is set. */
static LLVMValueRef any_lane(Emit *e, LLVMValueRef mask) {
    LLVMTypeRef type = LLVMTypeOf(mask);
    return emit_intrinsic(e, "llvm.vector.reduce.or", &type, 1, &mask, 1);
}

/* One element for all lanes, of which only those under the mask have it: read if there are any. */
static LLVMValueRef load_shared(Emit *e, const Address *at, int lanes, LLVMValueRef mask) {
    LLVMValueRef x = emit_load(e, at->dtype, 1, at->base, mask ? any_lane(e, mask) : NULL);
    LLVMValueRef all = emit_splat(e, x, lanes);
    return mask ? LLVMBuildSelect(e->at, mask, all, LLVMConstNull(LLVMTypeOf(all)), "") : all;
}

static LLVMValueRef load_lanes(Emit *e, const NodePoint *p, const Address *at, LLVMValueRef mask) {
    int lanes = p->lanes;
    if (at->lane_index) return emit_gather(e, at->dtype, lanes, at->base, at->lane_index, mask);
    if (dim_is(at->stride, 1)) return emit_load(e, at->dtype, lanes, at->base, mask);
    if (dim_is(at->stride, 0)) return load_shared(e, at, lanes, mask);
    if (!dim_is(at->stride, -1)) return emit_gather(e, at->dtype, lanes, at->base, strided_index(e, p, at), mask);
    LLVMValueRef turned = mask ? reversed(e, mask, lanes) : NULL;
    return reversed(e, emit_load(e, at->dtype, lanes, lowest(e, at, lanes), turned), lanes);
}

/* A guard that is the same for all lanes leads to the buffer's begin where it does not hold: a load of no lanes from
 * memory that is not there is legal, and takes the processor hundreds of cycles. */
static void keep_inside(Emit *e, NodePoint *p, const KNode *n, Address *at) {
    if (at->lane_index || lanes_of(p, n->guard) > 1) return;
    LLVMValueRef begin = p->scope->bufs[p->scope->kernel->accesses.at[n->access].buf];
    LLVMValueRef holds = emit_node(e, p, n->guard);
    if (LLVMGetTypeKind(LLVMTypeOf(holds)) == LLVMVectorTypeKind)
        holds = LLVMBuildExtractElement(e->at, holds, emit_i32(e, 0), "");
    at->base = LLVMBuildSelect(e->at, holds, at->base, begin, "");
}

/* Whether the load has a guard that may not hold. */
static bool is_guarded(Emit *e, NodePoint *p, const KNode *n) {
    if (n->guard < 0) return false;
    LLVMValueRef x = value_of(e, p, n->guard);
    return !LLVMIsAConstantInt(x) || !LLVMConstIntGetZExtValue(x);
}

static LLVMValueRef load_value(Emit *e, NodePoint *p, const KNode *n, int lanes) {
    bool guarded = is_guarded(e, p, n);
    LLVMValueRef guard = guarded ? spread_value(e, p, n->guard, lanes) : NULL;
    Address at = address_of(e, p, &p->scope->kernel->accesses.at[n->access]);
    if (lanes > 1 && guarded) keep_inside(e, p, n, &at);
    if (lanes == 1) return emit_load(e, at.dtype, 1, at.base, guard);
    return load_lanes(e, p, &at, both(e, p->mask, guard));
}

void emit_access_prefetch(Emit *e, NodePoint *p, int access, bool write) {
    const KAccess *a = &p->scope->kernel->accesses.at[access];
    emit_prefetch(e, affine_base(e, p, a, p->scope->kernel->bufs.at[a->buf].dtype), 1, write);
}

/* ----------------------------------------------------------------------- other values */

/* An i64 scalar in an element type. */
static LLVMValueRef from_i64(Emit *e, DType t, LLVMValueRef x) {
    LLVMTypeRef type = emit_type(e, t);
    if (dtype_is_float(t)) return emit_element(e, MAP_convert, &x, DTYPE_I64, t, 1, 0, 0);
    return t == DTYPE_I64 ? x : LLVMBuildTrunc(e->at, x, type, "");
}

/* (index + lane) * factor. Computed in 32 bits where the result is no wider and the index fits. */
static LLVMValueRef axis_value(Emit *e, const NodePoint *p, const KNode *n, int lanes) {
    LLVMValueRef factor = n->dim ? dim_value_of(e, p, n->dim) : emit_i64(e, 1);
    LLVMValueRef first = emit_mul(e, p->index[n->axis], factor);
    if (lanes == 1) return from_i64(e, n->dtype, first);
    Dim extent = p->scope->kernel->axes.at[n->axis].extent;
    int64_t most = n->dim ? n->dim->upper : 1, least = n->dim ? n->dim->lower : 1;
    bool narrow = extent->upper < 1 << 20 && most <= 1 << 10 && least >= -(1 << 10) && n->dtype != DTYPE_I64;
    LLVMTypeRef type = LLVMVectorType(narrow ? e->i32 : e->i64, (unsigned)lanes);
    LLVMValueRef along = emit_lane_numbers(e, lanes);
    if (narrow) {
        first = LLVMBuildTrunc(e->at, first, e->i32, "");
        factor = LLVMBuildTrunc(e->at, factor, e->i32, "");
        along = LLVMBuildTrunc(e->at, along, type, "");
    }
    along = LLVMBuildMul(e->at, along, emit_splat(e, factor, lanes), "");
    LLVMValueRef x = LLVMBuildAdd(e->at, emit_splat(e, first, lanes), along, "");
    LLVMTypeRef to = LLVMVectorType(emit_type(e, n->dtype), (unsigned)lanes);
    if (dtype_is_float(n->dtype))
        return emit_element(e, MAP_convert, &x, narrow ? DTYPE_I32 : DTYPE_I64, n->dtype, lanes, 0, 0);
    return to == type ? x : LLVMBuildTrunc(e->at, x, to, "");
}

static LLVMValueRef map_value(Emit *e, NodePoint *p, const KNode *n, int lanes) {
    LLVMValueRef args[3] = {NULL, NULL, NULL};
    int typed = 0, count = 0;
    while (count < 3 && n->args[count] >= 0) count++;
    for (int i = 0; i < count; i++) args[i] = spread_value(e, p, n->args[i], lanes);
    if (count == 3 && n->map == MAP_select) typed = 1;
    DType t = p->scope->kernel->nodes.at[n->args[typed]].dtype;
    return emit_element(e, n->map, args, t, n->dtype, lanes, n->site, n->word);
}

static LLVMValueRef make_value(Emit *e, NodePoint *p, int node) {
    const KNode *n = &p->scope->kernel->nodes.at[node];
    int lanes = lanes_of(p, node);
    if (p->cached_row[node]) return emit_load(e, n->dtype, lanes, p->cached_row[node], lanes > 1 ? p->mask : NULL);
    switch (n->kind) {
    case NODE_LOAD: return load_value(e, p, n, lanes);
    case NODE_CONST: return emit_const(e, n->dtype, 1, n->value);
    case NODE_AXIS: return axis_value(e, p, n, lanes);
    case NODE_NUMBER: return p->scope->numbers[n->number];
    case NODE_DIM: return from_i64(e, n->dtype, dim_value_of(e, p, n->dim));
    case NODE_MAP: return map_value(e, p, n, lanes);
    case NODE_RUNNING: return p->running[n->reduction];
    case NODE_REDUCED: return p->reduced[n->reduction];
    case NODE_SUM: return p->sum;
    }
    return NULL;
}

static LLVMValueRef value_of(Emit *e, NodePoint *p, int node) {
    if (p->value[node]) return p->value[node];
    LLVMMetadataRef place = LLVMGetCurrentDebugLocation2(e->at);
    if (p->scope->kernel->nodes.at[node].span.source) debug_at(e, p->scope->kernel->nodes.at[node].span);
    p->value[node] = make_value(e, p, node);
    LLVMSetCurrentDebugLocation2(e->at, place);
    return p->value[node];
}

LLVMValueRef emit_scalar_node(Emit *e, NodePoint *p, int node) { return value_of(e, p, node); }

LLVMValueRef emit_node(Emit *e, NodePoint *p, int node) { return spread_value(e, p, node, p->lanes); }

/* ----------------------------------------------------------------------------- stores */

static void store_at(Emit *e, NodePoint *p, const KStore *store, const Address *at, LLVMValueRef value,
                     LLVMValueRef mask) {
    int lanes = p->lanes;
    if (store->mode == STORE_COMBINE) {
        LLVMValueRef old = lanes == 1 ? emit_load(e, at->dtype, 1, at->base, mask) : load_lanes(e, p, at, mask);
        value = emit_element(e, store->map, (LLVMValueRef[]){old, value}, at->dtype, at->dtype, lanes, 0, 0);
    }
    if (lanes == 1 || (!at->lane_index && dim_is(at->stride, 1))) {
        emit_store(e, at->dtype, lanes, at->base, value, mask);
    } else if (!at->lane_index && dim_is(at->stride, -1)) {
        LLVMValueRef turned = mask ? reversed(e, mask, lanes) : NULL;
        emit_store(e, at->dtype, lanes, lowest(e, at, lanes), reversed(e, value, lanes), turned);
    } else {
        LLVMValueRef index = at->lane_index ? at->lane_index : strided_index(e, p, at);
        emit_scatter(e, at->dtype, lanes, at->base, index, value, mask);
    }
}

/* Vector m of all the vectors' elements when the vectors are interleaved: first all first ones, then all second ones. */
static LLVMValueRef interleaved(Emit *e, LLVMValueRef const *vectors, int n, int lanes, int m) {
    LLVMValueRef all = vectors[0], order[128];
    for (int v = 0; v < n; v++) {
        for (int i = 0; i < lanes; i++) {
            int element = m * lanes + i, from = element % n, lane = element / n;
            order[i] = emit_i32(e, from == v ? (v ? lanes : 0) + lane : i);
        }
        LLVMValueRef other = v ? vectors[v] : LLVMGetPoison(LLVMTypeOf(all));
        all = LLVMBuildShuffleVector(e->at, all, other, LLVMConstVector(order, (unsigned)lanes), "");
    }
    return all;
}

void emit_node_store_interleaved(Emit *e, NodePoint *const *points, int n, const KStore *store) {
    const KAccess *access = &points[0]->scope->kernel->accesses.at[store->access];
    int lanes = points[0]->lanes;
    LLVMValueRef *values = arena_array(e->arena, LLVMValueRef, n);
    for (int v = 0; v < n; v++) values[v] = emit_node(e, points[v], store->node);
    Address at = address_of(e, points[0], access);
    for (int m = 0; m < n; m++) {
        LLVMValueRef place = emit_element_pointer(e, at.dtype, at.base, emit_i64(e, (int64_t)m * lanes));
        emit_store(e, at.dtype, lanes, place, interleaved(e, values, n, lanes, m), NULL);
    }
}

void emit_node_store(Emit *e, NodePoint *p, const KStore *store) {
    LLVMValueRef value = emit_node(e, p, store->node);
    Address at = address_of(e, p, &p->scope->kernel->accesses.at[store->access]);
    if (store->guard < 0) {
        store_at(e, p, store, &at, value, p->mask);
        return;
    }
    /* What is memoised is known before a branch: nothing made inside it is used behind. */
    LLVMValueRef guard = value_of(e, p, store->guard);
    if (p->lanes > 1 && lanes_of(p, store->guard) > 1) {
        store_at(e, p, store, &at, value, both(e, p->mask, guard));
        return;
    }
    EmitIf branch = emit_if_begin(e, guard);
    store_at(e, p, store, &at, value, p->mask);
    emit_if_end(e, &branch);
}
