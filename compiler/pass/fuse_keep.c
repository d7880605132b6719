/* fuse_keep: what is kept for long, and what is computed again instead.
 *
 * In: a function's groups. Out: the same, and further groups and members that compute late what early groups computed,
 * so that fewer bytes lie in memory where most do. In a training step that is what the forward pass leaves for the way
 * back: a convolution's result and what normalisation and activation made of it, when the first would do.
 *
 * The function is divided before the group at which most is in memory. What late groups read of early ones either is
 * kept or is computed again from something kept; only elementwise work is done twice. Which values to keep is a minimum
 * cut (B. Steiner and others, 2022, and others use it so): a network has an edge for each value, as wide as the value is large, and
 * leads from what cannot be computed again - sums, contractions, routines - along operands and results to what is read
 * late. Of cuts of one size the one nearest to the readers is taken. Arguments and variables lie in memory anyway and
 * do not count. Where it takes much more to compute a value again than to read it, as along a chain of sums, it is
 * kept, and the cut made again.
 *
 * What is computed again becomes operations of its own. They join a late group that reads the same, else the late
 * reader, and its result is one more of that group's; a copy is read only if its readers cannot compute it where they read
 * it (fuse_repeat.c). So most of it costs no more memory traffic than the value's way back to memory. The division is
 * repeated where most is in memory then, as long as that helps. */
#include "ops/index.h"
#include "pass/fuse.h"
#include "pass/min_cut.h"

#include <stdlib.h>

enum {
    MOST_ROUNDS = 4,
    LEAST_BYTES = 1 << 20,     /* functions that need less are left alone */
    SMALL = 4096,              /* a value of a 4096th of that is kept */
    LEAST_GAIN = 64,           /* a round must save a 64th of it */
    MOST_COPIED = 32,          /* operations for one value */
    MOST_LEAVES = 2,           /* elements read for one of the value's */
    SMALL_LEAF = 16,           /* an operand of a 16th of the elements costs nothing */
    NEAR = 16                  /* groups between a copy and its first reader */
};

typedef VEC(Value *) Values;
typedef VEC(int) Places;

typedef struct Keep {
    Fuser *f;
    Places place;              /* by group: where it runs, or -1 */
    int places, division;      /* groups from place `division` on are late */
    int64_t peak;
    /* by value: */
    bool *yielded;
    int64_t *bytes;            /* that it takes where it is stored; 0 for what is an argument or a result */
    int *read_last;            /* the last place at which it is read from memory, or -1 */
    bool *sink;                /* of an early group, and an operand of a late one's member */
    bool *crosses;             /* the same, and read from memory */
    bool *fixed;               /* kept, since too much would have to be computed again */
    bool *again;               /* computed again */
    bool *copied;              /* and so by operations of its own */
    uint64_t **readers;        /* of copied values: the late groups that need the copy */
    int *read_at;              /* of copied values: the position of the first op that does */
    int *home;                 /* of copied values: the group that has to compute it, or -1 */
    int *mark, stamp;
    Value **copy;
    Values early;              /* what early groups make, in the order of their ops */
} Keep;

/* -------------------------------------------------------------------------------- where most is in memory */

static int64_t value_bytes(const Keep *k, const Value *v) {
    return type_elements(&k->f->module->dims, v->type)->upper * dtype_bytes(v->type.dtype);
}

static double elements(const Keep *k, const Value *v) {
    return (double)type_elements(&k->f->module->dims, v->type)->upper;
}

static bool is_early(const Keep *k, const Value *v) {
    int g = group_of_value(k->f, v);
    return g >= 0 && k->place.at[g] < k->division;
}

/* Notes which values group n reads from memory for op, looking through what it repeats. */
static void note_reads(Keep *k, int n, const Op *op) {
    Reads from = fuse_reads(k->f, op);
    for (int i = 0; i < from.n; i++) {
        const Value *v = from.at[i].value;
        if (!v || group_of_value(k->f, v) == n) continue;
        if (group_repeats(k->f->groups.at[n], v)) note_reads(k, n, v->op);
        else if (k->place.at[n] > k->read_last[v->id]) k->read_last[v->id] = k->place.at[n];
    }
}

