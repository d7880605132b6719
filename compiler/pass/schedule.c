/* schedule: how each kernel is cut and vectorised, from its shape and the target's data row.
 *
 * LOOPS kernels run their lanes along the axis that most accesses walk contiguously, weighed by how often
 * they happen; several vectors are in flight, and an item of parallel work is large enough to be worth
 * handing out. Contractions are in schedule_contract.c. Nothing here looks at a thread count: that
 * never changes a result. */
#include "pass/schedule.h"

#include "ir/kernel_util.h"
#include "pass/chain.h"

enum {
    ITEM_POINTS = 1 << 14,     /* points of one item of a loop nest */
    TILE_RUN = 256,            /* neighbours along the lanes of one item, where points of another axis go together */
    ORDERED_ITEMS = 8,         /* items that a loop nest whose inner order matters should have at least */
    SERIAL_POINTS = 1 << 17    /* a loop nest below this stays on one thread: about half a megabyte */
};

static int most_lanes(const Kernel *k, const Target *t) {
    int bytes = 8;
    for (int i = 0; i < k->bufs.n; i++)
        if (dtype_bytes(k->bufs.at[i].dtype) < bytes) bytes = dtype_bytes(k->bufs.at[i].dtype);
    return target_lanes(t, bytes < 4 ? 4 : bytes);
}

/* What a point costs with lanes along the axis: contiguous accesses are cheap, scattered ones dear. */
static double vector_cost(const Kernel *k, int axis, int lanes) {
    double extent = (double)k->axes.at[axis].extent->upper, cost = 0.1;
    for (int i = 0; i < k->accesses.n; i++) {
        Dim s = k->accesses.at[i].strides[axis];
        if (k->accesses.at[i].index >= 0) cost += 1;
        else if (dim_is(s, 0)) cost += 0.1;
        else if (dim_is(s, 1)) cost += 1.0 / lanes;
        else cost += 1;
    }
    double vectors = (double)(int64_t)((extent + lanes - 1) / lanes);
    return cost * vectors * lanes / (extent < 1 ? 1 : extent);
}

static void choose_axis(Kernel *k, KSchedule *s) {
    int inner = kernel_in_order(k) ? -1 : kernel_last_axis(k, AXIS_INNER), outer = kernel_last_axis(k, AXIS_OUTER);
    s->vector_axis = inner >= 0 ? inner : outer;
    if (inner >= 0 && outer >= 0 && vector_cost(k, outer, s->lanes) < vector_cost(k, inner, s->lanes))
        s->vector_axis = outer;
    if (s->vector_axis >= 0 && k->axes.at[s->vector_axis].extent->upper == 1) s->vector_axis = -1;
    if (s->vector_axis < 0) s->lanes = 1;
}

static int64_t clamp(int64_t x, int64_t low, int64_t high) { return x < low ? low : x > high ? high : x; }

/* Operations that a point of the sweeps takes; of a map, all. */
static int sweep_work(const Kernel *k, Arena *scratch) {
    if (!k->reductions.n) return kernel_work(k, NULL);
    bool *marked = arena_array(scratch, bool, k->nodes.n + 1), *stage = arena_array(scratch, bool, k->nodes.n + 1);
    for (int s = 0; s < k->stages.n; s++) {
        if (!k->stages.at[s].inner) continue;
        kernel_stage_nodes(k, s, NULL, stage);
        for (int i = 0; i < k->nodes.n; i++) marked[i] |= stage[i];
    }
    return kernel_work(k, marked);
}

/* `vectors` in groups of one size, or nearly, of at most `most`. */
static int even_part(int64_t vectors, int64_t most) {
    int64_t groups = (clamp(vectors, 1, DIM_HUGE) + most - 1) / most;
    return (int)((clamp(vectors, 1, DIM_HUGE) + groups - 1) / groups);
}

/* Vectors in flight: four hide the latency of memory and of sums. Column sums walk memory row by row and take more than
 * half of the registers, to read rows in one piece. Where the inner axes' order matters only the outer ones make
 * parallel work, so narrow strips leave more of it. Where a point takes many operations these overlap by
 * themselves, and copies of them would only make the code larger. */
static int in_flight(const Kernel *k, const Target *t, int vector_axis, Arena *scratch) {
    int work = sweep_work(k, scratch);
    int64_t vectors = vector_axis < 0 ? 1 : k->axes.at[vector_axis].extent->upper / k->schedule.lanes;
    if (kernel_in_order(k)) return (int)clamp(vectors / ORDERED_ITEMS, 1, 4);
    bool columns = k->reductions.n && vector_axis >= 0 && k->axes.at[vector_axis].role == AXIS_OUTER;
    if (columns && work <= 16) return even_part(vectors, clamp(t->vector_registers * 5 / 8 / k->reductions.n, 1, 16));
    return even_part(vectors, work > 16 ? 1 : work > 8 ? 2 : 4);
}

