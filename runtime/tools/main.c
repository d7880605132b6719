/* main.c - dlrun: look at, train, measure and call any compiled model.
 *
 * In: a command, a .so that dlcc wrote, options (dlrun --help). Out: an exit code: 0 done, 1 the
 * environment failed, 2 a mistake in the call or the data, 130 interrupted.
 */
#include "tool.h"
#include <signal.h>
#include <string.h>

typedef struct Command {
    const char *name;
    int (*run)(const Options *);
} Command;

int main(int argc, char **argv) {
    static const Command commands[] = {
        {"info", run_info}, {"train", run_train}, {"eval", run_eval}, {"call", run_call}, {"bench", run_bench}};
    Options o;
    signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is a failed write, told like a full disk */
    int code = parse_arguments(argc, argv, &o);
    if (code) return code;
    if (o.help || !o.command) {
        print_usage(o.help ? stdout : stderr);
        return o.help ? 0 : EXIT_USER;
    }
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        if (strcmp(commands[i].name, o.command)) continue;
        if (!o.model) return fail(EXIT_USER, "which model? dlrun %s MODEL.so", o.command);
        code = commands[i].run(&o);
        if ((fflush(stdout) || ferror(stdout)) && !code) code = fail(EXIT_ENVIRONMENT, "standard output cannot be written");
        return code;
    }
    return fail(EXIT_USER, "there is no command '%s'; there are info, train, eval, call and bench", o.command);
}
