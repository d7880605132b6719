/* dlcc --tune: which schedule of each kernel is fastest on this machine, by timing, within a stated time.
 *
 * The model is compiled up to its kernels. Each is taken as it stands, the one first that by the cost model's estimate
 * takes most of a call of each function. A contraction's tiles come first, the best dozen by estimate; then, around the
 * fastest, other blocks and ways to read its factors, as long as that helps. The cost model's choice runs in every
 * batch, and what is to take its place must be faster by more than the noise. Loops have one schedule and are timed once.
 * Panels of parameters are tried likewise: the model is lowered again with each width, and kernels that differ by it are
 * tuned as well. When time is up, the best so far is written. tune_time.c does the timing. */
#include "driver/tune.h"

#include "base/file.h"
#include "codegen/link.h"
#include "ir/kernel_util.h"
#include "pass/schedule.h"

#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    MOST_TRIALS = 32,          /* of a batch */
    TILES = 12, FEW_TILES = 6,
    ROUNDS = 3
};
static const double LEAST_GAIN = 0.02;
static const double LIKELY_COST = 0.15; /* seconds that a trial takes, before one has been made */

typedef VEC(TuneCase) Cases;

/* The kernels of the model with parameters' panels of one width. */
typedef struct Layout {
    int64_t width;             /* -1: as the layout pass chooses */
    KModule *m;                /* null: not to be had */
} Layout;
enum { LAYOUTS = 5 };          /* the first is the pass's choice */

typedef struct Search {
    Tuner t;
    Tuning *tuning;            /* what is known: from --tuned, and found */
    Cases cases;               /* of the layout that the pass chooses, in order of weight */
    Layout layouts[LAYOUTS];
    double hertz;
    int timed, faster, panels;
} Search;

/* --------------------------------------------------------------------- what can be tuned */

static DlccStatus refuse(Compilation *c, const char *why, const char *hint) {
    int diag = diag_report(&c->diags, DL0804, (Span){0}, "--tune: %s", why);
    if (hint) diag_hint(&c->diags, diag, "%s", hint);
    return DLCC_USER;
}

static DlccStatus check_tunable(Compilation *c) {
    CodeHost host = code_host(c->arena);
    const Target *here = target_find(c->arena, NULL, NULL, host.triple, host.cpu, host.features, &(const char *){NULL});
    uint64_t missing = here ? c->target->cpu_features & ~here->cpu_features : 0;
    if (c->cross || missing)
        return refuse(c, arena_printf(c->arena, "code for %s does not run on this machine, so it cannot be timed", c->target->name),
                      "tune on such a machine and compile with --tuned=FILE anywhere");
    if (c->options->level == 0)
        return refuse(c, "with -O 0 the passes that make kernels are left out, and code is slow on purpose", "leave out -O 0");
    if (c->options->run.n) return refuse(c, "--run runs single passes; there is nothing to time", NULL);
    for (int i = 0; i < c->options->outputs.n; i++)
        if (file_same(c->arena, c->options->outputs.at[i], c->options->tune))
            return driver_fail(c, DLCC_USER, "%s and %s are one file", c->options->tune, c->options->outputs.at[i]);
    if (!file_same(c->arena, c->options->input, c->options->tune)) return DLCC_OK;
    return driver_fail(c, DLCC_USER, "%s would overwrite what is compiled", c->options->tune);
}

/* The model's kernels; null if there are mistakes, which the compilation proper will say. */
static KModule *kernels_of(Compilation *c, const char *panel) {
    DlccOptions options = *c->options;
    DlccOutput output = {text_new(c->arena), text_new(c->arena)};
    Tuning panels = {0};
    Compilation own = {.arena = c->arena, .scratch = c->scratch, .options = &options, .output = &output, .text = c->text,
                       .length = c->length, .target = c->target, .tuning = &panels};
    options.emit = DLCC_NOTHING;
    options.dump_all = NULL;
    options.dump_after.n = 0;
    if (c->tuning) panels.panels.at = c->tuning->panels.at, panels.panels.n = c->tuning->panels.n;
    vec_push(c->arena, &own.files, (OutputFile){.stage = DLCC_OBJECT});
    options.tuning.room = options.tuning.n; /* what is added goes to a copy */
    if (panel) vec_push(c->arena, &options.tuning, arena_printf(c->arena, "layout.panel=%s", panel));
    intern_init(&own.names, c->arena);
    diags_init(&own.diags, c->arena);
    return driver_kernels(&own) ? NULL : own.kernels;
}

