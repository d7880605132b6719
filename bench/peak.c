/* peak - what the processor could do at best: the ceilings that results are held against.
 *
 * peak fma FLOP THREADS: a "call" is FLOP floating-point operations, as f32 multiply-adds on registers; of more than
 * FLOP_MAX a part is done and scaled up.
 * peak read BYTES THREADS: a call reads BYTES bytes once, in sequence, and adds them up; they stay where a
 * network's weights stay between calls, in the outermost cache they fit in.
 * Build with -O3 -march=native. Each thread does its share; a call ends when all have. */
#include "contestant.h"
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#if defined(__AVX512F__)
#define LANES 16
#define CHAINS 24
#elif defined(__AVX__)
#define LANES 8
#define CHAINS 12
#else
#define LANES 4
#define CHAINS 24
#endif

typedef float Vec __attribute__((vector_size(LANES * 4)));

typedef struct Share {
    const Vec *from; /* null: multiply-adds instead of reading */
    long count;      /* vectors to read, or rounds of CHAINS multiply-adds */
    Vec sum;         /* so that the work cannot be left out */
} Share;

static void share_fma(Share *s) {
    Vec chain[CHAINS], factor = s->sum * 0 + 0.999f, term = s->sum * 0 + 1e-3f;
    for (int i = 0; i < CHAINS; i++) chain[i] = s->sum * 1e-9f + (float)i;
    for (long k = 0; k < s->count; k++) {
#pragma GCC unroll 24
        for (int i = 0; i < CHAINS; i++) chain[i] = chain[i] * factor + term;
    }
    for (int i = 0; i < CHAINS; i++) s->sum += chain[i] * 1e-9f;
}

#define SUMS 4

static void share_read(Share *s) {
    Vec sum[SUMS];
    memset(sum, 0, sizeof sum);
    for (long k = 0; k + SUMS <= s->count; k += SUMS) {
#pragma GCC unroll 4
        for (int i = 0; i < SUMS; i++) sum[i] += s->from[k + i];
    }
    for (int i = 0; i < SUMS; i++) s->sum += sum[i];
}

#define THREADS_MAX 64
#define FLOP_MAX 1e9

typedef struct Work {
    int threads;
    atomic_int turn, done; /* calls begun; helpers that are through with theirs */
    Share share[THREADS_MAX];
} Work;

static Work work;

static void share_run(Share *s) {
    if (s->from) share_read(s);
    else share_fma(s);
}

/* A helper waits for the next call by looking, as short calls need. It ends with the program. */
static void *helper_run(void *share) {
    for (int seen = 0;;) {
        int turn = atomic_load(&work.turn);
        if (turn == seen) {
            sched_yield();
            continue;
        }
        seen = turn;
        share_run(share);
        atomic_fetch_add(&work.done, 1);
    }
    return NULL;
}

static void work_call(void *user) {
    (void)user;
    atomic_store(&work.done, 0);
    atomic_fetch_add(&work.turn, 1);
    share_run(&work.share[0]);
    while (atomic_load(&work.done) < work.threads - 1) sched_yield();
}

int main(int argc, char **argv) {
    double amount = argc > 2 ? atof(argv[2]) : 0;
    int reading = argc > 1 && !strcmp(argv[1], "read");
    work.threads = argc > 3 ? atoi(argv[3]) : 1;
    if (argc < 3 || amount < 1 || work.threads < 1 || work.threads > THREADS_MAX) return contestant_absent("usage");
    double scale = !reading && amount > FLOP_MAX ? amount / FLOP_MAX : 1;
    amount /= scale;
    long vectors = (long)(amount / sizeof(Vec) / work.threads);
    const Vec *data = reading ? (const Vec *)contestant_floats((size_t)(amount / sizeof(float)) + LANES) : NULL;
    for (int i = 0; i < work.threads; i++) {
        work.share[i].from = data ? data + i * vectors : NULL;
        work.share[i].count = data ? vectors : (long)(amount / (2.0 * CHAINS * LANES) / work.threads);
    }
    for (int i = 1; i < work.threads; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, helper_run, &work.share[i])) return contestant_absent("no threads");
    }
    return contestant_serve(reading ? "reading" : "FMA", work_call, NULL, scale);
}
