/* sort.c - dlrt_sort: rows in order, with what is taken along.
 *
 * In: key and values..., all of one shape. Out: the key sorted along `axis`, the position in the row that each element
 * came from, the values in the same order; those of them that are wanted. Stable. Scratch: two pairs an element of a
 * row. Attributes: axis, descending. */
#include "routine.h"

typedef struct Rows {
    int64_t axis, n;           /* n elements along the axis */
    const OrderPair *order;    /* of the current row */
    int64_t row;
} Rows;

static void take_along(const Rows *r, const RoutineTensor *from, const RoutineTensor *to) {
    if (!to->data) return;
    const unsigned char *source = from->data + dlrt_row_offset(from, r->axis, r->row);
    unsigned char *target = to->data + dlrt_row_offset(to, r->axis, r->row);
    int64_t step = to->strides[r->axis] * to->size, source_step = from->strides[r->axis] * from->size;
    for (int64_t i = 0; i < r->n; i++)
        dlrt_copy_element(target + i * step, source + r->order[i].index * source_step, to->size);
}

static void write_indices(const Rows *r, const RoutineTensor *to) {
    if (!to->data) return;
    unsigned char *target = to->data + dlrt_row_offset(to, r->axis, r->row);
    for (int64_t i = 0; i < r->n; i++) {
        int32_t index = (int32_t)r->order[i].index;
        dlrt_copy_element(target + i * to->strides[r->axis] * 4, &index, 4);
    }
}

/* Takes the values along, reading their descriptions anew for each row: there may be any number of them. */
static void write_row(const Rows *r, const void *kernel_args) {
    RoutineArgs in = dlrt_routine_args(kernel_args), out = in;
    for (int64_t i = 0; i < out.operands; i++) dlrt_routine_operand(&out);
    RoutineTensor key = dlrt_routine_operand(&in), sorted = dlrt_routine_result(&out), indices = dlrt_routine_result(&out);
    take_along(r, &key, &sorted);
    write_indices(r, &indices);
    for (int64_t i = 1; i < in.operands; i++) {
        RoutineTensor from = dlrt_routine_operand(&in), to = dlrt_routine_result(&out);
        take_along(r, &from, &to);
    }
}

void dlrt_sort(const DlrtFrame *frame, const void *kernel_args, int64_t begin, int64_t end, int32_t worker) {
    RoutineArgs a = dlrt_routine_args(kernel_args);
    RoutineTensor key = dlrt_routine_operand(&a);
    for (int64_t i = 1; i < a.operands; i++) dlrt_routine_operand(&a);
    for (int64_t i = 0; i < a.results; i++) dlrt_routine_result(&a);
    Rows r = {.axis = dlrt_routine_int(&a)};
    bool descending = dlrt_routine_int(&a);
    OrderPair *pairs = (OrderPair *)(void *)(frame->scratch + worker * frame->scratch_stride);
    r.n = key.shape[r.axis];
    for (r.row = begin; r.row < end; r.row++) {
        const unsigned char *row = key.data + dlrt_row_offset(&key, r.axis, r.row);
        for (int64_t i = 0; i < r.n; i++)
            pairs[i] = (OrderPair){dlrt_order_key(key.dtype, row + i * key.strides[r.axis] * key.size, descending), i};
        r.order = dlrt_order(pairs, pairs + r.n, r.n, key.size);
        write_row(&r, kernel_args);
    }
}
