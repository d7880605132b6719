/* Statements of numbers: element by element, along an axis, reductions, integers, other types. */
#include "author.h"

/* Forms name one value as v%1$d, a second one as v%2$d, an axis as %2$d or %3$d. */
#define FORMS(list) static const char *const list[]

static void unary(Author *a) {
    FORMS(forms) = {"tanh(v%d)",
                    "sigmoid(v%d)",
                    "gelu(v%d)",
                    "silu(v%d)",
                    "softplus(v%d)",
                    "sin(v%d)",
                    "exp(-abs(v%d))",
                    "log1p(abs(v%d))",
                    "v%1$d / (1 + abs(v%1$d))",
                    "sqrt(1 + v%1$d * v%1$d)",
                    "relu(v%d)",
                    "erf(v%d)",
                    "-v%d",
                    "atan2(v%1$d, 2 + abs(v%1$d))",
                    "elu(v%d)",
                    "0.5 * cos(v%d)",
                    "expm1(0.25 * v%d)",
                    "rsqrt(1 + v%1$d ^ 2)",
                    "tan(0.25 * tanh(v%d))",
                    "log(2 + abs(v%d))",
                    "clamp(v%d, -0.75, 1.25)",
                    "leaky_relu(v%d, 0.2)",
                    "mish(v%d)",
                    "hardswish(v%d)",
                    "selu(v%d) / 2",
                    "log2(1 + exp(v%d))",
                    "(1.5 + tanh(v%1$d)) ^ 1.5",
                    "asinh(v%d)",
                    "softsign(v%d) ^ 3",
                    "abs(v%d) ^ 1.5 / 4",
                    "reciprocal(1 + v%1$d ^ 2)",
                    "maximum(v%d, 0.125)",
                    "logsigmoid(v%d)",
                    "where(v%1$d * 0 == 0, cos(v%1$d), v%1$d)",
                    "stop_gradient(v%1$d) * tanh(v%1$d)",
                    "0.5 * v%1$d ^ 2"};
    Known x;
    if (choose(a, is_float, &x)) let(a, x, PICK(a, forms), x.number);
}

static void binary(Author *a) {
    FORMS(forms) = {"tanh(v%d - stop_gradient(v%d))",
                    "v%d + v%d",
                    "v%d - v%d",
                    "tanh(v%d) * v%d",
                    "v%1$d / (1 + v%2$d * v%2$d)",
                    "where(v%3$d, v%1$d, v%2$d)",
                    "maximum(v%d, v%d)",
                    "minimum(v%d, v%d)",
                    "(1.25 + tanh(v%1$d)) ^ (0.5 * tanh(v%2$d))",
                    "atan2(v%d, 2 + abs(v%d))",
                    "hypot(v%1$d, 1 + v%2$d)",
                    "logaddexp(v%1$d, v%2$d)",
                    "where(v%4$d > 1, v%1$d, v%2$d)"};
    Known x;
    if (!choose(a, is_float, &x)) return;
    Known y = partner(a, x);
    int form = below(a, sizeof forms / sizeof *forms);
    Known *z = let(a, x, forms[form], x.number, y.number, a->flag, a->at);
    if (!form) z->on = x.on; /* the first one stops the other's gradient */
}

/* A row, or one element of its last dim, spread over the rows. */
static void spread(Author *a) {
    Known x, y;
    if (!choose(a, is_f32_matrix, &x) || !choose(a, is_f32_ranked, &y)) return;
    Size last = y.shape[y.rank - 1];
    bool fits = size_equal(last, x.shape[x.rank - 1]);
    if (!fits && last.low < 1) return;
    Text at = text_new(a->arena);
    for (int i = 0; i + 1 < y.rank; i++) text_add(&at, "%s, ", y.shape[i].low > 0 ? "0" : "");
    if (y.rank > 1 && y.shape[0].low < 1) return;
    for (int i = 0; i + 1 < y.rank; i++)
        if (y.shape[i].low < 1) return;
    let(a, x, "v%d * tanh(v%d[%s%s]) + 0.25", x.number, y.number, text_get(&at), fits ? ":" : "0");
}

