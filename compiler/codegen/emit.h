/* Emit: what all of code generation shares - the LLVM module being built and small helpers over LLVM's C
 * API. Loop counters and accumulators are allocas in the function's entry block, which mem2reg turns
 * into phis; so loop nests are written straightforwardly and no pass here builds a phi by hand. */
#ifndef DLCC_CODEGEN_EMIT_H
#define DLCC_CODEGEN_EMIT_H

#include "ir/kernel.h"
#include "target/target.h"

#include <llvm-c/Core.h>

typedef struct KernelScope KernelScope;

typedef struct Emit {
    LLVMContextRef context;
    LLVMModuleRef module;
    LLVMBuilderRef at;         /* where instructions go */
    LLVMValueRef function;     /* being built */
    LLVMTypeRef i1, i8, i16, i32, i64, f16, bf16, f32, f64, ptr, none;
    const Target *target;
    KModule *kernels;
    Arena *arena;
    const struct CodeOptions *options;
    struct Debug *debug;       /* debug.c; null: no line tables */
} Emit;

/* The in-register type of an element (bool is i1) and its type in memory (bool is i8). */
LLVMTypeRef emit_type(const Emit *e, DType t);
LLVMTypeRef emit_memory_type(const Emit *e, DType t);
/* `lanes` 1 gives the scalar type itself. */
LLVMTypeRef emit_vector(const Emit *e, LLVMTypeRef element, int lanes);

LLVMValueRef emit_i64(const Emit *e, int64_t value);
LLVMValueRef emit_i32(const Emit *e, int32_t value);
/* A constant of an element type, in every lane. */
LLVMValueRef emit_const(const Emit *e, DType t, int lanes, double value);
/* x in every lane; x itself if lanes is 1. */
LLVMValueRef emit_splat(Emit *e, LLVMValueRef x, int lanes);
/* <0, 1, 2, ...> of i64. */
LLVMValueRef emit_lane_numbers(const Emit *e, int lanes);

LLVMValueRef emit_add(Emit *e, LLVMValueRef a, LLVMValueRef b);     /* i64, folding constants */
LLVMValueRef emit_mul(Emit *e, LLVMValueRef a, LLVMValueRef b);
LLVMValueRef emit_min(Emit *e, LLVMValueRef a, LLVMValueRef b);     /* signed i64 */
LLVMValueRef emit_max(Emit *e, LLVMValueRef a, LLVMValueRef b);

/* Calls an overloaded intrinsic: emit_intrinsic(e, "llvm.fma", &type, 1, args, 3). */
LLVMValueRef emit_intrinsic(Emit *e, const char *name, LLVMTypeRef *overload, int overloads, LLVMValueRef *args, int n);
LLVMValueRef emit_fma(Emit *e, LLVMValueRef a, LLVMValueRef b, LLVMValueRef c);

/* base + index elements (of the memory type of t). May lie outside of the buffer, as lanes that a mask turns
 * off do. */
LLVMValueRef emit_element_pointer(Emit *e, DType t, LLVMValueRef base, LLVMValueRef index);
/* Loads `lanes` adjacent elements (in-register type). mask (lanes of i1) may be null: all. Masked-off
 * lanes are zero and not read. */
LLVMValueRef emit_load(Emit *e, DType t, int lanes, LLVMValueRef pointer, LLVMValueRef mask);
void emit_store(Emit *e, DType t, int lanes, LLVMValueRef pointer, LLVMValueRef value, LLVMValueRef mask);
/* Loads element [index[lane]] of base for each lane (gather). */
LLVMValueRef emit_gather(Emit *e, DType t, int lanes, LLVMValueRef base, LLVMValueRef index, LLVMValueRef mask);
void emit_scatter(Emit *e, DType t, int lanes, LLVMValueRef base, LLVMValueRef index, LLVMValueRef value,
                  LLVMValueRef mask);
/* Asks for the line of memory at a pointer, which may lead anywhere, for the cache of this level (1: the nearest). */
void emit_prefetch(Emit *e, LLVMValueRef at, int level, bool write);
/* Lanes 0 .. count-1 set; count an i64 (may exceed lanes or be negative). */
LLVMValueRef emit_mask(Emit *e, LLVMValueRef count, int lanes);

/* A variable in the entry block. */
LLVMValueRef emit_variable(Emit *e, LLVMTypeRef type, const char *name);
static inline LLVMValueRef emit_get(Emit *e, LLVMTypeRef type, LLVMValueRef variable) {
    return LLVMBuildLoad2(e->at, type, variable, "");
}
static inline void emit_set(Emit *e, LLVMValueRef variable, LLVMValueRef value) {
    LLVMBuildStore(e->at, value, variable);
}

/* for (i64 i = from; i < until; i += step) */
typedef struct EmitLoop {
    LLVMValueRef counter, until, step;
    LLVMBasicBlockRef body, end;
    LLVMValueRef index;        /* the counter's value in the body */
} EmitLoop;
EmitLoop emit_loop_begin(Emit *e, LLVMValueRef from, LLVMValueRef until, LLVMValueRef step, const char *name);
void emit_loop_end(Emit *e, EmitLoop *loop);

