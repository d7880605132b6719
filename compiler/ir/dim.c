/* Dims: see dim.h.
 *
 * A polynomial is built as a list of terms in a Terms, brought into normal form (sorted, like terms added,
 * zeros dropped) and interned by hash. floor(a / d) is split into whole parts and a remainder with
 * coefficients below d, shortened by common factors and unnested, floor(floor(a/b)/c) = floor(a/(bc)), so
 * that quotients that are equal by these rules are one symbol. */
#include "ir/dim.h"

#include <stdlib.h>

enum { MOST_TERMS = 256, MOST_DEGREE = 16, MOST_DEPTH = 16, MOST_CORNERS = 5,
       MOST_SHIFTED = 256, MOST_SHIFTED_DEGREE = 8 };

/* ------------------------------------------------------- saturating arithmetic */

typedef struct Bounds { int64_t lower, upper; } Bounds;

static int64_t clamp(int64_t x) { return x > DIM_HUGE ? DIM_HUGE : x < -DIM_HUGE ? -DIM_HUGE : x; }

static int64_t add_clamped(int64_t a, int64_t b) { return clamp(clamp(a) + clamp(b)); }

static int64_t mul_clamped(int64_t a, int64_t b) {
    int64_t r;
    if (!__builtin_mul_overflow(a, b, &r)) return clamp(r);
    return (a < 0) == (b < 0) ? DIM_HUGE : -DIM_HUGE;
}

static int64_t floor_div(int64_t a, int64_t b) { return a / b - (a % b < 0); }

/* An end at DIM_HUGE stands for "any", so it stays where it is whatever is added. */
static Bounds bounds_add(Bounds a, Bounds b) {
    bool low_open = a.lower <= -DIM_HUGE || b.lower <= -DIM_HUGE;
    bool high_open = a.upper >= DIM_HUGE || b.upper >= DIM_HUGE;
    return (Bounds){low_open ? -DIM_HUGE : add_clamped(a.lower, b.lower),
                    high_open ? DIM_HUGE : add_clamped(a.upper, b.upper)};
}

static Bounds bounds_mul(Bounds a, Bounds b) {
    int64_t corner[4] = {mul_clamped(a.lower, b.lower), mul_clamped(a.lower, b.upper), mul_clamped(a.upper, b.lower),
                         mul_clamped(a.upper, b.upper)};
    Bounds r = {corner[0], corner[0]};
    for (int i = 1; i < 4; i++) {
        if (corner[i] < r.lower) r.lower = corner[i];
        if (corner[i] > r.upper) r.upper = corner[i];
    }
    return r;
}

static Bounds bounds_div(Bounds a, int64_t divisor) {
    return (Bounds){a.lower <= -DIM_HUGE ? -DIM_HUGE : floor_div(a.lower, divisor),
                    a.upper >= DIM_HUGE ? DIM_HUGE : floor_div(a.upper, divisor)};
}

/* ------------------------------------------------------------------ normal form */

typedef struct Terms {
    DimTerm *at;
    int n, room;
} Terms;

static int compare_monomials(const DimTerm *a, const DimTerm *b) {
    if (a->n != b->n) return a->n > b->n ? -1 : 1;
    for (int i = 0; i < a->n; i++)
        if (a->symbols[i] != b->symbols[i]) return a->symbols[i] < b->symbols[i] ? -1 : 1;
    return 0;
}

static int compare_terms(const void *a, const void *b) { return compare_monomials(a, b); }

static bool in_range(int64_t coeff) { return -DIM_HUGE < coeff && coeff < DIM_HUGE; }

/* Sorts, adds like terms, drops zeros. False if a coefficient leaves the range. */
static bool normalize(Terms *terms) {
    for (int i = 0; i < terms->n; i++)
        if (!in_range(terms->at[i].coeff)) return false;
    if (terms->n > 1) qsort(terms->at, (size_t)terms->n, sizeof *terms->at, compare_terms);
    int n = 0;
    for (int i = 0; i < terms->n;) {
        DimTerm sum = terms->at[i];
        for (i++; i < terms->n && !compare_monomials(&sum, &terms->at[i]); i++) {
            sum.coeff += terms->at[i].coeff;
            if (!in_range(sum.coeff)) return false;
        }
        if (sum.coeff) terms->at[n++] = sum;
    }
    terms->n = n;
    return n <= MOST_TERMS;
}

