/* test_call.c - opening, calls and their checks, variables by name. */
#include "support.h"
#include "core.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define EXPECT(c, status, expected, text)                                                                              \
    do {                                                                                                               \
        assert_int_equal(status, expected);                                                                            \
        if (!strstr(dlrt_message(c), text)) print_error("%s\n", dlrt_message(c));                                      \
        assert_non_null(strstr(dlrt_message(c), text));                                                                \
    } while (0)

static void opens(void **state) {
    (void)state;
    char message[200] = "";
    DlrtModel *m = (DlrtModel *)message;
    DlrtOptions options = {.message = message, .message_bytes = sizeof message};
    assert_int_equal(dlrt_open(&fake_foreign_module, &options, &m), DLRT_ERR_CPU);
    assert_null(m);
    assert_non_null(strstr(message, "feature-40"));
    assert_int_equal(dlrt_open(NULL, NULL, &m), DLRT_ERR_NULL);
    DlrtModule old = fake_module;
    old.abi_version = 77;
    assert_int_equal(dlrt_open(&old, NULL, &m), DLRT_ERR_ABI);
    options.threads = -1;
    assert_int_equal(dlrt_open(&fake_module, &options, &m), DLRT_ERR_ARGUMENT);
    options = (DlrtOptions){.seed = 3};
    assert_int_equal(dlrt_open(&fake_module, &options, &m), DLRT_OK);
    assert_string_equal(dlrt_info(m)->name, "Fake");
    assert_string_equal(dlrt_model_message(m), "");
    dlrt_close(m);
    dlrt_close(NULL);
}

static void opens_a_shared_object(void **state) {
    (void)state;
    char message[300];
    DlrtModel *m;
    DlrtOptions options = {.seed = 3, .threads = 2};
    assert_int_equal(dlrt_open_file(FAKE_SO, &options, &m, message, sizeof message), DLRT_OK);
    DlrtModel *linked = open_fake(3, 1);
    DlrtContext *a = new_context(m), *b = new_context(linked);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(train_step(a, i), DLRT_OK);
        assert_int_equal(train_step(b, i), DLRT_OK);
    }
    Snapshot x = snapshot(m), y = snapshot(linked);
    assert_memory_equal(&x, &y, sizeof x);
    assert_ptr_not_equal(m->api, linked->api);
    dlrt_context_destroy(a);
    dlrt_context_destroy(b);
    dlrt_close(m);
    dlrt_close(linked);
    assert_int_equal(dlrt_open_file("/nowhere/x.so", NULL, &m, message, sizeof message), DLRT_ERR_IO);
    assert_non_null(strstr(message, "/nowhere/x.so"));
    assert_int_equal(dlrt_open_file("libm.so.6", NULL, &m, NULL, 0), DLRT_ERR_IO); /* here, not in the system */
}

