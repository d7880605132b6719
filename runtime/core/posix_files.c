/* posix_files.c - the default way to files: POSIX calls on the local system.
 *
 * In: a table that may be null. Out: the caller's, or this one; in a build without files
 * (DLRT_NO_FILES) an empty one, and file calls then answer DLRT_ERR_UNSUPPORTED unless the caller gives
 * his own. errno is left as the system set it, for the message.
 */
#include "core.h"

#ifdef DLRT_NO_FILES

DlrtFiles dlrt_files(const DlrtFiles *given) {
    return given ? *given : (DlrtFiles){0};
}

#else

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int open_file(void *user, const char *path, int write) {
    (void)user;
    int flags = write ? O_WRONLY | O_CREAT | O_TRUNC : O_RDONLY;
    int handle;
    do handle = open(path, flags | O_CLOEXEC, 0666);
    while (handle < 0 && errno == EINTR);
    return handle;
}

/* Only regular files have a size to compare with what they declare. */
static int64_t file_size(void *user, int handle) {
    (void)user;
    struct stat s;
    if (fstat(handle, &s)) return -1;
    if (S_ISREG(s.st_mode)) return s.st_size;
    errno = S_ISDIR(s.st_mode) ? EISDIR : ESPIPE;
    return -1;
}

static int64_t read_file(void *user, int handle, void *to, size_t bytes) {
    (void)user;
    ssize_t n;
    do n = read(handle, to, bytes);
    while (n < 0 && errno == EINTR);
    return n;
}

static int64_t write_file(void *user, int handle, const void *from, size_t bytes) {
    (void)user;
    ssize_t n;
    do n = write(handle, from, bytes);
    while (n < 0 && errno == EINTR);
    return n;
}

static int sync_file(void *user, int handle) {
    (void)user;
    return fsync(handle);
}

static int close_file(void *user, int handle) {
    (void)user;
    return close(handle);
}

static int rename_file(void *user, const char *from, const char *to) {
    (void)user;
    return rename(from, to);
}

static int remove_file(void *user, const char *path) {
    (void)user;
    return unlink(path);
}

/* Opens "folder" of "folder/name": as "folder/." in a buffer, "/." for the root, "." without a slash. */
static int sync_folder(void *user, const char *path) {
    (void)user;
    char folder[4096] = ".";
    const char *slash = strrchr(path, '/');
    if (slash) {
        size_t length = (size_t)(slash - path) + 1;
        if (length + 2 > sizeof folder) {
            errno = ENAMETOOLONG;
            return -1;
        }
        memcpy(folder, path, length);
        memcpy(folder + length, ".", 2);
    }
    int handle = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (handle < 0) return -1;
    int failed = fsync(handle);
    if (failed && (errno == EINVAL || errno == ENOTSUP)) failed = 0; /* a file system that has no such thing */
    return close(handle) || failed ? -1 : 0;
}

DlrtFiles dlrt_files(const DlrtFiles *given) {
    if (given && given->open) return *given;
    return (DlrtFiles){NULL,      open_file,  file_size,   read_file,   write_file,
                       sync_file, close_file, rename_file, remove_file, sync_folder};
}

#endif
