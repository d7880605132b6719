/* Scan, while, cond, call and checks: derivatives of what they are nested into, against differences; which of their
 * results depend on what; bodies that are built reading outer values; what is refused. */
#include "support.h"

#include "ir/print.h"
#include "ir/read.h"
#include "ir/verify.h"

#include <math.h>
#include <string.h>

/* ----------------------------------------------------------------------- derivatives */

#define F64_SCALAR "{dtype = f64, shape = [], value = "
#define NO_BATCH "lhs_batch = [], rhs_batch = [], "

/* Functions whose first and second derivatives are compared with differences. Each returns %r. */
static const struct {
    const char *what, *inputs, *ops;
    int64_t extent;            /* of the run-time dims */
} derivatives[] = {
    {"a const used three times, and outside", "%x: f64[B,3], %w: f64[3]",
     "%h, %s = scan %w, %w, %x {consts = 1, carries = 1, axes = [0], result_axes = [0], length = [B]}"
     " : f64[3], f64[B,3] (%c: f64[3], %g: f64[3], %v: f64[3], %t: i64) {\n"
     "  %a = multiply %c, %g : f64[3]\n  %b = sin %c : f64[3]\n  %d = add %a, %b : f64[3]\n"
     "  %e = multiply %d, %v : f64[3]\n  %n = add %e, %c : f64[3]\n  yield %n, %e\n}\n"
     "%m = reduce_sum %s {axes = [0]} : f64[3]\n%k = multiply %m, %h : f64[3]\n%r = multiply %k, %w : f64[3]", 3},
    {"no steps at all", "%x: f64[Z,3], %h: f64[3], %w: f64[3]",
     "%l, %s = scan %w, %h, %x {consts = 1, carries = 1, axes = [0], result_axes = [1], length = [Z]}"
     " : f64[3], f64[3,Z] (%c: f64[3], %g: f64[3], %v: f64[3], %t: i64) {\n"
     "  %a = multiply %c, %g : f64[3]\n  %n = add %a, %v : f64[3]\n  %y = sin %n : f64[3]\n  yield %y, %a\n}\n"
     "%m = reduce_sum %s {axes = [1]} : f64[3]\n%k = multiply %l, %l : f64[3]\n%r = add %m, %k : f64[3]", 0},
    {"a matrix in each step, against the axis", "%x: f64[2,B,3], %w: f64[4,4], %u: f64[4,3], %h: f64[2,4]",
     "%l, %r = scan %w, %u, %h, %x {consts = 2, carries = 1, axes = [1], result_axes = [2], length = [B], reverse = 1}"
     " : f64[2,4], f64[2,4,B] (%c: f64[4,4], %d: f64[4,3], %g: f64[2,4], %v: f64[2,3], %t: i64) {\n"
     "  %p = dot_general %g, %c {" NO_BATCH "lhs_contract = [1], rhs_contract = [1]} : f64[2,4]\n"
     "  %q = dot_general %v, %d {" NO_BATCH "lhs_contract = [1], rhs_contract = [1]} : f64[2,4]\n"
     "  %s = add %p, %q : f64[2,4]\n  %n = tanh %s : f64[2,4]\n  yield %n, %n\n}", 4},
    {"a matrix reached by transposing, twice", "%x: f64[B,2,3], %w: f64[3,3], %h: f64[2,3]",
     "%r = scan %w, %h, %x {consts = 1, carries = 1, axes = [0], result_axes = [], length = [B]}"
     " : f64[2,3] (%c: f64[3,3], %g: f64[2,3], %v: f64[2,3], %t: i64) {\n"
     "  %ct = transpose %c {permutation = [1, 0]} : f64[3,3]\n"
     "  %p = dot_general %g, %ct {" NO_BATCH "lhs_contract = [1], rhs_contract = [0]} : f64[2,3]\n"
     "  %q = dot_general %p, %c {" NO_BATCH "lhs_contract = [1], rhs_contract = [0]} : f64[2,3]\n"
     "  %s = add %q, %v : f64[2,3]\n  %n = sin %s : f64[2,3]\n  yield %n\n}", 3},
    {"integers carried, an index used", "%x: f64[B], %h: f64, %k: i64",
     "%l, %j, %s = scan %h, %k, %x {consts = 0, carries = 2, axes = [0], result_axes = [0], length = [B]}"
     " : f64, i64, f64[B] (%g: f64, %i: i64, %v: f64, %t: i64) {\n"
     "  %f = convert %t {dtype = f64} : f64\n  %u = convert %i {dtype = f64} : f64\n  %a = multiply %g, %v : f64\n"
     "  %b = multiply %a, %f : f64\n  %c = multiply %u, %v : f64\n  %n = add %b, %c : f64\n  %y = sin %n : f64\n"
     "  %k1 = add %i, %t : i64\n  yield %y, %k1, %n\n}\n"
     "%sum = reduce_sum %s {axes = [0]} : f64\n%r = multiply %sum, %l : f64", 4},
    {"a scan in a scan", "%x: f64[B,3], %w: f64[3], %h: f64",
     "%r, %all = scan %w, %h, %x {consts = 1, carries = 1, axes = [0], result_axes = [0], length = [B]}"
     " : f64, f64[B,3] (%c: f64[3], %g: f64, %v: f64[3], %t: i64) {\n"
     "  %in, %ys = scan %g, %g, %v, %c {consts = 1, carries = 1, axes = [0, 0], result_axes = [0], length = [3],"
     " reverse = 1} : f64, f64[3] (%o: f64, %p: f64, %q: f64, %d: f64, %t2: i64) {\n"
     "    %a = multiply %p, %q : f64\n    %b = sin %a : f64\n    %e = multiply %b, %d : f64\n"
     "    %n = add %e, %o : f64\n    yield %n, %e\n  }\n"
     "  %ys2 = multiply %ys, %c : f64[3]\n  %m = reduce_sum %ys2 {axes = [0]} : f64\n  %z = add %in, %m : f64\n"
     "  %z2 = sin %z : f64\n  yield %z2, %ys\n}", 2},
    {"a choice in a scan, a scan in a choice", "%x: f64[B], %h: f64, %w: f64",
     "%zero = constant " F64_SCALAR "0.0} : f64\n"
     "%l = scan %w, %zero, %h, %x {consts = 2, carries = 1, axes = [0], result_axes = [], length = [B]}"
     " : f64 (%c: f64, %o: f64, %g: f64, %v: f64, %t: i64) {\n"
     "  %q = greater %v, %o : bool\n"
     "  %n = cond %q, %g, %c, %v : f64 (%a: f64, %b: f64, %d: f64) {\n"
     "    %m = multiply %a, %b : f64\n    %e = sin %m : f64\n    yield %e\n"
     "  } (%a2: f64, %b2: f64, %d2: f64) {\n"
     "    %i = scan %d2, %a2 {consts = 1, carries = 1, axes = [], result_axes = [], length = [3]}"
     " : f64 (%s: f64, %k: f64, %t2: i64) {\n"
     "      %f = multiply %k, %s : f64\n      %j = sin %f : f64\n      yield %j\n    }\n    yield %i\n  }\n"
     "  yield %n\n}\n%r = multiply %l, %l : f64", 5},
    {"a loop with a limit, in a scan", "%x: f64[B], %h: f64, %w: f64",
     "%top = constant " F64_SCALAR "2.0} : f64\n"
     "%r, %s = scan %w, %top, %h, %x {consts = 2, carries = 1, axes = [0], result_axes = [0], length = [B]}"
     " : f64, f64[B] (%c: f64, %o: f64, %g: f64, %v: f64, %t: i64) {\n"
     "  %u = add %g, %v : f64\n"
     "  %e, %m = while %o, %c, %u, %t {consts = 2, limit = 6} : f64, i64 (%o2: f64, %c2: f64, %a: f64, %i: i64) {\n"
     "    %p = abs %a : f64\n    %q = less %p, %o2 : bool\n    yield %q\n"
     "  } (%o3: f64, %c3: f64, %b: f64, %j: i64) {\n"
     "    %d = multiply %b, %c3 : f64\n    %d1 = multiply %d, %b : f64\n    %f = add %b, %b : f64\n    %k = add %f, %d1 : f64\n"
     "    %j2 = add %j, %j : i64\n    yield %k, %j2\n  }\n"
     "  %z = sin %e : f64\n  yield %z, %e\n}", 3},
    {"computed again, in a scan", "%x: f64[B,2], %h: f64[2], %w: f64[2]",
     "%l = scan %w, %h, %x {consts = 1, carries = 1, axes = [0], result_axes = [], length = [B]}"
     " : f64[2] (%c: f64[2], %g: f64[2], %v: f64[2], %t: i64) {\n"
     "  %n = call %g, %c, %v {recompute = 1} : f64[2] (%a: f64[2], %b: f64[2], %d: f64[2]) {\n"
     "    %m = multiply %a, %b : f64[2]\n    %e = sin %m : f64[2]\n    %f = multiply %e, %d : f64[2]\n    yield %f\n  }\n"
     "  yield %n\n}\n"
     "%r = call %l, %l {recompute = 1} : f64[2] (%p: f64[2], %q: f64[2]) {\n"
     "  %o = multiply %p, %q : f64[2]\n  yield %o\n}", 3},
    {"a size bound in each step", "%x: f64[B,4], %h: f64, %n: i64",
     "%r = scan %n, %h, %x {consts = 1, carries = 1, axes = [0], result_axes = [], length = [B]}"
     " : f64 (%k: i64, %g: f64, %v: f64[4], %t: i64) {\n"
     "  %one = constant {dtype = i64, shape = [], value = 1.0} : i64\n  %k1 = add %k, %one : i64\n"
     "  bind_dim %k1 {dims = [L]}\n"
     "  %w = broadcast_in_dim %g {shape = [L], axes = []} : f64[L]\n  %i = iota {dtype = f64, shape = [L], axis = 0} : f64[L]\n"
     "  %a = multiply %w, %i : f64[L]\n  %c = cumulative_sum %a {axis = 0} : f64[L]\n  %b = sin %c : f64[L]\n"
     "  %s = reduce_sum %b {axes = [0]} : f64\n  %m = reduce_sum %v {axes = [0]} : f64\n  %e = add %s, %m : f64\n"
     "  yield %e\n}", 2},
    {"random numbers of each step's own, computed again", "%x: f64[B,4], %h: f64[4], %seed: i64, %count: i64",
     "%r = scan %seed, %count, %h, %x {consts = 2, carries = 1, axes = [0], result_axes = [], length = [B]}"
     " : f64[4] (%a: i64, %b: i64, %g: f64[4], %v: f64[4], %t: i64) {\n"
     "  %four = constant {dtype = i64, shape = [], value = 4.0} : i64\n  %o = multiply %t, %four : i64\n"
     "  %ow = broadcast_in_dim %o {shape = [4], axes = []} : i64[4]\n  %e = iota {dtype = i64, shape = [4], axis = 0} : i64[4]\n"
     "  %i = add %e, %ow : i64[4]\n  %aw = broadcast_in_dim %a {shape = [4], axes = []} : i64[4]\n"
     "  %bw = broadcast_in_dim %b {shape = [4], axes = []} : i64[4]\n"
     "  %bits = random_bits %aw, %bw, %i {site = 7, word = 0} : i32[4]\n"
     "  %zero = constant {dtype = i32, shape = [4], value = 0.0} : i32[4]\n  %keep = less %bits, %zero : bool[4]\n"
     "  %k = multiply %g, %v : f64[4]\n  %s = sin %k : f64[4]\n  %n = select %keep, %s, %g : f64[4]\n  yield %n\n}", 5},
    {"memory written and read by steps", "%x: f64[4,2], %m: f64[4,2]",
     "%z = constant {dtype = i64, shape = [], value = 0.0} : i64\n"
     "%r = scan %z, %m, %x {consts = 1, carries = 1, axes = [0], result_axes = [], length = [4]}"
     " : f64[4,2] (%o: i64, %g: f64[4,2], %v: f64[2], %t: i64) {\n"
     "  %a = dynamic_slice %g, %o {axes = [0], sizes = [1]} : f64[1,2]\n  %b = reshape %v {shape = [1, 2]} : f64[1,2]\n"
     "  %c = multiply %a, %b : f64[1,2]\n  %s = sin %c : f64[1,2]\n"
     "  %n = dynamic_update_slice %g, %s, %t {axes = [0]} : f64[4,2]\n  yield %n\n}", 1},
};

