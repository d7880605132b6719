/* Reads dims, types and attribute values: see reader.h. */
#include "ir/reader.h"
#include "ir/verify.h"

#include <stdlib.h>

static Span from_to(const Reader *r, uint32_t begin, uint32_t end) { return (Span){r->source, begin, end}; }

bool reader_int(Reader *r, int64_t *to) {
    Span span = reader_span(r);
    bool negative = reader_take(r, '-');
    if (r->token.kind != TOKEN_INT) return reader_expected(r, "an integer");
    uint64_t magnitude = r->token.magnitude, most = (uint64_t)INT64_MAX + negative;
    if (magnitude > most)
        return reader_fail(r, DL0608, span_join(span, reader_span(r)), "integer does not fit in 64 bits");
    *to = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
    reader_advance(r);
    return true;
}

bool reader_float(Reader *r, double *to) {
    double sign = reader_take(r, '-') ? -1 : 1;
    bool word = reader_at_word(r, "inf") || reader_at_word(r, "nan");
    if (!word && r->token.kind != TOKEN_INT && r->token.kind != TOKEN_FLOAT) return reader_expected(r, "a number");
    *to = sign * strtod(r->token.text, NULL);
    reader_advance(r);
    return true;
}

/* -------------------------------------------------------------------------- dims */

static bool read_symbol(Reader *r, const char *name, Span span, Dim *to) {
    *to = map_get(&r->dims, name);
    return *to || reader_fail(r, DL0603, span, "no dim is called %s", name);
}

static bool read_quotient_tail(Reader *r, const char *name, Dim *to) {
    Dim of;
    int64_t divisor;
    if (!reader_expect(r, '(') || !reader_dim(r, &of) || !reader_expect(r, '/')) return false;
    Span span = reader_span(r);
    if (!reader_int(r, &divisor)) return false;
    if (divisor <= 0) return reader_fail(r, DL0608, span, "the divisor of a dim must be positive");
    *to = dim_div_named(&r->module->dims, of, divisor, name);
    return reader_expect(r, ')');
}

bool reader_quotient(Reader *r, const char *name, Dim *to) {
    if (!reader_take_word(r, "floor")) return reader_expected(r, "floor(");
    return read_quotient_tail(r, name, to);
}

/* number, name, (sum), floor(sum / number) */
bool reader_dim_factor(Reader *r, Dim *to) {
    Token name = r->token;
    Span span = reader_span(r);
    int64_t value;
    switch (name.kind) {
    case TOKEN_INT:
        if (!reader_int(r, &value)) return false;
        *to = dim_const(&r->module->dims, value);
        return true;
    case TOKEN_WORD:
    case TOKEN_TEXT:
        reader_advance(r);
        if (reader_at(r, '(') && !strcmp(name.text, "floor")) return read_quotient_tail(r, NULL, to);
        return read_symbol(r, name.text, span, to);
    case PUNCT('('):
        reader_advance(r);
        return reader_dim(r, to) && reader_expect(r, ')');
    default: return reader_expected(r, "a dim");
    }
}

static bool read_product(Reader *r, Dim *to) {
    Dim factor;
    if (!reader_dim_factor(r, to)) return false;
    while (reader_take(r, '*')) {
        if (!reader_dim_factor(r, &factor)) return false;
        *to = dim_mul(&r->module->dims, *to, factor);
    }
    return true;
}

static bool read_sum(Reader *r, Dim *to) {
    DimTable *t = &r->module->dims;
    Dim term;
    bool negative = reader_take(r, '-');
    if (!read_product(r, to)) return false;
    if (negative) *to = dim_sub(t, dim_const(t, 0), *to);
    while (reader_at(r, '+') || reader_at(r, '-')) {
        bool minus = reader_take(r, '-') || !reader_take(r, '+');
        if (!read_product(r, &term)) return false;
        *to = minus ? dim_sub(t, *to, term) : dim_add(t, *to, term);
    }
    return true;
}

