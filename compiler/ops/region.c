/* What region operators share, see region.h; and fusion, a group of ops that becomes one kernel, with the meaning of
 * its body. It is made after differentiation and so has no gradient rule. */
#include "ops/region.h"
#include "ops/rules.h"

Value *region_source(const Region *r, int i) {
    const Op *op = r->owner;
    if (!op) return NULL;
    switch (op->info->form) {
    case FORM_SCAN:
    case FORM_WHILE: return i < op_int(op, "consts") ? op->operands[i] : NULL;
    case FORM_CHOICE: return op->operands[i + 1];
    case FORM_ONCE: return r == op->regions[0] ? op->operands[i] : NULL;
    case FORM_NONE: break;
    }
    return NULL;
}

static bool region_has_check(const Region *r) {
    for (int i = 0; i < r->ops.n; i++)
        if (op_has_check(r->ops.at[i])) return true;
    return false;
}

bool op_has_check(const Op *op) {
    if (op->info->kind == KIND_CHECK) return true;
    for (int i = 0; i < op->region_count; i++)
        if (region_has_check(op->regions[i])) return true;
    return false;
}

/* ----------------------------------------------------------------------------- body to body */

void region_splice(Builder *b, Region *r) {
    for (int i = 0; i < r->ops.n; i++) {
        r->ops.at[i]->parent = b->region;
        vec_push(b->module->arena, &b->region->ops, r->ops.at[i]);
    }
    r->ops.n = 0;
}

Builder region_again(const Builder *b, const Region *r, ValueMap *map) {
    Builder body = build_body(b);
    *map = value_map_new(b->module->arena);
    for (int i = 0; i < r->params.n; i++) {
        const Value *p = r->params.at[i];
        value_map_set(map, p, build_body_param(&body, p->type, p->name));
    }
    for (int i = 0; i < r->ops.n; i++) {
        const OpInfo *info = r->ops.at[i]->info;
        if (info->kind != KIND_CHECK || info->flags & OP_BINDS_DIM) op_copy(b->module, body.region, r->ops.at[i], map);
    }
    return body;
}

void region_set_params(Region *r, Value *const *by) {
    ValueMap map = value_map_new(r->func->module->arena);
    for (int i = 0; i < r->params.n; i++) value_map_set(&map, r->params.at[i], by[i]);
    region_map_uses(r, &map);
    r->params.n = 0;
}

/* ---------------------------------------------------------------------------- shape rules */

const char *need_free_dims(Module *m, const Region *r) {
    for (int i = 0; i < r->ops.n; i++) {
        if (!(r->ops.at[i]->info->flags & OP_BINDS_DIM)) continue;
        const Dim *bound = op_dims(r->ops.at[i], "dims", NULL);
        int id = bound[0]->terms[0].symbols[0];
        for (int k = 0; k < r->yields.n; k++)
            for (int d = 0; d < r->yields.at[k]->type.rank; d++)
                if (dim_mentions(&m->dims, r->yields.at[k]->type.shape[d], id))
                    return reason(m, "%s cannot leave the body, which alone knows how much %s is",
                                  value_text(m, r->yields.at[k]), dim_text(m, bound[0]));
    }
    return NULL;
}

const char *need_params(Module *m, const char *what, const Region *r, int first, Value *const *values, int n) {
    for (int i = 0; i < n; i++)
        if (!type_equal(r->params.at[first + i]->type, values[i]->type))
            return reason(m, "parameter %d of the %s is %s, but what it stands for is %s", first + i, what,
                          value_text(m, r->params.at[first + i]), value_text(m, values[i]));
    return NULL;
}

/* --------------------------------------------------------------------------------- fusion */

static const char *infer_fusion(Module *m, Op *op) {
    const Region *body = op->regions[0];
    if (body->params.n != op->operand_count)
        return reason(m, "the body has %d parameters, but there are %d operands", body->params.n, op->operand_count);
    if (body->yields.n != op->result_count)
        return reason(m, "the body yields %d values, but there are %d results", body->yields.n, op->result_count);
    for (int i = 0; i < op->operand_count; i++)
        if (!type_equal(body->params.at[i]->type, op->operands[i]->type))
            return reason(m, "parameter %d of the body is %s, operand %d is %s", i,
                          value_text(m, body->params.at[i]), i, value_text(m, op->operands[i]));
    for (int i = 0; i < op->result_count; i++) op->results[i].type = body->yields.at[i]->type;
    return NULL;
}

static void eval_fusion(EvalContext *e, const Op *op) {
    const Region *body = op->regions[0];
    for (int i = 0; i < op->operand_count; i++) e->values[body->params.at[i]->id] = e->values[op->operands[i]->id];
    eval_region(e, body);
    for (int i = 0; i < op->result_count && !e->error; i++)
        e->values[op->results[i].id] = e->values[body->yields.at[i]->id];
}

const OpInfo OP_fusion = {
    .name = "fusion", .at = HERE, .kind = KIND_REGION, .min_operands = 0, .max_operands = -1, .result_count = -1, .region_count = 1,
    .form = FORM_ONCE, .signature = "*", .types = CLASS_ANY,
    .doc = "The results its body yields, the body's parameters being the operands: ops that become one kernel.",
    .infer = infer_fusion, .eval = eval_fusion};
