/* idx.c - the IDX format of the MNIST files.
 *
 * In: bytes: 0, 0, a type code, the rank, one big-endian 32-bit extent a dim, then the elements,
 * big-endian. Out: an array, or a reason with file and offset.
 */
#include "tool.h"
#include <stdlib.h>
#include <string.h>

static int32_t idx_dtype(unsigned char code) {
    switch (code) {
    case 0x08: return DLRT_U8;
    case 0x09: return DLRT_I8;
    case 0x0c: return DLRT_I32;
    case 0x0d: return DLRT_F32;
    case 0x0e: return DLRT_F64;
    default: return -1;
    }
}

static void swap_bytes(unsigned char *data, int64_t count, int64_t size) {
    for (int64_t i = 0; i < count; i++, data += size)
        for (int64_t k = 0; k < size / 2; k++) {
            unsigned char t = data[k];
            data[k] = data[size - 1 - k];
            data[size - 1 - k] = t;
        }
}

/* 16-bit integers, which no tensor has, become 32-bit ones. */
static bool widen(Source *s, Array *a) {
    int32_t *wide = malloc(a->count ? (size_t)a->count * 4 : 1);
    if (!wide) return error_set(s->error, "%s: out of memory", s->path);
    for (int64_t i = 0; i < a->count; i++) wide[i] = ((int16_t *)a->data)[i];
    free(a->data);
    a->data = wide;
    a->dtype = DLRT_I32;
    return true;
}

bool read_idx(Source *s, Array *a) {
    unsigned char head[4], extent[4];
    *a = (Array){.count = 1};
    if (!source_read(s, head, 4)) return false;
    bool is_short = head[2] == 0x0b;
    a->dtype = is_short ? DLRT_I32 : idx_dtype(head[2]);
    int64_t size = is_short ? 2 : dlrt_dtype_bytes(a->dtype);
    if (head[0] || head[1] || a->dtype < 0)
        return source_fail(s, 0, "%02x %02x %02x %02x is no IDX magic number", head[0], head[1], head[2], head[3]);
    if (head[3] > DLRT_MAX_RANK) return source_fail(s, 3, "rank %d, at most %d is possible", head[3], DLRT_MAX_RANK);
    a->rank = head[3];
    int64_t bytes = size;
    for (int32_t d = 0; d < a->rank; d++) {
        int64_t at = s->offset;
        if (!source_read(s, extent, 4)) return false;
        a->shape[d] = (int64_t)extent[0] << 24 | extent[1] << 16 | extent[2] << 8 | extent[3];
        if (__builtin_mul_overflow(bytes, a->shape[d], &bytes))
            return source_fail(s, at, "the extents are too large: their product overflows");
    }
    a->count = bytes / size;
    if (!source_read_rest(s, bytes, &a->data)) return false;
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    swap_bytes(a->data, a->count, size);
#endif
    return !is_short || widen(s, a);
}
