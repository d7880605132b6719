/* Checks: operators without results that hold at run time, or the call ends with a status and has changed nothing.
 * bind_dim gives a dim its value besides: later ops of the region, and of regions in these, may use it. */
#include "ops/rules.h"

static const char *need_scalar(Module *m, const Op *op) {
    const Value *x = op->operands[0];
    return x->type.rank ? reason(m, "the operand must be a scalar, but is %s", value_text(m, x)) : NULL;
}

/* ----------------------------------------------------------------------------- bind_dim */

static const char *infer_bind_dim(Module *m, Op *op) {
    int n;
    const Dim *dims = op_dims(op, "dims", &n);
    if (n != 1) return reason(m, "dims has %d entries, but must have one", n);
    const DimTerm *t = dims[0]->terms;
    bool symbol = dims[0]->term_count == 1 && t->n == 1 && t->coeff == 1;
    if (!symbol || m->dims.symbols.at[t->symbols[0]]->of)
        return reason(m, "%s cannot be bound: it is no declared free dim", dim_text(m, dims[0]));
    return need_scalar(m, op);
}

static void eval_bind_dim(EvalContext *e, const Op *op) {
    const DimSymbol *s = e->module->dims.symbols.at[op_dims(op, "dims", NULL)[0]->terms[0].symbols[0]];
    const Attr *what = op_attr(op, "what");
    int64_t value = eval_operand(e, op, 0)->at[0].i;
    e->dims[s->id] = value;
    if (value < s->lower || value > s->upper)
        eval_fail(e, "%s is %lld, outside %lld .. %lld", what ? what->text : s->name, (long long)value,
                  (long long)s->lower, (long long)s->upper);
}

/* ------------------------------------------------------------------------------ require */

static const char *infer_require(Module *m, Op *op) { return need_scalar(m, op); }

static void eval_require(EvalContext *e, const Op *op) {
    if (!eval_operand(e, op, 0)->at[0].i) eval_fail(e, "%s", op_attr(op, "message")->text);
}

/* --------------------------------------------------------------------------------- table */

static const AttrSpec attrs_bind[] = {{"dims", ATTR_DIMS, false, DIMS_NONE}, {"what", ATTR_TEXT, true, DIMS_NONE}, {0}};
static const AttrSpec attrs_require[] = {{"message", ATTR_TEXT, false, DIMS_NONE}, {0}};

const OpInfo OP_bind_dim = {
    .name = "bind_dim", .at = HERE, .kind = KIND_CHECK, .min_operands = 1, .max_operands = 1, .result_count = 0,
    .flags = OP_BINDS_DIM, .signature = "l", .types = CLASS_ANY, .attrs = attrs_bind,
    .doc = "bind_dim(x): the free dim in dims is the i64 scalar x from here on; outside the dim's bounds it is a "
           "run-time status, where `what` names it.",
    .infer = infer_bind_dim, .eval = eval_bind_dim};

const OpInfo OP_require = {
    .name = "require", .at = HERE, .kind = KIND_CHECK, .min_operands = 1, .max_operands = 1, .result_count = 0,
    .signature = "b", .types = CLASS_ANY, .attrs = attrs_require,
    .doc = "require(condition): false is a run-time status that carries the message.",
    .infer = infer_require, .eval = eval_require};
