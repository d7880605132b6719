/* Growing arrays in an arena: VEC(T) declares one, vec_push appends. The old storage stays in the arena,
 * so pointers into it stay readable, but not current. */
#ifndef DLCC_BASE_VEC_H
#define DLCC_BASE_VEC_H

#include "base/arena.h"
#include <string.h>

#define VEC(T)                                                                                                         \
    struct {                                                                                                           \
        T *at;                                                                                                         \
        int n, room;                                                                                                   \
    }

#define vec_push(arena, v, ...)                                                                                        \
    do {                                                                                                               \
        if ((v)->n == (v)->room) (v)->at = vec_grow((arena), (v)->at, sizeof *(v)->at, (v)->n, &(v)->room);             \
        (v)->at[(v)->n++] = (__VA_ARGS__);                                                                             \
    } while (0)

static inline void *vec_grow(Arena *a, void *at, size_t size, int n, int *room) {
    *room = *room ? *room * 2 : 8;
    void *to = arena_alloc(a, size * (size_t)*room);
    if (n) memcpy(to, at, size * (size_t)n);
    return to;
}

#endif
