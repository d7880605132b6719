/* Sketches that go through sequences and trees: attention with a memory, LSTMs, beam search, TreeLSTM; each against
 * the same thing computed here or by the model in another way. */
#include "support.h"

#include <stdio.h>

static double sigmoid(double x) { return 1 / (1 + exp(-x)); }

/* y = x @ w.T + b; w[out, in], b may be null. */
static void affine(const Tensor *w, const Tensor *b, const double *x, double *y) {
    int64_t out = w->shape[0], in = w->shape[1];
    for (int64_t o = 0; o < out; o++) {
        y[o] = b ? b->at[o].f : 0;
        for (int64_t i = 0; i < in; i++) y[o] += w->at[o * in + i].f * x[i];
    }
}

/* --------------------------------------------------------------- attention */

static void memory_of_attention(void **state) {
    (void)state;
    enum { B = 3, T = 7, V = 65, FIRST = 4 };
    Sketch *s = sketch_open("02_attention.dl");
    Tensor *tok = sketch_ints(s, V, SHAPE(B, T)), *begin = sketch_ints(s, V, SHAPE(B, FIRST)),
           *one = sketch_ints(s, V, SHAPE(B));
    Tensor *all = sketch_copy(s, sketch_call(s, "scores", ARGS(tok)));
    for (int b = 0; b < B; b++)
        for (int t = 0; t < FIRST; t++) begin->at[b * FIRST + t] = tok->at[b * T + t];
    for (int t = FIRST - 1; t < T; t++) {
        for (int b = 0; b < B; b++) one->at[b] = tok->at[b * T + t];
        const Tensor *r = t < FIRST ? sketch_call(s, "prefill", ARGS(begin)) : sketch_call(s, "decode", ARGS(one));
        for (int b = 0; b < B; b++)
            for (int v = 0; v < V; v++)
                sketch_near("the memory's score", r->at[b * V + v].f, all->at[(b * T + t) * V + v].f, 1e-9);
        assert_int_equal(sketch_var(s, "pos")->at->i, t + 1);
    }
    Tensor *next = sketch_ints(s, V, SHAPE(B, T)), *lr = sketch_float(s, 3e-3);
    sketch_learns(s, "train", ARGS(tok, next, lr), 25, 0.5);
    sketch_close(s);
}

/* -------------------------------------------------------------------- LSTM */

enum { HIDDEN = 4, STEPS = 6, ROWS = 3 };

/* One direction of one layer over one row; y[STEPS][2 * HIDDEN] from column `at`. */
static void lstm(Sketch *s, const char *tag, int in, const double *x, int length, bool back, double *y, int at) {
    double h[HIDDEN] = {0}, c[HIDDEN] = {0}, a[4 * HIDDEN], b[4 * HIDDEN];
    char name[4][64];
    static const char *const parts[] = {"weight_ih", "bias_ih", "weight_hh", "bias_hh"};
    for (int i = 0; i < 4; i++) snprintf(name[i], sizeof name[i], "rnn.%s%s", parts[i], tag);
    for (int k = 0; k < length; k++) {
        int t = back ? length - 1 - k : k;
        affine(sketch_var(s, name[0]), sketch_var(s, name[1]), x + (size_t)t * (size_t)in, a);
        affine(sketch_var(s, name[2]), sketch_var(s, name[3]), h, b);
        for (int i = 0; i < HIDDEN; i++) {
            double g[4];
            for (int p = 0; p < 4; p++) g[p] = a[p * HIDDEN + i] + b[p * HIDDEN + i];
            c[i] = sigmoid(g[1]) * c[i] + sigmoid(g[0]) * tanh(g[2]);
            y[t * 2 * HIDDEN + at + i] = sigmoid(g[3]) * tanh(c[i]);
        }
        for (int i = 0; i < HIDDEN; i++) h[i] = y[t * 2 * HIDDEN + at + i];
    }
}

