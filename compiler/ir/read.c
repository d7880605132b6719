/* Reads graph IR: modules, variables and functions; see read.h and reader.h. */
#include "ir/reader.h"
#include "ir/print.h"
#include "ir/verify.h"

/* ------------------------------------------------------------------------ tokens */

Span reader_span(const Reader *r) { return (Span){r->source, r->token.begin, r->token.end}; }

bool reader_fail(Reader *r, DiagCode code, Span span, const char *format, ...) {
    r->last = -1;
    if (r->errors >= READ_ERROR_LIMIT) return false;
    va_list args;
    va_start(args, format);
    r->last = diag_report(r->diags, code, span, "%s", arena_vprintf(r->arena, format, args));
    va_end(args);
    if (++r->errors >= READ_ERROR_LIMIT) {
        r->lexer.at = r->lexer.length;
        r->token = (Token){.kind = TOKEN_END, .begin = r->lexer.length, .end = r->lexer.length, .starts_line = true};
    }
    return false;
}

void reader_label(Reader *r, Span span, const char *text) {
    if (r->last >= 0) diag_label(r->diags, r->last, span, "%s", text);
}

void reader_note(Reader *r, const char *format, ...) {
    va_list args;
    va_start(args, format);
    if (r->last >= 0) diag_note(r->diags, r->last, "%s", arena_vprintf(r->arena, format, args));
    va_end(args);
}

bool reader_expected(Reader *r, const char *what) {
    const Token *t = &r->token;
    enum { SHOWN = 40 };
    int length = t->end - t->begin > SHOWN ? SHOWN : (int)(t->end - t->begin);
    if (t->kind == TOKEN_BAD) return reader_fail(r, DL0601, reader_span(r), "%s", t->text);
    if (t->kind == TOKEN_END) return reader_fail(r, DL0601, reader_span(r), "expected %s, but the text ends", what);
    return reader_fail(r, DL0601, reader_span(r), "expected %s, not %.*s", what, length, r->lexer.text + t->begin);
}

void reader_advance(Reader *r) { r->token = lexer_next(&r->lexer); }

bool reader_at(const Reader *r, char punct) { return r->token.kind == PUNCT(punct); }

bool reader_take(Reader *r, char punct) {
    if (!reader_at(r, punct)) return false;
    reader_advance(r);
    return true;
}

bool reader_expect(Reader *r, char punct) { return reader_take(r, punct) || reader_expected(r, (char[2]){punct, 0}); }

bool reader_at_word(const Reader *r, const char *word) {
    return r->token.kind == TOKEN_WORD && !strcmp(r->token.text, word);
}

bool reader_take_word(Reader *r, const char *word) {
    if (!reader_at_word(r, word)) return false;
    reader_advance(r);
    return true;
}

bool reader_name(Reader *r, TokenKind kind, const char *what, const char **text) {
    if (r->token.kind != (int)kind) return reader_expected(r, what);
    *text = r->token.text;
    reader_advance(r);
    return true;
}

bool reader_doc(Reader *r, const char **doc) {
    return !reader_take_word(r, "doc") || reader_name(r, TOKEN_TEXT, "a text in quotes", doc);
}

void reader_skip_statement(Reader *r, uint32_t begin) {
    int open = 0;
    if (r->token.begin == begin) reader_advance(r);
    while (r->token.kind != TOKEN_END) {
        if (r->token.starts_line && open <= 0) return;
        open += reader_at(r, '{') - (reader_at(r, '}') && open > 0);
        reader_advance(r);
    }
}

/* ------------------------------------------------------------ dims and variables */

static bool read_bounds(Reader *r, int64_t *lower, int64_t *upper) {
    if (!reader_take_word(r, "in")) return reader_expected(r, "in");
    Span span = reader_span(r);
    if (!reader_int(r, lower)) return false;
    if (r->token.kind != TOKEN_RANGE) return reader_expected(r, "..");
    reader_advance(r);
    if (!reader_int(r, upper)) return false;
    return *lower <= *upper || reader_fail(r, DL0608, span, "the bounds hold no number");
}

