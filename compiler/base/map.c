/* Map: see map.h. Open addressing, at most half full. */
#include "base/map.h"
#include "base/intern.h"

#include <string.h>

static MapEntry *find(const Map *m, const char *name, uint64_t hash) {
    size_t i = (size_t)hash & (m->room - 1);
    while (m->entries[i].name && (m->entries[i].hash != hash || strcmp(m->entries[i].name, name)))
        i = (i + 1) & (m->room - 1);
    return &m->entries[i];
}

static void grow(Map *m) {
    Map old = *m;
    m->room = old.room ? old.room * 2 : 32;
    m->entries = arena_array(m->arena, MapEntry, m->room);
    for (size_t i = 0; i < old.room; i++)
        if (old.entries[i].name) *find(m, old.entries[i].name, old.entries[i].hash) = old.entries[i];
}

void *map_get(const Map *m, const char *name) {
    return m->room ? find(m, name, hash_text(name, strlen(name)))->value : NULL;
}

void map_set(Map *m, const char *name, void *value) {
    if (m->count * 2 >= m->room) grow(m);
    uint64_t hash = hash_text(name, strlen(name));
    MapEntry *e = find(m, name, hash);
    m->count += !e->name;
    *e = (MapEntry){name, hash, value};
}
