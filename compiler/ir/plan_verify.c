/* Verifies plans: see kernel_verify.h. Whether a kernel stays within a buffer depends on the run-time dims;
 * it is checked at their upper and at their lower bounds, where a linear reach is greatest. */
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
    case PLACE_ARENA: break;
    }
    if (b->offset < 0 || b->offset % 64) return kernel_fault(v, "its offset is no multiple of 64");
    return !p->arena_bytes || b->first < 0 || b->offset + b->bytes <= p->arena_bytes ||
           kernel_fault(v, "it reaches beyond the workspace");
}

static void check_buf(KernelVerifier *v, const Plan *p, int i) {
    const PlanBuf *b = &p->bufs.at[i];
    v->where = arena_printf(v->scratch, "buffer b%d", i);
    if (!b->elements || dim_overflowed(b->elements) || b->elements->lower < 0) {
        kernel_fault(v, "its number of elements is out of range");
        return;
    }
    if (!check_place(v, p, b)) return;
    if (b->bytes < b->elements->upper * dtype_bytes(b->dtype))
        kernel_fault(v, "%lld bytes are too few", (long long)b->bytes);
    if (b->alias < 0) return;
    if (b->alias >= p->bufs.n || b->place != PLACE_ARENA || p->bufs.at[b->alias].place != PLACE_ARENA)
        kernel_fault(v, "it shares memory with no buffer of the workspace");
    else if (p->bufs.at[b->alias].offset != b->offset)
        kernel_fault(v, "it lies elsewhere than what it shares memory with");
}

static bool shares_memory(const Plan *p, int i, int j) {
    return p->bufs.at[i].alias == j || p->bufs.at[j].alias == i ||
           (p->bufs.at[i].alias >= 0 && p->bufs.at[i].alias == p->bufs.at[j].alias);
}

static void check_overlaps(KernelVerifier *v, const Plan *p) {
    if (!p->arena_bytes) return;
    for (int i = 0; i < p->bufs.n; i++)
        for (int j = 0; j < i; j++) {
            const PlanBuf *a = &p->bufs.at[i], *b = &p->bufs.at[j];
            if (a->place != PLACE_ARENA || b->place != PLACE_ARENA || a->first < 0 || b->first < 0 ||
                shares_memory(p, i, j))
                continue;
            bool meet = a->first <= b->last && b->first <= a->last;
            if (meet && a->offset < b->offset + b->bytes && b->offset < a->offset + a->bytes) {
                v->where = arena_printf(v->scratch, "buffer b%d", i);
                kernel_fault(v, "it overlaps b%d, and both are in use at once", j);
            }
        }
}

/* ------------------------------------------------------------------------------ reach */

typedef struct Reach {
    const Kernel *k;
    int64_t *sizes;            /* by kernel symbol id */
    const DimTable *dims;
} Reach;

/* Least and greatest element of an access; false if some axis has no points. */
static bool access_reach(const Reach *r, const KAccess *a, int64_t *least, int64_t *greatest) {
    *least = *greatest = dim_eval(r->dims, a->offset, r->sizes);
    for (int x = 0; x < r->k->axes.n; x++) {
        int64_t extent = dim_eval(r->dims, r->k->axes.at[x].extent, r->sizes);
        int64_t stride = dim_eval(r->dims, a->strides[x], r->sizes);
        if (extent <= 0) return false;
        *(stride < 0 ? least : greatest) += stride * (extent - 1);
    }
    return true;
}

static void check_reach(KernelVerifier *v, const Plan *p, const PlanStep *s, const int64_t *values) {
    const Kernel *k = s->kernel;
    const DimTable *dims = &v->module->graph->dims;
    Reach r = {k, arena_array(v->scratch, int64_t, v->module->dims.symbols.n + 1), &v->module->dims};
    for (int i = 0; i < k->dims.n; i++) r.sizes[k->dims.at[i]->id] = dim_eval(dims, s->dims[i], values);
    bool *guarded = arena_array(v->scratch, bool, k->accesses.n + 1);
    for (int i = 0; i < k->nodes.n; i++)
        if (k->nodes.at[i].kind == NODE_LOAD && k->nodes.at[i].guard >= 0) guarded[k->nodes.at[i].access] = true;
    for (int i = 0; i < k->accesses.n; i++) {
        const KAccess *a = &k->accesses.at[i];
        int64_t least, greatest, n = dim_eval(dims, p->bufs.at[s->bufs[a->buf]].elements, values);
        if (guarded[i] || a->index >= 0 || !access_reach(&r, a, &least, &greatest)) continue;
        if (least < 0 || greatest >= n)
            kernel_fault(v, "kernel %s reaches elements %lld to %lld of %lld of b%d", k->name, (long long)least,
                         (long long)greatest, (long long)n, s->bufs[a->buf]);
    }
}

/* The free symbols at an end of their bounds; derived ones follow. */
static int64_t *values_at(KernelVerifier *v, bool upper) {
    const DimTable *t = &v->module->graph->dims;
    int64_t *values = arena_array(v->scratch, int64_t, t->symbols.n + 1);
    for (int i = 0; i < t->symbols.n; i++) values[i] = upper ? t->symbols.at[i]->upper : t->symbols.at[i]->lower;
    return values;
}

