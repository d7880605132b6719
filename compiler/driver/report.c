/* Reports: --time-passes, --report. */
#include "driver/driver.h"

#include "dlrt.h"
#include "ir/kernel_util.h"
#include "ir/places.h"

void report_times(Compilation *c) {
    double total = 0;
    for (int i = 0; i < c->times.n; i++) total += c->times.at[i].seconds;
    for (int i = 0; i < c->times.n; i++)
        text_add(&c->output->said, "%-12s %9.3f ms %5.1f %%\n", c->times.at[i].name, c->times.at[i].seconds * 1e3,
                 c->times.at[i].seconds / total * 100);
    text_add(&c->output->said, "%-12s %9.3f ms\n", "total", total * 1e3);
}

const char *size_text(Arena *arena, int64_t bytes) {
    double x = (double)bytes;
    if (bytes < 10000) return arena_printf(arena, "%lld bytes", (long long)bytes);
    if (bytes < 1000000) return arena_printf(arena, "%.1f kB", x / 1e3);
    return bytes < 1000000000 ? arena_printf(arena, "%.2f MB", x / 1e6) : arena_printf(arena, "%.2f GB", x / 1e9);
}

static const char *flops_text(Arena *arena, double flops) {
    if (flops < 1e4) return arena_printf(arena, "%.0f FLOP", flops);
    if (flops < 1e6) return arena_printf(arena, "%.1f kFLOP", flops / 1e3);
    if (flops < 1e9) return arena_printf(arena, "%.2f MFLOP", flops / 1e6);
    return arena_printf(arena, "%.2f GFLOP", flops / 1e9);
}

typedef struct KernelUse {
    int calls;
    double flops;
} KernelUse;

static void add_uses(KernelUse *uses, const KModule *m, const Plan *plan, Arena *arena) {
    const double *runs = plan_runs(plan, arena);
    for (int i = 0; i < plan->steps.n; i++) {
        const PlanStep *s = &plan->steps.at[i];
        for (int k = 0; s->kind == STEP_KERNEL && k < m->kernels.n; k++) {
            if (m->kernels.at[k] != s->kernel) continue;
            uses[k].calls++;
            uses[k].flops += runs[i] * s->flops;
        }
    }
}

void report_axes(const KModule *m, const Kernel *k, Text *to) {
    static const char *const roles[] = {[AXIS_OUTER] = "outer", [AXIS_INNER] = "inner", [AXIS_BATCH] = "batch",
                                        [AXIS_M] = "m", [AXIS_N] = "n", [AXIS_K] = "k"};
    for (int a = 0; a < k->axes.n; a++) {
        text_add(to, "%s%s ", a ? " x " : "", roles[k->axes.at[a].role]);
        dim_print(&m->dims, k->axes.at[a].extent, to);
    }
}

static void add_schedule(const Kernel *k, Text *to) {
    const KSchedule *s = &k->schedule;
    if (k->form == KERNEL_CONTRACT)
        text_add(to, "tile %d rows x %d vectors, blocks m %lld n %lld k %lld%s%s", s->mr, s->nv, (long long)s->mc,
                 (long long)s->nc, (long long)s->kc, s->pack_a ? ", packs a" : s->rows_a ? ", a by rows" : s->skip_a ? ", skips in a" : "",
                 s->pack_b ? ", packs b" : s->skip_b ? ", skips in b" : "");
    else if (s->lanes > 1) text_add(to, "%d lanes x %d, chunk %lld", s->lanes, s->unroll, (long long)s->chunk);
    else text_add(to, "scalar, chunk %lld", (long long)s->chunk);
    if (s->scratch) text_add(to, ", scratch %lld", (long long)s->scratch);
}

/* Bytes of variables whose new version is made in the workspace and copied when nothing can fail any more. */
static int64_t kept_bytes(const Plan *plan, int *count) {
    int64_t bytes = 0;
    *count = 0;
    for (int i = 0; i < plan->steps.n; i++) {
        const PlanStep *s = &plan->steps.at[i];
        bool copies = s->kind == STEP_KERNEL && s->kernel->bufs.n == 2 && s->kernel->nodes.n == 1;
        const PlanBuf *from = copies ? &plan->bufs.at[s->bufs[0]] : NULL, *to = copies ? &plan->bufs.at[s->bufs[1]] : NULL;
        if (!copies || from->place != PLACE_ARENA || to->place != PLACE_VAR) continue;
        bytes += to->bytes;
        ++*count;
    }
    return bytes;
}

static void report_plan(Compilation *c, const Plan *plan, const char *name) {
    Text *to = &c->output->out;
    int kernels = 0, routines = 0;
    for (int i = 0; i < plan->steps.n; i++) {
        kernels += plan->steps.at[i].kind == STEP_KERNEL;
        routines += plan->steps.at[i].kind == STEP_ROUTINE;
    }
    text_add(to, "  %-12s %d steps, %d kernels, ", name, plan->steps.n, kernels);
    if (routines) text_add(to, "%d routine%s, ", routines, routines == 1 ? "" : "s");
    text_add(to, "%s; arena %s", flops_text(c->arena, plan_flops(plan, c->arena)), size_text(c->arena, plan->arena_bytes));
    if (plan->live_bytes)
        text_add(to, ", %.3f of its lower bound", (double)plan->arena_bytes / (double)plan->live_bytes);
    if (plan->scratch_bytes) text_add(to, "; scratch %s a thread", size_text(c->arena, plan->scratch_bytes));
    if (plan->local_bytes) text_add(to, ", %s of it for kernels in chains", size_text(c->arena, plan->local_bytes));
    int kept;
    int64_t bytes = kept_bytes(plan, &kept);
    if (kept)
        text_add(to, "; keeps the old version of %d variable%s (%s) to its end", kept, kept == 1 ? "" : "s",
                 size_text(c->arena, bytes));
    text_add(to, "\n");
}

