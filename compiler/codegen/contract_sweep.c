/* Few rows against a matrix that comes from memory, as where a network answers one question at a time.
 *
 * Nothing but reading B takes time then, and memory is read at its best along lines that follow one another: a tile that
 * runs over all terms reads a few lines of each row of B, and where rows are long a page for each. So here the item's
 * columns are swept with SWEPT_TERMS terms at a time; meanwhile the sums lie in scratch memory, those of the current run and,
 * behind them, those of the runs before. Terms and runs are added up in the order of a tile's, so no bit differs. */
#include "codegen/contract.h"
#include "ir/kernel_util.h"

/* Where the tile's sum number i lies; `joined`: of the runs before. */
static LLVMValueRef swept_sum(Emit *e, const Contract *c, const Tile *t, int i, bool joined) {
    const KSchedule *s = &c->k->schedule;
    LLVMValueRef row = emit_add(e, LLVMBuildSub(e->at, t->row, c->m_from, ""), emit_i64(e, i / t->vectors));
    if (joined) row = emit_add(e, row, emit_dim(e, &e->kernels->dims, c->rows, c->scope->symbols));
    LLVMValueRef column = LLVMBuildSub(e->at, t->column, c->n_from, "");
    column = emit_add(e, column, emit_i64(e, (int64_t)(i % t->vectors) * c->lanes));
    return emit_element_pointer(e, c->acc, c->paused, emit_add(e, emit_mul(e, row, emit_i64(e, s->skinny_nc)), column));
}

static LLVMTypeRef sum_vector(Emit *e, const Contract *c) { return emit_vector(e, contract_sum_type(e, c), c->lanes); }

static void store_sums(Emit *e, const Contract *c, const Tile *t, bool joined) {
    for (int i = 0; i < t->rows * t->vectors; i++)
        emit_store(e, c->acc, c->lanes, swept_sum(e, c, t, i, joined), emit_get(e, sum_vector(e, c), t->sums[i]), NULL);
}

void contract_sweep_start(Emit *e, const Contract *c, const Tile *t) {
    for (int i = 0; i < t->rows * t->vectors; i++) emit_set(e, t->sums[i], LLVMConstNull(sum_vector(e, c)));
    EmitIf goes_on = emit_if_begin(e, LLVMBuildNot(e->at, c->sweep.begins, ""));
    for (int i = 0; i < t->rows * t->vectors; i++)
        emit_set(e, t->sums[i], emit_load(e, c->acc, c->lanes, swept_sum(e, c, t, i, false), NULL));
    emit_if_end(e, &goes_on);
}

void contract_sweep_terms(Emit *e, const Contract *c, const Tile *t, LLVMValueRef a_at, LLVMValueRef b_at) {
    const Sweep *s = &c->sweep;
    for (int i = 0; !s->until && i < SWEPT_TERMS; i++)
        contract_joined_term(e, c, t, a_at, b_at, emit_add(e, s->from, emit_i64(e, i)));
    if (!s->until) return;
    EmitLoop loop = emit_loop_begin(e, s->from, s->until, emit_i64(e, 1), "k");
    contract_joined_term(e, c, t, a_at, b_at, loop.index);
    emit_loop_end(e, &loop);
}

/* Where there are several runs, the sums of the one that ends join those before. */
static void join_run(Emit *e, const Contract *c, const Tile *t) {
    if (!c->run.terms) return;
    LLVMValueRef many = LLVMBuildICmp(e->at, LLVMIntSGT, contract_depth(e, c), emit_i64(e, c->run.terms), "runs");
    EmitIf runs = emit_if_begin(e, many);
    for (int i = 0; i < t->rows * t->vectors; i++) {
        LLVMValueRef before = emit_load(e, c->acc, c->lanes, swept_sum(e, c, t, i, true), NULL);
        emit_set(e, t->sums[i], LLVMBuildFAdd(e->at, before, emit_get(e, sum_vector(e, c), t->sums[i]), ""));
    }
    emit_if_end(e, &runs);
}

