/* Data-dependent addresses in native code: gather and scatter with masks, boxes that begin where a scalar says, what
 * is written in place, and statuses for what is out of range. */
#include "native.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include <setjmp.h>
#include <cmocka.h>

static const char *const cpus[] = {NULL, "x86-64-v3", "x86-64-v2"};

static void check(const char *text, const char *const *names, int count, const int64_t *dims, int dim_count,
                  double tolerance) {
    for (int c = 0; c < 3; c++) {
        Native *n = native_open(text, cpus[c], 3 - c);
        for (int i = 0; i < count; i++)
            for (int d = 0; d < dim_count; d++) native_check(n, names[i], &dims[d], tolerance);
        native_close(n);
    }
}

static const int64_t batches[] = {0, 1, 2, 16, 17, 40};

static void masks(void **state) {
    (void)state;
    static const char text[] =
        "module @m\ndim B in 0..40\n"
        "func @rows(%x: f32[5,33] = arg \"x\", %i: i32[B,2] = arg \"i\", %m: bool[B,2] = arg \"m\") dims(B) {\n"
        "%g = gather %x, %i, %m {axis = 0, batch = 0} : f32[B,2,33]\n"
        "%e = exp %g : f32[B,2,33]\n"
        "return %e as \"e\", %g as \"g\"\n}\n"
        "func @matched(%x: f32[B,6,5] = arg \"x\", %i: i32[B,3] = arg \"i\", %m: bool[B,3] = arg \"m\") dims(B) {\n"
        "%g = gather %x, %i, %m {axis = 2, batch = 1} : f32[B,6,3]\n"
        "return %g as \"g\"\n}\n"
        "func @picked(%x: f32[B,5] = arg \"x\", %i: i32[B] = arg \"i\", %m: bool[B] = arg \"m\") dims(B) {\n"
        "%s = reduce_max %x {axes = [1]} : f32[B]\n"
        "%sb = broadcast_in_dim %s {shape = [B,5], axes = [0]} : f32[B,5]\n"
        "%d = subtract %x, %sb : f32[B,5]\n"
        "%e = exp %d : f32[B,5]\n"
        "%g = gather %e, %i, %m {axis = 1, batch = 1} : f32[B]\n"
        "return %g as \"g\"\n}\n"
        "func @edge(%x: f32[B,4] = arg \"x\") dims(B) {\n"
        "%i = iota {dtype = i32, shape = [5], axis = 0} : i32[5]\n"
        "%n = dim_value {dtype = i32, dims = [B]} : i32\n"
        "%nb = broadcast_in_dim %n {shape = [5], axes = []} : i32[5]\n"
        "%m = less %i, %nb : bool[5]\n"
        "%g = gather %x, %i, %m {axis = 0, batch = 0} : f32[5,4]\n"
        "%y = scatter_set %x, %i, %g, %m {axis = 0, batch = 0} : f32[B,4]\n"
        "return %g as \"g\", %y as \"y\"\n}\n"
        "func @broadcast_mask(%x: f32[5,3] = arg \"x\", %i: i32[B] = arg \"i\", %m: bool[3] = arg \"m\") dims(B) {\n"
        "%ib = broadcast_in_dim %i {shape = [B,3], axes = [0]} : i32[B,3]\n"
        "%mb = broadcast_in_dim %m {shape = [B,3], axes = [1]} : bool[B,3]\n"
        "%g = gather %x, %ib, %mb {axis = 0, batch = 0} : f32[B,3,3]\n"
        "return %g as \"g\"\n}\n";
    static const char *const names[] = {"rows", "matched", "picked", "edge", "broadcast_mask"};
    check(text, names, 5, batches, 6, 1e-6);
}

#define SCATTER(name, mode)                                                                                            \
    "func @" name "_rows(%x: f32[5,33] = arg \"x\", %i: i32[B,2] = arg \"i\", %u: f32[B,2,33] = arg \"u\", "           \
    "%m: bool[B,2] = arg \"m\") dims(B) {\n"                                                                           \
    "%y = " mode " %x, %i, %u {axis = 0, batch = 0} : f32[5,33]\n"                                                     \
    "%z = " mode " %x, %i, %u, %m {axis = 0, batch = 0} : f32[5,33]\n"                                                 \
    "return %y as \"y\", %z as \"z\", %x as \"x1\"\n}\n"                                                               \
    "func @" name "_batch(%x: f32[B,3,5] = arg \"x\", %i: i64[B,4] = arg \"i\", %u: f32[B,3,4] = arg \"u\", "          \
    "%m: bool[B,4] = arg \"m\") dims(B) {\n"                                                                           \
    "%v = negate %u : f32[B,3,4]\n"                                                                                    \
    "%y = " mode " %x, %i, %v, %m {axis = 2, batch = 1} : f32[B,3,5]\n"                                                \
    "return %y as \"y\"\n}\n"                                                                                          \
    "func @" name "_flat(%x: i32[5] = arg \"x\", %i: i32[B] = arg \"i\", %u: i32[B] = arg \"u\", "                     \
    "%m: bool[B] = arg \"m\") dims(B) {\n"                                                                             \
    "%y = " mode " %x, %i, %u, %m {axis = 0, batch = 0} : i32[5]\n"                                                    \
    "return %y as \"y\"\n}\n"

