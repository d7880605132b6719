/* Prints kernel IR: see kernel_print.h. */
#include "ir/kernel_print.h"

#include "ir/kernel_schedule.h"
#include "ir/kernel_util.h"
#include "ir/print.h"

#include <math.h>
#include <stdlib.h>

const char *axis_role_name(AxisRole r) {
    static const char *const names[] = {"outer", "inner", "batch", "m", "n", "k"};
    return names[r];
}

const char *buf_place_name(BufPlace p) {
    static const char *const names[] = {"arg", "result", "var", "arena", "const", "seed", "count", "local"};
    return names[p];
}

typedef struct Printer {
    const DimTable *dims;
    const Kernel *k;
    const char **axes;         /* names */
    Text *to;
} Printer;

static void print_quoted(Text *to, const char *before, const char *text) {
    if (!text) return;
    text_add(to, "%s", before);
    text_add_quoted(to, text);
}

static void print_global(Text *to, const char *name) {
    text_append(to, "@", 1);
    text_add_name(to, name);
}

/* ----------------------------------------------------------------------------- names */

static bool is_size(const Kernel *k, const char *name) {
    for (int i = 0; i < k->dims.n; i++)
        if (!strcmp(k->dims.at[i]->name, name)) return true;
    return false;
}

/* i, j, k, ... and i1, j1, ... after them; never the name of a size. */
static const char **name_axes(const Kernel *k, Arena *arena) {
    static const char letters[] = "ijklmnpqrstuvw";
    const char **names = arena_array(arena, const char *, k->axes.n + 1);
    int letter_count = (int)sizeof letters - 1, next = 0;
    for (int a = 0; a < k->axes.n; next++) {
        char c = letters[next % letter_count];
        names[a] =
            next < letter_count ? arena_printf(arena, "%c", c) : arena_printf(arena, "%c%d", c, next / letter_count);
        if (!is_size(k, names[a])) a++;
    }
    return names;
}

static void print_buf_name(const Printer *p, int buf) {
    text_add(p->to, "%c%d", p->k->bufs.at[buf].written ? 'y' : 'x', buf);
}

/* -------------------------------------------------------------------------- addresses */

/* What joins a term to the sum before it; a negative constant factor becomes a minus. */
static void print_sign(const Printer *p, Dim factor, bool first) {
    bool minus = dim_is_const(factor) && dim_value(factor) < 0;
    text_add(p->to, "%s", minus ? (first ? "-" : " - ") : first ? "" : " + ");
}

static void print_product(const Printer *p, Dim factor, const char *name) {
    bool sum = factor->term_count > 1;
    if (dim_is_const(factor)) {
        long long x = llabs(dim_value(factor));
        if (x != 1) text_add(p->to, "%lld*", x);
    } else {
        if (sum) text_append(p->to, "(", 1);
        dim_print(p->dims, factor, p->to);
        text_add(p->to, "%s*", sum ? ")" : "");
    }
    text_add(p->to, "%s", name);
}

static void print_place(const Printer *p, const KAccess *a) {
    bool first = true;
    print_buf_name(p, a->buf);
    text_append(p->to, "[", 1);
    for (int x = 0; x < p->k->axes.n; x++) {
        if (dim_is(a->strides[x], 0)) continue;
        print_sign(p, a->strides[x], first);
        print_product(p, a->strides[x], p->axes[x]);
        first = false;
    }
    if (a->index >= 0) {
        print_sign(p, a->index_stride, first);
        print_product(p, a->index_stride, arena_printf(p->to->arena, "%%%d", a->index));
        first = false;
    }
    if (first) {
        dim_print(p->dims, a->offset, p->to);
    } else if (!dim_is(a->offset, 0)) {
        print_sign(p, a->offset, false);
        if (dim_is_const(a->offset)) text_add(p->to, "%lld", (long long)llabs(dim_value(a->offset)));
        else dim_print(p->dims, a->offset, p->to);
    }
    text_append(p->to, "]", 1);
}

