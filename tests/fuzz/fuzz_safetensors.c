/* fuzz_safetensors.c - libFuzzer target: the bytes are a file, served through the file table; loading and resuming
 * must answer with a status, and on any failure leave the model as it was. */
#include "core.h"
#include "fake_model.h"
#include <stdlib.h>
#include <string.h>

typedef struct Memory {
    const uint8_t *data;
    size_t size, at;
} Memory;

static int open_memory(void *user, const char *path, int write) {
    ((Memory *)user)->at = 0;
    return (void)path, write ? -1 : 3;
}
static int64_t memory_size(void *user, int handle) {
    return (void)handle, (int64_t)((Memory *)user)->size;
}
static int64_t read_memory(void *user, int handle, void *to, size_t bytes) {
    Memory *m = user;
    size_t n = m->size - m->at < bytes ? m->size - m->at : bytes;
    memcpy(to, m->data + m->at, n);
    m->at += n;
    return (void)handle, (int64_t)n;
}
static int close_memory(void *user, int handle) {
    return (void)user, (void)handle, 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    Memory memory = {data, size, 0};
    DlrtFiles files = {
        .user = &memory, .open = open_memory, .size = memory_size, .read = read_memory, .close = close_memory};
    DlrtOptions options = {.seed = 1, .files = &files};
    DlrtModel *m;
    DlrtContext *c;
    if (dlrt_open(&fake_module, &options, &m)) abort();
    if (dlrt_context_create(m, NULL, &c)) abort();
    Model *model = (Model *)m;
    unsigned char before[512];
    size_t bytes = dlrt_model_bytes(m->info);
    memcpy(before, model->weights, bytes);
    if (dlrt_load(m, "fuzz") != DLRT_OK && (memcmp(before, model->weights, bytes) || !dlrt_model_message(m)[0]))
        abort();
    memcpy(before, model->weights, bytes);
    if (dlrt_resume(c, "fuzz", NULL) != DLRT_OK && (memcmp(before, model->weights, bytes) || !dlrt_message(c)[0]))
        abort();
    dlrt_context_destroy(c);
    dlrt_close(m);
    return 0;
}
