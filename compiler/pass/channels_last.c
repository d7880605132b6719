/* channels_last: puts the features of images behind their places.
 *
 * A convolution's kernels broadcast an element of x over a vector of output features, and lanes want neighbours in
 * memory. So a convolution gives its result as [batch, places.., features], whatever order it had, and from there the
 * order travels through all that does not care: elementwise work, reductions, windows, padding, repetition. Only what
 * cannot take it (a reshape, the caller) reads the old order, through a transposition.
 *
 * In: any module. Out: the same values; each result that was reordered stands as a transposition of its new form,
 * which is dropped where nothing reads it. A kernel's gradient, the convolution of two things that both depend on data,
 * keeps its order: it belongs to a parameter, whose own order in memory `layout` chooses. */
#include "ops/permute.h"
#include "ops/region.h"
#include "ops/value_map.h"
#include "pass/pass.h"
#include "pass/rewrite.h"

typedef struct Turner {
    ValueMap turned;           /* value in the old order -> value in the new one, whose transposition it is */
    bool *data;                /* by number: depends on more than variables */
    Arena *scratch;
} Turner;

/* ------------------------------------------------------------------------------ data */

static void find_data(const Func *f, Region *r, bool *data) {
    for (int i = 0; i < r->params.n; i++) {
        bool variable = r == f->body && f->inputs.at[i].kind == PORT_VAR;
        data[r->params.at[i]->id] = !variable;
    }
    for (int i = 0; i < r->ops.n; i++) {
        Op *op = r->ops.at[i];
        bool any = false;
        for (int k = 0; k < op->operand_count; k++) any |= data[op->operands[k]->id];
        for (int k = 0; k < op->result_count; k++) data[op->results[k].id] = any;
        for (int k = 0; k < op->region_count; k++) find_data(f, op->regions[k], data);
    }
}

/* Values made by this pass have no number; they come of what has. */
static bool is_data(const Turner *t, const Value *v) { return v->id < 0 || t->data[v->id]; }

/* ---------------------------------------------------------------------------- values */

/* The new form of v and the permutation that leads to it; or null. */
static Value *turned(const Turner *t, const Value *v, int64_t *permutation) {
    Value *form = value_map_get(&t->turned, v);
    if (form) inverse_permutation(op_ints(v->op, "permutation", NULL), v->type.rank, permutation);
    return form;
}

/* What stands for an op's result that came out reordered. */
static Value *const *stand_for(Turner *t, Builder *b, const Op *op, Value *form, const int64_t *permutation) {
    Value **now = arena_array(t->scratch, Value *, 1);
    int rank = form->type.rank;
    int64_t back[MAX_RANK] = {0};
    if (!form->name) form->name = op->results[0].name;
    if (is_identity(permutation, rank)) {
        now[0] = form;
        return now;
    }
    inverse_permutation(permutation, rank, back);
    now[0] = build_transpose(b, form, back);
    value_map_set(&t->turned, now[0], form);
    return now;
}

/* v in the order of the permutation: its new form, if that has it; what is repeated or made of nothing is made so. */
static Value *in_order(Turner *t, Builder *b, Value *v, const int64_t *permutation) {
    int rank = v->type.rank;
    int64_t own[MAX_RANK] = {0}, to[MAX_RANK] = {0};
    if (!rank) return v;
    Value *form = turned(t, v, own);
    if (form && !memcmp(own, permutation, sizeof *own * (size_t)rank)) return form;
    if (v->op && v->op->operand_count == 0 && v->op->info->kind == KIND_MAP) {
        Value *made = op_permuted(b, v->op, NULL, permutation, to);
        if (made) return made;
    }
    if (v->op && v->op->info->flags & OP_REPEATS && !form) {
        int n;
        const int64_t *axes = op_ints(v->op, "axes", &n);
        int64_t at[MAX_RANK] = {0}, back[MAX_RANK] = {0}, places[MAX_RANK], order[MAX_RANK];
        inverse_permutation(permutation, rank, back);
        for (int i = 0; i < n; i++) at[back[axes[i]]] = i + 1;
        int k = 0;
        for (int d = 0; d < rank; d++)
            if (at[d]) {
                order[k] = at[d] - 1;
                places[k++] = d;
            }
        Dim shape[MAX_RANK];
        for (int d = 0; d < rank; d++) shape[d] = v->type.shape[permutation[d]];
        Value *x = is_identity(order, n) ? v->op->operands[0] : in_order(t, b, v->op->operands[0], order);
        return build_broadcast_in_dim(b, x, rank, shape, places);
    }
    return build_transpose(b, v, permutation);
}

