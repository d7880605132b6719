/* lower_axes: the normal form of a kernel's axes.
 *
 * Kernels that do the same must become equal, and code generation wants few, long axes with the
 * contiguous one last. So axes of extent 1 go, loops run in the order in which memory lies, and
 * neighbouring axes that every access walks as one become one. The K axes of a contraction, whose order
 * is that of summation, are sorted too where both factors lie in one order: it still follows from the
 * shapes alone. */
#include <math.h>
#include "pass/lower.h"

#include <stdlib.h>

static int count_role(const Kernel *k, AxisRole role) {
    int n = 0;
    for (int a = 0; a < k->axes.n; a++) n += k->axes.at[a].role == role;
    return n;
}

static bool is_arg_axis(const Kernel *k, int axis) {
    for (int r = 0; r < k->reductions.n; r++)
        if (k->reductions.at[r].arg && k->reductions.at[r].arg_axis == axis) return true;
    return false;
}

static bool is_axis_value(const Kernel *k, int axis) {
    for (int i = 0; i < k->nodes.n; i++)
        if (k->nodes.at[i].kind == NODE_AXIS && k->nodes.at[i].axis == axis) return true;
    return false;
}

/* Makes order[0 .. n-1] (old axis numbers) the axes; an axis that is left out has extent 1. */
static void select_axes(Lowering *l, Kernel *k, const int *order, int n) {
    int now[2 * MAX_RANK + 2];
    for (int a = 0; a < k->axes.n; a++) now[a] = -1;
    KAxis *axes = arena_array(l->arena, KAxis, n + 1);
    for (int i = 0; i < n; i++) {
        now[order[i]] = i;
        axes[i] = k->axes.at[order[i]];
    }
    for (int i = 0; i < k->accesses.n; i++) {
        Dim *strides = arena_array(l->arena, Dim, n + 1);
        for (int j = 0; j < n; j++) strides[j] = k->accesses.at[i].strides[order[j]];
        k->accesses.at[i].strides = strides;
    }
    for (int i = 0; i < k->nodes.n; i++) {
        KNode *node = &k->nodes.at[i];
        if (node->kind != NODE_AXIS) continue;
        node->axis = now[node->axis];
        if (node->axis < 0) node->kind = NODE_CONST;
    }
    for (int r = 0; r < k->reductions.n; r++)
        if (k->reductions.at[r].arg) k->reductions.at[r].arg_axis = now[k->reductions.at[r].arg_axis];
    k->axes.at = axes;
    k->axes.n = k->axes.room = n;
}

/* Axes of extent 1 go, but each role that the form needs keeps one. */
static void drop_unit_axes(Lowering *l, Kernel *k) {
    int order[2 * MAX_RANK + 2], n = 0, left[AXIS_K + 1];
    for (int role = 0; role <= AXIS_K; role++) left[role] = count_role(k, role);
    for (int a = 0; a < k->axes.n; a++) {
        AxisRole role = k->axes.at[a].role;
        bool needed = role == AXIS_M || role == AXIS_N || role == AXIS_K || (role == AXIS_INNER && k->reductions.n);
        bool unit = dim_is(k->axes.at[a].extent, 1) && !is_arg_axis(k, a);
        if (unit && (left[role] > 1 || !needed)) left[role]--;
        else order[n++] = a;
    }
    select_axes(l, k, order, n);
}

/* A contraction needs at least one axis of each of M, N, K. */
static void add_missing_axes(Lowering *l, Kernel *k) {
    static const AxisRole needed[] = {AXIS_M, AXIS_N, AXIS_K};
    Dim one = dim_const(&l->m->dims, 1), zero = dim_const(&l->m->dims, 0);
    for (int i = 0; i < 3; i++) {
        if (count_role(k, needed[i])) continue;
        vec_push(l->arena, &k->axes, (KAxis){needed[i], one});
        for (int j = 0; j < k->accesses.n; j++) {
            Dim *strides = arena_array(l->arena, Dim, k->axes.n);
            memcpy(strides, k->accesses.at[j].strides, sizeof *strides * (size_t)(k->axes.n - 1));
            strides[k->axes.n - 1] = zero;
            k->accesses.at[j].strides = strides;
        }
    }
}

static double role_extent(const Kernel *k, AxisRole role) {
    double n = 1;
    for (int a = 0; a < k->axes.n; a++)
        if (k->axes.at[a].role == role) n *= (double)k->axes.at[a].extent->upper;
    return n;
}

static double step_of(const KAccess *store, int axis) { return labs((long)store->strides[axis]->upper) + 0.0; }

