/* test_files.c - weights and checkpoints: what is written, what is accepted, what is refused and how. */
#include "support.h"
#include "core.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static void saves_and_loads(void **state) {
    (void)state;
    DlrtModel *m = open_fake(1, 1), *n = open_fake(2, 1);
    DlrtContext *c = new_context(m);
    for (int i = 0; i < 5; i++) assert_int_equal(train_step(c, i), DLRT_OK);
    assert_int_equal(dlrt_save(m, "w.safetensors"), DLRT_OK);
    assert_false(file_exists("w.safetensors.tmp"));
    assert_int_equal(dlrt_load(n, "w.safetensors"), DLRT_OK);
    Snapshot a = snapshot(m), b = snapshot(n);
    assert_memory_equal(a.weight, b.weight, sizeof a.weight);
    assert_memory_equal(a.bias, b.bias, sizeof a.bias);
    assert_int_equal(a.seen, b.seen);
    assert_int_equal(b.step, 0); /* slots are not in weight files */
    char file[2048];
    size_t size = read_file("w.safetensors", file, sizeof file);
    uint64_t header;
    memcpy(&header, file, 8);
    assert_int_equal((8 + header) % 8, 0);
    assert_int_equal(size, 8 + header + 8 + 48 + 12);
    file[8 + header] = 0;
    assert_non_null(strstr(file + 8, "\"fc.weight\":{\"dtype\":\"F32\",\"shape\":[3, 4],\"data_offsets\":[8,56]}"));
    float first[12];
    memcpy(first, file + 8 + header + 8, 48);
    assert_memory_equal(first + 1, a.weight + 1, 44); /* logical order in the file */
    dlrt_context_destroy(c);
    dlrt_close(m);
    dlrt_close(n);
}

/* ---- a file from a header and data */

static size_t put(const char *path, const char *header, size_t data) {
    char file[8192] = {0};
    uint64_t n = strlen(header);
    memcpy(file, &n, 8);
    memcpy(file + 8, header, n);
    for (size_t i = 0; i < data; i++) file[8 + n + i] = (char)(i % 4 == 3 ? 63 : i);
    write_file(path, file, 8 + n + data);
    return 8 + n + data;
}

#define SEEN "\"seen\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[0,8]}"
#define WEIGHT "\"fc.weight\":{\"dtype\":\"F32\",\"shape\":[3,4],\"data_offsets\":[8,56]}"
#define BIAS "\"fc.bias\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[56,68]}"

static void accepts_foreign_forms(void **state) {
    (void)state;
    static const char *const headers[] = {
        "{" BIAS "," WEIGHT "," SEEN "}",
        "{\n  \"__metadata__\" : {\"format\":\"pt\", \"other\" : \"a\\\"b\\u00e9\\ud83d\\ude00\"},\r\n\t" SEEN
        " , " WEIGHT "," BIAS " }     ",
        "{\"\\u0066c.weight\":{\"data_offsets\":[8,56],\"shape\":[3,4],\"dtype\":\"F32\",\"more\":[1.5e3,{\"a\":null}]}"
        "," BIAS "," SEEN ",\"__metadata__\":{}}",
    };
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
        DlrtModel *m = open_fake(1, 1);
        put("foreign.safetensors", headers[i], 68);
        DlrtStatus status = dlrt_load(m, "foreign.safetensors");
        if (status) print_error("%s\n", dlrt_model_message(m));
        assert_int_equal(status, DLRT_OK);
        dlrt_close(m);
    }
}

typedef struct Bad {
    const char *header;
    size_t data;
    DlrtStatus status;
    const char *text;
} Bad;

