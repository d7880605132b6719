/* Graph IR's construction and traversal. */
#include "../fixture.h"
#include "ops/build.h"

#include <string.h>

static const char *const text = "module @m\n"
                                "func @f(%x: f32[4] = arg \"x\") {\n"
                                "  %a = exp %x : f32[4]\n"
                                "  %b = fusion %a, %a : f32[4] (%p: f32[4], %q: f32[4]) {\n"
                                "    %c = add %p, %q : f32[4]\n"
                                "    %d = add %c, %c : f32[4]\n"
                                "    yield %d\n"
                                "  }\n"
                                "  %e = negate %b : f32[4]\n"
                                "  return %e, %a\n"
                                "}\n";

static void ids_are_dense(void **state) {
    Fixture *f = *state;
    Func *func = fixture_read(f, text)->funcs.at[0];
    int n = graph_number(func);
    assert_int_equal(n, 8);
    bool seen[8] = {false};
    Region *inner = func->body->ops.at[1]->regions[0];
    const Value *values[] = {func->body->params.at[0], &func->body->ops.at[0]->results[0], inner->params.at[0],
                             inner->params.at[1], &inner->ops.at[0]->results[0], &inner->ops.at[1]->results[0],
                             &func->body->ops.at[1]->results[0], &func->body->ops.at[2]->results[0]};
    for (int i = 0; i < n; i++) {
        assert_in_range(values[i]->id, 0, n - 1);
        assert_false(seen[values[i]->id]);
        seen[values[i]->id] = true;
    }
}

static void uses_count_nested_ones_and_yields(void **state) {
    Fixture *f = *state;
    Func *func = fixture_read(f, text)->funcs.at[0];
    graph_number(func);
    const int *uses = graph_use_counts(func, &f->scratch);
    Region *inner = func->body->ops.at[1]->regions[0];
    assert_int_equal(uses[func->body->ops.at[0]->results[0].id], 3);
    assert_int_equal(uses[inner->ops.at[0]->results[0].id], 2);
    assert_int_equal(uses[func->body->ops.at[2]->results[0].id], 1);
}

static void replacing_reaches_everything(void **state) {
    Fixture *f = *state;
    Module *m = fixture_read(f, text);
    Func *func = m->funcs.at[0];
    Value *a = &func->body->ops.at[0]->results[0], *x = func->body->params.at[0];
    graph_replace_uses(func, a, x);
    graph_number(func);
    const int *uses = graph_use_counts(func, &f->scratch);
    assert_int_equal(uses[a->id], 0);
    assert_int_equal(uses[x->id], 4);
}

static void attributes_compare_by_value(void **state) {
    Fixture *f = *state;
    Module *m = module_new(&f->arena, &f->names, &f->diags, "m");
    const int64_t ints[] = {1, 2, 3};
    const double zeros[] = {0.0, -0.0, 1.0 / 3};
    Dim dims[] = {dim_const(&m->dims, 3), dim_symbol(&m->dims, "B", 1, 4)};
    Attr all[] = {attr_int(m, "k", 1), attr_int(m, "k", 2), attr_int(m, "l", 1), attr_float(m, "k", 0.0),
                  attr_float(m, "k", -0.0), attr_text(m, "k", "a"), attr_text(m, "k", "b"), attr_ints(m, "k", ints, 3),
                  attr_ints(m, "k", ints, 2), attr_ints(m, "k", ints + 1, 2), attr_ints(m, "k", NULL, 0),
                  attr_floats(m, "k", zeros, 1), attr_floats(m, "k", zeros + 1, 1), attr_floats(m, "k", NULL, 0),
                  attr_dims(m, "k", dims, 2), attr_dims(m, "k", dims, 1), attr_dims(m, "k", dims + 1, 1),
                  attr_dtype(m, "k", DTYPE_F32), attr_dtype(m, "k", DTYPE_F64)};
    int n = sizeof all / sizeof *all;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) assert_int_equal(attr_equal(&all[i], &all[j]), i == j);
}

static void absent_attributes_read_as_nothing(void **state) {
    Fixture *f = *state;
    const Op *op = fixture_read(f, text)->funcs.at[0]->body->ops.at[0];
    int n = 5;
    assert_null(op_attr(op, "axes"));
    assert_int_equal(op_int(op, "axis"), 0);
    assert_null(op_ints(op, "axes", &n));
    assert_int_equal(n, 0);
}

static void implicit_inputs_are_made_once(void **state) {
    Fixture *f = *state;
    Module *m = module_new(&f->arena, &f->names, &f->diags, "m");
    Var *w = module_add_var(m, VAR_PARAM, "w", type_scalar(DTYPE_F32));
    Func *func = module_add_func(m, "f");
    Value *seed = func_seed(func), *var = func_var(func, w), *count = func_count(func);
    assert_ptr_equal(func_seed(func), seed);
    assert_ptr_equal(func_var(func, w), var);
    assert_ptr_equal(func_count(func), count);
    assert_int_equal(func->inputs.n, 3);
    func_add_result(func, (Result){.var = w}, var);
    assert_ptr_equal(module_find_var(m, "w"), w);
    assert_null(module_find_var(m, "v"));
    FaultList faults = {0};
    assert_int_equal(module_verify(m, &f->scratch, &faults), 0);
}

static void order_of_walk(void *user, Op *op) {
    Text *to = user;
    text_add(to, "%s ", op->info->name);
}

static void walk_meets_every_op(void **state) {
    Fixture *f = *state;
    Text names = text_new(&f->arena);
    region_walk(fixture_read(f, text)->funcs.at[0]->body, order_of_walk, &names);
    assert_string_equal(text_get(&names), "exp add add fusion negate ");
}

static void types_print(void **state) {
    Fixture *f = *state;
    Module *m = module_new(&f->arena, &f->names, &f->diags, "m");
    Dim shape[] = {dim_symbol(&m->dims, "B", 1, 4), dim_const(&m->dims, 0)};
    assert_string_equal(type_text(&m->dims, type_make(m, DTYPE_BF16, 2, shape), &f->arena), "bf16[B,0]");
    assert_string_equal(type_text(&m->dims, type_scalar(DTYPE_BOOL), &f->arena), "bool");
    assert_true(dim_is(type_elements(&m->dims, type_make(m, DTYPE_F32, 2, shape)), 0));
    static const int bytes[DTYPE_COUNT] = {8, 4, 2, 2, 8, 4, 1, 1, 1};
    for (int i = 0; i < DTYPE_COUNT; i++) {
        DType t;
        assert_true(dtype_parse(dtype_name((DType)i), &t) && t == (DType)i);
        assert_int_equal(dtype_bytes(t), bytes[i]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(ids_are_dense), FIXTURE_TEST(uses_count_nested_ones_and_yields),
        FIXTURE_TEST(replacing_reaches_everything), FIXTURE_TEST(attributes_compare_by_value),
        FIXTURE_TEST(absent_attributes_read_as_nothing), FIXTURE_TEST(implicit_inputs_are_made_once),
        FIXTURE_TEST(walk_meets_every_op), FIXTURE_TEST(types_print)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
