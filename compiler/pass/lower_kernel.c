/* lower_kernel: one fusion becomes one kernel.
 *
 * In: the fusion's region, a handful of operations. Out: axes, accesses and scalar nodes. Values are
 * lowered on demand: node_at(value, point) gives the node that computes the value's element at a point
 * that is affine in the kernel's axes. Index maps only change the point, so they leave no trace; operands
 * become loads; reductions and the contraction are read where they are complete. */
#include "ops/contraction.h"
#include "ops/index.h"
#include "ops/index_map.h"
#include "pass/lower.h"

#include <stdlib.h>

struct Memo {
    Memo *next;
    int guard, node;
    const Dim *point;          /* for each dim of the value: constant, factor of the run-time part, one for each axis */
    const int *parts;          /* the run-time parts */
};

/* An axis of the nest, as the op has it, that is two in the kernel: pieces, and places in a piece. */
typedef struct AxisSplit {
    int axis;
    int64_t by;
} AxisSplit;
enum { MOST_SPLITS = 4 };
typedef struct Splits {
    AxisSplit at[MOST_SPLITS];
    int n;
} Splits;

typedef struct ReductionOf {
    const Op *op;
    int reduction;
} ReductionOf;

typedef struct Maker {
    Lowering *l;
    const Op *fusion;
    Region *body;
    Kernel *k;
    LoweredKernel *to;
    DimTable *dims;
    Arena *scratch;
    int axes;
    /* Variables that lie in pieces are best read by axes that are split alike. Which ones, is found by building the
     * kernel: `wanted` are then the splits of the next attempt. */
    Splits splits, wanted;
    bool can_split;
    int origin[2 * MAX_AXES];  /* by axis: the op's axis; -1: part of one that is split */
    Type domain;               /* LOOPS: S */
    unsigned inner;            /* LOOPS: reduced or swept axes of S */
    bool backward;             /* LOOPS: the inner axis counts from the end of its dim */
    const Op *contraction;
    IndexPoint place;          /* CONTRACT: of its result */
    int place_guard;           /* a node: whether the result has an element there; -1: always */
    int sum_reduction;         /* the sum of a contraction that became a loop nest; else -1 */
    VEC(ReductionOf) reductions;
    int *level;                /* by node: the first stage in which it is known */
    Span span;                 /* of the op whose nodes are made */
    bool failed;
} Maker;

static int node_at(Maker *k, Value *v, const IndexPoint *p, int guard);

/* -------------------------------------------------------------------------- small pieces */

static int add_node(Maker *m, KNode n) {
    n.span = m->span;
    vec_push(m->l->arena, &m->k->nodes, n);
    return m->k->nodes.n - 1;
}

static KNode blank_node(KNodeKind kind, DType t) {
    return (KNode){.kind = kind, .dtype = t, .args = {-1, -1, -1}, .access = -1, .guard = -1, .axis = -1, .reduction = -1};
}

static int const_node(Maker *m, DType t, double value) {
    for (int i = 0; i < m->k->nodes.n; i++) {
        const KNode *n = &m->k->nodes.at[i];
        if (n->kind == NODE_CONST && n->dtype == t && !memcmp(&n->value, &value, sizeof value)) return i;
    }
    KNode n = blank_node(NODE_CONST, t);
    n.value = value;
    return add_node(m, n);
}

static int map_node(Maker *m, MapFn f, DType t, int a, int b, int c) {
    KNode n = blank_node(NODE_MAP, t);
    n.map = f;
    n.args[0] = a;
    n.args[1] = b;
    n.args[2] = c;
    return add_node(m, n);
}

static int dim_node(Maker *m, Dim d, DType t) {
    if (dim_is_const(d)) return const_node(m, t, (double)dim_value(d));
    KNode n = blank_node(NODE_DIM, t);
    n.dim = d;
    return add_node(m, n);
}

/* A number that the kernel is called with, so that kernels which differ in it alone are one. */
static int number_node(Maker *m, int64_t value) {
    int i = 0;
    while (i < m->to->numbers.n && m->to->numbers.at[i] != value) i++;
    if (i == m->to->numbers.n) vec_push(m->l->arena, &m->to->numbers, value);
    m->k->numbers = m->to->numbers.n;
    for (int k = 0; k < m->k->nodes.n; k++)
        if (m->k->nodes.at[k].kind == NODE_NUMBER && m->k->nodes.at[k].number == i) return k;
    KNode n = blank_node(NODE_NUMBER, DTYPE_I64);
    n.number = i;
    return add_node(m, n);
}

static int axis_node(Maker *m, int axis, DType t) {
    for (int i = 0; i < m->k->nodes.n; i++) {
        const KNode *n = &m->k->nodes.at[i];
        if (n->kind == NODE_AXIS && n->axis == axis && n->dtype == t) return i;
    }
    KNode n = blank_node(NODE_AXIS, t);
    n.axis = axis;
    return add_node(m, n);
}

/* The run-time part of an index expression as an i64. */
static int run_time_part(Maker *m, const IndexExpr *e) {
    int x = m->k->nodes.at[e->node].dtype == DTYPE_I64 ? e->node : map_node(m, MAP_convert, DTYPE_I64, e->node, -1, -1);
    if (dim_is(e->node_coeff, 1)) return x;
    return map_node(m, MAP_multiply, DTYPE_I64, x, dim_node(m, e->node_coeff, DTYPE_I64), -1);
}

/* The value of an index expression in integer type t; with a run-time part an i64. */
static int index_node(Maker *m, const IndexExpr *e, DType t) {
    int sum = -1;
    for (int a = 0; a < m->axes; a++) {
        if (dim_is(e->coeff[a], 0)) continue;
        int term = axis_node(m, a, t);
        if (!dim_is(e->coeff[a], 1)) term = map_node(m, MAP_multiply, t, term, dim_node(m, e->coeff[a], t), -1);
        sum = sum < 0 ? term : map_node(m, MAP_add, t, sum, term, -1);
    }
    if (e->node >= 0) {
        int term = run_time_part(m, e);
        sum = sum < 0 ? term : map_node(m, MAP_add, t, sum, term, -1);
    }
    if (sum < 0) return dim_node(m, e->constant, t);
    if (dim_is(e->constant, 0)) return sum;
    return map_node(m, MAP_add, t, sum, dim_node(m, e->constant, t), -1);
}

