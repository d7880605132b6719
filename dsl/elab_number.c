/* Arithmetic on compile-time values: integers (64 bits, checked), dims, floats (f64), bools, texts. */
#include "elab.h"

#include <math.h>

/* ---------------------------------------------------------------- integers */

static Val failed(const char **why, const char *text) {
    *why = text;
    return POISON;
}

static const char *const overflow = "the result does not fit 64 bits";

static bool add_fits(int64_t a, int64_t b) { return b >= 0 ? a <= INT64_MAX - b : a >= INT64_MIN - b; }
static bool sub_fits(int64_t a, int64_t b) { return b >= 0 ? a >= INT64_MIN + b : a <= INT64_MAX + b; }

static bool mul_fits(int64_t a, int64_t b) {
    if (a == 0 || b == 0) return true;
    if (a == -1) return b != INT64_MIN;
    if (b == -1) return a != INT64_MIN;
    if ((a > 0) == (b > 0)) return a > 0 ? a <= INT64_MAX / b : a >= INT64_MAX / b;
    return a > 0 ? b >= INT64_MIN / a : a >= INT64_MIN / b;
}

static int64_t floor_mod(int64_t a, int64_t b) {
    int64_t r = a % b;
    return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}

static Val int_power(int64_t a, int64_t b, const char **why) {
    if (b < 0 && a == 0) return failed(why, "it divides by zero");
    if (b < 0) return val_float(pow((double)a, (double)b));
    int64_t r = 1;
    for (; b > 0; b--) {
        if (!mul_fits(r, a)) return failed(why, overflow);
        r *= a;
        if (r == 0 || r == 1) return val_int(a == 0 ? 0 : 1);
        if (r == -1 && a == -1) return val_int((b - 1) % 2 ? 1 : -1);
    }
    return val_int(r);
}

static Val int_binary(BinaryOp op, int64_t a, int64_t b, const char **why) {
    switch (op) {
    case BINARY_ADD: return add_fits(a, b) ? val_int(a + b) : failed(why, overflow);
    case BINARY_SUB: return sub_fits(a, b) ? val_int(a - b) : failed(why, overflow);
    case BINARY_MUL: return mul_fits(a, b) ? val_int(a * b) : failed(why, overflow);
    case BINARY_DIV: case BINARY_MOD:
        if (b == 0) return failed(why, "it divides by zero");
        if (b == -1) return op == BINARY_MOD ? val_int(0) : int_binary(BINARY_SUB, 0, a, why);
        if (op == BINARY_MOD) return val_int(floor_mod(a, b));
        return a % b ? failed(why, "it does not divide exactly") : val_int(a / b);
    case BINARY_POW: return int_power(a, b, why);
    case BINARY_EQ: return val_bool(a == b);
    case BINARY_NE: return val_bool(a != b);
    case BINARY_LT: return val_bool(a < b);
    case BINARY_LE: return val_bool(a <= b);
    case BINARY_GT: return val_bool(a > b);
    case BINARY_GE: return val_bool(a >= b);
    default: return failed(why, NULL);
    }
}

/* -------------------------------------------------------------------- dims */

const char *const number_undecided = "whether it holds depends on run-time dims";

/* Compares by the bounds of the difference. */
static Val dim_compare(BinaryOp op, Dim difference, const char **why) {
    int64_t low = difference->lower, high = difference->upper;
    switch (op) {
    case BINARY_EQ: case BINARY_NE:
        if (low == 0 && high == 0) return val_bool(op == BINARY_EQ);
        if (low > 0 || high < 0) return val_bool(op == BINARY_NE);
        break;
    case BINARY_LT: case BINARY_GE:
        if (high < 0) return val_bool(op == BINARY_LT);
        if (low >= 0) return val_bool(op == BINARY_GE);
        break;
    default:
        if (high <= 0) return val_bool(op == BINARY_LE);
        if (low > 0) return val_bool(op == BINARY_GT);
    }
    return failed(why, number_undecided);
}

static bool divides(Dim d, int64_t by) {
    for (int i = 0; i < d->term_count; i++)
        if (d->terms[i].coeff % by) return false;
    return true;
}

