/* Whole models: arguments, statements, results, losses and how they are minimised; their text. See author.h. */
#include "author.h"

#include <string.h>

static void add_argument(Author *a, DType t, int rank, Size first) {
    static const int sizes[] = {1, 2, 3, 4, 6, 8, 17};
    bool floats = dtype_is_float(t);
    Known k = {.number = a->values.n, .type = t, .rank = rank, .argument = true, .apart = floats};
    k.on = floats ? (uint64_t)1 << (48 + k.number) : 0;
    for (int i = 0; i < rank; i++) k.shape[i] = i == 0 ? first : size_of(a, sizes[below(a, 6 + (rank < 3))]);
    vec_push(a->arena, &a->values, k);
}

static void add_arguments(Author *a) {
    static const DType others[] = {DTYPE_F64, DTYPE_F16, DTYPE_BF16, DTYPE_I32, DTYPE_I64, DTYPE_I8, DTYPE_U8};
    a->b = (Size){"B", 1, BOUND_B, false};
    a->t = (Size){"T", 2, BOUND_T, false};
    a->g = (Size){"G", 0, BOUND_G, false};
    add_argument(a, DTYPE_F32, 2, a->b);
    add_argument(a, DTYPE_F32, 1 + below(a, 3), a->b);
    add_argument(a, DTYPE_F32, 2 + below(a, 2), a->t);
    if (chance(a, 2)) a->values.at[2].shape[1] = a->b;
    add_argument(a, DTYPE_F32, 1 + below(a, 2), a->g);
    add_argument(a, DTYPE_F32, 1 + below(a, 3), size_of(a, 2 + below(a, 6)));
    add_argument(a, PICK(a, others), 1 + below(a, 2), chance(a, 2) ? a->b : size_of(a, 1 + below(a, 6)));
    a->index = a->values.n;
    add_argument(a, DTYPE_I32, 1, a->b);
    a->pairs = a->values.n;
    add_argument(a, DTYPE_I32, 2, a->b);
    a->values.at[a->pairs].shape[1] = size_of(a, 3);
    a->at = a->values.n;
    add_argument(a, DTYPE_I32, 0, a->b);
    a->flag = a->values.n;
    add_argument(a, DTYPE_BOOL, 0, a->b);
    for (int i = a->index; i <= a->flag; i++) a->values.at[i].uses = 1;
}

static void write_body(Author *a, int statements) {
    Makers sorts[5] = {maths_makers(), move_makers(), index_makers(), layer_makers(), control_makers()};
    static const int shares[] = {0, 0, 0, 1, 2, 2, 3, 3, 4, 4};
    for (int tries = 0; a->code.n < statements && tries < 4 * statements; tries++) {
        Makers m = sorts[PICK(a, shares)];
        m.all[below(a, m.count)](a);
    }
}

/* The value as a result; now and then summed over dims that the call finds, truths counted. */
static const char *result_text(Author *a, int i) {
    const Known *k = &a->values.at[i];
    Text axes = text_new(a->arena);
    for (int d = 0; d < k->rank; d++)
        if (k->shape[d].late) text_add(&axes, "%s%d", axes.n ? ", " : "", d);
    if (!axes.n || chance(a, 2)) return print(a, "v%d", i);
    return print(a, k->type == DTYPE_BOOL ? "count(v%d, axis = [%s])" : "sum(v%d, axis = [%s])", i, text_get(&axes));
}

/* Everything that nothing reads is a result, up to some number; at least one. */
static void add_results(Story *s) {
    Author *a = s->author;
    for (int i = a->values.n - 1; i > a->flag && s->results.n < 8; i--)
        if (!a->values.at[i].uses || chance(a, 8)) vec_push(a->arena, &s->results, (Term){result_text(a, i), false});
    if (!s->results.n) vec_push(a->arena, &s->results, (Term){result_text(a, a->values.n - 1), false});
}

/* Means of tame functions of what nothing reads; sums where there may be nothing. */
static void add_losses(Story *s, uint64_t *on) {
    static const char *const forms[] = {"tanh", "sin", "sigmoid", "0.5 * softplus", "tanh"};
    Author *a = s->author;
    *on = 0;
    for (int i = a->values.n - 1; i >= 0 && s->losses.n < 6; i--) {
        const Known *k = &a->values.at[i];
        bool may_be_empty = false;
        if (!dtype_is_float(k->type) || (k->uses && i && !chance(a, 10))) continue;
        for (int d = 0; d < k->rank; d++) may_be_empty |= !k->shape[d].low;
        const char *value = k->type == DTYPE_F32 ? print(a, "v%d", i) : print(a, "f32(v%d)", i);
        const char *term = print(a, may_be_empty ? "sum(%s(%s)) / 8" : "mean(%s(%s))", PICK(a, forms), value);
        vec_push(a->arena, &s->losses, (Term){term, false});
        *on |= k->on;
    }
}