/* Cycles a second: additions that wait for each other take one each. */
static double clock_rate(void) {
    enum { CYCLES = 2000000, TRIES = 5 };
    double best = 0;
    for (int i = 0; i < TRIES; i++) {
        double start = driver_now();
        uint64_t x = 0;
        for (int k = 0; k < CYCLES; k += 4) {
            __asm__ volatile("" : "+r"(x)); x += 1;
            __asm__ volatile("" : "+r"(x)); x += 1;
            __asm__ volatile("" : "+r"(x)); x += 1;
            __asm__ volatile("" : "+r"(x)); x += 1;
        }
        double rate = CYCLES / (driver_now() - start);
        if (rate > best) best = rate;
    }
    return best;
}

/* ------------------------------------------------------------------------------- cases */

static TuneCase *find_case(Cases *all, const Kernel *k) {
    for (int i = 0; i < all->n; i++)
        if (all->at[i].kernel == k) return &all->at[i];
    return NULL;
}

static TuneCase make_case(Search *s, KModule *m, const Plan *p, const PlanStep *step) {
    Text note = text_new(s->t.c->arena);
    report_axes(m, step->kernel, &note);
    TuneCase k = {.m = m, .kernel = step->kernel, .plan = p, .step = step, .note = text_get(&note)};
    k.key = tuning_key(&m->dims, step->kernel, s->t.c->scratch);
    k.predicted = schedule_cycles(step->kernel, &m->dims, s->t.c->scratch) / s->hertz;
    return k;
}

static double weight(const TuneCase *k) { return k->predicted * k->runs; }

/* The kernels that the exported functions run, heaviest first. What is done once, when a model is opened, is left out. */
static void find_cases(Search *s, KModule *m, Cases *all) {
    for (int p = 0; p < m->plans.n; p++) {
        const Plan *plan = m->plans.at[p];
        const double *runs = plan_runs(plan, s->t.c->arena);
        for (int i = 0; i < plan->steps.n; i++) {
            const PlanStep *step = &plan->steps.at[i];
            if (step->kind != STEP_KERNEL) continue;
            TuneCase *known = find_case(all, step->kernel);
            if (!known) vec_push(s->t.c->arena, all, make_case(s, m, plan, step));
            if (!known) known = &all->at[all->n - 1];
            known->runs += runs[i];
            if (step->flops <= known->step->flops) continue;
            known->plan = plan;
            known->step = step;
        }
    }
    for (int i = 1; i < all->n; i++)
        for (int at = i; at > 0 && weight(&all->at[at]) > weight(&all->at[at - 1]); at--) {
            TuneCase other = all->at[at];
            all->at[at] = all->at[at - 1];
            all->at[at - 1] = other;
        }
}

/* ------------------------------------------------------------------------- one kernel */

/* How many of n trials there is time for; one at least. */
static int fitting(const Search *s, int n) {
    double left = s->t.until - driver_now(), cost = s->t.cost > 0 ? s->t.cost : LIKELY_COST;
    if (left < cost) return 1;
    return left / cost < n ? (int)(left / cost) : n;
}

static bool time_is_up(const Search *s) { return s->timed && driver_now() >= s->t.until; }

static int fastest(const Trial *trials, int n) {
    int best = 0;
    for (int i = 1; i < n; i++)
        if (trials[i].seconds > 0 && trials[i].seconds < trials[best].seconds) best = i;
    return best;
}

static int add_trials(Trial *trials, int n, const Schedules *more) {
    for (int i = 0; i < more->n && n < MOST_TRIALS; i++) trials[n++] = (Trial){.schedule = more->at[i]};
    return n;
}

/* The kernel's own schedule, the best so far if it is another, and more; the fastest of them is left in *best. */
static DlccStatus run_batch(Search *s, const TuneCase *k, const Schedules *more, Trial *base, Trial *best) {
    Trial trials[MOST_TRIALS] = {{.schedule = k->kernel->schedule}};
    bool other = best->seconds > 0 && memcmp(&best->schedule, &k->kernel->schedule, sizeof best->schedule) != 0;
    if (other) trials[1].schedule = best->schedule;
    int n = fitting(s, add_trials(trials, 1 + other, more));
    if (other && n < 3) return DLCC_OK;
    DlccStatus status = tune_time(&s->t, k, trials, n);
    if (status || trials[0].seconds <= 0) return status;
    *base = trials[0];
    *best = trials[fastest(trials, n)];
    return status;
}

