/* dlcc: the program. Everything it does is in the library (dlcc.h); here are the process's own matters: its
 * arguments, its streams, its memory and its exit status. */
#include "codegen/codegen.h"
#include "dlcc.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void on_fatal_error(const char *reason) {
    fprintf(stderr, "dlcc: this is a bug in dlcc: LLVM gave up: %s\nPlease report it with the model.\n", reason);
    _Exit(DLCC_BUG);
}

/* Where this program lies, for finding the runtime beside it. */
static const char *own_path(Arena *arena, const char *called_as) {
    char path[4096];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
    return n > 0 ? arena_text(arena, path, (size_t)n) : called_as;
}

/* False if the text did not all get out, e.g. into a full disk. */
static bool put(FILE *stream, const Text *text) {
    return fwrite(text_get(text), 1, text->n, stream) == text->n && !fflush(stream);
}

/* Over the line before; an empty one leaves nothing. */
static void show_progress(void *user, const char *line) { fprintf(user, "\r\033[K%s", line); }

static int run(Arena *arena, Arena *scratch, int argc, char **argv) {
    DlccOptions options;
    DlccOutput output;
    DlccStatus status = dlcc_parse(arena, argc - 1, (const char *const *)argv + 1, &options, &output);
    options.program = own_path(arena, argv[0]);
    options.color = isatty(STDERR_FILENO) && !getenv("NO_COLOR");
    if (isatty(STDERR_FILENO)) options.progress = show_progress;
    options.progress_user = stderr;
    if (!status) status = dlcc_run(arena, scratch, &options, &output);
    put(stderr, &output.said);
    if (put(stdout, &output.out) || status) return status;
    fprintf(stderr, "dlcc: cannot write to the standard output\n");
    return DLCC_ENVIRONMENT;
}

int main(int argc, char **argv) {
    static const char message[] = "dlcc: out of memory\n";
    jmp_buf out_of_memory;
    Arena arena, scratch;
    arena_init(&arena, &out_of_memory);
    arena_init(&scratch, &out_of_memory);
    code_on_fatal_error(on_fatal_error);
    if (setjmp(out_of_memory)) {
        fwrite(message, 1, sizeof message - 1, stderr);
        return DLCC_ENVIRONMENT;
    }
    int status = run(&arena, &scratch, argc, argv);
    arena_reset(&scratch);
    arena_reset(&arena);
    return status;
}
