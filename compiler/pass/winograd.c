/* winograd: convolutions of 3 x 3 by fewer multiplications (A. Lavin and S. Gray, 2016).
 *
 * A tile of 4 x 4 results needs a tile of 6 x 6 inputs. Both are transformed, the kernel too, so that the 144 products a
 * tile needs for each pair of features become 36: with V = B' d B, U = G g G', the results are A' (U V) A, element by
 * element in U and V, summed over the input features. The transformations are linear and the same for all features, so
 * each is a convolution of its own whose kernel is a constant matrix and for which features are places: of the input
 * with a stride of 4, of the results with an input spread by 4; first along rows, then along columns, which is fewer
 * operations than both at once. In between stand 36 matrix products. All of it is ordinary operations, which are tiled
 * and fused like any other. Tiles of 2 x 2 with 4 x 4 points take more operations and less memory for the kernel.
 *
 * A gradient by the kernel is G' (sum over tiles of V (A y A')) G for tiles y of the result's gradient: the same
 * transformations, and products that are summed over tiles.
 *
 * In: a module after image_order. Out: the same, but for rounding: errors are some five times those of adding up the
 * products (docs/design.md has figures). Only where time is saved by an estimate of operations and bytes, in which a
 * kernel that no function writes is transformed once (prepare), another one in each call. */
#include "ops/permute.h"
#include "ops/rules.h"
#include "pass/pass.h"
#include "pass/rewrite.h"

#include <math.h>
#include <string.h>

enum { TAPS = 3, MOST_SPAN = 6, MOST_TILE = MOST_SPAN - TAPS + 1 };

/* Tiles of so many results along each dim, of a span of inputs, and their matrices (A. Toom, 1963; S. Cook, 1966). */
typedef struct Scheme {
    int tile, span;
    double input[MOST_SPAN][MOST_SPAN], kernel[MOST_SPAN][TAPS], result[MOST_TILE][MOST_SPAN];
} Scheme;

/* Polynomials are multiplied at these points and at infinity. Rounding errors are half of those at 0, 1, -1, 2, -2. */
static const double points[] = {0, 5.0 / 8, -5.0 / 8, 3.0 / 2, -3.0 / 2}, few_points[] = {0, 1, -1};

typedef struct Winograd {
    Module *module;
    const Func *func;
    bool *written;             /* by var id */
} Winograd;

/* Of one convolution: images, rows, columns of the result, features in and out, tiles along rows and columns. */
typedef struct Sizes {
    int64_t n, h, w, in, out;
    int64_t low[2];
    Scheme scheme;
    int64_t points, th, tw, tiles; /* of the scheme: span * span; tiles along rows and columns, of all images */
} Sizes;

/* ---------------------------------------------------------------------------- where */

/* The parameter that a convolution's kernel is an index map of, or null. */
static const Var *kernel_var(const Winograd *k, const Value *v) {
    while (v->op && v->op->info->kind == KIND_MOVE && v->op->operand_count == 1) v = v->op->operands[0];
    if (v->op || v->region != k->func->body) return NULL;
    const Port *port = &k->func->inputs.at[v->index];
    return port->kind == PORT_VAR && port->var->kind == VAR_PARAM ? port->var : NULL;
}

static bool all_const(Type t) {
    for (int d = 0; d < t.rank; d++)
        if (!dim_is_const(t.shape[d])) return false;
    return true;
}

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
    return true;
}

/* The same of a gradient by the kernel, whose places are those of windows; h, w, out are the result's of the forward
 * convolution. */