static void rowwise(Author *a) {
    FORMS(forms) = {
        "softmax(v%d, axis = %d)", "log_softmax(v%d, axis = %d) / 8", "v%1$d - mean(v%1$d, axis = %2$d, keep = true)",
        "v%1$d + logsumexp(v%1$d, axis = %2$d, keep = true) / 8",
        "v%1$d * rsqrt(mean(v%1$d ^ 2, axis = %2$d, keep = true) + 1)", "2 * normalize(v%d + 0.5, axis = %d)",
        "softmin(v%d, axis = %d)", "logcumsumexp(v%d, axis = %d) / 2",
        /* from here also over nothing */
        "cumsum(v%d, axis = %d) / 8", "reverse(v%d, %d)", "cumprod(1 + 0.25 * tanh(v%d), axis = %d)",
        "cumsum(v%d, axis = %d, reverse = true, exclusive = true) / 8",
        "linear_recurrence(sigmoid(v%1$d), v%1$d, axis = %2$d) / 2", "shift(v%d, 1, %d, 0.5)",
        "linear_recurrence(0.5 * tanh(v%1$d), cos(v%1$d), axis = %2$d, reverse = true)",
        "v%1$d + sum(v%1$d, axis = %2$d, keep = true) / 16",
        "v%1$d * along(1.0 * f32(iota(dims(v%1$d)[%2$d])), v%1$d, axis = %2$d) / 8"};
    Known x;
    if (!choose(a, is_f32_ranked, &x)) return;
    int axis = below(a, x.rank), whole = (int)(sizeof forms / sizeof *forms), empty = 8;
    const char *form = x.shape[axis].low ? forms[below(a, whole)] : forms[empty + below(a, whole - empty)];
    let(a, x, form, x.number, axis);
}

static void reduction(Author *a) {
    FORMS(forms) = {
        "mean(v%d, axis = %d)", "norm(v%d, axis = %d) / 4", "variance(v%d, axis = %d)", "logsumexp(v%d, axis = %d) / 4",
        /* over nothing too */
        "sum(v%d, axis = %d) / 8", "prod(1 + 0.25 * tanh(v%d), axis = %d)", "sum(v%1$d * sin(v%1$d), axis = %2$d) / 8",
        "f32(count(stop_gradient(v%d) * 0 == 0, axis = %d)) / 4"};
    Known x, y;
    if (!choose(a, is_f32_ranked, &x)) return;
    int axis = below(a, x.rank), whole = (int)(sizeof forms / sizeof *forms), empty = 4;
    y = x;
    drop_dim(&y, axis);
    if (chance(a, 6)) {
        y.rank = 0;
        let(a, y, "sum(tanh(v%d)) / f32(1 + size(v%d))", x.number, x.number);
        return;
    }
    int form = x.shape[axis].low ? below(a, whole) : empty + below(a, whole - empty);
    Known *r = let(a, y, forms[form], x.number, axis);
    if (form == whole - 1) r->on = 0;
}

/* The greatest and least, and where they are, of values that are apart. */
static void extreme(Author *a) {
    FORMS(forms) = {"max(v%d, axis = %d)", "min(v%d, axis = %d)", "median(v%d, axis = %d)",
                    "quantile(v%d, 0.375, axis = %d)"};
    FORMS(indices) = {"argmax(v%d, axis = %d)", "argmin(v%d, axis = %d)"};
    FORMS(running) = {"cummax(v%d, axis = %d)", "cummin(v%d, axis = %d, reverse = true)"};
    FORMS(empty) = {"max(v%d, axis = %d, initial = -2.5)", "min(v%d, axis = %d, initial = 0.125)"};
    Known x, y;
    if (!choose(a, is_apart_ranked, &x)) return;
    int axis = below(a, x.rank), way = below(a, 8);
    y = x;
    drop_dim(&y, axis);
    Known index = y;
    index.type = DTYPE_I32;
    if (!x.shape[axis].low && way < 4)
        let(a, y, PICK(a, empty), x.number, axis);
    else if (!x.shape[axis].low)
        let(a, index, "argmax(v%d, axis = %d, empty = -1)", x.number, axis);
    else if (way < 3)
        let(a, y, forms[below(a, x.type != DTYPE_F32 || !size_fixed(x.shape[axis]) ? 2 : 4)], x.number, axis);
    else if (way < 5)
        let(a, index, PICK(a, indices), x.number, axis);
    else if (way < 7)
        let(a, x, PICK(a, running), x.number, axis);
    else if (size_fixed(x.shape[axis]))
        let(a, y, "kth_value(v%d, %d, axis = %d)", x.number, below(a, x.shape[axis].low), axis);
}

/* What jumps, of values that are exact and not at the jump. The first ones have no gradient. */
static void jump(Author *a) {
    FORMS(forms) = {"floor(v%d)",
                    "sign(v%1$d + 0.0009765625)",
                    "round(v%d)",
                    "trunc(v%d)",
                    "v%d %% 0.75",
                    "ceil(v%1$d) - v%1$d",
                    "where(v%1$d > 0.25, sin(v%1$d), 2 * v%1$d)",
                    "relu(v%1$d) + abs(v%1$d)"};
    Known x;
    if (!choose(a, is_apart, &x)) return;
    int form = below(a, 8);
    Known *y = let(a, x, forms[form], x.number);
    if (form < 4) y->on = 0;
}

