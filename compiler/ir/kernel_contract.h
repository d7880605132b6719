/* Questions about CONTRACT kernels that the schedule, the verifier and code generation answer alike: which factors are
 * read where they lie, which axes are tiled as one, what a worker's scratch memory holds. */
#ifndef DLCC_IR_KERNEL_CONTRACT_H
#define DLCC_IR_KERNEL_CONTRACT_H

#include "ir/kernel.h"

/* The access of a factor that is a plain load: unguarded, at an affine address. Null: its values have to be computed,
 * which is done while they are packed into a panel. */
const KAccess *kernel_factor(const Kernel *k, int node);

/* The access of a factor that is a load at an affine address, guarded or not; else null. */
const KAccess *kernel_place(const Kernel *k, int node);

/* Whether a factor's load may be guarded so that terms are skipped: the guard is the same for all of a tile, which runs
 * along the last n axes of the role (M for a, N for b). */
bool kernel_can_skip(const Kernel *k, int node, AxisRole role, int n, Arena *scratch);

enum { MOST_ZEROS = 1 << 13 }; /* elements of a row of zeros */
/* Whether the rows of a may be found through pointers: along the last K axis a row is read in sequence, and its guard,
 * if there is one, does not change; then zeros can stand for it. */
bool kernel_can_read_rows(const Kernel *k, Arena *scratch);

/* Whether lanes may run along the terms: along the last of several K axes both factors are read in sequence, and along
 * no row or column; a's rows are found through pointers. Rows and columns are counted when compiling. */
bool kernel_can_sum_lanes(const Kernel *k, Arena *scratch);
/* Whether the schedule says that they do. */
bool kernel_sums_lanes(const Kernel *k);

/* How many of the last axes of a role (M, N: tiled; K: summed over) may count as one long axis, whose index is the
 * last one's: those that everything walks so which reads or writes them in place. That is the stores and what they are
 * computed from (M and N), and the factors that are not packed. */
int kernel_joined_axes(const Kernel *k, DimTable *dims, AxisRole role, Arena *scratch);
/* Where rows are found through pointers, they count as one whatever the epilogue walks: then it has to know for each row
 * its index along each axis. Whether it does. */
bool kernel_rows_apart(const Kernel *k, DimTable *dims, Arena *scratch);

/* Long sums of floats are added up in runs, each a chain of its own, and then run by run: so a rounding error does not
 * grow with all of the length. Runs of a sum over one axis, as in a matrix product, have RUN_ALONG terms, but a sum of up
 * to ONE_RUN is one; of a sum over
 * several, as in the gradient of a convolution's weights, where the terms may be millions, at most RUN_ACROSS where
 * the extents allow. Where runs end follows from the extents of the K axes alone, so that M, N, packing and blocks change
 * no bit. */
enum { ONE_RUN = 1024, RUN_ALONG = 512, RUN_ACROSS = 256, SHORT_RUN = 64 };
typedef struct KernelRun {
    int64_t terms;             /* of all K axes in order; 0: the sum is one run */
    int axis;                  /* a run is some steps along this axis and all of those behind it; -1: the extents behind
                                * the first K axis are not known when compiling, and runs are counted over all */
    int64_t steps;
} KernelRun;
KernelRun kernel_run(const Kernel *k);

/* A sum may be cut into blocks of whole runs. Where its axes do not count as one for all that is not packed, a block is
 * some steps along one of them and all of those behind it, and blocks fill that axis exactly unless it is the first.
 * Which axis that is for blocks of kc terms; -1: there can be no such blocks. */
int kernel_cut_axis(const Kernel *k, DimTable *dims, Arena *scratch, int64_t kc);
/* Whether the terms may be swept (schedule.skinny_nc): both factors are read where they lie, their terms counted as one, and
 * columns of b are neighbours. */
bool kernel_can_sweep(const Kernel *k, DimTable *dims, Arena *scratch);
/* Whether b's columns may be turned in registers (schedule.skinny_turn): both factors are plain loads with one axis of
 * terms, along which b's lie, and b has one axis of columns. */
bool kernel_can_turn(const Kernel *k);
/* The greatest number of terms up to `most` that blocks may have; if there is none, the least above; 0: the sum cannot be
 * cut. */
int64_t kernel_best_cut(const Kernel *k, DimTable *dims, Arena *scratch, int64_t most);
/* Terms of one step along an axis: the product of the extents of the K axes behind it; 0 if that is not known. */
int64_t kernel_terms_behind(const Kernel *k, int axis);
/* The product of the extents of the last n axes of a role. */
Dim kernel_joined_extent(const Kernel *k, DimTable *dims, AxisRole role, int n);

/* Whether the axis is one of the loops around blocks. */
bool kernel_is_outer(const Kernel *k, int axis);
/* These axes in the order in which items follow one another, which is that of b in memory: the one that varies slowest
 * first. Returns their number. */
int kernel_outer_axes(const Kernel *k, int *outer);

/* Along which axis a packed factor is computed, several lanes at a time: the last one of those that its panel's rows
 * run along, if its loads are contiguous there, else perhaps the last one across the rows. */
int kernel_pack_axis(const Kernel *k, int node, AxisRole along, AxisRole across, Arena *scratch);

enum { SWEPT_TERMS = 8, SWEPT_TILES = 4 };     /* rows of b that are swept together; vectors or tiles of an item */
enum { MAX_TILE = 32 };        /* vectors of sums of a tile: no more than there are registers */

/* What a worker's scratch memory holds, by offsets in bytes. A panel of B has a row of nc columns for each term, a
 * panel of A a row of `pitch` terms for each of mc rows; `runs` is a tile of sums, where there are runs; `paused` are the
 * sums of a block, or of a sweep, for the current run and once more for those before; `zeros` are zero_count elements, where
 * rows of A are found through pointers. */
typedef struct KernelPanels {
    int64_t a, b, paused, runs, zeros, bytes, pitch, zero_count;
} KernelPanels;
KernelPanels kernel_panels(const Kernel *k);

#endif
