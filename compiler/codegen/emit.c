/* Emit: see emit.h.
 *
 * Loops are built bottom-tested behind a guard, the form LLVM's loop passes want, so that the short pass
 * pipeline needs no rotation. Address arithmetic never wraps (dims are bounded by DIM_HUGE), hence "nsw".
 * Masked memory operations are LLVM's intrinsics; on a target that lacks the instructions its code
 * generator takes them apart lane by lane: right, but slow, so loop nests avoid them there. */
#include "codegen/emit.h"

#include "dlrt.h"

#include <stdio.h>
#include <string.h>

/* ------------------------------------------------------------------------- types */

LLVMTypeRef emit_type(const Emit *e, DType t) { return t == DTYPE_BOOL ? e->i1 : emit_memory_type(e, t); }

LLVMTypeRef emit_memory_type(const Emit *e, DType t) {
    switch (t) {
    case DTYPE_F64: return e->f64;
    case DTYPE_F32: return e->f32;
    case DTYPE_F16:
    case DTYPE_BF16: return e->i16;
    case DTYPE_I64: return e->i64;
    case DTYPE_I32: return e->i32;
    case DTYPE_I8:
    case DTYPE_U8:
    case DTYPE_BOOL:
    case DTYPE_COUNT: break;
    }
    return e->i8;
}

LLVMTypeRef emit_vector(const Emit *e, LLVMTypeRef element, int lanes) {
    (void)e;
    return lanes == 1 ? element : LLVMVectorType(element, (unsigned)lanes);
}

/* --------------------------------------------------------------------- constants */

LLVMValueRef emit_i64(const Emit *e, int64_t value) { return LLVMConstInt(e->i64, (unsigned long long)value, true); }
LLVMValueRef emit_i32(const Emit *e, int32_t value) { return LLVMConstInt(e->i32, (unsigned long long)value, true); }

enum { MOST_LANES = 128 };

static LLVMValueRef constant_splat(LLVMValueRef x, int lanes) {
    LLVMValueRef all[MOST_LANES];
    if (lanes == 1) return x;
    for (int i = 0; i < lanes; i++) all[i] = x;
    return LLVMConstVector(all, (unsigned)lanes);
}

/* The integer nearest to x; the ends of i64 stand for what lies beyond. */
static int64_t whole(double x) {
    if (x >= 0x1p63) return INT64_MAX;
    if (x < -0x1p63) return INT64_MIN;
    return (int64_t)x;
}

LLVMValueRef emit_const(const Emit *e, DType t, int lanes, double value) {
    LLVMTypeRef type = emit_type(e, t);
    LLVMValueRef x;
    if (t == DTYPE_F16 || t == DTYPE_BF16)
        x = LLVMConstBitCast(LLVMConstReal(t == DTYPE_F16 ? e->f16 : e->bf16, value), type);
    else if (dtype_is_float(t)) x = LLVMConstReal(type, value);
    else if (t == DTYPE_BOOL) x = LLVMConstInt(type, value != 0, false);
    else x = LLVMConstInt(type, (unsigned long long)whole(value), true);
    return constant_splat(x, lanes);
}

/* <0, 1, 2, ...> of an integer type. */
static LLVMValueRef lane_numbers(LLVMTypeRef type, int lanes) {
    LLVMValueRef all[MOST_LANES];
    for (int i = 0; i < lanes; i++) all[i] = LLVMConstInt(type, (unsigned)i, false);
    return lanes == 1 ? all[0] : LLVMConstVector(all, (unsigned)lanes);
}

LLVMValueRef emit_lane_numbers(const Emit *e, int lanes) { return lane_numbers(e->i64, lanes); }

LLVMValueRef emit_splat(Emit *e, LLVMValueRef x, int lanes) {
    if (lanes == 1) return x;
    if (LLVMIsConstant(x)) return constant_splat(x, lanes);
    LLVMTypeRef vector = LLVMVectorType(LLVMTypeOf(x), (unsigned)lanes);
    LLVMValueRef none = LLVMGetPoison(vector);
    LLVMValueRef first = LLVMBuildInsertElement(e->at, none, x, emit_i64(e, 0), "");
    return LLVMBuildShuffleVector(e->at, first, none, constant_splat(emit_i32(e, 0), lanes), "");
}