static void find_lives(Keep *k) {
    Fuser *f = k->f;
    for (int v = 0; v < f->room; v++) k->read_last[v] = -1;
    for (int n = 0; n < f->groups.n; n++)
        for (int i = 0; i < f->groups.at[n]->ops.n; i++) note_reads(k, n, f->groups.at[n]->ops.at[i]);
}

/* Finds the place at which most is in memory; false if the function has no order. */
static bool find_division(Keep *k) {
    Fuser *f = k->f;
    int *order = fuse_order(f);
    if (!order) return false;
    k->places = f->groups.n;
    k->place.n = 0;
    for (int g = 0; g < k->places; g++) vec_push(f->scratch, &k->place, 0);
    for (int i = 0; i < k->places; i++) k->place.at[order[i]] = i;
    find_lives(k);
    int64_t *change = arena_array(f->scratch, int64_t, k->places + 1), now = 0;
    for (int g = 0; g < k->places; g++)
        for (int i = 0; i < f->groups.at[g]->ops.n; i++)
            for (int r = 0; r < f->groups.at[g]->ops.at[i]->result_count; r++) {
                const Value *v = &f->groups.at[g]->ops.at[i]->results[r];
                k->bytes[v->id] = k->yielded[v->id] ? 0 : value_bytes(k, v);
                if (k->read_last[v->id] <= k->place.at[g]) continue;
                change[k->place.at[g]] += k->bytes[v->id];
                change[k->read_last[v->id] + 1] -= k->bytes[v->id];
            }
    k->peak = 0;
    for (int i = 0; i < k->places; i++) {
        now += change[i];
        if (now > k->peak) k->peak = now, k->division = i;
    }
    return true;
}

/* ------------------------------------------------------------------------------------------- the cut */

/* Whether op reads at places that arguments say: these are checked as such. */
static bool reads_at_arguments(const Op *op) {
    if (op->info->kind != KIND_INDEX || op->info->flags & OP_UPDATES) return false;
    IndexParts p = index_parts(op);
    for (int i = 0; i <= p.count; i++) {
        const Value *v = i < p.count ? p.indices[i] : p.mask;
        while (v && v->op && v->op->info->kind == KIND_MOVE) v = v->op->operands[0];
        if (v && v->op) return false;
    }
    return true;
}

/* Elementwise work, or what is only moved about, of operands alone. */
static bool can_run_again(const Keep *k, Value *v) {
    const Op *op = v->op;
    bool pointwise = op->info->kind == KIND_MAP || op->info->kind == KIND_MOVE;
    if ((!pointwise && !reads_at_arguments(op)) || !op->operand_count || op->info->flags & OP_BARRIER || value_is_copy(k->f, v)) return false;
    if (op->info->flags & OP_COSTLY && v->type.dtype == DTYPE_F64) return false; /* a call for each element */
    if (k->bytes[v->id] <= k->peak / SMALL || k->fixed[v->id]) return false;
    Reads from = fuse_reads(k->f, op);
    for (int i = 0; i < from.n; i++)
        if (!from.at[i].value) return false;
    return true;
}

/* What a late op reads of early groups. Indices are kept: what is checked has to be so before anything is written. */
static void find_sinks(Keep *k, const Op *op) {
    Reads from = fuse_reads(k->f, op);
    bool pointwise = op->info->kind == KIND_MAP || op->info->kind == KIND_REDUCE || op->info->kind == KIND_CONTRACT;
    for (int i = 0; i < from.n; i++) {
        const Value *v = from.at[i].value;
        if (!v || !is_early(k, v)) continue;
        k->sink[v->id] = true;
        k->fixed[v->id] |= !pointwise && !dtype_is_float(v->type.dtype);
    }
}

/* What early groups make, and which of it late ones read. Returns how many bytes of that are in memory now. */
static int64_t find_crossing(Keep *k) {
    Fuser *f = k->f;
    int64_t sum = 0;
    k->early.n = 0;
    for (int i = 0; i < f->body->ops.n; i++)
        for (int r = 0; r < f->body->ops.at[i]->result_count; r++) {
            Value *v = &f->body->ops.at[i]->results[r];
            k->sink[v->id] = false;
            if (!is_early(k, v)) continue;
            vec_push(f->scratch, &k->early, v);
            if (k->read_last[v->id] >= k->division) sum += k->bytes[v->id];
        }
    for (int n = 0; n < f->groups.n; n++)
        for (int i = 0; k->place.at[n] >= k->division && i < f->groups.at[n]->ops.n; i++)
            find_sinks(k, f->groups.at[n]->ops.at[i]);
    return sum;
}