/* Variants around the best so far, of tile or of blocks. */
static Schedules variants_of(Search *s, const TuneCase *k, const KSchedule *around, int tiles) {
    Kernel other = *k->kernel;
    other.schedule = *around;
    return schedule_variants(k->m, &other, s->t.c->target, tiles, s->t.c->scratch);
}

/* Base and best once more, by themselves: of many, the fastest was lucky as well. */
static DlccStatus run_off(Search *s, const TuneCase *k, Trial *base, Trial *best) {
    Trial trials[] = {{.schedule = k->kernel->schedule}, {.schedule = best->schedule}};
    DlccStatus status = tune_time(&s->t, k, trials, 2);
    if (status || trials[0].seconds <= 0 || trials[1].seconds <= 0) return status;
    *base = trials[0];
    *best = trials[1];
    return status;
}

static bool is_better(const Trial *base, const Trial *best) {
    double noise = base->noise + best->noise;
    return best->seconds < base->seconds * (1 - (noise > LEAST_GAIN ? noise : LEAST_GAIN));
}

static DlccStatus search_schedule(Search *s, const TuneCase *k, int tiles, int rounds, Trial *base, Trial *best) {
    Schedules more = {0};
    bool contract = k->kernel->form == KERNEL_CONTRACT;
    if (contract) more = variants_of(s, k, &k->kernel->schedule, tiles);
    DlccStatus status = run_batch(s, k, &more, base, best);
    for (int round = 0; contract && round < rounds && !status && base->seconds > 0; round++) {
        double before = best->seconds / base->seconds;
        if (fitting(s, 3) < 3) break;
        more = variants_of(s, k, &best->schedule, 0);
        if (more.n) status = run_batch(s, k, &more, base, best);
        if (best->seconds / base->seconds > before - LEAST_GAIN / 2) break;
    }
    if (!status && base->seconds > 0 && is_better(base, best)) status = run_off(s, k, base, best);
    return status;
}

static void say_progress(Search *s, const TuneCase *k) {
    const DlccOptions *o = s->t.c->options;
    if (!o->progress) return;
    const char *line = arena_printf(s->t.c->scratch, "%d kernels timed, %.0f s left: %s", s->timed, s->t.until - driver_now(), k->note);
    o->progress(o->progress_user, line);
}

/* Measures a kernel and notes what came out, unless it is known. */
static DlccStatus tune_case(Search *s, const TuneCase *k, int tiles, int rounds) {
    Trial base = {0}, best = {0};
    const TunedKernel *known = tuning_find(s->tuning, k->key);
    if (known && known->measured > 0) return DLCC_OK;
    say_progress(s, k);
    DlccStatus status = search_schedule(s, k, tiles, rounds, &base, &best);
    arena_reset(s->t.c->scratch);
    if (status || base.seconds <= 0) return status;
    bool better = is_better(&base, &best);
    TunedKernel found = {.key = k->key, .scheduled = better, .schedule = best.schedule, .predicted = k->predicted * 1e6,
                         .measured = (better ? best.seconds : base.seconds) * 1e6, .note = k->note};
    if (k->kernel->form == KERNEL_CONTRACT) found.model = base.seconds * 1e6;
    tuning_add(s->t.c->arena, s->tuning, &found);
    s->timed++;
    s->faster += better;
    return DLCC_OK;
}

/* ------------------------------------------------------------------------------ panels */

/* The parameter in panels, or that could be, that the step reads; null if there is none. */
static const Var *panelled(const Plan *p, const PlanStep *step) {
    for (int i = 0; step->kind == STEP_KERNEL && i < step->kernel->bufs.n; i++) {
        const PlanBuf *b = &p->bufs.at[step->bufs[i]];
        if (b->place == PLACE_VAR && b->var->rows) return b->var;
    }
    return NULL;
}

