/* layout: the physical dim order of parameters.
 *
 * A contraction's kernel wants the operand that is spread over vector lanes (its N side) to be contiguous
 * along N. For a weight stored [out, in] that is so when an input gradient is computed, but not in the
 * forward pass, and at batch 1 the forward pass is bound by reading just this memory in order; for a
 * convolution's, [out, in, rows, columns], it never is. So each parameter is stored in the order that most
 * of its uses want, counted over all exported functions; loading, saving and looking at it keep the logical
 * order. What belongs to a parameter element by element (optimiser state) follows it, so that the update
 * stays one contiguous pass.
 *
 * A parameter that no function writes, and that is nothing but the lanes' side of matrix products, is cut
 * into panels: as many columns as a tile has lie together, row after row, so that a tile reads memory in
 * sequence. Their width may have been measured (pass/tuning.h); --pass-option=layout.panel=WIDTH asks for one, 0 for
 * none. */
#include "ops/contraction.h"
#include "ops/index.h"
#include "ops/region.h"
#include "pass/layout.h"
#include "pass/tuning.h"

#include <math.h>
#include <stdlib.h>

enum { LEAST_ROWS = 8, LEAST_COLUMNS = 96 };

/* An order of a variable's dims in memory, and how many uses want it. */
typedef struct Wish {
    int order[MAX_RANK];
    int votes;
} Wish;

typedef struct Votes {
    Module *module;
    int64_t *rows;             /* by var id: the most rows that are multiplied with it */
    bool *plain;               /* by var id: all uses are factors of contractions with rows enough, and none writes it */
    const Func *func;
    Arena *scratch;
    VEC(Wish) *of;             /* by var id, in the order in which they were first met */
} Votes;

/* Puts the dims of the operand that move along an axis of this part behind those there are, in the axes' order. */
static int add_dims(const Contraction *c, const IndexPoint *at, ContractPart part, int *order, int n) {
    for (int a = 0; a < c->axes; a++)
        for (int d = 0; c->part[a] == part && d < at->rank; d++) {
            bool known = false;
            for (int i = 0; i < n; i++) known |= order[i] == d;
            if (!known && !dim_is(at->at[d].coeff[a], 0)) order[n++] = d;
        }
    return n;
}

void layout_wanted(const Contraction *c, bool lhs, int *order) {
    const IndexPoint *at = lhs ? &c->lhs : &c->rhs;
    ContractPart own = lhs ? PART_LHS : PART_RHS;
    double free = 1;
    for (int a = 0; a < c->axes; a++)
        if (c->part[a] == own) free *= (double)c->extent[a]->upper;
    const ContractPart parts[2][3] = {{PART_BATCH, PART_SUM, own}, {own, PART_SUM, PART_BATCH}};
    int moved[MAX_RANK], n = 0, k = 0;
    for (int i = 0; i < 3; i++) n = add_dims(c, at, parts[free <= 1 || contraction_is_thin(c)][i], moved, n);
    for (int d = 0; d < at->rank; d++) {
        bool moves = false;
        for (int i = 0; i < n; i++) moves |= moved[i] == d;
        if (!moves) order[k++] = d;
    }
    memcpy(order + k, moved, sizeof *order * (size_t)n);
}

static bool is_unit(Type t, int d) { return dim_is(t.shape[d], 1); }

/* Of a relabelling that puts dims of extent 1 elsewhere, and nothing more: the order of the operand's dims. */
static bool move_units(Type from, Type to, int *order) {
    int of[MAX_RANK], next = 0, unit = 0;
    for (int d = 0; d < to.rank; d++) {
        int *at = is_unit(to, d) ? &unit : &next;
        while (*at < from.rank && is_unit(from, *at) != is_unit(to, d)) ++*at;
        if (*at == from.rank || from.shape[*at] != to.shape[d]) return false;
        of[d] = (*at)++;
    }
    for (int i = 0; i < to.rank; i++) order[i] = of[order[i]];
    return true;
}

