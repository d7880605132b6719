/* Operators with bodies. So far fusion: a group of ops that becomes one kernel, with the meaning of its
 * body. It is made after differentiation and so has no gradient rule. */
#include "ops/rules.h"

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
    .name = "fusion", .kind = KIND_REGION, .min_operands = 0, .max_operands = -1, .result_count = -1, .region_count = 1,
    .signature = "*", .types = CLASS_ANY,
    .doc = "The results its body yields, the body's parameters being the operands: ops that become one kernel.",
    .infer = infer_fusion, .eval = eval_fusion};
