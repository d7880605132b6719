/* threads.c - the pool of an open model: one parallel piece of work at a time, statically partitioned.
 *
 * In: a task and a number of items. Out: the task done for all of them, by the caller and threads-1
 * workers, worker w taking items [n*w/threads, n*(w+1)/threads). Which worker takes what never changes a
 * result, so whenever the workers cannot help - another context has them, this is a child process, the
 * build has no threads - the caller does everything itself.
 *
 * A worker spins for about 40 microseconds on the epoch, a counter in its own cache line, and then parks
 * on it (a futex on Linux, elsewhere a condition variable). The caller spins and parks in the same way on
 * the number of workers still at it. Nothing here is a lock around work: the only mutual exclusion is the
 * flag that says whose the pool is.
 *
 * Fork: the pool remembers the process it was made in. dlrt_pool_alive compares (one getpid a call, and
 * only with more than one thread); no handler is registered, so nothing outlives a dlclose.
 *
 * A task must not call frame->parallel: workers share one scratch index each. Signals are blocked in
 * workers, so that the host's handlers run in the host's threads.
 */
#include "core.h"

static void run_alone(const DlrtFrame *frame, DlrtTask *task, const void *kernel_args, int64_t items) {
    task(frame, kernel_args, 0, items, 0);
}

#ifdef DLRT_NO_THREADS

DlrtStatus dlrt_pool_create(const DlrtAllocator *a, int32_t threads, Pool **pool, Message *m) {
    (void)a, (void)threads, (void)m;
    *pool = NULL;
    return DLRT_OK;
}

void dlrt_pool_destroy(const DlrtAllocator *a, Pool *pool) {
    (void)a, (void)pool;
}

bool dlrt_pool_alive(const Pool *pool) {
    (void)pool;
    return false;
}

void dlrt_parallel(const DlrtFrame *frame, DlrtTask *task, const void *kernel_args, int64_t items) {
    if (items > 0) run_alone(frame, task, kernel_args, items);
}

#else

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#if defined(__linux__) && !defined(DLRT_NO_FUTEX)
#define USE_FUTEX 1
#include <linux/futex.h>
#include <sys/syscall.h>
#endif

#define SPIN_NANOSECONDS 40000

typedef struct Worker {
    Pool *pool;
    pthread_t thread;
    int32_t index;
} Worker;

struct Pool {
    _Alignas(DLRT_ALIGN) _Atomic uint32_t epoch;   /* one more for each piece of work, and for the end */
    _Alignas(DLRT_ALIGN) _Atomic uint32_t working; /* workers that have not finished the current one */
    _Alignas(DLRT_ALIGN) _Atomic int32_t taken;    /* a context has the pool */
    _Atomic int32_t parked;                        /* workers asleep on epoch */
    _Atomic int32_t caller_parked;
    _Atomic int32_t stop;
    int32_t threads, started;
    pid_t process;
    size_t bytes;
#ifndef USE_FUTEX
    pthread_mutex_t mutex;
    pthread_cond_t changed;
#endif
    _Alignas(DLRT_ALIGN) const DlrtFrame *frame; /* the current work; published by epoch */
    DlrtTask *task;
    const void *kernel_args;
    int64_t items;
    Worker workers[];
};

/* ---- parking: sleep while *word is `value`; wake all who sleep on it. */
#ifdef USE_FUTEX
static void sleep_on(Pool *pool, _Atomic uint32_t *word, uint32_t value) {
    (void)pool;
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

static void wake_all(Pool *pool, _Atomic uint32_t *word) {
    (void)pool;
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 0x7fffffff, NULL, NULL, 0);
}
#else
static void sleep_on(Pool *pool, _Atomic uint32_t *word, uint32_t value) {
    pthread_mutex_lock(&pool->mutex);
    while (atomic_load(word) == value) pthread_cond_wait(&pool->changed, &pool->mutex);
    pthread_mutex_unlock(&pool->mutex);
}

static void wake_all(Pool *pool, _Atomic uint32_t *word) {
    (void)word;
    pthread_mutex_lock(&pool->mutex);
    pthread_cond_broadcast(&pool->changed);
    pthread_mutex_unlock(&pool->mutex);
}
#endif

