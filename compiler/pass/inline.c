/* inline: puts the bodies of calls in the place of the calls.
 *
 * In: any module. Out: one without calls, those in bodies included. Gradients have been taken by then, for which a
 * call's body was kept together: from here on it is ordinary operations, in whose midst others can be merged. */
#include "ops/region.h"
#include "pass/pass.h"
#include "pass/rewrite.h"

static Value *const *inline_op(void *user, Builder *b, Op *op) {
    PassContext *c = user;
    if (!(op->info->flags & OP_CALLS)) return NULL;
    const Region *body = op->regions[0];
    ValueMap map = value_map_new(c->scratch);
    for (int i = 0; i < op->operand_count; i++) value_map_set(&map, body->params.at[i], op->operands[i]);
    region_copy_ops(b->module, b->region, body, &map);
    Value **results = arena_array(c->scratch, Value *, op->result_count);
    for (int i = 0; i < op->result_count; i++) results[i] = value_mapped(&map, body->yields.at[i]);
    return results;
}

static void inline_func(void *user, Func *f) {
    PassContext *c = user;
    graph_rewrite(f, c->scratch, inline_op, c);
}

void pass_inline(PassContext *c, Module *m) { module_each_func(m, inline_func, c); }
