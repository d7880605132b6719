/* What fusion groups: row-wise reductions with their consumers, column sums, index maps, gathers and random
 * numbers, on shapes with tails, native against the reference. */
#include "native.h"

#include <setjmp.h>
#include <cmocka.h>

static void check(const char *text, const char *const *names, int count, const int64_t *dims, int dim_count, double tolerance) {
    static const char *const cpus[] = {NULL, "x86-64-v3", "x86-64"};
    for (int c = 0; c < 3; c++) {
        Native *n = native_open(text, cpus[c], c == 0 ? 2 : 1);
        for (int i = 0; i < count; i++)
            for (int d = 0; d < dim_count; d++) native_check(n, names[i], &dims[d], tolerance);
        native_close(n);
    }
}

#define SOFTMAX(rows, columns)                                                                                         \
    "%m = reduce_max %x {axes = [1]} : f32[" rows "]\n"                                                                \
    "%mb = broadcast_in_dim %m {shape = [" rows "," columns "], axes = [0]} : f32[" rows "," columns "]\n"             \
    "%d = subtract %x, %mb : f32[" rows "," columns "]\n"                                                              \
    "%e = exp %d : f32[" rows "," columns "]\n"                                                                        \
    "%s = reduce_sum %e {axes = [1]} : f32[" rows "]\n"

static void softmax_and_losses(void **state) {
    (void)state;
    static const char text[] =
        "module @m\ndim B in 1..40\n"
        "func @softmax(%x: f32[B,10] = arg \"x\") dims(B) {\n" SOFTMAX("B", "10")
        "%sb = broadcast_in_dim %s {shape = [B,10], axes = [0]} : f32[B,10]\n"
        "%p = divide %e, %sb : f32[B,10]\n"
        "%a = argmax %x {axis = 1} : i32[B]\n"
        "return %p as \"p\", %a as \"a\"\n}\n"
        "func @wide(%x: f32[5,B] = arg \"x\") dims(B) {\n" SOFTMAX("5", "B")
        "%sb = broadcast_in_dim %s {shape = [5,B], axes = [0]} : f32[5,B]\n"
        "%p = divide %e, %sb : f32[5,B]\n"
        "return %p as \"p\"\n}\n"
        "func @cross_entropy(%x: f32[B,10] = arg \"x\", %y: i32[B] = arg \"y\") dims(B) {\n" SOFTMAX("B", "10")
        "%l = log %s : f32[B]\n"
        "%lb = broadcast_in_dim %l {shape = [B,10], axes = [0]} : f32[B,10]\n"
        "%lp = subtract %d, %lb : f32[B,10]\n"
        "%picked = gather %lp, %y {axis = 1, batch = 1, what = \"y\"} : f32[B]\n"
        "%sum = reduce_sum %picked {axes = [0]} : f32\n"
        "%n = dim_value {dtype = f32, dims = [B]} : f32\n"
        "%mean = divide %sum, %n : f32\n"
        "%loss = negate %mean : f32\n"
        "%c = argmax %lp {axis = 1} : i32[B]\n"
        "%right = equal %c, %y : bool[B]\n"
        "%count = convert %right {dtype = i32} : i32[B]\n"
        "%correct = reduce_sum %count {axes = [0]} : i32\n"
        "return %loss as \"loss\", %correct as \"correct\"\n}\n";
    static const char *const names[] = {"softmax", "wide", "cross_entropy"};
    static const int64_t dims[] = {1, 2, 15, 16, 17, 33, 40};
    check(text, names, 3, dims, 7, 1e-6);
}

