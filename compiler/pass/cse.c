/* cse: merges ops that compute the same.
 *
 * In: any module. Out: no two ops of one region have the same operator, operands, attributes and, up to
 * their parameters, bodies; ops without results apart. Random bits are told apart by their site.
 *
 * A hash table holds the ops met so far; operands are compared after they were merged themselves, so one
 * walk suffices. Attributes decide with operands over the results' types, so those are not compared. */
#include "pass/pass.h"
#include "pass/rewrite.h"

typedef struct Entry {
    uint64_t hash;
    Op *op;
} Entry;

typedef struct Merger {
    Arena *scratch;
    Entry *entries;            /* open addressing, at most half full */
    size_t room, count;
    Value **results;           /* of the last op merged */
    const Value **twin;        /* by number, within compared bodies: b's value for a's */
} Merger;

/* ---------------------------------------------------------------------------- hashing */

static uint64_t mix(uint64_t h, uint64_t x) {
    h = (h ^ x) * 0x9e3779b97f4a7c15u;
    return h ^ h >> 32;
}

static uint64_t mix_bytes(uint64_t h, const void *bytes, size_t n) { return n ? mix(h, hash_text(bytes, n)) : h; }

static uint64_t hash_attr(uint64_t h, const Attr *a) {
    size_t n = (size_t)a->n;
    switch (a->kind) {
    case ATTR_INT: return mix(h, (uint64_t)a->i);
    case ATTR_FLOAT: return mix_bytes(h, &a->f, sizeof a->f);
    case ATTR_TEXT: return mix_bytes(h, a->text, strlen(a->text));
    case ATTR_INTS: return mix_bytes(h, a->ints, n * sizeof *a->ints);
    case ATTR_FLOATS: return mix_bytes(h, a->floats, n * sizeof *a->floats);
    case ATTR_DTYPE: return mix(h, (uint64_t)a->dtype);
    case ATTR_DIMS:
        for (int i = 0; i < a->n; i++) h = mix(h, a->dims[i]->hash);
        return h;
    }
    return h;
}

static bool swaps(const Op *op) { return (op->info->flags & OP_COMMUTATIVE) && op->operand_count == 2; }

static uint64_t hash_row(const Op *op) {
    uint64_t h = mix_bytes(0, op->info->name, strlen(op->info->name));
    for (int i = 0; i < op->attr_count; i++) h = hash_attr(mix(h, (uint64_t)i), &op->attrs[i]);
    return h;
}

/* Of a body only the operators and their attributes; comparing does the rest. */
static uint64_t hash_body(uint64_t h, const Region *r) {
    for (int i = 0; i < r->ops.n; i++) {
        h = mix(h, hash_row(r->ops.at[i]));
        for (int j = 0; j < r->ops.at[i]->region_count; j++) h = hash_body(h, r->ops.at[i]->regions[j]);
    }
    return h;
}

static uint64_t hash_op(const Op *op) {
    uint64_t h = hash_row(op), sum = 0;
    for (int i = 0; i < op->operand_count; i++) {
        uint64_t id = (uint64_t)op->operands[i]->id + 1;
        if (swaps(op)) sum += mix(1, id);
        else h = mix(h, id);
    }
    h = mix(h, sum);
    for (int i = 0; i < op->region_count; i++) h = hash_body(h, op->regions[i]);
    return h;
}

/* -------------------------------------------------------------------------- comparing */

static bool same_value(const Merger *m, const Value *a, const Value *b) {
    return a == b || (m->twin[a->id] && m->twin[a->id] == b);
}

static bool same_row(const Op *a, const Op *b) {
    if (a->info != b->info || a->operand_count != b->operand_count || a->attr_count != b->attr_count ||
        a->result_count != b->result_count || a->region_count != b->region_count)
        return false;
    for (int i = 0; i < a->attr_count; i++)
        if (!attr_equal(&a->attrs[i], &b->attrs[i])) return false;
    return true;
}

static bool same_operands(const Merger *m, const Op *a, const Op *b) {
    bool straight = true;
    for (int i = 0; i < a->operand_count; i++) straight = straight && same_value(m, a->operands[i], b->operands[i]);
    return straight || (swaps(a) && same_value(m, a->operands[0], b->operands[1]) &&
                        same_value(m, a->operands[1], b->operands[0]));
}

static bool same_region(Merger *m, const Region *a, const Region *b);

static bool same_op(Merger *m, const Op *a, const Op *b) {
    if (!same_row(a, b) || !same_operands(m, a, b)) return false;
    for (int i = 0; i < a->region_count; i++)
        if (!same_region(m, a->regions[i], b->regions[i])) return false;
    return true;
}

/* Twins of bodies once compared stay behind; they can do no harm, as values of a body are visible in it
 * alone, and each comparison sets the twins of the values it meets before it asks for them. */
static bool same_region(Merger *m, const Region *a, const Region *b) {
    if (a->params.n != b->params.n || a->ops.n != b->ops.n || a->yields.n != b->yields.n) return false;
    for (int i = 0; i < a->params.n; i++) {
        if (!type_equal(a->params.at[i]->type, b->params.at[i]->type)) return false;
        m->twin[a->params.at[i]->id] = b->params.at[i];
    }
    for (int i = 0; i < a->ops.n; i++) {
        const Op *x = a->ops.at[i], *y = b->ops.at[i];
        if (!same_op(m, x, y)) return false;
        for (int j = 0; j < x->result_count; j++) m->twin[x->results[j].id] = &y->results[j];
    }
    for (int i = 0; i < a->yields.n; i++)
        if (!same_value(m, a->yields.at[i], b->yields.at[i])) return false;
    return true;
}

/* ---------------------------------------------------------------------------- merging */

static void grow(Merger *m) {
    Merger old = *m;
    m->room = old.room ? old.room * 2 : 1024;
    m->entries = arena_array(m->scratch, Entry, m->room);
    for (size_t i = 0; i < old.room; i++) {
        if (!old.entries[i].op) continue;
        size_t at = (size_t)old.entries[i].hash & (m->room - 1);
        while (m->entries[at].op) at = (at + 1) & (m->room - 1);
        m->entries[at] = old.entries[i];
    }
}

/* An op of the same region that computes the same; else null, and op is remembered. */
static Op *find_or_add(Merger *m, Op *op) {
    if (m->count * 2 >= m->room) grow(m);
    uint64_t hash = mix(hash_op(op), (uint64_t)(uintptr_t)op->parent);
    size_t at = (size_t)hash & (m->room - 1);
    for (; m->entries[at].op; at = (at + 1) & (m->room - 1)) {
        if (m->entries[at].hash != hash || m->entries[at].op->parent != op->parent) continue;
        if (same_op(m, m->entries[at].op, op)) return m->entries[at].op;
    }
    m->entries[at] = (Entry){hash, op};
    m->count++;
    return NULL;
}

static Value *const *merge(void *user, Builder *b, Op *op) {
    (void)b;
    Merger *m = user;
    if (!op->result_count) return NULL;
    Op *same = find_or_add(m, op);
    if (!same) return NULL;
    m->results = arena_array(m->scratch, Value *, op->result_count);
    for (int i = 0; i < op->result_count; i++) m->results[i] = &same->results[i];
    return m->results;
}

static void merge_func(void *user, Func *f) {
    PassContext *c = user;
    Merger m = {.scratch = c->scratch, .twin = arena_array(c->scratch, const Value *, graph_number(f))};
    graph_rewrite(f, c->scratch, merge, &m);
}

void pass_cse(PassContext *c, Module *m) { module_each_func(m, merge_func, c); }
