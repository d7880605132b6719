/* The contraction generator: C[b,m,n] = sum over k of A[b,m,k] * B[b,k,n], with an epilogue.
 *
 * In: a kernel whose axes have roles, and its schedule. Out: the body of the kernel's function. Every sum runs over k in
 * index order, one fused multiply-add a term, in runs (kernel_run) whose sums are added up in order, whatever M and N
 * are: so a row computed alone equals the same row in a batch, and neither blocks nor threads change a bit.
 *
 * The last M axis and the last N axis are tiled, or several of the last ones as if they were one; other batch, M and N
 * axes are loops around. An item of work is a block of mc rows and nc columns. In it, strips of mr rows sweep the columns
 * in tiles of nv vectors (related: BLIS; Heinecke et al., LIBXSMM): the tile's mr x nv sums live in registers while k
 * runs; a vector of B is loaded once for mr rows, an element of A is broadcast for nv vectors. What is left of the rows is
 * done by halving row counts, what is left of the columns by a narrower tile whose last vector is masked. Where there are
 * fewer rows than mr, as in single-example inference, the tile is `skinny`: a few rows, many columns, so that B is read in
 * long runs; where B is so large that it comes from memory, all of them along with a few terms at a time
 * (contract_sweep.c).
 *
 * B is read where it lies if its N stride is 1; else, or where its rows would fall into one set of the L1 cache, the item
 * first packs its kc x nc panel into the worker's scratch memory. A factor that is no plain load - it is guarded, as at
 * the borders of a padded image, or computed - is evaluated while it is packed, A into a panel of mc rows. A sum over more
 * than kc terms pauses between K blocks, which are whole runs, in scratch memory, exactly. */
#include "codegen/contract.h"
#include "ir/kernel_util.h"

#include <string.h>

static LLVMValueRef ceil_div(Emit *e, LLVMValueRef x, int64_t by) {
    LLVMValueRef up = emit_add(e, x, emit_i64(e, by - 1));
    return LLVMIsConstant(up) ? emit_i64(e, LLVMConstIntGetSExtValue(up) / by)
                              : LLVMBuildUDiv(e->at, up, emit_i64(e, by), "");
}

static LLVMValueRef extent_of(Emit *e, const Kernel *k, int axis, const LLVMValueRef *symbols) {
    return emit_dim(e, &e->kernels->dims, k->axes.at[axis].extent, symbols);
}

/* The extent of the rows or columns that are tiled as one. */
static Dim tiled_extent(Emit *e, const Kernel *k, AxisRole role) {
    int n = role == AXIS_M ? k->schedule.m_axes : k->schedule.n_axes;
    return kernel_joined_extent(k, &e->kernels->dims, role, n);
}

/* ------------------------------------------------------------------------------- items */

/* How the work is cut: blocks of rows and columns, for the ordinary and for the skinny way. */
typedef struct Blocks {
    LLVMValueRef rows, columns;    /* numbers of blocks */
    LLVMValueRef outer;            /* product of the extents of the loops around */
    LLVMValueRef skinny;           /* i1: fewer than mr rows; null if that is known not to be */
    bool always_skinny;
} Blocks;

static int64_t skinny_columns(const Kernel *k) {
    const KSchedule *s = &k->schedule;
    return (int64_t)s->skinny_nv * s->lanes * (s->skinny_nc || s->skinny_turn ? SWEPT_TILES : 1);
}

/* Whether B is turned for a single row alone: where the number of rows is not known, code for each would be large. */
static bool turns_one(const Kernel *k, Dim rows) { return k->schedule.skinny_turn && !dim_is_const(rows); }

static Blocks count_blocks(Emit *e, const Kernel *k, const LLVMValueRef *symbols) {
    const KSchedule *s = &k->schedule;
    Dim all_rows = tiled_extent(e, k, AXIS_M), all_columns = tiled_extent(e, k, AXIS_N);
    LLVMValueRef rows = emit_dim(e, &e->kernels->dims, all_rows, symbols);
    LLVMValueRef columns = emit_dim(e, &e->kernels->dims, all_columns, symbols);
    Blocks b = {.outer = emit_i64(e, 1), .rows = ceil_div(e, rows, s->mc), .columns = ceil_div(e, columns, s->nc)};
    for (int a = 0; a < k->axes.n; a++)
        if (kernel_is_outer(k, a)) b.outer = emit_mul(e, b.outer, extent_of(e, k, a, symbols));
    int few = turns_one(k, all_rows) ? 2 : s->mr;
    if (s->skinny_nv && all_rows->lower < few) {
        b.always_skinny = all_rows->upper < few;
        b.skinny = LLVMBuildICmp(e->at, LLVMIntULT, rows, emit_i64(e, few), "skinny");
        LLVMValueRef wide = ceil_div(e, columns, skinny_columns(k));
        b.columns = b.always_skinny ? wide : LLVMBuildSelect(e->at, b.skinny, wide, b.columns, "");
    }
    return b;
}

LLVMValueRef emit_contract_items(Emit *e, const Kernel *k, const LLVMValueRef *symbols) {
    Blocks b = count_blocks(e, k, symbols);
    return emit_mul(e, b.outer, emit_mul(e, b.rows, b.columns));
}

/* ------------------------------------------------------------------------------- tiles */

LLVMValueRef contract_stride(Emit *e, const Contract *c, const KAccess *a, int axis) {
    return emit_dim(e, &e->kernels->dims, a->strides[axis], c->scope->symbols);
}

/* Elements from the buffer's start to the point c->index, without the axes of `role` and the given axis. */
LLVMValueRef contract_offset(Emit *e, const Contract *c, const KAccess *a, AxisRole role) {
    LLVMValueRef sum = emit_dim(e, &e->kernels->dims, a->offset, c->scope->symbols);
    for (int x = 0; x < c->k->axes.n; x++)
        if (c->k->axes.at[x].role != role && !dim_is(a->strides[x], 0))
            sum = emit_add(e, sum, emit_mul(e, contract_stride(e, c, a, x), c->index[x]));
    return sum;
}

