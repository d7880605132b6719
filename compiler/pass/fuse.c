/* fuse: groups operations into kernels.
 *
 * In: a function. Out: the same function whose body, and every region of a loop or branch in it, is a list of `fusion`
 * ops in an order that respects dependence, each holding the operations of one kernel; index maps and constants are
 * repeated inside every fusion that reads through them. Loops, branches, checks and routines stay what they are; their
 * operands lie in memory.
 *
 * A group has a domain, the shape S it sweeps, and takes further operations while they fit:
 *   MAP       elementwise operations on S;
 *   ROWS      also reductions over a fixed set of S's axes, and operations on what remains of S without
 *             them, e.g. all of softmax, its gradient, the losses after it; bias gradients and updates;
 *   SWEEP     cumulative operations along one axis of S in one direction, and elementwise operations;
 *   CONTRACT  one contraction and elementwise operations on its result: bias, activation, mask, and the
 *             optimiser's whole update after a kernel gradient;
 *   UPDATE    one change of a tensor in places, and elementwise operations on what is put there;
 *   ALONE     anything else. What a routine of the runtime does (KIND_OPAQUE) is no kernel and stays as it is.
 * Operations are taken in order. Each joins, where shapes and reads fit and no cycle arises, a group that makes what
 * it reads (a contraction's first, then one with reductions, then the latest), else one that reads the same values, or
 * opens a new one. At the end elementwise groups sink into their only reader, and cheap work on what lies in memory is
 * repeated where that saves storing it (fuse_repeat.c). So chains fuse forward, siblings meet, and nothing costly is
 * computed twice across kernels.
 *
 * What a kernel computes at a point is bounded, members and free operations alike: time to compile a kernel grows faster
 * than its size, and what is read through free operations is walked as a tree. */
#include "ops/contraction.h"
#include "ops/index.h"
#include "ops/index_map.h"
#include "pass/fuse.h"
#include "pass/layout.h"

/* ------------------------------------------------------------------------------ grouping */

void fuse_add_needs(Fuser *f, int number, const Reads *from) {
    Group *g = f->groups.at[number];
    uint64_t *added = f->added;
    bool any = false;
    memset(added, 0, sizeof *added * (size_t)f->words);
    for (int i = 0; i < from->n; i++) {
        int s = group_of_read(f, &from->at[i]);
        if (s < 0 || s == number) continue;
        group_put(added, s);
        any = f->groups.at[s]->needed = true;
        for (int w = 0; w < f->words; w++) added[w] |= f->groups.at[s]->needs[w];
    }
    if (!any) return;
    for (int w = 0; w < f->words; w++) g->needs[w] |= added[w];
    for (int h = 0; g->needed && h < f->groups.n; h++)
        if (h != number && group_in(f->groups.at[h]->needs, number))
            for (int w = 0; w < f->words; w++) f->groups.at[h]->needs[w] |= g->needs[w];
}

static void make_sweep(Group *g, const Op *op) {
    g->form = GROUP_SWEEP;
    g->inner = fuse_axes_mask(op);
    g->backward = fuse_goes_backward(op);
}

int fuse_open_group(Fuser *f, const Op *op) {
    Group *g = arena_new(f->scratch, Group);
    Type domain = op->result_count ? op->results[0].type : type_scalar(DTYPE_BOOL);
    switch (op->info->kind) {
    case KIND_MAP:
    case KIND_MOVE: g->form = GROUP_MAP; break;
    case KIND_CONTRACT: g->form = GROUP_CONTRACT; break;
    case KIND_INDEX:
        g->form = op->info->flags & OP_UPDATES ? GROUP_UPDATE : GROUP_MAP;
        if (g->form == GROUP_UPDATE) domain = index_parts(op).update->type;
        break;
    case KIND_REDUCE:
        g->form = GROUP_ROWS;
        domain = op->operands[0]->type;
        g->inner = fuse_axes_mask(op);
        break;
    case KIND_CUMULATE: make_sweep(g, op); break;
    default: g->form = GROUP_ALONE; break;
    }
    g->rank = domain.rank;
    g->shape = domain.shape;
    g->first = f->at;
    g->needs = arena_array(f->scratch, uint64_t, f->words);
    vec_push(f->scratch, &f->groups, g);
    return f->groups.n - 1;
}