static void rows_and_columns(void **state) {
    (void)state;
    static const char text[] =
        "module @m\ndim B in 1..70\n"
        "param @g : f32[24]\n"
        "func @layer_norm(%x: f32[B,24] = arg \"x\", %g: f32[24] = var @g) dims(B) {\n"
        "%n = constant {dtype = f32, shape = [B], value = 24.0} : f32[B]\n"
        "%s = reduce_sum %x {axes = [1]} : f32[B]\n"
        "%m = divide %s, %n : f32[B]\n"
        "%mb = broadcast_in_dim %m {shape = [B,24], axes = [0]} : f32[B,24]\n"
        "%d = subtract %x, %mb : f32[B,24]\n"
        "%q = multiply %d, %d : f32[B,24]\n"
        "%qs = reduce_sum %q {axes = [1]} : f32[B]\n"
        "%v = divide %qs, %n : f32[B]\n"
        "%eps = constant {dtype = f32, shape = [B], value = 0.00001} : f32[B]\n"
        "%ve = add %v, %eps : f32[B]\n"
        "%r = rsqrt %ve : f32[B]\n"
        "%rb = broadcast_in_dim %r {shape = [B,24], axes = [0]} : f32[B,24]\n"
        "%gb = broadcast_in_dim %g {shape = [B,24], axes = [1]} : f32[B,24]\n"
        "%y = multiply %d, %rb : f32[B,24]\n"
        "%z = multiply %y, %gb : f32[B,24]\n"
        "return %z as \"z\", %m as \"m\", %v as \"v\"\n}\n"
        "func @bias(%dy: f32[B,50] = arg \"dy\") dims(B) {\n"
        "%s = reduce_sum %dy {axes = [0]} : f32[50]\n"
        "%h = reduce_max %dy {axes = [0]} : f32[50]\n"
        "%t = add %s, %h : f32[50]\n"
        "return %t as \"t\", %s as \"s\"\n}\n"
        "func @batch_norm(%x: f32[B,3,5,7] = arg \"x\") dims(B) {\n"
        "%s = reduce_sum %x {axes = [0,2,3]} : f32[3]\n"
        "%q = multiply %x, %x : f32[B,3,5,7]\n"
        "%qs = reduce_sum %q {axes = [0,2,3]} : f32[3]\n"
        "%sb = broadcast_in_dim %s {shape = [B,3,5,7], axes = [1]} : f32[B,3,5,7]\n"
        "%y = subtract %x, %sb : f32[B,3,5,7]\n"
        "return %y as \"y\", %qs as \"qs\"\n}\n"
        "func @everything(%x: f32[B,31] = arg \"x\", %b: bool[B,31] = arg \"b\") dims(B) {\n"
        "%s = reduce_sum %x {axes = [0,1]} : f32\n"
        "%mx = reduce_max %x {axes = [0,1]} : f32\n"
        "%mn = reduce_min %x {axes = [0,1]} : f32\n"
        "%a = reduce_and %b {axes = [0,1]} : bool\n"
        "%o = reduce_or %b {axes = [1]} : bool[B]\n"
        "%am = argmin %x {axis = 0} : i32[31]\n"
        "return %s as \"s\", %mx as \"mx\", %mn as \"mn\", %a as \"a\", %o as \"o\", %am as \"am\"\n}\n";
    static const char *const names[] = {"layer_norm", "bias", "batch_norm", "everything"};
    static const int64_t dims[] = {1, 3, 16, 19, 70};
    check(text, names, 4, dims, 5, 2e-5);
}

