/* Files: see file.h. */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool fail(Arena *arena, const char *verb, const char *path, const char **why) {
    *why = arena_printf(arena, "cannot %s %s: %s", verb, path, strerror(errno));
    return false;
}

/* Reads to the end; the size need not be known, so pipes and devices work. */
static bool read_all(Arena *arena, int handle, const char **bytes, size_t *n) {
    struct stat info;
    size_t room = fstat(handle, &info) || info.st_size <= 0 ? 1 << 14 : (size_t)info.st_size + 1;
    char *buffer = arena_alloc(arena, room + 1);
    *n = 0;
    for (;;) {
        ssize_t got = read(handle, buffer + *n, room - *n);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return false;
        if (!got) break;
        *n += (size_t)got;
        if (*n > FILE_MOST) {
            errno = EFBIG;
            return false;
        }
        if (*n < room) continue;
        char *larger = arena_alloc(arena, room * 2 + 1);
        memcpy(larger, buffer, *n);
        buffer = larger;
        room *= 2;
    }
    buffer[*n] = 0;
    *bytes = buffer;
    return true;
}

bool file_read(Arena *arena, const char *path, const char **bytes, size_t *n, const char **why) {
    bool standard = !strcmp(path, "-");
    int handle = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (handle < 0) return fail(arena, "read", path, why);
    bool ok = read_all(arena, handle, bytes, n) || fail(arena, "read", path, why);
    if (!standard) close(handle);
    return ok;
}

static bool write_all(int handle, const char *bytes, size_t n) {
    while (n) {
        ssize_t put = write(handle, bytes, n);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) return false;
        bytes += put;
        n -= (size_t)put;
    }
    return true;
}

bool file_write(Arena *arena, const char *path, const char *bytes, size_t n, const char **why) {
    const char *temporary = file_temporary(arena, path, "");
    int handle = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (handle < 0) return fail(arena, "write", path, why);
    bool ok = write_all(handle, bytes, n);
    if (close(handle)) ok = false;
    if (ok && !rename(temporary, path)) return true;
    fail(arena, "write", path, why);
    unlink(temporary);
    return false;
}

const char *file_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

const char *file_stem(Arena *arena, const char *path) {
    const char *name = file_name(path), *dot = strrchr(name, '.');
    return arena_text(arena, name, dot && dot != name ? (size_t)(dot - name) : strlen(name));
}

const char *file_temporary(Arena *arena, const char *path, const char *ending) {
    const char *name = file_name(path);
    return arena_printf(arena, "%.*s.%s.%ld%s", (int)(name - path), path, name, (long)getpid(), ending);
}

bool file_same(Arena *arena, const char *a, const char *b) {
    struct stat x, y;
    if (!stat(a, &x) && !stat(b, &y)) return x.st_dev == y.st_dev && x.st_ino == y.st_ino;
    const char *name_a = file_name(a), *name_b = file_name(b);
    if (strcmp(name_a, name_b)) return false;
    const char *folder_a = arena_printf(arena, "./%.*s", (int)(name_a - a), a);
    const char *folder_b = arena_printf(arena, "./%.*s", (int)(name_b - b), b);
    if (*a == '/') folder_a += 2;
    if (*b == '/') folder_b += 2;
    return !stat(folder_a, &x) && !stat(folder_b, &y) && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

const char *file_current_folder(Arena *arena) {
    char *folder = getcwd(NULL, 0);
    const char *copy = folder ? arena_text(arena, folder, strlen(folder)) : "";
    free(folder);
    return copy;
}
