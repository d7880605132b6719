/* Chains: which kernels run slice by slice together, what becomes local, and what the verifier refuses. */
#include "../fixture.h"
#include "ir/kernel_print.h"
#include "ir/kernel_read.h"
#include "ir/kernel_verify.h"
#include "pass/chain.h"
#include "pass/place.h"

#include <string.h>

/* Batches of B x 4: scores = q k^T of 6 x 6, their rows doubled, times v. `turned` writes a slice's rows across slices. */
#define SIZES "kernels @m\ndim B in 1..9\ndim h in 0..1\nsize n in 1..9\nsize n4 in 4..36\n\n"
#define CONTRACT(name, outer, a, b, y, schedule)                                                                       \
    "kernel " name " contract(n) {\n  buf x0 : f32\n  buf x1 : f32\n  buf y2 : f32 out\n  batch i in n\n  batch j in 4\n"\
    "  m k in 6\n  n l in 6\n  k o in 6\n  %0 = load x0[" a "] : f32\n  %1 = load x1[" b "] : f32\n"                     \
    "  product %0, %1 : f32\n  stage {\n    %2 = sum : f32\n    y2[" y "] = %2\n  }\n"                                   \
    "  schedule vector=l lanes=4 unroll=1 mr=2 nv=1 mc=2 nc=4 pack_b=1 m_axes=1 n_axes=1 scratch=128 " outer "\n}\n\n"
#define ROWS "144*i + 36*j + 6*k + o"
#define KERNELS                                                                                                        \
    CONTRACT("scores", "", ROWS, "144*i + 36*j + 6*l + o", "144*i + 36*j + 6*k + l", "")                                \
    CONTRACT("mix", "", ROWS, "144*i + 36*j + l + 6*o", "144*i + 36*j + 6*k + l", "")                                   \
    CONTRACT("turned", "", ROWS, "144*i + 36*j + l + 6*o", "144*i + 24*k + 6*j + l", "")                                \
    "kernel twice loops(n4) {\n  buf x0 : f32\n  buf y1 : f32 out\n  outer i in n4\n  outer j in 36\n  stage point {\n"  \
    "    %0 = load x0[36*i + j] : f32\n    %1 = add %0, %0 : f32\n    y1[36*i + j] = %1\n  }\n"                          \
    "  schedule vector=j lanes=4 unroll=1 chunk=8\n}\n\n"                                                               \
    "kernel rows loops(n4) {\n  buf x0 : f32\n  buf y1 : f32 out\n  outer i in 6*n4\n  inner j in 6\n  stage sweep {\n"  \
    "    %0 = load x0[6*i + j] : f32\n    %1 = add %0, %0 : f32\n    y1[6*i + j] = %1\n  }\n"                            \
    "  schedule vector=none lanes=1 unroll=1 chunk=4\n}\n\n"                                                            \
    "kernel jammed loops(n4) {\n  buf x0 : f32\n  buf y1 : f32 out\n  outer h in 2\n  outer i in n4\n  outer j in 18\n" \
    "  stage point {\n    %0 = load x0[18*h + 36*i + j] : f32\n    y1[18*h + 36*i + j] = %0\n  }\n"                    \
    "  schedule vector=j lanes=4 unroll=1 jam=h chunk=8\n}\n\n"                                                       \
    "kernel other loops(n4) {\n  buf x0 : f32\n  buf y1 : f32 out\n  outer i in 35\n  stage point {\n"                   \
    "    %0 = load x0[i] : f32\n    y1[i] = %0\n  }\n  schedule vector=none lanes=1 unroll=1 chunk=9\n}\n\n"
#define PLAN                                                                                                           \
    "plan @f(%q: f32[B,4,6,6] = arg \"q\", %k: f32[B,4,6,6] = arg \"k\") dims(B) {\n  result : f32[B,4,6,6]\n"           \
    "  buf q : f32[144*B] arg 0\n  buf k : f32[144*B] arg 1\n  buf r : f32[144*B] result 0\n"                           \
    "  buf s : f32[144*B] arena\n  buf p : f32[144*B] arena\n  buf t : f32[144*B] arena\n"                       \
    "  buf u : f32[144*B] arena\n  buf v : f32[144*B] arena\n"
#define SCORES "  run scores(q, k, s) sizes(B)\n"
#define ROWSTEP "  run rows(s, p) sizes(4*B)\n"
#define MIX "  run mix(p, k, r) sizes(B)\n"

