/* Gradient of scan.
 *
 * The gradient of a scan is a scan that runs the other way. It carries the gradients of the carries and, added up, of
 * the consts, and yields those of the xs. Its body pulls back through the forward body: the reverse sweep is applied to
 * the forward body's own values, of which the new body then uses some. What is only elementwise or moved about is
 * computed again in it; the rest - carries as a step begins, results of costly operators, or what is computed from these
 * alone and no larger - are residuals: the forward scan itself is given further results, which stack them. Scans within
 * a body are given theirs in the same way, as results that the outer one stacks again. All is made of ordinary
 * operators, so second order follows.
 *
 * Where a const's gradient is a product of two values of the step, and a thin one, both are stacked and multiplied once
 * after the loop, the steps being one more contracted dimension: a recurrent network's weights get their gradients from
 * one large product. */
#include "ops/region.h"
#include "ops/rules.h"

typedef VEC(Value *) Values;

/* A value of the reverse body in all steps: a stack there is, a carry as each step begins, or y of the reverse scan. */
typedef struct Stack {
    Value *whole, *carry;      /* both null: y says which */
    int y;
    int64_t axis;
} Stack;

/* A part of a const's gradient that is computed after the loop: a product, and the index maps it goes through. */
typedef struct Late {
    int param;
    const Op *dot;
    Stack factors[2];
    VEC(const Op *) moves;     /* outermost first */
} Late;

typedef struct Reverse {
    Module *m;
    Op *scan;                  /* the forward one */
    ScanForm form;
    const Region *forward;
    Builder body;              /* of the reverse one */
    ValueMap again;            /* for values of the forward body: what stands for them in the reverse one */
    ValueMap stacked;          /* values of the forward body that the scan gives back stacked, or is to */
    ValueMap needed;           /* values of the forward body that the reverse one uses, directly or to compute again */
    ValueMap chosen;           /* values of it that are to be residuals, though they could be computed again */
    ValueMap user;             /* of such values: the result of the one op computed again that uses it, or itself */
    Values inits, carries, nexts;              /* of the reverse scan */
    Values xs, slices, ys;
    VEC(int64_t) axes, y_axes;
    VEC(Late) late;
    Value *index;
} Reverse;

/* --------------------------------------------------------------------------- what flows */

static bool is_marked(const ValueMap *set, const Value *v) { return value_map_get(set, v) != NULL; }
static void mark(ValueMap *set, Value *v) { value_map_set(set, v, v); }

/* Marks what a gradient of the marked values may flow to. */
static void mark_flow(const Region *r, ValueMap *set) {
    for (int i = r->ops.n - 1; i >= 0; i--) {
        const Op *op = r->ops.at[i];
        bool flows = false;
        for (int k = 0; k < op->result_count; k++) flows = flows || is_marked(set, &op->results[k]);
        if (!flows || op->info->flags & (OP_ZERO_GRADIENT | OP_STOPS_GRADIENT)) continue;
        for (int k = 0; k < op->operand_count; k++)
            if (dtype_is_float(op->operands[k]->type.dtype)) mark(set, op->operands[k]);
    }
}

/* Which carries have a gradient: those that depend on what is wanted, and on which something that has one depends. */
static bool *active_carries(const Reverse *v, const Dependence *params, Value *const *dy) {
    const ScanForm *f = &v->form;
    bool *active = arena_array(v->m->arena, bool, f->carries);
    for (int i = 0; i < f->carries; i++) active[i] = dy[i] && params[f->consts + i] == DEPENDS;
    for (bool more = true; more;) {
        ValueMap set = value_map_new(v->m->arena);
        more = false;
        for (int i = 0; i < v->forward->yields.n; i++)
            if (i < f->carries ? active[i] : dy[i] != NULL) mark(&set, v->forward->yields.at[i]);
        mark_flow(v->forward, &set);
        for (int i = 0; i < f->carries; i++) {
            int p = f->consts + i;
            if (active[i] || params[p] != DEPENDS || !is_marked(&set, v->forward->params.at[p])) continue;
            active[i] = more = true;
        }
    }
    return active;
}

/* --------------------------------------------------------------------------- residuals */

