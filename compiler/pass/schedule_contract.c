/* schedule_contract: tile, blocks and packing of a contraction.
 *
 * The tile: of those whose sums, row of B and broadcast fit the registers, the one with the least estimated
 * time for this M and N, counting what the remainders waste. Per step of k a tile of mr x nv vectors
 * takes mr*nv multiply-adds and mr + nv loads; a load of B costs three of A, since B streams from the
 * second-level cache. On AVX-512 this picks 8 x 48 for large matrices, on AVX2 6 x 16, on NEON 8 x 12.
 * The blocks: nc columns such that a panel of B stays in half the second-level cache; rows such that items
 * are a few million operations.
 *
 * A factor that is no plain load is computed while it is packed, once for each block: then the axes that only the
 * epilogue walks may be tiled as one, as rows and columns of an image. A sum too long for a panel is cut, between
 * steps of its first axis if a factor that lies in memory does not walk all of it as one; where such steps are too
 * long, that factor is packed too. Blocks of terms are whole runs (kernel_run). */
#include "ir/kernel_contract.h"
#include "ir/kernel_util.h"
#include "pass/schedule.h"

#include <math.h>

enum {
    MOST_ROWS = 14, MOST_VECTORS = 6, MOST_SKINNY = 16, SWEPT_ROWS = 8, SWEPT_VECTORS = 4, SWEPT_SUMS = 4096,
    DEEPEST = 1024,            /* terms of a packed panel */
    DEEPEST_BOTH = 512,        /* where both factors are packed, or A's lines wear the first-level cache */
    DEEPEST_ACROSS = 256,      /* the latter where each term of A is in a line of its own */
    DEEPEST_UNPACKED = 2048,
    ITEM_COLUMNS = 64,         /* of an item where lanes run along the terms */
    FEW_ROWS = 256,            /* that do not repay packing B: then lanes run along the terms, if they can */
    SERIAL_POINTS = 1 << 18    /* multiply-adds below which a contraction stays on one thread */
};

typedef struct Shape {
    int64_t m, n;              /* the tiled axes' extents, at most */
    int lanes;
} Shape;

/* Time of a tile for one k, in issue slots of two a cycle; at least a latency of eight. */
static double tile_time(double rows, double vectors) {
    double work = rows * vectors, loads = rows + vectors;
    double time = work > loads ? work : loads;
    if (time < 8) time = 8;
    return time * (1 + 0.02 * (3 * vectors + rows) / work);
}

static double strip_time(const Shape *s, int rows, int nv) {
    int64_t width = (int64_t)nv * s->lanes, rest = s->n % width;
    double time = (double)(s->n / width) * tile_time(rows, nv);
    if (rest) time += tile_time(rows, (double)((rest + s->lanes - 1) / s->lanes));
    return time;
}

static double total_time(const Shape *s, int mr, int nv) {
    double time = (double)(s->m / mr) * strip_time(s, mr, nv);
    for (int p = 1; p < mr; p *= 2)
        if (s->m % mr & p) time += strip_time(s, p, nv);
    return time;
}

static int tile_registers(const Target *t, int mr, int nv) { return mr * nv + nv + t->broadcast_registers; }

/* Whether terms of A that follow one another lie in lines of their own. */
static bool reads_across(const Kernel *k) {
    const KAccess *a = kernel_factor(k, k->a);
    return a && !k->schedule.pack_a && !dim_is(a->strides[kernel_last_axis(k, AXIS_K)], 1);
}

/* Where rows are places of an image, and terms beyond its borders are skipped by tiles that are a part of a line: its
 * length; else 0. Of long lines little lies beyond. */
static int64_t image_line(const Kernel *k) {
    enum { LONGEST = 64 };
    Dim line = k->axes.at[kernel_last_axis(k, AXIS_M)].extent;
    bool bordered = k->schedule.rows_a && k->schedule.m_axes > 1 && k->nodes.at[k->a].guard >= 0;
    return bordered && dim_is_const(line) && dim_value(line) <= LONGEST ? dim_value(line) : 0;
}

