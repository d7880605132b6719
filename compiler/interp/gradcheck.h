/* Gradient check: derived gradients against central differences, in f64.
 *
 * For each input differentiated for, single elements are moved by +-eps (all of them, or a sample), and
 * all elements at once along a random direction. What must hold of the derived value a and the difference
 * d is |a - d| <= rtol * max(|a|, |d|) + atol * scale, scale being the input's largest gradient and at least a
 * hundredth of the loss: differences carry the loss's rounding error. */
#ifndef DLCC_INTERP_GRADCHECK_H
#define DLCC_INTERP_GRADCHECK_H

#include "interp/interp.h"

typedef struct GradcheckOptions {
    double eps, rtol, atol;
    int samples;               /* elements per input; more than it has: all */
    int directions;            /* random directions per input */
    /* A kink within eps of the point spoils a difference, but not one with a shorter step: on disagreement
     * try up to this many shorter steps, each a tenth. A wrong gradient disagrees at all of them. */
    int retries;
    uint64_t seed;             /* of samples and directions */
} GradcheckOptions;

/* eps 1e-6, rtol 1e-5, atol 1e-7, 64 samples, 2 directions, no retries. */
GradcheckOptions gradcheck_defaults(void);

/* What came out for one input. */
typedef struct GradcheckInput {
    Value *input;
    int checked, failed, retried;
    /* The worst: relative to what is allowed (above 1: failed). */
    double worst;
    int64_t element;           /* its element, or -1 for a direction */
    double derived, differenced;
} GradcheckInput;

/* Appends the gradients of `loss`, a float scalar of call->func's body, with respect to `wrt`, parameters of
 * the body, to the body, and checks them at call->inputs. Uses call->arena for the report and `scratch`, which
 * it empties, for evaluations. False if the gradients cannot be built (diagnostics say why) or evaluation
 * fails (call->error); otherwise report[i] holds the findings for wrt[i]. */
bool gradcheck(InterpCall *call, Value *loss, Value *const *wrt, int n, GradcheckOptions options, Arena *scratch,
               GradcheckInput *report);
/* Whether every input passed. */
bool gradcheck_passed(const GradcheckInput *report, int n);

#endif
