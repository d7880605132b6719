/* Arena: the compiler's only source of memory.
 *
 * Memory is handed out in order, zeroed, and given back all at once. When the system has none left the
 * arena jumps to the handler its owner set, so that callers never check for null: one place, the
 * driver, turns that into a clear message. */
#ifndef DLCC_BASE_ARENA_H
#define DLCC_BASE_ARENA_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

typedef struct ArenaChunk ArenaChunk;

typedef struct Arena {
    ArenaChunk *chunks;      /* newest first */
    size_t used;             /* bytes used in the newest chunk */
    size_t total;            /* bytes handed out since the last reset */
    jmp_buf *out_of_memory;  /* where to go when allocation fails; must be set */
} Arena;

/* An empty arena that jumps (with value 1) to `out_of_memory` when the system has no memory left. */
void arena_init(Arena *a, jmp_buf *out_of_memory);
/* Gives back everything; the arena can be used again. */
void arena_reset(Arena *a);
/* `bytes` zeroed bytes aligned to 16. Never null. */
void *arena_alloc(Arena *a, size_t bytes);
/* A copy of `length` bytes of text with a terminating zero. */
char *arena_text(Arena *a, const char *text, size_t length);
/* Formatted text. */
char *arena_printf(Arena *a, const char *format, ...) __attribute__((format(printf, 2, 3)));
char *arena_vprintf(Arena *a, const char *format, va_list args);
/* A copy of `bytes` bytes. */
void *arena_copy(Arena *a, const void *from, size_t bytes);

#define arena_new(arena, Type) ((Type *)arena_alloc((arena), sizeof(Type)))
#define arena_array(arena, Type, count) ((Type *)arena_alloc((arena), sizeof(Type) * (size_t)(count)))

#endif
