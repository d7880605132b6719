/* recompute: computes values again instead of keeping them, so that a function needs less workspace.
 *
 * In: functions whose bodies are fused, and with the option `live` how many bytes of the workspace may be alive at once.
 * Out: the same functions, the bodies new ones, in which ops that made values of the forward pass run once more before
 * those that read them late, until no more than that is estimated to be alive, or nothing helps any more. Without the
 * option nothing changes. The driver looks at what lowering and placing make of it, and asks again (driver/budget.c).
 *
 * After `fuse` a value of the body is a buffer of the workspace and an op is a kernel: what a change saves and costs is
 * known, and what is computed again is the forward pass's own kernel, or a part of it, with the same bits. */
#include "pass/recompute.h"

#include <stdlib.h>

enum { MOST_STEPS = 4000 };

static void recompute_func(PassContext *c, Func *f, int64_t limit) {
    Region *old = f->body;
    Line l = line_new(f, c->scratch);
    line_measure(&l);
    if (line_peak(&l) <= limit) {
        f->body = old;
        return;
    }
    for (int i = 0; i < MOST_STEPS && line_peak(&l) > limit && line_improve(&l, limit); i++) line_measure(&l);
    line_tidy(&l, true);
}

void pass_recompute(PassContext *c, Module *m) {
    const char *live = pass_option(c, "live");
    int64_t limit = live ? strtoll(live, NULL, 10) : -1;
    for (int i = 0; limit >= 0 && i < m->funcs.n; i++) recompute_func(c, m->funcs.at[i], limit);
}