/* Joining must not make the group wait for itself: what op reads from outside must not need the group. */
static bool joins_without_cycle(const Fuser *f, int number, const Reads *from) {
    for (int i = 0; i < from->n; i++) {
        int s = group_of_read(f, &from->at[i]);
        if (s >= 0 && s != number && group_in(f->groups.at[s]->needs, number)) return false;
    }
    return true;
}

enum { COSTLY_WORK = 8, MOST_FREE = 256 };

int fuse_work(const Op *op) { return op->info->flags & OP_COSTLY ? COSTLY_WORK : 1; }

bool fuse_may_join(Fuser *f, int group, const Op *op, const Reads *from) {
    if (f->groups.at[group]->work + fuse_work(op) > MOST_WORK) return false;
    return fuse_fits(f, group, op, from) && joins_without_cycle(f, group, from);
}

/* Which of two groups that may be joined is better: a contraction's saves most, then one with reductions; of
 * like ones the later. */
static bool better_group(const Fuser *f, int a, int b) {
    static const int rank[] = {[GROUP_ALONE] = 0, [GROUP_UPDATE] = 0, [GROUP_MAP] = 1, [GROUP_ROWS] = 2, [GROUP_SWEEP] = 2, [GROUP_CONTRACT] = 3};
    if (b < 0) return true;
    int x = rank[f->groups.at[a]->form], y = rank[f->groups.at[b]->form];
    return x != y ? x > y : a > b;
}

/* Reading a value together saves something if it is not small beside what is made of it. */
static bool is_worth_sharing(Fuser *f, const Op *op, const Value *v) {
    enum { SHARE = 4 };
    DimTable *dims = &f->module->dims;
    Type made = op->info->kind == KIND_REDUCE ? op->operands[0]->type : op->results[0].type;
    return (double)type_elements(dims, v->type)->upper * SHARE >= (double)type_elements(dims, made)->upper;
}

/* A group that reduces over the same domain what is made beside that which op reads; or -1. */
static int sibling_reduction(Fuser *f, const Op *op, const Reads *from) {
    for (int i = 0; i < from->n; i++) {
        int maker = group_of_read(f, &from->at[i]);
        for (int k = 0; maker >= 0 && k < f->groups.at[maker]->ops.n; k++) {
            const Op *member = f->groups.at[maker]->ops.at[k];
            const Value *beside = &member->results[0];
            if (!member->result_count) continue;
            for (int r = 0; r < f->readers[beside->id].n; r++) {
                int g = f->readers[beside->id].at[r];
                if (f->groups.at[g]->form == GROUP_ROWS && fuse_may_join(f, g, op, from)) return g;
            }
        }
    }
    return -1;
}

/* Whether the group only puts something where others read it: it should wait for no more than that. */
static bool only_moves(const Fuser *f, int group) {
    for (int i = 0; i < f->groups.at[group]->ops.n; i++)
        if (!op_is_free(f, f->groups.at[group]->ops.at[i])) return false;
    return true;
}

/* The group to join, or -1: one that makes what op reads, else one that reads the same. */
static int choose_group(Fuser *f, const Op *op, const Reads *from) {
    int best = -1;
    for (int i = 0; i < from->n; i++) {
        int maker = group_of_read(f, &from->at[i]);
        if (maker >= 0 && better_group(f, maker, best) && fuse_may_join(f, maker, op, from)) best = maker;
    }
    if (best >= 0) return best;
    for (int i = 0; i < from->n; i++) {
        if (!from->at[i].value || !op->result_count || !is_worth_sharing(f, op, from->at[i].value)) continue;
        int id = from->at[i].value->id;
        for (int r = 0; r < f->readers[id].n; r++) {
            int g = f->readers[id].at[r];
            bool sibling = f->groups.at[g]->form != GROUP_CONTRACT && !only_moves(f, g) && better_group(f, g, best);
            if (sibling && fuse_may_join(f, g, op, from)) best = g;
        }
    }
    if (best < 0 && op->info->kind == KIND_REDUCE) return sibling_reduction(f, op, from);
    return best;
}

static void note_reader(Fuser *f, const Value *v, int group) {
    if (!v) return;
    for (int i = 0; i < f->readers[v->id].n; i++)
        if (f->readers[v->id].at[i] == group) return;
    vec_push(f->scratch, &f->readers[v->id], group);
}

static int position_of(const Fuser *f, const Op *op) { return op->result_count ? f->position[op->results[0].id] : 0; }

