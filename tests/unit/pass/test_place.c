/* The memory plan: lives through loops, branches and swaps. Random plans are placed and then carried out, with a mark
 * in memory for each buffer that was written: what is read must still be there. */
#include "../fixture.h"
#include "ir/kernel_read.h"
#include "ir/kernel_util.h"
#include "ir/kernel_verify.h"
#include "pass/place.h"

#include <stdio.h>
#include <string.h>

#define HEAD                                                                                                           \
    "kernels @m\ndim T in 1..4\ndim i in 0..3\ndim j in 0..3\ndim k in 0..3\n\n"                                       \
    "kernel copy loops {\n  buf x0 : f32\n  buf y1 : f32 out\n  outer i in 16\n  stage point {\n"                      \
    "    %0 = load x0[i] : f32\n    y1[i] = %0\n  }\n}\n\n"                                                            \
    "plan @f(%x: f32[16] = arg \"x\", %c: bool = arg \"c\") dims(T) {\n  result : f32[16]\n"                           \
    "  buf a : f32[16] arg 0\n  buf c : bool[1] arg 1\n  buf r : f32[16] result 0\n"

static Plan *placed(Fixture *f, const char *text) {
    uint32_t source = diag_add_source(&f->diags, "test.kernels", text, strlen(text));
    KModule *m = kernels_read(&f->arena, &f->names, &f->diags, source);
    Text said = text_new(&f->arena);
    if (!m) diags_render(&f->diags, &said, false);
    if (!m) fail_msg("%s\n%s", text_get(&said), text);
    place_module(m, &f->scratch);
    FaultList faults = {0};
    kernels_verify(m, &f->scratch, &faults);
    if (faults.n) fail_msg("%s\n%s", faults.at[0].text, text);
    return m->plans.at[0];
}

static const PlanBuf *buf(const Plan *p, int arena_buf) {
    return &p->bufs.at[3 + arena_buf];
}

static void expect_life(const Plan *p, int number, int first, int last) {
    if (buf(p, number)->first == first && buf(p, number)->last == last) return;
    fail_msg("buffer %d lives from %d to %d, not from %d to %d", number, buf(p, number)->first, buf(p, number)->last,
             first, last);
}

/* What comes into a loop stays to its end, what is made in one iteration only until it was read, what leaves the loop
 * is there from its first step; a pair lives as one. */
static void lives_in_loops(void **state) {
    Plan *p = placed(*state, HEAD "  buf b0 : f32[16] arena\n  buf b1 : f32[16] arena\n  buf b2 : f32[16] arena\n"
                                  "  buf b3 : f32[16] arena\n  buf b4 : f32[16] arena\n  buf b5 : f32[16] arena\n"
                                  "  run copy(a, b0)\n" /* 0 */
                                  "  run copy(a, b3)\n"
                                  "  loop i in T\n" /* 2 */
                                  "    run copy(b0, b1)\n"
                                  "    run copy(b1, b2)\n" /* 4 */
                                  "    loop j in T\n"
                                  "      run copy(b3, b4)\n" /* 6 */
                                  "      swap b3 b4\n"
                                  "    end\n" /* 8 */
                                  "    run copy(a, b5)\n"
                                  "    run copy(b5, r)\n" /* 10 */
                                  "  end\n"
                                  "  run copy(b2, r)\n" /* 12 */
                                  "  run copy(b3, r)\n}\n");
    expect_life(p, 0, 0, 11);
    expect_life(p, 1, 3, 4);
    expect_life(p, 2, 2, 12);
    expect_life(p, 3, 1, 13);
    expect_life(p, 4, 1, 13);
    expect_life(p, 5, 9, 10);
    assert_int_equal(buf(p, 1)->offset, buf(p, 5)->offset);
    assert_int_equal(p->arena_bytes, 5 * 64);
    assert_int_equal(p->live_bytes, 5 * 64);
}

/* The two ways of a branch share memory. */
static void branches_share(void **state) {
    Plan *p = placed(*state, HEAD "  buf b0 : f32[16] arena\n  buf b1 : f32[16] arena\n  if c\n    run copy(a, b0)\n"
                                  "    run copy(b0, r)\n  else\n    run copy(a, b1)\n    run copy(b1, r)\n  end\n}\n");
    assert_int_equal(p->arena_bytes, 64);
}

