/* Bodies of scan, loop, cond and their like: see elab_region.h. */
#include "elab_region.h"

/* ------------------------------------------------------------------ leaves */

static bool is_leaf(Val v) {
    if (v.kind == VAL_LIST && v.list->n) {
        for (int i = 0; i < v.list->n; i++)
            if (!is_number(v.list->at[i]) && v.list->at[i].kind != VAL_BOOL) return false;
        return true;
    }
    return is_runtime(v) || is_number(v) || v.kind == VAL_BOOL;
}

static Val map_leaves(Elab *e, Span at, const char *what, const ParamMap *m, Leaves *to) {
    ParamMap *all = arena_new(e->arena, ParamMap);
    *all = (ParamMap){m->n, m->keys, arena_array(e->arena, Val, m->n + 1)};
    for (int i = 0; i < m->n; i++) {
        all->values[i] = leaves_of(e, at, what, m->values[i], to);
        if (is_poison(all->values[i])) return POISON;
    }
    return (Val){.kind = VAL_MAP, .map = all};
}

Val leaves_of(Elab *e, Span at, const char *what, Val v, Leaves *to) {
    v = elab_as_map(e, v);
    if (is_poison(v)) return v;
    if (v.kind == VAL_MAP) return map_leaves(e, at, what, v.map, to);
    if (is_leaf(v)) {
        Value *x = elab_tensor(e, at, v, DTYPE_COUNT);
        if (x) vec_push(e->arena, to, x);
        return val_tensor(x);
    }
    if (v.kind != VAL_LIST && v.kind != VAL_TUPLE)
        return elab_fail(e, DL0302, at, "%s is a tensor, or a list, tuple or map of tensors, not %s", what,
                         val_text(e, v));
    Val *all = arena_array(e->arena, Val, v.list->n + 1);
    for (int i = 0; i < v.list->n; i++)
        if (is_poison(all[i] = leaves_of(e, at, what, v.list->at[i], to))) return POISON;
    return val_list(e, v.kind, all, v.list->n);
}

Val leaves_replace(Elab *e, Val v, Value *const *values, int *next) {
    if (v.kind == VAL_TENSOR) return val_tensor(values[(*next)++]);
    if (v.kind == VAL_MAP) {
        ParamMap *all = arena_new(e->arena, ParamMap);
        *all = (ParamMap){v.map->n, v.map->keys, arena_array(e->arena, Val, v.map->n + 1)};
        for (int i = 0; i < all->n; i++) all->values[i] = leaves_replace(e, v.map->values[i], values, next);
        return (Val){.kind = VAL_MAP, .map = all};
    }
    if (v.kind != VAL_LIST && v.kind != VAL_TUPLE) return v;
    Val *all = arena_array(e->arena, Val, v.list->n + 1);
    for (int i = 0; i < v.list->n; i++) all[i] = leaves_replace(e, v.list->at[i], values, next);
    return val_list(e, v.kind, all, v.list->n);
}

Val leaves_read(Elab *e, Span at, Val v) {
    if (v.kind == VAL_VAR) return val_tensor(elab_read(e, at, v.var));
    if (v.kind == VAL_MAP) {
        ParamMap *all = arena_new(e->arena, ParamMap);
        *all = (ParamMap){v.map->n, v.map->keys, arena_array(e->arena, Val, v.map->n + 1)};
        for (int i = 0; i < all->n; i++) all->values[i] = leaves_read(e, at, v.map->values[i]);
        return (Val){.kind = VAL_MAP, .map = all};
    }
    if (v.kind != VAL_LIST && v.kind != VAL_TUPLE) return v;
    v = elab_as_map(e, v);
    if (v.kind == VAL_MAP) return leaves_read(e, at, v);
    Val *all = arena_array(e->arena, Val, v.list->n + 1);
    for (int i = 0; i < v.list->n; i++) all[i] = leaves_read(e, at, v.list->at[i]);
    return val_list(e, v.kind, all, v.list->n);
}

DiagCode misfit_code(const Misfit *m) {
    bool both = is_runtime(m->wanted) && is_runtime(m->found);
    return both && val_type(m->wanted).dtype == val_type(m->found).dtype ? DL0301 : DL0302;
}

static bool misfits(Misfit *misfit, Val wanted, Val found) {
    *misfit = (Misfit){wanted, found};
    return false;
}

static bool leaf_fits(Elab *e, Span at, Val like, Val v, Leaves *to, Misfit *misfit) {
    Type wanted = val_type(like);
    if (!is_leaf(v)) return misfits(misfit, like, v);
    bool number = is_number(v) || v.kind == VAL_BOOL;
    if (number && ((v.kind == VAL_BOOL) != (wanted.dtype == DTYPE_BOOL) ||
                   (v.kind == VAL_FLOAT && !dtype_is_float(wanted.dtype))))
        return misfits(misfit, like, v);
    Value *x = elab_tensor(e, at, v, wanted.dtype);
    if (x && number) x = build_broadcast_to(elab_builder(e, at), x, wanted.rank, wanted.shape);
    if (!x) return false;
    vec_push(e->arena, to, x);
    return type_equal(x->type, wanted) || misfits(misfit, like, val_tensor(x));
}

