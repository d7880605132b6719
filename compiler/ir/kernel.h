/* Kernel IR: loop nests over buffers, and the order in which a function runs them.
 *
 * A kernel is a structured loop nest: axes, accesses to buffers that are affine in the axes, and a list
 * of scalar nodes (element functions) that say what is computed at a point. Two forms share these:
 *
 *   KERNEL_LOOPS     outer axes are kept, inner axes are reduced or swept. The stages run one after the
 *                    other for every outer point; a stage sweeps all inner axes (or none), storing
 *                    values and feeding reductions whose results later stages read. A map is one stage
 *                    without inner axes; softmax is three stages.
 *   KERNEL_CONTRACT  C[b,m,n] = sum over k of A[b,m,k] * B[b,k,n], then the stores' nodes, evaluated at
 *                    each (b,m,n) while the sum is in a register (the epilogue).
 *
 * What varies is data: extents and strides are Dims over the kernel's own dims (n0, n1, ...), so that
 * kernels equal in structure are one kernel, called with different pointers and dims. The schedule
 * (vector axis, tile, blocks, packing) is chosen by a pass from the target's data row and printed.
 *
 * A plan lists the buffers of one function with their places in memory and the steps it takes.
 * Text form: kernel_print.h, which reads back. */
#ifndef DLCC_IR_KERNEL_H
#define DLCC_IR_KERNEL_H

#include "ir/graph.h"
#include "ir/op.h"

typedef enum KernelForm { KERNEL_LOOPS, KERNEL_CONTRACT } KernelForm;

/* LOOPS kernels have OUTER and INNER axes, CONTRACT kernels the other four. Outer axes come first. */
typedef enum AxisRole { AXIS_OUTER, AXIS_INNER, AXIS_BATCH, AXIS_M, AXIS_N, AXIS_K } AxisRole;

typedef struct KAxis {
    AxisRole role;
    Dim extent;
} KAxis;

/* A pointer that the kernel is called with. */
typedef struct KBuf {
    DType dtype;
    bool written;
} KBuf;

/* Where an element lies: buffer[offset + sum of stride[a] * axis a + sum of index_stride * index node]. */
typedef struct KAccess {
    int buf;
    Dim offset;
    const Dim *strides;        /* one for each axis */
    int index;                 /* a node whose integer value also addresses, or -1 */
    Dim index_stride;
} KAccess;

typedef enum KNodeKind {
    NODE_LOAD,                 /* access; `guard` (a node, -1: none) false: the value is 0 and nothing is read */
    NODE_CONST,                /* value */
    NODE_AXIS,                 /* the index along an axis times `dim` (null: 1), in the node's type */
    NODE_DIM,                  /* the value of a Dim */
    NODE_NUMBER,               /* an i64 that the kernel is called with, `number` of them */
    NODE_MAP,                  /* element function of args */
    NODE_RUNNING,              /* LOOPS: the value of a running reduction that this point of its sweep leaves */
    NODE_REDUCED,              /* LOOPS: the result of reduction `reduction` (after its stage) */
    NODE_SUM                   /* CONTRACT: the finished sum */
} KNodeKind;

typedef struct KNode {
    KNodeKind kind;
    DType dtype;
    MapFn map;
    int args[3];               /* earlier nodes, -1 for none */
    int access, guard;         /* LOAD */
    int axis;                  /* AXIS */
    Dim dim;                   /* DIM; AXIS: the factor, may be null */
    double value;              /* CONST: floats, and integers up to 2^53 */
    int reduction;             /* REDUCED, RUNNING */
    int number;                /* NUMBER */
    uint64_t site;             /* MAP random_bits */
    int word;
    Span span;                 /* of the operation that it computes, in the first of equal kernels; for line tables */
} KNode;

/* Whether several points may store to one element. */
typedef enum StoreMode {
    STORE_EACH,                /* no: every point has its own */
    STORE_COMBINE,             /* yes, LOOPS, in a sweep: each makes map(element, node) of it, in the inner axes' order */
    STORE_LAST                 /* yes, LOOPS, in a sweep: the last in the inner axes' order stays */
} StoreMode;

typedef struct KStore {
    int access, node;
    StoreMode mode;
    MapFn map;                 /* COMBINE: add maximum minimum */
    int guard;                 /* a node, -1: none; where it is false nothing is stored, nor read for it */
} KStore;