static void scatters(void **state) {
    (void)state;
    static const char text[] = "module @m\ndim B in 0..40\n" SCATTER("add", "scatter_add") SCATTER("max", "scatter_max")
        SCATTER("min", "scatter_min") SCATTER("set", "scatter_set")
        "func @bools(%x: bool[5] = arg \"x\", %i: i32[B] = arg \"i\", %u: bool[B] = arg \"u\") dims(B) {\n"
        "%y = scatter_set %x, %i, %u {axis = 0, batch = 0} : bool[5]\n"
        "return %y as \"y\"\n}\n";
    static const char *const names[] = {"add_rows", "add_batch", "add_flat", "max_rows", "max_batch",
                                        "max_flat", "min_rows",  "min_batch", "min_flat", "set_rows",
                                        "set_batch", "set_flat", "bools"};
    check(text, names, 13, batches, 6, 1e-5);
}

static void boxes(void **state) {
    (void)state;
    static const char text[] =
        "module @m\ndim B in 0..40\n"
        "func @cut(%x: f32[9,B,7] = arg \"x\", %i: i32 = arg \"i\", %j: i64 = arg \"j\") dims(B) {\n"
        "%s = dynamic_slice %x, %i, %j {axes = [0,2], sizes = [5,3]} : f32[5,B,3]\n"
        "%e = exp %s : f32[5,B,3]\n"
        "%t = transpose %s {permutation = [2,0,1]} : f32[3,5,B]\n"
        "return %e as \"e\", %t as \"t\"\n}\n"
        "func @whole(%x: f32[B] = arg \"x\", %z: i32 = arg \"z\") dims(B) {\n"
        "%k = subtract %z, %z : i32\n"
        "%s = dynamic_slice %x, %k {axes = [0], sizes = [B]} : f32[B]\n"
        "return %s as \"s\"\n}\n"
        "func @put(%x: f32[B+4,20] = arg \"x\", %u: f32[B,17] = arg \"u\", %i: i32 = arg \"i\") dims(B) {\n"
        "%v = negate %u : f32[B,17]\n"
        "%y = dynamic_update_slice %x, %v, %i {axes = [0]} : f32[B+4,20]\n"
        "%n = dynamic_update_slice %y, %u, %i {axes = [0]} : f32[B+4,20]\n"
        "return %y as \"y\", %x as \"x1\", %n as \"n\"\n}\n"
        "func @sum_of_slices(%x: f32[8,B] = arg \"x\", %i: i32 = arg \"i\") dims(B) {\n"
        "%s = dynamic_slice %x, %i {axes = [0], sizes = [4]} : f32[4,B]\n"
        "%m = reduce_sum %s {axes = [0]} : f32[B]\n"
        "return %m as \"m\"\n}\n"
        "func @slice_of_gather(%x: f32[5,9] = arg \"x\", %r: i32[B] = arg \"r\", %i: i32 = arg \"i\") dims(B) {\n"
        "%g = gather %x, %r {axis = 0, batch = 0} : f32[B,9]\n"
        "%s = dynamic_slice %g, %i {axes = [1], sizes = [5]} : f32[B,5]\n"
        "return %s as \"s\"\n}\n";
    static const char *const names[] = {"cut", "whole", "put", "sum_of_slices", "slice_of_gather"};
    check(text, names, 5, batches, 6, 1e-6);
}