static Func *read_or_fail(World *w, const char *inputs, const char *ops) {
    Func *f = world_read(w, inputs, ops, "%r");
    if (!f) fail_msg("%s\n%s", ops, world_messages(w));
    return f;
}

static const char *printed(World *w) {
    Text text = text_new(&w->arena);
    module_print(w->module, &text);
    return text_get(&text);
}

/* What gradients made is a valid module whose text reads back. */
static void check_module(World *w, const char *what) {
    FaultList faults = {0};
    if (module_verify(w->module, &w->scratch, &faults)) {
        faults_report(w->module, &faults, what);
        fail_msg("%s\n%s", world_messages(w), printed(w));
    }
    const char *once = printed(w);
    uint32_t source = diag_add_source(&w->diags, "printed", once, strlen(once));
    w->module = module_read(&w->arena, &w->names, &w->diags, source);
    if (!w->module) fail_msg("%s: %s\n%s", what, world_messages(w), once);
    assert_string_equal(printed(w), once);
}

static void test_derivatives(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof derivatives / sizeof *derivatives; i++) {
        World *w = world_open();
        Func *f = read_or_fail(w, derivatives[i].inputs, derivatives[i].ops);
        Builder b = {.module = w->module, .func = f, .region = f->body};
        Value *y = f->body->yields.at[0];
        check_derivatives(w, &b, &y, 1, derivatives[i].extent, NULL, NULL, derivatives[i].what);
        check_module(w, derivatives[i].what);
        world_close(w);
    }
}

