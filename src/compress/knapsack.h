// One choice for each of several items, with the least cost under a budget. Pure.
#ifndef TUFF_COMPRESS_KNAPSACK_H
#define TUFF_COMPRESS_KNAPSACK_H
#include <tuff/base.h>

// cost[items][choices] and weight[items][choices] (0 and more) -> chosen[items]. The sum of the
// chosen weights is `budget` at most. Exact where budget < TUFF_KNAPSACK; above that weights
// count in steps of budget / TUFF_KNAPSACK, rounded up, so that the budget is kept all the
// same. Of equal costs the earlier choice of an item is taken.
// Fails: TUFF_ERR_LIMIT (the lightest choices are too heavy), TUFF_ERR_MEMORY.
enum { TUFF_KNAPSACK = 1 << 16 };
tuff_status tuff_knapsack(int items, int choices, const double *cost, const int64_t *weight,
                          int64_t budget, int chosen[]);
#endif
