/* Sketches about images: names of layers and files, windows and their way back. */
#include "support.h"

/* The names and shapes of PyTorch's AlexNet, and of a block of its ResNet. */
static void names(void **state) {
    static const struct {
        const char *name;
        int rank;
        int64_t shape[4];
    } wanted[] = {
        {"features.0.weight", 4, {64, 3, 11, 11}},  {"features.0.bias", 1, {64}},
        {"features.3.weight", 4, {192, 64, 5, 5}},  {"features.3.bias", 1, {192}},
        {"classifier.1.weight", 2, {4096, 9216}},   {"classifier.1.bias", 1, {4096}},
        {"downsample.0.weight", 4, {128, 64, 1, 1}}, {"downsample.1.weight", 1, {128}},
        {"downsample.1.bias", 1, {128}},            {"downsample.1.running_mean", 1, {128}},
        {"downsample.1.running_var", 1, {128}},     {"downsample.1.num_batches_tracked", 0, {0}},
        {"classifier.4.weight", 2, {1000, 4096}},   {"classifier.4.bias", 1, {1000}},
    };
    enum { COUNT = sizeof wanted / sizeof *wanted };
    (void)state;
    Sketch *s = sketch_compile("14_names.dl");
    assert_int_equal(s->module->vars.n, COUNT);
    for (int i = 0; i < COUNT; i++) {
        const Var *v = s->module->vars.at[i];
        assert_string_equal(v->name, wanted[i].name);
        assert_int_equal(v->type.rank, wanted[i].rank);
        for (int d = 0; d < v->type.rank; d++) assert_int_equal(dim_value(v->type.shape[d]), wanted[i].shape[d]);
    }
    sketch_close(s);
}

/* Column of window (i, j), row of channel c and place (a, b) in it: torch.nn.functional.unfold. */
static double at_window(const Tensor *x, int n, int c, int64_t row, int64_t column) {
    if (row < 0 || column < 0 || row >= x->shape[2] || column >= x->shape[3]) return 0;
    return x->at[((n * x->shape[1] + c) * x->shape[2] + row) * x->shape[3] + column].f;
}

static void check_columns(const Tensor *x, const Tensor *r, int k, int stride, int pad, int dilation, int rows,
                          int columns) {
    int kk = k * k, channels = (int)x->shape[1];
    assert_int_equal(r->rank, 3);
    assert_int_equal(r->shape[1], channels * kk);
    assert_int_equal(r->shape[2], rows * columns);
    for (int n = 0; n < x->shape[0]; n++)
        for (int f = 0; f < channels * kk; f++)
            for (int l = 0; l < rows * columns; l++) {
                int a = f % kk / k, b = f % k;
                double want = at_window(x, n, f / kk, l / columns * stride - pad + a * dilation,
                                        l % columns * stride - pad + b * dilation);
                sketch_near("a column", r->at[(n * channels * kk + f) * rows * columns + l].f, want, 0);
            }
}

static void windows(void **state) {
    (void)state;
    Sketch *s = sketch_open("18_unfold.dl");
    Tensor *x = sketch_normal(s, SHAPE(2, 2, 6, 7)), *wide = sketch_normal(s, SHAPE(2, 2, 9, 10));
    check_columns(x, sketch_call(s, "columns", ARGS(x)), 3, 2, 1, 1, 3, 4);
    check_columns(wide, sketch_call(s, "apart", ARGS(wide)), 2, 1, 0, 3, 6, 7);
    sketch_call(s, "back", ARGS(x));
    for (int64_t i = 0; i < x->count; i++) {
        int row = (int)(i / 7 % 6), column = (int)(i % 7), rows = 0, columns = 0;
        for (int w = 0; w < 3; w++) rows += row >= w * 2 - 1 && row < w * 2 + 2;
        for (int w = 0; w < 4; w++) columns += column >= w * 2 - 1 && column < w * 2 + 2;
        sketch_near("how often", s->results[1]->at[i].f, rows * columns, 0);
        sketch_near("folded", s->results[0]->at[i].f, x->at[i].f * rows * columns, 1e-12);
        sketch_near("gradient", s->results[2]->at[i].f, x->at[i].f * rows * columns, 1e-12);
    }
    sketch_close(s);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(names), cmocka_unit_test(windows)};
    if (argc > 1) sketch_folder = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
