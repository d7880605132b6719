/* What a compiled module holds: names of variables, documentation, ports, random sites, and the library's list. */
#include "dsl/dsl.h"
#include "interp/interp.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

typedef struct Session {
    jmp_buf out_of_memory;
    Arena arena, scratch;
    Interner names;
    Diags diags;
} Session;

static int open_session(void **state) {
    Session *s = test_calloc(1, sizeof *s);
    arena_init(&s->arena, &s->out_of_memory);
    arena_init(&s->scratch, &s->out_of_memory);
    if (setjmp(s->out_of_memory)) return 1;
    intern_init(&s->names, &s->arena);
    *state = s;
    return 0;
}

static int close_session(void **state) {
    Session *s = *state;
    arena_reset(&s->scratch);
    arena_reset(&s->arena);
    test_free(s);
    return 0;
}

static Module *compile(Session *s, const char *text, DType num) {
    DslOptions options = dsl_default_options();
    options.num = num;
    options.in_double = num == DTYPE_F64;
    diags_init(&s->diags, &s->arena);
    Module *m = dsl_compile(&s->arena, &s->names, &s->diags, "test.dl", text, strlen(text), &options);
    Text t = text_new(&s->arena);
    diags_render(&s->diags, &t, false);
    if (!m) fail_msg("%s", text_get(&t));
    return m;
}

static void assert_vars(const Module *m, const char *const *names, int n) {
    assert_int_equal(m->vars.n, n);
    for (int i = 0; i < n; i++) assert_string_equal(m->vars.at[i]->name, names[i]);
}

static void paths(void **state) {
    Module *m = compile(*state,
        "layer Cell(n: int, tag: str) { param w: num[n] = zeros as \"weight{tag}\"\n fn (x) { x * w } }\n"
        "layer Stack(n: int) {\n"
        "  let cells = [[Cell(n, \"_l{l}\" + [\"\", \"_reverse\"][d]) for d in range(2)] for l in range(2)] as \"\"\n"
        "  fn (x) { cells[0][0](x) + cells[0][1](x) + cells[1][0](x) + cells[1][1](x) } }\n"
        "layer Holds(n: int, inner: layer) { state seen: i64 = 0\n fn (x) { seen <- seen + 1\n return inner(x) } }\n"
        "model M() {\n"
        "  let rnn = Stack(4)\n"
        "  let h = [Linear(4, 4, bias = false) for i in range(2)]\n"
        "  let renamed = Linear(4, 4) as \"features.0\"\n"
        "  let held = Holds(4, Linear(4, 4, bias = false))\n"
        "  let again = Holds(4, renamed)\n"
        "  export fn f(x: f32[2, 4]) -> f32[2, 4] { again(held(renamed(h[1](h[0](rnn(x)))))) }\n"
        "}\n", DTYPE_F32);
    static const char *const names[] = {
        "rnn.weight_l0", "rnn.weight_l0_reverse", "rnn.weight_l1",   "rnn.weight_l1_reverse", "h.0.weight",
        "h.1.weight",    "features.0.weight",     "features.0.bias", "held.inner.weight",     "held.seen",
        "again.seen",
    };
    assert_vars(m, names, 11);
    assert_int_equal(m->vars.at[9]->kind, VAR_STATE);
}

static void slots(void **state) {
    Module *m = compile(*state,
        "model M() {\n"
        "  param w: f32[3] = ones\n"
        "  let opt = sgd(momentum = 0.9)\n"
        "  fn loss(x: f32[3]) -> f32 { sum(w * x) }\n"
        "  export fn a(x: f32[3], lr: f32) -> (l: f32, step: i64) {\n"
        "    let l = loss(x)\n minimize l with opt(lr)\n return l, opt.step }\n"
        "  export fn b(x: f32[3], lr: f32) -> f32 { let l = loss(x)\n minimize l with opt(lr)\n return l }\n"
        "  export fn c(x: f32[3]) -> f32 { let l = loss(x)\n minimize l with adam(0.1)\n return l }\n"
        "  export fn d(x: f32[3]) -> f32 { let l = loss(x)\n minimize l with adam(0.1)\n return l }\n"
        "}\n", DTYPE_F32);
    static const char *const names[] = {
        "w",          "opt.step",        "w.opt.momentum_buffer", "adam.step", "w.adam.exp_avg", "w.adam.exp_avg_sq",
        "adam2.step", "w.adam2.exp_avg", "w.adam2.exp_avg_sq",
    };
    assert_vars(m, names, 9);
    for (int i = 1; i < 9; i++) assert_int_equal(m->vars.at[i]->kind, VAR_SLOT);
}