static KModule *chained(Fixture *f, const char *steps, ChainLimits limits) {
    char *text = arena_printf(&f->arena, "%s%s%s%s}\n", SIZES, KERNELS, PLAN, steps);
    uint32_t source = diag_add_source(&f->diags, "test.kernels", text, strlen(text));
    KModule *m = kernels_read(&f->arena, &f->names, &f->diags, source);
    Text said = text_new(&f->arena);
    if (!m) diags_render(&f->diags, &said, false);
    if (!m) fail_msg("%s\n%s", text_get(&said), text);
    chain_module(m, limits, &f->scratch);
    place_module(m, &f->scratch);
    FaultList faults = {0};
    kernels_verify(m, &f->scratch, &faults);
    if (faults.n) fail_msg("%s\n%s", faults.at[0].text, text);
    return m;
}

/* By step the number of its chain, as digits. */
static void expect(Fixture *f, const char *steps, ChainLimits limits, const char *chains, int locals) {
    Plan *p = chained(f, steps, limits)->plans.at[0];
    int found = 0;
    assert_int_equal(p->steps.n, strlen(chains));
    for (int i = 0; i < p->bufs.n; i++) found += p->bufs.at[i].place == PLACE_LOCAL;
    for (int i = 0; i < p->steps.n; i++)
        if (p->steps.at[i].chain != chains[i] - '0') fail_msg("step %d is in chain %d:\n%s", i, p->steps.at[i].chain, steps);
    if (found != locals) fail_msg("%d buffers are local:\n%s", found, steps);
}

static const ChainLimits ALL = {.slices = 8, .bytes = 1};

/* Rows of 4 x B batches in one axis, whose chunks are cut to end with the slices. */
static void attention_is_a_chain(void **state) {
    KModule *m = chained(*state, SCORES ROWSTEP MIX, ALL);
    Plan *p = m->plans.at[0];
    for (int i = 0; i < 3; i++) {
        assert_int_equal(p->steps.at[i].chain, 1);
        assert_int_equal(p->steps.at[i].slices->upper, 36);
    }
    for (int i = 3; i < 5; i++) {
        assert_int_equal(p->bufs.at[i].place, PLACE_LOCAL);
        assert_int_equal(p->bufs.at[i].bytes, 36 * 4);
    }
    assert_int_equal(p->bufs.at[4].alias, 3);
    assert_int_equal(p->arena_bytes, 0);
    assert_int_equal(p->local_bytes, 192);
    assert_int_equal(p->scratch_bytes, 128 + 192);
    assert_int_equal(m->kernels.at[4]->schedule.chunk, 2);
    assert_int_equal(m->kernels.at[3]->schedule.chunk, 8);
    for (int i = 0; i < 3; i++) assert_int_equal(p->bufs.at[i].first, 0);
    for (int i = 0; i < 3; i++) assert_int_equal(p->bufs.at[i].last, 2);
}

static void which_steps(void **state) {
    static const ChainLimits many = {.slices = 37, .bytes = 1}, much = {.slices = 8, .bytes = 2 * 35 * 36 * 4 + 1},
                             enough = {.slices = 36, .bytes = 2 * 35 * 36 * 4};
    expect(*state, SCORES ROWSTEP MIX, enough, "111", 2);
    expect(*state, SCORES ROWSTEP MIX, many, "000", 0);
    expect(*state, SCORES ROWSTEP MIX, much, "000", 0);
    expect(*state, SCORES "  run twice(s, p) sizes(4*B)\n" MIX, ALL, "111", 2);
    /* An axis whose points go together numbers no items. */
    expect(*state, SCORES "  run jammed(s, p) sizes(4*B)\n" MIX, ALL, "111", 2);
    /* What is read behind the chain too is whole, but passes through it. */
    expect(*state, SCORES ROWSTEP MIX "  run other(p, t) sizes(4*B)\n", ALL, "1110", 1);
    expect(*state, SCORES ROWSTEP "  run other(p, r) sizes(4*B)\n", ALL, "110", 1);
    /* A kernel between that does not fit runs behind, unless somebody waits for it or it needs what is local. */
    expect(*state, SCORES "  run other(q, t) sizes(4*B)\n" ROWSTEP MIX, ALL, "1110", 2);
    expect(*state, SCORES ROWSTEP "  run other(s, p) sizes(4*B)\n" MIX, ALL, "0000", 0);
    expect(*state, SCORES "  run other(s, t) sizes(4*B)\n" ROWSTEP MIX, ALL, "1110", 1);
    /* Who waits for what waits, or writes what that reads, waits too. */
    expect(*state, SCORES "  run other(q, t) sizes(4*B)\n" ROWSTEP "  run mix(p, t, r) sizes(B)\n", ALL, "1100", 1);
    expect(*state, "  run twice(q, t) sizes(4*B)\n" SCORES "  run other(t, r) sizes(4*B)\n" ROWSTEP
           "  run mix(p, k, t) sizes(B)\n  run other(t, r) sizes(4*B)\n", ALL, "011000", 1);
    /* Nothing is done earlier for a chain that it has nothing to do with. */
    expect(*state, SCORES ROWSTEP MIX "  run other(q, t) sizes(4*B)\n  run scores(q, k, u) sizes(B)\n"
           "  run rows(u, v) sizes(4*B)\n  run mix(v, k, r) sizes(B)\n", ALL, "1110222", 4);
    /* Slices that meet: what turns them may end a chain and is no link of it. */
    expect(*state, SCORES "  run turned(s, k, p) sizes(B)\n" MIX, ALL, "110", 1);
    expect(*state, "  run turned(q, k, s) sizes(B)\n" ROWSTEP MIX, ALL, "000", 0);
    /* An argument read by all of them is nothing that passes. */
    expect(*state, "  run scores(q, k, r) sizes(B)\n  run mix(q, k, s) sizes(B)\n", ALL, "00", 0);
    /* A step of another kind ends it. */
    expect(*state, SCORES "  loop h in 2\n" ROWSTEP MIX "  end\n", ALL, "00000", 0);
}

