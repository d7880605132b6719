/* source.c - bytes of a data file, plain or gzip, from front to back.
 *
 * In: a path. Out: bytes, or a reason with file and offset. What a file declares is never allocated on
 * trust: a plain file's size is compared first; of a compressed file, whose true size only shows while it
 * is unpacked, memory grows by doubling along with the bytes that are really there.
 */
#include "tool.h"
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

bool source_fail(Source *s, int64_t offset, const char *format, ...) {
    char reason[400];
    va_list values;
    va_start(values, format);
    vsnprintf(reason, sizeof reason, format, values);
    va_end(values);
    return error_set(s->error, "%s: offset %lld%s: %s", s->path, (long long)offset,
                     s->size < 0 ? " (decompressed)" : "", reason);
}

bool source_open_handle(Source *s, int handle, const char *name, Error *error) {
    struct stat info;
    unsigned char magic[2] = {0};
    *s = (Source){NULL, name, 0, -1, error};
    if (fstat(handle, &info) || !S_ISREG(info.st_mode)) {
        close(handle);
        return error_set(error, "%s: is not a regular file", name);
    }
    bool packed = pread(handle, magic, 2, 0) == 2 && magic[0] == 0x1f && magic[1] == 0x8b;
    if (!packed) s->size = info.st_size;
    s->gz = gzdopen(handle, "rb");
    if (s->gz) return gzbuffer(s->gz, 1 << 17), true;
    close(handle);
    return error_set(error, "%s: out of memory", name);
}

bool source_open(Source *s, const char *path, Error *error) {
    int handle = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    *s = (Source){NULL, path, 0, -1, error};
    if (handle < 0) return error_set(error, "%s: cannot be opened: %s", path, strerror(errno));
    return source_open_handle(s, handle, path, error);
}

void source_close(Source *s) {
    if (s->gz) gzclose(s->gz);
    s->gz = NULL;
}

/* Up to `bytes`; fewer only at the end of the file. -1 with the error set. */
static int64_t read_some(Source *s, void *to, size_t bytes) {
    size_t done = 0;
    while (done < bytes) {
        unsigned part = bytes - done > 1 << 20 ? 1 << 20 : (unsigned)(bytes - done);
        int n = gzread(s->gz, (char *)to + done, part);
        int code = Z_OK;
        const char *reason = n < (int)part ? gzerror(s->gz, &code) : "";
        if (n > 0) done += (size_t)n, s->offset += n;
        if (n < 0 || (code != Z_OK && code != Z_STREAM_END)) {
            const char *path = strstr(reason, ">: "); /* zlib names the file as "<fd:3>" */
            source_fail(s, s->offset, "cannot be read: %s",
                        code == Z_ERRNO ? strerror(errno) : path ? path + 3 : reason);
            return -1;
        }
        if (n < (int)part) break;
    }
    return (int64_t)done;
}

bool source_read(Source *s, void *to, size_t bytes) {
    int64_t start = s->offset, n = read_some(s, to, bytes);
    if (n == (int64_t)bytes) return true;
    return n >= 0 && source_fail(s, start + n, "the file ends here, %lld bytes more were expected",
                                 (long long)bytes - (long long)n);
}

static bool at_end(Source *s) {
    char more;
    int64_t at = s->offset, n = read_some(s, &more, 1);
    if (n == 0) return true;
    return n > 0 && source_fail(s, at, "more bytes follow than the header declares");
}

bool source_read_rest(Source *s, int64_t bytes, void **data) {
    int64_t room = bytes < 1 << 20 ? bytes : 1 << 20, have = 0;
    *data = NULL;
    if (s->size >= 0 && s->size - s->offset != bytes)
        return source_fail(s, s->offset, "the header declares %lld bytes of data, the file has %lld", (long long)bytes,
                           (long long)(s->size - s->offset));
    if (s->size >= 0) room = bytes;
    char *block = malloc(room > 0 ? (size_t)room : 1);
    while (block) {
        int64_t n = read_some(s, block + have, (size_t)(room - have));
        if (n < 0) break;
        have += n;
        if (have < room) {
            source_fail(s, s->offset, "the file ends here; the header declares %lld bytes of data, there are %lld",
                        (long long)bytes, (long long)have);
            break;
        }
        if (have == bytes) {
            if (!at_end(s)) break;
            *data = block;
            return true;
        }
        room = room > bytes / 2 ? bytes : room * 2;
        char *larger = realloc(block, (size_t)room);
        if (!larger) break;
        block = larger;
    }
    if (!s->error->text[0]) error_set(s->error, "%s: out of memory", s->path);
    free(block);
    return false;
}

bool source_read_all(Source *s, char **text, size_t *bytes) {
    size_t room = s->size >= 0 ? (size_t)s->size + 2 : 1 << 16, have = 0;
    char *block = malloc(room);
    while (block) {
        int64_t n = read_some(s, block + have, room - 1 - have);
        if (n < 0) break;
        have += (size_t)n;
        if (have < room - 1) {
            block[have] = 0;
            *text = block, *bytes = have;
            return true;
        }
        char *larger = realloc(block, room *= 2);
        if (!larger) break;
        block = larger;
    }
    if (!s->error->text[0]) error_set(s->error, "%s: out of memory", s->path);
    free(block);
    return false;
}
