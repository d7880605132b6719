/* Convolutions native against the interpreter: those of common networks, forward and as the gradients look, and drawn
 * ones with every dimension order, stride, padding, dilation and group; with epilogues, at run-time batches, for the
 * host's processor and narrower ones, on several threads bit for bit. */
#include "native.h"

#include <stdio.h>
#include <string.h>

#include <setjmp.h>
#include <cmocka.h>

enum { MOST_DIMS = 5 };

/* Sizes by role: batch, features, spatial dims; `input`, `kernel` and `output` say where each lies. */
typedef struct Conv {
    const char *dtype;
    int spatial, batch, features, out;     /* batch 0: the run-time dim B; features and out: in one group */
    int feature_groups, batch_groups;
    int input[MOST_DIMS], kernel[MOST_DIMS], output[MOST_DIMS];
    int extent[3], window[3], stride[3], low[3], high[3], input_dilation[3], kernel_dilation[3];
    int epilogue;              /* 0: none, 1: bias and relu, 2: times another value */
} Conv;

static int result_extent(const Conv *c, int i) {
    int padded = (c->extent[i] - 1) * c->input_dilation[i] + 1 + c->low[i] + c->high[i];
    int room = padded - (c->window[i] - 1) * c->kernel_dilation[i] - 1;
    return room < 0 ? 0 : room / c->stride[i] + 1;
}

/* sizes[role] at dimension place[role]; a size of 0 is B. */
static void add_shape(Text *t, const Conv *c, const int *place, const int *sizes, const char *batch) {
    for (int d = 0; d < c->spatial + 2; d++) {
        int role = 0;
        while (place[role] != d) role++;
        text_add(t, "%s", d ? "," : "");
        if (sizes[role]) text_add(t, "%d", sizes[role]);
        else text_add(t, "%s", batch);
    }
}

static void add_list(Text *t, const char *name, const int *list, int n) {
    text_add(t, "%s = [", name);
    for (int i = 0; i < n; i++) text_add(t, "%s%d", i ? ", " : "", list[i]);
    text_add(t, "], ");
}

static void add_conv(Text *t, const Conv *c, const char *name) {
    int n = c->spatial, groups = c->feature_groups * c->batch_groups;
    int x[MOST_DIMS] = {c->batch * c->batch_groups, c->features * c->feature_groups};
    int w[MOST_DIMS] = {c->features, c->out * groups}, y[MOST_DIMS] = {c->batch, c->out * groups};
    for (int i = 0; i < n; i++) {
        x[i + 2] = c->extent[i];
        w[i + 2] = c->window[i];
        y[i + 2] = result_extent(c, i);
    }
    Text shape = text_new(t->arena);
    text_add(&shape, "%s[", c->dtype);
    add_shape(&shape, c, c->output, y, "B");
    text_add(&shape, "]");
    const char *r = text_get(&shape), *whole = c->batch_groups > 1 ? "2*B" : "B";
    text_add(t, "func @%s(%%x: %s[", name, c->dtype);
    add_shape(t, c, c->input, x, whole);
    text_add(t, "] = arg \"x\", %%w: %s[", c->dtype);
    add_shape(t, c, c->kernel, w, "B");
    text_add(t, "] = arg \"w\", %%b: %s[%d] = arg \"b\", %%z: %s = arg \"z\")%s {\n", c->dtype, c->out * groups, r,
             c->batch ? "" : " dims(B)");
    text_add(t, "%%y = convolution %%x, %%w {");
    add_list(t, "input", c->input, n + 2);
    add_list(t, "kernel", c->kernel, n + 2);
    add_list(t, "output", c->output, n + 2);
    add_list(t, "strides", c->stride, n);
    add_list(t, "low", c->low, n);
    add_list(t, "high", c->high, n);
    add_list(t, "input_dilation", c->input_dilation, n);
    add_list(t, "kernel_dilation", c->kernel_dilation, n);
    text_add(t, "feature_groups = %d, batch_groups = %d} : %s\n", c->feature_groups, c->batch_groups, r);
    if (c->epilogue == 1) {
        text_add(t, "%%v = broadcast_in_dim %%b {shape = [");
        add_shape(t, c, c->output, y, "B");
        text_add(t, "], axes = [%d]} : %s\n%%s = add %%y, %%v : %s\n", c->output[1], r, r);
        text_add(t, "%%o = constant {dtype = %s, shape = [", c->dtype);
        add_shape(t, c, c->output, y, "B");
        text_add(t, "], value = 0.0} : %s\n%%r = maximum %%s, %%o : %s\nreturn %%r as \"r\"\n}\n", r, r);
    } else if (c->epilogue == 2) {
        text_add(t, "%%r = multiply %%y, %%z : %s\nreturn %%r as \"r\", %%y as \"y\"\n}\n", r);
    } else {
        text_add(t, "return %%y as \"y\"\n}\n");
    }
}

