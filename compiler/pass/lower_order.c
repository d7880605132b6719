/* Order: the ops of a region become steps, in an order in which they can run.
 *
 * In: a region whose parameters lie somewhere, and where its yields are to lie. Each op is a draft: it is known what
 * it reads and writes, but not yet where. Then every value gets a place, and only then the drafts become steps.
 *
 * Writing over parameters. A yield may be wanted where a parameter of the region lies: a variable's new version, what
 * a loop carries. It is written straight there where that is safe: everything else that reads the parameter can run
 * before the writer, and the writer itself reads it only at the very element it writes, or is made to change it in
 * places. An op that changes an operand (an update, a loop that carries it) works in the operand's memory if nothing
 * else reads that; so the writer may be a chain of such ops. Where it is not safe the yield is made elsewhere and
 * copied at the end, or the two places are swapped, as the caller likes.
 *
 * In a function's own body variables are written after all that can end the call, so a failing call changes nothing.
 *
 * Of the drafts that can run checks come first, then the first in program order; so the order is theirs where there is a
 * choice. */
#include "ir/kernel_util.h"
#include "ir/print.h"
#include "pass/lower_order.h"

#include "ops/index.h"

/* ------------------------------------------------------------------------------ drafts */

int order_add(Order *o, Draft d) {
    vec_push(o->l->scratch, &o->drafts, d);
    return o->drafts.n - 1;
}

void order_after(Order *o, int first, int then) {
    vec_push(o->l->scratch, &o->drafts.at[first].then, then);
    o->drafts.at[then].waits++;
}

/* Whether an op of the region makes the value. */
static bool is_own(const Order *o, const Value *v) {
    return v->op && v->op->parent == o->region;
}

void order_read(Order *o, int draft, const Value *v) {
    Lowering *l = o->l;
    vec_push(l->scratch, &l->readers[v->id], draft);
    if (is_own(o, v) && l->writer[v->id] != draft) order_after(o, l->writer[v->id], draft);
}

static int draft_copy(Order *o, Value *v, const Layout *to) {
    int d = order_add(o, (Draft){.kind = DRAFT_COPY, .value = v, .from = {.buf = -1}, .to = *to});
    order_read(o, d, v);
    return d;
}

/* Marks the symbols in the op's types and attributes. */
static void mark_dims(const DimTable *t, const Op *op, bool *used) {
    for (int i = 0; i < op->result_count; i++)
        for (int d = 0; d < op->results[i].type.rank; d++) dims_mark(t, op->results[i].type.shape[d], used);
    for (int i = 0; i < op->attr_count; i++)
        for (int d = 0; op->attrs[i].kind == ATTR_DIMS && d < op->attrs[i].n; d++)
            dims_mark(t, op->attrs[i].dims[d], used);
    for (int r = 0; r < op->region_count; r++)
        for (int i = 0; i < op->regions[r]->ops.n; i++) mark_dims(t, op->regions[r]->ops.at[i], used);
}

/* An op that mentions a dim runs after the op that binds it. */
static void wait_for_dims(Order *o, int draft) {
    const DimTable *t = &o->l->m->dims;
    if (!o->binds.n) return;
    bool *used = arena_array(o->l->scratch, bool, t->symbols.n + 1);
    mark_dims(t, o->drafts.at[draft].op, used);
    for (int i = 0; i < o->binds.n; i++) {
        int bind = o->binds.at[i];
        if (bind != draft && used[op_bound_dim(o->l, o->drafts.at[bind].op)->id]) order_after(o, bind, draft);
    }
}

bool order_knows(const Order *o, Dim d) {
    for (int i = 0; i < d->term_count; i++)
        for (int j = 0; j < d->terms[i].n; j++) {
            const DimSymbol *s = o->l->m->dims.symbols.at[d->terms[i].symbols[j]];
            if (s->of ? !order_knows(o, s->of) : o->l->bound[s->id]) return false;
        }
    return true;
}

static void draft_op(Order *o, Op *op) {
    Lowering *l = o->l;
    bool fusion = op_control(op) == CONTROL_FUSION;
    int d = order_add(o, (Draft){.kind = DRAFT_OP, .op = op});
    for (int i = 0; i < op->result_count; i++) l->writer[op->results[i].id] = d;
    if (fusion)
        check_draft(o, op, d);
    else
        check_draft_loop(o, op, d);
    o->drafts.at[d].fails = !fusion && may_fail(l, op);
    for (int i = 0; i < op->operand_count; i++) order_read(o, d, op->operands[i]);
    wait_for_dims(o, d);
    if (op_control(op) == CONTROL_BIND) vec_push(l->scratch, &o->binds, d);
}