static const Bad bad_files[] = {
    {"", 0, DLRT_ERR_FORMAT, "offset 0: the header is said to have 0 bytes"},
    {"[]", 0, DLRT_ERR_FORMAT, "offset 8: expected the object"},
    {"{}", 0, DLRT_ERR_MISMATCH, "fc.weight is missing, and 2 more"},
    {"{} x", 0, DLRT_ERR_FORMAT, "offset 11: something follows"},
    {"{" SEEN "," WEIGHT "}", 56, DLRT_ERR_MISMATCH, "fc.bias is missing"},
    {"{" SEEN "," WEIGHT "," BIAS "}", 67, DLRT_ERR_FORMAT, "fc.bias ends at byte 68 of the data, the file has 67"},
    {"{" SEEN "," WEIGHT "," BIAS "}", 69, DLRT_ERR_FORMAT, "1 bytes follow the last tensor"},
    {"{" SEEN "," WEIGHT "," BIAS "," BIAS "}", 68, DLRT_ERR_FORMAT, "fc.bias is given twice"},
    {"{" SEEN "," WEIGHT ",\"fc.bais\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[56,68]}}", 68,
     DLRT_ERR_MISMATCH, "no tensor fc.bais; the nearest is fc.bias"},
    {"{" SEEN "," WEIGHT ",\"fc.bias\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[52,64]}}", 64,
     DLRT_ERR_FORMAT, "fc.bias begins at byte 52 of the data, the tensor before it ends at 56"},
    {"{" SEEN "," WEIGHT ",\"fc.bias\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[60,72]}}", 72,
     DLRT_ERR_FORMAT, "begins at byte 60"},
    {"{" SEEN "," WEIGHT ",\"fc.bias\":{\"dtype\":\"F16\",\"shape\":[3],\"data_offsets\":[56,62]}}", 62,
     DLRT_ERR_MISMATCH, "fc.bias is F16 [3], the model has F32 [3]"},
    {"{" SEEN "," WEIGHT ",\"fc.bias\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[56,72]}}", 72,
     DLRT_ERR_MISMATCH, "fc.bias is F32 [4], the model has F32 [3]"},
    {"{" SEEN "," WEIGHT ",\"fc.bias\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[56,64]}}", 64,
     DLRT_ERR_FORMAT, "fc.bias of F32 [3] has 8 bytes"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[-3],\"data_offsets\":[0,12]}}", 12, DLRT_ERR_FORMAT, "a negative number"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,12]}}", 12, DLRT_ERR_FORMAT,
     "the shape overflows"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[99999999999999999999],\"data_offsets\":[0,12]}}", 12, DLRT_ERR_FORMAT,
     "too large"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[12,0]}}", 12, DLRT_ERR_FORMAT, "end before they begin"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,9223372036854775807]}}", 12, DLRT_ERR_FORMAT,
     "a ends at byte 9223372036854775807"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[3]}}", 12, DLRT_ERR_FORMAT, "needs dtype, shape and data_offsets"},
    {"{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[3]}}", 12, DLRT_ERR_FORMAT, "a field is given twice"},
    {"{\"a\":{\"dtype\":3}}", 12, DLRT_ERR_FORMAT, "expected a string"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[3.5]}}", 12, DLRT_ERR_FORMAT, "expected a whole number"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,4]}}", 4, DLRT_ERR_MISMATCH,
     "no tensor a"},
    {"{\"a", 0, DLRT_ERR_FORMAT, "a string is not closed"},
    {"{\"a\\x\":1}", 0, DLRT_ERR_FORMAT, "an unknown escape"},
    {"{\"a\\u12\":1}", 0, DLRT_ERR_FORMAT, "four hexadecimal"},
    {"{\"a\\ud800\":1}", 0, DLRT_ERR_FORMAT, "half a surrogate pair"},
    {"{\"a\x01\":1}", 0, DLRT_ERR_FORMAT, "a control character"},
    {"{\"__metadata__\":{\"a\":1}}", 0, DLRT_ERR_FORMAT, "expected a string"},
    {"{\"__metadata__\":{\"dlcc.seed\":\"x\"}}", 0, DLRT_ERR_FORMAT, "a bad value in the metadata"},
    {"{\"a\":{\"m\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}}", 0,
     DLRT_ERR_FORMAT, "nested too deeply"},
};

static void refuses_bad_files(void **state) {
    (void)state;
    Faulty f;
    faulty_init(&f);
    DlrtOptions options = {.seed = 1, .allocator = &f.allocator, .files = &f.files};
    DlrtModel *m;
    assert_int_equal(dlrt_open(&fake_module, &options, &m), DLRT_OK);
    Snapshot before = snapshot(m);
    int blocks = f.live_blocks;
    for (size_t i = 0; i < sizeof bad_files / sizeof *bad_files; i++) {
        put("bad.safetensors", bad_files[i].header, bad_files[i].data);
        DlrtStatus status = dlrt_load(m, "bad.safetensors");
        if (status != bad_files[i].status || !strstr(dlrt_model_message(m), bad_files[i].text))
            print_error("%s\n  %d: %s\n", bad_files[i].header, status, dlrt_model_message(m));
        assert_int_equal(status, bad_files[i].status);
        assert_non_null(strstr(dlrt_model_message(m), bad_files[i].text));
        assert_non_null(strstr(dlrt_model_message(m), "bad.safetensors: offset "));
        Snapshot after = snapshot(m);
        assert_memory_equal(&before, &after, sizeof before);
        assert_int_equal(f.live_blocks, blocks);
        assert_int_equal(f.open_files, 0);
    }
    write_file("bad.safetensors", "abc", 3);
    assert_int_equal(dlrt_load(m, "bad.safetensors"), DLRT_ERR_FORMAT);
    int calls = f.calls;
    write_file("bad.safetensors", "\xff\xff\xff\x04\0\0\0\0{}", 10); /* 80 MB of header in a file of 10 bytes */
    assert_int_equal(dlrt_load(m, "bad.safetensors"), DLRT_ERR_FORMAT);
    assert_int_equal(f.calls, calls); /* not allocated */
    assert_int_equal(dlrt_load(m, "nowhere.safetensors"), DLRT_ERR_IO);
    assert_non_null(strstr(dlrt_model_message(m), "No such file"));
    assert_int_equal(dlrt_load(m, "/tmp"), DLRT_ERR_IO);
    assert_int_equal(dlrt_load(m, NULL), DLRT_ERR_NULL);
    assert_string_equal(dlrt_model_message(m), "the path is null");
    assert_int_equal(dlrt_save(m, "/nowhere/x"), DLRT_ERR_IO);
    dlrt_close(m);
}

