/* Sketches without loops: layers, optimizers, schedules, groups of parameters. */
#include "support.h"

static double mean_of_channel(const Tensor *x, int c, double *variance) {
    int64_t n = x->shape[0], channels = x->shape[1], rest = x->shape[2] * x->shape[3];
    double sum = 0, square = 0;
    for (int64_t i = 0; i < n; i++)
        for (int64_t k = 0; k < rest; k++) sum += x->at[(i * channels + c) * rest + k].f;
    sum /= (double)(n * rest);
    for (int64_t i = 0; i < n; i++)
        for (int64_t k = 0; k < rest; k++) square += pow(x->at[(i * channels + c) * rest + k].f - sum, 2);
    *variance = square / (double)(n * rest);
    return sum;
}

/* Running statistics by hand, with the unbiased variance; used where the function does not train. */
static void batch_norm(void **state) {
    (void)state;
    Sketch *s = sketch_open("01_batchnorm.dl");
    Tensor *x = sketch_normal(s, SHAPE(6, 3, 4, 4)), *y = sketch_ints(s, 2, SHAPE(6)), *lr = sketch_float(s, 0.1);
    for (int64_t i = 0; i < x->count; i++) x->at[i].f = 2 * x->at[i].f + 1;
    sketch_equal("untrained", sketch_call(s, "normalise", ARGS(x)), x, 1e-4);
    sketch_call(s, "train", ARGS(x, y, lr));
    double v[3], m[3];
    for (int c = 0; c < 3; c++) {
        m[c] = 0.1 * mean_of_channel(x, c, &v[c]);
        v[c] = 0.9 + 0.1 * v[c] * 96 / 95;
        sketch_near("running_mean", sketch_var(s, "bn.running_mean")->at[c].f, m[c], 1e-6);
        sketch_near("running_var", sketch_var(s, "bn.running_var")->at[c].f, v[c], 1e-6);
    }
    assert_int_equal(sketch_var(s, "bn.num_batches_tracked")->at->i, 1);
    assert_null(module_find_var(s->module, intern(&s->names, "plain.weight")));
    const Tensor *w = sketch_var(s, "bn.weight"), *b = sketch_var(s, "bn.bias");
    Tensor *r = sketch_call(s, "normalise", ARGS(x));
    for (int64_t i = 0; i < x->count; i++) {
        int64_t c = i / 16 % 3;
        sketch_near("normalised", r->at[i].f, (x->at[i].f - m[c]) / sqrt(v[c] + 1e-5) * w->at[c].f + b->at[c].f, 1e-6);
    }
    sketch_learns(s, "train", ARGS(x, y, lr), 60, 0.7);
    sketch_close(s);
}

/* Two groups of points with an edge between equals: the graph tells them apart. */
static void graph_convolution(void **state) {
    (void)state;
    enum { N = 12, E = 40 };
    Sketch *s = sketch_open("04_gcn.dl");
    Tensor *x = sketch_normal(s, SHAPE(N, 1433)), *edge = sketch_ints(s, N, SHAPE(2, E)),
           *y = sketch_ints(s, 2, SHAPE(N)), *mask = sketch_bools(s, SHAPE(N)), *lr = sketch_float(s, 0.01);
    for (int i = 0; i < N; i++) y->at[i].i = i % 2;
    for (int i = 0; i < E; i++) edge->at[E + i].i = (edge->at[i].i + 2 * (i % 5)) % N;
    mask->at[0].i = mask->at[1].i = 1;
    sketch_learns(s, "train", ARGS(x, edge, y, mask, lr), 40, 0.5);
    edge->at[3].i = N;
    sketch_refused(s, "train", ARGS(x, edge, y, mask, lr), "outside");
    sketch_close(s);
}

