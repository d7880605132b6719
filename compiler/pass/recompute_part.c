/* What is computed again: an op of a fused function, or as much of a fusion as some of its results need.
 *
 * A fusion need not run whole. Results of its own that still lie in memory are read instead of computed, so that a
 * normalised value is made of the mean that was kept, and an activation of the sum before it, without the sum. Such a
 * part holds the fusion's own operations and gives the same bits, but for sums: how many of these are in flight depends
 * on what else a kernel does, and with that the order of their terms. So a fusion that has to sum again runs whole, as
 * the kernel that it was. The sums of contractions are always in the order of their terms, unless they are thin.
 *
 * Costs are in FLOPs, a byte that is read or written being worth some. */
#include "ops/contraction.h"
#include "ops/index.h"
#include "ops/region.h"
#include "pass/lower.h"
#include "pass/recompute.h"

enum { COSTLY = 8, ROUTINE = 64, BYTE = 4, MOST_RESULTS = 64 };

/* ---------------------------------------------------------------------------- what can run again */

/* Whether what is indexed with are arguments: then the copy needs no check of its own, which could come too late. */
static bool indices_are_inputs(const Op *fusion, const Op *op) {
    IndexParts p = index_parts(op);
    for (int i = 0; i <= p.count; i++) {
        const Value *v = i < p.count ? p.indices[i] : p.mask;
        while (v && v->op && v->op->info->kind == KIND_MOVE) v = v->op->operands[0];
        if (v && (v->op || fusion->operands[v->index]->op)) return false;
    }
    return true;
}

/* Whether nothing in a loop or branch can end the call. */
static bool cannot_fail(const Region *r) {
    for (int i = 0; i < r->ops.n; i++) {
        const Op *op = r->ops.at[i];
        if (op->info->kind == KIND_CHECK || op->info->kind == KIND_INDEX) return false;
        for (int k = 0; k < op->region_count; k++)
            if (!cannot_fail(op->regions[k])) return false;
    }
    return true;
}

bool op_runs_again(const Op *op) {
    if (op->info->kind == KIND_CHECK || op->result_count > MOST_RESULTS) return false;
    if (op->info->form == FORM_ONCE) {
        for (int i = 0; i < op->regions[0]->ops.n; i++) {
            const Op *inner = op->regions[0]->ops.at[i];
            if (inner->info->flags & OP_UPDATES) return false;
            if (inner->info->kind == KIND_INDEX && !indices_are_inputs(op, inner)) return false;
        }
        return true;
    }
    for (int i = 0; i < op->region_count; i++)
        if (!cannot_fail(op->regions[i])) return false;
    return true;
}

/* ------------------------------------------------------------------------------------- measuring */

static double elements(const Line *l, Type t) { return (double)type_elements(&l->module->dims, t)->upper; }

static double region_work(const Line *l, const Region *r);

static double op_work(const Line *l, const Op *op) {
    double times = 1, sum = 0;
    Contraction c = {.dims = &l->module->dims};
    switch (op->info->kind) {
    case KIND_MAP:
        if (!op->operand_count) return 0;
        return elements(l, op->results[0].type) * (op->info->flags & OP_COSTLY ? COSTLY : 1);
    case KIND_REDUCE:
    case KIND_CUMULATE: return elements(l, op->operands[0]->type);
    case KIND_INDEX: return elements(l, op->results[0].type);
    case KIND_OPAQUE: return ROUTINE * elements(l, op->operands[0]->type);
    case KIND_CONTRACT:
        if (!op->info->contract(op, &c)) return 0;
        return 2 * contraction_extent(&c, PART_BATCH) * contraction_extent(&c, PART_LHS) *
               contraction_extent(&c, PART_RHS) * contraction_extent(&c, PART_SUM);
    case KIND_REGION:
        if (op->info->form == FORM_SCAN) times = (double)scan_form(op).length->upper;
        if (op->info->form == FORM_WHILE && while_form(op).limit > 0) times = (double)while_form(op).limit;
        for (int i = 0; i < op->region_count; i++) sum += region_work(l, op->regions[i]);
        return times * sum;
    case KIND_MOVE:
    case KIND_CHECK: break;
    }
    return 0;
}

