/* sweep [FUNCTION ...] [--target NAME[,NAME...]] [--sample N] [--threads N] [--speed]
 *
 * Runs the elementary f32 functions of every target that this processor can run (or of those named) over
 * all 2^32 operands, with --sample N over every Nth and all near the ends of f32's ranges, and functions of
 * two operands over 2^30 / N pairs. Prints the greatest error against libm's double functions, in units in
 * the last place. Then checks every element function of every type against elementwise.def's references,
 * on edges. Fails if an error is above what the table promises. --speed measures instead. */
#include "check.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#if defined __x86_64__
static bool can_run_v4(void) { return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
                                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw"); }
static bool can_run_v3(void) { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
static bool can_run_v2(void) { return __builtin_cpu_supports("sse4.2"); }
#endif
static bool can_run_any(void) { return true; }

static const struct {
    const char *name;
    const ElementEntry *entries;
    bool (*can_run)(void);
} targets[] = {
#if defined __x86_64__
    {"v4", elements_v4, can_run_v4}, {"v3", elements_v3, can_run_v3}, {"v2", elements_v2, can_run_v2},
    {"v1", elements_v1, can_run_any},
#else
    {"neon", elements_neon, can_run_any},
#endif
};
enum { TARGETS = (int)(sizeof targets / sizeof *targets), BLOCK = 4096, MOST_THREADS = 64 };

typedef struct Options {
    uint64_t sample;
    int threads;
    bool speed;
    const char *target;        /* null: all */
    int names;
    char **name;
} Options;

static bool uses_target(const Options *o, int t) {
    return targets[t].can_run() && (!o->target || strstr(o->target, targets[t].name));
}

/* ----------------------------------------------------------------------- one function */

typedef struct Worst {
    double error;
    float x, y, got;
} Worst;

typedef struct Work {
    MapFn map;
    const ElementEntry *entry[TARGETS];  /* null: not this target */
    uint64_t begin, end, step; /* operand numbers */
    Worst worst[TARGETS];
} Work;

/* Sets the f32 entries whose vectors fill a register: the second of three, or of two, numbers of lanes. */
static void find_entries(const Options *o, Work *w) {
    for (int t = 0; t < TARGETS; t++) {
        w->entry[t] = NULL;
        for (const ElementEntry *e = targets[t].entries; uses_target(o, t) && e->map >= 0 && !w->entry[t]; e++)
            if (e->map == (int)w->map && e->t == DTYPE_F32 && e->lanes > 1) w->entry[t] = e;
    }
}

static float float_of(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static uint64_t mix(uint64_t x) {
    x = (x ^ x >> 31) * UINT64_C(0x7fb5d329728ea185);
    x = (x ^ x >> 27) * UINT64_C(0x81dadef4bc2dd44d);
    return x ^ x >> 33;
}

/* 0 .. 1, of 24 bits. */
static float fraction(uint64_t bits) { return (float)(bits & 0xffffff) * 0x1p-24f; }

/* Ways to draw a pair from 64 random bits; the uppermost 8 choose the way. */
static void draw_pair(uint64_t r, float *x, float *y) {
    float any = float_of((uint32_t)r), one = fraction(r), two = fraction(r >> 24);
    switch (r >> 56 & 7) {
    case 0:
    case 1: *x = any, *y = float_of((uint32_t)(r >> 24)); break;
    case 2: *x = 1 + (one - 0.5f) * 0x1p-8f, *y = (2 * two - 1) * 32768; break;       /* powers of all sizes */
    case 3: *x = float_of((uint32_t)r & 0x83ffffff) * 0x1p63f, *y = (float)((int)(r >> 40) % 64 - 32); break;
    case 4: *x = one * 16, *y = (2 * two - 1) * 32; break;
    case 5: *x = any, *y = any * (0.0625f + two); break;                              /* of like size, any size */
    case 6:                                                                           /* near a whole quotient */
        *y = any;
        *x = any * (float)(r >> 48 & 0xff) + any * (one - 0.5f) * 0x1p-16f;
        break;
    default:                                                                   /* powers at the ends */
        *x = 0.001f + one * 64;
        *y = (r >> 55 & 1 ? -152 + 28 * two : 126 + 4 * two) / log2f(*x);   /* NaN, infinite: fine */
    }
    if (r >> 59 & 1) *y = -*y;
}

/* Operands number i of a function of two: edges with edges first, then pairs of several sorts. */
static void pair_of(uint64_t i, float *x, float *y) {
    static const float edges[] = {0, 0.5f, 1, 1.5f, 2, 3, 4, 5, 16777215, 16777216, 16777218, 8388607.5f, 0x1p-126f,
                                  0x1p-149f, 0x1.fffffep127f, INFINITY, NAN, 0x1.fffffep-1f, 0x1.000002p0f, 1e30f,
                                  126, 127, 128, 149, 150, 0.25f, 0x3p-149f, 0x7p-149f};
    enum { COUNT = 2 * (int)(sizeof edges / sizeof *edges) };
    if (i < (uint64_t)COUNT * COUNT) {
        int a = (int)(i / COUNT), b = (int)(i % COUNT);
        *x = copysignf(edges[a / 2], a % 2 ? -1 : 1);
        *y = copysignf(edges[b / 2], b % 2 ? -1 : 1);
    } else {
        draw_pair(mix(i), x, y);
    }
}

static void operands_of(const Work *w, uint64_t i, float *x, float *y) {
    if (map_info[w->map].arity == 2) pair_of(i, x, y);
    else *x = float_of((uint32_t)i), *y = 0;
}

static void compare_block(Work *w, const float *x, const float *y, const double *right, int n) {
    float got[BLOCK];
    for (int t = 0; t < TARGETS; t++) {
        if (!w->entry[t]) continue;
        w->entry[t]->loop(x, y, NULL, got, n);
        for (int i = 0; i < n; i++) {
            double error = ulp_error(got[i], right[i]);
            if (error > w->worst[t].error) w->worst[t] = (Worst){error, x[i], y[i], got[i]};
        }
    }
}

static void *sweep_range(void *argument) {
    Work *w = argument;
    static _Thread_local float x[BLOCK], y[BLOCK];
    static _Thread_local double right[BLOCK];
    for (uint64_t at = w->begin; at < w->end; at += BLOCK * w->step) {
        for (int i = 0; i < BLOCK; i++) {
            operands_of(w, at + (uint64_t)i * w->step, &x[i], &y[i]);
            right[i] = map_eval_float(w->map, (const double[]){(double)x[i], (double)y[i]});
        }
        compare_block(w, x, y, right, BLOCK);
    }
    return NULL;
}

static void merge(Work *into, const Work *from) {
    for (int t = 0; t < TARGETS; t++)
        if (from->worst[t].error > into->worst[t].error) into->worst[t] = from->worst[t];
}

static void sweep_threads(Work *all, int threads) {
    Work part[MOST_THREADS];
    pthread_t id[MOST_THREADS];
    uint64_t blocks = (all->end - all->begin + BLOCK * all->step - 1) / (BLOCK * all->step);
    for (int i = 0; i < threads; i++) {
        part[i] = *all;
        part[i].begin = all->begin + blocks * (uint64_t)i / (uint64_t)threads * BLOCK * all->step;
        part[i].end = all->begin + blocks * (uint64_t)(i + 1) / (uint64_t)threads * BLOCK * all->step;
        if (pthread_create(&id[i], NULL, sweep_range, &part[i])) exit(2);
    }
    for (int i = 0; i < threads; i++) {
        pthread_join(id[i], NULL);
        merge(all, &part[i]);
    }
}

/* ------------------------------------------------------------------------ all functions */

/* Functions of which the table promises a number of ULPs, and exact ones of two operands worth pairs. */
static bool is_wanted(const Options *o, MapFn f) {
    if (map_info[f].ulp == 0 && f != MAP_remainder && f != MAP_sqrt) return false;
    for (int i = 0; i < o->names; i++)
        if (!strcmp(o->name[i], map_info[f].name)) return true;
    return o->names == 0;
}

/* A BLOCK of operands on each side of the places where f32 changes its ways: 0, the least normal number, 1,
 * infinity, of both signs. */
static void sweep_ends(Work *w) {
    static const uint32_t place[] = {0, 0x00800000, 0x3f800000, 0x7f800000};
    for (int i = 0; i < 8; i++) {
        uint64_t middle = place[i / 2] | (i % 2 ? UINT64_C(0x80000000) : 0);
        Work near = *w;
        near.begin = middle < BLOCK ? 0 : middle - BLOCK;
        near.end = middle + BLOCK;
        near.step = 1;
        sweep_range(&near);
        merge(w, &near);
    }
}

static bool sweep_function(const Options *o, MapFn f) {
    enum { PAIRS = 1 << 30 };
    const MapInfo *info = &map_info[f];
    bool fine = true, pairs = info->arity == 2;
    Work w = {.map = f, .end = pairs ? PAIRS / o->sample : UINT64_C(1) << 32, .step = pairs ? 1 : o->sample};
    find_entries(o, &w);
    sweep_threads(&w, o->threads);
    if (!pairs) sweep_ends(&w);
    for (int t = 0; t < TARGETS; t++) {
        const Worst *worst = &w.worst[t];
        double allowed = info->ulp > 0 ? info->ulp : 0.5;
        bool good = worst->error <= allowed;
        if (!w.entry[t]) continue;
        printf("%-10s %-5s %8.4f ULP at %a", info->name, targets[t].name, worst->error, (double)worst->x);
        if (pairs) printf(", %a", (double)worst->y);
        printf(": %a%s\n", (double)worst->got, good ? "" : "  TOO MUCH");
        fflush(stdout);
        fine = fine && good;
    }
    return fine;
}

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* The best of several runs over operands in the first-level cache, 0.01 .. 4. */
static void print_speed(const Options *o, MapFn f) {
    enum { RUNS = 20, REPEATS = 500 };
    static float x[BLOCK], y[BLOCK];
    Work w = {.map = f};
    find_entries(o, &w);
    for (int i = 0; i < BLOCK; i++) x[i] = 0.01f + (float)(i * 7919 % BLOCK) * (4.0f / BLOCK);
    for (int t = 0; t < TARGETS; t++) {
        double best = INFINITY;
        if (!w.entry[t]) continue;
        for (int run = 0; run < RUNS; run++) {
            double start = seconds();
            for (int i = 0; i < REPEATS; i++) w.entry[t]->loop(x, x, NULL, y, BLOCK);
            best = fmin(best, seconds() - start);
        }
        printf("%-10s %-5s %8.2f G/s\n", map_info[f].name, targets[t].name, (double)BLOCK * REPEATS / best * 1e-9);
    }
}

static bool read_options(Options *o, int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        bool more = i + 1 < argc;
        if (!strcmp(argv[i], "--sample") && more) o->sample = strtoull(argv[++i], NULL, 10);
        else if (!strcmp(argv[i], "--threads") && more) o->threads = atoi(argv[++i]);
        else if (!strcmp(argv[i], "--target") && more) o->target = argv[++i];
        else if (!strcmp(argv[i], "--speed")) o->speed = true;
        else if (argv[i][0] != '-') o->name[o->names++] = argv[i];
        else return false;
    }
    return o->sample > 0 && o->threads > 0 && o->threads <= MOST_THREADS;
}

int main(int argc, char **argv) {
    char *names[MAP_COUNT];
    Options o = {.sample = 1, .threads = 2, .name = names};
    int wrong = 0, checked = 0;
    if (argc > MAP_COUNT || !read_options(&o, argc, argv)) {
        fprintf(stderr, "usage: sweep [FUNCTION ...] [--target NAMES] [--sample N] [--threads N] [--speed]\n");
        return 2;
    }
    for (int f = 0; f < MAP_COUNT; f++) {
        if (!is_wanted(&o, (MapFn)f)) continue;
        if (o.speed) print_speed(&o, (MapFn)f);
        else wrong += !sweep_function(&o, (MapFn)f);
    }
    for (int t = 0; t < TARGETS && !o.speed && !o.names; t++)
        if (uses_target(&o, t)) wrong += check_entries(targets[t].entries, targets[t].name, &checked);
    if (!o.speed) printf("%d functions wrong; %d checked on edges\n", wrong, checked);
    return wrong != 0;
}
