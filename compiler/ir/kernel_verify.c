/* Verifies kernels: see kernel_verify.h. */
#include "ir/kernel_verify.h"

#include "ir/kernel_contract.h"
#include "ir/kernel_util.h"

enum { MOST_AXES = 32, MOST_LANES = 128, MOST_UNROLL = 16 };

bool kernel_fault(KernelVerifier *v, const char *format, ...) {
    if (v->faults->n >= FAULT_LIMIT) return false;
    va_list args;
    va_start(args, format);
    const char *text = arena_vprintf(v->scratch, format, args);
    va_end(args);
    Fault fault = {.func = v->func, .text = arena_printf(v->scratch, "%s: %s", v->where, text)};
    vec_push(v->scratch, v->faults, fault);
    return false;
}

/* ----------------------------------------------------------------------- axes and dims */

static bool is_own_symbol(const Kernel *k, int id) {
    for (int i = 0; i < k->dims.n; i++)
        if (k->dims.at[i]->id == id) return true;
    return false;
}

static bool check_dim(KernelVerifier *v, const Kernel *k, Dim d, const char *what) {
    if (!d) return kernel_fault(v, "%s is missing", what);
    if (dim_overflowed(d)) return kernel_fault(v, "%s is too large", what);
    for (int i = 0; i < d->term_count; i++)
        for (int j = 0; j < d->terms[i].n; j++) {
            const DimSymbol *s = v->module->dims.symbols.at[d->terms[i].symbols[j]];
            if (!is_own_symbol(k, s->id))
                return kernel_fault(v, "%s mentions %s, which is no size of the kernel", what, s->name);
        }
    return true;
}

static bool check_axes(KernelVerifier *v, const Kernel *k) {
    bool loops = k->form == KERNEL_LOOPS, good = true;
    if (k->axes.n > MOST_AXES) return kernel_fault(v, "more than %d axes", MOST_AXES);
    for (int a = 0; a < k->axes.n; a++) {
        AxisRole role = k->axes.at[a].role;
        if (loops != (role <= AXIS_INNER)) good = kernel_fault(v, "axis %d has a role of the other form", a);
        if (a && role < k->axes.at[a - 1].role) good = kernel_fault(v, "axis %d is not in the order of the roles", a);
        good &= check_dim(v, k, k->axes.at[a].extent, "an extent");
        if (good && k->axes.at[a].extent->lower < 0) good = kernel_fault(v, "axis %d may have a negative extent", a);
    }
    return good;
}

/* --------------------------------------------------------------------------- accesses */

static bool check_access(KernelVerifier *v, const Kernel *k, int i) {
    if (i < 0 || i >= k->accesses.n) return kernel_fault(v, "no access %d", i);
    const KAccess *a = &k->accesses.at[i];
    if (a->buf < 0 || a->buf >= k->bufs.n) return kernel_fault(v, "access %d is to no buffer", i);
    bool good = check_dim(v, k, a->offset, "an offset");
    for (int x = 0; x < k->axes.n; x++) good &= check_dim(v, k, a->strides[x], "a stride");
    if (a->index < 0) return good;
    if (a->index >= k->nodes.n) return kernel_fault(v, "access %d has no index node", i);
    if (!dtype_is_int(k->nodes.at[a->index].dtype)) good = kernel_fault(v, "index %%%d is no integer", a->index);
    return good & check_dim(v, k, a->index_stride, "an index's stride");
}

/* ------------------------------------------------------------------------------ nodes */

static TypeClass class_of(DType t) {
    return dtype_is_float(t) ? CLASS_FLOAT : t == DTYPE_BOOL ? CLASS_BOOL : CLASS_INT;
}