static void put_member(Fuser *f, Group *g, Op *op) {
    int i = g->ops.n;
    vec_push(f->scratch, &g->ops, op);
    for (; i > 0 && op->result_count && position_of(f, g->ops.at[i - 1]) > position_of(f, op); i--)
        g->ops.at[i] = g->ops.at[i - 1];
    g->ops.at[i] = op;
}

void fuse_join(Fuser *f, int number, Op *op, const Reads *from) {
    Group *g = f->groups.at[number];
    if (op->info->kind == KIND_REDUCE && g->form == GROUP_MAP) {
        g->form = GROUP_ROWS;
        g->inner = fuse_axes_mask(op);
    }
    if (op->info->kind == KIND_CUMULATE && g->form == GROUP_MAP) make_sweep(g, op);
    put_member(f, g, op);
    g->work += fuse_work(op);
    for (int i = 0; i < op->result_count; i++) f->group_of[op->results[i].id] = number;
    if (op->info->flags & OP_BINDS_DIM)
        vec_push(f->scratch, &f->dims, (BoundDim){op_dims(op, "dims", NULL)[0]->terms[0].symbols[0], number});
    for (int i = 0; i < from->n; i++)
        if (group_of_read(f, &from->at[i]) != number) note_reader(f, from->at[i].value, number);
    fuse_add_needs(f, number, from);
}

void fuse_note_readers(Fuser *f) {
    for (int v = 0; v < f->values; v++) f->readers[v].n = 0;
    for (int n = 0; n < f->groups.n; n++)
        for (int i = 0; i < f->groups.at[n]->ops.n; i++) {
            Reads from = fuse_reads(f, f->groups.at[n]->ops.at[i]);
            for (int k = 0; k < from.n; k++)
                if (group_of_read(f, &from.at[k]) != n) note_reader(f, from.at[k].value, n);
        }
}

static void group_op(Fuser *f, Op *op) {
    Reads from = fuse_reads(f, op);
    int number = choose_group(f, op, &from);
    if (number < 0) number = fuse_open_group(f, op);
    fuse_join(f, number, op, &from);
}

/* ------------------------------------------------------------------------------- sinking */

/* The only group that reads members of group `number`; -1 if there is none, -2 if there are several. */
static int only_reader(Fuser *f, int number) {
    int only = -1;
    for (int i = 0; i < f->groups.at[number]->ops.n; i++) {
        const Op *op = f->groups.at[number]->ops.at[i];
        for (int j = 0; j < f->readers[op->results[0].id].n; j++) {
            int g = f->readers[op->results[0].id].at[j];
            if (g == number || g == only || !f->groups.at[g]->ops.n) continue;     /* emptied ones have sunk */
            if (only >= 0) return -2;
            only = g;
        }
    }
    return only;
}

static bool reads_from(Fuser *f, Value *v, int source) {
    Reads from = fuse_reads_of(f, v);
    for (int i = 0; i < from.n; i++)
        if (group_of_read(f, &from.at[i]) == source) return true;
    return false;
}

static bool reads_same(const Reads *a, const Reads *b) {
    for (int i = 0; i < a->n; i++)
        for (int j = 0; j < b->n; j++)
            if (a->at[i].value && a->at[i].value == b->at[j].value) return true;
    return false;
}

/* An update reads the new values at their own points, and from `source` nothing else. The source must not read what is
 * updated, which could not be done in place then. */
static bool update_reads_well(Fuser *f, const Group *g, const Op *op, int source) {
    IndexParts p = index_parts(op);
    Reads from = fuse_reads_of(f, p.update), whole = fuse_reads_of(f, p.whole);
    bool good = !reads_from(f, p.whole, source) && !(p.mask && reads_from(f, p.mask, source));
    for (int i = 0; i < p.count; i++) good = good && !reads_from(f, p.indices[i], source);
    for (int i = 0; i < from.n; i++)
        good &= group_of_read(f, &from.at[i]) != source || group_reads_own_point(g, &from.at[i], p.update->type);
    for (int i = 0; i < f->groups.at[source]->ops.n; i++) {
        const Op *member = f->groups.at[source]->ops.at[i];
        Reads reads = fuse_reads(f, member);
        good = good && !reads_same(&reads, &whole);
        for (int k = 0; k < f->body->yields.n; k++) good &= f->body->yields.at[k] != &member->results[0];
    }
    return good;
}

