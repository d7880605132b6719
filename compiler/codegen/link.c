/* Link: see link.h.
 *
 * The platform's C compiler does the linking, since it alone knows where libc is. Nothing of this run gets into
 * the result: the soname is the output's name, there is no build id and no debug information, and the
 * runtime's symbols stay inside. */
#include "codegen/link.h"

#include "base/file.h"
#include "base/text.h"
#include "base/vec.h"

#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* "aarch64-linux-gnu" for "aarch64-unknown-linux-gnu": how distributions name cross tools and folders. */
static const char *system_name(Arena *arena, const char *triple) {
    const char *rest = strstr(triple, "-linux"), *dash = strchr(triple, '-');
    return rest && dash ? arena_printf(arena, "%.*s%s", (int)(dash - triple), triple, rest) : triple;
}

/* ------------------------------------------------------------------------ runtime */

const char *link_find_runtime(Arena *arena, const char *program, const Target *target, bool cross, const char **why) {
    const char *system = system_name(arena, target->triple);
    const char *arch = arena_text(arena, target->triple, strcspn(target->triple, "-"));
    const char *up = arena_printf(arena, "%.*s..", (int)(file_name(program) - program), program);
    VEC(const char *) places = {0};
    vec_push(arena, &places, arena_printf(arena, "%s/lib/dlcc/%s/libdlrt.a", up, arch));
    vec_push(arena, &places, arena_printf(arena, "%s/lib/%s/libdlrt.a", up, system));
    vec_push(arena, &places, arena_printf(arena, "%s/../runtime-%s/libdlrt.a", up, arch));
    if (!cross) {
        vec_push(arena, &places, arena_printf(arena, "%s/lib/libdlrt.a", up));
        vec_push(arena, &places, arena_printf(arena, "%s/lib64/libdlrt.a", up));
        vec_push(arena, &places, arena_printf(arena, "%s/../runtime/libdlrt.a", up));
    }
    Text text = text_new(arena);
    text_add(&text, "there is no runtime for %s: give one with --runtime=PATH", system);
    if (cross) text_add(&text, ", or build dlcc with -DDLCC_CROSS_RUNTIMES=%s, which needs %s-gcc", system, system);
    text_add(&text, "; looked for");
    for (int i = 0; i < places.n; i++) {
        if (!access(places.at[i], R_OK)) return places.at[i];
        text_add(&text, "%s %s", i ? "," : "", places.at[i]);
    }
    *why = text_get(&text);
    return NULL;
}

/* ------------------------------------------------------------------------ process */

/* What the child writes, up to the end of the pipe; keeps the first part. */
static const char *drain(Arena *arena, int pipe_end) {
    char buffer[4096];
    Text text = text_new(arena);
    ssize_t got;
    while ((got = read(pipe_end, buffer, sizeof buffer)) > 0 || (got < 0 && errno == EINTR))
        if (got > 0 && text.n < 1 << 16) text_append(&text, buffer, (size_t)got);
    return text_get(&text);
}

/* Starts the program with its output and messages going to the pipe; 0 or an error number. */
static int start(pid_t *child, char *const *argv, const int *ends) {
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO);
    posix_spawn_file_actions_addclose(&actions, ends[0]);
    posix_spawn_file_actions_addclose(&actions, ends[1]);
    int error = posix_spawnp(child, argv[0], &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    return error;
}

static bool run(Arena *arena, char *const *argv, const char **why) {
    int ends[2], status = 0;
    pid_t child;
    if (pipe(ends)) {
        *why = arena_printf(arena, "cannot run %s: %s", argv[0], strerror(errno));
        return false;
    }
    int error = start(&child, argv, ends);
    close(ends[1]);
    const char *said = error ? "" : drain(arena, ends[0]);
    close(ends[0]);
    if (error) {
        *why = arena_printf(arena, "cannot run %s, which links shared objects: %s (--cc=PROGRAM names another)",
                            argv[0], strerror(error));
        return false;
    }
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
    if (WIFEXITED(status) && !WEXITSTATUS(status)) return true;
    *why = arena_printf(arena, "%s could not link the model:\n%s", argv[0], said);
    return false;
}

/* --------------------------------------------------------------------------- link */

static bool run_linker(Arena *arena, const LinkOptions *o, const char *object, const char *shared, const char **why) {
    const char *system = system_name(arena, o->target->triple);
    const char *cc = o->cc ? o->cc : o->cross ? arena_printf(arena, "%s-gcc", system) : "cc";
    const char *argv[] = {cc, "-shared", "-o", shared, object, o->runtime, "-lm",
                          arena_printf(arena, "-Wl,-soname,%s", file_name(o->output)), "-Wl,--build-id=none",
                          "-Wl,--exclude-libs,ALL", "-Wl,--gc-sections", "-Wl,--as-needed", "-Wl,-z,defs",
                          "-Wl,-z,noexecstack", "-Wl,-z,relro", "-Wl,-z,now", "-Wl,-z,noseparate-code",
                          o->debug ? NULL : "-Wl,--strip-debug", NULL};
    return run(arena, (char *const *)argv, why);
}

bool link_shared(Arena *arena, const LinkOptions *o, const char **why) {
    const char *object = file_temporary(arena, o->output, ".o"), *shared = file_temporary(arena, o->output, ".so");
    bool ok = file_write(arena, object, o->object, o->object_bytes, why) && run_linker(arena, o, object, shared, why);
    if (ok && rename(shared, o->output)) {
        *why = arena_printf(arena, "cannot write %s: %s", o->output, strerror(errno));
        ok = false;
    }
    unlink(object);
    if (!ok) unlink(shared);
    return ok;
}