static bool check_map_types(KernelVerifier *v, const Kernel *k, int node, int count) {
    const KNode *n = &k->nodes.at[node];
    const OpInfo *info = op_of_map(n->map);
    DType t[3] = {DTYPE_F32, DTYPE_F32, DTYPE_F32};
    for (int i = 0; i < count; i++) t[i] = k->nodes.at[n->args[i]].dtype;
    if (n->map == MAP_convert) return true;
    if (n->map == MAP_random_bits) {
        for (int i = 0; i < count; i++)
            if (t[i] != DTYPE_I64) return kernel_fault(v, "operands of %%%d (%s) must be i64", node, info->name);
        return n->dtype == DTYPE_I32 || kernel_fault(v, "%%%d must be i32", node);
    }
    int first = n->map == MAP_select;
    if (first && t[0] != DTYPE_BOOL) return kernel_fault(v, "the condition of %%%d is not bool", node);
    for (int i = first + 1; i < count; i++)
        if (t[i] != t[first]) return kernel_fault(v, "operands of %%%d (%s) differ in type", node, info->name);
    if (!(info->types & class_of(t[first])))
        return kernel_fault(v, "%%%d: %s does not take %s", node, info->name, dtype_name(t[first]));
    DType expected = info->flags & OP_PREDICATE ? DTYPE_BOOL : t[first];
    return n->dtype == expected || kernel_fault(v, "%%%d (%s) must be %s", node, info->name, dtype_name(expected));
}

static bool check_map(KernelVerifier *v, const Kernel *k, int node) {
    const KNode *n = &k->nodes.at[node];
    int count = 0;
    if ((int)n->map < 0 || n->map >= MAP_COUNT) return kernel_fault(v, "%%%d has no element function", node);
    while (count < 3 && n->args[count] >= 0) count++;
    const OpInfo *info = op_of_map(n->map);
    if (!count || count != info->max_operands)
        return kernel_fault(v, "%%%d: %s does not take %d operands", node, info->name, count);
    for (int i = 0; i < count; i++)
        if (n->args[i] >= node) return kernel_fault(v, "%%%d uses %%%d, which is not before it", node, n->args[i]);
    return check_map_types(v, k, node, count);
}

static bool check_load(KernelVerifier *v, const Kernel *k, int node) {
    const KNode *n = &k->nodes.at[node];
    if (!check_access(v, k, n->access)) return false;
    const KAccess *a = &k->accesses.at[n->access];
    if (n->dtype != k->bufs.at[a->buf].dtype) return kernel_fault(v, "%%%d has another type than its buffer", node);
    if (a->index >= node || n->guard >= node) return kernel_fault(v, "%%%d uses a node that is not before it", node);
    if (n->guard >= 0 && k->nodes.at[n->guard].dtype != DTYPE_BOOL)
        return kernel_fault(v, "the guard of %%%d is not bool", node);
    return true;
}

static bool check_node(KernelVerifier *v, const Kernel *k, int i) {
    const KNode *n = &k->nodes.at[i];
    switch (n->kind) {
    case NODE_LOAD: return check_load(v, k, i);
    case NODE_CONST: return true;
    case NODE_AXIS:
        if (n->axis < 0 || n->axis >= k->axes.n) return kernel_fault(v, "%%%d is of no axis", i);
        if (n->dtype == DTYPE_BOOL) return kernel_fault(v, "%%%d cannot be bool", i);
        return !n->dim || check_dim(v, k, n->dim, "an axis' factor");
    case NODE_DIM: return check_dim(v, k, n->dim, "a dim");
    case NODE_NUMBER:
        if (n->dtype != DTYPE_I64) return kernel_fault(v, "%%%d must be i64", i);
        return (n->number >= 0 && n->number < k->numbers) || kernel_fault(v, "%%%d is of no number", i);
    case NODE_MAP: return check_map(v, k, i);
    case NODE_RUNNING:
    case NODE_REDUCED:
        if (k->form != KERNEL_LOOPS || n->reduction < 0 || n->reduction >= k->reductions.n)
            return kernel_fault(v, "%%%d is of no reduction", i);
        if (n->kind == NODE_RUNNING && !k->reductions.at[n->reduction].running)
            return kernel_fault(v, "r%d of %%%d does not run", n->reduction, i);
        return n->dtype == k->reductions.at[n->reduction].dtype ||
               kernel_fault(v, "%%%d has another type than r%d", i, n->reduction);
    case NODE_SUM:
        if (k->form != KERNEL_CONTRACT) return kernel_fault(v, "%%%d: there is no sum", i);
        return n->dtype == k->acc || kernel_fault(v, "%%%d has another type than the sum", i);
    }
    return kernel_fault(v, "%%%d has no kind", i);
}

/* ------------------------------------------------------------------------- reductions */

