/* Every element function, type and number of lanes against the references of elementwise.def. */
#include "check.h"

#include "ops/eval.h"
#include "ops/philox.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const MapInfo map_info[MAP_COUNT] = {
#define ELEMENTWISE(name, arity, rule, types, flags, reference, gradient, kink, ulp, ...) {#name, arity, types, ulp},
#include "ir/elementwise.def"
#undef ELEMENTWISE
};

enum { EDGES = 24, SPACE = 16384 /* > 24^3, a multiple of all lanes */, OPERANDS = 3, BYTES = 8 };

typedef struct Sample {
    Number *at;                /* as the interpreter holds it */
    unsigned char *raw;        /* as arrays hold it */
} Sample;

/* ------------------------------------------------------------- elements in memory */

/* Significand bits (hidden one included) and lowest exponent of the half-wide floats. */
static int significand(DType t) { return t == DTYPE_F16 ? 11 : 8; }
static int bottom(DType t) { return t == DTYPE_F16 ? -14 : -126; }

static double from_half(DType t, uint16_t bits) {
    int digits = significand(t) - 1, field = (bits & 0x7fff) >> digits, fraction = bits & ((1 << digits) - 1);
    double sign = bits & 0x8000 ? -1 : 1;
    if (field == 0x7fff >> digits) return fraction ? NAN : sign * INFINITY;
    if (field == 0) return sign * ldexp(fraction, bottom(t) - digits);
    return sign * ldexp(fraction + (1 << digits), bottom(t) + field - 1 - digits);
}

/* x is a value of type t. */
static uint16_t to_half(DType t, double x) {
    int digits = significand(t) - 1, exponent;
    uint16_t sign = signbit(x) ? 0x8000 : 0, top = (uint16_t)(0x7fff >> digits << digits);
    if (isnan(x)) return top | 1;
    if (isinf(x)) return sign | top;
    frexp(x, &exponent);
    if (x == 0 || exponent - 1 < bottom(t)) return sign | (uint16_t)ldexp(fabs(x), digits - bottom(t));
    int fraction = (int)ldexp(fabs(x), digits - (exponent - 1)) - (1 << digits);
    return (uint16_t)(sign | (exponent - bottom(t)) << digits | fraction);
}

static Number load(DType t, const unsigned char *raw, int i) {
    const unsigned char *p = raw + (size_t)i * (size_t)dtype_bytes(t);
    float f;
    uint16_t half;
    int32_t i32;
    Number r = {.i = 0};
    switch (t) {
    case DTYPE_F64: memcpy(&r.f, p, 8); break;
    case DTYPE_F32: memcpy(&f, p, 4); r.f = (double)f; break;
    case DTYPE_F16:
    case DTYPE_BF16: memcpy(&half, p, 2); r.f = from_half(t, half); break;
    case DTYPE_I64: memcpy(&r.i, p, 8); break;
    case DTYPE_I32: memcpy(&i32, p, 4); r.i = i32; break;
    case DTYPE_I8: r.i = (signed char)*p; break;
    default: r.i = *p;
    }
    return r;
}

static void store(DType t, unsigned char *raw, int i, Number x) {
    unsigned char *p = raw + (size_t)i * (size_t)dtype_bytes(t);
    float f = dtype_is_float(t) ? (float)x.f : 0;
    int32_t i32 = (int32_t)x.i;
    uint16_t half;
    switch (t) {
    case DTYPE_F64: memcpy(p, &x.f, 8); break;
    case DTYPE_F32: memcpy(p, &f, 4); break;
    case DTYPE_F16:
    case DTYPE_BF16: half = to_half(t, x.f); memcpy(p, &half, 2); break;
    case DTYPE_I64: memcpy(p, &x.i, 8); break;
    case DTYPE_I32: memcpy(p, &i32, 4); break;
    default: *p = (unsigned char)x.i;
    }
}

/* ------------------------------------------------------------------------ operands */

static uint64_t next_random(uint64_t *state) {
    uint32_t out[4], counter[4] = {(uint32_t)*state, (uint32_t)(*state >> 32), 0, 0};
    philox4x32((const uint32_t[]){1, 2}, counter, out);
    ++*state;
    return (uint64_t)out[1] << 32 | out[0];
}

/* Between two neighbours of a half-wide type, or as little as an f64 can say beside that: what a conversion rounds
 * wrongly if it rounds twice. */
