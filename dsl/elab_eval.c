/* Evaluation of expressions and statements: the interpreter's dispatch. */
#include "elab.h"

/* -------------------------------------------------------------- small ones */

static Val eval_name(Elab *e, const Node *n) {
    Binding *b = scope_find(e->scope, n->text);
    if (b) return b->val;
    if (e->frame && !strcmp(n->text, "training")) return val_bool(e->frame->training);
    if (e->frame && e->frame->self && !strcmp(n->text, "self"))
        return (Val){.kind = VAL_LAYER, .layer = e->frame->self};
    if (scope_tainted(e->scope)) return POISON;
    int d = elab_error(e, DL0201, n->span, "unknown name `%s`", n->text);
    scope_suggest(e, d, e->scope, n->text);
    return POISON;
}

static const char *text_of(Elab *e, Val v) {
    if (v.kind == VAL_STR) return v.s;
    if (v.kind == VAL_INT) return arena_printf(e->arena, "%lld", (long long)v.i);
    if (v.kind == VAL_BOOL) return v.i ? "true" : "false";
    return NULL;
}

static Val eval_format(Elab *e, const Node *n) {
    Text t = text_new(e->arena);
    for (int i = 0; i < n->n; i++) {
        Val v = elab_eval(e, n->kids[i]);
        if (is_poison(v)) return v;
        const char *s = text_of(e, v);
        if (!s) return elab_fail(e, DL0302, n->kids[i]->span, "%s has no text form", val_text(e, v));
        text_append(&t, s, strlen(s));
    }
    return val_str(intern(e->names, text_get(&t)));
}

/* Layers made in element i of a list get the list's path and i. */
static Val eval_element(Elab *e, const Node *n, int i) {
    const char *path = e->layer_path;
    if (path && !e->layer_flat) e->layer_path = elab_join_path(e, path, arena_printf(e->arena, "%d", i));
    Val v = elab_eval(e, n);
    e->layer_path = path;
    return v;
}

static Val eval_list(Elab *e, const Node *n) {
    Val *all = arena_array(e->arena, Val, n->n);
    bool poison = false;
    for (int i = 0; i < n->n; i++) {
        all[i] = eval_element(e, n->kids[i], i);
        poison = poison || is_poison(all[i]);
    }
    return poison ? POISON : val_list(e, VAL_LIST, all, n->n);
}

static Val eval_tuple(Elab *e, const Node *n) {
    Val *all = arena_array(e->arena, Val, n->n);
    for (int i = 0; i < n->n; i++) all[i] = elab_eval(e, n->kids[i]);
    return val_list(e, VAL_TUPLE, all, n->n);
}

bool elab_truth(Elab *e, Span at, Val v, bool *is_true) {
    if (v.kind == VAL_BOOL) *is_true = v.i != 0;
    else if (is_runtime(v)) {
        int d = elab_error(e, DL0308, at, "this is known at run time only (%s); `if` and `for` run at compile time",
                           val_text(e, v));
        diag_hint(e->diags, d, "choose elementwise with where(condition, a, b)");
    } else if (!is_poison(v)) elab_fail(e, DL0302, at, "a condition is true or false, not %s", val_text(e, v));
    return v.kind == VAL_BOOL;
}

bool elab_sequence(Elab *e, Span at, Val v, Vals *to) {
    if (v.kind == VAL_LIST || v.kind == VAL_TUPLE) *to = *v.list;
    else if (v.kind == VAL_MAP) *to = (Vals){v.map->n, v.map->values};
    else {
        if (!is_poison(v)) elab_fail(e, DL0302, at, "%s is one value, no list of several", val_text(e, v));
        return false;
    }
    return true;
}

static Scope *enter_scope(Elab *e) {
    Scope *outer = e->scope;
    e->scope = scope_new(e, outer);
    return outer;
}

static Val eval_comprehension(Elab *e, const Node *n) {
    Vals over;
    VEC(Val) all = {0};
    bool poison = false;
    if (!elab_sequence(e, n->kids[COMP_ITER]->span, elab_eval(e, n->kids[COMP_ITER]), &over)) return POISON;
    for (int i = 0; i < over.n && !e->gave_up; i++) {
        Scope *outer = enter_scope(e);
        bool keep = true;
        elab_bind_names(e, n->kids[COMP_NAMES], over.at[i], n->kids[COMP_ITER]->span, false);
        const Node *test = n->kids[COMP_IF];
        if (test && !elab_truth(e, test->span, elab_eval(e, test), &keep)) poison = true;
        else if (keep) {
            Val v = eval_element(e, n->kids[COMP_VALUE], i);
            poison = poison || is_poison(v);
            vec_push(e->arena, &all, v);
        }
        e->scope = outer;
    }
    return poison ? POISON : val_list(e, VAL_LIST, all.at, all.n);
}

