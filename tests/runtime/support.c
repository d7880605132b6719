/* support.c - see support.h */
#include "support.h"
#include "core.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool fails(Faulty *f, bool file) {
    if (file != f->fail_files) return false;
    return ++f->calls == f->fail_at;
}

static void note(Faulty *f, char letter) {
    if (f->traced && f->trace[f->traced - 1] == letter) return; /* once for several in a row */
    if (f->traced < (int)sizeof f->trace - 1) f->trace[f->traced++] = letter;
}

static void *faulty_allocate(void *user, size_t bytes, size_t alignment) {
    Faulty *f = user;
    assert_true(bytes > 0);
    if (fails(f, false)) return NULL;
    void *p = aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
    f->live += (long)bytes;
    f->live_blocks++;
    return p;
}

static void faulty_release(void *user, void *memory, size_t bytes) {
    Faulty *f = user;
    assert_non_null(memory);
    f->live -= (long)bytes;
    f->live_blocks--;
    free(memory);
}

static int faulty_open(void *user, const char *path, int write) {
    Faulty *f = user;
    note(f, 'o');
    if (fails(f, true)) return errno = EACCES, -1;
    int handle = f->real.open(NULL, path, write);
    if (handle >= 0) f->open_files++;
    return handle;
}

static int64_t faulty_size(void *user, int handle) {
    Faulty *f = user;
    return fails(f, true) ? -1 : f->real.size(NULL, handle);
}

static int64_t faulty_read(void *user, int handle, void *to, size_t bytes) {
    Faulty *f = user;
    if (fails(f, true)) return errno = EIO, -1;
    return f->real.read(NULL, handle, to, bytes > 7 ? bytes / 2 : bytes); /* short reads are allowed */
}

static int64_t faulty_write(void *user, int handle, const void *from, size_t bytes) {
    Faulty *f = user;
    note(f, 'w');
    if (fails(f, true)) return errno = ENOSPC, -1;
    return f->real.write(NULL, handle, from, bytes > 7 ? bytes / 2 : bytes);
}

static int faulty_sync(void *user, int handle) {
    Faulty *f = user;
    note(f, 's');
    return fails(f, true) ? -1 : f->real.sync(NULL, handle);
}

static int faulty_close(void *user, int handle) {
    Faulty *f = user;
    note(f, 'c');
    bool bad = fails(f, true);
    f->open_files--;
    return f->real.close(NULL, handle) || bad ? -1 : 0;
}

static int faulty_rename(void *user, const char *from, const char *to) {
    Faulty *f = user;
    note(f, 'r');
    return fails(f, true) ? -1 : f->real.rename(NULL, from, to);
}

static int faulty_remove(void *user, const char *path) {
    Faulty *f = user;
    note(f, 'd');
    return f->real.remove(NULL, path); /* cannot fail twice */
}

static int faulty_sync_folder(void *user, const char *path) {
    Faulty *f = user;
    note(f, 'f');
    return fails(f, true) ? -1 : f->real.sync_folder(NULL, path);
}

void faulty_init(Faulty *f) {
    *f = (Faulty){.real = dlrt_files(NULL)};
    f->allocator = (DlrtAllocator){f, faulty_allocate, faulty_release};
    f->files = (DlrtFiles){f,           faulty_open,  faulty_size,   faulty_read,   faulty_write,
                           faulty_sync, faulty_close, faulty_rename, faulty_remove, faulty_sync_folder};
}

DlrtTensor tensor(int32_t dtype, void *data, int rank, const int64_t *shape) {
    DlrtTensor t = {.data = data, .dtype = dtype, .rank = rank};
    t.bytes = (size_t)dlrt_dtype_bytes(dtype);
    for (int d = 0; d < rank; d++) t.shape[d] = shape[d], t.bytes *= (size_t)shape[d];
    return t;
}

DlrtModel *open_fake(uint64_t seed, int threads) {
    DlrtModel *m;
    DlrtOptions options = {.seed = seed, .threads = threads};
    assert_int_equal(dlrt_open(&fake_module, &options, &m), DLRT_OK);
    return m;
}

DlrtContext *new_context(DlrtModel *m) {
    DlrtContext *c;
    assert_int_equal(dlrt_context_create(m, NULL, &c), DLRT_OK);
    return c;
}

DlrtStatus train_step(DlrtContext *c, int n) {
    float x[8][4], rate = 0.1f, loss;
    int32_t y[8], correct;
    for (int b = 0; b < 8; b++) {
        y[b] = (b + n) % 3;
        for (int i = 0; i < 4; i++) x[b][i] = (float)((b * 7 + i * 3 + n * 5) % 11) / 11 + (float)(i == y[b]);
    }
    DlrtTensor args[] = {tensor(DLRT_F32, x, SHAPE(8, 4)), tensor(DLRT_I32, y, SHAPE(8)),
                         tensor(DLRT_F32, &rate, SCALAR)};
    DlrtTensor results[] = {tensor(DLRT_F32, &loss, SCALAR), tensor(DLRT_I32, &correct, SCALAR)};
    return dlrt_call(c, FAKE_TRAIN, args, 3, results, 2);
}

Snapshot snapshot(DlrtModel *m) {
    Snapshot s;
    memset(&s, 0, sizeof s);
    assert_int_equal(dlrt_get(m, "fc.weight", s.weight, sizeof s.weight), DLRT_OK);
    assert_int_equal(dlrt_get(m, "fc.bias", s.bias, sizeof s.bias), DLRT_OK);
    assert_int_equal(dlrt_get(m, "seen", &s.seen, sizeof s.seen), DLRT_OK);
    assert_int_equal(dlrt_get(m, "train.sgd.fc.weight.momentum", s.momentum, sizeof s.momentum), DLRT_OK);
    assert_int_equal(dlrt_get(m, "train.sgd.fc.bias.momentum", s.bias_momentum, sizeof s.bias_momentum), DLRT_OK);
    assert_int_equal(dlrt_get(m, "train.sgd.step", &s.step, sizeof s.step), DLRT_OK);
    return s;
}

size_t read_file(const char *path, char *to, size_t room) {
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    size_t n = fread(to, 1, room, f);
    fclose(f);
    return n;
}

void write_file(const char *path, const void *from, size_t bytes) {
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(from, 1, bytes, f), bytes);
    fclose(f);
}

bool file_exists(const char *path) {
    return access(path, F_OK) == 0;
}
