/* Entries: what the runtime calls for one function of the model.
 *
 * In: a plan, whose buffers have places and whose checks come before its first write, and the kernels'
 * functions. Out: i32 entry(ptr frame), which performs the steps in order and returns a status. It allocates
 * nothing; the kernels' arguments lie in one list on its stack, filled anew for each call, since a call has
 * ended before the next begins.
 *
 * The kernels of a chain are one task, whose items are slices (chain.c): their arguments lie in the list one after the
 * other, and a local buffer's pointer is filled in by the task.
 *
 * A kernel runs on all threads where the frame has several and the call has at least as many points as the
 * schedule says is worth waking them for; the condition folds where extents are constant. */
#include "codegen/plan.h"

#include "codegen/abi.h"
#include "codegen/debug.h"
#include "codegen/profile.h"
#include "codegen/signature.h"
#include "dlrt.h"
#include "ir/kernel_util.h"

/* A loop or branch whose body is being emitted. */
typedef struct OpenBody {
    StepKind kind;
    EmitLoop loop;             /* LOOP */
    EmitIf branch;             /* IF */
    LLVMBasicBlockRef again, end;   /* WHILE */
    LLVMValueRef count;        /* WHILE: iterations so far, or null */
} OpenBody;

typedef struct Entry {
    Emit *e;
    const Plan *plan;
    const PlanContext *context;
    LLVMValueRef frame, list;  /* of kernel arguments */
    LLVMValueRef base[FRAME_MEMBERS];   /* pointer members that the plan needs, loaded at the start */
    LLVMValueRef threaded;     /* i1: the frame has several threads */
    LLVMValueRef *symbols;     /* i64s by symbol id of the graph; derived ones null */
    LLVMValueRef *constants;   /* by PlanBuf */
    LLVMValueRef *chains;      /* by the first step of each: its function */
    LLVMValueRef *moving;      /* by PlanBuf: a variable with its pointer, where it changes names; else null */
    VEC(OpenBody) open;        /* around the current step, innermost last */
    bool init;                 /* leaves out steps on memory that is not there */
    bool own_scratch;          /* in the arena, behind the plan's buffers */
} Entry;

/* ----------------------------------------------------------------------- buffers */

static FrameMember block_of(const Var *v) {
    return v->kind == VAR_CACHE ? FRAME_CACHE : v->kind == VAR_SLOT ? FRAME_SLOTS : FRAME_WEIGHTS;
}

static LLVMValueRef offset_pointer(Entry *s, LLVMValueRef base, int64_t offset) {
    return emit_element_pointer(s->e, DTYPE_U8, base, emit_i64(s->e, offset));
}

/* The caller's pointer number `index` of a list. */
static LLVMValueRef listed_pointer(Entry *s, FrameMember list, int index) {
    LLVMValueRef at = emit_i64(s->e, index);
    LLVMValueRef place = LLVMBuildInBoundsGEP2(s->e->at, s->e->ptr, s->base[list], &at, 1, "");
    return LLVMBuildLoad2(s->e->at, s->e->ptr, place, "");
}

static LLVMValueRef constant_data(Entry *s, int buf) {
    Emit *e = s->e;
    const PlanBuf *b = &s->plan->bufs.at[buf];
    if (s->constants[buf]) return s->constants[buf];
    int64_t n = b->bytes / dtype_bytes(b->dtype);
    LLVMTypeRef type = emit_memory_type(e, b->dtype);
    LLVMValueRef *values = arena_array(e->arena, LLVMValueRef, n + 1);
    for (int64_t i = 0; i < n; i++) {
        LLVMValueRef x = emit_const(e, b->dtype, 1, b->data[i]);
        values[i] = b->dtype == DTYPE_BOOL ? LLVMConstInt(type, b->data[i] != 0, false) : x;
    }
    LLVMValueRef data = LLVMConstArray2(type, values, (uint64_t)n);
    LLVMValueRef global = LLVMAddGlobal(e->module, LLVMTypeOf(data), b->name ? b->name : "constant");
    LLVMSetInitializer(global, data);
    LLVMSetGlobalConstant(global, true);
    LLVMSetLinkage(global, LLVMPrivateLinkage);
    LLVMSetUnnamedAddress(global, LLVMGlobalUnnamedAddr);
    LLVMSetAlignment(global, 64);
    return s->constants[buf] = global;
}

