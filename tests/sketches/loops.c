/* Sketches with loops inside training, gradients of gradients, and gradients of a function's own. */
#include "support.h"

static double moved(const Tensor *a, const Tensor *b) {
    double sum = 0;
    for (int64_t i = 0; i < a->count; i++) sum += fabs(a->at[i].f - b->at[i].f);
    return sum;
}

/* The critic takes `critics` steps for one of the generator, and learns to tell the two apart. */
static void adversarial(void **state) {
    (void)state;
    enum { K = 5, B = 4 };
    Sketch *s = sketch_open("05_wgan_gp.dl");
    Tensor *real = sketch_normal(s, SHAPE(K, B, 1, 28, 28)), *lr = sketch_float(s, 2e-3);
    for (int64_t i = 0; i < real->count; i++) real->at[i].f = 0.5 + 0.1 * real->at[i].f;
    Tensor *gen = sketch_copy(s, sketch_var(s, "gen.fc1.weight")),
           *disc = sketch_copy(s, sketch_var(s, "disc.fc1.weight"));
    double first = sketch_scalar(sketch_call(s, "train", ARGS(real, lr)));
    assert_int_equal(sketch_var(s, "opt_d.step")->at->i, K);
    assert_int_equal(sketch_var(s, "adam.step")->at->i, 1);
    assert_true(moved(gen, sketch_var(s, "gen.fc1.weight")) > 0 && moved(disc, sketch_var(s, "disc.fc1.weight")) > 0);
    double last = first;
    for (int i = 0; i < 6; i++) last = sketch_scalar(sketch_call(s, "train", ARGS(real, lr)));
    assert_true(last < first - 1);             /* mean(critic of fakes) - mean(critic of real), and the penalty */
    Tensor *pictures = sketch_call_dims(s, "sample", (int64_t[]){3}, NULL);
    assert_true(pictures->shape[0] == 3 && pictures->rank == 4);
    sketch_refused(s, "train", ARGS(sketch_normal(s, SHAPE(K - 1, B, 1, 28, 28)), lr), "dimension 0 should be 5");
    sketch_close(s);
}

/* Against torch.nn.functional.ctc_loss(..., reduction = "none") in f64, with labels that repeat and are short. */
static void connectionist(void **state) {
    (void)state;
    enum { T = 7, B = 3, C = 5 };
    static const double torch[B] = {7.9709922842888545, 5.012454952019282, 5.584360166343579};
    static const int64_t labels[] = {1, 2, 2, 3, 1, 0, 4, 0, 0}, times[] = {7, 6, 4}, lengths[] = {3, 2, 1};
    Sketch *s = sketch_open("09_ctc.dl");
    Tensor *logits = sketch_normal(s, SHAPE(T, B, C)), *y = sketch_ints(s, 1, SHAPE(B, 3)),
           *t = sketch_ints(s, 1, SHAPE(B)), *n = sketch_ints(s, 1, SHAPE(B)), *x = sketch_normal(s, SHAPE(T, B, 6)),
           *lr = sketch_float(s, 0.5);
    for (int i = 0; i < T * B * C; i++)
        logits->at[i].f = (double)((i / (B * C) * 7 + i / C % B * 3 + i % C * 5) % 11) / 4;
    for (int i = 0; i < B * 3; i++) y->at[i].i = labels[i];
    for (int i = 0; i < B; i++) t->at[i].i = times[i], n->at[i].i = lengths[i];
    const Tensor *loss = sketch_call(s, "loss", ARGS(logits, y, t, n));
    for (int i = 0; i < B; i++) sketch_near("the loss", loss->at[i].f, torch[i], 1e-9);
    sketch_learns(s, "train", ARGS(x, y, t, n, lr), 60, 0.5);
    sketch_close(s);
}

/* Micro-batches in one call, over calls, and all at once give the same gradient, and so the same step. */
static void accumulation(void **state) {
    (void)state;
    enum { K = 4, B = 4 };
    Sketch *s = sketch_open("11_accumulate.dl"), *over = sketch_open("11_accumulate.dl");
    Tensor *x = sketch_normal(s, SHAPE(K, B, 10)), *y = sketch_ints(s, 3, SHAPE(K, B)), *lr = sketch_float(s, 0.01);
    sketch_call(s, "train", ARGS(x, y, lr));
    for (int k = 0; k < K; k++) {
        Tensor *xb = sketch_normal(s, SHAPE(B, 10)), *yb = sketch_ints(s, 3, SHAPE(B));
        memcpy(xb->at, x->at + (size_t)k * B * 10, sizeof *x->at * B * 10);
        memcpy(yb->at, y->at + (size_t)k * B, sizeof *y->at * B);
        sketch_call(over, "accumulate", ARGS(xb, yb));
    }
    assert_int_equal(sketch_var(over, "n")->at->i, K);
    sketch_call(over, "update", ARGS(lr));
    assert_int_equal(sketch_var(over, "n")->at->i, 0);
    for (int i = 0; i < s->module->vars.n; i++) {
        const Var *v = s->module->vars.at[i];
        if (v->kind == VAR_PARAM || v->kind == VAR_SLOT) sketch_equal(v->name, over->in->vars[i], s->in->vars[i], 1e-9);
        else if (dtype_is_float(v->type.dtype)) sketch_near(v->name, over->in->vars[i]->at->f, 0, 0);
    }
    sketch_learns(s, "train", ARGS(x, y, lr), 60, 0.6);
    sketch_close(over);
    sketch_close(s);
}

static void own_gradients(void **state) {
    (void)state;
    enum { N = 6 };
    static const double at[N] = {-1.6, -0.4, 0, 0.3, 1.2, 2.7};
    Sketch *s = sketch_open("19_custom_grad.dl");
    Tensor *x = sketch_normal(s, SHAPE(N));
    double square = 0;
    for (int i = 0; i < N; i++) {
        x->at[i].f = at[i];
        square += at[i] * at[i];
    }
    sketch_call(s, "rounded", ARGS(x));
    for (int i = 0; i < N; i++) {              /* as if it had not rounded: 2 y */
        sketch_near("rounded", s->results[0]->at[i].f, rint(at[i]), 0);
        sketch_near("straight through", s->results[1]->at[i].f, 2 * rint(at[i]), 1e-12);
    }
    sketch_call(s, "length", ARGS(x));
    double n = sqrt(square), dot = 0;
    for (int i = 0; i < N; i++) dot += at[i] * i;
    for (int i = 0; i < N; i++) {              /* second order: (i - x (x . i) / n^2) / n */
        sketch_near("direction", s->results[1]->at[i].f, at[i] / n, 1e-9);
        sketch_near("of the direction", s->results[2]->at[i].f, (i - at[i] * dot / square) / n, 1e-9);
    }
    for (int i = 0; i < N; i++) x->at[i].f = 0;
    sketch_call(s, "length", ARGS(x));
    for (int i = 0; i < N; i++) sketch_near("at 0", s->results[1]->at[i].f, 0, 0);
    for (int i = 0; i < N; i++) x->at[i].f = at[i];
    sketch_call(s, "again", ARGS(x));
    sketch_equal("computed again", s->results[1], s->results[2], 1e-12);
    sketch_close(s);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(adversarial), cmocka_unit_test(connectionist), cmocka_unit_test(accumulation),
        cmocka_unit_test(own_gradients),
    };
    if (argc > 1) sketch_folder = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
