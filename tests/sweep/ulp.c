/* Errors in units in the last place. */
#include "check.h"

#include <math.h>
#include <string.h>

double ulp_error(float got, double right) {
    enum { TOP = 127, BOTTOM = -126, DIGITS = 23 };
    double a = fabs(right), g = fabs((double)got);
    if (isnan(right)) return isnan(got) ? 0 : INFINITY;
    if (isnan(got) || !signbit(got) != !signbit(right)) return INFINITY;
    if (a >= 0x1p128) return isinf(got) ? 0 : INFINITY;
    if (isinf(got)) g = 0x1p128;
    uint64_t bits;
    memcpy(&bits, &a, sizeof bits);
    int exponent = (int)(bits >> 52) - 1023;
    if (exponent < BOTTOM) exponent = BOTTOM;
    if (exponent > TOP) exponent = TOP;
    bits = (uint64_t)(1023 + DIGITS - exponent) << 52;
    double per_ulp;
    memcpy(&per_ulp, &bits, sizeof per_ulp);
    return fabs(g - a) * per_ulp;
}