typedef struct Scratch {
    Arena arena;
    jmp_buf out;
} Scratch;

/* Bit for bit on 3, 2 and 1 threads too. */
static void check_without(const Conv *convs, int count, const char *cpu, const char *skip) {
    Scratch s;
    if (setjmp(s.out)) fail();
    arena_init(&s.arena, &s.out);
    Text t = text_new(&s.arena);
    text_add(&t, "module @m\ndim B in 1..9\n");
    for (int i = 0; i < count; i++) add_conv(&t, &convs[i], arena_printf(&s.arena, "f%d", i));
    Native *n = native_open_with(text_get(&t), &(NativeOptions){.cpu = cpu, .threads = 3, .divide = true, .skip = skip});
    n->by_largest = true;
    for (int i = 0; i < count; i++) {
        static const int64_t batches[] = {1, 2, 9};
        const char *name = arena_printf(&s.arena, "f%d", i);
        for (int b = 0; b < (convs[i].batch ? 1 : 3); b++)
            native_check(n, name, convs[i].batch ? NULL : &batches[b], strcmp(convs[i].dtype, "f64") ? 1e-5 : 1e-13);
    }
    native_close(n);
    arena_reset(&s.arena);
}

static void check(const Conv *convs, int count, const char *cpu) { check_without(convs, count, cpu, NULL); }

/* -------------------------------------------------------------------------- common ones */

#define FIRST {0, 1, 2, 3}, {1, 0, 2, 3}, {0, 1, 2, 3}     /* [N, C, H, W], [O, C, H, W] */
#define LAST {0, 3, 1, 2}, {2, 3, 0, 1}, {0, 3, 1, 2}      /* [N, H, W, C], [H, W, C, O] */
#define SQUARE(n, k, stride, pad) {n, n}, {k, k}, {stride, stride}, {pad, pad}, {pad, pad}, {1, 1}, {1, 1}

static void networks(void **state) {
    (void)state;
    static const Conv convs[] = {
        {"f32", 2, 2, 8, 24, 1, 1, FIRST, SQUARE(19, 3, 1, 1), 1},
        {"f32", 2, 2, 8, 24, 1, 1, LAST, SQUARE(19, 3, 1, 1), 1},
        {"f32", 2, 1, 3, 16, 1, 1, FIRST, SQUARE(33, 7, 2, 3), 1},
        {"f32", 2, 0, 3, 16, 1, 1, LAST, SQUARE(21, 7, 2, 3), 0},
        {"f32", 2, 0, 16, 40, 1, 1, FIRST, SQUARE(7, 1, 1, 0), 2},      /* a plain product */
        {"f32", 2, 2, 16, 40, 1, 1, FIRST, SQUARE(14, 1, 2, 0), 0},
        {"f32", 2, 1, 160, 20, 1, 1, FIRST, SQUARE(7, 3, 1, 1), 0},     /* deep: sums pause */
        {"f32", 2, 1, 160, 20, 1, 1, LAST, SQUARE(7, 3, 1, 1), 0},
        {"f32", 2, 2, 1, 1, 40, 1, FIRST, SQUARE(20, 3, 1, 1), 1},      /* depthwise */
        {"f32", 2, 2, 1, 1, 40, 1, LAST, SQUARE(20, 3, 1, 1), 1},
        {"f32", 2, 0, 1, 2, 5, 1, FIRST, SQUARE(20, 5, 2, 2), 0},
        {"f32", 2, 2, 4, 12, 3, 1, FIRST, SQUARE(9, 3, 1, 1), 0},       /* groups */
        {"f32", 2, 2, 4, 12, 3, 1, LAST, SQUARE(9, 3, 1, 1), 2},
        {"f64", 2, 0, 5, 9, 1, 1, FIRST, SQUARE(12, 3, 1, 1), 1},
        {"f32", 2, 1, 1, 1, 1, 1, FIRST, SQUARE(1, 1, 1, 0), 1},
        {"f32", 2, 2, 6, 7, 1, 1, FIRST, {1, 37}, {1, 5}, {1, 1}, {0, 2}, {0, 2}, {1, 1}, {1, 1}, 1},
    };
    enum { COUNT = sizeof convs / sizeof *convs };
    check(convs, COUNT, NULL);
    check(convs, COUNT, "x86-64-v3");
    check(convs, 10, "x86-64");
}

