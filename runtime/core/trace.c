/* trace.c - what the calls of a profiled model did, and when.
 *
 * In: the code of a model compiled with --profile calls dlrt_step_begin and dlrt_step_end around each step, the
 * runtime dlrt_trace_enter and dlrt_trace_leave around each call. Out: spans in the ring of the context, which was
 * allocated with it: the latest DLRT_TRACE_SPANS stay. So recording costs two readings of the clock and one store a
 * step, and never needs memory. A context belongs to one thread at a time, so that nothing here is atomic.
 *
 * As a file they are a Chrome trace: a JSON object whose traceEvents are "complete" events (ph X) with times in
 * microseconds, a track for each thread that called. The text is measured, then printed into memory, then written.
 */
#include "core.h"
#include <string.h>
#include <time.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/syscall.h>
#endif

static int64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int32_t this_thread(void) {
#ifdef __linux__
    return (int32_t)syscall(SYS_gettid);
#else
    return (int32_t)getpid();
#endif
}

/* --------------------------------------------------------------------- recording */

Trace *dlrt_trace_create(const DlrtAllocator *a, const DlrtModelInfo *info) {
    Trace *trace = info->flags & DLRT_MODEL_PROFILED ? dlrt_allocate(a, sizeof *trace) : NULL;
    if (trace) memset(trace, 0, sizeof *trace);
    return trace;
}

void dlrt_trace_destroy(const DlrtAllocator *a, Trace *trace) {
    dlrt_release(a, trace, sizeof *trace);
}

static void keep(Trace *trace, const DlrtSpan *span) {
    trace->spans[trace->count++ % DLRT_TRACE_SPANS] = *span;
}

void dlrt_trace_enter(Trace *trace, int32_t function) {
    if (trace) trace->call = (DlrtSpan){.function = function, .step = -1, .thread = this_thread(), .begin = now()};
}

void dlrt_trace_leave(Trace *trace) {
    if (!trace) return;
    trace->call.end = now();
    keep(trace, &trace->call);
}

int64_t dlrt_step_begin(const DlrtFrame *frame) {
    return frame->trace ? now() : 0;
}

void dlrt_step_end(const DlrtFrame *frame, int32_t step, int64_t began, int64_t flops, int64_t bytes) {
    Trace *trace = frame->trace;
    if (!trace) return;
    DlrtSpan span = trace->call;
    span.step = step;
    span.begin = began;
    span.end = now();
    span.flops = flops;
    span.bytes = bytes;
    trace->call.flops += flops;
    trace->call.bytes += bytes;
    keep(trace, &span);
}

/* ----------------------------------------------------------------------- reading */

static int64_t kept(const Trace *trace) {
    return trace->count < DLRT_TRACE_SPANS ? trace->count : DLRT_TRACE_SPANS;
}

/* Of the latest n spans the one number i, the oldest first. */
static const DlrtSpan *span_at(const Trace *trace, int64_t n, int64_t i) {
    return &trace->spans[(trace->count - n + i) % DLRT_TRACE_SPANS];
}

int64_t dlrt_trace_copy(DlrtContext *context, DlrtSpan *to, int64_t room) {
    Context *c = (Context *)context;
    if (!c->trace || !dlrt_context_take(c)) return 0;
    int64_t n = kept(c->trace);
    if (n > room) n = room;
    for (int64_t i = 0; i < n; i++) to[i] = *span_at(c->trace, n, i);
    dlrt_context_give(c);
    return n < 0 ? 0 : n;
}

/* x / y, as "12.07". */
static void say_quotient(Message *m, int64_t x, int64_t y) {
    int64_t rest = x % y, hundredths = rest < INT64_MAX / 100 ? rest * 100 / y : rest / (y / 100 + 1);
    dlrt_say(m, "%lld.%lld%lld", (long long)(x / y), (long long)(hundredths / 10), (long long)(hundredths % 10));
}

/* Nanoseconds as microseconds. */
static void say_microseconds(Message *m, int64_t ns) {
    dlrt_say(m, "%lld.%lld", (long long)(ns / 1000), (long long)(ns / 100 % 10));
    dlrt_say(m, "%lld%lld", (long long)(ns / 10 % 10), (long long)(ns % 10));
}

