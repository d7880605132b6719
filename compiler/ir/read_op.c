/* Reads ops and regions: see reader.h. */
#include "ir/reader.h"
#include "ir/op.h"
#include "ir/verify.h"

/* ------------------------------------------------------------------------ values */

static Map *names_of(Reader *r, const Token *name) {
    return name->kind == TOKEN_NUMBERED ? &r->numbered : &r->values;
}

bool reader_bind(Reader *r, const Token *name, Value *value) {
    Map *names = names_of(r, name);
    Span span = {r->source, name->begin, name->end};
    Binding *old = map_get(names, name->text);
    if (old && old->visible) {
        reader_fail(r, DL0604, span, "%%%s is defined already", name->text);
        reader_label(r, old->span, "the first definition");
        return false;
    }
    Binding *b = arena_new(r->arena, Binding);
    *b = (Binding){value, span, true, r->depth};
    map_set(names, name->text, b);
    vec_push(r->arena, &r->scope, b);
    if (value && name->kind == TOKEN_VALUE) value->name = name->text;
    return true;
}

bool reader_value(Reader *r, Value **to) {
    Token name = r->token;
    if (name.kind != TOKEN_VALUE && name.kind != TOKEN_NUMBERED) return reader_expected(r, "a value (%name)");
    const Binding *b = map_get(names_of(r, &name), name.text);
    if (!b) return reader_fail(r, DL0603, reader_span(r), "no value is called %%%s here", name.text);
    if (!b->visible) {
        reader_fail(r, DL0603, reader_span(r), "%%%s is not visible here", name.text);
        reader_label(r, b->span, "defined in a region that has ended");
        return false;
    }
    if (b->depth != r->depth) {
        reader_fail(r, DL0603, reader_span(r), "%%%s is outside of this region, which reads its parameters alone",
                    name.text);
        reader_label(r, b->span, "defined here");
        return false;
    }
    *to = b->value;
    reader_advance(r);
    return true;
}

void reader_close_scope(Reader *r, int keep) {
    while (r->scope.n > keep) r->scope.at[--r->scope.n]->visible = false;
}

/* -------------------------------------------------------------------- attributes */

typedef VEC(Attr) AttrList;
typedef VEC(Value *) ValueList;
typedef VEC(Token) TokenList;
typedef VEC(Type) TypeList;

/* What one op is read into before it is made. */
typedef struct Draft {
    const OpInfo *info;
    Span span;
    TokenList names;
    ValueList operands;
    AttrList attrs;
    TypeList types;
    bool poisoned;             /* an operand's definition was faulty */
} Draft;

static const AttrSpec *find_spec(const OpInfo *info, const char *key) {
    for (const AttrSpec *spec = info->attrs; spec && spec->key; spec++)
        if (!strcmp(spec->key, key)) return spec;
    return NULL;
}

static bool read_attr(Reader *r, Draft *d) {
    Span span = reader_span(r);
    const char *key;
    if (!reader_name(r, TOKEN_WORD, "an attribute's name", &key)) return false;
    const AttrSpec *spec = find_spec(d->info, key);
    if (!spec) {
        reader_fail(r, DL0607, span, "%s has no attribute %s", d->info->name, key);
        for (spec = d->info->attrs; spec && spec->key; spec++)
            reader_note(r, "it has %s%s", spec->key, spec->optional ? " (optional)" : "");
        return false;
    }
    for (int i = 0; i < d->attrs.n; i++)
        if (!strcmp(d->attrs.at[i].key, key)) return reader_fail(r, DL0607, span, "%s is given twice", key);
    Attr attr;
    if (!reader_expect(r, '=') || !reader_attr(r, key, spec->kind, &attr)) return false;
    vec_push(r->arena, &d->attrs, attr);
    return true;
}

