/* dlcc --tune: which schedule of each kernel is fastest on this machine, by timing, within a stated time.
 *
 * The model is compiled up to its kernels. First each is timed as it is, in the order of what the cost model expects
 * it to take of a call of each function. Then contractions are searched, in the order of the time that lies between
 * what was measured and the processor's peak: there is most to win. Tiles come first, the best dozen by estimate;
 * then, around the fastest, other blocks and ways to read the factors, as long as that helps; then panels of
 * parameters (tune_panels.c). The cost model's choice runs in every batch, and what is to take its place must be
 * faster by more than the noise. When time is up, the best so far is written. tune_time.c does the timing. */
#include "driver/tune.h"

#include "base/file.h"
#include "codegen/link.h"
#include "ir/kernel_util.h"
#include "pass/schedule.h"

#include <stdlib.h>
#include <unistd.h>

enum {
    MOST_TRIALS = 32,          /* of a batch */
    TILES = 12,
    ROUNDS = 3
};
static const double LEAST_GAIN = 0.02;

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
        return refuse(c, arena_printf(c->arena, "code for %s does not run on this machine, so it cannot be timed",
                                      c->target->name),
                      "tune on such a machine and compile with --tuned=FILE anywhere");
    if (c->options->level == 0)
        return refuse(c, "with -O 0 the passes that make kernels are left out, and code is slow on purpose",
                      "leave out -O 0");
    if (c->options->run.n) return refuse(c, "--run runs single passes; there is nothing to time", NULL);
    for (int i = 0; i < c->options->outputs.n; i++)
        if (file_same(c->arena, c->options->outputs.at[i], c->options->tune))
            return driver_fail(c, DLCC_USER, "%s and %s are one file", c->options->tune, c->options->outputs.at[i]);
    if (!file_same(c->arena, c->options->input, c->options->tune)) return DLCC_OK;
    return driver_fail(c, DLCC_USER, "%s would overwrite what is compiled", c->options->tune);
}

/* Mistakes are left for the compilation proper to say. */
KModule *tune_kernels(Compilation *c, const char *panel) {
    DlccOptions options = *c->options;
    DlccOutput output = {text_new(c->arena), text_new(c->arena)};
    Tuning panels = {0};
    Compilation own = {.arena = c->arena, .scratch = c->scratch, .options = &options, .output = &output,
                       .text = c->text, .length = c->length, .target = c->target, .tuning = &panels};
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
    enum { CYCLES = 1000000, TRIES = 7 };
    double best = 0;
    for (int i = 0; i < TRIES; i++) {
        double start = driver_now();
        uint64_t x = 0;
        for (int k = 0; k < CYCLES; k++) {
            __asm__ volatile("" : "+r"(x)); /* what x is, the compiler cannot know */
            x += 1;
        }
        double rate = CYCLES / (driver_now() - start);
        if (rate > best) best = rate;
    }
    return best;
}

/* ------------------------------------------------------------------------------- cases */

static TuneCase *find_case(TuneCases *all, const Kernel *k) {
    for (int i = 0; i < all->n; i++)
        if (all->at[i].kernel == k) return &all->at[i];
    return NULL;
}

TuneCase tune_make_case(Search *s, KModule *m, const Plan *p, const PlanStep *step) {
    Text note = text_new(s->t.c->arena);
    report_axes(m, step->kernel, &note);
    TuneCase k = {.m = m, .kernel = step->kernel, .plan = p, .step = step, .note = text_get(&note)};
    k.key = tuning_key(&m->dims, step->kernel, s->t.c->scratch);
    k.predicted = schedule_cycles(step->kernel, &m->dims, s->t.c->scratch) / s->hertz;
    return k;
}

/* The kernels that the exported functions run. What is done once, when a model is opened, is left out. */
static void find_cases(Search *s, KModule *m, TuneCases *all) {
    for (int p = 0; p < m->plans.n; p++) {
        const Plan *plan = m->plans.at[p];
        const double *runs = plan_runs(plan, s->t.c->arena);
        for (int i = 0; i < plan->steps.n; i++) {
            const PlanStep *step = &plan->steps.at[i];
            if (step->kind != STEP_KERNEL) continue;
            TuneCase *known = find_case(all, step->kernel);
            if (!known) vec_push(s->t.c->arena, all, tune_make_case(s, m, plan, step));
            if (!known) known = &all->at[all->n - 1];
            known->runs += runs[i];
            if (step->flops <= known->step->flops) continue;
            known->plan = plan;
            known->step = step;
        }
    }
}

