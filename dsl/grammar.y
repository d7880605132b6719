/* Grammar: LALR(1) without conflicts. Statements end where tokens.c says so (SEP); a syntax error costs one
 * statement, member or declaration. `in over to as like` are names wherever they mean nothing else. */
%require "3.8"
%expect 0
%define api.pure full
%define api.prefix {dl_}
%define api.token.prefix {DL_}
%define api.location.type {Span}
%define parse.error custom
%define lr.default-reduction accepting
%locations
%param { Parser *ps }

%code requires {
#include "parse.h"
}

%code {
#define YYMAXDEPTH 8000
/* The stack comes from the arena. */
#define YYSTACK_ALLOC(bytes) arena_alloc(ps->arena, bytes)
#define YYLLOC_DEFAULT(current, rhs, n)                                                                                \
    ((current) = (n) ? span_join(YYRHSLOC(rhs, 1), YYRHSLOC(rhs, n))                                                   \
                     : (Span){YYRHSLOC(rhs, 0).source, YYRHSLOC(rhs, 0).end, YYRHSLOC(rhs, 0).end})

static int dl_lex(DL_STYPE *value, Span *span, Parser *ps);
static void dl_error(const Span *span, Parser *ps, const char *message);

static Nodes *list_of(Parser *ps, Node *first);
static Nodes *list_add(Parser *ps, Nodes *list, Node *node);
static Nodes *list_join(Parser *ps, Nodes *to, const Nodes *from);
static Node *group(Parser *ps, Span span, const Nodes *list);
static Node *from_list(Parser *ps, NodeKind kind, Span span, const Nodes *list);
static Node *value_of(Parser *ps, Span span, const Nodes *list);
static Node *declared(Parser *ps, Node *node, Span name, Span start);
static Nodes *documented(Parser *ps, Nodes *items, Span start);
static Node *name_node(Parser *ps, Span span, const char *name);
static Node *call_node(Parser *ps, NodeKind kind, Span span, Node *base, const Nodes *items);
static Node *dim_node(Parser *ps, Span span, Node *lower, Node *name, Node *upper, Node *value);
static Node *dim_parameter(Parser *ps, Span span, Node *dim);
static Node *import_node(Parser *ps, Span span, Span at, const Node *path, Node *name);
#define MAKE(kind, span, text, ...)                                                                                    \
    parse_node(ps, NODE_##kind, span, text, (Node *[]){__VA_ARGS__},                                                   \
               (int)(sizeof((Node *[]){__VA_ARGS__}) / sizeof(Node *)))
#define LEAF(kind, span, text) parse_node(ps, NODE_##kind, span, text, NULL, 0)
}

%union {
    Node *node;
    Nodes *list;
    const char *text;
    int64_t i;
    double f;
}

%token END 0 "end of file"
%token <text> IDENT "name"
%token <i> INT "integer"
%token <f> FLOAT "number"
%token <node> STRING "string"
%token SEP "end of line"
%token LARROW "`<-`" RARROW "`->`" DOTDOT "`..`" EQ "`==`" NE "`!=`" LE "`<=`" GE "`>=`"
%token AND "`and`" APPLY "`apply`" BACKWARD "`backward`" CACHE "`cache`" COND "`cond`" DIM "`dim`" ELSE "`else`"
%token EXPORT "`export`" FALSE "`false`" FN "`fn`" FOR "`for`" IF "`if`" IMPORT "`import`" LAYER "`layer`" LET "`let`"
%token LOOP "`loop`" MINIMIZE "`minimize`" MODEL "`model`" NONE "`none`" NOT "`not`" OPTIMIZER "`optimizer`" OR "`or`"
%token PARAM "`param`" RECOMPUTE "`recompute`" REQUIRE "`require`" RETURN "`return`" SCAN "`scan`" STATE "`state`"
%token TRUE "`true`" VAR "`var`" WHILE "`while`" WITH "`with`" YIELD "`yield`"
%token <text> AS "`as`" IN "`in`" LIKE "`like`" OVER "`over`" TO "`to`"
%token '+' "`+`" '-' "`-`" '*' "`*`" '/' "`/`" '%' "`%`" '@' "`@`" '^' "`^`" '<' "`<`" '>' "`>`" '=' "`=`"
%token '(' "`(`" ')' "`)`" '[' "`[`" ']' "`]`" '{' "`{`" '}' "`}`" ',' "`,`" ':' "`:`" '.' "`.`" '?' "`?`"