/* How far the store walks in equal steps along axes of the role, beginning with the smallest. */
typedef struct Walk {
    bool unit;                 /* the steps are of one element */
    double length;
} Walk;

static Walk walk_of(DimTable *dims, const Kernel *k, const KAccess *store, AxisRole role) {
    int axis = -1;
    for (int a = 0; a < k->axes.n; a++) {
        bool moves = k->axes.at[a].role == role && !dim_is(store->strides[a], 0) && !dim_is(k->axes.at[a].extent, 1);
        if (moves && (axis < 0 || step_of(store, a) < step_of(store, axis))) axis = a;
    }
    if (axis < 0) return (Walk){false, 1};
    Walk w = {dim_is(store->strides[axis], 1), (double)k->axes.at[axis].extent->upper};
    for (int next = axis; next >= 0; axis = next) {
        Dim end = dim_mul(dims, store->strides[axis], k->axes.at[axis].extent);
        next = -1;
        for (int a = 0; a < k->axes.n; a++)
            if (k->axes.at[a].role == role && a != axis && store->strides[a] == end && !dim_is(k->axes.at[a].extent, 1))
                next = a;
        if (next >= 0) w.length *= (double)k->axes.at[next].extent->upper;
    }
    return w;
}

/* N is to be the side that the first store walks contiguously - if that is more than a few elements of many, as the
 * phases of a spread input are - or at least in longer equal steps; of a vector, the long side. */
static void orient_contraction(Lowering *l, Kernel *k) {
    enum { FEW = 4 };
    const KStage *stage = &k->stages.at[0];
    if (!stage->stores.n) return;
    const KAccess *store = &k->accesses.at[stage->stores.at[0].access];
    Walk m = walk_of(&l->m->dims, k, store, AXIS_M), n = walk_of(&l->m->dims, k, store, AXIS_N);
    double rows = role_extent(k, AXIS_M), columns = role_extent(k, AXIS_N);
    bool few = (m.unit && m.length < FEW && m.length < rows) || (n.unit && n.length < FEW && n.length < columns);
    bool keep = few ? n.length >= m.length : n.unit || (!m.unit && columns >= rows);
    if (keep) return;
    for (int a = 0; a < k->axes.n; a++) {
        KAxis *axis = &k->axes.at[a];
        axis->role = axis->role == AXIS_M ? AXIS_N : axis->role == AXIS_N ? AXIS_M : axis->role;
    }
    int t = k->a;
    k->a = k->b;
    k->b = t;
}

/* How far apart neighbours along the axis lie: by the first store that moves along it, else the first load. */
static double distance(const Kernel *k, int axis) {
    for (int written = 1; written >= 0; written--)
        for (int i = 0; i < k->accesses.n; i++) {
            const KAccess *a = &k->accesses.at[i];
            if (k->bufs.at[a->buf].written == (bool)written && !dim_is(a->strides[axis], 0))
                return labs((long)a->strides[axis]->upper) + 0.0;
        }
    return 0;
}

/* How far apart neighbours along an axis lie in a factor that is a load; -1: it is none. */
static double factor_step(const Kernel *k, int node, int axis) {
    const KNode *n = &k->nodes.at[node];
    if (n->kind != NODE_LOAD || k->accesses.at[n->access].index >= 0) return -1;
    return step_of(&k->accesses.at[n->access], axis);
}

/* Whether K axis y goes before x for both factors. */
static bool goes_before(const Kernel *k, int y, int x) {
    double ax = factor_step(k, k->a, x), ay = factor_step(k, k->a, y);
    double bx = factor_step(k, k->b, x), by = factor_step(k, k->b, y);
    return ax >= 0 && bx >= 0 && ay > ax && by > bx;
}

static void sort_axes(Lowering *l, Kernel *k) {
    int order[2 * MAX_RANK + 2], n = k->axes.n;
    double key[2 * MAX_RANK + 2];
    for (int a = 0; a < n; a++) {
        order[a] = a;
        key[a] = distance(k, a);
    }
    for (int i = 1; i < n; i++)
        for (int j = i; j > 0; j--) {
            const KAxis *x = &k->axes.at[order[j - 1]], *y = &k->axes.at[order[j]];
            bool sum = x->role == AXIS_K, further = !sum && key[order[j - 1]] < key[order[j]];
            if (sum && k->form == KERNEL_CONTRACT) further = goes_before(k, order[j], order[j - 1]);
            bool swap = x->role > y->role || (x->role == y->role && further);
            if (!swap) break;
            int t = order[j];
            order[j] = order[j - 1];
            order[j - 1] = t;
        }
    select_axes(l, k, order, n);
}