static double near_tie(uint64_t *state) {
    static const double beside[] = {0, 0x1p-45, -0x1p-45};
    uint64_t bits = next_random(state);
    DType t = bits >> 20 & 1 ? DTYPE_F16 : DTYPE_BF16;
    uint16_t half = (uint16_t)bits;
    double low = from_half(t, half), high = from_half(t, half + 1);
    if (!isfinite(low)) return low;
    if (!isfinite(high)) high = low + (low - from_half(t, half - 1));
    return (low + high) / 2 * (1 + beside[(bits >> 32) % 3]);
}

/* Any bit pattern one time in three, else something of ordinary size. */
static Number random_number(DType t, uint64_t *state) {
    uint64_t bits = next_random(state);
    unsigned char raw[BYTES];
    memcpy(raw, &bits, BYTES);
    if (t == DTYPE_BOOL) return (Number){.i = (int64_t)(bits & 1)};
    uint64_t sort = next_random(state) % 6;
    if (sort < 2) return load(t, raw, 0);
    if (sort < 4 && dtype_is_float(t)) return (Number){.f = number_round(t, near_tie(state))};
    if (!dtype_is_float(t)) return (Number){.i = number_wrap(t, (int64_t)(bits % 41) - 20)};
    return (Number){.f = number_round(t, ((double)(bits >> 11) * 0x1p-52 - 1) * 8)};
}

static Number edge(DType t, int i) {
    static const double reals[EDGES] = {0, -0.0, 1, -1, 0.5, -0.5, 1.5, 2.5, -2.5, 2, 3, -3, 100, -7, 1e-3, -1e30,
                                        1e38, 0x1p-126, 0x1p-149, -0x1p-140, INFINITY, -INFINITY, NAN, 0x1.fffffep127};
    static const int64_t wholes[EDGES] = {0, 1, -1, 2, -2, 3, 7, 8, 31, 32, 63, 64, 127, 128, -128, 255, 256, 1 << 30,
                                          INT32_MAX, INT32_MIN, INT64_MAX, INT64_MIN, -64, 100};
    if (dtype_is_float(t)) return (Number){.f = number_round(t, reals[i])};
    return (Number){.i = number_wrap(t, wholes[i])};
}

static DType operand_type(const ElementEntry *entry, int operand) {
    return entry->map == MAP_select && operand == 0 ? DTYPE_BOOL : (DType)entry->t;
}

static void fill(const ElementEntry *entry, Sample *x) {
    uint64_t state = 0;
    for (int i = 0; i < SPACE; i++) {
        int rest = i;
        for (int k = 0; k < OPERANDS; k++, rest /= EDGES) {
            DType t = operand_type(entry, k);
            x[k].at[i] = i < EDGES * EDGES * EDGES ? edge(t, rest % EDGES) : random_number(t, &state);
            store(t, x[k].raw, i, x[k].at[i]);
        }
    }
}

/* ----------------------------------------------------------------------- references */

static Number converted(DType from, DType to, Number x) {
    if (dtype_is_float(from) && dtype_is_float(to)) return (Number){.f = number_round(to, x.f)};
    if (dtype_is_float(from)) return (Number){.i = number_from_float(to, x.f)};
    if (to == DTYPE_F32) return (Number){.f = (double)(float)x.i};
    if (dtype_is_float(to)) return (Number){.f = number_round(to, (double)x.i)};
    return (Number){.i = to == DTYPE_BOOL ? x.i != 0 : number_wrap(to, x.i)};
}

static Number random_word(const Number *x, int word) {
    uint64_t key = (uint64_t)x[0].i ^ ELEMENTS_SITE, low = (uint64_t)x[2].i, high = (uint64_t)x[1].i;
    uint32_t out[4], counter[] = {(uint32_t)low, (uint32_t)(low >> 32), (uint32_t)high, (uint32_t)(high >> 32)};
    philox4x32((const uint32_t[]){(uint32_t)key, (uint32_t)(key >> 32)}, counter, out);
    return (Number){.i = number_wrap(DTYPE_I32, out[word])};
}

static Number mapped(MapFn f, DType t, DType to, const Number *x) {
    if (!dtype_is_float(t)) {
        int64_t v[] = {x[0].i, x[1].i, x[2].i};
        return (Number){.i = map_eval_int(f, t, v)};
    }
    double v[] = {f == MAP_select ? (double)x[0].i : x[0].f, x[1].f, x[2].f}, y = map_eval_float(f, v);
    return dtype_is_float(to) ? (Number){.f = y} : (Number){.i = y != 0};
}

