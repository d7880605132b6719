/* A folder of its own, and dlcc's library run on files in it, as the program would. */
#ifndef DLCC_TESTS_SESSION_H
#define DLCC_TESTS_SESSION_H

#include "dlcc.h"

typedef struct Session {
    Arena arena, scratch;
    jmp_buf out_of_memory;
    char folder[64];
    const char *out, *said;    /* of the last run */
} Session;

void session_open(Session *s);
void session_close(Session *s);
/* FOLDER/name. */
const char *session_path(Session *s, const char *name);
void session_write(Session *s, const char *name, const char *text);
/* The file's bytes; null if there is no such file. */
const char *session_read(Session *s, const char *name, size_t *n);
/* Runs dlcc with the arguments of a line split at spaces; "@name" stands for FOLDER/name. The status. */
int session_run(Session *s, const char *line);
/* Files in the folder, hidden ones too. */
int session_count(Session *s);
/* Whether a shell command succeeds; "@" as above. */
bool session_shell(Session *s, const char *line);

#endif
