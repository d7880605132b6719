/* Reads kernel IR: the module and its plans; see kernel_read.h. */
#include "ir/kernel_read.h"

#include "dlrt.h"
#include "ir/kernel_print.h"
#include "ir/kernel_reader.h"
#include "ir/kernel_util.h"
#include "ir/kernel_util.h"
#include "ir/kernel_verify.h"
#include "ir/print.h"
#include "ir/verify.h"

/* Dims are the kernels' sizes from here on, or the functions'. */
static void use_sizes(KernelReader *kr, bool sizes) {
    *(sizes ? &kr->graph_dims : &kr->size_dims) = kr->r->dims;
    kr->r->dims = sizes ? kr->size_dims : kr->graph_dims;
    kr->r->module = sizes ? kr->sizes : kr->graph;
}

/* ------------------------------------------------------------------- buffers of a plan */

typedef struct PlanReader {
    KernelReader *kr;
    Reader *r;
    Plan *plan;
    Map bufs;
    int *uses;                 /* of the step being read: its bufs and offsets */
    Dim *offsets;
} PlanReader;

static bool read_buf_number(PlanReader *p, int *to) { return kernel_reader_lookup(p->kr, &p->bufs, "a buffer", to); }

static bool read_small(PlanReader *p, int64_t most, int *to) {
    Span span = reader_span(p->r);
    int64_t x;
    if (!reader_int(p->r, &x)) return false;
    *to = (int)x;
    return (x >= -1 && x <= most) || reader_fail(p->r, DL0608, span, "number out of range");
}

/* At its upper bound the bytes that some elements of the buffer's type take. */
static bool read_bytes(PlanReader *p, PlanBuf *b, Span span, Dim elements) {
    int64_t bytes;
    if (elements->lower < 0 || __builtin_mul_overflow(elements->upper, (int64_t)dtype_bytes(b->dtype), &bytes) ||
        bytes > DIM_HUGE)
        return reader_fail(p->r, DL0608, span, "number of elements out of range");
    b->bytes = bytes;
    return true;
}

/* dtype[elements] */
static bool read_elements(PlanReader *p, PlanBuf *b) {
    Reader *r = p->r;
    if (!reader_expect(r, ':')) return false;
    if (r->token.kind != TOKEN_WORD || !dtype_parse(r->token.text, &b->dtype))
        return reader_expected(r, "an element type");
    reader_advance(r);
    Span span = reader_span(r);
    if (!reader_expect(r, '[') || !reader_dim(r, &b->elements) || !reader_expect(r, ']')) return false;
    return read_bytes(p, b, span, b->elements);
}

/* slice 64*T */
static bool read_slice(PlanReader *p, PlanBuf *b) {
    if (!reader_take_word(p->r, "slice")) return reader_expected(p->r, "slice");
    Span span = reader_span(p->r);
    return reader_dim(p->r, &b->slice) && read_bytes(p, b, span, b->slice);
}

static bool read_buf_place(PlanReader *p, PlanBuf *b) {
    Reader *r = p->r;
    for (int i = PLACE_ARG; i <= PLACE_LOCAL; i++) {
        if (!reader_take_word(r, buf_place_name((BufPlace)i))) continue;
        b->place = (BufPlace)i;
        if (i == PLACE_ARG || i == PLACE_RESULT) return read_small(p, INT16_MAX, &b->index);
        if (i == PLACE_VAR) return reader_var_name(r, &b->var);
        if (i != PLACE_ARENA && i != PLACE_LOCAL) return true;
        if (reader_take_word(r, "at") && !reader_int(r, &b->offset)) return false;
        return i == PLACE_ARENA || read_slice(p, b);
    }
    return reader_expected(r, "arg, result, var, arena, const, seed, count or local");
}

static bool read_life(PlanReader *p, PlanBuf *b) {
    if (!reader_take_word(p->r, "life")) return true;
    if (!read_small(p, INT32_MAX, &b->first)) return false;
    if (p->r->token.kind != TOKEN_RANGE) return reader_expected(p->r, "..");
    reader_advance(p->r);
    return read_small(p, INT32_MAX, &b->last);
}

