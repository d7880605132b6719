/* Input that means harm or nothing: whatever it is, the front end ends soon, with a diagnostic, without a crash. */
#include "dsl/dsl.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static char *oracle, *control;                 /* real models */
static size_t oracle_length, control_length;

typedef struct Outcome {
    int errors;
    DiagCode first;
    double seconds;
} Outcome;

static Outcome compile(const char *text, size_t length) {
    jmp_buf out_of_memory;
    Arena arena;
    Interner names;
    Diags diags;
    clock_t start = clock();
    arena_init(&arena, &out_of_memory);
    if (setjmp(out_of_memory)) {
        arena_reset(&arena);
        fail_msg("out of memory");
    }
    intern_init(&names, &arena);
    diags_init(&diags, &arena);
    DslOptions options = dsl_default_options();
    char *copy = malloc(length + 1);           /* exactly as long, so that a sanitizer sees reads beyond */
    memcpy(copy, text, length);
    dsl_compile(&arena, &names, &diags, "hostile.dl", copy, length, &options);
    Text out = text_new(&arena);
    diags_render(&diags, &out, false);
    Outcome o = {diags.errors, diags.all.n ? diags.all.at[0].code : DIAG_CODE_COUNT,
                 (double)(clock() - start) / CLOCKS_PER_SEC};
    free(copy);
    arena_reset(&arena);
    return o;
}

static void expect(const char *text, size_t length, DiagCode code) {
    Outcome o = compile(text, length);
    assert_true(o.errors > 0);
    if (code != DIAG_CODE_COUNT) assert_int_equal(o.first, code);
    assert_true(o.seconds < 20);
}

static char *repeat(const char *head, const char *piece, int n, const char *tail, size_t *length) {
    size_t h = strlen(head), p = strlen(piece), t = strlen(tail);
    char *s = malloc(h + p * (size_t)n + t + 1);
    memcpy(s, head, h);
    for (int i = 0; i < n; i++) memcpy(s + h + p * (size_t)i, piece, p);
    memcpy(s + h + p * (size_t)n, tail, t + 1);
    *length = h + p * (size_t)n + t;
    return s;
}

static void not_text(void **state) {
    (void)state;
    expect("model M() {\0}", 13, DL0105);
    expect("model \xff\xfe", 8, DL0105);
    expect("// \xc3", 4, DL0105);
    expect("// \xed\xa0\x80", 6, DL0105);
    expect("// \xf4\x90\x80\x80", 7, DL0105);
    expect("", 0, DL0505);
    expect("\n\n\n", 3, DL0505);
}

static void garbage(void **state) {
    enum { MEGABYTES = 10 << 20 };
    (void)state;
    char *s = malloc(MEGABYTES);
    uint32_t r = 1;
    for (int i = 0; i < MEGABYTES; i++) s[i] = (char)((r = r * 1664525u + 1013904223u) >> 24);
    expect(s, MEGABYTES, DL0703);
    expect(s, 1 << 20, DL0105);
    for (int i = 0; i < MEGABYTES; i++) s[i] = (char)(32 + (unsigned char)s[i] % 95);
    expect(s, MEGABYTES, DL0703);
    expect(s, 4 << 20, DIAG_CODE_COUNT);
    for (int i = 0; i < 4 << 20; i++) s[i] = "(){}[]\n a,=;"[(unsigned char)s[i] % 12];
    expect(s, 4 << 20, DIAG_CODE_COUNT);
    free(s);
}

