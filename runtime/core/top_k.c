/* top_k.c - dlrt_top_k: the greatest of each row.
 *
 * In: a tensor. Out: along `axis` its k greatest elements, the greatest first, and their positions in the row; of
 * equal elements the first. One walk over the row with a heap of the k best so far, the worst of them at its root.
 * Scratch: k pairs. Attributes: axis, k. */
#include "routine.h"

/* Whether a comes after b: what is greater, then what is earlier, comes first. */
static bool after(OrderPair a, OrderPair b) {
    return a.key != b.key ? a.key > b.key : a.index > b.index;
}

/* Lets x sink from place `at` of a heap of n whose roots come last. */
static void sink(OrderPair *heap, int64_t n, int64_t at, OrderPair x) {
    for (int64_t child; (child = 2 * at + 1) < n; at = child) {
        if (child + 1 < n && after(heap[child + 1], heap[child])) child++;
        if (!after(heap[child], x)) break;
        heap[at] = heap[child];
    }
    heap[at] = x;
}

/* The k best of a row of x, in order. */
static void find_best(const RoutineTensor *x, const unsigned char *row, int64_t axis, int64_t k, OrderPair *heap) {
    int64_t n = x->shape[axis], step = x->strides[axis] * x->size;
    for (int64_t i = 0; i < k; i++) heap[i] = (OrderPair){dlrt_order_key(x->dtype, row + i * step, true), i};
    for (int64_t i = k / 2 - 1; i >= 0; i--) sink(heap, k, i, heap[i]);
    for (int64_t i = k; i < n && k; i++) {
        uint64_t key = dlrt_order_key(x->dtype, row + i * step, true);
        if (key < heap[0].key) sink(heap, k, 0, (OrderPair){key, i});
    }
    for (int64_t left = k - 1; left > 0; left--) {
        OrderPair last = heap[left];
        heap[left] = heap[0];
        sink(heap, left, 0, last);
    }
}

void dlrt_top_k(const DlrtFrame *frame, const void *kernel_args, int64_t begin, int64_t end, int32_t worker) {
    RoutineArgs a = dlrt_routine_args(kernel_args);
    RoutineTensor x = dlrt_routine_operand(&a), values = dlrt_routine_result(&a), indices = dlrt_routine_result(&a);
    int64_t axis = dlrt_routine_int(&a), k = dlrt_routine_int(&a);
    OrderPair *heap = (OrderPair *)(void *)(frame->scratch + worker * frame->scratch_stride);
    for (int64_t r = begin; r < end; r++) {
        const unsigned char *row = x.data + dlrt_row_offset(&x, axis, r);
        find_best(&x, row, axis, k, heap);
        unsigned char *to = values.data ? values.data + dlrt_row_offset(&values, axis, r) : NULL;
        unsigned char *at = indices.data ? indices.data + dlrt_row_offset(&indices, axis, r) : NULL;
        for (int64_t i = 0; i < k; i++) {
            int32_t index = (int32_t)heap[i].index;
            if (to)
                dlrt_copy_element(to + i * values.strides[axis] * values.size,
                                  row + index * x.strides[axis] * x.size, x.size);
            if (at) dlrt_copy_element(at + i * indices.strides[axis] * 4, &index, 4);
        }
    }
}