/* What a step stops is a constant to the differences too, in each step another one. */
static void test_stopped_within_a_step(void **state) {
    (void)state;
    World *w = world_open();
    Func *f = read_or_fail(w, "%x: f64[B], %h: f64",
                           "%r = scan %h, %x {consts = 0, carries = 1, axes = [0], result_axes = [], length = [B]}"
                           " : f64 (%g: f64, %v: f64, %t: i64) {\n  %s = stop_gradient %g : f64\n"
                           "  %a = multiply %s, %v : f64\n  %b = sin %g : f64\n  %n = add %a, %b : f64\n  yield %n\n}");
    InterpCall call = random_call(w, f, 4);
    GradcheckInput report[2];
    assert_true(gradcheck(&call, f->body->yields.at[0], f->body->params.at, 2, gradcheck_defaults(), &w->scratch, report));
    assert_int_equal(report[0].checked, 6);
    assert_true(gradcheck_passed(report, 2));
    world_close(w);
}

/* ------------------------------------------------------------------------ dependence */

static const char two_lanes[] =
    "%a, %b, %c, %s, %p = scan %w, %u, %x, %y, %n {consts = 2, carries = 3, axes = [], result_axes = [0, 0], length = [3]}"
    " : f64, f64, i64, f64[3], f64[3] (%ww: f64, %uu: f64, %g: f64, %h: f64, %k: i64, %t: i64) {\n"
    "  %g1 = multiply %g, %ww : f64\n  %f = floor %g : f64\n  %h1 = add %h, %f : f64\n  %k1 = add %k, %t : i64\n"
    "  %st = stop_gradient %uu : f64\n  %o = multiply %h, %st : f64\n  yield %g1, %h1, %k1, %g, %o\n}\n"
    "%r = add %a, %b : f64";