/* A reduction reads what it sweeps, an elementwise operation its own point, a contraction memory; the others read
 * anywhere. */
static bool op_reads_well(Fuser *f, const Group *g, const Op *op, int source) {
    if (op->info->flags & OP_UPDATES) return update_reads_well(f, g, op, source);
    if (op->info->kind == KIND_CONTRACT)
        return !reads_from(f, op->operands[0], source) && !reads_from(f, op->operands[1], source);
    Reads from = fuse_reads(f, op);
    bool pointwise = op->info->kind == KIND_MAP || op->info->kind == KIND_REDUCE || op->info->kind == KIND_CUMULATE;
    Type reader = op->info->kind == KIND_REDUCE ? op->operands[0]->type : op->results[0].type;
    for (int i = 0; i < from.n; i++)
        if (group_of_read(f, &from.at[i]) == source && (!pointwise || !group_reads_own_point(g, &from.at[i], reader)))
            return false;
    return true;
}

static bool group_reads_well(Fuser *f, int reader, int source) {
    const Group *g = f->groups.at[reader];
    for (int i = 0; i < g->ops.n; i++)
        if (!op_reads_well(f, g, g->ops.at[i], source)) return false;
    return true;
}

/* Moves the members of `from` before those of `to`, in program order. */
static void merge_groups(Fuser *f, int from, int to) {
    Group *a = f->groups.at[from], *b = f->groups.at[to];
    VEC(Op *) all = {0};
    for (int i = 0, j = 0; i < a->ops.n || j < b->ops.n;) {
        bool first = j == b->ops.n || (i < a->ops.n && position_of(f, a->ops.at[i]) <= position_of(f, b->ops.at[j]));
        vec_push(f->scratch, &all, first ? a->ops.at[i++] : b->ops.at[j++]);
    }
    for (int i = 0; i < a->ops.n; i++) {
        Reads from_reads = fuse_reads(f, a->ops.at[i]);
        for (int j = 0; j < from_reads.n; j++) note_reader(f, from_reads.at[j].value, to);
        f->group_of[a->ops.at[i]->results[0].id] = to;
    }
    b->work += a->work;
    b->ops.at = all.at;
    b->ops.n = all.n;
    b->ops.room = all.room;
    a->ops.n = 0;
}

/* Whether op relabels memory in a way that no index map says: then its operand must lie in memory. */
static bool needs_memory_operand(Module *m, const Op *op) {
    return op->info->flags & OP_RELABELS && !op_reads_in_place(m, op);
}

enum { MOST_TURNED = 3 };      /* times an element is gathered instead of being laid in order */
enum { MOST_CUT = 2 };         /* the same where conditions cut it short */
enum { SHORT_RUN = 4 };        /* elements side by side that are too few to ask for each whether they are there */
enum { RIDERS = 6 };           /* operations that a factor may bring along */

/* Whether all that v reads through free operations can be evaluated at a point, wherever it lies. */
static bool reads_pointwise(const Fuser *f, const Value *v) {
    if (group_of_value(f, v) >= 0 || !v->op || !op_is_free(f, v->op)) return true;
    if (needs_memory_operand(f->module, v->op)) return false;
    for (int i = 0; i < v->op->operand_count; i++)
        if (!reads_pointwise(f, v->op->operands[i])) return false;
    return true;
}

/* Whether a factor is packed a few times at most: the other one has few rows or columns of its own. The weights of a
 * convolution, by contrast, would be packed for every piece of the image. */
static bool is_packed_rarely(const Fuser *f, const Op *op, int factor) {
    enum { FEW = 1024 };
    Contraction c = {.dims = &f->module->dims};
    if (!op->info->contract(op, &c)) return false;
    double others = 1;
    for (int a = 0; a < c.axes; a++)
        if (c.part[a] == (factor ? PART_LHS : PART_RHS)) others *= (double)c.extent[a]->upper;
    return others <= FEW;
}

/* Whether it takes conditions, or computing, to read v through its index maps. */
static bool is_conditional(const Fuser *f, const Value *v) {
    for (; v->op && op_is_free(f, v->op) && !op_attr(v->op, "values"); v = v->op->operands[0]) {
        IndexPoint p = index_identity(&f->module->dims, v->type.rank, v->type.shape);
        if (v->op->info->kind != KIND_MOVE || !v->op->info->index_map(v->op, 0, &p) || p.guard_count) return true;
    }
    return false;
}

