/* Timing of a kernel with several schedules, for --tune.
 *
 * A module is made for it in which each schedule is a function that runs this kernel alone, on variables that all of
 * these functions share. It is compiled, linked, opened and called as any model. What comes from the model's variables
 * lies there several times, and runs take one copy after the other, as layers follow one another: else weights would
 * lie in a cache that they never lie in. Blocks of calls of all schedules alternate, so that a clock that wanders and
 * other work on the machine meet them alike; the slow ones drop out early.
 *
 * All functions start from the same data and must write the same bits; a schedule never changes a result. */
#include "driver/tune.h"

#include "codegen/link.h"
#include "dlrt.h"
#include "ir/kernel_verify.h"
#include "ir/places.h"
#include "pass/place.h"

#include <unistd.h>

enum {
    MOST_BYTES = 1 << 29,      /* of all buffers: more is not measured */
    COPIED_BYTES = 64 << 20,   /* of the copies of what comes from variables */
    MOST_COPIES = 64,
    MOST_RUNS = 1 << 12,       /* of a call */
    ALIGNED = 64
};
static const double CALL_SECONDS = 50e-6;  /* a call should take, so that calling costs nothing */
static const double LONG_SECONDS = 10e-3;  /* and at most, but for two runs */
static const double BLOCK_SECONDS = 1.5e-3;

/* What the functions work on. */
typedef struct Bench {
    Tuner *t;
    const TuneCase *k;
    Trial *trials;
    int n;
    Module *graph;
    Var **vars;                /* by buffer of the kernel */
    int64_t *strides;          /* elements from one copy to the next, 0: there is one */
    int64_t copies, repeats;   /* runs of a call: their product */
    VarPlaces places;
    unsigned char *memory;
    size_t bytes;
    DlrtModel *model;
    DlrtContext *context;
    double *seconds;           /* by trial, MOST_BLOCKS each */
    int *blocks, *calls;
} Bench;
enum { MOST_BLOCKS = 13 };

static DlccStatus bug(Bench *b, const char *what) {
    return driver_fail(b->t->c, DLCC_BUG, "this is a bug in dlcc: %s cannot be timed: %s", b->k->note, what);
}

/* ----------------------------------------------------------------------------- the data */

static bool is_rotated(const PlanBuf *b) { return b->place == PLACE_VAR || b->place == PLACE_CONST; }

static int64_t round_up(int64_t x, int64_t to) { return (x + to - 1) / to * to; }

/* The bytes that the plan reads and writes of variables in a call. */
static int64_t variable_bytes(const Plan *p) {
    int64_t bytes = 0;
    for (int i = 0; i < p->bufs.n && bytes < COPIED_BYTES; i++)
        if (p->bufs.at[i].place == PLACE_VAR) bytes += p->bufs.at[i].bytes;
    return bytes < COPIED_BYTES ? bytes : COPIED_BYTES;
}

/* As many copies as would fill what the plan's variables take; as many repetitions as make a call worth timing. */
static void count_runs(Bench *b) {
    const PlanStep *s = b->k->step;
    int64_t rotated = 0;
    for (int i = 0; i < b->k->kernel->bufs.n; i++)
        if (is_rotated(&b->k->plan->bufs.at[s->bufs[i]])) rotated += b->k->plan->bufs.at[s->bufs[i]].bytes;
    b->copies = rotated ? variable_bytes(b->k->plan) / rotated : 1;
    double enough = LONG_SECONDS / (b->k->predicted > 1e-9 ? b->k->predicted : 1e-9);
    if (b->copies > 2 && (double)b->copies > enough) b->copies = enough < 2 ? 2 : (int64_t)enough;
    if (b->copies > MOST_COPIES) b->copies = MOST_COPIES;
    if (b->copies < 1) b->copies = 1;
    double seconds = b->k->predicted * (double)b->copies, wanted = CALL_SECONDS / (seconds > 1e-9 ? seconds : 1e-9);
    b->repeats = wanted > MOST_RUNS ? MOST_RUNS : wanted < 1 ? 1 : (int64_t)wanted;
}

/* A variable for each buffer of the kernel. False if that is too much. */
static bool make_variables(Bench *b) {
    const PlanStep *s = b->k->step;
    int n = b->k->kernel->bufs.n;
    double bytes = 0;
    b->vars = arena_array(&b->t->arena, Var *, n + 1);
    b->strides = arena_array(&b->t->arena, int64_t, n + 1);
    for (int i = 0; i < n; i++) {
        const PlanBuf *from = &b->k->plan->bufs.at[s->bufs[i]];
        int64_t elements = from->elements->upper > 1 ? from->elements->upper : 1;
        bool rotated = is_rotated(from) && b->copies > 1;
        if (elements > MOST_BYTES) return false;
        if (rotated) b->strides[i] = elements = round_up(elements, ALIGNED);
        if (rotated) elements *= b->copies;
        bytes += (double)elements * dtype_bytes(from->dtype);
        if (bytes > MOST_BYTES) return false;
        Dim shape = dim_const(&b->graph->dims, elements);
        b->vars[i] = module_add_var(b->graph, VAR_STATE, arena_printf(&b->t->arena, "b%d", i),
                                    type_make(b->graph, from->dtype, 1, &shape));
    }
    return true;
}

