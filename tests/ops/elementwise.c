/* Every row of elementwise.def: shape rule, first and second derivatives against differences, on the row's
 * own sample ranges. A row that has a gradient and no samples fails. */
#include "support.h"

#include <math.h>

enum { EXTENT = 4 };           /* of the run-time dim */

/* The shapes that every row is tried on. */
static int shape_case(World *w, int which, Dim *shape) {
    DimTable *t = &w->module->dims;
    const DimSymbol *known = dim_find(t, intern(&w->names, "B"));
    Dim b = known ? dim_of_symbol(t, known) : dim_symbol(t, intern(&w->names, "B"), 1, 64);
    Dim cases[][3] = {{NULL}, {dim_const(t, 1)}, {dim_const(t, 7)}, {dim_const(t, 2), dim_const(t, 1), dim_const(t, 3)},
                      {dim_const(t, 0), dim_const(t, 2)}, {b, dim_const(t, 2)}, {dim_add(t, b, b)}};
    static const int ranks[] = {0, 1, 1, 3, 2, 2, 1};
    for (int i = 0; i < ranks[which]; i++) shape[i] = cases[which][i];
    return ranks[which];
}
enum { SHAPE_CASES = 7 };

/* The type operand i of a row is tried with. */
static DType operand_type(const OpInfo *info, int i) {
    if (info->signature[0] == 'b' && i == 0) return DTYPE_BOOL;
    if (info->signature[0] == 'l') return DTYPE_I64;
    if (info->types & CLASS_FLOAT) return DTYPE_F64;
    return info->types & CLASS_INT ? DTYPE_I32 : DTYPE_BOOL;
}

static int row_attrs(World *w, const OpInfo *info, int rank, const Dim *shape, Attr *attrs) {
    int n = 0;
    for (const AttrSpec *s = info->attrs; s && s->key; s++) {
        if (s->optional && s->kind != ATTR_FLOAT) continue;
        switch (s->kind) {
        case ATTR_INT: attrs[n++] = attr_int(w->module, s->key, 0); break;
        case ATTR_FLOAT: attrs[n++] = attr_float(w->module, s->key, 1.5); break;
        case ATTR_DIMS: attrs[n++] = attr_dims(w->module, s->key, shape, rank); break;
        case ATTR_DTYPE: attrs[n++] = attr_dtype(w->module, s->key, DTYPE_F64); break;
        default: fail_msg("%s: the test knows no value for attribute %s", info->name, s->key);
        }
    }
    return n;
}

/* The row applied to inputs of one shape, and the inputs; null where the row refuses the shape. */
static Value *apply_row(World *w, Builder *b, const OpInfo *info, int rank, const Dim *shape) {
    Value *operands[3];
    Attr attrs[4];
    for (int i = 0; i < info->min_operands; i++) operands[i] = add_input(b, "x", operand_type(info, i), rank, shape);
    return build_op(b, info, operands, info->min_operands, attrs, row_attrs(w, info, rank, shape, attrs));
}

/* Draws operands from the row's ranges, again and again until they are away from kinks. */
static void sample_row(World *w, void *user, const Func *f, Tensor *const *inputs) {
    const OpInfo *info = user;
    (void)f;
    for (int64_t k = 0; info->min_operands && k < inputs[0]->count; k++) {
        double v[3];
        do {
            for (int i = 0; i < info->min_operands; i++) {
                double low = info->sample_low[i], high = info->sample_high[i];
                v[i] = low + (high - low) * world_random(w);
                if (inputs[i]->dtype == DTYPE_BOOL) v[i] = v[i] >= 0.5;
            }
        } while (info->kink(v) < 1e-3);
        for (int i = 0; i < info->min_operands; i++) {
            if (dtype_is_float(inputs[i]->dtype)) inputs[i]->at[k].f = v[i];
            else inputs[i]->at[k].i = (int64_t)v[i];
        }
    }
}

static bool is_source(const OpInfo *info) { return info->min_operands == 0; }

