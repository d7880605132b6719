/* Long sums of contractions: how near they are, that no term is lost where runs end, and that rows, columns and packing
 * change no bit of them. Over one axis and several, known and not, that count as one in memory and not. */
#include "native.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include <setjmp.h>
#include <cmocka.h>

static const char *const cpus[] = {
    NULL,
#if defined __x86_64__
    "x86-64-v3", "x86-64",
#endif
};
enum { CPUS = sizeof cpus / sizeof *cpus };

static const char text[] =
    "module @m\ndim N in 1..20000\n"
    "func @product(%x: f32[3,N] = arg \"x\", %y: f32[N,17] = arg \"y\") dims(N) {\n"
    "%c = dot_general %x, %y {lhs_batch = [], rhs_batch = [], lhs_contract = [1], rhs_contract = [0]} : f32[3,17]\n"
    "return %c as \"c\"\n}\n"
    "func @turned(%x: f32[3,N] = arg \"x\", %y: f32[17,N] = arg \"y\") dims(N) {\n"
    "%c = dot_general %x, %y {lhs_batch = [], rhs_batch = [], lhs_contract = [1], rhs_contract = [1]} : f32[3,17]\n"
    "return %c as \"c\"\n}\n"
    "func @computed(%x: f32[30,N] = arg \"x\", %y: f32[N,17] = arg \"y\") dims(N) {\n"
    "%s = sqrt %x : f32[30,N]\n%t = sqrt %y : f32[N,17]\n"
    "%c = dot_general %s, %t {lhs_batch = [], rhs_batch = [], lhs_contract = [1], rhs_contract = [0]} : f32[30,17]\n"
    "return %c as \"c\"\n}\n"
    "func @images(%x: f32[N,3,7,5] = arg \"x\", %y: f32[N,3,7,9] = arg \"y\") dims(N) {\n"
    "%c = dot_general %x, %y {lhs_batch = [], rhs_batch = [], lhs_contract = [0,1,2], rhs_contract = [0,1,2]} : f32[5,9]\n"
    "return %c as \"c\"\n}\n"
    "func @parts(%x: f32[N,4,7,5] = arg \"x\", %y: f32[N,3,7,9] = arg \"y\") dims(N) {\n"
    "%p = slice %x {start = [0,1,0,0], limit = [N,4,7,5], strides = [1,1,1,1]} : f32[N,3,7,5]\n"
    "%c = dot_general %p, %y {lhs_batch = [], rhs_batch = [], lhs_contract = [0,1,2], rhs_contract = [0,1,2]} : f32[5,9]\n"
    "return %c as \"c\"\n}\n"
    "func @within(%x: f32[4,N,5] = arg \"x\", %y: f32[4,N,9] = arg \"y\") dims(N) {\n"
    "%c = dot_general %x, %y {lhs_batch = [], rhs_batch = [], lhs_contract = [0,1], rhs_contract = [0,1]} : f32[5,9]\n"
    "return %c as \"c\"\n}\n"
    "func @across(%x: f32[N,4,5] = arg \"x\", %y: f32[4,N,9] = arg \"y\") dims(N) {\n"
    "%c = dot_general %x, %y {lhs_batch = [], rhs_batch = [], lhs_contract = [1,0], rhs_contract = [0,1]} : f32[5,9]\n"
    "return %c as \"c\"\n}\n"
    "func @fixed(%x: f32[3,5000] = arg \"x\", %y: f32[5000,17] = arg \"y\", %z: f32[9,13,5,11] = arg \"z\",\n"
    "            %w: f32[9,13,11,6] = arg \"w\") {\n"
    "%c = dot_general %x, %y {lhs_batch = [], rhs_batch = [], lhs_contract = [1], rhs_contract = [0]} : f32[3,17]\n"
    "%d = dot_general %z, %w {lhs_batch = [], rhs_batch = [], lhs_contract = [0,1,3], rhs_contract = [0,1,2]} : f32[5,6]\n"
    "return %c as \"c\", %d as \"d\"\n}\n";
static const char *const names[] = {"product", "turned", "computed", "images", "parts", "within", "across", "fixed"};
enum { FUNCTIONS = sizeof names / sizeof *names, COMPUTED = 2, IMAGES = 3, PARTS = 4 };

