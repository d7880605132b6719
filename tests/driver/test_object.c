/* Objects end to end: kernel IR written by hand, compiled, linked with the real runtime, opened and called. */
#include "model_text.h"
#include "session.h"

#include "dlrt.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { MOST_ROWS = 64, COLUMNS = 4 };

typedef struct Opened {
    Session s;
    DlrtModel *model;
    DlrtContext *context;
    int32_t rows[MOST_ROWS];
    float scale, y[MOST_ROWS * COLUMNS], last[COLUMNS];
    int64_t calls;
} Opened;

static void compile(Session *s, const char *options, const char *output) {
    session_write(s, "rows.kernel", model_text);
    int status = session_run(s, arena_printf(&s->arena, "@rows.kernel %s -o @%s", options, output));
    if (status) fail_msg("status %d: %s", status, s->said);
}

static void open_model(Opened *o, const char *options, int threads) {
    char message[256] = "";
    DlrtOptions given = {.threads = threads};
    session_open(&o->s);
    compile(&o->s, options, "rows.so");
    DlrtStatus status = dlrt_open_file(session_path(&o->s, "rows.so"), &given, &o->model, message, sizeof message);
    if (status) fail_msg("status %d: %s", status, message);
    assert_int_equal(dlrt_context_create(o->model, NULL, &o->context), DLRT_OK);
    for (int i = 0; i < MOST_ROWS; i++) o->rows[i] = (i * 7 + 3) % 10;
    o->scale = 0.5f;
}

static void close_model(Opened *o) {
    dlrt_context_destroy(o->context);
    dlrt_close(o->model);
    session_close(&o->s);
}

static DlrtStatus embed(Opened *o, int64_t n) {
    DlrtTensor args[] = {{o->rows, sizeof o->rows, DLRT_I32, 1, {n}}, {&o->scale, sizeof o->scale, DLRT_F32, 0, {0}}};
    DlrtTensor results[] = {{o->y, sizeof o->y, DLRT_F32, 2, {0}}, {&o->calls, sizeof o->calls, DLRT_I64, 0, {0}}};
    args[0].bytes = (size_t)n * sizeof *o->rows;
    DlrtStatus status = dlrt_call(o->context, 0, args, 2, results, 2);
    if (!status) assert_int_equal(results[0].shape[0], n);
    return status;
}

static const float *last(Opened *o) {
    float x[MOST_ROWS] = {0};
    uint8_t h[MOST_ROWS / 2] = {0};
    DlrtTensor args[] = {{x, 2 * sizeof *x, DLRT_F32, 1, {2}}, {h, 1, DLRT_U8, 1, {1}}};
    DlrtTensor result = {o->last, sizeof o->last, DLRT_F32, 1, {0}};
    if (dlrt_call(o->context, 1, args, 2, &result, 1)) fail_msg("%s", dlrt_message(o->context));
    return o->last;
}

static int32_t seen(Opened *o) {
    int32_t value = -1;
    assert_int_equal(dlrt_get(o->model, "seen", &value, sizeof value), DLRT_OK);
    return value;
}

/* ------------------------------------------------------------------------- calls */

static void calls_compute(const char *options) {
    static const int64_t extents[] = {1, 2, 15, 16, 17, 63, 64};
    Opened o;
    float sum[COLUMNS] = {0.5f, 0.5f, 0.5f, 0.5f};
    open_model(&o, options, 1);
    for (int e = 0; e < 7; e++) {
        if (embed(&o, extents[e])) fail_msg("%s", dlrt_message(o.context));
        for (int64_t i = 0; i < extents[e] * COLUMNS; i++) {
            float wanted = (float)(o.rows[i / COLUMNS] * COLUMNS + i % COLUMNS) * o.scale;
            assert_true(o.y[i] == wanted);
            sum[i % COLUMNS] += wanted;
        }
        assert_int_equal(o.calls, e);
        assert_int_equal(seen(&o), 7 + e + 1);
    }
    for (int c = 0; c < COLUMNS; c++) assert_true(last(&o)[c] == sum[c]);
    close_model(&o);
}

