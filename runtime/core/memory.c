/* memory.c - the way to memory: the caller's table, or the C library's.
 *
 * In: a table that may be null or empty. Out: one that can be called. Everything the runtime keeps is
 * allocated here, aligned to a cache line, and released with the size it was asked for.
 */
#include "core.h"
#include <stdlib.h>

static void *default_allocate(void *user, size_t bytes, size_t alignment) {
    (void)user;
    if (bytes > SIZE_MAX - alignment) return NULL;
    return aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
}

static void default_release(void *user, void *memory, size_t bytes) {
    (void)user, (void)bytes;
    free(memory);
}

DlrtAllocator dlrt_allocator(const DlrtAllocator *given) {
    if (given && given->allocate && given->release) return *given;
    return (DlrtAllocator){NULL, default_allocate, default_release};
}

/* Null when there is no memory. Never call it for 0 bytes. */
void *dlrt_allocate(const DlrtAllocator *a, size_t bytes) {
    return a->allocate(a->user, bytes, DLRT_ALIGN);
}

void dlrt_release(const DlrtAllocator *a, void *memory, size_t bytes) {
    if (memory) a->release(a->user, memory, bytes);
}

DlrtStatus dlrt_out_of_memory(Message *m, int64_t bytes) {
    dlrt_say(m, "out of memory: %lld bytes could not be allocated", (long long)bytes);
    return DLRT_ERR_MEMORY;
}