static bool map_fits(Elab *e, Span at, Val like, Val v, Leaves *to, Misfit *misfit) {
    if (v.kind != VAL_MAP || v.map->n != like.map->n) return misfits(misfit, like, v);
    for (int i = 0; i < like.map->n; i++) {
        int k = 0;
        while (k < v.map->n && v.map->keys[k] != like.map->keys[i]) k++;
        if (k == v.map->n) return misfits(misfit, like, v);
        if (!leaves_fit(e, at, like.map->values[i], v.map->values[k], to, misfit)) return false;
    }
    return true;
}

bool leaves_fit(Elab *e, Span at, Val like, Val v, Leaves *to, Misfit *misfit) {
    *misfit = (Misfit){NONE_VAL, NONE_VAL};
    v = elab_as_map(e, v);
    if (is_poison(v) || is_poison(like)) return false;
    if (like.kind == VAL_TENSOR) return leaf_fits(e, at, like, v, to, misfit);
    if (like.kind == VAL_MAP) return map_fits(e, at, like, v, to, misfit);
    if (like.kind == VAL_NONE && v.kind == VAL_NONE) return true;
    bool lists = (like.kind == VAL_LIST || like.kind == VAL_TUPLE) && (v.kind == VAL_LIST || v.kind == VAL_TUPLE);
    if (!lists || like.list->n != v.list->n) return misfits(misfit, like, v);
    for (int i = 0; i < like.list->n; i++)
        if (!leaves_fit(e, at, like.list->at[i], v.list->at[i], to, misfit)) return false;
    return true;
}

/* ------------------------------------------------------------------ locals */

typedef struct Assigned {
    Elab *e;
    Locals *to;
    VEC(const char *) inner;   /* names declared inside the body so far */
} Assigned;

static void declare_name(Assigned *a, const char *name) { vec_push(a->e->arena, &a->inner, name); }

static void declare_names(Assigned *a, const Node *names) {
    for (int i = 0; i < names->n; i++) declare_name(a, names->kids[i]->text);
}

static void assigned_name(Assigned *a, const Node *target) {
    if (target->kind != NODE_NAME) return;
    for (int i = 0; i < a->inner.n; i++)
        if (a->inner.at[i] == target->text) return;
    for (int i = 0; i < a->to->n; i++)
        if (a->to->at[i].name == target->text) return;
    Binding *b = scope_find(a->e->scope, target->text);
    if (b && b->mutable) vec_push(a->e->arena, a->to, (Local){target->text, b->val});
}

static void walk_assigned(Assigned *a, const Node *n);

static void walk_all(Assigned *a, const Node *n, int from, int to) {
    for (int i = from; n && i < to; i++) walk_assigned(a, n->kids[i]);
}

/* Names that a scan or loop binds in its body. */
static void declare_carries(Assigned *a, const Node *items) {
    for (int i = 0; items && i < items->n; i++) declare_name(a, items->kids[i]->text);
}

static void walk_assigned(Assigned *a, const Node *n) {
    if (!n) return;
    int names = a->inner.n;
    switch (n->kind) {
    case NODE_LET: case NODE_VAR:
        walk_assigned(a, n->kids[LET_VALUE]);
        declare_names(a, n->kids[LET_NAMES]);
        return;
    case NODE_DIM:
        walk_all(a, n, 0, n->n);
        declare_name(a, n->text);
        return;
    case NODE_ASSIGN:
        walk_assigned(a, n->kids[1]);
        for (int i = 0; i < n->kids[0]->n; i++) assigned_name(a, n->kids[0]->kids[i]);
        return;
    case NODE_FOR:
        walk_assigned(a, n->kids[FOR_ITER]);
        declare_names(a, n->kids[FOR_NAMES]);
        walk_assigned(a, n->kids[FOR_BODY]);
        break;
    case NODE_SCAN:
        walk_all(a, n, SCAN_ITEMS, SCAN_BODY);
        declare_carries(a, n->kids[SCAN_ITEMS]);
        declare_carries(a, n->kids[SCAN_CARRIES]);
        walk_assigned(a, n->kids[SCAN_BODY]);
        break;
    case NODE_LOOP:
        walk_assigned(a, n->kids[LOOP_CARRIES]);
        declare_carries(a, n->kids[LOOP_CARRIES]);
        walk_all(a, n, LOOP_TEST, n->n);
        break;
    default: walk_all(a, n, 0, n->n);
    }
    bool opens = n->kind == NODE_BLOCK || n->kind == NODE_FOR || n->kind == NODE_SCAN || n->kind == NODE_LOOP;
    if (opens) a->inner.n = names;
}

void locals_assigned(Elab *e, const Node *body, Locals *to) {
    Assigned a = {.e = e, .to = to};
    walk_assigned(&a, body);
}

/* ------------------------------------------------------------------- marks */