/* Small positive numbers with random digits; integers that are indices of the first element; true. */
static void fill_variable(Bench *b, const Var *v) {
    static const uint64_t halves[][2] = {[DTYPE_F64] = {UINT64_C(0x3fa) << 52, (UINT64_C(1) << 52) - 1},
                                         [DTYPE_F32] = {0x3d000000, 0x7fffff}, [DTYPE_F16] = {0x2800, 0x3ff},
                                         [DTYPE_BF16] = {0x3d00, 0x7f}, [DTYPE_BOOL] = {1, 0}, [DTYPE_COUNT] = {0}};
    unsigned char *at = b->memory + b->places.offset[v->id];
    int size = dtype_bytes(v->type.dtype);
    uint64_t x = (uint64_t)v->id * 2 + 1;
    for (int64_t i = 0; i < b->places.bytes[v->id]; i += size) {
        x = x * UINT64_C(6364136223846793005) + 1442695040888963407;
        uint64_t bits = halves[v->type.dtype][0] | (x >> 12 & halves[v->type.dtype][1]);
        memcpy(at + i, &bits, (size_t)size);
    }
}

static uint64_t hash_variable(const Bench *b, const Var *v, uint64_t hash) {
    const unsigned char *at = b->memory + b->places.offset[v->id];
    int64_t n = b->places.bytes[v->id];
    for (int64_t i = 0; i < n; i += 8) {
        uint64_t word = 0;
        memcpy(&word, at + i, n - i < 8 ? (size_t)(n - i) : 8);
        hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
        hash ^= hash >> 29;
    }
    return hash;
}

/* ------------------------------------------------------------------------- the functions */

static PlanStep loop_step(Bench *b, const char *name, int64_t count) {
    DimTable *dims = &b->graph->dims;
    name = intern(dims->names, name);
    if (!dim_find(dims, name)) dim_symbol(dims, name, 0, count - 1);
    return (PlanStep){.kind = STEP_LOOP, .symbol = dim_find(dims, name), .extent = dim_const(dims, count)};
}

/* A run of the kernel at the upper bounds, on the copies that the loop's index names. */
static PlanStep kernel_step(Bench *b, Kernel *k, const DimSymbol *copy) {
    DimTable *dims = &b->graph->dims;
    int *bufs = arena_array(&b->t->arena, int, k->bufs.n + 1);
    Dim *offsets = arena_array(&b->t->arena, Dim, k->bufs.n + 1);
    Dim *sizes = arena_array(&b->t->arena, Dim, k->dims.n + 1);
    for (int i = 0; i < k->bufs.n; i++) {
        bufs[i] = i;
        offsets[i] = dim_mul(dims, dim_const(dims, b->strides[i]), dim_of_symbol(dims, copy));
    }
    for (int i = 0; i < k->dims.n; i++) sizes[i] = dim_const(dims, b->k->step->dims[i]->upper);
    return (PlanStep){.kind = STEP_KERNEL, .kernel = k, .bufs = bufs, .offsets = offsets, .dims = sizes,
                      .numbers = b->k->step->numbers};
}

static Func *make_function(Bench *b, const Kernel *k, const char *name) {
    Func *f = module_add_func(b->graph, name);
    for (int i = 0; i < k->bufs.n; i++) {
        func_var(f, b->vars[i]);
        if (!k->bufs.at[i].written) continue;
        Value *value = arena_new(&b->t->arena, Value);
        *value = (Value){.type = b->vars[i]->type, .id = -1};
        func_add_result(f, (Result){.var = b->vars[i]}, value);
    }
    return f;
}

