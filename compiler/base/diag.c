/* Diagnostics: see diag.h. Rendering follows the familiar form
 *
 *   error[DL0301]: text
 *     --> file:line:column
 *      |
 *   12 |     let y = x @ w
 *      |             ^^^^^ label
 *      = note: ...
 *      = hint: ...
 */
#include "base/diag.h"

#include <stdlib.h>
#include <string.h>

static const DiagCodeInfo code_infos[] = {
#define CODE(id, severity, title, explain) {1##id - 10000, severity, title, explain},
#include "base/codes.def"
#undef CODE
};

const DiagCodeInfo *diag_code_info(DiagCode code) { return &code_infos[code]; }

void diags_init(Diags *d, Arena *arena) {
    *d = (Diags){.arena = arena};
    vec_push(arena, &d->sources, (Source){"", "", 0});
}

uint32_t diag_add_source(Diags *d, const char *path, const char *text, size_t length) {
    vec_push(d->arena, &d->sources, (Source){path, text, length});
    return (uint32_t)d->sources.n - 1;
}

int diag_report(Diags *d, DiagCode code, Span span, const char *format, ...) {
    for (int i = 0; i < d->all.n; i++) {
        const Diag *o = &d->all.at[i];
        if (span.source && o->code == code && o->span.source == span.source && o->span.begin == span.begin &&
            o->span.end == span.end)
            return -1;
    }
    va_list args;
    va_start(args, format);
    vec_push(d->arena, &d->all, (Diag){.code = code, .span = span, .text = arena_vprintf(d->arena, format, args)});
    va_end(args);
    if (code_infos[code].severity == SEVERITY_ERROR) d->errors++;
    return d->all.n - 1;
}

void diag_label(Diags *d, int diag, Span span, const char *format, ...) {
    if (diag < 0) return;
    va_list args;
    va_start(args, format);
    vec_push(d->arena, &d->all.at[diag].labels, (DiagLabel){span, arena_vprintf(d->arena, format, args)});
    va_end(args);
}

void diag_note(Diags *d, int diag, const char *format, ...) {
    if (diag < 0) return;
    va_list args;
    va_start(args, format);
    vec_push(d->arena, &d->all.at[diag].notes, arena_vprintf(d->arena, format, args));
    va_end(args);
}

void diag_hint(Diags *d, int diag, const char *format, ...) {
    if (diag < 0) return;
    va_list args;
    va_start(args, format);
    d->all.at[diag].hint = arena_vprintf(d->arena, format, args);
    va_end(args);
}

static bool continues_character(char c) { return ((unsigned char)c & 0xc0) == 0x80; }

void diag_place(const Diags *d, uint32_t source, uint32_t at, int *line, int *column) {
    const Source *s = &d->sources.at[source];
    *line = 1;
    *column = 1;
    for (uint32_t i = 0; i < at && i < s->length; i++) {
        if (s->text[i] == '\n') {
            ++*line;
            *column = 1;
        } else if (!continues_character(s->text[i])) {
            ++*column;
        }
    }
}

typedef struct Paint { const char *bold, *red, *yellow, *blue, *off; } Paint;
static const Paint plain = {"", "", "", "", ""};
static const Paint colored = {"\033[1m", "\033[1;31m", "\033[1;33m", "\033[1;34m", "\033[0m"};

/* Source text as it may go to a terminal: control characters but tabs become '?', and so do bytes that are no text. */
static void append_printable(Text *to, const char *text, size_t n) {
    for (size_t i = 0; i < n;) {
        size_t length = utf8_length(text + i, n - i);
        unsigned char first = (unsigned char)text[i], second = length > 1 ? (unsigned char)text[i + 1] : 0;
        bool control = (first < ' ' && first != '\t') || first == 0x7f || (first == 0xc2 && second < 0xa0);
        text_append(to, control || !length ? "?" : text + i, control || !length ? 1 : length);
        i += length ? length : 1;
    }
}