%type <text> name opt_name
%type <i> opt_export opt_question compare
%type <list> decls members opt_members member items names params opt_params param_list results dims stmts opt_stmts
%type <list> exprs args opt_args arg_list index_items scan_items carries
%type <node> decl fn_decl import_decl dim_decl let_stmt item param opt_result result type opt_type dim_item block stmt
%type <node> expr and_expr not_expr compare_expr arith term unary power postfix primary opt_init opt_as opt_if
%type <node> opt_dim_value arg index_item if_expr scan_item carry opt_limit opt_backward opt_expr opt_else

%%

file:
    %empty                      { ps->root = from_list(ps, NODE_FILE, @$, NULL); }
  | decls                       { ps->root = from_list(ps, NODE_FILE, @$, $1); }
  ;

decls:
    decl                        { $$ = list_of(ps, $1); }
  | decls SEP decl              { $$ = list_add(ps, $1, $3); }
  ;

decl:
    import_decl
  | dim_decl                    { $$ = declared(ps, $1, $1->name_span, @1); }
  | let_stmt
  | fn_decl
  | MODEL name opt_params '{' opt_members '}'
        { $$ = declared(ps, MAKE(MODEL, @$, $2, group(ps, @3, $3), group(ps, @5, $5)), @2, @1); }
  | LAYER name opt_params '{' opt_members '}'
        { $$ = declared(ps, MAKE(LAYER, @$, $2, group(ps, @3, $3), group(ps, @5, $5)), @2, @1); }
  | OPTIMIZER name opt_params '{' opt_members '}'
        { $$ = declared(ps, MAKE(OPTIMIZER, @$, $2, group(ps, @3, $3), group(ps, @5, $5)), @2, @1); }
  | error                       { $$ = LEAF(ERROR, @$, NULL); }
  ;

import_decl:
    IMPORT STRING               { $$ = import_node(ps, @$, @2, $2, NULL); }
  | IMPORT STRING AS name       { $$ = import_node(ps, @$, @2, $2, name_node(ps, @4, $4)); }
  ;

dim_decl:
    DIM arith LE arith opt_dim_value            { $$ = dim_node(ps, @$, NULL, $2, $4, $5); }
  | DIM arith LE arith LE arith opt_dim_value   { $$ = dim_node(ps, @$, $2, $4, $6, $7); }
  ;

opt_dim_value: %empty { $$ = NULL; } | '=' expr { $$ = $2; } ;

opt_members: %empty { $$ = NULL; } | members ;

members:
    member
  | members SEP member          { $$ = list_join(ps, $1, $3); }
  ;

member:
    PARAM { ps->item_kind = NODE_PARAM; } items { $$ = documented(ps, $3, @1); }
  | STATE { ps->item_kind = NODE_STATE; } items { $$ = documented(ps, $3, @1); }
  | CACHE { ps->item_kind = NODE_CACHE; } items { $$ = documented(ps, $3, @1); }
  | let_stmt                    { $$ = list_of(ps, $1); }
  | REQUIRE expr                { $$ = list_of(ps, MAKE(REQUIRE, @$, NULL, $2, NULL)); }
  | REQUIRE expr ',' expr       { $$ = list_of(ps, MAKE(REQUIRE, @$, NULL, $2, $4)); }
  | fn_decl                     { $$ = list_of(ps, $1); }
  | error                       { $$ = list_of(ps, LEAF(ERROR, @$, NULL)); }
  ;

items:
    item                        { $$ = list_of(ps, $1); }
  | items ',' item              { $$ = list_add(ps, $1, $3); }
  ;

item:
    name opt_type opt_init opt_as opt_if
        { $$ = declared(ps, parse_node(ps, ps->item_kind, @$, $1, (Node *[]){$2, $3, $4, $5}, 4), @1, @1); }
  ;

opt_type: %empty { $$ = NULL; } | ':' type opt_question { $$ = $2; $$->i = $3; } ;
opt_init: %empty { $$ = NULL; } | '=' expr { $$ = $2; } ;
opt_as: %empty { $$ = NULL; } | AS expr { $$ = $2; } ;
opt_if: %empty { $$ = NULL; } | IF expr { $$ = $2; } ;
opt_question: %empty { $$ = 0; } | '?' { $$ = 1; } ;

