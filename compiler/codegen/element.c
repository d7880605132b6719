/* Element functions: what a MAP computes per element, on vectors of any number of lanes.
 *
 * In: a MapFn, its operands as values of `lanes` lanes. Out: the value. Each function is a row of the
 * table below: an LLVM instruction, an intrinsic that is an instruction on the targets, or a function that
 * emits it. What is computed is elementwise.def's reference expression, NaN and edges included.
 *
 * f16 and bf16 are computed in f32 and rounded. f64 elementary functions are libm's, lane by lane: f64 is
 * for checking gradients and small models, not for speed. */
#include "codegen/element.h"

#include "ir/expression.h"

#include <string.h>

typedef struct ElementRow ElementRow;
typedef LLVMValueRef RowFn(const Calc *c, const ElementRow *row, LLVMValueRef *x);

struct ElementRow {
    RowFn *emit;               /* makes it from the members below; null: not a function of operands alone */
    int real, whole, bytes;    /* opcodes, or predicates; bytes: the predicate of unsigned integers */
    const char *intrinsic;     /* of floats */
    const char *libm;          /* of f64 */
    ElementFn *f32, *any_real, *any_whole;
    bool as_is;                /* takes f16 and bf16 as they are */
};

/* ------------------------------------------------------------------- kinds of rows */

static bool is_real(const Calc *c) { return dtype_is_float(c->t); }
static bool is_unsigned(const Calc *c) { return c->t == DTYPE_U8 || c->t == DTYPE_BOOL; }

static LLVMValueRef by_opcode(const Calc *c, const ElementRow *row, LLVMValueRef *x) {
    return LLVMBuildBinOp(c->e->at, (LLVMOpcode)(is_real(c) ? row->real : row->whole), x[0], x[1], "");
}

static LLVMValueRef by_predicate(const Calc *c, const ElementRow *row, LLVMValueRef *x) {
    if (is_real(c)) return real_compare(c, (LLVMRealPredicate)row->real, x[0], x[1]);
    return LLVMBuildICmp(c->e->at, (LLVMIntPredicate)(is_unsigned(c) ? row->bytes : row->whole), x[0], x[1], "");
}

static LLVMValueRef by_intrinsic(const Calc *c, const ElementRow *row, LLVMValueRef *x) {
    return calc_unary(c, row->intrinsic, x[0]);
}

/* One function for floats, one for integers. */
static LLVMValueRef by_class(const Calc *c, const ElementRow *row, LLVMValueRef *x) {
    return is_real(c) ? row->any_real(c, x) : row->any_whole(c, x);
}

/* A pure function double -> double or double, double -> double of libm. */
static LLVMValueRef libm_function(Emit *e, const char *name, LLVMTypeRef type) {
    static const char *const attributes[] = {"nounwind", "willreturn", "memory"};
    LLVMValueRef f = LLVMGetNamedFunction(e->module, name);
    if (f) return f;
    f = LLVMAddFunction(e->module, name, type);
    for (int i = 0; i < 3; i++) {
        unsigned kind = LLVMGetEnumAttributeKindForName(attributes[i], strlen(attributes[i]));
        LLVMAddAttributeAtIndex(f, (LLVMAttributeIndex)LLVMAttributeFunctionIndex,
                                LLVMCreateEnumAttribute(e->context, kind, 0));
    }
    return f;
}

/* Calls a libm function of `arity` operands for each lane of f64. */
static LLVMValueRef call_lanes(const Calc *c, const char *name, LLVMValueRef *x, int arity) {
    Emit *e = c->e;
    LLVMTypeRef type = LLVMFunctionType(e->f64, (LLVMTypeRef[]){e->f64, e->f64}, (unsigned)arity, false);
    LLVMValueRef f = libm_function(e, name, type), result = LLVMGetPoison(calc_type(c));
    if (c->lanes == 1) return LLVMBuildCall2(e->at, type, f, x, (unsigned)arity, "");
    for (int lane = 0; lane < c->lanes; lane++) {
        LLVMValueRef at = emit_i64(e, lane), args[2];
        for (int i = 0; i < arity; i++) args[i] = LLVMBuildExtractElement(e->at, x[i], at, "");
        LLVMValueRef y = LLVMBuildCall2(e->at, type, f, args, (unsigned)arity, "");
        result = LLVMBuildInsertElement(e->at, result, y, at, "");
    }
    return result;
}

static LLVMValueRef elementary(const Calc *c, const ElementRow *row, LLVMValueRef *x) {
    return c->t == DTYPE_F32 ? row->f32(c, x) : call_lanes(c, row->libm, x, 1);
}