/* Whether v is read through a transposition that puts other elements side by side. */
static bool is_turned(const Value *v) {
    int order[MAX_RANK] = {0}, last = v->type.rank - 1;
    for (int d = 0; d <= last; d++) order[d] = d;
    for (const Value *u = v; u; u = layout_before(u, order)) {}
    return last >= 0 && order[last] != last;
}

/* How often a contraction reads each element of a factor, for one row or column of the other. */
static double times_read(const Fuser *f, const Op *op, int factor) {
    Contraction c = {.dims = &f->module->dims};
    if (!op->info->contract(op, &c)) return 0;
    double points = contraction_extent(&c, factor ? PART_RHS : PART_LHS) * contraction_extent(&c, PART_SUM) *
                    contraction_extent(&c, PART_BATCH);
    return points / (double)type_elements(&f->module->dims, op->operands[factor]->type)->upper;
}

/* Whether conditions cut what could be read in sequence into short runs, as the borders of an image of three features. */
static bool is_cut_short(const Fuser *f, const Value *v) {
    int last = v->type.rank - 1;
    return last >= 0 && v->type.shape[last]->upper <= SHORT_RUN && is_conditional(f, v);
}

/* Whether the factor is computed while it is packed even if it lies in memory: it has conditions, as at the borders of
 * a padded image. */
static bool is_guarded(const Fuser *f, const Op *op, int factor) {
    Contraction c = {.dims = &f->module->dims};
    if (!op->info->contract(op, &c)) return false;
    return (factor ? &c.rhs : &c.lhs)->guard_count || is_conditional(f, op->operands[factor]);
}

/* Whether elementwise work for a factor of the group's contraction alone may ride along with its packing. */
static bool rides_along(Fuser *f, int reader, int source) {
    const Group *to = f->groups.at[reader], *g = f->groups.at[source];
    if (to->form != GROUP_CONTRACT || g->ops.n > RIDERS) return false;
    for (int i = 0; i < g->ops.n; i++) {
        const Op *op = g->ops.at[i];
        if (op->info->kind != KIND_MAP || op->info->flags & OP_COSTLY) return false;
        for (int k = 0; k < f->body->yields.n; k++)
            if (f->body->yields.at[k] == &op->results[0]) return false;
    }
    for (int i = 0; i < to->ops.n; i++)
        for (int k = 0; k < to->ops.at[i]->operand_count; k++) {
            const Op *op = to->ops.at[i];
            if (!reads_from(f, op->operands[k], source)) continue;
            bool factor = op->info->kind == KIND_CONTRACT && is_guarded(f, op, k) && is_packed_rarely(f, op, k);
            if (!factor || !reads_pointwise(f, op->operands[k])) return false;
        }
    return true;
}

/* Needs no loop of its own: elementwise, or reads at a place known at run time. */
static bool is_pointwise(const Op *op) {
    return op->info->kind == KIND_MAP || (op->info->kind == KIND_INDEX && !(op->info->flags & OP_UPDATES));
}

/* Elementwise work on inputs alone is taken before its reader exists, as the decay of a moving average before
 * the gradient is known. It moves into its reader where that is one, of the same domain - or a contraction that packs
 * it: no path leads from one to the other but the direct one, so no cycle arises. */
void fuse_sink(Fuser *f, int first) {
    for (int p = f->groups.n - 1; p >= first; p--) {
        Group *g = f->groups.at[p];
        int reader = g->form == GROUP_MAP ? only_reader(f, p) : -1;
        if (reader < 0 || f->groups.at[reader]->form == GROUP_ALONE || !group_takes_work(f->groups.at[reader])) continue;
        if (g->work + f->groups.at[reader]->work > MOST_WORK) continue;
        Type domain = {.rank = g->rank, .shape = g->shape};
        const Group *to = f->groups.at[reader];
        bool plain = group_has_full_shape(to, domain) || group_has_row_shape(to, domain);
        for (int i = 0; i < g->ops.n; i++) plain &= is_pointwise(g->ops.at[i]);
        if ((plain && group_reads_well(f, reader, p)) || rides_along(f, reader, p)) merge_groups(f, p, reader);
    }
}

/* ------------------------------------------------------------------------------ the pass */

static const Value *behind_relabels(const Value *v) {
    while (v->op && v->op->info->flags & OP_RELABELS) v = v->op->operands[0];
    return v;
}