static void deep(void **state) {
    static const struct { const char *head, *piece, *tail;
    } all[] = {
        {"fn f() { ", "(", ""},
        {"fn f() { ", "[", ""},
        {"fn f() { ", "-", "1 }"},
        {"fn f() { ", "not ", "x }"},
        {"fn f() { 1", " + 1", " }"},
        {"fn f() { 1", " ^ 1", " }"},
        {"fn f(x) { x", ".T", " }"},
        {"fn f(x) { x", "(1)", " }"},
        {"fn f(x) { x", "[0]", " }"},
        {"fn f() { ", "if true { ", ""},
        {"fn f() { if a { 1 }", " else if a { 1 }", " }"},
        {"fn f() { ", "f(", ""},
        {"", "{", ""},
        {"", "}", ""},
        {"fn f() { ", "recompute { ", ""},
        {"model M() { ", "fn f() { ", ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        size_t length;
        char *s = repeat(all[i].head, all[i].piece, 100000, all[i].tail, &length);
        expect(s, length, DIAG_CODE_COUNT);
        free(s);
    }
}

/* Deep recursion of deep expressions: both limits at once. */
static void deep_calls(void **state) {
    static const char *const all[][2] = {{"-(", ")"}, {"if true { ", " }"}, {"[", "]"}, {"f(", ")"}};
    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        size_t n, m, length;
        char *head = repeat("fn f(n) { ", all[i][0], 150, "f(n)", &n), *s = repeat(head, all[i][1], 150, " }\n", &m);
        char *whole = repeat(s, "", 0, "model M() { export fn g(x: f32) -> f32 { x * f(1) } }", &length);
        expect(whole, length, DIAG_CODE_COUNT);
        free(head);
        free(s);
        free(whole);
    }
}

/* Programs that would run for ever or fill memory. */
static void endless(void **state) {
    static const char *const all[] = {
        "layer A() { let a = A() }\nmodel M() { let a = A()\n export fn f(x: f32) -> f32 { x } }",
        "fn f(n) { f(n) + f(n) }\nmodel M() { export fn g(x: f32) -> f32 { x * f(1) } }",
        "fn f(n) { if n == 0 { 1 } else { f(n - 1) + f(n - 1) } }\nmodel M() { export fn g(x: f32) -> f32 { x * f(100) "
        "} }",
        "model M() { let a = [[[i for i in range(1000)] for j in range(1000)] for k in range(1000)]\n export fn f(x: "
        "f32) -> f32 { x * len(a) } }",
        "model M() { let a = [range(1000000) for i in range(100000)]\n export fn f(x: f32) -> f32 { x * len(a) } }",
        "fn f(s) { f(s + s) }\nmodel M() { export fn g(x: f32) -> f32 { x * f(\"ab\") } }",
        "fn f(s) { f(s + s) }\nmodel M() { export fn g(x: f32) -> f32 { x * f([1, 2]) } }",
        "dim N <= 1\nfn f(n) { f(n * n) }\nmodel M() { export fn g(x: f32[N]) -> f32 { f(N) } }",
        "dim N <= 9\ndim K <= 9\nfn f(n) { f(n * n + n) }\nmodel M() { export fn g(x: f32[N, K]) -> f32 { f(N + K) } }",
        "model M() { let a = 3 ^ 9223372036854775807\n export fn f(x: f32) -> f32 { x * a } }",
        "model M() { let a = 0 - 9223372036854775807 - 1\n let b = a % (0 - 1)\n let c = div(a, 0 - 1)\n let d = -a\n "
        "export fn f(x: f32) -> f32 { x * b * c * d } }",
        "model M() { param w: f32[1000000, 1000000, 1000000, 1000000] = zeros\n export fn f(x: f32) -> f32 { x * w[0, "
        "0, 0, 0] } }",
        "dim N <= 4611686018427387904\nmodel M() { export fn f(x: f32[N]) -> f32 { sum(x) } }",
        "model M() { export fn f(x: f32[1, 1, 1, 1, 1, 1, 1, 1, 1]) -> f32 { sum(x) } }",
        "model M() { export fn f(x: f32[0 - 3]) -> f32 { sum(x) } }",
        "model M() { export fn f(x: f32[3]) -> f32 { sum(x[0:0 - 9]) + sum(pad(x, [0 - 5], [0])) } }",
        "model M() { let a = a\n export fn f(x: f32) -> f32 { x * a } }",
        "model M(a: float = sqrt(-1.0)) { export fn f(x: f32) -> f32 { x * a } }",
        "model M(a: float = 1e999) { export fn f(x: f32) -> f32 { x * a } }",
        "model M { export fn f(x: f32) -> f32 { loop a = x while true { a = a } } }",
        "model M { export fn f(x: f32) -> i32 { scan t in range(9000000000000000000) with s = 0 { s = s + t } } }",
        "model M { export fn f(x: f32[3]) -> f32 { let a = scan _t in range(1000000000) { yield scan _u in "
        "range(1000000000) "
        "{ yield scan _v in range(1000000000) { yield x } } }\n sum(a) } }",
        "model M { export fn f(n: i32) -> f32 { dim L <= 1152921504606846975 = n\n sum(zeros([L, L])) } }",
        "model M { export fn f(n: i32) -> f32 { dim L <= 9223372036854775807 = n\n sum(zeros([L])) } }",
        "dim N <= 4\nmodel M { export fn f(x: f32[N]) -> f32 { sum(scan t in range(N - 9223372036854775807) { yield x "
        "}) } }",
    };
    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) expect(all[i], strlen(all[i]), DIAG_CODE_COUNT);
}