/* ------------------------------------------------------------------------------ nodes */

static void print_const(const Printer *p, const KNode *n) {
    bool whole = !dtype_is_float(n->dtype) && fabs(n->value) < 0x1p62 && n->value == trunc(n->value);
    if (whole) text_add(p->to, "%lld", (long long)n->value);
    else text_add_double(p->to, n->value);
}

static void print_map(const Printer *p, const KNode *n) {
    text_add(p->to, "%s", op_of_map(n->map)->name);
    for (int i = 0; i < 3 && n->args[i] >= 0; i++) text_add(p->to, "%s%%%d", i ? ", " : " ", n->args[i]);
    if (n->map == MAP_random_bits) text_add(p->to, " site %llu word %d", (unsigned long long)n->site, n->word);
}

static void print_node(const Printer *p, int i, const char *indent) {
    const KNode *n = &p->k->nodes.at[i];
    text_add(p->to, "%s%%%d = ", indent, i);
    switch (n->kind) {
    case NODE_LOAD:
        text_add(p->to, "load ");
        print_place(p, &p->k->accesses.at[n->access]);
        if (n->guard >= 0) text_add(p->to, " if %%%d", n->guard);
        break;
    case NODE_CONST:
        text_add(p->to, "const ");
        print_const(p, n);
        break;
    case NODE_AXIS:
        text_add(p->to, "axis ");
        if (n->dim) {
            print_sign(p, n->dim, true);
            print_product(p, n->dim, p->axes[n->axis]);
        } else {
            text_add(p->to, "%s", p->axes[n->axis]);
        }
        break;
    case NODE_NUMBER: text_add(p->to, "number %d", n->number); break;
    case NODE_DIM:
        text_add(p->to, "dim ");
        dim_print(p->dims, n->dim, p->to);
        break;
    case NODE_MAP: print_map(p, n); break;
    case NODE_RUNNING: text_add(p->to, "running r%d", n->reduction); break;
    case NODE_REDUCED: text_add(p->to, "result r%d", n->reduction); break;
    case NODE_SUM: text_add(p->to, "sum"); break;
    }
    text_add(p->to, " : %s\n", dtype_name(n->dtype));
}

/* ----------------------------------------------------------------------------- stages */

static void print_reduction(const Printer *p, int i) {
    const KReduction *r = &p->k->reductions.at[i];
    text_add(p->to, "    r%d = %s %s %%%d", i, r->running ? "run" : "reduce", op_of_map(r->map)->name, r->node);
    if (r->running && r->factor >= 0) text_add(p->to, " times %%%d", r->factor);
    if (r->product) text_add(p->to, " product");
    if (r->arg) text_add(p->to, " along %s", p->axes[r->arg_axis]);
    text_add(p->to, " : %s\n", dtype_name(r->dtype));
}

static void print_assignment(const Printer *p, const KStore *s) {
    text_append(p->to, " ", 1);
    if (s->mode == STORE_LAST) text_add(p->to, "last");
    else if (s->mode == STORE_COMBINE) text_add(p->to, "%s", s->map == MAP_add ? "+" : op_of_map(s->map)->name);
    text_add(p->to, "= %%%d", s->node);
    if (s->guard >= 0) text_add(p->to, " if %%%d", s->guard);
    text_append(p->to, "\n", 1);
}

static void print_stage(const Printer *p, int i, const bool *here) {
    const KStage *s = &p->k->stages.at[i];
    text_add(p->to, "  stage %s{\n", p->k->form == KERNEL_CONTRACT ? "" : s->inner ? "sweep " : "point ");
    for (int n = 0; n < p->k->nodes.n; n++)
        if (here[n]) print_node(p, n, "    ");
    for (int r = 0; r < s->reductions.n; r++) print_reduction(p, s->reductions.at[r]);
    for (int j = 0; j < s->stores.n; j++) {
        text_add(p->to, "    ");
        print_place(p, &p->k->accesses.at[s->stores.at[j].access]);
        print_assignment(p, &s->stores.at[j]);
    }
    text_add(p->to, "  }\n");
}

