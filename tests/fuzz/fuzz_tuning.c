/* fuzz_tuning.c - libFuzzer target: the bytes are a file for --tuned. Reading must end in a tuning or in diagnostics; a
 * tuning prints as something that reads back the same, and each of its schedules, given to a kernel, leaves one that
 * the verifier takes. */
#include "ir/kernel_read.h"
#include "ir/kernel_verify.h"
#include "pass/schedule.h"
#include "pass/tuning.h"

#include <stdlib.h>
#include <string.h>

static const char kernels[] = "kernels @m\n"
                              "size n0_64 in 1..64\n"
                              "kernel k0 contract(n0_64) {\n"
                              "  buf x0 : f32\n"
                              "  buf x1 : f32\n"
                              "  buf y2 : f32 out\n"
                              "  m i in n0_64\n"
                              "  n j in 96\n"
                              "  k l in 2048\n"
                              "  %0 = load x0[2048*i + l] : f32\n"
                              "  %1 = load x1[96*l + j] : f32\n"
                              "  product %0, %1 : f32\n"
                              "  stage {\n"
                              "    %2 = sum : f32\n"
                              "    y2[96*i + j] = %2\n"
                              "  }\n"
                              "}\n";

typedef struct Fuzz {
    Arena *arena, *scratch;
    Interner names;
    Diags diags;
} Fuzz;

static bool read_text(Fuzz *f, const char *text, size_t size, Tuning *to) {
    int before = f->diags.errors;
    bool good = tuning_read(f->arena, &f->diags, diag_add_source(&f->diags, "fuzz.tune", text, size), to);
    if (good != (f->diags.errors == before)) abort();
    return good;
}

static const char *print(Fuzz *f, const Tuning *t) {
    Text text = text_new(f->arena);
    tuning_print(t, &text);
    return text_get(&text);
}

/* The kernel of the text above goes by the key of each line. */
static void apply(Fuzz *f, Tuning *t) {
    KModule *m = kernels_read(f->arena, &f->names, &f->diags, diag_add_source(&f->diags, "k.kernel", kernels, sizeof kernels - 1));
    int count;
    if (!m) abort();
    uint64_t key = tuning_key(&m->dims, m->kernels.at[0], f->arena);
    for (int i = 0; i < t->kernels.n; i++) {
        Tuning one = {.family = t->family, .cpu = t->cpu};
        TunedKernel k = t->kernels.at[i];
        FaultList faults = {0};
        k.key = key;
        tuning_add(f->arena, &one, &k);
        schedule_module(m, &target_table(&count)[0], f->scratch);
        tuning_apply(&one, m, &target_table(&count)[0], &f->diags, f->scratch);
        if (kernels_verify(m, f->scratch, &faults)) abort();
        arena_reset(f->scratch);
    }
}

static void check(Fuzz *f, const char *text, size_t size) {
    Tuning first, again;
    intern_init(&f->names, f->arena);
    diags_init(&f->diags, f->arena);
    if (!read_text(f, text, size, &first)) return;
    const char *printed = print(f, &first);
    if (!read_text(f, printed, strlen(printed), &again) || strcmp(printed, print(f, &again))) abort();
    apply(f, &first);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    jmp_buf out_of_memory;
    Arena arena, scratch;
    arena_init(&arena, &out_of_memory);
    arena_init(&scratch, &out_of_memory);
    Fuzz f = {.arena = &arena, .scratch = &scratch};
    if (!setjmp(out_of_memory)) check(&f, (const char *)data, size);
    arena_reset(&arena);
    arena_reset(&scratch);
    return 0;
}
