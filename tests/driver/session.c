#include "session.h"

#include "base/file.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

void session_open(Session *s) {
    *s = (Session){.folder = "/tmp/dlcc_test.XXXXXX"};
    arena_init(&s->arena, &s->out_of_memory);
    arena_init(&s->scratch, &s->out_of_memory);
    assert_non_null(mkdtemp(s->folder));
}

void session_close(Session *s) {
    session_shell(s, arena_printf(&s->arena, "rm -rf %s", s->folder));
    arena_reset(&s->arena);
    arena_reset(&s->scratch);
}

const char *session_path(Session *s, const char *name) { return arena_printf(&s->arena, "%s/%s", s->folder, name); }

void session_write(Session *s, const char *name, const char *text) {
    const char *why;
    if (!file_write(&s->arena, session_path(s, name), text, strlen(text), &why)) fail_msg("%s", why);
}

const char *session_read(Session *s, const char *name, size_t *n) {
    const char *bytes, *why;
    size_t length;
    if (!file_read(&s->arena, session_path(s, name), &bytes, &length, &why)) return NULL;
    if (n) *n = length;
    return bytes;
}

/* The line with the folder for every '@'. */
static char *expand(Session *s, const char *line) {
    Text text = text_new(&s->arena);
    for (const char *c = line; *c; c++) {
        if (*c == '@') text_add(&text, "%s/", s->folder);
        else text_append(&text, c, 1);
    }
    text_append(&text, "", 1);
    return text.at;
}

int session_run(Session *s, const char *line) {
    const char *argv[64];
    int argc = 0;
    char *rest = expand(s, line);
    for (char *word; (word = strtok_r(rest, " ", &rest));) argv[argc++] = word;
    DlccOptions options;
    DlccOutput output;
    int status = dlcc_parse(&s->arena, argc, argv, &options, &output);
    options.program = "/nowhere/dlcc";
    if (!options.runtime) options.runtime = RUNTIME_ARCHIVE;
    if (!status) status = dlcc_run(&s->arena, &s->scratch, &options, &output);
    s->out = text_get(&output.out);
    s->said = text_get(&output.said);
    return status;
}

int session_count(Session *s) {
    DIR *folder = opendir(s->folder);
    int n = -2;
    assert_non_null(folder);
    while (readdir(folder)) n++;
    closedir(folder);
    return n;
}

bool session_shell(Session *s, const char *line) { return system(expand(s, line)) == 0; }