typedef struct Draw {
    uint64_t random;
    bool whole;                /* numbers 0 .. 3, whose sums are exact; else anything from 0 to 1 */
} Draw;

static void fill(Native *n, void *user, Tensor *const *args, int count) {
    Draw *d = user;
    (void)n;
    for (int a = 0; a < count; a++)
        for (int64_t i = 0; i < args[a]->count; i++) {
            double x = native_random(&d->random);
            args[a]->at[i].f = d->whole ? floor(4 * x) : (double)(float)x;
        }
}

static void check(const char *cpu, Draw draw, const int64_t *dims, int dim_count, double tolerance) {
    NativeOptions options = {.cpu = cpu, .threads = 2, .divide = true, .fill = fill, .user = &draw};
    Native *n = native_open_with(text, &options);
    for (int f = 0; f < FUNCTIONS; f++)
        for (int d = 0; d < dim_count; d++) {
            int64_t terms = (f == IMAGES || f == PARTS) && !draw.whole ? dims[d] / 21 : dims[d];
            if (!draw.whole || f != COMPUTED) native_check(n, names[f], &terms, tolerance);
        }
    native_close(n);
}

/* Chains as long as these are off by 3e-6 and more. */
static void errors_do_not_grow_with_length(void **state) {
    (void)state;
    for (int c = 0; c < CPUS; c++) check(cpus[c], (Draw){.random = 1}, (int64_t[]){20000}, 1, 1.2e-6);
}

/* Around the lengths at which runs and blocks end. */
static void every_term_counts_once(void **state) {
    (void)state;
    static const int64_t dims[] = {1, 11, 12, 13, 24, 63, 64, 65, 127, 129, 255, 257, 511, 512, 513, 1023, 1025, 1536, 2049, 5000};
    for (int c = 0; c < CPUS; c++)
        check(cpus[c], (Draw){.random = 2, .whole = true}, dims, sizeof dims / sizeof *dims, 0);
}

/* ------------------------------------------------------------------------- the same bits */

enum { ROWS = 40, TERMS = 2520, COLUMNS = 70 };

/* The same rows of x and columns of y: few and many, read in place and computed first, over one axis and over three. */
static const char same[] =
    "module @m\n"
    "func @many(%x: f32[40,2520] = arg \"x\", %y: f32[2520,70] = arg \"y\") {\n"
    "%c = dot_general %x, %y {lhs_batch = [], rhs_batch = [], lhs_contract = [1], rhs_contract = [0]} : f32[40,70]\n"
    "return %c as \"c\"\n}\n"
    "func @one(%x: f32[1,2520] = arg \"x\", %y: f32[2520,70] = arg \"y\") {\n"
    "%c = dot_general %x, %y {lhs_batch = [], rhs_batch = [], lhs_contract = [1], rhs_contract = [0]} : f32[1,70]\n"
    "return %c as \"c\"\n}\n"
    "func @computed(%x: f32[40,2520] = arg \"x\", %y: f32[2520,70] = arg \"y\") {\n"
    "%s = abs %x : f32[40,2520]\n%t = abs %y : f32[2520,70]\n"
    "%c = dot_general %s, %t {lhs_batch = [], rhs_batch = [], lhs_contract = [1], rhs_contract = [0]} : f32[40,70]\n"
    "return %c as \"c\"\n}\n"
    "func @many3(%x: f32[40,12,7,30] = arg \"x\", %y: f32[12,7,30,70] = arg \"y\") {\n"
    "%c = dot_general %x, %y {lhs_batch = [], rhs_batch = [], lhs_contract = [1,2,3], rhs_contract = [0,1,2]} : f32[40,70]\n"
    "return %c as \"c\"\n}\n"
    "func @one3(%x: f32[1,12,7,30] = arg \"x\", %y: f32[12,7,30,70] = arg \"y\") {\n"
    "%c = dot_general %x, %y {lhs_batch = [], rhs_batch = [], lhs_contract = [1,2,3], rhs_contract = [0,1,2]} : f32[1,70]\n"
    "return %c as \"c\"\n}\n"
    "func @computed3(%x: f32[40,12,7,30] = arg \"x\", %y: f32[12,7,30,70] = arg \"y\") {\n"
    "%s = abs %x : f32[40,12,7,30]\n"
    "%c = dot_general %s, %y {lhs_batch = [], rhs_batch = [], lhs_contract = [1,2,3], rhs_contract = [0,1,2]} : f32[40,70]\n"
    "return %c as \"c\"\n}\n";