LLVMTypeRef contract_sum_type(const Emit *e, const Contract *c) { return emit_type(e, c->acc); }

static LLVMValueRef widen(Emit *e, const Contract *c, LLVMValueRef x, DType from, int lanes) {
    if (from == c->acc) return x;
    return emit_element(e, MAP_convert, &x, from, c->acc, lanes, 0, 0);
}

static LLVMValueRef multiply_add(Emit *e, const Contract *c, LLVMValueRef a, LLVMValueRef b, LLVMValueRef sum) {
    if (dtype_is_float(c->acc)) return emit_fma(e, a, b, sum);
    return LLVMBuildAdd(e->at, LLVMBuildMul(e->at, a, b, ""), sum, "");
}

/* One term of every sum of the tile: a column of A against a row of B. a_at points to the first of A's elements; where
 * rows are found through pointers, it is how far the elements lie from these. The term is number `index` along `axis`. */
static void emit_term(Emit *e, const Contract *c, const Tile *t, LLVMValueRef a_at, LLVMValueRef b_at, int axis,
                      LLVMValueRef index) {
    LLVMValueRef b[MAX_TILE];
    for (int v = 0; v < t->vectors; v++) {
        LLVMValueRef p = emit_element_pointer(e, c->b_type, b_at, emit_i64(e, (int64_t)v * c->lanes));
        b[v] = emit_load(e, c->b_type, c->lanes, p, v == t->vectors - 1 ? t->mask : NULL);
    }
    contract_ahead_term(e, c, t, a_at, b_at, axis, index);
    contract_products(e, c, t, a_at, b);
}

void contract_products(Emit *e, const Contract *c, const Tile *t, LLVMValueRef a_at, LLVMValueRef *b) {
    LLVMTypeRef vector = emit_vector(e, contract_sum_type(e, c), c->lanes);
    for (int v = 0; v < t->vectors; v++) b[v] = widen(e, c, b[v], c->b_type, c->lanes);
    LLVMValueRef row_stride = c->a_panel ? emit_i64(e, c->pitch) : contract_stride(e, c, c->a, c->m);
    for (int r = 0; r < t->rows; r++) {
        LLVMValueRef p = c->k->schedule.rows_a
                             ? emit_element_pointer(e, c->a_type, t->from[r], a_at)
                             : emit_element_pointer(e, c->a_type, a_at, emit_mul(e, row_stride, emit_i64(e, r)));
        LLVMValueRef x = emit_splat(e, widen(e, c, emit_load(e, c->a_type, 1, p, NULL), c->a_type, 1), c->lanes);
        for (int v = 0; v < t->vectors; v++) {
            LLVMValueRef sum = t->sums[r * t->vectors + v];
            emit_set(e, sum, multiply_add(e, c, x, b[v], emit_get(e, vector, sum)));
        }
    }
}

/* The term's place, if the factor lies in a panel: its number there times the step from term to term. Else a step of
 * `index` along the axis from where the factor is read in place. */
LLVMValueRef contract_a_term(Emit *e, const Contract *c, LLVMValueRef at, int axis, LLVMValueRef index) {
    LLVMValueRef step = c->a_panel ? index : emit_mul(e, index, contract_stride(e, c, c->a, axis));
    return c->k->schedule.rows_a ? emit_add(e, at, step) : emit_element_pointer(e, c->a_type, at, step);
}

static LLVMValueRef b_term(Emit *e, const Contract *c, LLVMValueRef at, int axis, LLVMValueRef index) {
    LLVMValueRef stride = c->panel ? emit_i64(e, c->k->schedule.nc) : contract_stride(e, c, c->b, axis);
    return emit_element_pointer(e, c->b_type, at, emit_mul(e, index, stride));
}

LLVMValueRef contract_depth(Emit *e, const Contract *c) {
    LLVMValueRef product = emit_i64(e, 1);
    for (int a = 0; a < c->k->axes.n; a++)
        if (c->k->axes.at[a].role == AXIS_K) product = emit_mul(e, product, extent_of(e, c->k, a, c->scope->symbols));
    return product;
}

/* ------------------------------------------------------------------------------- runs */

static LLVMValueRef sum_at(Emit *e, const Contract *c, LLVMValueRef tile, int i) {
    return emit_element_pointer(e, c->acc, tile, emit_i64(e, (int64_t)i * c->lanes));
}

/* Whether there is more than one run, an i1; a sum that pauses is treated as if there were. */
static LLVMValueRef has_runs(Emit *e, const Contract *c) {
    if (c->k_blocks || !c->one_k) return LLVMConstInt(e->i1, 1, 0);
    return LLVMBuildICmp(e->at, LLVMIntSGT, contract_depth(e, c), emit_i64(e, c->run.terms), "runs");
}

/* The sums of all runs so far, none yet. They lie in scratch memory, since registers that LLVM spills it lays across the
 * cache's lines. */
static void begin_runs(Emit *e, const Contract *c, const Tile *t) {
    EmitIf runs = emit_if_begin(e, has_runs(e, c));
    EmitLoop each = emit_loop_begin(e, emit_i64(e, 0), emit_i64(e, t->rows * t->vectors), emit_i64(e, 1), "zero");
    LLVMValueRef at = emit_element_pointer(e, c->acc, c->runs, emit_mul(e, each.index, emit_i64(e, c->lanes)));
    emit_store(e, c->acc, c->lanes, at, LLVMConstNull(emit_vector(e, contract_sum_type(e, c), c->lanes)), NULL);
    emit_loop_end(e, &each);
    emit_if_end(e, &runs);
}