/* The result that stacks value y of the scan's body: one that there is, or a new one, for which there is room
 * (op_residual_room). Null after a report. */
static Value *stack_of(Reverse *v, Value *y, int64_t *axis) {
    Module *m = v->m;
    Op *scan = v->scan;
    Region *body = scan->regions[0];
    ScanForm f = scan_form(scan);
    int k = f.carries;
    while (k < body->yields.n && body->yields.at[k] != y) k++;
    if (k < body->yields.n) {
        *axis = f.result_axes[k - f.carries];
        return &scan->results[k];
    }
    if (y->type.rank == MAX_RANK || scan->result_count == scan->result_room) {
        diag_report(m->diags, DL0401, scan->span, "a gradient needs every step's %s, but values of %d dimensions cannot "
                    "be stacked", value_text(m, y), y->type.rank);
        return NULL;
    }
    int64_t *axes = arena_array(m->arena, int64_t, f.ys + 1);
    for (int i = 0; i < f.ys; i++) axes[i] = f.result_axes[i];
    for (int i = 0; i < scan->attr_count; i++)
        if (!strcmp(scan->attrs[i].key, "result_axes")) scan->attrs[i] = attr_ints(m, "result_axes", axes, f.ys + 1);
    vec_push(m->arena, &body->yields, y);
    scan->results[k] = (Value){.op = scan, .index = k, .id = -1, .name = y->name};
    scan->result_count++;
    Dim shape[MAX_RANK + 1] = {f.length};
    for (int d = 0; d < y->type.rank; d++) shape[d + 1] = y->type.shape[d];
    scan->results[k].type = type_make(m, y->type.dtype, y->type.rank + 1, shape);
    *axis = 0;
    return &scan->results[k];
}

/* A parameter of the reverse body for the slices of an outer value. */
static Value *add_slices(Reverse *v, Value *x, int64_t axis, const char *name) {
    Arena *a = v->m->arena;
    for (int i = 0; i < v->xs.n; i++)
        if (v->xs.at[i] == x && v->axes.at[i] == axis) return v->slices.at[i];
    Value *p = build_slice_param(&v->body, x, axis, name);
    vec_push(a, &v->xs, x);
    vec_push(a, &v->slices, p);
    vec_push(a, &v->axes, axis);
    return p;
}

static Value *residual(Reverse *v, Value *y) {
    int64_t axis;
    Value *stack = stack_of(v, y, &axis);
    return stack ? add_slices(v, stack, axis, y->name) : build_constant_like(&v->body, y, 0);
}

/* What stands in the reverse body for a parameter of the forward one. */
static Value *parameter_again(Reverse *v, Value *p) {
    const ScanForm *f = &v->form;
    int i = p->index - f->consts - f->carries;
    if (p->index < f->consts) return v->scan->operands[p->index];
    if (i < 0) return residual(v, p);
    if (i < f->xs) return add_slices(v, v->scan->operands[p->index], f->axes[i], p->name);
    if (!v->index) v->index = build_body_param(&v->body, p->type, p->name);
    return v->index;
}

/* Whether a type mentions a dim that the forward body binds: a value of that type cannot be stacked. */
static bool is_bound_inside(const Reverse *v, Type type) {
    for (int i = 0; i < v->forward->ops.n; i++) {
        const Op *op = v->forward->ops.at[i];
        if (!(op->info->flags & OP_BINDS_DIM)) continue;
        int id = op_dims(op, "dims", NULL)[0]->terms[0].symbols[0];
        for (int d = 0; d < type.rank; d++)
            if (dim_mentions(&v->m->dims, type.shape[d], id)) return true;
    }
    return false;
}

/* Whether the reverse body computes the op again: not what is stacked as it is. What cannot be has to be, whatever it
 * costs. */
static bool computes_again(const Reverse *v, const Op *op) {
    if (op->result_count == 1 && (is_marked(&v->stacked, &op->results[0]) || is_marked(&v->chosen, &op->results[0])))
        return false;
    if (op->info->kind == KIND_MAP || op->info->kind == KIND_MOVE) return true;
    if (op->info->flags & OP_BINDS_DIM) return true;
    for (int i = 0; i < op->result_count; i++)
        if (is_bound_inside(v, op->results[i].type) || op->results[i].type.rank == MAX_RANK) return true;
    return false;
}

