/* test_trace.c - what a profiled model records: a model of one function with two steps, written by hand. */
#include "support.h"
#include "core.h"
#include <stdlib.h>
#include <string.h>

enum { STEPS = 2, SPANS_A_CALL = STEPS + 1 };

static DlrtStatus twice(const DlrtFrame *f) {
    int64_t began = dlrt_step_begin(f);
    float *y = f->results[0];
    *y = *(const float *)f->args[0] * 2;
    dlrt_step_end(f, 0, began, 1000, 8);
    began = dlrt_step_begin(f);
    if (*y < 0) {
        f->fault->what = "x >= 0";
        return DLRT_ERR_REQUIRE;
    }
    dlrt_step_end(f, 1, began, INT64_MAX / 2, 4);
    return DLRT_OK;
}

static const DlrtTensorInfo args[] = {{"x", NULL, DLRT_F32, 0, DLRT_ROLE_NONE, 0, NULL}};
static const DlrtTensorInfo results[] = {{"y", NULL, DLRT_F32, 0, DLRT_ROLE_NONE, 0, NULL}};
static const DlrtStepInfo steps[STEPS] = {{"k0", "x -> \"y\"", "a\\b.dl:3"}, {"check", "", NULL}};
static const DlrtFunctionInfo functions[] = {
    {"twice", NULL, 0, 0, 1, 1, NULL, args, results, 0, 0, 1000, twice, steps, STEPS}};
static const DlrtModelInfo info = {DLRT_ABI_VERSION, 0, 1, DLRT_MODEL_PROFILED, "Twice", NULL, "any", "generic", 0, 3,
                                   NULL, functions, 0, 0, 0, NULL, 0, NULL, 0};
static const DlrtModule module = {DLRT_ABI_VERSION, 0, &info, dlrt_model_open};

typedef struct Opened {
    Faulty faulty;
    DlrtModel *model;
    DlrtContext *context;
} Opened;

static void open_twice(Opened *o) {
    faulty_init(&o->faulty);
    DlrtOptions options = {.allocator = &o->faulty.allocator, .files = &o->faulty.files};
    assert_int_equal(dlrt_open(&module, &options, &o->model), DLRT_OK);
    o->context = new_context(o->model);
}

static void close_twice(Opened *o) {
    dlrt_context_destroy(o->context);
    dlrt_close(o->model);
    assert_int_equal(o->faulty.live_blocks, 0);
    assert_int_equal(o->faulty.open_files, 0);
}

static DlrtStatus call(Opened *o, float x) {
    float y = 0;
    DlrtTensor in = tensor(DLRT_F32, &x, SCALAR), out = tensor(DLRT_F32, &y, SCALAR);
    out.bytes = sizeof y;
    return dlrt_call(o->context, 0, &in, 1, &out, 1);
}

static void spans(void **state) {
    Opened o;
    DlrtSpan s[8];
    (void)state;
    open_twice(&o);
    assert_int_equal(dlrt_trace(o.context, s, 8), 0);
    assert_int_equal(call(&o, 1), DLRT_OK);
    assert_int_equal(dlrt_trace(o.context, s, 8), SPANS_A_CALL);
    assert_int_equal(s[0].step, 0);
    assert_int_equal(s[1].step, 1);
    assert_int_equal(s[2].step, -1);
    assert_int_equal(s[0].flops, 1000);
    assert_int_equal(s[2].flops, 1000 + INT64_MAX / 2);
    assert_int_equal(s[2].bytes, 12);
    assert_true(s[2].begin <= s[0].begin && s[0].begin <= s[0].end && s[0].end <= s[1].begin && s[1].end <= s[2].end);
    assert_true(s[0].thread == s[2].thread);
    assert_int_equal(dlrt_trace(o.context, s, 1), 1);
    assert_int_equal(s[0].step, -1);
    assert_int_equal(dlrt_trace(o.context, s, -1), 0);
    assert_int_equal(call(&o, -1), DLRT_ERR_REQUIRE); /* a step that does not end is not there, the call is */
    assert_int_equal(dlrt_trace(o.context, s, 8), SPANS_A_CALL + 2);
    assert_int_equal(s[4].step, -1);
    close_twice(&o);
}

