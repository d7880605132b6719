/* fuse_fit: which operations fit which groups. See fuse.c.
 *
 * What an operation reads is found by looking through free operations - index maps and constants, which every
 * kernel repeats - down to members of groups and to memory. A member of a group may be read by another member
 * where both are at one point of the domain; how the index maps between them place dims tells whether they are. */
#include "ops/index.h"
#include "ops/index_map.h"
#include "pass/fuse.h"

bool op_reads_in_place(Module *m, const Op *op) {
    Type t = op->results[0].type;
    int count = op->info->flags & OP_BARRIER ? 1 : op->operand_count;
    for (int i = 0; i < count; i++) {
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

/* Whether an op or one in its regions mentions a dim. */
static bool op_mentions(const DimTable *t, const Op *op, int symbol) {
    for (int i = 0; i < op->result_count; i++)
        for (int d = 0; d < op->results[i].type.rank; d++)
            if (dim_mentions(t, op->results[i].type.shape[d], symbol)) return true;
    for (int i = 0; i < op->attr_count; i++)
        for (int d = 0; op->attrs[i].kind == ATTR_DIMS && d < op->attrs[i].n; d++)
            if (dim_mentions(t, op->attrs[i].dims[d], symbol)) return true;
    for (int r = 0; r < op->region_count; r++)
        for (int i = 0; i < op->regions[r]->ops.n; i++)
            if (op_mentions(t, op->regions[r]->ops.at[i], symbol)) return true;
    return false;
}

static void find_bound_dims(Fuser *f, const Op *op, Reads *to) {
    for (int i = 0; i < f->dims.n; i++)
        if (op_mentions(&f->module->dims, op, f->dims.at[i].symbol))
            vec_push(f->scratch, to, (Read){.binder = f->dims.at[i].group});
}

static void find_sources(Fuser *f, Value *v, bool placed, const int *place, Reads *to) {
    Op *op = v->op;
    if (op && op_is_free(f, op) && group_of_value(f, v) < 0) {
        find_bound_dims(f, op, to);
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

static void add_reads(Fuser *f, Value *v, Reads *to) {
    int place[MAX_RANK];
    for (int d = 0; d < MAX_RANK; d++) place[d] = d < v->type.rank && !dim_is(v->type.shape[d], 1) ? d : -1;
    find_sources(f, v, true, place, to);
}

Reads fuse_reads_of(Fuser *f, Value *v) {
    Reads to = {0};
    add_reads(f, v, &to);
    return to;
}

Reads fuse_reads(Fuser *f, const Op *op) {
    Reads to = {0};
    find_bound_dims(f, op, &to);
    for (int i = 0; i < op->operand_count; i++) add_reads(f, op->operands[i], &to);
    return to;
}

/* ----------------------------------------------------------------------- what fits where */

/* Dims of extent 1 do not count: a reshape that adds or drops some does not part what it stands between. */
bool group_has_full_shape(const Group *g, Type t) {
    return type_same_but_units((Type){.rank = g->rank, .shape = g->shape}, t);
}

/* Whether `t` is S without the reduced axes; dims of extent 1 do not count. */
bool group_has_row_shape(const Group *g, Type t) {
    int d = 0, i = 0;
    if (g->form != GROUP_ROWS) return false;
    for (;;) {
        while (d < g->rank && (g->inner >> d & 1 || dim_is(g->shape[d], 1))) d++;
        while (i < t.rank && dim_is(t.shape[i], 1)) i++;
        if (d == g->rank || i == t.rank) return d == g->rank && i == t.rank;
        if (g->shape[d++] != t.shape[i++]) return false;
    }
}

/* How many dims longer than 1 come before dim d. */
static int long_dims_before(Type t, int d) {
    int n = 0;
    for (int i = 0; i < d; i++) n += !dim_is(t.shape[i], 1);
    return n;
}

/* Whether each dim of the value longer than 1 is read along the reader's dim that corresponds. */
static bool reads_full_point(const Read *s, Type reader) {
    Type t = s->value->type;
    for (int i = 0; i < t.rank; i++) {
        if (dim_is(t.shape[i], 1)) continue;
        if (s->place[i] < 0 || long_dims_before(reader, s->place[i]) != long_dims_before(t, i)) return false;
    }
    return true;
}

/* The dim longer than 1 that is number n among S's, or with `rows` among those that are not reduced; -1: there is none. */
static int long_axis(const Group *g, int n, bool rows) {
    for (int d = 0; d < g->rank; d++) {
        if (dim_is(g->shape[d], 1) || (rows && g->inner >> d & 1)) continue;
        if (!n--) return d;
    }
    return -1;
}

/* Whether each dim of a row's value longer than 1 is read along the full reader's dim that corresponds. */
static bool reads_own_row(const Group *g, const Read *s, Type reader) {
    Type t = s->value->type;
    for (int i = 0; i < t.rank; i++) {
        if (dim_is(t.shape[i], 1)) continue;
        if (s->place[i] < 0) return false;
        int read = long_axis(g, long_dims_before(reader, s->place[i]), false), own = long_axis(g, long_dims_before(t, i), true);
        if (read < 0 || read != own) return false;
    }
    return true;
}

/* Whether a member's value, read by a member of type `reader`, is read at its own point: full values at
 * the same point, row values at the point's row. */
bool group_reads_own_point(const Group *g, const Read *s, Type reader) {
    if (!s->placed) return false;
    bool full = group_has_full_shape(g, reader), source_full = group_has_full_shape(g, s->value->type);
    if (source_full && !full) return false;
    return full && !source_full ? reads_own_row(g, s, reader) : reads_full_point(s, reader);
}

static bool members_read_well(const Fuser *f, const Group *g, int number, const Reads *from, Type reader) {
    for (int i = 0; i < from->n; i++)
        if (group_of_read(f, &from->at[i]) == number && !group_reads_own_point(g, &from->at[i], reader)) return false;
    return true;
}

unsigned fuse_axes_mask(const Op *op) {
    int n;
    if (op_attr(op, "axis")) return 1u << op_int(op, "axis");
    const int64_t *axes = op_ints(op, "axes", &n);
    unsigned mask = 0;
    for (int i = 0; i < n; i++) mask |= 1u << axes[i];
    return mask;
}

bool fuse_goes_backward(const Op *op) { return op_attr(op, "reverse") && op_int(op, "reverse"); }

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
    unsigned mask = fuse_axes_mask(op);
    if (!group_has_full_shape(g, x)) return false;
    if (g->form == GROUP_ROWS ? g->inner != mask : g->form != GROUP_MAP || !whole_is_small(g->rank, g->shape, mask))
        return false;
    return members_read_well(f, g, number, from, x);
}

/* What reads at run-time places joins where its result is computed at each point and its operands lie in memory. */
static bool reading_fits(const Fuser *f, const Group *g, int number, const Op *op, const Reads *from) {
    if (op->info->flags & OP_UPDATES || !group_takes_work(g)) return false;
    for (int i = 0; i < from->n; i++)
        if (group_of_read(f, &from->at[i]) == number) return false;
    Type t = op->results[0].type;
    return g->form != GROUP_CONTRACT && (group_has_full_shape(g, t) || group_has_row_shape(g, t));
}

/* A gather that picks along the reduced axis, row by row, can evaluate its operand at the picked place. */
static bool gather_fits(Fuser *f, const Group *g, int number, const Op *op) {
    if (op->info->flags & (OP_UPDATES | OP_AT_BOX)) return false;
    IndexParts p = index_parts(op);
    int64_t batch = op_int(op, "batch"), axis = op_int(op, "axis");
    Value *x = p.whole, *index = p.indices[0];
    if (g->form != GROUP_ROWS || axis != batch || x->type.rank != batch + 1 || index->type.rank != batch) return false;
    if (!group_has_full_shape(g, x->type) || g->inner != 1u << axis) return false;
    Reads a = {0}, b = {0};
    int place[MAX_RANK];
    for (int d = 0; d < MAX_RANK; d++) place[d] = d;
    find_sources(f, x, true, place, &a);
    find_sources(f, index, true, place, &b);
    if (p.mask) find_sources(f, p.mask, true, place, &b);
    for (int i = 0; i < b.n; i++)
        if (group_of_read(f, &b.at[i]) == number) return false;
    return members_read_well(f, g, number, &a, x->type);
}

/* A cumulative op joins those that sweep the same way, and what it reads at its own point. */
static bool sweep_fits(Fuser *f, const Group *g, int number, const Op *op, const Reads *from) {
    Type x = op->operands[0]->type;
    unsigned mask = fuse_axes_mask(op);
    if (!group_has_full_shape(g, x)) return false;
    if (g->form == GROUP_SWEEP ? g->inner != mask || g->backward != fuse_goes_backward(op)
                               : g->form != GROUP_MAP || !whole_is_small(g->rank, g->shape, mask))
        return false;
    return members_read_well(f, g, number, from, x);
}

bool group_takes_work(const Group *g) {
    return g->form != GROUP_SWEEP || whole_is_small(g->rank, g->shape, g->inner);
}

bool fuse_fits(Fuser *f, int number, const Op *op, const Reads *from) {
    const Group *g = f->groups.at[number];
    if (g->form == GROUP_ALONE || g->form == GROUP_UPDATE) return false;
    switch (op->info->kind) {
    case KIND_MAP:
        if (!group_takes_work(g)) return false;
        if (!group_has_full_shape(g, op->results[0].type) && !group_has_row_shape(g, op->results[0].type)) return false;
        return members_read_well(f, g, number, from, op->results[0].type);
    case KIND_REDUCE: return reduction_fits(f, g, number, op, from);
    case KIND_CUMULATE: return sweep_fits(f, g, number, op, from);
    case KIND_INDEX: return gather_fits(f, g, number, op) || reading_fits(f, g, number, op, from);
    default: return false;
    }
}