static bool read_values(PlanReader *p, PlanBuf *b) {
    Attr values;
    Span span = reader_span(p->r);
    if (b->place != PLACE_CONST) return true;
    if (!reader_attr(p->r, "values", ATTR_FLOATS, &values)) return false;
    b->data = values.floats;
    return dim_is(b->elements, values.n) || reader_fail(p->r, DL0608, span, "%d values are given", values.n);
}

/* buf b0 ["name"] : f32[784*B] arg 0 [bytes n] [life f..l] [alias b1] [values] */
static bool read_plan_buf(PlanReader *p) {
    Reader *r = p->r;
    Span span = reader_span(r);
    const char *name;
    PlanBuf b = {.alias = -1, .name = ""};
    if (!reader_name(r, TOKEN_WORD, "a name", &name)) return false;
    if (map_get(&p->bufs, name)) return reader_fail(r, DL0604, span, "buffer %s is declared already", name);
    if (r->token.kind == TOKEN_TEXT && !reader_name(r, TOKEN_TEXT, "a text", &b.name)) return false;
    if (!read_elements(p, &b) || !read_buf_place(p, &b)) return false;
    if (reader_take_word(r, "bytes") && !reader_int(r, &b.bytes)) return false;
    if (!read_life(p, &b)) return false;
    if (reader_take_word(r, "alias") && !read_buf_number(p, &b.alias)) return false;
    if (!read_values(p, &b)) return false;
    kernel_reader_number(p->kr, &p->bufs, name, p->plan->bufs.n);
    vec_push(r->arena, &p->plan->bufs, b);
    return true;
}

/* ------------------------------------------------------------------------------- steps */

/* Room for the n buffers of a step, and where in them it begins. */
static void give_uses(PlanReader *p, PlanStep *s, int n) {
    s->bufs = p->uses = arena_array(p->r->arena, int, n + 1);
    s->offsets = p->offsets = arena_array(p->r->arena, Dim, n + 1);
}

/* b3 or b3[8*i], the step's buffer i. */
static bool read_use(PlanReader *p, int i) {
    p->offsets[i] = dim_const(&p->r->module->dims, 0);
    if (!read_buf_number(p, &p->uses[i])) return false;
    return !reader_take(p->r, '[') || (reader_dim(p->r, &p->offsets[i]) && reader_expect(p->r, ']'));
}

/* (b0, b1): `n` of them. */
static bool read_bufs(PlanReader *p, int n, PlanStep *s) {
    give_uses(p, s, n);
    if (!reader_expect(p->r, '(')) return false;
    for (int i = 0; i < n; i++)
        if ((i && !reader_expect(p->r, ',')) || !read_use(p, i)) return false;
    return reader_expect(p->r, ')');
}

/* numbers(17, -3): as many as the kernel takes. */
static bool read_call_numbers(PlanReader *p, PlanStep *s) {
    Reader *r = p->r;
    int n = s->kernel->numbers;
    int64_t *numbers = arena_array(r->arena, int64_t, n + 1);
    s->numbers = numbers;
    if (!n) return true;
    if (!reader_take_word(r, "numbers") || !reader_expect(r, '(')) return reader_expected(r, "numbers(...)");
    for (int i = 0; i < n; i++)
        if ((i && !reader_expect(r, ',')) || !reader_int(r, &numbers[i])) return false;
    return reader_expect(r, ')');
}

/* chain 1 slices 12*B */
static bool read_chain(PlanReader *p, PlanStep *s) {
    if (!read_small(p, INT32_MAX, &s->chain)) return false;
    if (!reader_take_word(p->r, "slices")) return reader_expected(p->r, "slices");
    return reader_dim(p->r, &s->slices);
}

