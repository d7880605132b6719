/* The author's means: sizes, values, statements. See author.h. */
#include "author.h"
#include "native.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int below(Author *a, int n) {
    return (int)(native_random(&a->random) * n);
}
bool chance(Author *a, int n) {
    return below(a, n) == 0;
}

static const char *print_list(Arena *arena, const char *format, va_list list) {
    char buffer[4096];
    vsnprintf(buffer, sizeof buffer, format, list);
    return arena_printf(arena, "%s", buffer);
}

const char *print(Author *a, const char *format, ...) {
    va_list list;
    va_start(list, format);
    const char *text = print_list(a->arena, format, list);
    va_end(list);
    return text;
}

/* ------------------------------------------------------------------------------ sizes */

Size size_of(Author *a, int n) {
    return (Size){print(a, "%d", n), n, n, false};
}
bool size_fixed(Size s) {
    return s.low == s.high;
}
bool size_equal(Size x, Size y) {
    return !strcmp(x.text, y.text);
}

Size size_sum(Author *a, Size x, int plus) {
    if (size_fixed(x)) return size_of(a, x.low + plus);
    if (!plus) return x;
    return (Size){print(a, "(%s%+d)", x.text, plus), x.low + plus, x.high + plus, x.late};
}

bool same_shape(const Known *x, const Known *y) {
    bool same = x->rank == y->rank;
    for (int i = 0; same && i < x->rank; i++) same = size_equal(x->shape[i], y->shape[i]);
    return same;
}

const char *shape_text(Author *a, const Known *k) {
    Text t = text_new(a->arena);
    for (int i = 0; i < k->rank; i++) text_add(&t, "%s%s", i ? ", " : "", k->shape[i].text);
    return text_get(&t);
}

bool is_small(const Known *k) {
    int64_t count = 1;
    for (int i = 0; i < k->rank; i++) count *= k->shape[i].high;
    return count <= MOST_ELEMENTS;
}

void drop_dim(Known *k, int axis) {
    k->rank--;
    for (int i = axis; i < k->rank; i++) k->shape[i] = k->shape[i + 1];
}

void insert_dim(Known *k, int axis, Size s) {
    for (int i = k->rank; i > axis; i--) k->shape[i] = k->shape[i - 1];
    k->shape[axis] = s;
    k->rank++;
}

/* ----------------------------------------------------------------------------- values */

bool is_f32(const Known *k) {
    return k->type == DTYPE_F32;
}
bool is_float(const Known *k) {
    return dtype_is_float(k->type);
}
bool is_f32_ranked(const Known *k) {
    return is_f32(k) && k->rank;
}
bool is_float_ranked(const Known *k) {
    return is_float(k) && k->rank;
}
bool is_f32_row(const Known *k) {
    return is_f32_ranked(k) && size_fixed(k->shape[k->rank - 1]);
}
bool is_f32_matrix(const Known *k) {
    return is_f32(k) && k->rank >= 2;
}
bool is_apart(const Known *k) {
    return is_float(k) && k->apart;
}
bool is_apart_ranked(const Known *k) {
    return is_apart(k) && k->rank;
}
bool is_int(const Known *k) {
    return dtype_is_int(k->type);
}
bool is_f32_fixed(const Known *k) {
    bool fixed = is_f32(k);
    for (int i = 0; i < k->rank; i++) fixed = fixed && size_fixed(k->shape[i]);
    return fixed;
}

Known value_at(Author *a, int number) {
    return a->values.at[number];
}

bool choose(Author *a, Wanted *wanted, Known *k) {
    bool fresh = !chance(a, 4);
    for (int tries = 0; tries < 2; tries++, fresh = false) {
        int found = 0;
        for (int i = 0; i < a->values.n; i++) {
            const Known *v = &a->values.at[i];
            if (!wanted(v) || (fresh && v->uses) || below(a, ++found)) continue;
            *k = *v;
        }
        if (found) return true;
    }
    return false;
}

Known partner(Author *a, Known x) {
    int found = 0;
    Known best = x;
    for (int i = 0; i < a->values.n; i++) {
        const Known *v = &a->values.at[i];
        if (v->number != x.number && v->type == x.type && same_shape(v, &x) && !below(a, ++found)) best = *v;
    }
    return best;
}

/* ------------------------------------------------------------------------- statements */

void visit_names(const char *text, NameVisitor *visit, void *user) {
    for (const char *at = text; *at; at++) {
        bool begins = at == text || !(isalnum((unsigned char)at[-1]) || at[-1] == '_');
        if (!begins || !strchr("vmst", *at) || !isdigit((unsigned char)at[1])) continue;
        char *end;
        int number = (int)strtol(at + 1, &end, 10);
        if (!isalnum((unsigned char)*end) && *end != '_') visit(user, *at, number);
    }
}

typedef struct Reads {
    Author *author;
    uint64_t on;
} Reads;

static void read_name(void *user, char letter, int number) {
    Reads *r = user;
    if (letter == 'm' && number < 48) r->on |= (uint64_t)1 << number;
    if (letter != 'v') return;
    Known *k = &r->author->values.at[number];
    k->uses++;
    r->on |= k->on;
}

static Known *define(Author *a, const Known *like, int count, const char *text) {
    Reads r = {.author = a};
    visit_names(text, read_name, &r);
    Text t = text_new(a->arena);
    int first = a->values.n;
    text_add(&t, "        let ");
    for (int i = 0; i < count; i++) {
        Known k = like[i];
        k.number = first + i;
        k.apart = k.argument = false;
        k.uses = 0;
        k.on = dtype_is_float(k.type) ? r.on : 0;
        vec_push(a->arena, &a->values, k);
        text_add(&t, "%sv%d", i ? ", " : "", k.number);
    }
    text_add(&t, " = %s\n", text);
    vec_push(a->arena, &a->code, (Piece){.text = text_get(&t), .first = first, .count = count});
    return &a->values.at[first];
}

Known *let(Author *a, Known like, const char *format, ...) {
    va_list list;
    va_start(list, format);
    const char *text = print_list(a->arena, format, list);
    va_end(list);
    return define(a, &like, 1, text);
}

Known *let_several(Author *a, const Known *like, int count, const char *format, ...) {
    va_list list;
    va_start(list, format);
    const char *text = print_list(a->arena, format, list);
    va_end(list);
    return define(a, like, count, text);
}

void say(Author *a, const char *format, ...) {
    va_list list;
    va_start(list, format);
    const char *text = print_list(a->arena, format, list);
    va_end(list);
    Reads r = {.author = a};
    visit_names(text, read_name, &r);
    vec_push(a->arena, &a->code, (Piece){.text = print(a, "        %s\n", text), .checks = true});
}

static int add_member(Author *a, const char *format, va_list list) {
    const char *text = print_list(a->arena, format, list);
    vec_push(a->arena, &a->members, (Piece){.text = print(a, "    %s\n", text), .first = a->member_count});
    return a->member_count++;
}

int learn(Author *a, const char *format, ...) {
    va_list list;
    va_start(list, format);
    int number = add_member(a, format, list);
    va_end(list);
    vec_push(a->arena, &a->learned, number);
    return number;
}

int member(Author *a, const char *format, ...) {
    va_list list;
    va_start(list, format);
    int number = add_member(a, format, list);
    va_end(list);
    return number;
}

int top(Author *a, const char *format, ...) {
    va_list list;
    va_start(list, format);
    const char *text = print_list(a->arena, format, list);
    va_end(list);
    vec_push(a->arena, &a->tops, (Piece){.text = print(a, "%s\n", text), .first = a->top_count});
    return a->top_count++;
}
