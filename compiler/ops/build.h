/* Building graph operations, checked.
 *
 * Every function infers the result's type by the operator's own rule. A user's mistake is reported at
 * b->span and gives null; null operands give null silently, so one mistake is reported once. Shapes must
 * agree exactly: broadcasting is asked for (build_broadcast_pair and build_broadcast_to). */
#ifndef DLCC_OPS_BUILD_H
#define DLCC_OPS_BUILD_H

#include "ops/ops.h"

typedef struct Builder {
    Module *module;
    Func *func;
    Region *region;            /* where ops are appended */
    Span span;                 /* source of what is built now */
} Builder;

/* The general way: result 0, or null. Further results: ->op->results[i]. */
Value *build_op(Builder *b, const OpInfo *info, Value *const *operands, int n, const Attr *attrs, int attr_count);
Value *build_map(Builder *b, MapFn f, Value *const *operands, int n);
Value *build_map1(Builder *b, MapFn f, Value *x);
Value *build_map2(Builder *b, MapFn f, Value *x, Value *y);
Value *build_map3(Builder *b, MapFn f, Value *x, Value *y, Value *z);

/* Every element is value (integers exact to 2^53). */
Value *build_constant(Builder *b, Type type, double value);
Value *build_constant_like(Builder *b, Value *like, double value);
Value *build_literal(Builder *b, Type type, const double *values, int n);  /* a small dense constant */
Value *build_iota(Builder *b, DType t, int rank, const Dim *shape, int axis);
Value *build_dim(Builder *b, Dim d, DType t);                         /* a run-time dim as a scalar */
Value *build_convert(Builder *b, Value *x, DType t);                  /* x itself if it has that type */
Value *build_random_bits(Builder *b, Value *seed, Value *count, Value *index, uint64_t site, int word);

Value *build_reduce(Builder *b, const OpInfo *reduce, Value *x, const int64_t *axes, int n);
/* Cumulative ones (OP_cumulative_*), and h[t] = a[t] h[t-1] + b[t]; against the axis if `reverse`. */
Value *build_cumulative(Builder *b, const OpInfo *info, Value *x, int axis, bool reverse);
Value *build_linear_recurrence(Builder *b, Value *a, Value *x, int axis, bool reverse);
/* Sorts by key along an axis and takes the values along: result 0 the key sorted, 1 where each came from (i32), then
 * the values sorted. */
Value *build_sort(Builder *b, Value *key, Value *const *values, int n, int axis, bool descending);
Value *build_top_k(Builder *b, Value *x, int64_t k, int axis);
Value *build_nms(Builder *b, Value *boxes, Value *scores, double iou, double score, int64_t keep);
Value *build_dot_general(Builder *b, Value *lhs, Value *rhs, const int64_t *lhs_batch, const int64_t *rhs_batch,
                         int batch, const int64_t *lhs_contract, const int64_t *rhs_contract, int contract);
Value *build_broadcast_in_dim(Builder *b, Value *x, int rank, const Dim *shape, const int64_t *axes);
/* Broadcasts by the usual rule (right-aligned, static 1s) to the shape. */
Value *build_broadcast_to(Builder *b, Value *x, int rank, const Dim *shape);
/* Makes two values one shape by the usual rule; on failure reports and returns false. */
bool build_broadcast_pair(Builder *b, Value **x, Value **y);
Value *build_reshape(Builder *b, Value *x, int rank, const Dim *shape);
Value *build_transpose(Builder *b, Value *x, const int64_t *permutation);
Value *build_slice(Builder *b, Value *x, const Dim *start, const Dim *limit, const int64_t *strides);
/* Adds low before, high after and interior between elements; negative low and high cut off. */
Value *build_pad(Builder *b, Value *x, Value *fill, const Dim *low, const Dim *high, const int64_t *interior);
Value *build_concatenate(Builder *b, Value *const *xs, int n, int axis);
Value *build_reverse(Builder *b, Value *x, const int64_t *axes, int n);
/* The windows of x along n axes, `window` long: x with the axes' extents replaced by the windows' number, then the
 * window dims. What take_windows and place_windows do is said in windows.c. */
