/* --tuned: reads the file and looks whether it is of the processor that is compiled for. */
#include "driver/driver.h"

#include "base/file.h"

DlccStatus tuned_read(Compilation *c) {
    const char *path = c->options->tuned, *text, *why;
    size_t length;
    enum { LONGEST = 1 << 26 };
    if (!path) return DLCC_OK;
    if (!file_read(c->arena, path, &text, &length, &why)) return driver_fail(c, DLCC_ENVIRONMENT, "%s", why);
    if (length > LONGEST) return driver_fail(c, DLCC_USER, "%s is too long to be what --tune writes", path);
    vec_push(c->arena, &c->read, path);
    uint32_t source = diag_add_source(&c->diags, path, text, length);
    Tuning *t = arena_new(c->arena, Tuning);
    if (!tuning_read(c->arena, &c->diags, source, t)) return DLCC_USER;
    if (!strcmp(t->family, c->target->name) && !strcmp(t->cpu, c->target->tune)) {
        c->tuning = t;
        return DLCC_OK;
    }
    int diag = diag_report(&c->diags, DL0802, t->span,
                           "this was measured on %s %s, the target is %s %s; it is left out", t->family, t->cpu,
                           c->target->name, c->target->tune);
    diag_hint(&c->diags, diag, "--tune on the processor itself, or --cpu=%s", t->cpu);
    return DLCC_OK;
}
