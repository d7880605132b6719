/* Header: the C header of a compiled model.
 *
 * In: a module with its memory planned. Out: text that compiles as C99 and C++11 and reads as if a person had
 * written it: what the model is, how much memory it takes, each function with its shapes and limits. */
#include "codegen/header.h"

#include "codegen/plan.h"
#include "codegen/signature.h"
#include "dlrt.h"

#include <ctype.h>

typedef struct HeaderWriter {
    Arena *arena;
    const KModule *m;
    const CodeOptions *options;
    const char *upper;         /* "DIGITS" */
    VarPlaces places;
    Text text;
} HeaderWriter;

static const char *upper_case(Arena *arena, const char *name) {
    char *upper = arena_text(arena, name, strlen(name));
    for (char *c = upper; *c; c++) *c = (char)toupper((unsigned char)*c);
    return upper;
}

/* Lines of a model's text inside a comment: each after " * ", with no end of comment in it. */
static void add_doc(HeaderWriter *h, const char *doc) {
    text_add(&h->text, " * ");
    for (const char *c = doc; *c; c++) {
        if (*c == '\n') text_add(&h->text, c[1] == '\n' || !c[1] ? "\n *" : "\n * ");
        else if (c[0] == '*' && c[1] == '/') text_add(&h->text, "* ");
        else if (c[0] == '/' && c[1] == '*') text_add(&h->text, "/ ");
        else text_append(&h->text, c, 1);
    }
    text_add(&h->text, "\n");
}

/* ----------------------------------------------------------------------- memory */

static void add_size(HeaderWriter *h, const char *name, int64_t bytes, const char *meaning) {
    const char *macro = arena_printf(h->arena, "%s_%s", h->upper, name);
    const char *value = arena_printf(h->arena, "INT64_C(%lld)", (long long)bytes);
    text_add(&h->text, "#define %-36s %-20s /* %s */\n", macro, value, meaning);
}

static int64_t round64(int64_t bytes) { return (bytes + 63) / 64 * 64; }

static void add_sizes(HeaderWriter *h) {
    text_add(&h->text,
             "\n/* Memory in bytes. A model takes its weights and slots, once; each context takes its cache and the\n"
             " * workspace of its largest function. dlrt_model_bytes and dlrt_context_bytes add them up. */\n");
    add_size(h, "WEIGHT_BYTES", h->places.weight_bytes, "parameters and state");
    add_size(h, "SLOT_BYTES", h->places.slot_bytes, "what optimisers remember");
    add_size(h, "CACHE_BYTES", h->places.cache_bytes, "memory between the calls of one context");
    for (int i = 0; i < h->m->plans.n; i++) {
        const Plan *p = h->m->plans.at[i];
        const char *name = upper_case(h->arena, p->func->name);
        int64_t arena = round64(p->arena_bytes), scratch = round64(p->scratch_bytes);
        add_size(h, arena_printf(h->arena, "%s_WORKSPACE_BYTES", name), arena + scratch,
                 scratch ? "on one thread" : "on any number of threads");
        if (scratch) add_size(h, arena_printf(h->arena, "%s_SCRATCH_BYTES", name), scratch, "for each further thread");
    }
}

/* -------------------------------------------------------------------- functions */

static void add_numbers(HeaderWriter *h) {
    text_add(&h->text, "\n/* Numbers of the functions, for dlrt_call. */\nenum {\n");
    for (int i = 0; i < h->m->plans.n; i++)
        text_add(&h->text, "    %s_FN_%s = %d%s\n", h->upper, upper_case(h->arena, h->m->plans.at[i]->func->name), i,
                 i + 1 < h->m->plans.n ? "," : "");
    text_add(&h->text, "};\n");
}

/* "float[B][784]", or the type alone of a scalar; half-width floats say what the bits are. */
static const char *shape_text(HeaderWriter *h, const CParam *p) {
    Text t = text_new(h->arena);
    bool bits = p->type.dtype == DTYPE_F16 || p->type.dtype == DTYPE_BF16;
    text_add(&t, "%s", bits ? dtype_name(p->type.dtype) : c_type_name(p->type.dtype));
    for (int d = 0; d < p->type.rank; d++) {
        text_add(&t, "[");
        dim_print(&h->m->graph->dims, p->type.shape[d], &t);
        text_add(&t, "]");
    }
    return text_get(&t);
}

/* A line of the table of parameters: name, type or range, meaning. */
static void add_row(HeaderWriter *h, int width, const CParam *p) {
    const char *what = p->dim
                           ? arena_printf(h->arena, "%lld to %lld", (long long)p->dim->lower, (long long)p->dim->upper)
                           : shape_text(h, p);
    text_add(&h->text, " *   %-*s  %s%s", width, p->name, p->kind >= PARAM_RESULT ? "out: " : "", what);
    if (p->doc) {
        text_add(&h->text, "  ");
        for (const char *c = p->doc; *c && *c != '\n'; c++)
            if (!(c[0] == '*' && c[1] == '/') && !(c[0] == '/' && c[1] == '*')) text_append(&h->text, c, 1);
    }
    text_add(&h->text, "\n");
}