bool reader_dim(Reader *r, Dim *to) {
    uint32_t begin = r->token.begin;
    if (r->depth >= READ_DEPTH_LIMIT) return reader_fail(r, DL0608, reader_span(r), "dim nested too deep");
    r->depth++;
    bool good = read_sum(r, to);
    r->depth--;
    if (good && dim_overflowed(*to)) good = reader_fail(r, DL0608, from_to(r, begin, r->token.begin), "dim too large");
    return good;
}

/* ------------------------------------------------------------------------- types */

bool reader_type(Reader *r, Type *to) {
    Span span = reader_span(r);
    DType dtype;
    if (r->token.kind != TOKEN_WORD) return reader_expected(r, "a type");
    if (!dtype_parse(r->token.text, &dtype)) {
        const char *names[DTYPE_COUNT];
        for (int i = 0; i < DTYPE_COUNT; i++) names[i] = dtype_name((DType)i);
        const char *near = nearest_name(r->token.text, names, DTYPE_COUNT);
        reader_fail(r, DL0603, span, "no element type is called %s", r->token.text);
        if (near && r->last >= 0) diag_hint(r->diags, r->last, "is it to be %s?", near);
        return false;
    }
    reader_advance(r);
    Dim shape[MAX_RANK];
    int rank = 0;
    if (reader_take(r, '[')) {
        do {
            if (rank == MAX_RANK) return reader_fail(r, DL0608, reader_span(r), "more than %d dims", MAX_RANK);
            if (!reader_dim(r, &shape[rank++])) return false;
        } while (reader_take(r, ','));
        if (!reader_expect(r, ']')) return false;
    }
    *to = type_make(r->module, dtype, rank, shape);
    const char *why = type_check(r->module, *to);
    return !why || reader_fail(r, DL0608, span, "%s", why);
}

/* -------------------------------------------------------------------- attributes */

/* [a, b, ...]; item reads one into the list. */
#define READ_LIST(Item, read_item, make)                                                                               \
    do {                                                                                                               \
        VEC(Item) list = {0};                                                                                          \
        Item item = 0;                                                                                                 \
        if (!reader_expect(r, '[')) return false;                                                                      \
        while (!reader_at(r, ']')) {                                                                                   \
            if (list.n && !reader_expect(r, ',')) return false;                                                        \
            if (!read_item(r, &item)) return false;                                                                    \
            vec_push(r->arena, &list, item);                                                                           \
        }                                                                                                              \
        reader_advance(r);                                                                                             \
        *to = make(r->module, key, list.at, list.n);                                                                   \
        return true;                                                                                                   \
    } while (0)

bool reader_attr(Reader *r, const char *key, AttrKind kind, Attr *to) {
    Module *m = r->module;
    int64_t i;
    double f;
    const char *text;
    DType dtype;
    switch (kind) {
    case ATTR_INT:
        if (!reader_int(r, &i)) return false;
        *to = attr_int(m, key, i);
        return true;
    case ATTR_FLOAT:
        if (!reader_float(r, &f)) return false;
        *to = attr_float(m, key, f);
        return true;
    case ATTR_TEXT:
        if (!reader_name(r, TOKEN_TEXT, "a text in quotes", &text)) return false;
        *to = attr_text(m, key, text);
        return true;
    case ATTR_DTYPE:
        if (r->token.kind != TOKEN_WORD || !dtype_parse(r->token.text, &dtype))
            return reader_expected(r, "an element type");
        reader_advance(r);
        *to = attr_dtype(m, key, dtype);
        return true;
    case ATTR_INTS: READ_LIST(int64_t, reader_int, attr_ints);
    case ATTR_FLOATS: READ_LIST(double, reader_float, attr_floats);
    case ATTR_DIMS: READ_LIST(Dim, reader_dim, attr_dims);
    }
    return false;
}
