/* Statements of layers: matrix products, convolutions, windows, norms, attention, graphs. */
#include "author.h"

static int last(const Known *k) {
    return k->shape[k->rank - 1].low;
}

static void linear(Author *a) {
    Known x, y;
    if (!choose(a, is_f32_row, &x)) return;
    int out = 1 + below(a, 20), m = a->member_count;
    y = x;
    y.shape[y.rank - 1] = size_of(a, out);
    if (!is_small(&y)) return;
    switch (below(a, 4)) {
    case 0: learn(a, "let m%d = WeightNormLinear(%d, %d)", m, last(&x), out); break;
    case 1:
        learn(a, "param m%d: num[%d, %d] = uniform(-0.7, 0.7)", m, last(&x), out);
        let(a, y, "v%d @ m%d", x.number, m);
        return;
    default: learn(a, "let m%d = Linear(%d, %d, bias = %s)", m, last(&x), out, chance(a, 2) ? "true" : "false");
    }
    let(a, y, "m%d(v%d)%s", m, x.number, chance(a, 2) ? " / 2" : "");
}

static void bilinear(Author *a) {
    Known x, y;
    if (!choose(a, is_f32_row, &x)) return;
    y = partner(a, x);
    int out = 1 + below(a, 6), m = learn(a, "let m%d = Bilinear(%d, %d, %d)", a->member_count, last(&x), last(&y), out);
    Known z = x;
    z.shape[z.rank - 1] = size_of(a, out);
    let(a, z, "m%d(v%d, v%d) / 2", m, x.number, y.number);
}

/* Norms along the last dim, and by channels. */
static void norm(Author *a) {
    static const char *const norms[] = {"let m%d = LayerNorm(%d, eps = 0.125)", "let m%d = RMSNorm(%d, eps = 0.125)"};
    Known x;
    if (!choose(a, is_f32_row, &x)) return;
    int m = learn(a, PICK(a, norms), a->member_count, last(&x));
    let(a, x, "m%d(v%d)", m, x.number);
}

static bool has_channels(const Known *k) {
    return is_f32_matrix(k) && size_fixed(k->shape[1]) && k->shape[0].low > 0;
}

static void channel_norm(Author *a) {
    Known x;
    if (!choose(a, has_channels, &x)) return;
    for (int i = 2; i < x.rank; i++)
        if (!x.shape[i].low) return;
    int channels = x.shape[1].low, m = a->member_count;
    switch (below(a, x.rank > 2 ? 5 : 3)) {
    case 0: learn(a, "let m%d = BatchNorm(%d, eps = 0.125)", m, channels); break;
    case 1: learn(a, "let m%d = GroupNorm(%d, %d, eps = 0.125)", m, channels % 2 ? 1 : 2, channels); break;
    case 2: learn(a, "let m%d = PReLU(%d)", m, chance(a, 2) ? 1 : channels); break;
    case 3: learn(a, "let m%d = InstanceNorm(%d, eps = 0.125, affine = true)", m, channels); break;
    default: learn(a, "let m%d = BatchNorm(%d, eps = 0.125, momentum = none)", m, channels);
    }
    let(a, x, "m%d(v%d)", m, x.number);
}

static void matmul(Author *a) {
    Known x, y, z;
    if (!choose(a, is_f32_matrix, &x)) return;
    for (int i = 0; i < 24; i++) {
        if (!choose(a, is_f32_matrix, &y)) return;
        bool batch = x.rank == y.rank;
        for (int k = 0; batch && k + 2 < x.rank; k++) batch = size_equal(x.shape[k], y.shape[k]);
        if (!batch && y.rank != 2) continue;
        bool turned = batch && size_equal(x.shape[x.rank - 1], y.shape[y.rank - 1]);
        if (!turned && !size_equal(x.shape[x.rank - 1], y.shape[y.rank - 2])) continue;
        z = x;
        z.shape[z.rank - 1] = y.shape[y.rank - (turned ? 2 : 1)];
        if (is_small(&z)) let(a, z, "tanh(v%d) @ tanh(v%d)%s / 4", x.number, y.number, turned ? ".T" : "");
        return;
    }
}

/* -------------------------------------------------------------- convolution and windows */

static bool is_rows(const Known *k) {
    return is_f32_row(k) && k->rank == 2 && k->shape[0].low > 0;
}

