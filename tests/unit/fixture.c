/* Shared by the unit tests: see fixture.h. */
#include "fixture.h"

#include <stdlib.h>
#include <string.h>

int fixture_open(void **state) {
    Fixture *f = calloc(1, sizeof *f);
    if (!f) return -1;
    if (setjmp(f->out_of_memory)) abort();
    arena_init(&f->arena, &f->out_of_memory);
    arena_init(&f->scratch, &f->out_of_memory);
    intern_init(&f->names, &f->arena);
    diags_init(&f->diags, &f->arena);
    *state = f;
    return 0;
}

int fixture_close(void **state) {
    Fixture *f = *state;
    arena_reset(&f->arena);
    arena_reset(&f->scratch);
    free(f);
    return 0;
}

Module *fixture_read(Fixture *f, const char *text) {
    Module *m = module_read(&f->arena, &f->names, &f->diags, diag_add_source(&f->diags, "test.ir", text, strlen(text)));
    if (m) return m;
    Text to = text_new(&f->arena);
    diags_render(&f->diags, &to, false);
    fail_msg("%s", text_get(&to));
    return NULL;
}

const char *fixture_complaints(Fixture *f, const char *text, size_t length) {
    diags_init(&f->diags, &f->arena);
    Module *m = module_read(&f->arena, &f->names, &f->diags, diag_add_source(&f->diags, "test.ir", text, length));
    assert_int_equal(m == NULL, f->diags.errors > 0);
    Text to = text_new(&f->arena);
    diags_render(&f->diags, &to, false);
    return text_get(&to);
}

const char *fixture_print(Fixture *f, const Module *m) {
    Text to = text_new(&f->arena);
    module_print(m, &to);
    return text_get(&to);
}
