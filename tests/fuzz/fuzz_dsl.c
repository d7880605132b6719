/* fuzz_dsl.c - libFuzzer target: the bytes are a model's source. Formatting, parsing, checking and elaborating it must
 * end in a module or in diagnostics; the form of what parses is stable; a module is valid.
 *
 * The library is small.dl, so that an input costs what it does itself. A good start: a folder with the sources in
 * tests/golden/dsl and ../shared sketches, and -dict=tests/fuzz/dsl.dict. */
#include "dsl/dsl.h"
#include "ir/print.h"
#include "ir/verify.h"

#include <stdlib.h>
#include <string.h>

/* One import can be read: itself an ordinary file. */
static const char *read_import(void *user, Arena *arena, const char *path, size_t *length) {
    static const char text[] = "fn imported(x) { 2 * x }\nlayer Part(n: int) { param w: num[n] = zeros; fn (x) { x * w } }\n";
    (void)user;
    (void)arena;
    *length = sizeof text - 1;
    return strcmp(path, "part.dl") ? NULL : text;
}

static void check_form(Arena *arena, Interner *names, const char *text, size_t size) {
    Diags diags, again;
    Text form, second;
    diags_init(&diags, arena);
    diags_init(&again, arena);
    if (!dsl_format(arena, names, &diags, "fuzz.dl", text, size, &form)) {
        if (!diags.errors) abort();
        return;
    }
    if (!dsl_format(arena, names, &again, "fuzz.dl", text_get(&form), form.n, &second)) abort();
    if (second.n != form.n || memcmp(text_get(&form), text_get(&second), form.n)) abort();
}

static void check_model(Arena *arena, Arena *scratch, Interner *names, const char *text, size_t size) {
    Diags diags;
    diags_init(&diags, arena);
    DslOptions options = dsl_default_options();
    options.files = (DslFiles){NULL, read_import};
    Module *m = dsl_compile(arena, names, &diags, "fuzz.dl", text, size, &options);
    if (!m != (diags.errors > 0)) abort();
    Text said = text_new(arena);
    diags_render(&diags, &said, false);
    diags_render_json(&diags, &said);
    FaultList faults = {0};
    if (m && module_verify(m, scratch, &faults)) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    jmp_buf out_of_memory;
    Arena arena, scratch;
    Interner names;
    arena_init(&arena, &out_of_memory);
    arena_init(&scratch, &out_of_memory);
    char *text = malloc(size + 1);
    memcpy(text, data, size);
    text[size] = 0;
    if (!setjmp(out_of_memory)) {
        intern_init(&names, &arena);
        check_form(&arena, &names, text, size);
        check_model(&arena, &scratch, &names, text, size);
    }
    arena_reset(&arena);
    arena_reset(&scratch);
    free(text);
    return 0;
}
