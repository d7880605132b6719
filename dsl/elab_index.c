/* Indexing: x[1], x[:, -1], x[.., none], x[indices], x[i : i + 8]. Sizes slice, `none` adds a dim, `..` stands for the
 * dims not named, an integer tensor gathers; a slice may begin at an integer scalar. */
#include "elab.h"

/* One dim of the tensor being indexed. */
typedef struct Cut {
    Dim start, limit;
    int64_t step;
    bool drop;                 /* an index, not a slice */
    Value *indices;            /* gathers, or null */
    Value *begin;              /* of a slice of `length` whose begin is known at run time, or null */
    Dim length;
    const char *what;          /* name of the indices in a run-time status */
    Span at;
} Cut;

typedef struct Plan {
    Cut cuts[MAX_RANK];
    int order[2 * MAX_RANK], n; /* of the result before gathering: an axis of the tensor, or -1 for a new one */
    bool slices, moves, reshapes;
} Plan;

/* A size counted from the end when negative. */
static Dim from_end(Elab *e, Dim d, Dim extent) {
    return dim_is_const(d) && dim_value(d) < 0 ? dim_add(&e->module->dims, extent, d) : d;
}

/* Whether d, which is `written` or that from the end, surely lies in 0 .. extent (of a slice's end) or below extent;
 * reports if not. */
static bool check_range(Elab *e, Span at, Dim written, Dim d, Dim extent, bool slice) {
    Dim room = dim_sub(&e->module->dims, extent, d);
    int64_t need = slice ? 0 : 1;
    if (d->lower >= 0 && room->lower >= need) return true;
    bool never = d->upper < 0 || room->upper < need;
    int g = elab_error(e, DL0306, at, "%s %s out of range for a dim of %s", elab_dim_text(e, written),
                       never ? "is" : "may be", elab_dim_text(e, extent));
    if (never) return false;
    if (dim_is_const(written))
        diag_hint(e->diags, g, "a dim is at least 1 unless its declaration says more: dim 2 <= N <= 64");
    else diag_hint(e->diags, g, "what only a call can tell is gathered, and checked then: gather(x, iota(L), axis)");
    return false;
}

/* x[[3, 1]]: integers known at compile time gather like a tensor of them; negative ones count from the end. */
static bool cut_list(Elab *e, Span at, const Vals *list, Dim extent, Cut *c) {
    Val *all = arena_array(e->arena, Val, list->n);
    for (int i = 0; i < list->n; i++) {
        Dim written = elab_dim(e, at, list->at[i]), d = written ? from_end(e, written, extent) : NULL;
        if (!d || !check_range(e, at, written, d, extent, false)) return false;
        all[i] = val_dim(d);
    }
    c->indices = elab_tensor(e, at, val_list(e, VAL_LIST, all, list->n), DTYPE_I32);
    c->what = "index";
    return c->indices != NULL;
}

static bool all_sizes(Val v) {
    if ((v.kind != VAL_LIST && v.kind != VAL_TUPLE) || !v.list->n) return false;
    for (int i = 0; i < v.list->n; i++)
        if (!is_size(v.list->at[i])) return false;
    return true;
}

static bool cut_at(Elab *e, const Node *item, Dim extent, Cut *c) {
    Val v = elab_eval(e, item);
    if (is_poison(v)) return false;
    if (is_size(v)) {
        Dim at = elab_dim(e, item->span, v);
        if (!at) return false;
        c->start = from_end(e, at, extent);
        c->limit = dim_add(&e->module->dims, c->start, dim_const(&e->module->dims, 1));
        c->drop = true;
        return check_range(e, item->span, at, c->start, extent, false);
    }
    if (is_runtime(v) && dtype_is_int(val_type(v).dtype)) {
        c->indices = elab_tensor(e, item->span, v, DTYPE_COUNT);
        c->what = item->kind == NODE_NAME ? item->text : "index";
        return c->indices != NULL;
    }
    if (all_sizes(v)) return cut_list(e, item->span, v.list, extent, c);
    int d = elab_error(e, DL0302, item->span, "an index is an integer, a slice, a list of integers or an integer tensor, "
                       "not %s", val_text(e, v));
    if (is_runtime(v) && val_type(v).dtype == DTYPE_BOOL)
        diag_hint(e->diags, d, "sizes do not depend on data: where(mask, x, 0) keeps the shape");
    return false;
}

static bool slice_end(Elab *e, const Node *n, Dim extent, Dim *to) {
    if (!n) return true;
    Val v = elab_eval(e, n);
    if (is_poison(v)) return false;
    if (is_runtime(v)) {
        int d = elab_error(e, DL0308, n->span, "a slice's ends are sizes, not %s", val_text(e, v));
        diag_hint(e->diags, d, "name it as a dim with a bound first: dim L <= 64 = ...");
        return false;
    }
    Dim d = elab_dim(e, n->span, v);
    if (!d) return false;
    *to = from_end(e, d, extent);
    return check_range(e, n->span, d, *to, extent, true);
}

