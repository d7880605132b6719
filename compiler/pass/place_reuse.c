/* Which buffers are written over others.
 *
 * A step that computes each element of its result from the same element of an operand that nothing reads afterwards may
 * write it there: the workspace is smaller, and the processor does not fetch a line from memory only to write it. What
 * may share memory so is one chain, which lives from its first buffer's first step to its last one's last.
 *
 * In: lives. Out: PlanBuf.alias, the first buffer of the chain. */
#include "pass/place.h"

#include "ir/kernel_util.h"

/* The store that writes buffer y, alone and every element once; -1: there is none such. Sets its stage. */
static int only_store(const Kernel *k, int y, int *stage) {
    int access = -1;
    for (int s = 0; s < k->stages.n; s++)
        for (int i = 0; i < k->stages.at[s].stores.n; i++) {
            const KStore *store = &k->stages.at[s].stores.at[i];
            if (k->accesses.at[store->access].buf != y) continue;
            if (access >= 0 || store->mode != STORE_EACH || store->guard >= 0) return -1;
            access = store->access;
            *stage = s;
        }
    for (int i = 0; i < k->nodes.n; i++)
        if (k->nodes.at[i].kind == NODE_LOAD && k->accesses.at[k->nodes.at[i].access].buf == y) return -1;
    return access;
}

static bool same_place(const Kernel *k, const KAccess *a, const KAccess *b) {
    if (a->index >= 0 || b->index >= 0 || a->offset != b->offset) return false;
    for (int i = 0; i < k->axes.n; i++)
        if (a->strides[i] != b->strides[i]) return false;
    return true;
}

static bool loads(const Kernel *k, const bool *marked, int buf) {
    for (int i = 0; i < k->nodes.n; i++)
        if (marked[i] && k->nodes.at[i].kind == NODE_LOAD && k->accesses.at[k->nodes.at[i].access].buf == buf) return true;
    return false;
}

/* Whether result y may lie where operand x does: x is read at the point's own element only, not behind the stage that
 * stores y, and by no contraction's factor. */
static bool may_write_over(const Kernel *k, int x, int y, Arena *scratch) {
    int stage = 0, access = only_store(k, y, &stage);
    if (access < 0 || k->bufs.at[x].written || k->bufs.at[x].dtype != k->bufs.at[y].dtype) return false;
    for (int i = 0; i < k->accesses.n; i++)
        if (k->accesses.at[i].buf == x && !same_place(k, &k->accesses.at[i], &k->accesses.at[access])) return false;
    bool *marked = arena_array(scratch, bool, k->nodes.n + 1);
    for (int s = stage + 1; s < k->stages.n; s++) {
        kernel_stage_nodes(k, s, NULL, marked);
        if (loads(k, marked, x)) return false;
    }
    if (k->form != KERNEL_CONTRACT) return true;
    kernel_product_nodes(k, marked);
    return !loads(k, marked, x);
}

static bool at_start(const PlanStep *step, int i) { return !step->offsets || dim_is(step->offsets[i], 0); }

/* Whether the step reaches buffer b as its operand number i alone, whole, and nothing changes b's name. */
static bool reached_once(const PlanStep *step, int i, const bool *swapped) {
    if (swapped[step->bufs[i]] || !at_start(step, i)) return false;
    for (int k = 0; k < step_buf_count(step); k++)
        if (k != i && step->bufs[k] == step->bufs[i]) return false;
    return true;
}

/* An operand takes one result at most. */
static bool is_taken(const Plan *p, int s, int x) {
    const PlanStep *step = &p->steps.at[s];
    const PlanBuf *from = &p->bufs.at[step->bufs[x]];
    int root = from->alias >= 0 ? from->alias : step->bufs[x];
    for (int y = 0; y < step->kernel->bufs.n; y++)
        if (step->kernel->bufs.at[y].written && p->bufs.at[step->bufs[y]].alias == root && step->bufs[y] != root) return true;
    return false;
}

/* Puts operand y of step s, which begins there, where an operand lies that ends there. */
static void share(Plan *p, int s, int y, const bool *swapped, Arena *scratch) {
    const PlanStep *step = &p->steps.at[s];
    PlanBuf *to = &p->bufs.at[step->bufs[y]];
    if ((to->place != PLACE_ARENA && to->place != PLACE_LOCAL) || to->first != s || !reached_once(step, y, swapped)) return;
    for (int x = 0; x < step->kernel->bufs.n && to->alias < 0; x++) {
        const PlanBuf *from = &p->bufs.at[step->bufs[x]];
        bool ends = from->place == to->place && from->first < s && from->last == s && from->bytes == to->bytes &&
                    from->elements == to->elements && reached_once(step, x, swapped);
        if (ends && !is_taken(p, s, x) && may_write_over(step->kernel, x, y, scratch))
            to->alias = from->alias >= 0 ? from->alias : step->bufs[x];
    }
}

void place_reuse(Plan *p, Arena *scratch) {
    bool *swapped = arena_array(scratch, bool, p->bufs.n + 1);
    for (int i = 0; i < p->bufs.n; i++) p->bufs.at[i].alias = -1;
    for (int s = 0; s < p->steps.n; s++)
        if (p->steps.at[s].kind == STEP_SWAP) swapped[p->steps.at[s].bufs[0]] = swapped[p->steps.at[s].bufs[1]] = true;
    for (int s = 0; s < p->steps.n; s++) {
        const PlanStep *step = &p->steps.at[s];
        if (step->kind != STEP_KERNEL) continue;
        for (int y = 0; y < step->kernel->bufs.n; y++)
            if (step->kernel->bufs.at[y].written) share(p, s, y, swapped, scratch);
    }
}
