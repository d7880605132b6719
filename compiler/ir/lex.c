/* Lexer of the IR text: see lex.h. Never reads beyond the text, whatever is in it. */
#include "ir/lex.h"

#include <string.h>

static bool is_letter(int c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
static bool is_digit(int c) { return c >= '0' && c <= '9'; }
static bool is_name(int c) { return is_letter(c) || is_digit(c) || c == '.'; }

/* The byte `ahead` of the position; 0 beyond the end. */
static int peek(const Lexer *l, uint32_t ahead) {
    return l->length - l->at > ahead ? (unsigned char)l->text[l->at + ahead] : 0;
}

/* Skips blanks and comments; true if a line ended among them or nothing is before. */
static bool skip_blanks(Lexer *l) {
    bool fresh = l->at == 0;
    while (l->at < l->length) {
        int c = peek(l, 0);
        if (c == '\n') fresh = true;
        if (c == '/' && peek(l, 1) == '/') {
            while (l->at < l->length && l->text[l->at] != '\n') l->at++;
        } else if (c == ' ' || c == '\t' || c == '\r' || c == '\n') {
            l->at++;
        } else {
            break;
        }
    }
    return fresh;
}

static int hex_digit(int c) {
    if (is_digit(c)) return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* What the escape behind a backslash stands for, or -1; moves behind it. */
static int read_escape(Lexer *l) {
    int c = peek(l, 0);
    l->at += l->at < l->length;
    if (c == '"' || c == '\\') return c;
    if (c == 'n') return '\n';
    int high = c == 'x' ? hex_digit(peek(l, 0)) : -1, low = high >= 0 ? hex_digit(peek(l, 1)) : -1;
    if (low < 0) return -1;
    l->at += 2;
    return high * 16 + low ? high * 16 + low : -1;
}

/* A quoted text at the position, resolved into the token. */
static void read_quoted(Lexer *l, Token *t) {
    uint32_t from = ++l->at;
    while (l->at < l->length && peek(l, 0) != '"' && peek(l, 0) != '\n') l->at += 1 + (peek(l, 0) == '\\');
    if (l->at > l->length) l->at = l->length;
    uint32_t until = l->at;
    char *to = arena_alloc(l->arena, (size_t)(until - from) + 1);
    size_t n = 0;
    for (l->at = from; l->at < until;) {
        int c = (unsigned char)l->text[l->at++];
        if (c == '\\') c = read_escape(l);
        if (c <= 0) {
            t->kind = TOKEN_BAD;
            t->text = "text holds a zero byte or an unknown escape; known are \\\" \\\\ \\n \\xHH";
        } else {
            to[n++] = (char)c;
        }
    }
    if (t->kind != TOKEN_BAD) t->text = intern_n(l->names, to, n);
    if (peek(l, 0) == '"') {
        l->at++;
        return;
    }
    t->kind = TOKEN_BAD;
    t->text = "text without its closing quote";
}

static void read_name(Lexer *l, Token *t) {
    uint32_t from = l->at;
    while (is_name(peek(l, 0)) && !(peek(l, 0) == '.' && peek(l, 1) == '.')) l->at++;
    t->text = intern_n(l->names, l->text + from, l->at - from);
}

/* %name, %12, %"any name", @name, @"any name" */
static void read_sigil(Lexer *l, Token *t, TokenKind kind) {
    l->at++;
    t->kind = kind;
    int c = peek(l, 0);
    if (c == '"') {
        read_quoted(l, t);
    } else if (is_letter(c)) {
        read_name(l, t);
    } else if (kind == TOKEN_VALUE && is_digit(c)) {
        t->kind = TOKEN_NUMBERED;
        uint32_t from = l->at;
        while (is_digit(peek(l, 0))) l->at++;
        t->text = intern_n(l->names, l->text + from, l->at - from);
    } else {
        t->kind = TOKEN_BAD;
        t->text = "a name has to follow";
    }
}

static void read_number(Lexer *l, Token *t) {
    uint32_t from = l->at;
    t->kind = TOKEN_INT;
    for (; is_digit(peek(l, 0)); l->at++)
        if (__builtin_mul_overflow(t->magnitude, (uint64_t)10, &t->magnitude) ||
            __builtin_add_overflow(t->magnitude, (uint64_t)(peek(l, 0) - '0'), &t->magnitude))
            t->magnitude = UINT64_MAX;
    if (peek(l, 0) == '.' && is_digit(peek(l, 1))) {
        t->kind = TOKEN_FLOAT;
        for (l->at++; is_digit(peek(l, 0)); l->at++) {}
    }
    uint32_t sign = peek(l, 1) == '+' || peek(l, 1) == '-';
    if ((peek(l, 0) == 'e' || peek(l, 0) == 'E') && is_digit(peek(l, 1 + sign))) {
        t->kind = TOKEN_FLOAT;
        for (l->at += 1 + sign; is_digit(peek(l, 0)); l->at++) {}
    }
    t->text = arena_text(l->arena, l->text + from, l->at - from);
}

static void read_punct(Lexer *l, Token *t) {
    int c = peek(l, 0);
    l->at++;
    t->kind = PUNCT(c);
    if (c == '.' && peek(l, 0) == '.') t->kind = TOKEN_RANGE;
    if (c == '-' && peek(l, 0) == '>') t->kind = TOKEN_ARROW;
    if (t->kind == TOKEN_RANGE || t->kind == TOKEN_ARROW) {
        l->at++;
    } else if (!c || !strchr("(){}[],:=*+-/", c)) {
        t->kind = TOKEN_BAD;
        t->text = "this character means nothing here";
    }
}

Token lexer_next(Lexer *l) {
    bool fresh = skip_blanks(l);
    Token t = {.starts_line = fresh, .begin = l->at};
    int c = peek(l, 0);
    if (l->at >= l->length) {
        t.kind = TOKEN_END;
        t.starts_line = true;
    } else if (is_letter(c)) {
        t.kind = TOKEN_WORD;
        read_name(l, &t);
    } else if (c == '"') {
        t.kind = TOKEN_TEXT;
        read_quoted(l, &t);
    } else if (c == '%' || c == '@') {
        read_sigil(l, &t, c == '%' ? TOKEN_VALUE : TOKEN_GLOBAL);
    } else if (is_digit(c)) {
        read_number(l, &t);
    } else {
        read_punct(l, &t);
    }
    t.end = l->at;
    return t;
}
