/* What operators compute, against values that are not ours: PyTorch's (oracle.def), Random123's published
 * test vectors, and the integer conventions of elementwise.def. */
#include "support.h"

#include "ops/philox.h"

#include <math.h>

enum { MOST_VALUES = 128, MOST_OPERANDS = 3 };

typedef struct OracleTensor {
    int rank;
    int64_t shape[5];
    int count;
    double values[MOST_VALUES];
} OracleTensor;

typedef struct Oracle {
    const char *inputs, *ops;
    int operand_count;
    OracleTensor operands[MOST_OPERANDS], result;
    bool has_gradient;
    OracleTensor gradient;     /* of the sum of result[k] * (k + 1), with respect to the first operand */
} Oracle;

static const Oracle oracles[] = {
#define UNWRAP(...) __VA_ARGS__
#define ORACLE(inputs, ops, n, operands, result, has_gradient, gradient)                                               \
    {inputs, ops, n, {UNWRAP operands}, UNWRAP result, has_gradient, UNWRAP gradient},
#include "oracle.def"
#undef ORACLE
};

static Number number_of(DType t, double x) { return dtype_is_float(t) ? (Number){.f = x} : (Number){.i = (int64_t)x}; }

static Tensor *oracle_tensor(World *w, DType t, const OracleTensor *o) {
    Tensor *to = tensor_new(&w->arena, t, o->rank, o->shape);
    assert_int_equal(to->count, o->count);
    for (int k = 0; k < o->count; k++) to->at[k] = number_of(t, o->values[k]);
    return to;
}

static void compare(const Oracle *o, const char *what, const OracleTensor *expected, const Tensor *got) {
    assert_int_equal(got->count, expected->count);
    for (int k = 0; k < expected->count; k++) {
        double x = expected->values[k], y = dtype_is_float(got->dtype) ? got->at[k].f : (double)got->at[k].i;
        bool same = (isnan(x) && isnan(y)) || x == y || fabs(x - y) <= 1e-12 * fabs(x);
        if (!same) fail_msg("%s\n%s\n%s %d: expected %.17g, got %.17g", o->inputs, o->ops, what, k, x, y);
    }
}

/* The gradient, with respect to the function's first input, of the sum of y[k] * (k + 1). */
static Value *numbered_gradient(Builder *b, Value *y) {
    double numbers[MOST_VALUES];
    int64_t axes[MAX_RANK], count = 1;
    for (int i = 0; i < y->type.rank; i++) {
        axes[i] = i;
        count *= dim_value(y->type.shape[i]);
    }
    for (int k = 0; k < count; k++) numbers[k] = k + 1;
    Value *weights = build_literal(b, y->type, numbers, (int)count), *grad = NULL;
    Value *loss = build_reduce(b, &OP_reduce_sum, build_map2(b, MAP_multiply, y, weights), axes, y->type.rank);
    Value *x = b->func->body->params.at[0];
    assert_true(build_gradients(b, loss, &x, 1, &grad));
    return grad;
}

static void test_pytorch(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof oracles / sizeof *oracles; i++) {
        const Oracle *o = &oracles[i];
        World *w = world_open();
        Func *f = world_read(w, o->inputs, o->ops, "%r");
        if (!f) fail_msg("%s\n%s", o->ops, world_messages(w));
        Tensor *inputs[MOST_OPERANDS];
        for (int k = 0; k < o->operand_count; k++)
            inputs[k] = oracle_tensor(w, f->body->params.at[k]->type.dtype, &o->operands[k]);
        Value *y = f->body->yields.at[0];
        compare(o, "result", &o->result, evaluate(w, f, inputs, y));
        if (o->has_gradient) {
            Builder b = {.module = w->module, .func = f, .region = f->body};
            compare(o, "gradient", &o->gradient, evaluate(w, f, inputs, numbered_gradient(&b, y)));
        }
        world_close(w);
    }
}

/* ------------------------------------------------------------------- random numbers */

