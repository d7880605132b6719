/* Debug: see debug.h. Line tables in DWARF 4, which all tools read, made by LLVM's DIBuilder. */
#include "codegen/debug.h"

#include "codegen/code.h"

#include <llvm-c/DebugInfo.h>

enum { DWARF_VERSION = 4 };

struct Debug {
    LLVMDIBuilderRef builder;
    LLVMMetadataRef unit, type;            /* type: of all functions */
    LLVMMetadataRef *files;                /* by source, made when first asked for; 0: where there is no place */
    LLVMMetadataRef function, location;    /* being built, and where it begins */
    uint32_t source;                       /* of the function */
};

bool code_place(const CodeOptions *options, Span span, const char **path, int *line) {
    int column;
    const Diags *d = options ? options->sources : NULL;
    if (!d || !span.source || span.source >= (uint32_t)d->sources.n) return false;
    *path = d->sources.at[span.source].path;
    diag_place(d, span.source, span.begin, line, &column);
    return true;
}

/* ------------------------------------------------------------------------ files */

static LLVMMetadataRef file_of(Emit *e, uint32_t source) {
    struct Debug *d = e->debug;
    const char *path = source ? e->options->sources->sources.at[source].path : e->options->prefix;
    const char *folder = e->options->folder ? e->options->folder : "";
    if (!d->files[source])
        d->files[source] = LLVMDIBuilderCreateFile(d->builder, path, strlen(path), folder, strlen(folder));
    return d->files[source];
}

/* The source that the unit is named after: that of the first function. */
static uint32_t main_source(const Emit *e) {
    const KModule *m = e->kernels;
    const char *path;
    int line;
    for (int i = 0; i < m->plans.n; i++)
        if (code_place(e->options, m->plans.at[i]->func->span, &path, &line)) return m->plans.at[i]->func->span.source;
    return 0;
}

static void add_flag(Emit *e, const char *name, int value) {
    LLVMAddModuleFlag(e->module, LLVMModuleFlagBehaviorWarning, name, strlen(name),
                      LLVMValueAsMetadata(emit_i32(e, value)));
}

void debug_start(Emit *e) {
    static const char producer[] = "dlcc";
    const CodeOptions *o = e->options;
    if (!o || !o->debug) return;
    struct Debug *d = e->debug = arena_new(e->arena, struct Debug);
    *d = (struct Debug){.builder = LLVMCreateDIBuilder(e->module)};
    d->files = arena_array(e->arena, LLVMMetadataRef, o->sources ? o->sources->sources.n + 1 : 1);
    LLVMMetadataRef file = file_of(e, main_source(e));
    d->unit = LLVMDIBuilderCreateCompileUnit(d->builder, LLVMDWARFSourceLanguageC99, file, producer, strlen(producer),
                                             o->level > 0, "", 0, 0, "", 0, LLVMDWARFEmissionFull, 0, false, false, "",
                                             0, "", 0);
    d->type = LLVMDIBuilderCreateSubroutineType(d->builder, file, NULL, 0, LLVMDIFlagZero);
    add_flag(e, "Dwarf Version", DWARF_VERSION);
    add_flag(e, "Debug Info Version", (int)LLVMDebugMetadataVersion());
}

void debug_finish(Emit *e) {
    if (!e->debug) return;
    LLVMDIBuilderFinalize(e->debug->builder);
    LLVMDisposeDIBuilder(e->debug->builder);
    e->debug = NULL;
}

/* -------------------------------------------------------------------- functions */

void debug_function_begin(Emit *e, LLVMValueRef function, const char *name, Span span) {
    struct Debug *d = e->debug;
    const char *path;
    int line = 0;
    if (!d) return;
    d->source = code_place(e->options, span, &path, &line) ? span.source : main_source(e);
    LLVMMetadataRef file = file_of(e, d->source);
    d->function = LLVMDIBuilderCreateFunction(d->builder, file, name, strlen(name), "", 0, file, (unsigned)line,
                                              d->type, true, true, (unsigned)line, LLVMDIFlagZero,
                                              e->options->level > 0);
    LLVMSetSubprogram(function, d->function);
    d->location = LLVMDIBuilderCreateDebugLocation(e->context, (unsigned)line, 0, d->function, NULL);
    LLVMSetCurrentDebugLocation2(e->at, d->location);
}

/* Code that a change of the builder's place has left without one is at the function's line. */
void debug_function_end(Emit *e, LLVMValueRef function) {
    struct Debug *d = e->debug;
    if (!d) return;
    for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(function); b; b = LLVMGetNextBasicBlock(b))
        for (LLVMValueRef i = LLVMGetFirstInstruction(b); i; i = LLVMGetNextInstruction(i))
            if (!LLVMInstructionGetDebugLoc(i)) LLVMInstructionSetDebugLoc(i, d->location);
    LLVMSetCurrentDebugLocation2(e->at, NULL);
    d->function = NULL;
}

void debug_at(Emit *e, Span span) {
    struct Debug *d = e->debug;
    const char *path;
    int line;
    if (!d || !d->function) return;
    if (!code_place(e->options, span, &path, &line)) {
        LLVMSetCurrentDebugLocation2(e->at, d->location);
        return;
    }
    LLVMMetadataRef scope = d->function;
    if (span.source != d->source)
        scope = LLVMDIBuilderCreateLexicalBlockFile(d->builder, scope, file_of(e, span.source), 0);
    LLVMMetadataRef at = LLVMDIBuilderCreateDebugLocation(e->context, (unsigned)line, 0, scope, NULL);
    LLVMSetCurrentDebugLocation2(e->at, at);
}

/* ------------------------------------------------------------------------ spans */

static bool find_step(const Plan *p, const Kernel *k, Span *span) {
    for (int i = 0; i < p->steps.n; i++) {
        if (p->steps.at[i].kind != STEP_KERNEL || p->steps.at[i].kernel != k) continue;
        *span = p->steps.at[i].span.source ? p->steps.at[i].span : p->func->span;
        return true;
    }
    return false;
}

Span debug_kernel_span(const KModule *m, const Kernel *k) {
    Span span = {0, 0, 0};
    for (int i = 0; i < m->plans.n; i++)
        if (find_step(m->plans.at[i], k, &span)) return span;
    if (m->init) find_step(m->init, k, &span);
    return span;
}
