/* lower: see lower.h. For each function: a buffer for every value that fusions exchange, a kernel for
 * every fusion, and an order of steps.
 *
 * Writing variables in place. A new version of a variable is written straight into its memory where that
 * is safe: every other step that reads the old version can run before the writer, the writer itself reads
 * it only at the very element it writes, and every check of indices that can fail can run before. Where
 * not, the version is made in the workspace and copied at the end. So a failing call changes nothing, and
 * an optimiser's update costs no copy. */
#include "pass/lower.h"

#include "ir/kernel_util.h"
#include "ops/index.h"
#include "ops/index_map.h"

typedef struct Draft {
    PlanStep step;
    Op *fusion;                /* null: a copy of a value of this type from reads[0] to writes[0] */
    Type type;
    uint64_t *after;           /* bit set of drafts that must run before (transitively closed) */
    VEC(int) reads, writes;    /* PlanBufs */
    VEC(int) checks;           /* drafts of the checks of its indices */
    bool dropped;              /* not needed after all */
} Draft;

typedef struct Orderer {
    Lowering *l;
    VEC(Draft) drafts;
    int words;
} Orderer;

/* ------------------------------------------------------------------------------ buffers */

int plan_add_buf(Lowering *l, PlanBuf b) {
    vec_push(l->arena, &l->plan->bufs, b);
    return l->plan->bufs.n - 1;
}

void plan_strides(DimTable *dims, const PlanBuf *b, Type t, Dim *strides) {
    Dim s = dim_const(dims, 1);
    for (int i = t.rank - 1; i >= 0; i--) {
        int d = b->place == PLACE_VAR ? b->var->order[i] : i;
        strides[d] = s;
        s = dim_mul(dims, s, t.shape[d]);
    }
}

static PlanBuf buf_for(Lowering *l, BufPlace place, const Value *v, const char *name) {
    Dim elements = type_elements(&l->m->dims, v->type);
    return (PlanBuf){.place = place, .dtype = v->type.dtype, .elements = elements, .name = name ? name : "",
                     .bytes = elements->upper * dtype_bytes(v->type.dtype), .alias = -1};
}

static void place_inputs(Lowering *l) {
    for (int i = 0, arg = 0; i < l->func->inputs.n; i++) {
        const Port *port = &l->func->inputs.at[i];
        static const BufPlace places[] = {[PORT_ARG] = PLACE_ARG, [PORT_VAR] = PLACE_VAR, [PORT_SEED] = PLACE_SEED,
                                          [PORT_COUNT] = PLACE_COUNT};
        PlanBuf b = buf_for(l, places[port->kind], l->func->body->params.at[i], port->var ? port->var->name : port->name);
        b.var = port->var;
        if (port->kind == PORT_ARG) b.index = arg++;
        l->buf_of[l->func->body->params.at[i]->id] = plan_add_buf(l, b);
    }
}

/* The operand whose memory a fusion changes at some places, or null. */
static Value *updates_into(const Op *fusion) {
    const Region *body = fusion->regions[0];
    for (int i = 0; i < body->ops.n; i++)
        if (body->ops.at[i]->info->flags & OP_UPDATES) return fusion->operands[body->ops.at[i]->operands[0]->index];
    return NULL;
}

/* Whether the fusion reads the operand whose memory it changes in other ways too. */
static bool reads_what_it_updates(const Op *fusion) {
    const Region *body = fusion->regions[0];
    const Value *into = updates_into(fusion);
    int uses = 0;
    for (int i = 0; i < body->ops.n; i++)
        for (int j = 0; j < body->ops.at[i]->operand_count; j++) {
            const Value *v = body->ops.at[i]->operands[j];
            uses += !v->op && v->region == body && fusion->operands[v->index] == into;
        }
    return uses > 1;
}

/* The buffer of a result of a fusion: the caller's if it is a result, else the workspace. In-place updates
 * are decided later. */