static bool check_running(KernelVerifier *v, const Kernel *k, int i) {
    const KReduction *r = &k->reductions.at[i];
    uint64_t inner = kernel_axes(k, AXIS_INNER);
    if (!inner || inner & (inner - 1)) return kernel_fault(v, "r%d runs along other than one axis", i);
    if (r->factor < 0) return true;
    if (r->factor >= k->nodes.n || k->nodes.at[r->factor].dtype != k->nodes.at[r->node].dtype)
        return kernel_fault(v, "the factor of r%d is no node of its type", i);
    return (r->map == MAP_add && !r->arg) || kernel_fault(v, "r%d has a factor, but does not add", i);
}

static bool check_reduction(KernelVerifier *v, const Kernel *k, int i) {
    const KReduction *r = &k->reductions.at[i];
    int stages = 0;
    if (r->node < 0 || r->node >= k->nodes.n) return kernel_fault(v, "r%d reduces no node", i);
    for (int s = 0; s < k->stages.n; s++)
        for (int j = 0; j < k->stages.at[s].reductions.n; j++)
            if (k->stages.at[s].reductions.at[j] == i) stages += k->stages.at[s].inner ? 1 : 2;
    if (stages != 1) return kernel_fault(v, "r%d is not computed by one sweep", i);
    bool extreme = r->map == MAP_maximum || r->map == MAP_minimum;
    if (!extreme && r->map != MAP_add && r->map != MAP_multiply && r->map != MAP_and && r->map != MAP_or)
        return kernel_fault(v, "r%d: %s is no reducing function", i, op_of_map(r->map)->name);
    DType t = k->nodes.at[r->node].dtype;
    if (!(op_of_map(r->map)->types & class_of(t)))
        return kernel_fault(v, "r%d: %s does not take %s", i, op_of_map(r->map)->name, dtype_name(t));
    if (r->running && !check_running(v, k, i)) return false;
    if (!r->arg) return r->dtype == t || kernel_fault(v, "r%d has another type than its values", i);
    if (!extreme || !dtype_is_int(r->dtype))
        return kernel_fault(v, "r%d: a position is an integer, of a maximum or minimum", i);
    return kernel_axes(k, AXIS_INNER) == (uint64_t)1 << r->arg_axis ||
           kernel_fault(v, "r%d: its axis is not the only inner one", i);
}

/* ----------------------------------------------------------------------------- stages */

/* A store must move along every axis of `over`, but those of extent 1; without points it does not matter. */
static bool moves_along(const Kernel *k, const KAccess *a, const uint64_t *axes, uint64_t over) {
    for (int x = 0; x < k->axes.n; x++)
        if (k->axes.at[x].extent->upper == 0) return true;
    for (int x = 0; x < k->axes.n; x++) {
        bool moves = !dim_is(a->strides[x], 0) || (a->index >= 0 && axes[a->index] >> x & 1);
        if (over >> x & 1 && !moves && k->axes.at[x].extent->upper > 1) return false;
    }
    return true;
}

static bool check_store(KernelVerifier *v, const Kernel *k, const KStage *stage, const KStore *s,
                        const uint64_t *axes) {
    if (!check_access(v, k, s->access)) return false;
    if (s->node < 0 || s->node >= k->nodes.n) return kernel_fault(v, "a store has no node");
    const KAccess *a = &k->accesses.at[s->access];
    if (!k->bufs.at[a->buf].written) return kernel_fault(v, "buffer %d is stored to, but not marked", a->buf);
    if (k->nodes.at[s->node].dtype != k->bufs.at[a->buf].dtype)
        return kernel_fault(v, "%%%d has another type than where it is stored", s->node);
    uint64_t hidden = kernel_axes(k, AXIS_K), over = (((uint64_t)1 << k->axes.n) - 1) & ~hidden;
    if (s->guard >= k->nodes.n || (s->guard >= 0 && k->nodes.at[s->guard].dtype != DTYPE_BOOL))
        return kernel_fault(v, "a store's guard is no bool node");
    if (s->mode == STORE_COMBINE && s->map != MAP_add && s->map != MAP_maximum && s->map != MAP_minimum)
        return kernel_fault(v, "a store combines by no such function");
    bool ordered = s->mode != STORE_EACH;
    if (ordered && (k->form != KERNEL_LOOPS || !stage->inner))
        return kernel_fault(v, "a store that several points reach is outside of a sweep");
    if (ordered) over &= ~kernel_axes(k, AXIS_INNER);
    if (k->form == KERNEL_LOOPS && !stage->inner) hidden = kernel_axes(k, AXIS_INNER), over &= ~hidden;
    for (int x = 0; x < k->axes.n; x++)
        if (hidden >> x & 1 && !dim_is(a->strides[x], 0))
            return kernel_fault(v, "a store moves along an axis it does not see");
    return moves_along(k, a, axes, over) ||
           kernel_fault(v, "%%%d is stored to one element from several points", s->node);
}

