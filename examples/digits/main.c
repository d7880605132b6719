/* Trains the digit classifier and reads the test images, all through the functions that dlcc compiled.
 * Usage: digits FOLDER, where MNIST's four IDX files lie unpacked, as draw_digits writes them. */
#include "digits.h"
#include <stdio.h>

enum { BATCH = 128, PIXELS = 784, TRAIN_MAX = 60000, TEST_MAX = 10000, EPOCHS = 3 };

static unsigned char train_images[TRAIN_MAX][PIXELS], train_labels[TRAIN_MAX];
static unsigned char test_images[TEST_MAX][PIXELS], test_labels[TEST_MAX];
static float x[BATCH][PIXELS], prob[BATCH][10], loss;
static int32_t y[BATCH], label[BATCH], correct;

/* Reads up to `max` items of `size` bytes behind the file's header. Returns how many. */
static long read_items(const char *dir, const char *name, long header, void *to, size_t size, size_t max) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *file = fopen(path, "rb");
    size_t count = file && !fseek(file, header, SEEK_SET) ? fread(to, size, max, file) : 0;
    if (file) fclose(file);
    if (!count) fprintf(stderr, "cannot read %s\n", path);
    return (long)count;
}

static void fill_batch(unsigned char (*images)[PIXELS], const unsigned char *labels) {
    for (int i = 0; i < BATCH; i++) {
        y[i] = labels[i];
        for (int p = 0; p < PIXELS; p++) x[i][p] = (float)images[i][p] / 255;
    }
}

int main(int argc, char **argv) {
    const char *dir = argc > 1 ? argv[1] : ".";
    long trained = read_items(dir, "train-images-idx3-ubyte", 16, train_images, PIXELS, TRAIN_MAX);
    long tested = read_items(dir, "t10k-images-idx3-ubyte", 16, test_images, PIXELS, TEST_MAX);
    if (read_items(dir, "train-labels-idx1-ubyte", 8, train_labels, 1, TRAIN_MAX) != trained || trained < BATCH) return 1;
    if (read_items(dir, "t10k-labels-idx1-ubyte", 8, test_labels, 1, TEST_MAX) != tested || tested < BATCH) return 1;
    DlrtModel *model = NULL;
    DlrtContext *context = NULL;
    long seen = 0, right = 0;
    DlrtStatus status = dlrt_open(&digits_module, NULL, &model);
    if (!status) status = dlrt_context_create(model, NULL, &context);
    for (int epoch = 1; !status && epoch <= EPOCHS; epoch++) {
        for (long at = 0; !status && at + BATCH <= trained; at += BATCH) {
            fill_batch(train_images + at, train_labels + at);
            status = digits_train(context, BATCH, &x[0][0], y, 1e-3f, &loss, &correct);
        }
        printf("epoch %d: loss %.4f, %d of %d right in the last batch\n", epoch, (double)loss, correct, BATCH);
    }
    for (; !status && seen + BATCH <= tested; seen += BATCH) {
        fill_batch(test_images + seen, test_labels + seen);
        status = digits_predict(context, BATCH, &x[0][0], label, &prob[0][0]);
        for (int i = 0; i < BATCH; i++) right += label[i] == y[i];
    }
    if (status) fprintf(stderr, "%s: %s\n", dlrt_status_text(model, status), dlrt_message(context));
    else printf("%ld of %ld test images read right: %.2f %%\n", right, seen, 100.0 * (double)right / (double)seen);
    dlrt_context_destroy(context);
    dlrt_close(model);
    return status != DLRT_OK;
}
