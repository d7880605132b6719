/* Link: from an object to a shared object that holds the runtime. */
#ifndef DLCC_CODEGEN_LINK_H
#define DLCC_CODEGEN_LINK_H

#include "target/target.h"

typedef struct LinkOptions {
    const Target *target;
    bool cross;                /* not for this machine: `cc` is named by the triple */
    const char *cc;            /* the C compiler to link with; null: "cc" or "TRIPLE-gcc" */
    const char *runtime;       /* libdlrt.a for the target */
    const char *output;        /* the .so to write, whole or not at all */
    const char *object;        /* the object's bytes */
    size_t object_bytes;
    bool debug;                /* keep the object's line tables */
} LinkOptions;

/* False if the linker cannot be run or fails: *why holds what it said. */
bool link_shared(Arena *arena, const LinkOptions *options, const char **why);

/* libdlrt.a for the target, found from where the compiler's program lies: in a build tree or installed. Null
 * if there is none: *why lists where it was looked for. */
const char *link_find_runtime(Arena *arena, const char *program, const Target *target, bool cross, const char **why);

#endif
