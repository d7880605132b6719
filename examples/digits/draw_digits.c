/* draw_digits - draws hand-written looking digits and writes them as MNIST's four IDX files.
 *
 * In:  a folder, how many images, a seed. Out: train-images-idx3-ubyte, train-labels-idx1-ubyte and the two
 * t10k-... files, 28x28 grey images (ink is bright) and labels 0 .. 9, the digits in turn.
 * The same seed gives the same files; training and test images come from separate random streams.
 *
 * A digit is one of several written forms, each a path of lines and Bezier curves. Every image gets its own
 * hand: control points tremble, the whole is turned, sheared, stretched, bent by a slow wave and shifted, then
 * drawn with a pen of its own width as the distance to the path, so edges are smooth at no cost. Faint strokes,
 * specks and grain keep the task from being solved by templates. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SIDE 28
#define PIXELS (SIDE * SIDE)
#define CURVE_STEPS 12

typedef struct Glyph {
    int digit;
    const char *path; /* M: move, L: line, C: cubic curve; coordinates 0 .. 100, y downwards */
} Glyph;

/* Rows of one digit stand together. */
static const Glyph GLYPHS[] = {
    {0, "M50 5 C12 5 12 95 50 95 C88 95 88 5 50 5"},
    {0, "M62 8 C20 2 8 60 26 86 C46 106 88 76 82 40 C79 14 62 4 42 12"},
    {0, "M58 4 C30 10 20 50 28 80 C36 104 66 96 74 60 C80 28 76 2 54 6"},
    {1, "M50 4 L50 96"},
    {1, "M30 26 L54 5 L52 96"},
    {1, "M32 24 L52 6 L52 94 M28 95 L76 95"},
    {2, "M20 28 C22 -2 82 -2 78 30 C76 52 35 70 18 94 L84 94"},
    {2, "M22 25 C30 -2 82 2 75 35 C70 65 35 98 22 88 C12 74 42 70 56 86 C66 96 78 92 88 82"},
    {2, "M18 16 C40 0 78 4 74 32 C70 58 44 80 20 92 C40 84 62 98 86 88"},
    {3, "M22 15 C45 -4 82 8 76 30 C72 46 52 48 40 48 C60 48 84 54 80 74 C76 100 35 102 18 84"},
    {3, "M20 8 L78 8 L44 42 C76 38 90 60 78 80 C66 102 30 98 18 84"},
    {3, "M26 20 C34 0 74 2 72 26 C70 42 56 46 50 48 C40 52 44 44 52 46 C76 50 80 70 72 84 C60 100 36 98 24 88"},
    {4, "M32 6 L16 58 L84 58 M66 30 L62 96"},
    {4, "M62 96 L62 5 L14 66 L88 66"},
    {4, "M24 8 C20 30 16 48 24 52 C40 58 62 52 76 44 M78 6 C74 40 70 70 68 96"},
    {5, "M80 8 L30 8 L26 44 C50 32 86 42 80 70 C76 100 34 100 18 84"},
    {5, "M32 10 C30 25 28 35 26 48 C55 36 84 50 76 74 C70 100 34 98 20 86 M30 10 L82 6"},
    {5, "M76 12 C60 4 40 8 34 10 C24 40 34 46 50 46 C80 50 84 82 58 92 C44 98 30 94 22 86"},
    {6, "M70 8 C40 14 16 50 22 74 C28 106 80 98 78 68 C76 44 34 42 24 70"},
    {6, "M56 4 C34 30 20 56 24 76 C28 102 76 98 74 74 C74 52 40 50 26 74"},
    {6, "M76 16 C50 -2 20 40 24 72 C30 104 70 100 72 76 C72 56 44 56 30 78"},
    {7, "M16 8 L84 8 L42 96"},
    {7, "M16 12 C40 16 60 10 86 6 C66 36 52 64 46 96"},
    {7, "M18 9 L84 8 L40 96 M30 52 L76 50"},
    {8, "M72 18 C60 -2 20 6 26 28 C30 48 80 50 78 74 C76 102 20 102 24 74 C26 50 72 46 74 24 C75 20 74 20 72 18"},
    {8, "M50 5 C20 5 20 46 50 46 C80 46 80 5 50 5 M50 46 C10 46 10 96 50 96 C90 96 90 46 50 46"},
    {8, "M78 12 C40 2 18 18 36 36 C56 52 84 64 68 86 C52 104 22 90 34 70 C46 50 76 40 78 12"},
    {9, "M76 30 C70 0 20 4 24 32 C26 60 72 58 76 30 C78 60 74 80 66 96"},
    {9, "M74 28 C64 0 22 8 24 34 C26 60 66 56 74 28 L70 70 C68 98 40 100 24 88"},
    {9, "M72 12 C44 -2 20 20 28 40 C38 58 68 46 74 14 L62 96"},
};

typedef struct Random {
    uint64_t state;
} Random;

