/* Description: see describe.h.
 *
 * Tables are constants built from the inside out: a list becomes an internal global, its address goes into the
 * struct that names it. Nothing in them depends on where or when the compiler ran. */
#include "codegen/describe.h"

#include "ir/kernel_util.h"

#include "codegen/abi.h"
#include "codegen/plan.h"
#include "codegen/profile.h"
#include "codegen/role.h"
#include "codegen/signature.h"
#include "dlrt.h"

/* ---------------------------------------------------------------------- globals */

static LLVMValueRef null_pointer(const Emit *e) { return LLVMConstNull(e->ptr); }

static LLVMValueRef make_struct(const Emit *e, AbiStruct s, LLVMValueRef *members) {
    LLVMTypeRef type = abi_type(e, s);
    return LLVMConstNamedStruct(type, members, LLVMCountStructElementTypes(type));
}

static LLVMValueRef internal_constant(const Emit *e, LLVMValueRef value, const char *name) {
    LLVMValueRef global = LLVMAddGlobal(e->module, LLVMTypeOf(value), name);
    LLVMSetInitializer(global, value);
    LLVMSetGlobalConstant(global, true);
    LLVMSetLinkage(global, LLVMInternalLinkage);
    return global;
}

/* A list of structs or numbers as a global; null if it is empty. */
static LLVMValueRef list_constant(const Emit *e, LLVMTypeRef type, LLVMValueRef *items, int n, const char *name) {
    if (!n) return null_pointer(e);
    return internal_constant(e, LLVMConstArray2(type, items, (uint64_t)n), name);
}

static LLVMValueRef i64_list(const Emit *e, const int64_t *values, int n, const char *name) {
    LLVMValueRef *items = arena_array(e->arena, LLVMValueRef, n + 1);
    for (int i = 0; i < n; i++) items[i] = emit_i64(e, values[i]);
    return list_constant(e, e->i64, items, n, name);
}

static LLVMValueRef i32_list(const Emit *e, const int *values, int n, const char *name) {
    LLVMValueRef *items = arena_array(e->arena, LLVMValueRef, n + 1);
    for (int i = 0; i < n; i++) items[i] = emit_i32(e, values[i]);
    return list_constant(e, e->i32, items, n, name);
}

/* ------------------------------------------------------------------ dims, extents */

/* The dims of a function in the order of the tables: free ones, those that the call finds, then derived ones that
 * shapes mention. */
typedef struct FuncDims {
    Emit *e;
    const DimTable *table;
    VEC(const DimSymbol *) symbols;
    int free, found;           /* how many of each */
} FuncDims;

static int dim_number(const FuncDims *d, int id) {
    for (int i = 0; i < d->symbols.n; i++)
        if (d->symbols.at[i]->id == id) return i;
    return -1;
}

/* Adds the derived symbols in an extent, those they are computed from first. */
static void add_derived(FuncDims *d, Dim extent) {
    for (int i = 0; i < extent->term_count; i++) {
        for (int j = 0; j < extent->terms[i].n; j++) {
            const DimSymbol *s = d->table->symbols.at[extent->terms[i].symbols[j]];
            if (!s->of || dim_number(d, s->id) >= 0) continue;
            add_derived(d, s->of);
            vec_push(d->e->arena, &d->symbols, s);
        }
    }
}

static FuncDims dims_of(Emit *e, const Func *f, const CParams *args, const CParams *results) {
    FuncDims d = {.e = e, .table = &f->module->dims};
    DimSymbols found = func_found_dims(e->arena, f);
    for (int i = 0; i < f->dims.n; i++) vec_push(e->arena, &d.symbols, f->dims.at[i]);
    for (int i = 0; i < found.n; i++) vec_push(e->arena, &d.symbols, found.at[i]);
    d.free = f->dims.n;
    d.found = found.n;
    for (int i = 0; i < args->n; i++)
        for (int k = 0; k < args->at[i].type.rank; k++) add_derived(&d, args->at[i].type.shape[k]);
    for (int i = 0; i < results->n; i++)
        for (int k = 0; k < results->at[i].type.rank; k++) add_derived(&d, results->at[i].type.shape[k]);
    return d;
}

