/* Questions about CONTRACT kernels: see kernel_contract.h. */
#include "ir/kernel_contract.h"

#include "ir/kernel_util.h"

#include <stdlib.h>

const KAccess *kernel_factor(const Kernel *k, int node) {
    const KNode *n = &k->nodes.at[node];
    if (n->kind != NODE_LOAD || n->guard >= 0) return NULL;
    const KAccess *a = &k->accesses.at[n->access];
    return a->index < 0 ? a : NULL;
}

const KAccess *kernel_place(const Kernel *k, int node) {
    const KNode *n = &k->nodes.at[node];
    if (n->kind != NODE_LOAD || k->accesses.at[n->access].index >= 0) return NULL;
    return &k->accesses.at[n->access];
}

/* The axes that a factor's guard depends on. */
static uint64_t guard_axes(const Kernel *k, int node, Arena *scratch) {
    int guard = k->nodes.at[node].guard;
    return guard < 0 ? 0 : kernel_node_axes(k, scratch)[guard];
}

bool kernel_can_skip(const Kernel *k, int node, AxisRole role, int n, Arena *scratch) {
    uint64_t axes = guard_axes(k, node, scratch);
    int last = kernel_last_axis(k, role);
    if (!kernel_place(k, node)) return false;
    for (int a = last; a > last - n && a >= 0; a--)
        if (axes >> a & 1) return false;
    return true;
}

bool kernel_can_read_rows(const Kernel *k, Arena *scratch) {
    const KAccess *a = kernel_place(k, k->a);
    int last = kernel_last_axis(k, AXIS_K);
    Dim extent = k->axes.at[last].extent;
    if (!a || !dim_is(a->strides[last], 1)) return false;
    if (k->nodes.at[k->a].guard < 0) return true;
    return !(guard_axes(k, k->a, scratch) >> last & 1) && extent->upper <= MOST_ZEROS;
}

/* Whether some axis of the role is walked in sequence, or is not known when compiling. */
static bool walks_role(const Kernel *k, const KAccess *x, AxisRole role) {
    for (int a = 0; a < k->axes.n; a++) {
        Dim extent = k->axes.at[a].extent;
        if (k->axes.at[a].role == role && (!dim_is_const(extent) || (dim_is(x->strides[a], 1) && !dim_is(extent, 1))))
            return true;
    }
    return false;
}

bool kernel_can_sum_lanes(const Kernel *k, Arena *scratch) {
    const KAccess *a = kernel_place(k, k->a), *b = kernel_factor(k, k->b);
    int last = kernel_last_axis(k, AXIS_K);
    if (!a || !b || last < 1 || k->axes.at[last - 1].role != AXIS_K) return false;
    bool plain = (k->acc == DTYPE_F32 || k->acc == DTYPE_F64) && k->nodes.at[k->a].dtype == k->acc;
    return plain && dim_is(b->strides[last], 1) && kernel_can_read_rows(k, scratch) && !walks_role(k, a, AXIS_M) &&
           !walks_role(k, b, AXIS_N);
}

bool kernel_sums_lanes(const Kernel *k) {
    int axis = k->schedule.vector_axis;
    return axis >= 0 && axis < k->axes.n && k->axes.at[axis].role == AXIS_K;
}

/* Whether the access walks axis a and the next as one. */
static bool joins(const Kernel *k, DimTable *dims, const KAccess *x, int a) {
    return x->strides[a] == dim_mul(dims, x->strides[a + 1], k->axes.at[a + 1].extent);
}

/* Whether a factor that is read where it lies, if it is, walks axis a and the next as one, and a guard by which terms
 * are skipped or rows found knows neither. */
static bool factor_joins(const Kernel *k, DimTable *dims, int node, bool packed, bool skips, int a, Arena *scratch) {
    const KAccess *x = packed ? NULL : kernel_place(k, node);
    if (x && !joins(k, dims, x, a)) return false;
    return (!x && !skips) || !(guard_axes(k, node, scratch) >> a & 3);
}

