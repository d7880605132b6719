/* Compile: the whole way from a source to the files asked for, in one function (at the end).
 *
 * Each step leaves its result in the compilation and returns a status; with errors among the diagnostics it is
 * the user's. Where the way ends is what the options ask for at most. */
#include "driver/driver.h"

#include "base/file.h"
#include "codegen/signature.h"
#include "dsl/dsl.h"
#include "ir/kernel_print.h"
#include "ir/kernel_verify.h"
#include "ir/print.h"
#include "pass/chain.h"
#include "pass/lower.h"
#include "pass/place.h"
#include "pass/schedule.h"

#include <ctype.h>

static DlccStatus user_status(const Compilation *c) { return c->diags.errors ? DLCC_USER : DLCC_OK; }

/* ------------------------------------------------------------------ preparation */

DlccStatus driver_find_target(Compilation *c) {
    CodeHost host = code_host(c->arena);
    const char *why;
    c->target = target_find(c->arena, c->options->target, c->options->cpu, host.triple, host.cpu, host.features, &why);
    if (!c->target) return driver_fail(c, DLCC_USER, "%s", why);
    c->cross = strncmp(c->target->triple, host.triple, strcspn(host.triple, "-")) != 0;
    return DLCC_OK;
}

/* The prefix of exported symbols: what was given, or the input's name; IR text goes by its model's. Words of C
 * are no trouble, as something follows. */
static const char *symbol_prefix(Compilation *c, const char *model) {
    const char *from = c->options->name;
    if (!from) from = input_is_graph(c) || input_is_kernels(c) ? model : file_stem(c->arena, c->options->input);
    char *lower = arena_text(c->arena, from, strlen(from));
    for (char *p = lower; *p && !c->options->name; p++) *p = (char)tolower((unsigned char)*p);
    return c_prefix(c->arena, lower);
}

/* --pass-option, and one more behind. */
static PassOption *pass_options(const Compilation *c, const PassOption *more) {
    PassOption *options = arena_array(c->arena, PassOption, c->options->tuning.n + 1);
    for (int i = 0; i < c->options->tuning.n; i++) {
        const char *text = c->options->tuning.at[i], *dot = strchr(text, '.'), *equals = strchr(text, '=');
        options[i] = (PassOption){arena_text(c->arena, text, (size_t)(dot - text)),
                                  arena_text(c->arena, dot + 1, (size_t)(equals - dot - 1)), equals + 1};
    }
    if (more) options[c->options->tuning.n] = *more;
    return options;
}

static bool is_wanted(const Compilation *c, const PassInfo *pass) {
    if (pass->flags & PASS_NEEDED) return true;
    for (int i = 0; i < c->options->skip.n; i++)
        if (!strcmp(c->options->skip.at[i], pass->name)) return false;
    if (c->options->no_winograd && pass == pass_find("winograd")) return false;
    if (pass->flags & PASS_ASKED) return pass_has_option(pass_options(c, NULL), c->options->tuning.n, pass);
    return c->options->level > 0;
}

static DlccStatus prepare(Compilation *c) {
    DlccStatus status = outputs_plan(c);
    if (!status) status = dump_check(c);
    if (!status) status = driver_find_target(c);
    if (!status && c->options->run.n && !input_is_kernels(c) && outputs_furthest(c) > DLCC_GRAPH)
        status = driver_fail(c, DLCC_USER, "--run runs single passes over IR; show the result with --emit or -o x.ir");
    return status;
}

/* ------------------------------------------------------------------- graph level */

static DlccStatus print_ast(Compilation *c) {
    if (input_is_graph(c) || input_is_kernels(c))
        return driver_fail(c, DLCC_USER, "--emit=ast needs a model's source, not IR text");
    dsl_print_ast(c->arena, &c->names, &c->diags, c->options->input, c->text, c->length, &c->output->out);
    return user_status(c);
}

static bool same_in_upper_case(const char *a, const char *b) {
    while (*a && toupper((unsigned char)*a) == toupper((unsigned char)*b)) a++, b++;
    return !*a && !*b;
}

/* C has one name space for what the header declares; functions that would meet there are reported. */
static void check_exported_names(Compilation *c) {
    const Module *m = c->module;
    for (int i = 0; i < m->funcs.n; i++) {
        const Func *f = m->funcs.at[i];
        if (!strcmp(f->name, "module"))
            diag_report(&c->diags, DL0506, f->span, "an exported function cannot be called module");
        for (int k = 0; k < i; k++) {
            if (!same_in_upper_case(f->name, m->funcs.at[k]->name)) continue;
            int diag = diag_report(&c->diags, DL0506, f->span, "%s and %s differ only in case", f->name,
                                   m->funcs.at[k]->name);
            diag_label(&c->diags, diag, m->funcs.at[k]->span, "the other one");
        }
    }
}

