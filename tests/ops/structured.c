/* Structured operators under several attribute settings each, on static, run-time, size-1 and size-0 dims.
 * The result type written in each case is the shape rule's test (reading compares it with the inferred
 * one); first and second derivatives are checked against differences. Of those whose gradient is linear in
 * the operand, squares are taken, so that the second derivative is one of the gradient's operators too. */
#include "support.h"

#include <string.h>

typedef struct Case {
    const char *inputs, *op;
} Case;

static const Case cases[] = {
    {"%x: f64[3]", "reduce_sum %x {axes = [0]} : f64"},
    {"%x: f64[2,3,4]", "reduce_sum %x {axes = [1]} : f64[2,4]"},
    {"%x: f64[2,B,1]", "reduce_sum %x {axes = [0, 2]} : f64[B]"},
    {"%x: f64[2,3]", "reduce_sum %x {axes = []} : f64[2,3]"},
    {"%x: f64[B,0]", "reduce_sum %x {axes = [1]} : f64[B]"},
    {"%x: f64[5]", "reduce_max %x {axes = [0]} : f64"},
    {"%x: f64[B,4]", "reduce_max %x {axes = [1]} : f64[B]"},
    {"%x: f64[B,4]", "reduce_max %x {axes = [0]} : f64[4]"},
    {"%x: f64[2,3,B]", "reduce_max %x {axes = [0, 2]} : f64[3]"},
    {"%x: f64[2,1]", "reduce_max %x {axes = [1]} : f64[2]"},
    {"%x: f64[4,3]", "reduce_min %x {axes = [0]} : f64[3]"},
    {"%x: f64[2,3,2]", "reduce_min %x {axes = [0, 1, 2]} : f64"},
    {"%x: f64[4]", "reduce_prod %x {axes = [0]} : f64"},
    {"%x: f64[2,B,3]", "reduce_prod %x {axes = [1]} : f64[2,3]"},
    {"%x: f64[2,3,2]", "reduce_prod %x {axes = [0, 2]} : f64[3]"},
    {"%x: f64[2,0]", "reduce_prod %x {axes = [1]} : f64[2]"},
    {"%x: f64[B,3], %y: f64[3,2]",
     "dot_general %x, %y {lhs_batch = [], rhs_batch = [], lhs_contract = [1], rhs_contract = [0]} : f64[B,2]"},
    {"%x: f64[3,B], %y: f64[2,3]",
     "dot_general %x, %y {lhs_batch = [], rhs_batch = [], lhs_contract = [0], rhs_contract = [1]} : f64[B,2]"},
    {"%x: f64[B], %y: f64[B]",
     "dot_general %x, %y {lhs_batch = [], rhs_batch = [], lhs_contract = [0], rhs_contract = [0]} : f64"},
    {"%x: f64[2], %y: f64[B]",
     "dot_general %x, %y {lhs_batch = [], rhs_batch = [], lhs_contract = [], rhs_contract = []} : f64[2,B]"},
    {"%x: f64[2,3,B,2], %y: f64[B,2,3,2]",
     "dot_general %x, %y {lhs_batch = [2], rhs_batch = [0], lhs_contract = [1, 0], rhs_contract = [2, 1]} "
     ": f64[B,2,2]"},
    {"%x: f64[2,B,1], %y: f64[B,1,2]",
     "dot_general %x, %y {lhs_batch = [1, 0], rhs_batch = [0, 2], lhs_contract = [2], rhs_contract = [1]} : f64[B,2]"},
    {"%x: f64[2,0], %y: f64[0,2]",
     "dot_general %x, %y {lhs_batch = [], rhs_batch = [], lhs_contract = [1], rhs_contract = [0]} : f64[2,2]"},
    {"%x: f64[3]", "broadcast_in_dim %x {shape = [2, 3], axes = [1]} : f64[2,3]"},
    {"%x: f64[B,1]", "broadcast_in_dim %x {shape = [B, 2, 3], axes = [0, 2]} : f64[B,2,3]"},
    {"%x: f64, %y: f64[B]", "broadcast_in_dim %x {shape = [B, 2], axes = []} : f64[B,2]"},
    {"%x: f64[1]", "broadcast_in_dim %x {shape = [0], axes = [0]} : f64[0]"},
    {"%x: f64[2,6]", "reshape %x {shape = [3, 4]} : f64[3,4]"},
    {"%x: f64[B,2,3]", "reshape %x {shape = [3*B, 2]} : f64[3*B,2]"},
    {"%x: f64[1,1]", "reshape %x {shape = []} : f64"},
    {"%x: f64[0,3]", "reshape %x {shape = [5, 0]} : f64[5,0]"},
    {"%x: f64[2,B,3]", "transpose %x {permutation = [1, 2, 0]} : f64[B,3,2]"},
    {"%x: f64[1,2,2,3]", "transpose %x {permutation = [3, 1, 2, 0]} : f64[3,2,2,1]"},
    {"%x: f64[B,3]", "reverse %x {axes = [0]} : f64[B,3]"},
    {"%x: f64[2,3,0]", "reverse %x {axes = [1, 2]} : f64[2,3,0]"},
    {"%x: f64[5,4]", "slice %x {start = [1, 0], limit = [4, 4], strides = [1, 1]} : f64[3,4]"},
    {"%x: f64[9]", "slice %x {start = [1], limit = [8], strides = [3]} : f64[3]"},
    {"%x: f64[B + 2]", "slice %x {start = [1], limit = [B + 1], strides = [1]} : f64[B]"},
    {"%x: f64[B,3]", "slice %x {start = [B - 1, 0], limit = [B, 3], strides = [1, 2]} : f64[1,2]"},
    {"%x: f64[4]", "slice %x {start = [2], limit = [2], strides = [1]} : f64[0]"},
    {"%x: f64[2,3], %v: f64", "pad %x, %v {low = [1, 0], high = [0, 2], interior = [0, 0]} : f64[3,5]"},
    {"%x: f64[3], %v: f64", "pad %x, %v {low = [2], high = [1], interior = [2]} : f64[10]"},
    {"%x: f64[4], %v: f64", "pad %x, %v {low = [-1], high = [-2], interior = [1]} : f64[4]"},
    {"%x: f64[B,2], %v: f64", "pad %x, %v {low = [B, -1], high = [1, 1], interior = [1, 0]} : f64[3*B,2]"},
    {"%x: f64[0], %v: f64", "pad %x, %v {low = [1], high = [1], interior = [0]} : f64[2]"},
    {"%x: f64[2,3], %y: f64[2,1]", "concatenate %x, %y {axis = 1} : f64[2,4]"},
    {"%x: f64[B,2], %y: f64[3,2], %z: f64[1,2]", "concatenate %x, %y, %z {axis = 0} : f64[B+4,2]"},
    {"%x: f64[2,0], %y: f64[2,2]", "concatenate %x, %y {axis = 1} : f64[2,2]"},
    {"%x: f64[3,2], %i: i32[4]", "gather %x, %i {axis = 0, batch = 0} : f64[4,2]"},
    {"%x: f64[2,3,2], %i: i64[B,2]", "gather %x, %i {axis = 1, batch = 0} : f64[2,B,2,2]"},
    {"%x: f64[B,3], %i: i32[B]", "gather %x, %i {axis = 1, batch = 1} : f64[B]"},
    {"%x: f64[B,2,3], %i: i32[B]", "gather %x, %i {axis = 2, batch = 1} : f64[B,2]"},
    {"%x: f64[B,3,2], %i: i32[B,2]", "gather %x, %i {axis = 1, batch = 1, what = \"rows\"} : f64[B,2,2]"},
    {"%x: f64[3,2], %i: i32", "gather %x, %i {axis = 0, batch = 0} : f64[2]"},
    {"%x: f64[3], %i: i32[0]", "gather %x, %i {axis = 0, batch = 0} : f64[0]"},
    {"%x: f64[3,2], %i: i32[4], %u: f64[4,2]", "scatter_add %x, %i, %u {axis = 0, batch = 0} : f64[3,2]"},
    {"%x: f64[B,2,3], %i: i64[B,2], %u: f64[B,2,2]", "scatter_add %x, %i, %u {axis = 2, batch = 1} : f64[B,2,3]"},
    {"%x: f64[3,2], %i: i32[4], %m: bool[4]", "gather %x, %i, %m {axis = 0, batch = 0} : f64[4,2]"},
    {"%x: f64[B,3,2], %i: i32[B,2], %m: bool[B,2]", "gather %x, %i, %m {axis = 1, batch = 1} : f64[B,2,2]"},
    {"%x: f64[B,3], %i: i32[B], %m: bool[B]", "gather %x, %i, %m {axis = 1, batch = 1} : f64[B]"},
    {"%x: f64[3], %i: i32[4], %u: f64[4], %m: bool[4]", "scatter_add %x, %i, %u, %m {axis = 0, batch = 0} : f64[3]"},
    {"%x: f64[3], %i: i32[5], %u: f64[5]", "scatter_set %x, %i, %u {axis = 0, batch = 0} : f64[3]"},
    {"%x: f64[2,3,2], %i: i32[B,2], %u: f64[2,B,2,2]", "scatter_set %x, %i, %u {axis = 1, batch = 0} : f64[2,3,2]"},
    {"%x: f64[B,2,3], %i: i32[B,4], %u: f64[B,2,4], %m: bool[B,4]",
     "scatter_set %x, %i, %u, %m {axis = 2, batch = 1} : f64[B,2,3]"},
    {"%x: f64[3,2], %i: i32[4], %u: f64[4,2]", "scatter_max %x, %i, %u {axis = 0, batch = 0} : f64[3,2]"},
    {"%x: f64[B,2,3], %i: i32[B,4], %u: f64[B,2,4], %m: bool[B,4]",
     "scatter_max %x, %i, %u, %m {axis = 2, batch = 1} : f64[B,2,3]"},
    {"%x: f64[3], %i: i32[4], %u: f64[4], %m: bool[4]", "scatter_min %x, %i, %u, %m {axis = 0, batch = 0} : f64[3]"},
    {"%x: f64[5,4], %i: i32", "dynamic_slice %x, %i {axes = [0], sizes = [2]} : f64[2,4]"},
    {"%x: f64[5,B+2,4], %i: i32, %j: i64", "dynamic_slice %x, %i, %j {axes = [0, 2], sizes = [3, 2]} : f64[3,B+2,2]"},
    {"%x: f64[B+2], %i: i32", "dynamic_slice %x, %i {axes = [0], sizes = [B]} : f64[B]"},
    {"%x: f64[B+2], %i: i32", "dynamic_slice %x, %i {axes = [0], sizes = [0]} : f64[0]"},
    {"%x: f64[5,4], %u: f64[2,4], %i: i32", "dynamic_update_slice %x, %u, %i {axes = [0]} : f64[5,4]"},
    {"%x: f64[B+3,5,4], %u: f64[B,3,2], %i: i32, %j: i64",
     "dynamic_update_slice %x, %u, %i, %j {axes = [0, 2]} : f64[B+3,5,4]"},
    {"%x: f64[3], %u: f64[2]", "dynamic_update_slice %x, %u {axes = []} : f64[3]"},
};

