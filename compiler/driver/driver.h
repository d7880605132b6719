/* Driver: what the files of the command line share. dlcc.h is its outside. */
#ifndef DLCC_DRIVER_DRIVER_H
#define DLCC_DRIVER_DRIVER_H

#include "codegen/codegen.h"
#include "dlcc.h"
#include "ir/kernel.h"
#include "pass/pass.h"
#include "pass/tuning.h"

#include <stdio.h>

/* A file to be written when everything has succeeded. */
typedef struct OutputFile {
    const char *path;
    DlccStage stage;
    const char *bytes;
    size_t n;
} OutputFile;

typedef struct CodeBytes {
    const char *bytes;
    size_t n;
} CodeBytes;

typedef struct StepTime {
    const char *name;
    double seconds;
} StepTime;

/* One run of the compiler. */
typedef struct Compilation {
    Arena *arena, *scratch;
    const DlccOptions *options;
    DlccOutput *output;
    Interner names;
    Diags diags;
    const char *text;          /* of the input */
    size_t length;
    uint32_t source;           /* its number in diags, 0 for a .dl */
    DlccNames read;            /* all files read, for -MD */
    const Target *target;
    bool cross;
    const Tuning *tuning;      /* of --tuned, and what --tune has found; null: none */
    CodeOptions code_options;
    Module *module;
    KModule *kernels;
    Code *code;
    CodeBytes made[3];         /* by CodeFormat */
    VEC(OutputFile) files;
    VEC(StepTime) times;
    int dumped;                /* number of the next file of --dump-all */
    const struct PlanNeed *unlimited;  /* --memory-budget: what each function took before it was applied, else null */
} Compilation;

/* Says one line on standard error, "dlcc: ..."; returns the status, for `return driver_fail(...)`. */
__attribute__((format(printf, 3, 4)))
DlccStatus driver_fail(Compilation *c, DlccStatus status, const char *format, ...);
double driver_now(void);
/* The time since `start` goes into --time-passes as a step of that name. */
void driver_time(Compilation *c, const char *name, double start);

/* input.c: reads the input, and a .dl's imports. */
DlccStatus input_read(Compilation *c);
bool input_is_graph(const Compilation *c);
bool input_is_kernels(const Compilation *c);
/* The graph, from the source or from IR text; null if diagnostics tell why not. In double precision for
 * gradient checks. */
Module *input_module(Compilation *c, bool in_double);
/* The kernels from kernel IR's text; null likewise. */
KModule *input_kernels(Compilation *c);

/* compile.c */
DlccStatus driver_compile(Compilation *c);
/* What the options ask for as target. */
DlccStatus driver_find_target(Compilation *c);
/* Compiles c->module, which is not used again, to a shared object at `path`. */
/* Whether kernels may be chained. */
bool driver_wants_chains(const Compilation *c);
DlccStatus driver_link(Compilation *c, const char *path);
/* The graph passes that the options ask for, up to but not including `until` (null: all). */
DlccStatus driver_graph_passes(Compilation *c, const PassInfo *until);
/* A pass alone, with one more option if that is not null; `run` takes its time and dumps what it left. */
DlccStatus driver_try_pass(Compilation *c, const PassInfo *pass, const PassOption *more);
DlccStatus driver_run_pass(Compilation *c, const PassInfo *pass, const PassOption *more);
/* budget.c: --memory-budget, on the fused graph. */
DlccStatus budget_fit(Compilation *c);
/* What a function takes. */
typedef struct PlanNeed {
    int64_t arena_bytes;
    double flops;
} PlanNeed;
/* The kernels of the input, scheduled and placed: what driver_compile does up to there. */
DlccStatus driver_kernels(Compilation *c);
/* tuned.c: --tuned, read into c->tuning. */
DlccStatus tuned_read(Compilation *c);
/* tune.c: --tune, what it finds added to c->tuning and written. */
DlccStatus driver_tune(Compilation *c);
/* select.c: leaves of the module's functions those that --function names. */
DlccStatus select_functions(Compilation *c);
/* outputs.c: what -o asks for, checked before anything is done; then made; then written, all or nothing. */
DlccStatus outputs_plan(Compilation *c);
DlccStage outputs_furthest(const Compilation *c);      /* how far the compilation has to go */
void outputs_make_graph(Compilation *c);      /* .ir: the graph as it is when this is called */
DlccStatus outputs_make(Compilation *c);      /* the others, and --emit of code */
DlccStatus outputs_write(Compilation *c);
/* The same for one file that no -o asked for. */
DlccStatus output_make(Compilation *c, OutputFile *file);
DlccStatus output_write(Compilation *c, const OutputFile *file);
/* dump.c: --dump-after and --dump-all. Pass names are those of passes.def and "lower", "schedule", "chain", "place". */
DlccStatus dump_check(Compilation *c);                 /* are the names known; makes the folder */
DlccStatus dump_graph(Compilation *c, const char *pass);
DlccStatus dump_kernels(Compilation *c, const char *pass);
extern const char *const kernel_pass_names[];          /* ends with a null */
/* bug.c: says that a pass broke the IR, and writes a file that shows it. */
DlccStatus driver_bug(Compilation *c, const PassInfo *pass);
/* report.c */
void report_times(Compilation *c);
const char *size_text(Arena *arena, int64_t bytes);    /* "1.50 MB", "12 bytes" */
void report_kernels(Compilation *c);
/* "12.5 us", from microseconds. */
const char *report_time(Arena *arena, double us);
/* "m 512 x n 256 x k 784" */
void report_axes(const KModule *m, const Kernel *k, Text *to);
/* list.c */
DlccStatus list_run(Compilation *c);
DlccStatus explain_run(Compilation *c);
/* format.c */
DlccStatus driver_format(Compilation *c);
/* check.c */
DlccStatus driver_gradcheck(Compilation *c);

void options_help(Text *to);

#endif