/* Known-answer vectors of Random123 (kat_vectors, philox4x32 10). */
static void test_philox(void **state) {
    (void)state;
    static const struct {
        uint32_t counter[4], key[2], out[4];
    } known[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        uint32_t out[4];
        philox4x32(known[i].key, known[i].counter, out);
        assert_memory_equal(out, known[i].out, sizeof out);
    }
}

/* random_bits puts seed ^ site into the key, index and call count into the counter: the third vector again. */
static void test_random_bits(void **state) {
    (void)state;
    static const uint32_t out[] = {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1};
    static const uint64_t key = UINT64_C(0x299f31d0a4093822), site = UINT64_C(0x9123456789abcdef);
    for (int word = 0; word < 4; word++) {
        World *w = world_open();
        Builder b = world_func(w, "f");
        Dim two = dim_const(&w->module->dims, 2);
        Value *seed = add_input(&b, "seed", DTYPE_I64, 0, NULL), *count = add_input(&b, "count", DTYPE_I64, 0, NULL);
        Value *index = add_input(&b, "index", DTYPE_I64, 1, &two);
        Value *bits = build_random_bits(&b, seed, count, index, site, word);
        Tensor *inputs[] = {ints(w, DTYPE_I64, 0, NULL, (int64_t[]){(int64_t)(key ^ site)}),
                            ints(w, DTYPE_I64, 0, NULL, (int64_t[]){0x0370734413198a2e}),
                            ints(w, DTYPE_I64, 1, (int64_t[]){2}, (int64_t[]){0, -0x7a5cf72cdbc09578})};
        const Tensor *r = evaluate(w, b.func, inputs, bits);
        assert_int_equal(r->dtype, DTYPE_I32);
        assert_int_equal((uint32_t)r->at[1].i, out[word]);
        assert_true(r->at[1].i >= INT32_MIN && r->at[1].i <= INT32_MAX);
        assert_int_not_equal(r->at[0].i, r->at[1].i);
        world_close(w);
    }
}

/* ------------------------------------------------------------------------- integers */