static bool on_one_line(const Diags *d, Span a, Span b) {
    if (a.source != b.source) return false;
    const Source *s = &d->sources.at[a.source];
    uint32_t from = a.begin < b.begin ? a.begin : b.begin, to = a.begin < b.begin ? b.begin : a.begin;
    return to <= s->length && !memchr(s->text + from, '\n', to - from);
}

/* One source line with carets under the span, and the label's text behind them. The line is not repeated below
 * `above`, the span shown before this one. */
static void render_snippet(const Diags *d, Text *to, const Paint *p, Span span, Span above, char mark,
                           const char *label) {
    const Source *s = &d->sources.at[span.source];
    int line, column;
    diag_place(d, span.source, span.begin, &line, &column);
    size_t from = span.begin < s->length ? span.begin : s->length, until = from;
    while (from > 0 && s->text[from - 1] != '\n') from--;
    while (until < s->length && s->text[until] != '\n') until++;
    if (until > from && s->text[until - 1] == '\r') until--;
    enum { SHOWN = 200 };
    bool whole = until - from <= SHOWN;
    if (!whole) {
        if (span.begin - from > SHOWN / 2) from = span.begin - SHOWN / 2;
        if (until - from > SHOWN) until = from + SHOWN;
    }
    if (!whole || !on_one_line(d, span, above)) {
        text_add(to, "%s%5d |%s ", p->blue, line, p->off);
        append_printable(to, s->text + from, until - from);
        text_add(to, "\n");
    }
    text_add(to, "%s      |%s ", p->blue, p->off);
    for (size_t i = from; i < span.begin; i++)
        if (!continues_character(s->text[i])) text_append(to, s->text[i] == '\t' ? "\t" : " ", 1);
    text_add(to, "%s%c", mark == '^' ? p->red : p->blue, mark);
    for (size_t i = span.begin + 1; i < span.end && i < until; i++)
        if (!continues_character(s->text[i])) text_append(to, &mark, 1);
    if (label && *label) {
        text_add(to, " ");
        append_printable(to, label, strlen(label));
    }
    text_add(to, "%s\n", p->off);
}

static void render_label(const Diags *d, Text *to, const Paint *p, const Diag *g, const DiagLabel *l, Span above) {
    if (!l->span.source) return;
    if (l->span.source != g->span.source) {
        int line, column;
        diag_place(d, l->span.source, l->span.begin, &line, &column);
        text_add(to, "%s  :::%s %s:%d:%d\n", p->blue, p->off, d->sources.at[l->span.source].path, line, column);
    }
    render_snippet(d, to, p, l->span, above, '-', l->text);
}

static void render_one(const Diags *d, Text *to, const Paint *p, const Diag *g) {
    const DiagCodeInfo *info = &code_infos[g->code];
    bool error = info->severity == SEVERITY_ERROR;
    text_add(to, "%s%s[DL%04d]%s%s: ", error ? p->red : p->yellow, error ? "error" : "warning", info->number, p->off,
             p->bold);
    append_printable(to, g->text, strlen(g->text));
    text_add(to, "%s\n", p->off);
    if (g->span.source) {
        int line, column;
        diag_place(d, g->span.source, g->span.begin, &line, &column);
        text_add(to, "%s  -->%s %s:%d:%d\n%s      |%s\n", p->blue, p->off, d->sources.at[g->span.source].path, line,
                 column, p->blue, p->off);
        render_snippet(d, to, p, g->span, (Span){0}, '^', NULL);
    }
    Span above = g->span;
    for (int i = 0; i < g->labels.n; i++) {
        render_label(d, to, p, g, &g->labels.at[i], above);
        if (g->labels.at[i].span.source) above = g->labels.at[i].span;
    }
    for (int i = 0; i < g->notes.n; i++) text_add(to, "%s      =%s note: %s\n", p->blue, p->off, g->notes.at[i]);
    if (g->hint) text_add(to, "%s      =%s hint: %s\n", p->blue, p->off, g->hint);
}

