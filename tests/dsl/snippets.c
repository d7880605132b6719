/* Every ```dl snippet of docs/language.md compiles without a single diagnostic. */
#include "dsl/dsl.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static char text[1 << 17];

static void compile_snippet(const char *snippet, size_t length, int number) {
    jmp_buf out_of_memory;
    Arena arena;
    Interner names;
    Diags diags;
    arena_init(&arena, &out_of_memory);
    if (setjmp(out_of_memory)) fail_msg("out of memory");
    intern_init(&names, &arena);
    diags_init(&diags, &arena);
    DslOptions options = dsl_default_options();
    dsl_compile(&arena, &names, &diags, "snippet", snippet, length, &options);
    Text t = text_new(&arena);
    diags_render(&diags, &t, false);
    if (diags.all.n) fail_msg("snippet %d:\n%s", number, text_get(&t));
    arena_reset(&arena);
}

static void language_reference(void **state) {
    (void)state;
    int count = 0;
    for (const char *at = text; (at = strstr(at, "```dl\n"));) {
        at += 6;
        const char *end = strstr(at, "```");
        assert_non_null(end);
        compile_snippet(at, (size_t)(end - at), ++count);
        at = end + 3;
    }
    assert_true(count >= 6);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(language_reference)};
    char path[4096];
    snprintf(path, sizeof path, "%s/docs/language.md", argc > 1 ? argv[1] : ".");
    FILE *f = fopen(path, "rb");
    if (!f) return 2;
    fread(text, 1, sizeof text - 1, f);
    fclose(f);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
