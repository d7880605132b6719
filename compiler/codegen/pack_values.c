/* Packing a factor that has to be computed: its value at every point of a block, into the panel that tiles read.
 *
 * In: the factor's node, the block, and which axes are tiled as one. Out: code. A panel has lines of places side by
 * side: of A a line for each row with a place for each term, of B a line for each term with a place for each column.
 * Lines and places are numbered over several axes (rows and columns of an image; input features and places of the
 * kernel), which vectors of values do not cross: a stretch is what lies along the last of them.
 *
 * Lanes run either along the places' last axis - then a vector of values is a piece of a line - or, where only these
 * loads are contiguous, along the lines' last axis: then a square of vectors, one for each of as many places, is turned
 * in registers into pieces of lines. Every element is computed once, whatever the block. */
#include "codegen/contract.h"
#include "ir/kernel_contract.h"
#include "ir/kernel_util.h"

/* Numbers over the axes first .. last, which a variable counts along each of. */
typedef struct Numbered {
    int first, last;
    LLVMValueRef *digit;      /* by axis */
    LLVMValueRef from, until; /* of the block */
} Numbered;

typedef struct Packer {
    Emit *e;
    Contract *c;
    int node;
    DType t;
    LLVMValueRef panel;
    int64_t pitch; /* places of a line */
    Numbered lines, places;
    bool turned;         /* lanes run along the lines' last axis */
    LLVMValueRef square; /* memory for turning */
} Packer;

static LLVMValueRef extent_of(const Packer *p, int axis) {
    return emit_dim(p->e, &p->e->kernels->dims, p->c->k->axes.at[axis].extent, p->c->scope->symbols);
}

/* The same to divide by: an empty axis, which nothing is counted along, must not be 0. */
static LLVMValueRef divisor_of(const Packer *p, int axis) {
    LLVMValueRef extent = extent_of(p, axis), one = emit_i64(p->e, 1);
    if (p->c->k->axes.at[axis].extent->lower > 0) return extent;
    return LLVMBuildSelect(p->e->at, LLVMBuildICmp(p->e->at, LLVMIntSLT, extent, one, ""), one, extent, "");
}

/* ---------------------------------------------------------------------------- counting */

static Numbered numbered(Packer *p, int first, int last, LLVMValueRef from, LLVMValueRef until) {
    Numbered n = {.first = first, .last = last, .from = from, .until = until};
    n.digit = arena_array(p->e->arena, LLVMValueRef, p->c->k->axes.n + 1);
    for (int a = first; a <= last; a++) n.digit[a] = emit_variable(p->e, p->e->i64, "digit");
    return n;
}

static void set_digits(const Packer *p, const Numbered *n, int last, LLVMValueRef number) {
    Emit *e = p->e;
    for (int a = last; a > n->first; a--) {
        LLVMValueRef extent = divisor_of(p, a);
        emit_set(e, n->digit[a], LLVMBuildURem(e->at, number, extent, ""));
        number = LLVMBuildUDiv(e->at, number, extent, "");
    }
    emit_set(e, n->digit[n->first], number);
}

/* One step along axis `last`, carried into those before. */
static void step_digits(const Packer *p, const Numbered *n, int last) {
    Emit *e = p->e;
    LLVMValueRef carry = emit_i64(e, 1);
    for (int a = last; a >= n->first; a--) {
        LLVMValueRef next = emit_add(e, emit_get(e, e->i64, n->digit[a]), carry);
        if (a == n->first) {
            emit_set(e, n->digit[a], next);
            return;
        }
        LLVMValueRef wraps = LLVMBuildICmp(e->at, LLVMIntEQ, next, extent_of(p, a), "");
        emit_set(e, n->digit[a], LLVMBuildSelect(e->at, wraps, emit_i64(e, 0), next, ""));
        carry = LLVMBuildZExt(e->at, wraps, e->i64, "");
    }
}

/* The stretches of a numbering: for each the indices along its last axis and the number, from the block's start, of the
 * place that index 0 would have. */
typedef struct Stretch {
    EmitLoop loop;
    LLVMValueRef from, until, base;
} Stretch;

static Stretch begin_stretches(const Packer *p, const Numbered *n) {
    Emit *e = p->e;
    LLVMValueRef zero = emit_i64(e, 0), one = emit_i64(e, 1), first = zero, last = one;
    bool several = n->first < n->last;
    LLVMValueRef extent = divisor_of(p, n->last);
    if (several) {
        first = LLVMBuildUDiv(e->at, n->from, extent, "");
        last = LLVMBuildUDiv(e->at, emit_add(e, n->until, emit_add(e, extent, emit_i64(e, -1))), extent, "");
        set_digits(p, n, n->last - 1, first);
    }
    Stretch s = {.loop = emit_loop_begin(e, first, last, one, "stretch")};
    LLVMValueRef before = several ? emit_mul(e, s.loop.index, extent) : zero;
    s.base = LLVMBuildSub(e->at, before, n->from, "");
    LLVMValueRef from = LLVMBuildSub(e->at, n->from, before, ""), until = LLVMBuildSub(e->at, n->until, before, "");
    s.from = several ? LLVMBuildSelect(e->at, LLVMBuildICmp(e->at, LLVMIntSLT, from, zero, ""), zero, from, "") : from;
    s.until = several ? emit_min(e, until, extent) : until;
    return s;
}

