/* fuse_copy: has late groups compute again what fuse_keep.c does not keep.
 *
 * Each value gets an operation of its own, and so does what it is computed from, down to values that are kept. They
 * join a late group that makes or reads the same, a contraction's before others, else the group that needs them; or they
 * become one. A value that groups read which cannot compute it at their own points, as a factor of a contraction, is one
 * more result of the group that does: most of it costs no more than the value's way to memory. Where all groups that
 * read it can, it is not stored at all (fuse_repeat.c).
 *
 * No group must wait for itself. So a group takes the copy of a value only if it needs none of the groups that are to
 * read it; these wait for it from then on. A reader takes it only if it can take all that it needs of what is computed
 * from it. */
#include "pass/fuse_keep.h"

enum { NEAR = 16 };            /* groups between a copy and its first reader */

/* ------------------------------------------------------------------------------- which, and for whom */

/* Whether group n computes v itself where it reads it, of what is kept. */
static bool is_repeated(Keep *k, int n, const Value *v) {
    if (!keep_is_early(k, v) || !k->again[v->id]) return true;
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
                if (v && keep_is_early(k, v) && (k->copied[v->id] || !is_repeated(k, n, v)))
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
            if (keep_is_early(k, from.at[r].value) && k->again[from.at[r].value->id])
                need_copy(k, from.at[r].value, k->readers[v->id], k->read_at[v->id]);
    }
    return any;
}

/* Whether there are numbers for all copies, and for the index maps between them, and for as many groups. */
static bool has_room(const Keep *k) {
    const Fuser *f = k->f;
    int copies = 0, free = 0;
    for (int i = 0; i < k->early.n; i++) copies += k->copied[k->early.at[i]->id];
    for (int i = 0; i < f->body->ops.n; i++) free += f->body->ops.at[i]->info->kind == KIND_MOVE;
    return f->values + copies + free <= f->room && f->groups.n + copies <= 64 * f->words;
}

bool keep_find_copied(Keep *k) {
    for (int i = 0; i < k->early.n; i++) k->copied[k->early.at[i]->id] = false;
    find_needed(k);
    if (!find_needed_by_copies(k)) return false;
    find_needed(k);            /* now that it is known what there are copies of */
    return find_needed_by_copies(k) && has_room(k);
}

static Value *append_copy(Keep *k, const Op *op, Value **operands) {
    Fuser *f = k->f;
    Op *c = op_append(f->module, f->body, op->info, operands, op->operand_count, 1, op->attrs, op->attr_count, 0,
                      op->span);
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
        bool there = keep_is_early(k, v) && (k->mark[v->id] == k->stamp || (copy && group_of_value(k->f, copy) == n));
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
        if (keep_elements(k, from->at[i].value) * SMALL_LEAF < keep_elements(k, v)) continue;
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

void keep_copy(Keep *k) {
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

