/* Parsing: source text in, syntax tree out.
 *
 * flex makes raw tokens (lexer.l), a one-token filter (tokens.c) turns newlines into statement ends and
 * skips to the end of a statement after a syntax error, bison builds the tree (grammar.y). All three share
 * one Parser; nothing is global. Whatever the input, parsing ends with a tree: what could not be read is
 * an ERROR node, reported in Diags. */
#ifndef DLCC_DSL_PARSE_H
#define DLCC_DSL_PARSE_H

#include "ast.h"
#include "base/intern.h"

enum {
    MAX_SOURCE_BYTES = 4 << 20,
    MAX_TREE_DEPTH = 400,      /* nesting of expressions and blocks */
    MAX_OPEN_BRACKETS = 500,
    MAX_SYNTAX_ERRORS = 30     /* of one file; then parsing stops */
};

typedef struct DocComment {
    uint32_t next;             /* where the token after it begins */
    const char *text;
} DocComment;

/* A token as flex made it. `value` is the grammar's semantic value. */
typedef struct Token {
    int kind;
    Span span;
    const char *text;
    int64_t i;
    double f;
    Node *node;
    bool starts_line;
} Token;

typedef struct Parser {
    Arena *arena;
    Interner *names;
    Diags *diags;
    uint32_t source;
    const char *text;          /* of the source */
    void *scanner;
    Node *root;
    bool stop;                 /* too many errors: the rest of the file reads as its end */
    int errors;
    /* lexer */
    uint32_t at;               /* byte where the next token begins */
    bool newline;              /* a line ended since the last token */
    Text doc;                  /* doc comment lines waiting for their token */
    const char *file_doc;      /* the file's own doc comment, or null */
    VEC(DocComment) docs;      /* in order of place */
    /* filter */
    VEC(char) open;            /* brackets open now: ( [ { */
    int braces;                /* of them: { */
    Token last;                /* the token handed out last */
    Token held;                /* read, but a statement end comes first */
    bool has_held;
    bool separator_first;      /* a SEP comes before the held token */
    bool skipping;             /* after a syntax error: to the end of the statement */
    int skip_braces;           /* braces open where the error was */
    /* grammar */
    NodeKind item_kind;        /* of the declaration being read: PARAM, STATE or CACHE */
} Parser;

/* The tree of one source, a FILE node. Errors are in diags. Refuses (with an empty FILE) text that is too
 * long, has zero bytes or is not UTF-8. */
Node *parse_source(Arena *arena, Interner *names, Diags *diags, uint32_t source);

/* A parser at the beginning of a source, for those who want its tokens alone (parse_token). */
Parser *parser_new(Arena *arena, Interner *names, Diags *diags, uint32_t source);

/* Between the parts. */
/* Whether a line that begins with the token carries on with the statement before it. */
bool parse_carries_on(int token);

/* Also hints at what is meant, where that is known. */
void parse_error_at(Parser *ps, DiagCode code, Span span, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* After a syntax error at the last token: the next one will be the end of its statement. */
void parse_skip_statement(Parser *ps);
/* The next token of the grammar, newlines resolved. */
Token parse_token(Parser *ps);
/* Raw token from flex; 0 at the end. */
int parse_raw_token(Parser *ps, Token *to);
/* Doc comment that stands before the token at `begin`, or null. */
const char *parse_doc(const Parser *ps, uint32_t begin);
/* Makes nodes of the grammar; reports nesting beyond MAX_TREE_DEPTH and then gives an ERROR node. */
Node *parse_node(Parser *ps, NodeKind kind, Span span, const char *text, Node *const *kids, int n);
/* A string literal's node: STRING, or FORMAT when it has {name} in it. `raw` is without the quotes. */
Node *parse_string(Parser *ps, Span span, const char *raw, size_t length);

#endif
