/* build_gradients as a whole: sums over uses, what it leaves alone, errors, repeated differentiation. */
#include "support.h"

#include <math.h>
#include <string.h>

static double at(World *w, Builder *b, double x, Value *wanted) {
    Tensor *input = floats(w, 0, NULL, &x);
    return evaluate(w, b->func, &input, wanted)->at[0].f;
}

static Value *gradient(World *w, Builder *b, Value *y, Value *x) {
    Value *grad = NULL;
    if (!build_gradients(b, y, &x, 1, &grad)) fail_msg("%s", world_messages(w));
    return grad;
}

/* x used several times, through different paths: d/dx (x sin x + x) */
static void test_contributions_add_up(void **state) {
    (void)state;
    World *w = world_open();
    Builder b = world_func(w, "f");
    Value *x = add_input(&b, "x", DTYPE_F64, 0, NULL);
    Value *y = build_map2(&b, MAP_add, build_map2(&b, MAP_multiply, x, build_map1(&b, MAP_sin, x)), x);
    assert_true(fabs(at(w, &b, 0.7, gradient(w, &b, y, x)) - (sin(0.7) + 0.7 * cos(0.7) + 1)) < 1e-14);
    assert_true(at(w, &b, 0.7, gradient(w, &b, x, x)) == 1);
    world_close(w);
}

/* Differentiating again and again: derivatives of exp(2x) are 2^n exp(2x), of x^4 they end at 0. */
static void test_derivatives_of_derivatives(void **state) {
    (void)state;
    World *w = world_open();
    Builder b = world_func(w, "f");
    Value *x = add_input(&b, "x", DTYPE_F64, 0, NULL);
    Value *y = build_map1(&b, MAP_exp, build_map2(&b, MAP_add, x, x)), *p = x;
    for (int i = 0; i < 3; i++) p = build_map2(&b, MAP_multiply, p, x);
    static const double powers[] = {4 * 0.125, 12 * 0.25, 24 * 0.5, 24, 0};
    for (int i = 0; i < 5; i++) {
        y = gradient(w, &b, y, x);
        p = gradient(w, &b, p, x);
        assert_true(fabs(at(w, &b, 0.5, y) - pow(2, i + 1) * exp(1)) < 1e-11);
        assert_true(fabs(at(w, &b, 0.5, p) - powers[i]) < 1e-12);
    }
    world_close(w);
}

/* The gradient penalty of WGAN-GP: a gradient inside a loss. d/dw (d(w x^2)/dx - 1)^2 = 2 (2wx - 1) 2x */
static void test_gradient_inside_a_loss(void **state) {
    (void)state;
    World *w = world_open();
    Builder b = world_func(w, "f");
    Value *weight = add_input(&b, "w", DTYPE_F64, 0, NULL), *x = build_constant(&b, type_scalar(DTYPE_F64), 3);
    Value *slope = gradient(w, &b, build_map2(&b, MAP_multiply, weight, build_map2(&b, MAP_multiply, x, x)), x);
    Value *off = build_map2(&b, MAP_subtract, slope, build_constant_like(&b, slope, 1));
    Value *grad = gradient(w, &b, build_map2(&b, MAP_multiply, off, off), weight);
    assert_true(fabs(at(w, &b, 0.5, grad) - 2 * (2 * 0.5 * 3 - 1) * 2 * 3) < 1e-12);
    world_close(w);
}

/* Targets within the graph, one above the other: both gradients are there. */
static void test_targets_within_the_graph(void **state) {
    (void)state;
    World *w = world_open();
    Builder b = world_func(w, "f");
    Value *x = add_input(&b, "x", DTYPE_F64, 0, NULL);
    Value *h = build_map1(&b, MAP_exp, x), *y = build_map2(&b, MAP_multiply, h, h);
    Value *wrt[] = {x, h, h}, *grads[3];
    assert_true(build_gradients(&b, y, wrt, 3, grads));
    assert_true(fabs(at(w, &b, 0.3, grads[0]) - 2 * exp(0.6)) < 1e-14);
    assert_true(fabs(at(w, &b, 0.3, grads[1]) - 2 * exp(0.3)) < 1e-14);
    assert_ptr_equal(grads[1], grads[2]);
    world_close(w);
}

static void test_stop_gradient_and_dependence(void **state) {
    (void)state;
    World *w = world_open();
    Builder b = world_func(w, "f");
    Value *x = add_input(&b, "x", DTYPE_F64, 0, NULL), *z = add_input(&b, "z", DTYPE_F64, 0, NULL);
    Value *stopped = build_stop_gradient(&b, build_map1(&b, MAP_exp, x));
    Value *y = build_map2(&b, MAP_multiply, x, stopped);
    Value *flat = build_map2(&b, MAP_add, build_map1(&b, MAP_floor, x), z);
    Value *converted = build_convert(&b, build_convert(&b, x, DTYPE_I32), DTYPE_F64);
    assert_int_equal(graph_dependence(&b, y, x), DEPENDS);
    assert_int_equal(graph_dependence(&b, stopped, x), DEPENDS_NOT);
    assert_int_equal(graph_dependence(&b, flat, x), DEPENDS_FLAT);
    assert_int_equal(graph_dependence(&b, converted, x), DEPENDS_FLAT);
    assert_int_equal(graph_dependence(&b, flat, z), DEPENDS);
    assert_int_equal(graph_dependence(&b, y, z), DEPENDS_NOT);
    Tensor *inputs[] = {floats(w, 0, NULL, (double[]){0.5}), floats(w, 0, NULL, (double[]){1})};
    assert_true(fabs(evaluate(w, b.func, inputs, gradient(w, &b, y, x))->at[0].f - exp(0.5)) < 1e-14);
    assert_true(evaluate(w, b.func, inputs, gradient(w, &b, y, z))->at[0].f == 0);
    assert_true(evaluate(w, b.func, inputs, gradient(w, &b, converted, x))->at[0].f == 0);
    world_close(w);
}

