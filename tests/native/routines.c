/* Routines in compiled functions: what they read and write in arguments, variables and the workspace, on threads, with
 * zeros of both signs, infinities and NaN. */
#include "native.h"

#include <math.h>

#include <setjmp.h>
#include <cmocka.h>

/* Many ties and special values; boxes are points plus sizes. */
static void fill(Native *n, void *user, Tensor *const *args, int count) {
    static const double special[] = {0, -0.0, INFINITY, -INFINITY, NAN, -NAN, 1, 1};
    uint64_t *state = user;
    (void)n;
    for (int i = 0; i < count; i++)
        for (int64_t k = 0; k < args[i]->count; k++) {
            double r = native_random(state);
            bool is_float = dtype_is_float(args[i]->dtype);
            if (!is_float) args[i]->at[k].i = (int64_t)(r * (args[i]->dtype == DTYPE_BOOL ? 2 : 5));
            else args[i]->at[k].f = r < 0.5 ? floor(r * 20) - 4 : special[(int)(r * 4096) % 8];
        }
}

static void check(const char *text, const char *const *names, int count, int dims) {
    uint64_t state = 5;
    Native *n = native_open_with(text, &(NativeOptions){.threads = 3, .divide = true, .fill = fill, .user = &state});
    static const int64_t sizes[] = {0, 1, 2, 33, 200};
    for (int i = 0; i < count; i++)
        for (int k = 0; k < (dims ? 5 : 1); k++) native_check(n, names[i], &sizes[k], 0);
    native_close(n);
}

static void special_values_and_threads(void **state) {
    (void)state;
    static const char text[] =
        "module @m\ndim B in 0..200\n"
        "func @rows(%x: f32[B,45] = arg \"x\", %y: f16[B,45] = arg \"y\") dims(B) {\n"
        "%r, %i, %s = sort %x, %y {axis = 1} : f32[B,45], i32[B,45], f16[B,45]\n"
        "%t, %j, %u = sort %y, %x {axis = 0, descending = 1} : f16[B,45], i32[B,45], f32[B,45]\n"
        "return %r as \"r\", %i as \"i\", %s as \"s\", %t as \"t\", %j as \"j\", %u as \"u\"\n}\n"
        "func @best(%x: f64[B,45] = arg \"x\", %y: bf16[7,B,3] = arg \"y\") dims(B) {\n"
        "%v, %i = top_k %x {axis = 1, k = 7} : f64[B,7], i32[B,7]\n"
        "%w, %j = top_k %y {axis = 2, k = 2} : bf16[7,B,2], i32[7,B,2]\n"
        "return %v as \"v\", %i as \"i\", %w as \"w\", %j as \"j\"\n}\n"
        "func @boxes(%x: f32[B,30,4] = arg \"x\", %s: f32[B,30] = arg \"s\") dims(B) {\n"
        "%r, %n = nms %x, %s {iou = 0.1, score = 0.5, keep = 9} : i32[B,9], i32[B]\n"
        "return %r as \"r\", %n as \"n\"\n}\n";
    check(text, (const char *const[]){"rows", "best", "boxes"}, 3, 1);
}

/* Operands that are views, constants or a variable in another order; results that become variables. */
static void places(void **state) {
    (void)state;
    static const char text[] =
        "module @m\nparam @w : f32[6,5] order [1, 0]\nparam @v : f32[6,5] order [1, 0]\nstate @n : i32[6,5]\n"
        "func @sorted(%w: f32[6,5] = var @w, %n: i32[6,5] = var @n) {\n"
        "%r, %i = sort %w {axis = 1} : f32[6,5], i32[6,5]\n"
        "%d = add %n, %i : i32[6,5]\n"
        "return %r -> @w, %i -> @n, %d as \"d\"\n}\n"
        "func @other(%w: f32[6,5] = var @w, %v: f32[6,5] = var @v) {\n"
        "%r, %i = sort %w {axis = 0, descending = 1} : f32[6,5], i32[6,5]\n"
        "%s, %j = sort %r {axis = 1} : f32[6,5], i32[6,5]\n"
        "return %r -> @v, %j as \"j\"\n}\n"
        "func @views(%x: f32[6,10] = arg \"x\") {\n"
        "%a = slice %x {start = [1, 2], limit = [5, 9], strides = [1, 3]} : f32[4,3]\n"
        "%b = transpose %a {permutation = [1, 0]} : f32[3,4]\n"
        "%c = broadcast_in_dim %b {shape = [3,2,4], axes = [0, 2]} : f32[3,2,4]\n"
        "%r, %i = sort %c {axis = 0} : f32[3,2,4], i32[3,2,4]\n"
        "%k = iota {dtype = i32, shape = [3,2,4], axis = 1} : i32[3,2,4]\n"
        "%p, %q, %s = sort %k, %r {axis = 1, descending = 1} : i32[3,2,4], i32[3,2,4], f32[3,2,4]\n"
        "return %i as \"i\", %s as \"s\"\n}\n";
    check(text, (const char *const[]){"sorted", "other", "views"}, 3, 0);
}

/* Slices of what a loop goes through, parts of what it stacks, and its carry. */
static void in_loops(void **state) {
    (void)state;
    static const char text[] =
        "dim B <= 8\n"
        "model M() {\n"
        "    export fn f(x: f32[B, 4, 6]) -> (f32[B, 4, 2], i32[B, 4]) {\n"
        "        let p, q, _t = scan row in x with total = zeros([6, 4]) {\n"
        "            let s, i = sort(total + transpose(row, [1, 0]), axis = 0, descending = true)\n"
        "            let v, _ = top_k(row, 2)\n"
        "            total = s\n"
        "            yield v, i[0]\n"
        "        }\n"
        "        return p, q\n"
        "    }\n"
        "}\n";
    Native *n = native_open_source("loop.dl", text, NULL, 2);
    for (int64_t b = 1; b <= 8; b += 7) native_check(n, "f", &b, 1e-6);
    native_close(n);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(special_values_and_threads),
        cmocka_unit_test(places),
        cmocka_unit_test(in_loops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
