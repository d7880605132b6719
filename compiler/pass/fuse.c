/* fuse: groups operations into kernels.
 *
 * In: a function's flat body. Out: the same function whose body is a list of `fusion` ops in an order
 * that respects dependence, each holding the operations of one kernel; index maps and constants are
 * repeated inside every fusion that reads through them.
 *
 * A group has a domain, the shape S it sweeps, and takes further operations while they fit:
 *   MAP       elementwise operations on S;
 *   ROWS      also reductions over a fixed set of S's axes, and operations on what remains of S without
 *             them, e.g. all of softmax, its gradient, the losses after it; bias gradients and updates;
 *   CONTRACT  one contraction and elementwise operations on its result: bias, activation, mask, and the
 *             optimiser's whole update after a kernel gradient;
 *   ALONE     anything else.
 * Operations are taken in order; each joins the last group that it may join without a cycle (a group
 * holding its contraction first), or opens a new one. So chains fuse forward, siblings that read the
 * same values meet, and no operation is ever computed twice across kernels. */
#include "ops/build.h"
#include "ops/index_map.h"
#include "pass/group.h"
#include "pass/pass.h"

#include <stdlib.h>

typedef enum GroupForm { GROUP_MAP, GROUP_ROWS, GROUP_CONTRACT, GROUP_ALONE } GroupForm;

typedef struct Group {
    GroupForm form;
    int rank;
    const Dim *shape;          /* S */
    unsigned inner;            /* ROWS: bit set of the reduced axes of S */
    VEC(Op *) ops;             /* members, in order; free ops are members only to be stored */
    uint64_t *needs;           /* bit set of the groups that must run before */
} Group;

typedef struct Fuser {
    Module *module;
    Func *func;
    Arena *scratch;
    VEC(Group *) groups;
    int *group_of;             /* by id of an op's first result: its group or -1 */
    int words;                 /* of a bit set of groups */
    VEC(int) *readers;         /* by value id: groups that read it from memory */
    int *position;             /* by id of an op's first result: its place in the body */
} Fuser;

static bool has(const uint64_t *set, int i) { return set[i / 64] >> (i % 64) & 1; }
static void put(uint64_t *set, int i) { set[i / 64] |= (uint64_t)1 << (i % 64); }

static int group_of_value(const Fuser *f, const Value *v) {
    return v->op && v->op->parent == f->func->body ? f->group_of[v->op->results[0].id] : -1;
}

/* ------------------------------------------------------------ reading through index maps */

bool op_reads_in_place(Module *m, const Op *op) {
    Type t = op->results[0].type;
    for (int i = 0; i < op->operand_count; i++) {
        IndexPoint p = index_identity(&m->dims, t.rank, t.shape);
        if (!op->info->index_map(op, i, &p)) return false;
    }
    return true;
}

/* How a read of op's result with its dims placed at axes `place` of a domain (-1: not an axis) looks as a read of
 * operand 0. False if it is no longer a placement of whole axes. */
static bool step_placement(const Fuser *f, const Op *op, const int *place, int *source_place) {
    Type t = op->results[0].type;
    IndexPoint p = index_identity(&f->module->dims, t.rank, t.shape);
    if (op->info->kind != KIND_MOVE || !op->info->index_map(op, 0, &p) || p.guard_count) return false;
    for (int i = 0; i < p.rank; i++) {
        int axis;
        source_place[i] = -1;
        if (index_is_axis(&p.at[i], p.axes, &axis)) source_place[i] = place[axis];
        else if (!dim_is(op->operands[0]->type.shape[i], 1)) return false;
    }
    return true;
}

/* A value that an op reads once free ops are looked through. */
typedef struct Read {
    Value *value;
    bool placed;               /* its dims are whole axes of the reader: */
    int place[MAX_RANK];       /* which axis each dim is, -1 where the extent is 1 */
} Read;
typedef VEC(Read) Reads;

static void find_sources(Fuser *f, Value *v, bool placed, const int *place, Reads *to) {
    Op *op = v->op;
    if (op && op_is_free(op) && group_of_value(f, v) < 0) {
        for (int i = 0; i < op->operand_count; i++) {
            int inner[MAX_RANK] = {0};
            bool ok = placed && i == 0 && step_placement(f, op, place, inner);
            find_sources(f, op->operands[i], ok, inner, to);
        }
        return;
    }
    Read s = {.value = v, .placed = placed};
    if (placed) memcpy(s.place, place, sizeof s.place);
    vec_push(f->scratch, to, s);
}

