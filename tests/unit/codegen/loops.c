/* Loop kernels as machine code against an evaluator that is nothing but loops: random kernels over shapes around
 * the vectors' edges, run-time and constant extents, all strides, guards, indices, reductions, several
 * stages, any schedule; for several processors. Buffers lie against pages that must not be touched. How
 * the items are cut must not change a bit. Set KERNEL_SEED and KERNEL_COUNT to look further. */
#include "kernel_eval.h"
#include "kernel_random.h"
#include "machine.h"

#include "ir/kernel_print.h"
#include "ir/kernel_read.h"
#include "ir/kernel_util.h"

#include <fcntl.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <setjmp.h>
#include <cmocka.h>

typedef struct World {
    jmp_buf out_of_memory;
    Arena arena;
    Interner names;
    Diags diags;
    KModule *kernels;
    KernelCase *cases;
    int count;
    uint64_t random;
} World;

static long from_environment(const char *name, long otherwise) {
    const char *text = getenv(name);
    return text ? atol(text) : otherwise;
}

/* ------------------------------------------------------------------------- memory */

/* `bytes` bytes that end (or begin) at a page which must not be touched. */
typedef struct Guarded {
    unsigned char *pages, *at;
    size_t mapped;
} Guarded;

static Guarded guarded_new(size_t bytes, bool at_end) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE), inside = (bytes + page - 1) / page * page;
    Guarded g = {.mapped = inside + 2 * page};
    int zero = open("/dev/zero", O_RDWR);
    g.pages = mmap(NULL, g.mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE, zero, 0);
    close(zero);
    if (g.pages == MAP_FAILED) fail_msg("mmap");
    mprotect(g.pages, page, PROT_NONE);
    mprotect(g.pages + page + inside, page, PROT_NONE);
    g.at = g.pages + page + (at_end ? inside - bytes : 0);
    return g;
}

/* ----------------------------------------------------------------------- elements */

/* Floats have ties among them; where `wild`, also NaN, infinities and both zeros. */
static Number draw(uint64_t *state, const CaseBuf *b, bool wild) {
    static const double specials[] = {1.5, -1.5, 1.5, -1.5, NAN, INFINITY, -INFINITY, 0.0, -0.0};
    double x = (double)(random_next(state) >> 11) * 0x1p-53;
    if (dtype_is_float(b->dtype)) {
        int64_t special = random_below(state, 400);
        if (special < (wild ? 9 : 4)) return (Number){.f = specials[special]};
        return (Number){.f = number_round(DTYPE_F32, 4 * x - 2)};
    }
    if (b->below) return (Number){.i = (int64_t)(x * (double)b->below)};
    if (b->dtype == DTYPE_BOOL) return (Number){.i = x < 0.5};
    return (Number){.i = number_wrap(b->dtype, (int64_t)(x * 600) - 300)};
}

static void write_elements(DType t, const Number *from, int64_t n, void *to) {
    for (int64_t i = 0; i < n; i++) switch (t) {
        case DTYPE_F64: ((double *)to)[i] = from[i].f; break;
        case DTYPE_F32: ((float *)to)[i] = (float)from[i].f; break;
        case DTYPE_I64: ((int64_t *)to)[i] = from[i].i; break;
        case DTYPE_I32: ((int32_t *)to)[i] = (int32_t)from[i].i; break;
        default: ((uint8_t *)to)[i] = (uint8_t)from[i].i; break;
        }
}

static Number read_element(DType t, const void *from, int64_t i) {
    switch (t) {
    case DTYPE_F64: return (Number){.f = ((const double *)from)[i]};
    case DTYPE_F32: return (Number){.f = (double)((const float *)from)[i]};
    case DTYPE_I64: return (Number){.i = ((const int64_t *)from)[i]};
    case DTYPE_I32: return (Number){.i = ((const int32_t *)from)[i]};
    case DTYPE_I8: return (Number){.i = ((const int8_t *)from)[i]};
    default: return (Number){.i = ((const uint8_t *)from)[i]};
    }
}

static bool agrees(DType t, Number got, Number want, double tolerance) {
    if (!dtype_is_float(t)) return got.i == want.i;
    if (isnan(want.f)) return isnan(got.f);
    if (isinf(want.f)) return got.f == want.f;
    return fabs(got.f - want.f) <= tolerance * (1 + fabs(want.f));
}

/* ------------------------------------------------------------------------- kernels */

static void stop(World *w, const char *what) {
    Text t = text_new(&w->arena);
    diags_render(&w->diags, &t, false);
    fail_msg("%s\n%s", what, text_get(&t));
}

static KModule *read_kernels(World *w, const char *text) {
    uint32_t source = diag_add_source(&w->diags, "kernels", text, strlen(text));
    KModule *m = kernels_read(&w->arena, &w->names, &w->diags, source);
    if (!m) stop(w, "the kernels are refused");
    return m;
}