static bool same_steps(const KModule *a, const KModule *b) {
    if (!b || a->plans.n != b->plans.n) return false;
    for (int p = 0; p < a->plans.n; p++) {
        if (a->plans.at[p]->steps.n != b->plans.at[p]->steps.n) return false;
        for (int i = 0; i < a->plans.at[p]->steps.n; i++)
            if (a->plans.at[p]->steps.at[i].kind != b->plans.at[p]->steps.at[i].kind) return false;
    }
    return true;
}

static void lower_layouts(Search *s, KModule *m) {
    static const int64_t widths[LAYOUTS] = {-1, 0, 32, 48, 64};
    bool any = false;
    for (int i = 0; i < m->graph->vars.n; i++) any |= m->graph->vars.at[i]->rows > 0;
    for (int i = 0; i < LAYOUTS; i++) {
        const char *width = arena_printf(s->t.c->arena, "%lld", (long long)widths[i]);
        s->layouts[i] = (Layout){widths[i], i == 0 ? m : any ? kernels_of(s->t.c, width) : NULL};
        if (i && !same_steps(m, s->layouts[i].m)) s->layouts[i].m = NULL;
    }
}

/* A step of the layout that the pass chooses, in another one. */
static TuneCase other_case(Search *s, const Layout *l, int plan, int step) {
    const Plan *p = l->m->plans.at[plan];
    return make_case(s, l->m, p, &p->steps.at[step]);
}

/* Steps that read parameters whose panels have one name. */
typedef struct PanelSum {
    const char *name;
    int64_t split;             /* as the pass chooses */
    double seconds[LAYOUTS];   /* of a call of each function; negative: some kernel was not measured */
} PanelSum;

static void add_times(Search *s, PanelSum *sum, int plan, int step, double runs) {
    for (int i = 0; i < LAYOUTS; i++) {
        if (!s->layouts[i].m) sum->seconds[i] = -1;
        if (sum->seconds[i] < 0) continue;
        TuneCase k = other_case(s, &s->layouts[i], plan, step);
        const TunedKernel *known = tuning_find(s->tuning, k.key);
        sum->seconds[i] = known && known->measured > 0 ? sum->seconds[i] + known->measured * runs : -1;
    }
}

typedef VEC(PanelSum) PanelSums;

static PanelSum *sum_of(Search *s, PanelSums *sums, const Module *m, const Var *v) {
    const char *name = tuning_panel_name(s->t.c->arena, &m->dims, v, v->rows);
    for (int i = 0; i < sums->n; i++)
        if (!strcmp(sums->at[i].name, name)) return &sums->at[i];
    vec_push(s->t.c->arena, sums, (PanelSum){.name = name, .split = v->split});
    return &sums->at[sums->n - 1];
}

static void choose_panel(Search *s, const PanelSum *sum) {
    int best = 0;
    if (sum->seconds[0] <= 0 || tuning_find_panel(s->tuning, sum->name)) return;
    for (int i = 1; i < LAYOUTS; i++)
        if (sum->seconds[i] > 0 && sum->seconds[i] < sum->seconds[best]) best = i;
    int64_t width = s->layouts[best].width;
    if (!best || width == sum->split || sum->seconds[best] > sum->seconds[0] * (1 - LEAST_GAIN)) return;
    tuning_add_panel(s->t.c->arena, s->tuning, &(TunedPanel){.name = sum->name, .split = width});
    s->panels++;
}

static void choose_panels(Search *s) {
    PanelSums sums = {0};
    const KModule *m = s->layouts[0].m;
    for (int p = 0; p < m->plans.n; p++) {
        const Plan *plan = m->plans.at[p];
        const double *runs = plan_runs(plan, s->t.c->arena);
        for (int i = 0; i < plan->steps.n; i++) {
            const Var *v = panelled(plan, &plan->steps.at[i]);
            if (v) add_times(s, sum_of(s, &sums, m->graph, v), p, i, runs[i]);
        }
    }
    for (int i = 0; i < sums.n; i++) choose_panel(s, &sums.at[i]);
}