static void index_maps(void **state) {
    (void)state;
    static const char text[] =
        "module @m\ndim B in 1..40\n"
        "func @transpose(%x: f32[B,3,8] = arg \"x\") dims(B) {\n"
        "%t = transpose %x {permutation = [2,0,1]} : f32[8,B,3]\n"
        "%e = exp %t : f32[8,B,3]\n"
        "return %t as \"t\", %e as \"e\"\n}\n"
        "func @reshape(%x: f32[B,4,6] = arg \"x\") dims(B) {\n"
        "%t = transpose %x {permutation = [0,2,1]} : f32[B,6,4]\n"
        "%r = reshape %t {shape = [B,24]} : f32[B,24]\n"
        "%q = reshape %x {shape = [B,2,2,6]} : f32[B,2,2,6]\n"
        "%n = negate %q : f32[B,2,2,6]\n"
        "%m = multiply %r, %r : f32[B,24]\n"
        "return %m as \"m\", %n as \"n\", %r as \"r\"\n}\n"
        "func @cut(%x: f32[B,20] = arg \"x\", %y: f32[B,5] = arg \"y\") dims(B) {\n"
        "%zero = constant {dtype = f32, shape = [], value = 0.5} : f32\n"
        "%s = slice %x {start = [0,3], limit = [B,18], strides = [1,3]} : f32[B,5]\n"
        "%r = reverse %s {axes = [1]} : f32[B,5]\n"
        "%a = add %r, %y : f32[B,5]\n"
        "%p = pad %a, %zero {low = [1,2], high = [0,-1], interior = [0,0]} : f32[B+1,6]\n"
        "%c = concatenate %x, %y, %s {axis = 1} : f32[B,30]\n"
        "%k = concatenate %y, %s {axis = 0} : f32[2*B,5]\n"
        "return %p as \"p\", %c as \"c\", %k as \"k\"\n}\n"
        "func @spread(%x: f32[B,5] = arg \"x\", %f: f32 = arg \"f\") dims(B) {\n"
        "%p = pad %x, %f {low = [2,1], high = [0,-2], interior = [1,2]} : f32[2*B+1,12]\n"
        "%q = exp %p : f32[2*B+1,12]\n"
        "return %q as \"q\"\n}\n"
        "func @matmul_of_views(%x: f32[B,20] = arg \"x\", %w: f32[10,30] = arg \"w\") dims(B) {\n"
        "%zero = constant {dtype = f32, shape = [], value = 0.0} : f32\n"
        "%s = slice %x {start = [0,4], limit = [B,14], strides = [1,1]} : f32[B,10]\n"
        "%p = pad %x, %zero {low = [0,-12], high = [0,2], interior = [0,0]} : f32[B,10]\n"
        "%c = dot_general %s, %w {lhs_batch = [], rhs_batch = [], lhs_contract = [1], rhs_contract = [0]} : f32[B,30]\n"
        "%d = dot_general %p, %w {lhs_batch = [], rhs_batch = [], lhs_contract = [1], rhs_contract = [0]} : f32[B,30]\n"
        "%e = add %c, %d : f32[B,30]\n"
        "return %e as \"e\"\n}\n"
        "func @gather_rows(%x: f32[5,33] = arg \"x\", %i: i32[B,2] = arg \"i\") dims(B) {\n"
        "%g = gather %x, %i {axis = 0, batch = 0} : f32[B,2,33]\n"
        "%h = negate %g : f32[B,2,33]\n"
        "return %h as \"h\"\n}\n"
        "func @iotas(%x: i32[B,7] = arg \"x\") dims(B) {\n"
        "%i = iota {dtype = i32, shape = [B,7], axis = 1} : i32[B,7]\n"
        "%j = iota {dtype = i32, shape = [B,7], axis = 0} : i32[B,7]\n"
        "%s = add %i, %x : i32[B,7]\n"
        "%t = multiply %s, %j : i32[B,7]\n"
        "%b = less %t, %x : bool[B,7]\n"
        "%f = convert %b {dtype = f32} : f32[B,7]\n"
        "return %t as \"t\", %b as \"b\", %f as \"f\"\n}\n";
    static const char *const names[] = {"transpose", "reshape", "cut", "spread", "matmul_of_views", "gather_rows", "iotas"};
    static const int64_t dims[] = {1, 2, 16, 17, 40};
    check(text, names, 7, dims, 5, 1e-5);
}

/* Squares turned in registers: whole ones and what is left, alone and among other operands, in several types. */
static void transpositions(void **state) {
    (void)state;
    static const char text[] =
        "module @m\ndim B in 1..40\n"
        "func @known(%x: f32[40,37] = arg \"x\", %y: f32[37,40] = arg \"y\") {\n"
        "%t = transpose %x {permutation = [1,0]} : f32[37,40]\n"
        "%s = subtract %t, %y : f32[37,40]\n"
        "return %t as \"t\", %s as \"s\"\n}\n"
        "func @both(%x: f32[50,70] = arg \"x\", %y: f32[50,70] = arg \"y\") {\n"
        "%a = subtract %x, %y : f32[50,70]\n%t = transpose %a {permutation = [1,0]} : f32[70,50]\n"
        "%e = exp %t : f32[70,50]\nreturn %e as \"e\"\n}\n"
        "func @inner(%x: f32[B,33,20] = arg \"x\") dims(B) {\n"
        "%t = transpose %x {permutation = [0,2,1]} : f32[B,20,33]\nreturn %t as \"t\"\n}\n"
        "func @outer(%x: f32[B,33,20] = arg \"x\") dims(B) {\n"
        "%t = transpose %x {permutation = [2,1,0]} : f32[20,33,B]\nreturn %t as \"t\"\n}\n"
        "func @wide(%x: f64[24,33] = arg \"x\", %i: i32[24,33] = arg \"i\", %b: u8[24,33] = arg \"b\") {\n"
        "%t = transpose %x {permutation = [1,0]} : f64[33,24]\n%u = transpose %i {permutation = [1,0]} : i32[33,24]\n"
        "%v = transpose %b {permutation = [1,0]} : u8[33,24]\n"
        "return %t as \"t\", %u as \"u\", %v as \"v\"\n}\n"
        "func @short(%b: bool[24,33] = arg \"b\") {\n"
        "%u = transpose %b {permutation = [1,0]} : bool[33,24]\n"
        "return %u as \"u\"\n}\n";
    static const char *const names[] = {"known", "both", "inner", "outer", "wide", "short"};
    static const int64_t dims[] = {1, 16, 17, 40};
    check(text, names, 6, dims, 4, 1e-5);
}

