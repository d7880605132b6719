/* What simplify does for operators with bodies: constants from outside are made anew inside, where they can fold with
 * others; a choice whose condition is known is the branch it takes. */
#include "ops/region.h"
#include "pass/rewrite.h"
#include "pass/simplify.h"

/* Whether v is made of nothing and by so little that it may as well be made again. */
static bool is_constant(const Value *v) {
    return v->op && v->op->info->kind == KIND_MAP && !v->op->operand_count && !op_attr(v->op, "values");
}

static int sink_into(Module *m, Arena *scratch, Region *r) {
    ValueMap map = value_map_new(scratch);
    Region made = {.func = r->func};
    for (int i = 0; i < r->params.n; i++) {
        Value *p = r->params.at[i], *source = region_source(r, i);
        if (!source || !is_constant(source)) continue;
        bool used = false;
        for (int k = 0; k < r->yields.n; k++) used = used || r->yields.at[k] == p;
        for (int k = 0; k < r->ops.n && !used; k++)
            for (int j = 0; j < r->ops.at[k]->operand_count; j++) used = used || r->ops.at[k]->operands[j] == p;
        if (!used) continue;
        Op *op = op_copy(m, &made, source->op, &map);
        op->parent = r;
        value_map_set(&map, p, &op->results[0]);
    }
    if (!made.ops.n) return 0;
    int n = made.ops.n;
    for (int i = 0; i < r->ops.n; i++) vec_push(m->arena, &made.ops, r->ops.at[i]);
    region_map_uses(r, &map);
    r->ops.at = made.ops.at;
    r->ops.n = made.ops.n;
    r->ops.room = made.ops.room;
    return n;
}

static int sink_constants(Module *m, Arena *scratch, Region *r) {
    int n = 0;
    for (int i = 0; i < r->ops.n; i++)
        for (int k = 0; k < r->ops.at[i]->region_count; k++) {
            n += sink_into(m, scratch, r->ops.at[i]->regions[k]);
            n += sink_constants(m, scratch, r->ops.at[i]->regions[k]);
        }
    return n;
}

static Value *const *choose(void *user, Builder *b, Op *op) {
    Arena *scratch = user;
    double condition;
    if (op->info->form != FORM_CHOICE || !value_is_splat(op->operands[0], &condition)) return NULL;
    const Region *r = op->regions[condition != 0 ? 0 : 1];
    ValueMap map = value_map_new(scratch);
    for (int i = 0; i < r->params.n; i++) value_map_set(&map, r->params.at[i], op->operands[i + 1]);
    region_copy_ops(b->module, b->region, r, &map);
    Value **results = arena_array(scratch, Value *, op->result_count);
    for (int i = 0; i < op->result_count; i++) results[i] = value_mapped(&map, r->yields.at[i]);
    return results;
}

int simplify_regions(Func *f, Arena *scratch) {
    int n = sink_constants(f->module, scratch, f->body);
    return n + graph_rewrite(f, scratch, choose, scratch);
}