static void documentation(void **state) {
    Module *m = compile(*state,
        "/// The file.\n\n"
        "dim B <= 8\n"
        "/// The model.\n"
        "model M() {\n"
        "  /// The scale.\n"
        "  param w: f32[3] = ones\n"
        "  /// Scales.\n"
        "  /// In two lines.\n"
        "  export fn f(\n"
        "      /// The input.\n"
        "      x: f32[B, 3]) -> (\n"
        "      /// The output.\n"
        "      y: f32[B, 3], f32) { x * w, sum(x) }\n"
        "}\n", DTYPE_F32);
    Func *f = m->funcs.at[0];
    assert_string_equal(m->name, "M");
    assert_string_equal(m->doc, "The file.");
    assert_string_equal(m->vars.at[0]->doc, "The scale.");
    assert_string_equal(f->name, "f");
    assert_string_equal(f->doc, "Scales.\nIn two lines.");
    assert_string_equal(f->inputs.at[0].name, "x");
    assert_string_equal(f->inputs.at[0].doc, "The input.");
    assert_string_equal(f->results.at[0].name, "y");
    assert_string_equal(f->results.at[0].doc, "The output.");
    assert_null(f->results.at[1].name);
    assert_int_equal(f->dims.n, 1);
    assert_string_equal(f->dims.at[0]->name, "B");
    assert_int_equal(f->dims.at[0]->upper, 8);
}

/* A dim divides by a sum of dims where the quotient is a dim: as in the mean over what was padded. */
static void divided_dims(void **state) {
    Module *m = compile(*state,
                        "dim B <= 8\ndim T <= 5\n"
                        "model M() {\n"
                        "  export fn f(x: f32[B, T]) -> (a: f32[B + 2], b: f32[2 * T + 1], c: f32[B + 4]) {\n"
                        "    let n = (2 * B * T + 6 * T + B + 3) / (B + 3)\n"
                        "    return zeros([(B * B + 3 * B + 2) / (B + 1)]) + sum(x), zeros([n]), mean(pad(x, [2, 0], [2, 0]), axis = 1)\n"
                        "  }\n"
                        "}\n", DTYPE_F32);
    assert_int_equal(m->funcs.at[0]->results.n, 3);
}

static void f64_mode(void **state) {
    Module *m = compile(*state,
                        "model M() { param w: f32[3] = ones\n param v: num[3] = ones\n export fn f(x: f32[3], n: i32) "
                        "-> f32[3] { f32(n) * x * w * v } }",
                        DTYPE_F64);
    assert_int_equal(m->vars.at[0]->type.dtype, DTYPE_F64);
    assert_int_equal(m->vars.at[1]->type.dtype, DTYPE_F64);
    assert_int_equal(m->funcs.at[0]->body->params.at[0]->type.dtype, DTYPE_F64);
    assert_int_equal(m->funcs.at[0]->body->params.at[1]->type.dtype, DTYPE_I32);
}

static const Tensor *one_result(Session *s, Interp *in, int func, int which) {
    Tensor *results[8];
    (void)s;
    if (!interp_run(in, in->module->funcs.at[func], NULL, NULL, results)) fail_msg("%s", in->error);
    return results[which];
}

static bool same(const Tensor *a, const Tensor *b) {
    return a->count == b->count && !memcmp(a->at, b->at, sizeof *a->at * (size_t)a->count);
}

/* Draws differ by place, function and call, repeat with the seed, and have the promised distribution. */
static void randomness(void **state) {
    Session *s = *state;
    Module *m = compile(s,
                        "layer Noise() { fn (n: int) { normal([n]) } }\n"
                        "model M() {\n"
                        "  param a: f32[64] = uniform(-1, 1)\n"
                        "  param b: f32[64] = uniform(-1, 1)\n"
                        "  let one = Noise()\n let two = Noise()\n"
                        "  export fn f() -> (p: f32[10000], q: f32[10000], r: f32[10000], u: f32[10000]) { one(10000), "
                        "one(10000), two(10000), uniform([10000]) }\n"
                        "  export fn g() -> (p: f32[10000], k: f32[10000], l: f32[10000]) { one(10000), "
                        "normal([10000], key = 3), normal([10000], key = 3) }\n"
                        "}\n",
                        DTYPE_F32);
    Interp *in = interp_open(m, &s->arena, &s->scratch, false);
    assert_true(interp_init(in, 1));
    assert_false(same(in->vars[0], in->vars[1]));
    const Tensor *p = one_result(s, in, 0, 0), *p2 = one_result(s, in, 0, 0), *other = one_result(s, in, 1, 0);
    const Tensor *key = one_result(s, in, 1, 1), *key2 = one_result(s, in, 1, 1);
    assert_false(same(p, p2));
    assert_false(same(p, other));
    assert_true(same(key, key2));
    assert_true(interp_init(in, 1));
    assert_true(same(p, one_result(s, in, 0, 0)));
    assert_true(interp_init(in, 2));
    assert_false(same(p, one_result(s, in, 0, 0)));
    assert_true(interp_init(in, 1));
    Tensor *r[4];
    assert_true(interp_run(in, m->funcs.at[0], NULL, NULL, r));
    for (int i = 0; i < 4; i++)
        for (int k = 0; k < i; k++) assert_false(same(r[i], r[k]));
    double mean = 0, square = 0, low = 1, high = 0;
    for (int i = 0; i < 10000; i++) {
        mean += r[0]->at[i].f / 10000;
        square += r[0]->at[i].f * r[0]->at[i].f / 10000;
        if (r[3]->at[i].f < low) low = r[3]->at[i].f;
        if (r[3]->at[i].f > high) high = r[3]->at[i].f;
    }
    assert_true(mean > -0.05 && mean < 0.05 && square > 0.93 && square < 1.07);
    assert_true(low >= 0 && low < 0.002 && high < 1 && high > 0.998);
}