/* `by`: the op of the forward body, computed again, that needs x; null: the reverse sweep does. */
static void need(Reverse *v, Value *x, const Op *by) {
    if (value_region(x) != v->forward) return;
    Value *user = by && by->result_count ? &by->results[0] : x;
    bool other = is_marked(&v->needed, x) && value_map_get(&v->user, x) != user;
    mark(&v->needed, x);
    value_map_set(&v->user, x, other ? x : user);
}

static bool is_needed(const Reverse *v, const Op *op) {
    if (op->info->flags & OP_BINDS_DIM) return true;
    for (int i = 0; i < op->result_count; i++)
        if (is_marked(&v->needed, &op->results[i])) return true;
    return false;
}

/* Drops what the reverse body computes for nothing. */
static void drop_dead(Reverse *v) {
    Region *r = v->body.region;
    ValueMap live = value_map_new(v->m->arena);
    int kept = r->ops.n;
    for (int i = 0; i < v->nexts.n; i++) mark(&live, v->nexts.at[i]);
    for (int i = 0; i < v->ys.n; i++) mark(&live, v->ys.at[i]);
    for (int i = r->ops.n - 1; i >= 0; i--) {
        Op *op = r->ops.at[i];
        bool used = op_has_check(op);
        for (int k = 0; k < op->result_count; k++) used = used || is_marked(&live, &op->results[k]);
        if (!used) continue;
        for (int k = 0; k < op->operand_count; k++) mark(&live, op->operands[k]);
        r->ops.at[--kept] = op;
    }
    r->ops.n -= kept;
    if (kept) memmove(r->ops.at, r->ops.at + kept, sizeof *r->ops.at * (size_t)r->ops.n);
}

static void find_needed(Reverse *v) {
    const Region *r = v->body.region;
    v->needed = v->user = value_map_new(v->m->arena);
    for (int i = 0; i < r->ops.n; i++)
        for (int k = 0; k < r->ops.at[i]->operand_count; k++) need(v, r->ops.at[i]->operands[k], NULL);
    for (int i = 0; i < v->nexts.n; i++) need(v, v->nexts.at[i], NULL);
    for (int i = 0; i < v->ys.n; i++) need(v, v->ys.at[i], NULL);
    for (int i = v->forward->ops.n - 1; i >= 0; i--) {
        const Op *op = v->forward->ops.at[i];
        if (!is_needed(v, op) || !computes_again(v, op)) continue;
        for (int k = 0; k < op->operand_count; k++) need(v, op->operands[k], op);
    }
}

static int64_t most_bytes(const Reverse *v, const Value *x) {
    return type_elements(&v->m->dims, x->type)->upper * dtype_bytes(x->type.dtype);
}

/* Bytes of a residual that need not be if op's result is one: op alone uses it, and it is not stacked anyway. */
static int64_t saved_by(const Reverse *v, const Op *op, int operand) {
    const Value *x = op->operands[operand];
    const ScanForm *f = &v->form;
    for (int i = 0; i < operand; i++)
        if (op->operands[i] == x) return 0;
    if (value_region(x) != v->forward || value_map_get(&v->user, x) != &op->results[0]) return 0;
    bool carry = !x->op && x->index >= f->consts && x->index < f->consts + f->carries;
    bool made = x->op && !computes_again(v, x->op) && !is_marked(&v->stacked, x);
    return carry || made ? most_bytes(v, x) : 0;
}

/* Chooses results of what would be computed again as residuals, where that takes no more memory than those they are
 * computed from: the sum of two products instead of both. In the body's order, so chains are followed. */
static void choose_residuals(Reverse *v) {
    for (int i = 0; i < v->forward->ops.n; i++) {
        Op *op = v->forward->ops.at[i];
        if (op->result_count != 1 || !is_needed(v, op) || !computes_again(v, op)) continue;
        if (op->results[0].type.rank == MAX_RANK || is_bound_inside(v, op->results[0].type)) continue;
        int64_t saved = 0;
        for (int k = 0; k < op->operand_count; k++) saved += saved_by(v, op, k);
        if (saved && saved >= most_bytes(v, &op->results[0])) mark(&v->chosen, &op->results[0]);
    }
}