/* Where a buffer lies, before any has changed its name. */
static LLVMValueRef first_pointer(Entry *s, int buf) {
    const PlanBuf *b = &s->plan->bufs.at[buf];
    switch (b->place) {
    case PLACE_ARG: return listed_pointer(s, FRAME_ARGS, b->index);
    case PLACE_RESULT: return listed_pointer(s, FRAME_RESULTS, b->index);
    case PLACE_VAR: return offset_pointer(s, s->base[block_of(b->var)], s->context->places->offset[b->var->id]);
    case PLACE_CONST: return constant_data(s, buf);
    case PLACE_SEED: return abi_frame_place(s->e, s->frame, FRAME_SEED);
    case PLACE_COUNT: return abi_frame_place(s->e, s->frame, FRAME_COUNT);
    case PLACE_LOCAL: return LLVMConstNull(s->e->ptr);
    case PLACE_ARENA: break;
    }
    while (b->alias >= 0) b = &s->plan->bufs.at[b->alias];
    return offset_pointer(s, s->base[FRAME_ARENA], b->offset);
}

static LLVMValueRef function_dim(Entry *s, Dim d) { return emit_dim(s->e, &s->e->kernels->graph->dims, d, s->symbols); }

/* Where buffer i of a step begins for it. */
static LLVMValueRef step_pointer(Entry *s, const PlanStep *step, int i) {
    int buf = step->bufs[i];
    LLVMValueRef begin = s->moving[buf] ? emit_get(s->e, s->e->ptr, s->moving[buf]) : first_pointer(s, buf);
    if (!step->offsets || dim_is(step->offsets[i], 0)) return begin;
    return emit_element_pointer(s->e, s->plan->bufs.at[buf].dtype, begin, function_dim(s, step->offsets[i]));
}

/* ----------------------------------------------------------------------- kernels */

int kernel_number(const KModule *m, const Kernel *k) {
    int i = 0;
    while (m->kernels.at[i] != k) i++;
    return i;
}

static void store_argument(Entry *s, int slot, LLVMValueRef x) {
    LLVMValueRef at = emit_i64(s->e, slot);
    LLVMBuildStore(s->e->at, x, LLVMBuildInBoundsGEP2(s->e->at, s->e->i64, s->list, &at, 1, ""));
}

/* Fills the list, from a slot on, with {pointers, dims, numbers}; returns the dims' values by kernel symbol. */
static LLVMValueRef *store_arguments(Entry *s, const PlanStep *step, int at) {
    const Kernel *k = step->kernel;
    LLVMValueRef *values = arena_array(s->e->arena, LLVMValueRef, s->e->kernels->dims.symbols.n + 1);
    for (int i = 0; i < k->bufs.n; i++) store_argument(s, at++, step_pointer(s, step, i));
    for (int i = 0; i < k->dims.n; i++) {
        LLVMValueRef value = values[k->dims.at[i]->id] = function_dim(s, step->dims[i]);
        store_argument(s, at++, value);
    }
    for (int i = 0; i < k->numbers; i++) store_argument(s, at++, emit_i64(s->e, step->numbers[i]));
    return values;
}

/* Whether a call for so many points is worth several threads, and has them. */
static LLVMValueRef on_threads(Entry *s, LLVMValueRef points, int64_t serial_below, LLVMValueRef items) {
    Emit *e = s->e;
    LLVMValueRef large = LLVMBuildICmp(e->at, LLVMIntSGE, points, emit_i64(e, serial_below), "");
    LLVMValueRef several = LLVMBuildICmp(e->at, LLVMIntSGT, items, emit_i64(e, 1), "");
    return LLVMBuildAnd(e->at, LLVMBuildAnd(e->at, large, several, ""), s->threaded, "");
}