/* Each result of a scan depends on what leads to it, a few steps later too, and on nothing else. */
static void test_dependence_is_by_result(void **state) {
    (void)state;
    World *w = world_open();
    Func *f = read_or_fail(w, "%w: f64, %u: f64, %x: f64, %y: f64, %n: i64", two_lanes);
    Builder b = {.module = w->module, .func = f, .region = f->body};
    static const Dependence want[5][5] = {              /* of a, b, c, s, p on w, u, x, y, n */
        {DEPENDS, DEPENDS_NOT, DEPENDS, DEPENDS_NOT, DEPENDS_NOT},
        {DEPENDS_FLAT, DEPENDS_NOT, DEPENDS_FLAT, DEPENDS, DEPENDS_NOT},
        {DEPENDS_NOT, DEPENDS_NOT, DEPENDS_NOT, DEPENDS_NOT, DEPENDS_FLAT},
        {DEPENDS, DEPENDS_NOT, DEPENDS, DEPENDS_NOT, DEPENDS_NOT},
        {DEPENDS_FLAT, DEPENDS_NOT, DEPENDS_FLAT, DEPENDS, DEPENDS_NOT}};
    for (int i = 0; i < 5; i++)
        for (int k = 0; k < 5; k++)
            assert_int_equal(graph_dependence(&b, &f->body->ops.at[0]->results[i], f->body->params.at[k]), want[i][k]);
    world_close(w);
}

/* A loop's end depends on what its condition looks at, flatly; a call's on the args it has gradients for. */
static void test_dependence_of_loops_and_calls(void **state) {
    (void)state;
    World *w = world_open();
    Func *f = read_or_fail(w, "%x: f64, %c: f64, %z: f64",
                           "%l = while %c, %x {consts = 1, limit = 3} : f64 (%cc: f64, %a: f64) {\n"
                           "  %q = less %a, %cc : bool\n  yield %q\n} (%cd: f64, %b: f64) {\n"
                           "  %e = exp %b : f64\n  yield %e\n}\n"
                           "%r = call %l, %z {wrt = [0]} : f64 (%p: f64, %zz: f64) {\n  %f = floor %p : f64\n  yield %f\n}"
                           " (%p2: f64, %z2: f64, %y2: f64, %d2: f64) {\n  yield %d2\n}");
    Builder b = {.module = w->module, .func = f, .region = f->body};
    Value *r = f->body->yields.at[0];
    assert_int_equal(graph_dependence(&b, r, f->body->params.at[0]), DEPENDS);
    assert_int_equal(graph_dependence(&b, r, f->body->params.at[1]), DEPENDS_FLAT);
    assert_int_equal(graph_dependence(&b, r, f->body->params.at[2]), DEPENDS_NOT);
    world_close(w);
}

/* ------------------------------------------------------------------------- gradients */

