/* order.c - elements in order: keys that compare as integers, and a stable sort of them.
 *
 * In: pairs of key and position. Out: the pairs by key, equal ones as they were. Short rows are sorted by insertion,
 * others digit by digit from the lowest byte; a byte that is the same in all keys costs one look. So the time is
 * linear, there is no recursion, and what comes out depends on nothing but what goes in. */
#include "routine.h"
#include <string.h>

enum { SHORT = 32, DIGITS = 256 };

/* Floats by their bits: as magnitudes with a sign. Greater than `infinity` is NaN. */
static uint64_t float_key(uint64_t bits, int width, uint64_t infinity) {
    uint64_t sign = (uint64_t)1 << (width - 1), magnitude = bits & (sign - 1);
    if (magnitude > infinity) return sign | (sign - 1);
    if (!magnitude) return sign;
    return bits & sign ? ~bits & (sign | (sign - 1)) : bits | sign;
}

uint64_t dlrt_order_key(int32_t dtype, const void *element, bool descending) {
    uint64_t bits = 0, key;
    int64_t size = dlrt_dtype_bytes(dtype);
    uint8_t x1;
    uint16_t x2;
    uint32_t x4;
    if (size == 8) memcpy(&bits, element, 8);
    else if (size == 4) memcpy(&x4, element, 4), bits = x4;
    else if (size == 2) memcpy(&x2, element, 2), bits = x2;
    else memcpy(&x1, element, 1), bits = x1;
    switch (dtype) {
    case DLRT_F64: key = float_key(bits, 64, UINT64_C(0x7FF0000000000000)); break;
    case DLRT_F32: key = float_key(bits, 32, 0x7F800000); break;
    case DLRT_F16: key = float_key(bits, 16, 0x7C00); break;
    case DLRT_BF16: key = float_key(bits, 16, 0x7F80); break;
    case DLRT_U8: key = bits; break;
    case DLRT_BOOL: key = bits != 0; break;
    default: key = bits ^ (uint64_t)1 << (8 * size - 1); break;
    }
    return descending ? ~key & (~UINT64_C(0) >> (64 - 8 * size)) : key;
}

static void insertion(OrderPair *p, int64_t n) {
    for (int64_t i = 1; i < n; i++) {
        OrderPair x = p[i];
        int64_t k = i;
        for (; k > 0 && p[k - 1].key > x.key; k--) p[k] = p[k - 1];
        p[k] = x;
    }
}

OrderPair *dlrt_order(OrderPair *pairs, OrderPair *spare, int64_t n, int64_t bytes) {
    if (n <= SHORT) {
        insertion(pairs, n);
        return pairs;
    }
    for (int64_t shift = 0; shift < 8 * bytes; shift += 8) {
        int64_t place[DIGITS] = {0}, sum = 0;
        for (int64_t i = 0; i < n; i++) place[pairs[i].key >> shift & 255]++;
        if (place[pairs[0].key >> shift & 255] == n) continue;
        for (int d = 0; d < DIGITS; d++) {
            int64_t count = place[d];
            place[d] = sum;
            sum += count;
        }
        for (int64_t i = 0; i < n; i++) spare[place[pairs[i].key >> shift & 255]++] = pairs[i];
        OrderPair *other = pairs;
        pairs = spare;
        spare = other;
    }
    return pairs;
}
