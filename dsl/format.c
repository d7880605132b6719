/* dlcc fmt: a source in its one form.
 *
 * In: a source without syntax errors. Out: the same tokens and comments, with the spaces, indentation and blank lines
 * that every source has. Where a line ends is the author's choice, since it says what belongs together; all else
 * follows from the tokens:
 *   - four spaces for each brace; what is in parentheses stands under the first thing behind the bracket, or four
 *     spaces in where the bracket ends its line; a statement that goes on is four spaces in;
 *   - one space between tokens, none where they belong together: calls, indices, signs, members, slices;
 *   - at most one blank line, none at the ends of a block; comments that share a line with code two spaces behind
 *     it, those of neighbouring lines in one column.
 * The result is made of the source's own tokens in their order, so nothing can be lost, and it depends on nothing
 * that it changes, so formatting twice changes nothing more. */
#include "format.h"

#include "grammar.h"

#include <stdlib.h>

enum { INDENT = 4, BEFORE_COMMENT = 2 };

/* A token or a comment. */
typedef struct Piece {
    int kind;                  /* of the token; 0: a comment */
    const char *text;
    size_t length;
    int breaks;                /* ends of line before it: 0, 1, or 2 for a blank line */
    bool begins;               /* begins a statement, member or declaration */
    bool split;                /* a `;` stands before it on its line */
    bool is_name;              /* a name, also one that is a word elsewhere (`in`, `to`, ...) */
    bool apart;                /* at a line's beginning it needs a `;`, or it would carry on with the statement before */
} Piece;

typedef struct Bracket {
    char open;
    int outer, inner;          /* indents of a line that begins with what closes it, and of lines inside */
    int statement;             /* indent of the line on which the statement began that is being written inside */
} Bracket;

typedef struct Line {
    bool blank_before;
    int indent;
    Text code;
    const Piece *comment;      /* behind the code, or null */
} Line;

typedef struct Writer {
    Arena *arena;
    VEC(Piece) pieces;
    VEC(Bracket) open;
    int statement;             /* outside of all brackets */
    VEC(Line) lines;
} Writer;

/* ------------------------------------------------------------------------ the pieces */

typedef VEC(uint32_t) Places;

/* Bytes at which names begin. */
static void note_names(Arena *arena, const Node *n, Places *to) {
    if (!n) return;
    if (n->kind == NODE_NAME) vec_push(arena, to, n->span.begin);
    if (n->name_span.source) vec_push(arena, to, n->name_span.begin);
    for (int i = 0; i < n->n; i++) note_names(arena, n->kids[i], to);
}

