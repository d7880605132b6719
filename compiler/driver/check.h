/* Gradient check: what its two halves share. */
#ifndef DLCC_DRIVER_CHECK_H
#define DLCC_DRIVER_CHECK_H

#include "driver/driver.h"
#include "interp/sample.h"

typedef struct ModelCheck {
    Compilation *c;
    Sampler sampler;
    long long differences, elements;       /* compared so far, by the one half and by the other */
    long long failed;
} ModelCheck;

/* The findings for one tensor. */
typedef struct CheckRow {
    const char *name, *unit;   /* "fc1.weight", "differences" */
    long long count, failed;
    double worst;              /* relative to what is allowed; above 1 if any failed */
    const char *detail;        /* of the worst that failed, or null */
} CheckRow;

/* The value that is checked: the loss of a function that trains, or a float scalar if none does. Where there are
 * several float scalars, as with two losses, it is a weighted sum of them, which becomes a further result. Null:
 * the function has none. */
Value *check_loss(const Compilation *c, Func *f);
/* Whether the gradient with respect to that input is checked: parameters and float arguments. */
bool check_covers(const Func *f, int input);
const char *check_input_name(const Func *f, int input);
/* Says a title - the function, what is compared, at which dims - and findings. */
void check_say_title(ModelCheck *k, const Func *f, const char *what, const char *dims);
void check_say_row(ModelCheck *k, const Func *f, const CheckRow *row);
/* Adds " B = 3" for each dim to the text. */
void check_add_dims(Text *to, const Func *f, const int64_t *dims);

/* check_native.c: compiles the gradients for this machine and compares what they give with the interpreter. */
DlccStatus check_native(ModelCheck *k);

#endif