static void place_outputs(Lowering *l) {
    Region *body = l->func->body;
    for (int i = 0, result = 0; i < body->yields.n; i++) {
        Value *v = body->yields.at[i];
        if (l->func->results.at[i].var) continue;
        PlanBuf b = buf_for(l, PLACE_RESULT, v, l->func->results.at[i].name);
        b.index = result++;
        int buf = plan_add_buf(l, b);
        if (l->buf_of[v->id] < 0) l->buf_of[v->id] = buf;
    }
    const int *uses = graph_use_counts(l->func, l->scratch);
    for (int i = 0; i < body->ops.n; i++)
        for (int j = 0; j < body->ops.at[i]->result_count; j++) {
            Value *v = &body->ops.at[i]->results[j], *into = updates_into(body->ops.at[i]);
            if (l->buf_of[v->id] >= 0) continue;
            bool takes_over = into && uses[into->id] == 1 && !reads_what_it_updates(body->ops.at[i]) &&
                              l->plan->bufs.at[l->buf_of[into->id]].place == PLACE_ARENA;
            l->buf_of[v->id] = takes_over ? l->buf_of[into->id] : plan_add_buf(l, buf_for(l, PLACE_ARENA, v, v->name));
        }
}

static int find_var_buf(Lowering *l, Var *var, const Value *v) {
    for (int i = 0; i < l->plan->bufs.n; i++)
        if (l->plan->bufs.at[i].place == PLACE_VAR && l->plan->bufs.at[i].var == var) return i;
    PlanBuf b = buf_for(l, PLACE_VAR, v, var->name);
    b.var = var;
    return plan_add_buf(l, b);
}

/* -------------------------------------------------------------------------------- order */

static bool runs_before(const Orderer *o, int first, int then) {
    return o->drafts.at[then].after[first / 64] >> (first % 64) & 1;
}

/* Makes `then` wait for `first` and all that waits for `then` too. */
static void add_edge(Orderer *o, int first, int then) {
    if (runs_before(o, first, then)) return;
    uint64_t *add = arena_array(o->l->scratch, uint64_t, o->words);
    for (int w = 0; w < o->words; w++) add[w] = o->drafts.at[first].after[w];
    add[first / 64] |= (uint64_t)1 << (first % 64);
    for (int d = 0; d < o->drafts.n; d++)
        if (d == then || runs_before(o, then, d))
            for (int w = 0; w < o->words; w++) o->drafts.at[d].after[w] |= add[w];
}

static bool in_list(const int *list, int n, int x) {
    for (int i = 0; i < n; i++)
        if (list[i] == x) return true;
    return false;
}

/* Drafts come in an order in which what is written is read later; a second writer adds to what the first left. */
static void add_data_edges(Orderer *o) {
    int *writer = arena_array(o->l->scratch, int, o->l->plan->bufs.n);
    for (int b = 0; b < o->l->plan->bufs.n; b++) writer[b] = -1;
    for (int d = 0; d < o->drafts.n; d++) {
        const Draft *draft = &o->drafts.at[d];
        for (int i = 0; i < draft->checks.n; i++) add_edge(o, draft->checks.at[i], d);
        for (int i = 0; i < draft->reads.n; i++)
            if (writer[draft->reads.at[i]] >= 0) add_edge(o, writer[draft->reads.at[i]], d);
        for (int i = 0; i < draft->writes.n; i++) {
            int *last = &writer[draft->writes.at[i]];
            if (*last >= 0) add_edge(o, *last, d);
            *last = d;
        }
    }
}

/* ------------------------------------------------------------------------------- checks */

/* Indices lie in memory: the value, through relabellings, broadcasts and the like. */
static Value *memory_source(Value *v) {
    while (v->op && v->op->info->kind == KIND_MOVE) v = v->op->operands[0];
    return v->op ? NULL : v;
}

/* Whether the elements of a value in memory lie in row-major order. */
static bool is_row_major(const PlanBuf *b, Type t) {
    for (int d = 0; b->place == PLACE_VAR && d < t.rank; d++)
        if (b->var->order[d] != d) return false;
    return true;
}