static void test_calls(void **state) {
    (void)state;
    calls_compute("");
}

static void test_calls_without_optimisation(void **state) {
    (void)state;
    calls_compute("-O0");
}

static void test_calls_on_narrower_processors(void **state) {
    (void)state;
    calls_compute("--cpu=x86-64-v3");
    calls_compute("--cpu=x86-64-v2");
    calls_compute("--cpu=x86-64");
}

/* Any wrong index, wherever it stands, is found, named, and leaves everything as it was. */
static void test_index_out_of_range(void **state) {
    static const int32_t wrong[] = {-1, 10, INT32_MIN, INT32_MAX};
    Opened o;
    (void)state;
    open_model(&o, "", 1);
    for (int w = 0; w < 4; w++) {
        for (int at = 0; at < MOST_ROWS; at++) {
            int32_t kept = o.rows[at], before = seen(&o);
            o.rows[at] = wrong[w];
            o.rows[MOST_ROWS - 1] = wrong[w];
            memset(o.y, 0, sizeof o.y);
            assert_int_equal(embed(&o, MOST_ROWS), DLRT_ERR_INDEX);
            char *text = arena_printf(&o.s.arena, "i[%d] is %d, allowed are 0..9", at, wrong[w]);
            if (!strstr(dlrt_message(o.context), text)) fail_msg("%s: %s", text, dlrt_message(o.context));
            assert_int_equal(seen(&o), before);
            for (int i = 0; i < MOST_ROWS * COLUMNS; i++) assert_true(o.y[i] == 0);
            o.rows[at] = kept;
            o.rows[MOST_ROWS - 1] = 0;
        }
    }
    assert_int_equal(embed(&o, MOST_ROWS), DLRT_OK);
    assert_int_equal(o.calls, 0);
    close_model(&o);
}

/* The model is filled when opened, each context's cache when that is made. */
static void test_initializer(void **state) {
    Opened o;
    DlrtContext *other, *first;
    float table[40];
    (void)state;
    open_model(&o, "", 1);
    assert_int_equal(dlrt_get(o.model, "table", table, sizeof table), DLRT_OK);
    for (int i = 0; i < 40; i++) assert_true(table[i] == (float)i);
    assert_int_equal(seen(&o), 7);
    assert_int_equal(embed(&o, 3), DLRT_OK);
    assert_int_equal(dlrt_context_create(o.model, NULL, &other), DLRT_OK);
    assert_int_equal(seen(&o), 8);
    first = o.context;
    o.context = other;
    assert_true(last(&o)[0] == 0.5f);
    o.context = first;
    assert_true(last(&o)[0] != 0.5f);
    dlrt_context_destroy(other);
    close_model(&o);
}

static void test_threads_change_nothing(void **state) {
    Opened one, many;
    (void)state;
    open_model(&one, "", 1);
    open_model(&many, "", 3);
    assert_int_equal(embed(&one, 64), DLRT_OK);
    assert_int_equal(embed(&many, 64), DLRT_OK);
    assert_memory_equal(one.y, many.y, sizeof one.y);
    assert_memory_equal(last(&one), last(&many), sizeof one.last);
    close_model(&one);
    close_model(&many);
}

/* -------------------------------------------------------------------- reflection */

static void test_variables(void **state) {
    Opened o;
    (void)state;
    open_model(&o, "", 1);
    const DlrtModelInfo *m = dlrt_info(o.model);
    assert_int_equal(m->var_count, 5);
    static const char *const names[] = {"table", "wide", "seen", "wide.moment", "last"};
    static const int32_t kinds[] = {DLRT_VAR_PARAM, DLRT_VAR_PARAM, DLRT_VAR_STATE, DLRT_VAR_SLOT, DLRT_VAR_CACHE};
    static const int64_t bytes[] = {160, 16384, 4, 24, 16};
    const int64_t blocks[] = {m->weight_bytes, m->weight_bytes, m->weight_bytes, m->slot_bytes, m->cache_bytes};
    for (int i = 0; i < 5; i++) {
        assert_string_equal(m->vars[i].name, names[i]);
        assert_int_equal(m->vars[i].kind, kinds[i]);
        assert_int_equal(m->vars[i].bytes, bytes[i]);
        assert_int_equal(m->vars[i].offset % 64, 0);
        assert_true(m->vars[i].offset + bytes[i] <= blocks[i]);
        for (int k = 0; k < i && kinds[i] <= DLRT_VAR_STATE; k++)
            assert_true(m->vars[k].offset + bytes[k] <= m->vars[i].offset);
    }
    assert_int_equal(m->vars[0].rank, 2);
    assert_int_equal(m->vars[0].shape[1], 4);
    assert_int_equal(m->vars[3].dtype, DLRT_F64);
    assert_null(m->vars[0].order);
    close_model(&o);
}