/* What the gradients of the 3 x 3 convolutions above are. */
static void gradients(void **state) {
    (void)state;
    static const Conv convs[] = {
        /* of the input: in and out exchanged, with stride 2 the input dilated */
        {"f32", 2, 2, 24, 8, 1, 1, {0, 1, 2, 3}, {0, 1, 2, 3}, {0, 1, 2, 3}, SQUARE(19, 3, 1, 1), 0},
        {"f32", 2, 0, 16, 3, 1, 1, {0, 1, 2, 3}, {0, 1, 2, 3}, {0, 1, 2, 3}, {9, 9}, {3, 3}, {1, 1}, {1, 1}, {2, 1}, {2, 2},
         {1, 1}, 2},
        {"f32", 2, 2, 24, 9, 1, 1, {0, 3, 1, 2}, {3, 2, 0, 1}, {0, 3, 1, 2}, {9, 10}, {3, 3}, {1, 1}, {1, 1}, {2, 2}, {2, 2},
         {1, 1}, 0},
        /* of the kernel: batch and features exchanged, the result's gradient for a kernel, dilated by the stride */
        {"f32", 2, 8, 3, 24, 1, 1, {1, 0, 2, 3}, {0, 1, 2, 3}, {1, 0, 2, 3}, {19, 19}, {19, 19}, {1, 1}, {1, 1}, {1, 1}, {1, 1},
         {1, 1}, 0},
        {"f32", 2, 8, 2, 24, 1, 1, {3, 0, 1, 2}, {0, 3, 1, 2}, {2, 3, 0, 1}, {19, 19}, {19, 19}, {1, 1}, {1, 1}, {1, 1}, {1, 1},
         {1, 1}, 0},
        {"f32", 2, 3, 2, 16, 1, 1, {1, 0, 2, 3}, {0, 1, 2, 3}, {1, 0, 2, 3}, {20, 20}, {10, 10}, {1, 1}, {1, 1}, {0, 0}, {1, 1},
         {2, 2}, 0},
        {"f32", 2, 1, 2, 1, 1, 40, {1, 0, 2, 3}, {0, 1, 2, 3}, {1, 0, 2, 3}, {20, 20}, {20, 20}, {1, 1}, {1, 1}, {1, 1}, {1, 1},
         {1, 1}, 0},
        {"f32", 2, 4, 3, 6, 1, 2, {1, 0, 2, 3}, {0, 1, 2, 3}, {1, 0, 2, 3}, {9, 9}, {9, 9}, {1, 1}, {1, 1}, {1, 1}, {1, 1},
         {1, 1}, 1},
    };
    enum { COUNT = sizeof convs / sizeof *convs };
    check(convs, COUNT, NULL);
    check(convs, COUNT, "x86-64-v3");
    check(convs, COUNT, "x86-64");
}