/* run k3(b0, b1) [sizes(B)] [numbers(1)] [flops 10.0] [chain 1 slices B] */
static bool read_run(PlanReader *p, PlanStep *s) {
    Reader *r = p->r;
    Span span = reader_span(r);
    if (r->token.kind != TOKEN_WORD && r->token.kind != TOKEN_TEXT) return reader_expected(r, "a kernel's name");
    s->kernel = map_get(&p->kr->kernels, r->token.text);
    if (!s->kernel) return reader_fail(r, DL0603, span, "no kernel is called %s", r->token.text);
    reader_advance(r);
    if (!read_bufs(p, s->kernel->bufs.n, s)) return false;
    int n = s->kernel->dims.n;
    Dim *dims = arena_array(r->arena, Dim, n + 1);
    s->dims = dims;
    if (n && (!reader_take_word(r, "sizes") || !reader_expect(r, '('))) return reader_expected(r, "sizes(...)");
    for (int i = 0; i < n; i++)
        if ((i && !reader_expect(r, ',')) || !reader_dim(r, &dims[i])) return false;
    if (n && !reader_expect(r, ')')) return false;
    if (!read_call_numbers(p, s)) return false;
    if (reader_take_word(r, "flops") && !reader_float(r, &s->flops)) return false;
    return !reader_take_word(r, "chain") || read_chain(p, s);
}

static bool read_what(PlanReader *p, PlanStep *s) {
    return !reader_take_word(p->r, "what") || reader_name(p->r, TOKEN_TEXT, "a text in quotes", &s->what);
}

/* check b1 [count T] below 10 [where b2] [what "y"] */
static bool read_check(PlanReader *p, PlanStep *s) {
    Reader *r = p->r;
    give_uses(p, s, 2);
    if (!read_use(p, 0)) return false;
    s->extent = p->plan->bufs.at[s->bufs[0]].elements;
    if (reader_take_word(r, "count") && !reader_dim(r, &s->extent)) return false;
    if (!reader_take_word(r, "below")) return reader_expected(r, "below");
    if (!reader_dim(r, &s->limit)) return false;
    s->masked = reader_take_word(r, "where");
    return (!s->masked || read_use(p, 1)) && read_what(p, s);
}

/* NAME of a routine */
static bool read_routine_name(PlanReader *p, PlanStep *s) {
    for (s->routine = 0; s->routine < DLRT_ROUTINE_COUNT; s->routine++)
        if (reader_take_word(p->r, routine_name(s->routine))) return true;
    return reader_expected(p->r, "a routine's name");
}

/* (b0, b1): some, behind the `at` before. */
static bool read_some_uses(PlanReader *p, int at, int most, int *count) {
    if (!reader_expect(p->r, '(')) return false;
    for (*count = 0; !reader_at(p->r, ')'); ++*count) {
        if (at + *count == most) return reader_fail(p->r, DL0608, reader_span(p->r), "too many buffers");
        if ((*count && !reader_expect(p->r, ',')) || !read_use(p, at + *count)) return false;
    }
    return reader_expect(p->r, ')');
}

static bool read_numbers(PlanReader *p, PlanStep *s) {
    VEC(Dim) dims = {0};
    if (!reader_take_word(p->r, "numbers")) return true;
    if (!reader_expect(p->r, '(')) return false;
    while (!reader_at(p->r, ')')) {
        Dim d;
        if ((dims.n && !reader_expect(p->r, ',')) || !reader_dim(p->r, &d)) return false;
        vec_push(p->r->arena, &dims, d);
    }
    s->dims = dims.at;
    s->dim_count = dims.n;
    return reader_expect(p->r, ')');
}

/* routine sort(b0) to (b1, b2) rows B [numbers(..)] [scratch n] [serial_below n] */
static bool read_routine(PlanReader *p, PlanStep *s) {
    enum { MOST = 4096 };
    Reader *r = p->r;
    give_uses(p, s, MOST);
    if (!read_routine_name(p, s) || !read_some_uses(p, 0, MOST, &s->reads)) return false;
    if (!reader_take_word(r, "to")) return reader_expected(r, "to");
    if (!read_some_uses(p, s->reads, MOST, &s->writes)) return false;
    if (!reader_take_word(r, "rows")) return reader_expected(r, "rows");
    if (!reader_dim(r, &s->extent) || !read_numbers(p, s)) return false;
    if (reader_take_word(r, "scratch") && !reader_int(r, &s->scratch)) return false;
    return !reader_take_word(r, "serial_below") || reader_int(r, &s->serial_below);
}

