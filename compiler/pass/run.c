/* The pass runner: see pass.h. */
#include "pass/pass.h"
#include "ir/verify.h"

#include <time.h>

static const PassInfo table[] = {
#define PASS(name, flags, doc) {#name, "compiler/pass/" #name ".c", pass_##name, flags, doc},
#include "pass/passes.def"
#undef PASS
};
enum { TABLE_COUNT = sizeof table / sizeof *table };

const PassInfo *pass_table(int *count) {
    *count = TABLE_COUNT;
    return table;
}

const PassInfo *pass_find(const char *name) {
    for (int i = 0; i < TABLE_COUNT; i++)
        if (!strcmp(table[i].name, name)) return &table[i];
    return NULL;
}

const char *pass_option(const PassContext *c, const char *key) {
    for (int i = c->option_count; i-- > 0;)
        if (!strcmp(c->options[i].pass, c->pass) && !strcmp(c->options[i].key, key)) return c->options[i].value;
    return NULL;
}

bool pass_has_option(const PassOption *options, int n, const PassInfo *pass) {
    for (int i = 0; i < n; i++)
        if (!strcmp(options[i].pass, pass->name)) return true;
    return false;
}

static bool is_wanted(const PassRun *run, const PassInfo *pass) {
    if (run->only) return !strcmp(run->only, pass->name);
    if (pass->flags & PASS_NEEDED) return true;
    if (pass->flags & PASS_ASKED && !pass_has_option(run->options, run->option_count, pass)) return false;
    for (int i = 0; i < run->skip_count; i++)
        if (!strcmp(run->skip[i], pass->name)) return false;
    return run->level > 0;
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* False if the pass reported an error or broke the module. */
static bool run_one(Module *m, Arena *scratch, const PassRun *run, const PassInfo *pass) {
    PassContext context = {.arena = m->arena, .scratch = scratch, .diags = m->diags, .pass = pass->name,
                           .options = run->options, .option_count = run->option_count, .tuning = run->tuning};
    FaultList faults = {0};
    int errors = m->diags->errors;
    double start = now();
    pass->run(&context, m);
    double seconds = now() - start;
    arena_reset(scratch);
    if (m->diags->errors > errors) return false;
    if (module_verify(m, scratch, &faults))
        faults_report(m, &faults, arena_printf(m->arena, "pass %s left invalid IR", pass->name));
    arena_reset(scratch);
    if (m->diags->errors > errors) return false;
    if (run->after) run->after(run->user, pass, m, seconds);
    return true;
}

bool passes_run(Module *m, Arena *scratch, const PassRun *run) {
    for (int i = 0; i < TABLE_COUNT; i++)
        if (is_wanted(run, &table[i]) && !run_one(m, scratch, run, &table[i])) return false;
    return true;
}