static Val eval_if(Elab *e, const Node *n) {
    bool yes;
    if (!elab_truth(e, n->kids[IF_TEST]->span, elab_eval(e, n->kids[IF_TEST]), &yes)) return POISON;
    if (yes) return elab_block(e, n->kids[IF_THEN]);
    const Node *other = n->kids[IF_ELSE];
    return !other ? NONE_VAL : other->kind == NODE_IF ? elab_eval(e, other) : elab_block(e, other);
}

/* The variable that weights are saved under as the layer's path and this name, wherever in the layer it is declared. */
static Var *var_of(Elab *e, const Instance *in, const char *name) {
    const char *path = elab_join_path(e, in->path, name);
    for (int i = 0; i < in->vars.n; i++)
        if (in->vars.at[i]->name && !strcmp(in->vars.at[i]->name, path)) return in->vars.at[i];
    return NULL;
}

static void bind_saved(Elab *e, const Instance *in, Scope *to) {
    size_t length = strlen(in->path);
    for (int i = 0; i < in->vars.n; i++) {
        const char *name = in->vars.at[i]->name;
        if (!name || strncmp(name, in->path, length)) continue;
        name += length + (length && name[length] == '.');
        if (!strchr(name, '.')) scope_bind(e, to, name, NONE_VAL, in->vars.at[i]->span);
    }
}

Val elab_member(Elab *e, const Node *n) {
    Val base = elab_eval(e, n->kids[0]);
    Scope *in = NULL;
    bool silent = false;
    if (is_poison(base)) return base;
    if (base.kind == VAL_LAYER) {
        in = base.layer->scope;
        silent = base.layer->broken || in->tainted;
    } else if (base.kind == VAL_FILE) {
        in = base.file->scope;
        silent = in->tainted;
    } else if (base.kind == VAL_OPTIMIZER) {
        return elab_optimizer_member(e, n->name_span, base.optimizer, n->text);
    } else if (is_runtime(base) && !strcmp(n->text, "T")) {
        Value *x = elab_tensor(e, n->span, base, DTYPE_COUNT);
        return x ? elab_transpose_last(e, n->span, x) : POISON;
    }
    Binding *b = in ? scope_find_local(in, n->text) : NULL;
    Var *v = !b && base.kind == VAL_LAYER ? var_of(e, base.layer, n->text) : NULL;
    if (v) return val_var(v);
    if (b || silent) return b ? b->val : POISON;
    int d = elab_error(e, DL0207, n->name_span, "%s has no `%s`", val_text(e, base), n->text);
    Scope saved = {0}, alone = in ? *in : (Scope){0};
    if (base.kind == VAL_LAYER) bind_saved(e, base.layer, &saved);
    alone.parent = &saved;
    const Binding *function = is_runtime(base) ? scope_find(e->frame ? e->frame->unit->scope : e->scope, n->text) : NULL;
    if (function && (function->val.kind == VAL_FN || function->val.kind == VAL_BUILTIN))
        diag_hint(e->diags, d, "functions are called as `%s(x)`", n->text);
    else if (base.kind == VAL_MAP) diag_hint(e->diags, d, "of one parameter take the gradient itself: grad(loss, w)");
    else if (base.kind == VAL_CLASS && base.class->decl->kind == NODE_OPTIMIZER)
        diag_hint(e->diags, d, "an optimizer with a name has it: `let o = %s(...)` among the members, then `o.%s`",
                  base.class->decl->text, n->text);
    else scope_suggest(e, d, &alone, n->text);
    return POISON;
}

/* -------------------------------------------------------------- statements */

/* A variable bound to a name in a function is its version of now. */
static Val decay(Elab *e, Span at, Val v) {
    if (v.kind == VAL_VAR && e->build) return val_tensor(elab_read(e, at, v.var));
    if (v.kind != VAL_TUPLE || !e->build) return v;
    Val *all = arena_array(e->arena, Val, v.list->n);
    for (int i = 0; i < v.list->n; i++) all[i] = decay(e, at, v.list->at[i]);
    return val_list(e, VAL_TUPLE, all, v.list->n);
}

static void bind_name(Elab *e, const Node *name, Val v, bool mutable) {
    scope_bind(e, e->scope, name->text, v, name->span);
    e->scope->all.at[e->scope->all.n - 1].mutable = mutable;
}