/* Reads see the last write; a result computed before an update keeps its value; state is written in order. */
static void versions(void **state) {
    Session *s = *state;
    Module *m = compile(s,
        "model M() {\n"
        "  param w: f32 = 2\n state n: i32 = 5\n"
        "  export fn f() -> (a: f32, b: f32, c: i32, d: i32) {\n"
        "    let before = w\n let c = n\n"
        "    minimize w * w with sgd(0.25)\n"
        "    n <- n + 1\n n <- n * 2\n"
        "    return before, w, c, n\n"
        "  }\n"
        "}\n", DTYPE_F32);
    Interp *in = interp_open(m, &s->arena, &s->scratch, false);
    Tensor *r[4];
    assert_true(interp_init(in, 1));
    assert_true(interp_run(in, m->funcs.at[0], NULL, NULL, r));
    assert_true(r[0]->at->f == 2 && r[1]->at->f == 1 && r[2]->at->i == 5 && r[3]->at->i == 12);
    assert_true(interp_run(in, m->funcs.at[0], NULL, NULL, r));
    assert_true(r[0]->at->f == 1 && r[1]->at->f == 0.5 && r[2]->at->i == 12 && r[3]->at->i == 26);
}

/* relu keeps NaN and has gradient 0 at 0; norm's gradient at 0 is 0; what is written is a constant for gradients. */
static void gradients_at_edges(void **state) {
    Session *s = *state;
    Module *m = compile(s,
        "model M() {\n"
        "  param w: f32 = 3\n state kept: f32 = 0\n"
        "  export fn f(x: f32[3]) -> (y: f32[3], g: f32[3], h: f32[3]) {\n"
        "    relu(x), grad(sum(relu(x)), x), grad(norm(x * 0) + norm(x), x) }\n"
        "  export fn g() -> f32 {\n"
        "    kept <- w * w\n"
        "    return grad(kept * w, w) }\n"
        "}\n", DTYPE_F32);
    Interp *in = interp_open(m, &s->arena, &s->scratch, false);
    Tensor *x = tensor_new(&s->arena, DTYPE_F32, 1, (int64_t[]){3}), *r[3];
    assert_true(interp_init(in, 1));
    x->at[0].f = NAN;
    x->at[1].f = 0;
    x->at[2].f = 2;
    assert_true(interp_run(in, m->funcs.at[0], NULL, &x, r));
    assert_true(isnan(r[0]->at[0].f) && r[0]->at[1].f == 0 && r[0]->at[2].f == 2);
    assert_true(r[1]->at[1].f == 0 && r[1]->at[2].f == 1);
    x->at[0].f = 0;
    assert_true(interp_run(in, m->funcs.at[0], NULL, &x, r));
    assert_true(r[2]->at[0].f == 0 && r[2]->at[1].f == 0 && r[2]->at[2].f == 1);
    assert_true(interp_run(in, m->funcs.at[1], NULL, NULL, r));
    assert_true(r[0]->at->f == 9);             /* 27 if the gradient went through the write */
}

