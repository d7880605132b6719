#!/usr/bin/env bash
# Sketches too large for the interpreter, as programs see them: the detector of tests/sketches trains and then finds what
# it was shown; a network's weights go by PyTorch's names; results say how large they are.
. "$(dirname "$0")/lib.sh"
cd "$work" || exit 1
sketches=$top/tests/sketches

# build NAME OPTIONS...: NAME.c with the object and header of model NAME.
build() {
    local name=$1
    shift
    check "$name compiles" "$dlcc" "$name.dl" "$@" -o "$name.o" -o "$name.h" &&
        check "$name links" cc -std=c11 -O2 -Wall -Wextra -Werror -I"$prefix/include" -I. "$name.c" "$name.o" \
            -L"$prefix/lib" -ldlrt -lpthread -lm -ldl -o "$name"
}

cp "$sketches/07_fpn.dl" fpn.dl
cat >fpn.c <<'C'
/* Squares of three colours on a dark ground, one or none in a picture. */
#include "fpn.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { B = 2, H = 120, W = 160, STEPS = 70, KEEP = 100 };

static float pictures[B][3][H][W], box[B][1][4];
static int32_t label[B][1], number[B];

static void draw(int picture, int kind, int x, int y, int size) {
    memset(pictures[picture], 0, sizeof pictures[picture]);
    number[picture] = kind >= 0;
    label[picture][0] = kind < 0 ? 0 : kind;
    for (int i = 0; i < 4; i++) box[picture][0][i] = (float)(i % 2 ? y : x) + (i > 1 ? (float)size : 0);
    for (int row = 0; kind >= 0 && row < size; row++)
        for (int column = 0; column < size; column++) pictures[picture][kind][y + row][x + column] = 1;
}

static float overlap(const float *a, const float *b) {
    float w = fminf(a[2], b[2]) - fmaxf(a[0], b[0]), h = fminf(a[3], b[3]) - fmaxf(a[1], b[1]);
    float inter = w > 0 && h > 0 ? w * h : 0;
    return inter / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - inter);
}

int main(void) {
    DlrtOptions options = {.threads = 2};
    DlrtModel *model;
    DlrtContext *context;
    float loss = 0, first = 0, none;
    int32_t positive = 0;
    DlrtStatus status = dlrt_open(&fpn_module, &options, &model);
    if (!status) status = dlrt_context_create(model, NULL, &context);
    if (status) return printf("open: %d\n", status), 1;
    draw(0, 1, 30, 40, 44);
    draw(1, 2, 90, 50, 36);
    for (int i = 0; i < STEPS && !status; i++) {
        status = fpn_train(context, B, 1, &pictures[0][0][0][0], &box[0][0][0], &label[0][0], number, 2e-4f, &loss, &positive);
        if (!i) first = loss;
    }
    printf("loss %s\n", loss < 0.2f * first ? "falls" : "stays");
    int64_t found = -1;
    int32_t count = -1, labels[KEEP];
    float boxes[KEEP][4], sure[KEEP];
    for (int p = 0; p < B && !status; p++) {
        status = fpn_detect(context, &pictures[p][0][0][0], &found, &count, &boxes[0][0], sure, labels);
        printf("%d: %s, label %d, overlap %s\n", p, found == count && found >= 1 && found <= KEEP ? "found" : "lost",
               labels[0], overlap(boxes[0], box[p][0]) > 0.5f ? "good" : "bad");
        for (int i = 1; i < count; i++)
            if (sure[i] > sure[i - 1]) printf("not in order\n");
    }
    /* No box in any picture: the dim is 0, and still there is a loss. */
    draw(0, -1, 0, 0, 0);
    draw(1, -1, 0, 0, 0);
    if (!status) status = fpn_train(context, B, 0, &pictures[0][0][0][0], NULL, NULL, number, 0, &none, &positive);
    printf("nothing: %s\n", none >= 0 && none < 1e6f ? "a loss" : "none");
    if (status) printf("status %d: %s\n", status, dlrt_message(context));
    dlrt_context_destroy(context);
    dlrt_close(model);
    return status;
}
C
if build fpn -D height=120 -D width=160 -D keep=100 -D channels=64; then
    check_status "the detector runs" 0 ./fpn
    check_equal "the detector finds what it was shown" "$output" "loss falls
0: found, label 1, overlap good
1: found, label 2, overlap good
nothing: a loss"
fi

cp "$sketches/14_names.dl" alex.dl
cat >alex.c <<'C'
/* A picture through the network, and its weights by the names that PyTorch gives them. */
#include "alex.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static float x[3 * 224 * 224], scores[1000], weights[64 * 3 * 11 * 11];

int main(void) {
    DlrtModel *model;
    DlrtContext *context;
    DlrtStatus status = dlrt_open(&alex_module, NULL, &model);
    if (!status) status = dlrt_context_create(model, NULL, &context);
    for (int i = 0; i < 3 * 224 * 224; i++) x[i] = sinf((float)i);
    if (!status) status = alex_predict(context, 1, x, scores);
    double before = 0, after = 0;
    for (int i = 0; i < 1000; i++) before += fabs(scores[i]);
    if (!status) status = dlrt_get(model, "features.0.weight", weights, sizeof weights);
    for (int i = 0; i < 64 * 3 * 11 * 11; i++) weights[i] *= -3;
    if (!status) status = dlrt_set(model, "features.0.weight", weights, sizeof weights);
    if (!status) status = alex_predict(context, 1, x, scores);
    for (int i = 0; i < 1000; i++) after += fabs(scores[i]);
    printf("%s, %s\n", before > 0 && before < 1e6 ? "scores" : "none", fabs(after - before) > 1e-4 * before ? "others" : "the same");
    if (status) printf("status %d\n", status);
    dlrt_context_destroy(context);
    dlrt_close(model);
    return status;
}
C
if build alex; then
    check_status "the network runs" 0 ./alex
    check_equal "and depends on its first weights" "$output" "scores, others"
fi

cp "$sketches/08_beam.dl" beam.dl
cat >beam.c <<'C'
/* The result's length comes back beside it; a null pointer does not want it. */
#include "beam.h"
#include <stdio.h>

int main(void) {
    DlrtModel *model;
    DlrtContext *context;
    int32_t source[3] = {1, 3, 4}, words[6] = {9, 9, 9, 9, 9, 9};
    int64_t length = 0;
    DlrtStatus status = dlrt_open(&beam_module, NULL, &model);
    if (!status) status = dlrt_context_create(model, NULL, &context);
    if (!status) status = beam_translate(context, 3, source, NULL, words);
    if (!status) status = beam_translate(context, 3, source, &length, words);
    int good = length >= 1 && length <= 6;
    for (int i = 0; i < 6; i++) good = good && (words[i] == 9) == (i >= length);
    printf("%s\n", good ? "as long as it says" : "of another length");
    dlrt_context_destroy(context);
    dlrt_close(model);
    return status;
}
C
if build beam; then
    check_status "beam search runs" 0 ./beam
    check_equal "a result's own length" "$output" "as long as it says"
fi
finish
