/* Interned strings: see intern.h. Open addressing, at most half full. */
#include "base/intern.h"

#include <string.h>

void intern_init(Interner *in, Arena *arena) { *in = (Interner){.arena = arena}; }

uint64_t hash_text(const char *text, size_t length) {
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < length; i++) h = (h ^ (unsigned char)text[i]) * 0x100000001b3u;
    return h;
}

static size_t slot_of(const Interner *in, const char *text, size_t length) {
    size_t i = (size_t)hash_text(text, length) & (in->room - 1);
    while (in->slots[i] && (strncmp(in->slots[i], text, length) || in->slots[i][length])) i = (i + 1) & (in->room - 1);
    return i;
}

static void grow(Interner *in) {
    Interner old = *in;
    in->room = old.room ? old.room * 2 : 256;
    in->slots = arena_array(in->arena, const char *, in->room);
    for (size_t i = 0; i < old.room; i++)
        if (old.slots[i]) in->slots[slot_of(in, old.slots[i], strlen(old.slots[i]))] = old.slots[i];
}

const char *intern_n(Interner *in, const char *text, size_t length) {
    if (in->count * 2 >= in->room) grow(in);
    size_t i = slot_of(in, text, length);
    if (!in->slots[i]) {
        in->slots[i] = arena_text(in->arena, text, length);
        in->count++;
    }
    return in->slots[i];
}

const char *intern(Interner *in, const char *text) { return intern_n(in, text, strlen(text)); }