/* -------------------------------------------------------------------- arithmetic */

static bool is_int(LLVMValueRef x, int64_t value) {
    return LLVMIsAConstantInt(x) && LLVMConstIntGetSExtValue(x) == value;
}

LLVMValueRef emit_add(Emit *e, LLVMValueRef a, LLVMValueRef b) {
    if (is_int(a, 0)) return b;
    if (is_int(b, 0)) return a;
    return LLVMBuildNSWAdd(e->at, a, b, "");
}

LLVMValueRef emit_mul(Emit *e, LLVMValueRef a, LLVMValueRef b) {
    if (is_int(a, 1) || is_int(b, 0)) return b;
    if (is_int(b, 1) || is_int(a, 0)) return a;
    return LLVMBuildNSWMul(e->at, a, b, "");
}

LLVMValueRef emit_min(Emit *e, LLVMValueRef a, LLVMValueRef b) {
    if (a == b) return a;
    return LLVMBuildSelect(e->at, LLVMBuildICmp(e->at, LLVMIntSLT, a, b, ""), a, b, "");
}

LLVMValueRef emit_max(Emit *e, LLVMValueRef a, LLVMValueRef b) {
    if (a == b) return a;
    return LLVMBuildSelect(e->at, LLVMBuildICmp(e->at, LLVMIntSGT, a, b, ""), a, b, "");
}

LLVMValueRef emit_intrinsic(Emit *e, const char *name, LLVMTypeRef *overload, int overloads, LLVMValueRef *args,
                            int n) {
    unsigned id = LLVMLookupIntrinsicID(name, strlen(name));
    LLVMValueRef callee = LLVMGetIntrinsicDeclaration(e->module, id, overload, (size_t)overloads);
    LLVMTypeRef type = LLVMIntrinsicGetType(e->context, id, overload, (size_t)overloads);
    return LLVMBuildCall2(e->at, type, callee, args, (unsigned)n, "");
}

LLVMValueRef emit_fma(Emit *e, LLVMValueRef a, LLVMValueRef b, LLVMValueRef c) {
    /* Without the instruction llvm.fma becomes a library call for each lane. */
    if (!(e->target->cpu_features & (DLRT_CPU_FMA | DLRT_CPU_NEON)))
        return LLVMBuildFAdd(e->at, LLVMBuildFMul(e->at, a, b, ""), c, "");
    LLVMTypeRef type = LLVMTypeOf(a);
    return emit_intrinsic(e, "llvm.fma", &type, 1, (LLVMValueRef[]){a, b, c}, 3);
}

/* ------------------------------------------------------------------------ memory */

LLVMValueRef emit_element_pointer(Emit *e, DType t, LLVMValueRef base, LLVMValueRef index) {
    if (is_int(index, 0)) return base;
    return LLVMBuildGEP2(e->at, emit_memory_type(e, t), base, &index, 1, "");
}

/* Between the forms in memory and in registers: they differ for bool alone. */
static LLVMValueRef from_memory(Emit *e, DType t, LLVMValueRef x) {
    if (t != DTYPE_BOOL) return x;
    return LLVMBuildICmp(e->at, LLVMIntNE, x, LLVMConstNull(LLVMTypeOf(x)), "");
}

static LLVMValueRef to_memory(Emit *e, DType t, int lanes, LLVMValueRef x) {
    return t == DTYPE_BOOL ? LLVMBuildZExt(e->at, x, emit_vector(e, e->i8, lanes), "") : x;
}

static LLVMValueRef alignment(const Emit *e, DType t) { return emit_i32(e, dtype_bytes(t)); }

