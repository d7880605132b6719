/* Outputs: the files that -o asks for.
 *
 * What each is follows from its ending, which is checked before any work. Their bytes are made when everything
 * before has succeeded and written at the very end, each under a temporary name first: a run that fails
 * leaves the files as they were. */
#include "driver/driver.h"

#include "base/file.h"
#include "codegen/header.h"
#include "codegen/link.h"
#include "ir/print.h"

static const struct {
    const char *ending;
    DlccStage stage;
} endings[] = {
    {".so", DLCC_SHARED}, {".o", DLCC_OBJECT}, {".s", DLCC_ASM}, {".ll", DLCC_LLVM},
    {".h", DLCC_HEADER},  {".ir", DLCC_GRAPH}, {".graph", DLCC_GRAPH},
};
enum { ENDING_COUNT = (int)(sizeof endings / sizeof *endings) };

static DlccStage stage_of(const char *path) {
    const char *dot = strrchr(file_name(path), '.');
    for (int i = 0; dot && i < ENDING_COUNT; i++)
        if (!strcmp(dot, endings[i].ending)) return endings[i].stage;
    return DLCC_NOTHING;
}

DlccStatus outputs_plan(Compilation *c) {
    for (int i = 0; i < c->options->outputs.n; i++) {
        OutputFile file = {.path = c->options->outputs.at[i], .stage = stage_of(c->options->outputs.at[i])};
        if (file.stage == DLCC_NOTHING)
            return driver_fail(c, DLCC_USER, "what should %s be? The endings .so .o .s .ll .h .ir say it", file.path);
        vec_push(c->arena, &c->files, file);
    }
    return DLCC_OK;
}

DlccStage outputs_furthest(const Compilation *c) {
    DlccStage furthest = c->options->emit;
    for (int i = 0; i < c->files.n; i++)
        if (c->files.at[i].stage > furthest) furthest = c->files.at[i].stage;
    const DlccOptions *o = c->options;
    bool looks = o->report || o->time_passes || o->dump_all || o->dump_after.n;
    if ((looks || furthest == DLCC_NOTHING) && furthest < DLCC_KERNEL) furthest = o->run.n ? DLCC_GRAPH : DLCC_KERNEL;
    return furthest;
}

/* ------------------------------------------------------------------------ making */

/* The code in a format; made once, however many files want it. */
static DlccStatus make_code(Compilation *c, CodeFormat format, const char **bytes, size_t *n) {
    static const char *const names[] = {
        [CODE_LLVM] = "print llvm", [CODE_ASSEMBLY] = "assembly", [CODE_OBJECT] = "object"};
    CodeBytes *made = &c->made[format];
    const char *why;
    double start = driver_now();
    if (!made->bytes && !code_emit(c->code, format, &made->bytes, &made->n, &why))
        return driver_fail(c, DLCC_BUG, "this is a bug in dlcc: LLVM cannot emit the code: %s", why);
    driver_time(c, names[format], start);
    *bytes = made->bytes;
    *n = made->n;
    return DLCC_OK;
}

static DlccStatus make(Compilation *c, DlccStage stage, const char **bytes, size_t *n) {
    Text text = text_new(c->arena);
    switch (stage) {
    case DLCC_LLVM: return make_code(c, CODE_LLVM, bytes, n);
    case DLCC_ASM: return make_code(c, CODE_ASSEMBLY, bytes, n);
    case DLCC_OBJECT:
    case DLCC_SHARED: return make_code(c, CODE_OBJECT, bytes, n);
    case DLCC_HEADER: text_add(&text, "%s", header_text(c->arena, c->kernels, &c->code_options)); break;
    case DLCC_GRAPH: module_print(c->module, &text); break;
    case DLCC_NOTHING:
    case DLCC_AST:
    case DLCC_KERNEL: break;
    }
    *bytes = text_get(&text);
    *n = text.n;
    return DLCC_OK;
}

DlccStatus output_make(Compilation *c, OutputFile *file) { return make(c, file->stage, &file->bytes, &file->n); }

DlccStatus outputs_make(Compilation *c) {
    DlccStatus status = DLCC_OK;
    const char *bytes = "";
    size_t n = 0;
    for (int i = 0; i < c->files.n && !status; i++) {
        OutputFile *file = &c->files.at[i];
        if (file->stage != DLCC_GRAPH) status = output_make(c, file);
    }
    if (status || (c->options->emit != DLCC_LLVM && c->options->emit != DLCC_ASM)) return status;
    status = make(c, c->options->emit, &bytes, &n);
    if (!status) text_append(&c->output->out, bytes, n);
    return status;
}

