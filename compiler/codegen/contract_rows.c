/* Rows of A found through pointers, and terms that are skipped.
 *
 * The rows of a tile of a convolution are places of an image, one after the other: their windows lie at no constant
 * distance, where a line of the image ends, and beyond its borders there is nothing. So each row of the tile has a
 * pointer, and where not all lie inside the image, those outside point to zeros. Along the features of the place all rows
 * are read in step. A tile that is a part of a line lies inside as a whole at most places of the kernel, and at others as
 * a whole outside, or but for its first or last row: then there is nothing to add up for these. (Related: M. Dukhan, The Indirect Convolution Algorithm, 2019; here the pointers are
 * worked out in registers instead of being kept in memory.)
 *
 * Where a guard is the same for all of a tile - a kernel's gradient, whose rows are features, at the borders of the
 * image; the phases of a spread input - the terms that it rules out are skipped. */
#include "codegen/contract.h"
#include "ir/kernel_util.h"

#include <string.h>

static LLVMValueRef extent_of(Emit *e, const Contract *c, int axis) {
    LLVMValueRef extent = emit_dim(e, &e->kernels->dims, c->k->axes.at[axis].extent, c->scope->symbols);
    if (c->k->axes.at[axis].extent->lower > 0) return extent;
    LLVMValueRef one = emit_i64(e, 1);
    return LLVMBuildSelect(e->at, LLVMBuildICmp(e->at, LLVMIntSLT, extent, one, ""), one, extent, "");
}

/* The indices along the tiled M axes of the row with this number. */
static void divide_row(Emit *e, const Contract *c, LLVMValueRef row, LLVMValueRef *digits) {
    for (int a = c->m; a > c->m_first; a--) {
        LLVMValueRef extent = extent_of(e, c, a);
        digits[a] = LLVMBuildURem(e->at, row, extent, "");
        row = LLVMBuildUDiv(e->at, row, extent, "");
    }
    digits[c->m_first] = row;
}

/* Those of the row after it. */
static void next_row(Emit *e, const Contract *c, LLVMValueRef *const before, LLVMValueRef *digits) {
    LLVMValueRef carry = emit_i64(e, 1);
    for (int a = c->m; a > c->m_first; a--) {
        LLVMValueRef next = emit_add(e, before[a], carry);
        LLVMValueRef wraps = LLVMBuildICmp(e->at, LLVMIntEQ, next, extent_of(e, c, a), "");
        digits[a] = LLVMBuildSelect(e->at, wraps, emit_i64(e, 0), next, "");
        carry = LLVMBuildZExt(e->at, wraps, e->i64, "");
    }
    digits[c->m_first] = emit_add(e, before[c->m_first], carry);
}

/* Whether no tile of this height goes beyond the end of a line, the last tiled axis. */
static bool lies_in_line(const Contract *c, const Tile *t) {
    const KSchedule *s = &c->k->schedule;
    Dim line = c->k->axes.at[c->m].extent;
    return t->rows == s->mr && s->mc % s->mr == 0 && dim_is_const(line) && dim_value(line) % s->mr == 0;
}

void contract_begin_rows(Emit *e, Contract *c, Tile *t) {
    size_t bytes = sizeof(LLVMValueRef) * (size_t)c->k->axes.n;
    LLVMValueRef *index = c->index;
    bool one_line = lies_in_line(c, t);
    for (int r = 0; r < t->rows; r++) {
        t->digits[r] = arena_array(e->arena, LLVMValueRef, c->k->axes.n);
        memcpy(t->digits[r], r && one_line ? t->digits[0] : index, bytes);
        if (r && one_line) t->digits[r][c->m] = emit_add(e, t->digits[0][c->m], emit_i64(e, r));
        else if (r) next_row(e, c, t->digits[r - 1], t->digits[r]);
        else divide_row(e, c, t->row, t->digits[0]);
        c->index = t->digits[r];
        t->base[r] = t->from[r] =
            emit_element_pointer(e, c->a_type, c->scope->bufs[c->a->buf], contract_offset(e, c, c->a, AXIS_K));
    }
    c->index = index;
}

static LLVMValueRef guard_value(Emit *e, const Contract *c, int guard, const LLVMValueRef *digits) {
    NodePoint *p = emit_point(e, c->scope);
    for (int a = 0; a < c->k->axes.n; a++)
        p->index[a] = digits && a >= c->m_first && a <= c->m ? digits[a] : c->index[a];
    p->lanes = 1;
    p->vector_axis = -1;
    return emit_node(e, p, guard);
}

LLVMValueRef contract_rows_inside(Emit *e, const Contract *c, const Tile *t) {
    int guard = c->k->nodes.at[c->k->a].guard;
    LLVMValueRef inside = emit_i64(e, 0);
    for (int r = 0; r < t->rows; r++) {
        LLVMValueRef bit = LLVMBuildZExt(e->at, guard_value(e, c, guard, t->digits[r]), e->i64, "");
        inside = LLVMBuildOr(e->at, inside, LLVMBuildShl(e->at, bit, emit_i64(e, r), ""), "");
    }
    return inside;
}

Tile contract_part_of_rows(const Tile *t, int first, int rows) {
    Tile part = *t;
    part.rows = rows;
    for (int i = 0; i < rows * t->vectors; i++) part.sums[i] = t->sums[first * t->vectors + i];
    for (int r = 0; r < rows; r++) {
        part.base[r] = part.from[r] = t->base[first + r];
        part.digits[r] = t->digits[first + r];
    }
    return part;
}

LLVMValueRef contract_point_rows(Emit *e, const Contract *c, Tile *t, LLVMValueRef offset) {
    if (!c->zeros) return offset;
    int guard = c->k->nodes.at[c->k->a].guard;
    for (int r = 0; r < t->rows; r++) {
        LLVMValueRef there = emit_element_pointer(e, c->a_type, t->base[r], offset);
        t->from[r] = LLVMBuildSelect(e->at, guard_value(e, c, guard, t->digits[r]), there, c->zeros, "");
    }
    return emit_i64(e, 0);
}

/* The last K axis that the guard knows; -1: none. */
static int last_known(const Contract *c, int guard) {
    int last = -1;
    for (int a = 0; a < c->k->axes.n; a++)
        if (c->k->axes.at[a].role == AXIS_K && c->scope->depends[guard] >> a & 1) last = a;
    return last;
}

LLVMValueRef contract_guard(Emit *e, const Contract *c, int axis) {
    LLVMValueRef both = NULL;
    int guards[] = {c->guard_a, c->guard_b};
    for (int i = 0; i < 2; i++) {
        if (guards[i] < 0 || last_known(c, guards[i]) != axis) continue;
        LLVMValueRef holds = guard_value(e, c, guards[i], NULL);
        both = both ? LLVMBuildAnd(e->at, both, holds, "") : holds;
    }
    return both;
}
