/* Statements of control: scans, choices, loops; variables; gradients of one's own; what is computed twice; random
 * numbers. How often something runs depends on integers alone. */
#include "author.h"

static bool is_stack(const Known *k) {
    return is_f32_ranked(k) && k->rank >= 2;
}

static Known without(Known k, int axis) {
    drop_dim(&k, axis);
    return k;
}

/* What a step of a scan makes of its slice xt, the carry h and the step k. */
static const char *step_text(Author *a) {
    static const char *const steps[] = {
        "h = tanh(h + xt)",
        "h = cond k > v%1$d { tanh(h + xt) } else { 0.5 * h }",
        "h = 0.5 * h + xt * sin(h)",
        "h = where(v%2$d, h, xt) * 0.75 + 0.125 * f32(k)",
        "let u = scan j in range(3) with b = h { b = tanh(b + 0.25 * xt * f32(j)) }; h = 0.5 * u + 0.25 * h",
        ("let j, u = loop j = i32(0), b = h while j < v%1$d, limit = 5 { b = sin(b + xt); j = j + 1 }; h = u + 0.125 * "
         "f32(j)"),
        "h = recompute { tanh(h * xt + 0.5) }",
        "h = h * sigmoid(xt) + tanh(xt)"};
    return print(a, PICK(a, steps), a->at, a->flag);
}

/* Elementwise: the carry is shaped as a slice. */
static void scan_plain(Author *a) {
    static const char *const yields[] = {"h", "h * xt", "sin(h) + f32(k)", "tanh(h)"};
    Known x, out[2];
    if (!choose(a, is_stack, &x)) return;
    int axis = below(a, x.rank);
    out[0] = x;
    out[1] = without(x, axis);
    const char *start = chance(a, 2)        ? print(a, "zeros([%s])", shape_text(a, &out[1]))
                        : x.shape[axis].low ? print(a, "cos(gather(v%d, 0, axis = %d))", x.number, axis)
                                            : print(a, "full([%s], 0.25)", shape_text(a, &out[1]));
    const char *step = step_text(a), *more = chance(a, 2) ? ", reverse = true" : "";
    if (chance(a, 3))
        let(a, out[1], "scan xt in v%d, k in range(%s), axis = %d%s with h = %s { %s }", x.number, x.shape[axis].text,
            axis, more, start, step);
    else
        let_several(a, out, 2, "scan xt in v%d, k in range(%s), axis = %d%s with h = %s { %s; yield %s }", x.number,
                    x.shape[axis].text, axis, more, start, step, PICK(a, yields));
}

static bool is_row_stack(const Known *k) {
    return is_f32_row(k) && k->rank >= 2;
}

/* Cells with weights: simple, gated with two carries, both directions. */
static void scan_cell(Author *a) {
    Known x, out[3];
    if (!choose(a, is_row_stack, &x)) return;
    int axis = below(a, x.rank - 1), in = x.shape[x.rank - 1].low, hidden = 1 + below(a, 8);
    const char *more = chance(a, 2) ? ", reverse = true" : "";
    out[0] = x;
    out[0].shape[x.rank - 1] = size_of(a, hidden);
    out[2] = out[1] = without(out[0], axis);
    const char *zero = print(a, "zeros([%s])", shape_text(a, &out[1]));
    bool gated = chance(a, 2);
    int wide = gated ? 3 * hidden : hidden, m = a->member_count;
    learn(a, "param m%d: num[%d, %d] = uniform(-0.6, 0.6)", m, in, wide);
    learn(a, "param m%d: num[%d, %d] = uniform(-0.6, 0.6)", m + 1, hidden, wide);
    if (gated)
        let_several(a, out, 3,
                    "scan xt in v%d, axis = %d%s with h = %s, c = %s {\n            let i, f, z = split(xt @ m%d + h @ "
                    "m%d, 3, axis = -1)\n"
                    "            c = sigmoid(f) * c + sigmoid(i) * tanh(z)\n            h = tanh(c)\n            yield "
                    "h\n        }",
                    x.number, axis, more, zero, zero, m, m + 1);
    else
        let_several(a, out, 2,
                    "scan xt in v%d, axis = %d%s with h = %s {\n            h = 0.25 * h + tanh(xt @ m%d + h @ m%d)\n"
                    "            yield h * 0.75\n        }",
                    x.number, axis, more, zero, m, m + 1);
}