enum { MANY, ONE, ALSO_COMPUTED, SAME };

static DlrtTensor tensor(float *data, int rank, const int64_t *shape) {
    DlrtTensor t = {.data = data, .dtype = DLRT_F32, .rank = rank, .bytes = sizeof *data};
    for (int i = 0; i < rank; i++) t.bytes *= t.shape[i] = shape[i];
    return t;
}

static void compute(Native *n, int func, int rows, float *x, float *y, float *c) {
    bool three = func >= SAME;
    DlrtTensor in[2] = {three ? tensor(x, 4, (int64_t[]){rows, 12, 7, 30}) : tensor(x, 2, (int64_t[]){rows, TERMS}),
                        three ? tensor(y, 4, (int64_t[]){12, 7, 30, COLUMNS}) : tensor(y, 2, (int64_t[]){TERMS, COLUMNS})};
    DlrtTensor out = tensor(c, 2, (int64_t[]){rows, COLUMNS});
    assert_int_equal(dlrt_call(n->context, func, in, 2, &out, 1), DLRT_OK);
}

static void rows_and_packing_change_nothing(void **state) {
    (void)state;
    static float x[ROWS * TERMS], y[TERMS * COLUMNS], c[ROWS * COLUMNS], other[ROWS * COLUMNS];
    uint64_t random = 3;
    for (int i = 0; i < ROWS * TERMS; i++) x[i] = (float)native_random(&random);
    for (int i = 0; i < TERMS * COLUMNS; i++) y[i] = (float)native_random(&random);
    for (int cpu = 0; cpu < CPUS; cpu++) {
        Native *n = native_open(same, cpus[cpu], 1);
        for (int axes = 0; axes < 2; axes++) {
            compute(n, axes * SAME + MANY, ROWS, x, y, c);
            compute(n, axes * SAME + ALSO_COMPUTED, ROWS, x, y, other);
            assert_memory_equal(c, other, sizeof c);
            for (int row = 0; row < ROWS; row++)
                compute(n, axes * SAME + ONE, 1, x + row * TERMS, y, other + row * COLUMNS);
            assert_memory_equal(c, other, sizeof c);
        }
        native_close(n);
    }
}

/* A matrix that comes from memory: few rows are swept with it, or its columns turned; in one way where the number of rows
 * is known and another where it is not. */
static const char swept[] =
    "module @m\ndim B in 1..40\ndim K in 0..4000\n"
    "func @many(%x: f32[40,1100] = arg \"x\", %y: f32[1100,1100] = arg \"y\") {\n"
    "%c = dot_general %x, %y {lhs_batch = [], rhs_batch = [], lhs_contract = [1], rhs_contract = [0]} : f32[40,1100]\n"
    "return %c as \"c\"\n}\n"
    "func @one(%x: f32[1,1100] = arg \"x\", %y: f32[1100,1100] = arg \"y\") {\n"
    "%c = dot_general %x, %y {lhs_batch = [], rhs_batch = [], lhs_contract = [1], rhs_contract = [0]} : f32[1,1100]\n"
    "return %c as \"c\"\n}\n"
    "func @three(%x: f32[3,1100] = arg \"x\", %y: f32[1100,1100] = arg \"y\") {\n"
    "%c = dot_general %x, %y {lhs_batch = [], rhs_batch = [], lhs_contract = [1], rhs_contract = [0]} : f32[3,1100]\n"
    "return %c as \"c\"\n}\n"
    "func @some(%x: f32[B,1100] = arg \"x\", %y: f32[1100,1100] = arg \"y\") dims(B) {\n"
    "%c = dot_general %x, %y {lhs_batch = [], rhs_batch = [], lhs_contract = [1], rhs_contract = [0]} : f32[B,1100]\n"
    "return %c as \"c\"\n}\n"
    "func @any(%x: f32[B,K] = arg \"x\", %y: f32[K,1100] = arg \"y\") dims(B, K) {\n"
    "%c = dot_general %x, %y {lhs_batch = [], rhs_batch = [], lhs_contract = [1], rhs_contract = [0]} : f32[B,1100]\n"
    "return %c as \"c\"\n}\n"
    "func @turned(%x: f32[B,K] = arg \"x\", %y: f32[1100,K] = arg \"y\") dims(B, K) {\n"
    "%c = dot_general %x, %y {lhs_batch = [], rhs_batch = [], lhs_contract = [1], rhs_contract = [1]} : f32[B,1100]\n"
    "return %c as \"c\"\n}\n"
    "func @turned3(%x: f32[3,K] = arg \"x\", %y: f32[1100,K] = arg \"y\") dims(K) {\n"
    "%c = dot_general %x, %y {lhs_batch = [], rhs_batch = [], lhs_contract = [1], rhs_contract = [1]} : f32[3,1100]\n"
    "return %c as \"c\"\n}\n";
