/* Places: where the module's variables lie in memory.
 *
 * In: a module's variables. Out: an offset for each in the block of its kind - weights (parameters and state),
 * slots, cache - and the blocks' sizes. Who needs a variable's address or a block's size asks here, so that
 * generated code, the tables it carries and the reports agree. */
#ifndef DLCC_IR_PLACES_H
#define DLCC_IR_PLACES_H

#include "ir/graph.h"

typedef struct VarPlaces {
    int64_t *offset;           /* by Var.id */
    int64_t *bytes;
    int64_t weight_bytes, slot_bytes, cache_bytes;
} VarPlaces;

VarPlaces places_of(const Module *m, Arena *arena);

#endif
