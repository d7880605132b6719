/* Budget: --memory-budget. Finds a compilation that takes no more memory than that, or says what is missing.
 *
 * What counts is what the header tells: weights, slots and cache, and the workspace of the largest function on one
 * thread. Only the workspace can become less. The pass `recompute` is given how much of it may be alive at once, and
 * estimates; what comes of it is measured, on kernels lowered, scheduled and placed, and if that is too much the pass is
 * given less. Where that does not lead to the end, a ladder of further attempts is gone down, which does not depend on
 * the budget: the least that is found on it is the least that can be asked for, and the message tells it. */
#include "driver/driver.h"

#include "ir/kernel_util.h"
#include "ir/places.h"
#include "pass/chain.h"
#include "pass/lower.h"
#include "pass/place.h"
#include "pass/schedule.h"

enum { MOST_GUESSES = 12, MOST_RUNGS = 24, IDLE_RUNGS = 4, MOST_SHOWN = 4, LEAST_SHARE = 100 };

typedef struct Budget {
    Compilation *c;
    const PassInfo *pass;
    Region **bodies;           /* as they are fused, by function */
    int64_t fixed;             /* bytes of weights, slots and cache */
} Budget;

/* A graph by what the pass was given, and what came of it. */
typedef struct Attempt {
    int64_t live;              /* -1: the pass did not run */
    int64_t bytes;             /* all that counts */
    double flops;
    KModule *kernels;
} Attempt;

/* ------------------------------------------------------------------------------ measuring */

static int64_t round64(int64_t bytes) { return (bytes + 63) / 64 * 64; }

static int64_t plan_bytes(const Plan *p) { return round64(p->arena_bytes) + round64(p->scratch_bytes); }

/* The plan that takes most of the workspace. */
static const Plan *largest_plan(const KModule *m) {
    const Plan *largest = NULL;
    for (int i = 0; i < m->plans.n; i++)
        if (!largest || plan_bytes(m->plans.at[i]) > plan_bytes(largest)) largest = m->plans.at[i];
    return largest;
}

static DlccStatus measure(const Budget *b, Attempt *a) {
    Compilation *c = b->c;
    PassContext context = {.arena = c->arena, .scratch = c->scratch, .diags = &c->diags, .pass = "lower"};
    a->kernels = lower_module(&context, c->module);
    arena_reset(c->scratch);
    if (!a->kernels) return DLCC_USER;
    schedule_module(a->kernels, c->target, c->scratch);
    if (driver_wants_chains(c)) chain_module(a->kernels, CHAIN_LIMITS, c->scratch);
    place_module(a->kernels, c->scratch);
    arena_reset(c->scratch);
    a->bytes = b->fixed + (a->kernels->plans.n ? plan_bytes(largest_plan(a->kernels)) : 0);
    a->flops = 0;
    for (int i = 0; i < a->kernels->plans.n; i++) a->flops += plan_flops(a->kernels->plans.at[i], c->arena);
    return DLCC_OK;
}

static void take_back(const Budget *b) {
    for (int i = 0; i < b->c->module->funcs.n; i++) {
        b->c->module->funcs.at[i]->body = b->bodies[i];
        b->c->module->funcs.at[i]->recomputed = 0;
    }
}

static PassOption live_option(const Budget *b, int64_t live) {
    return (PassOption){b->pass->name, "live", arena_printf(b->c->arena, "%lld", (long long)live)};
}

/* What comes of so many bytes alive at once. The graph is as before afterwards. */
static DlccStatus attempt(const Budget *b, int64_t live, Attempt *a) {
    PassOption option = live_option(b, live);
    *a = (Attempt){.live = live};
    DlccStatus status = driver_try_pass(b->c, b->pass, &option);
    if (!status) status = measure(b, a);
    take_back(b);
    return status;
}

/* ------------------------------------------------------------------------------- searching */

/* Guesses what to give the pass from how much the last guess was too much. */
static DlccStatus guess(const Budget *b, int64_t budget, Attempt *found) {
    int64_t live = budget - b->fixed - round64(largest_plan(found->kernels)->scratch_bytes), least = live - live / 4;
    DlccStatus status = DLCC_OK;
    int64_t step = 0;
    for (int i = 0; i < MOST_GUESSES && found->bytes > budget && live > least && !status; i++) {
        status = attempt(b, live, found);
        step = found->bytes - budget > 2 * step ? found->bytes - budget : 2 * step;
        live -= step;
    }
    return status;
}

/* Goes down from what is alive without recomputing, to where less has not helped some times. */
static DlccStatus go_down(const Budget *b, int64_t from, Attempt *least, int64_t budget, Attempt *found) {
    DlccStatus status = DLCC_OK;
    int64_t last = 0;
    int idle = 0;
    for (int i = 0; i < MOST_RUNGS && idle < IDLE_RUNGS && !status; i++) {
        Attempt a;
        from -= from / 8;
        status = attempt(b, from, &a);
        if (status) break;
        idle = a.bytes < least->bytes ? 0 : a.bytes == last ? idle + 2 : idle + 1;
        last = a.bytes;
        if (a.bytes < least->bytes) *least = a;
        if (a.bytes <= budget && (found->bytes > budget || a.flops < found->flops)) *found = a;
    }
    return status;
}

/* -------------------------------------------------------------------------------- reporting */

/* What is alive at one step, by the line of the source that asked for it. */
typedef struct Share {
    Span span;
    int line;
    const char *name;
    int64_t bytes;
} Share;