static void test_functions(void **state) {
    Opened o;
    (void)state;
    open_model(&o, "", 1);
    const DlrtModelInfo *m = dlrt_info(o.model);
    assert_string_equal(m->name, "Rows");
    assert_string_equal(m->doc, "Rows of a table.\nThat is all.");
    assert_int_equal(m->abi_version, DLRT_ABI_VERSION);
    assert_int_equal(m->function_count, 2);
    const DlrtFunctionInfo *f = &m->functions[0];
    assert_string_equal(f->name, "embed");
    assert_int_equal(f->flags, DLRT_FN_WRITES | DLRT_FN_RANDOM);
    assert_int_equal(f->flops, 769);
    assert_int_equal(f->dim_count, 1);
    assert_string_equal(f->dims[0].name, "B");
    assert_int_equal(f->dims[0].upper, 64);
    assert_int_equal(f->arg_count, 2);
    assert_string_equal(f->args[0].doc, "Row numbers.");
    assert_int_equal(f->args[0].role, DLRT_ROLE_LABEL);
    assert_int_equal(f->args[1].rank, 0);
    assert_string_equal(f->results[1].name, "result1");
    assert_int_equal(f->results[0].shape[1].constant, 4);
    assert_non_null(f->results[0].shape[0].terms);
    f = &m->functions[1];
    assert_int_equal(f->flags, 0);
    assert_int_equal(f->dim_count, 2);
    assert_non_null(f->dims[1].derived);
    assert_int_equal(f->dims[1].derived->divisor, 2);
    assert_int_equal(f->args[0].role, DLRT_ROLE_DATA);
    close_model(&o);
}

static void test_cpu_check(void **state) {
    Session s;
    DlrtModelInfo info;
    DlrtModel *model = NULL;
    Opened o;
    (void)state;
    open_model(&o, "", 1);
    info = *dlrt_info(o.model);
    assert_true(info.cpu_features != 0);
    info.cpu_features = ~(uint64_t)DLRT_CPU_NEWER;     /* no processor has x86's and Arm's */
    assert_int_equal(dlrt_model_open(&info, NULL, &model), DLRT_ERR_CPU);
    assert_null(model);
    close_model(&o);
    session_open(&s);
    compile(&s, "--target=aarch64-linux-gnu", "arm.o");
    assert_true(session_shell(&s, "readelf -h @arm.o | grep -q AArch64"));
    session_close(&s);
}

/* --------------------------------------------------------------- files */

static void test_same_bytes(void **state) {
    static const char *const endings[] = {"so", "o", "s", "ll", "h"};
    Session a, b;
    (void)state;
    session_open(&a);
    session_open(&b);
    for (int i = 0; i < 5; i++) {
        size_t n = 0, m = 1;
        const char *name = arena_printf(&a.arena, "rows.%s", endings[i]);
        compile(&a, "", name);
        compile(&b, "", name);
        const char *x = session_read(&a, name, &n), *y = session_read(&b, name, &m);
        assert_int_equal(n, m);
        assert_memory_equal(x, y, n);
        assert_null(strstr(x, "/tmp/"));
    }
    session_close(&a);
    session_close(&b);
}