const Value *layout_before(const Value *v, int *order) {
    const Op *op = v->op;
    if (!op) return NULL;
    bool moves = op->info->kind == KIND_MOVE && (op->operand_count == 1 || op->info->flags & OP_BARRIER);
    if (!moves || op->operands[0]->type.rank != v->type.rank) return NULL;
    if (op->info->flags & OP_RELABELS) return move_units(op->operands[0]->type, v->type, order) ? op->operands[0] : NULL;
    const Attr *permutation = op_attr(op, "permutation");
    for (int i = 0; permutation && i < v->type.rank; i++) order[i] = (int)permutation->ints[order[i]];
    return op->operands[0];
}

/* The same, or what comes into a body from outside. */
static const Value *value_before(const Value *v, int *order) {
    return v->op ? layout_before(v, order) : region_source(v->region, v->index);
}

/* The parameter behind an operand, and the order in which its dims are wanted if the operand's are in `order`. */
static Var *var_behind(const Func *f, const Value *v, int *order) {
    for (const Value *x = v; x; x = value_before(v, order)) v = x;
    if (v->op || v->region != f->body) return NULL;
    const Port *port = &f->inputs.at[v->index];
    return port->kind == PORT_VAR && port->var->type.rank >= 2 ? port->var : NULL;
}

/* Index maps that reorder and turn round dims at most. */
static bool keeps_dims(const Op *op) {
    return op->info->kind == KIND_MOVE && op->operand_count == 1 && !(op->info->flags & (OP_REPEATS | OP_RELABELS)) &&
           (op_attr(op, "permutation") || op_attr(op, "axes")) && op_attr(op, "strides") == NULL;
}

/* What is used otherwise than as a factor cannot lie in panels. */
static void note_other_uses(Votes *votes, const Op *op) {
    int order[MAX_RANK] = {0};
    if (keeps_dims(op)) return;
    for (int i = 0; i < op->operand_count; i++) {
        Var *var = var_behind(votes->func, op->operands[i], order);
        if (var) votes->plain[var->id] = false;
    }
}

/* The rows that the other side of the contraction has, at least or at most. */
static int64_t count_rows(const Contraction *c, bool lhs, bool most) {
    enum { MANY = 1 << 10 };
    int64_t rows = 1;
    for (int a = 0; a < c->axes; a++) {
        if (c->part[a] != (lhs ? PART_RHS : PART_LHS) || rows > INT64_C(1) << 40) continue;
        int64_t extent = most ? c->extent[a]->upper : c->extent[a]->lower;
        rows *= extent < MANY || most ? extent : MANY;
    }
    return rows;
}

static void cast(Votes *votes, const Var *var, const Wish *wish) {
    int i = 0, n = votes->of[var->id].n;
    while (i < n && memcmp(votes->of[var->id].at[i].order, wish->order, sizeof(int) * (size_t)var->type.rank)) i++;
    if (i == n) vec_push(votes->scratch, &votes->of[var->id], *wish);
    else votes->of[var->id].at[i].votes++;
}

static bool is_written(const Func *f, const Var *var) {
    for (int i = 0; i < f->results.n; i++)
        if (f->results.at[i].var == var) return true;
    return false;
}

/* Where slices at run-time places are read of a parameter that is learned, slices of its gradient are added to: in order,
 * if it lies as it is indexed. That is a wish like those of its products: an embedding shared with the layer that undoes
 * it. */
static void vote_index(Votes *votes, const Op *op) {
    Wish wish = {.votes = 1};
    for (int d = 0; d < MAX_RANK; d++) wish.order[d] = d;
    Var *var = var_behind(votes->func, index_parts(op).whole, wish.order);
    if (var && is_written(votes->func, var)) cast(votes, var, &wish);
}

/* Where a spread operand is read takes a division; how, does not matter here. */
static int some_quotient(void *user, const IndexExpr *e, int64_t divisor) {
    (void)user, (void)e, (void)divisor;
    return 0;
}