static void run_parallel(Entry *s, LLVMValueRef task, LLVMValueRef items) {
    LLVMValueRef parallel = abi_frame_get(s->e, s->frame, FRAME_PARALLEL);
    LLVMValueRef args[] = {s->frame, task, s->list, items};
    LLVMBuildCall2(s->e->at, abi_parallel_type(s->e), parallel, args, 4, "");
}

static void run_here(Entry *s, LLVMValueRef task, LLVMValueRef items) {
    LLVMValueRef args[] = {s->frame, s->list, emit_i64(s->e, 0), items, emit_i32(s->e, 0)};
    LLVMBuildCall2(s->e->at, abi_task_type(s->e), task, args, 5, "");
}

static bool is_false(LLVMValueRef x) { return LLVMIsAConstantInt(x) && !LLVMConstIntGetZExtValue(x); }

/* Does all items, on all threads if that is worth it. */
static void run_task(Entry *s, LLVMValueRef task, LLVMValueRef items, LLVMValueRef points, int64_t serial_below) {
    LLVMValueRef wide = on_threads(s, points, serial_below, items);
    if (is_false(wide)) {
        run_here(s, task, items);
        return;
    }
    EmitIf branch = emit_if_begin(s->e, wide);
    run_parallel(s, task, items);
    emit_if_else(s->e, &branch);
    run_here(s, task, items);
    emit_if_end(s->e, &branch);
}

static LLVMValueRef kernel_points(Entry *s, const Kernel *k, const LLVMValueRef *values) {
    LLVMValueRef points = emit_i64(s->e, 1);
    for (int i = 0; i < k->axes.n; i++)
        points = emit_mul(s->e, points, emit_dim(s->e, &s->e->kernels->dims, k->axes.at[i].extent, values));
    return points;
}

static void emit_kernel_step(Entry *s, const PlanStep *step) {
    const Kernel *k = step->kernel;
    LLVMValueRef *values = store_arguments(s, step, 0), task = s->context->kernels[kernel_number(s->e->kernels, k)];
    run_task(s, task, emit_kernel_items(s->e, k, values), kernel_points(s, k, values), k->schedule.serial_below);
}

/* The chain that begins with step number `begin`. */
static void emit_chain_step(Entry *s, int begin) {
    Emit *e = s->e;
    ChainList list = chain_list(s->plan, begin);
    const PlanStep *first = &s->plan->steps.at[begin];
    int at = 0, local = list.locals;
    LLVMValueRef slices = function_dim(s, first->slices), points = emit_i64(e, 0);
    LLVMValueRef some = first->slices->lower > 0 ? slices : emit_max(e, slices, emit_i64(e, 1));
    for (int i = begin; i < list.end; i++) {
        const PlanStep *step = &s->plan->steps.at[i];
        LLVMValueRef *values = store_arguments(s, step, at), items = emit_kernel_items(e, step->kernel, values);
        store_argument(s, list.items + i - begin, LLVMBuildUDiv(e->at, items, some, ""));
        points = emit_add(e, points, kernel_points(s, step->kernel, values));
        at += kernel_list_length(step->kernel);
        for (int k = 0; k < step->kernel->bufs.n; k++) {
            const PlanBuf *b = &s->plan->bufs.at[step->bufs[k]];
            if (b->place == PLACE_LOCAL)
                store_argument(s, local++, emit_mul(e, function_dim(s, b->slice), emit_i64(e, dtype_bytes(b->dtype))));
        }
    }
    run_task(s, s->chains[begin], slices, points, first->kernel->schedule.serial_below);
}

static bool begins_chain(const Plan *p, int step) {
    return p->steps.at[step].chain && (!step || p->steps.at[step - 1].chain != p->steps.at[step].chain);
}