/* A run ends: the sums join those of the runs before, and begin anew. */
static void end_run(Emit *e, const Contract *c, const Tile *t) {
    LLVMTypeRef vector = emit_vector(e, contract_sum_type(e, c), c->lanes);
    for (int i = 0; i < t->rows * t->vectors; i++) {
        LLVMValueRef at = sum_at(e, c, c->runs, i), before = emit_load(e, c->acc, c->lanes, at, NULL);
        emit_store(e, c->acc, c->lanes, at, LLVMBuildFAdd(e->at, before, emit_get(e, vector, t->sums[i]), ""), NULL);
        emit_set(e, t->sums[i], LLVMConstNull(vector));
    }
}

/* The sum of all runs, the last one included. */
static void join_runs(Emit *e, const Contract *c, const Tile *t) {
    EmitIf runs = emit_if_begin(e, has_runs(e, c));
    LLVMTypeRef vector = emit_vector(e, contract_sum_type(e, c), c->lanes);
    for (int i = 0; i < t->rows * t->vectors; i++) {
        LLVMValueRef before = emit_load(e, c->acc, c->lanes, sum_at(e, c, c->runs, i), NULL);
        emit_set(e, t->sums[i], LLVMBuildFAdd(e->at, before, emit_get(e, vector, t->sums[i]), ""));
    }
    emit_if_end(e, &runs);
}

/* ------------------------------------------------------------------------------- terms */

void contract_joined_term(Emit *e, const Contract *c, const Tile *t, LLVMValueRef a_at, LLVMValueRef b_at,
                          LLVMValueRef index) {
    int axis = kernel_last_axis(c->k, AXIS_K);
    emit_term(e, c, t, contract_a_term(e, c, a_at, axis, index), b_term(e, c, b_at, axis, index), axis, index);
}

/* Terms from .. until-1, `first` being where panels begin, in one loop. */
static void emit_joined_run(Emit *e, const Contract *c, const Tile *t, LLVMValueRef a_at, LLVMValueRef b_at,
                            LLVMValueRef first, LLVMValueRef from, LLVMValueRef until) {
    if (c->turns) {
        contract_turned_run(e, c, t, a_at, b_at, from, until);
        return;
    }
    int axis = kernel_last_axis(c->k, AXIS_K);
    EmitLoop loop = emit_loop_begin(e, from, until, emit_i64(e, 1), "k");
    LLVMValueRef own = LLVMIsNull(first) ? loop.index : LLVMBuildSub(e->at, loop.index, first, "");
    emit_term(e, c, t, contract_a_term(e, c, a_at, axis, c->a_panel ? own : loop.index),
              b_term(e, c, b_at, axis, c->panel ? own : loop.index), axis, loop.index);
    emit_loop_end(e, &loop);
}

/* The terms of this K block or all, counted over all K axes. */
static void emit_joined_terms(Emit *e, const Contract *c, const Tile *t, LLVMValueRef a_at, LLVMValueRef b_at) {
    LLVMValueRef first = c->k_blocks ? c->k_from : emit_i64(e, 0), until = c->k_blocks ? c->k_until : contract_depth(e, c);
    LLVMValueRef from = c->trim_from ? emit_max(e, first, c->trim_from) : first;
    if (c->trim_until) until = emit_min(e, until, c->trim_until);
    if (!c->run.terms) {
        emit_joined_run(e, c, t, a_at, b_at, first, from, until);
        return;
    }
    LLVMValueRef terms = emit_i64(e, c->run.terms), begin = first;
    if (c->trim_from) begin = LLVMBuildSub(e->at, from, LLVMBuildURem(e->at, from, terms, ""), "");
    EmitLoop runs = emit_loop_begin(e, begin, until, terms, "run");
    LLVMValueRef next = emit_add(e, runs.index, terms), own = runs.index;
    if (c->trim_from) own = emit_max(e, own, from);
    emit_joined_run(e, c, t, a_at, b_at, first, own, emit_min(e, next, until));
    EmitIf more = emit_if_begin(e, LLVMBuildICmp(e->at, LLVMIntSLT, next, until, ""));
    end_run(e, c, t);
    emit_if_end(e, &more);
    emit_loop_end(e, &runs);
}

/* Terms of one step along a K axis. */
static LLVMValueRef steps_behind(Emit *e, const Contract *c, int axis) {
    LLVMValueRef product = emit_i64(e, 1);
    for (int a = axis + 1; a < c->k->axes.n; a++)
        product = emit_mul(e, product, extent_of(e, c->k, a, c->scope->symbols));
    return product;
}

/* Where a loop over a K axis stands: its terms from `begin` on lie behind `a_at` and `b_at`, `first` being where panels
 * begin. */
typedef struct Terms {
    int axis;
    LLVMValueRef begin, end, first, a_at, b_at, flat;
} Terms;

static void emit_terms(Emit *e, Contract *c, Tile *t, int from, LLVMValueRef a_at, LLVMValueRef b_at, LLVMValueRef flat);

static void emit_steps(Emit *e, Contract *c, Tile *t, const Terms *at) {
    LLVMValueRef extent = extent_of(e, c->k, at->axis, c->scope->symbols);
    EmitLoop loop = emit_loop_begin(e, at->begin, at->end, emit_i64(e, 1), "k");
    LLVMValueRef a_next = c->a_panel ? at->a_at : contract_a_term(e, c, at->a_at, at->axis, loop.index);
    LLVMValueRef b_next = c->panel ? at->b_at : b_term(e, c, at->b_at, at->axis, loop.index);
    LLVMValueRef own = LLVMIsNull(at->first) ? loop.index : LLVMBuildSub(e->at, loop.index, at->first, "");
    c->index[at->axis] = loop.index;
    LLVMValueRef guard = contract_guard(e, c, at->axis);
    EmitIf counts;
    if (guard) counts = emit_if_begin(e, guard);
    emit_terms(e, c, t, at->axis + 1, a_next, b_next, emit_add(e, emit_mul(e, at->flat, extent), own));
    if (guard) emit_if_end(e, &counts);
    emit_loop_end(e, &loop);
}

/* The terms along the last K axis, at one place of the kernel: for all rows of the tile where all of them lie in the
 * image, for none where none does, without the first or the last one where that alone lies outside; else rows that lie
 * outside are read from zeros. */
