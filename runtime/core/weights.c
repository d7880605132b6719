/* weights.c - weight files: parameters and state, and nothing of training.
 *
 * In: an open model and a path. Out: the file, or the model with the file's weights. Saving is a reader
 * of the model, loading its writer. A checkpoint may be loaded as well: its weights are taken, after
 * their checksums, and the rest is left.
 */
#include "core.h"

enum { WEIGHTS = 1u << DLRT_VAR_PARAM | 1u << DLRT_VAR_STATE };

static DlrtStatus fail_null(Model *model, Message *m) {
    dlrt_say(m, "the path is null");
    return dlrt_model_fail(model, DLRT_ERR_NULL, m);
}

DlrtStatus dlrt_weights_save(DlrtModel *handle, const char *path) {
    Model *model = (Model *)handle;
    char text[DLRT_MESSAGE_BYTES];
    Message m = dlrt_message_in(text, sizeof text);
    if (!path) return fail_null(model, &m);
    if (!dlrt_model_share(model)) return dlrt_model_fail(model, dlrt_busy(&m, false), &m);
    Blocks blocks = {{model->weights, model->weights, NULL, NULL}};
    DlrtStatus status = dlrt_tensors_write(model, path, WEIGHTS, &blocks, NULL, &m);
    dlrt_model_unshare(model);
    return dlrt_model_fail(model, status, &m);
}

DlrtStatus dlrt_weights_load(DlrtModel *handle, const char *path) {
    Model *model = (Model *)handle;
    char text[DLRT_MESSAGE_BYTES];
    Message m = dlrt_message_in(text, sizeof text);
    State state = {0};
    if (!path) return fail_null(model, &m);
    if (!dlrt_model_seize(model)) return dlrt_model_fail(model, dlrt_busy(&m, true), &m);
    Blocks blocks = {{model->weights, model->weights, NULL, NULL}};
    DlrtStatus status = dlrt_tensors_read(model, path, WEIGHTS, &blocks, &state, false, &m);
    dlrt_model_changed(model);
    if (!status) dlrt_model_prepare(model, &m); /* if there is no memory for it, the next call tries again */
    dlrt_model_unseize(model);
    return dlrt_model_fail(model, status, &m);
}