static void check_states(Sketch *s, const Tensor *x, const Tensor *lengths, const Tensor *r) {
    for (int b = 0; b < ROWS; b++) {
        double row[STEPS * 3], first[STEPS * 2 * HIDDEN] = {0}, second[STEPS * 2 * HIDDEN] = {0};
        int n = lengths ? (int)lengths->at[b].i : STEPS;
        for (int i = 0; i < STEPS * 3; i++) row[i] = x->at[b * STEPS * 3 + i].f;
        lstm(s, "_l0", 3, row, n, false, first, 0);
        lstm(s, "_l0_reverse", 3, row, n, true, first, HIDDEN);
        lstm(s, "_l1", 2 * HIDDEN, first, n, false, second, 0);
        lstm(s, "_l1_reverse", 2 * HIDDEN, first, n, true, second, HIDDEN);
        for (int i = 0; i < STEPS * 2 * HIDDEN; i++)
            sketch_near("a state", r->at[b * STEPS * 2 * HIDDEN + i].f, second[i], 1e-9);
    }
}

static void bidirectional(void **state) {
    (void)state;
    Sketch *s = sketch_open("03_bilstm.dl");
    Tensor *x = sketch_normal(s, SHAPE(ROWS, STEPS, 3)), *lengths = sketch_ints(s, STEPS, SHAPE(ROWS)),
           *y = sketch_ints(s, 3, SHAPE(ROWS, STEPS)), *lr = sketch_float(s, 0.02);
    lengths->at[0].i = STEPS, lengths->at[1].i = 1, lengths->at[2].i = 4;
    check_states(s, x, lengths, sketch_call(s, "states", ARGS(x, lengths)));
    check_states(s, x, NULL, sketch_call(s, "whole", ARGS(x)));
    sketch_learns(s, "train", ARGS(x, y, lengths, lr), 80, 0.4);
    sketch_close(s);
}

/* ------------------------------------------------------------- beam search */

enum { WORDS = 7, BEAM = 5, LONGEST = 6, END = 2 };

typedef struct Beam {
    int64_t words[LONGEST];
    double score;
    bool done;
} Beam;

/* Scores of what may follow: only the end, at no cost, behind an end. */
static void follow(Sketch *s, Tensor *src, const Beam *b, int n, double *to) {
    Tensor *prefix = sketch_ints(s, 1, SHAPE(n));
    for (int i = 0; i < n; i++) prefix->at[i].i = b->words[i];
    const Tensor *r = sketch_call(s, "follows", ARGS(src, prefix));
    for (int v = 0; v < WORDS; v++) to[v] = b->score + (!b->done ? r->at[v].f : v == END ? 0 : -1e30);
}

static void best_of(const double *scores, const Beam *from, int n, Beam *to) {
    bool taken[BEAM * WORDS] = {false};
    for (int k = 0; k < BEAM; k++) {
        int best = -1;
        for (int i = 0; i < BEAM * WORDS; i++)
            if (!taken[i] && (best < 0 || scores[i] > scores[best])) best = i;
        taken[best] = true;
        to[k] = from[best / WORDS];
        to[k].words[n] = best % WORDS;
        to[k].score = scores[best];
        to[k].done = to[k].done || best % WORDS == END;
    }
}

/* The same search here, by scores that need no memory. */
static int search(Sketch *s, Tensor *src, Beam *best) {
    Beam beams[BEAM] = {0}, next[BEAM];
    int n = 1, done = 0;
    for (int k = 1; k < BEAM; k++) beams[k].score = -1e30;
    while (n < LONGEST && done < BEAM) {
        double scores[BEAM * WORDS];
        for (int k = 0; k < BEAM; k++) follow(s, src, &beams[k], n, scores + k * WORDS);
        best_of(scores, beams, n, next);
        memcpy(beams, next, sizeof next);
        done = 0;
        for (int k = 0; k < BEAM; k++) done += beams[k].done;
        n++;
    }
    *best = beams[0];
    for (int k = 1; k < BEAM; k++)
        if (beams[k].score > best->score) *best = beams[k];
    return n;
}

static void beam_search(void **state) {
    (void)state;
    bool ended_early = false;
    Sketch *s = sketch_open("08_beam.dl");
    for (int round = 0; round < 12; round++) {
        Tensor *src = sketch_ints(s, WORDS, SHAPE(1, 1 + round % 5));
        Beam best;
        int n = search(s, src, &best);
        const Tensor *r = sketch_call(s, "translate", ARGS(src));
        assert_int_equal(r->count, n);
        for (int i = 0; i < n; i++) assert_int_equal(r->at[i].i, best.words[i]);
        ended_early = ended_early || n < LONGEST;
        if (round % 3 == 2) assert_true(interp_init(s->in, round));
    }
    assert_true(ended_early);
    sketch_close(s);
}

