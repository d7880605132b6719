/* What the tests of ops/ share: a module to build in, random inputs away from ties, and the check of first
 * and second derivatives of any function against differences. */
#ifndef DLCC_TESTS_OPS_SUPPORT_H
#define DLCC_TESTS_OPS_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "interp/gradcheck.h"
#include "ops/build.h"

typedef struct World {
    jmp_buf out_of_memory;
    Arena arena, scratch;
    Interner names;
    Diags diags;
    Module *module;
    uint64_t draws;            /* position in the stream of random numbers */
    int64_t integers_below;    /* random integers are from 0 to this - 1 */
} World;

World *world_open(void);
void world_close(World *w);
/* All diagnostics so far as text. */
const char *world_messages(World *w);

/* A function of that name to build in, and a builder at its end. */
Builder world_func(World *w, const char *name);
Value *add_input(Builder *b, const char *name, DType t, int rank, const Dim *shape);
/* Reads a module of one function: its inputs as "%x: f64[2,B], ...", its ops, one a line, and what it returns.
 * The dim B is in 1..64, Z and L, which bind_dim may bind, in 0..64. Null if that is refused. */
Func *world_read(World *w, const char *inputs, const char *ops, const char *returned);

/* 0 .. 1 */
double world_random(World *w);
/* A tensor of the type with dims' values by symbol id; floats are distinct, evenly spread over -1.5 .. 1.5 in
 * random order, so that none are closer than 3 / count; bool is random. */
Tensor *random_tensor(World *w, Type type, const int64_t *dims);
/* Fits the function's inputs out with random tensors, each run-time dim being `extent`. */
InterpCall random_call(World *w, Func *f, int64_t extent);

/* A tensor from values. */
Tensor *floats(World *w, int rank, const int64_t *shape, const double *values);
Tensor *ints(World *w, DType t, int rank, const int64_t *shape, const int64_t *values);

/* Evaluates one value of f at inputs (for each of f's); fails the test if that is not possible. */
const Tensor *evaluate(World *w, Func *f, Tensor *const *inputs, Value *wanted);

/* Overwrites some of a call's random inputs, e.g. to keep away from kinks. */
typedef void AdjustInputs(World *w, void *user, const Func *f, Tensor *const *inputs);

/* Checks the derivatives of weighted sums of `ys`, values of b's function, with respect to the float inputs,
 * then the derivatives of weighted sums of those. Run-time dims are `extent`. Fails the test if a difference
 * disagrees; returns how many were taken. Weights are inputs, added behind those there are. */
int check_derivatives(World *w, Builder *b, Value *const *ys, int n, int64_t extent, AdjustInputs *adjust, void *user,
                      const char *what);

#endif