static bool can_merge(Lowering *l, const Kernel *k, int a) {
    const KAxis *x = &k->axes.at[a], *y = &k->axes.at[a + 1];
    if (x->role != y->role || is_axis_value(k, a) || is_axis_value(k, a + 1) || is_arg_axis(k, a) || is_arg_axis(k, a + 1))
        return false;
    for (int i = 0; i < k->accesses.n; i++) {
        const Dim *s = k->accesses.at[i].strides;
        if (s[a] != dim_mul(&l->m->dims, s[a + 1], y->extent)) return false;
    }
    return true;
}

static void merge_axes(Lowering *l, Kernel *k) {
    for (int a = k->axes.n - 2; a >= 0; a--) {
        if (a + 1 >= k->axes.n || !can_merge(l, k, a)) continue;
        k->axes.at[a + 1].extent = dim_mul(&l->m->dims, k->axes.at[a].extent, k->axes.at[a + 1].extent);
        int order[2 * MAX_RANK + 2], n = 0;
        for (int i = 0; i < k->axes.n; i++)
            if (i != a) order[n++] = i;
        select_axes(l, k, order, n);
    }
}

/* Rows are tiled along the last M axis, or several that the first store walks as one. If those are a few of many, as
 * the phases of a spread input are, the longest M axis becomes the last one. */
static void lengthen_rows(Lowering *l, Kernel *k) {
    enum { FEW = 8 };
    int order[2 * MAX_RANK + 2], n = 0, longest = -1, last = -1;
    const KStage *stage = &k->stages.at[0];
    if (!stage->stores.n) return;
    Walk walk = walk_of(&l->m->dims, k, &k->accesses.at[stage->stores.at[0].access], AXIS_M);
    if (walk.length >= FEW || walk.length >= role_extent(k, AXIS_M)) return;
    for (int a = 0; a < k->axes.n; a++) {
        if (k->axes.at[a].role != AXIS_M) continue;
        last = a;
        if (longest < 0 || k->axes.at[a].extent->upper > k->axes.at[longest].extent->upper) longest = a;
    }
    for (int a = 0; a < k->axes.n; a++) {
        if (a != longest) order[n++] = a;
        if (a == last) order[n++] = longest;
    }
    if (longest != last) select_axes(l, k, order, n);
}

/* What a point of a loop nest costs with lanes along the axis, in accesses: those that are no neighbours count for each
 * lane, and lanes beyond the axis' end are idle. */
static double lanes_cost(const Kernel *k, int axis) {
    enum { LANES = 16 };
    double extent = (double)k->axes.at[axis].extent->upper, cost = 0;
    for (int i = 0; i < k->accesses.n; i++) {
        Dim step = k->accesses.at[i].strides[axis];
        bool near = k->accesses.at[i].index < 0 && (dim_is(step, 1) || dim_is(step, 0));
        cost += near ? 1.0 / LANES : 1;
    }
    return extent < 1 ? cost : cost * ceil(extent / LANES) * LANES / extent;
}

/* Lanes run along the last outer axis. If that has a few points, as the features of a picture, another may serve them
 * better though it is written in steps: then the few points come first, as they may be made together (schedule.c). */
static void lengthen_lanes(Lowering *l, Kernel *k) {
    enum { FEW = 8, GAIN = 2 };
    int order[2 * MAX_RANK + 2], n = 0, last = -1, best = -1;
    for (int a = 0; a < k->axes.n; a++)
        if (k->axes.at[a].role == AXIS_OUTER) last = a;
    if (last < 1 || k->axes.at[last].extent->upper > FEW) return;
    for (int a = 0; a < last; a++)
        if (best < 0 || lanes_cost(k, a) < lanes_cost(k, best)) best = a;
    if (lanes_cost(k, best) * GAIN > lanes_cost(k, last)) return;
    order[n++] = last;
    for (int a = 0; a < k->axes.n; a++) {
        if (a != best && a != last) order[n++] = a;
        if (a == last) order[n++] = best;
    }
    select_axes(l, k, order, n);
}

void lower_normalize(Lowering *l, Kernel *k) {
    if (k->form == KERNEL_CONTRACT) add_missing_axes(l, k);
    drop_unit_axes(l, k);
    if (k->form == KERNEL_CONTRACT) orient_contraction(l, k);
    sort_axes(l, k);
    merge_axes(l, k);
    if (k->form == KERNEL_CONTRACT) lengthen_rows(l, k);
    else lengthen_lanes(l, k);
}
