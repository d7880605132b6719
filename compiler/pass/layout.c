/* layout: the physical dim order of parameters.
 *
 * A contraction's kernel wants the operand that is spread over vector lanes (its N side) to be contiguous
 * along N. For a weight stored [out, in] that is so when an input gradient is computed, but not in the
 * forward pass, and at batch 1 the forward pass is bound by reading just this memory in order. So each
 * matrix parameter is stored in the order that most of its uses want, counted over all exported
 * functions; loading, saving and looking at it keep the logical order. What belongs to a parameter
 * element by element (optimiser state) follows it, so that the update stays one contiguous pass. */
#include "ops/contraction.h"
#include "ops/region.h"
#include "pass/pass.h"

/* Whether a matrix operand's last dim is not summed over, so that the lanes would run along contiguous memory. */
static bool free_dim_is_last(DimTable *dims, const Op *op, bool lhs) {
    Contraction c = {.dims = dims};
    if (!op->info->contract(op, &c)) return true;
    const IndexExpr *last = lhs ? &c.lhs.at[1] : &c.rhs.at[1];
    for (int a = 0; a < c.axes; a++)
        if (c.part[a] == PART_SUM && !dim_is(last->coeff[a], 0)) return false;
    return true;
}

/* What v, a matrix, is the same elements of: an operand of an index map, or what comes into a body from outside. */
static const Value *value_before(const Value *v) {
    const Op *op = v->op;
    if (!op) return region_source(v->region, v->index);
    bool moves = op->info->kind == KIND_MOVE && (op->operand_count == 1 || op->info->flags & OP_BARRIER);
    return moves && v->type.rank == 2 && op->operands[0]->type.rank == 2 ? op->operands[0] : NULL;
}

/* The parameter behind an operand, looking through a transposition. */
static Var *var_behind(const Func *f, const Value *v, bool *transposed) {
    *transposed = false;
    for (const Value *x = v; x; x = value_before(v)) {
        if (v->op && v != x && op_attr(v->op, "permutation")) *transposed = !*transposed;
        v = x;
    }
    if (v->op || v->region != f->body) return NULL;
    const Port *port = &f->inputs.at[v->index];
    return port->kind == PORT_VAR && port->var->type.rank == 2 ? port->var : NULL;
}

typedef struct Votes {
    Module *module;
    const Func *func;
    int *swapped, *kept;       /* by var id: uses that want the dims swapped, or as they are */
} Votes;

static void vote(void *user, Op *op) {
    Votes *votes = user;
    if (op->info->kind != KIND_CONTRACT) return;
    for (int side = 0; side < 2; side++) {
        bool transposed;
        Var *var = var_behind(votes->func, op->operands[side], &transposed);
        if (!var) continue;
        bool contiguous = free_dim_is_last(&votes->module->dims, op, side == 0) != transposed;
        ++*(contiguous ? &votes->kept[var->id] : &votes->swapped[var->id]);
    }
}

void pass_layout(PassContext *c, Module *m) {
    Votes votes = {.module = m, .swapped = arena_array(c->scratch, int, m->vars.n + 1),
                   .kept = arena_array(c->scratch, int, m->vars.n + 1)};
    for (int i = 0; i < m->funcs.n; i++) {
        votes.func = m->funcs.at[i];
        region_walk(votes.func->body, vote, &votes);
    }
    for (int i = 0; i < m->vars.n; i++) {
        Var *v = m->vars.at[i];
        if (v->kind != VAR_PARAM || votes.swapped[v->id] <= votes.kept[v->id]) continue;
        v->order[0] = 1;
        v->order[1] = 0;
    }
    for (int i = 0; i < m->vars.n; i++) {
        Var *v = m->vars.at[i];
        if (v->of) memcpy(v->order, v->of->order, sizeof v->order);
    }
}