/* Which structured operators the cases use; the others are those that cannot be differentiated. */
static bool is_covered(const char *name) {
    size_t n = strlen(name);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (!strncmp(cases[i].op, name, n) && cases[i].op[n] == ' ') return true;
    return false;
}

static void test_every_gradient_has_a_case(void **state) {
    (void)state;
    int count;
    const OpInfo *const *table = op_table(&count);
    for (int i = 0; i < count; i++)
        if (table[i]->kind != KIND_MAP && table[i]->grad && !is_covered(table[i]->name))
            fail_msg("%s has a gradient, but no case tests it", table[i]->name);
}

static void test_derivatives(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        World *w = world_open();
        Func *f = world_read(w, cases[i].inputs, arena_printf(&w->arena, "%%r = %s", cases[i].op), "%r");
        if (!f) fail_msg("%s: %s", cases[i].op, world_messages(w));
        Builder b = {.module = w->module, .func = f, .region = f->body};
        Value *y = f->body->yields.at[0];
        y = build_map2(&b, MAP_multiply, y, y);
        check_derivatives(w, &b, &y, 1, 3, NULL, NULL, cases[i].op);
        world_close(w);
    }
}

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
    {"%x: f64[3], %i: i32[2]", "dynamic_slice %x, %i {axes = [0], sizes = [2]} : f64[2]", "not a scalar"},
    {"%x: f64[3], %i: i32", "dynamic_slice %x, %i {axes = [0], sizes = [4]} : f64[4]", "may be too large"},
    {"%x: f64[B], %i: i32", "dynamic_slice %x, %i {axes = [0], sizes = [2]} : f64[2]", "may be too large"},
    {"%x: f64[3], %i: i32", "dynamic_slice %x, %i {axes = [], sizes = []} : f64[3]", "0 axes are named, but there are 1"},
    {"%x: f64[3], %u: f64[4], %i: i32", "dynamic_update_slice %x, %u, %i {axes = [0]} : f64[3]", "may be too large"},
    {"%x: f64[3], %u: f64[1,1], %i: i32", "dynamic_update_slice %x, %u, %i {axes = [0]} : f64[3]", "differ in rank"},
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
        cmocka_unit_test(test_every_gradient_has_a_case),
        cmocka_unit_test(test_derivatives),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