static uint64_t mix(uint64_t h, uint64_t x) {
    h = (h ^ x) * 0x9e3779b97f4a7c15u;
    return h ^ h >> 29;
}

static uint64_t hash_terms(const DimTerm *terms, int n) {
    uint64_t h = (uint64_t)n;
    for (int i = 0; i < n; i++) {
        h = mix(h, (uint64_t)terms[i].coeff);
        for (int j = 0; j < terms[i].n; j++) h = mix(h, (uint64_t)terms[i].symbols[j] + 1);
    }
    return h;
}

static bool equals_terms(Dim d, const DimTerm *terms, int n, uint64_t hash) {
    if (d->hash != hash || d->term_count != n) return false;
    for (int i = 0; i < n; i++)
        if (d->terms[i].coeff != terms[i].coeff || compare_monomials(&d->terms[i], &terms[i])) return false;
    return true;
}

static void grow_slots(DimTable *t) {
    size_t room = t->room ? t->room * 2 : 256;
    Dim *slots = arena_array(t->arena, Dim, room);
    for (size_t i = 0; i < t->room; i++) {
        if (!t->slots[i]) continue;
        size_t at = (size_t)t->slots[i]->hash & (room - 1);
        while (slots[at]) at = (at + 1) & (room - 1);
        slots[at] = t->slots[i];
    }
    t->slots = slots;
    t->room = room;
}

/* Symbols that are set to an end of their bounds: bit i of `ends` says which one symbol at[i] is at. */
typedef struct Corner {
    int at[MOST_CORNERS], n;
    unsigned ends;
} Corner;

static Bounds symbol_bounds(const DimTable *t, int id, const Corner *c) {
    const DimSymbol *s = t->symbols.at[id];
    for (int i = 0; i < c->n; i++)
        if (c->at[i] == id) return c->ends >> i & 1 ? (Bounds){s->upper, s->upper} : (Bounds){s->lower, s->lower};
    return (Bounds){s->lower, s->upper};
}

static Bounds bounds_at(const DimTable *t, const DimTerm *terms, int n, const Corner *c) {
    Bounds sum = {0, 0};
    for (int i = 0; i < n; i++) {
        Bounds product = {terms[i].coeff, terms[i].coeff};
        for (int j = 0; j < terms[i].n; j++) product = bounds_mul(product, symbol_bounds(t, terms[i].symbols[j], c));
        sum = bounds_add(sum, product);
    }
    return sum;
}

/* Whether every term is linear in the symbol, and its bounds are finite. */
static bool has_corners(const DimTable *t, const DimTerm *terms, int n, int id) {
    for (int i = 0; i < n; i++)
        for (int j = 1; j < terms[i].n; j++)
            if (terms[i].symbols[j] == id && terms[i].symbols[j - 1] == id) return false;
    return t->symbols.at[id]->upper < DIM_HUGE && t->symbols.at[id]->lower > -DIM_HUGE;
}

/* Adds the term as a polynomial in what each symbol has above its lower bound. */
static void shift_term(const DimTable *t, const DimTerm *term, Terms *to, int (*symbols)[MOST_SHIFTED_DEGREE]) {
    for (unsigned kept = 0; kept < 1u << term->n; kept++) {
        int *left = symbols[to->n];
        DimTerm *r = &to->at[to->n++];
        *r = (DimTerm){term->coeff, 0, left};
        for (int j = 0; j < term->n; j++) {
            if (kept >> j & 1) left[r->n++] = term->symbols[j];
            else r->coeff = mul_clamped(r->coeff, t->symbols.at[term->symbols[j]]->lower);
        }
    }
}

/* (T - 1)*(T - 1) is T*T - 2*T + 1, whose terms say nothing; with T = 2 + S it is S*S + 2*S + 1, which is least and
 * greatest at the ends of S, as everything is that has no negative coefficient then. */
