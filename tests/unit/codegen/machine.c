/* Kernels as machine code: see machine.h. Code for this processor is linked by LLVM's JIT. Code for another
 * one is linked with remote.c by a cross compiler and run under its emulator: calls are collected in a file
 * and answered in another. */
#include "machine.h"

#include "codegen/code.h"
#include "remote.h"

#include <llvm-c/LLJIT.h>
#include <llvm-c/Orc.h>

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <setjmp.h>
#include <cmocka.h>

typedef int64_t ItemsFn(const void *args);

struct Machine {
    Arena *arena;
    KModule *kernels;
    const Target *target;
    LLVMOrcLLJITRef jit;
    DlrtTask **tasks;          /* by kernel */
    ItemsFn **items;
    void *scratch;
    /* remote */
    char folder[64];
    FILE *requests;
    VEC(KernelCall) pending;
};

static void check(LLVMErrorRef error) {
    if (error) fail_msg("%s", LLVMGetErrorMessage(error));
}

const Target *machine_target(Arena *arena, const char *name) {
    CodeHost host = code_host(arena);
    const char *why = NULL;
    bool arm = !strcmp(name, "aarch64");
    const Target *here = target_find(arena, NULL, NULL, host.triple, host.cpu, host.features, &why);
    if (!here) fail_msg("%s", why);
    if (!strcmp(name, "host")) return here;
    const Target *t = target_find(arena, arm ? "aarch64-linux-gnu" : NULL, arm ? NULL : name, host.triple, host.cpu,
                                  host.features, &why);
    if (!t) fail_msg("%s", why);
    if (arm) return REMOTE_COMPILER[0] && t->qemu ? t : NULL;
    return t->cpu_features & ~here->cpu_features ? NULL : t;
}

/* ----------------------------------------------------------------------- compiling */

static Emit start(Code *code, KModule *kernels) {
    LLVMContextRef c = code->context;
    return (Emit){
        .context = c, .module = code->module, .at = LLVMCreateBuilderInContext(c),
        .i1 = LLVMInt1TypeInContext(c), .i8 = LLVMInt8TypeInContext(c), .i16 = LLVMInt16TypeInContext(c),
        .i32 = LLVMInt32TypeInContext(c), .i64 = LLVMInt64TypeInContext(c), .f16 = LLVMHalfTypeInContext(c),
        .bf16 = LLVMBFloatTypeInContext(c), .f32 = LLVMFloatTypeInContext(c), .f64 = LLVMDoubleTypeInContext(c),
        .ptr = LLVMPointerTypeInContext(c, 0), .none = LLVMVoidTypeInContext(c),
        .target = code->options->target, .kernels = kernels, .arena = code->arena,
    };
}

/* i64 NAME_items(ptr args): what an entry function would hand to the thread pool. */
static void emit_items_function(Emit *e, const Kernel *k) {
    LLVMTypeRef type = LLVMFunctionType(e->i64, &e->ptr, 1, false);
    LLVMValueRef f = emit_function_begin(e, arena_printf(e->arena, "%s_items", k->name), type, false);
    LLVMValueRef *symbols = arena_array(e->arena, LLVMValueRef, e->kernels->dims.symbols.n + 1);
    for (int i = 0; i < k->dims.n; i++) {
        LLVMValueRef at = emit_i64(e, k->bufs.n + i);
        symbols[k->dims.at[i]->id] =
            LLVMBuildLoad2(e->at, e->i64, LLVMBuildGEP2(e->at, e->i64, LLVMGetParam(f, 0), &at, 1, ""), "");
    }
    LLVMBuildRet(e->at, emit_kernel_items(e, k, symbols));
}

/* A table of all functions by which remote.c finds them. */
static void emit_table(Emit *e, const char *name, LLVMValueRef *functions, int n) {
    LLVMValueRef all = LLVMConstArray2(e->ptr, functions, (uint64_t)n);
    LLVMValueRef table = LLVMAddGlobal(e->module, LLVMTypeOf(all), name);
    LLVMSetInitializer(table, all);
}

static const char *compile(Machine *m, size_t *n) {
    CodeOptions options = {.target = m->target, .prefix = "kernels", .level = 2};
    Code code = {.arena = m->arena, .options = &options};
    const char *why = NULL, *bytes = NULL;
    code.machine = code_machine(m->arena, &options, &why);
    if (!code.machine) fail_msg("%s", why);
    code.context = LLVMContextCreate();
    code.module = LLVMModuleCreateWithNameInContext("kernels", code.context);
    LLVMSetTarget(code.module, m->target->triple);
    LLVMTargetDataRef layout = LLVMCreateTargetDataLayout(code.machine);
    LLVMSetModuleDataLayout(code.module, layout);
    LLVMDisposeTargetData(layout);
    Emit e = start(&code, m->kernels);
    int count = m->kernels->kernels.n;
    LLVMValueRef *tasks = arena_array(m->arena, LLVMValueRef, count + 1);
    LLVMValueRef *items = arena_array(m->arena, LLVMValueRef, count + 1);
    for (int i = 0; i < count; i++) {
        tasks[i] = emit_kernel(&e, m->kernels->kernels.at[i]);
        LLVMSetLinkage(tasks[i], LLVMExternalLinkage);
        emit_items_function(&e, m->kernels->kernels.at[i]);
        items[i] = e.function;
    }
    emit_table(&e, "remote_tasks", tasks, count);
    emit_table(&e, "remote_items", items, count);
    LLVMDisposeBuilder(e.at);
    if (!code_verify(&code, &why) || !code_optimise(&code, &why) || !code_emit(&code, CODE_OBJECT, &bytes, n, &why))
        fail_msg("%s", why);
    code_free(&code);
    return bytes;
}

