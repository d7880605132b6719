/* Signature: see signature.h. */
#include "codegen/signature.h"

#include <ctype.h>

/* Words of C and C++, and macros of common headers. */
static const char *const reserved[] = {
    "EOF", "I", "NULL", "alignas", "alignof", "and", "and_eq", "asm", "auto", "bitand", "bitor", "bool", "break",
    "case", "catch", "char", "char16_t", "char32_t", "char8_t", "class", "co_await", "co_return", "co_yield", "compl",
    "concept", "const", "const_cast", "consteval", "constexpr", "constinit", "continue", "decltype", "default",
    "delete", "do", "double", "dynamic_cast", "else", "enum", "errno", "explicit", "export", "extern", "false", "float",
    "for", "friend", "goto", "if", "inline", "int", "int16_t", "int32_t", "int64_t", "int8_t", "linux", "long",
    "mutable", "namespace", "new", "noexcept", "not", "not_eq", "nullptr", "operator", "or", "or_eq", "private",
    "protected", "public", "register", "reinterpret_cast", "requires", "restrict", "return", "short", "signed",
    "sizeof", "static", "static_assert", "static_cast", "struct", "switch", "template", "this", "thread_local", "throw",
    "true", "try", "typedef", "typeid", "typename", "typeof", "uint16_t", "uint32_t", "uint64_t", "uint8_t", "union",
    "unix", "unsigned", "using", "virtual", "void", "volatile", "wchar_t", "while", "xor", "xor_eq"};

static bool is_reserved(const char *name) {
    if (name[0] == '_' && (name[1] == '_' || isupper((unsigned char)name[1]))) return true;
    for (size_t i = 0; i < sizeof reserved / sizeof *reserved; i++)
        if (!strcmp(name, reserved[i])) return true;
    return false;
}

const char *c_prefix(Arena *arena, const char *text) {
    size_t n = strlen(text);
    char *name = arena_printf(arena, "%s%s", n && !isdigit((unsigned char)text[0]) ? "" : "_", text);
    for (char *c = name; *c; c++)
        if ((unsigned char)*c >= 0x80 || (!isalnum((unsigned char)*c) && *c != '_')) *c = '_';
    return name;
}

const char *c_identifier(Arena *arena, const char *text) {
    const char *name = c_prefix(arena, text);
    return is_reserved(name) ? arena_printf(arena, "%s_", name) : name;
}

const char *c_type_name(DType t) {
    switch (t) {
    case DTYPE_F64: return "double";
    case DTYPE_F32: return "float";
    case DTYPE_F16:
    case DTYPE_BF16: return "uint16_t";
    case DTYPE_I64: return "int64_t";
    case DTYPE_I32: return "int32_t";
    case DTYPE_I8: return "int8_t";
    case DTYPE_U8: return "uint8_t";
    case DTYPE_BOOL:
    case DTYPE_COUNT: break;
    }
    return "bool";
}

CParams func_args(Arena *arena, const Func *f) {
    CParams args = {0};
    for (int i = 0; i < f->inputs.n; i++) {
        const Port *port = &f->inputs.at[i];
        Type type = f->body->params.at[i]->type;
        if (port->kind == PORT_ARG)
            vec_push(arena, &args, (CParam){.kind = PARAM_ARG, .own_name = port->name, .doc = port->doc, .type = type,
                                            .by_value = type.rank == 0});
    }
    return args;
}

CParams func_results(Arena *arena, const Func *f) {
    CParams results = {0};
    for (int i = 0; i < f->results.n; i++) {
        const Result *r = &f->results.at[i];
        if (r->var) continue;
        const char *name = r->name ? r->name : arena_printf(arena, "result%d", results.n);
        vec_push(arena, &results, (CParam){.kind = PARAM_RESULT, .own_name = name, .doc = r->doc,
                                           .type = f->body->yields.at[i]->type});
    }
    return results;
}

static void add_found(Arena *arena, const Func *f, Dim extent, DimSymbols *to) {
    for (int i = 0; i < extent->term_count; i++)
        for (int j = 0; j < extent->terms[i].n; j++) {
            const DimSymbol *s = f->module->dims.symbols.at[extent->terms[i].symbols[j]];
            bool known = false;
            for (int k = 0; k < f->dims.n; k++) known = known || f->dims.at[k] == s;
            for (int k = 0; k < to->n; k++) known = known || to->at[k] == s;
            if (s->of) add_found(arena, f, s->of, to);
            else if (!known) vec_push(arena, to, s);
        }
}

DimSymbols func_found_dims(Arena *arena, const Func *f) {
    DimSymbols found = {0};
    CParams results = func_results(arena, f);
    for (int i = 0; i < results.n; i++)
        for (int d = 0; d < results.at[i].type.rank; d++) add_found(arena, f, results.at[i].type.shape[d], &found);
    return found;
}

/* Appends with a C name that differs from all before it. */
static void add_param(Arena *arena, CSignature *s, CParam p) {
    p.name = c_identifier(arena, p.own_name);
    for (int i = -1; i < s->params.n; i++) {
        const char *other = i < 0 ? "context" : s->params.at[i].name;
        if (strcmp(p.name, other)) continue;
        p.name = arena_printf(arena, "%s_", p.name);
        i = -2;
    }
    vec_push(arena, &s->params, p);
}

CSignature signature_of(Arena *arena, const char *prefix, const Func *f) {
    CSignature s = {.func = f, .symbol = c_identifier(arena, arena_printf(arena, "%s_%s", prefix, f->name))};
    CParams args = func_args(arena, f), results = func_results(arena, f);
    for (int i = 0; i < f->dims.n; i++)
        add_param(arena, &s, (CParam){.kind = PARAM_DIM, .own_name = f->dims.at[i]->name, .dim = f->dims.at[i],
                                      .type = type_scalar(DTYPE_I64), .by_value = true});
    DimSymbols found = func_found_dims(arena, f);
    for (int i = 0; i < args.n; i++) add_param(arena, &s, args.at[i]);
    for (int i = 0; i < found.n; i++)
        add_param(arena, &s, (CParam){.kind = PARAM_FOUND, .own_name = found.at[i]->name, .dim = found.at[i],
                                      .type = type_scalar(DTYPE_I64)});
    for (int i = 0; i < results.n; i++) add_param(arena, &s, results.at[i]);
    return s;
}
