/* The text of kernel IR. Reading it back (kernel_read.h) gives a module that prints the same.
 *
 *   kernels @digits doc "..."
 *   dim B in 1..512
 *   param @fc1.weight : f32[512,784]
 *   size n0_512 in 1..512                        // of kernels
 *
 *   kernel k3 loops(n0_512) {
 *     buf x0 : f32
 *     buf y1 : f32 out
 *     outer i in n0_512
 *     inner j in 10
 *     stage sweep {
 *       %0 = load x0[10*i + j] : f32
 *       r0 = reduce maximum %0 : f32
 *     }
 *     stage sweep {
 *       %1 = result r0 : f32
 *       %2 = subtract %0, %1 : f32
 *       y1[10*i + j] = %2
 *     }
 *     schedule vector=j lanes=16 unroll=4 chunk=8
 *   }
 *   kernel k4 contract(n0_512) {
 *     ...
 *     m i in n0_512
 *     n j in 256
 *     k l in 784
 *     %0 = load x0[784*i + l] : f32
 *     %1 = load x1[784*j + l] : f32
 *     product %0, %1 : f32                       // the type of the sum
 *     stage {
 *       %2 = sum : f32
 *       y2[256*i + j] = %2
 *     }
 *   }
 *   plan @predict(%x: f32[B,784] = arg "x") dims(B) {
 *     result : f32[B,10] as "logits"
 *     buf b0 "x" : f32[784*B] arg 0
 *     buf b1 : f32[512*B] arena at 1024 life 0..1
 *     run k4(b0, b1) sizes(B) flops 1000.0
 *     check b2 below 10 what "label"
 *     routine sort(b0) to (b3, b4) rows B numbers(1, 2, 3, ...) scratch 320 serial_below 8192
 *     loop i in T reverse
 *       run k5(b0[784*i], b1) sizes(B)             // from element 784*i of b0 on
 *       if b3
 *         swap b1 b4
 *       end
 *     end
 *     memory arena=1024 live=1024 scratch=0
 *   }
 *   init plan @init(%seed: i64 = seed) { ... }
 *
 * A sweep runs over the inner axes, a `stage point` once at each outer point. Nodes stand in the first stage
 * that evaluates them, with their own numbers; names of axes and buffers are the printer's, the reader
 * takes any. Spans are left out, and what has its usual value (a schedule of zeros, bytes that follow
 * from the elements). */
#ifndef DLCC_IR_KERNEL_PRINT_H
#define DLCC_IR_KERNEL_PRINT_H

#include "ir/kernel.h"

void kernels_print(const KModule *m, Text *to);
/* One kernel; `dims` is its module's table. */
void kernel_print(const DimTable *dims, const Kernel *k, Text *to);

/* Words of the text. */
const char *axis_role_name(AxisRole r);        /* "outer", "inner", "batch", "m", "n", "k" */
const char *buf_place_name(BufPlace p);        /* "arg", "result", "var", "arena", "const", "seed", "count", "local" */
const char *step_kind_name(StepKind k);        /* "run", "check", "require", "bind", "loop", ... */

#endif