/* dim name in lower..upper [= floor(dim / n)] */
bool reader_dim_line(Reader *r) {
    DimTable *t = &r->module->dims;
    Token name = r->token;
    Span span = reader_span(r);
    int64_t lower = 0, upper = 0;
    if (name.kind != TOKEN_WORD && name.kind != TOKEN_TEXT) return reader_expected(r, "a dim's name");
    if (map_get(&r->dims, name.text) || dim_find(t, name.text))
        return reader_fail(r, DL0604, span, "dim %s is declared already", name.text);
    reader_advance(r);
    if (!read_bounds(r, &lower, &upper)) return false;
    Dim dim;
    if (reader_take(r, '=')) {
        if (!reader_quotient(r, name.text, &dim)) return false;
        if (dim->lower != lower || dim->upper != upper)
            return reader_fail(r, DL0606, span, "dim %s is in %lld..%lld by its definition", name.text,
                               (long long)dim->lower, (long long)dim->upper);
    } else {
        if (lower < 0) return reader_fail(r, DL0608, span, "dim %s may be negative", name.text);
        dim = dim_symbol(t, name.text, lower, upper);
    }
    map_set(&r->dims, name.text, (void *)dim);
    return true;
}

static bool read_order(Reader *r, Var *v) {
    Attr order;
    Span span = reader_span(r);
    if (!reader_take_word(r, "order")) return true;
    if (!reader_attr(r, "order", ATTR_INTS, &order)) return false;
    if (order.n != v->type.rank) return reader_fail(r, DL0608, span, "the order has another rank than the type");
    for (int i = 0; i < order.n; i++) {
        if (order.ints[i] < 0 || order.ints[i] >= order.n)
            return reader_fail(r, DL0608, span, "the order names dim %lld of %d", (long long)order.ints[i], order.n);
        v->order[i] = (int)order.ints[i];
    }
    return true;
}

static bool read_split(Reader *r, Var *v) {
    if (!reader_take_word(r, "split")) return true;
    return reader_int(r, &v->split);
}

/* The parameter a slot belongs to. */
static bool read_owner(Reader *r, Var *v) {
    Span span = reader_span(r);
    if (!reader_take_word(r, "of")) return true;
    if (!reader_var_name(r, &v->of)) return false;
    if (v->of->kind == VAR_PARAM && v->kind == VAR_SLOT && shape_equal(v->of->type.rank, v->of->type.shape, v->type.rank, v->type.shape))
        return true;
    return reader_fail(r, DL0606, span, "@%s cannot be state of @%s: a slot belongs to a parameter of its shape",
                       v->name, v->of->name);
}

/* slot @name : type [of @parameter] [order [..]] [split n] [doc ".."] */
bool reader_var(Reader *r, VarKind kind) {
    Span span = reader_span(r);
    const char *name;
    Type type;
    if (!reader_name(r, TOKEN_GLOBAL, "a variable's name (@name)", &name)) return false;
    if (map_get(&r->vars, name)) return reader_fail(r, DL0604, span, "variable @%s is declared already", name);
    if (!reader_expect(r, ':') || !reader_type(r, &type)) return false;
    Var *v = module_add_var(r->module, kind, name, type);
    v->span = span;
    map_set(&r->vars, name, v);
    return read_owner(r, v) && read_order(r, v) && read_split(r, v) && reader_doc(r, &v->doc);
}

bool reader_var_name(Reader *r, Var **to) {
    Span span = reader_span(r);
    const char *name;
    if (!reader_name(r, TOKEN_GLOBAL, "a variable's name (@name)", &name)) return false;
    *to = map_get(&r->vars, name);
    return *to || reader_fail(r, DL0603, span, "no variable is called @%s", name);
}

