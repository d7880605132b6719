/* Profile: see profile.h.
 *
 * In: a plan. Out: calls of the runtime's dlrt_step_begin and dlrt_step_end around each recorded step of its entry, and
 * a description of each such step. Work is computed by the entry, from the dims that the call has:
 *
 *   FLOPs   one for each element function at the points of the axes that its value depends on, one for each reduction
 *           at every point, two for a contraction;
 *   bytes   for each buffer what is read of it and what is written: an access touches as many elements as there are
 *           points of the axes that move it, a buffer has no more than its own. What a cache spares does not count. */
#include "codegen/profile.h"

#include "base/diag.h"
#include "codegen/abi.h"
#include "codegen/code.h"
#include "ir/kernel_util.h"

bool profile_wanted(const Emit *e) { return e->options && e->options->profile; }

bool step_is_recorded(const PlanStep *s) {
    return s->kind == STEP_KERNEL || s->kind == STEP_ROUTINE || s->kind == STEP_CHECK;
}

/* Of the steps before `end` (null: of all). */
static int recorded_before(const Plan *p, const PlanStep *end) {
    int n = 0;
    for (int i = 0; i < p->steps.n && &p->steps.at[i] != end; i++) n += step_is_recorded(&p->steps.at[i]);
    return n;
}

int plan_recorded_steps(const Plan *p) { return recorded_before(p, NULL); }

/* ------------------------------------------------------------------------- work */

/* A step at a call's dims. */
typedef struct Work {
    Emit *e;
    const Plan *plan;
    const PlanStep *step;
    const LLVMValueRef *symbols;   /* of the function's dims */
    LLVMValueRef *extents;         /* KERNEL: by axis */
    const uint64_t *depends;       /* KERNEL: kernel_node_axes */
} Work;

static LLVMValueRef function_dim(const Work *w, Dim d) {
    return emit_dim(w->e, &w->e->kernels->graph->dims, d, w->symbols);
}

static void find_extents(Work *w) {
    Emit *e = w->e;
    const Kernel *k = w->step->kernel;
    LLVMValueRef *values = arena_array(e->arena, LLVMValueRef, e->kernels->dims.symbols.n + 1);
    for (int i = 0; i < k->dims.n; i++) values[k->dims.at[i]->id] = function_dim(w, w->step->dims[i]);
    w->extents = arena_array(e->arena, LLVMValueRef, k->axes.n + 1);
    for (int a = 0; a < k->axes.n; a++) w->extents[a] = emit_dim(e, &e->kernels->dims, k->axes.at[a].extent, values);
    w->depends = kernel_node_axes(k, e->arena);
}

/* How often something is done that depends on these axes (a bit set): their points. */
static LLVMValueRef points_of(const Work *w, uint64_t axes) {
    LLVMValueRef n = emit_i64(w->e, 1);
    for (int a = 0; a < w->step->kernel->axes.n; a++)
        if (axes >> a & 1) n = emit_mul(w->e, n, w->extents[a]);
    return n;
}

/* Element functions that depend on the same axes are counted together. */
static LLVMValueRef kernel_flops(const Work *w) {
    Emit *e = w->e;
    const Kernel *k = w->step->kernel;
    bool *counted = arena_array(e->arena, bool, k->nodes.n + 1);
    int all = k->form == KERNEL_CONTRACT ? 2 : k->reductions.n;
    LLVMValueRef sum = all ? emit_mul(e, emit_i64(e, all), points_of(w, ~(uint64_t)0)) : emit_i64(e, 0);
    for (int i = 0; i < k->nodes.n; i++) {
        int alike = 0;
        for (int j = i; j < k->nodes.n; j++) {
            if (k->nodes.at[j].kind != NODE_MAP || counted[j] || w->depends[j] != w->depends[i]) continue;
            counted[j] = true;
            alike++;
        }
        if (alike) sum = emit_add(e, sum, emit_mul(e, emit_i64(e, alike), points_of(w, w->depends[i])));
    }
    return sum;
}

static void add_access(const Work *w, int access, LLVMValueRef *elements) {
    const Kernel *k = w->step->kernel;
    const KAccess *at = &k->accesses.at[access];
    uint64_t moves = at->index >= 0 ? w->depends[at->index] : 0;
    for (int a = 0; a < k->axes.n; a++)
        if (!dim_is(at->strides[a], 0)) moves |= (uint64_t)1 << a;
    LLVMValueRef n = points_of(w, moves), before = elements[at->buf];
    elements[at->buf] = before ? emit_add(w->e, before, n) : n;
}

static LLVMValueRef buffer_elements(const Work *w, int i) {
    return function_dim(w, w->plan->bufs.at[w->step->bufs[i]].elements);
}

static LLVMValueRef in_bytes(const Work *w, int i, LLVMValueRef elements) {
    return emit_mul(w->e, elements, emit_i64(w->e, dtype_bytes(w->plan->bufs.at[w->step->bufs[i]].dtype)));
}

static LLVMValueRef kernel_bytes(const Work *w) {
    Emit *e = w->e;
    const Kernel *k = w->step->kernel;
    LLVMValueRef *read = arena_array(e->arena, LLVMValueRef, k->bufs.n + 1), sum = emit_i64(e, 0);
    LLVMValueRef *written = arena_array(e->arena, LLVMValueRef, k->bufs.n + 1);
    for (int i = 0; i < k->nodes.n; i++)
        if (k->nodes.at[i].kind == NODE_LOAD) add_access(w, k->nodes.at[i].access, read);
    for (int s = 0; s < k->stages.n; s++)
        for (int i = 0; i < k->stages.at[s].stores.n; i++) {
            const KStore *store = &k->stages.at[s].stores.at[i];
            add_access(w, store->access, written);
            if (store->mode == STORE_COMBINE) add_access(w, store->access, read);
        }
    for (int i = 0; i < k->bufs.n; i++) {
        if (read[i]) sum = emit_add(e, sum, in_bytes(w, i, emit_min(e, read[i], buffer_elements(w, i))));
        if (written[i]) sum = emit_add(e, sum, in_bytes(w, i, emit_min(e, written[i], buffer_elements(w, i))));
    }
    return sum;
}