/* What runs after all that can fail. */
static int gate_of(Order *o) {
    if (o->gate >= 0) return o->gate;
    o->gate = order_add(o, (Draft){.kind = DRAFT_GATE});
    for (int d = 0; d < o->gate; d++)
        if (o->drafts.at[d].fails) order_after(o, d, o->gate);
    return o->gate;
}

/* ------------------------------------------------------------------------------ places */

/* The op of a fusion that changes an operand of it in places, or null. */
static const Op *updating_op(const Op *fusion) {
    const Region *body = fusion->regions[0];
    for (int i = 0; i < body->ops.n; i++)
        if (body->ops.at[i]->info->flags & OP_UPDATES) return body->ops.at[i];
    return NULL;
}

int changed_operand(const Op *op, int result) {
    if (op_control(op) != CONTROL_FUSION) return carried_operand(op, result);
    const Op *update = updating_op(op);
    return update ? index_parts(update).whole->index : -1;
}

/* Whether the fusion reads the operand that it changes in other ways too. */
static bool reads_what_it_changes(const Op *op, int changed) {
    int uses = 0;
    for (int i = 0; i < op->operand_count; i++) uses += op->operands[i] == op->operands[changed];
    if (op_control(op) != CONTROL_FUSION || uses > 1) return uses > 1;
    const Region *body = op->regions[0];
    uses = 0;
    for (int i = 0; i < body->ops.n; i++)
        for (int j = 0; j < body->ops.at[i]->operand_count; j++)
            uses += body->ops.at[i]->operands[j] == body->params.at[changed];
    return uses > 1;
}

/* The operand in whose place result i may be made: made by this region for this op alone. Null if there is none. */
static const Value *takes_over(const Order *o, const Op *op, int result) {
    int changed = changed_operand(op, result);
    const Value *v = changed < 0 ? NULL : op->operands[changed];
    return v && is_own(o, v) && o->l->uses[v->id] == 1 && !reads_what_it_changes(op, changed) ? v : NULL;
}

static bool in_workspace(const Lowering *l, const Layout *at) {
    return at->buf >= 0 && l->plan->bufs.at[at->buf].place == PLACE_ARENA;
}

/* Whether it is the caller's to write there last: a parameter lies there, or it is a variable that waits for checks. */
static bool is_late(const Order *o, const Layout *to) {
    const Lowering *l = o->l;
    if (to->buf < 0) return false;
    if (o->guarded && l->plan->bufs.at[to->buf].place == PLACE_VAR) return true;
    for (int i = 0; i < o->region->params.n; i++) {
        const Layout *at = &l->at[o->region->params.at[i]->id];
        if (!at->scalar && at->buf == to->buf) return true;
    }
    return false;
}

/* Yields that can be made where they are wanted, then what such results are made of, then the rest. */
static void place_results(Order *o, const Yield *yields) {
    Lowering *l = o->l;
    Region *r = o->region;
    for (int i = 0; i < r->yields.n; i++) {
        const Value *v = r->yields.at[i];
        if (is_own(o, v) && l->at[v->id].buf < 0 && yields[i].to.buf >= 0 && !is_late(o, &yields[i].to))
            l->at[v->id] = yields[i].to;
    }
    for (int i = r->ops.n - 1; i >= 0; i--)
        for (int j = 0; j < r->ops.at[i]->result_count; j++) {
            const Layout *at = &l->at[r->ops.at[i]->results[j].id];
            const Value *from = at->buf < 0 ? NULL : takes_over(o, r->ops.at[i], j);
            if (from && l->at[from->id].buf < 0) l->at[from->id] = *at;
        }
    for (int i = 0; i < r->ops.n; i++)
        for (int j = 0; j < r->ops.at[i]->result_count; j++) {
            const Value *v = &r->ops.at[i]->results[j], *from = takes_over(o, r->ops.at[i], j);
            if (l->at[v->id].buf >= 0) continue;
            l->at[v->id] = from ? l->at[from->id] : new_layout(l, v->type, v->name);
        }
}

