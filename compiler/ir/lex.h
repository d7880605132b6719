/* Tokens of the IR text (print.h shows it). Comments run from // to the end of the line. */
#ifndef DLCC_IR_LEX_H
#define DLCC_IR_LEX_H

#include "base/diag.h"
#include "base/intern.h"

typedef enum TokenKind {
    TOKEN_END,
    TOKEN_WORD,      /* text */
    TOKEN_TEXT,      /* "...": text, escapes resolved */
    TOKEN_VALUE,     /* %name: text without the sign */
    TOKEN_NUMBERED,  /* %12: text without the sign */
    TOKEN_GLOBAL,    /* @name: text without the sign */
    TOKEN_INT,       /* text, magnitude */
    TOKEN_FLOAT,     /* text */
    TOKEN_RANGE,     /* .. */
    TOKEN_ARROW,     /* -> */
    TOKEN_BAD,       /* text: what is wrong with it */
    TOKEN_PUNCT = 128 /* and above: TOKEN_PUNCT + character, of ( ) { } [ ] , : = * + - / */
} TokenKind;

#define PUNCT(c) (TOKEN_PUNCT + (c))

typedef struct Token {
    int kind;                /* TokenKind or PUNCT(c) */
    uint32_t begin, end;     /* bytes of the source */
    bool starts_line;        /* the first token of its line */
    const char *text;        /* interned, or null */
    uint64_t magnitude;      /* of an INT; UINT64_MAX if it is that or more */
} Token;

typedef struct Lexer {
    Interner *names;
    Arena *arena;
    const char *text;
    uint32_t length, at;
} Lexer;

/* The next token; END again and again at the end. Bad input gives a BAD token and goes on behind it. */
Token lexer_next(Lexer *l);

#endif
