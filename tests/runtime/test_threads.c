/* test_threads.c - the pool, several contexts and threads, fork. Clean under ThreadSanitizer. */
#include "support.h"
#include "core.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void same_bits_for_all_thread_counts(void **state) {
    (void)state;
    static const int counts[] = {1, 2, 3, 4, 7};
    Snapshot first = {0};
    float sums[5], *x = malloc(sizeof(float) << 20);
    for (int i = 0; i < 1 << 20; i++) x[i] = (float)(i % 1013) * 0.37f;
    for (int k = 0; k < 5; k++) {
        DlrtModel *m = open_fake(11, counts[k]);
        DlrtContext *c = new_context(m);
        for (int i = 0; i < 50; i++) assert_int_equal(train_step(c, i), DLRT_OK);
        void *args[] = {x}, *results[] = {&sums[k]};
        for (int i = 0; i < 20; i++)
            assert_int_equal(fake_invoke(c, FAKE_TOTAL, args, results, (int64_t[]){(1 << 20) - 5}), DLRT_OK);
        usleep(2000); /* long enough for workers to park */
        assert_int_equal(fake_invoke(c, FAKE_TOTAL, args, results, (int64_t[]){(1 << 20) - 5}), DLRT_OK);
        Snapshot s = snapshot(m);
        if (!k) first = s;
        assert_memory_equal(&s, &first, sizeof s);
        assert_memory_equal(&sums[k], &sums[0], sizeof *sums);
        dlrt_context_destroy(c);
        dlrt_close(m);
    }
    free(x);
}

/* Every item is done once, by a worker in range, whatever the number of items. */
typedef struct Marks {
    _Atomic int done[1000];
    _Atomic int bad;
    int threads;
} Marks;

static void mark(const DlrtFrame *frame, const void *kernel_args, int64_t begin, int64_t end, int32_t worker) {
    Marks *marks = *(Marks *const *)kernel_args;
    (void)frame;
    if (worker < 0 || worker >= marks->threads || begin >= end) marks->bad = 1;
    for (int64_t i = begin; i < end; i++) marks->done[i]++;
}

static void does_every_item_once(void **state) {
    (void)state;
    for (int threads = 1; threads <= 5; threads++) {
        DlrtModel *m = open_fake(1, threads);
        DlrtFrame frame = {.pool = ((Model *)m)->pool, .threads = threads};
        for (int items = 0; items < 1000; items += items < 20 ? 1 : 173) {
            Marks marks = {.threads = threads}, *p = &marks;
            dlrt_parallel(&frame, mark, &p, items);
            assert_int_equal(marks.bad, 0);
            for (int i = 0; i < 1000; i++) assert_int_equal(marks.done[i], i < items);
        }
        dlrt_close(m);
    }
}

typedef struct Job {
    DlrtModel *m;
    int failed;
    int seed;
} Job;

static void *predict_often(void *argument) {
    Job *job = argument;
    DlrtContext *c;
    float x[8] = {1, 2, 3, 4, (float)job->seed, 6, 7, 8}, prob[6], first[6] = {0};
    int32_t label[2];
    void *args[] = {x}, *results[] = {label, prob};
    if (dlrt_context_create(job->m, NULL, &c)) return job->failed = 1, NULL;
    for (int i = 0; i < 2000; i++) {
        if (fake_invoke(c, FAKE_PREDICT, args, results, (int64_t[]){2})) job->failed = 2;
        if (!i) memcpy(first, prob, sizeof first);
        if (memcmp(first, prob, sizeof first)) job->failed = 3;
    }
    dlrt_context_destroy(c);
    return NULL;
}

/* Contexts in several threads share weights, and the one pool between them. */
static void contexts_run_at_once(void **state) {
    (void)state;
    DlrtModel *m = open_fake(4, 3);
    pthread_t threads[4];
    Job jobs[4];
    for (int i = 0; i < 4; i++) {
        jobs[i] = (Job){m, 0, i};
        pthread_create(&threads[i], NULL, predict_often, &jobs[i]);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(jobs[i].failed, 0);
    }
    dlrt_close(m);
}

static void *write_often(void *argument) {
    Job *job = argument;
    DlrtContext *c = new_context(job->m);
    int done = 0;
    while (done < 300) {
        DlrtStatus status = train_step(c, done);
        if (status == DLRT_OK)
            done++;
        else if (status != DLRT_ERR_BUSY)
            job->failed = 1, done = 300;
    }
    dlrt_context_destroy(c);
    return NULL;
}

static void *read_often(void *argument) {
    Job *job = argument;
    float w[12];
    for (int i = 0; i < 3000; i++) {
        DlrtStatus status = dlrt_get(job->m, "fc.weight", w, sizeof w);
        if (status && status != DLRT_ERR_BUSY) job->failed = 1;
    }
    return NULL;
}

/* Writers and readers that collide get BUSY, and never half a state. */
static void writers_exclude(void **state) {
    (void)state;
    DlrtModel *m = open_fake(4, 1);
    pthread_t threads[4];
    Job jobs[4] = {{m, 0, 0}, {m, 0, 1}, {m, 0, 2}, {m, 0, 3}};
    for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, i < 2 ? write_often : read_often, &jobs[i]);
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(jobs[i].failed, 0);
    }
    int64_t step;
    assert_int_equal(dlrt_get(m, "train.sgd.step", &step, 8), DLRT_OK);
    assert_int_equal(step, 600);
    dlrt_close(m);
}