static bool find_gradient(const Op *op, const Convolution *c, Sizes *s) {
    Type x = op->operands[0]->type, dy = op->operands[1]->type, dw = op->results[0].type;
    if (c->spatial != 2 || c->feature_groups * c->batch_groups != 1 || x.dtype != DTYPE_F32) return false;
    if (!all_const(x) || !all_const(dy)) return false;
    for (int i = 0; i < 2; i++) {
        bool plain = c->strides[i] == 1 && c->input_dilation[i] == 1 && c->kernel_dilation[i] == 1;
        if (!plain || dim_value(dw.shape[c->output[i + 2]]) != TAPS || dim_value(c->low[i]) < 0) return false;
        if (c->input[i + 2] != i + 1 || c->kernel[i + 2] != i + 1) return false;
        s->low[i] = dim_value(c->low[i]);
    }
    if (c->input[0] != 3 || c->input[1] != 0 || c->kernel[0] != 0 || c->kernel[1] != 3) return false;
    s->n = dim_value(dy.shape[0]);
    s->h = dim_value(dy.shape[1]);
    s->w = dim_value(dy.shape[2]);
    s->out = dim_value(dy.shape[3]);
    s->in = dim_value(x.shape[3]);
    return true;
}

/* Row q of the input's matrix: the coefficients of the product of (x - p) over all points p but number q. */
static void multiply_out(double *row, const double *at, int n, int q) {
    int degree = 0;
    row[0] = 1;
    for (int i = 0; i < n; i++) {
        if (i == q) continue;
        row[++degree] = 0;
        for (int k = degree; k >= 0; k--) row[k] = (k ? row[k - 1] : 0) - at[i] * row[k];
    }
}

static Scheme scheme_of(const double *at, int n) {
    Scheme s = {.tile = n - TAPS + 2, .span = n + 1};
    for (int q = 0; q <= n; q++) {
        double over = 1;
        multiply_out(s.input[q], at, n, q);
        for (int i = 0; i < n && q < n; i++) over *= i == q ? 1 : at[q] - at[i];
        for (int e = 0; e < TAPS; e++) s.kernel[q][e] = q < n ? pow(at[q], e) / over : e == TAPS - 1;
        for (int e = 0; e < s.tile; e++) s.result[e][q] = q < n ? pow(at[q], e) : e == s.tile - 1;
    }
    return s;
}

static void set_scheme(Sizes *s, bool few) {
    s->scheme = few ? scheme_of(few_points, 3) : scheme_of(points, 5);
    s->points = (int64_t)s->scheme.span * s->scheme.span;
    s->th = (s->h + s->scheme.tile - 1) / s->scheme.tile;
    s->tw = (s->w + s->scheme.tile - 1) / s->scheme.tile;
    s->tiles = s->n * s->th * s->tw;
}

enum { OPS_PER_BYTE = 5, OPS_PER_NEAR_BYTE = 1, FEWEST = 16, FEWEST_TILES = 8 }; /* of time, from memory and in a cache */

/* Estimated time as operations: the products, and the transforms of tiles, which are written and read in a cache. */
static double time_of_tiles(const Sizes *s) {
    double span = s->scheme.span, tile = s->scheme.tile, in = (double)s->in, out = (double)s->out;
    double strips = (double)(s->n * s->th * s->w), tiles = (double)s->tiles, points = (double)s->points;
    double transforms = 2 * span * (strips + span * tiles) * (span * in + tile * out);
    double moved = 2 * 4 * OPS_PER_NEAR_BYTE * (span * strips + points * tiles) * (in + out);
    return 2 * points * tiles * in * out + transforms + moved;
}

typedef enum Way { FIXED_KERNEL, WRITTEN_KERNEL, KERNEL_GRADIENT } Way;

/* A fixed kernel is transformed once; what its points take more to read, is read while products are computed. One that
 * changes from call to call is transformed in each, and so is its gradient: that is stored and read once. */
static double time_of(const Sizes *s, Way way, double ops, double points) {
    double pairs = (double)(s->in * s->out), bytes = 4 * OPS_PER_BYTE * points * pairs;
    if (way == FIXED_KERNEL) return fmax(ops, bytes);
    return ops + (points > TAPS * TAPS ? 2 * bytes + 2 * TAPS * TAPS * points * pairs : 0);
}

