/* message.c - sentences in a buffer of fixed size.
 *
 * In: a format and its values. Out: text, always terminated, cut where the room ends; the length counts
 * on, so that a message in no room at all measures what a text needs.
 * Why not snprintf: nothing of the stdio family may be in an object, and this small part of it is enough.
 */
#include "core.h"
#include <stdarg.h>

Message dlrt_message_in(char *text, size_t room) {
    if (room) text[0] = 0;
    return (Message){text, room, 0};
}

static void put(Message *m, char c) {
    if (m->length + 1 < m->room) {
        m->text[m->length] = c;
        m->text[m->length + 1] = 0;
    }
    m->length++;
}

static void put_text(Message *m, const char *s, int limit) {
    if (!s) s = "(none)";
    for (int i = 0; (limit < 0 || i < limit) && s[i]; i++) put(m, s[i]);
}

static void put_number(Message *m, uint64_t value, unsigned base) {
    char digits[24];
    int n = 0;
    do {
        digits[n++] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value);
    while (n) put(m, digits[--n]);
}

static void put_signed(Message *m, int64_t value) {
    if (value < 0) put(m, '-');
    put_number(m, value < 0 ? 0 - (uint64_t)value : (uint64_t)value, 10);
}

void dlrt_say(Message *m, const char *format, ...) {
    va_list values;
    va_start(values, format);
    for (const char *f = format; *f; f++) {
        if (*f != '%') {
            put(m, *f);
            continue;
        }
        int wide = 0, limit = -1;
        f++;
        if (*f == '.') {
            limit = va_arg(values, int);
            f += 2;
        }
        for (; *f == 'l' || *f == 'z'; f++) wide++;
        if (*f == 's')
            put_text(m, va_arg(values, const char *), limit);
        else if (*f == 'd')
            put_signed(m, wide > 1 ? va_arg(values, long long) : wide ? va_arg(values, long) : va_arg(values, int));
        else if (*f == 'u' || *f == 'x')
            put_number(m,
                       wide > 1 ? va_arg(values, unsigned long long)
                       : wide   ? va_arg(values, unsigned long)
                                : va_arg(values, unsigned),
                       *f == 'u' ? 10 : 16);
        else
            put(m, *f);
    }
    va_end(values);
}

void dlrt_say_shape(Message *m, const int64_t *shape, int32_t rank) {
    put(m, '[');
    for (int32_t d = 0; d < rank; d++) {
        if (d) put_text(m, ", ", -1);
        put_signed(m, shape[d]);
    }
    put(m, ']');
}