/* The one lane of a masked scalar access sits behind a branch. */
static LLVMValueRef load_if(Emit *e, DType t, LLVMValueRef pointer, LLVMValueRef condition) {
    LLVMTypeRef type = emit_memory_type(e, t);
    LLVMValueRef result = emit_variable(e, type, "guarded");
    emit_set(e, result, LLVMConstNull(type));
    EmitIf branch = emit_if_begin(e, condition);
    LLVMValueRef x = LLVMBuildLoad2(e->at, type, pointer, "");
    LLVMSetAlignment(x, (unsigned)dtype_bytes(t));
    emit_set(e, result, x);
    emit_if_end(e, &branch);
    return emit_get(e, type, result);
}

LLVMValueRef emit_load(Emit *e, DType t, int lanes, LLVMValueRef pointer, LLVMValueRef mask) {
    LLVMTypeRef type = emit_vector(e, emit_memory_type(e, t), lanes);
    LLVMValueRef x;
    if (mask && lanes == 1) {
        x = load_if(e, t, pointer, mask);
    } else if (mask) {
        LLVMValueRef args[] = {pointer, alignment(e, t), mask, LLVMConstNull(type)};
        x = emit_intrinsic(e, "llvm.masked.load", (LLVMTypeRef[]){type, e->ptr}, 2, args, 4);
    } else {
        x = LLVMBuildLoad2(e->at, type, pointer, "");
        LLVMSetAlignment(x, (unsigned)dtype_bytes(t));
    }
    return from_memory(e, t, x);
}

void emit_store(Emit *e, DType t, int lanes, LLVMValueRef pointer, LLVMValueRef value, LLVMValueRef mask) {
    LLVMTypeRef type = emit_vector(e, emit_memory_type(e, t), lanes);
    LLVMValueRef x = to_memory(e, t, lanes, value);
    if (mask && lanes > 1) {
        LLVMValueRef args[] = {x, pointer, alignment(e, t), mask};
        emit_intrinsic(e, "llvm.masked.store", (LLVMTypeRef[]){type, e->ptr}, 2, args, 4);
        return;
    }
    EmitIf branch;
    if (mask) branch = emit_if_begin(e, mask);
    LLVMSetAlignment(LLVMBuildStore(e->at, x, pointer), (unsigned)dtype_bytes(t));
    if (mask) emit_if_end(e, &branch);
}

/* A vector of pointers to element index[lane]. */
static LLVMValueRef lane_pointers(Emit *e, DType t, LLVMValueRef base, LLVMValueRef index) {
    return LLVMBuildGEP2(e->at, emit_memory_type(e, t), base, &index, 1, "");
}

static LLVMValueRef all_lanes(const Emit *e, int lanes) { return constant_splat(LLVMConstInt(e->i1, 1, false), lanes); }

LLVMValueRef emit_gather(Emit *e, DType t, int lanes, LLVMValueRef base, LLVMValueRef index, LLVMValueRef mask) {
    if (lanes == 1) return emit_load(e, t, 1, emit_element_pointer(e, t, base, index), mask);
    LLVMTypeRef type = emit_vector(e, emit_memory_type(e, t), lanes);
    LLVMTypeRef overload[] = {type, emit_vector(e, e->ptr, lanes)};
    LLVMValueRef args[] = {lane_pointers(e, t, base, index), alignment(e, t), mask ? mask : all_lanes(e, lanes),
                           LLVMConstNull(type)};
    return from_memory(e, t, emit_intrinsic(e, "llvm.masked.gather", overload, 2, args, 4));
}

void emit_scatter(Emit *e, DType t, int lanes, LLVMValueRef base, LLVMValueRef index, LLVMValueRef value,
                  LLVMValueRef mask) {
    if (lanes == 1) {
        emit_store(e, t, 1, emit_element_pointer(e, t, base, index), value, mask);
        return;
    }
    LLVMTypeRef overload[] = {emit_vector(e, emit_memory_type(e, t), lanes), emit_vector(e, e->ptr, lanes)};
    LLVMValueRef args[] = {to_memory(e, t, lanes, value), lane_pointers(e, t, base, index), alignment(e, t),
                           mask ? mask : all_lanes(e, lanes)};
    emit_intrinsic(e, "llvm.masked.scatter", overload, 2, args, 4);
}