static void uses_callers_memory(void **state) {
    (void)state;
    Faulty f;
    faulty_init(&f);
    const DlrtModelInfo *info = fake_module.info;
    size_t model_bytes = dlrt_model_bytes(info), context_bytes = dlrt_context_bytes(info, 1);
    unsigned char *memory = aligned_alloc(64, 4096), *work = aligned_alloc(64, context_bytes + 128);
    DlrtModel *m;
    DlrtContext *c;
    DlrtOptions options = {.memory = memory + 1, .memory_bytes = 4000, .allocator = &f.allocator};
    assert_int_equal(dlrt_open(&fake_module, &options, &m), DLRT_ERR_ALIGN);
    options.memory = memory;
    options.memory_bytes = model_bytes - 1;
    assert_int_equal(dlrt_open(&fake_module, &options, &m), DLRT_ERR_SIZE);
    options.memory_bytes = model_bytes;
    memset(memory, 0x5a, 4096);
    memset(work, 0x5a, context_bytes + 128);
    assert_int_equal(dlrt_open(&fake_module, &options, &m), DLRT_OK);
    assert_true(f.live < 1024 + 8 * FAKE_FUNCTIONS); /* the bookkeeping that dlrt.h states */
    long model_live = f.live;
    DlrtContextOptions co = {work + 8, context_bytes};
    assert_int_equal(dlrt_context_create(m, &co, &c), DLRT_ERR_ALIGN);
    co = (DlrtContextOptions){work, context_bytes - 1};
    assert_int_equal(dlrt_context_create(m, &co, &c), DLRT_ERR_SIZE);
    assert_non_null(strstr(dlrt_model_message(m), "needed are"));
    co.memory_bytes = context_bytes;
    assert_int_equal(dlrt_context_create(m, &co, &c), DLRT_OK);
    assert_true(f.live - model_live < 1024 + 36 * 8);
    assert_int_equal(train_step(c, 1), DLRT_OK);
    for (size_t i = model_bytes; i < 4096; i++) assert_int_equal(memory[i], 0x5a);
    for (size_t i = context_bytes; i < context_bytes + 128; i++) assert_int_equal(work[i], 0x5a);
    dlrt_close(m); /* lives on until its last context goes */
    assert_int_equal(train_step(c, 2), DLRT_OK);
    dlrt_context_destroy(c);
    assert_int_equal(f.live_blocks, 0);
    free(memory);
    free(work);
}

/* Without the caller's memory exactly the stated bytes are allocated, beside the bookkeeping. */
static void allocates_what_it_states(void **state) {
    (void)state;
    Faulty f;
    faulty_init(&f);
    DlrtModel *m;
    DlrtContext *c;
    unsigned char *memory = aligned_alloc(64, 4096);
    DlrtOptions options = {.allocator = &f.allocator, .memory = memory, .memory_bytes = 4096};
    assert_int_equal(dlrt_open(&fake_module, &options, &m), DLRT_OK);
    long bookkeeping = f.live;
    dlrt_close(m);
    options.memory = NULL;
    assert_int_equal(dlrt_open(&fake_module, &options, &m), DLRT_OK);
    assert_int_equal(f.live - bookkeeping, dlrt_model_bytes(fake_module.info));
    int calls = f.calls;
    assert_int_equal(dlrt_context_create(m, NULL, &c), DLRT_OK);
    assert_int_equal(f.calls, calls + 2);
    for (int i = 0; i < 10; i++) assert_int_equal(train_step(c, i), DLRT_OK);
    assert_int_equal(f.calls, calls + 2); /* a step allocates nothing */
    dlrt_context_destroy(c);
    dlrt_close(m);
    assert_int_equal(f.live, 0);
    free(memory);
}