static int and_nodes(Maker *m, int a, int b) {
    if (a < 0 || b < 0) return a < 0 ? b : a;
    return map_node(m, MAP_and, DTYPE_BOOL, a, b, -1);
}

/* The least and the greatest value of an index expression without run-time part, axes being within their extents.
 * False if that cannot be said. */
static bool index_bounds(const Maker *m, const IndexExpr *e, Dim *least, Dim *most) {
    Dim one = dim_const(m->dims, 1);
    *least = *most = e->constant;
    if (e->node >= 0) return false;
    for (int a = 0; a < m->axes; a++) {
        if (dim_is(e->coeff[a], 0)) continue;
        if (e->coeff[a]->lower < 0 && e->coeff[a]->upper > 0) return false;
        Dim reach = dim_mul(m->dims, e->coeff[a], dim_sub(m->dims, m->k->axes.at[a].extent, one));
        Dim *end = e->coeff[a]->lower >= 0 ? most : least;
        *end = dim_add(m->dims, *end, reach);
    }
    return true;
}

/* Guards and quotients along the lanes are cheaper in i32, where everything fits. */
static DType guard_type(bool bounded, Dim least, Dim most, const IndexGuard *g) {
    bool fits = bounded && least->lower > INT32_MIN && most->upper < INT32_MAX && g->low->lower > INT32_MIN &&
                g->high->upper < INT32_MAX && g->multiple < INT32_MAX;
    return fits ? DTYPE_I32 : DTYPE_I64;
}

/* The conjunction of guards from `first` on, or -1; what always holds is left out. */
static int guard_node(Maker *m, const IndexPoint *p, int first) {
    int all = -1;
    for (int i = first; i < p->guard_count; i++) {
        const IndexGuard *g = &p->guards[i];
        Dim least, most;
        bool bounded = index_bounds(m, &g->expr, &least, &most);
        DType t = guard_type(bounded, least, most, g);
        bool below = !bounded || dim_sub(m->dims, least, g->low)->lower < 0;
        bool above = !bounded || dim_sub(m->dims, g->high, most)->lower < 1;
        if (!below && !above && g->multiple == 1) continue;
        int x = index_node(m, &g->expr, t);
        if (below) all = and_nodes(m, all, map_node(m, MAP_less_equal, DTYPE_BOOL, dim_node(m, g->low, t), x, -1));
        if (above) all = and_nodes(m, all, map_node(m, MAP_less, DTYPE_BOOL, x, dim_node(m, g->high, t), -1));
        if (g->multiple == 1) continue;
        int rest = map_node(m, MAP_remainder, t, x, const_node(m, t, (double)g->multiple), -1);
        all = and_nodes(m, all, map_node(m, MAP_equal, DTYPE_BOOL, rest, const_node(m, t, 0), -1));
    }
    return all;
}

/* ----------------------------------------------------------------------------- accesses */

/* The kernel's buffer that begins at an offset in a plan's. */
static int kernel_buf(Maker *m, int plan_buf, Dim offset, bool written) {
    int i = 0;
    while (i < m->to->bufs.n && (m->to->bufs.at[i] != plan_buf || m->to->offsets.at[i] != offset)) i++;
    if (i == m->to->bufs.n) {
        vec_push(m->l->arena, &m->to->bufs, plan_buf);
        vec_push(m->l->arena, &m->to->offsets, offset);
        vec_push(m->l->arena, &m->k->bufs, (KBuf){m->l->plan->bufs.at[plan_buf].dtype, false});
    }
    if (written) m->k->bufs.at[i].written = true;
    return i;
}

static bool access_equal(const Maker *m, const KAccess *a, const KAccess *b) {
    if (a->buf != b->buf || a->offset != b->offset || a->index != b->index || a->index_stride != b->index_stride)
        return false;
    return !memcmp(a->strides, b->strides, sizeof *a->strides * (size_t)m->axes);
}

static int quotient_node(void *maker, const IndexExpr *e, int64_t divisor) {
    Maker *m = maker;
    Dim least, most;
    bool narrow = index_bounds(m, e, &least, &most) && least->lower > INT32_MIN && most->upper < INT32_MAX;
    DType t = narrow && divisor < INT32_MAX ? DTYPE_I32 : DTYPE_I64;
    return map_node(m, MAP_divide, t, index_node(m, e, t), const_node(m, t, (double)divisor), -1);
}

/* Of two run-time parts, that of b times scale, a node is made. */
static int total_node(void *maker, const IndexExpr *a, const IndexExpr *b, Dim scale) {
    Maker *m = maker;
    IndexExpr term = *b;
    term.node_coeff = dim_mul(m->dims, b->node_coeff, scale);
    return map_node(m, MAP_add, DTYPE_I64, run_time_part(m, a), run_time_part(m, &term), -1);
}

/* Lets index maps make nodes for what no affine expression says. */
static void make_indices(Maker *m, IndexPoint *p) {
    p->quotient = quotient_node;
    p->total = total_node;
    p->user = m;
}

/* a + b * scale. */
static IndexExpr add_expr(Maker *m, const IndexExpr *a, const IndexExpr *b, Dim scale) {
    IndexPoint p;
    p.dims = m->dims;
    p.axes = m->axes;
    make_indices(m, &p);
    return index_add(&p, a, b, scale);
}

static bool is_multiple(Dim d, int64_t of) { return dim_is_const(d) && dim_value(d) % of == 0; }

/* Whether the index is that of a piece times its length, plus one in the piece: then the first one. */
static bool whole_pieces(const Maker *m, const IndexExpr *e, int64_t length, IndexExpr *piece) {
    int within = 0;
    if (e->node >= 0 || !is_multiple(e->constant, length)) return false;
    *piece = index_constant(m->dims, m->axes, dim_const(m->dims, dim_value(e->constant) / length));
    for (int a = 0; a < m->axes; a++) {
        Dim c = e->coeff[a];
        if (is_multiple(c, length)) {
            piece->coeff[a] = dim_const(m->dims, dim_value(c) / length);
            continue;
        }
        if (!dim_is(c, 1) || within++ || m->k->axes.at[a].extent->upper > length) return false;
    }
    return true;
}

