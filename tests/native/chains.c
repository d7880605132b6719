/* Attention in native code, forward and backward, whose kernels run slice by slice: with run-time dims, grouped heads,
 * masks, in f32 and f64; against the reference, and bit for bit against the same without chains. */
#include "native.h"

#include <setjmp.h>
#include <cmocka.h>

static void check(const char *source, const char *const *names, int count, const int64_t (*dims)[3], int dim_count,
                  double tolerance) {
    static const char *const cpus[] = {NULL, "x86-64-v3"};
    for (int c = 0; c < 2; c++) {
        NativeOptions options = {.cpu = cpus[c], .threads = 3, .divide = true, .unchained = true};
        Native *n = native_open_source_with("chains.dl", source, &options);
        for (int i = 0; i < count; i++)
            for (int d = 0; d < dim_count; d++) native_check(n, names[i], dims[d], tolerance);
        native_close(n);
    }
}

static const int64_t sizes[][3] = {{1, 1, 1}, {2, 5, 7}, {3, 17, 4}, {1, 16, 33}};

#define FUNCTIONS(type)                                                                                                \
    "dim B <= 3\ndim T <= 17\ndim S <= 33\nmodel M() {\n"                                                               \
    "    export fn plain(q: " type "[B, 4, T, 8], k: " type "[B, 4, S, 8], v: " type "[B, 4, S, 6]) -> (y: " type       \
    "[B, 4, T, 6]) { sdpa(q, k, v) }\n"                                                                                \
    "    export fn grouped(q: " type "[B, 4, T, 8], k: " type "[B, 2, S, 8], v: " type "[B, 2, S, 6]) -> (y: " type     \
    "[B, 4, T, 6]) { sdpa(q, k, v, causal = true, offset = 2) }\n"                                                     \
    "    export fn masked(q: " type "[B, 4, T, 8], k: " type "[B, 4, S, 8], v: " type "[B, 4, S, 6], m: bool[B, 1, T, " \
    "S]) -> (y: " type "[B, 4, T, 6]) { sdpa(q, k, v, m) }\n"                                                          \
    "    export fn back(q: " type "[B, 4, T, 8], k: " type "[B, 4, S, 8], v: " type "[B, 4, S, 6]) -> (a: " type        \
    "[B, 4, T, 8], b: " type "[B, 4, S, 8], c: " type "[B, 4, S, 6]) {\n"                                              \
    "        let l = sum(square(sdpa(q, k, v, causal = true)))\n"                                                      \
    "        return grad(l, q), grad(l, k), grad(l, v)\n    }\n}\n"

static const char *const names[] = {"plain", "grouped", "masked", "back"};

static void in_f32(void **state) {
    (void)state;
    check(FUNCTIONS("f32"), names, 4, sizes, 4, 2e-5);
}

static void in_f64(void **state) {
    (void)state;
    check(FUNCTIONS("f64"), names, 4, sizes, 4, 1e-12);
}

/* Queries lie as a product of the input leaves them, heads within a row. */
static void of_a_layer(void **state) {
    (void)state;
    static const char source[] = "dim B <= 3\ndim T <= 17\nmodel M() {\n    let a = MultiheadAttention(24, 3)\n"
                                 "    let b = TransformerEncoderLayer(24, 3, 32, 0.0)\n"
                                 "    fn run(x: f32[B, T, 24]) -> f32[B, T, 24] { b(a(x, causal = true)) }\n"
                                 "    export fn predict(x: f32[B, T, 24]) -> (y: f32[B, T, 24]) { run(x) }\n"
                                 "    export fn train(x: f32[B, T, 24], lr: f32) -> (loss: f32) {\n"
                                 "        let loss = mean(square(run(x)))\n        minimize loss with sgd(lr)\n"
                                 "        return loss\n    }\n}\n";
    static const int64_t dims[][3] = {{1, 1}, {2, 9}, {3, 17}};
    static const char *const both[] = {"predict", "train"};
    check(source, both, 2, dims, 3, 1e-4);
}

/* From so many on scores are computed again on the way back: the workspace never holds those of all heads. */
static void many_scores(void **state) {
    (void)state;
    static const char source[] = "model M() {\n    let a = MultiheadAttention(16, 8)\n"
                                 "    export fn train(x: f32[1, 512, 16], lr: f32) -> (loss: f32) {\n"
                                 "        let loss = mean(square(a(x, causal = true)))\n        minimize loss with sgd(lr)\n"
                                 "        return loss\n    }\n}\n";
    NativeOptions options = {.threads = 3, .divide = true, .unchained = true};
    Native *n = native_open_source_with("many.dl", source, &options);
    native_check(n, "train", NULL, 1e-4);
    assert_true(n->models[0]->info->functions[0].arena_bytes < 8 * 512 * 512 * 4);
    assert_true(n->models[n->model_count - 1]->info->functions[0].arena_bytes >= 8 * 512 * 512 * 4);
    native_close(n);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(in_f32), cmocka_unit_test(in_f64), cmocka_unit_test(of_a_layer),
                                       cmocka_unit_test(many_scores)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
