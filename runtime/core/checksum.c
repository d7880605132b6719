/* checksum.c - a 64-bit checksum of bytes, against damaged files (not against attackers).
 *
 * In: bytes and the sum so far. Out: a sum that depends on every bit. Eight bytes a round; each round is
 * a bijection of the state for given data and of the data for a given state, so damage within one word is
 * always found, and other damage with probability 1 - 2^-64. Bytes are read as little-endian numbers:
 * the same file has the same sums everywhere.
 */
#include "core.h"

static uint64_t mix(uint64_t h) {
    h ^= h >> 32;
    h *= 0xd6e8feb86659fd93u;
    return h ^ h >> 29;
}

static uint64_t word(const unsigned char *p, size_t n) {
    uint64_t w = 0;
    for (size_t i = 0; i < n; i++) w |= (uint64_t)p[i] << 8 * i;
    return w;
}

uint64_t dlrt_checksum(const void *data, size_t bytes, uint64_t start) {
    const unsigned char *p = data;
    uint64_t h = mix(start ^ (uint64_t)bytes * 0x9e3779b97f4a7c15u);
    for (; bytes >= 8; bytes -= 8, p += 8) h = mix(h ^ word(p, 8));
    return bytes ? mix(h ^ word(p, bytes)) : h;
}