/* ------------------------------------------------------------------------------ factors */

#define CONV(x, w, pad, result)                                                                                        \
    "convolution " x ", " w " {input = [0, 1, 2], kernel = [1, 0, 2], output = [0, 1, 2], strides = [1], "             \
    "low = [" pad "], high = [" pad "], input_dilation = [1], kernel_dilation = [1], feature_groups = 1, "             \
    "batch_groups = 1} : " result "\n"
#define DOT(x, y, result)                                                                                              \
    "dot_general " x ", " y " {lhs_batch = [], rhs_batch = [], lhs_contract = [1], rhs_contract = [0]} : " result "\n"

/* What a factor is computed from: padded, joined, converted, with elementwise work; of constants; used elsewhere too. */
static void computed_factors(void **state) {
    (void)state;
    static const char text[] =
        "module @m\ndim B in 1..9\n"
        "func @rides(%x: f32[B,5,21] = arg \"x\", %y: f32[B,5,21] = arg \"y\", %w: f32[18,5,3] = arg \"w\") dims(B) {\n"
        "%s = multiply %x, %y : f32[B,5,21]\n%m = maximum %s, %x : f32[B,5,21]\n"
        "%r = " CONV("%m", "%w", "1", "f32[B,18,21]") "return %r as \"r\"\n}\n"
        "func @bytes(%x: u8[B,5,21] = arg \"x\", %w: f32[18,5,3] = arg \"w\") dims(B) {\n"
        "%c = convert %x {dtype = f32} : f32[B,5,21]\n%o = constant {dtype = f32, shape = [B,5,21], value = 2.0} : f32[B,5,21]\n"
        "%m = subtract %c, %o : f32[B,5,21]\n"
        "%r = " CONV("%m", "%w", "1", "f32[B,18,21]") "return %r as \"r\"\n}\n"
        "func @joined(%x: f32[B,2,21] = arg \"x\", %y: f32[B,3,21] = arg \"y\", %w: f32[18,5,3] = arg \"w\") dims(B) {\n"
        "%c = concatenate %x, %y {axis = 1} : f32[B,5,21]\n"
        "%r = " CONV("%c", "%w", "0", "f32[B,18,19]") "return %r as \"r\"\n}\n"
        "func @filled(%x: f32[B,5,21] = arg \"x\", %w: f32[18,5,3] = arg \"w\") dims(B) {\n"
        "%o = constant {dtype = f32, shape = [], value = 3.0} : f32\n"
        "%p = pad %x, %o {low = [0, 0, 2], high = [0, 0, -1], interior = [0, 0, 1]} : f32[B,5,42]\n"
        "%r = " CONV("%p", "%w", "1", "f32[B,18,42]") "return %r as \"r\"\n}\n"
        "func @twice(%x: f32[B,18,21] = arg \"x\", %w: f32[18,18,3] = arg \"w\") dims(B) {\n"
        "%m = multiply %x, %x : f32[B,18,21]\n"
        "%r = " CONV("%m", "%w", "1", "f32[B,18,21]") "%s = add %r, %m : f32[B,18,21]\nreturn %s as \"s\"\n}\n"
        "func @ones(%x: f32[B,5,21] = arg \"x\") dims(B) {\n"
        "%w = constant {dtype = f32, shape = [7,5,3], value = 0.5} : f32[7,5,3]\n"
        "%r = " CONV("%x", "%w", "1", "f32[B,7,21]") "return %r as \"r\"\n}\n"
        "func @product(%x: f32[B,10] = arg \"x\", %y: f32[10,33] = arg \"y\") dims(B) {\n"
        "%o = constant {dtype = f32, shape = [], value = 1.0} : f32\n"
        "%p = pad %x, %o {low = [0, 1], high = [0, 2], interior = [0, 0]} : f32[B,13]\n"
        "%q = pad %y, %o {low = [3, -1], high = [0, 2], interior = [0, 0]} : f32[13,34]\n"
        "%r = " DOT("%p", "%q", "f32[B,34]") "return %r as \"r\"\n}\n"
        "func @one(%x: f32[B,300] = arg \"x\", %y: f32[300,1] = arg \"y\") dims(B) {\n"
        "%h = slice %x {start = [0, 0], limit = [1, 300], strides = [1, 1]} : f32[1,300]\n"
        "%r = " DOT("%h", "%y", "f32[1,1]") "%s = " DOT("%x", "%y", "f32[B,1]") "return %r as \"r\", %s as \"s\"\n}\n";
    static const char *const names[] = {"rides", "bytes", "joined", "filled", "twice", "ones", "product", "one"};
    static const char *const cpus[] = {NULL, "x86-64-v3", "x86-64"};
    static const int64_t batches[] = {1, 2, 9};
    for (int c = 0; c < 3; c++) {
        Native *n = native_open_with(text, &(NativeOptions){.cpu = cpus[c], .threads = 3, .divide = true});
        n->by_largest = true;
        for (size_t i = 0; i < sizeof names / sizeof *names; i++)
            for (int b = 0; b < 3; b++) native_check(n, names[i], &batches[b], 1e-5);
        native_close(n);
    }
}

