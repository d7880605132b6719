/* Every operator of the table on its cases (cases.h): the result type written in each is the shape rule's test (reading
 * compares it with the inferred one); what is printed reads back the same; first and second derivatives of those that
 * cases.def lists are checked against differences. Of those whose gradient is linear in the operand, squares are taken,
 * so that the second derivative is one of the gradient's operators too. An operator without a case fails. */
#include "cases.h"
#include "support.h"

#include "ir/print.h"
#include "ir/read.h"

#include <string.h>

enum { EXTENT = 3 };           /* of run-time dims */

typedef void TryCase(World *w, const OpCase *c, DType t, const char *text);

/* Each case of an operator for each type that it takes, in a world of its own. */
static int each_case(const OpInfo *op, TryCase *try) {
    World *all = world_open();
    int count, tried = 0;
    const OpCase *cases = cases_of(&all->arena, op, &count);
    for (int i = 0; i < count; i++)
        for (int t = 0; t < DTYPE_COUNT; t++) {
            if (!case_takes(&cases[i], (DType)t)) continue;
            World *w = world_open();
            const char *func = case_func(&w->arena, &cases[i], (DType)t, "f");
            try(w, &cases[i], (DType)t, arena_printf(&w->arena, "module @test\n%s%s", cases_dims, func));
            world_close(w);
            tried++;
        }
    world_close(all);
    return tried;
}

static Module *read_text(World *w, const char *text) {
    uint32_t source = diag_add_source(&w->diags, "test", text, strlen(text));
    Module *m = module_read(&w->arena, &w->names, &w->diags, source);
    if (!m) fail_msg("%s\n%s", text, world_messages(w));
    return m;
}

static const char *printed(World *w, const Module *m) {
    Text text = text_new(&w->arena);
    module_print(m, &text);
    return text_get(&text);
}

static void read_back(World *w, const OpCase *c, DType t, const char *text) {
    const char *once = printed(w, read_text(w, text));
    (void)t;
    if (!strstr(once, c->op->name)) fail_msg("a case of %s does not use it:\n%s", c->op->name, once);
    assert_string_equal(printed(w, read_text(w, once)), once);
}

static void test_every_operator_has_cases(void **state) {
    (void)state;
    int count;
    const OpInfo *const *table = op_table(&count);
    for (int i = 0; i < count; i++)
        if (!each_case(table[i], read_back)) fail_msg("%s has no case: add rows to tests/ops/cases.def", table[i]->name);
}

/* Whether some case of the operator is one for type t. */
static bool has_type(Arena *arena, const OpInfo *op, DType t) {
    int count;
    const OpCase *cases = cases_of(arena, op, &count);
    for (int i = 0; i < count; i++)
        if (case_takes(&cases[i], t)) return true;
    return false;
}

static void test_cases_have_every_type(void **state) {
    (void)state;
    World *w = world_open();
    int count;
    const OpInfo *const *table = op_table(&count);
    for (int i = 0; i < count; i++) {
        const OpInfo *op = table[i];
        for (int t = 0; t < DTYPE_COUNT && strchr(op->signature, 'T'); t++) {
            unsigned class = dtype_is_float((DType)t) ? CLASS_FLOAT : t == DTYPE_BOOL ? CLASS_BOOL : CLASS_INT;
            if (op->types & class && !has_type(&w->arena, op, (DType)t))
                fail_msg("no case of %s is one for %s", op->name, dtype_name((DType)t));
        }
    }
    world_close(w);
}

static void fill_case(World *w, void *user, const Func *f, Tensor *const *inputs) {
    (void)w;
    case_fill(user, inputs, f->inputs.n, false);
}