static bool factors_join(const Kernel *k, DimTable *dims, int a, Arena *scratch) {
    const KSchedule *s = &k->schedule;
    bool pointers = s->rows_a && k->axes.at[a].role == AXIS_M;
    return (pointers || factor_joins(k, dims, k->a, s->pack_a, s->skip_a, a, scratch)) &&
           factor_joins(k, dims, k->b, s->pack_b, s->skip_b, a, scratch);
}

static bool epilogue_joins(const Kernel *k, DimTable *dims, int a, const bool *used) {
    const KStage *s = &k->stages.at[0];
    for (int i = 0; i < s->stores.n; i++)
        if (!joins(k, dims, &k->accesses.at[s->stores.at[i].access], a)) return false;
    for (int i = 0; i < k->nodes.n; i++) {
        const KNode *n = &k->nodes.at[i];
        if (!used[i]) continue;
        if (n->kind == NODE_AXIS && (n->axis == a || n->axis == a + 1)) return false;
        if (n->kind == NODE_LOAD && !joins(k, dims, &k->accesses.at[n->access], a)) return false;
    }
    return true;
}

static int count_joined(const Kernel *k, DimTable *dims, AxisRole role, bool by_digits, Arena *scratch) {
    bool *used = arena_array(scratch, bool, k->nodes.n + 1);
    kernel_stage_nodes(k, 0, NULL, used);
    int count = 1;
    for (int a = kernel_last_axis(k, role) - 1; a >= 0 && k->axes.at[a].role == role; a--, count++)
        if (!factors_join(k, dims, a, scratch) || (!by_digits && !epilogue_joins(k, dims, a, used))) break;
    return count;
}

int kernel_joined_axes(const Kernel *k, DimTable *dims, AxisRole role, Arena *scratch) {
    return count_joined(k, dims, role, role == AXIS_M && k->schedule.rows_a, scratch);
}

bool kernel_rows_apart(const Kernel *k, DimTable *dims, Arena *scratch) {
    return k->schedule.rows_a && count_joined(k, dims, AXIS_M, false, scratch) < k->schedule.m_axes;
}

static int64_t greatest_divisor(int64_t x, int64_t most) {
    int64_t d = x < most ? x : most;
    while (d > 1 && x % d) d--;
    return d < 1 ? 1 : d;
}

/* Whole steps of an axis behind the first divide its extent, so that runs are equally long over all K axes. */
KernelRun kernel_run(const Kernel *k) {
    int last = kernel_last_axis(k, AXIS_K);
    bool alone = last == 0 || k->axes.at[last - 1].role != AXIS_K;
    int64_t terms = alone ? RUN_ALONG : RUN_ACROSS, inner = 1;
    if (!dtype_is_float(k->acc) || kernel_most_points(k, AXIS_K) <= (alone ? ONE_RUN : terms)) return (KernelRun){0};
    for (int a = last;; a--) {
        Dim extent = k->axes.at[a].extent;
        int64_t most = terms / inner > 1 ? terms / inner : 1;
        if (a == 0 || k->axes.at[a - 1].role != AXIS_K) return (KernelRun){most * inner, a, most};
        if (!dim_is_const(extent)) return (KernelRun){terms, -1, 0};
        int64_t steps = greatest_divisor(dim_value(extent), most);
        if (steps < dim_value(extent) && steps * inner >= SHORT_RUN) return (KernelRun){steps * inner, a, steps};
        inner *= dim_value(extent);
    }
}

int64_t kernel_terms_behind(const Kernel *k, int axis) {
    int64_t terms = 1;
    for (int a = axis + 1; a < k->axes.n; a++) {
        Dim extent = k->axes.at[a].extent;
        if (k->axes.at[a].role != AXIS_K) continue;
        if (!dim_is_const(extent) || dim_value(extent) < 1 || terms > DIM_HUGE / dim_value(extent)) return 0;
        terms *= dim_value(extent);
    }
    return terms;
}

static int first_axis(const Kernel *k, AxisRole role) {
    int a = 0;
    while (a < k->axes.n && k->axes.at[a].role != role) a++;
    return a;
}

/* Whether all K axes count as one for what is read in place. */
static bool sums_as_one(const Kernel *k, DimTable *dims, Arena *scratch) {
    int count = kernel_last_axis(k, AXIS_K) - first_axis(k, AXIS_K) + 1;
    const KSchedule *s = &k->schedule;
    bool guarded = s->skip_a || s->skip_b || (s->rows_a && k->nodes.at[k->a].guard >= 0);
    if (guarded && count > 1) return false;
    return kernel_joined_axes(k, dims, AXIS_K, scratch) == count;
}