/* Of the sum of two products the sum is stacked, if it is all that is needed of them. */
static void test_residuals_are_few(void **state) {
    (void)state;
    World *w = world_open();
    Func *f = read_or_fail(w, "%x: f64[B,2,3], %w: f64[4,4], %u: f64[4,3], %h: f64[2,4]",
                           "%r = scan %w, %u, %h, %x {consts = 2, carries = 1, axes = [0], result_axes = [], length = [B]}"
                           " : f64[2,4] (%c: f64[4,4], %d: f64[4,3], %g: f64[2,4], %v: f64[2,3], %t: i64) {\n"
                           "  %p = dot_general %g, %c {" NO_BATCH "lhs_contract = [1], rhs_contract = [1]} : f64[2,4]\n"
                           "  %q = dot_general %v, %d {" NO_BATCH "lhs_contract = [1], rhs_contract = [1]} : f64[2,4]\n"
                           "  %s = add %p, %q : f64[2,4]\n  %a = sin %s : f64[2,4]\n  %b = multiply %s, %s : f64[2,4]\n"
                           "  %n = add %a, %b : f64[2,4]\n  yield %n\n}");
    Builder b = {.module = w->module, .func = f, .region = f->body};
    const Op *scan = f->body->ops.at[0];
    Value *y = build_reduce(&b, &OP_reduce_sum, f->body->yields.at[0], (int64_t[]){0, 1}, 2), *grad;
    assert_true(build_gradients(&b, y, &f->body->params.at[0], 1, &grad));
    assert_int_equal(scan->result_count, 2);
    assert_ptr_equal(scan->regions[0]->yields.at[1]->op->info, op_of_map(MAP_add));
    world_close(w);
}

/* Two gradients of one scan share what it stacks. */
static void test_residuals_are_shared(void **state) {
    (void)state;
    World *w = world_open();
    Func *f = read_or_fail(w, derivatives[2].inputs, derivatives[2].ops);
    Builder b = {.module = w->module, .func = f, .region = f->body};
    const Op *scan = f->body->ops.at[0];
    Value *y = build_reduce(&b, &OP_reduce_sum, f->body->yields.at[0], (int64_t[]){0, 1, 2}, 3), *grad;
    assert_true(build_gradients(&b, y, &f->body->params.at[1], 1, &grad));
    int results = scan->result_count;
    assert_in_range(results, 3, 4);
    assert_true(build_gradients(&b, y, &f->body->params.at[1], 1, &grad));
    assert_int_equal(scan->result_count, results);
    world_close(w);
}

static int count_ops(const Region *r, const OpInfo *info) {
    int n = 0;
    for (int i = 0; i < r->ops.n; i++) n += r->ops.at[i]->info == info;
    return n;
}

/* The gradients of weights that are thin products in each step are one product after the loop, for which nothing is
 * stacked but what the way back computes; of a product of many rows the sum is carried. */
static void test_products_after_the_loop(void **state) {
    (void)state;
    for (int wide = 0; wide < 2; wide++) {
        World *w = world_open();
        Func *f = read_or_fail(w, wide ? "%x: f64[B,9,2], %w: f64[2,2], %h: f64[9,2]" : "%x: f64[B,2,3], %w: f64[3,3], %h: f64[2,3]",
                               wide ? "%r = scan %w, %h, %x {consts = 1, carries = 1, axes = [0], result_axes = [], length = [B]}"
                               " : f64[9,2] (%c: f64[2,2], %g: f64[9,2], %v: f64[9,2], %t: i64) {\n"
                               "  %p = dot_general %g, %c {" NO_BATCH "lhs_contract = [1], rhs_contract = [1]} : f64[9,2]\n"
                               "  %s = add %p, %v : f64[9,2]\n  %n = tanh %s : f64[9,2]\n  yield %n\n}" : derivatives[3].ops);
        Builder b = {.module = w->module, .func = f, .region = f->body};
        Value *y = build_reduce(&b, &OP_reduce_sum, f->body->yields.at[0], (int64_t[]){0, 1}, 2);
        Value *wrt[] = {f->body->params.at[1], f->body->params.at[2]}, *grads[2];
        assert_true(build_gradients(&b, y, wrt, 2, grads));
        const Op *back = grads[1]->op;
        assert_ptr_equal(back->info, &OP_scan);
        assert_int_equal(op_int(back, "carries"), wide ? 2 : 1);
        assert_int_equal(count_ops(f->body, &OP_dot_general), wide ? 0 : 2);
        assert_int_equal(count_ops(back->regions[0], &OP_dot_general), 2);
        world_close(w);
    }
}

/* A carry that the loss does not reach has no gradient carried for it. */
static void test_only_active_carries(void **state) {
    (void)state;
    World *w = world_open();
    Func *f = read_or_fail(w, "%w: f64, %u: f64, %x: f64, %y: f64, %n: i64", two_lanes);
    Builder b = {.module = w->module, .func = f, .region = f->body};
    Value *grads[2], *wrt[] = {f->body->params.at[2], f->body->params.at[3]};
    assert_true(build_gradients(&b, &f->body->ops.at[0]->results[0], wrt, 2, grads));
    const Op *back = grads[0]->op;
    assert_ptr_equal(back->info, &OP_scan);
    assert_int_equal(op_int(back, "carries"), 1);
    assert_ptr_equal(grads[1]->op->info, op_of_map(MAP_constant));
    world_close(w);
}