fn_decl:
    opt_export FN opt_name '(' params ')' opt_result block opt_backward
        {
            Span at = $1 ? @$ : span_join(@2, @$);
            $$ = declared(ps, MAKE(FN, at, $3, group(ps, @5, $5), $7, $8, node_kid($9, 0), node_kid($9, 1)),
                          $3 ? @3 : @2, $1 ? @1 : @2);
            if ($$->kind == NODE_FN) $$->i = $1;
        }
  ;

opt_export: %empty { $$ = 0; } | EXPORT { $$ = 1; } ;
opt_name: %empty { $$ = NULL; } | name ;
opt_backward:
    %empty                      { $$ = NULL; }
  | BACKWARD '(' names ')' block { $$ = MAKE(GROUP, @$, NULL, group(ps, @3, $3), $5); }
  ;

opt_params: %empty { $$ = NULL; } | '(' params ')' { $$ = $2; } ;
params: %empty { $$ = NULL; } | param_list | param_list ',' ;
param_list:
    param                       { $$ = list_of(ps, $1); }
  | param_list ',' param        { $$ = list_add(ps, $1, $3); }
  ;

param:
    name opt_type opt_init      { $$ = declared(ps, MAKE(PARAMETER, @$, $1, $2, $3, NULL), @1, @1); }
  | dim_decl                    { $$ = dim_parameter(ps, @$, $1); }
  ;

opt_result:
    %empty                      { $$ = NULL; }
  | RARROW type opt_question    { $2->i = $3; $$ = group(ps, @2, list_of(ps, MAKE(RESULT, @2, NULL, $2))); }
  | RARROW '(' results ')'      { $$ = group(ps, @$, $3); }
  ;

results:
    result                      { $$ = list_of(ps, $1); }
  | results ',' result          { $$ = list_add(ps, $1, $3); }
  ;

result:
    name ':' type               { $$ = declared(ps, MAKE(RESULT, @$, $1, $3), @1, @1); }
  | type                        { $$ = MAKE(RESULT, @$, NULL, $1); }
  ;

type:
    IDENT                       { $$ = LEAF(TYPE, @$, $1); }
  | IDENT '[' dims ']'          { $$ = from_list(ps, NODE_TYPE, @$, $3); $$->text = $1; }
  | LIKE '(' expr ')'           { $$ = MAKE(LIKE_TYPE, @$, NULL, $3); }
  | LAYER                       { $$ = LEAF(TYPE, @$, intern(ps->names, "layer")); }
  | OPTIMIZER                   { $$ = LEAF(TYPE, @$, intern(ps->names, "optimizer")); }
  | FN                          { $$ = LEAF(TYPE, @$, intern(ps->names, "fn")); }
  ;

dims:
    dim_item                    { $$ = list_of(ps, $1); }
  | dims ',' dim_item           { $$ = list_add(ps, $1, $3); }
  ;

dim_item: expr | DOTDOT { $$ = LEAF(REST, @$, NULL); } ;

block: '{' opt_stmts '}'        { $$ = from_list(ps, NODE_BLOCK, @$, $2); } ;
opt_stmts: %empty { $$ = NULL; } | stmts ;
stmts:
    stmt                        { $$ = list_of(ps, $1); }
  | stmts SEP stmt              { $$ = list_add(ps, $1, $3); }
  ;

let_stmt:
    LET names '=' exprs opt_as
        { $$ = declared(ps, MAKE(LET, @$, NULL, group(ps, @2, $2), value_of(ps, @4, $4), $5), @2, @1); }
  ;

