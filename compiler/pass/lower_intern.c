/* lower_intern: structurally equal kernels become one.
 *
 * The dims of the function a kernel comes from are replaced by the kernel's own, named n0, n1, ... with
 * their bounds, in order of appearance; then two kernels are equal if the bytes of their descriptions
 * are. A twelve-layer network so costs about as much to compile as one of two layers. */
#include "pass/lower.h"

typedef struct Renamer {
    Lowering *l;
    LoweredKernel *to;
    Dim *by;                   /* by function symbol id: the kernel's dim */
} Renamer;

/* The kernel-side symbol number i with these bounds, shared by all kernels. */
static DimSymbol *kernel_symbol(Lowering *l, int i, const DimSymbol *like) {
    const char *name = arena_printf(l->arena, "n%d_%lld_%lld", i, (long long)like->lower, (long long)like->upper);
    if (like->lower == 1) name = arena_printf(l->arena, "n%d_%lld", i, (long long)like->upper);
    name = intern(l->km->dims.names, name);
    DimSymbol *s = dim_find(&l->km->dims, name);
    if (s) return s;
    dim_symbol(&l->km->dims, name, like->lower, like->upper);
    return dim_find(&l->km->dims, name);
}

/* d over the function's symbols, as a Dim over the kernel's. */
static Dim rename_dim(Renamer *r, Dim d) {
    DimTable *to = &r->l->km->dims;
    Dim sum = dim_const(to, 0);
    for (int i = 0; i < d->term_count; i++) {
        Dim term = dim_const(to, d->terms[i].coeff);
        for (int j = 0; j < d->terms[i].n; j++) {
            int id = d->terms[i].symbols[j];
            if (!r->by[id]) {
                DimSymbol *from = r->l->m->dims.symbols.at[id];
                DimSymbol *s = kernel_symbol(r->l, r->to->kernel->dims.n, from);
                r->by[id] = dim_of_symbol(to, s);
                vec_push(r->l->arena, &r->to->kernel->dims, s);
                vec_push(r->l->arena, &r->to->dims, dim_of_symbol(&r->l->m->dims, from));
            }
            term = dim_mul(to, term, r->by[id]);
        }
        sum = dim_add(to, sum, term);
    }
    return sum;
}

static void rename_all(Renamer *r) {
    Kernel *k = r->to->kernel;
    for (int a = 0; a < k->axes.n; a++) k->axes.at[a].extent = rename_dim(r, k->axes.at[a].extent);
    for (int i = 0; i < k->accesses.n; i++) {
        KAccess *x = &k->accesses.at[i];
        Dim *strides = arena_array(r->l->arena, Dim, k->axes.n + 1);
        for (int a = 0; a < k->axes.n; a++) strides[a] = rename_dim(r, x->strides[a]);
        x->strides = strides;
        x->offset = rename_dim(r, x->offset);
        x->index_stride = x->index >= 0 ? rename_dim(r, x->index_stride) : dim_const(&r->l->km->dims, 0);
    }
    for (int i = 0; i < k->nodes.n; i++)
        if (k->nodes.at[i].kind == NODE_DIM) k->nodes.at[i].dim = rename_dim(r, k->nodes.at[i].dim);
}

/* -------------------------------------------------------------------------- the description */

static void describe_dim(Text *t, Dim d) { text_add(t, "%p ", (const void *)d); }

static void describe_node(Text *t, const KNode *n) {
    text_add(t, "%d %d %d %d %d %d %d %d %d %d %d %d %llx ", n->kind, n->dtype, n->map, n->args[0], n->args[1],
             n->args[2], n->access, n->guard, n->axis, n->reduction, n->word, n->number, (unsigned long long)n->site);
    uint64_t bits;
    memcpy(&bits, &n->value, sizeof bits);
    text_add(t, "%llx %p;", (unsigned long long)bits, (const void *)n->dim);
}

static void describe_store(Text *t, const KStore *s) {
    text_add(t, "w%d %d %d %d %d ", s->access, s->node, s->mode, s->map, s->guard);
}

/* Everything that decides the code; Dims are interned, so their pointers stand for them. */
static void describe(Text *t, const Kernel *k) {
    text_add(t, "%d %d %d %d %d|", k->form, k->a, k->b, k->where, k->acc);
    for (int a = 0; a < k->axes.n; a++) {
        text_add(t, "%d ", k->axes.at[a].role);
        describe_dim(t, k->axes.at[a].extent);
    }
    for (int i = 0; i < k->bufs.n; i++) text_add(t, "b%d %d ", k->bufs.at[i].dtype, k->bufs.at[i].written);
    for (int i = 0; i < k->accesses.n; i++) {
        const KAccess *x = &k->accesses.at[i];
        text_add(t, "x%d %d ", x->buf, x->index);
        describe_dim(t, x->offset);
        describe_dim(t, x->index_stride);
        for (int a = 0; a < k->axes.n; a++) describe_dim(t, x->strides[a]);
    }
    for (int i = 0; i < k->nodes.n; i++) describe_node(t, &k->nodes.at[i]);
    for (int i = 0; i < k->reductions.n; i++) {
        const KReduction *r = &k->reductions.at[i];
        text_add(t, "r%d %d %d %d %d %d %d %d ", r->map, r->arg, r->arg ? r->arg_axis : 0, r->node, r->dtype, r->product, r->running,
                 r->running ? r->factor : -1);
    }
    for (int i = 0; i < k->stages.n; i++) {
        const KStage *s = &k->stages.at[i];
        text_add(t, "s%d ", s->inner);
        for (int j = 0; j < s->stores.n; j++) describe_store(t, &s->stores.at[j]);
        for (int j = 0; j < s->reductions.n; j++) text_add(t, "r%d ", s->reductions.at[j]);
    }
}

void lower_intern(Lowering *l, LoweredKernel *to) {
    Kernel *k = to->kernel;
    Renamer r = {.l = l, .to = to, .by = arena_array(l->scratch, Dim, l->m->dims.symbols.n + 1)};
    rename_all(&r);
    Text text = text_new(l->scratch);
    describe(&text, k);
    const char *key = text_get(&text);
    k->hash = hash_text(key, strlen(key));
    Kernel *known = map_get(&l->interned, key);
    if (known) {
        to->kernel = known;
        return;
    }
    k->name = arena_printf(l->arena, "k%d", l->km->kernels.n);
    vec_push(l->arena, &l->km->kernels, k);
    map_set(&l->interned, key, k);
}
