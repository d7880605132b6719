/* The master list of operators, and the one check of an op against its row. */
#include "ir/verify.h"
#include "ops/rules.h"

#include <string.h>

static const OpInfo *const table[] = {
#define ELEMENTWISE(name, ...) &map_ops[MAP_##name],
#include "ir/elementwise.def"
#undef ELEMENTWISE
    &OP_reduce_sum, &OP_reduce_max, &OP_reduce_min, &OP_reduce_prod, &OP_reduce_and, &OP_reduce_or,
    &OP_argmax, &OP_argmin,
    &OP_cumulative_sum, &OP_cumulative_prod, &OP_cumulative_max, &OP_cumulative_min, &OP_cumulative_argmax,
    &OP_cumulative_argmin, &OP_linear_recurrence,
    &OP_dot_general, &OP_convolution,
    &OP_broadcast_in_dim, &OP_reshape, &OP_transpose, &OP_slice, &OP_pad, &OP_concatenate, &OP_reverse,
    &OP_take_windows, &OP_place_windows,
    &OP_gather, &OP_scatter_add, &OP_scatter_max, &OP_scatter_min, &OP_scatter_set,
    &OP_dynamic_slice, &OP_dynamic_update_slice,
    &OP_sort, &OP_top_k, &OP_nms,
    &OP_fusion, &OP_scan, &OP_while, &OP_cond, &OP_call, &OP_barrier,
    &OP_bind_dim, &OP_require,
};
enum { TABLE_COUNT = sizeof table / sizeof *table };

const OpInfo *const *op_table(int *count) {
    *count = TABLE_COUNT;
    return table;
}

const OpInfo *op_find(const char *name) {
    for (int i = 0; i < TABLE_COUNT; i++)
        if (!strcmp(table[i]->name, name)) return table[i];
    return NULL;
}

static bool class_holds(TypeClass class, DType t) {
    TypeClass own = dtype_is_float(t) ? CLASS_FLOAT : t == DTYPE_BOOL ? CLASS_BOOL : CLASS_INT;
    return (class & own) != 0;
}

static const char *class_name(TypeClass class) {
    switch (class) {
    case CLASS_FLOAT: return "floats";
    case CLASS_INT: return "integers";
    case CLASS_BOOL: return "bool";
    case CLASS_NUMBER: return "numbers";
    case CLASS_LOGIC: return "integers and bool";
    case CLASS_ANY: break;
    }
    return "any type";
}

/* What a letter of a signature asks for, if operand t is not it; *common is the type of the first T. */
static const char *type_wanted(const OpInfo *info, char letter, DType t, const Value *first) {
    switch (letter) {
    case 'b': return t == DTYPE_BOOL ? NULL : "bool";
    case 'i': return dtype_is_int(t) ? NULL : "an integer type";
    case 'l': return t == DTYPE_I64 ? NULL : "i64";
    case 'T':
        if (!class_holds(info->types, t)) return class_name(info->types);
        return first && first->type.dtype != t ? dtype_name(first->type.dtype) : NULL;
    default: return NULL;
    }
}

static const char *check_types(Module *m, const Op *op) {
    const char *letter = op->info->signature;
    const Value *first = NULL;
    for (int i = 0; i < op->operand_count; i++) {
        const Value *v = op->operands[i];
        DType t = v->type.dtype;
        const char *wanted = type_wanted(op->info, *letter, t, first);
        if (wanted && first && *letter == 'T' && class_holds(op->info->types, t))
            return reason(m, "the operands of %s differ in element type: %s and %s", op->info->name,
                          value_text(m, first), value_text(m, v));
        if (wanted)
            return reason(m, "operand %d of %s must be of %s, but is %s", i, op->info->name, wanted, value_text(m, v));
        if (*letter == 'T') first = v;
        if (letter[1]) letter++;
    }
    return NULL;
}

static const char *check_results(Module *m, const Op *op) {
    for (int i = 0; i < op->result_count; i++) {
        const char *why = type_check(m, op->results[i].type);
        if (why) return reason(m, "the result cannot be: %s", why);
    }
    return NULL;
}

const char *op_infer(Module *m, Op *op, OpFault *fault) {
    OpFault ignored;
    if (!fault) fault = &ignored;
    const char *why;
    *fault = FAULT_FORM;
    if ((why = op_check_form(m, op))) return why;
    *fault = FAULT_TYPE;
    if ((why = check_types(m, op))) return why;
    *fault = FAULT_SHAPE;
    if ((why = op->info->infer(m, op))) return why;
    if ((why = check_results(m, op))) return why;
    *fault = FAULT_NONE;
    return NULL;
}
