/* generate ROW SUFFIX OUT.o: an object for row ROW of the target table ("x86-64-v3"), that holds every
 * element function in loops over arrays, and a table of them, elements_SUFFIX (elements.h). */
#include "codegen/emit.h"

#include "elements.h"

#include <llvm-c/Analysis.h>
#include <llvm-c/Target.h>
#include <llvm-c/TargetMachine.h>
#include <llvm-c/Transforms/PassBuilder.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct Generator {
    Emit e;
    LLVMTypeRef entry;         /* ElementEntry */
    LLVMTypeRef loop;          /* ElementLoop */
    VEC(LLVMValueRef) entries;
} Generator;

typedef struct Case {
    MapFn map;
    DType t, to;
    int lanes, word;
    bool combines;
} Case;

static bool is_select_condition(const Case *k, int operand) { return k->map == MAP_select && operand == 0; }

static LLVMValueRef emit_case(Generator *g, const Case *k, LLVMValueRef index) {
    Emit *e = &g->e;
    LLVMValueRef x[3];
    int operands = k->combines ? 1 : op_of_map(k->map)->max_operands;
    for (int i = 0; i < operands; i++) {
        DType t = is_select_condition(k, i) ? DTYPE_BOOL : k->t;
        LLVMValueRef base = LLVMGetParam(e->function, (unsigned)i);
        x[i] = emit_load(e, t, k->lanes, emit_element_pointer(e, t, base, index), NULL);
    }
    if (k->combines) return emit_combine_lanes(e, k->map, k->t, k->lanes, x[0]);
    return emit_element(e, k->map, x, k->t, k->to, k->lanes, ELEMENTS_SITE, k->word);
}

static void add_entry(Generator *g, const Case *k, LLVMValueRef function) {
    const Emit *e = &g->e;
    LLVMValueRef members[] = {emit_i32(e, (int32_t)k->map), emit_i32(e, (int32_t)k->t), emit_i32(e, (int32_t)k->to),
                              emit_i32(e, k->lanes), emit_i32(e, k->combines), emit_i32(e, k->word), function};
    vec_push(e->arena, &g->entries, LLVMConstStructInContext(e->context, members, 7, false));
}

static void add_case(Generator *g, Case k) {
    Emit *e = &g->e;
    char name[96];
    snprintf(name, sizeof name, "%s%s_%s_%s_%d_%d", k.combines ? "combine_" : "", op_of_map(k.map)->name,
             dtype_name(k.t), dtype_name(k.to), k.lanes, k.word);
    LLVMValueRef function = emit_function_begin(e, name, g->loop, true);
    LLVMValueRef out = LLVMGetParam(function, 3), n = LLVMGetParam(function, 4);
    EmitLoop loop = emit_loop_begin(e, emit_i64(e, 0), n, emit_i64(e, k.lanes), "i");
    LLVMValueRef value = emit_case(g, &k, loop.index), to = loop.index;
    if (k.combines) to = LLVMBuildSDiv(e->at, to, emit_i64(e, k.lanes), "");
    emit_store(e, k.to, k.combines ? 1 : k.lanes, emit_element_pointer(e, k.to, out, to), value, NULL);
    emit_loop_end(e, &loop);
    emit_function_end(e);
    add_entry(g, &k, function);
}

static bool takes(const OpInfo *op, DType t) {
    TypeClass c = dtype_is_float(t) ? CLASS_FLOAT : t == DTYPE_BOOL ? CLASS_BOOL : CLASS_INT;
    return (op->types & c) != 0;
}

/* A scalar, a vector that fills a register, and 16 lanes however many registers that takes. */
static void add_widths(Generator *g, Case k) {
    int full = target_lanes(g->e.target, dtype_bytes(k.t)), widths[] = {1, full, 16};
    for (int i = 0; i < (full == 16 ? 2 : 3); i++) {
        k.lanes = widths[i];
        if (!k.combines || k.lanes > 1) add_case(g, k);
    }
}

static void add_map(Generator *g, MapFn f, DType t) {
    const OpInfo *op = op_of_map(f);
    if (!takes(op, t) || op->max_operands == 0) return;
    DType to = op->flags & OP_PREDICATE ? DTYPE_BOOL : t;
    if (f == MAP_random_bits) {
        for (int word = 0; word < 4 && t == DTYPE_I64; word++)
            add_widths(g, (Case){.map = f, .t = t, .to = DTYPE_I32, .word = word});
    } else if (f == MAP_convert) {
        for (int i = 0; i < DTYPE_COUNT; i++) add_widths(g, (Case){.map = f, .t = t, .to = (DType)i});
    } else {
        add_widths(g, (Case){.map = f, .t = t, .to = to});
    }
}

static void add_combining(Generator *g, DType t) {
    static const MapFn combining[] = {MAP_add, MAP_multiply, MAP_maximum, MAP_minimum, MAP_and, MAP_or};
    for (int i = 0; i < 6; i++)
        if (takes(op_of_map(combining[i]), t)) add_widths(g, (Case){combining[i], t, t, 0, 0, true});
}