static const char *parameter_text(HeaderWriter *h, const CParam *p) {
    const char *type = c_type_name(p->type.dtype);
    if (p->by_value) return arena_printf(h->arena, "%s %s", type, p->name);
    return arena_printf(h->arena, "%s%s *%s", p->kind == PARAM_ARG ? "const " : "", type, p->name);
}

/* The declaration, broken before column 110. */
static void add_declaration(HeaderWriter *h, const CSignature *s) {
    int indent = (int)strlen("DlrtStatus ") + (int)strlen(s->symbol) + 1, column = indent;
    text_add(&h->text, "DlrtStatus %s(", s->symbol);
    for (int i = -1; i < s->params.n; i++) {
        const char *p = i < 0 ? "DlrtContext *context" : parameter_text(h, &s->params.at[i]);
        int length = (int)strlen(p);
        if (i >= 0 && column + length + 3 > 110) {
            text_add(&h->text, ",\n%*s%s", indent, "", p);
            column = indent + length;
        } else {
            text_add(&h->text, "%s%s", i < 0 ? "" : ", ", p);
            column += length + 2;
        }
    }
    text_add(&h->text, ");\n");
}

static const char *effect_text(const Func *f) {
    bool params = false, state = false;
    for (int i = 0; i < f->results.n; i++) {
        const Var *v = f->results.at[i].var;
        if (v && v->kind == VAR_PARAM) params = true;
        if (v && v->kind != VAR_PARAM && v->kind != VAR_CACHE) state = true;
    }
    if (params) return "Updates parameters: no other call may be inside the model.";
    if (state) return "Updates state: no other call may be inside the model.";
    return NULL;
}

static void add_function(HeaderWriter *h, const Func *f) {
    CSignature s = signature_of(h->arena, h->options->prefix, f);
    const char *effect = effect_text(f);
    int width = 1;
    for (int i = 0; i < s.params.n; i++)
        if ((int)strlen(s.params.at[i].name) > width) width = (int)strlen(s.params.at[i].name);
    text_add(&h->text, "\n/*\n");
    if (f->doc && f->doc[0]) add_doc(h, f->doc);
    for (int i = 0; i < s.params.n; i++) {
        if (!i && f->doc && f->doc[0]) text_add(&h->text, " *\n");
        add_row(h, width, &s.params.at[i]);
    }
    if (effect) text_add(&h->text, " *\n * %s\n", effect);
    text_add(&h->text, " */\n");
    add_declaration(h, &s);
}

/* --------------------------------------------------------------------- the file */

static void add_opening(HeaderWriter *h) {
    const Module *g = h->m->graph;
    const char *prefix = h->options->prefix;
    const Target *t = h->options->target;
    text_add(&h->text, "/* %s.h - the model %s, compiled by dlcc for %s", prefix, g->name, t->name);
    if (strcmp(t->name, t->tune)) text_add(&h->text, ", tuned for %s", t->tune);
    text_add(&h->text, ".\n *\n");
    if (g->doc && g->doc[0]) {
        add_doc(h, g->doc);
        text_add(&h->text, " *\n");
    }
    text_add(&h->text,
             " * Open it with dlrt_open(&%s_module, ...), make a context with dlrt_context_create, then call the\n"
             " * functions below. Tensors are row-major without gaps. A call that fails has changed nothing, and\n"
             " * dlrt_message says why.\n"
             " */\n",
             prefix);
    text_add(&h->text, "#ifndef %s_H\n#define %s_H\n\n#include \"dlrt.h\"\n", h->upper, h->upper);
    text_add(&h->text, "\n#include <stdbool.h>\n\n#if DLRT_ABI_VERSION != %d\n", DLRT_ABI_VERSION);
    text_add(&h->text, "#error \"%s.h was made for another version of dlrt.h\"\n#endif\n", prefix);
    text_add(&h->text, "\n#ifdef __cplusplus\nextern \"C\" {\n#endif\n");
}

const char *header_text(Arena *arena, const KModule *m, const CodeOptions *options) {
    HeaderWriter h = {.arena = arena, .m = m, .options = options, .upper = upper_case(arena, options->prefix),
                      .places = places_of(m->graph, arena), .text = text_new(arena)};
    add_opening(&h);
    text_add(&h.text, "\nextern const DlrtModule %s_module;\n", options->prefix);
    add_sizes(&h);
    if (m->plans.n) add_numbers(&h);
    for (int i = 0; i < m->plans.n; i++) add_function(&h, m->plans.at[i]->func);
    text_add(&h.text, "\n#ifdef __cplusplus\n}\n#endif\n\n#endif\n");
    return text_get(&h.text);
}
