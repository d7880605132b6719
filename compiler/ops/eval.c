/* Reference evaluation: see eval.h. */
#include "ops/region.h"

#include "ops/eval.h"

Tensor *tensor_new(Arena *a, DType dtype, int rank, const int64_t *shape) {
    Tensor *t = arena_new(a, Tensor);
    *t = (Tensor){.dtype = dtype, .rank = rank, .count = 1};
    for (int i = 0; i < rank; i++) {
        t->shape[i] = shape[i];
        t->count *= shape[i];
    }
    t->at = arena_array(a, Number, t->count);
    return t;
}

void tensor_strides(const Tensor *t, int64_t *strides) {
    int64_t step = 1;
    for (int i = t->rank - 1; i >= 0; i--) {
        strides[i] = step;
        step *= t->shape[i];
    }
}

const Tensor *eval_operand(const EvalContext *e, const Op *op, int i) { return e->values[op->operands[i]->id]; }

int64_t eval_dim(const EvalContext *e, Dim d) { return dim_eval(&e->module->dims, d, e->dims); }

Tensor *eval_result(EvalContext *e, const Op *op, int i) {
    const Value *v = &op->results[i];
    int64_t shape[MAX_RANK];
    for (int k = 0; k < v->type.rank; k++) {
        shape[k] = eval_dim(e, v->type.shape[k]);
        if (shape[k] >= 0) continue;
        eval_fail(e, "dimension %d of a result of %s is %lld", k, op->info->name, (long long)shape[k]);
        shape[k] = 0;
    }
    return e->values[v->id] = tensor_new(e->arena, v->type.dtype, v->type.rank, shape);
}

void eval_fail(EvalContext *e, const char *format, ...) {
    if (e->error) return;
    va_list args;
    va_start(args, format);
    e->error = arena_vprintf(e->arena, format, args);
    va_end(args);
}

/* A number in -1 .. 1. */
static double draw(uint64_t *state) {
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (double)(int64_t)*state * 0x1p-63;
}

/* What an op computes from operands is off by up to a unit in either direction before it is rounded. */
static void add_noise(EvalContext *e, const Op *op, Tensor *t) {
    OpKind kind = op->info->kind;
    bool computes = kind == KIND_MAP || kind == KIND_REDUCE || kind == KIND_CUMULATE || kind == KIND_CONTRACT;
    double unit = number_unit(t->dtype);
    for (int64_t k = 0; computes && op->operand_count && k < t->count; k++) t->at[k].f *= 1 + unit * draw(e->noise);
}

static void round_results(EvalContext *e, const Op *op) {
    for (int i = 0; i < op->result_count; i++) {
        Tensor *t = e->values[op->results[i].id];
        if (!t || !dtype_is_float(t->dtype)) continue;
        if (e->noise) add_noise(e, op, t);
        for (int64_t k = 0; k < t->count; k++) t->at[k].f = number_round(t->dtype, t->at[k].f);
    }
}

static bool is_needed(const EvalContext *e, const Op *op) {
    if (!e->needed || op_has_check(op)) return true;
    for (int i = 0; i < op->result_count; i++)
        if (e->needed[op->results[i].id]) return true;
    return false;
}

static void keep_stopped(EvalContext *e, const Op *op) {
    StopLog *log = e->stops;
    Tensor **value = &e->values[op->results[0].id];
    if (!log->replays) vec_push(log->arena, &log->values, *value);
    else if (log->next < log->values.n) *value = log->values.at[log->next++];
}

void eval_region(EvalContext *e, const Region *r) {
    for (int i = 0; i < r->ops.n && !e->error; i++) {
        const Op *op = r->ops.at[i];
        if (!is_needed(e, op)) continue;
        op->info->eval(e, op);
        if (e->round) round_results(e, op);
        if (e->stops && op->info->flags & OP_STOPS_GRADIENT && !e->error) keep_stopped(e, op);
    }
}

int64_t *eval_offsets(EvalContext *e, int rank, const int64_t *shape, const int64_t *strides, int64_t *count) {
    int64_t n = 1, index[MAX_RANK] = {0}, at = 0;
    for (int i = 0; i < rank; i++) n *= shape[i];
    int64_t *offsets = arena_array(e->arena, int64_t, n);
    for (int64_t k = 0; k < n; k++) {
        offsets[k] = at;
        for (int i = rank - 1; i >= 0; i--) {
            at += strides[i];
            if (++index[i] < shape[i]) break;
            at -= strides[i] * shape[i];
            index[i] = 0;
        }
    }
    *count = n;
    return offsets;
}

int64_t *eval_axis_offsets(EvalContext *e, const Tensor *t, const int64_t *axes, int n, int64_t *count) {
    int64_t strides[MAX_RANK], shape[MAX_RANK], steps[MAX_RANK];
    tensor_strides(t, strides);
    for (int i = 0; i < n; i++) {
        shape[i] = t->shape[axes[i]];
        steps[i] = strides[axes[i]];
    }
    return eval_offsets(e, n, shape, steps, count);
}
