/* The verifier notices every broken invariant: each case breaks one thing in a valid module. */
#include "../fixture.h"
#include "ops/ops.h"

#include <string.h>

static const char *const text =
    "module @m\n"
    "dim B in 1..8\n"
    "dim C in 1..8\n"
    "param @w : f32[4,3]\n"
    "slot @s : f32\n"
    "func @f(%x: f32[B,4] = arg \"x\", %w: f32[4,3] = var @w, %i: i64 = seed, %k: i64 = count) dims(B) {\n"
    "  %d = dot_general %x, %w {lhs_batch = [], rhs_batch = [], lhs_contract = [1], rhs_contract = [0]} : f32[B,3]\n"
    "  %e = exp %d : f32[B,3]\n"
    "  %r = reduce_sum %e {axes = [0, 1]} : f32\n"
    "  %u = fusion %e : f32[B,3] (%p: f32[B,3]) {\n"
    "    %n = negate %p : f32[B,3]\n"
    "    yield %n\n"
    "  }\n"
    "  return %u as \"u\", %w -> @w\n"
    "}\n"
    "func @g(%x: f32 = arg \"x\") {\n"
    "  %y = negate %x : f32\n"
    "  return %y\n"
    "}\n"
    "init func @init(%seed: i64 = seed) {\n"
    "  %1 = constant {dtype = f32, shape = [4, 3], value = 0.0} : f32[4,3]\n"
    "  %2 = constant {dtype = f32, shape = [], value = 0.0} : f32\n"
    "  return %1 -> @w, %2 -> @s\n"
    "}\n";

/* The module with names for what the cases break. */
typedef struct Parts {
    Module *m;
    Func *f, *g;
    Op *dot, *exp, *reduce, *fusion, *negate;
} Parts;