/* Of all float results together; nothing where there are none or no float input. */
static void differentiate(World *w, const OpCase *c, DType t, const char *text) {
    enum { MOST_RESULTS = 8 };
    if (t != DTYPE_F64) return;
    w->module = read_text(w, text);
    Func *f = w->module->funcs.at[0];
    Builder b = {.module = w->module, .func = f, .region = f->body};
    Value *ys[MOST_RESULTS];
    int n = 0;
    bool flows = false;
    for (int i = 0; i < f->body->params.n; i++) flows = flows || dtype_is_float(f->body->params.at[i]->type.dtype);
    for (int i = 0; i < f->body->yields.n; i++) {
        Value *y = f->body->yields.at[i];
        if (dtype_is_float(y->type.dtype)) ys[n++] = build_map2(&b, MAP_multiply, y, y);
    }
    if (n && flows) check_derivatives(w, &b, ys, n, EXTENT, fill_case, (void *)c, text);
}

static void test_derivatives(void **state) {
    (void)state;
    int count;
    const OpInfo *const *table = op_table(&count);
    for (int i = 0; i < count; i++)
        if (table[i]->grad && !case_is_made(table[i])) each_case(table[i], differentiate);   /* else: elementwise.c */
}

/* A convolution along one dimension of x by w, low and high padding alike. */
#define CONV(x, w, stride, input_dilation, pad, kernel_dilation, feature_groups, batch_groups, why)                    \
    {"%x: f64[" x "], %w: f64[" w "]",                                                                                 \
     "convolution %x, %w {input = [0,1,2], kernel = [1,0,2], output = [0,1,2], strides = [" #stride "], "              \
     "low = [" #pad "], high = [" #pad "], input_dilation = [" #input_dilation "], "                                   \
     "kernel_dilation = [" #kernel_dilation "], feature_groups = " #feature_groups                                     \
     ", batch_groups = " #batch_groups "} : f64[2,4,1]", why}

/* Refused, and why in words. */
static const struct {
    const char *inputs, *op, *why;
} refused[] = {
    {"%x: f64[B,784], %y: f64[512,10]",
     "dot_general %x, %y {lhs_batch = [], rhs_batch = [], lhs_contract = [1], rhs_contract = [0]} : f64[B,10]",
     "dimension 1 of lhs is 784, dimension 0 of rhs is 512"},
    {"%x: f64[2,2], %y: f64[2,2]",
     "dot_general %x, %y {lhs_batch = [0], rhs_batch = [0], lhs_contract = [0], rhs_contract = [1]} : f64[2]",
     "dimension 0 of lhs is named twice"},
    {"%x: f64[2], %y: f64[2]",
     "dot_general %x, %y {lhs_batch = [], rhs_batch = [], lhs_contract = [1], rhs_contract = [0]} : f64",
     "lhs: dimension 1 does not exist: there are 1 dimensions"},
    {"%x: f64[2], %y: f32[2]", "add %x, %y : f64[2]", "f64[2] and f32[2]"},
    {"%x: i32[2]", "exp %x : i32[2]", "must be of floats, but is i32[2]"},
    {"%x: f64[2], %y: f64[2], %z: f64[2]", "select %x, %y, %z : f64[2]", "must be of bool, but is f64[2]"},
    {"%x: f64[2,3]", "reduce_sum %x {axes = [2]} : f64[2]", "axis 2 does not exist"},
    {"%x: f64[2,3]", "reduce_sum %x {axes = [1, 0]} : f64", "above the one before"},
    {"%x: f64[2,3]", "reduce_sum %x {axes = [0, 0]} : f64", "above the one before"},
    {"%x: bool[2]", "reduce_sum %x {axes = [0]} : bool", "must be of numbers"},
    {"%x: f64[B]", "broadcast_in_dim %x {shape = [4], axes = [0]} : f64[4]", "only a static 1 is repeated"},
    {"%x: f64[2]", "broadcast_in_dim %x {shape = [2], axes = []} : f64[2]", "axes has 0 entries"},
    {"%x: f64[B,2]", "reshape %x {shape = [B, 3]} : f64[B,3]", "has 2*B elements, f64[B,3] has 3*B"},
    {"%x: f64[2,2]", "transpose %x {permutation = [1, 1]} : f64[2,2]", "names dimension 1 twice"},
    {"%x: f64[2,2]", "transpose %x {permutation = [0]} : f64[2,2]", "permutation has 1 entries"},
    {"%x: f64[4]", "slice %x {start = [2], limit = [5], strides = [1]} : f64[3]", "ends beyond dimension 0"},
    {"%x: f64[B]", "slice %x {start = [0], limit = [2], strides = [1]} : f64[2]", "or may do so"},
    {"%x: f64[B]", "slice %x {start = [B - 2], limit = [B], strides = [1]} : f64[2]", "begins before dimension 0"},
    {"%x: f64[4]", "slice %x {start = [3], limit = [2], strides = [1]} : f64[0]", "ends before it begins"},
    {"%x: f64[4]", "slice %x {start = [0], limit = [2], strides = [0]} : f64[2]", "stride 0"},
    {"%x: f64[4], %v: f64[1]", "pad %x, %v {low = [0], high = [0], interior = [0]} : f64[4]", "not a scalar"},
    {"%x: f64[4], %v: f64", "pad %x, %v {low = [-3], high = [-2], interior = [0]} : f64[0]", "more than all"},
    {"%x: f64[Z], %v: f64", "pad %x, %v {low = [0], high = [0], interior = [1]} : f64[2*Z]", "may be empty"},
    {"%x: f64[2,3], %y: f64[3,3]", "concatenate %x, %y {axis = 1} : f64[2,6]",
     "dimension 0 of operand 0 is 2, of operand 1 it is 3"},
    {"%x: f64[2,3], %i: f64[2]", "gather %x, %i {axis = 0, batch = 0} : f64[2,3]", "an integer type"},
    {"%x: f64[2,3], %i: i32[2]", "gather %x, %i {axis = 0, batch = 1} : f64[3]", "batch is 1"},
    {"%x: f64[B,3], %i: i32[4]", "gather %x, %i {axis = 1, batch = 1} : f64[B]",
     "dimension 0 of the operand is B, dimension 0 of the indices is 4"},
    {"%x: f64[3], %i: i32[2], %u: f64[3]", "scatter_add %x, %i, %u {axis = 0, batch = 0} : f64[3]", "ask for f64[2]"},
    {"%x: f64[3], %i: i32[2], %m: bool[3]", "gather %x, %i, %m {axis = 0, batch = 0} : f64[2]", "the mask is bool[3]"},
    CONV("2,3,7", "4,2,3", 1, 1, 0, 1, 1, 1, "the input has 3 features (dimension 1), the kernel takes 2 (its dimension 1)"),
    CONV("2,6,7", "4,2,3", 1, 1, 0, 1, 2, 1, "the kernel takes 2 in each of 2 groups"),
    CONV("2,4,7", "5,2,3", 1, 1, 0, 1, 2, 1, "5 output features cannot be split into 2 groups"),
    CONV("3,2,7", "4,2,3", 1, 1, 0, 1, 1, 2, "3 examples cannot be split into 2 groups"),
    CONV("2,4,7", "4,2,3", 1, 1, 0, 1, 2, 2, "either features or the batch can be in groups"),
    CONV("2,3,7", "4,3,3", 0, 1, 0, 1, 1, 1, "`strides` has the entry 0"),
    CONV("2,3,7", "4,3,3", 1, 0, 0, 1, 1, 1, "`input_dilation` has the entry 0"),
    CONV("2,3,4", "4,3,3", 1, 1, -1, 2, 1, 1, "spans 5 elements of dimension 2 of the input, which with its padding has 2"),
    CONV("2,3,B", "4,3,3", 1, 1, 0, 1, 1, 1, "may have as few as 1 (B)"),
    CONV("2,3,Z", "4,3,3", 1, 1, 4, 1, 1, 1, "the input is, or may be, empty along its dimension 2"),
    CONV("2,3,5", "4,3,0", 1, 1, 0, 1, 1, 1, "the kernel is, or may be, empty along its dimension 2"),
    CONV("2,3", "4,3,3", 1, 1, 0, 1, 1, 1, "with 1 spatial dimensions input and kernel have 3 each"),
    {"%x: f64[9]", "take_windows %x {axes = [0], strides = [1], dilations = [1]} : f64[7]", "no 1 axes with a window"},
    {"%x: f64[9,3]", "take_windows %x {axes = [1], strides = [1], dilations = [1]} : f64[7,3]", "axis 1 does not exist"},
    {"%x: f64[9,3]", "take_windows %x {axes = [0], strides = [0], dilations = [1]} : f64[7,3]", "stride 0 is not"},
    {"%x: f64[9,3]", "take_windows %x {axes = [0], strides = [1], dilations = [5]} : f64[1,3]", "spans 11, but there are only 9"},
    {"%x: f64[B,3]", "take_windows %x {axes = [0], strides = [1], dilations = [1]} : f64[B-2,3]", "may be only 1"},
    {"%x: f64[9,0]", "take_windows %x {axes = [0], strides = [1], dilations = [1]} : f64[9,0]", "must not be empty"},
    {"%x: f64[4,3]", "place_windows %x {axes = [0], sizes = [8], strides = [2], dilations = [1]} : f64[8,3]",
     "dimension 0 holds 4 windows, but 8 elements have 3"},
    {"%x: f64[3], %i: i32[2]", "dynamic_slice %x, %i {axes = [0], sizes = [2]} : f64[2]", "not a scalar"},
    {"%x: f64[3], %i: i32", "dynamic_slice %x, %i {axes = [0], sizes = [4]} : f64[4]", "may be too large"},
    {"%x: f64[B], %i: i32", "dynamic_slice %x, %i {axes = [0], sizes = [2]} : f64[2]", "may be too large"},
    {"%x: f64[3], %i: i32", "dynamic_slice %x, %i {axes = [], sizes = []} : f64[3]", "0 axes are named, but there are 1"},
    {"%x: f64[3], %u: f64[4], %i: i32", "dynamic_update_slice %x, %u, %i {axes = [0]} : f64[3]", "may be too large"},
    {"%x: f64[3], %u: f64[1,1], %i: i32", "dynamic_update_slice %x, %u, %i {axes = [0]} : f64[3]", "differ in rank"},
    {"%x: f64[2]", "sort %x {axis = 0} : f64[2]", "there are 1 results; they are the sorted key"},
    {"%x: f64[2]", "sort %x {axis = 1} : f64[2]", "axis 1 does not exist"},
    {"%x: f64[2]", "constant {dtype = f64, shape = [2], values = [1.0]} : f64[2]", "1 values are given"},
    {"%x: f64[2]", "constant {dtype = f64, shape = [2]} : f64[2]", "either value or values"},
    {"%x: f64[2]", "iota {dtype = bool, shape = [2], axis = 0} : bool[2]", "not in bool"},
    {"%x: i64[2]", "random_bits %x, %x, %x {site = 1, word = 4} : i32[2]", "word is 4"},
    {"%x: i32[2]", "random_bits %x, %x, %x {site = 1, word = 0} : i32[2]", "must be of i64"},
};

static void test_refused(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        World *w = world_open();
        Func *f = world_read(w, refused[i].inputs, arena_printf(&w->arena, "%%r = %s", refused[i].op), "%r");
        if (f) fail_msg("accepted: %s", refused[i].op);
        const char *messages = world_messages(w);
        if (!strstr(messages, refused[i].why))
            fail_msg("%s\nexpected \"%s\" in:\n%s", refused[i].op, refused[i].why, messages);
        world_close(w);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_operator_has_cases),
        cmocka_unit_test(test_cases_have_every_type),
        cmocka_unit_test(test_derivatives),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