static Bounds shifted_bounds(const DimTable *t, const DimTerm *terms, int n) {
    DimTerm at[MOST_SHIFTED];
    int symbols[MOST_SHIFTED][MOST_SHIFTED_DEGREE];
    Bounds open = {-DIM_HUGE, DIM_HUGE}, sum = {0, 0};
    Terms shifted = {.at = at};
    for (int i = 0; i < n; i++) {
        if (terms[i].n > MOST_SHIFTED_DEGREE || shifted.n + (1 << terms[i].n) > MOST_SHIFTED) return open;
        shift_term(t, &terms[i], &shifted, symbols);
    }
    if (!normalize(&shifted)) return open;
    for (int i = 0; i < shifted.n; i++) {
        Bounds product = {at[i].coeff, at[i].coeff};
        for (int j = 0; j < at[i].n; j++) {
            const DimSymbol *s = t->symbols.at[at[i].symbols[j]];
            int64_t room = s->upper >= DIM_HUGE ? DIM_HUGE : add_clamped(s->upper, -s->lower);
            product = bounds_mul(product, (Bounds){0, room});
        }
        sum = bounds_add(sum, product);
    }
    return sum;
}

/* What is linear in a symbol is least and greatest at an end of its bounds, whatever the others are. So a sum of terms
 * like T*B - B, which is (T - 1)*B, is looked at where its symbols are at their ends. */
static Bounds terms_bounds(const DimTable *t, const DimTerm *terms, int n) {
    Corner c = {.n = 0};
    for (int i = 0; n > 1 && i < n; i++)
        for (int j = 0; j < terms[i].n && c.n < MOST_CORNERS; j++) {
            bool known = false;
            for (int k = 0; k < c.n; k++) known |= c.at[k] == terms[i].symbols[j];
            if (!known && has_corners(t, terms, n, terms[i].symbols[j])) c.at[c.n++] = terms[i].symbols[j];
        }
    Bounds all = bounds_at(t, terms, n, &c);
    for (c.ends = 1; c.ends < 1u << c.n; c.ends++) {
        Bounds b = bounds_at(t, terms, n, &c);
        if (b.lower < all.lower) all.lower = b.lower;
        if (b.upper > all.upper) all.upper = b.upper;
    }
    if (n < 2) return all;
    Bounds shifted = shifted_bounds(t, terms, n);
    return (Bounds){shifted.lower > all.lower ? shifted.lower : all.lower,
                    shifted.upper < all.upper ? shifted.upper : all.upper};
}

/* The one polynomial with these normal terms; they are copied if it is new. */
static Dim intern_terms(DimTable *t, const DimTerm *terms, int n) {
    if (t->count * 2 >= t->room) grow_slots(t);
    uint64_t hash = hash_terms(terms, n);
    size_t at = (size_t)hash & (t->room - 1);
    for (; t->slots[at]; at = (at + 1) & (t->room - 1))
        if (equals_terms(t->slots[at], terms, n, hash)) return t->slots[at];
    DimPoly *p = arena_new(t->arena, DimPoly);
    Bounds bounds = terms_bounds(t, terms, n);
    *p = (DimPoly){n, arena_copy(t->arena, terms, sizeof *terms * (size_t)n), bounds.lower, bounds.upper, hash};
    if (dim_overflowed(p)) p->lower = -DIM_HUGE;
    t->slots[at] = p;
    t->count++;
    return p;
}

static Dim overflow(DimTable *t) { return intern_terms(t, &(DimTerm){DIM_HUGE, 0, NULL}, 1); }

static Dim from_terms(DimTable *t, Terms *terms) {
    return normalize(terms) ? intern_terms(t, terms->at, terms->n) : overflow(t);
}

/* ---------------------------------------------------------------------- symbols */

void dim_table_init(DimTable *t, Arena *arena, Interner *names) { *t = (DimTable){.arena = arena, .names = names}; }

static uint64_t hash_quotient(Dim of, int64_t divisor) { return mix(of->hash, (uint64_t)divisor); }

