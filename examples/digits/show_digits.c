/* show_digits - reads a few test images with a trained model and shows them as pictures in the terminal.
 *
 * In:  a weights file (dlrun train --save), MNIST's two test files (unpacked), how many to show.
 * Out: rows of pictures, each with what the model reads and how sure it is; then some it gets wrong.
 * Two pixels share a character cell (a half block), so that they come out square. On a colour terminal they are
 * grey values, otherwise ink or no ink; where the locale is not UTF-8, a ramp of ASCII characters. */
#include "digits.h"
#include <langinfo.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SIDE = 28, PIXELS = SIDE * SIDE, BATCH = 128, MARGIN = 2, SHOWN = SIDE - 2 * MARGIN, IN_A_ROW = 3 };

typedef enum Style { STYLE_ASCII, STYLE_BLOCKS, STYLE_GREYS } Style;

typedef struct Digit {
    unsigned char image[PIXELS];
    int truth, label;
    float sure;
} Digit;

static Style style_of_terminal(void) {
    const char *term = getenv("TERM");
    setlocale(LC_CTYPE, "");
    if (strcmp(nl_langinfo(CODESET), "UTF-8") != 0) return STYLE_ASCII;
    return isatty(STDOUT_FILENO) && term && strcmp(term, "dumb") != 0 && !getenv("NO_COLOR") ? STYLE_GREYS : STYLE_BLOCKS;
}

/* One cell: two pixels above each other. */
static void print_cell(Style style, int upper, int lower) {
    static const char *const blocks[4] = {" ", "\u2584", "\u2580", "\u2588"};
    if (style == STYLE_GREYS) printf("\033[38;5;%d;48;5;%dm\u2580", 232 + upper * 23 / 255, 232 + lower * 23 / 255);
    else if (style == STYLE_BLOCKS) fputs(blocks[(upper > 95) * 2 + (lower > 95)], stdout);
    else putchar(" .:-=+*#%@"[(upper + lower) * 9 / 510]);
}

static void print_row(Style style, const Digit *digits, int count) {
    for (int y = MARGIN; y < SIDE - MARGIN; y += 2) {
        for (int i = 0; i < count; i++) {
            const unsigned char *pixel = digits[i].image + y * SIDE;
            for (int x = MARGIN; x < SIDE - MARGIN; x++) print_cell(style, pixel[x], pixel[SIDE + x]);
            fputs(style == STYLE_GREYS ? "\033[0m  " : "  ", stdout);
        }
        putchar('\n');
    }
    for (int i = 0; i < count; i++) {
        char caption[40], truth[16] = "";
        if (digits[i].label != digits[i].truth) snprintf(truth, sizeof truth, ", but is %d", digits[i].truth);
        snprintf(caption, sizeof caption, "%d (%.1f %%)%s", digits[i].label, 100.0 * (double)digits[i].sure, truth);
        printf("%-*s", SHOWN + 2, caption);
    }
    fputs("\n\n", stdout);
}

static void print_digits(Style style, const Digit *digits, int count) {
    for (int i = 0; i < count; i += IN_A_ROW) print_row(style, digits + i, count - i < IN_A_ROW ? count - i : IN_A_ROW);
}

/* Reads the next batch of both files into `digits` and has the model read it. Returns how many, 0 at the end,
 * -1 after a message. */
static int read_batch(DlrtContext *context, FILE *images, FILE *labels, Digit digits[BATCH]) {
    static float x[BATCH * PIXELS], prob[BATCH * 10];
    int32_t label[BATCH];
    int count = 0, truth;
    while (count < BATCH && fread(digits[count].image, PIXELS, 1, images) == 1 && (truth = fgetc(labels)) != EOF) {
        for (int p = 0; p < PIXELS; p++) x[count * PIXELS + p] = (float)digits[count].image[p] / 255;
        digits[count++].truth = truth;
    }
    if (count == 0) return 0;
    if (digits_predict(context, count, x, label, prob) != DLRT_OK) {
        fprintf(stderr, "show_digits: %s\n", dlrt_message(context));
        return -1;
    }
    for (int i = 0; i < count; i++) {
        digits[i].label = label[i];
        digits[i].sure = prob[i * 10 + label[i]];
    }
    return count;
}

/* Goes through the test images; shows the first `wanted` and as many wrong ones at most. Returns 0 on success. */
static int show(DlrtContext *context, FILE *images, FILE *labels, int wanted) {
    static Digit batch[BATCH], first[BATCH], wrong[BATCH];
    int firsts = 0, wrongs = 0, count;
    Style style = style_of_terminal();
    while ((count = read_batch(context, images, labels, batch)) > 0) {
        for (int i = 0; i < count; i++) {
            if (firsts < wanted) first[firsts++] = batch[i];
            else if (wrongs < wanted && batch[i].label != batch[i].truth) wrong[wrongs++] = batch[i];
        }
    }
    print_digits(style, first, firsts);
    if (wrongs) puts("Some that it misreads:\n");
    print_digits(style, wrong, wrongs);
    return count < 0 || firsts == 0;
}

/* Opens DIR/NAME behind its header. Null, after a message, if it cannot. */
static FILE *open_idx(const char *dir, const char *name, long header) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *file = fopen(path, "rb");
    if (file && !fseek(file, header, SEEK_SET)) return file;
    fprintf(stderr, "show_digits: cannot read %s\n", path);
    return NULL;
}

int main(int argc, char **argv) {
    int wanted = argc > 3 ? atoi(argv[3]) : IN_A_ROW;
    if (argc < 3 || wanted < 1 || wanted > BATCH) {
        fprintf(stderr, "usage: show_digits WEIGHTS.safetensors FOLDER [HOW_MANY]\n");
        return 2;
    }
    FILE *images = open_idx(argv[2], "t10k-images-idx3-ubyte", 16);
    FILE *labels = open_idx(argv[2], "t10k-labels-idx1-ubyte", 8);
    DlrtModel *model = NULL;
    DlrtContext *context = NULL;
    int failed = !images || !labels;
    DlrtStatus status = dlrt_open(&digits_module, NULL, &model);
    if (!status) status = dlrt_load(model, argv[1]);
    if (!status) status = dlrt_context_create(model, NULL, &context);
    if (status) fprintf(stderr, "show_digits: %s: %s\n", argv[1], dlrt_model_message(model));
    failed = failed || status || show(context, images, labels, wanted);
    dlrt_context_destroy(context);
    dlrt_close(model);
    return failed;
}