static void additions_at_indices(void **state) {
    (void)state;
    static const char text[] =
        "module @m\ndim B in 1..40\n"
        "param @e : f32[5,33]\n"
        "func @rows(%x: f32[5,33] = arg \"x\", %i: i32[B,2] = arg \"i\", %u: f32[B,2,33] = arg \"u\") dims(B) {\n"
        "%y = scatter_add %x, %i, %u {axis = 0, batch = 0} : f32[5,33]\n"
        "%n = negate %y : f32[5,33]\n"
        "return %y as \"y\", %n as \"n\", %x as \"x1\"\n}\n"
        "func @counts(%i: i32[B] = arg \"i\") dims(B) {\n"
        "%zero = constant {dtype = i32, shape = [5], value = 0.0} : i32[5]\n"
        "%one = constant {dtype = i32, shape = [B], value = 1.0} : i32[B]\n"
        "%y = scatter_add %zero, %i, %one {axis = 0, batch = 0} : i32[5]\n"
        "return %y as \"y\"\n}\n"
        "func @matched(%i: i32[B,3] = arg \"i\", %u: f32[B,3,4] = arg \"u\") dims(B) {\n"
        "%zero = constant {dtype = f32, shape = [B,5,4], value = 0.5} : f32[B,5,4]\n"
        "%v = exp %u : f32[B,3,4]\n"
        "%y = scatter_add %zero, %i, %v {axis = 1, batch = 1} : f32[B,5,4]\n"
        "return %y as \"y\"\n}\n"
        "func @embed(%i: i32[B] = arg \"i\", %e: f32[5,33] = var @e) dims(B) {\n"
        "%g = gather %e, %i {axis = 0, batch = 0} : f32[B,33]\n"
        "%h = multiply %g, %g : f32[B,33]\n"
        "%e1 = scatter_add %e, %i, %h {axis = 0, batch = 0} : f32[5,33]\n"
        "return %e1 -> @e\n}\n";
    static const char *const names[] = {"rows", "counts", "matched", "embed"};
    static const int64_t dims[] = {1, 2, 16, 17, 40};
    check(text, names, 4, dims, 5, 1e-5);
}

/* An index far outside is a status, comes before anything is read or written with it, and names its place. */
static void wild_indices(void **state) {
    (void)state;
    static const char text[] =
        "module @m\ndim B in 1..40\n"
        "param @w : f32[5,33]\n"
        "func @step(%x: f32[B,10] = arg \"x\", %y: i32[B] = arg \"y\", %w: f32[5,33] = var @w) dims(B) {\n" SOFTMAX("B", "10")
        "%picked = gather %d, %y {axis = 1, batch = 1, what = \"y\"} : f32[B]\n"
        "%loss = reduce_sum %picked {axes = [0]} : f32\n"
        "%w1 = add %w, %w : f32[5,33]\n"
        "%rows = gather %w, %y {axis = 0, batch = 0, what = \"y\"} : f32[B,33]\n"
        "%w2 = scatter_add %w1, %y, %rows {axis = 0, batch = 0, what = \"y\"} : f32[5,33]\n"
        "return %loss as \"loss\", %w2 -> @w\n}\n";
    static const int32_t wild[] = {5, 10, -1, 1000000000, INT32_MIN, INT32_MAX};
    Native *n = native_open(text, NULL, 1);
    float x[40][10] = {{0}}, loss, before[5 * 33], after[5 * 33];
    for (int i = 0; i < 5 * 33; i++) before[i] = (float)i;
    assert_int_equal(dlrt_set(n->model, "w", before, sizeof before), DLRT_OK);
    for (int i = 0; i < 6; i++) {
        int32_t y[40] = {0};
        y[17] = wild[i];
        DlrtTensor in[] = {{x, sizeof x, DLRT_F32, 2, {40, 10}}, {y, sizeof y, DLRT_I32, 1, {40}}};
        DlrtTensor out = {&loss, sizeof loss, DLRT_F32, 0, {0}};
        assert_int_equal(dlrt_call(n->context, 0, in, 2, &out, 1), DLRT_ERR_INDEX);
        assert_non_null(strstr(dlrt_message(n->context), "y[17]"));
        assert_int_equal(dlrt_get(n->model, "w", after, sizeof after), DLRT_OK);
        assert_memory_equal(before, after, sizeof before);
    }
    native_close(n);
}

