/* Few rows against a matrix whose terms are neighbours in memory and whose columns are not.
 *
 * A panel would cost more than it gives: each of its elements is used for few rows. So a tile has one vector of columns, and
 * as many terms of each of them as a vector has lanes are read and turned in registers; then they are added up in the order
 * of a panel's. */
#include "codegen/contract.h"
#include "ir/kernel_util.h"

/* Each square asks for as many lines of the columns of the next tile, in the order of memory: sixteen places that move
 * along together are no stream to the processor. With each load one, which was measured to be better than all before. */
static void ask_for_next(Emit *e, const Contract *c, LLVMValueRef b_at, LLVMValueRef index, int number) {
    LLVMValueRef next = emit_mul(e, emit_add(e, contract_stride(e, c, c->b, c->n), index), emit_i64(e, c->lanes));
    LLVMValueRef line = emit_add(e, next, emit_i64(e, (int64_t)number * c->lanes));
    emit_prefetch(e, emit_element_pointer(e, c->b_type, b_at, line), 1, false);
}

/* Terms index .. index+lanes-1 of the tile's columns, turned: rows[i] is term i of each. Columns beyond the last are read
 * where that lies; nothing is stored of them. */
static void load_turned(Emit *e, const Contract *c, const Tile *t, LLVMValueRef b_at, LLVMValueRef index,
                        LLVMValueRef mask, LLVMValueRef *rows) {
    LLVMValueRef stride = contract_stride(e, c, c->b, c->n);
    LLVMValueRef most = LLVMBuildSub(e->at, LLVMBuildSub(e->at, c->n_until, t->column, ""), emit_i64(e, 1), "");
    for (int i = 0; i < c->lanes; i++) {
        LLVMValueRef column = t->mask ? emit_min(e, emit_i64(e, i), most) : emit_i64(e, i);
        LLVMValueRef at = emit_add(e, emit_mul(e, column, stride), index);
        if (!mask) ask_for_next(e, c, b_at, index, i);
        rows[i] = emit_load(e, c->b_type, c->lanes, emit_element_pointer(e, c->b_type, b_at, at), mask);
    }
    contract_transpose(e, rows, c->lanes);
}

void contract_turned_run(Emit *e, const Contract *c, const Tile *t, LLVMValueRef a_at, LLVMValueRef b_at,
                         LLVMValueRef from, LLVMValueRef until) {
    LLVMValueRef rows[64], whole = LLVMBuildSub(e->at, until, emit_i64(e, c->lanes - 1), "");
    EmitLoop squares = emit_loop_begin(e, from, whole, emit_i64(e, c->lanes), "k");
    load_turned(e, c, t, b_at, squares.index, NULL, rows);
    for (int i = 0; i < c->lanes; i++) {
        LLVMValueRef term = emit_add(e, squares.index, emit_i64(e, i));
        contract_products(e, c, t, contract_a_term(e, c, a_at, kernel_last_axis(c->k, AXIS_K), term), &rows[i]);
    }
    emit_loop_end(e, &squares);
    LLVMValueRef first = emit_get(e, e->i64, squares.counter), left = LLVMBuildSub(e->at, until, first, "");
    EmitIf some = emit_if_begin(e, LLVMBuildICmp(e->at, LLVMIntSGT, left, emit_i64(e, 0), ""));
    load_turned(e, c, t, b_at, first, emit_mask(e, left, c->lanes), rows);
    for (int i = 0; i < c->lanes - 1; i++) {
        LLVMValueRef term = emit_add(e, first, emit_i64(e, i));
        EmitIf counts = emit_if_begin(e, LLVMBuildICmp(e->at, LLVMIntSLT, term, until, ""));
        contract_products(e, c, t, contract_a_term(e, c, a_at, kernel_last_axis(c->k, AXIS_K), term), &rows[i]);
        emit_if_end(e, &counts);
    }
    emit_if_end(e, &some);
}