/* The draft that checks index i of `op`. That indices and masks lie in memory is the fuse pass's to see to. */
static int draft_check(Orderer *o, const Op *fusion, const Op *op, int i) {
    Lowering *l = o->l;
    IndexParts p = index_parts(op);
    const Value *source = memory_source(p.indices[i]);
    int bufs[2] = {source ? l->buf_of[fusion->operands[source->index]->id] : -1, -1};
    bool good = source != NULL;
    if (p.mask && good && (good = !p.mask->op && source == p.indices[i])) {
        bufs[1] = l->buf_of[fusion->operands[p.mask->index]->id];
        for (int k = 0; k < 2; k++) good &= is_row_major(&l->plan->bufs.at[bufs[k]], p.mask->type);
    }
    if (!good) {
        diag_report(l->diags, DL0602, op->span, "lower: indices of `%s` are not in memory, so nothing checks them", op->info->name);
        return -1;
    }
    Dim limit = index_limit(&l->m->dims, op, i);
    for (int d = 0; d < o->drafts.n; d++) {
        const PlanStep *s = &o->drafts.at[d].step;
        if (s->kind == STEP_CHECK && s->bufs[0] == bufs[0] && (s->masked ? s->bufs[1] : -1) == bufs[1] && s->limit == limit)
            return d;
    }
    Draft draft = {.step = {.kind = STEP_CHECK, .limit = limit, .span = op->span, .masked = p.mask != NULL,
                            .what = p.what ? p.what : l->plan->bufs.at[bufs[0]].name}};
    draft.step.bufs = arena_copy(l->arena, bufs, sizeof bufs);
    for (int k = 0; k < step_buf_count(&draft.step); k++) vec_push(l->scratch, &draft.reads, bufs[k]);
    vec_push(l->scratch, &o->drafts, draft);
    return o->drafts.n - 1;
}

static void draft_checks(Orderer *o, const Op *fusion, Draft *reader) {
    const Region *body = fusion->regions[0];
    for (int i = 0; i < body->ops.n; i++) {
        const Op *op = body->ops.at[i];
        for (int k = 0; op->info->kind == KIND_INDEX && k < index_parts(op).count; k++) {
            int check = draft_check(o, fusion, op, k);
            if (check >= 0) vec_push(o->l->scratch, &reader->checks, check);
        }
    }
}

/* ------------------------------------------------------------------------ kernels and copies */

static int draft_copy(Orderer *o, Type type, int to, int from) {
    Lowering *l = o->l;
    Draft d = {.step = {.kind = STEP_KERNEL}, .type = type};
    vec_push(l->scratch, &d.reads, from);
    vec_push(l->scratch, &d.writes, to);
    if (o->words) d.after = arena_array(l->scratch, uint64_t, o->words);
    vec_push(l->scratch, &o->drafts, d);
    return o->drafts.n - 1;
}

/* Reads and writes of a fusion, known before its kernel is built. */
static void draft_fusion(Orderer *o, Op *fusion) {
    Lowering *l = o->l;
    Value *into = updates_into(fusion);
    int result = fusion->result_count ? l->buf_of[fusion->results[0].id] : -1;
    if (into && result != l->buf_of[into->id]) draft_copy(o, into->type, result, l->buf_of[into->id]);
    Draft d = {.step = {.kind = STEP_KERNEL, .span = fusion->span}, .fusion = fusion};
    draft_checks(o, fusion, &d);
    for (int i = 0; i < fusion->operand_count; i++) vec_push(l->scratch, &d.reads, l->buf_of[fusion->operands[i]->id]);
    for (int i = 0; i < fusion->result_count; i++) vec_push(l->scratch, &d.writes, l->buf_of[fusion->results[i].id]);
    vec_push(l->scratch, &o->drafts, d);
}

/* Results that are an input, or another result too, are copied. */
static void draft_result_copies(Orderer *o) {
    Lowering *l = o->l;
    for (int i = 0, result = 0; i < l->func->body->yields.n; i++) {
        if (l->func->results.at[i].var) continue;
        int own = -1, have = l->buf_of[l->func->body->yields.at[i]->id];
        for (int b = 0; b < l->plan->bufs.n; b++)
            if (l->plan->bufs.at[b].place == PLACE_RESULT && l->plan->bufs.at[b].index == result) own = b;
        result++;
        if (have != own) draft_copy(o, l->func->body->yields.at[i]->type, own, have);
    }
}