/* ----------------------------------------------------------------------- convolutions */

/* What an operand is a transposition of, and the numbers of its dims there. */
static Value *renumber(Value *v, int64_t *dims) {
    for (; v->op && v->op->info == &OP_transpose; v = v->op->operands[0])
        for (int i = 0; i < v->type.rank; i++) dims[i] = op_ints(v->op, "permutation", NULL)[dims[i]];
    return v;
}

static Value *const *turn_convolution(Turner *t, Builder *b, Op *op) {
    Convolution c = convolution_of(op);
    int rank = c.spatial + 2;
    bool image = !is_data(t, op->operands[1]);
    Value *x = renumber(op->operands[0], c.input), *w = renumber(op->operands[1], c.kernel);
    int64_t permutation[MAX_RANK] = {0}, to_input[MAX_RANK] = {0};
    if (!c.spatial) return NULL;
    if (!image && x == op->operands[0] && w == op->operands[1]) return NULL;
    if (image) {
        /* x that comes from elsewhere is read as it is, but its terms are added up in the new order. */
        for (int i = 0; i < c.spatial; i++) to_input[i + 1] = c.input[i + 2];
        to_input[0] = c.input[0];
        to_input[rank - 1] = c.input[1];
        if (!is_identity(to_input, rank)) {
            x = build_transpose(b, x, to_input);
            c.input[0] = 0;
            c.input[1] = rank - 1;
            for (int i = 0; i < c.spatial; i++) c.input[i + 2] = i + 1;
        }
        permutation[0] = c.output[0];
        permutation[rank - 1] = c.output[1];
        for (int i = 0; i < c.spatial; i++) permutation[i + 1] = c.output[i + 2];
        c.output[0] = 0;
        c.output[1] = rank - 1;
        for (int i = 0; i < c.spatial; i++) c.output[i + 2] = i + 1;
    } else {
        for (int d = 0; d < rank; d++) permutation[d] = d;
    }
    return stand_for(t, b, op, build_convolution(b, x, w, &c), permutation);
}

/* ------------------------------------------------------------------------ what follows */

/* The order in which the op can be had, of the first operand that has a new form. */
static bool order_of_operands(const Turner *t, const Op *op, int64_t *permutation) {
    for (int i = 0; i < op->operand_count; i++)
        if (turned(t, op->operands[i], permutation)) return true;
    return false;
}

static Value *const *turn_other(Turner *t, Builder *b, Op *op) {
    int64_t permutation[MAX_RANK] = {0}, to[MAX_RANK] = {0};
    bool movable = op->info->kind == KIND_MAP || op->info->kind == KIND_REDUCE || op->info->kind == KIND_CUMULATE ||
                   op->info->flags & (OP_ANY_ORDER | OP_REPEATS);
    if (op->result_count != 1 || op->region_count || !movable || !order_of_operands(t, op, permutation)) return NULL;
    Value **operands = arena_array(t->scratch, Value *, op->operand_count);
    for (int i = 0; i < op->operand_count; i++) operands[i] = in_order(t, b, op->operands[i], permutation);
    Value *form = op_permuted(b, op, operands, permutation, to);
    return form ? stand_for(t, b, op, form, to) : NULL;
}

/* A transposition of a new form's is one of the form, or the form itself. */
static Value *const *turn_transpose(Turner *t, Builder *b, const Op *op) {
    int64_t dims[MAX_RANK] = {0};
    int rank = op->results[0].type.rank;
    for (int i = 0; i < rank; i++) dims[i] = i;
    if (!value_map_get(&t->turned, op->operands[0])) return NULL;
    Value **now = arena_array(t->scratch, Value *, 1);
    *now = renumber((Value *)&op->results[0], dims);
    if (!is_identity(dims, rank)) *now = build_transpose(b, *now, dims);
    return now;
}

static Value *const *turn(void *user, Builder *b, Op *op) {
    Turner *t = user;
    if (op->info == &OP_transpose) return turn_transpose(t, b, op);
    return op->info == &OP_convolution ? turn_convolution(t, b, op) : turn_other(t, b, op);
}

static void turn_func(void *user, Func *f) {
    PassContext *c = user;
    Turner t = {.turned = value_map_new(c->scratch), .scratch = c->scratch};
    t.data = arena_array(c->scratch, bool, graph_number(f) + 1);
    find_data(f, f->body, t.data);
    graph_rewrite(f, c->scratch, turn, &t);
    graph_sweep(f, c->scratch);
}

void pass_channels_last(PassContext *c, Module *m) { module_each_func(m, turn_func, c); }
