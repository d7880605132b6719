/* Objects: from a module in LLVM IR to text, assembly and machine code.
 *
 * The generator has vectorised, tiled and unrolled already. So LLVM runs a short list of passes: variables to
 * registers, common subexpressions, simple algebra, loop-invariant code; its vectorisers and unrollers would
 * only undo decisions or grow the code. Emission works on a copy, because it changes the module. */
#include "codegen/code.h"

#include <llvm-c/Analysis.h>
#include <llvm-c/ErrorHandling.h>
#include <llvm-c/Transforms/PassBuilder.h>

/* ------------------------------------------------------------------------ machine */

static const char *take_message(Arena *arena, char *message) {
    const char *text = arena_text(arena, message ? message : "", message ? strlen(message) : 0);
    LLVMDisposeMessage(message);
    return text;
}

static void initialize_targets(void) {
    LLVMInitializeX86TargetInfo();
    LLVMInitializeX86Target();
    LLVMInitializeX86TargetMC();
    LLVMInitializeX86AsmPrinter();
    LLVMInitializeAArch64TargetInfo();
    LLVMInitializeAArch64Target();
    LLVMInitializeAArch64TargetMC();
    LLVMInitializeAArch64AsmPrinter();
}

static const LLVMCodeGenOptLevel machine_levels[] = {LLVMCodeGenLevelNone, LLVMCodeGenLevelLess,
                                                     LLVMCodeGenLevelDefault, LLVMCodeGenLevelAggressive};

LLVMTargetMachineRef code_machine(Arena *arena, const CodeOptions *options, const char **why) {
    const Target *t = options->target;
    LLVMTargetRef target;
    char *message = NULL;
    initialize_targets();
    if (LLVMGetTargetFromTriple(t->triple, &target, &message)) {
        *why = take_message(arena, message);
        return NULL;
    }
    LLVMTargetMachineRef machine =
        LLVMCreateTargetMachine(target, t->triple, t->cpu, t->features, machine_levels[options->level], LLVMRelocPIC,
                                LLVMCodeModelDefault);
    if (!machine) *why = arena_printf(arena, "LLVM has no machine for %s, %s", t->triple, t->cpu);
    return machine;
}

CodeHost code_host(Arena *arena) {
    CodeHost host;
    host.triple = take_message(arena, LLVMGetDefaultTargetTriple());
    host.cpu = take_message(arena, LLVMGetHostCPUName());
    host.features = take_message(arena, LLVMGetHostCPUFeatures());
    return host;
}

const char *code_llvm_version(Arena *arena) {
    unsigned major, minor, patch;
    LLVMGetVersion(&major, &minor, &patch);
    return arena_printf(arena, "%u.%u.%u", major, minor, patch);
}

void code_on_fatal_error(void (*handler)(const char *reason)) { LLVMInstallFatalErrorHandler(handler); }

/* ------------------------------------------------------------------------- passes */

static const char *const pipelines[] = {
    "function(mem2reg)",
    "function(sroa,early-cse,simplifycfg),globaldce",
    "function(sroa,early-cse<memssa>,instcombine<no-verify-fixpoint>,simplifycfg,loop-mssa(licm),"
    "early-cse<memssa>,instcombine<no-verify-fixpoint>,simplifycfg),globaldce,constmerge",
    "function(sroa,early-cse<memssa>,instcombine<no-verify-fixpoint>,simplifycfg,loop-mssa(licm),gvn,"
    "instcombine<no-verify-fixpoint>,dse,adce,simplifycfg),globaldce,constmerge",
};

bool code_verify(Code *code, const char **why) {
    char *message = NULL;
    bool broken = LLVMVerifyModule(code->module, LLVMReturnStatusAction, &message);
    const char *text = take_message(code->arena, message);
    if (broken) *why = text;
    return !broken;
}

bool code_optimise(Code *code, const char **why) {
    LLVMPassBuilderOptionsRef options = LLVMCreatePassBuilderOptions();
    LLVMErrorRef error = LLVMRunPasses(code->module, pipelines[code->options->level], code->machine, options);
    LLVMDisposePassBuilderOptions(options);
    if (error) {
        char *message = LLVMGetErrorMessage(error);
        *why = arena_text(code->arena, message, strlen(message));
        LLVMDisposeErrorMessage(message);
        return false;
    }
    return code_verify(code, why);
}

/* ----------------------------------------------------------------------- emission */

static bool emit_machine_code(Code *code, LLVMCodeGenFileType type, const char **bytes, size_t *n, const char **why) {
    LLVMModuleRef copy = LLVMCloneModule(code->module);
    LLVMMemoryBufferRef buffer = NULL;
    char *message = NULL;
    bool failed = LLVMTargetMachineEmitToMemoryBuffer(code->machine, copy, type, &message, &buffer);
    LLVMDisposeModule(copy);
    if (failed || code->problem) {
        const char *text = failed ? take_message(code->arena, message) : code->problem;
        *why = text;
        if (buffer) LLVMDisposeMemoryBuffer(buffer);
        return false;
    }
    *n = LLVMGetBufferSize(buffer);
    *bytes = arena_text(code->arena, LLVMGetBufferStart(buffer), *n);
    LLVMDisposeMemoryBuffer(buffer);
    return true;
}

bool code_emit(Code *code, CodeFormat format, const char **bytes, size_t *n, const char **why) {
    if (format == CODE_OBJECT) return emit_machine_code(code, LLVMObjectFile, bytes, n, why);
    if (format == CODE_ASSEMBLY) return emit_machine_code(code, LLVMAssemblyFile, bytes, n, why);
    *bytes = take_message(code->arena, LLVMPrintModuleToString(code->module));
    *n = strlen(*bytes);
    return true;
}
