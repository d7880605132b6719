/* Tuning: see tuning.h. In: a file's text, or the kernels of a module. Out: the tuning, or their schedules. */
#include "pass/tuning.h"

#include "ir/kernel_contract.h"
#include "ir/kernel_print.h"
#include "ir/kernel_schedule.h"
#include "ir/kernel_verify.h"
#include "pass/schedule.h"

#include <math.h>
#include <stdlib.h>

/* ---------------------------------------------------------------------------- reading */

/* The text is read word by word; a line is a statement. */
typedef struct Reader {
    Arena *arena;
    Diags *diags;
    uint32_t source, at, end;
    const char *text;
} Reader;

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

static void skip_blanks(Reader *r) {
    while (r->at < r->end && is_blank(r->text[r->at])) r->at++;
}

static bool at_line_end(Reader *r) {
    skip_blanks(r);
    return r->at == r->end || r->text[r->at] == '\n' || r->text[r->at] == '#';
}

static void next_line(Reader *r) {
    while (r->at < r->end && r->text[r->at] != '\n') r->at++;
    if (r->at < r->end) r->at++;
}

/* The next word of the line and its place; null at the line's end. */
static const char *next_word(Reader *r, Span *span) {
    bool none = at_line_end(r);
    uint32_t begin = r->at;
    while (!none && r->at < r->end && !is_blank(r->text[r->at]) && r->text[r->at] != '\n') r->at++;
    *span = (Span){r->source, begin, none ? (begin < r->end ? begin + 1 : begin) : r->at};
    return none ? NULL : arena_text(r->arena, r->text + begin, r->at - begin);
}

static bool expected(Reader *r, Span span, const char *what) {
    diag_report(r->diags, DL0801, span, "expected %s", what);
    return false;
}

static bool expect_word(Reader *r, const char *wanted) {
    Span span;
    const char *word = next_word(r, &span);
    return (word && !strcmp(word, wanted)) || expected(r, span, arena_printf(r->arena, "`%s`", wanted));
}

static bool expect_line_end(Reader *r) {
    Span span;
    return !next_word(r, &span) || expected(r, span, "the line's end");
}

/* "mr=9": the name, and where the number is. */
static bool split_field(Reader *r, const char *word, Span span, const char **name, const char **number) {
    const char *equals = strchr(word, '=');
    if (!equals || equals == word || !equals[1]) return expected(r, span, "NAME=NUMBER");
    *name = arena_text(r->arena, word, (size_t)(equals - word));
    *number = equals + 1;
    return true;
}

static bool read_time(Reader *r, const char *number, Span span, double *to) {
    char *end;
    *to = strtod(number, &end);
    return (!*end && isfinite(*to) && *to >= 0) || expected(r, span, "a time in microseconds");
}

static bool read_whole(Reader *r, const char *number, Span span, int64_t *to) {
    char *end;
    *to = strtoll(number, &end, 10);
    return (!*end && *to >= 0 && *to < INT64_C(1) << 40) || expected(r, span, "a whole number");
}

/* A field that this dlcc does not know is a later one's. */
static bool read_field(Reader *r, const char *word, Span span, TunedKernel *k) {
    const char *name, *number;
    int64_t value;
    if (!split_field(r, word, span, &name, &number)) return false;
    if (!strcmp(name, "predicted")) return read_time(r, number, span, &k->predicted);
    if (!strcmp(name, "model")) return read_time(r, number, span, &k->model);
    if (!strcmp(name, "measured")) return read_time(r, number, span, &k->measured);
    const ScheduleField *field = schedule_field(name);
    if (!field || !field->tuned) return true;
    k->scheduled = true;
    return read_whole(r, number, span, &value) &&
           (schedule_set(&k->schedule, field, value) || expected(r, span, "a smaller number"));
}

