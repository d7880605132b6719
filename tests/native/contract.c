/* Contractions: every transposition, batches, several free and contracted dims, run-time dims, epilogues, on
 * shapes around the tiles' edges, for the host's processor and narrower ones. */
#include "native.h"

#include <stdarg.h>
#include <stdio.h>

#include <setjmp.h>
#include <cmocka.h>

static const char *const cpus[] = {NULL, "x86-64-v3", "x86-64"};
enum { CPUS = 3 };

/* One function: a is [m,k] or [k,m], b is [k,n] or [n,k]. */
static void add_matmul(Text *t, const char *name, const char *m, const char *n, const char *k, bool ta, bool tb, const char *dims) {
    text_add(t, "func @%s(%%a: f32[%s,%s] = arg \"a\", %%b: f32[%s,%s] = arg \"b\")%s {\n", name, ta ? k : m, ta ? m : k,
             tb ? n : k, tb ? k : n, dims);
    text_add(t, "%%c = dot_general %%a, %%b {lhs_batch = [], rhs_batch = [], lhs_contract = [%d], rhs_contract = [%d]} : "
                "f32[%s,%s]\nreturn %%c as \"c\"\n}\n", ta ? 0 : 1, tb ? 1 : 0, m, n);
}

static void check_all(const char *text, const char *const *names, int count, const int64_t *dims, double tolerance) {
    for (int c = 0; c < CPUS; c++) {
        Native *n = native_open(text, cpus[c], 1);
        for (int i = 0; i < count; i++) native_check(n, names[i], dims, tolerance);
        native_close(n);
    }
}

typedef struct Scratch {
    Arena arena;
    jmp_buf out;
} Scratch;

static void fixed_shapes(void **state) {
    (void)state;
    static const int sizes[][3] = {{1, 1, 1}, {1, 10, 7}, {2, 16, 16}, {3, 17, 5}, {7, 48, 33}, {8, 48, 16}, {9, 49, 64},
                                   {15, 100, 3}, {16, 10, 300}, {64, 97, 31}, {31, 1, 12}, {1, 513, 40}, {5, 1024, 9}, {33, 32, 1100}};
    Scratch s;
    if (setjmp(s.out)) fail();
    arena_init(&s.arena, &s.out);
    enum { COUNT = sizeof sizes / sizeof *sizes };
    Text t = text_new(&s.arena);
    text_add(&t, "module @m\n");
    const char *names[COUNT * 4];
    int count = 0;
    for (int i = 0; i < COUNT; i++)
        for (int way = 0; way < 4; way++) {
            char m[16], n[16], k[16];
            snprintf(m, sizeof m, "%d", sizes[i][0]);
            snprintf(n, sizeof n, "%d", sizes[i][1]);
            snprintf(k, sizeof k, "%d", sizes[i][2]);
            names[count] = arena_printf(&s.arena, "f%d", count);
            add_matmul(&t, names[count++], m, n, k, way & 1, way & 2, "");
        }
    check_all(text_get(&t), names, count, NULL, 2e-4);
    arena_reset(&s.arena);
}

static void deep_sums_pause_exactly(void **state) {
    (void)state;
    static const char text[] =
        "module @m\n"
        "func @nn(%a: f32[20,2500] = arg \"a\", %b: f32[2500,70] = arg \"b\") {\n"
        "%c = dot_general %a, %b {lhs_batch = [], rhs_batch = [], lhs_contract = [1], rhs_contract = [0]} : f32[20,70]\n"
        "return %c as \"c\"\n}\n"
        "func @nt(%a: f32[20,2500] = arg \"a\", %b: f32[70,2500] = arg \"b\") {\n"
        "%c = dot_general %a, %b {lhs_batch = [], rhs_batch = [], lhs_contract = [1], rhs_contract = [1]} : f32[20,70]\n"
        "return %c as \"c\"\n}\n"
        "func @aliased(%a: f32[40,1024] = arg \"a\", %b: f32[1024,1024] = arg \"b\") {\n"
        "%c = dot_general %a, %b {lhs_batch = [], rhs_batch = [], lhs_contract = [1], rhs_contract = [0]} : f32[40,1024]\n"
        "return %c as \"c\"\n}\n";
    check_all(text, (const char *[]){"nn", "nt", "aliased"}, 3, NULL, 5e-4);
}