/* New versions of variables that are the old ones changed at some places. */
static void variables(void **state) {
    (void)state;
    static const char text[] =
        "module @m\ndim B in 0..6\n"
        "state @k : f32[8,40]\n"
        "state @v : f32[8,40]\n"
        "state @n : i32[3]\n"
        "func @cached(%k: f32[8,40] = var @k, %v: f32[8,40] = var @v, %x: f32[B,20] = arg \"x\", %at: i32 = arg \"at\")"
        " dims(B) {\n"
        "%k1 = dynamic_update_slice %k, %x, %at {axes = [1], what = \"at\"} : f32[8,40]\n"
        "%y = exp %x : f32[B,20]\n"
        "%v1 = dynamic_update_slice %v, %y, %at {axes = [1], what = \"at\"} : f32[8,40]\n"
        "%s = slice %k1 {start = [0,0], limit = [B,30], strides = [1,1]} : f32[B,30]\n"
        "%t = slice %v1 {start = [0,0], limit = [B,30], strides = [1,1]} : f32[B,30]\n"
        "%p = multiply %s, %t : f32[B,30]\n"
        "return %p as \"p\", %k1 -> @k, %v1 -> @v\n}\n"
        "func @twice(%k: f32[8,40] = var @k, %x: f32[2,40] = arg \"x\", %at: i32 = arg \"at\") {\n"
        "%k1 = dynamic_update_slice %k, %x, %at {axes = [0], what = \"at\"} : f32[8,40]\n"
        "%c = reduce_sum %k {axes = [1]} : f32[8]\n"
        "%n = negate %x : f32[2,40]\n"
        "%z = constant {dtype = i32, shape = [], value = 1.0} : i32\n"
        "%k2 = dynamic_update_slice %k1, %n, %z {axes = [0], what = \"z\"} : f32[8,40]\n"
        "return %c as \"c\", %k2 -> @k\n}\n"
        "func @late_reader(%k: f32[8,40] = var @k, %x: f32[2,40] = arg \"x\", %at: i32 = arg \"at\") {\n"
        "%k1 = dynamic_update_slice %k, %x, %at {axes = [0], what = \"at\"} : f32[8,40]\n"
        "%d = subtract %k1, %k : f32[8,40]\n"
        "return %d as \"d\", %k1 -> @k\n}\n"
        "func @own_rows(%k: f32[8,40] = var @k, %at: i32 = arg \"at\") {\n"
        "%s = slice %k {start = [2,0], limit = [6,40], strides = [1,1]} : f32[4,40]\n"
        "%k1 = dynamic_update_slice %k, %s, %at {axes = [0], what = \"at\"} : f32[8,40]\n"
        "return %k1 -> @k\n}\n"
        "func @crossed(%k: f32[8,40] = var @k, %v: f32[8,40] = var @v, %at: i32 = arg \"at\") {\n"
        "%s = slice %k {start = [2,0], limit = [4,40], strides = [1,1]} : f32[2,40]\n"
        "%t = slice %v {start = [2,0], limit = [4,40], strides = [1,1]} : f32[2,40]\n"
        "%k1 = dynamic_update_slice %k, %t, %at {axes = [0], what = \"at\"} : f32[8,40]\n"
        "%v1 = dynamic_update_slice %v, %s, %at {axes = [0], what = \"at\"} : f32[8,40]\n"
        "return %k1 -> @k, %v1 -> @v\n}\n"
        "func @shared(%k: f32[8,40] = var @k, %x: f32[2,40] = arg \"x\", %at: i32 = arg \"at\") {\n"
        "%k1 = dynamic_update_slice %k, %x, %at {axes = [0], what = \"at\"} : f32[8,40]\n"
        "return %k1 -> @k, %k1 -> @v, %k1 as \"r\", %k as \"old\"\n}\n"
        "func @counted(%n: i32[3] = var @n, %i: i32[B] = arg \"i\") dims(B) {\n"
        "%three = constant {dtype = i32, shape = [B], value = 3.0} : i32[B]\n"
        "%j = remainder %i, %three : i32[B]\n"
        "%one = constant {dtype = i32, shape = [B], value = 1.0} : i32[B]\n"
        "%n1 = scatter_add %n, %j, %one {axis = 0, batch = 0} : i32[3]\n"
        "return %n1 -> @n\n}\n";
    static const char *const names[] = {"cached", "twice", "late_reader", "own_rows", "crossed", "shared", "counted"};
    static const int64_t dims[] = {0, 1, 6};
    check(text, names, 7, dims, 3, 1e-6);
}

typedef struct Refused {
    int func;
    int64_t value;
    bool masked_out;
} Refused;

/* What is out of range is a status with name, place and value, before anything has been written; what a mask leaves
 * out may be anything. */