/* ---- what answers BUSY while a call is inside, seen from that very call */

typedef struct Inside {
    DlrtModel *m;
    DlrtContext *own, *other;
    DlrtStatus same_context, reading, writing, get, set, reset, save, load, checkpoint, resume, create;
} Inside;

static void look_around(void *user) {
    Inside *in = user;
    float x[4] = {0}, prob[3], w[12];
    int32_t label[1];
    void *args[] = {x}, *results[] = {label, prob};
    DlrtContext *c = NULL;
    in->same_context = fake_invoke(in->own, FAKE_PREDICT, args, results, (int64_t[]){1});
    in->reading = fake_invoke(in->other, FAKE_PREDICT, args, results, (int64_t[]){1});
    in->writing = train_step(in->other, 0);
    in->get = dlrt_get(in->m, "fc.weight", w, sizeof w);
    in->set = in->get ? DLRT_ERR_BUSY : dlrt_set(in->m, "fc.weight", w, sizeof w);
    in->reset = dlrt_reset(in->m, 1);
    in->save = dlrt_save(in->m, "busy.safetensors");
    in->load = dlrt_load(in->m, "busy.safetensors");
    in->checkpoint = dlrt_checkpoint(in->own, "busy.safetensors", NULL);
    in->resume = dlrt_resume(in->other, "busy.safetensors", NULL);
    in->create = dlrt_context_create(in->m, NULL, &c);
    dlrt_context_destroy(c);
}

static Inside look(int32_t function) {
    Inside in = {.m = open_fake(4, 1)};
    FakeHook hook = {look_around, &in};
    int64_t h[2] = {(intptr_t)&hook, 0};
    int32_t threads;
    void *args[] = {h}, *results[] = {&threads};
    in.own = new_context(in.m);
    in.other = new_context(in.m);
    assert_int_equal(fake_invoke(in.own, function, args, results, NULL), DLRT_OK);
    assert_int_equal(train_step(in.own, 0), DLRT_OK); /* and all is free again */
    dlrt_context_destroy(in.own);
    dlrt_context_destroy(in.other);
    dlrt_close(in.m);
    return in;
}

static void answers_busy(void **state) {
    (void)state;
    Inside reader = look(FAKE_HOOK), writer = look(FAKE_HOOK_WRITES);
    const DlrtStatus busy = DLRT_ERR_BUSY;
    assert_int_equal(reader.same_context, busy);
    assert_int_equal(reader.reading, DLRT_OK);
    assert_int_equal(reader.writing, busy);
    assert_int_equal(reader.get, DLRT_OK);
    assert_int_equal(reader.set, busy);
    assert_int_equal(reader.reset, busy);
    assert_int_equal(reader.save, DLRT_OK);
    assert_int_equal(reader.load, busy);
    assert_int_equal(reader.checkpoint, busy); /* its own context is in use */
    assert_int_equal(reader.resume, busy);
    assert_int_equal(reader.create, DLRT_OK);
    assert_int_equal(writer.same_context, busy);
    assert_int_equal(writer.reading, busy);
    assert_int_equal(writer.writing, busy);
    assert_int_equal(writer.get, busy);
    assert_int_equal(writer.set, busy);
    assert_int_equal(writer.save, busy);
    assert_int_equal(writer.load, busy);
    assert_int_equal(writer.resume, busy);
    assert_int_equal(writer.create, DLRT_OK);
}

static void works_after_fork(void **state) {
    (void)state;
    DlrtModel *m = open_fake(4, 4), *reference = open_fake(4, 4);
    DlrtContext *c = new_context(m), *d = new_context(reference);
    for (int i = 0; i < 5; i++) assert_int_equal(train_step(c, i), DLRT_OK);
    pid_t child = fork();
    if (child == 0) {
        int bad = 0;
        for (int i = 5; i < 10; i++) bad |= train_step(c, i) != DLRT_OK;
        Snapshot s = snapshot(m);
        FILE *f = fopen("child.bin", "wb");
        bad |= !f || fwrite(&s, sizeof s, 1, f) != 1 || fclose(f);
        int64_t h[2] = {0, 0};
        int32_t threads = 0;
        void *args[] = {h}, *results[] = {&threads};
        bad |= fake_invoke(c, FAKE_HOOK, args, results, NULL) != DLRT_OK || threads != 1;
        dlrt_context_destroy(c);
        dlrt_close(m);
        _exit(bad);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    for (int i = 0; i < 10; i++) assert_int_equal(train_step(d, i), DLRT_OK);
    Snapshot expected = snapshot(reference), found;
    assert_int_equal(read_file("child.bin", (char *)&found, sizeof found), sizeof found);
    assert_memory_equal(&expected, &found, sizeof expected);
    assert_int_equal(train_step(c, 5), DLRT_OK); /* the parent's pool is as it was */
    dlrt_context_destroy(c);
    dlrt_context_destroy(d);
    dlrt_close(m);
    dlrt_close(reference);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(same_bits_for_all_thread_counts),
                                       cmocka_unit_test(does_every_item_once),
                                       cmocka_unit_test(contexts_run_at_once),
                                       cmocka_unit_test(writers_exclude),
                                       cmocka_unit_test(answers_busy),
                                       cmocka_unit_test(works_after_fork)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
