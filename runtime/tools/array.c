/* array.c - arrays as data files hold them, element by element.
 *
 * In: an Array of any element type. Out: its elements as numbers, checked when they become integers;
 * numbers stored into a tensor's type. Also the half precision formats, which C17 does not have.
 */
#include "tool.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

void array_free(Array *a) {
    free(a->data);
    a->data = NULL;
}

bool dtype_is_float(int32_t dtype) {
    return dtype >= DLRT_F64 && dtype <= DLRT_BF16;
}

float half_to_float(uint16_t h) {
    float sign = h >> 15 ? -1.0f : 1.0f;
    int exponent = h >> 10 & 31, fraction = h & 1023;
    if (exponent == 31) return fraction ? NAN : sign * INFINITY;
    return sign * (exponent ? ldexpf((float)(fraction + 1024), exponent - 25) : ldexpf((float)fraction, -24));
}

/* To nearest, ties to even. */
uint16_t float_to_half(float f) {
    uint16_t sign = signbit(f) ? 0x8000 : 0;
    float a = fabsf(f);
    if (isnan(f)) return 0x7e00;
    if (a >= 65520) return sign | 0x7c00;
    if (a < 6.103515625e-05f) return sign | (uint16_t)lrintf(ldexpf(a, 24));
    int exponent;
    float fraction = frexpf(a, &exponent); /* 0.5 .. 1 */
    uint16_t bits = (uint16_t)lrintf(ldexpf(fraction, 11));
    return sign | (uint16_t)(((exponent + 13) << 10) + bits);
}

static float bf16_to_float(uint16_t h) {
    uint32_t bits = (uint32_t)h << 16;
    float f;
    memcpy(&f, &bits, 4);
    return f;
}

static uint16_t float_to_bf16(float f) {
    uint32_t bits;
    memcpy(&bits, &f, 4);
    if (isnan(f)) return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

double array_real(const Array *a, int64_t i) {
    switch (a->dtype) {
    case DLRT_F64: return ((const double *)a->data)[i];
    case DLRT_F32: return ((const float *)a->data)[i];
    case DLRT_F16: return half_to_float(((const uint16_t *)a->data)[i]);
    case DLRT_BF16: return bf16_to_float(((const uint16_t *)a->data)[i]);
    case DLRT_I64: return (double)((const int64_t *)a->data)[i];
    case DLRT_I32: return ((const int32_t *)a->data)[i];
    case DLRT_I8: return ((const int8_t *)a->data)[i];
    default: return ((const uint8_t *)a->data)[i];
    }
}

bool array_integer(const Array *a, int64_t i, int64_t *value) {
    if (a->dtype == DLRT_I64) {
        *value = ((const int64_t *)a->data)[i];
        return true;
    }
    double real = array_real(a, i);
    if (!(fabs(real) <= 9007199254740992.0) || real != floor(real)) return false;
    *value = (int64_t)real;
    return true;
}

bool store_integer(int32_t dtype, void *data, int64_t i, int64_t value) {
    switch (dtype) {
    case DLRT_I64: ((int64_t *)data)[i] = value; return true;
    case DLRT_I32: ((int32_t *)data)[i] = (int32_t)value; return value >= INT32_MIN && value <= INT32_MAX;
    case DLRT_I8: ((int8_t *)data)[i] = (int8_t)value; return value >= INT8_MIN && value <= INT8_MAX;
    case DLRT_U8: ((uint8_t *)data)[i] = (uint8_t)value; return value >= 0 && value <= UINT8_MAX;
    case DLRT_BOOL: ((uint8_t *)data)[i] = value != 0; return value == 0 || value == 1;
    default: return store_real(dtype, data, i, (double)value);
    }
}

bool store_real(int32_t dtype, void *data, int64_t i, double value) {
    switch (dtype) {
    case DLRT_F64: ((double *)data)[i] = value; return true;
    case DLRT_F32: ((float *)data)[i] = (float)value; return true;
    case DLRT_F16: ((uint16_t *)data)[i] = float_to_half((float)value); return true;
    case DLRT_BF16: ((uint16_t *)data)[i] = float_to_bf16((float)value); return true;
    default:
        return fabs(value) <= 9007199254740992.0 && value == floor(value) &&
               store_integer(dtype, data, i, (int64_t)value);
    }
}