/* --------------------------------------------------------------------- functions */

static bool read_port(Reader *r, Port *port) {
    if (reader_take_word(r, "arg")) {
        port->kind = PORT_ARG;
        return reader_name(r, TOKEN_TEXT, "the argument's name in quotes", &port->name) && reader_doc(r, &port->doc);
    }
    if (reader_take_word(r, "var")) {
        port->kind = PORT_VAR;
        return reader_var_name(r, &port->var) && reader_doc(r, &port->doc);
    }
    port->name = r->token.text;
    if (reader_take_word(r, "seed")) port->kind = PORT_SEED;
    else if (reader_take_word(r, "count")) port->kind = PORT_COUNT;
    else return reader_expected(r, "arg, var, seed or count");
    return reader_doc(r, &port->doc);
}

/* (%x: type = arg "x" doc "..", ...) */
static bool read_inputs(Reader *r, Func *f) {
    if (!reader_expect(r, '(')) return false;
    while (!reader_at(r, ')')) {
        Type type;
        Port port = {0};
        if (f->inputs.n && !reader_expect(r, ',')) return false;
        Token name = r->token;
        port.span = reader_span(r);
        if (name.kind != TOKEN_VALUE && name.kind != TOKEN_NUMBERED) return reader_expected(r, "an input (%name)");
        reader_advance(r);
        if (!reader_expect(r, ':') || !reader_type(r, &type) || !reader_expect(r, '=') || !read_port(r, &port))
            return false;
        Value *v = func_add_input(f, port, type);
        v->name = NULL;
        if (!reader_bind(r, &name, v)) return false;
    }
    reader_advance(r);
    return true;
}

/* [dims(B, T)] */
static bool read_signature_dims(Reader *r, Func *f) {
    if (!reader_take_word(r, "dims")) return true;
    if (!reader_expect(r, '(')) return false;
    do {
        Token name = r->token;
        if (name.kind != TOKEN_WORD && name.kind != TOKEN_TEXT) return reader_expected(r, "a dim's name");
        DimSymbol *s = dim_find(&r->module->dims, name.text);
        if (!s || s->of)
            return reader_fail(r, DL0603, reader_span(r), "%s is no declared free dim", name.text);
        for (int i = 0; i < f->dims.n; i++)
            if (f->dims.at[i] == s) return reader_fail(r, DL0604, reader_span(r), "dim %s is bound twice", name.text);
        vec_push(r->arena, &f->dims, s);
        reader_advance(r);
    } while (reader_take(r, ','));
    return reader_expect(r, ')');
}

static bool read_result(Reader *r, Func *f) {
    Value *value;
    Result result = {0};
    if (!reader_value(r, &value)) return false;
    if (reader_take_word(r, "as") && !reader_name(r, TOKEN_TEXT, "the result's name in quotes", &result.name))
        return false;
    if (r->token.kind == TOKEN_ARROW) {
        reader_advance(r);
        if (!reader_var_name(r, &result.var)) return false;
    }
    if (!reader_doc(r, &result.doc)) return false;
    func_add_result(f, result, value);
    return true;
}

/* return %x [as "x"] [-> @var] [doc ".."], ... */
static bool read_results(Reader *r, Func *f) {
    if (!reader_take_word(r, "return")) return reader_expected(r, "return");
    if (reader_at(r, '}')) return true;
    do {
        if (!read_result(r, f)) return false;
    } while (reader_take(r, ','));
    return true;
}

static bool read_body(Reader *r, Func *f) {
    if (!reader_expect(r, '{')) return false;
    reader_ops(r, f->body, "return");
    if (read_results(r, f)) return reader_expect(r, '}');
    while (r->token.kind != TOKEN_END && !(r->token.starts_line && reader_at(r, '}'))) reader_advance(r);
    return reader_take(r, '}');
}