void contract_sweep_finish(Emit *e, const Contract *c, const Tile *t) {
    EmitIf ends = emit_if_begin(e, c->sweep.ends);
    join_run(e, c, t);
    EmitIf done = emit_if_begin(e, c->sweep.last);
    contract_epilogue(e, c, t);
    emit_if_else(e, &done);
    store_sums(e, c, t, true);
    emit_if_end(e, &done);
    emit_if_else(e, &ends);
    store_sums(e, c, t, false);
    emit_if_end(e, &ends);
}

/* The sums of the runs so far, none yet. */
static void clear_joined(Emit *e, const Contract *c) {
    LLVMValueRef rows = emit_dim(e, &e->kernels->dims, c->rows, c->scope->symbols);
    LLVMValueRef count = emit_mul(e, rows, emit_i64(e, c->k->schedule.skinny_nc));
    EmitLoop each = emit_loop_begin(e, emit_i64(e, 0), count, emit_i64(e, c->lanes), "zero");
    LLVMValueRef at = emit_element_pointer(e, c->acc, c->paused, emit_add(e, count, each.index));
    emit_store(e, c->acc, c->lanes, at, LLVMConstNull(sum_vector(e, c)), NULL);
    emit_loop_end(e, &each);
}

/* A block of the run begin .. end-1. */
static void sweep_block(Emit *e, Contract *c, LLVMValueRef begin, LLVMValueRef end, LLVMValueRef from, LLVMValueRef until) {
    LLVMValueRef next = until ? until : emit_add(e, from, emit_i64(e, SWEPT_TERMS));
    c->sweep = (Sweep){.from = from, .until = until};
    c->sweep.begins = LLVMBuildICmp(e->at, LLVMIntEQ, from, begin, "");
    c->sweep.ends = LLVMBuildICmp(e->at, LLVMIntEQ, next, end, "");
    c->sweep.last = LLVMBuildICmp(e->at, LLVMIntEQ, next, contract_depth(e, c), "");
    contract_few_rows(e, c);
    c->sweep = (Sweep){0};
}

/* Blocks of SWEPT_TERMS, then what is left of the run; of no terms at all, one block of none. */
void contract_sweep_item(Emit *e, Contract *c) {
    LLVMValueRef depth = contract_depth(e, c), zero = emit_i64(e, 0), one = emit_i64(e, 1);
    LLVMValueRef none = LLVMBuildICmp(e->at, LLVMIntEQ, depth, zero, "");
    LLVMValueRef run = c->run.terms ? emit_i64(e, c->run.terms) : LLVMBuildSelect(e->at, none, one, depth, "");
    if (c->run.terms) clear_joined(e, c);
    EmitLoop runs = emit_loop_begin(e, zero, LLVMBuildSelect(e->at, none, one, depth, ""), run, "run");
    LLVMValueRef end = emit_min(e, depth, emit_add(e, runs.index, run));
    LLVMValueRef whole = LLVMBuildSub(e->at, end, emit_i64(e, SWEPT_TERMS - 1), "");
    EmitLoop blocks = emit_loop_begin(e, runs.index, whole, emit_i64(e, SWEPT_TERMS), "k");
    sweep_block(e, c, runs.index, end, blocks.index, NULL);
    emit_loop_end(e, &blocks);
    int axes = kernel_last_axis(c->k, AXIS_K) - c->k_axis + 1;
    Dim all = kernel_joined_extent(c->k, &e->kernels->dims, AXIS_K, axes);
    if (!dim_is_const(all) || dim_value(all) % SWEPT_TERMS || dim_value(all) == 0) {
        LLVMValueRef from = emit_get(e, e->i64, blocks.counter);
        EmitIf rest = emit_if_begin(e, LLVMBuildOr(e->at, LLVMBuildICmp(e->at, LLVMIntSLT, from, end, ""), none, ""));
        sweep_block(e, c, runs.index, end, from, end);
        emit_if_end(e, &rest);
    }
    emit_loop_end(e, &runs);
}