static void emit_chains(Entry *s, const char *name) {
    const Plan *p = s->plan;
    s->chains = arena_array(s->e->arena, LLVMValueRef, p->steps.n + 1);
    for (int i = 0; i < p->steps.n; i++) {
        if (!begins_chain(p, i)) continue;
        ChainList list = chain_list(p, i);
        const char *own = arena_printf(s->e->arena, "%s_chain%d", name, p->steps.at[i].chain);
        s->chains[i] = emit_chain(s->e, p, &list, s->context->kernels, own);
    }
}

/* The function of the runtime for a routine, a DlrtTask. */
static LLVMValueRef routine_function(Emit *e, int routine) {
    const char *name = arena_printf(e->arena, "dlrt_%s", routine_name(routine));
    LLVMValueRef f = LLVMGetNamedFunction(e->module, name);
    return f ? f : LLVMAddFunction(e->module, name, abi_task_type(e));
}

/* The number that counts the numbers, they themselves, then the pointers. */
static void store_routine_arguments(Entry *s, const PlanStep *step) {
    store_argument(s, 0, emit_i64(s->e, step->dim_count + 1));
    for (int i = 0; i < step->dim_count; i++) store_argument(s, i + 1, function_dim(s, step->dims[i]));
    for (int i = 0; i < step_buf_count(step); i++) store_argument(s, step->dim_count + 1 + i, step_pointer(s, step, i));
}

static void emit_routine_step(Entry *s, const PlanStep *step) {
    Emit *e = s->e;
    RoutineBuf first;
    LLVMValueRef task = routine_function(e, step->routine), rows = function_dim(s, step->extent);
    LLVMValueRef elements = emit_i64(e, 1);
    store_routine_arguments(s, step);
    if (step_routine_buf(step, 0, &first))
        for (int i = 0; i < first.rank; i++) elements = emit_mul(e, elements, function_dim(s, first.shape[i]));
    run_task(s, task, rows, elements, step->serial_below);
}

/* ------------------------------------------------------------------- other steps */

static void store_fault(Entry *s, const char *what, LLVMValueRef position, LLVMValueRef value, LLVMValueRef limit) {
    Emit *e = s->e;
    LLVMValueRef fault = abi_frame_get(e, s->frame, FRAME_FAULT);
    LLVMValueRef members[] = {abi_text(e, what), position, value, limit};
    for (unsigned i = 0; i < 4; i++)
        LLVMBuildStore(e->at, members[i], LLVMBuildStructGEP2(e->at, abi_type(e, ABI_FAULT), fault, i, ""));
}

/* Ends the call with a status and what store_fault tells, where `bad` holds. */
static LLVMBasicBlockRef fail_if(Entry *s, LLVMValueRef bad) {
    Emit *e = s->e;
    LLVMBasicBlockRef failed = LLVMAppendBasicBlockInContext(e->context, e->function, "bad");
    LLVMBasicBlockRef good = LLVMAppendBasicBlockInContext(e->context, e->function, "good");
    LLVMBuildCondBr(e->at, bad, failed, good);
    LLVMPositionBuilderAtEnd(e->at, failed);
    return good;
}

static void end_failure(Entry *s, DlrtStatus status, LLVMBasicBlockRef good) {
    LLVMBuildRet(s->e->at, emit_i32(s->e, status));
    LLVMPositionBuilderAtEnd(s->e->at, good);
}

static void emit_check_step(Entry *s, const PlanStep *step) {
    Emit *e = s->e;
    DType t = s->plan->bufs.at[step->bufs[0]].dtype;
    LLVMValueRef data = step_pointer(s, step, 0), limit = function_dim(s, step->limit);
    LLVMValueRef args[] = {data, function_dim(s, step->extent), limit,
                           step->masked ? step_pointer(s, step, 1) : LLVMConstNull(e->ptr)};
    LLVMValueRef check = emit_range_check(e, t, step->masked);
    LLVMValueRef first = LLVMBuildCall2(e->at, range_check_type(e), check, args, 4, "");
    LLVMBasicBlockRef good = fail_if(s, LLVMBuildICmp(e->at, LLVMIntSGE, first, emit_i64(e, 0), ""));
    LLVMValueRef value = emit_load(e, t, 1, emit_element_pointer(e, t, data, first), NULL);
    value = LLVMBuildIntCast2(e->at, value, e->i64, t != DTYPE_U8 && t != DTYPE_BOOL, "");
    store_fault(s, step->what, first, value, limit);
    end_failure(s, DLRT_ERR_INDEX, good);
}

