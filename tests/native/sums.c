/* Long sums: how near they are, and that none of their terms is lost where they are cut into levels. On wide vectors,
 * narrow ones, and without masks, for every way that lanes and inner axes can lie. */
#include "native.h"

#include <math.h>
#include <stdint.h>

#include <setjmp.h>
#include <cmocka.h>

enum { FUNCTIONS = 9 };
static const char *const names[FUNCTIONS] = {"columns", "rows", "all", "short_inner", "short_between",
                                             "moments", "several", "halves", "fixed"};
static const char text[] =
    "module @m\ndim N in 1..20000\n"
    "func @columns(%x: f32[N,37] = arg \"x\") dims(N) {\n"
    "%s = reduce_sum %x {axes = [0]} : f32[37]\n"
    "return %s as \"s\"\n}\n"
    "func @rows(%x: f32[3,N] = arg \"x\") dims(N) {\n"
    "%s = reduce_sum %x {axes = [1]} : f32[3]\n"
    "return %s as \"s\"\n}\n"
    "func @all(%x: f32[N,5] = arg \"x\", %y: f64[N] = arg \"y\") dims(N) {\n"
    "%s = reduce_sum %x {axes = [0,1]} : f32\n"
    "%t = reduce_sum %y {axes = [0]} : f64\n"
    "return %s as \"s\", %t as \"t\"\n}\n"
    /* Lanes along an axis shorter than one vector. */
    "func @short_inner(%x: f32[N,3,5,7] = arg \"x\") dims(N) {\n"
    "%s = reduce_sum %x {axes = [0,2,3]} : f32[3]\n"
    "return %s as \"s\"\n}\n"
    "func @short_between(%x: f32[N,3,2,50] = arg \"x\") dims(N) {\n"
    "%s = reduce_sum %x {axes = [0,1,2]} : f32[50]\n"
    "return %s as \"s\"\n}\n"
    "func @moments(%x: f32[2,N] = arg \"x\") dims(N) {\n"
    "%s = reduce_sum %x {axes = [1]} : f32[2]\n"
    "%n = dim_value {dtype = f32, dims = [N]} : f32\n"
    "%nb = broadcast_in_dim %n {shape = [2], axes = []} : f32[2]\n"
    "%m = divide %s, %nb : f32[2]\n"
    "%mb = broadcast_in_dim %m {shape = [2,N], axes = [0]} : f32[2,N]\n"
    "%d = subtract %x, %mb : f32[2,N]\n"
    "%q = multiply %d, %d : f32[2,N]\n"
    "%v = reduce_sum %q {axes = [1]} : f32[2]\n"
    "return %m as \"m\", %v as \"v\"\n}\n"
    /* Sums beside reductions that have one level. */
    "func @several(%x: f32[N,20] = arg \"x\") dims(N) {\n"
    "%s = reduce_sum %x {axes = [0]} : f32[20]\n"
    "%h = reduce_max %x {axes = [0]} : f32[20]\n"
    "%l = reduce_min %x {axes = [0]} : f32[20]\n"
    "%a = argmax %x {axis = 0} : i32[20]\n"
    "%i = convert %x {dtype = i32} : i32[N,20]\n"
    "%t = reduce_sum %i {axes = [0]} : i32[20]\n"
    "return %s as \"s\", %h as \"h\", %l as \"l\", %a as \"a\", %t as \"t\"\n}\n"
    "func @halves(%x: bf16[N,20] = arg \"x\") dims(N) {\n"
    "%w = convert %x {dtype = f32} : f32[N,20]\n"
    "%s = reduce_sum %w {axes = [0]} : f32[20]\n"
    "return %s as \"s\"\n}\n"
    "func @fixed(%x: f32[4096,5] = arg \"x\", %y: f32[2,9000] = arg \"y\", %z: f32[40,3,11] = arg \"z\") {\n"
    "%s = reduce_sum %x {axes = [0]} : f32[5]\n"
    "%t = reduce_sum %y {axes = [1]} : f32[2]\n"
    "%u = reduce_sum %z {axes = [0,2]} : f32[3]\n"
    "return %s as \"s\", %t as \"t\", %u as \"u\"\n}\n";

static const char *const cpus[] = {
    NULL,
#if defined __x86_64__
    "x86-64-v3", "x86-64",
#endif
};
enum { CPUS = sizeof cpus / sizeof *cpus };

typedef struct Draw {
    uint64_t random;
    bool whole;                /* numbers 0 .. 7, whose sums are exact; else anything from 0 to 1 */
    bool edges;                /* a few are infinite or NaN */
} Draw;

