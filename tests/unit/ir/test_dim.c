/* Dims: the normal form decides equality, checked against evaluation at random points; bounds hold;
 * nothing overflows. */
#include "../fixture.h"

#include <string.h>

enum { SYMBOLS = 3, POINTS = 40 };

/* A random expression with its values at random points, computed beside the dims. */
typedef struct Sample {
    Dim dim;
    int64_t value[POINTS];
} Sample;

typedef struct World {
    DimTable table;
    uint64_t random;
    int64_t at[POINTS][SYMBOLS];
} World;

static int64_t floor_div(int64_t a, int64_t b) { return a / b - (a % b != 0 && a < 0); }

static World *world_new(Fixture *f, uint64_t seed) {
    static const int64_t lower[SYMBOLS] = {1, 0, 5}, upper[SYMBOLS] = {64, 9, 1000};
    World *w = arena_new(&f->arena, World);
    dim_table_init(&w->table, &f->arena, &f->names);
    w->random = seed;
    for (int s = 0; s < SYMBOLS; s++) {
        dim_symbol(&w->table, arena_printf(&f->arena, "S%d", s), lower[s], upper[s]);
        for (int p = 0; p < POINTS; p++)
            w->at[p][s] = lower[s] + (int64_t)(fixture_random(&w->random) % (uint64_t)(upper[s] - lower[s] + 1));
    }
    return w;
}

static Sample draw_leaf(World *w) {
    Sample r;
    if (fixture_random(&w->random) % 2) {
        int s = (int)(fixture_random(&w->random) % SYMBOLS);
        r.dim = dim_of_symbol(&w->table, w->table.symbols.at[s]);
        for (int p = 0; p < POINTS; p++) r.value[p] = w->at[p][s];
    } else {
        int64_t c = (int64_t)(fixture_random(&w->random) % 13) - 6;
        r.dim = dim_const(&w->table, c);
        for (int p = 0; p < POINTS; p++) r.value[p] = c;
    }
    return r;
}

static Sample draw(World *w, int depth) {
    if (!depth) return draw_leaf(w);
    Sample a = draw(w, depth - 1), b = draw(w, depth - 1), r;
    int64_t divisor = 1 + (int64_t)(fixture_random(&w->random) % 6);
    switch (fixture_random(&w->random) % 4) {
    case 0: r.dim = dim_add(&w->table, a.dim, b.dim); break;
    case 1: r.dim = dim_sub(&w->table, a.dim, b.dim); break;
    case 2: r.dim = dim_mul(&w->table, a.dim, b.dim); break;
    default:
        r.dim = dim_div(&w->table, a.dim, divisor);
        for (int p = 0; p < POINTS; p++) r.value[p] = floor_div(a.value[p], divisor);
        return r;
    }
    Dim sum = dim_add(&w->table, a.dim, b.dim), difference = dim_sub(&w->table, a.dim, b.dim);
    for (int p = 0; p < POINTS; p++)
        r.value[p] = r.dim == sum          ? a.value[p] + b.value[p]
                     : r.dim == difference ? a.value[p] - b.value[p]
                                           : a.value[p] * b.value[p];
    return r;
}

static void values_and_bounds_agree(void **state) {
    for (uint64_t seed = 1; seed <= 400; seed++) {
        World *w = world_new(*state, seed * 977);
        Sample s = draw(w, 3);
        if (dim_overflowed(s.dim)) continue;
        for (int p = 0; p < POINTS; p++) {
            assert_int_equal(dim_eval(&w->table, s.dim, w->at[p]), s.value[p]);
            assert_true(s.dim->lower <= s.value[p] && s.value[p] <= s.dim->upper);
        }
    }
}

