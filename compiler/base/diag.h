/* Diagnostics: what a user did wrong, where, why, and how to mend it.
 *
 * A diagnostic has a code DLnnnn (codes.def lists them all, with the text of `dlcc --explain`), a span
 * in a source, labels on further spans, notes and at most one hint. They are collected, several a run,
 * and rendered by the driver as text or JSON. Nothing here prints by itself. */
#ifndef DLCC_BASE_DIAG_H
#define DLCC_BASE_DIAG_H

#include "base/text.h"
#include "base/vec.h"
#include <stdbool.h>
#include <stdint.h>

/* Where a row of one of the compiler's own tables stands, for --list; `.at = HERE` in the row. The path is relative to
 * the top of the sources. */
typedef struct Place {
    const char *file;
    int line;
} Place;
#define HERE {__FILE__, __LINE__}

/* A file's text. Sources are numbered from 1; 0 means "no place". */
typedef struct Source {
    const char *path;       /* as the user named it, "std/nn.dl" for the library */
    const char *text;
    size_t length;
} Source;

/* Bytes begin .. end-1 of a source. */
typedef struct Span {
    uint32_t source, begin, end;
} Span;

typedef enum DiagCode {
#define CODE(id, severity, title, explain) DL##id,
#include "base/codes.def"
#undef CODE
    DIAG_CODE_COUNT
} DiagCode;

typedef enum Severity { SEVERITY_ERROR, SEVERITY_WARNING } Severity;

typedef struct DiagCodeInfo {
    int number;             /* 101 for DL0101 */
    Severity severity;
    const char *title;      /* a short phrase */
    const char *explain;    /* what it means, a bad example and its correction */
} DiagCodeInfo;

typedef struct DiagLabel {
    Span span;
    const char *text;
} DiagLabel;

typedef struct Diag {
    DiagCode code;
    Span span;
    const char *text;
    VEC(DiagLabel) labels;
    VEC(const char *) notes;
    const char *hint;
} Diag;

typedef struct Diags {
    Arena *arena;
    VEC(Source) sources;
    VEC(Diag) all;
    int errors;
} Diags;

void diags_init(Diags *d, Arena *arena);
const DiagCodeInfo *diag_code_info(DiagCode code);
/* Registers a source; returns its number for spans. Text is kept, not copied. */
uint32_t diag_add_source(Diags *d, const char *path, const char *text, size_t length);

/* Reports. The returned index is for the calls below. The same code at the same span is reported once: a
 * repetition gives -1, which they ignore. */
int diag_report(Diags *d, DiagCode code, Span span, const char *format, ...) __attribute__((format(printf, 4, 5)));
void diag_label(Diags *d, int diag, Span span, const char *format, ...) __attribute__((format(printf, 4, 5)));
void diag_note(Diags *d, int diag, const char *format, ...) __attribute__((format(printf, 3, 4)));
void diag_hint(Diags *d, int diag, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Line and column (from 1, columns in characters) of a byte of a source. */
void diag_place(const Diags *d, uint32_t source, uint32_t at, int *line, int *column);
/* All diagnostics, in order of place, as text with snippets; with ANSI colours if `color`. */
void diags_render(const Diags *d, Text *to, bool color);

/* The same for programs: a JSON object a line, {code, severity, message, file, line, column, end_line, end_column,
 * labels: [{file, ..., message}], notes, hint}. Lines and columns count from 1, columns in characters; the end is
 * behind the last one. Places and hint are left out where there are none. */
void diags_render_json(const Diags *d, Text *to);

/* The candidate closest to `name` by edit distance, if close enough to offer; else null. */
const char *nearest_name(const char *name, const char *const *candidates, int count);

static inline Span span_join(Span a, Span b) {
    if (!a.source) return b;
    if (b.source != a.source) return a;
    return (Span){a.source, a.begin < b.begin ? a.begin : b.begin, a.end > b.end ? a.end : b.end};
}

#endif
