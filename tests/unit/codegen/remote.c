/* Runs the calls that machine.c collected: see remote.h. Linked with the kernels for another processor. */
#include "remote.h"

#include <stdio.h>
#include <stdlib.h>

extern DlrtTask *const remote_tasks[];
extern int64_t (*const remote_items[])(const void *args);

static void receive(void *to, size_t n) {
    if (fread(to, 1, n, stdin) != n) exit(2);
}

int main(void) {
    static union { void *pointer; int64_t number; } args[64];
    static int64_t bytes[64];
    RemoteHead head;
    void *scratch = aligned_alloc(64, REMOTE_SCRATCH);
    while (fread(&head, sizeof head, 1, stdin) == 1) {
        for (int i = 0; i < head.dim_count; i++) receive(&args[head.buf_count + i], 8);
        for (int i = 0; i < head.buf_count; i++) {
            receive(&bytes[i], 8);
            args[i].pointer = malloc((size_t)bytes[i] + 1);
            receive(args[i].pointer, (size_t)bytes[i]);
        }
        remote_run(remote_tasks[head.kernel], remote_items[head.kernel](args), head.cuts, args, scratch);
        for (int i = 0; i < head.buf_count; i++) {
            fwrite(args[i].pointer, 1, (size_t)bytes[i], stdout);
            free(args[i].pointer);
        }
    }
    return 0;
}