static Reads sources_of(Fuser *f, const Op *op) {
    Reads to = {0};
    for (int i = 0; i < op->operand_count; i++) {
        Value *v = op->operands[i];
        int place[MAX_RANK];
        for (int d = 0; d < MAX_RANK; d++) place[d] = d < v->type.rank && !dim_is(v->type.shape[d], 1) ? d : -1;
        find_sources(f, v, true, place, &to);
    }
    return to;
}

/* ----------------------------------------------------------------------- what fits where */

static int rows_rank(const Group *g) {
    int n = 0;
    for (int d = 0; d < g->rank; d++) n += !(g->inner >> d & 1);
    return n;
}

/* Whether `shape` is S without the reduced axes. */
static bool is_row_shape(const Group *g, Type t) {
    if (g->form != GROUP_ROWS || t.rank != rows_rank(g)) return false;
    for (int d = 0, i = 0; d < g->rank; d++)
        if (!(g->inner >> d & 1) && t.shape[i++] != g->shape[d]) return false;
    return true;
}

static bool is_full_shape(const Group *g, Type t) { return shape_equal(g->rank, g->shape, t.rank, t.shape); }

/* Whether a member's value, read by a member of type `reader`, is read at its own point: full values at
 * the same point, row values at the point's row. */
static bool reads_own_point(const Group *g, const Read *s, Type reader) {
    if (!s->placed) return false;
    bool full = is_full_shape(g, reader), source_full = is_full_shape(g, s->value->type);
    if (source_full && !full) return false;
    int axis = -1;
    for (int i = 0; i < s->value->type.rank; i++) {
        do axis++;
        while (!source_full && full && axis < g->rank && (g->inner >> axis & 1));
        if (s->place[i] != axis && !dim_is(s->value->type.shape[i], 1)) return false;
    }
    return true;
}

static bool members_read_well(const Fuser *f, const Group *g, int number, const Reads *from, Type reader) {
    for (int i = 0; i < from->n; i++)
        if (group_of_value(f, from->at[i].value) == number && !reads_own_point(g, &from->at[i], reader)) return false;
    return true;
}

static unsigned axes_mask(const Op *op) {
    int n;
    if (op_attr(op, "axis")) return 1u << op_int(op, "axis");
    const int64_t *axes = op_ints(op, "axes", &n);
    unsigned mask = 0;
    for (int i = 0; i < n; i++) mask |= 1u << axes[i];
    return mask;
}

/* Reducing everything leaves one item of work: only small domains may be pulled into that. */
enum { WHOLE_REDUCTION_LIMIT = 1 << 14 };

static bool whole_is_small(int rank, const Dim *shape, unsigned inner) {
    double n = 1;
    for (int d = 0; d < rank; d++) {
        if (!(inner >> d & 1) && !dim_is(shape[d], 1)) return true;
        n *= (double)shape[d]->upper;
    }
    return n <= WHOLE_REDUCTION_LIMIT;
}

static bool reduction_fits(Fuser *f, const Group *g, int number, const Op *op, const Reads *from) {
    Type x = op->operands[0]->type;
    unsigned mask = axes_mask(op);
    if (!is_full_shape(g, x)) return false;
    if (g->form == GROUP_ROWS ? g->inner != mask : g->form != GROUP_MAP || !whole_is_small(g->rank, g->shape, mask))
        return false;
    return members_read_well(f, g, number, from, x);
}

/* A gather that picks along the reduced axis, row by row, can evaluate its operand at the picked place. */
static bool gather_fits(Fuser *f, const Group *g, int number, const Op *op) {
    int64_t batch = op_int(op, "batch"), axis = op_int(op, "axis");
    Value *x = op->operands[0], *index = op->operands[1];
    if (g->form != GROUP_ROWS || axis != batch || x->type.rank != batch + 1 || index->type.rank != batch) return false;
    if (!is_full_shape(g, x->type) || g->inner != 1u << axis) return false;
    Reads a = {0}, b = {0};
    int place[MAX_RANK];
    for (int d = 0; d < MAX_RANK; d++) place[d] = d;
    find_sources(f, x, true, place, &a);
    find_sources(f, index, true, place, &b);
    for (int i = 0; i < b.n; i++)
        if (group_of_value(f, b.at[i].value) == number) return false;
    return members_read_well(f, g, number, &a, x->type);
}