/* ---------------------------------------------------------------------- in-place updates */

/* Whether the kernel, writing `buf` at one access, reads it only there and not after having written it. */
static bool reads_only_what_it_writes(const LoweredKernel *lk, int buf) {
    const Kernel *k = lk->kernel;
    int own = -1, store = -1, stage = -1;
    for (int i = 0; i < lk->bufs.n; i++)
        if (lk->bufs.at[i] == buf) own = i;
    for (int s = 0; s < k->stages.n; s++)
        for (int i = 0; i < k->stages.at[s].stores.n; i++)
            if (k->accesses.at[k->stages.at[s].stores.at[i].access].buf == own) {
                store = k->stages.at[s].stores.at[i].access;
                stage = s;
            }
    for (int i = 0; i < k->nodes.n; i++) {
        const KNode *n = &k->nodes.at[i];
        if (n->kind == NODE_LOAD && k->accesses.at[n->access].buf == own && n->access != store) return false;
        if (n->kind == NODE_LOAD && n->access == store && (i == k->a || i == k->b)) return false;
    }
    return stage == k->stages.n - 1 || k->form == KERNEL_CONTRACT;
}

/* Tries to let the writer of update value v write var's memory. */
static bool update_in_place(Orderer *o, Op *fusion, int writer, const Value *v, Var *var) {
    Lowering *l = o->l;
    int old = l->buf_of[v->id], to = find_var_buf(l, var, v);
    for (int d = 0; d < o->drafts.n; d++) {
        bool reads = in_list(o->drafts.at[d].reads.at, o->drafts.at[d].reads.n, to);
        if (d != writer && (reads || o->drafts.at[d].step.kind == STEP_CHECK) && runs_before(o, writer, d)) return false;
    }
    l->buf_of[v->id] = to;
    LoweredKernel trial = {0};
    int bufs = l->plan->bufs.n;
    bool fits = lower_fusion(l, fusion, &trial) && reads_only_what_it_writes(&trial, to);
    l->plan->bufs.n = bufs;
    if (!fits) {
        l->buf_of[v->id] = old;
        return false;
    }
    for (int d = 0; d < o->drafts.n; d++) {
        bool reads = in_list(o->drafts.at[d].reads.at, o->drafts.at[d].reads.n, to);
        if (d != writer && (reads || o->drafts.at[d].step.kind == STEP_CHECK)) add_edge(o, d, writer);
    }
    Draft *w = &o->drafts.at[writer];
    for (int i = 0; i < w->writes.n; i++)
        if (w->writes.at[i] == old) w->writes.at[i] = to;
    for (int d = 0; d < o->drafts.n; d++)
        for (int i = 0; i < o->drafts.at[d].reads.n; i++)
            if (o->drafts.at[d].reads.at[i] == old) o->drafts.at[d].reads.at[i] = to;
    return true;
}

/* Whether a fusion that changes buffer `own` in place reads buffer `old` in no way but that. */
static bool spares(const Lowering *l, const Op *fusion, int old) {
    if (reads_what_it_updates(fusion)) return false;
    for (int i = 0; i < fusion->operand_count; i++)
        if (l->buf_of[fusion->operands[i]->id] == old && fusion->operands[i] != updates_into(fusion)) return false;
    return true;
}

static bool writes_buf(const Draft *d, int buf) { return in_list(d->writes.at, d->writes.n, buf); }
static bool reads_buf(const Draft *d, int buf) { return in_list(d->reads.at, d->reads.n, buf); }

