/* Builtins on layers and gradients. */
#include "elab.h"

static Val run_collect(Elab *e, const Builtin *self, const BuiltinCall *c) {
    ParamMap *m = arena_new(e->arena, ParamMap);
    if (!elab_collect(e, c->nodes[0] ? c->nodes[0]->span : c->at, c->args[0], (VarKind)self->detail, m)) return POISON;
    return (Val){.kind = VAL_MAP, .map = m};
}

static Val run_clone(Elab *e, const Builtin *self, const BuiltinCall *c) {
    (void)self;
    if (c->args[0].kind != VAL_LAYER)
        return elab_fail(e, DL0302, c->at, "clone takes a layer, not %s", val_text(e, c->args[0]));
    return elab_clone(e, c->at, c->args[0].layer);
}

static Val run_grad(Elab *e, const Builtin *self, const BuiltinCall *c) {
    (void)self;
    if (!e->build) return elab_fail(e, DL0308, c->at, "a gradient is computed in a function");
    return elab_grad(e, c);
}

const Builtin builtin_models[] = {
    {"params", "layer", run_collect, VAR_PARAM},
    {"states", "layer", run_collect, VAR_STATE},
    {"caches", "layer", run_collect, VAR_CACHE},
    {"clone", "layer", run_clone, 0},
    {"grad", "loss wrt", run_grad, 0},
    {NULL, NULL, NULL, 0},
};
