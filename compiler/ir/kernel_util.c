/* Questions about kernels: see kernel_util.h. */
#include "ir/kernel_util.h"

#include "dlrt.h"

uint64_t kernel_axes(const Kernel *k, AxisRole role) {
    uint64_t set = 0;
    for (int a = 0; a < k->axes.n; a++)
        if (k->axes.at[a].role == role) set |= (uint64_t)1 << a;
    return set;
}

int kernel_last_axis(const Kernel *k, AxisRole role) {
    int found = -1;
    for (int a = 0; a < k->axes.n; a++)
        if (k->axes.at[a].role == role) found = a;
    return found;
}

static uint64_t access_axes(const Kernel *k, const KAccess *access, const uint64_t *nodes) {
    uint64_t set = access->index >= 0 ? nodes[access->index] : 0;
    for (int a = 0; a < k->axes.n; a++)
        if (!dim_is(access->strides[a], 0)) set |= (uint64_t)1 << a;
    return set;
}

const uint64_t *kernel_node_axes(const Kernel *k, Arena *arena) {
    uint64_t *sets = arena_array(arena, uint64_t, k->nodes.n + 1);
    uint64_t every = ((uint64_t)1 << k->axes.n) - 1;
    for (int i = 0; i < k->nodes.n; i++) {
        const KNode *n = &k->nodes.at[i];
        switch (n->kind) {
        case NODE_LOAD:
            sets[i] = access_axes(k, &k->accesses.at[n->access], sets);
            if (n->guard >= 0) sets[i] |= sets[n->guard];
            break;
        case NODE_AXIS: sets[i] = (uint64_t)1 << n->axis; break;
        case NODE_MAP:
            for (int j = 0; j < 3; j++)
                if (n->args[j] >= 0) sets[i] |= sets[n->args[j]];
            break;
        case NODE_REDUCED: sets[i] = kernel_axes(k, AXIS_OUTER); break;
        case NODE_RUNNING: sets[i] = every; break;
        case NODE_SUM: sets[i] = every & ~kernel_axes(k, AXIS_K); break;
        case NODE_CONST:
        case NODE_DIM:
        case NODE_NUMBER: break;
        }
    }
    return sets;
}

/* -------------------------------------------------------------- what a stage computes */

static bool is_kept_before(const KernelRows *rows, int node, int stage) {
    return rows && rows->stage[node] >= 0 && rows->stage[node] < stage;
}

/* Spreads marks from users to what they use: users come later, so one pass backwards reaches all. */
static void mark_used(const Kernel *k, int stage, const KernelRows *rows, bool *marked) {
    for (int i = k->nodes.n - 1; i >= 0; i--) {
        const KNode *n = &k->nodes.at[i];
        if (!marked[i] || is_kept_before(rows, i, stage)) continue;
        if (n->kind == NODE_MAP) {
            for (int j = 0; j < 3; j++)
                if (n->args[j] >= 0) marked[n->args[j]] = true;
        } else if (n->kind == NODE_LOAD) {
            if (n->guard >= 0) marked[n->guard] = true;
            if (k->accesses.at[n->access].index >= 0) marked[k->accesses.at[n->access].index] = true;
        }
    }
}

void kernel_stage_nodes(const Kernel *k, int stage, const KernelRows *rows, bool *marked) {
    const KStage *s = &k->stages.at[stage];
    memset(marked, 0, sizeof *marked * (size_t)k->nodes.n);
    for (int i = 0; i < s->reductions.n; i++) {
        const KReduction *r = &k->reductions.at[s->reductions.at[i]];
        marked[r->node] = true;
        if (r->running && r->factor >= 0) marked[r->factor] = true;
    }
    for (int i = 0; i < s->stores.n; i++) {
        marked[s->stores.at[i].node] = true;
        if (s->stores.at[i].guard >= 0) marked[s->stores.at[i].guard] = true;
        if (k->accesses.at[s->stores.at[i].access].index >= 0)
            marked[k->accesses.at[s->stores.at[i].access].index] = true;
    }
    mark_used(k, stage, rows, marked);
}

