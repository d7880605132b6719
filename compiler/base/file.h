/* Files: read whole, written whole or not at all. */
#ifndef DLCC_BASE_FILE_H
#define DLCC_BASE_FILE_H

#include "base/arena.h"

#include <stdbool.h>

/* The file's bytes with a terminating zero that *n does not count, in the arena. False if it cannot be read, or has more
 * than FILE_MOST bytes, as devices do that never end: *why says so. "-" is the standard input. */
enum { FILE_MOST = 256 << 20 };
bool file_read(Arena *arena, const char *path, const char **bytes, size_t *n, const char **why);

/* Writes the file under a temporary name in its folder, then renames it: it has all of the bytes, or is what it was
 * before. False on failure: *why says so. */
bool file_write(Arena *arena, const char *path, const char *bytes, size_t n, const char **why);

/* Whether two paths are one file, be it there or yet to be written. */
bool file_same(Arena *arena, const char *a, const char *b);

/* A name for a temporary file beside `path`, of this process alone. */
const char *file_temporary(Arena *arena, const char *path, const char *ending);

/* The folder that relative paths start from; "" if it cannot be found. */
const char *file_current_folder(Arena *arena);

/* The last component of a path, and that without its last ending ("a/digits.so": "digits.so", "digits"). */
const char *file_name(const char *path);
const char *file_stem(Arena *arena, const char *path);

#endif
