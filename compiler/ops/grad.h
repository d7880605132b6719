/* What a gradient rule sees: see OpInfo.grad. The reverse sweep itself is build_gradients (build.h). */
#ifndef DLCC_OPS_GRAD_H
#define DLCC_OPS_GRAD_H

#include "ops/build.h"

struct GradContext {
    Builder *b;              /* appends the backward pass; its span is the op's own */
    const bool *wants;       /* per operand: whether its gradient will be used; others may stay null */
};

/* Appends ops that pull gradients back: dys[i], those of ys[i] (null: none), become dxs[i], those of xs[i] (null where
 * none flows). The xs are parameters, or else what they are computed from must not lead to another one. False after something was reported. */
bool build_pullback(Builder *b, Value *const *ys, Value *const *dys, int n, Value *const *xs, int count, Value **dxs);

#endif
