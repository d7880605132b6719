/* arguments.c - dlrun's command line, as a table.
 *
 * In: argv. Out: Options, or a message and exit code 2. An option is one row: name, what it takes, where
 * it goes, what the help says. Both "--name value" and "--name=value" are understood.
 */
#include "tool.h"
#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

typedef enum Kind { FLAG, TEXT, WHOLE, REAL, PAIR } Kind;

typedef struct Row {
    const char *name, *value;
    Kind kind;
    size_t place, given; /* offsets in Options; given 0: nobody asks */
    double least;        /* of a number */
    const char *help;
} Row;

#define AT(member) offsetof(Options, member)
#define ANY (-INFINITY)

static const Row rows[] = {
    {"data", "DIR", TEXT, AT(data), 0, 0, "folder with MNIST's four IDX files (.gz or not)"},
    {"x", "FILE", TEXT, AT(x), 0, 0, "training inputs: IDX, NPY or CSV, also .gz"},
    {"y", "FILE", TEXT, AT(y), 0, 0, "training labels or targets"},
    {"test-x", "FILE", TEXT, AT(test_x), 0, 0, "test inputs"},
    {"test-y", "FILE", TEXT, AT(test_y), 0, 0, "test labels or targets"},
    {"scale", "S", REAL, AT(scale), AT(scale_given), ANY,
     "inputs become (value * S - mean) / std; bytes: 1/255, else 1"},
    {"mean", "M", REAL, AT(mean), 0, ANY, "see --scale; 0"},
    {"std", "D", REAL, AT(std), 0, 1e-300, "see --scale; 1"},
    {"epochs", "N", WHOLE, AT(epochs), AT(epochs_given), 0, "times through the training data; 5"},
    {"batch", "N", WHOLE, AT(batch), AT(batch_given), 1, "samples a step; 128, or the model's bound"},
    {"lr", "R", REAL, AT(rate), AT(rate_given), ANY, "learning rate; 1e-3"},
    {"max-steps", "N", WHOLE, AT(max_steps), 0, 1, "stop after so many steps, as after an interrupt, with code 0"},
    {"seed", "N", WHOLE, AT(seed), AT(seed_given), 0, "of initial weights, random numbers, shuffling; 0"},
    {"threads", "N", WHOLE, AT(threads), 0, 1, "threads; 1. Results do not depend on it"},
    {"load", "FILE", TEXT, AT(load), 0, 0, "start from these weights (safetensors, or a checkpoint)"},
    {"save", "FILE", TEXT, AT(save), 0, 0, "write the weights at the end and on an interrupt"},
    {"checkpoint", "FILE", TEXT, AT(checkpoint), 0, 0, "write a checkpoint after each epoch and on an interrupt"},
    {"checkpoint-every", "N", WHOLE, AT(checkpoint_every), 0, 1, "and after every N steps"},
    {"resume", "FILE", TEXT, AT(resume), 0, 0,
     "go on from a checkpoint; it is written on unless --checkpoint says where"},
    {"log", "FILE", TEXT, AT(log), 0, 0, "JSON lines of the training; MODEL.jsonl here; none: no log"},
    {"log-every", "N", WHOLE, AT(log_every), 0, 1, "steps from one logged loss to the next; 50"},
    {"function", "NAME", TEXT, AT(function), 0, 0, "the function that trains"},
    {"predict", "NAME", TEXT, AT(predict), 0, 0, "the function that predicts"},
    {"data-arg", "NAME", TEXT, AT(data_arg), 0, 0, "its argument for the inputs"},
    {"label-arg", "NAME", TEXT, AT(label_arg), 0, 0, "its argument for labels or targets"},
    {"rate-arg", "NAME", TEXT, AT(rate_arg), 0, 0, "its argument for the learning rate"},
    {"set", "ARG=NUMBER", PAIR, AT(set), 0, 0, "a further scalar argument; may be repeated"},
    {"in", "ARG=FILE", PAIR, AT(in), 0, 0, "call: an argument from a file, or a number; may be repeated"},
    {"out", "RESULT=FILE", PAIR, AT(out), 0, 0, "call: write a result as NPY; may be repeated"},
    {"dim", "NAME=N", PAIR, AT(dim), 0, 0, "call, bench: a run-time dim that no argument fixes; may be repeated"},
    {"seconds", "S", REAL, AT(seconds), 0, 0, "bench: measure at least so long; 1"},
    {"iterations", "N", WHOLE, AT(iterations), 0, 1, "bench: measure so many calls"},
    {"trace", "FILE", TEXT, AT(trace), 0, 0, "write what the latest calls did, for trace viewers; needs dlcc --profile"},
    {"json", NULL, FLAG, AT(json), 0, 0, "one JSON object a line on standard output, nothing else"},
    {"quiet", NULL, FLAG, AT(quiet), 0, 0, "no progress"},
    {"help", NULL, FLAG, AT(help), 0, 0, "this text"},
};

