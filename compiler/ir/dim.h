/* Dims: the extents of tensors, constants or polynomials over declared run-time dims.
 *
 * A Dim is interned in its DimTable in a normal form (integer coefficients, monomials sorted), so two
 * dims are equal if and only if their pointers are. Each knows bounds computed from the bounds of the
 * symbols in it; bounds saturate at DIM_HUGE. A quotient that does not divide becomes a derived symbol.
 *
 * Arithmetic that leaves the representable (a coefficient of DIM_HUGE, too many terms, too high a degree,
 * quotients nested too deep) gives one special dim, for which dim_overflowed holds; so does everything
 * computed from it. */
#ifndef DLCC_IR_DIM_H
#define DLCC_IR_DIM_H

#include "base/intern.h"
#include "base/text.h"
#include "base/vec.h"
#include <stdbool.h>
#include <stdint.h>

#define DIM_HUGE ((int64_t)1 << 60)

typedef struct DimPoly DimPoly;
typedef const DimPoly *Dim;

/* A run-time dim: declared with bounds, or derived as floor(of / divisor). Each function instance has
 * its own symbols; equal names of two functions are different symbols unless the table says so. */
typedef struct DimSymbol {
    int id;
    const char *name;          /* interned; unique in the table */
    int64_t lower, upper;
    Dim of;                    /* derived: floor(of / divisor); null for a free dim */
    int64_t divisor;
    int depth;                 /* derived: 1 + the greatest depth in `of` */
} DimSymbol;

typedef struct DimTerm {
    int64_t coeff;
    int n;                     /* number of symbols in the product, with repeats; 0: the constant term */
    const int *symbols;        /* sorted ids */
} DimTerm;

struct DimPoly {
    int term_count;            /* 0: the constant 0 */
    const DimTerm *terms;      /* sorted by degree descending, then symbols; non-zero coefficients */
    int64_t lower, upper;      /* bounds of the value */
    uint64_t hash;
};

/* Finds symbols by a hash: open addressing over id + 1. */
typedef struct DimIndex {
    int *slots;
    int count, room;
} DimIndex;

typedef struct DimTable {
    Arena *arena;
    Interner *names;
    VEC(DimSymbol *) symbols;
    Dim *slots;                /* interned polynomials */
    size_t count, room;
    DimIndex by_name, by_quotient;
} DimTable;

void dim_table_init(DimTable *t, Arena *arena, Interner *names);

Dim dim_const(DimTable *t, int64_t value);
/* A new free dim. The name must be new in the table (dim_find). */
Dim dim_symbol(DimTable *t, const char *name, int64_t lower, int64_t upper);
/* The symbol of that interned name, or null. */
DimSymbol *dim_find(const DimTable *t, const char *name);
Dim dim_of_symbol(DimTable *t, const DimSymbol *s);

Dim dim_add(DimTable *t, Dim a, Dim b);
Dim dim_sub(DimTable *t, Dim a, Dim b);
Dim dim_mul(DimTable *t, Dim a, Dim b);
/* floor(a / divisor), divisor > 0: exact where every coefficient divides, else whole parts and a derived
 * symbol for floor(rest / divisor), the rest's coefficients being in 0 .. divisor-1. */
Dim dim_div(DimTable *t, Dim a, int64_t divisor);
/* The same; a derived symbol that has to be made gets this (interned, new) name. */
Dim dim_div_named(DimTable *t, Dim a, int64_t divisor, const char *name);

static inline bool dim_is_const(Dim d) { return d->term_count == 0 || (d->term_count == 1 && d->terms[0].n == 0); }
/* The value of a constant dim. */
static inline int64_t dim_value(Dim d) { return d->term_count ? d->terms[0].coeff : 0; }
static inline bool dim_is(Dim d, int64_t value) { return dim_is_const(d) && dim_value(d) == value; }
static inline bool dim_overflowed(Dim d) { return d->term_count == 1 && d->terms[0].coeff >= DIM_HUGE; }
/* a / b, if b is a single product that divides every term of a; else null. */
Dim dim_over(DimTable *t, Dim a, Dim b);
/* The greatest number that divides every coefficient. */
int64_t dim_common_factor(Dim d);
/* The value for given values of the free symbols (indexed by id; derived ones are computed). */
int64_t dim_eval(const DimTable *t, Dim d, const int64_t *values);
/* d with symbols replaced: by[id] is the new dim or null to keep. */
Dim dim_substitute(DimTable *t, Dim d, const Dim *by, int by_count);
/* Whether symbol id occurs in d (through derived symbols too). */
bool dim_mentions(const DimTable *t, Dim d, int id);

/* "2*B*T+1", "overflow"; a derived symbol prints by its name. */
void dim_print(const DimTable *t, Dim d, Text *to);

#endif