/* Every prefix of a good file, and every single damaged byte of a checkpoint. */
static void finds_all_damage(void **state) {
    (void)state;
    char file[4096], copy[4096];
    DlrtModel *m = open_fake(1, 1), *n = open_fake(2, 1);
    DlrtContext *c = new_context(m), *d = new_context(n);
    for (int i = 0; i < 3; i++) assert_int_equal(train_step(c, i), DLRT_OK);
    assert_int_equal(dlrt_checkpoint(c, "c.safetensors", &(DlrtPosition){{1, 2, 3, 4, 5, 6, 7, UINT64_MAX}}), DLRT_OK);
    size_t size = read_file("c.safetensors", file, sizeof file);
    uint64_t header;
    memcpy(&header, file, 8);
    Snapshot before = snapshot(n), after;
    for (size_t cut = 0; cut < size; cut++) {
        write_file("cut.safetensors", file, cut);
        assert_int_equal(dlrt_resume(d, "cut.safetensors", NULL), DLRT_ERR_FORMAT);
    }
    for (size_t at = 0; at < size; at++) {
        memcpy(copy, file, size);
        copy[at] ^= 1;
        write_file("cut.safetensors", copy, size);
        DlrtPosition p;
        DlrtStatus status = dlrt_resume(d, "cut.safetensors", &p);
        if (status) continue;
        /* what a bit may do unseen: white space, and foreign metadata */
        bool harmless = at >= 8 && at < 8 + header && (strchr(" \n\t\r!", copy[at]) || at < 8 + 32);
        if (!harmless) print_error("byte %zu of %zu, %c\n", at, size, file[at]);
        assert_true(harmless);
        assert_int_equal(dlrt_reset(n, 2), DLRT_OK);
    }
    after = snapshot(n);
    assert_memory_equal(&before, &after, sizeof before);
    file[size - 1] ^= 1;
    write_file("cut.safetensors", file, size);
    assert_int_equal(dlrt_resume(d, "cut.safetensors", NULL), DLRT_ERR_CHECKSUM);
    assert_non_null(strstr(dlrt_message(d), "does not match its checksum"));
    dlrt_context_destroy(c);
    dlrt_context_destroy(d);
    dlrt_close(m);
    dlrt_close(n);
}

