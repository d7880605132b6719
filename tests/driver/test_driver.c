/* The command line as a library: what it takes, what it refuses and with which status, what it writes. */
#include "model_text.h"
#include "session.h"

#include "driver/driver.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static const char graph_text[] =
    "module @Dense doc \"One layer.\"\n"
    "dim B in 1..32\n"
    "param @weight : f32[8,4]\n"
    "func @apply(%x: f32[B,8] = arg \"x\", %w: f32[8,4] = var @weight) dims(B) {\n"
    "  %0 = dot_general %x, %w {lhs_batch = [], rhs_batch = [], lhs_contract = [1], rhs_contract = [0]} : f32[B,4]\n"
    "  %1 = dot_general %x, %w {lhs_batch = [], rhs_batch = [], lhs_contract = [1], rhs_contract = [0]} : f32[B,4]\n"
    "  %2 = add %0, %1 : f32[B,4]\n"
    "  return %2 as \"y\"\n"
    "}\n";

static int open_session(void **state) {
    Session *s = malloc(sizeof *s);
    session_open(s);
    session_write(s, "dense.ir", graph_text);
    session_write(s, "rows.kernel", model_text);
    *state = s;
    return 0;
}

static int close_session(void **state) {
    session_close(*state);
    free(*state);
    return 0;
}

/* Runs, expects the status and a piece of what is said. */
static void refuse(Session *s, int status, const char *line, const char *said) {
    int files = session_count(s), got = session_run(s, line);
    if (got != status) fail_msg("%s: status %d, not %d: %s", line, got, status, s->said);
    if (!strstr(s->said, said)) fail_msg("%s: says %s", line, s->said);
    assert_int_equal(session_count(s), files);
}

static void accept(Session *s, const char *line) {
    int got = session_run(s, line);
    if (got) fail_msg("%s: status %d: %s", line, got, s->said);
}

static int times(const char *text, const char *piece) {
    int n = 0;
    for (const char *at = text; (at = strstr(at, piece)); at++) n++;
    return n;
}

static void test_mistakes(void **state) {
    Session *s = *state;
    refuse(s, DLCC_USER, "", "no input");
    refuse(s, DLCC_USER, "@dense.ir --emitt=graph", "did you mean --emit?");
    refuse(s, DLCC_USER, "@dense.ir --emit=graf", "did you mean graph?");
    refuse(s, DLCC_USER, "@dense.ir --emit", "--emit needs LEVEL");
    refuse(s, DLCC_USER, "@dense.ir -O4 -o @x.o", "0 to 3");
    refuse(s, DLCC_USER, "@dense.ir -D nothing -o @x.o", "NAME=VALUE");
    refuse(s, DLCC_USER, "@dense.ir -o @x.obj", "what should");
    refuse(s, DLCC_USER, "@dense.ir @rows.kernel -o @x.o", "two inputs");
    refuse(s, DLCC_USER, "@dense.ir --cpu=znver9 -o @x.o", "znver5");
    refuse(s, DLCC_USER, "@dense.ir --target=z80-linux-gnu -o @x.o", "aarch64-linux-gnu");
    refuse(s, DLCC_USER, "@dense.ir --dump-after=fused -o @x.o", "did you mean fuse?");
    refuse(s, DLCC_USER, "@dense.ir --no-pass=unroll -o @x.o", "--list passes");
    refuse(s, DLCC_USER, "@dense.ir --run=dce -o @x.o", "--run");
    refuse(s, DLCC_USER, "@dense.ir --run=schedule --emit=graph", "no pass over graph IR");
    refuse(s, DLCC_USER, "@rows.kernel --run=dce --emit=kernel", "no pass over kernel IR");
    refuse(s, DLCC_USER, "@dense.ir --emit=ast", "source");
    refuse(s, DLCC_USER, "--list=opps", "did you mean ops?");
    refuse(s, DLCC_USER, "--explain=DL9999", "DL0301");
}

static void test_environment(void **state) {
    Session *s = *state;
    refuse(s, DLCC_ENVIRONMENT, "@nowhere.ir -o @x.o", "No such file");
    refuse(s, DLCC_ENVIRONMENT, "@ --emit=graph", "directory");
    refuse(s, DLCC_ENVIRONMENT, "@dense.ir -o @no/x.o", "No such file");
    assert_true(session_shell(s, "mkdir @taken.o @taken.so"));
    refuse(s, DLCC_ENVIRONMENT, "@dense.ir -o @taken.o", "taken.o");
    refuse(s, DLCC_ENVIRONMENT, "@dense.ir -o @taken.so", "taken.so");
    refuse(s, DLCC_ENVIRONMENT, "@dense.ir --cc=no-such-compiler -o @x.so", "no-such-compiler");
    refuse(s, DLCC_ENVIRONMENT, "@dense.ir --cc=false -o @x.so", "could not link");
    refuse(s, DLCC_ENVIRONMENT, "@dense.ir --runtime=@no.a -o @x.so", "no.a");
    refuse(s, DLCC_ENVIRONMENT, "@dense.ir --dump-all=@no/dumps", "cannot make the folder");
}