/* The name of a dim that the text declares. */
static bool read_symbol(PlanReader *p, PlanStep *s) {
    Reader *r = p->r;
    Span span = reader_span(r);
    const char *name;
    if (!reader_name(r, r->token.kind == TOKEN_TEXT ? TOKEN_TEXT : TOKEN_WORD, "a dim's name", &name)) return false;
    s->symbol = map_get(&r->dims, name) ? dim_find(&r->module->dims, name) : NULL;
    return (s->symbol && !s->symbol->of) || reader_fail(r, DL0603, span, "no free dim is called %s", name);
}

/* loop i in T [reverse] */
static bool read_loop(PlanReader *p, PlanStep *s) {
    if (!read_symbol(p, s)) return false;
    if (!reader_take_word(p->r, "in")) return reader_expected(p->r, "in");
    if (!reader_dim(p->r, &s->extent)) return false;
    s->reverse = reader_take_word(p->r, "reverse");
    return true;
}

/* require b1 what "n > 0"; bind L b1 what "n"; test b1; if b1; swap b1 b2 */
static bool read_scalars(PlanReader *p, PlanStep *s) {
    if (s->kind == STEP_BIND && !read_symbol(p, s)) return false;
    int n = step_buf_count(s);
    give_uses(p, s, n);
    for (int i = 0; i < n; i++)
        if (!read_use(p, i)) return false;
    return read_what(p, s);
}

static bool read_step(PlanReader *p, PlanStep *s) {
    switch (s->kind) {
    case STEP_KERNEL: return read_run(p, s);
    case STEP_CHECK: return read_check(p, s);
    case STEP_LOOP: return read_loop(p, s);
    case STEP_ROUTINE: return read_routine(p, s);
    case STEP_WHILE:
        s->most = -1;
        return !reader_take_word(p->r, "most") || reader_int(p->r, &s->most);
    case STEP_ELSE:
    case STEP_END: return true;
    case STEP_REQUIRE:
    case STEP_BIND:
    case STEP_TEST:
    case STEP_IF:
    case STEP_SWAP: break;
    }
    return read_scalars(p, s);
}

static bool read_memory(PlanReader *p) {
    static const char *const keys[] = {"arena", "live", "scratch"};
    int64_t *to[] = {&p->plan->arena_bytes, &p->plan->live_bytes, &p->plan->scratch_bytes};
    for (int i = 0; i < 3; i++) {
        if (!reader_take_word(p->r, keys[i])) return reader_expected(p->r, keys[i]);
        if (!reader_expect(p->r, '=') || !reader_int(p->r, to[i])) return false;
    }
    return !reader_take_word(p->r, "local") || (reader_expect(p->r, '=') && reader_int(p->r, &p->plan->local_bytes));
}

/* result : type [as "x"] [-> @var] [doc ".."] */
static bool read_result(PlanReader *p) {
    Reader *r = p->r;
    Result result = {0};
    Value *v = arena_new(r->arena, Value);
    v->id = -1;
    if (!reader_expect(r, ':') || !reader_type(r, &v->type)) return false;
    if (reader_take_word(r, "as") && !reader_name(r, TOKEN_TEXT, "the result's name in quotes", &result.name))
        return false;
    if (r->token.kind == TOKEN_ARROW) {
        reader_advance(r);
        if (!reader_var_name(r, &result.var)) return false;
    }
    if (!reader_doc(r, &result.doc)) return false;
    func_add_result(p->plan->func, result, v);
    return true;
}

static bool read_plan_statement(PlanReader *p) {
    Reader *r = p->r;
    PlanStep s = {.span = reader_span(r)};
    if (reader_take_word(r, "result")) return read_result(p);
    if (reader_take_word(r, "buf")) return read_plan_buf(p);
    if (reader_take_word(r, "memory")) return read_memory(p);
    for (int kind = STEP_KERNEL; kind <= STEP_ROUTINE; kind++) {
        if (!reader_take_word(r, step_kind_name((StepKind)kind))) continue;
        s.kind = (StepKind)kind;
        if (!read_step(p, &s)) return false;
        vec_push(r->arena, &p->plan->steps, s);
        return true;
    }
    return reader_expected(r, "result, buf, memory or a step");
}

