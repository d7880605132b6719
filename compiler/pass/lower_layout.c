/* Layouts: where values lie in buffers. See lower.h. */
#include "pass/lower.h"

int plan_add_buf(Lowering *l, PlanBuf b) {
    vec_push(l->arena, &l->plan->bufs, b);
    return l->plan->bufs.n - 1;
}

PlanBuf buf_for(Lowering *l, BufPlace place, Type t, const char *name) {
    Dim elements = type_elements(&l->m->dims, t);
    return (PlanBuf){.place = place,
                     .dtype = t.dtype,
                     .elements = elements,
                     .name = name ? name : "",
                     .bytes = elements->upper * dtype_bytes(t.dtype),
                     .alias = -1};
}

void row_major(DimTable *dims, Type t, Dim *strides) {
    Dim s = dim_const(dims, 1);
    for (int d = t.rank - 1; d >= 0; d--) {
        strides[d] = s;
        s = dim_mul(dims, s, t.shape[d]);
    }
}

Layout whole_buf(Lowering *l, int buf, Type t) {
    DimTable *dims = &l->m->dims;
    const PlanBuf *b = &l->plan->bufs.at[buf];
    int64_t pieces = b->place == PLACE_VAR ? b->var->split : 0;
    Dim s = dim_const(dims, 1), *strides = arena_array(l->scratch, Dim, t.rank + 1);
    for (int i = t.rank - 1; i >= 0; i--) {
        int d = b->place == PLACE_VAR ? b->var->order[i] : i;
        strides[d] = s;
        s = dim_mul(dims, s, pieces && i == t.rank - 1 ? dim_const(dims, pieces) : t.shape[d]);
    }
    Layout at = {.buf = buf, .offset = dim_const(dims, 0), .strides = strides, .pieces = pieces, .piece_stride = s};
    if (pieces) at.split_dim = b->var->order[t.rank - 1];
    return at;
}

Layout new_layout(Lowering *l, Type t, const char *name) {
    return whole_buf(l, plan_add_buf(l, buf_for(l, PLACE_ARENA, t, name)), t);
}

/* Strides of dims of extent 1 do not matter. */
static bool same_strides(const Dim *a, const Dim *b, Type t) {
    for (int d = 0; d < t.rank; d++)
        if (a[d] != b[d] && !dim_is(t.shape[d], 1)) return false;
    return true;
}

bool same_layout(const Layout *a, const Layout *b, Type t) {
    if (a->scalar || b->scalar) return a->scalar == b->scalar;
    if (a->pieces != b->pieces || (a->pieces && a->split_dim != b->split_dim)) return false;
    return a->buf == b->buf && a->offset == b->offset && same_strides(a->strides, b->strides, t);
}

bool is_compact(Lowering *l, const Layout *a, Type t) {
    Dim strides[MAX_RANK];
    row_major(&l->m->dims, t, strides);
    return !a->scalar && !a->pieces && same_strides(a->strides, strides, t);
}

Layout slice_of(Lowering *l, const Layout *whole, int rank, int axis, Dim index) {
    DimTable *dims = &l->m->dims;
    Layout part = {.buf = whole->buf,
                   .offset = dim_add(dims, whole->offset, dim_mul(dims, index, whole->strides[axis]))};
    Dim *strides = arena_array(l->scratch, Dim, rank);
    for (int d = 0, n = 0; d < rank; d++)
        if (d != axis) strides[n++] = whole->strides[d];
    part.strides = strides;
    return part;
}
