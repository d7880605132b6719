/* Run: one command from options to output. */
#include "driver/driver.h"

#include <stdarg.h>
#include <time.h>

DlccStatus driver_fail(Compilation *c, DlccStatus status, const char *format, ...) {
    va_list args;
    va_start(args, format);
    text_add(&c->output->said, "dlcc: %s\n", arena_vprintf(c->arena, format, args));
    va_end(args);
    return status;
}

double driver_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void driver_time(Compilation *c, const char *name, double start) {
    vec_push(c->arena, &c->times, (StepTime){name, driver_now() - start});
}

static DlccStatus print_version(Compilation *c) {
    text_add(&c->output->out, "dlcc %s (LLVM %s)\n", DLCC_VERSION_TEXT, code_llvm_version(c->arena));
    return DLCC_OK;
}

static DlccStatus run_command(Compilation *c) {
    switch (c->options->command) {
    case DLCC_COMPILE: return driver_compile(c);
    case DLCC_GRADCHECK: return driver_gradcheck(c);
    case DLCC_FORMAT: return driver_format(c);
    case DLCC_VERSION: return print_version(c);
    case DLCC_LIST: return list_run(c);
    case DLCC_EXPLAIN: return explain_run(c);
    case DLCC_HELP: break;
    }
    options_help(&c->output->out);
    return DLCC_OK;
}

/* Each line of what the driver says as an object of its own. */
static void add_said_json(Compilation *c, Text *to) {
    for (const char *at = text_get(&c->output->said), *end; *at; at = *end ? end + 1 : end) {
        for (end = at; *end && *end != '\n'; end++) {}
        text_add(to, "{\"severity\": \"error\", \"message\": ");
        text_add_json(to, arena_text(c->arena, at, (size_t)(end - at)));
        text_add(to, "}\n");
    }
}

/* Diagnostics stand before what the driver says. */
static void render_diagnostics(Compilation *c) {
    Text text = text_new(c->arena);
    if (c->options->json_diagnostics) {
        diags_render_json(&c->diags, &text);
        add_said_json(c, &text);
        c->output->said = text;
        return;
    }
    diags_render(&c->diags, &text, c->options->color);
    text_append(&text, text_get(&c->output->said), c->output->said.n);
    c->output->said = text;
}

DlccStatus dlcc_run(Arena *arena, Arena *scratch, const DlccOptions *options, DlccOutput *output) {
    Compilation c = {.arena = arena, .scratch = scratch, .options = options, .output = output};
    intern_init(&c.names, arena);
    diags_init(&c.diags, arena);
    DlccStatus status = run_command(&c);
    render_diagnostics(&c);
    return status ? status : c.diags.errors ? DLCC_USER : DLCC_OK;
}