static void rename_buf(Orderer *o, int from, int to) {
    for (int d = 0; d < o->drafts.n; d++) {
        Draft *draft = &o->drafts.at[d];
        for (int i = 0; i < draft->reads.n; i++)
            if (draft->reads.at[i] == from) draft->reads.at[i] = to;
        for (int i = 0; i < draft->writes.n; i++)
            if (draft->writes.at[i] == from) draft->writes.at[i] = to;
    }
    const Region *body = o->l->func->body;
    for (int i = 0; i < body->ops.n; i++)
        for (int j = 0; j < body->ops.at[i]->result_count; j++) {
            int *buf = &o->l->buf_of[body->ops.at[i]->results[j].id];
            if (*buf == from) *buf = to;
        }
}

/* Tries to let the updates that make v of var's old version work in var's memory, instead of in a copy of it that the
 * first one begins with. All else that reads the old version, and every check, must be able to run before. */
static bool change_in_place(Orderer *o, const Value *v, Var *var) {
    Lowering *l = o->l;
    int own = l->buf_of[v->id], old = find_var_buf(l, var, v), copy = -1;
    for (int d = 0; d < o->drafts.n; d++) {
        const Draft *draft = &o->drafts.at[d];
        if (!draft->fusion && writes_buf(draft, own) && reads_buf(draft, old)) copy = d;
        if (draft->fusion && writes_buf(draft, own) && !spares(l, draft->fusion, old)) return false;
    }
    if (copy < 0) return false;
    for (int pass = 0; pass < 2; pass++)
        for (int w = 0; w < o->drafts.n; w++) {
            if (w == copy || !writes_buf(&o->drafts.at[w], own)) continue;
            for (int d = 0; d < o->drafts.n; d++) {
                const Draft *draft = &o->drafts.at[d];
                bool earlier = (reads_buf(draft, old) && !writes_buf(draft, own)) || draft->step.kind == STEP_CHECK;
                if (d == copy || !earlier) continue;
                if (!pass && runs_before(o, w, d)) return false;
                if (pass) add_edge(o, d, w);
            }
        }
    o->drafts.at[copy].dropped = true;
    o->drafts.at[copy].reads.n = o->drafts.at[copy].writes.n = 0;
    rename_buf(o, own, old);
    return true;
}

/* A copy into a variable runs after everything that reads the old version and after every check. */
static void copy_update(Orderer *o, const Value *v, int from, Var *var) {
    int to = find_var_buf(o->l, var, v);
    if (to == from) return;
    int copy = draft_copy(o, v->type, to, from);
    for (int d = 0; d < copy; d++) {
        bool writes = in_list(o->drafts.at[d].writes.at, o->drafts.at[d].writes.n, from);
        bool reads = in_list(o->drafts.at[d].reads.at, o->drafts.at[d].reads.n, to);
        if (writes || reads || o->drafts.at[d].step.kind == STEP_CHECK) add_edge(o, d, copy);
    }
}

/* What a copy is made from: the value's buffer; but the old version of another variable, which may be
 * overwritten too, is set aside in the workspace before that. */
static int copy_source(Orderer *o, const Value *v) {
    Lowering *l = o->l;
    int from = l->buf_of[v->id];
    if (v->op || l->plan->bufs.at[from].place != PLACE_VAR) return from;
    int aside = plan_add_buf(l, buf_for(l, PLACE_ARENA, v, v->name)), copy = draft_copy(o, v->type, aside, from);
    for (int d = 0; d < copy; d++)
        if (in_list(o->drafts.at[d].writes.at, o->drafts.at[d].writes.n, from)) add_edge(o, copy, d);
    return aside;
}

static void place_updates(Orderer *o) {
    Lowering *l = o->l;
    Region *body = l->func->body;
    bool *copied = arena_array(l->scratch, bool, body->yields.n + 1);
    for (int i = 0; i < body->yields.n; i++) {
        Value *v = body->yields.at[i];
        if (!l->func->results.at[i].var) continue;
        bool own = v->op && l->plan->bufs.at[l->buf_of[v->id]].place == PLACE_ARENA;
        int writer = -1;
        for (int d = 0; own && d < o->drafts.n; d++)
            if (o->drafts.at[d].fusion == v->op) writer = d;
        Var *var = l->func->results.at[i].var;
        if (l->buf_of[v->id] == find_var_buf(l, var, v)) continue;
        if (own && updates_into(v->op)) {
            copied[i] = !change_in_place(o, v, var);
            continue;
        }
        copied[i] = writer < 0 || !update_in_place(o, v->op, writer, v, var);
    }
    int *from = arena_array(l->scratch, int, body->yields.n + 1);
    for (int i = 0; i < body->yields.n; i++)
        if (copied[i]) from[i] = copy_source(o, body->yields.at[i]);
    for (int i = 0; i < body->yields.n; i++)
        if (copied[i]) copy_update(o, body->yields.at[i], from[i], l->func->results.at[i].var);
}