static void emit_bordered(Emit *e, Contract *c, Tile *t, const Terms *at) {
    enum { WORTH = 4 };
    LLVMValueRef inside = contract_rows_inside(e, c, t);
    int64_t all = ((int64_t)1 << t->rows) - 1, masks[] = {all, all - 1, all >> 1};
    EmitIf parts[3], some;
    int n = t->rows >= WORTH ? 3 : 1;
    for (int i = 0; i < n; i++) {
        parts[i] = emit_if_begin(e, LLVMBuildICmp(e->at, LLVMIntEQ, inside, emit_i64(e, masks[i]), ""));
        Tile part = contract_part_of_rows(t, i == 1, i == 0 ? t->rows : t->rows - 1);
        emit_steps(e, c, &part, at);
        emit_if_else(e, &parts[i]);
    }
    some = emit_if_begin(e, LLVMBuildICmp(e->at, LLVMIntNE, inside, emit_i64(e, 0), ""));
    Terms zeros = *at;
    zeros.a_at = contract_point_rows(e, c, t, at->a_at);
    emit_steps(e, c, t, &zeros);
    emit_if_end(e, &some);
    for (int i = n - 1; i >= 0; i--) emit_if_end(e, &parts[i]);
}

/* Nested loops over the K axes, from axis number `from` on; a K block is some steps along the cut axis. a_at and b_at
 * point to the current term, but into a panel to its beginning; `flat` is the number of terms of the block before it.
 */
static void emit_terms(Emit *e, Contract *c, Tile *t, int from, LLVMValueRef a_at, LLVMValueRef b_at,
                       LLVMValueRef flat) {
    const Kernel *k = c->k;
    int last = kernel_last_axis(k, AXIS_K);
    while (from < k->axes.n && k->axes.at[from].role != AXIS_K) from++;
    if (from == k->axes.n) {
        emit_term(e, c, t, c->a_panel ? contract_a_term(e, c, a_at, -1, flat) : a_at,
                  c->panel ? b_term(e, c, b_at, -1, flat) : b_at, last, c->index[last]);
        return;
    }
    Terms at = {.axis = from, .first = emit_i64(e, 0), .a_at = a_at, .b_at = b_at, .flat = flat};
    LLVMValueRef extent = extent_of(e, k, from, c->scope->symbols), until = extent;
    if (c->k_blocks && from <= c->cut_axis) {
        LLVMValueRef step = steps_behind(e, c, from), count = emit_i64(e, 1);
        if (from == c->cut_axis) count = LLVMBuildUDiv(e->at, LLVMBuildSub(e->at, c->k_until, c->k_from, ""), step, "");
        at.first = LLVMBuildUDiv(e->at, c->k_from, step, "");
        if (from > c->k_axis) at.first = LLVMBuildURem(e->at, at.first, extent, "");
        until = emit_add(e, at.first, count);
    }
    bool cut = c->run.terms && from == c->run.axis;
    EmitLoop runs;
    if (cut) runs = emit_loop_begin(e, at.first, until, emit_i64(e, c->run.steps), "run");
    at.begin = cut ? runs.index : at.first;
    at.end = cut ? emit_min(e, until, emit_add(e, at.begin, emit_i64(e, c->run.steps))) : until;
    if (c->zeros && from == last) emit_bordered(e, c, t, &at);
    else emit_steps(e, c, t, &at);
    if (!cut) return;
    end_run(e, c, t);
    emit_loop_end(e, &runs);
}

/* Where K blocks leave the sum of (row r, vector v) in between. */
static LLVMValueRef paused_sum(Emit *e, const Contract *c, const Tile *t, int r, int v) {
    LLVMValueRef row = emit_add(e, LLVMBuildSub(e->at, t->row, c->m_from, ""), emit_i64(e, r));
    LLVMValueRef column = emit_add(e, LLVMBuildSub(e->at, t->column, c->n_from, ""), emit_i64(e, (int64_t)v * c->lanes));
    LLVMValueRef at = emit_add(e, emit_mul(e, row, emit_i64(e, c->k->schedule.nc)), column);
    return emit_element_pointer(e, c->acc, c->paused, at);
}

static void start_sums(Emit *e, const Contract *c, const Tile *t) {
    LLVMTypeRef vector = emit_vector(e, contract_sum_type(e, c), c->lanes);
    if (c->sweep.from) {
        contract_sweep_start(e, c, t);
        return;
    }
    for (int i = 0; i < t->rows * t->vectors; i++) emit_set(e, t->sums[i], LLVMConstNull(vector));
    if (c->run.terms) begin_runs(e, c, t);
    if (!c->k_blocks) return;
    EmitIf resume = emit_if_begin(e, LLVMBuildICmp(e->at, LLVMIntNE, c->k_from, emit_i64(e, 0), ""));
    for (int r = 0; r < t->rows; r++)
        for (int v = 0; v < t->vectors; v++) {
            int i = r * t->vectors + v;
            LLVMValueRef before = emit_load(e, c->acc, c->lanes, paused_sum(e, c, t, r, v), NULL);
            if (c->run.terms) emit_store(e, c->acc, c->lanes, sum_at(e, c, c->runs, i), before, NULL);
            else emit_set(e, t->sums[i], before);
        }
    emit_if_end(e, &resume);
}

/* Forgets the values of nodes that depend on the axis. */
static void forget(const Contract *c, NodePoint *p, int axis) {
    for (int i = 0; i < c->k->nodes.n; i++)
        if (c->scope->depends[i] >> axis & 1) p->value[i] = NULL;
}

static void forget_row(const Contract *c, NodePoint *p) {
    for (int a = c->m_first; a <= c->m; a++) forget(c, p, a);
    for (int i = 0; i < c->k->nodes.n; i++)
        if (c->k->nodes.at[i].kind == NODE_SUM) p->value[i] = NULL;
}