/* Asks for the index's one axis to be split. */
static void want_split(Maker *m, const IndexExpr *e, int64_t length) {
    int axis = -1;
    for (int a = 0; a < m->axes; a++) {
        if (dim_is(e->coeff[a], 0)) continue;
        if (axis >= 0 || !dim_is(e->coeff[a], 1)) return;
        axis = a;
    }
    bool fits = axis >= 0 && m->origin[axis] >= 0 && e->node < 0 && is_multiple(e->constant, length) &&
                is_multiple(m->k->axes.at[axis].extent, length);
    for (int i = 0; fits && i < m->wanted.n; i++) fits = m->wanted.at[i].axis != m->origin[axis];
    if (fits && m->can_split && m->wanted.n < MOST_SPLITS)
        m->wanted.at[m->wanted.n++] = (AxisSplit){m->origin[axis], length};
}

/* What the pieces of a split dim add to an address: from one to the next it is further than within one. */
static IndexExpr add_pieces(Maker *m, const Layout *at, const IndexExpr *e, const IndexExpr *sum) {
    IndexExpr piece;
    if (!whole_pieces(m, e, at->pieces, &piece)) {
        want_split(m, e, at->pieces);
        piece = index_constant(m->dims, m->axes, dim_const(m->dims, 0));
        piece.node = quotient_node(m, e, at->pieces);
        piece.node_coeff = dim_const(m->dims, 1);
    }
    Dim within = dim_mul(m->dims, at->strides[at->split_dim], dim_const(m->dims, at->pieces));
    return add_expr(m, sum, &piece, dim_sub(m->dims, at->piece_stride, within));
}

static int add_access(Maker *m, const Layout *at, bool written, const IndexPoint *p) {
    IndexExpr sum = index_constant(m->dims, m->axes, dim_const(m->dims, 0));
    for (int d = 0; d < p->rank; d++) sum = add_expr(m, &sum, &p->at[d], at->strides[d]);
    if (at->pieces) sum = add_pieces(m, at, &p->at[at->split_dim], &sum);
    KAccess a = {.buf = kernel_buf(m, at->buf, at->offset, written), .offset = sum.constant, .index = sum.node,
                 .index_stride = sum.node_coeff};
    a.strides = arena_copy(m->l->arena, sum.coeff, sizeof *sum.coeff * (size_t)m->axes);
    for (int i = 0; i < m->k->accesses.n; i++)
        if (access_equal(m, &a, &m->k->accesses.at[i])) return i;
    vec_push(m->l->arena, &m->k->accesses, a);
    return m->k->accesses.n - 1;
}

static int load_node(Maker *m, const Layout *at, const IndexPoint *p, int guard) {
    int access = add_access(m, at, false, p);
    for (int i = 0; i < m->k->nodes.n; i++) {
        const KNode *n = &m->k->nodes.at[i];
        if (n->kind == NODE_LOAD && n->access == access && n->guard == guard) return i;
    }
    KNode n = blank_node(NODE_LOAD, m->l->plan->bufs.at[at->buf].dtype);
    n.access = access;
    n.guard = guard;
    return add_node(m, n);
}

/* The element at a point of a value that lies somewhere, or is a number of this type. */
static int element_node(Maker *m, const Layout *at, DType t, const IndexPoint *p, int guard) {
    return at->scalar ? dim_node(m, at->scalar, t) : load_node(m, at, p, guard);
}

static int fail(Maker *m, const Op *op, const char *why) {
    if (!m->failed)
        diag_report(m->l->diags, DL0602, op ? op->span : m->fusion->span, "lower: no kernel form holds `%s`: %s",
                    op ? op->info->name : "fusion", why);
    m->failed = true;
    return const_node(m, DTYPE_F32, 0);
}

static const Layout *param_layout(const Maker *m, const Value *v) { return &m->l->at[m->fusion->operands[v->index]->id]; }

static int param_node(Maker *m, Value *v, const IndexPoint *p, int guard) {
    return element_node(m, param_layout(m, v), v->type.dtype, p, guard);
}

/* ------------------------------------------------------------------------------- values */

/* The node / divisor, or what is left of it. */
static int split_node(Maker *m, MapFn part, int node, Dim divisor) {
    if (dim_is(divisor, 1)) return part == MAP_divide ? node : const_node(m, DTYPE_I64, 0);
    return map_node(m, part, DTYPE_I64, node, dim_node(m, divisor, DTYPE_I64), -1);
}

/* The point of a tensor of type `t` that is number `flat` in row-major order. */
static IndexPoint point_of_number(Maker *m, const IndexExpr *flat, Type t) {
    IndexPoint p = {.dims = m->dims, .axes = m->axes, .rank = t.rank};
    Dim strides[MAX_RANK];
    row_major(m->dims, t, strides);
    int rest = index_node(m, flat, DTYPE_I64);
    for (int d = 0; d < t.rank; d++) {
        p.at[d] = index_constant(m->dims, m->axes, dim_const(m->dims, 0));
        if (dim_is(t.shape[d], 1)) continue;
        p.at[d].node = split_node(m, MAP_divide, rest, strides[d]);
        p.at[d].node_coeff = dim_const(m->dims, 1);
        rest = split_node(m, MAP_remainder, rest, strides[d]);
    }
    return p;
}

/* A relabelling that no index map says: reads the operand's memory. Where that is not row-major the place is worked
 * out from the element's number. */
static int relabel_node(Maker *m, const Op *op, const IndexPoint *p, int guard) {
    Value *v = op->operands[0];
    while (v->op && v->op->info->flags & OP_RELABELS) v = v->op->operands[0];
    if (v->op) return fail(m, op, "its operand is not in memory");
    const Layout *at = param_layout(m, v);
    Dim strides[MAX_RANK];
    row_major(m->dims, op->results[0].type, strides);
    Layout flat = {.buf = at->buf, .offset = at->offset, .strides = strides};
    if (is_compact(m->l, at, v->type)) return load_node(m, &flat, p, guard);
    IndexExpr number = index_constant(m->dims, m->axes, dim_const(m->dims, 0));
    for (int d = 0; d < p->rank; d++) number = add_expr(m, &number, &p->at[d], strides[d]);
    IndexPoint from = point_of_number(m, &number, v->type);
    return element_node(m, at, v->type.dtype, &from, guard);
}

