/* What the files of the contraction generator share: contract.c (loops and tiles), contract_rows.c (rows of A found
 * through pointers, terms that are skipped), contract_ahead.c (what is asked for ahead), contract_lanes.c (lanes along the terms),
 * contract_trim.c (terms that do not count), contract_sweep.c, contract_turn.c (few rows against much memory), pack.c
 * (copied panels of B), pack_values.c (panels of computed factors). */
#ifndef DLCC_CODEGEN_CONTRACT_H
#define DLCC_CODEGEN_CONTRACT_H

#include "codegen/emit.h"
#include "ir/kernel_contract.h"

enum { SHORT_EPILOGUE = 8 };   /* kernel_work up to which an epilogue is in line */

/* What the terms of a strip or of a tile ask for meanwhile: see contract_ahead.c. */
typedef struct Ahead {
    LLVMValueRef lines[MAX_TILE];   /* elements of B, from the term's own on */
    int line_count;
    int64_t panel_terms;       /* of B's panels: from a term to the one to ask for; 0: B does not lie so */
    LLVMValueRef strip;        /* its number in the block */
    LLVMValueRef next_rows;    /* of A, from the term's own on: where the strip behind this one is; null: nothing */
    LLVMValueRef strips_left;  /* of a block that reads B in place; null: the next one is not asked for */
    bool next_tile;            /* of the only strip: the tile behind this one is asked for */
    LLVMValueRef next_columns; /* elements of B from this block's first term and column to the next one's */
} Ahead;

/* A sweep's block of terms: see contract_sweep.c. */
typedef struct Sweep {
    LLVMValueRef from;         /* the first term; null: nothing is swept */
    LLVMValueRef until;        /* the term behind the last; null: SWEPT_TERMS later */
    LLVMValueRef begins, ends, last;   /* i1: it is the first of a run, the last of a run, the last of all */
} Sweep;

/* That great - less >= 0 (strict: > 0) where terms count, with the factors of the tiled axes and of the terms' axis. */
typedef struct TrimLimit {
    int great, less;           /* nodes */
    bool strict;
    int64_t m, n, k;
} TrimLimit;

typedef struct Contract {
    const Kernel *k;
    KernelScope *scope;
    const KAccess *a, *b;      /* factors that are plain loads; else null */
    DType a_type, b_type;      /* of the factors */
    DType acc;                 /* type of the sums in registers */
    int m, n;                  /* the tiled axes: the last ones of those that are tiled as one */
    int m_first, n_first;      /* the first ones; the index along all but the last is 0 but for packing */
    Dim rows, columns;         /* extents of those tiled as one */
    int k_axis;                /* the first K axis */
    int cut_axis;              /* that a K block is some steps along */
    bool one_k;                /* the sum counts as one axis */
    int lanes;
    LLVMValueRef *index;       /* by axis: of the loops around and of the tile's corner */
    LLVMValueRef m_from, m_until, n_from, n_until;     /* the item's block */
    int64_t n_block;           /* columns of every block but the last */
    bool k_blocks;             /* between k_from and k_until only; k_last: the last such block */
    LLVMValueRef k_from, k_until, k_last;
    LLVMValueRef a_memory, b_memory, runs, paused;     /* scratch; runs: a tile's sums of the runs so far */
    int64_t pitch;             /* terms of a row of A's panel */
    KernelRun run;             /* how the sum is cut */
    LLVMValueRef laid;         /* where a long epilogue reads the tile's sums; null: the epilogue is short */
    bool rows_apart;           /* the epilogue knows each row's index along each tiled M axis, not their number */
    LLVMValueRef zeros;        /* a row of them, for A's rows that are not there; null: all rows are */
    int guard_a, guard_b;      /* nodes: terms where they are false are skipped; -1: none */
    LLVMValueRef a_panel;      /* where A's rows from m_from on are packed, `pitch` elements each; null: read in place */
    Ahead ahead;
    Sweep sweep;
    VEC(TrimLimit) limits;
    LLVMValueRef trim_from, trim_until; /* the tile's terms that count; null: from the first, to the last */
    bool turns;                /* B's columns are turned in registers */
    LLVMValueRef panel;        /* where B is packed, nc elements a row; null: B is read in place */
} Contract;

typedef struct Tile {
    int rows, vectors;
    LLVMValueRef row, column;  /* its corner */
    LLVMValueRef mask;         /* of the last vector, or null */
    LLVMValueRef sums[MAX_TILE];
    /* rows_a: for each row where it begins, its index along each tiled M axis, and where its terms along the last K
     * axis are read. */
    LLVMValueRef base[MAX_TILE], *digits[MAX_TILE], from[MAX_TILE];
} Tile;

