/* Input: a model's source or IR text, and the files that a source imports. */
#include "driver/driver.h"

#include "base/file.h"
#include "dsl/dsl.h"
#include "ir/kernel_read.h"
#include "ir/read.h"

static bool has_ending(const char *path, const char *ending) {
    size_t n = strlen(path), m = strlen(ending);
    return n >= m && !strcmp(path + n - m, ending);
}

bool input_is_graph(const Compilation *c) {
    return has_ending(c->options->input, ".ir") || has_ending(c->options->input, ".graph");
}

bool input_is_kernels(const Compilation *c) { return has_ending(c->options->input, ".kernel"); }

DlccStatus input_read(Compilation *c) {
    const char *why;
    if (!file_read(c->arena, c->options->input, &c->text, &c->length, &why))
        return driver_fail(c, DLCC_ENVIRONMENT, "%s", why);
    vec_push(c->arena, &c->read, c->options->input);
    return DLCC_OK;
}

static const char *read_import(void *user, Arena *arena, const char *path, size_t *length) {
    Compilation *c = user;
    const char *text, *why;
    if (!file_read(arena, path, &text, length, &why)) return NULL;
    vec_push(c->arena, &c->read, arena_text(c->arena, path, strlen(path)));
    return text;
}

static Module *from_source(Compilation *c, bool in_double) {
    DslOptions options = dsl_default_options();
    int n = c->options->define_names.n;
    DslDefine *defines = arena_array(c->arena, DslDefine, n + 1);
    for (int i = 0; i < n; i++)
        defines[i] = (DslDefine){c->options->define_names.at[i], c->options->define_values.at[i]};
    options.defines = defines;
    options.define_count = n;
    options.in_double = in_double;
    if (in_double) options.num = DTYPE_F64;
    else if (c->options->num) dtype_parse(c->options->num, &options.num);
    options.model = c->options->model;
    options.files = (DslFiles){c, read_import};
    return dsl_compile(c->arena, &c->names, &c->diags, c->options->input, c->text, c->length, &options);
}

static uint32_t text_source(Compilation *c) {
    if (!c->source) c->source = diag_add_source(&c->diags, c->options->input, c->text, c->length);
    return c->source;
}

Module *input_module(Compilation *c, bool in_double) {
    double start = driver_now();
    Module *m;
    if (input_is_graph(c)) m = module_read(c->arena, &c->names, &c->diags, text_source(c));
    else m = from_source(c, in_double);
    driver_time(c, "front end", start);
    return c->diags.errors ? NULL : m;
}

KModule *input_kernels(Compilation *c) {
    KModule *k = kernels_read(c->arena, &c->names, &c->diags, text_source(c));
    return c->diags.errors ? NULL : k;
}
