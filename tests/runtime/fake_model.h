/* fake_model.h - a model written by hand as dlcc would write it, to test the runtime without the compiler. */
#ifndef FAKE_MODEL_H
#define FAKE_MODEL_H
#include "dlrt.h"

enum {
    FAKE_PREDICT,
    FAKE_TRAIN,
    FAKE_NOISE,
    FAKE_REMEMBER,
    FAKE_PAIR,
    FAKE_HOOK,
    FAKE_HOOK_WRITES,
    FAKE_NEED,
    FAKE_TOTAL,
    FAKE_EVALUATE,
    FAKE_FUNCTIONS
};

/* What FAKE_HOOK's argument points to: run inside the call. */
typedef struct FakeHook {
    void (*run)(void *user);
    void *user;
} FakeHook;

extern const DlrtModule fake_module;
extern const DlrtModule fake_foreign_module; /* needs a processor that does not exist */
extern const DlrtModule fake_other_module;   /* the same with another fingerprint and shape */

/* What a typed entry point of fake_module does. */
static inline DlrtStatus fake_invoke(DlrtContext *c, int32_t function, void *const *args, void *const *results,
                                     int64_t *dims) {
    return dlrt_invoke(fake_module.info, c, function, args, results, dims);
}
#endif