/* Only what lies between is touched: the gradient of x + exp(z) for x needs no exp. */
static void test_only_what_is_needed(void **state) {
    (void)state;
    World *w = world_open();
    Builder b = world_func(w, "f");
    Value *x = add_input(&b, "x", DTYPE_F64, 0, NULL), *z = add_input(&b, "z", DTYPE_F64, 0, NULL);
    Value *y = build_map2(&b, MAP_multiply, x, build_map1(&b, MAP_exp, z));
    int before = b.region->ops.n;
    gradient(w, &b, y, x);
    assert_int_equal(b.region->ops.n - before, 2);         /* the 1 at the loss, and its product with exp(z) */
    world_close(w);
}

static Op *append_fusion(World *w, Builder *b, Value *x) {
    Op *op = op_append(w->module, b->region, &OP_fusion, &x, 1, 1, NULL, 0, 1, (Span){1, 2, 5});
    Value *p = region_add_param(w->module, op->regions[0], x->type, "p");
    Builder inner = *b;
    inner.region = op->regions[0];
    Value *e = build_map1(&inner, MAP_exp, p);
    vec_push(&w->arena, &op->regions[0]->yields, e);
    assert_null(op_infer(w->module, op, NULL));
    return op;
}

/* An operator without a rule: an error at its own place, but only if a gradient has to pass it. */
static void test_no_rule(void **state) {
    (void)state;
    World *w = world_open();
    diag_add_source(&w->diags, "m.dl", "a fuse b\ngrad\n", 14);
    Builder b = world_func(w, "f");
    Value *x = add_input(&b, "x", DTYPE_F64, 0, NULL), *z = add_input(&b, "z", DTYPE_F64, 0, NULL);
    Op *op = append_fusion(w, &b, x);
    Value *y = build_map2(&b, MAP_multiply, &op->results[0], z), *grad;
    b.span = (Span){1, 9, 13};
    assert_true(build_gradients(&b, y, &z, 1, &grad));
    assert_int_equal(graph_dependence(&b, y, x), DEPENDS);
    assert_false(build_gradients(&b, y, &x, 1, &grad));
    assert_int_equal(w->diags.all.n, 1);
    assert_int_equal(w->diags.all.at[0].code, DL0401);
    assert_int_equal(w->diags.all.at[0].span.begin, 2);
    assert_non_null(strstr(world_messages(w), "fusion has no gradient"));
    assert_non_null(strstr(world_messages(w), "a gradient is taken here"));
    world_close(w);
}

static void test_losses_that_are_none(void **state) {
    (void)state;
    World *w = world_open();
    Builder b = world_func(w, "f");
    Dim two = dim_const(&w->module->dims, 2);
    Value *x = add_input(&b, "x", DTYPE_F64, 1, &two), *n = add_input(&b, "n", DTYPE_I32, 0, NULL), *grad;
    assert_false(build_gradients(&b, x, &x, 1, &grad));
    assert_false(build_gradients(&b, n, &x, 1, &grad));
    assert_int_equal(w->diags.all.n, 2);
    assert_int_equal(w->diags.all.at[0].code, DL0404);
    assert_false(build_gradients(&b, NULL, &x, 1, &grad));
    assert_int_equal(w->diags.all.n, 2);
    world_close(w);
}

/* A chain of 100000 ops: no recursion on depth. */
static void test_deep_graphs(void **state) {
    (void)state;
    World *w = world_open();
    Builder b = world_func(w, "f");
    Value *x = add_input(&b, "x", DTYPE_F64, 0, NULL), *y = x;
    for (int i = 0; i < 100000; i++) y = build_map1(&b, MAP_negate, y);
    assert_true(at(w, &b, 1, gradient(w, &b, y, x)) == 1);
    world_close(w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_contributions_add_up),
        cmocka_unit_test(test_derivatives_of_derivatives),
        cmocka_unit_test(test_gradient_inside_a_loss),
        cmocka_unit_test(test_targets_within_the_graph),
        cmocka_unit_test(test_stop_gradient_and_dependence),
        cmocka_unit_test(test_only_what_is_needed),
        cmocka_unit_test(test_no_rule),
        cmocka_unit_test(test_losses_that_are_none),
        cmocka_unit_test(test_deep_graphs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
