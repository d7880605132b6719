/* Minimum cuts: the cheapest edges without which nothing gets from a network's source to its sink. */
#ifndef DLCC_PASS_MIN_CUT_H
#define DLCC_PASS_MIN_CUT_H

#include "base/vec.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct NetEdge {
    int to, next;              /* next: of those that leave the same node, or -1 */
    int64_t left;              /* capacity that no flow takes; edge i ^ 1 is its reverse */
} NetEdge;

typedef struct Net {
    Arena *arena;
    int nodes;
    int *first;                /* by node: its first edge, or -1 */
    VEC(NetEdge) edges;
} Net;

#define NET_UNCUT (INT64_MAX / 4)

Net net_new(Arena *arena, int nodes);
void net_add(Net *n, int from, int to, int64_t capacity);
/* Adds flow until no more fits. Returns how much was added: from an empty network on, what the cut costs. Edges may be
 * added afterwards, and flow again. Every path needs an edge below NET_UNCUT. */
int64_t net_flow(Net *n, int source, int sink);
/* Which nodes lie behind the cut, that of all minimum cuts which is nearest to the sink. */
bool *net_behind_cut(const Net *n, int sink);

#endif