/* Members that the loss reaches, as a list; only those of one half if it is not 2. */
static const char *group_text(Author *a, uint64_t on, int half) {
    Text t = text_new(a->arena);
    bool any = false;
    text_add(&t, "[");
    for (int i = 0; i < a->learned.n; i++) {
        int m = a->learned.at[i];
        if (m >= 48 || !(on >> m & 1) || (half != 2 && i % 2 != half)) continue;
        text_add(&t, "%sm%d", any ? ", " : "", m);
        any = true;
    }
    text_add(&t, "]");
    return any ? text_get(&t) : NULL;
}

static const char *const optimizers[] = {"sgd",
                                         "sgd(momentum = 0.9)",
                                         "sgd(momentum = 0.5, nesterov = true)",
                                         "adam(eps = 0.5)",
                                         "adamw(eps = 0.5)",
                                         "rmsprop(eps = 0.5)",
                                         "adam(eps = 0.5, amsgrad = true)",
                                         "nadam(eps = 0.5)",
                                         "radam(eps = 0.5)",
                                         "adagrad(eps = 0.5)",
                                         "adadelta(eps = 0.5)",
                                         "adamax(eps = 0.5)",
                                         "lamb(eps = 0.5)",
                                         "rmsprop(eps = 0.5, momentum = 0.5, centered = true)"};

/* "adam(lr, eps = 0.5)" */
static const char *optimizer_text(Author *a, const char *rate) {
    const char *o = PICK(a, optimizers), *bracket = strchr(o, '(');
    if (!bracket) return print(a, "%s(%s)", o, rate);
    return print(a, "%.*s(%s, %s", (int)(bracket - o), o, rate, bracket + 1);
}

/* How the loss is minimised: at once, by groups, by a gradient that is cut, by an optimizer with a schedule, with the
 * gradient's own size in it, in a scan of steps, with a running mean of a parameter behind it. */
static const char *update_text(Author *a, uint64_t on) {
    const char *all = group_text(a, on, 2), *even = group_text(a, on, 0), *odd = group_text(a, on, 1);
    int way = below(a, 9), s = a->member_count;
    if (way == 1 && even && odd)
        return print(a, "        minimize loss over %s with %s\n        minimize 0.5 * loss * loss over %s with %s\n",
                     even, optimizer_text(a, "lr"), odd, optimizer_text(a, "0.5 * lr"));
    if (way == 2 && all)
        return print(
            a, "        let g = grad(loss, params(%s))\n        apply clip_norm(g, 0.125) to params(%s) with %s\n", all,
            all, optimizer_text(a, "lr"));
    if (way == 3 && all)
        return print(
            a,
            "        let g = grad(loss, params(%s))\n        apply clamp(g, -0.0625, 0.0625) to params(%s) with %s\n",
            all, all, optimizer_text(a, "lr"));
    if (way == 4) {
        member(a, "let s%d = adam(eps = 0.5)", s);
        return print(a, "        minimize loss with s%d(lr / (1 + f32(s%d.step)))\n", s, s);
    }
    if (way == 5 && all)
        return print(a,
                     "        let p = grad(loss, params(%s))\n        let total = loss + 0.0625 * sum(p ^ 2)\n"
                     "        minimize total over %s with %s\n",
                     all, all, optimizer_text(a, "lr"));
    if (way == 6) {
        member(a, "let s%d = sgd(momentum = 0.5)", s);
        return print(a,
                     "        minimize loss with %s\n        scan k in range(T) {\n"
                     "            minimize (m0 - 0.25 * f32(k)) ^ 2 over m0 with s%d(lr)\n        }\n",
                     optimizer_text(a, "lr"), s);
    }
    if (way == 7) {
        member(a, "state s%d: num = 1", s);
        return print(a, "        minimize loss with %s\n        s%d <- 0.875 * s%d + 0.125 * m0\n",
                     optimizer_text(a, "lr"), s, s);
    }
    return print(a, "        minimize loss with %s\n", optimizer_text(a, "lr"));
}

/* Gradients added up over parts of a batch, in a scan, and applied once. */
static const char *accumulation_text(Author *a) {
    int n = 1 + below(a, 6), m = learn(a, "let m%d = Linear(%d, 3)", a->member_count, n);
    member(a, "let s%d = adam(eps = 0.5)", a->member_count);
    return print(a,
                 "    export fn accumulate(x: f32[T, B, %d], y: f32[T, B, 3], lr: f32) -> (loss: f32) {\n"
                 "        let ls, g = scan xb in x, yb in y with g = zeros(like(params(m%d))) {\n"
                 "            let l = mean((tanh(m%d(xb)) - yb) ^ 2)\n            g = g + grad(l, params(m%d))\n"
                 "            yield l\n        }\n        apply g / f32(T) to params(m%d) with s%d(lr)\n"
                 "        return mean(ls)\n    }\n",
                 n, m, m, m, m, a->member_count - 1);
}

