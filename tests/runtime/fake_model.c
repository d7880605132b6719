/* fake_model.c - a perceptron with all that a compiled model can have: parameters in a permuted order,
 * state, slots, a cache, random numbers, checked labels, a requirement, derived dims, parallel work.
 *
 * Tables and entries follow runtime/dlrt.h to the letter. Linked as an object into the tests, and (with
 * FAKE_SHARED) as a shared object for dlrun and dlrt_open_file.
 */
#include "fake_model.h"
#include <math.h>
#include <string.h>

#define IN 4
#define OUT 3

#define CONSTANT(n)                                                                                                    \
    { (n), 1, NULL }
static const int64_t term_0[] = {1, 1, 1, 0}, term_1[] = {1, 1, 1, 1}, term_2[] = {1, 1, 1, 2},
                     twice_0[] = {1, 2, 1, 0}, product[] = {1, 1, 2, 0, 1};
#define DIM_0                                                                                                          \
    { 0, 1, term_0 }
#define DIM_1                                                                                                          \
    { 0, 1, term_1 }
#define DIM_2                                                                                                          \
    { 0, 1, term_2 }

static const DlrtDim batch[] = {{"B", 1, 64, NULL, 0}};
static const DlrtExtent x_shape[] = {DIM_0, CONSTANT(IN)}, b_shape[] = {DIM_0}, prob_shape[] = {DIM_0, CONSTANT(OUT)},
                        in_shape[] = {CONSTANT(IN)}, two_shape[] = {CONSTANT(2)};

/* ------------------------------------------------------------------ variables */

static const int64_t weight_dims[] = {OUT, IN}, bias_dims[] = {OUT}, memory_dims[] = {IN};
static const int32_t weight_order[] = {1, 0};
enum { WEIGHT = 0, BIAS = 64, SEEN = 128, WEIGHT_BYTES = 136 };
enum { MOMENTUM = 0, BIAS_MOMENTUM = 64, STEP = 128, SLOT_BYTES = 136 };

static const DlrtVarInfo vars[] = {
    {"fc.weight", DLRT_VAR_PARAM, DLRT_F32, 2, 0, weight_dims, weight_order, WEIGHT, 48},
    {"fc.bias", DLRT_VAR_PARAM, DLRT_F32, 1, 0, bias_dims, NULL, BIAS, 12},
    {"seen", DLRT_VAR_STATE, DLRT_I64, 0, 0, NULL, NULL, SEEN, 8},
    {"train.sgd.fc.weight.momentum", DLRT_VAR_SLOT, DLRT_F32, 2, 0, weight_dims, weight_order, MOMENTUM, 48},
    {"train.sgd.fc.bias.momentum", DLRT_VAR_SLOT, DLRT_F32, 1, 0, bias_dims, NULL, BIAS_MOMENTUM, 12},
    {"train.sgd.step", DLRT_VAR_SLOT, DLRT_I64, 0, 0, NULL, NULL, STEP, 8},
    {"memory", DLRT_VAR_CACHE, DLRT_F32, 1, 0, memory_dims, NULL, 0, 16},
};
static const int64_t other_dims[] = {OUT, IN + 1};
static const DlrtVarInfo other_vars[] = {
    {"fc.weight", DLRT_VAR_PARAM, DLRT_F32, 2, 0, other_dims, NULL, 0, 60},
    {"fc.bias", DLRT_VAR_PARAM, DLRT_F32, 1, 0, bias_dims, NULL, 64, 12},
    {"seen", DLRT_VAR_STATE, DLRT_I64, 0, 0, NULL, NULL, 128, 8},
};

