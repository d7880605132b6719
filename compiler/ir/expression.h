/* Short names for the expressions that stand in columns of elementwise.def: the gradient, and what an operator is composed
 * of. Whoever includes it says what they make: MAP1, MAP2 and SELECT of element functions (ops/elementwise.c builds graph
 * operations, codegen/element.c emits instructions), LIKE(p, number) of a number in p's type.
 *
 * Each evaluates its operands from left to right, which C does not for the arguments of a call. */
#ifndef DLCC_IR_EXPRESSION_H
#define DLCC_IR_EXPRESSION_H

#define NEG(p) MAP1(negate, p)
#define ABS(p) MAP1(abs, p)
#define SIGN(p) MAP1(sign, p)
#define ROUND(p) MAP1(round_nearest_even, p)
#define EXP(p) MAP1(exp, p)
#define LOG(p) MAP1(log, p)
#define SIN(p) MAP1(sin, p)
#define COS(p) MAP1(cos, p)
#define ADD(p, q) MAP2(add, p, q)
#define SUB(p, q) MAP2(subtract, p, q)
#define MUL(p, q) MAP2(multiply, p, q)
#define DIV(p, q) MAP2(divide, p, q)
#define POW(p, q) MAP2(power, p, q)
#define MAX(p, q) MAP2(maximum, p, q)
#define MIN(p, q) MAP2(minimum, p, q)
#define AND(p, q) MAP2(and, p, q)
#define OR(p, q) MAP2(or, p, q)
#define EQ(p, q) MAP2(equal, p, q)
#define LT(p, q) MAP2(less, p, q)
#define LE(p, q) MAP2(less_equal, p, q)
#define GT(p, q) MAP2(greater, p, q)

#endif
