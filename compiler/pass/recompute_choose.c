/* Which value is best computed again: one step of the way to less memory.
 *
 * A value that lies in memory between two ops that read it need not, if it is computed again before the second one.
 * Such a change is worth what it takes from the bytes above the limit, summed over the ops during which they are above it:
 * so long lives of large values count most, and what a change adds elsewhere counts against it. It costs the work that
 * is done again. The best change is the one that is worth most for its cost.
 *
 * Where several results of a contraction can be computed from one value, which it does not yield, as those of gelu's
 * gradient, that one may be kept in their stead. The first of them to be computed so is credited with the others.
 *
 * What the value is computed from must lie in memory by then. Where it does not it is either kept longer or computed
 * again as well, and so on: the largest of what would have to be kept is tried to be computed, as long as that pays.
 * What is computed again later anyway is then computed here instead, once. */
#include "pass/recompute.h"

enum { MOST_PARTS = 48, SMALL = 4096 }; /* parts of a trial; a value of a 4096th of the peak is left alone */

/* A value, the op before which it is computed again, and how. */
typedef struct Trial {
    Value *value;
    int from, at;              /* its memory is free between these ops */
    VEC(Part) parts;           /* in the order of their ops */
    Values kept;               /* what has to live longer for it */
    bool from_spare;           /* it is computed from its op's spare result */
    double worth, cost;
} Trial;

typedef struct Chooser {
    Line *l;
    int64_t limit, small;      /* values below `small` bytes are left alone */
    int64_t *change;           /* by position: bytes that a trial adds, as differences */
    int *needed_at;            /* by value: the last part that reads it, in a trial */
} Chooser;

static double above(const Chooser *c, int64_t bytes) { return bytes > c->limit ? (double)(bytes - c->limit) : 0; }

/* ----------------------------------------------------------------------------------- one trial */

static Part *part_of(Trial *t, const Op *op) {
    for (int i = 0; i < t->parts.n; i++)
        if (t->parts.at[i].op == op) return &t->parts.at[i];
    return NULL;
}

static bool is_made(const Trial *t, const Value *v) {
    for (int i = 0; i < t->parts.n; i++)
        if (t->parts.at[i].op == v->op) return t->parts.at[i].results >> v->index & 1;
    return false;
}

static int position_of(const Line *l, const Op *op) { return l->position[op->results[0].id]; }

/* Has the part make what later runs of its op make too, for less than it costs: those need not run then. */
static void take_over(Chooser *c, const Trial *t, Part *p) {
    Line *l = c->l;
    const Op *gone = NULL;
    double saved = 0;
    for (int k = 0; k < p->op->result_count; k++) {
        Value *later = line_find_later(l, &p->op->results[k], t->at);
        if (!later || &p->op->results[k] == later) continue;
        p->results |= (uint64_t)1 << k;
        if (later->op == gone) continue;
        Part other = {.op = later->op, .results = part_all(later->op)};
        part_measure(l, &other, -1);
        saved += other.cost;
        gone = later->op;
    }
    part_measure(l, p, t->at);
    p->cost = p->cost > saved ? p->cost - saved : 0;
}

/* Has the trial compute v. */
static void make(Chooser *c, Trial *t, Value *v) {
    Line *l = c->l;
    Part *known = part_of(t, v->op);
    if (!known) {
        int i = t->parts.n;
        vec_push(l->scratch, &t->parts, (Part){.op = v->op});
        for (; i > 0 && position_of(l, t->parts.at[i - 1].op) > position_of(l, v->op); i--)
            t->parts.at[i] = t->parts.at[i - 1];
        known = &t->parts.at[i];
        *known = (Part){.op = v->op};
    }
    known->results |= (uint64_t)1 << v->index;
    known->from_spare = t->from_spare && v == t->value;
    part_measure(l, known, t->at);
    take_over(c, t, known);
}