int kernel_cut_axis(const Kernel *k, DimTable *dims, Arena *scratch, int64_t kc) {
    int first = first_axis(k, AXIS_K), last = kernel_last_axis(k, AXIS_K);
    KernelRun run = kernel_run(k);
    if (kc < 1 || (run.terms && kc % run.terms)) return -1;
    if (sums_as_one(k, dims, scratch)) return first;
    for (int a = first; a <= last && !(run.terms && run.axis < 0); a++) {
        int64_t behind = kernel_terms_behind(k, a), steps = behind ? kc / behind : 0;
        if (!behind || kc % behind || steps < 1) continue;
        if (a == first) return a;
        if (dim_is_const(k->axes.at[a].extent) && dim_value(k->axes.at[a].extent) % steps == 0) return a;
    }
    return -1;
}

bool kernel_can_sweep(const Kernel *k, DimTable *dims, Arena *scratch) {
    const KAccess *a = kernel_factor(k, k->a), *b = kernel_factor(k, k->b);
    const KSchedule *s = &k->schedule;
    if (!a || !b || s->pack_a || s->pack_b || s->rows_a || kernel_sums_lanes(k)) return false;
    return dim_is(b->strides[kernel_last_axis(k, AXIS_N)], 1) && sums_as_one(k, dims, scratch);
}

bool kernel_can_turn(const Kernel *k) {
    const KAccess *a = kernel_factor(k, k->a), *b = kernel_factor(k, k->b);
    int n = kernel_last_axis(k, AXIS_N), last = kernel_last_axis(k, AXIS_K);
    if (!a || !b || k->schedule.pack_a || k->schedule.rows_a || kernel_sums_lanes(k)) return false;
    bool several = (n > 0 && k->axes.at[n - 1].role == AXIS_N) || (last > 0 && k->axes.at[last - 1].role == AXIS_K);
    return !several && dim_is(b->strides[last], 1) && !dim_is(b->strides[n], 1);
}

int64_t kernel_best_cut(const Kernel *k, DimTable *dims, Arena *scratch, int64_t most) {
    int first = first_axis(k, AXIS_K), last = kernel_last_axis(k, AXIS_K);
    int64_t best = 0, run = kernel_run(k).terms, unit = run ? run : 1;
    if (sums_as_one(k, dims, scratch)) return most / unit > 1 ? most / unit * unit : unit;
    for (int a = last; a >= first; a--) {
        int64_t behind = kernel_terms_behind(k, a), extent = k->axes.at[a].extent->upper;
        for (int64_t steps = 1; behind && steps <= extent && (steps == 1 || steps * behind <= most); steps++) {
            int64_t kc = steps * behind;
            if (kernel_cut_axis(k, dims, scratch, kc) < 0) continue;
            if (best ? (kc <= most && kc > best) || (best > most && kc < best) : true) best = kc;
        }
    }
    return best;
}

Dim kernel_joined_extent(const Kernel *k, DimTable *dims, AxisRole role, int n) {
    Dim product = dim_const(dims, 1);
    for (int a = kernel_last_axis(k, role); n > 0; a--, n--) product = dim_mul(dims, product, k->axes.at[a].extent);
    return product;
}

/* ------------------------------------------------------------------------------ items */

bool kernel_is_outer(const Kernel *k, int axis) {
    switch (k->axes.at[axis].role) {
    case AXIS_M: return axis <= kernel_last_axis(k, AXIS_M) - k->schedule.m_axes;
    case AXIS_N: return axis <= kernel_last_axis(k, AXIS_N) - k->schedule.n_axes;
    case AXIS_K: return false;
    default: return true;
    }
}

static int64_t step_in_b(const Kernel *k, int axis) {
    const KAccess *b = k->schedule.pack_b ? kernel_factor(k, k->b) : kernel_place(k, k->b);
    return b && b->index < 0 ? llabs((long long)b->strides[axis]->upper) : 0;
}