/* ------------------------------------------------------------------------- one kernel */

/* Seconds that a trial is likely to take: compiled, run, timed some times. */
static double likely_cost(const TuneCase *k) {
    static const double compiled = 0.05, call = 10e-3, calls = 8;
    return compiled + calls * (2 * k->predicted > call ? 2 * k->predicted : call);
}

/* How many of n trials there is time for; one at least. */
static int fitting(const Search *s, const TuneCase *k, int n) {
    double left = s->t.until - driver_now(), cost = likely_cost(k);
    if (left < cost) return 1;
    return left / cost < n ? (int)(left / cost) : n;
}

bool tune_time_is_up(const Search *s) { return s->timed && driver_now() >= s->t.until; }

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
    int all = add_trials(trials, 1 + other, more), n = fitting(s, k, all);
    if (n < all && n < 2 + other) return DLCC_OK; /* there is no time for a new one */
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
    Schedules more = variants_of(s, k, &k->kernel->schedule, tiles);
    DlccStatus status = run_batch(s, k, &more, base, best);
    for (int round = 0; round < rounds && !status && base->seconds > 0; round++) {
        double before = best->seconds / base->seconds;
        if (fitting(s, k, 3) < 3) break;
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
    const char *line = arena_printf(s->t.c->scratch, "%d kernels timed, %d searched, %.0f s left: %s", s->timed,
                                    s->searched, s->t.until - driver_now(), k->note);
    o->progress(o->progress_user, line);
}

/* The kernel as it is, unless it is known. */
static DlccStatus time_once(Search *s, const TuneCase *k) {
    Trial trial = {.schedule = k->kernel->schedule};
    const TunedKernel *known = tuning_find(s->tuning, k->key);
    if (known && known->measured > 0) return DLCC_OK;
    say_progress(s, k);
    DlccStatus status = tune_time(&s->t, k, &trial, 1);
    if (status || trial.seconds <= 0) return status;
    TunedKernel found = {.key = k->key, .predicted = k->predicted * 1e6, .measured = trial.seconds * 1e6,
                         .note = k->note};
    tuning_add(s->t.c->arena, s->tuning, &found);
    s->timed++;
    return DLCC_OK;
}

DlccStatus tune_search(Search *s, const TuneCase *k, int tiles, int rounds) {
    Trial base = {0}, best = {0};
    const TunedKernel *known = tuning_find(s->tuning, k->key);
    if (known && known->model > 0) return DLCC_OK;
    say_progress(s, k);
    DlccStatus status = search_schedule(s, k, tiles, rounds, &base, &best);
    arena_reset(s->t.c->scratch);
    if (status || base.seconds <= 0) return status;
    bool better = is_better(&base, &best);
    TunedKernel found = {.key = k->key, .scheduled = better, .schedule = best.schedule, .note = k->note,
                         .predicted = k->predicted * 1e6, .model = base.seconds * 1e6};
    found.measured = better ? best.seconds * 1e6 : found.model;
    tuning_add(s->t.c->arena, s->tuning, &found);
    s->searched++;
    return DLCC_OK;
}

/* -------------------------------------------------------------------------------- all */

/* What the kernel takes of a call beyond what it would at two vectors of multiply-adds a cycle; of nothing, some. */
static double to_win(const Search *s, const TuneCase *k) {
    const TunedKernel *known = tuning_find(s->tuning, k->key);
    if (!known || k->kernel->form != KERNEL_CONTRACT) return 0;
    double peak = 1e6 / (2 * k->kernel->schedule.lanes * s->hertz), least = known->measured * 0.05;
    for (int a = 0; a < k->kernel->axes.n; a++) peak *= (double)k->kernel->axes.at[a].extent->upper;
    double over = known->measured - peak;
    return k->runs * (over > least ? over : least);
}