static void choice(Author *a) {
    static const char *const tests[] = {"v%1$d", "v%2$d > 1", "not v%1$d and v%2$d < 3", "v%3$d[0] > 1",
                                        "v%2$d %% 2 == 0"};
    static const char *const blocks[] = {
        "tanh(v%1$d) * 2",           "v%2$d",
        "sin(v%1$d) + v%2$d",        "cond v%3$d > 2 { cos(v%1$d) } else { v%1$d * v%1$d / 4 }",
        "recompute { gelu(v%1$d) }", "v%1$d - mean(v%1$d * 0 + 0.5) / 2"};
    Known x;
    if (!choose(a, is_f32, &x)) return;
    int y = partner(a, x).number, whole = x.rank ? 5 : 6;
    for (int i = 0; i < x.rank; i++)
        if (!x.shape[i].low) whole = 5;
    const char *test = print(a, PICK(a, tests), a->flag, a->at, a->index);
    const char *one = print(a, blocks[below(a, whole)], x.number, y, a->at);
    let(a, x, "cond %s { %s } else { %s }", test, one, print(a, blocks[below(a, whole)], y, x.number, a->at));
}

/* With a limit gradients flow; without one what goes in is held constant. */
static void loop(Author *a) {
    static const char *const steps[] = {"r = tanh(r + 0.5)", "r = 0.5 * (r + sin(r))",
                                        "r = cond k > 1 { r * 0.5 } else { cos(r) }", "r = r * 0.75 + 0.125 * f32(k)"};
    Known out[2];
    if (!choose(a, is_f32, &out[1])) return;
    int x = out[1].number;
    out[0] = (Known){.type = DTYPE_I32};
    if (chance(a, 2)) {
        let_several(a, out, 2, "loop k = i32(0), r = v%d while k < v%d + 1, limit = %d { %s; k = k + 1 }", x, a->at,
                    3 + below(a, 4), PICK(a, steps));
        return;
    }
    let_several(a, out, 2, "loop k = i32(0), r = stop_gradient(v%d) while k < v%d { %s; k = k + 1 + k %% 2 }", x, a->at,
                PICK(a, steps));
    a->values.at[a->values.n - 1].on = 0;
}

static bool is_fixed_row(const Known *k) {
    return is_f32_fixed(k) && k->rank;
}

/* Reads the variable as it is now. */
static void read_state(Author *a, Known like, const char *format, int s) {
    let(a, like, format, s)->on = 0;
}

static void variable(Author *a) {
    Known x, count = {.type = DTYPE_I64};
    int s;
    switch (below(a, 4)) {
    case 0:
        if (!choose(a, is_fixed_row, &x)) return;
        s = member(a, "state s%d: num[%s] = zeros", a->member_count, shape_text(a, &x));
        if (chance(a, 2)) read_state(a, x, "sin(s%d)", s);
        say(a, "s%d <- 0.5 * s%d + tanh(v%d)", s, s, x.number);
        if (chance(a, 2)) read_state(a, x, "s%d * 1.5", s);
        return;
    case 1:
        s = member(a, "state s%d: i64 = 0", a->member_count);
        say(a, "s%d <- s%d * 2 + i64(v%d)", s, s, a->at);
        read_state(a, count, "s%d + 1", s);
        return;
    case 2:
        if (!choose(a, is_fixed_row, &x)) return;
        s = member(a, "state s%d: num[%s] = ones", a->member_count, shape_text(a, &x));
        let(a, x,
            "cond v%d {\n            s%d <- tanh(v%d) + s%d / 2\n            v%d * 2\n        } else { sin(v%d) }",
            a->flag, s, x.number, s, x.number, x.number);
        return;
    default:
        s = member(a, "state s%d: i32 = 1", a->member_count);
        say(a, "let t%d = scan k in range(%s) with n = i32(0) { s%d <- s%d + i32(k) * v%d; n = n + s%d }", 1000 + s,
            a->t.text, s, s, a->at, s);
        count.type = DTYPE_I32;
        read_state(a, count, "s%d - 1", s);
    }
}

