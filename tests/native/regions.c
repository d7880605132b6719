/* Loops and branches in native code: scans forward and back, along any axis, nested; branches in loops and loops in
 * branches; loops that end when their data say so; what fails inside, and variables that are carried. */
#include "native.h"

#include <stdio.h>
#include <string.h>

#include <setjmp.h>
#include <cmocka.h>

/* Other arguments at each call: floats in -2 .. 2, integers in 0 .. 4. */
static void fill(Native *n, void *user, Tensor *const *args, int count) {
    (void)n;
    for (int i = 0; i < count; i++)
        for (int64_t k = 0; k < args[i]->count; k++) {
            double x = native_random(user);
            if (dtype_is_float(args[i]->dtype))
                args[i]->at[k].f = (double)(float)(4 * x - 2);
            else
                args[i]->at[k].i = (int64_t)(x * (args[i]->dtype == DTYPE_BOOL ? 2 : 5));
        }
}

static void check_with(const char *text, const char *const *names, int count, const int64_t *dims, int dim_count,
                       double tolerance) {
    static const char *const cpus[] = {NULL, "x86-64-v3"};
    for (int c = 0; c < 2; c++) {
        uint64_t random = 7;
        NativeOptions options = {.cpu = cpus[c], .threads = 3, .divide = true, .fill = fill, .user = &random};
        Native *n = native_open_with(text, &options);
        for (int i = 0; i < count; i++)
            for (int d = 0; d < dim_count; d++) native_check(n, names[i], &dims[d], tolerance);
        native_close(n);
    }
}

static const int64_t lengths[] = {0, 1, 2, 5, 9};

static void scans(void **state) {
    (void)state;
    static const char text[] =
        "module @m\ndim T in 0..9\n"
        "func @sums(%x: f32[T,3] = arg \"x\", %s: f32[3] = arg \"s\") dims(T) {\n"
        "%h, %ys = scan %s, %x {consts = 0, carries = 1, axes = [0], result_axes = [0], length = [T]} : f32[3], "
        "f32[T,3]"
        " (%c: f32[3], %e: f32[3], %i: i64) {\n"
        "%a = add %c, %e : f32[3]\nyield %a, %a\n}\n"
        "return %h as \"h\", %ys as \"ys\"\n}\n"
        "func @back(%x: f32[2,T,3] = arg \"x\", %s: f32[2,3] = arg \"s\", %w: f32[3] = arg \"w\") dims(T) {\n"
        "%h, %ys, %is = scan %w, %s, %x {consts = 1, carries = 1, axes = [1], result_axes = [2, 0], length = [T], "
        "reverse = 1}"
        " : f32[2,3], f32[2,3,T], i64[T] (%v: f32[3], %c: f32[2,3], %e: f32[2,3], %i: i64) {\n"
        "%half = constant {dtype = f32, shape = [2,3], value = 0.5} : f32[2,3]\n"
        "%d = multiply %c, %half : f32[2,3]\n"
        "%b = broadcast_in_dim %v {shape = [2,3], axes = [1]} : f32[2,3]\n"
        "%m = multiply %e, %b : f32[2,3]\n"
        "%a = add %d, %m : f32[2,3]\n"
        "%q = multiply %a, %a : f32[2,3]\nyield %a, %q, %i\n}\n"
        "return %h as \"h\", %ys as \"ys\", %is as \"is\"\n}\n"
        "func @several(%x: f32[T,4] = arg \"x\", %y: i32[4,T] = arg \"y\", %z: bool[T] = arg \"z\") dims(T) {\n"
        "%zero = constant {dtype = i32, shape = [4], value = 0.0} : i32[4]\n"
        "%one = constant {dtype = f32, shape = [], value = 1.0} : f32\n"
        "%n, %p, %a, %b = scan %zero, %one, %x, %y, %z {consts = 0, carries = 2, axes = [0, 1, 0], result_axes = [1, "
        "0],"
        " length = [T]} : i32[4], f32, f32[4,T], bool[T,4] (%n.0: i32[4], %p.0: f32, %xe: f32[4], %ye: i32[4], %ze: "
        "bool,"
        " %i: i64) {\n"
        "%n.1 = add %n.0, %ye : i32[4]\n"
        "%s = reduce_sum %xe {axes = [0]} : f32\n"
        "%minus = negate %p.0 : f32\n"
        "%p.1 = select %ze, %s, %minus : f32\n"
        "%pb = broadcast_in_dim %p.1 {shape = [4], axes = []} : f32[4]\n"
        "%r = multiply %xe, %pb : f32[4]\n"
        "%l = less %n.1, %ye : bool[4]\nyield %n.1, %p.1, %r, %l\n}\n"
        "return %n as \"n\", %p as \"p\", %a as \"a\", %b as \"b\"\n}\n"
        "func @exchange(%x: f32[5] = arg \"x\", %y: f32[5] = arg \"y\") dims(T) {\n"
        "%a, %b, %c, %ys, %xs = scan %x, %x, %y, %x {consts = 1, carries = 3, axes = [], result_axes = [0, 0], length "
        "= [T]}"
        " : f32[5], f32[5], f32[5], f32[T,5], f32[T,5] (%k: f32[5], %p: f32[5], %q: f32[5], %r: f32[5], %i: i64) {\n"
        "%s = add %p, %q : f32[5]\n"
        "%f = convert %i {dtype = f32} : f32\n"
        "%fb = broadcast_in_dim %f {shape = [5], axes = []} : f32[5]\n"
        "%u = add %s, %fb : f32[5]\nyield %q, %u, %r, %p, %k\n}\n"
        "return %a as \"a\", %b as \"b\", %c as \"c\", %ys as \"ys\", %xs as \"xs\"\n}\n"
        "func @constants(%x: f32[5] = arg \"x\") dims(T) {\n"
        "%a, %i, %ys = scan %x, %x {consts = 1, carries = 1, axes = [], result_axes = [0, 1], length = [T]}"
        " : f32[5], i64[T], f32[5,T] (%k: f32[5], %p: f32[5], %i.0: i64) {\n"
        "%f = constant {dtype = f32, shape = [5], value = 3.0} : f32[5]\nyield %k, %i.0, %f\n}\n"
        "return %a as \"a\", %i as \"i\", %ys as \"ys\"\n}\n";
    static const char *const names[] = {"sums", "back", "several", "exchange", "constants"};
    check_with(text, names, 5, lengths, 5, 1e-5);
}