/* Rows made into [rows, channels, sizes..] by a product and a reshape. */
static bool make_field(Author *a, Known *x, int spatial) {
    if (!choose(a, is_rows, x)) return false;
    int channels = PICK(a, ((int[]){1, 2, 3, 4, 6})), count = channels;
    Known y = *x;
    y.shape[1] = size_of(a, channels);
    for (int i = 0; i < spatial; i++) {
        int size = spatial > 2 ? 2 + below(a, 3) : 3 + below(a, spatial > 1 ? 4 : 10);
        insert_dim(&y, 2 + i, size_of(a, size));
        count *= size;
    }
    int m = learn(a, "param m%d: num[%d, %d] = uniform(-0.7, 0.7)", a->member_count, last(x), count);
    *x = *let(a, y, "reshape(v%d @ m%d, [%s])", x->number, m, shape_text(a, &y));
    return true;
}

static bool is_field(const Known *k) {
    bool field = is_f32(k) && k->rank > 2 && k->rank < 5 && k->shape[0].low > 0;
    for (int i = 1; field && i < k->rank; i++) field = size_fixed(k->shape[i]);
    return field;
}

static bool choose_field(Author *a, Known *x) {
    if (!chance(a, 3) && choose(a, is_field, x)) return true;
    return make_field(a, x, 1 + below(a, 3));
}

typedef struct Convolution {
    int size, stride, low, high, dilation, spread, out;
} Convolution;

/* Along one dim of n elements, so that something comes out. */
static Convolution draw_convolution(Author *a, int n) {
    for (int tries = 0; tries < 40; tries++) {
        Convolution c = {1 + below(a, 4), 1 + below(a, 3), below(a, 4) - 1, below(a, 3), 1 + below(a, 2), 1, 0};
        if (chance(a, 4)) c.spread = 2;
        int whole = (n - 1) * c.spread + 1 + c.low + c.high - c.dilation * (c.size - 1);
        if (whole < 1 || n + c.low < 1) continue;
        c.out = (whole - 1) / c.stride + 1;
        return c;
    }
    return (Convolution){1, 1, 0, 0, 1, 1, n};
}

static void convolution(Author *a) {
    Known x, y;
    if (!choose_field(a, &x)) return;
    int channels = x.shape[1].low, groups = chance(a, 3) ? channels : channels % 2 == 0 && chance(a, 2) ? 2 : 1;
    int out = groups * (1 + below(a, 3)), m = a->member_count;
    Text kernel = text_new(a->arena), list[4];
    for (int i = 0; i < 4; i++) list[i] = text_new(a->arena);
    y = x;
    y.shape[1] = size_of(a, out);
    for (int i = 2; i < x.rank; i++) {
        Convolution c = draw_convolution(a, x.shape[i].low);
        const char *comma = i > 2 ? ", " : "";
        y.shape[i] = size_of(a, c.out);
        text_add(&kernel, ", %d", c.size);
        text_add(&list[0], "%s%d", comma, c.stride);
        text_add(&list[1], "%s[%d, %d]", comma, c.low, c.high);
        text_add(&list[2], "%s%d", comma, c.dilation);
        text_add(&list[3], "%s%d", comma, c.spread);
    }
    if (!is_small(&y)) return;
    learn(a, "param m%d: num[%d, %d%s] = uniform(-0.5, 0.5)", m, out, channels / groups, text_get(&kernel));
    let(a, y, "conv(v%d, m%d, stride = [%s], padding = [%s], dilation = [%s], groups = %d, input_dilation = [%s])%s",
        x.number, m, text_get(&list[0]), text_get(&list[1]), text_get(&list[2]), groups, text_get(&list[3]),
        chance(a, 2) ? " / 2" : "");
}

