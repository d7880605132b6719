/* Syntax tree of the model language.
 *
 * One node type for everything: a kind, a span, perhaps a name or a literal, and children whose meaning
 * depends on the kind (nodes.def lists every kind with its children). A uniform tree makes printing and
 * walking one function each. Nodes live in an arena and never change after parsing. */
#ifndef DLCC_DSL_AST_H
#define DLCC_DSL_AST_H

#include "base/diag.h"
#include <stdbool.h>
#include <stdint.h>

typedef enum NodeKind {
#define NODE(name, text, children) NODE_##name,
#include "nodes.def"
#undef NODE
    NODE_KIND_COUNT
} NodeKind;

typedef enum BinaryOp {
    BINARY_ADD, BINARY_SUB, BINARY_MUL, BINARY_DIV, BINARY_MOD, BINARY_MATMUL, BINARY_POW,
    BINARY_EQ, BINARY_NE, BINARY_LT, BINARY_LE, BINARY_GT, BINARY_GE, BINARY_AND, BINARY_OR,
    BINARY_COUNT
} BinaryOp;

typedef enum UnaryOp { UNARY_NEG, UNARY_NOT } UnaryOp;

typedef struct Node Node;
struct Node {
    NodeKind kind;
    int depth;                 /* 1 + the deepest child's; limited by the parser */
    Span span;
    Span name_span;            /* of a declaration: where its name stands */
    const char *text;          /* name or text, interned; null where there is none */
    const char *doc;           /* of a declaration: its doc comment, or null */
    union {
        int64_t i;             /* INT, BOOL, operators, flags */
        double f;              /* FLOAT */
    };
    int n;
    Node **kids;               /* some may be null, as nodes.def says */
};

/* Positions of children, by kind. */
enum { FN_PARAMS, FN_RESULTS, FN_BODY, FN_BACKWARD_NAMES, FN_BACKWARD_BODY, FN_KIDS };
enum { LAYER_PARAMS, LAYER_MEMBERS, LAYER_KIDS };
enum { VAR_TYPE, VAR_INIT, VAR_AS, VAR_IF, VAR_KIDS };
enum { LET_NAMES, LET_VALUE, LET_AS, LET_KIDS };
enum { DIM_LOWER, DIM_UPPER, DIM_VALUE, DIM_KIDS };
enum { PARAMETER_TYPE, PARAMETER_DEFAULT, PARAMETER_DIM, PARAMETER_KIDS };
enum { FOR_NAMES, FOR_ITER, FOR_BODY, FOR_KIDS };
enum { COMP_NAMES, COMP_ITER, COMP_IF, COMP_VALUE, COMP_KIDS };
enum { IF_TEST, IF_THEN, IF_ELSE, IF_KIDS };
enum { SCAN_ITEMS, SCAN_CARRIES, SCAN_BODY, SCAN_KIDS };
enum { LOOP_CARRIES, LOOP_TEST, LOOP_BODY, LOOP_LIMIT, LOOP_KIDS };
enum { TRAIN_VALUE, TRAIN_OVER, TRAIN_WITH, TRAIN_KIDS };

/* Node.i of FN: whether `export` stands before it; of TYPE and LIKE_TYPE: whether `?` follows. */

typedef struct Nodes { Node **at; int n, room; } Nodes;

Node *node_new(Arena *a, NodeKind kind, Span span, const char *text, Node *const *kids, int n);
/* The kind's name in printed trees. */
const char *node_kind_name(NodeKind kind);
const char *binary_op_text(BinaryOp op);
/* The child, or null when the node has fewer. */
static inline Node *node_kid(const Node *n, int i) { return n && i < n->n ? n->kids[i] : NULL; }
/* Whether any node of the tree has this kind. */
bool node_contains(const Node *n, NodeKind kind);
/* The tree as indented text, a node a line. */
void ast_print(const Node *n, Text *to);

#endif