/* The node where the guard (-1: none) holds, 0 elsewhere, as a load under the guard is by itself. */
static int or_zero(Maker *m, int node, int guard) {
    const KNode *n = &m->k->nodes.at[node];
    if (guard < 0 || (n->kind == NODE_LOAD && n->guard == guard)) return node;
    DType t = n->dtype;
    return map_node(m, MAP_select, t, guard, node, const_node(m, t, 0));
}

/* Operands are alternatives tried in order: each where its guards hold, the last one elsewhere. */
static int move_node(Maker *m, const Op *op, const IndexPoint *p, int guard) {
    int result = -1, count = op->info->flags & OP_BARRIER ? 1 : op->operand_count;
    for (int i = count - 1; i >= 0; i--) {
        IndexPoint q = *p;
        make_indices(m, &q);
        if (!op->info->index_map(op, i, &q))
            return op->info->flags & OP_RELABELS ? relabel_node(m, op, p, guard) : fail(m, op, "its index map is not affine");
        int own = guard_node(m, &q, p->guard_count);
        q.guard_count = p->guard_count;
        int value = node_at(m, op->operands[i], &q, and_nodes(m, guard, own));
        if (op->info->flags & OP_LEAVES_GAPS) value = or_zero(m, value, and_nodes(m, guard, own));
        if (result < 0 || own < 0) result = value;
        else result = map_node(m, MAP_select, op->results[0].type.dtype, own, value, result);
    }
    return result;
}

static int literal_node(Maker *m, const Op *op, const IndexPoint *p, int guard) {
    const Attr *values = op_attr(op, "values");
    Type t = op->results[0].type;
    if (!values) return const_node(m, t.dtype, op_float(op, "value"));
    PlanBuf b = {.place = PLACE_CONST, .dtype = t.dtype, .data = values->floats, .name = "constant", .alias = -1,
                 .elements = type_elements(m->dims, t), .bytes = values->n * dtype_bytes(t.dtype)};
    Layout at = whole_buf(m->l, plan_add_buf(m->l, b), t);
    return load_node(m, &at, p, guard);
}

static int leaf_node(Maker *m, const Op *op, const IndexPoint *p, int guard) {
    DType t = op->results[0].type.dtype;
    if (op->info->map == MAP_constant) return literal_node(m, op, p, guard);
    if (op->info->map == MAP_dim_value) {
        int n;
        return dim_node(m, op_dims(op, "dims", &n)[0], t);
    }
    const IndexExpr *at = &p->at[op_int(op, "axis")];
    Dim least, most;
    bool narrow = t == DTYPE_I32 && index_bounds(m, at, &least, &most) && least->lower > INT32_MIN && most->upper < INT32_MAX;
    int index = index_node(m, at, narrow ? DTYPE_I32 : DTYPE_I64);
    return narrow || t == DTYPE_I64 ? index : map_node(m, MAP_convert, t, index, -1, -1);
}

static int map_value_node(Maker *m, const Op *op, const IndexPoint *p, int guard) {
    if (op->operand_count == 0) return leaf_node(m, op, p, guard);
    int args[3] = {-1, -1, -1};
    for (int i = 0; i < op->operand_count; i++) args[i] = node_at(m, op->operands[i], p, guard);
    /* The key is seed ^ site. */
    if (op_attr(op, "site")) args[0] = map_node(m, MAP_xor, DTYPE_I64, args[0], number_node(m, op_int(op, "site")), -1);
    int node = map_node(m, op->info->map, op->results[0].type.dtype, args[0], args[1], args[2]);
    if (op_attr(op, "word")) m->k->nodes.at[node].word = (int)op_int(op, "word");
    return node;
}

/* The length of the pieces of an axis of the op; 0: it is one. */
static int64_t split_of(const Maker *m, int axis) {
    for (int i = 0; i < m->splits.n; i++)
        if (m->splits.at[i].axis == axis) return m->splits.at[i].by;
    return 0;
}

static IndexPoint domain_point(const Maker *m) {
    if (m->contraction) return m->place;
    IndexPoint p = {.dims = m->dims, .axes = m->axes, .rank = m->domain.rank};
    for (int d = 0, a = 0; d < p.rank; d++) {
        int64_t by = split_of(m, d);
        p.at[d] = index_constant(m->dims, m->axes, dim_const(m->dims, 0));
        if (by) p.at[d].coeff[a++] = dim_const(m->dims, by);
        int axis = a++;
        if (dim_is(m->domain.shape[d], 1)) continue;
        bool turned = m->backward && m->inner >> d & 1;
        p.at[d].coeff[axis] = dim_const(m->dims, turned ? -1 : 1);
        if (turned) p.at[d].constant = dim_sub(m->dims, m->domain.shape[d], dim_const(m->dims, 1));
    }
    return p;
}

static int convert_node(Maker *m, int node, DType t) {
    return m->k->nodes.at[node].dtype == t ? node : map_node(m, MAP_convert, t, node, -1, -1);
}

/* What type a reduction over elements of type t runs in: sums and products of narrow floats in f32, those of f32 in f64
 * where every value on the way counts: they come in their order, one chain that cannot be cut. */
static DType run_type(const Op *op, DType t) {
    bool rounds = op->info->kind == KIND_CONTRACT || op->info->map == MAP_add || op->info->map == MAP_multiply;
    if (!rounds || !dtype_is_float(t)) return t;
    if (op->info->kind == KIND_CUMULATE && t == DTYPE_F32) return DTYPE_F64;
    return dtype_bytes(t) < 4 ? DTYPE_F32 : t;
}

static int reduction_node(Maker *m, const Op *op) {
    DType t = op->results[0].type.dtype;
    int r = -1;
    for (int i = 0; i < m->reductions.n; i++)
        if (m->reductions.at[i].op == op) r = m->reductions.at[i].reduction;
    if (r < 0) {
        IndexPoint p = domain_point(m);
        KReduction red = {.map = op->info->map, .dtype = run_type(op, t), .node = node_at(m, op->operands[0], &p, -1)};
        if (red.dtype != t) red.node = convert_node(m, red.node, red.dtype);
        if (op_attr(op, "axis")) {
            red.arg = true;
            red.arg_axis = (int)op_int(op, "axis");
        }
        r = m->k->reductions.n;
        vec_push(m->l->arena, &m->k->reductions, red);
        vec_push(m->scratch, &m->reductions, (ReductionOf){op, r});
    }
    KNode n = blank_node(NODE_REDUCED, m->k->reductions.at[r].dtype);
    n.reduction = r;
    return convert_node(m, add_node(m, n), t);
}

