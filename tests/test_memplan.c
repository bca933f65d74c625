// The memory plan of programs: properties over random lifetimes.
#include "graph/memplan.h"
#include "harness.h"
#include <stdlib.h>
#include <string.h>

enum { MOST = 200, BINS = 64 };

static uint32_t state = 1;
static uint32_t below(uint32_t n)
{
    state = state * 1664525u + 1013904223u;
    return (state >> 8) % n;
}

static bool apart(const tuff_span *a, const tuff_span *b)
{
    if (a->last < b->first || b->last < a->first || a->bin != b->bin) return true;
    return a->offset + a->size <= b->offset || b->offset + b->size <= a->offset;
}

static void random_spans(tuff_span *spans, int n)
{
    for (int i = 0; i < n; i++) {
        const int first = (int)below(60);
        spans[i] = (tuff_span){ .size = below(10) ? 1 + below(100000) : 0, .first = first,
                                .last = first + (int)below(12) };
    }
}

static void spans_never_meet(void)
{
    static tuff_span spans[MOST];
    size_t sizes[BINS];
    for (int round = 0; round < 60; round++) {
        const int n = 1 + (int)below(MOST);
        random_spans(spans, n);
        tuff_memplan plan = { .bin_limit = 400000, .align = 256, .max_bins = BINS,
                              .bin_size = sizes };
        if (!EXPECT_OK(tuff_memplan_place(&plan, spans, n))) return;
        for (int i = 0; i < n; i++) {
            if (!spans[i].size) continue;
            EXPECT(spans[i].offset % 256 == 0 && spans[i].bin < plan.bins);
            EXPECT(spans[i].offset + spans[i].size <= sizes[spans[i].bin]);
            EXPECT(sizes[spans[i].bin] <= 400000);
            for (int k = 0; k < i; k++)
                if (spans[k].size) EXPECT(apart(&spans[i], &spans[k]));
        }
    }
}

static void dead_memory_is_reused(void)
{
    // A chain of equal values, each read by the next alone, needs room for two.
    tuff_span spans[50];
    size_t sizes[BINS];
    for (int i = 0; i < 50; i++)
        spans[i] = (tuff_span){ .size = 4096, .first = i, .last = i + 1 };
    tuff_memplan plan = { .bin_limit = 1 << 30, .align = 256, .max_bins = BINS,
                          .bin_size = sizes };
    EXPECT_OK(tuff_memplan_place(&plan, spans, 50));
    EXPECT_EQ(plan.bins, 1);
    EXPECT_EQ(sizes[0], 2 * 4096);
}

static void same_input_same_plan(void)
{
    static tuff_span a[MOST], b[MOST];
    size_t sizes[BINS];
    tuff_memplan plan = { .bin_limit = 400000, .align = 256, .max_bins = BINS,
                          .bin_size = sizes };
    random_spans(a, MOST);
    memcpy(b, a, sizeof a);
    EXPECT_OK(tuff_memplan_place(&plan, a, MOST));
    EXPECT_OK(tuff_memplan_place(&plan, b, MOST));
    EXPECT(memcmp(a, b, sizeof a) == 0);
}

static void limits_are_named(void)
{
    size_t sizes[2];
    tuff_span large = { .size = 5000, .first = 0, .last = 1 };
    tuff_memplan plan = { .bin_limit = 4096, .align = 256, .max_bins = 2, .bin_size = sizes };
    EXPECT_STATUS(tuff_memplan_place(&plan, &large, 1), TUFF_ERR_LIMIT);
    EXPECT_HAS(tuff_last_error(), "5000 bytes");
    tuff_span three[3];
    for (int i = 0; i < 3; i++) three[i] = (tuff_span){ .size = 4000, .first = 0, .last = 1 };
    EXPECT_STATUS(tuff_memplan_place(&plan, three, 3), TUFF_ERR_LIMIT);
    EXPECT_HAS(tuff_last_error(), "more than 2 buffers");
}

int main(int argc, char **argv)
{
    harness_init(argc, argv, NULL, 0);
    CASE(spans_never_meet);
    CASE(dead_memory_is_reused);
    CASE(same_input_same_plan);
    CASE(limits_are_named);
    return report();
}
