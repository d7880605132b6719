/* Reverse-mode differentiation, graph to graph.
 *
 * A depth-first walk from the loss orders the ops it was computed from and finds which values depend on
 * those differentiated for. The reverse of that order visits every use of a value before its definition;
 * there each op's own rule (OpInfo.grad) turns gradients of results into gradients of operands, which add
 * up. The backward pass consists of ordinary ops, so it can be differentiated again. Only what lies
 * between is touched: an operator without a rule is an error where a gradient has to pass it, and only
 * there. */
#include "ops/region.h"
#include "ops/rules.h"

/* What the walk knows of a value. */
typedef struct Node {
    const Value *value;        /* null: free slot */
    Dependence depends;        /* on the values differentiated for; they depend on themselves */
    bool met;                  /* the walk has been at its definition */
    Value *grad;               /* sum of the contributions so far */
} Node;

/* An op whose inputs the walk is looking at. */
typedef struct Frame {
    Op *op;
    int next;
} Frame;

/* Nodes by value: open addressing. Values' ids are not used, since functions under construction have none. */
typedef struct Sweep {
    Builder *b;
    Node *nodes;
    size_t count, room;        /* room: a power of two, or 0 */
    VEC(Frame) stack;
    VEC(Op *) order;           /* definitions before uses */
} Sweep;

static size_t slot_of(const Sweep *s, const Value *v) {
    size_t i = (size_t)(((uintptr_t)v >> 4) * UINT64_C(0x9E3779B97F4A7C15) >> 20) & (s->room - 1);
    while (s->nodes[i].value && s->nodes[i].value != v) i = (i + 1) & (s->room - 1);
    return i;
}

/* The node of v, or null if the walk has not met it. */
static Node *node_find(const Sweep *s, const Value *v) {
    if (!s->room) return NULL;
    Node *n = &s->nodes[slot_of(s, v)];
    return n->value ? n : NULL;
}

/* Adds v's node if it has none. Moves nodes: pointers to them end here. */
static Node *node_add(Sweep *s, const Value *v) {
    if (2 * (s->count + 1) > s->room) {
        Sweep old = *s;
        s->room = old.room ? 2 * old.room : 256;
        s->nodes = arena_array(s->b->module->arena, Node, s->room);
        for (size_t i = 0; i < old.room; i++)
            if (old.nodes[i].value) s->nodes[slot_of(s, old.nodes[i].value)] = old.nodes[i];
    }
    Node *n = &s->nodes[slot_of(s, v)];
    if (!n->value) {
        n->value = v;
        s->count++;
    }
    return n;
}

/* --------------------------------------------------------------------------- the walk */

/* How op's results depend, if each does as the most dependent operand. */
static void depend_alike(const Op *op, const Dependence *operands, Dependence *results) {
    Dependence most = DEPENDS_NOT;
    for (int i = 0; i < op->operand_count; i++)
        if (operands[i] > most) most = operands[i];
    if (op->info->flags & OP_STOPS_GRADIENT) most = DEPENDS_NOT;
    for (int i = 0; i < op->result_count; i++) results[i] = most;
}

enum { FEW = 16 };

/* Sets how op's results depend, from how its operands do. */
static void settle(Sweep *s, const Op *op) {
    Module *m = s->b->module;
    Dependence few[2 * FEW] = {0}, *operands = few, *results = few + FEW;
    if (op->operand_count > FEW) operands = arena_array(m->arena, Dependence, op->operand_count);
    if (op->result_count > FEW) results = arena_array(m->arena, Dependence, op->result_count);
    for (int i = 0; i < op->operand_count; i++) operands[i] = node_find(s, op->operands[i])->depends;
    if (op->info->depend) op->info->depend(m, op, operands, results);
    else depend_alike(op, operands, results);
    for (int i = 0; i < op->result_count; i++) {
        Node *n = node_find(s, &op->results[i]);
        bool flat = (op->info->flags & OP_ZERO_GRADIENT) || !dtype_is_float(n->value->type.dtype);
        Dependence d = flat && results[i] == DEPENDS ? DEPENDS_FLAT : results[i];
        if (d > n->depends) n->depends = d;
    }
}

/* Comes to a value: the first time its op, if it has one, is put on the stack. */
static void meet(Sweep *s, Value *v) {
    Node *n = node_add(s, v);
    if (n->met) return;
    n->met = true;
    if (!v->op) return;
    for (int i = 0; i < v->op->result_count; i++) node_add(s, &v->op->results[i])->met = true;
    vec_push(s->b->module->arena, &s->stack, (Frame){v->op, 0});
}

static void add_targets(Sweep *s, Value *const *targets, int n) {
    for (int i = 0; i < n; i++)
        node_add(s, targets[i])->depends = dtype_is_float(targets[i]->type.dtype) ? DEPENDS : DEPENDS_FLAT;
}

/* Walks everything `root` was computed from and an earlier walk has not met. Not recursive: graphs are deep. */
static void walk(Sweep *s, Value *root) {
    meet(s, root);
    while (s->stack.n) {
        Frame *top = &s->stack.at[s->stack.n - 1];
        if (top->next < top->op->operand_count) {
            meet(s, top->op->operands[top->next++]);
        } else {
            Op *op = top->op;
            s->stack.n--;
            settle(s, op);
            vec_push(s->b->module->arena, &s->order, op);
        }
    }
}

static bool flows_to(const Sweep *s, const Value *v) { return node_find(s, v)->depends == DEPENDS; }

/* -------------------------------------------------------------------- the way back */

