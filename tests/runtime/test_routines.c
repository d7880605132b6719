/* The routines that generated code calls, on lists of arguments written by hand: against an order worked out in the
 * plainest way, for every element type, with strides, rows in any pieces, and no byte touched beside the results. */
#include "routine.h"
#include "support.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { N = 300, ROWS = 5, GUARD = 64 };

/* ------------------------------------------------------------------- argument lists */

typedef struct List {
    int64_t at[256];
    int n;
    void *pointers[16];
    int pointer_count;
} List;

static void add_tensor(List *l, int32_t dtype, void *data, int rank, const int64_t *shape, const int64_t *strides) {
    l->at[l->n++] = dtype;
    l->at[l->n++] = rank;
    for (int i = 0; i < rank; i++) l->at[l->n++] = shape[i];
    for (int i = 0; i < rank; i++) l->at[l->n++] = strides[i];
    l->pointers[l->pointer_count++] = data;
}

static List list_of(int64_t operands, int64_t results, int64_t wanted) {
    return (List){.at = {0, operands, results, wanted}, .n = 4};
}

static void add_float(List *l, double x) {
    uint64_t bits;
    memcpy(&bits, &x, 8);
    l->at[l->n++] = (int64_t)(bits & UINT32_MAX);
    l->at[l->n++] = (int64_t)(bits >> 32);
}

/* Runs the rows in two pieces, the later one first, with two workers' scratch. The scratch is exactly as large as
 * stated, so that a sanitizer sees more. */
static void run(DlrtTask *task, List *l, int64_t rows, int64_t scratch_bytes) {
    int64_t stride = dlrt_round64(scratch_bytes);
    unsigned char *scratch = aligned_alloc(64, (size_t)(2 * stride + (stride ? 0 : 64)));
    DlrtFrame frame = {.scratch = scratch, .scratch_stride = stride, .threads = 2};
    l->at[0] = l->n;
    for (int i = 0; i < l->pointer_count; i++) memcpy(&l->at[l->n + i], &l->pointers[i], sizeof(void *));
    task(&frame, l->at, rows / 2, rows, 1);
    task(&frame, l->at, 0, rows / 2, 0);
    free(scratch);
}

static uint32_t next(uint32_t *state) { return *state = *state * 1664525u + 1013904223u; }

/* ---------------------------------------------------------------------- plain order */

/* Numbers as doubles: exact but for i64, which are drawn small. */
static double number(int32_t dtype, const void *at) {
    uint16_t h;
    uint32_t bits;
    float f;
    switch (dtype) {
    case DLRT_F64: return *(const double *)at;
    case DLRT_F32: return *(const float *)at;
    case DLRT_I64: return (double)*(const int64_t *)at;
    case DLRT_I32: return *(const int32_t *)at;
    case DLRT_I8: return *(const int8_t *)at;
    case DLRT_U8:
    case DLRT_BOOL: return *(const uint8_t *)at;
    case DLRT_BF16:
        memcpy(&h, at, 2);
        bits = (uint32_t)h << 16;
        memcpy(&f, &bits, 4);
        return f;
    default: break;
    }
    memcpy(&h, at, 2);
    int exponent = h >> 10 & 31, mantissa = h & 1023;
    double x = exponent == 31 ? (mantissa ? NAN : INFINITY) : exponent ? ldexp(1024 + mantissa, exponent - 25) : ldexp(mantissa, -24);
    return h & 0x8000 ? -x : x;
}

static bool before(double a, double b, bool descending) {
    if (isnan(a) || isnan(b)) return descending ? isnan(a) && !isnan(b) : !isnan(a) && isnan(b);
    return descending ? a > b : a < b;
}

/* Zeros, infinities and NaNs of float type `dtype`, by their upper bits. */
static uint64_t special(int32_t dtype, int which) {
    static const uint64_t infinity[] = {UINT64_C(0x7FF0000000000000), 0x7F800000, 0x7C00, 0x7F80};
    uint64_t sign = (uint64_t)1 << (8 * dlrt_dtype_bytes(dtype) - 1), top = infinity[dtype];
    const uint64_t all[] = {0, sign, top, top | sign, top + 1, (top + 1) | sign};
    return all[which % 6];
}

