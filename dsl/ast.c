/* Syntax tree: see ast.h. */
#include "ast.h"

#include <string.h>

static const char *const kind_names[] = {
#define NODE(name, text, children) text,
#include "nodes.def"
#undef NODE
};

static const char *const binary_texts[BINARY_COUNT] = {
    "+", "-", "*", "/", "%", "@", "^", "==", "!=", "<", "<=", ">", ">=", "and", "or",
};

const char *node_kind_name(NodeKind kind) { return kind_names[kind]; }
const char *binary_op_text(BinaryOp op) { return binary_texts[op]; }

Node *node_new(Arena *a, NodeKind kind, Span span, const char *text, Node *const *kids, int n) {
    Node *node = arena_new(a, Node);
    node->kind = kind;
    node->span = span;
    node->name_span = span;
    node->text = text;
    node->n = n;
    node->kids = arena_array(a, Node *, n);
    for (int i = 0; i < n; i++) {
        node->kids[i] = kids[i];
        if (kids[i] && kids[i]->depth > node->depth) node->depth = kids[i]->depth;
    }
    node->depth++;
    return node;
}

bool node_contains(const Node *n, NodeKind kind) {
    if (!n) return false;
    if (n->kind == kind) return true;
    for (int i = 0; i < n->n; i++)
        if (node_contains(n->kids[i], kind)) return true;
    return false;
}

static void print_head(const Node *n, Text *to) {
    text_add(to, "%s", kind_names[n->kind]);
    switch (n->kind) {
    case NODE_INT: text_add(to, " %lld", (long long)n->i); break;
    case NODE_BOOL: text_add(to, " %s", n->i ? "true" : "false"); break;
    case NODE_FLOAT: text_add(to, " "); text_add_double(to, n->f); break;
    case NODE_BINARY: text_add(to, " %s", binary_texts[n->i]); break;
    case NODE_UNARY: text_add(to, " %s", n->i == UNARY_NEG ? "-" : "not"); break;
    case NODE_STRING: case NODE_IMPORT: text_add(to, " "); text_add_quoted(to, n->text); break;
    default:
        if (n->text) text_add(to, " %s", n->text);
        if (n->kind == NODE_FN && n->i) text_add(to, " export");
        if ((n->kind == NODE_TYPE || n->kind == NODE_LIKE_TYPE) && n->i) text_add(to, " optional");
    }
    if (n->doc) {
        text_add(to, " doc ");
        text_add_quoted(to, n->doc);
    }
}

static void print_at(const Node *n, Text *to, int indent) {
    text_add(to, "%*s", indent * 2, "");
    if (!n) {
        text_add(to, "-\n");
        return;
    }
    print_head(n, to);
    text_add(to, "\n");
    int last = n->n;
    while (last && !n->kids[last - 1]) last--;
    for (int i = 0; i < last; i++) print_at(n->kids[i], to, indent + 1);
}

void ast_print(const Node *n, Text *to) { print_at(n, to, 0); }
