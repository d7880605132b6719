/* place: the memory plan. Gives every workspace buffer of a plan its offset.
 *
 * In: plans whose steps are in order. A buffer lives from the first step that writes it to the last that
 * reads it; two buffers may share memory if their lives do not meet. What comes into a loop or goes out of it lives
 * as long as the loop; what is made and read in one iteration only there. Buffers that change their names with each
 * other live as one, and so do those that are written over each other (place_reuse.c). Placing is first fit: each buffer, in
 * some order, takes the lowest gap among those it meets. Three orders are tried (size; length of life;
 * their product); if the smallest arena is more than a fiftieth above the most bytes alive at one step, which
 * no plan can beat, its order is changed step by step as long as that makes it smaller. Offsets are multiples of 64, and a large buffer is never a multiple of 4096 away
 * from its neighbours, since rows of two such buffers would meet in the same sets of the L1 cache.
 *
 * The slices of a chain run into each other, so what its steps touch lives as long as all of it, but for what is local to
 * it: that is placed in the same way in a block of its own, of which each worker has one behind its kernels' scratch. */
#include "pass/place.h"

#include "ir/kernel_util.h"

#include <stdlib.h>
#include <string.h>

enum { ALIGN = 64, LARGE = 4096, STAGGER = 192, CLOSE = 50, CLOSER = 200 };

typedef struct Item {
    PlanBuf *buf;   /* the first of those that are written over each other */
    int64_t size;   /* rounded up */
    int first, last; /* the life of all of them */
    double key;
    int number;
} Item;

static void touch(Plan *p, int buf, int step) {
    PlanBuf *b = &p->bufs.at[buf];
    int first = step, last = step, chain = b->place == PLACE_LOCAL ? 0 : p->steps.at[step].chain;
    while (chain && first > 0 && p->steps.at[first - 1].chain == chain) first--;
    while (chain && last + 1 < p->steps.n && p->steps.at[last + 1].chain == chain) last++;
    if (b->first < 0) b->first = first;
    b->last = last;
}

/* ------------------------------------------------------------------------------- lives */

typedef struct Loops {
    int *around;      /* by step: the LOOP or WHILE it is in, -1: none; its marks are in it */
    int *outer, *end; /* by LOOP or WHILE: the one around it, its END */
} Loops;

static Loops find_loops(const Plan *p, Arena *scratch) {
    int n = p->steps.n + 1, inside = -1;
    Loops l = {arena_array(scratch, int, n), arena_array(scratch, int, n), arena_array(scratch, int, n)};
    VEC(int) open = {0};
    for (int s = 0; s < p->steps.n; s++) {
        const PlanStep *step = &p->steps.at[s];
        if (step_opens(step)) {
            vec_push(scratch, &open, s);
            l.outer[s] = inside;
            if (step->kind != STEP_IF) inside = s;
        }
        l.around[s] = inside;
        if (step->kind != STEP_END) continue;
        int opener = open.at[--open.n];
        inside = l.outer[opener];
        l.end[opener] = s;
    }
    return l;
}

/* An end of a life within a loop that the other end lies outside of moves to that end of the loop. */
static void stretch(PlanBuf *b, const Loops *l) {
    for (int at = l->around[b->last]; at >= 0 && b->first < at; at = l->outer[at]) b->last = l->end[at];
    for (int at = l->around[b->first]; at >= 0 && b->last > l->end[at]; at = l->outer[at]) b->first = at;
}

/* The buffer that stands for all that `buf` changes names with. */
static int find_root(int *root, int buf) {
    while (root[buf] != buf) buf = root[buf] = root[root[buf]];
    return buf;
}

