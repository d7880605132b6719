/* chain: kernels that run slice by slice together, so that what passes between them is one slice at a time.
 *
 * In: scheduled kernels, plans not placed yet. A chain is a run of kernel steps whose work falls into the same slices
 * (ir/slices.h): it begins with a contraction that has batch axes, as attention's scores, and goes on as long as
 * neighbours can be cut so; a few kernels between that cannot run after it, if what comes behind them has to do with the
 * chain and not with them. All steps do slice x before any does slice x + 1, or on another thread at the same time; so what
 * one of them writes and another one touches must lie slice by slice, in the same slices. What no other step touches then
 * needs no memory in the workspace, but room for one slice in each worker's scratch memory, where it stays in the cache.
 * Kernels are what they were, and are called with a slice's items: no sum changes its order.
 *
 * Out: PlanStep.chain and .slices; buffers that are PLACE_LOCAL, whose bytes are those of a slice. */
#include "pass/chain.h"

#include "ir/kernel_util.h"
#include "ir/slices.h"

#include <string.h>

const ChainLimits CHAIN_LIMITS = {.slices = 8, .bytes = 256 << 10};

/* What the steps of a chain do with a buffer. */
typedef struct Use {
    bool touched, written, made;   /* made: the first of these steps writes it and does not read it */
    Dim length;                    /* of the slices they all keep to; null: they do not */
    int since, until;              /* the first and the last of these steps */
    bool read_later, written_later;        /* by steps that wait for the chain's end */
} Use;

enum { MOST_WAITING = 8 };

typedef struct Chain {
    KModule *m;
    Plan *p;
    int begin, end;            /* steps; `end` is behind the last */
    Dim count;                 /* of slices */
    Use *uses;                 /* by buffer */
    bool *waits;               /* by step: it runs behind the chain */
    int waiting;               /* how many do */
    int *first, *last;         /* by buffer: the steps of the whole plan that touch it */
} Chain;

void chain_dissolve(Plan *p) {
    bool any = false;
    for (int i = 0; i < p->steps.n; i++) {
        any = any || p->steps.at[i].chain;
        p->steps.at[i].chain = 0;
        p->steps.at[i].slices = NULL;
    }
    if (!any) return;
    for (int i = 0; i < p->bufs.n; i++) {
        PlanBuf *b = &p->bufs.at[i];
        if (b->place == PLACE_LOCAL) {
            b->place = PLACE_ARENA;
            b->slice = NULL;
            b->bytes = plan_buf_bytes(b);
        }
        if (b->place == PLACE_ARENA) b->offset = 0, b->alias = -1;
    }
    p->arena_bytes = p->live_bytes = p->scratch_bytes = p->local_bytes = 0;
}

/* ------------------------------------------------------------------------------ growing */

static bool reads(const Kernel *k, int buf) {
    for (int i = 0; i < k->nodes.n; i++)
        if (k->nodes.at[i].kind == NODE_LOAD && k->accesses.at[k->nodes.at[i].access].buf == buf) return true;
    for (int s = 0; s < k->stages.n; s++)
        for (int i = 0; i < k->stages.at[s].stores.n; i++) {
            const KStore *store = &k->stages.at[s].stores.at[i];
            if (store->mode == STORE_COMBINE && k->accesses.at[store->access].buf == buf) return true;
        }
    return false;
}

/* Puts together what the step does with a buffer, which it may name several times. */
static Use use_by(const Chain *c, const PlanStep *s, const Slices *cut, int buf) {
    Use use = {.touched = true, .since = c->end, .until = c->end, .length = slices_length(c->m, cut, buf)};
    bool read = false;
    for (int i = 0; i < s->kernel->bufs.n; i++) {
        if (s->bufs[i] != buf) continue;
        use.written = use.written || s->kernel->bufs.at[i].written;
        read = read || reads(s->kernel, i);
    }
    use.made = use.written && !read;
    return use;
}

/* Whether the step can follow: what it shares with those before it, and one of them writes, lies in slices. What it
 * shares with those that wait none of them writes. */
static bool joins(const Chain *c, const PlanStep *s, const Slices *cut) {
    for (int i = 0; i < s->kernel->bufs.n; i++) {
        const Use *before = &c->uses[s->bufs[i]];
        if (before->written_later || (before->read_later && s->kernel->bufs.at[i].written)) return false;
        if (!before->touched) continue;
        Use now = use_by(c, s, cut, s->bufs[i]);
        if ((before->written || now.written) && (!now.length || now.length != before->length)) return false;
    }
    return true;
}

/* Whether the step touches what a step of the chain has written. */
static bool continues(const Chain *c, const PlanStep *s) {
    for (int i = 0; i < s->kernel->bufs.n; i++)
        if (c->uses[s->bufs[i]].written) return true;
    return false;
}

static bool wait(Chain *c, const PlanStep *s) {
    for (int i = 0; i < s->kernel->bufs.n; i++) {
        Use *use = &c->uses[s->bufs[i]];
        use->written_later = use->written_later || s->kernel->bufs.at[i].written;
        use->read_later = true;
    }
    c->waits[c->end++] = true;
    return ++c->waiting <= MOST_WAITING;
}

