/* dlcc fmt: sources in their one form, in place; "-" from standard input to standard output. A file with syntax errors
 * stays as it is, and so does one that is in form already. */
#include "driver/driver.h"

#include "base/file.h"
#include "dsl/dsl.h"

static DlccStatus format_file(Compilation *c, const char *path) {
    const char *text, *why;
    size_t length;
    bool piped = !strcmp(path, "-");
    Text form;
    if (!file_read(c->arena, path, &text, &length, &why)) return driver_fail(c, DLCC_ENVIRONMENT, "%s", why);
    int errors = c->diags.errors;
    if (!dsl_format(c->arena, &c->names, &c->diags, path, text, length, &form)) {
        if (c->diags.errors > errors) return DLCC_USER;
        return driver_fail(c, DLCC_BUG, "this is a bug in dlcc: %s does not survive formatting", path);
    }
    bool same = form.n == length && !memcmp(text_get(&form), text, length);
    if (c->options->check) return same ? DLCC_OK : driver_fail(c, DLCC_USER, "%s is not in form", path);
    if (piped) text_append(&c->output->out, text_get(&form), form.n);
    if (piped || same || file_write(c->arena, path, text_get(&form), form.n, &why)) return DLCC_OK;
    return driver_fail(c, DLCC_ENVIRONMENT, "%s", why);
}

DlccStatus driver_format(Compilation *c) {
    DlccStatus status = format_file(c, c->options->input);
    for (int i = 0; i < c->options->more_inputs.n; i++) {
        DlccStatus next = format_file(c, c->options->more_inputs.at[i]);
        if (!status) status = next;
    }
    return status;
}