/* The step of a plan at which most is alive. */
static int peak_step(const Plan *p) {
    int64_t most = -1;
    int peak = 0;
    for (int s = 0; s < p->steps.n; s++) {
        int64_t alive = 0;
        for (int i = 0; i < p->bufs.n; i++) {
            const PlanBuf *buf = &p->bufs.at[i];
            if (buf->place == PLACE_ARENA && buf->first <= s && s <= buf->last) alive += buf->bytes;
        }
        if (alive > most) most = alive, peak = s;
    }
    return peak;
}

/* The place of the step that writes the buffer first: loops have none of their own. */
static Span made_at(const Plan *p, int buf) {
    for (int s = p->bufs.at[buf].first; s >= 0 && s <= p->bufs.at[buf].last; s++)
        for (int k = 0; k < step_buf_count(&p->steps.at[s]); k++)
            if (p->steps.at[s].bufs[k] == buf && p->steps.at[s].span.source) return p->steps.at[s].span;
    return (Span){0};
}

/* The shares of the peak, the largest first; their number. */
static int find_shares(Compilation *c, const Plan *p, Share *shares) {
    int n = 0, column, peak = peak_step(p);
    for (int i = 0; i < p->bufs.n; i++) {
        const PlanBuf *buf = &p->bufs.at[i];
        if (buf->place != PLACE_ARENA || buf->first > peak || buf->last < peak) continue;
        Share s = {.span = made_at(p, i), .name = buf->name, .bytes = buf->bytes};
        if (s.span.source) diag_place(&c->diags, s.span.source, s.span.begin, &s.line, &column);
        int at = 0;
        while (at < n && (shares[at].span.source != s.span.source || shares[at].line != s.line)) at++;
        if (at == n) shares[n++] = s;
        else shares[at].bytes += s.bytes;
    }
    for (int i = 1; i < n; i++)
        for (int k = i; k > 0 && shares[k].bytes > shares[k - 1].bytes; k--) {
            Share s = shares[k];
            shares[k] = shares[k - 1];
            shares[k - 1] = s;
        }
    return n;
}

static DlccStatus report_missing(const Budget *b, const Attempt *least) {
    Compilation *c = b->c;
    const Plan *p = least->kernels->plans.n ? largest_plan(least->kernels) : NULL;
    Diags *d = &c->diags;
    int diag = diag_report(d, DL0507, p ? p->func->span : (Span){0},
                           "--memory-budget is %lld bytes too small; with %lld it would fit",
                           least->bytes - (long long)c->options->memory_budget, (long long)least->bytes);
    VarPlaces v = places_of(c->module, c->arena);
    diag_note(d, diag, "weights take %s, slots %s, cache %s", size_text(c->arena, v.weight_bytes),
              size_text(c->arena, v.slot_bytes), size_text(c->arena, v.cache_bytes));
    if (!p) return DLCC_USER;
    int number = 0;
    while (c->module->funcs.at[number] != p->func) number++;
    diag_note(d, diag, "the workspace of %s takes %s (%s without recomputing), and %s of scratch", p->func->name,
              size_text(c->arena, p->arena_bytes), size_text(c->arena, c->unlimited[number].arena_bytes),
              size_text(c->arena, p->scratch_bytes));
    Share *shares = arena_array(c->arena, Share, p->bufs.n + 1);
    int n = find_shares(c, p, shares);
    for (int i = 0; i < n && i < MOST_SHOWN && shares[i].bytes >= p->arena_bytes / LEAST_SHARE; i++) {
        const char *size = size_text(c->arena, shares[i].bytes);
        if (shares[i].span.source) diag_label(d, diag, shares[i].span, "%s at the peak", size);
        else diag_note(d, diag, "%s at the peak: %s", size, *shares[i].name ? shares[i].name : "without a name");
    }
    return DLCC_USER;
}

/* What each function takes without a budget. */
static void note_unlimited(const Budget *b, const KModule *m) {
    PlanNeed *needs = arena_array(b->c->arena, PlanNeed, m->plans.n + 1);
    for (int i = 0; i < m->plans.n; i++)
        needs[i] = (PlanNeed){m->plans.at[i]->arena_bytes, plan_flops(m->plans.at[i], b->c->arena)};
    b->c->unlimited = needs;
}

DlccStatus budget_fit(Compilation *c) {
    int64_t budget = c->options->memory_budget, live = 0;
    if (!budget) return DLCC_OK;
    if (input_is_kernels(c)) return driver_fail(c, DLCC_USER, "--memory-budget needs a model or its graph, not kernels");
    Budget b = {.c = c, .pass = pass_find("recompute")};
    VarPlaces places = places_of(c->module, c->arena);
    Attempt found = {.live = -1}, least;
    double start = driver_now();
    b.fixed = round64(places.weight_bytes) + round64(places.slot_bytes) + round64(places.cache_bytes);
    b.bodies = arena_array(c->arena, Region *, c->module->funcs.n + 1);
    for (int i = 0; i < c->module->funcs.n; i++) b.bodies[i] = c->module->funcs.at[i]->body;
    DlccStatus status = measure(&b, &found);
    if (status) return status;
    note_unlimited(&b, found.kernels);
    least = found;
    for (int i = 0; i < found.kernels->plans.n; i++)
        if (found.kernels->plans.at[i]->live_bytes > live) live = found.kernels->plans.at[i]->live_bytes;
    if (found.bytes > budget && found.kernels->plans.n) status = guess(&b, budget, &found);
    if (!status && found.bytes > budget) status = go_down(&b, live, &least, budget, &found);
    driver_time(c, "budget", start);
    if (status || found.bytes > budget) return status ? status : report_missing(&b, &least);
    PassOption option = live_option(&b, found.live);
    return found.live < 0 ? DLCC_OK : driver_run_pass(c, b.pass, &option);
}