static void run_time_dims(void **state) {
    (void)state;
    Scratch s;
    if (setjmp(s.out)) fail();
    arena_init(&s.arena, &s.out);
    Text t = text_new(&s.arena);
    text_add(&t, "module @m\ndim B in 1..70\n");
    static const char *const names[] = {"m0", "m1", "m2", "m3", "n0", "n1", "n2", "n3", "k0", "k1", "k2", "k3"};
    for (int way = 0; way < 4; way++) {
        add_matmul(&t, names[way], "B", "37", "20", way & 1, way & 2, " dims(B)");
        add_matmul(&t, names[4 + way], "19", "B", "20", way & 1, way & 2, " dims(B)");
        add_matmul(&t, names[8 + way], "19", "37", "B", way & 1, way & 2, " dims(B)");
    }
    for (int c = 0; c < CPUS; c++) {
        Native *n = native_open(text_get(&t), cpus[c], c == 0 ? 3 : 1);
        static const int64_t values[] = {1, 2, 3, 7, 8, 9, 16, 23, 64, 70};
        for (int i = 0; i < 12; i++)
            for (int v = 0; v < 10; v++) native_check(n, names[i], &values[v], 2e-5);
        native_close(n);
    }
    arena_reset(&s.arena);
}

/* Fewer rows than a tile has: wide runs of columns, whose blocks the narrower tiles of several rows need not divide. */
static void few_rows(void **state) {
    (void)state;
    Scratch s;
    if (setjmp(s.out)) fail();
    arena_init(&s.arena, &s.out);
    Text t = text_new(&s.arena);
    text_add(&t, "module @m\ndim B in 1..512\n");
    static const char *const columns[] = {"784", "787", "400", "130"};
    const char *names[16];
    for (int i = 0; i < 16; i++) {
        names[i] = arena_printf(&s.arena, "f%d", i);
        add_matmul(&t, names[i], "B", columns[i / 4], "40", i & 1, i & 2, " dims(B)");
    }
    for (int64_t b = 1; b <= 15; b += b < 8 ? 1 : 7) check_all(text_get(&t), names, 16, &b, 5e-5);
    arena_reset(&s.arena);
}

/* Half of a matrix is 0, said by a condition on the indices: as a factor from either side, and as what the epilogue makes of
 * sums that it does not want. Above and below a diagonal, of sums that pause and have runs too. */