/* Takes the next step into the chain, or has it wait; false if it ends the chain. */
static bool grow(Chain *c) {
    const PlanStep *s = &c->p->steps.at[c->end];
    Slices cut;
    if (s->kind != STEP_KERNEL) return false;
    bool fits = slices_find(c->m, s, c->count, &cut) && joins(c, s, &cut);
    if (!fits || (c->waiting && !continues(c, s))) return c->end > c->begin && wait(c, s);
    Use *now = arena_array(c->m->arena, Use, s->kernel->bufs.n + 1);
    for (int i = 0; i < s->kernel->bufs.n; i++) now[i] = use_by(c, s, &cut, s->bufs[i]);
    for (int i = 0; i < s->kernel->bufs.n; i++) {
        Use *use = &c->uses[s->bufs[i]];
        if (use->touched && use->length != now[i].length) use->length = NULL;
        if (!use->touched) *use = now[i];
        use->written = use->written || now[i].written;
        use->until = c->end;
    }
    c->waits[c->end++] = false;
    return true;
}

/* ----------------------------------------------------------------------------- choosing */

static int64_t slice_bytes(const PlanBuf *b, Dim length) { return length->upper * dtype_bytes(b->dtype); }

static bool may_be_local(const Chain *c, int buf) {
    const PlanBuf *b = &c->p->bufs.at[buf];
    const Use *use = &c->uses[buf];
    return b->place == PLACE_ARENA && use->made && use->length && !use->read_later && c->first[buf] >= c->begin &&
           c->last[buf] < c->end && c->last[buf] > c->first[buf] &&
           dim_mul(&c->m->graph->dims, use->length, c->count) == b->elements;
}

/* Whether something passes to the step from one before it in the chain. */
static bool takes_part(const Chain *c, int s) {
    const PlanStep *step = &c->p->steps.at[s];
    for (int i = 0; i < step_buf_count(step) && !c->waits[s]; i++)
        if (c->uses[step->bufs[i]].written && c->uses[step->bufs[i]].since < s) return true;
    return false;
}

/* Ends the chain with the last step that something passes to; false if it is not worth it. */
static bool choose_end(Chain *c, ChainLimits limits) {
    int64_t saved = 0;
    bool opens = false;
    for (int i = 0; i < c->p->bufs.n; i++) {
        const Use *use = &c->uses[i];
        if (may_be_local(c, i)) saved += c->p->bufs.at[i].bytes - slice_bytes(&c->p->bufs.at[i], use->length);
        opens = opens || (use->written && use->since == c->begin && use->until > c->begin);
    }
    while (c->end > c->begin + 1 && !takes_part(c, c->end - 1)) c->end--;
    return opens && saved >= limits.bytes;
}

static void form(Chain *c, int number) {
    Slices cut;
    for (int i = 0; i < c->p->bufs.n; i++) {
        PlanBuf *b = &c->p->bufs.at[i];
        if (!may_be_local(c, i)) continue;
        b->place = PLACE_LOCAL;
        b->slice = c->uses[i].length;
        b->bytes = slice_bytes(b, b->slice);
    }
    for (int s = c->begin; s < c->end; s++) {
        if (c->waits[s]) continue;
        c->p->steps.at[s].chain = number;
        c->p->steps.at[s].slices = c->count;
        if (slices_find(c->m, &c->p->steps.at[s], c->count, &cut) && cut.chunk)
            c->p->steps.at[s].kernel->schedule.chunk = cut.chunk;
    }
}

/* By buffer: the first and the last step that touch it. */
static void find_ends(const Plan *p, int *first, int *last) {
    for (int i = 0; i < p->bufs.n; i++) first[i] = last[i] = -1;
    for (int s = 0; s < p->steps.n; s++)
        for (int i = 0; i < step_buf_count(&p->steps.at[s]); i++) {
            int buf = p->steps.at[s].bufs[i];
            if (first[buf] < 0) first[buf] = s;
            last[buf] = s;
        }
}

/* Puts the steps that wait behind the chain; the step behind its last one. */
static int part(Chain *c, Arena *scratch) {
    PlanStep *waiting = arena_array(scratch, PlanStep, c->end - c->begin + 1), *steps = c->p->steps.at;
    int n = 0, to = c->begin;
    for (int s = c->begin; s < c->end; s++) {
        if (c->waits[s]) waiting[n++] = steps[s];
        else steps[to++] = steps[s];
    }
    memcpy(steps + to, waiting, sizeof *steps * (size_t)n);
    return to;
}

/* Tries a chain that begins with step s; the step behind it. */
static int chain_from(Chain *c, int s, int number, ChainLimits limits) {
    const PlanStep *step = &c->p->steps.at[s];
    if (step->kind != STEP_KERNEL || step->kernel->form != KERNEL_CONTRACT) return s;
    c->count = slices_batch(c->m, step);
    if (!c->count || c->count->upper < limits.slices) return s;
    memset(c->uses, 0, sizeof *c->uses * (size_t)c->p->bufs.n);
    c->begin = c->end = s;
    c->waiting = 0;
    while (c->end < c->p->steps.n && grow(c)) continue;
    if (c->end <= s + 1 || !choose_end(c, limits)) return s;
    form(c, number);
    return c->end;
}

void chain_plan(KModule *m, Plan *p, ChainLimits limits, Arena *scratch) {
    int steps = p->steps.n + 1, bufs = p->bufs.n + 1, number = 0;
    Chain c = {.m = m, .p = p, .uses = arena_array(scratch, Use, bufs), .waits = arena_array(scratch, bool, steps),
               .first = arena_array(scratch, int, bufs), .last = arena_array(scratch, int, bufs)};
    chain_dissolve(p);
    find_ends(p, c.first, c.last);
    for (int s = 0; s + 1 < p->steps.n; s++) {
        if (chain_from(&c, s, number + 1, limits) == s) continue;
        number++;
        s = part(&c, scratch) - 1;
        find_ends(p, c.first, c.last);
    }
}

void chain_module(KModule *m, ChainLimits limits, Arena *scratch) {
    for (int i = 0; i < m->plans.n; i++) chain_plan(m, m->plans.at[i], limits, scratch);
}