/* Reduction over all inner axes. For arg-reductions `arg` is set: the value compared is `node`, the
 * result the position along inner axis `arg_axis` of the first extreme one (map maximum or minimum). */
typedef struct KReduction {
    MapFn map;                 /* add multiply maximum minimum and or */
    bool arg;
    int arg_axis;
    int node;                  /* the value at a point */
    DType dtype;               /* of the result */
    bool product;              /* the sum of a contraction: where a factor is 0 by its guard, the term may be left out */
    /* Running: the sweep goes along the one inner axis in its order, and at each point NODE_RUNNING is the value so
     * far. Of equal extremes the last counts. With a factor (add only) the value so far is multiplied by that node
     * before the point's is added; it begins with 0. */
    bool running;
    int factor;                /* running: a node or -1 */
} KReduction;

typedef struct KStage {
    bool inner;                /* sweeps the inner axes; else runs once per outer point */
    VEC(KStore) stores;
    VEC(int) reductions;       /* computed by this stage */
} KStage;

/* Chosen by the schedule pass; zero before. */
typedef struct KSchedule {
    /* LOOPS */
    int vector_axis;           /* axis across the lanes, -1: scalar */
    int lanes;                 /* elements a vector */
    int unroll;                /* vectors in flight */
    uint64_t jam;              /* outer axes, as a set, that are swept together: all of their points at once */
    bool whole;                /* the inner axes are unrolled */
    int along, tile;           /* so many points of this axis are made together (0: there is no such axis) */
    int64_t chunk;             /* outer points (innermost outer axis) of one item of parallel work */
    /* CONTRACT; the innermost M and N axis are tiled */
    int mr, nv;                /* rows, vectors of columns */
    int64_t mc, nc, kc;        /* blocks: rows and columns of an item, depth (0: all) */
    /* How the factors are read: packed into panels, as they must be where they are computed; else where they lie. If a
     * load there is guarded, either terms are skipped where the guard is false, which must be so for all rows (columns)
     * of a tile alike, or the rows of A are found through pointers, of which some point to zeros. */
    bool pack_a, pack_b, skip_a, skip_b, rows_a;
    int m_axes, n_axes;        /* how many of the last M and N axes are tiled as one */
    int skinny_nv;             /* vectors of columns when there are fewer than mr rows (M is 1, 2, ...) */
    int64_t skinny_nc;         /* columns that are swept together then, a few terms at a time; 0: tile by tile */
    bool skinny_turn;          /* b's columns, along which its terms lie, are then turned in registers, square by square */
    int64_t scratch;           /* bytes per worker */
    int64_t serial_below;      /* points of a call (product of all extents) below which it stays on one thread */
} KSchedule;

typedef struct Kernel {
    const char *name;          /* k0, k1, ... */
    KernelForm form;
    VEC(KAxis) axes;
    VEC(KBuf) bufs;
    VEC(DimSymbol *) dims;     /* parameters n0, n1, ... */
    int numbers;               /* further parameters, plain numbers: what else may differ between two calls */
    VEC(KAccess) accesses;
    VEC(KNode) nodes;          /* arguments before users */
    VEC(KReduction) reductions;/* LOOPS */
    VEC(KStage) stages;        /* LOOPS; of CONTRACT the one stage with the epilogue's stores */
    int a, b;                  /* CONTRACT: the nodes that are multiplied */
    int where;                 /* CONTRACT: a bool node, -1: none; where it is false a factor is 0: the term may be left out */
    DType acc;                 /* CONTRACT: type of the sum */
    KSchedule schedule;
    uint64_t hash;             /* of the structure */
} Kernel;

/* ---------------------------------------------------------------- plans */

typedef enum BufPlace {
    PLACE_ARG, PLACE_RESULT,   /* the caller's; index says which */
    PLACE_VAR,                 /* a module variable's memory */
    PLACE_ARENA,               /* offset in the workspace */
    PLACE_CONST,               /* read-only data in the object */
    PLACE_SEED,                /* the model's seed: an i64 scalar in the frame */
    PLACE_COUNT,               /* the function's call count: the same */
    PLACE_LOCAL                /* offset in a worker's scratch, behind the kernels' part: one slice of a chain at a time */
} BufPlace;