static void operand_of_another_function(Parts *p) { p->exp->operands[0] = p->g->body->params.at[0]; }
static void operand_missing(Parts *p) { p->exp->operands[0] = NULL; }
static void operand_not_yet_defined(Parts *p) { p->exp->operands[0] = &p->fusion->results[0]; }
static void operand_from_inside(Parts *p) { p->f->body->yields.at[0] = &p->negate->results[0]; }
static void too_few_operands(Parts *p) { p->dot->operand_count = 1; }
static void attribute_missing(Parts *p) { p->reduce->attr_count = 0; }
static void attribute_unknown(Parts *p) { p->reduce->attrs[0].key = "axis"; }
static void attribute_of_another_kind(Parts *p) { p->reduce->attrs[0].kind = ATTR_INT; }
static void attribute_twice(Parts *p) { p->dot->attrs[1] = p->dot->attrs[0]; }
static void wrong_result_type(Parts *p) { p->reduce->results[0].type.dtype = DTYPE_F64; }
static void inference_fails(Parts *p) { ((int64_t *)p->reduce->attrs[0].ints)[1] = 9; }
static void region_missing(Parts *p) { p->fusion->region_count = 0; }
static void result_too_many(Parts *p) { p->exp->result_count = 0; }
static void yields_too_few(Parts *p) { p->fusion->regions[0]->yields.n = 0; }
static void parameters_too_few(Parts *p) { p->fusion->regions[0]->params.n = 0; }
static void wrong_parent(Parts *p) { p->negate->parent = p->f->body; }
static void wrong_owner(Parts *p) { p->fusion->regions[0]->owner = p->exp; }
static void wrong_result_link(Parts *p) { p->exp->results[0].index = 1; }
static void wrong_parameter_link(Parts *p) { p->f->body->params.at[1]->index = 0; }
static void input_without_parameter(Parts *p) { p->f->inputs.n--; }
static void variable_read_twice(Parts *p) { p->f->inputs.at[2] = p->f->inputs.at[1]; }
static void variable_of_another_type(Parts *p) { p->f->body->params.at[1]->type.dtype = DTYPE_F64; }
static void foreign_variable(Parts *p) {
    static Var other = {.name = "other"};
    p->f->inputs.at[1].var = &other;
}
static void two_seeds(Parts *p) { p->f->inputs.at[3].kind = PORT_SEED; }
static void float_seed(Parts *p) { p->f->body->params.at[2]->type.dtype = DTYPE_F32; }
static void argument_with_variable(Parts *p) { p->f->inputs.at[0].var = p->m->vars.at[0]; }
static void result_without_yield(Parts *p) { p->f->results.n--; }
static void variable_written_twice(Parts *p) {
    p->f->results.at[0].var = p->m->vars.at[0];
    p->f->body->yields.at[0] = p->f->body->yields.at[1];
}
static void result_of_another_type(Parts *p) { p->f->results.at[1].var = p->m->vars.at[1]; }
static void run_time_variable(Parts *p) {
    ((Dim *)p->m->vars.at[0]->type.shape)[0] = dim_of_symbol(&p->m->dims, p->m->dims.symbols.at[0]);
}
static void order_no_permutation(Parts *p) { p->m->vars.at[0]->order[0] = 1; }
static void variable_name_twice(Parts *p) { p->m->vars.at[1]->name = "w"; }
static void function_name_twice(Parts *p) { p->g->name = "f"; }
static void slot_of_another_type(Parts *p) { p->m->vars.at[1]->of = p->m->vars.at[0]; }
static void unbound_dim(Parts *p) { p->f->dims.n = 0; }
static void foreign_dim(Parts *p) {
    static DimSymbol other = {.name = "other"};
    p->f->dims.at[0] = &other;
}
static void overflowed_dim(Parts *p) {
    ((Dim *)p->f->body->params.at[0]->type.shape)[0] = dim_const(&p->m->dims, INT64_MAX);
}
static void missing_dim(Parts *p) { ((Dim *)p->f->body->params.at[0]->type.shape)[0] = NULL; }
static void rank_too_high(Parts *p) { p->f->body->params.at[0]->type.rank = MAX_RANK + 1; }
static void unknown_dtype(Parts *p) { p->f->body->params.at[0]->type.dtype = DTYPE_COUNT; }
static void result_rank_too_high(Parts *p) { p->exp->results[0].type.rank = MAX_RANK + 1; }
static void init_reads_argument(Parts *p) { p->m->init->inputs.at[0].kind = PORT_COUNT; }
static void init_forgets_variable(Parts *p) { p->m->init->results.n = p->m->init->body->yields.n = 1; }

typedef struct BreakCase {
    const char *name;
    void (*break_it)(Parts *p);
    const char *expected;      /* part of one of the messages */
} BreakCase;

#define CASE(name, expected) {#name, name, expected}