static void vote(void *user, Op *op) {
    Votes *votes = user;
    Contraction c = {.dims = &votes->module->dims, .quotient = some_quotient};
    if (op->info->kind == KIND_INDEX) vote_index(votes, op);
    if (op->info->kind != KIND_CONTRACT || !op->info->contract(op, &c)) {
        note_other_uses(votes, op);
        return;
    }
    for (int side = 0; side < 2; side++) {
        Wish wish = {.votes = 1};
        layout_wanted(&c, side == 0, wish.order);
        Var *var = var_behind(votes->func, op->operands[side], wish.order);
        if (!var) continue;
        int64_t rows = count_rows(&c, side == 0, true);
        if (rows > votes->rows[var->id]) votes->rows[var->id] = rows;
        if (count_rows(&c, side == 0, false) < LEAST_ROWS || contraction_is_thin(&c) || op->parent != votes->func->body)
            votes->plain[var->id] = false;
        cast(votes, var, &wish);
    }
}

/* ------------------------------------------------------------------------------ results */

/* Whether the axis moves the operand together with one of the sum: places of a window. */
static bool moves_window(const Contraction *c, const IndexPoint *at, int axis) {
    for (int d = 0; d < at->rank; d++)
        for (int a = 0; a < c->axes && !dim_is(at->at[d].coeff[axis], 0); a++)
            if (c->part[a] == PART_SUM && !dim_is(at->at[d].coeff[a], 0)) return true;
    return false;
}

/* What lanes along the side take, idle ones counted, and some more for each row of few. */
static double lanes_cost(const Contraction *c, ContractPart part) {
    enum { LANES = 16, ROW = 2 };
    double n = 1;
    for (int a = 0; a < c->axes; a++)
        if (c->part[a] == part && !moves_window(c, part == PART_LHS ? &c->lhs : &c->rhs, a)) n *= (double)c->extent[a]->upper;
    return (ceil(n / LANES) * LANES + ROW) / n;
}

/* The axis's rank, outermost first: places of windows, so that a tile's rows are features of one place, then one side,
 * then that which lanes run along. */
static int rank_of_axis(const Contraction *c, int axis) {
    bool lhs = c->part[axis] == PART_LHS, lanes_lhs = lanes_cost(c, PART_LHS) * 1.05 < lanes_cost(c, PART_RHS);
    if (c->part[axis] == PART_BATCH) return contraction_is_thin(c) ? 4 : 0;
    if (moves_window(c, lhs ? &c->lhs : &c->rhs, axis)) return 1;
    return lhs == lanes_lhs ? 3 : 2;
}

/* The number of the dim that the axis moves in what the operand is an index map of, or 0. */
static int dim_behind(const Value *v, const IndexPoint *at, int axis) {
    int order[MAX_RANK] = {0};
    for (int d = 0; d < at->rank; d++)
        if (!dim_is(at->at[d].coeff[axis], 0)) order[0] = d;
    for (const Value *x; (x = layout_before(v, order)); v = x) {}
    return order[0];
}

/* The order in which a contraction makes its result best; dims of one side as its operand has them. */
static void layout_made(const Op *op, const Contraction *c, int *order) {
    enum { RANKS = 5 };
    int n = 0, key[MAX_RANK] = {0};
    for (int a = 0; a < c->axes; a++)
        for (int d = 0; d < c->result.rank && c->part[a] != PART_SUM; d++) {
            bool lhs = c->part[a] != PART_RHS;
            int k = rank_of_axis(c, a) * MAX_RANK + dim_behind(op->operands[!lhs], lhs ? &c->lhs : &c->rhs, a);
            if (!dim_is(c->result.at[d].coeff[a], 0) && k > key[d]) key[d] = k;
        }
    for (int k = 0; k < RANKS * MAX_RANK; k++)
        for (int d = 0; d < c->result.rank; d++)
            if (key[d] == k) order[n++] = d;
}

/* A variable's new version that is a contraction's result lies as that makes it best, if nothing reads the variable. */
static void vote_result(Votes *votes, const Result *result, const Value *v) {
    Contraction c = {.dims = &votes->module->dims, .quotient = some_quotient};
    int back[MAX_RANK] = {0}, made[MAX_RANK];
    Wish wish = {.votes = 0};
    for (int d = 0; d < v->type.rank; d++) back[d] = d;
    for (const Value *x; (x = layout_before(v, back)); v = x) {}
    if (!result->var || !v->op || v->op->info->kind != KIND_CONTRACT || !v->op->info->contract(v->op, &c)) return;
    layout_made(v->op, &c, made);
    for (int i = 0; i < v->type.rank; i++)
        for (int d = 0; d < v->type.rank; d++)
            if (back[d] == made[i]) wish.order[i] = d;
    vec_push(votes->scratch, &votes->of[result->var->id], wish);
}