/* A mistake in the model: its place is shown, nothing is written, an old output stays. */
static void test_wrong_model(void **state) {
    Session *s = *state;
    session_write(s, "bad.ir", "module @m\n"
                               "func @f(%x: f32[4] = arg \"x\") {\n"
                               "  %0 = negat %x : f32[4]\n"
                               "  return %0\n"
                               "}\n");
    session_write(s, "old.o", "old");
    refuse(s, DLCC_USER, "@bad.ir -o @old.o", "bad.ir:3:");
    assert_string_equal(session_read(s, "old.o", NULL), "old");
}

static void test_exported_names(void **state) {
    Session *s = *state;
    session_write(s, "case.ir", "module @m\n"
                                "func @a(%x: f32[4] = arg \"x\") {\n  %0 = negate %x : f32[4]\n  return %0\n}\n"
                                "func @A(%x: f32[4] = arg \"x\") {\n  %0 = negate %x : f32[4]\n  return %0\n}\n"
                                "func @module(%x: f32[4] = arg \"x\") {\n  %0 = negate %x : f32[4]\n  return %0\n}\n");
    refuse(s, DLCC_USER, "@case.ir -o @x.o", "DL0506");
    assert_non_null(strstr(s->said, "A and a differ only in case"));
    assert_non_null(strstr(s->said, "cannot be called module"));
}

static void test_emit(void **state) {
    Session *s = *state;
    accept(s, "@dense.ir --emit=graph");
    session_write(s, "again.ir", s->out);
    const char *first = s->out;
    accept(s, "@again.ir --emit=graph");
    assert_string_equal(s->out, first);
    accept(s, "@dense.ir --emit=kernel");
    assert_int_equal(times(s->out, "\nkernel "), 1);
    session_write(s, "again.kernel", s->out);
    first = s->out;
    accept(s, "@again.kernel --emit=kernel");
    assert_string_equal(s->out, first);
    accept(s, "@dense.ir --emit=llvm");
    assert_non_null(strstr(s->out, "define i32 @dense_apply("));
    accept(s, "@dense.ir --emit asm");
    assert_non_null(strstr(s->out, "dense_apply:"));
}

static void test_single_passes(void **state) {
    Session *s = *state;
    accept(s, "@dense.ir --emit=graph");
    assert_int_equal(times(s->out, "dot_general"), 2);
    accept(s, "@dense.ir --run=cse --emit=graph");
    assert_int_equal(times(s->out, "dot_general"), 1);
    accept(s, "@dense.ir --run=cse -o @cse.ir");
    assert_int_equal(times(session_read(s, "cse.ir", NULL), "dot_general"), 1);
    accept(s, "@dense.ir --dump-after=cse");
    assert_int_equal(times(s->out, "dot_general"), 1);
    accept(s, "@dense.ir --no-pass=cse --dump-after=dce");
    assert_int_equal(times(s->out, "dot_general"), 2);
    accept(s, "@dense.ir -O0 --dump-after=fuse --dump-after=cse");
    assert_int_equal(times(s->out, "module @"), 1);
    accept(s, "@rows.kernel --run=schedule --emit=kernel");
    assert_true(times(s->out, "schedule ") > 0);
}

static void test_outputs(void **state) {
    Session *s = *state;
    accept(s, "@dense.ir -o @dense.o -o @dense.s -o @dense.ll -o @dense.h -o @dense.so -o @out.ir -MD --name=net");
    static const char *const names[] = {"dense.o", "dense.s", "dense.ll", "dense.h", "dense.so", "out.ir", "dense.d"};
    for (int i = 0; i < 7; i++) assert_non_null(session_read(s, names[i], NULL));
    assert_int_equal(session_count(s), 7 + 2);
    assert_true(session_shell(s, "nm @dense.o | grep -q ' net_apply$'"));
    assert_non_null(strstr(session_read(s, "dense.h", NULL), "net_apply("));
    const char *depend = session_read(s, "dense.d", NULL);
    assert_non_null(strstr(depend, session_path(s, "dense.so")));
    assert_non_null(strstr(depend, arena_printf(&s->arena, ": %s\n", session_path(s, "dense.ir"))));
    accept(s, "@dense.ir -o @dense.o -MF @rule");
    assert_non_null(strstr(session_read(s, "rule", NULL), "dense.o: "));
}

static void test_dump_all(void **state) {
    Session *s = *state;
    accept(s, "@dense.ir --dump-all=@dumps -o @dense.o");
    static const char *const names[] = {"00-source.graph", "01-inline.graph", "02-simplify.graph", "03-cse.graph"};
    for (int i = 0; i < 4; i++) {
        const char *dump = arena_printf(&s->arena, "dumps/%s", names[i]), *text = session_read(s, dump, NULL);
        assert_non_null(text);
        accept(s, arena_printf(&s->arena, "@%s --emit=graph", dump));
        assert_string_equal(s->out, text);
    }
    assert_true(session_shell(s, "test $(ls @dumps/*.kernel | wc -l) = 4"));
    accept(s, "@dense.ir --dump-all=@dumps -o @dense.o");
}

