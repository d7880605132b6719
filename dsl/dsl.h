/* The front end: a model's source in, a graph module out.
 *
 * dsl_compile parses, checks and elaborates. The module has one Func for each `export fn` of the model and
 * an init Func that computes every variable from the seed. Whatever is wrong is in Diags; with errors there
 * the result is null. Nothing here reads files or prints: imports come through DslOptions.files. */
#ifndef DLCC_DSL_DSL_H
#define DLCC_DSL_DSL_H

#include "ir/graph.h"

/* A hyper-parameter set from outside: -D name=value. */
typedef struct DslDefine {
    const char *name, *value;
} DslDefine;

/* How imports are read. `read` returns the file's text in the arena, or null if it cannot. Paths of imports
 * are relative to the importing file. */
typedef struct DslFiles {
    void *user;
    const char *(*read)(void *user, Arena *arena, const char *path, size_t *length);
} DslFiles;

typedef struct DslOptions {
    const DslDefine *defines;
    int define_count;
    DType num;                 /* what `num` stands for: f32, f64, f16 or bf16 */
    bool in_double;            /* for gradient checks: `num` and f32 are f64 */
    const char *model;         /* which model of the file; null: the only one */
    DslFiles files;
} DslOptions;

static inline DslOptions dsl_default_options(void) { return (DslOptions){.num = DTYPE_F32}; }

/* Compiles a source. All memory, the result's too, is the arena's; texts must outlive it. */
Module *dsl_compile(Arena *arena, Interner *names, Diags *diags, const char *path, const char *text, size_t length,
                    const DslOptions *options);

/* Parses alone and prints the syntax tree (--emit=ast). False if there were errors. */
bool dsl_print_ast(Arena *arena, Interner *names, Diags *diags, const char *path, const char *text, size_t length,
                   Text *to);

/* The source in its one form (dlcc fmt): *to receives it. False if there were errors; without any it is
 * a bug: the form does not read as the source does. */
bool dsl_format(Arena *arena, Interner *names, Diags *diags, const char *path, const char *text, size_t length,
                Text *to);

/* What the standard library holds (--list). */
typedef enum DslSort {
    DSL_LAYERS, DSL_ACTIVATIONS, DSL_LOSSES, DSL_OPTIMIZERS, DSL_SCHEDULES, DSL_INITIALIZERS, DSL_METRICS, DSL_FUNCTIONS,
    DSL_SORT_COUNT
} DslSort;

typedef struct DslEntry {
    const char *name;
    const char *signature;     /* "Linear(in: int, out: int, bias: bool = true)" */
    const char *call;          /* of a layer, "(x: num[.., in]) -> num[.., out]"; else null */
    const char *doc;           /* may be null */
    const char *path;          /* "std/nn.dl" */
    int line;
} DslEntry;

const char *dsl_sort_name(DslSort sort);               /* "layers" */
/* Entries of one sort, by name. */
const DslEntry *dsl_list(Arena *arena, Interner *names, DslSort sort, int *count);

#endif