/* Random bits of the type: with NaNs, infinities, both zeros and many ties. */
static void draw(int32_t dtype, unsigned char *to, int64_t n, uint32_t *state) {
    int64_t size = dlrt_dtype_bytes(dtype);
    for (int64_t i = 0; i < n; i++) {
        uint64_t bits = 0;
        uint32_t r = next(state) >> 8;
        bool is_float = dtype <= DLRT_BF16;
        if (dtype == DLRT_BOOL) bits = r & 1;
        else if (r % 3 || (size == 8 && !is_float)) bits = (uint64_t)(r >> 4) % 9 << (is_float ? 8 * size - 5 : 0);
        else bits = (uint64_t)next(state) << 32 | next(state);
        if (is_float && r % 4 == 0) bits = special(dtype, (int)(r >> 8));
        if (!is_float && dtype != DLRT_BOOL && r % 5 == 0) bits = 0 - bits;
        if (dtype == DLRT_I64) bits = (uint64_t)((int64_t)(bits << 20) >> 20);
        for (int64_t k = 0; k < size; k++) to[i * size + k] = (unsigned char)(bits >> 8 * k);
    }
}

/* ---------------------------------------------------------------------------- sort */

/* Rows of n along axis 0 of [n, ROWS], so with a stride. */
static void check_sort(int32_t dtype, int64_t n, bool descending) {
    static _Alignas(8) unsigned char x[N * ROWS * 8], y[N * ROWS * 8], with[N * ROWS], sorted_with[N * ROWS + GUARD];
    static int32_t indices[N * ROWS + GUARD];
    int64_t size = dlrt_dtype_bytes(dtype), shape[] = {n, ROWS}, strides[] = {ROWS, 1}, turned[] = {1, n};
    uint32_t state = (uint32_t)(dtype * 7 + n);
    draw(dtype, x, n * ROWS, &state);
    for (int64_t i = 0; i < n * ROWS; i++) with[i] = (unsigned char)(i * 37);
    memset(indices, 0x5a, sizeof indices);
    memset(sorted_with, 0x5a, sizeof sorted_with);
    List l = list_of(2, 3, 7);
    add_tensor(&l, dtype, x, 2, shape, strides);
    add_tensor(&l, DLRT_U8, with, 2, shape, strides);
    add_tensor(&l, dtype, y, 2, shape, strides);
    add_tensor(&l, DLRT_I32, indices, 2, shape, strides);
    add_tensor(&l, DLRT_U8, sorted_with, 2, shape, turned);
    l.at[l.n++] = 0;
    l.at[l.n++] = descending;
    run(dlrt_sort, &l, ROWS, 32 * n);
    for (int64_t r = 0; r < ROWS; r++) {
        bool seen[N] = {0};
        for (int64_t i = 0; i < n; i++) {
            int64_t to = i * ROWS + r, from = indices[to] * ROWS + r;
            assert_in_range(indices[to], 0, n - 1);
            assert_false(seen[indices[to]]);
            seen[indices[to]] = true;
            assert_memory_equal(y + to * size, x + from * size, (size_t)size);
            assert_int_equal(sorted_with[r * n + i], with[from]);
            if (!i) continue;
            double a = number(dtype, y + (to - ROWS) * size), b = number(dtype, y + to * size);
            assert_false(before(b, a, descending));
            if (!before(a, b, descending)) assert_true(indices[to - ROWS] < indices[to]);
        }
    }
    for (int64_t i = n * ROWS; i < n * ROWS + GUARD; i++) assert_int_equal(indices[i], 0x5a5a5a5a);
    for (int64_t i = n * ROWS; i < n * ROWS + GUARD; i++) assert_int_equal(sorted_with[i], 0x5a);
}

static void sort_is_an_order(void **s) {
    (void)s;
    static const int64_t lengths[] = {0, 1, 2, 31, 32, 33, 77, N};
    for (int32_t dtype = DLRT_F64; dtype <= DLRT_BOOL; dtype++)
        for (size_t k = 0; k < sizeof lengths / sizeof *lengths; k++)
            for (int down = 0; down < 2; down++) check_sort(dtype, lengths[k], down);
}

/* Results that nobody wants have no pointer. */
static void sort_leaves_out_what_is_not_wanted(void **s) {
    (void)s;
    float x[] = {3, 1, 2};
    int32_t indices[] = {9, 9, 9};
    int64_t three = 3, one = 1;
    List l = list_of(1, 2, 2);
    add_tensor(&l, DLRT_F32, x, 1, &three, &one);
    add_tensor(&l, DLRT_I32, indices, 1, &three, &one);
    l.at[l.n++] = 0;
    l.at[l.n++] = 0;
    run(dlrt_sort, &l, 1, 96);
    assert_memory_equal(indices, ((int32_t[]){1, 2, 0}), sizeof indices);
}

/* --------------------------------------------------------------------------- top_k */

