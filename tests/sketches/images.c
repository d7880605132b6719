/* Sketches about images: names of layers and files, windows and their way back, boxes found. */
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

/* A bright rectangle for each box, in the colour of its label. */
static void paint(Tensor *x, int image, const double *box, int label) {
    int64_t height = x->shape[2], width = x->shape[3];
    for (int64_t row = (int64_t)box[1]; row < (int64_t)box[3]; row++)
        for (int64_t column = (int64_t)box[0]; column < (int64_t)box[2]; column++)
            x->at[((image * 3 + label) * height + row) * width + column].f += 2;
}

static double overlap(const Number *a, const double *b) {
    double w = fmin(a[2].f, b[2]) - fmax(a[0].f, b[0]), h = fmin(a[3].f, b[3]) - fmax(a[1].f, b[1]);
    double both = fmax(w, 0) * fmax(h, 0);
    return both / ((a[2].f - a[0].f) * (a[3].f - a[1].f) + (b[2] - b[0]) * (b[3] - b[1]) - both);
}

/* The heads begin with weights so small that they learn slowly at first. */
static void faster(Sketch *s, double times) {
    for (int i = 0; i < s->module->vars.n; i++) {
        const Var *v = s->module->vars.at[i];
        if (v->kind != VAR_PARAM || strncmp(v->name, "head.", 5) || v->type.rank != 4) continue;
        Tensor *t = s->in->vars[v->id];
        for (int64_t k = 0; k < t->count; k++) t->at[k].f *= times;
    }
}

/* Two images with three boxes: a box is found where each is, the best first, and nothing at first. */
static void detector(void **state) {
    static const double boxes[3][4] = {{8, 8, 40, 40}, {50, 20, 90, 60}, {20, 10, 70, 50}};
    (void)state;
    Sketch *s = sketch_open("07_fpn.dl");
    Tensor *x = sketch_normal(s, SHAPE(2, 3, 64, 96)), *box = sketch_ints(s, 1, SHAPE(2, 2, 4)),
           *label = sketch_ints(s, 1, SHAPE(2, 2)), *n = sketch_ints(s, 1, SHAPE(2)), *lr = sketch_float(s, 1e-3),
           *one = sketch_normal(s, SHAPE(1, 3, 64, 96)), *none = sketch_normal(s, SHAPE(2, 0, 4)),
           *unlabelled = sketch_ints(s, 1, SHAPE(2, 0)), *empty = sketch_ints(s, 1, SHAPE(2));
    box->dtype = DTYPE_F32;
    for (int64_t i = 0; i < x->count; i++) x->at[i].f *= 0.3;
    for (int b = 0; b < 3; b++) {
        paint(x, b / 2, boxes[b], b);
        for (int k = 0; k < 4; k++) box->at[4 * b + k].f = boxes[b][k];
        label->at[b].i = b;
    }
    for (int k = 0; k < 4; k++) box->at[12 + k].f = 0;
    n->at[0].i = 2;
    n->at[1].i = 1;
    memcpy(one->at, x->at, sizeof *x->at * (size_t)one->count);
    assert_true(sketch_scalar(sketch_call(s, "detect", ARGS(one))) == 0);
    assert_int_equal(s->results[1]->shape[0], 0);
    faster(s, 4);
    sketch_learns(s, "train", ARGS(x, box, label, n, lr), 35, 0.2);
    assert_true(sketch_scalar(s->results[1]) >= 3);
    for (int image = 0; image < 2; image++) {
        memcpy(one->at, x->at + image * one->count, sizeof *x->at * (size_t)one->count);
        int64_t found = sketch_call(s, "detect", ARGS(one))->at->i;
        const Tensor *at = s->results[1], *prob = s->results[2], *kind = s->results[3];
        assert_true(found <= 20 && found == at->shape[0] && found == prob->count && found == kind->count);
        for (int64_t i = 1; i < found; i++) assert_true(prob->at[i].f <= prob->at[i - 1].f && prob->at[i].f > 0.05);
        int here = image ? 1 : 2;
        assert_true(found >= here);
        for (int i = 0; i < here; i++) {       /* the best boxes are the true ones */
            int best = image ? 2 : (int)kind->at[i].i;
            assert_true(best < 3 && kind->at[i].i == best && prob->at[i].f > 0.5);
            assert_true(overlap(at->at + (size_t)i * 4, boxes[best]) > 0.7);
        }
    }
    double loss = sketch_scalar(sketch_call(s, "train", ARGS(x, none, unlabelled, empty, lr)));
    assert_true(loss >= 0 && loss < 100 && sketch_scalar(s->results[1]) == 0);
    sketch_close(s);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(names), cmocka_unit_test(windows), cmocka_unit_test(detector)};
    if (argc > 1) sketch_folder = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