/* Whether a kernel that changes, or its gradient, would be transformed into much more than the tiles that it meets: then
 * memory bounds the products, and it would be most of what is alive meanwhile. */
static bool is_too_large(const Sizes *s, Way way) {
    return way != FIXED_KERNEL && 2 * s->in * s->out > 3 * s->tiles * (s->in + s->out);
}

/* Sets the scheme that takes the least time. False if that saves little beside the direct way. */
static bool saves_time(Sizes *s, Way way) {
    double direct = 2 * TAPS * TAPS * (double)(s->in * s->out) * (double)(s->n * s->h * s->w);
    double least = 0.8 * time_of(s, way, direct, TAPS * TAPS);
    int best = -1;
    for (int few = 0; few < 2; few++) {
        set_scheme(s, few);
        double time = time_of(s, way, time_of_tiles(s), (double)s->points);
        if (s->tiles < FEWEST_TILES || time >= least || is_too_large(s, way)) continue;
        least = time;
        best = few;
    }
    if (best >= 0) set_scheme(s, best);
    return best >= 0 && s->in >= FEWEST && s->out >= FEWEST;
}

/* -------------------------------------------------------------------------- operations */

static Value *matrix(Builder *b, int rank, const int64_t *shape, const double *values, int n) {
    Dim dims[MAX_RANK];
    for (int d = 0; d < rank; d++) dims[d] = dim_const(&b->module->dims, shape[d]);
    return build_literal(b, type_make(b->module, DTYPE_F32, rank, dims), values, n);
}

static Value *reshape(Builder *b, Value *x, int rank, const int64_t *shape) {
    Dim dims[MAX_RANK];
    for (int d = 0; d < rank; d++) dims[d] = dim_const(&b->module->dims, shape[d]);
    return build_reshape(b, x, rank, dims);
}

/* Tiles along the third dim of x [A, B, H, R], each times a matrix [span, terms]: [span, A, B, tiles, R], or with `inside`
 * [A, tiles, span, B, R]. */
static Value *transform_tiles(Builder *b, Value *x, const int64_t *shape, const Scheme *scheme, const double *values,
                              int terms, int64_t tiles, int64_t low, bool inside) {
    DimTable *t = &b->module->dims;
    Value *w = matrix(b, 5, (int64_t[]){scheme->span, 1, 1, terms, 1}, values, scheme->span * terms);
    Convolution c = {.spatial = 3, .input = {0, 4, 1, 2, 3}, .kernel = {1, 0, 2, 3, 4}, .output = {1, 0, 2, 3, 4},
                     .strides = {1, scheme->tile, 1}, .input_dilation = {1, 1, 1}, .kernel_dilation = {1, 1, 1},
                     .feature_groups = 1, .batch_groups = 1};
    if (inside) memcpy(c.output, (int64_t[]){0, 2, 3, 1, 4}, 5 * sizeof *c.output);
    for (int i = 0; i < 3; i++) c.low[i] = c.high[i] = dim_const(t, 0);
    c.low[1] = dim_const(t, low);
    c.high[1] = dim_const(t, scheme->tile * (tiles - 1) + terms - shape[2] - low);
    return build_convolution(b, reshape(b, x, 5, (int64_t[]){shape[0], shape[1], shape[2], shape[3], 1}), w, &c);
}

/* The tiles of x [N, H, W, C], transformed along rows and columns, the points of columns outermost: [points, N * Th * Tw, C],
 * or with `inside` [N * Th * Tw, points, C]. */
static Value *transform_image(Builder *b, Value *x, const Sizes *s, const double *values, int terms, const int64_t *low, bool inside) {
    int64_t h = dim_value(x->type.shape[1]), w = dim_value(x->type.shape[2]), c = dim_value(x->type.shape[3]);
    int64_t span = s->scheme.span, strips = s->n * s->th, outer = inside ? strips : span * strips;
    Value *rows = transform_tiles(b, x, (int64_t[]){s->n, 1, h, w * c}, &s->scheme, values, terms, s->th, low[0], inside);
    Value *all = transform_tiles(b, rows, (int64_t[]){outer, inside ? span : 1, w, c}, &s->scheme, values, terms, s->tw, low[1], inside);
    return reshape(b, all, 3, (int64_t[]){inside ? s->tiles : s->points, inside ? s->points : s->tiles, c});
}