static void find_lives(Plan *p, Arena *scratch) {
    int *root = arena_array(scratch, int, p->bufs.n + 1);
    for (int i = 0; i < p->bufs.n; i++) {
        p->bufs.at[i].first = p->bufs.at[i].last = -1;
        root[i] = i;
    }
    for (int s = 0; s < p->steps.n; s++) {
        const PlanStep *step = &p->steps.at[s];
        if (step->kind == STEP_SWAP) root[find_root(root, step->bufs[0])] = find_root(root, step->bufs[1]);
    }
    for (int s = 0; s < p->steps.n; s++)
        for (int i = 0; i < step_buf_count(&p->steps.at[s]); i++) {
            touch(p, p->steps.at[s].bufs[i], s);
            touch(p, find_root(root, p->steps.at[s].bufs[i]), s);
        }
    Loops loops = find_loops(p, scratch);
    for (int i = 0; i < p->bufs.n; i++)
        if (root[i] == i && p->bufs.at[i].first >= 0) stretch(&p->bufs.at[i], &loops);
    for (int i = 0; i < p->bufs.n; i++) {
        const PlanBuf *all = &p->bufs.at[find_root(root, i)];
        p->bufs.at[i].first = all->first;
        p->bufs.at[i].last = all->last;
    }
}

static int by_key(const void *x, const void *y) {
    const Item *a = x, *b = y;
    if (a->key != b->key) return a->key > b->key ? -1 : 1;
    return a->number - b->number;
}

static int64_t round_up(int64_t bytes) {
    return (bytes + ALIGN - 1) / ALIGN * ALIGN;
}

/* A place that is taken from step `first` to step `last`. */
typedef struct Taken {
    int64_t offset, end;
    int first, last;
} Taken;

/* First fit of items in their order; the bytes needed. `taken` has room for them. */
static int64_t fit(Item *items, int n, Taken *taken) { /* taken: by offset */
    int64_t top = 0;
    for (int i = 0; i < n; i++) {
        PlanBuf *b = items[i].buf;
        int64_t at = 0;
        for (int j = 0; j < i && taken[j].offset < at + items[i].size; j++)
            if (items[i].first <= taken[j].last && taken[j].first <= items[i].last && taken[j].end > at) at = taken[j].end;
        int j = i;
        for (; j > 0 && taken[j - 1].offset > at; j--) taken[j] = taken[j - 1];
        taken[j] = (Taken){at, at + items[i].size + (b->bytes >= LARGE ? STAGGER : 0), items[i].first, items[i].last};
        b->offset = at;
        if (at + items[i].size > top) top = at + items[i].size;
    }
    return top;
}

static double order_key(const Item *item, int order) {
    double size = (double)item->buf->bytes, life = item->last - item->first + 1;
    return order == 0 ? size : order == 1 ? life : size * life;
}

static int64_t most_alive(const Plan *p, const Item *items, int n, Arena *scratch) {
    int64_t most = 0, alive = 0, *change = arena_array(scratch, int64_t, p->steps.n + 1);
    for (int i = 0; i < n; i++) {
        change[items[i].first] += items[i].size;
        change[items[i].last + 1] -= items[i].size;
    }
    for (int s = 0; s < p->steps.n; s++) {
        alive += change[s];
        if (alive > most) most = alive;
    }
    return most;
}

/* Puts the items into the best of the three orders; the bytes it needs. */
static int64_t best_order(Item *items, int n, Taken *taken, Arena *scratch) {
    Item *best = arena_array(scratch, Item, n + 1);
    int64_t least = INT64_MAX;
    for (int order = 0; order < 3; order++) {
        for (int i = 0; i < n; i++) items[i].key = order_key(&items[i], order);
        qsort(items, (size_t)n, sizeof *items, by_key);
        int64_t bytes = fit(items, n, taken);
        if (bytes >= least) continue;
        least = bytes;
        memcpy(best, items, sizeof *items * (size_t)n);
    }
    memcpy(items, best, sizeof *items * (size_t)n);
    return n ? least : 0;
}

static int below(uint64_t *state, int n) {
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (int)((*state >> 33) % (uint64_t)n);
}

static void move_item(Item *items, int from, int to) {
    Item moved = items[from];
    for (; from > to; from--) items[from] = items[from - 1];
    for (; from < to; from++) items[from] = items[from + 1];
    items[to] = moved;
}

/* Moves items to other places in the order, most often one that reaches the top to an earlier one; a change stays if the
 * arena grows by it no further. Ends at `goal` bytes, or after so much work. */
