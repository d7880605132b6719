/* Cascades: see cascade.h. */
#include "codegen/cascade.h"

static void add_loop(Arena *arena, Cascade *c, CascadeLoop loop) {
    vec_push(arena, &c->loops, loop);
    c->levels += loop.closes;
}

void cascade_axis(Arena *arena, Cascade *c, int axis, int64_t step, int64_t rounds, bool cut) {
    bool closes = false;
    while (cut && rounds > CASCADE_MOST / c->terms) {
        int64_t block = CASCADE_BLOCK / c->terms;
        if (block > 1) {
            add_loop(arena, c, (CascadeLoop){axis, step, closes});
            step *= block;
            rounds = (rounds + block - 1) / block;
        }
        c->terms = 1;
        closes = true;
    }
    add_loop(arena, c, (CascadeLoop){axis, step, closes});
    c->terms *= rounds > 1 ? rounds : 1;
}
