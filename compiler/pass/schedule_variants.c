/* schedule_variants: the schedules of a contraction that --tune measures beside the chosen one.
 *
 * In: a scheduled kernel. Out: other schedules that the verifier and the target allow. They differ in who does what
 * when - tile, blocks, packing - and never in the order of a sum (kernel_run), so in no bit of a result. Terms that a
 * guard rules out are skipped or added as before: with infinite factors that would differ. What leaves less work to
 * hand out than threads may want is left out, since timing is on one thread. */
#include "ir/kernel_contract.h"
#include "ir/kernel_schedule.h"
#include "ir/kernel_util.h"
#include "ir/kernel_verify.h"
#include "pass/schedule.h"

typedef struct Variants {
    KModule *m;
    const Kernel *k;
    const Target *target;
    Arena *arena;
    int64_t rows, columns;     /* that are tiled, at most */
    double others;             /* points of the axes around these */
    Schedules found;
} Variants;

static int64_t clamp(int64_t x, int64_t low, int64_t high) { return x < low ? low : x > high ? high : x; }
static int64_t round_up(int64_t x, int64_t to) { return (x + to - 1) / to * to; }

static bool same(const KSchedule *a, const KSchedule *b) {
    int count;
    const ScheduleField *fields = schedule_fields(&count);
    for (int i = 0; i < count; i++)
        if (schedule_get(a, &fields[i]) != schedule_get(b, &fields[i])) return false;
    return true;
}

static bool is_known(const Variants *v, const KSchedule *s) {
    for (int i = 0; i < v->found.n; i++)
        if (same(&v->found.at[i], s)) return true;
    return same(&v->k->schedule, s);
}

/* Pieces of work at the dims' upper bounds. */
static double count_items(const Variants *v, const KSchedule *s) {
    return v->others * (double)((v->rows + s->mc - 1) / s->mc) * (double)((v->columns + s->nc - 1) / s->nc);
}

/* Whether threads would find too little to do, and less than they do now. */
static bool starves_threads(const Variants *v, const Kernel *k) {
    enum { ENOUGH = 16 };
    double points = 1, items = count_items(v, &k->schedule);
    for (int a = 0; a < k->axes.n; a++) points *= (double)k->axes.at[a].extent->upper;
    return points >= (double)k->schedule.serial_below && items < ENOUGH && items < count_items(v, &v->k->schedule);
}

/* Takes the kernel's schedule if it is a new one for which code can be made. */
static void propose(Variants *v, Kernel *k) {
    FaultList faults = {0};
    KernelVerifier verifier = {.module = v->m, .scratch = v->arena, .faults = &faults};
    k->schedule.scratch = kernel_panels(k).bytes;
    if (is_known(v, &k->schedule) || schedule_contract_fault(k, v->target, v->arena)) return;
    verify_kernel(&verifier, k);
    if (!faults.n && !starves_threads(v, k)) vec_push(v->arena, &v->found, k->schedule);
}

/* ------------------------------------------------------------------------------ tiles */

static void propose_tiles(Variants *v, int most) {
    ScheduleTile tiles[MOST_TILES];
    int n = schedule_tiles(v->k, &v->m->dims, v->target, tiles);
    for (int i = 0; i < n && v->found.n < most; i++) {
        Kernel k = *v->k;
        if (tiles[i].rows > v->rows) continue;
        k.schedule.mr = tiles[i].rows;
        k.schedule.nv = tiles[i].vectors;
        schedule_blocks(&k, &v->m->dims, v->target, v->arena);
        propose(v, &k);
    }
}

/* A single row, and few rows that can never be as many as a tile has, take flat tiles. */
static void propose_flat(Variants *v) {
    static const int widths[] = {2, 4, 6, 8, 12, 16};
    for (int i = 0; i < (int)(sizeof widths / sizeof *widths); i++) {
        Kernel k = *v->k;
        KSchedule *s = &k.schedule;
        if (v->rows > 1 && v->rows >= s->mr) return;
        if (s->mr == 1) s->mr = 2;
        s->mc = round_up(s->mc, s->mr);
        s->skinny_nv = widths[i];
        int64_t width = (int64_t)s->nv * s->lanes, wide = (int64_t)s->skinny_nv * s->lanes;
        if (s->nc < wide) s->nc = round_up(wide, width);
        propose(v, &k);
        s->skinny_nc = 0;
        propose(v, &k);
    }
}