static void nested(void **state) {
    (void)state;
    static const char text[] =
        "module @m\ndim T in 0..9\n"
        "func @table(%x: f32[T,6] = arg \"x\") dims(T) {\n"
        "%zero = constant {dtype = f32, shape = [], value = 0.0} : f32\n"
        "%s, %ys = scan %zero, %x {consts = 0, carries = 1, axes = [0], result_axes = [0], length = [T]} : f32, "
        "f32[T,6]"
        " (%c: f32, %r: f32[6], %i: i64) {\n"
        "%d, %row = scan %i, %c, %r {consts = 1, carries = 1, axes = [0], result_axes = [0], length = [6], reverse = 1}"
        " : f32, f32[6] (%k: i64, %e: f32, %v: f32, %j: i64) {\n"
        "%kj = multiply %k, %j : i64\n"
        "%f = convert %kj {dtype = f32} : f32\n"
        "%w = multiply %v, %f : f32\n"
        "%a = add %e, %w : f32\nyield %a, %a\n}\n"
        "yield %d, %row\n}\n"
        "return %s as \"s\", %ys as \"ys\"\n}\n"
        "func @gradient(%x: f32[T,4] = arg \"x\", %w: f32[4,4] = arg \"w\") dims(T) {\n"
        "%zero = constant {dtype = f32, shape = [4,4], value = 0.0} : f32[4,4]\n"
        "%g = scan %w, %zero, %x {consts = 1, carries = 1, axes = [0], result_axes = [], length = [T], reverse = 1} : "
        "f32[4,4]"
        " (%v: f32[4,4], %c: f32[4,4], %e: f32[4], %i: i64) {\n"
        "%h = scan %v, %c, %e {consts = 1, carries = 1, axes = [0], result_axes = [], length = [4]} : f32[4,4]"
        " (%u: f32[4,4], %d: f32[4,4], %s: f32, %j: i64) {\n"
        "%sb = broadcast_in_dim %s {shape = [4,4], axes = []} : f32[4,4]\n"
        "%p = multiply %u, %sb : f32[4,4]\n"
        "%q = add %d, %p : f32[4,4]\nyield %q\n}\n"
        "yield %h\n}\n"
        "return %g as \"g\"\n}\n"
        "func @same_carry(%x: f32[3,3] = arg \"x\") {\n"
        "%a, %b = scan %x, %x {consts = 0, carries = 2, axes = [], result_axes = [], length = [5]} : f32[3,3], f32[3,3]"
        " (%p: f32[3,3], %q: f32[3,3], %i: i64) {\n"
        "%t = transpose %p {permutation = [1,0]} : f32[3,3]\n"
        "%n = negate %t : f32[3,3]\n"
        "%r = reshape %q {shape = [9]} : f32[9]\n"
        "%v = reverse %r {axes = [0]} : f32[9]\n"
        "%w = reshape %v {shape = [3,3]} : f32[3,3]\nyield %n, %w\n}\n"
        "return %a as \"a\", %b as \"b\"\n}\n"
        "func @relabelled(%x: f32[4,T,6] = arg \"x\", %w: f32[8,5] = arg \"w\") dims(T) {\n"
        "%ys, %zs = scan %w, %x {consts = 1, carries = 0, axes = [1], result_axes = [0, 2], length = [T]} : "
        "f32[T,3,5], f32[8,3,T]"
        " (%v: f32[8,5], %e: f32[4,6], %i: i64) {\n"
        "%r = reshape %e {shape = [3,8]} : f32[3,8]\n"
        "%d = dot_general %r, %v {lhs_batch = [], rhs_batch = [], lhs_contract = [1], rhs_contract = [0]} : f32[3,5]\n"
        "%q = reshape %e {shape = [8,3]} : f32[8,3]\n"
        "%n = exp %q : f32[8,3]\nyield %d, %n\n}\n"
        "return %ys as \"ys\", %zs as \"zs\"\n}\n";
    static const char *const names[] = {"table", "gradient", "same_carry", "relabelled"};
    check_with(text, names, 4, lengths, 5, 1e-5);
}

