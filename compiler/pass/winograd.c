/* winograd: convolutions of 3 x 3 by fewer multiplications (A. Lavin and S. Gray, 2016).
 *
 * A tile of 4 x 4 results needs a tile of 6 x 6 inputs. Both are transformed, the kernel too, so that the 144 products a
 * tile needs for each pair of features become 36: with V = B' d B, U = G g G', the results are A' (U V) A, element by
 * element in U and V, summed over the input features. The transformations are linear and the same for all features, so
 * each is a convolution of its own whose kernel is a constant matrix and for which features are places: of the input
 * with a stride of 4, of the results with an input spread by 4. In between stand 36 matrix products. All of it is
 * ordinary operations, which are tiled and fused like any other.
 *
 * In: a module after image_order. Out: the same, but for rounding: errors are some ten times those of adding up the
 * products (docs/design.md has figures). Only where the kernel is a variable that no function writes, since it is
 * transformed once then (prepare), and where time is saved by an estimate of operations and bytes. */
#include "ops/rules.h"
#include "pass/pass.h"
#include "pass/rewrite.h"

enum { TILE = 4, SPAN = 6, TAPS = 3, POINTS = SPAN * SPAN };

/* For the points 0, 1, -1, 2, -2 and infinity. */
static const double input_matrix[SPAN][SPAN] = {{4, 0, -5, 0, 1, 0},  {0, -4, -4, 1, 1, 0}, {0, 4, -4, -1, 1, 0},
                                                {0, -2, -1, 2, 1, 0}, {0, 2, -1, -2, 1, 0}, {0, 4, 0, -5, 0, 1}};
static const double kernel_matrix[SPAN][TAPS] = {{1.0 / 4, 0, 0},
                                                 {-1.0 / 6, -1.0 / 6, -1.0 / 6},
                                                 {-1.0 / 6, 1.0 / 6, -1.0 / 6},
                                                 {1.0 / 24, 1.0 / 12, 1.0 / 6},
                                                 {1.0 / 24, -1.0 / 12, 1.0 / 6},
                                                 {0, 0, 1}};
static const double result_matrix[TILE][SPAN] = {
    {1, 1, 1, 1, 1, 0}, {0, 1, -1, 2, -2, 0}, {0, 1, 1, 4, 4, 0}, {0, 1, -1, 8, -8, 1}};

typedef struct Winograd {
    Module *module;
    const Func *func;
    bool *written;             /* by var id */
} Winograd;

/* Of one convolution: images, rows, columns of the result, features in and out, tiles along rows and columns. */
typedef struct Sizes {
    int64_t n, h, w, in, out, th, tw;
    int64_t low[2];
} Sizes;

/* ---------------------------------------------------------------------------- where */

static bool is_fixed_var(const Winograd *k, const Value *v) {
    while (v->op && v->op->info->kind == KIND_MOVE && v->op->operand_count == 1) v = v->op->operands[0];
    if (v->op || v->region != k->func->body) return false;
    const Port *port = &k->func->inputs.at[v->index];
    return port->kind == PORT_VAR && port->var->kind == VAR_PARAM && !k->written[port->var->id];
}

static bool all_const(Type t) {
    for (int d = 0; d < t.rank; d++)
        if (!dim_is_const(t.shape[d])) return false;
    return true;
}

static int64_t tiles_of(int64_t n) { return (n + TILE - 1) / TILE; }