static void resumes_bit_for_bit(void **state) {
    (void)state;
    DlrtModel *m = open_fake(1, 1), *n = open_fake(99, 3), *other;
    DlrtContext *c = new_context(m), *d = new_context(n);
    float x[4] = {1, 2, 3, 4}, previous[4], z[4], w[4];
    void *args[] = {x}, *results[] = {previous}, *noise[] = {z};
    DlrtPosition position = {{1, 2, 3, 4, 5, 6, 7, UINT64_MAX}}, found = {{0}};
    for (int i = 0; i < 10; i++) assert_int_equal(train_step(c, i), DLRT_OK);
    assert_int_equal(fake_invoke(c, FAKE_REMEMBER, args, results, NULL), DLRT_OK);
    assert_int_equal(fake_invoke(c, FAKE_NOISE, NULL, noise, (int64_t[]){4}), DLRT_OK);
    assert_int_equal(dlrt_checkpoint(c, "c.safetensors", &position), DLRT_OK);
    assert_int_equal(dlrt_resume(d, "c.safetensors", &found), DLRT_OK);
    assert_memory_equal(&position, &found, sizeof found);
    for (int i = 10; i < 20; i++) {
        assert_int_equal(train_step(c, i), DLRT_OK);
        assert_int_equal(train_step(d, i), DLRT_OK);
    }
    Snapshot a = snapshot(m), b = snapshot(n);
    assert_memory_equal(&a, &b, sizeof a);
    assert_int_equal(fake_invoke(d, FAKE_REMEMBER, args, results, NULL), DLRT_OK);
    assert_memory_equal(previous, x, sizeof x);
    assert_int_equal(fake_invoke(c, FAKE_NOISE, NULL, noise, (int64_t[]){4}), DLRT_OK);
    noise[0] = w;
    assert_int_equal(fake_invoke(d, FAKE_NOISE, NULL, noise, (int64_t[]){4}), DLRT_OK);
    assert_memory_equal(z, w, sizeof z);
    /* weights from a checkpoint; a checkpoint from weights; another model */
    assert_int_equal(dlrt_reset(n, 5), DLRT_OK);
    assert_int_equal(dlrt_load(n, "c.safetensors"), DLRT_OK);
    assert_int_equal(dlrt_save(n, "w.safetensors"), DLRT_OK);
    assert_int_equal(dlrt_resume(d, "w.safetensors", NULL), DLRT_ERR_MISMATCH);
    assert_non_null(strstr(dlrt_message(d), "no checkpoint"));
    assert_int_equal(dlrt_open(&fake_other_module, NULL, &other), DLRT_OK);
    assert_int_equal(dlrt_load(other, "w.safetensors"), DLRT_ERR_MISMATCH);
    assert_non_null(strstr(dlrt_model_message(other), "the model has F32 [3, 5]"));
    dlrt_close(other);
    dlrt_context_destroy(c);
    dlrt_context_destroy(d);
    dlrt_close(m);
    dlrt_close(n);
}

/* Killed at any moment, the old checkpoint or the new one is there. */
static void survives_being_killed(void **state) {
    (void)state;
    DlrtModel *m = open_fake(1, 1);
    DlrtContext *c = new_context(m);
    DlrtPosition p = {{0}};
    assert_int_equal(dlrt_checkpoint(c, "kill.safetensors", &p), DLRT_OK);
    for (int round = 0; round < 20; round++) {
        pid_t child = fork();
        if (child == 0) {
            for (uint64_t i = 0;; i++) {
                p.value[0] = i;
                if (train_step(c, (int)i) || dlrt_checkpoint(c, "kill.safetensors", &p)) _exit(1);
            }
        }
        usleep((useconds_t)(1000 + round * 977));
        kill(child, SIGKILL);
        int status;
        waitpid(child, &status, 0);
        assert_true(WIFSIGNALED(status));
        DlrtStatus resumed = dlrt_resume(c, "kill.safetensors", &p);
        if (resumed) print_error("%s\n", dlrt_message(c));
        assert_int_equal(resumed, DLRT_OK);
    }
    dlrt_context_destroy(c);
    dlrt_close(m);
    unlink("kill.safetensors.tmp");
}

static void sums_every_bit(void **state) {
    (void)state;
    unsigned char data[40] = {0};
    for (size_t n = 0; n < sizeof data; n++) {
        uint64_t sum = dlrt_checksum(data, n, 0);
        if (n) assert_true(sum != dlrt_checksum(data, n - 1, 0)); /* zeros count */
        for (size_t bit = 0; bit < n * 8; bit++) {
            data[bit / 8] ^= (unsigned char)(1 << bit % 8);
            assert_true(sum != dlrt_checksum(data, n, 0));
            data[bit / 8] ^= (unsigned char)(1 << bit % 8);
        }
    }
}

static void reorders(void **state) {
    (void)state;
    const int64_t shape[] = {2, 3, 4};
    const int32_t order[] = {2, 0, 1};
    const DlrtVarInfo v = {"v", 0, DLRT_F64, 3, 0, shape, order, 0, 192};
    double logical[24], physical[24], back[24];
    for (int i = 0; i < 24; i++) logical[i] = i;
    dlrt_var_write(&v, (unsigned char *)physical, logical);
    for (int i = 0; i < 2; i++)
        for (int k = 0; k < 3; k++)
            for (int l = 0; l < 4; l++) assert_true(physical[(l * 2 + i) * 3 + k] == logical[(i * 3 + k) * 4 + l]);
    dlrt_var_read(&v, (unsigned char *)physical, back);
    assert_memory_equal(logical, back, sizeof back);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(saves_and_loads),     cmocka_unit_test(accepts_foreign_forms),
                                       cmocka_unit_test(refuses_bad_files),   cmocka_unit_test(finds_all_damage),
                                       cmocka_unit_test(resumes_bit_for_bit), cmocka_unit_test(survives_being_killed),
                                       cmocka_unit_test(sums_every_bit),      cmocka_unit_test(reorders)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
