/* recompute: computes values again instead of keeping them, so that a function needs less workspace.
 *
 * In: functions whose bodies are fused, and with the option `live` how many bytes of the workspace may be alive at
 * once. Out: the same functions, the bodies new ones, in which ops that made values of the forward pass run once more before
 * those that read them late, until no more than that is estimated to be alive, or nothing helps any more. Without the
 * option nothing changes. The driver looks at what lowering and placing make of it, and asks again (driver/budget.c).
 *
 * After `fuse` a value of the body is a buffer of the workspace and an op is a kernel: what a change saves and costs is
 * known, and what is computed again is the forward pass's own kernel, or a part of it, with the same bits. */
#include "pass/recompute.h"

#include <stdlib.h>

enum { MOST_STEPS = 2000 };

/* Makes changes, at most so many, until `limit` is kept or nothing helps. Returns after how many least was alive. */
static int improve(Line *l, int64_t limit, int steps) {
    int64_t least = INT64_MAX;
    int best = 0;
    for (int i = 0; i <= steps; i++) {
        line_measure(l);
        if (line_peak(l) < least) {
            least = line_peak(l);
            best = i;
        }
        if (least <= limit || i == steps || !line_improve(l, limit)) break;
    }
    return best;
}

static void recompute_func(PassContext *c, Func *f, int64_t limit) {
    Region *old = f->body;
    Line l = line_new(f, c->scratch);
    line_measure(&l);
    bool fits = line_peak(&l) <= limit;
    if (limit < line_floor(&l)) limit = line_floor(&l);
    int steps = fits ? 0 : improve(&l, limit, MOST_STEPS);
    if (!fits && line_peak(&l) > limit) { /* the last changes only made it worse */
        f->body = old;
        l = line_new(f, c->scratch);
        improve(&l, limit, steps);
    }
    if (!steps) {
        f->body = old;
        return;
    }
    line_tidy(&l, true);
    line_measure(&l);
    f->recomputed = line_recomputed(&l);
}

void pass_recompute(PassContext *c, Module *m) {
    const char *live = pass_option(c, "live");
    int64_t limit = live ? strtoll(live, NULL, 10) : -1;
    for (int i = 0; limit >= 0 && i < m->funcs.n; i++) recompute_func(c, m->funcs.at[i], limit);
}
