/* Reverse-mode differentiation, graph to graph.
 *
 * A depth-first walk from the loss orders the ops it was computed from and finds which values depend on
 * those differentiated for. The reverse of that order visits every use of a value before its definition;
 * there each op's own rule (OpInfo.grad) turns gradients of results into gradients of operands, which add
 * up. The backward pass consists of ordinary ops, so it can be differentiated again. Only what lies
 * between is touched: an operator without a rule is an error where a gradient has to pass it, and only
 * there. */
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

/* Input k of an op: its operands, then what its regions yield; null after the last. */
static Value *input_of(const Op *op, int k) {
    if (k < op->operand_count) return op->operands[k];
    k -= op->operand_count;
    for (int i = 0; i < op->region_count; i++) {
        if (k < op->regions[i]->yields.n) return op->regions[i]->yields.at[k];
        k -= op->regions[i]->yields.n;
    }
    return NULL;
}

/* Sets how op's results depend, from how its inputs do. */
static void settle(Sweep *s, Op *op) {
    Dependence inputs = DEPENDS_NOT;
    Value *v;
    for (int k = 0; (v = input_of(op, k)); k++) {
        Dependence d = node_find(s, v)->depends;
        if (d > inputs) inputs = d;
    }
    if (op->info->flags & OP_STOPS_GRADIENT) inputs = DEPENDS_NOT;
    for (int i = 0; i < op->result_count; i++) {
        Node *n = node_find(s, &op->results[i]);
        bool flat = (op->info->flags & OP_ZERO_GRADIENT) || !dtype_is_float(n->value->type.dtype);
        Dependence d = flat && inputs == DEPENDS ? DEPENDS_FLAT : inputs;
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

/* Walks everything `root` was computed from. Not recursive: graphs are deep. */
static void walk(Sweep *s, Value *root, Value *const *targets, int n) {
    for (int i = 0; i < n; i++)
        node_add(s, targets[i])->depends = dtype_is_float(targets[i]->type.dtype) ? DEPENDS : DEPENDS_FLAT;
    meet(s, root);
    while (s->stack.n) {
        Frame *top = &s->stack.at[s->stack.n - 1];
        Value *input = input_of(top->op, top->next++);
        if (input) {
            meet(s, input);
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
    if (op->region_count) diag_note(b->module->diags, diag, "its body cannot be differentiated as a whole");
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
    if (!any || (!wanted && !op->region_count)) return true;
    if (!op->info->grad) {
        report_no_rule(s->b, op);
        return false;
    }
    Builder b = *s->b;
    b.span = op->span;
    op->info->grad(&(GradContext){&b, wants}, op, dy, dx);
    for (int i = 0; i < op->operand_count; i++) {
        if (!dx[i] || !wants[i]) continue;
        Node *n = node_find(s, op->operands[i]);
        n->grad = n->grad ? build_map2(&b, MAP_add, n->grad, dx[i]) : dx[i];
    }
    return true;
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
    walk(&s, loss, wrt, n);
    if (flows_to(&s, loss)) node_find(&s, loss)->grad = build_constant_like(b, loss, 1);
    bool ok = true;
    for (int i = s.order.n - 1; i >= 0; i--) ok = pull_back(&s, s.order.at[i]) && ok;
    for (int i = 0; i < n; i++) {
        Value *grad = node_find(&s, wrt[i])->grad;
        out[i] = grad ? grad : build_constant_like(b, wrt[i], 0);
    }
    return ok && m->diags->errors == errors;
}

Dependence graph_dependence(Builder *b, Value *of, Value *on) {
    if (!of || !on) return DEPENDS_NOT;
    Sweep s = {.b = b};
    walk(&s, of, &on, 1);
    return node_find(&s, of)->depends;
}
