/* How far rounding may move what a call gives.
 *
 * The reference computes in f64. What native code gives may be off by a few units in the last place of a tensor's
 * largest element, or by some times what the same arithmetic is off elsewhere: the interpreter runs the call again with
 * every operation's results moved at random by a unit in the last place and rounded, from arguments and variables moved
 * likewise (Monte Carlo arithmetic). So a call that magnifies errors is allowed those that it magnifies, one that does
 * not is held to the last digits, and no number is chosen by what passes. Samples are taken only where the last digits
 * do not suffice, until they suffice or there are SAMPLES_MOST. */
#ifndef DLCC_TESTS_BOUND_H
#define DLCC_TESTS_BOUND_H

#include "native.h"

enum {
    BOUND_UNITS = 8, /* units in the last place of the largest element */
    BOUND_TIMES = 8, /* times the largest deviation of a sample: kernels add up one by one, samples in f64 */
    SAMPLES_MOST = 48
};

typedef struct Bound Bound;

/* Before the reference's call: keeps the variables as they are. */
Bound *bound_new(Native *n, Func *f, const int64_t *dims, Tensor *const *args, int arg_count);
/* After it: its results; the variables are the interpreter's. */
void bound_reference(Bound *b, Tensor *const *results, int count);
/* Whether a native result (by number), or the variable (by number) if `is_var`, is as near to the reference as
 * rounding explains. Integers have to be equal. False: *at is an element that is not. */
bool bound_holds(Bound *b, bool is_var, int which, const Tensor *got, int64_t *at);

#endif
