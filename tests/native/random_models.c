/* Random models: sources in the language by an author (author.h), each compiled and compared with the f64 interpreter
 * run on the graph as no pass has seen it: on 3, 2 and 1 threads bit for bit, and once more in another way - at -O0, at
 * -O3, with a pass left out, with as much recomputed as can be, or for vectors of another width. How far native code may
 * be off is what rounding explains (bound.h).
 *
 * Every check runs in a process of its own, so a crash is a failure like others. What fails is made smaller -
 * functions, results, terms of the loss and statements left out, values turned into arguments - as long as it fails in
 * the same manner, and printed. At the end most parameters must have been moved by training and hardly anything may
 * have been infinite or NaN: else the models test nothing.
 *
 * In the environment: RANDOM_SEED and RANDOM_COUNT say which and how many; RANDOM_SHOW prints the sources;
 * RANDOM_WAY is the other way for all of them; RANDOM_GO_ON reports failures without being made smaller and goes on. */
#include "author.h"
#include "native.h"

#include "ops/ops.h"
#include "pass/pass.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <setjmp.h>
#include <cmocka.h>

enum { SECONDS_MOST = 240, MOST_WAYS = 16, TRIALS_MOST = 400 };

/* What the checks of all models saw; shared with their processes. */
typedef struct Counts {
    _Atomic int64_t elements, no_numbers, written, moved;
} Counts;

static Counts *counts;

/* ------------------------------------------------------------------------------ a check */

/* Floats distinct and evenly apart in -2 .. 2, in an order taken at random; a scalar is a rate of learning. Equal
 * types and shapes get equal numbers whatever stands before them, so that a smaller model sees the same. */
static void fill(Native *n, void *user, Tensor *const *args, int count) {
    uint64_t *random = user, own = ++*random;
    for (int i = 0; i < count; i++) {
        Tensor *t = args[i];
        bool floats = dtype_is_float(t->dtype);
        for (int64_t k = 0; k < t->count; k++) {
            double even = -2 + 4 * ((double)k + 0.5) / (double)t->count;
            if (floats)
                t->at[k].f = t->rank ? number_round(t->dtype, (double)(float)even) : 0.0625;
            else
                t->at[k].i = (int64_t)(native_random(&own) * (t->dtype == DTYPE_BOOL ? 2 : (double)n->int_limit));
        }
        for (int64_t k = t->count - 1; floats && k > 0; k--) {
            int64_t other = (int64_t)(native_random(&own) * (double)(k + 1));
            Number held = t->at[k];
            t->at[k] = t->at[other];
            t->at[other] = held;
        }
    }
}

/* Every function at the least sizes of its dims, at the largest, and between. */
static void check_calls(Native *n, uint64_t seed) {
    int64_t values[8];
    for (int round = 0; round < 3; round++)
        for (int i = 0; i < n->module->funcs.n; i++) {
            const Func *f = n->module->funcs.at[i];
            for (int d = 0; d < f->dims.n; d++) {
                int64_t low = f->dims.at[d]->lower, high = f->dims.at[d]->upper;
                int64_t middle = low + (int64_t)(native_random(&seed) * (double)(high - low + 1));
                values[d] = round == 0 ? low : round == 1 ? high : middle;
            }
            native_check(n, f->name, values, 0);
        }
}

static void check(const char *text, NativeOptions options, uint64_t seed) {
    uint64_t random = seed << 20;
    options.fill = fill;
    options.user = &random;
    options.sampled = true;
    Native *n = native_open_source_with("random.dl", text, &options);
    n->var_low = -1, n->var_high = 1;
    check_calls(n, seed);
    counts->elements += n->elements;
    counts->no_numbers += n->no_numbers;
    counts->written += n->written;
    counts->moved += n->moved;
    native_close(n);
}

/* ---------------------------------------------------------------------- ways to compile */

typedef struct Way {
    const char *name;
    NativeOptions options;
} Way;

static int list_ways(Way *ways) {
    int n = 0, passes;
    ways[n++] = (Way){"1 to 3 threads", {.threads = 3, .divide = true, .keep = "0"}};
    ways[n++] = (Way){"-O0", {.threads = 1, .level = "0"}};
    ways[n++] = (Way){"-O3", {.threads = 1, .level = "3"}};
    const PassInfo *table = pass_table(&passes);
    for (int i = 0; i < passes; i++)
        if (!(table[i].flags & (PASS_NEEDED | PASS_ASKED)))
            ways[n++] = (Way){table[i].name, {.threads = 1, .skip = table[i].name}};
    ways[n++] = (Way){"recompute", {.threads = 1, .live = "0", .keep = "0"}};
#if defined __x86_64__
    ways[n++] = (Way){"AVX2", {.threads = 1, .cpu = "x86-64-v3"}};
#endif
    assert_true(n <= MOST_WAYS);
    return n;
}

/* -------------------------------------------------------------------- processes of their own */

