/* Minimum cuts of small random networks, against the best of all cuts. */
#include "../fixture.h"
#include "pass/min_cut.h"

enum { NODES = 8, EDGES = 18 };

typedef struct Edge {
    int from, to;
    int64_t capacity;
} Edge;

/* What the cut that leaves the nodes in `set` behind it costs. */
static int64_t cost_of(const Edge *edges, unsigned set) {
    int64_t sum = 0;
    for (int i = 0; i < EDGES; i++)
        if (!(set >> edges[i].from & 1) && set >> edges[i].to & 1) sum += edges[i].capacity;
    return sum;
}

/* Node 0 is the source, 1 the sink. The least cost, and what all of the cheapest cuts have behind them. */
static int64_t best_cut(const Edge *edges, unsigned *behind) {
    int64_t best = INT64_MAX;
    for (unsigned set = 0; set < 1u << NODES; set++) {
        if (set & 1 || !(set & 2)) continue;
        int64_t cost = cost_of(edges, set);
        if (cost < best) best = cost, *behind = set;
        else if (cost == best) *behind &= set;
    }
    return best;
}

static void check_cut(const Net *n, const Edge *edges, int64_t flow) {
    unsigned want = 0, found = 0;
    int64_t best = best_cut(edges, &want);
    const bool *behind = net_behind_cut(n, 1);
    for (int i = 0; i < NODES; i++) found |= (unsigned)behind[i] << i;
    assert_int_equal(flow, best);
    assert_int_equal(found, want);
}

/* Also when edges are added to a network that has been cut. */
static void cuts_are_minimal(void **state) {
    Fixture *f = *state;
    uint64_t random = 1;
    for (int round = 0; round < 300; round++) {
        Edge edges[EDGES];
        Net n = net_new(&f->arena, NODES);
        for (int i = 0; i < EDGES; i++) {
            edges[i] = (Edge){(int)(fixture_random(&random) >> 8) & (NODES - 1), (int)(fixture_random(&random) >> 8) & (NODES - 1),
                              (int64_t)(fixture_random(&random) % 20)};
            net_add(&n, edges[i].from, edges[i].to, edges[i].capacity);
        }
        int64_t flow = net_flow(&n, 0, 1);
        check_cut(&n, edges, flow);
        for (int i = 0; i < EDGES; i += 5) {
            edges[i].capacity += 7;
            net_add(&n, edges[i].from, edges[i].to, 7);
        }
        check_cut(&n, edges, flow + net_flow(&n, 0, 1));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {FIXTURE_TEST(cuts_are_minimal)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