/* The tiles that fit, in the order of their estimated time; of equal ones the smaller first. */
static int list_tiles(const Kernel *kernel, const Shape *s, const Target *t, ScheduleTile *to) {
    enum { LINE_ELEMENTS = 16 };
    static const double B_LINE = 0.5, A_LINE = 1.5; /* slots, from the second-level cache: the latter in turns with B's */
    const KSchedule *k = &kernel->schedule;
    bool across = reads_across(kernel) && kernel_most_points(kernel, AXIS_K) > DEEPEST_BOTH; /* strips share lines */
    int64_t line = image_line(kernel);
    int n = 0;
    for (int nv = 1; nv <= MOST_VECTORS; nv++)
        for (int mr = 1; mr <= (k->rows_a ? t->row_pointers : MOST_ROWS); mr++) {
            if (tile_registers(t, mr, nv) > t->vector_registers - t->spare_registers) continue;
            ScheduleTile tile = {mr, nv, total_time(s, mr, nv)};
            bool again = across && s->n > (int64_t)nv * s->lanes;
            if (across) tile.time *= 1 + (B_LINE * nv + (again ? A_LINE : 0)) / (mr * nv);
            if (again && LINE_ELEMENTS % mr) tile.time *= 1.03;
            if (line && line % mr == 0) tile.time *= 0.97;
            int at = n++;
            for (; at > 0 && to[at - 1].time > tile.time; at--) to[at] = to[at - 1];
            to[at] = tile;
        }
    return n;
}

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }
static int64_t round_up(int64_t x, int64_t to) { return (x + to - 1) / to * to; }

/* Whether B must be copied to be read well: its lanes are not neighbours, or its rows alias in L1 and are
 * used often enough to repay it. */
static bool wants_panel(const Kernel *k, const KAccess *b, int n, int k_axis, const Shape *s, const Target *t) {
    if (!dim_is(b->strides[n], 1)) return true;
    Dim stride = b->strides[k_axis];
    int64_t bytes = dim_value(stride) * dtype_bytes(k->bufs.at[b->buf].dtype);
    return dim_is_const(stride) && bytes % t->page_alias == 0 && s->m >= 4 * k->schedule.mr;
}

static bool is_guarded(const Kernel *k, int node) { return kernel_place(k, node) && !kernel_factor(k, node); }

/* How the factors are read. A guarded load is read where it lies if its guard is known before a tile is, or if rows can
 * be found through pointers; so it is also where the rows are places of an image and A alone cannot walk them as one. */
static void choose_ways(Kernel *k, DimTable *dims, Arena *scratch) {
    enum { SHORTEST = 8, MANY_ROWS = 32 }; /* terms that repay a row's pointer */
    KSchedule *s = &k->schedule;
    int last = kernel_last_axis(k, AXIS_K);
    bool rows = kernel_can_read_rows(k, scratch) && k->axes.at[last].extent->lower >= SHORTEST;
    s->pack_a = !kernel_factor(k, k->a);
    s->pack_b = !kernel_factor(k, k->b);
    int m = kernel_last_axis(k, AXIS_M);
    if (is_guarded(k, k->a)) {
        bool few = k->axes.at[m].extent->upper < (rows ? MANY_ROWS : SHORTEST);
        s->skip_a = kernel_can_skip(k, k->a, AXIS_M, 1, scratch) && (m == 0 || k->axes.at[m - 1].role != AXIS_M || !few);
        s->rows_a = rows && !s->skip_a;
        s->pack_a = !s->skip_a && !s->rows_a;
    } else if (!s->pack_a && rows) {
        int alone = kernel_joined_axes(k, dims, AXIS_M, scratch);
        s->rows_a = true;
        s->rows_a = kernel_joined_axes(k, dims, AXIS_M, scratch) > alone;
    }
    if (is_guarded(k, k->b)) {
        s->skip_b = kernel_can_skip(k, k->b, AXIS_N, 1, scratch);
        s->pack_b = !s->skip_b || !dim_is(kernel_place(k, k->b)->strides[kernel_last_axis(k, AXIS_N)], 1);
    }
}

