/* Verifies chains, steps whose kernels run slice by slice together: see kernel_verify.h and pass/chain.c. */
#include "ir/kernel_util.h"
#include "ir/kernel_verify.h"
#include "ir/slices.h"

static bool touches(const PlanStep *s, int buf, bool written) {
    for (int i = 0; i < step_buf_count(s); i++)
        if (s->bufs[i] == buf && (!written || (s->kind == STEP_KERNEL && s->kernel->bufs.at[i].written))) return true;
    return false;
}

/* How the step falls into slices; null if it does not, or not so that items and slices end together. */
static const Slices *check_member(KernelVerifier *v, const Plan *p, int step) {
    const PlanStep *s = &p->steps.at[step];
    Slices *cut = arena_new(v->scratch, Slices);
    v->where = arena_printf(v->scratch, "step %d", step);
    for (int i = 0; i < step_buf_count(s); i++)
        if (s->bufs[i] < 0 || s->bufs[i] >= p->bufs.n) return kernel_fault(v, "there is no buffer %d", s->bufs[i]), NULL;
    bool falls = s->kind == STEP_KERNEL && s->slices && slices_find(v->module, s, s->slices, cut);
    if (falls && (!cut->chunk || cut->chunk == slices_chunk(s->kernel))) return cut;
    return kernel_fault(v, "its work does not fall into the chain's slices"), NULL;
}

/* Buffer `buf`, which two steps of a chain touch and one of them writes. */
static void check_shared(KernelVerifier *v, const Slices *a, const Slices *b, int buf) {
    Dim length = slices_length(v->module, a, buf);
    if (!length || slices_length(v->module, b, buf) != length)
        kernel_fault(v, "b%d passes between steps of a chain but not in slices", buf);
}

static void check_uses(KernelVerifier *v, const Plan *p, const Slices *const *cuts, int begin, int end) {
    for (int s = begin; s < end; s++) {
        const PlanStep *step = &p->steps.at[s];
        v->where = arena_printf(v->scratch, "step %d", s);
        for (int i = 0; i < step_buf_count(step); i++) {
            const PlanBuf *b = &p->bufs.at[step->bufs[i]];
            if (b->place == PLACE_LOCAL && slices_length(v->module, cuts[s], step->bufs[i]) != b->slice)
                kernel_fault(v, "b%d has slices of another length", step->bufs[i]);
            if (p->arena_bytes && b->place == PLACE_ARENA && (b->first > begin || b->last < end - 1))
                kernel_fault(v, "b%d does not live as long as the chain", step->bufs[i]);
            for (int other = begin; other < s; other++)
                if (touches(&p->steps.at[other], step->bufs[i], !step->kernel->bufs.at[i].written))
                    check_shared(v, cuts[other], cuts[s], step->bufs[i]);
        }
    }
}

/* A local buffer is touched in chain `number` alone, and is as large as its slices are together. */
static void check_local(KernelVerifier *v, const Plan *p, int buf) {
    int chain = 0;
    DimTable *t = &v->module->graph->dims;
    v->where = arena_printf(v->scratch, "buffer b%d", buf);
    for (int s = 0; s < p->steps.n; s++) {
        const PlanStep *step = &p->steps.at[s];
        if (!touches(step, buf, false)) continue;
        if (!step->chain || (chain && chain != step->chain))
            kernel_fault(v, "it is local, but step %d is not in its chain", s);
        else if (dim_mul(t, step->slices, p->bufs.at[buf].slice) != p->bufs.at[buf].elements)
            kernel_fault(v, "its slices do not fill it");
        chain = step->chain;
    }
}

void verify_chains(KernelVerifier *v, const Plan *p) {
    const Slices **cuts = arena_array(v->scratch, const Slices *, p->steps.n + 1);
    int before = v->faults->n, last = 0;
    for (int s = 0; s < p->steps.n; s++) {
        const PlanStep *step = &p->steps.at[s], *previous = s ? step - 1 : NULL;
        if (!step->chain) continue;
        cuts[s] = check_member(v, p, s);
        bool goes_on = previous && previous->chain == step->chain;
        if (goes_on && previous->slices != step->slices) kernel_fault(v, "its chain has other slices");
        if (!goes_on && step->chain <= last) kernel_fault(v, "chain %d does not stand together", step->chain);
        last = step->chain;
    }
    for (int s = 0, end; s < p->steps.n && v->faults->n == before; s = end) {
        for (end = s + 1; end < p->steps.n && p->steps.at[s].chain && p->steps.at[end].chain == p->steps.at[s].chain;) end++;
        if (p->steps.at[s].chain) check_uses(v, p, cuts, s, end);
    }
    for (int i = 0; i < p->bufs.n && v->faults->n == before; i++)
        if (p->bufs.at[i].place == PLACE_LOCAL) check_local(v, p, i);
}
