/* Every elementwise operator of the table, on every element type it takes, with and without a vector's tail,
 * native against the reference. */
#include "native.h"

#include <stdio.h>

#include <setjmp.h>
#include <cmocka.h>

static bool takes(const OpInfo *op, DType t) {
    unsigned c = dtype_is_float(t) ? CLASS_FLOAT : t == DTYPE_BOOL ? CLASS_BOOL : CLASS_INT;
    return op->types & c;
}

/* "%x0, %x1" with their types as arguments; select's first operand is bool. */
static void add_function(Text *t, const OpInfo *op, const char *name, DType type, const char *shape) {
    bool choice = op->map == MAP_select;
    text_add(t, "func @%s(", name);
    for (int i = 0; i < op->min_operands; i++)
        text_add(t, "%s%%x%d: %s[%s] = arg \"x%d\"", i ? ", " : "", i, choice && !i ? "bool" : dtype_name(type), shape, i);
    text_add(t, ") dims(B) {\n%%y = %s ", op->name);
    for (int i = 0; i < op->min_operands; i++) text_add(t, "%s%%x%d", i ? ", " : "", i);
    text_add(t, " : %s[%s]\nreturn %%y as \"y\"\n}\n", op->flags & OP_PREDICATE ? "bool" : dtype_name(type), shape);
}

static void check_type(DType type, const char *cpu) {
    Arena arena;
    jmp_buf out;
    if (setjmp(out)) fail();
    arena_init(&arena, &out);
    Text t = text_new(&arena);
    text_add(&t, "module @m\ndim B in 1..100\n");
    int count, chosen = 0;
    const OpInfo *const *ops = op_table(&count);
    const char **names = arena_array(&arena, const char *, count);
    for (int i = 0; i < count; i++) {
        if (ops[i]->kind != KIND_MAP || !ops[i]->min_operands || ops[i]->attrs || !takes(ops[i], type)) continue;
        names[chosen] = ops[i]->name;
        add_function(&t, ops[i], names[chosen++], type, "B,3");
    }
    assert_true(chosen > 3);
    Native *n = native_open(text_get(&t), cpu, 1);
    for (int64_t b = 1; b <= 100; b += 33)
        for (int i = 0; i < chosen; i++) native_check(n, names[i], &b, type == DTYPE_F64 ? 1e-14 : 3e-7);
    native_close(n);
    arena_reset(&arena);
}

static void every_type_on_the_host(void **state) {
    (void)state;
    static const DType types[] = {DTYPE_F32, DTYPE_F64, DTYPE_I32, DTYPE_I64, DTYPE_I8, DTYPE_U8, DTYPE_BOOL};
    for (int i = 0; i < 7; i++) check_type(types[i], NULL);
}

static void narrower_vectors(void **state) {
    (void)state;
    check_type(DTYPE_F32, "x86-64-v3");
    check_type(DTYPE_F32, "x86-64");
    check_type(DTYPE_I32, "x86-64-v3");
}

static void conversions(void **state) {
    (void)state;
    static const DType types[] = {DTYPE_F32, DTYPE_F64, DTYPE_I32, DTYPE_I64, DTYPE_I8, DTYPE_U8, DTYPE_BOOL};
    Arena arena;
    jmp_buf out;
    if (setjmp(out)) fail();
    arena_init(&arena, &out);
    Text t = text_new(&arena);
    text_add(&t, "module @m\n");
    for (int i = 0; i < 7; i++)
        for (int j = 0; j < 7; j++)
            text_add(&t, "func @c%d%d(%%x: %s[35] = arg \"x\") {\n%%y = convert %%x {dtype = %s} : %s[35]\nreturn %%y as \"y\"\n}\n",
                     i, j, dtype_name(types[i]), dtype_name(types[j]), dtype_name(types[j]));
    Native *n = native_open(text_get(&t), NULL, 1);
    for (int i = 0; i < 49; i++) native_check(n, arena_printf(&arena, "c%d%d", i / 7, i % 7), NULL, 1e-7);
    native_close(n);
    arena_reset(&arena);
}

/* Seed and call count reach the generator; each call draws other numbers. */
static void random_numbers(void **state) {
    (void)state;
    static const char text[] =
        "module @m\n"
        "func @draw(%s: i64 = seed, %c: i64 = count, %x: i64[67] = arg \"x\") {\n"
        "%seeds = broadcast_in_dim %s {shape = [67], axes = []} : i64[67]\n"
        "%counts = broadcast_in_dim %c {shape = [67], axes = []} : i64[67]\n"
        "%bits = random_bits %seeds, %counts, %x {site = 81985529216486895, word = 2} : i32[67]\n"
        "return %bits as \"bits\", %c as \"call\"\n}\n";
    for (int c = 0; c < 2; c++) {
        Native *n = native_open(text, c ? "x86-64" : NULL, 1);
        for (int i = 0; i < 3; i++) native_check(n, "draw", NULL, 0);
        assert_int_equal(n->interp->counts[0], 3);
        native_close(n);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_on_the_host),
        cmocka_unit_test(narrower_vectors),
        cmocka_unit_test(conversions),
        cmocka_unit_test(random_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