/* Packs what has to be, and both factors if else the sum's runs cannot be counted or a panel would be too deep. */
static void choose_packing(Kernel *k, DimTable *dims, Arena *scratch) {
    KSchedule *s = &k->schedule;
    choose_ways(k, dims, scratch);
    KernelRun run = kernel_run(k);
    bool counts = !run.terms || run.axis >= 0 || kernel_cut_axis(k, dims, scratch, run.terms) >= 0;
    int64_t cut = kernel_best_cut(k, dims, scratch, DEEPEST);
    bool fits = (!s->pack_a && !s->pack_b) || kernel_most_points(k, AXIS_K) <= DEEPEST || (cut && cut <= DEEPEST);
    if (counts && fits) return;
    s->pack_a = s->pack_b = true;
    s->rows_a = s->skip_a = s->skip_b = false;
}

/* Whether a strip of rows of A, read where it lies, serves several tiles and does not stay in the first-level cache
 * meanwhile. Each of its elements takes a line of its own there where rows are neighbours. */
static bool wears_cache(const Kernel *k, const Shape *shape, const Target *t, int64_t depth) {
    enum { LINE = 64 };
    const KSchedule *s = &k->schedule;
    const KAccess *a = kernel_factor(k, k->a);
    if (!a || s->pack_a || s->rows_a || shape->n <= (int64_t)s->nv * s->lanes) return false;
    int64_t bytes = reads_across(k) ? LINE : (int64_t)s->mr * dtype_bytes(k->bufs.at[a->buf].dtype);
    return depth * bytes > t->l1_bytes * 2 / 3;
}

/* Terms of a K block; 0: all. */
static int64_t choose_depth(const Kernel *k, DimTable *dims, const Shape *shape, const Target *t, Arena *scratch) {
    const KSchedule *s = &k->schedule;
    int64_t depth = kernel_most_points(k, AXIS_K);
    int64_t deepest = s->pack_a && s->pack_b ? DEEPEST_BOTH : s->pack_a || s->pack_b ? DEEPEST : DEEPEST_UNPACKED;
    if (wears_cache(k, shape, t, depth)) deepest = reads_across(k) ? DEEPEST_ACROSS : DEEPEST_BOTH;
    else if (reads_across(k) && !s->pack_b) deepest = DEEPEST_BOTH; /* strips read B's block in turn */
    if (depth <= deepest) return 0;
    int64_t even = depth / ((depth + deepest - 1) / deepest); /* blocks of one length, where that can be */
    int64_t unit = kernel_run(k).terms ? kernel_run(k).terms : s->lanes, kc = round_up(even, unit);
    if (kernel_cut_axis(k, dims, scratch, kc) < 0) kc = kernel_best_cut(k, dims, scratch, deepest);
    return kc < depth ? kc : 0;
}

/* What is tiled, of the axes that count as one. */
static Shape shape_of(const Kernel *k, DimTable *dims) {
    const KSchedule *s = &k->schedule;
    Dim rows = kernel_joined_extent(k, dims, AXIS_M, s->m_axes);
    Dim columns = kernel_joined_extent(k, dims, AXIS_N, s->n_axes);
    return (Shape){most(rows->upper, 1), most(columns->upper, 1), s->lanes};
}

static int sum_bytes(const Kernel *k) { return (int)most(dtype_bytes(k->acc), 4); }

/* Whether B comes from memory, in rows that each take a page at least. */
static bool streams(const Kernel *k, const Shape *shape, const Target *t) {
    enum { PAGE = 4096 };
    const KAccess *b = kernel_factor(k, k->b);
    int64_t row = b ? shape->n * dtype_bytes(k->bufs.at[b->buf].dtype) : 0;
    return row >= PAGE && row * kernel_most_points(k, AXIS_K) > t->l2_bytes;
}

