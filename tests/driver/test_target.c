/* The lookup of targets, with hosts made up here; and LLVM's own word on every processor name of the table. */
#include "target/target.h"

#include "unit/fixture.h"
#include "dlrt.h"

#include <stdio.h>
#include <stdlib.h>

#define PC "x86_64-pc-linux-gnu"

/* Feature lists as LLVM writes them. */
static const char old[] = "+sse2,-sse4.2,-popcnt,-avx,-avx2,-avx512f";
static const char two[] = "+sse2,+sse4.2,+popcnt,+avx,-avx2,+fma,-avx512f";
static const char three[] = "+sse2,+sse4.2,+popcnt,+avx,+avx2,+fma,+f16c,+bmi2,-avx512f,-avx512vl";
static const char four[] =
    "+avx512cd,+sse4.2,+popcnt,+avx,+avx2,+fma,+f16c,+bmi2,+avx512f,+avx512dq,+avx512bw,+avx512vl";
static const char most[] = "+sse4.2,+popcnt,+avx,+avx2,+fma,+f16c,+bmi2,+avx512f,+avx512bw,+avx512vl,+avx512cd";

static const Target *find(Fixture *f, const char *triple, const char *cpu, const char *features) {
    const char *why = NULL;
    const Target *t = target_find(&f->arena, triple, cpu, PC, "hostcpu", features, &why);
    assert_true((t == NULL) == (why != NULL));
    return t;
}

static void expect(const Target *t, const char *name, const char *tune) {
    assert_non_null(t);
    assert_string_equal(t->name, name);
    assert_string_equal(t->tune, tune);
}

static void test_host(void **state) {
    Fixture *f = *state;
    expect(find(f, NULL, NULL, old), "x86-64", "hostcpu");
    expect(find(f, NULL, NULL, two), "x86-64-v2", "hostcpu");
    expect(find(f, NULL, NULL, three), "x86-64-v3", "hostcpu");
    expect(find(f, NULL, NULL, four), "x86-64-v4", "hostcpu");
    expect(find(f, NULL, NULL, most), "x86-64-v3", "hostcpu");     /* AVX-512 without its DQ part */
    expect(find(f, NULL, "native", four), "x86-64-v4", "hostcpu");
    expect(find(f, NULL, "hostcpu", four), "x86-64-v4", "hostcpu");
    expect(find(f, "x86_64-linux-gnu", NULL, four), "x86-64-v4", "hostcpu");
    assert_true(find(f, NULL, NULL, four)->l1_bytes >= 8192);
    assert_true(find(f, NULL, NULL, four)->l2_bytes >= 65536);
}

static void test_names(void **state) {
    Fixture *f = *state;
    expect(find(f, NULL, "x86-64-v3", four), "x86-64-v3", "x86-64-v3");
    expect(find(f, NULL, "znver4", two), "x86-64-v4", "znver4");
    expect(find(f, PC, "haswell", two), "x86-64-v3", "haswell");
    expect(find(f, "x86_64-unknown-linux-gnu", "sandybridge", four), "x86-64-v2", "sandybridge");
    expect(find(f, "aarch64-linux-gnu", NULL, four), "aarch64", "generic");
    expect(find(f, "aarch64-unknown-linux-gnu", "neoverse-n1", four), "aarch64", "neoverse-n1");
    expect(find(f, NULL, "neoverse-n1", four), "aarch64", "neoverse-n1");
    assert_string_equal(find(f, "aarch64-linux-gnu", NULL, four)->triple, "aarch64-unknown-linux-gnu");
}

/* Another system than the host's means what most machines of it have, not the host. */
static void test_usual(void **state) {
    Fixture *f = *state;
    const char *why;
    expect(target_find(&f->arena, "x86_64-linux-gnu", NULL, "aarch64-unknown-linux-gnu", "cortex-a72", "+neon", &why),
           "x86-64-v3", "x86-64-v3");
    expect(target_find(&f->arena, NULL, NULL, "aarch64-unknown-linux-gnu", "cortex-a72", "+neon", &why), "aarch64",
           "cortex-a72");
}

static void test_wrong_names(void **state) {
    Fixture *f = *state;
    const char *why = NULL;
    assert_null(target_find(&f->arena, NULL, "x86-64-v5", PC, "hostcpu", four, &why));
    assert_non_null(strstr(why, "x86-64-v4"));
    assert_non_null(strstr(why, "znver4"));
    assert_null(target_find(&f->arena, "aarch64-linux-gnu", "haswell", PC, "hostcpu", four, &why));
    assert_non_null(strstr(why, "neoverse-n1"));
    assert_null(strstr(why, "znver4"));
    assert_null(target_find(&f->arena, "riscv64-linux-gnu", NULL, PC, "hostcpu", four, &why));
    assert_non_null(strstr(why, "aarch64-linux-gnu"));
    assert_non_null(strstr(why, "x86_64-linux-gnu"));
}

/* What a row promises to the runtime's check grows with the family and matches its vectors. */
static void test_rows(void **state) {
    int count;
    const Target *rows = target_table(&count);
    (void)state;
    assert_int_equal(count, 5);
    for (int i = 1; i < 4; i++) assert_int_equal(rows[i].cpu_features & ~rows[i - 1].cpu_features, 0);
    for (int i = 0; i < count; i++) {
        bool wide = rows[i].cpu_features & DLRT_CPU_AVX512F, middle = rows[i].cpu_features & DLRT_CPU_AVX2;
        assert_int_equal(rows[i].vector_bytes, wide ? 64 : middle ? 32 : 16);
        assert_string_equal(rows[i].members[0], rows[i].cpu);
    }
}

/* LLVM's assembler front end knows every name; it says "not a recognized processor" of one it does not. */
static void test_llvm_knows_the_names(void **state) {
    Fixture *f = *state;
    int count;
    const Target *rows = target_table(&count);
    if (system("command -v llc-19 >/dev/null")) skip();
    for (int i = 0; i < count; i++)
        for (const char *const *m = rows[i].members; *m; m++) {
            const char *command = arena_printf(
                &f->arena, "! echo | llc-19 -mtriple=%s -mcpu=%s -o /dev/null 2>&1 | grep -q .", rows[i].triple, *m);
            if (system(command)) fail_msg("LLVM does not know %s", *m);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(test_host), FIXTURE_TEST(test_names),  FIXTURE_TEST(test_usual),
        FIXTURE_TEST(test_wrong_names), FIXTURE_TEST(test_rows), FIXTURE_TEST(test_llvm_knows_the_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