int kernel_outer_axes(const Kernel *k, int *outer) {
    int n = 0;
    for (int a = 0; a < k->axes.n; a++) {
        if (!kernel_is_outer(k, a)) continue;
        int at = n++;
        for (; at > 0 && step_in_b(k, outer[at - 1]) < step_in_b(k, a); at--) outer[at] = outer[at - 1];
        outer[at] = a;
    }
    return n;
}

/* ---------------------------------------------------------------------------- packing */

/* What an element costs with lanes along the axis: lanes that the axis does not fill, loads that are not contiguous. */
static double pack_cost(const Kernel *k, int axis, const bool *used) {
    double lanes = k->schedule.lanes, extent = (double)k->axes.at[axis].extent->upper, cost = 0.5;
    for (int i = 0; i < k->nodes.n; i++) {
        const KNode *n = &k->nodes.at[i];
        if (!used[i] || n->kind != NODE_LOAD) continue;
        const KAccess *a = &k->accesses.at[n->access];
        Dim s = a->strides[axis];
        bool near = a->index < 0 && (dim_is(s, 0) || dim_is(s, 1) || dim_is(s, -1));
        cost += near ? 1 : lanes;
    }
    double vectors = (double)(int64_t)((extent + lanes - 1) / lanes);
    return extent < 1 ? cost : cost * vectors * lanes / extent;
}

/* Marks what the node is computed from, and itself. */
static bool *nodes_below(const Kernel *k, int node, Arena *scratch) {
    bool *used = arena_array(scratch, bool, k->nodes.n + 1);
    Kernel only = *k;
    only.a = only.b = node;
    kernel_product_nodes(&only, used);
    return used;
}

int kernel_pack_axis(const Kernel *k, int node, AxisRole along, AxisRole across, Arena *scratch) {
    enum { TURNING = 2 }; /* what turning a square of vectors costs each of them */
    const bool *used = nodes_below(k, node, scratch);
    int straight = kernel_last_axis(k, along), turned = kernel_last_axis(k, across);
    return pack_cost(k, turned, used) + TURNING < pack_cost(k, straight, used) ? turned : straight;
}

static int64_t round_up(int64_t x, int64_t to) {
    return (x + to - 1) / to * to;
}
static int64_t least(int64_t a, int64_t b) {
    return a < b ? a : b;
}

KernelPanels kernel_panels(const Kernel *k) {
    const KSchedule *s = &k->schedule;
    int64_t terms = kernel_most_points(k, AXIS_K);
    if (s->kc && s->kc < terms) terms = s->kc;
    if (terms < 1) terms = 1; /* a panel of nothing is still a panel */
    int64_t vectors = (terms + s->lanes - 1) / s->lanes, rows = least(s->mc, kernel_most_points(k, AXIS_M));
    KernelPanels p = {0};
    if (s->pack_b) p.bytes = round_up(vectors * s->lanes * s->nc * dtype_bytes(k->nodes.at[k->b].dtype), 64);
    p.a = p.bytes;
    /* An odd number of vectors: rows then lie in sets of the cache of their own. */
    p.pitch = (vectors | 1) * s->lanes;
    if (s->pack_a) p.bytes += round_up(rows * p.pitch * dtype_bytes(k->nodes.at[k->a].dtype), 64);
    int64_t sum_bytes = dtype_bytes(k->acc) < 4 ? 4 : dtype_bytes(k->acc);
    p.runs = p.bytes;
    if (kernel_run(k).terms || kernel_sums_lanes(k)) p.bytes += MAX_TILE * s->lanes * sum_bytes;
    p.paused = p.bytes;
    int64_t swept = s->skinny_nc ? least(s->mr - 1, rows) * s->skinny_nc * 2 : 0, stopped = s->kc ? s->mc * s->nc : 0;
    p.bytes += (swept > stopped ? swept : stopped) * sum_bytes;
    p.zeros = p.bytes;
    p.zero_count = s->rows_a && k->nodes.at[k->a].guard >= 0 ? k->axes.at[kernel_last_axis(k, AXIS_K)].extent->upper : 0;
    p.bytes += round_up(p.zero_count * dtype_bytes(k->nodes.at[k->a].dtype), 64);
    return p;
}