void elab_bind_names(Elab *e, const Node *names, Val v, Span at, bool mutable) {
    if (names->n == 1) {
        bind_name(e, names->kids[0], v, mutable);
        return;
    }
    Vals parts = {0};
    bool good = !is_poison(v) && elab_sequence(e, at, v, &parts);
    if (good && parts.n != names->n) {
        elab_fail(e, DL0307, at, "%d names for %d value%s", names->n, parts.n, parts.n == 1 ? "" : "s");
        good = false;
    }
    for (int i = 0; i < names->n; i++) bind_name(e, names->kids[i], good ? parts.at[i] : POISON, mutable);
}

static void run_let(Elab *e, const Node *n) {
    Val v = elab_eval(e, n->kids[LET_VALUE]);
    elab_bind_names(e, n->kids[LET_NAMES], decay(e, n->kids[LET_VALUE]->span, v), n->kids[LET_VALUE]->span,
                    n->kind == NODE_VAR);
}

/* The values for several targets, or null after a report. */
static const Val *target_values(Elab *e, const Node *n, Val *v, int count) {
    *v = decay(e, n->kids[1]->span, *v);
    if (is_poison(*v)) return NULL;
    if (count == 1) return v;
    if ((v->kind == VAL_TUPLE || v->kind == VAL_LIST) && v->list->n == count) return v->list->at;
    elab_fail(e, DL0307, n->kids[1]->span, "%d targets for %s", count, val_text(e, *v));
    return NULL;
}

static void run_assign(Elab *e, const Node *n) {
    const Node *targets = n->kids[0];
    Val v = elab_eval(e, n->kids[1]);
    const Val *values = target_values(e, n, &v, targets->n);
    for (int i = 0; i < targets->n; i++) {
        Binding *b = targets->kids[i]->kind == NODE_NAME ? scope_find(e->scope, targets->kids[i]->text) : NULL;
        if (!b || !b->mutable) continue;       /* reported by the checker */
        b->val = values ? values[i] : POISON;
        b->changed = n->span;
    }
}

static void write_target(Elab *e, const Node *target, Val to, Val v) {
    to = elab_as_map(e, to);
    v = elab_as_map(e, v);
    if (is_poison(to) || is_poison(v)) return;
    if (e->frame->pure) {
        elab_fail(e, DL0405, target->span, "a function outside layers and models is pure: it cannot write");
    } else if (to.kind == VAL_VAR) {
        elab_write(e, target->span, to.var, v);
    } else if (to.kind == VAL_MAP && v.kind == VAL_MAP && v.map->n == to.map->n) {
        for (int i = 0; i < to.map->n; i++)
            if (to.map->values[i].kind == VAL_VAR) elab_write(e, target->span, to.map->values[i].var, v.map->values[i]);
    } else {
        int d = elab_error(e, DL0405, target->span, "`<-` writes a param, state or cache, not %s", val_text(e, to));
        if (target->kind == NODE_NAME)
            diag_hint(e->diags, d, "a local that changes is declared with `var` and assigned with `=`");
    }
}

static void run_write(Elab *e, const Node *n) {
    const Node *targets = n->kids[0];
    Val v = elab_eval(e, n->kids[1]);
    const Val *values = target_values(e, n, &v, targets->n);
    for (int i = 0; values && i < targets->n; i++)
        write_target(e, targets->kids[i], elab_eval(e, targets->kids[i]), values[i]);
}

static void run_for(Elab *e, const Node *n) {
    Vals over;
    if (!elab_sequence(e, n->kids[FOR_ITER]->span, elab_eval(e, n->kids[FOR_ITER]), &over)) return;
    for (int i = 0; i < over.n && !e->frame->returned && !e->gave_up; i++) {
        Scope *outer = enter_scope(e);
        elab_bind_names(e, n->kids[FOR_NAMES], over.at[i], n->kids[FOR_ITER]->span, false);
        elab_block(e, n->kids[FOR_BODY]);
        e->scope = outer;
    }
}

static void run_return(Elab *e, const Node *n) {
    Val v = n->kids[0] ? elab_eval(e, n->kids[0]) : NONE_VAL;
    e->frame->result = n->kids[0] ? decay(e, n->kids[0]->span, v) : v;
    e->frame->result_span = n->span;
    e->frame->returned = true;
}