static uint64_t scramble(uint64_t x) {
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

static float uniform(uint64_t seed, uint64_t count, uint64_t element) {
    return (float)(scramble(scramble(scramble(seed) ^ count) ^ element) >> 40) / 16777216.0f;
}

static float *floats(unsigned char *block, int64_t offset) {
    return (float *)(void *)(block + offset);
}
static int64_t *integers(unsigned char *block, int64_t offset) {
    return (int64_t *)(void *)(block + offset);
}

static DlrtStatus initialize(const DlrtFrame *f) {
    if (f->arena) memset(f->arena, 0xab, 256); /* the workspace is ours to write */
    if (f->weights)
        for (int o = 0; o < OUT; o++)
            for (int i = 0; i < IN; i++)
                floats(f->weights, WEIGHT)[i * OUT + o] = uniform((uint64_t)f->seed, 0, (uint64_t)(o * IN + i)) - 0.5f;
    if (f->cache)
        for (int i = 0; i < IN; i++) floats(f->cache, 0)[i] = 7;
    return DLRT_OK;
}

static DlrtStatus initialize_other(const DlrtFrame *f) {
    (void)f;
    return DLRT_OK;
}

/* ------------------------------------------------------------------ entries */

static void logits(const DlrtFrame *f, const float *x, float *z) {
    for (int o = 0; o < OUT; o++) {
        z[o] = floats(f->weights, BIAS)[o];
        for (int i = 0; i < IN; i++) z[o] += x[i] * floats(f->weights, WEIGHT)[i * OUT + o];
    }
}

static void softmax(const float *z, float *p) {
    float most = fmaxf(z[0], fmaxf(z[1], z[2])), sum = 0;
    for (int o = 0; o < OUT; o++) sum += p[o] = expf(z[o] - most);
    for (int o = 0; o < OUT; o++) p[o] /= sum;
}

static int best(const float *p) {
    return p[0] >= p[1] && p[0] >= p[2] ? 0 : p[1] >= p[2] ? 1 : 2;
}

static void predict_rows(const DlrtFrame *f, const void *kernel_args, int64_t begin, int64_t end, int32_t worker) {
    const float *x = f->args[0];
    float *prob = *(float *const *)kernel_args, *z = floats(f->scratch, worker * f->scratch_stride);
    for (int64_t b = begin; b < end; b++) {
        logits(f, x + b * IN, z);
        softmax(z, prob + b * OUT);
    }
}

static DlrtStatus predict(const DlrtFrame *f) {
    int32_t *label = f->results[0];
    float *prob = f->results[1];
    f->parallel(f, predict_rows, &prob, f->dims[0]);
    for (int64_t b = 0; b < f->dims[0]; b++) label[b] = best(prob + b * OUT);
    return DLRT_OK;
}

static DlrtStatus check_labels(const DlrtFrame *f, const int32_t *y) {
    for (int64_t b = 0; b < f->dims[0]; b++) {
        if (y[b] >= 0 && y[b] < OUT) continue;
        *f->fault = (DlrtFault){"y", b, y[b], OUT};
        return DLRT_ERR_INDEX;
    }
    return DLRT_OK;
}

/* Mean cross-entropy and its gradient by the logits, into the arena (3 floats a row). */
static void forward(const DlrtFrame *f) {
    const int32_t *y = f->args[1];
    float *p = floats(f->arena, 0), loss = 0;
    int32_t correct = 0;
    f->parallel(f, predict_rows, &p, f->dims[0]);
    for (int64_t b = 0; b < f->dims[0]; b++) {
        loss -= logf(p[b * OUT + y[b]]);
        correct += best(p + b * OUT) == y[b];
    }
    *(float *)f->results[0] = loss / (float)f->dims[0];
    *(int32_t *)f->results[1] = correct;
}

static DlrtStatus evaluate(const DlrtFrame *f) {
    DlrtStatus status = check_labels(f, f->args[1]);
    if (!status) forward(f);
    return status;
}

static DlrtStatus train(const DlrtFrame *f) {
    const float *x = f->args[0], rate = *(const float *)f->args[2];
    const int32_t *y = f->args[1];
    float *p = floats(f->arena, 0), *w = floats(f->weights, WEIGHT), *bias = floats(f->weights, BIAS);
    float *mw = floats(f->slots, MOMENTUM), *mb = floats(f->slots, BIAS_MOMENTUM);
    DlrtStatus status = check_labels(f, y);
    if (status) return status;
    forward(f);
    for (int o = 0; o < OUT; o++) {
        float gb = 0, g[IN] = {0};
        for (int64_t b = 0; b < f->dims[0]; b++) {
            float d = (p[b * OUT + o] - (float)(y[b] == o)) / (float)f->dims[0];
            gb += d;
            for (int i = 0; i < IN; i++) g[i] += d * x[b * IN + i];
        }
        mb[o] = 0.9f * mb[o] + gb;
        bias[o] -= rate * mb[o];
        for (int i = 0; i < IN; i++) {
            mw[i * OUT + o] = 0.9f * mw[i * OUT + o] + g[i];
            w[i * OUT + o] -= rate * mw[i * OUT + o];
        }
    }
    *integers(f->slots, STEP) += 1;
    *integers(f->weights, SEEN) += f->dims[0];
    return DLRT_OK;
}

static DlrtStatus noise(const DlrtFrame *f) {
    float *z = f->results[0];
    for (int64_t b = 0; b < f->dims[0]; b++) z[b] = uniform((uint64_t)f->seed, (uint64_t)f->count, (uint64_t)b);
    return DLRT_OK;
}

static DlrtStatus remember(const DlrtFrame *f) {
    memcpy(f->results[0], f->cache, IN * sizeof(float));
    memcpy(f->cache, f->args[0], IN * sizeof(float));
    return DLRT_OK;
}

static DlrtStatus pair(const DlrtFrame *f) {
    float *s = f->results[0];
    if (f->dims[2] != f->dims[0] * f->dims[1]) return DLRT_ERR_SHAPE;
    for (int64_t i = 0; i < f->dims[2]; i++) s[i] = ((const float *)f->args[1])[i] + ((const float *)f->args[0])[0];
    return DLRT_OK;
}

static DlrtStatus run_hook(const DlrtFrame *f) {
    FakeHook *hook = (FakeHook *)(intptr_t) * (const int64_t *)f->args[0];
    if (hook) hook->run(hook->user);
    *(int32_t *)f->results[0] = f->threads;
    return DLRT_OK;
}

static DlrtStatus need(const DlrtFrame *f) {
    if (*(const float *)f->args[0] > 0) return DLRT_OK;
    f->fault->what = "x > 0";
    return DLRT_ERR_REQUIRE;
}

#define BLOCK 64

static void add_blocks(const DlrtFrame *f, const void *kernel_args, int64_t begin, int64_t end, int32_t worker) {
    const float *x = f->args[0];
    float *sums = floats(f->arena, 0);
    (void)kernel_args, (void)worker;
    for (int64_t k = begin; k < end; k++) {
        sums[k] = 0;
        for (int64_t i = k * BLOCK; i < (k + 1) * BLOCK && i < f->dims[0]; i++) sums[k] += x[i];
    }
}

static DlrtStatus total(const DlrtFrame *f) {
    int64_t blocks = (f->dims[0] + BLOCK - 1) / BLOCK;
    float sum = 0;
    f->parallel(f, add_blocks, NULL, blocks);
    for (int64_t k = 0; k < blocks; k++) sum += floats(f->arena, 0)[k];
    *(float *)f->results[0] = sum;
    return DLRT_OK;
}

/* ------------------------------------------------------------------ tables */

static const DlrtTensorInfo x_arg[] = {{"x", "Four numbers a row.", DLRT_F32, 2, DLRT_ROLE_DATA, 0, x_shape}};
static const DlrtTensorInfo predict_results[] = {{"label", NULL, DLRT_I32, 1, DLRT_ROLE_PREDICTION, 0, b_shape},
                                                 {"prob", NULL, DLRT_F32, 2, DLRT_ROLE_NONE, 0, prob_shape}};
static const DlrtTensorInfo train_args[] = {{"x", NULL, DLRT_F32, 2, DLRT_ROLE_DATA, 0, x_shape},
                                            {"y", NULL, DLRT_I32, 1, DLRT_ROLE_LABEL, 0, b_shape},
                                            {"lr", NULL, DLRT_F32, 0, DLRT_ROLE_RATE, 0, NULL}};
static const DlrtTensorInfo train_results[] = {{"loss", NULL, DLRT_F32, 0, DLRT_ROLE_LOSS, 0, NULL},
                                               {"correct", NULL, DLRT_I32, 0, DLRT_ROLE_CORRECT, 0, NULL}};
static const DlrtTensorInfo evaluate_results[] = {{"loss", NULL, DLRT_F32, 0, DLRT_ROLE_NONE, 0, NULL},
                                                  {"correct", NULL, DLRT_I32, 0, DLRT_ROLE_CORRECT, 0, NULL}};
static const DlrtTensorInfo noise_results[] = {{"z", NULL, DLRT_F32, 1, DLRT_ROLE_NONE, 0, b_shape}};
static const DlrtTensorInfo remember_args[] = {{"x", NULL, DLRT_F32, 1, DLRT_ROLE_NONE, 0, in_shape}};
static const DlrtTensorInfo remember_results[] = {{"previous", NULL, DLRT_F32, 1, DLRT_ROLE_NONE, 0, in_shape}};
static const DlrtExtent a_shape[] = {{1, 1, twice_0}}, matrix_shape[] = {DIM_0, DIM_1}, c_shape[] = {DIM_1},
                        s_shape[] = {DIM_2}, derived_s = {0, 1, product};
static const DlrtDim pair_dims[] = {{"N", 1, 8, NULL, 0}, {"M", 0, 8, NULL, 0}, {"S", 0, 40, &derived_s, 0}};
static const DlrtTensorInfo pair_args[] = {{"a", NULL, DLRT_F32, 1, DLRT_ROLE_NONE, 0, a_shape},
                                           {"b", NULL, DLRT_F32, 2, DLRT_ROLE_NONE, 0, matrix_shape},
                                           {"c", NULL, DLRT_F32, 1, DLRT_ROLE_NONE, 0, c_shape}};
static const DlrtTensorInfo pair_results[] = {{"s", NULL, DLRT_F32, 1, DLRT_ROLE_NONE, 0, s_shape}};
static const DlrtTensorInfo hook_args[] = {{"h", NULL, DLRT_I64, 1, DLRT_ROLE_NONE, 0, two_shape}};
static const DlrtTensorInfo hook_results[] = {{"threads", NULL, DLRT_I32, 0, DLRT_ROLE_NONE, 0, NULL}};
static const DlrtTensorInfo need_args[] = {{"x", NULL, DLRT_F32, 0, DLRT_ROLE_NONE, 0, NULL}};
static const DlrtDim total_dims[] = {{"N", 1, 1 << 20, NULL, 0}};
static const DlrtTensorInfo total_args[] = {{"x", NULL, DLRT_F32, 1, DLRT_ROLE_NONE, 0, b_shape}};
static const DlrtTensorInfo total_results[] = {{"sum", NULL, DLRT_F32, 0, DLRT_ROLE_NONE, 0, NULL}};

enum { ARENA = 64 * OUT * 4, SCRATCH = 16, TRAINING = DLRT_FN_TRAINS | DLRT_FN_WRITES };

static const DlrtFunctionInfo functions[FAKE_FUNCTIONS] = {
    {"predict", "Classifies rows.", 0, 1, 1, 2, batch, x_arg, predict_results, ARENA, SCRATCH, 1536, predict, NULL, 0},
    {"train", NULL, TRAINING, 1, 3, 2, batch, train_args, train_results, ARENA, SCRATCH, 4608, train, NULL, 0},
    {"noise", NULL, DLRT_FN_RANDOM, 1, 0, 1, batch, NULL, noise_results, 0, 0, 64, noise, NULL, 0},
    {"remember", NULL, 0, 0, 1, 1, NULL, remember_args, remember_results, 0, 0, 0, remember, NULL, 0},
    {"pair", NULL, 0, 3, 3, 1, pair_dims, pair_args, pair_results, 0, 0, 64, pair, NULL, 0},
    {"hook", NULL, 0, 0, 1, 1, NULL, hook_args, hook_results, 0, 0, 0, run_hook, NULL, 0},
    {"hook_writes", NULL, DLRT_FN_WRITES, 0, 1, 1, NULL, hook_args, hook_results, 0, 0, 0, run_hook, NULL, 0},
    {"need", NULL, 0, 0, 1, 0, NULL, need_args, NULL, 0, 0, 0, need, NULL, 0},
    {"total", NULL, 0, 1, 1, 1, total_dims, total_args, total_results, (1 << 20) / BLOCK * 4, 0, 1 << 20, total, NULL,
     0},
    {"evaluate", NULL, 0, 1, 2, 2, batch, train_args, evaluate_results, ARENA, SCRATCH, 1536, evaluate, NULL, 0},
};

static const DlrtModelInfo info = {DLRT_ABI_VERSION,
                                   7,
                                   FAKE_FUNCTIONS,
                                   0,
                                   "Fake",
                                   "A perceptron for tests.",
                                   "any",
                                   "generic",
                                   0,
                                   0x123456789abcdef0,
                                   vars,
                                   functions,
                                   WEIGHT_BYTES,
                                   SLOT_BYTES,
                                   16,
                                   initialize,
                                   256,
                                   NULL,
                                   0};
const DlrtModule fake_module = {DLRT_ABI_VERSION, 0, &info, dlrt_model_open};
#ifdef FAKE_SHARED
extern __attribute__((visibility("default"))) const DlrtModule dlrt_module;
const DlrtModule dlrt_module = {DLRT_ABI_VERSION, 0, &info, dlrt_model_open};
#endif

static const DlrtModelInfo foreign_info = {DLRT_ABI_VERSION,
                                           7,
                                           FAKE_FUNCTIONS,
                                           0,
                                           "Fake",
                                           NULL,
                                           "any",
                                           "later",
                                           (uint64_t)1 << 40 | DLRT_CPU_NEWER,
                                           1,
                                           vars,
                                           functions,
                                           WEIGHT_BYTES,
                                           SLOT_BYTES,
                                           16,
                                           initialize,
                                           256,
                                           NULL,
                                           0};
const DlrtModule fake_foreign_module = {DLRT_ABI_VERSION, 0, &foreign_info, dlrt_model_open};

static const DlrtModelInfo other_info = {
    DLRT_ABI_VERSION, 3, 0, 0, "Other", NULL, "any", "generic", 0, 2, other_vars, NULL, 136, 0, 0, initialize_other, 0,
    NULL, 0};
const DlrtModule fake_other_module = {DLRT_ABI_VERSION, 0, &other_info, dlrt_model_open};