static void end_stretches(const Packer *p, const Numbered *n, Stretch *s) {
    if (n->first < n->last) step_digits(p, n, n->last - 1);
    emit_loop_end(p->e, &s->loop);
}

/* ---------------------------------------------------------------------------- values */

/* The factor's values at the counted point, `lanes` of them from index `at` on along `axis`. */
static LLVMValueRef values_at(const Packer *p, int axis, LLVMValueRef at, int lanes, LLVMValueRef mask) {
    Emit *e = p->e;
    const Numbered *sorts[] = {&p->lines, &p->places};
    NodePoint *point = emit_point(e, p->c->scope);
    memcpy(point->index, p->c->index, sizeof *point->index * (size_t)p->c->k->axes.n);
    for (int i = 0; i < 2; i++)
        for (int a = sorts[i]->first; a <= sorts[i]->last; a++)
            point->index[a] = emit_get(e, e->i64, sorts[i]->digit[a]);
    point->index[axis] = at;
    point->lanes = lanes;
    point->vector_axis = lanes > 1 ? axis : -1;
    point->mask = mask;
    return emit_node(e, point, p->node);
}

static LLVMValueRef panel_at(const Packer *p, LLVMValueRef line, LLVMValueRef place) {
    LLVMValueRef at = emit_add(p->e, emit_mul(p->e, line, emit_i64(p->e, p->pitch)), place);
    return emit_element_pointer(p->e, p->t, p->panel, at);
}

/* from + the greatest multiple of `step` that does not go beyond until. */
static LLVMValueRef whole_steps(Emit *e, LLVMValueRef from, LLVMValueRef until, int64_t step) {
    LLVMValueRef n = LLVMBuildSub(e->at, until, from, "");
    return LLVMBuildSub(e->at, until, LLVMBuildURem(e->at, n, emit_i64(e, step), ""), "");
}

/* --------------------------------------------------------------------------- straight */

static void pack_piece(const Packer *p, LLVMValueRef line, const Stretch *s, LLVMValueRef at, int lanes,
                       LLVMValueRef mask) {
    LLVMValueRef x = values_at(p, p->places.last, at, lanes, mask);
    emit_store(p->e, p->t, lanes, panel_at(p, line, emit_add(p->e, s->base, at)), x, lanes > 1 ? mask : NULL);
}

/* Line number `line`, whose digits are set. */
static void pack_line(const Packer *p, LLVMValueRef line) {
    Emit *e = p->e;
    int lanes = p->c->lanes;
    Stretch s = begin_stretches(p, &p->places);
    LLVMValueRef whole = whole_steps(e, s.from, s.until, lanes);
    EmitLoop full = emit_loop_begin(e, s.from, whole, emit_i64(e, lanes), "full");
    pack_piece(p, line, &s, full.index, lanes, NULL);
    emit_loop_end(e, &full);
    bool masked = lanes > 1 && e->target->masked_memory;
    EmitLoop rest = emit_loop_begin(e, whole, s.until, emit_i64(e, masked ? lanes : 1), "rest");
    LLVMValueRef mask = masked ? emit_mask(e, LLVMBuildSub(e->at, s.until, rest.index, ""), lanes) : NULL;
    pack_piece(p, line, &s, rest.index, masked ? lanes : 1, mask);
    emit_loop_end(e, &rest);
    end_stretches(p, &p->places, &s);
}

static void pack_straight(const Packer *p) {
    Emit *e = p->e;
    set_digits(p, &p->lines, p->lines.last, p->lines.from);
    EmitLoop lines = emit_loop_begin(e, p->lines.from, p->lines.until, emit_i64(e, 1), "line");
    pack_line(p, LLVMBuildSub(e->at, lines.index, p->lines.from, ""));
    step_digits(p, &p->lines, p->lines.last);
    emit_loop_end(e, &lines);
}

/* ----------------------------------------------------------------------------- turned */

