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

static void split_expr(const Contraction *c, IndexExpr *e, int axis, int64_t by) {
    for (int a = c->axes; a > axis + 1; a--) e->coeff[a] = e->coeff[a - 1];
    e->coeff[axis + 1] = e->coeff[axis];
    e->coeff[axis] = dim_mul(c->dims, e->coeff[axis], dim_const(c->dims, by));
}

static void split_point(const Contraction *c, IndexPoint *p, int axis, int64_t by) {
    for (int d = 0; d < p->rank; d++) split_expr(c, &p->at[d], axis, by);
    for (int i = 0; i < p->guard_count; i++) split_expr(c, &p->guards[i].expr, axis, by);
    p->axes = c->axes + 1;
}

void contraction_split(Contraction *c, int axis, int64_t by) {
    IndexPoint *points[] = {&c->lhs, &c->rhs, &c->result};
    for (int i = 0; i < 3; i++) split_point(c, points[i], axis, by);
    for (int a = c->axes; a > axis + 1; a--) {
        c->part[a] = c->part[a - 1];
        c->extent[a] = c->extent[a - 1];
    }
    c->part[axis + 1] = c->part[axis];
    c->extent[axis + 1] = dim_const(c->dims, by);
    c->extent[axis] = dim_div(c->dims, c->extent[axis], by);
    c->axes++;
}
