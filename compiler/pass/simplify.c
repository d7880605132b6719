/* simplify: rewrites by a table of rules until none applies.
 *
 * In: any module. Out: one that computes the same with less. A round shows every op to the rules that
 * match its operator, definitions before uses, so that chains collapse within a round; rounds go on
 * while something changes. The option only=RULE applies one rule alone. */
#include "pass/simplify.h"
#include "pass/pass.h"
#include "pass/rewrite.h"

/* What a rule is tried on: ops of a kind, of one operator, or commutative ones. */
typedef struct Rule {
    const char *name;
    RuleFn *apply;
    const OpInfo *info;        /* null: see kind */
    int kind;                  /* OpKind; -1: any */
    unsigned flags;            /* all of them set */
    bool only_use;             /* nothing else uses operand 0: else the rule would compute twice */
} Rule;

enum { MOST_RULES = 64, MOST_ROUNDS = 32 };

#define KIND(name) NULL, KIND_##name, 0, false
#define OP(name) &OP_##name, -1, 0, false
#define MAP(name) op_of_map(MAP_##name), -1, 0, false
#define COMMUTATIVE NULL, KIND_MAP, OP_COMMUTATIVE, false
#define ONLY_USE(name) &OP_##name, -1, 0, true
#define REDUCE_ONLY_USE NULL, KIND_REDUCE, 0, true
#define GAPS_ONLY_USE NULL, KIND_MOVE, OP_LEAVES_GAPS, true
#define RULE(name, match, doc) rules[n++] = (Rule){#name, rule_##name, match};

/* op_of_map is no constant expression, so the table is filled in. */
static int fill_rules(Rule *rules) {
    int n = 0;
    SIMPLIFY_RULES(RULE)
    return n;
}

#undef RULE

typedef struct Simplifier {
    Rule rules[MOST_RULES];
    int rule_count;
    bool regions;              /* simplify_regions too: no one rule is asked for */
    PassContext *context;
    const int *uses;           /* by number, before the round */
    Value *result;
} Simplifier;

static bool matches(const Simplifier *s, const Rule *rule, const Op *op) {
    const OpInfo *info = op->info;
    bool is_for = rule->info ? rule->info == info
                             : rule->kind == (int)info->kind && (info->flags & rule->flags) == rule->flags;
    if (!is_for || !rule->only_use) return is_for;
    int id = op->operands[0]->id;
    return id >= 0 && s->uses[id] == 1;
}

static Value *const *simplify_op(void *user, Builder *b, Op *op) {
    Simplifier *s = user;
    if (op->result_count != 1) return NULL;
    for (int i = 0; i < s->rule_count; i++) {
        if (!matches(s, &s->rules[i], op)) continue;
        int before = b->region->ops.n;
        s->result = s->rules[i].apply(b, op);
        if (s->result && type_equal(s->result->type, op->results[0].type)) return &s->result;
        b->region->ops.n = before;
    }
    return NULL;
}

static void simplify_func(void *user, Func *f) {
    Simplifier *s = user;
    Arena *scratch = s->context->scratch;
    for (int round = 0; round < MOST_ROUNDS; round++) {
        int changed = s->regions ? simplify_regions(f, scratch) : 0;
        graph_number(f);
        s->uses = graph_use_counts(f, scratch);
        if (!graph_rewrite(f, scratch, simplify_op, s) && !changed) return;
        graph_sweep(f, scratch);
    }
}

void pass_simplify(PassContext *c, Module *m) {
    Simplifier s = {.context = c};
    s.rule_count = fill_rules(s.rules);
    const char *only = pass_option(c, "only");
    int n = s.rule_count;
    s.regions = !only;
    for (int i = s.rule_count = 0; i < n; i++)
        if (!only || !strcmp(s.rules[i].name, only)) s.rules[s.rule_count++] = s.rules[i];
    module_each_func(m, simplify_func, &s);
}

/* ------------------------------------------------------------------ shared by the rules */

bool value_is_all(const Value *v, double x) {
    double value;
    if (!value_is_splat(v, &value)) return false;
    if (!dtype_is_float(v->type.dtype)) return (double)number_from_float(v->type.dtype, value) == x;
    return !memcmp(&(double){number_round(v->type.dtype, value)}, &x, sizeof x);
}

Value *try_op(Builder *b, const OpInfo *info, Value *const *operands, int n, const Attr *attrs, int attr_count,
              Type type) {
    Op *op = op_append(b->module, b->region, info, operands, n, 1, attrs, attr_count, 0, b->span);
    if (!op_infer(b->module, op, NULL) && type_equal(op->results[0].type, type)) return &op->results[0];
    b->region->ops.n--;
    return NULL;
}

Value *try_map(Builder *b, MapFn f, Value *const *operands, int n, Type type) {
    return try_op(b, op_of_map(f), operands, n, NULL, 0, type);
}