/* -------------------------------------------------------------------------------- emission */

static bool finish_kernel(Lowering *l, Draft *d) {
    LoweredKernel lk = {0};
    if (!d->fusion) lower_copy(l, d->type, d->writes.at[0], d->reads.at[0], &lk);
    else if (!lower_fusion(l, d->fusion, &lk)) return false;
    lower_normalize(l, lk.kernel);
    lower_intern(l, &lk);
    d->step.kernel = lk.kernel;
    d->step.bufs = lk.bufs.at;
    d->step.dims = lk.dims.at;
    d->step.flops = lk.flops;
    return true;
}

/* Steps in an order that respects `after`, as drafted where it leaves a choice. */
static void emit_steps(Orderer *o) {
    uint64_t *ran = arena_array(o->l->scratch, uint64_t, o->words + 1);
    for (int done = 0, d = 0; done < o->drafts.n; d++) {
        bool ready = !(ran[d / 64] >> (d % 64) & 1);
        for (int w = 0; ready && w < o->words; w++) ready = !(o->drafts.at[d].after[w] & ~ran[w]);
        if (!ready) continue;
        ran[d / 64] |= (uint64_t)1 << (d % 64);
        if (!o->drafts.at[d].dropped) vec_push(o->l->arena, &o->l->plan->steps, o->drafts.at[d].step);
        done++;
        d = -1;
    }
}

static bool lower_func(Lowering *l, Func *func) {
    l->func = func;
    l->plan = arena_new(l->arena, Plan);
    l->plan->func = func;
    int values = graph_number(func);
    l->buf_of = arena_array(l->scratch, int, values + 1);
    l->memo = arena_alloc(l->scratch, sizeof *l->memo * (size_t)(values + 1));
    for (int i = 0; i < values; i++) l->buf_of[i] = -1;
    place_inputs(l);
    place_outputs(l);
    Orderer o = {.l = l};
    Region *body = func->body;
    for (int i = 0; i < body->ops.n; i++) draft_fusion(&o, body->ops.at[i]);
    draft_result_copies(&o);
    o.words = (o.drafts.n + 2 * body->yields.n) / 64 + 1;
    for (int d = 0; d < o.drafts.n; d++) o.drafts.at[d].after = arena_array(l->scratch, uint64_t, o.words);
    add_data_edges(&o);
    place_updates(&o);
    bool ok = true;
    for (int i = 0; i < o.drafts.n; i++)
        if (o.drafts.at[i].step.kind == STEP_KERNEL && !o.drafts.at[i].dropped) ok &= finish_kernel(l, &o.drafts.at[i]);
    emit_steps(&o);
    return ok;
}

KModule *lower_module(PassContext *c, Module *m) {
    Lowering l = {.m = m, .arena = c->arena, .scratch = c->scratch, .diags = c->diags};
    l.km = arena_new(c->arena, KModule);
    l.km->graph = m;
    l.km->arena = c->arena;
    dim_table_init(&l.km->dims, c->arena, m->names);
    intern_init(&l.structures, c->scratch);
    bool ok = true;
    for (int i = 0; i < m->funcs.n; i++) {
        ok &= lower_func(&l, m->funcs.at[i]);
        vec_push(c->arena, &l.km->plans, l.plan);
    }
    if (m->init) {
        ok &= lower_func(&l, m->init);
        l.km->init = l.plan;
    }
    return ok && !c->diags->errors ? l.km : NULL;
}