/* Results lie where an operand did that is read at the same points only, and not by a later stage: `late` reads x0 again
 * behind y1, `turned` at other points. One operand takes one result. */
#define KERNELS                                                                                                        \
    "kernels @m\ndim T in 1..4\n\nkernel late loops {\n  buf x0 : f32\n  buf y1 : f32 out\n  buf y2 : f32 out\n"        \
    "  outer i in 16\n  stage point {\n    %0 = load x0[i] : f32\n    y1[i] = %0\n  }\n  stage point {\n"               \
    "    y2[i] = %0\n  }\n}\n\n"                                                                                      \
    "kernel two loops {\n  buf x0 : f32\n  buf y1 : f32 out\n  buf y2 : f32 out\n  outer i in 16\n  stage point {\n"    \
    "    %0 = load x0[i] : f32\n    y1[i] = %0\n    y2[i] = %0\n  }\n}\n\n"                                            \
    "kernel turned loops {\n  buf x0 : f32\n  buf y1 : f32 out\n  outer i in 4\n  outer j in 4\n  stage point {\n"      \
    "    %0 = load x0[i + 4*j] : f32\n    y1[4*i + j] = %0\n  }\n}\n\n"

static void results_lie_over_operands(void **state) {
    Plan *p = placed(*state, KERNELS "plan @f(%x: f32[16] = arg \"x\") dims(T) {\n  result : f32[16]\n"
                                     "  buf a : f32[16] arg 0\n  buf r : f32[16] result 0\n"
                                     "  buf b0 : f32[16] arena\n  buf b1 : f32[16] arena\n  buf b2 : f32[16] arena\n"
                                     "  buf b3 : f32[16] arena\n  buf b4 : f32[16] arena\n  buf b5 : f32[16] arena\n"
                                     "  buf b6 : f32[16] arena\n"
                                     "  run turned(a, b0)\n"     /* 0 */
                                     "  run late(b0, b1, b2)\n"  /* 1: b2 over b0 */
                                     "  run turned(b1, b3)\n"    /* 2: over nothing */
                                     "  run two(b2, b4, b5)\n"   /* 3: b4 over b2, and so over b0 */
                                     "  run two(b3, b6, r)\n"    /* 4: b6 over b3 */
                                     "  run two(b4, b5, r)\n"    /* 5: b5 has begun before */
                                     "  run turned(b6, r)\n}\n");
    static const int over[] = {-1, -1, 0, -1, 0, -1, 3};
    for (int i = 0; i < 7; i++) assert_int_equal(p->bufs.at[2 + i].alias, over[i] < 0 ? -1 : 2 + over[i]);
    assert_int_equal(p->live_bytes, 3 * 64);
}

/* --------------------------------------------------------------------- random plans */

enum { BUFS = 10, DEEPEST = 3, TIMES = 3 };

typedef struct Writer {
    Text text;
    uint64_t random;
    bool written[BUFS];
    int depth, steps;
} Writer;

static int below(Writer *w, int n) {
    return (int)(fixture_random(&w->random) % (uint64_t)n);
}

static void indent(Writer *w) {
    for (int d = 0; d <= w->depth; d++) text_add(&w->text, "  ");
}

/* A buffer that holds something, or the argument. */
static const char *some_written(Writer *w, Fixture *f) {
    int b = below(w, BUFS);
    return w->written[b] ? arena_printf(&f->arena, "b%d", b) : "a";
}

static void write_steps(Writer *w, Fixture *f, int count);

static void write_body(Writer *w, Fixture *f) {
    static const char *const names[] = {"i", "j", "k"};
    bool before[BUFS], first[BUFS];
    bool branch = below(w, 3) == 0;
    memcpy(before, w->written, sizeof before);
    indent(w);
    if (branch)
        text_add(&w->text, "if c\n");
    else
        text_add(&w->text, "loop %s in T\n", names[w->depth]);
    w->depth++;
    write_steps(w, f, 1 + below(w, 4));
    if (branch) {
        memcpy(first, w->written, sizeof first);
        memcpy(w->written, before, sizeof before);
        w->depth--;
        indent(w);
        w->depth++;
        text_add(&w->text, "else\n");
        write_steps(w, f, 1 + below(w, 4));
        for (int b = 0; b < BUFS; b++) w->written[b] = w->written[b] && first[b];
    }
    w->depth--;
    indent(w);
    text_add(&w->text, "end\n");
}