Value *build_windows(Builder *b, Value *x, const int64_t *axes, const Dim *window, const int64_t *strides,
                     const int64_t *dilations, int n);
/* The transpose: w[.., windows, .., window dims] added up where they overlap, into dims of `sizes` along the axes. */
Value *build_overlap_add(Builder *b, Value *w, const int64_t *axes, const Dim *sizes, const int64_t *strides,
                         const int64_t *dilations, int n);
Value *build_take_windows(Builder *b, Value *x, const int64_t *axes, const int64_t *strides, const int64_t *dilations,
                          int n);
Value *build_place_windows(Builder *b, Value *x, const int64_t *axes, const Dim *sizes, const int64_t *strides,
                           const int64_t *dilations, int n);

/* General convolution. An operand's or the result's dims are listed as batch (of the kernel: input features), features
 * (output features), then the spatial ones; `low`, `high`, strides and dilations are by spatial dim. */
typedef struct Convolution {
    int spatial;
    int64_t input[MAX_RANK], kernel[MAX_RANK], output[MAX_RANK];
    int64_t strides[MAX_RANK], input_dilation[MAX_RANK], kernel_dilation[MAX_RANK];
    Dim low[MAX_RANK], high[MAX_RANK];
    int64_t feature_groups, batch_groups;
} Convolution;
/* What a convolution's attributes say. */
Convolution convolution_of(const Op *op);
Value *build_convolution(Builder *b, Value *input, Value *kernel, const Convolution *c);

/* operand.shape[:axis] + indices.shape[batch:] + operand.shape[axis+1:]; the first `batch` dims of both
 * are matched (batch <= axis); an index outside 0 .. extent-1 is a run-time status. `what` names the
 * indices in that status. */
Value *build_gather(Builder *b, Value *operand, Value *indices, int axis, int batch, const char *what);

/* The same where mask, shaped as the indices, holds (null: everywhere); elsewhere 0, and the index may be anything. */
Value *build_gather_where(Builder *b, Value *operand, Value *indices, Value *mask, int axis, int batch,
                          const char *what);

/* operand with updates, shaped as gather's result, put at the places that gather reads, by one of OP_scatter_*. */
Value *build_scatter(Builder *b, const OpInfo *scatter, Value *operand, Value *indices, Value *updates, Value *mask,
                     int axis, int batch, const char *what);
Value *build_scatter_add(Builder *b, Value *operand, Value *indices, Value *updates, int axis, int batch,
                         const char *what);

/* The box of `sizes` that begins at the scalar integers `starts` along `axes` (increasing), whole along the others;
 * and operand with update in the box there, which begins at 0 along the others. A start out of range is a run-time
 * status, where `what` names it. */
Value *build_dynamic_slice(Builder *b, Value *operand, Value *const *starts, const int64_t *axes, const Dim *sizes,
                           int n, const char *what);
Value *build_dynamic_update_slice(Builder *b, Value *operand, Value *update, Value *const *starts, const int64_t *axes,
                                  int n, const char *what);

/* ------------------------------------------------------------------- regions
 *
 * A body is built before the operator it belongs to: build_body gives a builder for it, build_body_param parameters,
 * and ops appended through it may use every value that can be used where the operator is to stand, bodies being built
 * around it included. build_scan and the others close bodies: values used from outside become operands of the operator
 * and parameters of its bodies (nested ones have done so before, so close from the inside). After that the builder of
 * a body is not to be used again, nor its values outside of it. They return false after a mistake was reported or if
 * something they are given is null; then the bodies are lost.
 *
 *     Builder body = build_body(b);
 *     Value *h = build_body_param(&body, h0->type, "h"), *xt = build_slice_param(&body, x, 1, "xt");
 *     Value *next = build_map2(&body, MAP_add, h, build_map2(&body, MAP_multiply, xt, w));     // w: of outside
 *     ScanParts parts = {.body = &body, .carries = 1, .inits = &h0, .params = &h, .nexts = &next,
 *                        .xs_count = 1, .xs = &x, .slices = &xt, .axes = (int64_t[]){1},
 *                        .ys_count = 1, .ys = &next, .result_axes = (int64_t[]){1}, .length = x->type.shape[1]};
 *     build_scan(b, &parts, &last, &stack);
 */
