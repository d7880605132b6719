/* place: the memory plan. Gives every workspace buffer of a plan its offset.
 *
 * In: plans whose steps are in order. A buffer lives from the first step that writes it to the last that
 * reads it; two buffers may share memory if their lives do not meet. Placing is first fit: each buffer, in
 * some order, takes the lowest gap among those it meets. Three orders are tried (size; length of life;
 * their product) and the smallest arena is kept; it is reported against the most bytes alive at one step,
 * which no plan can beat. Offsets are multiples of 64, and a large buffer is never a multiple of 4096 away
 * from its neighbours, since rows of two such buffers would meet in the same sets of the L1 cache. */
#include "pass/place.h"

#include "ir/kernel_util.h"

#include <stdlib.h>

enum { ALIGN = 64, LARGE = 4096, STAGGER = 192 };

typedef struct Item {
    PlanBuf *buf;
    int64_t size;              /* rounded up */
    double key;
    int number;
} Item;

static void touch(Plan *p, int buf, int step) {
    PlanBuf *b = &p->bufs.at[buf];
    if (b->first < 0) b->first = step;
    b->last = step;
}

static void find_lives(Plan *p) {
    for (int i = 0; i < p->bufs.n; i++) p->bufs.at[i].first = p->bufs.at[i].last = -1;
    for (int s = 0; s < p->steps.n; s++) {
        const PlanStep *step = &p->steps.at[s];
        for (int i = 0; i < step_buf_count(step); i++) touch(p, step->bufs[i], s);
    }
}

static bool meet(const PlanBuf *a, const PlanBuf *b) { return a->first <= b->last && b->first <= a->last; }

static int by_key(const void *x, const void *y) {
    const Item *a = x, *b = y;
    if (a->key != b->key) return a->key > b->key ? -1 : 1;
    return a->number - b->number;
}

static int by_offset(const void *x, const void *y) {
    const PlanBuf *a = *(PlanBuf *const *)x, *b = *(PlanBuf *const *)y;
    return a->offset < b->offset ? -1 : a->offset > b->offset;
}

static int64_t round_up(int64_t bytes) { return (bytes + ALIGN - 1) / ALIGN * ALIGN; }

/* First fit of items in their order; the bytes needed. */
static int64_t fit(Item *items, int n, Arena *scratch) {
    PlanBuf **taken = arena_array(scratch, PlanBuf *, n + 1);
    int64_t top = 0;
    for (int i = 0; i < n; i++) {
        int met = 0;
        for (int j = 0; j < i; j++)
            if (meet(items[i].buf, items[j].buf)) taken[met++] = items[j].buf;
        qsort(taken, (size_t)met, sizeof *taken, by_offset);
        int64_t at = 0;
        for (int j = 0; j < met; j++) {
            if (taken[j]->offset >= at + items[i].size) break;
            int64_t end = taken[j]->offset + round_up(taken[j]->bytes);
            if (taken[j]->bytes >= LARGE) end += STAGGER;
            if (end > at) at = end;
        }
        items[i].buf->offset = at;
        if (at + items[i].size > top) top = at + items[i].size;
    }
    return top;
}

static double order_key(const PlanBuf *b, int order) {
    double size = (double)b->bytes, life = b->last - b->first + 1;
    return order == 0 ? size : order == 1 ? life : size * life;
}

static int64_t most_alive(const Plan *p) {
    int64_t most = 0;
    for (int s = 0; s < p->steps.n; s++) {
        int64_t alive = 0;
        for (int i = 0; i < p->bufs.n; i++) {
            const PlanBuf *b = &p->bufs.at[i];
            if (b->place == PLACE_ARENA && b->first <= s && s <= b->last) alive += round_up(b->bytes);
        }
        if (alive > most) most = alive;
    }
    return most;
}

void place_plan(Plan *p, Arena *scratch) {
    find_lives(p);
    Item *items = arena_array(scratch, Item, p->bufs.n + 1);
    int n = 0;
    for (int i = 0; i < p->bufs.n; i++) {
        PlanBuf *b = &p->bufs.at[i];
        if (b->place == PLACE_ARENA && b->first >= 0) items[n++] = (Item){b, round_up(b->bytes), 0, i};
    }
    int64_t *best = arena_array(scratch, int64_t, p->bufs.n + 1);
    p->arena_bytes = INT64_MAX;
    for (int order = 0; order < 3; order++) {
        for (int i = 0; i < n; i++) items[i].key = order_key(items[i].buf, order);
        qsort(items, (size_t)n, sizeof *items, by_key);
        int64_t bytes = fit(items, n, scratch);
        if (bytes >= p->arena_bytes) continue;
        p->arena_bytes = bytes;
        for (int i = 0; i < n; i++) best[items[i].number] = items[i].buf->offset;
    }
    for (int i = 0; i < n; i++) items[i].buf->offset = best[items[i].number];
    p->live_bytes = most_alive(p);
    for (int s = 0; s < p->steps.n; s++) {
        const PlanStep *step = &p->steps.at[s];
        if (step->kind == STEP_KERNEL && step->kernel->schedule.scratch > p->scratch_bytes)
            p->scratch_bytes = step->kernel->schedule.scratch;
    }
}

void place_module(KModule *m, Arena *scratch) {
    for (int i = 0; i < m->plans.n; i++) place_plan(m->plans.at[i], scratch);
    if (m->init) place_plan(m->init, scratch);
}
