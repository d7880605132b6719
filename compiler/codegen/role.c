/* Roles and flags: see role.h and dlrt.h. */
#include "codegen/role.h"

#include "codegen/signature.h"
#include "dlrt.h"

int func_flags(const Func *f) {
    int flags = 0;
    for (int i = 0; i < f->results.n; i++) {
        const Var *v = f->results.at[i].var;
        if (v && v->kind != VAR_CACHE) flags |= DLRT_FN_WRITES;
        if (v && v->kind == VAR_PARAM) flags |= DLRT_FN_TRAINS;
    }
    for (int i = 0; i < f->inputs.n; i++)
        if (f->inputs.at[i].kind == PORT_COUNT) flags |= DLRT_FN_RANDOM;
    return flags;
}

/* The batch dim leads: the first extent is a run-time one. */
static bool has_batch(Type t) { return t.rank > 0 && !dim_is_const(t.shape[0]); }

static bool is_one_of(const char *name, const char *const *names) {
    for (; *names; names++)
        if (!strcmp(name, *names)) return true;
    return false;
}

int role_of_arg(Arena *arena, const Func *f, int place) {
    static const char *const rates[] = {"lr", "rate", "learning_rate", NULL};
    CParam arg = func_args(arena, f).at[place];
    if (dtype_is_float(arg.type.dtype)) {
        if (has_batch(arg.type)) return DLRT_ROLE_DATA;
        return arg.type.rank == 0 && is_one_of(arg.own_name, rates) ? DLRT_ROLE_RATE : DLRT_ROLE_NONE;
    }
    return dtype_is_int(arg.type.dtype) && has_batch(arg.type) ? DLRT_ROLE_LABEL : DLRT_ROLE_NONE;
}

static bool is_float_scalar(const CParam *p) { return p->type.rank == 0 && dtype_is_float(p->type.dtype); }

/* The float scalar named "loss", else the first one; -1 if there is none. */
static int loss_place(const CParams *results) {
    int first = -1;
    for (int i = results->n - 1; i >= 0; i--)
        if (is_float_scalar(&results->at[i])) first = i;
    for (int i = 0; i < results->n; i++)
        if (is_float_scalar(&results->at[i]) && !strcmp(results->at[i].own_name, "loss")) return i;
    return first;
}

int role_of_result(Arena *arena, const Func *f, int place) {
    CParams results = func_results(arena, f);
    const CParam *r = &results.at[place];
    if (func_flags(f) & DLRT_FN_TRAINS && place == loss_place(&results)) return DLRT_ROLE_LOSS;
    if (!dtype_is_int(r->type.dtype)) return DLRT_ROLE_NONE;
    if (r->type.rank == 0) return strcmp(r->own_name, "correct") ? DLRT_ROLE_NONE : DLRT_ROLE_CORRECT;
    return has_batch(r->type) ? DLRT_ROLE_PREDICTION : DLRT_ROLE_NONE;
}
