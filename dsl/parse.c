/* Parsing a source: see parse.h. */
#include "parse.h"
#include "elsewhere.h"
#include "grammar.h"

void parse_error_at(Parser *ps, DiagCode code, Span span, const char *format, ...) {
    if (ps->stop) return;
    va_list args;
    va_start(args, format);
    int d = diag_report(ps->diags, code, span, "%s", arena_vprintf(ps->arena, format, args));
    va_end(args);
    bool misplaced = code == DL0101 || code == DL0102;
    const char *meant = misplaced ? elsewhere_token(ps->text, span.begin, span.end) : NULL;
    if (meant) diag_hint(ps->diags, d, "%s", meant);
    if (++ps->errors < MAX_SYNTAX_ERRORS) return;
    diag_report(ps->diags, DL0702, span, "more than %d syntax errors; the rest of the file was not read",
                MAX_SYNTAX_ERRORS - 1);
    ps->stop = true;
}

const char *parse_doc(const Parser *ps, uint32_t begin) {
    int low = 0, high = ps->docs.n;
    while (low < high) {
        int mid = (low + high) / 2;
        if (ps->docs.at[mid].next < begin) low = mid + 1;
        else high = mid;
    }
    return low < ps->docs.n && ps->docs.at[low].next == begin ? ps->docs.at[low].text : NULL;
}

Node *parse_node(Parser *ps, NodeKind kind, Span span, const char *text, Node *const *kids, int n) {
    Node *node = node_new(ps->arena, kind, span, text, kids, n);
    if (node->depth <= MAX_TREE_DEPTH) return node;
    parse_error_at(ps, DL0701, span, "this is nested too deeply (more than %d levels)", MAX_TREE_DEPTH);
    return node_new(ps->arena, NODE_ERROR, span, NULL, NULL, 0);
}

static bool name_character(char c, bool first) {
    return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (!first && c >= '0' && c <= '9');
}

static char escaped(char c) { return c == 'n' ? '\n' : c == 't' ? '\t' : c; }

typedef struct StringParts {
    Parser *ps;
    Span span;
    Text text;
    Nodes parts;
} StringParts;

static void end_text_part(StringParts *p) {
    if (!p->text.n) return;
    const char *s = intern_n(p->ps->names, p->text.at, p->text.n);
    vec_push(p->ps->arena, &p->parts, parse_node(p->ps, NODE_STRING, p->span, s, NULL, 0));
    p->text.n = 0;
}

/* A {name}; returns the bytes read. */
static size_t name_part(StringParts *p, const char *raw, size_t left, uint32_t at) {
    size_t n = 1;
    while (n < left && name_character(raw[n], n == 1)) n++;
    if (n == 1 || n == left || raw[n] != '}') {
        parse_error_at(p->ps, DL0103, (Span){p->span.source, at, at + 1},
                       "`{` in a string stands before a name and `}`; write `{{` for the character");
        return 1;
    }
    end_text_part(p);
    Span span = {p->span.source, at + 1, at + (uint32_t)n};
    vec_push(p->ps->arena, &p->parts,
             parse_node(p->ps, NODE_NAME, span, intern_n(p->ps->names, raw + 1, n - 1), NULL, 0));
    return n + 1;
}

Node *parse_string(Parser *ps, Span span, const char *raw, size_t length) {
    StringParts p = {.ps = ps, .span = span, .text = text_new(ps->arena)};
    for (size_t i = 0; i < length;) {
        if (raw[i] == '\\' && i + 1 < length) {
            char c = escaped(raw[i + 1]);
            text_append(&p.text, &c, 1);
            i += 2;
        } else if ((raw[i] == '{' || raw[i] == '}') && i + 1 < length && raw[i + 1] == raw[i]) {
            text_append(&p.text, &raw[i], 1);
            i += 2;
        } else if (raw[i] == '{') {
            i += name_part(&p, raw + i, length - i, span.begin + 1 + (uint32_t)i);
        } else {
            text_append(&p.text, &raw[i++], 1);
        }
    }
    if (!p.parts.n) return parse_node(ps, NODE_STRING, span, intern_n(ps->names, text_get(&p.text), p.text.n), NULL, 0);
    end_text_part(&p);
    return parse_node(ps, NODE_FORMAT, span, NULL, p.parts.at, p.parts.n);
}

/* Whether the source is text at all; reports the first reason why not. */
static bool is_text(Diags *d, uint32_t source) {
    const Source *s = &d->sources.at[source];
    if (s->length > MAX_SOURCE_BYTES) {
        diag_report(d, DL0703, (Span){source, 0, 0}, "this file has %zu bytes; a model has at most %d", s->length,
                    MAX_SOURCE_BYTES);
        return false;
    }
    if (s->length >= 3 && !memcmp(s->text, "\xef\xbb\xbf", 3)) {
        diag_report(d, DL0105, (Span){source, 0, 3},
                    "this file begins with a byte-order mark, which UTF-8 does not need; save it without");
        return false;
    }
    for (size_t i = 0; i < s->length;) {
        size_t n = utf8_length(s->text + i, s->length - i);
        Span span = {source, (uint32_t)i, (uint32_t)i + 1};
        if (!n) {
            diag_report(d, DL0105, span, "byte %zu of this file (0x%02x) is not UTF-8", i, (unsigned char)s->text[i]);
            return false;
        }
        if (!s->text[i]) {
            diag_report(d, DL0105, span, "byte %zu of this file is zero; a model is plain text", i);
            return false;
        }
        i += n;
    }
    return true;
}

Parser *parser_new(Arena *arena, Interner *names, Diags *diags, uint32_t source) {
    Parser *ps = arena_new(arena, Parser);
    *ps = (Parser){.arena = arena, .names = names, .diags = diags, .source = source,
                   .text = diags->sources.at[source].text, .doc = text_new(arena)};
    return ps;
}

Node *parse_source(Arena *arena, Interner *names, Diags *diags, uint32_t source) {
    Span start = {source, 0, 0};
    if (!is_text(diags, source)) {
        Node *bad = node_new(arena, NODE_ERROR, start, NULL, NULL, 0);
        return node_new(arena, NODE_FILE, start, NULL, &bad, 1);
    }
    Parser *ps = parser_new(arena, names, diags, source);
    dl_parse(ps);
    if (ps->root) {
        ps->root->doc = ps->file_doc;
        return ps->root;
    }
    Node *bad = node_new(arena, NODE_ERROR, start, NULL, NULL, 0);
    return node_new(arena, NODE_FILE, start, NULL, &bad, 1);
}
