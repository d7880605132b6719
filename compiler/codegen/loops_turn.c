/* Squares that are turned in registers.
 *
 * Where a value is read along one axis and its result written along another, as in a transposition, one side would be
 * gathered element by element. If as many points as there are lanes are made together along the axis of reading (the tiled
 * axis), a square of elements is loaded along it and turned: then each point has its vector. */
#include "codegen/loops.h"
#include "codegen/contract.h"

/* The square that begins at the group's first point: for each lane a vector along the tiled axis, turned. */
static void load_square(Loops *l, const NodePoint *p, const KNode *n, LLVMValueRef *rows) {
    Emit *e = l->e;
    const KAccess *a = &l->kernel->accesses.at[n->access];
    DType t = l->kernel->bufs.at[a->buf].dtype;
    LLVMValueRef at = emit_dim(e, &e->kernels->dims, a->offset, l->scope->symbols);
    for (int x = 0; x < l->kernel->axes.n; x++)
        if (!dim_is(a->strides[x], 0))
            at = emit_add(e, at, emit_mul(e, emit_dim(e, &e->kernels->dims, a->strides[x], l->scope->symbols), p->index[x]));
    LLVMValueRef stride = emit_dim(e, &e->kernels->dims, a->strides[l->vector], l->scope->symbols);
    for (int i = 0; i < l->lanes; i++) {
        LLVMValueRef row = emit_add(e, at, emit_mul(e, stride, emit_i64(e, i)));
        rows[i] = emit_load(e, t, l->lanes, emit_element_pointer(e, t, l->scope->bufs[a->buf], row), NULL);
    }
    contract_transpose(e, rows, l->lanes);
}

void loops_turn(Loops *l, Group base) {
    const KSchedule *s = &l->kernel->schedule;
    LLVMValueRef rows[64];
    if (!s->tile || base.n != l->lanes || s->tile != l->lanes || base.points[0]->lanes != l->lanes || base.points[0]->mask) return;
    for (int i = 0; i < l->kernel->nodes.n; i++) {
        if (!kernel_turns(l->kernel, i, s->along)) continue;
        load_square(l, base.points[0], &l->kernel->nodes.at[i], rows);
        for (int j = 0; j < base.n; j++) base.points[j]->value[i] = rows[j];
    }
}
