/* eval.c - dlrun eval: accuracy and loss of a model on test data.
 *
 * In: a model, usually with --load, and test data. Out: accuracy of the predicting function, and the loss
 * if the model exports a function that gives it without training.
 */
#include "tool.h"
#include <math.h>

static int evaluate(const Session *s, const Options *o, const Dataset *test) {
    Scaling scaling = make_scaling(o);
    double accuracy, loss, started = seconds_now();
    int code = measure(s, o, test, &scaling, &accuracy, &loss);
    if (code) return code;
    if (accuracy < 0 && isnan(loss))
        return fail(EXIT_USER,
                    "%s exports neither a function that predicts nor one that gives a loss without "
                    "training; say which with --predict",
                    s->info->name);
    if (o->json) {
        print_json(stdout, json_pack("{s:s, s:I, s:o, s:o, s:f}", "event", "eval", "samples", (json_int_t)test->samples,
                                     "test_accuracy", json_number_or_null(accuracy < 0 ? NAN : accuracy), "loss",
                                     json_number_or_null(loss), "seconds", seconds_now() - started));
        return 0;
    }
    if (accuracy >= 0) printf("test accuracy %.2f %%  ", 100 * accuracy);
    if (isfinite(loss)) printf("loss %.4f  ", loss);
    printf("on %lld samples in %.2f s\n", (long long)test->samples, seconds_now() - started);
    return 0;
}

int run_eval(const Options *o) {
    Session s;
    Dataset test = {0};
    int code = session_open(&s, o);
    if (code) return code;
    code = load_test_set(o, true, &test, true);
    if (!code) code = evaluate(&s, o, &test);
    if (!code) code = trace_write(&s, o);
    dataset_free(&test);
    session_close(&s);
    return code;
}
