/* Verifies the steps of plans: see kernel_verify.h. One walk in their order, which knows at each step what has been
 * written and which dims have a value. Whether a kernel stays within a buffer depends on the run-time dims; it is
 * checked at their upper and at their lower bounds, where a linear reach is greatest; a loop's index is its last value
 * in the first case, its first in the second. */
#include "ir/kernel_util.h"
#include "ir/kernel_verify.h"

/* A body around the current step. */
typedef struct Body {
    int opener, end;       /* steps */
    bool *written, *known; /* when it began */
    bool *other;           /* IF: what the first way has written, once the second began; WHILE: at the TEST */
    bool runs[2];          /* of the steps around it */
} Body;

typedef struct Walk {
    KernelVerifier *v;
    const Plan *plan;
    int step;
    const int *ends;    /* by opening step: its END */
    bool *written;      /* by buffer: it holds something */
    bool *known;        /* by symbol: a free dim that has a value */
    int64_t *values[2]; /* by symbol, at the dims' lower and at their upper bounds */
    bool runs[2];       /* whether the step runs at all with these */
    VEC(Body) bodies;   /* innermost last */
} Walk;

static const PlanStep *this_step(const Walk *w) {
    return &w->plan->steps.at[w->step];
}

/* ------------------------------------------------------------------------------- dims */

static bool is_known(const Walk *w, Dim d) {
    const DimTable *t = &w->v->module->graph->dims;
    for (int i = 0; i < d->term_count; i++)
        for (int j = 0; j < d->terms[i].n; j++) {
            const DimSymbol *s = t->symbols.at[d->terms[i].symbols[j]];
            if (s->of ? !is_known(w, s->of) : !w->known[s->id]) return false;
        }
    return true;
}

static bool check_dim(const Walk *w, Dim d, const char *what) {
    if (!d || dim_overflowed(d)) return kernel_fault(w->v, "%s is out of range", what);
    return is_known(w, d) || kernel_fault(w->v, "%s mentions a dim that has no value here", what);
}

static void learn(Walk *w, const DimSymbol *s, int64_t low, int64_t high) {
    w->known[s->id] = true;
    w->values[0][s->id] = low;
    w->values[1][s->id] = high;
}

/* ------------------------------------------------------------------------------ reach */