static bool op_fits(Fuser *f, int number, const Op *op, const Reads *from) {
    const Group *g = f->groups.at[number];
    if (g->form == GROUP_ALONE) return false;
    switch (op->info->kind) {
    case KIND_MAP:
        if (!is_full_shape(g, op->results[0].type) && !is_row_shape(g, op->results[0].type)) return false;
        return members_read_well(f, g, number, from, op->results[0].type);
    case KIND_REDUCE: return reduction_fits(f, g, number, op, from);
    case KIND_INDEX: return !(op->info->flags & OP_ADDS_AT) && gather_fits(f, g, number, op);
    default: return false;
    }
}

/* Joining must not make the group wait for itself: what op reads from outside must not need the group. */
static bool joins_without_cycle(const Fuser *f, int number, const Reads *from) {
    for (int i = 0; i < from->n; i++) {
        int s = group_of_value(f, from->at[i].value);
        if (s >= 0 && s != number && has(f->groups.at[s]->needs, number)) return false;
    }
    return true;
}

/* ------------------------------------------------------------------------------ grouping */

static void add_needs(Fuser *f, int number, const Reads *from) {
    Group *g = f->groups.at[number];
    uint64_t *added = arena_array(f->scratch, uint64_t, f->words);
    for (int i = 0; i < from->n; i++) {
        int s = group_of_value(f, from->at[i].value);
        if (s < 0 || s == number) continue;
        put(added, s);
        for (int w = 0; w < f->words; w++) added[w] |= f->groups.at[s]->needs[w];
    }
    for (int w = 0; w < f->words; w++) g->needs[w] |= added[w];
    for (int h = 0; h < f->groups.n; h++)
        if (h != number && has(f->groups.at[h]->needs, number))
            for (int w = 0; w < f->words; w++) f->groups.at[h]->needs[w] |= g->needs[w];
}

static int open_group(Fuser *f, const Op *op) {
    Group *g = arena_new(f->scratch, Group);
    Type domain = op->results[0].type;
    switch (op->info->kind) {
    case KIND_MAP:
    case KIND_MOVE: g->form = GROUP_MAP; break;
    case KIND_CONTRACT: g->form = GROUP_CONTRACT; break;
    case KIND_INDEX: g->form = op->info->flags & OP_ADDS_AT ? GROUP_ALONE : GROUP_MAP; break;
    case KIND_REDUCE:
        g->form = GROUP_ROWS;
        domain = op->operands[0]->type;
        g->inner = axes_mask(op);
        break;
    default: g->form = GROUP_ALONE; break;
    }
    g->rank = domain.rank;
    g->shape = domain.shape;
    g->needs = arena_array(f->scratch, uint64_t, f->words);
    vec_push(f->scratch, &f->groups, g);
    return f->groups.n - 1;
}

static bool may_join(Fuser *f, int group, const Op *op, const Reads *from) {
    return op_fits(f, group, op, from) && joins_without_cycle(f, group, from);
}

/* Which of two groups that may be joined is better: a contraction's saves most, then one with reductions; of
 * like ones the later. */
static bool better_group(const Fuser *f, int a, int b) {
    static const int rank[] = {[GROUP_ALONE] = 0, [GROUP_MAP] = 1, [GROUP_ROWS] = 2, [GROUP_CONTRACT] = 3};
    if (b < 0) return true;
    int x = rank[f->groups.at[a]->form], y = rank[f->groups.at[b]->form];
    return x != y ? x > y : a > b;
}

/* The group to join, or -1: one that makes what op reads, else one that reads the same. */
static int choose_group(Fuser *f, const Op *op, const Reads *from) {
    int best = -1;
    for (int i = 0; i < from->n; i++) {
        int maker = group_of_value(f, from->at[i].value);
        if (maker >= 0 && better_group(f, maker, best) && may_join(f, maker, op, from)) best = maker;
    }
    if (best >= 0) return best;
    for (int i = 0; i < from->n; i++) {
        int id = from->at[i].value->id;
        for (int r = 0; r < f->readers[id].n; r++) {
            int g = f->readers[id].at[r];
            bool sibling = f->groups.at[g]->form != GROUP_CONTRACT && better_group(f, g, best);
            if (sibling && may_join(f, g, op, from)) best = g;
        }
    }
    return best;
}

static void note_reader(Fuser *f, const Value *v, int group) {
    for (int i = 0; i < f->readers[v->id].n; i++)
        if (f->readers[v->id].at[i] == group) return;
    vec_push(f->scratch, &f->readers[v->id], group);
}

