/* The inside of the reader of kernel IR, shared by kernel_read.c (module and plans) and
 * kernel_read_loops.c (kernels). Stands on the reader of graph IR: reader.h. */
#ifndef DLCC_IR_KERNEL_READER_H
#define DLCC_IR_KERNEL_READER_H

#include "ir/kernel.h"
#include "ir/reader.h"

typedef struct KernelReader {
    Reader *r;                 /* its module and dims are the graph's, or the kernels' while one is read */
    KModule *to;
    Module *graph, *sizes;     /* of `sizes` only the dim table is used: the kernels' */
    Map graph_dims, size_dims;
    Map kernels;               /* Kernel * by name */

    /* of the kernel being read */
    Kernel *k;
    Map axes, bufs;            /* their number + 1 by name */
    VEC(bool) node_known, reduction_known;
} KernelReader;

/* Names of axes, buffers: numbers in a map. */
void kernel_reader_number(KernelReader *kr, Map *map, const char *name, int number);
/* A name of the map; what: "a buffer". */
bool kernel_reader_lookup(KernelReader *kr, const Map *map, const char *what, int *number);

/* kernel NAME form(sizes) { ... }, the word `kernel` being read. */
bool kernel_reader_kernel(KernelReader *kr);

#endif