static void triangles(void **state) {
    (void)state;
    static const int sizes[][2] = {{5, 7}, {130, 100}, {20, 2500}, {1500, 3}};
    static const char *const conditions[] = {"less_equal %j, %i", "less %j, %d", "greater_equal %j, %d", "greater %j, %i"};
    Scratch s;
    if (setjmp(s.out)) fail();
    arena_init(&s.arena, &s.out);
    enum { SIZES = sizeof sizes / sizeof *sizes, CONDITIONS = sizeof conditions / sizeof *conditions };
    const char *names[SIZES * CONDITIONS];
    Text t = text_new(&s.arena);
    text_add(&t, "module @m\n");
    for (int i = 0; i < SIZES * CONDITIONS; i++) {
        int rows = sizes[i / CONDITIONS][0], columns = sizes[i / CONDITIONS][1];
        const char *shape = arena_printf(&s.arena, "[%d,%d]", rows, columns);
        names[i] = arena_printf(&s.arena, "f%d", i);
        text_add(&t, "func @f%d(%%q: f32[%d,20] = arg \"q\", %%k: f32[%d,20] = arg \"k\", %%x: f32%s = arg \"x\") {\n", i, rows,
                 columns, shape);
        text_add(&t, "%%j = iota {dtype = i32, shape = %s, axis = 1} : i32%s\n%%i = iota {dtype = i32, shape = %s, axis = 0} : "
                     "i32%s\n", shape, shape, shape, shape);
        text_add(&t, "%%three = constant {dtype = i32, shape = %s, value = 3.0} : i32%s\n%%d = add %%i, %%three : i32%s\n"
                     "%%c = %s : bool%s\n", shape, shape, shape, conditions[i % CONDITIONS], shape);
        text_add(&t, "%%s = dot_general %%q, %%k {lhs_batch = [], rhs_batch = [], lhs_contract = [1], rhs_contract = [1]} : f32%s\n"
                     "%%o = constant {dtype = f32, shape = %s, value = -5.0} : f32%s\n%%y = select %%c, %%s, %%o : f32%s\n", shape,
                 shape, shape, shape);
        text_add(&t, "%%e = exp %%x : f32%s\n%%z = constant {dtype = f32, shape = %s, value = 0.0} : f32%s\n"
                     "%%p = select %%c, %%e, %%z : f32%s\n", shape, shape, shape, shape);
        text_add(&t, "%%a = dot_general %%p, %%k {lhs_batch = [], rhs_batch = [], lhs_contract = [1], rhs_contract = [0]} : f32[%d,20]\n"
                     "%%b = dot_general %%p, %%q {lhs_batch = [], rhs_batch = [], lhs_contract = [0], rhs_contract = [0]} : f32[%d,20]\n"
                     "return %%y as \"y\", %%p as \"p\", %%a as \"a\", %%b as \"b\"\n}\n", rows, columns);
    }
    check_all(text_get(&t), names, SIZES * CONDITIONS, NULL, 2e-3);
    arena_reset(&s.arena);
}

static void batches_and_several_dims(void **state) {
    (void)state;
    static const char text[] =
        "module @m\n"
        "dim B in 1..9\n"
        "func @batched(%a: f32[B,5,20,12] = arg \"a\", %b: f32[B,5,12,18] = arg \"b\") dims(B) {\n"
        "%c = dot_general %a, %b {lhs_batch = [0,1], rhs_batch = [0,1], lhs_contract = [3], rhs_contract = [2]} : f32[B,5,20,18]\n"
        "return %c as \"c\"\n}\n"
        "func @heads(%a: f32[B,6,4,8] = arg \"a\", %b: f32[B,7,4,8] = arg \"b\") dims(B) {\n"
        "%c = dot_general %a, %b {lhs_batch = [0,2], rhs_batch = [0,2], lhs_contract = [3], rhs_contract = [3]} : f32[B,4,6,7]\n"
        "return %c as \"c\"\n}\n"
        "func @two_contracted(%a: f32[11,3,B] = arg \"a\", %b: f32[B,17,3] = arg \"b\") dims(B) {\n"
        "%c = dot_general %a, %b {lhs_batch = [], rhs_batch = [], lhs_contract = [1,2], rhs_contract = [2,0]} : f32[11,17]\n"
        "return %c as \"c\"\n}\n"
        "func @free_dims(%a: f32[4,6,B,3] = arg \"a\", %b: f32[5,6,20] = arg \"b\") dims(B) {\n"
        "%c = dot_general %a, %b {lhs_batch = [], rhs_batch = [], lhs_contract = [1], rhs_contract = [1]} : f32[4,B,3,5,20]\n"
        "return %c as \"c\"\n}\n"
        "func @f64(%a: f64[13,B] = arg \"a\", %b: f64[B,21] = arg \"b\") dims(B) {\n"
        "%c = dot_general %a, %b {lhs_batch = [], rhs_batch = [], lhs_contract = [1], rhs_contract = [0]} : f64[13,21]\n"
        "return %c as \"c\"\n}\n"
        "func @outer(%a: f32[B] = arg \"a\", %b: f32[33] = arg \"b\") dims(B) {\n"
        "%c = dot_general %a, %b {lhs_batch = [], rhs_batch = [], lhs_contract = [], rhs_contract = []} : f32[B,33]\n"
        "return %c as \"c\"\n}\n"
        "func @inner(%a: f32[B] = arg \"a\", %b: f32[B] = arg \"b\") dims(B) {\n"
        "%c = dot_general %a, %b {lhs_batch = [], rhs_batch = [], lhs_contract = [0], rhs_contract = [0]} : f32\n"
        "return %c as \"c\"\n}\n";
    static const char *const names[] = {"batched", "heads", "two_contracted", "free_dims", "f64", "outer", "inner"};
    for (int64_t b = 1; b <= 9; b += 4) check_all(text, names, 7, &b, 2e-5);
}