static bool read_kernel(Reader *r, Tuning *to) {
    TunedKernel k = {.note = ""};
    const char *word = next_word(r, &k.span);
    Span span;
    if (!word || strlen(word) != 16 || strspn(word, "0123456789abcdef") != 16)
        return expected(r, k.span, "a kernel's 16 hexadecimal digits");
    k.key = strtoull(word, NULL, 16);
    if (tuning_find(to, k.key)) {
        int diag = diag_report(r->diags, DL0801, k.span, "kernel %s stands there twice", word);
        diag_label(r->diags, diag, tuning_find(to, k.key)->span, "here already");
        return false;
    }
    while ((word = next_word(r, &span)))
        if (!read_field(r, word, span, &k)) return false;
    if (r->at < r->end && r->text[r->at] == '#') {
        uint32_t begin = r->at + 1;
        while (begin < r->end && is_blank(r->text[begin])) begin++;
        next_line(r);
        k.note = arena_text(r->arena, r->text + begin, r->at - begin - (r->text[r->at - 1] == '\n' && r->at > begin));
        r->at--;
    }
    vec_push(r->arena, &to->kernels, k);
    return true;
}

/* panel TYPE order=.. rows=.. split=N: all but the last word are the name. */
static bool read_panel(Reader *r, Tuning *to) {
    Text name = text_new(r->arena);
    const char *word;
    TunedPanel p = {.split = -1};
    Span span;
    while ((word = next_word(r, &span))) {
        p.span = span_join(p.span, span);
        if (p.split >= 0) return expected(r, span, "the line's end");
        if (strncmp(word, "split=", 6)) text_add(&name, "%s%s", name.n ? " " : "", word);
        else if (!read_whole(r, word + 6, span, &p.split)) return false;
    }
    if (p.split < 0 || !name.n) return expected(r, span, "split=NUMBER");
    p.name = text_get(&name);
    vec_push(r->arena, &to->panels, p);
    return true;
}

static bool read_processor(Reader *r, Tuning *to) {
    Span span;
    to->family = next_word(r, &to->span);
    if (!to->family) return expected(r, to->span, "a family of processors");
    to->cpu = next_word(r, &span);
    to->span = span_join(to->span, span);
    return to->cpu || expected(r, span, "a processor");
}

static bool read_statement(Reader *r, Tuning *to) {
    Span span;
    const char *word = next_word(r, &span);
    if (!strcmp(word, "kernel")) return read_kernel(r, to);
    if (!strcmp(word, "panel")) return read_panel(r, to);
    return expected(r, span, "`kernel` or `panel`");
}

static bool skip_empty_lines(Reader *r) {
    while (r->at < r->end && at_line_end(r)) next_line(r);
    return r->at < r->end;
}

/* Whether there is text alone: no control characters but tabs and line ends. */
static bool check_text(Reader *r) {
    for (uint32_t i = 0; i < r->end; i++) {
        unsigned char c = (unsigned char)r->text[i];
        if (c >= ' ' || is_blank(r->text[i]) || c == '\n') continue;
        return expected(r, (Span){r->source, i, i + 1}, "text; this is another byte");
    }
    return true;
}

bool tuning_read(Arena *arena, Diags *diags, uint32_t source, Tuning *to) {
    const Source *s = &diags->sources.at[source];
    Reader r = {.arena = arena, .diags = diags, .source = source, .text = s->text, .end = (uint32_t)s->length};
    *to = (Tuning){0};
    if (!check_text(&r)) return false;
    skip_empty_lines(&r);
    if (!expect_word(&r, "dlcc") || !expect_word(&r, "tuning")) return false;
    if (!expect_word(&r, "1") || !expect_line_end(&r)) return false;
    skip_empty_lines(&r);
    if (!expect_word(&r, "processor") || !read_processor(&r, to) || !expect_line_end(&r)) return false;
    bool good = true;
    for (next_line(&r); skip_empty_lines(&r); next_line(&r)) good = read_statement(&r, to) && good;
    return good;
}

/* --------------------------------------------------------------------------- printing */

static void print_time(Text *to, const char *name, double x) {
    if (x > 0) text_add(to, " %s=%.*f", name, x < 10 ? 3 : x < 1000 ? 1 : 0, x);
}

