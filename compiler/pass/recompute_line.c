/* What lies in the workspace at each op of a fused function's body: an estimate of what lowering and placing make of
 * it.
 *
 * Ops run in the order of the body. A value lies there from the op that makes it to the last that reads it, in bytes at
 * the dims' upper bounds. What is yielded is made where it belongs; what an op changes in its place gives its memory to
 * the op's result. Loops and branches take what the values of their bodies take. */
#include "ops/index.h"
#include "ops/region.h"
#include "pass/lower.h"
#include "pass/recompute.h"

enum { ALIGN = 64 };

int64_t value_bytes(const Line *l, const Value *v) {
    int64_t bytes = type_elements(&l->module->dims, v->type)->upper * dtype_bytes(v->type.dtype);
    return (bytes + ALIGN - 1) / ALIGN * ALIGN;
}

static bool is_yielded(const Region *r, const Value *v) {
    for (int i = 0; i < r->yields.n; i++)
        if (r->yields.at[i] == v) return true;
    return false;
}

/* The op of the region that alone reads v; null if there are none or several. */
static Op *only_reader(const Region *r, const Value *v) {
    Op *reader = NULL;
    for (int i = 0; i < r->ops.n; i++)
        for (int k = 0; k < r->ops.at[i]->operand_count; k++) {
            if (r->ops.at[i]->operands[k] != v) continue;
            if (reader && reader != r->ops.at[i]) return NULL;
            reader = r->ops.at[i];
        }
    return reader;
}

/* The last value in a contraction's fusion that all of its results are computed from: null if that is one of them, or
 * the fusion has sums besides, which another result could change. */
static Value *common_source(const Op *fusion) {
    const Region *r = fusion->regions[0];
    Value *v = NULL;
    for (int i = 0; i < r->ops.n; i++) {
        OpKind kind = r->ops.at[i]->info->kind;
        if (kind == KIND_REDUCE || kind == KIND_CUMULATE || kind == KIND_INDEX) return NULL;
        if (kind == KIND_CONTRACT) v = &r->ops.at[i]->results[0];
    }
    while (v && !is_yielded(r, v)) {
        Op *reader = only_reader(r, v);
        if (!reader || reader->info->kind != KIND_MAP) return v;
        v = &reader->results[0];
    }
    return NULL;
}

/* Gives the fusion its common source as one more result. */
static void add_spare(Line *l, Op *fusion) {
    Value *v = fusion->info->form == FORM_ONCE && fusion->result_count > 1 ? common_source(fusion) : NULL;
    int n = fusion->result_count;
    if (!v || n >= 64) return;
    op_reserve_results(l->module, fusion, n + 1);
    for (int i = 0; i <= n; i++) fusion->results[i].op = fusion;
    fusion->results[n] = (Value){.op = fusion, .index = n, .id = -1, .type = v->type, .name = v->name};
    fusion->result_count++;
    vec_push(l->module->arena, &fusion->regions[0]->yields, v);
    value_map_set(&l->spare, &fusion->results[n], v);
}

/* A body of its own, so that the function's can be taken back. */
Line line_new(Func *f, Arena *scratch) {
    Module *m = f->module;
    Line l = {.module = m, .func = f, .scratch = scratch};
    l.family = l.spare = value_map_new(scratch);
    const Region *old = f->body;
    ValueMap map = value_map_new(scratch);
    l.body = region_new(m, f, NULL);
    for (int i = 0; i < old->params.n; i++)
        value_map_set(&map, old->params.at[i],
                      region_add_param(m, l.body, old->params.at[i]->type, old->params.at[i]->name));
    for (int i = 0; i < old->ops.n; i++) {
        Op *op = op_copy(m, l.body, old->ops.at[i], &map);
        add_spare(&l, op);
        for (int k = 0; k < old->ops.at[i]->result_count; k++)
            value_map_set(&map, &old->ops.at[i]->results[k], &op->results[k]);
    }
    for (int i = 0; i < old->yields.n; i++) vec_push(m->arena, &l.body->yields, value_mapped(&map, old->yields.at[i]));
    f->body = l.body;
    return l;
}