/* -------------------------------------------------------------------------------- drawn */

typedef struct Draw {
    uint64_t state;
} Draw;

static int below(Draw *d, int n) { return (int)(native_random(&d->state) * n); }

static int pick(Draw *d, const int *from, int n) { return from[below(d, n)]; }

static void permute(Draw *d, int *to, int n) {
    for (int i = 0; i < n; i++) to[i] = i;
    for (int i = n - 1; i > 0; i--) {
        int j = below(d, i + 1), t = to[i];
        to[i] = to[j];
        to[j] = t;
    }
}

static Conv draw_conv(Draw *d) {
    static const int sizes[] = {1, 2, 3, 8, 17, 33}, most_extent[] = {0, 50, 17, 7};
    Conv c = {.dtype = below(d, 4) ? "f32" : "f64", .spatial = 1 + below(d, 3), .feature_groups = 1, .batch_groups = 1};
    c.batch = below(d, 3);
    c.features = pick(d, sizes, 5);
    c.out = pick(d, sizes, 6);
    if (!below(d, 3)) c.feature_groups = 1 + below(d, 5);
    else if (!below(d, 6)) c.batch_groups = 2;
    permute(d, c.input, c.spatial + 2);
    permute(d, c.kernel, c.spatial + 2);
    permute(d, c.output, c.spatial + 2);
    c.epilogue = below(d, 3);
    for (int i = 0; i < c.spatial; i++) do {
            c.extent[i] = 1 + below(d, most_extent[c.spatial]);
            c.window[i] = 1 + below(d, 4);
            c.stride[i] = below(d, 2) ? 1 : 1 + below(d, 3);
            c.low[i] = below(d, 5) - 1;
            c.high[i] = below(d, 5) - 1;
            c.input_dilation[i] = below(d, 3) ? 1 : 2 + below(d, 2);
            c.kernel_dilation[i] = below(d, 3) ? 1 : 2 + below(d, 2);
        } while (!result_extent(&c, i));
    return c;
}

static void drawn(void **state) {
    (void)state;
    enum { COUNT = 40, FEWER = 16 };
    Draw d = {20240607};
    Conv convs[COUNT];
    for (int i = 0; i < COUNT; i++) convs[i] = draw_conv(&d);
    check(convs, COUNT, NULL);
    check(convs, FEWER, "x86-64-v3");
    check(convs + FEWER, FEWER, "x86-64");
    check_without(convs, COUNT, NULL, "simplify");
}

/* ------------------------------------------------------------------------- weights that stay */

/* Few tiles are of 2 x 2. In objects for inference kernels are transformed, laid out in panels and folded with normalisations when they are set:
 * native_check sets them anew for each call. 30 rows and 17 columns are no whole tiles of 4. */