static void join(Fuser *f, int number, Op *op, const Reads *from) {
    Group *g = f->groups.at[number];
    if (op->info->kind == KIND_REDUCE && g->form == GROUP_MAP) {
        g->form = GROUP_ROWS;
        g->inner = axes_mask(op);
    }
    vec_push(f->scratch, &g->ops, op);
    f->group_of[op->results[0].id] = number;
    for (int i = 0; i < from->n; i++)
        if (group_of_value(f, from->at[i].value) != number) note_reader(f, from->at[i].value, number);
    add_needs(f, number, from);
}

static void group_op(Fuser *f, Op *op) {
    Reads from = sources_of(f, op);
    int number = choose_group(f, op, &from);
    if (number < 0) number = open_group(f, op);
    join(f, number, op, &from);
}

/* Whether op relabels memory in a way that no index map says: then its operand must lie in memory. */
static bool needs_memory_operand(Module *m, const Op *op) {
    return op->info->flags & OP_RELABELS && !op_reads_in_place(m, op);
}

/* ------------------------------------------------------------------------- writing it out */

typedef struct Writer {
    Fuser *f;
    Region *to;                /* the new body */
    Value **now;               /* by old value id: its value in the new body */
    Value **inside;            /* by old value id: its value in the fusion being written, or null */
    VEC(Value *) touched;      /* old values whose `inside` is set */
    Region *region;
    VEC(Value *) operands;     /* new values the fusion reads */
} Writer;

static Op *copy_op(Writer *w, Region *to, const Op *op, Value **operands) {
    Op *c = op_append(w->f->module, to, op->info, operands, op->operand_count, op->result_count, op->attrs,
                      op->attr_count, 0, op->span);
    for (int i = 0; i < op->result_count; i++) {
        c->results[i].type = op->results[i].type;
        c->results[i].name = op->results[i].name;
    }
    return c;
}

static void set_inside(Writer *w, Value *old, Value *value) {
    w->inside[old->id] = value;
    vec_push(w->f->scratch, &w->touched, old);
}

/* The value inside the fusion for an old value: a member's, a repeated free op's, or a new operand. */
static Value *inside_value(Writer *w, Value *old, int number) {
    if (w->inside[old->id]) return w->inside[old->id];
    Op *op = old->op;
    bool own = group_of_value(w->f, old) == number;
    if (op && op_is_free(op) && (own || group_of_value(w->f, old) < 0)) {
        Value *operands[64];
        for (int i = 0; i < op->operand_count && i < 64; i++) operands[i] = inside_value(w, op->operands[i], number);
        set_inside(w, old, &copy_op(w, w->region, op, operands)->results[0]);
    } else {
        set_inside(w, old, region_add_param(w->f->module, w->region, old->type, old->name));
        vec_push(w->f->scratch, &w->operands, w->now[old->id]);
    }
    return w->inside[old->id];
}

static void write_members(Writer *w, const Group *g, int number) {
    for (int i = 0; i < g->ops.n; i++) {
        Op *op = g->ops.at[i];
        if (w->inside[op->results[0].id]) continue;
        Value **operands = arena_array(w->f->scratch, Value *, op->operand_count);
        for (int j = 0; j < op->operand_count; j++) operands[j] = inside_value(w, op->operands[j], number);
        Op *c = copy_op(w, w->region, op, operands);
        for (int j = 0; j < op->result_count; j++) set_inside(w, &op->results[j], &c->results[j]);
    }
}

/* Members' results that are read outside the group. */
static void find_outputs(const Fuser *f, const Group *g, const bool *escapes, void *to_vec, Arena *scratch) {
    VEC(Value *) *to = to_vec;
    (void)f;
    for (int i = 0; i < g->ops.n; i++)
        for (int j = 0; j < g->ops.at[i]->result_count; j++)
            if (escapes[g->ops.at[i]->results[j].id]) vec_push(scratch, to, &g->ops.at[i]->results[j]);
}

static void write_group(Writer *w, int number, const bool *escapes) {
    Fuser *f = w->f;
    const Group *g = f->groups.at[number];
    w->region = region_new(f->module, f->func, NULL);
    w->operands.n = w->touched.n = 0;
    write_members(w, g, number);
    VEC(Value *) outputs = {0};
    find_outputs(f, g, escapes, &outputs, f->scratch);
    Op *fusion = op_append(f->module, w->to, &OP_fusion, w->operands.at, w->operands.n, outputs.n, NULL, 0, 1,
                           g->ops.at[0]->span);
    fusion->regions[0] = w->region;
    w->region->owner = fusion;
    for (int i = 0; i < outputs.n; i++) {
        Value *old = outputs.at[i];
        vec_push(f->module->arena, &w->region->yields, w->inside[old->id]);
        fusion->results[i].type = old->type;
        fusion->results[i].name = old->name;
        w->now[old->id] = &fusion->results[i];
    }
    for (int i = 0; i < w->touched.n; i++) w->inside[w->touched.at[i]->id] = NULL;
}

