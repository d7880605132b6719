/* Dumps: the IR after passes, to standard output or into a folder; each is valid input to dlcc. */
#include "driver/driver.h"

#include "base/file.h"
#include "ir/kernel_print.h"
#include "ir/print.h"

#include <errno.h>
#include <sys/stat.h>

const char *const kernel_pass_names[] = {"lower", "schedule", "chain", "place", NULL};

static DlccStatus check_name(Compilation *c, const char *option, const char *name) {
    VEC(const char *) names = {0};
    int count;
    const PassInfo *table = pass_table(&count);
    for (int i = 0; i < count; i++) vec_push(c->arena, &names, table[i].name);
    for (int i = 0; kernel_pass_names[i]; i++) vec_push(c->arena, &names, kernel_pass_names[i]);
    for (int i = 0; i < names.n; i++)
        if (!strcmp(name, names.at[i])) return DLCC_OK;
    const char *nearest = nearest_name(name, names.at, names.n);
    if (nearest) return driver_fail(c, DLCC_USER, "%s: there is no pass %s; did you mean %s?", option, name, nearest);
    return driver_fail(c, DLCC_USER, "%s: there is no pass %s (dlcc --list passes shows all)", option, name);
}

static DlccStatus check_names(Compilation *c, const char *option, const DlccNames *names) {
    DlccStatus status = DLCC_OK;
    for (int i = 0; i < names->n && !status; i++) status = check_name(c, option, names->at[i]);
    return status;
}

/* What cannot be left out. */
static DlccStatus check_needed(Compilation *c) {
    int count;
    const PassInfo *table = pass_table(&count);
    for (int k = 0; k < c->options->skip.n; k++) {
        const char *name = c->options->skip.at[k];
        bool needed = strcmp(name, "chain") != 0;
        for (int i = 0; i < count; i++)
            if (!strcmp(name, table[i].name)) needed = table[i].flags & PASS_NEEDED;
        if (needed) return driver_fail(c, DLCC_USER, "--no-pass: there is no code without the pass %s", name);
    }
    return DLCC_OK;
}

static DlccStatus check_tuning(Compilation *c, const char *text) {
    const char *dot = strchr(text, '.'), *equals = strchr(text, '=');
    if (!dot || !equals || equals < dot + 2)
        return driver_fail(c, DLCC_USER, "--pass-option takes PASS.KEY=VALUE, not \"%s\"", text);
    return check_name(c, "--pass-option", arena_text(c->arena, text, (size_t)(dot - text)));
}

DlccStatus dump_check(Compilation *c) {
    DlccStatus status = check_names(c, "--dump-after", &c->options->dump_after);
    if (!status) status = check_names(c, "--no-pass", &c->options->skip);
    if (!status) status = check_names(c, "--run", &c->options->run);
    if (!status) status = check_needed(c);
    for (int i = 0; i < c->options->tuning.n && !status; i++) status = check_tuning(c, c->options->tuning.at[i]);
    if (status || !c->options->dump_all || !mkdir(c->options->dump_all, 0777) || errno == EEXIST) return status;
    return driver_fail(c, DLCC_ENVIRONMENT, "cannot make the folder %s: %s", c->options->dump_all, strerror(errno));
}

static bool is_named(const Compilation *c, const char *pass) {
    for (int i = 0; i < c->options->dump_after.n; i++)
        if (!strcmp(c->options->dump_after.at[i], pass)) return true;
    return false;
}

/* Puts the text where it was asked for. */
static DlccStatus dump_text(Compilation *c, const char *pass, const char *ending, const Text *text) {
    const char *why;
    if (is_named(c, pass)) text_append(&c->output->out, text_get(text), text->n);
    if (!c->options->dump_all) return DLCC_OK;
    const char *path = arena_printf(c->arena, "%s/%02d-%s.%s", c->options->dump_all, c->dumped++, pass, ending);
    if (file_write(c->arena, path, text_get(text), text->n, &why)) return DLCC_OK;
    return driver_fail(c, DLCC_ENVIRONMENT, "%s", why);
}

DlccStatus dump_graph(Compilation *c, const char *pass) {
    Text text = text_new(c->arena);
    if (!c->options->dump_all && !is_named(c, pass)) return DLCC_OK;
    module_print(c->module, &text);
    return dump_text(c, pass, "graph", &text);
}

DlccStatus dump_kernels(Compilation *c, const char *pass) {
    Text text = text_new(c->arena);
    if (!c->options->dump_all && !is_named(c, pass)) return DLCC_OK;
    kernels_print(c->kernels, &text);
    return dump_text(c, pass, "kernel", &text);
}
