/* Bugs of the compiler: a pass that left invalid IR is reported with the IR it was given, which is made again
 * from the input, since the compilation is deterministic. */
#include "driver/driver.h"

#include "base/file.h"
#include "ir/print.h"

#define REPRODUCER "dlcc-bug.ir"

/* The graph as the pass got it; null if that cannot be made again. It points into its compilation, so that lies in
 * the arena. */
static Module *graph_before(Compilation *c, const PassInfo *pass) {
    Compilation *again = arena_new(c->arena, Compilation);
    DlccOptions *options = arena_copy(c->arena, c->options, sizeof *options);
    DlccOutput *ignored = arena_new(c->arena, DlccOutput);
    *ignored = (DlccOutput){text_new(c->arena), text_new(c->arena)};
    options->dump_all = NULL;
    options->dump_after.n = 0;
    *again = (Compilation){.arena = c->arena, .scratch = c->scratch, .options = options, .output = ignored,
                           .text = c->text, .length = c->length};
    intern_init(&again->names, c->arena);
    diags_init(&again->diags, c->arena);
    again->module = input_module(again, false);
    if (!again->module || options->run.n) return again->module;
    return driver_graph_passes(again, pass) ? NULL : again->module;
}

DlccStatus driver_bug(Compilation *c, const PassInfo *pass) {
    Module *before = graph_before(c, pass);
    Text text = text_new(c->arena);
    const char *why;
    driver_fail(c, DLCC_BUG, "this is a bug in dlcc, not in the model: pass %s left invalid IR", pass->name);
    if (!before) return driver_fail(c, DLCC_BUG, "please report it with the model");
    module_print(before, &text);
    if (!file_write(c->arena, REPRODUCER, text_get(&text), text.n, &why)) return driver_fail(c, DLCC_BUG, "%s", why);
    return driver_fail(c, DLCC_BUG, "please report it with %s, which shows it: dlcc %s --run=%s --emit=graph",
                       REPRODUCER, REPRODUCER, pass->name);
}