static Plan *make_plan(Bench *b, Kernel *k, const char *name) {
    Plan *p = arena_new(&b->t->arena, Plan);
    p->func = make_function(b, k, name);
    for (int i = 0; i < k->bufs.n; i++) {
        PlanBuf buf = {.place = PLACE_VAR, .var = b->vars[i], .dtype = b->vars[i]->type.dtype,
                       .elements = b->vars[i]->type.shape[0], .name = b->vars[i]->name, .alias = -1};
        buf.bytes = buf.elements->upper * dtype_bytes(buf.dtype);
        vec_push(&b->t->arena, &p->bufs, buf);
    }
    PlanStep again = loop_step(b, "again", b->repeats), copy = loop_step(b, "copy", b->copies);
    PlanStep end = {.kind = STEP_END};
    vec_push(&b->t->arena, &p->steps, again);
    vec_push(&b->t->arena, &p->steps, copy);
    vec_push(&b->t->arena, &p->steps, kernel_step(b, k, copy.symbol));
    vec_push(&b->t->arena, &p->steps, end);
    vec_push(&b->t->arena, &p->steps, end);
    place_plan(p, &b->t->arena);
    return p;
}

/* A kernel and a plan for each trial, in `to`, which is the case's module while this lasts: sizes are in its table. */
static void make_trials(Bench *b, KModule *to) {
    to->graph = b->graph;
    to->kernels.n = to->kernels.room = to->plans.n = to->plans.room = 0;
    to->init = to->prepare = NULL;
    for (int i = 0; i < b->n; i++) {
        Kernel *k = arena_copy(&b->t->arena, b->k->kernel, sizeof *k);
        k->name = arena_printf(&b->t->arena, "k%d", i);
        k->schedule = b->trials[i].schedule;
        vec_push(&b->t->arena, &to->kernels, k);
        vec_push(&b->t->arena, &to->plans, make_plan(b, k, arena_printf(&b->t->arena, "run%d", i)));
    }
}

/* ------------------------------------------------------------------------- to an object */

static DlccStatus generate(Bench *b, const char **bytes, size_t *n) {
    Compilation *c = b->t->c;
    CodeOptions options = {.target = c->target, .prefix = "tune", .level = c->options->level};
    const char *why = "";
    FaultList faults = {0};
    if (kernels_verify(b->k->m, &b->t->arena, &faults)) return bug(b, faults.at[0].text);
    Code *code = code_build(&b->t->arena, b->k->m, &options, &why);
    bool good = code && code_optimise(code, &why) && code_emit(code, CODE_OBJECT, bytes, n, &why);
    code_free(code);
    return good ? DLCC_OK : bug(b, why);
}

static DlccStatus compile_trials(Bench *b, const char **bytes, size_t *n) {
    KModule *m = b->k->m, before = *m;
    make_trials(b, m);
    DlccStatus status = generate(b, bytes, n);
    DimTable dims = m->dims;
    *m = before;
    m->dims = dims;
    return status;
}

static DlccStatus open_object(Bench *b, const char *path) {
    char message[256] = "";
    b->places = places_of(b->graph, &b->t->arena);
    b->bytes = (size_t)round_up(b->places.weight_bytes, ALIGNED);
    unsigned char *memory = arena_alloc(&b->t->arena, b->bytes + ALIGNED);
    b->memory = memory + (ALIGNED - (uintptr_t)memory % ALIGNED) % ALIGNED;
    DlrtOptions options = {.memory = b->memory, .memory_bytes = b->bytes};
    if (dlrt_open_file(path, &options, &b->model, message, sizeof message))
        return driver_fail(b->t->c, DLCC_ENVIRONMENT, "the compiled kernel cannot be opened: %s", message);
    if (!dlrt_context_create(b->model, NULL, &b->context)) return DLCC_OK;
    return driver_fail(b->t->c, DLCC_ENVIRONMENT, "there is not enough memory for the compiled kernel");
}

static DlccStatus link_trials(Bench *b, const char *object, size_t n) {
    Compilation *c = b->t->c;
    const char *why, *path = arena_printf(&b->t->arena, "%s/%d.so", b->t->folder, b->t->objects++);
    LinkOptions link = {.target = c->target, .cc = c->options->cc, .runtime = b->t->runtime, .output = path,
                        .object = object, .object_bytes = n};
    if (!link_shared(&b->t->arena, &link, &why)) return driver_fail(c, DLCC_ENVIRONMENT, "%s", why);
    DlccStatus status = open_object(b, path);
    unlink(path);
    return status;
}

/* -------------------------------------------------------------------------------- runs */

static DlccStatus call(Bench *b, int trial, int times) {
    DlrtStatus status = DLRT_OK;
    for (int i = 0; i < times && !status; i++) status = dlrt_call(b->context, trial, NULL, 0, NULL, 0);
    return status ? bug(b, dlrt_message(b->context)) : DLCC_OK;
}

