/* What a gradient rule sees: see OpInfo.grad. The reverse sweep itself is build_gradients (build.h). */
#ifndef DLCC_OPS_GRAD_H
#define DLCC_OPS_GRAD_H

#include "ops/build.h"

struct GradContext {
    Builder *b;              /* appends the backward pass; its span is the op's own */
    const bool *wants;       /* per operand: whether its gradient will be used; others may stay null */
};

#endif
