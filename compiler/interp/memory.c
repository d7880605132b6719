/* Memory: see memory.h. */
#include "interp/memory.h"

#include <math.h>
#include <string.h>

size_t memory_bytes(const Tensor *t) { return (size_t)t->count * (size_t)dtype_bytes(t->dtype); }

/* The bits of x, an f16 number. */
static uint16_t f16_bits(double x) {
    uint16_t sign = signbit(x) ? 0x8000 : 0;
    if (isnan(x)) return 0x7e00;
    if (isinf(x)) return sign | 0x7c00;
    if (fabs(x) < 0x1p-14) return (uint16_t)(sign | (int)ldexp(fabs(x), 24));
    int exponent;
    double fraction = frexp(fabs(x), &exponent);            /* 0.5 .. 1 */
    return (uint16_t)(sign | (exponent + 14) << 10 | ((int)ldexp(fraction, 11) & 0x3ff));
}

static double f16_number(uint16_t bits) {
    int exponent = bits >> 10 & 31, fraction = bits & 0x3ff;
    double size = exponent == 31 ? (fraction ? NAN : INFINITY)
                : exponent       ? ldexp(fraction + 1024, exponent - 25)
                                 : ldexp(fraction, -24);
    return bits & 0x8000 ? -size : size;
}

/* The upper half of an f32. */
static uint16_t bf16_bits(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return isnan(x) ? 0x7fc0 : (uint16_t)(bits >> 16);
}

static double bf16_number(uint16_t half) {
    uint32_t bits = (uint32_t)half << 16;
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

void memory_write(const Tensor *t, void *to) {
    for (int64_t k = 0; k < t->count; k++) {
        double x = dtype_is_float(t->dtype) ? number_round(t->dtype, t->at[k].f) : 0;
        int64_t i = t->at[k].i;
        switch (t->dtype) {
        case DTYPE_F64: ((double *)to)[k] = x; break;
        case DTYPE_F32: ((float *)to)[k] = (float)x; break;
        case DTYPE_F16: ((uint16_t *)to)[k] = f16_bits(x); break;
        case DTYPE_BF16: ((uint16_t *)to)[k] = bf16_bits((float)x); break;
        case DTYPE_I64: ((int64_t *)to)[k] = i; break;
        case DTYPE_I32: ((uint32_t *)to)[k] = (uint32_t)i; break;
        default: ((uint8_t *)to)[k] = (uint8_t)i; break;
        }
    }
}

void memory_read(Tensor *t, const void *from) {
    for (int64_t k = 0; k < t->count; k++) {
        Number *n = &t->at[k];
        switch (t->dtype) {
        case DTYPE_F64: n->f = ((const double *)from)[k]; break;
        case DTYPE_F32: n->f = (double)((const float *)from)[k]; break;
        case DTYPE_F16: n->f = f16_number(((const uint16_t *)from)[k]); break;
        case DTYPE_BF16: n->f = bf16_number(((const uint16_t *)from)[k]); break;
        case DTYPE_I64: n->i = ((const int64_t *)from)[k]; break;
        case DTYPE_I32: n->i = ((const int32_t *)from)[k]; break;
        case DTYPE_I8: n->i = ((const int8_t *)from)[k]; break;
        default: n->i = ((const uint8_t *)from)[k]; break;
        }
    }
}
