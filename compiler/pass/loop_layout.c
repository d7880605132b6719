/* loop_layout: lays out once what a loop's products would lay out in each step.
 *
 * In a recurrent network's way back every step multiplies by the recurrent weights the other way round. Where all
 * products in a loop's body want a value from outside in one order of dims, and it does not lie so, it is put into that
 * order before the loop.
 *
 * In: functions whose variables have their orders. Out: the same, with transpositions in front of loops, which are
 * copies there since loops find their operands in memory, and the reverse inside, which cost nothing. */
#include "ops/permute.h"
#include "ops/region.h"
#include "pass/layout.h"
#include "pass/rewrite.h"

enum { LEAST_STEPS = 4 };

typedef struct LoopUses {
    Module *module;
    const Value *param;
    int order[MAX_RANK];
    int products, others;      /* uses that want `order`; uses that want another one, or none */
} LoopUses;

static bool is_of_param(const LoopUses *u, const Value *v, int *order) {
    while (v && v != u->param) v = layout_before(v, order);
    return v != NULL;
}

static void look_at_use(LoopUses *u, const Op *op, int i) {
    Contraction c = {.dims = &u->module->dims};
    int order[MAX_RANK] = {0}, unused[MAX_RANK] = {0};
    bool product = op->info->kind == KIND_CONTRACT && op->info->contract(op, &c);
    if (product) layout_wanted(&c, i == 0, order);
    if (!is_of_param(u, op->operands[i], product ? order : unused)) return;
    if (op->info->kind == KIND_MOVE && op_attr(op, "permutation")) return; /* its own uses count */
    size_t bytes = sizeof *order * (size_t)u->param->type.rank;
    if (!product || (u->products && memcmp(order, u->order, bytes))) {
        u->others++;
        return;
    }
    memcpy(u->order, order, bytes);
    u->products++;
}

static LoopUses uses_in(Module *m, const Region *body, const Value *param) {
    LoopUses u = {.module = m, .param = param};
    for (int k = 0; k < body->ops.n; k++)
        for (int i = 0; i < body->ops.at[k]->operand_count; i++) look_at_use(&u, body->ops.at[k], i);
    for (int i = 0; i < body->yields.n; i++) {
        int unused[MAX_RANK] = {0};
        u.others += is_of_param(&u, body->yields.at[i], unused);
    }
    return u;
}

/* The order in which the value's dims lie in memory. */
static void own_order(const Func *f, const Value *v, int *order) {
    for (int d = 0; d < v->type.rank; d++) order[d] = d;
    if (v->op || v->region != f->body || f->inputs.at[v->index].kind != PORT_VAR) return;
    memcpy(order, f->inputs.at[v->index].var->order, sizeof *order * (size_t)v->type.rank);
}

/* Gives the body's parameter the dims in this order, and what used it the old one. */
static void turn_param(Module *m, Func *f, Region *body, int i, const int64_t *permutation) {
    Value *param = body->params.at[i];
    int64_t back[MAX_RANK] = {0};
    int rank = param->type.rank;
    Dim shape[MAX_RANK];
    inverse_permutation(permutation, rank, back);
    for (int d = 0; d < rank; d++) shape[d] = param->type.shape[permutation[d]];
    Region made = {.func = f};
    Builder b = {.module = m, .func = f, .region = &made, .span = body->owner->span};
    Type old = param->type;
    param->type = type_make(m, old.dtype, rank, shape);
    Value *again = build_transpose(&b, param, back);
    again->op->parent = body;
    region_replace_uses(body, param, again);
    again->op->operands[0] = param;
    for (int k = 0; k < body->ops.n; k++) vec_push(m->arena, &made.ops, body->ops.at[k]);
    body->ops.at = made.ops.at;
    body->ops.n = made.ops.n;
    body->ops.room = made.ops.room;
}

/* The number of steps, at most. */
static int64_t most_steps(const Op *op) {
    return op->info->form == FORM_SCAN ? scan_form(op).length->upper : 0;
}

static Value *const *turn_operands(void *user, Builder *b, Op *op) {
    (void)user;
    if (most_steps(op) < LEAST_STEPS) return NULL;
    ScanForm s = scan_form(op);
    for (int i = 0; i < s.consts; i++) {
        Value *v = op->operands[i];
        int own[MAX_RANK] = {0};
        int64_t permutation[MAX_RANK] = {0};
        if (v->type.rank < 2) continue;
        LoopUses u = uses_in(b->module, op->regions[0], op->regions[0]->params.at[i]);
        own_order(b->func, v, own);
        if (!u.products || u.others || !memcmp(own, u.order, sizeof *own * (size_t)v->type.rank)) continue;
        for (int d = 0; d < v->type.rank; d++) permutation[d] = u.order[d];
        Attr attr = attr_ints(b->module, "permutation", permutation, v->type.rank);
        op->operands[i] = build_op(b, &OP_transpose, &v, 1, &attr, 1); /* a copy, though it may move nothing */
        if (!is_identity(permutation, v->type.rank))
            turn_param(b->module, b->func, op->regions[0], i, permutation);
    }
    return NULL;
}

static void turn_func(void *user, Func *f) {
    PassContext *c = user;
    graph_rewrite(f, c->scratch, turn_operands, NULL);
}

void pass_loop_layout(PassContext *c, Module *m) { module_each_func(m, turn_func, c); }