void outputs_make_graph(Compilation *c) {
    for (int i = 0; i < c->files.n; i++)
        if (c->files.at[i].stage == DLCC_GRAPH) output_make(c, &c->files.at[i]);
}

/* ----------------------------------------------------------------------- writing */

static DlccStatus write_shared(Compilation *c, const OutputFile *file) {
    const char *why, *runtime = c->options->runtime;
    double start = driver_now();
    if (!runtime) runtime = link_find_runtime(c->arena, c->options->program, c->target, c->cross, &why);
    if (!runtime) return driver_fail(c, DLCC_ENVIRONMENT, "%s", why);
    LinkOptions link = {.target = c->target, .cross = c->cross, .cc = c->options->cc, .runtime = runtime,
                        .output = file->path, .object = file->bytes, .object_bytes = file->n,
                        .debug = c->options->debug};
    if (!link_shared(c->arena, &link, &why)) return driver_fail(c, DLCC_ENVIRONMENT, "%s", why);
    driver_time(c, "link", start);
    return DLCC_OK;
}

/* A path as make reads it: spaces, '#' and '$' escaped. */
static void add_make_path(Text *to, const char *path) {
    for (const char *p = path; *p; p++) {
        if (*p == ' ' || *p == '#') text_add(to, "\\");
        if (*p == '$') text_add(to, "$");
        text_append(to, p, 1);
    }
}

static const char *depend_path(Compilation *c) {
    const char *path = c->files.at[0].path, *name = file_name(path);
    if (c->options->depend_file) return c->options->depend_file;
    return arena_printf(c->arena, "%.*s%s.d", (int)(name - path), path, file_stem(c->arena, path));
}

/* "outputs: files read", and an empty rule for each file read, so that a removed import does not stop make. */
static DlccStatus write_depend(Compilation *c) {
    const char *why;
    Text text = text_new(c->arena);
    for (int i = 0; i < c->files.n; i++) {
        if (i) text_add(&text, " ");
        add_make_path(&text, c->files.at[i].path);
    }
    text_add(&text, ":");
    for (int i = 0; i < c->read.n; i++) {
        text_add(&text, " ");
        add_make_path(&text, c->read.at[i]);
    }
    text_add(&text, "\n");
    for (int i = 1; i < c->read.n; i++) {
        add_make_path(&text, c->read.at[i]);
        text_add(&text, ":\n");
    }
    if (!file_write(c->arena, depend_path(c), text_get(&text), text.n, &why))
        return driver_fail(c, DLCC_ENVIRONMENT, "%s", why);
    return DLCC_OK;
}

DlccStatus output_write(Compilation *c, const OutputFile *file) {
    const char *why;
    if (file->stage == DLCC_SHARED) return write_shared(c, file);
    if (file_write(c->arena, file->path, file->bytes, file->n, &why)) return DLCC_OK;
    return driver_fail(c, DLCC_ENVIRONMENT, "%s", why);
}

/* No output may be another's file, nor one that was read. */
static DlccStatus check_apart(Compilation *c, const char *depend) {
    DlccNames all = {0};
    for (int i = 0; i < c->files.n; i++) vec_push(c->arena, &all, c->files.at[i].path);
    if (depend) vec_push(c->arena, &all, depend);
    for (int i = 0; i < all.n; i++) {
        for (int k = 0; k < i; k++)
            if (file_same(c->arena, all.at[i], all.at[k]))
                return driver_fail(c, DLCC_USER, "%s and %s are one file", all.at[k], all.at[i]);
        for (int k = 0; k < c->read.n; k++)
            if (file_same(c->arena, all.at[i], c->read.at[k]))
                return driver_fail(c, DLCC_USER, "%s would overwrite what is compiled", all.at[i]);
    }
    return DLCC_OK;
}

DlccStatus outputs_write(Compilation *c) {
    bool depend = (c->options->depend || c->options->depend_file) && c->files.n;
    DlccStatus apart = check_apart(c, depend ? depend_path(c) : NULL);
    if (apart) return apart;
    for (int i = 0; i < c->files.n; i++) {
        DlccStatus status = output_write(c, &c->files.at[i]);
        if (status) return status;
    }
    return depend ? write_depend(c) : DLCC_OK;
}