static const char fixed_weights[] =
    "model Fixed(c: int = 32, o: int = 64, h: int = 30, w: int = 17, pad: int = 1) {\n"
    "    let a = Conv2d(c, o, 3, padding = pad)\n"
    "    let n = BatchNorm2d(o)\n"
    "    let b = Conv2d(o, o, 3, padding = 1, bias = false)\n"
    "    let s = Conv2d(c, o, 1, bias = false)\n"
    "    let e = Conv2d(128, 128, 3, padding = 1)\n    let f = Linear(o, 96)\n"
    "    export fn block(x: f32[2, c, h, w]) -> f32[2, o, h, w] { relu(b(relu(n(a(x)))) + s(x)) }\n"
    "    export fn rows(x: f32[40, o]) -> f32[40, 96] { f(x) }\n"
    "    export fn few(x: f32[1, 128, 7, 7]) -> f32[1, 128, 7, 7] { e(x) }\n"
    "    export fn head(x: f32[2, c, h, w]) -> f32[2, 96] { f(global_avg_pool(a(x))) }\n"
    "}\n";

static void check_fixed(const char *cpu, const char *skip, double tolerance) {
    NativeOptions options = {.cpu = cpu, .threads = 3, .skip = skip, .divide = true};
    Native *n = native_open_source_with("fixed.dl", fixed_weights, &options);
    n->by_largest = true;
    n->var_low = 0.1; /* variances among them */
    for (int i = 0; i < 2; i++) {
        native_check(n, "block", NULL, tolerance);
        native_check(n, "rows", NULL, 1e-6);
        native_check(n, "head", NULL, tolerance);
        native_check(n, "few", NULL, tolerance);
    }
    native_close(n);
}

static void weights_that_stay(void **state) {
    (void)state;
    check_fixed(NULL, NULL, 2e-5); /* Winograd's rounding; most is 4e-6 */
    check_fixed("x86-64-v3", NULL, 2e-5);
    check_fixed("x86-64-v2", NULL, 2e-5);
    check_fixed(NULL, "winograd", 1e-6);
    check_fixed(NULL, "prepare", 2e-5);
    check_fixed(NULL, "layout", 2e-5);
}

/* ----------------------------------------------------------------------- small windows */

/* One feature a group: loops over windows, whose neighbours are made together, and over the places of a kernel. Widths give
 * one block of them and several, whole and not. */
static const char windows_source[] =
    "model Windows() {\n"
    "    let conv = Conv2d(%d, %d, %d, %d, %d, groups = %d, bias = false)\n"
    "    fn run(x: f32[2, %d, %d, %d]) { conv(x) }\n"
    "    export fn forward(x: f32[2, %d, %d, %d]) -> f32 { sum(relu(run(x)) ^ 2) }\n"
    "    export fn gradients(x: f32[2, %d, %d, %d]) {\n"
    "        let loss = mean(run(x) ^ 2)\n"
    "        return run(x), grad(loss, x), grad(loss, conv.weight)\n"
    "    }\n"
    "    export fn pools(x: f32[2, %d, %d, %d]) { return max_pool(x, 3, 1, 1), avg_pool(x, 3, 2, 1) }\n"
    "}\n";

static void check_windows(const char *cpu, int c, int h, int w, int size, int stride, int pad) {
    char source[2048];
    NativeOptions options = {.cpu = cpu, .threads = 3, .divide = true};
    snprintf(source, sizeof source, windows_source, c, c, size, stride, pad, c, c, h, w, c, h, w, c, h, w, c, h, w);
    Native *n = native_open_source_with("windows.dl", source, &options);
    n->by_largest = true;
    native_check(n, "forward", NULL, 1e-5);
    native_check(n, "gradients", NULL, 1e-5);
    native_check(n, "pools", NULL, 1e-5);
    native_close(n);
}

static void small_windows(void **state) {
    (void)state;
    static const char *const cpus[] = {NULL, "x86-64-v3", "x86-64"};
    for (int i = 0; i < 3; i++) {
        check_windows(cpus[i], 32, 7, 7, 3, 1, 1);
        check_windows(cpus[i], 19, 9, 41, 3, 1, 1);
        check_windows(cpus[i], 32, 28, 28, 3, 2, 1);
        check_windows(cpus[i], 16, 6, 56, 5, 1, 2);
        check_windows(cpus[i], 24, 11, 19, 3, 2, 0);
    }
}

