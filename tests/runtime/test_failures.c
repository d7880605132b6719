/* test_failures.c - the Nth allocation and the Nth file operation fail, for every N, in every public call:
 * the right status, a message, no leak, nothing changed, the old file intact, no temporary file left. */
#include "support.h"
#include "core.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void opening(void **state) {
    (void)state;
    int n = 1;
    for (;; n++) {
        Faulty f;
        faulty_init(&f);
        f.fail_at = n;
        char message[200] = "";
        DlrtOptions options = {.threads = 3, .allocator = &f.allocator, .message = message, .message_bytes = 200};
        DlrtModel *m;
        DlrtStatus status = dlrt_open(&fake_module, &options, &m);
        if (status == DLRT_OK) {
            dlrt_close(m);
            assert_int_equal(f.live_blocks, 0);
            break;
        }
        assert_int_equal(status, DLRT_ERR_MEMORY);
        assert_null(m);
        assert_non_null(strstr(message, "out of memory"));
        assert_int_equal(f.live_blocks, 0);
    }
    assert_true(n >= 4); /* struct, memory, arena; and the pool, where there are threads */
    Faulty f;
    faulty_init(&f);
    f.fail_at = 1;
    DlrtOptions options = {.allocator = &f.allocator};
    DlrtModel *m;
    assert_int_equal(dlrt_open_file(FAKE_SO, &options, &m, NULL, 0), DLRT_ERR_MEMORY);
    assert_int_equal(f.live_blocks, 0);
}

/* The calls under test, each on a trained model with a context. */
typedef DlrtStatus Call(DlrtModel *m, DlrtContext *c);

static DlrtStatus call_create(DlrtModel *m, DlrtContext *c) {
    DlrtContext *more = NULL;
    (void)c;
    DlrtStatus status = dlrt_context_create(m, NULL, &more);
    dlrt_context_destroy(more);
    return status;
}
static DlrtStatus call_reset(DlrtModel *m, DlrtContext *c) {
    (void)c;
    return dlrt_reset(m, 77);
}
static DlrtStatus call_save(DlrtModel *m, DlrtContext *c) {
    (void)c;
    return dlrt_save(m, "target.safetensors");
}
static DlrtStatus call_load(DlrtModel *m, DlrtContext *c) {
    (void)c;
    return dlrt_load(m, "source.safetensors");
}
static DlrtStatus call_checkpoint(DlrtModel *m, DlrtContext *c) {
    (void)m;
    return dlrt_checkpoint(c, "target.safetensors", NULL);
}
static DlrtStatus call_resume(DlrtModel *m, DlrtContext *c) {
    (void)m;
    return dlrt_resume(c, "source.safetensors", NULL);
}
static DlrtStatus call_train(DlrtModel *m, DlrtContext *c) {
    (void)m;
    return train_step(c, 3);
}
static DlrtStatus call_get(DlrtModel *m, DlrtContext *c) {
    float w[12];
    (void)c;
    DlrtStatus status = dlrt_get(m, "fc.weight", w, sizeof w);
    return status ? status : dlrt_set(m, "fc.weight", w, sizeof w);
}

/* Returns how many operations the call makes. */
static int fail_each(Call *call, bool files) {
    static const char old[] = "the old file";
    int n = 1;
    for (;; n++) {
        Faulty f;
        faulty_init(&f);
        f.fail_files = files;
        DlrtOptions options = {.seed = 1, .allocator = &f.allocator, .files = &f.files};
        DlrtModel *m;
        assert_int_equal(dlrt_open(&fake_module, &options, &m), DLRT_OK);
        DlrtContext *c = new_context(m);
        assert_int_equal(train_step(c, 0), DLRT_OK);
        Snapshot before = snapshot(m);
        int blocks = f.live_blocks;
        write_file("target.safetensors", old, sizeof old);
        remove("target.safetensors.tmp"); /* of an earlier run that failed */
        f.calls = 0;
        f.fail_at = n;
        DlrtStatus status = call(m, c);
        bool reached = f.calls >= n;
        assert_int_equal(f.open_files, 0);
        assert_int_equal(f.live_blocks, blocks);
        assert_false(file_exists("target.safetensors.tmp"));
        if (reached && status == DLRT_OK) assert_true(files); /* closing what was only read */
        if (status != DLRT_OK) {
            const char *message =
                call == call_checkpoint || call == call_resume ? dlrt_message(c) : dlrt_model_message(m);
            assert_true(reached);
            assert_int_equal(status, files ? DLRT_ERR_IO : DLRT_ERR_MEMORY);
            assert_true(message[0]);
            Snapshot after = snapshot(m);
            assert_memory_equal(&before, &after, sizeof before);
            char found[4096];
            size_t size = read_file("target.safetensors", found, sizeof found);
            if (!strstr(message, "is written, but its folder")) {
                assert_int_equal(size, sizeof old);
                assert_memory_equal(found, old, sizeof old);
            }
            f.fail_at = 0; /* and it works the next time */
            assert_int_equal(call(m, c), DLRT_OK);
        }
        dlrt_context_destroy(c);
        dlrt_close(m);
        assert_int_equal(f.live_blocks, 0);
        if (!reached) break;
    }
    return n - 1;
}

