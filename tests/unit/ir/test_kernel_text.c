/* The text of kernel IR: printing and reading are inverse, the reader survives anything, and the verifier names
 * what is broken.
 *
 * sample.kernels holds every sort of declaration, node and step as the printer writes them. */
#include "../fixture.h"
#include "ir/kernel_print.h"
#include "ir/kernel_read.h"
#include "ir/kernel_verify.h"

#include <stdio.h>
#include <string.h>

static const char *load(Fixture *f, const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file) fail_msg("cannot open %s", path);
    char *text = arena_alloc(&f->arena, 1 << 16);
    size_t n = fread(text, 1, (1 << 16) - 1, file);
    fclose(file);
    text[n] = 0;
    return text;
}

static const char *sample(Fixture *f) { return load(f, DLCC_UNIT_DIR "/ir/sample.kernels"); }

/* The module, or null with f->diags saying why. */
static KModule *attempt(Fixture *f, const char *text, size_t length) {
    return kernels_read(&f->arena, &f->names, &f->diags, diag_add_source(&f->diags, "test.kernels", text, length));
}

static const char *complaints(Fixture *f) {
    Text t = text_new(&f->arena);
    diags_render(&f->diags, &t, false);
    return text_get(&t);
}

static KModule *read_good(Fixture *f, const char *text) {
    KModule *m = attempt(f, text, strlen(text));
    if (!m) fail_msg("%s", complaints(f));
    return m;
}

static const char *print(Fixture *f, const KModule *m) {
    Text t = text_new(&f->arena);
    kernels_print(m, &t);
    return text_get(&t);
}

static void sample_reads_back(void **state) {
    Fixture *f = *state;
    assert_string_equal(print(f, read_good(f, sample(f))), sample(f));
}

static void other_names_are_taken(void **state) {
    Fixture *f = *state;
    static const char text[] = "kernels @m\n"
                               "size i in 1..9\n"
                               "kernel k0 loops(i) {\n"
                               "  buf input : f32\n  buf sum : f32 out\n"
                               "  outer row in i\n  inner column in 3\n"
                               "  stage sweep {\n"
                               "    %0 = load input[column + 3*row] : f32\n    r0 = reduce add %0 : f32\n  }\n"
                               "  stage point {\n    %1 = result r0 : f32\n    sum[row] = %1\n  }\n}\n";
    const char *first = print(f, read_good(f, text));
    assert_non_null(strstr(first, "%0 = load x0[3*j + k] : f32"));     /* i is a size */
    assert_string_equal(print(f, read_good(f, first)), first);
}

/* ------------------------------------------------------------------------- faults */

