/* trim: takes from region operators what nothing uses; a part of dce.
 *
 * Results that are not used go, with what the bodies yield for them. A carry goes if its result is not used and its
 * value within leads to itself alone, so which ones stay is found by a fix point. Operands go whose parameters no body
 * uses. What is left is a new op, as results stand in one array; the bodies are the old ones, cut. Inner bodies are cut
 * first, and rounds go on while something changes. */
#include "ops/region.h"
#include "pass/rewrite.h"

typedef struct Trim {
    Arena *scratch;
    const int *uses;           /* by number */
    Op *op;
    bool *keeps_operand, *keeps_result;
    ValueMap used[2];          /* by region: what is used in it */
} Trim;

static bool is_used(const Trim *t, int region, const Value *v) { return value_map_get(&t->used[region], v) != NULL; }

/* Marks what the region's marked values, and its checks, are computed from. */
static void mark_region(Trim *t, int region) {
    const Region *r = t->op->regions[region];
    ValueMap *used = &t->used[region];
    for (int i = r->ops.n - 1; i >= 0; i--) {
        const Op *op = r->ops.at[i];
        bool live = op_has_check(op);
        for (int k = 0; k < op->result_count; k++) live = live || is_used(t, region, &op->results[k]);
        for (int k = 0; live && k < op->operand_count; k++) value_map_set(used, op->operands[k], op->operands[k]);
    }
}

static void mark_yield(Trim *t, int region, int i) {
    Value *v = t->op->regions[region]->yields.at[i];
    value_map_set(&t->used[region], v, v);
}

/* Marks the bodies for the results that stay; a loop's carries that are used within stay too. */
static void mark_bodies(Trim *t, int consts, int carries, int body) {
    const Op *op = t->op;
    for (bool more = true; more;) {
        more = false;
        if (op->info->form == FORM_WHILE) mark_yield(t, 0, 0);
        for (int r = body; r < op->region_count; r++)
            for (int i = 0; i < op->result_count; i++)
                if (t->keeps_result[i]) mark_yield(t, r, i);
        for (int r = 0; r < op->region_count; r++) mark_region(t, r);
        for (int i = 0; i < carries; i++)
            for (int r = 0; r < op->region_count && !t->keeps_result[i]; r++)
                if (is_used(t, r, op->regions[r]->params.at[consts + i])) t->keeps_result[i] = more = true;
    }
}

/* Removes the parameters whose operands go, `first` being the operand that parameter 0 stands for. */
static void cut_params(const Trim *t, Region *r, int first) {
    int n = 0;
    for (int i = 0; i < r->params.n; i++) {
        bool stays = i + first >= t->op->operand_count || t->keeps_operand[i + first];
        if (!stays) continue;
        r->params.at[i]->index = n;
        r->params.at[n++] = r->params.at[i];
    }
    r->params.n = n;
}

static void cut_yields(const Trim *t, Region *r) {
    int n = 0;
    for (int i = 0; i < r->yields.n; i++)
        if (t->keeps_result[i]) r->yields.at[n++] = r->yields.at[i];
    r->yields.n = n;
}

static int count(const bool *keeps, int n) {
    int kept = 0;
    for (int i = 0; i < n; i++) kept += keeps[i];
    return kept;
}

static Attr cut_ints(Trim *t, Module *m, const Attr *a, const bool *keeps) {
    int64_t *ints = arena_array(t->scratch, int64_t, a->n);
    int n = 0;
    for (int i = 0; i < a->n; i++)
        if (keeps[i]) ints[n++] = a->ints[i];
    return attr_ints(m, a->key, ints, n);
}