/* What has to live longer for the trial; false if something cannot. */
static bool find_kept(Chooser *c, Trial *t) {
    Line *l = c->l;
    t->kept.n = 0;
    for (int i = 0; i < t->parts.n; i++)
        for (int k = 0; k < t->parts.at[i].reads.n; k++) {
            Value *v = t->parts.at[i].reads.at[k];
            if (is_made(t, v) || line_find(l, v, t->at)) continue;
            if (!v->op || l->position[v->id] >= t->at) return false;
            bool known = false;
            for (int j = 0; j < t->kept.n; j++) known |= t->kept.at[j] == v;
            if (!known) vec_push(l->scratch, &t->kept, v);
        }
    return true;
}

/* Whether a result of a part is read after the parts. */
static bool stays(const Line *l, const Trial *t, Value *v) {
    return v == t->value || line_find_later(l, v, t->at) || line_find(l, v, t->at);
}

/* The bytes above the limit while the parts run. */
static double transient(Chooser *c, const Trial *t, int64_t kept) {
    Line *l = c->l;
    int64_t now = l->across[t->at] - l->bytes[t->value->id] + kept;
    double sum = 0;
    for (int i = 0; i < t->parts.n; i++)
        for (int k = 0; k < t->parts.at[i].op->result_count; k++) c->needed_at[t->parts.at[i].op->results[k].id] = i;
    for (int i = 0; i < t->parts.n; i++)
        for (int k = 0; k < t->parts.at[i].reads.n; k++) c->needed_at[t->parts.at[i].reads.at[k]->id] = i;
    for (int i = 0; i < t->parts.n; i++) {
        const Part *p = &t->parts.at[i];
        for (int k = 0; k < p->op->result_count; k++) {
            Value *v = &p->op->results[k];
            if (p->results >> k & 1 && (v == t->value || !line_find(l, v, t->at))) now += value_bytes(l, v);
        }
        sum += above(c, now + l->within[position_of(l, p->op)]);
        for (int j = 0; j <= i; j++)
            for (int k = 0; k < t->parts.at[j].op->result_count; k++) {
                Value *v = &t->parts.at[j].op->results[k];
                bool made = t->parts.at[j].results >> k & 1;
                if (made && c->needed_at[v->id] == i && !stays(l, t, v)) now -= value_bytes(l, v);
            }
    }
    return sum;
}

/* Notes that bytes are added at positions first .. end-1. */
static void add_change(Chooser *c, int first, int end, int64_t bytes) {
    if (first >= end) return;
    c->change[first] += bytes;
    c->change[end] -= bytes;
}

/* Whether the op that part i runs again need not run before: what it makes is read there alone by such ops. Those of
 * later parts are known. */
static bool is_moved(const Chooser *c, const Trial *t, int i, const bool *moved) {
    const Line *l = c->l;
    const Op *op = t->parts.at[i].op;
    for (int k = 0; k < op->result_count; k++) {
        const Value *v = &op->results[k];
        if (l->last[v->id] >= l->ops) return false;
        for (int u = l->first_use[v->id]; u < l->first_use[v->id + 1]; u++) {
            bool later = l->uses[u] >= t->at && t->parts.at[i].results >> k & 1;
            for (int j = i + 1; j < t->parts.n; j++)
                later |= moved[j] && t->parts.at[j].op == l->body->ops.at[l->uses[u]];
            if (!later) return false;
        }
    }
    return true;
}

static double parts_cost(Chooser *c, const Trial *t) {
    bool moved[MOST_PARTS + 1] = {false};
    double sum = 0;
    for (int i = t->parts.n - 1; i >= 0; i--) {
        moved[i] = is_moved(c, t, i, moved);
        if (!moved[i]) sum += t->parts.at[i].cost;
    }
    return sum;
}