static double weight(const Search *s, const TuneCase *k) {
    (void)s;
    return k->predicted * k->runs;
}

/* The greatest first. */
static void sort_cases(Search *s, double (*by)(const Search *s, const TuneCase *k)) {
    TuneCase *all = s->cases.at;
    for (int i = 1; i < s->cases.n; i++)
        for (int at = i; at > 0 && by(s, &all[at]) > by(s, &all[at - 1]); at--) {
            TuneCase other = all[at];
            all[at] = all[at - 1];
            all[at - 1] = other;
        }
}

static DlccStatus tune_cases(Search *s) {
    DlccStatus status = DLCC_OK;
    sort_cases(s, weight);
    for (int i = 0; i < s->cases.n && !status && !tune_time_is_up(s); i++) status = time_once(s, &s->cases.at[i]);
    sort_cases(s, to_win);
    for (int i = 0; i < s->cases.n && !status && !tune_time_is_up(s); i++) {
        const TuneCase *k = &s->cases.at[i];
        if (k->kernel->form != KERNEL_CONTRACT) continue;
        status = tune_search(s, k, TILES, ROUNDS);
        if (!status) status = tune_layouts(s, k);
    }
    if (s->t.c->options->progress) s->t.c->options->progress(s->t.c->options->progress_user, "");
    return status;
}

/* The kernels of a call of each function, as far as they were measured: how many, how many with a schedule that was
 * found, and their time in microseconds by the cost model's schedules and by those. */
typedef struct Sum {
    int count, faster;
    double model, found;
} Sum;

static Sum sum_of(const Search *s, const TuneCases *cases) {
    Sum sum = {0};
    for (int i = 0; i < cases->n; i++) {
        const TunedKernel *known = tuning_find(s->tuning, cases->at[i].key);
        if (!known || known->measured <= 0) continue;
        sum.count++;
        sum.faster += known->scheduled;
        sum.model += cases->at[i].runs * (known->model > 0 ? known->model : known->measured);
        sum.found += cases->at[i].runs * known->measured;
    }
    return sum;
}

static void say_summary(Search *s, double seconds) {
    Arena *arena = s->t.c->arena;
    TuneCases cases = {0};
    KModule *m = s->panels ? tune_kernels(s->t.c, NULL) : NULL;
    if (m) find_cases(s, m, &cases);
    Sum before = sum_of(s, &s->cases), after = m ? sum_of(s, &cases) : before;
    driver_fail(s->t.c, DLCC_OK, "%s: %d of %d kernels timed, %d searched in %.1f s; %d schedules and %d panels are "
                "faster than the cost model's", s->t.c->options->tune, before.count, s->cases.n, s->searched, seconds,
                after.faster, s->panels);
    if (before.count == after.count && after.faster + s->panels)
        driver_fail(s->t.c, DLCC_OK, "the timed kernels of a call of each function: %s by the cost model, %s by what "
                    "was found", report_time(arena, before.model), report_time(arena, after.found));
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
    if (!s->t.runtime)
        s->t.runtime = link_find_runtime(c->arena, c->options->program, c->target, c->cross, &why);
    if (!s->t.runtime) return driver_fail(c, DLCC_ENVIRONMENT, "%s", why);
    s->t.folder = mkdtemp(path);
    if (s->t.folder) return DLCC_OK;
    return driver_fail(c, DLCC_ENVIRONMENT, "cannot make a temporary folder; TMPDIR says where");
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
    KModule *m = status ? NULL : tune_kernels(c, NULL);
    if (!m) return status;
    arena_init(&s.t.arena, c->arena->out_of_memory);
    s.tuning = known_tuning(c);
    s.hertz = clock_rate();
    tune_lower_layouts(&s, m);
    find_cases(&s, m, &s.cases);
    status = find_tools(&s);
    if (status) return status;
    status = tune_cases(&s);
    rmdir(s.t.folder);
    if (status) return status;
    tune_choose_panels(&s);
    status = write_tuning(&s);
    c->tuning = s.tuning;
    if (!status) say_summary(&s, driver_now() - start);
    driver_time(c, "tune", start);
    return status;
}