static int by_place(const void *a, const void *b) {
    const Diag *x = *(const Diag *const *)a, *y = *(const Diag *const *)b;
    if (x->span.source != y->span.source) return x->span.source < y->span.source ? -1 : 1;
    if (x->span.begin != y->span.begin) return x->span.begin < y->span.begin ? -1 : 1;
    return x < y ? -1 : x > y;
}

static const Diag **in_order(const Diags *d) {
    const Diag **order = arena_array(d->arena, const Diag *, d->all.n + 1);
    for (int i = 0; i < d->all.n; i++) order[i] = &d->all.at[i];
    qsort(order, (size_t)d->all.n, sizeof *order, by_place);
    return order;
}

void diags_render(const Diags *d, Text *to, bool color) {
    const Diag **order = in_order(d);
    for (int i = 0; i < d->all.n; i++) {
        if (i) text_append(to, "\n", 1);
        render_one(d, to, color ? &colored : &plain, order[i]);
    }
}

/* "file": ..., "line": ..., behind a comma where there is a place. */
static void add_json_place(const Diags *d, Text *to, Span span) {
    if (!span.source) return;
    int line, column, end_line, end_column;
    diag_place(d, span.source, span.begin, &line, &column);
    diag_place(d, span.source, span.end, &end_line, &end_column);
    text_add(to, ", \"file\": ");
    text_add_json(to, d->sources.at[span.source].path);
    text_add(to, ", \"line\": %d, \"column\": %d, \"end_line\": %d, \"end_column\": %d", line, column, end_line,
             end_column);
}

static void add_json_labels(const Diags *d, Text *to, const Diag *g) {
    text_add(to, ", \"labels\": [");
    for (int i = 0; i < g->labels.n; i++) {
        text_add(to, "%s{\"message\": ", i ? ", " : "");
        text_add_json(to, g->labels.at[i].text);
        add_json_place(d, to, g->labels.at[i].span);
        text_add(to, "}");
    }
    text_add(to, "]");
}

void diags_render_json(const Diags *d, Text *to) {
    const Diag **order = in_order(d);
    for (int i = 0; i < d->all.n; i++) {
        const Diag *g = order[i];
        const DiagCodeInfo *info = &code_infos[g->code];
        text_add(to, "{\"code\": \"DL%04d\", \"severity\": \"%s\", \"message\": ", info->number,
                 info->severity == SEVERITY_ERROR ? "error" : "warning");
        text_add_json(to, g->text);
        add_json_place(d, to, g->span);
        add_json_labels(d, to, g);
        text_add(to, ", \"notes\": [");
        for (int k = 0; k < g->notes.n; k++) {
            text_add(to, "%s", k ? ", " : "");
            text_add_json(to, g->notes.at[k]);
        }
        text_add(to, "]");
        if (g->hint) {
            text_add(to, ", \"hint\": ");
            text_add_json(to, g->hint);
        }
        text_add(to, "}\n");
    }
}

/* Levenshtein distance, names cut at 63 characters. */
static int distance(const char *a, const char *b) {
    enum { MOST = 63 };
    int row[MOST + 1], na = (int)strnlen(a, MOST), nb = (int)strnlen(b, MOST);
    for (int j = 0; j <= nb; j++) row[j] = j;
    for (int i = 1; i <= na; i++) {
        int corner = row[0];
        row[0] = i;
        for (int j = 1; j <= nb; j++) {
            int change = corner + (a[i - 1] != b[j - 1]), drop = row[j] + 1, add = row[j - 1] + 1;
            corner = row[j];
            row[j] = change < drop ? (change < add ? change : add) : (drop < add ? drop : add);
        }
    }
    return row[nb];
}

const char *nearest_name(const char *name, const char *const *candidates, int count) {
    const char *best = NULL;
    int limit = (int)strlen(name) / 3 + 1, least = limit + 1;
    for (int i = 0; i < count; i++) {
        int d = distance(name, candidates[i]);
        if (d < least) {
            least = d;
            best = candidates[i];
        }
    }
    return best;
}
