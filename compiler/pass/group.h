/* Groups: which operations become one kernel. The fuse pass decides it with these rules, and the
 * lowering relies on them; both must agree on what a kernel can read in place, so it is stated here. */
#ifndef DLCC_PASS_GROUP_H
#define DLCC_PASS_GROUP_H

#include "ops/ops.h"

/* Costs nothing to repeat in every kernel that uses it: a constant, an iota, an index map. */
static inline bool op_is_free(const Op *op) {
    return op->info->kind == KIND_MOVE || (op->info->kind == KIND_MAP && op->operand_count == 0);
}

/* Whether a kernel can read the op's operands through its index map, whatever they are. A relabelling that
 * is not can still be read where its operand lies in memory, row-major. */
bool op_reads_in_place(Module *m, const Op *op);

#endif