/* The stores at the point p, whose sums are given. All is read before anything is stored, which may lie there. */
static void emit_point_epilogue(Emit *e, const Contract *c, NodePoint *p, LLVMValueRef sum) {
    const KStage *stage = &c->k->stages.at[0];
    p->sum = c->acc == c->k->acc ? sum : emit_element(e, MAP_convert, &sum, c->acc, c->k->acc, c->lanes, 0, 0);
    for (int i = 0; i < stage->stores.n; i++) emit_node(e, p, stage->stores.at[i].node);
    for (int i = 0; i < stage->stores.n; i++) emit_node_store(e, p, &stage->stores.at[i]);
}

static void to_vector(Emit *e, const Contract *c, const Tile *t, NodePoint *p, int v) {
    p->index[c->n] = emit_add(e, t->column, emit_i64(e, (int64_t)v * c->lanes));
    p->mask = v == t->vectors - 1 ? t->mask : NULL;
    forget(c, p, c->n);
}

/* All in line, column by column of vectors, so that what does not depend on the row (a bias) stays in a register. */
static void emit_short_epilogue(Emit *e, const Contract *c, const Tile *t, NodePoint *p) {
    LLVMTypeRef vector = emit_vector(e, contract_sum_type(e, c), c->lanes);
    for (int v = 0; v < t->vectors; v++) {
        to_vector(e, c, t, p, v);
        for (int r = 0; r < t->rows; r++) {
            p->index[c->m] = emit_add(e, t->row, emit_i64(e, r));
            for (int a = c->m_first; c->rows_apart && a <= c->m; a++) p->index[a] = t->digits[r][a];
            forget_row(c, p);
            emit_point_epilogue(e, c, p, emit_get(e, vector, t->sums[r * t->vectors + v]));
        }
    }
}

/* The rows' indices in memory, by axis. */
static LLVMValueRef *store_digits(Emit *e, const Contract *c, const Tile *t) {
    LLVMValueRef *memory = arena_array(e->arena, LLVMValueRef, c->k->axes.n);
    for (int a = c->m_first; a <= c->m; a++) {
        memory[a] = emit_variable(e, LLVMArrayType2(e->i64, (unsigned)t->rows), "digits");
        for (int r = 0; r < t->rows; r++)
            emit_store(e, DTYPE_I64, 1, emit_element_pointer(e, DTYPE_I64, memory[a], emit_i64(e, r)), t->digits[r][a],
                       NULL);
    }
    return memory;
}

/* A loop over the rows, with the sums laid down in memory: where a point takes many operations, copies of them for
 * every row of every tile would only make the code large. */
static void emit_long_epilogue(Emit *e, const Contract *c, const Tile *t, NodePoint *p) {
    LLVMTypeRef vector = emit_vector(e, contract_sum_type(e, c), c->lanes);
    for (int i = 0; i < t->rows * t->vectors; i++) {
        emit_store(e, c->acc, c->lanes, sum_at(e, c, c->laid, i), emit_get(e, vector, t->sums[i]), NULL);
    }
    LLVMValueRef *memory = c->rows_apart ? store_digits(e, c, t) : NULL;
    EmitLoop rows = emit_loop_begin(e, emit_i64(e, 0), emit_i64(e, t->rows), emit_i64(e, 1), "row");
    LLVMValueRef first = emit_mul(e, rows.index, emit_i64(e, (int64_t)t->vectors * c->lanes));
    p->index[c->m] = emit_add(e, t->row, rows.index);
    for (int a = c->m_first; memory && a <= c->m; a++)
        p->index[a] = emit_load(e, DTYPE_I64, 1, emit_element_pointer(e, DTYPE_I64, memory[a], rows.index), NULL);
    for (int v = 0; v < t->vectors; v++) {
        to_vector(e, c, t, p, v);
        forget_row(c, p);
        LLVMValueRef at = emit_element_pointer(e, c->acc, c->laid, emit_add(e, first, emit_i64(e, (int64_t)v * c->lanes)));
        emit_point_epilogue(e, c, p, emit_load(e, c->acc, c->lanes, at, NULL));
    }
    emit_loop_end(e, &rows);
}

void contract_epilogue(Emit *e, const Contract *c, const Tile *t) {
    NodePoint *p = emit_point(e, c->scope);
    memcpy(p->index, c->index, sizeof *p->index * (size_t)c->k->axes.n);
    p->vector_axis = c->n;
    p->lanes = c->lanes;
    if (c->laid && t->rows > 1) emit_long_epilogue(e, c, t, p);
    else emit_short_epilogue(e, c, t, p);
}

static void finish_sums(Emit *e, const Contract *c, const Tile *t) {
    if (c->sweep.from) {
        contract_sweep_finish(e, c, t);
        return;
    }
    if (c->run.terms) join_runs(e, c, t);
    if (!c->k_blocks) {
        contract_epilogue(e, c, t);
        return;
    }
    LLVMTypeRef vector = emit_vector(e, contract_sum_type(e, c), c->lanes);
    EmitIf done = emit_if_begin(e, c->k_last);
    contract_epilogue(e, c, t);
    emit_if_else(e, &done);
    for (int r = 0; r < t->rows; r++)
        for (int v = 0; v < t->vectors; v++)
            emit_store(e, c->acc, c->lanes, paused_sum(e, c, t, r, v), emit_get(e, vector, t->sums[r * t->vectors + v]),
                       NULL);
    emit_if_end(e, &done);
}

/* Where the tile's corner of a factor lies: so far into its panel, or where it is read in place. */
static LLVMValueRef tile_factor(Emit *e, const Contract *c, const KAccess *a, DType t, LLVMValueRef panel,
                                LLVMValueRef in) {
    if (panel) return emit_element_pointer(e, t, panel, in);
    return emit_element_pointer(e, t, c->scope->bufs[a->buf], contract_offset(e, c, a, AXIS_K));
}