/* The product of the extents of axes first .. last-1; 0 if one is not known. */
static int64_t fixed_points(const Kernel *k, int first, int last) {
    int64_t points = 1;
    for (int a = first; a < last; a++) {
        Dim extent = k->axes.at[a].extent;
        if (!dim_is_const(extent) || points > DIM_HUGE / (dim_value(extent) + 1)) return 0;
        points *= dim_value(extent);
    }
    return points;
}

/* Whether an operand that a sweep moves through is the same for all points of the first n axes. */
static bool shares_loads(const Kernel *k, int n) {
    for (int i = 0; i < k->nodes.n; i++) {
        if (k->nodes.at[i].kind != NODE_LOAD) continue;
        const KAccess *x = &k->accesses.at[k->nodes.at[i].access];
        bool same = x->index < 0, moves = false;
        for (int a = 0; a < k->axes.n; a++) {
            same = same && (a >= n || dim_is(x->strides[a], 0));
            moves |= k->axes.at[a].role == AXIS_INNER && !dim_is(x->strides[a], 0);
        }
        if (same && moves) return true;
    }
    return false;
}

/* Whether the load's places overlap for neighbours along the axis, in points of axes that have code of their own. */
static bool overlaps(const Kernel *k, const KAccess *x, int axis) {
    bool any = false;
    for (int a = 0; a < k->axes.n; a++) {
        bool unrolled = k->axes.at[a].role == AXIS_INNER || k->schedule.jam >> a & 1;
        any |= unrolled && a != axis && kernel_overlap(k, x, axis, a);
    }
    return any;
}

/* Whether a load overlaps along `axis`; with `still`, whether all that do are the same all along that axis. */
static bool shares_window(const Kernel *k, int axis, int still) {
    bool any = false;
    for (int i = 0; i < k->nodes.n; i++) {
        if (k->nodes.at[i].kind != NODE_LOAD) continue;
        const KAccess *x = &k->accesses.at[k->nodes.at[i].access];
        if (!overlaps(k, x, axis)) continue;
        if (still >= 0 && !dim_is(x->strides[still], 0)) return false;
        any = true;
    }
    return any;
}

/* The axis is cut into blocks of about one size, of at most so many points. */
static void tile_axis(const Kernel *k, KSchedule *s, int axis, int64_t most) {
    int64_t extent = fixed_points(k, axis, axis + 1);
    if (extent < 2 || most < 2) return;
    int64_t blocks = (extent + most - 1) / most;
    s->along = axis;
    s->tile = (int)((extent + blocks - 1) / blocks);
}

static int sweeps(const Kernel *k) {
    int n = 0;
    for (int i = 0; i < k->stages.n; i++) n += k->stages.at[i].inner;
    return n;
}

/* Neighbours along the last outer axis along which windows overlap are made together, and so are the phases of one that
 * was spread: then a load serves many of them. Half of the registers are sums. Where a window is swept twice, it is better
 * kept in registers alone. */
static void tile_windows(Kernel *k, KSchedule *s, const Target *t, int vector) {
    enum { MOST = 8, PHASES = 4 };
    int64_t inner = fixed_points(k, vector + 1, k->axes.n), room = t->vector_registers / 2 / k->reductions.n;
    if (room > KERNEL_COPIES / inner) room = KERNEL_COPIES / inner;
    for (int along = vector - 1; along >= 0 && !s->tile; along--) {
        if (fixed_points(k, along, along + 1) <= PHASES || !shares_window(k, along, -1)) continue;
        int64_t phases = 1;
        for (int a = 0; a < vector; a++) {
            int64_t points = fixed_points(k, a, a + 1);
            if (a == along || points < 2 || points > PHASES || phases * points * 2 > room) continue;
            if (!shares_window(k, along, a)) continue;
            s->jam |= (uint64_t)1 << a;
            phases *= points;
        }
        tile_axis(k, s, along, clamp(room / phases, 1, MOST));
    }
    if (s->tile) s->unroll = 1;
}

/* Lanes run along the last outer axis, before which `outer` - 1 others lie. Few inner points are unrolled; for many,
 * outer axes of few points are swept together, if that saves loads. */