/* ---------------------------------------------------------------------------- packing */

static void propose_ways(Variants *v, bool rows_a, bool pack_a, bool pack_b) {
    Kernel k = *v->k;
    KSchedule *s = &k.schedule;
    s->rows_a = rows_a;
    s->pack_a = pack_a;
    s->pack_b = pack_b;
    if (pack_b) s->skip_b = false;
    if (rows_a && s->mr > v->target->row_pointers) s->mr = v->target->row_pointers;
    schedule_join(&k, &v->m->dims, v->arena);
    schedule_blocks(&k, &v->m->dims, v->target, v->arena);
    propose(v, &k);
}

static void propose_packing(Variants *v) {
    const KSchedule *s = &v->k->schedule;
    bool apart = v->k->schedule.skip_b; /* what is skipped now */
    if (!apart) propose_ways(v, s->rows_a, s->pack_a, !s->pack_b);
    if (s->skip_a) return;
    propose_ways(v, false, !s->pack_a, s->pack_b);
    if (!apart) propose_ways(v, false, !s->pack_a, !s->pack_b);
    if (!s->rows_a) propose_ways(v, true, false, s->pack_b);
}

/* ----------------------------------------------------------------------------- blocks */

static void propose_columns(Variants *v, int64_t nc) {
    Kernel k = *v->k;
    int64_t width = (int64_t)k.schedule.nv * k.schedule.lanes;
    k.schedule.nc = clamp(nc / width * width, width, round_up(v->columns, width));
    propose(v, &k);
}

static void propose_rows(Variants *v, int64_t mc) {
    Kernel k = *v->k;
    int64_t mr = k.schedule.mr;
    k.schedule.mc = clamp(mc / mr * mr, mr, round_up(v->rows, mr));
    propose(v, &k);
}

static void propose_depth(Variants *v, int64_t most) {
    Kernel k = *v->k;
    int64_t depth = kernel_most_points(&k, AXIS_K);
    k.schedule.kc = most < depth ? kernel_best_cut(&k, &v->m->dims, v->arena, most) : 0;
    if (k.schedule.kc >= depth) k.schedule.kc = 0;
    propose(v, &k);
}

static void propose_blocks(Variants *v) {
    enum { LONGEST = 1 << 24, SHORTEST = 128 };
    const KSchedule *s = &v->k->schedule;
    int64_t width = (int64_t)s->nv * s->lanes, depth = kernel_most_points(v->k, AXIS_K);
    const int64_t columns[] = {s->nc / 2, s->nc * 2, s->nc * 4, width, LONGEST};
    const int64_t rows[] = {s->mc / 2, s->mc * 2, s->mc * 4, LONGEST};
    for (int i = 0; i < 5; i++) propose_columns(v, columns[i]);
    for (int i = 0; i < 4; i++) propose_rows(v, rows[i]);
    int64_t kc = s->kc ? s->kc : depth;
    if (kc / 2 >= SHORTEST) propose_depth(v, kc / 2);
    if (s->kc) propose_depth(v, kc * 2);
    if (s->kc) propose_depth(v, depth);
}

/* ------------------------------------------------------------------------------- all */

Schedules schedule_variants(KModule *m, Kernel *k, const Target *target, int tiles, Arena *arena) {
    Variants v = {.m = m, .k = k, .target = target, .arena = arena};
    if (kernel_sums_lanes(k)) return v.found; /* tiles of another kind, chosen among all that there are */
    v.rows = clamp(kernel_joined_extent(k, &m->dims, AXIS_M, k->schedule.m_axes)->upper, 1, 1 << 24);
    v.columns = clamp(kernel_joined_extent(k, &m->dims, AXIS_N, k->schedule.n_axes)->upper, 1, 1 << 24);
    v.others = (double)kernel_most_points(k, AXIS_BATCH) * (double)kernel_most_points(k, AXIS_M) / (double)v.rows *
               (double)kernel_most_points(k, AXIS_N) / (double)v.columns;
    if (tiles) {
        propose_tiles(&v, tiles);
        return v.found;
    }
    propose_packing(&v);
    propose_blocks(&v);
    propose_flat(&v);
    return v.found;
}
