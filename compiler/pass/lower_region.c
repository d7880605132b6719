/* Regions: loops and branches become marks around the steps of their bodies. See lower.h.
 *
 * Nothing is copied to enter or leave a body where that can be helped. What a body reads lies where it lay outside; a
 * slice of a scanned value is that value at an offset that depends on the loop's index, a dim of its own; so is the
 * place of a stacked result. A loop's carry lies where the loop's result is wanted, and begins there if its first value
 * is made for the loop. Its next value is written over it or, where that is not safe, beside it, and the two change
 * names at the end of the iteration. What lies in memory that cannot change its name - a variable, the caller's - is
 * then copied before and after the loop. */
#include "ops/region.h"
#include "pass/lower_order.h"

static Steps *add_step(Lowering *l, Steps *to, PlanStep s) {
    vec_push(l->scratch, to, s);
    return to;
}

static void add_all(Lowering *l, Steps *to, const Steps *from) {
    for (int i = 0; i < from->n; i++) vec_push(l->scratch, to, from->at[i]);
}

/* A step that looks at one value in memory. */
static PlanStep scalar_step(Lowering *l, StepKind kind, const Layout *at, Span span) {
    PlanStep s = {.kind = kind, .span = span};
    s.bufs = arena_copy(l->arena, &at->buf, sizeof at->buf);
    s.offsets = arena_copy(l->arena, &at->offset, sizeof at->offset);
    return s;
}

/* Where a value lies, once it does. */
static Layout in_memory(Lowering *l, const Value *v, Steps *to) {
    const Layout *at = &l->at[v->id];
    if (!at->scalar) return *at;
    Layout own = new_layout(l, v->type, v->name);
    add_copy_step(l, v->type, &own, at, to);
    return own;
}

/* ------------------------------------------------------------------------------ carries */

/* The carries of a loop: operand `first` + k, parameter `first` + k, result k. */
typedef struct Carries {
    int first, count;
} Carries;

/* The parameters of a loop's region that it shares with its op: constants and carries. */
static void place_params(Lowering *l, const Op *op, const Region *r, Carries c) {
    for (int i = 0; i < c.first; i++) l->at[r->params.at[i]->id] = l->at[op->operands[i]->id];
    for (int k = 0; k < c.count; k++) l->at[r->params.at[c.first + k]->id] = l->at[op->results[k].id];
}

/* Copies between the carries, which are parameters of the body, and the operands or results. */
static void copy_in(Lowering *l, const Op *op, const Region *body, Carries c, Steps *to) {
    for (int k = c.first; k < c.first + c.count; k++) {
        const Value *p = body->params.at[k], *from = op->operands[k];
        if (!same_layout(&l->at[p->id], &l->at[from->id], p->type))
            add_copy_step(l, p->type, &l->at[p->id], &l->at[from->id], to);
    }
}

static void copy_out(Lowering *l, const Op *op, const Region *body, Carries c, Steps *to) {
    for (int k = 0; k < c.count; k++) {
        const Value *p = body->params.at[c.first + k], *result = &op->results[k];
        if (!same_layout(&l->at[p->id], &l->at[result->id], p->type))
            add_copy_step(l, p->type, &l->at[result->id], &l->at[p->id], to);
    }
}

/* Where the next values of the carries are wanted: over the present ones. */
static Yield *carry_yields(Lowering *l, const Region *body, Carries c) {
    Yield *yields = arena_array(l->scratch, Yield, body->yields.n + 1);
    for (int k = 0; k < c.count; k++)
        yields[k] = (Yield){.to = l->at[body->params.at[c.first + k]->id], .param = c.first + k};
    return yields;
}

/* The next values take the present ones' names. */
static void add_swaps(Lowering *l, const Region *body, Carries c, const Yield *yields, Steps *to) {
    Dim zero = dim_const(&l->m->dims, 0);
    for (int k = 0; k < c.count; k++) {
        int bufs[] = {l->at[body->params.at[c.first + k]->id].buf, yields[k].to.buf};
        if (bufs[0] == bufs[1]) continue;
        PlanStep s = {.kind = STEP_SWAP, .bufs = arena_copy(l->arena, bufs, sizeof bufs)};
        s.offsets = arena_copy(l->arena, (Dim[]){zero, zero}, 2 * sizeof zero);
        add_step(l, to, s);
    }
}

/* -------------------------------------------------------------------------------- loops */

static DimSymbol *new_index(Lowering *l, Dim length) {
    DimTable *t = &l->m->dims;
    const char *name = "i";
    for (int n = t->symbols.n; dim_find(t, name); n++) name = intern(t->names, arena_printf(l->arena, "i%d", n));
    dim_symbol(t, name, 0, length->upper > 0 ? length->upper - 1 : 0);
    return dim_find(t, name);
}

static bool lower_scan(Lowering *l, const Op *op, Steps *to) {
    Region *body = op->regions[0];
    ScanForm f = scan_form(op);
    Carries c = {f.consts, f.carries};
    DimSymbol *symbol = new_index(l, f.length);
    Dim index = dim_of_symbol(&l->m->dims, symbol);
    place_params(l, op, body, c);
    for (int i = 0, at = c.first + c.count; i < f.xs; i++, at++)
        l->at[body->params.at[at]->id] =
            slice_of(l, &l->at[op->operands[at]->id], op->operands[at]->type.rank, (int)f.axes[i], index);
    l->at[body->params.at[body->params.n - 1]->id] = (Layout){.buf = -1, .scalar = index};
    Yield *yields = carry_yields(l, body, c);
    for (int i = 0; i < f.ys; i++) {
        const Value *all = &op->results[c.count + i];
        Layout part = slice_of(l, &l->at[all->id], all->type.rank, (int)f.result_axes[i], index);
        yields[c.count + i] = (Yield){.to = part, .param = -1};
    }
    Steps inside = {0};
    if (!lower_body(l, body, yields, &inside)) return false;
    copy_in(l, op, body, c, to);
    add_step(
        l, to,
        (PlanStep){.kind = STEP_LOOP, .symbol = symbol, .extent = f.length, .reverse = f.reverse, .span = op->span});
    add_all(l, to, &inside);
    add_swaps(l, body, c, yields, to);
    add_step(l, to, (PlanStep){.kind = STEP_END});
    copy_out(l, op, body, c, to);
    return true;
}

