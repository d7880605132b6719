/* Statements that move values: cuts, pads, other shapes; by indices, in sorted order, to boxes that begin where a value
 * says; sizes that a value gives. */
#include "author.h"

static bool is_float_fixed_axis(const Known *k) {
    for (int i = 0; i < k->rank; i++)
        if (is_float(k) && size_fixed(k->shape[i])) return true;
    return false;
}

/* An axis of constant size. */
static int fixed_axis(Author *a, const Known *k) {
    int axis = below(a, k->rank);
    while (!size_fixed(k->shape[axis])) axis = (axis + 1) % k->rank;
    return axis;
}

/* ":, :, " */
static const char *skipped(Author *a, int axes) {
    Text t = text_new(a->arena);
    for (int i = 0; i < axes; i++) text_add(&t, ":, ");
    return text_get(&t);
}

static void cut(Author *a) {
    Known x, y;
    if (!choose(a, is_float_fixed_axis, &x)) return;
    int axis = fixed_axis(a, &x), size = x.shape[axis].low;
    if (size < 2) return;
    y = x;
    if (chance(a, 4)) {
        drop_dim(&y, axis);
        let(a, y, "v%d[%s%d]", x.number, skipped(a, axis), below(a, size))->apart = x.apart;
        return;
    }
    int from = below(a, size - 1), step = 1 + below(a, 2), to = from + 1 + below(a, size - from - 1);
    y.shape[axis] = size_of(a, (to - from + step - 1) / step);
    let(a, y, "v%d[%s%d:%d:%d, ..]", x.number, skipped(a, axis), from, to, step)->apart = x.apart;
}

/* The same of a run-time dim: what it has at least may be cut off. */
static void trim(Author *a) {
    Known x, y;
    if (!choose(a, is_float_ranked, &x)) return;
    int axis = below(a, x.rank);
    if (x.shape[axis].low < 2) return;
    y = x;
    y.shape[axis] = size_sum(a, x.shape[axis], -1);
    let(a, y, chance(a, 2) ? "v%d[%s1:]" : "v%d[%s:-1]", x.number, skipped(a, axis))->apart = x.apart;
}

static void pad_list(Author *a, Text *t, int rank, int axis, int n) {
    (void)a;
    for (int i = 0; i < rank; i++) text_add(t, "%s%d", i ? ", " : "", i == axis ? n : 0);
}

static void grow(Author *a) {
    Known x, y;
    if (!choose(a, is_float_ranked, &x)) return;
    int axis = below(a, x.rank), low = below(a, 4) - 1, high = below(a, 3), interior = below(a, 4) == 0;
    Size size = x.shape[axis];
    y = x;
    if (chance(a, 2)) {
        y.shape[axis] = size_fixed(size)
                            ? size_of(a, 2 * size.low)
                            : (Size){print(a, "(2 * %s)", size.text), 2 * size.low, 2 * size.high, size.late};
        if (is_small(&y)) let(a, y, "concat([v%d, sin(v%d)], axis = %d)", x.number, partner(a, x).number, axis);
        return;
    }
    if (size.low < 2 && low < 0) low = 0;
    if (!size_fixed(size)) interior = 0;
    y.shape[axis] = interior ? size_of(a, 2 * size.low - 1 + low + high) : size_sum(a, size, low + high);
    if (!is_small(&y)) return;
    Text t = text_new(a->arena);
    text_add(&t, "[");
    pad_list(a, &t, x.rank, axis, low);
    text_add(&t, "], [");
    pad_list(a, &t, x.rank, axis, high);
    text_add(&t, "], 0.5");
    if (interior) {
        text_add(&t, ", [");
        pad_list(a, &t, x.rank, axis, 1);
        text_add(&t, "]");
    }
    let(a, y, "pad(v%d, %s)", x.number, text_get(&t));
}

static void turn(Author *a) {
    Known x, y;
    if (!choose(a, is_float_ranked, &x) || x.rank < 2) return;
    int i = below(a, x.rank), j = below(a, x.rank), axes[MOST_DIMS];
    for (int k = 0; k < x.rank; k++) axes[k] = k == i ? j : k == j ? i : k;
    y = x;
    for (int k = 0; k < x.rank; k++) y.shape[k] = x.shape[axes[k]];
    Text t = text_new(a->arena);
    for (int k = 0; k < x.rank; k++) text_add(&t, "%s%d", k ? ", " : "", axes[k]);
    let(a, y, "transpose(v%d, [%s])", x.number, text_get(&t))->apart = x.apart;
}

