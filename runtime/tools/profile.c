/* profile.c - where the time of calls goes, of models compiled with --profile.
 *
 * In: the spans that a context keeps of its latest calls. Out: a file for trace viewers (--trace), and of one function
 * a table: a line for each of its steps, those that take longest first.
 */
#include "tool.h"
#include <stdlib.h>

int trace_check(const Session *s, const Options *o) {
    if (!o->trace || s->info->flags & DLRT_MODEL_PROFILED) return 0;
    return fail(EXIT_USER, "--trace: %s was compiled without --profile: there is nothing to trace", o->model);
}

int trace_write(const Session *s, const Options *o) {
    if (!o->trace) return 0;
    DlrtStatus status = dlrt_trace_write(s->context, o->trace);
    return status ? fail(status == DLRT_ERR_IO ? EXIT_ENVIRONMENT : status_code(status), "%s", dlrt_message(s->context))
                  : 0;
}

/* ---- the table */

typedef struct StepSum {
    int32_t step;
    int64_t runs, time, flops, bytes;
} StepSum;

/* What the spans of some calls say. */
typedef struct Profile {
    const DlrtFunctionInfo *f;
    StepSum *steps;
    int64_t calls, call_time, step_time;
} Profile;

/* Where the spans of the last calls begin, at most `calls` of them: behind the span of the call before. */
static int64_t last_calls(const DlrtSpan *spans, int64_t n, int64_t calls) {
    int64_t at = n;
    while (at > 0 && !(spans[at - 1].step < 0 && calls-- == 0)) at--;
    if (at || n < DLRT_TRACE_SPANS) return at;
    for (at = 0; at < n && spans[at].step >= 0;) at++; /* of the first call the beginning is lost */
    return at + 1 < n ? at + 1 : 0;
}

static void add_span(Profile *p, const DlrtSpan *s) {
    int64_t time = s->end - s->begin;
    if (s->step < 0) {
        p->calls++;
        p->call_time += time;
        return;
    }
    StepSum *sum = &p->steps[s->step];
    sum->runs++;
    sum->time += time;
    sum->flops += s->flops;
    sum->bytes += s->bytes;
    p->step_time += time;
}

static int longest_first(const void *a, const void *b) {
    const StepSum *x = a, *y = b;
    if (x->time != y->time) return x->time < y->time ? 1 : -1;
    return x->step - y->step;
}

static double rate(int64_t work, int64_t ns) {
    return ns > 0 ? (double)work / (double)ns : 0;
}

static void print_step(const Profile *p, const StepSum *sum, const Options *o) {
    const DlrtStepInfo *s = &p->f->steps[sum->step];
    double seconds = (double)sum->time * 1e-9 / (double)p->calls, share = rate(sum->time, p->call_time);
    if (o->json) {
        print_json(stdout, json_pack("{s:s, s:s, s:s, s:s, s:s, s:f, s:f, s:f, s:f, s:f}", "event", "step", "function",
                                     p->f->name, "step", s->name, "what", s->detail, "source", s->place ? s->place : "",
                                     "runs", (double)sum->runs / (double)p->calls, "seconds", seconds, "share", share,
                                     "gflops", rate(sum->flops, sum->time), "gbytes", rate(sum->bytes, sum->time)));
        return;
    }
    printf("%10.3f %6.1f %% %9.2f %8.2f  %-6s %-20s %s\n", seconds * 1e6, 100 * share, rate(sum->flops, sum->time),
           rate(sum->bytes, sum->time), s->name, s->place ? s->place : "", s->detail);
}

static void print_profile(const Profile *p, const Options *o) {
    int64_t n = p->f->step_count, outside = p->call_time - p->step_time;
    if (!o->json)
        printf("%10s %8s %9s %8s  %-6s %-20s %s\n", "us/call", "share", "GFLOP/s", "GB/s", "step", "source", "what");
    for (int64_t i = 0; i < n && p->steps[i].runs; i++) print_step(p, &p->steps[i], o);
    if (!o->json)
        printf("%10.3f %6.1f %% %9s %8s  between steps\n", (double)outside * 1e-3 / (double)p->calls,
               100 * rate(outside, p->call_time), "", "");
}

int profile_print(const Session *s, const Options *o, int32_t function, int64_t calls) {
    Profile p = {.f = &s->info->functions[function]};
    if (!(s->info->flags & DLRT_MODEL_PROFILED)) return 0;
    DlrtSpan *spans = malloc(DLRT_TRACE_SPANS * sizeof *spans);
    p.steps = calloc((size_t)p.f->step_count + 1, sizeof *p.steps);
    if (!spans || !p.steps) {
        free(spans);
        free(p.steps);
        return out_of_memory();
    }
    for (int32_t i = 0; i < p.f->step_count; i++) p.steps[i].step = i;
    int64_t n = dlrt_trace(s->context, spans, DLRT_TRACE_SPANS);
    for (int64_t i = last_calls(spans, n, calls); i < n; i++)
        if (spans[i].function == function) add_span(&p, &spans[i]);
    qsort(p.steps, (size_t)p.f->step_count, sizeof *p.steps, longest_first);
    if (p.calls) print_profile(&p, o);
    free(spans);
    free(p.steps);
    return 0;
}
