/* Arena: see arena.h. Chunks double in size, so that a compilation makes a few dozen system calls. */
#include "base/arena.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct ArenaChunk {
    ArenaChunk *older;
    size_t size;                          /* bytes behind data */
    _Alignas(16) unsigned char data[];
};

enum { FIRST_CHUNK = 1 << 16, LARGEST_CHUNK = 1 << 24 };

void arena_init(Arena *a, jmp_buf *out_of_memory) { *a = (Arena){.out_of_memory = out_of_memory}; }

void arena_reset(Arena *a) {
    for (ArenaChunk *c = a->chunks; c;) {
        ArenaChunk *older = c->older;
        free(c);
        c = older;
    }
    arena_init(a, a->out_of_memory);
}

static void add_chunk(Arena *a, size_t bytes) {
    size_t size = a->chunks ? a->chunks->size * 2 : FIRST_CHUNK;
    if (size > LARGEST_CHUNK) size = LARGEST_CHUNK;
    if (size < bytes) size = bytes;
    ArenaChunk *c = size < SIZE_MAX - sizeof *c ? calloc(1, sizeof *c + size) : NULL;
    if (!c) longjmp(*a->out_of_memory, 1);
    c->older = a->chunks;
    c->size = size;
    a->chunks = c;
    a->used = 0;
}

void *arena_alloc(Arena *a, size_t bytes) {
    if (bytes > SIZE_MAX / 2) longjmp(*a->out_of_memory, 1);
    size_t need = (bytes + 15) / 16 * 16;
    if (!a->chunks || a->chunks->size - a->used < need) add_chunk(a, need);
    void *p = a->chunks->data + a->used;
    a->used += need;
    a->total += need;
    return p;
}

void *arena_copy(Arena *a, const void *from, size_t bytes) {
    void *to = arena_alloc(a, bytes);
    if (bytes) memcpy(to, from, bytes);
    return to;
}

char *arena_text(Arena *a, const char *text, size_t length) {
    char *to = arena_alloc(a, length + 1);
    if (length) memcpy(to, text, length);
    return to;
}

char *arena_vprintf(Arena *a, const char *format, va_list args) {
    va_list again;
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, args);
    char *to = arena_alloc(a, (size_t)(length < 0 ? 0 : length) + 1);
    if (length > 0) vsnprintf(to, (size_t)length + 1, format, again);
    va_end(again);
    return to;
}

char *arena_printf(Arena *a, const char *format, ...) {
    va_list args;
    va_start(args, format);
    char *to = arena_vprintf(a, format, args);
    va_end(args);
    return to;
}