static bool lower_while(Lowering *l, const Op *op, Steps *to) {
    WhileForm f = while_form(op);
    Region *condition = f.condition, *body = f.body;
    Carries c = {f.consts, f.carries};
    Yield test = {.to = {.buf = -1}, .param = -1};
    Steps inside = {0}, asked = {0};
    place_params(l, op, body, c);
    Yield *yields = carry_yields(l, body, c);
    if (!lower_body(l, body, yields, &inside)) return false;
    for (int i = 0; i < condition->params.n; i++) l->at[condition->params.at[i]->id] = l->at[body->params.at[i]->id];
    if (!lower_body(l, condition, &test, &asked)) return false;
    copy_in(l, op, body, c, to);
    add_step(l, to, (PlanStep){.kind = STEP_WHILE, .most = f.limit, .span = op->span});
    add_all(l, to, &asked);
    add_step(l, to, scalar_step(l, STEP_TEST, &test.to, op->span));
    add_all(l, to, &inside);
    add_swaps(l, body, c, yields, to);
    add_step(l, to, (PlanStep){.kind = STEP_END});
    copy_out(l, op, body, c, to);
    return true;
}

/* ----------------------------------------------------------------------------- the rest */

static bool lower_cond(Lowering *l, const Op *op, Steps *to) {
    Steps ways[2] = {0};
    for (int w = 0; w < 2; w++) {
        Region *r = op->regions[w];
        Yield *yields = arena_array(l->scratch, Yield, op->result_count + 1);
        for (int i = 0; i < r->params.n; i++) l->at[r->params.at[i]->id] = l->at[op->operands[i + 1]->id];
        for (int i = 0; i < op->result_count; i++) yields[i] = (Yield){.to = l->at[op->results[i].id], .param = -1};
        if (!lower_body(l, r, yields, &ways[w])) return false;
    }
    Layout asked = in_memory(l, op->operands[0], to);
    add_step(l, to, scalar_step(l, STEP_IF, &asked, op->span));
    add_all(l, to, &ways[0]);
    if (ways[1].n) add_step(l, to, (PlanStep){.kind = STEP_ELSE});
    add_all(l, to, &ways[1]);
    add_step(l, to, (PlanStep){.kind = STEP_END});
    return true;
}

static void lower_bind(Lowering *l, const Op *op, Steps *to) {
    Layout value = in_memory(l, op->operands[0], to);
    const Attr *what = op_attr(op, "what");
    PlanStep s = scalar_step(l, STEP_BIND, &value, op->span);
    s.symbol = op_bound_dim(l, op);
    s.what = what ? what->text : s.symbol->name;
    add_step(l, to, s);
}

static void lower_require(Lowering *l, const Op *op, Steps *to) {
    PlanStep s = scalar_step(l, STEP_REQUIRE, &l->at[op->operands[0]->id], op->span);
    s.what = op_attr(op, "message")->text;
    add_step(l, to, s);
}

bool lower_region_op(Lowering *l, Op *op, Steps *to) {
    switch (op_control(op)) {
    case CONTROL_SCAN: return lower_scan(l, op, to);
    case CONTROL_WHILE: return lower_while(l, op, to);
    case CONTROL_COND: return lower_cond(l, op, to);
    case CONTROL_BIND: lower_bind(l, op, to); return true;
    case CONTROL_REQUIRE: lower_require(l, op, to); return true;
    case CONTROL_ROUTINE: lower_routine(l, op, to); return true;
    case CONTROL_FUSION: break;
    }
    diag_report(l->diags, DL0602, op->span, "lower: `%s` is neither a fusion nor something that steers them",
                op->info->name);
    return false;
}

int carried_operand(const Op *op, int result) {
    switch (op_control(op)) {
    case CONTROL_SCAN: return result < op_int(op, "carries") ? (int)op_int(op, "consts") + result : -1;
    case CONTROL_WHILE: return (int)op_int(op, "consts") + result;
    default: return -1;
    }
}

Control op_control(const Op *op) {
    static const Control forms[] = {[FORM_NONE] = CONTROL_FUSION,
                                    [FORM_ONCE] = CONTROL_FUSION,
                                    [FORM_SCAN] = CONTROL_SCAN,
                                    [FORM_WHILE] = CONTROL_WHILE,
                                    [FORM_CHOICE] = CONTROL_COND};
    if (op->info->kind == KIND_REGION) return forms[op->info->form];
    if (op->info->kind == KIND_CHECK) return op->info->flags & OP_BINDS_DIM ? CONTROL_BIND : CONTROL_REQUIRE;
    return CONTROL_ROUTINE;
}

DimSymbol *op_bound_dim(const Lowering *l, const Op *op) {
    int n;
    Dim d = op_dims(op, "dims", &n)[0];
    return l->m->dims.symbols.at[d->terms[0].symbols[0]];
}