static const char *printed(World *w, const KModule *m) {
    Text t = text_new(&w->arena);
    kernels_print(m, &t);
    return text_get(&t);
}

static World *world_open(void) {
    World *w = calloc(1, sizeof *w);
    if (setjmp(w->out_of_memory)) fail_msg("out of memory");
    arena_init(&w->arena, &w->out_of_memory);
    intern_init(&w->names, &w->arena);
    diags_init(&w->diags, &w->arena);
    return w;
}

static void world_close(World *w) {
    arena_reset(&w->arena);
    free(w);
}

/* The axis's extent if it is known and `points` times that is not too many copies; else 0. */
static int64_t few_points(const Kernel *k, int axis, int64_t points) {
    enum { MOST = 64 };
    Dim extent = k->axes.at[axis].extent;
    return dim_is_const(extent) && dim_value(extent) * points <= MOST ? dim_value(extent) : 0;
}

/* Some axes are jammed, the inner ones unrolled, one is tiled: what a schedule may do where lanes run along an outer axis. */
static void choose_copies(World *w, Kernel *k) {
    KSchedule *s = &k->schedule;
    int outer = kernel_last_axis(k, AXIS_OUTER) + 1, last = k->axes.n - 1;
    int64_t points = 1, inner = 1;
    if (s->vector_axis < 0 || s->vector_axis != outer - 1) return;
    for (int a = 0; a + 1 < outer; a++) {
        if (random_below(&w->random, 3) || !few_points(k, a, points)) continue;
        s->jam |= (uint64_t)1 << a;
        points *= few_points(k, a, 1);
    }
    for (int a = outer; a <= last; a++) inner *= few_points(k, a, points * inner);
    s->whole = last >= outer && inner && random_below(&w->random, 2);
    if (s->whole) points *= inner;
    int axis = (int)random_below(&w->random, k->axes.n);
    bool free = axis < outer - 1 ? !(s->jam >> axis & 1) : axis == last && axis >= outer && !s->whole;
    if (!free || !dim_is_const(k->axes.at[axis].extent)) return;
    int64_t tile = 1 + random_below(&w->random, points > 12 ? 3 : 17), extent = dim_value(k->axes.at[axis].extent);
    if (axis >= outer && extent > tile * KERNEL_BLOCKS) return;
    s->along = axis;
    s->tile = (int)tile;
}

static World *random_world(uint64_t seed, int count) {
    World *w = world_open();
    w->random = seed;
    w->count = count;
    w->cases = arena_array(&w->arena, KernelCase, count);
    Text sizes = text_new(&w->arena), kernels = text_new(&w->arena);
    for (int i = 0; i < count; i++) w->cases[i] = kernel_random(&w->random, i, &sizes, &kernels);
    w->kernels = read_kernels(w, arena_printf(&w->arena, "kernels @m\n%s%s", text_get(&sizes), text_get(&kernels)));
    for (int i = 0; i < count; i++) {
        const KernelCase *c = &w->cases[i];
        Kernel *k = w->kernels->kernels.at[i];
        k->schedule = (KSchedule){.vector_axis = c->vector, .lanes = c->lanes, .unroll = c->unroll, .chunk = c->chunk};
        choose_copies(w, k);
        if (c->keep_rows) k->schedule.scratch = kernel_rows(k, &w->arena).bytes;
    }
    const char *once = printed(w, w->kernels), *twice = printed(w, read_kernels(w, once));
    assert_string_equal(once, twice);
    return w;
}

/* -------------------------------------------------------------------------- running */

typedef struct Run {
    Number *start[CASE_BUFS];  /* before the call */
    EvalBuf want[CASE_BUFS];
    Guarded whole[CASE_BUFS], cut[CASE_BUFS];
} Run;

static KernelCall call_of(const World *w, int number, const Guarded *memory, int cuts) {
    const KernelCase *c = &w->cases[number];
    KernelCall call = {.kernel = number, .buf_count = c->buf_count, .dim_count = c->size_count, .cuts = cuts};
    memcpy(call.dims, c->sizes, sizeof c->sizes);
    for (int i = 0; i < c->buf_count; i++)
        call.bufs[i] = (CallBuf){memory[i].at, (size_t)c->bufs[i].count * (size_t)dtype_bytes(c->bufs[i].dtype)};
    return call;
}