/* (a + b) * c and a * c + b * c are one dim, and so on: what is equal everywhere by ring laws is equal. */
static void equal_expressions_are_one(void **state) {
    for (uint64_t seed = 1; seed <= 200; seed++) {
        World *w = world_new(*state, seed * 31337);
        DimTable *t = &w->table;
        Dim a = draw(w, 1).dim, b = draw(w, 1).dim, c = draw(w, 1).dim;
        assert_ptr_equal(dim_mul(t, dim_add(t, a, b), c), dim_add(t, dim_mul(t, a, c), dim_mul(t, b, c)));
        assert_ptr_equal(dim_sub(t, dim_add(t, a, b), b), a);
        assert_ptr_equal(dim_mul(t, a, dim_mul(t, b, c)), dim_mul(t, dim_mul(t, c, a), b));
        assert_ptr_equal(dim_div(t, dim_mul(t, a, dim_const(t, 6)), 6), a);
        assert_ptr_equal(dim_div(t, dim_div(t, a, 3), 4), dim_div(t, a, 12));
        assert_ptr_equal(dim_div(t, dim_add(t, a, dim_const(t, 10)), 5), dim_add(t, dim_div(t, a, 5), dim_const(t, 2)));
        assert_ptr_equal(dim_div(t, dim_mul(t, a, dim_const(t, 2)), 4), dim_div(t, a, 2));
    }
}

static void different_dims_differ(void **state) {
    World *w = world_new(*state, 5);
    DimTable *t = &w->table;
    Dim x = dim_of_symbol(t, t->symbols.at[0]), y = dim_of_symbol(t, t->symbols.at[1]);
    assert_ptr_not_equal(x, y);
    assert_ptr_not_equal(dim_div(t, x, 2), dim_div(t, x, 3));
    assert_ptr_not_equal(dim_mul(t, x, y), dim_mul(t, x, x));
    assert_ptr_not_equal(dim_div(t, dim_add(t, x, dim_const(t, 1)), 2), dim_div(t, x, 2));
}

static void overflow_sticks(void **state) {
    World *w = world_new(*state, 7);
    DimTable *t = &w->table;
    Dim x = dim_of_symbol(t, t->symbols.at[0]), large = dim_const(t, (int64_t)1 << 59);
    Dim over = dim_mul(t, dim_mul(t, x, large), large);
    assert_true(dim_overflowed(over));
    assert_ptr_equal(dim_sub(t, over, over), over);
    assert_ptr_equal(dim_div(t, over, 1 << 30), over);
    assert_true(dim_overflowed(dim_const(t, INT64_MIN)));
    assert_true(dim_overflowed(dim_const(t, INT64_MAX)));
    assert_true(dim_overflowed(dim_add(t, large, large)));
    assert_true(dim_overflowed(dim_div(t, x, INT64_MAX)));
    assert_true(over->lower == -DIM_HUGE && over->upper == DIM_HUGE);
    Dim power = x;
    for (int i = 0; i < 100; i++) power = dim_mul(t, power, x);
    assert_true(dim_overflowed(power));
    Dim nested = x;
    for (int i = 0; i < 100; i++) nested = dim_div(t, dim_mul(t, nested, x), 7);
    assert_true(dim_overflowed(nested));
}

/* Of what is linear in each dim the bounds are exact, however it is multiplied out. */
static void products_of_sums_have_exact_bounds(void **state) {
    Fixture *f = *state;
    DimTable t;
    dim_table_init(&t, &f->arena, &f->names);
    Dim a = dim_symbol(&t, "A", 1, 40), b = dim_symbol(&t, "B", 1, 8), c = dim_symbol(&t, "C", 2, 3);
    Dim one = dim_const(&t, 1), product = dim_mul(&t, dim_mul(&t, dim_sub(&t, a, one), b), dim_sub(&t, c, one));
    assert_true(product->lower == 0 && product->upper == 39 * 8 * 2);
    Dim mixed = dim_sub(&t, dim_mul(&t, a, dim_sub(&t, b, c)), b);
    assert_true(mixed->lower == -40 * 2 - 1 && mixed->upper == 40 * 6 - 8);
    Dim squares = dim_sub(&t, dim_mul(&t, dim_mul(&t, a, a), b), b);
    assert_true(squares->lower == 0 && squares->upper == 1600 * 8 - 8);
}

