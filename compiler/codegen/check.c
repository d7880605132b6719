/* Range check of integers: the run-time check of indices and labels.
 *
 * A vector loop only finds whether anything is wrong, as cheaply as reading the data allows; a scalar loop then
 * finds the first offender. Compared are unsigned numbers, so one comparison covers both ends: a negative
 * index is a huge one, and the limit is cut to the largest positive number of the compared width. */
#include "codegen/plan.h"

#include <stdio.h>

LLVMTypeRef range_check_type(const Emit *e) {
    LLVMTypeRef params[] = {e->ptr, e->i64, e->i64, e->ptr};
    return LLVMFunctionType(e->i64, params, 4, false);
}

typedef struct RangeCheck {
    DType dtype;
    LLVMTypeRef wide;          /* the type compared: i64, or i32 for the narrower ones */
    LLVMValueRef data, count, limit, mask;   /* mask: of bools, or null */
} RangeCheck;

/* Whether elements at .. at+lanes-1 are wrong, lane by lane. */
static LLVMValueRef wrong_at(Emit *e, const RangeCheck *c, LLVMValueRef at, int lanes) {
    LLVMValueRef x = emit_load(e, c->dtype, lanes, emit_element_pointer(e, c->dtype, c->data, at), NULL);
    LLVMTypeRef wide = emit_vector(e, c->wide, lanes);
    if (LLVMTypeOf(x) != wide)
        x = c->dtype == DTYPE_I8 ? LLVMBuildSExt(e->at, x, wide, "") : LLVMBuildZExt(e->at, x, wide, "");
    LLVMValueRef wrong = LLVMBuildICmp(e->at, LLVMIntUGE, x, emit_splat(e, c->limit, lanes), "");
    if (!c->mask) return wrong;
    LLVMValueRef counts = emit_load(e, DTYPE_BOOL, lanes, emit_element_pointer(e, DTYPE_BOOL, c->mask, at), NULL);
    return LLVMBuildAnd(e->at, wrong, counts, "");
}

/* The limit in the compared type: 0 where it is negative, at most the least number with the sign bit. */
static LLVMValueRef clamp_limit(Emit *e, const RangeCheck *c, LLVMValueRef limit) {
    LLVMValueRef zero = emit_i64(e, 0);
    LLVMValueRef positive = LLVMBuildICmp(e->at, LLVMIntSGT, limit, zero, "");
    LLVMValueRef least = LLVMBuildSelect(e->at, positive, limit, zero, "");
    if (c->wide == e->i64) return least;
    return LLVMBuildTrunc(e->at, emit_min(e, least, emit_i64(e, (int64_t)1 << 31)), c->wide, "");
}

/* Returns from the function with the first wrong element, looking one by one from `from`. */
static void find_first(Emit *e, const RangeCheck *c, LLVMValueRef from) {
    EmitLoop loop = emit_loop_begin(e, from, c->count, emit_i64(e, 1), "find");
    LLVMBasicBlockRef found = LLVMAppendBasicBlockInContext(e->context, e->function, "found");
    LLVMBasicBlockRef next = LLVMAppendBasicBlockInContext(e->context, e->function, "next");
    LLVMBuildCondBr(e->at, wrong_at(e, c, loop.index, 1), found, next);
    LLVMPositionBuilderAtEnd(e->at, found);
    LLVMBuildRet(e->at, loop.index);
    LLVMPositionBuilderAtEnd(e->at, next);
    emit_loop_end(e, &loop);
    LLVMBuildRet(e->at, emit_i64(e, -1));
}

/* The elements in full vectors: whether any is wrong, as an i1. */
static LLVMValueRef any_wrong(Emit *e, const RangeCheck *c, LLVMValueRef whole, int lanes) {
    LLVMTypeRef type = emit_vector(e, e->i1, lanes);
    LLVMValueRef wrong = emit_variable(e, type, "wrong");
    emit_set(e, wrong, LLVMConstNull(type));
    EmitLoop loop = emit_loop_begin(e, emit_i64(e, 0), whole, emit_i64(e, lanes), "scan");
    LLVMValueRef now = LLVMBuildOr(e->at, emit_get(e, type, wrong), wrong_at(e, c, loop.index, lanes), "");
    emit_set(e, wrong, now);
    emit_loop_end(e, &loop);
    LLVMValueRef all = emit_get(e, type, wrong);
    return emit_intrinsic(e, "llvm.vector.reduce.or", &type, 1, &all, 1);
}

static void emit_body(Emit *e, RangeCheck *c, LLVMValueRef limit) {
    int lanes = target_lanes(e->target, c->wide == e->i64 ? 8 : 4);
    c->limit = clamp_limit(e, c, limit);
    LLVMValueRef rest = LLVMBuildAnd(e->at, c->count, emit_i64(e, lanes - 1), "");
    LLVMValueRef whole = LLVMBuildSub(e->at, c->count, rest, "");
    LLVMValueRef wrong = any_wrong(e, c, whole, lanes);
    find_first(e, c, LLVMBuildSelect(e->at, wrong, emit_i64(e, 0), whole, ""));
}

LLVMValueRef emit_range_check(Emit *e, DType t, bool masked) {
    char name[32];
    snprintf(name, sizeof name, "check_%s%s", dtype_name(t), masked ? "_where" : "");
    LLVMValueRef made = LLVMGetNamedFunction(e->module, name), caller = e->function;
    if (made) return made;
    LLVMBasicBlockRef here = LLVMGetInsertBlock(e->at);
    LLVMMetadataRef place = LLVMGetCurrentDebugLocation2(e->at);
    LLVMValueRef function = emit_function_begin(e, name, range_check_type(e), true);
    RangeCheck c = {.dtype = t, .wide = t == DTYPE_I64 ? e->i64 : e->i32, .data = LLVMGetParam(function, 0),
                    .count = LLVMGetParam(function, 1), .mask = masked ? LLVMGetParam(function, 3) : NULL};
    emit_body(e, &c, LLVMGetParam(function, 2));
    e->function = caller;
    LLVMPositionBuilderAtEnd(e->at, here);
    LLVMSetCurrentDebugLocation2(e->at, place);
    return function;
}
