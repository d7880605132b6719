/* Text: see text.h. */
#include "base/text.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void text_append(Text *t, const char *bytes, size_t n) {
    if (t->n + n + 1 > t->room) {
        size_t room = t->room ? t->room : 256;
        while (room < t->n + n + 1) room *= 2;
        char *to = arena_alloc(t->arena, room);
        if (t->n) memcpy(to, t->at, t->n);
        t->at = to;
        t->room = room;
    }
    memcpy(t->at + t->n, bytes, n);
    t->n += n;
    t->at[t->n] = 0;
}

void text_add(Text *t, const char *format, ...) {
    char small[256];
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(small, sizeof small, format, args);
    if (n >= 0 && (size_t)n < sizeof small) {
        text_append(t, small, (size_t)n);
    } else if (n >= 0) {
        char *large = arena_vprintf(t->arena, format, again);
        text_append(t, large, (size_t)n);
    }
    va_end(again);
    va_end(args);
}

const char *text_get(const Text *t) { return t->at ? t->at : ""; }

void text_add_quoted(Text *t, const char *s) {
    text_append(t, "\"", 1);
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        if (c == '"' || c == '\\') text_add(t, "\\%c", c);
        else if (c == '\n') text_append(t, "\\n", 2);
        else if (c < 32) text_add(t, "\\x%02x", c);
        else text_append(t, s, 1);
    }
    text_append(t, "\"", 1);
}

size_t utf8_length(const char *text, size_t left) {
    const unsigned char *s = (const unsigned char *)text;
    size_t n = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : s[0] < 0xf5 ? 4 : 0;
    if (n > left) return 0;
    for (size_t i = 1; i < n; i++)
        if ((s[i] & 0xc0) != 0x80) return 0;
    bool surrogate = n == 3 && s[0] == 0xed && s[1] >= 0xa0, beyond = n == 4 && s[0] == 0xf4 && s[1] >= 0x90;
    bool overlong = (n == 3 && s[0] == 0xe0 && s[1] < 0xa0) || (n == 4 && s[0] == 0xf0 && s[1] < 0x90);
    return surrogate || beyond || overlong ? 0 : n;
}

void text_add_json(Text *t, const char *s) {
    text_append(t, "\"", 1);
    for (size_t left = strlen(s); left;) {
        size_t n = utf8_length(s, left);
        if (!n) text_add(t, "\\ufffd");
        else if (*s == '"' || *s == '\\') text_add(t, "\\%c", *s);
        else if (n == 1 && (unsigned char)*s < 32) text_add(t, "\\u%04x", (unsigned)*s);
        else text_append(t, s, n);
        s += n ? n : 1;
        left -= n ? n : 1;
    }
    text_append(t, "\"", 1);
}

static bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }

void text_add_name(Text *t, const char *name) {
    bool plain = is_letter(name[0]);
    for (const char *c = name; *c && plain; c++) plain = is_letter(*c) || (*c >= '0' && *c <= '9') || *c == '.';
    if (plain) text_append(t, name, strlen(name));
    else text_add_quoted(t, name);
}

void text_add_double(Text *t, double x) {
    char s[40];
    if (isnan(x)) { text_append(t, "nan", 3); return; }
    if (isinf(x)) { text_add(t, x < 0 ? "-inf" : "inf"); return; }
    if (fabs(x) < 1e15 && x == floor(x)) {
        text_add(t, "%.1f", x);
        return;
    }
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(s, sizeof s, "%.*g", digits, x);
        if (strtod(s, NULL) == x) break;
    }
    if (!strpbrk(s, ".e")) strcat(s, ".0");
    text_append(t, s, strlen(s));
}