/* What a process wrote about its failure, from where the test's message begins. */
static const char *read_message(FILE *from, Arena *arena) {
    char buffer[65536];
    rewind(from);
    buffer[fread(buffer, 1, sizeof buffer - 1, from)] = 0;
    char *error = strstr(buffer, "ERROR: ");
    char *refused = strstr(buffer, "\nerror["), *end = refused ? strstr(refused + 1, "\n\n") : NULL;
    if (end) *end = 0;
    if (error && (end = strchr(error, '\n'))) *end = 0;
    return arena_printf(arena, "%s%s", error ? error + 7 : buffer, refused ? refused : "");
}

/* A check that runs. */
typedef struct Trial {
    FILE *out;
    pid_t child;
} Trial;

static Trial trial_begin(const char *text, const Way *way, uint64_t seed) {
    Trial t = {.out = tmpfile()};
    assert_non_null(t.out);
    fflush(NULL);
    t.child = fork();
    if (t.child == 0) {
        alarm(SECONDS_MOST);
        dup2(fileno(t.out), 1);
        dup2(fileno(t.out), 2);
        check(text, way->options, seed);
        _exit(0);
    }
    return t;
}

/* Null if all is well, else what is not. */
static const char *trial_end(Arena *arena, Trial t) {
    int status = 0;
    assert_true(t.child > 0 && waitpid(t.child, &status, 0) == t.child);
    const char *message = read_message(t.out, arena);
    fclose(t.out);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return NULL;
    return WIFSIGNALED(status) ? arena_printf(arena, "signal %d %s", WTERMSIG(status), message) : message;
}

static const char *trouble(Arena *arena, const char *text, const Way *way, uint64_t seed) {
    return trial_end(arena, trial_begin(text, way, seed));
}

/* What sort of trouble: a diagnostic's code, a signal, a difference, threads, or the stage that refused. */
static const char *sort_of(Arena *arena, const char *message) {
    static const char *const sorts[] = {"signal", "exception", "threads",   "expected", "status", "reading",
                                        "passes", "lowering",  "kernel IR", "code",     "link"};
    const char *code = strstr(message, "error[");
    if (code) return arena_printf(arena, "%.12s", code);
    for (int i = 0; i < (int)(sizeof sorts / sizeof *sorts); i++)
        if (strstr(message, sorts[i])) return sorts[i];
    return arena_printf(arena, "%.20s", message);
}

/* ------------------------------------------------------------------------ making it smaller */

typedef struct Shrink {
    Arena *arena;
    Story *story;
    const Way *way;
    uint64_t seed;
    const char *sort;
    int trials;
} Shrink;

static bool still_fails(Shrink *k) {
    if (k->trials++ >= TRIALS_MOST) return false;
    const char *message = trouble(k->arena, story_text(k->story, k->arena), k->way, k->seed);
    return message && !strcmp(sort_of(k->arena, message), k->sort);
}

/* Sets it; sets it back if the failure is gone then. Whether it stays. */
static bool try_bool(Shrink *k, bool *what) {
    if (*what) return false;
    *what = true;
    *what = still_fails(k);
    return *what;
}

static bool try_terms(Shrink *k, Term *terms, int n) {
    bool some = false;
    int left = 0;
    for (int i = 0; i < n; i++) left += !terms[i].dropped;
    for (int i = 0; i < n && left > 1; i++)
        if (try_bool(k, &terms[i].dropped)) some = true, left--;
    return some;
}

/* Whether the type can stand in the list of arguments. */
static bool can_be_argument(const Known *v) {
    for (int i = 0; i < v->rank; i++)
        if (!size_fixed(v->shape[i]) && strlen(v->shape[i].text) > 1) return false;
    return v->rank > 0 && !v->argument;
}

/* The statement's values become arguments; else it is left out. */
static bool try_piece(Shrink *k, Piece *p) {
    Story *s = k->story;
    if (p->dropped) return false;
    bool can = p->count > 0, given = true;
    for (int i = 0; i < p->count; i++) {
        can = can && can_be_argument(&s->author->values.at[p->first + i]);
        given = given && s->as_argument[p->first + i];
    }
    if (given && p->count) return false;
    if (can) {
        memset(s->as_argument + p->first, 1, (size_t)p->count);
        if (still_fails(k)) return true;
        memset(s->as_argument + p->first, 0, (size_t)p->count);
    }
    return p->checks && try_bool(k, &p->dropped);
}

static void shrink(Shrink *k) {
    Story *s = k->story;
    s->lean = true;
    if (!still_fails(k)) s->lean = false;
    try_bool(k, &s->no_extra);
    if (!try_bool(k, &s->no_training)) try_bool(k, &s->no_function);
    for (bool some = true; some;) {
        some = try_terms(k, s->results.at, s->results.n);
        some |= try_terms(k, s->losses.at, s->losses.n);
        for (int i = s->author->code.n - 1; i >= 0; i--) some |= try_piece(k, &s->author->code.at[i]);
    }
}