static double region_work(const Line *l, const Region *r) {
    double sum = 0;
    for (int i = 0; i < r->ops.n; i++) sum += op_work(l, r->ops.at[i]);
    return sum;
}

static bool holds(const Values *list, const Value *v) {
    for (int i = 0; i < list->n; i++)
        if (list->at[i] == v) return true;
    return false;
}

static void add_read(Line *l, Part *p, Value *v) {
    if (holds(&p->reads, v)) return;
    vec_push(l->scratch, &p->reads, v);
    p->cost += BYTE * (double)value_bytes(l, v);
}

static void mark(Line *l, const Value *v) { l->mark[v->id] = l->stamp; }
static bool is_marked(const Line *l, const Value *v) { return l->mark[v->id] == l->stamp; }
static bool is_cut(const Line *l, const Value *v) { return l->cut[v->id] == l->stamp; }

/* Whether the bits of the op's result depend on the kernel that it is in. */
static bool depends_on_kernel(const Line *l, const Op *op) {
    Contraction c = {.dims = &l->module->dims};
    if (op->info->kind == KIND_REDUCE || op->info->kind == KIND_CUMULATE)
        return dtype_is_float(op->operands[0]->type.dtype) && !(op->info->flags & OP_ARG_REDUCTION);
    return op->info->kind == KIND_CONTRACT && (!op->info->contract(op, &c) || contraction_is_thin(&c));
}

static bool is_needed(const Line *l, const Op *inner) {
    for (int k = 0; k < inner->result_count; k++)
        if (is_marked(l, &inner->results[k]) && !is_cut(l, &inner->results[k])) return true;
    return false;
}

/* Marks what the wanted results of a fusion need in its body, up to results that lie in memory. */
static void mark_needed(Line *l, Part *p, int at) {
    const Op *op = p->op;
    const Region *body = op->regions[0];
    l->stamp++;
    for (int k = 0; k < op->result_count; k++) {
        const Value *inside = body->yields.at[k];
        if (p->results >> k & 1) mark(l, inside);
        else if (at >= 0 && inside->op && (line_find(l, &op->results[k], at) ||
                                           (p->from_spare && line_is_spare(l, &op->results[k]))))
            l->cut[inside->id] = l->stamp;
    }
    for (int k = 0; k < op->result_count; k++)
        if (p->results >> k & 1) l->cut[body->yields.at[k]->id] = 0;
    for (int i = body->ops.n - 1; i >= 0; i--) {
        const Op *inner = body->ops.at[i];
        if (!is_needed(l, inner)) continue;
        p->whole |= depends_on_kernel(l, inner);
        p->cost += op_work(l, inner);
        for (int k = 0; k < inner->operand_count; k++) mark(l, inner->operands[k]);
    }
}

/* Whether what is marked is one contraction, or elementwise over one shape: of several shapes only sums tell which of a
 * kernel's axes the smaller ones lack. */
static bool has_one_domain(const Line *l, const Part *p) {
    const Region *body = p->op->regions[0];
    DimTable *dims = &l->module->dims;
    Dim domain = NULL;
    bool contracts = false;
    for (int k = 0; k < p->op->result_count; k++) {
        if (!(p->results >> k & 1)) continue;
        Dim elements = type_elements(dims, p->op->results[k].type);
        if (domain && elements != domain) return false;
        domain = elements;
    }
    for (int i = 0; i < body->ops.n; i++)
        contracts |= body->ops.at[i]->info->kind == KIND_CONTRACT && is_needed(l, body->ops.at[i]);
    for (int i = 0; i < body->ops.n && !contracts; i++) {
        const Op *inner = body->ops.at[i];
        bool computes = inner->info->kind != KIND_MOVE && inner->operand_count && is_needed(l, inner);
        if (computes && type_elements(dims, inner->results[0].type) != domain) return false;
    }
    return true;
}