static bool reduced_before(const Kernel *k, int reduction, int stage) {
    for (int s = 0; s < stage; s++)
        for (int j = 0; j < k->stages.at[s].reductions.n; j++)
            if (k->stages.at[s].reductions.at[j] == reduction) return true;
    return false;
}

static bool runs_in(const KStage *s, int reduction) {
    for (int j = 0; j < s->reductions.n; j++)
        if (s->reductions.at[j] == reduction) return true;
    return false;
}

/* Marks what node i is computed from, and itself. */
static void mark_below(const Kernel *k, int i, bool *marked) {
    if (i >= 0) marked[i] = true;
    for (; i >= 0; i--) {
        const KNode *n = &k->nodes.at[i];
        if (!marked[i]) continue;
        for (int a = 0; n->kind == NODE_MAP && a < 3; a++)
            if (n->args[a] >= 0) marked[n->args[a]] = true;
        if (n->kind != NODE_LOAD) continue;
        if (n->guard >= 0) marked[n->guard] = true;
        if (k->accesses.at[n->access].index >= 0) marked[k->accesses.at[n->access].index] = true;
    }
}

/* Running reductions take their turns in the stage's order: each may use what those before it have made of the point. */
static bool check_turns(KernelVerifier *v, const Kernel *k, const KStage *s) {
    bool *marked = arena_array(v->scratch, bool, k->nodes.n + 1);
    for (int i = 0; i < s->reductions.n; i++) {
        const KReduction *r = &k->reductions.at[s->reductions.at[i]];
        memset(marked, 0, sizeof *marked * (size_t)(k->nodes.n + 1));
        mark_below(k, r->node, marked);
        if (r->running) mark_below(k, r->factor, marked);
        for (int n = 0; n < k->nodes.n; n++) {
            if (!marked[n] || k->nodes.at[n].kind != NODE_RUNNING) continue;
            int before = 0;
            while (before < i && s->reductions.at[before] != k->nodes.at[n].reduction) before++;
            if (before == i)
                return kernel_fault(v, "r%d uses r%d, whose turn is not before", s->reductions.at[i],
                                    k->nodes.at[n].reduction);
        }
    }
    return true;
}

static bool check_stage(KernelVerifier *v, const Kernel *k, int stage, const uint64_t *axes) {
    const KStage *s = &k->stages.at[stage];
    bool good = true, *marked = arena_array(v->scratch, bool, k->nodes.n + 1);
    for (int i = 0; i < s->reductions.n; i++)
        if (s->reductions.at[i] < 0 || s->reductions.at[i] >= k->reductions.n)
            return kernel_fault(v, "no reduction r%d", s->reductions.at[i]);
    for (int i = 0; i < s->stores.n; i++) good &= check_store(v, k, s, &s->stores.at[i], axes);
    if (!good) return false;
    kernel_stage_nodes(k, stage, NULL, marked);
    uint64_t hidden = k->form == KERNEL_CONTRACT ? kernel_axes(k, AXIS_K) : s->inner ? 0 : kernel_axes(k, AXIS_INNER);
    for (int i = 0; i < k->nodes.n; i++) {
        const KNode *n = &k->nodes.at[i];
        if (marked[i] && axes[i] & hidden)
            good = kernel_fault(v, "%%%d depends on an axis that stage %d does not see", i, stage);
        if (marked[i] && n->kind == NODE_REDUCED && !reduced_before(k, n->reduction, stage))
            good = kernel_fault(v, "stage %d uses r%d before it is computed", stage, n->reduction);
        if (marked[i] && n->kind == NODE_RUNNING && !runs_in(s, n->reduction))
            good = kernel_fault(v, "r%d does not run in stage %d, which uses it", n->reduction, stage);
    }
    return good && check_turns(v, k, s);
}