Story *story_new(Arena *arena, uint64_t seed) {
    Author *a = arena_new(arena, Author);
    Story *s = arena_new(arena, Story);
    *a = (Author){.arena = arena, .random = seed};
    *s = (Story){.author = a, .extra = ""};
    uint64_t on;
    learn(a, "param m%d: num = ones", a->member_count);
    add_arguments(a);
    write_body(a, 6 + below(a, 10));
    add_losses(s, &on);
    add_results(s);
    s->update = update_text(a, on | 1);
    if (chance(a, 5)) s->extra = accumulation_text(a);
    s->as_argument = arena_array(arena, uint8_t, a->values.n + 1);
    return s;
}

/* ------------------------------------------------------------------------------- text */

/* What is named by what is kept. */
typedef struct Needed {
    bool *values, *members, *tops;
} Needed;

static void need(void *user, char letter, int number) {
    Needed *n = user;
    bool *of = letter == 'v' ? n->values : letter == 't' ? n->tops : n->members;
    if (letter != 't' || number < 1000) of[number] = true;
}

static bool piece_needed(const Story *s, const Piece *p, const bool *values) {
    if (p->dropped) return false;
    bool needed = p->checks || !s->lean;
    for (int i = 0; i < p->count; i++) needed |= values[p->first + i];
    return needed;
}

static bool piece_given(const Story *s, const Piece *p) {
    bool given = p->count > 0;
    for (int i = 0; i < p->count; i++) given = given && s->as_argument[p->first + i];
    return given;
}

/* The statements from which `tail` follows. */
static const char *code_text(const Story *s, Arena *arena, const char *tail, Needed *n) {
    const Author *a = s->author;
    const char **kept = arena_array(arena, const char *, a->code.n + 1);
    visit_names(tail, need, n);
    for (int i = a->code.n - 1; i >= 0; i--) {
        const Piece *p = &a->code.at[i];
        if (piece_given(s, p) || !piece_needed(s, p, n->values)) continue;
        kept[i] = p->text;
        visit_names(p->text, need, n);
    }
    Text t = text_new(arena);
    for (int i = 0; i < a->code.n; i++)
        if (kept[i]) text_add(&t, "%s", kept[i]);
    text_add(&t, "%s", tail);
    return text_get(&t);
}

static const char *arguments_text(const Story *s, Arena *arena, const bool *needed) {
    Text t = text_new(arena);
    for (int i = 0; i < s->author->values.n; i++) {
        const Known *k = &s->author->values.at[i];
        if ((!k->argument && !s->as_argument[i]) || (s->lean && !needed[i])) continue;
        const char *shape = k->rank ? arena_printf(arena, "[%s]", shape_text(s->author, k)) : "";
        text_add(&t, "v%d: %s%s, ", i, dtype_name(k->type), shape);
    }
    return text_get(&t);
}

static const char *join(Arena *arena, const Term *terms, int n, const char *between) {
    Text t = text_new(arena);
    const char *before = "";
    for (int i = 0; i < n; i++) {
        if (terms[i].dropped) continue;
        text_add(&t, "%s%s", before, terms[i].text);
        before = between;
    }
    return text_get(&t);
}

/* Members or functions, those named by others too. */
static const char *pieces_text(const Story *s, Arena *arena, const Piece *pieces, int count, const bool *needed) {
    Text t = text_new(arena);
    for (int i = 0; i < count; i++)
        if (!s->lean || needed[pieces[i].first]) text_add(&t, "%s", pieces[i].text);
    return text_get(&t);
}

const char *story_text(Story *s, Arena *arena) {
    const Author *a = s->author;
    Needed n = {arena_array(arena, bool, a->values.n + 1), arena_array(arena, bool, a->member_count + 1),
                arena_array(arena, bool, a->top_count + 1)};
    const char *results = join(arena, s->results.at, s->results.n, ", ");
    const char *losses = join(arena, s->losses.at, s->losses.n, " + ");
    Text functions = text_new(arena), t = text_new(arena);
    if (!s->no_function) {
        const char *tail = arena_printf(arena, "        return %s\n", results);
        const char *code = code_text(s, arena, tail, &n);
        text_add(&functions, "    export fn f(%s) {\n%s    }\n", arguments_text(s, arena, n.values), code);
    }
    if (!s->no_training) {
        memset(n.values, 0, sizeof *n.values * (size_t)a->values.n);
        const char *tail =
            arena_printf(arena, "        let loss = m0 * (%s)\n%s        return loss\n", losses, s->update);
        const char *code = code_text(s, arena, tail, &n);
        text_add(&functions, "    export fn train(%slr: f32) {\n%s    }\n", arguments_text(s, arena, n.values), code);
    }
    if (!s->no_extra) {
        visit_names(s->extra, need, &n);
        text_add(&functions, "%s", s->extra);
    }
    text_add(&t, "dim B <= %d\ndim 2 <= T <= %d\ndim 0 <= G <= %d\n\n", BOUND_B, BOUND_T, BOUND_G);
    text_add(&t, "%s", pieces_text(s, arena, a->tops.at, a->tops.n, n.tops));
    text_add(&t, "model M {\n%s", pieces_text(s, arena, a->members.at, a->members.n, n.members));
    text_add(&t, "%s}\n", text_get(&functions));
    return text_get(&t);
}