/* A recurrent layer: gates by contractions, a state that is two carries. */
static void recurrent(void **state) {
    (void)state;
    static const char text[] =
        "module @m\ndim T in 0..9\n"
        "param @u : f32[20,80]\n"
        "func @lstm(%x: f32[T,7,80] = arg \"x\", %u: f32[20,80] = var @u) dims(T) {\n"
        "%zero = constant {dtype = f32, shape = [7,20], value = 0.0} : f32[7,20]\n"
        "%h, %c, %ys = scan %u, %zero, %zero, %x {consts = 1, carries = 2, axes = [0], result_axes = [1], length = [T]}"
        " : f32[7,20], f32[7,20], f32[7,T,20] (%v: f32[20,80], %h.0: f32[7,20], %c.0: f32[7,20], %e: f32[7,80], %i: "
        "i64) {\n"
        "%d = dot_general %h.0, %v {lhs_batch = [], rhs_batch = [], lhs_contract = [1], rhs_contract = [0]} : "
        "f32[7,80]\n"
        "%g = add %d, %e : f32[7,80]\n"
        "%g0 = slice %g {start = [0,0], limit = [7,20], strides = [1,1]} : f32[7,20]\n"
        "%g1 = slice %g {start = [0,20], limit = [7,40], strides = [1,1]} : f32[7,20]\n"
        "%g2 = slice %g {start = [0,40], limit = [7,60], strides = [1,1]} : f32[7,20]\n"
        "%g3 = slice %g {start = [0,60], limit = [7,80], strides = [1,1]} : f32[7,20]\n"
        "%i.0 = logistic %g0 : f32[7,20]\n"
        "%f = logistic %g1 : f32[7,20]\n"
        "%o = logistic %g2 : f32[7,20]\n"
        "%z = tanh %g3 : f32[7,20]\n"
        "%fc = multiply %f, %c.0 : f32[7,20]\n"
        "%iz = multiply %i.0, %z : f32[7,20]\n"
        "%c.1 = add %fc, %iz : f32[7,20]\n"
        "%tc = tanh %c.1 : f32[7,20]\n"
        "%h.1 = multiply %o, %tc : f32[7,20]\nyield %h.1, %c.1, %h.1\n}\n"
        "return %h as \"h\", %c as \"c\", %ys as \"ys\"\n}\n";
    static const char *const names[] = {"lstm"};
    check_with(text, names, 1, lengths, 5, 1e-4);
}

