/* Cases of operators: see cases.h. */
#include "cases.h"

#include "ops/philox.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

const char cases_dims[] = "dim B in 1..64\ndim Z in 0..64\ndim L in 0..64\n";

static const struct {
    const char *op, *inputs, *ops, *results;
} rows[] = {
#define CASE(op, inputs, ops, results) {#op, inputs, ops, results},
#include "cases.def"
#undef CASE
};
enum { ROWS = sizeof rows / sizeof *rows };

/* ---------------------------------------------------------------- made from the table */

bool case_is_made(const OpInfo *op) { return op->kind == KIND_MAP && op->min_operands > 0 && !op->attrs; }

/* What operand i of an elementwise operator is in a case. */
static const char *operand_type(const OpInfo *op, int i) {
    return op->signature[0] == 'b' && i == 0 ? "bool" : op->signature[0] == 'l' ? "i64" : "T";
}

/* The operator on operands of one shape; of them, one that is not the only one may be repeated along a first dim. */
static OpCase made_case(Arena *arena, const OpInfo *op, const char *shape, const char *row) {
    static const char *const names[] = {"x", "y", "z"};
    int n = op->min_operands, repeated = row && n > 1 ? n - 1 : -1;
    Text in = text_new(arena), ops = text_new(arena);
    const char *result = op->flags & OP_PREDICATE ? "bool" : operand_type(op, n - 1);
    for (int i = 0; i < n; i++)
        text_add(&in, "%s%%%s: %s%s", i ? ", " : "", names[i], operand_type(op, i), i == repeated ? row : shape);
    if (repeated >= 0)
        text_add(&ops, "%%w = broadcast_in_dim %%%s {shape = %s, axes = [1]} : %s%s\n", names[repeated], shape,
                 operand_type(op, repeated), shape);
    text_add(&ops, "%%r = %s ", op->name);
    for (int i = 0; i < n; i++) text_add(&ops, "%s%%%s", i ? ", " : "", i == repeated ? "w" : names[i]);
    text_add(&ops, " : %s%s", result, shape);
    return (OpCase){op, text_get(&in), text_get(&ops), "%r"};
}

static const OpCase *made_cases(Arena *arena, const OpInfo *op, int *count) {
    static const struct {
        const char *shape, *row;
    } shapes[] = {{"", NULL}, {"[1]", NULL}, {"[67]", NULL}, {"[0,2]", NULL}, {"[B,3]", NULL}, {"[2*B]", NULL},
                  {"[Z]", NULL}, {"[B,5]", "[5]"}};
    enum { SHAPES = sizeof shapes / sizeof *shapes };
    OpCase *all = arena_array(arena, OpCase, SHAPES);
    for (int i = 0; i < SHAPES; i++) all[i] = made_case(arena, op, shapes[i].shape, shapes[i].row);
    *count = op->min_operands > 1 ? SHAPES : SHAPES - 1;
    return all;
}

const OpCase *cases_of(Arena *arena, const OpInfo *op, int *count) {
    if (case_is_made(op)) return made_cases(arena, op, count);
    OpCase *all = arena_array(arena, OpCase, ROWS);
    *count = 0;
    for (int i = 0; i < ROWS; i++)
        if (!strcmp(rows[i].op, op->name))
            all[(*count)++] = (OpCase){op, rows[i].inputs, rows[i].ops, rows[i].results};
    return all;
}

/* ------------------------------------------------------------------------------ text */

static bool is_word(char c) { return isalnum((unsigned char)c) || c == '_'; }

/* Whether the text at p, part of `all`, is a T that stands for a type. */
static bool is_type_letter(const char *all, const char *p) {
    return *p == 'T' && (p == all || (!is_word(p[-1]) && !strchr("%@\"", p[-1]))) && !is_word(p[1]);
}

static bool mentions(const char *all, char letter) {
    for (const char *p = strchr(all, letter); p; p = strchr(p + 1, letter))
        if ((p == all || (!is_word(p[-1]) && p[-1] != '%')) && !is_word(p[1])) return true;
    return false;
}

static void add_typed(Text *to, const char *all, size_t n, DType t) {
    for (const char *p = all; p < all + n; p++) {
        if (is_type_letter(all, p)) text_add(to, "%s", dtype_name(t));
        else text_append(to, p, 1);
    }
}

bool case_takes(const OpCase *c, DType t) {
    if (!mentions(c->inputs, 'T') && !mentions(c->ops, 'T')) return t == DTYPE_F64;
    unsigned class = dtype_is_float(t) ? CLASS_FLOAT : t == DTYPE_BOOL ? CLASS_BOOL : CLASS_INT;
    return (c->op->types & class) != 0;
}

/* One of "%x: T[B,3], %i: i32[4] in 0..2". */
typedef struct Input {
    const char *at;            /* its "%" */
    size_t name, type;         /* lengths from there: of "%x", and of all before " in" */
    bool bounded;
    double low, high;
} Input;