/* The target begins as the online network and follows it slowly. */
static void moving_target(void **state) {
    (void)state;
    Sketch *s = sketch_open("06_byol.dl");
    Tensor *a = sketch_normal(s, SHAPE(8, 1, 28, 28)), *b = sketch_normal(s, SHAPE(8, 1, 28, 28)),
           *lr = sketch_float(s, 1e-3);
    for (int64_t i = 0; i < b->count; i++) b->at[i].f = a->at[i].f + 0.1 * b->at[i].f;
    Tensor *before = sketch_copy(s, sketch_var(s, "target.fc.weight"));
    sketch_equal("the clone", before, sketch_var(s, "online.fc.weight"), 0);
    sketch_call(s, "train", ARGS(a, b, lr));
    const Tensor *online = sketch_var(s, "online.fc.weight"), *target = sketch_var(s, "target.fc.weight");
    double moved = 0;
    for (int64_t i = 0; i < target->count; i++) {
        sketch_near("target", target->at[i].f, 0.99 * before->at[i].f + 0.01 * online->at[i].f, 1e-9);
        moved += fabs(online->at[i].f - before->at[i].f);
    }
    assert_true(moved > 0);
    sketch_learns(s, "train", ARGS(a, b, lr), 20, 0.6);
    sketch_close(s);
}

/* Groups: all parameters have state of one of the two optimizers; gnorm is that before clipping. */
static void parameter_groups(void **state) {
    (void)state;
    static const char *const names[] = {"net.fc1.weight.opt.exp_avg", "net.fc2.weight.opt.exp_avg",
                                        "net.fc1.bias.opt0.exp_avg", "net.fc2.bias.opt0.exp_avg"};
    Sketch *s = sketch_open("10_optim.dl");
    Tensor *x = sketch_normal(s, SHAPE(16, 10)), *y = sketch_ints(s, 3, SHAPE(16)), *lr = sketch_float(s, 0.01);
    double sum = 0;
    sketch_call(s, "train", ARGS(x, y, lr));
    for (int i = 0; i < 4; i++) {              /* after one step exp_avg is a tenth of the clipped gradient */
        const Tensor *g = sketch_var(s, names[i]);
        for (int64_t k = 0; k < g->count; k++) sum += 100 * g->at[k].f * g->at[k].f;
    }
    double gnorm = s->results[1]->at->f;
    sketch_near("clipped norm", sqrt(sum), gnorm * fmin(1, 1 / (gnorm + 1e-6)), 1e-6);
    assert_null(module_find_var(s->module, intern(&s->names, "net.fc1.weight.opt0.exp_avg")));
    assert_int_equal(sketch_var(s, "opt.step")->at->i, 1);
    sketch_learns(s, "train", ARGS(x, y, lr), 80, 0.6);
    sketch_close(s);
}

static void variational(void **state) {
    (void)state;
    Sketch *s = sketch_open("12_vae.dl");
    Tensor *x = sketch_normal(s, SHAPE(16, 784)), *lr = sketch_float(s, 1e-2), *key = sketch_int(s, DTYPE_I64, 7);
    for (int64_t i = 0; i < x->count; i++)     /* two pictures: stripes across and along */
        x->at[i].f = (double)(i / 784 % 2 ? i % 784 / 28 / 4 % 2 : i % 28 / 4 % 2);
    sketch_learns(s, "train", ARGS(x, lr), 25, 0.6);
    Tensor *a = sketch_copy(s, sketch_call_dims(s, "sample", (int64_t[]){5}, ARGS(key)));
    assert_int_equal(a->shape[0], 5);
    for (int64_t i = 0; i < a->count; i++) assert_true(a->at[i].f > 0 && a->at[i].f < 1);
    sketch_equal("the same key", sketch_call_dims(s, "sample", (int64_t[]){5}, ARGS(key)), a, 0);
    key->at->i = 8;
    assert_true(sketch_call_dims(s, "sample", (int64_t[]){5}, ARGS(key))->at[0].f != a->at[0].f);
    sketch_close(s);
}

/* The gain begins as the norm of the direction's rows: at first the layer is Linear with weight_v. */
static void weight_norm(void **state) {
    (void)state;
    Sketch *s = sketch_open("13_weightnorm.dl");
    Tensor *x = sketch_normal(s, SHAPE(8, 6)), *y = sketch_normal(s, SHAPE(8, 2)), *lr = sketch_float(s, 0.1);
    const Tensor *v1 = sketch_var(s, "fc1.weight_v"), *b = sketch_var(s, "fc1.bias"),
                 *v2 = sketch_var(s, "fc2.weight_v");
    Tensor *r = sketch_call(s, "predict", ARGS(x));
    for (int i = 0; i < 8; i++)
        for (int o = 0; o < 2; o++) {
            double sum = 0;
            for (int h = 0; h < 8; h++) {
                double z = b->at[h].f;
                for (int k = 0; k < 6; k++) z += x->at[i * 6 + k].f * v1->at[h * 6 + k].f;
                sum += tanh(z) * v2->at[o * 8 + h].f;
            }
            sketch_near("prediction", r->at[i * 2 + o].f, sum, 1e-6);
        }
    assert_null(module_find_var(s->module, intern(&s->names, "fc2.bias")));
    sketch_learns(s, "train", ARGS(x, y, lr), 100, 0.3);
    sketch_close(s);
}