/* a / b where b's one term divides a; null otherwise. */
static Dim divide_term(DimTable *t, const DimTerm *a, const DimTerm *b) {
    if (a->coeff % b->coeff) return NULL;
    Dim product = dim_const(t, a->coeff / b->coeff);
    int next = 0;
    for (int j = 0; j < a->n; j++) {
        if (next < b->n && a->symbols[j] == b->symbols[next]) next++;
        else product = dim_mul(t, product, dim_of_symbol(t, t->symbols.at[a->symbols[j]]));
    }
    return next == b->n ? product : NULL;
}

enum { MOST_STEPS = 64 };

/* a / b by long division, the terms with the most factors first; null if something remains. */
static Dim divide_exactly(DimTable *t, Dim a, Dim b) {
    Dim sum = dim_const(t, 0);
    for (int i = 0; i < MOST_STEPS && a->term_count; i++) {
        Dim part = b->term_count ? divide_term(t, &a->terms[0], &b->terms[0]) : NULL;
        if (!part || dim_overflowed(a) || dim_overflowed(part)) return NULL;
        sum = dim_add(t, sum, part);
        a = dim_sub(t, a, dim_mul(t, part, b));
    }
    return a->term_count ? NULL : sum;
}

static Val dim_quotient(DimTable *t, BinaryOp op, Dim a, Dim b, const char **why) {
    bool by_number = dim_is_const(b);
    Dim q = by_number ? NULL : divide_exactly(t, a, b);
    bool exact = by_number ? dim_value(b) > 0 && divides(a, dim_value(b)) : q != NULL;
    if (!exact) return failed(why, op == BINARY_MOD ? number_undecided : "it may not divide exactly");
    if (op == BINARY_MOD) return val_int(0);
    return val_dim(by_number ? dim_div(t, a, dim_value(b)) : q);
}

enum { MAX_DEGREE = 16 };

/* A polynomial as a value, unless it grew beyond what a dim can be. */
static Val dim_result(Dim d, const char **why) {
    bool huge = d->lower <= -DIM_HUGE || d->upper >= DIM_HUGE || (d->term_count && d->terms[0].n > MAX_DEGREE);
    return huge ? failed(why, "the result is too large for a dim") : val_dim(d);
}

static Val dim_binary(Elab *e, BinaryOp op, Dim a, Dim b, const char **why) {
    DimTable *t = &e->module->dims;
    switch (op) {
    case BINARY_ADD: return dim_result(dim_add(t, a, b), why);
    case BINARY_SUB: return dim_result(dim_sub(t, a, b), why);
    case BINARY_MUL: return dim_result(dim_mul(t, a, b), why);
    case BINARY_DIV: case BINARY_MOD: return dim_quotient(t, op, a, b, why);
    case BINARY_EQ: case BINARY_NE: case BINARY_LT: case BINARY_LE: case BINARY_GT: case BINARY_GE:
        return dim_compare(op, dim_sub(t, a, b), why);
    default: return failed(why, NULL);
    }
}

/* ------------------------------------------------------------------ floats */

static double as_float(Val v) { return v.kind == VAL_FLOAT ? v.f : (double)v.i; }

static Val float_binary(BinaryOp op, double a, double b, const char **why) {
    if (op == BINARY_POW && isnan(pow(a, b)) && !isnan(a) && !isnan(b)) return failed(why, "the result is no number");
    switch (op) {
    case BINARY_ADD: return val_float(a + b);
    case BINARY_SUB: return val_float(a - b);
    case BINARY_MUL: return val_float(a * b);
    case BINARY_DIV: return b == 0 ? failed(why, "it divides by zero") : val_float(a / b);
    case BINARY_MOD: return b == 0 ? failed(why, "it divides by zero") : val_float(fmod(a, b));
    case BINARY_POW: return val_float(pow(a, b));
    case BINARY_EQ: return val_bool(a == b);
    case BINARY_NE: return val_bool(a != b);
    case BINARY_LT: return val_bool(a < b);
    case BINARY_LE: return val_bool(a <= b);
    case BINARY_GT: return val_bool(a > b);
    case BINARY_GE: return val_bool(a >= b);
    default: return failed(why, NULL);
    }
}

/* ---------------------------------------------------------------- together */

