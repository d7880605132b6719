/* smoke.c - the runtime in one small program without a test library, for cross-compiled builds: trains on one and
 * on three threads, saves, resumes, and prints a checksum of the result. Exit code 0 if all is well. */
#include "fake_model.h"
#include "core.h"
#include <stdio.h>
#include <string.h>

static int train(DlrtContext *c, int from, int to) {
    float x[8][4], rate = 0.1f, loss = 0;
    int32_t y[8], correct;
    void *args[] = {x, y, &rate}, *results[] = {&loss, &correct};
    for (int n = from; n < to; n++) {
        for (int b = 0; b < 8; b++) {
            y[b] = (b + n) % 3;
            for (int i = 0; i < 4; i++) x[b][i] = (float)((b * 7 + i * 3 + n * 5) % 11) / 11;
        }
        if (fake_invoke(c, FAKE_TRAIN, args, results, (int64_t[]){8})) return 1;
    }
    return 0;
}

static int run(int threads, const char *path, float *weight) {
    DlrtModel *m = NULL, *n = NULL;
    DlrtContext *c = NULL, *d = NULL;
    DlrtOptions options = {.seed = 3, .threads = threads};
    int bad = dlrt_open(&fake_module, &options, &m) || dlrt_context_create(m, NULL, &c) || train(c, 0, 20) ||
              dlrt_checkpoint(c, path, NULL);
    options.seed = 4;
    bad = bad || dlrt_open(&fake_module, &options, &n) || dlrt_context_create(n, NULL, &d) ||
          dlrt_resume(d, path, NULL) || train(d, 20, 30) || dlrt_get(n, "fc.weight", weight, 48);
    if (bad) fprintf(stderr, "%s | %s\n", dlrt_message(c), dlrt_message(d));
    dlrt_context_destroy(c);
    dlrt_context_destroy(d);
    dlrt_close(m);
    dlrt_close(n);
    return bad;
}

int main(int argc, char **argv) {
    const char *path = argc > 1 ? argv[1] : "smoke.safetensors";
    float one[12], three[12];
    DlrtModel *m;
    char message[200];
    DlrtOptions options = {.message = message, .message_bytes = sizeof message};
    if (run(1, path, one) || run(3, path, three) || memcmp(one, three, sizeof one)) return 1;
    if (dlrt_open(&fake_foreign_module, &options, &m) != DLRT_ERR_CPU) return 2;
    printf("%016llx, features %llx: %s\n", (unsigned long long)dlrt_checksum(one, sizeof one, 0),
           (unsigned long long)dlrt_cpu_features(), message);
    return 0;
}