typedef struct EmitIf {
    LLVMBasicBlockRef otherwise, end;
    bool has_else;
} EmitIf;
EmitIf emit_if_begin(Emit *e, LLVMValueRef condition);
void emit_if_else(Emit *e, EmitIf *branch);
void emit_if_end(Emit *e, EmitIf *branch);

/* A function with internal linkage, "nounwind" and the target's attributes, with an entry block; e->at
 * moves there. emit_function_end restores nothing: the caller keeps its own builder position. */
LLVMValueRef emit_function_begin(Emit *e, const char *name, LLVMTypeRef type, bool internal);
void emit_function_end(Emit *e);    /* for void functions: appends ret void */

/* An i64 for a Dim, given the values of the symbols (by symbol id); a derived symbol may be null there: it is
 * computed from the free ones. */
LLVMValueRef emit_dim(Emit *e, const DimTable *t, Dim d, const LLVMValueRef *symbols);

/* ---------------------------------------------------------- the parts */

/* An element function on values of `lanes` lanes. `t` is the operands' type (of the second operand for
 * select), `to` the result's. site and word: random_bits only. (element.c) */
LLVMValueRef emit_element(Emit *e, MapFn f, LLVMValueRef *args, DType t, DType to, int lanes, uint64_t site, int word);
/* Combines the lanes of v by the function in a fixed tree; the scalar. (element.c) */
LLVMValueRef emit_combine_lanes(Emit *e, MapFn f, DType t, int lanes, LLVMValueRef v);

/* A kernel becomes a function of type DlrtTask: void (ptr frame, ptr args, i64 begin, i64 end, i32 worker).
 * `args` points to {ptr buffers..., i64 dims..., i64 numbers...}. Items begin .. end-1 are those of kernel_items. */
LLVMValueRef emit_kernel(Emit *e, const Kernel *k);             /* kernel.c: dispatches on the form */
void emit_loops_kernel(Emit *e, const Kernel *k, KernelScope *s);       /* loops.c */
void emit_contract_kernel(Emit *e, const Kernel *k, KernelScope *s);    /* contract.c */
/* The number of work items as an i64, for given dim values by kernel-dim symbol id. (kernel.c, by form) */
LLVMValueRef emit_kernel_items(Emit *e, const Kernel *k, const LLVMValueRef *symbols);
LLVMValueRef emit_loops_items(Emit *e, const Kernel *k, const LLVMValueRef *symbols);      /* loops.c */
LLVMValueRef emit_contract_items(Emit *e, const Kernel *k, const LLVMValueRef *symbols);   /* contract.c */

/* What the two forms share while a kernel is built. (kernel.c) */
struct KernelScope {
    const Kernel *kernel;
    LLVMValueRef frame, begin, end, worker, scratch;   /* scratch: this worker's, or null */
    LLVMValueRef *bufs;        /* pointers, by KBuf */
    LLVMValueRef *symbols;     /* i64 values by kernel-dim symbol id */
    LLVMValueRef *numbers;     /* i64 */
    const uint64_t *depends;   /* kernel_node_axes */
};

/* The value of a node at a point. `index[a]` is the i64 of axis a at lane 0; lanes run along
 * vector_axis (-1: one point). Memoised in point->value; clear it when an index changes. A value that is
 * the same in all lanes is computed once, as a scalar, and spread where it meets vectors. (node.c) */
typedef struct NodePoint {
    KernelScope *scope;
    LLVMValueRef *index;       /* by axis */
    int vector_axis, lanes;
    LLVMValueRef mask;         /* null: all lanes */
    LLVMValueRef *value;       /* by node, memo: a scalar where it does not vary from lane to lane */
    LLVMValueRef sum;          /* NODE_SUM */
    LLVMValueRef *reduced;     /* NODE_REDUCED: values by reduction */
    LLVMValueRef *running;     /* NODE_RUNNING: values by reduction */
    LLVMValueRef *cached_row;  /* by node: where row memory holds its values from this point on, or null */
} NodePoint;
/* A point of the kernel with nothing known: one lane, no indices. */
NodePoint *emit_point(Emit *e, KernelScope *s);
/* The value in every lane (a scalar if lanes is 1). */
LLVMValueRef emit_node(Emit *e, NodePoint *p, int node);
/* The same where it does not vary from lane to lane: a scalar. */
LLVMValueRef emit_scalar_node(Emit *e, NodePoint *p, int node);
/* Asks for the line where the access's element lies, which need not exist; it has no index node. */
void emit_access_prefetch(Emit *e, NodePoint *p, int access, bool write);
/* Evaluates the store's node and writes it where the access says. */
void emit_node_store(Emit *e, NodePoint *p, const KStore *store);
/* The stores of n points whose elements lie side by side, those of lane i before those of lane i + 1; all lanes count. */
void emit_node_store_interleaved(Emit *e, NodePoint *const *points, int n, const KStore *store);

#endif