static void test_symbols(void **state) {
    Session s;
    (void)state;
    session_open(&s);
    compile(&s, "", "rows.so");
    compile(&s, "", "rows.o");
    assert_true(session_shell(&s, "nm -D --defined-only @rows.so | awk '{ print $3 }' | sort | tr '\\n' ' ' >@names"));
    assert_string_equal(session_read(&s, "names", NULL), "dlrt_module rows_embed rows_halves rows_module ");
    assert_true(session_shell(&s, "! nm -u @rows.o | grep -vE ' (dlrt_invoke|dlrt_model_open)$'"));
    assert_true(session_shell(&s, "! objdump -h @rows.o | grep -E ' \\.(data|bss|tdata|tbss) +0*[1-9a-f]'"));
    assert_true(session_shell(&s, "! readelf -SW @rows.so | grep -E 'build-id|debug'"));
    assert_true(session_shell(&s, "readelf -d @rows.so | grep -q 'soname: .rows.so.'"));
    session_close(&s);
}

static const char caller[] =
    "#include \"rows.h\"\n"
    "int main(void) {\n"
    "    DlrtModel *m = 0;\n"
    "    DlrtContext *c = 0;\n"
    "    int32_t rows[2] = {1, 2};\n"
    "    float y[8], x[2] = {0, 0}, last[4];\n"
    "    uint8_t h[1] = {0};\n"
    "    int64_t calls = -1;\n"
    "    if (dlrt_open(&rows_module, 0, &m) || dlrt_context_create(m, 0, &c)) return 1;\n"
    "    if (rows_embed(c, 2, rows, 0.25f, y, &calls) || y[7] != 11 * 0.25f || calls) return 2;\n"
    "    if (rows_halves(c, 2, x, h, last) || last[0] != 0.5f + 3) return 3;\n"
    "    if (rows_embed(c, 65, rows, 1, y, &calls) != DLRT_ERR_BOUND) return 4;\n"
    "    if (rows_embed(c, 2, 0, 1, y, &calls) != DLRT_ERR_NULL) return 5;\n"
    "    if (rows_embed(0, 2, rows, 1, y, &calls) != DLRT_ERR_NULL) return 6;\n"
    "    if (ROWS_FN_HALVES != 1 || ROWS_WEIGHT_BYTES < 160 + 16384 + 4) return 7;\n"
    "    dlrt_context_destroy(c);\n"
    "    dlrt_close(m);\n"
    "    return 0;\n"
    "}\n";

static void test_header(void **state) {
    Session s;
    (void)state;
    session_open(&s);
    compile(&s, "", "rows.h");
    compile(&s, "", "rows.o");
    session_write(&s, "main.c", caller);
    const char *flags = "-Wall -Wextra -Wpedantic -Werror -I" RUNTIME_FOLDER " -I@";
    static const char *const compilers[] = {"cc -std=c99", "cc -std=c17"};
    for (int i = 0; i < 2; i++)
        assert_true(session_shell(&s, arena_printf(&s.arena, "%s %s @main.c @rows.o %s -lm -o @main && @main",
                                                   compilers[i], flags, RUNTIME_ARCHIVE)));
    if (session_shell(&s, "command -v c++ >/dev/null"))
        assert_true(session_shell(&s, arena_printf(&s.arena, "c++ -std=c++11 %s -x c++ @main.c -x none @rows.o %s "
                                                             "-lm -o @main && @main", flags, RUNTIME_ARCHIVE)));
    assert_non_null(strstr(session_read(&s, "rows.h", NULL), "int64_t B, const int32_t *i, float scale, float *y,"));
    assert_non_null(strstr(session_read(&s, "rows.h", NULL), "Looks rows up. * / And no more."));
    session_close(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calls),
        cmocka_unit_test(test_calls_without_optimisation),
        cmocka_unit_test(test_calls_on_narrower_processors),
        cmocka_unit_test(test_index_out_of_range),
        cmocka_unit_test(test_initializer),
        cmocka_unit_test(test_threads_change_nothing),
        cmocka_unit_test(test_variables),
        cmocka_unit_test(test_functions),
        cmocka_unit_test(test_cpu_check),
        cmocka_unit_test(test_same_bytes),
        cmocka_unit_test(test_symbols),
        cmocka_unit_test(test_header),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