static void checks_tensors(void **state) {
    (void)state;
    DlrtModel *m = open_fake(1, 1);
    DlrtContext *c = new_context(m);
    float x[65 * 4] = {0}, prob[65 * 3];
    int32_t label[65];
    DlrtTensor good = tensor(DLRT_F32, x, SHAPE(2, 4)), arg;
    DlrtTensor results[] = {tensor(DLRT_I32, label, SHAPE(65)), tensor(DLRT_F32, prob, SHAPE(65, 3))};
    EXPECT(c, dlrt_call(c, 99, &good, 1, results, 2), DLRT_ERR_ARGUMENT, "99");
    EXPECT(c, dlrt_call(c, FAKE_PREDICT, &good, 2, results, 2), DLRT_ERR_ARGUMENT, "takes 1 arguments");
    EXPECT(c, dlrt_call(c, FAKE_PREDICT, NULL, 1, results, 2), DLRT_ERR_NULL, "arguments");
    arg = good, arg.dtype = DLRT_F64;
    EXPECT(c, dlrt_call(c, FAKE_PREDICT, &arg, 1, results, 2), DLRT_ERR_DTYPE, "x is f64, expected f32");
    arg = good, arg.dtype = 1234;
    EXPECT(c, dlrt_call(c, FAKE_PREDICT, &arg, 1, results, 2), DLRT_ERR_DTYPE, "x is ?");
    arg = good, arg.rank = 1;
    EXPECT(c, dlrt_call(c, FAKE_PREDICT, &arg, 1, results, 2), DLRT_ERR_RANK, "x has rank 1, expected 2");
    arg = good, arg.shape[1] = 5;
    EXPECT(c, dlrt_call(c, FAKE_PREDICT, &arg, 1, results, 2), DLRT_ERR_SHAPE,
           "x has shape [2, 5]; dim 1 is 5, expected 4");
    arg = good, arg.shape[0] = 65, arg.bytes = 0;
    EXPECT(c, dlrt_call(c, FAKE_PREDICT, &arg, 1, results, 2), DLRT_ERR_BOUND, "dim B is 65, allowed are 1..64");
    arg = good, arg.shape[0] = 0;
    EXPECT(c, dlrt_call(c, FAKE_PREDICT, &arg, 1, results, 2), DLRT_ERR_BOUND, "dim B is 0");
    arg = good, arg.shape[0] = -5;
    EXPECT(c, dlrt_call(c, FAKE_PREDICT, &arg, 1, results, 2), DLRT_ERR_SHAPE, "is -5, and none is below 0");
    arg = good, arg.data = NULL;
    EXPECT(c, dlrt_call(c, FAKE_PREDICT, &arg, 1, results, 2), DLRT_ERR_NULL, "x is null");
    arg = good, arg.data = (char *)x + 1;
    EXPECT(c, dlrt_call(c, FAKE_PREDICT, &arg, 1, results, 2), DLRT_ERR_ALIGN, "not aligned");
    arg = good, arg.bytes = 31;
    EXPECT(c, dlrt_call(c, FAKE_PREDICT, &arg, 1, results, 2), DLRT_ERR_SIZE, "room for 31 bytes, needed are 32");
    results[1].bytes = 23;
    EXPECT(c, dlrt_call(c, FAKE_PREDICT, &good, 1, results, 2), DLRT_ERR_SIZE, "prob");
    results[1].bytes = 24;
    results[0].rank = 7;
    assert_int_equal(dlrt_call(c, FAKE_PREDICT, &good, 1, results, 2), DLRT_OK);
    assert_int_equal(results[0].rank, 1);
    assert_int_equal(results[0].shape[0], 2);
    assert_int_equal(results[1].shape[1], 3);
    dlrt_context_destroy(c);
    dlrt_close(m);
}

