/* roles.c - which exported function trains, predicts or measures, and which argument is for what.
 *
 * In: the model's tables and what the user said. Out: numbers of functions, arguments and results. The
 * user's word comes first, then roles from the tables, then the only possibility; where two remain, the
 * user is asked to choose.
 */
#include "tool.h"
#include <string.h>

static int32_t by_role(const DlrtTensorInfo *t, int32_t count, int32_t role) {
    for (int32_t i = 0; i < count; i++)
        if (t[i].role == role) return i;
    return -1;
}

static int32_t by_name(const DlrtTensorInfo *t, int32_t count, const char *name) {
    for (int32_t i = 0; i < count; i++)
        if (!strcmp(t[i].name, name)) return i;
    return -1;
}

static bool has_batch_dim(const DlrtTensorInfo *t) {
    return t->rank > 0 && t->shape[0].terms;
}

/* A scalar, float or integer. */
static int32_t find_scalar(const DlrtFunctionInfo *f, bool real) {
    for (int32_t r = 0; r < f->result_count; r++)
        if (f->results[r].rank == 0 && dtype_is_float(f->results[r].dtype) == real) return r;
    return -1;
}

static int pick_argument(const DlrtFunctionInfo *f, const char *name, const char *option, int32_t role, int32_t *arg) {
    *arg = name ? by_name(f->args, f->arg_count, name) : by_role(f->args, f->arg_count, role);
    if (!name || *arg >= 0) return 0;
    fprintf(stderr, "dlrun: --%s: %s has no argument %s; it has", option, f->name, name);
    for (int32_t a = 0; a < f->arg_count; a++) fprintf(stderr, " %s", f->args[a].name);
    fputc('\n', stderr);
    return EXIT_USER;
}

/* Arguments by role. Of the data there must be one. */
static int find_arguments(const DlrtFunctionInfo *f, const Options *o, Roles *r) {
    int code = pick_argument(f, o->data_arg, "data-arg", DLRT_ROLE_DATA, &r->data);
    if (!code) code = pick_argument(f, o->label_arg, "label-arg", DLRT_ROLE_LABEL, &r->label);
    if (!code) code = pick_argument(f, o->rate_arg, "rate-arg", DLRT_ROLE_RATE, &r->rate);
    if (code) return code;
    if (r->data < 0)
        return fail(EXIT_USER, "%s has no argument that looks like data; say which with --data-arg", f->name);
    if (r->label >= 0 || o->label_arg) return 0;
    for (int32_t a = 0; a < f->arg_count; a++) /* regression: a second float argument holds the targets */
        if (a != r->data && has_batch_dim(&f->args[a]) && r->label < 0) r->label = a;
    return 0;
}

static void find_results(const DlrtFunctionInfo *f, Roles *r) {
    r->loss = by_role(f->results, f->result_count, DLRT_ROLE_LOSS);
    if (r->loss < 0) r->loss = find_scalar(f, true);
    r->correct = by_role(f->results, f->result_count, DLRT_ROLE_CORRECT);
    r->prediction = by_role(f->results, f->result_count, DLRT_ROLE_PREDICTION);
    r->scores = -1;
    for (int32_t i = 0; i < f->result_count; i++)
        if (f->results[i].rank == 2 && dtype_is_float(f->results[i].dtype) && has_batch_dim(&f->results[i]))
            r->scores = i;
}

int find_trainer(const Session *s, const Options *o, Roles *r) {
    int32_t found = -1, count = 0;
    if (o->function) {
        int code = session_function(s, o->function, &found);
        if (code) return code;
    } else {
        for (int32_t f = 0; f < s->info->function_count; f++)
            if (s->info->functions[f].flags & DLRT_FN_TRAINS) found = found < 0 ? f : found, count++;
        if (!count) return fail(EXIT_USER, "no exported function of %s trains", s->info->name);
        if (count > 1) {
            fprintf(stderr, "dlrun: several functions train; choose with --function:");
            for (int32_t f = 0; f < s->info->function_count; f++)
                if (s->info->functions[f].flags & DLRT_FN_TRAINS) fprintf(stderr, " %s", s->info->functions[f].name);
            fputc('\n', stderr);
            return EXIT_USER;
        }
    }
    r->function = found;
    find_results(&s->info->functions[found], r);
    return find_arguments(&s->info->functions[found], o, r);
}

int find_predictor(const Session *s, const Options *o, Roles *r) {
    *r = (Roles){-1, -1, -1, -1, -1, -1, -1, -1};
    if (o->predict) {
        int code = session_function(s, o->predict, &r->function);
        if (code) return code;
    }
    for (int32_t i = 0; i < s->info->function_count && r->function < 0; i++) {
        const DlrtFunctionInfo *f = &s->info->functions[i];
        if (f->flags & DLRT_FN_WRITES || f->arg_count != 1 || f->args[0].role != DLRT_ROLE_DATA) continue;
        find_results(f, r);
        if (r->prediction >= 0 || r->scores >= 0) r->function = i;
    }
    if (r->function < 0) return 0;
    const DlrtFunctionInfo *f = &s->info->functions[r->function];
    find_results(f, r);
    r->data =
        o->data_arg ? by_name(f->args, f->arg_count, o->data_arg) : by_role(f->args, f->arg_count, DLRT_ROLE_DATA);
    if (r->data < 0 && f->arg_count == 1) r->data = 0;
    r->label = r->rate = -1;
    if (r->data < 0) return fail(EXIT_USER, "%s has no argument that looks like data", f->name);
    if (r->prediction < 0 && r->scores < 0)
        return fail(EXIT_USER, "%s has no result that looks like a prediction", f->name);
    return 0;
}

int find_evaluator(const Session *s, const Options *o, Roles *r) {
    (void)o;
    for (int32_t i = 0; i < s->info->function_count; i++) {
        const DlrtFunctionInfo *f = &s->info->functions[i];
        if (f->flags & DLRT_FN_WRITES || f->arg_count != 2) continue;
        *r = (Roles){i, by_role(f->args, 2, DLRT_ROLE_DATA), by_role(f->args, 2, DLRT_ROLE_LABEL), -1, -1, -1, -1, -1};
        find_results(f, r);
        if (r->data >= 0 && r->label >= 0 && r->loss >= 0) return 0;
    }
    r->function = -1;
    return 0;
}

int64_t batch_limit(const DlrtFunctionInfo *f, int32_t arg, bool *fixed) {
    int64_t bounds[64];
    const DlrtTensorInfo *t = &f->args[arg];
    for (int32_t d = 0; d < f->dim_count && d < 64; d++) bounds[d] = f->dims[d].upper;
    *fixed = !has_batch_dim(t);
    return t->rank ? dlrt_extent(&t->shape[0], bounds) : 1;
}