static void report_memory(Compilation *c) {
    VarPlaces p = places_of(c->module, c->arena);
    text_add(&c->output->out, "memory: weights %s, slots %s, cache %s\n", size_text(c->arena, p.weight_bytes),
             size_text(c->arena, p.slot_bytes), size_text(c->arena, p.cache_bytes));
}

/* What --memory-budget did to a function. */
static void report_budget(Compilation *c, int number) {
    const Plan *plan = c->kernels->plans.at[number];
    const PlanNeed *before = &c->unlimited[number];
    double more = plan_flops(plan, c->arena) - before->flops;
    if (plan->arena_bytes == before->arena_bytes) return;
    text_add(&c->output->out, "recomputed: %s %d values, arena %s less, %s more (%.1f %%)\n", plan->func->name,
             plan->func->recomputed, size_text(c->arena, before->arena_bytes - plan->arena_bytes),
             flops_text(c->arena, more), before->flops > 0 ? more / before->flops * 100 : 0);
}

/* "routines: sort 2 calls": those of the runtime that the model contains. */
static void report_routines(Compilation *c) {
    const KModule *m = c->kernels;
    int calls[DLRT_ROUTINE_COUNT] = {0}, all = 0;
    for (int p = 0; p <= m->plans.n; p++) {
        const Plan *plan = p < m->plans.n ? m->plans.at[p] : m->init;
        for (int i = 0; plan && i < plan->steps.n; i++) {
            if (plan->steps.at[i].kind != STEP_ROUTINE) continue;
            calls[plan->steps.at[i].routine]++;
            all++;
        }
    }
    if (!all) return;
    const char *between = "routines:";
    for (int r = 0; r < DLRT_ROUTINE_COUNT; r++) {
        if (!calls[r]) continue;
        text_add(&c->output->out, "%s %s %d call%s", between, routine_name(r), calls[r], calls[r] == 1 ? "" : "s");
        between = ",";
    }
    text_add(&c->output->out, "\n");
}

const char *report_time(Arena *arena, double us) {
    return us < 1000 ? arena_printf(arena, "%.*f us", us < 10 ? 2 : 1, us) : arena_printf(arena, "%.2f ms", us / 1e3);
}

/* What is known of a run's time on this processor: "; predicted 94.1 us, measured 92.7 us, 1.09 times as fast as by the
 * cost model". */
static void add_times(Compilation *c, const Kernel *k, Text *to) {
    const TunedKernel *known = c->tuning ? tuning_find(c->tuning, tuning_key(&c->kernels->dims, k, c->scratch)) : NULL;
    if (!known || known->measured <= 0) return;
    text_add(to, "; predicted %s, measured %s", report_time(c->arena, known->predicted), report_time(c->arena, known->measured));
    if (known->scheduled && known->model > 0)
        text_add(to, ", %.2f times as fast as by the cost model", known->model / known->measured);
}

void report_kernels(Compilation *c) {
    const KModule *m = c->kernels;
    Text *to = &c->output->out;
    KernelUse *uses = arena_array(c->arena, KernelUse, m->kernels.n + 1);
    for (int i = 0; i < m->plans.n; i++) add_uses(uses, m, m->plans.at[i], c->arena);
    if (m->init) add_uses(uses, m, m->init, c->arena);
    if (m->prepare) add_uses(uses, m, m->prepare, c->arena);
    text_add(to, "%s for %s, tuned for %s; figures at the dims' upper bounds\nfunctions:\n", c->module->name,
             c->target->name, c->target->tune);
    for (int i = 0; i < m->plans.n; i++) report_plan(c, m->plans.at[i], m->plans.at[i]->func->name);
    if (m->init) report_plan(c, m->init, "(initialize)");
    if (m->prepare) report_plan(c, m->prepare, "(prepare)");
    report_memory(c);
    for (int i = 0; c->unlimited && i < m->plans.n; i++) report_budget(c, i);
    report_routines(c);
    text_add(to, "kernels: %d\n", m->kernels.n);
    for (int i = 0; i < m->kernels.n; i++) {
        const Kernel *k = m->kernels.at[i];
        text_add(to, "  %-5s %s ", k->name, k->form == KERNEL_CONTRACT ? "contract" : "loops   ");
        report_axes(m, k, to);
        text_add(to, "; ");
        add_schedule(k, to);
        text_add(to, "; %d call%s, %s", uses[i].calls, uses[i].calls == 1 ? "" : "s",
                 flops_text(c->arena, uses[i].flops));
        add_times(c, k, to);
        text_add(to, "\n");
    }
}
