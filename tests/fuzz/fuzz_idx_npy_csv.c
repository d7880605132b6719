/* fuzz_idx_npy_csv.c - libFuzzer target: the first byte picks the reader, the rest is the file (which may itself be
 * gzip). A reader gives an array whose elements can all be read, or a reason. */
#include "tool.h"
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static bool (*const readers[])(Source *, Array *) = {read_idx, read_npy, read_csv};
    if (!size) return 0;
    Error error = {""};
    Array a = {0};
    Source s;
    int handle = memfd_create("fuzz", 0);
    if (handle < 0 || write(handle, data + 1, size - 1) != (ssize_t)size - 1 || lseek(handle, 0, SEEK_SET)) abort();
    if (!source_open_handle(&s, handle, "fuzz", &error)) abort();
    bool good = readers[data[0] % 3](&s, &a);
    source_close(&s);
    double sum = 0;
    for (int64_t i = 0; good && i < a.count; i++) sum += array_real(&a, i);
    if (good == (error.text[0] != 0) || (good && sum == 1.25e300)) abort();
    array_free(&a);
    return 0;
}
