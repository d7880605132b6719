/* Contractions: see contraction.h. */
#include "ops/contraction.h"

int contraction_axis(Contraction *c, ContractPart part, Dim extent) {
    c->part[c->axes] = part;
    c->extent[c->axes] = extent;
    return c->axes++;
}

IndexPoint contraction_point(const Contraction *c, int rank) {
    IndexPoint p = {
        .dims = c->dims, .axes = c->axes, .rank = rank, .quotient = c->quotient, .total = c->total, .user = c->user};
    for (int d = 0; d < rank; d++) p.at[d] = index_constant(c->dims, c->axes, dim_const(c->dims, 0));
    return p;
}

void contraction_put(const Contraction *c, IndexPoint *p, int64_t d, int axis, Dim factor) {
    if (!dim_is(c->extent[axis], 1)) p->at[d].coeff[axis] = factor;
}