/* A stage's nodes that no earlier place has shown become shown. */
static void print_stages(const Printer *p) {
    int n = p->k->nodes.n;
    int *stage = arena_array(p->to->arena, int, n + 1);
    bool *here = arena_array(p->to->arena, bool, n + 1);
    for (int i = 0; i < n; i++) stage[i] = -1;
    for (int s = p->k->stages.n - 1; s >= 0; s--) {
        kernel_stage_nodes(p->k, s, NULL, here);
        for (int i = 0; i < n; i++)
            if (here[i]) stage[i] = s;
    }
    /* What is multiplied is shown before the stage, and what nothing uses. */
    if (p->k->form == KERNEL_CONTRACT) kernel_product_nodes(p->k, here);
    for (int i = 0; i < n; i++)
        if (stage[i] < 0 || (p->k->form == KERNEL_CONTRACT && here[i])) {
            print_node(p, i, "  ");
            stage[i] = -1;
        }
    if (p->k->form == KERNEL_CONTRACT)
        text_add(p->to, "  product %%%d, %%%d : %s%s\n", p->k->a, p->k->b, dtype_name(p->k->acc),
                 p->k->where < 0 ? "" : arena_printf(p->to->arena, " where %%%d", p->k->where));
    for (int s = 0; s < p->k->stages.n; s++) {
        for (int i = 0; i < n; i++) here[i] = stage[i] == s;
        print_stage(p, s, here);
    }
}

/* --------------------------------------------------------------------------- schedule */

static void print_schedule(const Printer *p) {
    static const KSchedule none;
    const KSchedule *s = &p->k->schedule;
    if (!memcmp(s, &none, sizeof none)) return;
    text_add(p->to, "  schedule vector=%s", s->vector_axis < 0 || !p->k->axes.n ? "none" : p->axes[s->vector_axis]);
    for (int a = 0; a < p->k->axes.n; a++)
        if (s->jam >> a & 1) text_add(p->to, " jam=%s", p->axes[a]);
    if (s->tile) text_add(p->to, " along=%s", p->axes[s->along]);
    schedule_print(s, false, p->to);
    text_append(p->to, "\n", 1);
}

void kernel_print(const DimTable *dims, const Kernel *k, Text *to) {
    Printer p = {dims, k, name_axes(k, to->arena), to};
    text_add(to, "kernel ");
    text_add_name(to, k->name);
    text_add(to, " %s", k->form == KERNEL_LOOPS ? "loops" : "contract");
    for (int i = 0; i < k->dims.n; i++) {
        text_add(to, "%s", i ? ", " : "(");
        text_add_name(to, k->dims.at[i]->name);
    }
    text_add(to, "%s {\n", k->dims.n ? ")" : "");
    for (int i = 0; i < k->bufs.n; i++) {
        text_add(to, "  buf ");
        print_buf_name(&p, i);
        text_add(to, " : %s%s\n", dtype_name(k->bufs.at[i].dtype), k->bufs.at[i].written ? " out" : "");
    }
    for (int a = 0; a < k->axes.n; a++) {
        text_add(to, "  %s %s in ", axis_role_name(k->axes.at[a].role), p.axes[a]);
        dim_print(dims, k->axes.at[a].extent, to);
        text_append(to, "\n", 1);
    }
    print_stages(&p);
    print_schedule(&p);
    text_append(to, "}\n", 2);
}

/* ------------------------------------------------------------------------------ plans */

static void print_values(const PlanBuf *b, Text *to) {
    text_add(to, " [");
    int64_t n = dim_is_const(b->elements) ? dim_value(b->elements) : 0;
    for (int64_t i = 0; i < n; i++) {
        if (i) text_append(to, ", ", 2);
        text_add_double(to, b->data[i]);
    }
    text_append(to, "]", 1);
}