/* The rate at the step before each update, by hand. */
static void schedule(void **state) {
    (void)state;
    Sketch *s = sketch_open("16_schedule.dl");
    Tensor *x = sketch_normal(s, SHAPE(4, 10)), *y = sketch_ints(s, 3, SHAPE(4)), *total = sketch_float(s, 1000);
    for (int step = 0; step < 3; step++) {
        sketch_call(s, "train", ARGS(x, y, total));
        sketch_near("warm-up", s->results[1]->at->f, 3e-4 * (step + 1) / 100, 1e-9);
    }
    Tensor *steps = s->in->vars[module_find_var(s->module, intern(&s->names, "opt.step"))->id];
    steps->at->i = 400;
    sketch_call(s, "train", ARGS(x, y, total));
    sketch_near("cosine", s->results[1]->at->f, 0.5 * 3e-4 * (1 + cos(3.14159265358979 * 300 / 900)), 1e-9);
    sketch_close(s);
}

/* Frozen parts do not move: all but the head, then the embedding alone. */
static void fine_tuning(void **state) {
    (void)state;
    Sketch *s = sketch_open("17_finetune.dl");
    Tensor *tok = sketch_ints(s, 50, SHAPE(4, 7)), *y = sketch_ints(s, 18, SHAPE(4)), *lr = sketch_float(s, 1e-2);
    Tensor *fc = sketch_copy(s, sketch_var(s, "bert.fc.weight")),
           *embed = sketch_copy(s, sketch_var(s, "bert.embed.weight"));
    sketch_learns(s, "train_head", ARGS(tok, y, lr), 30, 0.8);
    sketch_equal("bert in train_head", sketch_var(s, "bert.fc.weight"), fc, 0);
    sketch_learns(s, "train_all", ARGS(tok, y, lr), 10, 0.9);
    sketch_equal("the embedding in train_all", sketch_var(s, "bert.embed.weight"), embed, 0);
    assert_true(sketch_var(s, "bert.fc.weight")->at[0].f != fc->at[0].f);
    sketch_close(s);
}

/* A bound of a function's own; labels and probabilities agree; the doc comment is the file's bound's. */
static void dims(void **state) {
    (void)state;
    Sketch *s = sketch_open("20_dims.dl");
    Tensor *x = sketch_normal(s, SHAPE(16, 784)), *y = sketch_ints(s, 10, SHAPE(16)), *lr = sketch_float(s, 1e-3);
    sketch_learns(s, "train", ARGS(x, y, lr), 15, 0.5);
    sketch_call(s, "predict", ARGS(x));
    for (int i = 0; i < 16; i++) {
        double sum = 0;
        const Number *p = s->results[1]->at + (size_t)i * 10;
        for (int k = 0; k < 10; k++) {
            sum += p[k].f;
            assert_true(p[k].f <= p[s->results[0]->at[i].i].f);
        }
        sketch_near("probabilities", sum, 1, 1e-6);
    }
    Tensor *wide = sketch_normal(s, SHAPE(17, 784));
    sketch_refused(s, "predict", ARGS(wide), "16");
    sketch_call(s, "train", ARGS(wide, sketch_ints(s, 10, SHAPE(17)), lr));
    sketch_close(s);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batch_norm),  cmocka_unit_test(graph_convolution), cmocka_unit_test(moving_target),
        cmocka_unit_test(parameter_groups), cmocka_unit_test(variational),  cmocka_unit_test(weight_norm),
        cmocka_unit_test(schedule),    cmocka_unit_test(fine_tuning),       cmocka_unit_test(dims),
    };
    if (argc > 1) sketch_folder = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