static uint64_t name_hash(const DimSymbol *s) { return hash_text(s->name, strlen(s->name)); }
static uint64_t quotient_hash(const DimSymbol *s) { return hash_quotient(s->of, s->divisor); }

static void index_put(int *slots, int room, uint64_t hash, int id) {
    int at = (int)(hash & (uint64_t)(room - 1));
    while (slots[at]) at = (at + 1) & (room - 1);
    slots[at] = id + 1;
}

static void index_add(const DimTable *t, DimIndex *index, uint64_t (*hash)(const DimSymbol *), const DimSymbol *s) {
    if (index->count * 2 >= index->room) {
        DimIndex old = *index;
        index->room = old.room ? old.room * 2 : 64;
        index->slots = arena_array(t->arena, int, index->room);
        for (int i = 0; i < old.room; i++)
            if (old.slots[i])
                index_put(index->slots, index->room, hash(t->symbols.at[old.slots[i] - 1]), old.slots[i] - 1);
    }
    index_put(index->slots, index->room, hash(s), s->id);
    index->count++;
}

DimSymbol *dim_find(const DimTable *t, const char *name) {
    if (!t->by_name.room) return NULL;
    int mask = t->by_name.room - 1;
    for (int at = (int)(hash_text(name, strlen(name)) & (uint64_t)mask); t->by_name.slots[at]; at = (at + 1) & mask) {
        DimSymbol *s = t->symbols.at[t->by_name.slots[at] - 1];
        if (s->name == name || !strcmp(s->name, name)) return s;
    }
    return NULL;
}

static DimSymbol *find_quotient(const DimTable *t, Dim of, int64_t divisor) {
    if (!t->by_quotient.room) return NULL;
    int mask = t->by_quotient.room - 1;
    for (int at = (int)(hash_quotient(of, divisor) & (uint64_t)mask); t->by_quotient.slots[at]; at = (at + 1) & mask) {
        DimSymbol *s = t->symbols.at[t->by_quotient.slots[at] - 1];
        if (s->of == of && s->divisor == divisor) return s;
    }
    return NULL;
}

static DimSymbol *add_symbol(DimTable *t, DimSymbol symbol) {
    DimSymbol *s = arena_new(t->arena, DimSymbol);
    *s = symbol;
    s->id = t->symbols.n;
    vec_push(t->arena, &t->symbols, s);
    index_add(t, &t->by_name, name_hash, s);
    if (s->of) index_add(t, &t->by_quotient, quotient_hash, s);
    return s;
}

Dim dim_symbol(DimTable *t, const char *name, int64_t lower, int64_t upper) {
    DimSymbol symbol = {.name = intern(t->names, name), .lower = clamp(lower), .upper = clamp(upper)};
    return dim_of_symbol(t, add_symbol(t, symbol));
}

Dim dim_of_symbol(DimTable *t, const DimSymbol *s) { return intern_terms(t, &(DimTerm){1, 1, &s->id}, 1); }

/* ------------------------------------------------------------------- arithmetic */

Dim dim_const(DimTable *t, int64_t value) {
    if (!in_range(value)) return overflow(t);
    return intern_terms(t, &(DimTerm){value, 0, NULL}, value != 0);
}

/* a + factor * b */
static Dim add_scaled(DimTable *t, Dim a, Dim b, int64_t factor) {
    if (dim_overflowed(a) || dim_overflowed(b)) return overflow(t);
    if (dim_is_const(a) && dim_is_const(b)) return dim_const(t, add_clamped(dim_value(a), factor * dim_value(b)));
    DimTerm at[2 * MOST_TERMS];
    Terms sum = {.at = at};
    for (int i = 0; i < a->term_count; i++) at[sum.n++] = a->terms[i];
    for (int i = 0; i < b->term_count; i++) {
        at[sum.n] = b->terms[i];
        at[sum.n++].coeff *= factor;
    }
    return from_terms(t, &sum);
}

Dim dim_add(DimTable *t, Dim a, Dim b) { return add_scaled(t, a, b, 1); }
Dim dim_sub(DimTable *t, Dim a, Dim b) { return add_scaled(t, a, b, -1); }