/* So they are where a power of what is above a dim's lower bound is multiplied out. */
static void powers_of_sums_have_exact_bounds(void **state) {
    Fixture *f = *state;
    DimTable t;
    dim_table_init(&t, &f->arena, &f->names);
    Dim a = dim_symbol(&t, "A", 2, 6), b = dim_symbol(&t, "B", 1, 9), one = dim_const(&t, 1);
    Dim less = dim_sub(&t, a, one), square = dim_mul(&t, less, less);
    assert_true(square->lower == 1 && square->upper == 25);
    Dim scores = dim_mul(&t, less, dim_mul(&t, b, b));
    assert_true(scores->lower == 1 && scores->upper == 5 * 81);
    Dim gap = dim_sub(&t, dim_mul(&t, a, a), dim_mul(&t, b, b));
    assert_true(gap->lower == 4 - 81 && gap->upper == 36 - 1);
}

static void bounds_saturate(void **state) {
    Fixture *f = *state;
    DimTable t;
    dim_table_init(&t, &f->arena, &f->names);
    Dim x = dim_symbol(&t, "X", 1, (int64_t)1 << 40), square = dim_mul(&t, x, x);
    assert_false(dim_overflowed(square));
    assert_true(square->lower == 1 && square->upper == DIM_HUGE);
    assert_true(dim_sub(&t, square, dim_const(&t, 5))->upper == DIM_HUGE);
    assert_true(dim_sub(&t, x, square)->lower == -DIM_HUGE);
    assert_true(dim_div(&t, square, 1024)->upper == DIM_HUGE);
}

static void quotients_of_known_range_are_constant(void **state) {
    World *w = world_new(*state, 9);
    Dim y = dim_of_symbol(&w->table, w->table.symbols.at[1]);      /* 0 .. 9 */
    assert_true(dim_is(dim_div(&w->table, y, 10), 0));
    assert_false(dim_is_const(dim_div(&w->table, y, 9)));
}

static void substitution_reaches_quotients(void **state) {
    World *w = world_new(*state, 11);
    DimTable *t = &w->table;
    Dim x = dim_of_symbol(t, t->symbols.at[0]), y = dim_of_symbol(t, t->symbols.at[1]);
    Dim half = dim_div(t, x, 2), by[SYMBOLS] = {dim_mul(t, y, dim_const(t, 4)), NULL, NULL};
    assert_ptr_equal(dim_substitute(t, dim_add(t, half, y), by, SYMBOLS), dim_mul(t, y, dim_const(t, 3)));
    assert_true(dim_mentions(t, half, 0));
    assert_false(dim_mentions(t, half, 1));
}

static void prints_as_written(void **state) {
    Fixture *f = *state;
    World *w = world_new(f, 13);
    DimTable *t = &w->table;
    Dim x = dim_of_symbol(t, t->symbols.at[0]), y = dim_of_symbol(t, t->symbols.at[1]);
    Dim d = dim_sub(t, dim_mul(t, dim_const(t, 2), dim_mul(t, y, x)), dim_add(t, y, dim_const(t, 1)));
    Text text = text_new(&f->arena);
    dim_print(t, d, &text);
    text_add(&text, " ");
    dim_print(t, dim_const(t, 0), &text);
    text_add(&text, " ");
    dim_print(t, dim_sub(t, dim_const(t, 0), dim_div(t, x, 2)), &text);
    assert_string_equal(text_get(&text), "2*S0*S1-S1-1 0 -S0_div2");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(values_and_bounds_agree), FIXTURE_TEST(equal_expressions_are_one),
        FIXTURE_TEST(products_of_sums_have_exact_bounds),
        FIXTURE_TEST(powers_of_sums_have_exact_bounds),
        FIXTURE_TEST(different_dims_differ), FIXTURE_TEST(overflow_sticks), FIXTURE_TEST(bounds_saturate),
        FIXTURE_TEST(quotients_of_known_range_are_constant), FIXTURE_TEST(substitution_reaches_quotients),
        FIXTURE_TEST(prints_as_written)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