static void emit_tile(Emit *e, Contract *c, int rows, int vectors, LLVMValueRef row, LLVMValueRef column,
                      LLVMValueRef mask) {
    Tile t = {.rows = rows, .vectors = vectors, .row = row, .column = column, .mask = mask};
    LLVMTypeRef vector = emit_vector(e, contract_sum_type(e, c), c->lanes);
    for (int i = 0; i < rows * vectors; i++) t.sums[i] = emit_variable(e, vector, "sum");
    start_sums(e, c, &t);
    c->index[c->m] = row;
    c->index[c->n] = column;
    if (rows == c->k->schedule.mr) contract_ahead_epilogue(e, c, &t);
    LLVMValueRef a_at = emit_i64(e, 0);
    if (c->k->schedule.rows_a) contract_begin_rows(e, c, &t);
    else
        a_at = tile_factor(e, c, c->a, c->a_type, c->a_panel,
                           emit_mul(e, LLVMBuildSub(e->at, row, c->m_from, ""), emit_i64(e, c->pitch)));
    LLVMValueRef b_at = tile_factor(e, c, c->b, c->b_type, c->panel, LLVMBuildSub(e->at, column, c->n_from, ""));
    contract_ahead_tile(e, c, &t);
    contract_trim(e, c, &t);
    LLVMValueRef guard = contract_guard(e, c, -1);
    EmitIf counts;
    if (guard) counts = emit_if_begin(e, guard);
    if (c->sweep.from) contract_sweep_terms(e, c, &t, a_at, b_at);
    else if (c->one_k) emit_joined_terms(e, c, &t, a_at, b_at);
    else emit_terms(e, c, &t, 0, a_at, b_at, emit_i64(e, 0));
    if (guard) emit_if_end(e, &counts);
    finish_sums(e, c, &t);
}

/* ------------------------------------------------------------------- strips, columns, items */

/* Tiles of `vectors` from column `from` on, as long as they fit; gives the first column that they left. */
static LLVMValueRef emit_full_tiles(Emit *e, Contract *c, int rows, int vectors, LLVMValueRef row, LLVMValueRef from) {
    int64_t width = (int64_t)vectors * c->lanes;
    Dim extent = c->columns;
    if (dim_is_const(extent) && dim_value(extent) < width) return from;
    LLVMValueRef last = LLVMBuildSub(e->at, c->n_until, emit_i64(e, width - 1), "");
    EmitLoop loop = emit_loop_begin(e, from, last, emit_i64(e, width), "n");
    emit_tile(e, c, rows, vectors, row, loop.index, NULL);
    emit_loop_end(e, &loop);
    return emit_get(e, e->i64, loop.counter);
}

/* `rows` rows from `row` on, all columns of the item, `vectors` at a time. What is left of the last item's columns
 * is known if the items before it have none left; else ever fewer vectors at a time take it. */
static void emit_columns(Emit *e, Contract *c, int rows, int vectors, LLVMValueRef row) {
    int64_t width = (int64_t)vectors * c->lanes;
    Dim extent = c->columns;
    bool fixed = dim_is_const(extent);
    LLVMValueRef left = emit_full_tiles(e, c, rows, vectors, row, c->n_from);
    if (fixed && (c->n_block % width == 0 || dim_value(extent) <= c->n_block)) {
        int64_t rest = dim_value(extent) % width;
        if (!rest) return;
        EmitIf some = emit_if_begin(e, LLVMBuildICmp(e->at, LLVMIntSLT, left, c->n_until, ""));
        LLVMValueRef mask = rest % c->lanes ? emit_mask(e, emit_i64(e, rest % c->lanes), c->lanes) : NULL;
        emit_tile(e, c, rows, (int)((rest + c->lanes - 1) / c->lanes), row, left, mask);
        emit_if_end(e, &some);
        return;
    }
    for (int fewer = vectors / 2; fixed && fewer >= 1; fewer /= 2)
        left = emit_full_tiles(e, c, rows, fewer, row, left);
    if (fixed && dim_value(extent) % c->lanes == 0) return;
    EmitLoop loop = emit_loop_begin(e, left, c->n_until, emit_i64(e, c->lanes), "n");
    LLVMValueRef count = LLVMBuildSub(e->at, c->n_until, loop.index, "");
    emit_tile(e, c, rows, 1, row, loop.index, emit_mask(e, count, c->lanes));
    emit_loop_end(e, &loop);
}

static int highest_power_below(int x) {
    int p = 1;
    while (p * 2 < x) p *= 2;
    return p;
}

/* Vectors of a skinny tile. Where several rows are swept, one: the less there is to do for a line of B, the more lines
 * are on their way. */
static int skinny_vectors(const Contract *c, int rows) {
    const KSchedule *s = &c->k->schedule;
    if (s->skinny_nc) return rows > 1 ? 1 : s->skinny_nv;
    if (s->skinny_turn) return 1;
    return s->skinny_nv / rows > s->nv ? s->skinny_nv / rows : s->nv;
}

/* Fewer than `below` (mr) rows from *row on: the binary digits of their number, as mr is at most twice the
 * highest power of two below it. */
static void emit_few_rows(Emit *e, Contract *c, int below, bool skinny, LLVMValueRef row_variable) {
    Dim extent = c->rows;
    for (int p = highest_power_below(below); p >= 1; p /= 2) {
        if (extent->upper < p || (dim_is_const(extent) && !(dim_value(extent) % c->k->schedule.mr & p))) continue;
        LLVMValueRef row = emit_get(e, e->i64, row_variable);
        LLVMValueRef fits = LLVMBuildICmp(e->at, LLVMIntSLE, emit_add(e, row, emit_i64(e, p)), c->m_until, "");
        EmitIf some = emit_if_begin(e, fits);
        emit_columns(e, c, p, skinny ? skinny_vectors(c, p) : c->k->schedule.nv, row);
        emit_set(e, row_variable, emit_add(e, row, emit_i64(e, p)));
        emit_if_end(e, &some);
    }
}