/* Nodes: 0 the source, 1 the sink, of early value i 2 * i + 2, behind what computes it, and 2 * i + 3, behind it. */
static Net make_net(Keep *k, int *number) {
    Net net = net_new(k->f->scratch, 2 * k->early.n + 2);
    for (int i = 0; i < k->early.n; i++) {
        Value *v = k->early.at[i];
        number[v->id] = i;
        net_add(&net, 2 * i + 2, 2 * i + 3, k->bytes[v->id]);
        if (k->sink[v->id]) net_add(&net, 2 * i + 3, 1, NET_UNCUT);
        if (!can_run_again(k, v)) {
            net_add(&net, 0, 2 * i + 2, NET_UNCUT);
            continue;
        }
        Reads from = fuse_reads(k->f, v->op);
        for (int r = 0; r < from.n; r++)
            if (is_early(k, from.at[r].value)) net_add(&net, 2 * number[from.at[r].value->id] + 3, 2 * i + 2, NET_UNCUT);
    }
    return net;
}

typedef struct Chain {
    Values ops, leaves;
} Chain;

static bool has(const Values *list, const Value *v) {
    for (int i = 0; i < list->n; i++)
        if (list->at[i] == v) return true;
    return false;
}

/* What it takes to compute v again. */
static void find_chain(Keep *k, Value *v, Chain *c) {
    if (has(&c->ops, v) || c->ops.n > MOST_COPIED) return;
    vec_push(k->f->scratch, &c->ops, v);
    Reads from = fuse_reads(k->f, v->op);
    for (int i = 0; i < from.n; i++) {
        Value *u = from.at[i].value;
        if (is_early(k, u) && k->again[u->id]) find_chain(k, u, c);
        else if (!has(&c->leaves, u)) vec_push(k->f->scratch, &c->leaves, u);
    }
}

/* How many operands of v's size it takes to compute it again, and in *all how much larger than v they all are. */
static int count_large(const Keep *k, const Value *v, const Chain *c, double *all) {
    int large = 0;
    for (int i = 0; i < c->leaves.n; i++) {
        double n = elements(k, c->leaves.at[i]);
        if (n * SMALL_LEAF <= elements(k, v)) continue;
        *all += n / elements(k, v);
        large++;
    }
    return large;
}

/* Too much are long chains: many operations, many operands, or a sum that another value is on the way to, which is read
 * late as well and is computed from fewer. */
static bool is_too_much(Keep *k, Value *v) {
    Chain c = {0};
    double all = 0, part = 0;
    find_chain(k, v, &c);
    int large = count_large(k, v, &c, &all);
    if (c.ops.n > MOST_COPIED || all > MOST_LEAVES) return true;
    for (int i = 1; i < c.ops.n && large > 1; i++) {
        Chain way = {0};
        if (!k->sink[c.ops.at[i]->id]) continue;
        find_chain(k, c.ops.at[i], &way);
        if (elements(k, c.ops.at[i]) * SMALL_LEAF > elements(k, v) && count_large(k, v, &way, &part) < large) return true;
    }
    return false;
}

/* Decides what is computed again. Returns how many bytes are kept. */
static int64_t choose(Keep *k) {
    int *number = arena_array(k->f->scratch, int, k->f->room);
    Net net = make_net(k, number);
    int64_t kept = 0;
    for (bool changed = true; changed;) {
        kept += net_flow(&net, 0, 1);
        bool *behind = net_behind_cut(&net, 1);
        changed = false;
        for (int i = 0; i < k->early.n; i++) k->again[k->early.at[i]->id] = behind[2 * i + 2];
        for (int i = 0; i < k->early.n; i++) {
            Value *v = k->early.at[i];
            if (!k->again[v->id] || !k->sink[v->id] || !is_too_much(k, v)) continue;
            k->again[v->id] = false;
            k->fixed[v->id] = changed = true;
            net_add(&net, 0, 2 * i + 2, NET_UNCUT);
        }
    }
    return kept;
}

/* ------------------------------------------------------------------------------------------- copies */