/* Begins the reverse body with what is computed again, and maps all uses of values of the forward body. */
static void settle_uses(Reverse *v) {
    drop_dead(v);
    Region *r = v->body.region, own = *r;
    find_needed(v);
    choose_residuals(v);
    find_needed(v);
    r->ops.at = NULL;
    r->ops.n = r->ops.room = 0;
    for (int i = 0; i < v->forward->params.n; i++) {
        Value *p = v->forward->params.at[i];
        if (is_marked(&v->needed, p)) value_map_set(&v->again, p, parameter_again(v, p));
    }
    for (int i = 0; i < v->forward->ops.n; i++) {
        Op *op = v->forward->ops.at[i];
        if (!is_needed(v, op)) continue;
        if (computes_again(v, op)) {
            op_copy(v->m, r, op, &v->again);
            continue;
        }
        for (int k = 0; k < op->result_count; k++)
            if (is_marked(&v->needed, &op->results[k]))
                value_map_set(&v->again, &op->results[k], residual(v, &op->results[k]));
    }
    for (int i = 0; i < own.ops.n; i++) vec_push(v->m->arena, &r->ops, own.ops.at[i]);
    region_map_uses(r, &v->again);
    for (int i = 0; i < v->nexts.n; i++) v->nexts.at[i] = value_mapped(&v->again, v->nexts.at[i]);
    for (int i = 0; i < v->ys.n; i++) v->ys.at[i] = value_mapped(&v->again, v->ys.at[i]);
}

/* ------------------------------------------------------------------------ the reverse scan */

static Value *add_carry(Reverse *v, Value *init, const char *name) {
    Value *p = build_body_param(&v->body, init->type, name);
    vec_push(v->m->arena, &v->inits, init);
    vec_push(v->m->arena, &v->carries, p);
    return p;
}

/* Gradients of what the forward body yields, as the reverse body sees them: carried, or slices of the stacks'. */
static Value **yield_gradients(Reverse *v, GradContext *g, const bool *active, Value *const *dy) {
    const ScanForm *f = &v->form;
    Value **dyields = arena_array(v->m->arena, Value *, f->carries + f->ys);
    for (int i = 0; i < f->carries; i++) {
        if (!active[i]) continue;
        Value *last = &v->scan->results[i];
        dyields[i] = add_carry(v, dy[i] ? dy[i] : build_constant_like(g->b, last, 0), NULL);
    }
    for (int i = 0; i < f->ys; i++)
        if (dy[f->carries + i]) dyields[f->carries + i] = add_slices(v, dy[f->carries + i], f->result_axes[i], NULL);
    return dyields;
}

/* Pulls the yields' gradients back to the parameters that want one: grads, by parameter; others null. */
static bool pull_step(Reverse *v, const GradContext *g, const bool *active, Value *const *dyields, Value **grads) {
    const ScanForm *f = &v->form;
    int n = 0, params = f->consts + f->carries + f->xs;
    Value **wrt = arena_array(v->m->arena, Value *, params), **found = arena_array(v->m->arena, Value *, params);
    int *which = arena_array(v->m->arena, int, params);
    for (int i = 0; i < params; i++) {
        bool carry = i >= f->consts && i < f->consts + f->carries;
        if (carry ? !active[i - f->consts] : !g->wants[i]) continue;
        which[n] = i;
        wrt[n++] = v->forward->params.at[i];
    }
    int yields = f->carries + f->ys;
    bool ok = build_pullback(&v->body, v->forward->yields.at, dyields, yields, wrt, n, found);
    for (int i = 0; i < n; i++) grads[which[i]] = found[i];
    return ok;
}

/* ------------------------------------------------------------------ products after the loop */

/* Whether all steps' values are there anyway: a slice of what the forward scan is given, or what has to be stacked for
 * the reverse body even if the product is computed in it. */
