/* contestant.h - what bench/run.sh asks of every program that it times.
 *
 * A contestant prints "ready NAME", or "absent WHY" and ends. Then it reads lines; for each it runs one block and
 * prints the nanoseconds that one call took in it, on average. A block repeats the call, first untimed for WARM_NS,
 * because the other contestants ran in between and the caches are theirs, then for at least TIMED_NS. */
#ifndef CONTESTANT_H
#define CONTESTANT_H

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define WARM_NS 10e6
#define TIMED_NS 40e6

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

/* Serves until the end of input. Returns the program's exit status. */
static inline int contestant_serve(const char *name, ContestantCall *call, void *user) {
    char line[16];
    printf("ready %s\n", name);
    fflush(stdout);
    while (fgets(line, sizeof line, stdin)) {
        contestant_repeat(call, user, WARM_NS);
        printf("%.1f\n", contestant_repeat(call, user, TIMED_NS));
        fflush(stdout);
    }
    return 0;
}

static inline int contestant_absent(const char *why) {
    printf("absent %s\n", why);
    return 0;
}

/* Memory as a program would hold its data: aligned, filled with values between -0.5 and 0.5. */
static inline float *contestant_floats(size_t count) {
    float *p = aligned_alloc(64, (count * sizeof *p + 63) / 64 * 64);
    for (size_t i = 0; p && i < count; i++) p[i] = (float)rand() / (float)RAND_MAX - 0.5f;
    return p;
}

#endif