/* The convolution's sizes, if it is one that can be done so. */
static bool find_sizes(const Op *op, const Convolution *c, Sizes *s) {
    Type x = op->operands[0]->type, w = op->operands[1]->type, y = op->results[0].type;
    if (c->spatial != 2 || c->feature_groups * c->batch_groups != 1 || x.dtype != DTYPE_F32) return false;
    if (!all_const(x) || !all_const(w)) return false;
    for (int i = 0; i < 2; i++) {
        bool plain = c->strides[i] == 1 && c->input_dilation[i] == 1 && c->kernel_dilation[i] == 1;
        if (!plain || dim_value(w.shape[c->kernel[i + 2]]) != TAPS || dim_value(c->low[i]) < 0) return false;
        if (c->input[i + 2] != i + 1 || c->output[i + 2] != i + 1) return false;
        s->low[i] = dim_value(c->low[i]);
    }
    if (c->input[0] != 0 || c->input[1] != 3 || c->output[0] != 0 || c->output[1] != 3) return false;
    s->n = dim_value(y.shape[0]);
    s->h = dim_value(y.shape[1]);
    s->w = dim_value(y.shape[2]);
    s->out = dim_value(y.shape[3]);
    s->in = dim_value(x.shape[3]);
    s->th = tiles_of(s->h);
    s->tw = tiles_of(s->w);
    return true;
}

/* Estimated time: operations, and bytes of kernels, which are read once, at so many operations each. */
static bool saves_time(const Sizes *s) {
    enum { OPS_PER_BYTE = 5, FEWEST = 16 };
    double tiles = (double)(s->n * s->th * s->tw), in = (double)s->in, out = (double)s->out;
    double direct = 18 * in * out * (double)(s->n * s->h * s->w) + OPS_PER_BYTE * 4 * TAPS * TAPS * in * out;
    double transforms = 2 * POINTS * tiles * (POINTS * in + TILE * TILE * out);
    double moved = 2 * 4 * POINTS * tiles * (in + out); /* bytes of the transformed tiles, written and read in a cache */
    double tiled = 2 * POINTS * tiles * in * out + transforms + moved + OPS_PER_BYTE * 4 * POINTS * in * out;
    return s->in >= FEWEST && s->out >= FEWEST && tiled < 0.8 * direct;
}

/* -------------------------------------------------------------------------- operations */

static Value *matrix(Builder *b, int rank, const int64_t *shape, const double *values, int n) {
    Dim dims[MAX_RANK];
    for (int d = 0; d < rank; d++) dims[d] = dim_const(&b->module->dims, shape[d]);
    return build_literal(b, type_make(b->module, DTYPE_F32, rank, dims), values, n);
}

/* x [N, H, W, C] with a dim of extent 1 behind, which is its only feature. */
static Value *as_places(Builder *b, Value *x) {
    Dim shape[MAX_RANK];
    for (int d = 0; d < x->type.rank; d++) shape[d] = x->type.shape[d];
    shape[x->type.rank] = dim_const(&b->module->dims, 1);
    return build_reshape(b, x, x->type.rank + 1, shape);
}

/* The input's tiles, transformed: [36, N, Th, Tw, C]. */
static Value *transform_input(Builder *b, Value *x, const Sizes *s) {
    double values[POINTS * POINTS];
    DimTable *t = &b->module->dims;
    for (int q = 0; q < POINTS; q++)
        for (int i = 0; i < SPAN; i++)
            for (int j = 0; j < SPAN; j++)
                values[q * POINTS + i * SPAN + j] = input_matrix[q / SPAN][i] * input_matrix[q % SPAN][j];
    Value *w = matrix(b, 5, (int64_t[]){POINTS, 1, SPAN, SPAN, 1}, values, POINTS * POINTS);
    Convolution c = {.spatial = 3, .input = {0, 4, 1, 2, 3}, .kernel = {1, 0, 2, 3, 4}, .output = {1, 0, 2, 3, 4},
                     .strides = {TILE, TILE, 1}, .input_dilation = {1, 1, 1}, .kernel_dilation = {1, 1, 1},
                     .feature_groups = 1, .batch_groups = 1};
    const int64_t tiles[] = {s->th, s->tw};
    for (int i = 0; i < 2; i++) {
        int64_t extent = dim_value(x->type.shape[i + 1]);
        c.low[i] = dim_const(t, s->low[i]);
        c.high[i] = dim_const(t, TILE * (tiles[i] - 1) + SPAN - extent - s->low[i]);
    }
    c.low[2] = c.high[2] = dim_const(t, 0);
    return build_convolution(b, as_places(b, x), w, &c);
}