/* What a factor that is put into memory is, but for a last splitting of dims, through which it is read there: a line with its
 * features is laid as one. */
static Value *behind_splits(const Fuser *f, Value *v) {
    while (v->op && v->op->info->flags & OP_RELABELS && op_reads_in_place(f->module, v->op)) v = v->op->operands[0];
    return v;
}

/* Whether what a relabelling reads lies row-major; in loops it may be part of something larger. */
static bool relabels_row_major(const Fuser *f, const Value *v) {
    return !f->body->owner || op_reads_in_place(f->module, v->op);
}

/* Whether a kernel can read `v` through its index maps, from memory or of what free ops make. */
static bool reads_through(const Fuser *f, const Value *v) {
    if (!v->op || !op_is_free(f, v->op) || v->op->info->kind != KIND_MOVE) return true;
    if (v->op->info->flags & OP_RELABELS ? !relabels_row_major(f, v) : !op_reads_in_place(f->module, v->op))
        return false;
    for (int i = 0; i < v->op->operand_count; i++)
        if (!reads_through(f, v->op->operands[i])) return false;
    return true;
}

/* Whether a contraction becomes a loop nest, which packs nothing. */
static bool is_thin(const Fuser *f, const Op *op) {
    Contraction c = {.dims = &f->module->dims};
    return op->info->contract(op, &c) && contraction_is_thin(&c);
}

/* Whether the contraction reads its factor so, instead of from memory where it is put before. */
static bool factor_reads_through(const Fuser *f, const Op *op, int factor) {
    const Value *v = op->operands[factor];
    if (!reads_through(f, v)) return false;
    double times = is_turned(v) || is_cut_short(f, v) ? times_read(f, op, factor) : 0;
    if (times > MOST_TURNED || (times > MOST_CUT && is_cut_short(f, v))) return false;
    return !is_conditional(f, v) || is_packed_rarely(f, op, factor) || is_thin(f, op);
}

static void store(const Fuser *f, const Value *v) {
    if (v->op && v->op->parent == f->body && op_is_free(f, v->op)) f->stored[v->id] = true;
}

static void store_index(const Fuser *f, const Op *op) {
    IndexParts p = index_parts(op);
    for (int i = 0; i < p.count; i++) store(f, p.indices[i]);
    if (p.mask) store(f, p.mask);
    if (p.update) store(f, p.whole);
}

/* Free operations that reading v takes, as a tree; where they are too many it shall lie in memory. */
static void limit_free(Fuser *f, int *size, const Op *op) {
    const Value *v = &op->results[0];
    size[v->id] = 0;
    if (!op_is_free(f, op) || f->stored[v->id]) return;
    int64_t all = 1;
    for (int i = 0; i < op->operand_count; i++) {
        const Op *source = op->operands[i]->op;
        all += source && source->parent == f->body ? size[op->operands[i]->id] : 0;
    }
    if (all > MOST_FREE && op->operand_count) f->stored[v->id] = true;
    else size[v->id] = (int)all;
}

/* Finds free ops whose results must lie in memory all the same. These are the region's results, what
 * is relabelled in a way that no index map says, factors of a contraction that no index map reaches, operands of
 * what is no fusion, and indices and their masks, since those are checked before they are used. */
static void find_stored(Fuser *f) {
    Region *body = f->body;
    for (int i = 0; i < body->yields.n; i++) store(f, body->yields.at[i]);
    for (int i = 0; i < body->ops.n; i++) {
        const Op *op = body->ops.at[i];
        if (needs_memory_operand(f->module, op)) store(f, behind_relabels(op->operands[0]));
        if (op->info->kind == KIND_INDEX) store_index(f, op);
        for (int j = 0; j < op->operand_count; j++) {
            if (op_stands_alone(op)) store(f, op->operands[j]);
            else if (op->info->kind == KIND_CONTRACT && !factor_reads_through(f, op, j)) store(f, behind_splits(f, op->operands[j]));
        }
    }
    int *size = arena_array(f->scratch, int, f->func->value_count + 1);
    for (int i = 0; i < body->ops.n; i++)
        if (body->ops.at[i]->result_count) limit_free(f, size, body->ops.at[i]);
}

/* Results that are one free value, as the zeros of many slots, become as many: each is then made where it belongs
 * instead of copied there. */