static void test_integers(void **state) {
    (void)state;
    static const struct {
        MapFn f;
        DType t;
        int64_t x, y, expected;
    } cases[] = {
        {MAP_add, DTYPE_I32, INT32_MAX, 1, INT32_MIN},       {MAP_add, DTYPE_I64, INT64_MAX, 1, INT64_MIN},
        {MAP_add, DTYPE_U8, 200, 100, 44},                   {MAP_subtract, DTYPE_U8, 1, 2, 255},
        {MAP_multiply, DTYPE_I64, INT64_MAX, 2, -2},         {MAP_multiply, DTYPE_I8, 64, 4, 0},
        {MAP_divide, DTYPE_I32, -7, 2, -3},                  {MAP_divide, DTYPE_I32, 5, 0, -1},
        {MAP_divide, DTYPE_U8, 5, 0, 255},                   {MAP_divide, DTYPE_I32, INT32_MIN, -1, INT32_MIN},
        {MAP_divide, DTYPE_I64, INT64_MIN, -1, INT64_MIN},   {MAP_remainder, DTYPE_I32, -7, 2, -1},
        {MAP_remainder, DTYPE_I32, 5, 0, 5},                 {MAP_remainder, DTYPE_I64, INT64_MIN, -1, 0},
        {MAP_negate, DTYPE_I8, -128, 0, -128},               {MAP_abs, DTYPE_I32, INT32_MIN, 0, INT32_MIN},
        {MAP_negate, DTYPE_U8, 1, 0, 255},                   {MAP_sign, DTYPE_I32, -9, 0, -1},
        {MAP_shift_left, DTYPE_I32, 1, 31, INT32_MIN},       {MAP_shift_left, DTYPE_I32, 1, 32, 0},
        {MAP_shift_left, DTYPE_I32, 1, -1, 0},               {MAP_shift_right_logical, DTYPE_I32, -1, 28, 15},
        {MAP_shift_right_logical, DTYPE_I32, -1, 0, -1},     {MAP_shift_right_logical, DTYPE_I64, -1, 63, 1},
        {MAP_shift_right_logical, DTYPE_I8, -128, 7, 1},     {MAP_shift_right_logical, DTYPE_I64, -1, 64, 0},
        {MAP_not, DTYPE_BOOL, 1, 0, 0},                      {MAP_not, DTYPE_BOOL, 0, 0, 1},
        {MAP_not, DTYPE_I32, 0, 0, -1},                      {MAP_xor, DTYPE_BOOL, 1, 1, 0},
        {MAP_and, DTYPE_I32, 12, 10, 8},                     {MAP_or, DTYPE_I32, 12, 10, 14},
        {MAP_maximum, DTYPE_I32, -3, 2, 2},                  {MAP_minimum, DTYPE_I32, -3, 2, -3},
        {MAP_less, DTYPE_U8, 200, 100, 0},                   {MAP_equal, DTYPE_BOOL, 1, 1, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t got = map_eval_int(cases[i].f, cases[i].t, (int64_t[]){cases[i].x, cases[i].y, 0});
        if (got != cases[i].expected)
            fail_msg("%s of %s: %lld, %lld gives %lld", op_of_map(cases[i].f)->name, dtype_name(cases[i].t),
                     (long long)cases[i].x, (long long)cases[i].y, (long long)got);
    }
}

static void test_conversion(void **state) {
    (void)state;
    static const struct {
        DType t;
        double x;
        int64_t expected;
    } cases[] = {{DTYPE_I32, 3e9, INT32_MAX}, {DTYPE_I32, -3e9, INT32_MIN}, {DTYPE_I32, NAN, 0},
                 {DTYPE_I64, 1e30, INT64_MAX}, {DTYPE_I64, -INFINITY, INT64_MIN}, {DTYPE_I64, -2.99, -2},
                 {DTYPE_U8, -1, 0}, {DTYPE_U8, 300, 255}, {DTYPE_U8, 254.9, 254}, {DTYPE_I8, -128.9, -128},
                 {DTYPE_BOOL, NAN, 1}, {DTYPE_BOOL, 0.25, 1}, {DTYPE_BOOL, -0.0, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(number_from_float(cases[i].t, cases[i].x), cases[i].expected);
}

/* Values of IEEE 754 binary16 and bfloat16 at their edges. */
static void test_rounding(void **state) {
    (void)state;
    static const struct {
        DType t;
        double x, expected;
    } cases[] = {{DTYPE_F32, 1 + 0x1p-24, 1}, {DTYPE_F32, 1 + 0x1.8p-24, 1 + 0x1p-23}, {DTYPE_F32, 1e39, INFINITY},
                 {DTYPE_F16, 65519, 65504}, {DTYPE_F16, 65520, INFINITY}, {DTYPE_F16, -65520, -INFINITY},
                 {DTYPE_F16, 0x1p-24, 0x1p-24}, {DTYPE_F16, 0x1p-25, 0}, {DTYPE_F16, 0x1.8p-25, 0x1p-24},
                 {DTYPE_F16, 1 + 0x1p-11, 1}, {DTYPE_F16, 1 + 0x1.8p-11, 1 + 0x1p-10},
                 {DTYPE_F16, 0x1.8p-14, 0x1.8p-14}, {DTYPE_F16, 0x1.004p-15, 0x1p-15},
                 {DTYPE_BF16, 1 + 0x1p-8, 1}, {DTYPE_BF16, 1 + 0x1.8p-8, 1 + 0x1p-7},
                 {DTYPE_BF16, 0x1.fep127, 0x1.fep127}, {DTYPE_BF16, 0x1.ffp127, INFINITY},
                 {DTYPE_BF16, 0x1p-133, 0x1p-133}, {DTYPE_BF16, 0x1p-134, 0}, {DTYPE_F64, 0.1, 0.1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (number_round(cases[i].t, cases[i].x) != cases[i].expected)
            fail_msg("%s: %a became %a", dtype_name(cases[i].t), cases[i].x, number_round(cases[i].t, cases[i].x));
    assert_true(isnan(number_round(DTYPE_F16, NAN)));
}

static void test_signs_and_zeros(void **state) {
    (void)state;
    assert_true(isnan(map_eval_float(MAP_sign, (double[]){NAN})));
    assert_true(signbit(map_eval_float(MAP_sign, (double[]){-0.0})));
    assert_true(signbit(map_eval_float(MAP_round_nearest_even, (double[]){-0.25})));
    assert_true(signbit(map_eval_float(MAP_remainder, (double[]){-4, 2})));
    assert_true(map_eval_float(MAP_logistic, (double[]){-1000}) == 0);
    assert_true(isinf(map_eval_float(MAP_rsqrt, (double[]){0})));
}

/* Over nothing a reduction gives its neutral element. */
static void test_empty_reductions(void **state) {
    (void)state;
    static const struct {
        const char *inputs, *op;
        double expected;
    } cases[] = {{"%x: f64[2,0]", "%r = reduce_sum %x {axes = [1]} : f64[2]", 0},
                 {"%x: f64[2,0]", "%r = reduce_prod %x {axes = [1]} : f64[2]", 1},
                 {"%x: f64[2,0]", "%r = reduce_max %x {axes = [1]} : f64[2]", -INFINITY},
                 {"%x: f64[2,0]", "%r = reduce_min %x {axes = [1]} : f64[2]", INFINITY},
                 {"%x: i32[2,0]", "%r = reduce_max %x {axes = [1]} : i32[2]", INT32_MIN},
                 {"%x: u8[2,0]", "%r = reduce_min %x {axes = [1]} : u8[2]", 255},
                 {"%x: bool[2,0]", "%r = reduce_and %x {axes = [1]} : bool[2]", 1},
                 {"%x: bool[2,0]", "%r = reduce_or %x {axes = [1]} : bool[2]", 0},
                 {"%x: f64[2,0]", "%r = argmax %x {axis = 1} : i32[2]", 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        World *w = world_open();
        Func *f = world_read(w, cases[i].inputs, cases[i].op, "%r");
        if (!f) fail_msg("%s", world_messages(w));
        Tensor *input = tensor_new(&w->arena, f->body->params.at[0]->type.dtype, 2, (int64_t[]){2, 0});
        const Tensor *r = evaluate(w, f, &input, f->body->yields.at[0]);
        double got = dtype_is_float(r->dtype) ? r->at[1].f : (double)r->at[1].i;
        if (got != cases[i].expected) fail_msg("%s gives %g", cases[i].op, got);
        world_close(w);
    }
}

/* Sources: constants, iotas, dims. */
static void test_sources(void **state) {
    (void)state;
    World *w = world_open();
    Func *f = world_read(w, "%x: f64[B]",
                         "%c = constant {dtype = i32, shape = [2, 2], values = [1.0, 2.0, 3.0, 4.0]} : i32[2,2]\n"
                         "%i = iota {dtype = i64, shape = [2, B], axis = 1} : i64[2,B]\n"
                         "%j = iota {dtype = f32, shape = [2, B], axis = 0} : f32[2,B]\n"
                         "%d = dim_value {dtype = f32, dims = [2*B + 1]} : f32\n", "%c");
    if (!f) fail_msg("%s", world_messages(w));
    Tensor *x = tensor_new(&w->arena, DTYPE_F64, 1, (int64_t[]){3});
    Value *v[4];
    for (int i = 0; i < 4; i++) v[i] = &f->body->ops.at[i]->results[0];
    assert_int_equal(evaluate(w, f, &x, v[0])->at[3].i, 4);
    assert_int_equal(evaluate(w, f, &x, v[1])->at[4].i, 1);
    assert_true(evaluate(w, f, &x, v[2])->at[4].f == 1);
    assert_true(evaluate(w, f, &x, v[3])->at[0].f == 7);
    world_close(w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pytorch),      cmocka_unit_test(test_philox),
        cmocka_unit_test(test_random_bits),  cmocka_unit_test(test_integers),
        cmocka_unit_test(test_conversion),   cmocka_unit_test(test_rounding),
        cmocka_unit_test(test_signs_and_zeros), cmocka_unit_test(test_empty_reductions),
        cmocka_unit_test(test_sources),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