static void check_top_k(int32_t dtype, int64_t n, int64_t k) {
    static _Alignas(8) unsigned char x[N * ROWS * 8], all[N * ROWS * 8], y[N * ROWS * 8];
    static int32_t all_indices[N * ROWS], indices[N * ROWS];
    int64_t size = dlrt_dtype_bytes(dtype), shape[] = {ROWS, n}, strides[] = {n, 1}, few[] = {ROWS, k}, steps[] = {k, 1};
    uint32_t state = (uint32_t)(dtype * 11 + n + k);
    draw(dtype, x, n * ROWS, &state);
    List l = list_of(1, 2, 3), m = l;
    add_tensor(&l, dtype, x, 2, shape, strides);
    add_tensor(&l, dtype, all, 2, shape, strides);
    add_tensor(&l, DLRT_I32, all_indices, 2, shape, strides);
    l.at[l.n++] = 1;
    l.at[l.n++] = 1;
    run(dlrt_sort, &l, ROWS, 32 * n);
    add_tensor(&m, dtype, x, 2, shape, strides);
    add_tensor(&m, dtype, y, 2, few, steps);
    add_tensor(&m, DLRT_I32, indices, 2, few, steps);
    m.at[m.n++] = 1;
    m.at[m.n++] = k;
    run(dlrt_top_k, &m, ROWS, 16 * k);
    for (int64_t r = 0; r < ROWS; r++) {
        assert_memory_equal(indices + r * k, all_indices + r * n, (size_t)k * 4);
        assert_memory_equal(y + r * k * size, all + r * n * size, (size_t)(k * size));
    }
}

static void top_k_begins_the_sorted(void **s) {
    (void)s;
    for (int32_t dtype = DLRT_F64; dtype <= DLRT_BOOL; dtype++)
        for (int64_t k = 0; k <= N; k = 3 * k + 1) {
            check_top_k(dtype, N, k);
            check_top_k(dtype, k, k);
        }
}

/* ----------------------------------------------------------------------------- nms */

static void run_nms(const float *boxes, const float *scores, int64_t n, double iou, double score, int64_t keep,
                    int32_t *indices, int32_t *count) {
    int64_t box_shape[] = {n, 4}, box_strides[] = {4, 1}, one = 1;
    List l = list_of(2, 2, 3);
    add_tensor(&l, DLRT_F32, (void *)(uintptr_t)boxes, 2, box_shape, box_strides);
    add_tensor(&l, DLRT_F32, (void *)(uintptr_t)scores, 1, &n, &one);
    add_tensor(&l, DLRT_I32, indices, 1, &keep, &one);
    add_tensor(&l, DLRT_I32, count, 0, NULL, NULL);
    add_float(&l, iou);
    add_float(&l, score);
    l.at[l.n++] = keep;
    run(dlrt_nms, &l, 1, 32 * n + 40 * keep);
}

static void nms_keeps_the_best(void **s) {
    (void)s;
    /* 0 and 1 overlap by 1/3 (2 of 6); 2 is 1 again, later; 3 is 4 run backwards; 5 is NaN; 6 has no good score. */
    static const float boxes[] = {0, 0, 2, 2, 0, 1, 2, 3, 0, 1, 2, 3, 5, 5, 4, 4, 4, 4, 5, 5, NAN, 0, 1, 1, 9, 9, 10, 10};
    static const float scores[] = {0.5f, 0.9f, 0.9f, 0.7f, 0.6f, 0.6f, NAN};
    int32_t indices[7], count;
    run_nms(boxes, scores, 7, 0.3, 0, 7, indices, &count);
    assert_int_equal(count, 4);
    assert_memory_equal(indices, ((int32_t[]){1, 3, 4, 5, 0, 0, 0}), sizeof indices);
    run_nms(boxes, scores, 7, 0.34, 0, 7, indices, &count);
    assert_int_equal(count, 5);
    assert_memory_equal(indices, ((int32_t[]){1, 3, 4, 5, 0, 0, 0}), sizeof indices);
    run_nms(boxes, scores, 7, 1, 0.65, 2, indices, &count);
    assert_int_equal(count, 2);
    assert_memory_equal(indices, ((int32_t[]){1, 2}), 8);
    run_nms(boxes, scores, 7, 1, 0.6, 7, indices, &count);
    assert_int_equal(count, 5);
    assert_memory_equal(indices, ((int32_t[]){1, 2, 3, 4, 5, 0, 0}), sizeof indices);
    run_nms(boxes, scores, 0, 0.5, 0, 7, indices, &count);
    assert_int_equal(count, 0);
    assert_memory_equal(indices, ((int32_t[7]){0}), sizeof indices);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sort_is_an_order),
        cmocka_unit_test(sort_leaves_out_what_is_not_wanted),
        cmocka_unit_test(top_k_begins_the_sorted),
        cmocka_unit_test(nms_keeps_the_best),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