static bool same_place(const Kernel *k, int x, int y) {
    const KAccess *a = &k->accesses.at[x], *b = &k->accesses.at[y];
    if (a->offset != b->offset || a->index != b->index || a->index_stride != b->index_stride) return false;
    return !memcmp(a->strides, b->strides, sizeof *a->strides * (size_t)k->axes.n);
}

/* What is loaded from a buffer that `store` of stage `stage` writes. */
static void check_in_place(KernelVerifier *v, const Kernel *k, int stage, const KStore *store) {
    int buf = k->accesses.at[store->access].buf;
    bool *marked = arena_array(v->scratch, bool, k->nodes.n + 1);
    for (int s = 0; s < k->stages.n; s++) {
        kernel_stage_nodes(k, s, NULL, marked);
        for (int i = 0; i < k->nodes.n; i++) {
            const KNode *n = &k->nodes.at[i];
            if (!marked[i] || n->kind != NODE_LOAD || k->accesses.at[n->access].buf != buf) continue;
            if (!same_place(k, n->access, store->access))
                kernel_fault(v, "%%%d reads a written buffer elsewhere than it is written", i);
            else if (s > stage) kernel_fault(v, "%%%d reads what an earlier stage has written", i);
        }
    }
}

/* ------------------------------------------------------------------- forms and schedule */

static void check_product(KernelVerifier *v, const Kernel *k, const uint64_t *axes) {
    int factors[] = {k->a, k->b};
    uint64_t own[] = {kernel_axes(k, AXIS_N), kernel_axes(k, AXIS_M)};
    if (k->stages.n != 1) kernel_fault(v, "a contraction has one stage");
    for (int i = 0; i < 2; i++) {
        if (factors[i] < 0 || factors[i] >= k->nodes.n) {
            kernel_fault(v, "a factor is missing");
            return;
        }
        if (axes[factors[i]] & own[i]) kernel_fault(v, "%%%d depends on the axes of the other factor", factors[i]);
        if (k->nodes.at[factors[i]].dtype != k->acc) kernel_fault(v, "%%%d has another type than the sum", factors[i]);
    }
    if (k->where >= k->nodes.n || (k->where >= 0 && k->nodes.at[k->where].dtype != DTYPE_BOOL)) {
        kernel_fault(v, "what says which terms count is no bool");
        return;
    }
    bool *used = arena_array(v->scratch, bool, k->nodes.n + 1);
    kernel_product_nodes(k, used);
    for (int i = 0; i < k->nodes.n; i++)
        if (used[i] && k->nodes.at[i].kind == NODE_SUM) kernel_fault(v, "a factor is computed from the sum");
}

static int count_axes(const Kernel *k, AxisRole role) {
    int count = 0;
    for (int a = 0; a < k->axes.n; a++) count += k->axes.at[a].role == role;
    return count;
}

/* How the factors are read must be possible. */
static void check_ways(KernelVerifier *v, const Kernel *k) {
    const KSchedule *s = &k->schedule;
    if (s->pack_a + s->skip_a + s->rows_a > 1) kernel_fault(v, "a is read in two ways");
    bool a = s->pack_a || s->skip_a || s->rows_a || kernel_factor(k, k->a);
    if (!a || !(s->pack_b || s->skip_b || kernel_factor(k, k->b)))
        kernel_fault(v, "a factor that is no plain load is not packed");
    if (s->skip_a && !kernel_can_skip(k, k->a, AXIS_M, s->m_axes, v->scratch))
        kernel_fault(v, "terms are skipped by a guard that differs between the rows of a tile");
    if (s->skip_b && !kernel_can_skip(k, k->b, AXIS_N, s->n_axes, v->scratch))
        kernel_fault(v, "terms are skipped by a guard that differs between the columns of a tile");
    if (s->rows_a && !kernel_can_read_rows(k, v->scratch)) kernel_fault(v, "no pointers can stand for the rows");
    const KAccess *b = s->pack_b ? NULL : kernel_place(k, k->b);
    int n = k->axes.n - 1;
    while (n > 0 && k->axes.at[n].role != AXIS_N) n--;
    if (b && !dim_is(b->strides[n], 1) && !kernel_sums_lanes(k)) kernel_fault(v, "columns that are no neighbours are not packed");
}