stmt:
    let_stmt
  | VAR names '=' exprs         { $$ = MAKE(VAR, @$, NULL, group(ps, @2, $2), value_of(ps, @4, $4), NULL); }
  | exprs                       { $$ = value_of(ps, @1, $1); }
  | exprs '=' exprs             { $$ = MAKE(ASSIGN, @$, NULL, group(ps, @1, $1), value_of(ps, @3, $3)); }
  | exprs LARROW exprs          { $$ = MAKE(WRITE, @$, NULL, group(ps, @1, $1), value_of(ps, @3, $3)); }
  | RETURN                      { $$ = MAKE(RETURN, @$, NULL, NULL); }
  | RETURN exprs                { $$ = MAKE(RETURN, @$, NULL, value_of(ps, @2, $2)); }
  | YIELD exprs                 { $$ = MAKE(YIELD, @$, NULL, value_of(ps, @2, $2)); }
  | MINIMIZE expr WITH expr     { $$ = MAKE(MINIMIZE, @$, NULL, $2, NULL, $4); }
  | MINIMIZE expr OVER expr WITH expr { $$ = MAKE(MINIMIZE, @$, NULL, $2, $4, $6); }
  | APPLY expr TO expr WITH expr { $$ = MAKE(APPLY, @$, NULL, $2, $4, $6); }
  | REQUIRE expr                { $$ = MAKE(REQUIRE, @$, NULL, $2, NULL); }
  | REQUIRE expr ',' expr       { $$ = MAKE(REQUIRE, @$, NULL, $2, $4); }
  | FOR names IN expr block     { $$ = MAKE(FOR, @$, NULL, group(ps, @2, $2), $4, $5); }
  | dim_decl
  | error                       { $$ = LEAF(ERROR, @$, NULL); }
  ;

names:
    name                        { $$ = list_of(ps, name_node(ps, @1, $1)); }
  | names ',' name              { $$ = list_add(ps, $1, name_node(ps, @3, $3)); }
  ;

name: IDENT | AS | IN | LIKE | OVER | TO ;

exprs:
    expr                        { $$ = list_of(ps, $1); }
  | exprs ',' expr              { $$ = list_add(ps, $1, $3); }
  ;

expr:
    and_expr
  | expr OR and_expr            { $$ = MAKE(BINARY, @$, NULL, $1, $3); $$->i = BINARY_OR; }
  ;

and_expr:
    not_expr
  | and_expr AND not_expr       { $$ = MAKE(BINARY, @$, NULL, $1, $3); $$->i = BINARY_AND; }
  ;

not_expr:
    compare_expr
  | NOT not_expr                { $$ = MAKE(UNARY, @$, NULL, $2); $$->i = UNARY_NOT; }
  ;

compare_expr:
    arith
  | arith compare arith         { $$ = MAKE(BINARY, @$, NULL, $1, $3); $$->i = $2; }
  ;

compare:
    EQ { $$ = BINARY_EQ; } | NE { $$ = BINARY_NE; } | '<' { $$ = BINARY_LT; } | LE { $$ = BINARY_LE; }
  | '>' { $$ = BINARY_GT; } | GE { $$ = BINARY_GE; }
  ;

arith:
    term
  | arith '+' term              { $$ = MAKE(BINARY, @$, NULL, $1, $3); $$->i = BINARY_ADD; }
  | arith '-' term              { $$ = MAKE(BINARY, @$, NULL, $1, $3); $$->i = BINARY_SUB; }
  ;

term:
    unary
  | term '*' unary              { $$ = MAKE(BINARY, @$, NULL, $1, $3); $$->i = BINARY_MUL; }
  | term '/' unary              { $$ = MAKE(BINARY, @$, NULL, $1, $3); $$->i = BINARY_DIV; }
  | term '%' unary              { $$ = MAKE(BINARY, @$, NULL, $1, $3); $$->i = BINARY_MOD; }
  | term '@' unary              { $$ = MAKE(BINARY, @$, NULL, $1, $3); $$->i = BINARY_MATMUL; }
  ;

unary:
    power
  | '-' unary                   { $$ = MAKE(UNARY, @$, NULL, $2); $$->i = UNARY_NEG; }
  ;

power:
    postfix
  | postfix '^' unary           { $$ = MAKE(BINARY, @$, NULL, $1, $3); $$->i = BINARY_POW; }
  ;

postfix:
    primary
  | postfix '(' opt_args ')'    { $$ = call_node(ps, NODE_CALL, @$, $1, $3); }
  | postfix '[' index_items ']' { $$ = call_node(ps, NODE_INDEX, @$, $1, $3); }
  | postfix '.' name            { $$ = MAKE(MEMBER, @$, $3, $1); $$->name_span = @3; }
  ;

opt_args: %empty { $$ = NULL; } | args ;
args: arg_list | arg_list ',' ;
arg_list:
    arg                         { $$ = list_of(ps, $1); }
  | arg_list ',' arg            { $$ = list_add(ps, $1, $3); }
  ;
arg:
    expr                        { $$ = MAKE(ARGUMENT, @$, NULL, $1); }
  | name '=' expr               { $$ = MAKE(ARGUMENT, @$, $1, $3); $$->name_span = @1; }
  ;