/* Reductions over windows along one dim, and what overlapping windows add up to. */
static void windows(Author *a) {
    static const char *const forms[] = {"mean(%s, axis = -1)", "sum(sin(%s), axis = -1) / 4",
                                        "max(%s, axis = [-1], first = true)",
                                        "min(tanh(%s), axis = [-1], first = true)"};
    Known x, y;
    if (!choose(a, is_f32_ranked, &x)) return;
    int axis = below(a, x.rank), n = x.shape[axis].low, size = 1 + below(a, 3), stride = 1 + below(a, 2);
    int dilation = 1 + below(a, 2), wide = (size - 1) * dilation + 1;
    if (n < wide) return;
    const char *text =
        print(a, "windows(v%d, %d, %d, stride = %d, dilation = %d)", x.number, axis, size, stride, dilation);
    y = x;
    if (chance(a, 3)) {
        let(a, x, "overlap_add(cos(%s), %d, %s, stride = %d, dilation = %d) / 2", text, axis, x.shape[axis].text,
            stride, dilation);
        return;
    }
    if (size_fixed(x.shape[axis]))
        y.shape[axis] = size_of(a, (n - wide) / stride + 1);
    else if (stride == 1)
        y.shape[axis] = size_sum(a, x.shape[axis], 1 - wide);
    else
        y.shape[axis] = (Size){print(a, "dims(v%d)[%d]", a->values.n, axis), (n - wide) / stride + 1,
                               (x.shape[axis].high - wide) / stride + 1, x.shape[axis].late};
    let(a, y, print(a, PICK(a, forms), text), 0);
}

/* Convolution and pooling as the library has them. */
static void library_convolution(Author *a) {
    static const char *const modes[] = {"zeros", "reflect", "replicate", "circular"};
    Known x, y;
    if (!choose_field(a, &x)) return;
    int n = x.rank - 2, channels = x.shape[1].low, m = a->member_count, out = channels * (1 + below(a, 2));
    y = x;
    y.shape[1] = size_of(a, out);
    for (int i = 2; i < x.rank; i++)
        if (x.shape[i].low < 3) return;
    switch (below(a, n == 2 ? 3 : 2)) {
    case 0:
        learn(a, "let m%d = Conv%dd(%d, %d, 3, padding = 1, groups = %d, padding_mode = \"%s\")", m, n, channels, out,
              chance(a, 2) ? channels : 1, PICK(a, modes));
        break;
    case 1:
        learn(a, "let m%d = ConvTranspose%dd(%d, %d, 2, stride = 2, groups = %d)", m, n, channels, out,
              chance(a, 2) ? channels : 1);
        for (int i = 2; i < x.rank; i++) y.shape[i] = size_of(a, 2 * x.shape[i].low);
        break;
    default: learn(a, "let m%d = SeparableConv2d(%d, %d, 3, padding = \"same\")", m, channels, out);
    }
    if (is_small(&y)) let(a, y, "m%d(v%d)", m, x.number);
}

static void pooled(Author *a) {
    static const char *const forms[] = {"max_pool(v%d, 2, padding = 1, stride = 2)",
                                        "avg_pool(v%d, 2, padding = 1, stride = 2)",
                                        "avg_pool(v%d, 3, padding = 1, stride = 2, count_include_pad = false)"};
    Known x, y;
    if (!choose_field(a, &x)) return;
    y = x;
    int way = below(a, 6), form = below(a, 3), size = form == 2 ? 3 : 2;
    if (way == 0) {
        y.rank = 2;
        let(a, y, "global_avg_pool(v%d)", x.number);
        return;
    }
    for (int i = 2; i < x.rank; i++) {
        if (x.shape[i].low < 3) return;
        int up = 2 * x.shape[i].low, down = (x.shape[i].low + 2 - size) / 2 + 1;
        y.shape[i] = size_of(a, way == 1 ? 2 : way == 2 ? up : down);
    }
    if (!is_small(&y)) return;
    if (way == 1)
        let(a, y, "adaptive_%s_pool(v%d, 2)", chance(a, 2) ? "avg" : "max", x.number);
    else if (way == 2)
        let(a, y, "interpolate(v%d, scale_factor = 2, mode = \"%s\")", x.number,
            x.rank == 3 && chance(a, 2)   ? "linear"
            : x.rank == 4 && chance(a, 2) ? "bicubic"
                                          : "nearest");
    else
        let(a, y, forms[form], x.number);
}

/* ---------------------------------------------------------------- attention and graphs */

static bool is_sequence(const Known *k) {
    return is_f32_row(k) && k->rank == 3 && k->shape[0].low > 0 && k->shape[1].low > 0;
}

static bool make_sequence(Author *a, Known *x) {
    int width = 4 + 4 * below(a, 2);
    if (!choose(a, is_sequence, x)) return false;
    Known y = *x;
    y.shape[2] = size_of(a, width);
    int m = learn(a, "let m%d = Linear(%d, %d)", a->member_count, last(x), width);
    *x = *let(a, y, "m%d(v%d)", m, x->number);
    return true;
}

