/* train.c - dlrun train: epochs of shuffled batches, with progress, a log, checkpoints, a clean stop.
 *
 * In: a model, data, options. Out: trained weights in files, a log in JSON lines, figures.
 *
 * Shuffling draws from numbers that depend on (seed, epoch, index) alone, and a checkpoint's position
 * holds epoch, batch and the sums so far; so a resumed training passes through the same states as one that
 * was never stopped, bit for bit. The position's eight values: epoch, batch in it, seed, batch size,
 * samples, bits of the loss sum, correct ones so far, bits of the learning rate.
 *
 * SIGINT and SIGTERM are blocked while training and looked for after each step: no handler, no global.
 */
#include "tool.h"
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct Training {
    const Options *o;
    Session session;
    Roles roles;
    Dataset train, test;
    Scaling scaling;
    Batches batches;
    FILE *log;
    int64_t *order;                  /* of the samples in this epoch */
    int64_t epoch, batch, per_epoch; /* position; batches an epoch */
    int64_t size, steps, first_step; /* samples a batch; steps in all, before this run */
    uint64_t seed;
    double rate, loss_sum, last_loss;                            /* loss_sum over the samples of this epoch */
    int64_t correct, seen;                                       /* in this epoch */
    double epoch_loss, train_accuracy, test_accuracy, test_loss; /* of the last whole epoch */
    double started, shown, training_seconds;
    const char *checkpoint;
    bool terminal, interrupted;
} Training;

/* ------------------------------------------------------------------ shuffling, position */