/* The one element that a step looks at. */
static LLVMValueRef step_scalar(Entry *s, const PlanStep *step) {
    return emit_load(s->e, s->plan->bufs.at[step->bufs[0]].dtype, 1, step_pointer(s, step, 0), NULL);
}

static void emit_require_step(Entry *s, const PlanStep *step) {
    Emit *e = s->e;
    LLVMBasicBlockRef good = fail_if(s, LLVMBuildNot(e->at, step_scalar(s, step), ""));
    store_fault(s, step->what, emit_i64(e, 0), emit_i64(e, 0), emit_i64(e, 0));
    end_failure(s, DLRT_ERR_REQUIRE, good);
}

/* A dim that results' shapes name is told to the caller. */
static void report_found(Entry *s, const DimSymbol *symbol, LLVMValueRef value) {
    Emit *e = s->e;
    DimSymbols found = func_found_dims(e->arena, s->plan->func);
    for (int i = 0; i < found.n; i++) {
        if (found.at[i] != symbol) continue;
        LLVMValueRef at = emit_i64(e, s->plan->func->dims.n + i);
        LLVMBuildStore(e->at, value, LLVMBuildInBoundsGEP2(e->at, e->i64, s->base[FRAME_DIMS], &at, 1, ""));
    }
}

static void emit_bind_step(Entry *s, const PlanStep *step) {
    Emit *e = s->e;
    LLVMValueRef value = step_scalar(s, step), low = emit_i64(e, step->symbol->lower);
    LLVMValueRef below = LLVMBuildICmp(e->at, LLVMIntSLT, value, low, "");
    LLVMValueRef above = LLVMBuildICmp(e->at, LLVMIntSGT, value, emit_i64(e, step->symbol->upper), "");
    LLVMBasicBlockRef good = fail_if(s, LLVMBuildOr(e->at, below, above, ""));
    store_fault(s, step->what, low, value, emit_i64(e, step->symbol->upper + 1));
    end_failure(s, DLRT_ERR_BOUND, good);
    s->symbols[step->symbol->id] = value;
    report_found(s, step->symbol, value);
}

/* ------------------------------------------------------------- loops and branches */

static void open_loop(Entry *s, const PlanStep *step, OpenBody *body) {
    Emit *e = s->e;
    LLVMValueRef extent = function_dim(s, step->extent), index;
    body->loop = emit_loop_begin(e, emit_i64(e, 0), extent, emit_i64(e, 1), "loop");
    index = body->loop.index;
    if (step->reverse) index = LLVMBuildNSWSub(e->at, LLVMBuildNSWSub(e->at, extent, emit_i64(e, 1), ""), index, "");
    s->symbols[step->symbol->id] = index;
}

static void open_while(Entry *s, const PlanStep *step, OpenBody *body) {
    Emit *e = s->e;
    body->again = LLVMAppendBasicBlockInContext(e->context, e->function, "while");
    body->end = LLVMAppendBasicBlockInContext(e->context, e->function, "while.end");
    if (step->most >= 0) emit_set(e, body->count = emit_variable(e, e->i64, "count"), emit_i64(e, 0));
    LLVMBuildBr(e->at, body->again);
    LLVMPositionBuilderAtEnd(e->at, body->again);
    if (step->most < 0) return;
    LLVMBasicBlockRef more = LLVMAppendBasicBlockInContext(e->context, e->function, "more");
    LLVMValueRef left = LLVMBuildICmp(e->at, LLVMIntSLT, emit_get(e, e->i64, body->count), emit_i64(e, step->most), "");
    LLVMBuildCondBr(e->at, left, more, body->end);
    LLVMPositionBuilderAtEnd(e->at, more);
}