/* --------------------------------------------------------------------- writing in place */

/* Marks all that runs after the draft. */
static void search(Order *o, int from) {
    Ints todo = {0};
    int mark = ++o->searches;
    vec_push(o->l->scratch, &todo, from);
    while (todo.n) {
        const Draft *d = &o->drafts.at[todo.at[--todo.n]];
        for (int i = 0; i < d->then.n; i++) {
            Draft *next = &o->drafts.at[d->then.at[i]];
            if (next->seen == mark) continue;
            next->seen = mark;
            vec_push(o->l->scratch, &todo, d->then.at[i]);
        }
    }
}

static bool search_found(const Order *o, int draft) {
    return o->drafts.at[draft].seen == o->searches;
}

/* Whether the kernel, writing at `to`, reads that buffer only where it writes, and not after having written it. */
static bool reads_only_what_it_writes(const Lowering *l, const LoweredKernel *lk, const Layout *to) {
    const Kernel *k = lk->kernel;
    bool *factors = arena_array(l->scratch, bool, k->nodes.n + 1);
    int own = -1, store = -1, stage = -1;
    for (int i = 0; i < lk->bufs.n; i++) {
        if (lk->bufs.at[i] != to->buf) continue;
        if (own >= 0) return false;
        own = i;
    }
    for (int s = 0; s < k->stages.n; s++)
        for (int i = 0; i < k->stages.at[s].stores.n; i++)
            if (k->accesses.at[k->stages.at[s].stores.at[i].access].buf == own) {
                store = k->stages.at[s].stores.at[i].access;
                stage = s;
            }
    kernel_product_nodes(k, factors);
    for (int i = 0; i < k->nodes.n; i++) {
        const KNode *n = &k->nodes.at[i];
        if (n->kind == NODE_LOAD && k->accesses.at[n->access].buf == own && n->access != store) return false;
        if (n->kind == NODE_LOAD && n->access == store && factors[i]) return false;
    }
    return stage == k->stages.n - 1 || k->form == KERNEL_CONTRACT;
}

/* Whether a fusion could write v at `to`. Its kernel is made for trial. */
static bool fusion_fits(Lowering *l, const Op *fusion, const Value *v, const Layout *to) {
    Layout before = l->at[v->id];
    LoweredKernel trial = {0};
    int bufs = l->plan->bufs.n;
    l->at[v->id] = *to;
    bool fits = lower_fusion(l, fusion, &trial) && reads_only_what_it_writes(l, &trial, to);
    l->plan->bufs.n = bufs;
    l->at[v->id] = before;
    return fits;
}

/* Whether an op that changes operand `changed` can do so at `to`: it may read nothing else there. */
static bool change_fits(const Lowering *l, const Op *op, int changed, const Layout *to) {
    if (changed >= 0 && reads_what_it_changes(op, changed)) return false;
    for (int i = 0; i < op->operand_count; i++) {
        const Layout *at = &l->at[op->operands[i]->id];
        if (at->scalar || at->buf != to->buf) continue;
        if (i != changed || !same_layout(at, to, op->operands[i]->type)) return false;
    }
    return true;
}

/* Whether variables of these kinds are filled by the same runs of the initializer. */
static bool same_blocks(VarKind a, VarKind b) {
    return (a == VAR_CACHE) == (b == VAR_CACHE);
}

/* Steps of the initializer that touch memory which is not there are left out. So what a fusion writes in place must all
 * be there or not, and nothing else may hang on it. */
static bool init_fits(const Order *o, const Op *op, const Layout *to) {
    const Lowering *l = o->l;
    const Region *body = o->region;
    bool several = false;
    for (int i = 0; i < l->m->vars.n; i++) several |= !same_blocks(l->m->vars.at[i]->kind, l->m->vars.at[0]->kind);
    for (int i = 0; several && i < op->result_count; i++) {
        const Value *v = &op->results[i];
        int yield = -1;
        for (int k = 0; k < body->yields.n; k++)
            if (body->yields.at[k] == v) yield = k;
        if (yield < 0 || l->uses[v->id] != 1) return false;
        if (!same_blocks(l->func->results.at[yield].var->kind, l->plan->bufs.at[to->buf].var->kind)) return false;
    }
    return !several || op_control(op) == CONTROL_FUSION;
}