static const BreakCase cases[] = {
    CASE(operand_of_another_function, "operand 0 is no value of this function"),
    CASE(operand_missing, "operand 0 is missing"),
    CASE(operand_not_yet_defined, "operand 0 (%u) is used where it is not defined"),
    CASE(operand_from_inside, "result 0 (%n) is used where it is not defined"),
    CASE(too_few_operands, "dot_general takes 2 operands, not 1"),
    CASE(attribute_missing, "reduce_sum needs an attribute axes"),
    CASE(attribute_unknown, "reduce_sum has no attribute axis"),
    CASE(attribute_of_another_kind, "attribute axes is of another kind"),
    CASE(attribute_twice, "attribute lhs_batch is given twice"),
    CASE(wrong_result_type, "result 0 has type f64, but the operator gives f32"),
    CASE(inference_fails, "axis"),
    CASE(region_missing, "fusion has 1 region, not 0"),
    CASE(result_too_many, "exp has 1 result, not 0"),
    CASE(yields_too_few, "the body yields 0 values"),
    CASE(parameters_too_few, "operand 0 is no value of this function"),
    CASE(wrong_parent, "the op does not know the region it is in"),
    CASE(wrong_owner, "a region does not know its owner"),
    CASE(wrong_result_link, "result 0 does not know its op"),
    CASE(wrong_parameter_link, "parameter 1 does not know its region"),
    CASE(input_without_parameter, "3 inputs, but 4 parameters"),
    CASE(variable_read_twice, "variable w has two inputs"),
    CASE(variable_of_another_type, "input 1 has another type than its variable"),
    CASE(foreign_variable, "input 1 reads no variable of the module"),
    CASE(two_seeds, "input 3 is a second seed or count"),
    CASE(float_seed, "input 2, a seed or count, is not an i64 scalar"),
    CASE(argument_with_variable, "input 0 is an argument, yet has a variable"),
    CASE(result_without_yield, "1 results, but 2 yields"),
    CASE(variable_written_twice, "variable w has two new versions"),
    CASE(result_of_another_type, "result 1 has another type than variable s"),
    CASE(run_time_variable, "variable w: extent 0 is no constant"),
    CASE(order_no_permutation, "variable w: its physical order is no permutation"),
    CASE(variable_name_twice, "two variables are called w"),
    CASE(function_name_twice, "two functions are called f"),
    CASE(slot_of_another_type, "variable s belongs to w, which is no parameter of its shape"),
    CASE(unbound_dim, "parameter's type mentions dim B"),
    CASE(foreign_dim, "dim 0 of the signature is no free dim of the module"),
    CASE(overflowed_dim, "parameter's type: extent 0 is too large"),
    CASE(missing_dim, "parameter's type: extent 0 is missing"),
    CASE(rank_too_high, "parameter's type: rank 9 is not in 0 .. 8"),
    CASE(unknown_dtype, "parameter's type: no such element type"),
    CASE(result_rank_too_high, "result's type: rank 9 is not in 0 .. 8"),
    CASE(init_reads_argument, "init reads something else than the seed"),
    CASE(init_forgets_variable, "init does not write variable s"),
};

static Parts parts_of(Module *m) {
    Parts p = {.m = m, .f = m->funcs.at[0], .g = m->funcs.at[1]};
    Op **ops = p.f->body->ops.at;
    p.dot = ops[0];
    p.exp = ops[1];
    p.reduce = ops[2];
    p.fusion = ops[3];
    p.negate = p.fusion->regions[0]->ops.at[0];
    return p;
}

static void valid_module_has_no_fault(void **state) {
    Fixture *f = *state;
    FaultList faults = {0};
    assert_int_equal(module_verify(fixture_read(f, text), &f->scratch, &faults), 0);
}

static void every_broken_invariant_is_noticed(void **state) {
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Fixture *f = *state;
        Parts p = parts_of(fixture_read(f, text));
        FaultList faults = {0};
        cases[i].break_it(&p);
        module_verify(p.m, &f->scratch, &faults);
        bool found = false;
        for (int k = 0; k < faults.n; k++) found = found || strstr(faults.at[k].text, cases[i].expected);
        if (!found) fail_msg("%s: no \"%s\" among %d faults, first: %s", cases[i].name, cases[i].expected, faults.n,
                             faults.n ? faults.at[0].text : "none");
        fixture_close(state);
        fixture_open(state);
    }
}

static void faults_name_pass_function_and_op(void **state) {
    Fixture *f = *state;
    Parts p = parts_of(fixture_read(f, text));
    FaultList faults = {0};
    wrong_result_type(&p);
    module_verify(p.m, &f->scratch, &faults);
    faults_report(p.m, &faults, "pass x");
    Text to = text_new(&f->arena);
    diags_render(&f->diags, &to, false);
    assert_non_null(strstr(text_get(&to), "error[DL0602]: pass x: @f: result 0 has type f64"));
    assert_non_null(strstr(text_get(&to), "test.ir:9:3"));
    assert_non_null(strstr(text_get(&to), "note: in %r = reduce_sum %e {axes = [0, 1]} : f64"));
}

int main(void) {
    const struct CMUnitTest tests[] = {FIXTURE_TEST(valid_module_has_no_fault),
                                       FIXTURE_TEST(every_broken_invariant_is_noticed),
                                       FIXTURE_TEST(faults_name_pass_function_and_op)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