static void branches(void **state) {
    (void)state;
    static const char text[] =
        "module @m\ndim T in 0..9\n"
        "func @either(%x: f32[T,5] = arg \"x\", %b: bool = arg \"b\") dims(T) {\n"
        "%y, %s = cond %b, %x : f32[T,5], f32 (%p: f32[T,5]) {\n"
        "%e = exp %p : f32[T,5]\n%r = reduce_sum %e {axes = [0,1]} : f32\nyield %e, %r\n} (%q: f32[T,5]) {\n"
        "%z = constant {dtype = f32, shape = [], value = 2.0} : f32\nyield %q, %z\n}\n"
        "return %y as \"y\", %s as \"s\"\n}\n"
        "func @masked(%x: f32[T,5] = arg \"x\", %m: bool[T] = arg \"m\") dims(T) {\n"
        "%zero = constant {dtype = f32, shape = [5], value = 0.0} : f32[5]\n"
        "%s, %ys = scan %zero, %x, %m {consts = 0, carries = 1, axes = [0, 0], result_axes = [0], length = [T]} : "
        "f32[5], f32[T,5]"
        " (%c: f32[5], %e: f32[5], %b: bool, %i: i64) {\n"
        "%n, %y = cond %b, %c, %e : f32[5], f32[5] (%p: f32[5], %q: f32[5]) {\n"
        "%a = add %p, %q : f32[5]\nyield %a, %a\n} (%p: f32[5], %q: f32[5]) {\n"
        "yield %p, %q\n}\nyield %n, %y\n}\n"
        "return %s as \"s\", %ys as \"ys\"\n}\n"
        "func @crossed(%x: f32[T,5] = arg \"x\", %m: bool[T] = arg \"m\") dims(T) {\n"
        "%zero = constant {dtype = f32, shape = [5], value = 0.0} : f32[5]\n"
        "%one = constant {dtype = f32, shape = [5], value = 1.0} : f32[5]\n"
        "%s, %t = scan %zero, %one, %x, %m {consts = 0, carries = 2, axes = [0, 0], result_axes = [], length = [T]} : "
        "f32[5], f32[5]"
        " (%c: f32[5], %d: f32[5], %e: f32[5], %b: bool, %i: i64) {\n"
        "%n, %o = cond %b, %c, %d, %e : f32[5], f32[5] (%p: f32[5], %q: f32[5], %r: f32[5]) {\n"
        "yield %q, %p\n} (%p: f32[5], %q: f32[5], %r: f32[5]) {\n"
        "%a = add %p, %r : f32[5]\n%v = reverse %q {axes = [0]} : f32[5]\n%w = add %v, %p : f32[5]\nyield %a, %w\n}\n"
        "yield %n, %o\n}\n"
        "return %s as \"s\", %t as \"t\"\n}\n"
        "func @loop_inside(%x: f32[T,5] = arg \"x\", %b: bool = arg \"b\") dims(T) {\n"
        "%zero = constant {dtype = f32, shape = [5], value = 0.0} : f32[5]\n"
        "%y = cond %b, %zero, %x : f32[5] (%z: f32[5], %p: f32[T,5]) {\n"
        "%s = scan %z, %p {consts = 0, carries = 1, axes = [0], result_axes = [], length = [T]} : f32[5]"
        " (%c: f32[5], %e: f32[5], %i: i64) {\n%v = reverse %c {axes = [0]} : f32[5]\n%a = add %v, %e : f32[5]\nyield "
        "%a\n}\nyield %s\n}"
        " (%z: f32[5], %p: f32[T,5]) {\n"
        "%s = scan %z, %p {consts = 0, carries = 1, axes = [0], result_axes = [], length = [T], reverse = 1} : f32[5]"
        " (%c: f32[5], %e: f32[5], %i: i64) {\n%a = maximum %c, %e : f32[5]\nyield %a\n}\nyield %s\n}\n"
        "return %y as \"y\"\n}\n";
    static const char *const names[] = {"either", "masked", "crossed", "loop_inside"};
    check_with(text, names, 4, lengths, 5, 1e-5);
}

static void whiles(void **state) {
    (void)state;
    static const char text[] =
        "module @m\ndim T in 0..9\n"
        "func @halve(%x: f32[7] = arg \"x\") {\n"
        "%zero = constant {dtype = i64, shape = [], value = 0.0} : i64\n"
        "%y, %n = while %x, %zero {consts = 0} : f32[7], i64 (%c: f32[7], %k: i64) {\n"
        "%q = multiply %c, %c : f32[7]\n%s = reduce_sum %q {axes = [0]} : f32\n"
        "%e = constant {dtype = f32, shape = [], value = 0.01} : f32\n%g = greater %s, %e : bool\nyield %g\n}"
        " (%c: f32[7], %k: i64) {\n"
        "%half = constant {dtype = f32, shape = [7], value = 0.5} : f32[7]\n%h = multiply %c, %half : f32[7]\n"
        "%one = constant {dtype = i64, shape = [], value = 1.0} : i64\n%k.1 = add %k, %one : i64\nyield %h, %k.1\n}\n"
        "return %y as \"y\", %n as \"n\"\n}\n"
        "func @limited(%x: f32[7] = arg \"x\", %b: bool = arg \"b\") {\n"
        "%y = while %b, %x {consts = 1, limit = 5} : f32[7] (%k: bool, %c: f32[7]) {\nyield %k\n} (%k: bool, %c: "
        "f32[7]) {\n"
        "%v = reverse %c {axes = [0]} : f32[7]\n%a = add %v, %c : f32[7]\nyield %a\n}\n"
        "%z = while %b, %x {consts = 1, limit = 0} : f32[7] (%k: bool, %c: f32[7]) {\nyield %k\n} (%k: bool, %c: "
        "f32[7]) {\n"
        "%n = negate %c : f32[7]\nyield %n\n}\n"
        "return %y as \"y\", %z as \"z\"\n}\n"
        "func @flag(%m: bool[9] = arg \"m\", %x: f32[9,3] = arg \"x\") {\n"
        "%zero = constant {dtype = i64, shape = [], value = 0.0} : i64\n"
        "%on = constant {dtype = bool, shape = [], value = 1.0} : bool\n"
        "%sum = constant {dtype = f32, shape = [3], value = 0.0} : f32[3]\n"
        "%f, %k, %s = while %m, %x, %on, %zero, %sum {consts = 2, limit = 9} : bool, i64, f32[3]"
        " (%m.1: bool[9], %x.1: f32[9,3], %f.0: bool, %k.0: i64, %s.0: f32[3]) {\nyield %f.0\n}"
        " (%m.1: bool[9], %x.1: f32[9,3], %f.0: bool, %k.0: i64, %s.0: f32[3]) {\n"
        "%f.1 = gather %m.1, %k.0 {axis = 0, batch = 0, what = \"k\"} : bool\n"
        "%row = gather %x.1, %k.0 {axis = 0, batch = 0, what = \"k\"} : f32[3]\n"
        "%s.1 = add %s.0, %row : f32[3]\n"
        "%one = constant {dtype = i64, shape = [], value = 1.0} : i64\n%k.1 = add %k.0, %one : i64\nyield %f.1, %k.1, "
        "%s.1\n}\n"
        "return %f as \"f\", %k as \"k\", %s as \"s\"\n}\n";
    static const char *const names[] = {"halve", "limited", "flag"};
    check_with(text, names, 3, lengths, 5, 1e-5);
}