/* Whether group n computes v itself where it reads it, of what is kept. */
static bool is_repeated(Keep *k, int n, const Value *v) {
    if (!is_early(k, v) || !k->again[v->id]) return true;
    if (!group_repeats(k->f->groups.at[n], v)) return false;
    Reads from = fuse_reads(k->f, v->op);
    for (int i = 0; i < from.n; i++)
        if (!is_repeated(k, n, from.at[i].value)) return false;
    return true;
}

static void need_copy(Keep *k, const Value *v, const uint64_t *readers, int position) {
    Fuser *f = k->f;
    if (!k->copied[v->id]) {
        k->copied[v->id] = true;
        k->home[v->id] = -1;
        k->readers[v->id] = arena_array(f->scratch, uint64_t, f->words);
        k->read_at[v->id] = position;
    }
    for (int w = 0; w < f->words; w++) k->readers[v->id][w] |= readers[w];
    if (position < k->read_at[v->id]) k->read_at[v->id] = position;
}

/* Notes what late ops need copies of: where they cannot compute it themselves, or there is one anyway. */
static void find_needed(Keep *k) {
    Fuser *f = k->f;
    uint64_t *reader = arena_array(f->scratch, uint64_t, f->words);
    for (int n = 0; n < f->groups.n; n++)
        for (int i = 0; k->place.at[n] >= k->division && i < f->groups.at[n]->ops.n; i++) {
            const Op *op = f->groups.at[n]->ops.at[i];
            Reads from = fuse_reads(f, op);
            memset(reader, 0, sizeof *reader * (size_t)f->words);
            group_put(reader, n);
            for (int r = 0; r < from.n; r++) {
                const Value *v = from.at[r].value;
                if (v && is_early(k, v) && (k->copied[v->id] || !is_repeated(k, n, v)))
                    need_copy(k, v, reader, op->result_count ? f->position[op->results[0].id] : 0);
            }
        }
}

/* And copies of what copies are computed from. Returns whether there are any. */
static bool find_needed_by_copies(Keep *k) {
    bool any = false;
    for (int i = k->early.n - 1; i >= 0; i--) {
        const Value *v = k->early.at[i];
        if (!k->copied[v->id]) continue;
        any = true;
        Reads from = fuse_reads(k->f, v->op);
        for (int r = 0; r < from.n; r++)
            if (is_early(k, from.at[r].value) && k->again[from.at[r].value->id])
                need_copy(k, from.at[r].value, k->readers[v->id], k->read_at[v->id]);
    }
    return any;
}

/* Which values get operations of their own, and who needs them. */
static bool find_copied(Keep *k) {
    for (int i = 0; i < k->early.n; i++) k->copied[k->early.at[i]->id] = false;
    find_needed(k);
    if (!find_needed_by_copies(k)) return false;
    find_needed(k); /* now that it is known what there are copies of */
    return find_needed_by_copies(k);
}

static Value *append_copy(Keep *k, const Op *op, Value **operands) {
    Fuser *f = k->f;
    Op *c = op_append(f->module, f->body, op->info, operands, op->operand_count, 1, op->attrs, op->attr_count, 0, op->span);
    Value *v = &c->results[0];
    v->type = op->results[0].type;
    v->name = op->results[0].name;
    v->id = f->values++;
    f->group_of[v->id] = -1;
    f->bare[v->id] = f->bare[op->results[0].id];
    return v;
}

/* What a late op reads instead of v: a copy, also of index maps that it reads a copy through. */
static Value *renewed(Keep *k, Value *v) {
    Fuser *f = k->f;
    if (!v->op || v->op->parent != f->body) return v;
    if (k->copy[v->id] || group_of_value(f, v) >= 0 || !op_is_free(f, v->op)) return k->copy[v->id] ? k->copy[v->id] : v;
    Value **operands = arena_array(f->scratch, Value *, v->op->operand_count + 1);
    bool changed = false;
    for (int i = 0; i < v->op->operand_count; i++) {
        operands[i] = renewed(k, v->op->operands[i]);
        changed |= operands[i] != v->op->operands[i];
    }
    return k->copy[v->id] = changed ? append_copy(k, v->op, operands) : v;
}

/* The first place at which a copy of v is needed. */
static int first_place(const Keep *k, const Value *v) {
    int first = k->places;
    for (int n = 0; n < k->place.n; n++)
        if (group_in(k->readers[v->id], n) && k->place.at[n] < first) first = k->place.at[n];
    return first;
}