static void separate_results(Fuser *f) {
    Region *body = f->body;
    bool *seen = arena_array(f->scratch, bool, f->func->value_count + 1);
    for (int i = 0; i < body->yields.n; i++) {
        const Op *op = body->yields.at[i]->op;
        bool again = seen[body->yields.at[i]->id];
        seen[body->yields.at[i]->id] = true;
        if (!again || !op || op->parent != body || !op_is_free(f, op)) continue;
        Op *own = op_append(f->module, body, op->info, op->operands, op->operand_count, 1, op->attrs, op->attr_count, 0,
                            op->span);
        own->results[0].type = op->results[0].type;
        body->yields.at[i] = &own->results[0];
    }
}

/* IR text may come from after this pass. */
static bool is_fused(const Region *r) {
    for (int i = 0; i < r->ops.n; i++) {
        const Op *op = r->ops.at[i];
        if (op->info->form == FORM_ONCE) return true;
        for (int k = 0; k < op->region_count; k++)
            if (is_fused(op->regions[k])) return true;
    }
    return false;
}

/* Whether op computes of constants and indices alone what is cheaper to compute again than to load. */
static bool is_bare(const Fuser *f, const Op *op) {
    bool cheap = op->info->kind == KIND_MOVE || (op->info->kind == KIND_MAP && !(op->info->flags & OP_COSTLY));
    for (int i = 0; i < op->operand_count; i++) cheap = cheap && op->operands[i]->op && f->bare[op->operands[i]->id];
    return cheap;
}

static void find_bare(Fuser *f, const Region *r) {
    for (int i = 0; i < r->ops.n; i++)
        if (is_bare(f, r->ops.at[i])) f->bare[r->ops.at[i]->results[0].id] = true;
}

static void separate_all(Fuser *f, Region *r) {
    f->body = r;
    find_bare(f, r);
    separate_results(f);
    for (int i = 0; i < r->ops.n; i++)
        for (int k = 0; k < r->ops.at[i]->region_count; k++) separate_all(f, r->ops.at[i]->regions[k]);
}

static void fuse_region(Fuser *f, Region *r) {
    for (int i = 0; i < r->ops.n; i++)
        for (int k = 0; k < r->ops.at[i]->region_count; k++) fuse_region(f, r->ops.at[i]->regions[k]);
    f->body = r;
    f->words = r->ops.n / 64 + 1;
    f->added = arena_array(f->scratch, uint64_t, f->words);
    f->groups.n = f->dims.n = 0;
    find_bare(f, r);
    find_stored(f);
    for (int i = 0; i < r->ops.n; i++) {
        Op *op = r->ops.at[i];
        f->at = i;
        for (int k = 0; k < op->result_count; k++) f->position[op->results[k].id] = 2 * i;
        if (!op_is_free(f, op) || f->stored[op->results[0].id]) group_op(f, op);
    }
    fuse_sink(f, 0);
    fuse_keep(f);
    fuse_repeat(f);
    fuse_write(f);
}

enum { ROOM = 4 };             /* copies of operations, for each of the function's: fuse_keep.c */

static void fuse_func(PassContext *c, Func *func) {
    Fuser f = {.module = func->module, .func = func, .scratch = c->scratch, .least = fuse_keep_least(c)};
    if (is_fused(func->body)) return;
    f.bare = arena_array(c->scratch, bool, graph_number(func) + 1);
    separate_all(&f, func->body);
    f.values = graph_number(func);
    int values = f.room = f.values + ROOM * func->body->ops.n + 1;
    f.bare = arena_array(c->scratch, bool, values);
    f.group_of = arena_array(c->scratch, int, values);
    f.position = arena_array(c->scratch, int, values);
    f.readers = arena_alloc(c->scratch, sizeof *f.readers * (size_t)values);
    f.stored = arena_array(c->scratch, bool, values);
    f.forced = arena_array(c->scratch, bool, values);
    f.escapes = arena_array(c->scratch, bool, values);
    f.now = arena_array(c->scratch, Value *, values);
    f.inside = arena_array(c->scratch, Value *, values);
    for (int i = 0; i < values; i++) f.group_of[i] = -1;
    fuse_region(&f, func->body);
    graph_number(func);
}

void pass_fuse(PassContext *c, Module *m) {
    for (int i = 0; i < m->funcs.n; i++) fuse_func(c, m->funcs.at[i]);
    if (m->init) fuse_func(c, m->init);
    if (m->prepare) fuse_func(c, m->prepare);
}