/* Of more calls than there is room for the latest stay; recording allocates nothing. */
static void ring(void **state) {
    Opened o;
    DlrtSpan *s = malloc((DLRT_TRACE_SPANS + 1) * sizeof *s);
    (void)state;
    assert_non_null(s);
    open_twice(&o);
    o.faulty.calls = 0;
    for (int i = 0; i < DLRT_TRACE_SPANS; i++) assert_int_equal(call(&o, 1), DLRT_OK);
    assert_int_equal(o.faulty.calls, 0);
    assert_int_equal(dlrt_trace(o.context, s, DLRT_TRACE_SPANS + 1), DLRT_TRACE_SPANS);
    assert_int_equal(s[DLRT_TRACE_SPANS - 1].step, -1);
    for (int i = 1; i < DLRT_TRACE_SPANS; i++) assert_true(s[i - 1].end <= s[i].end);
    close_twice(&o);
    free(s);
}

static void file(void **state) {
    Opened o;
    char text[4096];
    (void)state;
    open_twice(&o);
    assert_int_equal(call(&o, 1), DLRT_OK);
    assert_int_equal(dlrt_trace_write(o.context, "trace.json"), DLRT_OK);
    assert_string_equal(o.faulty.trace, "owscrf");
    text[read_file("trace.json", text, sizeof text - 1)] = 0;
    assert_non_null(strstr(text, "\"name\":\"k0\",\"args\":{\"what\":\"x -> \\\"y\\\"\",\"source\":\"a\\\\b.dl:3\",\"flops\":1000,"));
    assert_non_null(strstr(text, "\"name\":\"check\",\"args\":{\"what\":\"\",\"flops\":"));
    assert_non_null(strstr(text, "\"name\":\"twice\",\"args\":{\"model\":\"Twice\","));
    assert_null(strstr(text, ":-"));
    assert_int_equal(dlrt_trace_write(o.context, NULL), DLRT_ERR_NULL);
    assert_int_equal(dlrt_trace_write(NULL, "trace.json"), DLRT_ERR_NULL);
    close_twice(&o);
}

/* Whichever allocation or file operation fails: a status, a message, no half file. */
static void failures(void **state) {
    (void)state;
    for (int files = 0; files < 2; files++) {
        for (int n = 1;; n++) {
            Opened o;
            open_twice(&o);
            write_file("trace.json", "old", 3);
            o.faulty.fail_files = files;
            o.faulty.calls = 0;
            o.faulty.fail_at = n;
            DlrtStatus status = dlrt_trace_write(o.context, "trace.json");
            bool reached = o.faulty.calls >= n;
            assert_int_equal(status, !reached ? DLRT_OK : files ? DLRT_ERR_IO : DLRT_ERR_MEMORY);
            assert_true(!reached || dlrt_message(o.context)[0]);
            assert_false(file_exists("trace.json.tmp"));
            close_twice(&o);
            if (!reached) break;
        }
    }
}

static void not_profiled(void **state) {
    DlrtSpan s;
    DlrtModel *m = open_fake(1, 1);
    DlrtContext *c = new_context(m);
    (void)state;
    assert_int_equal(train_step(c, 0), DLRT_OK);
    assert_int_equal(dlrt_trace(c, &s, 1), 0);
    assert_int_equal(dlrt_trace_write(c, "never.json"), DLRT_ERR_UNSUPPORTED);
    assert_non_null(strstr(dlrt_message(c), "model Fake was compiled without --profile"));
    assert_false(file_exists("never.json"));
    dlrt_context_destroy(c);
    dlrt_close(m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spans),    cmocka_unit_test(ring),         cmocka_unit_test(file),
        cmocka_unit_test(failures), cmocka_unit_test(not_profiled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