/* The case's kernel with parameters in panels of other widths. */
static DlccStatus tune_layouts(Search *s, const TuneCase *k) {
    KModule *m = s->layouts[0].m;
    DlccStatus status = DLCC_OK;
    if (!panelled(k->plan, k->step)) return DLCC_OK;
    int plan = 0, step = (int)(k->step - k->plan->steps.at);
    while (m->plans.at[plan] != k->plan) plan++;
    for (int i = 1; i < LAYOUTS && !status; i++) {
        if (!s->layouts[i].m || time_is_up(s)) continue;
        TuneCase other = other_case(s, &s->layouts[i], plan, step);
        status = tune_case(s, &other, FEW_TILES, 1);
    }
    return status;
}

/* -------------------------------------------------------------------------------- all */

static DlccStatus tune_cases(Search *s) {
    DlccStatus status = DLCC_OK;
    for (int i = 0; i < s->cases.n && !status && !time_is_up(s); i++) {
        status = tune_case(s, &s->cases.at[i], TILES, ROUNDS);
        if (!status && !time_is_up(s)) status = tune_layouts(s, &s->cases.at[i]);
    }
    if (s->t.c->options->progress) s->t.c->options->progress(s->t.c->options->progress_user, "");
    return status;
}

/* What a call of each function takes in the kernels that were measured, by the cost model's schedules and by those found. */
static void say_summary(Search *s, double seconds) {
    double model = 0, found = 0;
    int known_cases = 0;
    for (int i = 0; i < s->cases.n; i++) {
        const TunedKernel *known = tuning_find(s->tuning, s->cases.at[i].key);
        if (!known || known->measured <= 0) continue;
        known_cases++;
        model += s->cases.at[i].runs * (known->model > 0 ? known->model : known->measured);
        found += s->cases.at[i].runs * known->measured;
    }
    driver_fail(s->t.c, DLCC_OK, "%s: %d of %d kernels measured in %.1f s, %d schedules and %d panels faster than the cost model's",
                s->t.c->options->tune, known_cases, s->cases.n, seconds, s->faster, s->panels);
    driver_fail(s->t.c, DLCC_OK, "a call of each function takes %.3f ms in these by the cost model, %.3f ms by what was found",
                model / 1e3, found / 1e3);
}

static DlccStatus write_tuning(Search *s) {
    Text text = text_new(s->t.c->arena);
    const char *why;
    tuning_print(s->tuning, &text);
    if (file_write(s->t.c->arena, s->t.c->options->tune, text_get(&text), text.n, &why)) return DLCC_OK;
    return driver_fail(s->t.c, DLCC_ENVIRONMENT, "%s", why);
}

static DlccStatus find_tools(Search *s) {
    Compilation *c = s->t.c;
    const char *why, *folder = getenv("TMPDIR");
    char *path = arena_printf(c->arena, "%s/dlcc-tune-XXXXXX", folder && *folder ? folder : "/tmp");
    s->t.runtime = c->options->runtime;
    if (!s->t.runtime) s->t.runtime = link_find_runtime(c->arena, c->options->program, c->target, c->cross, &why);
    if (!s->t.runtime) return driver_fail(c, DLCC_ENVIRONMENT, "%s", why);
    s->t.folder = mkdtemp(path);
    return s->t.folder ? DLCC_OK : driver_fail(c, DLCC_ENVIRONMENT, "cannot make a temporary folder; TMPDIR says where");
}

/* The tuning that there is, to be added to. */
static Tuning *known_tuning(const Compilation *c) {
    Tuning *t = arena_new(c->arena, Tuning);
    if (c->tuning) *t = *c->tuning;
    t->family = c->target->name;
    t->cpu = c->target->tune;
    return t;
}

DlccStatus driver_tune(Compilation *c) {
    double start = driver_now();
    Search s = {.t = {.c = c, .until = start + c->options->tune_seconds}};
    DlccStatus status = check_tunable(c);
    KModule *m = status ? NULL : kernels_of(c, NULL);
    if (!m) return status;
    arena_init(&s.t.arena, c->arena->out_of_memory);
    s.tuning = known_tuning(c);
    s.hertz = clock_rate();
    lower_layouts(&s, m);
    find_cases(&s, m, &s.cases);
    status = find_tools(&s);
    if (status) return status;
    status = tune_cases(&s);
    rmdir(s.t.folder);
    if (status) return status;
    choose_panels(&s);
    status = write_tuning(&s);
    c->tuning = s.tuning;
    if (!status) say_summary(&s, driver_now() - start);
    driver_time(c, "tune", start);
    return status;
}