enum { ALL_ROWS, ONE_ROW, THREE_ROWS, SOME_ROWS, ANY_TERMS, TURNED, TURNED_THREE, WIDE = 1100 };

static void compute_wide(Native *n, int func, int rows, int terms, float *x, float *y, float *c) {
    bool turned = func >= TURNED;
    DlrtTensor in[2] = {tensor(x, 2, (int64_t[]){rows, terms}),
                        tensor(y, 2, turned ? (int64_t[]){WIDE, terms} : (int64_t[]){terms, WIDE})};
    DlrtTensor out = tensor(c, 2, (int64_t[]){rows, WIDE});
    assert_int_equal(dlrt_call(n->context, func, in, 2, &out, 1), DLRT_OK);
}

static void compare_swept(Native *n, float *x, float *y) {
    static float all[ROWS * WIDE], some[ROWS * WIDE];
    compute_wide(n, ALL_ROWS, ROWS, WIDE, x, y, all);
    for (int rows = 1; rows <= 9; rows++)
        for (int func = SOME_ROWS; func <= ANY_TERMS; func++) {
            memset(some, 0xff, sizeof some);
            compute_wide(n, func, rows, WIDE, x, y, some);
            assert_memory_equal(some, all, sizeof *all * (size_t)(rows * WIDE));
        }
    compute_wide(n, ONE_ROW, 1, WIDE, x, y, some);
    assert_memory_equal(some, all, sizeof *all * WIDE);
    compute_wide(n, THREE_ROWS, 3, WIDE, x, y, some);
    assert_memory_equal(some, all, sizeof *all * 3 * WIDE);
    for (int terms = 0; terms <= WIDE; terms += terms < 17 ? 1 : 361) { /* the same as among many rows */
        compute_wide(n, ANY_TERMS, ROWS, terms, x, y, all);
        compute_wide(n, ANY_TERMS, 2, terms, x, y, some);
        assert_memory_equal(some, all, sizeof *all * 2 * WIDE);
    }
}

/* Of few rows and many, y being turned. */
static void compare_turned(Native *n, float *x, float *y) {
    static float all[ROWS * WIDE], some[ROWS * WIDE];
    for (int terms = 0; terms <= WIDE; terms += terms < 17 ? 1 : 361) {
        compute_wide(n, TURNED, ROWS, terms, x, y, all);
        for (int rows = 1; rows <= 7; rows += 2) {
            compute_wide(n, TURNED, rows, terms, x, y, some);
            assert_memory_equal(some, all, sizeof *all * (size_t)(rows * WIDE));
        }
        compute_wide(n, TURNED_THREE, 3, terms, x, y, some);
        assert_memory_equal(some, all, sizeof *all * 3 * WIDE);
    }
}

static void sweeping_changes_nothing(void **state) {
    (void)state;
    static float x[ROWS * WIDE], y[WIDE * WIDE];
    uint64_t random = 4;
    for (int i = 0; i < ROWS * WIDE; i++) x[i] = (float)native_random(&random);
    for (int i = 0; i < WIDE * WIDE; i++) y[i] = (float)native_random(&random);
    for (int cpu = 0; cpu < CPUS; cpu++) {
        Native *n = native_open(swept, cpus[cpu], 1);
        compare_swept(n, x, y);
        compare_turned(n, x, y);
        native_close(n);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_do_not_grow_with_length),
        cmocka_unit_test(every_term_counts_once),
        cmocka_unit_test(rows_and_packing_change_nothing),
        cmocka_unit_test(sweeping_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