/* By value id: read by another group (looking through free ops) or a result of the function. */
static bool *find_escapes(Fuser *f) {
    bool *escapes = arena_array(f->scratch, bool, f->func->value_count);
    for (int n = 0; n < f->groups.n; n++) {
        const Group *g = f->groups.at[n];
        for (int i = 0; i < g->ops.n; i++) {
            Reads from = sources_of(f, g->ops.at[i]);
            for (int j = 0; j < from.n; j++)
                if (group_of_value(f, from.at[j].value) != n) escapes[from.at[j].value->id] = true;
        }
    }
    Region *body = f->func->body;
    for (int i = 0; i < body->yields.n; i++) escapes[body->yields.at[i]->id] = true;
    return escapes;
}

/* Groups in an order in which needed ones come first; among the ready the one opened first. */
static int *order_groups(Fuser *f) {
    int *order = arena_array(f->scratch, int, f->groups.n + 1), done = 0;
    uint64_t *ran = arena_array(f->scratch, uint64_t, f->words);
    while (done < f->groups.n) {
        int before = done;
        for (int g = 0; g < f->groups.n; g++) {
            bool ready = !has(ran, g);
            for (int w = 0; ready && w < f->words; w++) ready = !(f->groups.at[g]->needs[w] & ~ran[w]);
            if (!ready) continue;
            put(ran, g);
            order[done++] = g;
        }
        if (done == before) return NULL;
    }
    return order;
}

/* ------------------------------------------------------------------------------- sinking */

static int position_of(const Fuser *f, const Op *op) { return f->position[op->results[0].id]; }

/* The only group that reads members of group `number`; -1 if there is none, -2 if there are several. */
static int only_reader(Fuser *f, int number) {
    int only = -1;
    for (int i = 0; i < f->groups.at[number]->ops.n; i++) {
        const Op *op = f->groups.at[number]->ops.at[i];
        for (int j = 0; j < f->readers[op->results[0].id].n; j++) {
            int g = f->readers[op->results[0].id].at[j];
            if (g == number || g == only) continue;
            if (only >= 0) return -2;
            only = g;
        }
    }
    return only;
}

/* A reduction reads what it sweeps, an elementwise operation its own point; the others read anywhere. */
static bool op_reads_well(Fuser *f, const Group *g, const Op *op, int source) {
    Reads from = sources_of(f, op);
    bool pointwise = op->info->kind == KIND_MAP || op->info->kind == KIND_REDUCE;
    Type reader = op->info->kind == KIND_REDUCE ? op->operands[0]->type : op->results[0].type;
    for (int i = 0; i < from.n; i++)
        if (group_of_value(f, from.at[i].value) == source && (!pointwise || !reads_own_point(g, &from.at[i], reader)))
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
        bool first = j == b->ops.n || (i < a->ops.n && position_of(f, a->ops.at[i]) < position_of(f, b->ops.at[j]));
        vec_push(f->scratch, &all, first ? a->ops.at[i++] : b->ops.at[j++]);
    }
    for (int i = 0; i < a->ops.n; i++) {
        Reads from_reads = sources_of(f, a->ops.at[i]);
        for (int j = 0; j < from_reads.n; j++) note_reader(f, from_reads.at[j].value, to);
        f->group_of[a->ops.at[i]->results[0].id] = to;
    }
    b->ops.at = all.at;
    b->ops.n = all.n;
    b->ops.room = all.room;
    a->ops.n = 0;
}

/* Elementwise work on inputs alone is taken before its reader exists, as the decay of a moving average before
 * the gradient is known. It moves into its reader where that is one, of the same domain: no path leads from one
 * to the other but the direct one, so no cycle arises. */
