/* dtype.c - names of element types, and words for status codes.
 *
 * In: an enumerator. Out: constant text; "?" for values outside the enumeration, since
 * they may come from a caller's tensor.
 */
#include "core.h"

typedef struct DtypeRow {
    const char *name, *file_name;
} DtypeRow;

static const DtypeRow dtypes[] = {
    [DLRT_F64] = {"f64", "F64"},    [DLRT_F32] = {"f32", "F32"}, [DLRT_F16] = {"f16", "F16"},
    [DLRT_BF16] = {"bf16", "BF16"}, [DLRT_I64] = {"i64", "I64"}, [DLRT_I32] = {"i32", "I32"},
    [DLRT_I8] = {"i8", "I8"},       [DLRT_U8] = {"u8", "U8"},    [DLRT_BOOL] = {"bool", "BOOL"},
};

static const DtypeRow *row(int32_t dtype) {
    static const DtypeRow unknown = {"?", "?"};
    return dtype < 0 || dtype > DLRT_BOOL ? &unknown : &dtypes[dtype];
}

const char *dlrt_dtype_name(int32_t dtype) {
    return row(dtype)->name;
}
const char *dlrt_dtype_file_name(int32_t dtype) {
    return row(dtype)->file_name;
}

const char *dlrt_status_name(DlrtStatus status) {
    static const char *const words[] = {
        [DLRT_OK] = "no error",
        [DLRT_ERR_NULL] = "a required pointer is null",
        [DLRT_ERR_ARGUMENT] = "an option or a count is out of its range",
        [DLRT_ERR_DTYPE] = "a tensor has the wrong element type",
        [DLRT_ERR_RANK] = "a tensor has the wrong number of dims",
        [DLRT_ERR_SHAPE] = "a tensor has the wrong shape",
        [DLRT_ERR_BOUND] = "a run-time dim is out of its bounds",
        [DLRT_ERR_INDEX] = "an index or label in the data is out of range",
        [DLRT_ERR_REQUIRE] = "a requirement of the model does not hold",
        [DLRT_ERR_OVERLAP] = "results overlap arguments, each other or the model",
        [DLRT_ERR_ALIGN] = "memory is not aligned as needed",
        [DLRT_ERR_SIZE] = "memory is smaller than needed",
        [DLRT_ERR_BUSY] = "the context or the model is in use",
        [DLRT_ERR_NAME] = "there is no function, parameter or tensor of that name",
        [DLRT_ERR_MEMORY] = "out of memory",
        [DLRT_ERR_CPU] = "the processor lacks what the model was compiled for",
        [DLRT_ERR_ABI] = "model and runtime speak different ABI versions",
        [DLRT_ERR_IO] = "a file could not be read or written",
        [DLRT_ERR_FORMAT] = "a file is malformed",
        [DLRT_ERR_MISMATCH] = "a file belongs to another model",
        [DLRT_ERR_CHECKSUM] = "a file's content does not match its checksum",
        [DLRT_ERR_UNSUPPORTED] = "this build of the runtime cannot do that",
    };
    if ((int)status < 0 || status > DLRT_ERR_UNSUPPORTED) return "unknown status";
    return words[status];
}