static void schedule_windows(Kernel *k, KSchedule *s, const Target *t, int outer) {
    enum { WINDOW = 32, JAMMED = 12, LONG = 32, FEW = 4, RUN = 16 };
    int64_t inner = fixed_points(k, outer, k->axes.n), jammed = 1;
    if (kernel_in_order(k) || !k->reductions.n || outer < 1) return;
    s->whole = inner > 1 && inner <= WINDOW && kernel_work(k, NULL) * inner <= 16 * WINDOW;
    if (s->whole && sweeps(k) == 1) tile_windows(k, s, t, outer - 1);
    if (s->whole || k->stages.n > 2 || kernel_most_points(k, AXIS_INNER) < LONG) return;
    for (int n = 1; n < outer; n++) {
        int64_t points = fixed_points(k, 0, n);
        if (points < 2 || points * k->reductions.n > JAMMED || !shares_loads(k, n)) continue;
        s->jam = ((uint64_t)1 << n) - 1;
        jammed = points;
    }
    if (!s->jam) return;
    s->unroll = jammed > FEW ? 1 : 2;
    int last = k->axes.n - 1;
    if (fixed_points(k, last, last + 1) <= RUN * KERNEL_BLOCKS && shares_window(k, last, -1)) tile_axis(k, s, last, RUN);
}

/* Few points of the first axis that are to lie side by side, as the features of a picture: they are made together and
 * interleaved. */
static void schedule_interleaved(Kernel *k, KSchedule *s) {
    enum { MOST = 8, VECTORS = 8 };
    int64_t points = fixed_points(k, 0, 1);
    if (k->reductions.n || k->stages.n != 1 || s->vector_axis < 1 || points < 2 || points > MOST) return;
    s->jam = 1;
    if (!kernel_interleaves(k, 0)) s->jam = 0;
    else s->unroll = (int)clamp(VECTORS / points, 1, s->unroll);
}

/* Loads along another axis than the lanes' are turned in registers. */
static void schedule_turned(Kernel *k, KSchedule *s) {
    if (k->reductions.n || k->stages.n != 1 || s->tile || s->jam || s->lanes < 2) return;
    for (int a = s->vector_axis - 1; a >= 0 && !s->tile; a--) {
        if (fixed_points(k, a, a + 1) < s->lanes || k->axes.at[s->vector_axis].extent->upper < s->lanes) continue;
        bool turns = false;
        for (int i = 0; i < k->nodes.n; i++) turns |= kernel_turns(k, i, a);
        if (!turns) continue;
        s->along = a;
        s->tile = s->lanes;
        s->unroll = 1;
    }
}

static void schedule_loops(Kernel *k, const Target *t, Arena *scratch) {
    KSchedule *s = &k->schedule;
    s->lanes = most_lanes(k, t);
    choose_axis(k, s);
    int64_t inner = clamp(kernel_most_points(k, AXIS_INNER), 1, DIM_HUGE);
    int64_t along = s->vector_axis < 0 ? 1 : k->axes.at[s->vector_axis].extent->upper;
    s->unroll = (int)clamp(along / s->lanes, 1, in_flight(k, t, s->vector_axis, scratch));
    if (s->vector_axis >= 0 && s->vector_axis == kernel_last_axis(k, AXIS_OUTER)) schedule_windows(k, s, t, s->vector_axis + 1);
    if (s->vector_axis >= 0 && s->vector_axis == kernel_last_axis(k, AXIS_OUTER)) schedule_interleaved(k, s);
    if (s->vector_axis >= 0 && s->vector_axis == kernel_last_axis(k, AXIS_OUTER)) schedule_turned(k, s);
    int64_t step = s->vector_axis >= 0 && k->axes.at[s->vector_axis].role == AXIS_OUTER ? (int64_t)s->lanes * s->unroll : 1;
    for (int a = 0; a < k->axes.n; a++)
        if (kernel_grouped(k) >> a & 1) inner = clamp(inner * fixed_points(k, a, a + 1), 1, DIM_HUGE);
    s->chunk = clamp((ITEM_POINTS / inner + step - 1) / step, 1, DIM_HUGE) * step;
    if (s->tile && s->chunk < TILE_RUN && kernel_grouped(k) >> s->along & 1) s->chunk = TILE_RUN;
    s->serial_below = SERIAL_POINTS;
    s->scratch = kernel_rows(k, scratch).bytes;
}

void schedule_kernel(Kernel *k, DimTable *dims, const Target *target, Arena *scratch) {
    k->schedule = (KSchedule){.vector_axis = -1, .lanes = 1, .unroll = 1};
    if (k->form == KERNEL_CONTRACT) schedule_contract(k, dims, target, scratch);
    else schedule_loops(k, target, scratch);
}

/* Chains hold for one schedule only. */
void schedule_module(KModule *m, const Target *target, Arena *scratch) {
    for (int i = 0; i < m->plans.n; i++) chain_dissolve(m->plans.at[i]);
    for (int i = 0; i < m->kernels.n; i++) schedule_kernel(m->kernels.at[i], &m->dims, target, scratch);
}