static void sink_groups(Fuser *f) {
    for (int p = f->groups.n - 1; p >= 0; p--) {
        Group *g = f->groups.at[p];
        int reader = g->form == GROUP_MAP ? only_reader(f, p) : -1;
        if (reader < 0 || f->groups.at[reader]->form == GROUP_ALONE) continue;
        Type domain = {.rank = g->rank, .shape = g->shape};
        const Group *to = f->groups.at[reader];
        bool plain = is_full_shape(to, domain) || is_row_shape(to, domain);
        for (int i = 0; i < g->ops.n; i++) plain &= g->ops.at[i]->info->kind == KIND_MAP;
        if (plain && group_reads_well(f, reader, p)) merge_groups(f, p, reader);
    }
}

/* Whether a kernel can read `v` with an affine address: index maps without conditions, down to memory. */
static bool reads_affinely(Fuser *f, const Value *v) {
    for (; v->op && op_is_free(v->op); v = v->op->operands[0]) {
        Type t = v->type;
        IndexPoint p = index_identity(&f->module->dims, t.rank, t.shape);
        if (v->op->info->kind != KIND_MOVE) return false;
        if (!(v->op->info->flags & OP_RELABELS) && (!v->op->info->index_map(v->op, 0, &p) || p.guard_count)) return false;
    }
    return true;
}

static const Value *behind_relabels(const Value *v) {
    while (v->op && v->op->info->flags & OP_RELABELS) v = v->op->operands[0];
    return v;
}

static void store(const Fuser *f, bool *stored, const Value *v) {
    if (v->op && v->op->parent == f->func->body && op_is_free(v->op)) stored[v->id] = true;
}

/* By value id: free ops whose results must lie in memory all the same. These are the function's results, what
 * is relabelled in a way that no index map says, factors of a contraction that no affine address reaches, and
 * indices, since those are checked before they are used. */
static bool *find_stored(Fuser *f) {
    Region *body = f->func->body;
    bool *stored = arena_array(f->scratch, bool, f->func->value_count + 1);
    for (int i = 0; i < body->yields.n; i++) store(f, stored, body->yields.at[i]);
    for (int i = 0; i < body->ops.n; i++) {
        const Op *op = body->ops.at[i];
        if (needs_memory_operand(f->module, op)) store(f, stored, behind_relabels(op->operands[0]));
        if (op->info->kind == KIND_INDEX) store(f, stored, op->operands[1]);
        if (op->info->flags & OP_ADDS_AT) store(f, stored, op->operands[0]);
        for (int j = 0; op->info->kind == KIND_CONTRACT && j < op->operand_count; j++)
            if (!reads_affinely(f, op->operands[j])) store(f, stored, op->operands[j]);
    }
    return stored;
}

static void fuse_func(PassContext *c, Func *func) {
    Fuser f = {.module = func->module, .func = func, .scratch = c->scratch};
    int values = graph_number(func), ops = func->body->ops.n;
    bool *stored = find_stored(&f);
    f.words = ops / 64 + 1;
    f.group_of = arena_array(c->scratch, int, values + 1);
    f.position = arena_array(c->scratch, int, values + 1);
    f.readers = arena_alloc(c->scratch, sizeof *f.readers * (size_t)(values + 1));
    for (int i = 0; i < values; i++) f.group_of[i] = -1;
    for (int i = 0; i < ops; i++) {
        Op *op = func->body->ops.at[i];
        f.position[op->results[0].id] = i;
        if (!op_is_free(op) || stored[op->results[0].id]) group_op(&f, op);
    }
    sink_groups(&f);
    bool *escapes = find_escapes(&f);
    int *order = order_groups(&f);
    Writer w = {.f = &f, .to = region_new(func->module, func, NULL)};
    w.now = arena_array(c->scratch, Value *, values + 1);
    w.inside = arena_array(c->scratch, Value *, values + 1);
    for (int i = 0; i < func->body->params.n; i++) {
        Value *p = func->body->params.at[i];
        w.now[p->id] = p;
        p->region = w.to;
    }
    w.to->params.at = func->body->params.at;
    w.to->params.n = w.to->params.room = func->body->params.n;
    for (int i = 0; i < f.groups.n; i++)
        if (f.groups.at[order[i]]->ops.n) write_group(&w, order[i], escapes);
    for (int i = 0; i < func->body->yields.n; i++)
        vec_push(func->module->arena, &w.to->yields, w.now[func->body->yields.at[i]->id]);
    func->body = w.to;
    graph_number(func);
}

void pass_fuse(PassContext *c, Module *m) {
    for (int i = 0; i < m->funcs.n; i++) fuse_func(c, m->funcs.at[i]);
    if (m->init) fuse_func(c, m->init);
}
