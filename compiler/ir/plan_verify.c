/* Verifies plans: see kernel_verify.h. Here their buffers; plan_verify_steps.c looks at the steps. */
#include "ir/kernel_util.h"
#include "ir/kernel_verify.h"

/* ---------------------------------------------------------------------------- buffers */

/* The input or the result a buffer is; null if there is none. */
static const Value *port_value(const Func *f, const PlanBuf *b) {
    int n = 0;
    if (b->place == PLACE_ARG)
        for (int i = 0; i < f->inputs.n; i++)
            if (f->inputs.at[i].kind == PORT_ARG && n++ == b->index) return f->body->params.at[i];
    if (b->place == PLACE_RESULT)
        for (int i = 0; i < f->results.n; i++)
            if (!f->results.at[i].var && n++ == b->index) return f->body->yields.at[i];
    return NULL;
}

static bool check_type(KernelVerifier *v, const PlanBuf *b, Type t) {
    if (b->dtype != t.dtype) return kernel_fault(v, "it has another type than what it holds");
    return type_elements(&v->module->graph->dims, t) == b->elements ||
           kernel_fault(v, "it has another size than what it holds");
}

static bool check_place(KernelVerifier *v, const Plan *p, const PlanBuf *b) {
    const Value *value = port_value(p->func, b);
    switch (b->place) {
    case PLACE_ARG:
    case PLACE_RESULT:
        return value ? check_type(v, b, value->type) : kernel_fault(v, "the function has no such argument or result");
    case PLACE_VAR: return b->var ? check_type(v, b, b->var->type) : kernel_fault(v, "it has no variable");
    case PLACE_CONST: return (b->data && dim_is_const(b->elements)) || kernel_fault(v, "it has no values");
    case PLACE_SEED:
    case PLACE_COUNT: return b->dtype == DTYPE_I64 || kernel_fault(v, "it must be i64");
    case PLACE_LOCAL:
        if (!b->slice || dim_overflowed(b->slice)) return kernel_fault(v, "it has no slices");
        break;
    case PLACE_ARENA: break;
    }
    int64_t room = b->place == PLACE_LOCAL ? p->local_bytes : p->arena_bytes;
    if (b->offset < 0 || b->offset % 64) return kernel_fault(v, "its offset is no multiple of 64");
    return !room || b->first < 0 || b->offset + b->bytes <= room ||
           kernel_fault(v, "it reaches beyond the %s", b->place == PLACE_LOCAL ? "chain's local memory" : "workspace");
}

static void check_buf(KernelVerifier *v, const Plan *p, int i) {
    const PlanBuf *b = &p->bufs.at[i];
    v->where = arena_printf(v->scratch, "buffer b%d", i);
    if (!b->elements || dim_overflowed(b->elements) || b->elements->lower < 0) {
        kernel_fault(v, "its number of elements is out of range");
        return;
    }
    if (!check_place(v, p, b)) return;
    if (b->bytes < plan_buf_bytes(b))
        kernel_fault(v, "%lld bytes are too few", (long long)b->bytes);
    if (b->alias < 0) return;
    bool has_place = b->place == PLACE_ARENA || b->place == PLACE_LOCAL;
    if (b->alias >= p->bufs.n || !has_place || p->bufs.at[b->alias].place != b->place)
        kernel_fault(v, "it shares memory with no buffer of the workspace");
    else if (p->bufs.at[b->alias].offset != b->offset)
        kernel_fault(v, "it lies elsewhere than what it shares memory with");
}

static bool shares_memory(const Plan *p, int i, int j) {
    return p->bufs.at[i].alias == j || p->bufs.at[j].alias == i ||
           (p->bufs.at[i].alias >= 0 && p->bufs.at[i].alias == p->bufs.at[j].alias);
}

static void check_overlaps(KernelVerifier *v, const Plan *p) {
    if (!p->arena_bytes && !p->local_bytes) return;
    for (int i = 0; i < p->bufs.n; i++)
        for (int j = 0; j < i; j++) {
            const PlanBuf *a = &p->bufs.at[i], *b = &p->bufs.at[j];
            bool placed = a->place == PLACE_ARENA || a->place == PLACE_LOCAL;
            if (!placed || a->place != b->place || a->first < 0 || b->first < 0 || shares_memory(p, i, j)) continue;
            bool meet = a->first <= b->last && b->first <= a->last;
            if (meet && a->offset < b->offset + b->bytes && b->offset < a->offset + a->bytes) {
                v->where = arena_printf(v->scratch, "buffer b%d", i);
                kernel_fault(v, "it overlaps b%d, and both are in use at once", j);
            }
        }
}

void verify_plan(KernelVerifier *v, const Plan *p) {
    int before = v->faults->n;
    v->func = p->func;
    for (int i = 0; i < p->bufs.n; i++) check_buf(v, p, i);
    if (v->faults->n > before) return;
    check_overlaps(v, p);
    verify_chains(v, p);
    if (v->faults->n > before) return;
    verify_steps(v, p);
    v->where = "memory";
    if (p->live_bytes > p->arena_bytes) kernel_fault(v, "more bytes are alive than the workspace has");
    for (int i = 0; (p->arena_bytes || p->local_bytes) && i < p->steps.n; i++)
        if (step_scratch(&p->steps.at[i]) > p->scratch_bytes - p->local_bytes)
            kernel_fault(v, "step %d needs more scratch than there is", i);
}
