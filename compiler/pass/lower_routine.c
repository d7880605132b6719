/* Routines: an OPAQUE op becomes a call of the runtime's function for it. See lower.h.
 *
 * In: an op whose operands and results lie somewhere. Out: one step, whose numbers say what dlrt.h asks for: where each
 * operand and each result that is used lies, and the operator's attributes. Which operator it is does not matter here:
 * its row names the routine, the rows into which the work falls and the scratch. */
#include "pass/lower.h"

enum { SERIAL_ELEMENTS = 1 << 13 };            /* ordering takes some ten times as long as adding */

typedef struct Call {
    Lowering *l;
    PlanStep step;
    Ints bufs;
    VEC(Dim) offsets, numbers;
} Call;

static void add_number(Call *c, int64_t x) {
    vec_push(c->l->arena, &c->numbers, dim_const(&c->l->m->dims, x));
}

static void add_tensor(Call *c, const Value *v) {
    const Layout *at = &c->l->at[v->id];
    vec_push(c->l->arena, &c->bufs, at->buf);
    vec_push(c->l->arena, &c->offsets, at->offset);
    add_number(c, v->type.dtype);
    add_number(c, v->type.rank);
    for (int i = 0; i < v->type.rank; i++) vec_push(c->l->arena, &c->numbers, v->type.shape[i]);
    for (int i = 0; i < v->type.rank; i++) vec_push(c->l->arena, &c->numbers, at->strides[i]);
}

static void add_float(Call *c, double x) {
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    add_number(c, (int64_t)(bits & UINT32_MAX));
    add_number(c, (int64_t)(bits >> 32));
}

static void add_attrs(Call *c, const Op *op) {
    for (const AttrSpec *spec = op->info->attrs; spec && spec->key; spec++) {
        const Attr *a = op_attr(op, spec->key);
        if (spec->kind == ATTR_FLOAT) add_float(c, a ? a->f : 0);
        else add_number(c, a ? a->i : 0);
    }
}

void lower_routine(Lowering *l, Op *op, Steps *to) {
    Call c = {.l = l};
    uint64_t wanted = 0;
    for (int i = 0; i < op->result_count; i++) wanted |= (uint64_t)(l->uses[op->results[i].id] > 0) << i;
    add_number(&c, op->operand_count);
    add_number(&c, op->result_count);
    add_number(&c, (int64_t)wanted);
    for (int i = 0; i < op->operand_count; i++) add_tensor(&c, op->operands[i]);
    for (int i = 0; i < op->result_count; i++)
        if (wanted >> i & 1) add_tensor(&c, &op->results[i]);
    add_attrs(&c, op);
    PlanStep s = {.kind = STEP_ROUTINE, .routine = op->info->routine, .reads = op->operand_count,
                  .writes = c.bufs.n - op->operand_count, .bufs = c.bufs.at, .offsets = c.offsets.at,
                  .dims = c.numbers.at, .dim_count = c.numbers.n, .extent = op->info->rows(l->m, op),
                  .scratch = op->info->scratch(l->m, op)->upper, .serial_below = SERIAL_ELEMENTS, .span = op->span};
    vec_push(l->scratch, to, s);
}