static void start_run(World *w, Machine *machine, int number, Run *run) {
    const KernelCase *c = &w->cases[number];
    const Kernel *k = w->kernels->kernels.at[number];
    int64_t *sizes = arena_array(&w->arena, int64_t, w->kernels->dims.symbols.n + 1);
    for (int i = 0; i < c->size_count; i++) sizes[k->dims.at[i]->id] = c->sizes[i];
    for (int i = 0; i < c->buf_count; i++) {
        const CaseBuf *b = &c->bufs[i];
        size_t bytes = (size_t)b->count * (size_t)dtype_bytes(b->dtype);
        run->start[i] = arena_array(&w->arena, Number, b->count + 1);
        for (int64_t j = 0; j < b->count; j++) run->start[i][j] = draw(&w->random, b, number % 4 == 0);
        run->want[i] = (EvalBuf){arena_copy(&w->arena, run->start[i], sizeof(Number) * (size_t)b->count), b->count};
        run->whole[i] = guarded_new(bytes, number & 1);
        run->cut[i] = guarded_new(bytes, !(number & 1));
        write_elements(b->dtype, run->start[i], b->count, run->whole[i].at);
        write_elements(b->dtype, run->start[i], b->count, run->cut[i].at);
    }
    const char *error = kernel_eval(&w->arena, &w->kernels->dims, k, run->want, sizes);
    if (error) fail_msg("k%d: %s", number, error);
    KernelCall whole = call_of(w, number, run->whole, 0), cut = call_of(w, number, run->cut, 1 + number % 7);
    machine_call(machine, &whole);
    machine_call(machine, &cut);
}

static void complain(World *w, const char *target, int number, int buf, int64_t at, Number got) {
    const KernelCase *c = &w->cases[number];
    DType t = c->bufs[buf].dtype;
    Text text = text_new(&w->arena);
    text_add(&text, "%s, k%d: buffer %d[%lld] of %lld is ", target, number, buf, (long long)at,
             (long long)c->bufs[buf].count);
    if (dtype_is_float(t)) text_add(&text, "%.9g\nsizes", got.f);
    else text_add(&text, "%lld\nsizes", (long long)got.i);
    for (int i = 0; i < c->size_count; i++) text_add(&text, " %lld", (long long)c->sizes[i]);
    text_add(&text, "\n");
    kernel_print(&w->kernels->dims, w->kernels->kernels.at[number], &text);
    fprintf(stderr, "%s\n", text_get(&text));
    fail_msg("%s: k%d is wrong", target, number);
}

static void finish_run(World *w, const char *target, int number, Run *run) {
    const KernelCase *c = &w->cases[number];
    for (int i = 0; i < c->buf_count; i++) {
        const CaseBuf *b = &c->bufs[i];
        size_t bytes = (size_t)b->count * (size_t)dtype_bytes(b->dtype);
        for (int64_t j = 0; j < b->count; j++) {
            Number got = read_element(b->dtype, run->whole[i].at, j);
            if (agrees(b->dtype, got, run->want[i].at[j], c->tolerance)) continue;
            if (dtype_is_float(b->dtype)) fprintf(stderr, "expected %.9g: ", run->want[i].at[j].f);
            else fprintf(stderr, "expected %lld: ", (long long)run->want[i].at[j].i);
            complain(w, target, number, i, j, got);
        }
        if (memcmp(run->whole[i].at, run->cut[i].at, bytes))
            fail_msg("%s: k%d depends on how items are cut", target, number);
        munmap(run->whole[i].pages, run->whole[i].mapped);
        munmap(run->cut[i].pages, run->cut[i].mapped);
    }
}

static void check_on(const char *name, uint64_t seed, int count) {
    World *w = random_world(seed, count);
    const Target *target = machine_target(&w->arena, name);
    if (!target) {
        print_message("%s: cannot run here\n", name);
        world_close(w);
        skip();
    }
    Machine *machine = machine_open(&w->arena, w->kernels, target);
    Run *runs = arena_array(&w->arena, Run, count);
    for (int i = 0; i < count; i++) start_run(w, machine, i, &runs[i]);
    machine_finish(machine);
    for (int i = 0; i < count; i++) finish_run(w, name, i, &runs[i]);
    machine_close(machine);
    world_close(w);
}

enum { KERNELS = 60 };

static void check_seeds(const char *target, uint64_t seed) {
    check_on(target, (uint64_t)from_environment("KERNEL_SEED", (long)seed),
             (int)from_environment("KERNEL_COUNT", KERNELS));
}

static void on_this_processor(void **state) {
    (void)state;
    check_seeds("host", 1);
}

static void on_avx2(void **state) {
    (void)state;
    check_seeds("x86-64-v3", 2);
}

static void on_plain_x86(void **state) {
    (void)state;
    check_seeds("x86-64", 3);
}

static void on_aarch64(void **state) {
    (void)state;
    check_seeds("aarch64", 4);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(on_this_processor),
        cmocka_unit_test(on_avx2),
        cmocka_unit_test(on_plain_x86),
        cmocka_unit_test(on_aarch64),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