static uint64_t scramble(uint64_t x) {
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

/* A number below `bound`, from (seed, epoch, index). */
static int64_t draw(uint64_t seed, int64_t epoch, int64_t index, int64_t bound) {
    uint64_t bits = scramble(scramble(scramble(seed) ^ (uint64_t)epoch) ^ (uint64_t)index);
    __extension__ typedef unsigned __int128 Wide;
    return (int64_t)((Wide)bits * (Wide)bound >> 64);
}

static void shuffle(Training *t) {
    int64_t n = t->train.samples;
    for (int64_t i = 0; i < n; i++) t->order[i] = i;
    for (int64_t i = n - 1; i > 0; i--) {
        int64_t k = draw(t->seed, t->epoch, i, i + 1), sample = t->order[k];
        t->order[k] = t->order[i];
        t->order[i] = sample;
    }
}

static uint64_t double_bits(double v) {
    uint64_t bits;
    memcpy(&bits, &v, 8);
    return bits;
}

static double bits_double(uint64_t bits) {
    double v;
    memcpy(&v, &bits, 8);
    return v;
}

static DlrtPosition position_of(const Training *t) {
    return (DlrtPosition){{(uint64_t)t->epoch, (uint64_t)t->batch, t->seed, (uint64_t)t->size,
                           (uint64_t)t->train.samples, double_bits(t->loss_sum), (uint64_t)t->correct,
                           double_bits(t->rate)}};
}

static int resume(Training *t) {
    const Options *o = t->o;
    DlrtPosition p;
    DlrtStatus status = dlrt_resume(t->session.context, o->resume, &p);
    if (status) return fail(status_code(status), "%s", dlrt_message(t->session.context));
    if (p.value[4] != (uint64_t)t->train.samples)
        return fail(EXIT_USER, "%s was written while training on %llu samples, there are %lld", o->resume,
                    (unsigned long long)p.value[4], (long long)t->train.samples);
    if ((o->batch_given && p.value[3] != (uint64_t)o->batch) || !p.value[3])
        return fail(EXIT_USER, "%s was written with batches of %llu, not %lld", o->resume,
                    (unsigned long long)p.value[3], (long long)o->batch);
    if (o->seed_given && p.value[2] != (uint64_t)o->seed)
        return fail(EXIT_USER, "%s was written with seed %llu, not %lld", o->resume, (unsigned long long)p.value[2],
                    (long long)o->seed);
    t->epoch = (int64_t)p.value[0];
    t->batch = (int64_t)p.value[1];
    t->seed = p.value[2];
    t->size = (int64_t)p.value[3];
    t->loss_sum = bits_double(p.value[5]);
    t->correct = (int64_t)p.value[6];
    if (!o->rate_given) t->rate = bits_double(p.value[7]);
    return 0;
}

static int write_checkpoint(Training *t) {
    DlrtPosition p = position_of(t);
    DlrtStatus status = dlrt_checkpoint(t->session.context, t->checkpoint, &p);
    return status ? fail(EXIT_ENVIRONMENT, "%s", dlrt_message(t->session.context)) : 0;
}

static int save_weights(Training *t) {
    DlrtStatus status = dlrt_save(t->session.model, t->o->save);
    return status ? fail(EXIT_ENVIRONMENT, "%s", dlrt_model_message(t->session.model)) : 0;
}

/* ------------------------------------------------------------------ interrupts */

static sigset_t stop_signals(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    return set;
}

/* Whether one has come; takes it. */
static bool stop_requested(void) {
    sigset_t set = stop_signals();
    struct timespec at_once = {0, 0};
    return sigtimedwait(&set, NULL, &at_once) > 0;
}

/* ------------------------------------------------------------------ output */

static void record(Training *t, json_t *object) {
    if (t->o->json) print_json(stdout, json_incref(object));
    print_json(t->log, object);
}

static void record_start(Training *t) {
    json_t *o = json_pack("{s:s, s:s, s:s, s:I, s:I, s:f, s:I, s:I, s:I, s:I, s:I, s:s}", "event", "start", "model",
                          t->session.info->name, "function", t->batches.f->name, "epochs", (json_int_t)t->o->epochs,
                          "batch", (json_int_t)t->size, "lr", t->rate, "seed", (json_int_t)t->seed, "threads",
                          (json_int_t)t->o->threads, "samples", (json_int_t)t->train.samples, "test_samples",
                          (json_int_t)t->test.samples, "step", (json_int_t)t->steps, "cpu", t->session.info->cpu_name);
    record(t, o);
    if (t->o->json || t->o->quiet) return;
    printf("%s.%s: %lld samples, %lld to test, batches of %lld, lr %g, seed %llu, %lld thread%s\n",
           t->session.info->name, t->batches.f->name, (long long)t->train.samples, (long long)t->test.samples,
           (long long)t->size, t->rate, (unsigned long long)t->seed, (long long)t->o->threads,
           t->o->threads == 1 ? "" : "s");
    fflush(stdout);
}

static void record_step(Training *t) {
    record(t, json_pack("{s:s, s:I, s:I, s:o}", "event", "step", "epoch", (json_int_t)t->epoch + 1, "step",
                        (json_int_t)t->steps, "loss", json_number_or_null(t->last_loss)));
}

/* Figures that an epoch and the end share. */
static json_t *figures(const Training *t, const char *event) {
    return json_pack("{s:s, s:I, s:I, s:o, s:o, s:o, s:o}", "event", event, "epoch", (json_int_t)t->epoch, "steps",
                     (json_int_t)t->steps, "loss", json_number_or_null(t->epoch_loss), "train_accuracy",
                     json_number_or_null(t->train_accuracy), "test_accuracy", json_number_or_null(t->test_accuracy),
                     "test_loss", json_number_or_null(t->test_loss));
}

static void print_epoch(const Training *t, double seconds) {
    if (t->terminal) fputs("\r\033[K", stderr);
    if (t->o->json || t->o->quiet) return;
    printf("epoch %lld/%lld  loss %.4f", (long long)t->epoch, (long long)t->o->epochs, t->epoch_loss);
    if (isfinite(t->train_accuracy)) printf("  train %.2f %%", 100 * t->train_accuracy);
    if (isfinite(t->test_accuracy)) printf("  test %.2f %%", 100 * t->test_accuracy);
    if (isfinite(t->test_loss)) printf("  test loss %.4f", t->test_loss);
    printf("  %.1f s\n", seconds);
    fflush(stdout);
}

/* The line that a terminal shows while an epoch runs; at most ten times a second. */
static void show_progress(Training *t) {
    double now = seconds_now();
    if (!t->terminal || now - t->shown < 0.1) return;
    int64_t done = t->steps - t->first_step, left = t->o->epochs * t->per_epoch - t->steps;
    double elapsed = now - t->started, each = done ? elapsed / (double)done : 0;
    t->shown = now;
    fprintf(stderr, "\r\033[Kepoch %lld/%lld  step %lld/%lld  loss %.4f", (long long)t->epoch + 1,
            (long long)t->o->epochs, (long long)t->batch, (long long)t->per_epoch,
            t->seen ? t->loss_sum / (double)t->seen : 0.0);
    if (t->roles.correct >= 0 && t->seen)
        fprintf(stderr, "  train %.2f %%", 100.0 * (double)t->correct / (double)t->seen);
    fprintf(stderr, "  %.0f samples/s  %d:%02d left", each > 0 ? (double)t->size / each : 0.0,
            (int)(each * (double)left) / 60, (int)(each * (double)left) % 60);
    fflush(stderr);
}

static int open_log(Training *t) {
    char name[4096];
    const char *path = t->o->log;
    if (path && !strcmp(path, "none")) return 0;
    if (!path) {
        const char *base = strrchr(t->o->model, '/'), *dot;
        base = base ? base + 1 : t->o->model;
        dot = strrchr(base, '.');
        snprintf(name, sizeof name, "%.*s.jsonl", (int)(dot ? dot - base : (long)strlen(base)), base);
        path = name;
    }
    t->log = fopen(path, t->o->resume ? "a" : "w");
    return t->log ? 0 : fail(EXIT_ENVIRONMENT, "%s: the log cannot be written", path);
}

/* ------------------------------------------------------------------ training */

/* One batch. */
static int step(Training *t) {
    int64_t start = t->batch * t->size, n = t->train.samples - start < t->size ? t->train.samples - start : t->size;
    int code = batches_call(&t->batches, &t->train, &t->scaling, t->order, start, n);
    if (code) return code;
    t->last_loss = scalar_result(&t->batches, t->roles.loss);
    t->loss_sum += t->last_loss * (double)n;
    t->seen = start + n;
    if (t->roles.correct >= 0) t->correct += (int64_t)scalar_result(&t->batches, t->roles.correct);
    t->batch++;
    t->steps++;
    if (t->steps % t->o->log_every == 0) record_step(t);
    show_progress(t);
    return 0;
}

static int finish_epoch(Training *t, double began) {
    t->epoch_loss = t->roles.loss >= 0 ? t->loss_sum / (double)t->seen : NAN;
    t->train_accuracy = t->roles.correct >= 0 ? (double)t->correct / (double)t->seen : NAN;
    t->training_seconds += seconds_now() - began;
    int code = measure(&t->session, t->o, &t->test, &t->scaling, &t->test_accuracy, &t->test_loss);
    if (t->test_accuracy < 0) t->test_accuracy = NAN;
    if (code) return code;
    t->epoch++;
    t->batch = t->correct = t->seen = 0;
    t->loss_sum = 0;
    json_t *line = figures(t, "epoch");
    json_object_set_new(line, "seconds", json_real(seconds_now() - t->started));
    record(t, line);
    print_epoch(t, seconds_now() - began);
    return t->checkpoint ? write_checkpoint(t) : 0;
}

static bool at_limit(const Training *t) {
    return t->o->max_steps && t->steps >= t->o->max_steps;
}

static int run_epoch(Training *t) {
    double began = seconds_now();
    shuffle(t);
    while (t->batch < t->per_epoch) {
        if (at_limit(t)) return 0;
        int code = step(t);
        if (code) return code;
        t->interrupted = stop_requested();
        if (t->batch == t->per_epoch) break;
        if (t->interrupted) return 0;
        if (t->checkpoint && t->o->checkpoint_every && t->steps % t->o->checkpoint_every == 0 &&
            (code = write_checkpoint(t)))
            return code;
    }
    return finish_epoch(t, began);
}

/* Says what an interrupt left behind. */
static void report_stop(const Training *t) {
    if (t->terminal) fputc('\n', stderr);
    fprintf(stderr, "dlrun: stopped after step %lld: ", (long long)t->steps);
    if (t->checkpoint)
        fprintf(stderr, "checkpoint in %s; go on with --resume %s\n", t->checkpoint, t->checkpoint);
    else if (t->o->save)
        fprintf(stderr, "weights in %s\n", t->o->save);
    else
        fputs("nothing is saved, since neither --checkpoint nor --save was given\n", stderr);
}

static int finish(Training *t) {
    int code = 0;
    bool whole = t->epoch >= t->o->epochs;
    if (!whole && t->checkpoint) code = write_checkpoint(t);
    if (!code && t->o->save) code = save_weights(t);
    if (code) return code;
    if (!whole && t->seen) { /* the figures of what there is */
        t->epoch_loss = t->roles.loss >= 0 ? t->loss_sum / (double)t->seen : NAN;
        t->train_accuracy = t->roles.correct >= 0 ? (double)t->correct / (double)t->seen : NAN;
    }
    if ((!whole && !t->interrupted) || (whole && t->steps == t->first_step)) {
        code = measure(&t->session, t->o, &t->test, &t->scaling, &t->test_accuracy, &t->test_loss);
        if (t->test_accuracy < 0) t->test_accuracy = NAN;
    }
    double seconds = seconds_now() - t->started;
    json_t *line = figures(t, "end");
    json_object_set_new(line, "seconds", json_real(seconds));
    json_object_set_new(line, "training_seconds", json_real(t->training_seconds));
    json_object_set_new(line, "samples_per_second",
                        json_real((double)((t->steps - t->first_step) * t->size) / (seconds > 0 ? seconds : 1)));
    json_object_set_new(line, "interrupted", json_boolean(t->interrupted));
    if (!whole) report_stop(t);
    record(t, line);
    if (whole && !t->o->json && !t->o->quiet) {
        if (isfinite(t->test_accuracy)) printf("test accuracy %.2f %%  ", 100 * t->test_accuracy);
        printf("%lld steps in %.1f s\n", (long long)t->steps, seconds);
        if (t->o->save) printf("weights in %s\n", t->o->save);
    }
    return code ? code : t->interrupted && !whole ? EXIT_INTERRUPTED : 0;
}

static int check_batch(Training *t) {
    bool fixed;
    const DlrtFunctionInfo *f = &t->session.info->functions[t->roles.function];
    int64_t limit = batch_limit(f, t->roles.data, &fixed);
    if (t->o->batch_given && (t->o->batch > limit || (fixed && t->o->batch != limit)))
        return fail(EXIT_USER, "--batch %lld: %s takes %s %lld samples", (long long)t->o->batch, f->name,
                    fixed ? "always" : "at most", (long long)limit);
    t->size = fixed || t->o->batch > limit ? limit : t->o->batch;
    return 0;
}

static int prepare(Training *t) {
    const Options *o = t->o;
    int code = session_open(&t->session, o);
    if (!code) code = find_trainer(&t->session, o, &t->roles);
    if (!code) code = load_training_set(o, t->roles.label >= 0, &t->train);
    if (!code) code = load_test_set(o, t->roles.label >= 0, &t->test, false);
    if (!code && !o->test_x && !o->data) dataset_free(&t->test);
    if (!code) code = check_batch(t);
    if (!code && o->resume) code = resume(t);
    if (!code) code = batches_prepare(&t->batches, &t->session, &t->roles, o, &t->train, t->size, t->rate);
    if (code) return code;
    t->size = t->batches.size;
    t->per_epoch = t->batches.fixed ? t->train.samples / t->size : (t->train.samples + t->size - 1) / t->size;
    if (!t->per_epoch)
        return fail(EXIT_USER, "%lld samples do not fill one batch of %lld", (long long)t->train.samples,
                    (long long)t->size);
    if (t->batch > t->per_epoch) return fail(EXIT_USER, "%s: its position is out of range", o->resume);
    t->first_step = t->steps = t->epoch * t->per_epoch + t->batch;
    t->seen = t->batch * t->size;
    t->order = malloc((size_t)t->train.samples * sizeof *t->order);
    if (!t->order) return out_of_memory();
    return open_log(t);
}

static int train(Training *t) {
    sigset_t stop = stop_signals(), before;
    int code = prepare(t);
    if (code) return code;
    sigprocmask(SIG_BLOCK, &stop, &before);
    t->started = seconds_now();
    record_start(t);
    while (!code && t->epoch < t->o->epochs && !t->interrupted && !at_limit(t)) code = run_epoch(t);
    if (!code) code = finish(t);
    while (stop_requested()) continue; /* those that came while saving */
    sigprocmask(SIG_SETMASK, &before, NULL);
    return code;
}

int run_train(const Options *o) {
    Training t = {.o = o,
                  .seed = (uint64_t)o->seed,
                  .rate = o->rate,
                  .epoch_loss = NAN,
                  .train_accuracy = NAN,
                  .test_accuracy = NAN,
                  .test_loss = NAN,
                  .checkpoint = o->checkpoint ? o->checkpoint : o->resume};
    t.scaling = make_scaling(o);
    t.terminal = isatty(STDERR_FILENO) && !o->json && !o->quiet;
    if (o->resume && o->load) return fail(EXIT_USER, "--resume and --load exclude each other");
    int code = train(&t);
    if (!code || code == EXIT_INTERRUPTED) { /* a trace that cannot be written counts more than the interrupt */
        int failed = trace_write(&t.session, o);
        if (failed) code = failed;
    }
    batches_free(&t.batches);
    dataset_free(&t.train);
    dataset_free(&t.test);
    free(t.order);
    bool lost = t.log && ferror(t.log); /* a line that did not go out is not seen by fclose */
    if (t.log && (fclose(t.log) || lost) && !code) code = fail(EXIT_ENVIRONMENT, "the log could not be written to its end");
    session_close(&t.session);
    return code;
}