/* Few rows take a wide tile, of a width that divides the columns evenly; or they are swept. */
static void choose_skinny(Kernel *k, DimTable *dims, const Shape *shape, const Target *t, Arena *scratch) {
    KSchedule *s = &k->schedule;
    s->skinny_nc = 0;
    s->skinny_turn = false;
    int64_t vectors = (shape->n + s->lanes - 1) / s->lanes, wide = least(MOST_SKINNY, t->vector_registers - 2);
    s->skinny_nv = 0;
    if (kernel_joined_extent(k, dims, AXIS_M, s->m_axes)->lower >= s->mr) return;
    int64_t tiles = (vectors + wide - 1) / wide;
    s->skinny_nv = (int)((vectors + tiles - 1) / tiles);
    if (s->pack_a || s->pack_b) s->skinny_nv = (int)least(s->skinny_nv, s->nc / s->lanes);
    if (kernel_can_turn(k)) {
        s->skinny_turn = true;
        s->skinny_nv = 1;
        return;
    }
    if (!streams(k, shape, t) || !kernel_can_sweep(k, dims, scratch)) return;
    s->skinny_nv = SWEPT_VECTORS;
    int64_t item = (int64_t)s->skinny_nv * s->lanes * SWEPT_TILES, rows = most(least(s->mr - 1, shape->m), 1);
    s->skinny_nc = round_up(least(shape->n, SWEPT_SUMS / rows), item);
}

/* Rows of a block: as many as repay the panels that are packed for it, as long as threads find enough to do. */
static int64_t block_rows(const Kernel *k, const Shape *shape) {
    enum { ENOUGH = 8, LARGE = 1024 };
    const KSchedule *s = &k->schedule;
    if (s->pack_a && s->pack_b) return 128;
    if (!s->pack_b) return s->kc && reads_across(k) ? 128 : 64;
    int64_t columns = (shape->n + s->nc - 1) / s->nc, rows = (shape->m + LARGE - 1) / LARGE;
    return columns * rows >= ENOUGH ? LARGE : LARGE / 2;
}

static void choose_blocks(Kernel *k, DimTable *dims, const Shape *shape, const Target *t, Arena *scratch) {
    KSchedule *s = &k->schedule;
    int64_t depth = kernel_most_points(k, AXIS_K);
    s->kc = choose_depth(k, dims, shape, t, scratch);
    if (s->kc) depth = s->kc;
    bool both = s->pack_a && s->pack_b;
    int64_t width = (int64_t)s->nv * s->lanes, room = t->l2_bytes / (both ? 4 : 2) / most(depth, 1) / sum_bytes(k);
    int64_t tiles = (shape->n + width - 1) / width, fit = most(least(room / width, tiles), 1), blocks = (tiles + fit - 1) / fit;
    s->nc = (tiles + blocks - 1) / blocks * width;
    s->mc = round_up(block_rows(k, shape), s->mr);
    choose_skinny(k, dims, shape, t, scratch);
    s->scratch = kernel_panels(k).bytes;
}

void schedule_join(Kernel *k, DimTable *dims, Arena *scratch) {
    k->schedule.m_axes = kernel_joined_axes(k, dims, AXIS_M, scratch);
    k->schedule.n_axes = kernel_joined_axes(k, dims, AXIS_N, scratch);
}

static int lanes_registers(int mr, int nv) { return mr * nv + nv + 1; }

static double lanes_time(const Shape *s, int mr, int nv) {
    return ceil((double)s->m / mr) * ceil((double)s->n / nv) * tile_time(mr, nv);
}

/* Lanes along the terms: a tile of mr x nv sums has as many vectors, and takes mr + nv loads for a term. */
static void schedule_lanes(Kernel *k, DimTable *dims, const Target *t, Arena *scratch) {
    KSchedule *s = &k->schedule;
    int registers = t->vector_registers - t->spare_registers;
    s->vector_axis = kernel_last_axis(k, AXIS_K);
    s->lanes = target_lanes(t, dtype_bytes(k->acc));
    s->rows_a = true;
    s->m_axes = kernel_joined_axes(k, dims, AXIS_M, scratch);
    s->n_axes = 1;
    Shape shape = shape_of(k, dims);
    double best = 0;
    for (int nv = 1; nv <= s->lanes && nv <= shape.n; nv++)
        for (int mr = 1; mr <= t->row_pointers && mr <= shape.m; mr++) {
            if (lanes_registers(mr, nv) > registers) continue;
            double time = lanes_time(&shape, mr, nv);
            if (s->mr && time >= best) continue;
            best = time;
            s->mr = mr;
            s->nv = nv;
        }
    s->mc = s->mr;
    s->nc = most(least(ITEM_COLUMNS / s->nv, (shape.n + s->nv - 1) / s->nv), 1) * s->nv;
    s->serial_below = SERIAL_POINTS;
    s->scratch = kernel_panels(k).bytes;
}

