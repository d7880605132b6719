/* base: arenas, interned names, maps, texts, diagnostics. */
#include "../fixture.h"
#include "base/map.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void arena_memory_is_zeroed_and_aligned(void **state) {
    Fixture *f = *state;
    for (size_t size = 1; size < 200000; size = size * 3 + 1) {
        unsigned char *p = arena_alloc(&f->scratch, size);
        assert_int_equal((uintptr_t)p % 16, 0);
        for (size_t i = 0; i < size; i++) assert_int_equal(p[i], 0);
        memset(p, 0xff, size);
    }
    arena_reset(&f->scratch);
    assert_int_equal(f->scratch.total, 0);
    unsigned char *again = arena_alloc(&f->scratch, 4096);
    for (int i = 0; i < 4096; i++) assert_int_equal(again[i], 0);
}

static void arena_jumps_when_memory_ends(void **state) {
    (void)state;
    jmp_buf out;
    Arena a;
    arena_init(&a, &out);
    if (!setjmp(out)) {
        arena_alloc(&a, SIZE_MAX - 100);
        fail();
    }
    arena_reset(&a);
}

static void equal_names_are_one(void **state) {
    Fixture *f = *state;
    const char *kept[3000];
    for (int i = 0; i < 3000; i++) kept[i] = intern(&f->names, arena_printf(&f->arena, "name%d", i));
    for (int i = 0; i < 3000; i++) assert_ptr_equal(intern(&f->names, arena_printf(&f->arena, "name%d", i)), kept[i]);
    assert_ptr_equal(intern_n(&f->names, "name17 and more", 6), kept[17]);
    assert_ptr_not_equal(kept[1], kept[10]);
    assert_string_equal(intern(&f->names, ""), "");
}

/* FNV-1a's published values. */
static void hashes_are_fnv(void **state) {
    (void)state;
    assert_true(hash_text("", 0) == 0xcbf29ce484222325u);
    assert_true(hash_text("a", 1) == 0xaf63dc4c8601ec8cu);
    assert_true(hash_text("foobar", 6) == 0x85944171f73967e8u);
}

static void maps_find_what_was_set(void **state) {
    Fixture *f = *state;
    Map m = map_new(&f->arena);
    int values[2000];
    assert_null(map_get(&m, "x"));
    for (int i = 0; i < 2000; i++) map_set(&m, arena_printf(&f->arena, "k%d", i), &values[i]);
    map_set(&m, "k5", &values[6]);
    for (int i = 0; i < 2000; i++)
        assert_ptr_equal(map_get(&m, arena_printf(&f->arena, "k%d", i)), &values[i == 5 ? 6 : i]);
    assert_null(map_get(&m, "k2000"));
    assert_int_equal(m.count, 2000);
}

static void numbers_read_back(void **state) {
    Fixture *f = *state;
    static const double own[] = {0.0, -0.0, 1, 0.1, -2.5, 1e15, 999999999999999, 1e300, 5e-324, 0.30000001192092896};
    uint64_t random = 3;
    for (int i = 0; i < 5000; i++) {
        double x, y;
        uint64_t bits = fixture_random(&random);
        memcpy(&x, &bits, sizeof x);
        if (i < 10) x = own[i];
        if (isnan(x)) continue;
        Text t = text_new(&f->scratch);
        text_add_double(&t, x);
        y = strtod(text_get(&t), NULL);
        assert_memory_equal(&x, &y, sizeof x);
        assert_non_null(strpbrk(text_get(&t), ".ein"));
        arena_reset(&f->scratch);
    }
    Text t = text_new(&f->arena);
    text_add_double(&t, 100);
    text_add_double(&t, -NAN);
    text_add_double(&t, -INFINITY);
    assert_string_equal(text_get(&t), "100.0nan-inf");
}

static void texts_grow_and_quote(void **state) {
    Fixture *f = *state;
    Text t = text_new(&f->arena);
    assert_string_equal(text_get(&t), "");
    for (int i = 0; i < 1000; i++) text_add(&t, "%d,", i);
    assert_int_equal(t.n, strlen(text_get(&t)));
    Text q = text_new(&f->arena);
    text_add_quoted(&q, "a\"b\\c\n\t\xc3\xa4");
    text_add_name(&q, "fc1.weight");
    text_add_name(&q, "1st");
    text_add_name(&q, "");
    assert_string_equal(text_get(&q), "\"a\\\"b\\\\c\\n\\x09\xc3\xa4\"fc1.weight\"1st\"\"\"");
}