/* Whether the op could make v, its result, at `to`. Branches see to that themselves. */
static bool op_fits(const Order *o, const Op *op, const Value *v, const Layout *to) {
    const Lowering *l = o->l;
    int changed = changed_operand(op, v->index);
    if (o->guarded && o->drafts.at[l->writer[v->id]].fails) return false;
    if (o->guarded && l->func == l->m->init && !init_fits(o, op, to)) return false;
    switch (op_control(op)) {
    case CONTROL_FUSION: return changed < 0 ? fusion_fits(o->l, op, v, to) : change_fits(l, op, changed, to);
    case CONTROL_SCAN:
    case CONTROL_WHILE: return change_fits(l, op, changed, to);
    case CONTROL_COND: return true;
    case CONTROL_ROUTINE: return change_fits(l, op, -1, to);
    default: return false;
    }
}

/* The results that lie where v does, since each op changes the one before: v first. */
typedef VEC(const Value *) Chain;

static Chain chain_of(const Order *o, const Value *v) {
    const Lowering *l = o->l;
    Chain chain = {0};
    while (v) {
        vec_push(l->scratch, &chain, v);
        const Value *from = takes_over(o, v->op, v->index);
        v = from && l->at[from->id].buf == l->at[v->id].buf ? from : NULL;
    }
    return chain;
}

/* Whether draft w can run after all that reads what lies at `to`, and in a function after all that can fail. */
static bool can_wait(Order *o, int w, const Layout *to) {
    const Lowering *l = o->l;
    search(o, w);
    for (int i = 0; i < o->region->params.n; i++) {
        const Value *p = o->region->params.at[i];
        if (l->at[p->id].scalar || l->at[p->id].buf != to->buf) continue;
        for (int k = 0; k < l->readers[p->id].n; k++)
            if (l->readers[p->id].at[k] != w && search_found(o, l->readers[p->id].at[k])) return false;
    }
    for (int d = 0; o->guarded && d < o->drafts.n; d++)
        if (o->drafts.at[d].fails && search_found(o, d)) return false;
    return true;
}

/* Makes draft w, which writes at `to`, wait for them. */
static void make_wait(Order *o, int w, const Layout *to) {
    Lowering *l = o->l;
    for (int i = 0; i < o->region->params.n; i++) {
        const Value *p = o->region->params.at[i];
        if (l->at[p->id].scalar || l->at[p->id].buf != to->buf) continue;
        for (int k = 0; k < l->readers[p->id].n; k++)
            if (l->readers[p->id].at[k] != w) order_after(o, l->readers[p->id].at[k], w);
    }
    if (o->guarded) order_after(o, gate_of(o), w);
}

/* Tries to have v, which an op of the region makes in the workspace, made at `to` instead. */
static bool make_in_place(Order *o, const Value *v, const Layout *to) {
    Lowering *l = o->l;
    Chain chain = chain_of(o, v);
    for (int i = 0; i < chain.n; i++) {
        const Value *x = chain.at[i];
        if (!op_fits(o, x->op, x, to) || !can_wait(o, l->writer[x->id], to)) return false;
    }
    for (int i = 0; i < chain.n; i++) {
        l->at[chain.at[i]->id] = *to;
        make_wait(o, l->writer[chain.at[i]->id], to);
    }
    return true;
}

/* ----------------------------------------------------------------------- late yields */

typedef struct Late {
    bool pending; /* still to be seen to */
    int draft;    /* a copy of what may be overwritten, or -1 */
    Layout aside; /* where that is */
} Late;

/* Whether something will be written where v lies. */
static bool is_endangered(const Order *o, const Value *v, const Yield *yields) {
    const Layout *at = &o->l->at[v->id];
    for (int i = 0; i < o->region->yields.n; i++)
        if (!at->scalar && yields[i].to.buf == at->buf && yields[i].param < 0) return true;
    return false;
}

/* A parameter as a yield is copied: a loop's to a buffer that is swapped, another from where it is set aside if that
 * may be overwritten first. */
static void set_aside(Order *o, Value *v, Yield *yield, const Yield *all, Late *late) {
    Lowering *l = o->l;
    bool endangered = is_endangered(o, v, all);
    if (yield->param < 0 && !endangered) return;
    late->aside = new_layout(l, v->type, v->name);
    late->draft = draft_copy(o, v, &late->aside);
    if (yield->param < 0) return;
    yield->to = late->aside;
    late->pending = false;
}