/* The next character of a source text that is no white space; *at moves behind it. */
static char next_char(const char *text, uint32_t *at, uint32_t end) {
    while (*at < end && strchr(" \t\r\n", text[*at])) ++*at;
    return *at < end ? text[(*at)++] : '\0';
}

/* Whether two expressions are written alike. */
static bool same_text(const Elab *e, const Node *a, const Node *b) {
    if (a->span.source != b->span.source) return false;
    const char *text = e->diags->sources.at[a->span.source].text;
    uint32_t i = a->span.begin, j = b->span.begin;
    for (char x = 1; x;)
        if ((x = next_char(text, &i, a->span.end)) != next_char(text, &j, b->span.end)) return false;
    return true;
}

/* x[i : i + n], where i is a scalar known at run time, and n a size. */
static bool cut_box(Elab *e, const Node *item, Dim extent, Val begin, Cut *c) {
    const Node *from = item->kids[0], *to = item->kids[1];
    bool sum = to && to->kind == NODE_BINARY && to->i == BINARY_ADD && !item->kids[2];
    int own = sum && same_text(e, from, to->kids[0]) ? 0 : sum && same_text(e, from, to->kids[1]) ? 1 : -1;
    if (own < 0 || !dtype_is_int(val_type(begin).dtype) || val_type(begin).rank) {
        int d = elab_error(e, DL0308, item->span, "a slice that begins at %s needs a length", val_text(e, begin));
        diag_hint(e->diags, d, "write it as x[i : i + 8], where i is an integer scalar and 8 any size");
        return false;
    }
    Val length = elab_eval(e, to->kids[1 - own]);
    c->length = is_poison(length) ? NULL : elab_dim(e, to->kids[1 - own]->span, length);
    c->begin = elab_tensor(e, from->span, begin, DTYPE_COUNT);
    c->what = from->kind == NODE_NAME ? from->text : "begin";
    if (!c->length || !c->begin) return false;
    Dim room = dim_sub(&e->module->dims, extent, c->length);
    if (c->length->lower >= 0 && room->lower >= 0) return true;
    elab_fail(e, DL0306, item->span, "a slice of %s is longer than a dim of %s, or may be",
              elab_dim_text(e, c->length), elab_dim_text(e, extent));
    return false;
}

static bool cut_slice(Elab *e, const Node *item, Dim extent, Cut *c) {
    Val begin = item->kids[0] ? elab_eval(e, item->kids[0]) : val_int(0);
    if (is_poison(begin)) return false;
    if (is_runtime(begin)) return cut_box(e, item, extent, begin, c);
    if (!slice_end(e, item->kids[0], extent, &c->start) || !slice_end(e, item->kids[1], extent, &c->limit))
        return false;
    if (item->kids[2]) {
        Val v = elab_eval(e, item->kids[2]);
        if (is_poison(v)) return false;
        if (v.kind != VAL_INT || v.i < 1) {
            int d = elab_error(e, DL0306, item->kids[2]->span, "a slice's step is a positive integer, not %s",
                               val_text(e, v));
            if (v.kind == VAL_INT && v.i == -1) diag_hint(e->diags, d, "the other way round is reverse(x, axis)");
            return false;
        }
        c->step = v.i;
    }
    if (dim_sub(&e->module->dims, c->limit, c->start)->upper >= 0) return true;
    elab_fail(e, DL0306, item->span, "this slice ends before it begins");
    return false;
}

static bool is_new_axis(const Node *item) { return item->kind == NODE_NONE; }

/* Sorts the items onto the tensor's dims. */
static bool make_plan(Elab *e, const Node *n, Type type, Plan *p) {
    int used = 0, rests = 0, axis = 0;
    for (int i = 1; i < n->n; i++) {
        rests += n->kids[i]->kind == NODE_REST;
        used += n->kids[i]->kind != NODE_REST && !is_new_axis(n->kids[i]);
    }
    if (used > type.rank || rests > 1) {
        elab_fail(e, DL0306, n->span, rests > 1 ? "`..` stands once in an index" : "%d indices for %s", used,
                  type_text(&e->module->dims, type, e->arena));
        return false;
    }
    for (int i = 0; i < type.rank; i++)
        p->cuts[i] = (Cut){.start = dim_const(&e->module->dims, 0), .limit = type.shape[i], .step = 1, .at = n->span};
    for (int i = 1; i <= n->n; i++) {
        const Node *item = i < n->n ? n->kids[i] : NULL;
        if (item && is_new_axis(item)) {
            p->order[p->n++] = -1;
            p->reshapes = true;
            continue;
        }
        int take = !item ? type.rank - axis : item->kind == NODE_REST ? type.rank - used : 1;
        for (int k = 0; k < take; k++, axis++) {
            Cut *c = &p->cuts[axis];
            if (item && item->kind == NODE_SLICE && !cut_slice(e, item, type.shape[axis], c)) return false;
            if (item && item->kind != NODE_SLICE && item->kind != NODE_REST && !cut_at(e, item, type.shape[axis], c))
                return false;
            p->slices = p->slices || c->limit != type.shape[axis] || !dim_is(c->start, 0) || c->step != 1;
            p->moves = p->moves || c->begin;
            p->reshapes = p->reshapes || c->drop;
            if (!c->drop) p->order[p->n++] = axis;
        }
    }
    if (p->n > MAX_RANK) elab_fail(e, DL0301, n->span, "this makes %d dims; a tensor has at most %d", p->n, MAX_RANK);
    return p->n <= MAX_RANK;
}