/* ----------------------------------------------------------------------- weights that change */

/* A function that writes kernels transforms them in each call, and their gradients; pictures of three features are laid
 * with borders, for their kernel's gradient too, from where features lie last and first. */
static const char changing_weights[] =
    "model Changing(c: int = 32, o: int = 64, h: int = 31, w: int = 18) {\n"
    "    let s = Conv2d(3, c, 3, stride = 2, padding = 1, bias = false)\n"
    "    let a = Conv2d(c, o, 3, padding = 1)\n"
    "    let b = Conv2d(o, o, 3, padding = 1, bias = false)\n"
    "    let e = Conv2d(128, 128, 3, padding = 1, bias = false)\n"
    "    fn features(x: f32[2, 61, 35, 3]) -> f32[2, c, h, w] { s(transpose(x, [0, 3, 1, 2])) }\n"
    "    fn all(x: f32[2, 61, 35, 3]) -> f32[2, o, h, w] { b(relu(a(features(x)))) }\n"
    "    export fn step(x: f32[2, 61, 35, 3], g: f32[2, o, h, w], rate: f32) -> (loss: f32) {\n"
    "        let loss = mean(all(x) * g)\n"
    "        minimize loss with sgd(rate)\n"
    "        return loss\n"
    "    }\n"
    "    export fn slopes(x: f32[2, 61, 35, 3], g: f32[2, o, h, w]) "
    "-> (s: f32[c, 3, 3, 3], a: f32[o, c, 3, 3], b: f32[o, o, 3, 3]) {\n"
    "        let y = sum(all(x) * g)\n"
    "        return grad(y, s.weight), grad(y, a.weight), grad(y, b.weight)\n"
    "    }\n"
    "    export fn picture(x: f32[2, 3, 61, 35], g: f32[2, c, h, w]) -> (s: f32[c, 3, 3, 3]) { grad(sum(s(x) * g), s.weight) }\n"
    "    export fn few(x: f32[1, 14, 14, 128], g: f32[1, 14, 14, 128]) -> (e: f32[128, 128, 3, 3]) {\n"
    "        grad(sum(transpose(e(transpose(x, [0, 3, 1, 2])), [0, 2, 3, 1]) * g), e.weight)\n"
    "    }\n"
    "    export fn put(x: f32[2, 61, 35, 3], y: f32[2, c, h, w], g: f32[2, o, h, w], p: f32[2, c, h, w]) {\n"
    "        s.weight <- grad(sum(features(x) * p), s.weight)\n"
    "        a.weight <- grad(sum(a(y) * g), a.weight)\n"
    "    }\n"
    "}\n";

static void check_changing(const char *cpu, const char *function, const char *skip, double tolerance) {
    static const char *const names[] = {"step", "slopes", "picture", "few", "put"};
    NativeOptions options = {.cpu = cpu, .threads = 3, .skip = skip, .divide = true};
    Native *n = native_open_source_with("changing.dl", changing_weights, &options);
    n->by_largest = true;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!function || !strcmp(function, names[i])) native_check(n, names[i], NULL, tolerance);
    native_close(n);
}

static void weights_that_change(void **state) {
    (void)state;
    check_changing(NULL, NULL, NULL, 2e-5);
    check_changing("x86-64-v3", NULL, NULL, 2e-5);
    check_changing("x86-64-v2", "slopes", NULL, 2e-5);
    check_changing(NULL, NULL, "winograd", 2e-6);
    check_changing(NULL, NULL, "image_order", 2e-5);
    check_changing(NULL, "put", "layout", 2e-5);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_windows),
        cmocka_unit_test(networks),
        cmocka_unit_test(gradients),
        cmocka_unit_test(computed_factors),
        cmocka_unit_test(drawn),
        cmocka_unit_test(weights_that_stay),
        cmocka_unit_test(weights_that_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
