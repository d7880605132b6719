/* How a kernel is run, here and under an emulator, and what is sent there: for each call a RemoteHead, the
 * dims, then each buffer's size and bytes; back come the buffers. */
#ifndef DLCC_TESTS_REMOTE_H
#define DLCC_TESTS_REMOTE_H

#include "dlrt.h"

enum { REMOTE_SCRATCH = 1 << 16 };

typedef struct RemoteHead {
    int32_t kernel, buf_count, dim_count, cuts;
} RemoteHead;

/* All items, in cuts + 1 runs of which the last comes first, by workers 0 and 1 in turn. */
static inline void remote_run(DlrtTask *task, int64_t items, int cuts, const void *args, void *scratch) {
    DlrtFrame frame = {.scratch = (unsigned char *)scratch, .scratch_stride = REMOTE_SCRATCH / 2, .threads = 2};
    for (int i = cuts; i >= 0; i--) task(&frame, args, items * i / (cuts + 1), items * (i + 1) / (cuts + 1), i & 1);
}

#endif
