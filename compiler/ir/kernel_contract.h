/* Questions about CONTRACT kernels that the schedule, the verifier and code generation answer alike: which factors are
 * read where they lie, which axes are tiled as one, what a worker's scratch memory holds. */
#ifndef DLCC_IR_KERNEL_CONTRACT_H
#define DLCC_IR_KERNEL_CONTRACT_H

#include "ir/kernel.h"

/* The access of a factor that is a plain load: unguarded, at an affine address. Null: its values have to be computed,
 * which is done while they are packed into a panel. */
const KAccess *kernel_factor(const Kernel *k, int node);

/* How many of the last axes of a role (M, N: tiled; K: summed over) may count as one long axis, whose index is the
 * last one's: those that everything walks so which reads or writes them in place. That is the stores and what they are
 * computed from (M and N), and the factors that are not packed. */
int kernel_joined_axes(const Kernel *k, DimTable *dims, AxisRole role, Arena *scratch);
/* A sum may be cut into blocks of terms that are multiples of this: 1 if its axes count as one for all that is not
 * packed, else the terms of one step along the first of them; 0 if those are not known when compiling. */
int64_t kernel_cut_step(const Kernel *k, DimTable *dims, Arena *scratch);
/* The product of the extents of the last n axes of a role. */
Dim kernel_joined_extent(const Kernel *k, DimTable *dims, AxisRole role, int n);

/* Along which axis a packed factor is computed, several lanes at a time: the last one of those that its panel's rows
 * run along, if its loads are contiguous there, else perhaps the last one across the rows. */
int kernel_pack_axis(const Kernel *k, int node, AxisRole along, AxisRole across, Arena *scratch);

/* What a worker's scratch memory holds, by offsets in bytes. A panel of B has a row of nc columns for each term, a
 * panel of A a row of `pitch` terms for each of mc rows. */
typedef struct KernelPanels {
    int64_t a, b, paused, bytes, pitch;
} KernelPanels;
KernelPanels kernel_panels(const Kernel *k);

#endif