static void emit_rows(Emit *e, Contract *c) {
    const KSchedule *s = &c->k->schedule;
    Dim extent = c->rows;
    LLVMValueRef row = emit_variable(e, e->i64, "row");
    emit_set(e, row, c->m_from);
    if (extent->upper >= s->mr) {
        LLVMValueRef last = LLVMBuildSub(e->at, c->m_until, emit_i64(e, s->mr - 1), "");
        EmitLoop strips = emit_loop_begin(e, c->m_from, last, emit_i64(e, s->mr), "m");
        contract_ahead_strip(e, c, strips.index);
        emit_columns(e, c, s->mr, s->nv, strips.index);
        c->ahead = (Ahead){0};
        emit_loop_end(e, &strips);
        emit_set(e, row, emit_get(e, e->i64, strips.counter));
    }
    if (!dim_is_const(extent) || dim_value(extent) % s->mr) emit_few_rows(e, c, s->mr, false, row);
}

void contract_few_rows(Emit *e, Contract *c) {
    const KSchedule *s = &c->k->schedule;
    if (s->skinny_turn || (s->skinny_nc && dim_is_const(c->rows))) {
        int rows = turns_one(c->k, c->rows) ? 1 : (int)dim_value(c->rows);
        emit_columns(e, c, rows, skinny_vectors(c, rows), c->m_from);
        return;
    }
    LLVMValueRef row = emit_variable(e, e->i64, "row");
    emit_set(e, row, c->m_from);
    emit_few_rows(e, c, c->k->schedule.mr, true, row);
}

static void emit_block(Emit *e, Contract *c, bool skinny) {
    if (kernel_sums_lanes(c->k)) {
        contract_lanes_block(e, c);
        return;
    }
    if (skinny) contract_few_rows(e, c);
    else emit_rows(e, c);
}

/* Whether B's columns lie one step apart, over all N axes that are tiled as one. */
static bool joins_columns(Emit *e, const Contract *c) {
    for (int a = c->n_first; a < c->n; a++)
        if (c->b->strides[a] != dim_mul(&e->kernels->dims, c->b->strides[a + 1], c->k->axes.at[a + 1].extent)) return false;
    return true;
}

/* Fills the panels with terms k_from .. k_until-1. */
static void emit_packing(Emit *e, Contract *c, LLVMValueRef k_from, LLVMValueRef k_until) {
    bool copied = c->b && joins_columns(e, c) && (!c->k_blocks || kernel_last_axis(c->k, AXIS_K) == c->k_axis);
    if (c->panel && copied) contract_pack(e, c, k_from, k_until);
    else if (c->panel) contract_pack_values(e, c, false, k_from, k_until);
    if (c->a_panel) contract_pack_values(e, c, true, k_from, k_until);
}

/* The item's rows over all K: at once, or block by block. */
static void emit_depth(Emit *e, Contract *c, bool skinny) {
    const KSchedule *s = &c->k->schedule;
    LLVMValueRef depth = contract_depth(e, c);
    if (skinny && s->skinny_nc) {
        contract_sweep_item(e, c);
        return;
    }
    c->k_blocks = s->kc > 0 && (!skinny || c->panel || c->a_panel);
    if (!c->k_blocks) {
        emit_packing(e, c, emit_i64(e, 0), depth);
        emit_block(e, c, skinny);
        return;
    }
    LLVMValueRef none = LLVMBuildICmp(e->at, LLVMIntEQ, depth, emit_i64(e, 0), ""); /* then one block of no terms */
    LLVMValueRef until = LLVMBuildSelect(e->at, none, emit_i64(e, 1), depth, "");
    EmitLoop blocks = emit_loop_begin(e, emit_i64(e, 0), until, emit_i64(e, s->kc), "kb");
    c->k_from = blocks.index;
    c->k_until = emit_min(e, depth, emit_add(e, blocks.index, emit_i64(e, s->kc)));
    c->k_last = LLVMBuildICmp(e->at, LLVMIntEQ, c->k_until, depth, "last");
    emit_packing(e, c, c->k_from, c->k_until);
    emit_block(e, c, skinny);
    emit_loop_end(e, &blocks);
}

/* Sets the indices of the loops around and the block's bounds from the item's number; blocks of rows vary
 * fastest, so that neighbouring items share B's columns in the cache. Gives how many items that is: those with columns
 * that are swept together. */
static LLVMValueRef decode_item(Emit *e, Contract *c, const Blocks *b, LLVMValueRef item, bool skinny) {
    const KSchedule *s = &c->k->schedule;
    int64_t width = c->n_block = skinny ? skinny_columns(c->k) : s->nc;
    LLVMValueRef row_block = LLVMBuildURem(e->at, item, b->rows, ""), rest = LLVMBuildUDiv(e->at, item, b->rows, "");
    LLVMValueRef column_block = LLVMBuildURem(e->at, rest, b->columns, ""), count = emit_i64(e, 1);
    if (skinny && s->skinny_nc) {
        count = emit_min(e, LLVMBuildSub(e->at, c->scope->end, item, ""), emit_i64(e, s->skinny_nc / width));
        count = emit_min(e, count, LLVMBuildSub(e->at, b->columns, column_block, ""));
    }
    rest = LLVMBuildUDiv(e->at, rest, b->columns, "");
    int outer[64], n = kernel_outer_axes(c->k, outer);
    for (int i = n - 1; i >= 0; i--) {
        LLVMValueRef extent = extent_of(e, c->k, outer[i], c->scope->symbols);
        c->index[outer[i]] = LLVMBuildURem(e->at, rest, extent, "");
        rest = LLVMBuildUDiv(e->at, rest, extent, "");
    }
    c->m_from = emit_mul(e, row_block, emit_i64(e, s->mc));
    LLVMValueRef rows = emit_dim(e, &e->kernels->dims, c->rows, c->scope->symbols);
    LLVMValueRef columns = emit_dim(e, &e->kernels->dims, c->columns, c->scope->symbols);
    c->m_until = emit_min(e, rows, emit_add(e, c->m_from, emit_i64(e, s->mc)));
    c->n_from = emit_mul(e, column_block, emit_i64(e, width));
    c->n_until = emit_min(e, columns, emit_add(e, c->n_from, emit_mul(e, count, emit_i64(e, width))));
    return count;
}