static bool is_stacked_anyway(const Reverse *v, Value *x) {
    if (value_region(x) != v->forward) return false;
    if (!x->op) return x->index >= v->form.consts && x->index < v->forward->params.n - 1;
    return !computes_again(v, x->op);
}

/* Whether x changes from step to step. */
static bool is_of_step(const Reverse *v, const Value *x) {
    const Region *r = value_region(x);
    return r == v->body.region || (r == v->forward && (x->op || x->index >= v->form.consts));
}

/* The least that is to be stacked, against the elements of the sums that need not be carried: thin products pay. */
static bool is_late(const Reverse *v, const Op *dot) {
    int64_t stacked = 0;
    if (dot->info != &OP_dot_general || dot->parent != v->body.region) return false;
    for (int i = 0; i < 2; i++) {
        Value *x = dot->operands[i];
        if (!is_of_step(v, x) || x->type.rank == MAX_RANK || is_bound_inside(v, x->type)) return false;
        if (!is_stacked_anyway(v, x)) stacked += type_elements(&v->m->dims, x->type)->upper;
    }
    return stacked <= type_elements(&v->m->dims, dot->results[0].type)->upper;
}

/* The result that stacks what the carry is when each step ends; -1 if there is none, or there may be one step. */
static int stack_of_nexts(const Reverse *v, const Value *carry) {
    const ScanForm *f = &v->form;
    int i = carry->op || carry->region != v->forward ? -1 : carry->index - f->consts;
    if (i < 0 || i >= f->carries || f->length->lower < 2) return -1;
    for (int k = f->carries; k < f->carries + f->ys; k++)
        if (v->forward->yields.at[k] == v->forward->yields.at[i]) return k;
    return -1;
}

static Stack stack_factor(Reverse *v, Value *x, bool may_shift) {
    const ScanForm *f = &v->form;
    Stack s = {0};
    int slice = x->op || x->region != v->forward ? -1 : x->index - f->consts - f->carries;
    if (slice >= 0) {
        s.whole = v->scan->operands[x->index];
        s.axis = f->axes[slice];
    } else if (may_shift && stack_of_nexts(v, x) >= 0) {
        s.carry = x;
    } else if (is_stacked_anyway(v, x)) {
        s.whole = stack_of(v, x, &s.axis);
        mark(&v->stacked, x);
    } else {
        while (s.y < v->ys.n && v->ys.at[s.y] != x) s.y++;
        if (s.y == v->ys.n) {
            vec_push(v->m->arena, &v->ys, x);
            vec_push(v->m->arena, &v->y_axes, 0);
        }
        s.axis = v->y_axes.at[s.y];
    }
    return s;
}

/* Takes from a sum the products that are computed later. Returns the rest; null if there is none. */
static Value *without_late(Reverse *v, int param, Value *sum) {
    Late late = {.param = param};
    if (sum->op && sum->op->info == op_of_map(MAP_add) && sum->op->parent == v->body.region) {
        Value *left = without_late(v, param, sum->op->operands[0]), *right = without_late(v, param, sum->op->operands[1]);
        if (left == sum->op->operands[0] && right == sum->op->operands[1]) return sum;
        return left && right ? build_map2(&v->body, MAP_add, left, right) : left ? left : right;
    }
    const Op *op = sum->op;
    for (; op && op->info->kind == KIND_MOVE && op->operand_count == 1 && op->parent == v->body.region;
         op = op->operands[0]->op)
        vec_push(v->m->arena, &late.moves, op);
    if (!op || !is_late(v, op)) return sum;
    late.dot = op;
    late.factors[0] = stack_factor(v, op->operands[0], true);
    late.factors[1] = stack_factor(v, op->operands[1], !late.factors[0].carry);
    vec_push(v->m->arena, &v->late, late);
    return NULL;
}

/* The numbers of dimensions in a stack, for those of its parts. */
static int stack_dims(const Op *dot, const char *key, int64_t axis, int64_t *to) {
    int n;
    const int64_t *dims = op_ints(dot, key, &n);
    for (int i = 0; i < n; i++) to[i] = dims[i] + (dims[i] >= axis);
    return n;
}

