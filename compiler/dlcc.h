/* dlcc as a library: what the program does, without printing and without ending the process.
 *
 *     DlccOptions options;
 *     DlccOutput output;
 *     DlccStatus status = dlcc_parse(arena, argc, argv, &options, &output);
 *     if (!status) status = dlcc_run(arena, scratch, &options, &output);
 *
 * Everything said is text in `output`; only the files asked for are written. Memory is the arenas', whose
 * handler is where a lack of it ends up. */
#ifndef DLCC_H
#define DLCC_H

#include "base/text.h"
#include "base/vec.h"
#include <stdbool.h>

/* Exit statuses of the program. */
typedef enum DlccStatus {
    DLCC_OK = 0,
    DLCC_ENVIRONMENT = 1,      /* a file, memory or a tool is missing or fails */
    DLCC_USER = 2,             /* the model or the command line is wrong */
    DLCC_BUG = 70              /* the compiler is */
} DlccStatus;

typedef enum DlccCommand {
    DLCC_COMPILE, DLCC_GRADCHECK, DLCC_FORMAT, DLCC_HELP, DLCC_VERSION, DLCC_LIST, DLCC_EXPLAIN
} DlccCommand;

/* How far a compilation has come, and what can be shown or written of it. */
typedef enum DlccStage {
    DLCC_NOTHING, DLCC_AST, DLCC_GRAPH, DLCC_KERNEL, DLCC_HEADER, DLCC_LLVM, DLCC_ASM, DLCC_OBJECT, DLCC_SHARED
} DlccStage;

typedef VEC(const char *) DlccNames;

typedef struct DlccOptions {
    DlccCommand command;
    const char *subject;       /* --list WHAT, --explain CODE */
    const char *input;
    DlccNames more_inputs;     /* fmt: further files */
    bool check;                /* fmt: only say what is not in form */
    DlccNames outputs;         /* -o; the ending says what */
    DlccStage emit;            /* --emit: to standard output */
    DlccNames define_names, define_values;
    const char *num;           /* --num: what `num` stands for; null: f32 */
    const char *model;
    DlccNames functions;       /* compile these exported functions alone; none: all */
    const char *name;          /* prefix of exported symbols; null: from the input's name */

    const char *target, *cpu;
    int level;                 /* -O */
    DlccNames skip;            /* --no-pass */
    bool no_winograd;          /* the same for winograd */
    DlccNames run;             /* --run: these passes alone */
    DlccNames tuning;          /* --pass-option=PASS.KEY=VALUE */
    long long memory_budget;   /* --memory-budget: bytes; 0: none */
    const char *tune;          /* --tune: the file that what was measured goes to; null: nothing is */
    int tune_seconds;
    const char *tuned;         /* --tuned: such a file, to compile by */
    /* Called with a line of what a long command is doing; may be null. */
    void (*progress)(void *user, const char *line);
    void *progress_user;

    DlccNames dump_after;
    const char *dump_all;      /* a folder */
    bool time_passes, report;
    bool profile;              /* the code records what its steps do */
    bool debug;                /* -g: the code has line tables */
    bool depend;               /* -MD */
    const char *depend_file;   /* -MF */

    const char *program;       /* the path of dlcc itself, where the runtime is looked for */
    const char *runtime, *cc;
    bool color;                /* of diagnostics */
    bool json_diagnostics;     /* --diagnostics=json: all that is said is a JSON object a line */

    int check_samples;         /* gradcheck: elements of each input */
    long long seed;
    bool json;                 /* gradcheck: one JSON object a line */
} DlccOptions;

typedef struct DlccOutput {
    Text out, said;            /* for standard output and standard error */
} DlccOutput;

/* Reads a command line (without the program's own name). On a mistake says it, with the nearest option. */
DlccStatus dlcc_parse(Arena *arena, int argc, const char *const *argv, DlccOptions *options, DlccOutput *output);
/* Does it. `scratch` is emptied. */
DlccStatus dlcc_run(Arena *arena, Arena *scratch, const DlccOptions *options, DlccOutput *output);

#endif