static void test_reports(void **state) {
    Session *s = *state;
    accept(s, "@dense.ir --report");
    assert_non_null(strstr(s->out, "apply "));
    assert_non_null(strstr(s->out, "contract"));
    assert_non_null(strstr(s->out, "weights 128 bytes"));
    accept(s, "@dense.ir --time-passes");
    assert_non_null(strstr(s->said, "fuse"));
    assert_non_null(strstr(s->said, " ms"));
    accept(s, "--list=ops");
    assert_non_null(strstr(s->out, "dot_general"));
    accept(s, "--list passes");
    assert_non_null(strstr(s->out, "Always runs."));
    accept(s, "--list=targets");
    assert_non_null(strstr(s->out, "znver5"));
    accept(s, "--explain DL0601");
    assert_non_null(strstr(s->out, "DL0601: malformed IR text"));
    accept(s, "--version");
    assert_non_null(strstr(s->out, "LLVM 19"));
    accept(s, "--help");
    assert_non_null(strstr(s->out, "--dump-after"));
}

static const char loss_text[] =
    "module @Loss\n"
    "param @w : f32[3]\n"
    "func @train(%x: f32[3] = arg \"x\", %w: f32[3] = var @w) {\n"
    "  %0 = multiply %x, %w : f32[3]\n"
    "  %1 = tanh %0 : f32[3]\n"
    "  %2 = reduce_sum %1 {axes = [0]} : f32\n"
    "  %3 = subtract %w, %x : f32[3]\n"
    "  return %2 as \"loss\", %3 -> @w\n"
    "}\n"
    "init func @init() {\n"
    "  %0 = constant {dtype = f32, shape = [3], value = 0.25} : f32[3]\n"
    "  return %0 -> @w\n"
    "}\n";

static void test_gradcheck(void **state) {
    Session *s = *state;
    session_write(s, "loss.ir", loss_text);
    accept(s, "gradcheck @loss.ir --seed=3");
    assert_int_equal(times(s->out, "ok     w "), 2);
    assert_int_equal(times(s->out, "ok     x "), 2);
    assert_non_null(strstr(s->out, "10 differences, 7 native elements, 0 wrong"));
    accept(s, "gradcheck @loss.ir --json");
    assert_non_null(strstr(s->out, "{\"function\": \"train\", \"tensor\": \"w\", \"elements\": 3, \"wrong\": 0"));
    accept(s, "gradcheck @loss.ir --target=aarch64-linux-gnu --cpu=generic");
    assert_non_null(strstr(s->out, "10 differences, 0 native elements"));
    refuse(s, DLCC_ENVIRONMENT, "gradcheck @loss.ir --cc=no-such-compiler", "no-such-compiler");
    refuse(s, DLCC_USER, "gradcheck @rows.kernel", "not of kernels");
    refuse(s, DLCC_USER, "gradcheck @dense.ir", "no function trains");
}

/* A pass that breaks the IR is reported with what it was given. */
static void test_bug(void **state) {
    Session *s = *state;
    DlccOptions options = {.input = session_path(s, "dense.ir"), .level = 2};
    DlccOutput output = {text_new(&s->arena), text_new(&s->arena)};
    Compilation c = {.arena = &s->arena, .scratch = &s->scratch, .options = &options, .output = &output};
    intern_init(&c.names, &s->arena);
    diags_init(&c.diags, &s->arena);
    assert_int_equal(chdir(s->folder), 0);
    assert_int_equal(input_read(&c), DLCC_OK);
    assert_int_equal(driver_bug(&c, pass_find("dce")), DLCC_BUG);
    assert_non_null(strstr(text_get(&output.said), "bug in dlcc, not in the model: pass dce"));
    assert_non_null(strstr(text_get(&output.said), "dlcc dlcc-bug.ir --run=dce --emit=graph"));
    assert_int_equal(times(session_read(s, "dlcc-bug.ir", NULL), "dot_general"), 1);      /* cse has run */
    assert_int_equal(chdir("/"), 0);
}

/* Code generation needs a graph without dead operations, so these go at every level. */
static void test_dead_code(void **state) {
    Session *s = *state;
    session_write(s, "dead.ir",
                  "module @Dead\n"
                  "func @f(%x: f32[3] = arg \"x\") {\n"
                  "  %0 = exp %x : f32[3]\n"
                  "  %1 = reduce_sum %0 {axes = [0]} : f32\n"
                  "  %2 = negate %x : f32[3]\n"
                  "  return %2 as \"y\"\n"
                  "}\n");
    accept(s, "@dead.ir -O0 -o @dead.o");
}

static void test_only_check(void **state) {
    Session *s = *state;
    accept(s, "@dense.ir");
    assert_non_null(strstr(s->said, "no mistakes"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_session, close_session)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_mistakes), TEST(test_environment),   TEST(test_wrong_model), TEST(test_emit),
        TEST(test_single_passes), TEST(test_outputs), TEST(test_dump_all),    TEST(test_reports),
        TEST(test_gradcheck), TEST(test_bug),         TEST(test_only_check),
        TEST(test_exported_names), TEST(test_dead_code),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
