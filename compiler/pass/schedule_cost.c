/* schedule_cost: what a run of a kernel is estimated to take, in cycles of one core.
 *
 * The greater of two: the operations, a vector of them two a cycle, a contraction's with what its tile wastes and
 * behind it those of its epilogue; and the bytes of its buffers, each touched once. Caches and latencies are left out,
 * so it says which kernels weigh most and not much more; --report shows it beside what was measured. */
#include "ir/kernel_util.h"
#include "pass/schedule.h"

enum { OPERATIONS = 2, BYTES = 16 }; /* a cycle */

static double points_of(const Kernel *k, uint64_t axes) {
    double points = 1;
    for (int a = 0; a < k->axes.n; a++)
        if (axes >> a & 1) points *= (double)k->axes.at[a].extent->upper;
    return points;
}

/* The elements that an access touches: the points of the axes that move it. */
static double elements_of(const Kernel *k, const KAccess *x, const uint64_t *depends) {
    uint64_t moves = x->index >= 0 ? depends[x->index] : 0;
    for (int a = 0; a < k->axes.n; a++)
        if (!dim_is(x->strides[a], 0)) moves |= (uint64_t)1 << a;
    return points_of(k, moves);
}

/* Overlapping windows move along more axes than they have elements: each buffer counts as its least access says. */
static double bytes_of(const Kernel *k, const uint64_t *depends) {
    double sum = 0;
    for (int b = 0; b < k->bufs.n; b++) {
        double least = 0;
        for (int i = 0; i < k->accesses.n; i++) {
            if (k->accesses.at[i].buf != b) continue;
            double elements = elements_of(k, &k->accesses.at[i], depends);
            if (least <= 0 || elements < least) least = elements;
        }
        sum += least * dtype_bytes(k->bufs.at[b].dtype);
    }
    return sum;
}

/* Of a contraction those that each of its results takes. */
static double operations_of(const Kernel *k, const uint64_t *depends) {
    double sum = 0;
    for (int i = 0; i < k->nodes.n; i++) {
        const KNode *n = &k->nodes.at[i];
        if (k->form == KERNEL_CONTRACT && (i == k->a || i == k->b || depends[i] & kernel_axes(k, AXIS_K))) continue;
        bool costly = n->kind == NODE_MAP && op_of_map(n->map)->flags & OP_COSTLY;
        if (n->kind == NODE_MAP || n->kind == NODE_LOAD) sum += (costly ? 8 : 1) * points_of(k, depends[i]);
    }
    return sum + k->reductions.n * points_of(k, ~(uint64_t)0);
}

double schedule_cycles(const Kernel *k, DimTable *dims, Arena *scratch) {
    const uint64_t *depends = kernel_node_axes(k, scratch);
    double bytes = bytes_of(k, depends) / BYTES, lanes = k->schedule.lanes > 1 ? k->schedule.lanes : 1;
    double work = operations_of(k, depends) / lanes / OPERATIONS;
    if (k->form == KERNEL_CONTRACT) work += schedule_contract_cycles(k, dims);
    return work > bytes ? work : bytes;
}