/* Bodies in bodies, each writing: elaborated a few times, not twice for each around it; and more than there may be. */
static void bodies(void **state) {
    static const char *const all[] = {"scan _t in range(2) { ", "cond x > 0 { ", "recompute { ",
                                      "loop _a = 0 while x > 1 { "};
    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        for (int n = 30; n <= 3000; n *= 10) {
            size_t a, b, c;
            const char *close = i == 1 ? " } else { }" : " }";
            char *head =
                     repeat("model M { state n: i32 = 0\n export fn f(x: f32) -> i32 { ", all[i], n, "n <- n + 1", &a),
                 *s = repeat(head, close, n, "\n return n } }", &b), *copy = repeat(s, "", 0, "", &c);
            Outcome o = compile(copy, c);
            assert_true(o.seconds < 20);
            assert_int_equal(o.errors > 0, n > 30);
            free(head);
            free(s);
            free(copy);
        }
    const char recursion[] = "fn f(x) { scan _t in range(2) with a = x { a = f(a) } }\n"
                             "model M { export fn g(x: f32) -> f32 { f(x) } }";
    expect(recursion, sizeof recursion - 1, DL0701);
}

/* Real models cut off at places, with a byte changed, with a piece taken out: no crash, no hang. */
static void damage(const char *text, size_t whole, size_t step, int rounds) {
    uint32_t r = 7;
    for (size_t n = 0; n < whole; n += step) compile(text, n);
    char *s = malloc(whole);
    for (int i = 0; i < rounds; i++) {
        memcpy(s, text, whole);
        size_t length = whole;
        for (int k = 0; k < 1 + i % 4; k++) {
            r = r * 1664525u + 1013904223u;
            size_t at = (r >> 8) % length;
            if (i % 3) s[at] = "(){}[],.:;=+-*/@<>?\"\n az09_ "[(r >> 4) % 29];
            else if (length > 40) {
                size_t cut = 1 + (r >> 3) % 20;
                if (at + cut > length) continue;
                memmove(s + at, s + at + cut, length - at - cut);
                length -= cut;
            }
        }
        assert_true(compile(s, length).seconds < 20);
    }
    free(s);
}

static void damaged(void **state) {
    (void)state;
    damage(oracle, oracle_length, 7, 1000);
    damage(control, control_length, 53, 300);
}

static char *read_model(const char *folder, const char *name, size_t *length) {
    char path[4096];
    snprintf(path, sizeof path, "%s/tests/dsl/%s", folder, name);
    FILE *f = fopen(path, "rb");
    if (!f) exit(2);
    char *text = malloc(1 << 16);
    *length = fread(text, 1, 1 << 16, f);
    fclose(f);
    return text;
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(not_text),   cmocka_unit_test(garbage), cmocka_unit_test(deep),
        cmocka_unit_test(deep_calls), cmocka_unit_test(endless), cmocka_unit_test(bodies), cmocka_unit_test(damaged),
    };
    oracle = read_model(argc > 1 ? argv[1] : ".", "oracle.dl", &oracle_length);
    control = read_model(argc > 1 ? argv[1] : ".", "control.dl", &control_length);
    int bad = cmocka_run_group_tests(tests, NULL, NULL);
    free(oracle);
    free(control);
    return bad;
}