static DlccStatus make_graph(Compilation *c) {
    c->module = input_module(c, false);
    if (!c->module) return user_status(c);
    DlccStatus status = select_functions(c);
    if (status) return status;
    check_exported_names(c);
    return c->diags.errors ? DLCC_USER : dump_graph(c, "source");
}

DlccStatus driver_try_pass(Compilation *c, const PassInfo *pass, const PassOption *more) {
    PassRun run = {.level = c->options->level, .only = pass->name, .options = pass_options(c, more),
                   .option_count = c->options->tuning.n + (more != NULL), .tuning = c->tuning};
    int before = c->diags.all.n;
    bool good = passes_run(c->module, c->scratch, &run);
    for (int i = before; i < c->diags.all.n; i++)
        if (c->diags.all.at[i].code == DL0602) return driver_bug(c, pass);
    return good ? DLCC_OK : user_status(c);
}

DlccStatus driver_run_pass(Compilation *c, const PassInfo *pass, const PassOption *more) {
    double start = driver_now();
    DlccStatus status = driver_try_pass(c, pass, more);
    driver_time(c, pass->name, start);
    return status ? status : dump_graph(c, pass->name);
}

DlccStatus driver_graph_passes(Compilation *c, const PassInfo *until) {
    int count;
    const PassInfo *table = pass_table(&count);
    DlccStatus status = DLCC_OK;
    for (int i = 0; i < count && !status && &table[i] != until; i++)
        if (is_wanted(c, &table[i])) status = driver_run_pass(c, &table[i], NULL);
    return status;
}

/* --run: these passes alone, in the order given. */
static DlccStatus run_single_passes(Compilation *c) {
    DlccStatus status = DLCC_OK;
    for (int i = 0; i < c->options->run.n && !status; i++) {
        const PassInfo *pass = pass_find(c->options->run.at[i]);
        if (!pass) return driver_fail(c, DLCC_USER, "%s is no pass over graph IR", c->options->run.at[i]);
        status = driver_run_pass(c, pass, NULL);
    }
    return status;
}

static DlccStatus show_graph(Compilation *c) {
    DlccStatus status = run_single_passes(c);
    if (status) return status;
    if (c->options->emit == DLCC_GRAPH) module_print(c->module, &c->output->out);
    outputs_make_graph(c);
    return DLCC_OK;
}

/* ------------------------------------------------------------------ kernel level */

/* What holds of kernel IR must hold after each pass over it. */
static DlccStatus verify_kernels(Compilation *c, const char *pass) {
    FaultList faults = {0};
    if (!kernels_verify(c->kernels, c->scratch, &faults)) return dump_kernels(c, pass);
    for (int i = 0; i < faults.n; i++) driver_fail(c, DLCC_BUG, "%s", faults.at[i].text);
    return driver_fail(c, DLCC_BUG, "this is a bug in dlcc, not in the model: pass %s left invalid kernel IR", pass);
}

static DlccStatus run_kernel_pass(Compilation *c, const char *name) {
    double start = driver_now();
    if (!strcmp(name, "schedule")) {
        schedule_module(c->kernels, c->target, c->scratch);
        tuning_apply(c->tuning, c->kernels, c->target, &c->diags, c->scratch);
    } else if (!strcmp(name, "chain")) {
        chain_module(c->kernels, CHAIN_LIMITS, c->scratch);
    } else if (!strcmp(name, "place")) place_module(c->kernels, c->scratch);
    else return driver_fail(c, DLCC_USER, "%s is no pass over kernel IR", name);
    arena_reset(c->scratch);
    driver_time(c, name, start);
    return c->diags.errors ? DLCC_USER : verify_kernels(c, name);
}

static DlccStatus lower_graph(Compilation *c) {
    double start = driver_now();
    PassContext context = {.arena = c->arena, .scratch = c->scratch, .diags = &c->diags, .pass = "lower"};
    c->kernels = lower_module(&context, c->module);
    arena_reset(c->scratch);
    driver_time(c, "lower", start);
    return c->kernels ? verify_kernels(c, "lower") : user_status(c);
}

static DlccStatus read_kernels(Compilation *c) {
    c->kernels = input_kernels(c);
    if (!c->kernels) return user_status(c);
    c->module = c->kernels->graph;
    return DLCC_OK;
}

/* A profile has a span for each kernel, so none of them may run in slices. */
bool driver_wants_chains(const Compilation *c) {
    for (int i = 0; i < c->options->skip.n; i++)
        if (!strcmp(c->options->skip.at[i], "chain")) return false;
    return c->options->level > 0 && !c->options->profile;
}

