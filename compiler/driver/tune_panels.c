/* Panels of parameters, for --tune.
 *
 * The model is lowered again with panels of each width, and without. Its steps are the same then; a kernel that reads
 * parameters in panels differs, and is searched as any. A width is taken if the steps that read parameters of one name
 * (pass/tuning.h) are faster by it, all together. */
#include "driver/tune.h"

#include "ir/kernel_util.h"

enum { FEW_TILES = 4 };
static const double LEAST_GAIN = 0.02;

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

void tune_lower_layouts(Search *s, KModule *m) {
    static const int64_t widths[LAYOUTS] = {-1, 0, 32, 48, 64};
    bool any = false;
    for (int i = 0; i < m->graph->vars.n; i++) any |= m->graph->vars.at[i]->rows > 0;
    for (int i = 0; i < LAYOUTS; i++) {
        const char *width = arena_printf(s->t.c->arena, "%lld", (long long)widths[i]);
        s->layouts[i] = (Layout){widths[i], i == 0 ? m : any ? tune_kernels(s->t.c, width) : NULL};
        if (i && !same_steps(m, s->layouts[i].m)) s->layouts[i].m = NULL;
    }
}

/* A step of the layout that the pass chooses, in another one. */
static TuneCase other_case(Search *s, const Layout *l, int plan, int step) {
    const Plan *p = l->m->plans.at[plan];
    return tune_make_case(s, l->m, p, &p->steps.at[step]);
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

void tune_choose_panels(Search *s) {
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
DlccStatus tune_layouts(Search *s, const TuneCase *k) {
    KModule *m = s->layouts[0].m;
    DlccStatus status = DLCC_OK;
    if (!panelled(k->plan, k->step)) return DLCC_OK;
    int plan = 0, step = (int)(k->step - k->plan->steps.at);
    while (m->plans.at[plan] != k->plan) plan++;
    for (int i = 1; i < LAYOUTS && !status; i++) {
        if (!s->layouts[i].m || tune_time_is_up(s)) continue;
        TuneCase other = other_case(s, &s->layouts[i], plan, step);
        status = tune_search(s, &other, FEW_TILES, 0);
    }
    return status;
}