/* Two dims joined, one split, or one of size 1 put in. */
static void relabel(Author *a) {
    Known x, y;
    if (!choose(a, is_float, &x)) return;
    int axis = x.rank ? below(a, x.rank) : 0;
    Size size = x.rank ? x.shape[axis] : size_of(a, 1);
    y = x;
    if (x.rank < MOST_DIMS - 1 && size_fixed(size) && size.low > 3 && size.low % 2 == 0 && chance(a, 2)) {
        y.shape[axis] = size_of(a, 2);
        insert_dim(&y, axis, size_of(a, size.low / 2));
    } else if (x.rank < MOST_DIMS - 1 && chance(a, 3)) {
        insert_dim(&y, axis, size_of(a, 1));
    } else if (axis + 1 < x.rank) {
        Size next = x.shape[axis + 1];
        drop_dim(&y, axis);
        y.shape[axis] = size_fixed(size) && size_fixed(next)
                            ? size_of(a, size.low * next.low)
                            : (Size){print(a, "(%s * %s)", size.text, next.text), size.low * next.low,
                                     size.high * next.high, size.late || next.late};
    } else {
        return;
    }
    let(a, y, "reshape(v%d, [%s])", x.number, shape_text(a, &y))->apart = x.apart;
}

Makers move_makers(void) {
    static Maker *const all[] = {cut, cut, trim, grow, grow, turn, relabel, relabel};
    return (Makers){all, sizeof all / sizeof *all};
}

/* ---------------------------------------------------------------------------- indices */

/* "index % n", for an axis of any size from 1. */
static const char *index_text(Author *a, Size size) {
    if (size_fixed(size)) return print(a, "v%d %% %d", a->index, size.low);
    return print(a, "v%d %% i32(%s)", a->index, size.text);
}

/* Rows of a table, with names of the library. */
static void table(Author *a) {
    int width = 1 + below(a, 12);
    Known y = {.type = DTYPE_F32, .rank = 2, .shape = {a->b, size_of(a, width)}};
    int m = a->member_count;
    switch (below(a, 4)) {
    case 0:
        learn(a, "param m%d: num[5, %d] = normal", m, width);
        let(a, y, "m%d[v%d]", m, a->index);
        break;
    case 1:
        learn(a, "let m%d = Embedding(5, %d, padding_idx = 2)", m, width);
        let(a, y, "m%d(v%d)", m, a->index);
        break;
    case 2:
        learn(a, "let m%d = EmbeddingBag(5, %d, mode = \"%s\")", m, width, chance(a, 2) ? "sum" : "mean");
        let(a, y, "m%d(v%d)", m, a->pairs);
        break;
    default: y.shape[1] = size_of(a, 5); let(a, y, "one_hot(v%d, 5)", a->index);
    }
}

static void gathered(Author *a) {
    Known x, y;
    if (!choose(a, is_float_ranked, &x)) return;
    int axis = below(a, x.rank);
    if (!x.shape[axis].low) return;
    const char *mask = chance(a, 3) ? print(a, ", mask = v%d > 0", a->index) : "";
    y = x;
    if (size_equal(x.shape[0], a->b) && axis && chance(a, 2)) {
        drop_dim(&y, axis);
        let(a, y, "gather(v%d, %s, axis = %d, batch = 1%s)", x.number, index_text(a, x.shape[axis]), axis, mask);
        return;
    }
    y.shape[axis] = a->b;
    if (is_small(&y)) let(a, y, "gather(v%d, %s, axis = %d%s)", x.number, index_text(a, x.shape[axis]), axis, mask);
}

static void scattered(Author *a) {
    static const char *const modes[] = {"set", "add", "max", "min"};
    Known x;
    if (!choose(a, is_f32_ranked, &x)) return;
    int axis = below(a, x.rank);
    if (!x.shape[axis].low) return;
    bool batch = axis && size_equal(x.shape[0], a->b) && chance(a, 2);
    const char *index = index_text(a, x.shape[axis]), *more = batch ? ", batch = 1" : "";
    const char *mask = chance(a, 3) ? print(a, ", mask = v%d > 0", a->index) : "";
    const char *values = print(a, "%s(gather(v%d, %s, axis = %d%s) + 0.375) / 2", chance(a, 2) ? "sin" : "cos",
                               x.number, index, axis, more);
    let(a, x, "scatter(v%d, %s, %s, axis = %d%s, mode = \"%s\"%s)", x.number, index, values, axis, more, PICK(a, modes),
        mask);
}

static bool leads_with_b(const Known *k) {
    return is_f32_ranked(k) && !strcmp(k->shape[0].text, "B");
}

static void segments(Author *a) {
    static const char *const forms[] = {"segment_sum(v%d, v%d, 5) / 4", "segment_mean(v%d, v%d, 5)",
                                        "segment_max(v%d, v%d, 5)", "segment_softmax(v%d, v%d, 5)",
                                        "segment_sum(v%1$d, v%2$d, 5, mask = v%2$d > 1) / 2"};
    Known x, y;
    if (!choose(a, leads_with_b, &x)) return;
    int form = below(a, 5);
    if (form == 2 && !x.apart) form = 0;
    y = x;
    if (form != 3) y.shape[0] = size_of(a, 5);
    let(a, y, forms[form], x.number, a->index);
}

