/* contestant.h - what bench/run.sh asks of every program that it times.
 *
 * A contestant prints "ready EMPTY NAME", EMPTY being the nanoseconds of a call that computes nothing (0 in C), or
 * "absent WHY" and ends. Then it reads lines; for each it runs one block and prints the nanoseconds that one call took
 * in it, on average. A block repeats the call, first untimed for WARM_NS, because the other contestants ran in between
 * and the caches are theirs, then for at least TIMED_NS. A call that takes longer than LONG_NS is a block of its own.
 * Told "end" it prints the kilobytes that it came to hold beyond what it held at contestant_mark(), or 0 if that is
 * not known. */
#ifndef CONTESTANT_H
#define CONTESTANT_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define WARM_NS 4e6
#define TIMED_NS 16e6
#define LONG_NS 20e6

typedef void ContestantCall(void *user);

static inline double contestant_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return 1e9 * (double)t.tv_sec + (double)t.tv_nsec;
}

/* Repeats the call until `budget` nanoseconds have gone by. Returns nanoseconds a call. */
static inline double contestant_repeat(ContestantCall *call, void *user, double budget) {
    double start = contestant_now(), gone;
    long calls = 0;
    do {
        call(user);
        calls++;
    } while ((gone = contestant_now() - start) < budget);
    return gone / (double)calls;
}

/* Kilobytes on the line of /proc/self/status that starts with `field`; 0 where there is none. */
static inline long contestant_kilobytes(const char *field) {
    char line[128];
    long found = 0;
    FILE *file = fopen("/proc/self/status", "r");
    while (file && fgets(line, sizeof line, file)) {
        if (!strncmp(line, field, strlen(field))) found = atol(line + strlen(field));
    }
    if (file) fclose(file);
    return found;
}

static long contestant_marked;

static inline void contestant_mark(void) { contestant_marked = contestant_kilobytes("VmRSS:"); }

/* Serves until told to end; what it prints is `scale` times the call. Returns the program's exit status. */
static inline int contestant_serve(const char *name, ContestantCall *call, void *user, double scale) {
    char line[16];
    double ns = contestant_repeat(call, user, 0);
    printf("ready 0 %s\n", name);
    fflush(stdout);
    while (fgets(line, sizeof line, stdin) && strncmp(line, "end", 3)) {
        if (ns < LONG_NS) contestant_repeat(call, user, WARM_NS);
        ns = contestant_repeat(call, user, TIMED_NS);
        printf("%.1f\n", ns * scale);
        fflush(stdout);
    }
    printf("%ld\n", contestant_marked ? contestant_kilobytes("VmHWM:") - contestant_marked : 0);
    return 0;
}

/* The least nanoseconds of a few short blocks, to choose between two ways of doing the same. */
static inline double contestant_best(ContestantCall *call, void *user) {
    double best = contestant_repeat(call, user, TIMED_NS);
    for (int i = 0; i < 4; i++) {
        double ns = contestant_repeat(call, user, TIMED_NS / 4);
        if (ns < best) best = ns;
    }
    return best;
}

static inline int contestant_absent(const char *why) {
    printf("absent %s\n", why);
    return 0;
}

/* The value that "m=128,n=64" gives the name, or `otherwise`. */
static inline long contestant_number(const char *given, const char *name, long otherwise) {
    size_t length = strlen(name);
    for (const char *at = given; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL) {
        if (!strncmp(at, name, length) && at[length] == '=') return atol(at + length + 1);
    }
    return otherwise;
}

/* Memory as a program would hold its data: aligned, filled with values between -0.5 and 0.5. */
static inline float *contestant_floats(size_t count) {
    float *p = aligned_alloc(64, (count * sizeof *p + 63) / 64 * 64);
    for (size_t i = 0; p && i < count; i++) p[i] = (float)rand() / (float)RAND_MAX - 0.5f;
    return p;
}

#endif
