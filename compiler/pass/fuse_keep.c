/* fuse_keep: what is kept for long, and what is computed again instead.
 *
 * In: a function's groups. Out: the same, and further groups and members that compute late what early groups computed,
 * so that fewer bytes lie in memory where most do. In a training step that is what the forward pass leaves for the way
 * back: a convolution's result and what normalisation and activation made of it, when the first would do.
 *
 * The function is divided before the group at which most is in memory. What late groups read of early ones is either
 * kept or computed again from something kept; only elementwise work is done twice, and reading at places that arguments
 * say. Which values to keep is a minimum cut, as PyTorch's AOTAutograd does it between its two graphs: a network has an
 * edge for each value, as wide as the value is large, and leads from what cannot be computed again - sums, contractions,
 * routines - along operands and results to what is read late. Of cuts of one size the one nearest to the readers is
 * taken. Arguments and variables lie in memory anyway and do not count. Where it takes much more to compute a value
 * again than to read it, as along a chain of sums, it is kept, and the cut made again.
 *
 * What is computed again becomes operations of its own (fuse_copy.c), which melt into late groups. The division is
 * repeated where most is in memory then, as long as that helps. */
#include "ops/index.h"
#include "pass/fuse_keep.h"
#include "pass/min_cut.h"

#include <stdlib.h>

enum {
    MOST_ROUNDS = 4,
    LEAST_BYTES = 4 << 20,     /* functions that need less are left alone: it lies in the cache */
    SMALL = 4096,              /* a value of a 4096th of that is kept */
    LEAST_GAIN = 64,           /* a round must save a 64th of it */
    MOST_COPIED = 32,          /* operations for one value */
    MOST_LEAVES = 2            /* elements read for one of the value's */
};

/* -------------------------------------------------------------------------------- where most is in memory */

static int64_t value_bytes(const Keep *k, const Value *v) {
    return type_elements(&k->f->module->dims, v->type)->upper * dtype_bytes(v->type.dtype);
}

static void note_read(Keep *k, const Value *v, int place) {
    if (place > k->read_last[v->id]) k->read_last[v->id] = place;
}

/* Notes which values group n reads from memory for op, looking through what it repeats. What an update changes in its
 * place becomes the result. */
static void note_reads(Keep *k, int n, const Op *op) {
    const Value *changed = op->info->flags & OP_UPDATES ? index_parts(op).whole : NULL;
    Reads from = fuse_reads(k->f, op);
    for (int i = 0; i < from.n; i++) {
        const Value *v = from.at[i].value;
        if (!v || group_of_value(k->f, v) == n) continue;
        if (group_repeats(k->f->groups.at[n], v)) note_reads(k, n, v->op);
        else note_read(k, v, k->place.at[n] - (v == changed));
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
    if ((!pointwise && !reads_at_arguments(op)) || !op->operand_count) return false;
    if (op->info->flags & OP_BARRIER || value_is_copy(k->f, v)) return false;
    if (op->info->flags & OP_COSTLY && v->type.dtype == DTYPE_F64) return false; /* a call for each element */
    if (op_attr(op, "site")) return false;                   /* a draw is long; what is made of it, a mask, is small */
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
        if (!v || !keep_is_early(k, v)) continue;
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
            if (!keep_is_early(k, v)) continue;
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
        for (int r = 0; r < from.n; r++) {
            const Value *u = from.at[r].value;
            if (keep_is_early(k, u)) net_add(&net, 2 * number[u->id] + 3, 2 * i + 2, NET_UNCUT);
        }
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
        if (keep_is_early(k, u) && k->again[u->id]) find_chain(k, u, c);
        else if (!has(&c->leaves, u)) vec_push(k->f->scratch, &c->leaves, u);
    }
}

/* How many operands of v's size it takes to compute it again, and in *all how much larger than v they all are. */
static int count_large(const Keep *k, const Value *v, const Chain *c, double *all) {
    int large = 0;
    for (int i = 0; i < c->leaves.n; i++) {
        double n = keep_elements(k, c->leaves.at[i]);
        if (n * SMALL_LEAF <= keep_elements(k, v)) continue;
        *all += n / keep_elements(k, v);
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
        Value *u = c.ops.at[i];
        Chain way = {0};
        if (!k->sink[u->id] || keep_elements(k, u) * SMALL_LEAF <= keep_elements(k, v)) continue;
        find_chain(k, u, &way);
        if (count_large(k, v, &way, &part) < large) return true;
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

/* --------------------------------------------------------------------------------------------- all */

int64_t fuse_keep_least(const PassContext *c) {
    const char *asked = pass_option(c, "keep");
    return asked ? strtoll(asked, NULL, 10) : LEAST_BYTES;
}

static Keep keep_new(Fuser *f) {
    Keep k = {.f = f};
    size_t n = (size_t)f->room;
    k.yielded = arena_array(f->scratch, bool, n);
    k.bytes = arena_array(f->scratch, int64_t, n);
    k.read_last = arena_array(f->scratch, int, n);
    k.read_at = arena_array(f->scratch, int, n);
    k.sink = arena_array(f->scratch, bool, n);
    k.fixed = arena_array(f->scratch, bool, n);
    k.again = arena_array(f->scratch, bool, n);
    k.copied = arena_array(f->scratch, bool, n);
    k.home = arena_array(f->scratch, int, n);
    k.mark = arena_array(f->scratch, int, n);
    k.readers = arena_array(f->scratch, uint64_t *, n);
    k.copy = arena_array(f->scratch, Value *, n);
    for (int i = 0; i < f->body->yields.n; i++) k.yielded[f->body->yields.at[i]->id] = true;
    return k;
}

void fuse_keep(Fuser *f) {
    if (f->body->owner) return;
    Keep k = keep_new(f);
    int old = f->groups.n;
    for (int round = 0; round < MOST_ROUNDS; round++) {
        fuse_repeat(f);
        if (!find_division(&k) || k.peak < f->least) return;
        int64_t before = find_crossing(&k), kept = choose(&k);
        if (before - kept <= k.peak / LEAST_GAIN || !keep_find_copied(&k)) return;
        keep_copy(&k);
        fuse_sink(f, old);
    }
}