static void out_of_range(void **state) {
    (void)state;
    static const char text[] =
        "module @m\n"
        "state @s : f32[5,8]\n"
        "func @row(%s: f32[5,8] = var @s, %i: i64[3] = arg \"i\", %m: bool[3] = arg \"m\") {\n"
        "%g = gather %s, %i, %m {axis = 0, batch = 0, what = \"i\"} : f32[3,8]\n"
        "%d = add %s, %s : f32[5,8]\n"
        "return %g as \"g\", %d -> @s\n}\n"
        "func @put(%s: f32[5,8] = var @s, %i: i64[3] = arg \"i\", %m: bool[3] = arg \"m\") {\n"
        "%one = constant {dtype = f32, shape = [3,8], value = 1.0} : f32[3,8]\n"
        "%t = scatter_set %s, %i, %one, %m {axis = 0, batch = 0, what = \"i\"} : f32[5,8]\n"
        "%g = slice %t {start = [0,0], limit = [3,8], strides = [1,1]} : f32[3,8]\n"
        "return %g as \"g\", %t -> @s\n}\n"
        "func @cut(%s: f32[5,8] = var @s, %i: i64[3] = arg \"i\", %m: bool[3] = arg \"m\") {\n"
        "%w = slice %i {start = [1], limit = [2], strides = [1]} : i64[1]\n"
        "%at = reshape %w {shape = []} : i64\n"
        "%g = dynamic_slice %s, %at {axes = [0], sizes = [3], what = \"i\"} : f32[3,8]\n"
        "%t = dynamic_update_slice %s, %g, %at {axes = [0], what = \"i\"} : f32[5,8]\n"
        "%d = add %t, %t : f32[5,8]\n"
        "return %g as \"g\", %d -> @s\n}\n";
    static const Refused cases[] = {{0, 5, false}, {0, -1, false}, {0, INT64_MIN, false}, {0, 5, true},
                                    {0, INT64_MAX, true}, {1, 5, false}, {1, -1, false}, {1, INT64_MIN, true},
                                    {2, 3, false}, {2, -1, false}, {2, INT64_MAX, false}};
    Native *n = native_open(text, NULL, 2);
    float before[40], after[40], g[24];
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        const Refused *c = &cases[k];
        for (int i = 0; i < 40; i++) before[i] = (float)i + 1;
        assert_int_equal(dlrt_set(n->model, "s", before, sizeof before), DLRT_OK);
        int64_t index[3] = {0, c->value, 2};
        uint8_t mask[3] = {1, !c->masked_out, 1};
        DlrtTensor in[] = {{index, sizeof index, DLRT_I64, 1, {3}}, {mask, sizeof mask, DLRT_BOOL, 1, {3}}};
        DlrtTensor out = {g, sizeof g, DLRT_F32, 2, {3, 8}};
        int status = dlrt_call(n->context, c->func, in, 2, &out, 1);
        assert_int_equal(dlrt_get(n->model, "s", after, sizeof after), DLRT_OK);
        if (c->masked_out) {
            assert_int_equal(status, DLRT_OK);
            assert_true(g[8] == (c->func ? 9 : 0));
            continue;
        }
        char value[32];
        snprintf(value, sizeof value, "%lld", (long long)c->value);
        assert_int_equal(status, DLRT_ERR_INDEX);
        assert_non_null(strstr(dlrt_message(n->context), c->func == 2 ? "i[0]" : "i[1]"));
        assert_non_null(strstr(dlrt_message(n->context), value));
        assert_memory_equal(before, after, sizeof before);
    }
    native_close(n);
}

/* Updates that meet at few places, and sweeps: the bits are the same however many threads share the work. */
static void threads(void **state) {
    (void)state;
    enum { ROWS = 3000, WIDTH = 104, PLACES = 50 };
    static const char text[] =
        "module @m\n"
        "func @f(%i: i32[3000] = arg \"i\", %u: f32[3000,104] = arg \"u\", %m: bool[3000] = arg \"m\") {\n"
        "%zero = constant {dtype = f32, shape = [50,104], value = 0.0} : f32[50,104]\n"
        "%a = scatter_add %zero, %i, %u {axis = 0, batch = 0} : f32[50,104]\n"
        "%b = scatter_set %zero, %i, %u, %m {axis = 0, batch = 0} : f32[50,104]\n"
        "%c = cumulative_sum %u {axis = 0} : f32[3000,104]\n"
        "%d = cumulative_sum %u {axis = 1, reverse = 1} : f32[3000,104]\n"
        "%g = logistic %u : f32[3000,104]\n"
        "%e = linear_recurrence %g, %u {axis = 1} : f32[3000,104]\n"
        "%s = add %d, %e : f32[3000,104]\n"
        "return %a as \"a\", %b as \"b\", %c as \"c\", %s as \"s\"\n}\n";
    static int32_t index[ROWS];
    static float updates[ROWS * WIDTH], out[3][2 * (PLACES + ROWS) * WIDTH];
    static uint8_t mask[ROWS];
    uint64_t random = 5;
    for (int i = 0; i < ROWS; i++) {
        index[i] = (int32_t)(native_random(&random) * PLACES);
        mask[i] = native_random(&random) < 0.5;
    }
    for (int i = 0; i < ROWS * WIDTH; i++) updates[i] = (float)(2 * native_random(&random) - 1);
    for (int t = 0; t < 3; t++) {
        Native *n = native_open(text, NULL, t + 1);
        DlrtTensor in[] = {{index, sizeof index, DLRT_I32, 1, {ROWS}}, {updates, sizeof updates, DLRT_F32, 2, {ROWS, WIDTH}},
                           {mask, sizeof mask, DLRT_BOOL, 1, {ROWS}}};
        DlrtTensor results[4];
        float *at = out[t];
        for (int r = 0; r < 4; r++) {
            int64_t rows = r < 2 ? PLACES : ROWS;
            results[r] = (DlrtTensor){at, (size_t)(rows * WIDTH) * sizeof *at, DLRT_F32, 2, {rows, WIDTH}};
            at += rows * WIDTH;
        }
        assert_int_equal(dlrt_call(n->context, 0, in, 3, results, 4), DLRT_OK);
        assert_memory_equal(out[0], out[t], sizeof out[0]);
        native_check(n, "f", NULL, 1e-3);
        native_close(n);
    }
    double sum = 0;
    for (int i = 0; i < PLACES * WIDTH; i++) sum += fabs(out[0][i]);
    assert_true(sum > 1000);
}