static Number combined(const ElementEntry *entry, const Number *x) {
    Number v[64];
    memcpy(v, x, sizeof *v * (size_t)entry->lanes);
    for (int half = entry->lanes / 2; half; half /= 2)
        for (int i = 0; i < half; i++) {
            v[i] = mapped((MapFn)entry->map, (DType)entry->t, (DType)entry->to, (Number[]){v[i], v[i + half], {0}});
            if (dtype_is_float((DType)entry->t)) v[i].f = number_round((DType)entry->t, v[i].f);
        }
    return v[0];
}

static Number right_of(const ElementEntry *entry, const Sample *x, int i) {
    Number v[] = {x[0].at[i], x[1].at[i], x[2].at[i]};
    if (entry->combines) return combined(entry, x[0].at + (size_t)i * (size_t)entry->lanes);
    if (entry->map == MAP_convert) return converted((DType)entry->t, (DType)entry->to, v[0]);
    if (entry->map == MAP_random_bits) return random_word(v, entry->word);
    return mapped((MapFn)entry->map, (DType)entry->t, (DType)entry->to, v);
}

/* -------------------------------------------------------------------- comparison */

static bool zero_sign_is_free(MapFn f) { return f == MAP_maximum || f == MAP_minimum || f == MAP_clamp; }

/* f32 elementary functions are allowed their ULPs. f16 and bf16 may round the other way where the f32
 * result is off; f64 ones are libm's, as the reference. */
static bool agrees(const ElementEntry *entry, Number got, Number right) {
    DType t = (DType)entry->to;
    if (!dtype_is_float(t)) return got.i == right.i;
    double ulp = map_info[entry->map].ulp, rounded = number_round(t, right.f);
    if (ulp > 0 && t == DTYPE_F32) return ulp_error((float)got.f, right.f) <= ulp;
    if (isnan(rounded)) return isnan(got.f);
    if (got.f == 0 && rounded == 0 && zero_sign_is_free((MapFn)entry->map)) return true;
    if (got.f == rounded) return !signbit(got.f) == !signbit(rounded);
    if (ulp == 0 || (t != DTYPE_F16 && t != DTYPE_BF16)) return false;
    int distance = to_half(t, got.f) - to_half(t, rounded);
    return distance == 1 || distance == -1;
}

static void report(const ElementEntry *entry, const char *target, const Sample *x, int i, Number got, Number right) {
    bool whole = !dtype_is_float((DType)entry->to);
    printf("%s: %s%s %s -> %s, %d lanes, at %d (", target, entry->combines ? "combine " : "",
           map_info[entry->map].name, dtype_name((DType)entry->t), dtype_name((DType)entry->to), entry->lanes, i);
    for (int k = 0; k < OPERANDS; k++) {
        Number v = x[k].at[i];
        if (dtype_is_float(operand_type(entry, k))) printf("%s%a", k ? ", " : "", v.f);
        else printf("%s%lld", k ? ", " : "", (long long)v.i);
    }
    if (whole) printf("): %lld instead of %lld\n", (long long)got.i, (long long)right.i);
    else printf("): %a instead of %a\n", got.f, right.f);
}

static bool check_entry(const ElementEntry *entry, const char *target, const Sample *x, unsigned char *out) {
    int count = entry->combines ? SPACE / entry->lanes : SPACE;
    entry->loop(x[0].raw, x[1].raw, x[2].raw, out, SPACE);
    for (int i = 0; i < count; i++) {
        Number got = load((DType)entry->to, out, i), right = right_of(entry, x, i);
        if (agrees(entry, got, right)) continue;
        report(entry, target, x, i, got, right);
        return false;
    }
    return true;
}

int check_entries(const ElementEntry *table, const char *target, int *checked) {
    Sample x[OPERANDS];
    unsigned char *out = malloc(SPACE * BYTES);
    int wrong = 0, last = -1;
    bool room = out;
    for (int k = 0; k < OPERANDS; k++) {
        x[k] = (Sample){malloc(sizeof(Number) * SPACE), malloc(SPACE * BYTES)};
        room = room && x[k].at && x[k].raw;
    }
    for (const ElementEntry *entry = table; room && entry->map >= 0; entry++, ++*checked) {
        int kind = entry->t * 2 + (entry->map == MAP_select);
        if (kind != last) fill(entry, x);
        last = kind;
        wrong += !check_entry(entry, target, x, out);
    }
    for (int k = 0; k < OPERANDS; k++) {
        free(x[k].at);
        free(x[k].raw);
    }
    free(out);
    return room ? wrong : wrong + 1;
}