static bool is_expression(const Node *n) {
    switch (n->kind) {
    case NODE_INT: case NODE_FLOAT: case NODE_BOOL: case NODE_STRING: case NODE_FORMAT: case NODE_NAME: case NODE_LIST:
    case NODE_TUPLE: case NODE_COMPREHENSION: case NODE_UNARY: case NODE_BINARY: case NODE_CALL: case NODE_INDEX:
    case NODE_MEMBER: return true;
    default: return false;
    }
}

/* A statement whose value is dropped and that has written nothing has done nothing. */
static void warn_unused(Elab *e, const Node *n, Val v, int writes) {
    if (!is_expression(n) || is_poison(v) || v.kind == VAL_NONE || e->writes != writes) return;
    if (elab_in_library(e, n->span)) return;
    int d = elab_error(e, DL0208, n->span, "this value, %s, is not used", val_text(e, v));
    if (v.kind == VAL_OPTIMIZER)
        diag_hint(e->diags, d, "an optimizer acts in `minimize loss with ...`");
}

Val elab_statements(Elab *e, const Node *block) {
    Val last = NONE_VAL;
    for (int i = 0; i < block->n && !(e->frame && e->frame->returned); i++) {
        int writes = e->writes;
        last = elab_eval(e, block->kids[i]);
        if (i + 1 < block->n) warn_unused(e, block->kids[i], last, writes);
        if (block->kids[i]->kind != NODE_ERROR) continue;
        e->scope->tainted = true;
        if (e->frame) e->frame->tainted = true;
    }
    return last;
}

Val elab_block(Elab *e, const Node *block) {
    Scope *outer = enter_scope(e);
    Val v = elab_statements(e, block);
    e->scope = outer;
    return v;
}

/* ---------------------------------------------------------------- dispatch */

static Val run(Elab *e, const Node *n) {
    switch (n->kind) {
    case NODE_LET: case NODE_VAR: run_let(e, n); break;
    case NODE_ASSIGN: run_assign(e, n); break;
    case NODE_WRITE: run_write(e, n); break;
    case NODE_RETURN: run_return(e, n); break;
    case NODE_MINIMIZE: elab_minimize(e, n); break;
    case NODE_APPLY: elab_apply(e, n); break;
    case NODE_REQUIRE: return elab_require(e, n);
    case NODE_FOR: run_for(e, n); break;
    case NODE_DIM: elab_dim_statement(e, n); break;
    default: return POISON;                    /* ERROR, and what the checker has reported */
    }
    return NONE_VAL;
}

static Val dispatch(Elab *e, const Node *n) {
    switch (n->kind) {
    case NODE_INT: return val_int(n->i);
    case NODE_FLOAT: return val_float(n->f);
    case NODE_BOOL: return val_bool(n->i != 0);
    case NODE_STRING: return val_str(n->text);
    case NODE_FORMAT: return eval_format(e, n);
    case NODE_NONE: return NONE_VAL;
    case NODE_NAME: return eval_name(e, n);
    case NODE_LIST: return eval_list(e, n);
    case NODE_TUPLE: return eval_tuple(e, n);
    case NODE_COMPREHENSION: return eval_comprehension(e, n);
    case NODE_UNARY: return elab_unary(e, n);
    case NODE_BINARY: return elab_binary(e, n);
    case NODE_CALL: return elab_call(e, n);
    case NODE_INDEX: return elab_index(e, n);
    case NODE_MEMBER: return elab_member(e, n);
    case NODE_IF: return eval_if(e, n);
    case NODE_BLOCK: return elab_block(e, n);
    case NODE_SCAN: return elab_scan(e, n);
    case NODE_LOOP: return elab_loop(e, n);
    case NODE_COND: return elab_cond(e, n);
    case NODE_RECOMPUTE: return elab_recompute(e, n);
    case NODE_YIELD: return elab_yield(e, n);
    default: return run(e, n);
    }
}

bool elab_spend(Elab *e, int n) {
    e->steps = n > MAX_EVAL_STEPS - e->steps ? MAX_EVAL_STEPS : e->steps + n;
    return e->steps < MAX_EVAL_STEPS;
}

Val elab_eval(Elab *e, const Node *n) {
    if (e->gave_up) return POISON;
    if (!elab_spend(e, 1)) {
        e->gave_up = true;
        return elab_fail(e, DL0705, n->span, "putting this model together takes more than %d million steps",
                         MAX_EVAL_STEPS / 1000000);
    }
    if (e->depth >= MAX_EVAL_DEPTH) {
        e->gave_up = true;
        return elab_fail(e, DL0701, n->span, "evaluation is nested too deeply here");
    }
    e->depth++;
    Val v = dispatch(e, n);
    e->depth--;
    return v;
}