/* { key = value, ... }, brought into the table's order. */
static bool read_attrs(Reader *r, Draft *d) {
    if (!reader_take(r, '{')) return true;
    while (!reader_at(r, '}')) {
        if (d->attrs.n && !reader_expect(r, ',')) return false;
        if (!read_attr(r, d)) return false;
    }
    reader_advance(r);
    AttrList sorted = {0};
    for (const AttrSpec *spec = d->info->attrs; spec && spec->key; spec++)
        for (int i = 0; i < d->attrs.n; i++)
            if (!strcmp(d->attrs.at[i].key, spec->key)) vec_push(r->arena, &sorted, d->attrs.at[i]);
    d->attrs = sorted;
    return true;
}

/* --------------------------------------------------------------------------- ops */

static bool read_result_names(Reader *r, Draft *d) {
    if (r->token.kind != TOKEN_VALUE && r->token.kind != TOKEN_NUMBERED) return true;
    do {
        if (r->token.kind != TOKEN_VALUE && r->token.kind != TOKEN_NUMBERED)
            return reader_expected(r, "a result's name (%name)");
        vec_push(r->arena, &d->names, r->token);
        reader_advance(r);
    } while (reader_take(r, ','));
    return reader_expect(r, '=');
}

static bool read_operator(Reader *r, Draft *d) {
    if (r->token.kind != TOKEN_WORD) return reader_expected(r, "an operator's name");
    d->info = op_find(r->token.text);
    if (!d->info) {
        int count;
        const OpInfo *const *table = op_table(&count);
        const char **names = arena_array(r->arena, const char *, count);
        for (int i = 0; i < count; i++) names[i] = table[i]->name;
        const char *near = nearest_name(r->token.text, names, count);
        reader_fail(r, DL0603, reader_span(r), "no operator is called %s", r->token.text);
        if (near && r->last >= 0) diag_hint(r->diags, r->last, "is it to be %s?", near);
        return false;
    }
    reader_advance(r);
    return true;
}

static bool read_operands(Reader *r, Draft *d) {
    if (r->token.kind != TOKEN_VALUE && r->token.kind != TOKEN_NUMBERED) return true;
    if (r->token.starts_line) return true;
    do {
        Value *x;
        if (!reader_value(r, &x)) return false;
        d->poisoned = d->poisoned || !x;
        vec_push(r->arena, &d->operands, x);
    } while (reader_take(r, ','));
    return true;
}

static bool read_result_types(Reader *r, Draft *d) {
    if (!d->names.n) return true;
    if (!reader_expect(r, ':')) return false;
    do {
        Type type;
        if (!reader_type(r, &type)) return false;
        vec_push(r->arena, &d->types, type);
    } while (reader_take(r, ','));
    if (d->types.n == d->names.n) return true;
    return reader_fail(r, DL0606, d->span, "%d results, but %d types", d->names.n, d->types.n);
}

static bool read_params(Reader *r, Region *region) {
    if (!reader_expect(r, '(')) return false;
    while (!reader_at(r, ')')) {
        Type type;
        if (region->params.n && !reader_expect(r, ',')) return false;
        Token name = r->token;
        if (name.kind != TOKEN_VALUE && name.kind != TOKEN_NUMBERED) return reader_expected(r, "a parameter (%name)");
        reader_advance(r);
        if (!reader_expect(r, ':') || !reader_type(r, &type)) return false;
        if (!reader_bind(r, &name, region_add_param(r->module, region, type, NULL))) return false;
    }
    reader_advance(r);
    return true;
}

/* yield %x, ... ; *poisoned if one of them is. */
static bool read_yields(Reader *r, Region *region, bool *poisoned) {
    if (!reader_take_word(r, "yield")) {
        reader_expected(r, "yield");
        reader_take(r, '}');
        return false;
    }
    bool more = !r->token.starts_line && !reader_at(r, '}');
    while (more) {
        Value *x;
        if (!reader_value(r, &x)) return false;
        *poisoned = *poisoned || !x;
        vec_push(r->arena, &region->yields, x);
        more = reader_take(r, ',');
    }
    return reader_expect(r, '}');
}