/* Work in a nanosecond is thousands of millions of it in a second. */
static void say_rate(Message *m, const char *name, int64_t work, int64_t ns) {
    dlrt_say(m, ",\"%s\":", name);
    say_quotient(m, work, ns > 0 ? ns : 1);
}

static void say_step(Message *m, const DlrtStepInfo *s) {
    dlrt_say(m, ",\"cat\":\"step\",\"name\":");
    dlrt_say_json_name(m, s->name);
    dlrt_say(m, ",\"args\":{\"what\":");
    dlrt_say_json_name(m, s->detail);
    if (!s->place) return;
    dlrt_say(m, ",\"source\":");
    dlrt_say_json_name(m, s->place);
}

static void say_span(Message *m, const DlrtModelInfo *info, const DlrtSpan *s) {
    const DlrtFunctionInfo *f = &info->functions[s->function];
    dlrt_say(m, ",\n{\"ph\":\"X\",\"pid\":1,\"tid\":%d,\"ts\":", s->thread);
    say_microseconds(m, s->begin);
    dlrt_say(m, ",\"dur\":");
    say_microseconds(m, s->end - s->begin);
    if (s->step < 0) {
        dlrt_say(m, ",\"cat\":\"call\",\"name\":");
        dlrt_say_json_name(m, f->name);
        dlrt_say(m, ",\"args\":{\"model\":");
        dlrt_say_json_name(m, info->name);
    } else {
        say_step(m, &f->steps[s->step]);
    }
    dlrt_say(m, ",\"flops\":%lld,\"bytes\":%lld", (long long)s->flops, (long long)s->bytes);
    say_rate(m, "GFLOP/s", s->flops, s->end - s->begin);
    say_rate(m, "GB/s", s->bytes, s->end - s->begin);
    dlrt_say(m, "}}");
}

static void say_trace(Message *m, const DlrtModelInfo *info, const Trace *trace) {
    int64_t n = kept(trace);
    dlrt_say(m, "{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n{\"ph\":\"M\",\"pid\":1,\"name\":\"process_name\","
                "\"args\":{\"name\":");
    dlrt_say_json_name(m, info->name);
    dlrt_say(m, "}}");
    for (int64_t i = 0; i < n; i++) say_span(m, info, span_at(trace, n, i));
    dlrt_say(m, "\n]}\n");
}

/* ----------------------------------------------------------------------- writing */

static DlrtStatus write_text(const Model *model, const char *path, const Message *text, Message *m) {
    Writer w;
    DlrtStatus status = dlrt_writer_open(&w, &model->files, &model->allocator, path, m);
    if (!status) status = dlrt_writer_write(&w, text->text, (int64_t)text->length);
    return dlrt_writer_close(&w, status);
}

static DlrtStatus save(Context *c, const char *path, Message *m) {
    const Model *model = (const Model *)c->head.model;
    const DlrtModelInfo *info = model->head.info;
    if (!path) {
        dlrt_say(m, "the path is null");
        return DLRT_ERR_NULL;
    }
    if (!c->trace) {
        dlrt_say(m, "model %s was compiled without --profile: there is nothing to trace", info->name);
        return DLRT_ERR_UNSUPPORTED;
    }
    Message text = dlrt_message_in(NULL, 0);
    say_trace(&text, info, c->trace);
    size_t bytes = text.length + 1;
    char *memory = dlrt_allocate(&model->allocator, bytes);
    if (!memory) return dlrt_out_of_memory(m, (int64_t)bytes);
    text = dlrt_message_in(memory, bytes);
    say_trace(&text, info, c->trace);
    DlrtStatus status = write_text(model, path, &text, m);
    dlrt_release(&model->allocator, memory, bytes);
    return status;
}

DlrtStatus dlrt_trace_save(DlrtContext *context, const char *path) {
    Context *c = (Context *)context;
    if (!dlrt_context_take(c)) return DLRT_ERR_BUSY;
    Message m = {c->message, sizeof c->message, 0};
    DlrtStatus status = save(c, path, &m);
    dlrt_context_give(c);
    return status;
}