/* Adds the longest times that results beside the value need not lie in memory either, and what it costs. */
static void credit_others(Chooser *c, Trial *t, int *low, int *high) {
    Line *l = c->l;
    for (int k = 0; k < t->value->op->result_count; k++) {
        const Value *v = &t->value->op->results[k];
        int from = 0, at = 0, before = l->position[v->id];
        for (int u = l->first_use[v->id]; u < l->first_use[v->id + 1]; before = l->uses[u++])
            if (l->uses[u] - before > at - from) from = before, at = l->uses[u];
        if (v == t->value || at <= from + 1 || !l->bytes[v->id]) continue;
        Part p = {.op = v->op, .results = (uint64_t)1 << k, .from_spare = true};
        part_measure(l, &p, at);
        t->cost += p.cost;
        add_change(c, from + 1, at, -l->bytes[v->id]);
        if (from + 1 < *low) *low = from + 1;
        if (at > *high) *high = at;
    }
}

/* Sets the trial's worth and cost. */
static void weigh(Chooser *c, Trial *t) {
    Line *l = c->l;
    int low = t->from + 1, high = t->at;
    int64_t kept = 0, more = 0;
    t->cost = 1 + parts_cost(c, t);
    t->worth = 0;
    add_change(c, t->from + 1, t->at, -l->bytes[t->value->id]);
    for (int i = 0; i < t->kept.n; i++) {
        int last = l->last[t->kept.at[i]->id], first = last < 0 ? l->position[t->kept.at[i]->id] : last + 1;
        int64_t bytes = value_bytes(l, t->kept.at[i]);
        add_change(c, first, t->at, bytes);
        if (first < low) low = first;
        kept += bytes;
    }
    for (int i = 0; i < t->parts.n; i++) {
        const Part *p = &t->parts.at[i];
        for (int k = 0; k < p->op->result_count; k++) {
            Value *v = &p->op->results[k], *later = p->results >> k & 1 ? line_find_later(l, v, t->at) : NULL;
            if (!later) continue;
            add_change(c, t->at, l->position[later->id], value_bytes(l, v));
            if (l->position[later->id] > high) high = l->position[later->id];
        }
    }
    if (t->from_spare) credit_others(c, t, &low, &high);
    for (int i = low; i <= high; i++) {
        more += c->change[i];
        if (i < high) t->worth += above(c, l->alive[i]) - above(c, l->alive[i] + more);
        c->change[i] = 0;
    }
    t->worth -= transient(c, t, kept);
}

static bool is_better(const Trial *a, const Trial *b) {
    if (a->worth <= 0) return false;
    return b->worth <= 0 || a->worth / a->cost > b->worth / b->cost;
}

static void copy_trial(Chooser *c, Trial *to, const Trial *from) {
    *to = *from;
    to->parts.at = arena_copy(c->l->scratch, from->parts.at, sizeof *to->parts.at * (size_t)from->parts.n);
    for (int i = 0; i < to->parts.n; i++) to->parts.at[i].reads.n = to->parts.at[i].reads.room = 0;
    to->parts.room = to->parts.n;
    to->kept.n = to->kept.room = 0;
}

/* Of what has to be kept the largest that can be computed again, or null. */
static Value *dearest_kept(const Chooser *c, const Trial *t) {
    Value *dearest = NULL;
    for (int i = 0; i < t->kept.n; i++) {
        Value *v = t->kept.at[i];
        if (!op_runs_again(v->op) || line_is_spare(c->l, v)) continue;
        if (!dearest || value_bytes(c->l, v) > value_bytes(c->l, dearest)) dearest = v;
    }
    return dearest;
}

static bool is_possible(const Chooser *c, const Trial *t) {
    for (int i = 0; i < t->kept.n; i++)
        if (c->l->taken[t->kept.at[i]->id]) return false;
    return true;
}

/* What the trial can be worth at most. */
static double most_worth(const Chooser *c, const Trial *t) {
    double most = 0, bytes = (double)c->l->bytes[t->value->id];
    for (int i = t->from + 1; i < t->at; i++) {
        double over = above(c, c->l->alive[i]);
        most += over < bytes ? over : bytes;
    }
    return t->from_spare ? most * t->value->op->result_count : most;
}