static bool read_region(Reader *r, Region *region, bool *poisoned) {
    if (r->depth >= READ_DEPTH_LIMIT) return reader_fail(r, DL0608, reader_span(r), "regions nested too deep");
    int keep = r->scope.n;
    r->depth++;
    bool good = read_params(r, region) && reader_expect(r, '{');
    if (good) {
        reader_ops(r, region, "yield");
        good = read_yields(r, region, poisoned);
    }
    r->depth--;
    reader_close_scope(r, keep);
    return good;
}

/* Checks the op against its row and its declared types. */
static bool check_op(Reader *r, Op *op, const Draft *d) {
    OpFault sort;
    const char *why = op_infer(r->module, op, &sort);
    if (why) {
        reader_fail(r, DL0605, d->span, "%s: %s", op->info->name, why);
        for (int i = 0; i < op->operand_count && sort != FAULT_FORM; i++)
            reader_note(r, "operand %d has type %s", i, type_text(&r->module->dims, op->operands[i]->type, r->arena));
        return false;
    }
    for (int i = 0; i < op->result_count; i++) {
        if (type_equal(op->results[i].type, d->types.at[i])) continue;
        return reader_fail(r, DL0606, d->span, "%%%s is declared as %s, but the operator gives %s",
                           d->names.at[i].text, type_text(&r->module->dims, d->types.at[i], r->arena),
                           type_text(&r->module->dims, op->results[i].type, r->arena));
    }
    return true;
}

static bool read_draft(Reader *r, Draft *d) {
    d->span = reader_span(r);
    if (!read_result_names(r, d) || !read_operator(r, d) || !read_operands(r, d) || !read_attrs(r, d)) return false;
    if (!read_result_types(r, d)) return false;
    d->span = (Span){r->source, d->span.begin, r->token.begin};
    while (d->span.end > d->span.begin && strchr(" \n\t\r", r->lexer.text[d->span.end - 1])) d->span.end--;
    return true;
}

enum { MOST_REGIONS = 2 };

/* Reads the regions an op has, or if its row leaves that open, those that are there. */
static bool read_regions(Reader *r, Op *op, bool *poisoned) {
    int least = op->info->region_count < 0 ? 1 : op->info->region_count;
    for (int i = 0; i < op->region_count; i++) {
        if (i >= least && !reader_at(r, '(')) {
            op->region_count = i;
            break;
        }
        if (!read_region(r, op->regions[i], poisoned)) return false;
    }
    if (op->region_count) op_reserve_results(r->module, op, op_residual_room(op));
    return true;
}

/* Makes the op of a draft, reads its regions and checks it; *made is null if it is no good. */
static bool make_op(Reader *r, Region *region, const Draft *d, Op **made) {
    bool poisoned = d->poisoned;
    Op *op = op_append(r->module, region, d->info, d->operands.at, d->operands.n, d->names.n, d->attrs.at, d->attrs.n,
                       d->info->region_count < 0 ? MOST_REGIONS : d->info->region_count, d->span);
    for (int i = 0; i < op->result_count; i++) op->results[i].type = d->types.at[i];
    if (!read_regions(r, op, &poisoned)) return false;
    poisoned = poisoned || (op->region_count && r->errors);
    if (!poisoned && check_op(r, op, d)) *made = op;
    return true;
}

static void read_op(Reader *r, Region *region) {
    Draft d = {0};
    Op *op = NULL;
    uint32_t begin = r->token.begin;
    bool good = read_draft(r, &d) && make_op(r, region, &d, &op);
    if (good && !r->token.starts_line && !reader_at(r, '}')) good = reader_expected(r, "the end of the line");
    if (!good) reader_skip_statement(r, begin);
    for (int i = 0; i < d.names.n; i++) reader_bind(r, &d.names.at[i], op ? &op->results[i] : NULL);
}

void reader_ops(Reader *r, Region *region, const char *last) {
    while (r->token.kind != TOKEN_END && !reader_at_word(r, last) && !reader_at(r, '}')) read_op(r, region);
}