static bool read_plan(KernelReader *kr, FuncRole role) {
    Reader *r = kr->r;
    PlanReader p = {.kr = kr, .r = r, .plan = arena_new(r->arena, Plan), .bufs = map_new(r->arena)};
    bool good = reader_func_head(r, role, &p.plan->func);
    r->scope.n = 0;
    if (!good || !reader_expect(r, '{')) return false;
    if (role == ROLE_INIT) kr->to->init = p.plan;
    else if (role == ROLE_PREPARE) kr->to->prepare = p.plan;
    else vec_push(r->arena, &kr->to->plans, p.plan);
    while (!reader_at(r, '}')) {
        uint32_t begin = r->token.begin;
        if (r->token.kind == TOKEN_END) return reader_expected(r, "}");
        if (!read_plan_statement(&p)) reader_skip_statement(r, begin);
    }
    reader_advance(r);
    return true;
}

/* ------------------------------------------------------------------------------ module */

static bool read_declaration(KernelReader *kr) {
    Reader *r = kr->r;
    bool size = reader_at_word(r, "size"), kernel = reader_at_word(r, "kernel");
    if (size || kernel) {
        reader_advance(r);
        use_sizes(kr, true);
        bool good = size ? reader_dim_line(r) : kernel_reader_kernel(kr);
        use_sizes(kr, false);
        return good;
    }
    if (reader_take_word(r, "dim")) return reader_dim_line(r);
    for (int kind = VAR_PARAM; kind <= VAR_PREPARED; kind++)
        if (reader_take_word(r, var_kind_name((VarKind)kind))) return reader_var(r, (VarKind)kind);
    if (reader_take_word(r, "plan")) return read_plan(kr, ROLE_EXPORTED);
    bool init = reader_take_word(r, "init");
    if (init || reader_take_word(r, "prepare"))
        return reader_take_word(r, "plan") ? read_plan(kr, init ? ROLE_INIT : ROLE_PREPARE) : reader_expected(r, "plan");
    return reader_expected(r, "dim, size, kernel, plan, init plan, prepare plan, param, state, slot, cache or prepared");
}

static bool at_declaration(const Reader *r) {
    static const char *const words[] = {"dim", "size", "kernel", "plan", "init", "prepare", "param", "state", "slot", "cache",
                                        "prepared"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (r->token.starts_line && reader_at_word(r, words[i])) return true;
    return false;
}

static void read_module(KernelReader *kr) {
    Reader *r = kr->r;
    bool good = reader_take_word(r, "kernels") || reader_expected(r, "kernels @name");
    good = good && reader_name(r, TOKEN_GLOBAL, "the module's name (@name)", &kr->graph->name) &&
           reader_doc(r, &kr->graph->doc);
    if (!good) reader_skip_statement(r, r->lexer.length);
    while (r->token.kind != TOKEN_END) {
        uint32_t begin = r->token.begin;
        if (read_declaration(kr)) continue;
        if (r->token.begin == begin) reader_advance(r);
        while (r->token.kind != TOKEN_END && !at_declaration(r)) reader_advance(r);
    }
}

KModule *kernels_read(Arena *arena, Interner *names, Diags *diags, uint32_t source) {
    const Source *s = &diags->sources.at[source];
    Reader r = {.arena = arena, .diags = diags, .source = source};
    KernelReader kr = {.r = &r, .to = arena_new(arena, KModule), .graph = module_new(arena, names, diags, ""),
                       .sizes = module_new(arena, names, diags, "")};
    enum { LONGEST = 1 << 30 };
    r.module = kr.graph;
    if (s->length > LONGEST) {
        reader_fail(&r, DL0608, (Span){source, 0, 0}, "the text is longer than 1 GiB");
        return NULL;
    }
    r.lexer = (Lexer){.names = names, .arena = arena, .text = s->text, .length = (uint32_t)s->length};
    r.dims = map_new(arena);
    r.vars = map_new(arena);
    r.funcs = map_new(arena);
    kr.size_dims = map_new(arena);
    kr.kernels = map_new(arena);
    reader_advance(&r);
    read_module(&kr);
    if (r.errors) return NULL;
    kr.to->graph = kr.graph;
    kr.to->arena = arena;
    kr.to->dims = kr.sizes->dims;
    FaultList faults = {0};
    if (!kernels_verify(kr.to, arena, &faults)) return kr.to;
    faults_report(kr.graph, &faults, "kernel IR text");
    return NULL;
}