void kernel_product_nodes(const Kernel *k, bool *marked) {
    memset(marked, 0, sizeof *marked * (size_t)k->nodes.n);
    if (k->a >= 0) marked[k->a] = true;
    if (k->b >= 0) marked[k->b] = true;
    if (k->where >= 0) marked[k->where] = true;
    mark_used(k, 0, NULL, marked);
}

/* ------------------------------------------------------------------------ row memory */

int64_t kernel_most_points(const Kernel *k, AxisRole role) {
    int64_t product = 1;
    for (int a = 0; a < k->axes.n; a++) {
        if (k->axes.at[a].role != role) continue;
        if (__builtin_mul_overflow(product, k->axes.at[a].extent->upper, &product) || product >= DIM_HUGE)
            return DIM_HUGE;
    }
    return product;
}

/* The first stage that evaluates the node, if several do; else -1. */
static int first_of_several(const Kernel *k, int node, const KernelRows *rows, bool *marked) {
    int first = -1, count = 0;
    for (int s = 0; s < k->stages.n; s++) {
        kernel_stage_nodes(k, s, rows, marked);
        if (!marked[node]) continue;
        if (!count++) first = s;
    }
    return count > 1 ? first : -1;
}

int64_t kernel_overlap(const Kernel *k, const KAccess *access, int a, int b) {
    Dim one = access->strides[a], other = access->strides[b], extent = k->axes.at[b].extent;
    if (access->index >= 0 || !dim_is_const(one) || !dim_is_const(other) || !dim_is_const(extent)) return 0;
    if (dim_is(one, 0) || dim_is(other, 0)) return 0;
    int64_t steps = dim_value(one) / dim_value(other), most = dim_value(extent);
    return steps * dim_value(other) == dim_value(one) && steps < most && -steps < most ? steps : 0;
}

uint64_t kernel_grouped(const Kernel *k) {
    const KSchedule *s = &k->schedule;
    return (s->jam | (s->tile ? (uint64_t)1 << s->along : 0)) & kernel_axes(k, AXIS_OUTER);
}

bool kernel_turns(const Kernel *k, int node, int axis) {
    const KNode *n = &k->nodes.at[node];
    int lanes = k->schedule.vector_axis;
    if (n->kind != NODE_LOAD || n->guard >= 0 || n->dtype == DTYPE_BOOL || lanes < 0) return false;
    const KAccess *a = &k->accesses.at[n->access];
    bool apart = !dim_is(a->strides[lanes], 0) && !dim_is(a->strides[lanes], 1);
    return a->index < 0 && dim_is(a->strides[axis], 1) && apart;
}

bool kernel_interleaves(const Kernel *k, int stage) {
    const KStage *s = &k->stages.at[stage];
    int vector = k->schedule.vector_axis;
    if (k->schedule.jam != 1 || vector < 1 || s->inner) return false;
    for (int i = 0; i < s->stores.n; i++) {
        const KStore *store = &s->stores.at[i];
        const KAccess *a = &k->accesses.at[store->access];
        if (store->guard >= 0 || store->mode != STORE_EACH || a->index >= 0 || !dim_is(a->strides[0], 1)) return false;
        if (a->strides[vector] != k->axes.at[0].extent) return false;
    }
    return true;
}

KernelRows kernel_rows(const Kernel *k, Arena *arena) {
    int64_t *offset = arena_array(arena, int64_t, k->nodes.n + 1);
    int *stage = arena_array(arena, int, k->nodes.n + 1);
    KernelRows rows = {0, offset, stage};
    for (int i = 0; i < k->nodes.n; i++) offset[i] = stage[i] = -1;
    int vector = k->schedule.vector_axis;
    if (k->form != KERNEL_LOOPS || vector < 0 || k->axes.at[vector].role != AXIS_INNER) return rows;

    uint64_t inner = kernel_axes(k, AXIS_INNER);
    const uint64_t *axes = kernel_node_axes(k, arena);
    int64_t points = kernel_most_points(k, AXIS_INNER);
    bool *marked = arena_array(arena, bool, k->nodes.n + 1);
    /* From the last node back, so that what is only needed for a kept value is not kept itself. */
    for (int i = k->nodes.n - 1; i >= 0; i--) {
        const KNode *n = &k->nodes.at[i];
        if (n->kind != NODE_MAP || !(op_of_map(n->map)->flags & OP_COSTLY) || !(axes[i] & inner)) continue;
        if (points > KERNEL_ROW_BYTES) break;
        int64_t bytes = (points * dtype_bytes(n->dtype) + 63) / 64 * 64;
        if (rows.bytes + bytes > KERNEL_ROW_BYTES) continue;
        int first = first_of_several(k, i, &rows, marked);
        if (first < 0) continue;
        stage[i] = first;
        offset[i] = rows.bytes;
        rows.bytes += bytes;
    }
    return rows;
}

