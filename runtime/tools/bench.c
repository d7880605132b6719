/* bench.c - dlrun bench: the time of a call.
 *
 * In: a model and a function (all of them if none is named), with --batch or --dim for the dims, else their
 * upper bounds. Out: median and least time of a call with random inputs (integers are 0: always a valid
 * index), after some calls to warm up; of a model compiled with --profile also what each step takes.
 */
#include "tool.h"
#include <stdlib.h>
#include <string.h>

enum { MOST_CALLS = 100000 };

static void fill_random(const DlrtTensorInfo *info, DlrtTensor *t) {
    uint64_t state = 1;
    for (int64_t i = 0, n = tensor_count(t); i < n; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        if (dtype_is_float(info->dtype))
            store_real(info->dtype, t->data, i, info->rank ? (double)(state >> 40) / 16777216.0 : 1e-3);
        else
            store_integer(info->dtype, t->data, i, 0);
    }
}

static int make_arguments(const DlrtFunctionInfo *f, const Options *o, DlrtTensor *args, DlrtTensor *results) {
    DlrtFunctionInfo as_results = *f; /* arguments' shapes from the dims, by the same rule as results' */
    as_results.results = f->args;
    as_results.result_count = f->arg_count;
    int64_t fallback = o->batch_given ? o->batch : 0;
    int code = shapes_from_dims(&as_results, o, fallback, args);
    if (!code) code = shapes_from_dims(f, o, fallback, results);
    for (int32_t a = 0; a < f->arg_count && !code; a++) {
        DlrtTensor *t = &args[a];
        t->dtype = f->args[a].dtype;
        t->bytes = (size_t)(tensor_count(t) * dlrt_dtype_bytes(t->dtype));
        t->data = aligned_alloc(64, (size_t)dlrt_round64((int64_t)t->bytes) + 64);
        if (!t->data) return out_of_memory();
        fill_random(&f->args[a], t);
    }
    return code;
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void report(const Options *o, const DlrtFunctionInfo *f, double *times, int64_t calls) {
    qsort(times, (size_t)calls, sizeof *times, compare);
    double median = times[calls / 2], least = times[0];
    if (o->json)
        print_json(stdout, json_pack("{s:s, s:s, s:I, s:I, s:f, s:f}", "event", "bench", "function", f->name, "threads",
                                     (json_int_t)o->threads, "calls", (json_int_t)calls, "median_seconds", median,
                                     "min_seconds", least));
    else
        printf("%-16s median %.3f us, least %.3f us, %lld calls\n", f->name, median * 1e6, least * 1e6,
               (long long)calls);
    fflush(stdout);
}

static int measure_calls(const Session *s, const Options *o, int32_t function, const DlrtTensor *args,
                         DlrtTensor *results) {
    int64_t calls = 0, wanted = o->iterations ? o->iterations : MOST_CALLS;
    double *times = malloc((size_t)wanted * sizeof *times), began = 0;
    if (!times) return out_of_memory();
    int code = 0;
    for (int64_t i = -3; i < wanted && !code; i++) {
        double start = seconds_now();
        if (i == 0) began = start;
        code = session_call(s, function, args, results);
        double end = seconds_now();
        if (i < 0) continue;
        times[calls++] = end - start;
        if (!o->iterations && calls >= 5 && end - began > o->seconds) break;
    }
    if (!code) report(o, &s->info->functions[function], times, calls);
    if (!code) code = profile_print(s, o, function, calls);
    free(times);
    return code;
}

static int bench_function(const Session *s, const Options *o, int32_t function) {
    const DlrtFunctionInfo *f = &s->info->functions[function];
    DlrtTensor *args = calloc((size_t)f->arg_count + 1, sizeof *args);
    DlrtTensor *results = calloc((size_t)f->result_count + 1, sizeof *results);
    int code = args && results ? make_arguments(f, o, args, results) : out_of_memory();
    if (!code) code = results_fit(s, function, args, results);
    if (!code) code = measure_calls(s, o, function, args, results);
    for (int32_t a = 0; args && a < f->arg_count; a++) free(args[a].data);
    if (results) results_free(f, results);
    free(args);
    free(results);
    return code;
}

int run_bench(const Options *o) {
    Session s;
    int32_t function = 0;
    int code = session_open(&s, o);
    if (code) return code;
    if (o->function) code = session_function(&s, o->function, &function);
    if (!code && o->function) code = bench_function(&s, o, function);
    for (int32_t f = 0; f < s.info->function_count && !o->function; f++) { /* all of them; one may refuse such inputs */
        int failed = bench_function(&s, o, f);
        if (failed) code = failed;
    }
    if (!code) code = trace_write(&s, o);
    session_close(&s);
    return code;
}