/* Of two operands; `any_whole` where there is an integer form. */
static LLVMValueRef elementary2(const Calc *c, const ElementRow *row, LLVMValueRef *x) {
    if (!is_real(c)) return row->any_whole(c, x);
    return c->t == DTYPE_F32 ? row->f32(c, x) : call_lanes(c, row->libm, x, 2);
}

/* ---------------------------------------------------------------------- arithmetic */

static LLVMValueRef divide_real(const Calc *c, LLVMValueRef *x) { return real_div(c, x[0], x[1]); }
static LLVMValueRef negate_real(const Calc *c, LLVMValueRef *x) { return real_neg(c, x[0]); }
static LLVMValueRef negate_int(const Calc *c, LLVMValueRef *x) { return LLVMBuildNeg(c->e->at, x[0], ""); }
static LLVMValueRef abs_real(const Calc *c, LLVMValueRef *x) { return real_abs(c, x[0]); }

/* -1 and 1; -0, 0 and NaN stay. */
static LLVMValueRef sign_real(const Calc *c, LLVMValueRef *x) {
    LLVMValueRef below = calc_choose(c, real_is(c, LLVMRealOLT, x[0], 0), real_const(c, -1), x[0]);
    return calc_choose(c, real_is(c, LLVMRealOGT, x[0], 0), real_const(c, 1), below);
}

static LLVMValueRef sign_int(const Calc *c, LLVMValueRef *x) {
    LLVMTypeRef type = LLVMTypeOf(x[0]);
    LLVMValueRef zero = LLVMConstNull(type), one = emit_const(c->e, c->t, c->lanes, 1);
    if (is_unsigned(c)) return calc_choose(c, LLVMBuildICmp(c->e->at, LLVMIntNE, x[0], zero, ""), one, zero);
    LLVMValueRef least = calc_binary(c, "llvm.smin", x[0], one);
    return calc_binary(c, "llvm.smax", least, LLVMConstAllOnes(type));
}

/* Whether x is a constant none of whose lanes is NaN. */
static bool is_known_number(const Calc *c, LLVMValueRef x) {
    if (!LLVMIsConstant(x)) return false;
    for (int i = 0; i < c->lanes; i++) {
        LLVMValueRef lane = c->lanes == 1 ? x : LLVMGetAggregateElement(x, (unsigned)i);
        LLVMBool lossy;
        if (!lane || !LLVMIsAConstantFP(lane)) return false;
        double value = LLVMConstRealGetDouble(lane, &lossy);
        if (value != value) return false;
    }
    return true;
}

/* The operand that `better` prefers; NaN if either is. x86's max and min take their second operand if one
 * is NaN, so a known number is put first and nothing more is needed. */
static LLVMValueRef extreme_real(const Calc *c, LLVMRealPredicate better, LLVMValueRef x, LLVMValueRef y) {
    if (is_known_number(c, y)) return calc_choose(c, real_compare(c, better, y, x), y, x);
    LLVMValueRef r = calc_choose(c, real_compare(c, better, x, y), x, y);
    if (is_known_number(c, x)) return r;
    return calc_choose(c, real_compare(c, LLVMRealUNO, x, x), x, r);
}

static LLVMValueRef extreme(const Calc *c, bool largest, LLVMValueRef x, LLVMValueRef y) {
    static const char *const name[2][2] = {{"llvm.smin", "llvm.umin"}, {"llvm.smax", "llvm.umax"}};
    if (is_real(c)) return extreme_real(c, largest ? LLVMRealOGT : LLVMRealOLT, x, y);
    return calc_binary(c, name[largest][is_unsigned(c)], x, y);
}

static LLVMValueRef maximum(const Calc *c, LLVMValueRef *x) { return extreme(c, true, x[0], x[1]); }
static LLVMValueRef minimum(const Calc *c, LLVMValueRef *x) { return extreme(c, false, x[0], x[1]); }

/* 1 / sqrt(x). Of f32 the two roundings are taken back by a step of Newton's method: y + y/2 (1 - x y y), the
 * residual exact but for its own rounding. At 0 and infinity it is NaN, and y is right as it is. */
static LLVMValueRef rsqrt_real(const Calc *c, LLVMValueRef *x) {
    LLVMValueRef one = real_const(c, 1), y = real_div(c, one, calc_unary(c, "llvm.sqrt", x[0]));
    if (c->t != DTYPE_F32) return y;
    LLVMValueRef high = real_mul(c, x[0], y), low = real_fused(c, x[0], y, real_neg(c, high));
    LLVMValueRef minus = real_neg(c, y);
    LLVMValueRef rest = real_fma(c, minus, low, real_fused(c, minus, high, one));
    LLVMValueRef better = real_fused(c, real_mul(c, y, real_const(c, 0.5)), rest, y);
    return calc_choose(c, real_compare(c, LLVMRealORD, rest, rest), better, y);
}