static void measure_fusion(Line *l, Part *p, int at) {
    const Op *op = p->op;
    const Region *body = op->regions[0];
    mark_needed(l, p, at);
    p->whole |= !has_one_domain(l, p);
    if (p->whole) return;
    for (int i = 0; i < op->operand_count; i++)
        if (is_marked(l, body->params.at[i])) add_read(l, p, op->operands[i]);
    for (int k = 0; k < op->result_count; k++)
        if (is_marked(l, body->yields.at[k]) && is_cut(l, body->yields.at[k])) add_read(l, p, &op->results[k]);
}

void part_measure(Line *l, Part *p, int at) {
    const Op *op = p->op;
    p->cost = 0;
    p->reads.n = 0;
    p->whole = op->info->form != FORM_ONCE;
    if (!p->whole) measure_fusion(l, p, at);
    if (p->whole) {
        p->cost = op->info->form == FORM_ONCE ? region_work(l, op->regions[0]) : op_work(l, op);
        for (int i = 0; i < op->operand_count; i++) add_read(l, p, op->operands[i]);
        if (op->info->form == FORM_ONCE) p->results = part_all(op);
    }
    for (int k = 0; k < op->result_count; k++)
        if (p->results >> k & 1) p->cost += BYTE * (double)value_bytes(l, &op->results[k]);
}

/* --------------------------------------------------------------------------------------- writing */

static Value *read_as(const Line *l, const ValueMap *now, Value *v, int at) {
    Value *known = value_map_get(now, v), *found = known || at < 0 ? known : line_find(l, v, at);
    return found ? found : v;
}

/* What in the fusion's body is marked, behind parameters for what it reads. */
static Op *write_fusion(Line *l, const Part *p, Region *to, int at, ValueMap *now) {
    Module *m = l->module;
    const Op *op = p->op;
    const Region *body = op->regions[0];
    ValueMap inside = value_map_new(l->scratch);
    Value **operands = arena_array(l->scratch, Value *, p->reads.n + 1);
    for (int i = 0; i < p->reads.n; i++) operands[i] = read_as(l, now, p->reads.at[i], at);
    Op *copy = op_append(m, to, op->info, operands, p->reads.n, __builtin_popcountll(p->results), op->attrs,
                         op->attr_count, 1, op->span);
    Region *r = copy->regions[0];
    for (int i = 0; i < p->reads.n; i++) {
        Value *v = p->reads.at[i], *param = region_add_param(m, r, v->type, v->name);
        for (int k = 0; k < op->operand_count; k++)
            if (op->operands[k] == v) value_map_set(&inside, body->params.at[k], param);
        if (v->op == op) value_map_set(&inside, body->yields.at[v->index], param);
    }
    for (int i = 0; i < body->ops.n; i++)
        if (is_needed(l, body->ops.at[i])) op_copy(m, r, body->ops.at[i], &inside);
    for (int k = 0, n = 0; k < op->result_count; k++) {
        if (!(p->results >> k & 1)) continue;
        vec_push(m->arena, &r->yields, value_mapped(&inside, body->yields.at[k]));
        copy->results[n].type = op->results[k].type;
        copy->results[n].name = op->results[k].name;
        value_map_set(now, &op->results[k], &copy->results[n++]);
    }
    return copy;
}

Op *part_write(Line *l, const Part *p, Region *to, int at, ValueMap *now) {
    Part again = {.op = p->op, .results = p->results, .from_spare = p->from_spare};
    part_measure(l, &again, at);
    if (!again.whole) return write_fusion(l, &again, to, at, now);
    ValueMap map = value_map_new(l->scratch);
    for (int i = 0; i < p->op->operand_count; i++)
        value_map_set(&map, p->op->operands[i], read_as(l, now, p->op->operands[i], at));
    Op *copy = op_copy(l->module, to, p->op, &map);
    for (int k = 0; k < p->op->result_count; k++)
        if (again.results >> k & 1) value_map_set(now, &p->op->results[k], &copy->results[k]);
    return copy;
}