/* The input's tiles, transformed: [points, tiles, C]. */
static Value *transform_input(Builder *b, Value *x, const Sizes *s) {
    double values[MOST_SPAN * MOST_SPAN];
    int span = s->scheme.span;
    for (int i = 0; i < span * span; i++) values[i] = s->scheme.input[i / span][i % span];
    return transform_image(b, x, s, values, span, s->low, false);
}

/* What a tap of the kernel counts at a point. */
static double tap(const Scheme *s, int point, int row, int column) {
    return s->kernel[point % s->span][row] * s->kernel[point / s->span][column];
}

/* The kernel, transformed: [points, C, O]. */
static Value *transform_kernel(Builder *b, Value *w, const Convolution *c, const Sizes *s) {
    double values[MOST_SPAN * MOST_SPAN * TAPS * TAPS];
    for (int q = 0; q < s->points; q++)
        for (int i = 0; i < TAPS; i++)
            for (int j = 0; j < TAPS; j++) values[(q * TAPS + i) * TAPS + j] = tap(&s->scheme, q, i, j);
    Value *g = matrix(b, 3, (int64_t[]){s->points, TAPS, TAPS}, values, (int)s->points * TAPS * TAPS);
    Value *ordered = build_transpose(b, w, (int64_t[]){c->kernel[2], c->kernel[3], c->kernel[0], c->kernel[1]});
    return build_dot_general(b, g, ordered, NULL, NULL, 0, (int64_t[]){1, 2}, (int64_t[]){0, 1}, 2);
}

/* Tiles of x [span, A, T, R] times the results' matrix, side by side: [A, extent, R]. */
static Value *results_of_tiles(Builder *b, Value *x, const int64_t *shape, const Scheme *s, int64_t extent) {
    double values[MOST_SPAN * MOST_SPAN];
    DimTable *t = &b->module->dims;
    for (int q = 0; q < s->span; q++)
        for (int i = 0; i < s->tile; i++) /* the kernel of a spread input runs backwards */
            values[q * s->tile + i] = s->result[s->tile - 1 - i][q];
    Value *w = matrix(b, 4, (int64_t[]){s->span, 1, s->tile, 1}, values, s->span * s->tile);
    Convolution c = {.spatial = 2, .input = {1, 0, 2, 3}, .kernel = {0, 1, 2, 3}, .output = {0, 3, 1, 2},
                     .strides = {1, 1}, .input_dilation = {s->tile, 1}, .kernel_dilation = {1, 1},
                     .feature_groups = 1, .batch_groups = 1};
    c.low[0] = dim_const(t, s->tile - 1);
    c.high[0] = dim_const(t, extent - s->tile * shape[2] + s->tile - 1);
    c.low[1] = c.high[1] = dim_const(t, 0);
    return build_convolution(b, reshape(b, x, 4, shape), w, &c);
}

/* Results [N, H, W, O] of products [points, tiles, O]. */
static Value *transform_result(Builder *b, Value *m, const Sizes *s) {
    int64_t span = s->scheme.span;
    Value *lines = results_of_tiles(b, m, (int64_t[]){span, span * s->n * s->th, s->tw, s->out}, &s->scheme, s->w);
    Value *all = results_of_tiles(b, lines, (int64_t[]){span, s->n, s->th, s->w * s->out}, &s->scheme, s->h);
    return reshape(b, all, 4, (int64_t[]){s->n, s->h, s->w, s->out});
}

