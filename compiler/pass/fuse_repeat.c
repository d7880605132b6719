/* fuse_repeat: what a group computes again instead of reading it from memory.
 *
 * In: the region's groups. Out: for each group the values of others that it repeats (Group.repeats). A backward pass
 * reads much that the forward pass computed on its way: normalised values, masks, differences. Where that is cheap
 * elementwise work on what lies in memory anyway - a convolution's result and a few numbers for each feature - to load
 * the operands and compute again costs no more memory traffic than to load the result, and saves storing it. So for
 * each group, of the values it reads, the dearest first: if the operands that it does not read already are no more
 * bytes than the value, it is repeated. Contractions, reductions and transcendental functions never are. What would be
 * kept for long all the same, since something reads it that cannot repeat it, is fuse_keep.c's. */
#include "pass/fuse.h"

enum {
    MOST_REPEATED = 24,        /* operations for one value */
    SMALL = 16                 /* an operand of a 16th of the domain's elements costs nothing */
};

static double bytes_of(const Fuser *f, const Value *v) {
    return (double)type_elements(&f->module->dims, v->type)->upper * dtype_bytes(v->type.dtype);
}

bool group_repeats(const Group *g, const Value *v) {
    for (int i = 0; i < g->repeats.n; i++)
        if (g->repeats.at[i] == v) return true;
    return false;
}

/* Elementwise work of another group, cheap enough to do again. */
static bool is_repeatable(const Fuser *f, const Value *v) {
    return v->op && group_of_value(f, v) >= 0 && v->op->info->kind == KIND_MAP && !(v->op->info->flags & OP_COSTLY) &&
           v->op->operand_count > 0;
}

/* Whether the value lies in memory whatever is decided here: it is an input, or something reads it that cannot
 * repeat it. */
static bool lies_in_memory(const Fuser *f, const Value *v) { return group_of_value(f, v) < 0 || f->forced[v->id]; }

/* ------------------------------------------------------------------- what must be stored */

/* Whether group g could repeat v, as far as this one read of it says. */
static bool reads_pointwise(const Group *g, const Op *op, const Read *r) {
    bool pointwise = op->info->kind == KIND_MAP || op->info->kind == KIND_REDUCE;
    return pointwise && r->placed && group_has_full_shape(g, r->value->type);
}

static void find_forced(Fuser *f) {
    memset(f->forced, 0, sizeof *f->forced * (size_t)f->room);
    for (int n = 0; n < f->groups.n; n++) {
        const Group *g = f->groups.at[n];
        for (int i = 0; i < g->ops.n; i++) {
            const Op *op = g->ops.at[i];
            Reads from = fuse_reads(f, op);
            for (int k = 0; k < from.n; k++) {
                const Value *v = from.at[k].value;
                if (!v || group_of_value(f, v) == n) continue;
                if (!is_repeatable(f, v) || !reads_pointwise(g, op, &from.at[k])) f->forced[v->id] = true;
            }
        }
    }
    for (int i = 0; i < f->body->yields.n; i++) f->forced[f->body->yields.at[i]->id] = true;
}

/* -------------------------------------------------------------------------- one group */

typedef struct Trial {
    VEC(Value *) chain;        /* what is repeated */
    VEC(Value *) leaves;       /* what is read for it */
    bool good;
} Trial;

static bool has(Value *const *list, int n, const Value *v) {
    for (int i = 0; i < n; i++)
        if (list[i] == v) return true;
    return false;
}

/* Adds v's operands: those that lie in memory as leaves, the others by their own operands. */
static void expand(Fuser *f, Value *v, Trial *t) {
    if (has(t->chain.at, t->chain.n, v)) return;
    vec_push(f->scratch, &t->chain, v);
    if (t->chain.n > MOST_REPEATED) t->good = false;
    Reads from = fuse_reads(f, v->op);
    for (int i = 0; t->good && i < from.n; i++) {
        Value *u = from.at[i].value;
        if (!u || !from.at[i].placed) t->good = false;
        else if (lies_in_memory(f, u) || has(t->leaves.at, t->leaves.n, u)) {
            if (!has(t->leaves.at, t->leaves.n, u)) vec_push(f->scratch, &t->leaves, u);
        } else if (is_repeatable(f, u)) expand(f, u, t);
        else t->good = false;
    }
}

/* Bytes of the leaves that the group does not read already, small ones apart. */
static double extra_bytes(const Fuser *f, const Trial *t, const Value *v, Value *const *read, int n) {
    double extra = 0, large = (double)type_elements(&f->module->dims, v->type)->upper / SMALL;
    for (int i = 0; i < t->leaves.n; i++) {
        const Value *u = t->leaves.at[i];
        bool small = (double)type_elements(&f->module->dims, u->type)->upper <= large;
        if (!small && !has(read, n, u)) extra += bytes_of(f, u);
    }
    return extra;
}

typedef VEC(Value *) Values;

/* What the group reads of others: that it may repeat, and the rest. */
static void find_reads(Fuser *f, int number, Values *may, Values *must) {
    const Group *g = f->groups.at[number];
    for (int i = 0; i < g->ops.n; i++) {
        Reads from = fuse_reads(f, g->ops.at[i]);
        for (int k = 0; k < from.n; k++) {
            Value *v = from.at[k].value;
            if (!v || group_of_value(f, v) == number || has(may->at, may->n, v) || has(must->at, must->n, v)) continue;
            vec_push(f->scratch, lies_in_memory(f, v) ? must : may, v);
        }
    }
}

static void repeat_in_group(Fuser *f, int number) {
    Group *g = f->groups.at[number];
    Values may = {0}, read = {0};
    g->repeats.n = 0;
    find_reads(f, number, &may, &read);
    while (may.n) {
        int dearest = 0;
        for (int i = 1; i < may.n; i++)
            if (bytes_of(f, may.at[i]) > bytes_of(f, may.at[dearest])) dearest = i;
        Value *v = may.at[dearest];
        may.at[dearest] = may.at[--may.n];
        Trial t = {.good = true};
        expand(f, v, &t);
        bool good = t.good && extra_bytes(f, &t, v, read.at, read.n) <= bytes_of(f, v);
        if (!good) {
            f->forced[v->id] = true;
            vec_push(f->scratch, &read, v);
            continue;
        }
        for (int i = 0; i < t.chain.n; i++)
            if (!group_repeats(g, t.chain.at[i])) vec_push(f->scratch, &g->repeats, t.chain.at[i]);
        for (int i = 0; i < t.leaves.n; i++)
            if (!has(read.at, read.n, t.leaves.at[i])) vec_push(f->scratch, &read, t.leaves.at[i]);
    }
}

void fuse_repeat(Fuser *f) {
    find_forced(f);
    for (int n = 0; n < f->groups.n; n++)
        if (f->groups.at[n]->ops.n && !op_stands_alone(f->groups.at[n]->ops.at[0])) repeat_in_group(f, n);
}
