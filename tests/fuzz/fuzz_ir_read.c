/* fuzz_ir_read.c - libFuzzer target: the bytes are IR text. Reading must end in a module or in diagnostics; a module
 * must stay valid under the passes that simplify, and print as something that reads back the same.
 * A good start: a folder with tests/unit/ir/sample.ir. */
#include "ir/print.h"
#include "ir/read.h"
#include "pass/pass.h"

#include <stdlib.h>
#include <string.h>

static const char *print(Module *m) {
    Text text = text_new(m->arena);
    module_print(m, &text);
    return text_get(&text);
}

static Module *read_again(Arena *arena, Interner *names, Diags *diags, const char *text, size_t size) {
    return module_read(arena, names, diags, diag_add_source(diags, "fuzz.ir", text, size));
}

static void check(Arena *arena, Arena *scratch, const char *text, size_t size) {
    static const char *const passes[] = {"inline", "simplify", "cse", "dce"};
    Interner names;
    Diags diags;
    intern_init(&names, arena);
    diags_init(&diags, arena);
    Module *m = read_again(arena, &names, &diags, text, size);
    if (!m != (diags.errors > 0)) abort();
    if (!m) return;
    for (size_t i = 0; i < sizeof passes / sizeof *passes; i++) {
        const char *first = print(m);
        Module *again = read_again(arena, &names, &diags, first, strlen(first));
        if (!again || strcmp(first, print(again))) abort();
        if (!passes_run(m, scratch, &(PassRun){.only = passes[i]})) abort();
    }
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