static void solves_dims(void **state) {
    (void)state;
    DlrtModel *m = open_fake(1, 1);
    DlrtContext *c = new_context(m);
    float a[9] = {10}, b[40], d[8], s[40], z[4], again[4];
    for (int i = 0; i < 40; i++) b[i] = (float)i;
    DlrtTensor args[] = {tensor(DLRT_F32, a, SHAPE(5)), tensor(DLRT_F32, b, SHAPE(2, 3)),
                         tensor(DLRT_F32, d, SHAPE(3))};
    DlrtTensor result = tensor(DLRT_F32, s, SHAPE(40));
    assert_int_equal(dlrt_call(c, FAKE_PAIR, args, 3, &result, 1), DLRT_OK);
    assert_int_equal(result.shape[0], 6);
    assert_true(s[5] == 15);
    args[0].shape[0] = 6; /* 2*N + 1 */
    EXPECT(c, dlrt_call(c, FAKE_PAIR, args, 3, &result, 1), DLRT_ERR_SHAPE, "N a whole number");
    assert_null(strstr(dlrt_message(c), "-1"));
    args[0].shape[0] = INT64_MAX;
    args[0].bytes = 0;
    EXPECT(c, dlrt_call(c, FAKE_PAIR, args, 3, &result, 1), DLRT_ERR_BOUND, "dim N");
    args[0].shape[0] = 7;
    EXPECT(c, dlrt_call(c, FAKE_PAIR, args, 3, &result, 1), DLRT_ERR_SHAPE,
           "b has shape [2, 3]; dim 0 is 2, expected 3 (N = 3 from a)");
    args[0].shape[0] = 5;
    args[2].shape[0] = 4;
    EXPECT(c, dlrt_call(c, FAKE_PAIR, args, 3, &result, 1), DLRT_ERR_SHAPE,
           "c has shape [4]; dim 0 is 4, expected 3 (M = 3 from b)");
    args[0] = tensor(DLRT_F32, a, SHAPE(17));
    args[1] = tensor(DLRT_F32, b, SHAPE(8, 6));
    args[2] = tensor(DLRT_F32, d, SHAPE(6));
    args[0].bytes = args[1].bytes = 0;
    EXPECT(c, dlrt_call(c, FAKE_PAIR, args, 3, &result, 1), DLRT_ERR_BOUND, "dim S is 48, allowed are 0..40");
    args[0] = tensor(DLRT_F32, a, SHAPE(5)); /* empty tensors may be null */
    args[1] = tensor(DLRT_F32, NULL, SHAPE(2, 0));
    args[2] = tensor(DLRT_F32, NULL, SHAPE(0));
    assert_int_equal(dlrt_call(c, FAKE_PAIR, args, 3, &result, 1), DLRT_OK);
    assert_int_equal(result.shape[0], 0);
    result = tensor(DLRT_F32, z, SHAPE(4)); /* no argument: the result's shape says it */
    assert_int_equal(dlrt_call(c, FAKE_NOISE, NULL, 0, &result, 1), DLRT_OK);
    assert_int_equal(result.shape[0], 4);
    result.data = again;
    assert_int_equal(dlrt_call(c, FAKE_NOISE, NULL, 0, &result, 1), DLRT_OK);
    assert_memory_not_equal(z, again, sizeof z); /* the call count has moved on */
    assert_int_equal(dlrt_reset(m, 1), DLRT_OK);
    assert_int_equal(dlrt_call(c, FAKE_NOISE, NULL, 0, &result, 1), DLRT_OK);
    assert_memory_equal(z, again, sizeof z);
    result.rank = 0;
    EXPECT(c, dlrt_call(c, FAKE_NOISE, NULL, 0, &result, 1), DLRT_ERR_SHAPE, "no argument fixes dim B");
    dlrt_context_destroy(c);
    dlrt_close(m);
}

static void reports_faults(void **state) {
    (void)state;
    DlrtModel *m = open_fake(1, 1);
    DlrtContext *c = new_context(m);
    float x[20 * 4] = {0}, rate = 1, loss, zero = 0;
    int32_t y[20] = {0}, correct;
    y[17] = 12;
    Snapshot before = snapshot(m), after;
    void *args[] = {x, y, &rate}, *results[] = {&loss, &correct};
    EXPECT(c, fake_invoke(c, FAKE_TRAIN, args, results, (int64_t[]){20}), DLRT_ERR_INDEX,
           "y[17] is 12, allowed are 0..2");
    after = snapshot(m);
    assert_memory_equal(&before, &after, sizeof before);
    assert_int_equal(((Model *)m)->counts[FAKE_TRAIN], 0);
    void *need[] = {&zero};
    EXPECT(c, fake_invoke(c, FAKE_NEED, need, NULL, NULL), DLRT_ERR_REQUIRE, "x > 0");
    assert_int_equal(fake_invoke(NULL, 0, NULL, NULL, NULL), DLRT_ERR_NULL);
    EXPECT(c, dlrt_invoke(fake_other_module.info, c, FAKE_TRAIN, args, results, (int64_t[]){20}), DLRT_ERR_MISMATCH, "of model");
    EXPECT(c, fake_invoke(c, FAKE_TRAIN, NULL, results, (int64_t[]){20}), DLRT_ERR_NULL, "arguments");
    EXPECT(c, fake_invoke(c, FAKE_TRAIN, args, results, NULL), DLRT_ERR_NULL, "dims");
    EXPECT(c, fake_invoke(c, FAKE_TRAIN, args, results, (int64_t[]){65}), DLRT_ERR_BOUND, "dim B is 65");
    EXPECT(c, fake_invoke(c, -1, args, results, (int64_t[]){20}), DLRT_ERR_ARGUMENT, "-1");
    results[1] = NULL;
    EXPECT(c, fake_invoke(c, FAKE_TRAIN, args, results, (int64_t[]){20}), DLRT_ERR_NULL, "correct is null");
    dlrt_context_destroy(c);
    dlrt_close(m);
}