/* Whether w is computed from copies that group n makes or is to make, and, in *own, whether from those at the same
 * point alone. */
static bool follows(Keep *k, int n, const Value *w, bool *own) {
    Type t = w->type;
    Reads from = fuse_reads(k->f, w->op);
    bool any = false;
    *own = true;
    for (int i = 0; i < from.n; i++) {
        const Value *v = from.at[i].value, *copy = k->copy[v->id];
        bool there = is_early(k, v) && (k->mark[v->id] == k->stamp || (copy && group_of_value(k->f, copy) == n));
        if (!there) continue;
        any = true;
        *own &= from.at[i].placed && shape_equal(t.rank, t.shape, v->type.rank, v->type.shape);
        for (int d = 0; *own && d < t.rank; d++) *own &= from.at[i].place[d] == d || dim_is(t.shape[d], 1);
    }
    return any;
}

/* Whether group n, which needs v, can compute all that it needs of what is copied from the copy of v: otherwise it would
 * wait for itself. With `settle` it will. */
static bool may_host_all(Keep *k, int n, const Value *v, bool settle) {
    Fuser *f = k->f;
    int work = f->groups.at[n]->work;
    bool begun = false, own;
    k->mark[v->id] = ++k->stamp;
    for (int i = 0; i < k->early.n; i++) {
        Value *w = k->early.at[i];
        if (!k->copied[w->id] || !group_in(k->readers[w->id], n)) continue;
        begun |= w == v;
        if (!begun || (!follows(k, n, w, &own) && w != v)) continue;
        Reads from = fuse_reads(f, w->op);
        k->mark[w->id] = k->stamp;
        if (settle) k->home[w->id] = n;
        if (settle) continue;
        if (!own || !fuse_fits(f, n, w->op, &from) || (work += fuse_work(w->op)) > MOST_WORK) return false;
    }
    return true;
}

/* Whether group n may compute the copy of v: it is late, near the first reader, and needs no reader. */
static bool may_host(Keep *k, int n, const Value *v, int first, const Op *op, const Reads *from) {
    Fuser *f = k->f;
    const Group *g = f->groups.at[n];
    if (!g->ops.n || k->place.at[n] < k->division || k->place.at[n] - first > NEAR || first - k->place.at[n] > NEAR)
        return false;
    for (int w = 0; w < f->words; w++) {
        uint64_t both = g->needs[w] & k->readers[v->id][w];
        if (n / 64 == w) both &= ~((uint64_t)1 << n % 64);
        if (both) return false;
    }
    if (!fuse_may_join(f, n, op, from)) return false;
    return !group_in(k->readers[v->id], n) || may_host_all(k, n, v, false);
}

static int host_rank(const Keep *k, int n) {
    static const int rank[] = {[GROUP_MAP] = 2, [GROUP_ROWS] = 1, [GROUP_CONTRACT] = 3};
    GroupForm form = k->f->groups.at[n]->form;
    return form == GROUP_MAP || form == GROUP_ROWS || form == GROUP_CONTRACT ? rank[form] : 0;
}

/* The group that computes the copy of v: one that makes what that reads, else one that reads the same, else one that
 * needs it; or -1. */
static int choose_host(Keep *k, const Value *v, const Op *op, const Reads *from) {
    Fuser *f = k->f;
    int best = k->home[v->id], first = first_place(k, v);
    if (best >= 0) return best;
    for (int i = 0; i < from->n; i++) {
        int maker = group_of_read(f, &from->at[i]);
        if (maker >= 0 && maker > best && may_host(k, maker, v, first, op, from)) best = maker;
    }
    for (int i = 0; best < 0 && i < from->n; i++) {
        if (elements(k, from->at[i].value) * SMALL_LEAF < elements(k, v)) continue;
        const Value *read = from->at[i].value;
        int found = -1;
        for (int r = 0; r < f->readers[read->id].n; r++) {
            int n = f->readers[read->id].at[r];
            bool better = found < 0 || host_rank(k, n) > host_rank(k, found);
            if (better && may_host(k, n, v, first, op, from)) found = n;
        }
        best = found;
    }
    for (int n = 0; best < 0 && n < f->groups.n; n++)
        if (group_in(k->readers[v->id], n) && may_host(k, n, v, first, op, from)) best = n;
    if (best >= 0 && group_in(k->readers[v->id], best)) may_host_all(k, best, v, true);
    return best;
}