void print_usage(FILE *to) {
    fputs("usage: dlrun info|train|eval|bench MODEL.so [options]\n"
          "       dlrun call MODEL.so FUNCTION [options]\n"
          "       dlrun bench MODEL.so [FUNCTION] [options]\n\n",
          to);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char left[40];
        snprintf(left, sizeof left, "--%s %s", rows[i].name, rows[i].value ? rows[i].value : "");
        fprintf(to, "  %-22s %s\n", left, rows[i].help);
    }
    fputs("\nexit codes: 0 done; 1 the environment failed; 2 a mistake in the call or the data; 130 interrupted\n", to);
}

static int take_number(const Row *row, const char *text, Options *o) {
    char *end;
    errno = 0;
    double real = strtod(text, &end);
    bool good = end != text && !*end && isfinite(real) && real >= row->least;
    if (row->kind == WHOLE) {
        errno = 0;
        long long whole = strtoll(text, &end, 10);
        good = good && !*end && !errno;
        if (good) *(int64_t *)(void *)((char *)o + row->place) = whole;
    } else if (good) {
        *(double *)(void *)((char *)o + row->place) = real;
    }
    if (good) return 0;
    const char *kind = row->kind == WHOLE ? "a whole number" : "a number";
    if (isinf(row->least)) return fail(EXIT_USER, "--%s takes %s, not '%s'", row->name, kind, text);
    return fail(EXIT_USER, "--%s takes %s from %g on, not '%s'", row->name, kind, row->least, text);
}

static int take_pair(const Row *row, const char *text, Options *o) {
    Pairs *pairs = (Pairs *)(void *)((char *)o + row->place);
    const char *equals = strchr(text, '=');
    if (!equals || equals == text) return fail(EXIT_USER, "--%s takes %s, not '%s'", row->name, row->value, text);
    if (pairs->count == 64) return fail(EXIT_USER, "more than 64 times --%s", row->name);
    pairs->text[pairs->count++] = text;
    return 0;
}

static int take_option(const char *name, size_t length, const char *joined, int argc, char **argv, int *i, Options *o) {
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        const Row *row = &rows[r];
        if (strlen(row->name) != length || strncmp(row->name, name, length)) continue;
        char *place = (char *)o + row->place;
        if (row->given) *(bool *)((char *)o + row->given) = true;
        if (row->kind == FLAG) {
            if (joined) return fail(EXIT_USER, "--%s takes no value", row->name);
            *(bool *)place = true;
            return 0;
        }
        if (!joined && *i + 1 >= argc) return fail(EXIT_USER, "--%s needs %s", row->name, row->value);
        const char *value = joined ? joined : argv[++*i];
        if (row->kind == PAIR) return take_pair(row, value, o);
        if (row->kind != TEXT) return take_number(row, value, o);
        *(const char **)(void *)place = value;
        return 0;
    }
    return fail(EXIT_USER, "there is no option --%.*s; dlrun --help lists them", (int)length, name);
}

int parse_arguments(int argc, char **argv, Options *o) {
    *o = (Options){.epochs = 5, .batch = 128, .rate = 1e-3, .std = 1, .threads = 1, .log_every = 50, .seconds = 1};
    const char *words[3] = {NULL, NULL, NULL};
    int count = 0;
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "--", 2)) {
            if (count == 3) return fail(EXIT_USER, "what is '%s' for? dlrun --help shows the use", argv[i]);
            words[count++] = argv[i];
            continue;
        }
        const char *equals = strchr(argv[i], '=');
        size_t length = equals ? (size_t)(equals - argv[i]) - 2 : strlen(argv[i]) - 2;
        int code = take_option(argv[i] + 2, length, equals ? equals + 1 : NULL, argc, argv, &i, o);
        if (code) return code;
    }
    o->command = words[0];
    o->model = words[1];
    if (!words[2]) return 0;
    if (o->function) return fail(EXIT_USER, "the function is named twice: %s and %s", o->function, words[2]);
    o->function = words[2];
    return 0;
}
