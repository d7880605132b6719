/* What an object made by `generate` holds: every element function as a C function over arrays. */
#ifndef DLCC_TESTS_SWEEP_ELEMENTS_H
#define DLCC_TESTS_SWEEP_ELEMENTS_H

#include <stdint.h>

/* out[i] = f(a[i], b[i], c[i]) for i = 0 .. n-1, n a multiple of lanes; unused operands are null. If it
 * combines: out[i] is lanes i * lanes ... of a combined. */
typedef void ElementLoop(const void *a, const void *b, const void *c, void *out, int64_t n);

typedef struct ElementEntry {
    int32_t map, t, to, lanes; /* MapFn, types of operands and result; map -1 ends the table */
    int32_t combines, word;
    ElementLoop *loop;
} ElementEntry;

/* Of random_bits. */
#define ELEMENTS_SITE UINT64_C(0x9b05688c2b3e6c1f)

/* The tables of the objects linked in, named for the target. */
extern const ElementEntry elements_v4[], elements_v3[], elements_v2[], elements_v1[], elements_neon[];

#endif