/* The kernel, transformed: [36, C, O]. */
static Value *transform_kernel(Builder *b, Value *w, const Convolution *c) {
    double values[POINTS * TAPS * TAPS];
    for (int q = 0; q < POINTS; q++)
        for (int i = 0; i < TAPS; i++)
            for (int j = 0; j < TAPS; j++)
                values[(q * TAPS + i) * TAPS + j] = kernel_matrix[q / SPAN][i] * kernel_matrix[q % SPAN][j];
    Value *g = matrix(b, 3, (int64_t[]){POINTS, TAPS, TAPS}, values, POINTS * TAPS * TAPS);
    Value *ordered = build_transpose(b, w, (int64_t[]){c->kernel[2], c->kernel[3], c->kernel[0], c->kernel[1]});
    return build_dot_general(b, g, ordered, NULL, NULL, 0, (int64_t[]){1, 2}, (int64_t[]){0, 1}, 2);
}

/* Results [N, H, W, O] of products [36, N, Th, Tw, O]. */
static Value *transform_result(Builder *b, Value *m, const Sizes *s) {
    double values[POINTS * TILE * TILE];
    DimTable *t = &b->module->dims;
    for (int q = 0; q < POINTS; q++)
        for (int i = 0; i < TILE; i++)
            for (int j = 0; j < TILE; j++) /* the kernel of a spread input runs backwards */
                values[(q * TILE + i) * TILE + j] = result_matrix[TILE - 1 - i][q / SPAN] * result_matrix[TILE - 1 - j][q % SPAN];
    Value *w = matrix(b, 5, (int64_t[]){POINTS, 1, TILE, TILE, 1}, values, POINTS * TILE * TILE);
    Convolution c = {.spatial = 3, .input = {1, 0, 2, 3, 4}, .kernel = {0, 1, 2, 3, 4}, .output = {0, 4, 1, 2, 3},
                     .strides = {1, 1, 1}, .input_dilation = {TILE, TILE, 1}, .kernel_dilation = {1, 1, 1},
                     .feature_groups = 1, .batch_groups = 1};
    const int64_t extents[] = {s->h, s->w}, tiles[] = {s->th, s->tw};
    for (int i = 0; i < 2; i++) {
        c.low[i] = dim_const(t, TILE - 1);
        c.high[i] = dim_const(t, extents[i] - TILE * tiles[i] + TILE - 1);
    }
    c.low[2] = c.high[2] = dim_const(t, 0);
    Value *y = build_convolution(b, m, w, &c);
    Dim shape[] = {y->type.shape[0], y->type.shape[1], y->type.shape[2], y->type.shape[3]};
    return build_reshape(b, y, 4, shape);
}

static Value *const *transform(void *user, Builder *b, Op *op) {
    Winograd *k = user;
    Sizes s;
    if (op->info != &OP_convolution || op->parent != k->func->body || !is_fixed_var(k, op->operands[1])) return NULL;
    Convolution c = convolution_of(op);
    if (!find_sizes(op, &c, &s) || !saves_time(&s)) return NULL;
    Value *u = transform_kernel(b, op->operands[1], &c), *v = transform_input(b, op->operands[0], &s);
    Value *products = build_dot_general(b, v, u, (int64_t[]){0}, (int64_t[]){0}, 1, (int64_t[]){4}, (int64_t[]){1}, 1);
    Value **now = arena_array(b->module->arena, Value *, 1);
    now[0] = transform_result(b, products, &s);
    return now;
}

void pass_winograd(PassContext *c, Module *m) {
    Winograd k = {.module = m, .written = arena_array(c->scratch, bool, m->vars.n + 1)};
    for (int i = 0; i < m->funcs.n; i++)
        for (int r = 0; r < m->funcs.at[i]->results.n; r++)
            if (m->funcs.at[i]->results.at[r].var) k.written[m->funcs.at[i]->results.at[r].var->id] = true;
    for (int i = 0; i < m->funcs.n; i++) {
        k.func = m->funcs.at[i];
        graph_rewrite(m->funcs.at[i], c->scratch, transform, &k);
    }
}