static void refuse_gradient(const char *inputs, const char *ops, const char *why) {
    World *w = world_open();
    Func *f = read_or_fail(w, inputs, ops);
    Builder b = {.module = w->module, .func = f, .region = f->body};
    Value *grad;
    assert_false(build_gradients(&b, f->body->yields.at[0], &f->body->params.at[0], 1, &grad));
    assert_int_equal(w->diags.all.at[0].code, DL0401);
    if (!strstr(world_messages(w), why)) fail_msg("no \"%s\" in %s", why, world_messages(w));
    world_close(w);
}

static void test_gradients_that_are_none(void **state) {
    (void)state;
    refuse_gradient("%x: f64", "%r = while %x {consts = 0} : f64 (%a: f64) {\n  %q = less %a, %a : bool\n  yield %q\n} "
                    "(%b: f64) {\n  %e = exp %b : f64\n  yield %e\n}", "a limit of its steps");
    refuse_gradient("%x: f64", "%r = call %x, %x {wrt = [1]} : f64 (%a: f64, %b: f64) {\n  %c = add %a, %b : f64\n"
                    "  yield %c\n} (%a2: f64, %b2: f64, %y: f64, %d: f64) {\n  yield %d\n}", "gives none for it");
}

/* --------------------------------------------------------------------------- building */

/* sum over t of (x[t] w + k h), where x, w and k are of outside, w and a carry that stays as it is in an inner body. */
static void test_bodies_read_outer_values(void **state) {
    (void)state;
    World *w = world_open();
    Builder b = world_func(w, "f");
    Dim three = dim_const(&w->module->dims, 3);
    Value *x = add_input(&b, "x", DTYPE_F64, 1, &three), *weight = add_input(&b, "w", DTYPE_F64, 0, NULL);
    Value *k = build_map1(&b, MAP_exp, weight);
    Builder body = build_body(&b);
    Value *params[] = {build_body_param(&body, weight->type, "h"), build_body_param(&body, weight->type, "still")};
    Value *xt = build_slice_param(&body, x, 0, "xt");
    Builder yes = build_body(&body), no = build_body(&body);
    Value *a = build_map2(&yes, MAP_multiply, xt, params[1]), *c = build_map2(&no, MAP_multiply, k, xt), *chosen;
    Value *positive = build_map2(&body, MAP_greater, xt, build_constant_like(&body, xt, 0));
    assert_true(build_cond(&body, positive, &yes, &a, &no, &c, 1, &chosen));
    Value *next = build_map2(&body, MAP_add, chosen, build_map2(&body, MAP_multiply, k, params[0]));
    Value *inits[] = {build_constant(&b, weight->type, 0), weight}, *nexts[] = {next, params[1]}, *finals[2];
    ScanParts parts = {.body = &body, .carries = 2, .inits = inits, .params = params, .nexts = nexts, .xs_count = 1,
                       .xs = &x, .slices = &xt, .axes = (int64_t[]){0}, .length = three};
    assert_true(build_scan(&b, &parts, finals, NULL));
    assert_ptr_equal(finals[1], weight);
    const Op *scan = finals[0]->op;
    assert_int_equal(op_int(scan, "carries"), 1);
    assert_int_equal(op_int(scan, "consts"), 2);
    func_add_result(b.func, (Result){.name = "y"}, finals[0]);
    FaultList faults = {0};
    assert_int_equal(module_verify(w->module, &w->scratch, &faults), 0);
    Tensor *inputs[] = {floats(w, 1, (int64_t[]){3}, (double[]){2, -1, 0.5}), floats(w, 0, NULL, (double[]){0.3})};
    double e = exp(0.3), h = 2 * 0.3;
    h = -e + e * h;
    h = 0.5 * 0.3 + e * h;
    assert_true(fabs(evaluate(w, b.func, inputs, finals[0])->at[0].f - h) < 1e-14);
    world_close(w);
}

static void test_builders_refuse(void **state) {
    (void)state;
    World *w = world_open();
    Builder b = world_func(w, "f"), body = build_body(&b);
    Dim three = dim_const(&w->module->dims, 3);
    Value *x = add_input(&b, "x", DTYPE_F64, 1, &three), *h = add_input(&b, "h", DTYPE_F64, 0, NULL), *final;
    assert_null(build_slice_param(&body, x, 1, NULL));
    Value *p = build_body_param(&body, h->type, "h"), *wrong = build_convert(&body, p, DTYPE_F32);
    ScanParts parts = {.body = &body, .carries = 1, .inits = &h, .params = &p, .nexts = &wrong, .length = three};
    assert_false(build_scan(&b, &parts, &final, NULL));
    assert_non_null(strstr(world_messages(w), "carry 0 h begins a step as f64, but ends it as f32"));
    assert_int_equal(b.region->ops.n, 0);
    world_close(w);
}

