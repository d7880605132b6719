/* Code generation, the top: see codegen.h. From kernels to one LLVM module: a function for each kernel, one for
 * each plan, the initializer, the tables, the typed entry points. */
#include "codegen/code.h"
#include "codegen/debug.h"
#include "codegen/describe.h"
#include "codegen/plan.h"

static Emit emit_start(Code *code, KModule *kernels) {
    LLVMContextRef c = code->context;
    return (Emit){
        .context = c, .module = code->module, .at = LLVMCreateBuilderInContext(c),
        .i1 = LLVMInt1TypeInContext(c), .i8 = LLVMInt8TypeInContext(c), .i16 = LLVMInt16TypeInContext(c),
        .i32 = LLVMInt32TypeInContext(c), .i64 = LLVMInt64TypeInContext(c), .f16 = LLVMHalfTypeInContext(c),
        .bf16 = LLVMBFloatTypeInContext(c), .f32 = LLVMFloatTypeInContext(c), .f64 = LLVMDoubleTypeInContext(c),
        .ptr = LLVMPointerTypeInContext(c, 0), .none = LLVMVoidTypeInContext(c),
        .target = code->options->target, .kernels = kernels, .arena = code->arena,
        .options = code->options,
    };
}

/* Instructions are the family's, their order is for the processor that was named. */
static void tune_functions(Code *code) {
    const char *tune = code->options->target->tune;
    for (LLVMValueRef f = LLVMGetFirstFunction(code->module); f; f = LLVMGetNextFunction(f))
        if (!LLVMIsDeclaration(f)) LLVMAddTargetDependentFunctionAttr(f, "tune-cpu", tune);
}

static void build_module(Emit *e, KModule *m, const char *prefix) {
    VarPlaces places = places_of(m->graph, e->arena);
    PlanContext context = {&places, arena_array(e->arena, LLVMValueRef, m->kernels.n + 1)};
    Description d = {prefix, &places, arena_array(e->arena, LLVMValueRef, m->plans.n + 1), NULL, NULL};
    for (int i = 0; i < m->kernels.n; i++) context.kernels[i] = emit_kernel(e, m->kernels.at[i]);
    for (int i = 0; i < m->plans.n; i++) {
        const Plan *plan = m->plans.at[i];
        d.entries[i] = emit_plan(e, plan, &context, arena_printf(e->arena, "run_%s", plan->func->name));
    }
    if (m->init) d.initialize = emit_init_plan(e, m->init, &context, "initialize");
    if (m->prepare) d.prepare = emit_prepare_plan(e, m->prepare, &context, "prepare");
    emit_typed_entries(e, prefix, emit_description(e, &d));
}

static void note_problem(LLVMDiagnosticInfoRef info, void *user) {
    Code *code = user;
    if (LLVMGetDiagInfoSeverity(info) != LLVMDSError || code->problem) return;
    char *text = LLVMGetDiagInfoDescription(info);
    code->problem = arena_text(code->arena, text, strlen(text));
    LLVMDisposeMessage(text);
}

Code *code_build(Arena *arena, KModule *kernels, const CodeOptions *options, const char **why) {
    Code *code = arena_new(arena, Code);
    *code = (Code){.arena = arena, .options = options};
    code->machine = code_machine(arena, options, why);
    if (!code->machine) return NULL;
    code->context = LLVMContextCreate();
    LLVMContextSetDiagnosticHandler(code->context, note_problem, code);
    code->module = LLVMModuleCreateWithNameInContext(options->prefix, code->context);
    LLVMSetTarget(code->module, options->target->triple);
    LLVMTargetDataRef layout = LLVMCreateTargetDataLayout(code->machine);
    LLVMSetModuleDataLayout(code->module, layout);
    LLVMDisposeTargetData(layout);
    Emit e = emit_start(code, kernels);
    debug_start(&e);
    build_module(&e, kernels, options->prefix);
    debug_finish(&e);
    LLVMDisposeBuilder(e.at);
    tune_functions(code);
    if (code_verify(code, why)) return code;
    code_free(code);
    return NULL;
}

void code_free(Code *code) {
    if (!code) return;
    if (code->module) LLVMDisposeModule(code->module);
    if (code->context) LLVMContextDispose(code->context);
    if (code->machine) LLVMDisposeTargetMachine(code->machine);
    code->module = NULL;
    code->context = NULL;
    code->machine = NULL;
}
