// Dropout and random numbers on the CPU path: the same words as the references', many at once.
#include "base/rng.h"
#include "ops/elementwise.h"
#include "ops/host.h"
#include "ops/host_math.h"
#include "ops/random_host.h"

static uint32_t *words_of(uint64_t seed, uint64_t first, size_t n, uint32_t *words)
{
    tuff_rng_words(seed, first, n, words);
    return words;
}

// ---- dropout --------------------------------------------------------------------------------

TUFF_EACH_PROCESSOR void drop(const uint32_t *word, uint32_t stays_from, float scale,
                              const float *x, float *y, uint8_t *mask, size_t n)
{
    TUFF_INDEPENDENT
    for (size_t i = 0; i < n; i++) y[i] = word[i] >> 8 >= stays_from ? x[i] * scale : 0;
    TUFF_INDEPENDENT
    for (size_t i = 0; i < n; i++) mask[i] = word[i] >> 8 >= stays_from;
}
TUFF_FOR_PROCESSORS(drop, (const uint32_t *word, uint32_t stays_from, float scale,
                           const float *x, float *y, uint8_t *mask, size_t n),
                    (word, stays_from, scale, x, y, mask, n))

void tuff_dropout_host(const tuff_ref *r)
{
    const tuff_dropout_params *p = r->call->params;
    const uint32_t *counter = (const uint32_t *)(const void *)r->in[1];
    const double ratio = (double)p->ratio;
    const uint32_t stays_from = (uint32_t)ceil(ratio * 0x1p24);
    const float scale = (float)(1 / (1 - ratio));
    uint64_t first = p->offset;
    if (counter) first += counter[0] | (uint64_t)counter[1] << 32;
    drop_fn *best = drop_best();
    uint32_t word[TUFF_BLOCK];
    for (size_t at = r->begin, n; at < r->end; at += n) {
        n = r->end - at < TUFF_BLOCK ? r->end - at : TUFF_BLOCK;
        best(words_of(p->seed, first + at, n, word), stays_from, scale, r->in[0] + at,
             r->out[0] + at, (uint8_t *)r->out[1] + at, n);
    }
}

// ---- random numbers -------------------------------------------------------------------------

TUFF_EACH_PROCESSOR void uniform(const uint32_t *word, float *y, size_t n)
{
    TUFF_INDEPENDENT
    for (size_t i = 0; i < n; i++) y[i] = (float)(int32_t)(word[i] >> 8) * 0x1p-24f;
}
TUFF_FOR_PROCESSORS(uniform, (const uint32_t *word, float *y, size_t n), (word, y, n))

void tuff_uniform_host(uint64_t seed, uint64_t first, size_t n, float *y)
{
    uint32_t word[TUFF_BLOCK];
    uniform_fn *best = uniform_best();
    for (size_t at = 0, some; at < n; at += some) {
        some = n - at < TUFF_BLOCK ? n - at : TUFF_BLOCK;
        best(words_of(seed, first + at, some, word), y + at, some);
    }
}

// Two numbers of each pair of words, by Box and Muller; pairs fill whole lanes.
TUFF_EACH_PROCESSOR void normal(const uint32_t *word, float *y, size_t pairs)
{
    TUFF_EACH(i, pairs, const float u = (float)(int32_t)((word[2 * i] >> 8) + 1) * 0x1p-24f;
              const float t = (float)(int32_t)(word[2 * i + 1] >> 8) * 0x1p-24f;
              const float length = sqrtf(-2 * tuff_log_f32(u));
              y[2 * i] = length * tuff_wave_turn(t, 0);
              y[2 * i + 1] = length * tuff_wave_turn(t, 3))
}
TUFF_FOR_PROCESSORS(normal, (const uint32_t *word, float *y, size_t pairs), (word, y, pairs))

// Whole pairs are made, however the numbers that are asked for lie in them.
void tuff_normal_host(uint64_t seed, uint64_t first, size_t n, float *y)
{
    uint32_t word[TUFF_BLOCK];
    float pair[TUFF_BLOCK];
    normal_fn *best = normal_best();
    while (n) {
        const size_t skip = first % 2, left = TUFF_BLOCK - skip, some = n < left ? n : left;
        const size_t whole = tuff_whole_lanes((skip + some + 1) / 2);
        best(words_of(seed, first - skip, 2 * whole, word), pair, whole);
        memcpy(y, pair + skip, some * sizeof *y);
        y += some;
        first += some;
        n -= some;
    }
}