/* What the language has for it, with the variables and dims that models use it with. */
static void language(void **state) {
    (void)state;
    static const char text[] =
        "dim B <= 8\ndim N <= 40\ndim 0 <= G <= 6\n"
        "model M() {\n"
        "    state mem: f32[4, 16, 3] = zeros\n"
        "    export fn cumulative(x: f32[B, 7]) -> (f32[B, 7], f32[B, 7], f32[B, 7], i32[B, 7], f32[B, 7]) {\n"
        "        return cumsum(x, axis = 0, reverse = true, exclusive = true), cumprod(x, exclusive = true), cummax(x),\n"
        "            cumulative_argmin(x, -1), logcumsumexp(x)\n    }\n"
        "    export fn at(x: f32[N, 40], i: i32, j: i64, k: i32[3, 9]) -> ("
        "f32[N, 8], f32[N], i32[3], f32[N, 40], f32[N, 40]) {\n"
        "        return x[:, i : i + 8], x[:, j], k[:, i], update(x, x[:, :20], at = [0, i]), update(x, x[:, :3], at = [0, -4])\n"
        "    }\n"
        "    export fn remember(x: f32[B, 2, 3], t: i32) -> (f32[4, 5, 3], f32[8]) {\n"
        "        mem <- update(mem, x[:1], at = [2, t, 0])\n"
        "        return mem[:, 1 + t : (1 + t) + 5], sum(mem, axis = [1, 2])[0] * ones([8])\n    }\n"
        "    export fn segments(x: f32[N, 3], ids: i32[N], keep: bool[N]) -> ("
        "f32[5, 3], f32[5, 3], f32[5, 3], f32[N, 3], f32[N, 3], f32[5, 3]) {\n"
        "        return segment_sum(x, ids, 5), segment_mean(x, ids, 5), segment_max(x, ids, 5),\n"
        "            segment_softmax(x, ids, 5), segment_softmax(x, ids, 5, keep), segment_sum(x, ids, 5, keep)\n    }\n"
        "    export fn may_be_empty(x: f32[B, G], q: bool[B, 9], k: i32[B, 4], kb: bool[B, 4]) -> ("
        "f32[B], i32[B], i32, bool[B, 9]) {\n"
        "        return max(x, axis = 1, initial = -1), argmax(x, axis = 1, empty = -7), argmin(x, empty = 3),\n"
        "            scatter(q, k, kb, axis = 1, batch = 1, mode = \"max\", mask = kb)\n    }\n"
        "}\n";
    static const char *const names[] = {"cumulative", "at", "remember", "segments", "may_be_empty"};
    for (int c = 0; c < 2; c++) {
        Native *n = native_open_source("index.dl", text, cpus[c], 2);
        for (int i = 0; i < 5; i++)
            for (int64_t d = 0; d < 3; d++) native_check(n, names[i], (int64_t[]){1 + 3 * d, 2 * d}, 1e-5);
        native_close(n);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(masks), cmocka_unit_test(scatters),     cmocka_unit_test(boxes),
        cmocka_unit_test(variables), cmocka_unit_test(out_of_range), cmocka_unit_test(threads), cmocka_unit_test(language),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
