/* Graph IR: construction, attributes and traversal; see graph.h.
 *
 * Everything lives in the module's arena. An op's arrays are allocated once with their final size;
 * regions grow. */
#include "ir/graph.h"

#include <string.h>

/* ------------------------------------------------------------ modules and functions */

Module *module_new(Arena *arena, Interner *names, Diags *diags, const char *name) {
    Module *m = arena_new(arena, Module);
    m->arena = arena;
    m->names = names;
    m->diags = diags;
    m->name = intern(names, name);
    dim_table_init(&m->dims, arena, names);
    return m;
}

Var *module_add_var(Module *m, VarKind kind, const char *name, Type type) {
    Var *v = arena_new(m->arena, Var);
    *v = (Var){.id = m->vars.n, .name = intern(m->names, name), .kind = kind, .type = type};
    for (int i = 0; i < MAX_RANK; i++) v->order[i] = i;
    vec_push(m->arena, &m->vars, v);
    return v;
}

Var *module_find_var(const Module *m, const char *name) {
    for (int i = 0; i < m->vars.n; i++)
        if (!strcmp(m->vars.at[i]->name, name)) return m->vars.at[i];
    return NULL;
}

Func *func_new(Module *m, const char *name) {
    Func *f = arena_new(m->arena, Func);
    f->module = m;
    f->name = intern(m->names, name);
    f->body = region_new(m, f, NULL);
    return f;
}

Func *module_add_func(Module *m, const char *name) {
    Func *f = func_new(m, name);
    vec_push(m->arena, &m->funcs, f);
    return f;
}

Region *region_new(Module *m, Func *func, Op *owner) {
    Region *r = arena_new(m->arena, Region);
    r->func = func;
    r->owner = owner;
    return r;
}

Value *region_add_param(Module *m, Region *r, Type type, const char *name) {
    Value *v = arena_new(m->arena, Value);
    *v = (Value){.type = type, .region = r, .index = r->params.n, .id = -1, .name = name};
    vec_push(m->arena, &r->params, v);
    return v;
}

Value *func_add_input(Func *f, Port port, Type type) {
    vec_push(f->module->arena, &f->inputs, port);
    return region_add_param(f->module, f->body, type, port.var ? port.var->name : port.name);
}

void func_add_result(Func *f, Result result, Value *value) {
    vec_push(f->module->arena, &f->results, result);
    vec_push(f->module->arena, &f->body->yields, value);
}

/* The input of that kind (and variable), or null. */
static Value *find_input(const Func *f, PortKind kind, const Var *var) {
    for (int i = 0; i < f->inputs.n; i++)
        if (f->inputs.at[i].kind == kind && f->inputs.at[i].var == var) return f->body->params.at[i];
    return NULL;
}

Value *func_var(Func *f, Var *var) {
    Value *v = find_input(f, PORT_VAR, var);
    return v ? v : func_add_input(f, (Port){.kind = PORT_VAR, .var = var, .span = f->span}, var->type);
}

static Value *implicit_input(Func *f, PortKind kind, const char *name) {
    Value *v = find_input(f, kind, NULL);
    if (v) return v;
    Port port = {.kind = kind, .name = intern(f->module->names, name), .span = f->span};
    return func_add_input(f, port, type_scalar(DTYPE_I64));
}

Value *func_seed(Func *f) { return implicit_input(f, PORT_SEED, "seed"); }
Value *func_count(Func *f) { return implicit_input(f, PORT_COUNT, "count"); }

/* ------------------------------------------------------------------ types and ops */

Type type_make(Module *m, DType dtype, int rank, const Dim *shape) {
    return (Type){dtype, rank, rank ? arena_copy(m->arena, shape, sizeof *shape * (size_t)rank) : NULL};
}

Type type_scalar(DType dtype) { return (Type){.dtype = dtype}; }

Op *op_append(Module *m, Region *r, const OpInfo *info, Value *const *operands, int operand_count, int result_count,
              const Attr *attrs, int attr_count, int region_count, Span span) {
    Op *op = arena_new(m->arena, Op);
    *op = (Op){.info = info, .operand_count = operand_count, .result_count = result_count, .attr_count = attr_count,
               .region_count = region_count, .span = span, .parent = r};
    op->operands = arena_copy(m->arena, operands, sizeof *operands * (size_t)operand_count);
    op->attrs = arena_copy(m->arena, attrs, sizeof *attrs * (size_t)attr_count);
    op->results = arena_array(m->arena, Value, result_count);
    op->result_room = result_count;
    op->regions = arena_array(m->arena, Region *, region_count);
    for (int i = 0; i < result_count; i++) op->results[i] = (Value){.op = op, .index = i, .id = -1};
    for (int i = 0; i < region_count; i++) op->regions[i] = region_new(m, r->func, op);
    vec_push(m->arena, &r->ops, op);
    return op;
}

void op_reserve_results(Module *m, Op *op, int room) {
    if (room <= op->result_room) return;
    Value *results = arena_array(m->arena, Value, room);
    if (op->result_count) memcpy(results, op->results, sizeof *results * (size_t)op->result_count);
    op->results = results;
    op->result_room = room;
}

int op_residual_room(const Op *op) {
    int room = op->result_count + 4;
    for (int i = 0; i < op->region_count; i++) {
        const Region *r = op->regions[i];
        room += r->params.n;
        for (int k = 0; k < r->ops.n; k++) room += r->ops.at[k]->result_room;
    }
    return room;
}

/* --------------------------------------------------------------------- attributes */