static void refuses_overlap(void **state) {
    (void)state;
    DlrtModel *m = open_fake(1, 1);
    DlrtContext *c = new_context(m);
    float block[64] = {0};
    int32_t label[2];
    int64_t dims[] = {2};
    void *args[] = {block}, *results[] = {label, block + 7};
    EXPECT(c, fake_invoke(c, FAKE_PREDICT, args, results, dims), DLRT_ERR_OVERLAP, "result prob overlaps x");
    results[1] = block + 8;
    assert_int_equal(fake_invoke(c, FAKE_PREDICT, args, results, dims), DLRT_OK);
    results[0] = block + 13;
    EXPECT(c, fake_invoke(c, FAKE_PREDICT, args, results, dims), DLRT_ERR_OVERLAP, "result prob overlaps label");
    results[0] = label;
    results[1] = ((Model *)m)->weights;
    EXPECT(c, fake_invoke(c, FAKE_PREDICT, args, results, dims), DLRT_ERR_OVERLAP, "the model's weights");
    results[1] = ((Model *)m)->slots + 4;
    EXPECT(c, fake_invoke(c, FAKE_PREDICT, args, results, dims), DLRT_ERR_OVERLAP, "the model's slots");
    results[1] = ((Context *)c)->cache;
    EXPECT(c, fake_invoke(c, FAKE_PREDICT, args, results, dims), DLRT_ERR_OVERLAP, "the context's memory");
    dlrt_context_destroy(c);
    dlrt_close(m);
}

static void keeps_variables(void **state) {
    (void)state;
    DlrtModel *m = open_fake(5, 1), *same = open_fake(5, 1), *other = open_fake(6, 1);
    Snapshot a = snapshot(m), b = snapshot(same), d = snapshot(other);
    assert_memory_equal(&a, &b, sizeof a);
    assert_memory_not_equal(a.weight, d.weight, sizeof a.weight);
    float w[3][4], bias[3] = {1, 2, 3};
    for (int o = 0; o < 3; o++)
        for (int i = 0; i < 4; i++) w[o][i] = (float)(o * 10 + i);
    assert_int_equal(dlrt_set(m, "fc.weight", w, sizeof w), DLRT_OK);
    assert_int_equal(dlrt_set(m, "fc.bias", bias, sizeof bias), DLRT_OK);
    const float *physical = (const float *)(void *)((Model *)m)->weights; /* stored as [4][3] */
    assert_true(physical[1 * 3 + 2] == 21);
    a = snapshot(m);
    assert_memory_equal(a.weight, w, sizeof w);
    assert_int_equal(dlrt_set(m, "fc.weight", w, 47), DLRT_ERR_SIZE);
    assert_non_null(strstr(dlrt_model_message(m), "fc.weight, f32 [3, 4], has 48 bytes; given are 47"));
    assert_int_equal(dlrt_get(m, "fc.wieght", w, sizeof w), DLRT_ERR_NAME);
    assert_non_null(strstr(dlrt_model_message(m), "the nearest is fc.weight"));
    assert_int_equal(dlrt_get(m, "memory", w, 16), DLRT_ERR_NAME);
    assert_int_equal(dlrt_get(m, NULL, w, 16), DLRT_ERR_NULL);
    assert_string_equal(dlrt_model_message(m), "the name of the variable is null");
    assert_int_equal(dlrt_set(m, "fc.weight", NULL, 48), DLRT_ERR_NULL);
    assert_string_equal(dlrt_model_message(m), "the place of the values is null");
    assert_int_equal(dlrt_reset(m, 6), DLRT_OK);
    a = snapshot(m);
    assert_memory_equal(&a, &d, sizeof a);
    assert_string_equal(dlrt_status_text(m, DLRT_ERR_BUSY), "the context or the model is in use");
    assert_string_equal(dlrt_status_text(m, (DlrtStatus)1000), "unknown status");
    dlrt_close(m);
    dlrt_close(same);
    dlrt_close(other);
}