static void diagnostics_show_their_place(void **state) {
    Fixture *f = *state;
    const char *text = "one\ntwo \xc3\xa4\xc3\xb6 three\n";
    uint32_t source = diag_add_source(&f->diags, "a.dl", text, strlen(text));
    int d = diag_report(&f->diags, DL0603, (Span){source, 13, 18}, "no %s", "three");
    diag_note(&f->diags, d, "a note");
    diag_hint(&f->diags, d, "a hint");
    diag_label(&f->diags, d, (Span){source, 0, 3}, "here");
    assert_int_equal(diag_report(&f->diags, DL0603, (Span){source, 13, 18}, "again"), -1);
    assert_int_equal(f->diags.errors, 1);
    Text t = text_new(&f->arena);
    diags_render(&f->diags, &t, false);
    assert_string_equal(text_get(&t), "error[DL0603]: no three\n"
                                      "  --> a.dl:2:8\n"
                                      "      |\n"
                                      "    2 | two \xc3\xa4\xc3\xb6 three\n"
                                      "      |        ^^^^^\n"
                                      "    1 | one\n"
                                      "      | --- here\n"
                                      "      = note: a note\n"
                                      "      = hint: a hint\n");
}

static void diagnostics_show_a_line_once(void **state) {
    Fixture *f = *state;
    const char *text = "\033[1mtwo\x7f five\r\nsix\n";
    uint32_t source = diag_add_source(&f->diags, "a.dl", text, strlen(text));
    int d = diag_report(&f->diags, DL0603, (Span){source, 4, 7}, "no \033[0m");
    diag_label(&f->diags, d, (Span){source, 9, 13}, "same line");
    diag_label(&f->diags, d, (Span){source, 15, 18}, "\aother line");
    diag_label(&f->diags, d, (Span){source, 4, 7}, "again");
    Text t = text_new(&f->arena);
    diags_render(&f->diags, &t, false);
    assert_string_equal(text_get(&t), "error[DL0603]: no ?[0m\n"
                                      "  --> a.dl:1:5\n"
                                      "      |\n"
                                      "    1 | ?[1mtwo? five\n"
                                      "      |     ^^^\n"
                                      "      |          ---- same line\n"
                                      "    2 | six\n"
                                      "      | --- ?other line\n"
                                      "    1 | ?[1mtwo? five\n"
                                      "      |     --- again\n");
}

static void codes_are_sorted(void **state) {
    (void)state;
    for (int i = 1; i < DIAG_CODE_COUNT; i++)
        assert_true(diag_code_info((DiagCode)(i - 1))->number < diag_code_info((DiagCode)i)->number);
}

static void nearest_names_are_near(void **state) {
    (void)state;
    static const char *const names[] = {"linear", "softmax", "relu"};
    assert_string_equal(nearest_name("lineer", names, 3), "linear");
    assert_null(nearest_name("convolution", names, 3));
    assert_null(nearest_name("x", names, 0));
}

/* Whoever asks for an explanation gets the reason, an example and how it is right. */
static void codes_are_explained(void **state) {
    (void)state;
    for (int i = 0; i < DIAG_CODE_COUNT; i++) {
        const DiagCodeInfo *info = diag_code_info((DiagCode)i);
        const char *example = strstr(info->explain, "\n\n    ");
        if (!info->title[0]) fail_msg("DL%04d has no title", info->number);
        if (!example || example - info->explain < 60) fail_msg("DL%04d: no reason, or no example", info->number);
        if (!strstr(example, "Right") && !strstr(example, "// right"))
            fail_msg("DL%04d: nothing is right", info->number);
        if (info->explain[strlen(info->explain) - 1] != '\n') fail_msg("DL%04d: no end of line", info->number);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(arena_memory_is_zeroed_and_aligned), FIXTURE_TEST(arena_jumps_when_memory_ends),
        FIXTURE_TEST(equal_names_are_one), FIXTURE_TEST(hashes_are_fnv), FIXTURE_TEST(maps_find_what_was_set),
        FIXTURE_TEST(numbers_read_back), FIXTURE_TEST(texts_grow_and_quote),
        FIXTURE_TEST(diagnostics_show_their_place), FIXTURE_TEST(diagnostics_show_a_line_once),
        FIXTURE_TEST(codes_are_sorted),
        FIXTURE_TEST(codes_are_explained),
        FIXTURE_TEST(nearest_names_are_near)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
