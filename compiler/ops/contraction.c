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

double contraction_extent(const Contraction *c, ContractPart part) {
    double n = 1;
    for (int a = 0; a < c->axes; a++)
        if (c->part[a] == part) n *= (double)c->extent[a]->upper;
    return n;
}

bool contraction_is_thin(const Contraction *c) {
    enum { MANY = 16, FEW = 4 };
    double few = contraction_extent(c, PART_BATCH) < MANY ? 1 : FEW;
    return contraction_extent(c, PART_LHS) <= few || contraction_extent(c, PART_RHS) <= few;
}
