/* Lists: --list, what there is; --explain, what a diagnostic means. */
#include "driver/driver.h"

#include "dsl/dsl.h"
#include "ops/ops.h"

#include <stdlib.h>

static void list_ops(Compilation *c) {
    static const char *const kinds[] = {
        [KIND_MAP] = "map", [KIND_REDUCE] = "reduce", [KIND_CUMULATE] = "cumulate", [KIND_CONTRACT] = "contract", [KIND_MOVE] = "move",
        [KIND_INDEX] = "index", [KIND_REGION] = "region", [KIND_OPAQUE] = "opaque", [KIND_CHECK] = "check"};
    int count;
    const OpInfo *const *table = op_table(&count);
    for (int i = 0; i < count; i++)
        text_add(&c->output->out, "%-20s %-9s %s  %s:%d\n", table[i]->name, kinds[table[i]->kind],
                 table[i]->doc ? table[i]->doc : "", table[i]->at.file, table[i]->at.line);
}

static void list_passes(Compilation *c) {
    int count;
    const PassInfo *table = pass_table(&count);
    for (int i = 0; i < count; i++)
        text_add(&c->output->out, "%-13s %s%s  %s\n", table[i].name, table[i].doc,
                 table[i].flags & PASS_NEEDED ? " Always runs." : "", table[i].file);
    static const char *const last[][2] = {
        {"lower", "Makes kernels and plans of the graph."},
        {"schedule", "Chooses vectors, tiles and chunks of each kernel for the target."},
        {"chain", "Has kernels run slice by slice together, so that what is between them stays in the cache."},
        {"place", "Gives every buffer of the workspace its offset."}};
    for (int i = 0; i < 4; i++)
        text_add(&c->output->out, "%-13s %s  compiler/pass/%s.c\n", last[i][0], last[i][1], last[i][0]);
}

static void list_targets(Compilation *c) {
    int count;
    const Target *table = target_table(&count);
    for (int i = 0; i < count; i++) {
        text_add(&c->output->out, "%-10s %s, %d registers of %d bytes  %s:%d\n%-10s --cpu=", table[i].name, table[i].triple,
                 table[i].vector_registers, table[i].vector_bytes, table[i].at.file, table[i].at.line, "");
        for (const char *const *m = table[i].members; *m; m++)
            text_add(&c->output->out, "%s%s", m == table[i].members ? "" : " ", *m);
        text_add(&c->output->out, "\n");
    }
}

static void list_library(Compilation *c, DslSort sort) {
    int count;
    const DslEntry *entries = dsl_list(c->arena, &c->names, sort, &count);
    for (int i = 0; i < count; i++) {
        text_add(&c->output->out, "%s  %s:%d", entries[i].signature, entries[i].path, entries[i].line);
        if (entries[i].call) text_add(&c->output->out, "\n    Call: %s", entries[i].call);
        for (const char *line = entries[i].doc; line && *line; line += strcspn(line, "\n"), line += *line == '\n')
            text_add(&c->output->out, "\n    %.*s", (int)strcspn(line, "\n"), line);
        text_add(&c->output->out, "\n");
    }
}

DlccStatus list_run(Compilation *c) {
    static void (*const lists[])(Compilation *) = {list_ops, list_passes, list_targets};
    const char *names[3 + DSL_SORT_COUNT] = {"ops", "passes", "targets"};
    for (int sort = 0; sort < DSL_SORT_COUNT; sort++) names[3 + sort] = dsl_sort_name((DslSort)sort);
    for (int i = 0; i < 3 + DSL_SORT_COUNT; i++) {
        if (strcmp(c->options->subject, names[i])) continue;
        if (i < 3) lists[i](c);
        else list_library(c, (DslSort)(i - 3));
        return DLCC_OK;
    }
    Text all = text_new(c->arena);
    for (int i = 0; i < 3 + DSL_SORT_COUNT; i++) text_add(&all, "%s%s", i ? ", " : "", names[i]);
    const char *nearest = nearest_name(c->options->subject, names, 3 + DSL_SORT_COUNT);
    return driver_fail(c, DLCC_USER, "--list takes %s, not %s%s%s", text_get(&all), c->options->subject,
                       nearest ? "; did you mean " : "", nearest ? arena_printf(c->arena, "%s?", nearest) : "");
}

DlccStatus explain_run(Compilation *c) {
    const char *code = c->options->subject;
    char *end;
    if ((code[0] == 'D' || code[0] == 'd') && (code[1] == 'L' || code[1] == 'l')) code += 2;
    long number = strtol(code, &end, 10);
    for (int i = 0; *code && !*end && i < DIAG_CODE_COUNT; i++) {
        const DiagCodeInfo *info = diag_code_info((DiagCode)i);
        if (info->number != number) continue;
        text_add(&c->output->out, "DL%04d: %s\n", info->number, info->title);
        if (info->explain[0]) text_add(&c->output->out, "\n%s", info->explain);
        return DLCC_OK;
    }
    return driver_fail(c, DLCC_USER, "there is no diagnostic %s; they look like DL0301", c->options->subject);
}
