/* nms.c - dlrt_nms: non-maximum suppression.
 *
 * In: boxes [..., N, 4], each x1 y1 x2 y2, and scores [..., N]. Out: the indices [..., keep] of the boxes that stay,
 * 0 behind the last, and their number [...]. Boxes with scores above `score` are taken from the best to the worst, of
 * equal ones the first; one stays if its intersection over union with none that stayed exceeds `iou`. It ends when
 * `keep` have stayed. A box with a side of no length, or that runs backwards, or NaN, is empty and overlaps nothing.
 *
 * All is computed in doubles, in the order written, so that a borderline case falls the same way everywhere.
 * Scratch: two pairs a box, then the boxes that stayed. Attributes: iou, score, keep. */
#include "routine.h"
#include <string.h>

typedef struct Box {
    double x1, y1, x2, y2, area;
} Box;

static double from_half(uint16_t bits) {
    uint64_t sign = (uint64_t)(bits >> 15) << 63, exponent = bits >> 10 & 31, mantissa = bits & 1023;
    double x;
    if (!exponent) {
        x = (double)mantissa * 0x1p-24;
        return sign ? -x : x;
    }
    uint64_t wide = sign | (exponent == 31 ? UINT64_C(2047) : exponent + 1008) << 52 | mantissa << 42;
    memcpy(&x, &wide, sizeof x);
    return x;
}

static double load(int32_t dtype, const unsigned char *at) {
    double x;
    float y;
    uint16_t half;
    uint32_t wide;
    switch (dtype) {
    case DLRT_F64: memcpy(&x, at, 8); return x;
    case DLRT_F32: memcpy(&y, at, 4); return y;
    case DLRT_F16: memcpy(&half, at, 2); return from_half(half);
    default:
        memcpy(&half, at, 2);
        wide = (uint32_t)half << 16;
        memcpy(&y, &wide, 4);
        return y;
    }
}

static double length(double from, double to) {
    return to > from ? to - from : 0;
}

static Box load_box(const RoutineTensor *t, int64_t offset, int64_t i) {
    double x[4];
    const unsigned char *at = t->data + offset + i * t->strides[t->rank - 2] * t->size;
    for (int k = 0; k < 4; k++) x[k] = load(t->dtype, at + k * t->strides[t->rank - 1] * t->size);
    return (Box){x[0], x[1], x[2], x[3], length(x[0], x[2]) * length(x[1], x[3])};
}

static double overlap(const Box *a, const Box *b) {
    double w = length(a->x1 > b->x1 ? a->x1 : b->x1, a->x2 < b->x2 ? a->x2 : b->x2);
    double h = length(a->y1 > b->y1 ? a->y1 : b->y1, a->y2 < b->y2 ? a->y2 : b->y2);
    double both = w * h, all = a->area + b->area - both;
    return all > 0 ? both / all : 0;
}

typedef struct Nms {
    RoutineTensor boxes, scores, indices, counts;
    double iou, score;
    int64_t keep;
} Nms;

static Nms read_args(const void *kernel_args) {
    RoutineArgs a = dlrt_routine_args(kernel_args);
    Nms s;
    s.boxes = dlrt_routine_operand(&a);
    s.scores = dlrt_routine_operand(&a);
    s.indices = dlrt_routine_result(&a);
    s.counts = dlrt_routine_result(&a);
    s.iou = dlrt_routine_float(&a);
    s.score = dlrt_routine_float(&a);
    s.keep = dlrt_routine_int(&a);
    return s;
}

/* The candidates of a row, the best first; their number. */
static int64_t find_candidates(const Nms *s, int64_t row, OrderPair *pairs, OrderPair **ordered) {
    int64_t axis = s->scores.rank - 1, n = s->scores.shape[axis], found = 0;
    const unsigned char *at = s->scores.data + dlrt_row_offset(&s->scores, axis, row);
    for (int64_t i = 0; i < n; i++) {
        const unsigned char *score = at + i * s->scores.strides[axis] * s->scores.size;
        if (load(s->scores.dtype, score) > s->score)
            pairs[found++] = (OrderPair){dlrt_order_key(s->scores.dtype, score, true), i};
    }
    *ordered = dlrt_order(pairs, pairs + n, found, s->scores.size);
    return found;
}

/* Where row `row` of the boxes begins: counted over all axes but the last two. */
static int64_t boxes_offset(const RoutineTensor *t, int64_t row) {
    int64_t at = 0;
    for (int32_t i = t->rank - 3; i >= 0; i--) {
        at += row % t->shape[i] * t->strides[i];
        row /= t->shape[i];
    }
    return at * t->size;
}

static int64_t choose(const Nms *s, int64_t row, OrderPair *pairs) {
    int64_t n = s->scores.shape[s->scores.rank - 1], kept = 0, axis = s->indices.rank - 1;
    Box *stayed = (Box *)(void *)(pairs + 2 * n);
    OrderPair *best;
    int64_t candidates = find_candidates(s, row, pairs, &best), offset = boxes_offset(&s->boxes, row);
    unsigned char *to = s->indices.data ? s->indices.data + dlrt_row_offset(&s->indices, axis, row) : NULL;
    for (int64_t i = 0; i < candidates && kept < s->keep; i++) {
        Box box = load_box(&s->boxes, offset, best[i].index);
        int64_t j = 0;
        while (j < kept && !(overlap(&stayed[j], &box) > s->iou)) j++;
        if (j < kept) continue;
        int32_t index = (int32_t)best[i].index;
        if (to) dlrt_copy_element(to + kept * s->indices.strides[axis] * 4, &index, 4);
        stayed[kept++] = box;
    }
    int32_t none = 0;
    for (int64_t i = kept; i < s->keep && to; i++) dlrt_copy_element(to + i * s->indices.strides[axis] * 4, &none, 4);
    return kept;
}

void dlrt_nms(const DlrtFrame *frame, const void *kernel_args, int64_t begin, int64_t end, int32_t worker) {
    Nms s = read_args(kernel_args);
    OrderPair *pairs = (OrderPair *)(void *)(frame->scratch + worker * frame->scratch_stride);
    for (int64_t row = begin; row < end; row++) {
        int32_t count = (int32_t)choose(&s, row, pairs);
        if (s.counts.data) dlrt_copy_element(s.counts.data + dlrt_row_offset(&s.counts, -1, row), &count, 4);
    }
}
