/* Running a sketch: compiled from its file, evaluated by the interpreter, so that what a test asserts is what the
 * model means. That native code computes the same is native.c's. */
#ifndef DLCC_TESTS_SKETCHES_SUPPORT_H
#define DLCC_TESTS_SKETCHES_SUPPORT_H

#include "interp/interp.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

typedef struct Sketch {
    jmp_buf out_of_memory;
    Arena arena, scratch;
    Interner names;
    Diags diags;
    const char *path, *text;
    Module *module;
    Interp *in;
    uint64_t random;
    Tensor *results[16];       /* of the last call */
} Sketch;

/* The folder of the sketches; set by main. */
extern const char *sketch_folder;

/* Compiles a file; sketch_open initialises the model too, for calls. */
Sketch *sketch_compile(const char *file);
Sketch *sketch_open(const char *file);
void sketch_close(Sketch *s);

/* Tensors; `shape` ends with -1. Floats are normal, integers below `below`. */
Tensor *sketch_normal(Sketch *s, const int64_t *shape);
Tensor *sketch_ints(Sketch *s, int64_t below, const int64_t *shape);
Tensor *sketch_bools(Sketch *s, const int64_t *shape);
Tensor *sketch_float(Sketch *s, double x);
Tensor *sketch_int(Sketch *s, DType t, int64_t x);
#define SHAPE(...) ((const int64_t[]){__VA_ARGS__, -1})

/* Calls a function and returns its first result; the others lie in s->results. `args` in order; *dims: values of the
 * function's dims that no argument fixes, or null. */
Tensor *sketch_call(Sketch *s, const char *func, Tensor *const *args);
Tensor *sketch_call_dims(Sketch *s, const char *func, const int64_t *dims, Tensor *const *args);
#define ARGS(...) ((Tensor *const[]){__VA_ARGS__})
/* Calls that must end with a message that holds `what`. */
void sketch_refused(Sketch *s, const char *func, Tensor *const *args, const char *what);

const Tensor *sketch_var(Sketch *s, const char *name);
/* A copy that later calls do not change. */
Tensor *sketch_copy(Sketch *s, const Tensor *t);
/* Fails unless both are equal up to `tolerance` (relative to 1 + the value). */
void sketch_equal(const char *what, const Tensor *a, const Tensor *b, double tolerance);
void sketch_near(const char *what, double a, double b, double tolerance);
double sketch_scalar(const Tensor *t);

/* Calls `func` so often; its first result must fall to `part` of what it was at first. */
void sketch_learns(Sketch *s, const char *func, Tensor *const *args, int steps, double part);

#endif