/* The sample with the first `from` replaced by `to` is refused, and the message has `why` in it. */
static void refused(Fixture *f, const char *from, const char *to, const char *why) {
    const char *text = sample(f), *at = strstr(text, from);
    if (!at) fail_msg("the sample has no `%s`", from);
    text = arena_printf(&f->arena, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    if (attempt(f, text, strlen(text))) fail_msg("`%s` instead of `%s` is taken", to, from);
    if (!strstr(complaints(f), why)) fail_msg("no `%s` among:\n%s", why, complaints(f));
    diags_init(&f->diags, &f->arena);
}

static void wrong_text(void **state) {
    Fixture *f = *state;
    refused(f, "kernels @digits", "kernel @digits", "expected kernels @name");
    refused(f, "size n0_512", "size n1_0_256", "declared already");
    refused(f, "loops(n0_512)", "loop(n0_512)", "expected loops or contract");
    refused(f, "loops(n0_512)", "loops(n9)", "no size is called n9");
    refused(f, "x0[10*i + j]", "x9[10*i + j]", "x9 is not a buffer");
    refused(f, "x0[10*i + j]", "x0[i*j]", "linear in axes");
    refused(f, "x0[10*i + j]", "x0[10*i + jj]", "no dim is called jj");
    refused(f, "%1 = result", "%0 = result", "node %0 is defined already");
    refused(f, "%1 = result", "%99999999 = result", "node number too large");
    refused(f, "%4 = exp %3 : f32\n", "", "node %4 is not defined");
    refused(f, "r0 = reduce", "r1 = reduce", "reduction r1 is defined already");
    refused(f, "= exp", "= exponent", "no element function is called exponent");
    refused(f, "outer i", "outer n0_512", "is a size already");
    refused(f, "outer i", "middle i", "expected buf");
    refused(f, "lanes=16", "lines=16", "a schedule has no lines");
    refused(f, "stage point", "stage pointed", "expected sweep or point");
    refused(f, "kernel addresses", "kernel softmax", "kernel softmax exists already");
    refused(f, "word 3", "word 4", "a word is");
    refused(f, "run dense", "run dance", "no kernel is called dance");
    refused(f, "run dense(b0,", "run dense(b99,", "b99 is not a buffer");
    refused(f, "const [0.0, ", "const [", "9 values are given");
    refused(f, "arg 0\n", "argument 0\n", "expected arg, result");
    refused(f, "buf b1", "buf b0", "buffer b0 is declared already");
    refused(f, "-> @w", "-> @v", "no variable is called @v");
}

/* Running reductions use what those before them have made of the point, random bits have integers of 64 bits. */
static void wrong_turns(void **state) {
    Fixture *f = *state;
    static const char form[] = "kernels @m\nsize n in 1..9\nkernel k0 loops(n) {\n  buf x0 : f32\n  buf y1 : f32 out\n"
                               "  outer i in n\n  inner j in 5\n  stage sweep {\n    %%0 = load x0[5*i + j] : f32\n"
                               "    %%1 = running r%d : f32\n    %%2 = running r%d : f32\n    r0 = run maximum %%%d : f32\n"
                               "    r1 = run add %%%d : f32\n    y1[5*i + j] = %%2\n  }\n}\n";
    const char *forward = arena_printf(&f->arena, form, 0, 1, 0, 1), *back = arena_printf(&f->arena, form, 1, 0, 1, 0);
    read_good(f, forward);
    assert_null(attempt(f, back, strlen(back)));
    assert_non_null(strstr(complaints(f), "r0 uses r1, whose turn is not before"));
    diags_init(&f->diags, &f->arena);
    static const char bits[] = "kernels @m\nkernel k0 loops {\n  buf y0 : i32 out\n  outer i in 5\n  stage point {\n"
                               "    %0 = axis i : i32\n    %1 = const 1 : i64\n"
                               "    %2 = random_bits %1, %1, %0 site 0 word 1 : i32\n    y0[i] = %2\n  }\n}\n";
    assert_null(attempt(f, bits, strlen(bits)));
    assert_non_null(strstr(complaints(f), "must be i64"));
}

static void wrong_copies(void **state) {
    Fixture *f = *state;
    refused(f, "jam=j", "jam=l", "an axis is jammed that is no outer one, or the lanes'");
    refused(f, "jam=j", "jam=m", "an axis is jammed that is no outer one, or the lanes'");
    refused(f, "along=k", "along=l", "the tiled axis is neither");
    refused(f, "along=k", "along=j", "the tiled axis is neither");
    refused(f, "along=k", "along=n", "the tiled axis is neither");
    refused(f, "tile=6", "tile=-6", "tile is out of range");
    refused(f, "tile=6", "tile=16", "too many points are copied");
    refused(f, "vector=l jam=j", "vector=none jam=j", "lanes run along none of the outer ones");
    refused(f, "along=k lanes=16 unroll=1 whole=1 tile=6", "along=m lanes=16 unroll=1 tile=2", "the tiled axis is neither");
    refused(f, "along=k", "along=z", "is not an axis");
}

static void wrong_kernels(void **state) {
    Fixture *f = *state;
    refused(f, "inner j in 10", "m j in 10", "role of the other form");
    refused(f, "outer i in n0_512\n  inner j in 10", "inner i in n0_512\n  outer j in 10", "order of the roles");
    refused(f, "dim n0_512*n1_0_256+1 : i64", "dim n0_512*n1_0_256+1 : f32", "differ in type");
    refused(f, "%3 = subtract %0, %2 : f32", "%3 = subtract %0, %4 : f32", "which is not before it");
    refused(f, "%3 = subtract %0, %2 : f32", "%3 = negate %0, %2 : f32", "does not take 2 operands");
    refused(f, "%3 = subtract %0, %2 : f32", "%3 = less %0, %2 : f32", "must be bool");
    refused(f, "%3 = subtract %0, %2 : f32", "%3 = and %0, %2 : f32", "does not take f32");
    refused(f, "j] : f32", "j] : i32", "another type than its buffer");
    refused(f, "if %3", "if %4", "guard of %5 is not bool");
    refused(f, "10*%4", "10*%1", "is no integer");
    refused(f, "10*%4", "10*%10", "not before it");
    refused(f, "%9 = select %8,", "%9 = select %7,", "condition of %9 is not bool");
    refused(f, "%2 = result r0 : f32", "%2 = result r7 : f32", "is of no reduction");
    refused(f, "%2 = result r0 : f32", "%2 = result r0 : f64", "another type than r0");
    refused(f, "%2 = result r0 : f32", "%2 = result r2 : f32", "uses r2 before it is computed");
    refused(f, "%2 = result r0 : f32", "%2 = sum : f32", "there is no sum");
    refused(f, "reduce add %4", "reduce subtract %4", "no reducing function");
    refused(f, "r1 = reduce", "r3 = reduce add %0 : f64\n    r1 = reduce", "another type than its values");
    refused(f, "along j", "along i", "not the only inner one");
    refused(f, "reduce maximum %0 along j", "reduce add %0 along j", "a position is");
    refused(f, "stage sweep", "stage point", "is not computed by one sweep");
    refused(f, "y2[i] = %1", "y2[i + j] = %1", "moves along an axis it does not see");
    refused(f, "y2[i] = %1", "y1[i] = %0", "depends on an axis that stage 1 does not see");
    refused(f, "y2[i] = %1", "y1[i] = %1", "another type than where it is stored");
    refused(f, "y2[i] = %1", "y2[0] = %1", "stored to one element");
    refused(f, "y1[10*i + j] = %6", "y1[j] = %6", "stored to one element");
    refused(f, "y2 : i32 out", "y2 : i32", "stored to, but not marked");
    refused(f, "  buf x0 : f32\n  buf y1 : f32 out", "  buf y1 : f32\n  buf x0 : f32 out", "stored to, but not marked");
    refused(f, "load x0[10*i + j]", "load y1[10*i + j + 1]", "elsewhere than it is written");
    refused(f, "%1 = axis -2*j", "%1 = axis -2*j : bool\n    %14 = axis j", "cannot be bool");
    refused(f, "kernel addresses loops(n0_512, n1_0_256)", "kernel addresses loops(n0_512)", "no size of the kernel");
    refused(f, "lanes=16", "lanes=12", "12 lanes");
    refused(f, "unroll=1", "unroll=99", "99 vectors");
    refused(f, "vector=none", "vector=i", "not the last");
    refused(f, "product %0, %1", "product %1, %0", "axes of the other factor");
    refused(f, "product %0, %1 : f32", "product %0, %1 : f64", "another type than the sum");
    refused(f, "product %0, %1", "%5 = const 2.0 : f32\n  %6 = multiply %0, %5 : f32\n  product %6, %1", "is not packed");
    refused(f, "product %0, %1", "%5 = sum : f32\n  product %5, %1", "axes of the other factor");
    refused(f, "m_axes=1", "m_axes=2", "2 axes of rows are tiled as one");
    refused(f, "n_axes=1 ", "", "0 axes of columns are tiled as one");
    refused(f, "skinny_nv=3", "skinny_nv=4", "few rows reach beyond a panel");
    refused(f, "mr=8 nv=3 mc=64", "mr=8 nv=3 mc=4", "blocks smaller than a tile");
    refused(f, "y3[10*i + j] = %4", "y3[10*i + j + k] = %4", "moves along an axis it does not see");
}

static void wrong_plans(void **state) {
    Fixture *f = *state;
    refused(f, "arg 0\n", "arg 1\n", "no such argument");
    refused(f, "buf b0 \"x\" : f32[4*B]", "buf b0 \"x\" : f32[3*B]", "another size than what it holds");
    refused(f, "buf b1 \"w\" : f32", "buf b1 \"w\" : f64", "another type than what it holds");
    refused(f, "b7 : i64", "b7 : i32", "must be i64");
    refused(f, "buf b9 : f32[40] arena at 40960", "buf b9 : f32[40] arena at 40961", "no multiple of 64");
    refused(f, "at 40960 life -1..-1", "at 64 life 1..1", "it overlaps b5");
    refused(f, "bytes 20544", "bytes 64", "are too few");
    refused(f, "alias b5", "alias b0", "shares memory with no buffer");
    refused(f, "arena bytes 20544", "arena at 64 bytes 20544", "lies elsewhere than");
    refused(f, "alias b5", "", "it overlaps b5");
    refused(f, "memory arena=41088", "memory arena=20480", "reaches beyond the workspace");
    refused(f, "live=20480", "live=99999", "more bytes are alive");
    refused(f, "scratch=4096\n}", "scratch=64\n}", "more scratch");
    refused(f, "life 1..2", "life 2..2", "outside of its life");
    refused(f, "run softmax(b5,", "run softmax(b9,", "outside of its life");
    refused(f, "run softmax(b5, b3, b4)", "run softmax(b5, b0, b4)", "b0 cannot be written");
    refused(f, "run softmax(b5, b3, b4)", "run softmax(b5, b3, b3)", "b3 has another type");
    refused(f, "run dense(b0, b1, b2, b5)", "run dense(b1, b1, b2, b5)", "reaches elements 0 to 2047 of 40");
    refused(f, "run dense(b0, b1, b2, b5) sizes(B)", "run dense(b0, b1, b2, b5) sizes(B+1)", "outside of its bounds");
    refused(f, "  run dense(b0, b1, b2, b5) sizes(B) flops 1000.0\n", "", "read before it is written");
    refused(f, "check b4", "check b3", "holds no integers");
}

static void wrong_bodies(void **state) {
    Fixture *f = *state;
    refused(f, "    while\n      test b4\n    end\n", "    while\n      test b4\n", "do not nest");
    refused(f, "      else\n", "      end\n      else\n", "do not nest");
    refused(f, "      else\n", "      else\n      else\n", "do not nest");
    refused(f, "  loop i in B reverse", "  loop H in B reverse", "no free dim is called H");
    refused(f, "  loop i in B reverse", "  loop i_8 in B reverse", "other bounds");
    refused(f, "    loop i_8 in L", "    loop i in L", "its index is no free dim");
    refused(f, "    loop i_8 in L", "    loop i_8 in L+i_8", "mentions a dim that has no value here");
    refused(f, "  bind L b1 what \"n\"\n", "", "mentions a dim that has no value here");
    refused(f, "  bind L b1", "  bind B b1", "binds no dim that is still free");
    refused(f, "  bind L b1", "  bind L b4", "b4 must be i64");
    refused(f, "  require b4", "  require b1", "b1 must be bool");
    refused(f, "      if b4", "      if b0", "b0 must be bool");
    refused(f, "    while\n      test b4", "    while\n      test b1", "b1 must be bool");
    refused(f, "    while\n      test b4\n    end", "    if b4\n      test b4\n    end", "it tests for no loop");
    refused(f, "while most 3", "while most three", "expected an integer");
    refused(f, "dense(b0[4*i], b2, b3, b5[10*i]) sizes(1)", "dense(b0[4*i+1], b2, b3, b5[10*i]) sizes(1)", "of 2048 of b0");
    refused(f, "b5[10*i]) sizes(1)", "b5[10*i-1]) sizes(1)", "reaches elements -1");
    refused(f, "b5[10*i]) sizes(1)", "b5[10*i_8]) sizes(1)", "an offset mentions");
    refused(f, "swap b7 b8", "swap b7 b5", "cannot change places");
    refused(f, "swap b7 b8", "swap b7 b99", "b99 is not a buffer");
    refused(f, "arena at 64 life 3..17", "arena at 64 life 3..8", "does not live as long as the loop at step 5");
    refused(f, "arena at 128 life 8..10", "arena at 128 life 8..18", "does not live as long as the loop at step 5");
    refused(f, "numbers(-5, ", "numbers(", "expected ,");
    refused(f, "%2 = number 1 : i64", "%2 = number 1 : f64", "%2 must be i64");
}

/* ------------------------------------------------------------------------ survival */

static void survives_damage(void **state) {
    Fixture *f = *state;
    const char *text = sample(f);
    size_t n = strlen(text);
    uint64_t random = 88172645463325252u;
    for (int round = 0; round < 1500; round++) {
        char *copy = arena_copy(&f->scratch, text, n + 1);
        size_t length = n;
        for (uint64_t i = 1 + fixture_random(&random) % 3; i > 0; i--) {
            size_t at = (size_t)(fixture_random(&random) % n);
            size_t other = (size_t)(fixture_random(&random) % n), span = (size_t)(fixture_random(&random) % 12);
            if (fixture_random(&random) % 8 == 0) length = at;
            else if (at + span < n && other + span < n) memmove(copy + at, text + other, span);
        }
        diags_init(&f->diags, &f->arena);
        KModule *m = attempt(f, copy, length);
        if (m) assert_string_equal(print(f, m), print(f, read_good(f, print(f, m))));
        else assert_true(f->diags.errors > 0);
        arena_reset(&f->scratch);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(sample_reads_back), FIXTURE_TEST(other_names_are_taken), FIXTURE_TEST(wrong_text),
        FIXTURE_TEST(wrong_kernels),     FIXTURE_TEST(wrong_turns),           FIXTURE_TEST(wrong_plans),
        FIXTURE_TEST(wrong_copies),
        FIXTURE_TEST(wrong_bodies),
        FIXTURE_TEST(survives_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
