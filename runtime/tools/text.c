/* text.c - messages, exit codes, the clock, lines of JSON.
 *
 * In: formats, statuses. Out: text on standard error or in an Error; exit codes 1 for the environment's
 * failures and 2 for the user's mistakes.
 */
#include "tool.h"
#include <math.h>
#include <stdarg.h>
#include <time.h>

bool error_set(Error *e, const char *format, ...) {
    va_list values;
    va_start(values, format);
    vsnprintf(e->text, sizeof e->text, format, values);
    va_end(values);
    return false;
}

int fail(int code, const char *format, ...) {
    va_list values;
    va_start(values, format);
    fputs("dlrun: ", stderr);
    vfprintf(stderr, format, values);
    fputc('\n', stderr);
    va_end(values);
    return code;
}

int out_of_memory(void) {
    return fail(EXIT_ENVIRONMENT, "out of memory");
}

int status_code(DlrtStatus status) {
    return status == DLRT_ERR_MEMORY ? EXIT_ENVIRONMENT : EXIT_USER;
}

double seconds_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

void print_json(FILE *to, json_t *object) {
    if (to && object) {
        json_dumpf(object, to, JSON_COMPACT | JSON_REAL_PRECISION(9));
        fputc('\n', to);
        fflush(to);
    }
    json_decref(object);
}

json_t *json_number_or_null(double value) {
    return isfinite(value) ? json_real(value) : json_null();
}