static bool is_cacheable(const Known *k) {
    bool fixed = is_f32_row(k) && k->rank == 2 && k->shape[0].low > 0 && k->shape[0].high <= BOUND_B;
    return fixed;
}

/* Rows written where an integer says into a cache, and some read. */
static void cache(Author *a) {
    Known x, y;
    if (!choose(a, is_cacheable, &x)) return;
    int s = member(a, "cache s%d: num[%d, %s] = zeros", a->member_count, BOUND_B + INT_LIMIT, x.shape[1].text);
    say(a, "s%d <- update(s%d, tanh(v%d), at = [v%d, 0])", s, s, x.number, a->at);
    y = x;
    y.shape[0] = size_of(a, 2);
    let(a, y, "s%d[v%d : v%d + 2] * 1.25", s, a->at, a->at)->on = 0;
}

/* Functions that say their gradient themselves; blocks that are computed again. */
static void own_gradient(Author *a) {
    static const char *const functions[] = {
        "fn t%d(x: num[..], y: num[..]) -> num[..] { x * tanh(y) } backward (dz) { return dz * tanh(y), 0.5 * dz * x }",
        "fn t%d(x: num[..], y: num[..]) -> (z: num[..]) { sin(x) + y } backward (dz) { return dz * z, none }",
        ("fn t%d(x: num[..], y: num[..]) -> (a: num[..], b: num[..]) { return x * y, cos(x) - y }\n"
         "backward (da, db) { return da * y - db * sin(x), da * x - db * b }")};
    Known x, both[2];
    if (!choose(a, is_f32, &x)) return;
    int y = partner(a, x).number, form = below(a, 3), t = top(a, functions[form], a->top_count);
    both[0] = both[1] = x;
    if (form == 2)
        let_several(a, both, 2, "t%d(v%d, v%d)", t, x.number, y);
    else
        let(a, x, form ? "t%d(v%d, stop_gradient(v%d))" : "t%d(v%d, v%d)", t, x.number, y);
    if (form == 1) a->values.at[a->values.n - 1].on = x.on;
}

static void again(Author *a) {
    static const char *const blocks[] = {"let u = tanh(v%1$d); u * sin(v%2$d + u)", "exp(-v%1$d * v%1$d) + v%2$d",
                                         "let u = cond v%3$d { sin(v%1$d) } else { v%2$d }; u * u / 2"};
    Known x;
    if (choose(a, is_f32, &x))
        let(a, x, "recompute { %s }", print(a, PICK(a, blocks), x.number, partner(a, x).number, a->flag));
}

/* The same on both sides: bits by seed, call and place, or by a key. */
static void drawn(Author *a) {
    static const char *const forms[] = {"dropout(v%1$d, 0.25)",
                                        "v%1$d + 0.25 * normal(dims(v%1$d))",
                                        "where(bernoulli(dims(v%1$d), 0.5), v%1$d, sin(v%1$d))",
                                        "v%1$d * uniform(dims(v%1$d), 0.5, 1.5)",
                                        "v%1$d + 0.25 * normal(dims(v%1$d), key = i64(v%2$d))",
                                        "v%1$d * f32(bernoulli(dims(v%1$d), 0.75, key = i64(v%2$d)))"};
    Known x, order = {.type = DTYPE_I32, .rank = 1, .shape = {size_of(a, 7)}};
    if (chance(a, 6))
        let(a, order, "permutation(7)");
    else if (choose(a, is_f32, &x) && x.rank)
        let(a, x, PICK(a, forms), x.number, a->at);
}

static bool leads_to_argument(const Known *k) {
    return is_f32(k) && !k->argument && k->on >> 48;
}

/* A gradient as a value, of an argument: what follows is differentiated again. */
static void slope(Author *a) {
    Known y;
    if (!choose(a, leads_to_argument, &y)) return;
    int arg = 0;
    while (!(y.on >> (48 + arg) & 1)) arg++;
    let(a, value_at(a, arg), "0.5 * tanh(grad(sum(sin(v%d)), v%d))", y.number, arg);
}

Makers control_makers(void) {
    static Maker *const all[] = {scan_plain, scan_plain, scan_cell, scan_cell,    choice, choice, loop,  loop,
                                 variable,   variable,   cache,     own_gradient, again,  drawn,  drawn, slope};
    return (Makers){all, sizeof all / sizeof *all};
}