static void relax(void) {
#if defined(__x86_64__) || defined(__i386__)
    __asm__ volatile("pause");
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static int64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Spins until *word is no longer `value`, for a while at most. */
static bool spin_while(_Atomic uint32_t *word, uint32_t value) {
    int64_t until = 0;
    for (uint32_t i = 1;; i++) {
        if (atomic_load_explicit(word, memory_order_acquire) != value) return true;
        relax();
        if (i % 64) continue;
        int64_t t = now();
        if (!until)
            until = t + SPIN_NANOSECONDS;
        else if (t > until)
            return false;
    }
}

static void do_share(Pool *pool, int32_t worker) {
    int64_t n = pool->items, threads = pool->threads;
    int64_t begin = n / threads * worker + n % threads * worker / threads;
    int64_t end = n / threads * (worker + 1) + n % threads * (worker + 1) / threads;
    if (begin < end) pool->task(pool->frame, pool->kernel_args, begin, end, worker);
}

static uint32_t next_epoch(Pool *pool, uint32_t seen) {
    while (!spin_while(&pool->epoch, seen)) {
        atomic_fetch_add(&pool->parked, 1);
        while (atomic_load(&pool->epoch) == seen) sleep_on(pool, &pool->epoch, seen);
        atomic_fetch_sub(&pool->parked, 1);
    }
    return seen + 1;
}

static void *work(void *argument) {
    Worker *worker = argument;
    Pool *pool = worker->pool;
    for (uint32_t seen = 0;;) {
        seen = next_epoch(pool, seen);
        if (atomic_load(&pool->stop)) return NULL;
        do_share(pool, worker->index);
        if (atomic_fetch_sub(&pool->working, 1) == 1 && atomic_load(&pool->caller_parked))
            wake_all(pool, &pool->working);
    }
}

/* Sequentially consistent: either the worker sees the new epoch before it sleeps, or this sees it parked. */
static void announce(Pool *pool) {
    atomic_fetch_add(&pool->epoch, 1);
    if (atomic_load(&pool->parked)) wake_all(pool, &pool->epoch);
}

static void wait_for_workers(Pool *pool) {
    for (uint32_t left; (left = atomic_load(&pool->working)) != 0;) {
        if (spin_while(&pool->working, left)) continue;
        atomic_store(&pool->caller_parked, 1);
        if (atomic_load(&pool->working) == left) sleep_on(pool, &pool->working, left);
        atomic_store(&pool->caller_parked, 0);
    }
}

void dlrt_parallel(const DlrtFrame *frame, DlrtTask *task, const void *kernel_args, int64_t items) {
    Pool *pool = frame->pool;
    if (items <= 0) return;
    if (!pool || items == 1 || atomic_exchange_explicit(&pool->taken, 1, memory_order_acquire)) {
        run_alone(frame, task, kernel_args, items);
        return;
    }
    pool->frame = frame;
    pool->task = task;
    pool->kernel_args = kernel_args;
    pool->items = items;
    atomic_store(&pool->working, (uint32_t)(pool->threads - 1));
    announce(pool);
    do_share(pool, 0);
    wait_for_workers(pool);
    atomic_store_explicit(&pool->taken, 0, memory_order_release);
}

bool dlrt_pool_alive(const Pool *pool) {
    return pool && pool->process == getpid();
}

static int start_worker(Pool *pool, int32_t index) {
    Worker *w = &pool->workers[index - 1];
    sigset_t all, before;
    w->pool = pool;
    w->index = index;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&w->thread, NULL, work, w);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

DlrtStatus dlrt_pool_create(const DlrtAllocator *a, int32_t threads, Pool **result, Message *m) {
    *result = NULL;
    if (threads <= 1) return DLRT_OK;
    size_t bytes = sizeof(Pool) + (size_t)(threads - 1) * sizeof(Worker);
    Pool *pool = dlrt_allocate(a, bytes);
    if (!pool) return dlrt_out_of_memory(m, (int64_t)bytes);
    memset(pool, 0, bytes);
    pool->bytes = bytes;
    pool->threads = threads;
    pool->process = getpid();
#ifndef USE_FUTEX
    pthread_mutex_init(&pool->mutex, NULL);
    pthread_cond_init(&pool->changed, NULL);
#endif
    for (int32_t i = 1; i < threads; i++) {
        if (start_worker(pool, i)) {
            dlrt_say(m, "thread %d of %d could not be started", i + 1, threads);
            dlrt_pool_destroy(a, pool);
            return DLRT_ERR_MEMORY;
        }
        pool->started = i;
    }
    *result = pool;
    return DLRT_OK;
}

void dlrt_pool_destroy(const DlrtAllocator *a, Pool *pool) {
    if (!pool) return;
    if (dlrt_pool_alive(pool)) {
        atomic_store(&pool->stop, 1);
        announce(pool);
        for (int32_t i = 0; i < pool->started; i++) pthread_join(pool->workers[i].thread, NULL);
#ifndef USE_FUTEX
        pthread_cond_destroy(&pool->changed);
        pthread_mutex_destroy(&pool->mutex);
#endif
    }
    dlrt_release(a, pool, pool->bytes);
}

#endif