LLVMValueRef emit_mask(Emit *e, LLVMValueRef count, int lanes) {
    if (lanes == 1) return LLVMBuildICmp(e->at, LLVMIntSGT, count, emit_i64(e, 0), "");
    /* Compares integers as wide as the lanes of a full vector: that is one instruction. */
    int bits = e->target->vector_bytes * 8 / lanes;
    LLVMTypeRef type = LLVMIntTypeInContext(e->context, bits < 8 ? 8 : bits > 64 ? 64 : (unsigned)bits);
    LLVMValueRef zero = emit_i64(e, 0), positive = LLVMBuildICmp(e->at, LLVMIntSGT, count, zero, "");
    LLVMValueRef n = emit_min(e, LLVMBuildSelect(e->at, positive, count, zero, ""), emit_i64(e, lanes));
    LLVMValueRef narrow = bits < 64 ? LLVMBuildTrunc(e->at, n, type, "") : n;
    return LLVMBuildICmp(e->at, LLVMIntULT, lane_numbers(type, lanes), emit_splat(e, narrow, lanes), "");
}

void emit_prefetch(Emit *e, LLVMValueRef at, int level, bool write) {
    LLVMValueRef args[] = {at, emit_i32(e, write), emit_i32(e, 4 - level), emit_i32(e, 1)};
    emit_intrinsic(e, "llvm.prefetch", &e->ptr, 1, args, 4);
}

/* ------------------------------------------------------------------ control flow */

static LLVMBasicBlockRef add_block(Emit *e, const char *name) {
    return LLVMAppendBasicBlockInContext(e->context, e->function, name);
}

LLVMValueRef emit_variable(Emit *e, LLVMTypeRef type, const char *name) {
    LLVMMetadataRef place = LLVMGetCurrentDebugLocation2(e->at);
    LLVMBasicBlockRef here = LLVMGetInsertBlock(e->at), entry = LLVMGetEntryBasicBlock(e->function);
    LLVMValueRef first = LLVMGetFirstInstruction(entry);
    if (first) LLVMPositionBuilderBefore(e->at, first);
    else LLVMPositionBuilderAtEnd(e->at, entry);
    LLVMValueRef variable = LLVMBuildAlloca(e->at, type, name);
    LLVMPositionBuilderAtEnd(e->at, here);
    LLVMSetCurrentDebugLocation2(e->at, place);
    return variable;
}

EmitLoop emit_loop_begin(Emit *e, LLVMValueRef from, LLVMValueRef until, LLVMValueRef step, const char *name) {
    char end[64];
    snprintf(end, sizeof end, "%.50s.end", name);
    EmitLoop loop = {.until = until, .step = step};
    loop.counter = emit_variable(e, e->i64, name);
    emit_set(e, loop.counter, from);
    loop.body = add_block(e, name);
    loop.end = add_block(e, end);
    LLVMBuildCondBr(e->at, LLVMBuildICmp(e->at, LLVMIntSLT, from, until, ""), loop.body, loop.end);
    LLVMPositionBuilderAtEnd(e->at, loop.body);
    loop.index = emit_get(e, e->i64, loop.counter);
    return loop;
}

void emit_loop_end(Emit *e, EmitLoop *loop) {
    LLVMValueRef next = LLVMBuildNSWAdd(e->at, loop->index, loop->step, "");
    emit_set(e, loop->counter, next);
    LLVMBuildCondBr(e->at, LLVMBuildICmp(e->at, LLVMIntSLT, next, loop->until, ""), loop->body, loop->end);
    LLVMMoveBasicBlockAfter(loop->end, LLVMGetInsertBlock(e->at));
    LLVMPositionBuilderAtEnd(e->at, loop->end);
}

EmitIf emit_if_begin(Emit *e, LLVMValueRef condition) {
    LLVMBasicBlockRef then = add_block(e, "then");
    EmitIf branch = {.otherwise = add_block(e, "else"), .end = add_block(e, "endif")};
    LLVMBuildCondBr(e->at, condition, then, branch.otherwise);
    LLVMPositionBuilderAtEnd(e->at, then);
    return branch;
}

