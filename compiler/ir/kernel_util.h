/* Questions about a kernel that passes and code generation answer alike: which axes a node depends on,
 * what a stage computes, which values a row kernel keeps between its stages. */
#ifndef DLCC_IR_KERNEL_UTIL_H
#define DLCC_IR_KERNEL_UTIL_H

#include "ir/kernel.h"

/* Row memory of one outer point must stay in the first-level cache beside what it is computed from. */
enum { KERNEL_ROW_BYTES = 16384 };
/* So many points at most have code of their own; a tiled inner axis has at most so many blocks. */
enum { KERNEL_COPIES = 192, KERNEL_BLOCKS = 32 };

/* The axes of a role, as a set: bit a is axis a. */
uint64_t kernel_axes(const Kernel *k, AxisRole role);
/* The last one of them; -1: there is none. */
int kernel_last_axis(const Kernel *k, AxisRole role);
/* For each node the set of axes its value depends on. A REDUCED node depends on all outer axes, a SUM on
 * all but K. */
const uint64_t *kernel_node_axes(const Kernel *k, Arena *arena);

/* Values of an inner-vectorised kernel that several stages need and that cost more to compute again than
 * to load (OP_COSTLY): computed by the first of these stages and kept, for the current outer point, in
 * scratch memory. */
typedef struct KernelRows {
    int64_t bytes;             /* scratch needed: what schedule.scratch has to be, 0 if nothing is kept */
    const int64_t *offset;     /* by node: byte offset of its row in the scratch, -1: not kept */
    const int *stage;          /* by node: the stage that fills the row; -1 */
} KernelRows;
/* Looks at nodes, stages and schedule.vector_axis. */
KernelRows kernel_rows(const Kernel *k, Arena *arena);

/* How many steps along axis b lead to where one along axis a does, if these are fewer than b has points; else 0. */
int64_t kernel_overlap(const Kernel *k, const KAccess *access, int a, int b);
/* The outer axes whose points, or a block of whose points, are made together and not handed out as work. */
uint64_t kernel_grouped(const Kernel *k);
/* Whether the node is a plain load of neighbours along `axis` which along the lanes' axis lie apart. */
bool kernel_turns(const Kernel *k, int node, int axis);
/* Whether all that the stage stores lies so that the points of the first axis, which is jammed, are side by side and the
 * lanes of the vector axis as far apart as there are of these. */
bool kernel_interleaves(const Kernel *k, int stage);

/* Marks the nodes that stage `stage` evaluates: those its stores and reductions need, without looking
 * behind rows that an earlier stage has filled. `rows` may be null. */
void kernel_stage_nodes(const Kernel *k, int stage, const KernelRows *rows, bool *marked);

/* Marks the nodes that a CONTRACT kernel evaluates for its two factors. */
void kernel_product_nodes(const Kernel *k, bool *marked);

/* Operations that a point takes, of the marked nodes (null: of all), by the weight of their cost: 1, or 8 for a costly
 * one. */
int kernel_work(const Kernel *k, const bool *marked);

/* Points of the axes of a role at the dims' upper bounds; DIM_HUGE if there is no bound. */
int64_t kernel_most_points(const Kernel *k, AxisRole role);

/* Whether points of the inner axes must come in their order: a store that several reach, a running reduction. */
bool kernel_in_order(const Kernel *k);

/* How many buffers a step names in `bufs`. */
int step_buf_count(const PlanStep *s);
/* What the buffer, or of a local one a slice, holds at the dims' upper bounds. */
int64_t plan_buf_bytes(const PlanBuf *b);
/* Bytes of scratch that each worker needs for a step. */
int64_t step_scratch(const PlanStep *s);

/* ROUTINE: how its numbers describe buffer i of the step; false if they do not. */
typedef struct RoutineBuf {
    DType dtype;
    int rank;
    const Dim *shape, *strides;
} RoutineBuf;
bool step_routine_buf(const PlanStep *s, int i, RoutineBuf *to);
/* "sort", for DLRT_ROUTINE_sort. */
const char *routine_name(int routine);
/* Whether the step begins a body that an END ends. */
bool step_opens(const PlanStep *s);
/* How often each step runs in a call at the dims' upper bounds: a loop's body as often as the loop says, one without a
 * limit once, both ways of a branch. */
const double *plan_runs(const Plan *p, Arena *arena);
double plan_flops(const Plan *p, Arena *arena);

#endif