/* ---------------------------------------------------------------------------- checks */

static const char *failure(World *w, Func *f, double n) {
    Tensor *input = ints(w, DTYPE_I64, 0, NULL, (int64_t[]){(int64_t)n}), *out;
    InterpCall call = {.func = f, .arena = &w->arena, .inputs = &input};
    call.dims = interp_bind(f, NULL, &input, &w->arena, &call.error);
    return interp_call(&call, &out) ? NULL : call.error;
}

/* A check counts wherever it stands, though nothing uses a result beside it. */
static void test_checks_end_a_call(void **state) {
    (void)state;
    World *w = world_open();
    static const char text[] = "module @m\ndim L in 2..5\nfunc @f(%n: i64 = arg \"n\") {\n"
                               "  %z = constant {dtype = i64, shape = [], value = 4.0} : i64\n"
                               "  %s = scan %z, %n {consts = 1, carries = 1, axes = [], result_axes = [], length = [2]}"
                               " : i64 (%a: i64, %b: i64, %t: i64) {\n"
                               "    %q = less %b, %a : bool\n    require %q {message = \"n is too large\"}\n"
                               "    bind_dim %b {dims = [L], what = \"the size\"}\n    yield %b\n  }\n"
                               "  return %n as \"y\"\n}\n";
    uint32_t source = diag_add_source(&w->diags, "test", text, strlen(text));
    w->module = module_read(&w->arena, &w->names, &w->diags, source);
    if (!w->module) fail_msg("%s", world_messages(w));
    Func *f = w->module->funcs.at[0];
    assert_null(failure(w, f, 3));
    assert_string_equal(failure(w, f, 4), "n is too large");
    assert_string_equal(failure(w, f, 1), "the size is 1, outside 2 .. 5");
    world_close(w);
}

/* ---------------------------------------------------------------------------- refused */

#define BODY " (%g: f64, %v: f64, %t: i64) {\n  %n = add %g, %v : f64\n  yield %n, %v\n}"
#define SCAN(attrs, types) "%r, %s = scan %h, %x {" attrs "} : " types BODY
#define GOOD "axes = [0], result_axes = [0], length = [3]"