static void compare(Author *a) {
    FORMS(forms) = {"v%d > v%d", "v%d <= v%d", "v%1$d * 0 == v%2$d * 0", "not (v%d < v%d)", "v%1$d != v%2$d"};
    FORMS(over) = {"any(v%d > 1, axis = %d)", "all(v%d > -1.5, axis = %d)"};
    Known x, y;
    if (!choose(a, is_apart, &x)) return;
    y = partner(a, x);
    if (!y.apart) y = x;
    Known z = x;
    z.type = DTYPE_BOOL;
    if (x.rank && chance(a, 2)) {
        int axis = below(a, x.rank);
        drop_dim(&z, axis);
        let(a, z, PICK(a, over), x.number, axis);
    } else if (chance(a, 2)) {
        let(a, x, "where(v%d > v%d, v%d, 0.5 * v%d)", x.number, y.number, x.number, y.number);
    } else {
        let(a, z, PICK(a, forms), x.number, y.number);
    }
}

/* Integers are exact in every type, and wrap around. */
static void integers(Author *a) {
    FORMS(forms) = {"v%1$d * 3 + 1",
                    "v%d %% 3",
                    "div(v%d, 2)",
                    "v%1$d * v%1$d - 5",
                    "min(v%d, 2)",
                    "abs(v%1$d - 3)",
                    "where(v%1$d > 1, v%1$d, -v%1$d)",
                    "v%1$d + v%2$d",
                    "max(v%1$d, 3 - v%1$d)",
                    "sign(v%1$d - 2)",
                    "v%1$d * 100 + v%2$d"};
    FORMS(rows) = {"cumsum(v%d, axis = %d)", "reverse(v%d, %d)", "cummax(v%d, axis = %d)"};
    FORMS(over) = {"sum(v%d, axis = %d)", "count(v%d > 1, axis = %d)"};
    static const DType types[] = {DTYPE_I64, DTYPE_I8, DTYPE_U8, DTYPE_I32};
    Known x, y;
    if (!choose(a, is_int, &x)) return;
    y = x;
    switch (x.rank ? below(a, 5) : below(a, 3)) {
    case 0: let(a, x, PICK(a, forms), x.number, partner(a, x).number); return;
    case 1:
        y.type = PICK(a, types);
        let(a, y, "%s(v%d)", dtype_name(y.type), x.number);
        return;
    case 2:
        y.type = DTYPE_F32;
        let(a, y, "0.125 * f32(v%d %% 16)", x.number);
        return;
    case 3: let(a, x, PICK(a, rows), x.number, below(a, x.rank)); return;
    default: {
        int axis = below(a, x.rank), form = below(a, 2);
        drop_dim(&y, axis);
        if (form) y.type = DTYPE_I32;
        let(a, y, over[form], x.number, axis);
    }
    }
}

static bool is_other(const Known *k) {
    return is_float(k) && k->type != DTYPE_F32;
}

/* To another type, and back. */
static void converted(Author *a) {
    static const DType types[] = {DTYPE_F64, DTYPE_F16, DTYPE_BF16};
    Known x;
    if (chance(a, 2) && choose(a, is_other, &x)) {
        x.type = DTYPE_F32;
        let(a, x, "f32(v%d)", x.number);
        return;
    }
    if (!choose(a, is_f32, &x)) return;
    bool apart = x.apart;
    x.type = PICK(a, types);
    let(a, x, "%s(v%d)", dtype_name(x.type), x.number)->apart = apart && x.type == DTYPE_F64;
}

static bool is_fixed_float(const Known *k) {
    bool fixed = is_float_ranked(k);
    for (int i = 0; i < k->rank; i++) fixed = fixed && size_fixed(k->shape[i]);
    return fixed;
}

static bool is_other_ranked(const Known *k) {
    return is_other(k) && k->rank;
}

/* Sums and products of the other types. */
static void other_types(Author *a) {
    Known x, y;
    if (!choose(a, is_other_ranked, &x)) return;
    int axis = below(a, x.rank);
    y = x;
    drop_dim(&y, axis);
    if (x.rank == 2 && chance(a, 2)) {
        y = x;
        y.shape[1] = y.shape[0];
        let(a, y, "tanh(v%d) @ v%d.T / 8", x.number, x.number);
    } else if (is_fixed_float(&x) && chance(a, 3)) {
        let(a, x, "softmax(v%d, axis = %d)", x.number, axis);
    } else {
        let(a, y, "sum(v%d, axis = %d) / 8", x.number, axis);
    }
}

Makers maths_makers(void) {
    static Maker *const all[] = {unary,     unary,     unary,   binary, binary,  spread,   rowwise,   rowwise,
                                 reduction, reduction, extreme, jump,   compare, integers, converted, other_types};
    return (Makers){all, sizeof all / sizeof *all};
}