/* A variable read by others, written from itself, swapped with another, given back as it was. */
static void updates(void **state) {
    (void)state;
    static const char text[] =
        "module @m\n"
        "param @a : f32[9,7] order [1,0]\n"
        "param @b : f32[9,7]\n"
        "state @c : f32[9,7]\n"
        "state @n : i64\n"
        "func @swap(%a: f32[9,7] = var @a, %b: f32[9,7] = var @b) {\n"
        "return %a as \"old\", %b -> @a, %a -> @b\n}\n"
        "func @spread(%a: f32[9,7] = var @a, %b: f32[9,7] = var @b, %x: f32[9,7] = arg \"x\") {\n"
        "%s = add %a, %x : f32[9,7]\n"
        "%d = subtract %b, %s : f32[9,7]\n"
        "return %a as \"old\", %s -> @a, %s -> @b, %d as \"d\", %a -> @c\n}\n"
        "func @zeros() {\n"
        "%z = constant {dtype = f32, shape = [9,7], value = 0.0} : f32[9,7]\n"
        "return %z -> @a, %z -> @b, %z -> @c, %z as \"z\"\n}\n"
        "func @mix(%a: f32[9,7] = var @a, %b: f32[9,7] = var @b, %n: i64 = var @n) {\n"
        "%s = add %a, %b : f32[9,7]\n"
        "%t = transpose %a {permutation = [1,0]} : f32[7,9]\n"
        "%p = dot_general %s, %t {lhs_batch = [], rhs_batch = [], lhs_contract = [1], rhs_contract = [0]} : f32[9,9]\n"
        "%r = reduce_sum %p {axes = [1]} : f32[9]\n"
        "%rb = broadcast_in_dim %r {shape = [9,7], axes = [0]} : f32[9,7]\n"
        "%c = subtract %b, %rb : f32[9,7]\n"
        "%one = constant {dtype = i64, shape = [], value = 1.0} : i64\n"
        "%n1 = add %n, %one : i64\n"
        "return %a as \"a\", %s -> @a, %c -> @b, %n1 -> @n\n}\n";
    static const char *const names[] = {"swap", "spread", "zeros", "mix"};
    check(text, names, 4, (int64_t[]){0}, 1, 1e-5);
}

/* Values of rows with dims of extent 1 among them; in a square what is a row's and what a column's has one shape. */
static void rows_with_units(void **state) {
    (void)state;
    static const char text[] =
        "module @m\n"
        "func @middle(%x: f32[5,6,7] = arg \"x\") {\n"
        "%s = reduce_sum %x {axes = [1]} : f32[5,7]\n"
        "%k = reshape %s {shape = [5,1,7]} : f32[5,1,7]\n"
        "%n = constant {dtype = f32, shape = [5,1,7], value = 6.0} : f32[5,1,7]\n"
        "%m = divide %k, %n : f32[5,1,7]\n"
        "%b = broadcast_in_dim %m {shape = [5,6,7], axes = [0,1,2]} : f32[5,6,7]\n"
        "%d = subtract %x, %b : f32[5,6,7]\n"
        "%q = multiply %d, %d : f32[5,6,7]\n"
        "%v = reduce_sum %q {axes = [1]} : f32[5,7]\n"
        "return %m as \"m\", %d as \"d\", %v as \"v\"\n}\n"
        "func @square(%x: f32[9,9] = arg \"x\") {\n"
        "%s = reduce_sum %x {axes = [1]} : f32[9]\n"
        "%k = reshape %s {shape = [9,1]} : f32[9,1]\n"
        "%e = exp %k : f32[9,1]\n"
        "%t = transpose %e {permutation = [1,0]} : f32[1,9]\n"
        "%own = broadcast_in_dim %e {shape = [9,9], axes = [0,1]} : f32[9,9]\n"
        "%other = broadcast_in_dim %t {shape = [9,9], axes = [0,1]} : f32[9,9]\n"
        "%a = subtract %x, %own : f32[9,9]\n"
        "%b = multiply %x, %other : f32[9,9]\n"
        "return %e as \"e\", %a as \"a\", %b as \"b\"\n}\n";
    static const char *const names[] = {"middle", "square"};
    check(text, names, 2, (int64_t[]){0}, 1, 1e-5);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_with_units),
        cmocka_unit_test(softmax_and_losses),
        cmocka_unit_test(rows_and_columns),
        cmocka_unit_test(index_maps),
        cmocka_unit_test(transpositions),
        cmocka_unit_test(additions_at_indices),
        cmocka_unit_test(wild_indices),
        cmocka_unit_test(updates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