/* ------------------------------------------------------------------------------ steps */

static bool is_kernel_of(const KModule *m, const Kernel *k) {
    for (int i = 0; i < m->kernels.n; i++)
        if (m->kernels.at[i] == k) return true;
    return false;
}

static bool is_read_only(const PlanBuf *b) {
    return b->place == PLACE_ARG || b->place == PLACE_CONST || b->place == PLACE_SEED || b->place == PLACE_COUNT;
}

/* Buffer `buf` of a step, read or written or both. */
static void check_use(KernelVerifier *v, const Plan *p, int step, int buf, bool reads, bool writes, bool *written) {
    const PlanBuf *b = &p->bufs.at[buf];
    if (writes && is_read_only(b)) kernel_fault(v, "b%d cannot be written", buf);
    if (reads && b->place == PLACE_ARENA && !written[buf] && b->alias < 0)
        kernel_fault(v, "b%d is read before it is written", buf);
    if (p->arena_bytes && b->place == PLACE_ARENA && (step < b->first || step > b->last))
        kernel_fault(v, "b%d is used outside of its life", buf);
    if (writes) written[buf] = true;
}

static bool check_run(KernelVerifier *v, const Plan *p, const PlanStep *s) {
    const Kernel *k = s->kernel;
    if (!is_kernel_of(v->module, k)) return kernel_fault(v, "its kernel is not in the module");
    for (int i = 0; i < k->bufs.n; i++) {
        if (s->bufs[i] < 0 || s->bufs[i] >= p->bufs.n) return kernel_fault(v, "it has no buffer %d", i);
        if (p->bufs.at[s->bufs[i]].dtype != k->bufs.at[i].dtype)
            return kernel_fault(v, "b%d has another type than kernel %s takes", s->bufs[i], k->name);
    }
    for (int i = 0; i < k->dims.n; i++) {
        if (!s->dims[i] || dim_overflowed(s->dims[i])) return kernel_fault(v, "a size is out of range");
        if (s->dims[i]->lower < k->dims.at[i]->lower || s->dims[i]->upper > k->dims.at[i]->upper)
            return kernel_fault(v, "size %s may be outside of its bounds", k->dims.at[i]->name);
    }
    check_reach(v, p, s, values_at(v, true));
    check_reach(v, p, s, values_at(v, false));
    return true;
}

static bool loads_from(const Kernel *k, int buf) {
    for (int i = 0; i < k->nodes.n; i++)
        if (k->nodes.at[i].kind == NODE_LOAD && k->accesses.at[k->nodes.at[i].access].buf == buf) return true;
    return false;
}

static bool known_buf(KernelVerifier *v, const Plan *p, int buf) {
    return (buf >= 0 && buf < p->bufs.n) || kernel_fault(v, "there is no buffer b%d", buf);
}

static void check_step(KernelVerifier *v, const Plan *p, int i, bool *written) {
    const PlanStep *s = &p->steps.at[i];
    v->where = arena_printf(v->scratch, "step %d", i);
    if (s->kind == STEP_KERNEL) {
        if (!check_run(v, p, s)) return;
        for (int b = 0; b < s->kernel->bufs.n; b++)
            check_use(v, p, i, s->bufs[b], loads_from(s->kernel, b), s->kernel->bufs.at[b].written, written);
    } else if (known_buf(v, p, s->bufs[0])) {
        if (!dtype_is_int(p->bufs.at[s->bufs[0]].dtype)) kernel_fault(v, "b%d holds no integers", s->bufs[0]);
        check_use(v, p, i, s->bufs[0], true, false, written);
        if (!s->masked || !known_buf(v, p, s->bufs[1])) return;
        const PlanBuf *mask = &p->bufs.at[s->bufs[1]];
        if (mask->dtype != DTYPE_BOOL || mask->elements != p->bufs.at[s->bufs[0]].elements)
            kernel_fault(v, "b%d is no mask of b%d", s->bufs[1], s->bufs[0]);
        check_use(v, p, i, s->bufs[1], true, false, written);
    }
}

void verify_plan(KernelVerifier *v, const Plan *p) {
    int before = v->faults->n;
    v->func = p->func;
    for (int i = 0; i < p->bufs.n; i++) check_buf(v, p, i);
    if (v->faults->n > before) return;
    check_overlaps(v, p);
    bool *written = arena_array(v->scratch, bool, p->bufs.n + 1);
    for (int i = 0; i < p->steps.n; i++) check_step(v, p, i, written);
    v->where = "memory";
    if (p->live_bytes > p->arena_bytes) kernel_fault(v, "more bytes are alive than the workspace has");
    for (int i = 0; p->arena_bytes && i < p->steps.n; i++)
        if (p->steps.at[i].kind == STEP_KERNEL && p->steps.at[i].kernel->schedule.scratch > p->scratch_bytes)
            kernel_fault(v, "step %d needs more scratch than there is", i);
}