static void report_no_rule(Builder *b, const Op *op) {
    int diag = diag_report(b->module->diags, DL0401, op->span, "%s has no gradient", op->info->name);
    if (b->span.source) diag_label(b->module->diags, diag, b->span, "a gradient is taken here");
    diag_hint(b->module->diags, diag, "if it is to count as a constant, wrap it in stop_gradient");
}

/* Adds the operands' gradients of one op to their nodes. False if it has no rule. */
static bool pull_back(Sweep *s, const Op *op) {
    Arena *arena = s->b->module->arena;
    Value **dy = arena_array(arena, Value *, op->result_count), **dx = arena_array(arena, Value *, op->operand_count);
    bool *wants = arena_array(arena, bool, op->operand_count), any = false, wanted = false;
    for (int i = 0; i < op->result_count; i++) {
        dy[i] = flows_to(s, &op->results[i]) ? node_find(s, &op->results[i])->grad : NULL;
        any = any || dy[i];
    }
    for (int i = 0; i < op->operand_count; i++) wanted |= wants[i] = flows_to(s, op->operands[i]);
    if (!any || !wanted) return true;
    if (!op->info->grad) {
        report_no_rule(s->b, op);
        return false;
    }
    Builder b = *s->b;
    b.span = op->span;
    Value *const *operands = op->operands;         /* a rule may give the op others */
    int count = op->operand_count;
    op->info->grad(&(GradContext){&b, wants}, op, dy, dx);
    for (int i = 0; i < count; i++) {
        if (!dx[i] || !wants[i]) continue;
        Node *n = node_find(s, operands[i]);
        n->grad = n->grad ? build_map2(&b, MAP_add, n->grad, dx[i]) : dx[i];
    }
    return true;
}

static bool pull_all_back(Sweep *s) {
    bool ok = true;
    for (int i = s->order.n - 1; i >= 0; i--) ok = pull_back(s, s->order.at[i]) && ok;
    return ok;
}

bool build_pullback(Builder *b, Value *const *ys, Value *const *dys, int n, Value *const *xs, int count, Value **dxs) {
    int errors = b->module->diags->errors;
    Sweep s = {.b = b};
    add_targets(&s, xs, count);
    for (int i = 0; i < n; i++)
        if (dys[i]) walk(&s, ys[i]);
    for (int i = 0; i < n; i++) {
        Node *y = dys[i] ? node_find(&s, ys[i]) : NULL;
        if (!y || y->depends != DEPENDS) continue;
        Value *sum = y->grad ? build_map2(b, MAP_add, y->grad, dys[i]) : dys[i];
        node_find(&s, ys[i])->grad = sum;
    }
    bool ok = pull_all_back(&s);
    for (int i = 0; i < count; i++) dxs[i] = node_find(&s, xs[i])->grad;
    return ok && b->module->diags->errors == errors;
}

bool build_gradients(Builder *b, Value *loss, Value *const *wrt, int n, Value **out) {
    if (!loss) return false;
    for (int i = 0; i < n; i++)
        if (!wrt[i]) return false;
    Module *m = b->module;
    if (loss->type.rank || !dtype_is_float(loss->type.dtype)) {
        diag_report(m->diags, DL0404, b->span, "the gradient of %s is asked for; it must be a float scalar",
                    value_text(m, loss));
        return false;
    }
    int errors = m->diags->errors;
    Sweep s = {.b = b};
    add_targets(&s, wrt, n);
    walk(&s, loss);
    if (flows_to(&s, loss)) node_find(&s, loss)->grad = build_constant_like(b, loss, 1);
    bool ok = pull_all_back(&s);
    for (int i = 0; i < n; i++) {
        Value *grad = node_find(&s, wrt[i])->grad;
        out[i] = grad ? grad : build_constant_like(b, wrt[i], 0);
    }
    return ok && m->diags->errors == errors;
}

struct Dependences {
    Builder b;
    Sweep s;
    const Value *of;
};

Dependences *graph_dependences(Builder *b, Value *of) {
    Dependences *d = arena_new(b->module->arena, Dependences);
    *d = (Dependences){.b = *b, .of = of};
    d->s.b = &d->b;
    if (of) walk(&d->s, of);
    return d;
}

static bool any_operand_depends(const Sweep *s, const Op *op) {
    for (int i = 0; i < op->operand_count; i++)
        if (node_find(s, op->operands[i])->depends) return true;
    return false;
}

Dependence dependence_on(Dependences *d, const Value *on) {
    Sweep *s = &d->s;
    if (!on || !node_find(s, on)) return DEPENDS_NOT;
    for (size_t i = 0; i < s->room; i++) s->nodes[i].depends = DEPENDS_NOT;
    node_find(s, on)->depends = dtype_is_float(on->type.dtype) ? DEPENDS : DEPENDS_FLAT;
    for (int i = 0; i < s->order.n; i++)
        if (any_operand_depends(s, s->order.at[i])) settle(s, s->order.at[i]);
    return node_find(s, d->of)->depends;
}

Dependence graph_dependence(Builder *b, Value *of, Value *on) { return dependence_on(graph_dependences(b, of), on); }

void region_dependence(Module *m, const Region *r, const Dependence *params, Dependence *yields) {
    Sweep s = {.b = &(Builder){.module = m}};
    for (int i = 0; i < r->params.n; i++) node_add(&s, r->params.at[i])->depends = params[i];
    for (int i = 0; i < r->ops.n; i++) {
        for (int k = 0; k < r->ops.at[i]->result_count; k++) node_add(&s, &r->ops.at[i]->results[k]);
        settle(&s, r->ops.at[i]);
    }
    for (int i = 0; i < r->yields.n; i++) yields[i] = node_find(&s, r->yields.at[i])->depends;
}