static double drawn(Draw *d, DType t) {
    double x = native_random(&d->random);
    if (d->edges && x < 0.001) return x < 0.0005 ? INFINITY : NAN;
    if (d->whole || !dtype_is_float(t)) return floor(8 * native_random(&d->random));
    return t == DTYPE_F32 ? (float)x : dtype_bytes(t) < 4 ? floor(x * 64) / 64 : x;
}

static void fill(Native *n, void *user, Tensor *const *args, int count) {
    (void)n;
    for (int a = 0; a < count; a++)
        for (int64_t i = 0; i < args[a]->count; i++) args[a]->at[i].f = drawn(user, args[a]->dtype);
}

static void check(const char *const *funcs, int count, const char *models, const char *cpu, Draw draw,
                  const int64_t *dims, int dim_count, double tolerance) {
    NativeOptions options = {.cpu = cpu, .threads = 2, .divide = true, .fill = fill, .user = &draw};
    Native *n = native_open_with(models, &options);
    for (int i = 0; i < count; i++)
        for (int d = 0; d < dim_count; d++) native_check(n, funcs[i], &dims[d], tolerance);
    native_close(n);
}

/* A chain over the longest of these would be off by 1e-6 and more. */
static void errors_do_not_grow_with_length(void **state) {
    (void)state;
    static const int64_t dims[] = {40, 3000, 20000};
    for (int c = 0; c < CPUS; c++) check(names, FUNCTIONS, text, cpus[c], (Draw){.random = 1}, dims, 3, 2.5e-7);
}

/* Around the lengths at which blocks end. */
static void every_term_counts_once(void **state) {
    (void)state;
    static const int64_t dims[] = {1, 15, 16, 17, 31, 32, 33, 48, 255, 256, 257, 273, 511, 513, 1025,
                                   4095, 4097, 4113, 8193};
    static const char *const exact[] = {"columns", "rows", "all", "short_inner", "short_between", "several",
                                        "halves", "fixed"};
    for (int c = 0; c < CPUS; c++)
        check(exact, 8, text, cpus[c], (Draw){.random = 2, .whole = true}, dims, sizeof dims / sizeof *dims, 0);
}

static void infinities_and_no_numbers(void **state) {
    (void)state;
    static const int64_t dims[] = {20, 700, 5000};
    static const char *const exact[] = {"columns", "rows", "short_inner", "short_between"};
    for (int c = 0; c < CPUS; c++)
        check(exact, 4, text, cpus[c], (Draw){.random = 3, .whole = true, .edges = true}, dims, 3, 0);
}

/* Every value on the way is rounded once. */
static void running_sums(void **state) {
    (void)state;
    static const char running[] =
        "module @m\ndim N in 1..60000\n"
        "func @columns(%x: f32[N,20] = arg \"x\") dims(N) {\n"
        "%s = cumulative_sum %x {axis = 0} : f32[N,20]\n"
        "return %s as \"s\"\n}\n"
        "func @row(%x: f32[2,N] = arg \"x\") dims(N) {\n"
        "%s = cumulative_sum %x {axis = 1, reverse = 1} : f32[2,N]\n"
        "return %s as \"s\"\n}\n"
        /* Factors of few bits, so that they are exact. */
        "func @growth(%y: bf16[N,3] = arg \"x\") dims(N) {\n"
        "%x = convert %y {dtype = f32} : f32[N,3]\n"
        "%c = constant {dtype = f32, shape = [N,3], value = 0.0009765625} : f32[N,3]\n"
        "%z = multiply %x, %c : f32[N,3]\n"
        "%o = constant {dtype = f32, shape = [N,3], value = 1.0} : f32[N,3]\n"
        "%f = add %z, %o : f32[N,3]\n"
        "%p = cumulative_prod %f {axis = 0} : f32[N,3]\n"
        "%h = linear_recurrence %f, %x {axis = 0} : f32[N,3]\n"
        "return %p as \"p\", %h as \"h\"\n}\n";
    static const char *const funcs[] = {"columns", "row"}, *const products[] = {"growth"};
    static const int64_t dims[] = {1, 40, 60000}, product_dims[] = {1, 40, 900};
    for (int c = 0; c < CPUS; c++) {
        check(funcs, 2, running, cpus[c], (Draw){.random = 4}, dims, 3, 0x1p-24 * 1.0001);
        check(products, 1, running, cpus[c], (Draw){.random = 5}, product_dims, 3, 0x1p-24 * 1.0001);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_do_not_grow_with_length),
        cmocka_unit_test(every_term_counts_once),
        cmocka_unit_test(infinities_and_no_numbers),
        cmocka_unit_test(running_sums),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