/* What changes a carry in places does so in its memory; indices are slices along any axis, or made in the loop. */
static void updates(void **state) {
    (void)state;
    static const char text[] =
        "module @m\ndim T in 0..9\n"
        "func @scatter(%x: f32[5,3] = arg \"x\", %at: i32[4,T] = arg \"at\", %u: f32[T,4,3] = arg \"u\") dims(T) {\n"
        "%y, %g = scan %x, %at, %u {consts = 0, carries = 1, axes = [1, 0], result_axes = [0], length = [T]} : "
        "f32[5,3], f32[T,4,3]"
        " (%c: f32[5,3], %p: i32[4], %e: f32[4,3], %i: i64) {\n"
        "%d = scatter_add %c, %p, %e {axis = 0, batch = 0, what = \"at\"} : f32[5,3]\n"
        "%r = gather %d, %p {axis = 0, batch = 0, what = \"at\"} : f32[4,3]\nyield %d, %r\n}\n"
        "return %y as \"y\", %g as \"g\"\n}\n"
        "func @old_and_new(%x: f32[5,3] = arg \"x\", %at: i32[T] = arg \"at\", %u: f32[T,3] = arg \"u\") dims(T) {\n"
        "%y, %g = scan %x, %at, %u {consts = 0, carries = 1, axes = [0, 0], result_axes = [0], length = [T]} : "
        "f32[5,3], f32[T,5,3]"
        " (%c: f32[5,3], %p: i32, %e: f32[3], %i: i64) {\n"
        "%d = scatter_set %c, %p, %e {axis = 0, batch = 0, what = \"at\"} : f32[5,3]\n"
        "%v = reverse %c {axes = [0]} : f32[5,3]\n"
        "%r = multiply %d, %v : f32[5,3]\nyield %d, %r\n}\n"
        "return %y as \"y\", %g as \"g\"\n}\n"
        "func @rows(%x: f32[T,3] = arg \"x\") dims(T) {\n"
        "%zero = constant {dtype = f32, shape = [9,3], value = 0.0} : f32[9,3]\n"
        "%y = scan %zero, %x {consts = 0, carries = 1, axes = [0], result_axes = [], length = [T]} : f32[9,3]"
        " (%c: f32[9,3], %e: f32[3], %i: i64) {\n"
        "%s = exp %e : f32[3]\n"
        "%r = reshape %s {shape = [1,3]} : f32[1,3]\n"
        "%d = dynamic_update_slice %c, %r, %i {axes = [0], what = \"i\"} : f32[9,3]\nyield %d\n}\n"
        "return %y as \"y\"\n}\n";
    static const char *const names[] = {"scatter", "old_and_new", "rows"};
    check_with(text, names, 3, lengths, 5, 1e-5);
}

/* Variables are carried in their memory, or in copies where something inside can fail. */
static void variables(void **state) {
    (void)state;
    static const char text[] =
        "module @m\ndim T in 0..9\n"
        "param @w : f32[4,3] order [1,0]\nparam @b : f32[3]\nstate @n : i64\n"
        "func @train(%x: f32[T,4] = arg \"x\", %w: f32[4,3] = var @w, %b: f32[3] = var @b) dims(T) {\n"
        "%w.1, %b.1, %ls = scan %w, %b, %x {consts = 0, carries = 2, axes = [0], result_axes = [0], length = [T]}"
        " : f32[4,3], f32[3], f32[T,3] (%p: f32[4,3], %q: f32[3], %e: f32[4], %i: i64) {\n"
        "%d = dot_general %e, %p {lhs_batch = [], rhs_batch = [], lhs_contract = [0], rhs_contract = [0]} : f32[3]\n"
        "%y = add %d, %q : f32[3]\n"
        "%t = tanh %y : f32[3]\n"
        "%eb = broadcast_in_dim %e {shape = [4,3], axes = [0]} : f32[4,3]\n"
        "%tb = broadcast_in_dim %t {shape = [4,3], axes = [1]} : f32[4,3]\n"
        "%g = multiply %eb, %tb : f32[4,3]\n"
        "%p.1 = subtract %p, %g : f32[4,3]\n"
        "%q.1 = subtract %q, %t : f32[3]\nyield %p.1, %q.1, %t\n}\n"
        "return %w.1 -> @w, %b.1 -> @b, %ls as \"ls\"\n}\n"
        "func @shuffle(%x: f32[T,4] = arg \"x\", %w: f32[4,3] = var @w, %n: i64 = var @n) dims(T) {\n"
        "%w.1, %n.1, %s = scan %w, %n, %w {consts = 0, carries = 3, axes = [], result_axes = [], length = [T]}"
        " : f32[4,3], i64, f32[4,3] (%p: f32[4,3], %k: i64, %q: f32[4,3], %i: i64) {\n"
        "%v = reverse %p {axes = [0]} : f32[4,3]\n%a = add %v, %q : f32[4,3]\n"
        "%k.1 = add %k, %i : i64\nyield %a, %k.1, %v\n}\n"
        "return %w.1 -> @w, %n.1 -> @n, %s as \"s\", %w as \"old\"\n}\n"
        "func @choose(%c: bool = arg \"c\", %w: f32[4,3] = var @w, %b: f32[3] = var @b) {\n"
        "%w.1, %b.1 = cond %c, %w, %b : f32[4,3], f32[3] (%p: f32[4,3], %q: f32[3]) {\n"
        "%v = reverse %p {axes = [0]} : f32[4,3]\n%s = reduce_sum %p {axes = [0]} : f32[3]\nyield %v, %s\n}"
        " (%p: f32[4,3], %q: f32[3]) {\nyield %p, %q\n}\n"
        "return %w.1 -> @w, %b.1 -> @b\n}\n";
    static const char *const names[] = {"train", "shuffle", "choose"};
    check_with(text, names, 3, lengths, 5, 1e-4);
}

