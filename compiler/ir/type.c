/* Element types and tensor types: see type.h. */
#include "ir/type.h"

static const struct {
    const char *name;
    int bytes;
} dtypes[DTYPE_COUNT] = {
    [DTYPE_F64] = {"f64", 8}, [DTYPE_F32] = {"f32", 4}, [DTYPE_F16] = {"f16", 2},
    [DTYPE_BF16] = {"bf16", 2}, [DTYPE_I64] = {"i64", 8}, [DTYPE_I32] = {"i32", 4},
    [DTYPE_I8] = {"i8", 1}, [DTYPE_U8] = {"u8", 1}, [DTYPE_BOOL] = {"bool", 1},
};

const char *dtype_name(DType t) { return dtypes[t].name; }

bool dtype_parse(const char *name, DType *to) {
    for (int i = 0; i < DTYPE_COUNT; i++) {
        if (strcmp(name, dtypes[i].name)) continue;
        *to = (DType)i;
        return true;
    }
    return false;
}

int dtype_bytes(DType t) { return dtypes[t].bytes; }

bool shape_equal(int rank_a, const Dim *a, int rank_b, const Dim *b) {
    if (rank_a != rank_b) return false;
    for (int i = 0; i < rank_a; i++)
        if (a[i] != b[i]) return false;
    return true;
}

Dim type_elements(DimTable *t, Type type) {
    Dim product = dim_const(t, 1);
    for (int i = 0; i < type.rank; i++) product = dim_mul(t, product, type.shape[i]);
    return product;
}

void type_print(const DimTable *t, Type type, Text *to) {
    text_add(to, "%s", dtype_name(type.dtype));
    for (int i = 0; i < type.rank; i++) {
        text_append(to, i ? "," : "[", 1);
        dim_print(t, type.shape[i], to);
    }
    if (type.rank) text_append(to, "]", 1);
}

const char *type_text(const DimTable *t, Type type, Arena *arena) {
    Text text = text_new(arena);
    type_print(t, type, &text);
    return text_get(&text);
}
