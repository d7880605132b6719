/* Token filter: raw tokens in, the grammar's tokens out.
 *
 * A line's end becomes SEP where it ends a statement: the innermost open bracket is a brace or there is
 * none, the previous token can end a statement, and the next does not carry on with it (`else with over to
 * while backward`). `;` is SEP too. No SEP comes twice, first, last, after `{` or before `}`, so the
 * grammar needs no rules for blank lines.
 *
 * A keyword that begins statements, at the beginning of a line, closes what parentheses are still open: a
 * forgotten `)` costs its own statement only. After a syntax error tokens are dropped up to the end of the
 * statement, nested braces included. */
#include "grammar.h"

static bool ends_statement(int token) {
    switch (token) {
    case DL_IDENT: case DL_INT: case DL_FLOAT: case DL_STRING: case DL_TRUE: case DL_FALSE: case DL_NONE:
    case DL_AS: case DL_IN: case DL_LIKE: case DL_OVER: case DL_TO: case DL_RETURN: case DL_LAYER:
    case ')': case ']': case '}': case '?':
        return true;
    default:
        return false;
    }
}

bool parse_carries_on(int token) {
    return token == DL_ELSE || token == DL_WITH || token == DL_OVER || token == DL_TO || token == DL_WHILE ||
           token == DL_BACKWARD;
}

/* Words that begin a statement or declaration wherever a line begins with them (types behind a colon aside). */
static bool begins_statement(int token) {
    switch (token) {
    case DL_LET: case DL_VAR: case DL_RETURN: case DL_YIELD: case DL_MINIMIZE: case DL_APPLY: case DL_REQUIRE:
    case DL_PARAM: case DL_STATE: case DL_CACHE: case DL_EXPORT: case DL_MODEL: case DL_IMPORT:
    case DL_FN: case DL_LAYER: case DL_OPTIMIZER:
        return true;
    default:
        return false;
    }
}

static bool in_parentheses(const Parser *ps) { return ps->open.n && ps->open.at[ps->open.n - 1] != '{'; }

static void close_parentheses(Parser *ps) {
    while (in_parentheses(ps)) ps->open.n--;
}

/* Keeps the stack of open brackets; a closing one takes what was left open inside with it. */
static void track_brackets(Parser *ps, int token) {
    if (token == '(' || token == '[' || token == '{') {
        if (ps->open.n >= MAX_OPEN_BRACKETS) {
            parse_error_at(ps, DL0701, ps->last.span, "more than %d brackets are open here", MAX_OPEN_BRACKETS);
            ps->stop = true;
        }
        vec_push(ps->arena, &ps->open, (char)token);
        ps->braces += token == '{';
    } else if (token == '}') {
        close_parentheses(ps);
        if (ps->open.n) {
            ps->open.n--;
            ps->braces--;
        }
    } else if (token == ')' || token == ']') {
        char opening = token == ')' ? '(' : '[';
        int at = ps->open.n;
        while (at && ps->open.at[at - 1] != opening && ps->open.at[at - 1] != '{') at--;
        if (at && ps->open.at[at - 1] == opening) ps->open.n = at - 1;
    }
}

/* The next raw token and whether a statement ends before it. */
static bool read_raw(Parser *ps, Token *t) {
    bool semicolon = false;
    *t = (Token){0};
    ps->newline = false;
    while (parse_raw_token(ps, t) == ';' && !in_parentheses(ps)) semicolon = true;
    t->starts_line = ps->newline;
    int previous = ps->last.kind;
    if (t->starts_line && begins_statement(t->kind) && in_parentheses(ps) && previous != ':') close_parentheses(ps);
    if (!previous || previous == DL_SEP || previous == '{' || t->kind == '}' || t->kind == DL_END) return false;
    if (semicolon) return true;
    return t->starts_line && !in_parentheses(ps) && ends_statement(previous) && !parse_carries_on(t->kind);
}

static Token separator(const Parser *ps) {
    return (Token){.kind = DL_SEP, .span = {ps->source, ps->last.span.end, ps->last.span.end}};
}

static Token hand_out(Parser *ps, Token t) {
    if (t.kind == ';') t.kind = DL_SEP;
    track_brackets(ps, t.kind);
    ps->last = t;
    return t;
}

static Token hold(Parser *ps, Token t) {
    ps->held = t;
    ps->has_held = true;
    return hand_out(ps, separator(ps));
}

/* Drops tokens until the statement in which the error was is over. */
static Token skip_to_end(Parser *ps) {
    ps->skipping = false;
    for (;;) {
        Token t;
        bool ended = read_raw(ps, &t);
        int braces = ps->braces;
        if (t.kind == DL_END) return hand_out(ps, t);
        if (ended && braces <= ps->skip_braces) return hold(ps, t);
        if (t.kind == '}' && braces <= ps->skip_braces) return hand_out(ps, t);
        hand_out(ps, t);
    }
}

Token parse_token(Parser *ps) {
    if (ps->skipping) return skip_to_end(ps);
    if (ps->separator_first) {
        ps->separator_first = false;
        return hand_out(ps, separator(ps));
    }
    if (ps->has_held) {
        ps->has_held = false;
        return hand_out(ps, ps->held);
    }
    Token t;
    bool ended = read_raw(ps, &t);
    return ended ? hold(ps, t) : hand_out(ps, t);
}

void parse_skip_statement(Parser *ps) {
    int last = ps->last.kind;
    if (last == DL_SEP || last == '}' || last == DL_END) return;
    if (ps->last.starts_line && begins_statement(last)) {   /* the statement before it is what is broken */
        close_parentheses(ps);
        ps->held = ps->last;
        ps->has_held = true;
        ps->separator_first = true;
        return;
    }
    ps->has_held = false;
    ps->skipping = true;
    ps->skip_braces = ps->braces - (last == '{');
}
