/* The interpreter: whole functions and models, run-time faults, dims from shapes; and the gradient check
 * itself, which must find wrong gradients. */
#include "support.h"

#include "ir/read.h"
#include "ops/grad.h"

#include <math.h>
#include <string.h>

static Module *read_module(World *w, const char *text) {
    uint32_t source = diag_add_source(&w->diags, "test", text, strlen(text));
    Module *m = module_read(&w->arena, &w->names, &w->diags, source);
    if (!m) fail_msg("%s", world_messages(w));
    return m;
}

/* A counter in a variable, call counts and the seed: state moves only when a call succeeds. */
static void test_model(void **state) {
    (void)state;
    World *w = world_open();
    Module *m = read_module(w,
        "module @m\n"
        "dim B in 1..8\n"
        "param @w : f64[2]\n"
        "state @swap : f64[2]\n"
        "func @step(%x: f64[B] = arg \"x\", %i: i32[B] = arg \"i\", %w: f64[2] = var @w, %s: f64[2] = var @swap, "
        "%seed: i64 = seed, %count: i64 = count) dims(B) {\n"
        "%p = gather %w, %i {axis = 0, batch = 0} : f64[B]\n"
        "%y = multiply %p, %x : f64[B]\n"
        "return %y as \"y\", %s -> @w, %w -> @swap, %count as \"count\", %seed as \"seed\"\n"
        "}\n"
        "init func @init(%seed: i64 = seed) {\n"
        "%a = constant {dtype = f64, shape = [2], values = [2.0, 3.0]} : f64[2]\n"
        "%b = negate %a : f64[2]\n"
        "return %a -> @w, %b -> @swap\n"
        "}\n");
    Interp *in = interp_open(m, &w->arena, &w->scratch, false);
    assert_true(interp_init(in, 42));
    Tensor *x = floats(w, 1, (int64_t[]){3}, (double[]){1, 10, 100});
    Tensor *good = ints(w, DTYPE_I32, 1, (int64_t[]){3}, (int64_t[]){0, 1, 0});
    Tensor *bad = ints(w, DTYPE_I32, 1, (int64_t[]){3}, (int64_t[]){0, 1, 2}), *results[3];
    Func *step = m->funcs.at[0];
    assert_true(interp_run(in, step, NULL, (Tensor *[]){x, good}, results));
    assert_true(results[0]->at[1].f == 30 && results[0]->at[2].f == 200);
    assert_int_equal(results[1]->at[0].i, 0);
    assert_int_equal(results[2]->at[0].i, 42);
    assert_false(interp_run(in, step, NULL, (Tensor *[]){x, bad}, results));
    assert_string_equal(in->error, "step: indices: element 2 is 2, outside 0 .. 1");
    assert_true(interp_run(in, step, NULL, (Tensor *[]){x, good}, results));
    assert_true(results[0]->at[1].f == -30);               /* swapped once, not twice */
    assert_int_equal(results[1]->at[0].i, 1);
    assert_true(in->vars[0]->at[0].f == 2 && in->vars[1]->at[0].f == -2);
    world_close(w);
}

