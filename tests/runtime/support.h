/* support.h - tables that count and fail, and calls in few words. */
#ifndef SUPPORT_H
#define SUPPORT_H
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdbool.h>
#include <cmocka.h>
#include "fake_model.h"

/* An allocator and a file table over the C library which fail the Nth call (0: none) and count. */
typedef struct Faulty {
    DlrtAllocator allocator;
    DlrtFiles files, real;
    int calls, fail_at; /* of the kind that fails */
    long live;          /* bytes allocated now */
    int live_blocks, open_files;
    bool fail_files; /* else allocations */
    char trace[256]; /* a letter for each file operation: o w s c r d f */
    int traced;
} Faulty;
void faulty_init(Faulty *f);

DlrtTensor tensor(int32_t dtype, void *data, int rank, const int64_t *shape);
#define SHAPE(...)                                                                                                     \
    (sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (const int64_t[]) {                                          \
        __VA_ARGS__                                                                                                    \
    }
#define SCALAR 0, NULL

/* Opens the fake model with a seed; fails the test if it cannot. */
DlrtModel *open_fake(uint64_t seed, int threads);
DlrtContext *new_context(DlrtModel *m);
/* A training step on 8 rows that depend on n. */
DlrtStatus train_step(DlrtContext *c, int n);
/* All variables of the model, for comparisons of bytes. */
typedef struct Snapshot {
    float weight[12], bias[3], momentum[12], bias_momentum[3];
    int64_t seen, step;
} Snapshot;
Snapshot snapshot(DlrtModel *m);

size_t read_file(const char *path, char *to, size_t room);
void write_file(const char *path, const void *from, size_t bytes);
bool file_exists(const char *path);
#endif
