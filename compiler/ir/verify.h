/* What holds of every graph IR module, checked after each pass.
 *
 * - Every operand and yield is a value of the same function, defined before its use in the same region: what is outside of an operator's region comes in as a parameter; results and parameters know their place.
 * - An op has the operands, attributes and regions its row of the table asks for, and its results have
 *   the types that its own rule infers.
 * - A function's parameters match its inputs and its yields its results; a variable is read by at most
 *   one input and written by at most one result, with its own type.
 * - Variables have constant extents, unique names and a permutation as physical order.
 * - Types mention only dims of the function's signature, or that bind_dim bound before in the region or one around;
 *   ranks and extents are in range.
 * - The init function reads nothing but the seed and writes every variable. */
#ifndef DLCC_IR_VERIFY_H
#define DLCC_IR_VERIFY_H

#include "ir/graph.h"

typedef struct Fault {
    const Func *func;          /* null: of the module */
    const Op *op;              /* null: of the function as a whole */
    Span span;
    const char *text;
} Fault;

typedef VEC(Fault) FaultList;

/* Appends what is broken, at most FAULT_LIMIT messages; returns their number. Memory is the scratch's.
 * Numbers the functions' values. */
enum { FAULT_LIMIT = 50 };
int module_verify(Module *m, Arena *scratch, FaultList *faults);

/* Reports each fault as DL0602 ("<where>: <text>"), with the op as a note. */
void faults_report(Module *m, const FaultList *faults, const char *where);

/* Why the counts of operands and regions or the attributes of op are not what its row asks for; null if
 * they are. In the module's arena. */
const char *op_check_form(Module *m, const Op *op);

/* Why a type cannot be: rank, a dim that overflowed, a negative extent, more elements than can be
 * counted; null if it can. */
const char *type_check(Module *m, Type type);

#endif