static void copy_value(Keep *k, Value *v) {
    Fuser *f = k->f;
    const Op *op = v->op;
    Value **operands = arena_array(f->scratch, Value *, op->operand_count);
    for (int i = 0; i < op->operand_count; i++) operands[i] = renewed(k, op->operands[i]);
    Value *copy = append_copy(k, op, operands);
    f->position[copy->id] = k->read_at[v->id] - 1;
    f->stored[copy->id] = f->stored[v->id];
    Reads from = fuse_reads(f, copy->op);
    int host = choose_host(k, v, copy->op, &from);
    if (host < 0) {
        int first = first_place(k, v);
        f->at = k->read_at[v->id] / 2;
        host = fuse_open_group(f, copy->op);
        f->groups.at[host]->computes_again = true;
        vec_push(f->scratch, &k->place, first);
    }
    fuse_join(f, host, copy->op, &from);
    k->copy[v->id] = copy;
    Read wait = {.binder = host};
    for (int n = 0; n < k->place.n; n++)
        if (n != host && group_in(k->readers[v->id], n)) fuse_add_needs(f, n, &(Reads){&wait, 1, 1});
}

static void copy_values(Keep *k) {
    Fuser *f = k->f;
    memset(k->copy, 0, sizeof *k->copy * (size_t)f->room);
    for (int i = 0; i < k->early.n; i++)
        if (k->copied[k->early.at[i]->id]) copy_value(k, k->early.at[i]);
    for (int n = 0; n < f->groups.n; n++) {
        const Group *g = f->groups.at[n];
        for (int i = 0; k->place.at[n] >= k->division && i < g->ops.n; i++) {
            Op *op = g->ops.at[i];
            for (int r = 0; r < op->operand_count; r++) op->operands[r] = renewed(k, op->operands[r]);
        }
    }
    fuse_note_readers(f);
}

/* --------------------------------------------------------------------------------------------- all */

/* Whether there are numbers for all copies, and for the index maps between them, and for as many groups. */
static bool has_room(const Keep *k) {
    const Fuser *f = k->f;
    int copies = 0, free = 0;
    for (int i = 0; i < k->early.n; i++) copies += k->copied[k->early.at[i]->id];
    for (int i = 0; i < f->body->ops.n; i++) free += f->body->ops.at[i]->info->kind == KIND_MOVE;
    return f->values + copies + free <= f->room && f->groups.n + copies <= 64 * f->words;
}

int64_t fuse_keep_least(const PassContext *c) {
    const char *asked = pass_option(c, "keep");
    return asked ? strtoll(asked, NULL, 10) : LEAST_BYTES;
}

void fuse_keep(Fuser *f) {
    Keep k = {.f = f};
    size_t n = (size_t)f->room;
    int old = f->groups.n;
    if (f->body->owner) return;
    k.yielded = arena_array(f->scratch, bool, n);
    for (int i = 0; i < f->body->yields.n; i++) k.yielded[f->body->yields.at[i]->id] = true;
    k.bytes = arena_array(f->scratch, int64_t, n);
    k.read_last = arena_array(f->scratch, int, n);
    k.read_at = arena_array(f->scratch, int, n);
    k.sink = arena_array(f->scratch, bool, n);
    k.fixed = arena_array(f->scratch, bool, n);
    k.again = arena_array(f->scratch, bool, n);
    k.home = arena_array(f->scratch, int, n);
    k.mark = arena_array(f->scratch, int, n);
    k.copied = arena_array(f->scratch, bool, n);
    k.readers = arena_array(f->scratch, uint64_t *, n);
    k.copy = arena_array(f->scratch, Value *, n);
    for (int round = 0; round < MOST_ROUNDS; round++) {
        fuse_repeat(f);
        if (!find_division(&k) || k.peak < f->least) return;
        int64_t before = find_crossing(&k), kept = choose(&k);
        if (before - kept <= k.peak / LEAST_GAIN || !find_copied(&k) || !has_room(&k)) return;
        copy_values(&k);
        fuse_sink(f, old);
    }
}