static void open_body(Entry *s, const PlanStep *step) {
    OpenBody body = {.kind = step->kind};
    if (step->kind == STEP_LOOP) open_loop(s, step, &body);
    else if (step->kind == STEP_WHILE) open_while(s, step, &body);
    else body.branch = emit_if_begin(s->e, step_scalar(s, step));
    vec_push(s->e->arena, &s->open, body);
}

static void emit_test(Entry *s, const PlanStep *step) {
    Emit *e = s->e;
    LLVMBasicBlockRef on = LLVMAppendBasicBlockInContext(e->context, e->function, "on");
    LLVMBuildCondBr(e->at, step_scalar(s, step), on, s->open.at[s->open.n - 1].end);
    LLVMPositionBuilderAtEnd(e->at, on);
}

static void close_body(Entry *s) {
    Emit *e = s->e;
    OpenBody *body = &s->open.at[--s->open.n];
    if (body->kind == STEP_LOOP) emit_loop_end(e, &body->loop);
    if (body->kind == STEP_IF) emit_if_end(e, &body->branch);
    if (body->kind != STEP_WHILE) return;
    if (body->count) emit_set(e, body->count, emit_add(e, emit_get(e, e->i64, body->count), emit_i64(e, 1)));
    LLVMBuildBr(e->at, body->again);
    LLVMMoveBasicBlockAfter(body->end, LLVMGetInsertBlock(e->at));
    LLVMPositionBuilderAtEnd(e->at, body->end);
}

static void emit_swap(Entry *s, const PlanStep *step) {
    LLVMValueRef a = s->moving[step->bufs[0]], b = s->moving[step->bufs[1]];
    LLVMValueRef was_a = emit_get(s->e, s->e->ptr, a), was_b = emit_get(s->e, s->e->ptr, b);
    emit_set(s->e, a, was_b);
    emit_set(s->e, b, was_a);
}

/* Variables for the pointers of buffers that change names. */
static void prepare_swaps(Entry *s) {
    s->moving = arena_array(s->e->arena, LLVMValueRef, s->plan->bufs.n + 1);
    for (int i = 0; i < s->plan->steps.n; i++) {
        const PlanStep *step = &s->plan->steps.at[i];
        for (int k = 0; step->kind == STEP_SWAP && k < 2; k++) {
            LLVMValueRef *place = &s->moving[step->bufs[k]];
            if (*place) continue;
            *place = emit_variable(s->e, s->e->ptr, "moving");
            emit_set(s->e, *place, first_pointer(s, step->bufs[k]));
        }
    }
}

static void emit_step(Entry *s, const PlanStep *step) {
    debug_at(s->e, step->span);
    switch (step->kind) {
    case STEP_KERNEL:
        if (!step->chain) emit_kernel_step(s, step);
        else if (begins_chain(s->plan, (int)(step - s->plan->steps.at))) emit_chain_step(s, (int)(step - s->plan->steps.at));
        break;
    case STEP_CHECK: emit_check_step(s, step); break;
    case STEP_REQUIRE: emit_require_step(s, step); break;
    case STEP_BIND: emit_bind_step(s, step); break;
    case STEP_LOOP:
    case STEP_WHILE:
    case STEP_IF: open_body(s, step); break;
    case STEP_TEST: emit_test(s, step); break;
    case STEP_ELSE: emit_if_else(s->e, &s->open.at[s->open.n - 1].branch); break;
    case STEP_END: close_body(s); break;
    case STEP_SWAP: emit_swap(s, step); break;
    case STEP_ROUTINE: emit_routine_step(s, step); break;
    }
}

/* A step of a function, in a profiled model with what records it. */
static void emit_timed_step(Entry *s, const PlanStep *step) {
    bool recorded = profile_wanted(s->e) && step_is_recorded(step);
    LLVMValueRef began = recorded ? emit_step_begin(s->e, s->frame) : NULL;
    emit_step(s, step);
    if (recorded) emit_step_end(s->e, s->plan, step, s->frame, began, s->symbols);
}

/* -------------------------------------------------------------------- initializer */

