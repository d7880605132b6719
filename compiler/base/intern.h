/* Interned strings: equal texts have equal pointers, so names compare with ==. */
#ifndef DLCC_BASE_INTERN_H
#define DLCC_BASE_INTERN_H

#include "base/arena.h"
#include <stdint.h>

typedef struct Interner {
    Arena *arena;
    const char **slots;
    size_t count, room;
} Interner;

void intern_init(Interner *in, Arena *arena);
const char *intern(Interner *in, const char *text);
const char *intern_n(Interner *in, const char *text, size_t length);
/* A stable 64-bit hash of text (FNV-1a), the same on every machine. */
uint64_t hash_text(const char *text, size_t length);

#endif