/* Lanes along the terms: the tile's sums are as many vectors, and a row of them becomes one. */
static void check_lanes(KernelVerifier *v, const Kernel *k) {
    const KSchedule *s = &k->schedule;
    bool last = s->vector_axis + 1 == k->axes.n || k->axes.at[s->vector_axis + 1].role != AXIS_K;
    if (!last || !kernel_can_sum_lanes(k, v->scratch) || !s->rows_a || s->pack_b || s->kc)
        kernel_fault(v, "lanes cannot run along the terms");
    if (s->mr > MAX_TILE || s->nv > s->lanes || s->mr * s->nv > MAX_TILE)
        kernel_fault(v, "a tile of %d x %d sums", s->mr, s->nv);
}

/* What a schedule says of packing and of axes tiled as one must be so. */
static void check_contract_schedule(KernelVerifier *v, const Kernel *k) {
    const KSchedule *s = &k->schedule;
    DimTable *dims = &v->module->dims;
    if (!count_axes(k, AXIS_M) || !count_axes(k, AXIS_N) || !count_axes(k, AXIS_K)) {
        kernel_fault(v, "a contraction that is scheduled has an axis of each of m, n and k");
        return;
    }
    check_ways(v, k);
    bool along_terms = kernel_sums_lanes(k);
    if (along_terms) check_lanes(v, k);
    if (s->mr < 1 || s->nv < 1 || s->mc < s->mr || s->nc < s->nv * (along_terms ? 1 : (int64_t)s->lanes))
        kernel_fault(v, "blocks smaller than a tile");
    if ((s->pack_a || s->pack_b) && s->skinny_nv * (int64_t)s->lanes > s->nc)
        kernel_fault(v, "few rows reach beyond a panel");
    if (s->skinny_nc && (!kernel_can_sweep(k, dims, v->scratch) || s->skinny_nv < 1 ||
                         s->skinny_nc % ((int64_t)s->skinny_nv * s->lanes * SWEPT_TILES)))
        kernel_fault(v, "columns that cannot be swept");
    if (s->skinny_turn && (!kernel_can_turn(k) || s->skinny_nv < 1)) kernel_fault(v, "columns that cannot be turned");
    if (s->m_axes < 1 || s->m_axes > kernel_joined_axes(k, dims, AXIS_M, v->scratch))
        kernel_fault(v, "%d axes of rows are tiled as one", s->m_axes);
    if (s->n_axes < 1 || s->n_axes > kernel_joined_axes(k, dims, AXIS_N, v->scratch))
        kernel_fault(v, "%d axes of columns are tiled as one", s->n_axes);
    KernelRun run = kernel_run(k);
    if (!along_terms && run.terms && run.axis < 0 && kernel_cut_axis(k, dims, v->scratch, run.terms) < 0)
        kernel_fault(v, "the sum's runs cannot be counted");
    if (s->kc && kernel_cut_axis(k, dims, v->scratch, s->kc) < 0)
        kernel_fault(v, "the sum cannot be cut into blocks of %lld", (long long)s->kc);
}

/* Axes whose points code is made for one by one must be known, and these points be few. */
static bool are_few(const Kernel *k, uint64_t axes) {
    const KSchedule *s = &k->schedule;
    int64_t points = 1;
    for (int a = 0; a < k->axes.n; a++) {
        Dim extent = k->axes.at[a].extent;
        if (!(axes >> a & 1)) continue;
        if (!dim_is_const(extent)) return false;
        int64_t own = s->tile && a == s->along ? s->tile : dim_value(extent);
        if (own > KERNEL_COPIES) return false;
        points *= own;
        if (points > KERNEL_COPIES) return false;
    }
    return true;
}