/* Reads the input at *p and moves *p to the next; false at the end. */
static bool next_input(const char **p, Input *in) {
    const char *at = *p, *end = at;
    if (!*at) return false;
    while (*end && strncmp(end, ", %", 3)) end++;
    const char *in_word = strstr(at, " in ");
    *in = (Input){.at = at, .name = strcspn(at, ":"), .type = (size_t)(end - at)};
    if (in_word && in_word < end) {
        char *rest;
        in->bounded = true;
        in->type = (size_t)(in_word - at);
        in->low = strtod(in_word + 4, &rest);
        rest += strspn(rest, ".");
        in->high = strtod(rest, &rest);
    }
    *p = *end ? end + 2 : end;
    return true;
}

/* "%r, %s" with what the caller calls them. */
static void add_results(Text *to, const char *results) {
    for (int i = 0; *results; i++) {
        size_t n = strcspn(results, ",");
        text_add(to, "%s%.*s as \"r%d\"", i ? ", " : "", (int)n, results, i);
        results += n;
        results += strspn(results, ", ");
    }
}

const char *case_func(Arena *arena, const OpCase *c, DType t, const char *name) {
    Text text = text_new(arena);
    const char *p = c->inputs;
    Input in;
    text_add(&text, "func @%s(", name);
    for (int i = 0; next_input(&p, &in); i++) {
        text_add(&text, "%s", i ? ", " : "");
        add_typed(&text, in.at, in.type, t);
        text_add(&text, " = arg \"%.*s\"", (int)in.name - 1, in.at + 1);
    }
    bool b = mentions(c->inputs, 'B'), z = mentions(c->inputs, 'Z');
    text_add(&text, ")%s {\n", b && z ? " dims(B, Z)" : b ? " dims(B)" : z ? " dims(Z)" : "");
    add_typed(&text, c->ops, strlen(c->ops), t);
    text_add(&text, "\nreturn ");
    add_results(&text, c->results);
    text_add(&text, "\n}\n");
    return text_get(&text);
}

/* ---------------------------------------------------------------------------- values */

static double uniform(uint64_t *state) {
    uint64_t n = (*state)++;
    uint32_t out[4];
    philox4x32((const uint32_t[]){3, 5}, (const uint32_t[]){(uint32_t)n, (uint32_t)(n >> 32), 0, 0}, out);
    return out[0] / 4294967296.0;
}

/* Distinct, evenly spread over -1.5 .. 1.5, in random order. */
static void spread(Tensor *t, uint64_t *state) {
    for (int64_t k = 0; k < t->count; k++) t->at[k].f = -1.5 + 3 * ((double)k + 0.4) / (double)t->count;
    for (int64_t k = t->count - 1; k > 0; k--) {
        int64_t other = (int64_t)(uniform(state) * (double)(k + 1));
        Number kept = t->at[k];
        t->at[k] = t->at[other];
        t->at[other] = kept;
    }
}

/* Between the bounds, both of which an integer reaches. */
static void draw(Tensor *t, double low, double high, uint64_t *state) {
    for (int64_t k = 0; k < t->count; k++) {
        double x = uniform(state);
        if (dtype_is_float(t->dtype)) t->at[k].f = low + (high - low) * x;
        else t->at[k].i = number_wrap(t->dtype, (int64_t)floor(low + (high - low + 1) * x));
    }
}

/* Their order differs from operand to operand, so that each meets others. */
static void put_edges(Tensor *t, int operand) {
    static const double edges[] = {0, -0.0, 0x1p-149, -0x1p-126, 0x1p-24, -0x1.8p-15, 65504, -65520, 0x1.fffffep127,
                                   INFINITY, -INFINITY, NAN, 1, -1, 0.5, 2};
    enum { EDGES = sizeof edges / sizeof *edges };
    if (t->count <= 2 * EDGES) return;
    for (int i = 0; i < EDGES; i++) t->at[i].f = edges[(i * (2 * operand + 1) + operand) % EDGES];
}

void case_fill(const OpCase *c, Tensor *const *inputs, int n, bool edges) {
    uint64_t state = 0;
    const char *p = c->inputs;
    Input in;
    for (int i = 0; i < n && next_input(&p, &in); i++) {
        Tensor *t = inputs[i];
        const OpInfo *op = c->op;
        bool is_float = dtype_is_float(t->dtype);
        if (in.bounded) draw(t, in.low, in.high, &state);
        else if (t->dtype == DTYPE_BOOL) draw(t, 0, 1, &state);
        else if (!is_float) draw(t, -3, 5, &state);
        else if (case_is_made(op) && op->sample_low) draw(t, op->sample_low[i], op->sample_high[i], &state);
        else spread(t, &state);
        if (is_float && edges && op->kind == KIND_MAP && !in.bounded) put_edges(t, i);
        for (int64_t k = 0; is_float && k < t->count; k++) t->at[k].f = number_round(t->dtype, t->at[k].f);
    }
}
