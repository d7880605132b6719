/* The builder: broadcasting, shortcuts, and what it says when operands do not fit. */
#include "support.h"

#include <string.h>

static Dim dim_b(World *w) { return dim_symbol(&w->module->dims, intern(&w->names, "B"), 1, 64); }
static Dim k(World *w, int64_t n) { return dim_const(&w->module->dims, n); }

static void test_broadcast_pair(void **state) {
    (void)state;
    World *w = world_open();
    Builder b = world_func(w, "f");
    Dim n = dim_b(w);
    Value *x = add_input(&b, "x", DTYPE_F32, 2, (Dim[]){n, k(w, 1)});
    Value *y = add_input(&b, "y", DTYPE_F32, 3, (Dim[]){k(w, 2), k(w, 1), k(w, 3)});
    assert_true(build_broadcast_pair(&b, &x, &y));
    Dim expected[] = {k(w, 2), n, k(w, 3)};
    assert_true(shape_equal(x->type.rank, x->type.shape, 3, expected));
    assert_true(shape_equal(y->type.rank, y->type.shape, 3, expected));
    world_close(w);
}

static void test_broadcast_refused(void **state) {
    (void)state;
    World *w = world_open();
    Builder b = world_func(w, "f");
    Dim n = dim_b(w);
    Value *x = add_input(&b, "x", DTYPE_F32, 2, (Dim[]){n, k(w, 784)});
    Value *y = add_input(&b, "y", DTYPE_F32, 1, (Dim[]){k(w, 512)});
    Value *z = add_input(&b, "z", DTYPE_F32, 1, (Dim[]){n}), *four = add_input(&b, "v", DTYPE_F32, 1, (Dim[]){k(w, 4)});
    Value *x0 = x, *z0 = z;
    assert_false(build_broadcast_pair(&b, &x, &y));
    assert_false(build_broadcast_pair(&b, &z, &four));
    assert_null(build_broadcast_to(&b, x0, 1, (Dim[]){n}));
    assert_ptr_equal(x, x0);
    assert_ptr_equal(z, z0);
    const char *m = world_messages(w);
    assert_non_null(strstr(m, "f32[B,784] and f32[512] do not fit: dimension 1 of the first is 784, dimension 0 of the "
                           "second is 512"));
    assert_non_null(strstr(m, "dims known only at run time"));
    assert_non_null(strstr(m, "f32[B,784] has more dimensions than f32[B]"));
    world_close(w);
}

/* What would do nothing is not built. */
static void test_identities(void **state) {
    (void)state;
    World *w = world_open();
    Builder b = world_func(w, "f");
    Dim shape[] = {k(w, 2), k(w, 3)};
    Value *x = add_input(&b, "x", DTYPE_F32, 2, shape);
    assert_ptr_equal(build_convert(&b, x, DTYPE_F32), x);
    assert_ptr_equal(build_reshape(&b, x, 2, shape), x);
    assert_ptr_equal(build_transpose(&b, x, (int64_t[]){0, 1}), x);
    assert_ptr_equal(build_broadcast_to(&b, x, 2, shape), x);
    assert_int_equal(b.region->ops.n, 0);
    assert_ptr_not_equal(build_convert(&b, x, DTYPE_F64), x);
    world_close(w);
}

/* One mistake is reported once: what depends on it is silent. Nothing half-built stays. */
static void test_one_mistake_one_report(void **state) {
    (void)state;
    World *w = world_open();
    Builder b = world_func(w, "f");
    Value *x = add_input(&b, "x", DTYPE_F32, 1, (Dim[]){k(w, 2)});
    Value *y = add_input(&b, "y", DTYPE_F32, 1, (Dim[]){k(w, 3)});
    Value *sum = build_map2(&b, MAP_add, x, y);
    assert_null(sum);
    assert_null(build_map1(&b, MAP_exp, sum));
    assert_null(build_reduce(&b, &OP_reduce_sum, sum, (int64_t[]){0}, 1));
    assert_null(build_slice(&b, sum, NULL, NULL, NULL));
    assert_null(build_transpose(&b, sum, NULL));
    assert_null(build_concatenate(&b, (Value *[]){x, sum}, 2, 0));
    assert_false(build_broadcast_pair(&b, &x, &sum));
    assert_null(build_constant_like(&b, sum, 0));
    assert_int_equal(w->diags.all.n, 1);
    assert_int_equal(b.region->ops.n, 0);
    assert_int_equal(w->diags.all.at[0].code, DL0301);
    assert_null(build_map2(&b, MAP_add, x, build_convert(&b, x, DTYPE_F64)));
    assert_int_equal(w->diags.all.at[1].code, DL0302);
    world_close(w);
}

static void test_ranks_beyond_the_limit(void **state) {
    (void)state;
    World *w = world_open();
    Builder b = world_func(w, "f");
    Dim shape[MAX_RANK + 1];
    for (int i = 0; i <= MAX_RANK; i++) shape[i] = k(w, 2);
    Value *x = add_input(&b, "x", DTYPE_F32, 1, shape);
    assert_null(build_broadcast_to(&b, x, MAX_RANK + 1, shape));
    assert_null(build_iota(&b, DTYPE_I32, MAX_RANK + 1, shape, 0));
    assert_null(build_constant(&b, (Type){DTYPE_F32, MAX_RANK + 1, shape}, 0));
    Value *half = add_input(&b, "y", DTYPE_F32, 5, shape);
    assert_null(build_dot_general(&b, half, half, NULL, NULL, 0, NULL, NULL, 0));
    assert_int_equal(b.region->ops.n, 0);
    world_close(w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_broadcast_pair),         cmocka_unit_test(test_broadcast_refused),
        cmocka_unit_test(test_identities),             cmocka_unit_test(test_one_mistake_one_report),
        cmocka_unit_test(test_ranks_beyond_the_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