static void test_every_row_has_what_tests_need(void **state) {
    (void)state;
    for (int f = 0; f < MAP_COUNT; f++) {
        const OpInfo *info = op_of_map((MapFn)f);
        assert_int_equal(info->map, f);
        assert_ptr_equal(op_find(info->name), info);
        assert_true(info->doc && info->doc[0] && info->infer && info->eval && info->signature);
        if (info->grad && !info->sample_low) fail_msg("%s has a gradient, but no samples to test it on", info->name);
        if (info->grad && (info->flags & OP_ZERO_GRADIENT)) fail_msg("%s has a gradient and none", info->name);
        if (!info->grad && !(info->flags & OP_ZERO_GRADIENT) && !is_source(info))
            fail_msg("%s has neither a gradient nor a defined zero one", info->name);
    }
}

static void test_shapes(void **state) {
    (void)state;
    for (int f = 0; f < MAP_COUNT; f++) {
        const OpInfo *info = op_of_map((MapFn)f);
        if (is_source(info)) continue;         /* conventions.c */
        for (int which = 0; which < SHAPE_CASES; which++) {
            World *w = world_open();
            Dim shape[3];
            int rank = shape_case(w, which, shape);
            Builder b = world_func(w, "f");
            Value *y = apply_row(w, &b, info, rank, shape);
            if (!y) fail_msg("%s: %s", info->name, world_messages(w));
            assert_true(shape_equal(y->type.rank, y->type.shape, rank, shape));
            if (info->flags & OP_PREDICATE) assert_int_equal(y->type.dtype, DTYPE_BOOL);
            else if (f != MAP_random_bits) assert_int_equal(y->type.dtype, operand_type(info, info->min_operands - 1));
            world_close(w);
        }
    }
}

static void test_shapes_that_differ_are_refused(void **state) {
    (void)state;
    for (int f = 0; f < MAP_COUNT; f++) {
        const OpInfo *info = op_of_map((MapFn)f);
        for (int odd = 1; odd < info->min_operands; odd++) {
            World *w = world_open();
            Builder b = world_func(w, "f");
            Dim three = dim_const(&w->module->dims, 3), one = dim_const(&w->module->dims, 1);
            Value *operands[3];
            Attr attrs[4];
            int n = info->min_operands, attr_count = row_attrs(w, info, 1, &three, attrs);
            for (int i = 0; i < n; i++)
                operands[i] = add_input(&b, "x", operand_type(info, i), 1, i == odd ? &one : &three);
            assert_null(build_op(&b, info, operands, n, attrs, attr_count));
            assert_int_equal(w->diags.all.at[0].code, DL0301);
            assert_int_equal(b.region->ops.n, 0);
            world_close(w);
        }
    }
}

static void test_gradients(void **state) {
    (void)state;
    for (int f = 0; f < MAP_COUNT; f++) {
        const OpInfo *info = op_of_map((MapFn)f);
        if (!info->sample_low) continue;
        for (int which = 0; which < SHAPE_CASES; which++) {
            World *w = world_open();
            Dim shape[3];
            int rank = shape_case(w, which, shape);
            Builder b = world_func(w, "f");
            Value *y = apply_row(w, &b, info, rank, shape);
            int checked = check_derivatives(w, &b, &y, 1, EXTENT, sample_row, (void *)info, info->name);
            if (which != 4 && !checked) fail_msg("%s: nothing was checked", info->name);
            world_close(w);
        }
    }
}

/* Through operators of defined zero gradient the gradient is zero, and that is known beforehand. */
static void test_zero_gradients(void **state) {
    (void)state;
    for (int f = 0; f < MAP_COUNT; f++) {
        const OpInfo *info = op_of_map((MapFn)f);
        if (!(info->flags & OP_ZERO_GRADIENT) || !(info->types & CLASS_FLOAT)) continue;
        World *w = world_open();
        Dim shape[3];
        Builder b = world_func(w, "f");
        Value *y = apply_row(w, &b, info, shape_case(w, 2, shape), shape), *grad;
        Value *x = b.func->body->params.at[0];
        Value *loss = build_reduce(&b, &OP_reduce_sum, build_convert(&b, y, DTYPE_F64), (int64_t[]){0}, 1);
        assert_int_equal(graph_dependence(&b, loss, x), info->flags & OP_STOPS_GRADIENT ? DEPENDS_NOT : DEPENDS_FLAT);
        assert_true(build_gradients(&b, loss, &x, 1, &grad));
        assert_ptr_equal(grad->op->info, op_of_map(MAP_constant));
        world_close(w);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_row_has_what_tests_need),
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_shapes_that_differ_are_refused),
        cmocka_unit_test(test_gradients),
        cmocka_unit_test(test_zero_gradients),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