index_items:
    index_item                  { $$ = list_of(ps, $1); }
  | index_items ',' index_item  { $$ = list_add(ps, $1, $3); }
  ;

index_item:
    expr
  | DOTDOT                      { $$ = LEAF(REST, @$, NULL); }
  | opt_expr ':' opt_expr       { $$ = MAKE(SLICE, @$, NULL, $1, $3, NULL); }
  | opt_expr ':' opt_expr ':' expr { $$ = MAKE(SLICE, @$, NULL, $1, $3, $5); }
  ;

opt_expr: %empty { $$ = NULL; } | expr ;

primary:
    INT                         { $$ = LEAF(INT, @$, NULL); $$->i = $1; }
  | FLOAT                       { $$ = LEAF(FLOAT, @$, NULL); $$->f = $1; }
  | STRING
  | TRUE                        { $$ = LEAF(BOOL, @$, NULL); $$->i = 1; }
  | FALSE                       { $$ = LEAF(BOOL, @$, NULL); }
  | NONE                        { $$ = LEAF(NONE, @$, NULL); }
  | name                        { $$ = name_node(ps, @1, $1); }
  | '(' exprs ')'               { $$ = value_of(ps, @2, $2); }
  | '[' ']'                     { $$ = LEAF(LIST, @$, NULL); }
  | '[' exprs ']'               { $$ = from_list(ps, NODE_LIST, @$, $2); }
  | '[' exprs ',' ']'           { $$ = from_list(ps, NODE_LIST, @$, $2); }
  | '[' exprs FOR names IN expr opt_if ']'
        { $$ = MAKE(COMPREHENSION, @$, NULL, group(ps, @4, $4), $6, $7, value_of(ps, @2, $2)); }
  | if_expr
  | COND expr block ELSE block  { $$ = MAKE(COND, @$, NULL, $2, $3, $5); }
  | SCAN scan_items block       { $$ = MAKE(SCAN, @$, NULL, group(ps, @2, $2), NULL, $3); }
  | SCAN scan_items WITH carries block
        { $$ = MAKE(SCAN, @$, NULL, group(ps, @2, $2), group(ps, @4, $4), $5); }
  | LOOP carries WHILE expr opt_limit block { $$ = MAKE(LOOP, @$, NULL, group(ps, @2, $2), $4, $6, $5); }
  | RECOMPUTE block             { $$ = MAKE(RECOMPUTE, @$, NULL, $2); }
  ;

if_expr: IF expr block opt_else { $$ = MAKE(IF, @$, NULL, $2, $3, $4); } ;
opt_else: %empty { $$ = NULL; } | ELSE block { $$ = $2; } | ELSE if_expr { $$ = $2; } ;

scan_items:
    scan_item                   { $$ = list_of(ps, $1); }
  | scan_items ',' scan_item    { $$ = list_add(ps, $1, $3); }
  ;
scan_item:
    name IN expr                { $$ = MAKE(EACH, @$, $1, $3); $$->name_span = @1; }
  | name '=' expr               { $$ = MAKE(ARGUMENT, @$, $1, $3); $$->name_span = @1; }
  ;

opt_limit: %empty { $$ = NULL; } | ',' carry { $$ = $2; } ;

carries:
    carry                       { $$ = list_of(ps, $1); }
  | carries ',' carry           { $$ = list_add(ps, $1, $3); }
  ;
carry: name '=' expr            { $$ = MAKE(ARGUMENT, @$, $1, $3); $$->name_span = @1; } ;

%%

/* ------------------------------------------------------------------ nodes */

static Nodes *list_of(Parser *ps, Node *first) { return list_add(ps, arena_new(ps->arena, Nodes), first); }

static Nodes *list_add(Parser *ps, Nodes *list, Node *node) {
    vec_push(ps->arena, list, node);
    return list;
}

static Nodes *list_join(Parser *ps, Nodes *to, const Nodes *from) {
    for (int i = 0; i < from->n; i++) list_add(ps, to, from->at[i]);
    return to;
}

static Node *from_list(Parser *ps, NodeKind kind, Span span, const Nodes *list) {
    return parse_node(ps, kind, span, NULL, list ? list->at : NULL, list ? list->n : 0);
}

static Node *group(Parser *ps, Span span, const Nodes *list) { return from_list(ps, NODE_GROUP, span, list); }