static LLVMValueRef logistic(const Calc *c, const ElementRow *row, LLVMValueRef *x) {
    if (c->t == DTYPE_F32) return row->f32(c, x);
    LLVMValueRef minus = real_neg(c, x[0]), one = real_const(c, 1);
    return real_div(c, one, real_add(c, one, call_lanes(c, row->libm, &minus, 1)));
}

static LLVMValueRef flip(const Calc *c, LLVMValueRef *x) { return LLVMBuildNot(c->e->at, x[0], ""); }
static LLVMValueRef choose(const Calc *c, LLVMValueRef *x) { return calc_choose(c, x[0], x[1], x[2]); }
static LLVMValueRef identity(const Calc *c, LLVMValueRef *x) {
    (void)c;
    return x[0];
}

/* ------------------------------------------------------------------------- composed */

/* An expression under construction; operands are kept one after the other, as in ops/elementwise.c. */
typedef struct Composer {
    const Calc *c;
    LLVMValueRef kept[16];
    int n;
} Composer;

static void keep(Composer *k, LLVMValueRef v) { k->kept[k->n++] = v; }

static bool is_truth(const Calc *c, LLVMValueRef v) { return LLVMTypeOf(v) == emit_vector(c->e, c->e->i1, c->lanes); }

/* f of the `count - 1` operands kept last and v. */
static LLVMValueRef compose(Composer *k, MapFn f, int count, LLVMValueRef v) {
    const Calc *c = k->c;
    keep(k, v);
    k->n -= count;
    DType t = is_truth(c, v) ? DTYPE_BOOL : c->t;
    return emit_element(c->e, f, k->kept + k->n, t, op_of_map(f)->flags & OP_PREDICATE ? DTYPE_BOOL : t, c->lanes, 0, 0);
}

#define MAP1(f, p) compose(&k, MAP_##f, 1, p)
#define MAP2(f, p, q) (keep(&k, p), compose(&k, MAP_##f, 2, q))
#define SELECT(c, p, q) (keep(&k, c), keep(&k, p), compose(&k, MAP_select, 3, q))
#define LIKE(p, number) emit_const(k.c->e, k.c->t, k.c->lanes, number)

#define ELEMENTWISE(...)
#define COMPOSED(name, arity, rule, types, flags, reference, code, ...)                                                \
    static LLVMValueRef composed_##name(const Calc *c, LLVMValueRef *v) {                                              \
        Composer k = {.c = c};                                                                                         \
        LLVMValueRef x = v[0], y = arity > 1 ? v[1] : NULL, z = arity > 2 ? v[2] : NULL;                               \
        (void)y, (void)z;                                                                                              \
        return code;                                                                                                   \
    }
#include "ir/elementwise.def"
#undef ELEMENTWISE

/* ----------------------------------------------------------------------- the table */

#define OPCODE(real_, whole_) {.emit = by_opcode, .real = (real_), .whole = (whole_)}
#define PREDICATE(real_, whole_, bytes_) {.emit = by_predicate, .real = (real_), .whole = (whole_), .bytes = (bytes_)}
#define INTRINSIC(name) {.emit = by_intrinsic, .intrinsic = (name)}
#define CLASSES(real_, whole_) {.emit = by_class, .any_real = (real_), .any_whole = (whole_)}
#define SAME(f) CLASSES(f, f)
#define ELEMENTARY(f) {.emit = elementary, .f32 = element_##f##_f32, .libm = #f}