/* A box that begins where `at` says, read or put. */
static void box(Author *a) {
    Known x, y;
    if (!choose(a, is_float_fixed_axis, &x)) return;
    int axis = fixed_axis(a, &x), size = x.shape[axis].low;
    if (size < 2) return;
    int wide = 1 + below(a, size - 1);
    Known start = {.type = DTYPE_I32};
    int from = let(a, start, "v%d %% %d", a->at, size - wide + 1)->number;
    y = x;
    y.shape[axis] = size_of(a, wide);
    int part = let(a, y, "v%d[%s v%d : v%d + %d]", x.number, skipped(a, axis), from, from, wide)->number;
    if (chance(a, 2)) return;
    Text at = text_new(a->arena);
    for (int i = 0; i < x.rank; i++) text_add(&at, i == axis ? "%sv%d" : "%s0", i ? ", " : "", from);
    let(a, x, "update(v%d, cos(v%d), at = [%s])", x.number, part, text_get(&at));
}

/* Rows, as many as an integer says: a dim that is bound here. */
static void bound_dim(Author *a) {
    Known x, y;
    if (!choose(a, is_float_ranked, &x)) return;
    int axis = below(a, x.rank);
    if (!x.shape[axis].low) return;
    Size l = {print(a, "L%d", a->values.n), 1, 9, true};
    Size t = x.shape[axis];
    if (chance(a, 2))
        say(a, "dim %s <= 9 = min(i64(v%d) + 1, %s)", l.text, a->at, a->b.text);
    else if (chance(a, 2))
        say(a, "dim %s <= 9 = i64(v%d) + 1 + i64(v%d)", l.text, a->at, a->flag);
    else
        l.low = 0, say(a, "dim 0 <= %s <= 9 = i64(v%d)", l.text, a->at);
    y = x;
    y.shape[axis] = l;
    if (!is_small(&y)) return;
    let(a, y, "gather(v%d, iota(%s) %% %s%s%s, axis = %d)", x.number, l.text, size_fixed(t) ? "" : "i32(", t.text,
        size_fixed(t) ? "" : ")", axis);
}

static bool is_apart_f32(const Known *k) {
    return is_apart_ranked(k) && is_f32(k);
}

static void sorted(Author *a) {
    Known x, both[2];
    if (!choose(a, is_apart_f32, &x)) return;
    int axis = below(a, x.rank);
    both[0] = both[1] = x;
    both[1].type = DTYPE_I32;
    bool down = chance(a, 2);
    switch (below(a, 4)) {
    case 0:
        let_several(a, both, 2, "sort(v%d, %d, descending = %s)", x.number, axis, down ? "true" : "false")->apart =
            true;
        return;
    case 1: let(a, both[1], "argsort(v%d, %d)", x.number, axis); return;
    case 2: {
        Known y = partner(a, x);
        let(a, x, "sort_by(v%d, cos(v%d), axis = %d, descending = %s)", x.number, y.number, axis,
            down ? "true" : "false")
            ->on = y.on;
        return;
    }
    default:
        if (!x.shape[axis].low) return;
        int k = 1 + below(a, x.shape[axis].low);
        both[0].shape[axis] = both[1].shape[axis] = size_of(a, k);
        let_several(a, both, 2, "top_k(v%d, %d, axis = %d)", x.number, k, axis)->apart = true;
    }
}

static void requirement(Author *a) {
    switch (below(a, 3)) {
    case 0: say(a, "require v%d < 5, \"a small number\"", a->at); return;
    case 1: say(a, "require all(v%d >= 0), \"indices from 0\"", a->index); return;
    default: say(a, "require i64(v%d) + B > 0 and T >= 2, \"something\"", a->at);
    }
}

/* What is computed of sizes and places alone. */
static void made(Author *a) {
    Known y = {.type = DTYPE_F32, .rank = 2, .shape = {chance(a, 2) ? a->b : a->t, size_of(a, 2 + 2 * below(a, 3))}};
    if (chance(a, 2))
        let(a, y, "sinusoidal_positions(%s, %s, offset = v%d)", y.shape[0].text, y.shape[1].text, a->at);
    else
        let(a, y, "sin(f32(iota(%s))[:, none] + 0.5 * f32(iota(%s)) + f32(%s))", y.shape[0].text, y.shape[1].text,
            a->g.text);
}

Makers index_makers(void) {
    static Maker *const all[] = {table, gathered,  gathered, scattered, scattered,   segments, box,
                                 box,   bound_dim, sorted,   sorted,    requirement, made};
    return (Makers){all, sizeof all / sizeof *all};
}