/* Of a stack the steps first .. end-1. */
static Value *some_steps(Reverse *v, Builder *b, Value *stack, int64_t axis, Dim first, Dim end) {
    Dim start[MAX_RANK], limit[MAX_RANK];
    int64_t strides[MAX_RANK];
    for (int d = 0; d < stack->type.rank; d++) {
        start[d] = d == axis ? first : dim_const(&v->m->dims, 0);
        limit[d] = d == axis ? end : stack->type.shape[d];
        strides[d] = 1;
    }
    return build_slice(b, stack, start, limit, strides);
}

static bool is_zero(const Value *x) {
    while (x->op && x->op->info->kind == KIND_MOVE && x->op->operand_count == 1) x = x->op->operands[0];
    return x->op && x->op->info->kind == KIND_MAP && !x->op->operand_count && op_attr(x->op, "value") &&
           op_float(x->op, "value") == 0;
}

/* The product of stacks, the steps contracted too. */
static Value *build_stacked_product(Builder *b, const Late *late, Value *const *factors, const int64_t *axes) {
    static const char *const batch_keys[] = {"lhs_batch", "rhs_batch"};
    static const char *const contract_keys[] = {"lhs_contract", "rhs_contract"};
    int64_t batch[2][MAX_RANK], contract[2][MAX_RANK + 1];
    int batches = 0, contracts = 0;
    for (int i = 0; i < 2; i++) {
        batches = stack_dims(late->dot, batch_keys[i], axes[i], batch[i]);
        contracts = stack_dims(late->dot, contract_keys[i], axes[i], contract[i]);
        contract[i][contracts] = axes[i];
    }
    return build_dot_general(b, factors[0], factors[1], batch[0], batch[1], batches, contract[0], contract[1],
                             contracts + 1);
}

/* The same where factor i is the carry as each step begins: what it was when the one before ended, so those are not
 * stacked too. The first step's product is one of its own, if the carry is not 0 there. */
static Value *build_shifted_product(Reverse *v, Builder *b, const Late *late, Value **factors, int64_t *axes, int i) {
    const ScanForm *f = &v->form;
    DimTable *dims = &v->m->dims;
    const Value *carry = late->factors[i].carry;
    Value *init = v->scan->operands[carry->index], *other = factors[!i];
    Dim none = dim_const(dims, 0), one = dim_const(dims, 1), before = dim_sub(dims, f->length, one);
    int k = stack_of_nexts(v, carry);
    axes[i] = f->result_axes[k - f->carries];
    factors[i] = some_steps(v, b, &v->scan->results[k], axes[i], f->reverse ? one : none, f->reverse ? f->length : before);
    factors[!i] = some_steps(v, b, other, axes[!i], f->reverse ? none : one, f->reverse ? before : f->length);
    Value *product = build_stacked_product(b, late, factors, axes);
    if (is_zero(init)) return product;
    Type t = late->dot->operands[!i]->type;
    Value *first = some_steps(v, b, other, axes[!i], f->reverse ? before : none, f->reverse ? f->length : one);
    ValueMap map = value_map_new(v->m->arena);
    value_map_set(&map, carry, init);
    value_map_set(&map, late->dot->operands[!i], build_reshape(b, first, t.rank, t.shape));
    return build_map2(b, MAP_add, &op_copy(v->m, b->region, late->dot, &map)->results[0], product);
}

/* The sum over all steps of a product, by one that contracts the steps too. */
static Value *build_late(Reverse *v, Builder *b, const Late *late, Value *const *stacked) {
    Value *factors[2] = {NULL}, *product;
    int64_t axes[2];
    int shifted = -1;
    for (int i = 0; i < 2; i++) {
        const Stack *s = &late->factors[i];
        axes[i] = s->axis;
        if (s->carry && !is_marked(&v->needed, s->carry)) shifted = i;
        else if (s->carry) factors[i] = stack_of(v, s->carry, &axes[i]); /* the reverse body needs it too */
        else factors[i] = s->whole ? s->whole : stacked[s->y];
    }
    product = shifted < 0 ? build_stacked_product(b, late, factors, axes)
                          : build_shifted_product(v, b, late, factors, axes, shifted);
    ValueMap map = value_map_new(v->m->arena);
    value_map_set(&map, &late->dot->results[0], product);
    for (int i = late->moves.n - 1; i >= 0; i--) product = &op_copy(v->m, b->region, late->moves.at[i], &map)->results[0];
    return product;
}