static void caches_belong_to_contexts(void **state) {
    (void)state;
    DlrtModel *m = open_fake(5, 1);
    DlrtContext *a = new_context(m), *b = new_context(m);
    float x[4] = {1, 2, 3, 4}, previous[4], initial[4] = {7, 7, 7, 7};
    void *args[] = {x}, *results[] = {previous};
    assert_int_equal(fake_invoke(a, FAKE_REMEMBER, args, results, NULL), DLRT_OK);
    assert_memory_equal(previous, initial, sizeof x);
    assert_int_equal(fake_invoke(a, FAKE_REMEMBER, args, results, NULL), DLRT_OK);
    assert_memory_equal(previous, x, sizeof x);
    assert_int_equal(fake_invoke(b, FAKE_REMEMBER, args, results, NULL), DLRT_OK);
    assert_memory_equal(previous, initial, sizeof x);
    dlrt_context_destroy(a);
    dlrt_context_destroy(b);
    dlrt_close(m);
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* The whole of a typed call of the cheapest entry, and of one by reflection. */
static void checks_fast(void **state) {
    (void)state;
    DlrtModel *m = open_fake(5, 1);
    DlrtContext *c = new_context(m);
    float a[5], b[6], d[3], s[40], one = 1;
    void *args[] = {a, b, d}, *results[] = {s}, *need[] = {&one};
    int64_t dims[] = {2, 3};
    double typed = 1e9, least = 1e9;
    for (int round = 0; round < 20; round++) {
        double start = now();
        for (int i = 0; i < 20000; i++) fake_invoke(c, FAKE_PAIR, args, results, dims);
        double t = (now() - start) / 20000;
        if (t < typed) typed = t;
        start = now();
        for (int i = 0; i < 20000; i++) fake_invoke(c, FAKE_NEED, need, NULL, NULL);
        t = (now() - start) / 20000;
        if (t < least) least = t;
    }
    print_message("a typed call costs %.1f ns with 3 dims and 4 tensors, %.1f ns with one scalar\n", typed, least);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && defined(__OPTIMIZE__) && defined(__x86_64__)
    assert_true(typed < 100);
#endif
    dlrt_context_destroy(c);
    dlrt_close(m);
}

static void speaks(void **state) {
    (void)state;
    char text[16];
    Message m = dlrt_message_in(text, sizeof text);
    dlrt_say(&m, "%s %d %lld %zu %llx%% %.*s", "a", -5, (long long)INT64_MIN, (size_t)7, 0xabull, 2, "xyz");
    assert_int_equal(m.length, strlen("a -5 -9223372036854775808 7 ab% xy"));
    assert_string_equal(text, "a -5 -922337203");
    m = dlrt_message_in(NULL, 0);
    dlrt_say(&m, "%u", 12u);
    assert_int_equal(m.length, 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(opens),
                                       cmocka_unit_test(opens_a_shared_object),
                                       cmocka_unit_test(uses_callers_memory),
                                       cmocka_unit_test(allocates_what_it_states),
                                       cmocka_unit_test(checks_tensors),
                                       cmocka_unit_test(solves_dims),
                                       cmocka_unit_test(reports_faults),
                                       cmocka_unit_test(refuses_overlap),
                                       cmocka_unit_test(keeps_variables),
                                       cmocka_unit_test(caches_belong_to_contexts),
                                       cmocka_unit_test(checks_fast),
                                       cmocka_unit_test(speaks)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