/* Values that only run time knows, as dims. */
static void bound_dims(void **state) {
    (void)state;
    static const char text[] =
        "module @m\ndim T in 0..9\ndim L in 0..20\ndim M in 0..9\n"
        "func @prefix(%x: f32[20,3] = arg \"x\", %n: i64 = arg \"n\") {\n"
        "bind_dim %n {dims = [L], what = \"n\"}\n"
        "%p = slice %x {start = [0,0], limit = [L,3], strides = [1,1]} : f32[L,3]\n"
        "%e = exp %p : f32[L,3]\n"
        "%s = reduce_sum %e {axes = [0]} : f32[3]\n"
        "%k = dim_value {dtype = i32, dims = [L]} : i32\n"
        "%z = constant {dtype = f32, shape = [3], value = 0.0} : f32[3]\n"
        "%h = scan %z, %p {consts = 0, carries = 1, axes = [0], result_axes = [], length = [L]} : f32[3]"
        " (%c: f32[3], %v: f32[3], %i: i64) {\n%m = maximum %c, %v : f32[3]\nyield %m\n}\n"
        "return %s as \"s\", %k as \"k\", %h as \"h\"\n}\n"
        "func @triangle(%x: f32[9] = arg \"x\") {\n"
        "%ys = scan %x {consts = 1, carries = 0, axes = [], result_axes = [0], length = [9]} : f32[9]"
        " (%v: f32[9], %i: i64) {\n"
        "bind_dim %i {dims = [M]}\n"
        "%p = slice %v {start = [0], limit = [M], strides = [1]} : f32[M]\n"
        "%s = reduce_sum %p {axes = [0]} : f32\nyield %s\n}\n"
        "return %ys as \"ys\"\n}\n";
    static const char *const names[] = {"prefix", "triangle"};
    check_with(text, names, 2, lengths, 5, 1e-5);
}

/* Training through loops as the language has them: forward, back and the update in one call. */
static void training(void **state) {
    (void)state;
    static const char text[] =
        "dim B <= 6\ndim T <= 9\n"
        "model M() {\n"
        "    let rnn = LSTM(4, 5)\n    let both = GRU(4, 3, bidirectional = true)\n    let head = Linear(11, 3)\n"
        "    fn last(h) { h[:, -1] }\n"
        "    export fn train(x: f32[B, T, 4], y: i32[B], lr: f32) -> (loss: f32) {\n"
        "        let z = head(concat([last(rnn(x)[0]), last(both(x)[0])], axis = -1))\n"
        "        let loss = cross_entropy(z, y)\n"
        "        minimize loss with adam(lr)\n"
        "        return loss\n    }\n"
        "}\n";
    Native *n = native_open_source("rnn.dl", text, NULL, 2);
    n->int_limit = 3;
    n->var_low = 0.01, n->var_high = 0.4;
    n->by_largest = true;
    static const int64_t dims[][2] = {{1, 1}, {3, 2}, {6, 9}};
    for (int d = 0; d < 3; d++) native_check(n, "train", dims[d], 2e-4);
    native_close(n);
}

/* ---------------------------------------------------------------------- what fails inside */

typedef struct Refused {
    int func;
    int64_t y[4]; /* the second argument */
    DlrtStatus status;
    const char *says; /* part of the message */
} Refused;

