/* json.c - a reader of JSON text in memory, as much as the header of a safetensors file needs.
 *
 * In: a buffer that the reader may change: strings are unescaped where they lie (an escape is never
 * shorter than what it stands for), so nothing is allocated. Out: values, pulled one by one; the first
 * error sticks, with its place. Depth is limited, so that hostile nesting cannot exhaust the stack.
 */
#include "core.h"
#include <string.h>

#define MAX_DEPTH 32

bool dlrt_json_fail(Json *j, const char *error) {
    if (!j->error) j->error = error;
    return false;
}

static void skip_space(Json *j) {
    while (j->at < j->end && (*j->at == ' ' || *j->at == '\n' || *j->at == '\r' || *j->at == '\t')) j->at++;
}

bool dlrt_json_take(Json *j, char c) {
    skip_space(j);
    if (j->error || j->at >= j->end || *j->at != c) return false;
    j->at++;
    return true;
}

bool dlrt_json_expect(Json *j, char c, const char *error) {
    return dlrt_json_take(j, c) || dlrt_json_fail(j, error);
}

static bool hex4(Json *j, uint32_t *value) {
    *value = 0;
    if (j->end - j->at < 4) return dlrt_json_fail(j, "a \\u escape is cut off");
    for (int i = 0; i < 4; i++, j->at++) {
        char c = *j->at;
        uint32_t digit = c >= '0' && c <= '9'   ? (uint32_t)(c - '0')
                         : c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a' + 10)
                         : c >= 'A' && c <= 'F' ? (uint32_t)(c - 'A' + 10)
                                                : 16;
        if (digit == 16) return dlrt_json_fail(j, "a \\u escape needs four hexadecimal digits");
        *value = *value * 16 + digit;
    }
    return true;
}

static char *put_utf8(char *to, uint32_t c) {
    if (c < 0x80) {
        *to++ = (char)c;
    } else if (c < 0x800) {
        *to++ = (char)(0xc0 | c >> 6);
        *to++ = (char)(0x80 | (c & 0x3f));
    } else if (c < 0x10000) {
        *to++ = (char)(0xe0 | c >> 12);
        *to++ = (char)(0x80 | (c >> 6 & 0x3f));
        *to++ = (char)(0x80 | (c & 0x3f));
    } else {
        *to++ = (char)(0xf0 | c >> 18);
        *to++ = (char)(0x80 | (c >> 12 & 0x3f));
        *to++ = (char)(0x80 | (c >> 6 & 0x3f));
        *to++ = (char)(0x80 | (c & 0x3f));
    }
    return to;
}

/* After "\u"; joins surrogate pairs. */
static char *unescape_unicode(Json *j, char *to) {
    uint32_t c, low;
    if (!hex4(j, &c)) return NULL;
    if (c >= 0xd800 && c < 0xdc00) {
        if (j->end - j->at < 2 || j->at[0] != '\\' || j->at[1] != 'u') {
            dlrt_json_fail(j, "half a surrogate pair");
            return NULL;
        }
        j->at += 2;
        if (!hex4(j, &low)) return NULL;
        if (low < 0xdc00 || low > 0xdfff) {
            dlrt_json_fail(j, "half a surrogate pair");
            return NULL;
        }
        c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
    } else if (c >= 0xdc00 && c <= 0xdfff) {
        dlrt_json_fail(j, "half a surrogate pair");
        return NULL;
    }
    return put_utf8(to, c);
}

static char *unescape(Json *j, char *to) {
    static const char from[] = "\"\\/bfnrt", into[] = "\"\\/\b\f\n\r\t";
    if (j->at >= j->end) {
        dlrt_json_fail(j, "a string is not closed");
        return NULL;
    }
    char c = *j->at++;
    if (c == 'u') return unescape_unicode(j, to);
    const char *found = c ? strchr(from, c) : NULL;
    if (!found) {
        j->at--;
        dlrt_json_fail(j, "an unknown escape");
        return NULL;
    }
    *to++ = into[found - from];
    return to;
}

bool dlrt_json_string(Json *j, JsonText *s) {
    if (!dlrt_json_expect(j, '"', "expected a string")) return false;
    char *to = j->at;
    s->text = to;
    while (j->at < j->end && *j->at != '"') {
        if ((unsigned char)*j->at < 0x20) return dlrt_json_fail(j, "a control character in a string");
        char c = *j->at++;
        if (c != '\\')
            *to++ = c;
        else if (!(to = unescape(j, to)))
            return false;
    }
    if (j->at >= j->end) return dlrt_json_fail(j, "a string is not closed");
    s->length = (size_t)(to - s->text);
    j->at++;
    return true;
}

bool dlrt_json_integer(Json *j, int64_t *value) {
    skip_space(j);
    *value = 0;
    if (j->error) return false;
    if (j->at < j->end && *j->at == '-') return dlrt_json_fail(j, "a negative number");
    if (j->at >= j->end || *j->at < '0' || *j->at > '9') return dlrt_json_fail(j, "expected a number");
    while (j->at < j->end && *j->at >= '0' && *j->at <= '9') {
        if (__builtin_mul_overflow(*value, (int64_t)10, value) ||
            __builtin_add_overflow(*value, (int64_t)(*j->at - '0'), value))
            return dlrt_json_fail(j, "a number is too large");
        j->at++;
    }
    if (j->at < j->end && (*j->at == '.' || *j->at == 'e' || *j->at == 'E'))
        return dlrt_json_fail(j, "expected a whole number");
    return true;
}

static bool skip_value(Json *j, int depth);

static bool skip_list(Json *j, char close, int depth) {
    JsonText key;
    if (dlrt_json_take(j, close)) return true;
    do {
        if (close == '}' && !(dlrt_json_string(j, &key) && dlrt_json_expect(j, ':', "expected :"))) return false;
        if (!skip_value(j, depth)) return false;
    } while (dlrt_json_take(j, ','));
    return dlrt_json_expect(j, close, "expected , or the end of a list");
}

static bool skip_value(Json *j, int depth) {
    JsonText s;
    skip_space(j);
    if (j->error || j->at >= j->end) return dlrt_json_fail(j, "expected a value");
    if (depth >= MAX_DEPTH) return dlrt_json_fail(j, "nested too deeply");
    if (*j->at == '"') return dlrt_json_string(j, &s);
    if (dlrt_json_take(j, '{')) return skip_list(j, '}', depth + 1);
    if (dlrt_json_take(j, '[')) return skip_list(j, ']', depth + 1);
    char *start = j->at; /* a number or a word */
    while (j->at < j->end && *j->at && strchr("+-.0123456789abcdefghijklmnopqrstuvwxyzE", *j->at)) j->at++;
    return j->at > start || dlrt_json_fail(j, "expected a value");
}

bool dlrt_json_skip(Json *j) {
    return skip_value(j, 0);
}

bool dlrt_json_end(Json *j) {
    skip_space(j);
    if (j->error) return false;
    return j->at == j->end || dlrt_json_fail(j, "something follows the end of the object");
}

bool dlrt_text_is(JsonText s, const char *text) {
    return strlen(text) == s.length && !memcmp(s.text, text, s.length);
}