void line_note_copy(Line *l, const Value *v, Value *copy) {
    Value *family = value_map_get(&l->family, v);
    if (!family) value_map_set(&l->family, v, family = (Value *)v);
    value_map_set(&l->family, copy, family);
}

/* ----------------------------------------------------------------------- room and numbers */

static void make_room(Line *l, int uses) {
    if (l->values >= l->room_values) {
        int n = l->room_values = 2 * l->values + 1;
        l->position = arena_array(l->scratch, int, n);
        l->last = arena_array(l->scratch, int, n);
        l->bytes = arena_array(l->scratch, int64_t, n);
        l->taken = arena_array(l->scratch, bool, n);
        l->written = arena_array(l->scratch, int, n);
        l->first_use = arena_array(l->scratch, int, n + 1);
        l->next_version = arena_array(l->scratch, int, n);
        l->value = arena_array(l->scratch, Value *, n);
        l->mark = arena_array(l->scratch, int, n);
        l->cut = arena_array(l->scratch, int, n);
        l->stamp = 0;
    }
    if (l->ops >= l->room_ops) {
        int n = l->room_ops = 2 * l->ops + 2;
        l->alive = arena_array(l->scratch, int64_t, n + 1);
        l->across = arena_array(l->scratch, int64_t, n + 1);
        l->within = arena_array(l->scratch, int64_t, n + 1);
    }
    if (uses > l->room_uses) {
        l->room_uses = 2 * uses;
        l->uses = arena_array(l->scratch, int, l->room_uses);
    }
}

static void number_values(Line *l) {
    int uses = 0;
    l->values = graph_number(l->func);
    l->ops = l->body->ops.n;
    for (int i = 0; i < l->ops; i++) uses += l->body->ops.at[i]->operand_count;
    make_room(l, uses);
    for (int i = 0; i < l->values; i++) {
        l->value[i] = NULL;
        l->position[i] = -1;
    }
    for (int i = 0; i < l->body->params.n; i++) l->value[l->body->params.at[i]->id] = l->body->params.at[i];
    for (int i = 0; i < l->ops; i++)
        for (int k = 0; k < l->body->ops.at[i]->result_count; k++) {
            Value *v = &l->body->ops.at[i]->results[k];
            l->value[v->id] = v;
            l->position[v->id] = i;
        }
}

/* Each op that reads a value once, in order. */
static void find_uses(Line *l) {
    int *count = l->first_use;
    memset(count, 0, sizeof *count * (size_t)(l->values + 1));
    for (int i = 0; i < l->values; i++) l->last[i] = -1;
    for (int i = 0; i < l->ops; i++)
        for (int k = 0; k < l->body->ops.at[i]->operand_count; k++) {
            int v = l->body->ops.at[i]->operands[k]->id;
            if (l->last[v] != i) count[v + 1]++;
            l->last[v] = i;
        }
    for (int v = 0; v < l->values; v++) count[v + 1] += count[v];
    for (int i = 0; i < l->values; i++) l->last[i] = -1;
    /* first_use[v] is moved on as uses are put down, and back at the end */
    for (int i = 0; i < l->ops; i++)
        for (int k = 0; k < l->body->ops.at[i]->operand_count; k++) {
            int v = l->body->ops.at[i]->operands[k]->id;
            if (l->last[v] != i) l->uses[count[v]++] = i;
            l->last[v] = i;
        }
    memmove(count + 1, count, sizeof *count * (size_t)l->values);
    count[0] = 0;
}

/* ------------------------------------------------------------------------------------ lives */

/* The most that a body's own values take at one of its ops. What it yields lies with the op's results, but for carries,
 * whose next version may need a place beside the present one. */