/* Whether all of a workspace buffer is the value's: then the buffer can be swapped. */
static bool fills_buffer(Lowering *l, const Value *v) {
    const Layout *at = &l->at[v->id];
    return in_workspace(l, at) && is_compact(l, at, v->type) &&
           l->plan->bufs.at[at->buf].elements == type_elements(&l->m->dims, v->type);
}

/* A carry that could not be made in its parameter's place: where it was made, or a copy of that, is swapped. */
static void take_other_buffer(Order *o, Value *v, Yield *yield, bool *claimed) {
    Lowering *l = o->l;
    bool free = !*claimed && fills_buffer(l, v);
    *claimed = true;
    if (free) {
        yield->to = l->at[v->id];
        return;
    }
    yield->to = new_layout(l, v->type, v->name);
    draft_copy(o, v, &yield->to);
}

static void copy_at_end(Order *o, Value *v, const Yield *yield, const Late *late) {
    int copy = late->draft >= 0
                   ? order_add(o, (Draft){.kind = DRAFT_COPY, .value = v, .from = late->aside, .to = yield->to})
                   : draft_copy(o, v, &yield->to);
    if (late->draft >= 0) order_after(o, late->draft, copy);
    make_wait(o, copy, &yield->to);
}

static void place_late(Order *o, Yield *yields) {
    Lowering *l = o->l;
    int n = o->region->yields.n;
    Value *const *values = o->region->yields.at;
    Late *late = arena_array(l->scratch, Late, n + 1);
    bool *claimed = arena_array(l->scratch, bool, n + 1); /* by the first yield of the value */
    int *first = arena_array(l->scratch, int, n + 1);
    for (int i = 0; i < n; i++) {
        const Layout *at = &l->at[values[i]->id];
        late[i] = (Late){.draft = -1,
                         .pending = is_late(o, &yields[i].to) && !same_layout(at, &yields[i].to, values[i]->type)};
        while (values[first[i]] != values[i]) first[i]++;
        if (late[i].pending && !is_own(o, values[i]))
            set_aside(o, values[i], &yields[i], yields, &late[i]);
        else
            claimed[first[i]] |= !late[i].pending;
    }
    for (int i = 0; i < n; i++) {
        if (!late[i].pending || !is_own(o, values[i]) || claimed[first[i]]) continue;
        late[i].pending = !in_workspace(l, &l->at[values[i]->id]) || !make_in_place(o, values[i], &yields[i].to);
        claimed[first[i]] = !late[i].pending;
    }
    for (int i = 0; i < n; i++) {
        if (!late[i].pending) continue;
        if (yields[i].param >= 0)
            take_other_buffer(o, values[i], &yields[i], &claimed[first[i]]);
        else
            copy_at_end(o, values[i], &yields[i], &late[i]);
    }
    for (int i = 0; i < n; i++) {
        const Value *p = yields[i].param < 0 ? NULL : o->region->params.at[yields[i].param];
        if (!p || yields[i].to.buf == l->at[p->id].buf || fills_buffer(l, p)) continue;
        l->at[p->id] = new_layout(l, p->type, p->name);
    }
}

/* --------------------------------------------------------------------------- emission */

void add_kernel_step(Lowering *l, LoweredKernel *k, Steps *to) {
    lower_normalize(l, k->kernel);
    lower_intern(l, k);
    PlanStep s = {.kind = STEP_KERNEL,
                  .kernel = k->kernel,
                  .bufs = k->bufs.at,
                  .offsets = k->offsets.at,
                  .dims = k->dims.at,
                  .numbers = k->numbers.at,
                  .flops = k->flops,
                  .span = k->span};
    vec_push(l->scratch, to, s);
}

void add_copy_step(Lowering *l, Type t, const Layout *to, const Layout *from, Steps *steps) {
    LoweredKernel k = {0};
    lower_copy(l, t, to, from, &k);
    add_kernel_step(l, &k, steps);
}

/* A fusion that changes an operand finds it in its result's place. */
static bool fusion_steps(Lowering *l, const Op *fusion, Steps *to) {
    int changed = updating_op(fusion) ? changed_operand(fusion, 0) : -1;
    const Value *from = changed < 0 ? NULL : fusion->operands[changed];
    if (from && !same_layout(&l->at[from->id], &l->at[fusion->results[0].id], from->type))
        add_copy_step(l, from->type, &l->at[fusion->results[0].id], &l->at[from->id], to);
    LoweredKernel k = {0};
    if (!lower_fusion(l, fusion, &k)) return false;
    add_kernel_step(l, &k, to);
    return true;
}

