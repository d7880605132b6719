/* min_cut: flows of J. Edmonds and R. Karp (1972). Paths are shortest, so that their number is small. */
#include "pass/min_cut.h"

Net net_new(Arena *arena, int nodes) {
    Net n = {.arena = arena, .nodes = nodes, .first = arena_array(arena, int, nodes)};
    for (int i = 0; i < nodes; i++) n.first[i] = -1;
    return n;
}

void net_add(Net *n, int from, int to, int64_t capacity) {
    vec_push(n->arena, &n->edges, (NetEdge){to, n->first[from], capacity});
    n->first[from] = n->edges.n - 1;
    vec_push(n->arena, &n->edges, (NetEdge){from, n->first[to], 0});
    n->first[to] = n->edges.n - 1;
}

/* Finds by which edge each node is reached from the source; whether the sink is. */
static bool find_path(const Net *n, int source, int sink, int *by, int *queue) {
    int done = 0, count = 0;
    for (int i = 0; i < n->nodes; i++) by[i] = -1;
    queue[count++] = source;
    while (done < count) {
        int node = queue[done++];
        for (int e = n->first[node]; e >= 0; e = n->edges.at[e].next) {
            int to = n->edges.at[e].to;
            if (!n->edges.at[e].left || by[to] >= 0 || to == source) continue;
            by[to] = e;
            if (to == sink) return true;
            queue[count++] = to;
        }
    }
    return false;
}

int64_t net_flow(Net *n, int source, int sink) {
    int *by = arena_array(n->arena, int, n->nodes), *queue = arena_array(n->arena, int, n->nodes);
    int64_t sum = 0;
    while (find_path(n, source, sink, by, queue)) {
        int64_t most = NET_UNCUT;
        for (int i = sink; i != source; i = n->edges.at[by[i] ^ 1].to)
            if (n->edges.at[by[i]].left < most) most = n->edges.at[by[i]].left;
        for (int i = sink; i != source; i = n->edges.at[by[i] ^ 1].to) {
            n->edges.at[by[i]].left -= most;
            n->edges.at[by[i] ^ 1].left += most;
        }
        sum += most;
    }
    return sum;
}

bool *net_behind_cut(const Net *n, int sink) {
    bool *behind = arena_array(n->arena, bool, n->nodes);
    int *queue = arena_array(n->arena, int, n->nodes), done = 0, count = 0;
    queue[count++] = sink;
    behind[sink] = true;
    while (done < count) {
        int node = queue[done++];
        for (int e = n->first[node]; e >= 0; e = n->edges.at[e].next) {
            int from = n->edges.at[e].to;
            if (!n->edges.at[e ^ 1].left || behind[from]) continue;
            behind[from] = true;
            queue[count++] = from;
        }
    }
    return behind;
}