/* A set of blocks: bit m is that of frame member m. */
static unsigned step_blocks(const Entry *s, const PlanStep *step, bool written) {
    unsigned set = 0;
    for (int i = 0; i < step_buf_count(step); i++) {
        const PlanBuf *b = &s->plan->bufs.at[step->bufs[i]];
        if (b->place == PLACE_VAR && (!written || step->kernel->bufs.at[i].written)) set |= 1u << block_of(b->var);
    }
    return set;
}

/* By step: the blocks of the variables that are made of what it does, be it in later steps; a loop or branch goes as a
 * whole. From the last step back. */
static const unsigned *steps_serve(const Entry *s) {
    const Plan *p = s->plan;
    unsigned *serves = arena_array(s->e->arena, unsigned, p->steps.n + 1);
    unsigned *wanted = arena_array(s->e->arena, unsigned, p->bufs.n + 1);
    for (int end = p->steps.n - 1, begin; end >= 0; end = begin - 1) {
        begin = end;
        for (int depth = p->steps.at[end].kind == STEP_END; depth > 0;) {
            const PlanStep *step = &p->steps.at[--begin];
            depth += (step->kind == STEP_END) - step_opens(step);
        }
        unsigned all = 0;
        for (int i = begin; i <= end; i++) {
            const PlanStep *step = &p->steps.at[i];
            for (int k = 0; k < step_buf_count(step); k++) all |= wanted[step->bufs[k]];
            if (step->kind == STEP_KERNEL) all |= step_blocks(s, step, true);
        }
        for (int i = begin; i <= end; i++)
            for (int k = 0; k < step_buf_count(&p->steps.at[i]); k++) wanted[p->steps.at[i].bufs[k]] |= all;
        for (int i = begin; i <= end; i++) serves[i] = all;
    }
    return serves;
}

/* Whether the frame has all the blocks of the set, or one of them. */
static LLVMValueRef has_blocks(Entry *s, unsigned set, bool all) {
    Emit *e = s->e;
    LLVMValueRef has = LLVMConstInt(e->i1, all, false);
    for (int m = 0; m < FRAME_MEMBERS; m++) {
        if (!(set >> m & 1)) continue;
        LLVMValueRef this = LLVMBuildIsNotNull(e->at, s->base[m], "");
        has = all ? LLVMBuildAnd(e->at, has, this, "") : LLVMBuildOr(e->at, has, this, "");
    }
    return has;
}

/* The initializer does what serves the blocks that the frame has: the runtime fills weights and slots without a cache,
 * and the cache of a context without the others. A step that touches memory that is not there is left out. */
static void emit_init_steps(Entry *s) {
    const unsigned *serves = steps_serve(s);
    EmitIf branch;
    for (int i = 0; i < s->plan->steps.n; i++) {
        const PlanStep *step = &s->plan->steps.at[i];
        unsigned touched = step_blocks(s, step, false);
        bool outermost = !s->open.n, closes = step->kind == STEP_END && s->open.n == 1;
        if (outermost) branch = emit_if_begin(s->e, has_blocks(s, serves[i], false));
        EmitIf own;
        if (touched) own = emit_if_begin(s->e, has_blocks(s, touched, true));
        emit_step(s, step);
        if (touched) emit_if_end(s->e, &own);
        if (closes || (outermost && !s->open.n)) emit_if_end(s->e, &branch);
    }
}

/* ------------------------------------------------------------------------- entry */

/* The longest list of kernel arguments. */
static int list_length(const Plan *plan) {
    int most = 1;
    for (int i = 0; i < plan->steps.n; i++) {
        const PlanStep *step = &plan->steps.at[i];
        const Kernel *k = step->kind == STEP_KERNEL ? step->kernel : NULL;
        int n = k ? kernel_list_length(k) : step_buf_count(step) + step->dim_count + 1;
        if (begins_chain(plan, i)) n = chain_list(plan, i).length;
        if (n > most) most = n;
    }
    return most;
}