/* `training` holds where a gradient of a parameter is taken, however the function comes to it. */
static void training_flag(void **state) {
    Session *s = *state;
    Module *m = compile(s,
        "layer Net() {\n"
        "  param w: f32 = 3\n"
        "  fn (x) { if training { 10 * w * x } else { w * x } }\n"
        "  fn slope(x) { grad(self(x), w) }\n"
        "  fn learn(x) { if x == 0 { minimize self(2.0) with sgd(0.0) } } }\n"
        "model M() {\n"
        "  let net = Net()\n"
        "  export fn by_name(x: f32) -> f32 { let p = params(net)\n return sum(grad(net(x), p)) }\n"
        "  export fn by_layer(x: f32) -> f32 { net.slope(x) }\n"
        "  export fn of_input(x: f32) -> f32 { grad(net(x), x) }\n"
        "  export fn never(x: f32) -> f32 { if false { minimize net(x) with sgd(0.1) }\n return net(x) }\n"
        "  export fn told(x: f32) -> f32 { grad(net(x, training = false), net.w) }\n"
        "  export fn inside(x: f32) -> f32 { net.learn(0)\n return net(x) }\n"
        "}\n", DTYPE_F32);
    Interp *in = interp_open(m, &s->arena, &s->scratch, false);
    Tensor *x = tensor_new(&s->arena, DTYPE_F32, 0, NULL), *r[1];
    static const double wanted[] = {20, 20, 3, 6, 2, 60};
    assert_true(interp_init(in, 1));
    x->at->f = 2;
    for (int i = 0; i < 6; i++) {
        assert_true(interp_run(in, m->funcs.at[i], NULL, &x, r));
        assert_true(r[0]->at->f == wanted[i]);
    }
    assert_int_equal(m->vars.n, 2);            /* the weight and one step of sgd: no second attempt left its own */
}

/* `like(x)` of a parameter itself takes anything; a pattern matches the end of a name too. */
static void types_of_values(void **state) {
    Session *s = *state;
    Module *m = compile(s,
        "fn twice(g: like(g)) -> like(g) { g + g }\n"
        "layer Net() { let embed = Linear(2, 2)\n let out = Linear(2, 2)\n fn (x) { out(embed(x)) } }\n"
        "model M() {\n"
        "  let net = Net()\n"
        "  export fn f(x: f32[2]) -> (f32[2], f32[2, 2], i32[4]) {\n"
        "    let g = twice(grad(sum(net(x)), params(net)))\n"
        "    return twice(x), g[0], [len([p for p in params(net) if matches(p, q)])\n"
        "                            for q in [\"embed.*\", \"*.bias\", \"bias\", \"net.out.weight\"]]\n"
        "  }\n"
        "}\n", DTYPE_F32);
    Interp *in = interp_open(m, &s->arena, &s->scratch, false);
    Tensor *x = tensor_new(&s->arena, DTYPE_F32, 1, (int64_t[]){2}), *r[3];
    static const int64_t wanted[] = {2, 2, 2, 1};
    x->at[0].f = 3;
    assert_true(interp_run(in, m->funcs.at[0], NULL, &x, r));
    assert_true(r[0]->at[0].f == 6);
    for (int i = 0; i < 4; i++) assert_int_equal(r[2]->at[i].i, wanted[i]);
}

static void label_names(void **state) {
    Session *s = *state;
    Module *m = compile(
        s, "dim B <= 4\nmodel M() { export fn f(z: f32[B, 3], label: i32[B]) -> f32 { cross_entropy(z, label) } }",
        DTYPE_F32);
    Interp *in = interp_open(m, &s->arena, &s->scratch, false);
    Tensor *z = tensor_new(&s->arena, DTYPE_F32, 2, (int64_t[]){2, 3}),
           *y = tensor_new(&s->arena, DTYPE_I32, 1, (int64_t[]){2}), *r[1];
    y->at[1].i = 3;
    assert_false(interp_run(in, m->funcs.at[0], NULL, (Tensor *[]){z, y}, r));
    assert_non_null(strstr(in->error, "label"));
}

static void list(void **state) {
    Session *s = *state;
    for (int sort = 0; sort < DSL_SORT_COUNT; sort++) {
        int n;
        const DslEntry *all = dsl_list(&s->arena, &s->names, (DslSort)sort, &n);
        assert_true(n > 0);
        for (int i = 0; i < n; i++) {
            assert_true(all[i].line > 0 && !strncmp(all[i].path, "std/", 4) && all[i].doc &&
                        strchr(all[i].signature, ')'));
            assert_true(!i || strcmp(all[i - 1].name, all[i].name) < 0);
        }
        if (sort == DSL_OPTIMIZERS) assert_string_equal(all[0].name, "adadelta");
    }
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_session, close_session)
    const struct CMUnitTest tests[] = {
        TEST(paths),
        TEST(slots),
        TEST(documentation),
        TEST(divided_dims),
        TEST(f64_mode),
        TEST(randomness),
        TEST(versions),
        TEST(gradients_at_edges),
        TEST(training_flag),
        TEST(types_of_values),
        TEST(label_names),
        TEST(list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