/* A call that fails in the middle of a loop has changed nothing, be the variable carried by that loop or not. */
static void failing(void **state) {
    (void)state;
    static const char text[] =
        "module @m\ndim L in 1..3\n"
        "state @s : f32[3]\nstate @t : f32[3]\n"
        "func @sliced(%y: i64[4] = arg \"y\", %s: f32[3] = var @s, %t: f32[3] = var @t) {\n"
        "%s1 = scan %s, %y {consts = 0, carries = 1, axes = [0], result_axes = [], length = [4]} : f32[3]"
        " (%c: f32[3], %k: i64, %i: i64) {\n"
        "%g = gather %c, %k {axis = 0, batch = 0, what = \"y\"} : f32\n"
        "%gb = broadcast_in_dim %g {shape = [3], axes = []} : f32[3]\n%a = add %c, %gb : f32[3]\nyield %a\n}\n"
        "%t1 = add %t, %s1 : f32[3]\n"
        "return %s1 -> @s, %t1 -> @t\n}\n"
        "func @computed(%y: i64[4] = arg \"y\", %s: f32[3] = var @s, %t: f32[3] = var @t) {\n"
        "%t1 = add %t, %t : f32[3]\n"
        "%s1 = scan %s, %y {consts = 0, carries = 1, axes = [0], result_axes = [], length = [4]} : f32[3]"
        " (%c: f32[3], %k: i64, %i: i64) {\n"
        "%one = constant {dtype = i64, shape = [], value = 1.0} : i64\n%k1 = subtract %k, %one : i64\n"
        "%g = gather %c, %k1 {axis = 0, batch = 0, what = \"one less\"} : f32\n"
        "%gb = broadcast_in_dim %g {shape = [3], axes = []} : f32[3]\n%a = add %c, %gb : f32[3]\nyield %a\n}\n"
        "return %s1 -> @s, %t1 -> @t\n}\n"
        "func @required(%y: i64[4] = arg \"y\", %s: f32[3] = var @s, %t: f32[3] = var @t) {\n"
        "%t1 = add %t, %t : f32[3]\n"
        "%s1 = scan %s, %y {consts = 0, carries = 1, axes = [0], result_axes = [], length = [4]} : f32[3]"
        " (%c: f32[3], %k: i64, %i: i64) {\n"
        "%most = constant {dtype = i64, shape = [], value = 2.0} : i64\n%good = less_equal %k, %most : bool\n"
        "require %good {message = \"y is small\"}\n"
        "%a = add %c, %c : f32[3]\nyield %a\n}\n"
        "return %s1 -> @s, %t1 -> @t\n}\n"
        "func @bound(%y: i64[4] = arg \"y\", %s: f32[3] = var @s, %t: f32[3] = var @t) {\n"
        "%s1 = scan %s, %y {consts = 0, carries = 1, axes = [0], result_axes = [], length = [4]} : f32[3]"
        " (%c: f32[3], %k: i64, %i: i64) {\n"
        "bind_dim %k {dims = [L], what = \"the length\"}\n"
        "%p = slice %c {start = [0], limit = [L], strides = [1]} : f32[L]\n%m = reduce_sum %p {axes = [0]} : f32\n"
        "%gb = broadcast_in_dim %m {shape = [3], axes = []} : f32[3]\n%a = add %c, %gb : f32[3]\nyield %a\n}\n"
        "return %s1 -> @s, %t -> @t\n}\n"
        "func @branch(%y: i64[4] = arg \"y\", %s: f32[3] = var @s, %t: f32[3] = var @t) {\n"
        "%m = reduce_max %y {axes = [0]} : i64\n"
        "%z = constant {dtype = i64, shape = [], value = 0.0} : i64\n%b = greater %m, %z : bool\n"
        "%t1 = cond %b, %t, %m : f32[3] (%p: f32[3], %k: i64) {\n"
        "%g = gather %p, %k {axis = 0, batch = 0, what = \"largest\"} : f32\n"
        "%gb = broadcast_in_dim %g {shape = [3], axes = []} : f32[3]\nyield %gb\n} (%p: f32[3], %k: i64) {\nyield "
        "%p\n}\n"
        "%s1 = add %s, %s : f32[3]\n"
        "return %s1 -> @s, %t1 -> @t\n}\n";
    static const Refused cases[] = {{0, {0, 1, 2, 0}, DLRT_OK, ""},
                                    {0, {0, 1, 3, 0}, DLRT_ERR_INDEX, "y[2] is 3, allowed are 0..2"},
                                    {0, {0, 1, 2, -1}, DLRT_ERR_INDEX, "y[3] is -1"},
                                    {1, {1, 2, 3, 1}, DLRT_OK, ""},
                                    {1, {1, 2, 3, 4}, DLRT_ERR_INDEX, "one less"},
                                    {1, {0, 1, 1, 1}, DLRT_ERR_INDEX, "is -1, allowed are 0..2"},
                                    {2, {0, 1, 2, -9}, DLRT_OK, ""},
                                    {2, {0, 1, 2, 3}, DLRT_ERR_REQUIRE, "y is small"},
                                    {3, {1, 2, 3, 1}, DLRT_OK, ""},
                                    {3, {1, 2, 3, 4}, DLRT_ERR_BOUND, "the length is 4, allowed are 1..3"},
                                    {3, {1, 2, 0, 1}, DLRT_ERR_BOUND, "the length is 0"},
                                    {4, {0, -1, 0, 0}, DLRT_OK, ""},
                                    {4, {0, 2, 1, 0}, DLRT_OK, ""},
                                    {4, {0, 1, 3, 0}, DLRT_ERR_INDEX, "largest"}};
    for (int threads = 1; threads < 3; threads++) {
        Native *n = native_open(text, NULL, threads);
        for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
            static const float before[2][3] = {{1, 2, 3}, {4, 5, 6}};
            float after[2][3];
            int64_t y[4];
            memcpy(y, cases[k].y, sizeof y);
            DlrtTensor in = {y, sizeof y, DLRT_I64, 1, {4}};
            assert_int_equal(dlrt_set(n->model, "s", before[0], sizeof before[0]), DLRT_OK);
            assert_int_equal(dlrt_set(n->model, "t", before[1], sizeof before[1]), DLRT_OK);
            int status = dlrt_call(n->context, cases[k].func, &in, 1, NULL, 0);
            assert_int_equal(status, cases[k].status);
            assert_int_equal(dlrt_get(n->model, "s", after[0], sizeof after[0]), DLRT_OK);
            assert_int_equal(dlrt_get(n->model, "t", after[1], sizeof after[1]), DLRT_OK);
            if (status == DLRT_OK) {
                assert_memory_not_equal(before, after, sizeof before);
                continue;
            }
            if (!strstr(dlrt_message(n->context), cases[k].says)) fail_msg("%s", dlrt_message(n->context));
            assert_memory_equal(before, after, sizeof before);
        }
        native_close(n);
    }
}