static void load_dims(Entry *s) {
    Emit *e = s->e;
    const Func *f = s->plan->func;
    s->symbols = arena_array(e->arena, LLVMValueRef, e->kernels->graph->dims.symbols.n + 1);
    for (int i = 0; i < f->dims.n; i++) {
        LLVMValueRef at = emit_i64(e, i);
        LLVMValueRef place = LLVMBuildInBoundsGEP2(e->at, e->i64, s->base[FRAME_DIMS], &at, 1, "");
        s->symbols[f->dims.at[i]->id] = LLVMBuildLoad2(e->at, e->i64, place, f->dims.at[i]->name);
    }
}

static int64_t round64(int64_t bytes) { return (bytes + 63) / 64 * 64; }

int64_t plan_init_bytes(const Plan *plan) { return round64(plan->arena_bytes) + round64(plan->scratch_bytes); }

/* A copy of the initializer's frame, whose scratch is the end of the arena. */
static LLVMValueRef frame_with_scratch(Entry *s) {
    Emit *e = s->e;
    LLVMValueRef frame = LLVMBuildAlloca(e->at, abi_type(e, ABI_FRAME), "own_frame");
    LLVMBuildMemCpy(e->at, frame, 8, s->frame, 8, emit_i64(e, sizeof(DlrtFrame)));
    LLVMValueRef arena = abi_frame_get(e, frame, FRAME_ARENA);
    LLVMBuildStore(e->at, offset_pointer(s, arena, round64(s->plan->arena_bytes)),
                   abi_frame_place(e, frame, FRAME_SCRATCH));
    return frame;
}

static void begin(Entry *s) {
    Emit *e = s->e;
    static const FrameMember pointers[] = {FRAME_ARGS, FRAME_RESULTS, FRAME_DIMS, FRAME_WEIGHTS, FRAME_SLOTS,
                                           FRAME_CACHE, FRAME_ARENA};
    s->list = LLVMBuildAlloca(e->at, LLVMArrayType2(e->i64, (uint64_t)list_length(s->plan)), "list");
    if (s->own_scratch && s->plan->scratch_bytes) s->frame = frame_with_scratch(s);
    for (size_t i = 0; i < sizeof pointers / sizeof *pointers; i++)
        s->base[pointers[i]] = abi_frame_get(e, s->frame, pointers[i]);
    s->threaded = LLVMBuildICmp(e->at, LLVMIntSGT, abi_frame_get(e, s->frame, FRAME_THREADS), emit_i32(e, 1), "");
    s->constants = arena_array(e->arena, LLVMValueRef, s->plan->bufs.n + 1);
    load_dims(s);
    prepare_swaps(s);
}

static LLVMValueRef emit_entry(Entry *s, const char *name) {
    emit_chains(s, name);
    LLVMValueRef function = emit_function_begin(s->e, name, abi_entry_type(s->e), true);
    debug_function_begin(s->e, function, name, s->plan->func->span);
    s->frame = LLVMGetParam(function, 0);
    begin(s);
    if (s->init) emit_init_steps(s);
    for (int i = 0; !s->init && i < s->plan->steps.n; i++) emit_timed_step(s, &s->plan->steps.at[i]);
    debug_at(s->e, s->plan->func->span);
    LLVMBuildRet(s->e->at, emit_i32(s->e, DLRT_OK));
    debug_function_end(s->e, function);
    return function;
}

LLVMValueRef emit_plan(Emit *e, const Plan *plan, const PlanContext *context, const char *name) {
    Entry s = {.e = e, .plan = plan, .context = context};
    return emit_entry(&s, name);
}

LLVMValueRef emit_init_plan(Emit *e, const Plan *plan, const PlanContext *context, const char *name) {
    Entry s = {.e = e, .plan = plan, .context = context, .init = true, .own_scratch = true};
    return emit_entry(&s, name);
}

LLVMValueRef emit_prepare_plan(Emit *e, const Plan *plan, const PlanContext *context, const char *name) {
    Entry s = {.e = e, .plan = plan, .context = context, .own_scratch = true};
    return emit_entry(&s, name);
}
