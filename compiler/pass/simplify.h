/* The inside of simplify: what its rules are made of. simplify.c has the table and applies it; the rules
 * stand in simplify_fold.c (constants), simplify_map.c (elementwise identities) and simplify_move.c (index
 * maps, reductions, contractions).
 *
 * A rule looks at one op and returns a value to use instead of its only result, or null where it does not
 * apply. It keeps results bit for bit, NaN, infinities and the sign of zero included, except that a
 * reduction may take another order, x ^ 2 is rounded as the product it becomes, and a convolution may add
 * zeros times elements of x, which are NaN where these are not finite. Ops it makes are appended through
 * the builder. */
#ifndef DLCC_PASS_SIMPLIFY_H
#define DLCC_PASS_SIMPLIFY_H

#include "ops/build.h"

typedef Value *RuleFn(Builder *b, Op *op);

/* ------------------------------------------------------------------- questions */

static inline bool op_is_map(const Op *op, MapFn f) { return op && op->info == op_of_map(f); }
static inline bool value_is_map(const Value *v, MapFn f) { return op_is_map(v->op, f); }
static inline bool value_is(const Value *v, const OpInfo *info) { return v->op && v->op->info == info; }

/* Whether every element of v is the same known number. */
static inline bool value_is_splat(const Value *v, double *to) {
    const Attr *value = value_is_map(v, MAP_constant) ? op_attr(v->op, "value") : NULL;
    if (value) *to = value->f;
    return value != NULL;
}

/* Whether v is the constant x in every element; zeros differ by sign if v is of floats. */
bool value_is_all(const Value *v, double x);

/* ------------------------------------------------------------------- answers */

/* The op's result 0 if it can be and has that type, else null; nothing is reported. */
Value *try_op(Builder *b, const OpInfo *info, Value *const *operands, int n, const Attr *attrs, int attr_count,
              Type type);
Value *try_map(Builder *b, MapFn f, Value *const *operands, int n, Type type);

/* What is done for operators with bodies before each round of rules (simplify_region.c); returns how often. */
int simplify_regions(Func *f, Arena *scratch);

/* ------------------------------------------------------------------- the rules */

/* Rules with what they match and what they do, in the order in which they are tried. */
#define SIMPLIFY_RULES(RULE)                                                                                           \
    RULE(fold_map, KIND(MAP), "an elementwise operator on constants -> constant")                                      \
    RULE(fold_move, KIND(MOVE), "an index map of one repeated constant -> constant")                                   \
    RULE(fold_pad, OP(pad), "pad of a repeated constant with the same constant -> constant")                           \
    RULE(fold_reduce, KIND(REDUCE), "a reduction of one repeated constant -> constant")                                \
    RULE(fold_iota, MAP(iota), "iota along a dim of extent 1 -> 0")                                                    \
    RULE(fold_dim, MAP(dim_value), "the value of a constant dim -> constant")                                          \
    RULE(constant_right, COMMUTATIVE, "c + x -> x + c")                                                                \
    RULE(add_zero, MAP(add), "x + 0 -> x on integers, x + -0 -> x on floats")                                          \
    RULE(add_negated, MAP(add), "x + -y -> x - y, -y + x -> x - y")                                                    \
    RULE(subtract_zero, MAP(subtract), "x - 0 -> x")                                                                   \
    RULE(subtract_self, MAP(subtract), "x - x -> 0 on integers")                                                       \
    RULE(subtract_negated, MAP(subtract), "x - -y -> x + y")                                                           \
    RULE(multiply_one, MAP(multiply), "x * 1 -> x, x * -1 -> -x")                                                      \
    RULE(multiply_zero, MAP(multiply), "x * 0 -> 0 on integers")                                                       \
    RULE(multiply_negated, MAP(multiply), "-x * -y -> x * y, -x * c -> x * -c")                                        \
    RULE(multiply_twice, MAP(multiply), "(x * c) * d -> x * (c * d), c a power of two or on integers")                 \
    RULE(divide_one, MAP(divide), "x / 1 -> x")                                                                        \
    RULE(divide_power_of_two, MAP(divide), "x / c -> x * (1 / c), c a power of two, on floats")                        \
    RULE(power_small, MAP(power), "x ^ 0 -> 1, x ^ 1 -> x, x ^ 2 -> x * x")                                            \
    RULE(undo_twice, KIND(MAP), "-(-x) -> x, not not x -> x")                                                          \
    RULE(same_operands, KIND(MAP), "max(x, x), min(x, x), x & x, x | x -> x")                                          \
    RULE(compare_self, KIND(MAP), "x < x, x > x -> false; x = x, x <= x on integers -> true; ...")                     \
    RULE(logic_constant, KIND(MAP), "x & true -> x, x & false -> false, x | true -> true, x | false -> x")             \
    RULE(select_known, MAP(select), "select(true, x, y) -> x, select(c, x, x) -> x")                                   \
    RULE(select_not, MAP(select), "select(not c, x, y) -> select(c, y, x)")                                            \
    RULE(drop_stop_gradient, MAP(stop_gradient), "stop_gradient(x) -> x: gradients have been taken")                   \
    RULE(convert_same, MAP(convert), "convert to the own type -> x")                                                   \
    RULE(convert_chain, MAP(convert), "convert(convert(x)) -> convert(x), the first one exact")                        \
    RULE(move_nothing, KIND(MOVE), "an index map that moves nothing -> x")                                             \
    RULE(reshape_reshape, OP(reshape), "reshape(reshape(x)) -> reshape(x)")                                            \
    RULE(transpose_transpose, OP(transpose), "transpose(transpose(x)) -> transpose(x)")                                \
    RULE(transpose_dot, ONLY_USE(transpose), "transpose of a product's two sides -> product of the sides swapped")     \
    RULE(transpose_units, OP(transpose), "transpose that moves only dims of extent 1 -> reshape")                      \
    RULE(broadcast_broadcast, OP(broadcast_in_dim), "broadcast(broadcast(x)) -> broadcast(x)")                         \
    RULE(broadcast_units, OP(broadcast_in_dim), "broadcast that only adds dims of extent 1 -> reshape")                \
    RULE(broadcast_reshape, OP(broadcast_in_dim), "broadcast(x with dims of extent 1 added) -> broadcast(x)")          \
    RULE(gaps_select, GAPS_ONLY_USE, "place(select(c, x, 0)) -> select(place(c), place(x), 0) where place leaves gaps of 0") \
    RULE(slice_slice, OP(slice), "slice(slice(x)) -> slice(x)")                                                        \
    RULE(slice_concatenate, OP(slice), "slice of one part of a concatenation -> slice of the part")                    \
    RULE(reverse_reverse, OP(reverse), "reverse(reverse(x)) along the same dims -> x")                                 \
    RULE(reduce_units, KIND(REDUCE), "reduction of dims of extent 1 -> reshape")                                       \
    RULE(reduce_reduce, REDUCE_ONLY_USE, "sum(sum(x)) -> sum(x), so for max, min, and, or, and products of integers")  \
    RULE(dot_transpose, OP(dot_general), "product of a transposed side -> product with other dimension numbers")

#define RULE(name, match, doc) RuleFn rule_##name;
SIMPLIFY_RULES(RULE)
#undef RULE

#endif