static void print_plan_buf(const DimTable *dims, const Plan *plan, int i, Text *to) {
    const PlanBuf *b = &plan->bufs.at[i];
    text_add(to, "  buf b%d", i);
    if (b->name && b->name[0]) print_quoted(to, " ", b->name);
    text_add(to, " : %s[", dtype_name(b->dtype));
    dim_print(dims, b->elements, to);
    text_add(to, "] %s", buf_place_name(b->place));
    if (b->place == PLACE_ARG || b->place == PLACE_RESULT) text_add(to, " %d", b->index);
    if ((b->place == PLACE_ARENA || b->place == PLACE_LOCAL) && b->offset) text_add(to, " at %lld", (long long)b->offset);
    if (b->place == PLACE_LOCAL) text_add(to, " slice ");
    if (b->place == PLACE_LOCAL) dim_print(dims, b->slice, to);
    if (b->place == PLACE_VAR) {
        text_append(to, " ", 1);
        print_global(to, b->var->name);
    }
    if (b->bytes != plan_buf_bytes(b)) text_add(to, " bytes %lld", (long long)b->bytes);
    if (b->first || b->last) text_add(to, " life %d..%d", b->first, b->last);
    if (b->alias >= 0) text_add(to, " alias b%d", b->alias);
    if (b->place == PLACE_CONST) print_values(b, to);
    text_append(to, "\n", 1);
}

/* b3, b3[8*i] */
static void print_use(const DimTable *dims, const PlanStep *s, int i, Text *to) {
    text_add(to, "b%d", s->bufs[i]);
    if (!s->offsets || dim_is(s->offsets[i], 0)) return;
    text_append(to, "[", 1);
    dim_print(dims, s->offsets[i], to);
    text_append(to, "]", 1);
}

static void print_run(const DimTable *dims, const PlanStep *s, Text *to) {
    text_add(to, "run ");
    text_add_name(to, s->kernel->name);
    for (int i = 0; i < s->kernel->bufs.n; i++) {
        text_add(to, "%s", i ? ", " : "(");
        print_use(dims, s, i, to);
    }
    text_add(to, "%s", s->kernel->bufs.n ? ")" : "()");
    for (int i = 0; i < s->kernel->dims.n; i++) {
        text_add(to, "%s", i ? ", " : " sizes(");
        dim_print(dims, s->dims[i], to);
    }
    if (s->kernel->dims.n) text_append(to, ")", 1);
    for (int i = 0; i < s->kernel->numbers; i++)
        text_add(to, "%s%lld", i ? ", " : " numbers(", (long long)s->numbers[i]);
    if (s->kernel->numbers) text_append(to, ")", 1);
    if (s->flops != 0) {
        text_add(to, " flops ");
        text_add_double(to, s->flops);
    }
    if (!s->chain) return;
    text_add(to, " chain %d slices ", s->chain);
    dim_print(dims, s->slices, to);
}

static void print_check(const DimTable *dims, const Plan *p, const PlanStep *s, Text *to) {
    text_add(to, "check ");
    print_use(dims, s, 0, to);
    if (s->extent != p->bufs.at[s->bufs[0]].elements) {
        text_add(to, " count ");
        dim_print(dims, s->extent, to);
    }
    text_add(to, " below ");
    dim_print(dims, s->limit, to);
    if (s->masked) text_add(to, " where ");
    if (s->masked) print_use(dims, s, 1, to);
    print_quoted(to, " what ", s->what);
}

static void print_loop(const DimTable *dims, const PlanStep *s, Text *to) {
    text_add(to, "loop ");
    text_add_name(to, s->symbol->name);
    text_add(to, " in ");
    dim_print(dims, s->extent, to);
    if (s->reverse) text_add(to, " reverse");
}

const char *step_kind_name(StepKind k) {
    static const char *const names[] = {"run", "check", "require", "bind", "loop", "while", "test", "if", "else", "end", "swap",
                                        "routine"};
    return names[k];
}

