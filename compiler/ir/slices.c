/* Slices of a kernel's work: see slices.h. */
#include "ir/slices.h"

#include "ir/kernel_contract.h"
#include "ir/kernel_util.h"

/* A size of the step's kernel over the function's dims. */
static Dim of_function(KModule *m, const PlanStep *s, Dim d);

static Dim symbol_of_function(KModule *m, const PlanStep *s, int id) {
    DimTable *t = &m->graph->dims;
    const DimSymbol *symbol = m->dims.symbols.at[id];
    for (int i = 0; i < s->kernel->dims.n; i++)
        if (s->kernel->dims.at[i] == symbol) return s->dims[i];
    return symbol->of ? dim_div(t, of_function(m, s, symbol->of), symbol->divisor) : dim_const(t, DIM_HUGE);
}

static Dim of_function(KModule *m, const PlanStep *s, Dim d) {
    DimTable *t = &m->graph->dims;
    Dim sum = dim_const(t, 0);
    for (int i = 0; i < d->term_count; i++) {
        Dim product = dim_const(t, d->terms[i].coeff);
        for (int j = 0; j < d->terms[i].n; j++)
            product = dim_mul(t, product, symbol_of_function(m, s, d->terms[i].symbols[j]));
        sum = dim_add(t, sum, product);
    }
    return sum;
}

static Dim extent_of(KModule *m, const PlanStep *s, int axis) { return of_function(m, s, s->kernel->axes.at[axis].extent); }

int64_t slices_chunk(const Kernel *k) {
    int last = kernel_last_axis(k, AXIS_OUTER);
    int64_t most = last < 0 ? 1 : k->axes.at[last].extent->upper, chunk = k->schedule.chunk;
    return chunk > 0 && chunk < most ? chunk : most > 0 ? most : 1;
}

Dim slices_batch(KModule *m, const PlanStep *s) {
    Dim product = NULL;
    for (int a = 0; a < s->kernel->axes.n; a++)
        if (s->kernel->axes.at[a].role == AXIS_BATCH)
            product = product ? dim_mul(&m->graph->dims, product, extent_of(m, s, a)) : extent_of(m, s, a);
    return product;
}

/* The axes that items are numbered by, the slowest first; their number. */
static int item_axes(const Kernel *k, int *axes) {
    int n = 0;
    if (k->form == KERNEL_CONTRACT) return kernel_outer_axes(k, axes);
    for (int a = 0; a < k->axes.n; a++)
        if (k->axes.at[a].role == AXIS_OUTER && !(kernel_grouped(k) >> a & 1)) axes[n++] = a;
    return n;
}

static int64_t gcd(int64_t a, int64_t b) { return b ? gcd(b, a % b) : a; }

/* Items are chunks of the last outer axis: where slices meet within it, so have chunks to. With several outer axes each
 * chunk is a run of its own, which should not be shorter than a vector. */
static bool fit_chunk(const Kernel *k, bool single, Slices *to) {
    const KSchedule *s = &k->schedule;
    int last = kernel_last_axis(k, AXIS_OUTER);
    if (to->axes[to->n - 1] != last) return true;
    to->chunk = gcd(slices_chunk(k), dim_common_factor(to->inside));
    return to->chunk == slices_chunk(k) || single || s->vector_axis != last;
}

bool slices_find(KModule *m, const PlanStep *step, Dim count, Slices *to) {
    DimTable *t = &m->graph->dims;
    const Kernel *k = step->kernel;
    int *axes = arena_array(m->arena, int, k->axes.n + 1), n = item_axes(k, axes);
    Dim *parts = arena_array(m->arena, Dim, n + 1), left = count;
    *to = (Slices){.step = step, .count = count, .axes = axes, .parts = parts};
    if (dim_overflowed(count) || count->lower < 0) return false;
    while (to->n < n && !to->inside) {
        Dim extent = extent_of(m, step, axes[to->n]), more = dim_over(t, left, extent);
        bool ends = extent == left || !more;
        parts[to->n++] = ends ? left : extent;
        if (ends) to->inside = extent == left ? dim_const(t, 1) : dim_over(t, extent, left);
        if (ends && !to->inside) return false;
        left = more;
    }
    if (!to->inside || dim_overflowed(to->inside)) return false;
    return k->form == KERNEL_LOOPS ? fit_chunk(k, n == 1, to) : dim_is(to->inside, 1);
}

/* Whether the points of a slice reach from an access's offset to no element behind the slice's `length`. */
static bool stays_inside(KModule *m, const Slices *s, const KAccess *x, Dim length) {
    DimTable *t = &m->graph->dims;
    Dim one = dim_const(t, 1), reach = of_function(m, s->step, x->offset);
    if (reach->lower < 0) return false;
    for (int a = 0; a < s->step->kernel->axes.n; a++) {
        Dim stride = of_function(m, s->step, x->strides[a]), extent = extent_of(m, s->step, a);
        if (stride->lower < 0) return false;
        for (int i = 0; i < s->n; i++)
            if (s->axes[i] == a) extent = i == s->n - 1 ? s->inside : one;
        reach = dim_add(t, reach, dim_mul(t, dim_sub(t, extent, one), stride));
    }
    Dim left = dim_sub(t, dim_sub(t, length, one), reach);
    return !dim_overflowed(left) && left->lower >= 0;
}

/* Elements from a slice of the access to the next, the same between all that follow one another; null: they differ. */
static Dim slice_step(KModule *m, const Slices *s, const KAccess *x) {
    DimTable *t = &m->graph->dims;
    Dim length = dim_mul(t, of_function(m, s->step, x->strides[s->axes[s->n - 1]]), s->inside), wide = length;
    for (int i = s->n - 1; i >= 0; i--) {
        if (i < s->n - 1 && of_function(m, s->step, x->strides[s->axes[i]]) != wide) return NULL;
        wide = dim_mul(t, wide, s->parts[i]);
    }
    return dim_overflowed(wide) ? NULL : length;
}

Dim slices_length(KModule *m, const Slices *s, int buf) {
    const Kernel *k = s->step->kernel;
    Dim all = NULL;
    for (int i = 0; i < k->accesses.n; i++) {
        const KAccess *x = &k->accesses.at[i];
        if (s->step->bufs[x->buf] != buf) continue;
        bool moved = s->step->offsets && !dim_is(s->step->offsets[x->buf], 0);
        Dim length = x->index >= 0 || moved ? NULL : slice_step(m, s, x);
        if (!length || (all && all != length) || !stays_inside(m, s, x, length)) return NULL;
        all = length;
    }
    return all;
}
