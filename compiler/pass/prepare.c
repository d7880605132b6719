/* prepare: computes once what depends on nothing but variables that stay as they are.
 *
 * In an object for inference no function writes the weights. What is made of them alone - the scale of a batch
 * normalisation out of its variance, a transformed kernel - is moved into a function of its own, `prepare`, which the
 * runtime calls whenever weights were set; its results are prepared variables.
 *
 * In: any module. Out: the same values. What moves are the last of the operations that read such variables alone and
 * compute something; index maps and constants stay where they are, since they cost nothing there. */
#include "ops/region.h"
#include "ops/value_map.h"
#include "pass/pass.h"
#include "pass/rewrite.h"

enum { MOST_GROWTH = 5 };      /* a prepared value is at most so many times what it is made of */

typedef struct Prepared {
    const Value *made;         /* in the prepare function */
    Var *var;
} Prepared;

typedef struct Preparer {
    Module *module;
    Arena *scratch;
    bool *written;             /* by var id: a function writes it */
    Func *func;                /* being looked at */
    bool *fixed, *work;        /* by value number: it depends on unwritten variables and constants alone; computes */
    VEC(Prepared) known;
    ValueMap copies;           /* from the function's values to those in prepare */
} Preparer;

/* ------------------------------------------------------------------------------- what */

static bool is_fixed_input(const Preparer *p, int i) {
    const Port *port = &p->func->inputs.at[i];
    return port->kind == PORT_VAR && port->var->kind != VAR_CACHE && !p->written[port->var->id];
}

static bool may_move(const Op *op) {
    OpKind k = op->info->kind;
    return op->result_count == 1 && !op->region_count &&
           (k == KIND_MAP || k == KIND_REDUCE || k == KIND_MOVE || k == KIND_CONTRACT || k == KIND_CUMULATE);
}

/* Whether the op's attributes mention no run-time dim. */
static bool has_const_attrs(const Op *op) {
    for (int i = 0; i < op->attr_count; i++)
        for (int d = 0; op->attrs[i].kind == ATTR_DIMS && d < op->attrs[i].n; d++)
            if (!dim_is_const(op->attrs[i].dims[d])) return false;
    return true;
}

static bool has_const_shape(const Value *v) {
    for (int d = 0; d < v->type.rank; d++)
        if (!dim_is_const(v->type.shape[d])) return false;
    return true;
}

static void find_fixed(Preparer *p) {
    Region *body = p->func->body;
    for (int i = 0; i < body->params.n; i++) p->fixed[body->params.at[i]->id] = is_fixed_input(p, i);
    for (int i = 0; i < body->ops.n; i++) {
        const Op *op = body->ops.at[i];
        bool fixed = may_move(op) && has_const_attrs(op), work = op->info->kind != KIND_MOVE && op->operand_count > 0;
        for (int k = 0; k < op->operand_count; k++) {
            fixed = fixed && p->fixed[op->operands[k]->id];
            work = work || p->work[op->operands[k]->id];
        }
        if (op->result_count) p->fixed[op->results[0].id] = fixed && has_const_shape(&op->results[0]);
        if (op->result_count) p->work[op->results[0].id] = work;
    }
}

static double bytes_of(const Module *m, const Value *v) {
    return (double)type_elements((DimTable *)&m->dims, v->type)->upper * dtype_bytes(v->type.dtype);
}

/* The bytes of the variables that the value is made of. */
static double source_bytes(const Preparer *p, const Value *v, ValueMap *seen) {
    if (value_map_get(seen, v)) return 0;
    value_map_set(seen, v, (Value *)v);
    if (!v->op) return bytes_of(p->module, v);
    double sum = 0;
    for (int i = 0; i < v->op->operand_count; i++) sum += source_bytes(p, v->op->operands[i], seen);
    return sum;
}

/* Whether an op that stays reads v, through index maps that stay with it. */
static bool is_worth_it(const Preparer *p, const Value *v) {
    ValueMap seen = value_map_new(p->scratch);
    if (!v->op || !p->fixed[v->id] || !p->work[v->id] || v->op->info->kind == KIND_MOVE) return false;
    double sources = source_bytes(p, v, &seen);
    return sources > 0 && bytes_of(p->module, v) <= MOST_GROWTH * sources;
}