/* All of the buffers; of a check what it looks at. */
static LLVMValueRef whole_bytes(const Work *w) {
    LLVMValueRef sum = emit_i64(w->e, 0);
    for (int i = 0; i < step_buf_count(w->step); i++) {
        LLVMValueRef n = w->step->kind == STEP_CHECK ? function_dim(w, w->step->extent) : buffer_elements(w, i);
        sum = emit_add(w->e, sum, in_bytes(w, i, n));
    }
    return sum;
}

/* ------------------------------------------------------------------------ calls */

/* A function of the runtime, declared when first asked for. */
static LLVMValueRef runtime_function(Emit *e, const char *name, LLVMTypeRef type) {
    LLVMValueRef f = LLVMGetNamedFunction(e->module, name);
    return f ? f : LLVMAddFunction(e->module, name, type);
}

LLVMValueRef emit_step_begin(Emit *e, LLVMValueRef frame) {
    LLVMTypeRef type = LLVMFunctionType(e->i64, &e->ptr, 1, false);
    return LLVMBuildCall2(e->at, type, runtime_function(e, "dlrt_step_begin", type), &frame, 1, "began");
}

void emit_step_end(Emit *e, const Plan *p, const PlanStep *s, LLVMValueRef frame, LLVMValueRef began,
                   const LLVMValueRef *symbols) {
    LLVMTypeRef params[] = {e->ptr, e->i32, e->i64, e->i64, e->i64}, type = LLVMFunctionType(e->none, params, 5, false);
    Work w = {.e = e, .plan = p, .step = s, .symbols = symbols};
    bool kernel = s->kind == STEP_KERNEL;
    if (kernel) find_extents(&w);
    LLVMValueRef args[] = {frame, emit_i32(e, recorded_before(p, s)), began,
                           kernel ? kernel_flops(&w) : emit_i64(e, 0), kernel ? kernel_bytes(&w) : whole_bytes(&w)};
    LLVMBuildCall2(e->at, type, runtime_function(e, "dlrt_step_end", type), args, 5, "");
}

/* ----------------------------------------------------------------- descriptions */

enum { MOST_NAMES = 12 };      /* of buffers that a step lists on each side */

static bool step_writes(const PlanStep *s, int i) {
    return s->kind == STEP_KERNEL ? s->kernel->bufs.at[i].written : s->kind == STEP_ROUTINE && i >= s->reads;
}

/* Names of the buffers that are read, or written, each once; those that have one. */
static int add_names(const Plan *p, const PlanStep *s, bool written, Text *to) {
    int n = 0;
    for (int i = 0; i < step_buf_count(s); i++) {
        const char *name = p->bufs.at[s->bufs[i]].name;
        bool again = !name || !*name || step_writes(s, i) != written;
        for (int k = 0; k < i && !again; k++) again = s->bufs[k] == s->bufs[i] && step_writes(s, k) == written;
        if (again || n++ >= MOST_NAMES) continue;
        text_add(to, "%s%s", n > 1 ? " " : "", name);
    }
    if (n > MOST_NAMES) text_add(to, " and %d more", n - MOST_NAMES);
    return n;
}

/* "contract: x fc1.weight -> h"; what has no name is left out. */
static const char *detail_of(Emit *e, const Plan *p, const PlanStep *s) {
    Text read = text_new(e->arena), written = text_new(e->arena);
    if (s->kind == STEP_CHECK) return s->what ? s->what : "";
    const char *form = s->kind != STEP_KERNEL ? "" : s->kernel->form == KERNEL_CONTRACT ? "contract" : "loops";
    int reads = add_names(p, s, false, &read), writes = add_names(p, s, true, &written);
    const char *colon = *form && reads + writes ? ": " : "", *arrow = !writes ? "" : reads ? " -> " : "-> ";
    return arena_printf(e->arena, "%s%s%s%s%s", form, colon, text_get(&read), arrow, text_get(&written));
}

/* "digits.dl:12", where the step comes from, else its function; null if nobody knows. */
static const char *place_of(Emit *e, const Plan *p, const PlanStep *s) {
    const char *path;
    int line;
    bool known = code_place(e->options, s->span, &path, &line) || code_place(e->options, p->func->span, &path, &line);
    return known ? arena_printf(e->arena, "%s:%d", path, line) : NULL;
}

LLVMValueRef *profile_steps(Emit *e, const Plan *p, int *n) {
    LLVMValueRef *all = arena_array(e->arena, LLVMValueRef, plan_recorded_steps(p) + 1);
    *n = 0;
    for (int i = 0; i < p->steps.n; i++) {
        const PlanStep *s = &p->steps.at[i];
        if (!step_is_recorded(s)) continue;
        const char *name = s->kind == STEP_KERNEL    ? s->kernel->name
                           : s->kind == STEP_ROUTINE ? routine_name(s->routine)
                                                     : "check";
        LLVMValueRef members[] = {abi_text(e, name), abi_text(e, detail_of(e, p, s)), abi_text(e, place_of(e, p, s))};
        all[(*n)++] = LLVMConstNamedStruct(abi_type(e, ABI_STEP_INFO), members, 3);
    }
    return all;
}