static void attention(Author *a) {
    Known x;
    if (!make_sequence(a, &x)) return;
    int width = last(&x), m = a->member_count;
    const char *causal = chance(a, 2) ? "true" : "false";
    switch (below(a, 5)) {
    case 0:
        let(a, x, "sdpa(v%d, sin(v%d), cos(v%d), causal = %s, offset = v%d)", x.number, x.number, x.number, causal,
            a->at);
        return;
    case 1: let(a, x, "rotary(v%d, offset = v%d, interleaved = %s)", x.number, a->at, causal); return;
    case 2:
        learn(a,
              "let m%d = TransformerEncoderLayer(%d, 2, 6, 0.25, activation = gelu, layer_norm_eps = 0.125, norm_first "
              "= %s)",
              m, width, causal);
        let(a, x, "m%d(v%d)", m, x.number);
        return;
    case 3:
        learn(a, "let m%d = MultiheadAttention(%d, 4, kv_heads = 2)", m, width);
        let(a, x, "m%d(v%d, causal = %s)", m, x.number, causal);
        return;
    default:
        learn(a, "let m%d = MultiheadAttention(%d, 2, dropout = 0.25)", m, width);
        let(a, x, "m%d(v%d, attn_mask = none)", m, x.number);
    }
}

static bool is_nodes(const Known *k) {
    return is_f32_row(k) && k->rank == 2 && size_fixed(k->shape[0]);
}

/* Recurrent layers, with lengths and in both directions. */
static void recurrent(Author *a) {
    static const char *const kinds[] = {"RNN", "GRU", "LSTM"};
    Known x, out[3];
    if (!make_sequence(a, &x)) return;
    int hidden = 1 + below(a, 5), kind = below(a, 3), layers = 1 + below(a, 2), m = a->member_count;
    bool both = chance(a, 3);
    bool known = size_equal(x.shape[0], a->b) && chance(a, 2);
    learn(a, "let m%d = %s(%d, %d, num_layers = %d, bidirectional = %s)", m, kinds[kind], last(&x), hidden, layers,
          both ? "true" : "false");
    out[0] = x;
    out[0].shape[2] = size_of(a, hidden * (both ? 2 : 1));
    out[1] = x;
    out[1].shape[0] = size_of(a, layers * (both ? 2 : 1));
    out[1].shape[1] = x.shape[0];
    out[1].shape[2] = size_of(a, hidden);
    out[2] = out[1];
    const char *length = size_fixed(x.shape[1]) ? x.shape[1].text : print(a, "i32(%s)", x.shape[1].text);
    const char *lengths = known ? print(a, ", lengths = v%d %% %s + 1", a->index, length) : "";
    let_several(a, out, kind == 2 ? 3 : 2, "m%d(v%d%s)", m, x.number, lengths);
}

/* Nodes joined by edges from what the indices say. */
static void graph(Author *a) {
    Known x, y;
    if (!choose(a, is_nodes, &x)) return;
    int nodes = x.shape[0].low, out = 2 + below(a, 3), m = a->member_count;
    const char *ends = print(a, "v%d %% %d, (v%d + 1) %% %d", a->index, nodes, a->index, nodes);
    y = x;
    y.shape[1] = size_of(a, out);
    switch (below(a, 3)) {
    case 0:
        learn(a, "let m%d = SAGEConv(%d, %d)", m, last(&x), out);
        let(a, y, "m%d(v%d, %s)", m, x.number, ends);
        return;
    case 1:
        learn(a, "let m%d = GCNConv(%d, %d)", m, last(&x), out);
        let(a, y, "m%d(v%d, %s, 0.5 * f32(v%d))", m, x.number, ends, a->index);
        return;
    default:
        learn(a, "let m%d = GATConv(%d, %d, heads = 2, concat = false)", m, last(&x), out);
        let(a, y, "m%d(v%d, %s)", m, x.number, ends);
    }
}

Makers layer_makers(void) {
    static Maker *const all[] = {linear,  linear,  bilinear,    norm,        channel_norm, channel_norm,
                                 matmul,  matmul,  convolution, convolution, convolution,  library_convolution,
                                 windows, windows, pooled,      attention,   attention,    recurrent,
                                 graph};
    return (Makers){all, sizeof all / sizeof *all};
}
