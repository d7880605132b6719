/* open_file.c - a model from a shared object.
 *
 * In: the path of a .so that dlcc wrote. Out: the model, opened by the runtime inside that object. A file
 * of its own in the library, so that only programs which use it need the dynamic loader. The object stays
 * loaded for the life of the process.
 */
#include "core.h"
#include <dlfcn.h>
#include <string.h>

/* dlopen looks for bare names in the system's folders; a file beside us is meant. */
static DlrtStatus load_object(const char *path, const DlrtOptions *options, void **object, Message *m) {
    DlrtAllocator a = dlrt_allocator(options->allocator);
    size_t bytes = strlen(path) + 3;
    char *name = dlrt_allocate(&a, bytes);
    if (!name) return dlrt_out_of_memory(m, (int64_t)bytes);
    memcpy(name, "./", 2);
    memcpy(name + 2, path, bytes - 2);
    *object = dlopen(strchr(path, '/') ? path : name, RTLD_NOW | RTLD_LOCAL);
    dlrt_release(&a, name, bytes);
    if (*object) return DLRT_OK;
    const char *reason = dlerror();
    if (!reason || strncmp(reason, path, strlen(path))) dlrt_say(m, "%s: ", path);
    dlrt_say(m, "%s", reason ? reason : "cannot be loaded");
    return DLRT_ERR_IO;
}

DlrtStatus dlrt_open_file(const char *path, const DlrtOptions *given, DlrtModel **model, char *message,
                          size_t message_bytes) {
    DlrtOptions options = {0};
    void *object = NULL;
    if (given) options = *given;
    if (message) options.message = message, options.message_bytes = message_bytes;
    Message m = dlrt_message_in(options.message, options.message ? options.message_bytes : 0);
    if (model) *model = NULL;
    if (!path || !model) return DLRT_ERR_NULL;
    DlrtStatus status = load_object(path, &options, &object, &m);
    if (status) return status;
    const DlrtModule *module = dlsym(object, "dlrt_module");
    if (!module) {
        dlrt_say(&m, "%s: is no model compiled by dlcc (it has no dlrt_module)", path);
        return DLRT_ERR_FORMAT;
    }
    if (module->abi_version != DLRT_ABI_VERSION) {
        dlrt_say(&m, "%s: speaks ABI version %d, this program %d", path, module->abi_version, DLRT_ABI_VERSION);
        return DLRT_ERR_ABI;
    }
    return module->open(module->info, &options, model);
}
