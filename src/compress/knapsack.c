#include "compress/knapsack.h"
#include "base/alloc.h"
#include "base/status.h"
#include <math.h>

// best[i][b]: the least cost of the first i items that weigh b steps at most.
typedef struct table {
    int items, choices;
    const double *cost;
    const int64_t *weight;
    int64_t step, steps;
    double *best, *next;  // of i - 1, and of i
    unsigned char *taken; // [items][steps + 1]
} table;

static int64_t heavy(const table *t, int item, int choice)
{
    return (t->weight[item * t->choices + choice] + t->step - 1) / t->step;
}

static void add_item(table *t, int item)
{
    unsigned char *taken = t->taken + item * (t->steps + 1);
    for (int64_t b = 0; b <= t->steps; b++) {
        t->next[b] = INFINITY;
        for (int k = 0; k < t->choices; k++) {
            const int64_t left = b - heavy(t, item, k);
            if (left < 0) continue;
            const double cost = t->best[left] + t->cost[item * t->choices + k];
            if (!(cost < t->next[b])) continue;
            t->next[b] = cost;
            taken[b] = (unsigned char)k;
        }
    }
    double *swap = t->best;
    t->best = t->next;
    t->next = swap;
}

static void walk_back(const table *t, int chosen[])
{
    int64_t left = t->steps;
    for (int i = t->items; i-- > 0;) {
        chosen[i] = t->taken[i * (t->steps + 1) + left];
        left -= heavy(t, i, chosen[i]);
    }
}

tuff_status tuff_knapsack(int items, int choices, const double *cost, const int64_t *weight,
                          int64_t budget, int chosen[])
{
    table t = { items, choices, cost, weight, .step = budget / TUFF_KNAPSACK + 1 };
    tuff_status status = TUFF_OK;
    TUFF_REQUIRE(budget >= 0, LIMIT, "no choice is within the budget");
    t.steps = budget / t.step;
    t.best = tuff_alloc((size_t)t.steps + 1, sizeof *t.best);
    t.next = tuff_alloc((size_t)t.steps + 1, sizeof *t.next);
    t.taken = tuff_alloc((size_t)items, (size_t)t.steps + 1);
    if (!t.best || !t.next || !t.taken) TUFF_GO(TUFF_ERR_MEMORY);
    for (int i = 0; i < items; i++) add_item(&t, i);
    if (isfinite(t.best[t.steps])) walk_back(&t, chosen);
    else status = tuff_fail(TUFF_ERR_LIMIT, "no choice is within the budget");
exit:
    tuff_free(t.best);
    tuff_free(t.next);
    tuff_free(t.taken);
    return status;
}
