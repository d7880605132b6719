/* In which order of dims contractions read their operands best: what `layout` and `loop_layout` share. */
#ifndef DLCC_PASS_LAYOUT_H
#define DLCC_PASS_LAYOUT_H

#include "ops/contraction.h"
#include "pass/pass.h"

/* The order that the contraction reads its operand best in, outermost first: with the free dims, which lanes run along,
 * innermost; where there are none to speak of, as in a depthwise convolution, the batch. Dims of extent 1 come first. */
void layout_wanted(const Contraction *c, bool lhs, int *order);

/* What v has the same elements of, in an order of dims that `order` is put into: the operand of an index map that keeps
 * extents; or null. */
const Value *layout_before(const Value *v, int *order);

#endif