/* The first factor of a recurrence does not count. */
static int run_node(Maker *m, const Op *op) {
    const IndexPoint p = domain_point(m);
    int axis = (int)op_int(op, "axis");
    DType t = run_type(op, op->operands[0]->type.dtype);
    KReduction r = {.map = op->info->map, .dtype = t, .running = true, .factor = -1};
    r.node = convert_node(m, node_at(m, op->operands[op->operand_count - 1], &p, -1), t);
    if (op->operand_count == 2) {
        int first = map_node(m, MAP_equal, DTYPE_BOOL, axis_node(m, axis, DTYPE_I64), const_node(m, DTYPE_I64, 0), -1);
        int factor = convert_node(m, node_at(m, op->operands[0], &p, -1), t);
        r.factor = map_node(m, MAP_select, t, first, const_node(m, t, 0), factor);
    }
    if (op->info->flags & OP_ARG_REDUCTION) {
        r.arg = true;
        r.arg_axis = axis;
        r.dtype = op->results[0].type.dtype;
    }
    vec_push(m->l->arena, &m->k->reductions, r);
    KNode n = blank_node(NODE_RUNNING, r.dtype);
    n.reduction = m->k->reductions.n - 1;
    return add_node(m, n);
}

/* A cumulative op at the point of its own sweep, as it is always read; once for each op, as points are memoised. */
static int running_node(Maker *m, const Op *op) {
    Dim extent = op->operands[0]->type.shape[op_int(op, "axis")];
    DType t = op->results[0].type.dtype;
    bool arg = op->info->flags & OP_ARG_REDUCTION;
    IndexPoint p = domain_point(m);
    if (dim_is(extent, 1)) return arg ? const_node(m, t, 0) : node_at(m, op->operands[op->operand_count - 1], &p, -1);
    int n = run_node(m, op);
    if (!arg || !m->backward) return convert_node(m, n, t);
    return map_node(m, MAP_subtract, t, dim_node(m, dim_sub(m->dims, extent, dim_const(m->dims, 1)), t), n, -1);
}

/* Moves a point of the box to where it is in the whole. */
static void shift_by_starts(Maker *m, const Op *op, IndexPoint *p, int guard) {
    IndexParts parts = index_parts(op);
    IndexPoint corner = *p;
    corner.rank = 0;
    for (int i = 0; i < parts.count; i++) {
        IndexExpr *at = &p->at[index_box_axis(op, i)];
        IndexExpr start = index_constant(m->dims, m->axes, dim_const(m->dims, 0));
        start.node = node_at(m, parts.indices[i], &corner, guard);
        start.node_coeff = dim_const(m->dims, 1);
        *at = add_expr(m, at, &start, dim_const(m->dims, 1));
    }
}

/* operand[.., index, ..]: the index is a node; its range was checked by a step before. Where the mask is false nothing
 * is read, and the value is 0. */
static int gather_node(Maker *m, const Op *op, const IndexPoint *p, int guard) {
    int64_t axis = op_int(op, "axis"), batch = op_int(op, "batch");
    IndexParts parts = index_parts(op);
    Value *x = parts.whole, *index = parts.indices[0];
    IndexPoint at = *p, from = *p;
    at.rank = index->type.rank;
    for (int d = 0; d < at.rank; d++) at.at[d] = d < batch ? p->at[d] : p->at[axis + d - batch];
    from.rank = x->type.rank;
    for (int d = (int)axis + 1; d < x->type.rank; d++) from.at[d] = p->at[d - 1 + at.rank - batch];
    from.at[axis] = index_constant(m->dims, m->axes, dim_const(m->dims, 0));
    from.at[axis].node = node_at(m, index, &at, guard);
    from.at[axis].node_coeff = dim_const(m->dims, 1);
    if (!parts.mask) return node_at(m, x, &from, guard);
    int mask = node_at(m, parts.mask, &at, guard), value = node_at(m, x, &from, and_nodes(m, guard, mask));
    DType t = x->type.dtype;
    return map_node(m, MAP_select, t, mask, value, const_node(m, t, 0));
}

/* operand[start + ..]: the starts are nodes, checked before. */
static int box_node(Maker *m, const Op *op, const IndexPoint *p, int guard) {
    IndexPoint from = *p;
    shift_by_starts(m, op, &from, guard);
    return node_at(m, op->operands[0], &from, guard);
}

static int sum_node(Maker *m, DType t) {
    if (m->sum_reduction < 0) return add_node(m, blank_node(NODE_SUM, t));
    KNode n = blank_node(NODE_REDUCED, m->k->reductions.at[m->sum_reduction].dtype);
    n.reduction = m->sum_reduction;
    return convert_node(m, add_node(m, n), t);
}

static int make_node(Maker *m, Value *v, const IndexPoint *p, int guard) {
    if (!v->op) return param_node(m, v, p, guard);
    switch (v->op->info->kind) {
    case KIND_MAP: return map_value_node(m, v->op, p, guard);
    case KIND_MOVE: return move_node(m, v->op, p, guard);
    case KIND_REDUCE: return reduction_node(m, v->op);
    case KIND_CUMULATE: return running_node(m, v->op);
    case KIND_CONTRACT: return sum_node(m, v->type.dtype);
    case KIND_INDEX: return v->op->info->flags & OP_AT_BOX ? box_node(m, v->op, p, guard) : gather_node(m, v->op, p, guard);
    default: return fail(m, v->op, "no kernel has such an operation");
    }
}

static bool is_point(const Maker *m, const Memo *o, const IndexPoint *p) {
    const Dim *at = o->point;
    for (int d = 0; d < p->rank; d++, at += m->axes + 2) {
        const IndexExpr *e = &p->at[d];
        if (o->parts[d] != e->node || at[0] != e->constant || at[1] != e->node_coeff) return false;
        if (memcmp(at + 2, e->coeff, sizeof *at * (size_t)m->axes)) return false;
    }
    return true;
}