static void epilogues(void **state) {
    (void)state;
    static const char text[] =
        "module @m\n"
        "dim B in 1..40\n"
        "param @w : f32[30,20] order [1,0]\n"
        "slot @m : f32[30,20] order [1,0]\n"
        "func @layer(%x: f32[B,20] = arg \"x\", %w: f32[30,20] = var @w, %bias: f32[30] = arg \"bias\") dims(B) {\n"
        "%z = dot_general %x, %w {lhs_batch = [], rhs_batch = [], lhs_contract = [1], rhs_contract = [1]} : f32[B,30]\n"
        "%b = broadcast_in_dim %bias {shape = [B,30], axes = [1]} : f32[B,30]\n"
        "%y = add %z, %b : f32[B,30]\n"
        "%zero = constant {dtype = f32, shape = [B,30], value = 0.0} : f32[B,30]\n"
        "%off = less_equal %y, %zero : bool[B,30]\n"
        "%h = select %off, %zero, %y : f32[B,30]\n"
        "return %h as \"h\", %off as \"off\"\n}\n"
        "func @update(%x: f32[B,20] = arg \"x\", %dy: f32[B,30] = arg \"dy\", %w: f32[30,20] = var @w, %m: f32[30,20] = var @m, "
        "%lr: f32 = arg \"lr\") dims(B) {\n"
        "%g = dot_general %dy, %x {lhs_batch = [], rhs_batch = [], lhs_contract = [0], rhs_contract = [0]} : f32[30,20]\n"
        "%m1 = add %m, %g : f32[30,20]\n"
        "%l = broadcast_in_dim %lr {shape = [30,20], axes = []} : f32[30,20]\n"
        "%s = multiply %l, %m1 : f32[30,20]\n"
        "%w1 = subtract %w, %s : f32[30,20]\n"
        "return %w1 -> @w, %m1 -> @m\n}\n"
        "func @both(%x: f32[B,20] = arg \"x\", %w: f32[30,20] = var @w) dims(B) {\n"
        "%z = dot_general %x, %w {lhs_batch = [], rhs_batch = [], lhs_contract = [1], rhs_contract = [1]} : f32[B,30]\n"
        "%dx = dot_general %z, %w {lhs_batch = [], rhs_batch = [], lhs_contract = [1], rhs_contract = [0]} : f32[B,20]\n"
        "%g = dot_general %z, %x {lhs_batch = [], rhs_batch = [], lhs_contract = [0], rhs_contract = [0]} : f32[30,20]\n"
        "%w1 = subtract %w, %g : f32[30,20]\n"
        "return %dx as \"dx\", %w1 -> @w\n}\n";
    static const char *const names[] = {"layer", "update", "both"};
    for (int64_t b = 1; b <= 40; b += 13) check_all(text, names, 3, &b, 1e-4);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fixed_shapes),
        cmocka_unit_test(deep_sums_pause_exactly),
        cmocka_unit_test(run_time_dims), cmocka_unit_test(few_rows),
        cmocka_unit_test(triangles),
        cmocka_unit_test(batches_and_several_dims),
        cmocka_unit_test(epilogues),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