/* SplitMix64 (Steele, Lea, Flood 2014). */
static uint64_t random_bits(Random *r) {
    uint64_t z = (r->state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static double random_uniform(Random *r, double low, double high) {
    return low + (high - low) * ((double)(random_bits(r) >> 11) * 0x1p-53);
}

/* Near enough to a normal distribution, and never beyond 3.5 deviations. */
static double random_normal(Random *r, double deviation) {
    double sum = 0;
    for (int i = 0; i < 4; i++) sum += random_uniform(r, -1, 1);
    return sum * deviation * 0.866;
}

/* How one image is written: the affine map from the glyph's grid to pixels, a wave, and a pen. */
typedef struct Hand {
    double xx, xy, yx, yy, dx, dy;
    double wave, wave_rate, wave_phase;
    double tremble, pen, ink, grain;
} Hand;

static Hand hand_random(Random *r) {
    Hand h;
    double turn = random_normal(r, 0.21), shear = random_normal(r, 0.21);
    double size = random_uniform(r, 0.16, 0.225), width = size * random_uniform(r, 0.62, 1.05);
    h.xx = width * cos(turn);
    h.xy = width * (shear * cos(turn)) - size * sin(turn);
    h.yx = width * sin(turn);
    h.yy = width * (shear * sin(turn)) + size * cos(turn);
    h.dx = (SIDE - 1) / 2.0 + random_normal(r, 1);
    h.dy = (SIDE - 1) / 2.0 + random_normal(r, 1);
    h.wave = random_uniform(r, 0, 1.3);
    h.wave_rate = random_uniform(r, 0.1, 0.4);
    h.wave_phase = random_uniform(r, 0, 6.3);
    h.tremble = random_uniform(r, 2, 6);
    h.pen = random_uniform(r, 0.55, 1.75);
    h.ink = random_uniform(r, 0.65, 1);
    h.grain = random_uniform(r, 0, 0.07);
    return h;
}

typedef struct Point {
    double x, y;
} Point;

static Point hand_place(const Hand *h, Point p) {
    double gx = p.x - 50, gy = p.y - 50;
    Point q = {h->xx * gx + h->xy * gy + h->dx, h->yx * gx + h->yy * gy + h->dy};
    q.x += h->wave * sin(h->wave_rate * q.y + h->wave_phase);
    return q;
}

/* Distance from every pixel to the path so far. */
typedef struct Canvas {
    double distance[PIXELS];
} Canvas;

static int clamp(double v) { return v < 0 ? 0 : v > SIDE - 1 ? SIDE - 1 : (int)v; }

static void canvas_line(Canvas *c, Point a, Point b, double reach) {
    int x0 = clamp(fmin(a.x, b.x) - reach), x1 = clamp(fmax(a.x, b.x) + reach + 1);
    int y0 = clamp(fmin(a.y, b.y) - reach), y1 = clamp(fmax(a.y, b.y) + reach + 1);
    double ux = b.x - a.x, uy = b.y - a.y, length = ux * ux + uy * uy;
    for (int y = y0; y <= y1; y++) {
        for (int x = x0; x <= x1; x++) {
            double px = x - a.x, py = y - a.y;
            double t = length > 0 ? fmax(0, fmin(1, (px * ux + py * uy) / length)) : 0;
            double d = hypot(px - t * ux, py - t * uy);
            if (d < c->distance[y * SIDE + x]) c->distance[y * SIDE + x] = d;
        }
    }
}

static void canvas_curve(Canvas *c, const Hand *h, const Point p[4]) {
    Point from = hand_place(h, p[0]);
    for (int i = 1; i <= CURVE_STEPS; i++) {
        double t = (double)i / CURVE_STEPS, s = 1 - t;
        double w0 = s * s * s, w1 = 3 * s * s * t, w2 = 3 * s * t * t, w3 = t * t * t;
        Point on = {w0 * p[0].x + w1 * p[1].x + w2 * p[2].x + w3 * p[3].x,
                    w0 * p[0].y + w1 * p[1].y + w2 * p[2].y + w3 * p[3].y};
        Point to = hand_place(h, on);
        canvas_line(c, from, to, h->pen + 1);
        from = to;
    }
}

/* Reads one point of a path, trembling. */
static Point path_point(const char **s, const Hand *h, Random *r) {
    char *end;
    Point p;
    p.x = strtod(*s, &end) + random_normal(r, h->tremble);
    p.y = strtod(end, &end) + random_normal(r, h->tremble);
    *s = end;
    return p;
}

static void canvas_path(Canvas *c, const char *path, const Hand *h, Random *r) {
    Point p[4] = {{0, 0}};
    for (const char *s = path; *s;) {
        char command = *s++;
        if (command == ' ') continue;
        if (command == 'M') {
            p[0] = path_point(&s, h, r);
            continue;
        }
        int first = command == 'L' ? 3 : 1;
        for (int i = first; i < 4; i++) p[i] = path_point(&s, h, r);
        if (command == 'L') canvas_line(c, hand_place(h, p[0]), hand_place(h, p[3]), h->pen + 1);
        else canvas_curve(c, h, p);
        p[0] = p[3];
    }
}

/* A random written form of the digit. */
static const char *glyph_pick(int digit, Random *r) {
    int first = 0, count = 0;
    int glyphs = (int)(sizeof GLYPHS / sizeof GLYPHS[0]);
    for (int i = 0; i < glyphs; i++) {
        if (GLYPHS[i].digit != digit) continue;
        if (!count) first = i;
        count++;
    }
    return GLYPHS[first + (int)(random_bits(r) % (uint64_t)count)].path;
}

static void draw_digit(int digit, Random *r, unsigned char image[PIXELS]) {
    Canvas canvas;
    Hand hand = hand_random(r);
    for (int i = 0; i < PIXELS; i++) canvas.distance[i] = SIDE;
    canvas_path(&canvas, glyph_pick(digit, r), &hand, r);
    for (int specks = (int)random_uniform(r, 0, 2); specks > 0; specks--) {
        Point a = {random_uniform(r, 0, SIDE), random_uniform(r, 0, SIDE)};
        Point b = {a.x + random_normal(r, 1), a.y + random_normal(r, 1)};
        canvas_line(&canvas, a, b, hand.pen + 1);
    }
    for (int i = 0; i < PIXELS; i++) {
        double ink = hand.ink * fmax(0, fmin(1, hand.pen + 0.5 - canvas.distance[i]));
        ink += random_normal(r, hand.grain);
        image[i] = (unsigned char)(255 * fmax(0, fmin(1, ink)));
    }
}

static void put_u32(unsigned char *to, uint32_t v) {
    for (int i = 0; i < 4; i++) to[i] = (unsigned char)(v >> (24 - 8 * i));
}

/* Opens DIR/NAME and writes an IDX header of unsigned bytes with these dims. Null, with a message, on failure. */
static FILE *idx_create(const char *dir, const char *name, int rank, const uint32_t *dims) {
    unsigned char header[16] = {0, 0, 8, 0};
    char path[4096];
    if (snprintf(path, sizeof path, "%s/%s", dir, name) >= (int)sizeof path) path[0] = '\0';
    FILE *file = fopen(path, "wb");
    header[3] = (unsigned char)rank;
    for (int i = 0; i < rank; i++) put_u32(header + 4 + 4 * i, dims[i]);
    if (file && fwrite(header, 4 + 4 * (size_t)rank, 1, file) == 1) return file;
    fprintf(stderr, "draw_digits: cannot write %s/%s\n", dir, name);
    if (file) fclose(file);
    return NULL;
}

/* Writes one pair of files, `prefix` "train" or "t10k". Returns 0, or 1 after a message. */
static int write_set(const char *dir, const char *prefix, uint32_t count, uint64_t seed) {
    const uint32_t dims[3] = {count, SIDE, SIDE};
    char images_name[40], labels_name[40];
    snprintf(images_name, sizeof images_name, "%s-images-idx3-ubyte", prefix);
    snprintf(labels_name, sizeof labels_name, "%s-labels-idx1-ubyte", prefix);
    FILE *images = idx_create(dir, images_name, 3, dims);
    FILE *labels = images ? idx_create(dir, labels_name, 1, dims) : NULL;
    Random random = {seed};
    int good = labels != NULL;
    for (uint32_t i = 0; good && i < count; i++) {
        unsigned char image[PIXELS];
        draw_digit((int)(i % 10), &random, image);
        good = fwrite(image, PIXELS, 1, images) == 1 && fputc((int)(i % 10), labels) != EOF;
    }
    if (labels && fclose(labels)) good = 0;
    if (images && fclose(images)) good = 0;
    if (!good) fprintf(stderr, "draw_digits: could not write the %s images into %s\n", prefix, dir);
    return !good;
}

int main(int argc, char **argv) {
    uint32_t train = 60000, test = 10000;
    uint64_t seed = 1;
    int bad = argc < 2 || argc % 2 != 0;
    for (int i = 2; !bad && i < argc; i += 2) {
        if (!strcmp(argv[i], "--train")) train = (uint32_t)strtoul(argv[i + 1], NULL, 10);
        else if (!strcmp(argv[i], "--test")) test = (uint32_t)strtoul(argv[i + 1], NULL, 10);
        else if (!strcmp(argv[i], "--seed")) seed = strtoull(argv[i + 1], NULL, 10);
        else bad = 1;
    }
    if (bad) {
        fprintf(stderr, "usage: draw_digits FOLDER [--train N] [--test N] [--seed S]\n");
        return 2;
    }
    uint64_t test_seed = ~seed * 0x9e3779b97f4a7c15u;
    return write_set(argv[1], "train", train, seed) || write_set(argv[1], "t10k", test, test_seed);
}