/* DlrtExtent: constant, divisor, terms (count, then per term coeff, n, dims). */
static LLVMValueRef extent_struct(const FuncDims *d, Dim extent, int64_t divisor) {
    Emit *e = d->e;
    int64_t constant = 0;
    VEC(int64_t) flat = {0};
    vec_push(e->arena, &flat, 0);
    for (int i = 0; i < extent->term_count; i++) {
        const DimTerm *term = &extent->terms[i];
        if (!term->n) {
            constant = term->coeff;
            continue;
        }
        flat.at[0]++;
        vec_push(e->arena, &flat, term->coeff);
        vec_push(e->arena, &flat, term->n);
        for (int j = 0; j < term->n; j++) vec_push(e->arena, &flat, dim_number(d, term->symbols[j]));
    }
    LLVMValueRef terms = flat.at[0] ? i64_list(e, flat.at, flat.n, "terms") : null_pointer(e);
    LLVMValueRef members[] = {emit_i64(e, constant), emit_i64(e, divisor), terms};
    return make_struct(e, ABI_EXTENT, members);
}

static LLVMValueRef dim_list(const FuncDims *d) {
    Emit *e = d->e;
    LLVMValueRef *items = arena_array(e->arena, LLVMValueRef, d->symbols.n + 1);
    for (int i = 0; i < d->symbols.n; i++) {
        const DimSymbol *s = d->symbols.at[i];
        LLVMValueRef derived = null_pointer(e);
        if (s->of) derived = internal_constant(e, extent_struct(d, s->of, s->divisor), "derived");
        LLVMValueRef members[] = {abi_text(e, s->name), emit_i64(e, s->lower), emit_i64(e, s->upper), derived,
                                  emit_i64(e, i >= d->free && i < d->free + d->found)};
        items[i] = make_struct(e, ABI_DIM, members);
    }
    return list_constant(e, abi_type(e, ABI_DIM), items, d->symbols.n, "dims");
}

/* --------------------------------------------------------------------- functions */

static LLVMValueRef tensor_list(const FuncDims *d, const Func *f, const CParams *params) {
    Emit *e = d->e;
    LLVMValueRef *items = arena_array(e->arena, LLVMValueRef, params->n + 1), shape[MAX_RANK];
    for (int i = 0; i < params->n; i++) {
        const CParam *p = &params->at[i];
        int role = p->kind == PARAM_ARG ? role_of_arg(e->arena, f, i) : role_of_result(e->arena, f, i);
        for (int k = 0; k < p->type.rank; k++) shape[k] = extent_struct(d, p->type.shape[k], 1);
        LLVMValueRef members[] = {abi_text(e, p->own_name), abi_text(e, p->doc), emit_i32(e, (int32_t)p->type.dtype),
                                  emit_i32(e, p->type.rank), emit_i32(e, role), emit_i32(e, 0),
                                  list_constant(e, abi_type(e, ABI_EXTENT), shape, p->type.rank, "shape")};
        items[i] = make_struct(e, ABI_TENSOR_INFO, members);
    }
    return list_constant(e, abi_type(e, ABI_TENSOR_INFO), items, params->n, "tensors");
}

static int64_t whole_flops(double flops) { return flops < 0x1p62 ? (int64_t)flops : (int64_t)1 << 62; }

/* What a profiled model records; null in others. */
static LLVMValueRef step_list(Emit *e, const Plan *plan, int *n) {
    *n = 0;
    if (!profile_wanted(e)) return null_pointer(e);
    LLVMValueRef *items = profile_steps(e, plan, n);
    return list_constant(e, abi_type(e, ABI_STEP_INFO), items, *n, "steps");
}

static LLVMValueRef function_struct(Emit *e, const Plan *plan, LLVMValueRef entry) {
    const Func *f = plan->func;
    CParams args = func_args(e->arena, f), results = func_results(e->arena, f);
    FuncDims d = dims_of(e, f, &args, &results);
    int steps;
    LLVMValueRef listed = step_list(e, plan, &steps);
    LLVMValueRef members[] = {abi_text(e, f->name), abi_text(e, f->doc), emit_i32(e, func_flags(f)),
                              emit_i32(e, d.symbols.n), emit_i32(e, args.n), emit_i32(e, results.n), dim_list(&d),
                              tensor_list(&d, f, &args), tensor_list(&d, f, &results),
                              emit_i64(e, plan->arena_bytes), emit_i64(e, plan->scratch_bytes),
                              emit_i64(e, whole_flops(plan_flops(plan, e->arena))), entry,
                              listed, emit_i64(e, steps)};
    return make_struct(e, ABI_FUNCTION_INFO, members);
}

static LLVMValueRef function_list(Emit *e, const LLVMValueRef *entries) {
    const KModule *m = e->kernels;
    LLVMValueRef *items = arena_array(e->arena, LLVMValueRef, m->plans.n + 1);
    for (int i = 0; i < m->plans.n; i++) items[i] = function_struct(e, m->plans.at[i], entries[i]);
    return list_constant(e, abi_type(e, ABI_FUNCTION_INFO), items, m->plans.n, "functions");
}

/* --------------------------------------------------------------------- variables */