static int64_t region_bytes(const Line *l, const Region *r, int carries) {
    int64_t most = 0, now = 0;
    int *last = arena_array(l->scratch, int, l->values + 1);
    for (int i = 0; i < r->ops.n; i++)
        for (int k = 0; k < r->ops.at[i]->operand_count; k++) last[r->ops.at[i]->operands[k]->id] = i;
    for (int i = 0; i < r->yields.n; i++) last[r->yields.at[i]->id] = i < carries ? r->ops.n : -1;
    for (int i = 0; i < r->ops.n; i++) {
        const Op *op = r->ops.at[i];
        for (int k = 0; k < op->result_count; k++)
            if (last[op->results[k].id] >= i) now += value_bytes(l, &op->results[k]);
        if (now > most) most = now;
        for (int j = 0; j <= i; j++)
            for (int k = 0; k < r->ops.at[j]->result_count; k++)
                if (last[r->ops.at[j]->results[k].id] == i) now -= value_bytes(l, &r->ops.at[j]->results[k]);
    }
    return most;
}

static int64_t within_op(const Line *l, const Op *op) {
    int64_t most = 0;
    if (op_control(op) == CONTROL_FUSION) return 0;
    int carries = op->info->form == FORM_SCAN ? (int)op_int(op, "carries") : 0;
    for (int r = 0; r < op->region_count; r++) {
        int64_t bytes = region_bytes(l, op->regions[r], carries);
        if (bytes > most) most = bytes;
    }
    return most;
}

/* What lies elsewhere, and what is made where something else lay. */
static void find_bytes(Line *l) {
    for (int v = 0; v < l->values; v++) {
        bool own = l->position[v] >= 0;
        bool idle = own && l->last[v] < 0 && l->value[v]->op->info->form == FORM_ONCE && !line_is_spare(l, l->value[v]);
        if (idle) l->last[v] = l->position[v];
        own &= l->last[v] >= 0;
        l->bytes[v] = own ? value_bytes(l, l->value[v]) : 0;
        l->taken[v] = false;
        l->written[v] = l->ops;
    }
    for (int i = 0; i < l->body->yields.n; i++) {
        const Value *v = l->body->yields.at[i];
        const Var *var = l->func->results.at[i].var;
        l->bytes[v->id] = 0;
        l->last[v->id] = l->ops;
        for (int k = 0; var && k < l->body->params.n; k++)
            if (l->func->inputs.at[k].var == var) l->written[l->body->params.at[k]->id] = l->position[v->id];
    }
    for (int i = l->ops - 1; i >= 0; i--) {
        const Op *op = l->body->ops.at[i];
        for (int k = 0; k < op->result_count; k++) {
            int changed = changed_operand(op, k);
            const Value *u = changed < 0 ? NULL : op->operands[changed];
            if (!u || !u->op || l->last[u->id] != i || l->first_use[u->id + 1] - l->first_use[u->id] != 1) continue;
            l->taken[u->id] = true;
            if (!l->bytes[op->results[k].id]) l->bytes[u->id] = 0;
            else l->last[u->id] = i - 1;
        }
    }
}

static void find_alive(Line *l) {
    memset(l->alive, 0, sizeof *l->alive * (size_t)(l->ops + 1));
    memset(l->across, 0, sizeof *l->across * (size_t)(l->ops + 1));
    for (int v = 0; v < l->values; v++) {
        int first = l->position[v], end = l->last[v] + 1;
        if (!l->bytes[v] || end <= first) continue;
        if (end > l->ops) end = l->ops;
        l->alive[first] += l->bytes[v];
        l->alive[end] -= l->bytes[v];
        l->across[first + 1] += l->bytes[v];
        l->across[end] -= l->bytes[v];
    }
    for (int i = 1; i < l->ops; i++) {
        l->alive[i] += l->alive[i - 1];
        l->across[i] += l->across[i - 1];
    }
    for (int i = 0; i < l->ops; i++) {
        l->within[i] = within_op(l, l->body->ops.at[i]);
        l->alive[i] += l->within[i];
    }
}

/* Chains each family's values. */
static void find_versions(Line *l) {
    ValueMap newest = value_map_new(l->scratch);
    for (int v = 0; v < l->values; v++) l->next_version[v] = -1;
    for (int i = 0; l->family.count && i < l->ops; i++)
        for (int k = 0; k < l->body->ops.at[i]->result_count; k++) {
            Value *v = &l->body->ops.at[i]->results[k], *family = value_map_get(&l->family, v);
            const Value *before = family ? value_map_get(&newest, family) : NULL;
            if (before) l->next_version[before->id] = v->id;
            if (family) value_map_set(&newest, family, v);
        }
}

