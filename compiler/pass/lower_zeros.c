/* lower_zeros: where a factor of a contraction is known to be 0.
 *
 * A factor may be a value that another kernel makes, and makes 0 wherever a condition on the indices does not hold: the
 * probabilities of causal attention are `select(key <= query, p, 0)`. Terms there add nothing, and whole tiles of them need not
 * be looked at. In: a value that the contraction reads. Out: that condition, if it is there, and the point at which it is
 * to be evaluated. The value is followed to where it is made, through index maps, kernels, and operators that make 0 of 0. */
#include "ops/index_map.h"
#include "ops/ops.h"
#include "pass/lower.h"
#include "pass/simplify.h"

/* Whether only indices and constants decide the value, so that it can be evaluated in any kernel. */
static bool is_of_indices(const Value *v) {
    if (!v->op || (v->op->info->kind != KIND_MAP && v->op->info->kind != KIND_MOVE)) return false;
    for (int i = 0; i < v->op->operand_count; i++)
        if (!is_of_indices(v->op->operands[i])) return false;
    return true;
}

/* The operands without which the operator gives 0, as a mask. Of numbers: 0 times infinity is left to where the zeros
 * are made. */
static unsigned absorbing(const Op *op) {
    switch (op->info->map) {
    case MAP_multiply: return 3;
    case MAP_divide:
    case MAP_negate:
    case MAP_convert: return 1;
    default: return 0;
    }
}

/* Behind an index map that has an element everywhere. */
static bool follow(const Op *op, IndexPoint *p) {
    int guards = p->guard_count;
    if (op->operand_count != 1 || op->info->flags & OP_LEAVES_GAPS) return false;
    p->quotient = NULL;
    p->total = NULL;
    return op->info->index_map(op, 0, p) && p->guard_count == guards;
}

bool lower_zeros(const Op *fusion, const Value *v, IndexPoint p, Zeros *to) {
    enum { SELECT_ZERO = 2 };
    if (!v->op) {
        const Value *outside = v->region == fusion->regions[0] ? fusion->operands[v->index] : NULL;
        const Op *maker = outside ? outside->op : NULL;
        if (!maker || maker->info != &OP_fusion) return false;
        return lower_zeros(maker, maker->regions[0]->yields.at[outside->index], p, to);
    }
    const Op *op = v->op;
    if (op->info->kind == KIND_MOVE) return follow(op, &p) && lower_zeros(fusion, op->operands[0], p, to);
    if (op->info->kind != KIND_MAP) return false;
    if (op->info->map == MAP_select && value_is_all(op->operands[SELECT_ZERO], 0) && is_of_indices(op->operands[0])) {
        *to = (Zeros){.unless = op->operands[0], .at = p, .fusion = fusion};
        return true;
    }
    for (int i = 0; i < op->operand_count; i++)
        if (absorbing(op) >> i & 1 && lower_zeros(fusion, op->operands[i], p, to)) return true;
    return false;
}