typedef struct Reach {
    const Kernel *k;
    int64_t *sizes; /* by kernel symbol id */
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

static void check_reach(const Walk *w, const PlanStep *s, const int64_t *values) {
    const Kernel *k = s->kernel;
    const DimTable *dims = &w->v->module->graph->dims, *sizes = &w->v->module->dims;
    Reach r = {k, arena_array(w->v->scratch, int64_t, sizes->symbols.n + 1), sizes};
    for (int i = 0; i < k->dims.n; i++) r.sizes[k->dims.at[i]->id] = dim_eval(dims, s->dims[i], values);
    bool *guarded = arena_array(w->v->scratch, bool, k->accesses.n + 1);
    for (int i = 0; i < k->nodes.n; i++)
        if (k->nodes.at[i].kind == NODE_LOAD && k->nodes.at[i].guard >= 0) guarded[k->nodes.at[i].access] = true;
    for (int i = 0; i < k->stages.n; i++)
        for (int j = 0; j < k->stages.at[i].stores.n; j++)
            if (k->stages.at[i].stores.at[j].guard >= 0) guarded[k->stages.at[i].stores.at[j].access] = true;
    for (int i = 0; i < k->accesses.n; i++) {
        const KAccess *a = &k->accesses.at[i];
        int64_t least, greatest, n = dim_eval(dims, w->plan->bufs.at[s->bufs[a->buf]].elements, values);
        if (guarded[i] || a->index >= 0 || !access_reach(&r, a, &least, &greatest)) continue;
        int64_t begin = s->offsets ? dim_eval(dims, s->offsets[a->buf], values) : 0;
        if (begin + least < 0 || begin + greatest >= n)
            kernel_fault(w->v, "kernel %s reaches elements %lld to %lld of %lld of b%d", k->name,
                         (long long)(begin + least), (long long)(begin + greatest), (long long)n, s->bufs[a->buf]);
    }
}

/* ------------------------------------------------------------------------------- uses */

static bool is_read_only(const PlanBuf *b) {
    return b->place == PLACE_ARG || b->place == PLACE_CONST || b->place == PLACE_SEED || b->place == PLACE_COUNT;
}

/* What comes into a loop, or goes out of it, lives as long as the loop runs. */
static void check_life(const Walk *w, int buf) {
    const PlanBuf *b = &w->plan->bufs.at[buf];
    if (w->step < b->first || w->step > b->last) kernel_fault(w->v, "b%d is used outside of its life", buf);
    for (int i = 0; i < w->bodies.n; i++) {
        const Body *body = &w->bodies.at[i];
        bool repeats = w->plan->steps.at[body->opener].kind != STEP_IF;
        bool leaves = b->first > body->opener && b->last > body->end, enters = b->first < body->opener;
        if (repeats && (leaves || (enters && b->last < body->end)))
            kernel_fault(w->v, "b%d does not live as long as the loop at step %d", buf, body->opener);
    }
}

/* Buffer i of the step, read or written or both. */
static void check_use(const Walk *w, const PlanStep *s, int i, bool reads, bool writes) {
    int buf = s->bufs[i];
    const PlanBuf *b = &w->plan->bufs.at[buf];
    if (s->offsets) check_dim(w, s->offsets[i], "an offset");
    if (writes && is_read_only(b)) kernel_fault(w->v, "b%d cannot be written", buf);
    if (reads && (b->place == PLACE_ARENA || b->place == PLACE_LOCAL) && !w->written[buf] && b->alias < 0)
        kernel_fault(w->v, "b%d is read before it is written", buf);
    if ((w->plan->arena_bytes && b->place == PLACE_ARENA) || (w->plan->local_bytes && b->place == PLACE_LOCAL)) check_life(w, buf);
    if (writes) w->written[buf] = true;
}

static bool known_bufs(const Walk *w, const PlanStep *s) {
    for (int i = 0; i < step_buf_count(s); i++)
        if (s->bufs[i] < 0 || s->bufs[i] >= w->plan->bufs.n)
            return kernel_fault(w->v, "there is no buffer %d", s->bufs[i]);
    return true;
}

/* ---------------------------------------------------------------------------- kernels */

static bool is_kernel_of(const KModule *m, const Kernel *k) {
    for (int i = 0; i < m->kernels.n; i++)
        if (m->kernels.at[i] == k) return true;
    return false;
}

static bool loads_from(const Kernel *k, int buf) {
    for (int i = 0; i < k->nodes.n; i++)
        if (k->nodes.at[i].kind == NODE_LOAD && k->accesses.at[k->nodes.at[i].access].buf == buf) return true;
    return false;
}

static bool check_run(const Walk *w, const PlanStep *s) {
    const Kernel *k = s->kernel;
    if (!is_kernel_of(w->v->module, k)) return kernel_fault(w->v, "its kernel is not in the module");
    if (!known_bufs(w, s)) return false;
    for (int i = 0; i < k->bufs.n; i++)
        if (w->plan->bufs.at[s->bufs[i]].dtype != k->bufs.at[i].dtype)
            return kernel_fault(w->v, "b%d has another type than kernel %s takes", s->bufs[i], k->name);
    for (int i = 0; i < k->dims.n; i++) {
        if (!check_dim(w, s->dims[i], "a size")) return false;
        if (s->dims[i]->lower < k->dims.at[i]->lower || s->dims[i]->upper > k->dims.at[i]->upper)
            return kernel_fault(w->v, "size %s may be outside of its bounds", k->dims.at[i]->name);
    }
    for (int i = 0; i < k->bufs.n; i++) check_use(w, s, i, loads_from(k, i), k->bufs.at[i].written);
    for (int end = 0; end < 2; end++)
        if (w->runs[end]) check_reach(w, s, w->values[end]);
    return true;
}

/* ------------------------------------------------------------------------ other steps */

static void check_check(const Walk *w, const PlanStep *s) {
    const PlanBuf *b = &w->plan->bufs.at[s->bufs[0]];
    if (!dtype_is_int(b->dtype)) kernel_fault(w->v, "b%d holds no integers", s->bufs[0]);
    check_dim(w, s->limit, "a limit");
    if (!check_dim(w, s->extent, "a count")) return;
    check_use(w, s, 0, true, false);
    if (!s->masked) return;
    if (w->plan->bufs.at[s->bufs[1]].dtype != DTYPE_BOOL) kernel_fault(w->v, "b%d is no mask", s->bufs[1]);
    check_use(w, s, 1, true, false);
}

static void check_scalar(const Walk *w, const PlanStep *s, DType t) {
    if (w->plan->bufs.at[s->bufs[0]].dtype != t) kernel_fault(w->v, "b%d must be %s", s->bufs[0], dtype_name(t));
    check_use(w, s, 0, true, false);
}

static void check_bind(Walk *w, const PlanStep *s) {
    check_scalar(w, s, DTYPE_I64);
    if (!s->symbol || s->symbol->of || w->known[s->symbol->id])
        kernel_fault(w->v, "it binds no dim that is still free");
    else
        learn(w, s->symbol, s->symbol->lower, s->symbol->upper);
}

static void check_swap(const Walk *w, const PlanStep *s) {
    const PlanBuf *a = &w->plan->bufs.at[s->bufs[0]], *b = &w->plan->bufs.at[s->bufs[1]];
    if (a->place != PLACE_ARENA || b->place != PLACE_ARENA || a->elements != b->elements || a->dtype != b->dtype)
        kernel_fault(w->v, "b%d and b%d cannot change places", s->bufs[0], s->bufs[1]);
    for (int i = 0; i < 2; i++) check_use(w, s, i, false, false);
    bool first = w->written[s->bufs[0]];
    w->written[s->bufs[0]] = w->written[s->bufs[1]];
    w->written[s->bufs[1]] = first;
}

/* ---------------------------------------------------------------------------- routines */

/* Whether the routine stays in buffer i, where its numbers say that the elements are. */
static void check_routine_reach(const Walk *w, const PlanStep *s, int i, const RoutineBuf *b, const int64_t *values) {
    const DimTable *dims = &w->v->module->graph->dims;
    int64_t least = dim_eval(dims, s->offsets[i], values), greatest = least;
    int64_t n = dim_eval(dims, w->plan->bufs.at[s->bufs[i]].elements, values);
    for (int d = 0; d < b->rank; d++) {
        int64_t extent = dim_eval(dims, b->shape[d], values), stride = dim_eval(dims, b->strides[d], values);
        if (extent <= 0) return;
        *(stride < 0 ? &least : &greatest) += stride * (extent - 1);
    }
    if (least < 0 || greatest >= n)
        kernel_fault(w->v, "%s reaches elements %lld to %lld of %lld of b%d", routine_name(s->routine),
                     (long long)least, (long long)greatest, (long long)n, s->bufs[i]);
}

static bool check_routine_buf(const Walk *w, const PlanStep *s, int i) {
    RoutineBuf b;
    bool writes = i >= s->reads;
    if (!step_routine_buf(s, i, &b)) return kernel_fault(w->v, "its numbers do not describe b%d", s->bufs[i]);
    if (b.dtype != w->plan->bufs.at[s->bufs[i]].dtype)
        return kernel_fault(w->v, "b%d has another type than it says", s->bufs[i]);
    for (int k = 0; writes && k < i; k++)
        if (s->bufs[k] == s->bufs[i]) return kernel_fault(w->v, "it writes b%d and uses it in another way", s->bufs[i]);
    check_use(w, s, i, !writes, writes);
    for (int end = 0; end < 2; end++)
        if (w->runs[end]) check_routine_reach(w, s, i, &b, w->values[end]);
    return true;
}

static bool check_routine(const Walk *w, const PlanStep *s) {
    if (!check_dim(w, s->extent, "a number of rows")) return false;
    for (int i = 0; i < s->dim_count; i++)
        if (!check_dim(w, s->dims[i], "a number")) return false;
    bool head =
        s->dim_count >= 3 && dim_is(s->dims[0], s->reads) && dim_is_const(s->dims[1]) && dim_is_const(s->dims[2]);
    if (!head || __builtin_popcountll((uint64_t)dim_value(s->dims[2])) != s->writes ||
        dim_value(s->dims[1]) < s->writes)
        return kernel_fault(w->v, "its numbers do not fit its buffers");
    for (int i = 0; i < s->reads + s->writes; i++)
        if (!check_routine_buf(w, s, i)) return false;
    return true;
}

/* ------------------------------------------------------------------------------ bodies */

static bool *copy_of(const Walk *w, const bool *set, int n) {
    bool *copy = arena_array(w->v->scratch, bool, n + 1);
    if (n) memcpy(copy, set, sizeof *copy * (size_t)n);
    return copy;
}

static void open_body(Walk *w, const PlanStep *s) {
    Body body = {.opener = w->step,
                 .end = w->ends[w->step],
                 .written = copy_of(w, w->written, w->plan->bufs.n),
                 .known = copy_of(w, w->known, w->v->module->graph->dims.symbols.n),
                 .runs = {w->runs[0], w->runs[1]}};
    if (s->kind == STEP_IF) check_scalar(w, s, DTYPE_BOOL);
    if (s->kind == STEP_WHILE && s->most < -1) kernel_fault(w->v, "it cannot run %lld times", (long long)s->most);
    vec_push(w->v->scratch, &w->bodies, body);
    if (s->kind != STEP_LOOP || !check_dim(w, s->extent, "a number of iterations")) return;
    const DimTable *dims = &w->v->module->graph->dims;
    int64_t last = dim_eval(dims, s->extent, w->values[1]) - 1;
    for (int end = 0; end < 2; end++) w->runs[end] &= dim_eval(dims, s->extent, w->values[end]) > 0;
    if (!s->symbol || s->symbol->of || w->known[s->symbol->id])
        kernel_fault(w->v, "its index is no free dim");
    else if (s->symbol->lower > 0 || s->symbol->upper < s->extent->upper - 1)
        kernel_fault(w->v, "its index has other bounds");
    else
        learn(w, s->symbol, 0, last);
}

static void take_other_way(Walk *w, Body *body) {
    body->other = w->written;
    w->written = copy_of(w, body->written, w->plan->bufs.n);
    for (int i = 0; i < w->v->module->graph->dims.symbols.n; i++) w->known[i] = body->known[i];
}

/* After a branch that is known which both ways have written; after a WHILE what its condition has. A LOOP that does not
 * run leaves arrays without elements behind. */
static void close_body(Walk *w) {
    const Body *body = &w->bodies.at[--w->bodies.n];
    StepKind kind = w->plan->steps.at[body->opener].kind;
    const bool *least = body->other ? body->other : body->written;
    for (int i = 0; kind != STEP_LOOP && i < w->plan->bufs.n; i++) w->written[i] = w->written[i] && least[i];
    for (int i = 0; i < w->v->module->graph->dims.symbols.n; i++) w->known[i] = body->known[i];
    for (int end = 0; end < 2; end++) w->runs[end] = body->runs[end];
}

/* A TEST stands once in the body of its WHILE, not deeper. */
static void check_test(Walk *w, const PlanStep *s) {
    Body *body = w->bodies.n ? &w->bodies.at[w->bodies.n - 1] : NULL;
    check_scalar(w, s, DTYPE_BOOL);
    if (!body || body->other || w->plan->steps.at[body->opener].kind != STEP_WHILE)
        kernel_fault(w->v, "it tests for no loop");
    else
        body->other = copy_of(w, w->written, w->plan->bufs.n);
}

static void check_step(Walk *w) {
    const PlanStep *s = this_step(w);
    if (s->kind != STEP_KERNEL && !known_bufs(w, s)) return;
    switch (s->kind) {
    case STEP_KERNEL: check_run(w, s); break;
    case STEP_CHECK: check_check(w, s); break;
    case STEP_REQUIRE: check_scalar(w, s, DTYPE_BOOL); break;
    case STEP_BIND: check_bind(w, s); break;
    case STEP_SWAP: check_swap(w, s); break;
    case STEP_ROUTINE: check_routine(w, s); break;
    case STEP_LOOP:
    case STEP_WHILE:
    case STEP_IF: open_body(w, s); break;
    case STEP_TEST: check_test(w, s); break;
    case STEP_ELSE: take_other_way(w, &w->bodies.at[w->bodies.n - 1]); break;
    case STEP_END: close_body(w); break;
    }
}

/* By opening step its END; null if they do not nest. */
static const int *find_ends(KernelVerifier *v, const Plan *p) {
    int *ends = arena_array(v->scratch, int, p->steps.n + 1);
    VEC(int) open = {0};
    for (int i = 0; i < p->steps.n; i++) {
        const PlanStep *s = &p->steps.at[i];
        if (step_opens(s)) vec_push(v->scratch, &open, i);
        if (s->kind != STEP_ELSE && s->kind != STEP_END) continue;
        bool fits = open.n && (s->kind == STEP_END ||
                               (p->steps.at[open.at[open.n - 1]].kind == STEP_IF && !ends[open.at[open.n - 1]]));
        if (!fits) return NULL;
        ends[open.at[open.n - 1]] = i;
        if (s->kind == STEP_END) open.n--;
    }
    return open.n ? NULL : ends;
}

void verify_steps(KernelVerifier *v, const Plan *p) {
    const DimTable *t = &v->module->graph->dims;
    Walk w = {.v = v, .plan = p, .ends = find_ends(v, p), .runs = {true, true}};
    v->where = "steps";
    if (!w.ends) {
        kernel_fault(v, "loops and branches do not nest");
        return;
    }
    w.written = arena_array(v->scratch, bool, p->bufs.n + 1);
    w.known = arena_array(v->scratch, bool, t->symbols.n + 1);
    for (int end = 0; end < 2; end++) w.values[end] = arena_array(v->scratch, int64_t, t->symbols.n + 1);
    for (int i = 0; i < p->func->dims.n; i++)
        learn(&w, p->func->dims.at[i], p->func->dims.at[i]->lower, p->func->dims.at[i]->upper);
    for (w.step = 0; w.step < p->steps.n; w.step++) {
        v->where = arena_printf(v->scratch, "step %d", w.step);
        check_step(&w);
    }
}