static void make_source(void) {
    DlrtModel *m = open_fake(8, 1);
    DlrtContext *c = new_context(m);
    for (int i = 0; i < 3; i++) assert_int_equal(train_step(c, i), DLRT_OK);
    assert_int_equal(dlrt_checkpoint(c, "source.safetensors", NULL), DLRT_OK);
    dlrt_context_destroy(c);
    dlrt_close(m);
}

static void allocations(void **state) {
    (void)state;
    make_source();
    assert_int_equal(fail_each(call_create, false), 2);
    assert_int_equal(fail_each(call_reset, false), 1);
    assert_true(fail_each(call_save, false) >= 3);
    assert_true(fail_each(call_load, false) >= 3);
    assert_true(fail_each(call_checkpoint, false) >= 4);
    assert_true(fail_each(call_resume, false) >= 5);
    assert_int_equal(fail_each(call_train, false), 0);
    assert_int_equal(fail_each(call_get, false), 0);
}

static void file_operations(void **state) {
    (void)state;
    make_source();
    assert_int_equal(fail_each(call_create, true), 0);
    assert_int_equal(fail_each(call_reset, true), 0);
    assert_true(fail_each(call_save, true) >= 8);
    assert_true(fail_each(call_load, true) >= 8);
    assert_true(fail_each(call_checkpoint, true) >= 8);
    assert_true(fail_each(call_resume, true) >= 8);
}

/* Nothing is renamed before it is on the disk, and the renaming is put there too. */
static void order_of_operations(void **state) {
    (void)state;
    Faulty f;
    faulty_init(&f);
    DlrtOptions options = {.allocator = &f.allocator, .files = &f.files};
    DlrtModel *m;
    assert_int_equal(dlrt_open(&fake_module, &options, &m), DLRT_OK);
    DlrtContext *c = new_context(m);
    assert_int_equal(dlrt_save(m, "target.safetensors"), DLRT_OK);
    assert_string_equal(f.trace, "owscrf");
    assert_int_equal(dlrt_checkpoint(c, "target.safetensors", NULL), DLRT_OK);
    assert_string_equal(f.trace, "owscrfowscrf");
    dlrt_context_destroy(c);
    dlrt_close(m);
}

/* A full disk, by the system itself. */
static void full_disk(void **state) {
    (void)state;
    DlrtModel *m = open_fake(8, 1);
    if (file_exists("/dev/full")) {
        Model *model = (Model *)m;
        int handle = model->files.open(NULL, "/dev/full", 1);
        assert_true(handle >= 0);
        Message text = dlrt_message_in(model->message, sizeof model->message);
        Writer w = {.files = &model->files,
                    .allocator = &model->allocator,
                    .path = "x",
                    .m = &text,
                    .handle = handle,
                    .temporary = (char[]){"x.tmp"}};
        assert_int_equal(dlrt_writer_write(&w, "abc", 3), DLRT_ERR_IO);
        assert_non_null(strstr(model->message, "No space left"));
        model->files.close(NULL, handle);
    }
    dlrt_close(m);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(opening), cmocka_unit_test(allocations),
                                       cmocka_unit_test(file_operations), cmocka_unit_test(order_of_operations),
                                       cmocka_unit_test(full_disk)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