/* Dims are found from shapes of the form a * B + c, and everything is checked. */
static void test_binding(void **state) {
    (void)state;
    static const struct {
        int64_t x, y;
        const char *error;         /* null: fits */
    } cases[] = {{7, 3, NULL}, {7, 4, "y: dimension 0 should be 3, but is 4"}, {6, 3, "x: dimension 0 should be 7"},
                 {131, 65, "dim B is 65, outside 1 .. 64"}, {1, 0, "dim B is 0"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        World *w = world_open();
        Func *f = world_read(w, "%x: f64[2*B + 1], %y: f64[B]", "%r = negate %y : f64[B]", "%r");
        if (!f) fail_msg("%s", world_messages(w));
        Tensor *inputs[] = {tensor_new(&w->arena, DTYPE_F64, 1, &cases[i].x),
                            tensor_new(&w->arena, DTYPE_F64, 1, &cases[i].y)};
        const char *error;
        int64_t *dims = interp_bind(f, NULL, inputs, &w->arena, &error);
        if (!cases[i].error) assert_non_null(dims);
        else if (dims || !strstr(error, cases[i].error)) fail_msg("case %d: %s", (int)i, dims ? "accepted" : error);
        world_close(w);
    }
}

static void test_binding_without_arguments(void **state) {
    (void)state;
    World *w = world_open();
    Module *m = read_module(w, "module @m\ndim B in 1..8\nfunc @f() dims(B) {\n"
                               "%i = iota {dtype = f64, shape = [B], axis = 0} : f64[B]\nreturn %i as \"i\"\n}\n");
    Interp *in = interp_open(m, &w->arena, &w->scratch, false);
    Tensor *result;
    assert_false(interp_run(in, m->funcs.at[0], NULL, NULL, &result));
    assert_string_equal(in->error, "f: nothing says how much dim B is");
    assert_true(interp_run(in, m->funcs.at[0], (int64_t[]){5}, NULL, &result));
    assert_int_equal(result->count, 5);
    world_close(w);
}

static void test_wrong_arguments(void **state) {
    (void)state;
    World *w = world_open();
    Func *f = world_read(w, "%x: f64[2,3]", "%r = negate %x : f64[2,3]", "%r");
    const char *error;
    Tensor *rank = tensor_new(&w->arena, DTYPE_F64, 1, (int64_t[]){6});
    Tensor *type = tensor_new(&w->arena, DTYPE_F32, 2, (int64_t[]){2, 3});
    assert_null(interp_bind(f, NULL, &rank, &w->arena, &error));
    assert_string_equal(error, "x: expected f64[2,3], given f64 with 1 dimensions");
    assert_null(interp_bind(f, NULL, &type, &w->arena, &error));
    assert_string_equal(error, "x: expected f64[2,3], given f32 with 2 dimensions");
    world_close(w);
}

static void test_rounding_is_asked_for(void **state) {
    (void)state;
    World *w = world_open();
    Func *f = world_read(w, "%x: f32", "%one = constant {dtype = f32, shape = [], value = 1.0} : f32\n"
                         "%s = add %x, %one : f32\n%r = subtract %s, %one : f32", "%r");
    if (!f) fail_msg("%s", world_messages(w));
    for (int round = 0; round < 2; round++) {
        Tensor *x = tensor_new(&w->arena, DTYPE_F32, 0, NULL), *r;
        x->at[0].f = 0x1p-30;
        InterpCall call = {.func = f, .arena = &w->arena, .round = round, .inputs = &x, .dims = (int64_t[]){0}};
        assert_true(interp_call(&call, &r));
        assert_true(r->at[0].f == (round ? 0 : 0x1p-30));
    }
    world_close(w);
}

/* A fusion means what its body means, and only what is wanted is evaluated. */
static void test_fusion_and_laziness(void **state) {
    (void)state;
    World *w = world_open();
    Func *f = world_read(w, "%x: f64[2], %i: i32[1]",
                         "%bad = gather %x, %i {axis = 0, batch = 0} : f64[1]\n"
                         "%a, %b = fusion %x : f64[2], f64 (%p: f64[2]) {\n"
                         "%e = exp %p : f64[2]\n%s = reduce_sum %p {axes = [0]} : f64\nyield %e, %s\n}", "%b");
    if (!f) fail_msg("%s", world_messages(w));
    Tensor *inputs[] = {floats(w, 1, (int64_t[]){2}, (double[]){1, 2}),
                        ints(w, DTYPE_I32, 1, (int64_t[]){1}, (int64_t[]){9})};
    const Op *fusion = f->body->ops.at[1];
    assert_true(evaluate(w, f, inputs, f->body->yields.at[0])->at[0].f == 3);
    assert_true(fabs(evaluate(w, f, inputs, &fusion->results[0])->at[1].f - exp(2)) < 1e-14);
    InterpCall call = {.func = f, .arena = &w->arena, .inputs = inputs};
    Value *bad = &f->body->ops.at[0]->results[0];
    Tensor *out;
    assert_false(interp_values(&call, &bad, 1, &out));
    assert_string_equal(call.error, "indices: element 0 is 9, outside 0 .. 1");
    world_close(w);
}

/* -------------------------------------------------------------------- gradient check */

/* The gradient of exp, times the op's `ulp`, which here holds the factor. */
static void grad_wrong(GradContext *g, const Op *op, Value *const *dy, Value **dx) {
    Value *factor = build_constant_like(g->b, dy[0], op->info->ulp);
    dx[0] = build_map2(g->b, MAP_multiply, build_map2(g->b, MAP_multiply, dy[0], (Value *)&op->results[0]), factor);
}

/* A loss whose derivative passes an op with a doctored rule: `factor` times the right one. */
static bool check_doctored(double factor) {
    World *w = world_open();
    Builder b = world_func(w, "f");
    Dim n = dim_const(&w->module->dims, 5);
    Value *x = add_input(&b, "x", DTYPE_F64, 1, &n);
    Value *y = build_map1(&b, MAP_exp, x);
    OpInfo doctored = *op_of_map(MAP_exp);
    if (factor != 1) {
        doctored.grad = grad_wrong;
        doctored.ulp = factor;
        y->op->info = &doctored;
    }
    Value *loss = build_reduce(&b, &OP_reduce_sum, y, (int64_t[]){0}, 1);
    InterpCall call = random_call(w, b.func, 1);
    GradcheckInput report;
    assert_true(gradcheck(&call, loss, &x, 1, gradcheck_defaults(), &w->scratch, &report));
    bool passed = gradcheck_passed(&report, 1);
    assert_int_equal(report.checked, 7);
    assert_true(passed == (report.worst <= 1));
    world_close(w);
    return passed;
}

static void test_gradcheck_finds_errors(void **state) {
    (void)state;
    assert_true(check_doctored(1));
    assert_false(check_doctored(1.0001));
    assert_false(check_doctored(-1));
    assert_false(check_doctored(0));
    assert_false(check_doctored(NAN));
}

/* x within eps of a kink: wrong with the usual step, right with a shorter one. */
static void test_gradcheck_steps_closer_at_kinks(void **state) {
    (void)state;
    for (int retries = 0; retries < 3; retries += 2) {
        World *w = world_open();
        Builder b = world_func(w, "f");
        Value *x = add_input(&b, "x", DTYPE_F64, 0, NULL), *y = build_map1(&b, MAP_abs, x);
        InterpCall call = random_call(w, b.func, 1);
        call.inputs[0]->at[0].f = 3e-7;
        GradcheckOptions options = gradcheck_defaults();
        options.retries = retries;
        GradcheckInput report;
        assert_true(gradcheck(&call, y, &x, 1, options, &w->scratch, &report));
        assert_int_equal(gradcheck_passed(&report, 1), retries > 0);
        assert_true(call.inputs[0]->at[0].f == 3e-7);
        world_close(w);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_model),
        cmocka_unit_test(test_binding),
        cmocka_unit_test(test_binding_without_arguments),
        cmocka_unit_test(test_wrong_arguments),
        cmocka_unit_test(test_rounding_is_asked_for),
        cmocka_unit_test(test_fusion_and_laziness),
        cmocka_unit_test(test_gradcheck_finds_errors),
        cmocka_unit_test(test_gradcheck_steps_closer_at_kinks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