/* The initializer may loop: an orthogonal start by repeated products, a cache of its own. */
static void initializer(void **state) {
    (void)state;
    static const char text[] =
        "module @m\nparam @w : f32[6,6]\nslot @v : f32[6,6]\ncache @c : f32[6]\n"
        "func @f(%x: f32[6] = arg \"x\", %w: f32[6,6] = var @w, %v: f32[6,6] = var @v, %c: f32[6] = var @c) {\n"
        "return %w as \"w\", %v as \"v\", %c as \"c\"\n}\n"
        "init func @init(%seed: i64 = seed) {\n"
        "%i = iota {dtype = f32, shape = [6,6], axis = 0} : f32[6,6]\n"
        "%j = iota {dtype = f32, shape = [6,6], axis = 1} : f32[6,6]\n"
        "%ij = multiply %i, %j : f32[6,6]\n%a = sin %ij : f32[6,6]\n"
        "%w = scan %a {consts = 0, carries = 1, axes = [], result_axes = [], length = [7]} : f32[6,6] (%q: f32[6,6], "
        "%k: i64) {\n"
        "%p = dot_general %q, %q {lhs_batch = [], rhs_batch = [], lhs_contract = [1], rhs_contract = [1]} : f32[6,6]\n"
        "%t = tanh %p : f32[6,6]\nyield %t\n}\n"
        "%c0 = constant {dtype = f32, shape = [6], value = 1.0} : f32[6]\n"
        "%c = scan %c0 {consts = 0, carries = 1, axes = [], result_axes = [], length = [3]} : f32[6] (%q: f32[6], %k: "
        "i64) {\n"
        "%r = add %q, %q : f32[6]\nyield %r\n}\n"
        "%u = add %w, %a : f32[6,6]\n"
        "return %w -> @w, %u -> @v, %c -> @c\n}\n";
    Native *n = native_open(text, NULL, 1);
    DlrtTensor in = {(float[6]){0}, 24, DLRT_F32, 1, {6}}, out[3];
    float w[36], v[36], c[6];
    out[0] = (DlrtTensor){w, sizeof w, DLRT_F32, 2, {6, 6}};
    out[1] = (DlrtTensor){v, sizeof v, DLRT_F32, 2, {6, 6}};
    out[2] = (DlrtTensor){c, sizeof c, DLRT_F32, 1, {6}};
    assert_int_equal(dlrt_call(n->context, 0, &in, 1, out, 3), DLRT_OK);
    for (int i = 0; i < 36; i++) {
        assert_float_equal(w[i], n->interp->vars[0]->at[i].f, 1e-5);
        assert_float_equal(v[i], n->interp->vars[1]->at[i].f, 1e-5);
        if (i < 6) assert_float_equal(c[i], 8, 0);
    }
    native_close(n);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scans),     cmocka_unit_test(nested),      cmocka_unit_test(recurrent),
        cmocka_unit_test(branches),  cmocka_unit_test(whiles),      cmocka_unit_test(updates),
        cmocka_unit_test(variables), cmocka_unit_test(bound_dims),  cmocka_unit_test(training),
        cmocka_unit_test(failing),   cmocka_unit_test(initializer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