/* The attributes of a loop that count or list what goes. */
static Attr *cut_attrs(Trim *t, Module *m, int consts, int carries) {
    const Op *op = t->op;
    Attr *attrs = arena_copy(t->scratch, op->attrs, sizeof *attrs * (size_t)op->attr_count);
    for (int i = 0; i < op->attr_count; i++) {
        Attr *a = &attrs[i];
        if (!strcmp(a->key, "consts")) *a = attr_int(m, a->key, count(t->keeps_operand, consts));
        if (!strcmp(a->key, "carries")) *a = attr_int(m, a->key, count(t->keeps_result, carries));
        if (!strcmp(a->key, "axes")) *a = cut_ints(t, m, a, t->keeps_operand + consts + carries);
        if (!strcmp(a->key, "result_axes")) *a = cut_ints(t, m, a, t->keeps_result + carries);
    }
    return attrs;
}

/* The op without what goes; the results by the old ones' places, those that went being nothing. */
static Value *const *cut(Trim *t, Builder *b, int consts, int carries, int first, int body) {
    Module *m = b->module;
    Op *op = t->op;
    Value **operands = arena_array(t->scratch, Value *, op->operand_count);
    Value **results = arena_array(t->scratch, Value *, op->result_count);
    Attr *attrs = cut_attrs(t, m, consts, carries);
    int n = 0;
    for (int i = 0; i < op->operand_count; i++)
        if (t->keeps_operand[i]) operands[n++] = op->operands[i];
    for (int r = 0; r < op->region_count; r++) cut_params(t, op->regions[r], first);
    for (int r = body; r < op->region_count; r++) cut_yields(t, op->regions[r]);
    Op *to = op_append(m, b->region, op->info, operands, n, count(t->keeps_result, op->result_count), attrs,
                       op->attr_count, 0, op->span);
    to->regions = op->regions;
    to->region_count = op->region_count;
    for (int r = 0; r < op->region_count; r++) to->regions[r]->owner = to;
    n = 0;
    for (int i = 0; i < op->result_count; i++) {
        results[i] = t->keeps_result[i] ? &to->results[n++] : arena_new(t->scratch, Value);
        results[i]->type = op->results[i].type;
        results[i]->name = op->results[i].name;
    }
    return results;
}

static Value *const *trim_op(void *user, Builder *b, Op *op) {
    Trim *t = user;
    RegionForm form = op->info->form;
    if (form == FORM_NONE || op->info->flags & OP_CALLS) return NULL;
    int first = form == FORM_CHOICE, body = form == FORM_WHILE, consts = 0, carries = 0;
    if (form == FORM_SCAN || form == FORM_WHILE) consts = (int)op_int(op, "consts");
    if (form == FORM_SCAN) carries = (int)op_int(op, "carries");
    if (form == FORM_WHILE) carries = op->result_count;
    t->op = op;
    t->keeps_operand = arena_array(t->scratch, bool, op->operand_count);
    t->keeps_result = arena_array(t->scratch, bool, op->result_count);
    for (int r = 0; r < 2; r++) t->used[r] = value_map_new(t->scratch);
    for (int i = 0; i < op->result_count; i++) t->keeps_result[i] = t->uses[op->results[i].id] > 0;
    mark_bodies(t, consts, carries, body);
    for (int i = 0; i < op->operand_count; i++) {
        t->keeps_operand[i] = i < first || (i >= consts && i < consts + carries && t->keeps_result[i - consts]);
        for (int r = 0; r < op->region_count && i >= first; r++)
            t->keeps_operand[i] |= is_used(t, r, op->regions[r]->params.at[i - first]);
    }
    if (count(t->keeps_operand, op->operand_count) == op->operand_count &&
        count(t->keeps_result, op->result_count) == op->result_count)
        return NULL;
    return cut(t, b, consts, carries, first, body);
}

bool *graph_trim(Func *f, Arena *scratch) {
    for (;;) {
        bool *live = graph_sweep(f, scratch);
        graph_number(f);
        Trim t = {.scratch = scratch, .uses = graph_use_counts(f, scratch)};
        if (!graph_rewrite(f, scratch, trim_op, &t)) return live;
    }
}
