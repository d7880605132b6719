/* Text: a growing string in an arena, for printers. */
#ifndef DLCC_BASE_TEXT_H
#define DLCC_BASE_TEXT_H

#include "base/arena.h"

typedef struct Text {
    Arena *arena;
    char *at;         /* zero-terminated once anything was added */
    size_t n, room;
} Text;

static inline Text text_new(Arena *a) { return (Text){.arena = a}; }
void text_add(Text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
void text_append(Text *t, const char *bytes, size_t n);
/* The text so far, "" when empty. */
const char *text_get(const Text *t);
/* Appends in double quotes, escaping quotes, backslashes and control characters. */
void text_add_quoted(Text *t, const char *s);
/* Bytes of the character at s, of which `left` > 0 bytes follow: 0 if they are no UTF-8. */
size_t utf8_length(const char *s, size_t left);
/* Appends as a JSON string; what is not UTF-8 becomes U+FFFD. */
void text_add_json(Text *t, const char *s);
/* Appends a name as it is if it looks like an identifier (with dots), else quoted. */
void text_add_name(Text *t, const char *name);
/* The shortest decimal form of x that reads back as exactly x; "inf", "-inf" and "nan" too. */
void text_add_double(Text *t, double x);

#endif
