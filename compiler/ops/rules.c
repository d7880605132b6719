/* What the operators' rules share: see rules.h. */
#include "ops/rules.h"

const char *reason(Module *m, const char *format, ...) {
    va_list args;
    va_start(args, format);
    const char *text = arena_vprintf(m->arena, format, args);
    va_end(args);
    return text;
}

const char *dim_text(Module *m, Dim d) {
    Text text = text_new(m->arena);
    dim_print(&m->dims, d, &text);
    return text_get(&text);
}

const char *value_text(Module *m, const Value *v) { return type_text(&m->dims, v->type, m->arena); }

const char *need_equal_dims(Module *m, const char *name_a, const Value *a, int axis_a, const char *name_b,
                            const Value *b, int axis_b) {
    Dim da = a->type.shape[axis_a], db = b->type.shape[axis_b];
    if (da == db) return NULL;
    return reason(m, "dimension %d of %s is %s, dimension %d of %s is %s", axis_a, name_a, dim_text(m, da), axis_b,
                  name_b, dim_text(m, db));
}

const char *need_axis(Module *m, const char *what, int64_t axis, int rank) {
    if (axis >= 0 && axis < rank) return NULL;
    return reason(m, "%s %lld does not exist: there are %d dimensions, counted from 0", what, (long long)axis, rank);
}

const char *need_axes(Module *m, const char *what, const int64_t *axes, int n, int rank) {
    for (int i = 0; i < n; i++) {
        const char *why = need_axis(m, what, axes[i], rank);
        if (why) return why;
        if (i && axes[i] <= axes[i - 1]) return reason(m, "every %s must be above the one before it", what);
    }
    return NULL;
}

bool axes_contain(const int64_t *axes, int n, int64_t axis) {
    for (int i = 0; i < n; i++)
        if (axes[i] == axis) return true;
    return false;
}

int axes_without(int rank, const int64_t *axes, int n, int64_t *to) {
    int count = 0;
    for (int i = 0; i < rank; i++)
        if (!axes_contain(axes, n, i)) to[count++] = i;
    return count;
}

void set_result(Module *m, Op *op, DType t, int rank, const Dim *shape) {
    op->results[0].type = type_make(m, t, rank, shape);
}