static Value *apply_slices(Builder *b, Value *x, const Plan *p) {
    Dim start[MAX_RANK], limit[MAX_RANK];
    int64_t step[MAX_RANK];
    for (int i = 0; i < x->type.rank; i++) {
        start[i] = p->cuts[i].start;
        limit[i] = p->cuts[i].limit;
        step[i] = p->cuts[i].step;
    }
    return build_slice(b, x, start, limit, step);
}

static Value *apply_boxes(Builder *b, Value *x, const Plan *p) {
    for (int i = 0, rank = x->type.rank; x && i < rank; i++) {
        const Cut *c = &p->cuts[i];
        if (c->begin) x = build_dynamic_slice(b, x, &c->begin, &(int64_t){i}, &c->length, 1, c->what);
    }
    return x;
}

static Value *apply_reshape(Builder *b, Value *x, const Plan *p) {
    Dim shape[MAX_RANK];
    for (int i = 0; i < p->n; i++)
        shape[i] = p->order[i] < 0 ? dim_const(&b->module->dims, 1) : x->type.shape[p->order[i]];
    return build_reshape(b, x, p->n, shape);
}

static Value *apply_gathers(Elab *e, Builder *b, Value *x, const Plan *p) {
    int shift = 0, wide = 0;
    for (int i = 0; i < p->n && x; i++) {
        const Cut *c = p->order[i] < 0 ? NULL : &p->cuts[p->order[i]];
        if (!c || !c->indices) continue;
        wide += c->indices->type.rank > 0;
        if (wide > 1) {
            int d = elab_error(e, DL0306, c->at, "only one index of an expression can be a tensor with dims");
            diag_hint(e->diags, d, "all pairs are x[i][:, j]; one by one they are reshape(x, [M * N])[i * N + j]");
            return NULL;
        }
        x = build_gather(b, x, c->indices, i + shift, 0, c->what);
        shift += c->indices->type.rank - 1;
    }
    return x;
}

static Val index_tensor(Elab *e, const Node *n, Value *x) {
    Plan p = {0};
    if (!make_plan(e, n, x->type, &p)) return POISON;
    Builder *b = elab_builder(e, n->span);
    if (p.slices) x = apply_slices(b, x, &p);
    if (x && p.moves) x = apply_boxes(b, x, &p);
    if (x && p.reshapes) x = apply_reshape(b, x, &p);
    return val_tensor(x ? apply_gathers(e, b, x, &p) : NULL);
}

/* ------------------------------------------------------------------- lists */

static bool list_bound(Elab *e, const Node *n, int count, int64_t *to) {
    if (!n) return true;
    Val v = elab_eval(e, n);
    if (is_poison(v)) return false;
    if (v.kind == VAL_INT) {
        *to = v.i < 0 ? v.i + count : v.i;
        return true;
    }
    elab_fail(e, DL0302, n->span, "an index of a list is an integer, not %s", val_text(e, v));
    return false;
}

static Val index_list(Elab *e, const Node *n, const Vals *list) {
    const Node *item = n->kids[1];
    if (n->n != 2) {
        int d = elab_error(e, DL0306, n->span, "a list takes one index at a time");
        diag_hint(e->diags, d, "of a call with several results take one first: `let y, last = ...`");
        return POISON;
    }
    int64_t from = 0, to = list->n;
    if (item->kind == NODE_SLICE) {
        if (!list_bound(e, item->kids[0], list->n, &from) || !list_bound(e, item->kids[1], list->n, &to)) return POISON;
        if (from < 0 || from > to || to > list->n || item->kids[2])
            return elab_fail(e, DL0306, item->span, "this slice is out of range for a list of %d", list->n);
        return val_list(e, VAL_LIST, list->at + from, (int)(to - from));
    }
    if (!list_bound(e, item, list->n, &from)) return POISON;
    if (from >= 0 && from < list->n) return list->at[from];
    return elab_fail(e, DL0306, item->span, "index %lld is out of range for a list of %d",
                     (long long)(from < 0 ? from - list->n : from), list->n);
}

Val elab_index(Elab *e, const Node *n) {
    Val base = elab_eval(e, n->kids[0]);
    if (is_poison(base)) return POISON;
    if (base.kind == VAL_LIST || base.kind == VAL_TUPLE) return index_list(e, n, base.list);
    if (base.kind == VAL_MAP) return index_list(e, n, &(Vals){base.map->n, base.map->values});
    if (!is_runtime(base)) return elab_fail(e, DL0302, n->kids[0]->span, "%s cannot be indexed", val_text(e, base));
    Value *x = elab_tensor(e, n->span, base, DTYPE_COUNT);
    return x ? index_tensor(e, n, x) : POISON;
}
