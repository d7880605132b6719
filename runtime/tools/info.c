/* info.c - dlrun info: what a compiled model is, for people and as JSON.
 *
 * In: a .so. Out: its functions with dims, arguments, results and memory, its parameters, its target.
 */
#include "tool.h"
#include <string.h>

/* "B", "2*N + 1", "784" */
static void say_extent(Message *m, const DlrtExtent *e, const DlrtFunctionInfo *f) {
    const int64_t *t = e->terms;
    bool divided = e->divisor > 1, first = true;
    if (divided) dlrt_say(m, "(");
    for (int64_t left = t ? *t++ : 0; left > 0; left--) {
        int64_t coefficient = *t++, n = *t++;
        dlrt_say(m, first ? "" : " + ");
        if (coefficient != 1) dlrt_say(m, "%lld*", (long long)coefficient);
        for (int64_t i = 0; i < n; i++) dlrt_say(m, "%s%s", i ? "*" : "", f->dims[*t++].name);
        first = false;
    }
    if (first || e->constant) dlrt_say(m, first ? "%lld" : " + %lld", (long long)e->constant);
    if (divided) dlrt_say(m, ")/%lld", (long long)e->divisor);
}

static const char *tensor_type(const DlrtTensorInfo *t, const DlrtFunctionInfo *f, char *text, size_t room) {
    Message m = dlrt_message_in(text, room);
    dlrt_say(&m, "%s", dlrt_dtype_name(t->dtype));
    for (int32_t d = 0; d < t->rank; d++) {
        dlrt_say(&m, d ? ", " : "[");
        say_extent(&m, &t->shape[d], f);
    }
    if (t->rank) dlrt_say(&m, "]");
    return text;
}

static const char *role_name(int32_t role) {
    static const char *const names[] = {"", "data", "label", "rate", "loss", "correct", "prediction"};
    return role < 0 || role > DLRT_ROLE_PREDICTION ? "" : names[role];
}

static const char *kind_name(int32_t kind) {
    static const char *const names[] = {"param", "state", "slot", "cache"};
    return kind < 0 || kind > DLRT_VAR_CACHE ? "?" : names[kind];
}

static void print_tensors(const DlrtFunctionInfo *f, const DlrtTensorInfo *t, int32_t count, const char *what) {
    char type[256];
    for (int32_t i = 0; i < count; i++)
        printf("    %-7s %-12s %-20s %-11s %s\n", what, t[i].name, tensor_type(&t[i], f, type, sizeof type),
               role_name(t[i].role), t[i].doc ? t[i].doc : "");
}

static void print_function(const DlrtFunctionInfo *f) {
    printf("\n  %s%s%s%s", f->name, f->flags & DLRT_FN_TRAINS ? "  (trains)" : "",
           f->flags & DLRT_FN_WRITES && !(f->flags & DLRT_FN_TRAINS) ? "  (writes)" : "",
           f->flags & DLRT_FN_RANDOM ? "  (random)" : "");
    printf("%s%s\n", f->doc ? "  " : "", f->doc ? f->doc : "");
    for (int32_t d = 0; d < f->dim_count; d++)
        printf("    %-7s %-12s %lld..%lld%s\n", "dim", f->dims[d].name, (long long)f->dims[d].lower,
               (long long)f->dims[d].upper,
               f->dims[d].derived ? "  (computed)"
               : f->dims[d].found ? "  (found by the call)"
                                  : "");
    print_tensors(f, f->args, f->arg_count, "takes");
    print_tensors(f, f->results, f->result_count, "gives");
    printf("    memory  %lld bytes, and %lld a thread; %.3g MFLOP at the bounds\n", (long long)f->arena_bytes,
           (long long)f->scratch_bytes, (double)f->flops * 1e-6);
}

static void print_table(const DlrtModelInfo *info, int32_t threads) {
    int64_t parameters = 0;
    printf("%s%s%s\n", info->name, info->doc ? ": " : "", info->doc ? info->doc : "");
    printf("  target  %s, %s\n", info->target, info->cpu_name);
    for (int32_t v = 0; v < info->var_count; v++)
        if (info->vars[v].kind == DLRT_VAR_PARAM) parameters += dlrt_var_count(&info->vars[v]);
    printf("  memory  %zu bytes a model, %zu a context (%d thread%s)\n", dlrt_model_bytes(info),
           dlrt_context_bytes(info, threads), threads, threads == 1 ? "" : "s");
    printf("  %lld parameters\n", (long long)parameters);
    for (int32_t f = 0; f < info->function_count; f++) print_function(&info->functions[f]);
    puts("\n  variables");
    for (int32_t v = 0; v < info->var_count; v++) {
        const DlrtVarInfo *var = &info->vars[v];
        char shape[256];
        Message m = dlrt_message_in(shape, sizeof shape);
        dlrt_say_shape(&m, var->shape, var->rank);
        printf("    %-6s %-40s %s%s\n", kind_name(var->kind), var->name, dlrt_dtype_name(var->dtype),
               var->rank ? shape : "");
    }
}