void line_measure(Line *l) {
    number_values(l);
    find_uses(l);
    find_bytes(l);
    find_alive(l);
    find_versions(l);
}

int64_t line_peak(const Line *l) {
    int64_t most = 0;
    for (int i = 0; i < l->ops; i++)
        if (l->alive[i] > most) most = l->alive[i];
    return most;
}

int64_t line_floor(const Line *l) {
    int64_t most = 0;
    for (int i = 0; i < l->ops; i++) {
        const Op *op = l->body->ops.at[i];
        int64_t bytes = l->within[i];
        for (int k = 0; k < op->result_count; k++) bytes += l->bytes[op->results[k].id];
        for (int k = 0; k < op->operand_count; k++) {
            const Value *v = op->operands[k];
            bool again = l->last[v->id] < i;        /* its memory is a result's */
            for (int j = 0; j < k; j++) again |= op->operands[j] == v;
            if (!again) bytes += l->bytes[v->id];
        }
        if (bytes > most) most = bytes;
    }
    return most;
}

int line_recomputed(const Line *l) {
    int n = 0;
    for (int v = 0; v < l->values; v++) n += l->next_version[v] >= 0;
    return n;
}

Value *line_find(const Line *l, Value *v, int at) {
    if (!v->op) return l->written[v->id] >= at ? v : NULL;
    for (int i = v->id; i >= 0 && l->position[i] < at; i = l->next_version[i])
        if (l->last[i] >= at) return l->value[i];
    return NULL;
}

Value *line_find_later(const Line *l, const Value *v, int at) {
    int i = v->id;
    while (i >= 0 && l->position[i] < at) i = l->next_version[i];
    return i < 0 ? NULL : l->value[i];
}

/* -------------------------------------------------------------------------------------- tidying */

/* The op for those of its results that are used; itself if all of it has to run for them. */
static Op *trimmed(Line *l, Op *op, const bool *used, Region *to, ValueMap *now) {
    Part p = {.op = op};
    for (int k = 0; k < op->result_count; k++)
        if (used[op->results[k].id]) p.results |= (uint64_t)1 << k;
    part_measure(l, &p, -1);
    if (p.whole) return op;
    Op *copy = part_write(l, &p, to, -1, now);
    for (int k = 0, n = 0; k < op->result_count; k++) {
        if (!(p.results >> k & 1)) continue;
        if (value_map_get(&l->family, &op->results[k])) line_note_copy(l, &op->results[k], &copy->results[n]);
        if (line_is_spare(l, &op->results[k])) value_map_set(&l->spare, &copy->results[n], &copy->results[n]);
        n++;
    }
    return copy;
}

void line_tidy(Line *l, bool last) {
    ValueMap now = value_map_new(l->scratch);
    int n = l->body->ops.n, kept = n;
    line_measure(l);
    bool *used = arena_array(l->scratch, bool, l->values + 1);
    Region *aside = region_new(l->module, l->func, NULL);
    for (int i = 0; i < l->body->yields.n; i++) used[l->body->yields.at[i]->id] = true;
    for (int i = n - 1; i >= 0; i--) {
        Op *op = l->body->ops.at[i];
        int count = 0;
        for (int k = 0; k < op->result_count; k++) count += used[op->results[k].id];
        if (!count && !op_has_check(op)) continue;
        for (int k = 0; k < op->result_count && !last; k++) {
            bool spare = line_is_spare(l, &op->results[k]) && !used[op->results[k].id];
            used[op->results[k].id] |= spare;
            count += spare;
        }
        bool whole = count == op->result_count || op->info->form != FORM_ONCE || op->result_count > 64;
        if (!whole) op = trimmed(l, op, used, aside, &now);
        for (int k = 0; k < op->operand_count; k++) used[op->operands[k]->id] = true;
        op->parent = l->body;
        l->body->ops.at[--kept] = op;
    }
    l->body->ops.n -= kept;
    memmove(l->body->ops.at, l->body->ops.at + kept, sizeof *l->body->ops.at * (size_t)l->body->ops.n);
    if (now.count) region_map_uses(l->body, &now);
}