static DimTerm multiply_terms(DimTable *t, const DimTerm *a, const DimTerm *b) {
    int n = a->n + b->n, i = 0, j = 0;
    int *symbols = arena_array(t->arena, int, n);
    for (int k = 0; k < n; k++)
        symbols[k] = j == b->n || (i < a->n && a->symbols[i] <= b->symbols[j]) ? a->symbols[i++] : b->symbols[j++];
    return (DimTerm){mul_clamped(a->coeff, b->coeff), n, symbols};
}

Dim dim_mul(DimTable *t, Dim a, Dim b) {
    if (dim_overflowed(a) || dim_overflowed(b)) return overflow(t);
    if (!a->term_count || !b->term_count) return dim_const(t, 0);
    if (dim_is_const(a) && dim_is_const(b)) return dim_const(t, mul_clamped(dim_value(a), dim_value(b)));
    if (dim_is(a, 1)) return b;
    if (dim_is(b, 1)) return a;
    int count = a->term_count * b->term_count;
    if (count > 16 * MOST_TERMS || a->terms[0].n + b->terms[0].n > MOST_DEGREE) return overflow(t);
    Terms product = {.at = arena_array(t->arena, DimTerm, count)};
    for (int i = 0; i < a->term_count; i++)
        for (int j = 0; j < b->term_count; j++)
            product.at[product.n++] = multiply_terms(t, &a->terms[i], &b->terms[j]);
    return from_terms(t, &product);
}

/* -------------------------------------------------------------------- quotients */

static int64_t gcd(int64_t a, int64_t b) {
    while (b) {
        int64_t r = a % b;
        a = b;
        b = r;
    }
    return a;
}

static const char *quotient_name(DimTable *t, Dim of, int64_t divisor) {
    const char *base;
    if (of->term_count == 1 && of->terms[0].n == 1 && of->terms[0].coeff == 1)
        base = arena_printf(t->arena, "%s_div%lld", t->symbols.at[of->terms[0].symbols[0]]->name, (long long)divisor);
    else
        base = arena_printf(t->arena, "q%d", t->symbols.n);
    while (dim_find(t, base)) base = arena_printf(t->arena, "%s_", base);
    return intern(t->names, base);
}

static int dim_depth(const DimTable *t, Dim d) {
    int depth = 0;
    for (int i = 0; i < d->term_count; i++)
        for (int j = 0; j < d->terms[i].n; j++) {
            int of = t->symbols.at[d->terms[i].symbols[j]]->depth;
            if (of > depth) depth = of;
        }
    return depth;
}

/* The derived symbol floor(rest / divisor), made if new. */
static Dim quotient_symbol(DimTable *t, Dim rest, int64_t divisor, const char *name) {
    Bounds bounds = bounds_div((Bounds){rest->lower, rest->upper}, divisor);
    if (bounds.lower == bounds.upper && bounds.upper < DIM_HUGE && bounds.lower > -DIM_HUGE)
        return dim_const(t, bounds.lower);
    DimSymbol *s = find_quotient(t, rest, divisor);
    if (s) return dim_of_symbol(t, s);
    int depth = 1 + dim_depth(t, rest);
    if (depth > MOST_DEPTH) return overflow(t);
    if (!name) name = quotient_name(t, rest, divisor);
    DimSymbol symbol = {.name = name, .lower = bounds.lower, .upper = bounds.upper,
                        .of = rest, .divisor = divisor, .depth = depth};
    return dim_of_symbol(t, add_symbol(t, symbol));
}

/* floor((more + inner) / divisor) with inner = floor(of / d) is floor((d * more + of) / (d * divisor)).
 * Null if no term of rest is such an inner; of several the newest is taken, so that this ends. */