Builder build_body(const Builder *b);
Value *build_body_param(Builder *body, Type type, const char *name);
/* A parameter for a slice of x, which lacks the axis; reports an axis that is none. */
Value *build_slice_param(Builder *body, Value *x, int64_t axis, const char *name);

typedef struct ScanParts {
    Builder *body;
    int carries;
    Value *const *inits, *const *params, *const *nexts;    /* before, within and after a step */
    int xs_count;
    Value *const *xs, *const *slices;                      /* the whole, and its parameter */
    const int64_t *axes;
    int ys_count;
    Value *const *ys;
    const int64_t *result_axes;                            /* where each is stacked; null: all along 0 */
    Value *index;                                          /* a parameter, i64 scalar; null: not used */
    Dim length;
    bool reverse;
} ScanParts;
/* finals[i] receives the last of carry i, stacked[i] all of y i. A carry that each step leaves as it is is none: its
 * uses become uses of init, which is also its last one. So a body may be given carries for all that it reads of what it
 * might write. */
bool build_scan(Builder *b, const ScanParts *parts, Value **finals, Value **stacked);

typedef struct WhileParts {
    Builder *condition, *body;
    int carries;
    Value *const *inits;
    Value *const *condition_params;                        /* null entries: the condition does not look at it */
    Value *const *body_params, *const *nexts;
    Value *test;                                           /* of the condition: a bool scalar */
    int64_t limit;                                         /* at most so many steps; -1: any number */
} WhileParts;
/* As build_scan: carries left as they are are none. A gradient needs a limit. */
bool build_while(Builder *b, const WhileParts *parts, Value **finals);

/* values[i] of `first` if the bool scalar holds, else of `second`; n of them, equal in type. The bodies have no
 * parameters of their own. */
bool build_cond(Builder *b, Value *condition, Builder *first, Value *const *first_values, Builder *second,
                Value *const *second_values, int n, Value **results);

typedef struct CallParts {
    Builder *body;                                         /* parameters: params, one for each of args */
    int arg_count, result_count;
    Value *const *args, *const *params;
    Value *const *results;                                 /* of the body */
    bool recompute;                                        /* the backward pass computes the body again */
    Builder *backward;                                     /* null: the body's own gradient. Its parameters: */
    Value *const *backward_args, *const *backward_results, *const *backward_dresults;  /* null entries: not used */
    const int64_t *wrt;                                    /* increasing: which args it has gradients for, */
    Value *const *gradients;                               /* and these */
    int wrt_count;
} CallParts;
/* A call kept together until gradients are taken. With `backward`, a gradient that has to flow to anything but the args
 * in wrt is an error when it is taken, as is one to a value captured from outside. */
bool build_call(Builder *b, const CallParts *parts, Value **results);

/* x, not to be computed before `after`, nor to be merged with x's own computation. */
Value *build_barrier(Builder *b, Value *x, Value *const *after, int n);
/* Binds the free symbol to x, an i64 scalar, for the ops built after this in the region; out of its bounds is a run-time
 * status, where `what` (may be null) names it. */
bool build_bind_dim(Builder *b, Value *x, const DimSymbol *symbol, const char *what);
/* A run-time status with the message unless the bool scalar holds. */
bool build_require(Builder *b, Value *condition, const char *message);

/* stop_gradient: the identity with zero gradient. */
Value *build_stop_gradient(Builder *b, Value *x);

/* Gradients: appends the backward pass of scalar `loss` and sets out[i] to its gradient with respect to
 * wrt[i] (any value the loss was computed from; zeros where it does not depend on it). Reports an
 * operator without a gradient rule at the place it came from; then returns false. */
bool build_gradients(Builder *b, Value *loss, Value *const *wrt, int n, Value **out);
/* Whether `of` depends on `on` at all, and through differentiable operators. stop_gradient cuts: what lies
 * behind it is not depended on. */
Dependence graph_dependence(Builder *b, Value *of, Value *on);
/* The same for many values: what `of` was computed from is explored once. Good until the graph changes; ops that are
 * appended do no harm. */
typedef struct Dependences Dependences;
Dependences *graph_dependences(Builder *b, Value *of);
Dependence dependence_on(Dependences *d, const Value *on);

#endif
