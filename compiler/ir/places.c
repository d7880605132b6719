/* Places: see places.h.
 *
 * Variables follow each other in their order, aligned to 64 bytes. Large ones whose starts agree modulo a page
 * would fall into the same sets of the L1 cache and be read in step by one loop (a parameter, its gradient
 * and its slots), so a large one starts at some distance, within the page, from the last few. */
#include "ir/places.h"

enum {
    ALIGNMENT = 64,
    PAGE = 4096,
    DISTANCE = 256,            /* at least this far apart within the page */
    NEIGHBOURS = 3
};

typedef struct Block {
    int64_t end;
    int64_t large[NEIGHBOURS]; /* places within the page of the last large variables, newest first */
    int count;
} Block;

static bool is_near(const Block *b, int64_t at) {
    for (int i = 0; i < b->count; i++) {
        int64_t apart = ((at - b->large[i]) % PAGE + PAGE) % PAGE;
        if (apart < DISTANCE || apart > PAGE - DISTANCE) return true;
    }
    return false;
}

static int64_t place(Block *b, int64_t bytes) {
    int64_t at = (b->end + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (bytes >= PAGE) {
        while (is_near(b, at)) at += ALIGNMENT;
        for (int i = NEIGHBOURS - 1; i > 0; i--) b->large[i] = b->large[i - 1];
        b->large[0] = at % PAGE;
        if (b->count < NEIGHBOURS) b->count++;
    }
    b->end = at + bytes;
    return at;
}

VarPlaces places_of(const Module *m, Arena *arena) {
    Block weights = {0}, slots = {0}, cache = {0};
    VarPlaces p = {.offset = arena_array(arena, int64_t, m->vars.n + 1),
                   .bytes = arena_array(arena, int64_t, m->vars.n + 1)};
    for (int i = 0; i < m->vars.n; i++) {
        const Var *v = m->vars.at[i];
        Block *block = v->kind == VAR_CACHE ? &cache : v->kind == VAR_SLOT ? &slots : &weights;
        p.bytes[v->id] = dtype_bytes(v->type.dtype);
        for (int d = 0; d < v->type.rank; d++) p.bytes[v->id] *= dim_value(v->type.shape[d]);
        p.offset[v->id] = place(block, p.bytes[v->id]);
    }
    p.weight_bytes = weights.end;
    p.slot_bytes = slots.end;
    p.cache_bytes = cache.end;
    return p;
}