/* The next values of what is carried, and what is stacked: gradients of the xs first. Of the consts' gradients stays
 * what is carried. */
static void end_step(Reverse *v, const GradContext *g, const bool *active, Value **grads) {
    const ScanForm *f = &v->form;
    Arena *a = v->m->arena;
    for (int i = 0; i < f->carries; i++) {
        Value *grad = grads[f->consts + i];
        if (!active[i]) continue;
        vec_push(a, &v->nexts, grad ? grad : build_constant_like(&v->body, &v->scan->results[i], 0));
    }
    for (int i = 0; i < f->xs; i++) {
        if (!grads[f->consts + f->carries + i]) continue;
        vec_push(a, &v->ys, grads[f->consts + f->carries + i]);
        vec_push(a, &v->y_axes, f->axes[i]);
    }
    for (int i = 0; i < f->consts; i++) {
        if (grads[i]) grads[i] = without_late(v, i, grads[i]);
        if (!grads[i]) continue;
        Value *sum = add_carry(v, build_constant_like(g->b, v->scan->operands[i], 0), NULL);
        vec_push(a, &v->nexts, build_map2(&v->body, MAP_add, sum, grads[i]));
    }
}

static bool close_reverse(Reverse *v, GradContext *g, Value **finals, Value **stacked) {
    ScanParts parts = {.body = &v->body, .carries = v->carries.n, .inits = v->inits.at, .params = v->carries.at,
                       .nexts = v->nexts.at, .xs_count = v->xs.n, .xs = v->xs.at, .slices = v->slices.at,
                       .axes = v->axes.at, .ys_count = v->ys.n, .ys = v->ys.at, .result_axes = v->y_axes.at,
                       .index = v->index, .length = v->form.length, .reverse = !v->form.reverse};
    return build_scan(g->b, &parts, finals, stacked);
}

void grad_scan(GradContext *g, const Op *op, Value *const *dy, Value **dx) {
    Module *m = g->b->module;
    Reverse v = {.m = m, .scan = op->results[0].op, .form = scan_form(op), .forward = op->regions[0],
                 .body = build_body(g->b), .again = value_map_new(m->arena), .stacked = value_map_new(m->arena),
                 .chosen = value_map_new(m->arena)};
    ScanForm f = v.form;
    for (int i = f.carries; i < v.forward->yields.n; i++) mark(&v.stacked, v.forward->yields.at[i]);
    Dependence *operands = arena_array(m->arena, Dependence, op->operand_count);
    for (int i = 0; i < op->operand_count; i++) operands[i] = g->wants[i] ? DEPENDS : DEPENDS_NOT;
    const bool *active = active_carries(&v, scan_dependence(m, op, operands), dy);
    Value **grads = arena_array(m->arena, Value *, op->operand_count);
    Value **dyields = yield_gradients(&v, g, active, dy);
    if (!pull_step(&v, g, active, dyields, grads)) return;
    end_step(&v, g, active, grads);
    settle_uses(&v);
    Value **finals = arena_array(m->arena, Value *, v.carries.n), **stacked = arena_array(m->arena, Value *, v.ys.n);
    if (!close_reverse(&v, g, finals, stacked)) return;
    for (int i = 0; i < f.carries; i++)
        if (active[i]) dx[f.consts + i] = *finals++;
    for (int i = 0; i < f.consts; i++)
        if (grads[i]) dx[i] = *finals++;
    for (int i = 0; i < v.late.n; i++) {
        Value **to = &dx[v.late.at[i].param], *part = build_late(&v, g->b, &v.late.at[i], stacked);
        *to = *to ? build_map2(g->b, MAP_add, *to, part) : part;
    }
    for (int i = 0; i < f.xs; i++)
        if (grads[f.consts + f.carries + i]) dx[f.consts + f.carries + i] = *stacked++;
}