/* -------------------------------------------------------------------- tree */

enum { NODES = 7, D = 6 };

static void node_state(Sketch *s, const Tensor *word, const Tensor *left, const Tensor *right, int64_t at, double *h,
                       double *c) {
    double hl[D] = {0}, cl[D] = {0}, hr[D] = {0}, cr[D] = {0}, both[D], x[D], wx[4 * D], u[3 * D], fl[D], fr[D];
    if (left->at[at].i >= 0) node_state(s, word, left, right, left->at[at].i, hl, cl);
    if (right->at[at].i >= 0) node_state(s, word, left, right, right->at[at].i, hr, cr);
    int64_t w = word->at[at].i > 0 ? word->at[at].i : 0;
    for (int i = 0; i < D; i++) {
        x[i] = sketch_var(s, "emb.weight")->at[w * D + i].f;
        both[i] = hl[i] + hr[i];
    }
    affine(sketch_var(s, "cell.w.weight"), sketch_var(s, "cell.w.bias"), x, wx);
    affine(sketch_var(s, "cell.u_iou.weight"), NULL, both, u);
    affine(sketch_var(s, "cell.u_f.weight"), NULL, hl, fl);
    affine(sketch_var(s, "cell.u_f.weight"), NULL, hr, fr);
    for (int i = 0; i < D; i++) {
        c[i] = sigmoid(wx[i] + u[i]) * tanh(wx[2 * D + i] + u[2 * D + i]) + sigmoid(wx[3 * D + i] + fl[i]) * cl[i] +
               sigmoid(wx[3 * D + i] + fr[i]) * cr[i];
        h[i] = sigmoid(wx[D + i] + u[D + i]) * tanh(c[i]);
    }
}

/* Children before parents; a leaf has the child -1, an inner node no word. */
static void draw_trees(Tensor *word, Tensor *left, Tensor *right, int trees) {
    static const int64_t l[2][NODES] = {{-1, -1, 0, -1, -1, 3, 2}, {-1, -1, -1, 1, 0, -1, 4}},
                         r[2][NODES] = {{-1, -1, 1, -1, -1, 4, 5}, {-1, -1, -1, 2, 3, -1, 5}};
    for (int b = 0; b < trees; b++)
        for (int i = 0; i < NODES; i++) {
            left->at[b * NODES + i].i = l[b % 2][i];
            right->at[b * NODES + i].i = r[b % 2][i];
            if (l[b % 2][i] >= 0) word->at[b * NODES + i].i = -1;
        }
}

static void tree(void **state) {
    (void)state;
    enum { B = 4 };
    Sketch *s = sketch_open("15_tree.dl");
    Tensor *word = sketch_ints(s, 20, SHAPE(B, NODES)), *left = sketch_ints(s, 1, SHAPE(B, NODES)),
           *right = sketch_ints(s, 1, SHAPE(B, NODES)), *nodes = sketch_ints(s, 1, SHAPE(B)),
           *y = sketch_ints(s, 5, SHAPE(B)), *lr = sketch_float(s, 0.02);
    draw_trees(word, left, right, B);
    for (int b = 0; b < B; b++) nodes->at[b].i = NODES;
    const Tensor *r = sketch_call(s, "states", ARGS(word, left, right));
    for (int b = 0; b < B; b++)
        for (int i = 0; i < NODES; i++) {
            double h[D], c[D];
            Tensor w = *word, l = *left, k = *right;
            w.at += b * NODES, l.at += b * NODES, k.at += b * NODES;
            node_state(s, &w, &l, &k, i, h, c);
            for (int d = 0; d < D; d++) sketch_near("a node", r->at[(b * NODES + i) * D + d].f, h[d], 1e-9);
        }
    sketch_learns(s, "train", ARGS(word, left, right, nodes, y, lr), 60, 0.4);
    sketch_close(s);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_of_attention), cmocka_unit_test(bidirectional), cmocka_unit_test(beam_search),
        cmocka_unit_test(tree),
    };
    if (argc > 1) sketch_folder = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
