/* cpu.c - what the processor can do, and whether that is enough for an object.
 *
 * In: the feature bits an object was compiled for. Out: OK, or DLRT_ERR_CPU and the names of what is
 * missing. Runs before any generated code, so that code for another processor is a status and never an
 * illegal instruction. Vector features count only if the operating system saves their registers (xgetbv).
 */
#include "core.h"

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>

typedef struct BitRow {
    unsigned bit;
    uint64_t feature;
} BitRow;

static uint64_t collect(unsigned bits, const BitRow *rows, int n) {
    uint64_t found = 0;
    for (int i = 0; i < n; i++)
        if (bits >> rows[i].bit & 1) found |= rows[i].feature;
    return found;
}

/* The register sets that the operating system saves (XCR0). */
static unsigned saved_registers(void) {
    unsigned low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

uint64_t dlrt_cpu_features(void) {
    static const BitRow leaf1_c[] = {{20, DLRT_CPU_SSE42}, {23, DLRT_CPU_POPCNT}};
    static const BitRow leaf1_c_ymm[] = {{28, DLRT_CPU_AVX}, {12, DLRT_CPU_FMA}, {29, DLRT_CPU_F16C}};
    static const BitRow leaf7_b_zmm[] = {
        {16, DLRT_CPU_AVX512F},  {17, DLRT_CPU_AVX512DQ}, {21, DLRT_CPU_AVX512IFMA},
        {28, DLRT_CPU_AVX512CD}, {30, DLRT_CPU_AVX512BW}, {31, DLRT_CPU_AVX512VL},
    };
    static const BitRow leaf7_c_zmm[] = {{1, DLRT_CPU_AVX512VBMI}, {11, DLRT_CPU_AVX512VNNI}};
    static const BitRow bmi2[] = {{8, DLRT_CPU_BMI2}}, avx2[] = {{5, DLRT_CPU_AVX2}},
                        bf16[] = {{5, DLRT_CPU_AVX512BF16}};
    unsigned a, b, c, d, registers = 0;
    uint64_t found = 0;
    if (!__get_cpuid(1, &a, &b, &c, &d)) return 0;
    if (c >> 27 & 1) registers = saved_registers();
    bool ymm = (registers & 0x06) == 0x06, zmm = (registers & 0xe6) == 0xe6;
    found |= collect(c, leaf1_c, 2);
    if (ymm) found |= collect(c, leaf1_c_ymm, 3);
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return found;
    unsigned subleaves = a;
    found |= collect(b, bmi2, 1);
    if (ymm) found |= collect(b, avx2, 1);
    if (zmm) found |= collect(b, leaf7_b_zmm, 6) | collect(c, leaf7_c_zmm, 2);
    if (zmm && subleaves >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d)) found |= collect(a, bf16, 1);
    return found;
}

#elif defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>

uint64_t dlrt_cpu_features(void) {
    unsigned long has = getauxval(AT_HWCAP);
    uint64_t found = 0;
    if (has >> 1 & 1) found |= DLRT_CPU_NEON; /* HWCAP_ASIMD */
    if (has >> 22 & 1) found |= DLRT_CPU_SVE; /* HWCAP_SVE */
    return found;
}

#elif defined(__aarch64__)
uint64_t dlrt_cpu_features(void) {
    return DLRT_CPU_NEON;
} /* part of the base architecture */
#else
uint64_t dlrt_cpu_features(void) {
    return 0;
}
#endif

static const char *const feature_names[] = {
    "avx",      "avx2",       "fma",        "f16c",   "bmi2",   "avx512f",    "avx512dq",   "avx512bw", "avx512vl",
    "avx512cd", "avx512vnni", "avx512bf16", "sse4.2", "popcnt", "avx512ifma", "avx512vbmi", "neon",     "sve",
};

DlrtStatus dlrt_cpu_check(uint64_t needed, const char *cpu_name, Message *m) {
    uint64_t missing = needed & ~dlrt_cpu_features() & ~(uint64_t)DLRT_CPU_NEWER;
    if (!missing) return DLRT_OK;
    dlrt_say(m, "the model was compiled for %s; this processor lacks", cpu_name);
    for (unsigned bit = 0; bit < 64; bit++) {
        if (!(missing >> bit & 1)) continue;
        if (bit < sizeof feature_names / sizeof *feature_names)
            dlrt_say(m, " %s", feature_names[bit]);
        else
            dlrt_say(m, " feature-%u", bit);
    }
    return DLRT_ERR_CPU;
}