static const struct {
    const char *ops, *why;
} refused[] = {
    {SCAN("consts = 0, carries = 2, " GOOD, "f64, f64[3]"), "0 consts, 2 carries and 1 axes do not make 2 operands"},
    {SCAN("consts = -1, carries = 2, " GOOD, "f64, f64[3]"), "do not make 2 operands"},
    {SCAN("consts = 9223372036854775807, carries = 9223372036854775807, " GOOD, "f64, f64[3]"), "do not make 2 operands"},
    {SCAN("consts = 0, carries = 1, axes = [1], result_axes = [0], length = [3]", "f64, f64[3]"), "axis 1 does not exist"},
    {SCAN("consts = 0, carries = 1, axes = [0], result_axes = [1], length = [3]", "f64, f64[3]"),
     "result axis 1 does not exist"},
    {SCAN("consts = 0, carries = 1, axes = [0], result_axes = [0, 0], length = [3]", "f64, f64[3]"),
     "the body yields 2 values, but 1 carries and 2 result axes make 3"},
    {SCAN("consts = 0, carries = 1, axes = [0], result_axes = [0], length = [4]", "f64, f64[4]"),
     "dimension 0 of f64[3] is 3, but the length is 4"},
    {SCAN("consts = 0, carries = 1, axes = [0], result_axes = [0], length = [3, 3]", "f64, f64[3]"), "length has 2 entries"},
    {SCAN("consts = 0, carries = 1, " GOOD ", reverse = 2", "f64, f64[3]"), "reverse is 2"},
    {SCAN("consts = 0, carries = 1, " GOOD, "f64, f64[4]"), "the operator gives f64[3]"},
    {"%r, %s = scan %x, %x {consts = 0, carries = 1, " GOOD "} : f64, f64[3]" BODY,
     "parameter 0 of the body is f64, but what it stands for is f64[3]"},
    {"%r = scan %h {consts = 0, carries = 1, axes = [], result_axes = [], length = [3]} : f64", "expected ("},
    {"%r = scan %h {consts = 0, carries = 1, axes = [], result_axes = [], length = [3]} : f64 (%g: f64) {\n  yield %g\n}",
     "it needs one for each operand and one for the index, 2"},
    {"%r = scan %h {consts = 0, carries = 1, axes = [], result_axes = [], length = [3]} : f64 (%g: f64, %t: i32) {\n"
     "  yield %g\n}", "the last parameter is the index"},
    {"%r = scan %h {consts = 0, carries = 1, axes = [], result_axes = [], length = [3]} : f64 (%g: f64, %t: i64) {\n"
     "  yield %h\n}", "outside of this region"},
    {"%r = while %h {consts = 0} : f64 (%g: f64) {\n  yield %g\n} (%i: f64) {\n  yield %i\n}",
     "the condition must be a bool scalar, but is f64"},
    {"%r = while %h {consts = 2} : f64 (%g: f64) {\n  yield %g\n} (%i: f64) {\n  yield %i\n}", "cannot be consts"},
    {"%r = while %h {consts = 0, limit = -3} : f64 (%g: f64) {\n  yield %g\n} (%i: f64) {\n  yield %i\n}", "limit is -3"},
    {"%r = while %h {consts = 0} : f64 (%g: f64) {\n  yield %g\n}", "expected ("},
    {"%r = cond %h, %h : f64 (%g: f64) {\n  yield %g\n} (%i: f64) {\n  yield %i\n}", "must be of bool"},
    {"%q = less %h, %h : bool\n%r = cond %q, %h : f64 (%g: f64) {\n  yield %g\n} (%i: f64) {\n"
     "  %j = convert %i {dtype = f32} : f32\n  yield %j\n}", "the branches differ in result 0: f64 and f32"},
    {"%q = less %h, %h : bool\n%r = cond %q, %h : f64 (%g: f64) {\n  yield %g\n} () {\n  yield\n}",
     "the second branch has 0 parameters, but needs 1"},
    {"%r = call %h {wrt = [0]} : f64 (%g: f64) {\n  yield %g\n}", "with wrt there is a second body"},
    {"%r = call %h : f64 (%g: f64) {\n  yield %g\n} (%i: f64) {\n  yield %i\n}", "needs wrt"},
    {"%r = call %h {wrt = [1]} : f64 (%g: f64) {\n  yield %g\n} (%i: f64, %j: f64, %k: f64) {\n  yield %k\n}",
     "operand in wrt 1 does not exist"},
    {"%r = call %h {wrt = [0]} : f64 (%g: f64) {\n  yield %g\n} (%i: f64, %j: f64, %k: f64) {\n"
     "  %l = convert %k {dtype = f32} : f32\n  yield %l\n}", "the gradient of operand 0, f64, cannot be f32"},
    {"%r = call %h {recompute = 3} : f64 (%g: f64) {\n  yield %g\n}", "recompute is 3"},
    {"bind_dim %h {dims = [B]}\n%r = exp %h : f64", "must be of i64"},
    {"%i = convert %h {dtype = i64} : i64\nbind_dim %i {dims = [2*B]}\n%r = exp %h : f64", "no declared free dim"},
    {"%i = convert %h {dtype = i64} : i64\nbind_dim %i {dims = [B]}\n%r = exp %h : f64", "dim B has a value already"},
    {"%r = iota {dtype = f64, shape = [Z], axis = 0} : f64[Z]", "which nothing binds here"},
    {"%i = convert %h {dtype = i64} : i64\n%r = call %i : f64[Z] (%j: i64) {\n  bind_dim %j {dims = [Z]}\n"
     "  %k = iota {dtype = f64, shape = [Z], axis = 0} : f64[Z]\n  yield %k\n}", "which alone knows how much Z is"},
    {"require %h {message = \"m\"}\n%r = exp %h : f64", "must be of bool"},
};

static void test_refused(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        World *w = world_open();
        const char *text = arena_printf(&w->arena, "module @m\ndim B in 1..4\ndim Z in 0..4\nfunc @f(%%h: f64 = arg \"h\", "
                                        "%%x: f64[3] = arg \"x\", %%b: f64[B] = arg \"b\") dims(B) {\n%s\nreturn %%r as \"y\""
                                        "\n}\n", refused[i].ops);
        uint32_t source = diag_add_source(&w->diags, "test", text, strlen(text));
        if (module_read(&w->arena, &w->names, &w->diags, source)) fail_msg("accepted: %s", refused[i].ops);
        if (!strstr(world_messages(w), refused[i].why))
            fail_msg("no \"%s\" in\n%s", refused[i].why, world_messages(w));
        world_close(w);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_derivatives),
        cmocka_unit_test(test_stopped_within_a_step),
        cmocka_unit_test(test_dependence_is_by_result),
        cmocka_unit_test(test_dependence_of_loops_and_calls),
        cmocka_unit_test(test_residuals_are_few),
        cmocka_unit_test(test_residuals_are_shared),
        cmocka_unit_test(test_products_after_the_loop),
        cmocka_unit_test(test_only_active_carries),
        cmocka_unit_test(test_gradients_that_are_none),
        cmocka_unit_test(test_bodies_read_outer_values),
        cmocka_unit_test(test_builders_refuse),
        cmocka_unit_test(test_checks_end_a_call),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
