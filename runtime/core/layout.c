/* layout.c - a variable between its logical order (what users, files and frameworks see) and the
 * physical one that the compiler chose for its kernels.
 *
 * In: a DlrtVarInfo and two blocks of bytes. Holds: both blocks hold exactly the product of the shape
 * elements; physical order is row-major over the dims shape[order[0]], shape[order[1]], ...; with a split the
 * last of these is cut into pieces of that many elements, and lies row-major as (piece, the other dims, place in it).
 */
#include "core.h"
#include <string.h>

int64_t dlrt_var_count(const DlrtVarInfo *v) {
    int64_t n = 1;
    for (int32_t d = 0; d < v->rank; d++) n *= v->shape[d];
    return n;
}

int64_t dlrt_var_bytes(const DlrtVarInfo *v) {
    return dlrt_var_count(v) * dlrt_dtype_bytes(v->dtype);
}

/* stride[d]: bytes in the physical block from one index of logical dim d to the next. */
static void physical_strides(const DlrtVarInfo *v, int64_t *stride) {
    int64_t step = dlrt_dtype_bytes(v->dtype);
    for (int32_t p = v->rank - 1; p >= 0; p--) {
        stride[v->order[p]] = step;
        step *= v->split && p == v->rank - 1 ? v->split : v->shape[v->order[p]];
    }
}

/* What is added to the place of an element of a variable with a split, for its index in the split dim: the distance
 * between two pieces instead of the length of one. */
static int64_t piece_offset(const DlrtVarInfo *v, int64_t index) {
    int64_t size = dlrt_dtype_bytes(v->dtype), pieces = v->shape[v->order[v->rank - 1]] / v->split;
    return index / v->split * (dlrt_var_count(v) / pieces - v->split) * size;
}

static void copy_element(unsigned char *to, const unsigned char *from, int64_t size) {
    switch (size) {
    case 1: memcpy(to, from, 1); break;
    case 2: memcpy(to, from, 2); break;
    case 4: memcpy(to, from, 4); break;
    default: memcpy(to, from, 8); break;
    }
}

/* Moves every element in logical order; `in` tells which side is written. */
static void permute(const DlrtVarInfo *v, unsigned char *physical, unsigned char *logical, bool in) {
    int64_t stride[DLRT_MAX_RANK] = {0}, index[DLRT_MAX_RANK] = {0};
    int64_t size = dlrt_dtype_bytes(v->dtype), count = dlrt_var_count(v);
    physical_strides(v, stride);
    for (int64_t i = 0; i < count; i++, logical += size) {
        unsigned char *place = physical + (v->split ? piece_offset(v, index[v->order[v->rank - 1]]) : 0);
        if (in)
            copy_element(place, logical, size);
        else
            copy_element(logical, place, size);
        for (int32_t d = v->rank - 1; d >= 0; d--) {
            physical += stride[d];
            if (++index[d] < v->shape[d]) break;
            physical -= stride[d] * v->shape[d];
            index[d] = 0;
        }
    }
}

void dlrt_var_read(const DlrtVarInfo *v, const unsigned char *physical, void *logical) {
    if (!v->order)
        memcpy(logical, physical, (size_t)dlrt_var_bytes(v));
    else
        permute(v, (unsigned char *)(uintptr_t)physical, logical, false);
}

void dlrt_var_write(const DlrtVarInfo *v, unsigned char *physical, const void *logical) {
    if (!v->order)
        memcpy(physical, logical, (size_t)dlrt_var_bytes(v));
    else
        permute(v, physical, (unsigned char *)(uintptr_t)logical, true);
}
