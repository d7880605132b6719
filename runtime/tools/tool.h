/* tool.h - what the files of dlrun share.
 *
 * Conventions: a function that can fail returns an exit code, 0 for success, after it has told the user
 * why on standard error (fail); readers of data put the reason into an Error instead, so that they can
 * be tested and fuzzed alone. Standard output carries results; with --json one JSON object a line and
 * nothing else.
 */
#ifndef DLRT_TOOL_H
#define DLRT_TOOL_H

#include "../core/core.h"
#include <jansson.h>
#include <stdio.h>

enum { EXIT_ENVIRONMENT = 1, EXIT_USER = 2, EXIT_INTERRUPTED = 130 };

/* ---- text.c */
typedef struct Error {
    char text[600];
} Error;
/* Writes the reason; returns false, for `return error_set(...)`. */
bool error_set(Error *e, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Prints "dlrun: ..." and returns the code. */
int fail(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));
int out_of_memory(void);
/* Exit code of a failed runtime call: the environment's fault or the user's. */
int status_code(DlrtStatus status);
double seconds_now(void);

/* ---- source.c: bytes of a file, plain or gzip, from front to back. */
typedef struct Source {
    void *gz;
    const char *path;
    int64_t offset; /* of the next byte, after decompression */
    int64_t size;   /* of the file; -1 when compressed */
    Error *error;
} Source;
bool source_open(Source *s, const char *path, Error *error);
bool source_open_handle(Source *s, int handle, const char *name, Error *error);
void source_close(Source *s);
/* "PATH: offset N: ...". Returns false. */
bool source_fail(Source *s, int64_t offset, const char *format, ...) __attribute__((format(printf, 3, 4)));
bool source_read(Source *s, void *to, size_t bytes); /* exactly */
/* Exactly `bytes` up to the end of the file. Memory grows with what is really there. */
bool source_read_rest(Source *s, int64_t bytes, void **data);
bool source_read_all(Source *s, char **text, size_t *bytes); /* with a 0 behind */

/* ---- array.c */
typedef struct Array {
    int32_t dtype, rank;
    int64_t shape[DLRT_MAX_RANK];
    int64_t count; /* of elements */
    void *data;
} Array;
void array_free(Array *a);
double array_real(const Array *a, int64_t i);
bool array_integer(const Array *a, int64_t i, int64_t *value); /* false if not a whole number */
bool store_real(int32_t dtype, void *data, int64_t i, double value);
bool store_integer(int32_t dtype, void *data, int64_t i, int64_t value); /* false if out of the type's range */
bool dtype_is_float(int32_t dtype);
float half_to_float(uint16_t h);
uint16_t float_to_half(float f);

/* ---- idx.c, npy.c, csv.c: readers. read_array picks by the file's first bytes and its name. */
bool read_array(const char *path, Array *a, Error *error);
bool read_idx(Source *s, Array *a);
bool read_npy(Source *s, Array *a);
bool read_csv(Source *s, Array *a);
bool write_npy(const char *path, const DlrtTensor *t, Error *error);

/* ---- arguments.c: the command line. */
typedef struct Pairs {
    const char *text[64];
    int count;
} Pairs; /* of a repeated option name=value */

typedef struct Options {
    const char *command, *model, *function; /* the function may be named without an option in call and bench */
    const char *data, *x, *y, *test_x, *test_y;
    const char *save, *load, *resume, *checkpoint, *log, *trace;
    const char *predict, *data_arg, *label_arg, *rate_arg;
    double rate, scale, mean, std, seconds;
    int64_t epochs, batch, seed, threads, log_every, checkpoint_every, max_steps, iterations;
    bool json, help, rate_given, scale_given, batch_given, seed_given, epochs_given, quiet;
    Pairs set, in, out, dim;
} Options;
int parse_arguments(int argc, char **argv, Options *o);
void print_usage(FILE *to);

