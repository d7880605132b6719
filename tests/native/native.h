/* Native against reference: compiles IR text through the whole back end, opens the object and compares what its
 * functions compute with the f64 interpreter run on the text as it was before any pass.
 *
 *     Native *n = native_open("module @m func @f(...) {...}", NULL, 1);
 *     native_check(n, "f", (int64_t[]){7}, 1e-6);
 *     native_close(n);
 */
#ifndef DLCC_TESTS_NATIVE_H
#define DLCC_TESTS_NATIVE_H

#include "dlrt.h"
#include "interp/interp.h"

typedef struct Native Native;

typedef struct NativeOptions {
    const char *cpu;           /* null: the host's */
    int threads;
    const char *level;         /* "0" to "3"; null: "2" */
    const char *skip;          /* a pass that is left out, or null */
    const char *live;          /* computes values again, so that so many bytes are alive at once; null: does not */
    const char *keep;          /* functions that need as many bytes compute again what costs little; null: by default */
    /* Every kernel's work is divided as finely as can be, and calls are repeated on 1 and 2 threads less: the results
     * must agree bit for bit. */
    bool divide;
    bool unchained;            /* with `divide`: calls are repeated with an object in which no kernels run slice by slice
                                * together, as with `divide` all do that can */
    const double *tolerances;  /* by element type of a result, instead of the one that native_check is given */
    /* Results may be off by what rounding explains (bound.h), instead of a tolerance; optimizers' and other states are
     * drawn from 0.25 up. */
    bool sampled;
    bool round;                /* the reference rounds every operation's results to their type */
    /* Sets the arguments of a call; null: floats at random in -2 .. 2, integers below int_limit. */
    void (*fill)(Native *n, void *user, Tensor *const *args, int count);
    void *user;
} NativeOptions;

enum { NATIVE_MOST = 4 };      /* models opened of one object */

struct Native {
    Arena arena, scratch;
    jmp_buf out_of_memory;
    Interner names;
    Diags diags;
    Module *module;            /* as read */
    Interp *interp;
    DlrtModel *model;
    DlrtContext *context;
    DlrtModel *models[NATIVE_MOST];        /* [0] is `model`; further ones with fewer threads */
    DlrtContext *contexts[NATIVE_MOST];
    int model_count;
    NativeOptions options;
    char path[64];
    int64_t int_limit;         /* integers are drawn from 0 .. int_limit-1; 5 */
    double var_low, var_high;  /* float variables between these; -2 and 2 */
    bool by_largest;           /* a tolerance counts relative to the tensor's largest element */
    const char *what;          /* in messages, instead of the function's name; null: that */
    int64_t elements, no_numbers;          /* compared by the bound, and those that are infinite or NaN */
    int64_t written, moved;    /* parameters that calls compared by the bound wrote, and those that changed */
    double worst;              /* largest error seen, relative to the tolerance */
};

/* Compiles for `cpu` (null: the host's). Prints diagnostics and fails the test if the text is wrong. */
Native *native_open(const char *text, const char *cpu, int threads);
/* The same from a model's source; `path` is its name in diagnostics. */
Native *native_open_source(const char *path, const char *text, const char *cpu, int threads);
/* The general way, from IR text and from a source. */
Native *native_open_with(const char *text, const NativeOptions *options);
Native *native_open_source_with(const char *path, const char *text, const NativeOptions *options);
void native_close(Native *n);
/* Calls `func` with random arguments and random variables; `dims` are its free dims, null if it has none. Seed and
 * call count are equal on both sides, the caches as the initializer and earlier calls left them. Every result and
 * every variable must agree within tolerance * (1 + |reference|); integers and bools exactly. */
void native_check(Native *n, const char *func, const int64_t *dims, double tolerance);

/* Deterministic uniform numbers in [0, 1). */
double native_random(uint64_t *state);

#endif