static bool same_value(Val a, Val b) {
    if (a.kind != b.kind) return false;
    switch (a.kind) {
    case VAL_NONE: return true;
    case VAL_BOOL: return a.i == b.i;
    case VAL_STR: return a.s == b.s;
    case VAL_DTYPE: return a.dtype == b.dtype;
    case VAL_LAYER: return a.layer == b.layer;
    case VAL_VAR: return a.var == b.var;
    case VAL_CLASS: return a.class->decl == b.class->decl;
    default: return false;
    }
}

enum { MAX_TEXT = 1 << 16 };

static Val text_join(Elab *e, const char *a, const char *b, const char **why) {
    if (strlen(a) + strlen(b) > MAX_TEXT) return failed(why, "the text becomes too long");
    return val_str(intern(e->names, arena_printf(e->arena, "%s%s", a, b)));
}

static Val list_join(Elab *e, const Vals *a, const Vals *b, const char **why) {
    if (!elab_spend(e, a->n + b->n)) return failed(why, "the list becomes too long");
    Val *all = arena_array(e->arena, Val, a->n + b->n);
    for (int i = 0; i < a->n; i++) all[i] = a->at[i];
    for (int i = 0; i < b->n; i++) all[a->n + i] = b->at[i];
    return val_list(e, VAL_LIST, all, a->n + b->n);
}

Val number_binary(Elab *e, BinaryOp op, Val a, Val b, const char **why) {
    *why = NULL;
    if (a.kind == VAL_INT && b.kind == VAL_INT) return int_binary(op, a.i, b.i, why);
    if (is_size(a) && is_size(b)) {
        DimTable *t = &e->module->dims;
        if ((a.kind == VAL_INT && (a.i >= DIM_HUGE || a.i <= -DIM_HUGE)) ||
            (b.kind == VAL_INT && (b.i >= DIM_HUGE || b.i <= -DIM_HUGE)))
            return failed(why, "the number is too large for a dim");
        return dim_binary(e, op, a.kind == VAL_DIM ? a.dim : dim_const(t, a.i),
                          b.kind == VAL_DIM ? b.dim : dim_const(t, b.i), why);
    }
    if (a.kind == VAL_DIM || b.kind == VAL_DIM) return failed(why, NULL);
    if (is_number(a) && is_number(b)) return float_binary(op, as_float(a), as_float(b), why);
    if (a.kind == VAL_BOOL && b.kind == VAL_BOOL && (op == BINARY_AND || op == BINARY_OR))
        return val_bool(op == BINARY_AND ? a.i && b.i : a.i || b.i);
    if (op == BINARY_ADD && a.kind == VAL_STR && b.kind == VAL_STR) return text_join(e, a.s, b.s, why);
    if (op == BINARY_ADD && a.kind == VAL_LIST && b.kind == VAL_LIST) return list_join(e, a.list, b.list, why);
    if (op == BINARY_EQ || op == BINARY_NE) return val_bool(same_value(a, b) == (op == BINARY_EQ));
    return failed(why, NULL);
}

static bool is_fold_on_ints(MapFn f) {
    return f == MAP_maximum || f == MAP_minimum || f == MAP_abs || f == MAP_sign || f == MAP_negate || f == MAP_clamp;
}

Val number_map(Elab *e, MapFn f, const Val *args, int n) {
    double reals[3] = {0};
    int64_t wholes[3] = {0};
    bool whole = is_fold_on_ints(f);
    (void)e;
    for (int i = 0; i < n; i++) {
        if (args[i].kind != VAL_INT && args[i].kind != VAL_FLOAT) return POISON;
        whole = whole && args[i].kind == VAL_INT;
        wholes[i] = args[i].kind == VAL_INT ? args[i].i : 0;
        reals[i] = as_float(args[i]);
    }
    if (whole && wholes[0] == INT64_MIN && (f == MAP_abs || f == MAP_negate)) return POISON;
    if (whole) return val_int(map_eval_int(f, DTYPE_I64, wholes));
    double r = map_eval_float(f, reals);
    if (op_of_map(f)->flags & OP_PREDICATE) return val_bool(r != 0);
    return isnan(r) ? POISON : val_float(r);
}