static void dissolves(void **state) {
    KModule *m = chained(*state, SCORES ROWSTEP MIX, ALL);
    Fixture *f = *state;
    Text with = text_new(&f->arena), again = text_new(&f->arena);
    kernels_print(m, &with);
    chain_dissolve(m->plans.at[0]);
    for (int i = 3; i < 5; i++) assert_int_equal(m->plans.at[0]->bufs.at[i].bytes, 9 * 144 * 4);
    place_module(m, &f->scratch);
    assert_int_equal(m->plans.at[0]->arena_bytes, (9 * 144 * 4 + 63) / 64 * 64);
    assert_int_equal(m->plans.at[0]->scratch_bytes, 128);
    chain_module(m, ALL, &f->scratch);
    place_module(m, &f->scratch);
    kernels_print(m, &again);
    assert_string_equal(text_get(&with), text_get(&again));
}

/* The printed text with one piece changed, and what the verifier says. */
static void refuses(Fixture *f, const char *from, const char *to, const char *why) {
    Text text = text_new(&f->arena), said = text_new(&f->arena);
    KModule *m = chained(f, SCORES ROWSTEP MIX, ALL);
    kernels_print(m, &text);
    const char *before = text_get(&text), *at = strstr(before, from);
    if (!at) fail_msg("no %s in %s", from, before);
    char *changed = arena_printf(&f->arena, "%.*s%s%s", (int)(at - before), before, to, at + strlen(from));
    f->diags.all.n = f->diags.errors = 0;
    uint32_t source = diag_add_source(&f->diags, "changed.kernels", changed, strlen(changed));
    if (kernels_read(&f->arena, &f->names, &f->diags, source)) fail_msg("%s is accepted", to);
    diags_render(&f->diags, &said, false);
    if (!strstr(text_get(&said), why)) fail_msg("not \"%s\" but %s", why, text_get(&said));
}

static void verifier_refuses(void **state) {
    Fixture *f = *state;
    refuses(f, "chunk=2", "chunk=4", "does not fall into the chain's slices");
    refuses(f, "sizes(4*B) chain 1 slices 4*B", "sizes(4*B)", "chain 1 does not stand together");
    refuses(f, "run mix(b4, b1, b2) sizes(B) chain 1 slices 4*B", "run mix(b4, b1, b2) sizes(B)",
            "is local, but step 2 is not in its chain");
    refuses(f, "slice 36", "slice 40", "slices of another length");
    refuses(f, "run scores(b0, b1, b3) sizes(B) chain 1 slices 4*B", "run scores(b0, b1, b3) sizes(B) chain 1 slices 2*B",
            "does not fall into the chain's slices");
    refuses(f, "buf b3 : f32[144*B] local slice 36", "buf b3 : f32[144*B] local", "expected slice");
    refuses(f, "local=192", "local=64", "reaches beyond the chain's local memory");
    refuses(f, "scratch=320", "scratch=300", "needs more scratch than there is");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(attention_is_a_chain),
        FIXTURE_TEST(which_steps),
        FIXTURE_TEST(dissolves),
        FIXTURE_TEST(verifier_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