const Attr *op_attr(const Op *op, const char *key) {
    for (int i = 0; i < op->attr_count; i++)
        if (op->attrs[i].key == key || !strcmp(op->attrs[i].key, key)) return &op->attrs[i];
    return NULL;
}

int64_t op_int(const Op *op, const char *key) {
    const Attr *a = op_attr(op, key);
    return a ? a->i : 0;
}

double op_float(const Op *op, const char *key) {
    const Attr *a = op_attr(op, key);
    return a ? a->f : 0;
}

const int64_t *op_ints(const Op *op, const char *key, int *n) {
    const Attr *a = op_attr(op, key);
    if (n) *n = a ? a->n : 0;
    return a ? a->ints : NULL;
}

const Dim *op_dims(const Op *op, const char *key, int *n) {
    const Attr *a = op_attr(op, key);
    if (n) *n = a ? a->n : 0;
    return a ? a->dims : NULL;
}

Attr attr_int(Module *m, const char *key, int64_t i) {
    return (Attr){.key = intern(m->names, key), .kind = ATTR_INT, .i = i};
}

Attr attr_float(Module *m, const char *key, double f) {
    return (Attr){.key = intern(m->names, key), .kind = ATTR_FLOAT, .f = f};
}

Attr attr_text(Module *m, const char *key, const char *text) {
    return (Attr){.key = intern(m->names, key), .kind = ATTR_TEXT, .text = intern(m->names, text)};
}

Attr attr_ints(Module *m, const char *key, const int64_t *ints, int n) {
    const int64_t *copy = arena_copy(m->arena, ints, sizeof *ints * (size_t)n);
    return (Attr){.key = intern(m->names, key), .kind = ATTR_INTS, .n = n, .ints = copy};
}

Attr attr_floats(Module *m, const char *key, const double *floats, int n) {
    const double *copy = arena_copy(m->arena, floats, sizeof *floats * (size_t)n);
    return (Attr){.key = intern(m->names, key), .kind = ATTR_FLOATS, .n = n, .floats = copy};
}

Attr attr_dims(Module *m, const char *key, const Dim *dims, int n) {
    const Dim *copy = arena_copy(m->arena, dims, sizeof *dims * (size_t)n);
    return (Attr){.key = intern(m->names, key), .kind = ATTR_DIMS, .n = n, .dims = copy};
}

Attr attr_dtype(Module *m, const char *key, DType t) {
    return (Attr){.key = intern(m->names, key), .kind = ATTR_DTYPE, .dtype = t};
}

/* Floats are equal if their bits are: a NaN equals itself, 0 and -0 differ. */
bool attr_equal(const Attr *a, const Attr *b) {
    if (a->kind != b->kind || a->n != b->n || (a->key != b->key && strcmp(a->key, b->key))) return false;
    size_t n = (size_t)a->n;
    switch (a->kind) {
    case ATTR_INT: return a->i == b->i;
    case ATTR_FLOAT: return !memcmp(&a->f, &b->f, sizeof a->f);
    case ATTR_TEXT: return !strcmp(a->text, b->text);
    case ATTR_INTS: return !n || !memcmp(a->ints, b->ints, n * sizeof *a->ints);
    case ATTR_FLOATS: return !n || !memcmp(a->floats, b->floats, n * sizeof *a->floats);
    case ATTR_DIMS: return !n || !memcmp(a->dims, b->dims, n * sizeof *a->dims);
    case ATTR_DTYPE: return a->dtype == b->dtype;
    }
    return false;
}

/* ---------------------------------------------------------------------- traversal */

void region_walk(Region *r, OpVisitor *visit, void *user) {
    for (int i = 0; i < r->ops.n; i++) {
        Op *op = r->ops.at[i];
        for (int j = 0; j < op->region_count; j++) region_walk(op->regions[j], visit, user);
        visit(user, op);
    }
}

static int number_region(Region *r, int next) {
    for (int i = 0; i < r->params.n; i++) r->params.at[i]->id = next++;
    for (int i = 0; i < r->ops.n; i++) {
        Op *op = r->ops.at[i];
        for (int j = 0; j < op->region_count; j++) next = number_region(op->regions[j], next);
        for (int j = 0; j < op->result_count; j++) op->results[j].id = next++;
    }
    return next;
}

int graph_number(Func *f) {
    f->value_count = number_region(f->body, 0);
    return f->value_count;
}

static void count_uses(const Region *r, int *uses) {
    for (int i = 0; i < r->ops.n; i++) {
        const Op *op = r->ops.at[i];
        for (int j = 0; j < op->operand_count; j++) uses[op->operands[j]->id]++;
        for (int j = 0; j < op->region_count; j++) count_uses(op->regions[j], uses);
    }
    for (int i = 0; i < r->yields.n; i++) uses[r->yields.at[i]->id]++;
}

int *graph_use_counts(Func *f, Arena *scratch) {
    int *uses = arena_array(scratch, int, f->value_count);
    count_uses(f->body, uses);
    return uses;
}

static void replace_uses(Region *r, const Value *from, Value *to) {
    for (int i = 0; i < r->ops.n; i++) {
        Op *op = r->ops.at[i];
        for (int j = 0; j < op->operand_count; j++)
            if (op->operands[j] == from) op->operands[j] = to;
        for (int j = 0; j < op->region_count; j++) replace_uses(op->regions[j], from, to);
    }
    for (int i = 0; i < r->yields.n; i++)
        if (r->yields.at[i] == from) r->yields.at[i] = to;
}

void graph_replace_uses(Func *f, Value *from, Value *to) { replace_uses(f->body, from, to); }
