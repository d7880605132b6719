/* Runs golden files: golden_dsl [--update] FILE...
 *
 * A file is a source, then a line "// expect" and the expected output, each line behind "// ". Lines
 * "// run: OPTION..." at the top give options: -DNAME=VALUE, --f64, --model=NAME, --ast (print the tree),
 * --graph (print the module), --length=N (the source is filled with line ends up to N bytes), --compile (the whole
 * compiler, down to an object; IR text, .ir, is always compiled so), and of the whole compiler --cpu=, --target=, -O0,
 * --memory-budget=BYTES, --tune=FILE and --tuned=FILE, files beside this one. The output is all diagnostics, then what
 * was asked for, then "compiles" if there was no error. The compiler does not see the expectation. --update writes it anew. */
#include "base/file.h"
#include "dlcc.h"
#include "dsl/dsl.h"
#include "ir/print.h"
#include "ir/verify.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST_DEFINES = 8, MOST_ARGUMENTS = 8 };
static const char marker[] = "// expect\n";

typedef struct Case {
    const char *path, *folder, *name;
    char *text;                /* the whole file */
    size_t length, source;     /* bytes of the file, and of the source in it */
    DslOptions options;
    DslDefine defines[MOST_DEFINES];
    bool ast, graph, compile;
    const char *arguments[MOST_ARGUMENTS]; /* of the whole compiler */
    int argument_count;
    size_t fill;               /* bytes that the source has at least */
} Case;

static char *read_all(const char *path, size_t *length) {
    FILE *f = fopen(path, "rb");
    if (!f) return NULL;
    fseek(f, 0, SEEK_END);
    long size = ftell(f);
    rewind(f);
    char *text = malloc((size_t)size + 1);
    *length = fread(text, 1, (size_t)size, f);
    text[*length] = 0;
    fclose(f);
    return text;
}

/* Imports lie beside the file. */
static const char *read_import(void *user, Arena *arena, const char *path, size_t *length) {
    const Case *c = user;
    char *text = read_all(arena_printf(arena, "%s/%s", c->folder, path), length);
    if (!text) return NULL;
    char *end = strstr(text, marker);
    if (end) *length = (size_t)(end - text);
    const char *copy = arena_text(arena, text, *length);
    free(text);
    return copy;
}

/* Options that go to the whole compiler as they are, but for files. */
static bool takes_argument(Case *c, Arena *a, const char *option) {
    static const char *const names[] = {"--tuned=", "--tune=", "--cpu=", "--target=", "--memory-budget=", "-O0"};
    for (int i = 0; i < 6 && c->argument_count < MOST_ARGUMENTS; i++) {
        size_t n = strlen(names[i]);
        if (strncmp(option, names[i], n)) continue;
        c->arguments[c->argument_count++] = i < 2 ? arena_printf(a, "%s%s/%s", names[i], c->folder, option + n) : option;
        return true;
    }
    return false;
}

static void read_option(Case *c, Arena *a, const char *option) {
    const char *equals = strchr(option, '=');
    if (!strncmp(option, "-D", 2) && equals && c->options.define_count < MOST_DEFINES)
        c->defines[c->options.define_count++] =
            (DslDefine){arena_text(a, option + 2, (size_t)(equals - option - 2)), equals + 1};
    else if (!strcmp(option, "--f64")) c->options.num = DTYPE_F64, c->options.in_double = true;
    else if (!strncmp(option, "--model=", 8)) c->options.model = equals + 1;
    else if (!strcmp(option, "--ast")) c->ast = true;
    else if (!strcmp(option, "--graph")) c->graph = true;
    else if (!strcmp(option, "--compile")) c->compile = true;
    else if (!strncmp(option, "--length=", 9)) c->fill = strtoul(equals + 1, NULL, 10);
    else if (!takes_argument(c, a, option)) printf("# %s: unknown option %s\n", c->name, option);
}

static void read_options(Case *c, Arena *a) {
    static const char run[] = "// run: ";
    for (const char *line = c->text; !strncmp(line, run, sizeof run - 1);) {
        const char *end = strchr(line, '\n');
        if (!end) return;
        for (const char *at = line + sizeof run - 1; at < end;) {
            size_t n = strcspn(at, " \n");
            if (n) read_option(c, a, arena_text(a, at, n));
            at += n + 1;
        }
        line = end + 1;
    }
}

static bool open_case(Case *c, Arena *a, const char *path) {
    const char *slash = strrchr(path, '/');
    *c = (Case){.path = path, .options = dsl_default_options()};
    c->folder = slash ? arena_text(a, path, (size_t)(slash - path)) : ".";
    c->name = slash ? slash + 1 : path;
    c->text = read_all(path, &c->length);
    if (!c->text) return false;
    char *end = strstr(c->text, marker);
    c->source = end ? (size_t)(end - c->text) : c->length;
    size_t name = strlen(c->name);
    c->compile = name > 3 && !strcmp(c->name + name - 3, ".ir");
    c->options.defines = c->defines;
    c->options.files = (DslFiles){c, read_import};
    read_options(c, a);
    return true;
}

