// K-means of numbers; declared in <tuff/compress/deep.h>. In one dimension a cluster is a range
// of the sorted numbers, between the middles of two centroids, and its mean is a difference of
// two prefix sums.
#include "base/alloc.h"
#include "base/rng.h"
#include "base/status.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <tuff/compress.h>

typedef struct clustering {
    double *x;       // sorted
    double *sum;     // sum[i] of the first i
    int64_t n;
    double *centroid;
    int64_t *begin;  // of each cluster, and n behind the last
    int k;
} clustering;

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

// ---- where they begin ----------------------------------------------------------------------

static void begin_at(clustering *c, const tuff_kmeans_params *p)
{
    const double low = c->x[0], high = c->x[c->n - 1];
    tuff_rng rng = { .seed = p->seed };
    for (int i = 0; i < c->k; i++) {
        const double part = c->k > 1 ? (double)i / (c->k - 1) : 0.5;
        int64_t at = (int64_t)((i + 0.5) / c->k * (double)c->n);
        if (p->init == TUFF_SHARE_RANDOM) at = tuff_rng_below(&rng, (uint32_t)c->n);
        c->centroid[i] = p->init == TUFF_SHARE_LINEAR ? low + (high - low) * part : c->x[at];
    }
    qsort(c->centroid, (size_t)c->k, sizeof *c->centroid, by_value);
}

// ---- rounds --------------------------------------------------------------------------------

// The first number above `limit`.
static int64_t first_above(const clustering *c, double limit)
{
    int64_t low = 0, high = c->n;
    while (low < high) {
        const int64_t middle = low + (high - low) / 2;
        if (c->x[middle] > limit) high = middle;
        else low = middle + 1;
    }
    return low;
}

// Gives each number to its nearest centroid; whether that changed anything.
static bool assign(clustering *c)
{
    bool changed = false;
    for (int i = 1; i < c->k; i++) {
        const int64_t at = first_above(c, (c->centroid[i - 1] + c->centroid[i]) / 2);
        changed |= at != c->begin[i];
        c->begin[i] = at;
    }
    return changed;
}

// An empty cluster keeps its centroid.
static void take_means(clustering *c)
{
    for (int i = 0; i < c->k; i++) {
        const int64_t from = c->begin[i], to = c->begin[i + 1];
        if (to > from) c->centroid[i] = (c->sum[to] - c->sum[from]) / (double)(to - from);
    }
}

static void drop_empty(clustering *c)
{
    int k = 0;
    for (int i = 0; i < c->k; i++) {
        if (c->begin[i] == c->begin[i + 1]) continue;
        c->centroid[k] = c->centroid[i];
        c->begin[k++] = c->begin[i];
    }
    c->begin[k] = c->n;
    c->k = k;
}

static double squares(const clustering *c)
{
    double error = 0;
    for (int i = 0; i < c->k; i++)
        for (int64_t at = c->begin[i]; at < c->begin[i + 1]; at++) {
            const double d = c->x[at] - c->centroid[i];
            error += d * d;
        }
    return error;
}

// ---- the whole -----------------------------------------------------------------------------

static tuff_status check(const float *x, int64_t n, const tuff_kmeans_params *p)
{
    TUFF_REQUIRE(x && p && n >= 1 && n <= INT32_MAX, ARG, "kmeans: no numbers were given");
    TUFF_REQUIRE(p->clusters >= 1 && p->clusters <= 1 << 20, ARG,
                 "kmeans: %d clusters, expected 1 to %d", p->clusters, 1 << 20);
    TUFF_REQUIRE(p->rounds >= 0, ARG, "kmeans: %d rounds, expected at least 1", p->rounds);
    TUFF_REQUIRE(p->init >= TUFF_SHARE_LINEAR && p->init <= TUFF_SHARE_RANDOM, ARG,
                 "kmeans: %d is no way to begin", (int)p->init);
    for (int64_t i = 0; i < n; i++)
        TUFF_REQUIRE(isfinite(x[i]), ARG, "kmeans: number %lld is %g", (long long)i,
                     (double)x[i]);
    return TUFF_OK;
}

static bool allocate(clustering *c)
{
    const size_t n = (size_t)c->n, k = (size_t)c->k;
    c->x = tuff_alloc(n, sizeof *c->x);
    c->sum = tuff_alloc(n + 1, sizeof *c->sum);
    c->centroid = tuff_alloc(k, sizeof *c->centroid);
    c->begin = tuff_alloc(k + 1, sizeof *c->begin);
    return c->x && c->sum && c->centroid && c->begin;
}

static void cluster(clustering *c, const float *x, const tuff_kmeans_params *p)
{
    for (int64_t i = 0; i < c->n; i++) c->x[i] = (double)x[i];
    qsort(c->x, (size_t)c->n, sizeof *c->x, by_value);
    for (int64_t i = 0; i < c->n; i++) c->sum[i + 1] = c->sum[i] + c->x[i];
    begin_at(c, p);
    c->begin[c->k] = c->n;
    bool changed = true;
    for (int round = 0; changed && round < (p->rounds ? p->rounds : 1000); round++) {
        changed = assign(c) || !round;
        take_means(c);
    }
    drop_empty(c);
}

tuff_status tuff_kmeans(const float *x, int64_t n, const tuff_kmeans_params *p, float *centroid,
                        int *count, double *error)
{
    TUFF_TRY(check(x, n, p));
    clustering c = { .n = n, .k = p->clusters };
    tuff_status status = TUFF_ERR_MEMORY;
    if (allocate(&c)) {
        cluster(&c, x, p);
        for (int i = 0; i < c.k; i++) centroid[i] = (float)c.centroid[i];
        *count = c.k;
        if (error) *error = squares(&c);
        status = TUFF_OK;
    }
    tuff_free(c.x);
    tuff_free(c.sum);
    tuff_free(c.centroid);
    tuff_free(c.begin);
    return status;
}
