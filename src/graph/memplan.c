#include "graph/memplan.h"
#include "base/alloc.h"
#include <stdlib.h>
#include <string.h>

static int larger_first(const void *a, const void *b)
{
    const tuff_span *x = *(tuff_span *const *)a, *y = *(tuff_span *const *)b;
    if (x->size != y->size) return x->size < y->size ? 1 : -1;
    return x < y ? -1 : x > y; // a fixed order: the same graph gives the same plan
}

static bool meet(const tuff_span *a, const tuff_span *b)
{
    return a->first <= b->last && b->first <= a->last;
}

// The lowest offset in a bin at which `s` is free during its life; `placed` is every span
// placed so far. Each step of the search moves past one span that is in the way.
static size_t lowest(const tuff_span *s, tuff_span *const *placed, int n, int bin, size_t align)
{
    size_t at = 0;
    for (bool moved = true; moved;) {
        moved = false;
        for (int i = 0; i < n; i++) {
            const tuff_span *p = placed[i];
            if (p->bin != bin || !meet(p, s)) continue;
            if (at < p->offset + p->size && p->offset < at + s->size) {
                at = (p->offset + p->size + align - 1) & ~(align - 1);
                moved = true;
            }
        }
    }
    return at;
}

static tuff_status place_one(tuff_memplan *plan, tuff_span *s, tuff_span *const *placed, int n)
{
    TUFF_REQUIRE(s->size <= plan->bin_limit, LIMIT,
                 "a value takes %zu bytes, the device allocates at most %zu at once", s->size,
                 plan->bin_limit);
    for (int bin = 0; bin < plan->max_bins; bin++) {
        const size_t at = lowest(s, placed, n, bin, plan->align);
        if (at + s->size > plan->bin_limit) continue;
        s->bin = bin;
        s->offset = at;
        if (bin >= plan->bins) plan->bins = bin + 1;
        if (at + s->size > plan->bin_size[bin]) plan->bin_size[bin] = at + s->size;
        return TUFF_OK;
    }
    return tuff_fail(TUFF_ERR_LIMIT, "a program needs more than %d buffers of %zu bytes",
                     plan->max_bins, plan->bin_limit);
}

tuff_status tuff_memplan_place(tuff_memplan *plan, tuff_span *spans, int count)
{
    plan->bins = 0;
    memset(plan->bin_size, 0, (size_t)plan->max_bins * sizeof *plan->bin_size);
    tuff_span **order = tuff_alloc((size_t)count, sizeof *order);
    if (!order) return TUFF_ERR_MEMORY;
    int n = 0;
    for (int i = 0; i < count; i++)
        if (spans[i].size) order[n++] = &spans[i];
    qsort(order, (size_t)n, sizeof *order, larger_first);
    tuff_status status = TUFF_OK;
    for (int i = 0; i < n && status == TUFF_OK; i++)
        status = place_one(plan, order[i], order, i);
    tuff_free(order);
    return status;
}