/* The tiles of the result's gradient, transformed: [tiles, points, O]. */
static Value *transform_gradient(Builder *b, Value *dy, const Sizes *s) {
    double values[MOST_SPAN * MOST_SPAN];
    int span = s->scheme.span, tile = s->scheme.tile;
    for (int q = 0; q < span; q++)
        for (int i = 0; i < tile; i++) values[q * tile + i] = s->scheme.result[i][q];
    return transform_image(b, dy, s, values, tile, (int64_t[]){0, 0}, true);
}

/* The kernel's gradient of products [C, points * O], in the order of the convolution's result: products are read in an order of
 * features that makes it so where these come before places. */
static Value *transform_products(Builder *b, Value *m, const Convolution *c, const Sizes *s) {
    double values[TAPS * TAPS * MOST_SPAN * MOST_SPAN];
    bool out_first = c->output[1] < c->output[0];
    int64_t at[4] = {c->output[out_first], c->output[!out_first], c->output[2], c->output[3]}, permutation[4];
    for (int i = 0; i < TAPS; i++)
        for (int j = 0; j < TAPS; j++)
            for (int q = 0; q < s->points; q++) values[(i * TAPS + j) * s->points + q] = tap(&s->scheme, q, i, j);
    Value *g = matrix(b, 3, (int64_t[]){TAPS, TAPS, s->points}, values, TAPS * TAPS * (int)s->points);
    m = reshape(b, m, 3, (int64_t[]){s->in, s->points, s->out});
    if (out_first) m = build_transpose(b, m, (int64_t[]){2, 0, 1});
    Value *dw = build_dot_general(b, m, g, NULL, NULL, 0, (int64_t[]){out_first ? 2 : 1}, (int64_t[]){2}, 1);
    for (int i = 0; i < 4; i++) permutation[at[i]] = i;
    return is_identity(permutation, 4) ? dw : build_transpose(b, dw, permutation);
}

/* Products of the input's tiles [points, tiles, C] and the gradient's [tiles, points, O], summed over tiles:
 * [C, points * O]. Points lie inside since products of all of them are read together: in steps of C * O these would fall
 * into one set of the cache. A convolution of no places whose groups are the points makes them so. */
static Value *gradient_products(Builder *b, Value *v, Value *d, const Sizes *s) {
    Convolution c = {.input = {1, 0}, .kernel = {0, 1}, .output = {0, 1}, .feature_groups = s->points, .batch_groups = 1};
    v = reshape(b, v, 2, (int64_t[]){s->points * s->tiles, s->in});
    return build_convolution(b, v, reshape(b, d, 2, (int64_t[]){s->tiles, s->points * s->out}), &c);
}

static Value *gradient_by_kernel(Builder *b, Op *op, const Convolution *c, const Sizes *s) {
    Value *v = transform_input(b, op->operands[0], s), *d = transform_gradient(b, op->operands[1], s);
    return transform_products(b, gradient_products(b, v, d, s), c, s);
}

static Value *const *transform(void *user, Builder *b, Op *op) {
    Winograd *k = user;
    Sizes s;
    if (op->info != &OP_convolution || op->parent != k->func->body) return NULL;
    Convolution c = convolution_of(op);
    Value **now = arena_array(b->module->arena, Value *, 1);
    if (find_gradient(op, &c, &s)) {
        if (!saves_time(&s, KERNEL_GRADIENT)) return NULL;
        now[0] = gradient_by_kernel(b, op, &c, &s);
        return now;
    }
    const Var *kernel = kernel_var(k, op->operands[1]);
    if (!kernel || !find_sizes(op, &c, &s) || !saves_time(&s, k->written[kernel->id] ? WRITTEN_KERNEL : FIXED_KERNEL)) return NULL;
    Value *u = transform_kernel(b, op->operands[1], &c, &s), *v = transform_input(b, op->operands[0], &s);
    Value *products = build_dot_general(b, v, u, (int64_t[]){0}, (int64_t[]){0}, 1, (int64_t[]){2}, (int64_t[]){1}, 1);
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