/* Whether all terms of a factor lie one step apart, over all K axes. */
static bool joins_terms(Emit *e, const Contract *c, const KAccess *x) {
    for (int a = c->k_axis; a + 1 < c->k->axes.n && c->k->axes.at[a + 1].role == AXIS_K; a++)
        if (x->strides[a] != dim_mul(&e->kernels->dims, x->strides[a + 1], c->k->axes.at[a + 1].extent)) return false;
    return true;
}

static void emit_items(Emit *e, Contract *c, const Blocks *b, bool skinny) {
    EmitLoop items = emit_loop_begin(e, c->scope->begin, c->scope->end, emit_i64(e, 1), "item");
    items.step = decode_item(e, c, b, items.index, skinny);
    c->turns = skinny && c->k->schedule.skinny_turn;
    bool in_place = c->turns || (skinny && contract_reads_rows(c) && !c->k->schedule.pack_a &&
                                 (c->run.axis >= 0 || joins_terms(e, c, c->b)));
    c->panel = c->k->schedule.pack_b && !in_place ? c->b_memory : NULL;
    c->a_panel = c->k->schedule.pack_a ? c->a_memory : NULL;
    c->one_k = (c->a_panel || joins_terms(e, c, c->a)) && (c->panel || joins_terms(e, c, c->b)) && !c->zeros &&
               c->guard_a < 0 && c->guard_b < 0;
    emit_depth(e, c, skinny);
    emit_loop_end(e, &items);
}

static LLVMValueRef scratch_at(Emit *e, const KernelScope *s, int64_t bytes) {
    LLVMValueRef offset = emit_i64(e, bytes);
    return bytes ? LLVMBuildInBoundsGEP2(e->at, e->i8, s->scratch, &offset, 1, "") : s->scratch;
}

static Contract contract_of(Emit *e, const Kernel *k, KernelScope *s) {
    Contract c = {.k = k, .scope = s, .m = kernel_last_axis(k, AXIS_M), .n = kernel_last_axis(k, AXIS_N), .lanes = k->schedule.lanes};
    c.a = k->schedule.pack_a ? kernel_factor(k, k->a) : kernel_place(k, k->a);
    c.b = k->schedule.pack_b ? kernel_factor(k, k->b) : kernel_place(k, k->b);
    c.guard_a = k->schedule.skip_a ? k->nodes.at[k->a].guard : -1;
    c.guard_b = k->schedule.skip_b ? k->nodes.at[k->b].guard : -1;
    c.a_type = k->nodes.at[k->a].dtype;
    c.b_type = k->nodes.at[k->b].dtype;
    c.acc = k->acc == DTYPE_F16 || k->acc == DTYPE_BF16 ? DTYPE_F32 : k->acc;
    c.m_first = c.m - k->schedule.m_axes + 1;
    c.rows_apart = kernel_rows_apart(k, &e->kernels->dims, e->arena);
    c.n_first = c.n - k->schedule.n_axes + 1;
    c.rows = tiled_extent(e, k, AXIS_M);
    c.columns = tiled_extent(e, k, AXIS_N);
    for (int a = k->axes.n - 1; a >= 0; a--)
        if (k->axes.at[a].role == AXIS_K) c.k_axis = a;
    c.index = arena_array(e->arena, LLVMValueRef, k->axes.n);
    for (int a = 0; a < k->axes.n; a++) c.index[a] = emit_i64(e, 0);
    c.run = kernel_run(k);
    c.cut_axis = kernel_cut_axis(k, &e->kernels->dims, e->arena, k->schedule.kc);
    KernelPanels panels = kernel_panels(k);
    c.pitch = panels.pitch;
    c.a_memory = scratch_at(e, s, panels.a);
    c.b_memory = scratch_at(e, s, panels.b);
    c.runs = scratch_at(e, s, panels.runs);
    c.paused = scratch_at(e, s, panels.paused);
    if (panels.zero_count) c.zeros = scratch_at(e, s, panels.zeros);
    contract_find_limits(e, &c);
    return c;
}

static void clear_zeros(Emit *e, const Contract *c) {
    int64_t count = kernel_panels(c->k).zero_count;
    EmitLoop each = emit_loop_begin(e, emit_i64(e, 0), emit_i64(e, count), emit_i64(e, 1), "zero");
    emit_store(e, c->a_type, 1, emit_element_pointer(e, c->a_type, c->zeros, each.index), emit_const(e, c->a_type, 1, 0),
               NULL);
    emit_loop_end(e, &each);
}

void emit_contract_kernel(Emit *e, const Kernel *k, KernelScope *s) {
    Contract c = contract_of(e, k, s);
    bool *epilogue = arena_array(e->arena, bool, k->nodes.n + 1);
    kernel_stage_nodes(k, 0, NULL, epilogue);
    if (kernel_work(k, epilogue) > SHORT_EPILOGUE) {
        LLVMTypeRef sums = LLVMArrayType2(emit_vector(e, contract_sum_type(e, &c), c.lanes), MAX_TILE);
        c.laid = emit_variable(e, sums, "laid");
    }
    if (c.zeros) clear_zeros(e, &c);
    Blocks b = count_blocks(e, k, s->symbols);
    if (b.always_skinny) {
        emit_items(e, &c, &b, true);
        return;
    }
    if (!b.skinny) {
        emit_items(e, &c, &b, false);
        return;
    }
    EmitIf few = emit_if_begin(e, b.skinny);
    emit_items(e, &c, &b, true);
    emit_if_else(e, &few);
    emit_items(e, &c, &b, false);
    emit_if_end(e, &few);
}