static void check_copies(KernelVerifier *v, const Kernel *k) {
    const KSchedule *s = &k->schedule;
    int vector = s->vector_axis;
    uint64_t outer = kernel_axes(k, AXIS_OUTER), inner = kernel_axes(k, AXIS_INNER);
    if (!s->jam && !s->whole && !s->tile) return;
    if (k->form != KERNEL_LOOPS || vector < 0 || !(outer >> vector & 1)) {
        kernel_fault(v, "axes are copied, but lanes run along none of the outer ones");
        return;
    }
    outer &= ~((uint64_t)1 << vector);
    if (s->jam & ~outer) kernel_fault(v, "an axis is jammed that is no outer one, or the lanes'");
    uint64_t copied = s->jam | (s->whole ? inner : 0), tiled = 0;
    if (s->tile && s->along >= 0 && s->along < k->axes.n) tiled = (uint64_t)1 << s->along;
    bool last = s->along == k->axes.n - 1 && tiled & inner;
    if (s->tile < 0 || (s->tile && (tiled & copied || !(tiled & outer || last))))
        kernel_fault(v, "the tiled axis is neither an outer one nor the last of the inner ones, or copied anyway");
    else if (!are_few(k, copied | tiled)) kernel_fault(v, "too many points are copied");
    else if (tiled & inner && dim_value(k->axes.at[s->along].extent) > (int64_t)s->tile * KERNEL_BLOCKS)
        kernel_fault(v, "the tiled axis has too many blocks");
}

static void check_schedule(KernelVerifier *v, const Kernel *k) {
    static const KSchedule none;
    const KSchedule *s = &k->schedule;
    if (!memcmp(s, &none, sizeof none)) return;
    if (s->vector_axis < -1 || s->vector_axis >= k->axes.n) {
        kernel_fault(v, "the vector axis is none of the kernel's");
        return;
    }
    if (s->lanes < 0 || s->lanes > MOST_LANES || s->lanes & (s->lanes - 1)) kernel_fault(v, "%d lanes", s->lanes);
    if (s->unroll < 0 || s->unroll > MOST_UNROLL) kernel_fault(v, "%d vectors in flight", s->unroll);
    if (s->chunk < 0 || s->scratch < 0 || s->serial_below < 0) kernel_fault(v, "the schedule has a negative number");
    if (k->form == KERNEL_CONTRACT) check_contract_schedule(v, k);
    check_copies(v, k);
    if (s->vector_axis < 0 || k->form != KERNEL_LOOPS) return;
    if (kernel_in_order(k) && k->axes.at[s->vector_axis].role == AXIS_INNER)
        kernel_fault(v, "lanes run along an axis whose order matters");
    bool last = s->vector_axis + 1 == k->axes.n || k->axes.at[s->vector_axis + 1].role != AXIS_OUTER;
    if (k->axes.at[s->vector_axis].role == AXIS_OUTER && !last)
        kernel_fault(v, "the vector axis is an outer one, but not the last");
}

void verify_kernel(KernelVerifier *v, const Kernel *k) {
    v->where = arena_printf(v->scratch, "kernel %s", k->name);
    bool good = check_axes(v, k);
    for (int i = 0; good && i < k->nodes.n; i++) good &= check_node(v, k, i);
    for (int i = 0; good && i < k->reductions.n; i++) good &= check_reduction(v, k, i);
    if (!good) return;
    const uint64_t *axes = kernel_node_axes(k, v->scratch);
    for (int s = 0; s < k->stages.n; s++) good &= check_stage(v, k, s, axes);
    if (!good) return;
    int faults = v->faults->n;
    if (k->form == KERNEL_CONTRACT) check_product(v, k, axes);
    if (v->faults->n > faults) return;
    for (int s = 0; s < k->stages.n; s++)
        for (int i = 0; i < k->stages.at[s].stores.n; i++) check_in_place(v, k, s, &k->stages.at[s].stores.at[i]);
    check_schedule(v, k);
}

int kernels_verify(KModule *m, Arena *scratch, FaultList *faults) {
    KernelVerifier v = {.module = m, .scratch = scratch, .faults = faults};
    int before = faults->n;
    for (int i = 0; i < m->kernels.n; i++) verify_kernel(&v, m->kernels.at[i]);
    if (faults->n > before) return faults->n - before;
    for (int i = 0; i < m->plans.n; i++) verify_plan(&v, m->plans.at[i]);
    if (m->init) verify_plan(&v, m->init);
    if (m->prepare) verify_plan(&v, m->prepare);
    return faults->n - before;
}