/* ---- session.c: an opened model with a context; calls with results allocated to fit. */
typedef struct Session {
    DlrtModel *model;
    DlrtContext *context;
    const DlrtModelInfo *info;
} Session;
int session_open(Session *s, const Options *o);
void session_close(Session *s);
int session_function(const Session *s, const char *name, int32_t *function);
/* Room for the results of a call with these arguments; an earlier room is used again if it suffices. */
int results_fit(const Session *s, int32_t function, const DlrtTensor *args, DlrtTensor *results);
void results_free(const DlrtFunctionInfo *f, DlrtTensor *results);
int session_call(const Session *s, int32_t function, const DlrtTensor *args, DlrtTensor *results);

/* ---- profile.c: what a profiled model's calls did. */
int trace_check(const Session *s, const Options *o); /* fails if --trace is given and there will be nothing to write */
int trace_write(const Session *s, const Options *o); /* writes --trace, if it is given */
/* A table of the function's steps over its last calls, at most so many; nothing if the model is not profiled. */
int profile_print(const Session *s, const Options *o, int32_t function, int64_t calls);

/* ---- roles.c: which function and which argument is for what. -1: there is none. */
typedef struct Roles {
    int32_t function, data, label, rate;       /* arguments */
    int32_t loss, correct, prediction, scores; /* results */
} Roles;
int find_trainer(const Session *s, const Options *o, Roles *r);
int find_predictor(const Session *s, const Options *o, Roles *r); /* r->function -1 if there is none */
int find_evaluator(const Session *s, const Options *o, Roles *r); /* the same; gives loss without training */
/* The largest batch of an argument: its outermost extent at the dim's bound; *fixed if it is a constant. */
int64_t batch_limit(const DlrtFunctionInfo *f, int32_t arg, bool *fixed);

/* ---- dataset.c */
typedef struct Dataset {
    Array x, y;
    int64_t samples;
} Dataset;
typedef struct Scaling {
    double scale, mean, std;
    bool given;
    float of_byte[256];
} Scaling;
int load_training_set(const Options *o, bool labels, Dataset *d);
int load_test_set(const Options *o, bool labels, Dataset *d, bool required); /* samples 0 if there is none */
void dataset_free(Dataset *d);
Scaling make_scaling(const Options *o);
/* Whether samples fit argument `arg` of f; fills in t's type, rank and shape but the outermost extent. */
int fit_samples(const DlrtFunctionInfo *f, int32_t arg, const Array *a, DlrtTensor *t);
/* Converts samples rows[0 .. n-1] (null: start, start+1, ...) into t->data. */
int gather(const Array *a, const Scaling *scaling, const int64_t *rows, int64_t start, int64_t n, DlrtTensor *t,
           const char *name);
int64_t tensor_count(const DlrtTensor *t);

/* ---- batches.c: a function called on pieces of a data set. */
typedef struct Batches {
    const Session *session;
    const DlrtFunctionInfo *f;
    Roles roles;
    DlrtTensor args[32], results[32];
    int64_t size; /* samples a call */
    bool fixed;   /* the function takes no fewer */
} Batches;
int batches_prepare(Batches *b, const Session *s, const Roles *r, const Options *o, const Dataset *d, int64_t size,
                    double rate);
void batches_free(Batches *b);
int batches_call(Batches *b, const Dataset *d, const Scaling *scaling, const int64_t *rows, int64_t start, int64_t n);
double scalar_result(const Batches *b, int32_t result);
/* Share of test samples whose prediction equals the label; loss by an evaluating function. -1, NaN if none. */
int measure(const Session *s, const Options *o, const Dataset *test, const Scaling *scaling, double *accuracy,
            double *loss);

/* ---- output.c */
void print_json(FILE *to, json_t *object); /* one line; takes the reference */
json_t *json_number_or_null(double value);

/* call.c: shapes of results from --dim; dims not given take fallback (at most their bound), 0: the bound. */
int shapes_from_dims(const DlrtFunctionInfo *f, const Options *o, int64_t fallback, DlrtTensor *results);

int run_info(const Options *o);
int run_train(const Options *o);
int run_eval(const Options *o);
int run_call(const Options *o);
int run_bench(const Options *o);

#endif