static json_t *tensors_json(const DlrtFunctionInfo *f, const DlrtTensorInfo *t, int32_t count) {
    json_t *list = json_array();
    for (int32_t i = 0; i < count; i++) {
        json_t *shape = json_array();
        for (int32_t d = 0; d < t[i].rank; d++) {
            char text[128];
            Message m = dlrt_message_in(text, sizeof text);
            say_extent(&m, &t[i].shape[d], f);
            json_array_append_new(shape, t[i].shape[d].terms ? json_string(text)
                                                             : json_integer(dlrt_extent(&t[i].shape[d], NULL)));
        }
        json_array_append_new(list, json_pack("{s:s, s:s, s:o, s:s, s:s*}", "name", t[i].name, "dtype",
                                              dlrt_dtype_name(t[i].dtype), "shape", shape, "role", role_name(t[i].role),
                                              "doc", t[i].doc));
    }
    return list;
}

static json_t *function_json(const DlrtFunctionInfo *f) {
    json_t *dims = json_array();
    for (int32_t d = 0; d < f->dim_count; d++)
        json_array_append_new(dims, json_pack("{s:s, s:I, s:I, s:b, s:b}", "name", f->dims[d].name, "lower",
                                              (json_int_t)f->dims[d].lower, "upper", (json_int_t)f->dims[d].upper,
                                              "derived", f->dims[d].derived != NULL, "found", f->dims[d].found != 0));
    return json_pack("{s:s, s:s*, s:b, s:b, s:b, s:o, s:o, s:o, s:I, s:I, s:I}", "name", f->name, "doc", f->doc,
                     "trains", (f->flags & DLRT_FN_TRAINS) != 0, "writes", (f->flags & DLRT_FN_WRITES) != 0, "random",
                     (f->flags & DLRT_FN_RANDOM) != 0, "dims", dims, "args", tensors_json(f, f->args, f->arg_count),
                     "results", tensors_json(f, f->results, f->result_count), "arena_bytes", (json_int_t)f->arena_bytes,
                     "scratch_bytes", (json_int_t)f->scratch_bytes, "flops", (json_int_t)f->flops);
}

static json_t *model_json(const DlrtModelInfo *info, int32_t threads) {
    json_t *functions = json_array(), *vars = json_array();
    for (int32_t f = 0; f < info->function_count; f++)
        json_array_append_new(functions, function_json(&info->functions[f]));
    for (int32_t v = 0; v < info->var_count; v++) {
        const DlrtVarInfo *var = &info->vars[v];
        json_t *shape = json_array();
        for (int32_t d = 0; d < var->rank; d++) json_array_append_new(shape, json_integer(var->shape[d]));
        json_array_append_new(vars, json_pack("{s:s, s:s, s:s, s:o}", "name", var->name, "kind", kind_name(var->kind),
                                              "dtype", dlrt_dtype_name(var->dtype), "shape", shape));
    }
    char fingerprint[24];
    snprintf(fingerprint, sizeof fingerprint, "%016llx", (unsigned long long)info->fingerprint);
    return json_pack("{s:s, s:s*, s:s, s:s, s:i, s:s, s:I, s:I, s:o, s:o}", "name", info->name, "doc", info->doc,
                     "target", info->target, "cpu", info->cpu_name, "abi", (int)info->abi_version, "fingerprint",
                     fingerprint, "model_bytes", (json_int_t)dlrt_model_bytes(info), "context_bytes",
                     (json_int_t)dlrt_context_bytes(info, threads), "functions", functions, "variables", vars);
}

int run_info(const Options *o) {
    Session s;
    int code = session_open(&s, o);
    if (code) return code;
    if (o->json)
        print_json(stdout, model_json(s.info, (int32_t)o->threads));
    else
        print_table(s.info, (int32_t)o->threads);
    session_close(&s);
    return 0;
}
