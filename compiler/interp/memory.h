/* Memory: tensors of wide numbers to and from the elements that native code reads and writes. */
#ifndef DLCC_INTERP_MEMORY_H
#define DLCC_INTERP_MEMORY_H

#include "ops/eval.h"

/* Bytes of the tensor's elements, compact. */
size_t memory_bytes(const Tensor *t);
/* Writes its elements, each rounded or wrapped to the tensor's type. */
void memory_write(const Tensor *t, void *to);
/* Reads them back. */
void memory_read(Tensor *t, const void *from);

#endif
