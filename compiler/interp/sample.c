/* Samples: see sample.h. */
#include "interp/sample.h"

#include "ops/index.h"
#include "ops/philox.h"

enum { SMALL_EXTENT = 3 };

double sample_uniform(Sampler *s) {
    uint32_t out[4], key[2] = {(uint32_t)s->seed, (uint32_t)(s->seed >> 32)};
    philox4x32(key, (const uint32_t[]){s->drawn++, 0, 0, 1}, out);
    return out[0] / 4294967296.0;
}

static int64_t sample_extent(Sampler *s, const DimSymbol *d, int round, int64_t span) {
    int64_t room = d->upper - d->lower < span ? d->upper - d->lower : span, extent = d->lower;
    if (round == 0) extent = d->lower > SMALL_EXTENT ? d->lower : SMALL_EXTENT;
    if (round > 1) extent += (int64_t)(sample_uniform(s) * (double)(room + 1));
    return extent < d->upper ? extent : d->upper;
}

int64_t *sample_dims(Sampler *s, const Func *f, int round, int64_t span) {
    int64_t *dims = arena_array(s->arena, int64_t, f->dims.n + 1);
    for (int i = 0; i < f->dims.n; i++) dims[i] = sample_extent(s, f->dims.at[i], round, span);
    return dims;
}

/* Whether v holds elements of `from`, moved or converted at most. */
static bool holds_elements(const Value *v, const Value *from) {
    if (v == from) return true;
    const Op *op = v->op;
    if (!op || (op->info->kind != KIND_MOVE && !(op->info->kind == KIND_MAP && op->info->map == MAP_convert)))
        return false;
    for (int i = 0; i < op->operand_count; i++)
        if (holds_elements(op->operands[i], from)) return true;
    return false;
}

typedef struct LimitSearch {
    DimTable *table;
    const Value *of;
    const int64_t *dims;
    int64_t limit;             /* the least found; INT64_MAX if none was */
} LimitSearch;

static void look_at_op(void *user, Op *op) {
    LimitSearch *s = user;
    if (op->info->kind != KIND_INDEX) return;
    IndexParts p = index_parts(op);
    for (int i = 0; i < p.count; i++) {
        int64_t limit = holds_elements(p.indices[i], s->of) ? dim_eval(s->table, index_limit(s->table, op, i), s->dims) : s->limit;
        if (limit < s->limit) s->limit = limit;
    }
}

/* The integers an input may hold are 0 .. limit-1. */
static int64_t integer_limit(const Func *f, int input, const int64_t *dims) {
    LimitSearch s = {&f->module->dims, f->body->params.at[input], dims, INT64_MAX};
    if (s.of->type.dtype != DTYPE_BOOL) region_walk(f->body, look_at_op, &s);
    return s.limit == INT64_MAX ? 2 : s.limit;
}

Tensor *sample_input(Sampler *s, const Func *f, int input, const int64_t *dims) {
    Type type = f->body->params.at[input]->type;
    int64_t shape[MAX_RANK], limit = dtype_is_float(type.dtype) ? 0 : integer_limit(f, input, dims);
    for (int d = 0; d < type.rank; d++) shape[d] = dim_eval(&f->module->dims, type.shape[d], dims);
    Tensor *t = tensor_new(s->arena, type.dtype, type.rank, shape);
    for (int64_t i = 0; i < t->count; i++) {
        double x = sample_uniform(s);
        if (dtype_is_float(type.dtype)) t->at[i].f = number_round(type.dtype, (double)(float)(2 * x - 1));
        else t->at[i].i = number_wrap(type.dtype, (int64_t)(x * (double)limit));
    }
    return t;
}
