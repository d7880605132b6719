/* fuzz_kernel_read.c - libFuzzer target: the bytes are kernel IR text. Reading must end in a module or in diagnostics; a
 * module holds together and prints as something that reads back the same. */
#include "ir/kernel_print.h"
#include "ir/kernel_read.h"
#include "ir/kernel_verify.h"

#include <stdlib.h>
#include <string.h>

static KModule *read_text(Arena *arena, Interner *names, Diags *diags, const char *text, size_t size) {
    return kernels_read(arena, names, diags, diag_add_source(diags, "fuzz.kernel", text, size));
}

static const char *print(Arena *arena, const KModule *m) {
    Text text = text_new(arena);
    kernels_print(m, &text);
    return text_get(&text);
}

static void check(Arena *arena, Arena *scratch, const char *text, size_t size) {
    Interner names;
    Diags diags;
    intern_init(&names, arena);
    diags_init(&diags, arena);
    KModule *m = read_text(arena, &names, &diags, text, size);
    if (!m != (diags.errors > 0)) abort();
    if (!m) return;
    const char *first = print(arena, m);
    KModule *again = read_text(arena, &names, &diags, first, strlen(first));
    if (!again || strcmp(first, print(arena, again))) abort();
    FaultList faults = {0};
    kernels_verify(m, scratch, &faults);
    if (faults.n) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    jmp_buf out_of_memory;
    Arena arena, scratch;
    arena_init(&arena, &out_of_memory);
    arena_init(&scratch, &out_of_memory);
    if (!setjmp(out_of_memory)) check(&arena, &scratch, (const char *)data, size);
    arena_reset(&arena);
    arena_reset(&scratch);
    return 0;
}