static bool lower_draft(Order *o, Draft *d) {
    Lowering *l = o->l;
    switch (d->kind) {
    case DRAFT_OP:
        return op_control(d->op) == CONTROL_FUSION ? fusion_steps(l, d->op, &d->steps)
                                                   : lower_region_op(l, d->op, &d->steps);
    case DRAFT_COPY:
        add_copy_step(l, d->value->type, &d->to, d->from.buf < 0 ? &l->at[d->value->id] : &d->from, &d->steps);
        break;
    case DRAFT_CHECK: check_lower(o, d); break;
    case DRAFT_GATE: break;
    }
    return true;
}

/* A heap of drafts that can run, the first one on top. A check that needs nothing more comes before all that is no check:
 * what writes variables waits for it, and what does not need not be done first. It is counted from -1 down. */
static void put_ready(Order *o, Ints *heap, int draft) {
    if (o->drafts.at[draft].kind == DRAFT_CHECK) draft -= o->drafts.n;
    vec_push(o->l->scratch, heap, draft);
    for (int i = heap->n - 1; i > 0 && heap->at[(i - 1) / 2] > heap->at[i]; i = (i - 1) / 2) {
        heap->at[i] = heap->at[(i - 1) / 2];
        heap->at[(i - 1) / 2] = draft;
    }
}

static int take_ready(Ints *heap) {
    int top = heap->at[0], last = heap->at[--heap->n], i = 0;
    for (int child = 1; child < heap->n; child = 2 * i + 1) {
        if (child + 1 < heap->n && heap->at[child + 1] < heap->at[child]) child++;
        if (heap->at[child] > last) break;
        heap->at[i] = heap->at[child];
        i = child;
    }
    heap->at[i] = last;
    return top;
}

/* What waits for the draft waits for one less. A gate costs no turn. */
static void release(Order *o, Ints *heap, int draft) {
    const Draft *d = &o->drafts.at[draft];
    for (int i = 0; i < d->then.n; i++) {
        int next = d->then.at[i];
        if (--o->drafts.at[next].waits) continue;
        if (o->drafts.at[next].kind == DRAFT_GATE)
            release(o, heap, next);
        else
            put_ready(o, heap, next);
    }
}

static bool emit_drafts(Order *o, Steps *to) {
    Ints heap = {0};
    int done = 0, gates = o->gate >= 0;
    bool open = o->gate >= 0 && !o->drafts.at[o->gate].waits;
    for (int d = 0; d < o->drafts.n; d++)
        if (!o->drafts.at[d].waits && o->drafts.at[d].kind != DRAFT_GATE) put_ready(o, &heap, d);
    if (open) release(o, &heap, o->gate);
    while (heap.n) {
        int draft = take_ready(&heap);
        if (draft < 0) draft += o->drafts.n;
        const Steps *steps = &o->drafts.at[draft].steps;
        for (int i = 0; i < steps->n; i++) vec_push(o->l->scratch, to, steps->at[i]);
        done++;
        release(o, &heap, draft);
    }
    if (done + gates == o->drafts.n) return true;
    diag_report(o->l->diags, DL0602, o->l->func->span, "lower: steps of @%s wait for each other", o->l->func->name);
    return false;
}

bool lower_body(Lowering *l, Region *r, Yield *yields, Steps *to) {
    Order o = {.l = l, .region = r, .guarded = !r->owner, .gate = -1};
    place_results(&o, yields);
    for (int i = 0; i < r->ops.n; i++) draft_op(&o, r->ops.at[i]);
    for (int i = 0; i < r->yields.n; i++) {
        Value *v = r->yields.at[i];
        if (yields[i].to.buf < 0)
            yields[i].to = l->at[v->id];
        else if (!is_late(&o, &yields[i].to) && !same_layout(&l->at[v->id], &yields[i].to, v->type))
            draft_copy(&o, v, &yields[i].to);
    }
    place_late(&o, yields);
    bool good = true;
    for (int d = 0; d < o.drafts.n; d++) good = lower_draft(&o, &o.drafts.at[d]) && good;
    return emit_drafts(&o, to) && good;
}