/* The one expression of a list, or a tuple of them. */
static Node *value_of(Parser *ps, Span span, const Nodes *list) {
    return list->n == 1 ? list->at[0] : from_list(ps, NODE_TUPLE, span, list);
}

/* Notes where a declaration's name stands and takes the doc comment before its first token. */
static Node *declared(Parser *ps, Node *node, Span name, Span start) {
    node->name_span = name;
    node->doc = parse_doc(ps, start.begin);
    return node;
}

/* The comment before `param`, `state` or `cache` is its first item's. */
static Nodes *documented(Parser *ps, Nodes *items, Span start) {
    if (!items->at[0]->doc) items->at[0]->doc = parse_doc(ps, start.begin);
    return items;
}

static Node *name_node(Parser *ps, Span span, const char *name) { return LEAF(NAME, span, name); }

static Node *call_node(Parser *ps, NodeKind kind, Span span, Node *base, const Nodes *items) {
    Nodes *all = list_of(ps, base);
    if (items) list_join(ps, all, items);
    return from_list(ps, kind, span, all);
}

/* A file's name is known before any value is. */
static Node *import_node(Parser *ps, Span span, Span at, const Node *path, Node *name) {
    if (path->kind != NODE_STRING) {
        parse_error_at(ps, DL0103, at, "the name of a file to import has no `{...}` in it");
        return LEAF(ERROR, span, NULL);
    }
    Node *n = name ? MAKE(IMPORT, span, path->text, name) : LEAF(IMPORT, span, path->text);
    n->name_span = at;
    return n;
}

static Node *dim_node(Parser *ps, Span span, Node *lower, Node *name, Node *upper, Node *value) {
    if (name->kind != NODE_NAME) {
        parse_error_at(ps, DL0102, name->span, "a dim is declared as `dim N <= 64` or `dim 0 <= N <= 64`");
        return LEAF(ERROR, span, NULL);
    }
    Node *n = MAKE(DIM, span, name->text, lower, upper, value);
    n->name_span = name->span;
    return n;
}

static Node *dim_parameter(Parser *ps, Span span, Node *dim) {
    if (dim->kind == NODE_ERROR) {             /* one that takes any size: what uses it is not at fault */
        Node *any = LEAF(INT, span, NULL);
        any->i = INT32_MAX;
        dim = MAKE(DIM, span, intern(ps->names, "_"), NULL, any, NULL);
        dim->name_span = span;
    }
    return declared(ps, MAKE(PARAMETER, span, dim->text, NULL, NULL, dim), dim->name_span, span);
}

/* ----------------------------------------------------------------- tokens */

static int dl_lex(DL_STYPE *value, Span *span, Parser *ps) {
    Token t = parse_token(ps);
    *span = t.span;
    switch (t.kind) {
    case DL_INT: value->i = t.i; break;
    case DL_FLOAT: value->f = t.f; break;
    case DL_STRING: value->node = t.node; break;
    default: value->text = t.text; break;
    }
    return t.kind;
}

/* ----------------------------------------------------------------- errors */

static void dl_error(const Span *span, Parser *ps, const char *message) {
    (void)message;                      /* only "memory exhausted" comes this way: the stack limit */
    parse_error_at(ps, DL0701, *span, "this is nested too deeply");
    ps->stop = true;
}

/* "unexpected X, expected A, B or C", naming what could come as long as that is few. */
static int yyreport_syntax_error(const yypcontext_t *context, Parser *ps) {
    enum { FEW = 4 };
    yysymbol_kind_t found = yypcontext_token(context), expected[FEW + 1];
    int n = yypcontext_expected_tokens(context, expected, FEW + 1);
    Text t = text_new(ps->arena);
    const Span *at = yypcontext_location(context);
    if (found == YYSYMBOL_IDENT)
        text_add(&t, "unexpected `%.*s`", (int)(at->end - at->begin), ps->text + at->begin);
    else
        text_add(&t, "unexpected %s", found == YYSYMBOL_YYEMPTY ? "token" : yysymbol_name(found));
    for (int i = 0; i < n && n <= FEW; i++)
        text_add(&t, "%s%s", i == 0 ? ", expected " : i + 1 < n ? ", " : " or ", yysymbol_name(expected[i]));
    parse_error_at(ps, DL0102, *at, "%s", text_get(&t));
    parse_skip_statement(ps);
    return 0;
}