static void add_all(Generator *g, const char *suffix) {
    char name[32];
    for (int f = 0; f < MAP_COUNT; f++)
        for (int t = 0; t < DTYPE_COUNT; t++) add_map(g, (MapFn)f, (DType)t);
    for (int t = 0; t < DTYPE_COUNT; t++) add_combining(g, (DType)t);
    const Emit *e = &g->e;
    LLVMValueRef last[7];
    for (int i = 0; i < 6; i++) last[i] = emit_i32(e, -1);
    last[6] = LLVMConstNull(e->ptr);
    vec_push(e->arena, &g->entries, LLVMConstStructInContext(e->context, last, 7, false));
    LLVMValueRef table = LLVMConstArray2(g->entry, g->entries.at, (uint64_t)g->entries.n);
    snprintf(name, sizeof name, "elements_%s", suffix);
    LLVMValueRef global = LLVMAddGlobal(e->module, LLVMTypeOf(table), name);
    LLVMSetInitializer(global, table);
    LLVMSetGlobalConstant(global, true);
}

static void set_types(Generator *g) {
    Emit *e = &g->e;
    LLVMContextRef c = e->context;
    e->i1 = LLVMInt1TypeInContext(c);
    e->i8 = LLVMInt8TypeInContext(c);
    e->i16 = LLVMInt16TypeInContext(c);
    e->i32 = LLVMInt32TypeInContext(c);
    e->i64 = LLVMInt64TypeInContext(c);
    e->f16 = LLVMHalfTypeInContext(c);
    e->bf16 = LLVMBFloatTypeInContext(c);
    e->f32 = LLVMFloatTypeInContext(c);
    e->f64 = LLVMDoubleTypeInContext(c);
    e->ptr = LLVMPointerTypeInContext(c, 0);
    e->none = LLVMVoidTypeInContext(c);
    LLVMTypeRef members[] = {e->i32, e->i32, e->i32, e->i32, e->i32, e->i32, e->ptr};
    g->entry = LLVMStructTypeInContext(c, members, 7, false);
    g->loop = LLVMFunctionType(e->none, (LLVMTypeRef[]){e->ptr, e->ptr, e->ptr, e->ptr, e->i64}, 5, false);
}

static void fail(const char *what, const char *why) {
    fprintf(stderr, "generate: %s: %s\n", what, why);
    exit(1);
}

static LLVMTargetMachineRef machine_of(const Target *t) {
    LLVMTargetRef target;
    char *message;
    LLVMInitializeX86TargetInfo();
    LLVMInitializeX86Target();
    LLVMInitializeX86TargetMC();
    LLVMInitializeX86AsmPrinter();
    LLVMInitializeAArch64TargetInfo();
    LLVMInitializeAArch64Target();
    LLVMInitializeAArch64TargetMC();
    LLVMInitializeAArch64AsmPrinter();
    if (LLVMGetTargetFromTriple(t->triple, &target, &message)) fail(t->triple, message);
    return LLVMCreateTargetMachine(target, t->triple, t->cpu, t->features, LLVMCodeGenLevelDefault, LLVMRelocPIC,
                                   LLVMCodeModelDefault);
}

static void write_object(const Emit *e, LLVMTargetMachineRef machine, const char *path) {
    static const char passes[] = "function(sroa,early-cse,instcombine,simplifycfg,loop-mssa(licm)),globaldce";
    char *message;
    LLVMTargetDataRef layout = LLVMCreateTargetDataLayout(machine);
    LLVMSetModuleDataLayout(e->module, layout);
    LLVMSetTarget(e->module, e->target->triple);
    if (LLVMVerifyModule(e->module, LLVMReturnStatusAction, &message)) fail("the module", message);
    LLVMDisposeMessage(message);
    LLVMPassBuilderOptionsRef options = LLVMCreatePassBuilderOptions();
    LLVMErrorRef error = LLVMRunPasses(e->module, passes, machine, options);
    if (error) fail("passes", LLVMGetErrorMessage(error));
    if (LLVMTargetMachineEmitToFile(machine, e->module, path, LLVMObjectFile, &message)) fail(path, message);
    LLVMDisposePassBuilderOptions(options);
    LLVMDisposeTargetData(layout);
}

static const Target *row_named(const char *name) {
    int n;
    const Target *rows = target_table(&n);
    for (int i = 0; i < n; i++)
        if (!strcmp(rows[i].name, name)) return &rows[i];
    fail(name, "no such row of the target table");
    return NULL;
}

int main(int argc, char **argv) {
    if (argc != 4) fail("usage", "generate ROW SUFFIX OUT.o");
    jmp_buf out_of_memory;
    Arena arena;
    arena_init(&arena, &out_of_memory);
    if (setjmp(out_of_memory)) fail("memory", "none left");
    Generator g = {.e = {.arena = &arena, .target = row_named(argv[1]), .context = LLVMContextCreate()}};
    g.e.module = LLVMModuleCreateWithNameInContext("elements", g.e.context);
    g.e.at = LLVMCreateBuilderInContext(g.e.context);
    set_types(&g);
    add_all(&g, argv[2]);
    LLVMTargetMachineRef machine = machine_of(g.e.target);
    write_object(&g.e, machine, argv[3]);
    LLVMDisposeTargetMachine(machine);
    LLVMDisposeBuilder(g.e.at);
    LLVMDisposeModule(g.e.module);
    LLVMContextDispose(g.e.context);
    arena_reset(&arena);
}
