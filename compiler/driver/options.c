/* Command line: a table of options, and the reader that goes by it. --help is printed from the same table. */
#include "driver/driver.h"

#include "base/diag.h"

#include <ctype.h>
#include <stdlib.h>

typedef enum OptionAction {
    SET_TEXT, ADD_TEXT, SET_FLAG, SET_COMMAND, SET_EMIT, SET_LEVEL, SET_NUMBER, SET_SEED, SET_FORM, SET_NUM, SET_BYTES, ADD_DEFINE
} OptionAction;

typedef struct OptionSpec {
    const char *name;          /* "--emit", "-o" */
    const char *value;         /* what it takes, for the help; null: nothing */
    OptionAction action;
    size_t at;                 /* the member of DlccOptions */
    int command;
    const char *help;
} OptionSpec;

#define AT(member) offsetof(DlccOptions, member)

static const OptionSpec specs[] = {
    {"-o", "FILE", ADD_TEXT, AT(outputs), 0, "write FILE; .so .o .s .ll .h .ir says what; may be repeated"},
    {"-D", "NAME=VALUE", ADD_DEFINE, 0, 0, "set a hyper-parameter of the model"},
    {"--num", "TYPE", SET_NUM, 0, 0, "what the type `num` is: f32 (default), f64, f16 or bf16"},
    {"--model", "NAME", SET_TEXT, AT(model), 0, "compile this model of several in the file"},
    {"--function", "NAME", ADD_TEXT, AT(functions), 0, "compile this exported function alone; may be repeated"},
    {"--name", "PREFIX", SET_TEXT, AT(name), 0, "prefix of exported symbols (default: the input's name)"},
    {"--target", "TRIPLE", SET_TEXT, AT(target), 0, "compile for another system, e.g. aarch64-linux-gnu"},
    {"--cpu", "NAME", SET_TEXT, AT(cpu), 0, "compile for this processor or family (default: native)"},
    {"-O", "LEVEL", SET_LEVEL, AT(level), 0, "0 to 3 (default 2); 0 runs only the passes that are needed"},
    {"--no-pass", "PASS", ADD_TEXT, AT(skip), 0, "leave out a pass"},
    {"--no-winograd", NULL, SET_FLAG, AT(no_winograd), 0, "no convolution with fewer multiplications and larger errors"},
    {"--run", "PASS", ADD_TEXT, AT(run), 0, "run this pass alone; may be repeated, in order"},
    {"--pass-option", "PASS.KEY=VALUE", ADD_TEXT, AT(tuning), 0, "set an option of a pass"},
    {"--memory-budget", "BYTES", SET_BYTES, AT(memory_budget), 0, "recompute values so that all fits; K, M, G: times 1024, .."},
    {"--tune", "FILE", SET_TEXT, AT(tune), 0, "time schedules of the model's kernels here; the best go to FILE"},
    {"--tune-seconds", "N", SET_NUMBER, AT(tune_seconds), 0, "the time for that (default 60)"},
    {"--tuned", "FILE", SET_TEXT, AT(tuned), 0, "compile by what --tune has found"},
    {"--emit", "LEVEL", SET_EMIT, AT(emit), 0, "print ast, graph, kernel, llvm or asm"},
    {"--dump-after", "PASS", ADD_TEXT, AT(dump_after), 0, "print the IR after a pass"},
    {"--dump-all", "FOLDER", SET_TEXT, AT(dump_all), 0, "write the IR after every pass to a file in FOLDER"},
    {"--time-passes", NULL, SET_FLAG, AT(time_passes), 0, "say how long each step took"},
    {"--report", NULL, SET_FLAG, AT(report), 0, "say which kernels came out: tiles, FLOPs, bytes"},
    {"--profile", NULL, SET_FLAG, AT(profile), 0, "record what each kernel of a call does; dlrun --trace writes it"},
    {"-g", NULL, SET_FLAG, AT(debug), 0, "line tables: debuggers and profilers show the model's source"},
    {"-MD", NULL, SET_FLAG, AT(depend), 0, "write the files read as a make rule, beside the first output"},
    {"-MF", "FILE", SET_TEXT, AT(depend_file), 0, "write that rule to FILE"},
    {"--runtime", "PATH", SET_TEXT, AT(runtime), 0, "the libdlrt.a that goes into a .so"},
    {"--cc", "PROGRAM", SET_TEXT, AT(cc), 0, "the C compiler that links a .so"},
    {"--samples", "N", SET_NUMBER, AT(check_samples), 0, "gradcheck: elements to check of each tensor (default 16)"},
    {"--seed", "N", SET_SEED, AT(seed), 0, "gradcheck: of parameters and data (default 0)"},
    {"--json", NULL, SET_FLAG, AT(json), 0, "gradcheck: print one JSON object a line"},
    {"--check", NULL, SET_FLAG, AT(check), 0, "fmt: change nothing, name the files that are not in form"},
    {"--diagnostics", "FORM", SET_FORM, 0, 0, "text, or json: one object a line on standard error"},
    {"--list", "WHAT", SET_COMMAND, AT(subject), DLCC_LIST, "list ops, passes, targets, layers, losses, ..."},
    {"--explain", "CODE", SET_COMMAND, AT(subject), DLCC_EXPLAIN, "explain a diagnostic, e.g. DL0301"},
    {"--version", NULL, SET_COMMAND, 0, DLCC_VERSION, "print the version"},
    {"--help", NULL, SET_COMMAND, 0, DLCC_HELP, "print this"},
};
enum { SPEC_COUNT = (int)(sizeof specs / sizeof *specs) };