static void link_here(Machine *m, const char *object, size_t n) {
    LLVMOrcDefinitionGeneratorRef generator;
    check(LLVMOrcCreateLLJIT(&m->jit, NULL));
    LLVMOrcJITDylibRef main = LLVMOrcLLJITGetMainJITDylib(m->jit);
    check(LLVMOrcCreateDynamicLibrarySearchGeneratorForProcess(&generator, LLVMOrcLLJITGetGlobalPrefix(m->jit), NULL,
                                                               NULL));
    LLVMOrcJITDylibAddGenerator(main, generator);
    check(LLVMOrcLLJITAddObjectFile(m->jit, main, LLVMCreateMemoryBufferWithMemoryRangeCopy(object, n, "kernels")));
    LLVMOrcExecutorAddress at;
    check(LLVMOrcLLJITLookup(m->jit, &at, "remote_tasks"));
    m->tasks = (DlrtTask **)(uintptr_t)at;
    check(LLVMOrcLLJITLookup(m->jit, &at, "remote_items"));
    m->items = (ItemsFn **)(uintptr_t)at;
}

static void shell(const char *command) {
    if (system(command)) fail_msg("failed: %s", command);
}

static void link_remote(Machine *m, const char *object, size_t n) {
    snprintf(m->folder, sizeof m->folder, "/tmp/dlcc-remote-XXXXXX");
    if (!mkdtemp(m->folder)) fail_msg("mkdtemp");
    FILE *f = fopen(arena_printf(m->arena, "%s/kernels.o", m->folder), "wb");
    if (!f || fwrite(object, 1, n, f) != n || fclose(f)) fail_msg("cannot write the object");
    shell(arena_printf(m->arena, "%s -std=c17 -O1 -I%s %s %s/kernels.o -static -o %s/remote -lm", REMOTE_COMPILER,
                       RUNTIME_INCLUDE, REMOTE_SOURCE, m->folder, m->folder));
    m->requests = fopen(arena_printf(m->arena, "%s/requests", m->folder), "wb");
}

Machine *machine_open(Arena *arena, KModule *kernels, const Target *target) {
    Machine *m = arena_new(arena, Machine);
    *m = (Machine){.arena = arena, .kernels = kernels, .target = target};
    size_t n;
    const char *object = compile(m, &n);
    if (!strncmp(target->triple, "aarch64", 7)) link_remote(m, object, n);
    else link_here(m, object, n);
    m->scratch = aligned_alloc(64, REMOTE_SCRATCH);
    return m;
}

/* ------------------------------------------------------------------------- calling */

static void call_here(Machine *m, const KernelCall *c) {
    union { void *pointer; int64_t number; } args[CALL_BUFS + CALL_DIMS];
    for (int i = 0; i < c->buf_count; i++) args[i].pointer = c->bufs[i].at;
    for (int i = 0; i < c->dim_count; i++) args[c->buf_count + i].number = c->dims[i];
    memset(m->scratch, 0xff, REMOTE_SCRATCH);
    remote_run(m->tasks[c->kernel], m->items[c->kernel](args), c->cuts, args, m->scratch);
}

static void request(Machine *m, const void *bytes, size_t n) {
    if (fwrite(bytes, 1, n, m->requests) != n) fail_msg("cannot write a request");
}

static void call_remote(Machine *m, const KernelCall *c) {
    RemoteHead head = {c->kernel, c->buf_count, c->dim_count, c->cuts};
    request(m, &head, sizeof head);
    request(m, c->dims, sizeof *c->dims * (size_t)c->dim_count);
    for (int i = 0; i < c->buf_count; i++) {
        int64_t bytes = (int64_t)c->bufs[i].bytes;
        request(m, &bytes, sizeof bytes);
        request(m, c->bufs[i].at, c->bufs[i].bytes);
    }
    vec_push(m->arena, &m->pending, *c);
}

void machine_call(Machine *m, const KernelCall *call) {
    if (m->requests) call_remote(m, call);
    else call_here(m, call);
}

void machine_finish(Machine *m) {
    if (!m->requests) return;
    fclose(m->requests);
    m->requests = NULL;
    shell(arena_printf(m->arena, "%s %s/remote < %s/requests > %s/answers", m->target->qemu, m->folder, m->folder,
                       m->folder));
    FILE *f = fopen(arena_printf(m->arena, "%s/answers", m->folder), "rb");
    for (int i = 0; f && i < m->pending.n; i++)
        for (int b = 0; b < m->pending.at[i].buf_count; b++)
            if (fread(m->pending.at[i].bufs[b].at, 1, m->pending.at[i].bufs[b].bytes, f) !=
                m->pending.at[i].bufs[b].bytes)
                fail_msg("the answers are too short");
    if (!f) fail_msg("no answers");
    fclose(f);
}

void machine_close(Machine *m) {
    if (m->jit) check(LLVMOrcDisposeLLJIT(m->jit));
    if (m->folder[0]) shell(arena_printf(m->arena, "rm -r %s", m->folder));
    free(m->scratch);
}