typedef struct PlanBuf {
    BufPlace place;
    int index;                 /* ARG, RESULT: among the PORT_ARG inputs, the results without a variable */
    Var *var;                  /* VAR */
    int64_t offset;            /* ARENA, LOCAL: bytes; set by the memory plan */
    DType dtype;
    Dim elements;
    Dim slice;                 /* LOCAL: elements of a slice */
    int64_t bytes;             /* at the dims' upper bounds; LOCAL: of a slice */
    const double *data;        /* CONST: values */
    const char *name;          /* for dumps and reports */
    int first, last;           /* steps of its life, set by the memory plan */
    int alias;                 /* ARENA, LOCAL: shares the memory of this buffer, or -1 */
} PlanBuf;

/* Steps run one after the other. Those between a LOOP, WHILE or IF and its END are its body, and these nest. */
typedef enum StepKind {
    STEP_KERNEL,
    STEP_CHECK,                /* every element of an integer buffer is in 0 .. limit-1, or DLRT_ERR_INDEX */
    STEP_REQUIRE,              /* a bool is true, or DLRT_ERR_REQUIRE */
    STEP_BIND,                 /* a dim is from here on what an i64 says; outside its bounds: DLRT_ERR_BOUND */
    STEP_LOOP,                 /* for symbol = 0 .. extent-1, or the other way round */
    STEP_WHILE,                /* repeats, at most `most` times, until a TEST in it fails */
    STEP_TEST,                 /* where a bool is false the innermost WHILE ends */
    STEP_IF, STEP_ELSE,        /* by a bool */
    STEP_END,
    STEP_SWAP,                 /* two buffers of the workspace, equal in size, change their names */
    STEP_ROUTINE               /* a function of the runtime, for an OPAQUE operator */
} StepKind;

typedef struct PlanStep {
    StepKind kind;
    Kernel *kernel;
    const int *bufs;           /* KERNEL: a PlanBuf for each KBuf; CHECK: {indices}, {indices, mask} if masked;
                                * REQUIRE, BIND, TEST, IF: {scalar}; SWAP: the two; ROUTINE: the operands, then the
                                * results that are wanted */
    const Dim *offsets;        /* for each of bufs: where in it the step begins, in elements; null: 0 */
    const Dim *dims;           /* KERNEL: a value (over the function's dims) for each kernel dim; ROUTINE: the numbers
                                * of its arguments (DLRT_ROUTINES in dlrt.h) behind the first, which counts them */
    const int64_t *numbers;    /* KERNEL: for each of the kernel's */
    int chain;                 /* KERNEL: it runs slice by slice with its neighbours of the same number (pass/chain.c); 0: alone */
    Dim slices;                /* KERNEL of a chain: how many slices its work falls into */
    int routine;               /* ROUTINE: DlrtRoutine */
    int reads, writes, dim_count;              /* ROUTINE: operands and results among bufs; number of dims */
    int64_t scratch;           /* ROUTINE: bytes per worker */
    int64_t serial_below;      /* ROUTINE: elements of the first operand below which it stays on one thread */
    Dim limit;                 /* CHECK */
    Dim extent;                /* CHECK: elements; LOOP: iterations; ROUTINE: rows */
    DimSymbol *symbol;         /* BIND: the dim; LOOP: the index, a dim that the body's sizes and offsets may use */
    int64_t most;              /* WHILE: -1 is no limit */
    bool masked;               /* CHECK: only where the mask, element by element, is true */
    bool reverse;              /* LOOP: from extent-1 down to 0 */
    const char *what;          /* CHECK, BIND: the name in the message; REQUIRE: what is required */
    Span span;
    double flops;              /* of one run, at upper bounds, for reports */
} PlanStep;

typedef struct Plan {
    Func *func;
    VEC(PlanBuf) bufs;
    VEC(PlanStep) steps;
    int64_t arena_bytes;       /* set by the memory plan */
    int64_t live_bytes;        /* lower bound: the most bytes alive at one step */
    int64_t scratch_bytes;     /* per worker: the largest of its kernels, and behind it the largest chain's local buffers */
    int64_t local_bytes;       /* of these buffers */
} Plan;

typedef struct KModule {
    Module *graph;
    Arena *arena;
    DimTable dims;             /* of kernels: n0, n1, ... */
    VEC(Kernel *) kernels;     /* distinct ones */
    VEC(Plan *) plans;         /* one for each exported function, in order */
    Plan *init, *prepare;
} KModule;

#endif