/* The source, filled up. */
static const char *source_of(const Case *c, Arena *a, size_t *length) {
    *length = c->fill > c->source ? c->fill : c->source;
    char *text = arena_alloc(a, *length + 1);
    memset(text, '\n', *length);
    memcpy(text, c->text, c->source);
    text[*length] = 0;
    return text;
}

/* The text without every mention of the folder. */
static const char *without_folder(Arena *a, const char *text, const char *folder) {
    Text t = text_new(a);
    for (const char *found; (found = strstr(text, folder)); text = found + strlen(folder))
        text_append(&t, text, (size_t)(found - text));
    text_append(&t, text, strlen(text));
    return text_get(&t);
}

/* What the whole compiler says, in a folder made for it. */
static const char *compiler_output(Case *c, Arena *a) {
    char folder[] = "/tmp/dlcc-golden-XXXXXX";
    if (!mkdtemp(folder)) return "no folder\n";
    size_t length;
    const char *why, *source = source_of(c, a, &length), *path = arena_printf(a, "%s/%s", folder, c->name);
    const char *object = arena_printf(a, "%s/out.o", folder);
    DlccOptions options;
    DlccOutput output;
    Arena scratch;
    arena_init(&scratch, a->out_of_memory);
    if (!file_write(a, path, source, length, &why)) return why;
    const char *arguments[3 + MOST_ARGUMENTS] = {path, "-o", object};
    memcpy(arguments + 3, c->arguments, sizeof c->arguments);
    DlccStatus status = dlcc_parse(a, 3 + c->argument_count, arguments, &options, &output);
    if (!status) status = dlcc_run(a, &scratch, &options, &output);
    arena_reset(&scratch);
    unlink(path);
    unlink(object);
    rmdir(folder);
    text_add(&output.said, "%s", status ? "" : "compiles\n");
    const char *said = without_folder(a, text_get(&output.said), arena_printf(a, "%s/", folder));
    return without_folder(a, said, arena_printf(a, "%s/", c->folder));
}

/* What the front end says, in the arena. */
static const char *output_of(Case *c, Arena *a) {
    Interner names;
    Diags diags;
    FaultList faults = {0};
    Text out = text_new(a), tree = text_new(a);
    intern_init(&names, a);
    diags_init(&diags, a);
    size_t length;
    const char *source = source_of(c, a, &length);
    Module *m = NULL;
    bool good;
    if (c->ast) good = dsl_print_ast(a, &names, &diags, c->name, source, length, &tree);
    else good = (m = dsl_compile(a, &names, &diags, c->name, source, length, &c->options)) != NULL;
    if (m && module_verify(m, a, &faults)) faults_report(m, &faults, "front end");
    diags_render(&diags, &out, false);
    if (c->graph && m) module_print(m, &tree);
    text_add(&out, "%s%s", text_get(&tree), good && !diags.errors ? "compiles\n" : "");
    return text_get(&out);
}

static const char *as_comment(Arena *a, const char *s) {
    Text t = text_new(a);
    text_add(&t, "%s", marker);
    while (*s) {
        size_t n = strcspn(s, "\n");
        text_add(&t, "//%s%.*s\n", n ? " " : "", (int)n, s);
        s += n + (s[n] == '\n');
    }
    return text_get(&t);
}

static bool update(const Case *c, const char *expected) {
    FILE *f = fopen(c->path, "wb");
    if (!f) return false;
    fwrite(c->text, 1, c->source, f);
    fputs(expected, f);
    return fclose(f) == 0;
}

static bool run_case(const char *path, bool updating) {
    jmp_buf out_of_memory;
    Arena arena;
    arena_init(&arena, &out_of_memory);
    Case c;
    if (setjmp(out_of_memory) || !open_case(&c, &arena, path)) {
        printf("not ok - %s: cannot be read\n", path);
        return false;
    }
    const char *expected = as_comment(&arena, c.compile ? compiler_output(&c, &arena) : output_of(&c, &arena));
    bool good = updating ? update(&c, expected) : !strcmp(c.text + c.source, expected);
    printf("%s - %s\n", good ? "ok" : "not ok", c.name);
    if (!good) printf("# expected:\n%s# found:\n%s", c.text + c.source, expected);
    free(c.text);
    arena_reset(&arena);
    return good;
}

int main(int argc, char **argv) {
    bool updating = argc > 1 && !strcmp(argv[1], "--update");
    int bad = 0;
    for (int i = 1 + updating; i < argc; i++) bad += !run_case(argv[i], updating);
    return bad != 0;
}