Mark mark_function(Elab *e) {
    FuncBuild *f = e->build;
    Mark m = {.old = f->old.n, .bound = f->bound.n, .region = f->b.region, .body = f->body, .scope = e->scope};
    for (int i = 0; i < f->versions.n; i++) vec_push(e->arena, &m.versions, f->versions.at[i]);
    for (int i = 0; i < f->sites.n; i++) vec_push(e->arena, &m.sites, f->sites.at[i]);
    return m;
}

void mark_leave(Elab *e, const Mark *m) {
    FuncBuild *f = e->build;
    for (int i = 0; i < f->versions.n; i++) {
        Version *now = &f->versions.at[i], before = i < m->versions.n ? m->versions.at[i] : (Version){0};
        if (before.value || now->written) *now = before;   /* else it has been read inside for the first time */
    }
    f->b.region = m->region;
    f->body = m->body;
    e->scope = m->scope;
}

void mark_undo(Elab *e, const Mark *m) {
    FuncBuild *f = e->build;
    mark_leave(e, m);
    f->old.n = m->old;
    f->bound.n = m->bound;
    f->sites.n = 0;
    for (int i = 0; i < m->sites.n; i++) vec_push(e->arena, &f->sites, m->sites.at[i]);
}

Vars vars_written(Elab *e, const Mark *m) {
    FuncBuild *f = e->build;
    Vars all = {0};
    for (int i = 0; i < f->versions.n; i++)
        if (f->versions.at[i].writes != (i < m->versions.n ? m->versions.at[i].writes : 0))
            vec_push(e->arena, &all, e->module->vars.at[i]);
    return all;
}

/* ------------------------------------------------------------------ bodies */

bool body_allowed(Elab *e, Span at) {
    enum { MOST = 48 };
    int depth = 0;
    if (!elab_need_function(e, at)) return false;
    for (const Body *b = e->build->body; b; b = b->outer) depth++;
    if (depth < MOST) return true;
    elab_fail(e, DL0701, at, "bodies of scan, loop, cond and the like are nested more than %d deep here", MOST);
    return false;
}

void body_begin(Elab *e, Body *body) {
    FuncBuild *f = e->build;
    body->outer = f->body;
    body->b = build_body(&f->b);
    body->yielded = NONE_VAL;
    body->yields.n = 0;
    body->index_used = false;
    f->body = body;
    f->b.region = body->b.region;
    e->scope = scope_new(e, e->scope);
}

Value *body_param(Elab *e, Type type, const char *name) {
    return build_body_param(&e->build->body->b, type, name);
}

void body_take_var(Elab *e, Var *var, Value *v) {
    FuncBuild *f = e->build;
    while (f->versions.n <= var->id) vec_push(e->arena, &f->versions, (Version){0});
    Version *now = &f->versions.at[var->id];
    if (now->value) vec_push(e->arena, &f->old, (OldVersion){var, now->value});
    *now = (Version){
        .value = build_stop_gradient(&f->b, v), .written = true, .sealed = true, .writes = now->writes};
}

const char *body_is_pure(const Elab *e) {
    for (const Body *b = e->build->body; b; b = b->outer)
        if (b->pure) return b->pure;
    return NULL;
}

bool body_dims_stay(Elab *e, Span at, int first, int end, const Leaves *leaving) {
    FuncBuild *f = e->build;
    DimTable *t = &e->module->dims;
    for (int i = 0; i < leaving->n; i++)
        for (int k = first; k < end; k++)
            for (int d = 0; d < leaving->at[i]->type.rank; d++) {
                if (!dim_mentions(t, leaving->at[i]->type.shape[d], f->bound.at[k].symbol)) continue;
                int g = elab_error(e, DL0304, at, "%s leaves this body, but the dim `%s` is known inside only",
                                   val_text(e, val_tensor(leaving->at[i])), f->bound.at[k].name);
                diag_label(e->diags, g, f->bound.at[k].span, "`%s` is bound here", f->bound.at[k].name);
                return false;
            }
    return true;
}

Value *body_draw_index(Elab *e, Builder *b, Value *index, Dim elements) {
    Type scalar = type_scalar(DTYPE_I64);
    Value *offset = NULL, *stride = dim_is_const(elements) ? build_constant(b, scalar, (double)dim_value(elements))
                                                           : build_dim(b, elements, DTYPE_I64);
    for (Body *body = e->build->body; body; body = body->outer) {
        if (!body->loops) continue;
        body->index_used = true;
        Value *step = build_map2(b, MAP_multiply, stride, body->index);
        offset = offset ? build_map2(b, MAP_add, offset, step) : step;
        Value *count = !body->length ? build_constant(b, scalar, 4294967296.0)
                       : dim_is_const(body->length) ? build_constant(b, scalar, (double)dim_value(body->length))
                                                    : build_dim(b, body->length, DTYPE_I64);
        stride = build_map2(b, MAP_multiply, stride, count);
    }
    if (!offset) return index;
    return build_map2(b, MAP_add, index, build_broadcast_to(b, offset, index->type.rank, index->type.shape));
}