static void report(Arena *arena, Story *story, const Way *way, uint64_t seed, const char *message) {
    print_error("seed %llu, %s: %s\n", (unsigned long long)seed, way->name, message);
    if (getenv("RANDOM_GO_ON")) return;
    Shrink k = {.arena = arena, .story = story, .way = way, .seed = seed, .sort = sort_of(arena, message)};
    shrink(&k);
    print_error("smaller, after %d trials:\n%s\n", k.trials, story_text(story, arena));
    fail_msg("seed %llu, %s: %s", (unsigned long long)seed, way->name,
             trouble(arena, story_text(story, arena), way, seed));
}

/* ----------------------------------------------------------------------------- all models */

static uint64_t setting(const char *name, uint64_t otherwise) {
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 10) : otherwise;
}

/* Whether all was well. */
static bool check_seed(uint64_t seed) {
    Way ways[MOST_WAYS];
    const char *wanted = getenv("RANDOM_WAY");
    int way_count = list_ways(ways), second = 1 + (int)(seed % (uint64_t)(way_count - 1));
    for (int i = 1; wanted && i < way_count; i++)
        if (!strcmp(ways[i].name, wanted)) second = i;
    Arena arena;
    jmp_buf out;
    if (setjmp(out)) fail();
    arena_init(&arena, &out);
    Story *story = story_new(&arena, seed);
    const char *text = story_text(story, &arena);
    if (getenv("RANDOM_SHOW")) puts(text);
    const Way *both[2] = {&ways[0], &ways[second]};
    Trial trials[2];
    const char *messages[2];
    for (int i = 0; i < 2; i++) trials[i] = trial_begin(text, both[i], seed);
    for (int i = 0; i < 2; i++) messages[i] = trial_end(&arena, trials[i]);
    for (int i = 0; i < 2; i++)
        if (messages[i]) report(&arena, story, both[i], seed, messages[i]);
    bool well = !messages[0] && !messages[1];
    arena_reset(&arena);
    return well;
}

/* Models that failed once, made small: a product of dims that looked negative, a mean over padded dims that did not
 * divide, and a sum that cancels, about which only the terms' errors say anything. */
static void found_models(void **state) {
    static const char *const found[] = {
        "dim B <= 9\ndim 2 <= T <= 6\nmodel M {\n    let m1 = MultiheadAttention(4, 2)\n"
        "    export fn f(v0: f32[T, B, 4]) { m1(v0[:-1]) }\n}\n",
        "dim 0 <= G <= 8\nmodel M {\n    let m1 = LayerNorm(3, eps = 0.125)\n"
        "    export fn f(v0: f32[G, 3]) { m1(pad(v0, [2, 0], [2, 0], 0.5)) }\n}\n",
        "model M {\n    export fn f(v0: f32[3, 8, 2]) { sum(tanh(round(v0))) / 49 }\n}\n"};
    Way ways[MOST_WAYS];
    Arena arena;
    jmp_buf out;
    (void)state;
    if (setjmp(out)) fail();
    arena_init(&arena, &out);
    int way_count = list_ways(ways);
    for (int i = 0; i < (int)(sizeof found / sizeof *found); i++)
        for (int w = 0; w < way_count; w++) {
            const char *message = trouble(&arena, found[i], &ways[w], 1);
            if (message) fail_msg("model %d, %s: %s", i, ways[w].name, message);
        }
    arena_reset(&arena);
}

static void random_models(void **state) {
    (void)state;
    uint64_t first = setting("RANDOM_SEED", 1), count = setting("RANDOM_COUNT", 150), failed = 0;
    memset(counts, 0, sizeof *counts);
    for (uint64_t seed = first; seed < first + count; seed++) failed += !check_seed(seed);
    print_message(
        "seeds %llu to %llu: %llu failed; %lld of %lld elements are no numbers, %lld of %lld parameters moved\n",
        (unsigned long long)first, (unsigned long long)(first + count - 1), (unsigned long long)failed,
        (long long)counts->no_numbers, (long long)counts->elements, (long long)counts->moved,
        (long long)counts->written);
    assert_int_equal(failed, 0);
    if (count < 20) return;
    assert_true(counts->no_numbers * 1000 <= counts->elements);
    assert_true(counts->moved * 10 >= counts->written * 9);
}

static int share_counts(void **state) {
    (void)state;
    FILE *shared = tmpfile();
    if (!shared || ftruncate(fileno(shared), sizeof *counts)) return -1;
    counts = mmap(NULL, sizeof *counts, PROT_READ | PROT_WRITE, MAP_SHARED, fileno(shared), 0);
    return counts == MAP_FAILED;
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(found_models), cmocka_unit_test(random_models)};
    return cmocka_run_group_tests(tests, share_counts, NULL);
}