static const ElementRow rows[MAP_COUNT] = {
#define ELEMENTWISE(...)
#define COMPOSED(name, ...) [MAP_##name] = SAME(composed_##name),
#include "ir/elementwise.def"
#undef ELEMENTWISE
    [MAP_add] = OPCODE(LLVMFAdd, LLVMAdd),
    [MAP_subtract] = OPCODE(LLVMFSub, LLVMSub),
    [MAP_multiply] = OPCODE(LLVMFMul, LLVMMul),
    [MAP_divide] = CLASSES(divide_real, element_divide_int),
    [MAP_remainder] = {.emit = elementary2, .f32 = element_remainder_f32, .libm = "fmod",
                       .any_whole = element_remainder_int},
    [MAP_power] = {.emit = elementary2, .f32 = element_power_f32, .libm = "pow"},
    [MAP_negate] = CLASSES(negate_real, negate_int),
    [MAP_abs] = CLASSES(abs_real, element_abs_int),
    [MAP_sign] = CLASSES(sign_real, sign_int),
    [MAP_maximum] = SAME(maximum),
    [MAP_minimum] = SAME(minimum),
    [MAP_exp] = ELEMENTARY(exp),
    [MAP_expm1] = ELEMENTARY(expm1),
    [MAP_log] = ELEMENTARY(log),
    [MAP_log2] = ELEMENTARY(log2),
    [MAP_log1p] = ELEMENTARY(log1p),
    [MAP_sqrt] = INTRINSIC("llvm.sqrt"),
    [MAP_rsqrt] = {.emit = by_class, .any_real = rsqrt_real},
    [MAP_sin] = ELEMENTARY(sin),
    [MAP_cos] = ELEMENTARY(cos),
    [MAP_tan] = ELEMENTARY(tan),
    [MAP_atan2] = {.emit = elementary2, .f32 = element_atan2_f32, .libm = "atan2"},
    [MAP_tanh] = ELEMENTARY(tanh),
    [MAP_erf] = ELEMENTARY(erf),
    [MAP_logistic] = {.emit = logistic, .f32 = element_logistic_f32, .libm = "exp"},
    [MAP_floor] = INTRINSIC("llvm.floor"),
    [MAP_ceil] = INTRINSIC("llvm.ceil"),
    [MAP_round_nearest_even] = INTRINSIC("llvm.rint"),
    [MAP_equal] = PREDICATE(LLVMRealOEQ, LLVMIntEQ, LLVMIntEQ),
    [MAP_not_equal] = PREDICATE(LLVMRealUNE, LLVMIntNE, LLVMIntNE),
    [MAP_less] = PREDICATE(LLVMRealOLT, LLVMIntSLT, LLVMIntULT),
    [MAP_less_equal] = PREDICATE(LLVMRealOLE, LLVMIntSLE, LLVMIntULE),
    [MAP_greater] = PREDICATE(LLVMRealOGT, LLVMIntSGT, LLVMIntUGT),
    [MAP_greater_equal] = PREDICATE(LLVMRealOGE, LLVMIntSGE, LLVMIntUGE),
    [MAP_and] = OPCODE(0, LLVMAnd),
    [MAP_or] = OPCODE(0, LLVMOr),
    [MAP_xor] = OPCODE(0, LLVMXor),
    [MAP_not] = {.emit = by_class, .any_whole = flip},
    [MAP_shift_left] = {.emit = by_class, .any_whole = element_shift_left},
    [MAP_shift_right_logical] = {.emit = by_class, .any_whole = element_shift_right},
    [MAP_select] = {.emit = by_class, .any_real = choose, .any_whole = choose, .as_is = true},
    [MAP_stop_gradient] = {.emit = by_class, .any_real = identity, .any_whole = identity, .as_is = true},
};

LLVMValueRef emit_element(Emit *e, MapFn f, LLVMValueRef *args, DType t, DType to, int lanes, uint64_t site, int word) {
    enum { MOST_ARGS = 3 };
    const Calc c = {e, t, lanes};
    const ElementRow *row = &rows[f];
    if (f == MAP_convert) return element_convert(&c, to, args[0]);
    if (f == MAP_random_bits) return element_random_bits(&c, args, site, word);
    if (!row->emit) return NULL;
    if (row->as_is || (t != DTYPE_F16 && t != DTYPE_BF16)) return row->emit(&c, row, args);
    const Calc wide = {e, DTYPE_F32, lanes};
    LLVMValueRef widened[MOST_ARGS];
    for (int i = 0; i < op_of_map(f)->max_operands; i++) widened[i] = element_convert(&c, DTYPE_F32, args[i]);
    LLVMValueRef r = row->emit(&wide, row, widened);
    return to == DTYPE_BOOL ? r : element_convert(&wide, to, r);
}

/* Lanes first .. first + count - 1 of v; a scalar if that is one. */
static LLVMValueRef half_lanes(Emit *e, LLVMValueRef v, int first, int count) {
    enum { MOST_LANES = 64 };
    LLVMValueRef from[MOST_LANES];
    if (count == 1) return LLVMBuildExtractElement(e->at, v, emit_i64(e, first), "");
    for (int i = 0; i < count; i++) from[i] = emit_i32(e, first + i);
    LLVMValueRef none = LLVMGetPoison(LLVMTypeOf(v));
    return LLVMBuildShuffleVector(e->at, v, none, LLVMConstVector(from, (unsigned)count), "");
}

/* Halves the vector until one lane is left: lane i with lane i + half, in every step. */
LLVMValueRef emit_combine_lanes(Emit *e, MapFn f, DType t, int lanes, LLVMValueRef v) {
    while (lanes > 1) {
        lanes /= 2;
        LLVMValueRef pair[] = {half_lanes(e, v, 0, lanes), half_lanes(e, v, lanes, lanes)};
        v = emit_element(e, f, pair, t, t, lanes, 0, 0);
    }
    return v;
}