/* What each writes, of the same data. */
static DlccStatus compare_bits(Bench *b) {
    const Kernel *k = b->k->kernel;
    DlccStatus status = DLCC_OK;
    for (int i = 0; i < k->bufs.n; i++) fill_variable(b, b->vars[i]);
    for (int i = 0; i < b->n && !status; i++) {
        for (int v = 0; v < k->bufs.n; v++)
            if (k->bufs.at[v].written) fill_variable(b, b->vars[v]);
        status = call(b, i, 1);
        b->trials[i].bits = 0;
        for (int v = 0; v < k->bufs.n; v++)
            if (k->bufs.at[v].written) b->trials[i].bits = hash_variable(b, b->vars[v], b->trials[i].bits);
        if (!status && b->trials[i].bits != b->trials[0].bits)
            status = bug(b, arena_printf(b->t->c->arena, "schedules %d and 0 of it give different bits", i));
    }
    return status;
}

static double median(double *x, int n) {
    for (int i = 1; i < n; i++)
        for (int at = i; at > 0 && x[at - 1] > x[at]; at--) {
            double other = x[at];
            x[at] = x[at - 1];
            x[at - 1] = other;
        }
    return n % 2 ? x[n / 2] : (x[n / 2 - 1] + x[n / 2]) / 2;
}

static void summarise(Bench *b, int i) {
    double *x = b->seconds + (ptrdiff_t)i * MOST_BLOCKS, away[MOST_BLOCKS];
    if (!b->blocks[i]) return;
    b->trials[i].seconds = median(x, b->blocks[i]);
    for (int k = 0; k < b->blocks[i]; k++)
        away[k] = x[k] > b->trials[i].seconds ? x[k] - b->trials[i].seconds : b->trials[i].seconds - x[k];
    b->trials[i].noise = median(away, b->blocks[i]) / b->trials[i].seconds;
}

static DlccStatus time_block(Bench *b, int i) {
    double start = driver_now(), runs = (double)(b->copies * b->repeats);
    DlccStatus status = call(b, i, b->calls[i]);
    double seconds = driver_now() - start;
    b->seconds[(ptrdiff_t)i * MOST_BLOCKS + b->blocks[i]++] = seconds / b->calls[i] / runs;
    summarise(b, i);
    return status;
}

/* Those that are far behind the fastest stop. The first is what the others are compared with, and stays. */
static void drop_slow(Bench *b, double within) {
    double least = 0;
    for (int i = 0; i < b->n; i++)
        if (b->blocks[i] && (least <= 0 || b->trials[i].seconds < least)) least = b->trials[i].seconds;
    for (int i = 1; i < b->n; i++) b->trials[i].out |= b->blocks[i] && b->trials[i].seconds > within * least;
}

static bool only_first(const Bench *b) {
    for (int i = 1; i < b->n; i++)
        if (!b->trials[i].out) return false;
    return true;
}

static DlccStatus time_trials(Bench *b) {
    static const double within[MOST_BLOCKS] = {1.2, 1.12, 1.08, 0, 1.03, 0, 1.02};
    enum { FEWEST = 3, ENOUGH = 6 };
    DlccStatus status = DLCC_OK;
    for (int i = 0; i < b->n && !status; i++) {
        double start = driver_now();
        status = call(b, i, 1);
        double seconds = driver_now() - start, calls = BLOCK_SECONDS / (seconds > 1e-7 ? seconds : 1e-7);
        b->calls[i] = calls < 1 ? 1 : (int)calls;
    }
    for (int round = 0; round < MOST_BLOCKS && !status; round++) {
        for (int i = 0; i < b->n && !status; i++)
            if (!b->trials[i].out) status = time_block(b, i);
        if (within[round] > 0) drop_slow(b, within[round]);
        if (round + 1 >= ENOUGH && only_first(b)) break;
        if (driver_now() <= b->t->until) continue;
        /* A block or two do not tell apart what is nearly as fast. */
        for (int i = 0; i < b->n && b->n > 1 && round + 1 < FEWEST; i++) b->trials[i].seconds = 0;
        break;
    }
    return status;
}

DlccStatus tune_time(Tuner *t, const TuneCase *k, Trial *trials, int n) {
    Bench b = {.t = t, .k = k, .trials = trials, .n = n};
    Interner names;
    const char *object;
    size_t bytes;
    intern_init(&names, &t->arena);
    b.graph = module_new(&t->arena, &names, NULL, "tune");
    b.seconds = arena_array(&t->arena, double, n * MOST_BLOCKS);
    b.blocks = arena_array(&t->arena, int, n);
    b.calls = arena_array(&t->arena, int, n);
    count_runs(&b);
    DlccStatus status = DLCC_OK;
    if (make_variables(&b)) {
        status = compile_trials(&b, &object, &bytes);
        if (!status) status = link_trials(&b, object, bytes);
        if (!status) status = compare_bits(&b);
        if (!status) status = time_trials(&b);
    }
    dlrt_context_destroy(b.context);
    dlrt_close(b.model);
    arena_reset(&t->arena);
    return status;
}