static void remember(Maker *m, const Value *v, const IndexPoint *p, int guard, int node) {
    Dim *point = arena_array(m->scratch, Dim, p->rank * (m->axes + 2) + 1);
    int *parts = arena_array(m->scratch, int, p->rank + 1);
    Memo *o = arena_new(m->scratch, Memo);
    *o = (Memo){m->l->memo[v->id], guard, node, point, parts};
    m->l->memo[v->id] = o;
    for (int d = 0; d < p->rank; d++) {
        parts[d] = p->at[d].node;
        *point++ = p->at[d].constant;
        *point++ = p->at[d].node_coeff;
        for (int a = 0; a < m->axes; a++) *point++ = p->at[d].coeff[a];
    }
}

static int node_at(Maker *m, Value *v, const IndexPoint *p, int guard) {
    for (Memo *o = m->l->memo[v->id]; o; o = o->next)
        if (o->guard == guard && is_point(m, o, p)) return o->node;
    Span around = m->span;
    if (v->op) m->span = v->op->span;
    int node = make_node(m, v, p, guard);
    m->span = around;
    remember(m, v, p, guard, node);
    return node;
}

/* --------------------------------------------------------------------------- the two forms */

static void push_axis(Maker *m, AxisRole role, Dim extent, int origin) {
    vec_push(m->l->arena, &m->k->axes, (KAxis){role, extent});
    m->origin[m->axes++] = origin;
}

/* The kernel's axis for an axis of the op, or its two. */
static void add_axis(Maker *m, AxisRole role, Dim extent, int number) {
    int64_t by = split_of(m, number);
    if (by) push_axis(m, role, dim_div(m->dims, extent, by), -1);
    push_axis(m, role, by ? dim_const(m->dims, by) : extent, by ? -1 : number);
}

static void find_domain(Maker *m) {
    m->domain = m->body->yields.at[0]->type;
    for (int i = 0; i < m->body->ops.n; i++) {
        Op *op = m->body->ops.at[i];
        if (op->info->kind == KIND_CONTRACT) {
            m->contraction = op;
            m->domain = op->results[0].type;
            return;
        }
        if (op->info->kind != KIND_REDUCE && op->info->kind != KIND_CUMULATE) continue;
        m->domain = op->operands[0]->type;
        m->backward = op_attr(op, "reverse") && op_int(op, "reverse");
        m->inner = 0;
        int n = 0;
        if (op_attr(op, "axis")) m->inner = 1u << op_int(op, "axis");
        const int64_t *axes = m->inner ? NULL : op_ints(op, "axes", &n);
        for (int a = 0; a < n; a++) m->inner |= 1u << axes[a];
        return;
    }
}

/* The domain's point p, without the axes that `left_out` says, as one of type t: dims of extent 1 do not count. False if
 * it is none. */
static bool point_as(const Maker *m, const IndexPoint *p, unsigned left_out, Type t, IndexPoint *to) {
    int d = 0;
    *to = *p;
    to->rank = t.rank;
    for (int i = 0; i < t.rank; i++) {
        to->at[i] = index_constant(m->dims, m->axes, dim_const(m->dims, 0));
        if (dim_is(t.shape[i], 1)) continue;
        while (d < m->domain.rank && (left_out >> d & 1 || dim_is(m->domain.shape[d], 1))) d++;
        if (d == m->domain.rank || m->domain.shape[d] != t.shape[i]) return false;
        to->at[i] = p->at[d++];
    }
    while (d < m->domain.rank && (left_out >> d & 1 || dim_is(m->domain.shape[d], 1))) d++;
    return d == m->domain.rank;
}

/* The point of an output: its dims are all axes of the domain, or the outer ones. */
static IndexPoint output_point(const Maker *m, Type t) {
    IndexPoint p = domain_point(m), to;
    if (shape_equal(t.rank, t.shape, m->domain.rank, m->domain.shape)) return p;
    if (!point_as(m, &p, 0, t, &to)) point_as(m, &p, m->inner, t, &to);
    return to;
}

static KStore plain_store(int access, int node) { return (KStore){.access = access, .node = node, .guard = -1}; }

static KStore output_store(Maker *m, int output) {
    Value *v = m->body->yields.at[output];
    IndexPoint p = output_point(m, v->type);
    KStore s = plain_store(-1, node_at(m, v, &p, m->place_guard));
    s.access = add_access(m, &m->l->at[m->fusion->results[output].id], true, &p);
    s.guard = m->place_guard;
    return s;
}

/* Which stage first knows a node: 0 without reductions, else one after those it needs. */
static int node_level(Maker *m, int node);

static int reduction_level(Maker *m, int reduction) {
    const KReduction *r = &m->k->reductions.at[reduction];
    int level = node_level(m, r->node), other = r->running && r->factor >= 0 ? node_level(m, r->factor) : 0;
    return other > level ? other : level;
}

static int node_level(Maker *m, int node) {
    if (m->level[node] >= 0) return m->level[node];
    const KNode *n = &m->k->nodes.at[node];
    int level = 0;
    if (n->kind == NODE_REDUCED) level = node_level(m, m->k->reductions.at[n->reduction].node) + 1;
    if (n->kind == NODE_RUNNING) level = reduction_level(m, n->reduction);
    int needs[5] = {n->args[0], n->args[1], n->args[2], n->guard, n->kind == NODE_LOAD ? m->k->accesses.at[n->access].index : -1};
    for (int i = 0; i < 5; i++) {
        int other = needs[i] < 0 ? 0 : node_level(m, needs[i]);
        if (other > level) level = other;
    }
    return m->level[node] = level;
}

static bool sweeps_inner(const Maker *m, const KStore *s) {
    for (int a = 0; a < m->axes; a++)
        if (m->k->axes.at[a].role == AXIS_INNER && !dim_is(m->k->accesses.at[s->access].strides[a], 0)) return true;
    return false;
}

