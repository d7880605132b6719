/* schedule: how each kernel is cut and vectorised, from its shape and the target's data row.
 *
 * LOOPS kernels run their lanes along the axis that most accesses walk contiguously, weighed by how often
 * they happen; several vectors are in flight, and an item of parallel work is large enough to be worth
 * handing out. Contractions are in schedule_contract.c. Nothing here looks at a thread count: that
 * never changes a result. */
#include "pass/schedule.h"

#include "ir/kernel_util.h"

enum {
    ITEM_POINTS = 1 << 14,     /* points of one item of a loop nest */
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

/* Vectors in flight: four hide the latency of memory and of sums. Column sums walk memory row by row and take
 * half the registers, to read longer runs of each. Where the inner axes' order matters only the outer ones make
 * parallel work, so narrow strips leave more of it. Where a point takes many operations these overlap by
 * themselves, and copies of them would only make the code larger. */
static int in_flight(const Kernel *k, const Target *t, int vector_axis) {
    int work = kernel_work(k, NULL);
    if (kernel_in_order(k)) {
        int64_t vectors = vector_axis < 0 ? 1 : k->axes.at[vector_axis].extent->upper / k->schedule.lanes;
        return (int)clamp(vectors / ORDERED_ITEMS, 1, 4);
    }
    bool columns = k->reductions.n == 1 && vector_axis >= 0 && k->axes.at[vector_axis].role == AXIS_OUTER;
    return work > 16 ? 1 : work > 8 ? 2 : columns ? t->vector_registers / 2 : 4;
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

/* Whether an operand is the same for all points of the first n axes. */
static bool shares_loads(const Kernel *k, int n) {
    for (int i = 0; i < k->nodes.n; i++) {
        if (k->nodes.at[i].kind != NODE_LOAD) continue;
        const KAccess *x = &k->accesses.at[k->nodes.at[i].access];
        bool same = x->index < 0;
        for (int a = 0; a < n; a++) same = same && dim_is(x->strides[a], 0);
        if (same) return true;
    }
    return false;
}

/* Lanes run along the last outer axis, before which `outer` - 1 others lie. Few inner points are unrolled; for many,
 * outer axes of few points are swept together, if that saves loads. */
static void schedule_windows(Kernel *k, KSchedule *s, int outer) {
    enum { WINDOW = 32, JAMMED = 12, LONG = 64, SINGLE = 8 };
    int64_t inner = fixed_points(k, outer, k->axes.n);
    if (kernel_in_order(k) || !k->reductions.n || outer < 1) return;
    s->whole = inner > 1 && inner <= WINDOW && kernel_work(k, NULL) * inner <= 16 * WINDOW;
    if (s->whole || k->stages.n > 2 || kernel_most_points(k, AXIS_INNER) < LONG) return;
    for (int n = 1; n < outer; n++) {
        int64_t points = fixed_points(k, 0, n);
        if (points > 1 && points * k->reductions.n <= JAMMED && shares_loads(k, n)) s->jam = n;
    }
    if (s->jam) s->unroll = fixed_points(k, 0, s->jam) > SINGLE / 2 ? 1 : 2;
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

static void schedule_loops(Kernel *k, const Target *t, Arena *scratch) {
    KSchedule *s = &k->schedule;
    s->lanes = most_lanes(k, t);
    choose_axis(k, s);
    int64_t inner = clamp(kernel_most_points(k, AXIS_INNER), 1, DIM_HUGE);
    int64_t along = s->vector_axis < 0 ? 1 : k->axes.at[s->vector_axis].extent->upper;
    s->unroll = (int)clamp(along / s->lanes, 1, in_flight(k, t, s->vector_axis));
    if (s->vector_axis >= 0 && s->vector_axis == kernel_last_axis(k, AXIS_OUTER)) schedule_windows(k, s, s->vector_axis + 1);
    if (s->vector_axis >= 0 && s->vector_axis == kernel_last_axis(k, AXIS_OUTER)) schedule_interleaved(k, s);
    int64_t step = s->vector_axis >= 0 && k->axes.at[s->vector_axis].role == AXIS_OUTER ? (int64_t)s->lanes * s->unroll : 1;
    s->chunk = clamp((ITEM_POINTS / inner + step - 1) / step, 1, DIM_HUGE) * step;
    s->serial_below = SERIAL_POINTS;
    s->scratch = kernel_rows(k, scratch).bytes;
}

void schedule_kernel(Kernel *k, DimTable *dims, const Target *target, Arena *scratch) {
    k->schedule = (KSchedule){.vector_axis = -1, .lanes = 1, .unroll = 1};
    if (k->form == KERNEL_CONTRACT) schedule_contract(k, dims, target, scratch);
    else schedule_loops(k, target, scratch);
}

void schedule_module(KModule *m, const Target *target, Arena *scratch) {
    for (int i = 0; i < m->kernels.n; i++) schedule_kernel(m->kernels.at[i], &m->dims, target, scratch);
}
