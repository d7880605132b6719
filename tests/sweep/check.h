/* Checks of element functions against their references, for sweep.c. */
#ifndef DLCC_TESTS_SWEEP_CHECK_H
#define DLCC_TESTS_SWEEP_CHECK_H

#include "elements.h"

#include "ops/ops.h"

#include <stdbool.h>

/* What is needed of elementwise.def. Not the operator table: this program is also built for other
 * processors, from few files. */
typedef struct MapInfo {
    const char *name;
    int arity;
    unsigned types;            /* TypeClass */
    double ulp;                /* promised in f32; 0: correctly rounded */
} MapInfo;
extern const MapInfo map_info[MAP_COUNT];

/* How far the f32 `got` is from `right`, in units in the last place of `right` rounded to f32: infinite
 * for a wrong NaN, infinity or sign. `right` may be anything; a finite one beyond all f32 counts as infinity. */
double ulp_error(float got, double right);

/* Runs every entry of a table, whatever types and lanes, on edges in all combinations and on random
 * operands; prints what differs from the reference of elementwise.def. Returns the number of entries that do. */
int check_entries(const ElementEntry *table, const char *target, int *checked);

#endif