static const char *const emit_names[] = {"ast", "graph", "kernel", "llvm", "asm"};
static const DlccStage emit_stages[] = {DLCC_AST, DLCC_GRAPH, DLCC_KERNEL, DLCC_LLVM, DLCC_ASM};
enum { EMIT_COUNT = (int)(sizeof emit_names / sizeof *emit_names) };

void options_help(Text *to) {
    text_add(to, "Usage: dlcc MODEL.dl -o OUTPUT...\n"
                 "       dlcc MODEL.dl --emit=LEVEL\n"
                 "       dlcc gradcheck MODEL.dl\n"
                 "       dlcc fmt [--check] FILE.dl...\n\n"
                 "Compiles a model to machine code. Instead of MODEL.dl, IR text (.ir, .graph) can be given.\n\n");
    for (int i = 0; i < SPEC_COUNT; i++) {
        bool is_long = specs[i].name[1] == '-';
        char left[40];
        const char *value = specs[i].value ? specs[i].value : "";
        snprintf(left, sizeof left, "%s%s%s", specs[i].name, !*value ? "" : is_long ? "=" : " ", value);
        text_add(to, "  %-28s %s\n", left, specs[i].help);
    }
    text_add(to, "\nExit status: 0 done; 1 a file, memory or a tool failed; 2 the model or the command line is wrong;\n"
                 "70 the compiler is.\n");
}

/* ------------------------------------------------------------------------ reading */

typedef struct Reader {
    Arena *arena;
    DlccOptions *options;
    DlccOutput *output;
} Reader;

static DlccStatus complain(Reader *r, const char *what, const char *nearest) {
    text_add(&r->output->said, "dlcc: %s", what);
    if (nearest) text_add(&r->output->said, "; did you mean %s?", nearest);
    text_add(&r->output->said, "\n");
    return DLCC_USER;
}

static DlccStatus set_emit(Reader *r, const char *value) {
    for (int i = 0; i < EMIT_COUNT; i++) {
        if (strcmp(value, emit_names[i])) continue;
        r->options->emit = emit_stages[i];
        return DLCC_OK;
    }
    return complain(r, arena_printf(r->arena, "--emit takes ast, graph, kernel, llvm or asm, not %s", value),
                    nearest_name(value, emit_names, EMIT_COUNT));
}

static DlccStatus set_form(Reader *r, const char *value) {
    r->options->json_diagnostics = !strcmp(value, "json");
    if (r->options->json_diagnostics || !strcmp(value, "text")) return DLCC_OK;
    return complain(r, arena_printf(r->arena, "--diagnostics takes text or json, not %s", value), NULL);
}

static DlccStatus set_num(Reader *r, const char *value) {
    static const char *const types[] = {"f32", "f64", "f16", "bf16"};
    r->options->num = value;
    for (int i = 0; i < 4; i++)
        if (!strcmp(value, types[i])) return DLCC_OK;
    return complain(r, arena_printf(r->arena, "--num takes f32, f64, f16 or bf16, not %s", value),
                    nearest_name(value, types, 4));
}

static DlccStatus add_define(Reader *r, const char *value) {
    const char *equals = strchr(value, '=');
    if (!equals || equals == value)
        return complain(r, arena_printf(r->arena, "-D takes NAME=VALUE, not \"%s\"", value), NULL);
    for (int i = 0; i < r->options->define_names.n; i++) {
        const char *other = r->options->define_names.at[i];
        if (strlen(other) == (size_t)(equals - value) && !strncmp(other, value, strlen(other)))
            return complain(r, arena_printf(r->arena, "-D gives %s twice", other), NULL);
    }
    vec_push(r->arena, &r->options->define_names, arena_text(r->arena, value, (size_t)(equals - value)));
    vec_push(r->arena, &r->options->define_values, equals + 1);
    return DLCC_OK;
}

static DlccStatus set_number(Reader *r, const OptionSpec *spec, const char *value, long long *to, long long most) {
    char *end;
    *to = strtoll(value, &end, 10);
    if (*value && !*end && *to >= 0 && *to <= most) return DLCC_OK;
    return complain(r, arena_printf(r->arena, "%s takes a number from 0 to %lld, not \"%s\"", spec->name, most, value),
                    NULL);
}

