/* csv.c - tables of numbers as text, and the choice of a reader for a file.
 *
 * In: lines of numbers separated by commas, semicolons, tabs or spaces (what the first line uses); blank
 * lines and lines that begin with # are passed over, a first line that is not all numbers is a heading.
 * A byte order mark may lie before them.
 * Out: an f64 array of rows and columns (of rank 1 if there is one column), or a reason with line and offset.
 */
#include "tool.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

typedef struct Table {
    Source *s;
    char *begin, *at, *end;
    char separator;
    double *values;
    size_t count, room;
    int64_t rows, columns, line;
} Table;

static bool bad_cell(Table *t, const char *at, const char *reason) {
    int n = (int)strcspn(at, ",;\t\r\n");
    return source_fail(t->s, at - t->begin, "line %lld: '%.*s' %s", (long long)t->line, n < 40 ? n : 40, at, reason);
}

static char find_separator(const char *line, size_t length) {
    static const char all[] = ",;\t";
    for (const char *c = all; *c; c++)
        if (memchr(line, *c, length)) return *c;
    return ' ';
}

static void skip_blanks(char **at) {
    while (**at == ' ' || (**at == '\t')) ++*at;
}

/* One number, perhaps in quotes. */
static bool parse_cell(char **at, double *value) {
    char *end;
    while (**at == ' ') ++*at;
    bool quoted = **at == '"';
    char *start = *at + quoted;
    if (isspace((unsigned char)*start)) return false; /* strtod would go on to the next line */
    *value = strtod(start, &end);
    if (end == start || (quoted && *end != '"')) return false;
    *at = end + quoted;
    return true;
}

static bool push(Table *t, double value) {
    if (t->count == t->room) {
        size_t room = t->room ? t->room * 2 : 1024;
        double *more = realloc(t->values, room * sizeof *more);
        if (!more) return error_set(t->s->error, "%s: out of memory", t->s->path);
        t->values = more, t->room = room;
    }
    t->values[t->count++] = value;
    return true;
}

/* The cells of one line; the cursor ends on its newline or the end. */
static bool parse_line(Table *t, char *stop) {
    int64_t cells = 0;
    for (;;) {
        double value;
        char *cell = t->at;
        if (!parse_cell(&t->at, &value)) return bad_cell(t, cell, "is no number");
        if (!push(t, value)) return false;
        cells++;
        if (t->separator == '\t')
            while (*t->at == ' ') t->at++;
        else
            skip_blanks(&t->at);
        if (*t->at == '\r') t->at++;
        if (t->at >= stop) break;
        if (t->separator == ' ') continue;
        if (*t->at != t->separator) return bad_cell(t, cell, "is no number");
        t->at++;
    }
    if (t->rows && cells != t->columns) {
        return source_fail(t->s, t->at - t->begin, "line %lld has %lld numbers, the lines before have %lld",
                           (long long)t->line, (long long)cells, (long long)t->columns);
    }
    t->columns = cells;
    t->rows++;
    return true;
}

static bool is_heading(Table *t, char *stop) {
    char *at = t->at;
    while (at < stop) {
        double value;
        if (!parse_cell(&at, &value)) return true;
        skip_blanks(&at);
        if (at < stop && (*at == t->separator || *at == '\r')) at++;
    }
    return false;
}

static bool parse_table(Table *t) {
    bool first = true;
    for (; t->at < t->end; t->at++) {
        char *stop = memchr(t->at, '\n', (size_t)(t->end - t->at));
        if (!stop) stop = t->end;
        t->line++;
        char *start = t->at;
        while (start < stop && isspace((unsigned char)*start)) start++;
        bool blank = start == stop || *start == '#';
        if (!blank && first) t->separator = find_separator(t->at, (size_t)(stop - t->at));
        if (blank || (first && is_heading(t, stop)))
            t->at = stop;
        else if (!parse_line(t, stop))
            return false;
        if (!blank) first = false;
    }
    return t->rows || source_fail(t->s, 0, "there are no numbers in the file");
}

bool read_csv(Source *s, Array *a) {
    Table t = {.s = s};
    size_t bytes;
    *a = (Array){0};
    if (!source_read_all(s, &t.begin, &bytes)) return false;
    t.at = t.begin, t.end = t.begin + bytes;
    if (bytes >= 3 && !memcmp(t.begin, "\xef\xbb\xbf", 3)) t.at += 3; /* else the first numbers were a heading */
    const char *zero = memchr(t.begin, 0, bytes);
    bool good = zero ? source_fail(s, zero - t.begin, "a zero byte: this is no text") : parse_table(&t);
    free(t.begin);
    if (!good) {
        free(t.values);
        return false;
    }
    *a = (Array){.dtype = DLRT_F64,
                 .rank = t.columns > 1 ? 2 : 1,
                 .shape = {t.rows, t.columns},
                 .count = t.rows * t.columns,
                 .data = t.values};
    return true;
}

static bool ends_with(const char *text, const char *end) {
    size_t n = strlen(text), k = strlen(end);
    return n >= k && !strcmp(text + n - k, end);
}

bool read_array(const char *path, Array *a, Error *error) {
    Source s;
    error->text[0] = 0;
    *a = (Array){0};
    if (!source_open(&s, path, error)) return false;
    bool good =
        ends_with(path, ".npy") || ends_with(path, ".npy.gz") ? read_npy(&s, a)
        : ends_with(path, ".csv") || ends_with(path, ".csv.gz") || ends_with(path, ".tsv") || ends_with(path, ".txt")
            ? read_csv(&s, a)
            : read_idx(&s, a);
    source_close(&s);
    if (!good) array_free(a);
    return good;
}