static Dim unnest_quotient(DimTable *t, Dim rest, int64_t divisor, const char *name) {
    const DimSymbol *inner = NULL;
    for (int i = 0; i < rest->term_count; i++) {
        if (rest->terms[i].n != 1 || rest->terms[i].coeff != 1) continue;
        const DimSymbol *s = t->symbols.at[rest->terms[i].symbols[0]];
        if (s->of && (!inner || s->id > inner->id)) inner = s;
    }
    int64_t both = inner ? mul_clamped(inner->divisor, divisor) : DIM_HUGE;
    if (both >= DIM_HUGE) return NULL;
    Dim more = dim_sub(t, rest, dim_of_symbol(t, inner));
    Dim of = dim_add(t, inner->of, dim_mul(t, more, dim_const(t, inner->divisor)));
    return dim_overflowed(of) ? NULL : dim_div_named(t, of, both, name);
}

/* Splits a into divisor * whole + rest, the rest's coefficients in 0 .. divisor-1. */
static void split(DimTable *t, Dim a, int64_t divisor, Dim *whole, Dim *rest) {
    DimTerm wholes[MOST_TERMS], rests[MOST_TERMS];
    int whole_count = 0, rest_count = 0;
    for (int i = 0; i < a->term_count; i++) {
        DimTerm q = a->terms[i], r = a->terms[i];
        q.coeff = floor_div(a->terms[i].coeff, divisor);
        r.coeff = a->terms[i].coeff - q.coeff * divisor;
        if (q.coeff) wholes[whole_count++] = q;
        if (r.coeff) rests[rest_count++] = r;
    }
    *whole = intern_terms(t, wholes, whole_count);
    *rest = intern_terms(t, rests, rest_count);
}

/* Divides rest and divisor by what all coefficients but the constant's share with the divisor; of the
 * constant only the whole part matters. */
static Dim shorten(DimTable *t, Dim rest, int64_t *divisor) {
    int64_t shared = *divisor;
    for (int i = 0; i < rest->term_count; i++)
        if (rest->terms[i].n) shared = gcd(shared, rest->terms[i].coeff);
    if (shared == 1) return rest;
    DimTerm at[MOST_TERMS];
    int n = 0;
    for (int i = 0; i < rest->term_count; i++) {
        DimTerm term = rest->terms[i];
        term.coeff = floor_div(term.coeff, shared);
        if (term.coeff) at[n++] = term;
    }
    *divisor /= shared;
    return intern_terms(t, at, n);
}

Dim dim_div_named(DimTable *t, Dim a, int64_t divisor, const char *name) {
    if (dim_overflowed(a) || divisor <= 0 || divisor >= DIM_HUGE) return overflow(t);
    if (dim_is_const(a)) return dim_const(t, floor_div(dim_value(a), divisor));
    Dim whole, rest;
    split(t, a, divisor, &whole, &rest);
    rest = shorten(t, rest, &divisor);
    if (!rest->term_count) return whole;
    if (divisor == 1) return dim_add(t, whole, rest);
    Dim quotient = unnest_quotient(t, rest, divisor, name);
    if (!quotient) quotient = quotient_symbol(t, rest, divisor, name);
    return dim_add(t, whole, quotient);
}

Dim dim_div(DimTable *t, Dim a, int64_t divisor) { return dim_div_named(t, a, divisor, NULL); }

/* Takes the symbols of `of`, which are sorted as all are, out of the term's; false if some are not there. */
static bool take_symbols(DimTable *t, DimTerm *term, const DimTerm *of) {
    int *left = arena_array(t->arena, int, term->n + 1), n = 0, j = 0;
    for (int i = 0; i < term->n; i++) {
        if (j < of->n && term->symbols[i] == of->symbols[j]) j++;
        else left[n++] = term->symbols[i];
    }
    *term = (DimTerm){term->coeff, n, left};
    return j == of->n;
}

Dim dim_over(DimTable *t, Dim a, Dim b) {
    if (dim_overflowed(a) || dim_overflowed(b) || b->term_count != 1) return NULL;
    Terms quotient = {.at = arena_array(t->arena, DimTerm, a->term_count + 1)};
    for (int i = 0; i < a->term_count; i++) {
        DimTerm term = a->terms[i];
        if (term.coeff % b->terms[0].coeff || !take_symbols(t, &term, &b->terms[0])) return NULL;
        term.coeff /= b->terms[0].coeff;
        quotient.at[quotient.n++] = term;
    }
    return from_terms(t, &quotient);
}

