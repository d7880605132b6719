/* The reader's inside, shared by read.c (modules and functions), read_op.c (ops and regions) and
 * read_type.c (dims, types, attribute values).
 *
 * Recursive descent. A parsing function returns false after a mistake was reported; the statement it is
 * in is then given up and reading goes on at the next line outside of that statement's braces. Values
 * whose definition was given up are known as such, so that their uses report nothing. */
#ifndef DLCC_IR_READER_H
#define DLCC_IR_READER_H

#include "base/map.h"
#include "ir/lex.h"
#include "ir/read.h"

typedef struct Binding {
    Value *value;              /* null: its definition was faulty */
    Span span;                 /* of the definition */
    bool visible;              /* its region is still open */
    int depth;                 /* of its region */
} Binding;

typedef struct Reader {
    Lexer lexer;
    Token token;               /* the current one */
    Arena *arena;
    Module *module;
    Diags *diags;
    uint32_t source;
    int errors, depth;
    int last;                  /* the diagnostic reported last, -1 if it was left out */
    Map dims, vars, funcs;     /* const DimPoly *, Var *, Func * */
    Map values, numbered;      /* of the function: Binding * by name and by number */
    VEC(Binding *) scope;      /* of the function, innermost region last */
    Func *func;
} Reader;

enum { READ_ERROR_LIMIT = 20, READ_DEPTH_LIMIT = 64 };

/* ------------------------------------------------------------ tokens (read.c) */

void reader_advance(Reader *r);
Span reader_span(const Reader *r);                     /* of the current token */
/* Reports at the span; always false. After READ_ERROR_LIMIT reports the text ends. */
bool reader_fail(Reader *r, DiagCode code, Span span, const char *format, ...) __attribute__((format(printf, 4, 5)));
/* Reports "expected WHAT" at the current token; always false. */
bool reader_expected(Reader *r, const char *what);
bool reader_at(const Reader *r, char punct);
/* Moves behind the punctuation if it is there. */
bool reader_take(Reader *r, char punct);
bool reader_expect(Reader *r, char punct);
bool reader_at_word(const Reader *r, const char *word);
bool reader_take_word(Reader *r, const char *word);
/* A token of that kind; *text is its text. */
bool reader_name(Reader *r, TokenKind kind, const char *what, const char **text);
/* [doc "text"] */
bool reader_doc(Reader *r, const char **doc);
/* To what was reported last. */
void reader_label(Reader *r, Span span, const char *text);
void reader_note(Reader *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Gives up a statement that began at byte `begin`: skips to the next line start with all braces opened
 * since closed, by one token at least. */
void reader_skip_statement(Reader *r, uint32_t begin);

/* ------------------------------------------------------------ declarations (read.c) */

/* name in lower..upper [= floor(dim / n)], into the module's dims and r->dims */
bool reader_dim_line(Reader *r);
/* @name : type [order [..]] [doc ".."] */
bool reader_var(Reader *r, VarKind kind);
/* A use of a variable: @name */
bool reader_var_name(Reader *r, Var **to);
/* What a function is to its module. */
typedef enum FuncRole { ROLE_EXPORTED, ROLE_INIT, ROLE_PREPARE } FuncRole;
/* @name(inputs) [dims(..)] [doc ".."]: a new function of the module, or its init function. */
bool reader_func_head(Reader *r, FuncRole role, Func **to);

/* ------------------------------------------------------------ types (read_type.c) */

bool reader_int(Reader *r, int64_t *to);
bool reader_float(Reader *r, double *to);
bool reader_dim(Reader *r, Dim *to);
/* number, name, (dim) or floor(dim / n) */
bool reader_dim_factor(Reader *r, Dim *to);
/* [name =] floor(dim / n): as dim_div_named. */
bool reader_quotient(Reader *r, const char *name, Dim *to);
bool reader_type(Reader *r, Type *to);
bool reader_attr(Reader *r, const char *key, AttrKind kind, Attr *to);

/* ------------------------------------------------------------ ops (read_op.c) */

/* Makes a name known in the current scope; value null marks a faulty definition. */
bool reader_bind(Reader *r, const Token *name, Value *value);
/* A use of a value; *to is null if its definition was faulty. */
bool reader_value(Reader *r, Value **to);
/* Ops up to (not including) `last`, the word that ends the region. */
void reader_ops(Reader *r, Region *region, const char *last);
/* Ends the scope of everything bound after the first `keep` bindings. */
void reader_close_scope(Reader *r, int keep);

#endif