LLVMTypeRef contract_sum_type(const Emit *e, const Contract *c);

/* Whether B's elements along N are neighbours in memory. */
static inline bool contract_reads_rows(const Contract *c) { return c->b && dim_is(c->b->strides[c->n], 1); }

LLVMValueRef contract_stride(Emit *e, const Contract *c, const KAccess *a, int axis);
/* The index along an axis of the loops around, of the tile's corner and of the current term. */
LLVMValueRef contract_offset(Emit *e, const Contract *c, const KAccess *a, AxisRole without);

/* Finds the rows of A for a tile. (contract_rows.c) */
void contract_begin_rows(Emit *e, Contract *c, Tile *t);
/* Which rows lie inside the image for terms along the last K axis: bit r for row r. */
LLVMValueRef contract_rows_inside(Emit *e, const Contract *c, const Tile *t);
Tile contract_part_of_rows(const Tile *t, int first, int rows);
/* Sets where the rows are read for terms along the last K axis, c->index saying which; `offset` is how far these terms
 * lie from a row's begin. Gives the offset that is left. */
LLVMValueRef contract_point_rows(Emit *e, const Contract *c, Tile *t, LLVMValueRef offset);
/* The guards of terms that are known once K axis `axis` is, and not before (-1: before all), as one i1; null: none. */
LLVMValueRef contract_guard(Emit *e, const Contract *c, int axis);

/* contract_ahead.c: before the tiles of a strip of mr rows from `row` on; before the terms of a tile; with each
 * term, number `index` along `axis`; for a tile's epilogue, before its terms. */
void contract_ahead_strip(Emit *e, Contract *c, LLVMValueRef row);
void contract_ahead_tile(Emit *e, Contract *c, const Tile *t);
void contract_ahead_term(Emit *e, const Contract *c, const Tile *t, LLVMValueRef a_at, LLVMValueRef b_at, int axis,
                         LLVMValueRef index);
void contract_ahead_epilogue(Emit *e, const Contract *c, const Tile *t);

/* What is said of the terms that count (contract_trim.c); of a tile: sets trim_from and trim_until. */
void contract_find_limits(Emit *e, Contract *c);
void contract_trim(Emit *e, Contract *c, const Tile *t);

/* The stores of a tile whose sums are complete. */
void contract_epilogue(Emit *e, const Contract *c, const Tile *t);

/* Terms from .. until-1, B being turned: see contract_turn.c. */
void contract_turned_run(Emit *e, const Contract *c, const Tile *t, LLVMValueRef a_at, LLVMValueRef b_at,
                         LLVMValueRef from, LLVMValueRef until);

/* One term of every sum of the tile, of elements of A at a_at (see emit_term) and vectors of B. */
void contract_products(Emit *e, const Contract *c, const Tile *t, LLVMValueRef a_at, LLVMValueRef *b);
LLVMValueRef contract_a_term(Emit *e, const Contract *c, LLVMValueRef at, int axis, LLVMValueRef index);
/* One term of every sum of the tile: number `index` of terms that count as one. */
void contract_joined_term(Emit *e, const Contract *c, const Tile *t, LLVMValueRef a_at, LLVMValueRef b_at,
                          LLVMValueRef index);
/* All columns of an item of few rows. */
void contract_few_rows(Emit *e, Contract *c);
/* The number of terms. */
LLVMValueRef contract_depth(Emit *e, const Contract *c);

/* All of an item, term by term (contract_sweep.c); what its tiles do before, in and behind a block of terms. */
void contract_sweep_item(Emit *e, Contract *c);
void contract_sweep_start(Emit *e, const Contract *c, const Tile *t);
void contract_sweep_terms(Emit *e, const Contract *c, const Tile *t, LLVMValueRef a_at, LLVMValueRef b_at);
void contract_sweep_finish(Emit *e, const Contract *c, const Tile *t);

/* All tiles of a block, with lanes along the terms. (contract_lanes.c) */
void contract_lanes_block(Emit *e, Contract *c);

/* Packs terms k_from .. k_until-1 of columns n_from .. n_until-1 of B into the panel; columns up to a whole
 * vector are zero. (pack.c) */
void contract_pack(Emit *e, Contract *c, LLVMValueRef k_from, LLVMValueRef k_until);

/* Computes terms k_from .. k_until-1 of columns n_from .. n_until-1 of B, or of rows m_from .. m_until-1 of A, into the
 * panel. Terms and columns are numbered over all axes of their sort. (pack_values.c) */
void contract_pack_values(Emit *e, Contract *c, bool of_a, LLVMValueRef k_from, LLVMValueRef k_until);

/* The square of lanes vectors, transposed. (pack.c) */
void contract_transpose(Emit *e, LLVMValueRef *rows, int lanes);

#endif