int64_t dim_common_factor(Dim d) {
    int64_t factor = 0;
    for (int i = 0; i < d->term_count; i++) factor = gcd(factor, llabs((long long)d->terms[i].coeff));
    return factor;
}

/* --------------------------------------------------------- evaluation and renaming */

static int64_t symbol_value(const DimTable *t, int id, const int64_t *values) {
    const DimSymbol *s = t->symbols.at[id];
    return s->of ? floor_div(dim_eval(t, s->of, values), s->divisor) : values[id];
}

int64_t dim_eval(const DimTable *t, Dim d, const int64_t *values) {
    int64_t sum = 0;
    for (int i = 0; i < d->term_count; i++) {
        const DimTerm *term = &d->terms[i];
        int64_t product = term->coeff, value = 1;
        for (int j = 0; j < term->n; j++) {
            if (!j || term->symbols[j] != term->symbols[j - 1]) value = symbol_value(t, term->symbols[j], values);
            product = mul_clamped(product, value);
        }
        sum = add_clamped(sum, product);
    }
    return sum;
}

/* Substitution under way; by and known are indexed by symbol. */
typedef struct Substitution {
    const Dim *by;
    int by_count;
    Dim *known;                /* what derived symbols have become */
} Substitution;

static Dim substitute(DimTable *t, Dim d, Substitution *s);

static Dim substitute_symbol(DimTable *t, int id, Substitution *s) {
    const DimSymbol *symbol = t->symbols.at[id];
    if (id < s->by_count && s->by[id]) return s->by[id];
    if (!symbol->of) return dim_of_symbol(t, symbol);
    if (!s->known[id]) s->known[id] = dim_div(t, substitute(t, symbol->of, s), symbol->divisor);
    return s->known[id];
}

static Dim substitute(DimTable *t, Dim d, Substitution *s) {
    if (dim_overflowed(d)) return d;
    Dim sum = dim_const(t, 0);
    for (int i = 0; i < d->term_count; i++) {
        Dim product = dim_const(t, d->terms[i].coeff);
        for (int j = 0; j < d->terms[i].n; j++)
            product = dim_mul(t, product, substitute_symbol(t, d->terms[i].symbols[j], s));
        sum = dim_add(t, sum, product);
    }
    return sum;
}

Dim dim_substitute(DimTable *t, Dim d, const Dim *by, int by_count) {
    if (dim_is_const(d)) return d;
    Substitution s = {by, by_count, arena_array(t->arena, Dim, t->symbols.n)};
    return substitute(t, d, &s);
}

static bool mentions(const DimTable *t, Dim d, int id, bool *seen) {
    for (int i = 0; i < d->term_count; i++)
        for (int j = 0; j < d->terms[i].n; j++) {
            int at = d->terms[i].symbols[j];
            if (at == id) return true;
            if (!t->symbols.at[at]->of || seen[at]) continue;
            seen[at] = true;
            if (mentions(t, t->symbols.at[at]->of, id, seen)) return true;
        }
    return false;
}

bool dim_mentions(const DimTable *t, Dim d, int id) {
    return !dim_is_const(d) && mentions(t, d, id, arena_array(t->arena, bool, t->symbols.n));
}

/* --------------------------------------------------------------------- printing */

void dim_print(const DimTable *t, Dim d, Text *to) {
    if (!d->term_count) text_append(to, "0", 1);
    if (dim_overflowed(d)) {
        text_add(to, "overflow");
        return;
    }
    for (int i = 0; i < d->term_count; i++) {
        const DimTerm *term = &d->terms[i];
        if (i && term->coeff > 0) text_append(to, "+", 1);
        bool unit = term->n && (term->coeff == 1 || term->coeff == -1);
        if (!unit) text_add(to, "%lld%s", (long long)term->coeff, term->n ? "*" : "");
        else if (term->coeff < 0) text_append(to, "-", 1);
        for (int j = 0; j < term->n; j++) {
            if (j) text_append(to, "*", 1);
            text_add_name(to, t->symbols.at[term->symbols[j]]->name);
        }
    }
}