static void print_uses(const DimTable *dims, const PlanStep *s, int from, int to_end, Text *to) {
    text_append(to, "(", 1);
    for (int i = from; i < to_end; i++) {
        if (i > from) text_append(to, ", ", 2);
        print_use(dims, s, i, to);
    }
    text_append(to, ")", 1);
}

static void print_routine(const DimTable *dims, const PlanStep *s, Text *to) {
    text_add(to, "routine %s", routine_name(s->routine));
    print_uses(dims, s, 0, s->reads, to);
    text_add(to, " to ");
    print_uses(dims, s, s->reads, s->reads + s->writes, to);
    text_add(to, " rows ");
    dim_print(dims, s->extent, to);
    for (int i = 0; i < s->dim_count; i++) {
        text_add(to, "%s", i ? ", " : " numbers(");
        dim_print(dims, s->dims[i], to);
    }
    text_add(to, "%s", s->dim_count ? ")" : "");
    if (s->scratch) text_add(to, " scratch %lld", (long long)s->scratch);
    if (s->serial_below) text_add(to, " serial_below %lld", (long long)s->serial_below);
}

/* REQUIRE, BIND, TEST, IF, SWAP: what the buffers say, then the rest. */
static void print_scalars(const DimTable *dims, const PlanStep *s, Text *to) {
    text_add(to, "%s ", step_kind_name(s->kind));
    if (s->kind == STEP_BIND) {
        text_add_name(to, s->symbol->name);
        text_append(to, " ", 1);
    }
    for (int i = 0; i < step_buf_count(s); i++) {
        if (i) text_append(to, " ", 1);
        print_use(dims, s, i, to);
    }
    print_quoted(to, " what ", s->what);
}

static void print_step(const DimTable *dims, const Plan *p, const PlanStep *s, Text *to) {
    switch (s->kind) {
    case STEP_KERNEL: print_run(dims, s, to); break;
    case STEP_CHECK: print_check(dims, p, s, to); break;
    case STEP_LOOP: print_loop(dims, s, to); break;
    case STEP_ROUTINE: print_routine(dims, s, to); break;
    case STEP_WHILE:
        text_add(to, "while");
        if (s->most >= 0) text_add(to, " most %lld", (long long)s->most);
        break;
    case STEP_ELSE:
    case STEP_END: text_add(to, "%s", step_kind_name(s->kind)); break;
    case STEP_REQUIRE:
    case STEP_BIND:
    case STEP_TEST:
    case STEP_IF:
    case STEP_SWAP: print_scalars(dims, s, to); break;
    }
    text_append(to, "\n", 1);
}

/* Bodies are indented. */
static void print_steps(const DimTable *dims, const Plan *p, Text *to) {
    int depth = 1;
    for (int i = 0; i < p->steps.n; i++) {
        const PlanStep *s = &p->steps.at[i];
        bool closes = s->kind == STEP_END || s->kind == STEP_ELSE, opens = step_opens(s) || s->kind == STEP_ELSE;
        if (closes && depth > 1) depth--;
        for (int d = 0; d < depth; d++) text_append(to, "  ", 2);
        print_step(dims, p, s, to);
        if (opens) depth++;
    }
}

static void print_results(const Module *m, const Func *f, Text *to) {
    for (int i = 0; i < f->results.n; i++) {
        const Result *r = &f->results.at[i];
        text_add(to, "  result : ");
        type_print(&m->dims, f->body->yields.at[i]->type, to);
        print_quoted(to, " as ", r->name);
        if (r->var) {
            text_add(to, " -> ");
            print_global(to, r->var->name);
        }
        print_quoted(to, " doc ", r->doc);
        text_append(to, "\n", 1);
    }
}