/* "1500000", "64M": K, M and G are 1024 and its powers. */
static DlccStatus set_bytes(Reader *r, const OptionSpec *spec, const char *value, long long *to) {
    static const char units[] = "KMG";
    char *end;
    long long unit = 1;
    *to = strtoll(value, &end, 10);
    const char *letter = *end ? strchr(units, toupper((unsigned char)*end)) : NULL;
    for (int i = 0; letter && i <= letter - units; i++) unit *= 1024;
    bool good = *to > 0 && isdigit((unsigned char)*value) && (letter ? !end[1] : !*end) && *to <= INT64_MAX / unit;
    *to *= good ? unit : 1;
    if (good) return DLCC_OK;
    return complain(r, arena_printf(r->arena, "%s takes a number of bytes, as 1500000, 64M or 2G, not \"%s\"", spec->name,
                                    value), NULL);
}

static DlccStatus apply(Reader *r, const OptionSpec *spec, const char *value) {
    char *member = (char *)r->options + spec->at;
    long long number = 0;
    DlccStatus status = DLCC_OK;
    switch (spec->action) {
    case SET_TEXT: memcpy(member, &value, sizeof value); break;
    case ADD_TEXT: vec_push(r->arena, (DlccNames *)(void *)member, value); break;
    case SET_FLAG: *(bool *)member = true; break;
    case SET_COMMAND:
        r->options->command = (DlccCommand)spec->command;
        r->options->subject = value;
        break;
    case SET_EMIT: return set_emit(r, value);
    case ADD_DEFINE: return add_define(r, value);
    case SET_LEVEL:
        status = set_number(r, spec, value, &number, 3);
        r->options->level = (int)number;
        break;
    case SET_NUMBER:
        status = set_number(r, spec, value, &number, 1000000000);
        *(int *)(void *)member = (int)number;
        break;
    case SET_BYTES: return set_bytes(r, spec, value, (long long *)(void *)member);
    case SET_FORM: return set_form(r, value);
    case SET_NUM: return set_num(r, value);
    case SET_SEED: return set_number(r, spec, value, &r->options->seed, INT64_MAX);
    }
    return status;
}

/* Whether arg is the option, and where its value begins in it: null if it is not in it. */
static bool matches(const OptionSpec *spec, const char *arg, const char **value) {
    size_t n = strlen(spec->name);
    *value = NULL;
    if (strncmp(arg, spec->name, n)) return false;
    if (!arg[n]) return true;
    bool is_short = spec->name[1] != '-' && spec->name[2] == 0;
    if (!spec->value || !(arg[n] == '=' || is_short)) return false;
    *value = arg + n + (arg[n] == '=' && !is_short);
    return true;
}

static DlccStatus unknown_option(Reader *r, const char *arg) {
    const char *names[SPEC_COUNT];
    for (int i = 0; i < SPEC_COUNT; i++) names[i] = specs[i].name;
    const char *bare = arena_text(r->arena, arg, strcspn(arg, "="));
    return complain(r, arena_printf(r->arena, "there is no option %s", bare), nearest_name(bare, names, SPEC_COUNT));
}

/* Reads the option at argv[*i], and its value where that is the next argument. */
static DlccStatus read_option(Reader *r, int argc, const char *const *argv, int *i) {
    const char *value;
    for (int s = 0; s < SPEC_COUNT; s++) {
        if (!matches(&specs[s], argv[*i], &value)) continue;
        if (specs[s].value && !value) {
            if (*i + 1 == argc)
                return complain(r, arena_printf(r->arena, "%s needs %s", specs[s].name, specs[s].value), NULL);
            value = argv[++*i];
        }
        return apply(r, &specs[s], value);
    }
    return unknown_option(r, argv[*i]);
}

DlccStatus dlcc_parse(Arena *arena, int argc, const char *const *argv, DlccOptions *options, DlccOutput *output) {
    Reader r = {arena, options, output};
    *options = (DlccOptions){.level = 2, .check_samples = 16, .tune_seconds = 60};
    *output = (DlccOutput){text_new(arena), text_new(arena)};
    for (int i = 0; i < argc; i++) {
        DlccStatus status = DLCC_OK;
        if (argv[i][0] == '-' && argv[i][1]) status = read_option(&r, argc, argv, &i);
        else if (i == 0 && !strcmp(argv[i], "gradcheck")) options->command = DLCC_GRADCHECK;
        else if (i == 0 && !strcmp(argv[i], "fmt")) options->command = DLCC_FORMAT;
        else if (options->input && options->command == DLCC_FORMAT) vec_push(arena, &options->more_inputs, argv[i]);
        else if (options->input)
            status = complain(&r, arena_printf(arena, "two inputs, %s and %s", options->input, argv[i]), NULL);
        else options->input = argv[i];
        if (status) return status;
    }
    if (options->input || options->command >= DLCC_HELP) return DLCC_OK;
    return complain(&r, "no input; dlcc --help shows what can be said", NULL);
}