/* Tries ways to compute the value before op `at`; keeps the best in *best. */
static void try_gap(Chooser *c, Value *v, int from, int at, bool from_spare, Trial *best) {
    Trial t = {.value = v, .from = from, .at = at, .from_spare = from_spare};
    double most = most_worth(c, &t);
    for (Value *next = v; next && t.parts.n < MOST_PARTS; next = dearest_kept(c, &t)) {
        make(c, &t, next);
        if (!find_kept(c, &t)) return;
        if (best->worth > 0 && most / (1 + parts_cost(c, &t)) <= best->worth / best->cost) return;
        weigh(c, &t);
        if (is_possible(c, &t) && is_better(&t, best)) copy_trial(c, best, &t);
    }
}

/* ------------------------------------------------------------------------------------- making it */

static void redirect(Line *l, int first, const Value *from, Value *to) {
    for (int i = first; i < l->body->ops.n; i++)
        for (int k = 0; k < l->body->ops.at[i]->operand_count; k++)
            if (l->body->ops.at[i]->operands[k] == from) l->body->ops.at[i]->operands[k] = to;
}

static void apply(Chooser *c, const Trial *t) {
    Line *l = c->l;
    Region *aside = region_new(l->module, l->func, NULL), *body = l->body;
    ValueMap now = value_map_new(l->scratch);
    int n = t->parts.n;
    for (int i = 0; i < n; i++) part_write(l, &t->parts.at[i], aside, t->at, &now)->parent = body;
    for (int i = 0; i < n; i++) vec_push(l->module->arena, &body->ops, aside->ops.at[i]);
    memmove(body->ops.at + t->at + n, body->ops.at + t->at, sizeof *body->ops.at * (size_t)(l->ops - t->at));
    memcpy(body->ops.at + t->at, aside->ops.at, sizeof *body->ops.at * (size_t)n);
    for (int i = 0; i < n; i++) {
        const Op *op = t->parts.at[i].op;
        for (int k = 0; k < op->result_count; k++) {
            Value *v = &op->results[k], *copy = value_map_get(&now, v);
            if (!copy) continue;
            Value *later = line_find_later(l, v, t->at);
            if (later) redirect(l, t->at + n, later, copy);
            redirect(l, t->at + n, v, copy);
            line_note_copy(l, v, copy);
        }
    }
    line_tidy(l, false);
}

/* Tries to compute the value before the op that reads it after a gap; and where other results of its op are computed
 * again in the gap, there, as that costs little more. */
static void try_places(Chooser *c, Value *v, int from, int at, Trial *best) {
    Line *l = c->l;
    try_gap(c, v, from, at, false, best);
    for (int k = 0; k < v->op->result_count; k++) {
        Value *beside = &v->op->results[k];
        if (k == v->index) continue;
        if (line_is_spare(l, beside) && l->last[beside->id] < 0) try_gap(c, v, from, at, true, best);
        const Value *later = line_find_later(l, beside, from + 1);
        if (later && later->op != v->op && l->position[later->id] < at)
            try_gap(c, v, from, l->position[later->id], false, best);
    }
}

/* The gaps between ops that read v in which there is too much. */
static void try_value(Chooser *c, Value *v, Trial *best) {
    Line *l = c->l;
    if (l->bytes[v->id] <= c->small || !op_runs_again(v->op)) return;
    for (int u = l->first_use[v->id], from = l->position[v->id]; u < l->first_use[v->id + 1]; from = l->uses[u++]) {
        bool high = false;
        for (int i = from + 1; i < l->uses[u] && !high; i++) high = l->alive[i] > c->limit;
        if (high) try_places(c, v, from, l->uses[u], best);
    }
}

bool line_improve(Line *l, int64_t limit) {
    Chooser c = {.l = l, .limit = limit, .small = line_peak(l) / SMALL};
    Trial best = {.worth = 0};
    c.change = arena_array(l->scratch, int64_t, l->ops + 2);
    c.needed_at = arena_array(l->scratch, int, l->values + 1);
    for (int v = 0; v < l->values; v++)
        if (l->position[v] >= 0) try_value(&c, l->value[v], &best);
    if (best.worth <= 0) return false;
    apply(&c, &best);
    return true;
}