/* Stages: at each level first what sweeps the inner axes, then what is stored once a row. */
static void make_stages(Maker *m, const KStore *stores, int count) {
    m->level = arena_array(m->scratch, int, m->k->nodes.n);
    for (int i = 0; i < m->k->nodes.n; i++) m->level[i] = -1;
    int last = 0;
    for (int i = 0; i < count; i++) last = node_level(m, stores[i].node) > last ? m->level[stores[i].node] : last;
    for (int level = 0; level <= last; level++) {
        KStage rows = {.inner = false}, sweep = {.inner = true};
        for (int i = 0; i < count; i++) {
            if (m->level[stores[i].node] != level) continue;
            if (sweeps_inner(m, &stores[i])) vec_push(m->l->arena, &sweep.stores, stores[i]);
            else vec_push(m->l->arena, &rows.stores, stores[i]);
        }
        for (int r = 0; r < m->k->reductions.n; r++)
            if (reduction_level(m, r) == level) vec_push(m->l->arena, &sweep.reductions, r);
        if (rows.stores.n) vec_push(m->l->arena, &m->k->stages, rows);
        if (sweep.stores.n || sweep.reductions.n) vec_push(m->l->arena, &m->k->stages, sweep);
    }
}

/* The stages of a loop nest whose axes are known. */
static void store_outputs(Maker *m) {
    int n = m->body->yields.n;
    KStore *stores = arena_array(m->scratch, KStore, n);
    for (int i = 0; i < n; i++) stores[i] = output_store(m, i);
    make_stages(m, stores, n);
}

static void make_loops(Maker *m) {
    for (int d = 0; d < m->domain.rank; d++)
        add_axis(m, m->inner >> d & 1 ? AXIS_INNER : AXIS_OUTER, m->domain.shape[d], d);
    m->can_split = !m->inner;
    store_outputs(m);
}

static const Op *updating_op(const Region *body) {
    for (int i = 0; i < body->ops.n; i++)
        if (body->ops.at[i]->info->flags & OP_UPDATES) return body->ops.at[i];
    return NULL;
}

/* An update puts each element of `update` at a place of the result, which holds the first operand already: there the
 * stage stores `s`. */
static void finish_update(Maker *m, const Op *op, const IndexPoint *to, KStore s, bool sweeps) {
    IndexPoint p = domain_point(m);
    s.node = node_at(m, index_parts(op).update, &p, -1);
    s.access = add_access(m, &m->l->at[m->fusion->results[0].id], true, to);
    KStage stage = {.inner = sweeps};
    vec_push(m->l->arena, &stage.stores, s);
    vec_push(m->l->arena, &m->k->stages, stage);
}

/* result[.., index, ..] += update. Outer axes are those of the result but for the indexed one, so that each point
 * works alone, in the order of the indices. */
static void make_scatter(Maker *m, const Op *op) {
    int axis = (int)op_int(op, "axis"), batch = (int)op_int(op, "batch");
    IndexParts parts = index_parts(op);
    Value *index = parts.indices[0];
    int many = index->type.rank - batch;
    m->domain = parts.update->type;
    for (int d = 0; d < m->domain.rank; d++)
        add_axis(m, d >= axis && d < axis + many ? AXIS_INNER : AXIS_OUTER, m->domain.shape[d], d);
    IndexPoint p = domain_point(m), at = p, to = p;
    at.rank = index->type.rank;
    for (int d = batch; d < at.rank; d++) at.at[d] = p.at[axis + d - batch];
    to.rank = op->results[0].type.rank;
    for (int d = axis + 1; d < to.rank; d++) to.at[d] = p.at[d - 1 + many];
    to.at[axis] = index_constant(m->dims, m->axes, dim_const(m->dims, 0));
    to.at[axis].node = node_at(m, index, &at, -1);
    to.at[axis].node_coeff = dim_const(m->dims, 1);
    KStore s = {.mode = op->info->flags & OP_OVERWRITES ? STORE_LAST : STORE_COMBINE, .guard = -1};
    if (s.mode == STORE_COMBINE) s.map = op->info->map;
    if (parts.mask) s.guard = node_at(m, parts.mask, &at, -1);
    finish_update(m, op, &to, s, true);
}

static void make_box_update(Maker *m, const Op *op) {
    m->domain = index_parts(op).update->type;
    for (int d = 0; d < m->domain.rank; d++) add_axis(m, AXIS_OUTER, m->domain.shape[d], d);
    IndexPoint to = domain_point(m);
    shift_by_starts(m, op, &to, -1);
    finish_update(m, op, &to, (KStore){.guard = -1}, false);
}

static void make_update(Maker *m, const Op *op) {
    if (op->info->flags & OP_AT_BOX) make_box_update(m, op);
    else make_scatter(m, op);
}

/* An operand's element at the contraction's point, 0 where it has none. */
static int factor_node(Maker *m, Value *x, const IndexPoint *at) {
    int guard = guard_node(m, at, 0);
    IndexPoint p = *at;
    p.guard_count = 0;
    return or_zero(m, node_at(m, x, &p, guard), guard);
}

/* A factor that is read where it lies: no value of it is computed or guarded. */
static bool is_plain_load(const Kernel *k, int node) {
    const KNode *n = &k->nodes.at[node];
    return n->kind == NODE_LOAD && n->guard < 0 && k->accesses.at[n->access].index < 0;
}

/* Whether the sum is better a loop nest: it is thin, and the side with few axes of its own would have to be packed. */
static bool is_loop_nest(const Kernel *k, const Contraction *c) {
    double rows = contraction_extent(c, PART_LHS), columns = contraction_extent(c, PART_RHS);
    if (!contraction_is_thin(c)) return false;
    if (rows <= 1 && columns <= 1) return true;
    return columns < rows ? !is_plain_load(k, k->a) : !is_plain_load(k, k->b);
}

/* The sum as a reduction over the inner axes of a loop nest. */
static void sum_by_loops(Maker *m, DType t) {
    static const AxisRole roles[] = {[AXIS_BATCH] = AXIS_OUTER, [AXIS_M] = AXIS_OUTER, [AXIS_N] = AXIS_OUTER,
                                     [AXIS_K] = AXIS_INNER};
    DType run = run_type(m->contraction, t);
    int product = map_node(m, MAP_multiply, run, convert_node(m, m->k->a, run), convert_node(m, m->k->b, run), -1);
    for (int a = 0; a < m->axes; a++) m->k->axes.at[a].role = roles[m->k->axes.at[a].role];
    m->k->a = m->k->b = -1;
    m->k->form = KERNEL_LOOPS;
    m->sum_reduction = m->k->reductions.n;
    vec_push(m->l->arena, &m->k->reductions,
             ((KReduction){.map = MAP_add, .dtype = run, .node = product, .product = true, .factor = -1}));
}

