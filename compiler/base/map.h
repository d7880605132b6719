/* Map: from names to pointers, insertion only, in an arena. A name is kept, not copied. */
#ifndef DLCC_BASE_MAP_H
#define DLCC_BASE_MAP_H

#include "base/arena.h"
#include <stdint.h>

typedef struct MapEntry {
    const char *name;          /* null: free */
    uint64_t hash;
    void *value;
} MapEntry;

typedef struct Map {
    Arena *arena;
    MapEntry *entries;
    size_t count, room;
} Map;

static inline Map map_new(Arena *a) { return (Map){.arena = a}; }
/* What the name was last set to, or null. */
void *map_get(const Map *m, const char *name);
void map_set(Map *m, const char *name, void *value);

#endif