static void print_plan(const Module *m, const Plan *p, Text *to) {
    text_add(to, "plan ");
    func_print_head(p->func, to);
    text_add(to, " {\n");
    print_results(m, p->func, to);
    for (int i = 0; i < p->bufs.n; i++) print_plan_buf(&m->dims, p, i, to);
    print_steps(&m->dims, p, to);
    if (p->arena_bytes || p->live_bytes || p->scratch_bytes) {
        text_add(to, "  memory arena=%lld live=%lld scratch=%lld", (long long)p->arena_bytes, (long long)p->live_bytes,
                 (long long)p->scratch_bytes);
        if (p->local_bytes) text_add(to, " local=%lld", (long long)p->local_bytes);
        text_append(to, "\n", 1);
    }
    text_append(to, "}\n", 2);
}

/* ----------------------------------------------------------------------------- module */

static void mark_type(const DimTable *t, Type type, bool *used) {
    for (int i = 0; i < type.rank; i++) dims_mark(t, type.shape[i], used);
}

static void mark_plan(const DimTable *t, const Plan *p, bool *used) {
    const Func *f = p->func;
    for (int i = 0; i < f->dims.n; i++) used[f->dims.at[i]->id] = true;
    for (int i = 0; i < f->inputs.n; i++) mark_type(t, f->body->params.at[i]->type, used);
    for (int i = 0; i < f->results.n; i++) mark_type(t, f->body->yields.at[i]->type, used);
    for (int i = 0; i < p->bufs.n; i++) dims_mark(t, p->bufs.at[i].elements, used);
    for (int i = 0; i < p->bufs.n; i++)
        if (p->bufs.at[i].slice) dims_mark(t, p->bufs.at[i].slice, used);
    for (int i = 0; i < p->steps.n; i++) {
        const PlanStep *s = &p->steps.at[i];
        for (int j = 0; s->kind == STEP_KERNEL && j < s->kernel->dims.n; j++) dims_mark(t, s->dims[j], used);
        for (int j = 0; j < s->dim_count; j++) dims_mark(t, s->dims[j], used);
        for (int j = 0; s->offsets && j < step_buf_count(s); j++) dims_mark(t, s->offsets[j], used);
        if (s->slices) dims_mark(t, s->slices, used);
        if (s->limit) dims_mark(t, s->limit, used);
        if (s->extent) dims_mark(t, s->extent, used);
        if (s->symbol) used[s->symbol->id] = true;
    }
}

static void print_dims(const KModule *m, Text *to) {
    const DimTable *t = &m->graph->dims;
    bool *used = arena_array(to->arena, bool, t->symbols.n + 1);
    for (int i = 0; i < m->plans.n; i++) mark_plan(t, m->plans.at[i], used);
    if (m->init) mark_plan(t, m->init, used);
    if (m->prepare) mark_plan(t, m->prepare, used);
    dims_print(t, used, "dim", to);
}

static void print_sizes(const KModule *m, Text *to) {
    bool *used = arena_array(to->arena, bool, m->dims.symbols.n + 1);
    for (int i = 0; i < m->kernels.n; i++)
        for (int j = 0; j < m->kernels.at[i]->dims.n; j++) used[m->kernels.at[i]->dims.at[j]->id] = true;
    dims_print(&m->dims, used, "size", to);
}

void kernels_print(const KModule *m, Text *to) {
    text_add(to, "kernels ");
    print_global(to, m->graph->name);
    print_quoted(to, " doc ", m->graph->doc);
    text_append(to, "\n", 1);
    print_dims(m, to);
    for (int i = 0; i < m->graph->vars.n; i++) var_print(m->graph, m->graph->vars.at[i], to);
    print_sizes(m, to);
    for (int i = 0; i < m->kernels.n; i++) {
        text_append(to, "\n", 1);
        kernel_print(&m->dims, m->kernels.at[i], to);
    }
    for (int i = 0; i < m->plans.n; i++) {
        text_append(to, "\n", 1);
        print_plan(m->graph, m->plans.at[i], to);
    }
    if (m->init) {
        text_add(to, "\ninit ");
        print_plan(m->graph, m->init, to);
    }
    if (m->prepare) {
        text_add(to, "\nprepare ");
        print_plan(m->graph, m->prepare, to);
    }
}