static bool is_affine(const IndexPoint *p) {
    for (int d = 0; d < p->rank; d++)
        if (p->at[d].node >= 0) return false;
    for (int i = 0; i < p->guard_count; i++)
        if (p->guards[i].expr.node >= 0) return false;
    return true;
}

static void forget_nodes(Lowering *l, const Region *body) {
    for (int i = 0; i < body->params.n; i++) l->memo[body->params.at[i]->id] = NULL;
    for (int i = 0; i < body->ops.n; i++)
        for (int j = 0; j < body->ops.at[i]->result_count; j++) l->memo[body->ops.at[i]->results[j].id] = NULL;
}

/* A node without which the factor read at a point is 0; -1: nothing is known. */
static int zeros_node(Maker *m, Value *x, const IndexPoint *at) {
    Zeros z;
    if (at->guard_count || !lower_zeros(m->fusion, x, *at, &z)) return -1;
    const Region *own = z.fusion->regions[0];
    if (own != m->body) forget_nodes(m->l, own);
    make_indices(m, &z.at);
    int node = node_at(m, z.unless, &z.at, -1);
    if (own != m->body) forget_nodes(m->l, own);
    return node;
}

static void make_contraction(Maker *m) {
    static const AxisRole roles[] = {
        [PART_BATCH] = AXIS_BATCH, [PART_LHS] = AXIS_M, [PART_RHS] = AXIS_N, [PART_SUM] = AXIS_K};
    const Op *op = m->contraction;
    DType t = op->results[0].type.dtype;
    Contraction c = {.dims = m->dims, .user = m};
    bool good = op->info->contract(op, &c);
    for (int a = 0; good && a < c.axes; a++) add_axis(m, roles[c.part[a]], c.extent[a], a);
    c.quotient = quotient_node;
    c.total = total_node;
    if (!good || !op->info->contract(op, &c)) {
        fail(m, op, "its operands cannot be read in place");
        return;
    }
    m->can_split = is_affine(&c.lhs) && is_affine(&c.rhs) && is_affine(&c.result) && c.axes + MOST_SPLITS <= MAX_AXES;
    for (int a = c.axes - 1; a >= 0; a--)
        if (split_of(m, a)) contraction_split(&c, a, split_of(m, a));
    m->place_guard = guard_node(m, &c.result, 0);
    m->place = c.result;
    m->place.guard_count = 0;
    m->k->a = factor_node(m, op->operands[0], &c.lhs);
    m->k->b = factor_node(m, op->operands[1], &c.rhs);
    m->k->acc = t;
    if (m->k->form == KERNEL_CONTRACT && !is_loop_nest(m->k, &c))
        m->k->where = and_nodes(m, zeros_node(m, op->operands[0], &c.lhs), zeros_node(m, op->operands[1], &c.rhs));
    if (is_loop_nest(m->k, &c)) sum_by_loops(m, t);
    if (m->k->form == KERNEL_LOOPS) {
        store_outputs(m);
        return;
    }
    KStage stage = {.inner = false};
    for (int i = 0; i < m->body->yields.n; i++) vec_push(m->l->arena, &stage.stores, output_store(m, i));
    vec_push(m->l->arena, &m->k->stages, stage);
}

static double count_flops(const Maker *m) {
    double points = 1, work = m->contraction ? 2 : 0;
    for (int a = 0; a < m->axes; a++) points *= (double)m->k->axes.at[a].extent->upper;
    for (int i = 0; i < m->k->nodes.n; i++)
        if (m->k->nodes.at[i].kind == NODE_MAP && !m->contraction) work++;
    if (m->contraction) return points * work;
    return points * (work ? work + m->k->reductions.n : 1);
}

static void forget_operands(LoweredKernel *to) { to->bufs.n = to->offsets.n = to->dims.n = to->numbers.n = 0; }

static bool build_fusion(Lowering *l, const Op *fusion, LoweredKernel *to, Splits *splits) {
    Maker m = {.l = l, .fusion = fusion, .body = fusion->regions[0], .to = to, .dims = &l->m->dims, .scratch = l->scratch,
               .splits = *splits};
    m.k = arena_new(l->arena, Kernel);
    forget_nodes(l, m.body); /* a fusion may be lowered twice: on trial for writing in place, and for good */
    forget_operands(to);
    m.k->a = m.k->b = m.k->where = m.sum_reduction = m.place_guard = -1;
    const Op *updating = updating_op(m.body);
    if (!updating) find_domain(&m);
    m.k->form = m.contraction ? KERNEL_CONTRACT : KERNEL_LOOPS;
    /* Points carry as many coefficients as there are axes; those are known before any node is made. */
    if (updating) make_update(&m, updating);
    else if (m.contraction) make_contraction(&m);
    else make_loops(&m);
    to->kernel = m.k;
    to->flops = count_flops(&m);
    to->span = fusion->span;
    *splits = m.wanted;
    return !m.failed;
}

bool lower_fusion(Lowering *l, const Op *fusion, LoweredKernel *to) {
    Splits splits = {.n = 0};
    if (!build_fusion(l, fusion, to, &splits)) return false;
    return !splits.n || build_fusion(l, fusion, to, &splits);
}

static void build_copy(Lowering *l, Type t, const Layout *to, const Layout *from, LoweredKernel *kernel,
                       Splits *splits) {
    Maker m = {.l = l, .to = kernel, .dims = &l->m->dims, .scratch = l->scratch, .domain = t, .splits = *splits,
               .can_split = true};
    m.k = arena_new(l->arena, Kernel);
    m.k->a = m.k->b = m.k->where = -1;
    forget_operands(kernel);
    for (int d = 0; d < t.rank; d++) add_axis(&m, AXIS_OUTER, t.shape[d], d);
    IndexPoint p = domain_point(&m);
    int node = element_node(&m, from, t.dtype, &p, -1);
    KStore store = plain_store(add_access(&m, to, true, &p), node);
    make_stages(&m, &store, 1);
    kernel->kernel = m.k;
    kernel->flops = count_flops(&m);
    *splits = m.wanted;
}

void lower_copy(Lowering *l, Type t, const Layout *to, const Layout *from, LoweredKernel *kernel) {
    Splits splits = {.n = 0};
    build_copy(l, t, to, from, kernel, &splits);
    if (splits.n) build_copy(l, t, to, from, kernel, &splits);
}