bool reader_func_head(Reader *r, FuncRole role, Func **to) {
    Span span = reader_span(r);
    const char *name;
    if (!reader_name(r, TOKEN_GLOBAL, "a function's name (@name)", &name)) return false;
    bool exported = role == ROLE_EXPORTED;
    Func **special = role == ROLE_INIT ? &r->module->init : &r->module->prepare;
    if (exported && map_get(&r->funcs, name)) return reader_fail(r, DL0604, span, "function @%s exists already", name);
    if (!exported && *special)
        return reader_fail(r, DL0604, span, "there is %s function already", role == ROLE_INIT ? "an init" : "a prepare");
    Func *f = exported ? module_add_func(r->module, name) : func_new(r->module, name);
    if (exported) map_set(&r->funcs, name, f);
    else *special = f;
    f->span = span;
    r->func = f;
    r->values = map_new(r->arena);
    r->numbered = map_new(r->arena);
    *to = f;
    return read_inputs(r, f) && read_signature_dims(r, f) && reader_doc(r, &f->doc);
}

static bool read_func(Reader *r, FuncRole role) {
    Func *f;
    bool good = reader_func_head(r, role, &f) && read_body(r, f);
    r->scope.n = 0;
    return good;
}

/* ------------------------------------------------------------------------ module */

static bool at_declaration(const Reader *r) {
    static const char *const words[] = {"dim", "param", "state", "slot", "cache", "prepared", "func", "init", "prepare"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (r->token.starts_line && reader_at_word(r, words[i])) return true;
    return false;
}

static bool read_declaration(Reader *r) {
    if (reader_take_word(r, "dim")) return reader_dim_line(r);
    for (int kind = VAR_PARAM; kind <= VAR_PREPARED; kind++)
        if (reader_take_word(r, var_kind_name((VarKind)kind))) return reader_var(r, (VarKind)kind);
    if (reader_take_word(r, "func")) return read_func(r, ROLE_EXPORTED);
    bool init = reader_take_word(r, "init");
    if (init || reader_take_word(r, "prepare")) {
        if (!reader_take_word(r, "func")) return reader_expected(r, "func");
        return read_func(r, init ? ROLE_INIT : ROLE_PREPARE);
    }
    return reader_expected(r, "dim, param, state, slot, cache, prepared, func, init func or prepare func");
}

static void read_module(Reader *r) {
    Module *m = r->module;
    bool good = reader_take_word(r, "module") || reader_expected(r, "module @name");
    good = good && reader_name(r, TOKEN_GLOBAL, "the module's name (@name)", &m->name) && reader_doc(r, &m->doc);
    if (!good) reader_skip_statement(r, r->lexer.length);
    while (r->token.kind != TOKEN_END) {
        uint32_t begin = r->token.begin;
        if (read_declaration(r)) continue;
        if (r->token.begin == begin) reader_advance(r);
        while (r->token.kind != TOKEN_END && !at_declaration(r)) reader_advance(r);
    }
}

Module *module_read(Arena *arena, Interner *names, Diags *diags, uint32_t source) {
    const Source *s = &diags->sources.at[source];
    Reader r = {.arena = arena, .diags = diags, .source = source, .module = module_new(arena, names, diags, "")};
    enum { LONGEST = 1 << 30 };
    if (s->length > LONGEST) {
        reader_fail(&r, DL0608, (Span){source, 0, 0}, "the text is longer than 1 GiB");
        return NULL;
    }
    r.lexer = (Lexer){.names = names, .arena = arena, .text = s->text, .length = (uint32_t)s->length};
    r.dims = map_new(arena);
    r.vars = map_new(arena);
    r.funcs = map_new(arena);
    reader_advance(&r);
    read_module(&r);
    if (r.errors) return NULL;
    FaultList faults = {0};
    if (!module_verify(r.module, arena, &faults)) return r.module;
    faults_report(r.module, &faults, "IR text");
    return NULL;
}
