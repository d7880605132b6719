/* Passes over graph IR, and the runner.
 *
 * A pass is one function of one signature and one file; passes.def lists them in their order. The runner
 * verifies the module after each, so that a fault is reported with the pass that made it. */
#ifndef DLCC_PASS_PASS_H
#define DLCC_PASS_PASS_H

#include "ir/graph.h"

/* An option of a pass: --pass-option=PASS.KEY=VALUE. */
typedef struct PassOption {
    const char *pass, *key, *value;
} PassOption;

typedef struct PassContext {
    Arena *arena;              /* whole run */
    Arena *scratch;            /* reset after each pass */
    Diags *diags;
    const char *pass;          /* the running one */
    const PassOption *options;
    int option_count;
    const struct Tuning *tuning;           /* what was measured on this processor; may be null */
} PassContext;

typedef void PassFn(PassContext *c, Module *m);

enum PassFlags {
    PASS_NEEDED = 1,           /* code generation relies on it: runs at -O0 too and cannot be skipped */
    PASS_ASKED = 2             /* runs only where it is asked for: alone, or with an option of its own */
};

typedef struct PassInfo {
    const char *name;
    const char *file;
    PassFn *run;
    unsigned flags;
    const char *doc;           /* one line */
} PassInfo;

#define PASS(name, flags, doc) PassFn pass_##name;
#include "pass/passes.def"
#undef PASS

const PassInfo *pass_table(int *count);
const PassInfo *pass_find(const char *name);               /* null if there is none */

/* Whether options say something to the pass. */
bool pass_has_option(const PassOption *options, int n, const PassInfo *pass);
/* The value of an option of the running pass, or null. */
const char *pass_option(const PassContext *c, const char *key);

/* What to run and whom to tell. */
typedef struct PassRun {
    int level;                 /* 0: only needed passes; else all */
    const char *only;          /* this pass alone, at any level; null: the list */
    const char *const *skip;
    int skip_count;
    const PassOption *options;
    int option_count;
    const struct Tuning *tuning;
    /* Called after each pass that ran and left a valid module: for dumps, times, counts. May be null. */
    void (*after)(void *user, const PassInfo *pass, Module *m, double seconds);
    void *user;
} PassRun;

/* Runs the passes over m. False as soon as a pass reported an error or left an invalid module, which is
 * reported as DL0602. The scratch arena is reset. */
bool passes_run(Module *m, Arena *scratch, const PassRun *run);

#endif