static int64_t improve(Item *items, int n, int64_t bytes, int64_t goal, Taken *taken) {
    enum { WORK = 100000000, MOST_TRIES = 4000 };
    uint64_t state = 1;
    int64_t tries = WORK / ((int64_t)n * n + 1);
    for (int64_t t = 0; t < tries && t < MOST_TRIES && bytes > goal; t++) {
        int from = below(&state, n);
        if (below(&state, 4)) {
            fit(items, n, taken);
            for (int i = 0; i < n; i++)
                if (items[i].buf->offset + items[i].size == bytes) from = i;
        }
        int to = below(&state, from ? from : n);
        move_item(items, from, to);
        int64_t now = fit(items, n, taken);
        if (now <= bytes) bytes = now;
        else move_item(items, to, from);
    }
    return bytes;
}

/* What takes room of its own in the workspace or, of what begins with steps `from` .. `until`-1, in a worker's block;
 * returns how many there are. */
static int list_items(Plan *p, BufPlace place, int from, int until, Item *items, Arena *scratch) {
    int n = 0, *item = arena_array(scratch, int, p->bufs.n + 1);
    for (int i = 0; i < p->bufs.n; i++) {
        PlanBuf *b = &p->bufs.at[i];
        if (b->place != place || b->first < from || b->first >= until || b->alias >= 0) continue;
        item[i] = n;
        items[n] = (Item){b, round_up(b->bytes), b->first, b->last, 0, i};
        n++;
    }
    for (int i = 0; i < p->bufs.n; i++) {
        const PlanBuf *b = &p->bufs.at[i];
        if (b->place != place || b->first < from || b->first >= until || b->alias < 0) continue;
        Item *of = &items[item[b->alias]];
        if (b->last > of->last) of->last = b->last;
    }
    return n;
}

static void place_workspace(Plan *p, Arena *scratch) {
    Item *items = arena_array(scratch, Item, p->bufs.n + 1);
    int n = list_items(p, PLACE_ARENA, 0, p->steps.n, items, scratch);
    Taken *taken = arena_array(scratch, Taken, n + 1);
    p->live_bytes = most_alive(p, items, n, scratch);
    p->arena_bytes = best_order(items, n, taken, scratch);
    if (p->arena_bytes > p->live_bytes + p->live_bytes / CLOSE)
        p->arena_bytes = improve(items, n, p->arena_bytes, p->live_bytes + p->live_bytes / CLOSER, taken);
    fit(items, n, taken);
}

/* The block of a worker for the local buffers of the chain that begins with step s; the step behind the chain. */
static int place_chain(Plan *p, int s, Arena *scratch) {
    int end = s;
    while (end < p->steps.n && p->steps.at[end].chain == p->steps.at[s].chain) end++;
    Item *items = arena_array(scratch, Item, p->bufs.n + 1);
    int n = list_items(p, PLACE_LOCAL, s, end, items, scratch);
    Taken *taken = arena_array(scratch, Taken, n + 1);
    int64_t bytes = best_order(items, n, taken, scratch);
    fit(items, n, taken);
    if (bytes > p->local_bytes) p->local_bytes = bytes;
    return end;
}

void place_plan(Plan *p, Arena *scratch) {
    find_lives(p, scratch);
    place_reuse(p, scratch);
    place_workspace(p, scratch);
    p->scratch_bytes = p->local_bytes = 0;
    for (int s = 0; s < p->steps.n;) s = p->steps.at[s].chain ? place_chain(p, s, scratch) : s + 1;
    for (int i = 0; i < p->bufs.n; i++)
        if (p->bufs.at[i].alias >= 0) p->bufs.at[i].offset = p->bufs.at[p->bufs.at[i].alias].offset;
    for (int s = 0; s < p->steps.n; s++) {
        int64_t scratch_bytes = step_scratch(&p->steps.at[s]);
        if (scratch_bytes > p->scratch_bytes) p->scratch_bytes = scratch_bytes;
    }
    if (p->local_bytes) p->scratch_bytes = round_up(p->scratch_bytes) + p->local_bytes;
}

void place_module(KModule *m, Arena *scratch) {
    for (int i = 0; i < m->plans.n; i++) place_plan(m->plans.at[i], scratch);
    if (m->init) place_plan(m->init, scratch);
    if (m->prepare) place_plan(m->prepare, scratch);
}