static int by_place(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static int at_most_two(int breaks) { return breaks > 2 ? 2 : breaks; }

/* Adds the comments between two tokens. Returns the ends of line before the second one, 2 where a line is blank: one with
 * a `;` is not. */
static int add_comments(Writer *w, const char *text, uint32_t from, uint32_t to, bool *split) {
    int breaks = 0, row = 0;
    *split = false;
    for (uint32_t i = from; i < to; i++) {
        if (text[i] == '\n' && ++row > breaks) breaks = row;
        if (text[i] == ';') {
            *split = true;
            row = 0;
        }
        if (text[i] != '/') continue;
        uint32_t end = i;
        while (end < to && text[end] != '\n') end++;
        uint32_t last = end;
        while (text[last - 1] == ' ' || text[last - 1] == '\t' || text[last - 1] == '\r') last--;
        vec_push(w->arena, &w->pieces,
                 (Piece){.text = text + i, .length = last - i, .breaks = at_most_two(breaks)});
        breaks = row = 0;
        i = end - 1;
    }
    return at_most_two(breaks);
}

static bool is_name(const Token *t, const Places *names) {
    switch (t->kind) {
    case DL_IDENT: return true;
    case DL_AS: case DL_IN: case DL_LIKE: case DL_OVER: case DL_TO: break;
    default: return false;
    }
    return names->n && bsearch(&t->span.begin, names->at, (size_t)names->n, sizeof *names->at, by_place);
}

static void read_pieces(Writer *w, Parser *ps, const Node *tree) {
    Places names = {0};
    note_names(w->arena, tree, &names);
    if (names.n) qsort(names.at, (size_t)names.n, sizeof *names.at, by_place);
    uint32_t at = 0;
    bool begins = true, separated = false;
    for (;;) {
        Token t = parse_token(ps);
        if (t.kind == DL_SEP) {
            begins = separated = true;
            continue;
        }
        bool split;
        uint32_t end = t.kind == DL_END ? (uint32_t)ps->diags->sources.at[ps->source].length : t.span.begin;
        int breaks = add_comments(w, ps->text, at, end, &split);
        if (t.kind == DL_END) return;
        vec_push(w->arena, &w->pieces, (Piece){t.kind, ps->text + end, t.span.end - end, breaks, begins,
                                               split && !breaks, is_name(&t, &names),
                                               separated && parse_carries_on(t.kind)});
        begins = t.kind == '{';
        separated = false;
        at = t.span.end;
    }
}

/* -------------------------------------------------------------------- spaces in a line */

static bool ends_operand(const Piece *p) {
    switch (p->kind) {
    case DL_INT: case DL_FLOAT: case DL_STRING: case DL_TRUE: case DL_FALSE: case DL_NONE:
    case ')': case ']': case '}':
        return true;
    default:
        return p->is_name;
    }
}

/* Whether piece i is a sign: a minus where no operand has ended. */
static bool is_sign(const Writer *w, int i) {
    const Piece *p = &w->pieces.at[i];
    if (p->kind != '-' || p->begins) return p->kind == '-';
    while (--i >= 0 && !w->pieces.at[i].kind) {}
    return i < 0 || !ends_operand(&w->pieces.at[i]);
}

static bool in_list(const Writer *w) { return w->open.n && w->open.at[w->open.n - 1].open == '['; }
static bool in_parentheses(const Writer *w) { return w->open.n && w->open.at[w->open.n - 1].open != '{'; }

/* Whether what piece a ends can be called or indexed by an opening bracket b. */
static bool takes_bracket(const Piece *a, const Piece *b) {
    if (b->begins) return false;
    return a->is_name || a->kind == ')' || a->kind == ']' || a->kind == DL_STRING || (a->kind == DL_LIKE && b->kind == '(');
}

/* Whether a space stands between pieces i - 1 and i of one line. */
static bool has_space(const Writer *w, int i) {
    const Piece *a = &w->pieces.at[i - 1], *b = &w->pieces.at[i];
    if (b->split) return true;
    switch (b->kind) {
    case ',': case ')': case ']': case '.': case '?': return false;
    case ':': return a->kind == ',';
    case '}': return a->kind != '{';
    default: break;
    }
    if ((b->kind == '(' || b->kind == '[') && takes_bracket(a, b)) return false;
    switch (a->kind) {
    case '(': case '[': case '.': return false;
    case ':': return !in_list(w);
    default: return !is_sign(w, i - 1);
    }
}

/* ------------------------------------------------------------------------------- lines */

static Line *last_line(Writer *w) { return &w->lines.at[w->lines.n - 1]; }

static int *statement_indent(Writer *w) { return w->open.n ? &w->open.at[w->open.n - 1].statement : &w->statement; }

/* Where a line stands that begins with this piece. */
static int indent_of(const Writer *w, const Piece *p) {
    bool goes_on = p->kind && !p->begins && p->kind != DL_BACKWARD;
    if (!w->open.n) return goes_on ? INDENT : 0;
    const Bracket *top = &w->open.at[w->open.n - 1];
    if (top->open == '{') return p->kind == '}' ? top->outer : top->inner + (goes_on ? INDENT : 0);
    bool hangs = top->inner == top->outer + INDENT;
    return hangs && (p->kind == ')' || p->kind == ']') ? top->outer : top->inner;
}

static void begin_line(Writer *w, const Piece *p, int breaks) {
    Line line = {.blank_before = w->lines.n && breaks == 2, .indent = indent_of(w, p), .code = text_new(w->arena)};
    vec_push(w->arena, &w->lines, line);
}

/* Characters of a line's code. */
static int width_of(const Line *l) {
    int n = l->indent;
    for (size_t i = 0; i < l->code.n; i++) n += ((unsigned char)l->code.at[i] & 0xc0) != 0x80;
    return n;
}

static void track_brackets(Writer *w, int i) {
    const Piece *p = &w->pieces.at[i];
    if (p->kind == '(' || p->kind == '[' || p->kind == '{') {
        const Piece *next = i + 1 < w->pieces.n ? p + 1 : NULL;
        bool hangs = p->kind == '{' || !next || next->breaks || !next->kind;
        bool block = p->kind == '{' && !in_parentheses(w);
        int outer = block ? *statement_indent(w) : last_line(w)->indent;
        vec_push(w->arena, &w->open,
                 (Bracket){(char)p->kind, outer, hangs ? outer + INDENT : width_of(last_line(w)), outer});
    } else if ((p->kind == ')' || p->kind == ']' || p->kind == '}') && w->open.n) {
        w->open.n--;
    }
}

/* Ends of line before piece i: the author's; but no blank line at the ends of a block, and `else` stays behind its
 * brace. */
static int breaks_before(const Writer *w, int i) {
    const Piece *p = &w->pieces.at[i], *before = i ? p - 1 : NULL;
    if (before && !before->kind && !p->breaks) return 1;
    if (p->kind == DL_ELSE && before && before->kind == '}') return 0;
    if (p->breaks == 2 && (p->kind == '}' || (before && before->kind == '{'))) return 1;
    return p->breaks;
}

static void make_lines(Writer *w) {
    for (int i = 0; i < w->pieces.n; i++) {
        const Piece *p = &w->pieces.at[i];
        int breaks = breaks_before(w, i);
        bool first = !w->lines.n || breaks;
        if (first) {
            begin_line(w, p, breaks);
            if (p->apart) text_add(&last_line(w)->code, "; ");
        } else if (!p->kind) {
            last_line(w)->comment = p;
            continue;
        } else {
            if (p->split) text_append(&last_line(w)->code, ";", 1);
            if (has_space(w, i)) text_append(&last_line(w)->code, " ", 1);
        }
        if (p->begins) *statement_indent(w) = last_line(w)->indent;
        text_append(&last_line(w)->code, p->text, p->length);
        if (p->kind) track_brackets(w, i);
    }
}

/* --------------------------------------------------------------------------------- text */

static void add_spaces(Text *to, int n) { text_add(to, "%*s", n, ""); }

/* The column of the comments of line i and the lines after it that have one too; *end is set behind them. */
static int comment_column(const Writer *w, int i, int *end) {
    int widest = 0;
    for (*end = i; *end < w->lines.n && w->lines.at[*end].comment; ++*end) {
        if (*end > i && w->lines.at[*end].blank_before) break;
        int width = width_of(&w->lines.at[*end]);
        if (width > widest) widest = width;
    }
    return widest + BEFORE_COMMENT;
}

static Text join_lines(const Writer *w) {
    Text to = text_new(w->arena);
    for (int i = 0, end = 0, column = 0; i < w->lines.n; i++) {
        const Line *l = &w->lines.at[i];
        if (i >= end) column = comment_column(w, i, &end);
        if (end == i) end++;
        if (l->blank_before) text_append(&to, "\n", 1);
        add_spaces(&to, l->indent);
        text_append(&to, text_get(&l->code), l->code.n);
        if (l->comment) {
            add_spaces(&to, column - width_of(l));
            text_append(&to, l->comment->text, l->comment->length);
        }
        text_append(&to, "\n", 1);
    }
    return to;
}

Text format_source(Arena *arena, Parser *ps, const Node *tree) {
    Writer w = {.arena = arena};
    read_pieces(&w, ps, tree);
    make_lines(&w);
    return join_lines(&w);
}
