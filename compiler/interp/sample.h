/* Samples: random dims and arguments at which a function can be evaluated, for checks.
 *
 * Numbers come from a counter-based generator, so equal seeds give equal samples everywhere. Floats lie between -1
 * and 1 and are f32 numbers, so that every precision is given the same. Integers that reach a gather or scatter as
 * its indices, directly or through moves and conversions, lie in its extent; others are 0 or 1. */
#ifndef DLCC_INTERP_SAMPLE_H
#define DLCC_INTERP_SAMPLE_H

#include "ops/eval.h"

typedef struct Sampler {
    Arena *arena;
    uint64_t seed;
    uint32_t drawn;
} Sampler;

/* Uniform in 0 .. 1, 1 excluded. */
double sample_uniform(Sampler *s);
/* Values for the function's free dims, in their order and within their bounds: small in round 0, the least ones in
 * round 1, then at random, `span` above the least at most. */
int64_t *sample_dims(Sampler *s, const Func *f, int round, int64_t span);
/* A value for input number `input`; `dims` are the values of all dims, by symbol. */
Tensor *sample_input(Sampler *s, const Func *f, int input, const int64_t *dims);

#endif
