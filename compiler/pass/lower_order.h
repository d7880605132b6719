/* Order: the inside of lower_order.c, shared with lower_check.c. */
#ifndef DLCC_PASS_LOWER_ORDER_H
#define DLCC_PASS_LOWER_ORDER_H

#include "pass/lower.h"

typedef enum DraftKind {
    DRAFT_OP,
    DRAFT_COPY,                /* of a value to a place */
    DRAFT_CHECK,               /* of indices */
    DRAFT_GATE                 /* no steps: after all that can fail */
} DraftKind;

/* Steps that run together, and when they can. */
typedef struct Draft {
    DraftKind kind;
    Op *op;
    Value *value;              /* COPY: what; CHECK: the indices */
    Layout from, to;           /* COPY; from.buf -1: where the value lies */
    Value *mask;               /* CHECK: or null */
    Dim limit;                 /* CHECK */
    const char *what;          /* CHECK: or null */
    Span span;                 /* CHECK */
    bool fails;                /* can end the call */
    Ints then;                 /* drafts that wait for it */
    int waits;                 /* how many it waits for */
    int seen;                  /* the last search that found it */
    Steps steps;
} Draft;

typedef struct Order {
    Lowering *l;
    Region *region;
    bool guarded;              /* the function's own body: variables are written after all that can fail */
    VEC(Draft) drafts;
    Ints checks, binds;        /* drafts of that kind */
    int gate;                  /* or -1 */
    int searches;
} Order;

int order_add(Order *o, Draft d);
/* `then` runs after `first`. */
void order_after(Order *o, int first, int then);
/* The draft reads a value: after what makes it. */
void order_read(Order *o, int draft, const Value *v);

/* Whether the dim has a value in the whole region, not only from some op on. */
bool order_knows(const Order *o, Dim d);

/* lower_check.c: drafts checks of a fusion's indices, before draft `reader`; of those in a loop what can be checked
 * before it; and the steps of one. */
void check_draft(Order *o, const Op *fusion, int reader);
void check_draft_loop(Order *o, const Op *loop, int draft);
void check_lower(Order *o, Draft *d);

#endif