void schedule_contract(Kernel *k, DimTable *dims, const Target *t, Arena *scratch) {
    KSchedule *s = &k->schedule;
    if (kernel_most_points(k, AXIS_M) <= FEW_ROWS && kernel_can_sum_lanes(k, scratch)) {
        schedule_lanes(k, dims, t, scratch);
        return;
    }
    int n = kernel_last_axis(k, AXIS_N), depth_axis = kernel_last_axis(k, AXIS_K);
    const KAccess *b = kernel_factor(k, k->b);
    ScheduleTile tiles[MOST_TILES];
    s->vector_axis = n;
    s->lanes = target_lanes(t, sum_bytes(k));
    choose_packing(k, dims, scratch);
    schedule_join(k, dims, scratch);
    Shape shape = shape_of(k, dims);
    if (list_tiles(k, &shape, t, tiles)) {
        s->mr = tiles[0].rows;
        s->nv = tiles[0].vectors;
    }
    bool sweeps = streams(k, &shape, t) && kernel_can_sweep(k, dims, scratch);
    if (shape.m < SWEPT_ROWS && (sweeps || kernel_can_turn(k))) {
        s->mr = (int)shape.m + 1; /* more than there are */
        s->nv = SWEPT_VECTORS - 1;
    }
    s->pack_b = s->pack_b || (b && wants_panel(k, b, n, depth_axis, &shape, t));
    choose_blocks(k, dims, &shape, t, scratch);
    s->serial_below = SERIAL_POINTS;
}

/* ------------------------------------------------------------------ what is measured */

int schedule_tiles(const Kernel *k, DimTable *dims, const Target *t, ScheduleTile *to) {
    Shape shape = shape_of(k, dims);
    return list_tiles(k, &shape, t, to);
}

void schedule_blocks(Kernel *k, DimTable *dims, const Target *t, Arena *scratch) {
    Shape shape = shape_of(k, dims);
    choose_blocks(k, dims, &shape, t, scratch);
}

double schedule_contract_cycles(const Kernel *k, DimTable *dims) {
    enum { SLOTS = 2 }; /* in a cycle */
    Shape shape = shape_of(k, dims);
    const KSchedule *s = &k->schedule;
    double points = (kernel_sums_lanes(k) ? lanes_time(&shape, s->mr, s->nv) / s->lanes : total_time(&shape, s->mr, s->nv)) / SLOTS;
    for (int a = 0; a < k->axes.n; a++) points *= (double)k->axes.at[a].extent->upper;
    return points / ((double)shape.m * (double)shape.n);
}

const char *schedule_contract_fault(const Kernel *k, const Target *t, Arena *arena) {
    enum { LONGEST = 1 << 24, MOST_SCRATCH = 1 << 28 };
    const KSchedule *s = &k->schedule;
    bool lanes = kernel_sums_lanes(k);
    if (s->mr < 1 || s->nv < 1 || s->mr > MOST_ROWS || s->nv > (lanes ? s->lanes : MOST_VECTORS) ||
        (lanes ? lanes_registers(s->mr, s->nv) : tile_registers(t, s->mr, s->nv)) > t->vector_registers - t->spare_registers)
        return arena_printf(arena, "a tile of %d rows x %d vectors does not fit the registers", s->mr, s->nv);
    if (s->rows_a && s->mr > t->row_pointers)
        return arena_printf(arena, "there are no pointers for %d rows", s->mr);
    if (s->skinny_nv > least(MOST_SKINNY, t->vector_registers - 2))
        return arena_printf(arena, "few rows x %d vectors do not fit the registers", s->skinny_nv);
    if (s->skinny_nc > LONGEST) return "it sweeps too many columns";
    if (s->mc < 1 || s->nc < 1 || s->mc % s->mr || s->nc % ((int64_t)s->nv * (lanes ? 1 : s->lanes)))
        return arena_printf(arena, "blocks of %lld x %lld are no whole tiles", (long long)s->mc, (long long)s->nc);
    bool wide = s->mc > LONGEST || s->nc > LONGEST || s->kc > LONGEST;
    if (wide || kernel_panels(k).bytes > MOST_SCRATCH) return "its blocks are too large";
    return NULL;
}