/* ------------------------------------------------------------------------------- moving */

static Func *prepare_func(Preparer *p) {
    Module *m = p->module;
    if (!m->prepare) m->prepare = func_new(m, "prepare");
    return m->prepare;
}

/* Whether two values of the prepare function are computed alike. */
static bool same_value(const Value *a, const Value *b) {
    if (a == b) return true;
    if (!a->op || !b->op || a->op->info != b->op->info || a->op->operand_count != b->op->operand_count ||
        a->op->attr_count != b->op->attr_count || !type_equal(a->type, b->type))
        return false;
    for (int i = 0; i < a->op->attr_count; i++)
        if (!attr_equal(&a->op->attrs[i], &b->op->attrs[i])) return false;
    for (int i = 0; i < a->op->operand_count; i++)
        if (!same_value(a->op->operands[i], b->op->operands[i])) return false;
    return true;
}

static Value *copy_value(Preparer *p, const Value *v) {
    Value *known = value_map_get(&p->copies, v);
    if (known) return known;
    if (!v->op) {
        known = func_var(prepare_func(p), p->func->inputs.at[v->index].var);
        value_map_set(&p->copies, v, known);
        return known;
    }
    for (int i = 0; i < v->op->operand_count; i++) copy_value(p, v->op->operands[i]);
    op_copy(p->module, prepare_func(p)->body, v->op, &p->copies);
    return value_map_get(&p->copies, v);
}

/* The variable that holds v, a new one if no other function has it already. */
static Var *prepared_var(Preparer *p, const Value *v) {
    const Value *made = copy_value(p, v);
    for (int i = 0; i < p->known.n; i++)
        if (same_value(p->known.at[i].made, made)) return p->known.at[i].var;
    const char *name = arena_printf(p->module->arena, "prepared.%d", p->known.n);
    Var *var = module_add_var(p->module, VAR_PREPARED, name, v->type);
    func_add_result(p->module->prepare, (Result){.var = var}, (Value *)made);
    vec_push(p->scratch, &p->known, ((Prepared){made, var}));
    return var;
}

/* An operand's stand-in: v itself, a prepared variable, or an index map of one. */
static Value *stand_in(Preparer *p, Builder *b, Value *v) {
    if (v->id < 0 || !p->fixed[v->id] || !p->work[v->id] || !v->op) return v;
    if (is_worth_it(p, v)) return func_var(p->func, prepared_var(p, v));
    if (v->op->info->kind != KIND_MOVE) return v;
    Value **operands = arena_array(p->scratch, Value *, v->op->operand_count);
    bool any = false;
    for (int i = 0; i < v->op->operand_count; i++) {
        operands[i] = stand_in(p, b, v->op->operands[i]);
        any |= operands[i] != v->op->operands[i];
    }
    return any ? build_op(b, v->op->info, operands, v->op->operand_count, v->op->attrs, v->op->attr_count) : v;
}

static Value *const *read_prepared(void *user, Builder *b, Op *op) {
    Preparer *p = user;
    if (op->result_count == 1 && p->fixed[op->results[0].id]) return NULL;
    for (int i = 0; i < op->operand_count; i++) op->operands[i] = stand_in(p, b, op->operands[i]);
    return NULL;
}

static void prepare_for(Preparer *p, Func *f) {
    int n = graph_number(f);
    p->func = f;
    p->fixed = arena_array(p->scratch, bool, n + 1);
    p->work = arena_array(p->scratch, bool, n + 1);
    p->copies = value_map_new(p->scratch);
    find_fixed(p);
    graph_rewrite(f, p->scratch, read_prepared, p);
    graph_sweep(f, p->scratch);
}

void pass_prepare(PassContext *c, Module *m) {
    Preparer p = {.module = m, .scratch = c->scratch};
    if (m->prepare) return;
    p.written = arena_array(c->scratch, bool, m->vars.n + 1);
    for (int i = 0; i < m->funcs.n; i++)
        for (int k = 0; k < m->funcs.at[i]->results.n; k++)
            if (m->funcs.at[i]->results.at[k].var) p.written[m->funcs.at[i]->results.at[k].var->id] = true;
    for (int i = 0; i < m->funcs.n; i++) prepare_for(&p, m->funcs.at[i]);
}
