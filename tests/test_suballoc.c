// The allocator of offsets: against a model that knows every byte, over random sequences.
#include "harness.h"
#ifdef TUFF_NO_VULKAN
int main(int argc, char **argv)
{
    harness_init(argc, argv, NULL, 0);
    if (case_begin("suballoc")) {
        case_skip("this build has no Vulkan backend");
        case_end();
    }
    return report();
}
#else
#include "base/alloc.h"
#include "device/vulkan/suballoc.h"
#include <stdio.h>
#include <string.h>

enum { GRANULE = 256, MOST = 400 };

static uint32_t state;

static uint32_t number(uint32_t below)
{
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state % below;
}

typedef struct held {
    int piece;
    uint64_t offset, bytes;
} held;

// Who holds each granule: index + 1 into `held`, 0 for nobody.
static uint16_t owner[1 << 16];

static uint64_t granules(uint64_t bytes) { return (bytes + GRANULE - 1) / GRANULE; }

static bool claim(const held *h, int who, uint64_t size)
{
    if (h->offset % GRANULE || h->offset + h->bytes > size) return false;
    for (uint64_t i = 0; i < granules(h->bytes); i++) {
        uint16_t *at = &owner[h->offset / GRANULE + i];
        if (*at) return false;
        *at = (uint16_t)(who + 1);
    }
    return true;
}

static void unclaim(const held *h)
{
    memset(&owner[h->offset / GRANULE], 0, granules(h->bytes) * sizeof *owner);
}

// The longest run of granules that nobody holds.
static uint64_t longest_run(uint64_t size)
{
    uint64_t best = 0, run = 0;
    for (uint64_t i = 0; i < size / GRANULE; i++) {
        run = owner[i] ? 0 : run + 1;
        if (run > best) best = run;
    }
    return best;
}

// Runs of free granules: what the allocator must have as free pieces, no more and no less.
static int free_runs(uint64_t size)
{
    int runs = 0;
    for (uint64_t i = 0; i < size / GRANULE; i++)
        runs += !owner[i] && (i == 0 || owner[i - 1]);
    return runs;
}

static void one_sequence(uint32_t seed)
{
    state = seed * 2654435761u + 1;
    memset(owner, 0, sizeof owner);
    const uint64_t size = (uint64_t)(1 + number(4096)) * GRANULE;
    const uint32_t largest = 1 + number(8) * (uint32_t)(size / 8);
    held h[MOST];
    int n = 0;
    tuff_suballoc *s;
    if (!EXPECT_OK(tuff_suballoc_create(size, GRANULE, &s))) return;
    for (int step = 0; step < 1500 && !case_failed(); step++) {
        if (n < MOST && number(100) < (step / 300 % 2 ? 35u : 65u)) {
            held *a = &h[n];
            a->bytes = 1 + number(largest);
            EXPECT_OK(tuff_suballoc_take(s, a->bytes, &a->piece, &a->offset));
            const bool room = longest_run(size) >= granules(a->bytes);
            EXPECT((a->piece != TUFF_NO_PIECE) == room);
            if (a->piece == TUFF_NO_PIECE) continue;
            EXPECT(claim(a, n, size));
            n++;
        } else if (n) {
            const int i = (int)number((uint32_t)n);
            tuff_suballoc_give(s, h[i].piece);
            unclaim(&h[i]);
            h[i] = h[--n];
        }
        if (step % 50 == 0) EXPECT_EQ(tuff_suballoc_free_count(s), free_runs(size));
        EXPECT_EQ(tuff_suballoc_empty(s), n == 0);
    }
    while (n) tuff_suballoc_give(s, h[--n].piece);
    EXPECT(tuff_suballoc_empty(s));
    EXPECT_EQ(tuff_suballoc_free_count(s), 1);
    int piece;
    uint64_t offset = 1;
    EXPECT_OK(tuff_suballoc_take(s, size, &piece, &offset));
    EXPECT(piece != TUFF_NO_PIECE && offset == 0);
    tuff_suballoc_destroy(&s);
    if (case_failed()) printf("seed %u\n", seed);
}

static void random_sequences(void)
{
    for (uint32_t seed = 1; seed <= 200 && !case_failed(); seed++) one_sequence(seed);
}

// Of two holes the one that fits best is cut, and a hole that is too small is left alone.
static void best_hole(void)
{
    tuff_suballoc *s;
    int p[6];
    uint64_t at[6];
    static const uint64_t bytes[] = { 4 * GRANULE, GRANULE, 3 * GRANULE, GRANULE, 2 * GRANULE };
    EXPECT_OK(tuff_suballoc_create(64 * GRANULE + 255, GRANULE, &s));
    for (int i = 0; i < 5; i++) EXPECT_OK(tuff_suballoc_take(s, bytes[i], &p[i], &at[i]));
    EXPECT_OK(tuff_suballoc_take(s, GRANULE, &p[5], &at[5]));
    tuff_suballoc_give(s, p[0]);
    tuff_suballoc_give(s, p[2]);
    tuff_suballoc_give(s, p[4]);
    int q;
    uint64_t offset;
    EXPECT_OK(tuff_suballoc_take(s, 3 * GRANULE - 255, &q, &offset));
    EXPECT_EQ(offset, at[2]);
    EXPECT_OK(tuff_suballoc_take(s, 2 * GRANULE, &q, &offset));
    EXPECT_EQ(offset, at[4]);
    EXPECT_OK(tuff_suballoc_take(s, 2 * GRANULE, &q, &offset));
    EXPECT_EQ(offset, at[0]);
    EXPECT_OK(tuff_suballoc_take(s, 1 << 20, &q, &offset));
    EXPECT_EQ(q, TUFF_NO_PIECE);
    tuff_suballoc_destroy(&s);
    tuff_suballoc_destroy(&s);
}

// When the table of pieces cannot grow, nothing is taken and the rest goes on.
static void without_host_memory(void)
{
    tuff_suballoc *s;
    int piece, taken = 0, failed = 0;
    uint64_t offset;
    tuff_alloc_fail_at(1);
    EXPECT_STATUS(tuff_suballoc_create(1 << 20, GRANULE, &s), TUFF_ERR_MEMORY);
    tuff_alloc_fail_at(2);
    EXPECT_STATUS(tuff_suballoc_create(1 << 20, GRANULE, &s), TUFF_ERR_MEMORY);
    tuff_alloc_fail_at(0);
    EXPECT(!s);
    EXPECT_OK(tuff_suballoc_create(1 << 20, GRANULE, &s));
    while (taken < 100) {
        tuff_alloc_fail_at(1);
        const tuff_status status = tuff_suballoc_take(s, 1, &piece, &offset);
        tuff_alloc_fail_at(0);
        if (status == TUFF_OK) {
            EXPECT_EQ(offset, taken * GRANULE);
            taken++;
        } else {
            EXPECT_EQ(piece, TUFF_NO_PIECE);
            failed++;
            EXPECT_OK(tuff_suballoc_take(s, 1, &piece, &offset));
            EXPECT_EQ(offset, taken * GRANULE);
            taken++;
        }
    }
    EXPECT(failed > 1);
    tuff_suballoc_destroy(&s);
}

int main(int argc, char **argv)
{
    harness_init(argc, argv, NULL, 0);
    CASE(best_hole);
    CASE(without_host_memory);
    CASE(random_sequences);
    return report();
}
#endif
