/* What the files of the contraction generator share: contract.c (loops and tiles), pack.c (panels of B). */
#ifndef DLCC_CODEGEN_CONTRACT_H
#define DLCC_CODEGEN_CONTRACT_H

#include "codegen/emit.h"

enum { SHORT_EPILOGUE = 8 };   /* kernel_work up to which an epilogue is in line */
enum { MAX_TILE = 32 };        /* sums of a tile: no more than there are registers */

typedef struct Contract {
    const Kernel *k;
    KernelScope *scope;
    const KAccess *a, *b;
    DType acc;                 /* type of the sums in registers */
    int m, n;                  /* the tiled axes */
    int lanes;
    LLVMValueRef *index;       /* by axis: of the loops around and of the tile's corner */
    LLVMValueRef m_from, m_until, n_from, n_until;     /* the item's block */
    int64_t n_block;           /* columns of every block but the last */
    bool k_blocks;             /* between k_from and k_until only; k_last: the last such block */
    LLVMValueRef k_from, k_until, k_last;
    LLVMValueRef panel_memory, paused;                 /* scratch */
    LLVMValueRef laid;         /* where a long epilogue reads the tile's sums; null: the epilogue is short */
    LLVMValueRef panel;        /* where B is packed, nc elements a row; null: B is read in place */
} Contract;

typedef struct Tile {
    int rows, vectors;
    LLVMValueRef row, column;  /* its corner */
    LLVMValueRef mask;         /* of the last vector, or null */
    LLVMValueRef sums[MAX_TILE];
} Tile;

LLVMTypeRef contract_sum_type(const Emit *e, const Contract *c);

/* Whether B's elements along N are neighbours in memory. */
static inline bool contract_reads_rows(const Contract *c) { return dim_is(c->b->strides[c->n], 1); }

/* Packs terms k_from .. k_until-1 of columns n_from .. n_until-1 of B into the panel; columns up to a whole
 * vector are zero. (pack.c) */
void contract_pack(Emit *e, Contract *c, LLVMValueRef k_from, LLVMValueRef k_until);

#endif