void tuning_print(const Tuning *t, Text *to) {
    text_add(to, "dlcc tuning 1\nprocessor %s %s\n", t->family, t->cpu);
    for (int i = 0; i < t->panels.n; i++)
        text_add(to, "panel %s split=%lld\n", t->panels.at[i].name, (long long)t->panels.at[i].split);
    for (int i = 0; i < t->kernels.n; i++) {
        const TunedKernel *k = &t->kernels.at[i];
        text_add(to, "kernel %016llx", (unsigned long long)k->key);
        if (k->scheduled) schedule_print(&k->schedule, true, to);
        print_time(to, "predicted", k->predicted);
        print_time(to, "model", k->model);
        print_time(to, "measured", k->measured);
        text_add(to, "%s%s\n", *k->note ? " # " : "", k->note);
    }
}

/* ------------------------------------------------------------------- what is known */

uint64_t tuning_key(const DimTable *dims, const Kernel *k, Arena *arena) {
    Text text = text_new(arena);
    Kernel plain = *k;
    plain.name = "kernel";
    memset(&plain.schedule, 0, sizeof plain.schedule);
    kernel_print(dims, &plain, &text);
    return hash_text(text_get(&text), text.n);
}

const TunedKernel *tuning_find(const Tuning *t, uint64_t key) {
    for (int i = 0; t && i < t->kernels.n; i++)
        if (t->kernels.at[i].key == key) return &t->kernels.at[i];
    return NULL;
}

const TunedPanel *tuning_find_panel(const Tuning *t, const char *name) {
    for (int i = 0; t && i < t->panels.n; i++)
        if (!strcmp(t->panels.at[i].name, name)) return &t->panels.at[i];
    return NULL;
}

const char *tuning_panel_name(Arena *arena, const DimTable *dims, const Var *v, int64_t rows) {
    Text text = text_new(arena);
    type_print(dims, v->type, &text);
    for (int d = 0; d < v->type.rank; d++) text_add(&text, "%s%d", d ? "," : " order=", v->order[d]);
    text_add(&text, " rows=%lld", (long long)rows);
    return text_get(&text);
}

void tuning_add(Arena *arena, Tuning *t, const TunedKernel *k) {
    for (int i = 0; i < t->kernels.n; i++) {
        if (t->kernels.at[i].key != k->key) continue;
        t->kernels.at[i] = *k;
        return;
    }
    vec_push(arena, &t->kernels, *k);
}

void tuning_add_panel(Arena *arena, Tuning *t, const TunedPanel *p) {
    for (int i = 0; i < t->panels.n; i++) {
        if (strcmp(t->panels.at[i].name, p->name)) continue;
        t->panels.at[i] = *p;
        return;
    }
    vec_push(arena, &t->panels, *p);
}

/* ---------------------------------------------------------------------------- applying */

void tuning_take(KSchedule *to, const KSchedule *from) {
    int count;
    const ScheduleField *fields = schedule_fields(&count);
    for (int i = 0; i < count; i++)
        if (fields[i].tuned) schedule_set(to, &fields[i], schedule_get(from, &fields[i]));
}

/* Why the kernel's schedule cannot be, or null. */
static const char *fault_of(KModule *m, Kernel *k, const Target *target, Arena *scratch) {
    FaultList faults = {0};
    KernelVerifier verifier = {.module = m, .scratch = scratch, .faults = &faults};
    if (k->form != KERNEL_CONTRACT) return "it is no contraction";
    const char *fault = schedule_contract_fault(k, target, scratch);
    if (fault) return fault;
    k->schedule.scratch = kernel_panels(k).bytes;
    verify_kernel(&verifier, k);
    if (!faults.n) return NULL;
    const char *colon = strstr(faults.at[0].text, ": ");
    return colon ? colon + 2 : faults.at[0].text;
}

void tuning_apply(const Tuning *t, KModule *m, const Target *target, Diags *diags, Arena *scratch) {
    for (int i = 0; t && i < m->kernels.n; i++) {
        Kernel *k = m->kernels.at[i], other = *k;
        const TunedKernel *known = tuning_find(t, tuning_key(&m->dims, k, scratch));
        if (!known || !known->scheduled) continue;
        tuning_take(&other.schedule, &known->schedule);
        const char *fault = fault_of(m, &other, target, scratch);
        if (fault) diag_report(diags, DL0803, known->span, "the schedule does not fit kernel %s: %s", k->name, fault);
        else k->schedule = other.schedule;
    }
}