static void write_steps(Writer *w, Fixture *f, int count) {
    for (int s = 0; s < count; s++) {
        int what = below(w, 8), b = below(w, BUFS), other = below(w, BUFS);
        if (what < 2 && w->depth < DEEPEST) {
            write_body(w, f);
            continue;
        }
        indent(w);
        if (what == 2 && b != other && w->written[b] && w->written[other]) {
            text_add(&w->text, "swap b%d b%d\n", b, other);
        } else if (what < 5) {
            text_add(&w->text, "run copy(%s, r)\n", some_written(w, f));
        } else {
            const char *from = some_written(w, f);
            text_add(&w->text, "run copy(%s, b%d)\n", from, b);
            w->written[b] = true;
        }
    }
}

/* Carries a placed plan out: names[b] is the place that buffer b stands for, memory[place / 64] the mark of the last
 * write there, marks[b] the one that b's reader must find. */
typedef struct Run {
    const Plan *plan;
    const char *text;
    int64_t names[BUFS];
    int marks[BUFS], memory[BUFS + 1], next;
    uint64_t random;
} Run;

static int end_of(const Plan *p, int at, bool other_way) {
    for (int depth = 0;; at++) {
        const PlanStep *s = &p->steps.at[at];
        depth += step_opens(s) - (s->kind == STEP_END);
        if (!depth && s->kind == STEP_END) return at;
        if (depth == 1 && other_way && s->kind == STEP_ELSE) return at;
    }
}

static void copy(Run *r, const PlanStep *s) {
    int from = s->bufs[0] - 3, to = s->bufs[1] - 3;
    if (from >= 0 && r->memory[r->names[from] / 64] != r->marks[from])
        fail_msg("buffer %d was overwritten:\n%s", from, r->text);
    if (to >= 0) r->memory[r->names[to] / 64] = r->marks[to] = ++r->next;
}

static void run_steps(Run *r, int begin, int end) {
    for (int at = begin; at < end; at++) {
        const PlanStep *s = &r->plan->steps.at[at];
        if (s->kind == STEP_KERNEL) copy(r, s);
        if (s->kind == STEP_SWAP) {
            int a = s->bufs[0] - 3, b = s->bufs[1] - 3, mark = r->marks[a];
            int64_t name = r->names[a];
            r->names[a] = r->names[b];
            r->names[b] = name;
            r->marks[a] = r->marks[b];
            r->marks[b] = mark;
        }
        if (!step_opens(s)) continue;
        int last = end_of(r->plan, at, false), otherwise = end_of(r->plan, at, true);
        if (s->kind == STEP_LOOP)
            for (int i = 0; i < TIMES; i++) run_steps(r, at + 1, last);
        else if (fixture_random(&r->random) % 2)
            run_steps(r, at + 1, otherwise);
        else
            run_steps(r, otherwise + 1, last);
        at = last;
    }
}

static void random_plans(void **state) {
    Fixture *f = *state;
    int64_t saved = 0;
    for (uint64_t seed = 1; seed <= 400; seed++) {
        Writer w = {.text = text_new(&f->arena), .random = seed * 0x9e3779b97f4a7c15u};
        text_add(&w.text, "%s", HEAD);
        for (int b = 0; b < BUFS; b++) text_add(&w.text, "  buf b%d : f32[16] arena\n", b);
        write_steps(&w, f, 12);
        text_add(&w.text, "}\n");
        const char *text = text_get(&w.text);
        Plan *p = placed(f, text);
        for (int again = 0; again < 4; again++) {
            Run r = {.plan = p, .text = text, .random = seed + (uint64_t)again + 1};
            for (int b = 0; b < BUFS; b++) r.names[b] = buf(p, b)->offset;
            run_steps(&r, 0, p->steps.n);
        }
        saved += BUFS * 64 - p->arena_bytes;
        arena_reset(&f->scratch);
    }
    assert_true(saved > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(lives_in_loops),
        FIXTURE_TEST(branches_share),
        FIXTURE_TEST(results_lie_over_operands),
        FIXTURE_TEST(random_plans),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