bool kernel_in_order(const Kernel *k) {
    for (int s = 0; s < k->stages.n; s++)
        for (int i = 0; i < k->stages.at[s].stores.n; i++)
            if (k->stages.at[s].stores.at[i].mode != STORE_EACH) return true;
    for (int r = 0; r < k->reductions.n; r++)
        if (k->reductions.at[r].running) return true;
    return false;
}

int step_buf_count(const PlanStep *s) {
    switch (s->kind) {
    case STEP_KERNEL: return s->kernel->bufs.n;
    case STEP_CHECK: return 1 + s->masked;
    case STEP_REQUIRE:
    case STEP_BIND:
    case STEP_TEST:
    case STEP_IF: return 1;
    case STEP_SWAP: return 2;
    case STEP_ROUTINE: return s->reads + s->writes;
    case STEP_LOOP:
    case STEP_WHILE:
    case STEP_ELSE:
    case STEP_END: break;
    }
    return 0;
}

int64_t plan_buf_bytes(const PlanBuf *b) {
    return (b->place == PLACE_LOCAL ? b->slice : b->elements)->upper * dtype_bytes(b->dtype);
}

int64_t step_scratch(const PlanStep *s) {
    return s->kind == STEP_KERNEL ? s->kernel->schedule.scratch : s->kind == STEP_ROUTINE ? s->scratch : 0;
}

enum { ROUTINE_HEAD = 3 };     /* numbers before the tensors */

bool step_routine_buf(const PlanStep *s, int i, RoutineBuf *to) {
    int at = ROUTINE_HEAD;
    for (;; i--) {
        if (at + 2 > s->dim_count || !dim_is_const(s->dims[at]) || !dim_is_const(s->dims[at + 1])) return false;
        int64_t rank = dim_value(s->dims[at + 1]);
        if (rank < 0 || rank > MAX_RANK || at + 2 + 2 * rank > s->dim_count) return false;
        *to = (RoutineBuf){(DType)dim_value(s->dims[at]), (int)rank, s->dims + at + 2, s->dims + at + 2 + rank};
        if (!i) return true;
        at += 2 + 2 * (int)rank;
    }
}

const char *routine_name(int routine) {
#define DLRT_ROUTINE(name) #name,
    static const char *const names[] = {DLRT_ROUTINES(DLRT_ROUTINE)};
#undef DLRT_ROUTINE
    return names[routine];
}

bool step_opens(const PlanStep *s) { return s->kind == STEP_LOOP || s->kind == STEP_WHILE || s->kind == STEP_IF; }

const double *plan_runs(const Plan *p, Arena *arena) {
    double *runs = arena_array(arena, double, p->steps.n + 1), now = 1;
    VEC(double) outer = {0};
    for (int i = 0; i < p->steps.n; i++) {
        const PlanStep *s = &p->steps.at[i];
        if (s->kind == STEP_END && outer.n) now = outer.at[--outer.n];
        runs[i] = now;
        if (!step_opens(s)) continue;
        vec_push(arena, &outer, now);
        now *= s->kind == STEP_LOOP ? (double)s->extent->upper : s->most >= 0 ? (double)s->most : 1;
    }
    return runs;
}

double plan_flops(const Plan *p, Arena *arena) {
    const double *runs = plan_runs(p, arena);
    double sum = 0;
    for (int i = 0; i < p->steps.n; i++) sum += runs[i] * p->steps.at[i].flops;
    return sum;
}

int kernel_work(const Kernel *k, const bool *marked) {
    int work = 0;
    for (int i = 0; i < k->nodes.n; i++) {
        const KNode *n = &k->nodes.at[i];
        if (n->kind == NODE_MAP && (!marked || marked[i])) work += op_of_map(n->map)->flags & OP_COSTLY ? 8 : 1;
    }
    return work;
}