/* The order that most uses want; of equally many the first, which is the forward pass's: there its panels are read as
 * often as there are blocks of rows, and copied for the backward pass. */
static void choose_order(const Votes *votes, Var *v) {
    const Wish *chosen = NULL;
    for (int i = 0; i < votes->of[v->id].n; i++)
        if (!chosen || votes->of[v->id].at[i].votes > chosen->votes) chosen = &votes->of[v->id].at[i];
    if (chosen) memcpy(v->order, chosen->order, sizeof(int) * (size_t)v->type.rank);
}

static bool panels_fit(int64_t columns, int64_t width) {
    return columns >= LEAST_COLUMNS && width > 0 && columns % width == 0;
}

/* The columns of a panel: what tiles have, if it divides them; or what was measured to be best, or is asked for. */
static void choose_panels(const PassContext *c, const Votes *votes, Var *v) {
    static const int64_t widths[] = {48, 64, 32};
    int rank = v->type.rank;
    if (!votes->plain[v->id] || votes->of[v->id].n != 1 || rank < 2) return;
    int64_t columns = dim_value(v->type.shape[v->order[rank - 1]]);
    const char *asked = pass_option(c, "panel");
    const char *name = tuning_panel_name(c->scratch, &votes->module->dims, v, votes->rows[v->id]);
    const TunedPanel *tuned = asked ? NULL : tuning_find_panel(c->tuning, name);
    int64_t wanted = asked ? strtoll(asked, NULL, 10) : tuned ? tuned->split : -1;
    if (columns >= LEAST_COLUMNS) v->rows = votes->rows[v->id];
    if (!wanted) return;
    for (int i = 0; i < 3 && !v->split; i++)
        if (panels_fit(columns, widths[i])) v->split = widths[i];
    if (panels_fit(columns, wanted)) v->split = wanted;
}

static void note_yield(Votes *votes, const Value *v) {
    int order[MAX_RANK] = {0};
    Var *var = var_behind(votes->func, v, order);
    if (var) votes->plain[var->id] = false;
}

static void note_written(Votes *votes) {
    for (int i = 0; i < votes->func->results.n; i++) {
        Var *var = votes->func->results.at[i].var;
        if (var) votes->plain[var->id] = false;
    }
}

void pass_layout(PassContext *c, Module *m) {
    Votes votes = {.module = m, .scratch = c->scratch};
    votes.rows = arena_array(c->scratch, int64_t, m->vars.n + 1);
    votes.plain = arena_array(c->scratch, bool, m->vars.n + 1);
    for (int i = 0; i < m->vars.n; i++) votes.plain[i] = true;
    votes.of = arena_alloc(c->scratch, sizeof *votes.of * (size_t)(m->vars.n + 1));
    memset(votes.of, 0, sizeof *votes.of * (size_t)(m->vars.n + 1));
    for (int i = 0; i < m->funcs.n; i++) {
        votes.func = m->funcs.at[i];
        region_walk(votes.func->body, vote, &votes);
        note_written(&votes);
        for (int k = 0; k < votes.func->results.n; k++)
            vote_result(&votes, &votes.func->results.at[k], votes.func->body->yields.at[k]);
        for (int k = 0; k < votes.func->body->yields.n; k++) note_yield(&votes, votes.func->body->yields.at[k]);
    }
    for (int i = 0; i < m->vars.n; i++) {
        if (m->vars.at[i]->kind != VAR_PARAM && m->vars.at[i]->kind != VAR_PREPARED) continue;
        choose_order(&votes, m->vars.at[i]);
        choose_panels(c, &votes, m->vars.at[i]);
    }
    for (int i = 0; i < m->vars.n; i++) {
        Var *v = m->vars.at[i];
        if (v->of) memcpy(v->order, v->of->order, sizeof v->order);
        if (v->of) v->split = v->of->split;
    }
}