void emit_if_else(Emit *e, EmitIf *branch) {
    LLVMBuildBr(e->at, branch->end);
    LLVMMoveBasicBlockAfter(branch->otherwise, LLVMGetInsertBlock(e->at));
    LLVMPositionBuilderAtEnd(e->at, branch->otherwise);
    branch->has_else = true;
}

void emit_if_end(Emit *e, EmitIf *branch) {
    if (!branch->has_else) emit_if_else(e, branch);
    LLVMBuildBr(e->at, branch->end);
    LLVMMoveBasicBlockAfter(branch->end, LLVMGetInsertBlock(e->at));
    LLVMPositionBuilderAtEnd(e->at, branch->end);
}

/* --------------------------------------------------------------------- functions */

static void add_enum_attribute(Emit *e, LLVMValueRef function, const char *name) {
    unsigned kind = LLVMGetEnumAttributeKindForName(name, strlen(name));
    LLVMAddAttributeAtIndex(function, (LLVMAttributeIndex)LLVMAttributeFunctionIndex,
                            LLVMCreateEnumAttribute(e->context, kind, 0));
}

LLVMValueRef emit_function_begin(Emit *e, const char *name, LLVMTypeRef type, bool internal) {
    char bits[16];
    LLVMValueRef function = LLVMGetNamedFunction(e->module, name);
    if (!function) function = LLVMAddFunction(e->module, name, type);
    if (internal) LLVMSetLinkage(function, LLVMInternalLinkage);
    add_enum_attribute(e, function, "nounwind");
    LLVMAddTargetDependentFunctionAttr(function, "target-cpu", e->target->cpu);
    if (e->target->features[0]) LLVMAddTargetDependentFunctionAttr(function, "target-features", e->target->features);
    /* Some cpu models prefer narrower vectors than they have; the schedule has decided already. */
    snprintf(bits, sizeof bits, "%d", e->target->vector_bytes * 8);
    LLVMAddTargetDependentFunctionAttr(function, "prefer-vector-width", bits);
    LLVMAddTargetDependentFunctionAttr(function, "no-builtins", "true");
    e->function = function;
    LLVMSetCurrentDebugLocation2(e->at, NULL);
    LLVMPositionBuilderAtEnd(e->at, LLVMAppendBasicBlockInContext(e->context, function, "entry"));
    return function;
}

void emit_function_end(Emit *e) { LLVMBuildRetVoid(e->at); }

/* -------------------------------------------------------------------------- dims */

static LLVMValueRef symbol_value(Emit *e, const DimTable *t, int id, const LLVMValueRef *symbols) {
    const DimSymbol *s = t->symbols.at[id];
    if (symbols[id]) return symbols[id];
    /* floor(of / divisor): the quotient towards zero, less one where the remainder is negative. */
    LLVMValueRef of = emit_dim(e, t, s->of, symbols), divisor = emit_i64(e, s->divisor);
    LLVMValueRef quotient = LLVMBuildSDiv(e->at, of, divisor, "");
    LLVMValueRef rest = LLVMBuildSRem(e->at, of, divisor, "");
    LLVMValueRef below = LLVMBuildICmp(e->at, LLVMIntSLT, rest, emit_i64(e, 0), "");
    return LLVMBuildAdd(e->at, quotient, LLVMBuildSExt(e->at, below, e->i64, ""), "");
}

LLVMValueRef emit_dim(Emit *e, const DimTable *t, Dim d, const LLVMValueRef *symbols) {
    LLVMValueRef sum = emit_i64(e, 0);
    for (int i = 0; i < d->term_count; i++) {
        LLVMValueRef product = emit_i64(e, d->terms[i].coeff);
        for (int j = 0; j < d->terms[i].n; j++)
            product = emit_mul(e, product, symbol_value(e, t, d->terms[i].symbols[j], symbols));
        sum = emit_add(e, sum, product);
    }
    return sum;
}
