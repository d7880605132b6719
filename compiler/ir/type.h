/* Element types and tensor types. */
#ifndef DLCC_IR_TYPE_H
#define DLCC_IR_TYPE_H

#include "ir/dim.h"

/* Same numbering as DlrtDtype. */
typedef enum DType {
    DTYPE_F64, DTYPE_F32, DTYPE_F16, DTYPE_BF16, DTYPE_I64, DTYPE_I32, DTYPE_I8, DTYPE_U8, DTYPE_BOOL,
    DTYPE_COUNT
} DType;

enum { MAX_RANK = 8 };

typedef struct Type {
    DType dtype;
    int rank;
    const Dim *shape;
} Type;

const char *dtype_name(DType t);                       /* "f32" */
bool dtype_parse(const char *name, DType *to);
int dtype_bytes(DType t);
static inline bool dtype_is_float(DType t) { return t <= DTYPE_BF16; }
static inline bool dtype_is_int(DType t) { return t >= DTYPE_I64 && t <= DTYPE_U8; }

bool shape_equal(int rank_a, const Dim *a, int rank_b, const Dim *b);
static inline bool type_equal(Type a, Type b) {
    return a.dtype == b.dtype && shape_equal(a.rank, a.shape, b.rank, b.shape);
}

/* Whether the shapes are the same but for dims of extent 1. */
static inline bool type_same_but_units(Type a, Type b) {
    int i = 0, j = 0;
    for (;;) {
        while (i < a.rank && dim_is(a.shape[i], 1)) i++;
        while (j < b.rank && dim_is(b.shape[j], 1)) j++;
        if (i == a.rank || j == b.rank) return i == a.rank && j == b.rank;
        if (a.shape[i++] != b.shape[j++]) return false;
    }
}
/* Product of the extents. */
Dim type_elements(DimTable *t, Type type);
/* "f32[B,784]"; a scalar prints as "f32". */
void type_print(const DimTable *t, Type type, Text *to);
const char *type_text(const DimTable *t, Type type, Arena *arena);

#endif