static LLVMValueRef order_list(Emit *e, const Var *v) {
    for (int d = 0; d < v->type.rank; d++)
        if (v->order[d] != d || v->split) return i32_list(e, v->order, v->type.rank, "order");
    return null_pointer(e);
}

static LLVMValueRef var_list(Emit *e, const VarPlaces *places) {
    const Module *m = e->kernels->graph;
    LLVMValueRef *items = arena_array(e->arena, LLVMValueRef, m->vars.n + 1);
    int n = 0;
    for (int i = 0; i < m->vars.n; i++) {
        const Var *v = m->vars.at[i];
        if (v->kind == VAR_PREPARED) continue;
        int64_t shape[MAX_RANK];
        for (int d = 0; d < v->type.rank; d++) shape[d] = dim_value(v->type.shape[d]);
        LLVMValueRef members[] = {abi_text(e, v->name), emit_i32(e, (int32_t)v->kind),
                                  emit_i32(e, (int32_t)v->type.dtype), emit_i32(e, v->type.rank), emit_i32(e, (int32_t)v->split),
                                  i64_list(e, shape, v->type.rank, "shape"), order_list(e, v),
                                  emit_i64(e, places->offset[v->id]), emit_i64(e, places->bytes[v->id])};
        items[n++] = make_struct(e, ABI_VAR_INFO, members);
    }
    return list_constant(e, abi_type(e, ABI_VAR_INFO), items, n, "vars");
}

uint64_t model_fingerprint(const Module *m) {
    Text text = text_new(m->arena);
    for (int i = 0; i < m->vars.n; i++) {
        const Var *v = m->vars.at[i];
        if (v->kind == VAR_PREPARED) continue;
        text_add(&text, "%s %d ", v->name, (int)v->kind);
        type_print(&m->dims, v->type, &text);
        text_add(&text, "\n");
    }
    return hash_text(text_get(&text), text.n);
}

/* ------------------------------------------------------------------------- model */

/* Variables that users know. */
static int seen_vars(const Module *m) {
    int n = 0;
    for (int i = 0; i < m->vars.n; i++) n += m->vars.at[i]->kind != VAR_PREPARED;
    return n;
}

static LLVMValueRef model_info(Emit *e, const Description *d) {
    const KModule *k = e->kernels;
    const Module *m = k->graph;
    LLVMValueRef members[] = {emit_i32(e, DLRT_ABI_VERSION), emit_i32(e, seen_vars(m)), emit_i32(e, k->plans.n),
                              emit_i32(e, profile_wanted(e) ? DLRT_MODEL_PROFILED : 0), abi_text(e, m->name),
                              abi_text(e, m->doc),
                              abi_text(e, e->target->triple), abi_text(e, e->target->tune),
                              emit_i64(e, (int64_t)e->target->cpu_features),
                              emit_i64(e, (int64_t)model_fingerprint(m)), var_list(e, d->places),
                              function_list(e, d->entries), emit_i64(e, d->places->weight_bytes),
                              emit_i64(e, d->places->slot_bytes), emit_i64(e, d->places->cache_bytes),
                              d->initialize ? d->initialize : null_pointer(e),
                              emit_i64(e, k->init ? plan_init_bytes(k->init) : 0),
                              d->prepare ? d->prepare : null_pointer(e),
                              emit_i64(e, k->prepare ? plan_init_bytes(k->prepare) : 0)};
    return internal_constant(e, make_struct(e, ABI_MODEL_INFO, members), "model");
}

/* DlrtStatus dlrt_model_open(const DlrtModelInfo *, const DlrtOptions *, DlrtModel **) */
static LLVMValueRef runtime_open(Emit *e) {
    LLVMTypeRef params[] = {e->ptr, e->ptr, e->ptr};
    return LLVMAddFunction(e->module, "dlrt_model_open", LLVMFunctionType(e->i32, params, 3, false));
}

LLVMValueRef emit_description(Emit *e, const Description *d) {
    LLVMValueRef info = model_info(e, d);
    LLVMValueRef members[] = {emit_i32(e, DLRT_ABI_VERSION), emit_i32(e, 0), info, runtime_open(e)};
    LLVMValueRef value = make_struct(e, ABI_MODULE, members);
    const char *name = arena_printf(e->arena, "%s_module", d->prefix);
    LLVMValueRef module = LLVMAddGlobal(e->module, abi_type(e, ABI_MODULE), name);
    LLVMSetInitializer(module, value);
    LLVMSetGlobalConstant(module, true);
    LLVMValueRef alias = LLVMAddAlias2(e->module, abi_type(e, ABI_MODULE), 0, module, "dlrt_module");
    LLVMSetLinkage(alias, LLVMWeakAnyLinkage);
    return info;
}
