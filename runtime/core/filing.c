/* filing.c - reading a file from front to back, and writing one that appears whole or not at all.
 *
 * In: the table of file functions. Out: statuses with the file, the offset and the system's reason in the
 * message. A written file has the name PATH.tmp until all of it is on the disk; then it is renamed and the
 * folder synced. So a crash at any moment leaves the old file or the new one, and a failure removes the
 * temporary one. (The name is fixed, so that crashes do not pile up files; two calls that write the same
 * path at the same time must be kept apart by the caller.)
 */
#include "core.h"
#include <errno.h>
#include <string.h>

static DlrtStatus failed(Message *m, const char *path, const char *what, int error) {
    char reason[128] = "";
    dlrt_say(m, "%s: %s", path, what);
    if (error && !strerror_r(error, reason, sizeof reason)) dlrt_say(m, ": %s", reason);
    return DLRT_ERR_IO;
}

static DlrtStatus no_files(Message *m) {
    dlrt_say(m, "this build of the runtime has no access to files; give DlrtOptions.files");
    return DLRT_ERR_UNSUPPORTED;
}

DlrtStatus dlrt_reader_open(Reader *r, const DlrtFiles *files, const char *path, Message *m) {
    *r = (Reader){files, path, m, -1, 0, 0};
    if (!files->open) return no_files(m);
    errno = 0;
    r->handle = files->open(files->user, path, 0);
    if (r->handle < 0) return failed(m, path, "cannot be opened", errno);
    errno = 0;
    r->size = files->size(files->user, r->handle);
    return r->size < 0 ? failed(m, path, "its size cannot be found", errno) : DLRT_OK;
}

DlrtStatus dlrt_reader_read(Reader *r, void *to, int64_t bytes) {
    unsigned char *at = to;
    while (bytes > 0) {
        size_t part = bytes > (1 << 30) ? (size_t)1 << 30 : (size_t)bytes;
        errno = 0;
        int64_t n = r->files->read(r->files->user, r->handle, at, part);
        if (n < 0 || n > (int64_t)part) return failed(r->m, r->path, "cannot be read", errno);
        if (n == 0) {
            dlrt_say(r->m, "%s: ends at offset %lld, where %lld bytes more were expected", r->path, (long long)r->at,
                     (long long)bytes);
            return DLRT_ERR_FORMAT;
        }
        at += n, r->at += n, bytes -= n;
    }
    return DLRT_OK;
}

void dlrt_reader_close(Reader *r) {
    if (r->handle >= 0) r->files->close(r->files->user, r->handle); /* nothing was written: nothing can be lost */
    r->handle = -1;
}

DlrtStatus dlrt_writer_open(Writer *w, const DlrtFiles *files, const DlrtAllocator *a, const char *path, Message *m) {
    size_t length = strlen(path);
    *w = (Writer){files, a, path, m, NULL, length + 5, -1};
    if (!files->open) return no_files(m);
    w->temporary = dlrt_allocate(a, w->temporary_bytes);
    if (!w->temporary) return dlrt_out_of_memory(m, (int64_t)w->temporary_bytes);
    memcpy(w->temporary, path, length);
    memcpy(w->temporary + length, ".tmp", 5);
    errno = 0;
    w->handle = files->open(files->user, w->temporary, 1);
    return w->handle < 0 ? failed(m, w->temporary, "cannot be created", errno) : DLRT_OK;
}

DlrtStatus dlrt_writer_write(Writer *w, const void *from, int64_t bytes) {
    const unsigned char *at = from;
    while (bytes > 0) {
        size_t part = bytes > (1 << 30) ? (size_t)1 << 30 : (size_t)bytes;
        errno = 0;
        int64_t n = w->files->write(w->files->user, w->handle, at, part);
        if (n <= 0 || n > (int64_t)part) return failed(w->m, w->temporary, "cannot be written", errno);
        at += n, bytes -= n;
    }
    return DLRT_OK;
}

/* Syncs, closes and renames the temporary file. */
static DlrtStatus put_in_place(Writer *w) {
    const DlrtFiles *files = w->files;
    errno = 0;
    if (files->sync(files->user, w->handle)) return failed(w->m, w->temporary, "cannot be synced", errno);
    int handle = w->handle;
    w->handle = -1;
    if (files->close(files->user, handle)) return failed(w->m, w->temporary, "cannot be closed", errno);
    if (files->rename(files->user, w->temporary, w->path))
        return failed(w->m, w->path, "the finished file cannot be renamed to this", errno);
    return DLRT_OK;
}

DlrtStatus dlrt_writer_close(Writer *w, DlrtStatus status) {
    const DlrtFiles *files = w->files;
    bool created = w->handle >= 0;
    if (!status) status = put_in_place(w);
    if (w->handle >= 0) files->close(files->user, w->handle);
    w->handle = -1;
    if (status && created) files->remove(files->user, w->temporary);
    errno = 0;
    if (!status && files->sync_folder(files->user, w->path))
        status = failed(w->m, w->path, "is written, but its folder cannot be synced", errno);
    dlrt_release(w->allocator, w->temporary, w->temporary_bytes);
    w->temporary = NULL;
    return status;
}