/* `count` lines (at most lanes of them) from index `at` of the stretch on, at all places. */
static void pack_lines(const Packer *p, const Stretch *s, LLVMValueRef at, LLVMValueRef count, LLVMValueRef mask) {
    Emit *e = p->e;
    int lanes = p->c->lanes;
    LLVMValueRef rows[64], wide = emit_i64(e, lanes), first = emit_add(e, s->base, at);
    LLVMValueRef places = LLVMBuildSub(e->at, p->places.until, p->places.from, "");
    set_digits(p, &p->places, p->places.last, p->places.from);
    EmitLoop squares = emit_loop_begin(e, emit_i64(e, 0), places, wide, "square");
    LLVMValueRef own = emit_min(e, wide, LLVMBuildSub(e->at, places, squares.index, ""));
    EmitLoop each = emit_loop_begin(e, emit_i64(e, 0), own, emit_i64(e, 1), "place");
    LLVMValueRef x = values_at(p, p->lines.last, at, lanes, mask);
    emit_store(e, p->t, lanes, emit_element_pointer(e, p->t, p->square, emit_mul(e, each.index, wide)), x, NULL);
    step_digits(p, &p->places, p->places.last);
    emit_loop_end(e, &each);
    for (int i = 0; i < lanes; i++)
        rows[i] =
            emit_load(e, p->t, lanes, emit_element_pointer(e, p->t, p->square, emit_i64(e, (int64_t)i * lanes)), NULL);
    contract_transpose(e, rows, lanes);
    /* Lines that are not there would lie behind: from the last one on, each is overwritten by the one before. */
    LLVMValueRef last = emit_add(e, first, emit_add(e, count, emit_i64(e, -1)));
    for (int i = lanes - 1; i >= 0; i--) {
        LLVMValueRef line = emit_min(e, emit_add(e, first, emit_i64(e, i)), last);
        emit_store(e, p->t, lanes, panel_at(p, line, squares.index), rows[i], NULL);
    }
    emit_loop_end(e, &squares);
}

/* A line of its own, for what is left where there are no masks. */
static void pack_single_line(const Packer *p, const Stretch *s, LLVMValueRef at) {
    Emit *e = p->e;
    set_digits(p, &p->places, p->places.last, p->places.from);
    EmitLoop places = emit_loop_begin(e, p->places.from, p->places.until, emit_i64(e, 1), "place");
    LLVMValueRef x = values_at(p, p->lines.last, at, 1, NULL);
    LLVMValueRef place = LLVMBuildSub(e->at, places.index, p->places.from, "");
    emit_store(e, p->t, 1, panel_at(p, emit_add(e, s->base, at), place), x, NULL);
    step_digits(p, &p->places, p->places.last);
    emit_loop_end(e, &places);
}

static void pack_turned(const Packer *p) {
    Emit *e = p->e;
    LLVMValueRef lanes = emit_i64(e, p->c->lanes);
    Stretch s = begin_stretches(p, &p->lines);
    LLVMValueRef whole = whole_steps(e, s.from, s.until, p->c->lanes);
    EmitLoop full = emit_loop_begin(e, s.from, whole, lanes, "full");
    pack_lines(p, &s, full.index, lanes, NULL);
    emit_loop_end(e, &full);
    bool masked = e->target->masked_memory;
    EmitLoop rest = emit_loop_begin(e, whole, s.until, masked ? lanes : emit_i64(e, 1), "rest");
    LLVMValueRef left = LLVMBuildSub(e->at, s.until, rest.index, "");
    if (masked)
        pack_lines(p, &s, rest.index, left, emit_mask(e, left, p->c->lanes));
    else
        pack_single_line(p, &s, rest.index);
    emit_loop_end(e, &rest);
    end_stretches(p, &p->lines, &s);
}

/* ------------------------------------------------------------------------------ panels */

void contract_pack_values(Emit *e, Contract *c, bool of_a, LLVMValueRef k_from, LLVMValueRef k_until) {
    const Kernel *k = c->k;
    Packer p = {.e = e,
                .c = c,
                .node = of_a ? k->a : k->b,
                .t = of_a ? c->a_type : c->b_type,
                .panel = of_a ? c->a_panel : c->panel,
                .pitch = of_a ? c->pitch : k->schedule.nc};
    Numbered terms = numbered(&p, c->k_axis, kernel_last_axis(k, AXIS_K), k_from, k_until);
    Numbered others = of_a ? numbered(&p, c->m_first, c->m, c->m_from, c->m_until)
                           : numbered(&p, c->n_first, c->n, c->n_from, c->n_until);
    p.lines = of_a ? others : terms;
    p.places = of_a ? terms : others;
    AxisRole along = of_a ? AXIS_K : AXIS_N, across = of_a ? AXIS_M : AXIS_K;
    p.turned = c->lanes > 1 && kernel_pack_axis(k, p.node, along, across, e->arena) == p.lines.last;
    if (p.turned) {
        LLVMTypeRef vectors = LLVMArrayType2(emit_vector(e, emit_memory_type(e, p.t), c->lanes), (unsigned)c->lanes);
        p.square = emit_variable(e, vectors, "square");
        pack_turned(&p);
    } else {
        pack_straight(&p);
    }
}