static DlccStatus check_scheduled(Compilation *c) {
    for (int i = 0; i < c->kernels->kernels.n; i++)
        if (c->kernels->kernels.at[i]->schedule.lanes < 1)
            return driver_fail(c, DLCC_USER, "kernel %s has no schedule: add --run=schedule", c->kernels->kernels.at[i]->name);
    return DLCC_OK;
}

static DlccStatus make_kernels(Compilation *c) {
    DlccStatus status = input_is_kernels(c) ? read_kernels(c) : lower_graph(c);
    bool as_asked = input_is_kernels(c) && (outputs_furthest(c) == DLCC_KERNEL || c->options->run.n);
    for (int i = 0; as_asked && !status && i < c->options->run.n; i++)
        status = run_kernel_pass(c, c->options->run.at[i]);
    if (!as_asked && !status) status = run_kernel_pass(c, "schedule");
    if (!as_asked && !status && driver_wants_chains(c)) status = run_kernel_pass(c, "chain");
    if (!status && outputs_furthest(c) > DLCC_KERNEL) status = check_scheduled(c);
    if (!status && (!as_asked || outputs_furthest(c) > DLCC_KERNEL)) status = run_kernel_pass(c, "place");
    if (!status && c->options->emit == DLCC_KERNEL) kernels_print(c->kernels, &c->output->out);
    if (status) return status;
    c->code_options = (CodeOptions){.target = c->target, .prefix = symbol_prefix(c, c->module->name),
                                    .level = c->options->level, .sources = &c->diags, .profile = c->options->profile,
                                    .debug = c->options->debug, .folder = file_current_folder(c->arena)};
    return status;
}

/* -------------------------------------------------------------------- code level */

static DlccStatus make_code(Compilation *c) {
    const char *why = "";
    double start = driver_now();
    c->code = code_build(c->arena, c->kernels, &c->code_options, &why);
    driver_time(c, "generate", start);
    if (!c->code) return driver_fail(c, DLCC_BUG, "this is a bug in dlcc: the generated code is invalid: %s", why);
    start = driver_now();
    if (!code_optimise(c->code, &why))
        return driver_fail(c, DLCC_BUG, "this is a bug in dlcc: LLVM's passes fail: %s", why);
    driver_time(c, "optimise", start);
    return DLCC_OK;
}

DlccStatus driver_link(Compilation *c, const char *path) {
    OutputFile file = {.path = path, .stage = DLCC_SHARED};
    DlccStatus status = driver_graph_passes(c, NULL);
    if (!status) status = make_kernels(c);
    if (!status) status = make_code(c);
    if (!status) status = output_make(c, &file);
    if (!status) status = output_write(c, &file);
    code_free(c->code);
    c->code = NULL;
    return status;
}

DlccStatus driver_kernels(Compilation *c) {
    DlccStatus status = DLCC_OK;
    if (!input_is_kernels(c)) status = make_graph(c);
    if (!status && !input_is_kernels(c)) status = driver_graph_passes(c, NULL);
    return status ? status : make_kernels(c);
}

/* Whether nothing was asked for but to look for mistakes. */
static bool only_checks(const DlccOptions *o) {
    return !o->outputs.n && !o->emit && !o->report && !o->time_passes && !o->dump_all && !o->dump_after.n && !o->run.n && !o->tune;
}

DlccStatus driver_compile(Compilation *c) {
    DlccStatus status = prepare(c);
    DlccStage goal = outputs_furthest(c);
    bool from_kernels = input_is_kernels(c);
    if (!status) status = input_read(c);
    if (!status) status = tuned_read(c);
    if (!status && c->options->tune) status = driver_tune(c);
    if (!status && c->options->emit == DLCC_AST) status = print_ast(c);
    if (!status && goal >= DLCC_GRAPH && !from_kernels) status = make_graph(c);          /* source -> graph */
    if (!status && goal >= DLCC_GRAPH && !from_kernels) status = show_graph(c);
    if (!status && goal >= DLCC_KERNEL && !from_kernels) status = driver_graph_passes(c, NULL); /* graph -> fused */
    if (!status && goal >= DLCC_KERNEL) status = budget_fit(c);
    if (!status && goal >= DLCC_KERNEL) status = make_kernels(c);                        /* fused -> kernels, plans */
    if (!status && c->options->report) report_kernels(c);
    if (!status && goal >= DLCC_LLVM) status = make_code(c);                             /* kernels -> LLVM */
    if (!status) status = outputs_make(c);                                               /* LLVM -> bytes */
    if (!status) status = outputs_write(c);
    code_free(c->code);
    if (!status && c->options->time_passes) report_times(c);
    if (!status && only_checks(c->options))
        return driver_fail(c, DLCC_OK, "%s has no mistakes; -o NAME.so compiles it", c->options->input);
    return status;
}
